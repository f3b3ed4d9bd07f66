"""What falls out of a medium, and what dying cells leave: rash, grains and necrotic debris of 10-20 µm, needles.

Belongs here: pictures of single particles, how many at each severity, where they lie. Not here: look-alikes (`optics`).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from plate_assets.plates.simulate.stamps import smooth_noise, stamp

# Particles in a well at severity 1, 2, 3, 4; a well has four to a hundred of them for each tile at the end.
AMOUNT = {
    "rash": (90, 260, 750, 1900),
    "needles": (40, 110, 300, 750),
    "grains": (35, 100, 280, 700),
    "necrotic": (35, 100, 270, 650),
}
_PATCHY = {"rash": 2.2, "needles": 2.0, "grains": 1.2, "necrotic": 0.9}
_SIZE = 27


@dataclass(frozen=True)
class Precipitate:
    """light: what is added to the image. mask: (rows, columns) bool, the particles' pixels. count: particles."""

    light: np.ndarray
    mask: np.ndarray
    count: int


def draw_precipitate(
    shape: tuple[int, int],
    centre: tuple[float, float],
    radius: float,
    kind: str,
    severity: int,
    well_rng: np.random.Generator,
    visit_rng: np.random.Generator,
) -> Precipitate:
    """Particles of one kind in the disc; a well's later visits show the earlier particles and more."""
    light = np.zeros(shape, np.float32)
    if not severity:
        return Precipitate(light, np.zeros(shape, bool), 0)
    most = int(AMOUNT[kind][-1] * 1.5)
    amount = int(AMOUNT[kind][severity - 1] * well_rng.lognormal(0, 0.2))
    field = smooth_noise(well_rng, shape, 130)
    places, which = _places(field, centre, radius, most, _PATCHY[kind], well_rng), well_rng.integers(0, len(_bank(kind)), most)
    n = min(amount, most)
    places = places[:n] + (visit_rng.normal(0, 1.5, (n, 2)) if kind == "necrotic" else 0)
    bank = _bank(kind)
    stamp(light, bank, which[:n], places, visit_rng.uniform(0.6, 1.0, n))
    return Precipitate(0.55 * np.tanh(1.45 * light / 0.55), np.abs(light) > 0.05, n)


def _places(field, centre, radius, n: int, patchy: float, rng: np.random.Generator) -> np.ndarray:
    """(n, 2) places in the disc, the patchier the more they follow the hills of the field."""
    tries = 12 * n
    distance = (radius - 8) * np.sqrt(rng.random(tries))
    angle = rng.uniform(0, 2 * np.pi, tries)
    places = np.stack([centre[0] + distance * np.sin(angle), centre[1] + distance * np.cos(angle)], axis=1)
    at = np.clip(places.astype(int), 0, np.array(field.shape) - 1)
    weight = np.exp(patchy * np.clip(field[at[:, 0], at[:, 1]], -3, 1.5))
    return places[np.argsort(rng.exponential(1, tries) / weight)[:n]]  # a weighted draw without replacement


@lru_cache(maxsize=8)
def _bank(kind: str) -> np.ndarray:
    """(m, s, s) pictures of one particle, as light added to the image."""
    rng = np.random.default_rng([20_240_919, *kind.encode()])
    draw = {"rash": _rash, "needles": _needles, "grains": _grains, "necrotic": _necrotic}[kind]
    return draw(rng, 64).astype(np.float32)


def _offsets(n: int) -> tuple[np.ndarray, np.ndarray]:
    at = np.arange(_SIZE, dtype=np.float32) - _SIZE // 2
    return np.broadcast_to(at[None, :, None], (n, _SIZE, _SIZE)), np.broadcast_to(at[None, None, :], (n, _SIZE, _SIZE))


def _with_halo(body: np.ndarray, halo: float = 0.8, reach: float = 2.0) -> np.ndarray:
    """Phase contrast of a body: itself less its surroundings' mean, so that a dark body gets a bright rim."""
    return body - halo * ndimage.gaussian_filter(body, (0, reach, reach))


def _rash(rng: np.random.Generator, n: int) -> np.ndarray:
    """Fine grain, 3.5-4.5 px: dark, hardly any rim."""
    y, x = _offsets(n)
    size = rng.uniform(1.15, 1.6, n)[:, None, None]
    squeeze = rng.uniform(0.75, 1.3, n)[:, None, None]
    r2 = (y * squeeze) ** 2 + (x / squeeze) ** 2
    return _with_halo(-rng.uniform(0.20, 0.34, n)[:, None, None] * np.exp(-((r2 / size**2 / 1.6) ** 1.3)), 0.8, 1.8)


def _needles(rng: np.random.Generator, n: int) -> np.ndarray:
    """Needle of 1-1.5 px by 6-14 px (17-40 µm), alone or in a sheaf of two or three; one side bright, the other dark."""
    y, x = _offsets(n)
    total = np.zeros((n, _SIZE, _SIZE))
    for number in range(3):
        angle = rng.uniform(0, np.pi, n)[:, None, None]
        half = rng.uniform(3.0, 7.0, n)[:, None, None]
        u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        ends = 1 / (1 + np.exp((np.abs(u - 0.5 * half) - half) * 2.5))
        line = 0.34 * ends * (np.exp(-((v - 0.6) ** 2) / 0.8) - np.exp(-((v + 0.9) ** 2) / 0.8))
        total += line * (rng.random(n)[:, None, None] < (1.0, 0.5, 0.3)[number])
    return total * rng.uniform(0.6, 1.0, n)[:, None, None]


def _grains(rng: np.random.Generator, n: int) -> np.ndarray:
    """Angular crystal of 4-7 px: a polygon, dark edges, a brighter face."""
    y, x = _offsets(n)
    distance = np.full((n, _SIZE, _SIZE), -np.inf)
    turn = rng.uniform(0, 2 * np.pi, n)[:, None, None]
    for side in range(5):
        angle = turn + 2 * np.pi * side / 5 + rng.normal(0, 0.25, n)[:, None, None]
        distance = np.maximum(distance, x * np.cos(angle) + y * np.sin(angle) - rng.uniform(1.6, 3.2, n)[:, None, None])
    inside = 1 / (1 + np.exp(distance * 3))
    face = 1 / (1 + np.exp((distance + 1.4) * 3))
    return _with_halo(-0.34 * inside + rng.uniform(0.1, 0.5, n)[:, None, None] * face, 0.7, 2.0)


def _necrotic(rng: np.random.Generator, n: int) -> np.ndarray:
    """Debris of a dead cell, 3.5-7 px: a few dark blebs in a ragged clump, bright rims between them."""
    y, x = _offsets(n)
    body = np.zeros((n, _SIZE, _SIZE))
    for _ in range(5):
        at = rng.normal(0, 1.5, (2, n, 1, 1))
        size = rng.uniform(0.8, 1.5, n)[:, None, None]
        body += rng.uniform(0.1, 0.3, n)[:, None, None] * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2 * size**2))
    return _with_halo(-body, 1.15, 2.2)
