"""MMD² of a window that slides along streams, of all streams and steps at once.

Belongs here: the arithmetic that thresholds (`online_thresholds`) and many runs at once (`online_runs`) share. Not here: where
the streams come from, and the monitor that takes one vector after another (`online`).

Streams are (s, l), one in each row, in any order in memory. Quickest are transposed arrays (l, s): a slice of the steps is then
one stretch of memory.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

CHUNK_VALUES = 2**16  # of an array of streams × steps: such arrays stay in the cache, and memory is bounded


def within_sums(lagged: Callable[[int], np.ndarray], window: int) -> np.ndarray:
    """Sums of the kernel over the ordered pairs of different rows in each window, of s streams of l rows, for `mmd2`.

    lagged: gives the kernel of each row and the one `lag` rows later, (s, l - lag), for lags of 1 to W - 1. From one window to
    the next a row leaves with its pairs and one comes with its own, and no window is summed by itself: (s, l - W + 1) of the
    sum of the first window and of what each next one has more.
    """
    k = lagged(1)
    first, more = np.zeros_like(k[:, : window - 1]), np.zeros_like(k[:, window - 1 :])
    for lag in range(1, window):
        k = lagged(lag) if lag > 1 else k
        first[:, : window - lag] += k[:, : window - lag]
        more += k[:, window - lag :]  # of the row that comes, its pair with the one so far before it
        more -= k[:, : more.shape[1]]  # and of the row that leaves, with the one behind it
    found = np.zeros_like(k, shape=(len(k), 1 + more.shape[1]), dtype=np.float64)
    found[:, 0], found[:, 1:] = first.sum(axis=1, dtype=np.float64), more
    found *= 2
    return found


def mmd2(of_reference: float | np.ndarray, within: np.ndarray, across: np.ndarray, window: int) -> np.ndarray:
    """Unbiased MMD² of each window against fixed rows, (s, l - W + 1).

    of_reference: mean of the kernel over the pairs of the fixed rows; within: as `within_sums`; across: (s, l) mean kernel of
    each row of the streams with the fixed rows.
    """
    found = within / (window * (window - 1))
    found[:, 0] -= across[:, :window].mean(axis=1) * 2
    found[:, 1:] -= (across[:, window:] - across[:, :-window]) * (2 / window)
    return of_reference + running(np.add, found)


def running(what: np.ufunc, values: np.ndarray) -> np.ndarray:
    """What `what.accumulate` gives along each of the streams (s, l), in place and quicker: all of them step by step."""
    for before, after in pairwise(values.T):
        what(before, after, out=after)
    return values


def first_above(statistics: np.ndarray, thresholds: np.ndarray | float) -> np.ndarray:
    """The first step, from 1 on, at which the statistic is above its threshold, (s,); 0 where it never is.

    statistics: (s, t) of steps 1 to t; thresholds: (t,) or one for all.
    """
    above = statistics > thresholds
    first = above.argmax(axis=1)
    return np.where(above[np.arange(len(above)), first], first + 1, 0)
