"""A monitor as bytes, and back: arrays and plain values in the safetensors format, which runs no code.

Belongs here: the format and the file. Not here: what a monitor keeps (`online`, `alibi`).
"""

import json
import os
import tempfile
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

_KEY = "plate_assets.drift"


def pack(kind: str, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> bytes:
    """Values (JSON) and arrays of a monitor of some kind."""
    header = json.dumps({"kind": kind, **values})
    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata={_KEY: header})


def unpack(data: bytes, kind: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What `pack` was given. ValueError where the bytes are not a whole monitor of this kind."""
    try:
        arrays = load(data)
        length = int.from_bytes(data[:8], "little")
        values = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][_KEY])
        found = values.pop("kind")
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ValueError(f"these {len(data)} bytes are no saved monitor ({error!r}): load what `save` wrote") from error
    if found != kind:
        raise ValueError(f"this is a monitor of kind {found!r}, and {kind!r} is needed: load it with the engine that saved it")
    return values, arrays


def write(data: bytes, name: str | os.PathLike[str]) -> None:
    """Write a file as a whole: beside its place, to the disk, then renamed. A kill leaves the old file or the new one."""
    folder = os.path.dirname(os.path.abspath(name))
    handle, beside = tempfile.mkstemp(dir=folder, prefix=".monitor-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, name)
    except BaseException:
        os.unlink(beside)
        raise
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)  # the rename too
    finally:
        os.close(opened)


def read(name: str | os.PathLike[str]) -> bytes:
    with open(name, "rb") as file:
        return file.read()
