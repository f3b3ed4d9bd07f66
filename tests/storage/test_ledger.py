"""Decisions of several people at the same time: none is lost, none is changed."""

import subprocess
import sys

import polars as pl
import pytest

from plate_assets.storage.ledger import append_rows, read_rows
from plate_assets.storage.schema import SchemaError

ADDING = """
import sys
import polars as pl
from plate_assets.storage.ledger import append_rows
from plate_assets.storage.schema import Column, TableSchema
rows = TableSchema("rows", "One row for each number.", (Column("number", pl.Int64, "A number"),), key=("number",))
first = int(sys.argv[2])
for number in range(first, first + 10):
    append_rows(sys.argv[1], pl.DataFrame({"number": [number]}), rows)
"""


def test_rows_come_back_in_the_order_they_were_added(place, rows):
    assert read_rows(place, rows).is_empty()
    assert append_rows(place, pl.DataFrame({"number": [3, 1]}), rows) == 1
    assert append_rows(place, pl.DataFrame({"number": [2]}), rows) == 2
    assert read_rows(place, rows)["number"].to_list() == [3, 1, 2]


def test_an_addition_of_nothing_is_none(place, rows):
    assert append_rows(place, rows.empty(), rows) == 0
    assert append_rows(place, pl.DataFrame({"number": [1]}), rows) == 1


def test_rows_of_another_schema_are_refused_and_nothing_is_added(place, rows):
    with pytest.raises(SchemaError, match="number"):
        append_rows(place, pl.DataFrame({"other": [1]}), rows)
    assert read_rows(place, rows).is_empty()


def test_processes_that_add_at_the_same_time_lose_no_row(tmp_path, rows):
    writers = [subprocess.Popen([sys.executable, "-c", ADDING, tmp_path, str(10 * i)]) for i in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    assert sorted(read_rows(tmp_path, rows)["number"]) == list(range(40))
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{number:08d}.parquet" for number in range(1, 41)]
