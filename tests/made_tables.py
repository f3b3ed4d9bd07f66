"""Tables made for a test: rows that a schema allows, of which a test says only what it is about."""

import polars as pl

from plate_assets.storage.schema import TableSchema


def rows_of(schema: TableSchema, n: int, **columns) -> pl.DataFrame:
    """n rows with plain values in every column, but for those that are given."""
    plain = {pl.String: "x", pl.Boolean: False, pl.Float64: 0.5, pl.Float32: 0.5}
    values = {c.name: [plain.get(c.dtype, 1)] * n for c in schema.columns} | columns
    wells = [f"{'ABCDEFGH'[i // 12]}{i % 12 + 1:02d}" for i in range(n)]
    for name in ("Metadata_Well", "Metadata_Quadruplet"):
        if name in values and name not in columns:
            values[name] = wells
    return schema.conform(pl.DataFrame(values, schema_overrides={c.name: c.dtype for c in schema.columns}))
