"""IO managers: how an asset's value gets into storage and back, with the provenance written beside it.

Belongs here: the seam between Dagster and `storage`. Not here: formats and atomic writes (`storage`), schemas (beside the
science that fills them).
"""

from collections import defaultdict
from collections.abc import Callable

import dagster as dg
import polars as pl
from upath import UPath

from plate_assets import __version__
from plate_assets.orchestration.chains import SCHEMAS
from plate_assets.orchestration.resources import Storage
from plate_assets.plates.acquisition_table import KnownAcquisition, acquisition_from_table, acquisition_to_table
from plate_assets.storage.arrays import Stack, read_stack, write_stack
from plate_assets.storage.fingerprint import fingerprint
from plate_assets.storage.models import ModelBundle, bundle_version, read_bundle, write_bundle
from plate_assets.storage.tables import Provenance, read_table, write_table


class Lineage:
    """What each asset has loaded in this process, by fingerprint, until it writes its own value."""

    def __init__(self) -> None:
        self._loaded: dict[str, dict[str, str]] = defaultdict(dict)

    def loaded(self, consumer: str, name: str, fingerprint: str) -> None:
        self._loaded[consumer][name] = fingerprint

    def provenance(self, context: dg.OutputContext, model_version: str | None) -> Provenance:
        return Provenance(
            inputs=self._loaded.pop(context.op_def.name, {}),
            code_version=__version__,
            model_version=model_version,
            run_id=context.run_id,
        )


def _name(context: dg.InputContext | dg.OutputContext) -> str:
    return context.asset_key.path[-1]


def _partition(context: dg.InputContext | dg.OutputContext) -> str | None:
    return context.asset_partition_key if context.has_asset_partitions else None


def _model_version(table: pl.DataFrame) -> str | None:
    return table["model_version"][0] if table.height and "model_version" in table.columns else None


def _place_label(name: str, partition: str | None) -> str:
    return f"{name}/{partition}" if partition else name


class TableIOManager(dg.IOManager):
    """Tables as Parquet, checked against their schema on write and on read."""

    def __init__(self, storage: Storage, lineage: Lineage):
        self.storage, self.lineage = storage, lineage

    def handle_output(self, context: dg.OutputContext, obj: pl.DataFrame) -> None:
        name = _name(context)
        path = self.storage.table(name, _partition(context))
        write_table(obj, path, SCHEMAS[name], self.lineage.provenance(context, _model_version(obj)))
        context.add_output_metadata({"rows": obj.height, "file": dg.MetadataValue.path(str(path))})

    def load_input(self, context: dg.InputContext) -> pl.DataFrame:
        name = _name(context)
        if not context.has_asset_partitions:
            return self._read(context, name, None)
        keys = sorted(context.asset_partition_keys)
        if len(keys) == 1:
            return self._read(context, name, keys[0])
        present = [key for key in keys if self.storage.table(name, key).exists()]
        return pl.concat([SCHEMAS[name].empty(), *(self._read(context, name, key) for key in present)])

    def _read(self, context: dg.InputContext, name: str, partition: str | None) -> pl.DataFrame:
        path = self.storage.table(name, partition)
        table = read_table(path, SCHEMAS[name])
        self.lineage.loaded(context.op_def.name, _place_label(name, partition), fingerprint(table))
        return table


class AcquisitionIOManager(TableIOManager):
    """An acquisition as its table; an asset takes and gives the acquisition itself."""

    def handle_output(self, context: dg.OutputContext, obj: KnownAcquisition) -> None:  # type: ignore[override]
        super().handle_output(context, acquisition_to_table(obj.acquisition, obj.fingerprint))

    def load_input(self, context: dg.InputContext) -> KnownAcquisition:  # type: ignore[override]
        return acquisition_from_table(super().load_input(context))


class _FolderIOManager(dg.IOManager):
    """What stacks and models share: a folder for each partition, with a pointer or manifest in it."""

    def __init__(self, storage: Storage, lineage: Lineage):
        self.storage, self.lineage = storage, lineage

    def _remember(self, context: dg.InputContext, fingerprint: Callable[[UPath], str], path: UPath) -> None:
        self.lineage.loaded(context.op_def.name, _place_label(_name(context), _partition(context)), fingerprint(path))


class StackIOManager(_FolderIOManager):
    """Tables with pixels beside them; an asset gives blocks one after the other, so that a plate never lies in memory."""

    def handle_output(self, context: dg.OutputContext, obj) -> None:
        name = _name(context)
        path = self.storage.stack(name, _partition(context))
        rows = write_stack(path, obj, SCHEMAS[name], self.lineage.provenance(context, None))
        context.add_output_metadata({"rows": rows, "folder": dg.MetadataValue.path(str(path))})

    def load_input(self, context: dg.InputContext) -> Stack:
        path = self.storage.stack(_name(context), _partition(context))
        stack = read_stack(path, SCHEMAS[_name(context)])
        self._remember(context, lambda _: fingerprint(stack.table), path)
        return stack


class ModelIOManager(_FolderIOManager):
    """Model bundles: safetensors, an architecture and a manifest. Nothing in them can run code."""

    def handle_output(self, context: dg.OutputContext, obj: ModelBundle) -> None:
        path = self.storage.model(_name(context), _partition(context))
        write_bundle(obj, path)
        context.add_output_metadata({"bundle": bundle_version(path), "folder": dg.MetadataValue.path(str(path))})

    def load_input(self, context: dg.InputContext) -> ModelBundle:
        path = self.storage.model(_name(context), _partition(context))
        bundle = read_bundle(path)
        self._remember(context, bundle_version, path)
        return bundle
