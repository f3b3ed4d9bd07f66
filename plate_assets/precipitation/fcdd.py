"""FCDD: a fully convolutional network whose map says how anomalous each place of a tile is (Liznerski; Yasuno, eq. 7-9).

Belongs here: the network, its loss, and the score of a map. Not here: backbones (`learning`), heat-maps (`heatmap`), how a
trained network is kept and used (`detector`).
"""

import torch
from torch import nn
from torch.nn import functional

from plate_assets.learning.backbones import build_trunk
from plate_assets.learning.catalogue import backbone_named
from plate_assets.precipitation.model import Reduction

SMALLEST_SCORE = 1e-6  # log(1 - exp(-h)) has no value at 0


class FCDD(nn.Module):
    """A trunk and a 1×1 convolution to one channel: (n, c, px, px) to the raw map (n, u, v)."""

    def __init__(self, backbone: str, in_channels: int = 1):
        super().__init__()
        self.trunk = build_trunk(backbone, in_channels)
        self.head = nn.Conv2d(backbone_named(backbone).channels, 1, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.trunk(images))[:, 0]

    def start_one_sided(self) -> "FCDD":
        """Make the first raw map positive, near 1: the trunk ends in a ReLU, so weights of the head that are none below 0 do.

        The pseudo-Huber is even. From a map around zero, half of the anomalous places are driven up and half down, and a
        network first has to undo that: hundreds of steps in which it learns nothing.
        """
        with torch.no_grad():
            self.head.weight.abs_().mul_(0.5)
        return self


def pseudo_huber(raw: torch.Tensor) -> torch.Tensor:
    """H(z) = sqrt(z² + 1) - 1, element-wise (eq. 7), without cancellation for small z."""
    square = raw.float().square()
    return square / (torch.sqrt(square + 1) + 1)


def fcdd_loss(
    raw: torch.Tensor, anomalous: torch.Tensor, marks: torch.Tensor | None = None, reduction: Reduction = "mean"
) -> torch.Tensor:
    """Mean loss of a batch (eq. 8): raw maps (n, u, v), anomalous (n,) 0 or 1; h is the map reduced, by eq. 8 its mean.

    marks: (m, h, w), 1 where the last m images are anomalous, else 0. Where that is known, the marked places are called
    anomalous each by itself, and what lies apart from them normal.
    The sum runs over both terms; as printed, the bracket leaves that open. log(1 - exp(-h)) is taken as log(-expm1(-h)).
    """
    values = pseudo_huber(raw)
    score = reduce_map(values, reduction)
    losses = torch.where(anomalous > 0.5, _escape(score), score)
    if marks is not None and len(marks):
        losses = torch.cat([losses[: -len(marks)], _marked_loss(values[-len(marks) :], marks, reduction)])
    return losses.mean()


def _escape(score: torch.Tensor) -> torch.Tensor:
    return -torch.log(-torch.expm1(-score.clamp_min(SMALLEST_SCORE)))


def _marked_loss(values: torch.Tensor, marks: torch.Tensor, reduction: Reduction) -> torch.Tensor:
    marked = (functional.adaptive_max_pool2d(marks[:, None], values.shape[-2:]) > 0).float()
    apart = 1 - functional.max_pool2d(marked, 3, 1, 1)[:, 0]  # the neighbours see the anomaly too, and may say so
    marked = marked[:, 0]
    inside = (_escape(values) * marked).sum((1, 2)) / marked.sum((1, 2)).clamp_min(1)
    return inside + reduce_map(values * apart, reduction)


def reduce_map(values: torch.Tensor, reduction: Reduction = "mean", share: float = 0.05) -> torch.Tensor:
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
