"""What a corruption does to a detector's scores and to an embedding's vectors.

Belongs here: measures that compare corrupted with clean, with their intervals over units. Not here: alarms (`alarms`), where
scores and vectors come from.

A unit is a well or an image. Tiles of one unit share its cells, its light and its focus, so that intervals are over units.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from plate_assets.learning.metrics import auc, auc_interval

NEIGHBOURS = 10
_RESAMPLES = 500
_AT_ONCE = 4_000_000  # distances or weights that are held at once


@dataclass(frozen=True)
class Measured:
    """One measure with its interval, NaN where it is not defined; n: units or tiles it was taken over."""

    measure: str
    value: float
    low: float
    high: float
    n: int


def unit_means(values: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """(u, …) means over the rows of each unit. values: (n, …); unit: (n,) numbers from 0 to u - 1, each of them used."""
    count = np.bincount(unit)
    sums = np.zeros((len(count), *values.shape[1:]))
    np.add.at(sums, unit, values)
    return sums / count.reshape(-1, *[1] * (values.ndim - 1))


def detector_quality(
    clean: np.ndarray,
    corrupted: np.ndarray,
    unit: np.ndarray,
    threshold: float,
    anomalous: np.ndarray | None = None,
    seed: int = 0,
) -> list[Measured]:
    """What became of a detector's scores.

    clean, corrupted: (n,) scores of the same tiles; unit: (n,) unit of each; threshold: a tile above it is called; anomalous:
    (n,) labels, where they are known: without them, or with one class only, there is no AUC.
    """
    weights = _weights(int(unit.max()) + 1, seed)
    before, after = unit_means(clean, unit), unit_means(corrupted, unit)
    spread = before.std() or np.nan
    lost, gained = (clean > threshold) & (corrupted <= threshold), (clean <= threshold) & (corrupted > threshold)
    found = [
        _mean("score_shift", (after - before) / spread, weights),
        _rank_correlation(before, after, seed),
        _share("calls_lost", lost, unit, weights),
        _share("calls_gained", gained, unit, weights),
    ]
    if anomalous is not None and 0 < anomalous.sum() < len(anomalous):
        low, high = auc_interval(anomalous, corrupted, resamples=_RESAMPLES, seed=seed, clusters=unit)
        found.insert(0, Measured("auc", auc(anomalous, corrupted), low, high, len(clean)))
    return found


def embedding_quality(clean: np.ndarray, corrupted: np.ndarray, seed: int = 0) -> list[Measured]:
    """What became of the vectors of units, clean and corrupted (u, d), u of 3 or more.

    Distances are shares of the median distance between clean units, so that embeddings can be compared. ValueError with fewer.
    """
    if len(clean) < 3 or clean.shape != corrupted.shape:
        raise ValueError(
            f"vectors of shapes {clean.shape} and {corrupted.shape}: the same three units or more are needed in both"
        )
    weights = _weights(len(clean), seed)
    scale = _median_distance(clean) or np.nan
    moved = (corrupted - clean) / scale
    common = np.linalg.norm(moved.mean(axis=0))
    low, high = _interval(np.linalg.norm(weights @ moved / len(moved), axis=1))
    return [
        _mean("movement", np.linalg.norm(moved, axis=1), weights),
        Measured("common_shift", float(common), low, high, len(clean)),
        _mean("neighbours_kept", neighbours_kept(clean, corrupted), weights),
    ]


def neighbours_kept(clean: np.ndarray, corrupted: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """(u,) share of each unit's k nearest other clean units that are still nearest to its corrupted vector.

    clean, corrupted: (u, d). With k + 1 units or fewer, k becomes u - 2, so that there is one to lose.
    """
    k = min(k, len(clean) - 2)
    kept = np.empty(len(clean))
    step = max(1, _AT_ONCE // len(clean))
    for start in range(0, len(clean), step):
        rows = slice(start, start + step)
        near = [_nearest(clean, vectors[rows], start, k) for vectors in (clean, corrupted)]
        kept[rows] = (near[0][:, :, None] == near[1][:, None, :]).sum(axis=(1, 2)) / k
    return kept


def _nearest(clean: np.ndarray, vectors: np.ndarray, start: int, k: int) -> np.ndarray:
    """(r, k) the clean units nearest to each of vectors (r, d), which are those of unit `start` and on, without itself."""
    distance = (clean**2).sum(axis=1) - 2 * vectors @ clean.T  # less each row's own norm: the order is the same
    own = np.arange(len(vectors))
    distance[own, own + start] = np.inf
    return np.argpartition(distance, k - 1, axis=1)[:, :k]


def _median_distance(units: np.ndarray) -> float:
    from scipy.spatial.distance import pdist

    some = units if len(units) <= 2_000 else units[np.random.default_rng(0).choice(len(units), 2_000, replace=False)]
    return float(np.median(pdist(some)))


def _weights(units: int, seed: int) -> np.ndarray:
    """(resamples, units) how often each unit is drawn in each bootstrap resample."""
    return np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=_RESAMPLES).astype(float)


def _interval(values: np.ndarray) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not known.size:
        return np.nan, np.nan
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


def _mean(measure: str, values: np.ndarray, weights: np.ndarray) -> Measured:
    return Measured(measure, float(values.mean()), *_interval(weights @ values / len(values)), len(values))


def _share(measure: str, hit: np.ndarray, unit: np.ndarray, weights: np.ndarray) -> Measured:
    hits, tiles = (np.bincount(unit, each, minlength=weights.shape[1]) for each in (hit.astype(float), np.ones(len(hit))))
    return Measured(measure, float(hit.mean()), *_interval((weights @ hits) / (weights @ tiles)), len(hit))


def _rank_correlation(before: np.ndarray, after: np.ndarray, seed: int) -> Measured:
    drawn = np.random.default_rng(seed).integers(0, len(before), (_RESAMPLES, len(before)))
    value = _spearman(before[None], after[None])[0]
    return Measured("rank_correlation", float(value), *_interval(_spearman(before[drawn], after[drawn])), len(before))


def _spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each row of x with that of y, both (r, n); NaN where a row is constant."""
    x, y = (rankdata(values, axis=1) - (values.shape[1] + 1) / 2 for values in (x, y))
    scale = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return np.divide((x * y).sum(axis=1), scale, out=np.full(len(x), np.nan), where=scale > 0)
