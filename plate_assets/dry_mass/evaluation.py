"""How good the flags are: ROC curves where one culture is normal and one altered, flags that are repeated, and their counts.

Belongs here: which rows count, operating points, intervals over lineages. Not here: what people say of flags (`verdicts`), the
measures that every detector shares (`learning.metrics`), how flags are made (`anomalies`), drawing.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from plate_assets.learning.metrics import auc, roc_curve

_KEYS = ["Metadata_Timelapse", "path_id"]
_RESAMPLED_AT_ONCE = 4_000_000  # weights that are held at once
_CURVE_POINTS = 500  # of a ROC curve that is kept: what a figure shows


@dataclass(frozen=True)
class OperatingPoint:
    """What a threshold gives: recall (true-positive rate), false-positive rate, precision; NaN where nothing is called."""

    threshold: float
    recall: float
    false_positive_rate: float
    precision: float


@dataclass(frozen=True)
class Roc:
    """Altered against normal: AUC with its interval, the curve (k,), and the operating point at the model's own threshold.

    That every cell of the altered culture is abnormal is an assumption, and a strong one (experiment 3): recall and precision
    are read as a comparison, never as what a lab will see.
    """

    auc: float
    low: float
    high: float
    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    operating: OperatingPoint


def roc_of(
    altered: np.ndarray,
    scores: np.ndarray,
    threshold: float,
    clusters: np.ndarray,
    *,
    confidence: float = 0.95,
    resamples: int = 500,
    seed: int = 0,
) -> Roc:
    """ROC of scores (n,) against labels (n,), the operating point at `score > threshold`.

    clusters: (n,) lineage of each window or path. Windows of one cell overlap and sisters share their mother, so that whole
    lineages are resampled for the interval (percentile bootstrap). Raises ValueError where a class lacks.
    """
    altered, scores = np.asarray(altered, dtype=bool), np.asarray(scores, dtype=float)
    value = auc(altered, scores)
    false, true = roc_curve(altered, scores)
    shown = np.unique(np.linspace(0, len(false) - 1, min(len(false), _CURVE_POINTS)).round().astype(int))
    called = scores > threshold
    hits, alarms = int((called & altered).sum()), int((called & ~altered).sum())
    operating = OperatingPoint(
        float(threshold), hits / int(altered.sum()), alarms / int((~altered).sum()),
        hits / (hits + alarms) if hits + alarms else math.nan,
    )  # fmt: skip
    low, high = _clustered_interval(altered, scores, clusters, confidence, resamples, seed)
    return Roc(value, low, high, false[shown], true[shown], operating)


def _clustered_interval(
    altered: np.ndarray, scores: np.ndarray, clusters: np.ndarray, confidence: float, resamples: int, seed: int
) -> tuple[float, float]:
    """Bootstrap interval of the AUC over whole clusters. A resample is a vector of weights, and its AUC a cumulative sum along
    the sorted scores: millions of pairs of windows are never formed."""
    order = np.argsort(scores, kind="stable")
    positive = altered[order]
    _, member = np.unique(np.asarray(clusters)[order], return_inverse=True)
    n = int(member.max()) + 1
    tie = np.flatnonzero(np.diff(scores[order], prepend=-np.inf) != 0)
    rng, found = np.random.default_rng(seed), []
    step = max(1, _RESAMPLED_AT_ONCE // len(scores))
    for start in range(0, resamples, step):
        weight = rng.multinomial(n, np.full(n, 1 / n), size=min(step, resamples - start))[:, member].astype(float)
        up = np.add.reduceat(weight * positive, tie, axis=1)
        down = np.add.reduceat(weight * ~positive, tie, axis=1)
        wins = (up * (np.cumsum(down, axis=1) - down / 2)).sum(axis=1)
        pairs = up.sum(axis=1) * down.sum(axis=1)
        found.append(np.divide(wins, pairs, out=np.full(len(wins), np.nan), where=pairs > 0))
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(np.concatenate(found), [tail, 1 - tail])
    return float(low), float(high)


def repeated_share(own: pl.DataFrame, other: pl.DataFrame) -> tuple[int, int]:
    """Of the paths that `own` flags, how many `other` flags too, and how many there are. CELL_ANOMALIES of one culture by two
    models; experiment 2 of the paper: 152 of 198."""
    flagged = own.filter("abnormal").select(_KEYS)
    return flagged.join(other.filter("abnormal").select(_KEYS), on=_KEYS, how="semi").height, flagged.height


def forecast_figures(windows: pl.DataFrame) -> dict[str, float | int]:
    """Mean error of the whole windows of WINDOW_ANOMALIES, with both baselines beside it, and how many are abnormal."""
    whole = windows.drop_nulls("mse")
    figures: dict[str, float | int] = {"windows": whole.height, "windows with a gap": windows.height - whole.height}
    if whole.height:
        names = {"MSE": "mse", "MSE persistence": "mse_persistence", "MSE linear": "mse_linear", "abnormal windows": "abnormal"}
        means = whole.select(pl.col(column).cast(pl.Float64).mean().alias(name) for name, column in names.items())
        figures |= means.row(0, named=True)
    return figures


def flagged_figures(cells: pl.DataFrame) -> Mapping[str, float | int]:
    """How many paths were scored, how many of them are flagged, and what the guesses at the cause are."""
    scored = cells.drop_nulls("score")
    flagged = scored.filter("abnormal")
    figures: dict[str, float | int] = {"paths": cells.height, "paths scored": scored.height, "paths flagged": flagged.height}
    if scored.height:
        figures["share flagged"] = flagged.height / scored.height
    causes = flagged["cause"].to_list()
    return figures | {f"flagged, {cause}": causes.count(cause) for cause in ("acquisition", "biological")}
