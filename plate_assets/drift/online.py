"""One embedding after another: a monitor with memory, whose false alarms come as seldom as asked.

Belongs here: the monitor, how it is configured, and what it keeps. Not here: how thresholds are found (`online_thresholds`),
many streams at once (`online_runs`), which embedding comes next.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from plate_assets.drift import kernel, packing, samples
from plate_assets.drift.online_thresholds import Bootstrap, ReferenceKernel, RunTime, draw_streams, per_step, split_statistics

Calibration = Literal["run_time", "per_step"]
_KIND = "native/1"
_STARTS = 31  # splits that a monitor's start is chosen from


@dataclass(frozen=True)
class Step:
    """What one vector led to: MMD² of the window, the threshold of this step, and whether it is above."""

    statistic: float
    threshold: float
    drift: bool


@dataclass(frozen=True)
class Design:
    """What of a monitor never changes.

    rows: (k, d) of the reference that windows are compared with; start: (W, d) others of it, the window at step 0;
    of_rows: mean kernel over the pairs of rows; across_start: (W,) mean kernel of each row of start with the rows;
    thresholds: (s,) of steps 0 to s - 1, the last held for good; ert: as asked; run_time: what the thresholds lead to.
    """

    rows: np.ndarray
    start: np.ndarray
    of_rows: float
    across_start: np.ndarray
    sigma: float
    thresholds: np.ndarray
    ert: float
    run_time: RunTime

    def across(self, vector: np.ndarray) -> float:
        """Mean kernel of a vector (d,) with the rows."""
        apart = self.rows - vector
        return float(kernel.gaussian(np.einsum("ij,ij->i", apart, apart), self.sigma).mean())


class OnlineMonitor:
    """The online test of MMD² over the last W vectors: `update` with each new one.

    It keeps its window and how many vectors it has seen, in memory; `to_bytes` and `from_bytes` carry it over a restart, and it
    continues to the bit. It goes on after an alarm; `restart` sets it back to step 0.
    """

    def __init__(self, design: Design) -> None:
        self.design = design
        self.restart()

    @property
    def expected_run_time(self) -> RunTime:
        """Updates until a false alarm on average, and between which numbers this average lies for 95 % of such references."""
        return self.design.run_time

    @property
    def window(self) -> int:
        return len(self.design.start)

    def restart(self) -> None:
        """Back to step 0: the window holds rows of the reference again."""
        self.steps = 0
        self.vectors = self.design.start
        self.across = self.design.across_start

    def update(self, vector: np.ndarray) -> Step:
        """Take one embedding (d,), the next in the order of acquisition.

        ValueError, and nothing changed, where it is a batch, has another d, or holds NaN or infinity.
        """
        design = self.design
        vector = samples.vector(vector, "the vector", design.rows.shape[1])
        self.vectors = np.concatenate([self.vectors[1:], vector[None]])
        self.across = np.append(self.across[1:], design.across(vector))
        self.steps += 1
        statistic = _statistic(design.of_rows, self.vectors, self.across, design.sigma)
        threshold = float(design.thresholds[min(self.steps, len(design.thresholds) - 1)])
        return Step(statistic, threshold, statistic > threshold)

    def to_bytes(self) -> bytes:
        """The whole monitor, in the safetensors format."""
        design, time = self.design, self.design.run_time
        values = {
            "sigma": design.sigma, "of_rows": design.of_rows, "ert": design.ert, "steps": self.steps,
            "run_time": [time.mean, time.low, time.high, time.relative_spread],
        }  # fmt: skip
        arrays = {
            "rows": design.rows, "start": design.start, "across_start": design.across_start,
            "thresholds": design.thresholds, "vectors": self.vectors, "across": self.across,
        }  # fmt: skip
        return packing.pack(_KIND, values, arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> "OnlineMonitor":
        """The monitor that `to_bytes` gave. ValueError where the bytes are not a whole one of this engine."""
        values, arrays = packing.unpack(data, _KIND)
        steps, (vectors, across) = values.pop("steps"), (arrays.pop(name) for name in ("vectors", "across"))
        run_time = RunTime(*values.pop("run_time"))
        monitor = cls(Design(**arrays, **values, run_time=run_time))
        monitor.steps, monitor.vectors, monitor.across = steps, vectors, across
        return monitor


def configure(
    reference: np.ndarray,
    *,
    window: int,
    ert: float,
    bootstraps: int | None = None,
    seed: int = 0,
    sigma: float | None = None,
    calibration: Calibration = "run_time",
) -> OnlineMonitor:
    """A monitor for embeddings like the rows of reference (n, d), at step 0.

    window: W, vectors that are tested together; ert: mean number of updates until a false alarm; bootstraps: at least 10 × ERT,
    the default; sigma: of the kernel, by default the median distance. calibration: `run_time`, one threshold that keeps the
    ERT; `per_step`, the recipe of alibi-detect and of the thesis, for comparison with them. Memory is bounded at any n:
    a process at 50,000 × 32 takes 0.4 GB.
    Without drift the mean run time over references is within 10 % of the ERT from n = 10 W on; how far a single reference may
    be from it is `OnlineMonitor.expected_run_time`.
    Raises ValueError where the reference is no sample of 2W + 1 rows or more, or a parameter is out of range.
    """
    reference, sigma, bootstraps = checked(reference, window, ert, bootstraps, sigma)
    if calibration not in get_args(Calibration):
        raise ValueError(f"the calibration is {calibration!r}: one of {', '.join(get_args(Calibration))}")
    rng = np.random.default_rng(seed)
    pairs = ReferenceKernel.of(reference, sigma, rng)
    if calibration == "run_time":
        split = _typical_split(pairs, window, rng)
        bootstrap = Bootstrap.of(pairs, split.held, split.across, bootstraps, rng)
        thresholds = np.array([bootstrap.threshold(ert)])
    else:
        held_out = 2 * window - 1
        thresholds = per_step(pairs, window, ert, draw_streams(len(reference), (bootstraps, held_out), held_out, rng))
        split = next(split for split in _splits(pairs, window, held_out, rng) if split.statistic < thresholds[0])
        bootstrap = Bootstrap.of(pairs, split.held[:window], split.across, bootstraps, rng, thresholds)
    run_time = bootstrap.run_time(float(thresholds[-1]))
    return OnlineMonitor(split.design(pairs, thresholds, float(ert), run_time))


def checked(
    reference: np.ndarray, window: int, ert: float, bootstraps: int | None, sigma: float | None
) -> tuple[np.ndarray, float, int]:
    """The reference as float64, σ and the number of bootstraps. ValueError where the parameters of `configure` cannot work."""
    if window < 2:
        raise ValueError(f"the window is {window}: give 2 vectors or more, one has no spread")
    if not (np.isfinite(ert) and ert >= 2):
        raise ValueError(f"the expected run time is {ert}: give the mean number of updates until a false alarm, 2 or more")
    needed = int(np.ceil(10 * ert))
    if bootstraps is not None and bootstraps < needed:
        raise ValueError(
            f"{bootstraps} bootstraps are too few for an expected run time of {ert}: give {needed} (10 × ERT) or more, or "
            "leave them out"
        )
    reference = samples.sample(reference, f"the reference, at a window of {window},", at_least=2 * window + 1)
    return reference, kernel.bandwidth(reference, sigma), bootstraps or needed


@dataclass(frozen=True)
class _Split:
    """A reference in two: `held` (h,) rows that are left out, the first W of which are the window at step 0, and the rest."""

    held: np.ndarray
    of_rows: float
    across: np.ndarray
    statistic: float

    @classmethod
    def of(cls, pairs: ReferenceKernel, held: np.ndarray, window: int) -> "_Split":
        among = kernel.gaussian(kernel.squared_distances(pairs.points[held], pairs.points[held]), pairs.sigma)
        np.fill_diagonal(among, 0.0)
        kept = len(pairs) - len(held)
        across = (pairs.sums[held] - among.sum(axis=1)) / kept
        of_rows = float((pairs.sums.sum() - among.sum() - 2 * kept * across.sum()) / (kept * (kept - 1)))
        start = pairs.points[held[:window]]
        return cls(held, of_rows, across[:window], _statistic(of_rows, start, across[:window], pairs.sigma))

    def design(self, pairs: ReferenceKernel, thresholds: np.ndarray, ert: float, run_time: RunTime) -> Design:
        rows, start = np.delete(pairs.points, self.held, axis=0), pairs.points[self.held[: len(self.across)]]
        return Design(rows, start, self.of_rows, self.across, pairs.sigma, thresholds, ert, run_time)


def _splits(pairs: ReferenceKernel, window: int, held_out: int, rng: np.random.Generator) -> Iterator[_Split]:
    """Random splits, one after another."""
    while True:
        yield _Split.of(pairs, rng.permutation(len(pairs))[:held_out], window)


def _typical_split(pairs: ReferenceKernel, window: int, rng: np.random.Generator) -> _Split:
    """Of some random splits the one with the median statistic: no monitor begins near an alarm, or far from it."""
    held = np.array([rng.permutation(len(pairs))[:window] for _ in range(_STARTS)])
    statistics = split_statistics(pairs, window, held)[:, 0]
    return _Split.of(pairs, held[np.argsort(statistics)[_STARTS // 2]], window)


def _statistic(of_rows: float, vectors: np.ndarray, across: np.ndarray, sigma: float) -> float:
    """Unbiased MMD² of a window (W, d) against the rows, from the mean kernels of its vectors with them, (W,)."""
    k = kernel.gaussian(kernel.squared_distances(vectors, vectors), sigma)
    np.fill_diagonal(k, 0.0)
    size = len(vectors)
    return float(of_rows + k.sum() / (size * (size - 1)) - 2 * across.mean())
