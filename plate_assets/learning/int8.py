"""A trained network in 8-bit integers: half the bytes of bfloat16, and twice its products on processors with VNNI.

Belongs here: the ranges that activations are seen to take, and the network rewritten in integers. Not here: whether its scores
are good enough (`workflows.precipitation.precision`), batches (`infer`).

Activations are uint8 with a scale and a zero point for each place of the network (Jacob et al. 2018, eq. 1), weights int8 with
a scale for each output channel, products are summed in 32 bits. A convolution takes a following ReLU, and the sum of a residual
block, along in one pass. What has no integer form (means, products of activations) runs in float32 between the two.

The sums of products are exact. What follows them (scale, bias, residual sum) is float32, and each kernel of oneDNN (AMX, VNNI,
AVX2) takes these steps in a way of its own: near a half the next level comes out, and the layers behind spread it. So two
kernels agree as closely as 8 bits do with float32, no closer, and only batches of one shape surely run in the same ones.
"""

import copy
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

Ranges = Mapping[str, Sequence[float]]  # smallest and largest of each value of the network, by its name in the traced graph

_LEVELS = 255
_GOLDEN = (math.sqrt(5) - 1) / 2
# Of the observed range, what the sums of residual blocks keep, each another share. With one and the same step all along, what
# a block adds below half of it is lost in every block alike; with steps that differ the rounding errors are independent.
SUM_SHARES = 0.6, 0.9
_SUMS = (operator.add, operator.iadd, torch.add)
_RELUS = (functional.relu, torch.relu, "relu", "relu_")
_INT8: Any = torch.ops.onednn


class Int8Error(ValueError):
    """Ranges that are not those of the network, or of a network that computes no numbers; the message says where."""


class Form(NamedTuple):
    """How the uint8 values of an activation are read: scale · (value - zero)."""

    scale: float
    zero: int

    @classmethod
    def of(cls, low: float, high: float) -> "Form":
        """The finest form that holds the range, and zero exactly: padding is zero."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = max((high - low) / _LEVELS, 1e-12)
        return cls(scale, round(-low / scale))


def observed_ranges(network: nn.Module, batches: Iterable[Tensor]) -> dict[str, tuple[float, float]]:
    """The smallest and largest value of every activation over batches of inputs (n, c, h, w), prepared as for scoring.

    Raises Int8Error where one is not finite.
    """
    observer = _Observer(_traced(network))
    with torch.inference_mode():
        for batch in batches:
            observer.run(batch)
    if broken := [name for name, ends in observer.ranges.items() if not np.isfinite(ends).all()]:
        raise Int8Error(f"the network's value {broken[0]} is not finite: train it with a lower learning rate")
    return observer.ranges


def quantised(network: nn.Module, ranges: Ranges, shape: Sequence[int]) -> nn.Module:
    """The network (batch norm folded, see `infer.prepared`) in integers: float32 in and out, channels last.

    ranges: as `observed_ranges` gave them of the same network; shape: (n, c, h, w) of most batches: weights are laid out for
    it, and batches of another shape take longer. Raises Int8Error where a range is missing.
    """
    traced = _traced(network)
    lowered = _Lowering(traced, ranges, _shapes(traced, shape)).graph()
    return fx.GraphModule(traced, lowered).eval()


def _traced(network: nn.Module) -> fx.GraphModule:
    """The network as a graph, without the modules that do nothing at inference: folded batch norms, dropout."""
    traced = fx.symbolic_trace(network)
    idle = {name for name, module in traced.named_modules() if isinstance(module, nn.Identity | nn.Dropout)}
    for node in list(traced.graph.nodes):
        if node.op == "call_module" and node.target in idle:
            node.replace_all_uses_with(node.args[0])
            traced.graph.erase_node(node)
    traced.recompile()
    return traced


def _shapes(traced: fx.GraphModule, shape: Sequence[int]) -> dict[str, list[int]]:
    """The shape of every value for a batch of this shape; nothing is computed."""
    found: dict[str, list[int]] = {}

    class Shapes(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            value = super().run_node(n)
            found[n.name] = list(value.shape) if isinstance(value, Tensor) else []
            return value

    Shapes(copy.deepcopy(traced).to("meta")).run(torch.empty(tuple(shape), device="meta"))
    return found


class _Observer(fx.Interpreter):
    """Runs the network and keeps the range of each value."""

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.ranges: dict[str, tuple[float, float]] = {}

    def run_node(self, n: fx.Node) -> Any:
        found = super().run_node(n)
        if isinstance(found, Tensor) and n.op != "output":
            low, high = (float(value) for value in found.aminmax())
            before = self.ranges.get(n.name, (low, high))
            self.ranges[n.name] = min(low, before[0]), max(high, before[1])
        return found


class _Lowering:
    """Builds the integer graph node by node. Every value has a float form, an integer form, or both once they are asked for."""

    def __init__(self, traced: fx.GraphModule, ranges: Ranges, shapes: Mapping[str, list[int]]) -> None:
        self.traced, self.ranges, self.shapes = traced, ranges, shapes
        self.modules = dict(traced.named_modules())
        self.order = {node: at for at, node in enumerate(traced.graph.nodes)}
        self.new = fx.Graph()
        self.floats: dict[fx.Node, fx.Node] = {}
        self.integers: dict[fx.Node, tuple[fx.Node, Form]] = {}
        self.sums = 0  # residual sums so far
        self.fused: set[fx.Node] = set()  # nodes that an earlier one has taken along

    def graph(self) -> fx.Graph:
        for node in self.traced.graph.nodes:
            if node in self.fused:
                continue
            if self._module(node, nn.Conv2d):
                self._convolution(node)
            elif self._is_plain_pool(node) and node.args[0] in self.integers:
                pool = self.modules[node.target]
                sides = [_pair(side) for side in (pool.kernel_size, pool.stride, pool.padding)]
                self._kept(node, lambda value, sides=sides: self.new.call_function(max_pooled, (value, *sides)))
            elif self._is_relu(node) and node.args[0] in self.integers:
                zero = self.integers[node.args[0]][1].zero
                self._kept(node, lambda value, zero=zero: self.new.call_method("clamp", (value,), {"min": zero}))
            elif node.target is torch.cat and all(part in self.integers for part in node.args[0]):
                form = self._form(node)
                parts = [self._as_integers(part, form) for part in node.args[0]]
                self.integers[node] = self.new.call_function(torch.cat, (parts, *node.args[1:]), dict(node.kwargs)), form
            else:
                self.floats[node] = self.new.node_copy(node, self._as_float)
        return self.new

    def _module(self, node: fx.Node, kind: type) -> bool:
        return node.op == "call_module" and isinstance(self.modules[node.target], kind)  # pyright: ignore[reportArgumentType]

    def _is_relu(self, node: fx.Node) -> bool:
        return self._module(node, nn.ReLU) or (node.op in ("call_function", "call_method") and node.target in _RELUS)

    def _is_plain_pool(self, node: fx.Node) -> bool:
        pool = self.modules.get(str(node.target))
        return isinstance(pool, nn.MaxPool2d) and not pool.ceil_mode and _pair(pool.dilation) == (1, 1)

    def _form(self, node: fx.Node) -> Form:
        if node.name not in self.ranges:
            raise Int8Error(f"the network has a value {node.name}, and no range of it was kept: choose the precision again")
        return Form.of(*self.ranges[node.name])

    def _sum_form(self, node: fx.Node) -> Form:
        """The form of a sum, each with a step of its own: see SUM_SHARES."""
        low, high = SUM_SHARES
        share = low + (high - low) * (self.sums * _GOLDEN % 1)
        self.sums += 1
        form = self._form(node)
        return form._replace(scale=form.scale * share)

    def _only_user(self, node: fx.Node) -> fx.Node | None:
        return next(iter(node.users)) if len(node.users) == 1 else None

    def _kept(self, node: fx.Node, work: Any) -> None:
        """A node that gives the integers of its input other places, or raises them: the form stays."""
        value, form = self.integers[node.args[0]]  # pyright: ignore[reportArgumentType]
        self.integers[node] = work(value), form

    def _convolution(self, node: fx.Node) -> None:
        """One call for the convolution, the sum with a value that is there already, and the ReLU behind them."""
        convolution: Any = self.modules[node.target]  # pyright: ignore[reportArgumentType]
        source: Any = node.args[0]
        value, form = self._as_integers(source, None), self.integers[source][1]
        last, other = node, None
        after = self._only_user(node)
        if after is not None and after.target in _SUMS and len(after.args) == 2:
            other = self._summand(node, after)
            last = after if other is not None else node
        after = self._only_user(last)
        relu = after is not None and self._is_relu(after)
        last = after if relu and after is not None else last
        self.fused |= {n for n in self._between(node, last) if n is not node}
        packed = self._packed(convolution, form, node.name, self.shapes[source.name])
        shape = [list(side) for side in (convolution.stride, convolution.padding, convolution.dilation)]
        head = (value, form.scale, form.zero, *packed[:3])
        if other is not None:
            accumulated, sum_form = self.integers[other]
            out = self._sum_form(last)
            args = (
                *head, accumulated, packed[3], *shape, convolution.groups, out.scale, out.zero, torch.uint8,
                sum_form.scale, sum_form.zero, "sum", 1.0, "relu" if relu else "none", [], "",
            )  # fmt: skip
            self.integers[last] = self.new.call_function(_INT8.qconv2d_pointwise.binary, args), out
            return
        tail = ("relu" if relu else "none", [], "")
        if self._wants_integers(last):
            out = self._form(self._sink(last))
            args = (*head, packed[3], *shape, convolution.groups, out.scale, out.zero, torch.uint8, *tail)
            self.integers[last] = self.new.call_function(_INT8.qconv2d_pointwise.default, args), out
        else:
            args = (*head, packed[3], *shape, convolution.groups, 1.0, 0, torch.float32, *tail)
            self.floats[last] = self.new.call_function(_INT8.qconv2d_pointwise.default, args)

    def _summand(self, node: fx.Node, total: fx.Node) -> fx.Node | None:
        """The other value of a sum, where it has integers that nobody reads later: the sum is written over them."""
        others = [arg for arg in total.args if arg is not node]
        if len(others) != 1 or others[0] not in self.integers:
            return None
        other: Any = others[0]
        return other if all(self.order[user] <= self.order[total] for user in other.users) else None

    def _between(self, first: fx.Node, last: fx.Node) -> list[fx.Node]:
        found = [first]
        while found[-1] is not last:
            found.append(next(iter(found[-1].users)))
        return found

    def _wants_integers(self, node: fx.Node) -> bool:
        """Whether a node that computes in integers reads this one."""
        return any(
            self._module(user, nn.Conv2d) or self._is_plain_pool(user) or user.target in (torch.cat, *_SUMS)
            or self._is_relu(user)
            for user in node.users
        )  # fmt: skip

    def _sink(self, node: fx.Node) -> fx.Node:
        """Whose range a value is written in: that of a concatenation where it only goes there, so that no part is rescaled."""
        after = self._only_user(node)
        return after if after is not None and after.target is torch.cat else node

    def _packed(
        self, convolution: nn.Conv2d, form: Form, name: str, shape: list[int]
    ) -> tuple[fx.Node, fx.Node, fx.Node, fx.Node | None]:
        """Weights as int8, their scales and zero points, and the bias, as attributes of the new module; shape: of the input."""
        weight = convolution.weight.detach().float()
        most = 63 if pairs_overflow() else 127
        scales = weight.abs().amax(dim=(1, 2, 3)).clamp_min(1e-12) / most
        integers = (weight / scales[:, None, None, None]).round().clamp(-most, most).to(torch.int8)
        sides = [list(side) for side in (convolution.stride, convolution.padding, convolution.dilation)]
        kept = {
            "weight": _INT8.qconv_prepack(integers, scales, form.scale, form.zero, *sides, convolution.groups, shape),
            "scales": scales,
            "zeros": torch.zeros(len(scales), dtype=torch.int32),
            "bias": None if convolution.bias is None else convolution.bias.detach().float(),
        }
        attributes = []
        for part, value in kept.items():
            if value is not None:
                setattr(self.traced, f"{name}_int8_{part}", value)
            attributes.append(self.new.get_attr(f"{name}_int8_{part}") if value is not None else None)
        return tuple(attributes)

    def _as_integers(self, node: fx.Node, wanted: Form | None) -> fx.Node:
        """The integer form of a value; in the form that is wanted, where one is."""
        if node in self.integers and wanted in (None, self.integers[node][1]):
            return self.integers[node][0]
        form = wanted or self._form(node)
        found = self.new.call_function(to_integers, (self._as_float(node), form.scale, form.zero))
        if node not in self.integers:
            self.integers[node] = found, form
        return found

    def _as_float(self, node: fx.Node) -> fx.Node:
        if node not in self.floats:
            value, form = self.integers[node]
            self.floats[node] = self.new.call_function(to_floats, (value, form.scale, form.zero))
        return self.floats[node]


@cache
def pairs_overflow() -> bool:
    """Whether two products of large values are cut off where they are summed: without VNNI that is done in 16 bits.

    Tried, not read from the processor's name: ONEDNN_MAX_CPU_ISA hides what it has. Weights of 7 bits never overflow there.
    """
    weight, scales = torch.full((16, 16, 1, 1), 127, dtype=torch.int8), torch.ones(16)
    packed = _INT8.qconv_prepack(weight, scales, 1.0, 0, [1, 1], [0, 0], [1, 1], 1, [1, 16, 8, 8])
    values = torch.full((1, 16, 8, 8), _LEVELS, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    zeros, shape = torch.zeros(16, dtype=torch.int32), ([1, 1], [0, 0], [1, 1], 1)
    found = _INT8.qconv2d_pointwise(values, 1.0, 0, packed, scales, zeros, None, *shape, 1.0, 0, torch.float32, "none", [], "")
    return bool((found != 16 * 127 * _LEVELS).any())


def to_integers(values: Tensor, scale: float, zero: int) -> Tensor:
    """uint8 of a float tensor; what lies outside the form's range takes its end."""
    return torch.mul(values, 1 / scale).add_(zero).round_().clamp_(0, _LEVELS).to(torch.uint8)


def to_floats(values: Tensor, scale: float, zero: int) -> Tensor:
    """float32 of uint8 values."""
    return values.float().sub_(zero).mul_(scale)


def max_pooled(values: Tensor, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]) -> Tensor:
    """The maximum over windows of uint8 (n, c, h, w), first down, then across: torch's own takes no large uint8 images."""
    values = functional.pad(values, (padding[1], padding[1], padding[0], padding[0]))
    for dim in (2, 3):
        size, step = kernel[dim - 2], stride[dim - 2]
        n = (values.shape[dim] - size) // step + 1
        parts = [values.narrow(dim, at, (n - 1) * step + 1) for at in range(size)]
        parts = [part[:, :, ::step] if dim == 2 else part[:, :, :, ::step] for part in parts]
        values = parts[0]
        for part in parts[1:]:
            values = torch.maximum(values, part)
    return values


def _pair(side: Any) -> tuple[int, int]:
    return (side, side) if isinstance(side, int) else (side[0], side[1])
