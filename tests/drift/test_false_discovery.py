"""Many tests a night: what is named, and what could never be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from plate_assets.drift.false_discovery import adjusted, fewest_at_floor

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(P_VALUES)
def test_adjusted_values_are_those_of_scipy(p_values):
    assert adjusted(np.array(p_values)) == pytest.approx(false_discovery_control(p_values, method="bh"))
    assert adjusted(np.array(p_values), "benjamini_yekutieli") == pytest.approx(false_discovery_control(p_values, method="by"))


@given(P_VALUES, st.integers(1, 5))
def test_tests_that_were_not_made_do_not_count(p_values, absent):
    some = adjusted(np.array([*p_values, *[np.nan] * absent]))
    assert np.isnan(some[len(p_values) :]).all() and some[: len(p_values)] == pytest.approx(adjusted(np.array(p_values)))


@given(st.integers(1, 60), st.integers(1, 500), st.sampled_from(["benjamini_hochberg", "benjamini_yekutieli"]))
def test_the_fewest_at_the_floor_are_just_enough_to_be_named(tests, plates, method):
    floor = 1 / (1 + plates)
    fewest = fewest_at_floor(tests, floor, 0.05, method)

    def named(at_floor):
        return (adjusted(np.array([floor] * at_floor + [1.0] * (tests - at_floor)), method)[:at_floor] <= 0.05 + 1e-12).all()

    if fewest is None:
        assert not named(tests)
    else:
        assert named(fewest) and (fewest == 1 or not named(fewest - 1))


def test_independent_nights_keep_the_rate():
    rng = np.random.default_rng(0)
    nights = rng.random((2000, 20))
    nights[:, :5] = rng.beta(0.05, 1, (2000, 5))
    named = np.stack([adjusted(night) <= 0.1 for night in nights])
    share = named[:, 5:].sum(axis=1) / np.maximum(1, named.sum(axis=1))
    assert share.mean() == pytest.approx(0.1 * 15 / 20, abs=0.012)


def test_what_is_no_p_value_and_no_method_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        adjusted(np.array([0.2, 1.2]))
    with pytest.raises(ValueError, match="is no method"):
        adjusted(np.array([0.2]), "bonferroni")
