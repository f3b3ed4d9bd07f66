"""The mosaic of a plate: a thumbnail of each well in its place, on one intensity scale.

Belongs here: drawing pixels of a whole plate. Not here: scores and heat-maps (`precipitation.report`).
"""

import io
from typing import Any

import numpy as np
import polars as pl

from plate_assets.plates.acquisition import Acquisition
from plate_assets.plates.image_files import ImageError
from plate_assets.plates.images import full_scale, iter_images
from plate_assets.plates.layout import PlateFormat, Well, row_letters

_INK, _FAINT, _PAPER, _FLAG = (30, 30, 30), (205, 205, 205), (255, 255, 255), (214, 60, 30)
_SAMPLE = 4096  # values of each thumbnail that the common scale is taken from


def plate_mosaic(
    acquisition: Acquisition, quality: pl.DataFrame | None = None, *, channel: str | None = None, thumb_px: int | None = None
) -> bytes:
    """PNG of the whole plate: first site and plane of each well, missing wells hatched, flagged ones outlined.

    quality: the IMAGE_QUALITY table, for the outlines. channel: the first by name where none is given. One grey scale for all
    wells, from the 0.5th to the 99.5th percentile; it is written below. Memory: one decoded image at a time (and
    four ahead), and thumbnails.
    """
    plate = acquisition.plate_format
    side = thumb_px or max(24, min(96, 1800 // plate.cols))
    rows = _first_images(acquisition, channel)
    thumbs: dict[Well, np.ndarray] = {}
    for row, image in iter_images(acquisition, rows):
        if not isinstance(image, ImageError):
            thumbs[Well(row["Metadata_Row"], row["Metadata_Col"])] = _thumbnail(image, side)
    flagged = set() if quality is None else {Well.parse(name) for name in quality.filter("flagged")["Metadata_Well"].unique()}
    shown = rows["Metadata_Channel"][0] if rows.height else "no image"
    low, high = _scale(list(thumbs.values()))
    title = f"{acquisition.acquisition_id}   {shown}"
    note = f"grey {low * 100:.3g} to {high * 100:.3g} % of full scale; hatched: no image; outlined: flagged ({len(flagged)})"
    return _draw(plate, thumbs, flagged, side, (low, high), title, note)


def _first_images(acquisition: Acquisition, channel: str | None) -> pl.DataFrame:
    images = acquisition.images.filter("present")
    chosen = channel or images["Metadata_Channel"].min()
    images = images.filter(pl.col("Metadata_Channel") == chosen).sort("Metadata_Site", "Metadata_Plane")
    return images.unique("Metadata_Well", keep="first", maintain_order=True).sort("Metadata_Row", "Metadata_Col")


def _thumbnail(image: np.ndarray, side: int) -> np.ndarray:
    """Area means, share of full scale: (h, w) or (h, w, 3), at most `side` px a side."""
    step = -(-max(image.shape[:2]) // side)
    height, width = (max(1, length // step) for length in image.shape[:2])
    step_row, step_col = min(step, image.shape[0]), min(step, image.shape[1])
    blocks = np.add.reduceat(image[: height * step_row], np.arange(0, height * step_row, step_row), axis=0, dtype=np.float32)
    blocks = np.add.reduceat(blocks[:, : width * step_col], np.arange(0, width * step_col, step_col), axis=1)
    return blocks / (step_row * step_col * full_scale(image.dtype))


def _scale(thumbs: list[np.ndarray]) -> tuple[float, float]:
    if not thumbs:
        return 0.0, 1.0
    values = np.concatenate([thumb.ravel()[:: max(1, thumb.size // _SAMPLE)] for thumb in thumbs])
    low, high = (float(value) for value in np.percentile(values, (0.5, 99.5)))
    return (low, high) if high > low else (low, low + 1e-6)


def _draw(
    plate: PlateFormat,
    thumbs: dict[Well, np.ndarray],
    flagged: set[Well],
    side: int,
    scale: tuple[float, float],
    title: str,
    note: str,
) -> bytes:
    from PIL import Image, ImageDraw, ImageFont

    gap, left, top = 2, 44, 70
    pitch = side + gap
    size = (max(left + plate.cols * pitch + 12, 760), top + plate.rows * pitch + 34)
    picture = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(picture)
    large, small = ImageFont.load_default(20), ImageFont.load_default(max(10, min(15, side // 2)))
    draw.text((left, 12), title, fill=_INK, font=large)
    draw.text((left, size[1] - 26), note, fill=_INK, font=ImageFont.load_default(13))
    for col in range(1, plate.cols + 1):
        draw.text((left + (col - 0.5) * pitch, top - 6), str(col), fill=_INK, font=small, anchor="mb")
    for row in range(1, plate.rows + 1):
        draw.text((left - 8, top + (row - 0.5) * pitch), row_letters(row), fill=_INK, font=small, anchor="rm")
    hatched = _hatched(side)
    for well in plate.all_wells():
        x, y = left + (well.col - 1) * pitch, top + (well.row - 1) * pitch
        thumb = thumbs.get(well)
        tile = hatched if thumb is None else Image.fromarray(_bytes(thumb, scale))
        picture.paste(tile, (x + (side - tile.width) // 2, y + (side - tile.height) // 2))
        if well in flagged:
            draw.rectangle((x - 1, y - 1, x + side, y + side), outline=_FLAG, width=max(2, side // 24))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _bytes(thumb: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    low, high = scale
    return (np.clip((thumb - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def _hatched(side: int) -> Any:
    from PIL import Image

    row, col = np.indices((side, side))
    lines = np.where((row + col) % 8 == 0, _FAINT[0], 246).astype(np.uint8)
    return Image.fromarray(lines)
