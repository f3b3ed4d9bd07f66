"""Which tiles a person should label after an alarm: the most novel ones, spread over wells and over what they look like.

Belongs here: the choice. Not here: how novel a tile is (`outliers`, `witness`), alarms (`lines`), what the labels do.
"""

import numpy as np
from sklearn.cluster import KMeans

MOST_CANDIDATES = 5_000  # tiles among which groups are sought: memory and time stay the same for any plate
GROUPS = 8


def spread_choice(
    novelty: np.ndarray, wells: np.ndarray, vectors: np.ndarray, count: int, groups: int = GROUPS, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the chosen tiles, in the order in which to look at them, and the group of each, from 1; both (k,), k <= count.

    novelty: (n,) larger is more novel; wells: (n,) the well of each tile; vectors: (n, d). The more novel half of the tiles,
    and never fewer than count, is grouped by k-means. Then tiles are taken in turns, each time the most novel one of the group
    and well that have given least, so that neither one odd well nor one look can fill the batch.
    Raises ValueError where the arrays do not fit each other.
    """
    n = len(novelty)
    if len(wells) != n or vectors.shape[:1] != (n,):
        raise ValueError(f"{n} scores, {len(wells)} wells and {len(vectors)} vectors: one of each for every tile is needed")
    if not n or count < 1:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    kept = np.argsort(-novelty, kind="stable")[: min(max(count, n // 2), MOST_CANDIDATES)]
    points = vectors[kept].astype(np.float64)
    distinct = len(np.unique(points, axis=0))
    made = KMeans(min(groups, len(kept), distinct), n_init=3, random_state=seed).fit(points)  # pyright: ignore[reportArgumentType]
    group = np.asarray(made.labels_)
    well = np.unique(wells[kept], return_inverse=True)[1]
    order = _in_turns(group, well, count)
    return kept[order], group[order] + 1


def _in_turns(group: np.ndarray, well: np.ndarray, count: int) -> np.ndarray:
    """(k,) rows: each time the first one of the group and well that have been taken from least, as shares of their turn."""
    left = np.ones(len(group), dtype=bool)
    from_group, from_well = np.zeros(group.max() + 1), np.zeros(well.max() + 1)
    chosen = []
    for _ in range(min(count, len(group))):  # as many rounds as a person labels tiles
        crowded = len(from_group) * from_group[group] + len(from_well) * from_well[well]
        row = int(np.argmin(np.where(left, crowded, np.inf)))
        left[row] = False
        from_group[group[row]] += 1
        from_well[well[row]] += 1
        chosen.append(row)
    return np.array(chosen, dtype=np.int64)
