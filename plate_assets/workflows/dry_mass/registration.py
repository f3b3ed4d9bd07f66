"""Training a forecaster of dry mass and putting it before a reviewer: trained, measured beside the baselines, registered.

Belongs here: the order of those steps, and what a reviewer reads. Not here: training (`dry_mass`), the registry (`storage`).
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from plate_assets.progress import Progress
from plate_assets.storage.fingerprint import fingerprint
from plate_assets.storage.registry import ModelRegistry
from plate_assets.workflows.dry_mass.scoring import TrainedModel, train_forecaster
from plate_assets.workflows.precipitation.registration import Registered

if TYPE_CHECKING:
    from plate_assets.dry_mass.model import ForecasterConfig


def train_and_register_forecaster(
    tables: Sequence[pl.DataFrame],
    config: "ForecasterConfig",
    registry: ModelRegistry,
    *,
    checkpoint: Path,
    run_id: str,
    progress: Progress | None = None,
) -> Registered:
    """Train on DRY_MASS_SERIES of the time-lapses, split by lineage, and register the result as challenger.

    Raises ValueError where no time-lapse is given, WindowError where none has a window.
    """
    from plate_assets.dry_mass.figures import training_curves

    if not tables:
        raise ValueError(
            "no time-lapse is measured yet: let some arrive, or name them in the run's configuration (`timelapses`)"
        )
    trained = train_forecaster(tables, config, checkpoint=checkpoint, progress=progress)
    dataset = pl.concat(tables)
    numbers = {name: value for name, value in trained.metrics.items() if isinstance(value, int | float)}
    best = trained.metrics["best epoch"]
    curves = training_curves(trained.curves, "Forecaster: loss by epoch", best if isinstance(best, int) else None)
    version = registry.log_training(
        run_name=f"forecaster-{run_id[:8]}",
        params=asdict(config),
        metrics=numbers,
        curves={name: list(enumerate(values)) for name, values in trained.curves.items()},
        figures={"training_curves.png": curves},
        dataset=dataset,
        bundle=trained.bundle,
        description=review_text(config, trained, dataset),
        tags={"features": ",".join(config.features), "unit": str(dataset["unit"][0])},
        dagster_run_id=run_id,
    )
    return Registered(version, {**trained.metrics, "data fingerprint": fingerprint(dataset)}, {"training curves": curves})


def review_text(config: "ForecasterConfig", trained: TrainedModel, dataset: pl.DataFrame) -> str:
    """What a reviewer decides from, as Markdown: the network beside the baselines on each split."""
    metrics = trained.metrics
    lines = [
        f"Forecaster of dry mass from {', '.join(config.features)}, {config.padding} padding, seed {config.seed}"
        + (", **parity: the paper's own split and normalisation, which leak**." if config.parity else ", split by lineage."),
        "",
        "| split | paths | windows | MSE network | persistence | linear growth | abnormal |",
        "|---|---|---|---|---|---|---|",
    ]
    for split in ("train", "validation", "test"):
        if metrics.get(f"windows {split}"):
            numbers = [metrics[f"{name} {split}"] for name in ("MSE", "MSE persistence", "MSE linear", "abnormal windows")]
            shown = " | ".join(f"{value:.4g}" for value in numbers)
            lines.append(f"| {split} | {metrics[f'paths {split}']} | {metrics[f'windows {split}']} | {shown} |")
    timelapses = ", ".join(sorted(dataset["Metadata_Timelapse"].unique()))
    return "\n".join(
        [
            *lines,
            "",
            f"Thresholds: {metrics['window threshold']:.4g} for windows ({config.threshold}, on {config.threshold_on}), "
            f"{metrics['cell threshold']:.4g} for cells. Unit {dataset['unit'][0]}. Time-lapses: {timelapses}.",
        ]
    )
