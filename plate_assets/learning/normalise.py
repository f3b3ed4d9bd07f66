"""Normalisation: what of an image's brightness and contrast a network gets to see.

Belongs here: the ways, and what each lets through. Not here: resizing and batches (`infer`), random changes (`augment`).
"""

import torch

DARK = 0.02  # share of full scale below which a relative contrast would divide by nothing


def relative_contrast(batch: torch.Tensor) -> torch.Tensor:
    """Each image of (n, c, h, w) over its own mean, minus one: exposure and lamp drop out."""
    return (batch / batch.mean((1, 2, 3), keepdim=True).clamp_min(DARK)).sub_(1)


def normalise(batch: torch.Tensor, how: str, mean: float, std: float) -> torch.Tensor:
    """The batch (n, c, h, w) as the network takes it.

    relative: each tile over its own mean, minus one, over `std`: exposure drops out, contrast stays. tile: each to mean 0 and
    standard deviation 1: contrast drops out too. dataset: minus `mean`, over `std`, both of the training tiles.
    """
    if how == "dataset":
        return (batch - mean).div_(std)
    if how == "relative":
        return relative_contrast(batch).div_(std)
    centre = batch.mean((1, 2, 3), keepdim=True)
    return (batch - centre) / batch.std((1, 2, 3), keepdim=True).clamp_min(1e-4)
