"""Tiles of a well's image: cut, measured by the trivial baseline, and put back.

Belongs here: arrays of tiles. Not here: where tiles lie (`geometry`), what a detector makes of them (`detector`).
"""

import numpy as np

from plate_assets.precipitation.geometry import WellGeometry

WINDOW_PX = 7  # the trivial baseline's window: a precipitate of 10-20 µm is 3.5-7 px


def cut_tiles(image: np.ndarray, grid: WellGeometry) -> np.ndarray:
    """(n, t, t) or (n, t, t, 3) copies of the tiles of an image (rows, columns[, 3]), in the order of `grid.tiles`; type kept.

    Raises ValueError where the image has not the size that the geometry was made for.
    """
    if image.shape[:2] != grid.well_px:
        raise ValueError(
            f"the image has {image.shape[:2]} px, and the geometry was made for {grid.well_px}: use `geometry_for`"
        )
    t = grid.tile_px
    windows = np.lib.stride_tricks.sliding_window_view(image, (t, t), axis=(0, 1))  # (rows, columns[, 3], t, t), a view  # pyright: ignore[reportArgumentType, reportCallIssue]
    rows, cols = grid.starts.T
    tiles = windows[rows, cols]
    return np.ascontiguousarray(np.moveaxis(tiles, 1, -1) if image.ndim == 3 else tiles)


def local_std(tiles: np.ndarray, window: int = WINDOW_PX) -> np.ndarray:
    """Trivial baseline: the largest standard deviation in a window of `window` px inside each tile, (n,) float64.

    tiles: (n, t, t[, 3]); colours count as their mean. The result is a share of the type's range (of 1 for floats). Only
    windows that lie wholly inside the tile count, so that no border is invented. Sums of integers are exact, so that the
    difference of squares loses nothing on a bright, flat tile.
    """
    grown = tiles.shape[3] if tiles.ndim == 4 else 1  # the sum of colours is so many times their mean
    full = np.iinfo(tiles.dtype).max if tiles.dtype.kind in "ui" else 1
    window = min(window, tiles.shape[1])
    count = window**2
    small = tiles.dtype.kind in "ui" and (count * grown * full) ** 2 <= np.iinfo(np.int32).max
    exact = np.int32 if small else np.float64  # in double precision sums of 16 bits are exact too
    variance = np.empty(len(tiles))
    for number, tile in enumerate(tiles):  # one at a time: what lies between stays in the processor's cache
        grey = tile.astype(exact) if tile.ndim == 2 else tile.sum(axis=-1, dtype=exact)
        sums, squares = _window_sums(grey, window), _window_sums(np.square(grey), window)
        variance[number] = max((count * squares - sums * sums).max(), 0) / (count * grown * full) ** 2
    return np.where(variance > 1e-12, np.sqrt(variance), 0.0)


def _window_sums(values: np.ndarray, window: int) -> np.ndarray:
    """Sums over each window that lies wholly in (h, w): (h - window + 1, w - window + 1)."""
    return _row_sums(_row_sums(values, window).T, window).T


def _row_sums(values: np.ndarray, window: int) -> np.ndarray:
    """Sums over `window` rows that follow each other, each put together from two sums over half as many."""
    if window == 1:
        return values
    half = window // 2
    sums = _row_sums(values, half)
    sums = sums[:-half] + sums[half:]
    return sums if window % 2 == 0 else sums[:-1] + values[window - 1 :]


def assemble(tile_maps: np.ndarray, grid: WellGeometry, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Put maps of tiles (n, t, t) back to their places: a map of the well (rows, columns), NaN where no tile lies.

    shape: of the well's image; the geometry's own where not given. Raises ValueError where the maps are not the grid's.
    """
    t, n = grid.tile_px, len(grid.tiles)
    if tile_maps.shape != (n, t, t):
        raise ValueError(f"{tile_maps.shape} maps were given, and ({n}, {t}, {t}) are needed: upsample them to the tile first")
    well = np.full(tuple(shape or grid.well_px)[:2], np.nan, dtype=np.result_type(tile_maps.dtype, np.float16))
    within = np.arange(t)
    rows = grid.starts[:, 0, None, None] + within[None, :, None]
    cols = grid.starts[:, 1, None, None] + within[None, None, :]
    well[rows, cols] = tile_maps
    return well


def mask_outside(tiles: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Tiles (n, t, t[, 3]) with what lies outside the culture area (masks (n, t, t) False) replaced by the inside's median.

    So a corner tile can be scored without the well's wall, which a detector would call. A tile wholly outside stays as it is.
    """
    masked = tiles.copy()
    for number in np.flatnonzero(~masks.all(axis=(1, 2)) & masks.any(axis=(1, 2))):
        masked[number][~masks[number]] = np.median(tiles[number][masks[number]], axis=0).astype(tiles.dtype)
    return masked
