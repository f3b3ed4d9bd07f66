"""The cells of a simulated culture before anybody looks: who is born when, divides when, and weighs what.

Belongs here: what a culture is asked for, its lineages, growth and division. Not here: what goes wrong (`simulate_anomalies`),
what the microscope makes of it (`simulate`).

The figures come from the paper where it has them (a frame every 10 min, a precision of 35 pg, a few hundred pg, division after
which the mass is half), and else from measured lineages: in single mouse lymphoblasts (Levien et al. 2025) a cycle's length
varies by 20 %, a light cell grows by more than its double and a heavy one by less (slope -0.6 to -0.8 of the logarithms), and
growth is nearer to exponential than to linear.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

GROWTH = ("exponential", "linear")
SHORTEST_CYCLE = 0.4  # of the mean: no cycle is shorter
LATEST_ONSET_H = 4.0  # an anomaly begins at least so long before the time-lapse ends
# Mean mass of a growing culture over the mean mass at birth: the integral of the growth over ages of density 2 ln2 2^-a.
MEAN_OVER_BIRTH = {"exponential": 2 * np.log(2), "linear": 1 / np.log(2)}


@dataclass(frozen=True)
class CultureSettings:
    """A culture, its time-lapse and its microscope.

    founders: cells in the first frame. hours, interval_min: the time-lapse. doubling_h, doubling_cv: length of a cycle,
    lognormal.
    growth: within a cycle, `exponential` or `linear`; at the end a cell of mean mass at birth has doubled.
    mass_pg: mean over the cells of the culture. lineage_cv: what sets a lineage's cells apart from another's for good.
    fold_cv: spread of the factor by which a cycle multiplies the mass. homeostasis: how strongly a light cell grows by more
    than its double, from 0 (not at all) to 1 (all cells divide at one mass). asymmetry: standard deviation of a daughter's
    share of the mother's mass about one half.
    noise_pg: standard deviation of a measured mass of 300 pg; at another mass it is `noise_pg · (mass / 300)^noise_power`:
    the noise of pixels grows with the root of their number.
    noise_correlation_h: time after which noise has forgotten itself by 1/e, 0 for white noise.
    lost_per_h: rate at which tracks are lost for good. speed_um_h: mean way of a centre from frame to frame, over the interval.
    field_um: width and height of the field.
    biological, acquisition: share of the lineages with one anomaly of these; kinds: which, names of `KINDS`, all where empty.
    onset_from_h: earliest onset; default 20 h, the input of one window, or half of a shorter time-lapse.
    """

    founders: int = 200
    hours: float = 72.0
    interval_min: float = 10.0
    seed: int = 0
    timelapse: str = "simulated"
    doubling_h: float = 20.0
    doubling_cv: float = 0.2
    growth: str = "exponential"
    mass_pg: float = 300.0
    lineage_cv: float = 0.12
    fold_cv: float = 0.07
    homeostasis: float = 0.6
    asymmetry: float = 0.03
    noise_pg: float = 35.0
    noise_power: float = 0.5
    noise_correlation_h: float = 0.0
    lost_per_h: float = 0.0
    speed_um_h: float = 12.0
    field_um: tuple[float, float] = (6400.0, 4600.0)
    biological: float = 0.05
    acquisition: float = 0.05
    kinds: tuple[str, ...] = ()
    onset_from_h: float | None = None

    def __post_init__(self) -> None:
        if self.growth not in GROWTH:
            raise ValueError(f"growth={self.growth!r} is none of {', '.join(GROWTH)}")
        if self.founders < 1 or self.seed < 0:
            raise ValueError(f"founders={self.founders}, seed={self.seed}: one founder or more, and a seed from 0 on")
        for name in ("hours", "interval_min", "doubling_h", "mass_pg"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name}={getattr(self, name)}: a number above 0 is needed")
        for name in ("doubling_cv", "lineage_cv", "fold_cv", "noise_pg", "noise_correlation_h", "lost_per_h", "speed_um_h"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name}={getattr(self, name)}: a number from 0 on is needed")
        if not 0 <= self.homeostasis <= 1 or not 0 <= self.asymmetry < 0.2:
            raise ValueError(f"homeostasis={self.homeostasis} lies from 0 to 1, asymmetry={self.asymmetry} from 0 to below 0.2")
        if self.interval_min / 60 > SHORTEST_CYCLE * self.doubling_h / 2:
            raise ValueError(f"interval_min={self.interval_min}: a cell may be born and divide between two frames")
        if min(self.biological, self.acquisition) < 0 or self.biological + self.acquisition > 0.5:
            raise ValueError(
                f"biological={self.biological} and acquisition={self.acquisition} are shares, 0.5 or less together"
            )
        if self.biological + self.acquisition > 0 and self.onset_h > self.hours - LATEST_ONSET_H:
            raise ValueError(
                f"anomalies that begin after {self.onset_h:g} h and {LATEST_ONSET_H:g} h before the end do not fit into "
                f"{self.hours:g} h: lower `onset_from_h`"
            )

    @property
    def interval_h(self) -> float:
        return self.interval_min / 60

    @property
    def frames(self) -> int:
        return int(np.floor(self.hours / self.interval_h + 1e-9)) + 1

    @property
    def last_h(self) -> float:
        """Time of the last frame."""
        return (self.frames - 1) * self.interval_h

    @property
    def onset_h(self) -> float:
        return min(20.0, self.hours / 2) if self.onset_from_h is None else self.onset_from_h

    @property
    def birth_pg(self) -> float:
        """Mean mass at birth."""
        return self.mass_pg / MEAN_OVER_BIRTH[self.growth]


@dataclass(frozen=True)
class Population:
    """Cells, (n,) each. Times in hours since the time-lapse began, -1 for no mother; mothers stand before their daughters.

    `share` is a daughter's of the mother's mass at division; `scale` what sets the lineage apart; `fold` the chance in growth.
    `kind` numbers what goes wrong with the cell (-1: nothing), from `onset` on; `until` is when a cell ends for another reason
    than its own division; an `arrested` one does not divide.
    """

    mother: np.ndarray
    founder: np.ndarray
    generation: np.ndarray
    birth: np.ndarray
    cycle: np.ndarray
    until: np.ndarray
    share: np.ndarray
    scale: np.ndarray
    fold: np.ndarray
    kind: np.ndarray
    onset: np.ndarray
    arrested: np.ndarray

    @property
    def size(self) -> int:
        return self.mother.size

    @property
    def end(self) -> np.ndarray:
        """When a cell is there no more: at its division, or when it is lost."""
        return np.where(self.arrested, self.until, np.minimum(self.birth + self.cycle, self.until))

    def divides(self, last_h: float) -> np.ndarray:
        """(n,) bool: whether the cell divides within the time-lapse."""
        return ~self.arrested & (self.birth + self.cycle <= np.minimum(self.until, last_h))

    def changed(self, **columns: np.ndarray) -> "Population":
        return replace(self, **columns)

    def select(self, keep: np.ndarray) -> "Population":
        """The cells that are kept, (n,) bool; a mother of a kept cell is kept too."""
        place = np.cumsum(keep) - 1
        kept = {field.name: getattr(self, field.name)[keep] for field in fields(self)}
        kept["mother"] = np.where(kept["mother"] < 0, -1, place[kept["mother"]])
        return Population(**kept)


def populate(settings: CultureSettings, rng: np.random.Generator) -> Population:
    """The lineages of the founders, all whole and sound, until the time-lapse ends."""
    n = settings.founders
    cycle = _cycles(settings, rng, n)
    # An exponentially growing culture has twice as many cells at age 0 as at the end of the cycle: density 2 ln2 2^-a.
    age = -np.log2(1 - rng.random(n) / 2)
    step = np.hypot(settings.fold_cv, settings.asymmetry / 0.5)
    spread = step / np.sqrt(1 - (1 - settings.homeostasis) ** 2) if settings.homeostasis > 0 else step
    first = _born(settings, rng, np.full(n, -1), np.arange(n), np.zeros(n, dtype=np.int64), -age * cycle)
    first = first.changed(
        cycle=cycle, share=np.exp(spread * rng.standard_normal(n)), scale=np.exp(settings.lineage_cv * rng.standard_normal(n))
    )
    return with_descendants(settings, rng, first)


def with_descendants(settings: CultureSettings, rng: np.random.Generator, born: Population) -> Population:
    """The cells and all their descendants within the time-lapse; one round for each generation, two daughters for each
    division."""
    rounds, offset = [born], 0
    while True:
        mothers = rounds[-1]
        divides = np.flatnonzero(mothers.divides(settings.last_h))
        if not divides.size:
            break
        pair = np.repeat(divides, 2)
        share = np.clip(rng.normal(0.5, settings.asymmetry, divides.size), 0.1, 0.9)
        next_round = _born(
            settings, rng, pair + offset, mothers.founder[pair], mothers.generation[pair] + 1, mothers.end[pair]
        )  # fmt: skip
        rounds.append(
            next_round.changed(share=np.stack([share, 1 - share], axis=1).ravel(), scale=mothers.scale[pair])
        )  # fmt: skip
        offset += mothers.size
    return joined(rounds)


def daughters_of(settings: CultureSettings, rng: np.random.Generator, cells: Population, mothers: np.ndarray) -> Population:
    """One more daughter for each of the mothers (places in `cells`), born at its end; not yet among the cells."""
    more = _born(settings, rng, mothers, cells.founder[mothers], cells.generation[mothers] + 1, cells.end[mothers])
    return more.changed(share=np.full(mothers.size, 1 / 3), scale=cells.scale[mothers])


def joined(parts: Sequence[Population]) -> Population:
    """The cells of all parts, one after the other; the places of mothers count over all of them."""
    return Population(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Population)})


def _born(
    settings: CultureSettings,
    rng: np.random.Generator,
    mother: np.ndarray,
    founder: np.ndarray,
    generation: np.ndarray,
    birth: np.ndarray,
) -> Population:
    n = mother.size
    lost = rng.exponential(1 / settings.lost_per_h, n) if settings.lost_per_h else np.full(n, np.inf)
    return Population(
        mother=mother,
        founder=founder,
        generation=generation,
        birth=birth,
        cycle=_cycles(settings, rng, n),
        until=np.maximum(birth, 0) + lost,
        share=np.ones(n),
        scale=np.ones(n),
        fold=np.exp(settings.fold_cv * rng.standard_normal(n)),
        kind=np.full(n, -1),
        onset=np.full(n, np.inf),
        arrested=np.zeros(n, dtype=bool),
    )


def _cycles(settings: CultureSettings, rng: np.random.Generator, n: int) -> np.ndarray:
    """(n,) lengths of cycles, hours: lognormal with the mean and the coefficient of variation that are asked for."""
    sigma2 = np.log1p(settings.doubling_cv**2)
    lengths = settings.doubling_h * np.exp(np.sqrt(sigma2) * rng.standard_normal(n) - sigma2 / 2)
    return np.maximum(lengths, SHORTEST_CYCLE * settings.doubling_h)


@dataclass(frozen=True)
class Growth:
    """Mass at birth and the factor over a whole cycle, (n,) each: what each cell weighs at any time while nothing is wrong."""

    exponential: bool
    birth: np.ndarray  # hours
    cycle: np.ndarray
    birth_pg: np.ndarray
    factor: np.ndarray

    def at(self, cell: np.ndarray, hours: np.ndarray) -> np.ndarray:
        """(m,) masses of the cells (places), pg, at the times."""
        age = (hours - self.birth[cell]) / self.cycle[cell]
        grown = self.factor[cell] ** age if self.exponential else 1 + (self.factor[cell] - 1) * age
        return self.birth_pg[cell] * grown

    def rate(self, cell: np.ndarray) -> np.ndarray:
        """(m,) growth in a cycle's time: the logarithm of the factor, or what a linear growth adds, pg."""
        return np.log(self.factor[cell]) if self.exponential else self.birth_pg[cell] * (self.factor[cell] - 1)


def factors(settings: CultureSettings, cells: Population, place: np.ndarray, birth_pg: np.ndarray) -> np.ndarray:
    """(m,) factor over a cycle of cells (places) of that mass at birth: 2 at the mean, more for a light cell."""
    relative = birth_pg / (settings.birth_pg * cells.scale[place])
    return np.maximum(2 * relative**-settings.homeostasis * cells.fold[place], 1.05)
