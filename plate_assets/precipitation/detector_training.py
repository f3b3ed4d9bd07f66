"""Training a detector on labelled tiles, within a stated budget, with a trivial baseline beside every result.

Belongs here: what turns tiles and labels into a trained detector with its measures. Not here: where the tiles come from
(`training_data`, `tile_folders`), registration (`register`), the loop itself (`learning.fit`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from plate_assets.storage.arrays import IN_MEMORY_BYTES

if TYPE_CHECKING:
    import torch

    from plate_assets.learning.augment import Symmetry
    from plate_assets.learning.fit import Fitted
    from plate_assets.precipitation.detector import Detector
    from plate_assets.precipitation.fcdd import Reduction

Progress = Callable[[int, int], None]
VALIDATION_TILES = 1_500  # of the calibration split, in every epoch: enough to rank epochs, few enough to cost little


@dataclass(frozen=True)
class TrainConfig:
    """What is trained, and the budget that every backbone gets alike."""

    backbone: str = "cnn27"
    mode: Literal["semi_supervised", "one_class"] = "semi_supervised"
    epochs: int = 40
    tiles_per_epoch: int = 2_000
    seconds: float = 7_200.0
    batch: int = 32
    anomalous_share: float = 0.3  # of each batch; the tiles themselves stand ten to one
    learning_rate: float = 1e-3
    decay: float = 0.985  # of the learning rate, each epoch
    optimiser: Literal["adam", "sgd"] = "adam"
    patience: int = 10
    frozen_stages: int = 0
    seed: int = 0
    weights: str | None = None  # folder or URL of pretrained weights, or the folder of a model of ours with the same trunk
    input_px: int | None = None  # side that tiles are resized to; None: the backbone's own
    normalisation: str = "relative"
    precision: str = "float32"
    um_per_px: float | None = 2.82
    reduction: "Reduction" = "mean"  # of a map to its score; max: for anomalies that are small
    views: str = "one"  # mirrored: a score is the mean over a tile's mirror images, in four times the time
    loss_reduction: "Reduction" = "mean"  # the same in the loss; topk: as max, but more than one place of a map learns
    synthetic_share: float = 0.0  # of each batch: normal tiles with synthetic anomalies, whose places are known
    symmetry: "Symmetry" = "square"  # of what is shown: which of its rotations and mirror images are as good
    stretch: float = 0.0  # random scale, proportions and shift, see `augment`
    average: float = 0.0  # share of the past in a running average of the weights, which is then kept, see `fit`


@dataclass
class TrainedDetector:
    """A detector with how it was made and how it does; every metric is of the split that its name ends with."""

    detector: "Detector"
    curves: dict[str, list[float]]
    metrics: dict[str, float | int | str]
    thresholds: dict[str, float] = field(default_factory=dict)


class TrainingError(ValueError):
    """Tiles that nothing can be learnt from; the message says what lacks."""


def train_detector(
    tiles: Any,
    table: pl.DataFrame,
    config: TrainConfig,
    *,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> TrainedDetector:
    """Train FCDD on the tiles (N, h, w[, 3]) that the table speaks of: `index` into them, `anomalous`, `split`.

    checkpoint: file of a training that may go on after a kill; removed when the training is done.
    Raises TrainingError where a split or a class is empty.
    """
    import torch

    from plate_assets.learning.fit import FitConfig, fit
    from plate_assets.precipitation.detector import Detector, weights_of
    from plate_assets.precipitation.fcdd import fcdd_loss

    parts = _splits(table, config)
    pixels = Tiles(tiles, table["index"].to_numpy())
    network, architecture = _untrained(pixels, parts, config)
    shell = Detector(architecture, {})  # for its way of preparing tiles, before there are weights
    validation = parts.validation(config.seed)

    def validate(model: "torch.nn.Module") -> tuple[float, dict[str, float]]:
        raw = _raw_maps(model, shell, pixels, validation)
        answer = torch.from_numpy(parts.anomalous[validation].astype(np.float32))
        value = float(fcdd_loss(raw, answer, reduction=config.loss_reduction))
        auc = _auc(parts.anomalous[validation], _scores(raw, config))
        return (auc - 0.01 * value if np.isfinite(auc) else -value), {"calibration loss": value, "calibration AUC": auc}

    fitted = fit(
        network,
        Epochs(pixels, parts, shell, config),
        lambda model, batch: fcdd_loss(model(batch[0]).float(), batch[1], batch[2], config.loss_reduction),
        FitConfig(
            epochs=config.epochs, seconds=config.seconds, optimiser=config.optimiser, learning_rate=config.learning_rate,
            patience=config.patience, seed=config.seed, average=config.average, decay=config.decay,
        ),
        validate=validate,
        checkpoint=checkpoint,
        identity=f"{config}|{architecture['trunk_weights']}|{_digest(table)}",
        progress=progress,
    )  # fmt: skip
    if checkpoint:
        checkpoint.unlink(missing_ok=True)
    return _judged(Detector(architecture, weights_of(network)), fitted, parts, pixels, config)


def _untrained(pixels: "Tiles", parts: "Parts", config: TrainConfig) -> tuple["torch.nn.Module", dict[str, Any]]:
    """The network before its first epoch, and what a detector of it will say of itself."""
    import torch

    from plate_assets.learning.backbones import freeze
    from plate_assets.learning.catalogue import backbone_named
    from plate_assets.precipitation.detector import FORMAT
    from plate_assets.precipitation.fcdd import FCDD

    backbone, shape = backbone_named(config.backbone), pixels.array.shape
    channels = 3 if len(shape) == 4 else 1
    mean, std = _statistics(pixels.take(parts.sample(config.seed)), config.normalisation)
    torch.manual_seed(config.seed)
    network = FCDD(config.backbone, channels)
    if config.weights:
        source = _start(network.trunk, config.backbone, config.weights)
    else:
        network.start_one_sided()
        source = "random"
    freeze(network.trunk, config.frozen_stages)
    architecture = {
        "format": FORMAT, "science": "precipitation", "backbone": config.backbone, "cut": backbone.cut, "in_channels": channels,
        "input_px": config.input_px or backbone.input_px, "tile_px": int(shape[1]), "um_per_px": config.um_per_px,
        "normalisation": config.normalisation, "mean": mean, "std": std, "reduction": config.reduction, "views": config.views,
        "precision": config.precision, "trunk_weights": source,
    }  # fmt: skip
    return network.to(memory_format=torch.channels_last), architecture  # type: ignore[call-overload]


def _start(trunk: "torch.nn.Sequential", backbone: str, weights: str) -> str:
    """Fill the trunk from pretrained weights, or from a model of our own that has the same trunk; returns where from."""
    import torch

    from plate_assets.learning.backbones import WeightsError, fill_trunk, load_pretrained
    from plate_assets.storage.models import bundle_version, is_bundle, read_bundle

    if weights.startswith(("http://", "https://")) or not is_bundle(weights):
        return load_pretrained(trunk, backbone, weights)
    bundle, source = read_bundle(weights), f"{weights} ({bundle_version(weights)})"
    its_trunk = bundle.architecture.get("trunk") or bundle.architecture.get("backbone")
    if its_trunk != backbone:
        raise WeightsError(
            f"the model in {weights} has the trunk {its_trunk}, and {backbone} is to be trained: weights are shared only where "
            f"trunks agree; train embedding_model with `trunk: {backbone}`, or start from other weights"
        )
    fill_trunk(trunk, backbone, {name: torch.from_numpy(value.copy()) for name, value in bundle.weights.items()}, source)
    return source


def _judged(detector: "Detector", fitted: "Fitted", parts: "Parts", pixels: "Tiles", config: TrainConfig) -> TrainedDetector:
    """The detector with its figures on each split, its thresholds, and what its training spent."""
    scores = {name: detector.score(pixels.view(rows)).scores for name, rows in parts.rows.items() if name != "train"}
    thresholds = _thresholds(parts, scores)
    spent = {"epochs": len(fitted.curves["training loss"]), "training seconds": round(fitted.seconds, 1), "ended": fitted.ended}
    if fitted.resumed_at is not None:
        spent["resumed at epoch"] = fitted.resumed_at
    detector.architecture |= {"thresholds": thresholds, "training": {**_plain(config), **spent}}
    return TrainedDetector(detector, fitted.curves, _measures(parts, scores, pixels) | spent, thresholds)


@dataclass(frozen=True)
class Parts:
    """Rows of the table by split, and which are anomalous."""

    rows: dict[str, np.ndarray]
    anomalous: np.ndarray

    def sample(self, seed: int, at_most: int = 512) -> np.ndarray:
        """Rows of the training split that the image statistics are taken from."""
        return _thin(self.rows["train"], at_most, seed)

    def validation(self, seed: int) -> np.ndarray:
        """Rows that each epoch is judged on: all anomalous ones of the calibration split, the normal ones thinned."""
        rows = self.rows["calibration"]
        bad = _thin(rows[self.anomalous[rows]], VALIDATION_TILES // 2, seed)
        return np.sort(np.concatenate([bad, _thin(rows[~self.anomalous[rows]], VALIDATION_TILES - len(bad), seed)]))


def _thin(rows: np.ndarray, at_most: int, seed: int) -> np.ndarray:
    if len(rows) <= at_most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, at_most, replace=False))


def _splits(table: pl.DataFrame, config: TrainConfig) -> Parts:
    split, anomalous = table["split"].to_numpy(), table["anomalous"].to_numpy().astype(bool)
    rows = {name: np.flatnonzero(split == name) for name in ("train", "calibration", "test")}
    if not len(rows["train"]) or anomalous[rows["train"]].all():
        raise TrainingError("the training split holds no normal tile: name a cluster `normal`, or sample more plates")
    if config.mode == "semi_supervised" and not anomalous[rows["train"]].any():
        raise TrainingError(
            "the training split holds no anomalous tile: name a cluster `chemical` or `necrotic`, or train with mode one_class"
        )
    if not len(rows["calibration"]):
        raise TrainingError("the calibration split is empty: sample tiles from more plates or wells")
    if config.mode == "one_class":
        rows["train"] = rows["train"][~anomalous[rows["train"]]]
    return Parts(rows, anomalous)


class Tiles:
    """The pixels of the table's rows: in memory where they fit, else read as they are needed."""

    def __init__(self, array: Any, index: np.ndarray):
        size = int(np.prod(array.shape[1:])) * len(index) * np.dtype(array.dtype).itemsize
        self.array = np.asarray(array[np.sort(index)]) if size <= IN_MEMORY_BYTES else array
        self.index = np.argsort(np.argsort(index)) if size <= IN_MEMORY_BYTES else index

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The pixels of these rows, in their order."""
        return np.asarray(self.array[self.index[rows]])

    def view(self, rows: np.ndarray) -> "View":
        """These rows as something that slices."""
        return View(self, rows)


@dataclass(frozen=True)
class View:
    """Some rows of the tiles, read when sliced."""

    tiles: Tiles
    rows: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.rows), *self.tiles.array.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: slice) -> np.ndarray:
        return self.tiles.take(self.rows[part])


@dataclass(frozen=True)
class Epochs:
    """The batches of an epoch: both classes in a fixed share, drawn without repetition as long as there are tiles.

    A batch is images, which are anomalous, and marks: where the last of them are, those with synthetic anomalies.
    """

    pixels: Tiles
    parts: Parts
    shell: "Detector"
    config: TrainConfig

    def __call__(self, rng: np.random.Generator, generator: "torch.Generator") -> Iterator[tuple["torch.Tensor", ...]]:
        import torch

        from plate_assets.learning.augment import Augmentation, Strokes, add_strokes, augment

        rows, config = self.parts.rows["train"], self.config
        bad, good = rows[self.parts.anomalous[rows]], rows[~self.parts.anomalous[rows]]
        n_bad = round(config.batch * config.anomalous_share) if len(bad) else 0
        first_made = config.batch - round(config.batch * config.synthetic_share)
        n_batches = max(1, config.tiles_per_epoch // config.batch)
        drawn_bad, drawn_good = _drawn(bad, n_bad * n_batches, rng), _drawn(good, (config.batch - n_bad) * n_batches, rng)
        how = Augmentation(symmetry=config.symmetry, stretch=config.stretch)
        for number in range(n_batches):
            chosen = np.concatenate(
                [drawn_bad[number * n_bad : (number + 1) * n_bad],
                 drawn_good[number * (config.batch - n_bad) : (number + 1) * (config.batch - n_bad)]]
            )  # fmt: skip
            images = augment(self.shell.prepare(self.pixels.take(chosen)), how, generator)
            answer = torch.from_numpy(self.parts.anomalous[chosen].astype(np.float32))
            images[first_made:], marks = add_strokes(images[first_made:], Strokes(), generator)
            answer[first_made:] = 1
            yield images.contiguous(memory_format=torch.channels_last), answer, marks


def _drawn(rows: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """n rows: whole random orders of them, one after the other."""
    if not len(rows) or not n:
        return rows[:0]
    return np.concatenate([rng.permutation(rows) for _ in range(-(-n // len(rows)))])[:n]


def _statistics(tiles: np.ndarray, normalisation: str) -> tuple[float, float]:
    """Mean and standard deviation of the training tiles as shares of full scale; for `relative`, of the relative contrast."""
    from plate_assets.learning.infer import as_tensor
    from plate_assets.learning.normalise import relative_contrast

    values = as_tensor(tiles, 1)
    mean = float(values.mean())
    if normalisation == "relative":
        values = relative_contrast(values)
    return mean, max(float(values.std()), 1e-4)


def _raw_maps(model: "torch.nn.Module", shell: "Detector", pixels: Tiles, rows: np.ndarray) -> "torch.Tensor":
    import torch

    with torch.inference_mode():
        batches = (pixels.take(rows[start : start + 64]) for start in range(0, len(rows), 64))
        return torch.cat([model(shell.prepare(batch).contiguous(memory_format=torch.channels_last)) for batch in batches])


def _scores(raw: "torch.Tensor", config: TrainConfig) -> np.ndarray:
    from plate_assets.precipitation.fcdd import pseudo_huber, reduce_map

    return reduce_map(pseudo_huber(raw), config.reduction).double().numpy()


def _auc(truth: np.ndarray, scores: np.ndarray) -> float:
    from plate_assets.learning.metrics import auc

    return float(auc(truth, scores)) if 0 < truth.sum() < len(truth) else float("nan")


def _measures(parts: Parts, scores: dict[str, np.ndarray], pixels: Tiles) -> dict[str, float | int | str]:
    """AUC of the detector and of the trivial baseline on each split that has both classes."""
    from plate_assets.precipitation.tiles import local_std

    measures: dict[str, float | int | str] = {}
    for name, values in scores.items():
        rows = parts.rows[name]
        truth = parts.anomalous[rows]
        measures[f"tiles {name}"], measures[f"anomalous {name}"] = len(rows), int(truth.sum())
        if 0 < truth.sum() < len(truth):
            starts = range(0, len(rows), 256)
            trivial = np.concatenate([local_std(pixels.take(rows[start : start + 256])) for start in starts])
            measures[f"AUC {name}"] = _auc(truth, values)
            measures[f"AUC baseline {name}"] = _auc(truth, trivial)
    return measures


def _thresholds(parts: Parts, scores: dict[str, np.ndarray]) -> dict[str, float]:
    """Tile scores that part the classes best on the calibration split: by Youden's J and by F1."""
    from plate_assets.learning.metrics import operating_point

    truth = parts.anomalous[parts.rows["calibration"]]
    if not 0 < truth.sum() < len(truth):
        return {}
    return {f"tile_{rule}": operating_point(truth, scores["calibration"], rule).threshold for rule in ("youden", "f1")}


def _digest(table: pl.DataFrame) -> str:
    import hashlib

    return hashlib.sha256(table.select("index", "anomalous", "split").write_csv().encode()).hexdigest()[:16]


def _plain(config: TrainConfig) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(config)
