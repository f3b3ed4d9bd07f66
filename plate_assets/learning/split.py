"""Splits that keep together what belongs together: a plate or a well is in one split only.

Belongs here: dealing groups to splits, on plain arrays. Not here: what a group is (`precipitation.labels`).
"""

import numpy as np

SPLITS = ("train", "calibration", "test")
SHARES = (0.65, 0.15, 0.20)  # Yasuno, Table 1


def grouped_split(
    groups: np.ndarray, positive: np.ndarray, shares: tuple[float, float, float] = SHARES, seed: int = 0
) -> np.ndarray:
    """Deal whole groups to `train`, `calibration` and `test`, so that both classes come near the shares in each.

    groups: (n,) name of the group of each row; positive: (n,) bool. Returns (n,) names of splits. The same rows and seed give
    the same split in any order of the rows.

    Groups are dealt from the largest down, each to the split that it brings nearest to its share; positives, the rarer class,
    weigh as much as negatives. No split stays empty. ValueError with fewer groups than splits: a split by tile would leak.
    """
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    if names.size < len(SPLITS):
        raise ValueError(
            f"{names.size} groups cannot be dealt to {len(SPLITS)} splits: label tiles of {len(SPLITS)} or more wells or plates"
        )
    positive = np.asarray(positive, dtype=bool)
    counts = np.stack([np.bincount(member, ~positive, names.size), np.bincount(member, positive, names.size)], axis=1)
    weights = counts / np.maximum(counts.sum(axis=0), 1)  # (g, 2) share of each class that lies in the group
    shuffled = np.random.default_rng(seed).permutation(names.size)
    order = shuffled[np.argsort(-weights[shuffled].max(axis=1), kind="stable")]

    want = np.asarray(shares, dtype=float) / np.sum(shares)
    have = np.zeros((want.size, 2))
    dealt = np.empty(names.size, dtype=int)
    for position, group in enumerate(order):
        # What the sum of squared distances from the shares gains when the group goes to each split.
        gain = (np.square(have + weights[group] - want[:, None]) - np.square(have - want[:, None])).sum(axis=1)
        empty = ~np.isin(np.arange(want.size), dealt[order[:position]])
        if empty.sum() >= names.size - position:
            gain[~empty] = np.inf
        dealt[group] = int(np.argmin(gain))
        have[dealt[group]] += weights[group]
    return np.asarray(SPLITS)[dealt][member]
