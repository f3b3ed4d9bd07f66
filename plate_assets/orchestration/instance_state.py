"""What Dagster's instance says about acquisitions: materialised assets, the tags of their latest versions, runs in flight.

Belongs here: questions to the instance, a few queries each whatever the number of partitions. Not here: what follows from
the answers (`night`, `plates.arrivals`).
"""

from collections import defaultdict

import dagster as dg
from dagster import DagsterEventType, DagsterRunStatus

from plate_assets.orchestration.assets.scoring import DECISIONS_TAG, MODEL_TAG
from plate_assets.orchestration.night import SCORING, Materialised
from plate_assets.orchestration.partitions import plate_acquisitions

IN_FLIGHT = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
PARTITION_TAG = "dagster/partition"
EVENTS_AT_ONCE = 500  # bound variables of one SQLite query are limited


def materialised_acquisitions(instance: dg.DagsterInstance) -> set[str]:
    """Ids of the acquisitions that have been let in and are still partitions."""
    let_in = instance.get_materialized_partitions(dg.AssetKey("acquisition"))
    return let_in & set(instance.get_dynamic_partitions(plate_acquisitions.name or ""))


def in_flight(instance: dg.DagsterInstance) -> set[str]:
    """Ids of the acquisitions with a queued or running run."""
    runs = instance.get_runs(dg.RunsFilter(statuses=IN_FLIGHT))
    return {run.tags[PARTITION_TAG] for run in runs if PARTITION_TAG in run.tags}


def _latest_tag(instance: dg.DagsterInstance, asset: str, tag: str) -> dict[str, str]:
    """A tag of the latest materialisation of each partition."""
    key = dg.AssetKey(asset)
    latest = instance.event_log_storage.get_latest_storage_id_by_partition(key, DagsterEventType.ASSET_MATERIALIZATION)
    ids, found = sorted(latest.values()), {}
    for start in range(0, len(ids), EVENTS_AT_ONCE):
        asked = dg.AssetRecordsFilter(key, storage_ids=ids[start : start + EVENTS_AT_ONCE])
        for record in instance.fetch_materializations(asked, limit=EVENTS_AT_ONCE).records:
            event = record.asset_materialization
            if event and event.partition and event.tags and tag in event.tags:
                found[event.partition] = event.tags[tag]
    return found


def scoring_state(instance: dg.DagsterInstance) -> dict[str, Materialised]:
    """For each acquisition that was let in and measured: what is scored, by which model, under which decisions."""
    ready = materialised_acquisitions(instance) & instance.get_materialized_partitions(dg.AssetKey("image_quality"))
    made: dict[str, set[str]] = defaultdict(set)
    for asset in SCORING:
        for partition in instance.get_materialized_partitions(dg.AssetKey(asset)):
            made[partition].add(asset)
    models = _latest_tag(instance, "patch_scores", MODEL_TAG)
    decisions = _latest_tag(instance, "well_scores", DECISIONS_TAG)
    return {key: Materialised(frozenset(made[key]), models.get(key), decisions.get(key)) for key in sorted(ready)}
