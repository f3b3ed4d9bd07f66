"""Figures of one tested acquisition: its statistic among the reference plates', its wells beside theirs, what moved where.

Belongs here: drawing. Not here: any number that is drawn (`plates`, `witness`).
"""

import numpy as np
import polars as pl

from plate_assets.pages.canvas import INK, QUIET, new_figure, png
from plate_assets.plates.layout import PlateFormat, row_letters

NEW, REFERENCE, LIMIT = "#cc5500", "#3367a8", "#b00020"
NO_VALUE = "#c8c8c8"


def null_plot(test: pl.DataFrame, null: pl.DataFrame, title: str) -> bytes:
    """The reference plates' MMD² as dots, the tested acquisition's as a diamond, and the threshold.

    test: one row of DRIFT_TESTS; null: its DRIFT_NULL.
    """
    row = test.row(0, named=True)
    figure = new_figure(7.5, 2.6)
    axes = figure.subplots()
    values = np.sort(null["statistic"].to_numpy())
    axes.scatter(
        values, _stacked(values), s=22, color=REFERENCE, linewidths=0, alpha=0.85, label=f"{len(values)} reference plates"
    )
    if row["statistic"] is not None:
        said = f"p = {row['p_value']:.2g}" + (
            f" (the smallest possible: {row['p_floor']:.2g})" if row["p_floor"] else " (fitted)"
        )
        axes.scatter([row["statistic"]], [0], marker="D", s=60, color=NEW, zorder=3, label=f"{row['acquisition']}: {said}")
    if row["threshold"] is not None:
        axes.axvline(row["threshold"], color=LIMIT, linestyle="--", label=f"threshold at {row['alpha']:g}")
    axes.set_yticks([])
    axes.set_ylim(-0.8, max(4.0, _stacked(values).max(initial=0) + 1))
    axes.set_xlabel("MMD² of a plate's wells against those of all other plates")
    axes.set_title(f"{title}: {row['decision']}", loc="left", fontsize=11)
    axes.spines[["left", "top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", fontsize=8, ncols=3, frameon=False)
    return png(figure)


def _stacked(values: np.ndarray) -> np.ndarray:
    """Heights that put dots of the same bin above each other; values ascending."""
    if not values.size:
        return values
    bins = np.floor((values - values[0]) / max(np.ptp(values) / 40, 1e-12)).astype(int)
    first = np.searchsorted(bins, bins, side="left")
    return (np.arange(len(values)) - first).astype(float)


def well_scatter(reference: np.ndarray, plates: np.ndarray, new: np.ndarray, title: str) -> bytes:
    """Wells on the reference's first two principal components: reference (n, d) with labels plates (n,), and new (m, d)."""
    centre = reference.mean(axis=0)
    _, spread, directions = np.linalg.svd(reference - centre, full_matrices=False)
    shares = spread**2 / max((spread**2).sum(), 1e-300)
    known, found = ((points - centre) @ directions[:2].T for points in (reference, new))
    names, number = np.unique(plates, return_inverse=True)
    middles = np.stack([np.bincount(number, known[:, axis]) / np.bincount(number) for axis in range(2)], axis=1)
    figure = new_figure(6.4, 5.2)
    axes = figure.subplots()
    size = 10 if len(known) < 3000 else 3
    axes.scatter(*known.T, s=size, color=REFERENCE, alpha=0.25, linewidths=0, label=f"{len(known)} reference wells")
    axes.scatter(*middles.T, s=36, color=REFERENCE, edgecolors="white", linewidths=0.8, label=f"means of {len(names)} plates")
    axes.scatter(*found.T, s=14, color=NEW, alpha=0.7, linewidths=0, label=f"{len(found)} wells of this one")
    axes.scatter(*found.mean(axis=0), marker="D", s=80, color=NEW, edgecolors="white", linewidths=1.2, label="its mean")
    axes.set_xlabel(f"first component of the reference ({shares[0]:.0%} of its spread)")
    axes.set_ylabel(f"second ({shares[1]:.0%})" if len(shares) > 1 else "second")
    axes.set_title(title, fontsize=11)
    figure.legend(loc="outside lower center", fontsize=8, ncols=2, frameon=False)
    return png(figure)


def moved_wells(wells: pl.DataFrame, plate_format: PlateFormat, title: str) -> bytes:
    """The witness of each well on its plate, WELL_DRIFT; a ring marks wells that are odd by themselves, grey ones have none."""
    rows, cols = (wells[name].to_numpy() - 1 for name in ("Metadata_Row", "Metadata_Col"))
    values = np.full((plate_format.rows, plate_format.cols), np.nan)
    values[rows, cols] = wells["witness"].to_numpy()
    limit = float(np.nanmax(np.abs(values))) if wells.height else 1.0
    figure = new_figure(0.30 * plate_format.cols + 2.4, 0.30 * plate_format.rows + 1.4)
    axes = figure.subplots()
    axes.set_facecolor(NO_VALUE)
    shown = axes.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="equal")
    odd = wells["outlier"].fill_null(False).to_numpy()
    if odd.any():
        ring = {"facecolors": "none", "edgecolors": INK, "linewidths": 1.2}
        axes.scatter(cols[odd], rows[odd], s=60, label="odd by itself", **ring)
        figure.legend(loc="outside lower center", fontsize=8, frameon=False)
    axes.set_xticks(range(plate_format.cols), [str(col + 1) for col in range(plate_format.cols)], fontsize=7, color=QUIET)
    axes.set_yticks(
        range(plate_format.rows), [row_letters(row + 1) for row in range(plate_format.rows)], fontsize=7, color=QUIET
    )
    axes.tick_params(length=0)
    axes.set_title(title, fontsize=11)
    figure.colorbar(shown, ax=axes, label="witness: red, it moved", shrink=0.85)
    return png(figure)
