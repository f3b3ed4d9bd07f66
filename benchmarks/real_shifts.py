"""Shifts that nobody simulated: focal planes, cultures, and a culture that grows, each beside comparisons that must not alarm.

There are no pretrained weights here, so that tiles are embedded by our embedding with random weights, standardised on
reference images, and by the same after a short training on pairs of views of reference images.

Two of the sets are one well or a few fields: there tiles stand for units, since nothing else is left, and halves of an image
are compared that share no tile. The p-values speak of those images, not of wells.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

TILE_PX, PERMUTATIONS = 128, 400
ITERATIONS = 150
Embed = Callable[[np.ndarray], np.ndarray]
Images = dict[str, np.ndarray]


def measure(folder: Path | None = None, iterations: int = ITERATIONS) -> dict[str, dict]:
    """Tests of each real shift and of its controls, by data set, embedding and comparison: `p`, `mmd2` and `over_threshold`.

    over_threshold: MMD² over the one that the test alarms at. folder: the real data, PLATE_ASSETS_REAL_DATA where None.
    """
    root = folder or Path(os.environ["PLATE_ASSETS_REAL_DATA"])
    found = {}
    for name, (images, reference, compare) in {
        "focal planes": (*_focal_planes(root), _halves_of_images),
        "cultures": (*_cultures(root), _halves_of_images),
        "growth": (*_growth(root), _frames),
    }.items():
        stacks = {key: tiles_of(image) for key, image in images.items()}
        black = chessboard(next(iter(images.values())).shape)
        training = np.concatenate([stacks[key][::2] for key in reference])
        found[name] = {
            how: compare({key: embed(stack) for key, stack in stacks.items()}, reference, black)
            for how, embed in {"random weights": trained(training, 0), "pairs": trained(training, iterations)}.items()
        }
    return found


def tiles_of(image: np.ndarray) -> np.ndarray:
    """(n, TILE_PX, TILE_PX) all whole tiles of an image, row-major."""
    rows, cols = (side // TILE_PX for side in image.shape)
    cut = image[: rows * TILE_PX, : cols * TILE_PX].reshape(rows, TILE_PX, cols, TILE_PX)
    return cut.transpose(0, 2, 1, 3).reshape(-1, TILE_PX, TILE_PX)


def chessboard(shape: tuple[int, ...]) -> np.ndarray:
    """(n,) which of the tiles of an image of this shape are black."""
    rows, cols = (np.arange(side // TILE_PX) for side in shape)
    return np.add.outer(rows, cols).ravel() % 2 == 0


def trained(training: np.ndarray, iterations: int, seed: int = 0) -> Embed:
    """Our embedding, trained on two views of each tile as a class; without iterations: random weights, standardised."""
    from plate_assets.learning.training import train
    from plate_assets.precipitation.embedding_training import EmbeddingTraining
    from plate_assets.precipitation.model import EmbeddingConfig

    config = EmbeddingConfig(iterations=iterations, learning_rate=1e-3, input_px=96, seed=seed)
    return train(EmbeddingTraining.of(training, None, config)).model.embed


def _test(reference: np.ndarray, batch: np.ndarray) -> dict[str, float]:
    from plate_assets.drift import mmd

    found = mmd.test(reference, batch, permutations=PERMUTATIONS)
    return {
        "p": round(found.p_value, 4),
        "mmd2": round(found.mmd2, 5),
        "over_threshold": round(found.mmd2 / found.threshold, 2),
    }


def _halves_of_images(vectors: dict[str, np.ndarray], reference: list[str], black: np.ndarray) -> dict[str, dict]:
    """Every image against the reference image, black squares of a chessboard against white ones, so that no place is in both.

    Control: the reference image against itself in this way. The vectors are those of an image's tiles, row-major.
    """
    found = {}
    for name, others in vectors.items():
        base = np.concatenate([vectors[key][black] for key in reference])
        label = f"{name}: control, other half of the reference" if name in reference else name
        found[label] = _test(base, others[~black])
    return found


def _frames(vectors: dict[str, np.ndarray], reference: list[str], _: np.ndarray) -> dict[str, dict]:
    """Frames of a time-lapse as units, each the mean of its tiles: later frames against the reference's.

    Control: every other frame of the reference against those between them.
    """
    frames = {name: tiles.mean(axis=0) for name, tiles in vectors.items()}
    early = np.array([frames[name] for name in reference])
    rest = [frames[name] for name in frames if name not in reference]
    parts = np.array_split(np.array(rest), 3)
    found = {"first quarter: control, every other frame": _test(early[::2], early[1::2])}
    return found | {
        f"{name} quarter": _test(early, part) for name, part in zip(("second", "third", "last"), parts, strict=True)
    }


def _focal_planes(root: Path) -> tuple[Images, list[str]]:
    from skimage.io import imread

    place = root / "isl-phase-fluorescence" / "condition_blue_sample"
    depth = {int(path.name.split("z_depth-")[1].split(",")[0]): path for path in place.glob("*PHASE_CONTRAST*")}
    images = {f"plane {z}": imread(depth[z]) for z in sorted(depth)}
    return images, ["plane 3"]


def _cultures(root: Path) -> tuple[Images, list[str]]:
    from skimage.io import imread

    place = root / "usiigaci-phase-contrast"
    timelapses = sorted((place / "ExampleData" / "T98G_sample").glob("*.tif"))[::3]
    images = {f"T98G {path.stem[-3:]}": imread(path) for path in timelapses}
    for path in sorted((place / "labelled" / "train").glob("*/raw.tif"), key=lambda path: int(path.parent.name[3:])):
        if path.parent.name != "set1":  # the same picture as T98G t01
            images[path.parent.name] = imread(path)
    return images, ["T98G t01"]


def _growth(root: Path, every: int = 12) -> tuple[Images, list[str]]:
    from skimage.io import imread

    place = root / "livecyte-phase-timelapse" / "05062019_B3_3_imagedata"
    timelapses = sorted(place.glob("*.tif"))[::every]  # frames of 6 min: a frame repeats the one before
    images = {path.stem[-4:]: imread(path) for path in timelapses}
    return images, list(images)[: len(images) // 4]
