"""Thresholds of the online test, from the reference alone: above which value an alarm comes as seldom as asked.

Belongs here: the bootstrap of streams and the two calibrations. Not here: the monitor (`online`), runs on given streams
(`online_runs`).

The recipe of alibi-detect and of the thesis, `per_step`, takes at each of W steps the (1 - 1/ERT) quantile of the bootstraps
that are left, and keeps the last one for good: some ten bootstraps speak for it. `Bootstrap.threshold`, the default, follows
streams over many windows and looks for the one threshold at which their mean run time is the ERT: from as many bootstraps,
hundreds of alarms speak for it, and the monitor's own start is accounted for.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from plate_assets.drift import kernel, sliding

FOLLOWED = 100  # steps over which a bootstrapped stream is followed, or five windows where they are longer
PSEUDO_REFERENCES = 64
FEWEST = 1_024  # streams: 16 for each pseudo-reference, so that their differences stand out from chance
_WHOLE_KERNEL = 4096  # rows up to which the kernel of a reference is held as one matrix: 67 MB
_HALVINGS = 30  # of the interval in which a threshold is looked for
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
        weights = rng.normal(size=(len(points), PSEUDO_REFERENCES))
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
        found = _statistics(reference, streams, group, across)
        found -= (thresholds - thresholds[-1])[np.minimum(np.arange(1, 1 + steps), len(thresholds) - 1)].astype(np.float32)
        return cls(streams, group, np.maximum.accumulate(found, axis=1, out=found), len(reference))

    @property
    def window(self) -> int:
        return self.streams.shape[1] - self.highest.shape[1]

    def threshold(self, ert: float) -> float:
        """The one threshold for all steps at which the mean run time, over references, is the ERT."""
        low, high = float(self.highest[:, 0].min()), float(self.highest.max())
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if self._mean_and_spread(middle)[0] >= ert else (middle, high)
        return high

    def run_time(self, threshold: float) -> RunTime:
        """What a threshold leads to."""
        mean, between = self._mean_and_spread(threshold)
        return RunTime.of(mean, float(np.hypot(between, self._sampling_spread(threshold))))

    def _mean_and_spread(self, threshold: float) -> tuple[float, float]:
        """Mean run time, infinite without an alarm, and the standard deviation of its logarithm between pseudo-references.

        The steps as they were; where a stream ends without an alarm, a constant rate from there on, alarms / steps at risk
        since the start played no part. Of rates that differ by a variance v of their logarithm, the mean of the inverse is
        1 + v times the inverse of the mean; v is what the alarms of the pseudo-references scatter beyond chance.
        """
        on = self.highest <= threshold
        settled, last = 2 * self.window - 1, on.shape[1] - 1
        at_risk = np.bincount(self.group, on[:, settled:last].sum(axis=1))
        alarms = np.bincount(self.group, on[:, settled] & ~on[:, last])
        if not alarms.any():
            return float("inf"), 1.0
        rate = alarms.sum() / at_risk.sum()
        expected = rate * at_risk
        varies = max(0.0, float(((alarms - expected) ** 2 - expected).sum() / (expected**2).sum()))
        seen = 1 + on[:, :last].sum() / len(on)
        return float(seen + on[:, last].mean() * (1 + varies) / rate), float(np.sqrt(varies))

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
    held_out = 2 * window - 1
    kept = len(reference) - held_out
    found = np.empty((len(splits), window))
    for some in _chunks(len(splits), held_out**2):
        held = splits[some].astype(np.int64)
        pairs = reference.between(held[:, :, None], held[:, None, :]).astype(np.float64)
        across = reference.sums[held] - pairs.sum(axis=2)  # of each held row, with the rows kept
        others = reference.sums.sum() - pairs.sum(axis=(1, 2)) - 2 * across.sum(axis=1)
        within = sliding.within_sums(lambda lag, pairs=pairs: np.diagonal(pairs, lag, 1, 2), window)
        found[some] = sliding.mmd2(others[:, None] / (kept * (kept - 1)), within, across / kept, window)
    thresholds, left = np.empty(window), found
    for step in range(window):
        thresholds[step] = np.quantile(left[:, step], 1 - 1 / ert)
        left = left[left[:, step] < thresholds[step]]
    return thresholds


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
        some = streams[open_]
        again = np.zeros(some.shape, dtype=bool)
        for lag in range(1, window):
            again[:, lag:] |= some[:, lag:] == some[:, :-lag]
        some[again] = rng.integers(n, size=int(again.sum()), dtype=np.int32)
        streams[open_] = some
        open_ = open_[again.any(axis=1)]
    return streams


def _statistics(reference: ReferenceKernel, streams: np.ndarray, group: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Statistic of each window of the streams (s, l + W) after the first, against its pseudo-reference, (s, l) float32.

    start: (W,) mean kernel of the rows of the first window with the monitor's own rows: no chance is in these.
    Rows of a window are drawn without replacement, which takes (W - 1)/(n - 1) off |w|²: it is put back.
    """
    window = len(start)
    n, kept = len(reference), len(reference) - window
    scale = np.sqrt(n * kept)
    to_all = reference.sums / (n - 1)  # of each row, its mean kernel with the others
    to_pseudo = (reference.weighted / scale).astype(np.float32)
    of_pseudo = np.einsum("nr,nr->r", reference.weights, reference.weighted) / scale**2
    found = np.empty((len(streams), streams.shape[1] - window), dtype=np.float32)
    for some in _chunks(*streams.shape):
        rows, of = streams[some].astype(np.int64), group[some]
        within = sliding.within_sums(lambda lag, rows=rows: reference.between(rows[:, :-lag], rows[:, lag:]), window)
        own = sliding.mmd2(float(to_all.mean()), within, to_all[rows], window) * (n - 1) / (n - window)
        chance = to_pseudo[rows, of[:, None]]
        chance[:, :window] = start - to_all[rows[0, :window]]
        found[some] = (own - 2 * sliding.window_means(chance, window) + of_pseudo[of, None])[:, 1:]
    return found


def _chunks(count: int, values_each: int) -> Iterator[slice]:
    rows = max(1, sliding.CHUNK_VALUES // values_each)
    return (slice(start, start + rows) for start in range(0, count, rows))
