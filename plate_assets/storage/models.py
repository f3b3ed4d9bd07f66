"""A model as files that run no code: an architecture, weights and tables, all named in a manifest.

Belongs here: what a model's folder holds, and what is refused. Not here: which networks there are (`learning`), the registry
that keeps versions of models (`registry`).

`write_bundle` replaces a versioned folder (`versions`) whose current version is a plain bundle: `manifest.json`,
`architecture.json`, `weights.safetensors`, `tables/<name>.parquet`. `read_bundle` takes the versioned folder or a plain one, as
the registry keeps them. A foreign folder may be hostile: nothing is opened that the manifest does not name with its size and
sha256, no other kind of file is allowed, and none of the three kinds can carry code.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from upath import UPath

from plate_assets.storage.files import json_bytes, local_path, write_bytes
from plate_assets.storage.schema import SchemaError
from plate_assets.storage.tables import parse_table, table_bytes
from plate_assets.storage.versions import POINTER, current_version, new_version

MANIFEST, ARCHITECTURE, WEIGHTS = "manifest.json", "architecture.json", "weights.safetensors"
FORMAT = "plate_assets.model/1"
_TABLE = re.compile(r"tables/([a-z][a-z0-9_]{0,63})\.parquet")
_MANIFEST_BYTES = 1 << 20


class ModelError(ValueError):
    """A folder that is no model of ours, a damaged or a suspicious one: the message names the file and the remedy."""


@dataclass(frozen=True)
class ModelBundle:
    """All that a model is: what to build, the numbers to put in, and the tables that belong to it."""

    architecture: dict[str, Any]  # whatever JSON holds
    weights: dict[str, np.ndarray]
    tables: dict[str, pl.DataFrame] = field(default_factory=dict)


def write_bundle(bundle: ModelBundle, folder: str | Path | UPath) -> str:
    """Replace the folder's current version by the bundle, whole or not at all; returns its version, `file:<12 hex digits>`.

    Raises ModelError where a part cannot be written without code, StorageError where the disk is full.
    """
    contents = _contents(bundle)
    with new_version(folder) as version:
        for name, content in contents.items():
            write_bytes(version / name, content)
    return _version(contents[MANIFEST])


def write_plain_bundle(bundle: ModelBundle, folder: str | Path | UPath) -> str:
    """Write the bundle's files into a new folder as they are, for the registry to take; not atomic. Returns the version."""
    contents = _contents(bundle)
    for name, content in contents.items():
        write_bytes(UPath(folder) / name, content)
    return _version(contents[MANIFEST])


def read_bundle(folder: str | Path | UPath) -> ModelBundle:
    """The bundle in a folder, every file checked against the manifest. Nothing in it is run.

    Raises FileNotFoundError where there is no model, ModelError where a file is missing, unknown, a link, or not the one that
    the manifest names.
    """
    folder = _bundle_folder(folder)
    manifest = _manifest(folder)
    _refuse_unlisted(folder, set(manifest))
    contents = {name: _checked_content(folder, name, entry) for name, entry in manifest.items()}
    return ModelBundle(
        _architecture(contents[ARCHITECTURE], folder),
        _weights(contents[WEIGHTS], folder),
        {match[1]: _table(content, folder, name) for name, content in contents.items() if (match := _TABLE.fullmatch(name))},
    )


def is_bundle(folder: str | Path | UPath) -> bool:
    """Whether the folder holds a model's bundle, versioned or plain."""
    return any((UPath(folder) / name).is_file() for name in (MANIFEST, POINTER))


def bundle_version(folder: str | Path | UPath) -> str:
    """`file:<first 12 hex digits of the manifest's sha256>`: equal for equal models. Errors as `read_bundle`."""
    folder = _bundle_folder(folder)
    _manifest(folder)
    return _version((folder / MANIFEST).read_bytes())


def _version(manifest: bytes) -> str:
    return f"file:{hashlib.sha256(manifest).hexdigest()[:12]}"


def _contents(bundle: ModelBundle) -> dict[str, bytes]:
    from safetensors.numpy import save

    try:
        contents = {ARCHITECTURE: json_bytes(bundle.architecture)}
    except (TypeError, ValueError) as error:
        raise ModelError(f"the architecture is not JSON: {error}; give numbers, texts, lists and dicts only") from error
    weights = {name: np.asarray(weight, order="C") for name, weight in sorted(bundle.weights.items())}
    if unfit := [name for name, weight in weights.items() if weight.dtype.kind not in "buif"]:
        raise ModelError(f"the weights {unfit} are not numbers: a weight is an array of numbers")
    contents[WEIGHTS] = save(weights)
    for name, table in sorted(bundle.tables.items()):
        path = f"tables/{name}.parquet"
        if not _TABLE.fullmatch(path):
            raise ModelError(f"{name!r} cannot name a table of a model: use small letters, digits and `_`")
        contents[path] = table_bytes(table, name)
    files = {name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()} for name, content in contents.items()}
    return contents | {MANIFEST: json_bytes({"format": FORMAT, "files": files})}


def _bundle_folder(folder: str | Path | UPath) -> UPath:
    folder = UPath(folder)
    if (folder / MANIFEST).exists():
        return folder
    if (folder / POINTER).exists():
        return current_version(folder)
    raise FileNotFoundError(f"{folder} holds no model: {MANIFEST} is missing; give the folder that `--out` of a training named")


def _manifest(folder: UPath) -> dict[str, dict[str, Any]]:
    path = folder / MANIFEST
    _refuse_link(path)
    if not path.exists() or path.stat().st_size > _MANIFEST_BYTES:
        raise ModelError(f"{path} is missing or too large: this is no model that plate_assets wrote")
    try:
        manifest = json.loads(path.read_bytes())
        files = manifest["files"]
        fields = {name: (int(entry["bytes"]), str(entry["sha256"])) for name, entry in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{path} is no manifest of a model ({error!r}): take the model from where it was trained again"
        ) from error
    if manifest.get("format") != FORMAT:
        raise ModelError(f"{path} has the format {manifest.get('format')!r}, and this version of plate_assets reads {FORMAT!r}")
    if unknown := [name for name in fields if name not in (ARCHITECTURE, WEIGHTS) and not _TABLE.fullmatch(name)]:
        raise ModelError(f"{path} names {unknown[:5]}, which no model of plate_assets holds: do not use this model")
    if missing := [name for name in (ARCHITECTURE, WEIGHTS) if name not in fields]:
        raise ModelError(f"{path} does not name {missing}: take the model from where it was trained again")
    return files


def _refuse_unlisted(folder: UPath, listed: set[str]) -> None:
    """Anything beside the listed files (a pickle, a link, a hidden file) makes the whole folder suspicious."""
    if local := local_path(folder):
        found = {path.relative_to(local).as_posix(): path for path in local.rglob("*")}
        for path in (local, *found.values()):
            _refuse_link(UPath(path))
        names = {name for name, path in found.items() if not path.is_dir()}
    else:
        root = folder.path.strip("/")
        names = {name.strip("/").removeprefix(root).strip("/") for name in folder.fs.find(folder.path)}
    if unknown := sorted(names - listed - {MANIFEST}):
        raise ModelError(
            f"{folder} holds {unknown[:5]}, which its {MANIFEST} does not name: nothing was read; do not use this model"
        )


def _refuse_link(path: UPath) -> None:
    if (local := local_path(path)) and local.is_symlink():
        raise ModelError(f"{path} is a link, and a model holds none: copy the file it points to, if you trust it")


def _checked_content(folder: UPath, name: str, entry: dict[str, Any]) -> bytes:
    path = folder / name
    remedy = "the model is damaged; take it from where it was trained again"
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size == entry["bytes"] else b""
    except FileNotFoundError:
        raise ModelError(f"{path} is missing: {remedy}") from None
    if size != entry["bytes"]:
        raise ModelError(f"{path} has {size} bytes, and its {MANIFEST} says {entry['bytes']}: {remedy}")
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise ModelError(f"{path} is not the file that its {MANIFEST} names (sha256 differs): {remedy}")
    return content


def _architecture(content: bytes, folder: UPath) -> dict[str, Any]:
    try:
        architecture = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{folder / ARCHITECTURE} is no JSON: {error}") from error
    if not isinstance(architecture, dict):
        raise ModelError(f"{folder / ARCHITECTURE} is no JSON object")
    return architecture


def _weights(content: bytes, folder: UPath) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(content)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{folder / WEIGHTS} is no safetensors file: {error!r}") from error


def _table(content: bytes, folder: UPath, name: str) -> pl.DataFrame:
    try:
        return parse_table(content, f"{folder / name}")[1]
    except SchemaError as error:
        raise ModelError(str(error)) from error
