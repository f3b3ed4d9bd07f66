"""Calls on conditions: what the paper's forest gets wrong is a law here."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plate_assets.precipitation.quadruplets import (
    PaperForest,
    QuadrupletCaller,
    call_quadruplets,
    group_wells,
    reference_fingerprint,
)
from plate_assets.precipitation.tables import WELL_SCORES

references = st.integers(0, 30).map(lambda seed: np.random.default_rng(seed).normal(1.0, 0.1, 40))
scores = st.lists(st.floats(-10, 10), min_size=2, max_size=30)


def test_a_very_clean_well_is_not_called_and_a_score_above_every_reference_is():
    reference = np.random.default_rng(0).normal(1.0, 0.1, 100)
    _, call = QuadrupletCaller.fit(reference).call(np.array([0.2, 1.0, 3.0, np.nan]))
    assert call.tolist() == [False, False, True, False]


def test_the_papers_forest_calls_the_clean_well():
    reference = np.random.default_rng(0).normal(1.0, 0.1, 100)
    isolation, call = PaperForest.fit(reference).call(np.array([0.2, np.nan]))
    assert call.tolist() == [True, False] and isolation[0] > 0.7


def test_the_papers_threshold_and_scores_are_scikit_learns():
    from sklearn.ensemble import IsolationForest

    reference = np.random.default_rng(4).normal(1.0, 0.1, 89)
    oracle = IsolationForest(contamination=0.05, random_state=0).fit(reference[:, None])
    caller = PaperForest.fit(reference, contamination=0.05)
    assert caller.threshold == pytest.approx(-oracle.offset_)
    assert caller.call(reference)[1].sum() == (oracle.predict(reference[:, None]) == -1).sum()


@settings(deadline=None, max_examples=15)
@given(references, scores, st.floats(0, 0.5))
def test_a_higher_score_is_never_called_less_nor_less_isolated(reference, values, contamination):
    isolation, call = QuadrupletCaller.fit(reference, contamination).call(np.sort(np.array(values)))
    assert (np.diff(call.astype(int)) >= 0).all()
    assert (np.diff(isolation) >= 0).all() and ((isolation >= 0) & (isolation <= 1)).all()


@settings(deadline=None, max_examples=15)
@given(references, st.floats(0, 0.5), st.floats(0, 5))
def test_at_or_below_the_median_is_never_called_and_above_every_reference_always(reference, contamination, distance):
    caller = QuadrupletCaller.fit(reference, contamination)
    below = np.array([np.median(reference), np.median(reference) - distance])
    above = np.array([np.nextafter(reference.max(), np.inf), reference.max() + 1e-9 + distance])
    assert not caller.call(below)[1].any()
    assert caller.call(above)[1].all()


@settings(deadline=None, max_examples=10)
@given(references, st.floats(0, 0.25), st.floats(0, 0.25))
def test_a_larger_contamination_never_calls_fewer(reference, one, other):
    fewer, more = (QuadrupletCaller.fit(reference, c).call(reference)[1] for c in sorted([one, other]))
    assert (more | ~fewer).all()


def test_contamination_is_the_share_of_the_reference_that_is_called():
    reference = np.random.default_rng(2).gamma(4.0, 1.0, 1000)
    share = QuadrupletCaller.fit(reference, contamination=0.05).call(reference)[1].mean()
    assert share == pytest.approx(0.05, abs=0.01)


def test_a_reference_that_does_not_spread_calls_only_what_lies_above_it():
    caller = QuadrupletCaller.fit(np.ones(20))
    assert caller.call(np.array([0.0, 1.0, 1.1, 1e300]))[1].tolist() == [False, False, True, True]


def test_a_reference_too_small_says_what_to_do():
    with pytest.raises(ValueError, match="add a reference plate"):
        QuadrupletCaller.fit(np.ones(3))
    with pytest.raises(ValueError, match="19 of 20 reference scores are finite"):
        PaperForest.fit(np.append(np.ones(19), np.nan))
    with pytest.raises(ValueError, match="contamination"):
        QuadrupletCaller.fit(np.ones(20), contamination=0.7)


def well(name: str, score: float | None, **changes) -> dict:
    row, col = ord(name[0]) - 64, int(name[1:])
    return {
        "Metadata_Plate": "P1", "Metadata_Timepoint": "096h", "Metadata_Timepoint_h": 96.0,
        "Metadata_Well": name, "Metadata_Row": row, "Metadata_Col": col, "Metadata_Quadruplet": "A01",
        "condition": "medium 1", "role": "sample", "n_sites": 1, "n_tiles": 12, "score": score, "tile_max": score,
        "local_std": 0.1, "in_domain": True, "excluded": False, "flagged": False, "reasons": "",
        "model_version": "file:0123456789ab",
    } | changes  # fmt: skip


def wells(*rows: dict) -> pl.DataFrame:
    return WELL_SCORES.conform(pl.DataFrame(rows, infer_schema_length=None))


def reference_table(n: int = 60) -> pl.DataFrame:
    return pl.DataFrame({
        "Metadata_Plate": "R1", "Metadata_Timepoint": "096h", "Metadata_Quadruplet": [f"q{i}" for i in range(n)],
        "score": np.random.default_rng(1).normal(1.0, 0.1, n),
    })  # fmt: skip


def test_the_largest_score_of_the_wells_that_count_is_the_groups():
    plate = wells(
        well("A01", 1.0),
        well("A02", 9.0, excluded=True, reasons="fibre; seen by Ann"),
        well("B01", None, reasons="no image"),
        well("B02", 2.0, flagged=True, reasons="out of focus"),
    )
    group = group_wells(plate).row(0, named=True)
    assert (group["score"], group["n_wells"], group["wells"]) == (2.0, 2, "A01 B02")
    assert group["reasons"] == "A02 excluded (fibre, seen by Ann); B01 has no score (no image); B02 flagged (out of focus)"
    assert call_quadruplets(plate, reference_table())["call"].to_list() == [True]


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_the_wells_changes_nothing(values, random):
    rows = [well(name, value) for name, value in zip(("A01", "A02", "B01", "B02"), values, strict=False)]
    shuffled = random.sample(rows, len(rows))
    assert group_wells(wells(*rows)).equals(group_wells(wells(*shuffled)))
    assert group_wells(wells(*rows))["score"].to_list() == [max(values)]


def test_without_a_reference_the_call_is_empty_and_says_what_to_add():
    calls = call_quadruplets(wells(well("A01", 9.0)), None)
    assert calls["call"].to_list() == [None] and calls["score"].to_list() == [9.0]
    assert "--reference PLATE" in calls["reasons"][0]
    assert call_quadruplets(wells(well("A01", 9.0)), reference_table().clear())["call"].to_list() == [None]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"in_domain": False}, "outside the model's domain"),
        ({"role": "empty"}, "no sample"),
        ({"excluded": True}, "no well with a score"),
        ({"score": float("nan")}, "A01 has no score"),
    ],
)
def test_what_must_not_be_called_is_empty_and_says_why(changes, reason):
    calls = call_quadruplets(wells(well("A01", 9.0) | changes), reference_table())
    assert calls["call"].to_list() == [None] and reason in calls["reasons"][0]


def test_raw_score_normalised_score_and_threshold_are_all_there_and_agree_with_the_call():
    plate = wells(well("A01", 1.0), well("C01", 3.0, Metadata_Quadruplet="C01"))
    reference = reference_table()
    calls = call_quadruplets(plate, reference, contamination=0.05)
    median = np.median(reference["score"])
    mad = np.median(np.abs(reference["score"].to_numpy() - median))
    assert calls["normalised_score"].to_list() == pytest.approx([(1 - median) / (1.4826 * mad), (3 - median) / (1.4826 * mad)])
    assert calls["call"].to_list() == (calls["anomaly_score"] > calls["threshold"]).to_list() == [False, True]
    assert calls["reference"].unique().to_list() == [reference_fingerprint(reference.reverse())]


def test_a_plate_that_is_its_own_reference_says_so():
    calls = call_quadruplets(wells(well("A01", 1.0, Metadata_Plate="R1")), reference_table())
    assert "one of its own reference plates" in calls["reasons"][0]


def test_wells_of_different_conditions_in_one_group_deserve_a_second_look():
    calls = call_quadruplets(wells(well("A01", 1.0), well("A02", 1.0, condition="medium 2")), reference_table())
    assert "different conditions" in calls["reasons"][0]


def test_unused_wells_of_a_partly_used_quadruplet_do_not_count():
    plate = wells(well("A01", 1.0), well("A02", 9.0, role="empty", condition=None))
    call = call_quadruplets(plate, reference_table()).row(0, named=True)
    assert (call["score"], call["wells"], call["call"], call["role"], call["reasons"]) == (1.0, "A01", False, "sample", "")
