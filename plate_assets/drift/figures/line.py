"""The figure of a line: the online statistic against its threshold, with alarm episodes.

Belongs here: drawing. Not here: the steps (`online`, `lines`).
"""

import numpy as np
import polars as pl

from plate_assets.drift.figures.acquisitions import LIMIT, NEW, REFERENCE
from plate_assets.pages.canvas import QUIET, new_figure, png

_NAMED = 24  # acquisitions whose ids are written


def line_plot(steps: pl.DataFrame, title: str, last: int = 400) -> bytes:
    """The last updates of a line, rows of DRIFT_STEPS of one line: the statistic, its threshold, episodes shaded.

    Where the monitor started again after an alarm, the line is broken.
    """
    steps = steps.tail(last)
    update = steps["update"].to_numpy()
    statistic, threshold = (
        np.where(steps["step"].to_numpy() == 1, np.nan, steps[name].to_numpy()) for name in ("statistic", "threshold")
    )
    figure = new_figure(10, 3.6)
    axes = figure.subplots()
    shade = {"color": NEW, "alpha": 0.15, "linewidth": 0}
    inside = steps.drop_nulls("episode").group_by("episode", maintain_order=True)
    for number, (first, end) in enumerate(
        inside.agg(a=pl.col("update").min(), b=pl.col("update").max()).select("a", "b").iter_rows()
    ):
        axes.axvspan(first - 0.5, end + 0.5, label="alarm episode" if number == 0 else None, **shade)
    axes.plot(update, statistic, color=REFERENCE, linewidth=1.2, label="MMD² of the last wells")
    axes.plot(update, threshold, color=LIMIT, linestyle="--", linewidth=1, label="threshold")
    drift = steps["drift"].to_numpy()
    axes.scatter(update[drift], steps["statistic"].to_numpy()[drift], marker="D", s=26, color=NEW, zorder=3, label="above it")
    first = steps.group_by("acquisition", maintain_order=True).agg(pl.col("update").first())
    for at in first["update"]:
        axes.axvline(at - 0.5, color=QUIET, linewidth=0.4, alpha=0.5)
    every = max(1, -(-first.height // _NAMED))
    named = first.gather_every(every)
    axes.set_xticks(named["update"].to_numpy() - 0.5, named["acquisition"].to_list(), rotation=60, ha="right", fontsize=7)
    axes.set_ylabel("MMD²")
    axes.set_title(title, loc="left", fontsize=11)
    axes.margins(x=0.01)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper right", fontsize=8, ncols=4, frameon=False)
    return png(figure)
