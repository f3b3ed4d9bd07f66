"""What the night has to do: a pure decision over what is materialised, by which model, under which decisions.

Belongs here: which assets of which acquisition are missing or stale. Not here: asking Dagster (`schedules`, `sensors`),
running anything.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

# In the order of the graph: what is stale makes everything behind it stale.
SCORING = (
    "patches", "growth", "patch_scores", "well_scores", "quadruplet_calls", "layout_effects", "plate_report",
)  # fmt: skip
BEHIND = {
    "patches": ("patch_scores", "well_scores", "quadruplet_calls", "layout_effects", "plate_report"),
    "growth": ("layout_effects", "plate_report"),
    "patch_scores": ("well_scores", "quadruplet_calls", "layout_effects", "plate_report"),
    "well_scores": ("quadruplet_calls", "layout_effects", "plate_report"),
    "quadruplet_calls": ("plate_report",),
    "layout_effects": ("plate_report",),
    "plate_report": (),
}


@dataclass(frozen=True)
class Work:
    """Assets of one acquisition that are to be made, and why."""

    acquisition_id: str
    assets: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Materialised:
    """What the instance says of one acquisition: its assets, the model that scored it, the decisions its calls rest on."""

    assets: Collection[str]
    model_version: str | None = None
    decisions: str | None = None


def plan(
    acquisitions: Mapping[str, Materialised],
    champion: str | None,
    decisions: Mapping[str, str],
    in_flight: Collection[str],
) -> list[Work]:
    """What is unscored or stale and has no run in flight, with only the assets that need to be made.

    champion: model version in force, None where nobody has promoted one: then only what needs no model is made.
    decisions: fingerprint of exclusions and plate map for each acquisition; one that is absent is not compared.
    """
    planned = (_work(key, state, champion, decisions.get(key)) for key, state in acquisitions.items() if key not in in_flight)
    return [work for work in planned if work.assets]


def _work(acquisition_id: str, state: Materialised, champion: str | None, decisions: str | None) -> Work:
    possible = SCORING if champion else ("patches", "growth")
    reasons: dict[str, str] = {name: "unscored" for name in possible if name not in state.assets}
    if champion and "patch_scores" in state.assets and state.model_version != champion:
        reasons["patch_scores"] = f"scored by {state.model_version}, and the champion is {champion}"
    if champion and "well_scores" in state.assets and decisions and state.decisions != decisions:
        reasons["well_scores"] = "exclusions or the plate map changed"
    stale = {name for name in possible if name in reasons or any(name in BEHIND[made] for made in reasons)}
    first = next((reasons[name] for name in possible if name in reasons), "")
    return Work(acquisition_id, tuple(name for name in possible if name in stale), first)


def only_of_another_model(work: Iterable[Work]) -> list[Work]:
    """The part of the plan that a moved champion asks for: what has been scored, by another version."""
    return [item for item in work if item.reason.startswith("scored by")]
