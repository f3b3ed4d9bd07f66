"""Figures that people see of dry-mass series, each as the bytes of a PNG: cells, time-lapses, strips, forecasters.

Belongs here: drawing what is already computed, and the few numbers that figures and the page share (`plotted_values`,
`overview`). Not here: scores (`anomalies`), the interactive page (`dry_mass.report`). matplotlib is loaded when a figure is
drawn.
"""

from plate_assets.dry_mass.figures.cells import forecast_figure, mass_curve, window_errors_figure
from plate_assets.dry_mass.figures.models import error_histogram, roc_figure, training_curves
from plate_assets.dry_mass.figures.overview import TimelapseOverview, timelapse_overview
from plate_assets.dry_mass.figures.plotted_values import WindowForecast, ranked_cells, window_forecasts
from plate_assets.dry_mass.figures.strips import strip_figure
from plate_assets.dry_mass.figures.timelapses import timelapse_overview_figure

__all__ = [
    "TimelapseOverview", "WindowForecast", "error_histogram", "forecast_figure", "mass_curve", "ranked_cells", "roc_figure",
    "strip_figure", "timelapse_overview", "timelapse_overview_figure", "training_curves", "window_errors_figure",
    "window_forecasts",
]  # fmt: skip
