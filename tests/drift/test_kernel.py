"""Distances and kernels against SciPy's pairwise ones, and what no block or shift may change."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist

from plate_assets.drift import kernel


@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(1, 6))
def test_squared_distances_are_those_of_scipy(seed, rows, size):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(rows, size)), rng.normal(size=(rows + 3, size))
    np.testing.assert_allclose(kernel.squared_distances(x, y), cdist(x, y, "sqeuclidean"), atol=1e-12)


def test_points_far_from_zero_lose_no_digits():
    points = np.random.default_rng(0).normal(size=(50, 8))
    here, far = kernel.squared_distances(points, points), kernel.squared_distances(points + 1e5, points + 1e5)
    np.testing.assert_allclose(far, here, atol=1e-8)
    assert (far >= 0).all()


@given(st.integers(0, 10_000), st.integers(2, 60))
def test_the_median_is_that_of_all_pairs(seed, rows):
    points = np.random.default_rng(seed).normal(size=(rows, 3))
    assert kernel.median_distance(points) == pytest.approx(np.median(pdist(points)), rel=1e-12)


def test_the_median_of_many_pairs_is_exact_too():
    """Beyond eight million pairs most of them are only counted."""
    points = np.random.default_rng(1).standard_t(3, size=(4_300, 4))
    assert kernel.median_distance(points) == pytest.approx(np.median(pdist(points)), rel=1e-12)


@pytest.mark.parametrize(
    "points",
    [
        np.random.default_rng(4).normal(size=(500, 3)),
        np.sort(np.random.default_rng(5).normal(size=(700, 1)), axis=0),
        np.random.default_rng(6).integers(0, 4, (500, 2)),  # few distances, most of them often
        np.random.default_rng(7).normal(size=(500, 2)) + 100 * (np.arange(500)[:, None] < 250),  # the median is in no cluster
    ],
)  # fmt: skip
def test_the_median_of_some_hundred_thousand_pairs_is_exact_wherever_they_lie(points):
    assert kernel.median_distance(points.astype(float)) == pytest.approx(np.median(pdist(points)), rel=1e-12)


def test_blocks_of_the_kernel_hold_each_pair_once_and_no_point_with_itself():
    points = np.random.default_rng(2).normal(size=(600, 3))
    whole = np.zeros((600, 600))
    for rows, k in kernel.kernel_blocks(points, 1.5):
        whole[rows, rows.start :] = k
    expected = np.triu(np.exp(-cdist(points, points, "sqeuclidean") / (2 * 1.5**2)), 1)
    np.testing.assert_allclose(np.triu(whole), expected, atol=1e-12)


def test_points_that_mostly_coincide_have_no_median_distance():
    points = np.zeros((20, 2))
    points[0] = 1.0
    with pytest.raises(ValueError, match="drop repeated rows, or give sigma"):
        kernel.median_distance(points)
