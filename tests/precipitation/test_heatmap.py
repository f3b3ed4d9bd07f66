"""Laws of the heat-map: what spreads a map over pixels invents nothing and moves nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plate_assets.learning.catalogue import BACKBONES
from plate_assets.precipitation.heatmap import display_scale, gaussian_sigma, spread


@pytest.mark.parametrize("backbone", BACKBONES.values(), ids=list(BACKBONES))
def test_a_constant_map_stays_constant_up_to_the_border(backbone):
    wide = spread(np.full((1, backbone.map_px, backbone.map_px), 2.5), backbone, backbone.input_px)
    assert wide.shape == (1, backbone.input_px, backbone.input_px)
    assert wide == pytest.approx(2.5, rel=1e-5)


@given(st.integers(0, 27), st.integers(0, 27))
def test_one_bright_value_is_drawn_brightest_where_it_was_seen(row, col):
    backbone, maps = BACKBONES["cnn27"], np.zeros((1, 28, 28), np.float32)
    maps[0, row, col] = 1
    wide = spread(maps, backbone, 224)[0]
    at = np.array(np.unravel_index(wide.argmax(), wide.shape))
    assert np.abs(at - (np.array([row, col]) * 8 + 3.5)).max() <= 8
    assert wide.min() >= 0 and wide.max() <= 1 + 1e-6


def test_a_smaller_input_has_a_smaller_map_and_a_narrower_kernel():
    assert spread(np.ones((1, 14, 14)), BACKBONES["cnn27"], 112).shape == (1, 112, 112)
    assert gaussian_sigma(68, 112) == gaussian_sigma(68, 224) / 2 == 4
    assert gaussian_sigma(10) == pytest.approx(np.log10(5.5) + 0.25)


def test_the_colour_scale_ends_at_the_quantile_and_never_collapses():
    low, high = display_scale(np.array([np.nan, 0.0, *np.linspace(1, 2, 99)]))
    assert low == 0 and 1.9 < high < 2
    assert display_scale(np.full(5, 3.0)) == (3.0, 4.0) and display_scale(np.full(3, np.nan)) == (0.0, 1.0)
