"""A detector trained on labelled tiles: their pixels brought into memory, its starting weights read, the training run.

Belongs here: what the training needs from files. Not here: the training itself (`precipitation.detector_training`), what
becomes of the detector (`registration`, `tile_folders`).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from plate_assets.learning.rows import Rows
from plate_assets.progress import Progress
from plate_assets.storage.arrays import IN_MEMORY_BYTES
from plate_assets.storage.models import bundle_version, is_bundle, read_bundle

if TYPE_CHECKING:
    from plate_assets.learning.backbones import TrunkWeights
    from plate_assets.precipitation.detector_training import TrainedDetector
    from plate_assets.precipitation.model import DetectorConfig


def train_detector(
    tiles: Any,
    table: pl.DataFrame,
    config: "DetectorConfig",
    *,
    weights: str | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> "TrainedDetector":
    """Train FCDD on the tiles (N, h, w[, 3]) that the table speaks of: `index` into them, `anomalous`, `split`.

    weights: what the trunk starts from, see `starting_weights`. checkpoint: see `learning.training`.
    Raises TrainingError where a split or a class is empty, WeightsError where the trunk and its start do not fit.
    """
    from plate_assets.learning.training import train
    from plate_assets.precipitation.detector_training import DetectorTraining

    start = starting_weights(config.backbone, weights) if weights else None
    training = DetectorTraining.of(rows_at_hand(tiles, table["index"].to_numpy()), table, config, start)
    return train(training, checkpoint=checkpoint, progress=progress)


def rows_at_hand(array: Any, rows: np.ndarray) -> Rows:
    """These rows of an array, in their order: in memory where they fit, since each is drawn many times, else read as needed."""
    size = int(np.prod(array.shape[1:])) * len(rows) * np.dtype(array.dtype).itemsize
    if size > IN_MEMORY_BYTES:
        return Rows(array, rows)
    return Rows(np.asarray(array[np.sort(rows)]), np.argsort(np.argsort(rows)))


def starting_weights(backbone: str, place: str) -> "TrunkWeights":
    """Pretrained weights of a backbone: in a folder, at a URL, or in the folder of a model of ours that has the same trunk.

    Raises WeightsError where there are none, or where the model has another trunk.
    """
    import torch

    from plate_assets.learning.backbones import TrunkWeights, WeightsError, read_pretrained

    if place.startswith(("http://", "https://")) or not is_bundle(place):
        return read_pretrained(backbone, place)
    bundle = read_bundle(place)
    its_trunk = bundle.architecture.get("trunk") or bundle.architecture.get("backbone")
    if its_trunk != backbone:
        raise WeightsError(
            f"the model in {place} has the trunk {its_trunk}, and {backbone} is to be trained: weights are shared only where "
            f"trunks agree; train embedding_model with `trunk: {backbone}`, or start from other weights"
        )
    state = {name: torch.from_numpy(value.copy()) for name, value in bundle.weights.items()}
    return TrunkWeights(state, f"{place} ({bundle_version(place)})")
