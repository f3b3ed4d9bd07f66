"""Backbones are what the catalogue says of them, and pretrained weights come in safely or not at all."""

import functools
import http.server
import os
import pickle
import threading

import pytest
import torch
from safetensors.torch import save_file

from plate_assets.learning.backbones import (
    WeightsError,
    build_trunk,
    fill_trunk,
    freeze,
    read_pretrained,
    receptive_field,
    stages,
)
from plate_assets.learning.catalogue import BACKBONES, UnknownBackbone, backbone_named


@pytest.mark.parametrize("backbone", BACKBONES.values(), ids=list(BACKBONES))
def test_a_trunk_has_the_map_and_the_channels_that_the_catalogue_says(backbone):
    trunk = build_trunk(backbone.name).eval()
    with torch.inference_mode():
        found = trunk(torch.zeros(1, 1, backbone.input_px, backbone.input_px))
    assert found.shape == (1, backbone.channels, backbone.map_px, backbone.map_px)


@pytest.mark.parametrize("name", ["cnn27", "vgg16"])
def test_the_receptive_field_is_the_measured_one(name):
    backbone = backbone_named(name)
    assert receptive_field(build_trunk(name), 1, 400) == (backbone.receptive_px, backbone.stride_px)


def test_a_residual_network_begins_as_its_shortcuts_and_every_branch_learns_from_the_first_steps():
    torch.manual_seed(0)
    trunk = build_trunk("resnet101").train()
    branches = [module for name, module in trunk.named_modules() if name.endswith(".body")]
    added: list[float] = []
    for branch in branches:
        branch.register_forward_hook(lambda _branch, _given, out: added.append(float(out.detach().abs().max())))
    trunk(torch.randn(2, 1, 64, 64)).square().mean().backward()
    assert len(branches) == 3 + 4 + 23
    assert added == [0.0] * len(branches)
    assert all(branch.conv3.bn.weight.grad.abs().max() > 0 for branch in branches)


def test_freezing_holds_the_first_stages_only():
    trunk = build_trunk("cnn27")
    freeze(trunk, 2)
    held = [not any(parameter.requires_grad for parameter in stage.parameters()) for stage in stages(trunk)]
    assert held == [True, True, False, False]


def test_an_unknown_backbone_is_refused_with_those_that_are():
    with pytest.raises(UnknownBackbone, match="cnn27, vgg16"):
        build_trunk("alexnet")


@pytest.fixture
def state():
    torch.manual_seed(1)
    return build_trunk("cnn27").state_dict()


def test_weights_come_from_a_folder_a_file_or_an_address(tmp_path, state, monkeypatch):
    save_file(state, tmp_path / "cnn27.safetensors")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        places = [str(tmp_path), str(tmp_path / "cnn27.safetensors"), f"http://127.0.0.1:{server.server_port}"]
        for place in places:
            trunk = build_trunk("cnn27")
            fill_trunk(trunk, "cnn27", read_pretrained("cnn27", place))
            assert all(torch.equal(trunk.state_dict()[name], tensor) for name, tensor in state.items()), place
        server.shutdown()


def test_a_network_for_colour_fills_a_grey_one_by_the_sum_over_its_colours(tmp_path, state):
    colour = {**state, "0.weight": state["0.weight"].repeat(1, 3, 1, 1)}
    torch.save({"state_dict": {f"features.{name}": tensor for name, tensor in colour.items()}}, tmp_path / "cnn27.pth")
    trunk = build_trunk("cnn27")
    fill_trunk(trunk, "cnn27", read_pretrained("cnn27", str(tmp_path)))
    assert torch.allclose(trunk.state_dict()["0.weight"], 3 * state["0.weight"])


class Attack:
    def __reduce__(self):
        return (os.mkdir, (os.environ["ATTACK"],))


def test_a_foreign_pickle_is_refused_and_does_not_run(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTACK", str(tmp_path / "ran"))
    (tmp_path / "cnn27.pth").write_bytes(pickle.dumps({"weight": Attack()}))
    with pytest.raises(WeightsError, match="is not loaded"):
        fill_trunk(build_trunk("cnn27"), "cnn27", read_pretrained("cnn27", str(tmp_path)))
    assert not (tmp_path / "ran").exists()


def test_what_lacks_or_does_not_fit_is_named(tmp_path, state):
    with pytest.raises(WeightsError, match="put cnn27.safetensors or cnn27.pth"):
        fill_trunk(build_trunk("cnn27"), "cnn27", read_pretrained("cnn27", str(tmp_path)))
    save_file({name: tensor for name, tensor in state.items() if name != "3.weight"}, tmp_path / "cnn27.safetensors")
    with pytest.raises(WeightsError, match="lacks 3.weight"):
        fill_trunk(build_trunk("cnn27"), "cnn27", read_pretrained("cnn27", str(tmp_path)))
    save_file({**state, "3.weight": torch.zeros(2, 2)}, tmp_path / "cnn27.safetensors")
    with pytest.raises(WeightsError, match=r"3.weight has shape \(2, 2\)"):
        fill_trunk(build_trunk("cnn27"), "cnn27", read_pretrained("cnn27", str(tmp_path)))
