"""Pixels beside a table: a stack, row for row, written as it comes and read as needed.

Belongs here: how a table and its array lie on disk together. Not here: what the rows are (each science's `tables`).

On disk a stack is a versioned folder (`versions`): `table.parquet` and `pixels.zarr` (Zarr 3). A chunk is one block as the
writer gave it, mostly one well's tiles, since that is what is read at once; sixteen or so chunks share one file (a Zarr shard),
since 384 small files for each of thousands of plates are slow to flush, to list and to copy.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from upath import UPath

from plate_assets.storage.files import local_path
from plate_assets.storage.schema import TableSchema
from plate_assets.storage.tables import Provenance, read_provenance, read_table, write_table
from plate_assets.storage.versions import current_version, new_version

TABLE, PIXELS = "table.parquet", "pixels.zarr"
CHUNK_BYTES, SHARD_BYTES = 4 << 20, 12 << 20  # upper limits; a shard is what the writer holds in memory
IN_MEMORY_BYTES = 2_000_000_000  # pixels up to this size are held whole where training draws from them again and again
MOST_CHUNKS = 1024  # of a shard: its index is read and written whole, and tiny rows would make millions


class StackError(ValueError):
    """Blocks that do not fit together, or a stack on disk that is damaged: the message says where, and the remedy."""


class LazyArray:
    """An array on disk, read when it is sliced, as numpy is: `a[3]`, `a[10:20]`, `a[[1, 5]]`, `a[mask]`, `np.asarray(a)`."""

    def __init__(self, array: Any, marker: UPath) -> None:
        self._array, self._marker = array, marker
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype = np.dtype(array.dtype)
        self.ndim = len(self.shape)
        self._shard_rows = int((array.shards or array.chunks)[0])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, selection: Any) -> np.ndarray:
        first = selection[0] if isinstance(selection, tuple) and selection else selection
        if isinstance(first, (list, np.ndarray, pl.Series)):  # rows by number or by a mask
            rest = selection[1:] if isinstance(selection, tuple) else ()
            pixels = self._rows(np.asarray(first))[(slice(None), *rest)]
        else:
            pixels = np.asarray(self._array[selection])
        # Zarr reads a chunk that was removed as zeros, silently; the table goes first, so where it is, all was there.
        if not self._marker.exists():
            raise StackError(f"{self._marker.parent} was replaced twice while it was being read: read the stack again")
        return pixels

    def _rows(self, rows: np.ndarray) -> np.ndarray:
        """Rows by number or by a mask, a shard at a time: Zarr's own way makes three indices of each single pixel."""
        rows = np.flatnonzero(rows) if rows.dtype == bool and len(rows) == len(self) else rows.astype(np.int64)
        if len(rows) == 0:
            return np.empty((0, *self.shape[1:]), self.dtype)
        rows = np.where(rows < 0, rows + len(self), rows)
        if rows.min() < 0 or rows.max() >= len(self):
            raise IndexError(f"row {rows.max()} of a stack of {len(self)} rows")
        pixels, shard = np.empty((len(rows), *self.shape[1:]), self.dtype), rows // self._shard_rows
        for number in np.unique(shard):
            own = shard == number
            start, end = rows[own].min(), rows[own].max() + 1
            pixels[own] = np.asarray(self._array[start:end])[rows[own] - start]
        return pixels

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        pixels = self[:]
        return pixels if dtype is None else pixels.astype(dtype, copy=False)


def in_memory(array: "np.ndarray | LazyArray", most_bytes: int = IN_MEMORY_BYTES) -> "np.ndarray | LazyArray":
    """The array read whole where it has at most so many bytes, else as it is."""
    return np.asarray(array) if int(np.prod(array.shape)) * array.dtype.itemsize <= most_bytes else array


@dataclass(frozen=True)
class Stack:
    """The rows of a table and their pixels, in equal order. `array` is (n, …): numpy, or read lazily from disk."""

    table: pl.DataFrame
    array: "np.ndarray | LazyArray"


def write_stack(
    path: str | Path | UPath, blocks: Iterable[tuple[pl.DataFrame, np.ndarray]], schema: TableSchema, provenance: Provenance
) -> int:
    """Write blocks of (table of k rows, pixels (k, …)) as they come and return the number of rows; k may differ and be 0.

    Memory holds one shard (about 12 MB, or one block where that is larger) and its compressed copy, whatever the number of
    blocks. A reader sees the stack before until all is on disk. Raises StackError where a block's rows, type or shape do not
    fit, SchemaError where a table does not, StorageError where the disk is full; the stack before is still there then.
    """
    tables: list[pl.DataFrame] = []
    with new_version(path) as version:
        writer = _PixelWriter(version / PIXELS)
        for number, (table, pixels) in enumerate(blocks):
            pixels = np.asarray(pixels)
            if table.height != len(pixels):
                raise StackError(f"{path}, block {number}: the table has {table.height} rows and the pixels {len(pixels)}")
            writer.append(pixels, f"{path}, block {number}")
            tables.append(table)
        writer.finish()
        table = pl.concat(tables) if tables else schema.empty()
        write_table(table, version / TABLE, schema, provenance)
    return table.height


def read_stack(path: str | Path | UPath, schema: TableSchema) -> Stack:
    """The current stack: its table, and its pixels read when sliced.

    Raises FileNotFoundError where none was written whole, StackError where files of it are missing, TableError as `read_table`.
    """
    import zarr

    for attempt in (1, 2, 3):
        version = current_version(path)
        try:
            table = read_table(version / TABLE, schema)
            array = zarr.open_array(_store(version / PIXELS), mode="r")
            break
        except FileNotFoundError as error:  # replaced twice since we asked for its name: ask again
            if attempt == 3 or current_version(path) == version:
                raise StackError(f"{version} lacks a file ({error}): materialise the asset `{schema.name}` again") from error
    if array.shape[0] != table.height or _files_present(version / PIXELS) != array.attrs.get("files"):
        raise StackError(f"{version / PIXELS} has lost pixels: materialise the asset `{schema.name}` again")
    return Stack(table, LazyArray(array, version / TABLE))


def read_stack_provenance(path: str | Path | UPath) -> Provenance:
    """What made the current stack."""
    return read_provenance(current_version(path) / TABLE)


class _PixelWriter:
    """Gathers blocks into whole shards and appends these to a Zarr array, whose length nobody knows before the end."""

    def __init__(self, path: UPath) -> None:
        self.path, self.waiting, self.n_waiting = path, [], 0
        self.array: Any = None  # made with the first block, whose type and shape it takes

    def append(self, pixels: np.ndarray, where: str) -> None:
        if self.array is None:
            if pixels.dtype.kind not in "buif" or pixels.ndim < 2 or 0 in pixels.shape[1:]:
                raise StackError(
                    f"{where}: pixels of type {pixels.dtype} and shape {pixels.shape}; numbers of shape (k, …) are needed"
                )
            if len(pixels) == 0:
                self.empty = pixels
                return
            self.array = self._create(pixels)
        array = self.array
        if pixels.dtype != array.dtype or pixels.shape[1:] != array.shape[1:]:
            raise StackError(
                f"{where} has {pixels.dtype} pixels of shape {pixels.shape[1:]}, and the blocks before have {array.dtype} of "
                f"{array.shape[1:]}: a stack holds one type and shape; leave this block's images out or convert them"
            )
        self.waiting.append(pixels)
        self.n_waiting += len(pixels)
        while self.n_waiting >= self.shard_rows:
            self._flush(self.shard_rows)

    def finish(self) -> None:
        if self.array is None:
            self.array = self._create(getattr(self, "empty", np.empty((0, 1, 1), np.uint8)))
        if self.n_waiting:
            self._flush(self.n_waiting)
        self.array.update_attributes({"files": _files_present(self.path)})

    def _create(self, pixels: np.ndarray) -> Any:
        import zarr
        from zarr.codecs import BloscCodec

        row_bytes = max(1, pixels[:1].nbytes or pixels.dtype.itemsize)
        chunk_rows = max(1, min(len(pixels), CHUNK_BYTES // row_bytes))
        self.shard_rows = chunk_rows * min(max(1, SHARD_BYTES // (chunk_rows * row_bytes)), MOST_CHUNKS)
        return zarr.create_array(
            _store(self.path),
            shape=(0, *pixels.shape[1:]),
            dtype=pixels.dtype,
            chunks=(chunk_rows, *pixels.shape[1:]),
            shards=(self.shard_rows, *pixels.shape[1:]),
            compressors=BloscCodec(cname="zstd", clevel=1, shuffle="noshuffle" if pixels.dtype.itemsize == 1 else "shuffle"),
            config={"write_empty_chunks": True},  # else a black well has no chunk, and a lost chunk looks like a black well
        )

    def _flush(self, rows: int) -> None:
        gathered = self.waiting[0] if len(self.waiting) == 1 else np.concatenate(self.waiting)
        start = self.array.shape[0]
        self.array.resize((start + rows, *self.array.shape[1:]))
        self.array[start : start + rows] = gathered[:rows]
        rest = gathered[rows:]
        self.waiting, self.n_waiting = ([rest.copy()] if len(rest) else []), len(rest)


def _store(path: UPath) -> Any:
    if local := local_path(path):
        return str(local)
    from zarr.storage import FsspecStore

    return FsspecStore.from_url(str(path), storage_options=dict(path.storage_options))


def _files_present(pixels: UPath) -> int:
    if local := local_path(pixels / "c"):
        return sum(entry.is_file() for entry in local.rglob("*"))
    chunks = pixels / "c"
    return len(chunks.fs.find(chunks.path)) if chunks.exists() else 0
