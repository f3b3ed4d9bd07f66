"""A detector made ready for a reviewer: trained, measured, given its precision and its reference scores.

Belongs here: the order of those steps, and what a reviewer reads. Not here: training (`detectors`), the registry (`storage`).
"""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from plate_assets.precipitation.model import DetectorConfig
from plate_assets.progress import Progress
from plate_assets.storage.arrays import Stack
from plate_assets.storage.fingerprint import fingerprint
from plate_assets.storage.models import ModelBundle
from plate_assets.storage.tracking import Trained
from plate_assets.workflows.markdown import markdown_table

if TYPE_CHECKING:
    import numpy as np

    from plate_assets.precipitation.detector_training import TrainedDetector
    from plate_assets.workflows.precipitation.references import StoredPlate


def detector_for_review(
    config: DetectorConfig,
    sample: Stack,
    labelled: pl.DataFrame,
    reference_plates: "Iterable[StoredPlate]",
    expert_labels: pl.DataFrame,
    *,
    contamination: float,
    weights: str | None,
    checkpoint: Path,
    progress: Progress | None = None,
) -> Trained:
    """Train on the labelled tiles, and score the reference plates.

    weights: what the trunk starts from, see `detectors.starting_weights`. A reference plate that lies in the training split
    would make its own scores look too clean, so such plates are refused.
    """
    from plate_assets.precipitation.figures import training_curves
    from plate_assets.workflows.precipitation.detectors import train_detector
    from plate_assets.workflows.precipitation.precision import choose_precision
    from plate_assets.workflows.precipitation.references import clean_reference

    trained = train_detector(sample.array, labelled, config, weights=weights, checkpoint=checkpoint, progress=progress)
    detector = trained.detector
    detector.observe(sample.array[rows_to_observe(labelled, config.seed)])
    trained_on = set(labelled.filter(pl.col("split") == "train")["Metadata_Plate"])
    unseen = (apart_from(plate, trained_on) for plate in reference_plates)
    precision = choose_precision(unseen, detector, expert_labels, contamination)
    detector.architecture["precision"] = precision.chosen
    reference = clean_reference(precision.wells, expert_labels)
    return Trained(
        bundle=ModelBundle(
            detector.architecture, detector.weights, {"reference_scores": reference} if reference.height else {}
        ),
        run_name=config.backbone,
        params={**asdict(config), "weights": detector.architecture["trunk_weights"], "contamination": contamination},
        facts={
            **trained.metrics,
            **precision.facts,
            "reference conditions": reference.height,
            "data fingerprint": fingerprint(labelled),
        },
        curves=trained.curves,
        figures={"training curves": training_curves(trained.curves, f"{config.backbone}: loss by epoch")},
        dataset=labelled,
        description=review_text(config, contamination, trained, reference),
        tags={"backbone": config.backbone},
    )


def rows_to_observe(labelled: pl.DataFrame, seed: int, of_each: int = 96) -> "np.ndarray":
    """Rows of `sample` whose activations are looked at for their ranges: so many training tiles of each class, ascending."""
    training = labelled.filter(pl.col("split") == "train")
    chosen = [kind.sample(min(of_each, kind.height), seed=seed) for kind in training.partition_by("anomalous")]
    return pl.concat(chosen)["index"].sort().to_numpy()


def apart_from(plate: "StoredPlate", trained_on: set[str]) -> "StoredPlate":
    """The plate, where the detector did not learn from it; ValueError otherwise."""
    if plate.plates & trained_on:
        raise ValueError(
            f"{plate.acquisition_id} cannot serve as reference: the detector was trained on tiles of its plate; name other "
            "reference acquisitions in the run's configuration, or sample the training tiles from other plates"
        )
    return plate


def review_text(config: DetectorConfig, contamination: float, trained: "TrainedDetector", reference: pl.DataFrame) -> str:
    """What a reviewer decides from, as Markdown."""
    plates = ", ".join(sorted(reference["Metadata_Plate"].unique())) if reference.height else "none: its calls will be empty"
    return "\n\n".join(
        [
            f"FCDD on **{config.backbone}**, {config.mode.replace('_', '-')}, seed {config.seed}.",
            markdown_table(["measure", "value"], trained.metrics.items()),
            f"Reference plates: {plates} ({reference.height} conditions). λ = {contamination}.\n"
            f"Budget: {config.epochs} epochs of {config.tiles_per_epoch} tiles, {config.seconds:.0f} s at most.",
        ]
    )
