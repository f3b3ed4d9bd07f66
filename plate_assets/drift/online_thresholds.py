"""Thresholds of the online test, from the reference alone: above which value an alarm comes as seldom as asked.

Belongs here: the bootstrap of streams and the two calibrations. Not here: the monitor (`online`), runs on given streams
(`online_runs`).

The recipe of alibi-detect and of the thesis, `per_step`, takes at each of W steps the (1 - 1/ERT) quantile of the bootstraps
that are left, and keeps the last one for good: some ten bootstraps speak for it. `Bootstrap.threshold`, the default, follows
streams over many windows and looks for the one threshold at which their mean run time is the ERT: from as many bootstraps,
hundreds of alarms speak for it, and the monitor's own start is accounted for.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from plate_assets.drift import kernel, sliding

FOLLOWED = 100  # steps over which a bootstrapped stream is followed, or five windows where they are longer
PSEUDO_REFERENCES = 64
FEWEST = 1_024  # streams: 16 for each pseudo-reference, so that their differences stand out from chance
_WHOLE_KERNEL = 4096  # rows up to which the kernel of a reference is held as one matrix: 67 MB
_HALVINGS = 24  # of the interval in which a threshold is looked for: to the digits of float32
_NORMAL_95 = 1.96
_ONE_FOR_ALL = np.zeros(1)


@dataclass(frozen=True)
class ReferenceKernel:
    """The kernel among the rows of a reference: as a matrix where it is small, else computed pair by pair.

    points: (n, d); matrix: (n, n) in float32, whose seven digits are more than any bootstrap has, or None; sums: (n,) of each
    row over the others, in float64; weights: (n, r) normal deviates, each column of sum 0; weighted: (n, r) the sums of each
    row over the others weighted by them, of the kernel that is centred: k(x, y) - its mean at x - its mean at y + its mean.
    """

    points: np.ndarray
    sigma: float
    matrix: np.ndarray | None
    sums: np.ndarray
    weights: np.ndarray
    weighted: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray, sigma: float, rng: np.random.Generator) -> "ReferenceKernel":
        """Of points (n, d) float64; memory is bounded at any n."""
        weights = rng.standard_normal((len(points), PSEUDO_REFERENCES))
        weights -= weights.mean(axis=0)
        probes = np.column_stack([np.ones(len(points)), weights])
        sums = np.zeros_like(probes)
        whole = np.zeros((len(points), len(points)), dtype=np.float32) if len(points) <= _WHOLE_KERNEL else None
        for rows, k in kernel.kernel_blocks(points, sigma):
            sums[rows] += k @ probes[rows.start :]
            sums[rows.stop :] += k[:, rows.stop - rows.start :].T @ probes[rows]
            if whole is not None:
                whole[rows, rows.start :] = k
                whole[rows.start :, rows] = k.T
        means = sums[:, 0] / (len(points) - 1)
        weighted = sums[:, 1:] + weights * (2 * means - means.mean())[:, None] - means @ weights
        return cls(points, sigma, whole, sums[:, 0], weights, weighted)

    def __len__(self) -> int:
        return len(self.points)

    def lagged(self, rows: np.ndarray) -> Callable[[int], np.ndarray]:
        """Of streams (s, l) int64 the kernel of each row and the one `lag` rows later, as `sliding.within_sums` asks for it."""
        if self.matrix is None:
            return lambda lag: self.between(rows[:, :-lag], rows[:, lag:])
        flat, steps = self.matrix.ravel(), rows.T
        lines = steps * len(self)
        return lambda lag: flat.take(lines[:-lag] + steps[lag:], mode="clip").T

    def between(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """k of rows i and rows j, int64 arrays that broadcast; 0 of a row with itself."""
        if self.matrix is not None:
            return self.matrix.ravel().take(i * len(self) + j, mode="clip")
        squared = np.zeros(np.broadcast_shapes(i.shape, j.shape))
        for column in self.points.T:
            squared += (column[i] - column[j]) ** 2
        return np.where(i == j, 0.0, kernel.gaussian(squared, self.sigma, out=squared))


@dataclass(frozen=True)
class RunTime:
    """How long a monitor runs until a false alarm, in updates, on average; and how far that average differs between references.

    mean: over references; low, high: 95 % of the references drawn as this one have a mean between them. `relative_spread` is
    the standard deviation of its logarithm: what one sample says of its population, and what the bootstrap adds.
    """

    mean: float
    low: float
    high: float
    relative_spread: float

    @classmethod
    def of(cls, mean: float, relative_spread: float) -> "RunTime":
        """A log-normal spread around a mean."""
        middle = mean * np.exp(-(relative_spread**2) / 2)
        factor = np.exp(_NORMAL_95 * relative_spread)
        return cls(mean, float(middle / factor), float(middle * factor), relative_spread)


@dataclass(frozen=True)
class Bootstrap:
    """What a threshold would have led to: streams of rows of the reference, tested against pseudo-references.

    All streams begin with the monitor's own window; no row comes twice within a window. The reference stands for the
    population here, and what a monitor owes to its sample is drawn again: with φ(x) = k(x, ·) and normal deviates ξ of sum 0,
    δ = Σ ξ_i φ(x_i) / sqrt(n k) is as far from the population as the k rows of a monitor are (a wild bootstrap). A window w has
    MMD² = |w|² - 2 <w, δ> + |δ|², each part without its bias: the last one shifts all windows of a monitor, the middle one many
    in a row, so neither may be drawn anew for each window. They are why monitors of one population differ.

    streams: (s, l + W) rows; group: (s,) their pseudo-reference; highest: (s, l) the highest statistic of steps 1 to each,
    float32; n: rows of the reference. Memory: 13 bytes for each of s × l steps.
    """

    streams: np.ndarray
    group: np.ndarray
    highest: np.ndarray
    n: int

    @classmethod
    def of(
        cls,
        reference: ReferenceKernel,
        start: np.ndarray,
        across: np.ndarray,
        count: int,
        rng: np.random.Generator,
        thresholds: np.ndarray = _ONE_FOR_ALL,
    ) -> "Bootstrap":
        """`count` streams, `FEWEST` at least, of `FOLLOWED` steps or five windows, whichever is longer.

        start: (W,) rows of the first window; across: (W,) their mean kernel with the rows that the monitor compares with;
        thresholds: (k,) of steps 0 to k - 1, where they differ: statistics are then as far from the last as from their own.
        """
        window, count = len(start), max(count, FEWEST)
        steps = max(FOLLOWED, 5 * window)
        streams = draw_streams(len(reference), (count, window + steps), window, rng, start)
        group = np.arange(count) % PSEUDO_REFERENCES
        higher = (thresholds - thresholds[-1])[np.minimum(np.arange(1 + steps), len(thresholds) - 1)]
        return cls(streams, group, _highest(reference, streams, group, across, higher), len(reference))

    @property
    def window(self) -> int:
        return self.streams.shape[1] - self.highest.shape[1]

    def threshold(self, ert: float) -> float:
        """The one threshold for all steps at which the mean run time, over references, is the ERT."""
        low, high = float(self.highest[:, 0].min()), float(self.highest.max())
        at_low, at_high = _quiet(self.highest, low), _quiet(self.highest, high)
        for _ in range(_HALVINGS):
            middle, at_middle = (low + high) / 2, at_low.copy()
            open_ = np.flatnonzero(at_low < at_high)  # of the others, low and high say all
            at_middle[open_] = _quiet(self.highest[open_], middle)
            if self._mean_and_spread(at_middle)[0] >= ert:
                high, at_high = middle, at_middle
            else:
                low, at_low = middle, at_middle
        return high

    def run_time(self, threshold: float) -> RunTime:
        """What a threshold leads to."""
        mean, between = self._mean_and_spread(_quiet(self.highest, threshold))
        return RunTime.of(mean, float(np.hypot(between, self._sampling_spread(threshold))))

    def _mean_and_spread(self, quiet: np.ndarray) -> tuple[float, float]:
        """Mean run time, infinite without an alarm, and the standard deviation of its logarithm between pseudo-references.

        quiet: (s,) as `_quiet`.
        The steps as they were; where a stream ends without an alarm, a constant rate from there on, alarms / steps at risk
        since the start played no part. Of rates that differ by a variance v of their logarithm, the mean of the inverse is
        1 + v times the inverse of the mean; v is what the alarms of the pseudo-references scatter beyond chance.
        """
        settled, last = 2 * self.window - 1, self.highest.shape[1] - 1
        at_risk = np.bincount(self.group, quiet.clip(settled, last) - settled)
        alarms = np.bincount(self.group, (settled < quiet) & (quiet <= last))
        if not alarms.any():  # nobody alarmed later on, or nobody was left to
            return (float("inf") if at_risk.any() else 1 + float(quiet.mean())), 1.0
        rate = alarms.sum() / at_risk.sum()
        expected = rate * at_risk
        varies = max(0.0, float(((alarms - expected) ** 2 - expected).sum() / (expected**2).sum()))
        seen = 1 + np.minimum(quiet, last).mean()
        return float(seen + (quiet > last).mean() * (1 + varies) / rate), float(np.sqrt(varies))

    def _sampling_spread(self, threshold: float) -> float:
        """Standard deviation of the log run time from the sample of rows and from the number of alarms that were seen.

        With q the rate of alarms of windows that hold a row over the rate of all windows, the row's influence on the log rate
        is W (q - 1) / n. The scatter of the counts is taken off. Windows with rows of the start do not count.
        """
        alarm = sliding.first_above(self.highest, threshold)
        at = np.flatnonzero(alarm >= self.window)
        if not at.size:
            return 1.0
        rows = self.streams[at[:, None], alarm[at][:, None] + np.arange(self.window)]
        counts = np.bincount(rows.ravel(), minlength=self.n)
        varies = max(0.0, counts.var() / counts.mean() ** 2 - 1 / counts.mean())
        return float(np.sqrt(self.window**2 * varies / self.n + 1 / at.size))


def per_step(reference: ReferenceKernel, window: int, ert: float, splits: np.ndarray) -> np.ndarray:
    """Thresholds (W,) of steps 0 to W - 1 as alibi-detect makes them, from splits (b, 2W - 1): rows held out, in their order.

    At each step the window's MMD² against the rows that are not held out; the threshold is its (1 - 1/ERT) quantile over the
    splits left, and splits at or above it are dropped.
    """
    thresholds, left = np.empty(window), split_statistics(reference, window, splits)
    for step in range(window):
        thresholds[step] = np.quantile(left[:, step], 1 - 1 / ert)
        left = left[left[:, step] < thresholds[step]]
    return thresholds


def split_statistics(reference: ReferenceKernel, window: int, splits: np.ndarray) -> np.ndarray:
    """MMD² of each window of W among the rows held out (b, h) against all that are not, (b, h - W + 1)."""
    held_out = splits.shape[1]
    kept = len(reference) - held_out
    found = np.empty((len(splits), held_out - window + 1))
    for some in _chunks(len(splits), held_out**2):
        held = splits[some].astype(np.int64)
        pairs = reference.between(held[:, :, None], held[:, None, :]).astype(np.float64)
        across = reference.sums[held] - pairs.sum(axis=2)  # of each held row, with the rows kept
        others = reference.sums.sum() - pairs.sum(axis=(1, 2)) - 2 * across.sum(axis=1)
        within = sliding.within_sums(lambda lag, pairs=pairs: np.diagonal(pairs, lag, 1, 2), window)
        found[some] = sliding.mmd2(others[:, None] / (kept * (kept - 1)), within, across / kept, window)
    return found


def draw_streams(
    n: int, shape: tuple[int, int], window: int, rng: np.random.Generator, start: np.ndarray | None = None
) -> np.ndarray:
    """Streams of row numbers below n, (s, l) int32: any window of W holds different rows, each such window equally likely.

    start: (W,) different rows that all streams begin with.
    """
    streams = rng.integers(n, size=shape, dtype=np.int32)
    if start is not None:
        streams[:, : len(start)] = start  # its rows differ, and so none of them is drawn again
    open_ = np.arange(len(streams))
    while open_.size:
        row, step = _repeats(streams[open_], n, window)
        streams[open_[row], step] = rng.integers(n, size=len(row), dtype=np.int32)
        open_ = open_[row[np.diff(row, prepend=-1) > 0]]
    return streams


def _repeats(streams: np.ndarray, n: int, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Where rows of streams (s, l), numbers below n, are among the W - 1 before them: streams and steps, both ascending.

    All streams are compared as one line, as small integers: W - 1 times n before each keep it from the end of the one above.
    """
    ahead = window - 1
    line = np.full((len(streams), ahead + streams.shape[1]), n, dtype=np.min_scalar_type(n))
    line[:, ahead:] = streams
    found, flat = np.zeros(line.shape, dtype=bool), line.ravel()
    for lag in range(1, window):
        found.ravel()[lag:] |= flat[lag:] == flat[:-lag]
    found[:, :ahead] = False
    row, step = np.divmod(np.flatnonzero(found), line.shape[1])
    return row, step - ahead


def _quiet(highest: np.ndarray, threshold: float) -> np.ndarray:
    """Steps of each stream before its first alarm, all of them where there is none, (s,); highest: as in `Bootstrap`."""
    alarm = sliding.first_above(highest, threshold)
    return np.where(alarm > 0, alarm - 1, highest.shape[1])


def _highest(
    reference: ReferenceKernel, streams: np.ndarray, group: np.ndarray, start: np.ndarray, higher: np.ndarray
) -> np.ndarray:
    """The highest so far of the statistics of the streams (s, W + l) after their first window, (s, l) float32.

    start: (W,) mean kernel of the rows of the first window with the monitor's own rows: no chance is in these; higher: (1 + l,)
    by how much the threshold of each step is above the last one, which is taken off.
    Rows of a window are drawn without replacement, which takes (W - 1)/(n - 1) off |w|²: it is put back.
    """
    window = len(start)
    n, kept = len(reference), len(reference) - window
    scale, unlike = np.sqrt(n * kept), (n - 1) / (n - window)
    to_all = reference.sums / (n - 1)  # of each row, its mean kernel with the others
    to_pseudo = np.ascontiguousarray(unlike * to_all + reference.weighted.T / scale)
    of_pseudo = unlike * to_all.mean() + np.einsum("nr,nr->r", reference.weights, reference.weighted) / scale**2
    found = np.empty((len(streams), streams.shape[1] - window), dtype=np.float32)
    for some in _chunks(*streams.shape):
        rows, of = streams[some].T.astype(np.int64, order="C"), group[some]
        within = sliding.within_sums(reference.lagged(rows.T), window)
        within *= unlike
        across = to_pseudo.ravel().take(rows + n * of, mode="clip").T
        across[:, :window] = start + (unlike - 1) * to_all[rows[:window, 0]]
        statistics = sliding.mmd2(of_pseudo[of, None] - higher, within, across, window)[:, 1:]
        found[some] = sliding.running(np.maximum, statistics.astype(np.float32))
    return found


def _chunks(count: int, values_each: int) -> Iterator[slice]:
    rows = max(1, sliding.CHUNK_VALUES // values_each)
    return (slice(start, start + rows) for start in range(0, count, rows))
