"""Growth from texture: more cells, more cover; light alone changes nothing; who stands apart in growth and score."""

import numpy as np
import pytest
from scipy import ndimage

from plate_assets.plates.images import read_image, to_grey
from plate_assets.plates.layout import Well
from plate_assets.plates.simulate.plan import Condition
from plate_assets.plates.simulate.settings import SimulationSettings
from plate_assets.plates.simulate.well import draw_well
from plate_assets.precipitation.culture_area import find_culture_area
from plate_assets.precipitation.growth import growth_outliers, measure_growth

SETTINGS = SimulationSettings(quadruplets=1, timepoints_h=(96.0,), seed=4)


def simulated(seeded, kind="none", severity=0):
    """A well after 96 h at a doubling time of 34 h, and its truth."""
    onset = 0.0 if severity else np.inf
    condition = Condition(Well(3, 5), "C", "sample", kind, onset, severity, 34.0, seeded, 0.02, 100.0)
    drawn = draw_well(SETTINGS, 0, 0, condition, condition.quadruplet, None)
    return drawn.image, drawn.truth


def measured(image):
    return measure_growth(image, 2.82, find_culture_area(image, 2.82))


@pytest.fixture(scope="module")
def wells():
    """Wells from empty to crowded: image and truth."""
    return [simulated(seeded) for seeded in (0.0, 2.0, 6.0, 16.0, 40.0)]


def test_confluence_and_density_rise_with_the_cells_and_follow_the_truth(wells):
    found = [measured(image) for image, _ in wells]
    confluence, truth = [growth.confluence for growth in found], [truth["confluence"] for _, truth in wells]
    assert confluence == sorted(confluence) and confluence[-1] > 0.3
    assert confluence == pytest.approx(truth, abs=0.12)
    density = [growth.cells_mm2 for growth in found]
    assert density == sorted(density)
    assert density[3] == pytest.approx(wells[3][1]["cells_mm2"], rel=0.4)


def test_an_empty_well_is_nearly_uncovered(wells):
    assert measured(wells[0][0]).confluence < 0.02


def test_brightness_bit_depth_and_uneven_light_change_nothing(wells):
    image = wells[3][0]
    area = find_culture_area(image, 2.82)
    whole = measure_growth(image, 2.82, area).confluence
    wide = image.astype(np.uint16) * 100
    lamp = 1 + 0.25 * np.linspace(-1, 1, 1200)[:, None] * np.linspace(-1, 1, 1200)[None, :]
    assert measure_growth(wide, 2.82, area).confluence == pytest.approx(whole, abs=5e-3)  # 8 bits round the background away
    assert measure_growth(wide // 2, 2.82, area).confluence == pytest.approx(whole, abs=1e-2)
    assert measure_growth((wide * lamp).astype(np.uint16), 2.82, area).confluence == pytest.approx(whole, abs=0.02)


def test_finer_pixels_give_nearly_the_same_growth(wells):
    image = wells[3][0]
    coarse = measured(image)
    fine = np.kron(image, np.ones((2, 2), np.uint8))
    found = measure_growth(fine, 1.41, find_culture_area(fine, 1.41))
    assert (found.factor, coarse.factor) == (2, 1)
    assert found.confluence == pytest.approx(coarse.confluence, abs=0.02)
    assert found.cells_mm2 == pytest.approx(coarse.cells_mm2, rel=0.05)


def test_without_a_scale_there_is_no_density_and_a_constant_image_has_no_cells(wells):
    assert measure_growth(wells[3][0][300:900, 300:900]).cells_mm2 is None
    blank = measure_growth(np.full((600, 600), 90, np.uint8), 2.82)
    assert (blank.confluence, blank.cells_mm2) == (0.0, 0.0)


def test_the_wall_is_no_cell():
    y, x = np.ogrid[:1200, :1200]
    wall = np.hypot(y - 599.5, x - 599.5) > 542.65
    image = np.where(wall, 40.0, 120.0) + np.random.default_rng(0).normal(0, 1.5, (1200, 1200))
    assert measured(ndimage.gaussian_filter(image, 1).astype(np.uint8)).confluence < 0.01


def test_the_cells_of_real_fields_are_counted_about_right(real_data):
    from upath import UPath

    folder = UPath(real_data / "usiigaci-phase-contrast" / "labelled" / "train")
    shares, counts = [], []
    for place in sorted(folder.iterdir())[:4]:
        image = to_grey(read_image(place / "raw.tif"))
        cells = read_image(place / "instances_ids.png")
        growth = measure_growth(image, 0.87)
        shares.append(growth.confluence / (cells > 0).mean())
        area_mm2 = image.size * 0.00087**2
        counts.append(growth.cells_mm2 * area_mm2 / (len(np.unique(cells)) - 1))
    assert 0.6 < np.median(shares) < 1.7
    assert 0.6 < np.median(counts) < 1.5


@pytest.mark.parametrize("shape", [(3, 3), (4, 90), (6, 6), (33, 3)])
def test_images_smaller_than_the_lamps_grid_are_measured_too(shape):
    image = np.random.default_rng(0).integers(0, 4, shape).astype(np.uint8)
    for scale in (None, 0.87, 2.82):
        growth = measure_growth(image, scale)
        assert 0 <= growth.confluence <= 1 and growth.covered.any() == (growth.confluence > 0)


def test_no_covered_patch_is_a_speck_and_no_hole_a_pinhole():
    rng = np.random.default_rng(0)
    cells = ndimage.gaussian_filter(rng.normal(0, 1, (500, 500)), 4)
    image = 120 + np.where(cells > 0.03, rng.normal(0, 20, cells.shape), rng.normal(0, 1, cells.shape))
    covered = measure_growth(image.clip(0, 255).astype(np.uint8), 2.82).covered
    assert 0.05 < covered.mean() < 0.95
    for mask, smallest in ((covered, 350 / 2.82**2), (~covered, 350 / 2 / 2.82**2)):
        labels, n = ndimage.label(mask)
        assert n > 3 and np.bincount(labels.ravel())[1:].min() >= smallest


def planted(n=200, bad=40, seed=0):
    rng = np.random.default_rng(seed)
    growth, scores = rng.normal(0.6, 0.05, n), rng.normal(1.0, 0.1, n)
    scores[:bad] += 2.0
    growth[:bad] -= 0.2
    return growth, scores


def test_planted_wells_stand_apart_even_where_they_are_a_fifth():
    growth, scores = planted()
    found = growth_outliers(growth, scores)
    assert found.outlier[:40].all()
    assert found.outlier[40:].mean() < 0.05


def test_units_do_not_matter_and_missing_values_are_never_outliers():
    growth, scores = planted(seed=1)
    growth[50], scores[51] = np.nan, np.nan
    found, scaled = growth_outliers(growth, scores), growth_outliers(100 * growth, 1000 * scores)
    assert not found.outlier[50:52].any() and np.isnan(found.distance[50:52]).all()
    assert (found.outlier == scaled.outlier).all()


def test_the_contour_holds_the_share_of_wells_that_it_names():
    growth, scores = planted(bad=0)
    found = growth_outliers(growth, scores)
    cell = np.diff(found.growth[:2]) * np.diff(found.score[:2])
    assert (found.density.sum() * cell).item() == pytest.approx(1, abs=0.01)
    assert found.levels[0] > found.levels[1] > found.levels[2] > 0


def test_few_wells_have_no_contour_and_equal_scores_are_no_failure():
    assert growth_outliers(np.arange(11.0), np.arange(11.0)) is None
    growth = np.random.default_rng(0).normal(0.5, 0.1, 50)
    assert not growth_outliers(growth, np.ones(50)).outlier[np.abs(growth - 0.5) < 0.1].any()
