"""The report of a scored plate, as files: the page, the heat-map and the tables as CSV.

Belongs here: which picture and which maps stand for a well, and the files. Not here: what the page says
(`precipitation.report`), the scores (`score`). Heavy things are imported inside the functions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from upath import UPath

from plate_assets.plates.fields import Fields

if TYPE_CHECKING:
    import numpy as np

    from plate_assets.precipitation.report import ReportInputs
    from plate_assets.storage.arrays import Stack
    from plate_assets.storage.models import ModelBundle
    from plate_assets.workflows.precipitation.score import ScoredPlate

SCALE_WELLS = 48  # wells that settle the maps' colour scale, evenly over the ranks of the scores
SAID_AS = {"reference": "Reference plates"}  # names of the model's facts, where a capital letter is not enough
HEAT_PX = 32  # side of a tile's map: the page draws a whole well's in 120 pixels
MAPS_IN_MEMORY = 64_000_000  # bytes of maps up to which a plate's are read once: 4,608 tiles of 14 × 14 values are 2 MB
Heat = Callable[["np.ndarray"], "np.ndarray"]


@dataclass(frozen=True)
class ReportFiles:
    """What was written, and how large the page is."""

    report: UPath
    heatmap: UPath
    tiles: UPath
    wells: UPath
    quadruplets: UPath
    page_bytes: int


class WellViews:
    """The picture and the map of a well: of its highest-scoring site, as it was looked at when it was scored."""

    def __init__(self, fields: Fields, tiles: pl.DataFrame, maps: "Stack | None", heat: Heat | None = None) -> None:
        from plate_assets.storage.arrays import Stack, in_memory

        self._fields = fields
        self._maps = Stack(maps.table, in_memory(maps.array, MAPS_IN_MEMORY)) if maps is not None else None
        self._heat = heat
        sums = tiles.group_by("Metadata_Well", "Metadata_Site", "Metadata_Channel").agg(pl.col("score").sum())
        best = sums.sort("score", "Metadata_Site", descending=[True, False], nulls_last=True).unique(
            "Metadata_Well", keep="first"
        )
        self._site = {well: (site, channel) for well, site, channel, _ in best.iter_rows()}
        self._fields_of: dict[str, list[dict[str, Any]]] = {}
        for row in fields.rows.iter_rows(named=True):
            self._fields_of.setdefault(row["Metadata_Well"], []).append(row)
        rows: dict[tuple, list[int]] = {}
        if maps is not None:
            for i, key in enumerate(maps.table.select("Metadata_Well", "Metadata_Site", "Metadata_Channel").iter_rows()):
                rows.setdefault(key, []).append(i)
        self._rows = rows

    def picture(self, well: str) -> "np.ndarray | None":
        """(h, w) or (h, w, 3), or None where there is no readable image."""
        from plate_assets.plates.image_files import ImageError

        if (row := self._row(well)) is None:
            return None
        try:
            return self._fields.image(row)
        except ImageError:  # flagged with its reason by image_quality
            return None

    def map(self, well: str) -> "np.ndarray | None":
        """The detector's maps at the tiles' places on the picture, at the maps' own resolution, NaN elsewhere."""
        import numpy as np

        if self._maps is None or well not in self._site or not (rows := self._rows.get((well, *self._site[well]))):
            return None
        table = self._maps.table[rows]
        # a well's tiles follow each other: one slice, read once
        first, last = min(rows), max(rows) + 1
        values = np.asarray(self._maps.array[first:last], dtype=np.float32)[np.array(rows) - first]
        if self._heat is not None:
            values = np.asarray(self._heat(values), dtype=np.float32)
        shape = self._shape(well)
        places = _places(table, shape, self._fields.acquisition.pixel_um) if shape else None
        return place_maps(values, *places, shape) if places and shape else None

    def _row(self, well: str) -> dict[str, Any] | None:
        rows = self._fields_of.get(well, [])
        site = self._site[well][0] if well in self._site else None
        return next((row for row in rows if site is None or row["Metadata_Site"] == site), None)

    def _shape(self, well: str) -> tuple[int, int] | None:
        from plate_assets.plates.image_files import ImageError

        row = self._row(well)
        try:
            return self._fields.shape(row) if row is not None else None
        except ImageError:
            return None


def _places(table: pl.DataFrame, shape: tuple[int, int], pixel_um: float | None) -> tuple["np.ndarray", int] | None:
    """First row and column of each tile (n, 2), px, and their side: from the table, else from the image's geometry."""
    from plate_assets.precipitation.geometry import GeometryError, geometry_for

    if {"y0_px", "x0_px", "tile_px"} <= set(table.columns) and not table["y0_px"].null_count():
        return table.select("y0_px", "x0_px").to_numpy(), int(table["tile_px"][0])
    try:
        grid = geometry_for(shape, pixel_um)
    except GeometryError:
        return None
    return table.select("tile_row", "tile_col").to_numpy() * grid.tile_px + list(grid.origin), grid.tile_px


def place_maps(maps: "np.ndarray", starts: "np.ndarray", tile_px: int, shape: tuple[int, int]) -> "np.ndarray":
    """Put maps (n, u, v) of square tiles to their places: a map of the whole image at the maps' resolution, NaN elsewhere.

    starts: (n, 2) first row and column of each tile, px; shape: of the image, px. A place is rounded to the map's own grid.
    """
    import numpy as np

    u, v = maps.shape[1:]
    canvas = np.full((max(u, round(shape[0] * u / tile_px)), max(v, round(shape[1] * v / tile_px))), np.nan, dtype=np.float32)
    for tile, (y0, x0) in zip(maps, np.asarray(starts), strict=True):
        row, col = round(float(y0) * u / tile_px), round(float(x0) * v / tile_px)
        part = canvas[row : row + u, col : col + v]
        part[:] = tile[: part.shape[0], : part.shape[1]]
    return canvas


def heat_scale(views: WellViews, wells: pl.DataFrame, share: float = 0.99) -> tuple[float, float]:
    """One scale for a plate: smallest value and `share` quantile of the maps of wells spread evenly over the scores' ranks."""
    import numpy as np

    ranked = wells.sort("score", nulls_last=True)["Metadata_Well"].to_list()
    picks = np.unique(np.linspace(0, len(ranked) - 1, min(SCALE_WELLS, len(ranked))).round().astype(int)) if ranked else []
    found = [heat[np.isfinite(heat)] for i in picks if (heat := views.map(ranked[i])) is not None]
    values = np.concatenate(found) if found else np.zeros(0)
    if not values.size:
        return 0.0, 1.0
    lo, hi = float(values.min()), float(np.quantile(values, share))
    return (lo, hi) if hi > lo else (lo, lo + 1.0)


def inputs_of(
    plate: "ScoredPlate",
    *,
    heat: Heat | None = None,
    model: Mapping[str, object] | None = None,
    links: Mapping[str, str] | None = None,
    made_at: datetime | None = None,
) -> "ReportInputs":
    """What the page is made from, out of a scored plate. heat: upsamples maps (n, u, v) to (n, tile, tile)."""
    from plate_assets.precipitation.report import ReportInputs

    views = WellViews(plate.fields, plate.tiles, plate.maps, heat)
    return ReportInputs(
        acquisition_id=plate.acquisition.acquisition_id,
        plate=plate.acquisition.plate,
        timepoint=plate.acquisition.timepoint,
        plate_format=plate.acquisition.plate_format,
        calls=plate.quadruplets,
        wells=plate.wells,
        tiles=plate.tiles,
        growth=plate.growth,
        quality=plate.quality,
        effects=plate.effects,
        well_picture=views.picture,
        well_heat=views.map,
        heat_scale=heat_scale(views, plate.wells),
        model={
            SAID_AS.get(name, name.capitalize()): value for name, value in (model or plate.model).items() if name != "model"
        },
        links=links or {},
        made_at=made_at,
    )


def write_report(
    plate: "ScoredPlate",
    bundle: "ModelBundle | None",
    folder: str | Path | UPath,
    *,
    links: Mapping[str, str] | None = None,
    made_at: datetime | None = None,
) -> ReportFiles:
    """Write `report.html`, `heatmap.png`, `tiles.csv`, `wells.csv` and `quadruplets.csv`, each whole or not at all.

    bundle: the model, whose fixed Gaussian upsamples the maps; without it they are shown at their own resolution.
    The page comes last, so that a folder with a new page has new tables beside it.
    """
    from plate_assets.precipitation.report import heatmap_png, render_report
    from plate_assets.storage.files import write_bytes

    heat = None
    if bundle is not None:
        from plate_assets.precipitation.detector import Detector

        # no `from_parts`: the maps are there already, and the network would be built for nothing
        heat = partial(Detector(dict(bundle.architecture), dict(bundle.weights)).heat, side=HEAT_PX)
    model = {**plate.model, **_looked_at(plate.fields)}
    inputs = inputs_of(plate, heat=heat, model=model, links=links, made_at=made_at or datetime.now(UTC))
    folder = UPath(folder)
    page = render_report(inputs).encode()
    contents = {
        "tiles.csv": plate.tiles.write_csv().encode(),
        "wells.csv": plate.wells.write_csv().encode(),
        "quadruplets.csv": plate.quadruplets.write_csv().encode(),
        "heatmap.png": heatmap_png(inputs),
        "report.html": page,
    }
    for name, data in contents.items():
        write_bytes(folder / name, data)
    names = ("report.html", "heatmap.png", "tiles.csv", "wells.csv", "quadruplets.csv")
    return ReportFiles(*(folder / name for name in names), page_bytes=len(page))


def _looked_at(fields: Fields) -> dict[str, str]:
    """What of the wells was looked at, as far as it was chosen."""
    view, chosen = fields.view, {}
    if view.channel:
        chosen["channel"] = view.channel
    if fields.acquisition.images["Metadata_Plane"].n_unique() > 1:
        chosen["planes"] = view.planes.replace("_", " ")
    if view.sites == "placed":
        chosen["sites"] = "placed into one image of the well"
    if fields.profile:
        chosen["illumination"] = f"corrected, {fields.profile.source} profile"
    return chosen


def heatmap_thumbnail_of(plate: "ScoredPlate") -> bytes:
    """The plate's heat-map as a small PNG (20 KB at most), for the metadata of an asset."""
    from plate_assets.precipitation.report import ReportInputs, heatmap_thumbnail

    known = plate.acquisition
    return heatmap_thumbnail(
        ReportInputs(
            known.acquisition_id, known.plate, known.timepoint, known.plate_format, plate.quadruplets, plate.wells, plate.tiles
        )
    )
