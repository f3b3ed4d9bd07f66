"""Cells as phase contrast shows them: elongated, textured, aligned with their neighbours, round when they divide.

Belongs here: pictures of single cells and where they lie. Not here: precipitates, halos and light (`optics`).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from plate_assets.plates.simulate.settings import UM_PER_PX
from plate_assets.plates.simulate.stamps import smooth_noise, stamp

_SIZE = 80  # px, side of a cell's picture: 225 µm
_DIRECTIONS, _SHAPES = 24, 14
CROWDED = 190.0  # cells for each mm² at which growth stops


@dataclass(frozen=True)
class Cells:
    """thickness: phase of the cell layer (0 to about 1.5). cover: (rows, columns) bool. bright: light of round cells."""

    thickness: np.ndarray
    cover: np.ndarray
    bright: np.ndarray
    count: int


def cells_per_mm2(hours: float, seeded: float, doubling_h: float) -> float:
    """Logistic growth from `seeded` to CROWDED."""
    grown = 2 ** (hours / doubling_h)
    return seeded * grown / (1 + seeded / CROWDED * (grown - 1))


def draw_cells(
    shape: tuple[int, int],
    centre: tuple[float, float],
    radius: float,
    density: float,
    rounded_share: float,
    well_rng: np.random.Generator,
    visit_rng: np.random.Generator,
) -> Cells:
    """Cells on a disc. `well_rng` gives the places, the same at every visit (more cells later); `visit_rng` how they moved."""
    area_mm2 = np.pi * (radius * UM_PER_PX / 1000) ** 2
    field = smooth_noise(well_rng, shape, 170)  # where cells settled
    flow = smooth_noise(well_rng, shape, 260) * 1.6  # where they point to
    most = int(CROWDED * 1.3 * area_mm2)
    places = _places(field, centre, radius, most, well_rng)
    shapes = well_rng.integers(0, _SHAPES, most)
    wobble = well_rng.normal(0, 0.35, most)
    lot = well_rng.random(most)
    count = min(int(density * area_mm2), most)
    places = places[:count] + visit_rng.normal(0, 6, (count, 2))
    rows, cols = (np.clip(places[:, axis].astype(int), 0, shape[axis] - 1) for axis in (0, 1))
    direction = np.rint((flow[rows, cols] + wobble[:count]) / np.pi * _DIRECTIONS).astype(int) % _DIRECTIONS
    rounded = lot[:count] < rounded_share
    thickness, bright = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    flat = ~rounded
    which = direction[flat] * _SHAPES + shapes[:count][flat]
    stamp(thickness, _spread_cells(), which, places[flat], visit_rng.uniform(0.75, 1.25, flat.sum()))
    n_round = int(rounded.sum())
    stamp(
        bright,
        _round_cells(),
        visit_rng.integers(0, len(_round_cells()), n_round),
        places[rounded],
        visit_rng.uniform(0.5, 1.0, n_round),
    )
    cover = (thickness > 0.14) | (np.abs(bright) > 0.08)
    return Cells(1.4 * np.tanh(thickness / 1.4), cover, bright, count)


def _places(field: np.ndarray, centre: tuple[float, float], radius: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, 2) places in the disc, denser where the field is high."""
    distance = (radius - 6) * np.sqrt(rng.random(4 * n))
    angle = rng.uniform(0, 2 * np.pi, 4 * n)
    places = np.stack([centre[0] + distance * np.sin(angle), centre[1] + distance * np.cos(angle)], axis=1)
    at = np.clip(places.astype(int), 0, np.array(field.shape) - 1)
    weight = 1 / (1 + np.exp(-1.1 * field[at[:, 0], at[:, 1]]))
    chosen = np.flatnonzero(rng.random(4 * n) < weight)
    return places[np.concatenate([chosen, np.setdiff1d(np.arange(4 * n), chosen)])[:n]]


@lru_cache(maxsize=1)
def _spread_cells() -> np.ndarray:
    """(directions * shapes, s, s) thickness of spread cells: a tapered body, a second process, a nucleus, granules."""
    rng = np.random.default_rng(20_240_917)
    n = _DIRECTIONS * _SHAPES
    angle = (np.repeat(np.arange(_DIRECTIONS), _SHAPES) + rng.uniform(-0.4, 0.4, n)) * np.pi / _DIRECTIONS
    half = rng.uniform(12, 32, n)
    width = rng.uniform(4.0, 9.5, n) * np.sqrt(20 / half)
    body = _tapered(angle, half, width, rng.normal(0, 0.006, n), rng.uniform(1.0, 2.4, n), rng)
    side = _tapered(
        angle + rng.normal(0, 0.9, n), half * rng.uniform(0.5, 0.9, n), width * 0.55, rng.normal(0, 0.01, n), np.ones(n), rng
    )
    outline = np.maximum(body, side * (rng.random(n) < 0.7)[:, None, None])
    middle = _gaussian(angle, rng.uniform(3.0, 5.0, n), width * 0.55)
    grain = rng.standard_normal((n, _SIZE, _SIZE)).astype(np.float32)
    grain = ndimage.gaussian_filter(grain, (0, 0.9, 0.9)) - ndimage.gaussian_filter(grain, (0, 2.0, 2.0))
    grain /= grain.std()
    texture = 1 + 0.2 * grain * (1 - 0.4 * middle)
    return (outline * (0.30 + 0.60 * middle) * np.clip(texture, 0.1, None)).astype(np.float32)


def _grid() -> tuple[np.ndarray, np.ndarray]:
    at = np.arange(_SIZE, dtype=np.float32) - _SIZE // 2
    return at[None, :, None], at[None, None, :]


def _turned(angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y, x = _grid()
    c, s = np.cos(angle)[:, None, None].astype(np.float32), np.sin(angle)[:, None, None].astype(np.float32)
    return x * c + y * s, y * c - x * s


def _tapered(angle, half, width, bend, power, rng: np.random.Generator) -> np.ndarray:
    """(n, s, s) soft outline, 0 to 1, of bodies that taper to both ends, a little ragged."""
    n = angle.size
    u, v = _turned(angle)
    column = [value[:, None, None].astype(np.float32) for value in (half, width, bend, power)]
    half_, width_, bend_, power_ = column
    shift = rng.uniform(-0.25, 0.25, n)[:, None, None].astype(np.float32)
    along = np.clip(np.abs(u / half_ + shift * (1 - np.abs(u) / half_)), 0, 1)
    waves = rng.uniform(0, 2 * np.pi, n)[:, None, None].astype(np.float32)
    ragged = 1 + 0.22 * np.sin(u * 0.55 + waves) + 0.15 * np.sin(u * 1.1 + 2 * waves)
    edge = width_ * (1 - along**power_) * ragged
    return np.where(edge > 0.3, 1 / (1 + np.exp(np.clip((np.abs(v - bend_ * u**2) - edge) * 2.2, -30, 30))), 0).astype(
        np.float32
    )


def _gaussian(angle, long, short) -> np.ndarray:
    u, v = _turned(angle)
    return np.exp(-0.5 * ((u / long[:, None, None]) ** 2 + (v / np.maximum(short, 1.5)[:, None, None]) ** 2)).astype(np.float32)


@lru_cache(maxsize=1)
def _round_cells() -> np.ndarray:
    """(m, 25, 25) light of round cells: a bright body or a dark one with a bright rim, a dark ring, a faint halo."""
    rng = np.random.default_rng(20_240_918)
    m = 24
    at = np.arange(25, dtype=np.float32) - 12
    squeeze = rng.uniform(0.85, 1.15, m)[:, None, None]
    r = np.hypot(at[None, :, None] * squeeze, at[None, None, :] / squeeze)
    size = rng.uniform(2.6, 4.2, m)[:, None, None]
    core = rng.uniform(-0.2, 0.55, m)[:, None, None] * np.exp(-((r / (0.75 * size)) ** 4))
    rim = 0.5 * np.exp(-(((r - size) / 0.9) ** 2))
    ring = -0.25 * np.exp(-(((r - size - 2.2) / 1.0) ** 2))
    halo = 0.06 * np.exp(-(((r - size - 5) / 2.0) ** 2))
    return (core + rim + ring + halo).astype(np.float32)
