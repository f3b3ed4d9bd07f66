"""An image file before its pixels are read: what it says of itself, how large it may be, the error of one that is no good.

Belongs here: what decoders of every format share. Not here: decoding (`images`, `zarr_pixels`), what is good about an image
(`quality`).
"""

from dataclasses import dataclass

from upath import UPath

MAX_SIDE_PX = 20_000
MAX_BYTES = 2**30


class ImageError(ValueError):
    """An image that cannot be read or used; the message names the file and the remedy."""


@dataclass(frozen=True)
class AboutFile:
    """What a file says before its pixels are read. `pages` gives plane and channel of each page, both from 0."""

    shape: tuple[int, ...]
    dtype: str
    pages: tuple[tuple[int, int], ...]
    pixel_um: float | None


def check_size(path: UPath, height: int, width: int, samples: int, itemsize: int) -> None:
    """Raise ImageError for a size that no image has, before memory is taken for it."""
    if height < 1 or width < 1 or max(height, width) > MAX_SIDE_PX or height * width * samples * itemsize > MAX_BYTES:
        raise ImageError(
            f"{path} says it is {width} × {height} px with {samples} samples of {itemsize} bytes, and {MAX_SIDE_PX:,} px a "
            f"side and {MAX_BYTES:,} bytes are the limits: crop it or look whether its header is damaged"
        )
