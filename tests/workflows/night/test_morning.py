"""The morning page's lines out of tables, its files, and the message."""

from datetime import UTC, datetime

import polars as pl
from upath import UPath

from plate_assets.drift.tables import DRIFT_DISCOVERIES, DRIFT_EPISODES, DRIFT_TESTS, LABELLING_BATCH
from plate_assets.dry_mass.tables import CELL_ANOMALIES
from plate_assets.pages.morning import MorningInputs
from plate_assets.plates.acquisition import Acquisition
from plate_assets.plates.tables import IMAGES
from plate_assets.precipitation.tables import ONSET
from plate_assets.workflows.night.morning import (
    alarms_of,
    arrival_of,
    called_of,
    drifted_of,
    rescored_of,
    timelapse_of,
    write_morning,
)
from tests.made_plates import made_plate
from tests.made_tables import rows_of


def acquisition(present: int) -> Acquisition:
    inputs = made_plate(96)
    images = inputs.wells.select(
        "Metadata_Plate", "Metadata_Timepoint", "Metadata_Timepoint_h", "Metadata_Well", "Metadata_Row", "Metadata_Col"
    )
    images = images.with_row_index("n").with_columns(
        Metadata_Site=1, Metadata_Channel=pl.lit("default"), Metadata_Plane=1, path=pl.lit("x.tif"), page=0, size_bytes=1,
        present=pl.col("n") < present,
    ).drop("n")  # fmt: skip
    return Acquisition(
        "EX0042", "096h", 96.0, UPath("/nowhere"), "flat", inputs.plate_format, IMAGES.conform(images), None, "settled"
    )


def test_an_arrival_counts_the_wells_that_are_there_and_names_the_frequent_flags():
    quality = made_plate(96).quality
    line = arrival_of(acquisition(90), quality)
    assert (line.acquisition_id, line.n_wells, line.plate_wells, line.completeness) == ("EX0042_096h", 90, 96, "settled")
    flagged = quality.filter("flagged").height
    assert line.n_flagged == flagged and line.flags == f"out of focus ({flagged}), dust in the light path ({flagged})"


def test_the_called_conditions_carry_when_they_were_first_seen():
    inputs = made_plate(96, called=3)
    group = sorted(inputs.called_groups())[0]
    onset = ONSET.conform(
        pl.DataFrame({"Metadata_Plate": ["EX0042"], "Metadata_Quadruplet": [group], "n_timepoints": [4], "onset": ["048h"]})
    )
    lines = {line.group: line for line in called_of("EX0042_096h", inputs.calls, onset, "../EX0042_096h/report.html")}
    assert set(lines) == inputs.called_groups()
    assert lines[group].onset == "048h" and [line.onset for name, line in lines.items() if name != group] == ["", ""]


def test_a_plate_scored_again_says_what_changed_and_only_if_the_model_did():
    before = made_plate(96, called=3).calls
    after = before.with_columns(
        model_version=pl.lit("models:/precipitation-detector/4"),
        call=pl.col("call") & (pl.col("score") < pl.col("score").max()),
    )
    line = rescored_of("EX0042_096h", before, after)
    assert line is not None
    assert (line.old_model, line.new_model, line.n_changed) == (
        "models:/precipitation-detector/3",
        "models:/precipitation-detector/4",
        1,
    )
    assert rescored_of("EX0042_096h", before, before) is None


def test_the_page_is_written_under_the_nights_date_and_as_the_latest(tmp_path):
    inputs = MorningInputs(datetime(2026, 5, 4, 18, tzinfo=UTC), datetime(2026, 5, 5, 6, tzinfo=UTC), None)
    latest = write_morning(inputs, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-05-05.html", "morning.html"]
    assert latest.read_bytes() == (tmp_path / "2026-05-05.html").read_bytes()


def test_the_line_of_a_timelapse_counts_and_names_its_most_abnormal_cells():
    cells = rows_of(
        CELL_ANOMALIES, 5, path_id=[1, 2, 3, 4, 5], score=[0.1, 0.9, 0.5, None, 0.2], abnormal=[False, True, True, None, False],
        first_abnormal_h=[None, 3.2, 20.0, None, None], cause=["none", "biological", "acquisition", "none", "none"],
        evidence=["", "", "edge", "shorter than 30 h", ""],
    )  # fmt: skip
    line = timelapse_of("HELA", cells, "../r.html")
    assert (line.n_paths, line.n_scored, line.n_abnormal, line.n_acquisition) == (5, 4, 2, 1)
    assert line.worst == "path 2 since 3 h; path 3 since 20 h (edge)"


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
