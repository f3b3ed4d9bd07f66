"""What Dagster's instance says of acquisitions and time-lapses: assets made, tags of their latest versions, runs in flight.

Belongs here: questions to the instance, a few queries each whatever the number of partitions. Not here: what follows from
the answers (`night`, `plates.arrivals`).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterEventType, DagsterRunStatus

from plate_assets.orchestration.film_night import JUDGING, MEASURING, MeasuredFilm
from plate_assets.orchestration.night import SCORING, WATCHING, Materialised
from plate_assets.orchestration.partitions import plate_acquisitions, timelapses
from plate_assets.orchestration.tags import DECISIONS_TAG, EMBEDDING_TAG, FILES_TAG, MODEL_TAG, REFERENCE_TAG

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


def _latest_tag(instance: dg.DagsterInstance, asset: str, tag: str) -> dict[str, str]:
    """A tag of the latest materialisation of each partition."""
    found = {}
    for record in _latest_records(instance, asset):
        event = record.asset_materialization
        if event and event.partition and event.tags and tag in event.tags:
            found[event.partition] = event.tags[tag]
    return found


def _latest_records(instance: dg.DagsterInstance, asset: str) -> Iterator[dg.EventLogRecord]:
    """The latest materialisation of each partition of an asset."""
    key = dg.AssetKey(asset)
    latest = instance.event_log_storage.get_latest_storage_id_by_partition(key, DagsterEventType.ASSET_MATERIALIZATION)
    ids = sorted(latest.values())
    for start in range(0, len(ids), EVENTS_AT_ONCE):
        asked = dg.AssetRecordsFilter(key, storage_ids=ids[start : start + EVENTS_AT_ONCE])
        yield from instance.fetch_materializations(asked, limit=EVENTS_AT_ONCE).records


def scoring_state(instance: dg.DagsterInstance) -> dict[str, Materialised]:
    """For each acquisition that was let in and measured: what is scored, by which model, under which decisions."""
    ready = materialised_acquisitions(instance) & instance.get_materialized_partitions(dg.AssetKey("image_quality"))
    made = _made(instance, (*SCORING, *WATCHING))
    models = _latest_tag(instance, "patch_scores", MODEL_TAG)
    decisions = _latest_tag(instance, "well_scores", DECISIONS_TAG)
    embeddings = _latest_tag(instance, "patch_embeddings", EMBEDDING_TAG)
    references = _latest_tag(instance, "drift_tests", REFERENCE_TAG)
    tags = (models, decisions, embeddings, references)
    return {key: Materialised(frozenset(made[key]), *(found.get(key) for found in tags)) for key in sorted(ready)}


def film_state(instance: dg.DagsterInstance) -> dict[str, MeasuredFilm]:
    """For each time-lapse that was let in: what is made of it, from which files, and the model that judged it."""
    made = _made(instance, MEASURING + JUDGING)
    files = _latest_tag(instance, "timelapse", FILES_TAG)
    models = _latest_tag(instance, "window_anomalies", MODEL_TAG)
    present = set(instance.get_dynamic_partitions(timelapses.name or ""))
    let_in = sorted(present & instance.get_materialized_partitions(dg.AssetKey("timelapse")))
    return {key: MeasuredFilm(frozenset(made[key]), files.get(key), models.get(key)) for key in let_in}


def _made(instance: dg.DagsterInstance, assets: Iterable[str]) -> dict[str, set[str]]:
    """Which of the assets are materialised, by partition."""
    made: dict[str, set[str]] = defaultdict(set)
    for asset in assets:
        for partition in instance.get_materialized_partitions(dg.AssetKey(asset)):
            made[partition].add(asset)
    return made


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
