"""Precision and ROC curves: the paper's own counts, intervals that cover, and AUCs that a count of pairs gives."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from plate_assets.dry_mass.evaluation import (
    flagged_figures,
    forecast_figures,
    latest_verdicts,
    proportion_interval,
    repeated_share,
    roc_of,
    verdict_precision,
)
from plate_assets.dry_mass.tables import ANNOTATIONS, CELL_ANOMALIES, WINDOW_ANOMALIES
from tests.made_tables import rows_of

counts = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, st.sampled_from([("wilson", "wilson"), ("clopper_pearson", "exact")]), st.sampled_from([0.9, 0.95, 0.99]))
def test_intervals_are_scipys(count, methods, confidence):
    (ours, scipys), (part, whole) = methods, count
    oracle = binomtest(part, whole).proportion_ci(confidence, scipys)
    assert proportion_interval(part, whole, ours, confidence) == pytest.approx((oracle.low, oracle.high), abs=1e-9)


def test_nothing_counted_has_no_interval_and_what_is_no_proportion_is_refused():
    assert np.isnan(proportion_interval(0, 0)).all()
    with pytest.raises(ValueError, match="5 of 4 is no proportion"):
        proportion_interval(5, 4)
    with pytest.raises(ValueError, match="'wald' is no interval"):
        proportion_interval(1, 4, "wald")  # pyright: ignore[reportArgumentType]


def annotations(verdicts: list[tuple[int, str, str | None]]) -> pl.DataFrame:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        {"Metadata_Timelapse": "T1", "path_id": path, "verdict": verdict, "biology": biology, "author": "Ann",
         "decided_at": began + timedelta(minutes=number)}
        for number, (path, verdict, biology) in enumerate(verdicts)
    ]  # fmt: skip
    return ANNOTATIONS.conform(pl.DataFrame(rows, schema_overrides={"biology": pl.String}))


def counted(classes: dict[str, int], biology: dict[str, int] | None = None) -> pl.DataFrame:
    verdicts = [name for name, n in classes.items() for _ in range(n)]
    kinds = iter([name for name, n in (biology or {}).items() for _ in range(n)])
    return annotations(
        [(path, name, next(kinds, None) if name == "biological" else None) for path, name in enumerate(verdicts)]
    )


PAPER = {  # Tables 2-5
    "A": ((51, 38, 3, 8, 4), (3, 19, 10, 2, 3, 1), 0.962),
    "B": ((32, 40, 4, 10, 17), (6, 16, 2, 8, 8, 0), 0.835),
    "B by A": ((44, 45, 7, 4, 4), (9, 22, 4, 3, 5, 2), 0.962),
}
VERDICTS = ("acquisition", "biological", "both", "either", "false_positive")
BIOLOGY = ("division", "growth", "merge", "too_big", "dead", "other")


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_verdicts_give_its_precision_and_its_classes(name):
    verdicts, biology, precision = PAPER[name]
    table = verdict_precision(counted(dict(zip(VERDICTS, verdicts, strict=True)), dict(zip(BIOLOGY, biology, strict=True))))
    found = table.filter(kind="precision").row(0, named=True)
    assert found["share"] == pytest.approx(precision, abs=5e-4)
    assert found["low"] < found["share"] < found["high"] and found["whole"] == sum(verdicts)
    assert table.filter(kind="verdict")["n"].to_list() == list(verdicts)
    assert table.filter(kind="biology")["n"].to_list() == list(biology)
    assert table.filter(kind="biology")["whole"].unique().to_list() == [verdicts[1]]


def test_the_last_verdict_on_a_path_counts():
    table = annotations([(1, "false_positive", None), (2, "acquisition", None), (1, "biological", "dead")])
    assert latest_verdicts(table).sort("path_id")["verdict"].to_list() == ["biological", "acquisition"]
    assert latest_verdicts(table.reverse()).sort("path_id")["verdict"].to_list() == ["biological", "acquisition"]
    assert verdict_precision(table).filter(kind="precision")["share"].to_list() == [1.0]


def test_verdicts_on_paths_that_are_not_flagged_do_not_count():
    table = annotations([(1, "biological", "dead"), (2, "false_positive", None), (3, "false_positive", None)])
    cells = rows_of(CELL_ANOMALIES, 3, Metadata_Timelapse=["T1"] * 3, path_id=[1, 2, 3], abnormal=[True, True, None])
    assert verdict_precision(table, cells).filter(kind="precision").select("n", "whole").row(0) == (1, 2)


def test_no_verdict_has_no_precision_and_an_unknown_one_is_named():
    table = verdict_precision(ANNOTATIONS.empty())
    assert table["n"].sum() == 0 and table["share"].null_count() == table.height == 12
    with pytest.raises(ValueError, match="path 7: verdict 'odd' is none of acquisition"):
        latest_verdicts(annotations([(7, "odd", None)]))
    with pytest.raises(ValueError, match="path 7: biology 'ill' is none of division"):
        latest_verdicts(annotations([(7, "biological", "ill")]))


scored = (
    st.integers(0, 1000)
    .map(np.random.default_rng)
    .map(lambda rng: (rng.integers(0, 9, 40).astype(float), rng.integers(0, 8, 40)))
)


@given(scored)
def test_the_auc_is_the_share_of_pairs_in_the_right_order(made):
    scores, clusters = made
    altered = np.arange(40) % 3 == 0
    pairs = np.subtract.outer(scores[altered], scores[~altered])
    roc = roc_of(altered, scores, 4.0, clusters, resamples=20)
    assert roc.auc == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())
    assert (np.diff(roc.false_positive_rate) >= 0).all() and (np.diff(roc.true_positive_rate) >= 0).all()


def test_the_operating_point_is_that_of_the_models_threshold_and_lies_on_the_curve():
    rng = np.random.default_rng(0)
    altered = np.repeat([False, True], 500)
    scores = rng.gamma(2.0, 1.0, 1000) + altered
    threshold = scores[:500].mean() + 2 * scores[:500].std()
    point = roc_of(altered, scores, threshold, np.arange(1000)).operating
    called = scores > threshold
    assert point.recall == called[500:].mean() and point.false_positive_rate == called[:500].mean()
    assert point.precision == pytest.approx(called[500:].sum() / called.sum())
    none = roc_of(altered, scores, 1e9, np.arange(1000)).operating
    assert none.recall == 0 and np.isnan(none.precision)


def test_the_interval_is_that_of_resampled_lineages_and_widens_with_them():
    rng = np.random.default_rng(1)
    lineage = np.repeat(np.arange(40), 25)
    altered = lineage >= 20
    own = rng.normal(0, 1, 40)[lineage] + 0.7 * altered  # windows of a lineage are alike
    scores = own + rng.normal(0, 0.2, 1000)
    wide, narrow = (roc_of(altered, scores, 1.0, clusters) for clusters in (lineage, np.arange(1000)))
    assert wide.low < wide.auc < wide.high
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    drawn = np.random.default_rng(5)
    values = []
    for _ in range(300):
        rows = np.concatenate([np.flatnonzero(lineage == one) for one in drawn.integers(0, 40, 40)])
        pairs = np.subtract.outer(scores[rows][altered[rows]], scores[rows][~altered[rows]])
        values.append((pairs > 0).mean())
    assert (wide.low, wide.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=0.04)


def test_one_culture_alone_has_no_curve():
    with pytest.raises(ValueError, match="of one class"):
        roc_of(np.ones(5, dtype=bool), np.arange(5.0), 1.0, np.arange(5))


def test_the_flags_that_another_model_repeats_are_counted():
    one = rows_of(CELL_ANOMALIES, 4, path_id=[1, 2, 3, 4], abnormal=[True, True, True, None])
    other = rows_of(CELL_ANOMALIES, 4, path_id=[1, 2, 3, 4], abnormal=[True, False, True, True])
    assert repeated_share(one, other) == (2, 3)


def test_figures_of_a_film_count_what_was_scored_and_what_was_not():
    windows = rows_of(
        WINDOW_ANOMALIES, 4, window_start_h=[0.0, 1.0, 2.0, 3.0], mse=[1.0, 2.0, 6.0, None],
        mse_persistence=[2.0, 2.0, 2.0, None], mse_linear=[3.0, 3.0, 3.0, None], abnormal=[False, False, True, None],
    )  # fmt: skip
    assert forecast_figures(windows) == {
        "windows": 3, "windows with a gap": 1, "MSE": 3.0, "MSE persistence": 2.0, "MSE linear": 3.0,
        "abnormal windows": pytest.approx(1 / 3),
    }  # fmt: skip
    cells = rows_of(
        CELL_ANOMALIES, 4, path_id=[1, 2, 3, 4], score=[0.5, 0.0, 0.4, None], abnormal=[True, False, True, None],
        cause=["acquisition", "none", "biological", "none"],
    )  # fmt: skip
    assert flagged_figures(cells) == {
        "paths": 4, "paths scored": 3, "paths flagged": 2, "share flagged": pytest.approx(2 / 3),
        "flagged, acquisition": 1, "flagged, biological": 1,
    }  # fmt: skip
