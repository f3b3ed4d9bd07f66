"""What a person tells in a line of settings about a microscope whose metadata is silent: objective, channels, wavelengths.

Belongs here: those lines as values. Not here: which variable holds them (`settings`), what readers do with them (`reader`).
"""

import re

from plate_assets.plates.acquisition import Objective

_OBJECTIVE = re.compile(r"(\d+(?:\.\d+)?)\s*[x×](?:\s*/\s*(\d+(?:\.\d+)?))?", re.IGNORECASE)
_PAIR = re.compile(r"(\d+(?:\.\d+)?)?\s*/\s*(\d+(?:\.\d+)?)?")


def parse_objective(text: str) -> Objective | None:
    """`10x` or `10x/0.3` (numerical aperture); None for an empty text. ValueError says the form."""
    if not text.strip():
        return None
    match = _OBJECTIVE.fullmatch(text.strip())
    if not match or not float(match[1]):
        raise ValueError(f"{text!r} tells no objective: write 10x, or 10x/0.3 with the numerical aperture")
    return Objective(float(match[1]), float(match[2]) if match[2] else None)


def parse_channel_names(text: str) -> dict[str, str]:
    """`w1=DAPI,w2=phase`: the name as it is found to the better one. ValueError says the form."""
    return dict(_pairs(text, "w1=DAPI,w2=phase"))


def parse_wavelengths(text: str) -> dict[str, tuple[float | None, float | None]]:
    """`DAPI=405/450,phase=/530`: excitation and emission of each channel, nm, either may be left out. ValueError."""
    form, found = "DAPI=405/450,phase=/530", {}
    for name, value in _pairs(text, form):
        match = _PAIR.fullmatch(value)
        if not match or not (match[1] or match[2]):
            raise ValueError(f"{value!r} tells no wavelengths of {name}: write {form}, in nm")
        found[name] = tuple(float(part) if part else None for part in match.groups())
    return found


def _pairs(text: str, form: str) -> list[tuple[str, str]]:
    pairs = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            raise ValueError(f"{part!r} names no channel and its value: write {form}")
        pairs.append((name, value))
    return pairs
