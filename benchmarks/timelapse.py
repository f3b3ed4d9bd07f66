"""A real phase time-lapse measured, how fast and how well: 481 Livecyte frames of 615 × 615 px, and the outlines beside them.

Nothing was trained on them. The defaults of the masks were chosen on their first hundred frames (`MaskSettings`), those of the
links by reasoning and on the outlines as they were drawn; so the figures are of frames 101 to 481 as well.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import polars as pl

FOLDER = "livecyte-phase-timelapse"
INTERVAL_MIN = 6.0
CHOSEN_ON = 100  # frames
Found = TypeVar("Found")


def measure(folder: Path | None = None, pattern: str | None = None) -> dict[str, dict[str, float]]:
    """Frames a second of each step, and agreement with the outlines: of our masks and tracks, and of tracks of the outlines.

    folder: `livecyte-phase-timelapse`; that of PLATE_ASSETS_REAL_DATA where None. pattern: which frames, all where None.
    """
    from plate_assets.dry_mass.agreement import cell_agreement, matched, track_agreement
    from plate_assets.dry_mass.tracking import follow_names, link_cells
    from plate_assets.workflows.dry_mass import timelapse

    folder = folder or Path(os.environ.get("PLATE_ASSETS_REAL_DATA", "")) / FOLDER
    settings = timelapse.TimelapseSettings(interval_min=INTERVAL_MIN, pattern=pattern)
    whole = timelapse.open_timelapse(next(folder.glob("*_imagedata")), timelapse.TimelapseSettings(interval_min=INTERVAL_MIN))
    frames = timelapse.open_timelapse(next(folder.glob("*_imagedata")), settings)
    calibration = timelapse.calibrate(frames, settings)
    outlines = timelapse.open_outlines(next(folder.glob("*.zip")), whole)

    spent: dict[str, float] = {}
    flat = _timed(spent, "background", lambda: timelapse.phase_frames(frames, settings))
    found = _timed(spent, "masks", lambda: timelapse.cell_masks(frames, flat, settings, calibration))
    drawn = _timed(
        spent, "measures of the outlines", lambda: timelapse.cell_masks(frames, flat, settings, calibration, outlines)
    )
    hours = flat["time_h"].to_numpy()
    link_cells(found.filter(pl.col("frame") < 2), hours)  # imports and compiles
    linked = _timed(spent, "tracks", lambda: link_cells(found.drop("runs"), hours))
    linked_again = link_cells(drawn.drop("runs"), hours)

    truth, pairs = follow_names(drawn.drop("runs")), matched(found, drawn, frames.shape)
    later = pl.col("frame") >= CHOSEN_ON
    of_later = [table.filter(later) for table in (found, drawn, pairs)]
    return {
        "frames a second": {"frames": frames.count, **{name: frames.count / seconds for name, seconds in spent.items()}},
        "our cells against the outlines": cell_agreement(found, drawn, pairs),
        **({"of them in frames from 101 on": cell_agreement(*of_later)} if of_later[2].height else {}),
        "our tracks against the outlines'": track_agreement(linked, truth, pairs),
        "the outlines linked again": track_agreement(linked_again, truth, drawn.select("frame", "cell", drawn="cell")),
        "mass in the outlines": {"largest difference from the sum inside": _largest_difference(frames, drawn, flat, outlines)},
    }  # fmt: skip


def _largest_difference(frames, drawn: pl.DataFrame, flat: pl.DataFrame, outlines) -> float:
    """Between a mass in the table and the values without background summed pixel by pixel, over every tenth frame, relative."""
    import numpy as np
    from scipy import ndimage

    from plate_assets.dry_mass.phase import Calibration
    from plate_assets.workflows.dry_mass.timelapse import read_flat

    differences = []
    for row in flat.filter(pl.col("frame") % 10 == 0).iter_rows(named=True):
        cells, labels = drawn.filter(pl.col("frame") == row["frame"]), outlines.read(row["frame"]).labels()
        values = read_flat(frames, row, Calibration("relative"))[1].astype(float)
        sums = ndimage.sum_labels(values, labels, np.arange(1, cells.height + 1))
        differences.append(np.abs(cells["total"].to_numpy() / sums - 1))
    return float(np.concatenate(differences).max())


def _timed(spent: dict[str, float], name: str, work: Callable[[], Found]) -> Found:
    began, worked = time.perf_counter(), time.process_time()
    found = work()
    spent[name], spent[f"{name}, of processor time"] = time.perf_counter() - began, time.process_time() - worked
    return found
