"""Cells in a frame of optical path difference: which pixels are a cell, and what the cell measures.

Belongs here: masks of one frame and the measures of its cells. Not here: outlines that somebody gives (`outlines`), the same
cell in the next frame (`tracking`), the background (`background`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl
from scipy import ndimage
from skimage.morphology import reconstruction
from skimage.segmentation import watershed

from plate_assets.dry_mass.phase import WIDENED, Calibration
from plate_assets.dry_mass.track_tables import flagged
from plate_assets.plates.timelapses.outlines import Outlines

Integration = Literal["outline", "drymass_disc"]
FAINTEST = 0.02  # of the brightest cells' OPD: whatever the noise, nothing below is looked at
TO_SIGMA = 1.4826  # median of absolute deviations to the standard deviation of a normal distribution
EIGHT = np.ones((3, 3), bool)
# One row for each cell of a frame, in pixels and in the calibration's values; `cell` is the name within its outlines.
CELL_COLUMNS = {
    "frame": pl.Int32, "cell": pl.Int64, "x_px": pl.Float64, "y_px": pl.Float64, "area_px": pl.Int64, "total": pl.Float64,
    "at_edge": pl.Boolean, "saturated": pl.Boolean,
}  # fmt: skip


@dataclass(frozen=True)
class MaskSettings:
    """How cells are found. Lengths are shares of the diameter of a typical cell, so that one number follows cells and optics.

    cell_um: that diameter in µm, used where the pixel size is known; cell_px: the same in pixels, used where it is not, and
    where it is None as well the first frame tells (`typical_diameter`). threshold_sigmas: a pixel is a cell's above this many
    standard deviations of the smoothed background. valley: two peaks are two cells where the valley between them is lower than
    the lower peak by this share. smoothing, opening, peak_smoothing: Gaussian before the threshold, radius of whiskers that
    are cut, Gaussian before peaks are sought. smallest: area, as a share of the typical cell's. The defaults were chosen on
    the first hundred frames of a Livecyte time-lapse against its outlines, in the middle of what does equally well there.
    """

    cell_um: float = 20.0
    cell_px: float | None = None
    threshold_sigmas: float = 6.0
    valley: float = 0.08
    smoothing: float = 0.03
    opening: float = 0.1
    peak_smoothing: float = 0.1
    smallest: float = 0.45

    def __post_init__(self) -> None:
        for name in ("cell_um", "threshold_sigmas", "smoothing", "peak_smoothing"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}, and a number above 0 is needed")
        if self.cell_px is not None and not self.cell_px >= 3:
            raise ValueError(f"cell_px is {self.cell_px}, and a diameter of 3 px or more is needed")
        for name in ("valley", "opening", "smallest"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, and a share from 0 to below 1 is needed")

    def diameter_px(self, pixel_um: float | None, first: Callable[[], np.ndarray]) -> float:
        """Diameter of a typical cell in pixels. first: gives the first frame's values (h, w), without background, if asked."""
        if pixel_um is not None:
            return max(3.0, self.cell_um / pixel_um)
        return self.cell_px if self.cell_px is not None else typical_diameter(first(), self)


def find_cells(values: np.ndarray, settings: MaskSettings, diameter_px: float) -> Outlines:
    """Masks of the cells of one frame.

    values: (h, w) float, without background, cells above 0. Smoothed values above the noise, without whiskers and small holes,
    are split by a watershed of their logarithm, so that a dim cell beside a bright one counts as much as two bright ones: a
    peak makes a cell where a valley of the given depth parts it from a higher one.
    """
    threshold, smooth = _threshold(values, settings, diameter_px)
    smallest = settings.smallest * np.pi / 4 * diameter_px**2
    mask = _without_small(_tidied(smooth > threshold, settings.opening * diameter_px, np.pi / 4 * diameter_px**2), smallest)
    if not mask.any():
        return Outlines.from_labels(np.zeros(values.shape, np.int32))
    smoothing_px = settings.peak_smoothing * diameter_px
    peaked = ndimage.gaussian_filter(values, smoothing_px)
    height = np.where(mask, np.log(np.maximum(peaked, 0) + threshold), np.log(threshold)).astype(np.float32)
    markers = _peaks(height, mask, -np.log1p(-settings.valley), smoothing_px)
    labels = watershed(-height, markers, mask=mask)
    sizes = np.bincount(labels.ravel())
    small = sizes < smallest
    small[0] = False
    if small.any():  # too small to be a cell of its own: the neighbours share it, or it goes
        markers[small[markers]] = 0
        labels = watershed(-height, markers, mask=mask)
    return Outlines.from_labels(labels)


def typical_diameter(values: np.ndarray, settings: MaskSettings | None = None) -> float:
    """Diameter in pixels of a typical cell of a frame: twice the median radius of the largest discs within the mask.

    values: (h, w) float, without background. Discs, not areas, so that clumps do not count as large cells; they are as large
    as a round cell, and smaller than a long one of the same area. Raises ValueError where nothing stands out.
    """
    settings = replace(settings or MaskSettings(), smoothing=1.0)
    threshold, smooth = _threshold(values, settings, 1.0)
    mask = _tidied(smooth > threshold, 1.5, np.inf)
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), 1.0)  # pyright: ignore[reportCallIssue, reportArgumentType]
    inner = depth > 2.5
    peaks, count = ndimage.label(inner & (depth == ndimage.maximum_filter(depth, 9)), EIGHT)  # pyright: ignore[reportGeneralTypeIssues]
    if not count:
        raise ValueError(
            "no cell stands out in the first frame: give the diameter of a typical cell, cell_px, or the pixel size"
        )
    radii = ndimage.maximum(depth, peaks, np.arange(1, count + 1))
    return max(3.0, 2 * float(np.median(radii)))


def measure_cells(
    frame: int,
    outlines: Outlines,
    values: np.ndarray,
    stored: np.ndarray,
    full_scale: float | None,
    integrate: Integration = "outline",
) -> pl.DataFrame:
    """CELL_COLUMNS: one row for each cell of a frame.

    values: (h, w) OPD in µm or relative, without background. stored: (h, w) as the file has it. full_scale: the largest value
    that can be stored; a cell with a pixel there is saturated and its mass too low. total: the sum of values in the outline
    (A3.1), or, with `drymass_disc`, in the disc of 1.2 times the radius of the cell's area about its centre, where the noise
    cancels (DryMass). The centre is the centre of mass: it stays where the cell is when the outline flickers.
    """
    weight = np.maximum(values, 0)
    heavy, centres = outlines.sums(weight), outlines.centres()
    rows, cols = np.ogrid[: values.shape[0], : values.shape[1]]
    with np.errstate(invalid="ignore", divide="ignore"):
        weighted = np.stack([outlines.sums(weight * cols), outlines.sums(weight * rows)], axis=1) / heavy[:, None]
    centres = np.where(heavy[:, None] > 0, weighted, centres)
    areas = outlines.areas()
    inside = outlines
    if integrate == "drymass_disc":
        inside = Outlines.discs(centres, WIDENED * np.sqrt(areas / np.pi), outlines.names, outlines.shape)
    elif integrate != "outline":
        raise ValueError(f"integrate is {integrate!r}, and it is `outline` or `drymass_disc`: name one of them")
    full = np.zeros(len(outlines), bool)
    if full_scale is not None and len(outlines):
        full = outlines.sums(stored >= full_scale) > 0
    table = {
        "frame": np.full(len(outlines), frame), "cell": outlines.names,
        "x_px": centres[:, 0], "y_px": centres[:, 1], "area_px": areas,
        "total": inside.sums(values), "at_edge": outlines.at_border(), "saturated": full,
    }  # fmt: skip
    return pl.DataFrame(table, nan_to_null=True).cast(CELL_COLUMNS)  # pyright: ignore[reportArgumentType]


def with_units(cells: pl.DataFrame, calibration: Calibration) -> pl.DataFrame:
    """CELL_COLUMNS with x_um, y_um, area_um2 (px without a pixel size), dry_mass, unit and reasons, as `cell_tracks` has them.

    A mass that is not above 0, and an outline without pixels, stay as a row without mass, and the reason is said.
    """
    side = calibration.length_um
    mass = calibration.mass(cells["total"].to_numpy(), cells["area_px"].to_numpy())
    table = cells.with_columns(
        *(((pl.col(f"{axis}_px") + 0.5) * side).alias(f"{axis}_um") for axis in ("x", "y")),
        (pl.col("area_px") * side**2).cast(pl.Float64).alias("area_um2"),
        pl.Series("dry_mass", mass, pl.Float64),
        unit=pl.lit(calibration.mass_unit),
        reasons=pl.lit(""),
    )
    return flagged(table)


def _threshold(values: np.ndarray, settings: MaskSettings, diameter_px: float) -> tuple[float, np.ndarray]:
    """The level above which a pixel is a cell's, and the smoothed values. The noise is the spread below 0, where no cell is."""
    smooth = ndimage.gaussian_filter(np.asarray(values, np.float32), settings.smoothing * diameter_px)
    below = smooth[smooth < 0]
    noise = TO_SIGMA * float(np.median(-below)) if below.size else 0.0
    brightest = float(np.quantile(smooth[:: 1 + smooth.shape[0] // 512, :: 1 + smooth.shape[1] // 512], 0.999))
    return max(settings.threshold_sigmas * noise, FAINTEST * brightest, float(np.finfo(np.float32).tiny)), smooth


def _tidied(mask: np.ndarray, radius: float, largest_hole: float) -> np.ndarray:
    """Whiskers narrower than a disc cut, holes up to an area filled; a hole that the border opens is none."""
    if radius >= 1:
        reach = int(radius)
        disc = np.hypot(*np.ogrid[-reach : reach + 1, -reach : reach + 1]) <= reach + 0.5
        mask = ndimage.binary_opening(np.pad(mask, reach, mode="edge"), disc)[reach:-reach, reach:-reach]
    holes = _parts(~mask)
    sizes = np.bincount(holes.ravel())
    fill = sizes <= largest_hole
    fill[np.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]])] = False
    fill[0] = True  # label 0 is the mask itself
    return fill[holes]


def _parts(mask: np.ndarray) -> np.ndarray:
    return ndimage.label(mask)[0]  # pyright: ignore[reportIndexIssue, reportReturnType]


def _without_small(mask: np.ndarray, smallest: float) -> np.ndarray:
    parts = _parts(mask)
    keep = np.bincount(parts.ravel()) >= smallest
    keep[0] = False
    return keep[parts]


def _peaks(height: np.ndarray, mask: np.ndarray, depth: float, smoothing_px: float) -> np.ndarray:
    """(h, w) int32 markers: peaks that a valley of at least `depth` parts from any higher one.

    What was smoothed over some pixels is told by every so-manieth of them, and reconstruction sorts all that it gets.
    """
    step = max(1, round(smoothing_px))
    coarse, inside = height[::step, ::step], mask[::step, ::step]
    domes = coarse - reconstruction(coarse - np.float32(depth), coarse)
    markers = np.zeros(height.shape, np.int32)
    markers[::step, ::step], _ = ndimage.label((domes >= 0.999 * depth) & inside, EIGHT)  # pyright: ignore[reportGeneralTypeIssues]
    return markers
