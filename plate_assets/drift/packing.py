"""A monitor as bytes, and back: arrays and plain values in the safetensors format, which runs no code.

Belongs here: the format. Not here: what a monitor keeps (`online`, `alibi`), files (`storage`).
"""

import json
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
        raise ValueError(f"these {len(data)} bytes are no monitor ({error!r}): give what `to_bytes` made") from error
    if found != kind:
        raise ValueError(f"this is a monitor of kind {found!r}, and {kind!r} is needed: read it with the engine that made it")
    return values, arrays
