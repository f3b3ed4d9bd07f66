"""Cells found by their mass, touching ones apart, and what each measures; against drawn cells and real outlines."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plate_assets.dry_mass.agreement import match_cells
from plate_assets.dry_mass.background import fit_background, remove_background
from plate_assets.dry_mass.cells import MaskSettings, find_cells, measure_cells, typical_diameter, with_units
from plate_assets.dry_mass.phase import Calibration, sphere_mass_pg
from plate_assets.plates.timelapses.opening import open_timelapse
from plate_assets.plates.timelapses.outline_files import open_outlines
from plate_assets.plates.timelapses.outlines import Outlines

DIAMETER = 20.0
MASKS = MaskSettings(cell_px=DIAMETER)


def domes(*cells, shape=(160, 200), noise=0.0, seed=0):
    """(h, w) float32 field of spheres (x, y, radius, height at the top), one over the other."""
    y, x = np.indices(shape)
    field = np.zeros(shape)
    for at_x, at_y, radius, height in cells:
        inside = np.maximum(1 - ((x - at_x) ** 2 + (y - at_y) ** 2) / radius**2, 0)
        field = np.maximum(field, height * np.sqrt(inside))
    return (field + np.random.default_rng(seed).normal(0, noise, shape)).astype(np.float32)


def measured(field, outlines, **how):
    return measure_cells(3, outlines, field, field, **{"full_scale": None, **how}).sort("x_px")


def test_spheres_are_found_where_they_are_with_their_mass():
    cells = [(40.0, 50.0, 10.0, 0.3), (110.3, 60.7, 14.0, 0.2), (70.0, 120.0, 9.0, 0.5)]
    field = domes(*cells, noise=0.004)
    table = measured(field, find_cells(field, MASKS, DIAMETER))
    truth = sorted(cells)
    assert table.select("x_px", "y_px").to_numpy() == pytest.approx(np.array([cell[:2] for cell in truth]), abs=0.4)
    assert table["total"].to_list() == pytest.approx([2 / 3 * np.pi * r**2 * top for _, _, r, top in truth], rel=0.03)
    assert np.sqrt(table["area_px"] / np.pi).to_list() == pytest.approx(
        [cell[2] for cell in truth], abs=1.5
    )  # smoothing widens
    assert table["frame"].to_list() == [3, 3, 3] and not table["at_edge"].any() and not table["saturated"].any()


def test_touching_cells_part_in_the_valley_whether_alike_or_not():
    for second in (0.3, 0.09):
        field = domes((70, 80, 10, 0.3), (88, 80, 10, second), noise=0.003)
        outlines = find_cells(field, MASKS, DIAMETER)
        table = measured(field, outlines)
        assert table.height == 2
        assert table["x_px"].to_list() == pytest.approx([70, 88], abs=1.5)
        assert table["total"][1] / table["total"][0] == pytest.approx(second / 0.3, rel=0.25)


def test_an_uneven_cell_is_one_cell():
    field = domes((70, 80, 20, 0.2), (64, 74, 5, 0.21), (78, 84, 4, 0.205), noise=0.003)
    assert len(find_cells(field, MASKS, DIAMETER)) == 1


def test_specks_and_noise_are_no_cells_and_holes_are_filled():
    field = domes((40, 40, 3, 0.5), (120, 100, 14, 0.3), noise=0.004)
    hollow = np.where(domes((120, 100, 4, 1.0)) > 0, 0.0, field).astype(np.float32)
    outlines = find_cells(hollow, MASKS, DIAMETER)
    assert len(outlines) == 1 and np.sqrt(outlines.areas()[0] / np.pi) == pytest.approx(14, abs=1.5)
    assert len(find_cells(domes(noise=0.01), MASKS, DIAMETER)) == 0
    assert len(find_cells(np.zeros((30, 30), np.float32), MASKS, DIAMETER)) == 0


@settings(max_examples=20)
@given(st.floats(1e-3, 1e4))
def test_the_scale_of_values_changes_no_mask(factor):
    field = domes((40, 50, 10, 0.3), (58, 50, 9, 0.2), (140, 110, 13, 0.25), noise=0.005)
    before, after = find_cells(field, MASKS, DIAMETER), find_cells(np.float32(factor) * field, MASKS, DIAMETER)
    assert len(before) == len(after) == 3
    assert (before.labels() != after.labels()).mean() < 1e-3


def test_half_the_pixel_size_finds_the_same_cells():
    cells = [(40, 50, 10, 0.3), (58, 50, 9, 0.2), (140, 110, 13, 0.25)]
    fine = domes(*[(2 * x, 2 * y, 2 * r, top) for x, y, r, top in cells], shape=(320, 400), noise=0.005)
    masks = MaskSettings(cell_um=20.0)
    diameter = masks.diameter_px(0.5, lambda: fine)
    assert diameter == 40.0
    table = measured(fine, find_cells(fine, masks, diameter))
    assert table["x_px"].to_list() == pytest.approx([80, 116, 280], abs=2)


def test_the_first_frame_tells_the_diameter_where_nobody_does():
    field = domes(*[(20 + 40 * (n % 4), 25 + 40 * (n // 4), 11, 0.3) for n in range(12)], noise=0.004)
    assert typical_diameter(field) == pytest.approx(22, rel=0.15)
    assert MaskSettings().diameter_px(None, lambda: field) == typical_diameter(field)
    assert MaskSettings(cell_px=31).diameter_px(None, lambda: field) == 31
    with pytest.raises(ValueError, match="no cell stands out.*cell_px"):
        typical_diameter(np.zeros((60, 60), np.float32))


def test_cells_at_the_border_and_at_full_scale_are_marked():
    field = domes((4, 80, 12, 200.0), (100, 80, 12, 300.0))
    stored = np.minimum(field, 255).astype(np.uint8)
    table = measure_cells(0, find_cells(field, MASKS, DIAMETER), field, stored, 255).sort("x_px")
    assert table["at_edge"].to_list() == [True, False]
    assert table["saturated"].to_list() == [False, True]


def test_drymass_takes_one_and_a_fifth_of_the_radius():
    """Over 1.2 radii a sphere's edge is not cut off: 349.07 pg for 10 µm and 0.015, where too small a mask loses a part."""
    side = 0.5
    field = domes((100, 80, 20, 2 * 0.015 * 10.0))
    small = Outlines.discs(np.array([[100.0, 80.0]]), np.array([18.0]), np.array([1]), field.shape)
    calibration = Calibration("um", pixel_um=side)
    mass = {
        integrate: with_units(measured(field, small, integrate=integrate), calibration)["dry_mass"][0]
        for integrate in ("outline", "drymass_disc")
    }
    assert mass["drymass_disc"] == pytest.approx(sphere_mass_pg(10.0, 0.015), rel=5e-3)
    assert mass["outline"] < 0.95 * mass["drymass_disc"]
    with pytest.raises(ValueError, match="drymass_disc"):
        measured(field, small, integrate="square")


def test_units_follow_the_calibration():
    field = domes((100, 80, 20, 0.3))
    cells = measured(field, find_cells(field, MASKS, DIAMETER))
    pg = with_units(cells, Calibration("um", pixel_um=0.5)).row(0, named=True)
    none = with_units(cells, Calibration("relative")).row(0, named=True)
    assert (pg["unit"], none["unit"]) == ("pg", "relative")
    assert pg["dry_mass"] == pytest.approx(none["dry_mass"] * 0.25 / 0.18) and none["dry_mass"] == cells["total"][0]
    assert pg["area_um2"] == none["area_um2"] / 4 == cells["area_px"][0] / 4
    assert (pg["x_um"], none["x_um"]) == pytest.approx((50.25, 100.5), abs=0.1)  # the middle of pixel 100 lies at 100.5 px


def test_a_cell_that_cannot_weigh_that_stays_without_its_mass_and_it_is_said():
    field = -domes((40, 50, 10, 0.3))
    outlines = Outlines.discs(np.array([[40.0, 50.0], [500.0, 500.0]]), np.array([8.0, 8.0]), np.array([4, 7]), field.shape)
    table = with_units(measure_cells(0, outlines, field, field, None), Calibration("relative")).sort("cell")
    assert table["reasons"].to_list() == ["a mass below zero", "a mass of zero; an area that is none"]
    assert table["dry_mass"].to_list() == [None, None] and table["x_um"][1] is None and table["total"][0] < 0
    assert table["x_um"][0] == pytest.approx(40.5, abs=0.2)  # without mass above zero the centre is the outline's


def test_settings_out_of_range_are_refused():
    for given_settings in ({"cell_um": 0}, {"threshold_sigmas": -1}, {"valley": 1.0}, {"smallest": -0.1}, {"cell_px": 1}):
        with pytest.raises(ValueError, match=next(iter(given_settings))):
            MaskSettings(**given_settings)


def test_real_cells_are_found_as_their_outlines_say(real_data):
    """Livecyte, MDA-MB-231, frames on which nothing was chosen; cells at the border aside, which nobody drew outlines of."""
    folder = real_data / "livecyte-phase-timelapse"
    frames = open_timelapse(folder / "05062019_B3_3_imagedata", interval_min=6)
    rois = open_outlines(folder / "05062019_B3_3_Phase.zip", frames)
    diameter, hits, found, drawn, ours, theirs = None, 0, 0, 0, [], []
    for frame in (120, 240, 480):
        stored = frames.read(frame)
        values = remove_background(stored, fit_background(stored))
        diameter = diameter or typical_diameter(values)
        cells, truth = find_cells(values, MaskSettings(), diameter), rois.read(frame)
        mine, its, _ = match_cells(cells, truth)
        hits, drawn = hits + len(mine), drawn + len(truth)
        found += len(mine) + int((~cells.at_border()[np.setdiff1d(np.arange(len(cells)), mine)]).sum())
        ours += cells.sums(values)[mine].tolist()
        theirs += truth.sums(values)[its].tolist()
    assert hits / found > 0.9 and hits / drawn > 0.9
    assert np.corrcoef(ours, theirs)[0, 1] > 0.95
    assert np.dot(ours, theirs) / np.dot(theirs, theirs) == pytest.approx(1, abs=0.05)
