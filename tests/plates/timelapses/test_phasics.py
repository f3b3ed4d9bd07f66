"""Phasics' own scale and clock."""

import numpy as np
import pytest

from plate_assets.plates.timelapses.phasics import phasics_opd_nm, phasics_settings


def test_phasics_pages_span_their_lowest_to_their_highest_wavelength():
    opd = phasics_opd_nm(np.array([[0, 65535]], np.uint16), 0.25, 1.25, 65535, 550.0)
    assert opd.dtype == np.float32 and opd.tolist() == [[137.5, 687.5]]
    assert phasics_opd_nm(np.array([[3]], np.uint16), 4.0, 4.0, 0, None).tolist() == [[4.0]]  # a flat page says no samples


def test_phasics_settings_tell_wavelength_and_time_and_none_where_they_do_not():
    text = "<Name>Lambda(nm)</Name>\r\n<Val>550,5</Val><Name>Date &amp; Heure</Name>\r\n<Val>1970-01-02_01h30m36s.50000</Val>"
    assert phasics_settings(text) == (550.5, pytest.approx(25.51013888))
    assert phasics_settings("<Name>Z(mm)</Name><Val>2</Val>") == (None, None)
