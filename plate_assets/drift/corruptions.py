"""What microscopes and cameras do to images, in known doses: noise, blur, light, dust, compression.

Belongs here: each corruption, its levels, and one call for all of them, on single images and on stacks. Not here: what they do
to a model (`stability`).

Noise, blur, defocus, brightness and contrast are those of Pankova (Table 5); the table leaves the noise and the blur open. The
others are what else happens to plates: an uneven lamp, dust, compressed files, wrong exposure.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

_DUST_AT_ONCE = 2_000_000  # pixels of specks that are drawn at once
_SPECK_PX = (1.5, 4.0)  # smallest and largest radius of a speck's shadow, px
_SPECK_REACH = 2.6  # of a speck with its rings, in its radii
_SPECK_STEPS = 200  # of a speck's radius, at which its profile is known
_FULL_WELL = 10_000.0  # electrons of a pixel at full scale: what shot noise is reckoned from
_QUADRATURE = 4_096

Change = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
"""(n, h, w, c) shares of full scale, the level's parameter, and chance, to shares; what leaves [0, 1] is cut afterwards."""


@dataclass(frozen=True)
class Corruption:
    """One corruption. `levels` maps a severity, never 0, to the parameter, whose meaning and unit `parameter` says."""

    title: str
    parameter: str
    levels: Mapping[int, float]
    change: Change


def corrupt(
    name: str,
    images: np.ndarray,
    level: int,
    seed: "int | np.random.Generator" = 0,
    full_scale: tuple[float, float] | None = None,
) -> np.ndarray:
    """Images under a corruption of CORRUPTIONS at one of its levels; type and shape are kept, and level 0 changes no bit.

    images: (h, w), (n, h, w) or (n, h, w, 3); whole numbers or floats. Every image of a stack has its own noise and dust.
    full_scale: the values that are black and white, which the camera gives nothing beyond: the type's range for whole numbers,
    0 to 1 for floats where None. Pixels beyond are cut to it, at every level but 0. Brightness is in 1/255 of it.
    Raises ValueError for an unknown name or level, another type or shape, NaN, and floats beyond a range that was not given.
    """
    known = _known(name, level)
    _check(images)
    if level == 0 or images.size == 0:
        return images.copy()
    black, white = _range(images, full_scale)
    shares = ((images.astype(np.float32) - black) / (white - black)).clip(0, 1)
    stack = shares if images.ndim == 4 else shares.reshape(-1, *images.shape[-2:], 1)
    changed = known.change(stack, known.levels[level], np.random.default_rng(seed))
    values = changed.clip(0, 1).reshape(images.shape) * np.float32(white - black) + np.float32(black)
    return values.astype(images.dtype) if images.dtype.kind == "f" else np.rint(values).astype(images.dtype)


def levels_of(name: str) -> tuple[int, ...]:
    """The levels of a corruption, ascending, with 0."""
    return tuple(sorted({0, *_named(name).levels}))


def _named(name: str) -> Corruption:
    if name not in CORRUPTIONS:
        raise ValueError(f"{name!r} is no corruption: choose one of {', '.join(CORRUPTIONS)}")
    return CORRUPTIONS[name]


def _known(name: str, level: int) -> Corruption:
    known = _named(name)
    if level != 0 and level not in known.levels:
        raise ValueError(f"{name} has no level {level}: choose one of {', '.join(map(str, levels_of(name)))}")
    return known


def _check(images: np.ndarray) -> None:
    fits = images.ndim in (2, 3) or (images.ndim == 4 and images.shape[-1] == 3)
    if not fits or images.dtype.kind not in "uif":
        raise ValueError(
            f"images of shape {images.shape} and type {images.dtype}: (h, w), (n, h, w) or (n, h, w, 3) of numbers are needed"
        )
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        raise ValueError(f"{(~np.isfinite(images)).sum()} pixels are NaN or infinite: fill or leave out what was not imaged")


def _range(images: np.ndarray, full_scale: tuple[float, float] | None) -> tuple[float, float]:
    if full_scale is not None:
        if not full_scale[0] < full_scale[1]:
            raise ValueError(f"full_scale is {full_scale}: black, then white, and white is the larger one")
        return full_scale
    if images.dtype.kind != "f":
        return float(np.iinfo(images.dtype).min), float(np.iinfo(images.dtype).max)
    if images.min() < 0 or images.max() > 1:
        raise ValueError(
            f"floats from {images.min():.4g} to {images.max():.4g}: say what is black and white (full_scale), or scale to 0-1"
        )
    return 0.0, 1.0


def _gaussian_noise(shares: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    return shares + np.float32(sigma) * rng.standard_normal(shares.shape, dtype=np.float32)


def _gaussian_blur(shares: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    return ndimage.gaussian_filter(shares, (0, sigma, sigma, 0))


def _defocus(shares: np.ndarray, radius: float, rng: np.random.Generator) -> np.ndarray:
    return ndimage.correlate(shares, disc_kernel(radius)[None, :, :, None].astype(np.float32))


def disc_kernel(radius: float) -> np.ndarray:
    """(k, k) weights of a disc of this radius, px: the mean over the disc of the image between its pixels (bilinear).

    A pixel's weight is the disc's area under its tent, over πr². The area of the pixel's square under the disc, the other way
    to weigh, leaves a radius of 0.5 without any effect: that disc lies inside of one pixel.
    """
    if not radius > 0:
        raise ValueError(f"a disc of radius {radius}: a radius above 0, px, is needed")
    reach = int(np.ceil(radius + 1)) - 1  # the tent of a pixel further out does not meet the disc
    at = np.arange(-reach, reach + 1)
    angle = (np.arange(_QUADRATURE) + 0.5) * np.pi / _QUADRATURE - np.pi / 2
    across, half_chord = radius * np.sin(angle), radius * np.cos(angle)
    rows = np.clip(1 - np.abs(across - at[:, None]), 0, 1) * half_chord  # tents, times the width of each chord's strip
    cols = _tent_area(half_chord - at[:, None]) - _tent_area(-half_chord - at[:, None])
    kernel = rows @ cols.T
    return kernel / kernel.sum()


def _tent_area(x: np.ndarray) -> np.ndarray:
    """Area of the tent 1 - |x| left of x."""
    x = np.clip(x, -1, 1)
    return 0.5 + x - 0.5 * x * np.abs(x)


def _of_value(shares: np.ndarray, changed: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Change the value V of HSV, the brightest colour; hue and saturation stay. Grey is its own value."""
    value = shares.max(axis=-1, keepdims=True)
    new = changed(value).clip(0, 1)
    if shares.shape[-1] == 1:
        return new
    return np.where(value > 0, shares * (new / np.maximum(value, np.float32(1e-12))), new)


def _brightness(shares: np.ndarray, bias: float, rng: np.random.Generator) -> np.ndarray:
    return _of_value(shares, lambda value: value + np.float32(bias / 255))


def _brightness_absolute(shares: np.ndarray, bias: float, rng: np.random.Generator) -> np.ndarray:
    return _of_value(shares, lambda value: np.abs(value + np.float32(bias / 255)))


def _contrast(shares: np.ndarray, gain: float, rng: np.random.Generator) -> np.ndarray:
    return _of_value(shares, lambda value: value * np.float32(gain))


def _tilt(shares: np.ndarray, lost: float, rng: np.random.Generator) -> np.ndarray:
    row, col = (np.linspace(-0.5, 0.5, side, dtype=np.float32) for side in shares.shape[1:3])
    return shares * (1 + np.float32(lost / 2) * (row[:, None] + col))[None, :, :, None]


def _dust(shares: np.ndarray, covered: float, rng: np.random.Generator) -> np.ndarray:
    """Specks that shade what is behind them, with a bright and a dark ring around: they lie out of focus.

    The specks of a level are among those of each higher one: drawn for the highest, and thinned.
    """
    n, height, width, _ = shares.shape
    most = max(_DUST_LEVELS.values())
    mean_area = np.pi * (_SPECK_PX[0] ** 2 + _SPECK_PX[0] * _SPECK_PX[1] + _SPECK_PX[1] ** 2) / 3
    count = int(rng.poisson(n * height * width * most / mean_area))
    image, place = rng.integers(0, n, count), rng.uniform(0, (height, width), (count, 2))
    radius, depth = rng.uniform(*_SPECK_PX, count), rng.uniform(0.25, 0.7, count)
    kept = rng.random(count) < covered / most
    light = _shaded(shares.shape[:3], image[kept], place[kept], radius[kept], depth[kept])
    return shares * light[..., None]


def _shaded(shape: tuple[int, ...], image: np.ndarray, place: np.ndarray, radius: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """(n, h, w) share of the light that specks let through."""
    n, height, width = shape
    reach = int(np.ceil(_SPECK_PX[1] * _SPECK_REACH)) + 1
    offset = np.arange(-reach, reach + 1)
    at_once = max(1, _DUST_AT_ONCE // offset.size**2)
    table = _speck(np.arange(int(_SPECK_REACH * _SPECK_STEPS) + 1) / _SPECK_STEPS)
    shade = np.zeros(n * height * width)
    for start in range(0, len(image), at_once):
        some = slice(start, start + at_once)
        row = place[some, 0].astype(int)[:, None] + offset
        col = place[some, 1].astype(int)[:, None] + offset
        down, right = (row - place[some, :1]).astype(np.float32), (col - place[some, 1:]).astype(np.float32)
        ratio = np.hypot(down[:, :, None], right[:, None, :]) / radius[some, None, None]
        profile = table[np.minimum(ratio * _SPECK_STEPS, len(table) - 1).astype(np.int32)] * -depth[some, None, None]
        row, col = np.broadcast_arrays(row[:, :, None], col[:, None, :])
        inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
        flat = (image[some, None, None] * height + row) * width + col
        shade += np.bincount(flat[inside], profile[inside], minlength=shade.size)
    return np.maximum(1 + shade, 0.1).reshape(shape).astype(np.float32)


def _speck(ratio: np.ndarray) -> np.ndarray:
    """Light lost at a distance from a speck's centre, in its radii: a soft disc, a bright ring, a faint dark one."""
    disc = 0.5 * (1 - np.tanh((ratio - 1) * 5))
    bright, dark = np.exp(-(((ratio - 1.5) / 0.2) ** 2)), np.exp(-(((ratio - 2.1) / 0.2) ** 2))
    return disc - 0.3 * bright + 0.15 * dark


def _jpeg(shares: np.ndarray, quality: float, rng: np.random.Generator) -> np.ndarray:
    """What JPEG loses: the cosine coefficients of blocks of 8 × 8, rounded to steps that the quality sets (ITU-T T.81, K.1).

    The rest of the format loses nothing. Colours are each compressed as grey; the image is one of 8 bits afterwards.
    """
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality  # libjpeg's
    steps = np.clip(np.floor((_LUMINANCE_STEPS * scale + 50) / 100), 1, 255).astype(np.float32)[None, None, :, None, :, None]
    n, height, width, colours = shares.shape
    bits = np.rint(shares * 255) - 128
    padded = np.pad(bits, ((0, 0), (0, -height % 8), (0, -width % 8), (0, 0)), mode="edge")
    blocks = padded.reshape(n, padded.shape[1] // 8, 8, padded.shape[2] // 8, 8, colours)
    kept = np.rint(np.asarray(fft.dctn(blocks, axes=(2, 4), norm="ortho")) / steps) * steps
    back = np.asarray(fft.idctn(kept, axes=(2, 4), norm="ortho")).reshape(padded.shape)[:, :height, :width]
    return np.clip(np.rint(back) + 128, 0, 255) / np.float32(255)


def _exposure(shares: np.ndarray, stops: float, rng: np.random.Generator) -> np.ndarray:
    """More or less light at the camera: 2^stops times the electrons, each with its chance, cut at the full well."""
    electrons = rng.poisson(shares.astype(np.float64) * (_FULL_WELL * 2.0**stops))
    return (electrons / _FULL_WELL).astype(np.float32)


_LUMINANCE_STEPS = np.array([
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55], [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62], [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
])  # fmt: skip


def _levels(*positive: float, negative: tuple[float, ...] = ()) -> dict[int, float]:
    below = {-level: value for level, value in enumerate(negative, 1)}
    return below | dict(enumerate(positive, 1))


_DUST_LEVELS = _levels(0.002, 0.005, 0.01, 0.02, 0.05)
_BIAS = _levels(50, 90, 120, 135, 150, negative=(-50, -90, -120, -135, -150))

CORRUPTIONS: dict[str, Corruption] = {
    "gaussian_noise": Corruption(
        "Gaussian noise", "standard deviation, share of full scale", _levels(0.01, 0.02, 0.04, 0.08, 0.16), _gaussian_noise
    ),
    "gaussian_blur": Corruption("Gaussian blur", "standard deviation, px", _levels(0.5, 1, 1.5, 2, 3), _gaussian_blur),
    "defocus": Corruption("Defocus", "radius of the disc, px", _levels(0.5, 1, 1.5, 2, 3), _defocus),
    "brightness": Corruption("Brightness", "added, 1/255 of full scale", _BIAS, _brightness),
    "contrast": Corruption("Contrast", "gain", _levels(0.9, 0.8, 0.7, 0.5, 0.3, negative=(1.5, 2, 2.5, 3, 3.5)), _contrast),
    "illumination_tilt": Corruption(
        "Illumination tilt", "light from corner to corner, share of the mean", _levels(0.1, 0.2, 0.4, 0.7, 1), _tilt
    ),
    "dust": Corruption("Dust", "share of the image in a speck's shadow", _DUST_LEVELS, _dust),
    "jpeg": Corruption("JPEG", "quality", _levels(80, 50, 30, 15, 7), _jpeg),
    "exposure": Corruption(
        "Exposure", "stops of light", _levels(0.25, 0.5, 0.75, 1, 1.5, negative=(-0.5, -1, -2, -3, -4)), _exposure
    ),
    "brightness_absolute": Corruption(
        "Brightness, |x|", "added, 1/255 of full scale; below black it turns bright again, as OpenCV's convertScaleAbs has it",
        _BIAS, _brightness_absolute,
    ),
}  # fmt: skip
STUDIED = tuple(name for name in CORRUPTIONS if name != "brightness_absolute")  # that one repeats the thesis, no microscope
