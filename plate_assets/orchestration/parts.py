"""What results rest on beside their inputs: each part with its words and how its present value is found.

Belongs here: the parts that several sciences share, the present in which they are asked, and how a difference reads. Not here:
which asset rests on which parts (the sciences' assets), what follows from a difference (`night`).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import polars as pl

from plate_assets.orchestration.resources import Storage, registries_of
from plate_assets.orchestration.stored_plates import known_acquisition
from plate_assets.plates.acquisition_table import KnownAcquisition
from plate_assets.plates.tables import EXCLUSIONS
from plate_assets.settings import Settings
from plate_assets.storage.ledger import read_rows
from plate_assets.storage.model_kind import ModelKind
from plate_assets.storage.registry import NoSuchModel

Basis = dict[str, str]  # name of a part -> its value: what one result rests on
NONE = "none"
_FINGERPRINT = "#"  # begins a value that is the hash of something too long to read


class Why(StrEnum):
    """Why an asset is to be made."""

    MISSING = "missing"
    INPUTS = "inputs"  # images, files: what came from outside
    MODEL = "model"
    DECISION = "decision"
    SETTING = "setting"
    REFERENCE = "reference"
    CODE = "code"


@dataclass(frozen=True)
class Reason:
    """One reason for work. part: what differs, in words; was, now: its values, where something differs."""

    why: Why
    part: str = ""
    was: str = NONE
    now: str = NONE

    def __str__(self) -> str:
        """As a person reads it: `λ was 0.01, is 0.05`."""
        if self.why is Why.MISSING:
            return "not made yet"
        if self.now.startswith(_FINGERPRINT) and self.was != NONE:
            return f"{self.part} changed"
        return f"{self.part} was {_shown(self.was)}, is {_shown(self.now)}"


def _shown(value: str) -> str:
    return "another" if value.startswith(_FINGERPRINT) else value


class Present:
    """What holds now. It is asked once for each look of a sensor or schedule, and once for each step of a run."""

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self.settings, self.storage = settings, storage
        self._registries = registries_of(settings)
        self._models: dict[str, str | None] = {}
        self._acquisitions: dict[str, KnownAcquisition] = {}

    def model(self, kind: ModelKind) -> str | None:
        """The version in force, `models:/NAME/3`; None where nobody has promoted one."""
        if kind.name not in self._models:
            try:
                self._models[kind.name] = self._registries.of(kind).version_of(self.settings.model_of(kind))
            except NoSuchModel:
                self._models[kind.name] = None
        return self._models[kind.name]

    def acquisition(self, key: str) -> KnownAcquisition:
        """An acquisition as it was let in. Raises as `storage.tables.read_table`."""
        if key not in self._acquisitions:
            self._acquisitions[key] = known_acquisition(self.storage, key)
        return self._acquisitions[key]

    @cached_property
    def exclusions(self) -> pl.DataFrame:
        """Every decision about wells and plates that do not count."""
        return read_rows(self.storage.exclusions, EXCLUSIONS)


@dataclass(frozen=True)
class Part:
    """One thing that results rest on. value: of a partition now; None where it cannot be told, and is then not compared."""

    name: str
    why: Why
    value: Callable[[Present, str], str | None]


def fingerprint_of(text: str) -> str:
    """The value of a part that is too long to read."""
    return _FINGERPRINT + hashlib.sha256(text.encode()).hexdigest()[:16]


def setting(field: str, words: str) -> Part:
    """A setting, under the words that people read."""

    def value(present: Present, _: str) -> str:
        found = getattr(present.settings, field)
        return "default" if found is None or found == "" else str(found)

    return Part(words, Why.SETTING, value)


def model(kind: ModelKind) -> Part:
    """The version of a kind of model that is in force."""
    return Part(kind.noun, Why.MODEL, lambda present, _: present.model(kind) or NONE)


def _plate_map(present: Present, key: str) -> str:
    from plate_assets.workflows.intake.plate_maps import plate_map_for

    platemap = plate_map_for(present.acquisition(key).acquisition, present.settings.platemaps_root)
    return fingerprint_of(platemap.sort("Metadata_Well").write_csv())


def _exclusions(present: Present, key: str) -> str:
    plate = present.acquisition(key).acquisition.plate
    decided = present.exclusions.filter(pl.col("Metadata_Plate") == plate)
    return fingerprint_of(decided.select("Metadata_Well", "excluded", "reason").write_csv())


IMAGES = Part("images", Why.INPUTS, lambda present, key: _FINGERPRINT + present.acquisition(key).fingerprint)
PIXEL_SIZE = Part("pixel size (µm)", Why.INPUTS, lambda present, key: str(present.acquisition(key).acquisition.pixel_um))
PLATE_MAP = Part("plate map", Why.DECISION, _plate_map)
EXCLUSIONS_OF_PLATE = Part("exclusions", Why.DECISION, _exclusions)
ACQUISITION = (IMAGES, PIXEL_SIZE)
VIEW = (
    setting("channel", "channel"),
    setting("planes", "planes"),
    setting("sites", "sites"),
    setting("illumination", "illumination"),
)
