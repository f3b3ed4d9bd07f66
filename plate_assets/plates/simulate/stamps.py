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
    """A smooth random field of unit variance, about `scale_px` between its hills; drawn coarsely and interpolated."""
    from scipy import ndimage

    n_rows, n_cols = (int(np.ceil(size / scale_px)) + 4 for size in shape)
    coarse = rng.standard_normal((n_rows, n_cols)).astype(np.float32)
    row = np.arange(shape[0], dtype=np.float32) / scale_px + 1
    col = np.arange(shape[1], dtype=np.float32) / scale_px + 1
    knots = ndimage.spline_filter(coarse, order=3, output=np.float32)  # pyright: ignore[reportArgumentType]
    step = 8 if min(shape) >= 64 else 1  # the field is smooth: every eighth pixel is enough, then linear
    rough = ndimage.map_coordinates(knots, np.meshgrid(row[::step], col[::step], indexing="ij"), order=3, prefilter=False)
    if step > 1:
        rough = np.repeat(np.repeat(rough, step, axis=0), step, axis=1)[: shape[0], : shape[1]]
        rough = ndimage.uniform_filter(rough, step, mode="nearest")
    return rough * np.float32(1.5)
