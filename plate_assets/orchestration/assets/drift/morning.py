"""Drift's section of the morning page: the tables that it is made of."""

import polars as pl

from plate_assets.drift.tables import DRIFT_DISCOVERIES, DRIFT_EPISODES, DRIFT_TESTS, LABELLING_BATCH
from plate_assets.orchestration.last_night import Night
from plate_assets.pages.sections import Section


def section(night: Night) -> Section | None:
    """Open alarms of lines and the night's drifted acquisitions; none where nothing is watched."""
    from plate_assets.workflows.drift.morning import alarms_of, drift_section, drifted_of

    tests, discoveries = night.tables(DRIFT_TESTS, night.made("drift_tests")), night.table(DRIFT_DISCOVERIES)
    of_tonight = discoveries.filter(pl.col("acquisition").is_in(tests["acquisition"].implode()))
    return drift_section(
        alarms_of(night.table(DRIFT_EPISODES), night.table(LABELLING_BATCH)),
        drifted_of(tests, discoveries, night.settings.drift_action == "block"),
        tests.height,
        next(iter(of_tonight["note"]), ""),
    )
