"""Figures of the training sample: its map with clusters, the k-distance elbow, a contact sheet of a cluster."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from plate_assets.pages.canvas import INK, QUIET, new_figure, png, stretched

N_COLOURS = 15
OUTLIERS = "#ff0000"


def cluster_colours(n: int = N_COLOURS) -> np.ndarray:
    """(n, 3) colours once around the HSV circle, from orange on (cluster 1, as in the paper); never red: that is the outliers'.

    More than 15 clusters repeat the colours, darker.
    """
    from matplotlib.colors import hsv_to_rgb

    number = np.arange(n)
    hue = 0.08 + 0.86 * (number % N_COLOURS) / N_COLOURS
    value = 0.95 * 0.65 ** (number // N_COLOURS)
    return hsv_to_rgb(np.stack([hue, np.full(n, 0.85), value], axis=1))


def cluster_scatter(clusters: pl.DataFrame, title: str, names: dict[int, str] | None = None) -> bytes:
    """The t-SNE map of a table CLUSTERS, a colour for each cluster, outliers red; names: what a person called them."""
    figure = new_figure(8.5, 6)
    axes = figure.subplots()
    present = sorted(int(number) for number in clusters["cluster"].unique() if number > 0)
    colours = cluster_colours(max(present, default=1))
    for number in [*present, -1]:
        some = clusters.filter(pl.col("cluster") == number)
        if some.is_empty():
            continue
        said = f" {names[number]}" if names and number in names else ""
        label = f"{'outliers' if number < 0 else number}{said} ({some.height})"
        colour = OUTLIERS if number < 0 else tuple(colours[number - 1])
        size = 10 if clusters.height < 3000 else 4
        axes.scatter(some["map_x"], some["map_y"], s=size, color=colour, label=label, linewidths=0, alpha=0.85)
    axes.set_xlabel("t-SNE 1, arbitrary units")
    axes.set_ylabel("t-SNE 2, arbitrary units")
    axes.set_title(title)
    axes.set_aspect("equal", adjustable="datalim")
    figure.legend(title="cluster (tiles)", loc="outside right upper", fontsize=8, markerscale=2)
    return png(figure)


def elbow_plot(k_distances: np.ndarray, eps: float, min_samples: int, title: str) -> bytes:
    """The ascending k-distances with the eps that was taken."""
    figure = new_figure(6, 4)
    axes = figure.subplots()
    axes.plot(np.arange(1, len(k_distances) + 1), k_distances, color="#3367a8")
    axes.axhline(eps, color=OUTLIERS, linestyle="--", label=f"eps = {eps:.3g}")
    axes.set_xlabel("tile, by distance")
    axes.set_ylabel(f"distance to neighbour {min_samples}, map units")
    axes.set_title(title)
    axes.legend()
    return png(figure)


def contact_sheet(tiles: np.ndarray, captions: Sequence[str], title: str, columns: int = 8) -> bytes:
    """Tiles (n, t, t[, 3]) side by side, each with its caption, stretched alike so that they compare."""
    rows, gap = max(1, -(-len(tiles) // columns)), 0.14
    figure = new_figure(1.45 * columns, 1.65 * rows + 0.6)
    axes = figure.subplots()
    axes.axis("off")
    shares = stretched(tiles, 0.5, 99.5) if len(tiles) else tiles
    for number, (tile, caption) in enumerate(zip(shares, captions, strict=True)):
        row, col = divmod(number, columns)
        left, top = col * (1 + gap / 2), row * (1 + gap)
        axes.imshow(tile, cmap="gray", vmin=0, vmax=1, extent=(left, left + 1, top + 1, top))
        axes.text(left + 0.5, top - 0.03, caption, fontsize=7, color=QUIET, ha="center", va="bottom")
    axes.set(xlim=(0, columns * (1 + gap / 2)), ylim=(rows * (1 + gap), -gap))
    figure.suptitle(title, color=INK)
    return png(figure)
