"""SETTINGS.md: every variable that the platform reads, from the fields of `Settings`."""

from types import UnionType
from typing import Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from docs.pages.markdown import table
from plate_assets.settings import Settings, variable

HEAD = """# The settings

Written from the code by `make docs`. Each setting is a variable of the environment, read once where a process
starts; an empty one counts as not set. The [environment file](../deploy/plate-assets.env.example) of an installation is the
same list.

Read past the settings are `DAGSTER_HOME` (where Dagster keeps its configuration and its history), `PLATE_ASSETS_AUTHOR` (who is
recorded as the author of a decision; the account's name where it is not set), and `AWS_…` where arrivals or storage lie in an
object store.
"""


def _values(annotation: object) -> list[str]:
    """What a setting may be, where it is one of a few words."""
    if get_origin(annotation) is Literal:
        return [f"`{value}`" for value in get_args(annotation) if value != ""]
    if get_origin(annotation) in (Union, UnionType):
        return [value for part in get_args(annotation) for value in _values(part)]
    return []


def _default(field: FieldInfo) -> str:
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    return "" if value in (None, "", {}) else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def page() -> str:
    """The whole page: one row for each setting."""
    rows = []
    for name, field in Settings.model_fields.items():
        values = _values(field.annotation)
        meaning = (field.description or "") + (f" ({', '.join(values)})" if values else "")
        rows.append([f"`{variable(name)}`", _default(field), meaning])
    return f"{HEAD}\n{table(['variable', 'default', 'meaning'], rows)}\n"
