"""From an acquisition's images to tiles, one block a well.

Belongs here: the table beside the pixels. Not here: which image of a well is taken (`plates.fields`), where tiles lie
(`precipitation.geometry`), how they are cut (`precipitation.tiles`), how they are stored.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from plate_assets.plates.fields import Fields
from plate_assets.plates.image_files import ImageError
from plate_assets.plates.images import map_ahead
from plate_assets.plates.layout import Well
from plate_assets.precipitation.tables import PATCHES
from plate_assets.progress import Progress

if TYPE_CHECKING:
    import numpy as np

    from plate_assets.precipitation.geometry import CultureArea, WellGeometry

Areas = dict[tuple[str, int], "CultureArea"]  # by well and site
_IMAGE = [
    "Metadata_Plate", "Metadata_Timepoint", "Metadata_Timepoint_h", "Metadata_Well", "Metadata_Row", "Metadata_Col",
    "Metadata_Site", "Metadata_Channel",
]  # fmt: skip
_SCHEMA = {column.name: column.dtype for column in PATCHES.columns}


def cut_patches(
    fields: Fields,
    platemap: pl.DataFrame,
    *,
    geometry: Literal["inference", "training"] = "inference",
    drop: Literal["corners"] | float = "corners",
    areas: Areas | None = None,
    progress: Progress | None = None,
) -> "Iterator[tuple[pl.DataFrame, np.ndarray]]":
    """PATCHES and tiles (n, t, t[, 3]) of each well, one block a well, row-major; colours and bit depth kept.

    The grid follows the culture area found in each image. A field too small for the crop gives all its whole tiles, geometry
    `field`. Tile size, colours and type are those of the first image that can be read; a stray one of another kind is
    brought to them. Images that cannot be read, or hold no tile, are left out: image quality tells why. With a share as `drop`,
    corner tiles come too, the outside of the culture area masked (see `precipitation.tiles.mask_outside`).
    areas: is given the culture areas searched for, so that `growth_table` need not search again. progress is called with
    wells done and wells in all.
    """
    if geometry not in ("inference", "training"):
        raise ValueError(f"geometry {geometry!r}: `inference` or `training` is needed")
    groups = dict(platemap.select("Metadata_Well", "Metadata_Quadruplet").iter_rows())
    return _blocks(fields, groups, geometry, drop, {} if areas is None else areas, progress)


def _blocks(fields: Fields, groups: dict[str, str], geometry, drop, areas: Areas, progress: Progress | None):
    import numpy as np

    total, done, well = fields.rows["Metadata_Well"].n_unique(), 0, None
    tables, tiles = [], []
    cutter = _Cutter.of(fields, groups, geometry, drop)
    for row, cut in map_ahead(fields.rows, cutter.cut) if cutter else ():
        if row["Metadata_Well"] != well:
            if tables:
                yield pl.concat(tables), np.concatenate(tiles)
            tables, tiles, well = [], [], row["Metadata_Well"]
            if progress and done:
                progress(done, total)
            done += 1
        if cut is not None:
            tables.append(cut.table)
            tiles.append(cut.tiles)
            if cut.area is not None:
                areas[row["Metadata_Well"], row["Metadata_Site"]] = cut.area
    if tables:
        yield pl.concat(tables), np.concatenate(tiles)
    if progress and total:
        progress(total, total)


@dataclass(frozen=True)
class _Cut:
    """What one image gives; the area is None where none was searched for."""

    table: pl.DataFrame
    tiles: "np.ndarray"
    area: "CultureArea | None"


@dataclass(frozen=True)
class _Cutter:
    """Cuts images, several at a time. Side, colours and type of the tiles are one for the acquisition."""

    fields: Fields
    groups: dict[str, str]
    geometry: Any
    drop: Any
    tile_px: int
    colours: bool
    dtype: "np.dtype"

    @classmethod
    def of(cls, fields: Fields, groups: dict[str, str], geometry, drop) -> "_Cutter | None":
        """With the kind of the first image that can be read; None where there is none."""
        from plate_assets.precipitation.geometry import geometry_for

        for row in fields.rows.iter_rows(named=True):
            try:
                image = fields.image(row)
            except ImageError:
                continue
            side = geometry_for(image.shape, fields.acquisition.pixel_um, geometry).tile_px
            return cls(fields, groups, geometry, drop, side, image.ndim == 3, image.dtype)
        return None

    def cut(self, row: dict[str, Any]) -> _Cut | None:
        """Tiles and their table of the image of a row; None where it cannot be read, or holds none."""
        from plate_assets.precipitation.geometry import GeometryError
        from plate_assets.precipitation.tiles import cut_tiles, mask_outside

        try:
            image = self.fields.image(row)
            grid = self._grid(image)
        except (ImageError, GeometryError):
            return None
        tiles = cut_tiles(self._alike(image), grid)
        if isinstance(grid.drop, float):
            tiles = mask_outside(tiles, grid.tile_masks())
        well = row["Metadata_Well"]
        table = _table(row, self.groups.get(well, Well.parse(well).quadruplet), grid, tiles)
        return _Cut(table, tiles, grid.culture if grid.in_domain else None)

    def _grid(self, image: "np.ndarray") -> "WellGeometry":
        from plate_assets.plates.images import to_grey
        from plate_assets.precipitation.geometry import find_culture_area, geometry_for

        scale = self.fields.acquisition.pixel_um
        grid = geometry_for(image.shape, scale, self.geometry, drop=self.drop, tile_px=self.tile_px)
        return grid.around(find_culture_area(to_grey(image), grid.um_per_px)) if grid.in_domain else grid

    def _alike(self, image: "np.ndarray") -> "np.ndarray":
        import numpy as np

        from plate_assets.plates.images import to_grey

        if image.ndim == 3 and not self.colours:
            image = to_grey(image)
        if image.ndim == 2 and self.colours:
            image = np.repeat(image[:, :, None], 3, axis=2)
        if image.dtype != self.dtype:
            wide = self.dtype == np.uint16
            image = image.astype(np.uint16) * 257 if wide else (image >> 8).astype(np.uint8)
        return image


def _table(row: dict[str, Any], quadruplet: str, grid: "WellGeometry", tiles: "np.ndarray") -> pl.DataFrame:
    """PATCHES of one image, made with its types at once: casting and checking so small a table takes longer than its tiles."""
    import numpy as np

    from plate_assets.precipitation.tiles import local_std

    places, starts = np.array(grid.tiles, dtype=np.int32).reshape(-1, 2), grid.starts.astype(np.int32)
    each = {
        "tile_row": places[:, 0], "tile_col": places[:, 1], "y0_px": starts[:, 0], "x0_px": starts[:, 1],
        "culture_share": grid.culture_shares, "local_std": local_std(tiles),
    }  # fmt: skip
    all_of_them = {
        **{name: row[name] for name in _IMAGE}, "Metadata_Quadruplet": quadruplet, "tile_px": grid.tile_px,
        "geometry": grid.name, "in_domain": grid.in_domain,
    }  # fmt: skip
    columns = {**each, **{name: [value] * len(tiles) for name, value in all_of_them.items()}}
    return pl.DataFrame({name: columns[name] for name in _SCHEMA}, schema=_SCHEMA)
