"""Figures of one cell: its dry-mass curve, the errors of its windows, a forecast against what came.

Belongs here: drawing one path. Not here: whole time-lapses (`timelapses`), crops (`strips`).
"""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from plate_assets.dry_mass.figures.plotted_values import (
    BLUE,
    GREEN,
    INPUT_H,
    ORANGE,
    PURPLE,
    VERMILION,
    WindowForecast,
    abnormal_spans,
    gap_spans,
    mass_label,
)
from plate_assets.pages.canvas import INK, QUIET, new_figure, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def mass_curve(path: pl.DataFrame, windows: pl.DataFrame, title: str) -> bytes:
    """The dry mass of one path over time: divisions starred, gaps hatched, the hours of abnormal forecasts shaded.

    path: its rows of DRY_MASS_SERIES; windows: its rows of WINDOW_ANOMALIES, none where it is too short.
    """
    path = path.sort("point")
    figure = new_figure(9, 3.6)
    axes = figure.subplots()
    _shade(axes, path, windows)
    hours, mass = path["time_h"].to_numpy(), path["dry_mass"].fill_null(np.nan).to_numpy()
    axes.plot(hours, mass, color=BLUE, linewidth=1.3, label="measured")
    divides = path["divides"].to_numpy() & np.isfinite(mass)
    if divides.any():
        label = f"division ({divides.sum()})"
        axes.plot(hours[divides], mass[divides], "*", color=GREEN, markeredgecolor=INK, markersize=12, label=label)
    axes.set_xlabel("hours since the time-lapse began")
    axes.set_ylabel(mass_label(path["unit"][0]) if path.height else "dry mass")
    _finish(axes, title)
    return png(figure)


def window_errors_figure(path: pl.DataFrame, windows: pl.DataFrame, title: str) -> bytes:
    """The error of each window of one path, at the time when its forecast begins, with the threshold and both baselines."""
    windows = windows.sort("window_start_h")
    figure = new_figure(9, 3.4)
    axes = figure.subplots()
    _shade(axes, path, windows)
    at = windows["window_start_h"].to_numpy() + INPUT_H
    for name, label, colour in (
        ("mse_linear", "linear growth", ORANGE),
        ("mse_persistence", "persistence", PURPLE),
        ("mse", "network", BLUE),
    ):
        width = 1.6 if name == "mse" else 0.9
        axes.plot(at, windows[name].fill_null(np.nan).to_numpy(), color=colour, linewidth=width, label=label)
    for threshold in windows["threshold"].unique():
        axes.axhline(threshold, color=VERMILION, linestyle="--", label=f"threshold τ = {threshold:.3g}")
    if windows["mse"].drop_nulls().len():
        axes.set_yscale("log")
    else:
        axes.text(0.5, 0.5, "no window of 30 h without a gap", transform=axes.transAxes, ha="center", color=QUIET)
    axes.set_xlabel("hours since the time-lapse began, where the forecast begins")
    axes.set_ylabel("error (MSE), training variances")
    if path.height:
        axes.set_xlim(float(path["time_h"].min()), float(path["time_h"].max()))  # pyright: ignore[reportArgumentType]
    _finish(axes, title)
    return png(figure)


def forecast_figure(window: WindowForecast, title: str) -> bytes:
    """20 h that were seen, the 10 h that followed, and what the network and the two baselines said of them."""
    figure = new_figure(8, 4)
    axes = figure.subplots()
    ahead = window.hours[-len(window.target) :]
    axes.axvspan(ahead[0], ahead[-1], color=QUIET, alpha=0.1, linewidth=0)
    axes.plot(window.hours, window.mass, color=INK, linewidth=0.7, alpha=0.6, label="measured")
    axes.plot(ahead, window.target, color=INK, linewidth=2, label="measured, 1-h mean: the target")
    axes.plot(ahead, window.persistence, ":", color=PURPLE, linewidth=1.8, label="persistence")
    axes.plot(ahead, window.linear, "-.", color=ORANGE, linewidth=1.8, label="linear growth")
    axes.plot(ahead, window.forecast, "--", color=BLUE, linewidth=2.2, label="forecast of the network")
    axes.axvline(ahead[0], color=QUIET, linewidth=0.8)
    axes.set_xlabel("hours since the time-lapse began; 20 h are seen, the grey 10 h are forecast")
    axes.set_ylabel(mass_label(window.unit))
    _finish(axes, title)
    return png(figure)


def _shade(axes: "Axes", path: pl.DataFrame, windows: pl.DataFrame) -> None:
    for number, (begin, end) in enumerate(abnormal_spans(windows)):
        label = "abnormal: forecast and measured differ" if number == 0 else None
        axes.axvspan(begin, end, color=VERMILION, alpha=0.16, linewidth=0, label=label)
    for number, (begin, end) in enumerate(gap_spans(path)):
        gap = {"facecolor": "none", "edgecolor": QUIET, "hatch": "////", "linewidth": 0}
        axes.axvspan(begin, end, label="gap: not measured" if number == 0 else None, **gap)  # pyright: ignore[reportArgumentType]


def _finish(axes: "Axes", title: str) -> None:
    """Title and legend, outside of the curves; a name is never read as mathematics."""
    axes.set_title(title, parse_math=False, loc="left", fontsize=11)
    axes.margins(x=0.01)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        figure = axes.get_figure()
        assert figure is not None
        figure.legend(loc="outside lower center", ncols=4, fontsize=8, frameon=False)  # pyright: ignore[reportAttributeAccessIssue]
