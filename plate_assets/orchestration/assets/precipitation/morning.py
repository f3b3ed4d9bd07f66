"""Precipitation's section of the morning page: the tables that it is made of."""

import dagster as dg
import polars as pl

from plate_assets.orchestration.last_night import Night
from plate_assets.pages.sections import Section
from plate_assets.precipitation.tables import ONSET, QUADRUPLET_CALLS


def section(night: Night) -> Section:
    """Each condition that was called in the night, with its history over the plate's time points."""
    from plate_assets.workflows.precipitation.morning import called_conditions, called_section

    scored = night.made("plate_report")
    tonight = night.tables(QUADRUPLET_CALLS, scored)
    plates = tonight["Metadata_Plate"].unique()
    known = night.instance.get_materialized_partitions(dg.AssetKey(QUADRUPLET_CALLS.name)) - set(scored)
    earlier = [key for key in sorted(known) if key.startswith(tuple(f"{plate}_" for plate in plates))]
    of_plates = night.tables(QUADRUPLET_CALLS, earlier).filter(pl.col("Metadata_Plate").is_in(plates.implode()))
    calls = pl.concat([tonight, of_plates])
    reports = {key: night.report("plate_report", key) for key in (*scored, *earlier)}
    found = called_conditions(calls, scored, night.table(ONSET), lambda key: reports.get(key, ""))
    return called_section(found, len(scored))
