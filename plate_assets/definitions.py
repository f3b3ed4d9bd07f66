"""What Dagster loads. It assembles, nothing else: no logic, no heavy import, no work at import."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from plate_assets.orchestration.assets import (
    drift,
    dry_mass,
    morning,
    plates,
    registry,
    scoring,
    stability,
    timelapses,
    training,
)
from plate_assets.orchestration.checks import make_checks
from plate_assets.orchestration.io_managers import AcquisitionIOManager, Lineage, ModelIOManager, StackIOManager, TableIOManager
from plate_assets.orchestration.jobs import JOBS
from plate_assets.orchestration.resources import registry_of, storage_of
from plate_assets.orchestration.schedules import make_schedules
from plate_assets.orchestration.sensors import make_sensors
from plate_assets.orchestration.timelapse_requests import make_timelapse_requests
from plate_assets.settings import Settings
from plate_assets.storage.model_kinds import FORECASTER


def build_definitions(settings: Settings, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The platform's definitions for these settings; tests and other deployments override single resources."""
    storage, lineage = storage_of(settings), Lineage()
    timelapse_sensors, timelapse_schedules = make_timelapse_requests(settings)
    resources = {
        "settings": settings,
        "storage": storage,
        "registry": registry_of(settings),
        "forecasters": registry_of(settings, FORECASTER),
        "tables": TableIOManager(storage, lineage),
        "acquisitions": AcquisitionIOManager(storage, lineage),
        "stacks": StackIOManager(storage, lineage),
        "models": ModelIOManager(storage, lineage),
    }
    return dg.Definitions(
        assets=dg.load_assets_from_modules(
            [plates, scoring, training, timelapses, dry_mass, drift, stability, registry, morning]
        ),
        asset_checks=make_checks(settings),
        jobs=JOBS,
        schedules=[*make_schedules(settings), *timelapse_schedules],
        sensors=[*make_sensors(settings), *timelapse_sensors],
        resources=resources | dict(resource_overrides or {}),
        # A process for each step would load torch again for each asset.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions for the settings in the environment."""
    return build_definitions(Settings())
