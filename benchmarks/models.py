"""Detectors without training: speed does not depend on what the weights say."""

import numpy as np

from plate_assets.learning.bundled import weights_of
from plate_assets.precipitation.detector import FORMAT, Detector
from plate_assets.precipitation.fcdd import FCDD


def random_detector(backbone: str, precision: str = "float32") -> Detector:
    """A detector with random weights, and the ranges that its activations take on noise."""
    import torch

    from plate_assets.learning.catalogue import backbone_named

    torch.manual_seed(0)
    architecture = {
        "format": FORMAT, "science": "precipitation", "backbone": backbone, "in_channels": 1, "tile_px": 240,
        "input_px": backbone_named(backbone).input_px, "um_per_px": 2.82, "normalisation": "relative", "mean": 0.5, "std": 0.1,
        "reduction": "mean", "precision": precision,
    }  # fmt: skip
    detector = Detector(architecture, weights_of(FCDD(backbone, 1)))
    detector.observe(made_tiles(32))
    return detector


def made_tiles(n: int) -> np.ndarray:
    """Tiles of a plate's size, (n, 240, 240) uint8: arithmetic does not depend on what they show."""
    return np.random.default_rng(0).integers(90, 160, (n, 240, 240), dtype=np.uint8)
