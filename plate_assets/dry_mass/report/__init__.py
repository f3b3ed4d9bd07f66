"""The time-lapse report: one self-contained HTML page of a time-lapse's dry-mass anomalies, and what it is drawn from.

Belongs here: what a scientist sees of one time-lapse. Not here: where tables, forecasts and crops come from
(`workflows.dry_mass.report`), figures for people's slides and for asset metadata (`dry_mass.figures`).
"""

from plate_assets.dry_mass.report.inputs import MOST, ReportError, ReportInputs
from plate_assets.dry_mass.report.page import render_report

__all__ = ["MOST", "ReportError", "ReportInputs", "render_report"]
