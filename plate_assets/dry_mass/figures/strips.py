"""A strip as a picture: crops of one cell in order, their times under them, the outline, a scale bar.

Belongs here: putting crops together. Not here: cutting them out of frames (`dry_mass.strips`).
"""

import io
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from plate_assets.dry_mass.strips import CellStrip

SIDE_PX, GAP_PX, TEXT_PX, COLUMNS = 96, 4, 15, 12
NICE_UM = (1, 2, 5, 10, 20, 50, 100, 200, 500)
LINE, MARK, TEXT, QUIET, BEYOND = (255, 158, 0), (213, 94, 0), (34, 34, 34), (110, 110, 110), 96


def strip_figure(
    strip: CellStrip,
    crop_um: float | None = None,
    *,
    title: str = "",
    abnormal: list[tuple[float, float]] | None = None,
    side_px: int = SIDE_PX,
    columns: int = COLUMNS,
) -> bytes:
    """PNG of a strip: see `strip_image`; the title stands above it."""
    picture = strip_image(strip, crop_um, abnormal=abnormal, side_px=side_px, columns=columns)
    if title:
        above = Image.new("RGB", (max(picture.width, 320), picture.height + TEXT_PX + 6), "white")
        ImageDraw.Draw(above).text((GAP_PX, 2), title, fill=TEXT, font=_font(11))
        above.paste(picture, (0, TEXT_PX + 6))
        picture = above
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def strip_image(
    strip: CellStrip,
    crop_um: float | None = None,
    *,
    abnormal: list[tuple[float, float]] | None = None,
    side_px: int = SIDE_PX,
    columns: int = COLUMNS,
) -> Image.Image:
    """Crops from left to right and down on one grey scale, each with its time; framed and marked `!` within `abnormal` hours.

    crop_um: width of a crop, µm; where it is not known there is no scale bar. Raises ValueError for an empty strip.
    """
    if not len(strip.crops):
        raise ValueError("the strip has no crop: the cell was found in no frame")
    tiles = [_tile(crop, outline, side_px) for crop, outline in zip(_grey(strip.crops), strip.outlines, strict=True)]
    across, down = min(columns, len(tiles)), -(-len(tiles) // columns)
    step_x, step_y = side_px + GAP_PX, side_px + TEXT_PX + GAP_PX
    canvas = Image.new("RGB", (GAP_PX + across * step_x, GAP_PX + down * step_y), "white")
    draw = ImageDraw.Draw(canvas)
    for number, (tile, hour) in enumerate(zip(tiles, strip.hours.tolist(), strict=True)):
        row, column = divmod(number, columns)
        left, top = GAP_PX + column * step_x, GAP_PX + row * step_y
        canvas.paste(tile, (left, top))
        wrong = any(begin <= hour <= end for begin, end in abnormal or ())
        if wrong:
            draw.rectangle((left - 2, top - 2, left + side_px + 1, top + side_px + 1), outline=MARK, width=2)
        words = f"{hour:.1f} h{' !' if wrong else ''}"
        draw.text((left + side_px / 2, top + side_px + 1), words, fill=MARK if wrong else QUIET, font=_font(10), anchor="ma")
    if crop_um is not None:
        _scale_bar(draw, crop_um, side_px)
    return canvas


def _grey(crops: np.ndarray) -> np.ndarray:
    """(n, side, side) uint8 between the strip's own 1st and 99.5th percentile."""
    seen = crops[np.isfinite(crops)]
    low, high = np.quantile(seen, [0.01, 0.995]) if seen.size else (0.0, 1.0)
    shown = np.clip((np.nan_to_num(crops, nan=low) - low) / max(high - low, 1e-12), 0, 1) * 255
    return np.where(np.isfinite(crops), shown, BEYOND).astype(np.uint8)


def _tile(crop: np.ndarray, outline: np.ndarray, side_px: int) -> Image.Image:
    """One crop at the strip's size with its outline, which stays visible however small it becomes."""
    smaller = crop.shape[0] > side_px
    picture = Image.fromarray(crop).resize((side_px, side_px), Image.Resampling.BOX if smaller else Image.Resampling.BICUBIC)
    share = Image.fromarray(outline.astype(np.float32)).resize((side_px, side_px), Image.Resampling.BOX)
    colours = np.repeat(np.asarray(picture)[..., None], 3, axis=-1).copy()
    colours[np.asarray(share) > 0.2] = LINE
    return Image.fromarray(colours)


def _scale_bar(draw: ImageDraw.ImageDraw, crop_um: float, side_px: int) -> None:
    """A bar of a round length, at most half of a crop, in the first one."""
    length = max((um for um in NICE_UM if um <= crop_um / 2), default=None)
    if length is None:
        return
    wide, bottom = round(length / crop_um * side_px), GAP_PX + side_px - 6
    draw.rectangle((GAP_PX + 5, bottom - 3, GAP_PX + 5 + wide, bottom), fill=(255, 255, 255), outline=(0, 0, 0))
    draw.text(
        (GAP_PX + 5, bottom - 5), f"{length} µm", fill=(255, 255, 255), font=_font(9), anchor="ls", stroke_width=1,
        stroke_fill=(0, 0, 0),
    )  # fmt: skip


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib: Pillow's own font has no µ."""
    from matplotlib import get_data_path

    return ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf", size)
