"""Series made for a test: lineages of cells that grow, divide, and are measured with noise, with what a test changes in them."""

import numpy as np
import polars as pl

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


def lineages(n: int, *, seed: int = 0, points: int = 300, noise: float = 10.0, doubling_h: float = 20.0, timelapse: str = "T1"):
    """Paths of n founders: growth by doubling, halving at division, both daughters followed; with their truth."""
    rng, paths, track = np.random.default_rng(seed), [], 0
    for _ in range(n):
        waiting, founder = [(None, 0, rng.uniform(220, 400))], track
        while waiting:
            mother, born, mass = waiting.pop()
            rate = np.log(2) / doubling_h * rng.normal(1, 0.06)
            size_at_division = 440 * rng.normal(1, 0.05)
            age = max(12, int(np.ceil(6 * np.log(max(size_at_division / mass, 1.05)) / rate)))
            here, track = track, track + 1
            end = min(born + age, points)
            clean = mass * np.exp(rate * np.arange(end - born) / 6)
            measured = clean + rng.normal(0, noise, end - born)
            area = clean**0.8 * rng.normal(1, 0.02, end - born)
            row = (mother, here, born, measured, area, rng.gamma(4, 2.0, end - born))
            history = [*(mother or []), row]
            if end == points:
                paths.append((founder, history))
                continue
            share = rng.normal(0.5, 0.02)
            for part in (share, 1 - share):
                waiting.append((history, end, clean[-1] * part))
    return table_of(*(_path(founder, history, timelapse) for founder, history in paths))


def _path(founder: int, history: list, timelapse: str) -> dict:
    mass = np.concatenate([row[3] for row in history])
    tracks = np.concatenate([np.full(len(row[3]), row[1]) for row in history])
    divides = np.append(np.diff(tracks) != 0, False)
    columns = {"area_um2": np.concatenate([row[4] for row in history]), "speed_um_h": np.concatenate([row[5] for row in history])}
    return path_rows(
        mass, path=history[-1][1], lineage=founder, tracks=tracks, timelapse=timelapse, divides=divides, **columns
    )  # fmt: skip
