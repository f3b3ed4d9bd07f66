"""A figure without pyplot: no global state, so that threads can draw, and nothing stays in memory."""

import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 100
INK, QUIET = "#222222", "#888888"


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure, inches; its parts are laid out so that no text is cut."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def png(figure: "Figure") -> bytes:
    """The figure as PNG, the same bytes for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def stretched(image: np.ndarray, low: float = 1.0, high: float = 99.0) -> np.ndarray:
    """An image (h, w[, 3]) as shares 0 to 1 between two of its percentiles, so that dim 16-bit images are seen."""
    image = np.asarray(image, dtype=np.float32)
    bottom, top = np.nanpercentile(image, [low, high])
    return np.clip((image - bottom) / max(top - bottom, 1e-9), 0, 1)
