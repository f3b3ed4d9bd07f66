"""What the night has to do: a pure decision over what is made, what it was recorded to rest on, and what holds now.

Belongs here: which assets of which partition are missing or stale, and why. Not here: asking Dagster (`requests`), running
anything, what parts there are (`parts`).
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from plate_assets.orchestration.asset_graph import AssetGraph
from plate_assets.orchestration.parts import NONE, Basis, Reason, Why

UNTOLD = Reason(Why.CODE, "what it rests on", "not recorded", "recorded")
Wanted = Mapping[str, str | None]  # name of a part -> what it should be now; None: it cannot be told, and is not compared


@dataclass(frozen=True)
class Work:
    """Assets of one partition that are to be made, in their order, and why: each reason once."""

    partition: str
    assets: tuple[str, ...]
    reasons: tuple[Reason, ...]

    @property
    def reason(self) -> str:
        """The reasons as a person reads them; that an asset is missing says nothing beside another reason."""
        said = [str(reason) for reason in self.reasons if reason.why is not Why.MISSING]
        return "; ".join(said or [str(reason) for reason in self.reasons[:1]])

    def because_of(self, why: Why, part: str) -> bool:
        """Whether a part of that name is among the reasons."""
        return any(reason.why is why and reason.part == part for reason in self.reasons)


def differences(recorded: Basis | None, wanted: Wanted, whys: Mapping[str, Why]) -> list[Reason]:
    """Where what a result was recorded to rest on is not what holds now. recorded: None where nothing was."""
    if recorded is None:
        return [UNTOLD]
    found = []
    for name in [*wanted, *(name for name in recorded if name not in wanted)]:
        was, now = recorded.get(name, NONE), wanted.get(name, NONE)
        if now is not None and was != now:
            found.append(Reason(whys.get(name, Why.CODE), name, was, now))
    return found


def plan(
    partition: str,
    possible: tuple[str, ...],
    made: Collection[str],
    recorded: Callable[[str], Basis | None],
    wanted: Callable[[str], Wanted],
    whys: Mapping[str, Why],
    graph: AssetGraph,
) -> Work | None:
    """The work on one partition; None where there is none.

    possible: the assets that can be made now, in the graph's order. made: those that are. recorded, wanted: of an asset, what
    its result rests on and should rest on.
    """
    reasons: dict[Reason, None] = {}
    stale = set()
    for name in possible:
        found = differences(recorded(name), wanted(name), whys) if name in made else [Reason(Why.MISSING)]
        if found:
            stale.add(name)
            reasons |= dict.fromkeys(found)
    if not stale:
        return None
    stale |= graph.behind(stale)
    stale |= {other for name in stale for other in graph.together.get(name, ())}
    return Work(partition, tuple(name for name in possible if name in stale), tuple(reasons))
