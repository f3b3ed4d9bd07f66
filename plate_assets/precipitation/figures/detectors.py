"""Figures of detectors and their calls: ROC overlay, histogram with threshold, confusion matrix, growth, training curves."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from plate_assets.learning.metrics import Confusion, auc, roc_curve
from plate_assets.pages.canvas import INK, QUIET, new_figure, png

if TYPE_CHECKING:
    from plate_assets.precipitation.growth import GrowthContour

CALLED, CLEAR = "#cc5500", "#3367a8"


def roc_overlay(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
    title: str,
    intervals: Mapping[str, tuple[float, float]] | None = None,
) -> bytes:
    """ROC curves of several detectors over one another. curves: labels (n,) and scores (n,) by name; intervals of their AUC."""
    figure = new_figure(6.6, 6)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], ":", color=QUIET, label="chance")
    for name, (labels, scores) in curves.items():
        low, high = (intervals or {}).get(name, (np.nan, np.nan))
        between = f" [{low:.3f}, {high:.3f}]" if np.isfinite(low) else ""
        axes.plot(*roc_curve(labels, scores), label=f"{name}: AUC {auc(labels, scores):.3f}{between}", linewidth=1.8)
    axes.set_xlabel("share of the normal that is called")
    axes.set_ylabel("share of the precipitated that is called")
    axes.set_title(title)
    axes.set_aspect("equal")
    axes.legend(loc="lower right", fontsize=8)
    return png(figure)


def anomaly_histogram(calls: pl.DataFrame, title: str) -> bytes:
    """The anomaly scores of a plate's conditions with the threshold, called and not called apart (QUADRUPLET_CALLS)."""
    known = calls.drop_nulls("anomaly_score")
    figure = new_figure(6.4, 4)
    axes = figure.subplots()
    bins = np.linspace(0, 1, 41)
    groups = [("called", CALLED, pl.col("call")), ("not called", CLEAR, pl.col("call").fill_null(False).not_())]
    for name, colour, which in groups:
        values = known.filter(which.fill_null(False))["anomaly_score"].to_numpy()
        axes.hist(values, bins=bins, color=colour, alpha=0.75, label=f"{name} ({values.size})")  # pyright: ignore[reportArgumentType]
    for threshold in known["threshold"].drop_nulls().unique():
        axes.axvline(threshold, color=INK, linestyle="--", label=f"threshold {threshold:.3f}")
    axes.set_xlim(0, 1)
    axes.set_xlabel("anomaly score A (isolation above the reference plates)")
    axes.set_ylabel("conditions")
    axes.set_title(title)
    axes.legend()
    return png(figure)


def confusion_figure(found: Confusion, title: str) -> bytes:
    """Counts of calls against the expert's labels, with the share of each true class."""
    counts = np.array([[found.tn, found.fp], [found.fn, found.tp]])
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    figure = new_figure(5.4, 4.4)
    axes = figure.subplots()
    shown = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, col), count in np.ndenumerate(counts):
        ink = "white" if shares[row, col] > 0.55 else INK
        axes.text(col, row, f"{count}\n{100 * shares[row, col]:.1f} %", ha="center", va="center", color=ink, fontsize=13)
    axes.set_xticks([0, 1], ["not called", "called"])
    axes.set_yticks([0, 1], ["normal", "precipitated"])
    axes.set_xlabel("detector")
    axes.set_ylabel("expert")
    axes.set_title(title)
    figure.colorbar(shown, ax=axes, label="share of the expert's class")
    return png(figure)


def growth_contour(
    growth: np.ndarray,
    scores: np.ndarray,
    contour: "GrowthContour",
    title: str,
    growth_label: str = "confluence, share of the culture area",
    score_label: str = "precipitation score",
    names: Sequence[str] = (),
) -> bytes:
    """Growth against precipitation: contours of the density of wells, every well a dot, outliers ringed and named.

    growth, scores, names: (n,) of the wells that `precipitation.growth.growth_outliers` made the contour of.
    """
    odd = contour.outlier
    plain = np.isfinite(growth) & np.isfinite(scores) & ~odd
    figure = new_figure(7.4, 5.6)
    axes = figure.subplots()
    axes.contourf(contour.growth, contour.score, contour.density, levels=12, cmap="Blues", alpha=0.8)
    levels = sorted({*contour.levels})
    lines = axes.contour(contour.growth, contour.score, contour.density, levels=levels, colors=QUIET, linewidths=0.8)
    shares = dict(zip(contour.levels, ("50 %", "80 %", "95 %"), strict=True))
    axes.clabel(lines, fmt=shares, fontsize=7)
    dot = {"color": CLEAR, "edgecolors": "white", "linewidths": 0.4}
    axes.scatter(growth[plain], scores[plain], s=12, label=f"wells ({plain.sum()})", **dot)
    ring = {"facecolors": "none", "edgecolors": "#ff0000", "linewidths": 1.4}
    axes.scatter(growth[odd], scores[odd], s=36, label=f"outliers ({odd.sum()})", **ring)
    for at in np.flatnonzero(odd) if len(names) else ():
        axes.annotate(names[at], (growth[at], scores[at]), fontsize=7, xytext=(4, 3), textcoords="offset points")  # pyright: ignore[reportArgumentType]
    axes.set_xlabel(growth_label)
    axes.set_ylabel(score_label)
    axes.set_title(f"{title}\nlines hold 50, 80 and 95 % of the wells", fontsize=11)
    axes.legend(loc="best", fontsize=8)
    return png(figure)


def training_curves(curves: Mapping[str, Sequence[float]], title: str, step: str = "iteration or epoch") -> bytes:
    """Curves of a training by name, from step 1; a long one is drawn faint under its running mean."""
    figure = new_figure(6.8, 4.2)
    axes = figure.subplots()
    for number, (name, values) in enumerate(curves.items()):
        y = np.asarray(values, dtype=float)
        x = np.arange(1, y.size + 1)
        window = max(1, y.size // 50)
        if window > 1:
            axes.plot(x, y, color=f"C{number}", alpha=0.25, linewidth=0.8)
            smooth = np.convolve(y, np.ones(window) / window, mode="valid")
            axes.plot(x[window - 1 :], smooth, color=f"C{number}", label=f"{name} (mean of {window})")
        else:
            axes.plot(x, y, color=f"C{number}", label=name, marker="." if y.size < 60 else None)
    axes.xaxis.get_major_locator().set_params(integer=True)  # pyright: ignore[reportCallIssue]
    axes.set_xlabel(step)
    axes.set_ylabel("value")
    axes.set_title(title)
    if curves:
        axes.legend(fontsize=8)
    return png(figure)
