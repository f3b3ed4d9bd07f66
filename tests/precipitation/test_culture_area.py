"""The culture area: the paper's disc, and the wall found in images whose wall is known."""

import numpy as np
import pytest
from scipy import ndimage

from plate_assets.plates.layout import Well
from plate_assets.plates.simulate.plan import Condition
from plate_assets.plates.simulate.settings import SimulationSettings
from plate_assets.plates.simulate.well import draw_well
from plate_assets.precipitation.culture_area import (
    CULTURE_RADIUS_UM,
    culture_mask,
    default_culture_area,
    find_culture_area,
)


def made_well(row=599.5, col=599.5, radius=542.65, shape=(1200, 1200), wall=0.3, seed=0, texture=0.08):
    """A disc of cells in a wall of another brightness; its edge is one pixel wide."""
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[: shape[0], : shape[1]]
    inside = np.clip(radius - np.hypot(y - row, x - col) + 0.5, 0, 1)
    cells = ndimage.gaussian_filter(rng.standard_normal(shape).astype(np.float32), 2)
    light = inside * (0.6 + texture * cells / cells.std()) + (1 - inside) * wall
    light *= 1 + 0.2 * (x - shape[1] / 2) / shape[1]  # uneven lamp
    return np.clip(light * 200 + rng.normal(0, 2, shape), 0, 255).astype(np.uint8)


def test_the_default_disc_is_the_papers():
    area = default_culture_area((1200, 1200), 2.82)
    assert (area.row, area.col, area.found) == (599.5, 599.5, False)
    assert area.radius == pytest.approx(542.65, abs=0.005)
    assert culture_mask((1200, 1200), area).sum() == 925_072
    assert pytest.approx(1530.3, abs=0.05) == CULTURE_RADIUS_UM


@pytest.mark.parametrize(
    ("row", "col", "radius", "wall"),
    [
        (599.5, 599.5, 542.65, 0.3),
        (612.0, 580.0, 545.0, 0.3),
        (560.0, 640.0, 530.0, 0.3),  # the wall leaves the image on two sides
        (605.0, 590.0, 560.0, 0.95),  # a wall brighter than the culture
    ],
)
def test_centre_and_radius_are_found_in_shifted_wells(row, col, radius, wall):
    found = find_culture_area(made_well(row, col, radius, wall=wall), 2.82)
    assert found.found
    assert (found.row, found.col, found.radius) == pytest.approx((row, col, radius), abs=2.0)


@pytest.mark.parametrize("pixel_um", [1.41, 5.64])
def test_other_scales_find_the_same_disc(pixel_um):
    zoom = 2.82 / pixel_um
    side = int(1200 * zoom)
    image = made_well(610 * zoom, 590 * zoom, 542 * zoom, (side, side))
    found = find_culture_area(image.astype(np.uint16) * 200, pixel_um)
    assert found.found
    assert (found.row / zoom, found.col / zoom, found.radius / zoom) == pytest.approx((610, 590, 542), abs=2.5)


def test_simulated_wells_are_found_where_the_truth_says():
    settings = SimulationSettings(quadruplets=1, timepoints_h=(96.0,), seed=5)
    for number in range(3):
        condition = Condition(Well(1, 2 * number + 1), "C", "sample", "grains", 0.0, number, 30.0, 22.0, 0.03, 100.0)
        drawn = draw_well(settings, 0, 0, condition, condition.quadruplet, None)
        found, truth = find_culture_area(drawn.image, 2.82), drawn.truth
        assert found.found
        assert found.row == pytest.approx(truth["culture_row_px"], abs=2.0)
        assert found.col == pytest.approx(truth["culture_col_px"], abs=2.0)
        assert found.radius == pytest.approx(truth["culture_radius_px"], abs=4.0)  # the inner side of the bright rim


@pytest.mark.parametrize("radius", [420.0, 502.0, 583.0, 640.0])  # 6 % is allowed: 510 to 575
def test_a_well_of_another_size_is_not_taken_for_this_one(radius):
    found = find_culture_area(made_well(radius=radius, shape=(1300, 1300), row=649.5, col=649.5), 2.82)
    assert (found.row, found.col, found.radius, found.found) == (649.5, 649.5, default_culture_area((1, 1)).radius, False)


@pytest.mark.parametrize("kind", ["cells without a wall", "black", "noise", "too small a field"])
def test_without_a_wall_the_default_disc_is_assumed(kind):
    shape = (500, 500) if kind == "too small a field" else (1200, 1200)
    image = {
        "cells without a wall": lambda: made_well(radius=2000.0),
        "black": lambda: np.zeros(shape, np.uint8),
        "noise": lambda: np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8),
        "too small a field": lambda: made_well(250, 250, 542, shape),
    }[kind]()
    assert find_culture_area(image, 2.82) == default_culture_area(shape, 2.82)
