"""Training of a detector: what it learns from, what each epoch is judged on, and its measures beside a trivial baseline.

Belongs here: FCDD's batches, loss, validation, thresholds and figures of one training. Not here: where tiles and starting
weights come from (`workflows.precipitation.detectors`), the loop (`learning.fit`), the network (`fcdd`).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from plate_assets.learning.augment import Augmentation, Strokes, add_strokes, augment
from plate_assets.learning.backbones import TrunkWeights, fill_trunk, freeze
from plate_assets.learning.bundled import weights_of
from plate_assets.learning.catalogue import backbone_named
from plate_assets.learning.fit import FitConfig, Fitted
from plate_assets.learning.infer import as_tensor
from plate_assets.learning.metrics import auc, operating_point
from plate_assets.learning.normalise import relative_contrast
from plate_assets.learning.rows import Rows
from plate_assets.precipitation.detector import FORMAT, Detector
from plate_assets.precipitation.fcdd import FCDD, fcdd_loss, pseudo_huber, reduce_map
from plate_assets.precipitation.model import DetectorConfig
from plate_assets.precipitation.tiles import local_std

STATISTICS_TILES = 512  # of the training split, that mean and standard deviation are taken from
VALIDATION_TILES = 1_500  # of the calibration split, in every epoch: enough to rank epochs, few enough to cost little


class TrainingError(ValueError):
    """Tiles that nothing can be learnt from; the message says what lacks."""


@dataclass
class TrainedDetector:
    """A detector with how it was made and how it does; every metric is of the split that its name ends with."""

    detector: Detector
    curves: dict[str, list[float]]
    metrics: dict[str, float | int | str]
    thresholds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Parts:
    """Rows of the table by split, and which are anomalous."""

    rows: dict[str, np.ndarray]
    anomalous: np.ndarray

    @classmethod
    def of(cls, table: pl.DataFrame, mode: str) -> "Parts":
        """The parts of a table with `split` and `anomalous`; TrainingError where a split or a class is empty."""
        split, anomalous = table["split"].to_numpy(), table["anomalous"].to_numpy().astype(bool)
        rows = {name: np.flatnonzero(split == name) for name in ("train", "calibration", "test")}
        if not len(rows["train"]) or anomalous[rows["train"]].all():
            raise TrainingError("the training split holds no normal tile: name a cluster `normal`, or sample more plates")
        if mode == "semi_supervised" and not anomalous[rows["train"]].any():
            raise TrainingError(
                "the training split holds no anomalous tile: name a cluster `chemical` or `necrotic`, or train with mode "
                "one_class"
            )
        if not len(rows["calibration"]):
            raise TrainingError("the calibration split is empty: sample tiles from more plates or wells")
        if mode == "one_class":
            rows["train"] = rows["train"][~anomalous[rows["train"]]]
        return cls(rows, anomalous)

    def of_class(self, split: str, anomalous: bool) -> np.ndarray:
        """The rows of one class in a split."""
        rows = self.rows[split]
        return rows[self.anomalous[rows] == anomalous]

    def has_both(self, split: str) -> bool:
        """Whether both classes are there, so that figures of merit are."""
        return bool(len(self.of_class(split, True)) and len(self.of_class(split, False)))


@dataclass
class DetectorTraining:
    """A training before, in and after its loop, see `learning.training`."""

    tiles: Any  # (n, h, w[, 3]), one for each row of the table; numpy, or sliced and indexed like it
    parts: Parts
    config: DetectorConfig
    network: nn.Module
    architecture: dict[str, Any]  # what the detector will say of itself
    identity: str

    @classmethod
    def of(
        cls, tiles: Any, table: pl.DataFrame, config: DetectorConfig, start: TrunkWeights | None = None
    ) -> "DetectorTraining":
        """Part the tiles, take their statistics, and build the network.

        tiles: (n, h, w[, 3]); table: of n rows, `index`, `anomalous`, `split`; start: what the trunk starts from, None: random.
        Raises TrainingError where a split or a class is empty, WeightsError where the trunk and its start do not fit.
        """
        parts = Parts.of(table, config.mode)
        backbone, shape = backbone_named(config.backbone), tiles.shape
        channels = 3 if len(shape) == 4 else 1
        mean, std = _statistics(tiles[_thin(parts.rows["train"], STATISTICS_TILES, config.seed)], config.normalisation)
        network = _untrained(config, channels, start)
        architecture = {
            "format": FORMAT, "science": "precipitation", "backbone": config.backbone, "cut": backbone.cut,
            "in_channels": channels, "input_px": config.input_px or backbone.input_px, "tile_px": int(shape[1]),
            "um_per_px": config.um_per_px, "normalisation": config.normalisation, "mean": mean, "std": std,
            "reduction": config.reduction, "views": config.views, "precision": config.precision,
            "trunk_weights": start.source if start else "random",
        }  # fmt: skip
        digest = hashlib.sha256(table.select("index", "anomalous", "split").write_csv().encode()).hexdigest()[:16]
        return cls(tiles, parts, config, network, architecture, f"{config}|{architecture}|{digest}")

    @property
    def fit_config(self) -> FitConfig:
        """Budget and optimiser of the loop."""
        config = self.config
        return FitConfig(
            epochs=config.epochs, seconds=config.seconds, optimiser=config.optimiser, learning_rate=config.learning_rate,
            patience=config.patience, seed=config.seed, average=config.average, decay=config.decay,
        )  # fmt: skip

    @cached_property
    def shell(self) -> Detector:
        """The detector before there are weights, for its way of preparing tiles."""
        return Detector(self.architecture, {})

    @cached_property
    def validation(self) -> np.ndarray:
        """Rows that each epoch is judged on: all anomalous ones of the calibration split, the normal ones thinned."""
        bad = _thin(self.parts.of_class("calibration", True), VALIDATION_TILES // 2, self.config.seed)
        good = _thin(self.parts.of_class("calibration", False), VALIDATION_TILES - len(bad), self.config.seed)
        return np.sort(np.concatenate([bad, good]))

    def batches(self, rng: np.random.Generator, generator: torch.Generator, _: int) -> Iterator[tuple[Tensor, ...]]:
        """The batches of an epoch: both classes in a fixed share, drawn without repetition as long as there are tiles.

        A batch is images, which are anomalous, and marks: where the last of them are, those with synthetic anomalies.
        """
        config = self.config
        bad, good = self.parts.of_class("train", True), self.parts.of_class("train", False)
        n_bad = round(config.batch * config.anomalous_share) if len(bad) else 0
        n_good = config.batch - n_bad
        first_made = config.batch - round(config.batch * config.synthetic_share)
        n_batches = max(1, config.tiles_per_epoch // config.batch)
        drawn_bad, drawn_good = _drawn(bad, n_bad * n_batches, rng), _drawn(good, n_good * n_batches, rng)
        how = Augmentation(symmetry=config.symmetry, stretch=config.stretch)
        for number in range(n_batches):
            chosen = np.concatenate(
                [drawn_bad[number * n_bad : (number + 1) * n_bad], drawn_good[number * n_good : (number + 1) * n_good]]
            )
            images = augment(self.shell.prepare(self.tiles[chosen]), how, generator)
            answer = torch.from_numpy(self.parts.anomalous[chosen].astype(np.float32))
            images[first_made:], marks = add_strokes(images[first_made:], Strokes(), generator)
            answer[first_made:] = 1
            yield images.contiguous(memory_format=torch.channels_last), answer, marks

    def loss(self, model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        """FCDD's loss of a batch."""
        images, answer, marks = batch
        return fcdd_loss(model(images).float(), answer, marks, self.config.loss_reduction)

    def validate(self, model: nn.Module) -> tuple[float, dict[str, float]]:
        """The AUC on the calibration tiles, the loss where it ties or cannot be told."""
        raw = self._raw_maps(model, self.validation)
        truth = self.parts.anomalous[self.validation]
        value = float(fcdd_loss(raw, torch.from_numpy(truth.astype(np.float32)), reduction=self.config.loss_reduction))
        found = _auc(truth, reduce_map(pseudo_huber(raw), self.config.reduction).double().numpy())
        return (found - 0.01 * value if np.isfinite(found) else -value), {"calibration loss": value, "calibration AUC": found}

    def finished(self, fitted: Fitted) -> TrainedDetector:
        """The detector with its figures on each split, its thresholds, and what its training spent."""
        detector = Detector(dict(self.architecture), weights_of(self.network))
        splits = {name: rows for name, rows in self.parts.rows.items() if name != "train"}
        scores = {name: detector.score(Rows(self.tiles, rows)).scores for name, rows in splits.items()}
        thresholds = self._thresholds(scores["calibration"])
        detector.architecture |= {"thresholds": thresholds, "training": {**asdict(self.config), **fitted.spent}}
        return TrainedDetector(detector, fitted.curves, self._measures(scores) | fitted.spent, thresholds)

    def _raw_maps(self, model: nn.Module, rows: np.ndarray) -> Tensor:
        with torch.inference_mode():
            batches = (self.shell.prepare(self.tiles[rows[start : start + 64]]) for start in range(0, len(rows), 64))
            return torch.cat([model(batch.contiguous(memory_format=torch.channels_last)) for batch in batches])

    def _measures(self, scores: dict[str, np.ndarray]) -> dict[str, float | int | str]:
        """AUC of the detector and of the trivial baseline on each split that has both classes."""
        measures: dict[str, float | int | str] = {}
        for name, values in scores.items():
            rows = self.parts.rows[name]
            truth = self.parts.anomalous[rows]
            measures[f"tiles {name}"], measures[f"anomalous {name}"] = len(rows), int(truth.sum())
            if self.parts.has_both(name):
                starts = range(0, len(rows), 256)
                trivial = np.concatenate([local_std(self.tiles[rows[start : start + 256]]) for start in starts])
                measures[f"AUC {name}"], measures[f"AUC baseline {name}"] = _auc(truth, values), _auc(truth, trivial)
        return measures

    def _thresholds(self, scores: np.ndarray) -> dict[str, float]:
        """Tile scores that part the classes best on the calibration split: by Youden's J and by F1."""
        if not self.parts.has_both("calibration"):
            return {}
        truth = self.parts.anomalous[self.parts.rows["calibration"]]
        return {f"tile_{rule}": operating_point(truth, scores, rule).threshold for rule in ("youden", "f1")}


def _untrained(config: DetectorConfig, channels: int, start: TrunkWeights | None) -> nn.Module:
    """The network before its first epoch."""
    torch.manual_seed(config.seed)
    network = FCDD(config.backbone, channels)
    if start is None:
        network.start_one_sided()
    else:
        fill_trunk(network.trunk, config.backbone, start)
    freeze(network.trunk, config.frozen_stages)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _thin(rows: np.ndarray, at_most: int, seed: int) -> np.ndarray:
    if len(rows) <= at_most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, at_most, replace=False))


def _drawn(rows: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """n rows: whole random orders of them, one after the other."""
    if not len(rows) or not n:
        return rows[:0]
    return np.concatenate([rng.permutation(rows) for _ in range(-(-n // len(rows)))])[:n]


def _statistics(tiles: np.ndarray, normalisation: str) -> tuple[float, float]:
    """Mean and standard deviation of the training tiles as shares of full scale; for `relative`, of the relative contrast."""
    values = as_tensor(tiles, 1)
    mean = float(values.mean())
    if normalisation == "relative":
        values = relative_contrast(values)
    return mean, max(float(values.std()), 1e-4)


def _auc(truth: np.ndarray, scores: np.ndarray) -> float:
    return float(auc(truth, scores)) if 0 < truth.sum() < len(truth) else float("nan")
