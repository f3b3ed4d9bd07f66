"""Schedules: the night of each subject, and the morning.

Belongs here: when runs are requested. Not here: what is due (`requests`, `night`).
"""

from typing import Any

import dagster as dg

from plate_assets.orchestration.chains import Subject
from plate_assets.orchestration.platform import Platform
from plate_assets.orchestration.requests import due, request_of
from plate_assets.settings import Settings


def night_schedule(subject: Subject, settings: Settings) -> dg.ScheduleDefinition:
    """Requests all that is due of a subject: what is missing or stale and has no run in flight."""

    @dg.schedule(
        name=f"{subject.name}_night",
        job_name=subject.job,
        cron_schedule=settings.night_schedule,
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Makes what is missing or stale of every {subject.words} that has no run in flight.",
    )
    def night(context: dg.ScheduleEvaluationContext, platform: dg.ResourceParam[Platform]):
        found = due(platform, subject, context.instance)
        for key, error in found.unreadable.items():
            context.log.warning(f"{key} cannot be looked at: {error}")
        if not found.work:
            return dg.SkipReason(f"nothing of any {subject.words} is missing or stale, or it is in work")
        tick = context.scheduled_execution_time.isoformat()  # a tick evaluated again, after a crash, asks for nothing twice
        return [request_of(subject, work)._replace(run_key=f"{tick} {work.partition}") for work in found.work]

    return night


def morning_schedule(job: Any, settings: Settings) -> dg.ScheduleDefinition:
    """Writes the page that lists the night, and tells the webhook."""
    return dg.ScheduleDefinition(
        name="morning",
        job=job,
        cron_schedule=settings.morning_schedule,
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Writes the page that lists the night, and tells the webhook.",
    )
