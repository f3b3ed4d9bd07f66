"""Opening a time-lapse: which format its files have, and at what times its frames were taken.

Belongs here: the choice between formats, and an interval that a person gives against the file's own. Not here: what a
time-lapse is (`frames`), the formats (`tiff`, `phasics`, `qpimage`), the order of files (`source_files`).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from upath import UPath

from plate_assets.plates.timelapses.frames import FRAME_TYPES, FrameError, Timelapse
from plate_assets.plates.timelapses.qpimage import qpimage_frames
from plate_assets.plates.timelapses.source_files import source_files, zipped_tiffs
from plate_assets.plates.timelapses.tiff import tiff_frames

LABEL_TYPES = ("uint8", "uint16", "uint32", "int16", "int32")
LONGEST_MIN = 60.0 * 24 * 7  # between two frames: above it the interval is of another unit


def open_timelapse(
    path: UPath | Path,
    interval_min: float | None = None,
    channel: int | None = None,
    pattern: str | None = None,
    labels: bool = False,
) -> Timelapse:
    """Open the TIFFs of a folder, one TIFF stack, one zip archive of Phasics' TIFFs, or one HDF5 of qpimage; no pixel is read.

    interval_min: minutes between frames; it wins over what the file says. channel: which channel of a stack, from 0. pattern:
    which files of a folder (`*_Phase-*.tif`). labels: label images; 32-bit numbers are allowed.

    The files of a series are ordered by the numbers in their names, so that 10 follows 9. Size, type and length of every file
    are checked here, before memory is taken. Raises FrameError, which names the file, for a frame that is missing from the
    numbers or cut off, frames of different size or type, several series, times that go back.
    """
    if interval_min is not None and not 0 < interval_min < LONGEST_MIN:
        raise FrameError(f"the interval is {interval_min} min, and more than 0 and less than a week is needed")
    where, allowed = str(path), LABEL_TYPES if labels else FRAME_TYPES
    of_kind = {kind: [file for file in source_files(path, pattern) if file.kind == kind] for kind in ("tiff", "hdf5", "zip")}
    kind, files = next(((kind, files) for kind, files in of_kind.items() if files), ("", []))
    if not files:
        raise FrameError(f"{where} holds no TIFF, HDF5 or zip archive: give the folder or file of the phase images")
    if kind != "tiff" and len(files) > 1:
        raise FrameError(f"{where} holds {len(files)} {kind} files: give the path of one, or each its own folder")
    if kind == "tiff":
        found = tiff_frames(where, files, channel, allowed, named_by_file=path.is_dir())
    elif kind == "zip":
        found = tiff_frames(where, zipped_tiffs(where, files[0]), channel, allowed, named_by_file=True)
    else:
        found = qpimage_frames(where, files[0])
    return _timed(found, interval_min)


def _timed(found: Timelapse, interval_min: float | None) -> Timelapse:
    """The time-lapse with its times: the setting's, or the file's where they go forward."""
    if interval_min is not None:
        told = ""
        if found.hours is not None and found.count > 1:
            told = f"; {found.sources['hours']} says {60 * float(np.median(np.diff(found.hours))):.4g} min"
        sources = {**found.sources, "hours": f"setting{told}"}
        return replace(found, hours=np.arange(found.count) * (interval_min / 60), sources=sources)
    if found.hours is None:
        return found
    hours = found.hours - found.hours[0]
    back = np.flatnonzero(~(np.diff(hours) > 0))
    if back.size:
        frame = int(back[0]) + 1
        raise FrameError(
            f"{found.where}: frame {frame + 1} ({found.names[frame]}) is of {hours[frame]:.4g} h and the one before it of "
            f"{hours[frame - 1]:.4g} h: times must go forward; give the interval, or put the frames in order"
        )
    return replace(found, hours=hours)
