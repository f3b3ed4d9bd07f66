"""An acquisition: one visit of the microscope to one plate. Its identity, its images, what is complete and what is missing.

Belongs here: the type that every reader gives and every workflow takes. Not here: any vendor's layout (`readers`), pixels
(`images`), what is in a well (`platemap`).
"""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, NamedTuple, cast

import polars as pl
from upath import UPath

from plate_assets.plates.layout import PlateFormat
from plate_assets.progress import Progress

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
MAX_ID_LENGTH = 100

# How it is known that an acquisition is complete: what `Acquisition.completeness` starts with.
MARKER = "the vendor's end marker"
LISTED = "the vendor's list of files"
SETTLING = "only by its files staying the same"


class AcquisitionError(ValueError):
    """A folder that is no acquisition, or a broken one: the message names the file, the place and the remedy."""


def check_acquisition_id(text: str) -> str:
    """Return the id, or raise AcquisitionError: it becomes a folder and a partition key, so `..` or `a/b` stop here."""
    if len(text) > MAX_ID_LENGTH or not _ID.fullmatch(text):
        raise AcquisitionError(
            f"{text[:120]!r} cannot name an acquisition: use letters, digits, `_`, `-` and single dots inside, {MAX_ID_LENGTH} "
            "characters at most, and rename the folder or the plate"
        )
    return text


class Objective(NamedTuple):
    """The lens that the images were taken with."""

    magnification: float
    numerical_aperture: float | None = None

    def __str__(self) -> str:
        return f"{self.magnification:g}×" + (f"/{self.numerical_aperture:g}" if self.numerical_aperture else "")


@dataclass(frozen=True)
class Acquisition:
    """What a reader found in one folder. Immutable; `images` has the schema `plates.tables.IMAGES`."""

    plate: str
    timepoint: str
    timepoint_h: float | None
    root: UPath
    layout: str  # the reader that read it, for example `operetta`
    plate_format: PlateFormat
    images: pl.DataFrame
    complete: bool | None  # True or False where the vendor's marker or list says it; None: only the settling rule can
    completeness: str  # how that is known, for a person
    pixel_um: float | None = None
    objective: Objective | None = None
    started_at: datetime | None = None  # of the visit, with its time zone
    sources: dict[str, str] = field(default_factory=dict)  # where pixel size, time point, … came from: files, name, settings
    metadata: dict[str, str] = field(default_factory=dict)  # what else the vendor says: instrument, objective, start time
    documents: tuple[str, ...] = ()  # the vendor's metadata files, relative like `images.path`: part of the fingerprint
    belongs: tuple[str, ...] = ()  # files of the layout besides images and documents: those of other visits
    warnings: tuple[str, ...] = ()  # what a person should know: files that no pattern understands, guesses

    @property
    def acquisition_id(self) -> str:
        """`<plate>_<time point>`: checked, never parsed back."""
        return check_acquisition_id(f"{self.plate}_{self.timepoint}")

    @property
    def missing(self) -> pl.DataFrame:
        """The images that the metadata names and the folder lacks."""
        return self.images.filter(~pl.col("present"))

    def missing_said(self, at_most: int | None = None) -> list[str]:
        """Each missing image as a person looks for it: well, site, channel, plane, file."""
        keys = ("Metadata_Well", "Metadata_Site", "Metadata_Channel", "Metadata_Plane", "path")
        rows = self.missing.head(at_most) if at_most is not None else self.missing
        return rows.select(pl.format("{} site {} {} plane {}: {}", *keys)).to_series().to_list()


def fingerprint(acquisition: Acquisition, progress: Progress | None = None) -> str:
    """sha256 (64 hex digits) over the bytes of the images and the vendor's metadata, with their names.

    Read in a stream, file by file in the order of their names, so that neither memory nor the file system's order matters;
    times and the folder's own name do not count. Images that are missing count as missing. Raises AcquisitionError where a file
    is gone or cannot be read.
    """
    paths = sorted({*acquisition.images.filter("present")["path"].to_list(), *acquisition.documents})
    total = hashlib.sha256()
    for done, path in enumerate(paths, start=1):
        try:
            with (acquisition.root / path).open("rb") as file:
                digest = hashlib.file_digest(cast(BinaryIO, file), "sha256").hexdigest()  # pyright: ignore[reportArgumentType]
        except OSError as error:
            raise AcquisitionError(
                f"{acquisition.root / path} could be listed and not read ({error}): look whether the folder is still being "
                "moved or copied, then ingest it again"
            ) from error
        total.update(f"{path}\0{digest}\n".encode())
        if progress:
            progress(done, len(paths))
    return total.hexdigest()
