"""Do the drift tests keep what they promise? `python -m benchmarks.drift_calibration FOLDER` prints one JSON object.

Without drift: how often the offline test rejects, and how long the online test runs until its first alarm, over many
references of one population. The populations: normal deviates, and embeddings of real images by a network with random
weights, whose tiles are drawn at random, so that they are exchangeable. New data come from the population, never from the
reference.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from plate_assets.drift.online import Calibration

Population = Callable[[np.random.Generator, int], tuple[np.ndarray, Callable[..., np.ndarray]]]
SIZE, TILE_PX, STEP_PX = 32, 64, 48


def normal(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, Callable[..., np.ndarray]]:
    """A reference (rows, 32), and a way to draw new data of any shape."""
    return rng.normal(size=(rows, SIZE)), lambda *shape: rng.normal(size=(*shape, SIZE))


def of_images(folder: Path) -> Population:
    """Tiles of all TIFF images below a folder, embedded; new data are other tiles than the reference's."""
    import tifffile

    from plate_assets.precipitation.embedding import EmbeddingModel

    model = EmbeddingModel.untrained(input_px=TILE_PX, embedding_size=SIZE)
    tiles = []
    for file in sorted(folder.rglob("*.tif")):
        view = np.lib.stride_tricks.sliding_window_view(tifffile.imread(file), (TILE_PX, TILE_PX))
        tiles.append(view[::STEP_PX, ::STEP_PX].reshape(-1, TILE_PX, TILE_PX))
    embeddings = model.embed(np.concatenate(tiles))

    def draw(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, Callable[..., np.ndarray]]:
        order = rng.permutation(len(embeddings))
        others = embeddings[order[rows:]]
        return embeddings[order[:rows]], lambda *shape: others[rng.integers(len(others), size=shape)]

    return draw


def false_positives(population: Population, trials: int, rows: int, batch: int) -> dict[str, float]:
    """How often a batch of the reference's own population is called drift, alpha = 0.05, 100 permutations."""
    from plate_assets.drift import mmd

    rng = np.random.default_rng(0)
    alarms = 0
    for trial in range(trials):
        reference, new = population(rng, rows)
        alarms += mmd.test(reference, new(batch), seed=trial).drift
    rate = alarms / trials
    return {
        "trials": trials,
        "reference": rows,
        "batch": batch,
        "rate": rate,
        "± (1 s.e.)": (rate * (1 - rate) / trials) ** 0.5,
    }


def run_times(
    population: Population, calibration: Calibration, ert: int, window: int, rows: int, references: int, streams: int
) -> dict[str, float | str]:
    """Run times of monitors of many references, each on streams of new data of 4 × ERT steps."""
    from plate_assets.drift import online, online_runs

    rng = np.random.default_rng(ert)
    means, shown = [], []
    for seed in range(references):
        reference, new = population(rng, rows)
        monitor = online.configure(reference, window=window, ert=ert, seed=seed, calibration=calibration)
        lengths = online_runs.run_lengths(monitor, new(streams, 4 * ert))
        means.append(online_runs.mean_run_time(lengths, 4 * ert))
        shown.append(monitor.expected_run_time)
    mean = np.array(means)
    off = np.log(mean / np.array([time.mean for time in shown]))
    deviation = np.hypot([time.relative_spread for time in shown], streams**-0.5)  # the measurement's own chance too
    return {
        "calibration": calibration, "ERT": ert, "window": window, "reference": rows, "references": references,
        "mean run time / ERT": float(mean.mean() / ert), "± (1 s.e.)": float(mean.std(ddof=1) / ert / references**0.5),
        "spread between references": float(max(0.0, np.log(mean).var(ddof=1) - 1 / streams) ** 0.5),
        "spread shown": float(np.mean([time.relative_spread for time in shown])),
        "shown mean / ERT": float(np.mean([time.mean for time in shown]) / ert),
        "within 95 % of what is shown": float((np.abs(off + deviation**2 / 2) < 1.96 * deviation).mean()),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="a folder of TIFF images of one kind")
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--references", type=int, default=50)
    parser.add_argument("--streams", type=int, default=60, help="for each reference")
    parser.add_argument("--rows", type=int, default=500, help="of a reference of the online test")
    parser.add_argument("--window", type=int, default=10)
    parser.add_argument("--ert", type=int, nargs="*", default=[32, 64, 128, 256])
    parser.add_argument("--calibration", nargs="*", default=["run_time", "per_step"])
    given = parser.parse_args()
    found = {}
    for name, population in (("normal", normal), ("images", of_images(given.images))):
        found[name] = {
            "offline": false_positives(population, given.trials, 60, 40) if given.trials else None,
            "online": [
                run_times(population, calibration, ert, given.window, given.rows, given.references, given.streams)
                for calibration in given.calibration
                for ert in given.ert
            ],
        }
    print(json.dumps(found, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
