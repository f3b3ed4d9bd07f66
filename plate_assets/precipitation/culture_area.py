"""The culture area of a well: a disc, assumed or found in the image.

Belongs here: the disc, its mask, the search for the well's wall. Not here: the tiles inside it (`geometry`).
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from plate_assets.plates.images import binned

REFERENCE_UM_PER_PX = 2.82
CULTURE_AREA_PX = 925_112  # Yasuno's culture area: a radius of 542.65 px
CULTURE_RADIUS_UM = float(np.sqrt(CULTURE_AREA_PX / np.pi)) * REFERENCE_UM_PER_PX  # 1530.3 µm
RADIUS_TOLERANCE = 0.06  # how far a found radius may lie from the expected one
MIN_WALL_SHARE = 0.5  # share of the wall's directions in which an edge must be found
RIM, RIM_SHARE = 0.03, 0.25  # a rim's width as a share of the radius, at most; its edges' steepness of the steepest, at least
_DIRECTIONS = 180


@dataclass(frozen=True)
class CultureArea:
    """A disc in an image, px; pixel centres lie at integers. `found` is False where it is only assumed."""

    row: float
    col: float
    radius: float
    found: bool = False


def default_culture_area(shape: tuple[int, ...], um_per_px: float | None = None) -> CultureArea:
    """The disc of 1530.3 µm radius in the middle of the image; (599.5, 599.5) and 542.65 px for 1200 x 1200 px at 2.82 µm."""
    radius = CULTURE_RADIUS_UM / (um_per_px or REFERENCE_UM_PER_PX)
    return CultureArea((shape[0] - 1) / 2, (shape[1] - 1) / 2, radius)


def culture_mask(shape: tuple[int, ...], area: CultureArea) -> np.ndarray:
    """(rows, columns) bool, True where the pixel's centre lies in the disc: 925,072 px for the default disc."""
    rows = (np.arange(shape[0]) - area.row) ** 2
    cols = (np.arange(shape[1]) - area.col) ** 2
    return cols <= (area.radius**2 - rows)[:, None]


def find_culture_area(image: np.ndarray, um_per_px: float | None = None) -> CultureArea:
    """Find the wall of the well: centre and radius in px, or the default disc with `found=False` where nothing convinces.

    image: (rows, columns), any real type. um_per_px: pixel size, 2.82 where unknown; the radius is expected within 6 % of
    1530.3 µm. Two steps on the image shrunk to about 300 px: strong edges vote for centres along their gradient (Hough, with
    the radius known roughly), then the edge is read along 180 directions and a circle is fitted to those that agree. Where the
    wall has a rim, the rim's inner edge counts.
    """
    default = default_culture_area(image.shape, um_per_px)
    if default.radius > 0.75 * min(image.shape[:2]) or default.radius < 20:
        return default  # the field shows too little of the wall, or the well is a dot
    factor = max(1, round(2 * default.radius / 270))
    small = binned(image, factor)
    expected = default.radius / factor
    smooth = ndimage.gaussian_filter(small, 1.0, mode="nearest")
    down, right = np.gradient(smooth)
    centre = _vote(down, right, expected)
    circle = _fit(smooth, centre, expected)
    if circle is None:
        return default
    row, col, radius = circle
    radius = factor * _inner_edge(small, (row, col), radius)
    offset = (factor - 1) / 2  # the centre of a block of pixels
    return CultureArea(factor * row + offset, factor * col + offset, radius, found=True)


def _vote(down: np.ndarray, right: np.ndarray, radius: float) -> tuple[float, float]:
    """The centre that most edges point to from the expected distance, in either direction."""
    strength = np.hypot(down, right)
    rows, cols = np.nonzero(strength > np.quantile(strength, 0.93))
    unit = np.stack([down[rows, cols], right[rows, cols]]) / strength[rows, cols]
    distances = np.linspace(1 - RADIUS_TOLERANCE, 1 + RADIUS_TOLERANCE, 9) * radius
    steps = np.concatenate([distances, -distances])[:, None]
    margin = int(distances[-1]) + 2  # so wide that no vote falls beyond it: cheaper than to look at each
    n_rows, n_cols = (size + 2 * margin for size in strength.shape)
    at = np.rint(rows + margin + unit[0] * steps) * n_cols + np.rint(cols + margin + unit[1] * steps)
    votes = np.bincount(at.astype(np.intp).ravel(), minlength=n_rows * n_cols).reshape(n_rows, n_cols)
    votes = votes[margin:-margin, margin:-margin].astype(np.float32)
    best = np.unravel_index(np.argmax(ndimage.gaussian_filter(votes, 2.0)), votes.shape)
    return float(best[0]), float(best[1])


def _fit(image: np.ndarray, centre: tuple[float, float], radius: float) -> tuple[float, float, float] | None:
    """Row, column, radius of the circle through the edges around the centre; None where too few directions agree."""
    angles = np.arange(_DIRECTIONS) * 2 * np.pi / _DIRECTIONS
    row, col, best = *centre, radius
    reach, agree = 0.09 * radius, np.zeros(0)
    for _ in range(3):
        steps = np.arange(-reach, reach + 0.25, 0.25)
        at_row = row + np.outer(np.sin(angles), best + steps)
        at_col = col + np.outer(np.cos(angles), best + steps)
        profile = ndimage.map_coordinates(image, [at_row, at_col], order=1, mode="nearest")
        slope = np.gradient(profile, axis=1)
        seen = (at_row > 0) & (at_row < image.shape[0] - 1) & (at_col > 0) & (at_col < image.shape[1] - 1)
        slope = np.where(seen, slope, 0.0)
        sign = np.sign(np.median(slope.sum(axis=1))) or 1.0  # the wall is darker all around, or brighter all around
        edge = np.argmax(sign * slope, axis=1)
        strength = sign * slope[np.arange(_DIRECTIONS), edge]
        usable = seen.mean(axis=1) > 0.5
        if usable.sum() < 0.6 * _DIRECTIONS:
            return None
        points = np.stack([at_row[np.arange(_DIRECTIONS), edge], at_col[np.arange(_DIRECTIONS), edge]])[:, usable]
        found = _circle(points, tolerance=0.015 * radius)
        if found is None:
            return None
        row, col, best = found
        off = np.abs(np.hypot(points[0] - row, points[1] - col) - best)
        agree = np.zeros(_DIRECTIONS)
        agree[usable] = (off < 0.012 * radius) & (strength[usable] > 0)
        reach = max(0.03 * radius, 3.0)
    if agree.mean() < MIN_WALL_SHARE or abs(best / radius - 1) > RADIUS_TOLERANCE:
        return None
    return row, col, best


def _inner_edge(image: np.ndarray, centre: tuple[float, float], radius: float) -> float:
    """Radius of the innermost edge of the wall: where it has a rim, the steepest edge is the rim's outer one."""
    angles = np.arange(_DIRECTIONS) * 2 * np.pi / _DIRECTIONS
    steps = np.arange(-RIM * radius, RIM * radius, 0.25)
    at = [centre[0] + np.outer(np.sin(angles), radius + steps), centre[1] + np.outer(np.cos(angles), radius + steps)]
    profile = np.median(ndimage.map_coordinates(image, at, order=1, mode="nearest"), axis=0)  # cells are not all around
    slope = np.abs(np.gradient(profile))
    peaks = 1 + np.flatnonzero((slope[1:-1] >= slope[:-2]) & (slope[1:-1] > slope[2:]))
    steep = peaks[slope[peaks] > RIM_SHARE * slope.max()]
    return radius + float(steps[steep[0]]) if steep.size else radius


def _circle(points: np.ndarray, tolerance: float) -> tuple[float, float, float] | None:
    """Circle through most of the points (2, n): least squares (Kasa), again and again without the worst."""
    keep = np.ones(points.shape[1], dtype=bool)
    for share in (1.0, 0.8, 0.7, 0.6, 0.6):
        rows, cols = points[:, keep]
        if rows.size < 12:
            return None
        matrix = np.stack([rows, cols, np.ones_like(rows)], axis=1)
        a, b, c = np.linalg.lstsq(matrix, rows**2 + cols**2, rcond=None)[0]
        row, col = a / 2, b / 2
        radius = float(np.sqrt(max(c + row**2 + col**2, 0)))
        off = np.abs(np.hypot(points[0] - row, points[1] - col) - radius)
        keep = off <= max(np.quantile(off, share * 0.999), tolerance * 0.3)
    return float(row), float(col), radius
