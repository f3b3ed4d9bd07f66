"""A network in integers says what it said in floats, up to the rounding that its ranges allow."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from plate_assets.learning.backbones import build_trunk
from plate_assets.learning.catalogue import BACKBONES
from plate_assets.learning.infer import prepared
from plate_assets.learning.int8 import (
    Form,
    Int8Error,
    max_pooled,
    observed_ranges,
    pairs_overflow,
    quantised,
    to_floats,
    to_integers,
)


def images(n: int, side: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 1, side, side, generator=generator).contiguous(memory_format=torch.channels_last)


def in_integers(network: nn.Module, seen: torch.Tensor) -> nn.Module:
    exact = prepared(network)
    return prepared(network, "int8", observed_ranges(exact, [seen]), seen.shape)


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_gives_nearly_the_same_map_in_integers(name):
    """The bound is no processor's rounding: 8 bits leave 0.995 and more, and where sums overflowed xception came to 0.83."""
    torch.manual_seed(0)
    trunk, seen = build_trunk(name).eval(), images(2, 107)
    for norm in (module for module in trunk.modules() if isinstance(module, nn.BatchNorm2d)):
        nn.init.ones_(norm.weight)  # residual branches begin at zero: as trained ones, they add to their shortcuts
    with torch.inference_mode():
        exact, integers = prepared(trunk)(seen), in_integers(trunk, seen)
        quick = integers(seen)
    assert quick.shape == exact.shape and quick.dtype == torch.float32
    assert np.corrcoef(exact.flatten(), quick.flatten())[0, 1] > 0.95


def test_a_convolution_is_the_float_one_of_rounded_values():
    torch.manual_seed(0)
    convolution, seen = nn.Conv2d(1, 8, 3, stride=2, padding=1), images(2, 33)
    ranges = observed_ranges(prepared(nn.Sequential(convolution)), [seen])
    form = Form.of(*ranges["input_1"])
    scales = convolution.weight.abs().amax(dim=(1, 2, 3), keepdim=True) / (63 if pairs_overflow() else 127)
    rounded = to_floats(to_integers(seen, *form), *form)
    with torch.inference_mode():
        expected = nn.functional.conv2d(rounded, (convolution.weight / scales).round() * scales, convolution.bias, 2, 1)
        found = quantised(prepared(nn.Sequential(convolution)), ranges, seen.shape)(seen)
    assert torch.allclose(found, expected, atol=1e-5)


def test_products_of_the_largest_values_are_not_cut_off_where_they_are_summed():
    convolution, seen = nn.Conv2d(16, 16, 1, bias=False), torch.ones(1, 16, 8, 8).contiguous(memory_format=torch.channels_last)
    nn.init.ones_(convolution.weight)
    with torch.inference_mode():
        found = in_integers(nn.Sequential(convolution), seen)(seen)
    assert torch.allclose(found, torch.full_like(found, 16.0), rtol=1e-3)


class Residual(nn.Module):
    """A sum that two branches read: the one with the ReLU may not be written over before the other has read it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.left, self.right = (nn.Conv2d(n, 8, 3, padding=1) for n in (1, 8, 8))
        self.last = nn.Conv2d(8, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        total = torch.relu(self.left(x) + x)
        return self.last(torch.cat([total, x], 1)[:, :8] + self.right(total))


def test_a_value_that_is_read_again_survives_the_sum_that_is_written_over_another():
    torch.manual_seed(0)
    network, seen = Residual(), images(2, 24)
    with torch.inference_mode():
        exact, quick = network(seen), in_integers(network, seen)(seen)
    assert float((exact - quick).std()) < 0.02 * float(exact.std())


class ManySmallSums(nn.Module):
    """Blocks that each add to a wide stream less than half a step of its range in 8 bits."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 16, 3, padding=1)
        self.branches = nn.ModuleList([nn.Conv2d(16, 16, 3, padding=1) for _ in range(blocks)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        for branch in self.branches:
            x = torch.relu(branch(x) + x)
        return x


def test_small_sums_add_up_over_many_blocks():
    torch.manual_seed(0)
    network, seen = ManySmallSums(24), images(4, 24)
    with torch.no_grad():
        for branch in network.branches:
            branch.weight.mul_(0.0002).abs_()
    seen[:, :, ::12, ::12] *= 40  # as in an image that is rich in anomalies: the range is theirs
    with torch.inference_mode():
        begun = torch.relu(network.first(seen))
        exact, quick = network(seen), in_integers(network, seen)(seen)
    assert float((quick - begun).mean() / (exact - begun).mean()) == pytest.approx(1, abs=0.1)


@given(low=st.floats(-1e3, 1e3), high=st.floats(-1e3, 1e3), share=st.floats(0, 1))
def test_values_within_a_range_come_back_to_half_a_step_and_zero_exactly(low, high, share):
    low, high = min(low, high), max(low, high)
    form = Form.of(low, high)
    values = torch.tensor([low + share * (high - low), 0.0])
    back = to_floats(to_integers(values, *form), *form)
    assert 0 <= form.zero <= 255 and float(back[1]) == 0.0
    assert abs(float(back[0] - values[0])) <= form.scale * 1.01 + 1e-3 * abs(form.scale)


@settings(max_examples=30)
@given(st.integers(1, 3), st.integers(1, 2), st.integers(4, 17))
def test_pooled_integers_are_torchs_pooled_floats(size, stride, side):
    values = torch.from_numpy(np.random.default_rng(side).integers(0, 256, (2, 3, side, side), dtype=np.uint8))
    padding = size // 2
    expected = nn.functional.max_pool2d(values.float(), size, stride, padding)
    assert torch.equal(max_pooled(values, (size, size), (stride, stride), (padding, padding)).float(), expected)


def test_ranges_of_another_network_are_refused():
    with pytest.raises(Int8Error, match="no range"):
        quantised(nn.Sequential(nn.Conv2d(1, 1, 3)), {}, (1, 1, 8, 8))
