"""A trained detector: what it is made of, how it scores tiles, and the heat-maps that say why.

Belongs here: the use of a finished network. Not here: training (`precipitation.detector_training`), files (`storage.models`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch

from plate_assets.learning.bundled import Bundled, fill
from plate_assets.learning.catalogue import backbone_named
from plate_assets.learning.infer import BATCH, Precision, as_tensor, in_batches, prepared, resized
from plate_assets.learning.int8 import observed_ranges
from plate_assets.learning.normalise import normalise
from plate_assets.precipitation.fcdd import FCDD, pseudo_huber, reduce_map
from plate_assets.precipitation.heatmap import spread

FORMAT = 1
# Mirror images that are scored and averaged, by the axes (n, c, h, w) that are turned round.
VIEWS: dict[str, tuple[tuple[int, ...], ...]] = {"one": ((),), "mirrored": ((), (2,), (3,), (2, 3))}


class DetectorError(ValueError):
    """A detector that cannot be put together, or tiles that it cannot score; the message says what was found and is needed."""


@dataclass(frozen=True)
class TileScores:
    """Scores (n,) float64 and the detector's maps (n, u, v) float16, the pseudo-Huber values of eq. 7."""

    scores: np.ndarray
    maps: np.ndarray


@dataclass
class Detector(Bundled):
    """FCDD with everything that scoring needs."""

    NEEDS = frozenset({"format", "backbone", "in_channels", "input_px", "normalisation", "mean", "std", "reduction"})
    READS: ClassVar[Mapping[str, Any]] = {"format": FORMAT, "science": "precipitation"}
    ERROR = DetectorError

    architecture: dict[str, Any]
    weights: dict[str, np.ndarray]
    _ready: dict[str, torch.nn.Module] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def assembled(cls, architecture: dict[str, Any], weights: dict[str, np.ndarray]) -> "Detector":
        """A detector of these parts; DetectorError where it cannot score as they say."""
        if (views := architecture.get("views", "one")) not in VIEWS:
            raise DetectorError(f"the model scores views {views!r}, and this version of plate_assets knows {', '.join(VIEWS)}")
        detector = cls(architecture, weights)
        detector._network(architecture.get("precision", "float32"))  # that it will score in
        return detector

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> np.ndarray:
        """What MLflow serves: scores (n,) float64 of tiles (n, rows, columns), by themselves or under the name `tiles`."""
        tiles = model_input["tiles"] if isinstance(model_input, dict) else model_input
        return self.score(np.asarray(tiles)).scores

    def score(self, tiles, *, precision: Precision = "float32") -> TileScores:
        """Score tiles (n, h, w) or (n, h, w, 3), any array that slices to numpy; memory holds two batches of them.

        On one processor a tile's score is the same in every call, whatever is scored with it: all batches have one shape (see
        `infer`), so that few tiles take as long as BATCH. Another processor rounds otherwise: that moves a score in
        float32 by less than 1e-4 of it, and one in bfloat16 or int8 about as far as it lies from float32.
        """
        shape = tuple(tiles.shape)
        if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] != 3):
            raise DetectorError(f"tiles of shape {shape} cannot be scored: (n, h, w) or (n, h, w, 3) is needed")
        network, scores, maps = self._network(precision), [], []
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        with torch.inference_mode():
            for batch in in_batches(tiles, BATCH):
                images = self.prepare(batch).to(dtype=dtype, memory_format=torch.channels_last)
                values = self._maps(network, images)
                found = reduce_map(values.flatten(0, 1), self.architecture["reduction"]).unflatten(0, values.shape[:2])
                scores.append(found.double().mean(0).numpy())
                maps.append(values.mean(0).half().numpy())
        backbone = backbone_named(self.architecture["backbone"])
        side = backbone.map_px * self.architecture["input_px"] // backbone.input_px
        empty = TileScores(np.empty(0), np.empty((0, side, side), np.float16))
        return TileScores(np.concatenate(scores)[: shape[0]], np.concatenate(maps)[: shape[0]]) if scores else empty

    def _maps(self, network: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
        """The maps (views, n, u, v) of a batch, each turned back to how the tile lies."""
        maps = []
        for axes in VIEWS[self.architecture.get("views", "one")]:
            values = pseudo_huber(network(images.flip(axes) if axes else images))
            maps.append(values.flip([axis - 1 for axis in axes]) if axes else values)
        return torch.stack(maps)

    def observe(self, tiles) -> None:
        """Keep the ranges that activations take on these tiles (n, h, w[, 3]) of training, so that int8 can score."""
        with torch.inference_mode():
            images = (self.prepare(batch).contiguous(memory_format=torch.channels_last) for batch in in_batches(tiles, BATCH))
            ranges = observed_ranges(self._network("float32"), images)
        self.architecture["ranges"] = {name: list(ends) for name, ends in ranges.items()}
        self._ready.pop("int8", None)

    def prepare(self, tiles: np.ndarray) -> torch.Tensor:
        """Tiles as the network takes them: (n, c, input_px, input_px) float32, normalised."""
        about = self.architecture
        batch = resized(as_tensor(tiles, about["in_channels"]), about["input_px"])
        return normalise(batch, about["normalisation"], about["mean"], about["std"])

    def heat(self, maps: np.ndarray, side: int | None = None) -> np.ndarray:
        """Maps (n, u, v) spread over the tile: (n, side, side) float32; side: the tile's own pixels where None."""
        about = self.architecture
        side = side or int(about.get("tile_px", about["input_px"]))
        return spread(maps, backbone_named(about["backbone"]), about["input_px"], about.get("sigma"), side)

    def _network(self, precision: Precision) -> torch.nn.Module:
        if precision not in self._ready:
            if precision == "int8" and not self.architecture.get("ranges"):
                raise DetectorError("int8 needs the ranges of the activations, and this model keeps none: train it again")
            about = self.architecture
            shape = (BATCH, about["in_channels"], about["input_px"], about["input_px"])
            self._ready[precision] = prepared(self.network(), precision, about.get("ranges"), shape)
        return self._ready[precision]

    def network(self) -> FCDD:
        """The network itself, in float32, with these weights."""
        network = FCDD(self.architecture["backbone"], self.architecture["in_channels"])
        fill(network, self.weights, self.architecture["backbone"], DetectorError)
        return network
