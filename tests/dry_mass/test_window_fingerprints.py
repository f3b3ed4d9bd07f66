"""A time-lapse that grew: a window counts as the same where its points are, whatever its path and its tracks are called now."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from plate_assets.dry_mass.anomalies import window_anomalies
from plate_assets.dry_mass.forecaster import WindowErrors
from plate_assets.dry_mass.series import lineage_series
from plate_assets.dry_mass.simulate import CultureSettings, simulate_culture
from plate_assets.dry_mass.window_fingerprints import carried_results, window_contents
from plate_assets.dry_mass.windows import PathSeries, windows_of
from tests.dry_mass.made_series import plain_table

ANY = np.random.default_rng(0).uniform(100, 500, 400)


def scored(series: PathSeries, version: str = "v1") -> pl.DataFrame:
    """WINDOW_ANOMALIES whose error is the mean of the window's masses: it tells whether the right window was carried."""
    windows = windows_of(series)
    start = windows.start[windows.whole]
    sums = np.concatenate([[0], np.cumsum(np.where(series.known, series.values[:, 0], 0.0))])
    mse = (sums[start + 180] - sums[start]) / 180
    return window_anomalies(series, windows, WindowErrors(mse, 2 * mse, 3 * mse), 300.0, version)


def made(seed: int, minutes: float) -> pl.DataFrame:
    return simulate_culture(CultureSettings(
        founders=4, hours=46, seed=seed, interval_min=minutes, biological=0.25, acquisition=0.25, onset_from_h=8.0,
    )).tracks  # fmt: skip


@given(st.integers(0, 50), st.sampled_from([6.0, 10.0, 13.0, 20.0]), st.floats(31, 45), st.booleans())
@settings(max_examples=8, deadline=None)
def test_what_is_carried_is_what_scoring_the_whole_timelapse_would_find(seed, minutes, until, renumbered):
    tracks = made(seed, minutes)
    early = tracks.filter(pl.col("time_h") <= until)
    if renumbered:  # linked again as a whole, its tracks got other numbers, and so did lineages and paths
        early = early.with_columns((-pl.col("track_id", "parent_id", "lineage_id") + 997).name.keep())
    before, now = (PathSeries.of(lineage_series(table).table) for table in (early, tracks))
    windows, whole, yesterday = windows_of(now), scored(now), scored(before)
    found = carried_results(now, windows, yesterday, "v1")
    carried = found["carried"].to_numpy()
    same = whole.filter(pl.Series(carried))
    assert np.allclose(found["mse"].to_numpy()[carried], same["mse"].to_numpy(), rtol=1e-9)
    ended = whole["window_start_h"].to_numpy() + 179 / 6 <= until - 1.0
    assert carried[ended & windows.whole].all() and not carried[~windows.whole].any()
    assert not carried[whole["window_start_h"].to_numpy() + 179 / 6 > until + 0.4].any()


def test_what_another_model_scored_another_time_or_another_mass_is_not_carried():
    series = PathSeries.of(plain_table(ANY))
    table, windows = scored(series), windows_of(series)

    def carried(now: PathSeries, before: pl.DataFrame, version: str = "v1") -> int:
        return int(carried_results(now, windows_of(now), before, version)["carried"].to_numpy().sum())

    assert carried(series, table) == len(windows) == 221
    assert carried(series, table, "v2") == 0
    assert carried(series, table.with_columns(window_start_h=pl.col("window_start_h") + 1 / 6)) == 0
    assert carried(series, table.with_columns(Metadata_Timelapse=pl.lit("T2"))) == 0
    corrected = ANY.copy()
    corrected[200] += 1e-9
    assert carried(PathSeries.of(plain_table(corrected)), table) == 21 + 20  # those that hold the point are new


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_fingerprint_is_of_values_and_their_order_alone(seed):
    rng = np.random.default_rng(seed)
    mass = rng.uniform(100, 500, 300)
    alone, beside = PathSeries.of(plain_table(mass)), PathSeries.of(plain_table(rng.uniform(1, 9, 200), mass))
    contents = window_contents(alone, windows_of(alone).start)
    windows = windows_of(beside)
    assert np.array_equal(window_contents(beside, windows.start[windows.path == 1]), contents)
    assert len(np.unique(contents)) == 121
    backwards = PathSeries.of(plain_table(mass[::-1]))
    assert not np.isin(window_contents(backwards, windows_of(backwards).start), contents).any()
