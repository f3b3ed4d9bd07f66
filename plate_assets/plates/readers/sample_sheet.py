"""The tall sample sheet of nf-core/cellpainting: a CSV or TSV at the top of the folder that names one image for each row.

Belongs here: what the sheet's columns say. Not here: how its text becomes cells (`text_tables`), conditions of wells
(`platemap`). The sheet names every image, so it also tells when one is missing.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl
from upath import UPath

from plate_assets.plates.acquisition import LISTED, Acquisition, AcquisitionError
from plate_assets.plates.layout import LayoutError, Well
from plate_assets.plates.listing import Listing
from plate_assets.plates.platemap import well_text
from plate_assets.plates.readers.identity import hours_of, identify
from plate_assets.plates.readers.options import ReadOptions
from plate_assets.plates.readers.reader import SeveralTimepoints, build_acquisition, check_paths, read_start
from plate_assets.plates.text_tables import TextTableError, file_cells, plain_name, text_cells

MAX_SHEET_BYTES = 128 * 2**20

_HEADER_BYTES = 16 * 2**10
_TABLES_LOOKED_AT = 20  # a folder may hold a table for each image, and each look is a read

# Ours and how a sheet may call it, whatever its case; `Metadata_` before it does not matter.
_COLUMNS: dict[str, tuple[str, ...]] = {
    "path": ("path",),
    "channel": ("channel",),
    "plate": ("plate",),
    "well": ("well",),
    "site": ("site", "field_id"),
    "row": ("row",),
    "col": ("col", "column"),
    "plane": ("plane_id", "plane", "z"),
    "time": ("timepoint", "timepoint_id", "time"),
    "batch": ("batch",),
    "source": ("source",),
    "pixel_um": ("pixel_um", "pixel_size_um"),
}
_NEEDED = ("path", "channel", "plate", "site")

# Numbers of sites and planes that people count to; a larger one is a date or a barcode in the wrong column.
_MOST = 1_000_000


@dataclass(frozen=True)
class SampleSheetReader:
    """Reads the folder whose sample sheet lies at its top; the paths in the sheet are relative to it."""

    name: str = "sample_sheet"
    complete_when: str = "every image that the sample sheet names is there"

    def recognises(self, listing: Listing) -> bool:
        """Whether a CSV or TSV at the top has the sheet's columns."""
        return bool(_sheets(listing))

    def read(self, listing: Listing, options: ReadOptions) -> Acquisition:
        """The acquisition as the sheet has it; images that it names and the folder lacks have `present` False."""
        sheets = _sheets(listing)
        if len(sheets) != 1:
            raise AcquisitionError(
                f"{listing.root} holds {len(sheets)} sample sheets ({', '.join(sheets[:3])}), and one is needed: leave one, "
                "with the columns path, channel, plate, well and site"
            )
        sheet = _Sheet.of(listing.path_of(sheets[0]), listing.sizes[sheets[0]])
        check_paths(listing, sheet.rows["path"])
        named = sheet.rows["path"].to_list()
        sheet, warnings = _numbered(sheet)
        sheet, plate = _one_plate(sheet, options)
        sheet, time = _one_visit(sheet, options)
        found = _images_table(sheet)
        pixel_um, about = _pixel_um(listing, sheet, found)
        gone = [path for path in found["path"].to_list() if path not in listing.sizes]
        return build_acquisition(
            listing, self.name, identify(listing.root.name, options, plate, time), found, options,
            complete=not gone,
            completeness=f"{LISTED}: {found.height - len(gone)} of {found.height} images of {sheets[0]} are there",
            pixel_um=pixel_um, documents=sheets, belongs=named, warnings=[*warnings, *about],
            metadata={name: sheet.rows[name].drop_nulls().first() for name in ("source", "batch") if name in sheet.names},
        )  # fmt: skip


@dataclass(frozen=True)
class _Sheet:
    """The rows of a sheet under our names, all text, with the `line` that each stands on; `names` says how the sheet writes
    them."""

    path: UPath
    rows: pl.DataFrame
    names: dict[str, str]

    @classmethod
    def of(cls, path: UPath, size: int) -> "_Sheet":
        if size > MAX_SHEET_BYTES:
            raise AcquisitionError(f"{path} has {size:,} bytes, and {MAX_SHEET_BYTES:,} is the limit: give each plate its own")
        try:
            cells = file_cells(path)
        except TextTableError as error:
            raise AcquisitionError(str(error)) from (error.__cause__ or error)
        names = _named(cells.columns)
        lacking = [name for name in _NEEDED if name not in names]
        if "well" not in names and not {"row", "col"} <= names.keys():
            lacking.append("well")
        if lacking:
            raise AcquisitionError(
                f"{path} lacks the columns {lacking} and has {cells.columns[:20]}: a sample sheet needs path, channel, plate, "
                "site, and well or row and col"
            )
        calls = [_plain(column) for column in cells.columns]
        if doubled := [written for written in names.values() if calls.count(_plain(written)) > 1]:
            raise AcquisitionError(f"{path} has the column {doubled[0]!r} twice: leave one of them")
        empty = cells.select(pl.all_horizontal(pl.all().is_null())).to_series()
        rows = cells.select(pl.col(written).alias(name) for name, written in names.items())
        rows = rows.with_row_index("line", offset=2).filter(~empty)
        if not rows.height:
            raise AcquisitionError(f"{path} names no image: it needs one row for each")
        sheet = cls(path, rows, names)
        for name in (*_NEEDED, *(["well"] if "well" in names else ["row", "col"])):
            sheet.check(rows[name].is_not_null(), name, "is empty: fill it in, or copy the sheet again if it was cut off")
        return sheet

    def check(self, good: pl.Series, name: str, fault: str) -> None:
        """Raise AcquisitionError with the place of the first row that is not good. `{}` in the fault is what stands there."""
        if not good.all():
            row = self.rows.filter(~good).row(0, named=True)
            raise AcquisitionError(
                f"{self.path}, line {row['line']}, column {self.names[name]!r}: {fault.replace('{}', repr(row[name]))}"
            )

    def having(self, name: str, value: str) -> "_Sheet":
        """The rows where a column says so."""
        return _Sheet(self.path, self.rows.filter(pl.col(name) == value), self.names)


def _sheets(listing: Listing) -> list[str]:
    tables = listing.fitting(r"(?i)^[^/]*\.(?:csv|tsv)$")
    tables.sort(key=lambda path: "sheet" not in path.lower())
    return [path for path in tables[:_TABLES_LOOKED_AT] if _is_sheet(_header(listing, path))]


def _is_sheet(names: Iterable[str]) -> bool:
    """Path, channel, well, and plate or site: with one column less it is a faulty sheet, with two less another table."""
    found = set(names)
    return {"path", "channel"} <= found and ("well" in found or {"row", "col"} <= found) and bool(found & {"plate", "site"})


def _header(listing: Listing, path: str) -> dict[str, str]:
    """Ours and how the first line of a table writes it; nothing where that line is endless or no text."""
    start = read_start(listing, path, _HEADER_BYTES)
    line, end, _ = start.partition(b"\n")
    if line[:2] in (b"\xff\xfe", b"\xfe\xff"):
        line = line[: len(line) // 2 * 2]  # of UTF-16, half of the line's end may be left
    if (not end and len(start) == _HEADER_BYTES) or not line.strip(b"\xef\xbb\xbf\xff\xfe\0 \t\r"):
        return {}
    try:
        return _named(text_cells(path, line).columns)
    except TextTableError:
        return {}


def _named(columns: Iterable[str]) -> dict[str, str]:
    written = {_plain(column): column for column in reversed(list(columns))}
    return {
        name: written[found] for name, calls in _COLUMNS.items() if (found := next((c for c in calls if c in written), None))
    }


def _plain(column: str) -> str:
    """A column's name without case, `Metadata_`, and what polars adds to the second one of a name."""
    return plain_name(re.sub(r"_duplicated_\d+$", "", column)).removeprefix("metadata_")


def _numbered(sheet: _Sheet) -> tuple[_Sheet, list[str]]:
    """Sites and planes as numbers from 1; a sheet that counts them from 0 is said so."""
    rows, warnings = sheet.rows, []
    for name in ("site", "plane"):
        if name not in rows.columns:
            continue
        number = rows[name].str.strip_suffix(".0").cast(pl.Int64, strict=False)  # spreadsheets write 3 as 3.0
        good = rows[name].is_null() | number.is_between(0, _MOST).fill_null(False)
        sheet.check(good, name, f"{{}} is no number from 0 to {_MOST:,}: write the number of the {name}")
        if number.min() == 0:
            warnings.append(f"{sheet.names[name]} is counted from 0 in {sheet.path.name}: it is taken from 1 on")
            number = number + 1
        rows = rows.with_columns(number.fill_null(1).alias(name))
    return _Sheet(sheet.path, rows, sheet.names), warnings


def _one_plate(sheet: _Sheet, options: ReadOptions) -> tuple[_Sheet, str]:
    plates = sheet.rows["plate"].unique().sort().to_list()
    if len(plates) == 1:
        return sheet, plates[0]
    if options.plate is None or options.plate not in plates:
        raise AcquisitionError(
            f"{sheet.path} names images of {len(plates)} plates ({', '.join(plates[:3])}): choose one with the option `plate`, "
            "or give each a sheet and a folder of its own"
        )
    return sheet.having("plate", options.plate), options.plate


def _one_visit(sheet: _Sheet, options: ReadOptions) -> tuple[_Sheet, str | None]:
    """The rows of one time point and its name: as the sheet writes it, `t1` where it writes a bare number."""
    sheet, time = _one_timepoint(sheet, options)
    for name in ("batch", "source"):
        values = sheet.rows[name].drop_nulls().unique().sort().to_list() if name in sheet.names else []
        if len(values) > 1:
            raise AcquisitionError(
                f"{sheet.path} names images of {len(values)} {'batches' if name == 'batch' else 'sources'} "
                f"({', '.join(values[:3])}) for one plate, and an acquisition is one visit: give each a sheet and a folder of "
                "its own, or name the visits in a column `timepoint`"
            )
    return sheet, time


def _one_timepoint(sheet: _Sheet, options: ReadOptions) -> tuple[_Sheet, str | None]:
    if "time" not in sheet.names or not sheet.rows["time"].count():
        return sheet, None
    sheet.check(sheet.rows["time"].is_not_null(), "time", "is empty, and other rows tell a time point: fill it in")
    named = sheet.rows.with_columns(pl.col("time").str.replace(r"^(\d+)(?:\.0)?$", "t$1"))
    sheet = _Sheet(sheet.path, named, sheet.names)
    times = sorted(named["time"].unique().to_list(), key=lambda text: (hours_of(text) or 0, len(text), text))
    if len(times) == 1:
        return sheet, times[0]
    if options.timepoint is None or options.timepoint not in times:
        raise SeveralTimepoints(str(sheet.path), times)
    return sheet.having("time", options.timepoint), options.timepoint


def _images_table(sheet: _Sheet) -> pl.DataFrame:
    found = sheet.rows.select(
        "line",
        "channel",
        "site",
        pl.col("path").str.replace_all(r"[/\\]+(?:\.[/\\]+)*", "/").str.strip_prefix("./"),
        plane=pl.col("plane") if "plane" in sheet.names else pl.lit(1),
        page=pl.lit(0),
    )
    found = pl.concat([found, _wells(sheet)], how="horizontal")
    image = ["Metadata_Row", "Metadata_Col", "site", "channel", "plane"]
    for key, what in ((image, "the same image (plate, well, site, channel)"), (["path"], "the same file")):
        doubled = found.filter(found.select(key).is_duplicated())
        if doubled.height:
            one = doubled.row(0, named=True)
            other = doubled.filter(pl.all_horizontal(pl.col(name) == one[name] for name in key))["line"][1]
            raise AcquisitionError(
                f"{sheet.path}, lines {one['line']} and {other}, column {sheet.names['path']!r}: both name {what}, "
                f"{one['path']!r} is the first: leave one of them"
            )
    return found.drop("line").rename({"site": "Metadata_Site", "channel": "Metadata_Channel", "plane": "Metadata_Plane"})


def _wells(sheet: _Sheet) -> pl.DataFrame:
    """Row and column of each row's well, which have to agree where the sheet tells both."""
    texts = [name for name in ("well", "row", "col") if name in sheet.names]
    told = sheet.rows.select(texts).unique(maintain_order=True)
    rows, cols = [], []
    for place in told.iter_rows(named=True):
        by_number = well_text(place["row"], place["col"]) if place.get("row") and place.get("col") else None
        name = "well" if "well" in place else "row"
        try:
            well = Well.parse(place.get("well") or by_number or "")
            if by_number and Well.parse(by_number) != well:
                raise LayoutError(f"well {well.name} is not in row {place['row']} and column {place['col']}: mend one of them")
        except LayoutError as error:
            same = pl.all_horizontal(pl.col(text).eq_missing(place[text]) for text in texts)
            sheet.check(~sheet.rows.select(same).to_series(), name, str(error))
            raise
        rows.append(well.row)
        cols.append(well.col)
    told = told.with_columns(Metadata_Row=pl.Series(rows, dtype=pl.Int64), Metadata_Col=pl.Series(cols, dtype=pl.Int64))
    joined = sheet.rows.join(told, on=texts, how="left", nulls_equal=True, maintain_order="left")
    return joined.select("Metadata_Row", "Metadata_Col")


def _pixel_um(listing: Listing, sheet: _Sheet, found: pl.DataFrame) -> tuple[tuple[float, str] | None, list[str]]:
    """Pixel size by the sheet, else by the first image that is there; and what a person should know."""
    from plate_assets.plates.image_files import ImageError
    from plate_assets.plates.images import describe_file

    if "pixel_um" in sheet.names and sheet.rows["pixel_um"].count():
        sizes = sheet.rows["pixel_um"].cast(pl.Float64, strict=False)
        good = sheet.rows["pixel_um"].is_null() | sizes.is_between(0.001, 1000).fill_null(False)
        sheet.check(good, "pixel_um", "{} is no size of a pixel in micrometres, 0.001 to 1000: mend it, or leave it empty")
        several = sizes.drop_nulls().unique(maintain_order=True).to_list()
        warning = f"{sheet.path.name} tells {len(several)} pixel sizes, the first is taken: {several[0]:g} µm"
        return (several[0], "files"), [warning] if len(several) > 1 else []
    first = next((path for path in found["path"] if path in listing.sizes), None)
    if first is None:
        return None, []
    try:
        about = describe_file(listing.path_of(first))
    except ImageError as error:
        return None, [f"pixel size is unknown, the first image cannot be read: {error}"]
    paged = f"{first} holds {len(about.pages)} pages, and a sample sheet names one image for each file: the first page is taken"
    return (about.pixel_um, "first image") if about.pixel_um else None, [paged] if len(about.pages) > 1 else []
