"""Scored time-lapses made for a test: paths that divide, some of them abnormal or with a gap, some too short; crops; a
forecaster."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import torch

from plate_assets.dry_mass.anomalies import cell_anomalies, window_anomalies
from plate_assets.dry_mass.figures.plotted_values import WindowForecast, ranked_cells
from plate_assets.dry_mass.forecaster import Forecaster, ForecastNetwork, WindowErrors, forecaster_parts
from plate_assets.dry_mass.report import ReportInputs
from plate_assets.dry_mass.signs import StepStatistics
from plate_assets.dry_mass.strips import CellStrip
from plate_assets.dry_mass.tables import ANNOTATIONS
from plate_assets.dry_mass.windows import Normalisation, PathSeries, windows_of
from tests.dry_mass.made_series import path_rows, table_of

STEPS = StepStatistics(jump_median=0.035, jump_spread=0.03, step_median=0.04)
THRESHOLDS = {"window": 1.0, "cell": 0.1}
CYCLE = 120  # points: a division every 20 h


def dividing(points: int, seed: int = 0) -> np.ndarray:
    """A cell that doubles in 20 h and divides, with noise."""
    noise = np.random.default_rng(seed).normal(0, 8, points)
    return 300 * 2 ** ((np.arange(points) % CYCLE) / CYCLE) + noise


def timelapse_series(
    paths: int = 8, points: int = 240, *, short: int = 0, gap_in: Sequence[int] = (), name: str = "F1", unit: str = "pg"
) -> pl.DataFrame:
    """DRY_MASS_SERIES: `paths` paths that are long enough, then `short` ones of 20 h; some with an hour's gap in the middle."""
    made = []
    for path in range(paths + short):
        n = points if path < paths else CYCLE
        mass = dividing(n, path)
        if path in gap_in:
            mass[n // 2 : n // 2 + 6] = np.nan
        divides = (np.arange(n) + 1) % CYCLE == 0
        divides[-1] = False
        made.append(path_rows(mass, path=path, timelapse=name, unit=unit, divides=divides))
    return table_of(*made)


def scored_timelapse(series: pl.DataFrame, abnormal: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """WINDOW_ANOMALIES and CELL_ANOMALIES by the model `v1`: of the first `abnormal` paths the windows of the second half are
    abnormal, path 0 most."""
    paths = PathSeries.of(series)
    windows = windows_of(paths)
    path, start = windows.path[windows.whole], windows.start[windows.whole]
    late = start - paths.offsets[path] >= np.maximum(np.diff(paths.offsets)[path] - 180, 1) / 2
    mse = np.where((path < abnormal) & late, 2.0 + 8.0 / (1 + path), 0.2) + 1e-3 * ((start - paths.offsets[path]) % 7)
    table = window_anomalies(paths, windows, WindowErrors(mse, 1.5 * mse + 0.1, 2.5 * mse), THRESHOLDS["window"], "v1")
    return table, cell_anomalies(paths, table, THRESHOLDS["cell"], STEPS, "v1")


def forecast_of(series: pl.DataFrame, path: int, start_h: float = 0.0, unit: str = "pg") -> WindowForecast:
    """A window of a path with four lines that differ."""
    rows = series.filter((pl.col("path_id") == path) & (pl.col("time_h") > start_h - 1e-6)).head(180)
    mass = rows["dry_mass"].fill_null(300.0).to_numpy()
    lines = (np.full(60, level) for level in (350.0, 400.0, 450.0, 500.0))
    return WindowForecast(path, unit, rows["time_h"].to_numpy(), mass, *lines)


def strip_of(crops: int = 6, side: int = 40, seed: int = 0) -> CellStrip:
    """A bright disc with its outline, every 20 min; the first crop reaches beyond the field."""
    away = np.hypot(*(np.indices((side, side)) - side / 2))
    noise = np.random.default_rng(seed).normal(0, 0.1, (crops, side, side))
    pictures = (np.exp(-((away / 8) ** 2)) + noise).astype(np.float32)
    pictures[0, :, : side // 4] = np.nan
    outlines = np.repeat((np.abs(away - 10) < 0.8)[None], crops, axis=0)
    return CellStrip(pictures, outlines, np.arange(crops), np.arange(crops) / 3)


def made_inputs(paths: int = 8, abnormal: int = 2, short: int = 0, **changes: Any) -> ReportInputs:
    """A report's inputs; changes go to `timelapse_series` (points, gap_in, name, unit) or to `ReportInputs`."""
    name, unit = changes.pop("name", "F1"), changes.get("unit", "pg")
    recorded = {key: changes.pop(key) for key in ("points", "gap_in", "unit") if key in changes}
    series = timelapse_series(paths, short=short, name=name, **recorded)
    windows, cells = scored_timelapse(series, abnormal)
    worst = ranked_cells(cells, windows).select("path_id", "worst_h").iter_rows()
    forecasts = {path: forecast_of(series, path, hour, unit) for path, hour in worst}
    return ReportInputs(name, series, windows, cells, "v1", **{"forecasts": forecasts, **changes})


def verdicts(*rows: tuple[int, str, str | None, str], name: str = "F1") -> pl.DataFrame:
    """ANNOTATIONS of (path, verdict, biology, author), one an hour from 2026-03-01 on."""
    paths, said, biology, authors = zip(*rows, strict=True)
    hours = pl.datetime_range(pl.datetime(2026, 3, 1), pl.datetime(2026, 3, 2), "1h", time_zone="UTC", eager=True)
    columns = {"path_id": paths, "verdict": said, "biology": pl.Series(biology, dtype=pl.String), "author": authors}
    return ANNOTATIONS.conform(
        pl.DataFrame(columns).with_columns(Metadata_Timelapse=pl.lit(name), decided_at=hours.head(len(rows)))
    )


def untrained(series: pl.DataFrame, unit: str = "pg", **facts: Any) -> Forecaster:
    """A forecaster with chance weights that fits these series."""
    torch.manual_seed(0)
    paths = PathSeries.of(series)
    scaling = Normalisation.fit(paths, np.ones(len(paths), dtype=bool))
    thresholds = {"rule": "mean_2std", "on": "train", "network": THRESHOLDS}
    made = {
        "features": ["dry_mass"], "smoothing": "centred_7", "unit": unit, "thresholds": thresholds,
        "normalisation": {"mean": scaling.mean, "std": scaling.std, "own": scaling.own}, **facts,
    }  # fmt: skip
    return Forecaster.from_parts(*forecaster_parts(ForecastNetwork().eval(), **made))
