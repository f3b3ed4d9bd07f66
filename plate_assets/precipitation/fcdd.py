"""FCDD: a fully convolutional network whose map says how anomalous each place of a tile is (Liznerski; Yasuno, eq. 7-9).

Belongs here: the network, its loss, and the score of a map. Not here: backbones (`learning`), heat-maps (`heatmap`), how a
trained network is kept and used (`detector`).
"""

from typing import Literal

import torch
from torch import nn

from plate_assets.learning.backbones import build_trunk
from plate_assets.learning.catalogue import backbone_named

Reduction = Literal["mean", "sum", "max", "topk"]
SMALLEST_SCORE = 1e-6  # log(1 - exp(-h)) has no value at 0


class FCDD(nn.Module):
    """A trunk and a 1×1 convolution to one channel: (n, c, px, px) to the raw map (n, u, v)."""

    def __init__(self, backbone: str, in_channels: int = 1):
        super().__init__()
        self.trunk = build_trunk(backbone, in_channels)
        self.head = nn.Conv2d(backbone_named(backbone).channels, 1, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.trunk(images))[:, 0]


def pseudo_huber(raw: torch.Tensor) -> torch.Tensor:
    """H(z) = sqrt(z² + 1) - 1, element-wise (eq. 7), without cancellation for small z."""
    square = raw.float().square()
    return square / (torch.sqrt(square + 1) + 1)


def fcdd_loss(raw: torch.Tensor, anomalous: torch.Tensor) -> torch.Tensor:
    """Mean loss of a batch (eq. 8): raw maps (n, u, v), anomalous (n,) 0 or 1.

    The sum runs over both terms; as printed, the bracket leaves that open. log(1 - exp(-h)) is taken as log(-expm1(-h)).
    """
    score = pseudo_huber(raw).mean((1, 2))
    escape = -torch.log(-torch.expm1(-score.clamp_min(SMALLEST_SCORE)))
    return torch.where(anomalous > 0.5, escape, score).mean()


def reduce_map(values: torch.Tensor, reduction: Reduction = "mean", share: float = 0.01) -> torch.Tensor:
    """The score of each map (n, u, v), (n,): eq. 9 is the sum; the mean differs by u·v and compares across backbones.

    topk: mean of the largest `share` of the values, one at least.
    """
    flat = values.flatten(1)
    if reduction == "sum":
        return flat.sum(1)
    if reduction == "max":
        return flat.amax(1)
    if reduction == "topk":
        return flat.topk(max(1, round(share * flat.shape[1])), dim=1).values.mean(1)
    return flat.mean(1)
