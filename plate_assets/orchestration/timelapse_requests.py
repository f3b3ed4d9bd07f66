"""Sensors and the schedule of time-lapses: what arrives, what has grown, what a moved champion asks for.

Belongs here: reading (the folder of time-lapses, the registry, the instance) and requesting runs. Not here: the decisions
between them, which are pure (`plates.timelapses.arrivals`, `timelapse_night`), plates (`sensors`, `schedules`).
"""

import json

import dagster as dg
from upath import UPath

from plate_assets.orchestration.decision_events import made_by_person
from plate_assets.orchestration.instance_state import in_flight, timelapse_state
from plate_assets.orchestration.jobs import timelapse_job
from plate_assets.orchestration.night import Work, only_of_another_model
from plate_assets.orchestration.partitions import timelapses
from plate_assets.orchestration.schedules import REASON_TAG
from plate_assets.orchestration.tags import version_tag
from plate_assets.orchestration.timelapse_night import MeasuredTimelapse, plan_timelapses
from plate_assets.plates.timelapses.arrivals import TimelapseDecision, decide_timelapses, grown_timelapses, scan_timelapses
from plate_assets.settings import Settings
from plate_assets.storage.registry import ModelRegistry, NoSuchModel


def timelapse_request(work: Work) -> dg.RunRequest:
    """The run that does a piece of the night's work on a time-lapse, and no more of the assets than need be made."""
    return dg.RunRequest(
        job_name=timelapse_job.name,
        partition_key=work.acquisition_id,
        asset_selection=[dg.AssetKey(name) for name in work.assets],
        tags={REASON_TAG: work.reason},
    )


def forecaster_tag(forecasters: ModelRegistry, settings: Settings) -> str | None:
    """The forecaster in force, as materialisations name it; None where nobody has promoted one."""
    try:
        return version_tag(forecasters.version_of(settings.dry_mass_model))
    except NoSuchModel:
        return None


def timelapses_due(instance: dg.DagsterInstance, settings: Settings, forecasters: ModelRegistry) -> list[Work]:
    """What is unmeasured, has grown or was judged by another model, and has no run in flight."""
    timelapses = timelapse_state(instance)
    root = UPath(settings.timelapses_root)
    seen = scan_timelapses(root) if timelapses and root.exists() else []
    measured = {name: timelapse.signature or "" for name, timelapse in timelapses.items()}
    grown = {folder.name for folder in grown_timelapses(seen, measured) if not folder.copying}
    return plan_timelapses(timelapses, grown, forecaster_tag(forecasters, settings), in_flight(instance))


def why_nothing(decision: TimelapseDecision) -> str:
    """What a tick without runs says: how many wait or are broken, with the first reason."""
    said = [f"{len(decision.waiting)} wait until they stay the same"] if decision.waiting else []
    if decision.broken:
        said.append(f"{len(decision.broken)} broken: {decision.broken[0].name} ({decision.broken[0].error})")
    return "; ".join(said) or "nothing new"


def look_for_arrivals(
    context: dg.SensorEvaluationContext, settings: Settings, forecasters: ModelRegistry
) -> dg.SensorResult | dg.SkipReason:
    """One look at the folder of time-lapses: partitions and runs of what is let in now."""
    root = UPath(settings.timelapses_root)
    if not root.exists():
        return dg.SkipReason(f"{root} is not there: make it, and put each time-lapse into a folder of its own in it")
    known = set(timelapse_state(context.instance))
    looks = {name: (signature, count) for name, (signature, count) in json.loads(context.cursor or "{}").items()}
    decision = decide_timelapses(scan_timelapses(root, known), known, looks, settings.settle_looks)
    for broken in decision.broken:
        context.log.warning(f"{broken.name}: {broken.error}")
    present = set(context.instance.get_dynamic_partitions(timelapses.name or ""))
    added = [timelapse.name for timelapse in decision.start if timelapse.name not in present]
    signatures = {timelapse.name: timelapse.signature for timelapse in decision.start}
    unmade = {timelapse.name: MeasuredTimelapse(frozenset()) for timelapse in decision.start}
    work = plan_timelapses(unmade, (), forecaster_tag(forecasters, settings), in_flight(context.instance))
    requests = [
        timelapse_request(item)._replace(run_key=f"{item.acquisition_id}:{signatures[item.acquisition_id]}") for item in work
    ]
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=[timelapses.build_add_request(added)] if added else None,
        skip_reason=None if requests else why_nothing(decision),
        cursor=json.dumps(decision.looks),
    )


def look_for_champion(
    context: dg.SensorEvaluationContext, settings: Settings, forecasters: ModelRegistry
) -> dg.SensorResult | dg.SkipReason:
    """One look at the registry: runs of what another forecaster judged, where the champion has moved."""
    champion = forecaster_tag(forecasters, settings)
    if champion is None:
        return dg.SkipReason("no champion yet: train a forecaster and promote it")
    moves, _, seen = (context.cursor or "0 ").partition(" ")
    if seen == champion:
        return dg.SkipReason(f"{champion} is still the champion")
    move = f"{int(moves) + 1} {champion}"  # counted, so that a champion that comes back is asked for again
    work = only_of_another_model(plan_timelapses(timelapse_state(context.instance), (), champion, in_flight(context.instance)))
    return dg.SensorResult(
        run_requests=[timelapse_request(item)._replace(run_key=f"{move}:{item.acquisition_id}") for item in work],
        asset_events=[made_by_person("forecaster_champion", champion, {"seen by": "the sensor, in the registry"})],
        cursor=move,
    )


def make_timelapse_requests(settings: Settings) -> tuple[list[dg.SensorDefinition], list[dg.ScheduleDefinition]]:
    """Sensors and schedules of time-lapses, at the pace that the settings name."""
    running, pace = dg.DefaultSensorStatus.RUNNING, settings.sensor_seconds

    @dg.sensor(name="timelapse_arrivals", job=timelapse_job, minimum_interval_seconds=pace, default_status=running)
    def timelapse_arrivals(
        context: dg.SensorEvaluationContext,
        settings: dg.ResourceParam[Settings],
        forecasters: dg.ResourceParam[ModelRegistry],
    ):
        """Lets in each new time-lapse once it stays the same; the night measures again those that have grown since."""
        return look_for_arrivals(context, settings, forecasters)

    @dg.sensor(name="forecaster_moved", job=timelapse_job, minimum_interval_seconds=max(pace, 30), default_status=running)
    def forecaster_moved(
        context: dg.SensorEvaluationContext,
        settings: dg.ResourceParam[Settings],
        forecasters: dg.ResourceParam[ModelRegistry],
    ):
        """Asks for new judgements of what another forecaster judged, once for each move of the champion."""
        return look_for_champion(context, settings, forecasters)

    @dg.schedule(
        name="timelapse_night",
        job=timelapse_job,
        cron_schedule=settings.night_schedule,
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def timelapse_night(
        context: dg.ScheduleEvaluationContext,
        settings: dg.ResourceParam[Settings],
        forecasters: dg.ResourceParam[ModelRegistry],
    ):
        """Measures time-lapses that have grown, and judges those that no champion, or another one, has judged."""
        work = timelapses_due(context.instance, settings, forecasters)
        if not work:
            return dg.SkipReason("every time-lapse is measured as it lies there and judged by the champion, or in work")
        tick = context.scheduled_execution_time.isoformat()
        return [timelapse_request(item)._replace(run_key=f"{tick} {item.acquisition_id}") for item in work]

    return [timelapse_arrivals, forecaster_moved], [timelapse_night]
