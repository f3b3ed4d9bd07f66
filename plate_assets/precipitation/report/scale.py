"""Colour scales and axes: from numbers to colours, ticks and text.

Belongs here: scales that people with any colour vision can read. Not here: shapes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from math import isfinite

import numpy as np

from plate_assets.pages.document import ticks


@cache
def _palette(name: str) -> tuple[str, ...]:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return tuple(to_hex(colour) for colour in colormaps[name](np.linspace(0, 1, 256)))


@dataclass(frozen=True)
class ColourScale:
    """A linear scale from `lo` to `hi` on a colour map that grows evenly in lightness (viridis, cividis, inferno)."""

    lo: float
    hi: float
    palette: str = "viridis"
    clipped_low: bool = False
    clipped_high: bool = False

    @classmethod
    def of(cls, values: Iterable[float | None], palette: str = "viridis", share: float = 0.99) -> "ColourScale":
        """The scale of a plate: from its smallest value to its `share` quantile, so that one well cannot flatten all others."""
        finite = np.array([v for v in values if v is not None and isfinite(v)], dtype=float)
        if not finite.size:
            return cls(0.0, 1.0, palette)
        lo, hi, top = float(finite.min()), float(np.quantile(finite, share)), float(finite.max())
        if hi <= lo:
            lo, hi = (lo, top) if top > lo else (lo - 0.5, lo + 0.5)
        return cls(lo, hi, palette, clipped_high=top > hi)

    def colour(self, value: float | None) -> str | None:
        """The colour of a value as `#rrggbb`; None where there is no value."""
        if value is None or not isfinite(value):
            return None
        share = (value - self.lo) / (self.hi - self.lo)
        return _palette(self.palette)[round(255 * min(max(share, 0.0), 1.0))]

    def share(self, value: float) -> float:
        return (value - self.lo) / (self.hi - self.lo)

    def stops(self, count: int = 17) -> list[tuple[float, str]]:
        """Offset (0 to 1) and colour of a gradient that draws the scale."""
        return [(i / (count - 1), _palette(self.palette)[round(255 * i / (count - 1))]) for i in range(count)]

    def ticks(self) -> list[float]:
        return ticks(self.lo, self.hi)
