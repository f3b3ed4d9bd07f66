"""FCDD's equations against numpy written by hand, at the places where floating point would betray them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plate_assets.precipitation.fcdd import FCDD, fcdd_loss, pseudo_huber, reduce_map

values = st.floats(-50, 50, allow_nan=False)


@given(st.lists(values, min_size=4, max_size=4))
def test_pseudo_huber_is_equation_7(raw):
    z = np.array(raw)
    found = pseudo_huber(torch.tensor(raw, dtype=torch.float32)).numpy()
    assert found == pytest.approx(np.sqrt(z**2 + 1) - 1, rel=1e-5, abs=1e-6)


def test_pseudo_huber_keeps_small_values_that_the_printed_form_loses():
    assert float(pseudo_huber(torch.tensor(1e-4))) == pytest.approx(5e-9, rel=1e-3)


@given(st.lists(st.lists(values, min_size=4, max_size=4), min_size=2, max_size=5), st.randoms())
def test_the_loss_is_equation_8_with_the_sum_over_both_terms(maps, random):
    anomalous = np.array([random.random() < 0.5 for _ in maps], dtype=np.float32)
    h = np.maximum((np.sqrt(np.array(maps) ** 2 + 1) - 1).mean(1), 1e-6)
    exact = ((1 - anomalous) * h - anomalous * np.log(-np.expm1(-h))).mean()
    found = fcdd_loss(torch.tensor(maps).reshape(-1, 2, 2), torch.from_numpy(anomalous))
    assert float(found) == pytest.approx(exact, rel=1e-3, abs=2e-5)


def test_where_the_anomaly_is_known_its_place_is_pushed_up_and_the_rest_down_but_for_its_neighbours():
    raw = torch.ones(2, 6, 6, requires_grad=True)
    marks = torch.zeros(1, 48, 48)
    marks[0, 18, 18] = 1  # the place (2, 2) of the map
    fcdd_loss(raw, torch.tensor([0.0, 1.0]), marks).backward()
    push = -torch.sign(raw.grad)
    expected = -torch.ones(6, 6)
    expected[1:4, 1:4] = 0
    expected[2, 2] = 1
    assert torch.equal(push[1], expected) and torch.equal(push[0], -torch.ones(6, 6))


def test_a_loss_by_the_largest_values_moves_no_other():
    raw = torch.linspace(0.1, 1, 32).reshape(2, 4, 4).requires_grad_()
    fcdd_loss(raw, torch.tensor([0.0, 1.0]), reduction="topk").backward()
    assert (raw.grad != 0).flatten(1).sum(1).tolist() == [1, 1]


def test_a_network_that_starts_one_sided_has_a_positive_map():
    torch.manual_seed(0)
    network = FCDD("cnn27").start_one_sided()
    assert (network(torch.randn(4, 1, 64, 64)) > 0).all()


def test_a_flat_map_called_anomalous_gives_a_finite_loss_and_gradient():
    raw = torch.zeros(1, 3, 3, requires_grad=True)
    loss = fcdd_loss(raw, torch.ones(1))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(raw.grad).all()


def test_reductions_agree_where_they_must():
    maps = torch.arange(8.0).reshape(2, 2, 2)
    assert reduce_map(maps, "sum").tolist() == [6, 22] and reduce_map(maps, "mean").tolist() == [1.5, 5.5]
    assert reduce_map(maps, "max").tolist() == reduce_map(maps, "topk").tolist() == [3, 7]


def test_the_network_gives_one_value_for_each_place_of_the_map():
    assert FCDD("cnn27")(torch.zeros(2, 1, 224, 224)).shape == (2, 28, 28)
