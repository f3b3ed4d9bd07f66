"""The HTD file of MetaXpress: the plan of an acquisition, and which images a folder lacks by it.

Belongs here: what the HTD says, and comparing it with what is there. Not here: files' and folders' names, time points, what the
images say (`imagexpress`).

The HTD is a line for each value: a quoted key, a comma, the value or a list. It is in the code page of the computer that wrote
it, with a pair of odd bytes for each line break inside of a text. Its last line is `EndFile`. Sites are numbered 1, 2, … over
the selected cells of the grid, row by row.

The plan is a frame and no list: it cannot say that a channel is taken in one plane only, as a projection only, or at each third
time point. So a planned channel or plane of which there is no image at all may be meant so, and nothing is known; but where a
channel has one image of a plane, every planned well and site must have it.
"""

import re
from dataclasses import dataclass, field

import polars as pl
from upath import UPath

from plate_assets.plates.acquisition import LISTED, SETTLING, AcquisitionError
from plate_assets.plates.layout import FORMATS
from plate_assets.plates.listing import Listing
from plate_assets.plates.readers.reader import number_or_none, read_start

HTD_START = b'"HTSInfoFile"'
IMAGE = ["Metadata_Row", "Metadata_Col", "Metadata_Site", "wave", "Metadata_Plane"]

MAX_HTD_BYTES = 2**20
MAX_PLANNED = 2_000_000
_LINE_BREAK = b"\x82\x81"
_MOST = 100_000  # of anything that is counted
_ROW_OF_FLAGS = re.compile(r"(WellsSelection|SiteSelection)(\d{1,3})")
_WAVE = re.compile(r"Wave(Name|Collect)([1-9]\d{0,2})")
_ABOUT = ("Description", "PlateType", "TimePoints", "ZSteps", "ZProjection", "NWavelengths", "UniquePlateIdentifier")


@dataclass(frozen=True)
class Plan:
    """What an HTD plans. None where it does not say: then nothing of it is missed."""

    file: UPath
    shape: tuple[int, int] | None = None  # rows and columns of the plate
    wells: tuple[tuple[int, int], ...] | None = None  # row and column of each
    sites: int | None = None
    waves: dict[int, str] = field(default_factory=dict)  # number and name of each
    collected: tuple[int, ...] = ()
    steps: int = 0  # planes of the stack, 0 where there is none
    stacked: bool = False
    time_points: int | None = None
    about: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """What is not there of what is planned: `missing` has the columns of IMAGE and `path`; `complete` as in an Acquisition."""

    missing: pl.DataFrame
    complete: bool | None
    completeness: str
    warnings: tuple[str, ...] = ()


def read_plan(listing: Listing, path: str) -> Plan:
    """The plan that an HTD tells; AcquisitionError with the file, the key and the remedy where it tells none."""
    file = listing.path_of(path)
    values = _values(file, read_start(listing, path, MAX_HTD_BYTES + 1))
    rows, cols = _count(file, values, "YWells"), _count(file, values, "XWells")
    shape = (rows, cols) if rows and cols else None
    steps = (_count(file, values, "ZSteps") or 0) if _flag(file, values, "ZSeries") else 0
    waves = [(m[1], int(m[2]), _text(value)) for key, value in values.items() if (m := _WAVE.fullmatch(key))]
    names = {number: text for kind, number, text in waves if kind == "Name"}
    if most := _count(file, values, "NWavelengths"):
        names = {number: names.get(number, "") for number in range(1, min(most, 999) + 1)}
    skipped = {number for kind, number, text in waves if kind == "Collect" and text.upper() in ("0", "FALSE")}
    return Plan(
        file, shape, _wells(file, values, shape), _sites(file, values), names,
        collected=tuple(number for number in sorted(names) if number not in skipped),
        steps=steps, stacked=bool(_flag(file, values, "ZSeries")), time_points=_count(file, values, "TimePoints"),
        about={key: text for key in _ABOUT if (text := _text(values.get(key, "")))},
    )  # fmt: skip


def check_shape(plan: Plan) -> None:
    """Raise AcquisitionError where the plan's plate is none that there is."""
    if plan.shape and plan.shape not in FORMATS.values():
        raise AcquisitionError(
            f"{plan.file} tells a plate of {plan.shape[0]} rows (YWells) and {plan.shape[1]} columns (XWells), and there is "
            "none: set the option `plate_format`, or copy the file again"
        )


def compare(plan: Plan | None, visit: pl.DataFrame) -> Comparison:
    """What one visit lacks. visit: a row for each image with IMAGE, `path` and the parts of its name (`imagexpress`).

    Without a plan the wells, sites, channels and planes that there are tell what each well and site should have; that is a
    warning and nothing more. Raises AcquisitionError where the plan is larger than any folder.
    """
    missing = _lacking(plan, visit)
    if plan is None:
        return Comparison(
            missing.clear(), None, f"{SETTLING}: names do not tell how many there should be", tuple(_uneven(missing))
        )
    there, file = visit.height, plan.file.name
    if missing.height:
        said = f"{LISTED}: {there} of {there + missing.height} images that {file} plans are there"
        return Comparison(missing, False, said)
    silent = [name for name, known in (("wells", plan.wells), ("sites", plan.sites)) if known is None]
    if silent:
        return Comparison(missing, None, f"{SETTLING}: {file} does not tell the {' and '.join(silent)}")
    if absent := _absent(plan, visit):
        text = " and ".join(absent)
        said = f"{SETTLING}: {file} plans {text} as well, and no image is of them, which may be meant so"
        return Comparison(missing, None, said, (f"no image is of {text}, which {file} plans: right if the protocol says so",))
    return Comparison(missing, True, f"{LISTED}: all {there} images that {file} plans are there")


def _lacking(plan: Plan | None, visit: pl.DataFrame) -> pl.DataFrame:
    """The images of planned (or present) wells and sites that lack a channel's plane which others have, by predicted path."""
    wells = visit.select(IMAGE[:2]).unique()
    sites = visit.select(IMAGE[2]).unique()
    if plan and plan.wells:
        wells = pl.concat([wells, pl.DataFrame(plan.wells, schema=wells.schema, orient="row")]).unique()
    if plan and plan.sites:
        numbers = pl.DataFrame({IMAGE[2]: range(1, plan.sites + 1)}, schema=sites.schema)
        sites = pl.concat([sites, numbers]).unique()
    kinds = visit.sort(IMAGE).unique(IMAGE[3:], keep="first", maintain_order=True)
    planned = wells.height * sites.height * kinds.height
    if plan and planned > MAX_PLANNED:
        raise AcquisitionError(
            f"{plan.file} plans {wells.height} wells × {sites.height} sites × {kinds.height} channels and planes, {planned:,} "
            f"images, and {MAX_PLANNED:,} is the limit: look whether the file is sound, and name the folder of one acquisition"
        )
    if planned == visit.height or planned > MAX_PLANNED:
        return visit.clear().select(*IMAGE, "path")
    expected = wells.join(sites, how="cross").join(kinds.drop(*IMAGE[:3]), how="cross")
    return expected.join(visit, on=IMAGE, how="anti").with_columns(_predicted()).sort(IMAGE).select(*IMAGE, "path")


def _predicted() -> pl.Expr:
    """The path as the name of the same channel's image in another well has it; the UUID of a database is not known."""
    col = pl.col("Metadata_Col").cast(pl.String).str.zfill(2)
    row = pl.col("Metadata_Row")
    letters = pl.concat_str(
        pl.when(row > 26).then(pl.lit("A")).otherwise(pl.lit("")),
        pl.lit("ABCDEFGHIJKLMNOPQRSTUVWXYZ").str.slice((row - 1) % 26, 1),
    )
    alone = pl.col("site").is_null() & (pl.col("Metadata_Site") == 1)
    site = pl.when(alone).then(pl.lit("")).otherwise("_s" + pl.col("Metadata_Site").cast(pl.String))
    wave = pl.when(pl.col("wave_text").is_null()).then(pl.lit("")).otherwise("_w" + pl.col("wave_text"))
    folder = pl.col("path").str.replace(r"[^/]+$", "")
    return pl.concat_str(folder, pl.col("plate"), pl.lit("_"), letters, col, site, wave, pl.col("ending")).alias("path")


def _uneven(missing: pl.DataFrame) -> list[str]:
    if not missing.height:
        return []
    first = missing.row(0, named=True)
    name, plane = first["path"].rsplit("/", 1)[-1], first["Metadata_Plane"]
    return [
        f"wells and sites have unequal sets of images: plane {plane} has no {name}, as other wells or sites do, and "
        f"{missing.height - 1} more are lacking"
    ]


def _absent(plan: Plan, visit: pl.DataFrame) -> list[str]:
    """What the plan has and no image is of: channels, and planes of the stack."""
    found = []
    waves, planes = set(visit["wave"]), set(visit["Metadata_Plane"])
    if absent := [f"w{number} ({plan.waves[number] or 'unnamed'})" for number in plan.collected if number not in waves]:
        found.append(", ".join(absent))
    if absent := [number for number in range(1, plan.steps + 1) if number not in planes]:
        found.append(f"{len(absent)} of {plan.steps} planes (ZStep_{absent[0]})")
    return found


def _values(file: UPath, raw: bytes) -> dict[str, str]:
    """Each key with what stands behind its comma."""
    if len(raw) > MAX_HTD_BYTES:
        raise AcquisitionError(f"{file} has more than {MAX_HTD_BYTES:,} bytes, which no HTD has: get the export again")
    text = raw.removeprefix(b"\xef\xbb\xbf").replace(_LINE_BREAK, b"; ").decode("cp1252", errors="replace")
    values: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(",")
        key, value = _text(key), value.strip()
        if values.get(key, value) != value:
            raise AcquisitionError(f"{file} tells {key[:60]} twice, {values[key][:60]} and {value[:60]}: get the export again")
        values[key] = value
    if "EndFile" not in values:
        raise AcquisitionError(f"{file} has no last line `EndFile`: it is still being copied, or was cut off; copy it again")
    return values


def _text(value: str) -> str:
    """The text without its quotes, control characters and double spaces."""
    return " ".join("".join(c if c.isprintable() else " " for c in value.strip().strip('"')).split())


def _count(file: UPath, values: dict[str, str], key: str) -> int | None:
    if key not in values:
        return None
    number = number_or_none(_text(values[key]))
    if number is None or number != int(number) or not 0 <= number <= _MOST:
        raise AcquisitionError(
            f"{file}: {key} is {values[key][:60]!r}, and a whole number from 0 to {_MOST:,} is needed: get the export again"
        )
    return int(number)


def _flag(file: UPath, values: dict[str, str], key: str) -> bool | None:
    return _flags(file, key, values[key])[0] if key in values else None


def _flags(file: UPath, key: str, value: str) -> list[bool]:
    words = [_text(word).upper() for word in value.split(",")]
    if wrong := [word for word in words if word not in ("TRUE", "FALSE")]:
        raise AcquisitionError(f"{file}: {key} has {wrong[0][:60]!r}, and TRUE or FALSE is needed: get the export again")
    return [word == "TRUE" for word in words]


def _selected(file: UPath, values: dict[str, str], name: str) -> list[tuple[int, int]] | None:
    """Row and column, from 1, of each TRUE in the lines `name`1, `name`2, …; None where there is no such line."""
    lines = {int(m[2]): key for key in values if (m := _ROW_OF_FLAGS.fullmatch(key)) and m[1] == name}
    if not lines:
        return None
    chosen = ((row, _flags(file, key, values[key])) for row, key in sorted(lines.items()))
    return [(row, col) for row, flags in chosen for col, selected in enumerate(flags, start=1) if selected]


def _wells(file: UPath, values: dict[str, str], shape: tuple[int, int] | None) -> tuple[tuple[int, int], ...] | None:
    selected = _selected(file, values, "WellsSelection")
    rows, cols = shape or (32, 48)
    return tuple((row, col) for row, col in selected or () if 1 <= row <= min(rows, 32) and col <= min(cols, 48)) or None


def _sites(file: UPath, values: dict[str, str]) -> int | None:
    """How many sites a well has: those selected in the grid, one where the HTD says that there are no sites."""
    if _flag(file, values, "Sites") is False:
        return 1
    selected = _selected(file, values, "SiteSelection")
    return len(selected) if selected else None
