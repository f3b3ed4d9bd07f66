"""Image folders by filename pattern: named presets, and one's own regular expression.

Belongs here: what a file's name tells. Not here: vendors' metadata (a reader each), decoding (`images`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from plate_assets.plates.acquisition import SETTLING, Acquisition, AcquisitionError
from plate_assets.plates.layout import LayoutError, PlateFormat, Well
from plate_assets.plates.listing import Listing
from plate_assets.plates.readers.identity import hours_of, identify
from plate_assets.plates.readers.reader import IMAGE_SUFFIXES, ReadOptions, SeveralTimepoints, build_acquisition, format_of

GROUPS = (
    "plate", "well", "row", "col", "well_number", "site", "site0", "channel", "plane", "plane0", "time", "time0",
)  # fmt: skip

_ALIASES = {
    "wellrow": "row", "wellcolumn": "col", "wellcol": "col", "column": "col", "wellindex": "well_number", "wellnumber":
    "well_number", "field": "site", "fov": "site", "wavelength": "channel", "channelnumber": "channel", "zslice": "plane", "z":
    "plane", "timepoint": "time", "platename": "plate",
}  # fmt: skip

_WELL = r"[A-Za-z]{1,2}\d{1,2}"
_UUID = r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"

# Each preset is matched against the whole file name without its ending. `site0`, `plane0` and `time0` count from 0.
PRESETS: dict[str, str] = {
    # AS_09047_050428030001_O05f00d2.TIF
    "plate_well_field": r"(?P<plate>.+)_(?P<well>[A-Z]{1,2}\d\d)f(?P<site0>\d\d)(?P<channel>d\d)",
    # Channel 2-01-A-01-00.tif
    "vitra": r"(?P<channel>Channel \d+)-\d+-(?P<row>[A-Z]{1,2})-(?P<col>\d\d)-(?P<site0>\d\d)",
    # 1649_1109_0003_Amp5-1_B_20070424_C20_w2_5F64C597-…, ADSAStaphInfection2_A01_w2247376DD-…
    "uuid": rf"(?P<plate>.+)_(?P<well>{_WELL})(?:_s(?P<site>\d+))?_(?P<channel>w\d)_?{_UUID}",
    # --W00001--P00001--Z00000--T00000--cherry.tif
    "scanr": (
        r"(?P<plate>.+)?--W(?P<well_number>\d{5})--P(?P<site>\d{5})--Z(?P<plane0>\d{5})--T(?P<time0>\d{5})"
        r"--(?P<channel>.+)"
    ),
    # A01.tif, A01_s1.png, P001_A01_s1_w1.tif, P001_A01_s1_z2_ch1_t3.tif, DMSO_B5_t0.JPG
    "plain": (
        rf"(?:(?P<plate>.+?)_)??(?P<well>{_WELL}|[rR]\d+[cC]\d+)(?:_s(?P<site>\d+))?(?:_z(?P<plane>\d+))?"
        r"(?:_(?P<channel>(?:ch|w|c|d)\d+))?(?:_z(?P<plane_>\d+))?(?:_(?P<time>t\d+))?"
    ),
}

_COMPILED: dict[str, re.Pattern[str]] = {}

# With less than this share of the images understood, a folder is a mix and not a plate with some stray files.
_UNDERSTOOD = 0.8


@dataclass(frozen=True)
class FilenameReader:
    """Reads flat folders: one file for each image, its name says which."""

    name: str = "filenames"
    complete_when: str = (
        "its files stayed the same over several looks of the sensor: names do not tell how many belong to it"
    )

    def recognises(self, listing: Listing) -> bool:
        """Whether a preset understands any image's name."""
        images = image_names(listing)
        return any(_matcher(pattern).fullmatch(_stem(path)) for path in images for pattern in PRESETS.values())

    def read(self, listing: Listing, options: ReadOptions) -> Acquisition:
        """The acquisition by its names. Nothing in names tells that one is missing: `complete` is None."""
        images = image_names(listing)
        if not images:
            raise AcquisitionError(f"{listing.root} holds no TIFF, PNG or JPEG image: name the folder that holds the images")
        preset, matches, strays = choose_pattern(listing, images, options.pattern)
        found, time = _one_visit(listing, matches, options)
        plate = _one_plate(listing, found, options)
        chosen = ReadOptions(**{**options.__dict__, "timepoint": None}) if options.timepoint == time else options
        identity = identify(listing.root.name, chosen, plate, time)
        found, numbered = _wells(listing, found, options)
        found, pixel_um, paged = _pages(listing, found)
        warnings = [*numbered, *paged]
        if strays:
            warnings.append(
                f"{len(strays)} of {len(images)} images have names that `{preset}` does not understand: {', '.join(strays[:3])}"
            )
        return build_acquisition(
            listing, self.name, identity, found, options,
            complete=None, completeness=f"{SETTLING}: names do not tell how many there should be", pixel_um=pixel_um,
            metadata={"pattern": preset}, warnings=warnings,
        )  # fmt: skip


def image_names(listing: Listing) -> list[str]:
    """The images of a listing, thumbnails left out."""
    return [
        entry.path
        for entry in listing.entries
        if entry.path.lower().endswith(IMAGE_SUFFIXES) and "_thumb" not in entry.path.rsplit("/", 1)[-1].lower()
    ]


def choose_pattern(
    listing: Listing, images: Sequence[str], pattern: str | None
) -> tuple[str, list[tuple[str, dict[str, str | None]]], list[str]]:
    """The preset (or one's own expression), what it finds in each image's name, and the images it does not understand.

    Without `pattern` it is the preset that understands most. Raises AcquisitionError where two presets share the folder.
    """
    names = [pattern] if pattern is not None else list(PRESETS)
    best: tuple[str, list[tuple[str, dict[str, str | None]]]] = ("", [])
    for name in names:
        matcher = _matcher(PRESETS.get(name, name))
        found = [
            (path, match.groupdict())
            for path in images
            if (match := matcher.fullmatch(_stem(path)) or matcher.fullmatch(_base(path)))
        ]
        if len(found) > len(best[1]):
            best = (name, found)
    if not best[1]:
        raise AcquisitionError(
            f"{listing.root}: no image's name fits the pattern {pattern or list(PRESETS)}, the first is {images[0]!r}: it must "
            f"fit the whole name, with the named groups {', '.join(GROUPS)}"
        )
    understood = {path for path, _ in best[1]}
    strays = [path for path in images if path not in understood]
    others = (
        [n for n in names if n != best[0] and any(_matcher(PRESETS[n]).fullmatch(_stem(path)) for path in strays)]
        if strays
        else []
    )
    if others and len(understood) < _UNDERSTOOD * len(images):
        raise AcquisitionError(
            f"{listing.root} mixes names of two layouts, `{best[0]}` ({best[1][0][0]}) and `{others[0]}` ({strays[0]}): put "
            "each into a folder of its own, or choose one with the option `pattern`"
        )
    return best[0], best[1], strays


def _matcher(pattern: str) -> re.Pattern[str]:
    if pattern in _COMPILED:
        return _COMPILED[pattern]
    try:
        matcher = re.compile(pattern)
    except re.error as error:
        raise AcquisitionError(
            f"the pattern {pattern!r} is no preset ({', '.join(PRESETS)}) and no regular expression: {error}"
        ) from error
    groups = {_group(name) for name in matcher.groupindex}
    if unknown := groups - set(GROUPS):
        raise AcquisitionError(f"the pattern {pattern!r} has the unknown groups {sorted(unknown)}: use {', '.join(GROUPS)}")
    if not (groups & {"well", "well_number"} or {"row", "col"} <= groups):
        raise AcquisitionError(
            f"the pattern {pattern!r} tells no well: add a named group `well`, or `row` and `col`, as (?P<well>...)"
        )
    _COMPILED[pattern] = matcher
    return matcher


def _group(name: str) -> str:
    """Ours for a group's name: CellProfiler's `Wavelength`, `WellRow`, … are understood, and `plane_` is a second place for
    `plane`."""
    plain = name.rstrip("_").lower()
    return _ALIASES.get(plain.replace("_", ""), plain)


def _base(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _stem(path: str) -> str:
    return _base(path).rsplit(".", 1)[0]


def _one_visit(
    listing: Listing, matches: Sequence[tuple[str, Mapping[str, str | None]]], options: ReadOptions
) -> tuple[pl.DataFrame, str | None]:
    columns: dict[str, list[str | None]] = {"path": [path for path, _ in matches]}
    for raw in matches[0][1]:
        values = [groups[raw] for _, groups in matches]
        name = _group(raw)
        columns[name] = (
            [a if a is not None else b for a, b in zip(columns[name], values, strict=True)] if name in columns else values
        )
    found = pl.DataFrame(columns, schema={name: pl.String for name in columns})
    if "time0" in found.columns:
        found = found.with_columns(("t" + pl.col("time0").cast(pl.Int64).cast(pl.String)).alias("time"))
    if "time" not in found.columns:
        return found, None
    times = sorted(found["time"].drop_nulls().unique().to_list(), key=lambda t: (hours_of(t) or 0, len(t), t))
    if len(times) > 1 and options.timepoint not in times:
        raise SeveralTimepoints(str(listing.root), times)
    if len(times) > 1:
        return found.filter(pl.col("time") == options.timepoint), options.timepoint
    return found, times[0] if times else None


def _one_plate(listing: Listing, found: pl.DataFrame, options: ReadOptions) -> str | None:
    plates = found["plate"].drop_nulls().unique().sort().to_list() if "plate" in found.columns else []
    if len(plates) > 1 and options.plate is None:
        raise AcquisitionError(
            f"{listing.root} holds images of {len(plates)} plates by their names ({', '.join(plates[:3])}): put each into a "
            "folder of its own, or name the plate with the option `plate`"
        )
    return plates[0] if plates else None


def _wells(listing: Listing, found: pl.DataFrame, options: ReadOptions) -> tuple[pl.DataFrame, list[str]]:
    """Rows and columns as numbers, sites and planes from 1, the channel's name; and what was guessed."""
    guessed: list[str] = []
    cols = 0
    if "well" in found.columns:
        place = found["well"]
    elif "row" in found.columns:
        place = found["row"] + "|" + found["col"]
    else:
        place = found["well_number"]
        largest = int(place.cast(pl.Int64).max() or 1)  # type: ignore[arg-type]
        if options.plate_format is not None:
            cols = format_of(options, [])[0].cols
        else:
            size = next((wells for wells in (96, 384, 1536) if largest <= wells), 1536)
            cols = PlateFormat(size).cols
            guessed.append(
                f"wells are numbers: taken row by row on a {size}-well plate; set the option `plate_format` if it is another"
            )
    rows, columns = {}, {}
    for text in place.unique().to_list():
        try:
            well = (
                _well(text) if "well_number" not in found.columns or "well" in found.columns or "row" in found.columns else None
            )
            if well is None:
                number = int(text) - 1
                well = Well(number // cols + 1, number % cols + 1)
        except (LayoutError, ValueError) as error:
            example = found.filter(place == text)["path"][0]
            raise AcquisitionError(f"{listing.root / example}: {error}") from error
        rows[text], columns[text] = well.row, well.col
    return (
        found.select(
            "path",
            place.replace_strict(rows, return_dtype=pl.Int64).alias("Metadata_Row"),
            place.replace_strict(columns, return_dtype=pl.Int64).alias("Metadata_Col"),
            _number(found, "site").alias("Metadata_Site"),
            _number(found, "plane").alias("Metadata_Plane"),
            (pl.col("channel").fill_null("default") if "channel" in found.columns else pl.lit("default")).alias(
                "Metadata_Channel"
            ),
        ),
        guessed,
    )


def _well(text: str) -> Well:
    if "|" not in text:
        return Well.parse(text)
    row, col = text.split("|")
    return Well.parse((int(row), int(col)) if row.isdigit() else row + col)


def _number(found: pl.DataFrame, name: str) -> pl.Expr:
    if name + "0" in found.columns:
        return pl.col(name + "0").cast(pl.Int64) + 1
    return pl.col(name).cast(pl.Int64).fill_null(1) if name in found.columns else pl.lit(1, dtype=pl.Int64)


def _pages(listing: Listing, found: pl.DataFrame) -> tuple[pl.DataFrame, tuple[float, str] | None, list[str]]:
    """The page of each image, by the first readable file: its pages are planes, or channels where it says so."""
    from plate_assets.plates.images import ImageError, describe_file

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
