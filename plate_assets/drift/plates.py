"""Does a plate differ from the reference plates more than they differ from each other? The null is plates, not wells.

Belongs here: the test of one plate among plates, and how its wells are made comparable. Not here: rows that are exchangeable
one by one (`mmd`), which wells moved (`witness`), which acquisitions are of like age and what is decided (`acquisitions`).

Every plate differs a little from every other: medium, passage, position in the incubator. Its wells share that, so a
permutation of wells (or worse, tiles) takes each new plate for drift. What is exchangeable is plates. So each plate of the
pool, the reference plates and the new one alike, is compared with all the others of the pool, and the new plate's MMD² is
ranked among theirs: p = (1 + #{reference plates with as much or more}) / (1 + P). The pool treats all of its plates alike,
its σ included, so that under exchangeable plates the rank is uniform and P(p <= alpha) <= alpha, exactly and for any number
of plates: the full conformal test (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005). The price: p is
never below 1 / (1 + P).
"""

from dataclasses import dataclass

import numpy as np

from plate_assets.drift import kernel, samples

NULLS = ("leave_one_plate_out", "log_normal")
FEWEST_WELLS, FEWEST_PLATES = 4, 2
FEWEST_FOR_FIT = 4  # plates, below which no spread can be fitted
_ROUNDING = 1e-12  # sums of kernel values in another order


@dataclass(frozen=True)
class PlateTest:
    """What the test of one plate found.

    statistic: unbiased MMD² of the plate against all reference plates; null: (P,) the same of each reference plate against
    all others of the pool; plates: their P labels; p_value; p_floor: the smallest p-value that so many plates allow (0 for a
    fitted null); level: the rate of false alarms at the alpha asked, which is the next step of 1 / (1 + P) below it;
    threshold: the statistic above which there is drift, infinite where p_floor is above alpha; effect: statistic less the
    mean of the null, in its standard deviations (NaN for two plates alike); sigma: of the kernel.
    """

    statistic: float
    null: np.ndarray
    plates: tuple[str, ...]
    p_value: float
    p_floor: float
    level: float
    threshold: float
    effect: float
    sigma: float


def plates_needed(alpha: float) -> int:
    """Reference plates from which on a p-value of `alpha` is possible: 19 at 0.05."""
    return int(np.ceil(1 / alpha - 1e-9)) - 1


def compare_plate(
    reference: np.ndarray, plates: np.ndarray, batch: np.ndarray, *, alpha: float = 0.05, null: str = "leave_one_plate_out"
) -> PlateTest:
    """Test the wells of a new plate, batch (m, d), against those of reference plates, reference (n, d) with labels plates (n,).

    null: `leave_one_plate_out`, the rank, exact under exchangeable plates; or `log_normal`, for few plates: the logarithm of
    the biased MMD², which is positive, is taken for normal over plates, and the new one's place given by Student's predictive
    distribution. That one has no floor, and its rate is near alpha, not exact (`benchmarks/plate_drift.py` measures it). All
    plates should have about as many wells (`comparable_rows`): with fewer, chance moves a plate more. Memory is bounded
    whatever the sizes. Raises ValueError for samples that are none, fewer than two reference plates (four for `log_normal`)
    and wells that stand alone on their plate.
    """
    if null not in NULLS:
        raise ValueError(f"{null!r} is no null: choose one of {', '.join(NULLS)}")
    reference = samples.sample(reference, "the reference")
    batch = samples.sample(batch, "the plate", size=reference.shape[1])
    names, number = np.unique(np.asarray(plates), return_inverse=True)
    _check_plates(names, number, len(reference), FEWEST_FOR_FIT if null == "log_normal" else FEWEST_PLATES)
    order = np.argsort(number, kind="stable")
    points = np.concatenate([reference[order], batch])
    group = np.concatenate([number[order], np.full(len(batch), len(names))])
    sigma = kernel.median_distance(points)
    sums, sizes = block_sums(points, group, sigma), np.bincount(group)
    unbiased = each_against_the_others(sums, sizes)
    observed, others = float(unbiased[-1]), unbiased[:-1]
    if null == "log_normal":
        biased = each_against_the_others(sums + np.diag(sizes), sizes, biased=1)
        p_value, limit = _log_normal(biased, alpha)
        floor, level, threshold = 0.0, alpha, limit - float(biased[-1]) + observed
    else:
        p_value, threshold = _rank(observed, others, alpha)
        floor = 1 / (1 + len(others))
        level = np.floor(alpha * (1 + len(others)) + 1e-9) * floor
    spread = others.std(ddof=1)
    effect = (observed - others.mean()) / spread if spread > 0 else np.nan
    return PlateTest(observed, others, tuple(names.tolist()), p_value, floor, float(level), threshold, float(effect), sigma)


def block_sums(points: np.ndarray, group: np.ndarray, sigma: float) -> np.ndarray:
    """(g, g) sums of the kernel between and within groups, without the pairs of a row with itself.

    points: (n, d) sorted by group; group: (n,) 0 to g - 1. The kernel comes in blocks and is never whole in memory.
    """
    sums = np.zeros((group[-1] + 1, group[-1] + 1))
    for rows, k in kernel.kernel_blocks(points, sigma):
        k[:, : rows.stop - rows.start] *= 0.5  # the block on the diagonal holds each pair twice, the others once
        down, right = group[rows], group[rows.start :]
        first_row, first_col = (np.flatnonzero(np.diff(labels, prepend=-1)) for labels in (down, right))
        part = np.add.reduceat(np.add.reduceat(k, first_col, axis=1), first_row, axis=0)
        sums[np.ix_(down[first_row], right[first_col])] += part
    return sums + sums.T


def each_against_the_others(sums: np.ndarray, sizes: np.ndarray, biased: int = 0) -> np.ndarray:
    """(g,) MMD² of each group against all others together, from the sums of the kernel between groups (g, g).

    biased: 0 for the unbiased one, of sums without the pairs of a row with itself; 1 for the biased one, of sums with them.
    """
    within = np.diag(sums)
    across = sums.sum(axis=1) - within
    rest = sums.sum() - within - 2 * across
    n, m = sizes.astype(float), (sizes.sum() - sizes).astype(float)
    return within / (n * (n - 1 + biased)) + rest / (m * (m - 1 + biased)) - 2 * across / (n * m)


def comparable_rows(
    plates: np.ndarray, wells: np.ndarray, new_wells: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the reference (r,) and of the new plate (m,) that make a fair comparison: as many wells from every plate.

    A reference plate with less than half of the new plate's wells is left out; of all others, and of the new plate, as many
    wells are taken as the smallest has. Wells that the new plate has too go first, as an edge resembles an edge; chance, which
    `seed` fixes, takes the rest. plates, wells: (n,) labels of the reference's rows; new_wells: (m,) of the new plate's.
    """
    names, number, counts = np.unique(plates, return_inverse=True, return_counts=True)
    large = 2 * counts >= len(new_wells)
    each = int(min(counts[large].min(initial=len(new_wells)), len(new_wells)))
    rng = np.random.default_rng(seed)
    new_rows = np.sort(rng.permutation(len(new_wells))[:each])
    elsewhere = ~np.isin(wells, np.asarray(new_wells)[new_rows])
    order = np.lexsort((rng.random(len(wells)), elsewhere, number))
    place = np.arange(len(wells)) - np.repeat(np.cumsum(counts) - counts, counts)  # of each row among its plate's, best first
    return np.sort(order[(place < each) & large[number[order]]]), new_rows


def _check_plates(names: np.ndarray, number: np.ndarray, rows: int, fewest: int) -> None:
    if len(number) != rows:
        raise ValueError(f"{len(number)} plate labels for {rows} reference wells: give one label for each row")
    if len(names) < fewest:
        raise ValueError(f"the reference has {len(names)} plates, and {fewest} or more are needed: add reference plates")
    if (alone := names[np.bincount(number) < 2]).size:
        raise ValueError(
            f"plate {str(alone[0])!r} has a single well in the reference, and two or more are needed: leave the plate out"
        )


def _rank(observed: float, others: np.ndarray, alpha: float) -> tuple[float, float]:
    """The conformal p-value, and the statistic above which it is at most alpha (infinite where none is)."""
    reached = int((others >= observed - _ROUNDING).sum())
    allowed = int(alpha * (1 + len(others)) + 1e-9) - 1  # reference plates that may reach it, p still at most alpha
    threshold = float(np.sort(others)[::-1][allowed]) if allowed >= 0 else np.inf
    return (1 + reached) / (1 + len(others)), threshold


def _log_normal(biased: np.ndarray, alpha: float) -> tuple[float, float]:
    """Student's predictive p-value of the last of log-normal values given the others, and the value at which it is alpha."""
    from scipy import stats

    *others, observed = np.log(np.maximum(biased, np.finfo(float).tiny))
    free, mean = len(others) - 1, float(np.mean(others))
    spread = max(float(np.std(others, ddof=1)), np.finfo(float).tiny) * np.sqrt(1 + 1 / len(others))
    return float(stats.t.sf((observed - mean) / spread, free)), float(np.exp(mean + spread * stats.t.isf(alpha, free)))
