"""Fitting: one training loop for every network, seeded, within a stated budget, resumable after a kill to the very same result.

Belongs here: epochs, optimiser, early stopping, checkpoints, curves. Not here: losses and data (the sciences), augmentation.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from plate_assets.learning.arithmetic import give_back_freed, quick_precision
from plate_assets.learning.checkpoint import load_checkpoint, optimiser_tensors, restore_optimiser, save_checkpoint
from plate_assets.progress import Progress


@dataclass(frozen=True)
class FitConfig:
    """Budget and optimiser. The budget is what comparisons state: epochs, steps of an epoch, seconds of training."""

    epochs: int = 40
    seconds: float = math.inf  # of training, over all resumptions; the epoch that is under way is finished
    optimiser: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 1e-6
    decay: float = 0.985  # of the learning rate, each epoch
    patience: int = 10  # epochs without a better validation before it stops
    # Share of the past in a running average of the weights, each step; 0: none. With it the last average is validated and
    # kept, not the best epoch: where few images judge, the best one is the luckiest.
    average: float = 0.0
    # Of the layers' products, as the processor is quicker; weights and losses stay float32.
    precision: Literal["float32", "bfloat16"] = field(default_factory=quick_precision)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"{self.epochs} epochs teach nothing: one or more are needed")


@dataclass
class Fitted:
    """What a training left: its curves, the epoch whose weights were kept, and why it ended."""

    curves: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int = -1
    best: float = -math.inf
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)  # of each step
    ended: str = "epochs used up"
    resumed_at: int | None = None

    @property
    def spent(self) -> dict[str, float | int | str]:
        """What the training took, and why it ended, as reviewers read it."""
        spent = {
            "epochs": len(self.curves["training loss"]), "training seconds": round(self.seconds, 1), "ended": self.ended,
        }  # fmt: skip
        return spent if self.resumed_at is None else spent | {"resumed at epoch": self.resumed_at}


# Of an epoch, by its number: they draw from the two generators only, or from a generator that is seeded with the number.
Batches = Callable[[np.random.Generator, torch.Generator, int], Iterator[tuple[torch.Tensor, ...]]]
Loss = Callable[[nn.Module, tuple[torch.Tensor, ...]], torch.Tensor]
Validate = Callable[[nn.Module], tuple[float, dict[str, float]]]


def fit(
    model: nn.Module,
    batches: Batches,
    loss: Loss,
    config: FitConfig,
    *,
    validate: Validate | None = None,
    checkpoint: Path | None = None,
    identity: str = "",
    progress: Progress | None = None,
) -> Fitted:
    """Train the model in place and leave the weights of the best epoch in it, or their average at the end.

    batches: gives the batches of one epoch, see `Batches`. loss: mean loss of a batch.
    validate: a number that is better when larger, with further figures for the curves; without it the last epoch is kept.
    checkpoint: file written after each epoch and removed at the end by the caller; one of another `identity` is ignored.
    Raises ValueError where the loss is not finite.
    """
    optimiser = _optimiser(model, config)
    rng, generator = np.random.default_rng(config.seed), torch.Generator().manual_seed(config.seed)
    fitted, best_weights, first = Fitted(), _copy(model), 0
    shown = copy.deepcopy(model) if config.average else model  # what is validated and kept
    identity = f"{identity}|{asdict(config)}"
    if checkpoint and (found := load_checkpoint(checkpoint)) and found[1]["identity"] == identity:
        best_weights, first = _resume(found, model, optimiser, rng, generator, fitted)
        if config.average:
            shown.load_state_dict(best_weights)

    def stepped(value: float) -> None:
        fitted.losses.append(value)
        if config.average:
            steps = len(fitted.losses)
            _average(shown, model, min(config.average, steps / (steps + 9)))  # the first weights fade soon

    for epoch in range(first, config.epochs):
        if fitted.ended != "epochs used up":
            break
        began = time.monotonic()
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * config.decay**epoch
        before = len(fitted.losses)
        _epoch(model, optimiser, batches(rng, generator, epoch), loss, epoch, config.precision, stepped)
        figures = {"training loss": float(np.mean(fitted.losses[before:]))}
        value = -figures["training loss"] if validate is None else math.nan
        if validate:
            shown.eval()
            value, more = validate(shown)
            figures |= more
        if validate is None or config.average or value > fitted.best:
            fitted.best, fitted.best_epoch, best_weights = value, epoch, _copy(shown)
        for name, figure in figures.items():
            fitted.curves.setdefault(name, []).append(figure)
        fitted.seconds += time.monotonic() - began
        if fitted.seconds >= config.seconds:
            fitted.ended = "time used up"
        elif epoch - fitted.best_epoch >= config.patience:
            fitted.ended = f"no better for {config.patience} epochs"
        if checkpoint:
            _save(checkpoint, identity, epoch, model, optimiser, rng, generator, fitted, best_weights)
        if progress:
            progress(epoch + 1, config.epochs)
    model.load_state_dict(best_weights)
    model.eval()
    return fitted


def train_mode(model: nn.Module) -> None:
    """Training mode, but for frozen batch norms: these keep the statistics that they were frozen with."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.weight is not None and not module.weight.requires_grad:
            module.eval()


def _epoch(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    batches: Iterator,
    loss: Loss,
    epoch: int,
    precision: str,
    stepped: Callable[[float], None],
) -> None:
    give_back_freed()  # by the validation before
    train_mode(model)
    for number, batch in enumerate(batches):
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            value = loss(model, batch)
        if not torch.isfinite(value):
            raise ValueError(
                f"the loss is {float(value)} in epoch {epoch}, batch {number}: lower the learning rate, or look at the tiles"
            )
        value.backward()
        optimiser.step()
        stepped(float(value.detach()))
    give_back_freed()


@torch.no_grad()
def _average(average: nn.Module, model: nn.Module, past: float) -> None:
    """Move the average towards the model, batch norm's statistics too; `past` is the share of it that stays."""
    for mean, now in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(now, 1 - past)
        else:
            mean.copy_(now)


def _optimiser(model: nn.Module, config: FitConfig) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if config.optimiser == "sgd":
        return torch.optim.SGD(parameters, config.learning_rate, momentum=0.9, nesterov=True, weight_decay=config.weight_decay)
    return torch.optim.Adam(parameters, config.learning_rate, betas=config.betas, weight_decay=config.weight_decay)


def _copy(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _save(path, identity, epoch, model, optimiser, rng, generator, fitted, best_weights) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in best_weights.items()}
    tensors |= optimiser_tensors(optimiser) | {"torch_random": generator.get_state()}
    facts = {"identity": identity, "epoch": epoch, "numpy_random": rng.bit_generator.state, "fitted": asdict(fitted)}
    save_checkpoint(path, tensors, facts)


def _resume(found, model, optimiser, rng, generator, fitted) -> tuple[dict[str, torch.Tensor], int]:
    tensors, facts = found
    model.load_state_dict({name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")})
    restore_optimiser(optimiser, tensors)
    generator.set_state(tensors["torch_random"])
    rng.bit_generator.state = facts["numpy_random"]
    for name, value in facts["fitted"].items():
        setattr(fitted, name, value)
    fitted.resumed_at = facts["epoch"] + 1
    best = {name.removeprefix("best."): t for name, t in tensors.items() if name.startswith("best.")}
    return best, facts["epoch"] + 1
