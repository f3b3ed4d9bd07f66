"""Embeddings of tiles by MN-pair metric learning (Yasuno, eq. 1-5): the loss, the network, and the model that embeds.

Belongs here: from tiles to unit vectors. Not here: training it (`embedding_training`), what is made of the vectors
(`clusters`, drift).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from plate_assets.learning.bundled import Bundled, fill, weights_of
from plate_assets.learning.normalise import relative_contrast
from plate_assets.progress import Progress

TRUNKS = ("cnn15", "cnn27")
TAU, POSITIVE_WEIGHT, EMBEDDING_SIZE, INPUT_PX = 0.3, 0.15, 32, 300
_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def mn_pair_loss(embeddings: Tensor, labels: Tensor, tau: float = TAU, v: float = POSITIVE_WEIGHT) -> Tensor:
    """The MN-pair loss of a batch (eq. 5) on the cosine similarities of its embeddings (eq. 1).

    embeddings: (n, L), any length; labels: (n,) classes; tau: temperature; v: weight of the positives, w = 1 - v.
    Every tile is an anchor; tiles of its class are its positives, all others its negatives. Mean over the anchors that have
    both; ValueError where none has. The N-pair loss is v = 0.5 with one positive; eq. 2, as printed, is not it and is not here.
    """
    unit = functional.normalize(embeddings, dim=1)
    return mn_pair_loss_of(unit @ unit.T, labels, tau, v)


def mn_pair_loss_of(similarity: Tensor, labels: Tensor, tau: float = TAU, v: float = POSITIVE_WEIGHT) -> Tensor:
    """Eq. 5 on given similarities (n, n).

    With P and Q the sums of exp(s / tau) over positives and negatives, -log(vP / (vP + wQ)) = softplus(log wQ - log vP), which
    neither overflows nor cancels.
    """
    if not 0 < v < 1 or tau <= 0:
        raise ValueError(f"v is {v} and tau {tau}: v lies between 0 and 1, tau above 0")
    same = labels[:, None] == labels[None, :]
    positive, negative = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device), ~same
    anchors = positive.any(dim=1) & negative.any(dim=1)
    if not anchors.any():
        raise ValueError("no tile of the batch has both a positive and a negative: two classes are needed, one with two tiles")
    scaled, nothing = similarity[anchors] / tau, -torch.inf
    log_p = torch.logsumexp(scaled.masked_fill(~positive[anchors], nothing), dim=1) + float(np.log(v))
    log_q = torch.logsumexp(scaled.masked_fill(~negative[anchors], nothing), dim=1) + float(np.log1p(-v))
    return functional.softplus(log_q - log_p).mean()


class EmbeddingNetwork(nn.Module):
    """A trunk of convolutions, global average pooling, and a fully connected layer of `size`.

    `cnn15` is the paper's "15 layers" without batch norm and skips, whose filters it leaves open: the input, four blocks of
    convolution 3×3, SiLU (swish) and max-pooling with 16, 32, 64 and 128 filters (300 → 150 → 75 → 37 → 18 px), global average
    pooling, and the fully connected layer: 1 + 4·3 + 1 + 1 = 15. `cnn27` is the detector's baseline trunk, so that its weights
    can be handed on.
    """

    def __init__(self, trunk: str, in_channels: int, size: int) -> None:
        super().__init__()
        self.trunk = _trunk(trunk, in_channels)
        with torch.no_grad():
            was_training = self.trunk.training
            width = self.trunk.eval()(torch.zeros(1, in_channels, 32, 32)).shape[1]
            self.trunk.train(was_training)
        self.head = nn.Linear(width, size)

    def forward(self, images: Tensor) -> Tensor:
        """(n, c, h, w) to (n, size), of any length."""
        return self.head(self.trunk(images).mean(dim=(2, 3)))


def _trunk(name: str, in_channels: int) -> nn.Module:
    if name == "cnn15":
        widths = (in_channels, 16, 32, 64, 128)
        blocks = [
            nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.SiLU(), nn.MaxPool2d(2))
            for before, after in zip(widths[:-1], widths[1:], strict=True)
        ]
        return nn.Sequential(*blocks)
    if name == "cnn27":
        from plate_assets.learning.backbones import build_trunk

        return build_trunk("cnn27", in_channels)
    raise ValueError(f"{name!r} is no trunk of an embedding: choose one of {', '.join(TRUNKS)}")


def intensities(tiles: np.ndarray, channels: int) -> np.ndarray:
    """Tiles (n, t, t) or (n, t, t, 3), uint8 or uint16, as float32 (n, channels, t, t), shares of the type's range.

    Colour becomes luminance for one channel; grey is repeated for three. ValueError for other types and shapes.
    """
    if tiles.ndim not in (3, 4) or (tiles.ndim == 4 and tiles.shape[-1] != 3) or tiles.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"tiles of shape {tiles.shape} and type {tiles.dtype}: (n, t, t) or (n, t, t, 3) of uint8 or uint16 are needed"
        )
    shares = tiles.astype(np.float32)
    shares /= np.iinfo(tiles.dtype).max
    if tiles.ndim == 4:
        return (shares @ _LUMINANCE)[:, None] if channels == 1 else np.moveaxis(shares, -1, 1)
    return shares[:, None] if channels == 1 else np.repeat(shares[:, None], channels, axis=1)


def network_input(tiles: np.ndarray, architecture: dict[str, Any]) -> Tensor:
    """Tiles as the network takes them: resized to its input, their relative contrast over that of the training sample."""
    images = torch.from_numpy(intensities(tiles, architecture["in_channels"]))
    side = architecture["input_px"]
    if images.shape[-1] != side or images.shape[-2] != side:
        shrinks = images.shape[-1] > side
        images = functional.interpolate(images, size=(side, side), mode="bilinear", align_corners=False, antialias=shrinks)
    return relative_contrast(images).div_(architecture["std"])


@dataclass(frozen=True)
class EmbeddingModel(Bundled):
    """A trained embedding."""

    NEEDS = frozenset({"kind", "trunk", "in_channels", "input_px", "embedding_size", "std"})
    READS: ClassVar[Mapping[str, Any]] = {"kind": "embedding"}
    ERROR = ValueError

    architecture: dict[str, Any]
    network: EmbeddingNetwork

    @classmethod
    def untrained(
        cls,
        trunk: str = "cnn15",
        in_channels: int = 1,
        input_px: int = INPUT_PX,
        embedding_size: int = EMBEDDING_SIZE,
        std: float = 1.0,
        seed: int = 0,
    ) -> "EmbeddingModel":
        """A model with random weights, the same for the same seed; the global random state is left alone."""
        architecture = {
            "kind": "embedding", "trunk": trunk, "in_channels": in_channels, "input_px": input_px,
            "embedding_size": embedding_size, "std": float(std),
        }  # fmt: skip
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(architecture, EmbeddingNetwork(trunk, in_channels, embedding_size))

    @classmethod
    def assembled(cls, architecture: dict[str, Any], weights: dict[str, np.ndarray]) -> "EmbeddingModel":
        """An embedding of these parts."""
        network = EmbeddingNetwork(architecture["trunk"], architecture["in_channels"], architecture["embedding_size"])
        fill(network, weights, f"the trunk {architecture['trunk']!r}", ValueError)
        return cls(architecture, network)

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """All weights by name, copied to the CPU."""
        return weights_of(self.network)

    @property
    def trunk_weights(self) -> dict[str, np.ndarray]:
        """The trunk's weights alone, named as in the trunk: what a detector with the same trunk can start from."""
        return {name.removeprefix("trunk."): value for name, value in self.weights.items() if name.startswith("trunk.")}

    def embed(self, tiles: Any, batch_size: int = 64, progress: Progress | None = None) -> np.ndarray:
        """Unit vectors (n, L), float32, of (n, t, t[, 3]) tiles; a lazy array is read one batch at a time."""
        vectors = np.empty((len(tiles), self.architecture["embedding_size"]), dtype=np.float32)
        device = next(self.network.parameters()).device
        self.network.eval()
        with torch.inference_mode():
            for start in range(0, len(tiles), batch_size):
                images = network_input(np.asarray(tiles[start : start + batch_size]), self.architecture)
                found = self.network(images.to(device, memory_format=torch.channels_last))
                vectors[start : start + batch_size] = functional.normalize(found.float(), dim=1).cpu().numpy()
                if progress:
                    progress(min(start + batch_size, len(tiles)), len(tiles))
        return vectors
