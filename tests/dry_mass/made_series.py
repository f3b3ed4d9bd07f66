"""Series made for a test: paths of given masses, and small simulated cultures in which nothing goes wrong."""

import numpy as np
import polars as pl

from plate_assets.dry_mass.series import lineage_series
from plate_assets.dry_mass.simulate import CultureSettings, simulate_culture
from plate_assets.dry_mass.tables import DRY_MASS_SERIES


def path_rows(mass: np.ndarray, *, path: int, lineage: int | None = None, tracks: np.ndarray | None = None, **columns) -> dict:
    """The columns of one path: its mass at every 10 min, NaN in gaps; other columns as they are given."""
    n = len(mass)
    return {
        "Metadata_Timelapse": np.full(n, columns.pop("timelapse", "T1")), "Metadata_Well": np.full(n, "A01"),
        "lineage_id": np.full(n, path if lineage is None else lineage), "path_id": np.full(n, path),
        "track_id": np.full(n, path) if tracks is None else tracks, "point": np.arange(n), "time_h": np.arange(n) / 6,
        "dry_mass": mass, "unit": np.full(n, columns.pop("unit", "pg")), "area_um2": np.full(n, np.nan),
        "speed_um_h": np.full(n, np.nan), "gap": np.isnan(mass), "divides": np.zeros(n, dtype=bool),
        "long_enough": np.full(n, n >= 180), **columns,
    }  # fmt: skip


def table_of(*paths: dict) -> pl.DataFrame:
    """DRY_MASS_SERIES of such paths."""
    columns = {name: np.concatenate([path[name] for path in paths]) for name in paths[0]}
    return DRY_MASS_SERIES.conform(pl.DataFrame(columns).with_columns(pl.col(pl.Float64).fill_nan(None)))


def plain_table(*masses: np.ndarray, **columns) -> pl.DataFrame:
    """DRY_MASS_SERIES of paths that are lineages of their own."""
    return table_of(*(path_rows(np.asarray(mass, dtype=float), path=number, **columns) for number, mass in enumerate(masses)))


def culture(founders: int, hours: float = 50.0, *, seed: int = 0, timelapse: str = "T1", **changes) -> pl.DataFrame:
    """DRY_MASS_SERIES of a sound culture: growth, divisions and noise, and nothing else."""
    settings = {"biological": 0.0, "acquisition": 0.0, **changes}
    made = simulate_culture(CultureSettings(founders=founders, hours=hours, seed=seed, timelapse=timelapse, **settings))
    return lineage_series(made.tracks).table
