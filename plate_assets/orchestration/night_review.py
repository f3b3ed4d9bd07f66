"""What the night was, read from Dagster's instance and the tables: the input of the morning page.

Belongs here: questions about runs and arrivals since a time. Not here:
what a science says (its `section`), how the page looks (`pages.morning`).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import dagster as dg
from dagster import DagsterEventType

from plate_assets.orchestration.arrivals_ledger import read_ledger
from plate_assets.orchestration.chains import Subject
from plate_assets.orchestration.instance_state import IN_FLIGHT, PARTITION_TAG, made_since, materialised_acquisitions
from plate_assets.orchestration.last_night import Night
from plate_assets.orchestration.offers import Offer
from plate_assets.orchestration.parts import Why
from plate_assets.orchestration.requests import Due, due
from plate_assets.orchestration.stored_plates import known_acquisition
from plate_assets.plates.arrivals import Ledger
from plate_assets.plates.tables import IMAGE_QUALITY
from plate_assets.settings import Settings
from plate_assets.storage.tables import read_table

if TYPE_CHECKING:
    from plate_assets.pages.morning import Arrival, Failure, MorningInputs, Refused, Stale, Waiting

REMEDY = "mend what the error names, then rematerialise the partition in the UI"


def review_night(night: Night, offers: Sequence[Offer]) -> "MorningInputs":
    """Everything that happened in the night, what each science says of it, and what still waits."""
    from plate_assets.pages.morning import MorningInputs

    instance, settings, ledger, present = night.instance, night.settings, read_ledger(night.storage), night.platform.present()
    found = {subject: due(night.platform, subject, instance, present) for subject in night.platform.subjects}
    said = [offer.section(night) for offer in offers]
    return MorningInputs(
        since=night.since,
        until=night.until,
        models={kind.noun: present.model(kind) for offer in offers for kind in offer.kinds},
        sections=[section for section in said if section is not None],
        arrived=[_arrival(night, key) for key in made_since(instance, "acquisition", night.since)],
        failed=[*failures(instance, settings, night.since), *unreadable(found)],
        waiting=[*waiting_folders(ledger, materialised_acquisitions(instance)), *queued_runs(instance)],
        refused=list(refused_folders(ledger)),
        stale=list(stale(found)),
        links={"Dagster": settings.ui_url},
    )


def _arrival(night: Night, key: str) -> "Arrival":
    from plate_assets.workflows.night.morning import arrival_of

    path = night.storage.table("image_quality", key)
    quality = read_table(path, IMAGE_QUALITY) if path.exists() else None
    return arrival_of(known_acquisition(night.storage, key).acquisition, quality, report=night.report("plate_report", key))


def stale(found: dict[Subject, Due]) -> "Iterator[Stale]":
    """Results that rest on what holds no more, with the reasons; what was not made yet waits, and is not stale."""
    from plate_assets.pages.morning import Stale

    for each in found.values():
        for work in each.work:
            if any(reason.why is not Why.MISSING for reason in work.reasons):
                yield Stale(work.partition, work.reason)


def unreadable(found: dict[Subject, Due]) -> "Iterator[Failure]":
    """What could not be looked at: it stopped nothing else."""
    from plate_assets.pages.morning import Failure

    for subject, each in found.items():
        for key, error in each.unreadable.items():
            yield Failure(key, f"look at {subject.words}s", error, REMEDY)


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
