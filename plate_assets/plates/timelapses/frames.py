"""A time-lapse's frames, one at a time, whoever wrote them.

Belongs here: what a time-lapse is before its pixels are read, at what times its frames were taken, which format a file has. Not
here: the formats (`tiff`, `phasics`, `qpimage`), the order of files (`series`), what a pixel means.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from upath import UPath

from plate_assets.plates.images import MAX_BYTES, MAX_SIDE_PX

FRAME_TYPES = ("uint8", "uint16", "int16", "float16", "float32", "float64")
LABEL_TYPES = ("uint8", "uint16", "uint32", "int16", "int32")
LONGEST_MIN = 60.0 * 24 * 7  # between two frames: above it the interval is of another unit


class FrameError(ValueError):
    """Frames that cannot be read or make no time-lapse; the message names the file or frame and the remedy."""


@dataclass(frozen=True)
class Timelapse:
    """A time-lapse before its pixels are read.

    where: the folder or file, for messages. names: file, page or group of each frame; they stay as they are when a time-lapse
    that is running grows. hours: (count,) since the first frame, None where nothing tells.
    unit: `rad` or `nm` where the format itself fixes it. sources: where hours, pixel size, wavelength and unit come from.
    """

    where: str
    shape: tuple[int, int]
    dtype: np.dtype
    names: tuple[str, ...]
    load: Callable[[int], np.ndarray] = field(repr=False)
    hours: np.ndarray | None = None
    pixel_um: float | None = None
    wavelength_nm: float | None = None
    unit: str | None = None
    sources: dict[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self.names)

    @property
    def full_scale(self) -> int | None:
        """The largest value that can be stored; None for floating point."""
        return int(np.iinfo(self.dtype).max) if np.issubdtype(self.dtype, np.integer) else None

    def read(self, frame: int) -> np.ndarray:
        """(h, w) pixels of a frame, counted from 0. Raises FrameError where they cannot be read, changed, or are not finite."""
        where = f"{self.where}: frame {frame + 1} of {self.count} ({self.names[frame]})"
        try:
            image = self.load(frame)
        except MemoryError as error:
            raise FrameError(f"{where} needs more memory than there is: crop the frames, or use a larger machine") from error
        except Exception as error:  # the decoders raise whatever their C libraries say
            raise FrameError(f"{where} cannot be decoded ({type(error).__name__}: {error}): copy it again") from error
        if image.shape != self.shape or image.dtype != self.dtype:
            raise differing(where, (image.shape, image.dtype), (self.shape, self.dtype))
        if image.dtype.kind == "f" and (bad := int(image.size - np.count_nonzero(np.isfinite(image)))):
            raise FrameError(f"{where} has {bad:,} pixels that are not finite: fill them, or leave the frame out of the series")
        return image

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self.read(frame) for frame in range(self.count))


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
    from plate_assets.plates.timelapses.qpimage import qpimage_frames
    from plate_assets.plates.timelapses.series import source_files, zipped_tiffs
    from plate_assets.plates.timelapses.tiff import tiff_frames

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


def fingerprint(image: np.ndarray) -> str:
    """What a frame's pixels hash to, with their size and type: 32 hexadecimal digits of BLAKE2b."""
    about = f"{image.shape} {image.dtype.str}".encode()
    return blake2b(np.ascontiguousarray(image).reshape(-1).data, digest_size=16, key=about).hexdigest()


def differing(where: str, found: tuple[Sequence[int], Any], first: tuple[Sequence[int], Any]) -> FrameError:
    """The error of a frame whose (shape, type) is not the first one's."""
    said = [f"{' × '.join(map(str, reversed(shape)))} px of {np.dtype(dtype)}" for shape, dtype in (found, first)]
    return FrameError(f"{where} is {said[0]}, and the first is {said[1]}: all frames of a time-lapse have one size and type")


def check_size(height: int, width: int, itemsize: int, where: str) -> None:
    """Raise FrameError for a size that no frame has, before memory is taken for it."""
    if min(height, width) < 2 or max(height, width) > MAX_SIDE_PX or height * width * itemsize > MAX_BYTES:
        raise FrameError(
            f"{where} says it is {width} × {height} px of {itemsize} bytes, and 2 to {MAX_SIDE_PX:,} px a side and "
            f"{MAX_BYTES:,} bytes are the limits: crop it, or look whether its header is damaged"
        )


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
