"""Whole files or none: how one file is written, on a local disk or an object store.

Belongs here: atomic and durable writes of bytes, errors of the disk. Not here: what the bytes mean (`tables`, `models`),
folders of several files (`versions`), lists of decisions (`ledger`).

On a local disk a file is written beside its place under a hidden name (`.<name>.writing`), flushed to the disk, renamed, and
its folder flushed: a reader sees the old content or the new one, also after a power cut. The writer holds a lock on the hidden
file, which the system drops when the process dies; so what a killed run left is told from what a live run is writing, is never
read, and is overwritten by the next write of the same file. On an object store one put does all that.
"""

import errno
import fcntl
import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from upath import UPath

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "the file may not grow that large",
}
WAIT_S = 60.0  # how long a write waits for another process that is writing the same file


class StorageError(OSError):
    """A file or folder that cannot be written or read: the message names it and the remedy."""


def local_path(path: str | Path | UPath) -> Path | None:
    """The path on the local disk, or None for an object store."""
    path = UPath(path)
    return Path(path.path) if path.protocol in ("", "file", "local") else None


def write_bytes(path: str | Path | UPath, data: bytes) -> None:
    """Replace the file by `data`, whole or not at all; missing folders are made.

    Raises StorageError where the disk is full or refuses; the old content is still there then.
    """
    _write(UPath(path), data, exclusive=False)


def create_bytes(path: str | Path | UPath, data: bytes) -> None:
    """Like `write_bytes`, but where the file exists FileExistsError is raised: of several writers exactly one wins."""
    _write(UPath(path), data, exclusive=True)


def write_json(path: str | Path | UPath, content: Any) -> None:
    """`write_bytes` of JSON, readable by a person and equal for equal content."""
    write_bytes(path, json_bytes(content))


def json_bytes(content: Any) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


@contextmanager
def clear_full_disk(path: str | Path | UPath) -> Iterator[None]:
    """Turn the system's error about a full disk into one that names the file and the remedy; other errors pass."""
    try:
        yield
    except OSError as error:
        if isinstance(error, StorageError) or error.errno not in _FULL:
            raise
        remedy = "free some space and run this again; what was there before is untouched"
        raise StorageError(error.errno, f"{_FULL[error.errno]} while writing {path}: {remedy}") from error


def _write(path: UPath, data: bytes, exclusive: bool) -> None:
    with clear_full_disk(path):
        if (local := local_path(path)) is None:
            path.fs.pipe_file(path.path, data, mode="create" if exclusive else "overwrite")
            return
        local.parent.mkdir(parents=True, exist_ok=True)
        if exclusive and local.exists():
            raise FileExistsError(errno.EEXIST, "the file exists", str(local))
        with _locked_temporary(local) as (descriptor, temporary):
            with open(descriptor, "wb", closefd=False) as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            if exclusive:
                os.link(temporary, local)  # fails where the name is taken, unlike a rename
                temporary.unlink()
            else:
                os.replace(temporary, local)
        sync_folder(local.parent)


@contextmanager
def _locked_temporary(path: Path) -> Iterator[tuple[int, Path]]:
    """An empty hidden file beside `path`, locked by this process; gone on an error."""
    descriptor, temporary = _open_locked(path.with_name(f".{path.name}.writing"))
    try:
        os.ftruncate(descriptor, 0)
        yield descriptor, temporary
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def _open_locked(temporary: Path) -> tuple[int, Path]:
    deadline = time.monotonic() + WAIT_S
    while True:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):  # a file system without locks: a name of one's own instead
                temporary = temporary.with_name(f"{temporary.name.removesuffix('.writing')}.{uuid.uuid4().hex}.writing")
                return os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), temporary
            if time.monotonic() > deadline:
                where = temporary.name.removeprefix(".").removesuffix(".writing")
                held = f"another process has been writing {where} in {temporary.parent} for {WAIT_S:.0f} s"
                raise StorageError(errno.EBUSY, f"{held}: end it, then run this again") from error
            time.sleep(0.01)
            continue
        if os.fstat(descriptor).st_nlink == 1 and _is_at(descriptor, temporary):
            return descriptor, temporary
        if _is_at(descriptor, temporary):  # linked to the final file by a writer that was killed before it could unlink
            temporary.unlink(missing_ok=True)
        os.close(descriptor)  # else: renamed or removed by another writer between opening and locking


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


class Claim:
    """A hidden lock file that says `a live process is writing this`, until `release` or the death of the process."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor, self._path = _open_locked(path)

    def release(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)

    @staticmethod
    def is_held(path: Path) -> bool:
        """Whether a live process holds the claim; a dead one's file is removed."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
            return False
        except OSError:  # held, or a file system without locks: then nothing is known to be dead
            return True
        finally:
            os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Flush the folder's list of names to the disk, so that a rename in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # some network file systems refuse it
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Flush every file and folder below `folder` to the disk."""
    for parent, _, names in os.walk(folder):
        for name in names:
            descriptor = os.open(os.path.join(parent, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(parent))
