"""Image folders by filename pattern: named presets, and one's own regular expression.

Belongs here: what a file's name tells. Not here: vendors' metadata (a reader each), decoding (`images`).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import polars as pl

from plate_assets.plates.acquisition import SETTLING, Acquisition, AcquisitionError
from plate_assets.plates.layout import LayoutError, PlateFormat, Well
from plate_assets.plates.listing import Listing
from plate_assets.plates.readers.identity import hours_of, identify
from plate_assets.plates.readers.options import ReadOptions
from plate_assets.plates.readers.reader import IMAGE_SUFFIXES, SeveralTimepoints, build_acquisition, format_of, instant

GROUPS = (
    "plate", "well", "row", "col", "well_number", "site", "site0", "crop", "channel", "plane", "plane0", "time", "time0",
)  # fmt: skip

_ALIASES = {
    "wellrow": "row", "wellcolumn": "col", "wellcol": "col", "column": "col", "wellindex": "well_number", "wellnumber":
    "well_number", "field": "site", "fov": "site", "wavelength": "channel", "channelnumber": "channel", "zslice": "plane", "z":
    "plane", "timepoint": "time", "platename": "plate",
}  # fmt: skip

_WELL = r"[A-Za-z]{1,2}\d{1,2}"
_UUID = r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
_COLOUR = r"(?:(?i:phase|bright[ -]?field|bf|green|red|orange|near[ -]?ir|nir)(?:[A-Z][a-z]+)*|[PGR])"

# Each preset is matched against the whole file name without its ending. `site0`, `plane0` and `time0` count from 0. No
# look-around and no back-references: polars matches them.
PRESETS: dict[str, str] = {
    # AS_09047_050428030001_O05f00d2.TIF
    "plate_well_field": r"(?P<plate>.+)_(?P<well>[A-Z]{1,2}\d\d)f(?P<site0>\d\d)(?P<channel>d\d)",
    # Channel 2-01-A-01-00.tif
    "vitra": r"(?P<channel>Channel \d+)-\d+-(?P<row>[A-Z]{1,2})-(?P<col>\d\d)-(?P<site0>\d\d)",
    # 1649_1109_0003_Amp5-1_B_20070424_C20_w2_5F64C597-…, ADSAStaphInfection2_A01_s1_w2247376DD-…
    "uuid": rf"(?P<plate>.+?)_(?P<well>{_WELL})(?:_s(?P<site>\d+))?_(?P<channel>w\d)_?{_UUID}",
    # --W00001--P00001--Z00000--T00000--cherry.tif
    "scanr": (
        r"(?P<plate>.+)?--W(?P<well_number>\d{5})--P(?P<site>\d{5})--Z(?P<plane0>\d{5})--T(?P<time0>\d{5})"
        r"--(?P<channel>.+)"
    ),
    # Phase_A1_1_00d04h00m.tif, VID558_Green_B10_6_2020y06m19d_14h00m.tif, A172_Phase_A7_1_00d00h00m_2.tif (a crop of the image)
    "incucyte": (
        rf"_*(?:(?P<plate>.+?)[ _-]+)??(?:(?P<channel>{_COLOUR})[ _-]+)?(?P<well>[A-Z]{{1,2}}\d{{1,2}})_(?P<site>\d{{1,3}})"
        r"_(?P<time>\d{4}y\d\dm\d\dd_\d\dh\d\dm|\d{1,3}d\d\dh\d\dm)(?:_(?P<crop>\d{1,2}))?"
    ),
    # A01.tif, A01_s1.png, P001_A01_s1_w1.tif, P001_A01_s1_z2_ch1_t3.tif, DMSO_B5_t0.JPG
    "plain": (
        rf"(?:(?P<plate>.+?)_)??(?P<well>{_WELL}|[rR]\d+[cC]\d+)(?:_s(?P<site>\d+))?(?:_z(?P<plane>\d+))?"
        r"(?:_(?P<channel>(?:ch|w|c|d)\d+))?(?:_z(?P<plane_>\d+))?(?:_(?P<time>t\d+))?"
    ),
}

# What Python's `re` and polars' regular expressions read differently, or what polars lacks.
_PYTHON_ONLY = re.compile(r"\(\?(?!P<|:|i[:)])|\\(?![dwsDWS]|[^\w<>])|[*+?}]\+|\{,|\[[^\]]*(?:\[|&&|--|~~)")

_DATE = re.compile(r"(\d{4})y(\d\d)m(\d\d)d_(\d\d)h(\d\d)m")
_ELAPSED = re.compile(r"(\d{1,3})d(\d\d)h(\d\d)m")

# Sites and planes are numbers that people count to; a larger one is a date or a barcode that a pattern took for one.
_MOST = 1_000_000

# With less than this share of the images understood, a folder is a mix and not a plate with some stray files.
_UNDERSTOOD = 0.8


@dataclass(frozen=True)
class FilenameReader:
    """Reads flat folders: one file for each image, its name says which."""

    name: str = "filenames"
    complete_when: str = "its files stayed the same over several looks of the sensor: names do not tell how many belong to it"

    def recognises(self, listing: Listing) -> bool:
        """Whether a preset understands any image's name."""
        stems = _names(image_names(listing))["stem"]
        return any(stems.str.contains(_whole(pattern)).any() for pattern in PRESETS.values())

    def read(self, listing: Listing, options: ReadOptions) -> Acquisition:
        """The acquisition by its names. Nothing in names tells that one is missing: `complete` is None."""
        images = image_names(listing)
        if not images.len():
            raise AcquisitionError(f"{listing.root} holds no TIFF, PNG or JPEG image: name the folder that holds the images")
        preset, found, strays = choose_pattern(listing, images, options.pattern)
        found, plate = one_plate(listing, found, options)
        found, time, started_at = one_visit(listing, found, options)
        identity = identify(listing.root.name, options, plate, time)
        if identity.timepoint_h is None and identity.timepoint == time:
            identity = replace(identity, timepoint_h=_hours(identity.timepoint))
        found, guessed = wells_and_sites(listing, found, options)
        found, pixel_um, paged = _pages(listing, found)
        warnings = [*guessed, *paged]
        if strays:
            shown = ", ".join(strays[:3])
            warnings.append(f"{len(strays)} of {images.len()} images have names that `{preset}` does not understand: {shown}")
        return build_acquisition(
            listing, self.name, identity, found, options,
            complete=None, completeness=f"{SETTLING}: names do not tell how many there should be", pixel_um=pixel_um,
            started_at=started_at, metadata={"pattern": preset}, warnings=warnings,
        )  # fmt: skip


def image_names(listing: Listing) -> pl.Series:
    """The images of a listing, thumbnails left out."""
    paths = listing.paths
    endings = "|".join(re.escape(suffix) for suffix in IMAGE_SUFFIXES)
    return paths.filter(paths.str.contains(f"(?i)(?:{endings})$") & ~paths.str.contains(r"(?i)_thumb[^/]*$"))


def choose_pattern(listing: Listing, images: pl.Series, pattern: str | None) -> tuple[str, pl.DataFrame, list[str]]:
    """The preset (or one's own expression), what it finds in each image's name, and the images it does not understand.

    What it finds: `path`, and a column of text for each of its GROUPS. Without `pattern` it is the preset that understands
    most. Raises AcquisitionError where two presets share the folder.
    """
    names = _names(images)
    tried = [pattern] if pattern is not None else list(PRESETS)
    found = {name: _expression(PRESETS.get(name, name)).find(names) for name in tried}
    best = max(tried, key=lambda name: found[name].height)
    if not found[best].height:
        raise AcquisitionError(
            f"{listing.root}: no image's name fits the pattern {pattern or list(PRESETS)}, the first is {images[0]!r}: it must "
            f"fit the whole name, with the named groups {', '.join(GROUPS)}"
        )
    if found[best].height == names.height:
        return best, found[best], []
    strays = names.join(found[best], on="path", how="anti", maintain_order="left")["path"]
    others = [name for name in tried if name != best and found[name]["path"].is_in(strays.implode()).any()]
    if others and found[best].height < _UNDERSTOOD * names.height:
        raise AcquisitionError(
            f"{listing.root} mixes names of two layouts, `{best}` ({found[best]['path'][0]}) and `{others[0]}` ({strays[0]}): "
            "put each into a folder of its own, or choose one with the option `pattern`"
        )
    return best, found[best], strays.to_list()


@dataclass(frozen=True)
class _Expression:
    """A pattern that was checked. Polars matches it, in linear time, unless it says what Python's `re` alone understands."""

    text: str
    by_python: re.Pattern[str] | None
    groups: dict[str, list[str]]  # ours, and how the pattern calls them

    def find(self, names: pl.DataFrame) -> pl.DataFrame:
        """`path` and our groups of each image whose whole name, without or with its ending, fits."""
        texts = [raw for group in self.groups.values() for raw in group]
        if self.by_python is None:
            whole = _whole(self.text)
            stem, base = pl.col("stem"), pl.col("base")
            name = pl.when(stem.str.contains(whole)).then(stem).when(base.str.contains(whole)).then(base)
            fitting = names.select("path", name.alias("name")).drop_nulls("name")
            groups = fitting["name"].str.extract_groups(whole).struct.unnest().select(texts)
        else:
            match = self.by_python.fullmatch
            matches = [match(stem) or match(base) for stem, base in zip(names["stem"], names["base"], strict=True)]
            fitting = names.filter(pl.Series([found is not None for found in matches], dtype=pl.Boolean))
            rows = [tuple(found[text] for text in texts) for found in matches if found is not None]
            groups = pl.DataFrame(rows, schema=dict.fromkeys(texts, pl.String), orient="row")
        ours = [pl.coalesce(raw).alias(group) for group, raw in self.groups.items()]
        return pl.DataFrame([fitting["path"], *groups.select(ours)])


_CHECKED: dict[str, _Expression] = {}


def _expression(pattern: str) -> _Expression:
    if pattern in _CHECKED:
        return _CHECKED[pattern]
    try:
        matcher = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:  # `a{99999999999}` overflows
        raise AcquisitionError(
            f"the pattern {pattern!r} is no preset ({', '.join(PRESETS)}) and no regular expression: {error}"
        ) from error
    groups: dict[str, list[str]] = {}
    for raw in matcher.groupindex:
        groups.setdefault(_group(raw), []).append(raw)
    if unknown := groups.keys() - set(GROUPS):
        raise AcquisitionError(f"the pattern {pattern!r} has the unknown groups {sorted(unknown)}: use {', '.join(GROUPS)}")
    if not (groups.keys() & {"well", "well_number"} or {"row", "col"} <= groups.keys()):
        raise AcquisitionError(
            f"the pattern {pattern!r} tells no well: add a named group `well`, or `row` and `col`, as (?P<well>...)"
        )
    _CHECKED[pattern] = _Expression(pattern, None if _is_portable(pattern) else matcher, groups)
    return _CHECKED[pattern]


def _is_portable(pattern: str) -> bool:
    if _PYTHON_ONLY.search(pattern):
        return False
    try:
        pl.Series([""]).str.contains(_whole(pattern))
    except pl.exceptions.ComputeError:
        return False
    return True


def _whole(pattern: str) -> str:
    return f"^(?:{pattern})$"


def _group(name: str) -> str:
    """Ours for a group's name: CellProfiler's `Wavelength`, `WellRow`, … are understood, and `plane_` is a second place for
    `plane`."""
    plain = name.rstrip("_").lower()
    return _ALIASES.get(plain.replace("_", ""), plain)


def _names(images: pl.Series) -> pl.DataFrame:
    """`path`, `base` (its last part) and `stem` (the same without its ending)."""
    base = images.str.split("/").list.last()
    return pl.DataFrame({"path": images, "base": base, "stem": base.str.replace(r"\.[^.]*$", "")})


def one_plate(listing: Listing, found: pl.DataFrame, options: ReadOptions) -> tuple[pl.DataFrame, str | None]:
    plates = found["plate"].drop_nulls().unique().sort().to_list() if "plate" in found.columns else []
    if len(plates) > 1 and options.plate is None:
        raise AcquisitionError(
            f"{listing.root} holds images of {len(plates)} plates by their names ({', '.join(plates[:3])}): put each into a "
            "folder of its own, or choose one with the option `plate`; any other name there takes them all for one plate"
        )
    if len(plates) > 1 and options.plate in plates:
        return found.filter(pl.col("plate") == options.plate), options.plate
    return found, plates[0] if plates else None


def one_visit(listing: Listing, found: pl.DataFrame, options: ReadOptions) -> tuple[pl.DataFrame, str | None, datetime | None]:
    """The images of one time point, its name, and when its first image was taken where the names tell it."""
    if "time0" in found.columns:
        found = found.with_columns(("t" + _numbers(listing, found, "time0").cast(pl.String)).alias("time"))
    if "time" not in found.columns:
        return found, None, None
    moments = {text: _moment(text) for text in found["time"].drop_nulls().unique()}
    names, instants = ({text: moment[part] for text, moment in moments.items()} for part in (0, 1))
    found = found.with_columns(
        time=pl.col("time").replace_strict(names, return_dtype=pl.String),
        acquired_at=pl.col("time").replace_strict(instants, return_dtype=pl.Datetime("us", "UTC")),
    )
    times = sorted({name for name, _ in moments.values()}, key=lambda name: (_hours(name) or 0, len(name), name))
    if len(times) > 1 and options.timepoint not in times:
        raise SeveralTimepoints(str(listing.root), times)
    if len(times) > 1:
        found = found.filter(pl.col("time") == options.timepoint)
    chosen = options.timepoint if len(times) > 1 else times[0] if times else None
    return found, chosen, min((when for name, when in moments.values() if when and name == chosen), default=None)


def _moment(text: str) -> tuple[str, datetime | None]:
    """A time's name and instant. Incucyte's dates become `20200619T140000`; names tell no time zone, so they count as UTC."""
    if not (match := _DATE.fullmatch(text)):
        return text, None
    year, month, day, hour, minute = match.groups()
    return f"{year}{month}{day}T{hour}{minute}00", instant(f"{year}-{month}-{day}T{hour}:{minute}")


def _hours(time: str) -> float | None:
    """Hours that a time's name tells: `00d04h30m`, as Incucyte counts from its first scan, is 4.5."""
    if match := _ELAPSED.fullmatch(time):
        return 24.0 * int(match[1]) + int(match[2]) + int(match[3]) / 60
    return hours_of(time)


def wells_and_sites(listing: Listing, found: pl.DataFrame, options: ReadOptions) -> tuple[pl.DataFrame, list[str]]:
    """Rows and columns as numbers, sites and planes from 1, the channel's name; and what was guessed."""
    place, parse, guessed = _places(listing, found, options)
    if place.null_count():
        example = found.filter(place.is_null())["path"][0]
        raise AcquisitionError(f"{listing.root / example}: the name tells no well: mend it, or the option `pattern`")
    rows, columns = {}, {}
    for text in place.unique().to_list():
        try:
            well = parse(text)
        except (LayoutError, ValueError) as error:
            example = found.filter(place == text)["path"][0]
            raise AcquisitionError(f"{listing.root / example}: {error}") from error
        rows[text], columns[text] = well.row, well.col
    site = _counted(listing, found, "site")
    if "crop" in found.columns and found["crop"].count():
        crop = _numbers(listing, found, "crop")
        site = pl.select(pl.when(crop.is_null()).then(site).otherwise(site * 100 + crop)).to_series()
        guessed.append("images are crops of sites: crop 2 of site 1 is taken for site 102")
    told = {"acquired_at": found["acquired_at"]} if "acquired_at" in found.columns else {}
    channel = found["channel"].fill_null("default") if "channel" in found.columns else pl.lit("default")
    return (
        found.select(
            "path",
            place.replace_strict(rows, return_dtype=pl.Int64).alias("Metadata_Row"),
            place.replace_strict(columns, return_dtype=pl.Int64).alias("Metadata_Col"),
            Metadata_Site=site,
            Metadata_Plane=_counted(listing, found, "plane"),
            Metadata_Channel=channel,
            **told,
        ),
        guessed,
    )


def _places(listing: Listing, found: pl.DataFrame, options: ReadOptions) -> tuple[pl.Series, Callable[[Any], Well], list[str]]:
    """What tells the well of each image, how to read it, and what was guessed."""
    if "well" in found.columns:
        return found["well"], Well.parse, []
    if {"row", "col"} <= set(found.columns):
        return found["row"] + "|" + found["col"], _row_and_column, []
    numbers = _numbers(listing, found, "well_number")
    if options.plate_format is not None:
        return numbers, _numbered(format_of(options, [])[0].cols), []
    largest = int(numbers.max() or 1)  # type: ignore[arg-type]
    size = next((wells for wells in (96, 384, 1536) if largest <= wells), 1536)
    guess = f"wells are numbers: taken row by row on a {size}-well plate; set the option `plate_format` if it is another"
    return numbers, _numbered(PlateFormat(size).cols), [guess]


def _row_and_column(text: str) -> Well:
    row, col = text.split("|", 1)
    return Well.parse(f"r{row}c{col}" if row.isdigit() else row + col)


def _numbered(cols: int) -> Callable[[int], Well]:
    """Wells by their number, row by row from 1."""
    return lambda number: Well((number - 1) // cols + 1, (number - 1) % cols + 1)


def _counted(listing: Listing, found: pl.DataFrame, name: str) -> pl.Series:
    """Sites or planes from 1; 1 where a name tells none."""
    if name + "0" in found.columns:
        return _numbers(listing, found, name + "0").fill_null(0) + 1
    if name in found.columns:
        return _numbers(listing, found, name).fill_null(1)
    return pl.repeat(1, found.height, dtype=pl.Int64, eager=True)


def _numbers(listing: Listing, found: pl.DataFrame, group: str) -> pl.Series:
    """A group's texts as whole numbers, null where a name tells none."""
    numbers = found[group].cast(pl.Int64, strict=False)
    wrong = found.filter(found[group].is_not_null() & ~numbers.is_between(0, _MOST).fill_null(False))
    if wrong.height:
        raise AcquisitionError(
            f"{listing.root / wrong['path'][0]}: {wrong[group][0]!r} is no number from 0 to {_MOST:,}, and it stands where the "
            f"pattern has the group `{group}`: mend the name, or the option `pattern`"
        )
    return numbers


def _pages(listing: Listing, found: pl.DataFrame) -> tuple[pl.DataFrame, tuple[float, str] | None, list[str]]:
    """The page of each image, by the first readable file: its pages are planes, or channels where it says so."""
    from plate_assets.plates.image_files import ImageError
    from plate_assets.plates.images import describe_file

    try:
        about = describe_file(listing.path_of(found["path"][0]))
    except ImageError as error:
        return (
            found.with_columns(page=pl.lit(0)),
            None,
            [f"pixel size and pages are unknown, the first image cannot be read: {error}"],
        )
    pixel_um = (about.pixel_um, "first image") if about.pixel_um else None
    if len(about.pages) == 1:
        return found.with_columns(page=pl.lit(0)), pixel_um, []
    pages = pl.DataFrame(
        {"page": list(range(len(about.pages))), "z": [z for z, _ in about.pages], "c": [c for _, c in about.pages]},
        schema={"page": pl.Int64, "z": pl.Int64, "c": pl.Int64},
    )
    several = len({c for _, c in about.pages}) > 1
    channel = pl.when(pl.col("Metadata_Channel") == "default").then(pl.lit("")).otherwise(pl.col("Metadata_Channel") + "-")
    found = found.join(pages, how="cross").with_columns(
        (pl.col("Metadata_Plane") + pl.col("z")).alias("Metadata_Plane"),
        (channel + "c" + (pl.col("c") + 1).cast(pl.String) if several else pl.col("Metadata_Channel")).alias(
            "Metadata_Channel"
        ),
    )
    return found.drop("z", "c"), pixel_um, [f"each file is taken to hold {len(about.pages)} pages, as the first one does"]
