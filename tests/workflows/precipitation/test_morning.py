"""What precipitation says of the night: each called condition once, with its history."""

import polars as pl

from plate_assets.precipitation.tables import ONSET, QUADRUPLET_CALLS
from plate_assets.workflows.precipitation.morning import called_conditions, called_section
from tests.made_tables import rows_of


def calls(plate: str, timepoint: str, hours: float, **columns) -> pl.DataFrame:
    """QUADRUPLET_CALLS of one acquisition with the groups A01 and C05."""
    given = {
        "Metadata_Plate": [plate] * 2, "Metadata_Timepoint": [timepoint] * 2, "Metadata_Timepoint_h": [hours] * 2,
        "Metadata_Quadruplet": ["A01", "C05"], "condition": ["medium 1", "<medium 2>"], "score": [1.0, 2.0],
        "anomaly_score": [0.5, 0.6], "threshold": [0.54, 0.54], "call": [False, True], "reasons": ["", ""],
    }  # fmt: skip
    return rows_of(QUADRUPLET_CALLS, 2, **{**given, **columns})


WEEK = pl.concat([
    calls("P1", "024h", 24.0, call=[False, False]), calls("P1", "072h", 72.0, call=[None, True], score=[None, 3.0]),
    calls("P1", "096h", 96.0, call=[True, True], score=[5.0, 4.0]), calls("P2", "096h", 96.0),
])  # fmt: skip
SEEN = ONSET.conform(
    pl.DataFrame({
        "Metadata_Plate": ["P1", "P1"], "Metadata_Quadruplet": ["A01", "C05"], "n_timepoints": [3, 3],
        "onset": ["096h", "072h"],
    })
)  # fmt: skip


def found(tonight: list[str]):
    return called_conditions(WEEK, tonight, SEEN, lambda key: f"../plate_report/{key}/report.html")


def test_a_condition_that_several_time_points_called_is_named_once_with_its_history():
    first, second = found(["P1_072h", "P1_096h"])
    assert (first.group, second.group) == ("A01", "C05"), "the higher score comes first"
    assert [(visit.timepoint, visit.call, visit.tonight) for visit in second.history] == [
        ("024h", False, False), ("072h", True, True), ("096h", True, True),
    ]  # fmt: skip
    assert second.score == 4.0 and second.onset == "072h"
    assert [visit.words for visit in first.history] == [
        "024h: clean, score 1", "072h: no call", "096h: precipitated, score 5",
    ]  # fmt: skip


def test_a_condition_seen_for_the_first_time_is_new_and_one_seen_on_an_earlier_night_is_not():
    assert [(each.group, each.new) for each in found(["P1_096h"])] == [("A01", True), ("C05", False)]


def test_conditions_of_other_nights_are_left_out():
    assert [(each.plate, each.group) for each in found(["P2_096h"])] == [("P2", "C05")]
    assert found(["P1_024h"]) == []


def test_the_section_names_each_condition_once_and_links_every_time_point():
    section = called_section(found(["P1_072h", "P1_096h", "P2_096h"]), 3)
    assert section.body.count("<tr><td>") == 3 and section.body.count("chip new") == 2
    assert "&lt;medium 2&gt;" in section.body and "../plate_report/P1_024h/report.html" in section.body
    assert section.headline == ("3 conditions called on 2 plates", "3 scored")
    assert section.lines[1] == "• P1 C05 <medium 2> (since 072h)" and len(section.lines) == 3


def test_a_night_without_a_call_says_so():
    section = called_section([], 2)
    assert "No condition was called" in section.body and section.headline == ("No condition called", "2 scored")
