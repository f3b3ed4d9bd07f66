"""What Dagster loads. It assembles, nothing else: no logic, no heavy import, no work at import."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from plate_assets.orchestration.assets import morning, plates, registry, scoring, training
from plate_assets.orchestration.checks import CHECKS
from plate_assets.orchestration.io_managers import AcquisitionIOManager, Lineage, ModelIOManager, StackIOManager, TableIOManager
from plate_assets.orchestration.jobs import JOBS
from plate_assets.orchestration.resources import registry_of, storage_of
from plate_assets.orchestration.schedules import make_schedules
from plate_assets.orchestration.sensors import make_sensors
from plate_assets.settings import Settings


def build_definitions(settings: Settings, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The platform's definitions for these settings; tests and other deployments override single resources."""
    storage, lineage = storage_of(settings), Lineage()
    resources = {
        "settings": settings,
        "storage": storage,
        "registry": registry_of(settings),
        "tables": TableIOManager(storage, lineage),
        "acquisitions": AcquisitionIOManager(storage, lineage),
        "stacks": StackIOManager(storage, lineage),
        "models": ModelIOManager(storage, lineage),
    }
    return dg.Definitions(
        assets=dg.load_assets_from_modules([plates, scoring, training, registry, morning]),
        asset_checks=CHECKS,
        jobs=JOBS,
        schedules=make_schedules(settings),
        sensors=make_sensors(settings),
        resources=resources | dict(resource_overrides or {}),
        # A process for each step would load torch again for each asset.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions for the settings in the environment."""
    return build_definitions(Settings())
