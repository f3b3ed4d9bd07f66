"""Figures of a whole time-lapse: all its cells over time, abnormal windows marked.

Belongs here: drawing an overview. Not here: what each of its places is (`overview`), one cell (`cells`).
"""

import numpy as np

from plate_assets.dry_mass.figures.overview import CLASSES, TimelapseOverview
from plate_assets.pages.canvas import INK, QUIET, new_figure, png

NAMED_ROWS = 45  # rows that carry their path's number; with more, every so many do


def timelapse_overview_figure(overview: TimelapseOverview, title: str) -> bytes:
    """Cells from above to below, the most abnormal first, and time from left to right; bands of many cells say so."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    n_rows = overview.classes.shape[0]
    figure = new_figure(9.5, float(np.clip(0.11 * n_rows, 0.8, 7.0)) + 1.6)
    axes = figure.subplots()
    axes.imshow(
        overview.classes, cmap=ListedColormap([colour for _, colour in CLASSES]), vmin=-0.5, vmax=len(CLASSES) - 0.5,
        aspect="auto", interpolation="nearest", extent=(overview.start_h, overview.end_h, max(n_rows, 1), 0),
    )  # fmt: skip
    single = len(overview.paths)
    step = max(1, -(-single // NAMED_ROWS))
    at = list(range(0, single, step))
    axes.set_yticks([row + 0.5 for row in at], [str(overview.paths[row]) for row in at], fontsize=6.5)
    axes.tick_params(axis="y", length=0)
    if overview.bands:
        axes.axhline(single, color=INK, linewidth=1)
        size = overview.bands[0][1] - overview.bands[0][0] + 1
        words = f"{overview.n_banded} further cells, by rank:\nthe median of {size} in each row"
        axes.text(overview.end_h, single + len(overview.bands) / 2, f" {words}", fontsize=7.5, va="center", color=INK)
    if not n_rows:
        axes.text(0.5, 0.5, "no cell was long enough to be scored", transform=axes.transAxes, ha="center", color=QUIET)
    axes.set_xlabel("hours since the time-lapse began; a window stands where its forecast begins, 20 h after its start")
    axes.set_ylabel("cell (path), the most abnormal first")
    axes.set_title(title, parse_math=False, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    present = [0, 1, *(number for number in np.unique(overview.classes).tolist() if number > 1)]
    patches = [Patch(facecolor=CLASSES[n][1], edgecolor=QUIET, linewidth=0.4, label=CLASSES[n][0]) for n in present]
    figure.legend(handles=patches, loc="outside lower center", ncols=5, fontsize=7.5, frameon=False)
    return png(figure)
