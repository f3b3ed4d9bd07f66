"""What precipitation says of the night: each called condition once, with its history over the time points of its plate.

Belongs here: from tables of calls to the section of the morning page. Not here: the calls (`precipitation.quadruplets`), when a
condition precipitated (`precipitation.onset`).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import polars as pl

from plate_assets.pages.sections import Count, Section, counted, section_body
from plate_assets.precipitation.onset import in_time_order


@dataclass(frozen=True)
class Visit:
    """One time point of a condition. call: None where it was not called, for its reasons; tonight: whether it was scored
    now."""

    timepoint: str
    call: bool | None
    score: float | None
    tonight: bool
    report: str = ""

    @property
    def words(self) -> str:
        """What a mark of the history says."""
        called = {True: "precipitated", False: "clean", None: "no call"}[self.call]
        return f"{self.timepoint}: {called}" + (f", score {self.score:.3g}" if self.score is not None else "")


@dataclass(frozen=True)
class CalledCondition:
    """A condition that was called in the night. onset: its first called time point, empty where it is not known."""

    plate: str
    group: str
    condition: str | None
    history: tuple[Visit, ...]
    score: float | None  # of the latest time point of the night at which it was called, as the three below
    anomaly_score: float | None = None
    threshold: float | None = None
    reasons: str = ""
    onset: str = ""

    @property
    def new(self) -> bool:
        """Whether no time point before the night's was called."""
        return bool(self.onset) and any(visit.tonight and visit.timepoint == self.onset for visit in self.history)


def called_conditions(
    calls: pl.DataFrame, tonight: Collection[str], onset: pl.DataFrame, report_of: Callable[[str], str]
) -> list[CalledCondition]:
    """Conditions that an acquisition of the night called, each once, the highest score first within a plate.

    calls: QUADRUPLET_CALLS of every acquisition of the night's plates; tonight: ids of those that were scored in the night;
    onset: ONSET; report_of: address of the report of an acquisition.
    """
    names = ["Metadata_Plate", "Metadata_Quadruplet"]
    ids = pl.concat_str("Metadata_Plate", "Metadata_Timepoint", separator="_")
    rows = in_time_order(calls).with_columns(acquisition=ids).with_columns(tonight=pl.col("acquisition").is_in(list(tonight)))
    called = rows.filter(pl.col("tonight") & pl.col("call").fill_null(False))
    first = {(plate, group): when for plate, group, when in onset.drop_nulls("onset").select(*names, "onset").iter_rows()}
    histories = rows.join(called.select(names).unique(), on=names, how="semi").partition_by(
        names, as_dict=True, maintain_order=True
    )
    found = []
    for key, history in histories.items():
        latest = called.filter((pl.col(names[0]) == key[0]) & (pl.col(names[1]) == key[1])).row(-1, named=True)
        visits = tuple(
            Visit(row["Metadata_Timepoint"], row["call"], row["score"], row["tonight"], report_of(row["acquisition"]))
            for row in history.iter_rows(named=True)
        )
        found.append(
            CalledCondition(
                str(key[0]),
                str(key[1]),
                latest["condition"],
                visits,
                latest["score"],
                latest["anomaly_score"],
                latest["threshold"],
                latest["reasons"],
                first.get((str(key[0]), str(key[1])), ""),
            )  # fmt: skip
        )
    return sorted(found, key=lambda each: (each.plate, -each.score if each.score is not None else float("inf"), each.group))


def called_section(conditions: list[CalledCondition], scored: int) -> Section:
    """The section. scored: acquisitions that were scored in the night."""
    plates: dict[str, list[CalledCondition]] = {}
    for condition in conditions:
        plates.setdefault(condition.plate, []).append(condition)
    on = f" on {counted(len(plates), 'plate')}" if plates else ""
    called = f"{counted(len(conditions), 'condition')} called{on}" if conditions else "No condition called"
    return Section(
        key="called",
        title="Called precipitated",
        body=section_body("plate_assets.workflows.precipitation", "called.html", plates=plates),
        counts=(Count(scored, "scored"), Count(len(conditions), "called", hot=bool(conditions))),
        headline=(called, f"{scored} scored"),
        lines=[
            f"• {each.plate} {each.group} {each.condition or ''}".rstrip() + (f" (since {each.onset})" if each.onset else "")
            for each in conditions
        ],
        fields={"scored": scored, "called": len(conditions)},
        eventful=bool(scored),
    )
