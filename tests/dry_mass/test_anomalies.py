"""Windows and cells that went wrong: A counts whole windows only, what cannot be scored says so, and causes have evidence."""

from dataclasses import astuple

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plate_assets.dry_mass.anomalies import (
    CauseRules,
    StepStatistics,
    carried_windows,
    cell_anomalies,
    cell_scores,
    window_anomalies,
)
from plate_assets.dry_mass.forecaster import WindowErrors
from plate_assets.dry_mass.series import lineage_series
from plate_assets.dry_mass.simulate import CultureSettings, simulate_culture
from plate_assets.dry_mass.tables import CELL_TRACKS
from plate_assets.dry_mass.windows import PathSeries, windows_of
from tests.dry_mass.made_series import culture, path_rows, plain_table, table_of

STEPS = StepStatistics(jump_median=0.035, jump_spread=0.03, step_median=0.04, speed_median=2.0, speed_spread=0.3)


def errors_of(mse) -> WindowErrors:
    mse = np.asarray(mse, dtype=float)
    return WindowErrors(mse, 2 * mse, 3 * mse)


def windows_table(series: PathSeries, mse, threshold: float = 1.0, version: str = "v1") -> pl.DataFrame:
    windows = windows_of(series)
    whole = int(windows.whole.sum())
    return window_anomalies(series, windows, errors_of(np.broadcast_to(mse, whole)), threshold, version)


def growing(points: int = 300, *, noise: float = 0.03, seed: int = 0) -> np.ndarray:
    """A cell that doubles in 60 h, measured with noise."""
    rng = np.random.default_rng(seed)
    return 250 * np.exp(np.log(2) * np.arange(points) / 360) * (1 + rng.normal(0, noise, points))


@given(st.lists(st.lists(st.booleans(), max_size=20), min_size=1, max_size=5))
def test_the_score_is_the_share_of_abnormal_windows(paths):
    path = np.repeat(np.arange(len(paths)), [len(windows) for windows in paths])
    found = cell_scores(path, np.array([window for windows in paths for window in windows], dtype=bool), len(paths))
    for score, windows in zip(found, paths, strict=True):
        assert np.isnan(score) if not windows else score == pytest.approx(sum(windows) / len(windows))


def test_a_window_is_abnormal_above_the_threshold_and_the_baselines_stand_beside():
    series = PathSeries.of(plain_table(growing(182)))
    table = windows_table(series, [0.5, 1.0, 1.5])
    assert table["abnormal"].to_list() == [False, False, True]
    assert table["window_start_h"].to_list() == pytest.approx([0, 1 / 6, 2 / 6])
    assert table["mse_persistence"].to_list() == [1, 2, 3] and table["mse_linear"].to_list() == [1.5, 3, 4.5]


def test_a_window_that_touches_a_gap_is_there_without_an_error_and_does_not_count():
    mass = growing(400)
    mass[200] = np.nan
    series = PathSeries.of(plain_table(mass))
    table = windows_table(series, 2.0)
    assert table.height == 221 and table["mse"].null_count() == table["abnormal"].null_count() == 180
    cell = cell_anomalies(series, table, 0.5, STEPS, "v1").row(0, named=True)
    assert (cell["n_windows"], cell["n_abnormal"], cell["score"]) == (41, 41, 1.0)


def test_every_path_has_a_row_and_what_is_not_scored_says_why():
    broken = growing(250)
    broken[100::50] = np.nan
    series = PathSeries.of(plain_table(growing(300), growing(100), broken))
    table = windows_table(series, np.repeat([0.5, 2.0], [60, 61]))
    cells = cell_anomalies(series, table, 0.5, STEPS, "v1")
    assert cells["score"].to_list() == [pytest.approx(61 / 121), None, None]
    assert cells["abnormal"].to_list() == [True, None, None]
    assert cells["first_abnormal_h"].to_list() == [pytest.approx(10.0), None, None]
    assert cells["cause"].to_list() == ["biological", "none", "none"]
    assert cells["evidence"].to_list() == ["", "shorter than 30 h: not scored", "no 30 h without a gap: not scored"]


def cause_of(mass: np.ndarray, *, tracks: pl.DataFrame | None = None, rules: CauseRules | None = None, **columns):
    """Cause and evidence of a path all of whose windows are abnormal."""
    series = PathSeries.of(table_of(path_rows(mass, path=0, **columns)))
    cells = cell_anomalies(series, windows_table(series, 2.0), 0.5, STEPS, "v1", tracks=tracks, rules=rules)
    return cells["cause"][0], cells["evidence"][0]


def changed(mass: np.ndarray, where: slice, factor: float) -> np.ndarray:
    mass = mass.copy()
    mass[where] *= factor
    return mass


def test_steady_growth_has_no_evidence_and_a_path_that_is_not_flagged_no_cause():
    assert cause_of(growing()) == ("biological", "")
    series = PathSeries.of(plain_table(changed(growing(), slice(150, 165), 2)))
    cells = cell_anomalies(series, windows_table(series, 0.5), 0.5, STEPS, "v1")
    assert cells.select("cause", "evidence").row(0) == ("none", "")


def test_outlines_that_merged_and_parted_are_a_fault_and_a_fusion_is_taken_for_biology():
    cause, evidence = cause_of(changed(growing(), slice(150, 168), 2.0))
    assert cause == "acquisition" and "jump: mass × " in evidence and evidence.endswith("and back")
    cause, evidence = cause_of(changed(growing(), slice(150, None), 1.9))
    assert cause == "biological" and "jump that stays: mass × 1.9" in evidence and "at 25.0 h" in evidence


def test_a_mass_that_halves_without_a_division_is_a_fault_and_with_one_it_is_none():
    halved = changed(growing(), slice(151, None), 0.5)
    cause, evidence = cause_of(halved)
    assert cause == "acquisition" and "a division that the tracks do not have" in evidence
    assert cause_of(halved, divides=np.arange(300) == 150) == ("biological", "")


def test_a_gap_beside_the_abnormal_windows_is_evidence_and_one_far_away_is_not():
    mass = growing(500)
    mass[200:206] = np.nan
    series = PathSeries.of(plain_table(mass))
    late = np.arange(int(windows_of(series).whole.sum())) >= 21  # those behind the gap, from point 206 on
    cells = cell_anomalies(series, windows_table(series, np.where(late, 2.0, 0.5)), 0.5, STEPS, "v1")
    assert cells.select("cause", "evidence").row(0) == ("acquisition", "gap: 1.0 h from 33.3 h on")
    far = np.arange(len(late)) >= 40
    cells = cell_anomalies(series, windows_table(series, np.where(far, 2.0, 0.5)), 0.5, STEPS, "v1")
    assert cells["cause"].to_list() == ["biological"]


def test_a_centre_that_leaps_a_frozen_mass_and_a_flickering_one_are_faults():
    speed = np.full(300, 8.0)
    speed[140] = 300.0
    cause, evidence = cause_of(growing(), speed_um_h=speed)
    assert cause == "acquisition" and evidence == "jump: centre at 300 µm/h at 23.3 h"
    frozen = growing()
    frozen[100:140] = frozen[100]
    assert cause_of(frozen)[1].startswith("step: 0 times the usual one")
    assert cause_of(growing(noise=0.25), rules=CauseRules(least_jump=9.0))[1].startswith("step: ")


def test_edge_and_saturation_come_from_the_frames_of_the_cells_on_the_path():
    n = 300
    mass, tracks = growing(n), np.where(np.arange(n) < 150, 3, 8)
    rows = pl.DataFrame({
        "Metadata_Timelapse": "T1", "lineage_id": 3, "track_id": tracks, "frame": np.arange(n), "time_h": np.arange(n) / 6,
        "dry_mass": mass, "unit": "pg", "at_edge": np.isin(np.arange(n), range(200, 206)),
        "saturated": np.isin(np.arange(n), (100, 101)), "reasons": "",
    })  # fmt: skip
    frames = CELL_TRACKS.conform(rows)
    series = PathSeries.of(table_of(path_rows(mass, path=8, lineage=3, tracks=tracks)))
    found = [
        cell_anomalies(series, windows_table(series, 2.0), 0.5, STEPS, "v1", tracks=frames, rules=CauseRules(least_frames=n))
        for n in (3, 2)
    ]
    assert found[0].select("cause", "evidence").row(0) == ("acquisition", "edge: 6 frames from 33.3 h on")
    assert found[1]["evidence"][0] == "edge: 6 frames from 33.3 h on; saturation: 2 frames from 16.7 h on"
    others = frames.with_columns(track_id=pl.col("track_id") + 100)
    cells = cell_anomalies(series, windows_table(series, 2.0), 0.5, STEPS, "v1", tracks=others)
    assert cells["cause"].to_list() == ["biological"]


def test_statistics_are_of_the_chosen_paths_and_an_outlier_does_not_move_them():
    table = culture(12, 45, seed=3)
    series = PathSeries.of(table)
    chosen = np.arange(len(series)) % 2 == 0
    fitted = StepStatistics.fit(series, chosen)
    others = np.repeat(~chosen, np.diff(series.offsets))[:, None]
    spoilt = np.where(others, series.values * np.random.default_rng(0).uniform(1, 3, series.values.shape), series.values)
    same = StepStatistics.fit(PathSeries(**{**vars(series), "values": spoilt}), chosen)
    assert astuple(same) == pytest.approx(astuple(fitted))
    struck = series.values.copy()
    struck[series.offsets[0] + 60 : series.offsets[0] + 66] *= 5
    moved = StepStatistics.fit(PathSeries(**{**vars(series), "values": struck}), chosen)
    assert moved.jump_spread == pytest.approx(fitted.jump_spread, rel=0.05)
    # A culture that doubles in 20 h grows by ln 2 / 20 of the logarithm in an hour.
    assert fitted.jump_median == pytest.approx(np.log(2) / 20, abs=0.01)


def test_divisions_of_a_sound_culture_are_no_jumps():
    table = culture(30, 50, seed=4, noise_pg=20.0)
    series = PathSeries.of(table)
    steps = StepStatistics.fit(series, np.ones(len(series), dtype=bool))
    cells = cell_anomalies(series, windows_table(series, 2.0), 0.5, steps, "v1")
    scored = cells.drop_nulls("score")
    assert scored.height > 50 and series.divides.sum() > 100
    assert (scored["cause"] == "biological").to_numpy().mean() > 0.97


@pytest.mark.parametrize(
    ("kind", "words"),
    [("gap", "gap: "), ("edge", "edge: "), ("saturation", "saturation: "), ("merged_outlines", "jump: .* and back|gap: ")],
)
def test_what_a_simulated_microscope_does_wrong_is_found(kind, words):
    settings = CultureSettings(founders=40, hours=50, seed=6, biological=0, acquisition=0.4, kinds=(kind,), noise_pg=20.0)
    made = simulate_culture(settings)
    series = PathSeries.of(lineage_series(made.tracks).table)
    steps = StepStatistics.fit(series, np.ones(len(series), dtype=bool))
    cells = cell_anomalies(series, windows_table(series, 2.0), 0.5, steps, "v1", tracks=made.tracks)
    cells = cells.drop_nulls("score").with_columns(struck=pl.col("path_id").is_in(made.truth["path_id"].implode()))
    right = cells.with_columns(said=pl.col("evidence").str.contains(words))
    assert right.filter("struck").height >= 8
    assert right.filter("struck")["said"].to_numpy().mean() > 0.8
    assert right.filter(~pl.col("struck"))["said"].to_numpy().mean() < 0.05


def test_a_running_film_keeps_the_windows_that_were_scored_though_a_division_renames_its_paths():
    made = simulate_culture(CultureSettings(founders=12, hours=60, seed=2, biological=0, acquisition=0))
    early = made.tracks.filter(pl.col("time_h") <= 45)
    before, now = (PathSeries.of(lineage_series(tracks).table) for tracks in (early, made.tracks))
    assert set(before.about["path_id"]) != set(now.about["path_id"])
    stamp = np.arange(len(windows_of(before)), dtype=float)
    carried, first = carried_windows(now, windows_table(before, stamp), "v1")
    windows = windows_of(now)
    counts = np.bincount(windows.path, minlength=len(now))
    assert (first <= counts).all() and first.sum() == carried.height > 0
    assert len(windows_of(now, first)) == len(windows) - carried.height
    # Each window that is carried holds the very points that were scored.
    old = {(path, round(h, 3)): at for path, h, at in zip(
        before.about["path_id"].to_numpy()[windows_of(before).path], before.hours[windows_of(before).start],
        windows_of(before).start, strict=True)}  # fmt: skip
    starts = np.concatenate([now.offsets[p] + np.arange(n) for p, n in enumerate(first)])
    order = {int(at): i for i, at in enumerate(windows_of(before).start)}
    by_stamp = {float(order[at]): at for at in old.values()}
    for start, row in zip(
        starts[::50], carried.sort("Metadata_Timelapse", "path_id", "window_start_h")["mse"][::50], strict=True
    ):
        at = by_stamp[row]
        assert np.array_equal(before.values[at : at + 180], now.values[start : start + 180])


def test_what_another_model_scored_or_what_began_elsewhere_is_not_carried():
    series = PathSeries.of(plain_table(growing(300)))
    table = windows_table(series, 0.5)
    assert carried_windows(series, table, "v2")[1].tolist() == [0]
    shifted = table.with_columns(window_start_h=pl.col("window_start_h") + 1 / 6)
    assert carried_windows(series, shifted, "v1")[1].tolist() == [0]
    assert carried_windows(series, table, "v1")[1].tolist() == [121]
    longer = PathSeries.of(plain_table(growing(320)))
    assert carried_windows(longer, table, "v1")[1].tolist() == [121]
