"""Figures of drift, as PNG: of one acquisition (`acquisitions`) and of a line over time (`line`)."""

from plate_assets.drift.figures.acquisitions import moved_wells, null_plot, well_scatter
from plate_assets.drift.figures.line import line_plot

__all__ = ["line_plot", "moved_wells", "null_plot", "well_scatter"]
