"""Signs that a cell went wrong, beside its forecast errors: each has a time and a reason that a person can check.

Belongs here: what is usual in training, the rules, what is found on each path. Not here: the forecast (`forecaster`), which
paths are flagged (`anomalies`).

A forecast of the mass spends most of its error on divisions that come an hour sooner or later than it thought. The tracks know
when a cell divided. So the signs compare masses with the division accounted for (doubled for each division between), and see a
growth that stops, a division into unequal parts, or outlines that merged, below what a forecast can tell from chance.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import polars as pl

from plate_assets.dry_mass.tables import CELL_TRACKS
from plate_assets.dry_mass.windows import INTERVAL_H, PathSeries

HOUR = 6  # points
BLOCK = 18  # points over which steps are averaged: 3 h, short beside a cell's life, long beside its noise
GROWTH_H = (6, 16, 24)  # hours over which growth is looked at: from a sudden change to a slow one
LEAST_CYCLES = 20  # with fewer whole cycles in training nobody knows how long one takes


@dataclass(frozen=True)
class SignRules:
    """When something counts as a sign: limits on changes of mass, speed, daughters, frames and gaps.

    A jump of the mass that is not undone, and is no half, is taken for biology: cells fuse and die. Growth over 6, 16 and 24 h
    and a daughter's mass have `sigmas` and `least_change` alone; a time without a division `sigmas`, and half a usual cycle.
    """

    flag: Literal["score_or_sign", "score"] = "score_or_sign"  # what flags a path: its score alone is as in the paper
    sigmas: float = 5.0  # beyond the usual, robust standard deviations of training: of sound paths one in a hundred
    least_change: float = 0.25  # and by this share: a cell that doubles in 20 h grows by 4 % in an hour
    least_undone: float = 0.4  # change within an hour that, undone by an opposite one, is a fault: outlines merged and parted
    undone_h: float = 12.0  # time within which it is undone
    halved: tuple[float, float] = (0.42, 0.58)  # an hour's mass over the one before: a division that the tracks do not have
    speed_sigmas: float = 6.0  # spreads of training above the usual speed: the centre jumped
    least_speed_ratio: float = 5.0  # and so many times as fast
    tiny_step: float = 0.1  # of the usual change between points, mean over 3 h: a value that is repeated
    huge_step: float = 5.0  # outlines that flicker; cells differ by a factor of two
    daughters: int = 3  # of one mother, too many
    least_frames: int = 3  # of a track, at the edge or saturated: a single one can be a passing neighbour
    least_gap_h: float = 1.0  # a gap that is a fault
    margin_h: float = 1.0  # a shorter gap is remarked where abnormal windows are this near


@dataclass(frozen=True)
class StepStatistics:
    """How the mass and the place of a cell change in training, robustly: medians, and spreads as 1.4826 times the MAD.

    jump: log of an hour's mass (its geometric mean) over the hour before; step: mean |change of log mass| between points over
    3 h; speed: log of µm/h; growth: (hours, median, spread) of the log of the growth over so many hours, divisions undone;
    division: log of twice a daughter's mass over the mother's; cycle: hours from a cell's birth to its division. None, or
    absent, where the training does not know: then nothing is looked for.
    """

    jump_median: float
    jump_spread: float
    step_median: float
    speed_median: float | None = None
    speed_spread: float | None = None
    growth: tuple[tuple[float, float, float], ...] = ()
    division_median: float | None = None
    division_spread: float | None = None
    cycle_median: float | None = None
    cycle_spread: float | None = None

    @classmethod
    def fit(cls, series: PathSeries, chosen: np.ndarray) -> "StepStatistics":
        """Fit on the paths that are chosen, (paths,) bool."""
        points = np.repeat(chosen, np.diff(series.offsets))

        def known(values: np.ndarray) -> np.ndarray:
            return values[points & np.isfinite(values)]

        steps, speeds, divisions = known(_steps(series)), known(_speeds(series)), known(_division(series))
        growths = [(float(hours), known(_growth(series, hours))) for hours in GROWTH_H]
        cycles = known(_cycles(series))
        nothing = (None, None)
        return cls(
            *_robust(known(_jumps(series))),
            float(np.median(steps)) if len(steps) else 0.0,
            *(_robust(speeds) if len(speeds) else nothing),
            tuple((hours, *_robust(values)) for hours, values in growths if len(values)),
            *(_robust(divisions) if len(divisions) else nothing),
            *(_robust(cycles) if len(cycles) >= LEAST_CYCLES else nothing),
        )


@dataclass(frozen=True)
class Signs:
    """What was found on each path: hours and texts of faults of the acquisition, of signs of biology, and of mere remarks.

    A remark explains a path that is flagged for another reason, and flags none. margin: (paths,) of the measure that lies
    farthest beyond its limit, or nearest to it: its distance from the usual over the distance that makes it a sign, so that
    signs have 1 and more; 0 where nothing was measured. measured: that measure and its limit in words.
    """

    faults: list[list[tuple[float, str]]]
    biology: list[list[tuple[float, str]]]
    remarks: list[list[tuple[float, str]]]
    margin: np.ndarray
    measured: list[str]

    @classmethod
    def none(cls, paths: int) -> "Signs":
        """Nothing found on so many paths."""
        faults, biology, remarks = ([[] for _ in range(paths)] for _ in range(3))
        return cls(faults, biology, remarks, np.zeros(paths), [""] * paths)

    def first(self) -> np.ndarray:
        """(paths,) hour of the first fault or sign of biology, NaN where there is none."""
        both = zip(self.faults, self.biology, strict=True)
        return np.array([min((hour for hour, _ in [*a, *b]), default=np.nan) for a, b in both], dtype=float)


@dataclass(frozen=True)
class _Looked:
    """Paths that are looked at, and what was found on them."""

    series: PathSeries
    path: np.ndarray  # (points,) path of each point
    wanted: np.ndarray  # (points,) whether its path is looked at
    found: Signs

    @classmethod
    def at(cls, series: PathSeries, scored: np.ndarray) -> "_Looked":
        path = np.repeat(np.arange(len(series)), np.diff(series.offsets))
        return cls(series, path, scored[path], Signs.none(len(series)))

    def largest(self, chosen: np.ndarray, size: np.ndarray) -> list[tuple[int, int, float]]:
        """Path, point and time of the chosen (points,) bool with the largest size (points,), of each path that has one."""
        at = np.flatnonzero(chosen & self.wanted)
        at = at[np.lexsort((-size[at], self.path[at]))]
        paths, first = np.unique(self.path[at], return_index=True)
        return list(zip(paths.tolist(), at[first].tolist(), self.series.hours[at[first]].tolist(), strict=True))

    def measure(self, margin: np.ndarray, words: str, *values: np.ndarray | float) -> None:
        """Weigh a measure of all points. margin: (points,), NaN where it is not known; words: a format for the values there."""
        known = np.where(np.isfinite(margin) & self.wanted, margin, -np.inf)
        every = [np.broadcast_to(of_points, margin.shape) for of_points in values]
        for path, (begin, end) in enumerate(pairwise(self.series.offsets.tolist())):
            if end > begin:
                point = begin + int(known[begin:end].argmax())
                self.weigh(path, float(known[point]), words, *(of_points[point] for of_points in every))

    def weigh(self, path: int, margin: float, words: str, *values: object) -> None:
        """Keep a path's measure where it lies farther beyond its limit than all before."""
        if margin > self.found.margin[path]:
            self.found.margin[path], self.found.measured[path] = margin, words.format(*values)


def find_signs(
    series: PathSeries,
    scored: np.ndarray,
    begin: np.ndarray,
    end: np.ndarray,
    steps: StepStatistics,
    rules: SignRules,
    tracks: pl.DataFrame | None = None,
) -> Signs:
    """The signs on the paths that are scored, (paths,) bool, the most certain ones first.

    begin, end: (paths,) hours between which a path's abnormal windows lie, NaN where it has none. tracks: CELL_TRACKS, which
    know edges and saturation.
    """
    looked = _Looked.at(series, scored)
    if tracks is not None:
        _look_at_frames(looked, CELL_TRACKS.check(tracks), rules)
    _look_for_gaps(looked, begin, end, rules)
    _look_for_jumps(looked, steps, rules)
    if steps.speed_median is not None and steps.speed_spread is not None:
        speeds = _speeds(series)
        limit = steps.speed_median + max(rules.speed_sigmas * steps.speed_spread, np.log(rules.least_speed_ratio))
        margin = (speeds - steps.speed_median) / (limit - steps.speed_median)
        looked.measure(margin, "centre at {:.0f} µm/h, limit {:.0f} µm/h", np.exp(speeds), np.exp(limit))
        for path, point, hour in looked.largest(speeds > limit, speeds):
            looked.found.faults[path].append((hour, f"jump: centre at {np.exp(speeds[point]):.0f} µm/h at {hour:.1f} h"))
    _look_at_steps(looked, steps, rules)
    _look_at_divisions(looked, steps, rules)
    _look_at_growth(looked, steps, rules)
    return looked.found


def _limit(rules: SignRules, spread: float) -> float:
    return max(rules.sigmas * spread, float(np.log1p(rules.least_change)))


def _ratio_at(limit: float, median: float, change: np.ndarray) -> np.ndarray:
    """(points,) ratio at which a log of a change becomes a sign, on the side of the median where each change lies."""
    return np.exp(median + np.copysign(limit, change - median))


def _look_at_steps(looked: _Looked, steps: StepStatistics, rules: SignRules) -> None:
    ratio = _steps(looked.series) / (steps.step_median or np.nan)
    tiny, huge = rules.tiny_step, rules.huge_step
    for wrong, size, limit in ((ratio < tiny, -ratio, tiny), (ratio > huge, ratio, huge)):
        looked.measure((ratio - 1) / (limit - 1), "step {:.2g} of the usual, limit {:g}", ratio, limit)
        for path, point, hour in looked.largest(wrong, size):
            looked.found.faults[path].append((hour, f"step: {ratio[point]:.2g} times the usual one at {hour:.1f} h"))


def _look_for_gaps(looked: _Looked, begin: np.ndarray, end: np.ndarray, rules: SignRules) -> None:
    series, path = looked.series, looked.path
    gap = ~series.known & looked.wanted
    heads = np.flatnonzero(gap & ~(np.append(False, gap[:-1]) & np.append(False, path[1:] == path[:-1])))
    tails = np.flatnonzero(gap & ~(np.append(gap[1:], False) & np.append(path[1:] == path[:-1], False)))
    hours = (tails - heads + 1) * INTERVAL_H
    near = (series.hours[tails] >= begin[path[heads]] - rules.margin_h) & (
        series.hours[heads] <= end[path[heads]] + rules.margin_h
    )
    margin = np.full(len(gap), np.nan)
    margin[heads] = hours / rules.least_gap_h
    looked.measure(margin, "gap of {:.1f} h, limit {:g} h", margin * rules.least_gap_h, rules.least_gap_h)
    for at in np.flatnonzero((hours >= rules.least_gap_h - 1e-6) | near):
        hour = float(series.hours[heads[at]])
        text = f"gap: {hours[at]:.1f} h from {hour:.1f} h on"
        kind = looked.found.faults if hours[at] >= rules.least_gap_h - 1e-6 else looked.found.remarks
        kind[path[heads[at]]].append((hour, text))


def _look_for_jumps(looked: _Looked, steps: StepStatistics, rules: SignRules) -> None:
    jumps = _jumps(looked.series)
    size, limit = np.abs(jumps - steps.jump_median), _limit(rules, steps.jump_spread)
    far = size > limit
    reached = _ratio_at(limit, steps.jump_median, jumps)
    looked.measure(size / limit, "mass × {:.2f} in an hour, limit × {:.2f}", np.exp(jumps), reached)
    wide = far & (np.abs(jumps) >= np.log1p(rules.least_undone))
    up, down = np.flatnonzero(wide & (jumps > 0)), np.flatnonzero(wide & (jumps < 0))
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
            looked.found.faults[path].append((hour, f"jump: {text}, and back"))
        elif low <= jumps[point] <= high:
            looked.found.faults[path].append((hour, f"jump: {text}, a division that the tracks do not have"))
        else:
            looked.found.biology[path].append((hour, f"jump that stays: {text}"))


def _look_at_divisions(looked: _Looked, steps: StepStatistics, rules: SignRules) -> None:
    series, biology = looked.series, looked.found.biology
    count = _daughters(series)
    looked.measure((count - 2) / max(rules.daughters - 2, 1), "division into {:.0f}, limit {}", count, rules.daughters)
    for path, point, hour in looked.largest(count >= rules.daughters, count):
        biology[path].append((hour, f"division: into {count[point]:.0f} at {hour:.1f} h"))
    if steps.division_median is not None and steps.division_spread is not None:
        division, limit = _division(series), _limit(rules, steps.division_spread)
        shares = np.exp(division - steps.division_median) / 2  # an hour's growth is in the median
        size = np.abs(division - steps.division_median)
        reached = _ratio_at(limit, 0.0, division - steps.division_median) / 2
        looked.measure(size / limit, "daughter {:.2f} of the mother, limit {:.2f}", shares, reached)
        for path, point, hour in looked.largest(size > limit, size):
            share = shares[point]
            biology[path].append((hour, f"division: {share:.2f} of the mother's mass in one daughter at {hour:.1f} h"))
    if steps.cycle_median is not None and steps.cycle_spread is not None:
        age = _ages(series)
        limit = steps.cycle_median + max(rules.sigmas * steps.cycle_spread, 0.5 * steps.cycle_median)
        margin = (age - steps.cycle_median) / (limit - steps.cycle_median)
        looked.measure(margin, "no division for {:.0f} h, limit {:.0f} h", age, limit)
        for path, point, hour in looked.largest(age > limit, age):
            text = f"cycle: no division for {age[point]:.0f} h at {hour:.1f} h, where {steps.cycle_median:.0f} h are usual"
            biology[path].append((hour - (age[point] - limit), text))


def _look_at_growth(looked: _Looked, steps: StepStatistics, rules: SignRules) -> None:
    for hours, median, spread in steps.growth:
        growth, limit = _growth(looked.series, int(hours)), _limit(rules, spread)
        size = np.abs(growth - median)
        words = f"growth × {{:.2f}} in {hours:.0f} h, limit × {{:.2f}}"
        looked.measure(size / limit, words, np.exp(growth), _ratio_at(limit, median, growth))
        for path, point, hour in looked.largest(size > limit, size):
            text = f"growth: × {np.exp(growth[point]):.2f} in {hours:.0f} h from {hour:.1f} h on"
            looked.found.biology[path].append((hour, f"{text}, where × {np.exp(median):.2f} is usual"))


def _look_at_frames(looked: _Looked, tracks: pl.DataFrame, rules: SignRules) -> None:
    """Frames at the edge of the field, and saturated ones, of the cells that the path follows at that time."""
    series, wanted = looked.series, looked.wanted
    spans = pl.DataFrame({"_path": looked.path[wanted], "track_id": series.tracks[wanted], "_h": series.hours[wanted]})
    spans = spans.group_by("_path", "track_id").agg(_from=pl.col("_h").min(), _to=pl.col("_h").max())
    names = series.about.select("Metadata_Timelapse").with_row_index("_path").cast({"_path": pl.Int64})
    seen = tracks.filter(pl.col("at_edge") | pl.col("saturated"))
    seen = seen.join(spans.join(names, on="_path"), on=["Metadata_Timelapse", "track_id"])
    seen = seen.filter(pl.col("time_h").is_between(pl.col("_from"), pl.col("_to")))
    for name, column in (("edge", "at_edge"), ("saturation", "saturated")):
        hit = seen.filter(column).group_by("_path").agg(n=pl.len(), h=pl.col("time_h").min())
        for path, n, hour in hit.sort("_path").iter_rows():
            looked.weigh(path, n / rules.least_frames, "{} in {} frames, limit {}", name, n, rules.least_frames)
            if n >= rules.least_frames:
                looked.found.faults[path].append((hour, f"{name}: {n} frames from {hour:.1f} h on"))


def _ends(series: PathSeries) -> np.ndarray:
    """(points,) where the path of each point ends."""
    return np.repeat(series.offsets[1:], np.diff(series.offsets))


def _begins(series: PathSeries) -> np.ndarray:
    """(points,) where the path of each point begins."""
    return np.repeat(series.offsets[:-1], np.diff(series.offsets))


def _jumps(series: PathSeries) -> np.ndarray:
    """(points,) mean log mass of the hour from each point on, less that of the hour before; NaN beside a division as well."""
    found = _change(series, HOUR, HOUR)
    divides = _cumulated(series.divides)
    last = np.minimum(np.arange(len(found)) + HOUR - 1, len(found) - 1)
    first = np.maximum(np.arange(len(found)) - HOUR, 0)
    return np.where(divides[last] == divides[first], found, np.nan)


def _growth(series: PathSeries, hours: int) -> np.ndarray:
    """(points,) log of the growth over so many hours from each point on, divisions undone."""
    return _change(series, hours * HOUR, 0)


def _division(series: PathSeries) -> np.ndarray:
    """(points,) at a division, log of twice the daughter's mass in her first hour over the mother's in her last; else NaN."""
    found = np.append(_change(series, HOUR, HOUR)[1:], np.nan)
    return np.where(series.divides, found, np.nan)


def _change(series: PathSeries, lag: int, back: int) -> np.ndarray:
    """(points,) mean log mass of an hour `lag` points later, less that of the hour that begins `back` points before a point.

    Behind a division ln 2 is added. NaN where less than half of either hour is known, or either leaves the path.
    """
    n, ends = len(series.hours), _ends(series)
    undone = np.log(2) * _cumulated(series.divides)[:-1] + np.log(np.where(series.known, series.values[:, 0], 1.0))
    stop = np.minimum(np.arange(n) + HOUR, ends)
    known, log = _cumulated(series.known), _cumulated(np.where(series.known, undone, 0.0))
    count = known[stop] - known[:-1]
    whole = (count >= HOUR // 2) & (stop - np.arange(n) == HOUR)
    mean = np.divide(log[stop] - log[:-1], count, out=np.zeros(n), where=whole)
    before = np.arange(n) - back
    after = before + lag
    inside = (before >= _begins(series)) & (after < ends)
    before, after = np.clip(before, 0, n - 1), np.clip(after, 0, n - 1)
    inside &= whole[before] & whole[after]
    return np.where(inside, mean[after] - mean[before], np.nan)


def _ages(series: PathSeries) -> np.ndarray:
    """(points,) hours since the cell's division from its mother; for a founder since it was first seen, which is less."""
    point = np.arange(len(series.hours))
    born = np.append(True, series.divides[:-1])[: len(point)] | (point == _begins(series))
    return (point - np.maximum.accumulate(np.where(born, point, 0))) * INTERVAL_H


def _cycles(series: PathSeries) -> np.ndarray:
    """(points,) at a division, the hours that the cell lived, where its birth was seen; else NaN."""
    divided = _cumulated(series.divides)[:-1]
    founder = divided == divided[_begins(series)] if len(divided) else np.empty(0, dtype=bool)
    return np.where(series.divides & ~founder, _ages(series), np.nan)


def _daughters(series: PathSeries) -> np.ndarray:
    """(points,) at a division, how many daughters the cell has on all paths; else 0."""
    at = np.flatnonzero(series.divides & (np.arange(len(series.hours)) + 1 < _ends(series)))
    timelapse = series.about["Metadata_Timelapse"].rank("dense").to_numpy()
    path = np.repeat(np.arange(len(series)), np.diff(series.offsets))[at]
    pairs = pl.DataFrame({"timelapse": timelapse[path], "mother": series.tracks[at], "daughter": series.tracks[at + 1]})
    found = np.zeros(len(series.hours))
    found[at] = pairs.select(pl.col("daughter").n_unique().over("timelapse", "mother")).to_series().to_numpy()
    return found


def _steps(series: PathSeries) -> np.ndarray:
    """(points,) mean |change of log mass| between neighbouring points, over the 3 h from each point on; NaN where fewer than
    half of the changes are known."""
    n = len(series.hours)
    log = np.log(np.where(series.known, series.values[:, 0], 1.0))
    change = np.abs(np.diff(log, append=0.0))
    valid = series.known & np.append(series.known[1:], False) & ~series.divides
    valid[series.offsets[1:] - 1] = False
    right = np.minimum(np.arange(n) + BLOCK, _ends(series))
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
