"""Tables as people and programs write them, CSV, TSV or xlsx, read as cells of text.

Belongs here: separator and encoding, which are found out, names of columns whatever their case, numbers as spreadsheets write
them. Not here: what columns mean (`platemap`, `readers.sample_sheet`, `dry_mass.track_tables`), tables of ours (`storage`).
"""

import io
from collections.abc import Sequence
from typing import TypeVar

import polars as pl
from upath import UPath

Texts = TypeVar("Texts", pl.Series, pl.Expr)


class TextTableError(ValueError):
    """A file that is no table; the message names it and the remedy."""


def file_cells(path: UPath) -> pl.DataFrame:
    """Every cell of a file as text, stripped, empty as null: `00123` is a barcode and no number. Raises TextTableError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TextTableError(f"{path} cannot be read ({error}): look whether it is there") from error
    return _stripped(_xlsx_cells(path, content)) if content[:2] == b"PK" else text_cells(str(path), content)


def text_cells(name: str, content: bytes) -> pl.DataFrame:
    """The cells of a CSV or TSV as `file_cells` gives them: separator, byte order mark and encoding are found out.

    name: of the file, for messages. Raises TextTableError.
    """
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")  # what older spreadsheets write
    if not text.strip():
        raise TextTableError(f"{name} is empty: a table needs a line of names, and its rows below")
    header = text.lstrip().splitlines()[0]
    separator = max("\t;,|", key=header.count)
    try:
        table = pl.read_csv(io.BytesIO(text.encode()), separator=separator, infer_schema=False, truncate_ragged_lines=False)
    except pl.exceptions.PolarsError as error:
        first = str(error).splitlines()[0]
        raise TextTableError(
            f"{name} is no table separated by {separator!r} ({first}): every line needs as many cells as the first"
        ) from error
    return _stripped(table)


def plain_name(text: str) -> str:
    """A name without case, its white space as `_`."""
    return text.strip().lower().replace(" ", "_")


def plain_names(columns: Sequence[str]) -> dict[str, str]:
    """The columns by their plain names; where two have one name, the first."""
    return {plain_name(column): column for column in reversed(columns)}


def without_point_zero(texts: Texts) -> Texts:
    """`3.0`, as spreadsheets and pandas write a 3 beside empty cells, as `3`; all else as it is."""
    return texts.str.replace(r"^(-?\d+)\.0+$", "${1}")


def _stripped(table: pl.DataFrame) -> pl.DataFrame:
    stripped = pl.all().str.strip_chars().str.strip_chars('"').str.strip_chars()
    return table.with_columns(stripped).with_columns(pl.when(pl.all() != "").then(pl.all()).name.keep())


def _xlsx_cells(path: UPath, content: bytes) -> pl.DataFrame:
    try:
        return pl.read_excel(io.BytesIO(content), engine="calamine", infer_schema_length=0).cast(pl.String)
    except Exception as error:  # fastexcel raises its own kinds
        raise TextTableError(f"{path} cannot be read as xlsx ({error}): save it again, or as CSV") from error
