"""Heat-maps: a detector's coarse map spread over the pixels that each of its values saw, by a fixed Gaussian.

Belongs here: the transposed convolution of the FCDD paper and the colour normalisation. Not here: drawing (`report`).
"""

import math

import numpy as np

from plate_assets.learning.catalogue import Backbone


def gaussian_sigma(receptive_px: int, input_px: int = 224) -> float:
    """Standard deviation of the kernel, px: the reference's rule below 32 px, its configuration for 224 px images above."""
    if receptive_px < 32:
        return math.log10(0.45 * receptive_px + 1) + 0.25
    return 8.0 * input_px / 224


def spread(
    maps: np.ndarray, backbone: Backbone, input_px: int, sigma: float | None = None, side: int | None = None
) -> np.ndarray:
    """Maps (n, u, v) to (n, side, side) by a transposed convolution with a Gaussian, float32; side: input_px where None.

    Stride: the backbone's; kernel: its receptive field, cut off at four sigma, where the Gaussian is below 0.04 % of its peak.
    The weights at each pixel sum to one, so that a constant map stays constant up to the border (the reference lets it fade).
    The Gaussian of two axes is the product of one for each, so that the whole is two products with small matrices; a picture
    of another side takes the Gaussian at the middles of its own pixels.
    """
    sigma = sigma or gaussian_sigma(backbone.receptive_px, input_px)
    coarse = np.asarray(maps, np.float32)
    rows, cols = (_weights(size, backbone, input_px, sigma, side or input_px) for size in coarse.shape[1:])
    return rows @ coarse @ cols.T


def _weights(size: int, backbone: Backbone, input_px: int, sigma: float, side: int) -> np.ndarray:
    """(side, size) share of each value of a map in each pixel along one axis; the map's grid lies centred on the input."""
    reach = min(backbone.receptive_px | 1, 2 * math.ceil(4 * sigma) + 1) // 2
    first = (input_px - 1 - (size - 1) * backbone.stride_px) // 2
    pixels = (np.arange(side) + 0.5) * input_px / side - 0.5
    distance = pixels[:, None] - (first + backbone.stride_px * np.arange(size))[None, :]
    weights = np.where(np.abs(distance) <= reach, np.exp(-0.5 * (distance / sigma) ** 2), 0)
    return (weights / np.maximum(weights.sum(1, keepdims=True), 1e-12)).astype(np.float32)


def display_scale(values: np.ndarray, quantile: float = 0.93) -> tuple[float, float]:
    """What is drawn as nothing and as full colour: minimum and quantile of all values displayed; NaN do not count."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(np.quantile(finite, quantile))
    return low, high if high > low else low + 1.0
