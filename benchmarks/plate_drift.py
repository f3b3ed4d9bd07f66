"""What the drift tests promise, found by simulation: rates of false alarms, power, false discoveries, run times of the monitor.

Plates are simulated with an offset of their own, `effect` standard deviations of a well, and wells around it; Gaussian, or from
embeddings of real images, of which each plate has its own mixture. One null trial is a new reference and a new plate.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

ALPHA = 0.05
WITHIN = 0.007  # what 10,000 trials may be off: three standard errors
SIZE = 16
SPREAD = 0.8 ** np.arange(SIZE)  # embeddings have few directions that matter
Plates = Callable[[np.random.Generator, int, int, float], np.ndarray]
"""(plates, wells, d) of simulated plates: chance, how many plates, wells of each, size of the plate effect."""


def measure(trials: int = 10_000, references: int = 50) -> dict[str, object]:
    """All figures. trials: null trials of each setting; references: of the monitor, each with its own run time."""
    samples: dict[str, Plates] = {"gaussian": gaussian_plates}
    if folder := os.environ.get("PLATE_ASSETS_REAL_DATA"):
        samples["real embeddings"] = real_plates(Path(folder))
    return {
        "false alarms": [row for name, plates in samples.items() for row in false_alarms(name, plates, trials)],
        "naive": [row for name, plates in samples.items() for row in naive(name, plates, min(trials, 400))],
        "fitted null": [row for name, plates in samples.items() for row in fitted(name, plates, trials)],
        "power": power(min(trials, 400)),
        "false discoveries": false_discoveries(max(2, trials // 30)),
        "run times": run_times(references),
        "delay": delay(),
    }


def gaussian_plates(rng: np.random.Generator, plates: int, wells: int, effect: float) -> np.ndarray:
    offset = effect * rng.normal(size=(plates, 1, SIZE))
    return (offset + rng.normal(size=(plates, wells, SIZE))) * SPREAD


def real_plates(folder: Path) -> Plates:
    """Plates whose wells are means of 4 tiles drawn from embeddings of real images, with offsets along their directions.

    The embedding is an untrained one: any map of images to vectors serves to show that the rate is kept.
    """
    vectors = real_embeddings(folder)
    half = np.arange(len(vectors)) < len(vectors) // 2  # two kinds of images

    def plates(rng: np.random.Generator, count: int, wells: int, effect: float) -> np.ndarray:
        share = rng.beta(8, 8, size=(count, 1, 1)) if effect else np.full((count, 1, 1), 0.5)
        kind = rng.random((count, wells, 4)) < share
        drawn = np.where(kind, rng.choice(np.flatnonzero(half), kind.shape), rng.choice(np.flatnonzero(~half), kind.shape))
        deviates = rng.normal(size=(count, len(vectors)))
        offset = (deviates - deviates.mean(axis=1, keepdims=True)) @ vectors / np.sqrt(len(vectors))
        return vectors[drawn].mean(axis=2) + effect / 2 * offset[:, None]

    return plates


def real_embeddings(folder: Path) -> np.ndarray:
    """(n, 32) of tiles of phase contrast (usiigaci) and of quantitative phase (livecyte), as many of each."""
    from upath import UPath

    from plate_assets.plates.images import read_image
    from plate_assets.precipitation.embedding import EmbeddingModel

    model, found = EmbeddingModel.untrained(input_px=96), []
    for place, pattern, most in (("usiigaci-phase-contrast", "**/*.tif*", 24), ("livecyte-phase-timelapse", "**/*.tif*", 60)):
        paths = [path for path in sorted((folder / place).glob(pattern)) if "mask" not in str(path).lower()]
        tiles = []
        for path in paths[:: max(1, len(paths) // most)]:
            image = np.asarray(read_image(UPath(path)))
            if image.ndim == 2 and min(image.shape) >= 600 and image.dtype in (np.uint8, np.uint16):
                cut = image[: image.shape[0] // 200 * 200, : image.shape[1] // 200 * 200]
                tiles.append(cut.reshape(cut.shape[0] // 200, 200, -1, 200).swapaxes(1, 2).reshape(-1, 200, 200))
        found.append(model.embed(np.concatenate(tiles)).astype(float))
    fewest = min(map(len, found))
    return np.concatenate([vectors[np.linspace(0, len(vectors) - 1, fewest).astype(int)] for vectors in found])


def false_alarms(name: str, plates: Plates, trials: int) -> list[dict[str, object]]:
    """Rate of p <= 0.05 of the leave-one-plate-out test, beside the level that it states."""
    settings = [(19, 8, 0.0), (19, 8, 0.5), (19, 8, 1.0), (19, 8, 2.0), (19, 24, 0.5), (39, 8, 1.0), (30, 8, 0.5)]
    rows = []
    for seed, (count, wells, effect) in enumerate(settings if name == "gaussian" else settings[:3]):
        found = [_trial(data, "leave_one_plate_out") for data in _pools(plates, trials, count, wells, effect, seed)]
        rate, level = float(np.mean([test.p_value <= ALPHA for test in found])), found[0].level
        rows.append({
            **_setting(name, count, wells, effect), "trials": trials, "rate": rate, "level": level,
            "kept": abs(rate - level) <= WITHIN,
        })  # fmt: skip
    return rows


def naive(name: str, plates: Plates, trials: int) -> list[dict[str, object]]:
    """The rate of the permutation test that takes wells, or single tiles, for exchangeable."""
    from plate_assets.drift import mmd

    rows = []
    for seed, effect in enumerate((0.0, 0.5, 1.0)):
        alarms = {"wells": 0, "tiles": 0}
        for data in _pools(plates, trials, 19, 8, effect, seed):
            tiles = data[:, :, None] + np.random.default_rng(seed).normal(size=(*data.shape[:2], 4, 1)) * data.std(axis=(0, 1))
            for unit, rows_of in (("wells", data), ("tiles", tiles)):
                points = rows_of.reshape(len(data), -1, data.shape[2])
                result = mmd.test(points[:-1].reshape(-1, data.shape[2]), points[-1], permutations=100)
                alarms[unit] += result.p_value <= ALPHA
        rows.append({**_setting(name, 19, 8, effect), "trials": trials} | {f"{k} rate": v / trials for k, v in alarms.items()})
    return rows


def fitted(name: str, plates: Plates, trials: int) -> list[dict[str, object]]:
    """Rates at 0.05 and 0.01 of the log-normal null, for few plates."""
    rows = []
    for seed, (count, effect) in enumerate([(5, 0.0), (5, 1.0), (10, 0.5), (10, 1.0), (19, 1.0)]):
        p_values = np.array([
            _trial(data, "log_normal").p_value for data in _pools(plates, max(2, trials // 2), count, 8, effect, seed)
        ])  # fmt: skip
        rates = {f"rate at {at}": float((p_values <= at).mean()) for at in (0.05, 0.01)}
        rows.append({**_setting(name, count, 8, effect), "trials": len(p_values), **rates})
    return rows


def power(trials: int) -> list[dict[str, object]]:
    """Share of alarms when every well is shifted along one direction, by so many standard deviations of a well there."""
    rows = []
    for effect in (0.0, 0.5):
        for shift in (0.25, 0.5, 1.0, 2.0):
            found = {"leave_one_plate_out": 0, "log_normal": 0}
            for data in _pools(gaussian_plates, trials, 19, 24, effect, 1):
                data[-1, :, 2] += shift * SPREAD[2]
                for null in found:
                    found[null] += _trial(data, null).p_value <= ALPHA
            shares = {null: count / trials for null, count in found.items()}
            rows.append({**_setting("gaussian", 19, 24, effect), "shift": shift, **shares})
    return rows


def false_discoveries(nights: int, tests: int = 20, drifted: int = 4) -> list[dict[str, object]]:
    """The share of wrong names among the named, mean over nights of 20 plates of which 4 drifted, at a rate of 0.1."""
    from plate_assets.drift.false_discovery import METHODS, adjusted
    from plate_assets.drift.plates import NULLS

    rows = []
    for count, null in ((99, NULLS[0]), (19, NULLS[0]), (19, NULLS[1])):
        rng = np.random.default_rng(count)
        wrong, right = {name: [] for name in METHODS}, {name: [] for name in METHODS}
        for _ in range(nights):
            data = gaussian_plates(rng, count + tests, 6, 0.5)
            data[count : count + drifted] += 2 * SPREAD
            pools = (np.concatenate([data[:count], data[count + i : count + i + 1]]) for i in range(tests))
            p_values = np.array([_trial(pool, null).p_value for pool in pools])
            for name in METHODS:
                named = adjusted(p_values, name) <= 0.1
                wrong[name].append(named[drifted:].sum() / max(1, named.sum()))
                right[name].append(named[:drifted].mean())
        for name in METHODS:
            said = {"false discovery rate": float(np.mean(wrong[name])), "found": float(np.mean(right[name]))}
            rows.append({"reference plates": count, "null": null, "method": name, "nights": nights, **said})
    return rows


def run_times(references: int, wells: int = 48) -> list[dict[str, object]]:
    """Mean wells to a false alarm over the one asked: thresholds from single wells, and from whole plates (`lines`)."""
    from plate_assets.drift import lines, online, online_runs

    rows = []
    for count, effect, each, ert in ((20, 0.0, 4, 64), (20, 0.5, 4, 64), (20, 1.0, 4, 64), (40, 0.5, 4, 64), (40, 0.5, 4, 256)):
        found: dict[str, list[float]] = {"single wells": [], "whole plates": []}
        spreads = []
        for seed in range(references):
            rng = np.random.default_rng(seed)
            known = gaussian_plates(rng, count, wells, effect).reshape(-1, SIZE)
            steps = 4 * ert
            streams = gaussian_plates(rng, 40 * steps // each, each, effect).reshape(40, steps, SIZE)
            label = np.repeat(np.arange(count), wells)
            monitors = {
                "single wells": online.configure(known, window=lines.WINDOW, ert=ert, seed=seed),
                "whole plates": lines.configure_line(known, label, ert=ert, wells_per_plate=each, seed=seed),
            }
            spreads.append(monitors["whole plates"].expected_run_time.relative_spread)
            for name, monitor in monitors.items():
                found[name].append(online_runs.mean_run_time(online_runs.run_lengths(monitor, streams), steps))
        rows.append({
            **_setting("gaussian", count, wells, effect), "wells of each plate": each, "asked": ert,
            "references": references, **{name: float(np.mean(values)) for name, values in found.items()},
            "spread of log, found": float(np.std(np.log(found["whole plates"]))),
            "spread of log, said": float(np.mean(spreads)),
        })  # fmt: skip
    return rows


def delay(count: int = 40, wells: int = 48, plates_to_false_alarm: int = 64) -> list[dict[str, object]]:
    """Plates until a shift is found, at equal false alarms: a few wells of each plate against all of them."""
    from plate_assets.drift import online, online_runs

    rows = []
    for effect in (0.5, 1.0):
        for each in (1, 4, 10, wells):
            rng = np.random.default_rng(0)
            nulls, later = [], {0.75: [], 1.5: [], 2.25: []}
            for seed in range(8):
                known = gaussian_plates(rng, count, wells, effect).reshape(-1, SIZE)
                monitor = online.configure(known, window=20, ert=64, seed=seed)
                quiet = gaussian_plates(rng, 4 * 200, each, effect).reshape(4, -1, SIZE)
                nulls.append(online_runs.statistics(monitor, quiet))
                for shift, found in later.items():
                    moved = gaussian_plates(rng, 8 * 80, each, effect)
                    moved[:, :, 2] += shift * SPREAD[2] * np.hypot(1, effect)
                    found.append(online_runs.statistics(monitor, moved.reshape(8, -1, SIZE)))
            threshold = _threshold_for(np.concatenate(nulls), plates_to_false_alarm * each)
            delays = {shift: _first(np.concatenate(found), threshold) / each for shift, found in later.items()}
            rows.append({
                "plate effect": effect, "wells of each plate": each, "window": 20,
                **{f"plates to an alarm, shift {shift}": float(np.ceil(steps).mean()) for shift, steps in delays.items()},
            })  # fmt: skip
    return rows


def _first(statistics: np.ndarray, threshold: float) -> np.ndarray:
    """Steps to the first alarm, all of the stream's where there is none."""
    above = statistics > threshold
    return np.where(above.any(axis=1), above.argmax(axis=1) + 1, above.shape[1])


def _threshold_for(statistics: np.ndarray, run_time: float) -> float:
    """The threshold at which steps at risk over alarms is the run time."""
    low, high = float(statistics.min()), float(statistics.max())
    for _ in range(40):
        middle = (low + high) / 2
        alarms = (statistics > middle).any(axis=1).sum()
        low, high = (low, middle) if _first(statistics, middle).sum() >= run_time * alarms else (middle, high)
    return high


def _setting(name: str, count: int, wells: int, effect: float) -> dict[str, object]:
    return {"sample": name, "reference plates": count, "wells": wells, "plate effect": effect}


def _pools(plates: Plates, trials: int, count: int, wells: int, effect: float, seed: int) -> Iterator[np.ndarray]:
    """Pools of `count` reference plates and, last, a new one, (1 + count, wells, d)."""
    rng = np.random.default_rng(seed)
    return (plates(rng, count + 1, wells, effect) for _ in range(trials))


def _trial(data: np.ndarray, null: str):
    from plate_assets.drift.plates import compare_plate

    wells = data.shape[1]
    return compare_plate(
        data[:-1].reshape(-1, data.shape[2]), np.repeat(np.arange(len(data) - 1), wells), data[-1], alpha=ALPHA, null=null
    )
