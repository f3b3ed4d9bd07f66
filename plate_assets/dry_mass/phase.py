"""From phase to dry mass: units, optical path difference, mass (A3.1).

Belongs here: what a pixel's value means, and what a sum of them weighs. Not here: which pixels are a cell (`cells`), what is no
cell (`background`), files and their vendors' scales (`plates.timelapses`).
"""

import math
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np

ALPHA_UM3_PER_PG = 0.18  # specific refraction increment of cells, µm³/pg, the same as 0.18 mL/g
N_PBS = 1.335  # refractive index of phosphate-buffered saline
WIDENED = 1.2  # DryMass integrates over this multiple of the radius, where the noise cancels

PhaseUnit = Literal["rad", "nm", "um", "relative"]
PHASE_UNITS: tuple[PhaseUnit, ...] = ("rad", "nm", "um", "relative")
_UM = {"nm": 1e-3, "um": 1.0}
_PLAUSIBLE = {"wavelength_nm": (100.0, 20_000.0), "pixel_um": (0.01, 100.0), "alpha_um3_per_pg": (0.05, 1.0)}
N = TypeVar("N", float, np.ndarray)


def opd_um(phase_rad: N, wavelength_nm: float) -> N:
    """Optical path difference in µm of a phase in rad: λ φ / 2π (A3.1)."""
    return phase_rad * (wavelength_nm * 1e-3 / (2 * math.pi))  # pyright: ignore[reportReturnType]


def mass_pg(opd_sum_um: N, pixel_um: float, alpha: float = ALPHA_UM3_PER_PG) -> N:
    """Dry mass in pg of a sum of OPD (µm) over pixels of `pixel_um` µm: Σ OPD · pixel area / α, α in µm³/pg (A3.1)."""
    return opd_sum_um * (pixel_um**2 / alpha)  # pyright: ignore[reportReturnType]


def sphere_mass_pg(radius_um: N, contrast: float, alpha: float = ALPHA_UM3_PER_PG) -> N:
    """Dry mass in pg of a uniform sphere: 4/3 π R³ Δn / α, Δn = n - n_medium the contrast (A3.1). 10 µm, 0.015: 349.07 pg."""
    return 4 / 3 * math.pi * radius_um**3 * (contrast / alpha)  # pyright: ignore[reportReturnType]


def absolute_sphere_mass_pg(relative_pg: N, radius_um: N, n_medium: float, alpha: float = ALPHA_UM3_PER_PG) -> N:
    """DryMass's absolute mass of a sphere: m + 4π R³ (n_medium - n_PBS) / 3α, n_PBS = 1.335 (A3.1).

    A medium denser than buffer hides a part of the cell; only for a sphere is it known how large a part.
    """
    return relative_pg + sphere_mass_pg(radius_um, n_medium - N_PBS, alpha)  # pyright: ignore[reportReturnType]


@dataclass(frozen=True)
class Calibration:
    """What the pixels of a time-lapse mean.

    unit: of pixel value times `factor`: phase in `rad`, OPD in `nm` or `um`, or `relative` where nothing is known; then the
    mass is a sum of values and nowhere pg. n_medium: where it is given, the mass is the absolute one of a sphere with the
    cell's projected area. sources: where each value comes from, for people.
    Raises ValueError where pg are asked for and a value lacks, or where one is no plausible value of its unit.
    """

    unit: PhaseUnit
    factor: float = 1.0
    pixel_um: float | None = None
    wavelength_nm: float | None = None
    alpha_um3_per_pg: float = ALPHA_UM3_PER_PG
    n_medium: float | None = None
    sources: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.unit not in PHASE_UNITS:
            raise ValueError(f"the unit {self.unit!r} is none of {', '.join(PHASE_UNITS)}: name one of them")
        if not (math.isfinite(self.factor) and self.factor > 0):
            raise ValueError(
                f"the factor is {self.factor}, and a number above 0 is needed: it turns a pixel's value into {self.unit}"
            )
        for name, (low, high) in _PLAUSIBLE.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ValueError(f"{name} is {value}, and {low:g} to {high:g} is plausible: look at its unit")
        if self.n_medium is not None and not 1 <= self.n_medium <= 2:
            raise ValueError(f"n_medium is {self.n_medium}, and a refractive index between 1 and 2 is needed")
        lacking = [
            name
            for name, needed in (("wavelength_nm", self.unit == "rad"), ("pixel_um", self.unit != "relative"))
            if needed and getattr(self, name) is None
        ]
        if lacking:
            raise ValueError(
                f"a mass in pg from {self.unit} needs {' and '.join(lacking)}: give it, or take the unit `relative`, without pg"
            )

    @property
    def mass_unit(self) -> Literal["pg", "relative"]:
        return "relative" if self.unit == "relative" else "pg"

    @property
    def length_um(self) -> float:
        """Side of a pixel in the unit of lengths: µm, or 1 (pixels) where the pixel size is unknown."""
        return 1.0 if self.pixel_um is None else self.pixel_um

    def values(self, frame: np.ndarray) -> np.ndarray:
        """(h, w) pixels as stored to float32 OPD in µm, or to relative values."""
        return np.multiply(frame, np.float32(self._scale()), dtype=np.float32)

    def mass(self, sums: np.ndarray, areas_px: np.ndarray | None = None) -> np.ndarray:
        """(n,) sums of `values` over cells to masses in `mass_unit`; areas_px: (n,) pixels, needed with `n_medium` only."""
        if self.unit == "relative" or self.pixel_um is None:
            return np.asarray(sums, float)
        mass = mass_pg(np.asarray(sums, float), self.pixel_um, self.alpha_um3_per_pg)
        if self.n_medium is None:
            return mass
        if areas_px is None:
            raise ValueError("the absolute mass of a sphere needs the cell's area: give areas_px, or no n_medium")
        radius = np.sqrt(np.asarray(areas_px, float) / math.pi) * self.pixel_um
        return absolute_sphere_mass_pg(mass, radius, self.n_medium, self.alpha_um3_per_pg)

    def _scale(self) -> float:
        if self.unit == "rad":
            assert self.wavelength_nm is not None
            return opd_um(self.factor, self.wavelength_nm)
        return self.factor * _UM.get(self.unit, 1.0)
