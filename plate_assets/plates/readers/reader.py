"""The seam that readers plug into: what a reader is, and how its findings become an `Acquisition`.

Belongs here: what every reader shares: the protocol, the beginnings of files, the checked table of images. Not here: what a
person may say (`options`), plate and time point from names (`identity`), any one layout. A new reader is one file beside this
one that ends in `build_acquisition`, and one line in `READERS`.
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Protocol

import polars as pl

from plate_assets.plates.acquisition import Acquisition, AcquisitionError, Objective
from plate_assets.plates.layout import PlateFormat, Well
from plate_assets.plates.listing import Listing, local_path
from plate_assets.plates.readers.identity import Identity
from plate_assets.plates.readers.options import Defaults, ReadOptions
from plate_assets.plates.tables import IMAGES

MAX_ROWS, MAX_COLS, MAX_NUMBER = 32, 48, 1_000_000  # of the largest plate; of sites and planes

IMAGE_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")


class Reader(Protocol):
    """Reads one vendor's layout."""

    @property
    def name(self) -> str:
        """What `Acquisition.layout` says, for example `operetta`."""
        ...

    @property
    def complete_when(self) -> str:
        """When an acquisition of this layout is complete, in words for a person: `docs/LAYOUTS.md` shows it."""
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


def format_of(options: ReadOptions, wells: Sequence[Well], shape: tuple[int, int] | None = None) -> tuple[PlateFormat, str]:
    """The plate's format and where it came from: options, the vendor's rows × columns, settings, or the smallest that holds
    the wells."""
    if options.plate_format is not None:
        given = options.plate_format
        return given if isinstance(given, PlateFormat) else PlateFormat(given), "options"
    if shape is not None:
        return PlateFormat.of_shape(*shape), "files"
    if (default := options.defaults.plate_format) is not None:
        return default if isinstance(default, PlateFormat) else PlateFormat(default), "settings"
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
    objective: Objective | None = None,
    started_at: datetime | None = None,
    metadata: Mapping[str, Any] | None = None,
    flatfields: Mapping[str, str] | None = None,
    documents: Sequence[str] = (),
    belongs: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> Acquisition:
    """Check what a reader found and make the acquisition of it.

    found: one row for each image with `Metadata_Row`, `Metadata_Col`, `Metadata_Site`, `Metadata_Channel`, `Metadata_Plane`,
    `path` and `page`; where the vendor says them also the columns of IMAGES that may be empty: place, time, wavelengths.
    shape: the vendor's rows and columns of the plate. pixel_um: size in µm and where it came from. flatfields: the vendor's
    profile of each channel's light, as it is written. belongs: files of the layout that are not of this visit.
    Raises AcquisitionError for a path that leaves the folder, a well that is not on the plate, two files for one image.
    """
    check_paths(listing, found["path"])
    _check_numbers(listing, found)
    wells = [Well(row, col) for row, col in found.select("Metadata_Row", "Metadata_Col").unique().sort(pl.all()).iter_rows()]
    plate_format, format_source = format_of(options, wells, shape)
    if outside := [well for well in wells if well not in plate_format]:
        raise AcquisitionError(
            f"{listing.root} has images of well {outside[0].name}, which is on no {plate_format.wells}-well plate: set the "
            "option `plate_format`, or look at the file names"
        )
    found, sources = _with_defaults(found, options.defaults)
    better = options.defaults.channel_names
    images = _images_table(listing, found, identity, wells)
    check_once(listing, images)
    size, size_source = _chosen((options.pixel_um, "options"), pixel_um, (options.defaults.pixel_um, "settings"))
    lens, lens_source = _chosen((objective, "files"), (options.defaults.objective, "settings"))
    sources |= {"plate_format": format_source, "pixel_um": size_source, "objective": lens_source}
    sources["started_at"] = "files" if started_at else "unknown"
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
        objective=lens,
        started_at=started_at,
        sources=identity.sources | sources,
        metadata={key: str(value) for key, value in (metadata or {}).items() if value is not None}
        | {f"FlatfieldProfile {better.get(name, name)}": text for name, text in (flatfields or {}).items()},
        documents=tuple(documents),
        belongs=tuple(belongs),
        warnings=tuple(warnings),
    )


def _images_table(listing: Listing, found: pl.DataFrame, identity: Identity, wells: Sequence[Well]) -> pl.DataFrame:
    """What a reader found with the identity, the wells' names, and the sizes of the files that are there."""
    names = pl.DataFrame(
        {
            "Metadata_Row": [w.row for w in wells],
            "Metadata_Col": [w.col for w in wells],
            "Metadata_Well": [w.name for w in wells],
        },
        schema={"Metadata_Row": pl.Int64, "Metadata_Col": pl.Int64, "Metadata_Well": pl.String},
    )
    return (
        found.with_columns(pl.col("Metadata_Row", "Metadata_Col").cast(pl.Int64))
        .join(names, on=["Metadata_Row", "Metadata_Col"], how="left")
        .join(listing.table, on="path", how="left")
        .with_columns(
            pl.lit(identity.plate).alias("Metadata_Plate"),
            pl.lit(identity.timepoint).alias("Metadata_Timepoint"),
            pl.lit(identity.timepoint_h, dtype=pl.Float64).alias("Metadata_Timepoint_h"),
            pl.col("size_bytes").is_not_null().alias("present"),
        )
        .sort("Metadata_Row", "Metadata_Col", "Metadata_Site", "Metadata_Channel", "Metadata_Plane", "path")
    )


def _chosen(*candidates: tuple[Any, str] | None) -> tuple[Any, str]:
    return next((given for given in candidates if given and given[0] is not None), (None, "unknown"))


def _with_defaults(found: pl.DataFrame, defaults: Defaults) -> tuple[pl.DataFrame, dict[str, str]]:
    """Channels by the names that the settings give them, with wavelengths where the vendor gives none; and the sources."""
    sources = {}
    names = set(found["Metadata_Channel"].unique())
    if renamed := {old: new for old, new in defaults.channel_names.items() if old in names}:
        found = found.with_columns(pl.col("Metadata_Channel").replace(renamed))
    sources["channels"] = "settings" if renamed else "files"
    by_vendor = [name for name in ("excitation_nm", "emission_nm") if name in found.columns and found[name].count()]
    if by_vendor or not (known := {k: v for k, v in defaults.wavelengths_nm.items() if k in set(found["Metadata_Channel"])}):
        return found, sources | {"wavelengths": "files" if by_vendor else "unknown"}
    found = found.with_columns(
        pl.col("Metadata_Channel").replace_strict({k: v[side] for k, v in known.items()}, default=None, return_dtype=pl.Float64)
        .alias(name) for side, name in enumerate(("excitation_nm", "emission_nm"))
    )  # fmt: skip
    return found, sources | {"wavelengths": "settings"}


def read_start(listing: Listing, path: str, most: int) -> bytes:
    """The first bytes of a file, `most` of them at most. Raises AcquisitionError where it cannot be read."""
    local = local_path(listing.root)  # opened without a UPath: a store of Zarr has thousands of documents
    try:
        with open(f"{local}/{path}", "rb") if local is not None else listing.path_of(path).open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise AcquisitionError(
            f"{listing.root}/{path} could be listed and not read ({error}): look again when it was copied"
        ) from error


def number_or_none(text: str | None) -> float | None:
    """The finite number that a vendor's text is; None where it is none."""
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and math.isfinite(value) else None


def instant(text: str | None, default_zone: tzinfo = UTC) -> datetime | None:
    """The instant that an ISO 8601 text tells, in UTC; None where it tells none.

    default_zone: of a text without one. Seven decimals, as .NET writes them, are cut to six.
    """
    try:
        when = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.strip())) if text else None
        return None if when is None else (when if when.tzinfo else when.replace(tzinfo=default_zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _check_numbers(listing: Listing, found: pl.DataFrame) -> None:
    """Refuse rows, columns, sites and planes that cannot be: a damaged number must not become another one on its way."""
    most = {"Metadata_Row": MAX_ROWS, "Metadata_Col": MAX_COLS, "Metadata_Site": MAX_NUMBER, "Metadata_Plane": MAX_NUMBER}
    for name, highest in most.items():
        lowest = 0 if name == "Metadata_Plane" else 1
        odd = found.filter(~pl.col(name).is_between(lowest, highest) | pl.col(name).is_null())
        if odd.height:
            raise AcquisitionError(
                f"{listing.root / str(odd['path'][0])} is of {name.removeprefix('Metadata_').lower()} {odd[name][0]}, and a "
                f"number from {lowest} to {highest:,} is needed: mend it in the metadata, or export again"
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
