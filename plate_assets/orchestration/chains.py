"""Chains: the assets that a science makes of what arrives, declared once, with what each of them rests on.

Belongs here: what arrives (`Subject`), a chain over it and its decorators, and how a result keeps what it rests on. Not here:
any science's assets (`assets`), what is to be made (`night`), what parts there are (`parts`).

An asset of a chain is declared by the chain's decorator. Its result keeps what it rests on, as readable metadata and as one
fingerprint: its own parts as they are when it is made, its code version, and all that the assets before it were recorded to
rest on. So a result that was made of an outdated input says so by itself, whatever stopped the run between the two.
"""

import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg

from plate_assets.orchestration.instance_state import recorded_basis
from plate_assets.orchestration.metadata import described
from plate_assets.orchestration.parts import NONE, Basis, Part, Present, Why
from plate_assets.orchestration.tags import BASIS_METADATA, BASIS_TAG
from plate_assets.storage.model_kind import ModelKind
from plate_assets.storage.schema import TableSchema

if TYPE_CHECKING:
    from plate_assets.orchestration.platform import Platform

SCHEMAS: dict[str, TableSchema] = {}  # of each asset that is a table, as its decorator was told


def table_metadata(asset: str, schema: TableSchema) -> dict[str, Any]:
    """Definition metadata of an asset that fills a table, whose schema is then known to the IO managers."""
    SCHEMAS[asset] = schema
    return described(schema)


def table_asset(
    schema: TableSchema, *, group_name: str, stack: bool = False, code_version: str = "1", **asked: Any
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """`dg.asset` for one that fills a table of this schema. stack: pixels lie beside it; asked: what `dg.asset` takes."""

    def declare(make: Callable[..., Any]) -> dg.AssetsDefinition:
        made = dg.asset(
            group_name=group_name, code_version=code_version, io_manager_key="stacks" if stack else "tables",
            metadata=table_metadata(make.__name__, schema), **asked,
        )  # fmt: skip
        return made(make)

    return declare


def table_out(asset: str, schema: TableSchema, group_name: str, code_version: str = "1", **asked: Any) -> dg.AssetOut:
    """One table of a step that makes several."""
    return dg.AssetOut(
        io_manager_key="tables",
        group_name=group_name,
        code_version=code_version,
        metadata=table_metadata(asset, schema),
        **asked,
    )


@dataclass(frozen=True)
class Subject:
    """What arrives: acquisitions of plates, time-lapses.

    name: `plate`; entrance: the asset that lets one in; partitions: one for each;
    words: `an acquisition`, for people.
    """

    name: str
    partitions: dg.DynamicPartitionsDefinition
    entrance: str
    words: str

    @property
    def job(self) -> str:
        """Name of the job that makes all that is made of one."""
        return f"{self.name}_chain"


def _always(_: Present) -> bool:
    return True


@dataclass(frozen=True)
class Chain:
    """One science's assets over a subject.

    kind: of the model that some of them need: those behind its champion. open_when: whether the chain has what it needs at all.
    """

    name: str
    subject: Subject
    kind: ModelKind | None = None
    open_when: Callable[[Present], bool] = _always
    rests_on: dict[str, tuple[Part, ...]] = field(default_factory=dict)

    @property
    def assets(self) -> tuple[str, ...]:
        """Names of its assets, as they were declared."""
        return tuple(self.rests_on)

    def asset(
        self,
        schema: TableSchema | None = None,
        *,
        rests_on: Iterable[Part] = (),
        stack: bool = False,
        code_version: str = "1",
        **asked: Any,
    ) -> Callable[[Callable[..., dg.MaterializeResult]], dg.AssetsDefinition]:
        """`dg.asset` in this chain. schema: of the table it fills; stack, asked: as `table_asset`."""

        def declare(make: Callable[..., dg.MaterializeResult]) -> dg.AssetsDefinition:
            recording = _recording(make, self, self._declare([make.__name__], rests_on, code_version))
            shared = {"partitions_def": self.subject.partitions, "group_name": self.name, "code_version": code_version}
            if schema is None:
                return dg.asset(**shared, **asked)(recording)
            return table_asset(schema, stack=stack, **shared, **asked)(recording)

        return declare

    def multi_asset(
        self, schemas: Iterable[TableSchema], *, rests_on: Iterable[Part] = (), code_version: str = "1", **asked: Any
    ) -> Callable[[Callable[..., Iterator[dg.MaterializeResult]]], dg.AssetsDefinition]:
        """`dg.multi_asset` in this chain: tables that one step makes together, each named as its schema."""

        def declare(make: Callable[..., Iterator[dg.MaterializeResult]]) -> dg.AssetsDefinition:
            filled = {schema.name: schema for schema in schemas}
            parts = self._declare(list(filled), rests_on, code_version)
            outs = {name: table_out(name, schema, self.name, code_version=code_version) for name, schema in filled.items()}
            made = dg.multi_asset(outs=outs, partitions_def=self.subject.partitions, **asked)
            return made(_recording(make, self, parts))

        return declare

    def _declare(self, names: list[str], rests_on: Iterable[Part], code_version: str) -> tuple[Part, ...]:
        code = Part(f"code of {names[0]}", Why.CODE, lambda _, __: code_version)
        parts = (*rests_on, code)
        self.rests_on.update(dict.fromkeys(names, parts))
        return parts


def _recording(make: Callable[..., Any], chain: Chain, parts: tuple[Part, ...]) -> Callable[..., Any]:
    """The asset's function, whose results keep what they rest on. It is asked for before anything is made: a decision that
    changes meanwhile makes the result stale, never silently right."""
    asks = inspect.signature(make)
    platform = inspect.Parameter("platform", inspect.Parameter.KEYWORD_ONLY, annotation=dg.ResourceParam["Platform"])
    given = [name for name in asks.parameters if name == "platform"]

    def kept(result: dg.MaterializeResult, basis: Basis) -> dg.MaterializeResult:
        told = {**(result.metadata or {}), BASIS_METADATA: dg.MetadataValue.json(basis)}
        return result._replace(metadata=told, tags={**(result.tags or {}), BASIS_TAG: basis_fingerprint(basis)})

    def basis_now(known: "Platform") -> Basis:
        context = dg.AssetExecutionContext.get()
        names = [key.path[-1] for key in context.selected_asset_keys]
        return basis_of(parts, known.parents_of(names), context.partition_key, known.present(), context.instance)

    @functools.wraps(make)
    def recording(*arguments: Any, **named: Any) -> dg.MaterializeResult:
        basis = basis_now(named["platform"] if given else named.pop("platform"))
        return kept(make(*arguments, **named), basis)

    @functools.wraps(make)
    def recording_each(*arguments: Any, **named: Any) -> Iterator[dg.MaterializeResult]:
        basis = basis_now(named["platform"] if given else named.pop("platform"))
        for result in make(*arguments, **named):
            yield kept(result, basis)

    wrapper = recording_each if inspect.isgeneratorfunction(make) else recording
    if not given:
        wrapper.__signature__ = asks.replace(parameters=[*asks.parameters.values(), platform])  # type: ignore[attr-defined]
    return wrapper


def basis_of(parts: Iterable[Part], parents: Iterable[str], key: str, present: Present, instance: dg.DagsterInstance) -> Basis:
    """What a result that is made now rests on: the parts, and what its parents were recorded to rest on.

    Where two of them disagree, the value says so: it equals no present value, and the next night makes it again.
    """
    basis = {part.name: part.value(present, key) or NONE for part in parts}
    for parent in parents:
        for name, value in (recorded_basis(instance, parent, [key]).get(key) or {}).items():
            known = basis.setdefault(name, value)
            if known != value and value not in known.split(" and "):
                basis[name] = f"{known} and {value}"
    return basis


def basis_fingerprint(basis: Basis) -> str:
    """All that a result rests on as one hash."""
    return hashlib.sha256(json.dumps(basis, sort_keys=True).encode()).hexdigest()[:16]
