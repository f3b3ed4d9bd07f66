"""Many plates a night: which of them to name, so that of all that are named only a stated share is named wrongly.

Belongs here: adjusting p-values for how many there are. Not here: where a p-value comes from (`plates`).

p-values of plates that share their reference are not independent. For conformal p-values of one fixed score and one shared
reference, Bates, Candès, Lei, Romano and Sesia (Testing for outliers with conformal p-values, Annals of Statistics 51, 2023)
prove that they depend positively (PRDS), under which Benjamini and Hochberg (1995) keep the rate. The test of `plates` puts
each new plate into the pool before it takes the score, which their theorem does not cover to the letter; the rate found by
simulation is in `benchmarks/plate_drift.py`. Benjamini and Yekutieli (2001) keep it under any dependence, and find less.
"""

import numpy as np

METHODS = ("benjamini_hochberg", "benjamini_yekutieli")


def adjusted(p_values: np.ndarray, method: str = "benjamini_hochberg") -> np.ndarray:
    """(n,) adjusted p-values: naming all that are at most q keeps the false-discovery rate at q. NaN does not count.

    Raises ValueError for an unknown method or values outside of 0 to 1.
    """
    p_values = np.asarray(p_values, dtype=float)
    known = np.isfinite(p_values)
    some = p_values[known]
    if ((some < 0) | (some > 1)).any():
        raise ValueError(f"p-values from {some.min():.3g} to {some.max():.3g}: all must lie between 0 and 1")
    order = np.argsort(some)
    scaled = some[order] * _penalty(len(some), method) / np.arange(1, len(some) + 1)
    found = np.full(p_values.shape, np.nan)
    values = np.empty(len(some))
    values[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    found[known] = values
    return found


def fewest_at_floor(tests: int, floor: float, alpha: float, method: str = "benjamini_hochberg") -> int | None:
    """How many of the night's tests must be at the smallest possible p-value before any is named; None where none ever is.

    floor: that smallest p-value, 1 / (1 + P) for P reference plates.
    """
    needed = max(1, int(np.ceil(floor * _penalty(tests, method) / alpha - 1e-9)))
    return needed if needed <= tests else None


def _penalty(tests: int, method: str) -> float:
    if method not in METHODS:
        raise ValueError(f"{method!r} is no method: choose one of {', '.join(METHODS)}")
    return tests * (1.0 if method == "benjamini_hochberg" else float((1 / np.arange(1, tests + 1)).sum()))
