"""Decisions of people, kept for ever: rows are added, never changed.

Belongs here: how several people add rows at the same time and none is lost. Not here: what is decided (each science's
`tables`), which decision counts (the science that reads them).

A ledger is a folder of numbered Parquet files, one for each addition. The next number is taken by making a file that must not
exist yet (`files.create_bytes`): of two writers one gets the number, the other takes the next. That is the same on a local disk
and an object store, needs no lock, and a killed writer has added all of its rows or none.
"""

import re
from pathlib import Path

import polars as pl
from upath import UPath

from plate_assets.storage.files import create_bytes
from plate_assets.storage.schema import TableSchema
from plate_assets.storage.tables import Provenance, read_table, table_bytes

_NAME = re.compile(r"(\d{8})\.parquet")


def append_rows(path: str | Path | UPath, rows: pl.DataFrame, schema: TableSchema) -> int:
    """Add the rows behind all others and return the number of the addition, from 1; no rows add nothing and give 0.

    Raises SchemaError where the rows are not what the schema says, StorageError where the disk is full.
    """
    path = UPath(path)
    rows = schema.check(rows)
    if not rows.height:
        return 0
    content = table_bytes(rows, schema.name, Provenance())
    number = max(_numbers(path), default=0) + 1
    while True:
        try:
            create_bytes(path / f"{number:08d}.parquet", content)
            return number
        except FileExistsError:
            number += 1


def read_rows(path: str | Path | UPath, schema: TableSchema) -> pl.DataFrame:
    """All rows in the order they were added; an empty table where nothing was. Errors as `tables.read_table`."""
    path = UPath(path)
    parts = [read_table(path / f"{number:08d}.parquet", schema) for number in sorted(_numbers(path))]
    return schema.check(pl.concat(parts)) if parts else schema.empty()


def _numbers(path: UPath) -> list[int]:
    if not path.exists():
        return []
    return [int(match[1]) for entry in path.iterdir() if (match := _NAME.fullmatch(entry.name))]
