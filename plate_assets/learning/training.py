"""A training as every science declares it: a network, what it learns from, and what becomes of it; and the one way to run it.

Belongs here: the form of a training, and a run of it that survives a kill. Not here: the loop (`fit`), any science's training.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from plate_assets.learning.fit import FitConfig, Fitted, Validate, fit
from plate_assets.progress import Progress

Trained = TypeVar("Trained", covariant=True)


class Training(Protocol[Trained]):
    """One training before, in and after its loop. Everything random comes from its seed and from what `batches` is given."""

    @property
    def network(self) -> nn.Module:
        """What is fitted, in place."""
        ...

    @property
    def fit_config(self) -> FitConfig:
        """Budget and optimiser."""
        ...

    @property
    def identity(self) -> str:
        """What a checkpoint of it belongs to: configuration and data."""
        ...

    def batches(self, rng: np.random.Generator, generator: torch.Generator, epoch: int, /) -> Iterator[tuple[Tensor, ...]]:
        """The batches of an epoch, see `fit.Batches`."""
        ...

    def loss(self, model: nn.Module, batch: tuple[Tensor, ...], /) -> Tensor:
        """Mean loss of a batch."""
        ...

    @property
    def validate(self) -> Validate | None:
        """A number for each epoch, better when larger, and further figures; None: the last epoch is kept."""
        ...

    def finished(self, fitted: Fitted) -> Trained:
        """What the fitted network becomes."""
        ...


def train(training: Training[Trained], *, checkpoint: Path | None = None, progress: Progress | None = None) -> Trained:
    """Fit the training's network and finish it.

    checkpoint: file of a training that may go on after a kill, to the very same result; removed when the training is done.
    Raises ValueError where the loss is not finite, and what `finished` raises.
    """
    fitted = fit(
        training.network, training.batches, training.loss, training.fit_config, validate=training.validate,
        checkpoint=checkpoint, identity=training.identity, progress=progress,
    )  # fmt: skip
    trained = training.finished(fitted)
    if checkpoint:
        checkpoint.unlink(missing_ok=True)
    return trained
