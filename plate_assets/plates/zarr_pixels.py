"""Pixels of a Zarr array: what its metadata document says, and one 2-D image decoded out of it.

Belongs here: one array of Zarr 2 or 3, on a disk or an object store, and what its foreign document may ask for. Not here: which
array shows which well (`readers.ome_zarr`), limits of size and errors of files (`image_files`), writing (`ome_zarr_plate`).

An image is addressed by the array's document (`A/1/0/0/.zarray`, `A/1/0/0/zarr.json`) and a page: the index over all axes
before the last two, flat in the order of the axes, the last of them fastest: with the axes t, c, z, y, x, image (t, c, z) is
page `(t * n_c + c) * n_z + z`. Where our own export says that a channel is the red of a colour image, its page is (h, w, 3).
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from upath import UPath

from plate_assets.plates.image_files import MAX_BYTES, AboutFile, ImageError
from plate_assets.plates.listing import local_path

ARRAY_DOCUMENTS = (".zarray", "zarr.json")
MAX_DOCUMENT_BYTES = 16 * 2**20
OWN = "plate_assets"  # the attribute under which our export keeps what OME-Zarr has no word for

_MAX_PAGES = 1_000_000
_MAX_CHUNKS = 65_536  # of one image, or of one shard: tiny chunks would take for ever
_AT_ONCE = 10  # chunks that zarr decodes side by side
# Codecs are named by the document, and one of numcodecs (`pickle`) runs code: nothing but these is let through.
_CODECS = {
    "blosc", "zstd", "gzip", "zlib", "lz4", "bz2", "lzma", "shuffle", "delta", "bytes", "endian", "transpose", "crc32c",
    "sharding_indexed",
}  # fmt: skip
_DTYPE = re.compile(r"[<>|]?(u1|u2)")
_WORDS = {"u1": "uint8", "u2": "uint16"}


class ZarrDocumentError(ValueError):
    """A metadata document that says something that cannot be: the message names the key and the remedy, not the file."""


@dataclass(frozen=True)
class ZarrArray:
    """What the document of an array says."""

    shape: tuple[int, ...]
    dtype: str  # `uint8` or `uint16`, else as the document names it
    per_file: tuple[int, ...]  # shape of what one file holds: a chunk, or a shard of several
    chunk: tuple[int, ...]  # shape of what is decoded at once
    key: tuple[str, str]  # how a file is called: what goes before its numbers, and what between them
    codecs: frozenset[str]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def leading(self) -> tuple[int, ...]:
        """Lengths of the axes before y and x."""
        return self.shape[:-2]

    @property
    def pages(self) -> int:
        return math.prod(self.leading)

    @property
    def files_across(self) -> tuple[int, int]:
        """How many files lie below and beside each other in one image."""
        rows, cols = (-(-size // step) for size, step in zip(self.shape[-2:], self.per_file[-2:], strict=True))
        return rows, cols

    @property
    def colours(self) -> frozenset[int]:
        """The channels that are the red of a colour image, green and blue behind them: our export's c, z, y, x only."""
        own = self.attributes.get(OWN)
        given = own.get("rgb_channels") if isinstance(own, dict) else None
        if not isinstance(given, list) or len(self.shape) != 4:
            return frozenset()
        return frozenset(c for c in given if isinstance(c, int) and 0 <= c <= self.shape[0] - 3)

    def files_of(self, page: int, most: int = _MAX_CHUNKS) -> Iterator[str]:
        """Names of the files that hold a page, relative to the array, row by row; `most` of them at most."""
        before, between = self.key
        lead = [int(i) // step for i, step in zip(self.place(page), self.per_file, strict=False)]
        rows, cols = self.files_across
        for number in range(min(rows * cols, most)):
            yield before + between.join(str(i) for i in (*lead, *divmod(number, cols)))

    def place(self, page: int) -> tuple[int, ...]:
        """Index of a page on each axis before y and x."""
        return tuple(int(i) for i in np.unravel_index(page, self.leading)) if self.leading else ()


def json_object(content: bytes) -> dict[str, Any]:
    """The object of a JSON document. Raises ZarrDocumentError for anything else, too large, too deep or no Unicode."""
    if len(content) > MAX_DOCUMENT_BYTES:
        raise ZarrDocumentError(
            f"the document has more than {MAX_DOCUMENT_BYTES:,} bytes, which no metadata needs: write it again"
        )
    try:
        found = json.loads(content)
        if b"\\u" in content:
            json.dumps(found, ensure_ascii=False).encode()  # half a character, written as an escape, fits into no table
    except (ValueError, RecursionError) as error:
        said = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise ZarrDocumentError(f"the document is no whole JSON ({said}): it is still being copied, or was cut off") from error
    if not isinstance(found, dict):
        raise ZarrDocumentError("the document holds no JSON object: write the store again")
    return found


def array_of(document: Mapping[str, Any]) -> ZarrArray:
    """What an array's document says, format 2 or 3. Raises ZarrDocumentError where it makes no sense."""
    zarr_format = document.get("zarr_format")
    if zarr_format == 3 and document.get("node_type") == "array":
        return _format_3(document)
    if zarr_format == 2 and "shape" in document:
        return _format_2(document)
    raise ZarrDocumentError(f"`zarr_format` {zarr_format!r} with these keys is no array of Zarr 2 or 3: write the array again")


def _format_2(document: Mapping[str, Any]) -> ZarrArray:
    shape = _lengths(document, "shape")
    chunk = _lengths(document, "chunks", len(shape))
    between = document.get("dimension_separator", ".")
    if between not in (".", "/"):
        raise ZarrDocumentError(f"`dimension_separator` is {between!r}, and `.` or `/` is needed: write the array again")
    filters = document.get("filters")
    named = [document.get("compressor"), *(filters if isinstance(filters, list) else [filters])]
    codecs = frozenset(_codec_name(codec, "id") for codec in named if codec is not None)
    return ZarrArray(shape, _dtype(document.get("dtype")), chunk, chunk, ("", between), codecs)


def _format_3(document: Mapping[str, Any]) -> ZarrArray:
    shape = _lengths(document, "shape")
    grid = _configuration(document.get("chunk_grid"), "chunk_grid", {"regular"})
    per_file = _lengths(grid, "chunk_shape", len(shape))
    named = document.get("chunk_key_encoding", {"name": "default"})
    encoding = _configuration(named, "chunk_key_encoding", {"default", "v2"})
    plain = isinstance(named, dict) and named.get("name") == "v2"
    between = encoding.get("separator", "." if plain else "/")
    if between not in (".", "/"):
        raise ZarrDocumentError(f"`chunk_key_encoding` has the separator {between!r}, and `.` or `/` is needed: write it again")
    codecs, chunk = _codecs(document.get("codecs"), per_file)
    attributes = document.get("attributes")
    return ZarrArray(
        shape, _dtype(document.get("data_type")), per_file, chunk, ("" if plain else "c" + between, between), codecs,
        attributes if isinstance(attributes, dict) else {},
    )  # fmt: skip


def _codecs(given: Any, per_file: tuple[int, ...], depth: int = 0) -> tuple[frozenset[str], tuple[int, ...]]:
    """Names of the codecs, those inside of shards among them, and the shape of what is decoded at once."""
    if not isinstance(given, list) or depth > 1:
        raise ZarrDocumentError("`codecs` is no list, or has shards in shards: write the array again")
    names, chunk = set(), per_file
    for codec in given:
        name = _codec_name(codec, "name")
        names.add(name)
        if name != "sharding_indexed":
            continue
        inside = codec.get("configuration") if isinstance(codec, dict) else None
        inside = inside if isinstance(inside, dict) else {}
        chunk = _lengths(inside, "chunk_shape", len(per_file))
        if math.prod(-(-whole // part) for whole, part in zip(per_file, chunk, strict=True)) > _MAX_CHUNKS:
            raise ZarrDocumentError(f"`codecs` cuts a shard into more than {_MAX_CHUNKS:,} chunks: write larger chunks")
        for key in ("codecs", "index_codecs"):
            names |= _codecs(inside.get(key, []), chunk, depth + 1)[0]
    return frozenset(names), chunk


def _codec_name(codec: Any, key: str) -> str:
    name = codec.get(key) if isinstance(codec, dict) else codec
    return name.removeprefix("numcodecs.") if isinstance(name, str) else repr(name)[:40]


def _configuration(given: Any, key: str, known: set[str]) -> Mapping[str, Any]:
    name = given.get("name") if isinstance(given, dict) else given
    if not isinstance(name, str) or name not in known:
        raise ZarrDocumentError(
            f"`{key}` is {str(name)[:40]!r}, and {' or '.join(sorted(known))} is needed: write the array again"
        )
    found = given.get("configuration", {}) if isinstance(given, dict) else {}
    return found if isinstance(found, dict) else {}


def _lengths(document: Mapping[str, Any], key: str, count: int | None = None) -> tuple[int, ...]:
    """A list of lengths, 2 to 5 of them, each at least 1; `count` where another key says how many."""
    given = document.get(key)
    whole = isinstance(given, list) and all(type(n) is int and 1 <= n < 2**31 for n in given)
    if not isinstance(given, list) or not whole or not 2 <= len(given) <= 5 or count not in (None, len(given)):
        needed = f"{count or '2 to 5'} whole numbers from 1 on"
        raise ZarrDocumentError(f"`{key}` is {str(given)[:80]}, and {needed} are needed: write the array again")
    if key == "shape" and math.prod(given[:-2]) > _MAX_PAGES:
        raise ZarrDocumentError(f"`{key}` {given} names more than {_MAX_PAGES:,} images: write an array for each field")
    return tuple(given)


def _dtype(given: Any) -> str:
    match = _DTYPE.fullmatch(given) if isinstance(given, str) else None
    return _WORDS[match[1]] if match else str(given)[:40]


@dataclass(frozen=True)
class Plane:
    """One image of an array that can be decoded: its size is known, its pixels are not read yet."""

    path: UPath  # of the array's document
    document: Mapping[str, Any]
    array: ZarrArray
    page: int

    @property
    def samples(self) -> int:
        """3 of a colour image, else 1."""
        place = self.array.place(self.page)
        return 3 if place and place[0] in self.array.colours else 1

    def decode(self) -> np.ndarray:
        """(h, w) or (h, w, 3). A chunk that is not there is the fill value, but an image without any is missing: ImageError."""
        import zarr
        from zarr.storage import StorePath

        place = self.array.place(self.page)
        if not any((self.path.parent / name).exists() for name in self.array.files_of(self.page)):
            raise ImageError(
                f"{self.path} has no file of page {self.page}, the first would be {next(self.array.files_of(self.page))}: look "
                "whether it was moved, and copy the store again"
            )
        document = dict(self.document)
        if document.get("filters") == []:
            document["filters"] = None  # what some write for none, and zarr warns of
        stored: Any = zarr.Array.from_dict(StorePath(_store(self.path.parent)), document)
        if self.samples == 3:
            pixels = np.moveaxis(np.asarray(stored[place[0] : place[0] + 3, place[1]]), 0, -1)
        else:
            pixels = np.asarray(stored[(*place, slice(None), slice(None))])
        return pixels.astype(self.array.dtype, copy=False)  # a foreign order of bytes becomes this machine's


def plane_of(file: BinaryIO, path: UPath, page: int) -> Plane:
    """The image of a page, checked as far as its document tells: type, codecs, chunks. Raises ImageError."""
    document, array = _array_in(file, path)
    if array.dtype not in ("uint8", "uint16"):
        raise ImageError(
            f"{path} holds {array.dtype} pixels, and unsigned 8- or 16-bit ones are needed: export it as 8- or 16-bit"
        )
    if unknown := array.codecs - _CODECS:
        raise ImageError(
            f"{path} names the codec {sorted(unknown)[0]!r}, which is not read from a foreign store: write it again with zstd, "
            "blosc or gzip"
        )
    if not 0 <= page < array.pages:
        raise ImageError(f"{path} has no page {page + 1}, its `shape` {array.shape} gives {array.pages}: look at its metadata")
    side = [-(-size // step) for size, step in zip(array.shape[-2:], array.chunk[-2:], strict=True)]
    size = math.prod(array.chunk) * (2 if array.dtype == "uint16" else 1)
    if math.prod(side) > _MAX_CHUNKS or size * min(math.prod(side), _AT_ONCE) > 2 * MAX_BYTES:
        raise ImageError(
            f"{path} has {math.prod(side):,} chunks of {size:,} bytes for one image, and {_MAX_CHUNKS:,} chunks and "
            f"{2 * MAX_BYTES:,} bytes of them at once are the limits: write it again in chunks of about 1024 px"
        )
    return Plane(path, document, array, page)


def describe_array(file: BinaryIO, path: UPath) -> AboutFile:
    """Shape of one image, type and pages; which page is which channel only the group above says. Raises ImageError."""
    array = _array_in(file, path)[1]
    return AboutFile(array.shape[-2:], array.dtype, tuple((page, 0) for page in range(array.pages)), None)


def _array_in(file: BinaryIO, path: UPath) -> tuple[dict[str, Any], ZarrArray]:
    try:
        document = json_object(file.read(MAX_DOCUMENT_BYTES + 1))
        return document, array_of(document)
    except ZarrDocumentError as error:
        raise ImageError(f"{path}: {error}") from error


def _store(folder: UPath) -> Any:
    from zarr.storage import FsspecStore, LocalStore

    local = local_path(folder)
    if local is not None:
        return LocalStore(local, read_only=True)
    return FsspecStore.from_url(str(folder), storage_options=dict(folder.storage_options), read_only=True)
