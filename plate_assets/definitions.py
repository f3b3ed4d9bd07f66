"""What Dagster loads. It loops over the sciences and assembles, nothing else: no logic, no heavy import, no work at import."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from plate_assets.orchestration.arrivals import arrivals_sensor
from plate_assets.orchestration.assets.morning import make_morning_job, make_morning_page
from plate_assets.orchestration.floor import FLOOR
from plate_assets.orchestration.io_managers import AcquisitionIOManager, Lineage, ModelIOManager, StackIOManager, TableIOManager
from plate_assets.orchestration.platform import Platform
from plate_assets.orchestration.resources import registries_of, storage_of
from plate_assets.orchestration.schedules import morning_schedule, night_schedule
from plate_assets.orchestration.sciences import SCIENCES, Science
from plate_assets.orchestration.sensors import champion_sensor
from plate_assets.settings import Settings


def build_definitions(
    settings: Settings, resource_overrides: Mapping[str, Any] | None = None, sciences: Sequence[Science] = SCIENCES
) -> dg.Definitions:
    """The platform's definitions for these settings; tests and other deployments override single resources."""
    offers = [FLOOR, *(science.offer() for science in sciences)]
    assets = [
        *dg.load_assets_from_modules([module for offer in offers for module in offer.assets], include_specs=True),
        make_morning_page(offers),
    ]  # fmt: skip
    morning_job = make_morning_job(offers)
    platform = Platform.of(settings, storage_of(settings), [chain for offer in offers for chain in offer.chains], assets)
    jobs = {subject.name: platform.job(subject) for subject in platform.subjects}
    looks = {subject: look for offer in offers for subject, look in offer.arrivals.items()}
    return dg.Definitions(
        assets=assets,
        asset_checks=[check for offer in offers for check in offer.checks(settings)],
        jobs=[*jobs.values(), *(job for offer in offers for job in offer.jobs), morning_job],
        schedules=[
            *(night_schedule(subject, settings) for subject in platform.subjects),
            morning_schedule(morning_job, settings),
        ],
        sensors=[
            *(arrivals_sensor(subject, jobs[subject.name], look, settings) for subject, look in looks.items()),
            *(champion_sensor(chain, jobs[chain.subject.name], settings) for chain in platform.chains if chain.kind),
        ],
        resources=resources_of(platform) | dict(resource_overrides or {}),
        # A process for each step would load torch again for each asset.
        executor=dg.in_process_executor,
    )


def resources_of(platform: Platform) -> dict[str, Any]:
    """What assets, sensors and schedules are given."""
    storage, lineage = platform.storage, Lineage()
    return {
        "settings": platform.settings,
        "storage": storage,
        "platform": platform,
        "registries": registries_of(platform.settings),
        "tables": TableIOManager(storage, lineage),
        "acquisitions": AcquisitionIOManager(storage, lineage),
        "stacks": StackIOManager(storage, lineage),
        "models": ModelIOManager(storage, lineage),
    }


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions for the settings in the environment."""
    return build_definitions(Settings())
