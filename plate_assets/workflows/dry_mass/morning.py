"""What dry mass says of the night: the time-lapses that were judged, and their most abnormal cells.

Belongs here: from tables of cells to the section of the morning page. Not here: the verdicts on cells (`dry_mass`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from plate_assets.dry_mass.ranking import ranked
from plate_assets.pages.sections import Count, Section, counted, section_body


@dataclass(frozen=True)
class JudgedTimelapse:
    """A time-lapse that was judged in the night. worst: its most abnormal cells, each with what decided, in words."""

    name: str
    n_paths: int
    n_scored: int
    n_abnormal: int
    n_acquisition: int = 0  # abnormal ones that the microscope may be the cause of
    worst: str = ""
    report: str = ""


def judged_timelapse(name: str, cells: pl.DataFrame, report: str = "") -> JudgedTimelapse:
    """The line of a time-lapse, from its CELL_ANOMALIES."""
    flagged = ranked(cells).filter(pl.col("abnormal").fill_null(False))
    rows = flagged.select("path_id", "first_abnormal_h", "decided_by").head(3).iter_rows()
    worst = [
        f"path {path}{f' since {since:.0f} h' if since is not None else ''} ({decided_by})" for path, since, decided_by in rows
    ]
    return JudgedTimelapse(
        name=name,
        n_paths=cells.height,
        n_scored=cells["score"].count(),
        n_abnormal=flagged.height,
        n_acquisition=flagged.filter(pl.col("cause") == "acquisition").height,
        worst="; ".join(worst),
        report=report,
    )


def timelapse_section(judged: Sequence[JudgedTimelapse]) -> Section | None:
    """The section; None where no time-lapse was judged."""
    if not judged:
        return None
    abnormal = sum(each.n_abnormal for each in judged)
    return Section(
        key="timelapses",
        title="Time-lapses",
        body=section_body("plate_assets.workflows.dry_mass", "judged.html", judged=judged),
        counts=(Count(abnormal, "abnormal cells", hot=bool(abnormal)),),
        headline=(f"{counted(abnormal, 'abnormal cell')} in {counted(len(judged), 'time-lapse')}",),
        lines=[f"• {each.name}: {counted(each.n_abnormal, 'abnormal cell')}" for each in judged if each.n_abnormal],
        fields={"timelapses": len(judged), "abnormal_cells": abnormal},
    )
