"""The limit of brightness: learnt from wells, and what lies above it."""

from typing import Any

import numpy as np


class Limit:
    """Mean and three standard deviations of the wells that it was learnt from."""

    def __init__(self, value: float) -> None:
        self.value = value

    @classmethod
    def fit(cls, brightness: np.ndarray) -> "Limit":
        """brightness: (n,) of wells, n >= 1."""
        return cls(float(brightness.mean() + 3 * brightness.std()))

    @classmethod
    def from_parts(cls, architecture: dict[str, Any], weights: dict[str, np.ndarray]) -> "Limit":
        """The limit that a bundle holds."""
        return cls(float(weights["limit"][0]))

    def predict(self, model_input: Any) -> np.ndarray:
        """(n,) whether each of (n,) wells is bright."""
        return np.asarray(model_input) > self.value
