"""What a report is made from: tables, pictures on demand, and the facts of its header.

Belongs here: the input and its checks. Not here: any drawing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import polars as pl

from plate_assets.plates.layout import LayoutError, PlateFormat, Well


class ReportError(ValueError):
    """Inputs that no report can be made from; the message says what was found and what to do."""


def _none(_well: str) -> None:
    return None


@dataclass(frozen=True)
class ReportInputs:
    """One plate at one time point. Pictures and maps are asked for a few wells at a time, so that memory stays bounded, and
    from several threads at once.

    calls, wells, tiles, growth, quality, effects: tables of the schemas QUADRUPLET_CALLS, WELL_SCORES, PATCH_SCORES, GROWTH,
    IMAGE_QUALITY and LAYOUT_EFFECTS. heat_scale: the map values drawn as nothing and as full colour, one pair for the plate.
    picture_scale: the grey values drawn black and white; without it they are taken from a sample of the plate's pictures.
    """

    acquisition_id: str
    plate: str
    timepoint: str
    plate_format: PlateFormat
    calls: pl.DataFrame
    wells: pl.DataFrame
    tiles: pl.DataFrame
    growth: pl.DataFrame | None = None
    quality: pl.DataFrame | None = None
    effects: pl.DataFrame | None = None
    well_picture: Callable[[str], np.ndarray | None] = _none  # (h, w) or (h, w, 3), uint8 or uint16; None: no picture
    well_heat: Callable[[str], np.ndarray | None] = _none  # (u, v) over the same field, any resolution, NaN where not scored
    heat_scale: tuple[float, float] = (0.0, 1.0)
    picture_scale: tuple[float, float] | None = None
    model: Mapping[str, object] = field(default_factory=dict)  # what the header says of the model: version, λ, …
    links: Mapping[str, str] = field(default_factory=dict)  # text of a link to its address
    made_at: datetime | None = None
    budget_bytes: int = 22_000_000  # the pictures are made as large as this allows, base64 included

    def __post_init__(self) -> None:
        for name in self.wells["Metadata_Well"].to_list():
            try:
                fits = Well.parse(name) in self.plate_format
            except LayoutError as error:
                raise ReportError(f"the wells of {self.acquisition_id}: {error}") from None
            if not fits:
                raise ReportError(
                    f"well {name} of {self.acquisition_id} is not on a plate of {self.plate_format.wells} wells: "
                    "set the plate format of the acquisition"
                )
        lo, hi = self.heat_scale
        if not (np.isfinite(lo) and np.isfinite(hi) and lo < hi):
            raise ReportError(f"the heat-map's scale is {self.heat_scale}: give two finite numbers, the lower one first")

    def ranked_calls(self) -> pl.DataFrame:
        """The conditions, the suspicious first: called, then by isolation, then by score; those without a score come last."""
        return self.calls.sort(
            pl.col("call").fill_null(False), "anomaly_score", "score", descending=True, nulls_last=True, maintain_order=True
        )

    def called_groups(self) -> set[str]:
        return set(self.calls.filter(pl.col("call").fill_null(False))["Metadata_Quadruplet"])

    def wells_of(self, group: str) -> list[str]:
        """Every well of a replicate group in reading order, those that do not count included."""
        rows = self.wells.filter(pl.col("Metadata_Quadruplet") == group).sort("Metadata_Row", "Metadata_Col")
        return rows["Metadata_Well"].to_list()
