"""The report of a scored time-lapse, as files: the page, the overview and the tables as CSV.

Belongs here: what is forecast for the page, and the files. Not here: what the page says (`dry_mass.report`), the scores
(`scoring`), crops of cells (`strips`). Heavy things are imported inside the functions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from upath import UPath

from plate_assets.dry_mass.ranking import ranked
from plate_assets.storage.models import ModelBundle
from plate_assets.workflows.dry_mass.scoring import ScoredSeries, as_written

if TYPE_CHECKING:
    from plate_assets.dry_mass.figures import WindowForecast
    from plate_assets.dry_mass.strips import CellStrip

MOST = 100  # cells that a page shows with their curves


@dataclass(frozen=True)
class TimelapseReportFiles:
    """What was written, and how large the page is."""

    report: UPath
    overview: UPath
    windows: UPath
    cells: UPath
    page_bytes: int


def most_abnormal(cells: pl.DataFrame, most: int = MOST) -> list[int]:
    """The paths of CELL_ANOMALIES that the page shows, in its order: those whose strips are worth cutting."""
    return ranked(cells).drop_nulls("score")["path_id"].head(most).to_list()


def write_timelapse_report(
    folder: str | Path | UPath,
    name: str,
    series: pl.DataFrame,
    windows: pl.DataFrame,
    cells: pl.DataFrame,
    bundle: ModelBundle,
    model_version: str,
    *,
    annotations: pl.DataFrame | None = None,
    strips: "Mapping[int, CellStrip] | None" = None,
    pixel_um: float | None = None,
    model: Mapping[str, object] | None = None,
    links: Mapping[str, str] | None = None,
    made_at: datetime | None = None,
    most: int = MOST,
) -> TimelapseReportFiles:
    """Write `report.html`, `windows.csv`, `cells.csv` and `overview.png`, each whole or not at all.

    name: the time-lapse, as in the column `Metadata_Timelapse`. series, windows, cells: DRY_MASS_SERIES and what
    `scoring.score_series` made of it with this bundle. strips: crops by path, asked for one at a time; those of
    `most_abnormal` are shown. pixel_um: of the time-lapse; where it is known a crop is 100 µm wide, and says so. model:
    further facts for the header.
    The page comes last, so that a folder with a new page has new tables beside it.
    Raises ReportError where tables and time-lapse, or tables and model version, do not fit.
    """
    from plate_assets.dry_mass.figures import timelapse_overview_figure
    from plate_assets.dry_mass.report import ReportInputs, render_report
    from plate_assets.dry_mass.strips import CROP_UM
    from plate_assets.storage.files import write_bytes

    shown = most_abnormal(cells, most)
    inputs = ReportInputs(
        name,
        series,
        windows,
        cells,
        model_version,
        annotations=annotations,
        forecasts=forecasts_of(shown, series, windows, bundle),
        strips=strips or {},
        crop_um=CROP_UM if pixel_um is not None else None,
        model={**_trained(bundle), **(model or {})},
        links=links or {},
        made_at=made_at or datetime.now(UTC),
        most=most,
    )
    folder = UPath(folder)
    page = render_report(inputs).encode()
    tables = as_written(ScoredSeries(windows, cells, windows["mse"].count()))
    contents = {f"{table}.csv": rows.write_csv().encode() for table, rows in tables.items()}
    contents["overview.png"] = timelapse_overview_figure(inputs.overview, f"{name}: {inputs.ranked.height} scored cells")
    contents["report.html"] = page
    for file, data in contents.items():
        write_bytes(folder / file, data)
    names = ("report.html", "overview.png", "windows.csv", "cells.csv")
    return TimelapseReportFiles(*(folder / file for file in names), page_bytes=len(page))


def forecasts_of(
    paths: list[int], series: pl.DataFrame, windows: pl.DataFrame, bundle: ModelBundle
) -> "dict[int, WindowForecast]":
    """What the forecaster and the baselines said of the worst window of each of these paths."""
    from plate_assets.dry_mass.figures import window_forecasts
    from plate_assets.dry_mass.forecaster import Forecaster
    from plate_assets.dry_mass.windows import PathSeries

    worst = windows.filter(pl.col("path_id").is_in(paths)).drop_nulls("mse")
    worst = worst.sort("mse", "window_start_h", descending=[True, False]).unique("path_id", keep="first", maintain_order=True)
    if worst.is_empty():
        return {}
    forecaster = Forecaster.from_parts(bundle.architecture, bundle.weights)
    # A forecaster that standardises each table by itself needs the whole one.
    needed = series if forecaster.normalisation.own else series.filter(pl.col("path_id").is_in(paths))
    found = window_forecasts(forecaster, PathSeries.of(needed, forecaster.features), worst)
    return {forecast.path: forecast for forecast in found}


def _trained(bundle: ModelBundle) -> dict[str, object]:
    """What the header says of the forecaster: the rule of its thresholds, what it sees."""
    known = bundle.architecture
    said = {"Threshold by": f"{known['thresholds']['rule']} on {known['thresholds']['on']}"}
    return {**said, "Features": ", ".join(known["features"]).replace("_", " "), "Padding": known["padding"]}
