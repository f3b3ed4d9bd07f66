"""What lies in a folder: one walk, names and sizes and times, and the cheap signature of it.

Belongs here: listing a folder, local or on an object store, and telling whether it changed. Not here: what the names mean
(`readers`), when a folder is complete (`arrivals`), the bytes (`acquisition.fingerprint`).
"""

import hashlib
import os
import re
from collections.abc import Iterable
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from upath import UPath

from plate_assets.plates.acquisition import AcquisitionError

MAX_FILES = 500_000

_CLUTTER = {"thumbs.db", "desktop.ini", "ehthumbs.db"}
_ZARR_2 = {".zattrs", ".zgroup", ".zarray"}  # how Zarr 2 calls its metadata: content
_COPYING = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".swp")


# Whatever is hidden, temporary or oddly named; the few that fit are looked at one by one.
_SPECIAL = (
    rf"(?i)(?:^|/)[.~]|~$|[^ -~]|(?:{'|'.join(map(re.escape, _COPYING))})$|(?:^|/)(?:{'|'.join(map(re.escape, _CLUTTER))})$"
)


class ListingError(AcquisitionError):
    """A folder that cannot be listed safely; the message names the place and the remedy."""


class Entry(NamedTuple):
    """One file: `path` relative to the folder with forward slashes, size in bytes, time of change in ns, the store's etag."""

    path: str
    size: int
    mtime_ns: int
    etag: str | None = None


class Listing:
    """The files of one folder, by name. `pending` are files that a copy in progress writes: they are no content, but they
    move."""

    def __init__(self, root: UPath, entries: Iterable[Entry], pending: Iterable[Entry] = ()) -> None:
        self.root = root
        self.entries = tuple(sorted(entries, key=itemgetter(0)))
        self.pending = tuple(sorted(pending, key=itemgetter(0)))

    @cached_property
    def paths(self) -> pl.Series:
        """The relative paths, in the order of the entries."""
        return pl.Series("path", [entry.path for entry in self.entries], dtype=pl.String)

    @cached_property
    def table(self) -> pl.DataFrame:
        """`path` and `size_bytes` of each entry."""
        sizes = pl.Series("size_bytes", [entry.size for entry in self.entries], dtype=pl.Int64)
        return pl.DataFrame([self.paths, sizes])

    def named(self, *names: str) -> list[str]:
        """The files of one of these names, whatever their case and folder."""
        return self.fitting(f"(?i)(?:^|/)(?:{'|'.join(map(re.escape, names))})$")

    def fitting(self, expression: str) -> list[str]:
        """The files whose relative path holds what the regular expression (polars') describes."""
        return self.paths.filter(self.paths.str.contains(expression)).to_list()

    @cached_property
    def signature(self) -> str:
        """16 hex digits over names, sizes and times of change (or etags): equal where nothing changed. It reads no file."""
        return _digest(self.entries)

    @cached_property
    def activity(self) -> str:
        """The same over the files of a copy in progress; empty where there is none."""
        return _digest(self.pending) if self.pending else ""

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Size of each file, bytes, by its relative path."""
        return {entry.path: entry.size for entry in self.entries}

    def signature_of(self, paths: Iterable[str]) -> str:
        """The signature of some of the files alone."""
        chosen = set(paths)
        return _digest(entry for entry in self.entries if entry.path in chosen)

    def path_of(self, relative: str) -> UPath:
        """Where a file of this folder lies."""
        return self.root / relative


def as_upath(folder: "UPath | Path | str") -> UPath:
    """The folder as a UPath, absolute where it is local."""
    path = folder if isinstance(folder, UPath) else UPath(str(folder))
    local = local_path(path)
    return UPath(os.path.abspath(local)) if local is not None else path


def local_path(path: UPath) -> str | None:
    """The path on this machine's own file system, None on an object store."""
    if isinstance(path, Path):
        return os.fspath(path)
    return str(path.path) if path.protocol in ("", "file", "local") else None


def list_folder(folder: UPath) -> Listing:
    """List every file below the folder, once, without opening any.

    Hidden and temporary files are no content. Raises ListingError where the folder is not there, cannot be read, is a file, or
    holds a link that leads out of it.
    """
    folder = as_upath(folder)
    local = local_path(folder)
    try:
        found = list(_walk_local(local) if local is not None else _walk_store(folder))
    except FileNotFoundError as error:
        raise ListingError(f"{folder} is not there: look whether it was renamed or moved") from error
    except NotADirectoryError as error:
        raise ListingError(f"{folder} is a file, and a folder is needed: name the folder that holds the images") from error
    except PermissionError as error:
        raise ListingError(f"{error.filename or folder} may not be read: give this user the right to read it") from error
    entries, pending = _sorted_out(folder, found)
    return Listing(folder, entries, pending)


def _sorted_out(folder: UPath, found: list[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Content, and what a copy in progress writes; hidden files are neither. ListingError for a name that no table can hold."""
    try:
        special = pl.Series([entry.path for entry in found], dtype=pl.String).str.contains(_SPECIAL).arg_true().to_list()
    except UnicodeEncodeError:
        special = range(len(found))
    out, pending = set(), []
    for place in special:
        path = found[place].path
        name = path.rsplit("/", 1)[-1]
        if odd := _odd_name(path):
            raise ListingError(f"{folder} holds a file whose name {odd}: {ascii(path)}; rename it")
        if copying := _is_copying(name):
            pending.append(found[place])
        if copying or _is_hidden(path):
            out.add(place)
    return [entry for place, entry in enumerate(found) if place not in out] if out else found, pending


def _walk_local(root: str) -> Iterable[Entry]:
    stack = [("", root)]
    count = 0
    while stack:
        prefix, folder = stack.pop()
        with os.scandir(folder) as scan:
            for entry in scan:
                relative = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    if not entry.name.startswith("."):
                        stack.append((relative + "/", entry.path))
                    continue
                if entry.is_symlink():
                    _check_link(entry.path, root)
                try:
                    status = entry.stat()
                except FileNotFoundError:  # gone since the folder was opened: it is no longer part of it
                    continue
                count += 1
                if count > MAX_FILES:
                    raise ListingError(f"{root} holds more than {MAX_FILES:,} files: name the folder of one acquisition")
                yield Entry(relative, status.st_size, status.st_mtime_ns)


def _check_link(link: str, root: str) -> None:
    target = os.path.realpath(link)
    inside = target.startswith(os.path.realpath(root) + os.sep)
    if not inside or not os.path.isfile(target):
        raise ListingError(
            f"{link} is a link to {target}, which is no file of this folder: put the file itself there, or remove the link"
        )


def _walk_store(folder: UPath) -> Iterable[Entry]:
    store, base = folder.fs, folder.path.rstrip("/")
    store.invalidate_cache(folder.path)  # fsspec remembers listings, and the folder is looked at because it changes
    found: Any = store.find(folder.path, detail=True)
    if not found or list(found) == [folder.path]:
        raise NotADirectoryError(str(folder)) if found else FileNotFoundError(str(folder))
    if len(found) > MAX_FILES:
        raise ListingError(f"{folder} holds more than {MAX_FILES:,} files: name the folder of one acquisition")
    for path, info in found.items():
        changed: Any = info.get("LastModified") or info.get("mtime") or info.get("created") or 0
        seconds = changed.timestamp() if hasattr(changed, "timestamp") else float(changed)
        etag = str(info.get("ETag") or info.get("etag") or "").strip('"') or None
        relative = path.removeprefix(base).removeprefix(base.lstrip("/")).lstrip("/")
        yield Entry(relative, int(info.get("size") or 0), int(seconds * 1e9), etag)


def _odd_name(path: str) -> str | None:
    """Why a name cannot be kept in a table; None where it can."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return "is not in UTF-8"
    return "holds a line break or a tab" if any(sign in path for sign in "\n\r\t\0") else None


def _is_copying(name: str) -> bool:
    lower = name.lower()
    rsync = name.startswith(".") and lower.count(".") >= 3  # `.A01.tif.Xy12Zq`
    return lower.endswith(_COPYING) or rsync or name.startswith("~$")


def _is_hidden(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    hidden = name.startswith((".", "~")) and name not in _ZARR_2
    return hidden or name.endswith("~") or name.lower() in _CLUTTER or "/." in f"/{folder}"


def _digest(entries: Iterable[Entry]) -> str:
    text = "\n".join(f"{path}\0{size}\0{etag or mtime}" for path, size, mtime, etag in entries)
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=8).hexdigest()
