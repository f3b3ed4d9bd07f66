"""Schedules: the night and the morning.

Belongs here: asking the instance and requesting runs. Not here: what is due (`night`).
"""

import dagster as dg

from plate_assets.orchestration.instance_state import in_flight, scoring_state
from plate_assets.orchestration.jobs import morning_job, score_job, watched_score_job
from plate_assets.orchestration.night import WATCHING, Watch, Work, plan
from plate_assets.orchestration.resources import Storage
from plate_assets.orchestration.stored_plates import stored_reference
from plate_assets.orchestration.tags import version_tag
from plate_assets.settings import Settings
from plate_assets.storage.registry import ModelRegistry

REASON_TAG = "plate_assets/reason"


def score_request(work: Work) -> dg.RunRequest:
    """The run that does a piece of the night's work, and no more of the assets than need be made."""
    return dg.RunRequest(
        job_name=(watched_score_job if set(WATCHING) & set(work.assets) else score_job).name,
        partition_key=work.acquisition_id,
        asset_selection=[dg.AssetKey(name) for name in work.assets],
        tags={REASON_TAG: work.reason},
    )


def current_decisions(storage: Storage, settings: Settings, acquisition_ids: list[str]) -> dict[str, str]:
    """The decisions in force on each acquisition: its exclusions and its plate map, as one fingerprint."""
    from plate_assets.plates.acquisition_table import ACQUISITION, acquisition_from_table
    from plate_assets.plates.tables import EXCLUSIONS
    from plate_assets.storage.ledger import read_rows
    from plate_assets.storage.tables import read_table
    from plate_assets.workflows.score import decisions_fingerprint, plate_map_for

    exclusions = read_rows(storage.exclusions, EXCLUSIONS)
    decisions = {}
    for key in acquisition_ids:
        acquisition = acquisition_from_table(read_table(storage.table("acquisition", key), ACQUISITION)).acquisition
        platemap = plate_map_for(acquisition, settings.platemaps_root)
        decisions[key] = decisions_fingerprint(platemap, exclusions, acquisition.plate)
    return decisions


def champion_tag(registry: ModelRegistry, settings: Settings) -> str | None:
    """The model in force, as materialisations name it; None where nobody has promoted one."""
    from plate_assets.storage.registry import NoSuchModel

    try:
        return version_tag(registry.version_of(settings.model))
    except NoSuchModel:
        return None


def due(instance: dg.DagsterInstance, settings: Settings, storage: Storage, registry: ModelRegistry) -> list[Work]:
    """What is unscored or stale now and has no run in flight."""
    busy = in_flight(instance)
    state = scoring_state(instance)
    scored = [key for key, made in state.items() if "well_scores" in made.assets]
    decisions = current_decisions(storage, settings, scored)
    return plan(state, champion_tag(registry, settings), decisions, busy, watch_of(storage, settings))


def watch_of(storage: Storage, settings: Settings) -> Watch | None:
    """The drift reference in force; None where there is none, or where it is of another embedding model than the present."""
    from plate_assets.storage.models import bundle_version, is_bundle

    model = storage.model("embedding_model")
    if not storage.table("drift_reference").exists() or not is_bundle(model):
        return None
    reference = stored_reference(storage)
    if reference.embedding_version != bundle_version(model):
        return None
    return Watch(reference.version, version_tag(reference.embedding_version), settings.drift_action == "block")


def make_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """The schedules, at the times that the settings name."""

    def of_the_night(job_name: str, name: str, description: str) -> dg.ScheduleDefinition:
        """A schedule requests one job only: what is watched for drift goes with one, all else with the other."""

        @dg.schedule(
            name=name,
            job_name=job_name,
            cron_schedule=settings.night_schedule,
            execution_timezone=settings.timezone,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description=description,
        )
        def night(
            context: dg.ScheduleEvaluationContext,
            settings: dg.ResourceParam[Settings],
            storage: dg.ResourceParam[Storage],
            registry: dg.ResourceParam[ModelRegistry],
        ):
            requests = [score_request(work) for work in due(context.instance, settings, storage, registry)]
            mine = [request for request in requests if request.job_name == job_name]
            if not mine:
                return dg.SkipReason(
                    "every acquisition is scored by the champion under the decisions in force, or has a run in flight"
                )
            tick = context.scheduled_execution_time.isoformat()  # a tick evaluated again, after a crash, asks for nothing twice
            return [request._replace(run_key=f"{tick} {request.partition_key}") for request in mine]

        return night

    night = of_the_night(
        score_job.name, "night", "Scores every acquisition that is unscored or stale and has no run in flight."
    )
    watched = of_the_night(
        watched_score_job.name,
        "watched_night",
        "The same for acquisitions that are to be tested for drift: there is a reference.",
    )
    morning = dg.ScheduleDefinition(
        name="morning",
        job=morning_job,
        cron_schedule=settings.morning_schedule,
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Writes the page that lists the night, and tells the webhook.",
    )
    return [night, watched, morning]
