"""OME-Zarr plates (HCS), 0.4 and 0.5; images without a plate where the names of their folders tell the well.

Belongs here: which images a store holds, and which of them have files. Not here: the metadata documents (`ome_zarr_metadata`),
pixels (`zarr_pixels`), writing (`ome_zarr_plate`).

Zarr lists no chunks, and one that is not there reads as the fill value. So an image without a single file is taken for missing;
where it has some of its files and lacks others, these may be lost, or empty and left out on purpose: then only settling tells.
What lies inside of one file (a shard, a chunk of several images) cannot be seen from outside.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import polars as pl

from plate_assets.plates.acquisition import LISTED, SETTLING, Acquisition, AcquisitionError, Objective
from plate_assets.plates.layout import LayoutError, Well, row_letters
from plate_assets.plates.listing import Listing
from plate_assets.plates.readers.identity import identify
from plate_assets.plates.readers.ome_zarr_metadata import (
    GROUP_DOCUMENTS,
    Field,
    Group,
    Multiscales,
    Plate,
    a_number,
    an_object,
    arrays_of,
    begins_as_ome,
    fault,
    first_of,
    groups_of,
    inside,
    multiscales_of,
    plain_name,
    plate_of,
    topmost,
)
from plate_assets.plates.readers.options import ReadOptions
from plate_assets.plates.readers.reader import SeveralTimepoints, build_acquisition
from plate_assets.plates.zarr_pixels import ARRAY_DOCUMENTS, ZarrArray

MAX_IMAGES = 2_000_000
WELL_CENTRE = "well centre"  # what our export calls the origin of its translations

_MOST = 1_000_000  # sites and planes are numbers that people count to
_MOST_TIMES = 10_000
_WELL_IN_NAME = r"(?:(?P<plate>.+?)_)??(?P<well>[A-Za-z]{1,2}\d{1,2}|[rR]\d+[cC]\d+)(?:_s(?P<site>\d{1,4}))?"
_TIME = re.compile(r"(?=.{1,60}$)[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_KEY = ("Metadata_Row", "Metadata_Col", "Metadata_Site", "Metadata_Channel", "Metadata_Plane")
_NUMBERS = ("x_um", "y_um", "z_um", "excitation_nm", "emission_nm")
_COLUMNS = {
    "Metadata_Row": pl.Int64, "Metadata_Col": pl.Int64, "Metadata_Site": pl.Int64, "Metadata_Channel": pl.String,
    "Metadata_Plane": pl.Int64, "path": pl.String, "page": pl.Int64, "x_um": pl.Float64, "y_um": pl.Float64,
    "z_um": pl.Float64, "excitation_nm": pl.Float64, "emission_nm": pl.Float64, "acquired_at": pl.String,
    "array": pl.String, "lead": pl.String,
}  # fmt: skip


@dataclass(frozen=True)
class _Image:
    """The image of one field: its multiscales, and its largest array, None where that is not there."""

    field: Field
    folder: str  # of the array
    document: str
    level: Multiscales
    array: ZarrArray | None
    own: Mapping[str, Any]
    lacking: int = 0  # arrays of smaller levels that are not there

    def size(self, axis: str) -> int:
        """How many of `t`, `c` or `z` there are; 1 where the image has no such axis."""
        return self.array.shape[self.level.axes.index(axis)] if self.array and axis in self.level.axes else 1

    @property
    def channels(self) -> int:
        return self.size("c")

    @property
    def planes(self) -> int:
        return self.size("z")


@dataclass(frozen=True)
class _Visit:
    """Which images of the store are one acquisition."""

    acquisition: int | None
    time: int
    name: str | None


@dataclass(frozen=True)
class OmeZarrReader:
    """Reads the folder of a store, or a folder above it that holds just one."""

    name: str = "ome_zarr"
    complete_when: str = (
        "every well and field that the plate's metadata lists has its arrays, and every image its chunk files; where an image "
        "lacks some of them, its files stayed the same over several looks of the sensor: an empty chunk may be left out"
    )

    def recognises(self, listing: Listing) -> bool:
        """Whether the folder is a Zarr store, or one lies in it that begins as OME-Zarr does."""
        tops = topmost(listing)
        return "" in tops or any(begins_as_ome(listing, top) for top in tops[:20])

    def read(self, listing: Listing, options: ReadOptions) -> Acquisition:
        """The acquisition as the metadata has it; an image without a single file has `present` False."""
        plate, images = _found(listing, options)
        visit = _chosen_visit(listing, plate, images, options)
        mine = [image for image in images if image.field.acquisition == visit.acquisition]
        found = _count_files(listing, _rows(plate, mine, visit), mine)
        complete, completeness = _completeness(plate, found, mine)
        identity = identify(plain_name(listing.root.name), options, plate.name, visit.name)
        hours = a_number(plate.own.get("timepoint_h"))
        if identity.timepoint == plate.own.get("timepoint") and hours is not None and options.timepoint_h is None:
            identity = replace(identity, timepoint_h=hours)
        store = _stored(listing)
        documents = _documents(store, [image for image in images if image.field.acquisition != visit.acquisition])
        sizes = [image.level.pixel_um for image in mine if image.level.pixel_um is not None]
        odd = [f"fields have pixels from {min(sizes):g} to {max(sizes):g} µm: the first counts"] if len(set(sizes)) > 1 else []
        return build_acquisition(
            listing, self.name, identity, found.select(*_KEY, "path", "page", *_NUMBERS, "acquired_at"), options,
            complete=complete, completeness=completeness, shape=plate.shape,
            pixel_um=(sizes[0], "files") if sizes else None, objective=_objective(plate.own),
            started_at=_started(plate, visit.acquisition), metadata=plate.about,
            documents=documents, belongs=store,
            warnings=[*plate.warnings, *odd],
        )  # fmt: skip


def _found(listing: Listing, options: ReadOptions) -> tuple[Plate, list[_Image]]:
    """The plate (or what stands for one) and the images of its fields."""
    tops = topmost(listing)
    groups = [(top, group) for top, group in zip(tops, groups_of(listing, tops), strict=True) if group is not None]
    if not groups:
        raise AcquisitionError(
            f"{listing.root} holds no metadata of a plate or an image ({', '.join(GROUP_DOCUMENTS)}): name the folder that "
            "ends in .zarr"
        )
    if len(tops) == 1 and "plate" in groups[0][1].ome:
        plate = plate_of(listing, *groups[0])
        return plate, list(_images(listing, plate.fields))
    if any("plate" in group.ome for _, group in groups):
        raise AcquisitionError(
            f"{listing.root} holds {len(tops)} Zarr stores ({tops[0]}, {tops[1]}), and an acquisition is of one plate: name "
            "the folder of one of them"
        )
    for _, group in groups:
        _refuse_other_kinds(group)
    images = list(_images(listing, [Field(0, 0, 1, top) for top, _ in groups], whole=True))
    wells = [_by_name(listing, image, group, options) for image, (_, group) in zip(images, groups, strict=True)]
    names, where = {plate for _, plate in wells}, groups[0][1].where
    images = [replace(image, field=field) for image, (field, _) in zip(images, wells, strict=True)]
    return Plate(where, [field for field, _ in wells], names.pop() if len(names) == 1 else None), images


def _refuse_other_kinds(group: Group) -> None:
    """Say what a group is that is neither a plate nor an image."""
    if "multiscales" in group.ome:
        return
    if "well" in group.ome:
        raise fault(group.where, "well", "makes it one well of a plate", "name the folder of the whole plate, two above")
    if "bioformats2raw.layout" in group.ome:
        said = "makes it a collection of images, which says nothing of wells"
        raise fault(group.where, "bioformats2raw.layout", said, "convert a plate, or name each image's folder by its well")
    raise AcquisitionError(
        f"{group.where} has neither the key `plate` nor `multiscales`: name the folder of a plate, or write the store again"
    )


def _by_name(listing: Listing, image: _Image, group: Group, options: ReadOptions) -> tuple[Field, str | None]:
    """Well and site of an image without a plate by the name of its folder, and the plate in that name."""
    name = plain_name((image.field.folder or listing.root.name).rpartition("/")[2])
    try:
        match = re.fullmatch(options.pattern or _WELL_IN_NAME, name)
        named = match.groupdict() if match else {}
        well = Well.parse(named.get("well") or f"{named.get('row') or ''}{named.get('col') or ''}")
        site = int(named.get("site") or 1)
    except (LayoutError, ValueError, re.error):
        raise AcquisitionError(
            f"{group.where} has no key `plate`, so it is a single image, and nothing says which well it shows: name the folder "
            f"of its plate, or call the image's folder by its well instead of {name!r}, as A01.zarr or P001_A01_s1.zarr, or "
            "give a `pattern` for that name with a group `well`"
        ) from None
    return replace(image.field, row=well.row, col=well.col, site=site), named.get("plate")


def _images(listing: Listing, fields: Sequence[Field], whole: bool = False) -> Iterator[_Image]:
    """The image of each field. A field whose metadata is not there is taken to be as the first one that is.

    whole: the arrays of all levels have to be there, and to fit the axes.
    """
    groups = list(groups_of(listing, [field.folder for field in fields]))
    levels = [None if group is None else multiscales_of(group) for group in groups]
    like = next((level for level in levels if level), Multiscales("yx", ["0"], None, None, None, [], []))
    asked = []
    for field, group, level in zip(fields, groups, levels, strict=True):
        level = level or like
        where = group.where if group else ""
        for path in level.paths if whole else level.paths[:1]:
            asked.append((where, inside(field.folder, path), level))
    arrays = iter(zip(asked, arrays_of(listing, asked), strict=True))
    for field, group, level in zip(fields, groups, levels, strict=True):
        level = level or like
        mine = [next(arrays) for _ in (level.paths if whole else level.paths[:1])]
        for number, ((where, _, _), (_, array)) in enumerate(mine if whole else ()):
            if array is None:
                said = f"names {level.paths[number]!r}, and no array ({' or '.join(ARRAY_DOCUMENTS)}) lies there"
                raise fault(where, f"multiscales[0].datasets[{number}].path", said, "copy the store again, or write it again")
        (_, folder, _), (document, array) = mine[0]
        lacking = sum(first_of(listing, inside(field.folder, path), ARRAY_DOCUMENTS) is None for path in level.paths[1:])
        own = group.own if group else {}
        site = _counted(own.get("site"), 1)
        field = field if site is None else replace(field, site=site)
        yield _Image(field, folder, document, level, array, own, lacking)


def _chosen_visit(listing: Listing, plate: Plate, images: Sequence[_Image], options: ReadOptions) -> _Visit:
    """The visit that the options choose, or the only one. SeveralTimepoints where it has to be chosen."""
    ids = sorted({image.field.acquisition for image in images}, key=lambda each: (each is None, each or 0))
    if len(ids) > 1 and None in ids:
        raise fault(plate.where, "well.images[].acquisition", "is there for some fields and not for others")
    names = _names_of_acquisitions(plate, ids)
    visits = []
    for acquisition, name in zip(ids, names, strict=True):
        times = max(image.size("t") for image in images if image.field.acquisition == acquisition)
        if times > _MOST_TIMES:
            raise AcquisitionError(
                f"{plate.where} has images of {times:,} time points: look at `shape` in its arrays' documents"
            )
        for time in range(times):
            numbered = f"{name}-T{time}" if name else f"T{time}"
            visits.append(_Visit(acquisition, time, numbered if times > 1 else name))
    if len(visits) == 1:
        return visits[0]
    chosen = next((visit for visit in visits if visit.name == options.timepoint), None)
    if chosen is None:
        raise SeveralTimepoints(str(listing.root), [str(visit.name) for visit in visits])
    return chosen


def _names_of_acquisitions(plate: Plate, ids: Sequence[int | None]) -> list[str | None]:
    """Each acquisition by its name, by when it began, or by its number; one alone has no number for a name."""
    names = ["_".join(str(_about(plate, each).get("name") or "").split()) for each in ids]
    starts = [_started(plate, each) for each in ids]
    stamps = [f"{start:%Y%m%dT%H%M%S}" for start in starts if start]
    if len(ids) == 1:
        own = plate.own.get("timepoint")
        found = [own if isinstance(own, str) else "", *stamps, names[0]]
        return [next((name for name in found if _TIME.fullmatch(name)), None)]
    for candidates in (names, stamps):
        if len(set(candidates)) == len(ids) and all(_TIME.fullmatch(name) for name in candidates):
            return list(candidates)
    return [f"acquisition-{each}" for each in ids]


def _about(plate: Plate, acquisition: int | None) -> Mapping[str, Any]:
    """What the plate says of an acquisition; fields that name none belong to the only one."""
    alone = acquisition is None and len(plate.acquisitions) == 1
    if alone:
        return next(iter(plate.acquisitions.values()))
    return {} if acquisition is None else plate.acquisitions.get(acquisition, {})


def _started(plate: Plate, acquisition: int | None) -> datetime | None:
    """When an acquisition began: `starttime` is in seconds or, as in the specification's example, milliseconds since 1970."""
    start = a_number(_about(plate, acquisition).get("starttime"))
    try:
        return datetime.fromtimestamp(start / 1000 if start > 1e11 else start, UTC) if start and start > 0 else None
    except (ValueError, OverflowError, OSError):
        return None


def _rows(plate: Plate, images: Sequence[_Image], visit: _Visit) -> pl.DataFrame:
    """One row for each image of the visit, with its array and what the names of its files begin with."""
    like = next((image for image in images if image.array), images[0])
    shapes = (image if image.array else like for image in images)
    if sum(shape.planes * shape.channels for shape in shapes) > MAX_IMAGES:
        raise AcquisitionError(f"{plate.where} lists more than {MAX_IMAGES:,} images: look at `shape` in its arrays' documents")
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}

    def add(rows: Mapping[str, Sequence[Any]]) -> None:
        count = len(rows["path"])
        for name, column in columns.items():
            column.extend(rows[name] if name in rows else [None] * count)

    for image in images:
        if image.array is None or visit.time < image.size("t"):
            add(_own_rows(image) or _plain_rows(image, like, visit.time))
    add(_never_written(plate, set(zip(*(columns[name] for name in _KEY), strict=True))))
    return pl.DataFrame(columns, schema=_COLUMNS).with_columns(
        pl.col("acquired_at").str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z", time_unit="us", strict=False)
    )


def _plain_rows(image: _Image, like: _Image, time: int) -> dict[str, list[Any]]:
    """Each channel and plane that the axes have. A field without its array is taken to be as `like`."""
    shaped, level = (image if image.array else like), image.level
    n_channels, n_planes = shaped.channels, shaped.planes
    names = _channel_names(level.labels or like.level.labels, n_channels)
    light = [*level.light_nm, *[(None, None)] * len(names)]
    x, y = _place(image)
    leads = _leads(image.array.leading, image.array.per_file) if image.array else None
    first, step = level.heights_um or (None, None)
    rows = []
    for channel, name in enumerate(names):
        for plane in range(n_planes):
            page = (time * n_channels + channel) * n_planes + plane
            height = first + plane * step if first is not None and step and n_planes > 1 else None
            rows.append((name, plane + 1, page, height, *light[channel], leads[page] if leads else None))
    keys = ("Metadata_Channel", "Metadata_Plane", "page", "z_um", "excitation_nm", "emission_nm", "lead")
    return _of_field(image, len(rows), x, y) | {
        key: list(values) for key, values in zip(keys, zip(*rows, strict=True), strict=True)
    }


def _of_field(image: _Image, count: int, x: float | None, y: float | None) -> dict[str, list[Any]]:
    field = image.field
    same = {
        "Metadata_Row": field.row, "Metadata_Col": field.col, "Metadata_Site": field.site, "path": image.document,
        "array": image.folder, "x_um": x, "y_um": y,
    }  # fmt: skip
    return {name: [value] * count for name, value in same.items()}


def _own_rows(image: _Image) -> dict[str, list[Any]] | None:
    """What our export says of each image of a field; None where it says nothing that fits the array."""
    given = an_object(image.own.get("images"))
    channels, planes, pages = (given.get(name) for name in ("channel", "plane", "page"))
    if not (isinstance(channels, list) and isinstance(planes, list) and isinstance(pages, list)):
        return None
    most = image.array.pages if image.array else _MOST
    sound = len(channels) == len(planes) == len(pages) > 0
    sound &= all(isinstance(name, str) and name.strip() for name in channels)
    sound &= all(type(n) is int and 0 <= n <= _MOST for n in planes) and all(type(n) is int and 0 <= n < most for n in pages)
    if not sound:
        return None
    leads = _leads(image.array.leading, image.array.per_file) if image.array else None
    rows = _of_field(image, len(pages), *_place(image))
    rows |= {"Metadata_Channel": channels, "Metadata_Plane": planes, "page": pages}
    rows |= {"lead": [leads[page] for page in pages] if leads else [None] * len(pages)}
    for name in _NUMBERS:
        if isinstance(values := given.get(name), list) and len(values) == len(pages):
            rows[name] = [a_number(value) for value in values]
    if isinstance(times := given.get("acquired_at"), list) and len(times) == len(pages):
        rows["acquired_at"] = [time if isinstance(time, str) else None for time in times]
    return rows


def _never_written(plate: Plate, known: set[tuple[Any, ...]]) -> dict[str, list[Any]]:
    """Images that our export names as missing, of fields that it did not write: the array that would hold each is not there."""
    rows: dict[str, list[Any]] = {name: [] for name in (*_KEY, "path", "page", *_NUMBERS, "acquired_at")}
    missing = plate.own.get("missing")
    for entry in map(an_object, missing if isinstance(missing, list) else []):
        channel, site, plane = entry.get("channel"), _counted(entry.get("site"), 1), _counted(entry.get("plane"))
        try:
            place = Well.parse(str(entry.get("well")))
        except LayoutError:
            continue
        if not (isinstance(channel, str) and channel.strip()) or site is None or plane is None:
            continue
        key = (place.row, place.col, site, channel, plane)
        if key not in known:
            path = inside(plate.folder or "", f"{row_letters(place.row)}/{place.col}/{site - 1}/0/zarr.json")
            numbers = [a_number(entry.get(name)) for name in _NUMBERS]
            time = entry.get("acquired_at")
            for name, value in zip(rows, (*key, path, 0, *numbers, time if isinstance(time, str) else None), strict=True):
                rows[name].append(value)
    return rows


def _counted(value: Any, first: int = 0) -> int | None:
    return value if type(value) is int and first <= value <= _MOST else None


@lru_cache(maxsize=64)
def _leads(leading: tuple[int, ...], per_file: tuple[int, ...]) -> list[str]:
    """What the numbers of a file begin with, for each page of an array: `0/3` of t, c, with `/` whatever the array writes."""
    names = [""]
    for length, step in zip(leading, per_file, strict=False):
        names = [f"{name}/{index // step}" if name else str(index // step) for name in names for index in range(length)]
    return names


def _place(image: _Image) -> tuple[float | None, float | None]:
    """The image's centre from the well's, µm, where the translations say that they are counted from there."""
    pixel, corner = image.level.pixel_um, image.level.corner_um
    if image.own.get("origin") != WELL_CENTRE or image.array is None or pixel is None or corner is None:
        return None, None
    height, width = image.array.shape[-2:]
    return corner[0] + (width - 1) / 2 * pixel, corner[1] + (height - 1) / 2 * pixel


def _channel_names(labels: Sequence[str | None], count: int) -> list[str]:
    """Channels by their labels; those without are numbered, and two of one name are told apart by their number."""
    given = [labels[number] if number < len(labels) else None for number in range(count)]
    names = [name or ("default" if count == 1 else f"channel {number}") for number, name in enumerate(given, start=1)]
    taken = Counter(names)
    return [name if taken[name] == 1 else f"{name} ({number})" for number, name in enumerate(names, start=1)]


def _count_files(listing: Listing, found: pl.DataFrame, images: Sequence[_Image]) -> pl.DataFrame:
    """The rows with how many files each image has, and how many it has at most.

    An image without a file gets the path of the first that it would have, which is not in the listing.
    """
    arrays = pl.DataFrame(
        [(image.folder, *array.key, *array.files_across) for image in images if (array := image.array)],
        schema={"array": pl.String, "before": pl.String, "between": pl.String, "rows": pl.Int64, "cols": pl.Int64},
        orient="row",
    ).unique("array")
    names = pl.DataFrame({"file": list(listing.sizes)}, schema={"file": pl.String})
    counted = []
    for depth in arrays["array"].str.count_matches("/", literal=True).unique():
        numbers = r"(?<begun>(?:c[./])?)(?<lead>(?:\d+[./])*)(?<row>\d{1,9})[./](?<col>\d{1,9})"
        pattern = rf"^(?<array>(?:[^/]+/){{{depth}}}[^/]+)/{numbers}$"
        parts = names.select(pl.col("file").str.extract_groups(pattern)).unnest("file").drop_nulls("row")
        parts = parts.with_columns(pl.col("row", "col").cast(pl.Int64)).join(arrays, on="array")
        parts = parts.filter(
            pl.col("row") < pl.col("rows"), pl.col("col") < pl.col("cols"), pl.col("begun") == pl.col("before")
        )
        lead = pl.col("lead").str.replace_all(".", "/", literal=True).str.strip_chars_end("/")
        counted.append(parts.group_by("array", lead).agg(pl.len().alias("files")))
    counts = pl.concat([pl.DataFrame(schema={"array": pl.String, "lead": pl.String, "files": pl.UInt32}), *counted])
    found = found.join(arrays, on="array", how="left").join(counts, on=["array", "lead"], how="left", maintain_order="left")
    lead = pl.when(pl.col("between") == ".").then(pl.col("lead").str.replace_all("/", ".", literal=True)).otherwise("lead")
    led = pl.when(pl.col("lead") == "").then(pl.lit("")).otherwise(lead + pl.col("between"))
    first = pl.concat_str("array", pl.lit("/"), "before", led, pl.lit("0"), "between", pl.lit("0"))
    gone = pl.col("files").is_null() & pl.col("rows").is_not_null()
    return found.with_columns(
        path=pl.when(gone).then(first).otherwise("path"),
        most=pl.col("rows") * pl.col("cols"),
        files=pl.col("files").fill_null(0),
    )


def _completeness(plate: Plate, found: pl.DataFrame, images: Sequence[_Image]) -> tuple[bool | None, str]:
    """True where all is there that the metadata lists; None where only settling can tell."""
    there, partly = found.filter(pl.col("files") > 0), found.filter(pl.col("files").is_between(1, pl.col("most") - 1)).height
    lacking = sum(image.lacking for image in images)
    more = f", {lacking} arrays of smaller levels are not" if lacking else ""
    counted = f"{there.height} of {found.height} images are there{more}"
    if there.height < found.height or lacking:
        return False, f"{LISTED}: {counted}"
    if partly:
        return None, f"{SETTLING}: {partly} of {found.height} images lack some of their chunk files, empty or not copied yet"
    if plate.folder is None:
        return None, f"{SETTLING}: {counted}, and without a plate nothing tells how many there should be"
    return True, f"{LISTED}: {counted}"


def _stored(listing: Listing) -> list[str]:
    """Every file of the store; what lies beside it is another's."""
    tops = tuple(f"{top}/" if top else "" for top in topmost(listing))
    return [path for path in listing.sizes if path.startswith(tops)]


def _documents(store: Sequence[str], others: Sequence[_Image]) -> list[str]:
    """The files of the store, but for the images of other acquisitions: an image is its metadata and all its chunks."""
    foreign = {image.field.folder for image in others}
    depths = {folder.count("/") + 1 for folder in foreign}
    return [path for path in store if not any("/".join(path.split("/")[:depth]) in foreign for depth in depths)]


def _objective(own: Mapping[str, Any]) -> Objective | None:
    given = own.get("objective")
    magnification, aperture = (
        (a_number(each) for each in given) if isinstance(given, list) and len(given) == 2 else (None, None)
    )
    return Objective(magnification, aperture) if magnification and magnification > 0 else None
