"""What Dagster's instance says of what arrived: assets made, what their latest results rest on, runs in flight.

Belongs here: questions to the instance, a few queries each whatever the number of partitions. Not here: what follows from
the answers (`night`, `plates.arrivals`).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterEventType, DagsterRunStatus

from plate_assets.orchestration.partitions import plate_acquisitions
from plate_assets.orchestration.tags import BASIS_METADATA

IN_FLIGHT = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
PARTITION_TAG = "dagster/partition"
RETRIED_WITHIN = timedelta(hours=1)  # Dagster looks every five seconds; a run that it has not retried by then never will be
EVENTS_AT_ONCE = 500  # bound variables of one SQLite query are limited


def materialised_acquisitions(instance: dg.DagsterInstance) -> set[str]:
    """Ids of the acquisitions that have been let in and are still partitions."""
    let_in = instance.get_materialized_partitions(dg.AssetKey("acquisition"))
    return let_in & set(instance.get_dynamic_partitions(plate_acquisitions.name or ""))


def in_flight(instance: dg.DagsterInstance) -> set[str]:
    """Ids of the acquisitions and time-lapses with a queued or running run, or one that died and is about to be retried.

    Ask before what is materialised: a run that ends between the two answers is then left alone, and not asked for again.
    """
    died = dg.RunsFilter(statuses=[DagsterRunStatus.FAILURE], updated_after=datetime.now(UTC) - RETRIED_WITHIN)
    waiting = [run for run in instance.get_runs(died) if run.is_complete_and_waiting_to_retry]
    runs = [*waiting, *instance.get_runs(dg.RunsFilter(statuses=IN_FLIGHT))]
    return {run.tags[PARTITION_TAG] for run in runs if PARTITION_TAG in run.tags}


def recorded_basis(instance: dg.DagsterInstance, asset: str, keys: Collection[str]) -> dict[str, dict[str, str]]:
    """What the latest result of an asset was recorded to rest on, for each of the partitions; none where it was not
    recorded."""
    found = {}
    for record in _latest_records(instance, asset, set(keys)):
        event = record.asset_materialization
        kept = event.metadata.get(BASIS_METADATA) if event else None
        if record.partition_key and isinstance(kept, dg.JsonMetadataValue) and isinstance(kept.data, dict):
            found[record.partition_key] = {str(name): str(value) for name, value in kept.data.items()}
    return found


def _latest_records(instance: dg.DagsterInstance, asset: str, keys: set[str] | None = None) -> Iterator[dg.EventLogRecord]:
    """The latest materialisation of each partition of an asset; of these alone, where keys are given."""
    if keys is not None and not keys:
        return
    key = dg.AssetKey(asset)
    latest = instance.event_log_storage.get_latest_storage_id_by_partition(key, DagsterEventType.ASSET_MATERIALIZATION)
    ids = sorted(latest[name] for name in (latest if keys is None else keys & latest.keys()))
    for start in range(0, len(ids), EVENTS_AT_ONCE):
        asked = dg.AssetRecordsFilter(key, storage_ids=ids[start : start + EVENTS_AT_ONCE])
        yield from instance.fetch_materializations(asked, limit=EVENTS_AT_ONCE).records


def made_of(
    instance: dg.DagsterInstance, assets: Iterable[str], partitions: dg.DynamicPartitionsDefinition
) -> dict[str, set[str]]:
    """Which of the assets are made, by partition; partitions that were taken away are left out."""
    present = set(instance.get_dynamic_partitions(partitions.name or ""))
    made: dict[str, set[str]] = defaultdict(set)
    for asset in assets:
        for partition in present & instance.get_materialized_partitions(dg.AssetKey(asset)):
            made[partition].add(asset)
    return dict(made)


def made_since(instance: dg.DagsterInstance, asset: str, since: datetime) -> list[str]:
    """Partitions of an asset that were materialised since then, sorted."""
    records, cursor, keys = True, None, set()
    while records:
        result = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), after_timestamp=since.timestamp()), limit=1000, cursor=cursor
        )
        keys |= {record.partition_key for record in result.records if record.partition_key}
        records, cursor = result.has_more, result.cursor
    return sorted(keys)


def latest_times(instance: dg.DagsterInstance, asset: str) -> dict[str, datetime]:
    """When each partition of an asset was last materialised, UTC."""
    times: dict[str, datetime] = {}
    for record in _latest_records(instance, asset):
        if record.partition_key:
            times[record.partition_key] = datetime.fromtimestamp(record.timestamp, UTC)
    return times
