"""The plate report: one self-contained HTML page, a heat-map as PNG, and what both are drawn from.

Belongs here: what a scientist sees of one plate at one time point. Not here: where the tables and pictures come from
(`workflows.precipitation.report`), figures of a model (`evaluation`), the page of the night (`morning`).
"""

from plate_assets.precipitation.report.heatmap import heatmap_png, heatmap_thumbnail
from plate_assets.precipitation.report.inputs import ReportError, ReportInputs
from plate_assets.precipitation.report.page import render_report

__all__ = ["ReportError", "ReportInputs", "heatmap_png", "heatmap_thumbnail", "render_report"]
