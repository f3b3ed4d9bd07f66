"""The Gaussian kernel of embeddings: squared distances, the median distance, and the kernel in blocks of bounded memory.

Belongs here: everything about pairs of points. Not here: statistics made of the kernel (`mmd`, `online`).

All in float64 and NumPy: a squared distance by one matrix product loses digits that float32 has not got, and NumPy's product
and exponential are as fast here as torch's, without its second of import.
"""

from collections.abc import Iterator

import numpy as np

_BLOCK_ROWS = 256  # small enough for the cache at some thousand points
_BLOCK_VALUES = 2**23  # and never more values at once: 64 MB in float64
_FEW_PAIRS = 2**16  # up to here all distances are kept while their median is looked for
_BRACKET_SHARE, _BRACKET_PAIRS = 1 / 128, 2**20  # beyond, of all pairs that many say about where it lies, and at most so many


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n, m) squared Euclidean distances between the rows of x (n, d) and y (m, d), float64, never below 0.

    One matrix product, `_left` · `_right`', of rows that are centred first: far from zero they would lose digits.
    """
    centre = y.mean(axis=0, dtype=np.float64)
    return _products(_left(x - centre), _right(y - centre))


def gaussian(squared: np.ndarray, sigma: float, out: np.ndarray | None = None) -> np.ndarray:
    """k(x, y) = exp(-||x - y||² / (2 σ²)) of squared distances of any shape; `out` may be `squared` itself."""
    found = np.multiply(squared, -0.5 / sigma**2, out=out)
    return np.exp(found, out=found)


def blocks(points: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """The upper triangle of the squared distances between the rows of points (n, d), in blocks of bounded memory.

    Gives rows a:b and their squared distances to the rows from a on, (b - a, n - a): its first b - a columns are the block on
    the diagonal, whole.
    """
    rows = max(1, min(_BLOCK_ROWS, _BLOCK_VALUES // len(points)))
    points = points - points.mean(axis=0, dtype=np.float64)
    left, right = _left(points), _right(points)
    for start in range(0, len(points), rows):
        yield slice(start, min(start + rows, len(points))), _products(left[start : start + rows], right[start:])


def _left(x: np.ndarray) -> np.ndarray:
    """(n, d + 2) rows [-2x, |x|², 1], whose products with `_right` are squared distances."""
    return np.column_stack([-2.0 * x, np.einsum("ij,ij->i", x, x), np.ones(len(x))])


def _right(y: np.ndarray) -> np.ndarray:
    """(m, d + 2) rows [y, 1, |y|²]."""
    return np.column_stack([y, np.ones(len(y)), np.einsum("ij,ij->i", y, y)])


def _products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    found = left @ right.T
    return np.maximum(found, 0.0, out=found)  # rounding


def kernel_blocks(points: np.ndarray, sigma: float) -> Iterator[tuple[slice, np.ndarray]]:
    """The kernel of `blocks`, with 0 for a point with itself: unbiased statistics leave these out."""
    for rows, squared in blocks(points):
        k = gaussian(squared, sigma, out=squared)
        np.fill_diagonal(k, 0.0)
        yield rows, k


def bandwidth(reference: np.ndarray, sigma: float | None) -> float:
    """σ as given, or the median distance of the reference. ValueError where it is not above 0."""
    if sigma is None:
        return median_distance(reference)
    if not (np.isfinite(sigma) and sigma > 0):
        raise ValueError(f"sigma is {sigma}: give a distance above 0, or leave it out for the reference's median distance")
    return float(sigma)


def median_distance(points: np.ndarray) -> float:
    """The median of the Euclidean distances between all pairs of rows of points (n, d): the usual σ of the kernel.

    Exact at any n: where the pairs are many, a sample of them brackets the median, and one pass over all counts those below the
    bracket and keeps those inside: 10 % of half a million, 0.6 % of a billion. 50,000 points take 0.25 GB.
    Raises ValueError where it is nothing beside the spread of the points: more than half of the pairs coincide.
    """
    pairs = len(points) * (len(points) - 1) // 2
    middle = np.array([(pairs - 1) // 2, pairs // 2])
    deviations = 6.0 if pairs > _FEW_PAIRS else np.inf
    below, inside = _between(points, *_bracket(points, deviations))
    while not (below <= middle[0] and middle[1] < below + len(inside)):
        deviations *= 4  # the sample misled, as one in hundreds of millions does
        below, inside = _between(points, *_bracket(points, deviations))
    at = middle - below
    median = float(np.sqrt(np.partition(inside, at)[at]).mean())
    spread = float(np.sqrt(points.var(axis=0).sum()))
    if not median > 1e-6 * spread:
        raise ValueError(
            f"the median distance of {len(points)} points is {median:.3g}, beside a spread of {spread:.3g}: more than half of "
            "their pairs coincide; drop repeated rows, or give sigma"
        )
    return median


def _bracket(points: np.ndarray, deviations: float) -> tuple[float, float]:
    """Squared distances between which the median lies, but for so many standard deviations of a sample's quantile."""
    drawn = int(min(_BRACKET_PAIRS, 1 + _BRACKET_SHARE * len(points) ** 2 / 2))
    share = deviations * 0.5 / np.sqrt(drawn)
    if share >= 0.5:
        return -np.inf, np.inf
    rng = np.random.default_rng(0)
    first = rng.integers(len(points), size=drawn)
    second = (first + rng.integers(1, len(points), size=drawn)) % len(points)
    squared = np.zeros(drawn)
    for column in points.T:
        squared += (column[first] - column[second]) ** 2
    low, high = np.quantile(squared, [0.5 - share, 0.5 + share])
    return float(low), float(high)


def _between(points: np.ndarray, low: float, high: float) -> tuple[int, np.ndarray]:
    """How many pairs have a squared distance below low, and the squared distances in [low, high]."""
    below, inside = 0, []
    for rows, squared in blocks(points):
        size = rows.stop - rows.start
        squared[:, :size][np.tri(size, dtype=bool)] = np.nan  # each pair once
        below += np.count_nonzero(squared < low)
        inside.append(squared.ravel()[np.flatnonzero((squared >= low) & (squared <= high))])
    return below, np.concatenate(inside)
