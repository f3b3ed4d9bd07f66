"""Windows: as many as there are, none over a gap, nothing seen of what is forecast, and no lineage on both sides of a split."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plate_assets.dry_mass.windows import (
    SHARES,
    SPLITS,
    Normalisation,
    PathSeries,
    WindowError,
    distinct,
    runs_of,
    smoothing_matrix,
    split_paths,
    windows_of,
)
from tests.dry_mass.made_series import culture, path_rows, plain_table, table_of

gaps = st.lists(st.tuples(st.integers(0, 420), st.integers(1, 9)), max_size=4)


def series_of(*masses, **columns) -> PathSeries:
    return PathSeries.of(plain_table(*masses, **columns))


def test_fifty_hours_give_121_windows():
    assert len(windows_of(series_of(np.full(300, 300.0)))) == 121


@given(st.lists(st.integers(1, 400), min_size=1, max_size=5))
def test_a_path_of_n_points_has_n_minus_179_windows_and_a_short_one_none(lengths):
    windows = windows_of(series_of(*(np.full(n, 300.0) for n in lengths)))
    assert np.bincount(windows.path, minlength=len(lengths)).tolist() == [max(0, n - 179) for n in lengths]


@given(st.lists(st.tuples(st.integers(180, 430), gaps), min_size=1, max_size=3))
def test_a_window_is_whole_where_none_of_its_180_points_is_missing(paths):
    masses = []
    for n, missing in paths:
        mass = np.full(n, 300.0)
        for at, width in missing:
            mass[at : at + width] = np.nan
        masses.append(mass)
    masses[0][0] = 300.0  # a table whose mass is nowhere known is another error
    windows = windows_of(series_of(*masses))
    expected = [bool(np.isfinite(mass[at : at + 180]).all()) for mass in masses for at in range(len(mass) - 179)]
    assert windows.whole.tolist() == expected


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 0.0, -40.0])
def test_a_mass_that_cannot_be_is_a_gap(wrong):
    mass = np.full(400, 300.0)
    mass[200] = wrong
    table = plain_table(np.full(400, 300.0)).with_columns(dry_mass=pl.Series(mass))
    assert np.flatnonzero(~windows_of(PathSeries.of(table)).whole).tolist() == list(range(21, 201))


@given(st.integers(0, 300), st.sets(st.integers(0, 600)))
def test_runs_are_windows_one_point_apart(first, left_out):
    start = np.array([at for at in range(first, first + 400) if at not in left_out])
    begin, length = runs_of(start)
    again = [start[b] + np.arange(n) for b, n in zip(begin, length, strict=True)]
    assert np.array_equal(np.concatenate(again) if again else start[:0], start)
    assert all(b - a > 1 for a, b in zip((start[begin] + length - 1)[:-1], start[begin][1:], strict=True))


@pytest.mark.parametrize(("smoothing", "window", "centre"), [("centred_7", 7, True), ("trailing_6", 6, False)])
def test_the_target_is_smoothed_by_a_sliding_mean_that_shrinks_at_the_edges(smoothing, window, centre):
    target = np.random.default_rng(0).normal(300, 35, 60)
    oracle = pd.Series(target).rolling(window, center=centre, min_periods=1).mean()
    assert smoothing_matrix(60, smoothing) @ target == pytest.approx(np.asarray(oracle))


@given(st.integers(1, 80), st.sampled_from(["centred_7", "trailing_6"]))
def test_smoothing_takes_only_points_that_there_are_and_keeps_a_constant(points, smoothing):
    matrix = smoothing_matrix(points, smoothing)
    assert (matrix >= 0).all() and matrix.sum(axis=1) == pytest.approx(1)


def test_windows_of_sisters_are_told_once():
    table = culture(4, 60, seed=2)
    series = PathSeries.of(table)
    windows = windows_of(series)
    start, path = windows.start[windows.whole], windows.path[windows.whole]
    found = distinct(series, start, path)
    contents = {series.values[at : at + 180].tobytes() for at in start}
    kept = [series.values[at : at + 180].tobytes() for at in start[found]]
    assert len(kept) == len(set(kept)) == len(contents) < len(start)


@pytest.fixture(scope="module")
def recorded():
    series = PathSeries.of([culture(40, 50, seed=1, timelapse="T1"), culture(20, 50, seed=2, timelapse="T2")])
    return series, windows_of(series)


def lineage_splits(series, split) -> pl.DataFrame:
    paths = series.about.with_columns(split=pl.Series(split.tolist())).filter(pl.col("split") != "")
    return paths.group_by("Metadata_Timelapse", "lineage_id").agg(pl.col("split").n_unique())


def test_no_lineage_is_in_two_splits_and_the_shares_are_kept(recorded):
    series, windows = recorded
    split = split_paths(series, windows)
    assert lineage_splits(series, split)["split"].max() == 1
    shares = [np.isin(windows.path, np.flatnonzero(split == name)).mean() for name in SPLITS]
    assert shares == pytest.approx(SHARES, abs=0.05)


def test_the_papers_split_puts_sisters_on_both_sides(recorded):
    series, windows = recorded
    assert lineage_splits(series, split_paths(series, windows, parity=True))["split"].to_numpy().max() > 1


def test_the_same_seed_splits_alike_and_another_otherwise(recorded):
    series, windows = recorded
    one, same, other = (split_paths(series, windows, seed=seed) for seed in (0, 0, 1))
    assert (one == same).all() and (one != other).any()


def test_too_few_lineages_say_how_many_are_needed():
    series = series_of(np.full(300, 300.0), np.full(300, 300.0))
    with pytest.raises(WindowError, match="2 lineages have windows .* 3 or more"):
        split_paths(series, windows_of(series))


def test_normalisation_knows_the_training_paths_only(recorded):
    series, windows = recorded
    train = split_paths(series, windows) == "train"
    fitted = Normalisation.fit(series, train)
    points = np.repeat(train, np.diff(series.offsets))
    assert fitted.apply(series)[points].mean() == pytest.approx(0, abs=1e-4)
    assert fitted.apply(series)[points].std() == pytest.approx(1, abs=1e-4)
    heavier = PathSeries(**{**vars(series), "values": np.where(points[:, None], series.values, series.values * 3)})
    assert Normalisation.fit(heavier, train) == fitted
    assert np.array_equal(fitted.apply(heavier)[points], fitted.apply(series)[points])


def test_with_parity_a_set_is_standardised_by_itself(recorded):
    series, _ = recorded
    fitted = Normalisation((0.0,), (1.0,), own=True)
    heavier = PathSeries(**{**vars(series), "values": series.values * 3})
    assert fitted.apply(heavier) == pytest.approx(fitted.apply(series), abs=1e-4)
    assert fitted.apply(series).std() == pytest.approx(1, abs=1e-3)


def test_a_mass_that_never_changes_cannot_be_normalised():
    with pytest.raises(WindowError, match="dry_mass never changes"):
        Normalisation.fit(series_of(np.full(200, 300.0)), np.array([True]))


def test_several_features_are_taken_where_the_table_has_them():
    speed = np.full(200, 8.0)
    speed[0] = np.nan  # a founder's first point has none in many tables
    path = path_rows(np.full(200, 300.0), path=0, area_um2=np.full(200, 600.0), speed_um_h=speed)
    series = PathSeries.of(table_of(path), ("dry_mass", "area", "thickness", "speed"))
    assert series.known.all() and series.values[0].tolist() == [300, 600, 0.5, 8]


def test_a_feature_that_was_not_measured_is_named():
    with pytest.raises(WindowError, match="have no area: leave it out"):
        PathSeries.of(plain_table(np.full(200, 300.0)), ("dry_mass", "area"))
    with pytest.raises(WindowError, match="'colour' is no feature"):
        PathSeries.of(plain_table(np.full(200, 300.0)), ("dry_mass", "colour"))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "change", [{"time_h": np.arange(200) / 10}, {"point": np.arange(200) * 2}, {"point": np.arange(1, 201)}]
)
def test_points_off_the_grid_are_told_with_their_path(change):
    with pytest.raises(WindowError, match=r"time-lapse 'T1', path 7, point \d+ at .* one every 10 min"):
        PathSeries.of(table_of(path_rows(np.full(200, 300.0), path=7, **change)))


def test_units_are_not_mixed():
    tables = [plain_table(np.full(200, 3.0), timelapse=name, unit=unit) for name, unit in (("T1", "pg"), ("T2", "relative"))]
    with pytest.raises(WindowError, match=r"units \['pg', 'relative'\]"):
        PathSeries.of(tables)


def test_a_path_that_is_not_long_enough_is_kept_and_has_no_window():
    table = table_of(path_rows(np.full(200, 300.0), path=0, long_enough=np.full(200, False)))
    series = PathSeries.of(table)
    assert len(series) == 1 and len(windows_of(series)) == 0


def test_no_paths_have_no_windows():
    assert len(windows_of(PathSeries.of([]))) == 0
