"""The offline test: the statistic against its definition, the p-value against exchangeability, and what is refused."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist
from scipy.stats import binom

from plate_assets.drift import mmd


def by_definition(x: np.ndarray, y: np.ndarray, sigma: float) -> float:
    def k(a, b):
        return np.exp(-cdist(a, b, "sqeuclidean") / (2 * sigma**2))

    n, m = len(x), len(y)
    return (k(x, x).sum() - n) / (n * (n - 1)) + (k(y, y).sum() - m) / (m * (m - 1)) - 2 * k(x, y).mean()


@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(2, 30), st.floats(0.1, 10))
def test_the_statistic_is_its_definition(seed, n, m, sigma):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 3)), rng.normal(0.5, 1, (m, 3))
    expected = by_definition(x, y, sigma)
    assert mmd.mmd2(x, y, sigma=sigma) == pytest.approx(expected, abs=1e-12)
    assert mmd.test(x, y, sigma=sigma, permutations=19).mmd2 == pytest.approx(expected, abs=1e-12)


def test_samples_of_several_blocks_give_the_statistic_of_one():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(700, 5)), rng.normal(0.1, 1, (300, 5))
    assert mmd.mmd2(x, y, sigma=2.0) == pytest.approx(by_definition(x, y, 2.0), abs=1e-12)


def test_every_split_has_its_own_size():
    rng = np.random.default_rng(1)
    points, members = rng.normal(size=(40, 4)), rng.random((12, 40)) < np.linspace(0.2, 0.8, 12)[:, None]
    expected = [by_definition(points[~member], points[member], 1.0) for member in members]
    np.testing.assert_allclose(mmd.split_mmd2(points, members, 1.0), expected, atol=1e-12)


def test_sigma_is_the_median_distance_of_the_reference():
    rng = np.random.default_rng(2)
    reference = rng.normal(size=(30, 3))
    assert mmd.test(reference, rng.normal(size=(9, 3))).sigma == pytest.approx(np.median(pdist(reference)))


@given(st.integers(0, 10_000), st.integers(19, 150), st.floats(0, 1))
def test_drift_is_to_be_above_the_threshold(seed, permutations, shift):
    rng = np.random.default_rng(seed)
    found = mmd.test(rng.normal(size=(15, 2)), rng.normal(shift, 1, (12, 2)), permutations=permutations, seed=seed)
    assert 1 / (1 + permutations) <= found.p_value <= 1
    assert found.drift == (found.mmd2 > found.threshold) == (found.p_value <= 0.05)


def test_a_shift_of_all_is_drift_and_the_same_seed_gives_the_same_answer():
    rng = np.random.default_rng(3)
    reference, batch = rng.normal(size=(200, 8)), rng.normal(0.4, 1, (100, 8))
    found = mmd.test(reference, batch, seed=7)
    assert found.p_value == pytest.approx(1 / 101)
    assert mmd.test(reference, batch, seed=7) == found


@pytest.mark.parametrize("rows", [2, 20])
def test_without_drift_the_p_value_is_at_most_alpha_as_often_as_alpha(rows):
    """5 of 101 are at or below 0.05; with two rows a side most splits are equal, and equals count against an alarm."""
    rng = np.random.default_rng(4)
    trials = 1_000
    alarms = sum(mmd.test(rng.normal(size=(rows, 3)), rng.normal(size=(rows, 3)), seed=trial).drift for trial in range(trials))
    low, high = binom.interval(0.9999, trials, 5 / 101)
    assert alarms <= high and (rows == 2 or alarms >= low)


def test_memory_does_not_grow_with_the_square_of_the_reference():
    rng = np.random.default_rng(5)
    reference, batch = rng.normal(size=(6_000, 4)), rng.normal(size=(50, 4))
    tracemalloc.start()
    mmd.test(reference, batch, permutations=19)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.5 * 8 * 6_000**2  # half of the kernel's matrix


ROWS = np.random.default_rng(6).normal(size=(10, 4))


@pytest.mark.parametrize(
    ("reference", "batch", "says"),
    [
        (np.empty((0, 4)), ROWS, "the reference has 0 rows.*pass more embeddings"),
        (ROWS, ROWS[:1], "the batch has 1 rows"),
        (ROWS, ROWS[0], "one vector, where rows .* goes to `OnlineMonitor.update`"),
        (ROWS, ROWS[:, :3], "3 dimensions and the reference 4: embed both with the same version"),
        (np.where(ROWS > 1.5, np.nan, ROWS), ROWS, "hold NaN or infinity, the first is row"),
        (ROWS, np.full((5, 4), np.inf), "5 of 5 rows of the batch"),
        (np.ones((5, 4)), ROWS, "all 5 rows of the reference are the same vector"),
        (ROWS, np.ones((5, 4)), "all 5 rows of the batch are the same vector"),
        (ROWS[None], ROWS, r"shape \(1, 10, 4\): pass rows"),
        (ROWS, [["a", "b", "c", "d"]] * 3, "no array of numbers"),
    ],
)  # fmt: skip
def test_what_is_no_sample_is_refused_with_what_to_pass(reference, batch, says):
    with pytest.raises(ValueError, match=says):
        mmd.test(reference, batch)


def test_parameters_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match="give 19 or more"):
        mmd.test(ROWS, ROWS, permutations=18)
    for sigma in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="give a distance above 0"):
            mmd.test(ROWS, ROWS, sigma=sigma)
