"""Which plate, and when: the identity of an acquisition from what a person, the folder's name and the vendor say.

Belongs here: names and their precedence. Not here: any layout, the table of images (`reader`).
"""

import re
from dataclasses import dataclass, field, replace

from plate_assets.plates.acquisition import check_acquisition_id
from plate_assets.plates.readers.options import ReadOptions

_SUFFIX = re.compile(r"(?P<plate>.+)_(?P<timepoint>\d+(?:\.\d+)?h|d\d+|day\d+|t\d+|\d{8}T\d{6})", re.IGNORECASE)
_HOURS = re.compile(r"(\d+(?:\.\d+)?)h", re.IGNORECASE)
_DAYS = re.compile(r"(?:d|day)(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Identity:
    """Which plate, and when. `sources` says where each of them came from."""

    plate: str
    timepoint: str
    timepoint_h: float | None
    sources: dict[str, str] = field(default_factory=dict)


def hours_of(timepoint: str) -> float | None:
    """Hours that a time point's name tells: `096h` 96, `d04` and `day4` 96; None where it tells none (`t0`, a date)."""
    if match := _HOURS.fullmatch(timepoint):
        return float(match[1])
    if match := _DAYS.fullmatch(timepoint):
        return 24.0 * int(match[1])
    return None


def identify(folder: str, options: ReadOptions, plate: str | None = None, timepoint: str | None = None) -> Identity:
    """Plate and time point: what the options say, else the folder's name `<plate>_<time point>`, else what the files say.

    plate: the vendor's or the file names' plate, which goes before the folder's. timepoint: the vendor's, which goes after it.
    White space in a name becomes `_`. Raises AcquisitionError where no safe id comes of it.
    """
    match = _SUFFIX.fullmatch(folder)
    folder_plate, folder_time = (match["plate"], match["timepoint"]) if match else (folder, None)
    if timepoint and options.timepoint == timepoint:  # one of several visits: `P1_096h` and `P1_120h` may both hold a `t1`
        options, folder_time = replace(options, timepoint=None), f"{folder_time}-{timepoint}" if folder_time else None
    named, plate_source = _first((options.plate, "options"), (plate, "files"), (folder_plate, "folder name"))
    time, time_source = _first(
        (options.timepoint, "options"), (folder_time, "folder name"), (timepoint, "files"), ("t0", "nothing tells it: t0")
    )
    plate_name, time_name = "_".join(named.split()), "_".join(time.split())
    check_acquisition_id(plate_name)
    check_acquisition_id(f"{plate_name}_{time_name}")
    hours = options.timepoint_h if options.timepoint_h is not None else hours_of(time_name)
    return Identity(plate_name, time_name, hours, {"plate": plate_source, "timepoint": time_source})


def _first(*candidates: tuple[str | None, str]) -> tuple[str, str]:
    return next((text.strip(), source) for text, source in candidates if text and text.strip())
