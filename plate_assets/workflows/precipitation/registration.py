"""Training a detector and putting it before a reviewer: trained, measured, given its reference scores, registered.

Belongs here: the order of those steps, and what a reviewer reads. Not here: training (`train`), the registry (`storage`).
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl

from plate_assets.progress import Progress
from plate_assets.storage.arrays import Stack
from plate_assets.storage.fingerprint import fingerprint
from plate_assets.storage.models import ModelBundle
from plate_assets.storage.registry import ModelRegistry, ModelVersion

if TYPE_CHECKING:
    import numpy as np

    from plate_assets.precipitation.detector_training import TrainedDetector
    from plate_assets.workflows.precipitation.references import StoredPlate


@dataclass(frozen=True)
class TrainingRequest:
    """What is to be trained, and with which budget."""

    backbone: str
    mode: Literal["semi_supervised", "one_class"]
    epochs: int
    tiles_per_epoch: int
    seconds: float
    frozen_stages: int
    input_px: int | None
    seed: int
    weights: str | None
    contamination: float


@dataclass(frozen=True)
class Registered:
    """The registered version, with the facts and figures that the UI shows."""

    version: ModelVersion
    facts: dict[str, float | int | str]
    figures: dict[str, bytes]


def train_and_register(
    request: TrainingRequest,
    sample: Stack,
    labelled: pl.DataFrame,
    reference_plates: "Iterable[StoredPlate]",
    expert_labels: pl.DataFrame,
    registry: ModelRegistry,
    *,
    checkpoint: Path,
    run_id: str,
    progress: Progress | None = None,
) -> Registered:
    """Train on the labelled tiles, score the reference plates, and register the result as challenger.

    A reference plate that lies in the training split would make its own scores look too clean, so such plates are refused.
    """
    from plate_assets.precipitation.figures import training_curves
    from plate_assets.precipitation.model import DetectorConfig
    from plate_assets.workflows.precipitation.detectors import train_detector
    from plate_assets.workflows.precipitation.precision import choose_precision
    from plate_assets.workflows.precipitation.references import clean_reference

    config = DetectorConfig(
        backbone=request.backbone, mode=request.mode, epochs=request.epochs, tiles_per_epoch=request.tiles_per_epoch,
        seconds=request.seconds, frozen_stages=request.frozen_stages, input_px=request.input_px, seed=request.seed,
    )  # fmt: skip
    trained = train_detector(sample.array, labelled, config, weights=request.weights, checkpoint=checkpoint, progress=progress)
    trained.detector.observe(sample.array[rows_to_observe(labelled, request.seed)])
    trained_on = set(labelled.filter(pl.col("split") == "train")["Metadata_Plate"])
    unseen = (apart_from(plate, trained_on) for plate in reference_plates)
    precision = choose_precision(unseen, trained.detector, expert_labels, request.contamination)
    trained.detector.architecture["precision"] = precision.chosen
    reference = clean_reference(precision.wells, expert_labels)
    bundle = ModelBundle(
        trained.detector.architecture, trained.detector.weights, {"reference_scores": reference} if reference.height else {}
    )
    figures = {"training curves": training_curves(trained.curves, f"{request.backbone}: loss by epoch")}
    facts = {
        **trained.metrics,
        **precision.facts,
        "reference conditions": reference.height,
        "data fingerprint": fingerprint(labelled),
    }
    version = registry.log_training(
        run_name=f"{request.backbone}-{run_id[:8]}",
        params=asdict(request),
        metrics={key: value for key, value in trained.metrics.items() if isinstance(value, int | float)},
        curves={name: list(enumerate(values)) for name, values in trained.curves.items()},
        figures={f"{name.replace(' ', '_')}.png": png for name, png in figures.items()},
        dataset=labelled,
        bundle=bundle,
        description=review_text(request, trained, reference),
        tags={"backbone": request.backbone},
        dagster_run_id=run_id,
    )
    return Registered(version, facts, figures)


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


def review_text(request: TrainingRequest, trained: "TrainedDetector", reference: pl.DataFrame) -> str:
    """What a reviewer decides from, as Markdown."""
    plates = ", ".join(sorted(reference["Metadata_Plate"].unique())) if reference.height else "none: its calls will be empty"
    rows = [
        f"| {name} | {value:.4g} |" if isinstance(value, float) else f"| {name} | {value} |"
        for name, value in trained.metrics.items()
    ]
    return "\n".join(
        [
            f"FCDD on **{request.backbone}**, {request.mode.replace('_', '-')}, seed {request.seed}.",
            "",
            "| measure | value |",
            "|---|---|",
            *rows,
            "",
            f"Reference plates: {plates} ({reference.height} conditions). λ = {request.contamination}.",
            f"Budget: {request.epochs} epochs of {request.tiles_per_epoch} tiles, {request.seconds:.0f} s at most.",
        ]
    )
