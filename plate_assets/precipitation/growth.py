"""How much of a well is covered with cells, and how many, from texture alone, without labels; growth against precipitation.

Belongs here: the measures on one image, and which wells stand apart in growth and score. Not here: the table of a plate
(`workflows.growth`), drawing (`figures`).
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu
from sklearn.covariance import MinCovDet

from plate_assets.plates.images import binned
from plate_assets.precipitation.culture_area import REFERENCE_UM_PER_PX, CultureArea, culture_mask

TEXTURE_UM = 8.0  # window of the texture: as narrow as three pixels allow, for it widens every cell
CLOSE_UM = 10.0  # gaps inside a cell that are closed
SMALLEST_UM2 = 350.0  # a covered patch below this is a speck, not a cell
CELL_UM = (
    45.0  # distance below which two peaks are one cell; counts the cells of real phase-contrast fields within a few per cent
)
LEAST, MOST = 2.0, 8.0  # between these multiples of the empty background's texture lies the threshold
ROUNDING = 12**-0.5  # standard deviation of rounding to whole grey levels: a texture below it is none
ENOUGH = 100_000  # pixels that a threshold is estimated from
WALL_MARGIN_UM = 40.0  # the meniscus and the wall's edge are no cells


@dataclass(frozen=True)
class Growth:
    """confluence: share of the culture area covered, 0 to 1. cells_mm2: cells for each mm², None where the scale is unknown."""

    confluence: float
    cells_mm2: float | None
    covered: np.ndarray  # (rows, columns) bool at about 2.82 µm, for drawing
    factor: int  # pixels of the image for each pixel of `covered`


def measure_growth(image: np.ndarray, um_per_px: float | None = None, area: CultureArea | None = None) -> Growth:
    """Confluence and cell density of one image.

    image: (rows, columns), uint8 or uint16. um_per_px: pixel size in µm; where unknown 2.82 is taken and no density given.
    area: the culture area; the whole image where None.

    The image is brought to about 2.82 µm, its illumination divided out. Texture is the local standard deviation over 8 µm. The
    empty background's texture is the mode of its lower part, the threshold Otsu's between 2 and 8 times that.
    """
    scale = um_per_px or REFERENCE_UM_PER_PX
    factor = max(1, round(REFERENCE_UM_PER_PX / scale))
    small = binned(image, factor)
    scale *= factor
    inside = np.ones(small.shape, bool)
    if area is not None:
        offset = (factor - 1) / 2
        radius = area.radius / factor - WALL_MARGIN_UM / scale
        inside = culture_mask(small.shape, CultureArea((area.row - offset) / factor, (area.col - offset) / factor, radius))
    if not inside.any() or not np.ptp(small[inside]):
        return Growth(0.0, None if um_per_px is None else 0.0, np.zeros(small.shape, bool), factor)
    box = _box_around(inside)
    lamp = np.maximum(_lamp(small, inside, 90 / scale)[box], 1e-6)
    looked = inside[box]
    texture = np.maximum(_local_std(small[box] / lamp - 1, max(3, round(TEXTURE_UM / scale))), ROUNDING / lamp)
    raised = texture > texture_threshold(texture[looked])
    found = _tidied(raised & looked, scale)
    density = None
    if um_per_px is not None:
        density = _peaks(texture, found, scale) / (inside.sum() * (scale / 1000) ** 2)
    covered = np.zeros(small.shape, bool)
    covered[box] = found
    return Growth(float(found.sum() / inside.sum()), density, covered, factor)


def texture_threshold(texture: np.ndarray) -> float:
    """Otsu's threshold of log texture, kept between LEAST and MOST times the background's, so that an empty well stays empty.

    texture: (n,) positive; of more than ENOUGH values every so-manieth is taken.
    """
    texture = texture[:: max(1, texture.size // ENOUGH)]
    background = background_texture(texture)
    otsu = float(np.exp(threshold_otsu(np.log(np.maximum(texture, 1e-6)))))
    return float(np.clip(otsu, LEAST * background, MOST * background))


def background_texture(texture: np.ndarray) -> float:
    """Texture of the empty background: the mode of log texture in its lower 60 %, at most twice the 2nd percentile.

    texture: (n,) positive values, a few per cent or more of them background. The bound matters where cells cover nearly all.
    """
    values = np.log(np.maximum(texture, 1e-6))
    low, middle = np.quantile(values, [0.02, 0.6])
    if middle - low < 1e-6:
        return float(np.exp(middle))
    counts, edges = np.histogram(values, bins=48, range=(low, middle))
    smooth = np.convolve(counts, np.ones(5) / 5, mode="same")
    mode = edges[np.argmax(smooth)] + (edges[1] - edges[0]) / 2
    return float(np.exp(min(mode, low + np.log(2.0))))


@dataclass(frozen=True)
class GrowthContour:
    """Density of wells over growth and score, and who stands apart.

    growth, score: (g,) grid coordinates. density: (g, g), rows by score, in wells for each unit of both. levels: densities
    within which 50, 80 and 95 % of the wells lie, falling. outlier: (n,) bool, in the order of the input; distance: (n,)
    robust Mahalanobis distance; both are False and NaN for a well without growth or score.
    """

    growth: np.ndarray
    score: np.ndarray
    density: np.ndarray
    levels: tuple[float, float, float]
    outlier: np.ndarray
    distance: np.ndarray


def growth_outliers(
    growth: np.ndarray, scores: np.ndarray, share: float = 0.01, grid: int = 64, seed: int = 0
) -> GrowthContour | None:
    """Contour of growth against precipitation with its outliers (A1.7).

    growth, scores: (n,) of the same wells; NaN where there is none. share: of well-behaved wells that may be flagged by chance.
    Centre and spread are the minimum covariance determinant's (Rousseeuw), so that a fifth of precipitated wells does not
    hide itself; the cut is the chi-squared quantile for two dimensions, 1 - share. Returns None below 12 wells with both.
    """
    growth, scores = np.asarray(growth, float), np.asarray(scores, float)
    both = np.isfinite(growth) & np.isfinite(scores)
    points = np.stack([growth[both], scores[both]], axis=1)
    if len(points) < 12:
        return None
    centre, spread = np.median(points, axis=0), _spread(points)
    scaled = (points - centre) / spread
    distance = np.full(growth.shape, np.nan)
    distance[both] = _robust_distance(scaled, seed)
    outlier = np.nan_to_num(distance) > np.sqrt(-2 * np.log(share))  # chi-squared with two degrees of freedom, in closed form
    at, density, own = _density(scaled, grid)
    levels = tuple(float(np.quantile(own, 1 - part)) / float(spread.prod()) for part in (0.5, 0.8, 0.95))
    axes = centre[:, None] + spread[:, None] * at
    return GrowthContour(axes[0], axes[1], density / spread.prod(), levels, outlier, distance)  # pyright: ignore[reportArgumentType]


def _spread(points: np.ndarray) -> np.ndarray:
    """(2,) robust standard deviations, never zero."""
    middle = 1.4826 * np.median(np.abs(points - np.median(points, axis=0)), axis=0)
    return np.where(middle > 0, middle, np.where(points.std(axis=0) > 0, points.std(axis=0), 1.0))


def _robust_distance(scaled: np.ndarray, seed: int) -> np.ndarray:
    """(n,) distances; a hair of noise keeps the determinant above zero where growth or score is the same in most wells."""
    shaken = scaled + 1e-3 * np.random.default_rng(seed).standard_normal(scaled.shape)
    return np.sqrt(MinCovDet(random_state=seed, support_fraction=None).fit(shaken).mahalanobis(shaken))


def _density(scaled: np.ndarray, grid: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gaussian kernel density, Silverman's width: axes (2, grid), density (grid, grid), density at the points (n,)."""
    width = len(scaled) ** (-1 / 6)
    low, high = scaled.min(axis=0) - 3 * width, scaled.max(axis=0) + 3 * width
    at = np.linspace(low, high, grid, axis=1)
    kernels = [np.exp(-0.5 * ((at[axis][:, None] - scaled[:, axis]) / width) ** 2) for axis in (0, 1)]
    norm = len(scaled) * 2 * np.pi * width**2
    apart = np.exp(-0.5 * ((scaled[:, None] - scaled[None]) ** 2).sum(axis=2) / width**2)
    return at, kernels[1] @ kernels[0].T / norm, apart.sum(axis=1) / norm


def _lamp(image: np.ndarray, inside: np.ndarray, sigma: float) -> np.ndarray:
    """The illumination: a wide mean over the culture area only, so that the dark wall does not leak in."""
    step = max(1, int(sigma // 4))
    weight = binned(inside, step)
    total = binned(np.where(inside, image, 0), step)
    smooth = ndimage.gaussian_filter(total, sigma / step) / np.maximum(ndimage.gaussian_filter(weight, sigma / step), 1e-3)
    rows, cols = (_between(size, step, knots) for size, knots in zip(image.shape, smooth.shape, strict=True))
    return rows @ smooth @ cols.T


def _between(size: int, step: int, knots: int) -> np.ndarray:
    """(size, knots) weights of linear interpolation between the middles of blocks of `step` pixels, held at both ends."""
    at = np.clip((np.arange(size, dtype=np.float32) + 0.5) / step - 0.5, 0, knots - 1)
    return np.maximum(1 - np.abs(at[:, None] - np.arange(knots, dtype=np.float32)), 0)


def _box_around(inside: np.ndarray) -> tuple[slice, slice]:
    """The smallest rows and columns that hold all of the mask: what lies outside is not looked at."""
    rows, cols = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)


def _local_std(light: np.ndarray, window: int) -> np.ndarray:
    mean = _local_mean(light, window)
    square = _local_mean(np.square(light), window)
    square -= np.square(mean, out=mean)
    return np.sqrt(np.maximum(square, 0, out=square), out=square)


def _local_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean over windows, the edge mirrored: shifted sums, in a third of the time of ndimage's running ones for windows of 3."""
    before, after = window // 2, (window - 1) // 2
    rows, cols = values.shape
    wide = np.pad(values, ((before, after), (before, after)), mode="symmetric")
    lines = wide[:rows].copy()
    for shift in range(1, window):
        lines += wide[shift : shift + rows]
    total = lines[:, :cols].copy()
    for shift in range(1, window):
        total += lines[:, shift : shift + cols]
    total *= np.float32(1 / window**2)
    return total


def _tidied(raised: np.ndarray, scale: float) -> np.ndarray:
    """Gaps closed, small holes filled, specks dropped."""
    reach = max(1, round(CLOSE_UM / 2 / scale))
    closed = _eroded(~_eroded(~raised, reach), reach)
    shrunk = _eroded(closed, reach)  # the window makes an edge wider by half its width
    return _without_small(~_without_small(~shrunk, SMALLEST_UM2 / 2 / scale**2), SMALLEST_UM2 / scale**2)  # pyright: ignore[reportOperatorIssue]


def _eroded(mask: np.ndarray, reach: int) -> np.ndarray:
    """What lies in the mask with a whole disc around it; the image's edge takes nothing away. Faster than ndimage's.

    A disc is a stack of lines: the mask is eroded by each length of line once, and then from row to row.
    """
    rows, cols = mask.shape
    padded = np.pad(mask, reach, mode="edge")
    halves = {row: int(np.sqrt((reach + 0.3) ** 2 - row**2)) for row in range(-reach, reach + 1)}
    kept = np.ones_like(mask)
    line = padded[:, reach : reach + cols].copy()
    for half in range(max(halves.values()) + 1):
        if half:
            line &= padded[:, reach - half : reach - half + cols]
            line &= padded[:, reach + half : reach + half + cols]
        for row, own in halves.items():
            if own == half:
                kept &= line[reach + row : reach + row + rows]
    return kept


def _without_small(mask: np.ndarray, smallest: float) -> np.ndarray:
    labels, n = ndimage.label(mask)  # pyright: ignore[reportGeneralTypeIssues]
    sizes = np.bincount(labels.ravel(), minlength=n + 1)
    keep = sizes >= smallest
    keep[0] = False
    return keep.take(labels)  # pyright: ignore[reportArgumentType, reportCallIssue]


def _peaks(texture: np.ndarray, covered: np.ndarray, scale: float) -> int:
    """Cells: the highest places of the smoothed texture inside the covered area, one for each 45 µm.

    What is smoothed over four pixels and more is the same on pixels of twice the size, in a quarter of the time.
    """
    step = 2 if CELL_UM / 4 / scale >= 3 else 1
    texture, covered, scale = binned(texture, step), covered[::step, ::step], scale * step
    smooth = ndimage.gaussian_filter(texture, CELL_UM / 4 / scale)
    reach = max(3, 2 * round(CELL_UM / 2 / scale) + 1)
    return int(((smooth == ndimage.maximum_filter(smooth, reach)) & covered[: smooth.shape[0], : smooth.shape[1]]).sum())
