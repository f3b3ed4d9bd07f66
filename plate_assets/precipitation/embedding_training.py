"""Training of the embedding: balanced batches, augmented views, and a start and an end that keep classes apart.

A network without batch norm starts with all embeddings nearly parallel, and the loss then draws them together for good: no
class is told from another. So the start is standardised, and a batch's embeddings are centred before their cosines are taken;
the centre goes into the last layer's bias at the end, and the network is the paper's.

Belongs here: what is drawn, and what becomes of the network. Not here: the loss and the network (`embedding`), the loop
(`learning.fit`).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from plate_assets.learning.fit import FitConfig, Fitted
from plate_assets.learning.normalise import relative_contrast
from plate_assets.precipitation.embedding import EmbeddingModel, EmbeddingNetwork, intensities, mn_pair_loss, network_input
from plate_assets.precipitation.model import EmbeddingConfig

UNLABELLED = -1
_SAMPLE_FOR_CONTRAST = 512
_SAMPLE_FOR_START = 64


@dataclass(frozen=True)
class TrainedEmbedding:
    model: EmbeddingModel
    losses: np.ndarray  # (iterations,)
    supervision: str  # `labels` or `pairs`


@dataclass
class EmbeddingTraining:
    """A training before, in and after its loop, see `learning.training`. An epoch is a block of iterations.

    What an iteration draws depends on its number and the seed alone, so that the blocks' size changes no weight.
    """

    tiles: Any  # (n, t, t[, 3]); numpy, or sliced and indexed like it
    labels: np.ndarray | None  # (n,) integer classes, -1 for none; None: two views of one tile are its class
    config: EmbeddingConfig
    model: EmbeddingModel
    middle: np.ndarray  # rows whose mean embedding becomes the origin
    identity: str

    validate = None  # the last iteration is kept

    @classmethod
    def of(cls, tiles: Any, labels: np.ndarray | None, config: EmbeddingConfig | None = None) -> "EmbeddingTraining":
        """Take the sample's contrast, build the network, and standardise its start.

        tiles, labels: as the attributes. ValueError where fewer than two classes are labelled.
        """
        config = config or EmbeddingConfig()
        rng = np.random.default_rng(config.seed)
        some = np.sort(rng.choice(len(tiles), min(len(tiles), _SAMPLE_FOR_CONTRAST), replace=False))
        some_tiles = np.asarray(tiles[some])
        contrast = relative_contrast(torch.from_numpy(intensities(some_tiles, 1)))
        model = EmbeddingModel.untrained(
            config.trunk, 1, config.input_px, config.embedding_size, std=max(float(contrast.std()), 1e-6), seed=config.seed
        )
        model.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        standardise(model.network, network_input(some_tiles[:_SAMPLE_FOR_START], model.architecture))
        middle = some if labels is None else balanced_batch(labels, _SAMPLE_FOR_CONTRAST, rng)
        digest = hashlib.sha256(some_tiles.tobytes() + (b"" if labels is None else labels.tobytes()))
        return cls(tiles, labels, config, model, middle, f"{config}|{len(tiles)}|{digest.hexdigest()}")

    @property
    def network(self) -> EmbeddingNetwork:
        """What is fitted."""
        return self.model.network

    @property
    def fit_config(self) -> FitConfig:
        """Adam as the paper has it, for all iterations, in float32."""
        config = self.config
        epochs = -(-config.iterations // config.keep_every)
        return FitConfig(
            epochs=epochs, learning_rate=config.learning_rate, betas=config.betas, weight_decay=0.0, decay=1.0, patience=epochs,
            precision="float32", seed=config.seed,
        )  # fmt: skip

    def batches(self, _: np.random.Generator, __: torch.Generator, epoch: int) -> Iterator[tuple[Tensor, ...]]:
        """The iterations of a block: views (n, 1, px, px) of tiles, and their classes (n,)."""
        first = epoch * self.config.keep_every
        for iteration in range(first, min(first + self.config.keep_every, self.config.iterations)):
            yield self._batch(np.random.default_rng([self.config.seed, iteration]))

    def loss(self, model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        """The MN-pair loss of a batch whose embeddings are centred."""
        images, classes = batch
        found = model(images)
        return mn_pair_loss(found - found.mean(dim=0), classes, self.config.tau, self.config.v)

    def finished(self, fitted: Fitted) -> TrainedEmbedding:
        """The model, its mean embedding taken off."""
        centre(self.network, network_input(np.asarray(self.tiles[self.middle]), self.model.architecture))
        return TrainedEmbedding(self.model, np.array(fitted.losses), "pairs" if self.labels is None else "labels")

    def _batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        if self.labels is None:
            pairs = min(self.config.batch // 2, len(self.tiles))
            rows = np.repeat(rng.choice(len(self.tiles), pairs, replace=False), 2)
            classes = np.repeat(np.arange(pairs), 2)
        else:
            rows = balanced_batch(self.labels, self.config.batch, rng)
            classes = self.labels[rows]
        images = random_views(network_input(np.asarray(self.tiles[rows]), self.model.architecture), rng)
        return images.contiguous(memory_format=torch.channels_last), torch.from_numpy(classes.astype(np.int64))


def balanced_batch(labels: np.ndarray, batch: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of a batch of C classes × (batch / C), unlabelled rows (-1) never; a class too small is drawn with replacement.

    With more classes than batch / 2, so many are drawn that each has two rows. ValueError with fewer than two classes.
    """
    classes = np.unique(labels[labels != UNLABELLED])
    if classes.size < 2:
        raise ValueError(f"the tiles have {classes.size} classes, and metric learning compares two or more: label more tiles")
    if classes.size > batch // 2:
        classes = rng.choice(classes, batch // 2, replace=False)
    each = batch // classes.size
    members = [np.flatnonzero(labels == name) for name in classes]
    return np.concatenate([rng.choice(rows, each, replace=rows.size < each) for rows in members])


def random_views(images: Tensor, rng: np.random.Generator, zoom: float = 0.2, gain: float = 0.2) -> Tensor:
    """One random view of each of (n, c, h, w) standardised images: quarter turn, mirror, zoom, brightness.

    All images are resampled at once. Nothing from outside an image comes into its view.
    """
    n = len(images)
    turn = rng.integers(0, 4, n) * (np.pi / 2)
    scale = rng.uniform(1 - zoom, 1, n)
    mirror = rng.choice([-1.0, 1.0], n)
    cos, sin = np.round(np.cos(turn)) * scale, np.round(np.sin(turn)) * scale
    shift = rng.uniform(-1, 1, (n, 2)) * (1 - scale)[:, None]
    affine = np.stack([np.stack([cos * mirror, -sin, shift[:, 0]], 1), np.stack([sin * mirror, cos, shift[:, 1]], 1)], 1)
    grid = functional.affine_grid(torch.from_numpy(affine.astype(np.float32)), list(images.shape), align_corners=False)
    views = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    light = torch.from_numpy(rng.uniform(-gain, gain, (2, n, 1, 1, 1)).astype(np.float32))
    return views * (1 + light[0]) + light[1]


@torch.no_grad()
def standardise(network: EmbeddingNetwork, images: Tensor) -> None:
    """Scale and shift every layer that has a bias so that its channels have mean 0 and deviation 1 on (n, c, h, w) images.

    A data-dependent start (Krähenbühl et al. 2016; Mishkin and Matas 2016), one pass through the network.
    """

    def own(layer: torch.nn.Conv2d | torch.nn.Linear, _: Any, found: Tensor) -> Tensor:
        std, mean = torch.std_mean(found, [axis for axis in range(found.ndim) if axis != 1], keepdim=True)
        std = std.clamp_min(1e-6)
        layer.weight.div_(std.reshape(-1, *[1] * (layer.weight.ndim - 1)))
        layer.bias.sub_(mean.flatten()).div_(std.flatten())  # pyright: ignore[reportOptionalMemberAccess]
        return (found - mean) / std

    layers = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear) and m.bias is not None]
    hooks = [layer.register_forward_hook(own) for layer in layers]
    network(images.contiguous(memory_format=torch.channels_last))
    for hook in hooks:
        hook.remove()


@torch.inference_mode()
def centre(network: EmbeddingNetwork, images: Tensor, batch: int = 64) -> None:
    """Take the mean embedding of (n, c, h, w) images off the last layer's bias."""
    found = [network(part.contiguous(memory_format=torch.channels_last)) for part in images.split(batch)]
    network.head.bias.sub_(torch.cat(found).mean(dim=0))
