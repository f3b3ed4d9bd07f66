"""Strips: one cell every so many minutes, cut out of its frames, with its outline (the paper's Figures 1 and 3).

Belongs here: crops. Not here: their picture and the page (`figures`, `report`), which cells are worth a strip (`anomalies`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import polars as pl
from scipy import ndimage

from plate_assets.plates.images import binned
from plate_assets.plates.timelapses.outlines import Outlines

CROP_UM = 100.0
EVERY_MIN = 20.0
CELLS_ACROSS = 5  # a crop without a pixel size is that many diameters of a typical cell wide: 100 µm over 20 µm
SHOWN_PX = 96  # side of a crop at most: twenty strips of two days are then a hundred megabytes


@dataclass(frozen=True)
class CellStrip:
    """One cell, or one path of mothers and daughters, every so many minutes.

    crops: (n, side, side) float32, NaN beyond the border. outlines: (n, side, side) bool, empty where the cell was not found.
    frames: (n,) frame of each crop. hours: (n,) its time.
    """

    crops: np.ndarray
    outlines: np.ndarray
    frames: np.ndarray
    hours: np.ndarray


@dataclass(frozen=True)
class _Shots:
    """Where each crop of one strip lies: its frame, its upper left pixel, and the runs of its cell there (cells, in a list)."""

    frames: np.ndarray
    top: np.ndarray
    left: np.ndarray
    runs: dict[int, pl.Series]


def crop_side_px(pixel_um: float | None, diameter_px: float, crop_um: float = CROP_UM) -> int:
    """Side of a crop in pixels: `crop_um`, or where the pixel size is unknown five diameters of a typical cell."""
    return max(8, round(crop_um / pixel_um if pixel_um is not None else CELLS_ACROSS * diameter_px))


def strip_frames(found: np.ndarray, hours: np.ndarray, every_min: float = EVERY_MIN) -> np.ndarray:
    """(n,) frames nearest to every so many minutes, from the cell's first frame to its last, each once.

    found: (m,) frames with the cell. hours: (frames,) rising times.
    """
    if not every_min > 0:
        raise ValueError(f"every_min is {every_min}, and a time above 0 is needed")
    first, last = int(found.min()), int(found.max())
    wanted = np.arange(hours[first], hours[last] + 1e-9, every_min / 60)
    after = np.clip(np.searchsorted(hours, wanted), 1, max(1, len(hours) - 1)) if len(hours) > 1 else np.zeros(len(wanted), int)
    before = np.maximum(after - 1, 0)
    nearest = np.where(wanted - hours[before] <= hours[after] - wanted, before, after)
    return np.unique(np.clip(nearest, first, last))


def cell_strips(
    cells: Sequence[pl.DataFrame],
    hours: np.ndarray,
    read: Callable[[int], np.ndarray],
    side_px: int,
    every_min: float = EVERY_MIN,
) -> list[CellStrip]:
    """A strip for each of several cells; each frame is read once at most, and one is in memory at a time.

    cells: for each strip the rows of CELL_MASKS of one cell or path, several in a frame where pieces were joined. read: a
    frame's (h, w) values. side_px: of what a crop shows; a crop larger than `SHOWN_PX` is made of means over blocks of pixels.
    In a frame where the cell was not found the crop lies between the places before and after, and has no outline. Raises
    ValueError for a cell without a row, or without a place.
    """
    factor = -(-side_px // SHOWN_PX)
    side = -(-side_px // factor)
    shots = [_shots(cell, hours, side * factor, every_min) for cell in cells]
    strips = [
        CellStrip(
            np.full((len(one.frames), side, side), np.nan, np.float32),
            np.zeros((len(one.frames), side, side), bool),
            one.frames,
            hours[one.frames],
        )
        for one in shots
    ]
    wanted = sorted((int(frame), strip, at) for strip, one in enumerate(shots) for at, frame in enumerate(one.frames))
    for frame, group in groupby(wanted, key=lambda shot: shot[0]):
        image = read(frame)
        for _, strip, at in group:
            place = (int(shots[strip].top[at]), int(shots[strip].left[at]))
            strips[strip].crops[at] = _crop(image, *place, side, factor)
            if (runs := shots[strip].runs.get(frame)) is not None:
                strips[strip].outlines[at] = _line(runs, image.shape, *place, side, factor)
    return strips


def _shots(cell: pl.DataFrame, hours: np.ndarray, side_px: int, every_min: float) -> _Shots:
    if not cell.height:
        raise ValueError("the cell has no row: look at its track's number")
    placed = cell.drop_nulls(["x_px", "y_px"]).group_by("frame").agg(pl.col("x_px", "y_px").mean(), "runs").sort("frame")
    if not placed.height:
        raise ValueError("the cell has no place in any frame: its outlines have no pixel")
    found = placed["frame"].to_numpy()
    frames = strip_frames(found, hours, every_min)
    x, y = (np.rint(np.interp(hours[frames], hours[found], placed[axis].to_numpy())) for axis in ("x_px", "y_px"))
    shown = placed.filter(pl.col("frame").is_in(frames.tolist()))
    runs = dict(zip(shown["frame"].to_list(), shown["runs"], strict=True))
    return _Shots(frames, (y - side_px // 2).astype(int), (x - side_px // 2).astype(int), runs)


def _crop(frame: np.ndarray, top: int, left: int, side: int, factor: int) -> np.ndarray:
    """(side, side) float32 means over blocks of `factor` pixels; NaN where a block reaches beyond the frame."""
    window = np.full((side * factor, side * factor), np.nan, np.float32)
    first_row, first_col = max(top, 0), max(left, 0)
    last_row, last_col = min(top + len(window), frame.shape[0]), min(left + len(window), frame.shape[1])
    if first_row < last_row and first_col < last_col:
        seen = frame[first_row:last_row, first_col:last_col]
        window[first_row - top : last_row - top, first_col - left : last_col - left] = seen
    return binned(window, factor)


def _line(runs: pl.Series, shape: tuple[int, ...], top: int, left: int, side: int, factor: int) -> np.ndarray:
    """(side, side) bool outline of the cells with these runs, one pixel wide; each cell has a line of its own."""
    pieces = Outlines.from_run_lists(np.arange(len(runs)), runs, (shape[0], shape[1]))
    masks = [pieces.mask(cell, top, left, (side * factor, side * factor)) for cell in range(len(pieces))]
    small = [binned(mask, factor) >= 0.5 for mask in masks]
    return np.any([mask & (ndimage.binary_erosion(mask, border_value=1) == 0) for mask in small], axis=0)
