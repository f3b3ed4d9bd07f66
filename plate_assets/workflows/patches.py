"""From an acquisition's images to tiles, one block a well.

Belongs here: the table beside the pixels. Not here: which image of a well is taken (`plates.fields`), where tiles lie
(`precipitation.geometry`), how they are cut (`precipitation.tiles`), how they are stored.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

import polars as pl

from plate_assets.plates.fields import Fields, map_fields
from plate_assets.plates.layout import Well
from plate_assets.precipitation.tables import PATCHES

if TYPE_CHECKING:
    import numpy as np

Progress = Callable[[int, int], None] | None
_WELL = ["Metadata_Plate", "Metadata_Timepoint", "Metadata_Timepoint_h", "Metadata_Well", "Metadata_Row", "Metadata_Col"]


def cut_patches(
    fields: Fields,
    platemap: pl.DataFrame,
    *,
    geometry: Literal["inference", "training"] = "inference",
    drop: Literal["corners"] | float = "corners",
    progress: Progress = None,
) -> "Iterator[tuple[pl.DataFrame, np.ndarray]]":
    """PATCHES and tiles (n, t, t[, 3]) of each well, one block a well, row-major; colours and bit depth kept.

    The grid follows the culture area found in each image. A field too small for the crop gives all its whole tiles, geometry
    `field`. Tile size, colours and type are those of the first image that can be read; a stray one of another kind is
    brought to them. Images that cannot be read, or hold no tile, are left out: image quality tells why. With a share as `drop`,
    corner tiles come too, the outside of the culture area masked (see `precipitation.tiles.mask_outside`).
    progress is called with wells done and wells in all.
    """
    if geometry not in ("inference", "training"):
        raise ValueError(f"geometry {geometry!r}: `inference` or `training` is needed")
    groups = dict(platemap.select("Metadata_Well", "Metadata_Quadruplet").iter_rows())
    return _blocks(fields, groups, geometry, drop, progress)


def _blocks(fields: Fields, groups: dict, geometry, drop, progress: Progress):
    import numpy as np

    acquisition = fields.acquisition
    total, done, well, kind = fields.rows["Metadata_Well"].n_unique(), 0, None, None
    tables, tiles = [], []
    for row, image in map_fields(fields, lambda image: image):
        if row["Metadata_Well"] != well:
            if tables:
                yield pl.concat(tables), np.concatenate(tiles)
            tables, tiles, well = [], [], row["Metadata_Well"]
            if progress and done:
                progress(done, total)
            done += 1
        if isinstance(image, Exception):
            continue
        kind = kind or _Kind(image, acquisition.pixel_um, geometry)
        cut = kind.cut(image, acquisition.pixel_um, geometry, drop)
        if cut is not None:
            tables.append(_table(row, groups.get(well, Well.parse(row["Metadata_Well"]).quadruplet), *cut))
            tiles.append(cut[1])
    if tables:
        yield pl.concat(tables), np.concatenate(tiles)
    if progress and total:
        progress(total, total)


class _Kind:
    """What all tiles of an acquisition share: side, colours, type; taken from its first readable image."""

    def __init__(self, image: "np.ndarray", pixel_um: float | None, geometry) -> None:
        from plate_assets.precipitation.geometry import geometry_for

        self.tile_px = geometry_for(image.shape, pixel_um, geometry).tile_px
        self.colours, self.dtype = image.ndim == 3, image.dtype

    def cut(self, image: "np.ndarray", pixel_um: float | None, geometry, drop):
        """Grid and tiles of an image; None where it holds none."""
        from plate_assets.plates.images import to_grey
        from plate_assets.precipitation.geometry import GeometryError, find_culture_area, geometry_for
        from plate_assets.precipitation.tiles import cut_tiles, mask_outside

        try:
            grid = geometry_for(image.shape, pixel_um, geometry, drop=drop, tile_px=self.tile_px)
        except GeometryError:
            return None
        if grid.in_domain:
            found = find_culture_area(to_grey(image), grid.um_per_px)
            grid = geometry_for(image.shape, pixel_um, geometry, drop=drop, tile_px=self.tile_px, culture=found)
        tiles = cut_tiles(self._alike(image), grid)
        if isinstance(grid.drop, float):
            tiles = mask_outside(tiles, grid.tile_masks())
        return grid, tiles

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


def _table(row: dict, quadruplet: str, grid, tiles: "np.ndarray") -> pl.DataFrame:
    from plate_assets.precipitation.tiles import local_std

    starts = grid.starts
    table = pl.DataFrame({
        "tile_row": [tile[0] for tile in grid.tiles], "tile_col": [tile[1] for tile in grid.tiles],
        "y0_px": starts[:, 0], "x0_px": starts[:, 1], "culture_share": grid.culture_shares, "local_std": local_std(tiles),
    }).with_columns(
        *(pl.lit(row[name]).alias(name) for name in [*_WELL, "Metadata_Site", "Metadata_Channel"]),
        Metadata_Quadruplet=pl.lit(quadruplet), tile_px=pl.lit(grid.tile_px),
        geometry=pl.lit(grid.name), in_domain=pl.lit(grid.in_domain),
    )  # fmt: skip
    return PATCHES.conform(table)
