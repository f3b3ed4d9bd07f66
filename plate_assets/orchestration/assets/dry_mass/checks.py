"""Checks of dry mass's tables: judged cells know their origin, and are like those of other time-lapses."""

from collections.abc import Sequence

import dagster as dg

from plate_assets.dry_mass.tables import CELL_ANOMALIES
from plate_assets.orchestration.assets.dry_mass.judging import cell_anomalies
from plate_assets.orchestration.assets.dry_mass.measuring import TIMELAPSES
from plate_assets.orchestration.checks import history_check, origin_check
from plate_assets.settings import Settings


def make_checks(_: Settings) -> Sequence[dg.AssetChecksDefinition]:
    """The checks; none depends on the settings."""
    return (
        origin_check(cell_anomalies, CELL_ANOMALIES, TIMELAPSES, "cells_know_their_origin"),
        history_check(cell_anomalies, CELL_ANOMALIES, TIMELAPSES, "cells_are_like_the_history"),
    )
