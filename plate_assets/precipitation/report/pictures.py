"""Pictures small enough for a page: one intensity scale for the plate, maps as transparent overlays, a budget of bytes.

Belongs here: shrinking and encoding. Not here: reading images (`plates.images`), making maps (`detector`).
"""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import sqrt

import numpy as np
import polars as pl
from PIL import Image

from plate_assets.pages.document import data_uri
from plate_assets.plates.images import map_ahead

BASE64 = 4 / 3
SAMPLE = 12  # wells that are looked at before the page is made, for the grey scale and the bytes of a pixel
MAP_PX = 120  # side of a well's map on the page; the browser upsamples it smoothly
DETAIL_PX = 800


@dataclass(frozen=True)
class PicturePlan:
    """How large the pictures of a page are, and what is drawn black and white."""

    scale: tuple[float, float]
    side_px: int
    detail_px: int | None  # None: the pictures are this large already, or there is no room
    quality: int = 75


def grey_scale(pictures: Sequence[np.ndarray]) -> tuple[float, float]:
    """The 0.5 and 99.5 percentile over all pictures, so that one scale serves the plate."""
    values = np.concatenate([picture[::4, ::4].reshape(-1) for picture in pictures])
    lo, hi = np.percentile(values.astype(np.float32), [0.5, 99.5])
    return (float(lo), float(hi)) if hi > lo else (float(lo) - 0.5, float(lo) + 0.5)


def to_bytes(picture: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """uint8 picture of the same shape, `scale` drawn from black to white. By a look-up table for integers: no float copy."""
    lo, hi = scale
    if picture.dtype in (np.uint8, np.uint16):
        levels = np.arange(np.iinfo(picture.dtype).max + 1, dtype=np.float64)
        return (np.clip((levels - lo) / (hi - lo), 0, 1) * 255 + 0.5).astype(np.uint8).take(picture)
    return (np.clip((np.nan_to_num(picture.astype(np.float64), nan=lo) - lo) / (hi - lo), 0, 1) * 255 + 0.5).astype(np.uint8)


def encode_picture(picture: np.ndarray, scale: tuple[float, float], side_px: int, quality: int = 75) -> bytes:
    """The picture as JPEG, its longer side at most `side_px`; (h, w) or (h, w, 3)."""
    return _jpeg(Image.fromarray(to_bytes(picture, scale)), side_px, quality)


def _jpeg(image: Image.Image, side_px: int, quality: int) -> bytes:
    """Shrunk by whole blocks of pixels as far as these go, then smoothly: several times as fast as a wide filter."""
    share = min(1.0, side_px / max(image.size))
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    out = io.BytesIO()
    # not `optimize`: a second pass over the pixels, for one byte in a hundred
    image.resize(size, Image.Resampling.HAMMING, reducing_gap=1.0).save(out, "JPEG", quality=quality)
    return out.getvalue()


def shrink_map(heat: np.ndarray, side_px: int) -> np.ndarray:
    """A map (u, v) with its longer side at most `side_px`: means of the finite values, NaN where most are NaN."""
    share = min(1.0, side_px / max(heat.shape))
    if share == 1.0:
        return heat.astype(np.float32)
    size = (max(1, round(heat.shape[1] * share)), max(1, round(heat.shape[0] * share)))
    known = np.isfinite(heat)
    weight = np.asarray(Image.fromarray(known.astype(np.float32)).resize(size, Image.Resampling.BOX))
    total = np.asarray(Image.fromarray(np.where(known, heat, 0).astype(np.float32)).resize(size, Image.Resampling.BOX))
    return np.where(weight >= 0.5, total / np.maximum(weight, 1e-6), np.nan).astype(np.float32)


@cache
def heat_palette() -> tuple[np.ndarray, np.ndarray]:
    """Colours (256, 3) and opacities (256,), uint8. 0 is "not scored", a faint shade; 1 to 255 grow to full colour."""
    from matplotlib import colormaps

    level = np.linspace(0, 1, 255)
    colours = np.vstack([[[12, 16, 28]], (colormaps["inferno"](0.15 + 0.85 * level)[:, :3] * 255).round()]).astype(np.uint8)
    return colours, np.concatenate([[70], (255 * 0.95 * level**0.75).round()]).astype(np.uint8)


def encode_heat(heat: np.ndarray, scale: tuple[float, float], side_px: int = MAP_PX) -> bytes:
    """The map as a PNG to lay over the picture: transparent at the scale's low end, shaded where nothing was scored."""
    small = shrink_map(heat, side_px)
    lo, hi = scale
    level = 1 + np.clip((np.nan_to_num(small, nan=lo) - lo) / (hi - lo), 0, 1) * 254
    image = Image.fromarray(np.where(np.isfinite(small), level.round(), 0).astype(np.uint8))
    colours, opacity = heat_palette()
    image.putpalette(colours.tobytes())
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True, transparency=opacity.tobytes())
    return out.getvalue()


def plan_pictures(
    wells: Sequence[str],
    n_detailed: int,
    picture_of: Callable[[str], np.ndarray | None],
    scale: tuple[float, float] | None,
    budget_bytes: int,
) -> PicturePlan:
    """Look at a few wells, and choose sizes that keep the page within its budget.

    All wells get a picture of 120 to 400 px (to 800 px where the wells are few); what is left over goes into larger pictures
    of `n_detailed` wells.
    """
    step = max(1, len(wells) // SAMPLE)
    sample = [picture for well in wells[::step][:SAMPLE] if (picture := picture_of(well)) is not None]
    if not sample:
        return PicturePlan(scale or (0.0, 1.0), 400, None)
    scale = scale or grey_scale(sample)
    trial = [(min(400, max(p.shape[:2])), len(encode_picture(p, scale, 400))) for p in sample]
    bytes_per_px = max(0.02, sum(size for _, size in trial) / sum(side**2 for side, _ in trial)) * BASE64
    maps = len(wells) * (6_000 + 2_500) * BASE64  # a map's PNG, and the well's share of the tables
    room = max(budget_bytes - maps, 0.2 * budget_bytes)
    largest = DETAIL_PX if len(wells) <= 24 else 400
    side = int(min(largest, max(120, sqrt(0.7 * room / (len(wells) * bytes_per_px)))))
    left = room - len(wells) * bytes_per_px * side**2
    detail = int(
        min(DETAIL_PX, sqrt(max(left, 0) / (max(n_detailed, 1) * bytes_per_px * 0.8)))
    )  # fewer bytes a pixel when larger
    return PicturePlan(scale, side, detail if detail > 1.3 * side and n_detailed else None)


def encode_wells(
    wells: Sequence[str],
    detailed: set[str],
    plan: PicturePlan,
    picture_of: Callable[[str], np.ndarray | None],
    heat_of: Callable[[str], np.ndarray | None],
    heat_scale: tuple[float, float],
) -> Iterator[tuple[str, dict[str, str]]]:
    """Each well's pictures as data URIs: `picture`, `detail` of the detailed ones, `heat`; what is not there is left out.

    A few wells at a time, in threads: the decoders and encoders leave the interpreter to others.
    """

    def encoded(row: dict[str, str]) -> dict[str, str]:
        well, found = row["well"], {}
        if (picture := picture_of(well)) is not None:
            image = Image.fromarray(to_bytes(picture, plan.scale))
            found["picture"] = data_uri(_jpeg(image, plan.side_px, plan.quality), "jpeg")
            if plan.detail_px and well in detailed:
                found["detail"] = data_uri(_jpeg(image, plan.detail_px, plan.quality), "jpeg")
        if (heat := heat_of(well)) is not None:
            found["heat"] = data_uri(encode_heat(heat, heat_scale), "png")
        return found

    for row, found in map_ahead(pl.DataFrame({"well": list(wells)}, schema={"well": pl.String}), encoded):
        yield row["well"], found
