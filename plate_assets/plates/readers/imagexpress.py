"""ImageXpress: what MetaXpress keeps in its database's folders, and what it exports with an HTD file.

Belongs here: names of folders and files, time points, and what a handful of images say in their MetaSeries text. Not here: the
HTD and what is missing by its plan (`imagexpress_htd`), pixels.

The database has `<plate>/<date>/<id>/[TimePoint_n/][ZStep_n/]<plate>_<well>[_s<site>][_w<wave>]<UUID>.tif`, an export
`<plate>_Plate_<id>/TimePoint_n/[ZStep_n/]<plate>_<well>[_s<site>][_w<wave>].TIF` beside its HTD files. `_s` and `_w` are left
out where there is one of them; thumbnails are no images. ZStep_0, and an image beside the ZStep folders, is the microscope's
own projection: plane 0.

The plate is what the files' names begin with: a plate that is imaged again keeps it, and gets another id. So a visit is called
`id<id>`, the same in the database and in an export, and `id<id>-t<n>` where its images lie in one of several TimePoint folders
(`t<n>` where nothing tells the id); no hours can be told from these. A time point in the folder's own name, as in `P1_096h`,
goes before them where there is one visit.

Offsets from the well's centre are as in an image, x to the right and y down (SiteY 1 is the upper row, and its y is negative).
They are taken from one image of each site and hold for all wells. Times are local, without a zone, and taken as UTC.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from upath import UPath

from plate_assets.plates.acquisition import Acquisition, AcquisitionError, Objective
from plate_assets.plates.layout import LayoutError, Well
from plate_assets.plates.listing import Listing, local_path
from plate_assets.plates.readers.identity import Identity, identify
from plate_assets.plates.readers.imagexpress_htd import HTD_START, IMAGE, Plan, check_shape, compare, read_plan
from plate_assets.plates.readers.options import ReadOptions
from plate_assets.plates.readers.reader import SeveralTimepoints, build_acquisition, instant, number_or_none, read_start

MAX_SITES_LOOKED_AT = 100

_UUID = r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
_NAME = (
    r"^(?P<folder>(?:[^/]+/)*?)(?:TimePoint_0*(?P<time>[1-9]\d{0,5})/)?(?:ZStep_(?P<step>\d{1,6})/)?"
    r"(?P<plate>[^/\s][^/]*)_(?P<well>[A-Z]{1,2}\d{2})(?:_s0*(?P<site>[1-9]\d{0,4}))?(?:_w0*(?P<wave_text>[1-9]\d{0,2}))?"
    rf"(?P<thumb>_thumb)?(?P<uuid>_?\[?{_UUID}\]?)?(?P<ending>\.(?i:tiff?))$"
)
_WHOLE_NAME = re.compile(_NAME)
_DATABASE = re.compile(r"(?:^|/)(\d{4}-\d{2}-\d{2})/(\d{1,12})/$")
_EXPORT = re.compile(r".*_Plate_(\d{1,12})(?:_.*)?")
_DATE, _NUMBER = re.compile(r"\d{4}-\d{2}-\d{2}"), re.compile(r"\d{1,12}")
_TIME, _STEP = re.compile(r"TimePoint_\d{1,6}"), re.compile(r"ZStep_\d{1,6}")
_LEVEL = re.compile(r"(?:TimePoint|ZStep)_\d|\d-\d{2}/")
_MAGNIFICATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*[xX×]")

_MAX_TEXT = 2**20
_MAX_IMAGE_BYTES = 2**30
_UM = ("um", "µm", "μm", "micron", "microns")
_WIDEST_WELL_UM = 100_000
_SAME_PLACE_UM = 5.0  # the stage finds a site again within a tenth of this
_ABOUT = (
    "ApplicationVersion", "Instrument Serial Number", "_MagSetting_", "camera-binning-x", "acquisition-time-local",
    "stage-position-x", "stage-position-y", "z-position", "Z Projection Method", "Z Projection Step Size",
)  # fmt: skip


@dataclass(frozen=True)
class _Measurement:
    """The one measurement of a folder: all its images by their names, whatever their time point."""

    images: pl.DataFrame  # IMAGE, `time` (0 outside of TimePoint folders), `path`, `size`, and the parts of the name
    name: str  # of the folder that was given, without MetaXpress's levels
    plate: str
    number: str | None  # MetaXpress's id of the measurement
    date: str | None
    plan: Plan | None
    documents: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass
class _Samples:
    """What a handful of images say of themselves, each read once; an image that cannot be read says nothing."""

    listing: Listing
    read: dict[str, dict[str, str]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def of(self, path: str) -> dict[str, str]:
        if path not in self.read:
            try:
                self.read[path] = _properties(self.listing.path_of(path), self.listing.sizes[path])
            except Exception as error:  # the decoders raise whatever foreign bytes make them
                self.read[path] = {}
                self.broken.append(f"{path} ({error})")
        return self.read[path]

    def silent(self) -> list[str]:
        """What a person should know where images say nothing."""
        if self.broken:
            return [f"{len(self.broken)} images could not be asked for their metadata, the first: {self.broken[0]}"]
        nothing = not any(self.read.values())
        return [f"{next(iter(self.read))} has no MetaSeries text: pixel size, lens and places are unknown"] if nothing else []


@dataclass(frozen=True)
class ImageXpressReader:
    """Reads the acquisition's top folder, or in the database its date's or id's, in an export its TimePoint's."""

    name: str = "imagexpress"
    complete_when: str = (
        "every well and site that the `.HTD` file plans has an image of each channel and plane that any of them has, and no "
        "planned channel or plane lacks all of its images; where one does, which may be meant so, or where there is no `.HTD` "
        "file: its files stayed the same over several looks of the sensor"
    )

    def recognises(self, listing: Listing) -> bool:
        """Whether there is an HTD file, or an image named by MetaXpress in one of its folders."""
        if any(_is_htd(listing, path) for path in listing.fitting(r"(?i)\.htd$")):
            return True
        above, _ = _levels(listing.root)
        likely = listing.paths if above else listing.fitting(_LEVEL.pattern)
        return any(_is_metaxpress(above + path) for path in likely)

    def read(self, listing: Listing, options: ReadOptions) -> Acquisition:
        """The acquisition; images that the HTD plans and the folder lacks have `present` False."""
        measurement = _measurement(listing, options)
        plan = measurement.plan
        if plan and options.plate_format is None:
            check_shape(plan)
        visit, identity = _one_visit(listing, measurement, options)
        found = compare(plan, visit)
        samples = _Samples(listing)
        first = samples.of(visit["path"][0])
        places, strange = _places(visit, samples)
        about = first or next(filter(None, samples.read.values()), {})
        waves = _waves(measurement, samples)
        doubts = _doubts(measurement, visit, waves, samples)
        rows = pl.concat([visit.select(*IMAGE, "path"), found.missing]).join(waves, "wave").join(places, IMAGE[2], "left")
        return build_acquisition(
            listing, self.name, identity, rows.drop("wave").with_columns(page=pl.lit(0)), options,
            complete=found.complete, completeness=found.completeness, shape=plan.shape if plan else None,
            pixel_um=_pixel_um(about), objective=_objective(about), started_at=instant(first.get("acquisition-time-local")),
            metadata={"measurement": measurement.number, "date": measurement.date}
            | (plan.about if plan else {}) | {key.strip("_"): about.get(key) for key in _ABOUT},
            documents=_documents(measurement, visit), belongs=measurement.images["path"].to_list(),
            warnings=[*measurement.warnings, *found.warnings, *strange, *doubts, *samples.silent()],
        )  # fmt: skip


def _is_htd(listing: Listing, path: str) -> bool:
    """Whether a file is an HTD by its name, and begins as one (or is still too short to tell)."""
    start = read_start(listing, path, len(HTD_START) + 3).removeprefix(b"\xef\xbb\xbf")[: len(HTD_START)]
    return HTD_START.startswith(start)


def _is_metaxpress(path: str) -> bool:
    """Whether an image is named as MetaXpress does, and lies in its folders."""
    match = _WHOLE_NAME.fullmatch(path) if _LEVEL.search(path) else None
    if not match or match["thumb"]:
        return False
    return bool(match["time"] or match["step"] or (match["uuid"] and _DATABASE.search(match["folder"])))


def _levels(root: UPath) -> tuple[str, str]:
    """Which of MetaXpress's levels the folder that was given is itself, as a path; and the name of the folder above them."""
    names = [root.name, *(parent.name for parent in list(root.parents)[:4]), "", ""]
    levels: list[str] = []
    for level in (_STEP, _TIME):
        if level.fullmatch(names[0]):
            levels.insert(0, names.pop(0))
    if _NUMBER.fullmatch(names[0]) and _DATE.fullmatch(names[1]):
        levels[:0] = [names[1], names[0]]
        names = names[2:]
    elif _DATE.fullmatch(names[0]):
        levels.insert(0, names.pop(0))
    return "".join(level + "/" for level in levels), names[0]


def _by_names(listing: Listing) -> tuple[pl.DataFrame, list[str]]:
    """The images by the parts of their names, thumbnails left out; and the TIFFs whose names are not MetaXpress's."""
    above, _ = _levels(listing.root)
    table = listing.table.rename({"size_bytes": "size"}).filter(pl.col("path").str.contains(r"(?i)\.tiff?$"))
    table = table.with_columns((above + pl.col("path")).str.extract_groups(_NAME).alias("parts")).unnest("parts")
    strays = table.filter(pl.col("plate").is_null())["path"].to_list()
    return table.filter(pl.col("plate").is_not_null() & pl.col("thumb").is_null()).drop("thumb"), strays


def _measurement(listing: Listing, options: ReadOptions) -> _Measurement:
    """All images of the folder, if they are of one measurement and one plate."""
    images, strays = _by_names(listing)
    if not images.height:
        raise AcquisitionError(
            f"{listing.root} holds no image that is named as MetaXpress does (`<plate>_<well>[_s1][_w1].TIF`), for example "
            f"{strays[0] if strays else 'any TIFF'!r}: name the folder that holds the images, or wait until they were copied"
        )
    above, name = _levels(listing.root)
    folders = images["folder"].unique().sort().to_list()
    if len(folders) > 1:
        raise AcquisitionError(
            f"{listing.root} holds {len(folders)} measurements, {folders[0] or './'} and {folders[1]}: name the folder of one"
        )
    plates = images["plate"].unique().sort().to_list()
    if len(plates) > 1 and options.plate is None:
        raise AcquisitionError(
            f"{listing.root} holds images of {len(plates)} plates by their names ({', '.join(plates[:3])}): put each into a "
            "folder of its own, or name the plate with the option `plate`"
        )
    database = _DATABASE.search(folders[0])
    export = _EXPORT.fullmatch(folders[0].rstrip("/").rsplit("/", 1)[-1]) or _EXPORT.fullmatch(name)
    documents = [path for path in listing.fitting(r"(?i)\.htd$") if (above + path).startswith(folders[0])]
    plan = _plan(listing, documents, plates[0])
    stacked = images["step"].count() > 0 or (plan is not None and plan.stacked)
    warnings = [f"{len(strays)} TIFF files are not named as MetaXpress does: {', '.join(strays[:3])}"] if strays else []
    return _Measurement(
        _numbered(listing, images, stacked), name, plates[0],
        database[2] if database else export[1] if export else None, database[1] if database else None,
        plan, tuple(documents), tuple(warnings),
    )  # fmt: skip


def _plan(listing: Listing, documents: list[str], plate: str) -> Plan | None:
    """The plan by the HTD that lies highest: MetaXpress puts the same one into each folder of an export."""
    highest = min((path.count("/") for path in documents), default=0)
    plans = {path.rsplit("/", 1)[-1][:-4].casefold(): path for path in reversed(documents) if path.count("/") == highest}
    chosen = plans.get(plate.casefold()) or next(iter(plans.values()), None)
    if len(plans) > 1 and plate.casefold() not in plans:
        raise AcquisitionError(
            f"{listing.root} has two plans, {' and '.join(sorted(plans.values())[:2])}: keep the one of the images of {plate}"
        )
    return read_plan(listing, chosen) if chosen else None


def _numbered(listing: Listing, images: pl.DataFrame, stacked: bool) -> pl.DataFrame:
    """Wells, sites, channels, planes and time points as numbers."""
    wells: dict[str, Well] = {}
    for text in images["well"].unique().to_list():
        try:
            wells[text] = Well.parse(text)
        except LayoutError as error:
            example = images.filter(pl.col("well") == text)["path"][0]
            raise AcquisitionError(f"{listing.root / example}: {error}") from error
    plane = pl.col("step").cast(pl.Int64).fill_null(0 if stacked else 1)
    return images.with_columns(
        pl.col("well").replace_strict({t: w.row for t, w in wells.items()}, return_dtype=pl.Int64).alias("Metadata_Row"),
        pl.col("well").replace_strict({t: w.col for t, w in wells.items()}, return_dtype=pl.Int64).alias("Metadata_Col"),
        pl.col("site").cast(pl.Int64).fill_null(1).alias("Metadata_Site"),
        pl.col("wave_text").cast(pl.Int64).fill_null(1).alias("wave"),
        plane.alias("Metadata_Plane"),
        pl.col("time").cast(pl.Int64).fill_null(0),
    ).sort("time", *IMAGE, "path")  # fmt: skip


def _one_visit(listing: Listing, measurement: _Measurement, options: ReadOptions) -> tuple[pl.DataFrame, Identity]:
    """The images of one time point, and what the acquisition is called."""
    images, number = measurement.images, measurement.number
    visit = f"id{number}" if number else None
    names = {time: f"{visit}-t{time}" if visit else f"t{time}" for time in images["time"].unique().sort().to_list()}
    plate = None if measurement.plate == measurement.name else measurement.plate  # `P1_096h` is P1 at 96 h, in files as well
    if len(names) == 1:
        alone = 0 in names or (measurement.plan is not None and measurement.plan.time_points == 1)
        return images, identify(measurement.name, options, plate, visit if alone else next(iter(names.values())))
    chosen = [time for time, name in names.items() if name == options.timepoint]
    if not chosen:
        raise SeveralTimepoints(str(listing.root), list(names.values()))
    return images.filter(pl.col("time") == chosen[0]), identify(measurement.name, options, plate, options.timepoint)


def _documents(measurement: _Measurement, visit: pl.DataFrame) -> list[str]:
    """The HTD files of one visit, those in other visits' folders left out: a visit does not change when another comes."""
    times = pl.Series(measurement.documents, dtype=pl.String).str.extract(r"(?:^|/)TimePoint_0*([1-9]\d{0,5})/")
    return [path for path, time in zip(measurement.documents, times, strict=True) if time in (None, str(visit["time"][0]))]


def _waves(measurement: _Measurement, samples: _Samples) -> pl.DataFrame:
    """Each channel's name and the light that is seen, by one of its images.

    The name is the HTD's, else the illumination setting, else `w1`; two of one name are told apart by their numbers. The
    channels of all time points count, so that a name is the same at each of them.
    """
    told = measurement.plan.waves if measurement.plan else {}
    examples = measurement.images.unique("wave", keep="first", maintain_order=True).select("wave", "path").sort("wave")
    about = {wave: samples.of(path) for wave, path in examples.iter_rows()}
    plain = {w: told.get(w) or " ".join(found.get("_IllumSetting_", "").split()) or f"w{w}" for w, found in about.items()}
    taken = list(plain.values())
    names = {w: name if taken.count(name) == 1 else f"{name} (w{w})" for w, name in plain.items()}
    seen = [number_or_none(found.get("wavelength")) for found in about.values()]
    return pl.DataFrame(
        {
            "wave": list(names),
            "Metadata_Channel": list(names.values()),
            "emission_nm": [nm if nm and 100 <= nm <= 3000 else None for nm in seen],
        },
        schema={"wave": pl.Int64, "Metadata_Channel": pl.String, "emission_nm": pl.Float64},
    )


def _places(visit: pl.DataFrame, samples: _Samples) -> tuple[pl.DataFrame, list[str]]:
    """Where each site lies in its well, by one image of it; nothing where the last well says otherwise than the first."""
    examples = visit.unique("Metadata_Site", keep="first", maintain_order=True)
    schema = {"Metadata_Site": pl.Int64, "x_um": pl.Float64, "y_um": pl.Float64}
    if examples.height > MAX_SITES_LOOKED_AT:
        return pl.DataFrame(schema=schema), [f"places in the well are read for {MAX_SITES_LOOKED_AT} sites at most"]
    places = {site: _place(samples.of(path)) for site, path in examples.select("Metadata_Site", "path").iter_rows()}
    last = visit.row(-1, named=True)
    here, there = places[last["Metadata_Site"]], _place(samples.of(last["path"]))
    if here and there and math.dist(here, there) > _SAME_PLACE_UM:
        return pl.DataFrame(schema=schema), [
            f"site {last['Metadata_Site']} lies elsewhere in well {last['well']} than in the first: places are unknown"
        ]
    rows = [(site, *place) for site, place in places.items() if place]
    return pl.DataFrame(rows, schema=schema, orient="row"), []


def _place(about: dict[str, str]) -> tuple[float, float] | None:
    x, y = (number_or_none(about.get(f"OffsetFromWellCenterUm{axis}")) for axis in "XY")
    return (x, y) if x is not None and y is not None and max(abs(x), abs(y)) <= _WIDEST_WELL_UM else None


def _doubts(measurement: _Measurement, visit: pl.DataFrame, waves: pl.DataFrame, samples: _Samples) -> list[str]:
    """What a person should know of channels whose images are not what their folders say."""
    found, images = [], measurement.images
    earlier = images.filter(pl.col("time") < visit["time"][0])
    before = earlier.filter(pl.col("time") == pl.col("time").max())
    names = dict(waves.select("wave", "Metadata_Channel").iter_rows())
    for (wave,), group in visit.group_by("wave", maintain_order=True):
        name, about = names[wave], samples.of(group["path"][0])
        if _copied_over_planes(group, samples):
            planes = ", ".join(map(str, group["Metadata_Plane"].unique().sort()))
            found.append(f"{name}: the planes {planes} hold one image, copied, as exports do where only one was taken")
        if _copied_over_time(group, before, samples):
            found.append(f"{name}: the images are copies of an earlier time point's, as exports do where none were taken")
        if "Z Projection Method" in about and "Z Step" not in about and group["Metadata_Plane"].unique().to_list() == [1]:
            found.append(f"{name}: plane 1 is a projection by what the images say, and nothing in their folders says so")
    return found


def _copied_over_planes(group: pl.DataFrame, samples: _Samples) -> bool:
    """Whether the planes of one channel are copies of one: an export has a file for each planned image, and fills what the
    protocol leaves out. Equal sizes of all files make it likely, and equal texts of some images sure."""
    stacks = group.group_by(IMAGE[:3], maintain_order=True).agg(pl.col("size").n_unique(), pl.col("path"))
    first = stacks["path"][0].to_list()
    return len(first) > 1 and stacks["size"].max() == 1 and all(_same_text(samples, first[0], first[at]) for at in (1, -1))


def _copied_over_time(group: pl.DataFrame, before: pl.DataFrame, samples: _Samples) -> bool:
    """Whether the images of one channel are copies of those of the time point before, by the same signs."""
    pairs = group.join(before, on=[*IMAGE, "size"], suffix="_before", maintain_order="left")
    return pairs.height == group.height and _same_text(samples, pairs["path"][0], pairs["path_before"][0])


def _same_text(samples: _Samples, one: str, other: str) -> bool:
    return bool(samples.of(one)) and samples.of(one) == samples.of(other)


def _properties(where: UPath, size: int) -> dict[str, str]:
    """What the MetaSeries text of an image says, by the names that MetaXpress gives; empty where there is no such text."""
    import tifffile
    from defusedxml.ElementTree import fromstring

    if size > _MAX_IMAGE_BYTES:
        raise ValueError(f"{size:,} bytes are more than an image has")
    blocks: dict[str, Any] = {} if local_path(where) is not None else {"block_size": 2**17}
    with where.open("rb", **blocks) as file, tifffile.TiffFile(file) as tiff:
        tag = tiff.pages.first.tags.get(270)  # ImageDescription
        text = str(tag.value) if tag is not None and tag.count <= _MAX_TEXT else ""
    if not text.lstrip().startswith("<MetaData"):
        return {}
    found: dict[str, str] = {}
    for element in fromstring(text, forbid_dtd=True).iter():
        if element.tag in ("prop", "custom-prop"):
            found.setdefault(element.get("id", ""), element.get("value", "")[:10_000])
    return found


def _pixel_um(about: dict[str, str]) -> tuple[float, str] | None:
    size = number_or_none(about.get("spatial-calibration-x"))
    told = about.get("spatial-calibration-state", "on") == "on" and about.get("spatial-calibration-units", "").lower() in _UM
    return (size, "first image") if told and size and 0.001 <= size <= 1000 else None


def _objective(about: dict[str, str]) -> Objective | None:
    match = _MAGNIFICATION.match(about.get("_MagSetting_", ""))
    magnification = number_or_none(match[1]) if match else None
    aperture = number_or_none(about.get("_MagNA_"))
    if not magnification or not 0.1 <= magnification <= 1000:
        return None
    return Objective(magnification, aperture if aperture and 0 < aperture <= 2 else None)
