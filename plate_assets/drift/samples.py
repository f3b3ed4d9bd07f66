"""What counts as a sample of embeddings: rows of finite numbers that differ. Everything else is refused, and the error says
what to pass.

Belongs here: the checks that the offline and the online test share. Not here: what is computed of a sample (`kernel`, `mmd`,
`online`).
"""

import numpy as np


def sample(values: np.ndarray, name: str, at_least: int = 2, size: int | None = None) -> np.ndarray:
    """(n, d) float64 of what is given as (n, d): one row for each embedding.

    name: what the error calls it, "the reference" or "the batch"; at_least: the fewest rows; size: d, where it is known.
    Raises ValueError where it is no table of numbers, has too few rows or another d, holds NaN or infinity, or repeats one row.
    """
    found = _numbers(values, name)
    if found.ndim == 1:
        raise ValueError(
            f"{name} has shape {found.shape}: one vector, where rows (n, d) are needed, one for each embedding; a single "
            "vector goes to `OnlineMonitor.update`"
        )
    if found.ndim != 2 or found.shape[1] == 0:
        raise ValueError(f"{name} has shape {found.shape}: pass rows (n, d), one for each embedding")
    if len(found) < at_least:
        raise ValueError(f"{name} has {len(found)} rows, and at least {at_least} are needed: pass more embeddings")
    if size is not None and found.shape[1] != size:
        raise ValueError(
            f"{name} has {found.shape[1]} dimensions and the reference {size}: embed both with the same version of the model"
        )
    finite(found, name)
    if (found == found[0]).all():
        raise ValueError(
            f"all {len(found)} rows of {name} are the same vector: an embedding that has collapsed, or one image read again "
            "and again; pass embeddings of different images"
        )
    return found


def vector(values: np.ndarray, name: str, size: int) -> np.ndarray:
    """(d,) float64 of one embedding. ValueError where it is a batch, has another d, or holds NaN or infinity."""
    found = _numbers(values, name)
    if found.ndim != 1:
        raise ValueError(
            f"{name} has shape {found.shape}, and one vector ({size},) is needed: pass the rows of a batch one after another, "
            "in the order of acquisition, or the whole batch to `mmd.test`"
        )
    if len(found) != size:
        raise ValueError(
            f"{name} has {len(found)} dimensions and the reference {size}: embed both with the same version of the model"
        )
    finite(found[None], name)
    return found


def finite(rows: np.ndarray, name: str) -> np.ndarray:
    """rows (n, d) themselves. ValueError where one holds NaN or infinity."""
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if bad.size:
        raise ValueError(
            f"{bad.size} of {len(rows)} rows of {name} hold NaN or infinity, the first is row {bad[0]}: drop these rows, or "
            "embed their images again"
        )
    return rows


def _numbers(values: np.ndarray, name: str) -> np.ndarray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is no array of numbers ({error}): pass rows (n, d) of real numbers") from error
