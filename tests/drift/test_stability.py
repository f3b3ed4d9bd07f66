"""The stability study's measures: what they are on cases that can be worked out by hand, and what their intervals count."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

from plate_assets.drift.stability.alarms import OfflineTrial, OnlineTrial, halves, offline_alarms, online_alarms
from plate_assets.drift.stability.quality import detector_quality, embedding_quality, neighbours_kept, unit_means
from plate_assets.drift.stability.tables import MEASURES, ONLINE_AUC, STABILITY, THESIS_AUC, thesis_rows

UNIT = np.repeat(np.arange(30), 4)


def scores(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores of 30 wells of four tiles, and labels: the last third of the wells is anomalous."""
    rng = np.random.default_rng(seed)
    anomalous = UNIT >= 20
    return rng.normal(0, 0.3, 30)[UNIT] + rng.normal(0, 0.3, 120) + anomalous, anomalous


def by_name(measured) -> dict:
    return {one.measure: one for one in measured}


def test_nothing_changes_where_nothing_is_corrupted():
    clean, anomalous = scores()
    found = by_name(detector_quality(clean, clean, UNIT, 0.5, anomalous))
    assert found["score_shift"].value == found["calls_lost"].value == found["calls_gained"].value == 0
    assert found["rank_correlation"].value == pytest.approx(1)
    vectors = np.random.default_rng(0).normal(size=(40, 5))
    moved = by_name(embedding_quality(vectors, vectors))
    assert moved["movement"].value == moved["common_shift"].value == 0 and moved["neighbours_kept"].value == 1


def test_a_shift_of_all_scores_is_counted_in_deviations_of_wells_and_leaves_ranks_and_auc():
    clean, anomalous = scores()
    shift = 2 * unit_means(clean, UNIT).std()
    before, after = (by_name(detector_quality(clean, values, UNIT, 0.5, anomalous)) for values in (clean, clean + shift))
    assert after["score_shift"].value == pytest.approx(2) and after["rank_correlation"].value == pytest.approx(1)
    assert after["auc"].value == pytest.approx(before["auc"].value)
    assert after["calls_lost"].value == 0
    assert after["calls_gained"].value == pytest.approx(((clean <= 0.5) & (clean + shift > 0.5)).mean())


def test_the_auc_is_that_of_all_pairs_and_its_interval_covers_it():
    clean, anomalous = scores()
    noisy = clean + np.random.default_rng(1).normal(0, 1, 120)
    found = by_name(detector_quality(clean, noisy, UNIT, 0.5, anomalous))["auc"]
    pairs = noisy[anomalous][:, None] > noisy[~anomalous][None]
    assert found.value == pytest.approx(pairs.mean()) and found.low < found.value < found.high and found.n == 120
    assert "auc" not in by_name(detector_quality(clean, noisy, UNIT, 0.5))
    assert "auc" not in by_name(detector_quality(clean, noisy, UNIT, 0.5, np.zeros(120, bool)))


def test_ranks_are_spearman_s_over_wells_and_undefined_where_a_detector_says_one_thing_of_all():
    clean, _ = scores()
    noisy = clean + np.random.default_rng(2).normal(0, 1, 120)
    found = by_name(detector_quality(clean, noisy, UNIT, 0.5))["rank_correlation"]
    expected = spearmanr(clean.reshape(30, 4).mean(1), noisy.reshape(30, 4).mean(1))[0]
    assert found.value == pytest.approx(expected) and found.low < found.value < found.high
    assert np.isnan(by_name(detector_quality(clean, np.ones(120), UNIT, 0.5))["rank_correlation"].value)


def test_intervals_are_over_wells_not_over_their_tiles():
    """Forty copies of each tile say nothing new, and must not narrow an interval."""
    clean, _ = scores()
    noisy = clean + np.random.default_rng(3).normal(0, 0.5, 30)[UNIT]
    few, many = (by_name(detector_quality(np.repeat(clean, k), np.repeat(noisy, k), np.repeat(UNIT, k), 0.5)) for k in (1, 40))
    for name in ("score_shift", "calls_gained"):
        assert many[name].high - many[name].low == pytest.approx(few[name].high - few[name].low, rel=0.01)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 30))
def test_means_of_units_are_what_a_loop_gives_in_any_order_of_tiles(seed, units, more):
    rng = np.random.default_rng(seed)
    unit = rng.permutation(np.concatenate([np.arange(units), rng.integers(0, units, more)]))
    values = rng.normal(size=(len(unit), 3))
    assert np.allclose(unit_means(values, unit), [values[unit == one].mean(0) for one in range(units)])


def test_a_common_shift_is_told_from_movement_to_all_sides():
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(200, 4))
    scale = np.median(cdist(clean, clean)[np.triu_indices(200, 1)])
    together = by_name(embedding_quality(clean, clean + np.array([scale, 0, 0, 0])))
    assert together["movement"].value == pytest.approx(1) and together["common_shift"].value == pytest.approx(1)
    directions = rng.normal(size=(200, 4))
    apart = by_name(embedding_quality(clean, clean + scale * directions / np.linalg.norm(directions, axis=1, keepdims=True)))
    assert apart["movement"].value == pytest.approx(1) and apart["common_shift"].value < 0.2


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(4, 40), st.floats(0, 2))
def test_neighbours_kept_are_those_of_a_full_table_of_distances(seed, units, moved):
    rng = np.random.default_rng(seed)
    clean = rng.normal(size=(units, 3))
    corrupted = clean + moved * rng.normal(size=(units, 3))
    k = min(5, units - 2)
    near = []
    for vectors in (clean, corrupted):
        distance = cdist(vectors, clean)
        np.fill_diagonal(distance, np.inf)
        near.append(np.argsort(distance, axis=1)[:, :k])
    expected = [len(set(a) & set(b)) / k for a, b in zip(*near, strict=True)]
    assert np.allclose(neighbours_kept(clean, corrupted, 5), expected)


def test_fewer_than_three_units_are_refused():
    with pytest.raises(ValueError, match="three units or more"):
        embedding_quality(np.zeros((2, 3)), np.zeros((2, 3)))


def test_clean_batches_pass_as_often_as_the_test_promises_and_shifted_ones_are_missed_less_the_more_they_shift():
    vectors = np.random.default_rng(0).normal(size=(160, 8))
    trial = OfflineTrial(batch=20, batches=12, seeds=6, permutations=39)
    missed = [by_name(offline_alarms(vectors, vectors + shift, trial))["false_negative_rate"] for shift in (0, 0.3, 1)]
    assert missed[0].value >= 0.87 and missed[0].n == 72  # 0.95 less three deviations of 72 trials
    assert missed[0].value > missed[1].value > missed[2].value == 0
    assert missed[1].low <= missed[1].value <= missed[1].high
    distances = [by_name(offline_alarms(vectors, vectors + shift, trial))["mmd2"].value for shift in (0, 0.3, 1)]
    assert abs(distances[0]) < 0.01 and distances[0] < distances[1] < distances[2]


def test_images_that_have_all_become_one_are_noticed():
    vectors = np.random.default_rng(0).normal(size=(40, 3))
    found = by_name(offline_alarms(vectors, np.ones((40, 3)), OfflineTrial(batch=8, batches=2, seeds=2, permutations=39)))
    assert found["false_negative_rate"].value == 0 and found["mmd2"].value > 0.1


@settings(max_examples=25)
@given(st.integers(2, 200), st.integers(0, 2**32 - 1))
def test_no_unit_is_reference_and_new_at_once(units, seed):
    reference, new = halves(units, np.random.default_rng(seed))
    assert sorted([*reference, *new]) == list(range(units)) and len(reference) == units // 2


def test_the_thesis_s_tables_stand_in_one_row_each_and_meet_in_one():
    rows = thesis_rows()
    assert rows.height == sum(map(len, THESIS_AUC.values())) - 2 == 10
    meeting = rows.filter(rows["thesis_table"] == "Table 6, Table 7, Table 8").row(0, named=True)
    assert (meeting["window"], meeting["ert"], meeting["level"], meeting["thesis_auc"]) == (10, 128, 4, 0.98)
    assert rows.select("corruption", "window", "ert", "level").is_unique().all()


def test_every_measure_is_explained_in_the_table_of_measures():
    meaning = next(column.meaning for column in STABILITY.columns if column.name == "measure")
    assert all(f"`{name}`" in meaning for name in MEASURES) and ONLINE_AUC.empty().height == 0


def test_run_lengths_are_worth_nothing_between_clean_streams_and_all_where_the_drift_is_plain():
    """A plain drift is seen within the window, so that clean streams lose only by the alarms they have until then."""
    vectors = np.random.default_rng(0).normal(size=(160, 6))
    trial = OnlineTrial(windows=(4,), erts=(64,), streams=150, longest=80, seeds=2)
    rows = {
        row["level"]: row for row in online_alarms(vectors, {0: vectors, 2: vectors + 0.7, 3: vectors + 4}, trial).to_dicts()
    }
    assert abs(rows[0]["auc"] - 0.5) < 0.1 and rows[0]["low"] <= rows[0]["auc"] <= rows[0]["high"]
    assert rows[0]["auc"] < rows[2]["auc"] <= rows[3]["auc"]
    assert rows[3]["run_drifted"] <= 2 and rows[3]["caught"] == 1
    assert (
        rows[3]["auc"] > 1 - 3 * rows[3]["run_drifted"] / 64
    )  # what a rate of 1/64 takes away in so few steps, and as much again
    assert rows[3]["run_clean"] > 30 and rows[3]["false_alarms"] == pytest.approx(6 / 64, abs=0.08)


def test_the_thesis_s_way_to_thresholds_can_be_asked_for():
    vectors = np.random.default_rng(0).normal(size=(120, 4))
    trial = OnlineTrial(windows=(3,), erts=(32,), streams=30, longest=40, seeds=1)
    one, other = (
        online_alarms(vectors, {1: vectors + 1}, replace(trial, calibration=how)).row(0, named=True)
        for how in ("run_time", "per_step")
    )
    assert (one["calibration"], other["calibration"]) == ("run_time", "per_step") and other["auc"] > 0.7
