"""How much of a well is covered with cells, and how many, from texture alone, without labels; growth against precipitation.

Belongs here: the measures on one image, and which wells stand apart in growth and score. Not here: the table of a plate
(`workflows.precipitation.growth`), drawing (`figures`).
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
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
STRIP = 64  # rows that are worked on at a time


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
    small = image if factor == 1 else binned(image, factor)
    scale *= factor
    inside = _inside(small.shape, area, factor, scale)
    covered = np.zeros(small.shape, bool)
    if not inside.any():
        return Growth(0.0, None if um_per_px is None else 0.0, covered, factor)
    box = _box_around(inside)
    part, looked = small[box], inside[box]
    pixels = np.flatnonzero(looked)
    if not ((part != part.flat[pixels[0]]) & looked).any():
        return Growth(0.0, None if um_per_px is None else 0.0, covered, factor)
    texture = _texture(part, _Lamp.of(small, inside, 90 / scale).within(*box), max(3, round(TEXTURE_UM / scale)))
    raised = texture > texture_threshold(texture.take(pixels[:: max(1, pixels.size // ENOUGH)]))
    found = _tidied(raised & looked, scale)
    density = None
    if um_per_px is not None:
        density = _peaks(texture, found, scale) / (pixels.size * (scale / 1000) ** 2)
    covered[box] = found
    return Growth(np.count_nonzero(found) / pixels.size, density, covered, factor)


def _inside(shape: tuple[int, ...], area: CultureArea | None, factor: int, scale: float) -> np.ndarray:
    """(rows, columns) bool, on pixels of `factor` pixels of the image: the culture area without the wall's edge."""
    if area is None:
        return np.ones(shape, bool)
    offset = (factor - 1) / 2
    radius = area.radius / factor - WALL_MARGIN_UM / scale
    return culture_mask(shape, CultureArea((area.row - offset) / factor, (area.col - offset) / factor, radius))


def texture_threshold(texture: np.ndarray) -> float:
    """Otsu's threshold of log texture, kept between LEAST and MOST times the background's, so that an empty well stays empty.

    texture: (n,) positive; about ENOUGH values do.
    """
    values = np.log(np.maximum(texture, 1e-6))
    background = float(np.exp(_background(values)))
    return float(np.clip(np.exp(threshold_otsu(values)), LEAST * background, MOST * background))


def _background(values: np.ndarray) -> float:
    """Log texture of the empty background: the mode of its lower 60 %, at most twice the 2nd percentile.

    values: (n,) log texture, a few per cent or more of it background. The bound matters where cells cover nearly all.
    """
    low, middle = np.quantile(values, [0.02, 0.6])
    if middle - low < 1e-4:  # single precision has no 48 steps between them
        return float(middle)
    counts, edges = np.histogram(values, bins=48, range=(low, middle))
    smooth = np.convolve(counts, np.ones(5) / 5, mode="same")
    mode = edges[np.argmax(smooth)] + (edges[1] - edges[0]) / 2
    return float(min(mode, low + np.log(2.0)))


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


@dataclass(frozen=True)
class _Lamp:
    """The illumination, on a coarse grid along the rows: made whole for a few rows at a time."""

    rows: np.ndarray  # (rows, knots) weights of the knots in each row
    knots: np.ndarray  # (knots, columns)

    @classmethod
    def of(cls, image: np.ndarray, inside: np.ndarray, sigma: float) -> "_Lamp":
        """A wide mean over the culture area only, so that the dark wall does not leak in; sigma in px."""
        step = max(1, min(int(sigma // 4), *image.shape))
        total, weight = (ndimage.gaussian_filter(binned(part, step), sigma / step) for part in (image * inside, inside))
        smooth = total / np.maximum(weight, 1e-3)
        rows, cols = (_between(size, step, knots) for size, knots in zip(image.shape, smooth.shape, strict=True))
        return cls(rows, smooth @ cols.T)

    def within(self, rows: slice, cols: slice) -> "_Lamp":
        """The part of it over some rows and columns of the image."""
        return _Lamp(self.rows[rows], self.knots[:, cols])

    def at(self, rows: np.ndarray) -> np.ndarray:
        """(n, columns) the light on n neighbouring rows, positive."""
        weights = self.rows[rows]
        used = np.flatnonzero(weights.any(axis=0))
        near = slice(used[0], used[-1] + 1)
        return np.maximum(weights[:, near] @ self.knots[near], 1e-6)


def _between(size: int, step: int, knots: int) -> np.ndarray:
    """(size, knots) weights of linear interpolation between the middles of blocks of `step` pixels, held at both ends."""
    at = np.clip((np.arange(size, dtype=np.float32) + 0.5) / step - 0.5, 0, knots - 1)
    return np.maximum(1 - np.abs(at[:, None] - np.arange(knots, dtype=np.float32)), 0)


def _box_around(inside: np.ndarray) -> tuple[slice, slice]:
    """The smallest rows and columns that hold all of the mask: what lies outside is not looked at."""
    rows, cols = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)


def _texture(image: np.ndarray, lamp: _Lamp, window: int) -> np.ndarray:
    """(rows, columns) local standard deviation of the image over its light, no less than rounding makes; float32.

    The edge is mirrored. A strip of rows is worked on at a time, so that what lies between stays in the processor's cache.
    """
    before, after = window // 2, (window - 1) // 2
    rows = np.pad(np.arange(len(image)), (before, after), mode="symmetric")
    texture = np.empty(image.shape, np.float32)
    for start in range(0, len(image), STRIP):
        near = rows[start : start + STRIP + window - 1]
        light = lamp.at(near)
        own = light[before : len(light) - after]
        relative = image[near] / light
        relative -= 1
        relative = np.pad(relative, ((0, 0), (before, after)), mode="symmetric")
        np.maximum(_window_std(relative, window), ROUNDING / own, out=texture[start : start + STRIP])
    return texture


def _window_std(values: np.ndarray, window: int) -> np.ndarray:
    """Standard deviation in each window that lies wholly in (h, w): (h - window + 1, w - window + 1)."""
    mean, square = _window_mean(values, window), _window_mean(np.square(values), window)
    square -= np.square(mean, out=mean)
    return np.sqrt(np.maximum(square, 0, out=square), out=square)


def _window_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Shifted sums: in a third of the time of ndimage's running ones for windows of 3."""
    rows, cols = (size - window + 1 for size in values.shape)
    lines = values[:rows] + values[1 : rows + 1]
    for shift in range(2, window):
        lines += values[shift : shift + rows]
    total = lines[:, :cols] + lines[:, 1 : cols + 1]
    for shift in range(2, window):
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
    """The mask without its patches (pixels that share a side) of fewer than `smallest` pixels.

    Patches are put together from runs of pixels along the rows: of these there are a hundredth of the pixels.
    """
    starts, ends, width = _runs(mask)
    # runs touch those of the next row that end behind their start and start before their end
    first = np.searchsorted(ends, starts + width, side="right")
    counts = np.maximum(np.searchsorted(starts, ends + width) - first, 0)
    touching = csr_array((np.ones(counts.sum(), bool), _ranges(first, counts), np.append(0, counts.cumsum())), 2 * starts.shape)
    _, patch = connected_components(touching, directed=False)
    small = np.bincount(patch, ends - starts)[patch] < smallest
    flat = np.pad(mask, ((0, 0), (0, 1))).ravel()
    flat[_ranges(starts[small], (ends - starts)[small])] = False
    return flat.reshape(len(mask), width)[:, :-1]


def _runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """First pixel of each run of True along the rows and the one behind its last, counted along rows of the width given.

    A column of False behind the last one parts the rows.
    """
    flat = np.pad(mask, ((0, 0), (0, 1))).ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat[0]:
        changes = np.append(0, changes)
    return changes[::2], changes[1::2], mask.shape[1] + 1


def _ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The numbers start, start + 1, … of each start, `counts` of them, one range behind the other."""
    ends = counts.cumsum()
    return np.arange(ends[-1] if ends.size else 0) + np.repeat(starts - (ends - counts), counts)


def _peaks(texture: np.ndarray, covered: np.ndarray, scale: float) -> int:
    """Cells: the highest places of the smoothed texture inside the covered area, one for each 45 µm.

    What is smoothed over four pixels and more is the same on pixels of twice the size, in a quarter of the time.
    """
    if CELL_UM / 4 / scale >= 3:
        rows, cols = (size // 2 for size in texture.shape)
        texture, covered, scale = binned(texture, 2), covered[: 2 * rows : 2, : 2 * cols : 2], scale * 2
    smooth = ndimage.gaussian_filter(texture, CELL_UM / 4 / scale)
    highest = _highest_around(smooth, max(3, 2 * round(CELL_UM / 2 / scale) + 1))
    return np.count_nonzero((smooth == highest) & covered)


def _highest_around(values: np.ndarray, window: int) -> np.ndarray:
    """Maximum over `window` × `window` px around each pixel, window odd; in a quarter of the time of ndimage's.

    What reaches over two, four, eight pixels is put together from two of half the reach.
    """
    highest = np.pad(values, window // 2, constant_values=-np.inf)
    for _ in ("rows", "columns"):
        reach = 1
        while reach < window:
            step = min(reach, window - reach)
            highest = np.maximum(highest[:-step], highest[step:])
            reach += step
        highest = highest.T
    return highest
