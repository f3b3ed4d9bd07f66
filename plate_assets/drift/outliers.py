"""Images unlike all of the reference: a score for each one, apart from the question whether the batch drifted.

Belongs here: the distance to the nearest neighbours in the reference, and the limit above which an image is an outlier. Not
here: drift of a plate (`plates`), what drew a plate away (`witness`).

The two questions have different answers: one spoiled image is an outlier and no drift, as a mean over a plate hardly feels it;
a slight shift of every image is drift and no outlier, as each image alone still lies where others lie.
"""

from dataclasses import dataclass

import numpy as np

from plate_assets.drift import kernel, samples

NEIGHBOURS = 5
_BLOCK_VALUES = 2**22  # distances in memory at once: 32 MB in float64


@dataclass(frozen=True)
class Outliers:
    """Scores of images.

    distance: (n,) mean distance to the nearest neighbours, in the embedding's units; p_value: (n,) share of
    the reference, the image itself counted, that lies as far from other plates; threshold: distance above which it is an
    outlier.
    """

    distance: np.ndarray
    p_value: np.ndarray
    threshold: float

    @property
    def outlier(self) -> np.ndarray:
        """(n,) bool."""
        return self.distance > self.threshold


def find_outliers(
    reference: np.ndarray, plates: np.ndarray, images: np.ndarray, *, neighbours: int = NEIGHBOURS, rate: float = 0.001
) -> Outliers:
    """Score images (n, d) by their distance to the reference (r, d), whose plates are labelled by plates (r,).

    The threshold is the 1 - rate quantile of the reference's own scores, each taken against the other plates only: an image of
    a new plate has no neighbours from its own plate either. So about `rate` of a usual plate's images are outliers, more on a
    plate that lies apart. Memory is bounded; time grows with the square of the reference.
    Raises ValueError where a sample is none, fewer than two plates, or fewer than `neighbours` images beside any one plate.
    """
    reference = samples.sample(reference, "the reference")
    if len(np.atleast_2d(images)) == 0:
        raise ValueError("there are no images to score: pass rows (n, d), one for each image")
    images = np.atleast_2d(np.asarray(images, dtype=float))
    names, number = np.unique(np.asarray(plates), return_inverse=True)
    if len(number) != len(reference) or len(reference) - np.bincount(number).max() < neighbours:
        raise ValueError(
            f"{len(reference)} reference images of {len(names)} plates: {neighbours} or more beside those of any one plate are "
            "needed; add reference plates"
        )
    own = neighbour_distances(reference, reference, neighbours, number, number)
    found = neighbour_distances(images, reference, neighbours)
    above = len(own) - np.searchsorted(np.sort(own), found, side="left")
    return Outliers(found, (1 + above) / (1 + len(own)), float(np.quantile(own, 1 - rate)))


def neighbour_distances(
    points: np.ndarray,
    reference: np.ndarray,
    neighbours: int = NEIGHBOURS,
    point_plates: np.ndarray | None = None,
    reference_plates: np.ndarray | None = None,
) -> np.ndarray:
    """(n,) mean distance of each point (n, d) to its nearest neighbours in the reference (r, d).

    point_plates, reference_plates: where both are given, neighbours on a point's own plate do not count.
    """
    found = np.empty(len(points))
    rows = max(16, _BLOCK_VALUES // len(reference))
    for start in range(0, len(points), rows):
        some = slice(start, start + rows)
        squared = kernel.squared_distances(points[some], reference)
        if point_plates is not None and reference_plates is not None:
            squared[point_plates[some, None] == reference_plates] = np.inf
        nearest = np.partition(squared, neighbours - 1, axis=1)[:, :neighbours]
        found[some] = np.sqrt(nearest).mean(axis=1)
    return found
