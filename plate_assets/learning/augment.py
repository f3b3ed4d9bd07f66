"""Augmentation: what may change in a tile without changing what it shows.

Belongs here: transforms of whole batches, seeded. Not here: corruptions that a microscope makes (`drift`).
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Augmentation:
    """How much a batch is varied; all zero and False leaves it as it is."""

    dihedral: bool = True  # the eight rotations and mirror images of a square
    gain: float = 0.1  # contrast factor, drawn from 1 ± gain
    offset: float = 0.1  # brightness, drawn from ± offset, in units of the normalised image
    noise: float = 0.05  # largest standard deviation of the Gaussian noise, the same units


def augment(batch: torch.Tensor, how: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """A varied copy of a batch (n, c, h, h) of square images; every image draws its own variation."""
    n = batch.shape[0]
    out = batch.clone()
    if how.dihedral:
        turn = torch.randint(0, 8, (n,), generator=generator)
        for k in range(8):
            chosen = turn == k
            if chosen.any():
                turned = torch.rot90(out[chosen], k % 4, (2, 3))
                out[chosen] = turned.flip(3) if k >= 4 else turned
    shape = (n, 1, 1, 1)
    if how.gain:
        out *= 1 + how.gain * (2 * torch.rand(shape, generator=generator) - 1)
    if how.offset:
        out += how.offset * (2 * torch.rand(shape, generator=generator) - 1)
    if how.noise:
        out += how.noise * torch.rand(shape, generator=generator) * torch.randn(out.shape, generator=generator)
    return out
