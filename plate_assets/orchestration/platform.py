"""The platform as a whole: what its sciences declare together, and what stands behind it.

Belongs here: the chains of all sciences over each subject, their asset graph, and the present in which they are asked. Not
here: one science's declarations (`assets`), what is due (`requests`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import dagster as dg

from plate_assets.orchestration.asset_graph import AssetGraph
from plate_assets.orchestration.chains import Chain, Subject
from plate_assets.orchestration.parts import Part, Present, Why
from plate_assets.orchestration.resources import Storage
from plate_assets.settings import Settings


@dataclass(frozen=True)
class Platform:
    """Settings and storage, the chains that are declared, and the graph of all assets."""

    settings: Settings
    storage: Storage
    chains: tuple[Chain, ...]
    graph: AssetGraph

    @classmethod
    def of(cls, settings: Settings, storage: Storage, chains: Iterable[Chain], assets: Iterable[object]) -> "Platform":
        """The platform of these chains; assets: all that are loaded, the unpartitioned too."""
        known = [asset for asset in assets if isinstance(asset, dg.AssetsDefinition | dg.AssetSpec)]
        return cls(settings, storage, tuple(chains), AssetGraph.of(known))

    def job(self, subject: Subject) -> Any:
        """The job that makes all that is made of a subject; runs ask for the assets that they need."""
        return dg.define_asset_job(
            subject.job,
            dg.AssetSelection.assets(subject.entrance, *self.assets_over(subject)),
            description=f"All that is made of one {subject.words}: the night asks for what is missing or stale of it.",
        )

    def present(self) -> Present:
        """What holds now."""
        return Present(self.settings, self.storage)

    @cached_property
    def subjects(self) -> tuple[Subject, ...]:
        """What arrives, each once, in the order of the chains."""
        return tuple(dict.fromkeys(chain.subject for chain in self.chains))

    def subject(self, name: str) -> Subject:
        """The subject of that name."""
        return next(subject for subject in self.subjects if subject.name == name)

    def chains_over(self, subject: Subject) -> tuple[Chain, ...]:
        """The chains of all sciences over a subject."""
        return tuple(chain for chain in self.chains if chain.subject == subject)

    def assets_over(self, subject: Subject) -> tuple[str, ...]:
        """All that can be made of a subject, in the graph's order."""
        return self.graph.in_order({name for chain in self.chains_over(subject) for name in chain.assets})

    @cached_property
    def rests_on(self) -> dict[str, tuple[Part, ...]]:
        """The parts of each asset of any chain."""
        return {name: parts for chain in self.chains for name, parts in chain.rests_on.items()}

    @cached_property
    def whys(self) -> dict[str, Why]:
        """The kind of each part, by its name."""
        return {part.name: part.why for parts in self.rests_on.values() for part in parts}

    def parents_of(self, names: Iterable[str]) -> tuple[str, ...]:
        """The assets of chains that any of these rest on directly."""
        found = {parent for name in names for parent in self.graph.parents.get(name, ())}
        return self.graph.in_order(found & self.rests_on.keys())

    def possible(self, subject: Subject, present: Present) -> tuple[str, ...]:
        """The assets that can be made now: of chains that are open, and behind a model only where one is in force."""
        found: set[str] = set()
        for chain in self.chains_over(subject):
            if not chain.open_when(present):
                continue
            own = set(chain.assets)
            if chain.kind and present.model(chain.kind) is None:
                own -= self.graph.behind([chain.kind.champion_asset])
            found |= own
        return self.graph.in_order(found)

    def wanted_parts(self, name: str, possible: Iterable[str]) -> tuple[Part, ...]:
        """All that a result of this asset should rest on: its own parts, and those of possible assets before it."""
        before = self.graph.before([name]) & set(possible)
        parts = [*self.rests_on[name], *(part for other in self.graph.in_order(before) for part in self.rests_on[other])]
        return tuple({part.name: part for part in parts}.values())
