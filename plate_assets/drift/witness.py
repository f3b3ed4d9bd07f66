"""What drew a plate away from the reference: its wells and tiles in the order of how much they took part.

Belongs here: the witness of a shift, and its size. Not here: whether there is a shift (`plates`), images that are alone in
being odd (`outliers`).
"""

import numpy as np

from plate_assets.drift import kernel

_BLOCK_VALUES = 2**22  # kernel values in memory at once: 32 MB in float64


def witness(batch: np.ndarray, reference: np.ndarray, sigma: float) -> np.ndarray:
    """(m,) witness of each row of batch (m, d): mean kernel to the rest of the batch less mean kernel to the reference (n, d).

    Where it is large, the batch is dense and the reference is not: such rows carry the shift (Gretton et al. 2012, section
    2.3). MMD² is its mean over the batch less its mean over the reference. A row that is odd alone is near to neither, and
    has about 0.
    """
    own = _kernel_sums(batch, batch, sigma) - 1  # without the row itself
    return own / max(1, len(batch) - 1) - _kernel_sums(batch, reference, sigma) / len(reference)


def shift_of_means(batch: np.ndarray, reference: np.ndarray) -> float:
    """Distance of the two means, in standard deviations of the reference's rows in that direction; infinite without any."""
    apart = batch.mean(axis=0) - reference.mean(axis=0)
    length = float(np.linalg.norm(apart))
    if length == 0:
        return 0.0
    spread = float((reference @ (apart / length)).std(ddof=1))
    return length / spread if spread > 0 else float("inf")


def _kernel_sums(points: np.ndarray, reference: np.ndarray, sigma: float) -> np.ndarray:
    """(n,) sum of the kernel of each point over the reference, in blocks."""
    found = np.empty(len(points))
    rows = max(16, _BLOCK_VALUES // len(reference))
    for start in range(0, len(points), rows):
        squared = kernel.squared_distances(points[start : start + rows], reference)
        found[start : start + rows] = kernel.gaussian(squared, sigma).sum(axis=1)
    return found
