"""A monitor over many streams at once: studies and calibration, where one vector after another would take hours.

Belongs here: what `OnlineMonitor.update` would have said, of all streams and steps. Not here: where the streams come from,
tables of run times or of how well streams are told apart.
"""

import numpy as np

from plate_assets.drift import kernel, samples, sliding
from plate_assets.drift.online import OnlineMonitor

_CHUNK_VALUES = 2**22  # of streams × steps × dimensions, and of vectors × reference rows: 32 MB in float64


def statistics(monitor: OnlineMonitor, streams: np.ndarray) -> np.ndarray:
    """MMD² after each vector of each stream, (s, t), of streams (s, t, d) that all begin at the monitor's step 0.

    As `update` would give it, but for rounding; the monitor itself stays as it is. Memory is bounded beside streams and result.
    ValueError where streams have another shape or hold NaN or infinity.
    """
    size = monitor.design.rows.shape[1]
    if streams.ndim != 3 or streams.shape[2] != size:
        raise ValueError(f"the streams have shape {streams.shape}: pass (streams, steps, {size}) of the reference's dimensions")
    found = np.empty(streams.shape[:2])
    rows = max(1, _CHUNK_VALUES // (size * (monitor.window + streams.shape[1])))
    for first in range(0, len(streams), rows):
        found[first : first + rows] = _statistics(monitor, streams[first : first + rows])
    return found


def run_lengths(monitor: OnlineMonitor, streams: np.ndarray) -> np.ndarray:
    """The step, from 1 on, of the first alarm of each stream (s,); 0 where none came. Parameters as `statistics`."""
    thresholds = monitor.design.thresholds
    steps = np.minimum(np.arange(1, 1 + streams.shape[1]), len(thresholds) - 1)
    return sliding.first_above(statistics(monitor, streams), thresholds[steps])


def mean_run_time(lengths: np.ndarray, steps: int) -> float:
    """Mean run time from first alarms (s,) of streams of `steps` vectors: steps at risk / alarms, infinite without an alarm.

    The estimate for a constant rate of alarms; streams without one (0) count as far as they went.
    """
    alarms = int((lengths > 0).sum())
    return float(np.where(lengths > 0, lengths, steps).sum() / alarms) if alarms else float("inf")


def _statistics(monitor: OnlineMonitor, streams: np.ndarray) -> np.ndarray:
    design = monitor.design
    count, steps, size = streams.shape
    new = samples.finite(np.asarray(streams, dtype=np.float64).reshape(-1, size), "the streams").reshape(streams.shape)
    begin = np.broadcast_to(design.start, (count, *design.start.shape))
    vectors = np.concatenate([begin, new], axis=1) - design.rows.mean(axis=0)
    across = np.empty((count, vectors.shape[1]))
    across[:, : monitor.window] = design.across_start
    across[:, monitor.window :] = _across(monitor, new.reshape(-1, size)).reshape(count, steps)
    norms = np.einsum("std,std->st", vectors, vectors)

    def lagged(lag: int) -> np.ndarray:
        products = np.einsum("std,std->st", vectors[:, :-lag], vectors[:, lag:])
        squared = np.maximum(norms[:, :-lag] + norms[:, lag:] - 2 * products, 0.0)
        return kernel.gaussian(squared, design.sigma, out=squared)

    within = sliding.within_sums(lagged, monitor.window)
    return sliding.mmd2(design.of_rows, within, across, monitor.window)[:, 1:]


def _across(monitor: OnlineMonitor, vectors: np.ndarray) -> np.ndarray:
    """Mean kernel of each vector (v, d) with the rows, (v,)."""
    rows = max(1, _CHUNK_VALUES // len(monitor.design.rows))
    found = np.empty(len(vectors))
    for first in range(0, len(vectors), rows):
        squared = kernel.squared_distances(vectors[first : first + rows], monitor.design.rows)
        found[first : first + rows] = kernel.gaussian(squared, monitor.design.sigma, out=squared).mean(axis=1)
    return found
