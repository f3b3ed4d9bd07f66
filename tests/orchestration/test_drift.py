"""Drift through the platform on a real instance: reference, test and check of each acquisition, the line's alarm, what follows.

The vectors are made; everything that reads and writes them is the platform's own.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import numpy as np
import polars as pl
import pytest
from upath import UPath

from plate_assets.drift.tables import DRIFT_EPISODES, DRIFT_STEPS, DRIFT_TESTS, LABELLING_BATCH
from plate_assets.orchestration.assets.drift.acquisitions import DRIFT, reference_in_force
from plate_assets.orchestration.assets.drift.line_membership import line_of
from plate_assets.orchestration.tags import BASIS_METADATA
from plate_assets.plates.acquisition import Acquisition
from plate_assets.plates.acquisition_table import ACQUISITION, acquisition_to_table
from plate_assets.plates.layout import PlateFormat
from plate_assets.plates.tables import IMAGES
from plate_assets.precipitation.tables import PATCH_EMBEDDINGS, PATCHES
from plate_assets.storage.arrays import write_stack
from plate_assets.storage.models import ModelBundle, bundle_version, write_bundle
from plate_assets.storage.tables import Provenance, read_table, write_table
from tests.made_embeddings import embeddings
from tests.made_labs import opened_lab
from tests.made_models import registered
from tests.made_tables import rows_of

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
REFERENCE = [f"R{number:02d}" for number in range(20)]


def acquisition(plate: str, day: int) -> Acquisition:
    images = rows_of(IMAGES, 1, Metadata_Plate=[plate], Metadata_Timepoint=["024h"], present=[True])
    return Acquisition(
        plate, "024h", 24.0, UPath("/time-lapses"), "operetta", PlateFormat(96), images, True, "listed",
        started_at=BEGAN + timedelta(days=day),
    )  # fmt: skip


def arrived(lab, plate: str, day: int, **about) -> str:
    """An acquisition that was let in, cut into tiles and embedded."""
    key, version = f"{plate}_024h", bundle_version(lab.storage.model("embedding_model"))
    vectors = embeddings(plate, 24.0, version=version, **about)
    write_table(
        acquisition_to_table(acquisition(plate, day), f"{day:064x}"),
        lab.storage.table("acquisition", key),
        ACQUISITION,
        Provenance(),
    )
    write_table(vectors, lab.storage.table("patch_embeddings", key), PATCH_EMBEDDINGS, Provenance(model_version=version))
    names = [column.name for column in PATCHES.columns]
    tiles = rows_of(
        PATCHES,
        vectors.height,
        geometry=["field"] * vectors.height,
        Metadata_Well=vectors["Metadata_Well"],
        Metadata_Quadruplet=vectors["Metadata_Quadruplet"],
        tile_col=vectors["tile_col"],
    )
    pixels = np.random.default_rng(day).integers(0, 255, (vectors.height, 8, 8), dtype=np.uint8)
    write_stack(lab.storage.stack("patches", key), [(tiles.select(names), pixels)], PATCHES, Provenance())
    lab.instance.add_dynamic_partitions("plate_acquisitions", [key])
    possible, present = lab.platform.assets_over(lab.platform.subject("plate")), lab.platform.present()
    for asset in ("acquisition", "image_quality", "illumination", "patches", "growth", "patch_embeddings"):
        parts = lab.platform.wanted_parts(asset, possible) if asset != "acquisition" else ()
        basis = {part.name: part.value(present, key) for part in parts}
        metadata = {BASIS_METADATA: dg.MetadataValue.json(basis)}
        lab.instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=key, metadata=metadata))
    return key


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Twenty known good plates are the reference; a champion is in force."""
    with opened_lab(tmp_path_factory.mktemp("home"), drift_window=8, drift_ert=64, drift_action="block") as lab:
        write_bundle(ModelBundle({"format": 1}, {"w": np.zeros(3, np.float32)}), lab.storage.model("embedding_model"))
        lab.champion = lab.registry.promote(registered(lab.settings).version, "test", "the first")
        keys = [arrived(lab, plate, day) for day, plate in enumerate(REFERENCE)]
        assert reference_in_force(lab.platform.present()) is None
        lab.run_plain("drift_reference", {"ops": {"drift_references": {"config": {"acquisitions": keys}}}})
        yield lab


def held_against_reference(lab, key: str) -> dg.ExecuteInProcessResult:
    return lab.try_run("drift_test", dg.RunRequest(partition_key=key))


def test_the_night_tests_what_is_embedded_once_there_is_a_reference(lab):
    assert lab.metadata("drift_reference")["plates"].value == 20
    due = {request.partition_key: request for request in lab.night()}
    wanted = {key.path[-1] for key in due["R00_024h"].asset_selection}
    assert {"drift_tests", "drift_null", "well_drift", "image_outliers"} <= wanted and "patch_embeddings" not in wanted
    assert "quadruplet_calls" in wanted  # one run does all of it, the calls behind the test


def test_a_morning_without_an_alarm_makes_its_page_and_has_nothing_to_label(lab):
    lab.run_plain("morning")
    assert lab.times("morning_page") == 1 and (lab.storage.morning_page / "morning.html").exists()
    assert read_table(lab.storage.table("labelling_batch"), LABELLING_BATCH).is_empty()


def test_a_usual_plate_passes_its_check_and_a_shifted_one_fails_it_with_what_moved(lab):
    usual, shifted = arrived(lab, "N1", 30), arrived(lab, "N2", 31, shift=3.0)
    for key, passed in ((usual, True), (shifted, False)):
        (evaluation,) = held_against_reference(lab, key).get_asset_check_evaluations()
        assert evaluation.check_name == "drift_test" and evaluation.passed is passed
        assert evaluation.severity == dg.AssetCheckSeverity.ERROR
    assert {"p_value", "effect", "wells that moved most", "tiles that moved most"} <= evaluation.metadata.keys()
    assert "Drift test of N2_024h" in lab.metadata("drift_tests", shifted)
    row = read_table(lab.storage.table("drift_tests", shifted), DRIFT_TESTS).row(0, named=True)
    assert row["decision"] == "drift" and row["p_value"] == pytest.approx(1 / 21)


def test_embeddings_of_another_model_are_refused_with_the_remedy(lab):
    key = arrived(lab, "OLD", 32)
    other = embeddings("OLD", 24.0, version="file:another")
    write_table(other, lab.storage.table("patch_embeddings", key), PATCH_EMBEDDINGS, Provenance(model_version="file:another"))
    done = held_against_reference(lab, key)
    failure = next(event for event in done.all_events if event.is_step_failure)
    assert "embed the acquisition again" in str(failure.step_failure_data.error)
    lab.instance.delete_dynamic_partition("plate_acquisitions", key)


def test_the_alarm_of_a_line_asks_a_person_once_and_tags_the_champion(lab):
    drifting = [arrived(lab, f"D{number}", 40 + number, shift=4.0) for number in range(3)]
    for key in drifting:
        held_against_reference(lab, key)
    lab.run_plain("morning")
    episodes = read_table(lab.storage.table("drift_episodes"), DRIFT_EPISODES)
    (last,) = episodes.filter(pl.col("closed_at").is_null()).iter_rows(named=True)
    assert last["line"] == "operetta" and last["opened_by"] in ("N2_024h", *drifting)
    batch = read_table(lab.storage.table("labelling_batch"), LABELLING_BATCH)
    newest = batch.filter(pl.col("episode") == last["episode"])
    assert 0 < newest.height <= 48 and newest["Metadata_Well"].n_unique() > 4 and newest["group"].n_unique() > 1
    version = lab.registry._client.get_model_version("precipitation-detector", lab.champion.rsplit("/")[-1])
    assert version.tags["drift"].startswith("drift on line operetta since 2026-04-01")
    assert lab.metadata("labelling_batch")["new tiles"].value == batch.height
    lab.run_plain("morning")
    assert lab.metadata("labelling_batch")["new tiles"].value == 0  # once for each episode, not every night
    assert read_table(lab.storage.table("labelling_batch"), LABELLING_BATCH).equals(batch)
    assert lab.times("morning_page") == 3
    page = (lab.storage.morning_page / "morning.html").read_text()
    assert "operetta</b> drifts since 2026-" in page and "N2_024h" in page and "calls are withheld" in page.lower()


def test_a_line_takes_each_acquisition_once_in_the_order_of_time(lab):
    before = read_table(lab.storage.table("drift_monitor"), DRIFT_STEPS)
    lab.run_plain("morning")
    after = read_table(lab.storage.table("drift_monitor"), DRIFT_STEPS)
    assert after.equals(before) and after["acquired_at"].is_sorted()
    assert after.group_by("acquisition").len()["len"].max() == lab.settings.drift_wells


def test_an_assay_is_a_line_of_its_own_where_the_plate_says_it():
    of_name = replace(acquisition("TOX-0042", 0), plate="TOX-0042")
    assert line_of(of_name, r"^([A-Z]+)-") == "operetta / TOX"
    assert line_of(of_name, "") == line_of(of_name, r"^(\d+)x") == "operetta"


def test_a_new_embedding_model_ends_the_watch_until_it_has_a_reference(lab):
    assert reference_in_force(lab.platform.present()) is not None
    write_bundle(ModelBundle({"format": 2}, {"w": np.ones(3, np.float32)}), lab.storage.model("embedding_model"))
    assert reference_in_force(lab.platform.present()) is None
    wanted = [key.path[-1] for request in lab.night() for key in request.asset_selection]
    assert wanted and not set(DRIFT.assets) & set(wanted)
