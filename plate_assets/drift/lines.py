"""A monitor along a line of plates: thresholds that count with plates that differ, and what an alarm starts and ends.

Belongs here: the bootstrap of whole plates, and the episodes of a line. Not here: the monitor and its arithmetic (`online`),
which acquisition comes next and what is stored (`workflows.drift.monitor`).

Wells that follow each other come from one plate and share its offset. Thresholds from single wells drawn at random do not know
that, and alarm several times too often. So the streams of this bootstrap are blocks of wells of one plate after another, and
what they are compared with is another reference of as many plates, drawn alike: plates with random weights. And a line takes a
few wells of each plate, so that one window spans several plates and their offsets average out; a window inside of one plate
could tell no more than the test of that plate (`plates`) does. `benchmarks/plate_drift.py` measures both.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from plate_assets.drift import kernel, online, sliding
from plate_assets.drift.online_thresholds import RunTime

WINDOW, ERT, WELLS_PER_PLATE = 20, 256.0, 4
_FOLLOWED = 100  # steps that a bootstrapped stream is followed, or five windows or five plates where those are longer
_REFERENCES = 64
_HALVINGS = 40  # of the interval in which the threshold is looked for
_CHUNK_VALUES = 2**22  # coordinates of streams in memory at once: 32 MB in float64


def configure_line(
    reference: np.ndarray,
    plates: np.ndarray,
    visits: np.ndarray | None = None,
    *,
    window: int = WINDOW,
    ert: float = ERT,
    wells_per_plate: int = WELLS_PER_PLATE,
    bootstraps: int | None = None,
    seed: int = 0,
) -> online.OnlineMonitor:
    """A monitor for wells that come plate by plate, `wells_per_plate` of each, at step 0.

    reference: (n, d) vectors of wells; plates: (n,) their plates; visits: (n,) their acquisitions, where plates have several: a
    block is then of one visit; ert: mean number of updates, not plates, to a false alarm; the others as `online.configure`.
    Memory is bounded beside (n, plates) sums. Raises ValueError as `online.configure`, and where a window spans more than half
    of the reference's plates.
    """
    names, number = np.unique(np.asarray(plates), return_inverse=True)
    spanned = -(-window // wells_per_plate) if wells_per_plate > 0 else 0
    if wells_per_plate < 1 or 2 * spanned > len(names):
        raise ValueError(
            f"a window of {window} wells, {wells_per_plate} of each plate, spans {spanned} plates, and the reference has "
            f"{len(names)}: twice as many as a window spans are needed; add reference plates, or take a shorter window"
        )
    plain = online.configure(reference, window=window, ert=ert, bootstraps=bootstraps, seed=seed)
    _, visit = np.unique(number if visits is None else np.asarray(visits), return_inverse=True)
    order = np.lexsort((visit, number))
    points, number, visit = np.asarray(reference, dtype=np.float64)[order], number[order], visit[order]
    sizes = np.diff(np.flatnonzero(np.diff(visit, prepend=-1, append=-1)))
    rng = np.random.default_rng(seed)
    streams = _plate_streams(sizes, window, min(wells_per_plate, int(sizes.min())), bootstraps or int(np.ceil(10 * ert)), rng)
    group = np.arange(len(streams)) % _REFERENCES
    highest = _highest(points, number, streams, group, window, plain.design.sigma, rng)
    threshold = _threshold(highest, group, ert)
    return online.OnlineMonitor(
        replace(plain.design, thresholds=np.array([threshold]), run_time=_run_time(highest, group, threshold))
    )


def _plate_streams(sizes: np.ndarray, window: int, each: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, W + l) rows of a reference sorted by visit: W single wells, then `each` different wells of visit after visit.

    sizes: (v,) wells of each visit. Every visit is drawn by itself, as likely as any.
    """
    length = max(_FOLLOWED, 5 * window, 5 * each)
    visits = rng.integers(0, len(sizes), (count, -(-length // each)))
    first = np.cumsum(sizes) - sizes
    shuffled = np.lexsort((rng.random(sizes.sum()), np.repeat(np.arange(len(sizes)), sizes)))
    begin = rng.integers(0, sizes[visits])  # a block is a run of its visit's wells in random order
    place = (begin[:, :, None] + np.arange(each)) % sizes[visits][:, :, None]
    wells = shuffled[first[visits][:, :, None] + place].reshape(count, -1)[:, :length]
    return np.concatenate([rng.integers(0, sizes.sum(), (count, window)), wells], axis=1)


def _highest(
    points: np.ndarray, number: np.ndarray, streams: np.ndarray, group: np.ndarray, window: int, sigma: float,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """(s, l) float32: the highest MMD² so far of each stream (s, W + l) against the pseudo-reference of its group (s,).

    A pseudo-reference is the reference with plates weighted by 1 + normal deviates of sum 0: as far from the population, for
    which the reference stands here, as a reference of so many plates is.
    """
    sums, sizes = _plate_sums(points, number, sigma), np.bincount(number)
    deviates = rng.normal(size=(_REFERENCES, len(sizes)))
    shares = sizes / sizes.sum()
    weights = shares * (1 + deviates - (deviates @ shares)[:, None])
    own = number[:, None] == np.arange(len(sizes))
    across = (sums / (sizes - own)) @ weights.T
    between = np.add.reduceat(sums, np.cumsum(sizes) - sizes, axis=0) / (sizes[:, None] * (sizes - np.eye(len(sizes))))
    of_rows = np.einsum("gp,pq,gq->g", weights, between, weights)
    found = np.empty((len(streams), streams.shape[1] - window), dtype=np.float32)
    rows = max(1, _CHUNK_VALUES // (streams.shape[1] * points.shape[1]))
    for start in range(0, len(streams), rows):
        some, of = streams[start : start + rows], group[start : start + rows]
        within = sliding.within_sums(_lagged(points[some], sigma), window)
        found[start : start + rows] = sliding.mmd2(of_rows[of, None], within, across[some, of[:, None]], window)[:, 1:]
    return np.maximum.accumulate(found, axis=1)


def _lagged(vectors: np.ndarray, sigma: float) -> Callable[[int], np.ndarray]:
    """The kernel of each row of streams (s, l, d) and the one `lag` rows later, (s, l - lag)."""
    norms = np.einsum("std,std->st", vectors, vectors)

    def lagged(lag: int) -> np.ndarray:
        products = np.einsum("std,std->st", vectors[:, :-lag], vectors[:, lag:])
        squared = np.maximum(norms[:, :-lag] + norms[:, lag:] - 2 * products, 0.0)
        return kernel.gaussian(squared, sigma, out=squared)

    return lagged


def _plate_sums(points: np.ndarray, number: np.ndarray, sigma: float) -> np.ndarray:
    """(n, p) sums of the kernel of each row over the rows of each plate but itself; points sorted by number."""
    sums = np.zeros((len(points), number[-1] + 1))
    for rows, k in kernel.kernel_blocks(points, sigma):
        down, right = number[rows], number[rows.start :]
        first_row, first_col = (np.flatnonzero(np.diff(labels, prepend=-1)) for labels in (down, right))
        sums[rows, right[first_col[0]] :] += np.add.reduceat(k, first_col, axis=1)
        below = np.add.reduceat(k[:, rows.stop - rows.start :], first_row, axis=0).T
        sums[rows.stop :, down[0] : down[-1] + 1] += below
    return sums


def _threshold(highest: np.ndarray, group: np.ndarray, ert: float) -> float:
    """The threshold at which the mean run time, over pseudo-references, is the ERT."""
    low, high = float(highest[:, 0].min()), float(highest.max())
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if _run_time(highest, group, middle).mean >= ert else (middle, high)
    return high


def _run_time(highest: np.ndarray, group: np.ndarray, threshold: float) -> RunTime:
    """The run time at a threshold: mean over references and how they differ, from steps at risk and alarms in each group.

    Rates of alarms that are log-normal over references, of log variance v, have a mean run time of exp(v) / mean rate: lucky
    references gain more than unlucky ones lose. Their scatter by count is taken off.
    """
    alarms = np.bincount(group, highest[:, -1] > threshold)
    at_risk = np.bincount(group, 1 + (highest[:, :-1] <= threshold).sum(axis=1))
    total = float(alarms.sum())
    if not total:
        return RunTime.of(float("inf"), 1.0)
    rates, count = alarms / at_risk, alarms.mean()
    variance = np.log1p(max(0.0, float(rates.var() / rates.mean() ** 2) - 1 / float(count)))
    return RunTime.of(float(at_risk.sum() / total * np.exp(variance)), float(np.sqrt(variance + 1 / total)))


@dataclass(frozen=True)
class Episode:
    """Whether an alarm is on: `number` of the last episode, whether it is open, `quiet` updates since it last drifted."""

    number: int = 0
    open: bool = False
    quiet: int = 0

    def after(self, drift: bool, window: int) -> "Episode":
        """What one more update makes of it.

        An alarm opens an episode, or keeps the open one open. It closes when two windows of updates in a row stayed below the
        threshold: the monitor starts again after an alarm, the first window replaces the reference rows that it starts
        with, and the second is a whole one of new wells. So an alarm is raised once, however often the monitor crosses again.
        """
        if drift:
            return Episode(self.number + (not self.open), True, 0)
        quiet = self.quiet + 1
        return Episode(self.number, self.open and quiet < 2 * window, quiet)
