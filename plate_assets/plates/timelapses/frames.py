"""A time-lapse's frames, one at a time, whoever wrote them.

Belongs here: what a time-lapse is before its pixels are read, and what every format holds its frames to. Not here: opening one
(`opening`), the formats (`tiff`, `phasics`, `qpimage`), the order of files (`source_files`), what a pixel means.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np

from plate_assets.plates.image_files import MAX_BYTES, MAX_SIDE_PX

FRAME_TYPES = ("uint8", "uint16", "int16", "float16", "float32", "float64")


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
