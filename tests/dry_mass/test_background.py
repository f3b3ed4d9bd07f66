"""The background: found however much cells cover, taken off without them, and reported."""

from functools import cache

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from plate_assets.dry_mass.background import fit_background, remove_background

SIDE = 384


@cache
def field(cells, noise=0.01, seed=1, tilt=(0.3, -0.2), curve=0.0, side=SIDE):
    """(h, w) cells as domes of OPD, and the surface they stand on: frame, cells, surface."""
    random = np.random.default_rng(seed)
    domes = np.zeros((side + 60, side + 60))
    y, x = np.indices((31, 31)) - 15
    for _ in range(cells):
        radius, left, top = random.uniform(9, 15), *(int(at) for at in random.uniform(15, side + 15, 2))
        dome = 0.2 * random.uniform(0.6, 1.2) * np.sqrt(np.maximum(radius**2 - x**2 - y**2, 0)) / radius
        seen = domes[top : top + 31, left : left + 31]
        np.maximum(seen, dome, out=seen)
    domes = domes[30:-30, 30:-30]
    right, down = np.linspace(-1, 1, side)[None], np.linspace(-1, 1, side)[:, None]
    surface = 0.7 + tilt[0] * right + tilt[1] * down + curve * (right**2 - down**2)
    return (domes + surface + random.normal(0, noise, domes.shape)).astype(np.float32), domes, surface


@pytest.mark.parametrize("profile", ["tilt", "poly2"])
@pytest.mark.parametrize(("cells", "covered"), [(0, 0.0), (60, 0.15), (250, 0.5), (500, 0.75), (700, 0.87)])
def test_cells_that_cover_most_of_the_field_are_not_eaten(profile, cells, covered):
    frame, domes, surface = field(cells, curve=0.1 if profile == "poly2" else 0.0)
    assert (domes > 0).mean() >= covered
    background = fit_background(frame, profile)
    assert np.abs(background.surface(frame.shape) - surface).max() < 0.5 * 0.01
    assert background.noise == pytest.approx(0.01, rel=0.3)
    assert background.problem == ""


def test_what_was_removed_is_reported():
    background = fit_background(field(40)[0])
    assert background.offset == pytest.approx(0.7, abs=0.002)
    assert background.tilt == pytest.approx((0.6, -0.4), abs=0.003)
    assert 0.4 < background.share < 1


def test_flat_noise_stays_as_it_is():
    noise = np.random.default_rng(0).normal(5, 0.3, (256, 300)).astype(np.float32)
    flat = remove_background(noise, fit_background(noise))
    assert flat.std() == pytest.approx(0.3, rel=0.01) and abs(flat.mean()) < 0.01
    assert np.corrcoef(flat.ravel(), noise.ravel())[0, 1] > 0.999


@settings(max_examples=10)
@given(st.floats(-50, 50), st.floats(-1, 1), st.floats(-1, 1), st.floats(0.01, 100))
def test_a_plane_and_a_factor_more_change_nothing_but_themselves(offset, right, down, factor):
    frame = field(150)[0].astype(float)
    plane = offset + right * np.linspace(-1, 1, SIDE)[None] + down * np.linspace(-1, 1, SIDE)[:, None]
    before = remove_background(frame, fit_background(frame))
    after = remove_background(factor * (frame + plane), fit_background(factor * (frame + plane)))
    assert np.abs(after / factor - before).max() < 0.002


def test_the_sum_over_a_cell_is_right_on_a_tilted_noisy_field():
    random = np.random.default_rng(4)
    y, x = np.indices((300, 300))
    dome = 0.3 * np.sqrt(np.maximum(30.0**2 - (x - 150) ** 2 - (y - 120) ** 2, 0)) / 30
    frame = dome + 2 + 0.004 * x - 0.002 * y + random.normal(0, 0.02, dome.shape)
    flat = remove_background(frame, fit_background(frame))
    assert flat[dome > 0].sum() == pytest.approx(dome.sum(), rel=0.01)


def test_whole_numbers_and_a_background_of_one_value_are_background():
    frame = np.random.default_rng(0).poisson(3, (200, 200)).astype(np.uint8)
    frame[50:90, 50:90] = 255
    background = fit_background(frame)
    assert background.offset == pytest.approx(3, abs=0.3) and background.noise == pytest.approx(3**0.5, rel=0.2)
    empty = np.full((64, 64), 7, np.uint16)
    empty[10:20, 10:20] = 900
    assert fit_background(empty).offset == pytest.approx(7, abs=0.1)


def test_qpimages_tilted_noise_gives_its_tilt():
    """The field of qpimage's own test: a plane of 0.6 and -0.8 under even noise of one, 50 px a side."""
    plane = np.repeat(np.linspace(0, 1, 50), 50).reshape(50, 50)
    plane = 0.6 * plane - 0.8 * plane.T + 0.2
    frame = np.random.RandomState(47).rand(50, 50) - 0.5 + plane
    assert fit_background(frame).surface(frame.shape) == pytest.approx(plane, abs=0.05)


def test_no_profile_removes_nothing_and_an_offset_only_the_offset():
    frame = field(40)[0]
    assert (remove_background(frame, fit_background(frame, "none")) == frame).all()
    offset = fit_background(frame - field(0, noise=0)[0] + 3, "offset")
    assert offset.surface((5, 5)) == pytest.approx(np.full((5, 5), 3.0), abs=0.01)


def test_a_background_on_one_side_only_gives_no_tilt_and_says_so():
    domes = field(2500)[1].copy()
    domes[:, :20] = 0
    background = fit_background(domes + np.random.default_rng(0).normal(0, 0.002, domes.shape))
    assert "only its offset was removed" in background.problem
    assert background.tilt == (0.0, 0.0)


def test_a_field_full_of_cells_says_that_its_background_is_a_guess():
    frame, domes, _ = field(2500, noise=0.002)
    assert (domes > 0).mean() > 0.99
    assert fit_background(frame).problem != ""


def test_what_is_no_frame_is_refused():
    with pytest.raises(ValueError, match="none of none, offset, tilt, poly2"):
        fit_background(np.zeros((9, 9)), "cubic")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="rows, columns"):
        fit_background(np.zeros(9))
    with pytest.raises(ValueError, match="not finite"):
        fit_background(np.full((9, 9), np.nan))


def test_a_real_frame_is_flat_behind_its_background(real_data):
    folder = real_data / "livecyte-phase-timelapse" / "05062019_B3_3_imagedata"
    frame = tifffile.imread(sorted(folder.glob("*.tif*"))[240])
    background = fit_background(frame)
    assert background.problem == "" and 0.7 < background.share < 0.95
    assert 2 < background.offset < 4 and 1.2 < background.noise < 2.2  # its grey is 0 to 8 where nothing is
    assert abs(np.median(remove_background(frame, background))) < 0.5
