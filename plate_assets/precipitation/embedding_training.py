"""Training of the embedding: balanced batches, augmented views, Adam, and a state that training goes on from.

A network without batch norm starts with all embeddings nearly parallel, and the loss then draws them together for good: no
class is told from another. So the start is standardised, and a batch's embeddings are centred before their cosines are taken;
the centre goes into the last layer's bias at the end, and the network is the paper's.

Belongs here: the loop and what it draws. Not here: the loss and the network (`embedding`), where a state is kept
(`workflows.precipitation.training_data`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from plate_assets.learning.checkpoint import optimiser_tensors, restore_optimiser
from plate_assets.learning.normalise import relative_contrast
from plate_assets.precipitation.embedding import EmbeddingModel, EmbeddingNetwork, intensities, mn_pair_loss, network_input

UNLABELLED = -1
_SAMPLE_FOR_CONTRAST = 512
_SAMPLE_FOR_START = 64


@dataclass(frozen=True)
class EmbeddingConfig:
    """How the embedding is trained; the defaults are the paper's, but for the seed and how often the state is kept."""

    trunk: str = "cnn15"
    embedding_size: int = 32
    input_px: int = 300
    iterations: int = 5000
    batch: int = 36
    tau: float = 0.3
    v: float = 0.15
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)  # not the usual 0.999
    seed: int = 0
    keep_every: int = 250


@dataclass(frozen=True)
class TrainingState:
    """Where training stands after `step` iterations: weights and Adam's moments by name, and the loss of each iteration."""

    step: int
    tensors: dict[str, Tensor]
    losses: np.ndarray


@dataclass(frozen=True)
class TrainedEmbedding:
    model: EmbeddingModel
    losses: np.ndarray  # (iterations,)
    supervision: str  # `labels` or `pairs`


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


def train_embedding_model(
    tiles: Any,
    labels: np.ndarray | None,
    config: EmbeddingConfig | None = None,
    *,
    state: TrainingState | None = None,
    keep: Callable[[TrainingState], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TrainedEmbedding:
    """Train on (n, t, t[, 3]) tiles, whose array may be read lazily.

    labels: (n,) integer classes, -1 for none; or None: two views of one tile are its class (augmentation pairs).
    state: where an interrupted training stood, as `keep` was given it; training goes on with the very same batches.
    """
    config = config or EmbeddingConfig()
    rng = np.random.default_rng(config.seed)
    some = np.sort(rng.choice(len(tiles), min(len(tiles), _SAMPLE_FOR_CONTRAST), replace=False))
    some_tiles = np.asarray(tiles[some])
    shares = torch.from_numpy(intensities(some_tiles, 1))
    model = EmbeddingModel.untrained(
        config.trunk, 1, config.input_px, config.embedding_size,
        std=max(float(relative_contrast(shares).std()), 1e-6), seed=config.seed,
    )  # fmt: skip
    network = model.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate, betas=config.betas)
    losses = np.zeros(config.iterations)
    start = 0
    if state is not None:
        start = min(state.step, config.iterations)
        losses[:start] = state.losses[:start]
        _restore(state.tensors, network, optimiser)
    else:
        standardise(network, network_input(some_tiles[:_SAMPLE_FOR_START], model.architecture))
    network.train()
    for step in range(start, config.iterations):
        images, classes = _batch(tiles, labels, config, model.architecture, np.random.default_rng([config.seed, step]))
        found = network(images.contiguous(memory_format=torch.channels_last))
        loss = mn_pair_loss(found - found.mean(dim=0), classes, config.tau, config.v)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        losses[step] = loss.item()
        if progress:
            progress(step + 1, config.iterations)
        if keep and (step + 1) % config.keep_every == 0 and step + 1 < config.iterations:
            keep(TrainingState(step + 1, _captured(network, optimiser), losses[: step + 1].copy()))
    network.eval()
    rows = some if labels is None else balanced_batch(labels, _SAMPLE_FOR_CONTRAST, rng)
    centre(network, network_input(np.asarray(tiles[rows]), model.architecture))
    return TrainedEmbedding(model, losses, "pairs" if labels is None else "labels")


def _batch(
    tiles: Any,
    labels: np.ndarray | None,
    config: EmbeddingConfig,
    architecture: dict[str, Any],
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    if labels is None:
        pairs = min(config.batch // 2, len(tiles))
        rows = np.repeat(rng.choice(len(tiles), pairs, replace=False), 2)
        classes = np.repeat(np.arange(pairs), 2)
    else:
        rows = balanced_batch(labels, config.batch, rng)
        classes = labels[rows]
    images = network_input(np.asarray(tiles[rows]), architecture)
    return random_views(images, rng), torch.from_numpy(classes.astype(np.int64))


def _captured(network: torch.nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Copies of weights and Adam's moments, by name."""
    weights = {f"weights.{name}": value for name, value in network.state_dict().items()}
    return {name: value.detach().clone() for name, value in (weights | optimiser_tensors(optimiser)).items()}


def _restore(tensors: dict[str, Tensor], network: torch.nn.Module, optimiser: torch.optim.Optimizer) -> None:
    weights = {name.removeprefix("weights."): value for name, value in tensors.items() if name.startswith("weights.")}
    network.load_state_dict(weights)
    restore_optimiser(optimiser, tensors)
