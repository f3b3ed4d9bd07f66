"""Training of the forecaster: what it learns from, what each epoch is judged on, and the thresholds that come out.

Belongs here: batches, loss, validation, thresholds and figures of one training. Not here: the loop (`learning.fit`), files and
checkpoints (`learning.training`), the network (`forecaster`).
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from plate_assets.dry_mass.anomalies import cell_scores
from plate_assets.dry_mass.forecaster import (
    Forecaster,
    ForecastNetwork,
    WindowErrors,
    cut,
    forecaster_parts,
    mass_windows,
    pieces_of,
    smoothed_target,
    window_errors,
)
from plate_assets.dry_mass.model import ForecasterConfig
from plate_assets.dry_mass.signs import StepStatistics
from plate_assets.dry_mass.windows import (
    INPUT_POINTS,
    SPLITS,
    TARGET_POINTS,
    Normalisation,
    PathSeries,
    WindowError,
    Windows,
    distinct,
    smoothing_matrix,
    split_paths,
    windows_of,
)
from plate_assets.learning.fit import FitConfig, Fitted

# Of a training: errors by the name of the forecast, as thresholds are kept.
ERRORS = {"network": "mse", "persistence": "persistence", "linear": "linear"}

BATCH = 64  # windows of a batch, where each is learnt by itself
PIECES, WINDOWS_OF_A_PIECE = 16, 32  # pieces of series of a batch, and windows of each, where they are learnt along the series
VALIDATION_WINDOWS = 20_000  # that each epoch is judged on
# Of A: where the score flags alone, and where signs flag as well, so that it has to find only what they cannot see. Some two to
# eight sound paths in a hundred lie above the first, and next to none above the second (`python -m benchmarks anomalies`).
CELL_SIGMAS = {"cell": 2.0, "cell_far": 5.0}
THRESHOLDS = {"mean_2std": None, "quantile_0.975": 0.975, "quantile_0.95": 0.95}


@dataclass(frozen=True)
class TrainedForecaster:
    """A forecaster with its curves, the split of its paths, and its figures; each is of the split that its name ends with."""

    forecaster: Forecaster
    curves: dict[str, list[float]]
    metrics: dict[str, float | int | str]
    paths: pl.DataFrame  # Metadata_Timelapse, lineage_id, path_id, split


@dataclass
class ForecasterTraining:
    """A training before, in and after its loop, see `learning.training`."""

    series: PathSeries
    windows: Windows
    split: np.ndarray  # (paths,)
    config: ForecasterConfig
    normalisation: Normalisation
    values: np.ndarray  # (points, features) as the network takes them
    network: ForecastNetwork
    _starts: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, series: PathSeries, config: ForecasterConfig, split: np.ndarray | None = None) -> "ForecasterTraining":
        """Split, normalise, and build the network.

        split: (paths,) `train`, `validation`, `test` or empty, where it is not to be drawn. Raises WindowError where the paths
        to train or validate on have no window.
        """
        if config.threshold not in THRESHOLDS:
            raise WindowError(f"{config.threshold!r} is no rule for a threshold: choose one of {', '.join(THRESHOLDS)}")
        windows = windows_of(series)
        if split is None:
            split = split_paths(series, windows, config.shares, parity=config.parity, seed=config.seed)
        for name in ("train", "validation"):
            if not len(windows.of_paths(split == name)):
                raise WindowError(f"no {name} path has a window of 30 h without a gap: add time-lapses, or longer ones")
        normalisation = Normalisation.fit(series, split == "train", own=config.parity)
        torch.manual_seed(config.seed)
        network = ForecastNetwork(len(config.features), config.padding)
        values = normalisation.apply(series)
        if config.parity:
            values = _standardised_by_subset(series, split)
        return cls(series, windows, split, config, normalisation, values, network)

    @property
    def fit_config(self) -> FitConfig:
        """Budget and optimiser of the loop. In float32: a forecast is a number, and its error is squared."""
        config = self.config
        return FitConfig(
            epochs=config.epochs, seconds=config.seconds, learning_rate=config.learning_rate, weight_decay=0.0,
            patience=config.patience, precision="float32", seed=config.seed,
        )  # fmt: skip

    @property
    def identity(self) -> str:
        """What a checkpoint belongs to: the configuration, the values and the split."""
        digest = hashlib.sha256(self.values.tobytes())
        digest.update("|".join(self.split).encode())
        return f"{self.config}|{digest.hexdigest()}"

    def starts(self, split: str) -> np.ndarray:
        """Starts of the windows of a split: each once, or with parity once for each path through it."""
        if split not in self._starts:
            start, path = self._every(split)
            self._starts[split] = start if self.config.parity else start[distinct(self.series, start, path)]
        return self._starts[split]

    def batches(self, rng: np.random.Generator, _: torch.Generator, __: int) -> Iterator[tuple[Tensor, ...]]:
        """The batches of an epoch, in random order: pieces of series with valid padding, else windows.

        Of pieces: inputs (n, features, k + 119), targets (n, k, 60) and which of them there are (n, k). Thirty-two windows
        along a series cost what two cost by themselves, so that an epoch sees more for its time.
        """
        start = self.starts("train")
        if self.config.padding == "same":
            order = rng.permutation(len(start))[: self.config.windows_per_epoch]
            for at in range(0, len(order), BATCH):
                yield self.window_batch(start[order[at : at + BATCH]])
            return
        begin, length = pieces_of(start, WINDOWS_OF_A_PIECE)
        order = rng.permutation(len(begin))
        order = order[: 1 + int(np.searchsorted(np.cumsum(length[order]), self.config.windows_per_epoch))]
        for at in range(0, len(order), PIECES):
            chosen = order[at : at + PIECES]
            yield self._pieces(start[begin[chosen]], length[chosen])

    def loss(self, model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        """Mean squared error of a batch (eq. 5)."""
        inputs, target, there = batch
        forecast = model(inputs) if self.config.padding == "same" else model.along(inputs)  # type: ignore[operator]
        return (forecast - target).square().mean(dim=-1)[there].mean()

    def validate(self, model: nn.Module) -> tuple[float, dict[str, float]]:
        """Minus the mean error of the validation windows; of pieces of them, evenly taken, where there are many."""
        start = self.starts("validation")
        begin, length = pieces_of(start, WINDOWS_OF_A_PIECE)
        taken = np.repeat(np.arange(len(begin)) % -(-len(start) // VALIDATION_WINDOWS) == 0, length)
        start = start[taken]
        error = float(self._errors(model, start).mse.mean())
        return (-error if math.isfinite(error) else -math.inf), {"validation loss": error}

    def finished(self, fitted: Fitted) -> TrainedForecaster:
        """The forecaster with its thresholds, and how it does beside the baselines on each split."""
        errors = {name: self._errors(self.network, self.starts(name)) for name in SPLITS}
        thresholds = self._thresholds(errors[self.config.threshold_on])
        spent = fitted.spent | {"best epoch": fitted.best_epoch + 1}
        train = self.split == "train"
        architecture, weights = forecaster_parts(
            self.network, features=list(self.config.features), smoothing=self.config.smoothing, unit=self.series.unit,
            normalisation=asdict(self.normalisation), thresholds=thresholds, reference=_summary(errors),
            steps=asdict(StepStatistics.fit(self.series, train)), training={**asdict(self.config), **spent},
        )  # fmt: skip
        paths = self.series.about.select("Metadata_Timelapse", "lineage_id", "path_id").with_columns(
            split=pl.Series(self.split.tolist(), dtype=pl.String)
        )
        metrics = self._metrics(errors, thresholds) | spent
        return TrainedForecaster(Forecaster.from_parts(architecture, weights), fitted.curves, metrics, paths)

    def _every(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Start and path of each whole window of a split, those that sisters share once for each."""
        chosen = self.windows.whole & (self.split == split)[self.windows.path]
        return self.windows.start[chosen], self.windows.path[chosen]

    def _errors(self, model: nn.Module, start: np.ndarray) -> WindowErrors:
        assert isinstance(model, ForecastNetwork)
        return window_errors(model, self.values, start, self.config.smoothing)

    def window_batch(self, start: np.ndarray) -> tuple[Tensor, ...]:
        """The windows that start at points (n,), each by itself: inputs (n, features, 120), targets (n, 60), all there (n,)."""
        target = smoothed_target(mass_windows(self.values, start), self.config.smoothing)
        return cut(self.values, start, INPUT_POINTS), target, torch.ones(len(start), dtype=torch.bool)

    def _pieces(self, start: np.ndarray, length: np.ndarray) -> tuple[Tensor, ...]:
        longest = int(length.max())
        piece = cut(self.values, start, longest + INPUT_POINTS + TARGET_POINTS - 1)
        matrix = torch.from_numpy(smoothing_matrix(TARGET_POINTS, self.config.smoothing).astype(np.float32))
        target = piece[:, 0, INPUT_POINTS:].unfold(1, TARGET_POINTS, 1) @ matrix.T
        there = torch.arange(longest) < torch.from_numpy(length)[:, None]
        return piece[..., :-TARGET_POINTS].contiguous(), target, there

    def _thresholds(self, errors: WindowErrors) -> dict[str, Any]:
        """Of windows and of cells, for the network and for each baseline: what is judged beside it is judged alike."""
        start, path = self._every(self.config.threshold_on)
        every = errors if self.config.parity else self._errors(self.network, start)
        found: dict[str, Any] = {"rule": self.config.threshold, "on": self.config.threshold_on}
        for name, attribute in ERRORS.items():
            window = window_threshold(getattr(errors, attribute), self.config.threshold)
            scores = cell_scores(path, getattr(every, attribute) > window, len(self.series))
            cells = {kind: cell_threshold(scores, self.config.cell_threshold, n) for kind, n in CELL_SIGMAS.items()}
            found[name] = {"window": window, **cells}
        return found

    def _metrics(self, errors: dict[str, WindowErrors], thresholds: dict[str, Any]) -> dict[str, float | int | str]:
        figures: dict[str, float | int | str] = {
            "window threshold": thresholds["network"]["window"],
            "cell threshold": thresholds["network"]["cell"],
        }
        for name, found in errors.items():
            figures[f"paths {name}"] = int((self.split == name).sum())
            figures[f"windows {name}"] = len(found.mse)
            if len(found.mse):
                figures |= {
                    f"MSE {name}": float(found.mse.mean()),
                    f"MSE persistence {name}": float(found.persistence.mean()),
                    f"MSE linear {name}": float(found.linear.mean()),
                    f"abnormal windows {name}": float((found.mse > thresholds["network"]["window"]).mean()),
                }
        return figures


def window_threshold(errors: np.ndarray, rule: str = "mean_2std") -> float:
    """τ of the errors (n,) of training windows: mean + 2 standard deviations (eq. 6), or a quantile."""
    quantile = THRESHOLDS[rule]
    return float(errors.mean() + 2 * errors.std()) if quantile is None else float(np.quantile(errors, quantile))


def cell_threshold(scores: np.ndarray, given: float | None = None, sigmas: float = 2.0) -> float:
    """Threshold of A: the one given, else mean + so many standard deviations of the training paths' scores; NaN is none."""
    scores = scores[np.isfinite(scores)]
    return float(scores.mean() + sigmas * scores.std()) if given is None else float(given)


def _standardised_by_subset(series: PathSeries, split: np.ndarray) -> np.ndarray:
    values = np.zeros(series.values.shape, dtype=np.float32)
    for name in SPLITS:
        points = np.repeat(split == name, np.diff(series.offsets))
        if (points & series.known).any():
            values[points] = Normalisation.fit(series, split == name).apply(series)[points]
    return values


def _summary(errors: dict[str, WindowErrors]) -> dict[str, dict[str, float]]:
    """What the errors of each split look like, for whoever asks whether tonight's differ."""
    found = {}
    for name, these in errors.items():
        mse = these.mse
        if len(mse):
            at = {"median": 0.5, "q95": 0.95, "q975": 0.975, "max": 1.0}
            levels = dict(zip(at, np.quantile(mse, list(at.values())).tolist(), strict=True))
            found[name] = {
                "n": len(mse), "mean": float(mse.mean()), "std": float(mse.std()), **levels,
                "persistence": float(these.persistence.mean()), "linear": float(these.linear.mean()),
            }  # fmt: skip
    return found
