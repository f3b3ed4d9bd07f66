"""Growth of every well of an acquisition, without labels.

Belongs here: the table. Not here: the measures (`precipitation.growth`), which image of a well is taken (`plates.fields`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from plate_assets.plates.fields import Fields
from plate_assets.plates.image_files import ImageError
from plate_assets.plates.images import map_ahead
from plate_assets.plates.layout import Well
from plate_assets.precipitation.tables import GROWTH
from plate_assets.progress import Progress

if TYPE_CHECKING:
    import numpy as np

    from plate_assets.precipitation.geometry import CultureArea

_WELL = ["Metadata_Plate", "Metadata_Timepoint", "Metadata_Timepoint_h", "Metadata_Well", "Metadata_Row", "Metadata_Col"]
_MEASURES = ["confluence", "cell_density_mm2", "culture_row_px", "culture_col_px", "culture_radius_px"]


def growth_table(
    fields: Fields,
    platemap: pl.DataFrame,
    progress: Progress | None = None,
    areas: "Mapping[tuple[str, int], CultureArea] | None" = None,
) -> pl.DataFrame:
    """GROWTH: one row for each well, in the order of wells; the mean over its sites.

    The same images as `cut_patches` takes. Measures are empty in a well without a readable image, the density also without a
    pixel size, the culture area also where the wall was not found. progress: images done, images in all.
    areas: culture areas by well and site, as far as `cut_patches` found them already; the others are searched for.
    """
    areas = areas or {}

    def measured_of(row: dict[str, Any]) -> dict[str, float | None]:
        try:
            image = fields.image(row)
        except ImageError:  # flagged with its reason by image_quality
            return dict.fromkeys(_MEASURES)
        return _measure(image, fields.acquisition.pixel_um, areas.get((row["Metadata_Well"], row["Metadata_Site"])))

    groups = dict(platemap.select("Metadata_Well", "Metadata_Quadruplet").iter_rows())
    measured = []
    for done, (row, values) in enumerate(map_ahead(fields.rows, measured_of), start=1):
        quadruplet = groups.get(row["Metadata_Well"], Well.parse(row["Metadata_Well"]).quadruplet)
        measured.append({**{name: row[name] for name in _WELL}, "Metadata_Quadruplet": quadruplet, **values})
        if progress:
            progress(done, fields.rows.height)
    if not measured:
        return GROWTH.empty()
    floats = dict.fromkeys([*_MEASURES, "Metadata_Timepoint_h"], pl.Float64)
    keys = [*_WELL, "Metadata_Quadruplet"]
    table = pl.DataFrame(measured, schema_overrides=floats).group_by(keys, maintain_order=True).agg(pl.col(_MEASURES).mean())
    return GROWTH.conform(table)


def _measure(image: "np.ndarray", pixel_um: float | None, area: "CultureArea | None") -> dict[str, float | None]:
    from plate_assets.plates.images import to_grey
    from plate_assets.precipitation.geometry import find_culture_area, geometry_for
    from plate_assets.precipitation.growth import measure_growth

    grey = to_grey(image)
    grid = geometry_for(grey.shape, pixel_um)
    if grid.in_domain and area is None:
        area = find_culture_area(grey, grid.um_per_px)
    growth = measure_growth(grey, grid.um_per_px, area)
    found = area if area is not None and area.found else None
    return {
        "confluence": growth.confluence, "cell_density_mm2": growth.cells_mm2,
        "culture_row_px": found and found.row, "culture_col_px": found and found.col,
        "culture_radius_px": found and found.radius,
    }  # fmt: skip
