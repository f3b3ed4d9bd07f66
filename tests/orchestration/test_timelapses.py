"""Time-lapses through the platform, on a real instance and a real registry: arrival, measuring, judging, growing, verdicts."""

import json
import re
import shutil

import dagster as dg
import numpy as np
import polars as pl
import pytest
import tifffile
from typer.testing import CliRunner

from plate_assets.cli import app
from plate_assets.dry_mass.tables import ANNOTATIONS, CELL_ANOMALIES, CELL_TRACKS, DRY_MASS_SERIES, WINDOW_ANOMALIES
from plate_assets.storage.ledger import read_rows
from plate_assets.storage.tables import read_provenance, read_table
from plate_assets.workflows.dry_mass.series_files import simulate_tables
from tests.made_labs import opened_lab

MEASURING = ("timelapse", "phase_frames", "cell_masks", "cell_tracks", "dry_mass_series", "dry_mass_windows")
JUDGING = ("window_anomalies", "cell_anomalies", "timelapse_report")
FORECAST = {"ops": {"dry_mass_forecaster": {"config": {"epochs": 2, "windows_per_epoch": 500, "seed": 1}}}}


def cut(table: pl.DataFrame, hours: float) -> bytes:
    """The rows of a table of tracks as they were when the time-lapse was shorter."""
    return table.filter(pl.col("time_h") <= hours).write_csv().encode()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Two cultures have arrived as tables; a forecaster was trained on them and promoted, and the night has judged both."""
    home = tmp_path_factory.mktemp("home")
    simulate_tables(home / "made", cultures=2, founders=12, hours=48.0, seed=3)
    timelapses = home / "timelapses"
    timelapses.mkdir()
    with opened_lab(home) as lab:
        for name in ("CULTURE00003", "CULTURE00004"):
            (timelapses / name).mkdir()
        lab.whole = pl.read_csv(home / "made" / "CULTURE00003" / "tracks.csv")
        (timelapses / "CULTURE00003" / "tracks.csv").write_bytes(cut(lab.whole, 40.0))
        shutil.copy(home / "made" / "CULTURE00004" / "tracks.csv", timelapses / "CULTURE00004" / "tracks.csv")
        (timelapses / "CULTURE00004" / "timelapse.json").write_text(json.dumps({"well": "b3"}))
        lab.looks, cursor = [], None
        for _ in range(2):
            lab.looks.append(lab.tick("timelapse_arrivals", cursor))
            cursor = lab.looks[-1].cursor
        for request in lab.looks[-1].run_requests:
            lab.run("timelapse_chain", request)
        lab.run_plain("train_dry_mass", FORECAST)
        lab.moved_before = lab.tick("dry_mass_champion_moved")
        done = CliRunner().invoke(
            app, ["promote", "--kind", "dry_mass", "--reason", "the first"], env={"PLATE_ASSETS_HOME": str(home)}
        )
        assert done.exit_code == 0, done.output
        lab.requests = lab.night("timelapse_night")
        for request in lab.requests:
            lab.run("timelapse_chain", request)
        yield lab


def test_a_timelapse_is_let_in_once_it_stays_the_same_and_is_measured_without_a_champion(lab):
    assert not lab.looks[0].run_requests and len(lab.looks[1].run_requests) == 2
    assert [key.path[-1] for key in lab.looks[1].run_requests[0].asset_selection] == list(MEASURING)
    assert not lab.tick("timelapse_arrivals", lab.looks[1].cursor).run_requests


def test_without_a_champion_no_timelapse_is_judged_again(lab):
    assert isinstance(lab.moved_before, dg.SkipReason)


def test_the_night_judges_what_was_only_measured(lab):
    assert [[key.path[-1] for key in request.asset_selection] for request in lab.requests] == [list(JUDGING)] * 2
    assert isinstance(lab.night("timelapse_night"), dg.SkipReason)


def test_every_table_of_a_timelapse_names_its_inputs_and_its_model(lab):
    made_by = read_provenance(lab.storage.table("cell_anomalies", "CULTURE00003"))
    assert {"dry_mass_series/CULTURE00003", "window_anomalies/CULTURE00003"} <= made_by.inputs.keys()
    assert made_by.model_version == "models:/dry-mass-forecaster/1"
    tracks = read_table(lab.storage.table("cell_tracks", "CULTURE00004"), CELL_TRACKS)
    assert set(tracks["Metadata_Well"]) == {"B03"} and set(tracks["Metadata_Timelapse"]) == {"CULTURE00004"}


def test_a_report_lies_beside_its_tables(lab):
    folder = lab.storage.report("timelapse_report", "CULTURE00003")
    assert {"report.html", "overview.png", "windows.csv", "cells.csv"} <= {path.name for path in folder.iterdir()}


def test_the_command_gives_the_same_numbers_as_the_platform(lab, tmp_path):
    done = CliRunner().invoke(
        app,
        ["dry-mass", "score", str(lab.settings.home / "timelapses" / "CULTURE00004"), "--out", str(tmp_path / "out")],
        env={"PLATE_ASSETS_HOME": str(lab.settings.home)},
    )
    assert done.exit_code == 0, done.output
    stored = read_table(lab.storage.table("window_anomalies", "CULTURE00004"), WINDOW_ANOMALIES)
    written = pl.read_csv(tmp_path / "out" / "windows.csv")
    assert written.columns == ["track_id", "window_start_h", "mse", "abnormal"]
    joined = written.join(stored, left_on=["track_id", "window_start_h"], right_on=["path_id", "window_start_h"])
    assert joined.height == stored.height and np.allclose(joined["mse"], joined["mse_right"], rtol=1e-5)
    cells = pl.read_csv(tmp_path / "out" / "cells.csv")
    assert cells.columns == ["track_id", "score", "abnormal", "first_abnormal_h", "margin"]


def test_a_timelapse_that_grew_is_measured_again_and_only_its_new_windows_are_forecast(lab):
    name = "CULTURE00003"
    old = read_table(lab.storage.table("window_anomalies", name), WINDOW_ANOMALIES)
    (lab.settings.home / "timelapses" / name / "tracks.csv").write_bytes(cut(lab.whole, 48.0))
    (request,) = lab.night("timelapse_night")
    assert request.partition_key == name and request.tags["plate_assets/reason"] == "files changed"
    lab.run("timelapse_chain", request)
    new = read_table(lab.storage.table("window_anomalies", name), WINDOW_ANOMALIES)
    judged = lab.metadata("window_anomalies", name)
    assert new.height > old.height
    assert judged["newly forecast"].value < new["mse"].count() - 0.8 * old["mse"].count()
    assert isinstance(lab.night("timelapse_night"), dg.SkipReason)


def test_a_verdict_is_recorded_with_its_author_and_one_on_nothing_is_refused(lab):
    cells = read_table(lab.storage.table("cell_anomalies", "CULTURE00004"), CELL_ANOMALIES)
    home = {"PLATE_ASSETS_HOME": str(lab.settings.home)}
    path = str(cells["path_id"][0])
    done = CliRunner().invoke(
        app, ["annotate", "CULTURE00004", path, "biological", "--biology", "division", "--author", "ada"], env=home
    )
    assert done.exit_code == 0, done.output
    rows = read_rows(lab.storage.cell_verdicts, ANNOTATIONS)
    assert rows.select("verdict", "biology", "author").row(-1) == ("biological", "division", "ada")
    for arguments, said in (
        (["CULTURE00004", "99999", "both"], "has no path 99999"), (["CULTURE00004", path, "odd"], "is no verdict"),
        (["../x", path, "both"], "cannot name"),
    ):  # fmt: skip
        refused = CliRunner().invoke(app, ["annotate", *arguments, "--author", "ada"], env=home)
        assert refused.exit_code == 2 and said in refused.output
    lab.run_plain("verdicts")
    assert lab.metadata("verdict_precision")["table"].value.count("\n") > 10


def test_another_champion_judges_every_timelapse_again_and_measures_none(lab):
    lab.run_plain("train_dry_mass", FORECAST)
    lab.forecasters.promote("2", "ann", "another seed")
    moved = lab.tick("dry_mass_champion_moved")
    assert {request.partition_key for request in moved.run_requests} == {"CULTURE00003", "CULTURE00004"}
    for request in moved.run_requests:
        assert [key.path[-1] for key in request.asset_selection] == list(JUDGING), request.tags


def test_an_experiment_compares_two_cultures(lab):
    config = {"timelapses": ["CULTURE00003"], "other": ["CULTURE00004"], "epochs": 2, "windows_per_epoch": 500}
    lab.run_plain("experiment", {"ops": {"dry_mass_experiment": {"config": config}}}, partition_key="altered")
    figures = lab.metadata("dry_mass_experiment", "altered")
    assert "ROC over windows" in figures and "AUC windows, network" in figures


def spheres(folder, frames: int) -> None:
    """Frames of two cells that drift apart: OPD in nm, tilted."""
    folder.mkdir(exist_ok=True)
    rows, cols = np.mgrid[:80, :100]
    for frame in range(frames):
        image = 0.2 * cols + 0.1 * rows
        for row, col in ((40, 30 - frame), (38, 65 + frame)):
            height = np.sqrt(np.maximum(0, 81 - (rows - row) ** 2 - (cols - col) ** 2))
            image = image + 20 * height
        tifffile.imwrite(
            folder / f"opd_{frame:04d}.tif", (image + np.random.default_rng(frame).normal(0, 1, image.shape)).astype("f4")
        )


def test_images_become_tracks_and_new_frames_alone_are_measured(lab):
    folder = lab.settings.home / "timelapses" / "SPHERES"
    spheres(folder, 5)
    told = {"unit": "nm", "pixel_um": 1.0, "interval_min": 10, "wavelength_nm": 550.0}
    (folder / "timelapse.json").write_text(json.dumps(told))
    cursor = lab.tick("timelapse_arrivals").cursor
    (request,) = lab.tick("timelapse_arrivals", cursor).run_requests
    lab.run("timelapse_chain", request)
    tracks = read_table(lab.storage.table("cell_tracks", "SPHERES"), CELL_TRACKS)
    assert tracks["track_id"].n_unique() == 2 and set(tracks["unit"]) == {"pg"}
    spheres(folder, 7)
    request = next(request for request in lab.night("timelapse_night") if request.partition_key == "SPHERES")
    lab.run("timelapse_chain", request)
    assert lab.metadata("phase_frames", "SPHERES")["new frames"].value == 2
    series = read_table(lab.storage.table("dry_mass_series", "SPHERES"), DRY_MASS_SERIES)
    assert not series["long_enough"].any()  # kept, and not scored
    cells = read_table(lab.storage.table("cell_anomalies", "SPHERES"), CELL_ANOMALIES)
    assert cells.height == 2 and cells["score"].null_count() == 2


@pytest.mark.parametrize(
    ("name", "files", "said"),
    [
        ("GAP", {"a_001.tif": b"", "a_003.tif": b""}, "a_002|cannot be read|missing|empty"),
        ("BROKEN", {"tracks.csv": b"track_id,parent_id,time_h,dry_mass_pg\n1,1,0,300\n1,1,1,301\n"}, "tracks.csv.*line"),
    ],
)  # fmt: skip
def test_a_broken_timelapse_fails_alone_with_the_file_and_leaves_no_table(lab, name, files, said):
    folder = lab.settings.home / "timelapses" / name
    folder.mkdir()
    for file, content in files.items():
        (folder / file).write_bytes(content)
    cursor = lab.tick("timelapse_arrivals").cursor
    requests = {request.partition_key: request for request in lab.tick("timelapse_arrivals", cursor).run_requests}
    done = lab.try_run("timelapse_chain", requests[name])
    assert not done.success
    error = next(event for event in done.all_events if event.is_step_failure).step_failure_data.error
    assert re.search(said, error.cause.message if error.cause else error.message)
    assert not lab.storage.table("cell_tracks", name).exists()
    shutil.rmtree(folder)
