"""The morning page and its short form: what it says whatever the sciences are."""

from datetime import datetime

from plate_assets.pages.morning import (
    Arrival,
    Failure,
    MorningInputs,
    Refused,
    Stale,
    Waiting,
    headline,
    morning_text,
    render_morning,
)
from plate_assets.pages.sections import Count, Section

SINCE, UNTIL = datetime(2026, 5, 4, 18), datetime(2026, 5, 5, 6)
SECTION = Section(
    "bright", "Bright wells", Section.of_text("", "", "A01 shines").body, (Count(2, "bright", hot=True),),
    ("2 wells bright",), [f"• well {number}" for number in range(12)], {"bright": 2},
)  # fmt: skip


def night(**changes) -> MorningInputs:
    given = {
        "models": {"detector": "models:/precipitation-detector/3", "forecaster": None},
        "sections": [SECTION],
        "arrived": [Arrival("P1_096h", "P1", "096h", 380, 384, "the vendor's index lists every image", 2, "out of focus (2)")],
        "failed": [Failure("P2_024h", "patches", "P2/A01.tif is cut off", "copy the file again, then re-run the plate")],
        "waiting": [Waiting("P3_048h", "4 of 384 images are missing", SINCE)],
        "refused": [Refused("P0_096h", "new bytes under a known name", "give the folder a new name")],
        "stale": [Stale("P9_001h", "λ was 0.01, is 0.05"), Stale("P8_001h", "λ was 0.01, is 0.05")],
    }  # fmt: skip
    return MorningInputs(SINCE, UNTIL, **{**given, **changes})


def test_the_page_names_what_arrived_failed_waits_and_was_refused():
    page = render_morning(night())
    for words in (
        "380 of 384", "P2/A01.tif is cut off", "copy the file again", "4 of 384 images are missing",
        "new bytes under a known name", "give the folder a new name", "models:/precipitation-detector/3",
    ):  # fmt: skip
        assert words in page


def test_what_is_stale_is_named_under_its_reason():
    page = render_morning(night())
    assert page.count("λ was 0.01, is 0.05") == 1 and "P9_001h, P8_001h" in page
    assert "↻ 2 results stale: λ was 0.01, is 0.05" in morning_text(night())


def test_every_kind_of_model_is_said_to_be_in_force_or_missing():
    page = render_morning(night())
    assert "Detector in force: <code>models:/precipitation-detector/3</code>" in page
    assert "Forecaster in force: <strong" in page and "Nothing is judged until" in page
    assert morning_text(night()).endswith("Forecaster in force: none: promote one, nothing is judged until then")


def test_a_section_stands_on_the_page_in_the_headline_in_the_message_and_in_the_fields():
    page, text = render_morning(night()), morning_text(night())
    assert "<h2>Bright wells</h2>" in page and "A01 shines" in page and "<b>2</b> bright" in page
    assert headline(night()).startswith("2 wells bright, 1 plate arrived")
    assert "• well 7" in text and "• well 8" not in text and "  and 4 more" in text
    assert night().fields() == {"arrived": 1, "failed": 1, "waiting": 1, "refused": 1, "stale": 2, "bright": 2}


def test_a_section_that_needs_a_person_comes_first_and_trouble_before_all():
    urgent = Section.of_text("drift", "Drift", "a line drifts")
    page = render_morning(night(sections=[SECTION, Section(**{**urgent.__dict__, "urgent": True})]))
    assert page.index("Needs a person") < page.index("<h2>Drift") < page.index("<h2>Bright wells")


def test_names_on_the_page_are_escaped_and_links_that_run_something_are_cut():
    hostile = "<script>alert(1)</script>"
    page = render_morning(
        night(
            waiting=[Waiting(hostile, hostile)],
            failed=[Failure(hostile, hostile, hostile, hostile, "javascript:x")],
            sections=[Section.of_text("a", hostile, hostile)],
        )
    )
    assert page.count("<script") == 1, "the page's own"
    assert hostile not in page and "javascript:" not in page and "&lt;script&gt;" in page


def test_the_headline_counts_the_night():
    assert headline(night(sections=[])) == "1 plate arrived, 1 failed, 1 refused, 1 waiting, 2 stale."


def test_a_quiet_night_is_said_to_be_quiet():
    quiet = Section.of_text("bright", "Bright wells", "nothing judged")
    inputs = MorningInputs(SINCE, UNTIL, sections=[Section(**{**quiet.__dict__, "eventful": False})])
    assert headline(inputs).startswith("A quiet night")
    assert not MorningInputs(SINCE, UNTIL, sections=[SECTION]).quiet


def test_the_short_text_names_failures_with_what_to_do_and_the_page():
    text = morning_text(night(), "https://lab.example/morning")
    assert "✗ P2_024h, patches: P2/A01.tif is cut off → copy the file again, then re-run the plate" in text
    assert text.endswith("\nhttps://lab.example/morning")


def test_the_short_text_stays_short_whatever_fails():
    failures = [Failure(f"P{i}", "patches", "word " * 500, "look") for i in range(40)]
    text = morning_text(night(failed=failures))
    assert "more that need a look" in text and len(text) < 4000
