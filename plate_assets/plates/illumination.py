"""Illumination: how evenly a channel is lit, by the vendor's own profile or by the plate's images, and images without it.

Belongs here: profiles, where they come from, and dividing by them. Not here: flags for single images (`quality`), which
images are looked at (`fields`).
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Source = Literal["vendor", "estimated"]

GRID = 32  # a profile has so many places a side: light is smooth
DEGREE = 4  # of an estimated profile, as the vendors' are
JUMP = 0.25  # relative difference between places so near each other that only a wall makes
FEWEST = 8  # images that an estimate needs, each of another place of the plate
MOST = 64  # images that it takes
_BOUNDS = (0.2, 5.0)  # a correction beyond these would make noise out of what nobody saw
_POLYNOMIAL = re.compile(
    r"(Background|Foreground): \{(?:(?!Foreground).)*?Profile: \{Coefficients: (\[\[[-+\d.,eE\s\[\]]*\]\]), "
    r"Dims: (\[[^\]]*\]), Origin: (\[[^\]]*\]), Scale: (\[[^\]]*\])",
    re.DOTALL,
)


@dataclass(frozen=True)
class Profile:
    """Relative light over the field of one channel: (GRID, GRID) float64, mean 1, and where it came from."""

    grid: np.ndarray
    source: Source
    _over: dict[tuple[int, int], np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    def over(self, shape: tuple[int, int]) -> np.ndarray:
        """The profile over each pixel of (h, w), float32; the images of an acquisition share it."""
        if shape not in self._over:
            self._over.clear()
            self._over[shape] = self._spread(shape)
        return self._over[shape]

    def _spread(self, shape: tuple[int, int]) -> np.ndarray:
        from scipy.interpolate import RectBivariateSpline

        middle = (np.arange(GRID) + 0.5) / GRID
        rows, cols = ((np.arange(n) + 0.5) / n for n in shape)
        return RectBivariateSpline(middle, middle, self.grid, bbox=[0, 1, 0, 1])(rows, cols).astype(np.float32)


def corrected(image: np.ndarray, profile: Profile) -> np.ndarray:
    """The image (h, w) or (h, w, 3) as it would be under even light, of the same type; its mean level stays."""
    light = profile.over((image.shape[0], image.shape[1]))
    even = np.divide(image, light if image.ndim == 2 else light[..., None], dtype=np.float32)
    np.rint(np.clip(even, 0, np.iinfo(image.dtype).max, out=even), out=even)
    return even.astype(image.dtype)


def vendor_profile(text: str, *, fluorescence: bool) -> Profile | None:
    """The profile of Harmony's `FlatfieldProfile`: polynomials of background and foreground; None where it holds none.

    Fluorescence is corrected by the foreground's where there is one, transmitted light by the background's. The n-th list of
    coefficients holds the terms x^(n-j) y^j, j from 0; x and y are pixels less the origin, times the scale.
    """
    found = {kind: values for kind, *values in _POLYNOMIAL.findall(text)}
    chosen = found.get("Foreground" if fluorescence else "Background") or found.get("Background") or found.get("Foreground")
    if chosen is None:
        return None
    try:
        coefficients, dims, origin, scale = (json.loads(part) for part in chosen)
        places = [(np.arange(GRID) + 0.5) * float(n) / GRID - 0.5 for n in dims]
        x, y = ((place - float(start)) * float(by) for place, start, by in zip(places, origin, scale, strict=True))
        terms = (
            float(value) * np.outer(y**power, x ** (degree - power))
            for degree, row in enumerate(coefficients)
            for power, value in enumerate(row)
        )
        surface = np.sum(list(terms), axis=0)
    except (ValueError, TypeError, OverflowError):
        return None
    return _profile(surface, "vendor")


def estimated_profile(levels: np.ndarray) -> Profile | None:
    """The light that images of many wells share, from their block means (n, GRID, GRID), each of mean 1; None for too few.

    See `smooth_light`; it is taken through the median over the wells.

    What is in a well differs from well to well, the lamp does not; the median leaves out what only some show.
    """
    if len(levels) < FEWEST:
        return None
    return _profile(smooth_light(np.median(levels, axis=0)), "estimated")


def smooth_light(grid: np.ndarray) -> np.ndarray:
    """The surface of fourth degree through a (GRID, GRID) map of grey, robustly fitted where light comes through.

    Beyond a well's wall, which is a jump that no light makes, the surface goes on with its nearest value inside.
    """
    from scipy import ndimage

    lit = _lit(grid)
    place = np.linspace(-1, 1, GRID)
    row, col = np.meshgrid(place, place, indexing="ij")
    terms = np.stack([row**i * col**j for i in range(DEGREE + 1) for j in range(DEGREE + 1 - i)], axis=-1)
    seen, level = terms[lit], grid[lit]
    weight, fitted = np.ones_like(level), level
    for _ in range(4):  # what stands out of the surface is in the wells, not in the light: it counts less (Cauchy weights)
        fitted = seen @ np.linalg.lstsq(seen * weight[:, None], level * weight, rcond=None)[0]
        spread = float(np.median(np.abs(level - fitted))) * 1.4826
        weight = 1 / np.sqrt(1 + ((level - fitted) / (2 * spread)) ** 2) if spread else weight
    surface = np.zeros_like(grid)
    surface[lit] = fitted
    nearest: Any = ndimage.distance_transform_edt(~lit, return_distances=False, return_indices=True)
    return surface[tuple(nearest)]


def _lit(grid: np.ndarray) -> np.ndarray:
    """The places (GRID, GRID) that are joined to the middle without a jump: all of them where no wall is in the field."""
    from scipy import ndimage

    calm = ndimage.median_filter(grid, 3, mode="nearest")
    step = (ndimage.maximum_filter(calm, 3) - ndimage.minimum_filter(calm, 3)) / np.maximum(calm, 1e-9)
    labelled: Any = ndimage.label(step < JUMP)
    parts = labelled[0]
    middle = parts[GRID // 3 : -(GRID // 3), GRID // 3 : -(GRID // 3)]
    counts = np.bincount(middle[middle > 0], minlength=2)
    everywhere = np.ones_like(grid, dtype=bool)
    inside = np.asarray(ndimage.binary_fill_holes(parts == counts.argmax())) if counts.any() else everywhere
    return inside if 0.2 * inside.size < inside.sum() < 0.95 * inside.size else everywhere


def block_means(image: np.ndarray) -> np.ndarray:
    """Mean grey of (GRID, GRID) blocks of an image (h, w) or (h, w, 3), float64."""
    from plate_assets.plates.images import to_grey

    grey = to_grey(image)
    edges = [np.linspace(0, n, GRID + 1).astype(int)[:-1] for n in grey.shape]
    sums = np.add.reduceat(np.add.reduceat(grey, edges[0], axis=0, dtype=np.float64), edges[1], axis=1)
    counts = [np.diff(np.append(edge, n)) for edge, n in zip(edges, grey.shape, strict=True)]
    return sums / np.maximum(np.outer(*counts), 1)


def falloff(grid: np.ndarray) -> float:
    """1 - darkest / brightest place of a smooth (GRID, GRID) profile: 0 is even light."""
    return float(1 - grid.min() / grid.max()) if grid.max() > 0 else 0.0


def _profile(surface: np.ndarray, source: Source) -> Profile | None:
    if not np.isfinite(surface).all() or surface.mean() <= 0:
        return None
    return Profile(np.clip(surface / surface.mean(), *_BOUNDS), source)
