"""What a newcomer sees of the demo: few lines, where the rest is, a summary. All of it takes minutes: its parts here."""

import time

import polars as pl
import pytest
import typer

from plate_assets.cli.console import console_beside
from plate_assets.orchestration.demo import Player, called_conditions, prepare_home, summary, told_apart
from plate_assets.orchestration.resources import storage_of
from plate_assets.plates.simulate import SimulationSettings, simulate_plates
from plate_assets.precipitation.tables import COMPARISON, QUADRUPLET_CALLS
from plate_assets.settings import Settings
from plate_assets.storage.tables import Provenance, write_table
from tests.made_labs import opened_lab
from tests.made_tables import rows_of

PLATE = {"Metadata_Plate": "SIM00005", "Metadata_Timepoint": "096h"}
CALLS = rows_of(
    QUADRUPLET_CALLS, 4, **PLATE, Metadata_Quadruplet=["A01", "A03", "C01", "C03"], anomaly_score=[0.8, 0.9, 0.1, None],
    call=[True, True, False, None],
)  # fmt: skip
TRUTH = pl.DataFrame({
    "Metadata_Plate": ["SIM00005"] * 5, "Metadata_Timepoint": ["096h"] * 4 + ["024h"],
    "Metadata_Quadruplet": ["A01", "A03", "C01", "C03", "A01"], "precipitated": [True, False, False, True, True],
})  # fmt: skip
COMPARED = rows_of(
    COMPARISON, 3, detector=["cnn27", "local_std", "cnn27"], method=["one_sided", "one_sided", "paper_forest"],
    auc=[0.98, 0.71, 0.99], auc_low=[0.9, 0.5, 0.9], auc_high=[1.0, 0.9, 1.0], n_quadruplets=48,
)  # fmt: skip


def test_the_called_are_named_most_isolated_first_and_held_against_the_truth():
    assert called_conditions(CALLS, TRUTH) == "2 of 4 conditions: A03, A01; 2 as in the simulator's truth"
    assert called_conditions(CALLS[2:], TRUTH).startswith("0 of 2 conditions; 1 as")


def test_the_auc_stands_beside_the_baselines_and_is_of_the_method_that_calls():
    assert told_apart(COMPARED).startswith("0.98 [0.90, 1.00] by cnn27, 0.71 by contrast alone, on 48 conditions")


def test_without_both_classes_there_is_no_auc_and_it_says_so():
    assert "of one class" in told_apart(COMPARED.with_columns(auc=pl.lit(None, pl.Float64)))


def test_the_last_lines_say_what_was_called_how_well_where_it_is_and_how_to_open_it(tmp_path):
    storage = storage_of(Settings(home=tmp_path))
    write_table(CALLS, storage.table("quadruplet_calls", "SIM00005_096h"), QUADRUPLET_CALLS, Provenance(code_version="1"))
    write_table(COMPARED, storage.table("detector_comparison"), COMPARISON, Provenance(code_version="1"))
    lines = summary(storage, TRUTH, "SIM00005_096h", tmp_path / "timelapse.html", "http://127.0.0.1:3000")
    assert len(lines) < 10
    for line, said in zip(lines, ["A03, A01", "0.98", "report.html", "timelapse.html", "morning.html", "make ui"], strict=True):
        assert said in line


def test_a_home_with_plates_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "arrivals").mkdir()
    with pytest.raises(ValueError, match="remove it, or set PLATE_ASSETS_HOME"):
        prepare_home(Settings(home=tmp_path))


def test_a_plate_comes_in_with_a_line_for_it_and_a_step_that_fails_is_named(tmp_path, capsys):
    progress = []
    made = SimulationSettings(plates=1, timepoints_h=(24.0,), layout="operetta", quadruplets=1)
    simulate_plates(tmp_path / "home" / "arrivals", made)
    with opened_lab(tmp_path / "home") as lab, pytest.raises(typer.Exit), console_beside(tmp_path / "log") as console:

        def heard(what: str):
            return lambda done, total: progress.append((what, done, total))

        player = Player(lab.definitions, lab.settings, lab.storage, lab.instance, console.say, heard, time.monotonic())
        player.arrivals()
        player.job("labelled", {})  # before there are clusters
    out, err = capsys.readouterr()
    said = [line.split("] ")[-1] for line in out.splitlines()]
    assert said == ["1 acquisitions let in", "labelled_patches of labelled failed"]
    assert str(tmp_path / "log") in err and len(err.splitlines()) < 8
    assert ("images measured (SIM00001_024h, image_quality)", 4, 4) in progress
    log = (tmp_path / "log").read_text()
    assert " - DEBUG - " in log and "1 acquisitions let in" in log
