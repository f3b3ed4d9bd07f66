"""Figures of a forecaster: ROC beside the baselines, the errors of a time-lapse with the threshold, the curves of a training.

Belongs here: drawing what `evaluation`, `workflows.dry_mass.scoring` and a training found. Not here: cells and time-lapses.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from plate_assets.dry_mass.evaluation import Roc
from plate_assets.dry_mass.figures.plotted_values import BLUE, GREEN, ORANGE, PURPLE, VERMILION
from plate_assets.pages.canvas import INK, QUIET, new_figure, png

LOOKS = {"network": (BLUE, "-", 2.2), "persistence": (PURPLE, ":", 1.8), "linear": (ORANGE, "-.", 1.8)}
BINS = 60


def roc_figure(curves: Mapping[str, Roc], title: str, level: str = "windows") -> bytes:
    """ROC curves by name of the forecast (`network`, `persistence`, `linear`), each with its AUC, interval and operating point.

    level: what is counted, `windows` or `cells`.
    """
    figure = new_figure(6.6, 6.6)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], linestyle=(0, (1, 3)), color=QUIET, label="chance")
    for name, roc in curves.items():
        colour, style, width = LOOKS.get(name, (GREEN, "-", 1.5))
        point = roc.operating
        label = (
            f"{name}: AUC {roc.auc:.3f} [{roc.low:.3f}, {roc.high:.3f}]\n"
            f"   ✕ at {point.threshold:.3g}: recall {point.recall:.2f}, false alarms {point.false_positive_rate:.3f}"
        )
        axes.plot(roc.false_positive_rate, roc.true_positive_rate, style, color=colour, linewidth=width, label=label)
        cross = {"marker": "X", "color": colour, "markeredgecolor": INK, "markersize": 11, "clip_on": False, "zorder": 5}
        axes.plot(point.false_positive_rate, point.recall, **cross)
    axes.set_xlabel(f"share of the normal {level} that is called abnormal")
    axes.set_ylabel(f"share of the altered {level} that is called abnormal")
    axes.set_title(title, parse_math=False, loc="left", fontsize=11)
    axes.set_aspect("equal")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.legend(loc="lower right", fontsize=8)
    return png(figure)


def error_histogram(windows: pl.DataFrame, title: str) -> bytes:
    """The errors of all whole windows (WINDOW_ANOMALIES) with the threshold; the baselines' as lines."""
    whole = windows.drop_nulls("mse")
    figure = new_figure(7.4, 4.4)
    axes = figure.subplots()
    if whole.height:
        named = {"mse": "network", "mse_persistence": "persistence", "mse_linear": "linear"}
        values = {name: np.maximum(whole[column].to_numpy(), 1e-12) for column, name in named.items()}
        every = np.concatenate(list(values.values()))
        bins = np.geomspace(every.min(), max(every.max(), every.min() * 10), BINS + 1)
        above = whole["abnormal"].to_numpy()
        axes.hist(values["network"][~above], bins=bins, color=BLUE, alpha=0.75, label=f"network ({(~above).sum()})")  # pyright: ignore[reportArgumentType]
        axes.hist(values["network"][above], bins=bins, color=VERMILION, label=f"network, abnormal ({above.sum()})")  # pyright: ignore[reportArgumentType]
        for name in ("persistence", "linear"):
            colour, style, width = LOOKS[name]
            look = {"color": colour, "linestyle": style, "linewidth": width}
            axes.hist(values[name], bins=bins, histtype="step", label=f"{name}, mean {values[name].mean():.3g}", **look)  # pyright: ignore[reportArgumentType]
        for threshold in whole["threshold"].unique():
            axes.axvline(threshold, color=INK, linestyle="--", label=f"threshold τ = {threshold:.3g}")
        axes.set_xscale("log")
        axes.legend(fontsize=8)
    else:
        axes.text(0.5, 0.5, "no window of 30 h without a gap", transform=axes.transAxes, ha="center", color=QUIET)
    axes.set_xlabel("error of a window (MSE), training variances")
    axes.set_ylabel("windows")
    axes.set_title(title, parse_math=False, loc="left", fontsize=11)
    return png(figure)


def training_curves(curves: Mapping[str, Sequence[float]], title: str, best_epoch: int | None = None) -> bytes:
    """Losses by name over the epochs, from 1; best_epoch: the one whose weights were kept."""
    figure = new_figure(6.8, 4.2)
    axes = figure.subplots()
    styles = [(BLUE, "-"), (VERMILION, "--"), (GREEN, "-."), (PURPLE, ":")]
    for number, (name, values) in enumerate(curves.items()):
        colour, style = styles[number % len(styles)]
        mark = "." if len(values) < 60 else None
        axes.plot(np.arange(1, len(values) + 1), values, linestyle=style, color=colour, marker=mark, label=name)
    if best_epoch is not None:
        axes.axvline(best_epoch, color=INK, linestyle=":", label=f"kept: epoch {best_epoch}")
    axes.xaxis.get_major_locator().set_params(integer=True)  # pyright: ignore[reportCallIssue]
    if any(value > 0 for values in curves.values() for value in values):
        axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss: MSE, training variances")
    axes.set_title(title, parse_math=False, loc="left", fontsize=11)
    if curves:
        axes.legend(fontsize=8)
    return png(figure)
