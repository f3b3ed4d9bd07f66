"""From phase to mass: the sphere of A3.1, units, what is never pg, and what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plate_assets.dry_mass.phase import (
    ALPHA_UM3_PER_PG,
    Calibration,
    absolute_sphere_mass_pg,
    mass_pg,
    opd_um,
    sphere_mass_pg,
)

PIXEL_UM = 0.2


def sphere_opd(radius_um=10.0, contrast=0.015, pixel_um=PIXEL_UM):
    """(h, w) OPD in µm of a sphere: the contrast times the length of the ray within it."""
    side = int(2.4 * radius_um / pixel_um)
    y, x = (np.indices((side, side)) - side / 2 + 0.37) * pixel_um
    return 2 * contrast * np.sqrt(np.maximum(radius_um**2 - x**2 - y**2, 0))


def test_the_sphere_of_ten_micrometres_weighs_349_picograms():
    assert sphere_mass_pg(10.0, 0.015) == pytest.approx(349.07, abs=0.005)
    assert ALPHA_UM3_PER_PG == 0.18


def test_a_sampled_sphere_weighs_the_same_in_every_unit():
    opd = sphere_opd()
    whole = np.rint(opd * 1e3 / 0.05).astype(np.uint16)
    for frame, calibration in (
        (opd * 2 * math.pi / 0.55, Calibration("rad", pixel_um=PIXEL_UM, wavelength_nm=550)),
        (opd * 1e3, Calibration("nm", pixel_um=PIXEL_UM)),
        (opd, Calibration("um", pixel_um=PIXEL_UM)),
        (whole, Calibration("nm", factor=0.05, pixel_um=PIXEL_UM)),
    ):
        mass = calibration.mass(calibration.values(frame).sum(dtype=float))
        assert mass == pytest.approx(349.07, rel=2e-3)
        assert calibration.mass_unit == "pg"


def test_one_wavelength_of_phase_is_one_wavelength_of_path():
    assert opd_um(2 * math.pi, 550.0) == pytest.approx(0.55)


@given(st.floats(1, 1000), st.floats(0.1, 5), st.floats(0.1, 0.5), st.floats(1.1, 3))
def test_mass_grows_with_opd_and_area_and_falls_with_alpha(total, pixel_um, alpha, times):
    mass = mass_pg(total, pixel_um, alpha)
    assert mass == pytest.approx(total * pixel_um * pixel_um / alpha)
    assert mass_pg(total * times, pixel_um, alpha) == pytest.approx(mass * times)
    assert mass_pg(total, pixel_um * times, alpha) == pytest.approx(mass * times**2)
    assert mass_pg(total, pixel_um, alpha * times) == pytest.approx(mass / times)


def test_a_relative_mass_is_the_sum_of_values_and_no_picogram():
    calibration = Calibration("relative", pixel_um=0.5)
    assert calibration.mass(np.array([7.0, -2.0])).tolist() == [7.0, -2.0]
    assert calibration.mass_unit == "relative"
    assert Calibration("relative").length_um == 1.0


def test_the_absolute_mass_of_a_sphere_adds_what_a_dense_medium_hides():
    """m + 4π R³ (n_medium - 1.335) / 3α: nothing in buffer, and 349.07 pg more in a medium that is 0.015 denser."""
    assert absolute_sphere_mass_pg(100.0, 10.0, 1.335) == 100.0
    assert absolute_sphere_mass_pg(100.0, 10.0, 1.350) == pytest.approx(449.07, abs=0.01)
    calibration = Calibration("um", pixel_um=0.5, n_medium=1.350)
    area_px = np.array([math.pi * 20.0**2])  # 20 px of 0.5 µm are a radius of 10 µm
    assert calibration.mass(np.array([0.0]), area_px) == pytest.approx([349.07], abs=0.01)
    with pytest.raises(ValueError, match="areas_px"):
        calibration.mass(np.array([0.0]))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"unit": "rad", "pixel_um": 0.5}, "needs wavelength_nm"),
        ({"unit": "rad"}, "wavelength_nm and pixel_um"),
        ({"unit": "nm"}, "needs pixel_um: give it, or take the unit `relative`"),
        ({"unit": "grey"}, "none of rad, nm, um, relative"),
        ({"unit": "um", "pixel_um": 0.5, "factor": 0.0}, "factor is 0.0"),
        ({"unit": "rad", "pixel_um": 0.5, "wavelength_nm": 0.55}, "wavelength_nm is 0.55, and 100 to 20000 is plausible"),
        ({"unit": "um", "pixel_um": 5e-7}, "pixel_um is 5e-07"),
        ({"unit": "um", "pixel_um": 0.5, "alpha_um3_per_pg": 180.0}, "alpha_um3_per_pg is 180.0"),
        ({"unit": "um", "pixel_um": 0.5, "n_medium": 0.4}, "refractive index"),
    ],
)
def test_what_lacks_or_is_of_another_unit_is_said(given, said):
    with pytest.raises(ValueError, match=said):
        Calibration(**given)
