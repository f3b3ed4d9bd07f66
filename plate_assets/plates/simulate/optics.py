"""From what lies in a well to what a camera sees: phase contrast, wall, uneven light, focus, dust, noise.

Belongs here: everything between the cells and the file, and the normal look-alikes of a precipitate. Not here: the cells and
the precipitates themselves.
"""

from functools import lru_cache

import numpy as np
from scipy import ndimage

from plate_assets.plates.simulate.plan import PlateLook
from plate_assets.plates.simulate.stamps import smooth_noise, stamp

HALO_PX = 5.0
RIM_PX = 1.6
FULL = {"uint8": 255, "uint16": 65535}


def phase_contrast(thickness: np.ndarray) -> np.ndarray:
    """Light lost or won through the phase: the phase less its surroundings' mean (Zernike's ring passes the mean).

    So cells are dark with bright rims and halos, and a layer has little contrast deep inside.
    """
    wide = ndimage.gaussian_filter(thickness, HALO_PX, truncate=2.5)
    narrow = ndimage.gaussian_filter(thickness, RIM_PX, truncate=2.5)
    return -0.60 * thickness + np.float32(0.37) * narrow + np.float32(0.19) * wide


def look_alikes(
    shape: tuple[int, int], centre: tuple[float, float], radius: float, specks: float, dust: float, rng: np.random.Generator
):
    """What a normal well shows and a detector must not call: fine protein specks, dust in and out of focus, bubbles, fibres."""
    light = np.zeros(shape, np.float32)
    fine, rings, coarse = _specks(), _dust_rings(), _dust()
    n = int(rng.poisson(specks))
    stamp(light, fine, rng.integers(0, len(fine), n), _anywhere(centre, radius, n, rng), rng.uniform(0.3, 1.0, n))
    n = int(rng.poisson(9 * dust))
    stamp(light, coarse, rng.integers(0, len(coarse), n), _anywhere(centre, 1.3 * radius, n, rng), rng.uniform(0.5, 1.1, n))
    n = int(rng.poisson(7 * dust))
    stamp(light, rings, rng.integers(0, len(rings), n), rng.uniform(0, shape, (n, 2)), rng.uniform(0.3, 1.0, n))
    if rng.random() < 0.10:
        _bubble(light, _anywhere(centre, 0.9 * radius, 1, rng)[0], rng.uniform(8, 45))
    if rng.random() < 0.18 * dust:
        _fibre(light, _anywhere(centre, 0.8 * radius, 1, rng)[0], rng)
    return light


def expose(
    light: np.ndarray,
    centre: tuple[float, float],
    radius: float,
    look: PlateLook,
    blur: float,
    dtype: str,
    rng: np.random.Generator,
) -> np.ndarray:
    """The image: (rows, columns) of `dtype`, from `light` around 0 in the disc."""
    shape = light.shape
    if blur > 0.05:
        light = ndimage.gaussian_filter(light, blur, truncate=3)
    row = (np.arange(shape[0], dtype=np.float32) - centre[0])[:, None]
    col = (np.arange(shape[1], dtype=np.float32) - centre[1])[None, :]
    distance = np.hypot(row, col)
    table, step = _wall(radius, float(rng.uniform(0.8, 1.2)))
    wall = table[np.minimum(distance * np.float32(1 / step), len(table) - 1).astype(np.int32)]
    half = shape[0] / 2
    tilt = [float(t) for t in look.tilt + rng.normal(0, 0.015, 2)]
    lamp = 1 + tilt[0] * row / half + tilt[1] * col / half - look.bowl * ((row / half) ** 2 + (col / half) ** 2)
    inside = 1 / (1 + np.exp(np.clip((distance - radius + 2) * 1.2, -30, 30)))
    image = look.exposure * float(rng.normal(1, 0.02)) * lamp * (wall + look.contrast * 2 * light * inside)
    image += np.float32(0.008) * smooth_noise(rng, shape, 110)  # pyright: ignore[reportArgumentType]
    image += np.float32(look.noise) * rng.standard_normal(shape, dtype=np.float32)
    full = FULL[dtype]
    return np.clip(np.rint(image * full), 0, full).astype(dtype)


@lru_cache(maxsize=64)
def _wall(radius: float, steep: float) -> tuple[np.ndarray, float]:
    """Brightness along the radius: even, a meniscus that darkens towards the wall, a bright edge, the dark wall."""
    step = 0.25
    r = np.arange(0, 1.75 * radius, step)
    meniscus = 1 - 0.10 * steep * np.exp(-np.clip(radius - r, 0, None) / 28)
    edge = 0.55 * steep * np.exp(-0.5 * ((r - radius - 5) / 2.2) ** 2) + 0.12 * np.exp(-0.5 * ((r - radius - 34) / 7) ** 2)
    inside = 1 / (1 + np.exp(np.clip((r - radius) / 1.2, -30, 30)))
    outside = 0.34 + 0.06 * np.cos((r - radius) / 30)
    return (inside * meniscus + (1 - inside) * outside + edge).astype(np.float32), step


def _anywhere(centre: tuple[float, float], radius: float, n: int, rng: np.random.Generator) -> np.ndarray:
    distance, angle = radius * np.sqrt(rng.random(n)), rng.uniform(0, 2 * np.pi, n)
    return np.stack([centre[0] + distance * np.sin(angle), centre[1] + distance * np.cos(angle)], axis=1)


def _polar(m: int, size: int) -> np.ndarray:
    at = np.arange(size, dtype=np.float32) - size // 2
    return np.broadcast_to(np.hypot(at[:, None], at[None, :]), (m, size, size))


@lru_cache(maxsize=1)
def _specks() -> np.ndarray:
    """Fine dark specks of 1.5-3 px (below 8 µm)."""
    rng = np.random.default_rng(1)
    size = rng.uniform(0.6, 1.05, 32)[:, None, None]
    body = -rng.uniform(0.08, 0.26, 32)[:, None, None] * np.exp(-((_polar(32, 13) / size) ** 2) / 2)
    return (body - 0.7 * ndimage.gaussian_filter(body, (0, 1.6, 1.6))).astype(np.float32)


@lru_cache(maxsize=1)
def _dust() -> np.ndarray:
    """Dust in focus: a dark or glittering body of 2-8 px, as sharp as a crystal, but alone."""
    rng = np.random.default_rng(2)
    m, size = 48, 33
    at = np.arange(size, dtype=np.float32) - size // 2
    body = np.zeros((m, size, size))
    for _ in range(4):
        place = rng.normal(0, 1.6, (2, m, 1, 1))
        width = rng.uniform(0.7, 2.0, (2, m, 1, 1))
        body += rng.uniform(-0.42, 0.16, (m, 1, 1)) * np.exp(
            -((at[None, :, None] - place[0]) ** 2) / (2 * width[0] ** 2)
            - ((at[None, None, :] - place[1]) ** 2) / (2 * width[1] ** 2)
        )
    return (body - 0.8 * ndimage.gaussian_filter(body, (0, 2.2, 2.2))).clip(-0.5, 0.5).astype(np.float32)


@lru_cache(maxsize=1)
def _dust_rings() -> np.ndarray:
    """Dust out of focus: wide, faint rings."""
    rng = np.random.default_rng(3)
    m = 16
    r, size = _polar(m, 81), rng.uniform(7, 30, m)[:, None, None]
    ring = np.exp(-0.5 * ((r - size) / 2.0) ** 2) - 0.6 * np.exp(-0.5 * ((r - size + 4) / 2.5) ** 2)
    return (rng.choice([-0.06, 0.06], m)[:, None, None] * ring).astype(np.float32)


def _bubble(light: np.ndarray, place: np.ndarray, size: float) -> None:
    reach = int(size) + 12
    r = _polar(1, 2 * reach + 1)
    ring = -0.35 * np.exp(-0.5 * ((r - size) / 2.2) ** 2) + 0.28 * np.exp(-0.5 * ((r - size + 5) / 2.0) ** 2)
    stamp(light, (ring + 0.08 * (r < size - 6)).astype(np.float32), np.array([0]), place[None], np.array([1.0]))


def _fibre(light: np.ndarray, place: np.ndarray, rng: np.random.Generator) -> None:
    """A thin textile fibre: a curve of many small dark dots."""
    n = int(rng.uniform(60, 260))
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.035, n))
    path = place + np.cumsum(np.stack([np.sin(heading), np.cos(heading)], axis=1), axis=0)
    dot = -0.22 * np.exp(-(_polar(1, 9) ** 2) / 2)
    stamp(light, dot.astype(np.float32), np.zeros(n, dtype=int), path, np.full(n, 0.8))
