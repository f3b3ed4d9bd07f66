"""The geometry of a well's image: the culture area, the crop, and the grid of tiles that a detector sees (Yasuno; A1.1).

Belongs here: where tiles lie, how much of each is culture area, which geometry fits an image. Not here: pixels of tiles
(`tiles`), the search for the culture area (`culture_area`, offered here under its names), which wells a plate has.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from plate_assets.precipitation.culture_area import (
    CULTURE_RADIUS_UM,
    REFERENCE_UM_PER_PX,
    CultureArea,
    culture_mask,
    default_culture_area,
    find_culture_area,
)

__all__ = [
    "CULTURE_RADIUS_UM", "REFERENCE_UM_PER_PX", "CultureArea", "GeometryError", "WellGeometry", "culture_mask",
    "default_culture_area", "find_culture_area", "geometry_for",
]  # fmt: skip

TILE_UM = 240 * REFERENCE_UM_PER_PX  # 676.8 µm: the side of Yasuno's tile
REFERENCE_SHAPE = (1200, 1200)
CROP_TILES = {"inference": 4, "training": 3}

Name = Literal["inference", "training", "field", "custom"]


class GeometryError(ValueError):
    """An image that no tile fits into, or a grid that makes no sense; the message says what would fit."""


@dataclass(frozen=True)
class WellGeometry:
    """Where the tiles of a well's image lie: a crop around the culture area's centre, cut into a grid of square tiles.

    `drop="corners"` leaves out the four corner tiles (they show the well wall); a number keeps the tiles of which at least
    that share lies inside the culture area (0: all), for mask-weighted scores; None keeps all and knows no disc.
    """

    well_px: tuple[int, int]  # rows, columns of the image
    um_per_px: float | None
    tile_px: int
    crop_px: tuple[int, int]  # rows, columns of the crop, multiples of tile_px
    drop: Literal["corners"] | float | None = "corners"
    name: Name = "custom"
    culture: CultureArea | None = None  # None: no disc
    _tiles: tuple[tuple[int, int], ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        if self.tile_px < 1 or any(crop % self.tile_px or not crop for crop in self.crop_px):
            raise GeometryError(
                f"a crop of {self.crop_px} px is no whole number of tiles of {self.tile_px} px: choose a multiple"
            )
        if any(crop > well for crop, well in zip(self.crop_px, self.well_px, strict=True)):
            raise GeometryError(
                f"a crop of {self.crop_px} px does not fit into an image of {self.well_px} px: use `geometry_for`"
            )
        if isinstance(self.drop, float) and (self.culture is None or not 0 <= self.drop <= 1):
            raise GeometryError(f"drop={self.drop}: a share from 0 to 1 is needed, and a culture area to take the share of")
        object.__setattr__(self, "_tiles", tuple(self._kept()))

    @classmethod
    def inference(cls, culture: CultureArea | None = None) -> "WellGeometry":
        """Yasuno's inference geometry on a 1200 px image at 2.82 µm: 960 px crop, 4x4 tiles, corners dropped: 12 tiles."""
        return geometry_for(REFERENCE_SHAPE, REFERENCE_UM_PER_PX, culture=culture)

    @classmethod
    def training(cls, culture: CultureArea | None = None) -> "WellGeometry":
        """Yasuno's training geometry: the inner 3x3 of a 5x5 grid on a 1200 px image, 9 tiles, all inside the culture area."""
        return geometry_for(REFERENCE_SHAPE, REFERENCE_UM_PER_PX, "training", culture=culture)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return self.crop_px[0] // self.tile_px, self.crop_px[1] // self.tile_px

    @property
    def in_domain(self) -> bool:
        """True where the tiles show what the detector was trained on: Yasuno's crops, at their scale."""
        return self.name in CROP_TILES

    @property
    def origin(self) -> tuple[int, int]:
        """First row and column of the crop: centred on the culture area, shifted as little as needed to stay in the image."""
        centres = [(size - 1) / 2 for size in self.well_px] if self.culture is None else [self.culture.row, self.culture.col]
        wanted = [centre - (crop - 1) / 2 for centre, crop in zip(centres, self.crop_px, strict=True)]
        limits = [well - crop for well, crop in zip(self.well_px, self.crop_px, strict=True)]
        row, col = (int(min(max(np.floor(w + 0.5), 0), limit)) for w, limit in zip(wanted, limits, strict=True))
        return row, col

    @property
    def tiles(self) -> tuple[tuple[int, int], ...]:
        """(tile_row, tile_col) of the tiles kept, row-major, from 0."""
        return self._tiles

    @property
    def starts(self) -> np.ndarray:
        """(n, 2) first row and column of each kept tile, px."""
        return np.array(self.origin) + self.tile_px * np.array(self.tiles, dtype=int).reshape(-1, 2)

    @property
    def culture_shares(self) -> np.ndarray:
        """(n,) share of each kept tile inside the culture area; 1 where there is no disc."""
        return np.array([self._share(tile) for tile in self.tiles], dtype=float)

    def tile_masks(self) -> np.ndarray:
        """(n, t, t) bool: the pixels of each kept tile inside the culture area. The outside is masked out of corner tiles."""
        within = np.arange(self.tile_px)
        rows = self.starts[:, 0, None, None] + within[None, :, None]
        cols = self.starts[:, 1, None, None] + within[None, None, :]
        if self.culture is None:
            return np.ones(np.broadcast_shapes(rows.shape, cols.shape), dtype=bool)
        return (rows - self.culture.row) ** 2 + (cols - self.culture.col) ** 2 <= self.culture.radius**2

    def around(self, culture: CultureArea) -> "WellGeometry":
        """The same grid, around the culture area found."""
        return replace(self, culture=culture)

    def _kept(self) -> list[tuple[int, int]]:
        n_rows, n_cols = self.grid
        every = [(row, col) for row in range(n_rows) for col in range(n_cols)]
        if self.drop == "corners":
            corners = {(row, col) for row in (0, n_rows - 1) for col in (0, n_cols - 1)}
            return [tile for tile in every if tile not in corners]
        if self.drop is None:
            return every
        return [tile for tile in every if self._share(tile) >= self.drop]

    def _share(self, tile: tuple[int, int]) -> float:
        """Share of a tile of the grid inside the culture area."""
        if self.culture is None:
            return 1.0
        row, col = (first + self.tile_px * place for first, place in zip(self.origin, tile, strict=True))
        seen = replace(self.culture, row=self.culture.row - row, col=self.culture.col - col)  # from the tile
        return np.count_nonzero(culture_mask((self.tile_px, self.tile_px), seen)) / self.tile_px**2


def geometry_for(
    shape: tuple[int, ...],
    pixel_um: float | None,
    wanted: Literal["inference", "training"] = "inference",
    *,
    drop: Literal["corners"] | float | None = "corners",
    culture: CultureArea | None = None,
    tile_px: int | None = None,
) -> WellGeometry:
    """The geometry of an image: Yasuno's where the field holds the crop at this scale, else `field`.

    shape: rows, columns (and colours) of the image; pixel_um: pixel size in µm, None where unknown (then only an image of
    exactly 1200 x 1200 px counts, taken at 2.82 µm).
    drop: see WellGeometry; it holds for `inference` only. culture: the culture area found; the default area otherwise.
    tile_px: the side of a tile where it was settled before, so that all images of an acquisition give tiles of one size.

    `field` is all whole tiles of 676.8 µm that fit (240 px where the scale is unknown; the image's shorter side where not
    even one fits), centred, without a disc: outside the model's domain.
    Raises GeometryError where no tile of `tile_px` fits.
    """
    rows, cols = shape[:2]
    if pixel_um is not None and not pixel_um > 0:
        raise GeometryError(f"a pixel of {pixel_um} µm: the pixel size must be positive, or unknown")
    scale = pixel_um or (REFERENCE_UM_PER_PX if (rows, cols) == REFERENCE_SHAPE else None)
    side = tile_px or (round(TILE_UM / scale) if scale else 240)
    crop = CROP_TILES[wanted] * side
    if scale and side == round(TILE_UM / scale) and side and _holds(rows, cols, CROP_TILES["inference"] * side):
        area = culture or default_culture_area((rows, cols), scale)
        kept = drop if wanted == "inference" else None
        return WellGeometry((rows, cols), scale, side, (crop, crop), kept, wanted, area)
    if tile_px is None:
        side = max(min(side, rows, cols), 1)
    n_rows, n_cols = rows // side, cols // side
    if not n_rows or not n_cols:
        raise GeometryError(
            f"no tile of {side} px fits into an image of {rows} x {cols} px: it has another size than its plate's"
        )
    return WellGeometry((rows, cols), pixel_um, side, (n_rows * side, n_cols * side), None, "field", None)


def _holds(rows: int, cols: int, crop: int) -> bool:
    return min(rows, cols) >= crop
