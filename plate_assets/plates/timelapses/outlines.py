"""Outlines: the pixels of each cell of a frame, held as runs along rows.

Belongs here: runs, and sums over them. Not here: files (`outline_files`), finding cells and what a sum weighs (`dry_mass`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl


class OutlineError(ValueError):
    """Outlines that cannot be read or do not belong to the frames; the message names the file or frame and the remedy."""


@dataclass(frozen=True)
class Outlines:
    """The cells of one frame. Cells may overlap: a pixel of two cells counts in both.

    shape: (h, w) of the frame. names: (cells,) int64, a cell's label or number. cell, row, start, stop: (runs,) int32, in the
    order of rows: pixels `start` to `stop` - 1 of row `row` belong to the cell `names[cell]`.
    """

    shape: tuple[int, int]
    names: np.ndarray
    cell: np.ndarray
    row: np.ndarray
    start: np.ndarray
    stop: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def from_runs(cls, shape: tuple[int, int], names: np.ndarray, runs: Sequence[np.ndarray]) -> "Outlines":
        """runs: cell, row, start and stop, (runs,) each, in any order; what lies outside of the frame is cut off."""
        cell, row, start, stop = (np.asarray(part, np.int64) for part in runs)
        start, stop = np.clip(start, 0, shape[1]), np.clip(stop, 0, shape[1])
        kept = np.flatnonzero((row >= 0) & (row < shape[0]) & (start < stop))
        kept = kept[np.lexsort((start[kept], row[kept]))]
        parts = (part[kept].astype(np.int32) for part in (cell, row, start, stop))
        return cls(shape, np.asarray(names, np.int64), *parts)

    @classmethod
    def from_labels(cls, labels: np.ndarray) -> "Outlines":
        """labels: (h, w) whole numbers, 0 where there is no cell."""
        height, width = labels.shape
        begins = np.ones((height, width), bool)
        begins[:, 1:] = labels[:, 1:] != labels[:, :-1]
        at = np.flatnonzero(begins)
        ends = np.append(at[1:], labels.size)
        label = labels.ravel()[at]
        inside = label > 0
        at, ends, label = at[inside], ends[inside], label[inside]
        names, cell = np.unique(label, return_inverse=True)
        return cls.from_runs((height, width), names, (cell, at // width, at % width, ends - at + at % width))

    @classmethod
    def from_polygons(cls, polygons: Sequence[np.ndarray], names: np.ndarray, shape: tuple[int, int]) -> "Outlines":
        """polygons: (n, 2) corners x, y for each cell, in ImageJ's coordinates: pixel (0, 0) spans 0 to 1 both ways.

        A pixel belongs to the polygon where its centre does; a centre on the outline does on the right and lower side, as in
        ImageJ's `PolygonFiller`. The even-odd rule holds where an outline crosses itself.
        """
        sizes = np.array([len(polygon) for polygon in polygons], np.int64)
        if not sizes.sum():
            return cls.from_runs(shape, names, (np.zeros(0),) * 4)
        corners = np.concatenate([np.asarray(polygon, float).reshape(-1, 2) for polygon in polygons])
        cell = np.repeat(np.arange(sizes.size), sizes)
        following = np.arange(1, sizes.sum() + 1)
        following[np.cumsum(sizes)[sizes > 0] - 1] = (np.cumsum(sizes) - sizes)[sizes > 0]
        return cls.from_runs(shape, names, _crossings(corners, corners[following], cell))

    @classmethod
    def discs(cls, centres: np.ndarray, radii: np.ndarray, names: np.ndarray, shape: tuple[int, int]) -> "Outlines":
        """centres: (cells, 2) x, y in pixels, the middle of the first pixel at 0; radii: (cells,) pixels, NaN for none."""
        radii = np.nan_to_num(np.asarray(radii, float), nan=-1.0)
        x, y = np.nan_to_num(np.asarray(centres, float)).T
        first = np.ceil(y - radii).astype(np.int64)
        cell, row = _spread(first, np.floor(y + radii).astype(np.int64) + 1)
        half = np.sqrt(np.maximum(radii[cell] ** 2 - (row - y[cell]) ** 2, 0))
        return cls.from_runs(shape, names, (cell, row, np.ceil(x[cell] - half), np.floor(x[cell] + half) + 1))

    def areas(self) -> np.ndarray:
        """(cells,) pixels of each cell."""
        return self._total(self.stop - self.start).astype(np.int64)

    def sums(self, image: np.ndarray) -> np.ndarray:
        """(cells,) sums of an (h, w) image over each cell, in double precision."""
        if image.shape != self.shape:
            raise OutlineError(
                f"outlines of a frame of {self.shape} were laid on one of {image.shape}: they belong to other frames"
            )
        if not len(self.cell):
            return np.zeros(len(self))
        first = self.row.astype(np.int64) * self.shape[1] + self.start
        bounds = np.stack([first, first + (self.stop - self.start)], axis=1).ravel()
        flat = image.ravel()
        last = bounds[-1] == flat.size  # `reduceat` takes no bound behind the end, and needs none for the last run
        totals = np.add.reduceat(flat, bounds[:-1] if last else bounds, dtype=np.float64)
        return self._total(totals[::2])

    def centres(self) -> np.ndarray:
        """(cells, 2) x, y of the centres in pixels, the middle of the first pixel at 0; NaN for a cell without pixels."""
        size = self.stop - self.start
        with np.errstate(invalid="ignore"):
            x = self._total(size * (self.start + self.stop - 1) / 2) / self.areas()
            return np.stack([x, self._total(size * self.row) / self.areas()], axis=1)

    def at_border(self) -> np.ndarray:
        """(cells,) whether the cell touches the border of the field."""
        height, width = self.shape
        touches = (self.row == 0) | (self.row == height - 1) | (self.start == 0) | (self.stop == width)
        return self._total(touches) > 0

    def labels(self) -> np.ndarray:
        """(h, w) int32: index of the cell + 1, 0 where there is none; of cells that overlap the later one is seen."""
        image = np.zeros(self.shape, np.int32)
        run, column = _spread(self.start, self.stop)
        order = np.argsort(self.cell[run], kind="stable")
        image[self.row[run[order]], column[order]] = self.cell[run[order]] + 1
        return image

    def mask(self, cell: int, top: int, left: int, shape: tuple[int, int]) -> np.ndarray:
        """(h, w) bool window with its upper left pixel at row `top`, column `left`: where the cell with this index is."""
        window = np.zeros(shape, bool)
        mine = self.cell == cell
        run, column = _spread(self.start[mine], self.stop[mine])
        row, column = self.row[mine][run] - top, column - left
        seen = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
        window[row[seen], column[seen]] = True
        return window

    def run_lists(self) -> pl.Series:
        """(cells,) lists of int32: three numbers for each run of the cell, its row, `start` and `stop`."""
        order = np.argsort(self.cell, kind="stable")
        numbers = np.stack([self.row, self.start, self.stop], axis=1)[order].ravel()
        runs = pl.DataFrame({"cell": np.repeat(self.cell[order], 3), "runs": numbers}).group_by("cell", maintain_order=True)
        cells = pl.DataFrame({"cell": np.arange(len(self), dtype=np.int32)})
        lists = cells.join(runs.agg("runs"), on="cell", how="left", maintain_order="left")["runs"]
        return lists.cast(pl.List(pl.Int32)).fill_null(pl.Series([[]], dtype=pl.List(pl.Int32)))

    @classmethod
    def from_run_lists(cls, names: np.ndarray, lists: pl.Series, shape: tuple[int, int]) -> "Outlines":
        """The inverse of `run_lists`."""
        count = lists.list.len().to_numpy()
        if (count % 3).any():
            cell = names[np.flatnonzero(count % 3)[0]]
            raise OutlineError(f"the outline of the cell {cell} has no three numbers for each run: make the masks again")
        numbers = lists.explode(empty_as_null=False).to_numpy().reshape(-1, 3)
        return cls.from_runs(shape, names, (np.repeat(np.arange(len(names)), count // 3), *numbers.T))

    def _total(self, of_runs: np.ndarray) -> np.ndarray:
        return np.bincount(self.cell, weights=of_runs, minlength=len(self))


def _spread(first: np.ndarray, behind: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every whole number from `first` to `behind` - 1 of each item: (item it comes from, number)."""
    count = np.maximum(np.asarray(behind, np.int64) - first, 0)
    item = np.repeat(np.arange(count.size), count)
    return item, np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.asarray(first, np.int64)[item]


def _crossings(begins: np.ndarray, ends: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, ...]:
    """Runs between the places where the edges of polygons cross the middles of rows, in pairs: cell, row, start, stop."""
    down = begins[:, 1] <= ends[:, 1]
    (x1, y1), (x2, y2) = np.where(down[:, None], begins, ends).T, np.where(down[:, None], ends, begins).T
    edge, row = _spread(np.floor(y1 + 0.5).astype(np.int64), np.floor(y2 + 0.5).astype(np.int64))
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (x2 - x1) / (y2 - y1)
    # The hair to the right is ImageJ's: a centre exactly on a left edge lies outside, whatever the rounding of the slope.
    at = np.floor(x1[edge] + (row + 0.5 - y1[edge]) * slope[edge] + 0.5 + 1e-8).astype(np.int64)
    order = np.lexsort((at, row, cell[edge]))
    return cell[edge][order][::2], row[order][::2], at[order][::2], at[order][1::2]
