"""Augmentation: what may change in a tile without changing what it shows; and synthetic anomalies, which change just that.

Belongs here: transforms of whole batches, seeded. Not here: corruptions that a microscope makes (`drift`).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional

Symmetry = Literal["square", "rectangle", "none"]
_STROKE_POINTS = 16


@dataclass(frozen=True)
class Augmentation:
    """How much a batch is varied; all zero and False leaves it as it is."""

    symmetry: Symmetry = "square"  # its eight rotations and mirror images; rectangle: the four that turn no row into a column
    gain: float = 0.1  # contrast factor, drawn from 1 ± gain
    offset: float = 0.1  # brightness, drawn from ± offset, in units of the normalised image
    noise: float = 0.05  # largest standard deviation of the Gaussian noise, the same units
    stretch: float = 0.0  # scale, proportions and place, drawn from about ± so much of the image; mirrored in at its borders


def augment(batch: torch.Tensor, how: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """A varied copy of a batch (n, c, h, h) of square images; every image draws its own variation."""
    n = batch.shape[0]
    out = _stretched(batch, how.stretch, generator) if how.stretch else batch.clone()
    if how.symmetry != "none":
        step = 1 if how.symmetry == "square" else 2
        turn = step * torch.randint(0, 8 // step, (n,), generator=generator)
        for k in range(0, 8, step):
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


def _stretched(batch: torch.Tensor, amount: float, generator: torch.Generator) -> torch.Tensor:
    def drawn(spread: float) -> torch.Tensor:
        return spread * (2 * torch.rand(batch.shape[0], generator=generator) - 1)

    scale, proportion = drawn(amount).exp(), drawn(amount / 2).exp()
    matrix = torch.zeros(batch.shape[0], 2, 3)
    matrix[:, 0, 0], matrix[:, 1, 1] = scale * proportion, scale / proportion
    matrix[:, :, 2] = torch.stack([drawn(amount * 0.7), drawn(amount * 0.7)], 1)
    grid = functional.affine_grid(matrix, list(batch.shape), align_corners=False)
    return functional.grid_sample(batch, grid, padding_mode="reflection", align_corners=False)


@dataclass(frozen=True)
class Strokes:
    """What synthetic anomalies look like: spots and bent lines, darker or brighter than what they lie on."""

    at_most: int = 3  # in an image; one at least
    length: float = 0.4  # of the longest, in sides of the image; most are much shorter: spots
    radius: tuple[float, float] = (0.006, 0.035)  # half the width, in sides of the image
    line_radius: float = 0.015  # the largest of one longer than a tenth of the side
    contrast: tuple[float, float] = (0.7, 3.0)  # in units of the normalised image


def add_strokes(batch: torch.Tensor, how: Strokes, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """A copy of normal images (n, c, h, h) with synthetic anomalies, and where: (n, h, h), 1 within a stroke, 0 outside.

    The outlier exposure of FCDD, with the place known: a network learns from it what small means before it has seen many
    real anomalies. Strokes that begin at the border may lie outside.
    """
    n, side = batch.shape[0], batch.shape[-1]
    at = torch.arange(side) / side
    out, marks = batch.clone(), torch.zeros(n, side, side)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.rand((n, *shape), generator=generator)

    wanted = 1 + (drawn() * how.at_most).long()
    for number in range(how.at_most):
        length = how.length * drawn().square()
        radius = how.radius[0] * (how.radius[1] / how.radius[0]) ** drawn()
        radius = torch.where(length > 0.1, radius.clamp_max(how.line_radius), radius)
        bends = 0.3 * torch.randn((n, _STROKE_POINTS), generator=generator)
        angle = 2 * math.pi * drawn(1) + bends.cumsum(1)
        step = (length / _STROKE_POINTS)[:, None]
        col, row = drawn(1) + (step * angle.cos()).cumsum(1), drawn(1) + (step * angle.sin()).cumsum(1)
        square = (at - row[..., None]).square()[..., None] + (at - col[..., None]).square()[:, :, None]
        inside = torch.sigmoid((radius[:, None, None] - square.amin(1).sqrt()) * side / 0.7)  # an edge of about a pixel
        inside = inside * (number < wanted)[:, None, None]
        contrast = how.contrast[0] + (how.contrast[1] - how.contrast[0]) * drawn()
        out += (inside * (contrast * torch.where(drawn() < 0.5, -1, 1))[:, None, None])[:, None]
        marks = torch.maximum(marks, inside)
    return out, (marks > 0.5).float()
