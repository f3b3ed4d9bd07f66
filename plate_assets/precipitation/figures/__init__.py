"""Figures that people see, each as the bytes of a PNG: plates, clusters, detectors.

Belongs here: drawing what is already computed. Not here: computing it, and the interactive page (`precipitation.report`).
matplotlib is loaded when a figure is drawn, not when this is imported.
"""

from plate_assets.precipitation.figures.clusters import cluster_scatter, contact_sheet, elbow_plot
from plate_assets.precipitation.figures.detectors import (
    anomaly_histogram,
    confusion_figure,
    growth_contour,
    roc_overlay,
    training_curves,
)
from plate_assets.precipitation.figures.plates import layout_effects_plot, plate_heatmap, quadruplet_pairs, well_triple

__all__ = [
    "anomaly_histogram", "cluster_scatter", "confusion_figure", "contact_sheet", "elbow_plot", "growth_contour",
    "layout_effects_plot", "plate_heatmap", "quadruplet_pairs", "roc_overlay", "training_curves", "well_triple",
]  # fmt: skip
