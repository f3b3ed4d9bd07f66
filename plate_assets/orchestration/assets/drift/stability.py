"""The stability study as assets: how detector, embedding and drift tests bear what microscopes do to images."""

import dagster as dg
from pydantic import Field

from plate_assets.drift.stability import tables
from plate_assets.learning.arithmetic import prepare_arithmetic
from plate_assets.orchestration.assets.drift.metadata import study_facts
from plate_assets.orchestration.assets.precipitation.decisions import precipitation_champion
from plate_assets.orchestration.chains import table_out
from plate_assets.orchestration.config import configured, configures
from plate_assets.orchestration.metadata import logged_progress
from plate_assets.orchestration.resources import Storage
from plate_assets.precipitation.model import DETECTOR
from plate_assets.precipitation.tables import LABELLED_PATCHES
from plate_assets.settings import Settings
from plate_assets.storage.arrays import Stack
from plate_assets.storage.models import ModelBundle
from plate_assets.storage.registry import Registries
from plate_assets.storage.tables import read_table
from plate_assets.workflows.drift.stability import StabilityConfig


@configures(StabilityConfig, without=("offline", "online"))
class StabilityRun(dg.Config):
    """What is studied; without a list every corruption at every level."""

    streams: int = Field(default=100, description="Streams of the online test, clean ones and drifted ones")
    seeds: int = Field(default=5, description="Seeds of either test's trials")


@dg.multi_asset(
    outs={
        schema.name: table_out(schema.name, schema, "drift", kinds={"torch", "polars"})
        for schema in (tables.STABILITY, tables.ONLINE_AUC)
    },
    deps=[precipitation_champion, "labelled_patches"],
    pool="torch",
)
def stability_study(
    context: dg.AssetExecutionContext,
    config: StabilityRun,
    training_sample: Stack,
    embedding_model: ModelBundle,
    settings: dg.ResourceParam[Settings],
    storage: dg.ResourceParam[Storage],
    registries: dg.ResourceParam[Registries],
):
    """Quality against severity for every corruption, missed drift, and the online test's AUC beside the thesis's tables."""
    from plate_assets.drift.stability.alarms import OfflineTrial, OnlineTrial
    from plate_assets.storage.models import bundle_version
    from plate_assets.workflows.drift import stability

    prepare_arithmetic(settings.threads)
    registry = registries.of(DETECTOR)
    in_force = registry.champion()
    offline, online_trial = OfflineTrial(seeds=config.seeds), OnlineTrial(streams=config.streams, seeds=config.seeds)
    asked = configured(StabilityConfig, config, offline=offline, online=online_trial)
    study = stability.stability_study(
        with_labels(training_sample, storage), asked,
        detector=stability.scorer_of(registry.load(in_force), in_force) if in_force else None,
        embedding=stability.embedder_of(embedding_model, bundle_version(storage.model("embedding_model"))),
        progress=logged_progress(context, "blocks of tiles under corruption"),
    )  # fmt: skip
    facts, online = study_facts(study, in_force, training_sample.array[0])
    return (
        dg.MaterializeResult(asset_key="stability", value=study.stability, metadata=facts),
        dg.MaterializeResult(asset_key="online_auc", value=study.online_auc, metadata=online),
    )


def with_labels(sample: Stack, storage: Storage) -> Stack:
    """The training sample with `anomalous` where its tiles are labelled, so that the detector's AUC can be told."""
    path = storage.table("labelled_patches")
    if not path.exists():
        return sample
    labels = read_table(path, LABELLED_PATCHES).select("index", "anomalous")
    return Stack(sample.table.join(labels, on="index", how="left", maintain_order="left"), sample.array)
