"""The morning page and its short form."""

from datetime import datetime

from plate_assets.pages.morning import (
    Alarm,
    Arrival,
    Called,
    Drifted,
    Failure,
    MorningInputs,
    Refused,
    Rescored,
    Timelapse,
    Waiting,
    headline,
    morning_text,
    render_morning,
)

SINCE, UNTIL = datetime(2026, 5, 4, 18), datetime(2026, 5, 5, 6)


def night(**changes) -> MorningInputs:
    called = [
        Called(
            "P1_096h",
            "P1",
            "096h",
            group,
            f"medium {i}",
            1.0 + i,
            0.6,
            0.54,
            "072h" if i else "096h",
            "",
            "../P1_096h/report.html",
        )
        for i, group in enumerate(("A01", "C05"))
    ]
    given = {
        "champion": "models:/precipitation-detector/3", "scored": 2, "called": called,
        "arrived": [Arrival("P1_096h", "P1", "096h", 380, 384, "the vendor's index lists every image", 2, "out of focus (2)")],
        "failed": [Failure("P2_024h", "patches", "P2/A01.tif is cut off", "copy the file again, then re-run the plate")],
        "waiting": [Waiting("P3_048h", "4 of 384 images are missing", SINCE)],
        "refused": [Refused("P0_096h", "new bytes under a known name", "give the folder a new name")],
        "rescored": [Rescored("P0_072h", "models:/precipitation-detector/2", "models:/precipitation-detector/3", 1)],
        "stale": ["P9_001h"],
    }  # fmt: skip
    return MorningInputs(SINCE, UNTIL, **{**given, **changes})


def test_the_page_names_what_arrived_was_called_failed_waits_and_was_refused():
    page = render_morning(night())
    for words in (
        "380 of 384", "medium 1", "072h", "P2/A01.tif is cut off", "copy the file again", "4 of 384 images are missing",
        "new bytes under a known name", "give the folder a new name", "models:/precipitation-detector/2",
        "1 call changed", "P9_001h",
    ):  # fmt: skip
        assert words in page
    assert page.index("C05") < page.index("A01</b>"), "the higher score comes first"
    assert page.index("Needs a person") < page.index("Called precipitated")


def test_a_condition_seen_for_the_first_time_is_marked_new():
    assert render_morning(night()).count('chip new">new') == 1


def test_names_on_the_page_are_escaped_and_links_that_run_something_are_cut():
    hostile = "<script>alert(1)</script>"
    page = render_morning(
        night(
            waiting=[Waiting(hostile, hostile)],
            called=[Called(hostile, hostile, hostile, "A01", hostile, None, report="javascript:x")],
        )
    )
    assert "<script" not in page and "javascript:" not in page and "&lt;script&gt;" in page


def test_the_headline_counts_the_night():
    assert (
        headline(night())
        == "2 conditions called on 1 plate, 1 plate arrived, 2 scored, 1 failed, 1 refused, 1 waiting, 1 stale."
    )


def test_a_quiet_night_is_said_to_be_quiet_and_a_missing_model_is_said():
    quiet = MorningInputs(SINCE, UNTIL, None)
    assert headline(quiet).startswith("A quiet night")
    assert "none: promote one" in morning_text(quiet) and "Nothing is scored until" in render_morning(quiet)


def test_the_short_text_names_calls_and_failures_with_what_to_do():
    text = morning_text(night(), "https://lab.example/morning")
    assert "• P1 096h C05 medium 1 (since 072h)" in text
    assert "✗ P2_024h, patches: P2/A01.tif is cut off → copy the file again, then re-run the plate" in text
    assert text.endswith("Model in force: models:/precipitation-detector/3\nhttps://lab.example/morning")


def test_the_short_text_stays_short_when_everything_is_called():
    calls = [Called("P1_096h", "P1", "096h", f"A{i:02d}", "x", float(i)) for i in range(90)]
    failures = [Failure(f"P{i}", "patches", "word " * 500, "look") for i in range(40)]
    text = morning_text(night(called=calls, failed=failures))
    assert "and 82 more" in text and len(text) < 4000


WATCHED = {
    "timelapses": [
        Timelapse("HELA_B", 899, 884, 12, 2, "path 747 since 3 h", "../timelapse_report/HELA_B/report.html"),
        Timelapse("QUIET", 9, 0, 0),
    ],
    "alarms": [Alarm("operetta / <TOX>", SINCE, "P0_072h", 2, 48)],
    "drifted": [Drifted("P1_096h", 0.0476, 4.2, True, withheld=True), Drifted("P4_024h", 0.04, None, False)],
    "watched": 3,
    "note": "19 reference plates would let one plate alone be named",
}


def test_abnormal_cells_and_drift_stand_on_the_page_with_what_to_do():
    page = render_morning(night(**WATCHED))
    for words in (
        "path 747 since 3 h", "884 of 899", "operetta / &lt;TOX&gt;", "drifts since 2026-05-04 18:00", "label the 48 tiles",
        "named for the night", "calls are withheld", "of 3 drifted", "19 reference plates would let",
    ):  # fmt: skip
        assert words in page
    assert page.index("Drift:") < page.index("Called precipitated") < page.index("Time-lapses")
    assert page.count("named for the night") == 1


def test_the_message_tells_of_drift_and_abnormal_cells_in_short():
    text = morning_text(night(**WATCHED))
    assert "12 abnormal cells in 2 time-lapses, 1 line drifting, 2 plates drifted" in text
    assert "P1_096h drifted, calls withheld" in text and "HELA_B: 12 abnormal cells" in text and "QUIET" not in text


def test_a_night_of_timelapses_alone_is_not_quiet():
    assert not MorningInputs(SINCE, UNTIL, None, timelapses=WATCHED["timelapses"]).quiet
