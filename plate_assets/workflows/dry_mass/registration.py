"""A forecaster of dry mass made ready for a reviewer: trained, and measured beside the baselines.

Belongs here: the order of those steps, and what a reviewer reads. Not here: training (`dry_mass`), the registry (`storage`).
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import polars as pl

from plate_assets.dry_mass.model import ForecasterConfig
from plate_assets.progress import Progress
from plate_assets.storage.fingerprint import fingerprint
from plate_assets.storage.tracking import Trained
from plate_assets.workflows.dry_mass.scoring import TrainedModel, train_forecaster
from plate_assets.workflows.markdown import markdown_table

MEASURES = {  # of each split, by the head of their column
    "paths": "paths",
    "windows": "windows",
    "MSE network": "MSE",
    "persistence": "MSE persistence",
    "linear growth": "MSE linear",
    "abnormal": "abnormal windows",
}


def forecaster_for_review(
    tables: Sequence[pl.DataFrame], config: ForecasterConfig, *, checkpoint: Path, progress: Progress | None = None
) -> Trained:
    """Train on DRY_MASS_SERIES of the time-lapses, split by lineage.

    Raises ValueError where no time-lapse is given, WindowError where none has a window.
    """
    from plate_assets.dry_mass.figures import training_curves

    if not tables:
        raise ValueError(
            "no time-lapse is measured yet: let some arrive, or name them in the run's configuration (`timelapses`)"
        )
    trained = train_forecaster(tables, config, checkpoint=checkpoint, progress=progress)
    dataset = pl.concat(tables)
    best = trained.metrics["best epoch"]
    curves = training_curves(trained.curves, "Forecaster: loss by epoch", best if isinstance(best, int) else None)
    return Trained(
        bundle=trained.bundle,
        run_name="forecaster",
        params=asdict(config),
        facts={**trained.metrics, "data fingerprint": fingerprint(dataset)},
        curves=trained.curves,
        figures={"training curves": curves},
        dataset=dataset,
        description=review_text(config, trained, dataset),
        tags={"features": ",".join(config.features), "unit": str(dataset["unit"][0])},
    )


def review_text(config: ForecasterConfig, trained: TrainedModel, dataset: pl.DataFrame) -> str:
    """What a reviewer decides from, as Markdown: the network beside the baselines on each split."""
    metrics = trained.metrics
    how = "**parity: the paper's own split and normalisation, which leak**" if config.parity else "split by lineage"
    splits = [split for split in ("train", "validation", "test") if metrics.get(f"windows {split}")]
    rows = [[split, *(metrics[f"{name} {split}"] for name in MEASURES.values())] for split in splits]
    timelapses = ", ".join(sorted(dataset["Metadata_Timelapse"].unique()))
    return "\n\n".join(
        [
            f"Forecaster of dry mass from {', '.join(config.features)}, {config.padding} padding, seed {config.seed}, {how}.",
            markdown_table(["split", *MEASURES], rows),
            f"Thresholds: {metrics['window threshold']:.4g} for windows ({config.threshold}, on {config.threshold_on}), "
            f"{metrics['cell threshold']:.4g} for cells. Unit {dataset['unit'][0]}. Time-lapses: {timelapses}.",
        ]
    )
