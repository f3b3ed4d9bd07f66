"""The sciences of the platform: one line each. Everything that is done for every science loops over them.

Belongs here: which sciences there are, and where the parts of one stand. Not here: what a science declares (its assets). Light:
a science's parts are imported when they are asked for, so that the command starts without Dagster.

By convention a science stands in four places: its room `plate_assets/NAME/` with `model.py` and `tables.py`, its assets in
`orchestration/assets/NAME`, whose `OFFER` says what it declares, its commands in `cli/NAME.py`, and its line here.
"""

from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from plate_assets.orchestration.offers import Offer
    from plate_assets.storage.model_kind import ModelKind
    from plate_assets.storage.schema import TableSchema


@dataclass(frozen=True)
class Science:
    """One science. package: in which its parts stand."""

    name: str
    package: str = "plate_assets"

    def offer(self) -> "Offer":
        """What it declares to the platform: assets, chains, kinds of model, jobs, checks, questions, its part of the
        morning."""
        module = import_module(f"{self.package}.orchestration.assets.{self.name}")
        return module.OFFER if module.OFFER.assets else replace(module.OFFER, assets=(module,))

    def commands(self) -> "ModuleType":
        """The module whose import adds its commands to `plate-assets`."""
        return import_module(f"{self.package}.cli.{self.name}")


SCIENCES = (
    Science("precipitation"),
    Science("dry_mass"),
    Science("drift"),
)


def model_kinds() -> "dict[str, ModelKind]":
    """The kinds of model of all sciences, by the name of the science."""
    return {kind.science: kind for science in SCIENCES for kind in science.offer().kinds}


def table_schemas() -> "dict[str, TableSchema]":
    """The schema of each asset that is a table, as it was declared."""
    from plate_assets.orchestration.chains import SCHEMAS

    for science in SCIENCES:
        science.offer()
    return SCHEMAS
