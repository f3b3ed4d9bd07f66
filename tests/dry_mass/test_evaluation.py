"""ROC curves and counts of flags: AUCs that a count of pairs gives, intervals that cover, operating points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plate_assets.dry_mass.evaluation import (
    flagged_figures,
    forecast_figures,
    repeated_share,
    roc_of,
)
from plate_assets.dry_mass.tables import CELL_ANOMALIES, WINDOW_ANOMALIES
from tests.made_tables import rows_of

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


def test_figures_of_a_timelapse_count_what_was_scored_and_what_was_not():
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
