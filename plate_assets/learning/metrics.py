"""How well scores and calls agree with labels: AUC with intervals, average precision, the confusion matrix.

Belongs here: measures that any two-class detector of the platform needs, on plain arrays. Not here: which rows are compared
(`precipitation.evaluation`), drawing (`precipitation.figures`).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

_CHUNK = 4_000_000  # values of the pairwise comparison that are held at once


@dataclass(frozen=True)
class Confusion:
    """Counts of a two-class call, and the rates that follow. A rate whose denominator is zero is NaN, never 0 or 1."""

    tp: int
    fp: int
    fn: int
    tn: int

    @classmethod
    def of(cls, labels: np.ndarray, calls: np.ndarray) -> "Confusion":
        """Count (n,) boolean calls against (n,) boolean labels."""
        labels, calls = np.asarray(labels, dtype=bool), np.asarray(calls, dtype=bool)
        pairs = ((labels & calls), (~labels & calls), (labels & ~calls), (~labels & ~calls))
        return cls(*(int(pair.sum()) for pair in pairs))

    @property
    def accuracy(self) -> float:
        return _ratio(self.tp + self.tn, self.tp + self.fp + self.fn + self.tn)

    @property
    def precision(self) -> float:
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """Share of the positives that was called."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """Share of the negatives that was not called: the recall of the negative class."""
        return _ratio(self.tn, self.tn + self.fp)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall. (The column that Yasuno's tables head "F1" is accuracy.)"""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _both_classes(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The arrays as boolean and float; ValueError where they cannot be compared."""
    labels, scores = np.asarray(labels, dtype=bool), np.asarray(scores, dtype=float)
    if labels.shape != scores.shape or labels.ndim != 1:
        raise ValueError(f"labels {labels.shape} and scores {scores.shape} must be two lists of equal length")
    if np.isnan(scores).any():
        raise ValueError(f"{np.isnan(scores).sum()} of {scores.size} scores are NaN: take those rows out and count them apart")
    if labels.all() or not labels.any():
        raise ValueError(f"all {labels.size} labels are of one class: both are needed to compare scores with labels")
    return labels, scores


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative; ties count half (Mann-Whitney)."""
    labels, scores = _both_classes(labels, scores)
    positives = int(labels.sum())
    u = rankdata(scores)[labels].sum() - positives * (positives + 1) / 2
    return float(u / (positives * (labels.size - positives)))


def roc_curve(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rate, each (k,), from (0, 0) to (1, 1), one point for each distinct score."""
    labels, scores = _both_classes(labels, scores)
    tp, fp, _ = _cumulated(labels, scores)
    return np.concatenate([[0.0], fp / fp[-1]]), np.concatenate([[0.0], tp / tp[-1]])


def auprc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the precision-recall curve as average precision: the step sum, without interpolation."""
    labels, scores = _both_classes(labels, scores)
    tp, fp, _ = _cumulated(labels, scores)
    return float(np.sum(np.diff(tp, prepend=0) / tp[-1] * tp / (tp + fp)))


def _cumulated(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True positives, false positives and score at each distinct score, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    last_of_a_tie = np.append(np.diff(scores[order]) != 0, True)
    tp = np.cumsum(labels[order])[last_of_a_tie]
    fp = np.cumsum(~labels[order])[last_of_a_tie]
    return tp, fp, scores[order][last_of_a_tie]


def auc_interval(
    labels: np.ndarray,
    scores: np.ndarray,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    clusters: np.ndarray | None = None,
) -> tuple[float, float]:
    """Bootstrap percentile interval of the AUC.

    Without clusters, positives and negatives are resampled apart (stratified). With clusters (n,), for example plates, whole
    clusters are resampled: wells of one plate are not independent, and the interval must say so. Resamples that lack a
    class are left out.

    A resample is a vector of weights, so that all AUCs are two matrix products with the table of pairwise comparisons.
    """
    labels, scores = _both_classes(labels, scores)
    rng = np.random.default_rng(seed)
    if clusters is None:
        weights = np.zeros((resamples, labels.size))
        for side in (labels, ~labels):
            count = int(side.sum())
            weights[:, side] = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    else:
        names, member = np.unique(np.asarray(clusters), return_inverse=True)
        drawn = rng.multinomial(names.size, np.full(names.size, 1 / names.size), size=resamples)
        weights = drawn[:, member].astype(float)
    values = _weighted_auc(labels, scores, weights)
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _weighted_auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUC under each row of weights (b, n); NaN where a class has no weight."""
    positive, negative = scores[labels], scores[~labels]
    w_positive, w_negative = weights[:, labels], weights[:, ~labels]
    wins = np.zeros(weights.shape[0])
    step = max(1, _CHUNK // negative.size)
    for start in range(0, positive.size, step):
        part = slice(start, start + step)
        difference = positive[part, None] - negative[None, :]
        better = (difference > 0) + 0.5 * (difference == 0)
        wins += np.einsum("bn,bn->b", w_positive[:, part] @ better, w_negative)
    pairs = w_positive.sum(axis=1) * w_negative.sum(axis=1)
    return np.divide(wins, pairs, out=np.full_like(wins, np.nan), where=pairs > 0)


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold, what was maximised to find it, and the counts it gives: a score above the threshold is called."""

    threshold: float
    criterion: str
    value: float
    confusion: Confusion


def operating_point(labels: np.ndarray, scores: np.ndarray, criterion: str = "youden") -> OperatingPoint:
    """The threshold with the largest Youden J (recall + specificity - 1) or the largest F1, half-way between two scores.

    Of equal thresholds the lowest is taken: a missed precipitation costs more than a second look.
    """
    labels, scores = _both_classes(labels, scores)
    if criterion not in ("youden", "f1"):
        raise ValueError(f"{criterion!r} is no criterion: choose `youden` or `f1`")
    tp, fp, at = _cumulated(labels, scores)
    positives, negatives = tp[-1], fp[-1]
    value = tp / positives - fp / negatives if criterion == "youden" else 2 * tp / (tp + fp + positives)
    best = int(np.flatnonzero(np.isclose(value, value.max(), rtol=0, atol=1e-12))[-1])
    below = at[best + 1] if best + 1 < at.size else np.nextafter(at[best], -np.inf)
    middle = below + (at[best] - below) / 2
    threshold = float(middle if middle < at[best] else below)
    return OperatingPoint(threshold, criterion, float(value[best]), Confusion.of(labels, scores > threshold))
