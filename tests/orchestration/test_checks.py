"""What the checks let pass and what they stop, on tables as they lie in storage."""

import dagster as dg
import numpy as np
import polars as pl
import pytest
from dagster import AssetCheckEvaluation

from plate_assets.orchestration.assets.precipitation.checks import make_checks
from plate_assets.orchestration.checks import most_images_are_sound
from plate_assets.orchestration.partitions import plate_acquisitions
from plate_assets.orchestration.resources import storage_of
from plate_assets.plates.tables import IMAGE_QUALITY
from plate_assets.precipitation.tables import QUADRUPLET_CALLS, WELL_SCORES
from plate_assets.settings import Settings
from plate_assets.storage.schema import TableSchema
from plate_assets.storage.tables import Provenance, write_table
from tests.made_tables import rows_of

KEY = "P1_024h"
calls_know_their_origin, scores_are_like_the_history = make_checks(Settings())
MODEL = "models:/precipitation-detector/3"


@pytest.fixture
def storage(tmp_path):
    return storage_of(Settings(home=tmp_path))


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def keep(storage, name: str, key: str, table: pl.DataFrame, schema: TableSchema, **provenance) -> None:
    path = storage.table(name, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(table, path, schema, Provenance(**{"inputs": {"a": "1"}, "run_id": "r", "model_version": MODEL, **provenance}))


def asked(check: dg.AssetChecksDefinition, storage, instance: dg.DagsterInstance, key: str = KEY) -> AssetCheckEvaluation:
    """What the check says in a run that materialises its asset, whose table lies in storage already."""
    (checked,) = {check_key.asset_key for check_key in check.check_keys}

    @dg.asset(key=checked, partitions_def=plate_acquisitions)
    def already_there() -> None: ...

    job = dg.define_asset_job("asked", dg.AssetSelection.assets(checked))
    definitions = dg.Definitions([already_there], asset_checks=[check], jobs=[job], resources={"storage": storage})
    instance.add_dynamic_partitions(plate_acquisitions.name, [key])
    run = definitions.resolve_job_def("asked").execute_in_process(instance=instance, partition_key=key, raise_on_error=False)
    (evaluation,) = run.get_asset_check_evaluations()
    return evaluation


@pytest.mark.parametrize(
    ("provenance", "passed", "words"),
    [
        ({}, True, "agree"),
        ({"inputs": {}}, False, "no inputs recorded"),
        ({"run_id": None}, False, "no run recorded"),
        ({"model_version": "models:/precipitation-detector/4"}, False, "detector/4 recorded"),
    ],
)
def test_calls_that_do_not_know_what_made_them_are_stopped(storage, instance, provenance, passed, words):
    calls = rows_of(QUADRUPLET_CALLS, 4, model_version=[MODEL] * 4)
    keep(storage, "quadruplet_calls", KEY, calls, QUADRUPLET_CALLS, **provenance)
    result = asked(calls_know_their_origin, storage, instance)
    assert result.passed is passed and words in result.description


@pytest.mark.parametrize(("flagged", "passed"), [(2, True), (3, False)])
def test_a_plate_with_more_than_a_fifth_of_its_images_flagged_is_warned_of(storage, instance, flagged, passed):
    quality = rows_of(IMAGE_QUALITY, 10, flagged=[True] * flagged + [False] * (10 - flagged), readable=[True] * 10)
    keep(storage, "image_quality", KEY, quality, IMAGE_QUALITY)
    result = asked(most_images_are_sound, storage, instance)
    assert result.passed is passed and result.severity == dg.AssetCheckSeverity.WARN
    assert result.metadata["flagged share"].value == pytest.approx(flagged / 10)


@pytest.mark.parametrize(("score", "passed"), [(1.05, True), (3.0, False)])
def test_scores_far_from_the_earlier_plates_are_warned_of_once_there_is_a_history(storage, instance, score, passed):
    medians = 1 + 0.1 * np.random.default_rng(0).normal(size=6)
    for number, level in enumerate([*medians, score]):
        key = KEY if number == 6 else f"P{number + 2}_024h"
        wells = rows_of(WELL_SCORES, 8, score=[float(level)] * 8, model_version=[MODEL] * 8)
        keep(storage, "well_scores", key, wells, WELL_SCORES)
        instance.report_runless_asset_event(dg.AssetMaterialization("well_scores", partition=key))
    assert asked(scores_are_like_the_history, storage, instance).passed is passed


def test_another_models_scores_are_no_history(storage, instance):
    for number in range(7):
        key = KEY if number == 6 else f"P{number + 2}_024h"
        model = MODEL if number == 6 else "models:/precipitation-detector/2"
        wells = rows_of(WELL_SCORES, 8, score=[float(number)] * 8, model_version=[model] * 8)
        keep(storage, "well_scores", key, wells, WELL_SCORES, model_version=model)
        instance.report_runless_asset_event(dg.AssetMaterialization("well_scores", partition=key))
    result = asked(scores_are_like_the_history, storage, instance)
    assert result.passed and "0 earlier results" in result.description
