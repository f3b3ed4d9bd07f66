"""What is due now, and the runs that do it: for plates, time-lapses and whatever else arrives, alike.

Belongs here: asking the instance and the present, and run requests. Not here: the decision (`night`), sensors and schedules.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache

import dagster as dg

from plate_assets.orchestration.chains import Subject
from plate_assets.orchestration.instance_state import in_flight, made_of, recorded_basis
from plate_assets.orchestration.night import Wanted, Work, differences, plan
from plate_assets.orchestration.parts import Present
from plate_assets.orchestration.platform import Platform
from plate_assets.orchestration.tags import REASON_TAG, tag_value


@dataclass(frozen=True)
class Due:
    """The work that waits, and the partitions that could not be looked at, each with the error."""

    work: tuple[Work, ...]
    unreadable: dict[str, str]


def request_of(subject: Subject, work: Work) -> dg.RunRequest:
    """The run that does a piece of work, and no more of the assets than need be made."""
    return dg.RunRequest(
        job_name=subject.job,
        partition_key=work.partition,
        asset_selection=[dg.AssetKey(name) for name in work.assets],
        tags={REASON_TAG: tag_value(work.reason)},
    )


def due(platform: Platform, subject: Subject, instance: dg.DagsterInstance, present: Present | None = None) -> Due:
    """What of a subject is missing or stale now and has no run in flight.

    A partition that cannot be looked at (its tables are gone, its plate map is broken) stops nothing but itself.
    """
    present = present or platform.present()
    possible = platform.possible(subject, present)
    busy, let_in = in_flight(instance), made_of(instance, [subject.entrance], subject.partitions)
    made = made_of(instance, possible, subject.partitions)
    keys = [key for key in sorted(let_in) if key not in busy]
    wanted, unreadable = wanted_of(platform, possible, present), {}
    work = []
    for key, readable in suspects(platform, instance, possible, keys, made, wanted).items():
        if isinstance(readable, str):
            unreadable[key] = readable
            continue
        found = plan(
            key, possible, made.get(key, set()), lambda name, key=key: recorded_basis(instance, name, [key]).get(key),
            lambda name, key=key: wanted(name, key), platform.whys, platform.graph,
        )  # fmt: skip
        if found:
            work.append(found)
    return Due(tuple(work), unreadable)


def wanted_of(platform: Platform, possible: tuple[str, ...], present: Present) -> Callable[[str, str], Wanted]:
    """What the result of an asset should rest on, for one partition. What is the same for all is asked once."""
    parts_of = cache(lambda name: platform.wanted_parts(name, possible))

    @cache
    def value(part_name: str, key: str) -> str | None:
        return parts_by_name[part_name].value(present, key)

    parts_by_name = {part.name: part for name in possible for part in parts_of(name)}
    return lambda name, key: {part.name: value(part.name, key) for part in parts_of(name)}


def suspects(
    platform: Platform,
    instance: dg.DagsterInstance,
    possible: tuple[str, ...],
    keys: Collection[str],
    made: dict[str, set[str]],
    wanted: Callable[[str, str], Wanted],
) -> dict[str, str | None]:
    """The partitions that are worth a closer look, each with the error where it cannot be looked at.

    The last assets were recorded to rest on all that those before them did: where these hold, so do all. So a night without
    news reads one record for each end of the graph and partition.
    """
    last = platform.graph.last(possible)
    whole = {key for key in keys if set(possible) <= made.get(key, set())}
    kept = {name: recorded_basis(instance, name, whole) for name in last}
    found: dict[str, str | None] = {}
    for key in keys:
        try:
            if key not in whole or any(differences(kept[name].get(key), wanted(name, key), {}) for name in last):
                for name in possible:
                    wanted(name, key)
                found[key] = None
        except (ValueError, OSError) as error:
            found[key] = str(error)
    return found
