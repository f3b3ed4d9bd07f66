"""Inference: a network over many images, as fast as the arithmetic allows, in bounded memory.

Belongs here: batches, memory layout, precision, fused batch norm, resizing. Not here: what is done with the outputs.

Every batch has one size. Kernels are chosen by shape, and another kernel rounds otherwise: a picture alone came out other than
among sixteen, by 1e-6 of its score in float32. In int8 one level of one value more or less spreads: two ways to round the same
exact sums parted by up to 7e-3 of a map's mean, in an untrained Xception.
"""

import copy
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from plate_assets.learning.int8 import Ranges, quantised

Precision = Literal["float32", "bfloat16", "int8"]
BATCH = 16


def prepared(
    model: nn.Module, precision: Precision = "float32", ranges: Ranges | None = None, shape: Sequence[int] = ()
) -> nn.Module:
    """A copy of the model for inference: batch norm folded into the convolutions, channels last, in the precision.

    int8 needs the ranges of its activations (`int8.observed_ranges` of the same copy in float32) and the shape of its batches,
    (n, c, h, w).
    """
    model = copy.deepcopy(model).eval()
    for module in list(model.modules()):
        _fold(module)
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    model = model.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return quantised(model, ranges or {}, shape) if precision == "int8" else model


def _fold(module: nn.Module) -> None:
    """Fold each batch norm that follows a convolution: among the children of a Sequential, or as `conv` and `bn` of a block."""
    if isinstance(module, nn.Sequential):
        names = list(module._modules)
        for first, second in zip(names, names[1:], strict=False):
            conv, norm = module._modules[first], module._modules[second]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module._modules[first], module._modules[second] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    conv, norm = getattr(module, "conv", None), getattr(module, "bn", None)
    if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
        module.conv, module.bn = fuse_conv_bn_eval(conv, norm), nn.Identity()


def as_tensor(images: np.ndarray, channels: int) -> torch.Tensor:
    """Images (n, h, w) or (n, h, w, 3), integer or float, as (n, channels, h, w) float32; integers as a share of full scale.

    Colour becomes grey, and grey becomes colour, where the network was made for the other.
    """
    scale = np.float32(1 / np.iinfo(images.dtype).max) if images.dtype.kind in "ui" else np.float32(1)
    if images.ndim == 3:
        batch = torch.from_numpy(np.multiply(images, scale, dtype=np.float32))[:, None]
        return batch.expand(-1, channels, -1, -1)
    batch = torch.from_numpy(np.multiply(images, scale, dtype=np.float32)).permute(0, 3, 1, 2)
    return batch if channels == 3 else batch.mean(1, keepdim=True)


def resized(batch: torch.Tensor, side: int) -> torch.Tensor:
    """The batch (n, c, h, w) at side × side, px: bilinear, with anti-aliasing where it shrinks."""
    if batch.shape[-2:] == (side, side):
        return batch
    shrinks = batch.shape[-1] > side or batch.shape[-2] > side
    return functional.interpolate(batch, (side, side), mode="bilinear", align_corners=False, antialias=shrinks)


def in_batches(images, size: int) -> Iterator[np.ndarray]:
    """Slices of an array-like of images, the next one read while the last one is computed with.

    Each has `size` images: where they run out, the last one is repeated. The results beyond `len(images)` are for nobody.
    """
    starts = range(0, len(images), size)

    def read(at: int) -> np.ndarray:
        return np.take(np.asarray(images[at : at + size]), range(size), axis=0, mode="clip")

    with ThreadPoolExecutor(1) as reader:
        ahead = None
        for start in starts:
            now, ahead = ahead, reader.submit(read, start)
            if now is not None:
                yield now.result()
        if ahead is not None:
            yield ahead.result()
