"""The schema of a table: its columns with type, meaning and unit, and its key.

Belongs here: how a schema is declared, checked and documented. Not here: any one table's schema (`plates.tables`,
`precipitation.tables`), how a table is written (`storage.tables`). Light: polars only, so that the definitions can import it.
"""

from dataclasses import dataclass

import polars as pl


class SchemaError(ValueError):
    """A table that is not what its schema says: the message names the table, the column and the remedy."""


@dataclass(frozen=True)
class Column:
    """One column: `meaning` is what a person reads in the documentation, with the unit in it where there is one."""

    name: str
    dtype: pl.DataType | type[pl.DataType]
    meaning: str
    nullable: bool = False


@dataclass(frozen=True)
class TableSchema:
    """What a table holds. `key` names the columns that identify a row; `open_ended` allows further columns behind them."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    open_ended: bool = False

    def check(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return the table with its columns in the schema's order; raise SchemaError where it differs from the schema."""
        names = [column.name for column in self.columns]
        missing = [name for name in names if name not in table.columns]
        extra = [name for name in table.columns if name not in names]
        if missing or (extra and not self.open_ended):
            raise SchemaError(
                f"table {self.name!r} lacks the columns {missing} and has the unknown columns {extra}: "
                "materialise the asset that writes it again with this version of plate_assets"
            )
        for column in self.columns:
            found = table.schema[column.name]
            if found != column.dtype:
                raise SchemaError(f"table {self.name!r}: column {column.name!r} is {found}, and {column.dtype} is needed")
            if not column.nullable and (nulls := table[column.name].null_count()):
                raise SchemaError(f"table {self.name!r}: column {column.name!r} has {nulls} empty values, and none is allowed")
        if self.key and table.height and (doubled := table.filter(table.select(self.key).is_duplicated())).height:
            first = doubled.select(self.key).row(0, named=True)
            raise SchemaError(f"table {self.name!r}: {doubled.height} rows share a key, the first is {first}")
        return table.select(names + extra)

    def empty(self) -> pl.DataFrame:
        """A table of this schema without rows."""
        return pl.DataFrame(schema={column.name: column.dtype for column in self.columns})

    def conform(self, table: pl.DataFrame) -> pl.DataFrame:
        """Cast the columns to the schema's types, add the nullable ones that are absent, and check."""
        absent = [c for c in self.columns if c.nullable and c.name not in table.columns]
        table = table.with_columns(pl.lit(None, dtype=c.dtype).alias(c.name) for c in absent)
        return self.check(table.with_columns(pl.col(c.name).cast(c.dtype) for c in self.columns if c.name in table.columns))

    def markdown(self) -> str:
        """The table's documentation: one row for each column."""
        rows = [f"| `{c.name}` | {c.dtype} | {c.meaning}{' (may be empty)' if c.nullable else ''} |" for c in self.columns]
        return "\n".join([f"**{self.name}**: {self.meaning}", "", "| column | type | meaning |", "|---|---|---|", *rows])
