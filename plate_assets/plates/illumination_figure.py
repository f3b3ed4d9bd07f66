"""The figure of a plate's illumination: the light that a channel's images share, before and after each profile.

Belongs here: drawing. Not here: measuring (`illumination`, `workflows.intake.illumination`).
"""

import numpy as np
import polars as pl

from plate_assets.pages.canvas import new_figure, png
from plate_assets.plates.illumination import GRID


def illumination_figure(table: pl.DataFrame, title: str) -> bytes:
    """PNG: for each row of the ILLUMINATION table the light before, the profile, and the light after, on one colour scale."""
    figure = new_figure(9.5, 0.9 + 2.9 * max(table.height, 1))
    figure.suptitle(title)
    rows = figure.subplots(max(table.height, 1), 3, squeeze=False)
    grids = []
    for row in table.iter_rows(named=True):
        before, profile = (np.array(row[name]).reshape(GRID, GRID) for name in ("before", "profile"))
        grids.append((before, profile, before / profile))
    # One place that stands out (a cell, a corner behind the wall) must not take the colours from all others.
    spread = max((float(np.quantile(np.abs(grid - 1), 0.95)) for each in grids for grid in each), default=0.1)
    shown = None
    for axes, row, each in zip(rows, table.iter_rows(named=True), grids, strict=True):
        words = (
            f"{row['Metadata_Channel']}: before, fall-off {row['falloff_before']:.0%}",
            f"{row['source']} profile ({row['n_images']} images)",
            f"after, fall-off {row['falloff_after']:.0%}",
        )
        for place, grid, text in zip(axes, each, words, strict=True):
            shown = place.imshow(grid, cmap="RdBu_r", vmin=1 - spread, vmax=1 + spread)
            place.set_title(text, fontsize=9)
            place.set_xticks([])
            place.set_yticks([])
    if shown is not None:
        figure.colorbar(shown, ax=rows, label="light, relative to the mean", shrink=0.8)
    return png(figure)
