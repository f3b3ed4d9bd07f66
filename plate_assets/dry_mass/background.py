"""What is no cell: a surface fitted to the background of each frame, and taken off.

Belongs here: offset, tilt and low-order curvature of one frame, and its noise. Not here: what a cell is (`cells`), units
(`phase`).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

Profile = Literal["none", "offset", "tilt", "poly2"]
EXPONENTS: dict[Profile, tuple[tuple[int, int], ...]] = {  # powers of x and y, each from -1 to 1 over the field
    "none": (),
    "offset": ((0, 0),),
    "tilt": ((0, 0), (1, 0), (0, 1)),
    "poly2": ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)),
}
SAMPLES = 16_384  # pixels that the surface is fitted to: more do not make a plane better
ROUGH_SAMPLES = 4_096  # and that are enough to find where it lies
LEAST_SHARE = 0.01  # of the field: with less background than this its level is a guess, and said to be one
TO_SIGMA = 1.4826  # median of absolute deviations to the standard deviation of a normal distribution
ROUNDING = 12**-0.5  # standard deviation of rounding to whole numbers
CLIP = 3.0  # background lies within this many standard deviations
ONE_SIDED = 0.0025  # ratio of the eigenvalues of the surface's terms below which the background tells no tilt
UNEVEN = 5.0  # times the noise from pixel to pixel: background of real instruments is uneven by less
NEAR_PX = 7  # window in which a pixel beside a cell is noticed
ROUNDS = 20


@dataclass(frozen=True)
class Background:
    """What was removed from one frame.

    coefficients: of `EXPONENTS[profile]`, in the frame's unit, x and y from -1 to 1 over the field. noise: standard deviation
    of the background about the surface. share: part of the field that was taken for background, 0 to 1. problem: empty, or
    what is wrong.
    """

    profile: Profile
    coefficients: tuple[float, ...]
    noise: float
    share: float
    problem: str = ""

    @property
    def offset(self) -> float:
        """The surface in the middle of the field."""
        return self.coefficients[0] if self.coefficients else 0.0

    @property
    def tilt(self) -> tuple[float, float]:
        """How much the surface rises from the left to the right border, and from the upper to the lower one."""
        return (2 * self.coefficients[1], 2 * self.coefficients[2]) if len(self.coefficients) > 1 else (0.0, 0.0)

    def surface(self, shape: tuple[int, ...]) -> np.ndarray:
        """(h, w) float32 surface."""
        x, y = _axes(shape)
        surface = np.zeros(shape, np.float32)
        for coefficient, (px, py) in zip(self.coefficients, EXPONENTS[self.profile], strict=True):
            surface += np.float32(coefficient) * y[:, None] ** py * x[None, :] ** px
        return surface


def fit_background(frame: np.ndarray, profile: Profile = "tilt") -> Background:
    """Fit a surface to what is no cell.

    frame: (h, w) finite values, cells above the background; they may cover most of the field. A first surface sinks through the
    cells; it is fitted again to what lies within three standard deviations of it, without the skirts of cells, until nothing
    changes. Flat noise stays as it is. Where less than a hundredth of the field is background, or it lies too much on one side
    to tell a tilt, `problem` says so and only the offset is removed; it also says where the background is uneven far beyond the
    noise from pixel to pixel, as it seems where cells cover nearly all.
    Raises ValueError for a frame that is no image or not finite, and for an unknown profile.
    """
    if profile not in EXPONENTS:
        raise ValueError(f"the background profile {profile!r} is none of {', '.join(EXPONENTS)}: name one of them")
    if frame.ndim != 2 or min(frame.shape) < 2:
        raise ValueError(f"a frame of shape {frame.shape} was given, and (rows, columns) of 2 px or more are needed")
    whole = np.issubdtype(frame.dtype, np.integer)
    frame = np.asarray(frame, np.float32)
    if not np.isfinite(frame).all():
        raise ValueError("the frame has pixels that are not finite: fill them, or leave the frame out")
    step = max(1, round((frame.size / SAMPLES) ** 0.5))
    values, design = _samples(frame, step, profile)
    if whole:  # whole numbers would make a comb of the histogram: spread them evenly over their rounding
        values = values + (np.arange(values.size) * 0.6180339887 % 1 - 0.5)
    least = ROUNDING if whole else 0.0
    grain = max(_grain(frame), least)
    if profile == "none":
        level, noise = _level(values, grain, least)
        return Background(profile, (), noise, float((np.abs(values - level) <= CLIP * noise).mean()))
    surface = _first_surface(values, design, grain)
    apart = taken = np.ones(values.size, bool)  # apart from cells and their skirts
    for turn in range(ROUNDS):
        residual = values - design @ surface
        noise = max(_lower_spread(residual[apart]), least)
        taken = apart & (np.abs(residual) <= CLIP * noise)
        terms = design[taken]
        gram = terms.T @ terms
        spread = np.linalg.eigvalsh(gram)
        if spread[0] <= ONE_SIDED * spread[-1] or taken.mean() < LEAST_SHARE:
            return _offset_only(profile, values, float(taken.mean()), grain, least)
        fitted = np.linalg.solve(gram, terms.T @ values[taken])
        moved = np.abs(design @ (fitted - surface)).max()
        surface = fitted
        if turn in (0, 1):  # the first look at the whole frame is along a rough surface, the second along a good one
            rest = frame - Background(profile, tuple(fitted), noise, 0.0).surface(frame.shape)
            apart = ~_beside_cells(rest, step)
            if apart.mean() < LEAST_SHARE:
                apart = np.ones_like(apart)
        elif moved <= 0.02 * noise:
            break
    noise = max(float((values - design @ surface)[taken].std()), least)
    problem = "background uneven: cells may cover nearly all of the field" if noise > UNEVEN * grain else ""
    return Background(profile, tuple(float(c) for c in surface), noise, float(taken.mean()), problem)


def remove_background(frame: np.ndarray, background: Background) -> np.ndarray:
    """(h, w) float32 frame without its background."""
    return np.asarray(frame, np.float32) - background.surface(frame.shape)


def _axes(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    return np.linspace(-1, 1, shape[1], dtype=np.float32), np.linspace(-1, 1, shape[0], dtype=np.float32)


def _samples(frame: np.ndarray, step: int, profile: Profile) -> tuple[np.ndarray, np.ndarray]:
    """Every `step`-th pixel of every `step`-th row (n,), and the surface's terms there (n, terms)."""
    x, y = (axis[::step].astype(float) for axis in _axes(frame.shape))
    values = frame[::step, ::step].astype(float)
    terms = [np.broadcast_to(y[:, None] ** py * x[None, :] ** px, values.shape).ravel() for px, py in EXPONENTS[profile]]
    return values.ravel(), np.stack(terms, axis=1) if terms else np.zeros((values.size, 0))


def _first_surface(values: np.ndarray, design: np.ndarray, grain: float) -> np.ndarray:
    """A surface along the lower side of the values (terms,): asymmetric least squares, with a scale that shrinks to the grain.

    What lies above the surface counts the less the farther it lies, what lies below counts in full: the surface sinks through
    the cells until it rests on the background, as baselines of spectra are corrected (Baek et al. 2015, Analyst 140, 250).
    """
    thin = max(1, values.size // ROUGH_SAMPLES)
    values, design = values[::thin], design[::thin]
    surface = np.linalg.lstsq(design, values, rcond=None)[0]
    scale = float(np.std(values - design @ surface))
    while scale > grain:
        scale = max(0.7 * scale, grain)
        for _ in range(2):
            far = (values - design @ surface) / scale
            weight = np.where(far > 0, np.exp(-0.5 * far**2), np.minimum(1, 3 / np.maximum(-far, 1e-9)))
            weighted = design * weight[:, None]
            surface = np.linalg.lstsq(weighted.T @ design, weighted.T @ values, rcond=None)[0]
    return surface


def _grain(frame: np.ndarray) -> float:
    """Standard deviation of what changes from one pixel to the next: noise, since cells and background are smooth."""
    step = np.diff(frame[:: 1 + frame.shape[0] // 256], axis=1)
    spread = TO_SIGMA * float(np.median(np.abs(step))) / 2**0.5
    return max(spread, 1e-3 * float(np.ptp(frame)), 1e-12)


def _level(values: np.ndarray, grain: float, least: float) -> tuple[float, float]:
    """Level and noise of the background of a flat field."""
    level = float(_first_surface(values, np.ones((values.size, 1)), grain)[0])
    for _ in range(ROUNDS):
        noise = max(_lower_spread(values - level), least)
        inner = values[np.abs(values - level) <= CLIP * noise]
        level = float(inner.mean()) if inner.size else level
    return level, max(_lower_spread(values - level), least)


def _lower_spread(residual: np.ndarray) -> float:
    """Standard deviation of the noise, from the side where no cells are."""
    below = residual[residual < 0]
    return TO_SIGMA * float(np.median(-below)) if below.size else 0.0


def _beside_cells(rest: np.ndarray, step: int) -> np.ndarray:
    """(n,) samples where the mean over some pixels stands out above the background's unevenness: cells and their skirts."""
    mean = ndimage.uniform_filter(rest, NEAR_PX, mode="nearest")
    level, noise = _level(mean[::step, ::step].ravel().astype(float), _grain(mean), 0.0)
    return ndimage.maximum_filter(mean > level + CLIP * noise, NEAR_PX)[::step, ::step].ravel()


def _offset_only(profile: Profile, values: np.ndarray, share: float, grain: float, least: float) -> Background:
    """The offset alone, with the reason: a tilt from a corner of background would tilt every mass in the field."""
    why = "covers too little of the field" if share < LEAST_SHARE else "lies on one side of the field"
    level, noise = _level(values, grain, least)
    share = float((np.abs(values - level) <= CLIP * max(noise, 1e-12)).mean())
    coefficients = (level,) + (0.0,) * (len(EXPONENTS[profile]) - 1)
    return Background(profile, coefficients, noise, share, f"background {why}: only its offset was removed")
