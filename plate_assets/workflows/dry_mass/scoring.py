"""Dry-mass series without Dagster: a forecaster trained on them, windows and cells scored by it, and the three experiments.

Belongs here: the order of the steps, and what is kept of them. Not here: the forecaster and the rules (`dry_mass`), how a
series is made from images or tracks, files of tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from plate_assets.dry_mass.model import ForecasterConfig
from plate_assets.dry_mass.ranking import ranked
from plate_assets.progress import Progress
from plate_assets.storage.models import ModelBundle

if TYPE_CHECKING:
    from plate_assets.dry_mass.evaluation import Roc
    from plate_assets.dry_mass.signs import SignRules

    Curves = dict[tuple[str, str], Roc]

Experiment = Literal["same_culture", "other_culture", "altered"]
EXPERIMENTS = ("same_culture", "other_culture", "altered")
TRAINING_PATHS = "training_paths"  # table of a bundle: which paths it was trained, validated and tested on
_KEYS = ["Metadata_Timelapse", "path_id"]
_ERRORS = {"network": "mse", "persistence": "mse_persistence", "linear": "mse_linear"}


@dataclass(frozen=True)
class TrainedModel:
    """A forecaster as files hold it, with its curves and figures; each figure is of the split that its name ends with."""

    bundle: ModelBundle
    curves: dict[str, list[float]]
    metrics: dict[str, float | int | str]


@dataclass(frozen=True)
class ScoredSeries:
    """The anomalies of a series table: WINDOW_ANOMALIES, CELL_ANOMALIES, and how many windows were forecast for it."""

    windows: pl.DataFrame
    cells: pl.DataFrame
    n_forecast: int


@dataclass(frozen=True)
class ExperimentResult:
    """One of the three experiments: what was scored, its figures, and ROC curves by level and forecast where labels are."""

    kind: Experiment
    scored: ScoredSeries
    figures: dict[str, float | int]
    curves: "Curves" = field(default_factory=dict)


def train_forecaster(
    tables: pl.DataFrame | Sequence[pl.DataFrame],
    config: ForecasterConfig | None = None,
    *,
    split: Mapping[tuple[str, int], str] | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> TrainedModel:
    """Train on DRY_MASS_SERIES tables of one or more time-lapses.

    split: `train`, `validation` or `test` of each (time-lapse, path), in place of the one that is drawn by lineage; a path that
    is not named is left out. checkpoint: see `learning.training`.
    Raises WindowError where a split has no window, ValueError where the loss is not finite.
    """
    import numpy as np

    from plate_assets.dry_mass.forecaster_training import ForecasterTraining
    from plate_assets.dry_mass.windows import PathSeries
    from plate_assets.learning.training import train

    config = config or ForecasterConfig()
    series = PathSeries.of(tables, config.features)
    names = None
    if split is not None:
        names = np.array([split.get(key, "") for key in series.about.select(_KEYS).iter_rows()], dtype=object)
    training = ForecasterTraining.of(series, config, names)
    trained = train(training, checkpoint=checkpoint, progress=progress)
    forecaster = trained.forecaster
    bundle = ModelBundle(forecaster.architecture, forecaster.weights, {TRAINING_PATHS: trained.paths})
    return TrainedModel(bundle, trained.curves, trained.metrics)


@dataclass(frozen=True)
class JudgedWindows:
    """WINDOW_ANOMALIES, and how many windows were forecast for them: of a time-lapse that grew, the new ones."""

    windows: pl.DataFrame
    n_forecast: int


def score_series(
    table: pl.DataFrame,
    bundle: ModelBundle,
    model_version: str,
    *,
    tracks: pl.DataFrame | None = None,
    before: pl.DataFrame | None = None,
    rules: "SignRules | None" = None,
    progress: Progress | None = None,
) -> ScoredSeries:
    """WINDOW_ANOMALIES and CELL_ANOMALIES of a DRY_MASS_SERIES table by a forecaster: `judge_windows`, then `judge_cells`."""
    judged = judge_windows(table, bundle, model_version, before=before, progress=progress)
    cells = judge_cells(table, judged.windows, bundle, model_version, tracks=tracks, rules=rules)
    return ScoredSeries(judged.windows, cells, judged.n_forecast)


def judge_windows(
    table: pl.DataFrame,
    bundle: ModelBundle,
    model_version: str,
    *,
    before: pl.DataFrame | None = None,
    progress: Progress | None = None,
) -> JudgedWindows:
    """WINDOW_ANOMALIES of a DRY_MASS_SERIES table by a forecaster.

    before: WINDOW_ANOMALIES of the same time-lapse when it was shorter: what was found of a window whose points are the same
    now, by the same model, is taken over, and only the others are forecast. Raises ForecasterError where model and table do
    not fit, WindowError where the table holds no series.
    """
    from plate_assets.dry_mass.anomalies import window_anomalies
    from plate_assets.dry_mass.forecaster import Forecaster, ForecasterError, WindowErrors
    from plate_assets.dry_mass.tables import WINDOW_ANOMALIES
    from plate_assets.dry_mass.window_fingerprints import carried_results
    from plate_assets.dry_mass.windows import PathSeries, windows_of

    forecaster = Forecaster.from_parts(bundle.architecture, bundle.weights)
    series = PathSeries.of(table, forecaster.features)
    threshold = forecaster.architecture["thresholds"]["network"]["window"]
    if before is not None and forecaster.normalisation.own:
        raise ForecasterError(
            "a model that was trained with parity standardises each table by itself, so that new frames change the scores "
            "of old windows: score the whole time-lapse again, or train without parity"
        )
    windows = windows_of(series)
    known = carried_results(series, windows, WINDOW_ANOMALIES.empty() if before is None else before, model_version)
    new = windows.whole & ~known["carried"].to_numpy()
    fresh = forecaster.errors(series, windows.start[new], progress)
    columns = []
    for name, found in (("mse", fresh.mse), ("mse_persistence", fresh.persistence), ("mse_linear", fresh.linear)):
        every = known[name].to_numpy().copy()
        every[new] = found
        columns.append(every[windows.whole])
    judged = window_anomalies(series, windows, WindowErrors(*columns), threshold, model_version)
    return JudgedWindows(judged, int(new.sum()))


def judge_cells(
    table: pl.DataFrame,
    windows: pl.DataFrame,
    bundle: ModelBundle,
    model_version: str,
    *,
    tracks: pl.DataFrame | None = None,
    rules: "SignRules | None" = None,
) -> pl.DataFrame:
    """CELL_ANOMALIES of a DRY_MASS_SERIES table and its WINDOW_ANOMALIES.

    tracks: CELL_TRACKS behind the series, which know edges and saturation. rules: when a path is flagged; by default by its
    score or by a sign, and by its score alone where the model was trained with parity, as in the paper.
    """
    from plate_assets.dry_mass.anomalies import cell_anomalies
    from plate_assets.dry_mass.forecaster import Forecaster
    from plate_assets.dry_mass.signs import SignRules, StepStatistics
    from plate_assets.dry_mass.windows import PathSeries

    forecaster = Forecaster.from_parts(bundle.architecture, bundle.weights)
    series = PathSeries.of(table, forecaster.features)
    steps = StepStatistics(**forecaster.architecture["steps"])
    if rules is None:
        rules = SignRules(flag="score" if forecaster.normalisation.own else "score_or_sign")
    limits = forecaster.architecture["thresholds"]["network"]
    threshold = limits["cell"] if rules.flag == "score" else limits.get("cell_far", limits["cell"])
    return cell_anomalies(series, windows, threshold, steps, model_version, tracks=tracks, rules=rules)


def as_written(scored: ScoredSeries) -> dict[str, pl.DataFrame]:
    """The tables as `plate-assets dry-mass score` writes them: `windows` and `cells`, a path under the name `track_id`.

    Cells come in the order of the page, with the number that it goes by.
    """
    windows = scored.windows.select(pl.col("path_id").alias("track_id"), "window_start_h", "mse", "abnormal")
    cells = ranked(scored.cells).select(pl.col("path_id").alias("track_id"), "score", "abnormal", "first_abnormal_h", "margin")
    return {"windows": windows, "cells": cells}


def run_experiment(
    kind: Experiment,
    bundle: ModelBundle,
    model_version: str,
    culture: pl.DataFrame,
    other: pl.DataFrame | None = None,
    *,
    own: pl.DataFrame | None = None,
    known: pl.DataFrame | None = None,
    progress: Progress | None = None,
) -> ExperimentResult:
    """One of the paper's three experiments, with a forecaster that was trained on `culture`.

    same_culture: flags on the culture itself, its figures also on the test paths alone, which nothing was fitted to.
    other_culture: flags on `other`; with `own`, CELL_ANOMALIES of it by a model of its own, the share of those flags that is
    repeated. altered: the culture's test paths, taken for normal, against all of `other`, taken for abnormal: ROC over windows
    and over cells, for the network and each baseline, operating point at its own threshold.
    known: paths that are known to be abnormal (`Metadata_Timelapse`, `path_id`), the others taken for normal: ROC over cells
    for the first two experiments as well. Raises ValueError for another kind, or without `other` where it is needed.
    """
    if kind not in EXPERIMENTS:
        raise ValueError(f"{kind!r} is no experiment: choose one of {', '.join(EXPERIMENTS)}")
    thresholds = bundle.architecture["thresholds"]
    if kind == "same_culture":
        scored = score_series(culture, bundle, model_version, progress=progress)
        unseen = _only(scored, _test_paths(bundle, culture))
        curves = _against_known(scored, known, thresholds)
        return ExperimentResult(kind, scored, _figures(scored) | _figures(unseen, ", test paths") | _merits(curves), curves)
    if other is None:
        raise ValueError(f"the experiment {kind} compares with another culture: give its series as well")
    if kind == "other_culture":
        scored = score_series(other, bundle, model_version, progress=progress)
        curves = _against_known(scored, known, thresholds)
        return ExperimentResult(kind, scored, _figures(scored) | _repeated(own, scored.cells) | _merits(curves), curves)
    if shared := set(culture["Metadata_Timelapse"]) & set(other["Metadata_Timelapse"]):
        raise ValueError(f"both cultures hold the time-lapse {min(shared)!r}: a time-lapse is either normal or altered")
    normal = _only(score_series(culture, bundle, model_version, progress=progress), _test_paths(bundle, culture))
    altered = score_series(other, bundle, model_version, progress=progress)
    both = pl.concat([normal.windows.with_columns(altered=False), altered.windows.with_columns(altered=True)])
    curves = _curves(both, thresholds, ("windows", "cells"))
    return ExperimentResult(
        kind, altered, _figures(normal, ", test paths") | _figures(altered, ", altered") | _merits(curves), curves
    )


def _only(scored: ScoredSeries, paths: pl.DataFrame) -> ScoredSeries:
    windows, cells = (table.join(paths, on=_KEYS, how="semi") for table in (scored.windows, scored.cells))
    return ScoredSeries(windows, cells, scored.n_forecast)


def _test_paths(bundle: ModelBundle, culture: pl.DataFrame) -> pl.DataFrame:
    paths = bundle.tables.get(TRAINING_PATHS)
    known = paths.filter(pl.col("split") == "test").select(_KEYS) if paths is not None else None
    if known is None or known.join(culture.select(_KEYS), on=_KEYS, how="semi").is_empty():
        raise ValueError(
            "the model was not tested on a path of this culture: give the series that it was trained on, or train it on these"
        )
    return known


def _figures(scored: ScoredSeries, of: str = "") -> dict[str, float | int]:
    from plate_assets.dry_mass.evaluation import flagged_figures, forecast_figures

    figures = {**forecast_figures(scored.windows), **flagged_figures(scored.cells)}
    return {f"{name}{of}": value for name, value in figures.items()}


def _repeated(own: pl.DataFrame | None, cells: pl.DataFrame) -> dict[str, float | int]:
    from plate_assets.dry_mass.evaluation import repeated_share

    if own is None:
        return {}
    both, flagged = repeated_share(own, cells)
    share = {"share of its own flags that is repeated": both / flagged} if flagged else {}
    return {"flagged by its own model": flagged, "flagged by both models": both, **share}


def _against_known(scored: ScoredSeries, known: pl.DataFrame | None, thresholds: dict[str, Any]) -> "Curves":
    """ROC over cells against the paths that are known; none where nobody knows."""
    if known is None:
        return {}
    marked = known.select(_KEYS).unique().with_columns(altered=True)
    windows = scored.windows.join(marked, on=_KEYS, how="left").with_columns(pl.col("altered").fill_null(False))
    return _curves(windows, thresholds, ("cells",))


def _curves(windows: pl.DataFrame, thresholds: dict[str, Any], levels: Sequence[str]) -> "Curves":
    """ROC by level and forecast. windows: WINDOW_ANOMALIES with `altered`."""
    from plate_assets.dry_mass.evaluation import roc_of

    lineage = pl.struct("Metadata_Timelapse", "lineage_id").rank("dense")
    windows = windows.drop_nulls("mse").with_columns(_lineage=lineage)
    curves = {}
    for name, column in _ERRORS.items():
        limit = thresholds[name]
        cells = windows.group_by([*_KEYS, "_lineage", "altered"], maintain_order=True).agg(
            score=(pl.col(column) > limit["window"]).mean()
        )
        tables = {"windows": (windows, column, limit["window"]), "cells": (cells, "score", limit["cell"])}
        for level in levels:
            table, score, threshold = tables[level]
            labels, clusters = table["altered"].to_numpy(), table["_lineage"].to_numpy()
            curves[level, name] = roc_of(labels, table[score].to_numpy(), threshold, clusters)
    return curves


def _merits(curves: "Curves") -> dict[str, float | int]:
    figures: dict[str, float | int] = {}
    for (level, name), roc in curves.items():
        title = f"{level}, {name}"
        figures |= {
            f"AUC {title}": roc.auc, f"AUC low {title}": roc.low, f"AUC high {title}": roc.high,
            f"recall {title}": roc.operating.recall, f"false-positive rate {title}": roc.operating.false_positive_rate,
            f"precision {title}": roc.operating.precision,
        }  # fmt: skip
    return figures
