"""Windows and cells that went wrong: A counts whole windows only, what cannot be scored says so, and causes have evidence."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plate_assets.dry_mass.anomalies import cell_anomalies, cell_scores, window_anomalies
from plate_assets.dry_mass.forecaster import WindowErrors
from plate_assets.dry_mass.ranking import ranked
from plate_assets.dry_mass.signs import SignRules, StepStatistics
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


def cause_of(mass: np.ndarray, *, tracks: pl.DataFrame | None = None, rules: SignRules | None = None, **columns):
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
    series = PathSeries.of(plain_table(growing()))
    cells = cell_anomalies(series, windows_table(series, 0.5), 0.5, STEPS, "v1")
    assert cells.select("cause", "evidence", "first_abnormal_h").row(0) == ("none", "", None)


def test_a_sign_flags_a_path_below_the_threshold_and_by_score_alone_it_is_not_flagged():
    series = PathSeries.of(plain_table(changed(growing(), slice(150, 168), 2), growing()))
    table = windows_table(series, 0.5)
    cells = cell_anomalies(series, table, 0.5, STEPS, "v1")
    assert cells["abnormal"].to_list() == [True, False] and cells["score"].to_list() == [0, 0]
    assert cells["cause"].to_list() == ["acquisition", "none"] and cells["evidence"][0].endswith("and back")
    assert cells["first_abnormal_h"][0] == pytest.approx(25, abs=3.1) and cells["first_abnormal_h"][1] is None
    paper = cell_anomalies(series, table, 0.5, STEPS, "v1", rules=SignRules(flag="score"))
    assert paper["abnormal"].to_list() == [False, False] and set(paper["cause"]) == {"none"}


def test_the_margin_is_the_larger_of_score_and_sign_over_their_limits_and_says_which():
    series = PathSeries.of(plain_table(changed(growing(), slice(150, 168), 2), growing(noise=0.0), growing(100)))
    table = windows_table(series, np.repeat([0.5, 2.0, 0.5], [121, 90, 31]))
    cells = cell_anomalies(series, table, 0.5, STEPS, "v1")
    assert cells["margin"][0] > 2 and cells["decided_by"][0].startswith("mass × 0.5"), "back is farther than there: it grew"
    assert cells["decided_by"][0].endswith("in an hour, limit × 0.83")  # exp(0.035) / 1.25
    assert cells["margin"][1] == pytest.approx(90 / 121 / 0.5) and cells["decided_by"][1] == "score 0.744, limit 0.5"
    assert cells.select("margin", "decided_by").row(2) == (None, None)
    paper = cell_anomalies(series, table, 0.5, STEPS, "v1", rules=SignRules(flag="score"))
    assert paper["margin"].to_list() == [0.0, pytest.approx(90 / 121 / 0.5), None]
    none = cell_anomalies(series, table, 0.0, STEPS, "v1", rules=SignRules(flag="score"))
    assert none["margin"].to_list() == [0.0, 90.0, None], "where the first abnormal window flags, it counts as one"


@given(st.integers(0, 20), st.floats(0.0, 0.9))
@settings(max_examples=10, deadline=None)
def test_a_path_is_flagged_where_its_margin_reaches_one(seed, threshold):
    series = PathSeries.of(culture(8, 45, seed=seed, biological=0.25, acquisition=0.25, onset_from_h=10.0))
    mse = np.random.default_rng(seed).choice([0.5, 2.0], int(windows_of(series).whole.sum()))
    cells = cell_anomalies(series, windows_table(series, mse), threshold, STEPS, "v1").drop_nulls("score")
    on_the_line = cells["score"] == threshold  # a score flags above its threshold, a sign from its limit on
    assert ((cells["abnormal"] == (cells["margin"] >= 1)) | on_the_line).all()
    assert ranked(cells)["margin"].round(4).is_sorted(descending=True)


def test_a_path_above_the_threshold_went_wrong_where_its_windows_say_so():
    series = PathSeries.of(plain_table(changed(growing(), slice(60, 78), 2)))
    mse = np.where(np.arange(121) >= 40, 2.0, 0.5)
    cells = cell_anomalies(series, windows_table(series, mse), 0.5, STEPS, "v1")
    assert cells["first_abnormal_h"].to_list() == [pytest.approx(40 / 6)] and cells["cause"].to_list() == ["acquisition"]


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


def test_a_short_gap_beside_the_abnormal_windows_explains_them_and_an_hour_without_a_frame_flags_by_itself():
    mass = growing(500)
    mass[200:203] = np.nan
    series = PathSeries.of(plain_table(mass))
    late = np.arange(int(windows_of(series).whole.sum())) >= 21  # those behind the gap, from point 203 on
    cells = cell_anomalies(series, windows_table(series, np.where(late, 2.0, 0.5)), 0.5, STEPS, "v1")
    assert cells.select("cause", "evidence").row(0) == ("acquisition", "gap: 0.5 h from 33.3 h on")
    far = np.arange(len(late)) >= 40
    cells = cell_anomalies(series, windows_table(series, np.where(far, 2.0, 0.5)), 0.5, STEPS, "v1")
    assert cells["cause"].to_list() == ["biological"]
    assert not cell_anomalies(series, windows_table(series, 0.5), 0.5, STEPS, "v1")["abnormal"][0]
    mass[203:206] = np.nan
    series = PathSeries.of(plain_table(mass))
    cells = cell_anomalies(series, windows_table(series, 0.5), 0.5, STEPS, "v1")
    assert cells.select("cause", "evidence").row(0) == ("acquisition", "gap: 1.0 h from 33.3 h on")
    assert cells["abnormal"][0] and cells["first_abnormal_h"][0] == pytest.approx(200 / 6)


def test_a_centre_that_leaps_a_frozen_mass_and_a_flickering_one_are_faults():
    speed = np.full(300, 8.0)
    speed[140] = 300.0
    cause, evidence = cause_of(growing(), speed_um_h=speed)
    assert cause == "acquisition" and evidence == "jump: centre at 300 µm/h at 23.3 h"
    frozen = growing()
    frozen[100:140] = frozen[100]
    assert cause_of(frozen)[1].startswith("step: 0 times the usual one")
    assert cause_of(growing(noise=0.25), rules=SignRules(least_change=9.0))[1].startswith("step: ")


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
        cell_anomalies(series, windows_table(series, 2.0), 0.5, STEPS, "v1", tracks=frames, rules=SignRules(least_frames=n))
        for n in (3, 2)
    ]
    assert found[0].select("cause", "evidence").row(0) == ("acquisition", "edge: 6 frames from 33.3 h on")
    assert found[1]["evidence"][0] == "edge: 6 frames from 33.3 h on; saturation: 2 frames from 16.7 h on"
    others = frames.with_columns(track_id=pl.col("track_id") + 100)
    cells = cell_anomalies(series, windows_table(series, 2.0), 0.5, STEPS, "v1", tracks=others)
    assert cells["cause"].to_list() == ["biological"]
