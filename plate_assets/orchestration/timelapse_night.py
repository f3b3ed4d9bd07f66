"""What the night has to do about time-lapses: a pure decision over what is materialised, from which files, by which model.

Belongs here: which assets of which time-lapse are missing or stale. Not here: asking Dagster (`schedules`, `sensors`), running
anything, plates (`night`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from plate_assets.orchestration.night import Work

# In the order of the graph, which is a chain: what is stale makes everything behind it stale.
MEASURING = ("timelapse", "phase_frames", "cell_masks", "cell_tracks", "dry_mass_series", "dry_mass_windows")
JUDGING = ("window_anomalies", "cell_anomalies", "timelapse_report")


@dataclass(frozen=True)
class MeasuredTimelapse:
    """What the instance says of one time-lapse: its assets, the files that were measured, the model that judged them."""

    assets: Collection[str]
    signature: str | None = None
    model_version: str | None = None


def plan_timelapses(
    timelapses: Mapping[str, MeasuredTimelapse], grown: Collection[str], champion: str | None, in_flight: Collection[str]
) -> list[Work]:
    """What is unmeasured, has grown, or was judged by another model, and has no run in flight; no more than need be made.

    grown: time-lapses whose files changed since they were measured. champion: forecaster in force, None where nobody has
    promoted one: then only what needs no model is made.
    """
    possible = MEASURING + JUDGING if champion else MEASURING
    planned = []
    for name, timelapse in timelapses.items():
        first, reason = _first_stale(timelapse, name in grown, champion, possible)
        if first is not None and name not in in_flight:
            planned.append(Work(name, possible[first:], reason))
    return planned


def _first_stale(
    timelapse: MeasuredTimelapse, grown: bool, champion: str | None, possible: tuple[str, ...]
) -> tuple[int | None, str]:
    if grown:
        return 0, "its files changed"
    missing = next((place for place, asset in enumerate(possible) if asset not in timelapse.assets), None)
    judged = possible.index("window_anomalies") if champion else len(possible)
    by_another = bool(champion) and "window_anomalies" in timelapse.assets and timelapse.model_version != champion
    if by_another and (missing is None or judged < missing):
        return judged, f"scored by {timelapse.model_version}, and the champion is {champion}"
    return missing, "unmeasured" if missing is not None and missing < len(MEASURING) else "unscored"
