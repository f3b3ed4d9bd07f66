"""What people decide, told to Dagster: a new champion, new names for clusters, new expert labels.

Belongs here: events about assets that no run makes, so that what rests on them shows as stale. Not here: the decisions
themselves (`storage.ledger`, `storage.registry`).
"""

import os
from collections.abc import Mapping

import dagster as dg

from plate_assets.storage.model_kind import ModelKind


def tell_dagster(asset: str, data_version: str, metadata: Mapping[str, str | int]) -> bool:
    """Report that a person made a new version of an asset. False where no Dagster instance is set up (DAGSTER_HOME)."""
    if not os.environ.get("DAGSTER_HOME"):
        return False
    with dg.DagsterInstance.get() as instance:
        instance.report_runless_asset_event(made_by_person(asset, data_version, metadata))
    return True


def made_by_person(asset: str, data_version: str, metadata: Mapping[str, str | int]) -> dg.AssetMaterialization:
    """The event that says a person made a version of an asset."""
    return dg.AssetMaterialization(asset, metadata=dict(metadata), tags={"dagster/data_version": data_version})


def champion_asset(kind: ModelKind) -> dg.AssetSpec:
    """The asset that stands for the model in force: MLflow's alias `champion`, which a person moves."""
    return dg.AssetSpec(
        kind.champion_asset,
        group_name="models",
        kinds={"mlflow"},
        description=f"The {kind.noun} in force: MLflow's alias `champion`. A person moves it: `{kind.promoted_by}`.",
    )
