"""What figures and the page both show of a time-lapse, as numbers: its cells in order, what a window forecast, spans of time.

Belongs here: numbers that are drawn in more than one place, colours, words for units. Not here: any drawing, any score, which
cell comes first (`dry_mass.ranking`).
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
import torch

from plate_assets.dry_mass.forecaster import Forecaster, baselines, smoothed_target
from plate_assets.dry_mass.ranking import ranked
from plate_assets.dry_mass.windows import INPUT_POINTS, INTERVAL_H, WINDOW_POINTS, PathSeries

# Okabe and Ito's colours, which people of any colour vision tell apart; no meaning is carried by colour alone.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"
INPUT_H, WINDOW_H = INPUT_POINTS * INTERVAL_H, WINDOW_POINTS * INTERVAL_H  # 20 h that are seen, 30 h in all
UNIT_WORDS = {"pg": "pg", "relative": "relative units"}


@dataclass(frozen=True)
class WindowForecast:
    """One window of a cell as it was measured and as it was forecast, in the series' unit.

    hours, mass: (180,) the whole window. target: (60,) what was to be forecast, its last 10 h smoothed over 1 h. forecast,
    persistence, linear: (60,) of the network and of the two baselines.
    """

    path: int
    unit: str
    hours: np.ndarray
    mass: np.ndarray
    target: np.ndarray
    forecast: np.ndarray
    persistence: np.ndarray
    linear: np.ndarray


def mass_label(unit: str) -> str:
    """How an axis of masses is called: never pg where the phase was not calibrated."""
    return f"dry mass, {UNIT_WORDS[unit]}"


def ranked_cells(cells: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """The scored paths of CELL_ANOMALIES in their one order (`ranking.ranked`), with their errors.

    Beside the table's columns: `worst_h` and `worst_mse` of the window with the largest error, and the path's mean errors
    `mean_mse`, `mean_persistence`, `mean_linear`.
    """
    whole = windows.drop_nulls("mse")
    of_path = whole.group_by("path_id").agg(
        worst_h=pl.col("window_start_h").sort_by("mse", "window_start_h", descending=[True, False]).first(),
        worst_mse=pl.col("mse").max(),
        mean_mse=pl.col("mse").mean(),
        mean_persistence=pl.col("mse_persistence").mean(),
        mean_linear=pl.col("mse_linear").mean(),
    )
    return ranked(cells).drop_nulls("score").join(of_path, on="path_id", how="left", maintain_order="left")


def window_forecasts(forecaster: Forecaster, series: PathSeries, windows: pl.DataFrame) -> list[WindowForecast]:
    """What the network and the baselines said of windows (`path_id`, `window_start_h`) of one time-lapse, in the table's order.

    Raises ValueError for a window that does not lie in the series, or touches a gap: nothing was forecast of it.
    """
    start, path = _places(series, windows)
    order = np.argsort(start, kind="stable")
    found = np.empty((len(start), WINDOW_POINTS - INPUT_POINTS))
    if len(start):
        found[order] = forecaster.forecast(series, start[order])
    points = start[:, None] + np.arange(WINDOW_POINTS)
    masses, hours = series.values[points, 0], series.hours[points]
    window, smoothing = torch.from_numpy(masses.astype(np.float32)), forecaster.architecture["smoothing"]
    target = smoothed_target(window, smoothing).double().numpy()
    level, line = (guess.double().numpy() for guess in baselines(window, smoothing))
    names = series.about["path_id"].gather(path).to_list()
    return [
        WindowForecast(
            names[i], series.unit, hours[i], masses[i], target[i], found[i], np.broadcast_to(level[i], target[i].shape), line[i]
        )
        for i in range(len(start))
    ]


def _places(series: PathSeries, windows: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """(n,) first point and path of each window."""
    wanted, hours = windows["path_id"].to_numpy(), windows["window_start_h"].to_numpy()
    known = series.about["path_id"].to_numpy()
    if not len(known) and len(wanted):
        raise ValueError(f"path {wanted[0]} is not in the series: give the series that the windows were cut from")
    order = np.argsort(known, kind="stable")
    path = order[np.minimum(np.searchsorted(known, wanted, sorter=order), len(known) - 1)] if len(known) else np.zeros(0, int)
    begin, end = series.offsets[path], series.offsets[path + 1]
    first = series.hours[np.minimum(begin, len(series.hours) - 1)] if len(path) else hours
    start = begin + np.rint((hours - first) / INTERVAL_H).astype(np.int64)
    inside = (known[path] == wanted) & (start >= begin) & (start + WINDOW_POINTS <= end)
    gaps = np.concatenate([[0], np.cumsum(~series.known)])
    at = np.where(inside, start, 0)
    inside &= gaps[np.minimum(at + WINDOW_POINTS, len(gaps) - 1)] == gaps[at]
    if not inside.all():
        wrong = int(np.flatnonzero(~inside)[0])
        raise ValueError(
            f"path {wanted[wrong]} has no whole window at {hours[wrong]:.2f} h: give the series that the windows were cut from"
        )
    return start, path


def merged_spans(begin: np.ndarray, end: np.ndarray) -> list[tuple[float, float]]:
    """The union of intervals (n,) as intervals that do not touch, in ascending order."""
    if not len(begin):
        return []
    order = np.argsort(begin, kind="stable")
    begin, end = begin[order], np.maximum.accumulate(end[order])
    new = np.flatnonzero(np.append(True, begin[1:] > end[:-1] + INTERVAL_H / 2))
    return list(zip(begin[new].tolist(), end[np.append(new[1:] - 1, len(end) - 1)].tolist(), strict=True))


def abnormal_spans(windows: pl.DataFrame) -> list[tuple[float, float]]:
    """Where a path's abnormal windows say that something is wrong: the 10 h each of them forecast, as intervals of hours.

    The 20 h before were only seen; to shade them as well would hide when it began.
    """
    begin = windows.filter(pl.col("abnormal").fill_null(False))["window_start_h"].to_numpy()
    return merged_spans(begin + INPUT_H, begin + WINDOW_H - INTERVAL_H)


def gap_spans(path: pl.DataFrame) -> list[tuple[float, float]]:
    """Where a path (its rows of DRY_MASS_SERIES) was not measured, each gap up to the points beside it."""
    hours = path.filter(pl.col("gap") | pl.col("dry_mass").is_null())["time_h"].to_numpy()
    spans = merged_spans(hours - INTERVAL_H, hours + INTERVAL_H)
    first, last = path["time_h"].min(), path["time_h"].max()
    return [(max(a, first), min(b, last)) for a, b in spans]  # pyright: ignore[reportArgumentType]
