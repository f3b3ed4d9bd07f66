"""Tables on disk: Parquet with a checked schema, and where each came from.

Belongs here: writing, reading and exporting one table. Not here: what a table's columns are (`schema`, and each science's
`tables`), pixels beside a table (`arrays`).
"""

import io
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import polars as pl
from upath import UPath

from plate_assets.storage.files import write_bytes
from plate_assets.storage.schema import SchemaError, TableSchema

_NAME, _PROVENANCE = "plate_assets.table", "plate_assets.provenance"


class TableError(SchemaError):
    """A file that is no table of ours, or a damaged one: the message names the file and the remedy."""


@dataclass(frozen=True)
class Provenance:
    """What made a table: it is written into the file, and compared by whoever wants to know whether the file is stale."""

    inputs: dict[str, str] = field(default_factory=dict)  # name of each input -> its fingerprint
    code_version: str = ""
    model_version: str | None = None  # for example `models:/precipitation-detector/3`
    run_id: str | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Provenance":
        """Fields that a later version added are left out."""
        known = json.loads(text)
        return cls(**{name: known[name] for name in cls.__dataclass_fields__ if name in known})


def write_table(table: pl.DataFrame, path: str | Path | UPath, schema: TableSchema, provenance: Provenance) -> None:
    """Check the table and replace the file by it, whole or not at all.

    Raises SchemaError where the table is not what the schema says, StorageError where the disk is full.
    """
    write_bytes(path, table_bytes(_checked(table, schema, path), schema.name, provenance))


def table_bytes(table: pl.DataFrame, name: str, provenance: Provenance | None = None) -> bytes:
    """The table as a Parquet file, with its name and provenance in the file's metadata."""
    buffer = io.BytesIO()
    metadata = {_NAME: name} | ({_PROVENANCE: provenance.to_json()} if provenance else {})
    table.write_parquet(buffer, compression="zstd", metadata=metadata)
    return buffer.getvalue()


def read_table(path: str | Path | UPath, schema: TableSchema) -> pl.DataFrame:
    """The table, checked against the schema.

    Raises FileNotFoundError where there is none, TableError where the file is truncated, not ours, another table's, or an older
    version's: all name the file and say which asset to materialise.
    """
    path = UPath(path)
    remedy = f"materialise the asset `{schema.name}` again"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist: {remedy}") from None
    metadata, table = parse_table(content, f"{path}: {remedy}")
    if metadata.get(_NAME) != schema.name:
        found = f"the table {metadata[_NAME]!r}" if _NAME in metadata else "a Parquet file that plate_assets did not write"
        raise TableError(f"{path} is {found}, and the table {schema.name!r} is needed: {remedy}")
    return _checked(table, schema, path)


def parse_table(content: bytes, where: str) -> tuple[dict[str, str], pl.DataFrame]:
    """The file's metadata and its table; TableError, which ends with `where`, when the bytes are no whole Parquet file."""
    try:
        return pl.read_parquet_metadata(io.BytesIO(content)), pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise TableError(f"not a whole Parquet file ({len(content)} bytes: {error}), {where}") from error


def read_provenance(path: str | Path | UPath) -> Provenance:
    """What made the table; reads the end of the file only. Errors as `read_table`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = UPath(path)
    remedy = "materialise the asset that writes it again"
    try:
        with path.open("rb") as file:
            metadata = pq.read_metadata(file).metadata or {}  # type: ignore[arg-type]
        return Provenance.from_json(metadata[_PROVENANCE.encode()].decode())
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist: {remedy}") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise TableError(f"{path} is not a whole Parquet file ({error}): {remedy}") from error
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise TableError(f"{path} does not say what made it: {remedy}") from error


def export_csv(table: pl.DataFrame, path: str | Path | UPath) -> None:
    """Write the table as UTF-8 CSV with a header, atomically; a column of lists becomes a column of JSON texts."""
    nested = [name for name, dtype in table.schema.items() if dtype.is_nested()]
    texts = [pl.Series(name, [json.dumps(value) for value in table[name].to_list()], dtype=pl.String) for name in nested]
    write_bytes(path, table.with_columns(texts).write_csv(None).encode())


def _checked(table: pl.DataFrame, schema: TableSchema, path: str | Path | UPath) -> pl.DataFrame:
    try:
        return schema.check(table)
    except SchemaError as error:
        raise type(error)(f"{path}: {error}; if it is on disk already, materialise the asset `{schema.name}` again") from error
