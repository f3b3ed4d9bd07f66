"""The online test: the statistic against the offline one, run times against the ERT, and a monitor that survives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save
from scipy.spatial.distance import cdist

from plate_assets.drift import mmd, online, online_runs
from plate_assets.drift.online import OnlineMonitor
from plate_assets.drift.online_thresholds import Bootstrap, ReferenceKernel, draw_streams, per_step

RNG = np.random.default_rng(0)
REFERENCE, STREAM = RNG.normal(size=(120, 4)), RNG.normal(size=(40, 4))


@pytest.fixture
def monitor() -> OnlineMonitor:
    return online.configure(REFERENCE, window=5, ert=16, seed=3)


def test_each_step_is_the_mmd_of_the_last_vectors_and_the_rows(monitor):
    rows = monitor.design.rows
    assert len(rows) == 115
    before = monitor.design.start
    for at, vector in enumerate(STREAM):
        step = monitor.update(vector)
        window = np.concatenate([before, STREAM[: at + 1]])[-5:]
        assert step.statistic == pytest.approx(mmd.mmd2(rows, window, sigma=monitor.design.sigma), abs=1e-12)
        assert step.drift == (step.statistic > step.threshold)


def test_rows_and_start_are_the_reference_in_two(monitor):
    both = np.concatenate([monitor.design.rows, monitor.design.start])
    assert sorted(map(tuple, both)) == sorted(map(tuple, REFERENCE))


def test_a_restored_monitor_continues_to_the_bit(monitor):
    for vector in STREAM[:7]:
        monitor.update(vector)
    restored = OnlineMonitor.from_bytes(monitor.to_bytes())
    assert [restored.update(vector) for vector in STREAM[7:]] == [monitor.update(vector) for vector in STREAM[7:]]
    assert restored.to_bytes() == monitor.to_bytes()
    assert restored.expected_run_time == monitor.expected_run_time


def test_bytes_that_are_no_whole_monitor_are_refused(monitor):
    whole = monitor.to_bytes()
    for cut in (0, 7, 8, 100, len(whole) // 2, len(whole) - 1):
        with pytest.raises(ValueError, match="give what `to_bytes` made"):
            OnlineMonitor.from_bytes(whole[:cut])
    with pytest.raises(ValueError, match="give what `to_bytes` made"):
        OnlineMonitor.from_bytes(save({"rows": REFERENCE}))


def test_a_restart_is_a_monitor_as_it_was_configured(monitor):
    fresh = monitor.to_bytes()
    first = [monitor.update(vector) for vector in STREAM[:6]]
    monitor.restart()
    assert monitor.to_bytes() == fresh
    assert [monitor.update(vector) for vector in STREAM[:6]] == first


def test_a_refused_vector_changes_nothing(monitor):
    before = monitor.to_bytes()
    for vector, says in (
        (STREAM[:3], "pass the rows of a batch one after another"),
        (STREAM[:1], "pass the rows of a batch one after another"),
        (STREAM[0, :3], "3 dimensions and the reference 4"),
        (np.array([1.0, np.nan, 0, 0]), "NaN or infinity"),
    ):
        with pytest.raises(ValueError, match=says):
            monitor.update(vector)
    assert monitor.to_bytes() == before


def test_a_shift_is_found_soon(monitor):
    assert any(monitor.update(vector + 2.0).drift for vector in STREAM[:5])


def test_many_streams_at_once_say_what_updates_say(monitor):
    streams = RNG.normal(0.3, 1, (6, 30, 4))
    each = []
    for stream in streams:
        monitor.restart()
        each.append([monitor.update(vector) for vector in stream])
    statistics = [[step.statistic for step in steps] for steps in each]
    np.testing.assert_allclose(online_runs.statistics(monitor, streams), statistics, atol=1e-12)
    alarms = [next((at for at, step in enumerate(steps, 1) if step.drift), 0) for steps in each]
    assert online_runs.run_lengths(monitor, streams).tolist() == alarms


def test_streams_of_another_shape_are_refused(monitor):
    with pytest.raises(ValueError, match=r"pass \(streams, steps, 4\)"):
        online_runs.run_lengths(monitor, STREAM)
    with pytest.raises(ValueError, match="NaN or infinity"):
        online_runs.run_lengths(monitor, np.full((2, 3, 4), np.nan))


@pytest.mark.parametrize("n", [60, 400])
def test_the_mean_run_time_without_drift_is_the_one_asked_for(n):
    """Over 50 references of one population; `benchmarks.drift_calibration` does it at length."""
    ert, rng, runs = 16, np.random.default_rng(n), []
    for seed in range(50):
        made = online.configure(rng.normal(size=(n, 4)), window=4, ert=ert, seed=seed)
        runs.append(online_runs.mean_run_time(online_runs.run_lengths(made, rng.normal(size=(25, 64, 4))), 64))
    assert np.mean(runs) == pytest.approx(ert, rel=0.1)


def test_the_spread_that_is_shown_is_that_of_the_references():
    """Measured over 40 references; what 100 runs leave to chance is taken off."""
    rng, measured, shown = np.random.default_rng(8), [], []
    for seed in range(40):
        made = online.configure(rng.normal(size=(100, 4)), window=10, ert=16, seed=seed)
        lengths = online_runs.run_lengths(made, rng.normal(size=(100, 64, 4)))
        measured.append(np.log(online_runs.mean_run_time(lengths, 64)))
        shown.append(made.expected_run_time)
    assert all(time.low < time.mean < time.high for time in shown)
    assert np.mean([time.mean for time in shown]) == pytest.approx(16, rel=0.03)
    spread = np.sqrt(np.var(measured) - 1 / 100)
    assert 0.5 < np.mean([time.relative_spread for time in shown]) / spread < 2


def test_thresholds_step_by_step_are_those_of_the_recipe_done_slowly():
    window, ert, points = 4, 8, REFERENCE[:40]
    splits = np.array([np.random.default_rng(seed).permutation(40)[: 2 * window - 1] for seed in range(90)])
    found = per_step(ReferenceKernel.of(points, 1.7, np.random.default_rng(0)), window, ert, splits)
    left = list(splits)
    for step in range(window):
        statistics = [mmd.mmd2(np.delete(points, held, axis=0), points[held[step : step + window]], sigma=1.7) for held in left]
        threshold = np.quantile(statistics, 1 - 1 / ert)
        assert found[step] == pytest.approx(threshold, abs=1e-6)
        left = [held for held, statistic in zip(left, statistics, strict=True) if statistic < threshold]


def test_a_monitor_of_the_recipe_holds_its_last_threshold():
    made = online.configure(REFERENCE, window=5, ert=16, calibration="per_step")
    thresholds = [made.update(vector).threshold for vector in STREAM[:10]]
    assert thresholds == [*made.design.thresholds[1:], *[made.design.thresholds[-1]] * 6]
    assert len(made.design.rows) == 120 - 9


@given(st.integers(0, 10_000), st.integers(2, 8), st.integers(0, 30), st.sampled_from([0, 50, 240, 300, 70_000]))
def test_no_row_comes_twice_in_a_window_of_a_drawn_stream(seed, window, more, others):
    start, n = np.arange(window), 2 * window + 1 + others
    streams = draw_streams(n, (5, window + more), window, np.random.default_rng(seed), start)
    windows = np.sort(np.lib.stride_tricks.sliding_window_view(streams, window, axis=1), axis=2)
    assert (np.diff(windows, axis=2) > 0).all() and streams.max() < n
    assert (streams[:, :window] == start).all()


def test_the_kernel_of_a_reference_is_the_same_whether_held_or_computed():
    held = ReferenceKernel.of(REFERENCE, 1.3, np.random.default_rng(0))
    computed = ReferenceKernel(held.points, held.sigma, None, held.sums, held.weights, held.weighted)
    i, j = np.arange(120)[:, None], np.arange(120)[None, :]
    np.testing.assert_allclose(computed.between(i, j), held.between(i, j), atol=1e-6)
    streams = np.random.default_rng(0).integers(120, size=(7, 9))
    for lag in (1, 8):
        expected = held.between(streams[:, :-lag], streams[:, lag:])
        np.testing.assert_array_equal(held.lagged(streams)(lag), expected)
        np.testing.assert_allclose(computed.lagged(streams)(lag), expected, atol=1e-6)
    k = np.exp(-cdist(REFERENCE, REFERENCE, "sqeuclidean") / (2 * 1.3**2)) - np.eye(120)
    np.testing.assert_allclose(held.sums, k.sum(axis=1))
    means = held.sums / 119
    centred = (k - means[:, None] - means + means.mean()) * (1 - np.eye(120))
    np.testing.assert_allclose(held.weighted, centred @ held.weights, atol=1e-10)


def test_a_bootstrap_is_that_of_its_equation_done_slowly():
    rng, window, n = np.random.default_rng(5), 4, 120
    pairs = ReferenceKernel.of(REFERENCE, 1.7, rng)
    start, across, higher = np.arange(10, 14), rng.uniform(0.3, 0.4, window), np.array([0.0, 0.3, 0.2, 0.1])
    made = Bootstrap.of(pairs, start, across, 1_100, rng, higher)
    k = np.exp(-cdist(REFERENCE, REFERENCE, "sqeuclidean") / (2 * 1.7**2)) - np.eye(n)
    to_all, kept = k.sum(axis=1) / (n - 1), n - window
    for one in (0, 699, 1_099):  # of the first chunk and of the last
        rows, pseudo = made.streams[one], made.group[one]
        chance = pairs.weighted[rows, pseudo] / np.sqrt(n * kept)
        chance[:window] = across - to_all[start]
        of_pseudo = pairs.weights[:, pseudo] @ pairs.weighted[:, pseudo] / (n * kept)
        found = []
        for step in range(1, made.highest.shape[1] + 1):
            w = rows[step : step + window]
            own = to_all.mean() + k[np.ix_(w, w)].sum() / (window * (window - 1)) - 2 * to_all[w].mean()
            statistic = own * (n - 1) / (n - window) - 2 * chance[step : step + window].mean() + of_pseudo
            found.append(statistic - (higher[min(step, 3)] - higher[3]))
        np.testing.assert_allclose(made.highest[one], np.maximum.accumulate(found), atol=1e-6)


def test_a_threshold_is_the_lowest_that_keeps_the_run_time_and_the_same_for_the_same_seed():
    pairs = ReferenceKernel.of(REFERENCE, 1.7, np.random.default_rng(0))
    one, other = (Bootstrap.of(pairs, np.arange(4), np.full(4, 0.35), 3_000, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(one.highest, other.highest)
    threshold = one.threshold(32)
    assert one.run_time(threshold).mean >= 32 > one.run_time(threshold - 1e-6).mean
    assert other.threshold(32) == threshold


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ({"window": 1}, "give 2 vectors or more"),
        ({"ert": 1}, "2 or more"),
        ({"ert": float("inf")}, "2 or more"),
        ({"bootstraps": 159}, r"give 160 \(10 × ERT\) or more"),
        ({"window": 60}, "has 120 rows, and at least 121 are needed"),
        ({"sigma": 0.0}, "give a distance above 0"),
        ({"calibration": "other"}, "one of run_time, per_step"),
        ({"reference": REFERENCE[0]}, "rows"),
        ({"reference": np.ones((50, 4))}, "are the same vector"),
        ({"reference": np.full((50, 4), np.nan)}, "NaN or infinity"),
    ],
)  # fmt: skip
def test_what_cannot_be_configured_is_refused_with_the_remedy(given_, says):
    with pytest.raises(ValueError, match=says):
        online.configure(**({"reference": REFERENCE, "window": 5, "ert": 16} | given_))


def test_of_a_monitor_of_the_recipe_the_run_time_is_shown_that_it_has():
    """Its start is any, and its thresholds rest on a few bootstraps: the mean is not the ERT, and what is shown says so."""
    rng, measured, shown = np.random.default_rng(9), [], []
    for seed in range(12):
        made = online.configure(rng.normal(size=(300, 4)), window=10, ert=16, seed=seed, calibration="per_step")
        measured.append(online_runs.mean_run_time(online_runs.run_lengths(made, rng.normal(size=(150, 64, 4))), 64))
        shown.append(made.expected_run_time.mean)
    assert np.std(np.log(measured)) > 0.15
    assert np.corrcoef(np.log(measured), np.log(shown))[0, 1] > 0.7


@pytest.mark.parametrize("ert", [8, 16, 32])
@pytest.mark.parametrize("seed", range(2, 6))
def test_a_short_reference_under_a_long_window_gets_the_run_time_asked(seed, ert):
    reference = np.random.default_rng(seed).normal(size=(300, 3))
    monitor = online.configure(reference, window=40, ert=ert, seed=0)
    assert monitor.expected_run_time.mean == pytest.approx(ert, rel=0.05)
