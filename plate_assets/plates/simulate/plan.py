"""The truth of a simulated plate before any pixel: which condition precipitates, what, when and how badly, and how cells grow.

Belongs here: draws of conditions and wells. Not here: how it looks (`well`) or where it is written (`writing`).
"""

from dataclasses import dataclass

import numpy as np

from plate_assets.plates.layout import Well
from plate_assets.plates.simulate.settings import SimulationSettings

CHEMICAL = ("rash", "needles", "grains")
KINDS = (*CHEMICAL, "necrotic")
FULL_SEVERITY_AFTER_H = 48.0


@dataclass(frozen=True)
class Condition:
    """What happens in a quadruplet: the same in its four wells, but for chance."""

    quadruplet: Well
    name: str
    role: str
    kind: str  # one of KINDS, or `none`
    onset_h: float  # infinite where it never precipitates
    final_severity: int  # 0 to 4
    doubling_h: float
    seeded: float  # cells for each mm² at the beginning
    rounded_share: float  # cells that are round: dividing, or dying on their own
    specks: float  # fine protein debris, a look-alike of a rash

    def severity(self, hours: float) -> int:
        """0 before the onset, then rising to the final severity within 48 h."""
        if hours < self.onset_h or not self.final_severity:
            return 0
        share = min((hours - self.onset_h) / FULL_SEVERITY_AFTER_H, 1.0)
        return int(np.clip(np.ceil(self.final_severity * share**0.7), 1, self.final_severity))


@dataclass(frozen=True)
class PlateLook:
    """What all wells of one visit to a plate share: exposure, light, noise."""

    exposure: float
    contrast: float
    tilt: tuple[float, float]
    bowl: float
    noise: float
    dust: float


def plate_name(settings: SimulationSettings, plate: int) -> str:
    return f"{settings.plate_prefix}{settings.seed:02d}{plate + 1:03d}"


def plate_conditions(settings: SimulationSettings, plate: int) -> list[Condition]:
    """The conditions of a plate. One or more precipitate where `precipitating` is above 0, and one or more do not below 1."""
    rng = np.random.default_rng([settings.seed, plate, 1])
    groups = settings.groups
    n = len(groups)
    n_bad = int(np.clip(round(settings.precipitating * n + rng.uniform(-0.03, 0.03) * n), settings.precipitating > 0, n))
    if settings.precipitating < 1 and n > 1:
        n_bad = min(n_bad, n - 1)
    bad = np.zeros(n, dtype=bool)
    bad[rng.permutation(n)[:n_bad]] = True
    roles = _roles(bad, rng)
    last = max(hours for _, hours in settings.visits)
    return [_condition(group, number, bool(bad[number]), roles[number], last, rng) for number, group in enumerate(groups)]


def plate_look(settings: SimulationSettings, plate: int, visit: int) -> PlateLook:
    rng = np.random.default_rng([settings.seed, plate, 2, visit])
    return PlateLook(
        exposure=float(rng.uniform(0.42, 0.58)),
        contrast=float(rng.uniform(0.85, 1.15)),
        tilt=(float(rng.normal(0, 0.05)), float(rng.normal(0, 0.05))),
        bowl=float(rng.uniform(0.02, 0.14)),
        noise=float(rng.uniform(0.004, 0.008)),
        dust=float(rng.uniform(0.5, 1.5)),
    )


def well_severity(settings: SimulationSettings, plate: int, condition: Condition, well: Well, hours: float) -> int:
    """Severity in one well: the condition's, a degree more or less by chance; the top-left well has the condition's own."""
    whole = condition.severity(hours)
    if not whole or well == condition.quadruplet:
        return whole
    rng = np.random.default_rng([settings.seed, plate, 3, well.row, well.col])
    return int(np.clip(whole + rng.choice([-1, 0, 0, 0, 1]), 0, 4))


def _roles(bad: np.ndarray, rng: np.random.Generator) -> list[str]:
    """A sixteenth of the conditions are negative controls, a forty-eighth positive ones; none on a plate of fewer than 16."""
    roles = np.full(bad.size, "sample", dtype="<U16")
    clean, precipitating = rng.permutation(np.flatnonzero(~bad)), rng.permutation(np.flatnonzero(bad))
    roles[clean[: bad.size // 16]] = "negative_control"
    roles[precipitating[: bad.size // 48]] = "positive_control"
    return roles.tolist()


def _condition(group: Well, number: int, bad: bool, role: str, last_h: float, rng: np.random.Generator) -> Condition:
    kind = str(rng.choice(KINDS, p=[0.3, 0.2, 0.25, 0.25]))
    onset = float(rng.uniform(0.1, 0.8) * last_h)
    severity = int(rng.choice([1, 2, 3, 4], p=[0.15, 0.3, 0.3, 0.25]))
    return Condition(
        quadruplet=group,
        name="medium" if role == "negative_control" else f"C{number + 1:03d}",
        role=role,
        kind=kind if bad else "none",
        onset_h=onset if bad else float("inf"),
        final_severity=severity if bad else 0,
        doubling_h=float(rng.lognormal(np.log(38 if bad else 34), 0.22)),
        seeded=float(rng.uniform(16, 30)),
        rounded_share=float(rng.beta(1.2, 40)),
        specks=float(rng.gamma(1.2, 220)),
    )
