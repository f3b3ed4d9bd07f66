"""A trained model put before a reviewer: registered as challenger, and shown as the asset that made it. Nothing else."""

import dagster as dg

from plate_assets.orchestration.metadata import picture
from plate_assets.storage.model_kind import ModelKind
from plate_assets.storage.registry import Registries
from plate_assets.storage.tracking import Trained


def register(kind: ModelKind, trained: Trained, registries: Registries, run_id: str) -> dg.MaterializeResult:
    """Register a training of that kind, and say what a person asks first: the version, its figures, its pictures."""
    version = registries.of(kind).register(trained, run_id)
    pictures = {title: picture(png, title) for title, png in trained.figures.items()}
    return dg.MaterializeResult(metadata={"model": version.uri, **trained.facts, **pictures})
