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


# What watches for drift, where a reference is there: one test makes the last four together.
DRIFT = ("drift_tests", "drift_null", "well_drift", "image_outliers")
WATCHING = ("patch_embeddings", *DRIFT)
BEHIND_WATCH = {"patches": WATCHING, "patch_embeddings": DRIFT}
WITHHOLDING = ("quadruplet_calls", "plate_report")  # behind the test too, where drift withholds calls


@dataclass(frozen=True)
class Watch:
    """The drift reference in force: its version, the embedding model that made it, and whether drift withholds calls."""

    reference: str
    embedding: str
    withholds: bool = False


@dataclass(frozen=True)
class Work:
    """Assets of one acquisition that are to be made, and why."""

    acquisition_id: str
    assets: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Materialised:
    """What the instance says of one acquisition: its assets, the model that scored it, the decisions its calls rest on, the
    embedding model that saw it and the drift reference it was held against."""

    assets: Collection[str]
    model_version: str | None = None
    decisions: str | None = None
    embedding: str | None = None
    reference: str | None = None


def plan(
    acquisitions: Mapping[str, Materialised],
    champion: str | None,
    decisions: Mapping[str, str],
    in_flight: Collection[str],
    watch: Watch | None = None,
) -> list[Work]:
    """What is unscored or stale and has no run in flight, with only the assets that need to be made.

    champion: model version in force, None where nobody has promoted one: then only what needs no model is made.
    decisions: fingerprint of exclusions and plate map for each acquisition; one that is absent is not compared.
    watch: the drift reference in force; without one nothing is embedded or tested.
    """
    planned = (
        _work(key, state, champion, decisions.get(key), watch) for key, state in acquisitions.items() if key not in in_flight
    )
    return [work for work in planned if work.assets]


def _work(acquisition_id: str, state: Materialised, champion: str | None, decisions: str | None, watch: Watch | None) -> Work:
    possible = (*(WATCHING if watch else ()), *(SCORING if champion else ("patches", "growth")))
    reasons: dict[str, str] = {name: "unscored" for name in possible if name not in state.assets}
    if champion and "patch_scores" in state.assets and state.model_version != champion:
        reasons["patch_scores"] = f"scored by {state.model_version}, and the champion is {champion}"
    if champion and "well_scores" in state.assets and decisions and state.decisions != decisions:
        reasons["well_scores"] = "exclusions or the plate map changed"
    if watch and "patch_embeddings" in state.assets and state.embedding != watch.embedding:
        reasons["patch_embeddings"] = "embedded by another model than the drift reference"
    if watch and "drift_tests" in state.assets and state.reference != watch.reference:
        reasons["drift_tests"] = "tested against another drift reference"
    stale = {name for name in possible if any(name == made or name in _behind(made, watch) for made in reasons)}
    first = next((reasons[name] for name in (*SCORING, *WATCHING) if name in reasons), "")
    return Work(acquisition_id, tuple(name for name in possible if name in stale), first)


def _behind(made: str, watch: Watch | None) -> tuple[str, ...]:
    """What is stale where this asset is made again."""
    own = BEHIND.get(made, ())
    if watch is None:
        return own
    watched = DRIFT if made in DRIFT else BEHIND_WATCH.get(made, ())
    withheld = WITHHOLDING if watch.withholds and set(DRIFT) & {made, *watched} else ()
    return (*own, *watched, *withheld)


def only_of_another_model(work: Iterable[Work]) -> list[Work]:
    """The part of the plan that a moved champion asks for: what has been scored, by another version."""
    return [item for item in work if item.reason.startswith("scored by")]
