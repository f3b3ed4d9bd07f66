"""The sensor of what arrives: one shape, whatever it is.

Belongs here: what a look at a folder found, and the runs and partitions that follow. Not here: the look itself (with the
assets of what arrives), the decision, which is pure (`plates.arrivals`, `plates.timelapses.arrivals`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from plate_assets.orchestration.chains import Subject
from plate_assets.orchestration.platform import Platform
from plate_assets.orchestration.tags import FOLDER_TAG, SIGNATURE_TAG, tag_value
from plate_assets.settings import Settings


@dataclass(frozen=True)
class Arrived:
    """One that is let in now. place: where it lies; signature: of its listing, so that new bytes are a new request."""

    key: str
    place: str
    signature: str


@dataclass(frozen=True)
class Look:
    """One look at what arrives. assets: what is made of it at once; warnings: what was refused or is broken, for the log;
    nothing: what is said where nothing is let in; cursor: what the next look is to know."""

    arrived: tuple[Arrived, ...]
    assets: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    nothing: str = "nothing new"
    cursor: str | None = None
    more: Mapping[str, str] = field(default_factory=dict)  # further tags of the runs


LookAtArrivals = Callable[[Platform, Subject, dg.SensorEvaluationContext], Look]


def arrivals_sensor(subject: Subject, job: Any, look_at: LookAtArrivals, settings: Settings) -> dg.SensorDefinition:
    """Lets in what is new and complete; waits for what is still being copied; refuses new bytes under a known name."""

    @dg.sensor(
        name=f"{subject.name}_arrivals",
        job=job,
        minimum_interval_seconds=settings.sensor_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Lets in each {subject.words} that is new and complete.",
    )
    def arrivals(context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]) -> dg.SensorResult:
        look = look_at(platform, subject, context)
        for warning in look.warnings:
            context.log.warning(warning)
        present = set(context.instance.get_dynamic_partitions(subject.partitions.name or ""))
        new = [each.key for each in look.arrived if each.key not in present]
        requests = [
            dg.RunRequest(
                run_key=f"{each.key}:{each.signature}",
                partition_key=each.key,
                asset_selection=[dg.AssetKey(name) for name in look.assets],
                tags={FOLDER_TAG: tag_value(each.place), SIGNATURE_TAG: each.signature, **look.more},
            )
            for each in look.arrived
        ]
        return dg.SensorResult(
            run_requests=requests,
            dynamic_partitions_requests=[subject.partitions.build_add_request(new)] if new else None,
            skip_reason=None if requests else look.nothing,
            cursor=look.cursor,
        )

    return arrivals
