"""Rows of an array that may lie on disk: some of them, in an order of their own, read when they are sliced.

Belongs here: which rows, and nothing about what they hold. Not here: how an array lies on disk (`storage.arrays`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Rows:
    """The rows (n,) of an array (N, …), as an array (n, …) that is sliced and indexed along its first axis like numpy's."""

    array: Any
    rows: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.rows), *self.array.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: slice | np.ndarray) -> np.ndarray:
        return np.asarray(self.array[self.rows[part]])
