"""Stamping: small pictures of things put into a large one. Belongs here: the stamping. Not here: what the things look like."""

import numpy as np


def stamp(target: np.ndarray, bank: np.ndarray, which: np.ndarray, centres: np.ndarray, gains: np.ndarray) -> None:
    """Add `gains[k] * bank[which[k]]` to `target` around each centre, in place; what lies outside is cut off.

    target: (rows, columns); bank: (m, s, s); which: (n,) int; centres: (n, 2) row and column, px; gains: (n,).
    """
    size = bank.shape[1]
    corners = np.rint(np.asarray(centres)).astype(int) - size // 2
    rows, cols = target.shape
    for (row, col), number, gain in zip(corners.tolist(), np.asarray(which).tolist(), np.asarray(gains).tolist(), strict=True):
        top, left, bottom, right = max(row, 0), max(col, 0), min(row + size, rows), min(col + size, cols)
        if top < bottom and left < right:
            target[top:bottom, left:right] += gain * bank[number, top - row : bottom - row, left - col : right - col]


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], scale_px: float) -> np.ndarray:
    """A smooth random field of deviation 1.2 or so, about `scale_px` between its hills: a cubic spline through random knots."""
    from scipy import ndimage

    coarse = rng.standard_normal([int(np.ceil(size / scale_px)) + 4 for size in shape]).astype(np.float32)
    knots = ndimage.spline_filter(coarse, order=3, output=np.float32)  # pyright: ignore[reportArgumentType]
    rows, cols = (_spline(size, n, scale_px) for size, n in zip(shape, knots.shape, strict=True))
    return np.float32(1.5) * (rows @ knots @ cols.T)


def _spline(size: int, knots: int, scale_px: float) -> np.ndarray:
    """(size, knots) weights of a uniform cubic B-spline."""
    apart = np.abs(np.arange(size, dtype=np.float32)[:, None] / scale_px + 1 - np.arange(knots, dtype=np.float32))
    return np.where(apart < 1, 2 / 3 - apart**2 + apart**3 / 2, np.maximum(2 - apart, 0) ** 3 / 6)
