"""A folder of several files that is replaced as a whole.

Belongs here: how a reader is kept from a half-written folder. Not here: what lies in it (`arrays`, `models`).

A folder cannot be replaced atomically: a local disk renames a folder only onto an empty one, and an object store knows no
folders at all. One small file can. So each write fills a fresh folder `<name>/<version>/`, and last `<name>/current.json`,
which names it, is replaced in one step (`files.write_bytes`). Whoever reads asks `current.json` first, so that a killed
write is never seen. The version before stays for readers in flight; older ones, and what killed writes left, go with the
next write.
"""

import json
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from upath import UPath

from plate_assets.storage.files import Claim, StorageError, clear_full_disk, local_path, sync_tree, write_json

POINTER = "current.json"
FORMAT = "plate_assets.versions/1"
_NAME = re.compile(r"(\d{8}T\d{6})-[0-9a-f]{32}")
_DEAD_AFTER = timedelta(days=1)  # object stores have no locks: an unfinished version as old as this is a dead writer's


@contextmanager
def new_version(folder: str | Path | UPath) -> Iterator[UPath]:
    """A fresh folder to fill; when the block ends without an error, it becomes the current version.

    On an error the fresh folder is removed and the current version stays what it was. Of two writers at the same time both
    succeed, and the last to finish is current. Raises StorageError where the disk is full.
    """
    folder = UPath(folder)
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex}"
    fresh, local = folder / name, local_path(folder)
    with clear_full_disk(folder):
        claim = Claim(_claim_path(local, name)) if local else None
        try:
            fresh.mkdir(parents=True)
            yield fresh
            if local:
                sync_tree(local / name)
            before = _pointer_to_replace(folder)
            write_json(folder / POINTER, {"format": FORMAT, "current": name, "previous": before.get("current")})
        except BaseException:
            _remove(fresh)
            raise
        finally:
            if claim:
                claim.release()
    with suppress(OSError):  # the write is done; what cannot be removed now goes with the next one
        _sweep(folder, keep={name, before.get("current")}, finished=before.get("previous"))


def current_version(folder: str | Path | UPath) -> UPath:
    """The folder of the current version.

    Raises FileNotFoundError where nothing was written yet, StorageError where `current.json` is damaged or not ours.
    """
    folder = UPath(folder)
    pointer = _pointer(folder)
    if pointer is None:
        raise FileNotFoundError(f"{folder / POINTER} does not exist: nothing was written whole to {folder} yet")
    return folder / pointer["current"]


def _pointer(folder: UPath) -> dict | None:
    path = folder / POINTER
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        pointer = json.loads(content)
        names = [pointer["current"], pointer["previous"]]
        if pointer["format"] == FORMAT and _NAME.fullmatch(names[0]) and (names[1] is None or _NAME.fullmatch(names[1])):
            return pointer
    except (ValueError, KeyError, TypeError):
        pass
    raise StorageError(f"{path} does not name a version: it was changed by something else; remove it and write {folder} again")


def _pointer_to_replace(folder: UPath) -> dict:
    try:
        return _pointer(folder) or {}
    except StorageError:  # damaged: nobody can read it, and it is about to be replaced
        return {}


def _claim_path(folder: Path, name: str) -> Path:
    return folder / f".{name}.writing"


def _sweep(folder: UPath, keep: set[str | None], finished: str | None) -> None:
    """Remove the versions that nobody needs: older finished ones, and those whose writer is dead."""
    local = local_path(folder)
    for entry in list(folder.iterdir()):
        match = _NAME.fullmatch(entry.name)
        if not match or entry.name in keep:
            continue
        if local:
            dead = not Claim.is_held(_claim_path(local, entry.name))
        else:
            started = datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
            dead = datetime.now(UTC) - started > _DEAD_AFTER
        if dead or entry.name == finished:
            _remove(entry)
    if local:
        for claim in local.glob(".*.writing"):  # of writers that died before they made their folder
            if _NAME.fullmatch(claim.name[1:].removesuffix(".writing")):
                Claim.is_held(claim)


def _remove(version: UPath) -> None:
    """Remove a version, its top files first: a reader that still finds those knows that all it read before was there."""
    if not version.exists():
        return
    for entry in list(version.iterdir()):
        if entry.is_file():
            entry.unlink(missing_ok=True)
    if local := local_path(version):
        shutil.rmtree(local, ignore_errors=True)
    elif version.exists():
        version.fs.rm(version.path, recursive=True)
