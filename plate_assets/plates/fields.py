"""Fields: what is looked at in a well. Planes become one image, sites stay apart or are placed into one image of the well.

Belongs here: from rows of an acquisition's images to the images that a science gets to see. Not here: decoding (`images`), how
light is measured (`illumination`), tiles.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import numpy as np
import polars as pl

from plate_assets.plates.acquisition import Acquisition
from plate_assets.plates.illumination import Profile, corrected
from plate_assets.plates.image_files import MAX_BYTES, MAX_SIDE_PX, ImageError
from plate_assets.plates.images import describe_file, map_ahead, read_image

T = TypeVar("T")

_LABEL_FREE = re.compile(r"bright|phase|trans|dic|^bf|^ph|^tl", re.IGNORECASE)
_SITE = ["Metadata_Row", "Metadata_Col", "Metadata_Site"]
_PLACE = ["Metadata_Row", "Metadata_Col"]


class FieldError(ValueError):
    """A channel, plane or placing that an acquisition does not have; the message names what it has."""


@dataclass(frozen=True)
class View:
    """What of a well is looked at, and how: the channel, its planes, its sites, its light."""

    channel: str | None = None  # None: the first label-free one, see `chosen_channel`
    planes: str = "middle"  # `middle`, `projection` (the maximum), `best_focus`, or a plane's number
    sites: Literal["apart", "placed"] = "apart"
    illumination: Literal["none", "vendor", "estimated", "auto"] = "none"  # auto: the vendor's, else the estimated one

    def __post_init__(self) -> None:
        if self.planes not in ("middle", "projection", "best_focus") and not self.planes.isdecimal():
            raise FieldError(f"planes {self.planes!r}: `middle`, `projection`, `best_focus` or a plane's number is needed")


@dataclass(frozen=True)
class Fields:
    """The fields of one channel of an acquisition: `rows` has one of IMAGES for each, in the order of wells and sites.

    A placed field has site 1 and the row of its first site. Missing files stay in; reading them tells.
    """

    acquisition: Acquisition
    rows: pl.DataFrame
    view: View
    profile: Profile | None = None
    _parts: dict[tuple[int, ...], list[dict[str, Any]]] = field(default_factory=dict, repr=False)
    _canvas: "_Canvas | None" = None

    @classmethod
    def of(cls, acquisition: Acquisition, view: View | None = None, profile: Profile | None = None) -> "Fields":
        """The fields under a view. profile: of the light that is taken away. Raises FieldError."""
        view = view or View()
        images = acquisition.images.filter(pl.col("Metadata_Channel") == chosen_channel(acquisition, view.channel))
        placed = view.sites == "placed"
        ordered = _planes(images, view.planes).sort(*_SITE, "Metadata_Plane")
        keys = _PLACE if placed else _SITE
        canvas = _Canvas.around(acquisition, ordered) if placed and ordered.height else None
        rows = ordered.unique(keys, keep="first", maintain_order=True)
        if placed:
            rows = rows.with_columns(Metadata_Site=pl.lit(1, pl.Int32))
        parts: dict[tuple[int, ...], list[dict[str, Any]]] = {}
        for row in ordered.iter_rows(named=True):
            parts.setdefault(tuple(row[key] for key in keys), []).append(row)
        return cls(acquisition, rows, view, profile, parts, canvas)

    def sampled(self, count: int) -> "Fields":
        """At most so many of the fields whose files are there, evenly spread over the plate."""
        present = self.rows.filter("present")
        every = np.unique(np.linspace(0, present.height - 1, min(count, present.height)).astype(int)) if present.height else []
        return replace(self, rows=present[every])

    def image(self, row: dict[str, Any]) -> np.ndarray:
        """The field of a row of `rows`, (h, w) or (h, w, 3), of the files' type. Raises ImageError."""
        parts = self._parts[tuple(row[key] for key in (_PLACE if self._canvas else _SITE))]
        if self._canvas is None:
            return self._site(parts)
        sites: dict[int, list[dict[str, Any]]] = {}
        for part in parts:
            sites.setdefault(part["Metadata_Site"], []).append(part)
        return self._canvas.filled((self._site(planes), planes[0]["x_um"], planes[0]["y_um"]) for planes in sites.values())

    def shape(self, row: dict[str, Any]) -> tuple[int, int]:
        """Height and width of the field of a row, px, without decoding it. Raises ImageError."""
        if self._canvas is not None:
            return self._canvas.shape
        parts = self._parts[tuple(row[key] for key in _SITE)]
        present = next((part for part in parts if part["present"]), parts[0])
        height, width = describe_file(self.acquisition.root / present["path"]).shape[:2]
        return int(height), int(width)

    def _site(self, planes: list[dict[str, Any]]) -> np.ndarray:
        """One image of a site's planes; those that are missing are left out as long as one is there."""
        present = [plane for plane in planes if plane["present"]]
        if not present:
            raise ImageError(
                f"{self.acquisition.root / planes[0]['path']} is missing: the metadata names it and it is not there"
            )
        stack = (read_image(self.acquisition.root / plane["path"], plane["page"]) for plane in present)
        image = next(stack)
        if self.view.planes == "projection":
            for other in stack:
                image = np.maximum(image, _alike(other, image))
        elif self.view.planes == "best_focus" and len(present) > 1:
            image = _sharpest(image, stack)
        return corrected(image, self.profile) if self.profile else image


def map_fields(
    fields: Fields, work: Callable[[np.ndarray], T], ahead: int = 4
) -> Iterator[tuple[dict[str, Any], T | ImageError]]:
    """Each row of the fields with what `work` makes of its image, in order, or with the ImageError that stands in for it."""

    def load(row: dict[str, Any]) -> T | ImageError:
        try:
            image = fields.image(row)
        except ImageError as error:
            return error
        return work(image)

    return map_ahead(fields.rows, load, ahead)


def chosen_channel(acquisition: Acquisition, channel: str | None) -> str:
    """The channel of that name; for None the first in natural order among those named like brightfield, phase or transmission,
    among all where none is. Raises FieldError."""
    channels = sorted(acquisition.images["Metadata_Channel"].unique(), key=_natural)
    if channel is None:
        return next((name for name in channels if is_label_free(name)), channels[0] if channels else "")
    if channel not in channels:
        raise FieldError(f"{acquisition.acquisition_id} has no channel {channel!r}: it has {', '.join(map(repr, channels))}")
    return channel


def is_label_free(channel: str) -> bool:
    """Whether a channel is named like brightfield, phase contrast or transmitted light."""
    return bool(_LABEL_FREE.search(channel))


def _planes(images: pl.DataFrame, planes: str) -> pl.DataFrame:
    """The rows that one image of each site is made of. The microscope's own projection (plane 0) is one, where it is asked for
    or where there is nothing else."""
    ordered = images.sort(*_SITE, "Metadata_Plane")
    own, most = pl.col("Metadata_Plane") == 0, pl.col("Metadata_Plane").max().over(_SITE)
    if planes == "projection":
        return ordered.filter(own | (pl.col("Metadata_Plane").min().over(_SITE) > 0))
    stack = ordered.filter(~own | (most == 0))
    if planes == "best_focus":
        return stack
    if planes == "middle":  # of an even number the upper one
        return stack.filter(pl.int_range(pl.len()).over(_SITE) == (pl.len() // 2).over(_SITE))
    chosen = images.filter(pl.col("Metadata_Plane") == int(planes))
    if images.height and chosen.is_empty():
        known = ", ".join(str(plane) for plane in images["Metadata_Plane"].unique().sort())
        raise FieldError(f"no image has plane {planes}: there are the planes {known}")
    return chosen


def _sharpest(image: np.ndarray, others: Iterator[np.ndarray]) -> np.ndarray:
    from plate_assets.plates.quality import focus_of

    best, sharpness = image, focus_of(image)
    for other in others:
        if (focus := focus_of(other)) > sharpness:
            best, sharpness = other, focus
    return best


def _alike(image: np.ndarray, first: np.ndarray) -> np.ndarray:
    if image.shape != first.shape or image.dtype != first.dtype:
        raise ImageError(
            f"planes of one site differ: {first.shape} {first.dtype} and {image.shape} {image.dtype}; a projection needs them "
            "alike"
        )
    return image


@dataclass(frozen=True)
class _Canvas:
    """One image for each well, the same for all of an acquisition: where sites lie in it, px."""

    shape: tuple[int, int]  # of the well's image
    site: tuple[int, int]  # of a site's
    origin_um: tuple[float, float]  # centre of the first pixel, right of and below the well's centre
    pixel_um: float

    @classmethod
    def around(cls, acquisition: Acquisition, rows: pl.DataFrame) -> "_Canvas":
        if rows["x_um"].null_count() or rows["y_um"].null_count() or acquisition.pixel_um is None:
            lacks = "stage places" if acquisition.pixel_um is not None else "pixel size"
            raise FieldError(
                f"the sites of {acquisition.acquisition_id} cannot be placed: its metadata gives no {lacks}; keep sites apart"
                + ("" if acquisition.pixel_um is not None else ", or set the pixel size")
            )
        present = rows.filter("present")
        if present.is_empty():
            raise FieldError(f"the sites of {acquisition.acquisition_id} cannot be placed: no image of the channel is there")
        first = present.row(0, named=True)
        height, width = describe_file(acquisition.root / first["path"]).shape[:2]
        pixel = acquisition.pixel_um
        left, top = float(rows["x_um"].min()) - width * pixel / 2, float(rows["y_um"].min()) - height * pixel / 2  # type: ignore[arg-type]
        cols = round((float(rows["x_um"].max()) - float(rows["x_um"].min())) / pixel) + width  # type: ignore[arg-type]
        lines = round((float(rows["y_um"].max()) - float(rows["y_um"].min())) / pixel) + height  # type: ignore[arg-type]
        if max(cols, lines) > MAX_SIDE_PX or cols * lines * 16 > MAX_BYTES:
            raise FieldError(
                f"the sites of {acquisition.acquisition_id} would make an image of {cols} × {lines} px: keep sites apart, or "
                "look whether the stage places are right"
            )
        return cls((lines, cols), (height, width), (left + pixel / 2, top + pixel / 2), pixel)

    def filled(self, sites: Iterator[tuple[np.ndarray, float, float]]) -> np.ndarray:
        """The sites at their places to the pixel, blended where they overlap; what no site covers gets the median grey."""
        total = weights = dtype = None
        ramp = _ramp(self.site)
        for image, x_um, y_um in sites:
            if image.shape[:2] != self.site:
                raise ImageError(f"a site has {image.shape[:2]} px and the first {self.site}: they cannot be placed together")
            if total is None or weights is None:
                total = np.zeros((*self.shape, *image.shape[2:]), np.float32)
                weights, dtype = np.zeros(self.shape, np.float32), image.dtype
            col = round((x_um - self.origin_um[0]) / self.pixel_um - (self.site[1] - 1) / 2)
            row = round((y_um - self.origin_um[1]) / self.pixel_um - (self.site[0] - 1) / 2)
            where = np.s_[row : row + self.site[0], col : col + self.site[1]]
            weights[where] += ramp
            total[where] += image * (ramp if image.ndim == 2 else ramp[..., None])
        assert total is not None and weights is not None and dtype is not None
        covered = weights > 0
        share = weights if total.ndim == 2 else weights[..., None]
        np.divide(total, share, out=total, where=share > 0)
        if not covered.all():
            total[~covered] = np.median(total[covered], axis=0)
        return np.rint(total).astype(dtype)


def _ramp(shape: tuple[int, int]) -> np.ndarray:
    """Weight of each pixel of a site: its distance to the nearer border along each axis, so that seams fade."""
    lines = [np.minimum(np.arange(1, n + 1), np.arange(n, 0, -1)).astype(np.float32) for n in shape]
    return np.outer(*lines)


def _natural(name: str) -> list:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part.lower()) for part in re.split(r"(\d+)", name)]
