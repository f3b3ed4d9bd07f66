"""Tables come back as they were written, say what made them, and a wrong file says what to do."""

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plate_assets.storage.fingerprint import fingerprint
from plate_assets.storage.schema import Column, SchemaError, TableSchema
from plate_assets.storage.tables import (
    Provenance,
    TableError,
    export_csv,
    read_provenance,
    read_table,
    write_table,
)

MADE_BY = Provenance({"patches": "abc"}, "0.1", "models:/precipitation-detector/3", "run-1")


def test_a_table_comes_back_with_what_made_it(place, rows):
    table = pl.DataFrame({"number": [3, 1, 2]})
    write_table(table, place / "rows.parquet", rows, MADE_BY)
    assert read_table(place / "rows.parquet", rows).equals(table)
    assert read_provenance(place / "rows.parquet") == MADE_BY


def test_a_table_that_is_not_what_its_schema_says_is_not_written(tmp_path, rows):
    with pytest.raises(SchemaError, match="rows.parquet.*share a key"):
        write_table(pl.DataFrame({"number": [1, 1]}), tmp_path / "rows.parquet", rows, MADE_BY)
    assert not (tmp_path / "rows.parquet").exists()


@pytest.mark.parametrize("kept", [0, 4, 0.5, 0.99])
def test_a_truncated_table_names_the_file_and_the_asset(tmp_path, rows, kept):
    path = tmp_path / "rows.parquet"
    write_table(pl.DataFrame({"number": range(1000)}), path, rows, MADE_BY)
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(TableError, match=r"rows\.parquet.*materialise the asset `rows`"):
        read_table(path, rows)
    with pytest.raises(TableError, match=r"rows\.parquet.*materialise"):
        read_provenance(path)


def test_a_missing_table_names_the_asset(tmp_path, rows):
    with pytest.raises(FileNotFoundError, match="materialise the asset `rows`"):
        read_table(tmp_path / "rows.parquet", rows)


def test_a_foreign_file_and_another_tables_file_are_refused(tmp_path, rows):
    pl.DataFrame({"number": [1]}).write_parquet(tmp_path / "foreign.parquet")
    with pytest.raises(TableError, match="did not write"):
        read_table(tmp_path / "foreign.parquet", rows)
    with pytest.raises(TableError, match="does not say what made it"):
        read_provenance(tmp_path / "foreign.parquet")
    write_table(pl.DataFrame({"number": [1]}), tmp_path / "other.parquet", TableSchema("other", "", rows.columns), MADE_BY)
    with pytest.raises(TableError, match="'other', and the table 'rows' is needed"):
        read_table(tmp_path / "other.parquet", rows)


def test_a_table_of_an_older_version_names_the_file_and_the_remedy(tmp_path, rows):
    write_table(pl.DataFrame({"number": [1]}), tmp_path / "rows.parquet", rows, MADE_BY)
    newer = TableSchema("rows", "", (*rows.columns, Column("more", pl.Float64, "New")))
    with pytest.raises(SchemaError, match=r"rows\.parquet.*lacks the columns \['more'\].*materialise the asset `rows`"):
        read_table(tmp_path / "rows.parquet", newer)


def test_a_folder_whose_name_looks_like_a_pattern_is_read_as_it_is(tmp_path, rows):
    path = tmp_path / "[plate]*" / "rows.parquet"
    write_table(pl.DataFrame({"number": [1]}), path, rows, MADE_BY)
    assert read_table(path, rows).height == 1


def test_csv_keeps_bar_codes_as_they_are_and_lists_as_json(tmp_path):
    export_csv(pl.DataFrame({"Metadata_Plate": ["0042", 'a,"b'], "v": [[1, 2], None]}), tmp_path / "t.csv")
    back = pl.read_csv(tmp_path / "t.csv", infer_schema=False)
    assert back.rows() == [("0042", "[1, 2]"), ('a,"b', "null")]


TABLES = st.lists(st.tuples(st.integers(-5, 5), st.floats(-2, 2), st.text(max_size=3)), min_size=1, max_size=6)


@given(TABLES, st.integers(0, 5))
def test_a_fingerprint_depends_on_the_values_alone(values, cut):
    whole = pl.DataFrame(values, schema=["a", "b", "c"], orient="row")
    pieces = pl.concat([whole[:cut], whole[cut:]], rechunk=False)
    assert fingerprint(pieces) == fingerprint(whole)


@given(TABLES)
def test_a_changed_value_changes_the_fingerprint(values):
    table = pl.DataFrame(values, schema=["a", "b", "c"], orient="row")
    assert fingerprint(table.with_columns(pl.col("b") + 0.5)) != fingerprint(table)
    assert fingerprint(table.rename({"a": "z"})) != fingerprint(table)
    assert math.isfinite(table["b"][0])
