"""The same cell from frame to frame: links, gaps, divisions and merges, by laptrack (Jaqaman et al. 2008; Fukai 2022).

Belongs here: links, and the table of tracks. Not here: what links mean (`identities`), finding cells (`cells`), the series
along a path (`series`), tracks that another program made (`track_tables`).
"""

from typing import Any

import numpy as np
import polars as pl
from scipy import spatial

from plate_assets.dry_mass import identities
from plate_assets.dry_mass.link_settings import LinkSettings
from plate_assets.dry_mass.series import founders
from plate_assets.dry_mass.tables import CELL_TRACKS
from plate_assets.dry_mass.track_tables import joined_reasons

HOW_TO_INSTALL = "tracking needs the package laptrack: install it with `pip install 'plate-assets[tracking]'`"
EVENTS = {r"merges into track \d+": "merges with another cell", r"holds track \d+": "holds another cell as well"}
JOINED = "joined from several outlines"
SAME_PLACE = 1e-6  # µm or px: a mean of one place differs from it by its rounding
REACH = 0.7  # diameters of a cell that it moves at most between two frames close in time
SLOW_H = 1 / 6  # frames up to ten minutes apart are close in time
FAINT = 0.05  # share of a whole below which nothing is looked for, however light a daughter may be
HALF = 0.5  # share of its mass that a cell keeps at a division: a link may cost as much as that and one reach


class TrackingError(RuntimeError):
    """Cells that cannot be tracked; the message names the remedy."""


def link_cells(cells: pl.DataFrame, hours: np.ndarray, settings: LinkSettings | None = None) -> pl.DataFrame:
    """The cells with `track_id`, `parent_id`, `lineage_id` and `event`, in their order.

    cells: a row for each cell of a frame, with `frame`, `x_um`, `y_um`, `area_um2`, `dry_mass`. hours: (frames,) rising times.

    Cells are linked from frame to frame; then the ends of what was linked to beginnings (over gaps), to the middle of another
    track (a merge) or from one (a split), each at the least total cost: squared distance in reaches plus squared difference of
    the logarithms of mass. A piece that is torn from a cell and soon comes back is given back to it; two that merge and part
    again are the same two, each the one that it is nearer to; a split that halves the mass, and lasts, is a division; what
    remains begins a track of its own. Of two cells that merge, the nearer in place and mass goes on. event: `piece`, `merges
    into track N`, `holds track N`, or empty. A cell without place, or without a mass above zero, is a track of its own.
    Raises TrackingError where laptrack is not installed, or the times do not rise.
    """
    settings = settings or LinkSettings()
    hours = np.asarray(hours, float)
    if (np.diff(hours) <= 0).any():
        raise TrackingError("the times of the frames do not rise: put the frames in order, or give the interval")
    cells = cells.with_row_index("row").sort("frame", "x_um", "y_um", maintain_order=True)
    weighed = pl.col("x_um").is_not_null() & pl.col("y_um").is_not_null() & (pl.col("dry_mass").fill_null(0) > 0)
    seen, lost = cells.filter(weighed), cells.filter(~weighed)
    frame = seen["frame"].to_numpy()
    place = _places(seen, hours, settings)
    follows, splits, merges = identities.chains(place, _pairs(frame, place, hours, settings))
    nodes = identities.Nodes(hours[frame], seen["dry_mass"].to_numpy(), place, follows, identities.chain_numbers(follows))
    track, parent, event = identities.resolve(nodes, splits, merges, settings)
    linked = seen.with_columns(pl.Series("track_id", track), pl.Series("parent_id", parent[track]), event)
    alone = pl.int_range(pl.len(), dtype=pl.Int64).alias("track_id") + len(parent)
    lost = lost.with_columns(alone, parent_id=pl.lit(-1, pl.Int64), event=pl.lit(""))
    both = pl.concat([linked, lost]).with_columns(parent_id=pl.when(pl.col("parent_id") >= 0).then("parent_id"))
    return with_lineages(both).sort("row").drop("row")


def follow_names(cells: pl.DataFrame) -> pl.DataFrame:
    """As `link_cells`, for outlines that somebody tracked: the same `cell` is the same cell; nobody's mother is known."""
    order = cells.group_by("cell").agg(pl.col("frame").min()).sort("frame", "cell").with_row_index("track_id")
    track = order.select("cell", pl.col("track_id").cast(pl.Int64))
    followed = cells.join(track, on="cell", how="left", maintain_order="left")
    return followed.with_columns(lineage_id=pl.col("track_id"), parent_id=pl.lit(None, pl.Int64), event=pl.lit(""))


def with_lineages(tracks: pl.DataFrame) -> pl.DataFrame:
    """The table with `lineage_id`: the track of the founder. Raises TrackingError where a cell is its own ancestor."""
    known = tracks.select("track_id", "parent_id").unique("track_id").sort("track_id")
    names, mother = known["track_id"].to_numpy(), known["parent_id"].fill_null(-1).to_numpy()
    founder = founders(np.where(mother < 0, -1, np.searchsorted(names, mother)))
    if (founder < 0).any():
        raise TrackingError(f"track {names[np.argmin(founder)]} is its own ancestor: look at parent_id")
    lineage = pl.DataFrame({"track_id": names, "lineage_id": names[founder]})
    return tracks.join(lineage, on="track_id", how="left", maintain_order="left")


def track_table(linked: pl.DataFrame, hours: np.ndarray, timelapse: str, well: str | None = None) -> pl.DataFrame:
    """CELL_TRACKS of linked cells: pieces of one cell in one frame become one row, mass and area added up, and it is said."""
    event = pl.col("event").replace("piece", "")
    for ours, said in EVENTS.items():
        event = event.str.replace_all(ours, said)
    weight = pl.col("dry_mass").fill_null(0) + 1e-12
    rows = linked.with_columns(reasons=joined_reasons(pl.when(event != "").then(event)))
    rows = rows.group_by("track_id", "frame").agg(
        pl.col("lineage_id", "parent_id", "unit").first(),
        pl.col("at_edge", "saturated").any(),
        *((pl.col(name) * weight).sum() / weight.filter(pl.col(name).is_not_null()).sum() for name in ("x_um", "y_um")),
        *(pl.when(pl.col(name).is_not_null().any()).then(pl.col(name).sum()) for name in ("area_um2", "dry_mass")),
        pl.col("reasons").filter(pl.col("reasons") != "").unique(maintain_order=True).str.join("; "),
        pl.len().alias("pieces"),
    )
    time = pl.DataFrame({"frame": np.arange(len(hours)), "time_h": hours}, schema={"frame": pl.Int32, "time_h": pl.Float64})
    table = rows.with_columns(
        *(pl.col(name).fill_nan(None) for name in ("x_um", "y_um")),
        pl.col("frame").cast(pl.Int32),
        Metadata_Timelapse=pl.lit(timelapse),
        Metadata_Well=pl.lit(well, pl.String),
        reasons=joined_reasons(pl.when(pl.col("pieces") > 1).then(pl.lit(JOINED))),
    )
    return CELL_TRACKS.conform(table.drop("pieces").join(time, on="frame").sort("track_id", "frame"))


def cells_of_tracks(cells: pl.DataFrame, tracks: pl.DataFrame) -> pl.DataFrame:
    """The cells that tracks were made of, with `track_id`, in their order.

    cells: a row for each cell of a frame, with `frame`, `x_um`, `y_um`. tracks: CELL_TRACKS made of them. A track has its only
    cell's place; what is nobody's place is a piece, of the nearest track in its frame that was joined from several.
    """
    placed = cells.with_row_index("row").drop_nulls(["x_um", "y_um"])
    joined = pl.col("reasons").str.contains(JOINED, literal=True)
    rows, at, away = _nearest(placed, tracks.drop_nulls(["x_um", "y_um"]).filter(~joined))
    alone = away <= SAME_PLACE
    rest, other, _ = _nearest(placed.filter(~alone), tracks.drop_nulls(["x_um", "y_um"]).filter(joined))
    found = {"row": np.concatenate([rows[alone], rest]), "track_id": np.concatenate([at[alone], other])}
    owners = pl.DataFrame(found, schema={"row": pl.UInt32, "track_id": pl.Int64})
    return cells.with_row_index("row").join(owners, on="row", maintain_order="left").drop("row")


def _nearest(cells: pl.DataFrame, tracks: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`row` of each cell that has a track in its frame, that `track_id`, and how far away it is."""
    apart = 1e7  # farther than any field is wide: frames lie side by side on one line, and each cell finds its own
    here, there = (table.select("frame", "x_um", "y_um").to_numpy() * (apart, 1.0, 1.0) for table in (cells, tracks))
    if not len(there):
        return cells["row"].to_numpy()[:0], tracks["track_id"].to_numpy(), np.zeros(0)
    away, nearest = spatial.KDTree(there).query(here)
    at, same = np.asarray(nearest), np.asarray(away) < apart / 2
    return cells["row"].to_numpy()[same], tracks["track_id"].to_numpy()[at[same]], np.asarray(away)[same]


def _places(seen: pl.DataFrame, hours: np.ndarray, settings: LinkSettings) -> np.ndarray:
    """(n, 3) x and y in reaches, weighted logarithm of mass: the squared distance of two cells is the cost of linking them."""
    reach = settings.reach_um
    if reach is None:
        diameter = 2 * float(np.sqrt(np.median(seen["area_um2"].to_numpy()) / np.pi)) if seen.height else 1.0
        step = float(np.median(np.diff(hours))) if len(hours) > 1 else SLOW_H
        reach = diameter * min(3.0, REACH * max(1.0, step / SLOW_H) ** 0.5)
    x, y, mass = (seen[name].to_numpy() for name in ("x_um", "y_um", "dry_mass"))
    return np.stack([x / reach, y / reach, settings.mass_weight * np.log(mass)], axis=1)


def laptrack_class() -> Any:
    """laptrack's tracker, or TrackingError with the way to install it."""
    try:
        from laptrack import LapTrack
    except ImportError as error:
        raise TrackingError(HOW_TO_INSTALL) from error
    return LapTrack


def _pairs(frame: np.ndarray, place: np.ndarray, hours: np.ndarray, settings: LinkSettings) -> np.ndarray:
    """(links, 2) cells that laptrack links, the earlier one first."""
    tracker = laptrack_class()
    if not len(frame):
        return np.zeros((0, 2), np.int64)
    first, last = int(frame[0]), int(frame[-1])
    bounds = np.searchsorted(frame, np.arange(first, last + 2))
    step = float(np.median(np.diff(hours))) if len(hours) > 1 else 1.0
    most = 1 + settings.mass_weight**2 * np.log(HALF) ** 2
    parted = 1 + settings.mass_weight**2 * np.log(max(settings.lightest, FAINT)) ** 2
    # laptrack takes what an open end costs from the links' own costs: a tenth of them would never be made, however good.
    alone = dict.fromkeys(("segment_start_cost", "segment_end_cost", "no_splitting_cost", "no_merging_cost"), most)
    linker = tracker(
        cutoff=most,
        gap_closing_cutoff=most,
        gap_closing_max_frame_count=max(1, round(settings.gap_h / step)),
        splitting_cutoff=parted if settings.divisions or settings.merges else False,
        merging_cutoff=parted if settings.merges else False,
        **alone,
    )
    tree = linker.predict([place[begin:end] for begin, end in zip(bounds, bounds[1:], strict=False)])
    links = np.array(list(tree.edges()), np.int64).reshape(-1, 2, 2)  # (link, end, frame and number in it)
    return bounds[links[..., 0]] + links[..., 1]
