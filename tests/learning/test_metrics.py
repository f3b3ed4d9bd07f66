"""Metrics against independent oracles: scikit-learn's, and counts worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from plate_assets.learning.metrics import Confusion, auc, auc_interval, auprc, operating_point, roc_curve


@st.composite
def labelled_scores(draw):
    n = draw(st.integers(2, 60))
    scores = draw(st.lists(st.integers(-5, 5), min_size=n, max_size=n))  # few values: ties are the rule
    labels = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    labels[0], labels[1] = True, False
    return np.array(labels), np.array(scores, dtype=float)


@given(labelled_scores())
def test_auc_and_average_precision_agree_with_scikit_learn_ties_included(sample):
    labels, scores = sample
    assert auc(labels, scores) == pytest.approx(oracle.roc_auc_score(labels, scores))
    assert auprc(labels, scores) == pytest.approx(oracle.average_precision_score(labels, scores))
    false_positive, true_positive = roc_curve(labels, scores)
    assert oracle.auc(false_positive, true_positive) == pytest.approx(auc(labels, scores))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_rates_agree_with_scikit_learn_where_it_defines_them(rows):
    labels, calls = (np.array(side) for side in zip(*rows, strict=True))
    found = Confusion.of(labels, calls)
    tn, fp, fn, tp = oracle.confusion_matrix(labels, calls, labels=[False, True]).ravel()
    assert (found.tn, found.fp, found.fn, found.tp) == (tn, fp, fn, tp)
    assert found.accuracy == pytest.approx(oracle.accuracy_score(labels, calls))
    if tp + fp:
        assert found.precision == pytest.approx(oracle.precision_score(labels, calls))
    if tp + fn:
        assert found.recall == pytest.approx(oracle.recall_score(labels, calls))
    if tn + fp:
        assert found.specificity == pytest.approx(oracle.recall_score(labels, calls, pos_label=False))
    if tp + fp + fn:
        assert found.f1 == pytest.approx(oracle.f1_score(labels, calls))


def test_a_rate_without_a_denominator_is_nan():
    assert np.isnan(Confusion(0, 0, 0, 5).precision)
    assert np.isnan(Confusion(0, 0, 0, 5).f1)


def test_the_interval_holds_the_auc_and_narrows_with_more_rows():
    rng = np.random.default_rng(3)
    widths = []
    for n in (60, 600):
        labels = np.arange(n) % 4 == 0
        scores = rng.normal(labels * 1.0, 1.0)
        low, high = auc_interval(labels, scores, resamples=500)
        assert low < auc(labels, scores) < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_the_interval_equals_a_plain_loop_over_resamples():
    rng = np.random.default_rng(1)
    labels = np.arange(80) % 3 == 0
    scores = np.round(rng.normal(labels * 0.8, 1.0), 1)
    positive, negative = scores[labels], scores[~labels]
    loop = [
        oracle.roc_auc_score(
            np.repeat([True, False], [positive.size, negative.size]),
            np.concatenate([rng.choice(positive, positive.size), rng.choice(negative, negative.size)]),
        )
        for _ in range(800)
    ]
    assert auc_interval(labels, scores, resamples=4000) == pytest.approx(np.quantile(loop, [0.025, 0.975]), abs=0.02)


def test_resampling_plates_widens_the_interval_when_plates_differ():
    rng = np.random.default_rng(5)
    plates = np.repeat(np.arange(6), 40)
    labels = np.tile(np.arange(40) % 4 == 0, 6)
    scores = rng.normal(labels * np.linspace(-1, 3, 6)[plates], 1.0)
    free = auc_interval(labels, scores, resamples=800)
    by_plate = auc_interval(labels, scores, resamples=800, clusters=plates)
    assert by_plate[1] - by_plate[0] > free[1] - free[0]


def test_perfect_separation_has_an_interval_of_one():
    labels = np.arange(30) < 10
    assert auc_interval(labels, labels.astype(float), resamples=100) == (1.0, 1.0)


@given(labelled_scores(), st.sampled_from(["youden", "f1"]))
def test_no_other_threshold_beats_the_operating_point(sample, criterion):
    labels, scores = sample
    point = operating_point(labels, scores, criterion)

    def value(threshold: float) -> float:
        found = Confusion.of(labels, scores > threshold)
        return found.recall + found.specificity - 1 if criterion == "youden" else found.f1

    assert value(point.threshold) == pytest.approx(point.value)
    assert point.value >= max(value(t) for t in np.arange(-6, 6, 0.5)) - 1e-9
    assert point.confusion == Confusion.of(labels, scores > point.threshold)


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [([True, True], [0, 1], "one class"), ([True, False], [0, np.nan], "NaN"), ([True, False], [0], "equal length")],
)
def test_what_cannot_be_compared_is_refused(labels, scores, message):
    with pytest.raises(ValueError, match=message):
        auc(np.array(labels), np.array(scores, dtype=float))
