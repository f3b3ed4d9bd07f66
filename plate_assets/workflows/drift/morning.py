"""What drift says of the night: lines whose alarm is open, acquisitions that drifted, and what the tests could not have found.

Belongs here: from tables of drift to the section of the morning page. Not here: the tests and monitors (`drift`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from plate_assets.pages.sections import Count, Section, counted, section_body


@dataclass(frozen=True)
class Drifted:
    """An acquisition that drifted. named: also where the night's tests are judged together; withheld: whether its calls
    were."""

    acquisition_id: str
    p_value: float | None
    effect: float | None
    named: bool
    why: str = ""
    withheld: bool = False


@dataclass(frozen=True)
class Alarm:
    """A line of acquisitions whose alarm is open: since when, and how many tiles wait for a person."""

    line: str
    since: datetime
    opened_by: str
    alarms: int
    to_label: int = 0


def alarms_of(episodes: pl.DataFrame, batch: pl.DataFrame) -> list[Alarm]:
    """The open episodes of DRIFT_EPISODES, each with how many tiles of LABELLING_BATCH are its."""
    waiting = batch.group_by("line", "episode").len("to_label")
    still = episodes.filter(pl.col("closed_at").is_null()).join(waiting, on=["line", "episode"], how="left").sort("opened_at")
    return [
        Alarm(row["line"], row["opened_at"], row["opened_by"], row["alarms"], row["to_label"] or 0)
        for row in still.iter_rows(named=True)
    ]


def drifted_of(tests: pl.DataFrame, discoveries: pl.DataFrame, withheld: bool) -> list[Drifted]:
    """The acquisitions of DRIFT_TESTS that drifted, the clearest first; discoveries: DRIFT_DISCOVERIES of the night."""
    named = set(discoveries.filter(pl.col("named"))["acquisition"])
    drifted = tests.filter(pl.col("decision") == "drift").sort("p_value", "effect", descending=[False, True])
    return [
        Drifted(row["acquisition"], row["p_value"], row["effect"], row["acquisition"] in named, row["reasons"], withheld)
        for row in drifted.iter_rows(named=True)
    ]


def drift_section(alarms: Sequence[Alarm], drifted: Sequence[Drifted], watched: int, note: str = "") -> Section | None:
    """The section; None where nothing is watched. watched: acquisitions that were tested in the night."""
    if not (alarms or drifted or watched or note):
        return None
    headline = [f"{counted(len(alarms), 'line')} drifting"] * bool(alarms)
    headline += [f"{counted(len(drifted), 'plate')} drifted"] * bool(drifted)
    lines = [f"≈ {alarm.line} drifts since {alarm.since:%Y-%m-%d %H:%M}, {alarm.to_label} tiles to label" for alarm in alarms]
    lines += [f"≈ {each.acquisition_id} drifted{', calls withheld' if each.withheld else ''}" for each in drifted]
    return Section(
        key="drift",
        title="Drift: is the data still what the model knows?",
        body=section_body(
            "plate_assets.workflows.drift", "drift.html", alarms=alarms, drifted=drifted, note=note, watched=watched
        ),
        counts=(Count(len(drifted), f"of {watched} drifted", hot=bool(alarms or drifted)),),
        headline=headline,
        lines=lines,
        fields={"alarms": len(alarms), "drifted": len(drifted)},
        urgent=bool(alarms or drifted),
        eventful=bool(alarms or drifted),
    )
