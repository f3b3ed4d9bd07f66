"""A monitor along a line of plates: its run time counts with plates that differ, and an alarm is raised once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plate_assets.drift import online, online_runs
from plate_assets.drift.lines import Episode, configure_line

ERT, PLATES, WELLS = 32, 16, 12


def made_plates(rng: np.random.Generator, count: int, wells: int) -> np.ndarray:
    return (0.8 * rng.normal(size=(count, 1, 5)) + rng.normal(size=(count, wells, 5))).reshape(-1, 5)


def test_where_plates_differ_the_run_time_is_near_the_one_asked_and_that_of_single_wells_is_not():
    lines, single = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        known, labels = made_plates(rng, PLATES, WELLS), np.repeat(np.arange(PLATES), WELLS)
        streams = made_plates(rng, 50 * 40, 4).reshape(50, 160, 5)
        monitor = configure_line(known, labels, window=12, ert=ERT, wells_per_plate=4, seed=seed)
        plain = online.configure(known, window=12, ert=ERT, seed=seed)
        for found, one in ((lines, monitor), (single, plain)):
            found.append(online_runs.mean_run_time(online_runs.run_lengths(one, streams), 160))
    assert 0.7 * ERT < np.mean(lines) < 1.45 * ERT
    assert np.mean(single) < 0.6 * ERT


def test_a_longer_run_time_has_a_higher_threshold_and_the_run_time_is_said():
    rng = np.random.default_rng(0)
    known, labels = made_plates(rng, PLATES, WELLS), np.repeat(np.arange(PLATES), WELLS)
    short, long = (configure_line(known, labels, window=10, ert=ert, wells_per_plate=4) for ert in (16, 64))
    assert short.design.thresholds[0] < long.design.thresholds[0]
    assert short.expected_run_time.mean == pytest.approx(16, rel=0.02)
    assert long.expected_run_time.low < 64 < long.expected_run_time.high


def test_the_order_of_the_reference_and_names_of_plates_change_no_plate_into_another():
    rng = np.random.default_rng(1)
    known, labels = made_plates(rng, PLATES, WELLS), np.repeat(np.arange(PLATES), WELLS)
    names = np.array([f"plate {label:02d}" for label in labels])
    first, second = (configure_line(known, by, window=8, ert=16, wells_per_plate=4).design for by in (labels, names))
    assert first.thresholds == second.thresholds


def test_a_window_that_spans_too_many_plates_is_refused():
    known = made_plates(np.random.default_rng(0), 6, 4)
    with pytest.raises(ValueError, match="twice as many as a window spans"):
        configure_line(known, np.repeat(np.arange(6), 4), window=16, ert=16, wells_per_plate=4)
    with pytest.raises(ValueError, match="twice as many"):
        configure_line(known, np.repeat(np.arange(6), 4), window=16, ert=16, wells_per_plate=0)


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 5))
def test_an_episode_closes_after_two_quiet_windows_and_counts_once_until_then(drifts, window):
    episode, opened = Episode(), 0
    for at, drift in enumerate(drifts):
        before, episode = episode, episode.after(drift, window)
        recent = drifts[max(0, at - 2 * window + 1) : at + 1]
        assert episode.open == any(recent)
        opened += episode.open and not before.open
    assert episode.number == opened
