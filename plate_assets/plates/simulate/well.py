"""One image of one well, with its truth.

Belongs here: the order in which a well is put together. Not here: its parts (`cells`, `precipitates`, `optics`, `background`).
"""

from dataclasses import dataclass

import numpy as np

from plate_assets.plates.layout import Well
from plate_assets.plates.simulate.background import mosaic
from plate_assets.plates.simulate.cells import cells_per_mm2, draw_cells
from plate_assets.plates.simulate.optics import expose, look_alikes, phase_contrast
from plate_assets.plates.simulate.plan import CHEMICAL, Condition, plate_look, well_severity
from plate_assets.plates.simulate.precipitates import draw_precipitate
from plate_assets.plates.simulate.settings import WELL_PX, SimulationSettings

RADIUS_PX = 542.65
_SHAPE = (WELL_PX, WELL_PX)
_TILE = 240
_GRIDS = {"inference": (120, 4), "training": (240, 3)}  # first row and column of the crop, tiles a side


@dataclass(frozen=True)
class SimulatedWell:
    image: np.ndarray  # (1200, 1200)
    mask: np.ndarray  # bool: precipitate or debris
    truth: dict  # of the well
    tiles: list[dict]  # truth of each tile, both geometries


def draw_well(
    settings: SimulationSettings, plate: int, visit: int, condition: Condition, well: Well, fields: list[np.ndarray] | None
) -> SimulatedWell:
    """Draw a well at a visit. The same settings give the same pixels, whatever else is drawn and in whatever order."""
    _, hours = settings.visits[visit]
    here = [settings.seed, plate, well.row, well.col]
    visit_rng = np.random.default_rng([*here, 11, visit])
    look = plate_look(settings, plate, visit)
    row, col = (WELL_PX - 1) / 2 + np.clip(visit_rng.normal(0, 2.5, 2), -6, 6)
    centre = (float(row), float(col))
    radius = RADIUS_PX + float(np.random.default_rng([*here, 12]).normal(0, 1.0))
    severity = well_severity(settings, plate, condition, well, hours)
    cell_rng, fall_rng = np.random.default_rng([*here, 13]), np.random.default_rng([*here, 14])
    density = cells_per_mm2(hours, condition.seeded, condition.doubling_h) * float(cell_rng.lognormal(0, 0.12))
    cover = None
    if fields is None:
        cells = draw_cells(_SHAPE, centre, radius, density, condition.rounded_share, cell_rng, visit_rng)
        light, cover = phase_contrast(cells.thickness) + cells.bright, cells.cover
    else:
        light = mosaic(fields, _SHAPE, visit_rng)
    fallen = draw_precipitate(_SHAPE, centre, radius, condition.kind, severity, fall_rng, visit_rng)
    light = light + fallen.light
    light += look_alikes(_SHAPE, centre, radius, condition.specks, look.dust, visit_rng)
    blur, out_of_focus = _focus(visit_rng)
    image = expose(light, centre, radius, look, blur, settings.dtype, visit_rng)
    inside = _disc(centre, radius)
    mask = fallen.mask & inside
    confluence = None if cover is None else float(_covered(cover, inside))
    truth = {
        "kind": condition.kind if severity else "none", "severity": severity, "precipitated": severity > 0,
        "particles": fallen.count, "precipitate_px": int(mask.sum()), "confluence": confluence,
        "cells_mm2": None if cover is None else density, "out_of_focus": out_of_focus, "blur_px": blur,
        "culture_row_px": centre[0], "culture_col_px": centre[1], "culture_radius_px": radius,
    }  # fmt: skip
    return SimulatedWell(image, mask, truth, _tile_truth(mask, centre, truth["kind"]))


def _focus(rng: np.random.Generator) -> tuple[float, bool]:
    out = bool(rng.random() < 0.05)
    return float(rng.uniform(1.5, 2.6) if out else rng.uniform(0.45, 0.85)), out


def _disc(centre, radius: float) -> np.ndarray:
    row, col = ((np.arange(WELL_PX) - c) ** 2 for c in centre)
    return row[:, None] + col[None, :] <= radius**2


def _covered(cover: np.ndarray, inside: np.ndarray) -> float:
    """Share of the culture area that is covered, gaps of two pixels closed."""
    filled = ~_grown(~_grown(cover))
    return (filled & inside).sum() / inside.sum()


def _grown(mask: np.ndarray) -> np.ndarray:
    """A mask with the eight neighbours of each of its pixels."""
    rows = mask.copy()
    rows[1:] |= mask[:-1]
    rows[:-1] |= mask[1:]
    grown = rows.copy()
    grown[:, 1:] |= rows[:, :-1]
    grown[:, :-1] |= rows[:, 1:]
    return grown


def _tile_truth(mask: np.ndarray, centre, kind: str) -> list[dict]:
    """Precipitate pixels of each tile around the culture area's centre; a tile counts as precipitated from 10 px on."""
    rows = []
    for geometry, (first, n) in _GRIDS.items():
        origin = [int(np.floor(first + c - (WELL_PX - 1) / 2 + 0.5)) for c in centre]
        cut = mask[origin[0] : origin[0] + n * _TILE, origin[1] : origin[1] + n * _TILE]
        counts = cut.reshape(n, _TILE, n, _TILE).sum(axis=(1, 3))
        for row in range(n):
            for col in range(n):
                if geometry == "inference" and row in (0, n - 1) and col in (0, n - 1):
                    continue
                px = int(counts[row, col])
                label = "normal" if px < 10 else "chemical" if kind in CHEMICAL else "necrotic"
                rows.append({
                    "geometry": geometry, "tile_row": row, "tile_col": col, "label": label,
                    "kind": kind if px >= 10 else "none", "precipitated": px >= 10, "precipitate_px": px,
                    "y0_px": origin[0] + row * _TILE, "x0_px": origin[1] + col * _TILE,
                })  # fmt: skip
    return rows
