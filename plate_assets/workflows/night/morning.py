"""The morning page as a file and a message, and its parts read out of tables.

Belongs here: from an acquisition's tables to the lines of the page, the file, the post. Not here: which runs the night had
(`orchestration`), what the page says (`pages.morning`).
"""

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from upath import UPath

from plate_assets.plates.acquisition import Acquisition

if TYPE_CHECKING:
    from plate_assets.pages.morning import Alarm, Arrival, Called, Drifted, MorningInputs, Rescored, Timelapse


def arrival_of(
    acquisition: Acquisition, quality: pl.DataFrame | None = None, *, arrived_at: datetime | None = None, report: str = ""
) -> "Arrival":
    """The line of a plate that was let in: its wells, whether it is complete, the most frequent flags."""
    from plate_assets.pages.morning import Arrival

    flagged = quality.filter(pl.col("flagged")) if quality is not None else None
    reasons: Counter[str] = Counter()
    if flagged is not None:
        reasons.update(reason for text in flagged["reasons"] for reason in text.split("; ") if reason)
    return Arrival(
        acquisition_id=acquisition.acquisition_id,
        plate=acquisition.plate,
        timepoint=acquisition.timepoint,
        n_wells=acquisition.images.filter(pl.col("present"))["Metadata_Well"].n_unique(),
        plate_wells=acquisition.plate_format.wells,
        completeness=acquisition.completeness,
        n_flagged=flagged["Metadata_Well"].n_unique() if flagged is not None else 0,
        flags=", ".join(f"{reason} ({count})" for reason, count in reasons.most_common(3)),
        arrived_at=arrived_at,
        report=report,
    )


def called_of(acquisition_id: str, calls: pl.DataFrame, onset: pl.DataFrame | None = None, report: str = "") -> "list[Called]":
    """The called conditions of a plate (QUADRUPLET_CALLS), each with its first called time point (ONSET)."""
    from plate_assets.pages.morning import Called

    first: dict[tuple[str, str], str] = {}
    if onset is not None:
        known = onset.filter(pl.col("onset").is_not_null()).select("Metadata_Plate", "Metadata_Quadruplet", "onset")
        first = {(plate, group): when for plate, group, when in known.iter_rows()}
    return [
        Called(
            acquisition_id=acquisition_id,
            plate=row["Metadata_Plate"],
            timepoint=row["Metadata_Timepoint"],
            group=row["Metadata_Quadruplet"],
            condition=row["condition"],
            score=row["score"],
            anomaly_score=row["anomaly_score"],
            threshold=row["threshold"],
            onset=first.get((row["Metadata_Plate"], row["Metadata_Quadruplet"]), ""),
            reasons=row["reasons"],
            report=report,
        )
        for row in calls.filter(pl.col("call").fill_null(False)).iter_rows(named=True)
    ]


def rescored_of(acquisition_id: str, before: pl.DataFrame, after: pl.DataFrame, report: str = "") -> "Rescored | None":
    """What a new model changed on a plate, from its calls before and after; None where the same model made both."""
    from plate_assets.pages.morning import Rescored

    old, new = (", ".join(table["model_version"].unique().sort().to_list()) for table in (before, after))
    if old == new:
        return None
    both = after.join(before.select("Metadata_Quadruplet", earlier="call"), on="Metadata_Quadruplet", how="left")
    changed = both.select((~pl.col("call").eq_missing(pl.col("earlier"))).sum()).item()
    return Rescored(acquisition_id, old, new, int(changed), report)


def timelapse_of(name: str, cells: pl.DataFrame, report: str = "") -> "Timelapse":
    """The line of a time-lapse, from its CELL_ANOMALIES."""
    from plate_assets.pages.morning import Timelapse

    flagged = cells.filter(pl.col("abnormal").fill_null(False)).sort("score", descending=True, nulls_last=True)
    rows = flagged.select("path_id", "first_abnormal_h", "evidence").head(3).iter_rows()
    worst = [
        f"path {path}{f' since {since:.0f} h' if since is not None else ''}{f' ({evidence})' if evidence else ''}"
        for path, since, evidence in rows
    ]
    return Timelapse(
        name=name,
        n_paths=cells.height,
        n_scored=cells["score"].count(),
        n_abnormal=flagged.height,
        n_acquisition=flagged.filter(pl.col("cause") == "acquisition").height,
        worst="; ".join(worst),
        report=report,
    )


def alarms_of(episodes: pl.DataFrame, batch: pl.DataFrame) -> "list[Alarm]":
    """The open episodes of DRIFT_EPISODES, each with how many tiles of LABELLING_BATCH are its."""
    from plate_assets.pages.morning import Alarm

    waiting = batch.group_by("line", "episode").len("to_label")
    still = episodes.filter(pl.col("closed_at").is_null()).join(waiting, on=["line", "episode"], how="left").sort("opened_at")
    return [
        Alarm(row["line"], row["opened_at"], row["opened_by"], row["alarms"], row["to_label"] or 0)
        for row in still.iter_rows(named=True)
    ]


def drifted_of(tests: pl.DataFrame, discoveries: pl.DataFrame, withheld: bool) -> "list[Drifted]":
    """The acquisitions of DRIFT_TESTS that drifted, the clearest first; discoveries: DRIFT_DISCOVERIES of the night."""
    from plate_assets.pages.morning import Drifted

    named = set(discoveries.filter(pl.col("named"))["acquisition"])
    drifted = tests.filter(pl.col("decision") == "drift").sort("p_value", "effect", descending=[False, True])
    return [
        Drifted(row["acquisition"], row["p_value"], row["effect"], row["acquisition"] in named, row["reasons"], withheld)
        for row in drifted.iter_rows(named=True)
    ]


def write_morning(inputs: "MorningInputs", folder: str | Path | UPath) -> UPath:
    """Write `morning.html`, and the same under the night's date; both whole or not at all. Returns the first."""
    from plate_assets.pages.morning import render_morning
    from plate_assets.storage.files import write_bytes

    page = render_morning(inputs).encode()
    folder = UPath(folder)
    write_bytes(folder / f"{inputs.until:%Y-%m-%d}.html", page)
    write_bytes(folder / "morning.html", page)
    return folder / "morning.html"


def tell_webhook(inputs: "MorningInputs", url: str, page: str = "") -> None:
    """Post the night in short, with its counts as fields. Raises `NotifyError`, which never shows the address."""
    from plate_assets.pages.morning import morning_text
    from plate_assets.workflows.night.notify import post_to_webhook

    counted = (
        "arrived", "called", "failed", "waiting", "refused", "rescored", "stale", "timelapses", "alarms", "drifted",
    )  # fmt: skip
    counts = {name: len(getattr(inputs, name)) for name in counted}
    post_to_webhook(url, morning_text(inputs, page), {**counts, "scored": inputs.scored, "champion": inputs.champion})
