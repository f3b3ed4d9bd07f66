"""Which tiles a person is asked to label."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plate_assets.drift.labelling_choice import spread_choice


def made(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random(n), rng.choice([f"A{i:02d}" for i in range(1, 13)], n), rng.normal(size=(n, 5))


def test_one_odd_well_cannot_fill_the_batch():
    novelty, wells, vectors = made(600)
    novelty[wells == "A03"] += 10
    chosen, _ = spread_choice(novelty, wells, vectors, 24)
    counts = np.unique(wells[chosen], return_counts=True)[1]
    assert len(counts) == 12 and counts.max() <= 4


def test_every_look_that_is_novel_is_in_the_batch():
    novelty, wells, vectors = made(400)
    novelty[:] = 0.1
    for group in range(4):
        novelty[group * 50 : group * 50 + 50] = 1.0
        vectors[group * 50 : group * 50 + 50] = 20 * np.eye(5)[group]
    chosen, groups = spread_choice(novelty, wells, vectors, 12, groups=4)
    assert set(chosen // 50) == {0, 1, 2, 3} and len(set(groups.tolist())) == 4


def test_within_a_well_and_a_group_the_most_novel_comes_first():
    novelty = np.array([0.2, 0.9, 0.5])
    chosen, _ = spread_choice(novelty, np.array(["A01"] * 3), np.zeros((3, 2)), 3)
    assert chosen.tolist() == [1, 2, 0]


@given(st.integers(0, 60), st.integers(0, 30), st.integers(0, 5))
def test_a_batch_has_no_tile_twice_and_never_more_than_asked(n, count, seed):
    novelty, wells, vectors = made(n, seed)
    chosen, groups = spread_choice(novelty, wells, vectors, count, groups=3)
    assert len(chosen) == len(set(chosen.tolist())) == min(n, count) == len(groups)
    again, _ = spread_choice(novelty, wells, vectors, count, groups=3)
    assert chosen.tolist() == again.tolist()


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="3 scores, 2 wells and 3 vectors"):
        spread_choice(np.zeros(3), np.array(["A01", "A02"]), np.zeros((3, 2)), 2)
