"""What the storage tests share: a small schema, and the two kinds of place that storage writes to."""

import uuid

import polars as pl
import pytest
from upath import UPath

from plate_assets.storage.schema import Column, TableSchema

ROWS = TableSchema("rows", "One row for each number.", (Column("number", pl.Int64, "A number"),), key=("number",))


@pytest.fixture(params=["local", "object store"])
def place(request, tmp_path):
    """An empty folder: on the disk, or in a store of objects that knows no folders and no renames (fsspec's, in memory)."""
    return UPath(tmp_path) if request.param == "local" else UPath(f"memory://bucket-{uuid.uuid4().hex}/lab")


@pytest.fixture
def rows():
    return ROWS
