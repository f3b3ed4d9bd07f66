"""What lies before and behind an asset: read from the assets themselves, never from a list kept by hand.

Belongs here: questions about the graph that Dagster's assets declare. Not here: what is made of an asset (`instance_state`),
what is stale (`night`).
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import dagster as dg


@dataclass(frozen=True)
class AssetGraph:
    """parents: of each asset, in an order in which each comes after all of its parents; together: assets that one step
    makes."""

    parents: Mapping[str, frozenset[str]]
    together: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, assets: Iterable[dg.AssetsDefinition | dg.AssetSpec]) -> "AssetGraph":
        """The graph of assets as modules declare them."""
        parents: dict[str, frozenset[str]] = {}
        together: dict[str, frozenset[str]] = {}
        for asset in assets:
            specs = [asset] if isinstance(asset, dg.AssetSpec) else list(asset.specs)
            names = frozenset(_name(spec.key) for spec in specs)
            for spec in specs:
                parents[_name(spec.key)] = frozenset(_name(dep.asset_key) for dep in spec.deps) - names
                together[_name(spec.key)] = names
        return cls({name: parents[name] for name in _in_order(parents)}, together)

    @cached_property
    def children(self) -> dict[str, frozenset[str]]:
        """The assets that rest on each one directly."""
        found: dict[str, set[str]] = {}
        for name, parents in self.parents.items():
            for parent in parents:
                found.setdefault(parent, set()).add(name)
        return {name: frozenset(children) for name, children in found.items()}

    def behind(self, names: Iterable[str]) -> set[str]:
        """Everything that rests on any of the assets, through others too; not the assets themselves, unless on each other."""
        return _reached(names, self.children)

    def before(self, names: Iterable[str]) -> set[str]:
        """Everything that the assets rest on."""
        return _reached(names, self.parents)

    def in_order(self, names: Collection[str]) -> tuple[str, ...]:
        """The assets in an order in which they can be made."""
        return tuple(name for name in self.parents if name in names)

    def last(self, names: Collection[str]) -> tuple[str, ...]:
        """Those of the assets on which no other of them rests; one of those that a step makes together stands for all."""
        ends = [name for name in self.in_order(names) if not self.behind([name]) & set(names)]
        return tuple(name for place, name in enumerate(ends) if not self.together[name] & set(ends[:place]))


def _name(key: dg.AssetKey) -> str:
    return key.path[-1]


def _reached(names: Iterable[str], step: Mapping[str, frozenset[str]]) -> set[str]:
    found: set[str] = set()
    waiting = deque(names)
    while waiting:
        for name in step.get(waiting.popleft(), ()):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def _in_order(parents: Mapping[str, frozenset[str]]) -> list[str]:
    """Each asset after its parents; among equals as they were declared."""
    placed: dict[str, None] = {}

    def place(name: str) -> None:
        if name in placed or name not in parents:
            return
        for parent in sorted(parents[name]):
            place(parent)
        placed[name] = None

    for name in parents:
        place(name)
    return list(placed)
