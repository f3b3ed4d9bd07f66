"""OME-TIFF: single files, sets of files that name each other, and companion files (`*.companion.ome`, `*.ome.xml`).

Belongs here: which OME-XML counts for a folder, which file holds a plane, and the well: by the plate in the XML, else by the
file's name. Not here: what OME-XML says (`ome_xml`), the patterns of names (`filenames`), pixels. A companion file goes before
the XML inside of the TIFFs. TIFFs that name only themselves and no plate are taken to be as the first one, for opening
100,000 of them would take an hour on a store.
"""

import io
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

import polars as pl
from upath import UPath

from plate_assets.plates.acquisition import LISTED, SETTLING, Acquisition, AcquisitionError, Objective
from plate_assets.plates.layout import FORMATS, LayoutError, Well
from plate_assets.plates.listing import Listing
from plate_assets.plates.readers import filenames
from plate_assets.plates.readers.identity import identify
from plate_assets.plates.readers.ome_xml import Ome, OmeChannel, OmeImage, OmePlate, TiffData, page_table, plane_table, read_ome
from plate_assets.plates.readers.options import ReadOptions
from plate_assets.plates.readers.reader import SeveralTimepoints, build_acquisition, check_paths, read_start
from plate_assets.plates.readers.text_options import parse_objective
from plate_assets.plates.readers.vendor_xml import elements

SUFFIXES = (".ome.tif", ".ome.tiff", ".ome.tf2", ".ome.tf8", ".ome.btf")
MAX_DOCUMENTS = 400  # texts of OME-XML that are read for one folder: each costs the opening of a file
_SCANR = "metadata.ome.xml"  # has a reader of its own; OME-Zarr calls its own metadata so, too
_OME_ROOT = re.compile(r"<(?:\w+:)?OME[\s>]")
_TRIES = 5  # TIFFs that may be unreadable before the first readable one
_MAX_PLANES = 2_000_000  # of all files together
_IN_WELL_UM = 20_000  # no place in a well is further from its centre: the wells of a 6-well plate have 35 mm
_MAX_SECONDS, _MAX_UM = 1e8, 1e8  # three years between an image's date and one of its planes; 100 m on a stage
_AXES = ("z", "c", "t")
_UNNAMED = OmeChannel("", None, None, None, 1)


class _Unreadable(AcquisitionError):
    """A TIFF whose OME-XML cannot be had: another one of the folder may do as well."""


class _Document(NamedTuple):
    """One text of OME-XML; `pages` has `image` (index into its images), `z`, `c`, `t`, `path`, `page` of each plane."""

    path: str
    ome: Ome
    pages: pl.DataFrame


@dataclass
class _Source:
    """The OME-XML that counts for a folder."""

    documents: list[_Document]
    companions: bool = False
    alike: bool = False  # the other TIFFs are taken to be as the first one
    warnings: list[str] = field(default_factory=list)


class _Placed(NamedTuple):
    """The planes with well, site and plane, `named` (channel) where names tell it, `well_x`, `well_y` where the plate does."""

    planes: pl.DataFrame
    plate: str | None = None
    shape: tuple[int, int] | None = None
    time: str | None = None
    pattern: str | None = None
    started_at: datetime | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class OmeTiffReader:
    """Reads the folder of one plate, with its sub-folders."""

    name: str = "ome-tiff"
    complete_when: str = "every file that the whole plate's OME-XML names is there; without it, when its files stay the same"

    def recognises(self, listing: Listing) -> bool:
        """Whether there is a TIFF named as OME-TIFF or a companion file, and no metadata of ScanR or OME-Zarr."""
        if listing.named(_SCANR):
            return False
        return bool(_tiffs(listing)) or any(True for _ in _companions(listing))

    def read(self, listing: Listing, options: ReadOptions) -> Acquisition:
        """The acquisition; files that the OME-XML names and the folder lacks have `present` False."""
        source = _source(listing)
        planes = _all_planes(listing, source)
        by_plate = None if options.pattern or source.alike else _by_plate(source, planes, options)
        placed = by_plate or _by_name(listing, planes, source.alike, options)
        visit, time = _one_visit(listing, placed, options)
        images = [image for document in source.documents for image in document.ome.images]
        used = {number: images[number] for number in visit["image"].unique().sort()}
        found, unsure = _described(visit, used, source.alike)
        first: Any = found["acquired_at"].min()
        started = _sane(placed.started_at if visit.height == placed.planes.height else None) or first
        if started and not time and (by_plate or source.companions):
            time = f"{started:%Y%m%dT%H%M%S}"
        pixel_um, odd = _pixel_um(used)
        whole = source.companions or (bool(by_plate) and len(source.documents) == 1 and planes["path"].n_unique() > 1)
        complete, completeness = _completeness(listing, source, found, whole)
        return build_acquisition(
            listing, self.name, identify(listing.root.name, options, placed.plate, time), found, options,
            complete=complete, completeness=completeness, shape=placed.shape, pixel_um=pixel_um, objective=_objective(used),
            started_at=started,
            metadata={**source.documents[0].ome.about, "Image": next(iter(used.values())).name, "pattern": placed.pattern},
            documents=[document.path for document in source.documents if not _is_tiff(document.path)],
            belongs=placed.planes["path"].unique().to_list(),
            warnings=[*source.warnings, *placed.warnings, *unsure, *odd, *_left_out(listing, source, planes)],
        )  # fmt: skip


def _is_tiff(path: str) -> bool:
    return path.lower().endswith(SUFFIXES)


def _tiffs(listing: Listing) -> list[str]:
    return listing.fitting(f"(?i)(?:{'|'.join(map(re.escape, SUFFIXES))})$")


def _companions(listing: Listing) -> Iterator[str]:
    """The files of OME-XML: by their name, and one that is only called XML by its beginning as well."""
    for path in listing.fitting(r"(?i)\.(?:companion\.ome|ome\.xml)$"):
        if path.lower().endswith(".companion.ome") or _begins_as_ome(listing, path):
            yield path


def _begins_as_ome(listing: Listing, path: str) -> bool:
    return b"openmicroscopy.org" in read_start(listing, path, 4096).replace(b"\0", b"")  # zeros: of UTF-16


def _source(listing: Listing) -> _Source:
    """The companion files; else the OME-XML in as many TIFFs as it takes to have each TIFF named once."""
    if companions := list(islice(_companions(listing), MAX_DOCUMENTS + 1)):
        if len(companions) > MAX_DOCUMENTS:
            raise AcquisitionError(
                f"{listing.root} holds more than {MAX_DOCUMENTS} files of OME-XML: leave there those of the whole plate only"
            )
        return _Source([_document(listing, path) for path in companions], companions=True)
    documents: dict[str, _Document] = {}
    named, unread, tried, alike = set(), [], 0, False
    for path in _tiffs(listing):
        if path in named:
            continue
        if alike or tried >= (MAX_DOCUMENTS if documents else _TRIES):
            alike = True  # or more sets than can be opened
            break
        tried += 1
        try:
            document = _inside(listing, path)
        except _Unreadable as error:
            unread.append(str(error))
            continue
        documents[document.path] = document
        named |= (own := set(document.pages["path"].unique()))
        alike = tried - len(unread) == 1 and len(own) == 1 and not document.ome.plates
    if not documents:
        raise AcquisitionError("; ".join([*unread[:1], f"{listing.root} holds no readable OME-TIFF: name plain TIFFs `.tif`"]))
    warnings = [*unread[:3], *([f"so it is with {len(unread) - 3} more files"] if len(unread) > 3 else [])]
    return _Source(list(documents.values())[: 1 if alike else None], alike=alike, warnings=warnings)


def _inside(listing: Listing, path: str, follow: bool = True) -> _Document:
    """The OME-XML in a TIFF, or that of the file which it points to."""
    where = listing.path_of(path)
    ome = read_ome(_text_elements(_description(where), where), where)
    if ome.metadata_file is None:
        return _document(listing, path, ome)
    check_paths(listing, pl.Series([ome.metadata_file]))
    master = path[: path.rfind("/") + 1] + ome.metadata_file.replace("\\", "/").removeprefix("./")
    if master not in listing.sizes or not follow:
        raise AcquisitionError(
            f"{where} says that its metadata is in {ome.metadata_file!r}, which is not there or has none: copy that file too"
        )
    return _inside(listing, master, follow=False) if _is_tiff(master) else _document(listing, master)


def _description(where: UPath) -> str:
    import tifffile

    try:
        with where.open("rb") as file, tifffile.TiffFile(file) as tiff:
            text = str(getattr(tiff.pages[0], "description", ""))
    except Exception as error:  # the decoder raises whatever it likes on foreign bytes
        raise _Unreadable(f"{where} cannot be read ({type(error).__name__}: {error}): copy it again") from error
    if not _OME_ROOT.search(text[:4096]):
        raise _Unreadable(f"{where} has no OME-XML inside: export it as OME-TIFF")
    return text


def _text_elements(text: str, where: UPath) -> Iterator[tuple[str, str, Any]]:
    """As `vendor_xml.elements`, of a text: whatever encoding it declares, it was decoded already."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import iterparse

    try:
        for event, element in iterparse(io.StringIO(text), events=("start", "end"), forbid_dtd=True):
            yield event, element.tag.rpartition("}")[2], element
    except DefusedXmlException as error:
        raise _Unreadable(f"{where} declares a document type or entities in its OME-XML: export it again") from error
    except (SyntaxError, ValueError, LookupError) as error:
        raise _Unreadable(f"{where} holds no whole OME-XML ({error}): copy it again") from error


def _document(listing: Listing, path: str, ome: Ome | None = None) -> _Document:
    """The planes of one text of OME-XML with the files that hold them."""
    where = listing.path_of(path)
    ome = ome or read_ome(elements(where), where)
    if _is_tiff(path) and len(ome.images) == 1 and not ome.images[0].tiff_data:
        ome.images[0].tiff_data.append(TiffData(None, None, None, None, 0, 0, 0))
    table = page_table(ome.images, where).with_columns(pl.col("file").replace("", None))
    if not table.height:
        raise AcquisitionError(f"{where} describes {len(ome.images)} images and no plane of any file: export it again")
    check_paths(listing, table["file"].drop_nulls())
    table = _with_paths(listing, path, ome, table).unique(maintain_order=True)
    if (nameless := table.filter(pl.col("path").is_null())).height:
        raise AcquisitionError(
            f"{where} places {nameless.height} planes in files that it does not name, and no OME-TIFF here has the UUID "
            f"{nameless['uuid'][0]}: export it with the FileName of each UUID"
        )
    if (again := table.filter(table.select("path", "ifd").is_duplicated())).height:
        raise AcquisitionError(
            f"{where} has several planes on one page, as page {again['ifd'][0]} of {again['path'][0]!r}: export it again"
        )
    return _Document(path, ome, table.select("image", *_AXES, "path", pl.col("ifd").alias("page")))


def _with_paths(listing: Listing, path: str, ome: Ome, table: pl.DataFrame) -> pl.DataFrame:
    """The planes with `path`, null where none is found.

    A plane lies in the TIFF of the XML itself (of a companion: the only TIFF) if no file is named; if it has that file's UUID,
    so that a renamed file is found; or if only one file is named and is not there. Else in the file of that name, or UUID.
    """
    plain = pl.col("file").str.replace_all("\\", "/", literal=True).str.replace_all(r"(^|/)(?:\.?/)+", "$1")
    table = table.with_columns(path=pl.lit(path[: path.rfind("/") + 1]) + plain)
    named = table.select("file", "uuid", "path").unique()
    file, uuid = pl.col("file"), pl.col("uuid")
    own = file.is_null() & uuid.is_null()
    if _is_tiff(path) and named.height == 1 and named["path"][0] not in listing.sizes:
        own = pl.lit(True)
    elif _is_tiff(path) and ome.uuid and named.filter(uuid == ome.uuid).height == 1:  # some give one UUID to all files
        own |= (uuid == ome.uuid).fill_null(False)
    known = _by_uuid(listing) if named.filter(file.is_null() & ~own).height else {}
    by_uuid = uuid.replace_strict(known, default=None, return_dtype=pl.String)
    beside = [path] if _is_tiff(path) else _tiffs(listing)
    its_own = pl.lit(beside[0] if len(beside) == 1 else None, pl.String)
    return table.with_columns(path=pl.when(own).then(its_own).otherwise(pl.coalesce("path", by_uuid)))


def _by_uuid(listing: Listing) -> dict[str, str]:
    """The TIFFs by the UUID of their OME-XML, those of the first MAX_DOCUMENTS that can be read."""
    found = {}
    for path in _tiffs(listing)[:MAX_DOCUMENTS]:
        where = listing.path_of(path)
        with suppress(_Unreadable):
            _, _, root = next(_text_elements(_description(where), where))
            found[root.get("UUID", "")] = path
    return found


def _all_planes(listing: Listing, source: _Source) -> pl.DataFrame:
    """The planes of all documents, images counted through; where all TIFFs are alike, the first one's planes of each."""
    if not source.alike:
        tables, images = [], 0
        for document in source.documents:
            tables.append(document.pages.with_columns(pl.col("image") + images))
            images += len(document.ome.images)
        return pl.concat(tables)
    first, files = source.documents[0], _tiffs(listing)
    own = first.pages.filter(pl.col("path") == first.path)
    own = (own if own.height else first.pages).drop("path").unique(["image", *_AXES], keep="first", maintain_order=True)
    if own.height * len(files) > _MAX_PLANES:
        raise AcquisitionError(
            f"{listing.root} holds {len(files):,} files, and the first has {own.height:,} planes: put fewer into one folder"
        )
    others = sum(listing.sizes[path] != listing.sizes[first.path] for path in files)
    if others and own.height > 1:
        taken = f"each file is taken to hold {own.height} pages, as {first.path} does"
        source.warnings.append(f"{taken}; {others} of {len(files)} have another size")
    return own.join(pl.DataFrame({"path": files}), how="cross")


def _by_plate(source: _Source, planes: pl.DataFrame, options: ReadOptions) -> _Placed | None:
    """Wells and sites as the plate in the OME-XML has them: a well's sites are its samples in their order."""
    plates = [(document, plate) for document in source.documents for plate in document.ome.plates if plate.wells]
    if not plates:
        return None
    where, plate = plates[0][0].path, plates[0][1]
    if len(names := list(dict.fromkeys(each.name or each.id for _, each in plates))) > 1:
        raise AcquisitionError(
            f"{where} describes {len(names)} plates ({', '.join(names[:3])}), and an acquisition is one: export them one by one"
        )
    rows, lacking = _samples(source, plates)
    whole, real = ("image", "Metadata_Row", "Metadata_Col", "Metadata_Site"), ("well_x", "well_y")
    wells = pl.DataFrame(rows, {**dict.fromkeys(whole, pl.Int64), **dict.fromkeys(real, pl.Float64)}, orient="row")
    if (doubled := wells.filter(wells["image"].is_duplicated())).height:
        well = Well(*doubled.row(0)[1:3]).name
        raise AcquisitionError(f"{where} has an image of well {well} in two places of the plate: export it again")
    placed = planes.join(wells, on="image").with_columns(Metadata_Plane=pl.col("z") + 1)
    if not placed.height:
        raise AcquisitionError(f"{where} has a plate, and no image of it lies in a file: export it again")
    warnings = [f"{lacking} fields of the plate refer to images that the OME-XML does not describe"] if lacking else []
    if outside := planes["image"].n_unique() - placed["image"].n_unique():
        warnings.append(f"{outside} images lie in no well of the plate, and are left out")
    shape = (plate.rows or 0, plate.cols or 0)
    if all(shape) and shape not in FORMATS.values():
        warnings.append(f"the OME-XML has a plate of {shape[0]} rows and {shape[1]} columns, which is no format here: not used")
    shape = shape if shape in FORMATS.values() else None
    return _Placed(placed, plate.name, shape, started_at=plate.started_at, warnings=tuple(warnings))


def _samples(source: _Source, plates: list[tuple[_Document, OmePlate]]) -> tuple[list[tuple[Any, ...]], int]:
    """Image, row, column, site and place of each sample of the wells, and how many refer to no image."""
    rows, lacking = [], 0
    ids = [(document.path, image.id) for document in source.documents for image in document.ome.images]
    numbers = {each: number for number, each in enumerate(ids)}
    for document, plate in plates:
        if plate.acquisitions > 1:
            raise AcquisitionError(
                f"{document.path} has {plate.acquisitions} runs (PlateAcquisition), and an acquisition is one: export one"
            )
        sites: dict[Well, int] = {}
        for each in plate.wells:
            try:
                well = Well(each.row + 1, each.col + 1)
            except LayoutError as error:
                raise AcquisitionError(f"{document.path}, plate {plate.name!r}: {error}") from error
            for sample in each.samples:
                sites[well] = sites.get(well, 0) + 1
                number = numbers.get((document.path, sample.image_id or ""))
                lacking += number is None and sample.image_id is not None
                if number is not None:
                    rows.append((number, well.row, well.col, sites[well], sample.x_um, sample.y_um))
    return rows, lacking


def _by_name(listing: Listing, planes: pl.DataFrame, alike: bool, options: ReadOptions) -> _Placed:
    """Wells by the names of the files. Several images of one file without a site in its name are its sites."""
    paths = planes["path"].unique(maintain_order=True)
    preset, names, strays = _understood(listing, paths, options.pattern)
    names, plate = filenames.one_plate(listing, names, options)
    time = None
    if planes["t"].n_unique() == 1:  # else the OME-XML tells the times
        names, time, _ = filenames.one_visit(listing, names, options)
    wells, guessed = filenames.wells_and_sites(listing, names, options)
    channel = "channel" in names.columns and names["channel"].count() > 0
    wells = wells.rename({"Metadata_Channel": "named"} if channel else {}).drop("Metadata_Channel", "acquired_at", strict=False)
    placed = planes.join(wells, on="path")
    if not any(names[group].count() for group in ("site", "site0") if group in names.columns):
        placed = placed.with_columns(Metadata_Site=pl.col("image").rank("dense").over("path").cast(pl.Int64))
    by_name = pl.col("Metadata_Plane") + pl.col("z") - pl.col("z").min()
    placed = placed.with_columns(Metadata_Plane=by_name if alike or placed["z"].n_unique() == 1 else pl.col("z") + 1)
    if strays:
        shown = ", ".join(strays[:3])
        guessed.append(f"{len(strays)} of {paths.len()} files have names that `{preset}` does not understand: {shown}")
    return _Placed(placed, plate, time=time, pattern=preset, warnings=tuple(guessed))


def _understood(listing: Listing, paths: pl.Series, pattern: str | None) -> tuple[str, pl.DataFrame, list[str]]:
    """As `filenames.choose_pattern`, of names without `.ome`, unless one's own pattern speaks of it."""
    plain = paths if "ome" in (pattern or "") else paths.str.replace(r"(?i)\.ome(\.[^./]+)$", "$1")
    try:
        preset, names, _ = filenames.choose_pattern(listing, plain, pattern)
    except AcquisitionError as error:
        raise AcquisitionError(
            "the OME-XML has no plate with wells, so that the names of the files have to tell them, by the option `pattern` if "
            f"need be; or export the plate with its wells. {error}"
        ) from error
    names = pl.DataFrame({"path": paths, "plain": plain}).join(names.unique("path").rename({"path": "plain"}), on="plain")
    return preset, names.drop("plain"), paths.filter(~paths.is_in(names["path"].implode())).to_list()


def _one_visit(listing: Listing, placed: _Placed, options: ReadOptions) -> tuple[pl.DataFrame, str | None]:
    """The planes of one visit and its name: `t1`, `t2`, … where the OME-XML has several, which it counts from 0."""
    times = {f"t{t + 1}": t for t in placed.planes["t"].unique().sort()}
    if len(times) == 1:
        return placed.planes, placed.time
    if options.timepoint not in times:
        raise SeveralTimepoints(str(listing.root), list(times))
    return placed.planes.filter(pl.col("t") == times[options.timepoint]), options.timepoint


def _described(visit: pl.DataFrame, images: dict[int, OmeImage], alike: bool) -> tuple[pl.DataFrame, list[str]]:
    """The planes with channel, light, place and time; place and time of one file are not known of others that are alike."""
    known = not alike or visit["path"].n_unique() == 1
    told = plane_table(list(images.values()) if known else [])
    places = pl.col("x_um", "y_um", "z_um")
    told = told.with_columns(
        pl.when(places.abs() <= _MAX_UM).then(places), image=pl.Series(list(images), dtype=pl.Int64).gather(told["image"])
    )
    rows = [(number, max(1, len(each.channels)), _sane(each.acquired_at) if known else None) for number, each in images.items()]
    schema = {"image": pl.Int64, "channels": pl.Int64, "taken": pl.Datetime("us", "UTC")}
    low, high = pl.col("c").min().over("image"), pl.col("c").max().over("image")
    beside = (high >= pl.col("channels")) & (high - low < pl.col("channels"))  # some writers count channels from 1
    later = pl.when(pl.col("t") == 0).then(pl.col("delta_s").fill_null(0.0)).otherwise("delta_s")
    later = pl.when(later.abs() <= _MAX_SECONDS).then(later * 1e6).cast(pl.Int64)
    found = (
        visit.join(told, on=["image", *_AXES], how="left")
        .join(pl.DataFrame(rows, schema, orient="row"), on="image", how="left")
        .with_columns(
            c=pl.when(beside).then(pl.col("c") - low).otherwise("c"),
            acquired_at=pl.col("taken") + pl.duration(microseconds=later),
        )
        .join(_light(images), on=["image", "c"], how="left")
        .with_columns(pl.col("name").fill_null("c" + (pl.col("c") + 1).cast(pl.String)))
    )
    found = _channels(found, alike) if "named" in visit.columns else found.with_columns(Metadata_Channel="name")
    found, unsure = _places(found)
    wanted = ("Metadata_Row", "Metadata_Col", "Metadata_Site", "Metadata_Channel", "Metadata_Plane", "path", "page")
    return found.select(*wanted, "x_um", "y_um", "z_um", "acquired_at", "excitation_nm", "emission_nm"), unsure


def _light(images: dict[int, OmeImage]) -> pl.DataFrame:
    """Name and wavelengths of each channel: two of one name are told apart by their number."""
    rows = []
    for number, image in images.items():
        channels = image.channels or [_UNNAMED] * min(2, max(1, image.size_c))
        names = [(channel.name or "").strip() for channel in channels]
        for c, (name, channel) in enumerate(zip(names, channels, strict=True)):
            plain = name or (f"c{c + 1}" if len(names) > 1 else "default")
            rows.append((number, c, plain if names.count(name) == 1 or not name else f"{name} ({c + 1})", *channel[2:4]))
    real = dict.fromkeys(("excitation_nm", "emission_nm"), pl.Float64)
    return pl.DataFrame(rows, {"image": pl.Int64, "c": pl.Int64, "name": pl.String, **real}, orient="row")


def _channels(found: pl.DataFrame, alike: bool) -> pl.DataFrame:
    """Channels where the names of files tell some: these go before what the OME-XML, if it is the first file's, cannot know."""
    several, label = found["named"].n_unique() > 1, pl.col("name")
    if alike and found["c"].n_unique() > 1:
        label = pl.concat_str("named", "name", separator="-", ignore_nulls=True)
    elif alike or (found["name"].n_unique() == 1 and (several or found["name"][0] == "default")):
        label = pl.coalesce("named", "name")
    if alike and several:
        found = found.with_columns(pl.lit(None, pl.Float64).alias(side) for side in ("excitation_nm", "emission_nm"))
    return found.with_columns(Metadata_Channel=label)


def _places(found: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Places in the well: the plate's where they can be such, else the stage's from the middle of the well's sites."""
    x_and_y = ("x_um", "y_um")
    if "well_x" in found.columns:
        well = found.select(pl.col("well_x", "well_y").abs().max())
        if all(most is not None and most <= _IN_WELL_UM for most in well.row(0)):
            return found.with_columns(x_um="well_x", y_um="well_y"), []
    wells = ["Metadata_Row", "Metadata_Col"]
    middle = (pl.col(*x_and_y).min() + pl.col(*x_and_y).max()).over(wells) / 2
    several = pl.col("Metadata_Site").n_unique().over(wells) > 1
    found = found.with_columns(pl.when(several).then(pl.col(*x_and_y) - middle))
    unsure = "only stage positions are told: places of sites are counted from the middle of each well's sites"
    return found, [unsure] if found["x_um"].count() else []


def _sane(when: datetime | None) -> datetime | None:
    """The date, unless it is what software writes that knows none (the years 1, 1601, 1970)."""
    return when if when and 1980 < when.year < 2200 else None


def _objective(images: dict[int, OmeImage]) -> Objective | None:
    """The first image's; some writers have magnification and aperture in its ID only: `Objective:100x/1.49`."""
    image = next(iter(images.values()))
    with suppress(ValueError):
        return image.objective or parse_objective((image.objective_id or "").removeprefix("Objective:"))


def _pixel_um(images: dict[int, OmeImage]) -> tuple[tuple[float, str] | None, list[str]]:
    sizes = list(dict.fromkeys(image.pixel_um for image in images.values() if image.pixel_um is not None))
    sound = [size for size in sizes if 0.001 <= size <= 1000]
    shown = ", ".join(f"{size:g}" for size in sizes[:3])
    odd = [f"the images have pixels of {shown} µm: the first size that can be is used"] if len(sizes) > 1 or not sound else []
    return ((sound[0], "files") if sound else None), odd if sizes else []


def _completeness(listing: Listing, source: _Source, found: pl.DataFrame, whole: bool) -> tuple[bool | None, str]:
    """whole: the OME-XML lists all files of the plate. Files that name each other do not tell how many such sets there should
    be, but they do tell that one of them is missing."""
    gone = found.filter(~pl.col("path").is_in(list(listing.sizes))).height
    if not whole and not gone:
        return None, f"{SETTLING}: the OME-XML does not tell how many files there should be"
    named = source.documents[0].path + (f" and {len(source.documents) - 1} more" if len(source.documents) > 1 else "")
    return not gone, f"{LISTED}: {found.height - gone} of {found.height} images that {named} names are there"


def _left_out(listing: Listing, source: _Source, planes: pl.DataFrame) -> list[str]:
    known = set(planes["path"].unique()).union(document.path for document in source.documents)
    others = [path for path in _tiffs(listing) if path not in known]
    return [f"{len(others)} OME-TIFFs are named by no OME-XML, and are left out: {', '.join(others[:3])}"] if others else []
