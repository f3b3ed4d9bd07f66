"""Measured lineages of mouse lymphoblasts, one left out after the other: forecasts, and alarms at ordinary divisions.

The data are those of Levien et al. 2025 (github.com/elevien/single-cell-size-data): single cells followed in a suspended
microchannel resonator, which weighs them in their medium. That is buoyant mass, in pg, and no dry mass: what a cell weighs more
than the medium in its place. It grows and halves as dry mass does, and no refraction increment has a part in it.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view

FOLDER = "l1210-buoyant-mass"
LONG_H = 30.0
FALL = 0.7  # the mass behind a division over that before it; half of it, and what the noise adds
APART = 60  # points: no cell divides twice within one to two hours


def measure(folder: Path | None = None, epochs: int = 80) -> dict[str, object]:
    """Each experiment of more than 30 h forecast by a network that learnt from the others.

    folder: `l1210-buoyant-mass`, with `mass_traces_long.csv`; that of PLATE_ASSETS_REAL_DATA where None.
    """
    from plate_assets.learning.arithmetic import prepare_arithmetic

    prepare_arithmetic()
    tables = measured_lineages(folder or Path(os.environ.get("PLATE_ASSETS_REAL_DATA", "")) / FOLDER)
    long = {name: table for name, table in tables.items() if table["long_enough"].all()}
    folds = {name: left_out(long, name, epochs) for name in long}
    windows = sum(fold["windows"] for fold in folds.values())
    mean = {
        name: sum(fold[name] * fold["windows"] for fold in folds.values()) / windows
        for name in ("MSE", "MSE persistence", "MSE linear", "abnormal windows")
    }
    divisions = sum(fold["divisions"] for fold in folds.values())
    alarms = sum(fold["divisions under alarm"] for fold in folds.values())
    points = sum(fold["points"] for fold in folds.values())
    return {
        "unit": "pg of buoyant mass", "experiments": len(tables), f"longer than {LONG_H:g} h": len(long), "folds": folds,
        "all": {
            "windows": windows, **mean, "divisions": divisions, "divisions under alarm": alarms,
            "share of divisions under alarm": alarms / divisions,
            "share of all points under alarm": sum(fold["points under alarm"] for fold in folds.values()) / points,
            "signs": sum(len(fold["signs"]) for fold in folds.values()),
        },
    }  # fmt: skip


def left_out(long: Mapping[str, pl.DataFrame], name: str, epochs: int) -> dict:
    """Figures of one experiment, forecast by what was learnt from the others; the shortest of those tells when to stop.

    A point is under alarm where it lies in the forecast hours of an abnormal window.
    """
    from plate_assets.dry_mass.model import ForecasterConfig
    from plate_assets.workflows.dry_mass.scoring import score_series, train_forecaster

    rest = {other: table for other, table in long.items() if other != name}
    shortest = min(rest, key=lambda other: rest[other].height)
    split = {
        (other, int(path)): "validation" if other == shortest else "train"
        for other, table in rest.items() for path in table["path_id"].unique()
    }  # fmt: skip
    config = ForecasterConfig(epochs=epochs, patience=30, threshold_on="validation")
    bundle = train_forecaster(list(rest.values()), config, split=split).bundle
    scored = score_series(long[name], bundle, "left-out")
    whole = scored.windows.drop_nulls("mse")
    series = long[name].sort("point")
    alarm = np.zeros(series.height, dtype=bool)
    first = series["time_h"][0]
    for start in whole.filter("abnormal")["window_start_h"]:
        at = round((start - first) * 6)
        alarm[at + 120 : at + 180] = True
    forecast = np.arange(series.height) >= 120  # the first 20 h are only seen
    divides = series["divides"].to_numpy() & forecast
    means = whole.select(pl.col("mse", "mse_persistence", "mse_linear").mean(), pl.col("abnormal").mean()).row(0)
    names = ("MSE", "MSE persistence", "MSE linear", "abnormal windows")
    return {
        "windows": whole.height, **dict(zip(names, means, strict=True)), "divisions": int(divides.sum()),
        "divisions under alarm": int((divides & alarm).sum()), "points": int(forecast.sum()),
        "points under alarm": int(alarm.sum()), "signs": [text for text in scored.cells["evidence"] if text],
    }  # fmt: skip


def measured_lineages(folder: Path) -> dict[str, pl.DataFrame]:
    """DRY_MASS_SERIES of each experiment of `mass_traces_long.csv`; a cell ends where the mass halves between two points."""
    from plate_assets.dry_mass.series import lineage_series
    from plate_assets.dry_mass.tables import CELL_TRACKS

    found = {}
    for (name,), rows in pl.read_csv(folder / "mass_traces_long.csv").group_by("experiment", maintain_order=True):
        mass = rows["buoyant_mass_pg"].to_numpy()
        track = np.searchsorted(_divisions(mass), np.arange(len(mass)), side="right")
        tracks = pl.DataFrame({"track_id": track, "frame": np.arange(len(mass)), "dry_mass": mass, "time_h": rows["time_h"]})
        found[str(name)] = lineage_series(CELL_TRACKS.conform(tracks.with_columns(
            Metadata_Timelapse=pl.lit(name), lineage_id=0, unit=pl.lit("pg"), at_edge=False, saturated=False,
            reasons=pl.lit(""), parent_id=pl.when(pl.col("track_id") > 0).then(pl.col("track_id") - 1),
        ))).table  # fmt: skip
    return found


def _divisions(mass: np.ndarray, points: int = 8) -> np.ndarray:
    """Places where the median of the points behind falls to `FALL` of that before: the deepest of each fall."""
    median = np.median(sliding_window_view(mass, points), axis=1)
    fall = np.zeros(len(mass))
    fall[points : len(mass) - points + 1] = np.log(median[points:] / median[:-points])
    low = np.flatnonzero(fall < np.log(FALL))
    if not len(low):
        return low
    return np.array([group[np.argmin(fall[group])] for group in np.split(low, np.flatnonzero(np.diff(low) > APART) + 1)])
