"""MMD² of a window that slides along streams, of all streams and steps at once.

Belongs here: the arithmetic that thresholds (`online_thresholds`) and many runs at once (`online_runs`) share. Not here: where
the streams come from, and the monitor that takes one vector after another (`online`).
"""

from collections.abc import Callable

import numpy as np

CHUNK_VALUES = 2**15  # of an array of streams × steps: such arrays stay in the cache, and memory is bounded


def within_sums(lagged: Callable[[int], np.ndarray], window: int) -> np.ndarray:
    """Sums of the kernel over the ordered pairs of different rows in each window, (s, l - W + 1), of s streams of l rows.

    lagged: gives the kernel of each row and the one `lag` rows later, (s, l - lag), for lags of 1 to W - 1. From one window to
    the next a row leaves with its pairs and one comes with its own: two running sums, no window by itself.
    """
    k = lagged(1)
    length = k.shape[1] + 1
    leaving = np.pad(k, ((0, 0), (0, 1)))  # of each row, its pairs with the W - 1 rows behind it
    coming = np.pad(k, ((0, 0), (1, 0)))  # and with those before it
    first = k[:, : window - 1].sum(axis=1)
    for lag in range(2, window):
        k = lagged(lag)
        leaving[:, :-lag] += k
        coming[:, lag:] += k
        first += k[:, : window - lag].sum(axis=1)
    steps = coming[:, window:] - leaving[:, : length - window]
    return 2 * np.cumsum(np.column_stack([first, steps]), axis=1, dtype=np.float64)


def window_means(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of values (s, l) over each window of W, (s, l - W + 1)."""
    total = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
    return (total[:, window:] - total[:, :-window]) / window


def mmd2(of_reference: float | np.ndarray, within: np.ndarray, across: np.ndarray, window: int) -> np.ndarray:
    """Unbiased MMD² of each window against fixed rows, (s, l - W + 1).

    of_reference: mean of the kernel over the pairs of the fixed rows; within: as `within_sums`; across: (s, l) mean kernel of
    each row of the streams with the fixed rows.
    """
    return of_reference + within / (window * (window - 1)) - 2 * window_means(across, window)


def first_above(statistics: np.ndarray, thresholds: np.ndarray | float) -> np.ndarray:
    """The first step, from 1 on, at which the statistic is above its threshold, (s,); 0 where it never is.

    statistics: (s, t) of steps 1 to t; thresholds: (t,) or one for all.
    """
    above = statistics > thresholds
    return np.where(above.any(axis=1), above.argmax(axis=1) + 1, 0)
