"""What a person and the settings may say of a folder that is read.

Belongs here: these values. Not here: how a line of settings is written (`text_options`), what readers make of them (`reader`,
`identity`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from plate_assets.plates.acquisition import Objective
from plate_assets.plates.layout import PlateFormat


@dataclass(frozen=True)
class Defaults:
    """What the settings say where the vendor says nothing; `sources` then says `settings`."""

    pixel_um: float | None = None  # pixel size, µm
    plate_format: PlateFormat | int | None = None  # or its number of wells
    objective: Objective | None = None
    channel_names: Mapping[str, str] = field(default_factory=dict)  # a better name for a channel as it is found
    wavelengths_nm: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)  # excitation, emission


@dataclass(frozen=True)
class ReadOptions:
    """What a person says of one folder: each overrides what the reader finds, but for the `defaults`."""

    pattern: str | None = None  # for folders read by file names: a preset, or one's own expression with named groups
    pixel_um: float | None = None  # pixel size, µm
    plate_format: PlateFormat | int | None = None  # or its number of wells
    plate: str | None = None
    timepoint: str | None = None  # also chooses one where a folder holds several
    timepoint_h: float | None = None  # hours since the culture began
    defaults: Defaults = Defaults()
