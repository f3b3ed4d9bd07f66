"""Models made without training: a detector with random weights, and what it needs to be a champion."""

import numpy as np
import polars as pl
import torch

from plate_assets.learning.bundled import weights_of
from plate_assets.orchestration.resources import registries_of
from plate_assets.precipitation.detector import FORMAT
from plate_assets.precipitation.fcdd import FCDD
from plate_assets.precipitation.model import DETECTOR
from plate_assets.settings import Settings
from plate_assets.storage.models import ModelBundle
from plate_assets.storage.registry import ModelVersion
from plate_assets.storage.tracking import Trained


def random_detector(seed: int = 0, precision: str = "float32") -> ModelBundle:
    """CNN27 with random weights and made reference scores: what it says is noise, how it gets there is not."""
    torch.manual_seed(seed)
    architecture = {
        "format": FORMAT, "science": "precipitation", "backbone": "cnn27", "in_channels": 1, "input_px": 224, "tile_px": 154,
        "um_per_px": 2.82, "normalisation": "relative", "mean": 0.5, "std": 0.1, "reduction": "mean", "precision": precision,
    }  # fmt: skip
    names = [f"{row}{col:02d}" for row in "ACEG" for col in range(1, 25, 2)]
    reference = pl.DataFrame({
        "Metadata_Plate": "CLEAN", "Metadata_Timepoint": "096h", "Metadata_Quadruplet": names,
        "score": np.random.default_rng(seed).normal(1, 0.1, len(names)),
    })  # fmt: skip
    return ModelBundle(architecture, weights_of(FCDD("cnn27", 1)), {"reference_scores": reference})


def registered(settings: Settings, seed: int = 0, precision: str = "float32") -> ModelVersion:
    """A random detector in the registry, as challenger."""
    bundle = random_detector(seed, precision)
    trained = Trained(
        bundle, "random", params={}, facts={}, curves={}, figures={}, dataset=bundle.tables["reference_scores"],
        description="random weights", tags={"backbone": "cnn27"},
    )  # fmt: skip
    return registries_of(settings).of(DETECTOR).register(trained)
