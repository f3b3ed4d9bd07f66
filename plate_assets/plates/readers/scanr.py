"""ScanR (Olympus, Evident): the folder with `metadata.ome.xml`, OME-XML that lists every image, beside the TIFF files.

Belongs here: which well, site and file ScanR means. Not here: OME-XML itself (`ome_xml`); ScanR folders without this file are
read by their names (`filenames`).

- The well: by the plate that the XML describes, where it does; else by the name in `Well 14, Position 1 (B2)` or before the
  file's name, else by its number, which counts row by row. Name and number together tell the plate's format.
- The axes: PositionX and PositionY are places on the stage, µm, Y up (fractal-uzh-converters turns Y round as well). Where the
  wells' centres are is not said, so places are given from the middle of a well's sites, and only where a well has several.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

import polars as pl
from upath import UPath

from plate_assets.plates.acquisition import LISTED, Acquisition, AcquisitionError
from plate_assets.plates.layout import FORMATS, LayoutError, PlateFormat, Well
from plate_assets.plates.listing import Listing
from plate_assets.plates.readers.identity import identify
from plate_assets.plates.readers.ome_xml import Ome, OmeImage, TiffData, page_table, plane_table, read_ome
from plate_assets.plates.readers.options import ReadOptions
from plate_assets.plates.readers.reader import SeveralTimepoints, build_acquisition, check_paths, format_of, read_start
from plate_assets.plates.readers.vendor_xml import elements

METADATA_NAME = "metadata.ome.xml"
_ALSO = ("experiment_descriptor.xml", "experiment_descriptor.dat", "acquisitionlog.dat")
_FILE = (
    r"(?:^|/)(?:(?P<label>[A-Za-z]{1,2}[0-9]{1,2})|[^/]*?)--W(?P<number>[0-9]{5})--P(?P<site>[0-9]{5})--Z(?P<z>[0-9]{5})--T(?P<t>[0-9]{5})"
    r"--(?P<channel>[^/]+)\.(?i:tiff?)$"
)
_KEY = ["number", "site", "z", "t", "channel"]


@dataclass(frozen=True)
class ScanrReader:
    """Reads the folder that holds `metadata.ome.xml`, or any folder above it that holds just one."""

    name: str = "scanr"
    complete_when: str = "every image that `metadata.ome.xml` names is there"

    def recognises(self, listing: Listing) -> bool:
        """Whether a `metadata.ome.xml` says that ScanR wrote it (or is too short to tell), or ScanR's file names are there."""
        found = _metadata(listing)
        return any(_is_scanr(listing, path) for path in found) or bool(
            found and any(re.search(_FILE, path) for path in listing.sizes if "--W" in path)
        )

    def read(self, listing: Listing, options: ReadOptions) -> Acquisition:
        """The acquisition as the XML has it; images that it names and the folder lacks have `present` False."""
        path = _one_metadata(listing)
        where, folder = listing.path_of(path), PurePosixPath(path).parent
        ome = read_ome(elements(where), where, bare_um=1.0)
        if not ome.images:
            raise AcquisitionError(f"{where} names no image: export the acquisition again with its images")
        if len(ome.plates) > 1:
            raise AcquisitionError(f"{where} names {len(ome.plates)} plates, and an acquisition is one: export them one by one")
        pages = _pages(where, ome)
        warnings = _warnings(ome.images, pages.height)
        images, shape = _wells(where, ome, pages, options, warnings)
        visit, time = _one_visit(str(where), pages, ome, options)
        found = _found(listing, where, folder, ome, visit.join(images, on="image"))
        there = found["path"].is_in(pl.Series(list(listing.sizes), dtype=pl.String).implode()).sum()
        pixel_um = next((image.pixel_um for image in ome.images if image.pixel_um and image.pixel_um > 0), None)
        plate = ome.plates[0].name if ome.plates else None
        also = listing.named(*_ALSO)
        return build_acquisition(
            listing, self.name, identify(_folder_name(listing), options, plate, time), found, options,
            complete=there == found.height,
            completeness=f"{LISTED}: {there} of {found.height} images of {path} are there",
            shape=shape, pixel_um=(pixel_um, "files") if pixel_um else None, started_at=_started_at(ome),
            objective=next((image.objective for image in ome.images if image.objective), None),
            metadata=ome.about | {"UUID": ome.uuid}, documents=[path, *also], warnings=warnings,
            belongs=listing.fitting("--W"),
        )  # fmt: skip


def _metadata(listing: Listing) -> list[str]:
    return listing.named(METADATA_NAME)


def _is_scanr(listing: Listing, path: str) -> bool:
    start = read_start(listing, path, 4096).lower()
    return b"scanr" in start or len(start) < 128


def _one_metadata(listing: Listing) -> str:
    found = _metadata(listing)
    if len(found) > 1:
        raise AcquisitionError(
            f"{listing.root} holds {len(found)} acquisitions ({found[0]}, {found[1]}): name the folder of one of them"
        )
    if not found:
        raise AcquisitionError(f"{listing.root} holds no {METADATA_NAME}, which lists the images: copy the whole acquisition")
    return found[0]


def _folder_name(listing: Listing) -> str:
    """The acquisition's folder; ScanR's own `data` says nothing of plate or time."""
    return listing.root.parent.name if listing.root.name.lower() == "data" else listing.root.name


def _warnings(images: Sequence[OmeImage], named: int) -> list[str]:
    """Pixel sizes or objectives that differ, though an acquisition has one of each; sizes that promise more than is named."""
    warnings = []
    if (promised := sum(image.plane_count for image in images)) > named:
        warnings.append(f"by their sizes the images have {promised} planes, and {named} are named: those that are named count")
    for name, values in (
        ("pixel size", {f"{image.pixel_um:g} µm" for image in images if image.pixel_um}),
        ("objective", {str(image.objective) for image in images if image.objective}),
    ):
        if len(values) > 1:
            warnings.append(
                f"images differ in their {name} ({', '.join(sorted(values)[:3])}): the first image's counts for all"
            )
    return warnings


def _pages(where: UPath, ome: Ome) -> pl.DataFrame:
    """Which file and page holds each plane; the file is null where the XML names none."""
    for image in ome.images:
        if not image.tiff_data:
            image.tiff_data.append(TiffData(None, None, None, None, 0, 0, 0))
    file = pl.col("file").str.strip_chars().str.replace_all("\\", "/", literal=True).str.replace(r"^(\./)+", "")
    return page_table(ome.images, where).with_columns(pl.when(file != "").then(file).alias("file"))


def _one_visit(where: str, pages: pl.DataFrame, ome: Ome, options: ReadOptions) -> tuple[pl.DataFrame, str | None]:
    """The planes of one time point and its name: when the acquisition began, with the number where there are several."""
    began = _started_at(ome)
    stamp = began.strftime("%Y%m%dT%H%M%S") if began and began.year > 1900 else None
    times = pages["t"].unique().sort().to_list()
    if len(times) == 1:
        return pages, stamp
    names = {f"{stamp}-T{time}" if stamp else f"t{time}": time for time in times}
    if options.timepoint not in names:
        raise SeveralTimepoints(where, list(names))
    return pages.filter(pl.col("t") == names[options.timepoint]), options.timepoint


def _started_at(ome: Ome) -> datetime | None:
    dates = [image.acquired_at for image in ome.images if image.acquired_at]
    return min(dates) if dates else next((plate.started_at for plate in ome.plates), None)


def _wells(
    where: UPath, ome: Ome, pages: pl.DataFrame, options: ReadOptions, warnings: list[str]
) -> tuple[pl.DataFrame, tuple[int, int] | None]:
    """`image`, `number` (the well's, may be null), `site`, `row` and `col` of each image; the plate's rows and columns."""
    files = pages.group_by("image", maintain_order=True).agg(pl.col("file").drop_nulls().first())
    images = files.with_columns(
        pl.Series("id", [ome.images[index].id for index in files["image"]], dtype=pl.String),
        pl.Series("name", [ome.images[index].name for index in files["image"]], dtype=pl.String),
        pl.col("file").str.extract_groups(_FILE).struct.rename_fields(["label", "number", "site", "z", "t", "channel"])
        .alias("by_file"),
    )  # fmt: skip
    from_file = pl.col("by_file").struct
    images = images.select(
        "image",
        "id",
        *(
            pl.coalesce(
                pl.col("id").str.extract(r"W([0-9]{1,5})P([0-9]{1,5})$", group),
                pl.col("name").str.extract(r"^Well ([0-9]{1,5}), Position ([0-9]{1,5})\b", group),
                from_file.field(name),
            ).cast(pl.Int64).alias(name) for group, name in ((1, "number"), (2, "site"))
        ),
        pl.coalesce(pl.col("name").str.extract(r"\(([A-Za-z]{1,2}[0-9]{1,2})\)\s*$"), from_file.field("label")).alias("label"),
    )  # fmt: skip
    images = _by_plate(images, ome)
    wells = [
        (row, col, label, number) for row, col, label, number in images.select("row", "col", "label", "number").iter_rows()
    ]
    shape = _shape(where, ome, wells, options)
    places = _places(where, wells, shape, options, warnings)
    if (siteless := images.filter(pl.col("site").is_null())).height:
        raise AcquisitionError(
            f"{where}: image {siteless['id'][0]!r} tells no site, and its ID should be as W14P1: export the acquisition again"
        )
    return images.select("image", "id", "number", "site").with_columns(
        pl.Series("row", [place.row for place in places], dtype=pl.Int64),
        pl.Series("col", [place.col for place in places], dtype=pl.Int64),
    ), shape


def _by_plate(images: pl.DataFrame, ome: Ome) -> pl.DataFrame:
    """Rows and columns from 1, and sites where the ids tell none, as the XML's plate has them."""
    rows = [
        (sample.image_id, well.row + 1, well.col + 1, site)
        for plate in ome.plates for well in plate.wells for site, sample in enumerate(well.samples, start=1)
    ]  # fmt: skip
    schema = {"id": pl.String, "row": pl.Int64, "col": pl.Int64, "nth": pl.Int64}
    placed = pl.DataFrame(rows, schema=schema, orient="row").unique("id", keep="first")
    images = images.join(placed, on="id", how="left", maintain_order="left")
    return images.with_columns(pl.coalesce("site", "nth").alias("site"))


def _shape(
    where: UPath, ome: Ome, wells: list[tuple[int | None, int | None, str | None, int | None]], options: ReadOptions
) -> tuple[int, int] | None:
    """Rows and columns of the plate: as the XML says, else the only format in which the wells' names have their numbers."""
    if options.plate_format is not None:
        return None
    told = [(plate.rows, plate.cols) for plate in ome.plates if plate.rows and plate.cols]
    if told:
        if told[0] in FORMATS.values():
            return told[0]
        raise AcquisitionError(
            f"{where} has a plate of {told[0][0]} rows and {told[0][1]} columns, and there is no such format here: set the "
            "option `plate_format`"
        )
    both = {(_well(where, label), number) for _, _, label, number in wells if label and number}
    fitting = [
        (rows, cols) for rows, cols in FORMATS.values()
        if all(well.row <= rows and well.col <= cols and (well.row - 1) * cols + well.col == number for well, number in both)
    ]  # fmt: skip
    return fitting[0] if len(fitting) == 1 else None


def _well(where: UPath, place: Any) -> Well:
    try:
        return Well.parse(place)
    except LayoutError as error:
        raise AcquisitionError(f"{where}: {error}") from error


def _places(
    where: UPath, wells: list[tuple[int | None, int | None, str | None, int | None]], shape: tuple[int, int] | None,
    options: ReadOptions, warnings: list[str],
) -> list[Well]:  # fmt: skip
    """The well of each image; where only its number is known, by the plate's format, or a guess of it with a warning."""
    by_number = [number for row, _, label, number in wells if row is None and not label and number is not None]
    cols = 0
    if by_number and (options.plate_format is not None or shape or options.defaults.plate_format is not None):
        cols = format_of(options, [], shape)[0].cols
    elif by_number:
        size = next((size for size in (96, 384) if max(by_number) <= size), 1536)
        cols = PlateFormat(size).cols
        warnings.append(
            f"wells are numbers: taken row by row on a {size}-well plate; set the option `plate_format` if it is another"
        )
    known: dict[tuple[Any, ...], Well] = {}
    for key in wells:
        row, col, label, number = key
        if key in known:
            continue
        if row is not None and col is not None:
            known[key] = _well(where, (row, col))
        elif label:
            known[key] = _well(where, label)
        elif number:
            known[key] = _well(where, ((number - 1) // cols + 1, (number - 1) % cols + 1))
        else:
            raise AcquisitionError(
                f"{where}: an image tells no well, by its plate, its name or its file: export the acquisition again"
            )
    return [known[key] for key in wells]


def _found(listing: Listing, where: UPath, folder: PurePosixPath, ome: Ome, visit: pl.DataFrame) -> pl.DataFrame:
    """The table that `build_acquisition` takes."""
    visit = visit.join(_channels(ome), on=["image", "c"], how="left").with_columns(
        pl.col("channel").fill_null(pl.format("c{}", pl.col("c") + 1))
    )
    check_paths(listing, visit["file"].drop_nulls())
    visit = _paths(listing, where, f"{folder}/" if folder.parts else "", visit)
    if (again := visit.filter(visit.select("path", "ifd").is_duplicated())).height:
        raise AcquisitionError(
            f"{where} says of several images that each is page {again['ifd'][0]} of {again['path'][0]!r}: export the "
            "acquisition again"
        )
    dates = pl.DataFrame(
        {"image": list(range(len(ome.images))), "date": [image.acquired_at for image in ome.images]},
        schema={"image": pl.Int64, "date": pl.Datetime("us", "UTC")},
    ).filter(pl.col("date").dt.year() < 9990)
    visit = visit.join(plane_table(ome.images), on=["image", "z", "c", "t"], how="left").join(dates, on="image", how="left")
    after = pl.when(pl.col("delta_s").abs() < 1e8).then(pl.col("delta_s")).fill_null(0)
    well = ["row", "col"]
    several = pl.col("site").n_unique().over(well) > 1
    right, up = (
        pl.when(several).then(pl.col(axis) - (pl.col(axis).min().over(well) + pl.col(axis).max().over(well)) / 2)
        for axis in ("x_um", "y_um")
    )
    return visit.select(
        pl.col("row").alias("Metadata_Row"),
        pl.col("col").alias("Metadata_Col"),
        pl.col("site").alias("Metadata_Site"),
        (pl.col("z") + 1).alias("Metadata_Plane"),
        pl.col("channel").alias("Metadata_Channel"),
        "path",
        pl.col("ifd").alias("page"),
        right.alias("x_um"),
        (0 - up).alias("y_um"),
        "z_um",
        (pl.col("date") + pl.duration(microseconds=(after * 1e6).cast(pl.Int64))).alias("acquired_at"),
        "excitation_nm",
        "emission_nm",
    )


def _channels(ome: Ome) -> pl.DataFrame:
    """Name and light of each channel of each image; two of one name are told apart by their number."""
    rows = []
    for index, image in enumerate(ome.images):
        names = [channel.name or f"c{number + 1}" for number, channel in enumerate(image.channels)]
        taken = Counter(names)
        for number, (channel, name) in enumerate(zip(image.channels, names, strict=True)):
            told = name if taken[name] == 1 else f"{name} ({number + 1})"
            rows.append((index, number, told, name, channel.excitation_nm, channel.emission_nm))
    schema = {"image": pl.Int64, "c": pl.Int64, "channel": pl.String, "in_file": pl.String}
    return pl.DataFrame(rows, schema=schema | dict.fromkeys(("excitation_nm", "emission_nm"), pl.Float64), orient="row")


def _paths(listing: Listing, where: UPath, prefix: str, visit: pl.DataFrame) -> pl.DataFrame:
    """`path` of each plane: as the XML names it, else the file that has ScanR's name for it, else that name."""
    visit = visit.with_columns((pl.lit(prefix) + pl.col("file")).alias("path"))
    if not visit["path"].null_count():
        return visit
    if (lost := visit.filter(pl.col("path").is_null() & pl.col("number").is_null())).height:
        raise AcquisitionError(
            f"{where} names no file for image {lost['id'][0]!r}, and its ID should be as W14P1: export the acquisition again"
        )
    names = pl.Series("there", [path for path in listing.sizes if path.startswith(prefix) and "--W" in path], dtype=pl.String)
    groups = names.str.extract_groups(_FILE).struct.unnest()
    there = groups.with_columns(pl.col("number", "site", "z", "t").cast(pl.Int64), names).drop("label")
    visit = visit.with_columns(pl.coalesce("in_file", "channel").alias("in_file"))
    visit = visit.join(there, left_on=[*_KEY[:4], "in_file"], right_on=_KEY, how="left", suffix="_file")
    numbers = [pl.col(name).cast(pl.String).str.zfill(5) for name in _KEY[:4]]
    named = pl.format("{}--W{}--P{}--Z{}--T{}--{}.tif", pl.lit(prefix), *numbers, pl.col("in_file"))
    return visit.with_columns(pl.coalesce("path", "there", named).alias("path"))
