"""What every model of a science shares that is kept as a bundle: plain JSON and arrays, and how it comes back from them.

Belongs here: the checks that all models make of their parts, and weights in and out of a network. Not here: files
(`storage.models`), any model.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import nn


class Bundled(ABC):
    """A model of which `architecture` is plain JSON and `weights` are arrays by name: nothing in them can run.

    A model says what its architecture needs (`NEEDS`), which values it has to have where it has them (`READS`), and the error
    that it raises (`ERROR`); `assembled` puts it together from parts that passed.
    """

    NEEDS: ClassVar[frozenset[str]]
    READS: ClassVar[Mapping[str, Any]]
    ERROR: ClassVar[type[ValueError]]

    @classmethod
    def from_parts(cls, architecture: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> Self:
        """Put the model together from what was stored; `ERROR` where the parts do not fit."""
        if lacking := cls.NEEDS - set(architecture):
            raise cls.ERROR(
                f"the architecture lacks {', '.join(sorted(lacking))}: no {cls.__name__} of this platform was stored so"
            )
        for name, value in cls.READS.items():
            if architecture.get(name, value) != value:
                raise cls.ERROR(
                    f"the model has the {name} {architecture[name]}, and the {name} {value} is needed: name a model that this "
                    f"version of plate_assets stored as a {cls.__name__}"
                )
        return cls.assembled(dict(architecture), dict(weights))

    @classmethod
    @abstractmethod
    def assembled(cls, architecture: dict[str, Any], weights: dict[str, np.ndarray]) -> Self:
        """The model of parts that passed; `ERROR` where weights and network do not fit."""


def weights_of(network: nn.Module) -> dict[str, np.ndarray]:
    """The network's state as arrays."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in network.state_dict().items()}


def fill(network: nn.Module, weights: Mapping[str, np.ndarray], name: str, error: type[ValueError]) -> None:
    """Put weights into a network of that name; the error says the first that does not fit."""
    try:
        network.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in weights.items()})
    except RuntimeError as reason:
        raise error(
            f"the weights do not fit {name}: {str(reason).splitlines()[1].strip()}; train it again, or name another model"
        ) from None
