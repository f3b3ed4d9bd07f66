"""From tracks to time series: each path from a founder to a last descendant, on a regular grid, gaps marked.

Belongs here: lineages of tracks, paths through them, resampling, speed. Not here: how cells are linked to tracks (`tracking`),
tables made elsewhere (`track_tables`), windows and forecasts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from plate_assets.dry_mass.tables import CELL_TRACKS, DRY_MASS_SERIES

STEP_MIN = 10.0  # one frame every 10 min (section 2.1 of the paper)
LONG_ENOUGH_H = 30.0  # 180 points at 10 min: one window
POINTS_AT_ONCE = 1_000_000
NEAR = 0.05  # share of a step by which a frame may lie beside a point and be there: times are rounded in many tables


@dataclass(frozen=True)
class LineageSeries:
    """The series of a time-lapse, and how they were made."""

    table: pl.DataFrame  # DRY_MASS_SERIES
    interval_h: float  # the time-lapse's own, NaN where no cell was seen twice
    max_gap_h: float  # frames farther apart leave a gap
    remarks: tuple[str, ...]  # what a person should know of the resampling


@dataclass(frozen=True)
class _Grid:
    """Points of each track, all tracks one after the other: track i has `count[i]` points from number `first[i]` on."""

    first: np.ndarray
    count: np.ndarray

    @property
    def offset(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(self.count)])

    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Track and number on the grid of each point."""
        track = np.repeat(np.arange(self.count.size), self.count)
        return track, self.first[track] + np.arange(track.size) - self.offset[track]


@dataclass(frozen=True)
class _Rows:
    """The rows of all tracks, sorted by track and time: place of the track, time in steps since the time-lapse began."""

    track: np.ndarray
    at: np.ndarray


def founders(parent: np.ndarray) -> np.ndarray:
    """Founder of each track. parent: (n,) place of the mother, -1 for none. Returns (n,) places, -1 in or below a cycle.

    Pointers are doubled: log2 of the generations, not one step for each.
    """
    n = parent.size
    up = np.where(parent < 0, np.arange(n), parent)
    for _ in range(int(n).bit_length() + 1):
        up = up[up]
    return np.where(parent[up] < 0, up, -1)


def path_members(parent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every path with every track on it: two arrays of places, the last descendant and the track, founders first.

    parent: (n,) place of the mother, -1 for none; without cycles. A path is there once for each track that is no mother.
    """
    mothers = np.zeros(parent.size, dtype=bool)
    mothers[parent[parent >= 0]] = True
    leaf = track = np.flatnonzero(~mothers)
    leaves, tracks, depths = [], [], []
    depth = 0
    while track.size:  # one round for each generation
        leaves.append(leaf)
        tracks.append(track)
        depths.append(np.full(track.size, depth))
        above = parent[track] >= 0
        leaf, track, depth = leaf[above], parent[track[above]], depth + 1
    if not leaves:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    leaf, track = np.concatenate(leaves), np.concatenate(tracks)
    order = np.lexsort((-np.concatenate(depths), leaf))
    return leaf[order], track[order]


def frame_interval(tracks: pl.DataFrame) -> float:
    """Median time between two frames of a cell, hours; NaN where no cell has two. tracks: CELL_TRACKS."""
    rows = tracks.sort("track_id", "time_h")
    steps = rows.select(pl.col("time_h").diff().over("track_id")).to_series().drop_nulls()
    steps = steps.filter(steps > 0)
    return float(np.median(steps.to_numpy())) if steps.len() else float("nan")


def lineage_series(
    tracks: pl.DataFrame, step_min: float = STEP_MIN, max_gap_h: float | None = None, long_enough_h: float = LONG_ENOUGH_H
) -> LineageSeries:
    """DRY_MASS_SERIES of CELL_TRACKS of one time-lapse: one series for each path from a founder to a last descendant.

    step_min: grid, minutes, from the first frame of the table on. Between two frames of a cell at most `max_gap_h` apart the
    mass is interpolated linearly; farther apart, the points between them are a gap with an empty mass. Default: 1.5 times the
    step or the time-lapse's own interval, whichever is larger, so that a time-lapse sparser than the grid is no gap, and one
    frame missing from a 10-min time-lapse is. A row without a mass counts as no frame for the mass.

    Nothing is interpolated across a division, where the mass halves: of the points between the mother's last frame and the
    daughter's first, those in the first half have the mother's last value, those in the second the daughter's first, and where
    neither is within half of `max_gap_h` the point is a gap of the daughter's.

    The speed at a point is the way of the centre since the point before it on the same cell; a cell's first point takes the way
    to the second. A path is long enough with `long_enough_h` of points (30 h: 180 points of 10 min, one window).
    Raises ValueError where a mother is absent, ends after her daughter begins, or is her own descendant.
    """
    for name, value in (("step_min", step_min), ("long_enough_h", long_enough_h)):
        if not value > 0:
            raise ValueError(f"{name}={value}: it has to be above 0")
    CELL_TRACKS.check(tracks)
    interval = frame_interval(tracks)
    step_h = step_min / 60
    max_gap = 1.5 * np.nanmax([step_h, interval]) if max_gap_h is None else max_gap_h
    if not max_gap > 0:
        raise ValueError(f"max_gap_h={max_gap_h}: it is the time between two frames that may be bridged, above 0")
    remarks = _remarks(interval, step_h, max_gap)
    if tracks.is_empty():
        return LineageSeries(DRY_MASS_SERIES.empty(), interval, float(max_gap), remarks)
    for column in ("Metadata_Timelapse", "unit"):
        if tracks[column].n_unique() > 1:
            raise ValueError(f"the tracks have {column} {sorted(tracks[column].unique())}: make the series of one at a time")

    table = tracks.sort("track_id", "time_h")
    cells = table.group_by("track_id", maintain_order=True).agg(
        pl.col("parent_id", "Metadata_Well").first(), first=pl.col("time_h").first(), last=pl.col("time_h").last()
    )
    parent = _parents(cells)
    cells = cells.with_columns(lineage_id=cells["track_id"].gather(founders(parent)))
    start = float(table["time_h"].min())  # pyright: ignore[reportArgumentType]
    rows = _Rows(
        np.searchsorted(cells["track_id"].to_numpy(), table["track_id"].to_numpy()),
        (table["time_h"].to_numpy() - start) / step_h,
    )
    reach = max_gap / step_h
    grid = _grid(cells, parent, start, step_h, reach)
    columns = _resampled(table, rows, grid, reach, step_h)
    same = {name: pl.lit(table[name][0], dtype=pl.String) for name in ("Metadata_Timelapse", "unit")}
    needed = round(long_enough_h / step_h)
    parts = [
        DRY_MASS_SERIES.conform(
            _part(cells, columns, part, needed).with_columns(
                time_h=start + pl.col("time_h") * step_h, gap=pl.col("dry_mass").is_null(), **same
            )
        )
        for part in _along_paths(grid, parent)
    ]
    return LineageSeries(pl.concat([DRY_MASS_SERIES.empty(), *parts]), interval, float(max_gap), remarks)


def _remarks(interval: float, step_h: float, max_gap: float) -> tuple[str, ...]:
    if np.isnan(interval):
        return ("no cell was seen in two frames: the time-lapse's interval is not known",)
    timelapse, grid = f"{interval * 60:.4g} min", f"{step_h * 60:.4g} min"
    bridged = f"; frames more than {max_gap * 60:.4g} min apart leave a gap"
    if interval > step_h * 1.05:
        return (
            f"the time-lapse has a frame every {timelapse}, fewer than the grid of {grid}: points between are interpolated"
            + bridged,
        )
    if interval < step_h * 0.95:
        return (f"the time-lapse has a frame every {timelapse}, more than the grid of {grid} shows" + bridged,)
    return (f"the time-lapse has a frame every {timelapse}, as the grid" + bridged,)


def _parents(cells: pl.DataFrame) -> np.ndarray:
    """(n,) place of each track's mother, -1 for none; what no series can be made of is told."""
    names = cells["track_id"].to_numpy()
    written = cells["parent_id"].fill_null(-1).to_numpy()
    has = cells["parent_id"].is_not_null().to_numpy()
    place = np.clip(np.searchsorted(names, written), 0, names.size - 1)
    absent = has & (names[place] != written)
    if absent.any():
        child = int(np.flatnonzero(absent)[0])
        raise ValueError(
            f"track {names[child]} has the mother {written[child]} without a row: add her rows or empty `parent_id`"
        )
    parent = np.where(has, place, -1)
    if (lost := founders(parent) < 0).any():
        raise ValueError(f"track {names[np.flatnonzero(lost)[0]]} is among its own ancestors: correct its `parent_id`")
    early = has & (cells["first"].to_numpy() < cells["last"].to_numpy()[place])
    if early.any():
        child = int(np.flatnonzero(early)[0])
        raise ValueError(
            f"track {names[child]} begins at {cells['first'][child]:g} h, before its mother {written[child]} ends at "
            f"{cells['last'][int(place[child])]:g} h: correct `parent_id`, or end the mother there"
        )
    return parent


def _grid(cells: pl.DataFrame, parent: np.ndarray, start: float, step_h: float, reach: float) -> _Grid:
    """The points that each track has on any of its paths."""
    first = (cells["first"].to_numpy() - start) / step_h
    last = (cells["last"].to_numpy() - start) / step_h
    begins, ends = np.ceil(first - NEAR).astype(np.int64), np.floor(last + NEAR).astype(np.int64)
    daughters = np.flatnonzero(parent >= 0)
    mothers = parent[daughters]
    between = np.minimum((last[mothers] + first[daughters]) / 2, last[mothers] + reach / 2)
    turn = np.floor(between + NEAR).astype(np.int64)  # the mother's last point on the daughter's path
    begins[daughters] = turn + 1
    np.maximum.at(ends, mothers, turn)
    return _Grid(begins, np.maximum(ends - begins + 1, 0))


def _resampled(table: pl.DataFrame, rows: _Rows, grid: _Grid, reach: float, step_h: float) -> dict[str, np.ndarray]:
    """Mass, area and speed at each point of each track, NaN in a gap."""
    named = {
        name: table[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in ("dry_mass", "area_um2", "x_um", "y_um")
    }
    mass = _interpolated(rows, named["dry_mass"][:, None], grid, reach)[:, 0]
    area = _interpolated(rows, named["area_um2"][:, None], grid, reach)[:, 0]
    centre = _interpolated(rows, np.stack([named["x_um"], named["y_um"]], axis=1), grid, reach)
    speed = np.full(mass.size, np.nan)
    speed[1:] = np.hypot(*np.diff(centre, axis=0).T) / step_h
    heads = grid.offset[:-1][grid.count > 0]
    single = grid.count[grid.count > 0] == 1
    speed[heads] = np.where(single, np.nan, speed[np.minimum(heads + 1, speed.size - 1)])
    return {"dry_mass": mass, "area_um2": area, "speed_um_h": speed}


def _values(table: pl.DataFrame, *names: str) -> np.ndarray:
    return np.stack([table[name].fill_null(np.nan).to_numpy() for name in names], axis=1)


def _interpolated(rows: _Rows, values: np.ndarray, grid: _Grid, reach: float) -> np.ndarray:
    """(points, c) values at each point of the grid, NaN in a gap. values: (rows, c), NaN where there is none.

    reach: steps between two rows that are still bridged; beyond a track's first and last row its value holds for half of it.
    """
    known = np.isfinite(values).all(axis=1)
    track, at, values = rows.track[known], rows.at[known], values[known]
    of, number = grid.points()
    found = np.full((of.size, values.shape[1]), np.nan)
    if not known.any() or not of.size:
        return found
    # Each row comes in at the first point at or after it, so that a running count tells a point the last row before it.
    into = np.clip(np.ceil(at - NEAR).astype(np.int64) - grid.first[track], 0, grid.count[track]) + grid.offset[track]
    before = np.cumsum(np.bincount(into, minlength=of.size)[: of.size]) - 1
    after = np.minimum(before + 1, at.size - 1)
    left = (before >= 0) & (track[before] == of)
    right = (before + 1 < at.size) & (track[after] == of)
    back = np.where(left, number - at[before], np.inf)
    ahead = np.where(right, at[after] - number, np.inf)

    exact = back <= NEAR
    inside = left & right & (back + ahead <= reach + NEAR)
    share = np.divide(back, back + ahead, out=np.zeros(of.size), where=inside & ~exact)[:, None]
    found[inside] = (values[before] + share * (values[after] - values[before]))[inside]
    found[exact] = values[before[exact]]
    hold = left & ~right & (back <= reach / 2 + NEAR)
    found[hold] = values[before[hold]]
    hold = right & ~left & (ahead <= reach / 2 + NEAR)
    found[hold] = values[after[hold]]
    return found


@dataclass(frozen=True)
class _Part:
    """Points of some paths, (p,) each: places of the last descendant and the track, where among the grid's points, number."""

    path: np.ndarray
    track: np.ndarray
    place: np.ndarray
    number: np.ndarray
    divides: np.ndarray


def _along_paths(grid: _Grid, parent: np.ndarray) -> Iterator[_Part]:
    """Every point of every path, whole paths at a time: the memory beside the table does not grow with their number."""
    leaf, track = path_members(parent)
    goes_on = np.append(leaf[1:] == leaf[:-1], False)
    ends = np.where(goes_on, grid.first[np.append(track[1:], 0)], grid.first[track] + grid.count[track])
    count = np.maximum(ends - grid.first[track], 0)
    whole = np.flatnonzero(~goes_on)  # the last track of each path
    batch = np.cumsum(count)[whole] // POINTS_AT_ONCE
    cuts = whole[:-1][np.diff(batch) > 0] + 1
    for segments in np.split(np.arange(leaf.size), cuts):
        some, of = count[segments], track[segments]
        step = np.arange(some.sum()) - np.repeat(np.cumsum(some) - some, some)
        divides = np.zeros(step.size, dtype=bool)
        divides[(np.cumsum(some) - 1)[goes_on[segments] & (some > 0)]] = True
        yield _Part(
            path=np.repeat(leaf[segments], some),
            track=np.repeat(of, some),
            place=np.repeat(grid.offset[of], some) + step,
            number=np.repeat(grid.first[of], some) + step,
            divides=divides,
        )


def _part(cells: pl.DataFrame, columns: dict[str, np.ndarray], part: _Part, needed: int) -> pl.DataFrame:
    """The rows of some paths; the time in steps."""
    names = cells["track_id"].to_numpy()
    head = np.flatnonzero(np.append(True, part.path[1:] != part.path[:-1])[: part.path.size])
    lengths = np.diff(np.append(head, part.path.size))
    return pl.DataFrame(
        {
            "Metadata_Well": cells["Metadata_Well"].gather(part.track),
            "lineage_id": cells["lineage_id"].gather(part.path),
            "path_id": names[part.path],
            "track_id": names[part.track],
            "point": (np.arange(part.path.size) - np.repeat(head, lengths)).astype(np.int32),
            "time_h": part.number,
            **{name: pl.Series(values[part.place], nan_to_null=True) for name, values in columns.items()},
            "divides": part.divides,
            "long_enough": np.repeat(lengths >= needed, lengths),
        }
    )
