"""Windows of dry-mass series: 20 h that are seen, 10 h that are forecast, at every point of every path.

Belongs here: series as flat arrays, where windows start, smoothing of the target, splits, normalisation. Not here: how a series
is made (`series`), the network (`forecaster`), what an error means (`anomalies`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl

from plate_assets.dry_mass.model import INPUT_POINTS, SHARES, TARGET_POINTS, Feature, Smoothing
from plate_assets.dry_mass.tables import DRY_MASS_SERIES
from plate_assets.learning.split import grouped_split

INTERVAL_H = 1 / 6
WINDOW_POINTS = INPUT_POINTS + TARGET_POINTS
SPLITS = ("train", "validation", "test")

FEATURES: dict[str, pl.Expr] = {
    "dry_mass": pl.col("dry_mass"),
    "area": pl.col("area_um2"),
    "thickness": pl.col("dry_mass") / pl.col("area_um2"),  # mean OPD over α: proportional to the mean thickness
    "speed": pl.col("speed_um_h"),
}


class WindowError(ValueError):
    """A series that no window can be cut from; the message names the time-lapse, the path, the point and the remedy."""


@dataclass(frozen=True)
class PathSeries:
    """The series of many paths as flat arrays, one path after the other, so that no loop runs over paths or windows.

    about: one row for each path: `Metadata_Timelapse`, `Metadata_Well`, `lineage_id`, `path_id`, `unit`, `long_enough`.
    offsets: (paths + 1,) where each path begins. values: (points, features) float64, in the table's units. known: (points,)
    whether every feature was measured there. hours, tracks: (points,); speed: (points,) µm/h, NaN where not known; divides:
    (points,) the last point before a division.
    """

    about: pl.DataFrame
    features: tuple[Feature, ...]
    offsets: np.ndarray
    values: np.ndarray
    known: np.ndarray
    hours: np.ndarray
    tracks: np.ndarray
    speed: np.ndarray
    divides: np.ndarray

    @classmethod
    def of(cls, tables: pl.DataFrame | Sequence[pl.DataFrame], features: Sequence[Feature] = ("dry_mass",)) -> "PathSeries":
        """The paths of DRY_MASS_SERIES tables, of one or of several time-lapses.

        A point is known where it lies in no gap and each feature is finite, the mass also above zero; a single missing point of
        another feature takes its neighbour's value (the first point of a track has no speed).
        Raises WindowError where points are missing or not 10 min apart, units differ, or a feature is nowhere measured.
        """
        tables = [tables] if isinstance(tables, pl.DataFrame) else list(tables)
        table = pl.concat([DRY_MASS_SERIES.check(one) for one in tables]) if tables else DRY_MASS_SERIES.empty()
        table = table.sort("Metadata_Timelapse", "path_id", "point")
        if len(units := table["unit"].unique().sort().to_list()) > 1:
            raise WindowError(f"the series are in the units {units}: take those of one unit, or calibrate the others")
        keys = ["Metadata_Timelapse", "path_id"]
        about = table.group_by(keys, maintain_order=True).agg(
            pl.col("Metadata_Well", "lineage_id", "unit").first(), pl.col("long_enough").all(), pl.len().alias("n_points")
        )
        offsets = np.concatenate([[0], np.cumsum(about["n_points"].to_numpy())]).astype(np.int64)
        _check_grid(table, offsets)
        values = np.stack([_measured(table, name, keys) for name in features], axis=1)
        known = np.isfinite(values).all(axis=1) & ~table["gap"].to_numpy() & (values[:, 0] > 0)
        return cls(
            about, tuple(features), offsets, values, known, table["time_h"].to_numpy(), table["track_id"].to_numpy(),
            table["speed_um_h"].fill_null(np.nan).to_numpy(), table["divides"].to_numpy(),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def unit(self) -> str:
        """`pg` or `relative`; empty without paths."""
        return self.about["unit"][0] if len(self) else ""


@dataclass(frozen=True)
class Windows:
    """Windows of a PathSeries, in its order: `start` (n,) their first points in the flat arrays, `path` (n,) their paths.

    whole: (n,) whether all 180 points are known. A window that touches a gap is kept here, so that it is said, and not scored.
    """

    start: np.ndarray
    path: np.ndarray
    whole: np.ndarray

    def __len__(self) -> int:
        return len(self.start)

    def of_paths(self, chosen: np.ndarray) -> np.ndarray:
        """Starts of the whole windows of the paths that are chosen, (paths,) bool."""
        return self.start[self.whole & chosen[self.path]]


def windows_of(series: PathSeries) -> Windows:
    """All windows, stride 1: a path of n points has n - 179, one that is not long enough none."""
    points = np.diff(series.offsets)
    counts = np.maximum(points - WINDOW_POINTS + 1, 0) * series.about["long_enough"].to_numpy()
    path = np.repeat(np.arange(len(series)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    start = series.offsets[path] + within
    unknown = np.concatenate([[0], np.cumsum(~series.known)])
    return Windows(start, path, unknown[start + WINDOW_POINTS] == unknown[start])


def distinct(series: PathSeries, start: np.ndarray, path: np.ndarray) -> np.ndarray:
    """(n,) whether each window is the first of its kind: sister paths share those that end before their mother divides."""
    last = start + WINDOW_POINTS - 1
    same = pl.DataFrame(
        {"track": series.tracks[last], "point": last - series.offsets[path], "lineage": _lineages(series)[path]}
    )
    return same.select(pl.struct(pl.all()).is_first_distinct()).to_series().to_numpy()


def runs_of(start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs of windows that each begin one point after the other, of ascending starts (n,): where each begins in `start`, and
    how many windows it has."""
    if not len(start):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    begin = np.flatnonzero(np.concatenate([[True], np.diff(start) != 1]))
    return begin, np.diff(np.append(begin, len(start)))


@cache
def smoothing_matrix(points: int, smoothing: Smoothing = "centred_7") -> np.ndarray:
    """(points, points) matrix of the 1-h sliding mean: row t holds the weights of the smoothed point t.

    centred_7: the mean of t - 3 … t + 3; trailing_6: of t - 5 … t. At the edges the mean shrinks to the points that there are.
    It is applied to a window's target alone: smoothed before it is cut, the input would end with a mean over its future, and
    the target would begin with what was seen.
    """
    behind, ahead = {"centred_7": (3, 3), "trailing_6": (5, 0)}[smoothing]
    lag = np.subtract.outer(np.arange(points), np.arange(points))
    taken = ((lag <= behind) & (lag >= -ahead)).astype(float)
    matrix = taken / taken.sum(axis=1, keepdims=True)
    matrix.setflags(write=False)
    return matrix


def split_paths(
    series: PathSeries, windows: Windows, shares: tuple[float, float, float] = SHARES, *, parity: bool = False, seed: int = 0
) -> np.ndarray:
    """(paths,) `train`, `validation` or `test`: whole lineages, dealt by their number of windows; empty text without windows.

    parity: by path, as the paper does. Sister paths share their mother's points, so that such a split tests on what was seen.
    Raises WindowError with fewer than three lineages (paths) that have windows.
    """
    groups = np.arange(len(series)) if parity else _lineages(series)
    path = windows.path[windows.whole]
    found = np.full(len(series), "", dtype=object)
    if (n := np.unique(groups[path]).size) < len(SPLITS):
        kind = "paths" if parity else "lineages"
        raise WindowError(
            f"{n} {kind} have windows of 30 h without a gap, and {len(SPLITS)} or more are needed to train, validate and test: "
            "add time-lapses, or longer ones"
        )
    dealt = grouped_split(groups[path], np.zeros(len(path), dtype=bool), shares, seed)
    found[path] = np.where(dealt == "calibration", "validation", dealt)
    return found


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each feature, in its own unit, over the known points of training.

    own: each set that is looked at is standardised by itself instead (the paper's way): the mean of a set then never changes a
    score, and a single cell cannot be scored.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    own: bool = False

    @classmethod
    def fit(cls, series: PathSeries, chosen: np.ndarray, own: bool = False) -> "Normalisation":
        """Fit on the known points of the paths that are chosen, (paths,) bool."""
        points = series.known & np.repeat(chosen, np.diff(series.offsets))
        if not points.any():
            raise WindowError("no point of the chosen paths is known: there is nothing to normalise by")
        values = series.values[points]
        std = values.std(axis=0)
        if constant := [name for name, value in zip(series.features, std, strict=True) if not value > 0]:
            raise WindowError(f"{', '.join(constant)} never changes: leave it out of the features")
        return cls(tuple(values.mean(axis=0).tolist()), tuple(std.tolist()), own)

    def apply(self, series: PathSeries) -> np.ndarray:
        """(points, features) float32, standardised; 0 where a point is not known."""
        fitted = Normalisation.fit(series, np.ones(len(series), dtype=bool)) if self.own and series.known.any() else self
        values = (series.values - np.array(fitted.mean)) / np.array(fitted.std)
        return np.where(series.known[:, None], values, 0.0).astype(np.float32)


def _lineages(series: PathSeries) -> np.ndarray:
    """(paths,) a number for each lineage; founders of two time-lapses may share a name."""
    return series.about.select(pl.struct("Metadata_Timelapse", "lineage_id").rank("dense")).to_series().to_numpy()


def _measured(table: pl.DataFrame, name: Feature, keys: list[str]) -> np.ndarray:
    if name not in FEATURES:
        raise WindowError(f"{name!r} is no feature of a series: choose from {', '.join(FEATURES)}")
    column = FEATURES[name].cast(pl.Float64)
    if name != "dry_mass":
        column = pl.when(column.is_finite()).then(column).backward_fill(1).forward_fill(1).over(keys)
    values = table.select(column.alias(name)).to_series().fill_null(np.nan).to_numpy()
    if table.height and not np.isfinite(values).any():
        raise WindowError(f"the series have no {name}: leave it out of the features, or measure it")
    return values


def _check_grid(table: pl.DataFrame, offsets: np.ndarray) -> None:
    """Points numbered from 0 and 10 min apart, or WindowError with the first that is not."""
    if not table.height:
        return
    inner = np.ones(table.height, dtype=bool)
    inner[offsets[:-1]] = False
    point, hours = table["point"].to_numpy(), table["time_h"].to_numpy()
    expected = np.arange(table.height) - np.repeat(offsets[:-1], np.diff(offsets))
    wrong = (point != expected) | (inner & ~np.isclose(np.diff(hours, prepend=hours[0]), INTERVAL_H, rtol=0.02, atol=0))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        row = table.row(at, named=True)
        raise WindowError(
            f"time-lapse {row['Metadata_Timelapse']!r}, path {row['path_id']}, point {row['point']} at {row['time_h']:.3f} h: "
            "points are needed from 0 on, one every 10 min, with the gaps marked; make the series again from its tracks"
        )
