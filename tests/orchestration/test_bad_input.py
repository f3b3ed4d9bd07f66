"""What can be wrong with what arrives: a flagged well or a clear error, and the other plates unharmed."""

import shutil

import numpy as np
import polars as pl
import pytest
import tifffile

from plate_assets.orchestration.arrivals_ledger import read_ledger
from plate_assets.plates.simulate import SimulationSettings, simulate_plates
from plate_assets.plates.tables import IMAGE_QUALITY
from plate_assets.precipitation.tables import GROWTH, PATCHES
from plate_assets.storage.arrays import read_stack
from plate_assets.storage.tables import read_table
from tests.made_labs import opened_lab

FLAGGED = {"truncated": "cut off", "empty": "zero bytes", "floating": "float32"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One simulated plate of four wells in either layout, to be copied and spoiled."""
    home = tmp_path_factory.mktemp("made")
    for layout in ("flat", "operetta"):
        simulate_plates(home / layout, SimulationSettings(plates=1, timepoints_h=(24.0,), layout=layout, quadruplets=1))
    return {layout: next((home / layout).glob("SIM*")) for layout in ("flat", "operetta")}


@pytest.fixture(scope="module")
def lab(tmp_path_factory, made):
    """Eight folders arrive, all but one spoiled in their own way, and the sensor's and the night's requests are run."""
    with opened_lab(tmp_path_factory.mktemp("home") / "lab") as lab:
        arrivals = lab.settings.home / "arrivals"
        for name in ("sound", "truncated", "empty", "floating", "vanishing", "twice"):
            shutil.copytree(made["flat"], arrivals / f"{name}_024h")
        files = {name: sorted((arrivals / f"{name}_024h").glob("*.tif")) for name in (*FLAGGED, "vanishing", "twice")}
        content = files["truncated"][0].read_bytes()
        files["truncated"][0].write_bytes(content[: len(content) // 2])
        files["empty"][0].write_bytes(b"")
        tifffile.imwrite(files["floating"][0], np.zeros((1200, 1200), np.float32))
        first = files["twice"][0]
        shutil.copy(first, first.with_name(first.name.lower()))
        climbing = shutil.copytree(made["operetta"], arrivals / "climbing")
        index = next(climbing.rglob("Index.idx.xml"))
        index.write_text(index.read_text().replace(">SIM00001<", ">../../SIM00001<"))
        lab.looks = [lab.tick("plate_arrivals") for _ in range(3)]
        requests = {request.partition_key: request for look in lab.looks for request in look.run_requests or ()}
        files["vanishing"][0].unlink()  # between the sensor's look and the run
        lab.runs = {key: lab.try_run("plate_chain", request) for key, request in sorted(requests.items())}
        lab.nights = {request.partition_key: lab.try_run("plate_chain", request) for request in lab.night()}
        yield lab


def failure(run) -> str:
    return "\n".join(str(event.step_failure_data.error) for event in run.all_events if event.is_step_failure)


def test_a_plate_with_broken_files_goes_through_and_so_do_its_neighbours(lab):
    whole = {f"{name}_024h" for name in ("sound", *FLAGGED)}
    assert {key for key, run in lab.runs.items() if run.success} == whole
    assert {key for key, run in lab.nights.items() if run.success} == whole == set(lab.nights)


@pytest.mark.parametrize(("plate", "words"), FLAGGED.items())
def test_a_file_that_cannot_be_read_flags_its_well_alone_and_names_itself(lab, plate, words):
    quality = read_table(lab.storage.table("image_quality", f"{plate}_024h"), IMAGE_QUALITY)
    (bad,) = quality.filter(~pl.col("readable")).iter_rows(named=True)
    assert bad["flagged"] and words in bad["reasons"] and f"{bad['Metadata_Well']}_s1.tif" in bad["reasons"]
    assert quality.filter("readable").height == 3
    tiles = read_stack(lab.storage.stack("patches", f"{plate}_024h"), PATCHES).table
    assert bad["Metadata_Well"] not in set(tiles["Metadata_Well"]) and tiles["Metadata_Well"].n_unique() == 3
    growth = read_table(lab.storage.table("growth", f"{plate}_024h"), GROWTH)
    assert growth.filter(pl.col("Metadata_Well") == bad["Metadata_Well"])["confluence"].null_count() == growth.height - 3


def test_a_file_that_vanishes_after_the_sensors_look_fails_its_run_instead_of_leaving_a_well_out(lab):
    said = failure(lab.runs["vanishing_024h"])
    assert "vanishing_024h is no longer as it was when found complete" in said and "Restore what is lost" in said
    assert not lab.storage.table("acquisition", "vanishing_024h").exists()


def test_a_well_that_is_there_twice_is_never_let_in_and_the_reason_names_both_files(lab):
    assert "twice_024h" not in lab.runs
    error = read_ledger(lab.storage).folders["twice_024h"].seen.error
    name = sorted((lab.settings.home / "arrivals" / "sound_024h").glob("*.tif"))[0].name
    assert name in error and name.lower() in error


def test_a_plate_name_that_climbs_out_is_refused_before_anything_is_written(lab):
    assert not any("SIM00001" in key for key in lab.runs)
    assert "../../SIM00001" in read_ledger(lab.storage).folders["climbing"].seen.error
    assert not list(lab.settings.home.parent.rglob("*SIM00001_024h*"))


def test_the_sensor_says_what_is_broken_and_why(lab):
    said = lab.tick("plate_arrivals").skip_reason.skip_message
    assert "2 broken" in said and "climbing" in said and "1 waiting: vanishing_024h" in said
