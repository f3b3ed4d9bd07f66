"""LAYOUTS.md: what each reader reads and when it is complete, in the words of its module."""

import inspect

from plate_assets.plates.readers import BY_NAMES, BY_SHEET, READERS
from plate_assets.plates.readers.filenames import PRESETS

HEAD = """# The layouts that come in, and when each is complete

Written from the readers in the code by `make docs`. The layout is found out by what a folder holds; two layouts
in one folder are an error that names both. `plate-assets inspect FOLDER` shows what a reader found, and where each thing came
from.

- **Complete.** The arrivals sensor starts nothing early: a folder whose layout has a list of its files starts when all are
  there and one more look found nothing changed; any other when `PLATE_ASSETS_SETTLE_LOOKS` looks in a row found it
  unchanged. Files that a copy in progress writes (`.part`, `.tmp`, rsync's) hold a folder back.
- **Missing.** An image that the metadata names and the folder lacks is listed by well, site and channel, and waited for;
  the plate runs without it only with `PLATE_ASSETS_ALLOW_MISSING=true`.
- **Visits.** An acquisition is one visit of the microscope to one plate. A folder that holds several gives an acquisition
  for each, and a visit that comes later starts alone.
- **What is not told.** Pixel size, plate format, objective, channel names and wavelengths are the vendor's where it gives
  them; the settings `PLATE_ASSETS_PIXEL_UM`, `_PLATE_FORMAT`, `_OBJECTIVE`, `_CHANNEL_NAMES` and `_WAVELENGTHS_NM` fill
  what it leaves out.
- **Places.** Stage places count from the well's centre, right and down, in µm. Plane 0 is a projection that the microscope
  made.
"""


def page() -> str:
    """The whole page: each layout in the reader's own words, and when it is complete."""
    parts = [HEAD]
    for reader in (*READERS, BY_SHEET, BY_NAMES):
        said = inspect.getdoc(inspect.getmodule(type(reader))) or ""
        paragraphs = [each for each in said.split("\n\n") if not each.startswith("Belongs here")]
        does = inspect.getdoc(type(reader)) or ""
        parts.append(
            f"## {reader.name}\n\n" + "\n\n".join([*paragraphs, does]) + f"\n\n**Complete when** {reader.complete_when}.\n"
        )
    presets = "\n".join(f"{name:18} {pattern}" for name, pattern in PRESETS.items())
    parts.append(f"### Presets\n\nThe expression that a name must fit, without its ending:\n\n```\n{presets}\n```\n")
    return "\n".join(parts)
