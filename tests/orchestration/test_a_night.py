"""A whole night in one process, on a real instance, a real registry and simulated plates: sensor, schedule, jobs, people."""

from dataclasses import replace

import dagster as dg
import numpy as np
import polars as pl
import pytest
import tifffile
from typer.testing import CliRunner

from plate_assets.cli import app
from plate_assets.orchestration.requests import due
from plate_assets.orchestration.stored_plates import stored_plate
from plate_assets.orchestration.tags import REASON_TAG
from plate_assets.plates.simulate import SimulationSettings, simulate_plates
from plate_assets.precipitation.detector import Detector
from plate_assets.precipitation.model import DETECTOR
from plate_assets.precipitation.tables import EXPERT_LABELS, PATCH_SCORES, QUADRUPLET_CALLS, WELL_SCORES
from plate_assets.storage.arrays import Stack, read_stack
from plate_assets.storage.tables import read_provenance, read_table
from plate_assets.workflows.precipitation.precision import choose_precision
from tests.made_labs import Lab, opened_lab
from tests.made_models import registered

PLATES = ["SIM00001_096h", "SIM00002_096h"]
NUMBERS = ["score", "normalised_score", "anomaly_score", "threshold", "call"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Two plates have arrived and were let in; a champion is in force and the night has scored both."""
    home = tmp_path_factory.mktemp("home")
    simulate_plates(home / "made", SimulationSettings(plates=2, timepoints_h=(96.0,), layout="operetta", quadruplets=4))
    (home / "made" / "platemaps").rename(home / "platemaps")
    (home / "arrivals").mkdir()
    with opened_lab(home) as lab:
        lab.champion = registered(lab.settings)
        lab.registry.promote(lab.champion.version, "test", "the first")
        for folder in sorted((home / "made").glob("SIM*")):
            folder.rename(home / "arrivals" / folder.name)
        lab.looks = [lab.tick("plate_arrivals") for _ in range(2)]
        for request in lab.looks[-1].run_requests or lab.looks[0].run_requests:
            lab.run("plate_chain", request)
        lab.requests = lab.night()
        for request in lab.requests:
            lab.run("plate_chain", request)
        yield lab


def test_what_is_complete_by_its_own_list_is_let_in_at_once_and_only_once(lab):
    assert [request.partition_key for look in lab.looks for request in look.run_requests or ()] == PLATES
    assert not lab.tick("plate_arrivals").run_requests


def test_the_night_names_each_of_its_requests(lab):
    keys = [request.run_key for request in lab.requests]
    assert len(set(keys)) == len(keys) == 2 and all(keys)


def test_a_call_says_what_it_was_made_of_and_by_which_model(lab):
    calls = read_provenance(lab.storage.table("quadruplet_calls", "SIM00001_096h"))
    scores = read_provenance(lab.storage.table("well_scores", "SIM00001_096h"))
    assert "well_scores/SIM00001_096h" in calls.inputs and "patch_scores/SIM00001_096h" in scores.inputs
    assert calls.model_version == scores.model_version == lab.champion.uri


def test_a_night_with_nothing_new_asks_for_nothing(lab):
    assert isinstance(lab.night(), dg.SkipReason)


def test_the_command_gives_the_same_numbers_as_the_platform(lab, tmp_path):
    key = "SIM00001_096h"
    environment = {
        "PLATE_ASSETS_HOME": str(lab.settings.home), "PLATE_ASSETS_THREADS": "2",
        "PLATE_ASSETS_PRECIPITATION_MODEL": lab.settings.model_of(DETECTOR),
    }  # fmt: skip
    done = CliRunner().invoke(
        app, ["score", str(lab.settings.home / "arrivals" / key), "--out", str(tmp_path / "out")], env=environment
    )
    assert done.exit_code == 0, done.output
    tiles, wells, calls = (pl.read_csv(tmp_path / "out" / name) for name in ("tiles.csv", "wells.csv", "quadruplets.csv"))
    assert tiles["score"].to_list() == pytest.approx(
        read_stack(lab.storage.stack("patch_scores", key), PATCH_SCORES).table["score"].to_list(), rel=1e-5
    )
    stored = read_table(lab.storage.table("well_scores", key), WELL_SCORES)
    assert wells["score"].to_list() == pytest.approx(stored["score"].to_list(), rel=1e-5)
    stored = read_table(lab.storage.table("quadruplet_calls", key), QUADRUPLET_CALLS)
    for name in NUMBERS:
        assert calls[name].to_list() == pytest.approx(stored[name].to_list(), rel=1e-4), name
    assert {"report.html", "heatmap.png"} <= {path.name for path in (tmp_path / "out").iterdir()}


def a_tile_of_each_well(lab, key: str):
    """A stored plate with few tiles: a processor without instructions for bfloat16 is slow to make up for them."""
    plate = stored_plate(lab.storage, lab.settings, key)
    rows = plate.patches.table.with_row_index("row").group_by("Metadata_Well", maintain_order=True).first()["row"].to_list()
    return replace(plate, patches=Stack(plate.patches.table[rows], np.asarray(plate.patches.array)[rows]))


@pytest.mark.parametrize("able", [True, False])
def test_the_fastest_precision_is_taken_only_where_it_changes_nothing(lab, monkeypatch, able):
    for name in ("multiplies_bfloat16", "multiplies_int8"):
        monkeypatch.setattr(f"plate_assets.workflows.precipitation.precision.{name}", lambda: able)
    bundle = lab.registry.load(lab.champion.uri)
    detector = Detector.from_parts(bundle.architecture, bundle.weights)
    detector.observe(a_tile_of_each_well(lab, PLATES[0]).patches.array)
    experts = EXPERT_LABELS.empty()
    check = choose_precision((a_tile_of_each_well(lab, key) for key in PLATES), detector, experts, 0.01)
    stored = [read_table(lab.storage.table("well_scores", key), WELL_SCORES) for key in PLATES]
    assert [table.height for table in check.wells] == [table.height for table in stored]
    if able:
        assert set(check.changes) == {"bfloat16", "int8"}
        fit = {"float32"} | {name for name, change in check.changes.items() if change.none_that_matters}
        assert check.chosen == min(fit, key=check.seconds.__getitem__)
        assert check.facts["int8: Spearman"] == check.changes["int8"].spearman
    else:
        assert check.chosen == "float32" and "no instructions" in str(check.facts["bfloat16"])
    assert choose_precision([], detector, experts, 0.01).chosen == "float32"


def test_a_well_taken_out_is_called_again_without_scoring_its_tiles_again(lab):
    environment = {"PLATE_ASSETS_HOME": str(lab.settings.home)}
    well = read_table(lab.storage.table("well_scores", "SIM00002_096h"), WELL_SCORES)["Metadata_Well"][0]
    done = CliRunner().invoke(app, ["exclude", "SIM00002", well, "--reason", "pipetting", "--author", "ada"], env=environment)
    assert done.exit_code == 0, done.output
    (request,) = lab.night()
    assert request.partition_key == "SIM00002_096h"
    lab.run("plate_chain", request)
    wells = read_table(lab.storage.table("well_scores", "SIM00002_096h"), WELL_SCORES)
    out = wells.filter(pl.col("Metadata_Well") == well)
    assert out["excluded"].all() and "pipetting" in out["reasons"][0]
    assert lab.times("patch_scores", "SIM00002_096h") == 1 and lab.times("well_scores", "SIM00002_096h") == 2


def test_a_champion_that_moves_is_asked_for_once_and_again_when_it_comes_back(lab):
    seen = lab.tick("precipitation_champion_moved")
    assert not seen.run_requests  # everything was scored by this one
    second = lab.registry.promote(registered(lab.settings, seed=1).version, "test", "better")
    moved = lab.tick("precipitation_champion_moved", seen.cursor)
    assert {request.partition_key for request in moved.run_requests} == set(PLATES)
    assert all("patches" not in str(request.asset_selection) for request in moved.run_requests)
    assert isinstance(lab.tick("precipitation_champion_moved", moved.cursor), dg.SkipReason)
    for request in moved.run_requests:
        lab.run("plate_chain", request)
    lab.registry.rollback("test", "it was not")
    back = lab.tick("precipitation_champion_moved", moved.cursor)
    assert {request.partition_key for request in back.run_requests} == set(PLATES)
    keys = [request.run_key for look in (moved, back) for request in look.run_requests]
    assert len(set(keys)) == 4 and second
    assert lab.times("patches", "SIM00001_096h") == lab.times("growth", "SIM00001_096h") == 1


def asked(requests) -> dict[str, tuple[set[str], str]]:
    """What was requested for each plate, and the reason."""
    if isinstance(requests, dg.SkipReason):
        return {}
    return {
        request.partition_key: ({key.path[-1] for key in request.asset_selection}, request.tags[REASON_TAG])
        for request in requests
    }


def test_another_contamination_calls_every_plate_again_and_says_what_it_was(lab):
    for request in lab.night():  # what the tests before left
        lab.run("plate_chain", request)
    changed = Lab(lab.settings.model_copy(update={"contamination": 0.05}), lab.instance)
    requests = changed.night()
    assert asked(requests) == dict.fromkeys(PLATES, ({"quadruplet_calls", "plate_report"}, "λ was 0.01, is 0.05"))
    changed.run("plate_chain", requests[0])
    assert asked(changed.night()).keys() == {PLATES[1]}
    assert asked(lab.night()) == {PLATES[0]: ({"quadruplet_calls", "plate_report"}, "λ was 0.05, is 0.01")}
    told = lab.metadata("quadruplet_calls", PLATES[0])["rests on"].data
    assert told["λ"] == "0.05" and told["detector"] == "models:/precipitation-detector/1" and told["images"].startswith("#")
    lab.run("plate_chain", lab.night()[0])
    assert isinstance(lab.night(), dg.SkipReason)


def test_a_changed_plate_map_is_a_reason_of_its_own(lab):
    (maps,) = {path.parent for path in (lab.settings.home / "platemaps").glob("*SIM00001*")}
    (found,) = maps.glob("*SIM00001*")
    before = found.read_text()
    found.write_text(before.replace("sample", "positive_control", 1))
    selection, reason = asked(lab.night())[PLATES[0]]
    assert reason == "plate map changed" and {"patches", "growth", "well_scores", "plate_report"} <= selection
    found.write_text(before)
    assert isinstance(lab.night(), dg.SkipReason)


def test_a_plate_whose_tables_are_broken_stops_no_other(lab):
    path = lab.storage.table("acquisition", PLATES[0])
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    changed = Lab(lab.settings.model_copy(update={"contamination": 0.05}), lab.instance)
    subject = changed.platform.subject("plate")
    found = due(changed.platform, subject, lab.instance)
    assert [work.partition for work in found.work] == [PLATES[1]]
    assert "not a whole Parquet file" in found.unreadable[PLATES[0]]
    path.write_bytes(whole)


def test_new_images_under_a_known_id_are_scored_again_from_the_beginning(lab):
    """As after a partition was deleted and added again: whatever was made of the old images is stale."""
    folder = lab.settings.home / "arrivals" / PLATES[1]
    image = next(folder.rglob("*.tif*"))
    pixels = tifffile.imread(image)
    tifffile.imwrite(image, pixels[::-1])
    lab.instance.delete_dynamic_partition("plate_acquisitions", PLATES[1])
    lab.instance.add_dynamic_partitions("plate_acquisitions", [PLATES[1]])
    given = {"ops": {"acquisition": {"config": {"folder": str(folder)}}}}
    lab.run_plain("ingest", given, partition_key=PLATES[1])
    selection, reason = asked(lab.night())[PLATES[1]]
    assert selection == {name for name in lab.platform.possible(lab.platform.subject("plate"), lab.platform.present())} - {
        "image_quality", "illumination",
    }  # fmt: skip
    assert reason == "images changed"
