"""The forecaster: a 1D-CNN that sees 20 h of a cell and says the next 10, along whole series at once.

Belongs here: the network, its use window by window and along series, the two baselines. Not here: training
(`forecaster_training`), what an error means (`anomalies`), files (`storage.models`).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from plate_assets.dry_mass.windows import (
    INPUT_POINTS,
    INTERVAL_H,
    TARGET_POINTS,
    WINDOW_POINTS,
    Normalisation,
    PathSeries,
    runs_of,
    smoothing_matrix,
)
from plate_assets.learning.bundled import Bundled, fill, weights_of
from plate_assets.progress import Progress

FORMAT = 1
BLOCKS, LAYERS, FILTERS, KERNEL = 3, 3, 64, 3
PADDINGS = ("valid", "same")
# Points of a batch, windows of one piece of a series, and windows of a batch of windows: more is no faster on a processor.
POINTS_AT_ONCE, WINDOWS_OF_A_PIECE, WINDOWS_AT_ONCE = 16_384, 1_024, 64


class ForecasterError(ValueError):
    """A forecaster that cannot be put together, or a series that it cannot score; the message says what is needed."""


class ForecastNetwork(nn.Module):
    """Three blocks of three Conv1D (64 filters, k = 3, tanh), max-pooling by 2 between them, dense 64, 32 (ReLU), 60 (Fig. 2a).

    With valid padding, the default, 181,020 parameters with one feature; with same padding 226,076. The paper states neither
    padding nor start; weights start as Glorot and Bengio (2010) have it.
    """

    def __init__(self, features: int = 1, padding: Literal["valid", "same"] = "valid"):
        super().__init__()
        self.padding = padding
        inputs = [features] + [FILTERS] * (BLOCKS * LAYERS - 1)
        self.convolutions = nn.ModuleList(nn.Conv1d(n, FILTERS, KERNEL, padding=padding) for n in inputs)
        points = INPUT_POINTS
        for block in range(BLOCKS):
            points = (points // 2 if block else points) - (LAYERS * (KERNEL - 1) if padding == "valid" else 0)
        self.points = points  # that the dense layers see of each filter
        self.dense1, self.dense2 = nn.Linear(FILTERS * points, 64), nn.Linear(64, 32)
        self.out = nn.Linear(32, TARGET_POINTS)
        for layer in self.modules():
            if isinstance(layer, nn.Conv1d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, x: Tensor) -> Tensor:
        """Forecasts (n, 60) of inputs (n, features, 120), each by itself."""
        for number, convolution in enumerate(self.convolutions):
            if number and number % LAYERS == 0:
                x = functional.max_pool1d(x, 2)
            x = convolution(x).tanh_()
        return self._head(self.dense1(x.flatten(1)))

    def along(self, x: Tensor) -> Tensor:
        """Forecasts (n, length - 119, 60) at each start in series (n, features, length): those of `forward`, window by window.

        Windows one point apart share all but one column of each layer. So nothing is pooled away: behind the first pooling
        every second column belongs to a window, behind the second every fourth, and the kernels are spread likewise (à trous).
        """
        if self.padding != "valid":
            raise ForecasterError("with same padding the border of each window enters its forecast: score window by window")
        starts = x.shape[-1] - INPUT_POINTS + 1
        # As images of one row, channels last: that is how the processor's convolutions with spread kernels are quickest.
        x = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        for number, layer in enumerate(self.convolutions):
            spread = 2 ** (number // LAYERS)
            if number and number % LAYERS == 0:
                x = torch.maximum(x[..., : -spread // 2], x[..., spread // 2 :])
            weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
            x = functional.conv2d(x, weight.unsqueeze(2), bias, dilation=(1, spread)).tanh_()
        dense = self.dense1.weight.view(-1, FILTERS, 1, self.points)
        seen = functional.conv2d(x, dense, self.dense1.bias, dilation=(1, 2 ** (BLOCKS - 1)))
        return self._head(seen[:, :, 0, :starts].transpose(1, 2))

    def _head(self, x: Tensor) -> Tensor:
        return self.out(self.dense2(x.relu_()).relu_())


@dataclass(frozen=True)
class WindowErrors:
    """Mean squared errors (n,) float64, in variances of the training points: of the network and of the two baselines."""

    mse: np.ndarray
    persistence: np.ndarray
    linear: np.ndarray


@dataclass
class Forecaster(Bundled):
    """The network with all that scoring needs."""

    NEEDS = frozenset({"format", "science", "features", "padding", "smoothing", "unit", "normalisation", "thresholds"})
    READS: ClassVar[Mapping[str, Any]] = {"format": FORMAT, "science": "dry_mass"}
    ERROR = ForecasterError

    architecture: dict[str, Any]
    weights: dict[str, np.ndarray]
    _ready: list[ForecastNetwork] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def assembled(cls, architecture: dict[str, Any], weights: dict[str, np.ndarray]) -> "Forecaster":
        """A forecaster of these parts."""
        forecaster = cls(architecture, weights)
        forecaster.network()
        return forecaster

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> np.ndarray:
        """What MLflow serves: forecasts (n, 60) float64 of standardised windows (n, 120, features), by themselves or under the
        name `windows`."""
        windows = model_input["windows"] if isinstance(model_input, dict) else model_input
        values = torch.from_numpy(np.ascontiguousarray(windows, dtype=np.float32)).transpose(1, 2)
        with torch.inference_mode():
            return self.network()(values).double().numpy()

    @property
    def features(self) -> tuple[Any, ...]:
        """What the network sees of a cell; the first is its dry mass, which it forecasts."""
        return tuple(self.architecture["features"])

    @property
    def normalisation(self) -> Normalisation:
        """How values come to the network."""
        stored = self.architecture["normalisation"]
        return Normalisation(tuple(stored["mean"]), tuple(stored["std"]), bool(stored["own"]))

    def network(self) -> ForecastNetwork:
        """The network with these weights, for inference."""
        if not self._ready:
            padding = self.architecture["padding"]
            if padding not in PADDINGS:
                raise ForecasterError(f"{padding!r} is no padding: it is one of {', '.join(PADDINGS)}")
            network = ForecastNetwork(len(self.features), padding)
            fill(network, self.weights, "the network", ForecasterError)
            self._ready.append(network.eval())
        return self._ready[0]

    def values(self, series: PathSeries) -> np.ndarray:
        """The series as the network takes it: (points, features) float32. ForecasterError for other features or units."""
        if series.features != self.features:
            raise ForecasterError(f"the series have the features {series.features}, and the model takes {self.features}")
        if len(series) and series.unit != self.architecture["unit"]:
            raise ForecasterError(
                f"the series are in {series.unit!r}, and the model was trained on {self.architecture['unit']!r}: "
                "score series of that unit, or train on these"
            )
        return self.normalisation.apply(series)

    def errors(self, series: PathSeries, start: np.ndarray, progress: Progress | None = None) -> WindowErrors:
        """Errors of the windows that start at points (n,) of the series, ascending, each of them whole.

        Memory does not grow with the number of series nor with their length. progress: windows done, windows in all.
        """
        smoothing = self.architecture["smoothing"]
        return window_errors(self.network(), self.values(series), start, smoothing, progress)

    def forecast(self, series: PathSeries, start: np.ndarray) -> np.ndarray:
        """(n, 60) dry mass that is forecast for the 10 h behind each window's input, in the series' unit."""
        scaling = self.normalisation
        if scaling.own:
            scaling = Normalisation.fit(series, np.ones(len(series), dtype=bool))
        found = np.empty((len(start), TARGET_POINTS))
        with torch.inference_mode():
            for rows, _, forecast in forecasts(self.network(), self.values(series), start):
                found[rows] = forecast.double().numpy()
        return found * scaling.std[0] + scaling.mean[0]


def forecaster_parts(network: ForecastNetwork, **facts: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Architecture and weights of a network, with the facts that scoring needs beside them (see `Forecaster.from_parts`)."""
    architecture = {
        "format": FORMAT, "science": "dry_mass", "padding": network.padding, "input_points": INPUT_POINTS,
        "target_points": TARGET_POINTS, "interval_h": INTERVAL_H, **facts,
    }  # fmt: skip
    architecture = json.loads(json.dumps(architecture, allow_nan=False))  # as it will come back from its file
    return architecture, weights_of(network)


def window_errors(
    network: ForecastNetwork, values: np.ndarray, start: np.ndarray, smoothing: Any, progress: Progress | None = None
) -> WindowErrors:
    """The errors (eq. 5) of the windows that start at points (n,), ascending, of standardised values (points, features)."""
    found = WindowErrors(*(np.empty(len(start)) for _ in range(3)))
    done = 0
    with torch.inference_mode():
        for rows, begin, forecast in forecasts(network, values, start):
            window = mass_windows(values, begin)
            target = smoothed_target(window, smoothing)
            guesses = (forecast, *baselines(window, smoothing))
            for kind, guess in zip((found.mse, found.persistence, found.linear), guesses, strict=True):
                kind[rows] = torch.linalg.vector_norm(target - guess, dim=1).double().square_().numpy() / TARGET_POINTS
            done += len(rows)
            if progress:
                progress(done, len(start))
    return found


def mass_windows(values: np.ndarray, start: np.ndarray) -> Tensor:
    """(n, 180) standardised mass of the windows that start at points (n,)."""
    return torch.from_numpy(values[:, 0]).unfold(0, WINDOW_POINTS, 1).index_select(0, torch.from_numpy(start))


def smoothed_target(window: Tensor, smoothing: Any) -> Tensor:
    """(n, 60): the last 10 h of windows (n, 180), smoothed by themselves."""
    matrix = torch.from_numpy(smoothing_matrix(TARGET_POINTS, smoothing).astype(np.float32))
    return window[:, INPUT_POINTS:] @ matrix.T


def baselines(window: Tensor, smoothing: Any) -> tuple[Tensor, Tensor]:
    """Persistence (n, 1): the last smoothed value of the input stays. Linear growth (n, 60): the least-squares line through the
    input goes on. Of windows (n, 180)."""
    last = torch.from_numpy(smoothing_matrix(INPUT_POINTS, smoothing)[-1].astype(np.float32))
    time = np.arange(WINDOW_POINTS) - (INPUT_POINTS - 1) / 2
    basis = np.stack([np.ones(WINDOW_POINTS), time], axis=1)
    fit = torch.from_numpy(np.linalg.pinv(basis[:INPUT_POINTS]).T.astype(np.float32))  # (120, 2): level and slope
    seen = window[:, :INPUT_POINTS]
    return (seen @ last)[:, None], (seen @ fit) @ torch.from_numpy(basis[INPUT_POINTS:].T.astype(np.float32))


def forecasts(
    network: ForecastNetwork, values: np.ndarray, start: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, Tensor]]:
    """Batches of windows that start at ascending points (n,): their rows in `start`, their starts, their forecasts (m, 60).

    With valid padding neighbouring windows are forecast together, along the series; with same padding each by itself.
    """
    start = np.asarray(start, dtype=np.int64)
    if network.padding == "valid":
        yield from _along_series(network, values, start)
        return
    for at in range(0, len(start), WINDOWS_AT_ONCE):
        rows = np.arange(at, min(at + WINDOWS_AT_ONCE, len(start)))
        yield rows, start[rows], network(cut(values, start[rows], INPUT_POINTS))


def cut(values: np.ndarray, start: np.ndarray, points: int) -> Tensor:
    """(n, features, points) of values (all points, features), from each start (n,); past the end the last point again."""
    index = np.minimum(start[:, None] + np.arange(points), len(values) - 1)
    return torch.from_numpy(values[index]).transpose(1, 2)


def _along_series(
    network: ForecastNetwork, values: np.ndarray, start: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, Tensor]]:
    """Runs of windows, cut into pieces, in batches of about equal length, so that little is forecast for nothing.

    Batches have few shapes, a power of two of pieces and a multiple of sixteen windows: the processor's kernels are made, and
    kept, for each shape.
    """
    begin, length = pieces_of(start)
    order = np.argsort(length, kind="stable")
    at = 0
    while at < len(order):
        # Ascending: the longest piece of a batch is its last. As many as fit, one at least.
        windows = -(-length[order[at : at + POINTS_AT_ONCE // INPUT_POINTS]] // 16) * 16
        fits = int(((windows + INPUT_POINTS - 1) * np.arange(1, len(windows) + 1) <= POINTS_AT_ONCE).sum())
        n = 2 ** (max(fits, 1).bit_length() - 1)
        chosen, longest = order[at : at + n], int(windows[n - 1])
        at += n
        within = np.arange(longest)
        wanted = within < length[chosen, None]
        rows = (begin[chosen, None] + within)[wanted]
        found = network.along(cut(values, start[begin[chosen]], longest + INPUT_POINTS - 1))
        yield rows, start[rows], found.flatten(0, 1).index_select(0, torch.from_numpy(np.flatnonzero(wanted)))


def pieces_of(start: np.ndarray, at_most: int = WINDOWS_OF_A_PIECE) -> tuple[np.ndarray, np.ndarray]:
    """The runs of `runs_of`, cut into pieces of so many windows at most: where each begins in `start`, and its windows."""
    begin, length = runs_of(start)
    n = -(-length // at_most)
    number = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
    begin, length = np.repeat(begin, n) + number * at_most, np.repeat(length, n) - number * at_most
    return begin, np.minimum(length, at_most)
