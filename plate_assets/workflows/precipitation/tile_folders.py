"""Detectors from folders of pictures: `normal/` and `anomalous/` in, a model and its split out; and scores for a folder.

Belongs here: pictures as files, resized whole. Not here: plates and their geometry (`patches`), training itself (`detectors`).
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from upath import UPath

from plate_assets.precipitation.model import FROM_A_FOLDER, DetectorConfig
from plate_assets.progress import Progress
from plate_assets.storage.models import ModelBundle, bundle_version, write_bundle

if TYPE_CHECKING:
    from plate_assets.precipitation.detector_training import TrainedDetector

SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}
SHARES = {"train": 0.6, "calibration": 0.15, "test": 0.25}
LAST_RATE = 0.03  # share of the learning rate that the last epoch has
INPUT_PX = {"cnn27": 128}  # its map has a value for each 8 px: enough for a picture shown whole, in a third of the time
THUMBNAIL_PX, NEARLY_THE_SAME = 24, 0.95  # correlation of two thumbnails


class TileFolderError(ValueError):
    """A folder that nothing can be learnt from or scored in; the message says what it lacks."""


@dataclass(frozen=True)
class FolderModel:
    """What a training from a folder left."""

    folder: Path
    version: str
    trained: "TrainedDetector"
    split: Path

    def summary(self) -> str:
        """The result as a person reads it, with the trivial baseline beside it."""
        lines = [f"model {self.version} in {self.folder}", f"split by picture: {self.split}"]
        return "\n".join(lines + [f"{name}: {_said(value)}" for name, value in self.trained.metrics.items()])


def _said(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def train_from_folder(
    folder: Path,
    out: Path,
    config: DetectorConfig = FROM_A_FOLDER,
    *,
    weights: str | None = None,
    progress: Progress | None = None,
) -> FolderModel:
    """Train on the pictures in `normal/` and `anomalous/`, resized whole; writes the model and, beside it, its split as CSV.

    The split is by picture and drawn with the seed; pictures that show nearly the same go to the same side. An epoch shows each
    picture, the learning rate falls to the end, and no epoch is left out: few pictures judge.
    """
    from plate_assets.learning.catalogue import backbone_named
    from plate_assets.workflows.precipitation.detectors import train_detector

    side = INPUT_PX.get(config.backbone) or backbone_named(config.backbone).input_px
    table = split_pictures(folder, config.seed)
    pixels = np.stack([picture(folder / path, side) for path in table["path"]])
    config = replace(
        config, tiles_per_epoch=max(256, table.height), decay=LAST_RATE ** (1 / config.epochs), patience=config.epochs,
        input_px=side,
    )  # fmt: skip
    checkpoint = out.with_name(f".{out.name}.checkpoint")
    trained = train_detector(pixels, table, config, weights=weights, checkpoint=checkpoint, progress=progress)
    write_bundle(ModelBundle(trained.detector.architecture, trained.detector.weights, {}), out)
    split = out.with_name(f"{out.name}_split.csv")
    table.select("path", "anomalous", "group", "split").write_csv(split)
    return FolderModel(out, bundle_version(out), trained, split)


def split_pictures(folder: Path, seed: int) -> pl.DataFrame:
    """index, path (relative), anomalous, group (of pictures that show nearly the same), split: of every picture."""
    found = {name: pictures_in(folder / name) for name in ("normal", "anomalous")}
    for name, paths in found.items():
        if len(paths) < 8:
            raise TileFolderError(f"{folder / name} holds {len(paths)} pictures, and 8 or more are needed to split them")
    paths = [f"{name}/{path}" for name, inside in found.items() for path in inside]
    table = pl.DataFrame({
        "path": paths,
        "anomalous": [path.startswith("anomalous/") for path in paths],
        "group": near_duplicates(np.stack([picture(folder / path, THUMBNAIL_PX) for path in paths])),
    })  # fmt: skip
    # Groups in a drawn order, each class on its own; the share of its class that comes before a group says where it goes.
    place = np.random.default_rng(seed).permutation(table["group"].n_unique())[table["group"]]
    shuffled = table.with_columns(place=place, kind=pl.col("anomalous").first().over("group")).sort("place", "path")
    before = shuffled.with_columns(before=(pl.int_range(pl.len()) / pl.len()).over("kind"))
    before = before.with_columns(pl.col("before").min().over("group"))["before"]
    side = np.searchsorted(np.cumsum(list(SHARES.values()))[:-1], before, side="right")
    split = shuffled.with_columns(split=pl.Series([list(SHARES)[i] for i in side]))
    return split.select("path", "anomalous", "group", "split").sort("path").with_row_index("index")


def near_duplicates(thumbnails: np.ndarray) -> np.ndarray:
    """(n,) group of each thumbnail (n, t, t): those that correlate, directly or through others, are one scene.

    The same part under another exposure is no new picture: on both sides of a split it would let a test be learnt by heart.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float64)
    flat -= flat.mean(1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    return connected_components(csr_matrix(flat @ flat.T > NEARLY_THE_SAME), directed=False)[1]


def pictures_in(folder: Path) -> list[str]:
    """The pictures under a folder, sorted, relative to it."""
    if not folder.is_dir():
        raise TileFolderError(f"{folder} is no folder: put the pictures there")
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def picture(path: Path, side: int) -> np.ndarray:
    """A picture as grey (side, side) uint8, resized whole."""
    from PIL import Image

    from plate_assets.plates.images import full_scale, read_image, to_grey

    image = to_grey(read_image(UPath(path)))
    scaled = image.astype(np.float32) * (255 / full_scale(image.dtype))
    return np.asarray(Image.fromarray(scaled).resize((side, side), Image.Resampling.BOX).convert("F")).round().astype(np.uint8)


def score_folder_of_tiles(folder: Path, bundle: ModelBundle, progress: Progress | None = None) -> pl.DataFrame:
    """Score every picture under a folder: path (relative to it) and score, in the order of the paths."""
    from plate_assets.precipitation.detector import Detector

    paths = pictures_in(folder)
    if not paths:
        raise TileFolderError(f"{folder} holds no picture: {', '.join(sorted(SUFFIXES))} are read")
    detector = Detector.from_parts(bundle.architecture, bundle.weights)
    side, scores = int(detector.architecture["input_px"]), []
    for start in range(0, len(paths), 64):
        batch = np.stack([picture(folder / path, side) for path in paths[start : start + 64]])
        scores.append(detector.score(batch, precision=detector.architecture.get("precision", "float32")).scores)
        if progress:
            progress(min(start + 64, len(paths)), len(paths))
    return pl.DataFrame({"path": paths, "score": np.concatenate(scores)})
