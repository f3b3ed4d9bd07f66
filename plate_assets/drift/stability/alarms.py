"""Which corruptions the tests of drift see: the share of drifted batches that the offline test passes, and how well run lengths
of the online test tell drifted streams from clean ones.

Belongs here: trials of both tests on vectors of units, repeated over splits into reference and new units. Not here: the tests
themselves (`drift.mmd`, `drift.online`), measures of vectors (`quality`).

Reference and new units are parted at random, from the same plates: what is measured is the corruption, and level 0 is the
control, whose rate of alarms is the test's own. How plates differ from one another is another question.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from plate_assets.drift import mmd, online, online_runs
from plate_assets.drift.kernel import median_distance
from plate_assets.drift.online_thresholds import draw_streams
from plate_assets.drift.stability.quality import Measured
from plate_assets.drift.stability.tables import THESIS_DECISION
from plate_assets.learning.metrics import auc


@dataclass(frozen=True)
class OfflineTrial:
    """`batches` batches of `batch` units for each of `seeds` seeds, each batch with a split of its own."""

    batch: int = 24
    batches: int = 20
    seeds: int = 5
    permutations: int = 100


@dataclass(frozen=True)
class OnlineTrial:
    """`streams` clean and as many drifted streams of `longest` units for each of `seeds` splits, window, ERT and level.

    Level 0 compares clean streams with other clean ones. `bootstraps` of the thresholds are so many times the ERT. calibration:
    as in `online.configure`; the thesis's own is `per_step`.
    """

    windows: tuple[int, ...] = (2, 5, 10, 15, 20)
    erts: tuple[int, ...] = (32, 64, 128, 256)
    levels: tuple[int, ...] = (0, 2, 3, 4)
    streams: int = 100
    longest: int = 256
    seeds: int = 5
    bootstraps: int = 10
    calibration: online.Calibration = "run_time"


def offline_alarms(clean: np.ndarray, corrupted: np.ndarray, trial: OfflineTrial, seed: int = 0) -> list[Measured]:
    """`false_negative_rate` and `mmd2` of batches of corrupted units against a reference of clean other ones.

    clean, corrupted: (u, d) vectors of the same units, without and with the corruption. For every batch a new half of the units
    is the reference, and the batch is of the others: all of them, where they are no more. The interval is from the smallest
    to the largest of the seeds.
    """
    rngs = [np.random.default_rng([seed, number]) for number in range(trial.seeds)]
    found = np.array([[_missed(clean, corrupted, trial, rng) for _ in range(trial.batches)] for rng in rngs])
    missed, distance = found.mean(axis=1).T
    n = trial.seeds * trial.batches
    return [
        Measured(name, float(values.mean()), float(values.min()), float(values.max()), n)
        for name, values in (("false_negative_rate", missed), ("mmd2", distance))
    ]


def _missed(clean: np.ndarray, corrupted: np.ndarray, trial: OfflineTrial, rng: np.random.Generator) -> tuple[bool, float]:
    """Whether the test passes a batch, and its MMD². A batch of one vector again and again is refused by the test: noticed."""
    reference, new = halves(len(clean), rng)
    known, batch = clean[reference], corrupted[new[: trial.batch]]
    if (batch == batch[0]).all():
        pooled = np.concatenate([known, batch]).astype(np.float64)
        member = np.arange(len(pooled)) >= len(known)
        return False, float(mmd.split_mmd2(pooled, member[None], median_distance(known.astype(np.float64)))[0])
    found = mmd.test(known, batch, permutations=trial.permutations, seed=int(rng.integers(2**32)))
    return not found.drift, found.mmd2


def online_alarms(clean: np.ndarray, drifted: Mapping[int, np.ndarray], trial: OnlineTrial, seed: int = 0) -> pl.DataFrame:
    """How well run lengths tell drifted from clean streams, by `window`, `ert` and `level`: rows of ONLINE_AUC without names.

    clean: (u, d) vectors of units; drifted: by level, (u, d) of the same units. Streams draw units of the half that is not the
    reference, none twice within a window, where its copy would look like drift. The run length of a stream is the number of
    units up to its alarm, and one more than `longest` where none comes; the AUC is that of the run lengths as scores, short for
    drifted, as the thesis takes it.
    """
    runs: dict[tuple[int, int, int], list[tuple[np.ndarray, np.ndarray]]] = {}
    for number in range(trial.seeds):
        rng = np.random.default_rng([seed, number])
        reference, new = halves(len(clean), rng)
        apart = min(max(trial.windows), len(new) // 2)
        kept, changed = (new[draw_streams(len(new), (trial.streams, trial.longest), apart, rng)] for _ in range(2))
        for window in trial.windows:
            for ert in trial.erts:
                monitor = online.configure(
                    clean[reference], window=window, ert=ert, bootstraps=trial.bootstraps * ert, seed=number,
                    calibration=trial.calibration,
                )  # fmt: skip
                without = _run_lengths(monitor, clean[kept])
                for level, vectors in drifted.items():
                    runs.setdefault((window, ert, level), []).append((without, _run_lengths(monitor, vectors[changed])))
    return pl.DataFrame([_online_row(key, pairs, trial) for key, pairs in runs.items()])


def _run_lengths(monitor: online.OnlineMonitor, streams: np.ndarray) -> np.ndarray:
    found = online_runs.run_lengths(monitor, streams)
    return np.where(found == 0, streams.shape[1] + 1, found)


def _online_row(key: tuple[int, int, int], pairs: list[tuple[np.ndarray, np.ndarray]], trial: OnlineTrial) -> dict:
    drifted = np.repeat([False, True], trial.streams)
    values = [auc(drifted, -np.concatenate(pair)) for pair in pairs]
    without, under = (np.concatenate(runs) for runs in zip(*pairs, strict=True))
    about = {"window": key[0], "ert": key[1], "level": key[2], "calibration": trial.calibration, "decision": THESIS_DECISION}
    return about | {
        "auc": float(np.mean(values)),
        "low": min(values),
        "high": max(values),
        "run_clean": float(np.median(without)),
        "run_drifted": float(np.median(under)),
        "caught": float(np.mean(under <= THESIS_DECISION)),
        "false_alarms": float(np.mean(without <= THESIS_DECISION)),
        "seeds": trial.seeds,
        "streams": trial.streams,
        "longest": trial.longest,
    }


def halves(units: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A random half of the units, and the others."""
    order = rng.permutation(units)
    return order[: units // 2], order[units // 2 :]
