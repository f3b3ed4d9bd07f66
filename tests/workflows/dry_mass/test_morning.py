"""What dry mass says of the night."""

from plate_assets.dry_mass.tables import CELL_ANOMALIES
from plate_assets.workflows.dry_mass.morning import JudgedTimelapse, judged_timelapse, timelapse_section
from tests.made_tables import rows_of


def test_the_line_of_a_timelapse_counts_and_names_its_most_abnormal_cells():
    cells = rows_of(
        CELL_ANOMALIES, 5, path_id=[1, 2, 3, 4, 5], score=[0.1, 0.9, 0.5, None, 0.2], abnormal=[False, True, True, None, False],
        first_abnormal_h=[None, 3.2, 20.0, None, None], cause=["none", "biological", "acquisition", "none", "none"],
        margin=[0.3, 1.2, 4.0, None, 0.4], decided_by=["", "score 0.9, limit 0.75", "edge in 12 frames, limit 3", None, ""],
    )  # fmt: skip
    line = judged_timelapse("HELA", cells, "../r.html")
    assert (line.n_paths, line.n_scored, line.n_abnormal, line.n_acquisition) == (5, 4, 2, 1)
    assert line.worst == "path 3 since 20 h (edge in 12 frames, limit 3); path 2 since 3 h (score 0.9, limit 0.75)"


def test_judged_timelapses_stand_in_the_section_and_only_those_with_abnormal_cells_in_the_message():
    judged = [
        JudgedTimelapse("HELA_B", 899, 884, 12, 2, "path 747 since 3 h", "../timelapse_report/HELA_B/report.html"),
        JudgedTimelapse("<QUIET>", 9, 0, 0),
    ]
    section = timelapse_section(judged)
    assert "path 747 since 3 h" in section.body and "884 of 899" in section.body and "&lt;QUIET&gt;" in section.body
    assert section.headline == ("12 abnormal cells in 2 time-lapses",) and section.lines == ["• HELA_B: 12 abnormal cells"]
    assert section.fields == {"timelapses": 2, "abnormal_cells": 12}


def test_without_a_judged_timelapse_there_is_no_section():
    assert timelapse_section([]) is None
