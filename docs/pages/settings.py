"""SETTINGS.md: every variable that the platform reads, from the fields of `Settings`."""

from types import UnionType
from typing import Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from docs.pages.markdown import table
from plate_assets.orchestration.sciences import model_kinds
from plate_assets.settings import PREFIX, Settings, variable

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
    return "" if value in (None, "") else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _rows(name: str, field: FieldInfo) -> list[list[str]]:
    """The variable of a setting; one for each science where the setting holds what each of them has."""
    values, meaning = _values(field.annotation), field.description or ""
    if name == "models":
        kinds = model_kinds().values()
        return [
            [f"`{PREFIX}{kind.setting.upper()}`", f"`{kind.champion}`", f"{kind.noun.capitalize()} that judges what arrives"]
            for kind in kinds
        ]
    return [[f"`{variable(name)}`", _default(field), meaning + (f" ({', '.join(values)})" if values else "")]]


def page() -> str:
    """The whole page: one row for each variable."""
    rows = [row for name, field in Settings.model_fields.items() for row in _rows(name, field)]
    return f"{HEAD}\n{table(['variable', 'default', 'meaning'], rows)}\n"
