"""Drift of acquisitions: their embeddings, what known good plates look like, each one's test, and a night's tests together.

Belongs here: the chain of drift, and its reference. Not here: lines of acquisitions (`lines`), the stability study
(`stability`).
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from plate_assets.drift import tables
from plate_assets.learning.arithmetic import prepare_arithmetic
from plate_assets.orchestration.assets.drift.metadata import outlier_facts, test_facts, test_figures
from plate_assets.orchestration.assets.plates import PLATES
from plate_assets.orchestration.chains import Chain, table_asset, table_out
from plate_assets.orchestration.instance_state import made_since
from plate_assets.orchestration.metadata import logged_progress, table_shown
from plate_assets.orchestration.parts import NONE, Part, Present, Why, setting
from plate_assets.orchestration.resources import Storage
from plate_assets.orchestration.stored_plates import known_acquisition, stored_embeddings, stored_reference
from plate_assets.orchestration.workflow_options import drift_settings
from plate_assets.precipitation.tables import PATCH_EMBEDDINGS, TRAINING_SAMPLE
from plate_assets.settings import Settings
from plate_assets.storage.arrays import Stack, read_stack
from plate_assets.storage.models import ModelBundle
from plate_assets.storage.tables import read_table

if TYPE_CHECKING:
    from plate_assets.drift.acquisitions import DriftReference


def reference_in_force(present: Present) -> "DriftReference | None":
    """The drift reference; None where there is none, or where it is of another embedding model than the present one."""
    from plate_assets.storage.models import bundle_version, is_bundle

    place = present.storage.model("embedding_model")
    if not present.storage.table("drift_reference").exists() or not is_bundle(place):
        return None
    reference = stored_reference(present.storage)
    return reference if reference.embedding_version == bundle_version(place) else None


def _reference(present: Present, _: str) -> str:
    reference = reference_in_force(present)
    return reference.version if reference else NONE


def _embedding(present: Present, _: str) -> str:
    from plate_assets.storage.models import bundle_version

    return bundle_version(present.storage.model("embedding_model"))


DRIFT = Chain("drift", PLATES, open_when=lambda present: reference_in_force(present) is not None)
REFERENCE = Part("drift reference", Why.REFERENCE, _reference)
EMBEDDING = Part("embedding model", Why.MODEL, _embedding)
TESTING = (
    setting("drift_alpha", "rate of false drift alarms"),
    setting("drift_null", "how reference plates differ"),
    setting("drift_tolerance_h", "tolerance of age (h)"),
)


@DRIFT.asset(PATCH_EMBEDDINGS, rests_on=[EMBEDDING], kinds={"torch", "polars"})
def patch_embeddings(
    context: dg.AssetExecutionContext,
    patches: Stack,
    embedding_model: ModelBundle,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
) -> dg.MaterializeResult:
    """The vector of each tile of an acquisition under the embedding model."""
    from plate_assets.storage.models import bundle_version
    from plate_assets.workflows.precipitation.training_data import embed

    prepare_arithmetic(settings.threads)
    version = bundle_version(storage.model("embedding_model"))
    table = embed(patches, embedding_model, version, progress=logged_progress(context, "tiles embedded"))
    return dg.MaterializeResult(value=table, metadata={"tiles": table.height, "embedding model": version})


class ReferenceConfig(dg.Config):
    """Which acquisitions are known to be good; without a list those that the embedding was trained on."""

    acquisitions: list[str] = []
    tiles_per_acquisition: int = 200
    seed: int = 0


@dg.multi_asset(
    outs={
        schema.name: table_out(schema.name, schema, "drift")
        for schema in (tables.DRIFT_REFERENCE, tables.DRIFT_REFERENCE_TILES)
    },
    deps=[patch_embeddings, "embedding_model", "training_sample"],
)
def drift_references(context: dg.AssetExecutionContext, config: ReferenceConfig, storage: dg.ResourceParam[Storage]):
    """What known good plates look like to the embedding model: the mean of each well, and some tiles of each acquisition."""
    from plate_assets.drift.acquisitions import build_reference
    from plate_assets.drift.plates import plates_needed
    from plate_assets.storage.models import bundle_version

    version = bundle_version(storage.model("embedding_model"))
    names = config.acquisitions or _trained_on(storage)
    reference = build_reference(
        ((name, stored_embeddings(storage, name)) for name in names), version, config.tiles_per_acquisition, config.seed
    )
    plates = reference.wells["Metadata_Plate"].n_unique()
    return (
        dg.MaterializeResult(
            asset_key="drift_reference",
            value=reference.wells,
            metadata={
                "plates": plates,
                "acquisitions": len(names),
                "wells": reference.wells.height,
                "embedding model": version,
                "plates that a test at 5 % needs": plates_needed(0.05),
            },
        ),
        dg.MaterializeResult(asset_key="drift_reference_tiles", value=reference.tiles),
    )


def _trained_on(storage: Storage) -> list[str]:
    """Acquisitions of the training sample."""
    return sorted(read_stack(storage.stack("training_sample"), TRAINING_SAMPLE).table["acquisition"].unique())


@DRIFT.multi_asset(
    (tables.DRIFT_TESTS, tables.DRIFT_NULL, tables.WELL_DRIFT, tables.IMAGE_OUTLIERS),
    rests_on=(*TESTING, REFERENCE),
    deps=["drift_reference", "drift_reference_tiles"],
)
def acquisition_drift(
    context: dg.AssetExecutionContext,
    patch_embeddings: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
):
    """Does this plate differ from the reference plates more than they differ from each other? Which wells moved, which images
    are odd by themselves."""
    from plate_assets.drift.acquisitions import test_acquisition

    prepare_arithmetic(settings.threads)
    key, reference = context.partition_key, stored_reference(storage)
    found = test_acquisition(reference, key, patch_embeddings, drift_settings(settings))
    plate_format = known_acquisition(storage, key).acquisition.plate_format
    figures = test_figures(found, reference, key, patch_embeddings, settings.drift_tolerance_h, plate_format)
    moved = found.wells.sort("rank").select("Metadata_Well", "witness", "outlier")
    yield dg.MaterializeResult(asset_key="drift_tests", value=found.test, metadata=test_facts(found) | figures)
    yield dg.MaterializeResult(asset_key="drift_null", value=found.null)
    yield dg.MaterializeResult(asset_key="well_drift", value=found.wells, metadata={"moved most": table_shown(moved, 12)})
    yield dg.MaterializeResult(asset_key="image_outliers", value=found.tiles, metadata=outlier_facts(found))


class NightConfig(dg.Config):
    """Which tests are judged together."""

    hours: float = 24.0
    rate: float = 0.05
    method: str = "benjamini_hochberg"


@table_asset(tables.DRIFT_DISCOVERIES, group_name="drift", deps=["drift_tests"])
def drift_discoveries(
    context: dg.AssetExecutionContext, config: NightConfig, storage: dg.ResourceParam[Storage]
) -> dg.MaterializeResult:
    """The tests of one night together: which plates to name so that at most one in twenty names is wrong."""
    from plate_assets.drift.acquisitions import night_discoveries

    keys = made_since(context.instance, "drift_tests", datetime.now(UTC) - timedelta(hours=config.hours))
    tests = [read_table(storage.table("drift_tests", key), tables.DRIFT_TESTS) for key in keys]
    table = night_discoveries(pl.concat([tables.DRIFT_TESTS.empty(), *tests]), config.rate, config.method)
    named = table.filter(pl.col("named"))
    return dg.MaterializeResult(
        value=table,
        metadata={
            "tests": table.height,
            "named": ", ".join(named["acquisition"]) or "none",
            "false-discovery rate": config.rate,
            "note": (table["note"][0] if table.height else "") or "–",
        },
    )
