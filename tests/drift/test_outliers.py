"""Drift is not outliers: each is seen where it is, and not where the other one is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plate_assets.drift.outliers import find_outliers, neighbour_distances
from plate_assets.drift.plates import compare_plate

PLATES, WELLS, TILES = 24, 12, 4


def made_tiles(seed: int = 0, plates: int = PLATES) -> np.ndarray:
    """(plates, wells, tiles, 5)"""
    rng = np.random.default_rng(seed)
    offset, well = 0.2 * rng.normal(size=(plates, 1, 1, 5)), 0.3 * rng.normal(size=(plates, WELLS, 1, 5))
    return offset + well + rng.normal(size=(plates, WELLS, TILES, 5))


def drift_and_outliers(new: np.ndarray) -> tuple[float, float]:
    """p-value of the plate's wells, and the share of its images that are outliers."""
    reference = made_tiles()
    wells = reference.mean(axis=2).reshape(-1, 5)
    test = compare_plate(wells, np.repeat(np.arange(PLATES), WELLS), new.mean(axis=1))
    labels = np.repeat(np.arange(PLATES), WELLS * TILES)
    return test.p_value, float(find_outliers(reference.reshape(-1, 5), labels, new.reshape(-1, 5)).outlier.mean())


def test_one_spoiled_image_is_an_outlier_and_raises_no_drift():
    for seed in range(3):
        usual = made_tiles(50 + seed, 1)[0]
        spoiled = usual.copy()
        spoiled[3, 2] += 60.0
        before, _ = drift_and_outliers(usual)
        after, share = drift_and_outliers(spoiled)
        assert share >= 1 / (WELLS * TILES) and after > 0.05 and after >= before - 0.1


def test_a_slight_shift_of_every_image_raises_drift_and_makes_no_outlier():
    shifted = made_tiles(60, 1)[0] + 0.6
    p_value, share = drift_and_outliers(shifted)
    assert p_value == pytest.approx(1 / (1 + PLATES)) and share <= 0.02


@given(st.integers(0, 100), st.integers(1, 4))
def test_distances_are_means_over_the_nearest_of_other_plates(seed, neighbours):
    rng = np.random.default_rng(seed)
    points, labels = rng.normal(size=(20, 3)), rng.permutation(np.repeat(np.arange(4), 5))
    apart = np.sqrt(((points[:, None] - points) ** 2).sum(axis=2))
    apart[labels[:, None] == labels] = np.inf
    expected = np.sort(apart, axis=1)[:, :neighbours].mean(axis=1)
    assert neighbour_distances(points, points, neighbours, labels, labels) == pytest.approx(expected, rel=1e-6)


def test_about_the_rate_of_a_usual_plates_images_are_outliers_and_p_values_are_shares():
    reference = made_tiles()
    found = find_outliers(
        reference.reshape(-1, 5), np.repeat(np.arange(PLATES), WELLS * TILES), made_tiles(9, 30).reshape(-1, 5), rate=0.05
    )
    assert found.outlier.mean() == pytest.approx(0.05, abs=0.02)
    assert (found.p_value <= 0.05).mean() == pytest.approx(0.05, abs=0.02)


def test_too_few_images_beside_one_plate_say_so():
    with pytest.raises(ValueError, match="add reference plates"):
        find_outliers(np.random.default_rng(0).normal(size=(9, 2)), np.zeros(9), np.ones((2, 2)))
