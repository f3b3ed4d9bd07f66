"""What moved: wells that carry a shift come first, a well that is odd alone does not."""

import numpy as np
import pytest

from plate_assets.drift import mmd
from plate_assets.drift.witness import shift_of_means, witness


def test_wells_that_carry_the_shift_come_first_and_an_odd_one_has_no_part_in_it():
    rng = np.random.default_rng(0)
    reference, batch = rng.normal(size=(400, 3)), rng.normal(size=(40, 3))
    batch[:10] += 2.0
    batch[39] += 50.0
    order = np.argsort(-witness(batch, reference, 2.0))
    assert (np.sort(order[:10]) < 10).mean() >= 0.9
    assert witness(batch, reference, 2.0)[39] == pytest.approx(0, abs=1e-9)


def test_mmd2_is_the_witness_over_the_batch_less_that_over_the_reference():
    rng = np.random.default_rng(1)
    reference, batch = rng.normal(size=(30, 2)), rng.normal(size=(12, 2)) + 1
    over_reference = witness(reference, batch, 1.5)  # the roles changed: its sign is the other one
    expected = witness(batch, reference, 1.5).mean() + over_reference.mean()
    assert mmd.mmd2(reference, batch, sigma=1.5) == pytest.approx(expected)


def test_the_distance_of_means_is_in_standard_deviations_of_its_direction():
    reference = np.random.default_rng(2).normal(size=(20_000, 2)) * [1.0, 10.0]
    assert shift_of_means(reference[:500] * 0 + [3.0, 0.0], reference) == pytest.approx(3, rel=0.05)
    assert shift_of_means(reference[:500] * 0 + [0.0, 5.0], reference) == pytest.approx(0.5, rel=0.1)
    assert shift_of_means(np.ones((3, 2)), np.ones((4, 2))) == 0
    assert shift_of_means(np.zeros((3, 2)), np.ones((4, 2))) == np.inf
