"""A configuration as its dataclass declares it: names, types, defaults, and the meaning that stands beside each type.

Belongs here: reading a declaration, for all that is derived from it. Not here: any configuration (each science's `model`), what
Dagster or the command make of one.
"""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin


@dataclass(frozen=True)
class Parameter:
    """One field of a configuration; `meaning` is the text of its `Annotated` type."""

    name: str
    type: Any
    default: Any
    meaning: str


def parameters_of(configuration: type, without: tuple[str, ...] = ()) -> list[Parameter]:
    """The fields of a dataclass, all of which have a default, in their order."""
    return [_parameter(field) for field in dataclasses.fields(configuration) if field.name not in without]


def _parameter(field: dataclasses.Field) -> Parameter:
    if get_origin(field.type) is not Annotated:
        return Parameter(field.name, field.type, field.default, "")
    kind, meaning = get_args(field.type)
    return Parameter(field.name, kind, field.default, meaning)
