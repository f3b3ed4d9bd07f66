"""The windows of a time-lapse as a table that a person can look at, before any model.

Belongs here: DRY_MASS_WINDOWS. Not here: where windows start (`windows`), what a model says of them (`anomalies`).
"""

import numpy as np
import polars as pl

from plate_assets.dry_mass.tables import DRY_MASS_WINDOWS
from plate_assets.dry_mass.windows import INPUT_POINTS, INTERVAL_H, WINDOW_POINTS, PathSeries, windows_of


def window_table(series: PathSeries) -> pl.DataFrame:
    """DRY_MASS_WINDOWS: every window of every path that is long enough, those that touch a gap too."""
    windows = windows_of(series)

    def within(marked: np.ndarray) -> np.ndarray:
        counts = np.concatenate([[0], np.cumsum(marked)])
        return counts[windows.start + WINDOW_POINTS] - counts[windows.start]

    about = series.about.select("Metadata_Timelapse", "lineage_id", "path_id")[windows.path]
    start_h = series.hours[windows.start]
    return DRY_MASS_WINDOWS.conform(
        about.with_columns(
            first_point=pl.Series(windows.start - series.offsets[windows.path]),
            window_start_h=pl.Series(start_h),
            target_start_h=pl.Series(start_h + INPUT_POINTS * INTERVAL_H),
            unknown_points=pl.Series(within(~series.known)),
            divisions=pl.Series(within(series.divides)),
        )
    )
