"""From forecast errors to cells that went wrong: abnormal windows, the share of them, since when, and a guess at why.

Belongs here: WINDOW_ANOMALIES and CELL_ANOMALIES, and which paths are flagged. Not here: the errors (`forecaster`), what a path
shows beside them (`signs`), the thresholds' rules (`forecaster_training`), what people say of a cell (`verdicts`).
"""

import numpy as np
import polars as pl

from plate_assets.dry_mass.forecaster import WindowErrors
from plate_assets.dry_mass.signs import SignRules, Signs, StepStatistics, find_signs
from plate_assets.dry_mass.tables import CELL_ANOMALIES, WINDOW_ANOMALIES
from plate_assets.dry_mass.window_fingerprints import window_contents
from plate_assets.dry_mass.windows import INTERVAL_H, WINDOW_POINTS, PathSeries, Windows

_KEYS = ["Metadata_Timelapse", "path_id"]


def cell_scores(path: np.ndarray, abnormal: np.ndarray, n_paths: int) -> np.ndarray:
    """A = abnormal windows / all windows of each path (eq. 7), (n_paths,); NaN for one without a window.

    path: (n,) path of each window; abnormal: (n,) bool.
    """
    every = np.bincount(path, minlength=n_paths)
    found = np.bincount(path, weights=abnormal, minlength=n_paths)
    return np.divide(found, every, out=np.full(n_paths, np.nan), where=every > 0)


def window_anomalies(
    series: PathSeries, windows: Windows, errors: WindowErrors, threshold: float, model_version: str
) -> pl.DataFrame:
    """WINDOW_ANOMALIES of all the windows; `errors` are those of the whole ones. One that touches a gap has none."""
    values = {}
    for name, found in (("mse", errors.mse), ("mse_persistence", errors.persistence), ("mse_linear", errors.linear)):
        column = np.full(len(windows), np.nan)
        column[windows.whole] = found
        values[name] = column
    about = series.about[windows.path].select("Metadata_Timelapse", "lineage_id", "path_id")
    table = about.with_columns(
        window_start_h=pl.Series(series.hours[windows.start]), threshold=pl.lit(threshold), model_version=pl.lit(model_version),
        content=pl.Series(window_contents(series, windows.start), dtype=pl.UInt64),
        **{name: pl.Series(column).fill_nan(None) for name, column in values.items()},
    ).with_columns(abnormal=pl.col("mse") > pl.col("threshold"))  # fmt: skip
    return WINDOW_ANOMALIES.conform(table)


def cell_anomalies(
    series: PathSeries,
    windows: pl.DataFrame,
    threshold: float,
    steps: StepStatistics,
    model_version: str,
    *,
    tracks: pl.DataFrame | None = None,
    rules: SignRules | None = None,
) -> pl.DataFrame:
    """CELL_ANOMALIES: one row for each path of the series, those without a window too.

    windows: WINDOW_ANOMALIES of these paths. threshold: of A. tracks: CELL_TRACKS, which know edges and saturation. A path is
    flagged where A lies above the threshold, or by a sign (`SignRules.flag`); one without a window never is. Its margin is the
    larger of A's and the signs', where signs flag. Where a fault of the acquisition was found it is the guess at the cause,
    whatever else was: it may have made the rest.
    """
    rules = rules or SignRules()
    abnormal = pl.col("abnormal")
    counts = windows.group_by(_KEYS).agg(
        n_windows=abnormal.count(),
        n_abnormal=abnormal.sum(),
        first_abnormal_h=pl.col("window_start_h").filter(abnormal).min(),
        _last_h=pl.col("window_start_h").filter(abnormal).max(),
    )
    cells = series.about.join(counts, on=_KEYS, how="left", maintain_order="left").with_columns(
        pl.col("n_windows", "n_abnormal").fill_null(0), threshold=pl.lit(threshold), model_version=pl.lit(model_version)
    )
    scored = pl.col("n_windows") > 0
    cells = cells.with_columns(score=pl.when(scored).then(pl.col("n_abnormal") / pl.col("n_windows")))
    cells = cells.with_columns(_above=(pl.col("score") > pl.col("threshold")).fill_null(False))
    signs = _signs(series, cells, steps, rules, tracks)
    flags = rules.flag == "score_or_sign"
    cells = cells.with_columns(
        _faults=_joined(signs.faults), _biology=_joined(signs.biology), _remarks=_joined(signs.remarks),
        _first=pl.Series(signs.first()).fill_nan(None), _signed=pl.Series(np.isfinite(signs.first()) & flags),
    ).with_columns(abnormal=pl.when(scored).then(pl.col("_above") | pl.col("_signed")))  # fmt: skip
    cells = _with_margin(cells, signs if flags else Signs.none(cells.height))
    told = pl.concat_list("_faults", "_biology", "_remarks").list.eval(pl.element().filter(pl.element() != "")).list.join("; ")
    cells = cells.with_columns(
        first_abnormal_h=pl.when(pl.col("_above") | ~abnormal).then("first_abnormal_h").otherwise(
            pl.min_horizontal("first_abnormal_h", "_first")),
        cause=pl.when(~abnormal.fill_null(False)).then(pl.lit("none"))
        .when((pl.col("_faults") != "") | ((pl.col("_biology") == "") & (pl.col("_remarks") != ""))).then(pl.lit("acquisition"))
        .otherwise(pl.lit("biological")),
        evidence=pl.when(~pl.col("long_enough")).then(pl.lit("shorter than 30 h: not scored"))
        .when(~scored).then(pl.lit("no 30 h without a gap: not scored"))
        .when(abnormal).then(told).otherwise(pl.lit("")),
    )  # fmt: skip
    return CELL_ANOMALIES.conform(cells.select(column.name for column in CELL_ANOMALIES.columns))


def _signs(
    series: PathSeries, cells: pl.DataFrame, steps: StepStatistics, rules: SignRules, tracks: pl.DataFrame | None
) -> Signs:
    """Signs on the paths that have a score."""
    above = cells["_above"].to_numpy()
    begin = np.where(above, cells["first_abnormal_h"].fill_null(np.nan).to_numpy(), np.nan)
    end = np.where(above, cells["_last_h"].fill_null(np.nan).to_numpy() + WINDOW_POINTS * INTERVAL_H, np.nan)
    return find_signs(series, cells["n_windows"].to_numpy() > 0, begin, end, steps, rules, tracks)


def _with_margin(cells: pl.DataFrame, signs: Signs) -> pl.DataFrame:
    """The columns `margin` and `decided_by`: how far each scored path lies beyond the line, by what, measured against what."""
    # Where less than one window would do, the first one flags.
    least = pl.max_horizontal("threshold", 1 / pl.col("n_windows"))
    cells = cells.with_columns(_of_score=pl.col("score") / least, _of_signs=pl.Series(signs.margin, dtype=pl.Float64))
    by_score = pl.format("score {}, limit {}", *(pl.col(name).round_sig_figs(3) for name in ("score", "threshold")))
    by_sign = pl.Series(signs.measured, dtype=pl.String)
    return cells.with_columns(
        margin=pl.when(pl.col("score").is_not_null()).then(pl.max_horizontal("_of_score", "_of_signs")),
        decided_by=pl.when(pl.col("_of_signs") > pl.col("_of_score")).then(by_sign).otherwise(by_score),
    )


def _joined(found: list[list[tuple[float, str]]]) -> pl.Series:
    return pl.Series(["; ".join(text for _, text in texts) for texts in found], dtype=pl.String)
