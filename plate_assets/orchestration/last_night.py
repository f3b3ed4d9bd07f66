"""The night that is over, as a science asks about it: what was made in it, and the tables that it left.

Belongs here: what every science may ask. Not here: what a science says (its `section`), runs and arrivals (`night_review`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import dagster as dg
import polars as pl

from plate_assets.orchestration.instance_state import made_since
from plate_assets.orchestration.platform import Platform
from plate_assets.orchestration.resources import Storage
from plate_assets.settings import Settings
from plate_assets.storage.schema import TableSchema
from plate_assets.storage.tables import read_table


@dataclass(frozen=True)
class Night:
    """The time between two moments, as a science asks about it."""

    instance: dg.DagsterInstance
    platform: Platform
    since: datetime
    until: datetime

    @property
    def settings(self) -> Settings:
        return self.platform.settings

    @property
    def storage(self) -> Storage:
        return self.platform.storage

    def made(self, asset: str) -> list[str]:
        """Partitions of an asset that were made in the night and are stored as tables or reports, sorted."""
        return [key for key in made_since(self.instance, asset, self.since) if self._stored(asset, key)]

    def tables(self, schema: TableSchema, keys: Sequence[str]) -> pl.DataFrame:
        """The tables of these partitions, one below the other."""
        return pl.concat([schema.empty(), *(read_table(self.storage.table(schema.name, key), schema) for key in keys)])

    def table(self, schema: TableSchema) -> pl.DataFrame:
        """The table of an asset that has no partitions; empty where it was not made yet."""
        path = self.storage.table(schema.name)
        return read_table(path, schema) if path.exists() else schema.empty()

    def report(self, asset: str, key: str) -> str:
        """A report's address as seen from the morning page, which lies in a folder beside it; empty where there is none."""
        made = (self.storage.report(asset, key) / "report.html").exists()
        return f"../{asset}/{key}/report.html" if made else ""

    def _stored(self, asset: str, key: str) -> bool:
        return self.storage.table(asset, key).exists() or self.storage.report(asset, key).exists()
