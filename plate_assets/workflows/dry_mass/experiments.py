"""The three experiments as one job: train on a culture, then judge it, another one, or an altered one.

Belongs here: which models are trained for which experiment, and the figures as a table. Not here: scoring and ROC curves
(`dry_mass`), how series are made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from plate_assets.dry_mass.tables import DRY_MASS_EXPERIMENT
from plate_assets.progress import ProgressOf
from plate_assets.workflows.dry_mass.scoring import ExperimentResult, run_experiment, score_series, train_forecaster

if TYPE_CHECKING:
    from plate_assets.dry_mass.evaluation import Roc
    from plate_assets.dry_mass.model import ForecasterConfig

OURS = "trained for this experiment"
SHOWN = ("paths flagged", "flagged by both models", "share repeated", "AUC windows, network", "recall windows, network")


@dataclass(frozen=True)
class Conducted:
    """An experiment that was run: its figures as DRY_MASS_EXPERIMENT, and the result itself."""

    table: pl.DataFrame
    result: ExperimentResult

    def curves_by_level(self) -> "dict[str, dict[str, Roc]]":
        """ROC curves by forecast (`network`, `persistence`, `linear`), for `windows` and for `cells`."""
        levels: dict[str, dict[str, Roc]] = {}
        for (level, name), roc in self.result.curves.items():
            levels.setdefault(level, {})[name] = roc
        return levels

    def headline(self) -> dict[str, float | int]:
        """The few figures that a person asks for first."""
        figures = self.result.figures
        return {name: figures[name] for name in SHOWN if name in figures} | {"figures": len(figures)}


def conduct(
    kind: str,
    culture: Sequence[pl.DataFrame],
    other: Sequence[pl.DataFrame],
    config: "ForecasterConfig",
    *,
    checkpoint: Path | None = None,
    progress: ProgressOf | None = None,
) -> Conducted:
    """Run one of EXPERIMENTS on DRY_MASS_SERIES tables.

    A forecaster is trained on `culture`; for `other_culture` a second one on `other`, to count which of its flags are repeated.
    Raises ValueError for another kind, or without the series that it needs.
    """
    if not culture:
        raise ValueError("no time-lapse is given to train on: name some that are measured (`timelapses`)")
    said = progress or (lambda _: None)
    trained = train_forecaster(culture, config, checkpoint=checkpoint, progress=said("epochs"))
    own = None
    if kind == "other_culture" and other:
        second = train_forecaster(other, config, checkpoint=checkpoint, progress=said("epochs of the other culture's model"))
        own = score_series(pl.concat(other), second.bundle, OURS).cells
    result = run_experiment(
        kind,  # pyright: ignore[reportArgumentType]
        trained.bundle, OURS, pl.concat(culture), pl.concat(other) if other else None, own=own, progress=said("windows"),
    )  # fmt: skip
    figures = {**trained.metrics, **result.figures}
    rows = [(kind, name, float(value)) for name, value in figures.items() if isinstance(value, int | float)]
    schema = {column.name: column.dtype for column in DRY_MASS_EXPERIMENT.columns}
    return Conducted(DRY_MASS_EXPERIMENT.conform(pl.DataFrame(rows, schema=schema, orient="row")), result)
