"""What a science declares to the platform, as one value; and the same of the platform's own floor.

Belongs here: the form of a declaration. Not here: any declaration (`assets`), who loops over them (`definitions`, `doctor`,
`checks`, `night_review`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

import dagster as dg

from plate_assets.orchestration.chains import Chain, Subject
from plate_assets.settings import Settings
from plate_assets.storage.model_kind import ModelKind

if TYPE_CHECKING:
    from plate_assets.orchestration.arrivals import LookAtArrivals
    from plate_assets.orchestration.last_night import Night
    from plate_assets.pages.sections import Section

Answer = tuple[bool, str]  # whether all is well, and what is said


def _no_checks(_: Settings) -> Sequence[dg.AssetChecksDefinition]:
    return ()


def _no_questions(_: Settings) -> "dict[str, Callable[[], Answer]]":
    return {}


def _no_section(_: "Night") -> "Section | None":
    return None


@dataclass(frozen=True)
class Offer:
    """What one science gives to the platform.

    assets: modules with its assets, by default the one that holds the offer; chains: what the night makes; kinds: its kinds of
    model; jobs: for people; checks: on its tables; questions: of the doctor; section: its part of the morning page;
    made_each_morning: assets that the page's job makes before it; told_in_the_morning: partitioned ones that the page tells of;
    arrivals: the look at what arrives, for subjects of its own.
    """

    assets: tuple[ModuleType, ...] = ()
    chains: tuple[Chain, ...] = ()
    kinds: tuple[ModelKind, ...] = ()
    jobs: tuple[Any, ...] = ()
    checks: Callable[[Settings], Sequence[dg.AssetChecksDefinition]] = _no_checks
    questions: "Callable[[Settings], dict[str, Callable[[], Answer]]]" = _no_questions
    section: "Callable[[Night], Section | None]" = _no_section
    made_each_morning: tuple[str, ...] = ()
    told_in_the_morning: tuple[str, ...] = ()
    arrivals: "Mapping[Subject, LookAtArrivals]" = field(default_factory=dict)
