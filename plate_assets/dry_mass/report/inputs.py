"""What a time-lapse report is made from: tables, forecasts, crops, the facts of its header.

Belongs here: the input and its checks. Not here: any drawing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import polars as pl

from plate_assets.dry_mass.figures.overview import TimelapseOverview, timelapse_overview
from plate_assets.dry_mass.figures.plotted_values import WindowForecast, ranked_cells
from plate_assets.dry_mass.strips import CellStrip
from plate_assets.dry_mass.tables import ANNOTATIONS, CELL_ANOMALIES, DRY_MASS_SERIES, UNITS, WINDOW_ANOMALIES
from plate_assets.dry_mass.verdicts import latest_verdicts

MOST = 100  # cells that are shown with their curves


class ReportError(ValueError):
    """Inputs that no report can be made from; the message says what was found and what to do."""


@dataclass(frozen=True)
class ReportInputs:
    """One time-lapse.

    series, windows, cells, annotations: tables of the schemas DRY_MASS_SERIES, WINDOW_ANOMALIES, CELL_ANOMALIES, ANNOTATIONS;
    verdicts on other time-lapses are passed over. forecasts: of the worst window of paths that are shown; strips: their crops,
    asked for one at a time. crop_um: width of a crop, µm, None where it is not known. most: cells that are shown at most.
    model: what the header says of the forecaster. budget_bytes: what the strips may weigh, base64 included.
    """

    name: str
    series: pl.DataFrame
    windows: pl.DataFrame
    cells: pl.DataFrame
    model_version: str
    annotations: pl.DataFrame | None = None
    forecasts: Mapping[int, WindowForecast] = field(default_factory=dict)
    strips: Mapping[int, CellStrip] = field(default_factory=dict)
    crop_um: float | None = None
    model: Mapping[str, object] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)  # text of a link to its address
    made_at: datetime | None = None
    most: int = MOST
    budget_bytes: int = 12_000_000

    def __post_init__(self) -> None:
        for schema, table in (
            (DRY_MASS_SERIES, self.series), (WINDOW_ANOMALIES, self.windows), (CELL_ANOMALIES, self.cells),
        ):  # fmt: skip
            schema.check(table)
            if others := sorted(set(table["Metadata_Timelapse"].unique()) - {self.name}):
                raise ReportError(
                    f"the table {schema.name} holds the time-lapse {others[0]!r}, and the report is of {self.name!r}: "
                    "make the report of one time-lapse at a time"
                )
            others = set(table["model_version"].unique()) - {self.model_version} if "model_version" in table.columns else None
            if others:
                raise ReportError(
                    f"{schema.name} of {self.name!r} comes from the model {min(others)}, and the report is of "
                    f"{self.model_version}: score the time-lapse again"
                )
        units = self.series["unit"].unique().to_list()
        if len(units) > 1 or not set(units) <= set(UNITS):
            raise ReportError(f"the series of {self.name!r} are in {sorted(units)}: one unit is needed, of {', '.join(UNITS)}")
        if lost := set(self.cells["path_id"]) - set(self.series["path_id"].unique()):
            raise ReportError(f"path {min(lost)} of {self.name!r} has no series: give the series that were scored")
        if self.most < 1:
            raise ReportError(f"most={self.most}: one cell or more is shown")

    @property
    def unit(self) -> str:
        return self.series["unit"][0] if self.series.height else "relative"

    @cached_property
    def ranked(self) -> pl.DataFrame:
        """Every scored path, the most abnormal first (`figures.ranked_cells`)."""
        return ranked_cells(self.cells, self.windows)

    @property
    def shown(self) -> pl.DataFrame:
        """The paths that the page shows with their curves."""
        return self.ranked.head(self.most)

    @cached_property
    def overview(self) -> TimelapseOverview:
        """The whole time-lapse, with a row for each cell that is shown."""
        return timelapse_overview(self.series, self.windows, self.ranked, rows=self.most)

    @cached_property
    def verdicts(self) -> dict[int, dict]:
        """The verdict that counts on each path of this time-lapse."""
        if self.annotations is None:
            return {}
        own = ANNOTATIONS.check(self.annotations).filter(pl.col("Metadata_Timelapse") == self.name)
        return {row["path_id"]: row for row in latest_verdicts(own).iter_rows(named=True)}
