"""The seam that readers plug into: what a reader is, what it may be told, and how its findings become an `Acquisition`.

Belongs here: what every reader shares: the protocol, the options, identity from folder names, the checked table of images. Not
here: any one layout. A new reader is one file beside this one that ends in `build_acquisition`, and one line in `READERS`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import polars as pl

from plate_assets.plates.acquisition import Acquisition, AcquisitionError, check_acquisition_id
from plate_assets.plates.layout import PlateFormat, Well
from plate_assets.plates.listing import Listing
from plate_assets.plates.tables import IMAGES

_SUFFIX = re.compile(r"(?P<plate>.+)_(?P<timepoint>\d+(?:\.\d+)?h|d\d+|day\d+|t\d+|\d{8}T\d{6})", re.IGNORECASE)
_HOURS = re.compile(r"(\d+(?:\.\d+)?)h", re.IGNORECASE)
_DAYS = re.compile(r"(?:d|day)(\d+)", re.IGNORECASE)

IMAGE_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class ReadOptions:
    """What a person says where the folder does not, or says it wrongly; each overrides what the reader finds."""

    pattern: str | None = None  # for folders read by file names: a preset, or one's own expression with named groups
    pixel_um: float | None = None  # pixel size, µm
    plate_format: PlateFormat | int | None = None  # or its number of wells
    plate: str | None = None
    timepoint: str | None = None  # also chooses one where a folder holds several
    timepoint_h: float | None = None  # hours since the culture began


class Reader(Protocol):
    """Reads one vendor's layout."""

    @property
    def name(self) -> str:
        """What `Acquisition.layout` says, for example `operetta`."""
        ...

    def recognises(self, listing: Listing) -> bool:
        """Whether this folder has the layout: by its names and small metadata, never by opening images."""
        ...

    def read(self, listing: Listing, options: ReadOptions) -> Acquisition:
        """The acquisition; AcquisitionError with file, place and remedy where the folder is broken."""
        ...


class SeveralTimepoints(AcquisitionError):
    """A folder that holds more than one visit: an acquisition is one, so one has to be chosen."""

    def __init__(self, folder: str, timepoints: Sequence[str]) -> None:
        self.timepoints = tuple(timepoints)
        shown = ", ".join(self.timepoints[:10])
        super().__init__(
            f"{folder} holds {len(timepoints)} time points ({shown}), and an acquisition is one visit to the plate: choose one "
            "with the option `timepoint`, or put each into a folder of its own"
        )


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


def format_of(options: ReadOptions, wells: Sequence[Well], shape: tuple[int, int] | None = None) -> tuple[PlateFormat, str]:
    """The plate's format and where it came from: options, the vendor's rows × columns, or the smallest that holds the wells."""
    if options.plate_format is not None:
        given = options.plate_format
        return given if isinstance(given, PlateFormat) else PlateFormat(given), "options"
    if shape is not None:
        return PlateFormat.of_shape(*shape), "files"
    return PlateFormat.smallest_for(list(wells)), "guessed: the smallest that holds the wells"


def build_acquisition(
    listing: Listing,
    layout: str,
    identity: Identity,
    found: pl.DataFrame,
    options: ReadOptions,
    *,
    complete: bool | None,
    completeness: str,
    shape: tuple[int, int] | None = None,
    pixel_um: tuple[float, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    documents: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> Acquisition:
    """Check what a reader found and make the acquisition of it.

    found: one row for each image with `Metadata_Row`, `Metadata_Col`, `Metadata_Site`, `Metadata_Channel`, `Metadata_Plane`,
    `path` and `page`. shape: the vendor's rows and columns of the plate. pixel_um: size in µm and where it came from.
    Raises AcquisitionError for a path that leaves the folder, a well that is not on the plate, two files for one image.
    """
    check_paths(listing, found["path"])
    wells = [Well(row, col) for row, col in found.select("Metadata_Row", "Metadata_Col").unique().sort(pl.all()).iter_rows()]
    plate_format, format_source = format_of(options, wells, shape)
    if outside := [well for well in wells if well not in plate_format]:
        raise AcquisitionError(
            f"{listing.root} has images of well {outside[0].name}, which is on no {plate_format.wells}-well plate: set the "
            "option `plate_format`, or look at the file names"
        )
    names = pl.DataFrame(
        {
            "Metadata_Row": [w.row for w in wells],
            "Metadata_Col": [w.col for w in wells],
            "Metadata_Well": [w.name for w in wells],
        },
        schema={"Metadata_Row": pl.Int64, "Metadata_Col": pl.Int64, "Metadata_Well": pl.String},
    )
    sizes = pl.DataFrame(
        {"path": list(listing.sizes), "size_bytes": list(listing.sizes.values())},
        schema={"path": pl.String, "size_bytes": pl.Int64},
    )
    images = (
        found.with_columns(pl.col("Metadata_Row", "Metadata_Col").cast(pl.Int64))
        .join(names, on=["Metadata_Row", "Metadata_Col"], how="left")
        .join(sizes, on="path", how="left")
        .with_columns(
            pl.lit(identity.plate).alias("Metadata_Plate"),
            pl.lit(identity.timepoint).alias("Metadata_Timepoint"),
            pl.lit(identity.timepoint_h, dtype=pl.Float64).alias("Metadata_Timepoint_h"),
            pl.col("size_bytes").is_not_null().alias("present"),
        )
        .sort("Metadata_Row", "Metadata_Col", "Metadata_Site", "Metadata_Channel", "Metadata_Plane", "path")
    )
    check_once(listing, images)
    size, size_source = (options.pixel_um, "options") if options.pixel_um is not None else pixel_um or (None, "unknown")
    if size is not None and not 0.001 <= size <= 1000:
        raise AcquisitionError(f"a pixel of {size} µm cannot be: set the option `pixel_um`, in micrometres")
    return Acquisition(
        plate=identity.plate,
        timepoint=identity.timepoint,
        timepoint_h=identity.timepoint_h,
        root=listing.root,
        layout=layout,
        plate_format=plate_format,
        images=IMAGES.conform(images),
        complete=complete,
        completeness=completeness,
        pixel_um=size,
        sources={**identity.sources, "plate_format": format_source, "pixel_um": size_source},
        metadata={key: str(value) for key, value in (metadata or {}).items() if value is not None},
        documents=tuple(documents),
        warnings=tuple(warnings),
    )


def check_paths(listing: Listing, paths: pl.Series) -> None:
    """Refuse a path that leads out of the folder: metadata is foreign text, and `../` in it must not reach other files."""
    outside = paths.filter(paths.str.contains(r"(^|[/\\])\.\.([/\\]|$)|^[/\\]|^[A-Za-z]:|://"))
    if outside.len():
        raise AcquisitionError(
            f"{listing.root} names the image {outside[0]!r}, which lies outside the folder: mend the name in its metadata"
        )


def check_once(listing: Listing, images: pl.DataFrame) -> None:
    """Refuse two files for one image: nobody can know which one counts."""
    doubled = images.filter(images.select(IMAGES.key).is_duplicated())
    if doubled.height:
        first = doubled.row(0, named=True)
        same = doubled.filter(pl.all_horizontal(pl.col(key) == first[key] for key in IMAGES.key))["path"].to_list()
        raise AcquisitionError(
            f"{listing.root}: well {first['Metadata_Well']}, site {first['Metadata_Site']}, channel "
            f"{first['Metadata_Channel']}, plane {first['Metadata_Plane']} is there twice: {same[0]} and {same[-1]}. Remove or "
            "move one of them, or give a `pattern` that tells them apart"
        )
