"""From forecast errors to cells that went wrong: abnormal windows, the share of them, since when, and a guess at why.

Belongs here: WINDOW_ANOMALIES and CELL_ANOMALIES, and what tells a fault of the acquisition from biology. Not here: the errors
(`forecaster`), the thresholds' rules (`forecaster_training`), what people say of a cell (`evaluation`).
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from plate_assets.dry_mass.forecaster import WindowErrors
from plate_assets.dry_mass.tables import CELL_ANOMALIES, CELL_TRACKS, WINDOW_ANOMALIES
from plate_assets.dry_mass.windows import INTERVAL_H, WINDOW_POINTS, PathSeries, Windows

HOUR = 6  # points
BLOCK = 18  # points over which steps are averaged: 3 h, short beside a cell's life, long beside its noise
_KEYS = ["Metadata_Timelapse", "path_id"]


@dataclass(frozen=True)
class CauseRules:
    """When something counts as a fault of the acquisition; each number can be set, and has its reason here.

    jump: the mean mass of an hour over that of the hour before, no division between. `jump_sigmas`: beyond all hours of the
    training but one in millions, were their spread Gaussian; `least_jump`: 25 %, where a cell that doubles in 10 h grows 7 %.
    It is a fault where an opposite one lies within `undone_h` of it (outlines that merged and parted), or where the mass
    halves, `halved`, as in a division that the tracks do not have. Another one stays, and is said, and taken for biology: cells
    fuse and die. The centre jumps where its speed is as far from the training's, and `least_speed_ratio` times the usual.
    step: mean change between points over 3 h, as a multiple of the training's: `tiny_step`, a value that is repeated;
    `huge_step`, outlines that flicker. Cells differ by a factor of two in it.
    edge, saturation: `least_frames` of a track's frames, since a single one can be a passing neighbour.
    margin_h: how far before and behind the abnormal windows a cause is looked for.
    """

    jump_sigmas: float = 6.0
    least_jump: float = 0.25
    undone_h: float = 12.0
    halved: tuple[float, float] = (0.42, 0.58)
    least_speed_ratio: float = 5.0
    tiny_step: float = 0.1
    huge_step: float = 5.0
    least_frames: int = 3
    margin_h: float = 1.0


@dataclass(frozen=True)
class StepStatistics:
    """How the mass and the place of a cell change in training, robustly: medians, and spreads as 1.4826 times the MAD.

    jump: log of an hour's mean mass over the hour before; step: mean |change of log mass| between points over 3 h; speed: log
    of µm/h. None where no speed is known.
    """

    jump_median: float
    jump_spread: float
    step_median: float
    speed_median: float | None = None
    speed_spread: float | None = None

    @classmethod
    def fit(cls, series: PathSeries, chosen: np.ndarray) -> "StepStatistics":
        """Fit on the paths that are chosen, (paths,) bool."""
        points = np.repeat(chosen, np.diff(series.offsets))
        measured = (_jumps(series), _steps(series), _speeds(series))
        jumps, steps, speeds = (values[points & np.isfinite(values)] for values in measured)
        speed = _robust(speeds) if len(speeds) else (None, None)
        return cls(*_robust(jumps), float(np.median(steps)) if len(steps) else 0.0, *speed)


@dataclass(frozen=True)
class _Looked:
    """Points that are looked at for a cause, of paths that are flagged, and what was found: texts for each path.

    path: (points,) path of each point; near: (points,) whether it is looked at. faults speak for the acquisition; remarks do
    not.
    """

    series: PathSeries
    path: np.ndarray
    near: np.ndarray
    faults: list[list[str]]
    remarks: list[list[str]]

    @classmethod
    def between(cls, series: PathSeries, begin: np.ndarray, end: np.ndarray) -> "_Looked":
        """What lies between two times (paths,) of each path; NaN for one that is not looked at."""
        path = np.repeat(np.arange(len(series)), np.diff(series.offsets))
        near = (series.hours >= begin[path]) & (series.hours <= end[path])
        return cls(series, path, near, [[] for _ in range(len(series))], [[] for _ in range(len(series))])

    def largest(self, chosen: np.ndarray, size: np.ndarray) -> list[tuple[int, int, float]]:
        """Path, point and time of the chosen (points,) bool with the largest size (points,), of each path that has one."""
        at = np.flatnonzero(chosen & self.near)
        at = at[np.lexsort((-size[at], self.path[at]))]
        paths, first = np.unique(self.path[at], return_index=True)
        return list(zip(paths.tolist(), at[first].tolist(), self.series.hours[at[first]].tolist(), strict=True))


def cell_scores(path: np.ndarray, abnormal: np.ndarray, n_paths: int) -> np.ndarray:
    """A = abnormal windows / all windows of each path (eq. 7), (n_paths,); NaN for one without a window.

    path: (n,) path of each window; abnormal: (n,) bool.
    """
    every = np.bincount(path, minlength=n_paths)
    found = np.bincount(path, weights=abnormal, minlength=n_paths)
    return np.divide(found, every, out=np.full(n_paths, np.nan), where=every > 0)


def window_anomalies(
    series: PathSeries, windows: Windows, errors: WindowErrors, threshold: float, model_version: str
) -> pl.DataFrame:
    """WINDOW_ANOMALIES of all the windows; `errors` are those of the whole ones. One that touches a gap has none."""
    values = {}
    for name, found in (("mse", errors.mse), ("mse_persistence", errors.persistence), ("mse_linear", errors.linear)):
        column = np.full(len(windows), np.nan)
        column[windows.whole] = found
        values[name] = column
    about = series.about[windows.path].select("Metadata_Timelapse", "lineage_id", "path_id")
    table = about.with_columns(
        window_start_h=pl.Series(series.hours[windows.start]), threshold=pl.lit(threshold), model_version=pl.lit(model_version),
        **{name: pl.Series(column).fill_nan(None) for name, column in values.items()},
    ).with_columns(abnormal=pl.col("mse") > pl.col("threshold"))  # fmt: skip
    return WINDOW_ANOMALIES.conform(table)


def cell_anomalies(
    series: PathSeries,
    windows: pl.DataFrame,
    threshold: float,
    steps: StepStatistics,
    model_version: str,
    *,
    tracks: pl.DataFrame | None = None,
    rules: CauseRules | None = None,
) -> pl.DataFrame:
    """CELL_ANOMALIES: one row for each path of the series, those without a window too.

    windows: WINDOW_ANOMALIES of these paths. threshold: of A. tracks: CELL_TRACKS, which know edges and saturation.
    """
    abnormal = pl.col("abnormal")
    counts = windows.group_by(_KEYS).agg(
        n_windows=abnormal.count(),
        n_abnormal=abnormal.sum(),
        first_abnormal_h=pl.col("window_start_h").filter(abnormal).min(),
        _last_h=pl.col("window_start_h").filter(abnormal).max(),
    )
    cells = series.about.join(counts, on=_KEYS, how="left", maintain_order="left").with_columns(
        pl.col("n_windows", "n_abnormal").fill_null(0)
    )
    cells = cells.with_columns(
        score=pl.when(pl.col("n_windows") > 0).then(pl.col("n_abnormal") / pl.col("n_windows")), threshold=pl.lit(threshold)
    ).with_columns(abnormal=pl.col("score") > pl.col("threshold"))
    flagged = cells["abnormal"].fill_null(False).to_numpy()
    begin = np.where(flagged, cells["first_abnormal_h"].fill_null(np.nan).to_numpy(), np.nan)
    end = np.where(flagged, cells["_last_h"].fill_null(np.nan).to_numpy() + WINDOW_POINTS * INTERVAL_H, np.nan)
    margin = (rules := rules or CauseRules()).margin_h
    looked = _Looked.between(series, begin - margin, end + margin)
    _look(looked, steps, tracks, rules)
    cells = cells.with_columns(
        _faults=pl.Series(["; ".join(texts) for texts in looked.faults], dtype=pl.String),
        _remarks=pl.Series(["; ".join(texts) for texts in looked.remarks], dtype=pl.String),
    )
    cells = cells.with_columns(
        cause=pl.when(~pl.col("abnormal").fill_null(False)).then(pl.lit("none"))
        .when(pl.col("_faults") != "").then(pl.lit("acquisition")).otherwise(pl.lit("biological")),
        evidence=pl.when(~pl.col("long_enough")).then(pl.lit("shorter than 30 h: not scored"))
        .when(pl.col("n_windows") == 0).then(pl.lit("no 30 h without a gap: not scored"))
        .when(pl.col("_faults") != "").then("_faults").otherwise("_remarks"),
        model_version=pl.lit(model_version),
    )  # fmt: skip
    return CELL_ANOMALIES.conform(cells.select(column.name for column in CELL_ANOMALIES.columns))


def carried_windows(series: PathSeries, before: pl.DataFrame, model_version: str) -> tuple[pl.DataFrame, np.ndarray]:
    """Windows of a running film that were scored already, under the names that their paths have now; and how many of each path.

    before: WINDOW_ANOMALIES of the same film when it was shorter. A path is called by its last descendant, so that a division
    renames it: the windows of what was a last cell then belong to every path through that cell now. Returns (WINDOW_ANOMALIES,
    (paths,) counts); what another model scored, or what does not fit the path's beginning, is not carried.
    """
    table = before.filter(pl.col("model_version") == model_version)
    points = np.repeat(np.arange(len(series)), np.diff(series.offsets))
    through = pl.DataFrame({"_path": points, "_track": series.tracks}).unique().sort("_path", "_track")
    names = series.about.rename({"path_id": "_now"}).with_row_index("_path").cast({"_path": pl.Int64})
    through = through.join(names, on="_path")
    joined = table.join(
        through.select("Metadata_Timelapse", "lineage_id", "_track", "_path", "_now"),
        left_on=["Metadata_Timelapse", "lineage_id", "path_id"], right_on=["Metadata_Timelapse", "lineage_id", "_track"],
    ).sort("_path", "window_start_h")  # fmt: skip
    counts = np.bincount(joined["_path"].to_numpy(), minlength=len(series)).astype(np.int64)
    number = np.arange(joined.height) - np.repeat(np.cumsum(counts) - counts, counts)
    path = joined["_path"].to_numpy()
    point = series.offsets[path] + number
    inside = point < series.offsets[path + 1]
    there = np.zeros(joined.height, dtype=bool)
    there[inside] = np.isclose(series.hours[point[inside]], joined["window_start_h"].to_numpy()[inside], rtol=0, atol=1e-6)
    fits = np.bincount(path, weights=~there, minlength=len(series)) == 0
    counts *= fits
    kept = joined.filter(pl.Series(fits[path])).with_columns(path_id="_now")
    return WINDOW_ANOMALIES.conform(kept.select(column.name for column in WINDOW_ANOMALIES.columns)), counts


def _look(looked: _Looked, steps: StepStatistics, tracks: pl.DataFrame | None, rules: CauseRules) -> None:
    """Put down what is found, in the order of how certain it is."""
    if tracks is not None:
        _look_at_frames(looked, CELL_TRACKS.check(tracks), rules)
    series = looked.series
    known = np.flatnonzero(series.known)
    for path, point, _ in looked.largest(~series.known, -series.hours):
        after = int(np.searchsorted(known, point))
        begin = max(int(series.offsets[path]), int(known[after - 1]) + 1 if after else 0)
        end = min(int(series.offsets[path + 1]), int(known[after]) if after < len(known) else len(series.known))
        looked.faults[path].append(f"gap: {(end - begin) * INTERVAL_H:.1f} h from {series.hours[begin]:.1f} h on")
    _look_for_jumps(looked, steps, rules)
    if steps.speed_median is not None and steps.speed_spread is not None:
        speeds = _speeds(series)
        limit = steps.speed_median + max(rules.jump_sigmas * steps.speed_spread, np.log(rules.least_speed_ratio))
        for path, point, hour in looked.largest(speeds > limit, speeds):
            looked.faults[path].append(f"jump: centre at {np.exp(speeds[point]):.0f} µm/h at {hour:.1f} h")
    ratio = _steps(series) / (steps.step_median or np.nan)
    for wrong, size in ((ratio < rules.tiny_step, -ratio), (ratio > rules.huge_step, ratio)):
        for path, point, hour in looked.largest(wrong, size):
            looked.faults[path].append(f"step: {ratio[point]:.2g} times the usual one at {hour:.1f} h")


def _look_for_jumps(looked: _Looked, steps: StepStatistics, rules: CauseRules) -> None:
    jumps = _jumps(looked.series)
    size = np.abs(jumps - steps.jump_median)
    far = size > max(rules.jump_sigmas * steps.jump_spread, np.log1p(rules.least_jump))
    up, down = np.flatnonzero(far & (jumps > 0)), np.flatnonzero(far & (jumps < 0))
    undone = np.zeros(len(jumps), dtype=bool)
    if len(up) and len(down):
        for some, others in ((up, down), (down, up)):
            place = np.searchsorted(others, some)
            for neighbour in (others[np.maximum(place - 1, 0)], others[np.minimum(place, len(others) - 1)]):
                close = np.abs(neighbour - some) * INTERVAL_H <= rules.undone_h
                undone[some] |= close & (looked.path[neighbour] == looked.path[some])
    low, high = np.log(rules.halved)
    for path, point, hour in looked.largest(far, size + 1e3 * undone):  # one that was undone says most
        text = f"mass × {np.exp(jumps[point]):.2f} within an hour at {hour:.1f} h"
        if undone[point]:
            looked.faults[path].append(f"jump: {text}, and back")
        elif low <= jumps[point] <= high:
            looked.faults[path].append(f"jump: {text}, a division that the tracks do not have")
        else:
            looked.remarks[path].append(f"jump that stays: {text}")


def _look_at_frames(looked: _Looked, tracks: pl.DataFrame, rules: CauseRules) -> None:
    """Frames at the edge of the field, and saturated ones, of the cells that the path follows at that time."""
    series, near = looked.series, looked.near
    spans = pl.DataFrame({"_path": looked.path[near], "track_id": series.tracks[near], "_h": series.hours[near]})
    spans = spans.group_by("_path", "track_id").agg(_from=pl.col("_h").min(), _to=pl.col("_h").max())
    names = series.about.select("Metadata_Timelapse").with_row_index("_path").cast({"_path": pl.Int64})
    seen = tracks.join(spans.join(names, on="_path"), on=["Metadata_Timelapse", "track_id"])
    seen = seen.filter(pl.col("time_h").is_between(pl.col("_from"), pl.col("_to")))
    for name, column in (("edge", "at_edge"), ("saturation", "saturated")):
        hit = seen.filter(column).group_by("_path").agg(n=pl.len(), h=pl.col("time_h").min())
        for path, n, hour in hit.filter(pl.col("n") >= rules.least_frames).sort("_path").iter_rows():
            looked.faults[path].append(f"{name}: {n} frames from {hour:.1f} h on")


def _jumps(series: PathSeries) -> np.ndarray:
    """(points,) log of the mean mass of the hour from each point on, over that of the hour before; NaN beside a division, at a
    path's ends, and where less than half an hour of either is known."""
    n, before, behind = len(series.hours), np.arange(len(series.hours)) - HOUR, np.arange(len(series.hours)) + HOUR
    begin, end = (np.repeat(side, np.diff(series.offsets)) for side in (series.offsets[:-1], series.offsets[1:]))
    inside = (before >= begin) & (behind <= end)
    left, here, right = np.clip(before, 0, n), np.arange(n), np.clip(behind, 0, n)
    mass = _cumulated(np.where(series.known, series.values[:, 0], 0.0))
    known = _cumulated(series.known)
    divides = _cumulated(series.divides)
    n_before, n_behind = known[here] - known[left], known[right] - known[here]
    inside &= (n_before >= HOUR // 2) & (n_behind >= HOUR // 2) & (divides[np.maximum(right - 1, 0)] == divides[left])
    found = np.full(n, np.nan)
    i = np.flatnonzero(inside)
    ahead, back = (mass[right[i]] - mass[i]) / n_behind[i], (mass[i] - mass[left[i]]) / n_before[i]
    found[i] = np.log(ahead / back)
    return found


def _steps(series: PathSeries) -> np.ndarray:
    """(points,) mean |change of log mass| between neighbouring points, over the 3 h from each point on; NaN where fewer than
    half of the changes are known."""
    n = len(series.hours)
    log = np.log(np.where(series.known, series.values[:, 0], 1.0))
    change = np.abs(np.diff(log, append=0.0))
    valid = series.known & np.append(series.known[1:], False) & ~series.divides
    valid[series.offsets[1:] - 1] = False
    end = np.repeat(series.offsets[1:], np.diff(series.offsets))
    right = np.minimum(np.arange(n) + BLOCK, end)
    total, count = _cumulated(np.where(valid, change, 0.0)), _cumulated(valid)
    some = count[right] - count[:-1]
    return np.divide(total[right] - total[:-1], some, out=np.full(n, np.nan), where=some >= BLOCK // 2)


def _speeds(series: PathSeries) -> np.ndarray:
    """(points,) log of the speed of the centre, µm/h; NaN where it is not known, and beside a division."""
    divided = np.zeros(len(series.hours), dtype=bool)
    divided[1:] = series.divides[:-1]
    usable = np.isfinite(series.speed) & (series.speed > 0) & ~series.divides & ~divided
    return np.log(series.speed, out=np.full(len(series.speed), np.nan), where=usable)


def _cumulated(values: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(values)])


def _robust(values: np.ndarray) -> tuple[float, float]:
    """Median, and 1.4826 times the median absolute deviation: the standard deviation, were the values Gaussian."""
    if not len(values):
        return 0.0, 0.0
    median = float(np.median(values))
    return median, float(1.4826 * np.median(np.abs(values - median)))
