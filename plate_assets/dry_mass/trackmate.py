"""TrackMate's files, read as CELL_TRACKS: the CSV exports of spots and edges, and the XML.

Belongs here: what TrackMate's columns mean, and how its graph of spots becomes tracks with mothers. Not here: the plain CSV and
the checks that all tables share (`track_tables`), opening files (`workflows`), walking XML (`plates.readers.vendor_xml`).

TrackMate calls everything that hangs together one track. Here a track is one cell: at a split the cell ends, and each branch
is a daughter of its own; at a merge all cells that come in end, and what goes on is a founder; a frame that TrackMate bridged
stays a gap.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from plate_assets.dry_mass.track_tables import (
    LONGEST_H,
    TrackFile,
    TrackTable,
    TrackTableError,
    cells_of_text,
    conformed,
    numbers,
    remarks_of,
)
from plate_assets.plates.text_tables import plain_names, without_point_zero

MASS_FROM = ("total_intensity", "mean_intensity_area", "none")
MERGES, MERGED = "merges with another cell", "begins where cells merge"
_HOURS = {
    1 / 3_600_000: ("ms", "msec", "millisecond", "milliseconds"),
    1 / 3600: ("s", "sec", "secs", "second", "seconds"),
    1 / 60: ("min", "mins", "minute", "minutes"),
    1.0: ("h", "hr", "hrs", "hour", "hours"),
    24.0: ("d", "day", "days"),
}
_UM = {
    1.0: ("µm", "μm", "um", "micron", "microns", "micrometer", "micrometers", "micrometre", "micrometres"),
    1e-3: ("nm", "nanometer", "nanometers", "nanometre", "nanometres"),
    1e3: ("mm", "millimeter", "millimeters", "millimetre", "millimetres"),
}
_SPOT = ("POSITION_X", "POSITION_Y", "POSITION_T", "AREA")
_HEADINGS = ("spot id", "source spot id")  # since TrackMate 7 three lines of names and units stand below the header


@dataclass(frozen=True)
class TrackMateOptions:
    """What TrackMate's files do not say of themselves.

    mass_from: `total_intensity` (the sum of the pixels), `mean_intensity_area` (their mean times the area in the file's unit of
    length, squared), or `none`: tracks without masses. pg_per_unit: pg for each unit of that, from the pixel size, the unit of
    the OPD and α; without it the mass is relative. channel: whose intensity, from 1.
    interval_min: minutes between frames, goes before the file's own time. um_per_px: µm for each unit of length of the file;
    without it a length that the file gives in pixels stays in pixels.
    """

    timelapse: str
    mass_from: str = "total_intensity"
    pg_per_unit: float | None = None
    channel: int = 1
    interval_min: float | None = None
    um_per_px: float | None = None

    def __post_init__(self) -> None:
        if self.mass_from not in MASS_FROM:
            raise ValueError(f"mass_from={self.mass_from!r} is none of {', '.join(MASS_FROM)}")
        for name in ("pg_per_unit", "interval_min", "um_per_px"):
            if (value := getattr(self, name)) is not None and not (value > 0 and np.isfinite(value)):
                raise ValueError(f"{name}={value}: a number above 0 is needed")
        if self.channel < 1:
            raise ValueError(f"channel={self.channel}: TrackMate counts channels from 1")

    def intensities(self) -> tuple[str, ...]:
        """The names that TrackMate's versions give the intensity that is asked for, in the order in which they count."""
        if self.mass_from == "none":
            return ()
        stem = "TOTAL_INTENSITY" if self.mass_from == "total_intensity" else "MEAN_INTENSITY"
        return (f"{stem}_CH{self.channel}", f"{stem}{self.channel:02d}", *([stem] if self.channel == 1 else []))


@dataclass(frozen=True)
class _Graph:
    """Spots (id, FRAME, features, all text; `line` says where each stands) and the edges between them by their ids."""

    name: str
    spots: pl.DataFrame
    edges: pl.DataFrame  # source, target, line
    first_line: int | None  # of the spots in their file; None: XML, whose lines are not known
    time_unit: str | None
    length_unit: str | None
    remarks: tuple[str, ...] = ()


@dataclass
class TrackMateXml:
    """Takes in a TrackMate XML as `vendor_xml.walk` tells it, one element at a time; `tracks` gives what came in."""

    name: str
    options: TrackMateOptions
    _units: dict[str, str] = field(default_factory=dict)
    _spots: list[tuple[str | None, ...]] = field(default_factory=list)
    _edges: list[tuple[str | None, str | None, str | None]] = field(default_factory=list)
    _kept: set[str] | None = None
    _track: str | None = None
    _is_trackmate: bool | None = None

    def __post_init__(self) -> None:
        self._wanted = ("ID", "FRAME", *_SPOT, *self.options.intensities())

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins: a spot, a track, an edge, the units."""
        if tag == "Spot":
            self._spots.append(tuple(map(attributes.get, self._wanted)))
        elif tag == "Edge":
            self._edges.append((attributes.get("SPOT_SOURCE_ID"), attributes.get("SPOT_TARGET_ID"), self._track))
        elif tag == "Track":
            self._track = attributes.get("TRACK_ID")
        elif tag == "FilteredTracks":
            self._kept = set()
        elif tag == "TrackID" and self._kept is not None:
            self._kept.add(attributes.get("TRACK_ID", ""))
        elif tag == "Model":
            self._units = attributes
        elif self._is_trackmate is None:
            self._is_trackmate = tag == "TrackMate"

    def data(self, text: str) -> None:
        """Outlines of spots and the log: not read."""

    def end(self, tag: str) -> None:
        """An element ends: nothing to do."""

    def tracks(self) -> TrackTable:
        """CELL_TRACKS of the tracks that TrackMate's filters kept. Raises TrackTableError as `read_trackmate_csv`."""
        if not self._is_trackmate:
            raise TrackTableError(f"{self.name} is no TrackMate file: its first element is not `TrackMate`")
        if not self._spots:
            raise TrackTableError(f"{self.name} has no spots: run the detection and the tracking in TrackMate, and save again")
        spots = pl.DataFrame(self._spots, schema={name: pl.String for name in self._wanted}, orient="row").rename({"ID": "id"})
        edges = pl.DataFrame(self._edges, schema={name: pl.String for name in ("source", "target", "track")}, orient="row")
        remarks = ()
        if self._kept is not None:
            kept = edges["track"].is_in(list(self._kept))
            if dropped := edges.filter(~kept)["track"].n_unique():
                remarks = (f"{dropped} tracks are not among those that TrackMate's filters kept, and are left out",)
            edges = edges.filter(kept)
        edges = edges.select("source", "target", line=pl.lit(None, dtype=pl.Int64))
        return _tracks(
            _Graph(self.name, spots, edges, None, self._units.get("timeunits"), self._units.get("spatialunits"), remarks),
            self.options,
        )


def read_trackmate_csv(files: Sequence[TrackFile], options: TrackMateOptions) -> TrackTable:
    """CELL_TRACKS of TrackMate's CSV: the tables of spots and of edges, in any order, or one of them where it says it all.

    A table of spots (`ID`, `FRAME`, `POSITION_X`, …; with the three lines of names and units since TrackMate 7 or without)
    suffices alone where it has `TRACK_ID` and no track splits; a table of edges where it carries frame and position of both
    ends (`source_frame`, `target_frame`, …).
    Raises TrackTableError, with the file, the line and the remedy, where spots or edges are missing, doubled or contradict each
    other, a time or its unit is missing, or a column that the options ask for is not there.
    """
    found: dict[str, tuple[TrackFile, pl.DataFrame]] = {}
    for file in files:
        cells = cells_of_text(file)
        kind = _kind(file, cells)
        if kind in found:
            raise TrackTableError(f"{found[kind][0].name} and {file.name} are both tables of {kind}: give one of each")
        found[kind] = (file, cells)
    if not found:
        raise TrackTableError("no file was given: TrackMate's tables of spots and of edges are needed")
    if "edges" not in found:
        return _tracks(_of_spots(*found["spots"]), options)
    file, cells = found["edges"]
    names = plain_names(cells.columns)
    if "spots" not in found and not {"source_frame", "target_frame"} <= names.keys():
        raise TrackTableError(f"{file.name} has edges without frames and positions: give TrackMate's table of spots with it")
    cells, first = _without_headings(file, cells, names["spot_source_id"])
    edges = cells.select(
        source=without_point_zero(pl.col(names["spot_source_id"])),
        target=without_point_zero(pl.col(names["spot_target_id"])),
        line=pl.int_range(first, pl.len() + first),
    )
    if "spots" not in found:
        return _tracks(_Graph(file.name, _ends(cells, names), edges, None, None, None), options)
    return _tracks(_of_spots(*found["spots"], edges), options)


def is_trackmate_csv(file: TrackFile) -> bool:
    """Whether the columns are those of TrackMate's tables of spots or edges. Raises TrackTableError for what is no table."""
    names = plain_names(cells_of_text(file).columns)
    return "spot_source_id" in names or {"id", "frame", "position_x"} <= names.keys()


def _kind(file: TrackFile, cells: pl.DataFrame) -> str:
    names = plain_names(cells.columns)
    if {"spot_source_id", "spot_target_id"} <= names.keys():
        return "edges"
    if {"id", "frame"} <= names.keys():
        return "spots"
    raise TrackTableError(
        f"{file.name} has the columns {cells.columns}: TrackMate's spots have ID and FRAME, its edges SPOT_SOURCE_ID and "
        "SPOT_TARGET_ID; export them from TrackMate's table of tracks"
    )


def _without_headings(file: TrackFile, cells: pl.DataFrame, column: str) -> tuple[pl.DataFrame, int]:
    """The rows below the lines of full names, short names and units, and the line of the first."""
    n = 3 if (cells[column][0] or "").lower() in _HEADINGS else 0
    if cells.height <= n:
        raise TrackTableError(f"{file.name} has lines of names and no rows: export the tracks again")
    return cells.slice(n), n + 2


def _of_spots(file: TrackFile, cells: pl.DataFrame, edges: pl.DataFrame | None = None) -> _Graph:
    names = plain_names(cells.columns)
    below, first = _without_headings(file, cells, names["id"])
    units = {name: (cells[column][first - 3] or "").strip("()") for name, column in names.items()} if first > 2 else {}
    spots = below.rename({column: name.upper() for name, column in names.items() if name != "id"})
    spots = spots.with_columns(id=without_point_zero(pl.col(names["id"])))
    if edges is None:
        if "track_id" not in names:
            raise TrackTableError(f"{file.name} has spots without tracks: give TrackMate's table of edges with it")
        edges = _along_tracks(file, spots, first)
    return _Graph(file.name, spots, edges, first, units.get("position_t"), units.get("position_x"))


def _along_tracks(file: TrackFile, spots: pl.DataFrame, first: int) -> pl.DataFrame:
    """Edges from each spot to the next of its track, where a table of spots is all there is."""
    rows = spots.select("id", track=pl.col("TRACK_ID"), frame=numbers(spots, "FRAME", lambda row: file.line(row, first)))
    rows = rows.with_columns(line=pl.int_range(first, pl.len() + first)).filter(
        pl.col("track").is_not_null() & (pl.col("track").str.to_lowercase() != "none")
    )
    two = rows.filter(rows.select("track", "frame").is_duplicated())
    if two.height:
        raise TrackTableError(
            f"{file.name}, line {two['line'][0]}: track {two['track'][0]} has two spots in frame {two['frame'][0]:g}, so it "
            "splits or merges: give TrackMate's table of edges with it"
        )
    rows = rows.sort("track", "frame")
    linked = rows.with_columns(target=pl.col("id").shift(-1).over("track")).drop_nulls("target")
    return linked.select("target", "line", source="id").select("source", "target", "line")


def _ends(cells: pl.DataFrame, names: dict[str, str]) -> pl.DataFrame:
    """The spots at the ends of edges that carry them, each once."""
    ends = []
    for end in ("source", "target"):
        features = {
            name.removeprefix(f"{end}_").upper(): column for name, column in names.items() if name.startswith(f"{end}_")
        }
        ends.append(
            cells.select(
                without_point_zero(pl.col(names[f"spot_{end}_id"])).alias("id"),
                **{new: pl.col(old) for new, old in features.items()},
            )
        )
    return pl.concat(ends, how="diagonal").unique(maintain_order=True)


def _tracks(graph: _Graph, options: TrackMateOptions) -> TrackTable:
    spots = _spots(graph, options)
    source, target = _links(graph, spots)
    in_track = np.zeros(spots.height, dtype=bool)
    in_track[source] = in_track[target] = True
    if not in_track.any():
        raise TrackTableError(f"{graph.name} has no track: run the tracking in TrackMate, and export again")
    track, parent, reasons = _cells(source, target, in_track)
    spots = spots.with_columns(
        track_id=pl.Series(track), parent_id=pl.Series(parent), reasons=pl.Series(reasons, dtype=pl.String)
    ).filter(pl.Series(in_track))
    spots = spots.with_columns(parent_id=pl.when(pl.col("parent_id") >= 0).then("parent_id"))
    spots, remarks = _measured(graph, options, spots)
    _check_times(graph, spots)
    unit = "relative" if options.pg_per_unit is None or options.mass_from == "none" else "pg"
    if lone := int((~in_track).sum()):
        remarks = (*remarks, f"{lone} spots are in no track, and are left out")
    tracks = conformed(spots, options.timelapse, unit)
    return TrackTable(tracks, (*graph.remarks, *remarks, *remarks_of(tracks)))


def _where(graph: _Graph, row: int, spot: str | None) -> str:
    at = "" if graph.first_line is None else f", line {row + graph.first_line}"
    return f"{graph.name}{at}: spot {spot}"


def _spots(graph: _Graph, options: TrackMateOptions) -> pl.DataFrame:
    """Spots by frame: `line` (their row), id, frame, and the texts of their features."""
    spots = graph.spots.with_columns(line=pl.int_range(pl.len()))
    nameless = spots["id"].is_null().arg_true()
    if nameless.len():
        raise TrackTableError(f"{_where(graph, int(nameless[0]), None)} has no ID: export the spots again")
    if (twice := spots.filter(spots["id"].is_duplicated())).height:
        raise TrackTableError(
            f"{_where(graph, twice['line'][0], twice['id'][0])} is there twice: leave one, or export the spots again"
        )
    frame = numbers(spots, "FRAME", lambda row: _where(graph, row, spots["id"][row]))
    wrong = (~frame.is_between(0, 2**31 - 1).fill_null(False) | (frame != frame.round())).arg_true()
    if wrong.len():
        row = int(wrong[0])
        raise TrackTableError(
            f"{_where(graph, row, spots['id'][row])} has the frame {spots['FRAME'][row]!r}: whole numbers from 0"
        )
    return spots.with_columns(frame=frame.cast(pl.Int32)).sort("frame", "line")


def _links(graph: _Graph, spots: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Places of the earlier and the later spot of each edge; a doubled edge counts once."""
    ids = spots.select("id", "frame", place=pl.int_range(pl.len()))
    edges = graph.edges
    for end in ("source", "target"):
        edges = edges.join(
            ids.rename({"id": end, "place": f"{end}_place", "frame": f"{end}_frame"}), on=end, how="left", maintain_order="left"
        )
    lost = edges.filter(pl.any_horizontal(pl.col("source_place", "target_place").is_null()))
    if lost.height:
        edge = lost.row(0, named=True)
        raise TrackTableError(
            f"{_edge(graph, edge)} names a spot that is not in the table of spots ({lost.height} such edges): export both "
            "tables together, without a selection"
        )
    level = edges.filter(pl.col("source_frame") == pl.col("target_frame"))
    if level.height:
        edge = level.row(0, named=True)
        raise TrackTableError(f"{_edge(graph, edge)} links two spots of frame {edge['source_frame']}: remove it in TrackMate")
    back = pl.col("source_frame") > pl.col("target_frame")
    pairs = edges.select(
        early=pl.when(back).then("target_place").otherwise("source_place"),
        late=pl.when(back).then("source_place").otherwise("target_place"),
    ).unique(maintain_order=True)
    return pairs["early"].to_numpy().astype(np.int64), pairs["late"].to_numpy().astype(np.int64)


def _edge(graph: _Graph, edge: dict) -> str:
    at = "" if edge["line"] is None else f", line {edge['line']} of the edges"
    return f"{graph.name}{at}: the edge from spot {edge['source']} to {edge['target']}"


def _cells(source: np.ndarray, target: np.ndarray, in_track: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Track, mother's track (-1: none) and reason of each spot, from edges that go forward in time.

    A chain without branches is one cell. Tracks are numbered in the order of their first spots; spots in no track get -1.
    """
    n = in_track.size
    leaving, coming = np.bincount(source, minlength=n), np.bincount(target, minlength=n)
    on = (leaving[source] == 1) & (coming[target] == 1)
    links = coo_matrix((np.ones(on.sum()), (source[on], target[on])), shape=(n, n))
    chain = connected_components(links, directed=False)[1]
    _, first, place = np.unique(chain[in_track], return_index=True, return_inverse=True)
    rank = np.empty(first.size, dtype=np.int64)
    rank[np.argsort(first)] = np.arange(first.size)
    track = np.full(n, -1)
    track[in_track] = rank[place]

    mother = np.full(rank.size, -1)
    splits = (leaving[source] > 1) & (coming[target] == 1)
    mother[track[target[splits]]] = track[source[splits]]
    reasons = np.full(n, "", dtype=object)
    merging = coming[target] > 1
    reasons[source[merging]] = MERGES
    begins = np.zeros(n, dtype=bool)
    begins[target[merging]] = True
    reasons[begins] = [f"{reason}; {MERGED}" if reason else MERGED for reason in reasons[begins]]
    return track, np.where(in_track, mother[track], -1), reasons.tolist()


def _measured(graph: _Graph, options: TrackMateOptions, spots: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Time in hours, centre, area and mass, and what was taken for them."""
    texts = graph.spots

    def feature(name: str) -> pl.Series:
        if name not in texts.columns:
            return pl.Series(name, [None] * spots.height, dtype=pl.Float64)
        return numbers(texts, name, lambda row: _where(graph, row, texts["id"][row])).gather(spots["line"])

    hours, said_time = _hours(graph, options, spots["frame"], feature("POSITION_T"))
    um, said_length = _um(graph, options)
    area = feature("AREA")
    mass, said_mass = pl.Series([None] * spots.height, dtype=pl.Float64), "masses were not asked for"
    if options.mass_from != "none":
        known = [name for name in options.intensities() if name in texts.columns and texts[name].null_count() < texts.height]
        by_area = options.mass_from == "mean_intensity_area"
        if not known or (by_area and area.null_count() == spots.height):
            absent = "AREA" if known else " or ".join(options.intensities())
            raise TrackTableError(
                f"{graph.name} has no {absent}, which the mass is to be made of: compute it in TrackMate, choose another of "
                f"{', '.join(MASS_FROM)} as `mass_from`, or another `channel`"
            )
        what = f"{known[0]} × AREA" if by_area else known[0]
        mass = feature(known[0]) * (area if by_area else 1.0) * (options.pg_per_unit or 1.0)
        factor = "without a factor: relative" if options.pg_per_unit is None else f"× {options.pg_per_unit:g} pg"
        said_mass = f"the mass is {what} {factor}"
    made = spots.select(
        "line", "id", "track_id", "parent_id", "frame", "reasons",
        time_h=hours, x_um=feature("POSITION_X") * um, y_um=feature("POSITION_Y") * um, area_um2=area * um**2, dry_mass=mass,
    )  # fmt: skip
    return made, (said_mass, said_time, said_length)


def _hours(graph: _Graph, options: TrackMateOptions, frame: pl.Series, times: pl.Series) -> tuple[pl.Series, str]:
    if options.interval_min is not None:
        return frame * (options.interval_min / 60), f"the time is the frame × {options.interval_min:g} min, as given"
    unit = (graph.time_unit or "").strip().lower()
    factor = next((hours for hours, units in _HOURS.items() if unit in units), None)
    if factor is None or times.null_count() == times.len():
        what = f"its unit of time is {graph.time_unit!r}" if graph.time_unit else "it has no POSITION_T with a unit"
        raise TrackTableError(f"{graph.name} does not tell the hours ({what}): set the interval between frames, in minutes")
    wrong = (times.is_null() | ~times.is_finite()).arg_true()
    if wrong.len():
        raise TrackTableError(f"{graph.name}: frame {frame[int(wrong[0])]} has a spot without a time: set the interval instead")
    return times * factor, f"the time is POSITION_T in {graph.time_unit}"


def _um(graph: _Graph, options: TrackMateOptions) -> tuple[float, str]:
    unit = (graph.length_unit or "").strip().lower()
    factor = next((um for um, units in _UM.items() if unit in units), None)
    if factor is not None:
        return factor, f"lengths are in {graph.length_unit}"
    if options.um_per_px is not None:
        return options.um_per_px, f"lengths are {options.um_per_px:g} µm for each {graph.length_unit or 'unit'}, as given"
    if unit in ("", "pixel", "pixels", "px"):
        return 1.0, "lengths are in pixels: the pixel size is not known"
    raise TrackTableError(f"{graph.name} gives lengths in {graph.length_unit!r}: set the pixel size, µm")


def _check_times(graph: _Graph, spots: pl.DataFrame) -> None:
    if (late := spots.filter(~pl.col("time_h").is_between(0, LONGEST_H, closed="left"))).height:
        first = late.row(0, named=True)
        raise TrackTableError(
            f"{_where(graph, first['line'], first['id'])} is at {first['time_h']:g} h ({late.height} such spots), and hours "
            f"from 0 to {LONGEST_H:,.0f} are meant: set the interval between frames instead"
        )
    back = spots.sort("track_id", "frame").filter(pl.col("time_h").diff().over("track_id") <= 0)
    if back.height:
        first = back.row(0, named=True)
        raise TrackTableError(
            f"{_where(graph, first['line'], first['id'])}: the time does not go on from the frame before ({back.height} such "
            "spots): set the interval between frames instead"
        )
