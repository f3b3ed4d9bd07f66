"""Readers: one file for each layout; all give the same `Acquisition`.

A new vendor's reader plugs in here: a file with a class that satisfies `reader.Reader`, and its instance in `READERS`. A sample
sheet is asked first, because a person wrote it, and image names alone (`filenames`) last, because vendors' trees often hold
names that a pattern would understand as well.
"""

import re
from pathlib import Path

from upath import UPath

from plate_assets.plates.acquisition import Acquisition, AcquisitionError
from plate_assets.plates.listing import Listing, list_folder
from plate_assets.plates.readers.cellvoyager import CellVoyagerReader
from plate_assets.plates.readers.filenames import FilenameReader
from plate_assets.plates.readers.imagexpress import ImageXpressReader
from plate_assets.plates.readers.ome_tiff import OmeTiffReader
from plate_assets.plates.readers.ome_zarr import OmeZarrReader
from plate_assets.plates.readers.operetta import OperettaReader
from plate_assets.plates.readers.options import Defaults, ReadOptions
from plate_assets.plates.readers.reader import IMAGE_SUFFIXES, Reader, SeveralTimepoints
from plate_assets.plates.readers.sample_sheet import SampleSheetReader
from plate_assets.plates.readers.scanr import ScanrReader

READERS: tuple[Reader, ...] = (
    OperettaReader(),
    ImageXpressReader(),
    CellVoyagerReader(),
    ScanrReader(),
    OmeTiffReader(),
    OmeZarrReader(),
)
BY_NAMES, BY_SHEET = FilenameReader(), SampleSheetReader()

__all__ = [
    "BY_NAMES",
    "BY_SHEET",
    "READERS",
    "Defaults",
    "ReadOptions",
    "Reader",
    "SeveralTimepoints",
    "open_acquisition",
    "read_listing",
]


def open_acquisition(folder: UPath | Path | str, options: ReadOptions | None = None) -> Acquisition:
    """Read the folder of one acquisition with the reader that recognises it.

    Raises AcquisitionError where no reader or more than one recognises it, or where it is broken; SeveralTimepoints where it
    holds more than one visit.
    """
    return read_listing(list_folder(UPath(str(folder)) if isinstance(folder, str) else UPath(folder)), options or ReadOptions())


def read_listing(listing: Listing, options: ReadOptions) -> Acquisition:
    """The same for a folder that was listed already. A `pattern` in the options is for folders without a vendor's metadata."""
    recognised = [BY_SHEET] if BY_SHEET.recognises(listing) else [reader for reader in READERS if reader.recognises(listing)]
    if len(recognised) > 1:
        raise _two_layouts(listing, [reader.name for reader in recognised])
    if not recognised:
        if options.pattern is None and not BY_NAMES.recognises(listing):
            raise AcquisitionError(_unknown(listing))
        return BY_NAMES.read(listing, options)
    acquisition = recognised[0].read(listing, options)
    claimed = {*acquisition.images["path"], *acquisition.documents, *acquisition.belongs}
    left = [entry for entry in listing.entries if entry.path not in claimed]
    if left and BY_NAMES.recognises(Listing(listing.root, left)):
        raise _two_layouts(listing, [recognised[0].name, BY_NAMES.name])
    return acquisition


def _two_layouts(listing: Listing, names: list[str]) -> AcquisitionError:
    return AcquisitionError(
        f"{listing.root} holds two layouts, {' and '.join(names)}: put each into a folder of its own, or take away what does "
        "not belong to the acquisition"
    )


def _unknown(listing: Listing) -> str:
    images = listing.fitting(f"(?i)(?:{'|'.join(map(re.escape, IMAGE_SUFFIXES))})$")
    if not listing.entries:
        return f"{listing.root} is empty: name the folder that holds the images"
    if not images:
        count = len(listing.entries)
        return f"{listing.root} holds {count} files and no TIFF, PNG or JPEG image: name the folder that holds the images"
    known = ", ".join(reader.name for reader in (BY_SHEET, *READERS, BY_NAMES))
    return (
        f"{listing.root} holds {len(images)} images, for example {images[0]!r}, in a layout that no reader recognises "
        f"({known}): give a regular expression for the names with the option `pattern`, or complete the vendor's metadata "
        "beside the images"
    )
