"""Figures of dry mass: numbers that are drawn are right, pictures are pictures, and time-lapses stay readable however large."""

import io

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from plate_assets.dry_mass.evaluation import roc_of
from plate_assets.dry_mass.figures import (
    error_histogram,
    forecast_figure,
    mass_curve,
    ranked_cells,
    roc_figure,
    strip_figure,
    timelapse_overview,
    timelapse_overview_figure,
    training_curves,
    window_errors_figure,
    window_forecasts,
)
from plate_assets.dry_mass.figures.overview import BANDS, CLASSES, COLUMNS, FIRST_ERROR, GAP, MEASURED, NONE
from plate_assets.dry_mass.figures.plotted_values import abnormal_spans, gap_spans, mass_label, merged_spans
from plate_assets.dry_mass.figures.strips import GAP_PX, LINE, MARK, TEXT_PX, strip_image
from plate_assets.dry_mass.strips import CellStrip
from plate_assets.dry_mass.windows import PathSeries, windows_of
from tests.dry_mass.made_series import path_rows, table_of
from tests.dry_mass.made_timelapses import forecast_of, scored_timelapse, strip_of, timelapse_series, untrained


def picture(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def near(image: np.ndarray, colour: str | tuple[int, int, int], off: int = 8) -> int:
    """How many pixels have about this colour."""
    wanted = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) if isinstance(colour, str) else colour
    return int((np.abs(image.astype(int) - wanted).max(axis=-1) <= off).sum())


def test_what_is_drawn_of_a_window_has_the_errors_that_it_was_scored_by():
    series = PathSeries.of(timelapse_series(3, 200))
    forecaster = untrained(timelapse_series(3, 200))
    windows = windows_of(series)
    errors = forecaster.errors(series, windows.start)
    chosen = np.array([40, 3, 21])
    table = pl.DataFrame({"path_id": windows.path[chosen], "window_start_h": series.hours[windows.start[chosen]]})
    variance = forecaster.normalisation.std[0] ** 2
    for at, shown in zip(chosen, window_forecasts(forecaster, series, table), strict=True):
        assert shown.path == windows.path[at] and shown.hours[0] == series.hours[windows.start[at]]
        for drawn, scored in (
            (shown.forecast, errors.mse), (shown.persistence, errors.persistence), (shown.linear, errors.linear),
        ):  # fmt: skip
            assert ((drawn - shown.target) ** 2).mean() / variance == pytest.approx(scored[at], rel=1e-3)


def test_a_window_that_is_not_there_or_touches_a_gap_is_refused():
    table = timelapse_series(2, 200, gap_in=[1])
    forecaster, series = untrained(table), PathSeries.of(table)
    for path, hour in ((7, 0.0), (0, 5.0), (0, -1.0), (1, 0.0)):
        with pytest.raises(ValueError, match=f"path {path} has no whole window at {hour:.2f} h"):
            window_forecasts(forecaster, series, pl.DataFrame({"path_id": [path], "window_start_h": [hour]}))
    assert window_forecasts(forecaster, series, pl.DataFrame(schema={"path_id": pl.Int64, "window_start_h": pl.Float64})) == []


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 80)), max_size=30))
def test_merged_spans_cover_the_same_hours_and_do_not_touch(spans):
    begin, end = np.array([a / 6 for a, _ in spans]), np.array([(a + n) / 6 for a, n in spans])
    found = merged_spans(begin, end)
    at = np.arange(400) / 6
    before = np.zeros(400, dtype=bool)
    for a, b in zip(begin, end, strict=True):
        before |= (at >= a - 1e-9) & (at <= b + 1e-9)
    after = np.zeros(400, dtype=bool)
    for a, b in found:
        after |= (at >= a - 1e-9) & (at <= b + 1e-9)
    assert (before == after).all()
    assert all(later[0] > earlier[1] for earlier, later in zip(found, found[1:], strict=False))


def test_the_hours_that_an_abnormal_window_forecast_are_shaded_and_those_it_saw_are_not():
    windows = pl.DataFrame({"window_start_h": [0.0, 5.0, 5 + 1 / 6, 40.0], "abnormal": [None, True, True, False]})
    assert abnormal_spans(windows) == [(pytest.approx(25.0), pytest.approx(35.0))]


def test_a_gap_reaches_to_the_points_beside_it():
    mass = np.full(200, 300.0)
    mass[60:66] = np.nan
    assert gap_spans(table_of(path_rows(mass, path=0))) == [(pytest.approx(59 / 6), pytest.approx(11.0))]


def test_cells_are_in_order_with_their_worst_window_and_those_without_a_score_are_left_out():
    series = timelapse_series(6, 240, short=2)
    windows, cells = scored_timelapse(series, abnormal=3)
    ranked = ranked_cells(cells, windows)
    assert ranked["path_id"].to_list()[:3] == [0, 1, 2], "equal margins and windows: the lower path first"
    assert ranked["abnormal"].to_list() == [True] * 3 + [False] * 3 and ranked.height == 6
    best = windows.drop_nulls("mse").filter(path_id=1).sort("mse")[-1]
    assert ranked.filter(path_id=1)["worst_mse"][0] == best["mse"][0]
    at_worst = windows.filter((pl.col("path_id") == 1) & (pl.col("window_start_h") == ranked.filter(path_id=1)["worst_h"][0]))
    assert at_worst["mse"][0] == best["mse"][0]


def test_an_overview_shows_cells_gaps_and_errors_where_they_are():
    series = timelapse_series(4, 400, gap_in=[2])
    windows, cells = scored_timelapse(series, abnormal=1)
    overview = timelapse_overview(series, windows, ranked_cells(cells, windows))
    assert overview.paths[0] == 0 and overview.bands == () and overview.column_h == 0.5
    row = dict(zip(overview.paths, overview.classes, strict=True))
    assert (row[0][:40] == MEASURED).all(), "in the first 20 h no forecast begins"
    assert (row[0][60 + 20 : 90] == CLASSES.index(("above 4τ", "#8c2d04"))).all()
    assert (row[1][40:90] == FIRST_ERROR).all() and (row[1][-19:] == MEASURED).all()
    gap = int(200 / 6 / 0.5)
    assert row[2][gap + 1] == GAP and (row[2][gap - 18 : gap] == MEASURED).all(), "no forecast of a window with a gap"
    assert not (overview.classes == NONE).any()


def test_an_overview_is_bounded_and_counts_whom_it_summarises():
    series = timelapse_series(130, 190)
    windows, cells = scored_timelapse(series, abnormal=20)
    overview = timelapse_overview(series, windows, ranked_cells(cells, windows), rows=30)
    assert overview.classes.shape[0] <= 30 + BANDS and overview.classes.shape[1] <= COLUMNS
    assert len(overview.paths) == 30 and overview.n_banded == 100
    assert overview.bands[0] == (31, 33) and overview.bands[-1][1] == 130
    assert set(overview.paths[:20]) == set(range(20))


def test_a_timelapse_of_weeks_has_no_more_columns():
    series = timelapse_series(2, 6 * 24 * 40)
    windows, cells = scored_timelapse(series)
    overview = timelapse_overview(series, windows, ranked_cells(cells, windows))
    assert overview.classes.shape[1] <= COLUMNS and overview.end_h >= 40 * 24
    nobody = timelapse_overview(series, windows.clear(), ranked_cells(cells, windows).clear())
    assert nobody.classes.shape == (0, 1) and nobody.n_banded == 0


def test_figures_show_what_they_are_about():
    series = timelapse_series(3, 300, gap_in=[1])
    windows, cells = scored_timelapse(series, abnormal=1)

    def of(path: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        return series.filter(path_id=path), windows.filter(path_id=path)

    sound, wrong = picture(mass_curve(*of(2), "2")), picture(mass_curve(*of(0), "0"))
    shade = (248, 229, 215)
    assert near(wrong, shade) > 5_000 and near(sound, shade) == 0
    assert near(sound, "#009e73") > 50, "divisions are starred"
    assert near(picture(window_errors_figure(*of(0), "0")), "#d55e00") > 50, "the threshold is drawn"
    forecast = picture(forecast_figure(forecast_of(series, 0), "0"))
    assert all(near(forecast, colour, off=30) > 20 for colour in ("#0072b2", "#e69f00", "#cc79a7"))
    overview = picture(
        timelapse_overview_figure(timelapse_overview(series, windows, ranked_cells(cells, windows)), "time-lapse")
    )
    assert near(overview, "#8c2d04") > 1_000
    assert near(picture(error_histogram(windows, "errors")), "#d55e00") > 20


def test_a_name_from_outside_is_a_title_and_nothing_else():
    title = "$x_1^ \\frac <b>& " + "a_very_long_name " * 10
    series = timelapse_series(1, 120)
    windows, cells = scored_timelapse(series)
    overview = timelapse_overview(series, windows, ranked_cells(cells, windows))
    for data in (
        mass_curve(series, windows, title), window_errors_figure(series, windows, title), error_histogram(windows, title),
        timelapse_overview_figure(overview, title), training_curves({}, title), strip_figure(strip_of(), title=title),
    ):  # fmt: skip
        assert picture(data).shape[0] > 50


def test_the_unit_of_a_mass_is_said_and_never_pg_where_it_is_relative():
    assert mass_label("pg") == "dry mass, pg" and mass_label("relative") == "dry mass, relative units"


def test_roc_and_training_are_drawn_with_operating_point_and_kept_epoch():
    draw = np.random.default_rng(0)
    labels = np.arange(200) < 80
    curves = {
        name: roc_of(labels, draw.normal(size=200) + shift * labels, 1.0, np.arange(200) // 4, resamples=50)
        for name, shift in (("network", 2.0), ("persistence", 1.0), ("linear", 0.3))
    }
    image = picture(roc_figure(curves, "altered against normal"))
    assert all(near(image, colour) > 100 for colour in ("#0072b2", "#cc79a7", "#e69f00"))
    image = picture(training_curves({"training loss": [3.0, 2.0, 1.0], "validation loss": [3.0, 2.5, 2.4]}, "training", 2))
    assert near(image, "#0072b2") > 100 and near(image, "#d55e00") > 100


def test_a_strip_has_every_crop_its_outline_its_time_and_a_bar_only_with_a_scale():
    strip = strip_of(14, side=40)
    plain = np.asarray(strip_image(strip, columns=6, side_px=40))
    assert plain.shape == (GAP_PX + 3 * (40 + TEXT_PX + GAP_PX), GAP_PX + 6 * (40 + GAP_PX), 3)
    assert near(plain, LINE, 0) == 14 * int(strip.outlines[0].sum())
    scaled = np.asarray(strip_image(strip, 100.0, columns=6, side_px=40))
    marked = np.asarray(strip_image(strip, abnormal=[(1.0, 2.0)], columns=6, side_px=40))
    first = (slice(GAP_PX, GAP_PX + 40), slice(GAP_PX, GAP_PX + 40))
    changed = (scaled != plain).any(axis=-1)
    assert changed[first].sum() == changed.sum() > 0, "the bar stands in the first crop"
    assert near(plain, MARK, 0) == 0 and near(marked, MARK, 0) >= 4 * 2 * 4 * 38, "four crops lie within the abnormal hours"


def test_the_outline_stays_visible_when_a_crop_shrinks():
    away = np.hypot(*(np.indices((200, 200)) - 100))
    strip = CellStrip(
        np.ones((1, 200, 200), np.float32), (np.abs(away - 60) < 0.7)[None], np.zeros(1, int), np.zeros(1)
    )  # fmt: skip
    assert near(np.asarray(strip_image(strip, side_px=50)), LINE, 0) > 60


def test_an_empty_strip_is_refused():
    empty = CellStrip(np.zeros((0, 8, 8), np.float32), np.zeros((0, 8, 8), bool), np.zeros(0, int), np.zeros(0))
    with pytest.raises(ValueError, match="found in no frame"):
        strip_figure(empty)
