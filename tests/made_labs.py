"""Laboratories made for a test: a home with a Dagster instance of its own, and the hands that the daemon would be."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from plate_assets.definitions import build_definitions
from plate_assets.dry_mass.model import FORECASTER
from plate_assets.orchestration.platform import Platform
from plate_assets.orchestration.resources import registries_of, storage_of
from plate_assets.precipitation.model import DETECTOR
from plate_assets.settings import Settings


@contextmanager
def opened_lab(home: Path, **settings) -> "Iterator[Lab]":
    """A laboratory in an empty home, on a real instance in it."""
    (home / "dagster_home").mkdir(parents=True)
    with dg.instance_for_test(temp_dir=str(home / "dagster_home")) as instance:
        yield Lab(Settings(home=home, settle_looks=2, threads=2, **settings), instance)


class Lab:
    """Ticks, runs and what became of them."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance):
        self.settings = settings
        self.storage, self.instance = storage_of(self.settings), instance
        registries = registries_of(self.settings)
        self.registry, self.forecasters = registries.of(DETECTOR), registries.of(FORECASTER)
        self.definitions = build_definitions(self.settings)
        self.resources = dict(self.definitions.resources or {})
        self.platform: Platform = self.resources["platform"]

    def tick(self, sensor: str, cursor: str | None = None):
        context = dg.build_sensor_context(instance=self.instance, resources=self.resources, cursor=cursor)
        found = self.definitions.resolve_sensor_def(sensor)(context)
        for request in getattr(found, "dynamic_partitions_requests", None) or ():
            self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        return found

    def night(self, name: str = "plate_night"):
        schedule = self.definitions.resolve_schedule_def(name)
        context = dg.build_schedule_context(
            instance=self.instance, resources=self.resources, scheduled_execution_time=datetime(2026, 1, 1, 22, tzinfo=UTC)
        )
        return schedule(context)

    def run(self, job: str, request: dg.RunRequest) -> None:
        assert self.try_run(job, request).success

    def try_run(self, job: str, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, partition_key=request.partition_key, tags=dict(request.tags),
            asset_selection=request.asset_selection, raise_on_error=False,
        )  # fmt: skip

    def run_plain(self, job: str, config: dict | None = None, partition_key: str | None = None) -> None:
        """A run that a person requests, with its configuration."""
        done = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, run_config=config, partition_key=partition_key
        )
        assert done.success

    def metadata(self, asset: str, key: str | None = None) -> dict:
        """What the newest materialisation of an asset shows."""
        wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[key] if key else None)
        (record,) = self.instance.fetch_materializations(wanted, limit=1).records
        assert record.asset_materialization
        return dict(record.asset_materialization.metadata)

    def times(self, asset: str, key: str | None = None) -> int:
        wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[key] if key else None)
        return len(self.instance.fetch_materializations(wanted, limit=50).records)
