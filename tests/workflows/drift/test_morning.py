"""What drift says of the night."""

from datetime import UTC, datetime

from plate_assets.drift.tables import DRIFT_DISCOVERIES, DRIFT_EPISODES, DRIFT_TESTS, LABELLING_BATCH
from plate_assets.workflows.drift.morning import Alarm, Drifted, alarms_of, drift_section, drifted_of
from tests.made_tables import rows_of

SINCE = datetime(2026, 5, 4, 18, tzinfo=UTC)


def test_only_open_episodes_are_alarms_and_each_counts_its_own_tiles():
    when = [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 2, 3)]
    episodes = rows_of(
        DRIFT_EPISODES, 3, line=["a", "a", "b"], episode=[1, 2, 1], opened_at=when, closed_at=[when[1], None, None],
        closed_by=["x", None, None],
    )  # fmt: skip
    batch = rows_of(LABELLING_BATCH, 3, line=["a", "a", "a"], episode=[1, 2, 2], place=[1, 1, 2])
    assert [(alarm.line, alarm.since, alarm.to_label) for alarm in alarms_of(episodes, batch)] == [
        ("a", when[1], 2),
        ("b", when[2], 0),
    ]


def test_the_clearest_drift_comes_first_and_says_whether_the_night_names_it():
    tests = rows_of(
        DRIFT_TESTS,
        3,
        acquisition=["A", "B", "C"],
        decision=["drift", "none", "drift"],
        p_value=[0.04, 0.5, 0.01],
        effect=[2.0, 0.1, 5.0],
    )
    discoveries = rows_of(DRIFT_DISCOVERIES, 3, acquisition=["A", "B", "C"], named=[False, False, True])
    lines = drifted_of(tests, discoveries, withheld=True)
    assert [(line.acquisition_id, line.named, line.withheld) for line in lines] == [("C", True, True), ("A", False, True)]


def test_alarms_and_drifted_plates_stand_in_the_section_with_what_to_do():
    alarms = [Alarm("operetta / <TOX>", SINCE, "P0_072h", 2, 48)]
    drifted = [Drifted("P1_096h", 0.0476, 4.2, True, withheld=True), Drifted("P4_024h", 0.04, None, False)]
    section = drift_section(alarms, drifted, 3, "19 reference plates would let one plate alone be named")
    for words in (
        "operetta / &lt;TOX&gt;", "drifts since 2026-05-04 18:00", "label the 48 tiles", "calls are withheld",
        "19 reference plates",
    ):  # fmt: skip
        assert words in section.body
    assert section.body.count("named for the night") == 1 and section.urgent
    assert list(section.headline) == ["1 line drifting", "2 plates drifted"] and section.counts[0].words == "of 3 drifted"
    assert "≈ P1_096h drifted, calls withheld" in section.lines


def test_a_night_without_drift_is_not_urgent_and_one_without_tests_has_no_section():
    quiet = drift_section([], [], 3)
    assert not quiet.urgent and not quiet.eventful and "3 acquisitions tested, none drifted" in quiet.body
    assert drift_section([], [], 0) is None
