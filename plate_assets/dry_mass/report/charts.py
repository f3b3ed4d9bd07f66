"""The static drawings of the page, as numbers in their own units: the overview of the time-lapse, the histogram of errors.

Belongs here: geometry. Not here: the SVG itself (`templates`), curves, which the page's script draws from its data.
"""

import io

import numpy as np
import polars as pl
from PIL import Image

from plate_assets.dry_mass.figures.overview import CLASSES, MEASURED, NONE, TimelapseOverview
from plate_assets.pages.document import count, data_uri, number, ticks

LEFT, RIGHT, TOP, BOTTOM, WIDTH = 52, 8, 6, 40, 1200
ROW_PX = (5.0, 16.0)  # least and largest height of a cell's row
BAND_PX = 3.0
LABEL_PX = 11  # between two numbers of paths
BINS = 48
# Of the overview's picture: no colour of its own where nothing is said, so that it stands on a dark page as well.
OPACITY = {NONE: 0.0, MEASURED: 0.5}


def overview_drawing(overview: TimelapseOverview, words: dict[int, str]) -> dict:
    """The overview as two pictures, cells and bands, with a row to click for each cell. words: what each path's row says."""
    single, bands = len(overview.paths), len(overview.bands)
    row_px = float(np.clip(320 / max(single, 1), *ROW_PX))
    inner = WIDTH - LEFT - RIGHT
    cells_px, bands_px = single * row_px, bands * BAND_PX
    gap = 8.0 if bands else 0.0
    bottom = TOP + cells_px + gap + bands_px
    hours = overview.end_h - overview.start_h
    step = max(1, int(np.ceil(LABEL_PX / row_px)))
    rows = [
        {
            "path": path, "y": round(TOP + at * row_px, 2), "height": round(row_px, 2), "words": words[path],
            "label": str(path) if at % step == 0 else "",
        }
        for at, path in enumerate(overview.paths)
    ]  # fmt: skip
    pictures = [
        {"src": _picture(part), "y": round(y, 2), "height": round(high, 2)}
        for part, y, high in (
            (overview.classes[:single], TOP, cells_px), (overview.classes[single:], TOP + cells_px + gap, bands_px),
        )
        if part.size
    ]  # fmt: skip
    x_ticks = [
        (round(LEFT + (t - overview.start_h) / hours * inner, 1), number(t)) for t in ticks(overview.start_h, overview.end_h, 9)
    ]
    present = {1, *np.unique(overview.classes).tolist()} - {NONE}
    return {
        "width": WIDTH, "height": round(bottom + BOTTOM, 1), "left": LEFT, "inner": inner, "bottom": round(bottom, 1),
        "rows": rows, "pictures": pictures, "x_ticks": x_ticks, "n_banded": overview.n_banded,
        "band": overview.bands[0][1] - overview.bands[0][0] + 1 if bands else 0,
        "bands_y": round(TOP + cells_px + gap + bands_px / 2, 1), "column_h": overview.column_h,
        "legend": [(*CLASSES[number], OPACITY.get(number, 1)) for number in sorted(present)],
    }  # fmt: skip


def _picture(classes: np.ndarray) -> str:
    """Classes as a palette PNG of one pixel a place; the browser enlarges it."""
    image = Image.fromarray(np.ascontiguousarray(classes))
    image.putpalette([int(colour[i : i + 2], 16) for _, colour in CLASSES for i in (1, 3, 5)])
    opacity = bytes(round(255 * OPACITY.get(number, 1)) for number in range(len(CLASSES)))
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True, transparency=opacity)
    return data_uri(out.getvalue(), "png")


def histogram(windows: pl.DataFrame) -> dict | None:
    """The errors of the whole windows on a logarithmic axis: bars of the network, lines of both baselines, the threshold."""
    whole = windows.drop_nulls("mse")
    if not whole.height:
        return None
    left, top, width, height = 64, 10, 620, 230
    values = {name: np.log10(np.maximum(whole[name].to_numpy(), 1e-9)) for name in ("mse", "mse_persistence", "mse_linear")}
    every = np.concatenate(list(values.values()))
    low, high = np.quantile(every, [0.001, 0.999])
    tau = np.log10(whole["threshold"].unique().to_numpy())
    low, high = min(low, tau.min()) - 0.1, max(high, tau.max()) + 0.1
    edges = np.linspace(low, high, BINS + 1)
    counts = {name: np.histogram(np.clip(found, low, high), edges)[0] for name, found in values.items()}
    most = max(int(found.max()) for found in counts.values())
    x = left + (edges - low) / (high - low) * width
    bars = [
        {
            "x": round(x[i], 1), "width": round(x[i + 1] - x[i] - 0.6, 1), "y": round(top + height * (1 - n / most), 1),
            "height": round(height * n / most, 1), "abnormal": bool(edges[i] >= tau.min()),
            "words": f"{10 ** edges[i]:.3g} to {10 ** edges[i + 1]:.3g}: {count(int(n))} windows",
        }
        for i, n in enumerate(counts["mse"]) if n
    ]  # fmt: skip
    lines = {name: _steps(x, top + height * (1 - counts[name] / most)) for name in ("mse_persistence", "mse_linear")}
    decades = range(int(np.ceil(low)), int(np.floor(high)) + 1)
    return {
        "bars": bars, "lines": lines, "left": left, "top": top, "width": width, "height": height,
        "tau": [(round(float(left + (t - low) / (high - low) * width), 1), number(float(10**t))) for t in tau],
        "x_ticks": [(round(float(left + (d - low) / (high - low) * width), 1), f"{10.0**d:g}") for d in decades],
        "y_ticks": [(round(top + height * (1 - t / most), 1), count(int(t))) for t in ticks(0, most, 4) if t == int(t)],
    }  # fmt: skip


def _steps(x: np.ndarray, y: np.ndarray) -> str:
    """The path of a histogram's outline."""
    points = np.stack([np.repeat(x, 2)[1:-1], np.repeat(y, 2)], axis=1).round(1)
    return "M" + "L".join(f"{a:g} {b:g}" for a, b in points.tolist())
