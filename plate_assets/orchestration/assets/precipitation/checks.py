"""Checks of precipitation's tables: calls know their origin, scores are like the history."""

from collections.abc import Sequence

import dagster as dg

from plate_assets.orchestration.assets.plates import PLATES
from plate_assets.orchestration.assets.precipitation.scoring import quadruplet_calls, well_scores
from plate_assets.orchestration.checks import history_check, origin_check
from plate_assets.precipitation.tables import QUADRUPLET_CALLS, WELL_SCORES
from plate_assets.settings import Settings


def make_checks(_: Settings) -> Sequence[dg.AssetChecksDefinition]:
    """The checks; none depends on the settings."""
    return (
        origin_check(quadruplet_calls, QUADRUPLET_CALLS, PLATES, "calls_know_their_origin"),
        history_check(well_scores, WELL_SCORES, PLATES, "scores_are_like_the_history"),
    )
