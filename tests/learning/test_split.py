"""Splits: whole groups, near the shares, the same every time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plate_assets.learning.split import SPLITS, grouped_split

rows = st.lists(st.tuples(st.integers(0, 15), st.booleans()), min_size=3, max_size=80)
rows = rows.filter(lambda sample: len({group for group, _ in sample}) >= 3)


@given(rows, st.integers(0, 20))
def test_a_group_is_in_one_split_only_and_no_split_is_empty(sample, seed):
    groups, positive = (np.array(side) for side in zip(*sample, strict=True))
    split = grouped_split(groups, positive, seed=seed)
    assert all(len(set(split[groups == group])) == 1 for group in set(groups.tolist()))
    assert set(split) == set(SPLITS)


@given(rows, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(sample, random):
    groups, positive = (np.array(side) for side in zip(*sample, strict=True))
    order = np.array(random.sample(range(len(sample)), len(sample)))
    assert (grouped_split(groups, positive)[order] == grouped_split(groups[order], positive[order])).all()


def test_both_classes_come_as_near_to_the_shares_as_the_richest_group_is_large():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 120, 6600)
    positive = rng.random(6600) < 0.02 + 0.4 * (groups % 10 == 0)  # positives cluster in few groups, as precipitates do
    split = grouped_split(groups, positive)
    for side in (positive, ~positive):
        shares = [np.mean(split[side] == name) for name in SPLITS]
        assert shares == pytest.approx([0.65, 0.15, 0.20], abs=np.bincount(groups[side]).max() / side.sum())


def test_two_groups_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match="3 or more wells"):
        grouped_split(np.array(["a", "b"]), np.array([True, False]))
