"""Figures of plates and wells: heat-map, quadruplets with their heat-maps, the culture area, edge and row effects."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from plate_assets.pages.canvas import INK, new_figure, png, stretched
from plate_assets.plates.layout import PlateFormat, row_letters

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NO_VALUE = "#c8c8c8"
SAMPLE = {"marker": "o", "color": "#3367a8", "s": 10}
CONTROL = {"marker": "D", "color": "#cc5500", "s": 16}
_NAMED_UP_TO = 384  # wells that carry their name; a 1536-well plate has rows and columns named only


def plate_heatmap(
    table: pl.DataFrame,
    column: str,
    plate_format: PlateFormat,
    title: str,
    label: str,
    limits: tuple[float, float] | None = None,
) -> bytes:
    """One value for each well on its plate, with the well's name and one colour scale; grey wells have no value.

    table: one row for each well with Metadata_Row, Metadata_Col and `column`; limits: ends of the colour scale, so that
    several plates can share one, else the smallest and largest value.
    """
    values = np.full((plate_format.rows, plate_format.cols), np.nan)
    rows, cols = (table[name].to_numpy() - 1 for name in ("Metadata_Row", "Metadata_Col"))
    values[rows, cols] = table[column].cast(pl.Float64).to_numpy()
    known = values[np.isfinite(values)]
    low, high = limits or ((known.min(), known.max()) if known.size else (0.0, 1.0))
    figure = new_figure(0.42 * plate_format.cols + 2.4, 0.42 * plate_format.rows + 1.4)
    axes = figure.subplots()
    axes.set_facecolor("white")
    shown = axes.imshow(values, cmap="viridis", vmin=low, vmax=high if high > low else low + 1, aspect="equal")
    _name_wells(axes, values, rows, cols, plate_format, middle=(low + high) / 2)
    axes.set_title(title)
    if missing := len(rows) - known.size:
        axes.set_xlabel(f"grey: {missing} wells without a value")
    figure.colorbar(shown, ax=axes, label=label, shrink=0.85)
    return png(figure)


def _name_wells(
    axes: "Axes", values: np.ndarray, rows: np.ndarray, cols: np.ndarray, plate: PlateFormat, middle: float
) -> None:
    from matplotlib.patches import Rectangle

    axes.set_xticks(range(plate.cols), [str(col + 1) for col in range(plate.cols)], fontsize=7)
    axes.set_yticks(range(plate.rows), [row_letters(row + 1) for row in range(plate.rows)], fontsize=7)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.set_xticks(np.arange(plate.cols + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(plate.rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=0.5)
    axes.tick_params(which="minor", length=0)
    for row, col in zip(rows, cols, strict=True):
        value = values[row, col]
        if not np.isfinite(value):
            axes.add_patch(Rectangle((col - 0.5, row - 0.5), 1, 1, facecolor=NO_VALUE, edgecolor="white", linewidth=0.5))
        if plate.wells <= _NAMED_UP_TO:
            ink = "white" if np.isfinite(value) and value < middle else INK
            axes.text(col, row, f"{row_letters(row + 1)}{col + 1:02d}", ha="center", va="center", fontsize=5.5, color=ink)


def quadruplet_pairs(
    wells: Sequence[tuple[str, np.ndarray, np.ndarray]], title: str, limits: tuple[float, float] | None = None
) -> bytes:
    """The wells of a group as they stand on the plate, each image beside its heat-map, one colour scale for all.

    wells: (name, image (h, w[, 3]), heat-map (any h', w'), NaN outside the tiles) in the order A01, A02, B01, B02.
    """
    heats = [heat[np.isfinite(heat)] for _, _, heat in wells]
    known = np.concatenate(heats) if heats else np.zeros(0)
    low, high = limits or ((float(known.min()), float(known.max())) if known.size else (0.0, 1.0))
    n_rows = max(1, -(-len(wells) // 2))
    figure = new_figure(11.5, 2.75 * n_rows + 0.7)
    axes = np.atleast_2d(figure.subplots(n_rows, 4, squeeze=False))
    shown: Any = None
    for place in axes.flat:
        place.axis("off")
    for number, (name, image, heat) in enumerate(wells):
        left, right = axes[number // 2, 2 * (number % 2) : 2 * (number % 2) + 2]
        left.imshow(stretched(image), cmap="gray", vmin=0, vmax=1)
        left.set_title(f"{name}: image", fontsize=9)
        shown = right.imshow(heat, cmap="inferno", vmin=low, vmax=high if high > low else low + 1)
        right.set_facecolor("#dddddd")
        right.set_title(f"{name}: heat-map", fontsize=9)
    if shown is not None:
        figure.colorbar(shown, ax=list(axes.flat), label="pseudo-Huber value", shrink=0.8)
    figure.suptitle(title)
    return png(figure)


def well_triple(
    image: np.ndarray,
    culture: tuple[float, float, float],
    crop: tuple[int, int, int, int],
    tile_px: int,
    title: str,
    tiles: Sequence[tuple[int, int]] = (),
    um_per_px: float | None = None,
) -> bytes:
    """The raw image, its culture area, and the crop with its tiles.

    culture: row, column and radius, px; crop: first row, first column, height, width, px; tiles: (y0, x0) of the kept tiles.
    """
    from matplotlib.patches import Circle, Rectangle

    row, col, radius = culture
    y0, x0, height, width = crop
    grey = stretched(image)
    extra = f", {um_per_px:g} µm/px" if um_per_px else ""
    figure = new_figure(12, 4.6)
    raw, area, cut = figure.subplots(1, 3)
    for axes in (raw, area):
        axes.imshow(grey, cmap="gray", vmin=0, vmax=1)
        axes.set_xlabel("column, px")
    raw.set_ylabel("row, px")
    raw.set_title(f"raw, {image.shape[0]} × {image.shape[1]} px{extra}", fontsize=10)
    area.add_patch(Circle((col, row), radius, fill=False, color="#ffb000", linewidth=2))
    area.plot(col, row, "+", color="#ffb000", markersize=12)
    area.set_title(f"culture area, radius {radius:.1f} px", fontsize=10)
    box = (x0, x0 + width, y0 + height, y0)
    cut.imshow(grey[y0 : y0 + height, x0 : x0 + width], cmap="gray", vmin=0, vmax=1, extent=box)
    cut.set_xlabel("column, px")
    for top, left in tiles:
        cut.add_patch(Rectangle((left, top), tile_px, tile_px, fill=False, color="#33bbff", linewidth=1.2))
    kept = f"{len(tiles)} tiles of {tile_px} px" if tiles else f"tiles of {tile_px} px"
    cut.set_title(f"crop {height} × {width} px, {kept}", fontsize=10)
    figure.suptitle(title)
    return png(figure)


def layout_effects_plot(
    wells: pl.DataFrame, measure: str, plate_format: PlateFormat, title: str, label: str, effects: pl.DataFrame | None = None
) -> bytes:
    """A measure by row, by column, and at the edge against inside; samples as dots, controls as diamonds apart.

    wells: Metadata_Row, Metadata_Col, role and the measure; effects: LAYOUT_EFFECTS rows, whose p-values go into the titles.
    """
    wells = wells.drop_nulls(measure).filter((pl.col("role") != "empty") & pl.col(measure).is_finite())
    edge = pl.col("Metadata_Row").is_in([1, plate_format.rows]) | pl.col("Metadata_Col").is_in([1, plate_format.cols])
    wells = wells.with_columns(edge=edge.cast(pl.Int32))
    said = {}
    if effects is not None:
        own = effects.filter(pl.col("measure") == measure).drop_nulls("p_value")
        said = {name: f", p = {p:.2g}" for name, p in own.select("effect", "p_value").iter_rows()}
    figure = new_figure(13, 4)
    by_row, by_col, by_edge = figure.subplots(1, 3, sharey=True, width_ratios=[plate_format.rows + 4, plate_format.cols, 8])
    rng = np.random.default_rng(0)
    for axes, column, name, ticks, names in (
        (by_row, "Metadata_Row", "row", plate_format.rows, [row_letters(r + 1) for r in range(plate_format.rows)]),
        (by_col, "Metadata_Col", "column", plate_format.cols, [str(c + 1) for c in range(plate_format.cols)]),
        (by_edge, "edge", "edge", 2, ["inside", "edge"]),
    ):
        first = 0 if column == "edge" else 1
        axes.set_xticks(range(first, first + ticks), names, fontsize=7)
        for role, style in (("sample", SAMPLE), ("control", CONTROL)):
            some = wells.filter((pl.col("role") == "sample") == (role == "sample"))
            x = some[column].to_numpy() + rng.uniform(-0.15, 0.15, some.height)
            axes.scatter(x, some[measure].to_numpy(), alpha=0.6, label=role, linewidths=0, **style)
        medians = wells.filter(pl.col("role") == "sample").group_by(column).agg(pl.col(measure).median()).sort(column)
        bar = {"color": INK, "markersize": 14, "markeredgewidth": 2}
        axes.plot(medians[column], medians[measure], "_", label="median of samples", **bar)
        axes.set_title(f"{name} effect{said.get(name, '')}", fontsize=10)
        axes.set_xlabel(name)
    by_row.set_ylabel(label)
    by_edge.legend(fontsize=7, loc="best")
    figure.suptitle(title)
    return png(figure)
