"""Strips of cells along their paths, from a time-lapse's files and what was measured of them.

Belongs here: which cells a path leads through, and which of its frames are read. Not here: cutting and drawing
(`dry_mass.strips`), which paths are worth a look.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from plate_assets.workflows.dry_mass.timelapse import TimelapseSettings, read_flat, typical_diameter_px

if TYPE_CHECKING:
    from plate_assets.dry_mass.phase import Calibration
    from plate_assets.dry_mass.strips import CellStrip
    from plate_assets.plates.timelapses.frames import Timelapse


def cell_strips(
    frames: "Timelapse",
    phase_frames: pl.DataFrame,
    masks: pl.DataFrame,
    tracks: pl.DataFrame,
    paths: Sequence[int],
    settings: TimelapseSettings,
    calibration: "Calibration",
    every_min: float = 20.0,
) -> "list[CellStrip]":
    """A strip for each path: crops of 100 µm (five cells where the scale is unknown) with the outline of the path's cell.

    phase_frames, masks, tracks: PHASE_FRAMES, CELL_MASKS and CELL_TRACKS of the time-lapse. paths: tracks; each strip leads
    from the founder to the track's last frame. Each frame is read once at most, for all strips, and one is in memory at a time.
    Raises ValueError for a track that is not there, FrameError where a frame is another than it was.
    """
    from plate_assets.dry_mass import strips as timelapse
    from plate_assets.dry_mass.tracking import cells_of_tracks

    chains = [_chain(tracks, path) for path in paths]
    mine = tracks.filter(pl.col("track_id").is_in({track for chain in chains for track in chain}))
    cells = cells_of_tracks(masks.join(mine.select("frame").unique(), on="frame", how="semi"), tracks)
    cells = [cells.filter(pl.col("track_id").is_in(chain)) for chain in chains]
    rows = {row["frame"]: row for row in phase_frames.iter_rows(named=True)}
    side = timelapse.crop_side_px(
        calibration.pixel_um,
        1.0 if calibration.pixel_um is not None else typical_diameter_px(frames, phase_frames, settings, calibration),
    )
    hours = phase_frames.sort("frame")["time_h"].to_numpy()
    return timelapse.cell_strips(cells, hours, lambda frame: read_flat(frames, rows[frame], calibration)[1], side, every_min)


def _chain(tracks: pl.DataFrame, path: int) -> list[int]:
    """The track with its mothers, back to the founder."""
    mothers = dict(tracks.select("track_id", "parent_id").unique().iter_rows())
    if path not in mothers:
        raise ValueError(f"no track {path} is in the table of tracks: look at the path's number, or make the tracks again")
    chain, at = [], path
    while at is not None and at not in chain:  # one step for each generation
        chain.append(at)
        at = mothers.get(at)
    return chain
