"""Real images as the cells of a simulated well: read once, brought to 2.82 µm, cut and mirrored so that wells differ.

Belongs here: the mosaic of real pieces. Not here: what is put on top (`precipitates`, `optics`).
"""

from pathlib import Path

import numpy as np
from scipy import ndimage

from plate_assets.plates.simulate.settings import UM_PER_PX

_SUFFIXES = (".tif", ".tiff", ".png")
_OVERLAP = 24
MOST_IMAGES = 64


class BackgroundError(ValueError):
    """A folder without usable images; the message says what is needed."""


def load_background(folder: Path, um_per_px: float) -> list[np.ndarray]:
    """Relative light (around 0) of each image below a folder, float32 at 2.82 µm. Masks (mostly one value) are left out.

    Raises BackgroundError where no image is left.
    """
    from upath import UPath

    from plate_assets.plates.image_files import ImageError
    from plate_assets.plates.images import read_image, to_grey

    fields = []
    for path in sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in _SUFFIXES)[: 4 * MOST_IMAGES]:
        try:
            grey = to_grey(read_image(UPath(path)))
        except ImageError:
            continue
        field = _relative_light(grey, um_per_px / UM_PER_PX)
        if field is not None:
            fields.append(field)
        if len(fields) == MOST_IMAGES:
            break
    if not fields:
        raise BackgroundError(
            f"{folder} holds no usable image: TIFF or PNG of cells, 8 or 16 bit, 100 px or more at 2.82 µm, are needed"
        )
    return fields


def _relative_light(grey: np.ndarray, zoom: float) -> np.ndarray | None:
    values, counts = np.unique(grey[::3, ::3], return_counts=True)
    if values.size < 32 or counts.max() > 0.4 * counts.sum():
        return None  # a mask or an empty image
    image = grey.astype(np.float32)
    if zoom < 1:
        image = ndimage.gaussian_filter(image, 0.45 / zoom)
    image = ndimage.zoom(image, zoom, order=1)
    if min(image.shape) < 100:  # pyright: ignore[reportArgumentType]
        return None
    even = ndimage.gaussian_filter(image, 30)
    return np.clip(image / np.maximum(even, 1e-6) - 1, -0.6, 0.9) / 2


def mosaic(fields: list[np.ndarray], shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """(rows, columns) of random pieces, turned and mirrored, blended over 24 px where they meet."""
    side = min(300, min(min(field.shape) for field in fields))
    step = side - _OVERLAP
    ramp = np.minimum(np.arange(1, side + 1), np.arange(side, 0, -1)).clip(max=_OVERLAP).astype(np.float32) / _OVERLAP
    weight = ramp[:, None] * ramp[None, :]
    counts = [-(-(size + _OVERLAP) // step) for size in shape]
    padded = [count * step + _OVERLAP for count in counts]
    total, weights = np.zeros(padded, np.float32), np.zeros(padded, np.float32)
    for row in range(counts[0]):
        for col in range(counts[1]):
            field = fields[rng.integers(len(fields))]
            top, left = (rng.integers(0, size - side + 1) for size in field.shape)
            piece = np.rot90(field[top : top + side, left : left + side], rng.integers(4))
            piece = piece[:, ::-1] if rng.random() < 0.5 else piece
            place = np.s_[row * step : row * step + side, col * step : col * step + side]
            total[place] += weight * piece
            weights[place] += weight
    shift = [int(rng.integers(0, pad - size + 1)) for pad, size in zip(padded, shape, strict=True)]
    cut = np.s_[shift[0] : shift[0] + shape[0], shift[1] : shift[1] + shape[1]]
    return total[cut] / np.maximum(weights[cut], 1e-3)
