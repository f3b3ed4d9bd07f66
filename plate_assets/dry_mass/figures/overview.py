"""A whole time-lapse as one small picture: cells from above to below, time from left to right, how wrong each forecast was.

Belongs here: which cell has which row, and the class of each place. Not here: the drawing (`timelapses`, the page).
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from plate_assets.dry_mass.figures.plotted_values import INPUT_H
from plate_assets.dry_mass.windows import INTERVAL_H

ROWS, BANDS, COLUMNS = 100, 40, 192
COLUMN_H = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 12.0, 24.0)
# Classes of a place: what it means, and its colour. From the fifth on the error is above the threshold.
BOUNDS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the error over the threshold
CLASSES = (
    ("no cell", "#ffffff"),
    ("measured, no forecast begins here", "#bcc2cb"),
    ("gap", "#9aa1ab"),
    ("error below τ/4", "#b8d4ea"),
    ("τ/4 to τ/2", "#7fb2d9"),
    ("τ/2 to τ", "#3f83bd"),
    ("abnormal: τ to 2τ", "#fdb863"),
    ("2τ to 4τ", "#e66101"),
    ("above 4τ", "#8c2d04"),
)
NONE, MEASURED, GAP, FIRST_ERROR = 0, 1, 2, 3


@dataclass(frozen=True)
class TimelapseOverview:
    """classes: (rows, columns) uint8, places in CLASSES. One row for each of `paths`, the most abnormal first; below them one
    for each of `bands`: the ranks (first, last) of the paths that share it, which shows their median.

    start_h, column_h: time of the left border, and hours of a column. A window stands where its forecast begins.
    """

    classes: np.ndarray
    paths: tuple[int, ...]
    bands: tuple[tuple[int, int], ...]
    start_h: float
    column_h: float

    @property
    def end_h(self) -> float:
        return self.start_h + self.classes.shape[1] * self.column_h

    @property
    def n_banded(self) -> int:
        """Paths without a row of their own."""
        return sum(last - first + 1 for first, last in self.bands)


def timelapse_overview(
    series: pl.DataFrame, windows: pl.DataFrame, ranked: pl.DataFrame, rows: int = ROWS
) -> TimelapseOverview:
    """The overview of one time-lapse, bounded however many cells it has: `rows` rows, 40 bands, 192 columns at most.

    series: DRY_MASS_SERIES; windows: WINDOW_ANOMALIES; ranked: `ranked_cells`. Within a column the worst window counts.
    """
    ranks = ranked.select("path_id").with_row_index("rank")
    single = min(rows, ranks.height)
    size = max(1, -(-(ranks.height - single) // BANDS))
    starts = np.arange(single, ranks.height, size).tolist()
    bands = tuple((first + 1, min(first + size, ranks.height)) for first in starts)
    row = pl.when(pl.col("rank") < single).then("rank").otherwise(single + (pl.col("rank") - pl.lit(single, pl.Int64)) // size)
    ranks = ranks.with_columns(pl.col("rank").cast(pl.Int64)).with_columns(row=row)
    points = series.join(ranks, on="path_id")
    start, end = (float(points["time_h"].min() or 0.0), float(points["time_h"].max() or 0.0))  # pyright: ignore
    span = end - start + INTERVAL_H
    column_h = next((h for h in COLUMN_H if span / h <= COLUMNS), span / COLUMNS)
    classes = np.zeros((single + len(bands), max(1, int(np.ceil(span / column_h - 1e-9)))), dtype=np.uint8)
    known = (~pl.col("gap") & pl.col("dry_mass").is_not_null()).any()
    column = ((pl.col("_at") - start) / column_h + 1e-6).floor().cast(pl.Int64).alias("column")
    seen = points.rename({"time_h": "_at"}).group_by("row", column).agg(known=known)
    _fill(classes, seen, np.where(seen["known"].to_numpy(), MEASURED, GAP))
    errors = windows.drop_nulls("mse").join(ranks, on="path_id").with_columns(_at=pl.col("window_start_h") + INPUT_H)
    errors = errors.group_by("row", "rank", column).agg(share=(pl.col("mse") / pl.col("threshold")).max())
    errors = errors.group_by("row", "column").agg(pl.col("share").median())
    _fill(classes, errors, FIRST_ERROR + np.searchsorted(BOUNDS, errors["share"].to_numpy()))
    return TimelapseOverview(classes, tuple(ranks["path_id"].head(single).to_list()), bands, start, column_h)


def _fill(classes: np.ndarray, places: pl.DataFrame, values: np.ndarray) -> None:
    inside = (places["column"].to_numpy() >= 0) & (places["column"].to_numpy() < classes.shape[1])
    classes[places["row"].to_numpy()[inside], places["column"].to_numpy()[inside]] = values[inside]
