"""Sensors: what arrives, and what a moved champion asks for.

Belongs here: reading (the arrivals folder, the registry, the instance) and requesting runs. Not here: the decisions between
them, which are pure (`plates.arrivals`, `night`). A sensor reads no pixels.
"""

from dataclasses import replace

import dagster as dg
from upath import UPath

from plate_assets.orchestration.arrivals_ledger import SIGNATURE_TAG, read_ledger, write_ledger
from plate_assets.orchestration.decision_events import made_by_person
from plate_assets.orchestration.instance_state import in_flight, materialised_acquisitions, scoring_state
from plate_assets.orchestration.jobs import ingest_job, score_job
from plate_assets.orchestration.night import only_of_another_model, plan
from plate_assets.orchestration.partitions import plate_acquisitions
from plate_assets.orchestration.resources import Storage
from plate_assets.orchestration.schedules import champion_tag, score_request
from plate_assets.orchestration.workflow_options import read_options
from plate_assets.plates.arrivals import Decision, Seen, decide
from plate_assets.plates.arrivals_scan import Scan, scan_arrivals
from plate_assets.settings import Settings
from plate_assets.storage.registry import ModelRegistry

FOLDER_TAG = "plate_assets/folder"


def make_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """The sensors, at the pace that the settings name."""

    @dg.sensor(
        name="arrivals",
        job=ingest_job,
        minimum_interval_seconds=settings.sensor_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def arrivals(
        context: dg.SensorEvaluationContext,
        settings: dg.ResourceParam[Settings],
        storage: dg.ResourceParam[Storage],
    ) -> dg.SensorResult:
        """Lets in what is new and complete; waits for what is still being copied; refuses new bytes under a known id."""
        known = dict.fromkeys(materialised_acquisitions(context.instance))  # the ledger keeps their signatures
        ledger = read_ledger(storage)
        look = scan_arrivals(
            UPath(settings.arrivals_root), known, ledger, options=read_options(settings), slice_size=settings.recheck_folders
        )
        seen = [settling(each) for each in look.seen] if settings.allow_missing else look.seen
        decision = decide(seen, known, look.ledger, settings.settle_looks)
        if decision.ledger != ledger:
            write_ledger(storage, decision.ledger)
        for judged in (*decision.refuse, *decision.broken):
            context.log.warning(f"{judged.seen.place}: {judged.reason}")
        partitions = set(context.instance.get_dynamic_partitions(plate_acquisitions.name or ""))
        ids = {item.acquisition_id: item for item in decision.start if item.acquisition_id}
        new = [key for key in ids if key not in partitions]
        requests = [
            dg.RunRequest(
                run_key=f"{key}:{item.signature}",
                partition_key=key,
                tags={FOLDER_TAG: tag_value(item.place), SIGNATURE_TAG: item.signature},
            )
            for key, item in ids.items()
        ]
        return dg.SensorResult(
            run_requests=requests,
            dynamic_partitions_requests=[plate_acquisitions.build_add_request(new)] if new else None,
            skip_reason=None if requests else why_nothing(look, decision),
        )

    @dg.sensor(
        name="champion_moved",
        job=score_job,
        minimum_interval_seconds=max(settings.sensor_seconds, 30),
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def champion_moved(
        context: dg.SensorEvaluationContext,
        settings: dg.ResourceParam[Settings],
        registry: dg.ResourceParam[ModelRegistry],
    ) -> dg.SensorResult | dg.SkipReason:
        """Asks for new scores of what another version scored, once for each move of the champion."""
        champion = champion_tag(registry, settings)
        if champion is None:
            return dg.SkipReason("no champion yet: train a detector and promote it")
        moves, _, seen = (context.cursor or "0 ").partition(" ")
        if seen == champion:
            return dg.SkipReason(f"{champion} is still the champion")
        move = f"{int(moves) + 1} {champion}"  # counted, so that a champion that comes back is asked for again
        work = plan(scoring_state(context.instance), champion, {}, in_flight(context.instance))
        return dg.SensorResult(
            run_requests=[
                score_request(item)._replace(run_key=f"{move}:{item.acquisition_id}") for item in only_of_another_model(work)
            ],
            asset_events=[made_by_person("champion", champion, {"seen by": "the sensor, in the registry"})],
            cursor=move,
        )

    return [arrivals, champion_moved]


def settling(look: Seen) -> Seen:
    """A folder that may run without its missing images: only settling tells when the copy is over."""
    return replace(look, complete=None) if look.complete is False else look


def why_nothing(look: Scan, decision: Decision) -> str:
    """What a tick without runs says: how much it looked at, what waits, is refused or broken, with the first reason of each."""
    said = [f"{look.folders} folders, {look.listed} looked into"]
    for word, judged in (("waiting", decision.wait), ("refused", decision.refuse), ("broken", decision.broken)):
        if judged:
            said.append(f"{len(judged)} {word}: {judged[0].seen.place} ({judged[0].reason})")
    return "; ".join(said)


def tag_value(text: str) -> str:
    """A folder's name as a run tag: Dagster allows 256 characters."""
    return text[:250]
