"""Comparison tables: the published rows recomputed from their counts, and what is left out said."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from plate_assets.precipitation.evaluation import compare
from plate_assets.precipitation.tables import EXPERT_LABELS, QUADRUPLET_CALLS

# Yasuno's evaluations: precipitated and normal quadruplets, printed recalls, and what follows from them: accuracy (printed
# as "F1"), precision and the true F1, all in percent. Rows that are copies of another table's are left out.
PUBLISHED = [
    (15, 74, 66.6, 100, 94.38, 100, 80.0), (15, 74, 86.6, 77.0, 78.65, 43.3, 57.8), (15, 74, 86.6, 89.1, 88.76, 61.9, 72.2),
    (15, 74, 66.6, 98.6, 93.25, 90.9, 76.9), (26, 63, 88.5, 81.0, 83.14, 65.7, 75.4), (26, 63, 76.9, 93.6, 88.76, 83.3, 80.0),
    (26, 63, 73.0, 100, 92.13, 100, 84.4), (26, 63, 92.3, 85.7, 87.64, 72.7, 81.4), (26, 63, 76.9, 96.8, 91.01, 90.9, 83.3),
    (17, 62, 100, 88.7, 91.13, 70.8, 82.9), (17, 62, 94.1, 72.5, 77.21, 48.5, 64.0), (17, 62, 76.4, 88.7, 86.07, 65.0, 70.3),
    (17, 62, 82.3, 95.1, 92.40, 82.4, 82.4), (19, 70, 78.9, 95.7, 92.13, 83.3, 81.1), (19, 70, 84.2, 82.9, 83.14, 57.1, 68.1),
    (19, 70, 94.7, 92.9, 93.25, 78.3, 85.7), (19, 70, 94.7, 94.3, 94.38, 81.8, 87.8),
]  # fmt: skip


def experts(labels: list[bool], plate: str = "P1") -> pl.DataFrame:
    rows = {
        "Metadata_Plate": plate, "Metadata_Timepoint": "096h", "Metadata_Quadruplet": [f"q{i}" for i in range(len(labels))],
        "precipitated": labels, "author": "Ann",
    }  # fmt: skip
    return EXPERT_LABELS.conform(pl.DataFrame(rows))


def calls(scores: list, called: list, plate: str = "P1", isolation: list | None = None) -> pl.DataFrame:
    rows = {
        "Metadata_Plate": plate, "Metadata_Timepoint": "096h", "Metadata_Quadruplet": [f"q{i}" for i in range(len(scores))],
        "role": "sample", "n_wells": 4, "wells": "", "score": scores, "anomaly_score": isolation or scores, "threshold": 0.5,
        "call": called, "in_domain": True, "reasons": "", "model_version": "file:aaa",
    }  # fmt: skip
    return QUADRUPLET_CALLS.conform(pl.DataFrame(rows))


@pytest.mark.parametrize(("positives", "negatives", "recall", "recall_normal", "accuracy", "precision", "f1"), PUBLISHED)
def test_published_rows_follow_from_their_counts(positives, negatives, recall, recall_normal, accuracy, precision, f1):
    tp, tn = round(recall / 100 * positives), round(recall_normal / 100 * negatives)
    called = [i < tp for i in range(positives)] + [i >= tn for i in range(negatives)]
    labels = experts([True] * positives + [False] * negatives)
    table = compare({"d": calls([float(c) for c in called], called)}, labels, resamples=50)
    row = table.row(0, named=True)
    assert (row["true_positives"], row["true_negatives"]) == (tp, tn)
    assert 100 * row["accuracy"] == pytest.approx(accuracy, abs=0.02)  # the column that is headed F1
    assert 100 * row["precision"] == pytest.approx(precision, abs=0.06)
    assert 100 * row["f1"] == pytest.approx(f1, abs=0.06)
    assert 100 * row["recall_precipitation"] == pytest.approx(recall, abs=0.1)


def test_the_auc_is_that_of_the_score_and_of_the_isolation_for_the_papers_forest():
    rng = np.random.default_rng(0)
    labels = (np.arange(40) % 4 == 0).tolist()
    score, isolation = rng.normal(labels, 1.0), rng.random(40)
    table = {"d": calls(score.tolist(), labels, isolation=isolation.tolist())}
    for method, values in (("one_sided", score), ("paper_forest", isolation)):
        row = compare(table, experts(labels), method, resamples=200).row(0, named=True)
        assert row["auc"] == pytest.approx(roc_auc_score(labels, values))
        assert row["auc_low"] <= row["auc"] <= row["auc_high"]


def test_what_has_no_score_or_no_call_is_counted_apart():
    labels = experts([True, True, False, False, True])
    table = compare({"d": calls([3.0, None, 1.0, 2.0], [True, None, False, None])}, labels, resamples=50)
    row = table.row(0, named=True)
    assert (row["n_quadruplets"], row["n_without_score"], row["n_without_call"]) == (5, 2, 1)
    assert (row["auc"], row["true_positives"], row["true_negatives"], row["accuracy"]) == (1.0, 1, 1, 1.0)


def test_without_calls_or_without_both_classes_the_figures_stay_empty():
    row = compare({"d": calls([1.0, 2.0], [None, None])}, experts([False, False])).row(0, named=True)
    assert row["auc"] is None and row["accuracy"] is None and row["n_without_call"] == 2
    assert compare({}, experts([True])).is_empty()


def test_detectors_are_compared_over_several_plates_in_the_order_given():
    labels = pl.concat([experts([True, False, False], plate) for plate in ("P1", "P2")])
    good = pl.concat([calls([2.0, 1.0, 0.0], [True, False, False], plate) for plate in ("P1", "P2")])
    bad = pl.concat([calls([0.0, 1.0, 2.0], [False, False, True], plate) for plate in ("P1", "P2")])
    table = compare({"b": bad, "a": good}, labels, resamples=50, by_plate=True)
    assert table["detector"].to_list() == ["b", "a"] and table["auc"].to_list() == [0.0, 1.0]
    assert table["n_plates"].to_list() == [2, 2] and table["f1"].to_list() == [0.0, 1.0]
