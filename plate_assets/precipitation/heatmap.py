"""Heat-maps: a detector's coarse map spread over the pixels that each of its values saw, by a fixed Gaussian.

Belongs here: the transposed convolution of the FCDD paper and the colour normalisation. Not here: drawing (`report`).
"""

import math

import numpy as np
import torch
from torch.nn import functional

from plate_assets.learning.catalogue import Backbone


def gaussian_sigma(receptive_px: int, input_px: int = 224) -> float:
    """Standard deviation of the kernel, px: the reference's rule below 32 px, its configuration for 224 px images above."""
    if receptive_px < 32:
        return math.log10(0.45 * receptive_px + 1) + 0.25
    return 8.0 * input_px / 224


def spread(maps: np.ndarray, backbone: Backbone, input_px: int, sigma: float | None = None) -> np.ndarray:
    """Maps (n, u, v) to (n, input_px, input_px) by a transposed convolution with a Gaussian, float32.

    Stride: the backbone's; kernel: its receptive field, cut off at four sigma, where the Gaussian is below 0.04 % of its peak.
    The weights at each pixel sum to one, so that a constant map stays constant up to the border (the reference lets it fade).
    """
    sigma = sigma or gaussian_sigma(backbone.receptive_px, input_px)
    side = min(backbone.receptive_px | 1, 2 * math.ceil(4 * sigma) + 1)
    place = torch.arange(side, dtype=torch.float32) - side // 2
    line = torch.exp(-0.5 * (place / sigma) ** 2)
    kernel = torch.outer(line, line)[None, None]
    coarse = torch.from_numpy(np.asarray(maps, np.float32))[:, None]
    both = torch.cat([coarse, torch.ones_like(coarse[:1])])
    wide = functional.conv_transpose2d(both, kernel, stride=backbone.stride_px)
    first = (input_px - 1 - (maps.shape[-1] - 1) * backbone.stride_px) // 2  # the map's grid lies centred on the input
    cropped = _crop(wide, side // 2 - first, input_px)
    return (cropped[:-1, 0] / cropped[-1:, 0].clamp_min(1e-12)).numpy()


def _crop(wide: torch.Tensor, start: int, size: int) -> torch.Tensor:
    """`size` pixels from `start` on both axes; what lies outside is zero."""
    before, after = max(0, -start), max(0, start + size - wide.shape[-1])
    padded = functional.pad(wide, (before, after, before, after))
    return padded[..., start + before : start + before + size, start + before : start + before + size]


def display_scale(values: np.ndarray, quantile: float = 0.93) -> tuple[float, float]:
    """What is drawn as nothing and as full colour: minimum and quantile of all values displayed; NaN do not count."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(np.quantile(finite, quantile))
    return low, high if high > low else low + 1.0
