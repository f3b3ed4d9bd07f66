"""Reference scores of a detector: what the conditions of known clean plates score, so that a new score has a measure.

Belongs here: scoring plates whose tiles are stored, and choosing which of their conditions may serve as reference. Not
here: what is done with the scores (`precipitation.quadruplets`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from plate_assets.progress import Progress
from plate_assets.storage.arrays import Stack
from plate_assets.workflows.precipitation.score import blocks_of, score_blocks

if TYPE_CHECKING:
    from plate_assets.precipitation.detector import Detector


@dataclass(frozen=True)
class StoredPlate:
    """An acquisition whose tiles are stored, with what is known of its wells."""

    acquisition_id: str
    patches: Stack
    platemap: pl.DataFrame
    quality: pl.DataFrame
    exclusions: pl.DataFrame

    @property
    def plates(self) -> set[str]:
        """The plate, as the tiles name it."""
        return set(self.patches.table["Metadata_Plate"].unique())


def wells_of(plate: StoredPlate, detector: "Detector", model_version: str, progress: Progress | None = None) -> pl.DataFrame:
    """The WELL_SCORES of a stored plate under a detector."""
    from plate_assets.workflows.precipitation.calls import score_wells

    blocks = score_blocks(blocks_of(plate.patches), detector, model_version, progress, plate.patches.table.height)
    scores = pl.concat([table for table, _ in blocks])
    return score_wells(scores, plate.platemap, plate.quality, plate.exclusions)


def clean_reference(wells: Iterable[pl.DataFrame], expert_labels: pl.DataFrame) -> pl.DataFrame:
    """Reference scores from the conditions of plates, without those that an expert called precipitated.

    Returns Metadata_Plate, Metadata_Timepoint, Metadata_Quadruplet, score. A condition nobody labelled counts as clean:
    whoever names a plate as reference vouches for it.
    """
    from plate_assets.workflows.precipitation.calls import reference_scores

    keys = ["Metadata_Plate", "Metadata_Timepoint", "Metadata_Quadruplet"]
    bad = expert_labels.filter(pl.col("precipitated")).select(keys).unique()
    return reference_scores(list(wells)).join(bad, on=keys, how="anti")
