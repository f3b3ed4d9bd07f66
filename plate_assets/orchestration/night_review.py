"""What the night was, read from Dagster's instance and the tables: the input of the morning page.

Belongs here: questions about runs, arrivals and calls since a time. Not here: how the page looks (`pages.morning`).
"""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl
from dagster import DagsterEventType

from plate_assets.orchestration.arrivals_ledger import read_ledger
from plate_assets.orchestration.chains import SCHEMAS
from plate_assets.orchestration.instance_state import IN_FLIGHT, PARTITION_TAG, made_since, materialised_acquisitions
from plate_assets.orchestration.platform import Platform
from plate_assets.orchestration.requests import due
from plate_assets.orchestration.resources import Storage
from plate_assets.orchestration.stored_plates import known_acquisition
from plate_assets.plates.arrivals import Ledger
from plate_assets.settings import Settings
from plate_assets.storage.registry import ModelRegistry
from plate_assets.storage.tables import read_table
from plate_assets.workflows.night.morning import alarms_of, drifted_of, timelapse_of

if TYPE_CHECKING:
    from plate_assets.pages.morning import Arrival, Called, Failure, MorningInputs, Refused, Timelapse, Waiting

REMEDY = "mend what the error names, then rematerialise the partition in the UI"


def review_night(
    instance: dg.DagsterInstance,
    platform: Platform,
    registry: ModelRegistry,
    since: datetime,
    until: datetime,
) -> "MorningInputs":
    """Everything that happened between two times, and what still waits."""
    from plate_assets.pages.morning import MorningInputs

    settings, storage = platform.settings, platform.storage
    ledger = read_ledger(storage)
    scored = made_since(instance, "plate_report", since)
    tested = _stored_tables(storage, "drift_tests", made_since(instance, "drift_tests", since))
    discoveries = _stored_table(storage, "drift_discoveries")
    return MorningInputs(
        since=since,
        until=until,
        champion=registry.champion(),
        arrived=[_arrival(storage, key) for key in made_since(instance, "acquisition", since)],
        scored=len(scored),
        called=[call for key in scored for call in _called(storage, key)],
        failed=list(failures(instance, settings, since)),
        waiting=[*waiting_folders(ledger, materialised_acquisitions(instance)), *queued_runs(instance)],
        refused=list(refused_folders(ledger)),
        stale=[work.partition for subject in platform.subjects for work in due(platform, subject, instance).work],
        timelapses=[_timelapse(storage, key) for key in made_since(instance, "cell_anomalies", since)],
        alarms=alarms_of(_stored_table(storage, "drift_episodes"), _stored_table(storage, "labelling_batch")),
        drifted=drifted_of(tested, discoveries, settings.drift_action == "block"),
        watched=tested.height,
        note=next(iter(discoveries.filter(pl.col("acquisition").is_in(tested["acquisition"].implode()))["note"]), ""),
        links={"Dagster": settings.ui_url},
    )


def _arrival(storage: Storage, key: str) -> "Arrival":
    from plate_assets.workflows.night.morning import arrival_of

    path = storage.table("image_quality", key)
    quality = read_table(path, SCHEMAS["image_quality"]) if path.exists() else None
    return arrival_of(known_acquisition(storage, key).acquisition, quality, report=_report(storage, key))


def _called(storage: Storage, key: str) -> "list[Called]":
    from plate_assets.workflows.night.morning import called_of

    onset_path = storage.table("precipitation_onset")
    onset = read_table(onset_path, SCHEMAS["precipitation_onset"]) if onset_path.exists() else None
    calls = read_table(storage.table("quadruplet_calls", key), SCHEMAS["quadruplet_calls"])
    return called_of(key, calls, onset, _report(storage, key))


def _timelapse(storage: Storage, key: str) -> "Timelapse":
    cells = read_table(storage.table("cell_anomalies", key), SCHEMAS["cell_anomalies"])
    made = (storage.report("timelapse_report", key) / "report.html").exists()
    return timelapse_of(key, cells, f"../timelapse_report/{key}/report.html" if made else "")


def _stored_table(storage: Storage, asset: str) -> pl.DataFrame:
    """The table of an asset that has no partitions; empty where it was not made yet."""
    path = storage.table(asset)
    return read_table(path, SCHEMAS[asset]) if path.exists() else SCHEMAS[asset].empty()


def _stored_tables(storage: Storage, asset: str, keys: list[str]) -> pl.DataFrame:
    made = [read_table(storage.table(asset, key), SCHEMAS[asset]) for key in keys if storage.table(asset, key).exists()]
    return pl.concat([SCHEMAS[asset].empty(), *made])


def _report(storage: Storage, key: str) -> str:
    """The report's address as seen from the morning page, which lies in a folder beside it; empty where there is none."""
    return f"../plate_report/{key}/report.html" if (storage.report("plate_report", key) / "report.html").exists() else ""


def failures(instance: dg.DagsterInstance, settings: Settings, since: datetime) -> "Iterator[Failure]":
    """Runs that failed and that no later run made good, with the first error of each."""
    from plate_assets.pages.morning import Failure

    runs = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since))
    for run in runs:
        if run.tags.get("dagster/did_retry_run") or run.tags.get("dagster/auto_retry_run_id"):
            continue
        step, why = _first_error(instance, run.run_id)
        key = run.tags.get(PARTITION_TAG, run.job_name)
        yield Failure(key, step or run.job_name, why, REMEDY, f"{settings.ui_url}/runs/{run.run_id}")


def _first_error(instance: dg.DagsterInstance, run_id: str) -> tuple[str, str]:
    """Step and message of the first step that failed, else what the run's own end says."""
    for entry in instance.all_logs(run_id, of_type=DagsterEventType.STEP_FAILURE):
        error = entry.dagster_event.step_failure_data.error if entry.dagster_event else None
        while error and error.cause:
            error = error.cause
        return entry.step_key or "", (error.message.strip() if error else "no error recorded")
    for entry in instance.all_logs(run_id, of_type=DagsterEventType.RUN_FAILURE):
        return "", (entry.dagster_event.message if entry.dagster_event else None) or "no error recorded"
    return "", "no error recorded"


def waiting_folders(ledger: Ledger, known: set[str]) -> "Iterator[Waiting]":
    """Folders in the arrivals folder that are not let in yet, with what they wait for."""
    from plate_assets.pages.morning import Waiting

    for name, kept in sorted(ledger.folders.items()):
        seen = kept.seen
        if seen.error and not kept.resting:
            yield Waiting(name, seen.error)
        elif not kept.resting and not kept.registered and seen.acquisition_id not in known:
            lacks = f"{len(seen.missing)} images that its metadata names are missing" if seen.missing else "still settling"
            yield Waiting(seen.acquisition_id or name, lacks)


def refused_folders(ledger: Ledger) -> "Iterator[Refused]":
    """Folders that were refused or stayed broken."""
    from plate_assets.pages.morning import Refused

    for name, kept in sorted(ledger.folders.items()):
        if kept.resting:
            why = (
                kept.seen.error
                or f"its files are not those that {kept.seen.acquisition_id} was registered with, or its id is taken"
            )
            yield Refused(name, why, "restore the folder, or let the images arrive under another time point")


def queued_runs(instance: dg.DagsterInstance) -> "Iterator[Waiting]":
    """Acquisitions with a run that has not ended."""
    from plate_assets.pages.morning import Waiting

    for run in instance.get_runs(dg.RunsFilter(statuses=IN_FLIGHT)):
        if key := run.tags.get(PARTITION_TAG):
            yield Waiting(key, f"run {run.run_id[:8]} of `{run.job_name}` is {run.status.value.lower()}")
