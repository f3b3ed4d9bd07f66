"""What the page's script draws of each cell, as JSON: its curve, its errors, its worst window, its strip.

Belongs here: numbers made small enough for a page. Not here: how they are drawn (`timelapse.js`), the list (`page`).
"""

import io
from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from plate_assets.dry_mass.figures.plotted_values import WindowForecast, abnormal_spans, gap_spans
from plate_assets.dry_mass.figures.strips import strip_image
from plate_assets.dry_mass.report.inputs import ReportInputs
from plate_assets.dry_mass.strips import CellStrip
from plate_assets.dry_mass.windows import INTERVAL_H
from plate_assets.pages.document import data_uri, json_block, rounded

POINTS = 2_000  # of a curve; a longer one is thinned
CROPS = 48  # of a strip on the page
SIDE_PX, COLUMNS, QUALITY = 72, 12, 75


def cell_blocks(inputs: ReportInputs) -> Iterator[tuple[int, object]]:
    """Each shown path with the JSON of its curve, one at a time."""
    shown = inputs.shown["path_id"].to_list()
    series = inputs.series.filter(pl.col("path_id").is_in(shown)).sort("point").partition_by("path_id", as_dict=True)
    windows = inputs.windows.filter(pl.col("path_id").is_in(shown)).partition_by("path_id", as_dict=True)
    none = inputs.windows.clear()
    for path in shown:
        yield path, json_block(cell_data(series[path,], windows.get((path,), none), inputs.forecasts.get(path)))


def cell_data(path: pl.DataFrame, windows: pl.DataFrame, forecast: WindowForecast | None) -> dict:
    """One path's rows of DRY_MASS_SERIES, its windows and the forecast of its worst one, rounded and bounded.

    `mass` and `error` have a value each `step_h` from `start_h` on; an error stands at the window's first point.
    """
    mass = path["dry_mass"].fill_null(np.nan).to_numpy()
    every = -(-len(mass) // POINTS)
    start = float(path["time_h"][0])
    error = np.full(len(mass), np.nan)
    at = np.rint((windows["window_start_h"].to_numpy() - start) / INTERVAL_H).astype(int)
    inside = (at >= 0) & (at < len(mass))
    error[at[inside]] = windows["mse"].fill_null(np.nan).to_numpy()[inside]
    return {
        "start_h": start,
        "step_h": INTERVAL_H * every,
        "mass": rounded(mass[::every]),
        "error": _without_tail(rounded(error[::every], 3)),
        "divisions": _divisions(path),
        "gaps": _rounded_spans(gap_spans(path)),
        "abnormal": _rounded_spans(abnormal_spans(windows)),
        "worst": _forecast(forecast, windows) if forecast is not None else None,
    }


def _divisions(path: pl.DataFrame) -> list[list[float | None]]:
    """Time and mass of the last point before each division."""
    rows = path.filter("divides").select("time_h", "dry_mass").iter_rows()
    return [[round(hour, 2), None if mass is None else float(f"{mass:.4g}")] for hour, mass in rows]


def _rounded_spans(spans: list[tuple[float, float]]) -> list[list[float]]:
    return [[round(begin, 2), round(end, 2)] for begin, end in spans]


def _without_tail(values: list[float | None]) -> list[float | None]:
    last = max((i for i, value in enumerate(values) if value is not None), default=-1)
    return values[: last + 1]


def _forecast(forecast: WindowForecast, windows: pl.DataFrame) -> dict:
    """The worst window: 180 measured masses, and the four lines of its last 10 h."""
    start = float(forecast.hours[0])
    row = windows.filter((pl.col("window_start_h") - start).abs() < INTERVAL_H / 2)
    names = ("mse", "mse_persistence", "mse_linear", "threshold")
    return {
        "start_h": round(start, 3),
        "mass": rounded(forecast.mass),
        **{name: rounded(getattr(forecast, name)) for name in ("target", "forecast", "persistence", "linear")},
        **{name: rounded(row[name].cast(pl.Float64).fill_null(np.nan).to_numpy()[:1]) for name in names if row.height},
    }


def strip_blocks(inputs: ReportInputs, paths: list[int]) -> Mapping[int, object]:
    """JSON of the strips of these paths, in their order until the budget is used up."""
    found, left = {}, inputs.budget_bytes
    some = inputs.windows.filter(pl.col("path_id").is_in(paths) & pl.col("abnormal"))
    abnormal = {key[0]: rows for key, rows in some.partition_by("path_id", as_dict=True).items()}
    for path in paths:
        if (strip := inputs.strips.get(path)) is None or not len(strip.crops):
            continue
        spans = abnormal_spans(abnormal[path]) if path in abnormal else []
        source, words = encoded_strip(strip, spans, inputs.crop_um)
        left -= len(source)
        if left < 0:
            break
        found[path] = json_block({"src": source, "words": words})
    return found


def encoded_strip(strip: CellStrip, abnormal: list[tuple[float, float]], crop_um: float | None) -> tuple[str, str]:
    """A strip as a data URI, and what it is in words: 48 crops at most, evenly over the time of the cell."""
    n = len(strip.crops)
    taken = np.unique(np.linspace(0, n - 1, min(CROPS, n)).round().astype(int))
    some = CellStrip(strip.crops[taken], strip.outlines[taken], strip.frames[taken], strip.hours[taken])
    picture = strip_image(some, crop_um, abnormal=abnormal, side_px=SIDE_PX, columns=COLUMNS)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    wide = f", each {crop_um:.0f} µm wide" if crop_um is not None else ""
    words = f"{len(taken)} of {n} crops" if len(taken) < n else f"{n} crops"
    return data_uri(out.getvalue(), "jpeg"), f"{words}{wide}; framed and marked ! within the abnormal hours"
