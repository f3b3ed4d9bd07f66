"""Dry mass's section of the morning page: the tables that it is made of."""

from plate_assets.dry_mass.tables import CELL_ANOMALIES
from plate_assets.orchestration.last_night import Night
from plate_assets.pages.sections import Section


def section(night: Night) -> Section | None:
    """The time-lapses that were judged in the night; none where there was none."""
    from plate_assets.workflows.dry_mass.morning import judged_timelapse, timelapse_section

    return timelapse_section([
        judged_timelapse(key, night.tables(CELL_ANOMALIES, [key]), night.report("timelapse_report", key))
        for key in night.made("cell_anomalies")
    ])  # fmt: skip
