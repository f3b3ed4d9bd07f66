"""Tables of tracks made elsewhere, read as CELL_TRACKS: the plain CSV, and what every such table is checked for.

Belongs here: what columns mean, and what is done about rows that are wrong. Not here: TrackMate's own formats (`trackmate`),
opening files (`workflows`), tracks of our own (`tracking`), series (`series`).

Where a table as a whole cannot be trusted, reading it is an error with the file, the line and the remedy. Where one row is
wrong, the row stays, its mass is emptied, and its `reasons` say why.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from plate_assets.dry_mass.series import founders
from plate_assets.dry_mass.tables import CELL_TRACKS
from plate_assets.plates.layout import LayoutError, Well
from plate_assets.plates.text_tables import TextTableError, plain_names, text_cells, without_point_zero

PLAIN_COLUMNS = ("track_id", "parent_id", "time_h")
MASS_COLUMNS = {"dry_mass_pg": "pg", "dry_mass_relative": "relative"}
OPTIONAL_COLUMNS = ("x_um", "y_um", "area_um2", "well")
LONGEST_H = 10_000.0  # a year and more: above it the times are no hours
NOTHING = ("nan", "na", "n/a", "none", "null", "-")  # what programs write for no value, whatever the case
_NO_TRACK = ("-1", *NOTHING)
_NUMBERS = ("dry_mass", "x_um", "y_um", "area_um2")


class TrackTableError(ValueError):
    """A table of tracks that cannot be used; the message names the file, the line and the remedy."""


@dataclass(frozen=True)
class TrackFile:
    """A file as it came: its name, for messages, and its bytes."""

    name: str
    content: bytes

    def line(self, row: int, first: int = 2) -> str:
        """The file and the line of a row of its table, from 0; `first` is the line of row 0."""
        return f"{self.name}, line {row + first}"


@dataclass(frozen=True)
class TrackTable:
    """What was read, and what a person should know of it."""

    tracks: pl.DataFrame  # CELL_TRACKS
    remarks: tuple[str, ...]


def read_track_table(file: TrackFile, timelapse: str) -> TrackTable:
    """CELL_TRACKS of a plain CSV: `track_id, parent_id, time_h`, and `dry_mass_pg` or `dry_mass_relative`.

    `x_um`, `y_um`, `area_um2` and `well` may be there; other columns are named in the remarks and not used. Names of columns
    may have any case; separator, byte order mark and encoding are found out. Tracks may be called by texts or numbers: they
    are numbered from 0 in the order in which they first appear. A founder's `parent_id` is empty, `-1`, or `0` where no track
    is called 0.

    Rows of a track stand in the order of time. A mass that is absent, not finite, zero or below is emptied, a row that is there
    twice counts once, and a mother that is not in the table, or ends after her daughter begins, is not believed: the daughter
    counts as a founder. Each is said in `reasons`. Raises TrackTableError for what makes the table as a whole doubtful: a
    column or a unit missing, text where numbers belong, times that go back, two different rows of a track at one time, a track
    with two mothers or among its own ancestors.
    """
    cells = cells_of_text(file)
    names = plain_names(cells.columns)
    mass = _mass_column(file, names)
    if absent := [name for name in PLAIN_COLUMNS if name not in names]:
        raise TrackTableError(
            f"{file.name} has the columns {list(cells.columns)} and lacks {absent}: {_why_absent(names, absent)}"
        )
    rows = _without_doubles(file, _typed(file, cells, names, mass))
    _check_times(file, rows)
    rows = _linked(file, _numbered(file, rows))
    unused = [column for key, column in names.items() if key not in (*PLAIN_COLUMNS, *OPTIONAL_COLUMNS, mass) and column]
    remarks = (f"the columns {unused} were not used",) if unused else ()
    tracks = conformed(rows.with_columns(frame=frames_of(rows)), timelapse, MASS_COLUMNS[mass])
    return TrackTable(tracks, (*remarks, *remarks_of(tracks)))


def cells_of_text(file: TrackFile) -> pl.DataFrame:
    """Every cell of a CSV or TSV as text, stripped, empty as null. Raises TrackTableError."""
    if file.content[:2] == b"PK":
        raise TrackTableError(f"{file.name} is a workbook or an archive: save the table as CSV")
    try:
        table = text_cells(file.name, file.content)
    except TextTableError as error:
        raise TrackTableError(str(error)) from error
    if table.is_empty():
        raise TrackTableError(f"{file.name} has a line of names and no rows: export the tracks again")
    return table


def numbers(cells: pl.DataFrame, column: str, where: Callable[[int], str]) -> pl.Series:
    """(n,) Float64 of a column of texts: empty, and what stands for nothing, is null; `NaN` and `inf` stay what they are.

    where: names the file and the place of a row. Raises TrackTableError at the first text that is no number.
    """
    texts = cells[column]
    found = texts.cast(pl.Float64, strict=False)
    nothing = texts.is_null() | (texts.str.to_lowercase().is_in(NOTHING) & found.is_null())
    wrong = (found.is_null() & ~nothing).arg_true()
    if wrong.len():
        row = int(wrong[0])
        raise TrackTableError(
            f"{where(row)}: {texts[row]!r} in {column!r} is no number ({wrong.len()} such cells): write it with a decimal "
            "point and without a unit"
        )
    return found


def flagged(rows: pl.DataFrame) -> pl.DataFrame:
    """Empty masses and areas that cannot be, and say so in `reasons`. rows: dry_mass, area_um2, x_um, y_um, reasons."""
    mass, area = pl.col("dry_mass"), pl.col("area_um2")
    why = (
        pl.when(mass.is_null()).then(pl.lit("no mass"))
        .when(~mass.is_finite()).then(pl.lit("the mass is no finite number"))
        .when(mass < 0).then(pl.lit("a mass below zero"))
        .when(mass == 0).then(pl.lit("a mass of zero"))
    )  # fmt: skip
    why_area = pl.when(~area.is_finite() | (area <= 0)).then(pl.lit("an area that is none"))
    return rows.with_columns(
        reasons=joined_reasons(why, why_area),
        dry_mass=pl.when(mass.is_finite() & (mass > 0)).then(mass),
        area_um2=pl.when(area.is_finite() & (area > 0)).then(area),
        **{name: pl.when(pl.col(name).is_finite()).then(pl.col(name)) for name in ("x_um", "y_um")},
    )


def joined_reasons(*more: pl.Expr) -> pl.Expr:
    """The column `reasons` with each further reason that is not null, separated by `; `."""
    return pl.concat_str(pl.col("reasons").replace("", None), *more, separator="; ", ignore_nulls=True).fill_null("")


def conformed(rows: pl.DataFrame, timelapse: str, unit: str) -> pl.DataFrame:
    """CELL_TRACKS of rows with track_id, parent_id (null: founder), frame, time_h, the numbers, and reasons.

    The lineage is the founder's track; whether a cell touches the border or saturates is not known of tables made elsewhere.
    """
    mothers = rows.group_by("track_id").agg(pl.col("parent_id").first()).sort("track_id")
    names = mothers["track_id"].to_numpy()
    written = mothers["parent_id"].fill_null(-1).to_numpy()
    parent = np.where(written < 0, -1, np.searchsorted(names, written))
    lineage = pl.DataFrame({"track_id": names, "lineage_id": names[founders(parent)]})
    table = flagged(rows).join(lineage, on="track_id", how="left", maintain_order="left").sort("track_id", "frame")
    table = table.with_columns(Metadata_Timelapse=pl.lit(timelapse), unit=pl.lit(unit), at_edge=False, saturated=False)
    return CELL_TRACKS.conform(table.select(column.name for column in CELL_TRACKS.columns if column.name in table.columns))


def remarks_of(tracks: pl.DataFrame) -> tuple[str, ...]:
    """One remark for each kind of reason in CELL_TRACKS, with the number of its rows, the most frequent first."""
    kinds = tracks["reasons"].str.split("; ").explode().str.replace(r"^its mother .* (is not|ends)", "its mother ${1}")
    counts = kinds.filter(kinds != "").value_counts(sort=True)
    return tuple(f"{n} of {tracks.height} rows: {kind}" for kind, n in counts.iter_rows())


def frames_of(rows: pl.DataFrame) -> pl.Series:
    """(n,) number of the frame of each row, from `track_id` and `time_h`.

    Where all times lie on a regular raster (within a tenth of it) it is the number on the raster, so that a frame in which no
    cell was found has its number too; else the number of the time among all times.
    """
    ordered = rows.select("track_id", "time_h").sort("track_id", "time_h")
    steps = ordered.select(pl.col("time_h").diff().over("track_id")).to_series().drop_nulls()
    times = rows["time_h"].to_numpy()
    if steps.len():
        median = float(steps.quantile(0.5, "nearest"))  # pyright: ignore[reportArgumentType]
        interval = float(steps.filter((steps - median).abs() < 0.3 * median).mean())  # pyright: ignore[reportArgumentType]
        raster = (times - times.min()) / interval
        numbers = np.rint(raster)
        regular = numbers.max() < 2**31 and np.abs(raster - numbers).max() < 0.1
        if regular and not rows.select("track_id", n=pl.Series(numbers)).is_duplicated().any():
            return pl.Series("frame", numbers).cast(pl.Int32)
    return pl.Series("frame", np.unique(times, return_inverse=True)[1]).cast(pl.Int32)


def _mass_column(file: TrackFile, names: dict[str, str]) -> str:
    found = [name for name in MASS_COLUMNS if name in names]
    if len(found) == 1:
        return found[0]
    if found:
        raise TrackTableError(f"{file.name} has both {found[0]} and {found[1]}: leave the one that is meant")
    near = [column for name, column in names.items() if "mass" in name]
    absent = f"no column of {list(reversed(names.values()))} is the mass: name it"
    said = f"{near[0]!r} does not tell the unit: call it" if near else absent
    raise TrackTableError(f"{file.name}: {said} `dry_mass_pg`, or `dry_mass_relative` where the phase is not calibrated")


def _why_absent(names: dict[str, str], absent: Sequence[str]) -> str:
    if "time_h" in absent and (near := [column for name, column in names.items() if name.startswith(("time", "t_", "frame"))]):
        return f"{near[0]!r} does not tell hours: add `time_h`, hours since the time-lapse began"
    if "parent_id" in absent:
        return "add `parent_id`, the mother's track, empty for a founder"
    return "name them so"


def _typed(file: TrackFile, cells: pl.DataFrame, names: dict[str, str], mass: str) -> pl.DataFrame:
    """The rows with their line in the file: track and parent as texts, well in the form A01, all else as numbers."""
    columns = {"time_h": "time_h", "dry_mass": mass, "x_um": "x_um", "y_um": "y_um", "area_um2": "area_um2"}
    found = {new: numbers(cells, names[old], file.line) for new, old in columns.items() if old in names}
    empty = pl.Series([None] * cells.height, dtype=pl.Float64)
    rows = pl.DataFrame(
        {
            "line": np.arange(2, cells.height + 2),
            "track": without_point_zero(cells[names["track_id"]]),
            "parent": without_point_zero(cells[names["parent_id"]]),
            "time_h": found["time_h"],
            **{name: found.get(name, empty) for name in _NUMBERS},
            "Metadata_Well": _wells(file, cells[names["well"]]) if "well" in names else empty.cast(pl.String),
        }
    )
    nameless = rows.filter(pl.col("track").is_null() | pl.col("track").str.to_lowercase().is_in(_NO_TRACK))
    if nameless.height:
        raise TrackTableError(
            f"{file.name}, line {nameless['line'][0]}: no `track_id` ({nameless.height} such rows): leave out cells without a "
            "track, or name their tracks"
        )
    timeless = rows.filter(~pl.col("time_h").is_between(0, LONGEST_H, closed="left").fill_null(False))
    if timeless.height:
        raise TrackTableError(
            f"{file.name}, line {timeless['line'][0]}: the time is empty, below zero or not below {LONGEST_H:,.0f} "
            f"({timeless.height} such rows): `time_h` is hours since the time-lapse began"
        )
    return rows


def _wells(file: TrackFile, texts: pl.Series) -> pl.Series:
    known = {}
    for text in texts.drop_nulls().unique(maintain_order=True):
        try:
            known[text] = Well.parse(text).name
        except LayoutError as error:
            line = int(texts.eq(text).arg_true()[0]) + 2
            raise TrackTableError(f"{file.name}, line {line}: {error}") from error
    return texts.replace_strict(known, default=None, return_dtype=pl.String)


def _without_doubles(file: TrackFile, rows: pl.DataFrame) -> pl.DataFrame:
    """A row that is there again word for word counts once, and is flagged; two rows that differ are an error."""
    content = [column for column in rows.columns if column != "line"]
    once = rows.group_by(content, maintain_order=True).agg(pl.col("line").first(), n=pl.len())
    once = once.select(pl.exclude("n"), reasons=pl.when(pl.col("n") > 1).then(pl.lit("there twice")).otherwise(pl.lit("")))
    clash = once.filter(once.select("track", "time_h").is_duplicated())
    if clash.height:
        first = clash.row(0, named=True)
        other = clash.filter((pl.col("track") == first["track"]) & (pl.col("time_h") == first["time_h"]))["line"][1]
        raise TrackTableError(
            f"{file.name}, lines {first['line']} and {other}: track {first['track']} has two different rows at "
            f"{first['time_h']:g} h: leave one, or give the two cells tracks of their own"
        )
    return once


def _check_times(file: TrackFile, rows: pl.DataFrame) -> None:
    back = rows.filter(pl.col("time_h").diff().over("track") < 0)
    if back.height:
        first = back.row(0, named=True)
        raise TrackTableError(
            f"{file.name}, line {first['line']}: the time of track {first['track']} goes back to {first['time_h']:g} h "
            f"({back.height} such rows): sort the rows of each track by time, or correct the clock"
        )


def _numbered(file: TrackFile, rows: pl.DataFrame) -> pl.DataFrame:
    """`track_id` from 0 in the order of first appearance, and `parent`, one for each track, empty for a founder."""
    known = rows["track"].unique(maintain_order=True)
    zero_is_none = not known.is_in(["0"]).any()
    nobody = [*_NO_TRACK, "0"] if zero_is_none else [*_NO_TRACK]
    rows = rows.with_columns(parent=pl.when(~pl.col("parent").str.to_lowercase().is_in(nobody)).then(pl.col("parent")))
    for column, what in (("parent", "mothers"), ("Metadata_Well", "wells")):
        two = rows.filter(pl.col(column).drop_nulls().n_unique().over("track") > 1)
        if two.height:
            track = two["track"][0]
            values = two.filter(pl.col("track") == track).drop_nulls(column).unique(column, maintain_order=True)
            raise TrackTableError(
                f"{file.name}, line {values['line'][1]}: track {track} has two {what}, {values[column][0]} and "
                f"{values[column][1]}: a cell has one"
            )
    numbers = pl.DataFrame({"track": known, "track_id": np.arange(known.len())})
    one = rows.group_by("track").agg(pl.col("parent", "Metadata_Well").drop_nulls().first())
    return (
        rows.drop("parent", "Metadata_Well")
        .join(numbers, on="track", how="left", maintain_order="left")
        .join(one, on="track", how="left", maintain_order="left")
    )


def _linked(file: TrackFile, rows: pl.DataFrame) -> pl.DataFrame:
    """`parent_id` as a number; a mother that cannot be one is told on the daughter's first row, and dropped."""
    cells = rows.group_by("track", "track_id", "parent", maintain_order=True).agg(
        pl.col("line", "time_h").first(), last=pl.col("time_h").last()
    )
    mothers = cells.select(parent="track", parent_id="track_id", mother_last="last")
    cells = cells.join(mothers, on="parent", how="left", maintain_order="left")
    own = cells.filter(pl.col("parent") == pl.col("track"))
    circle = founders(cells["parent_id"].fill_null(-1).to_numpy()) < 0
    if own.height or circle.any():
        cell = (own if own.height else cells.filter(pl.Series(circle))).row(0, named=True)
        what = "its own mother" if own.height else "among its own ancestors"
        raise TrackTableError(f"{file.name}, line {cell['line']}: track {cell['track']} is {what}: correct `parent_id`")
    mother = pl.lit("its mother ") + pl.col("parent")
    late = pl.col("mother_last") > pl.col("time_h")
    fault = (
        pl.when(pl.col("parent").is_not_null() & pl.col("parent_id").is_null())
        .then(pl.concat_str(mother, pl.lit(" is not in the table: it counts as a founder")))
        .when(late)
        .then(pl.concat_str(mother, pl.lit(" ends after this cell begins: it counts as a founder")))
    )
    cells = cells.with_columns(fault=fault, parent_id=pl.when(~late).then("parent_id"))
    return (
        rows.join(cells.select("track_id", "parent_id"), on="track_id", how="left", maintain_order="left")
        .join(cells.select("line", "fault"), on="line", how="left", maintain_order="left")
        .with_columns(reasons=joined_reasons(pl.col("fault")))
        .drop("fault")
    )
