"""The report of a time-lapse as files: the page, the overview, and the tables with the columns that are promised."""

import io
import json
import re

import polars as pl
import pytest
from PIL import Image

from plate_assets.dry_mass.report import MOST as PAGE_MOST
from plate_assets.dry_mass.report import ReportError
from plate_assets.dry_mass.series import lineage_series
from plate_assets.dry_mass.simulate import CultureSettings, simulate_culture
from plate_assets.storage.models import ModelBundle
from plate_assets.workflows.dry_mass.report import MOST, forecasts_of, most_abnormal, write_timelapse_report
from plate_assets.workflows.dry_mass.scoring import score_series
from tests.dry_mass.made_timelapses import STEPS, strip_of, untrained, verdicts


@pytest.fixture(scope="module")
def recorded():
    """Series, scores and model of a small culture in which things go wrong."""
    made = simulate_culture(CultureSettings(founders=10, hours=44, seed=3, biological=0.3, acquisition=0.2, timelapse="F1"))
    series = lineage_series(made.tracks).table
    model = untrained(series, steps=vars(STEPS))
    bundle = ModelBundle(model.architecture, model.weights, {})
    return series, score_series(series, bundle, "v7", tracks=made.tracks), bundle


def test_the_folder_holds_the_page_the_overview_and_the_tables(recorded, tmp_path):
    series, scored, bundle = recorded
    said = verdicts((most_abnormal(scored.cells)[0], "biological", "growth", "ann"))
    files = write_timelapse_report(
        tmp_path / "report", "F1", series, scored.windows, scored.cells, bundle, "v7", annotations=said,
        strips={most_abnormal(scored.cells)[0]: strip_of()}, pixel_um=0.5, links={"Dagster": "http://localhost:3000"},
    )  # fmt: skip
    names = ["cells.csv", "overview.png", "report.html", "windows.csv"]
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == names
    page = files.report.read_text()
    assert files.page_bytes == len(page.encode()) and "model v7" in page and "http://localhost:3000" in page
    strips = re.findall(r'id="strip-\d+">(.*?)</script>', page)
    assert "by ann" in page and len(strips) == 1 and "each 100 µm wide" in json.loads(strips[0])["words"]
    windows, cells = (pl.read_csv(path.path) for path in (files.windows, files.cells))
    assert windows.columns == ["track_id", "window_start_h", "mse", "abnormal"]
    assert cells.columns == ["track_id", "score", "abnormal", "first_abnormal_h", "margin"]
    assert cells["track_id"].head(scored.cells["score"].count()).to_list() == most_abnormal(scored.cells, cells.height)
    on_page = re.findall(r'<tr class="(?:flagged|below)" data-cell="(\d+)"', page)
    assert [int(path) for path in on_page] == cells["track_id"].head(len(on_page)).to_list(), "the page's order is the file's"
    assert windows.height == scored.windows.height and cells.height == scored.cells.height
    assert min(Image.open(io.BytesIO(files.overview.read_bytes())).size) > 200


def test_the_forecast_of_the_worst_window_of_each_cell_has_its_error(recorded):
    series, scored, bundle = recorded
    shown = most_abnormal(scored.cells, 6)
    found = forecasts_of(shown, series, scored.windows, bundle)
    variance = bundle.architecture["normalisation"]["std"][0] ** 2
    assert sorted(found) == sorted(shown)
    for path, forecast in found.items():
        worst = scored.windows.filter(path_id=path)["mse"].max()
        assert ((forecast.forecast - forecast.target) ** 2).mean() / variance == pytest.approx(worst, rel=1e-3)


def test_a_second_report_replaces_the_first_and_a_timelapse_without_scores_has_one(recorded, tmp_path):
    series, scored, bundle = recorded
    (tmp_path / "report.html").write_text("old")
    short = series.filter(pl.col("point") < 100).with_columns(long_enough=pl.lit(False))
    none = score_series(short, bundle, "v7")
    files = write_timelapse_report(tmp_path, "F1", short, none.windows, none.cells, bundle, "v7")
    assert "No cell was scored." in files.report.read_text() and pl.read_csv(files.windows.path).height == 0
    assert none.cells.height == pl.read_csv(files.cells.path).height


def test_scores_of_another_model_are_refused_and_nothing_is_written(recorded, tmp_path):
    series, scored, bundle = recorded
    with pytest.raises(ReportError, match="comes from the model v7, and the report is of v8"):
        write_timelapse_report(tmp_path / "report", "F1", series, scored.windows, scored.cells, bundle, "v8")
    assert not (tmp_path / "report").exists()


def test_the_command_and_the_page_show_equally_many_cells():
    assert MOST == PAGE_MOST
