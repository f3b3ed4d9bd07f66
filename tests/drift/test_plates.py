"""A plate among plates: the rank is exact where plates differ, and the arithmetic is MMD² of each plate against all others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plate_assets.drift import mmd
from plate_assets.drift.plates import block_sums, comparable_rows, compare_plate, plates_needed


def made_plates(rng: np.random.Generator, count: int, wells: int = 5, effect: float = 1.0, size: int = 4) -> np.ndarray:
    """(count, wells, size): each plate with an offset of its own."""
    return effect * rng.normal(size=(count, 1, size)) + rng.normal(size=(count, wells, size))


def against_others(data: np.ndarray, **settings):
    """The last plate against the others."""
    labels = np.repeat(np.arange(len(data) - 1), data.shape[1])
    return compare_plate(data[:-1].reshape(-1, data.shape[2]), labels, data[-1], **settings)


def test_each_statistic_is_the_unbiased_mmd2_of_a_plate_against_all_others():
    data = made_plates(np.random.default_rng(0), 7)
    found = against_others(data)
    expected = [mmd.mmd2(np.delete(data, i, axis=0).reshape(-1, 4), data[i], sigma=found.sigma) for i in range(len(data))]
    assert [*found.null, found.statistic] == pytest.approx(expected, rel=1e-9)


def test_sums_by_group_are_those_of_the_whole_kernel_however_it_is_cut():
    rng = np.random.default_rng(1)
    points, group = rng.normal(size=(700, 3)), np.sort(rng.integers(0, 9, 700))
    k = np.exp(-((points[:, None] - points) ** 2).sum(axis=2) / 2)
    np.fill_diagonal(k, 0)
    member = (group[:, None] == np.arange(9)).astype(float)
    assert block_sums(points, group, 1.0) == pytest.approx(member.T @ k @ member, rel=1e-9)


@settings(max_examples=20)
@given(st.permutations(range(6)), st.integers(0, 50))
def test_the_order_of_reference_plates_and_wells_does_not_matter(order, seed):
    rng = np.random.default_rng(seed)
    data = made_plates(rng, 7)
    mixed = np.concatenate([rng.permutation(data[:-1][list(order)], axis=1), data[-1:]])
    first, second = against_others(data), against_others(mixed)
    assert second.p_value == first.p_value and second.statistic == pytest.approx(first.statistic, rel=1e-6, abs=1e-9)


@settings(max_examples=20)
@given(st.integers(0, 200))
def test_whichever_plate_is_the_new_one_the_ranks_are_those_of_one_pool(seed):
    """What makes the test exact: over the choice of the new plate, the p-values are 1/(1+P), 2/(1+P), …, each once."""
    data = made_plates(np.random.default_rng(seed), 6)
    p_values = [against_others(np.roll(data, -1 - new, axis=0)).p_value for new in range(6)]
    assert sorted(p_values) == pytest.approx(np.arange(1, 7) / 6)


@pytest.mark.parametrize("effect", [0.0, 1.0])
def test_the_rate_of_false_alarms_is_the_level_that_is_said_and_that_of_wells_is_not(effect):
    rng = np.random.default_rng(2)
    trials = [against_others(made_plates(rng, 10, effect=effect), alpha=0.2) for _ in range(400)]
    rate = np.mean([test.p_value <= 0.2 for test in trials])
    assert trials[0].level == pytest.approx(0.2) and abs(rate - 0.2) < 3.3 * np.sqrt(0.16 / 400)
    if effect:
        pools = [made_plates(rng, 10) for _ in range(40)]
        naive = [mmd.test(pool[:-1].reshape(-1, 4), pool[-1], permutations=19).p_value <= 0.05 for pool in pools]
        assert np.mean(naive) > 0.25


def test_few_plates_have_a_floor_and_the_fitted_null_has_none():
    data = made_plates(np.random.default_rng(3), 7)
    data[-1] += 8
    ranked, fitted = against_others(data), against_others(data, null="log_normal")
    assert ranked.p_value == ranked.p_floor == pytest.approx(1 / 7) and ranked.level == 0 and ranked.threshold == np.inf
    assert fitted.p_floor == 0 and fitted.p_value < 0.05 and fitted.threshold < fitted.statistic
    assert [plates_needed(alpha) for alpha in (0.05, 0.01, 0.5)] == [19, 99, 1]


@settings(max_examples=40)
@given(st.integers(0, 100), st.sampled_from(["leave_one_plate_out", "log_normal"]))
def test_the_threshold_is_where_the_decision_turns(seed, null):
    rng = np.random.default_rng(seed)
    data = made_plates(rng, 22)
    data[-1] += rng.uniform(0, 2)
    found = against_others(data, null=null)
    assert (found.p_value <= 0.05) == (found.statistic > found.threshold)


def test_the_fitted_null_keeps_its_rate_roughly():
    rng = np.random.default_rng(4)
    rate = np.mean([against_others(made_plates(rng, 8), null="log_normal", alpha=0.1).p_value <= 0.1 for _ in range(300)])
    assert 0.05 < rate < 0.15


def test_a_shift_of_every_well_that_is_beyond_the_plates_is_found():
    data = made_plates(np.random.default_rng(5), 25, wells=12, effect=0.3)
    data[-1] += 1.0
    found = against_others(data)
    assert found.p_value == found.p_floor and found.effect > 3


def test_as_many_wells_come_from_each_plate_and_the_same_ones_first():
    plates = np.repeat(["a", "b", "c"], [6, 4, 1])
    wells = np.array(["A01", "A02", "A03", "A04", "A05", "A06", "A01", "A02", "A07", "A08", "A01"])
    rows, new = comparable_rows(plates, wells, np.array(["A01", "A02", "A03", "A05"]))
    assert new.tolist() == [0, 1, 2, 3] and plates[rows].tolist() == ["a"] * 4 + ["b"] * 4  # c has too few
    assert set(wells[rows[:4]]) == {"A01", "A02", "A03", "A05"}
    rows, new = comparable_rows(plates[:10], wells[:10], np.array(["A01", "A02", "A03", "A04", "A05", "A06"]))
    assert len(new) == 4 and np.unique(plates[rows], return_counts=True)[1].tolist() == [4, 4]


@pytest.mark.parametrize(
    ("count", "null", "words"),
    [(2, "leave_one_plate_out", "has 1 plates, and 2"), (4, "log_normal", "has 3 plates, and 4"), (4, "normal", "is no null")],
)
def test_what_cannot_be_tested_says_what_is_missing(count, null, words):
    with pytest.raises(ValueError, match=words):
        against_others(made_plates(np.random.default_rng(0), count), null=null)


def test_a_plate_with_a_single_well_and_labels_of_another_length_are_refused():
    data = made_plates(np.random.default_rng(0), 3)
    points = data[:2].reshape(-1, 4)
    with pytest.raises(ValueError, match="plate 'b' has a single well"):
        compare_plate(points, np.array(["a"] * 9 + ["b"]), data[2])
    with pytest.raises(ValueError, match="one label for each row"):
        compare_plate(points, np.array(["a", "b"]), data[2])
