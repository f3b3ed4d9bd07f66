"""Backbones as networks: built, cut, loaded with pretrained weights from where the user says.

Belongs here: trunks of every science's networks. Not here: heads and losses (the sciences), training (`fit`), names and
numbers (`catalogue`).
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import torch
from torch import nn

from plate_assets.learning.catalogue import backbone_named

# Children of pytorchcv's `features` up to the cut of the catalogue.
_KEPT = {
    "vgg16": ("stage1", "stage2", "stage3", "stage4"),
    "resnet101": ("init_block", "stage1", "stage2", "stage3"),
    "inceptionv3": ("init_block", "stage1", "stage2"),
    "inceptionresnetv2": ("init_block", "stage1", "stage2"),
    "xception": ("init_block", "stage1", "stage2", "stage3"),
}
_CNN27_WIDTHS = (32, 64, 128, 128)
_STRIP_PX = 96


class WeightsError(ValueError):
    """Pretrained weights that are missing, foreign or of another network; the message names file and first difference."""


def build_trunk(name: str, in_channels: int = 1) -> nn.Sequential:
    """The trunk of a backbone, with random weights: (n, in_channels, px, px) to (n, channels, map_px, map_px)."""
    backbone_named(name)
    if name == "cnn27":
        return _cnn27(in_channels)
    from pytorchcv.model_provider import get_model

    features = get_model(name, pretrained=False, in_channels=in_channels).features
    trunk = nn.Sequential(OrderedDict((child, getattr(features, child)) for child in _KEPT[name]))
    _begin_with_shortcuts(trunk)
    return trunk


def _begin_with_shortcuts(trunk: nn.Sequential) -> None:
    """Let each bottleneck of a ResNet begin as its shortcut: the last norm of its branch scales by zero.

    Goyal et al. 2017, section 5.1. With thirty random branches on top of each other a hundred steps teach nothing. Xception,
    whose units change the resolution in their branches, learns worse that way.
    """
    from pytorchcv.models.resnet import ResBottleneck

    for block in trunk.modules():
        if isinstance(block, ResBottleneck):
            nn.init.zeros_(block.conv3.bn.weight)


def _cnn27(in_channels: int) -> nn.Sequential:
    """Four blocks of two conv-BN-ReLU, pooled between: 8 · 3 + 3 = 27 layers, stride 8 (the paper names it only)."""
    layers: list[nn.Module] = []
    width = in_channels
    for number, wider in enumerate(_CNN27_WIDTHS):
        if number:
            layers.append(nn.MaxPool2d(2))
        for _ in range(2):
            layers += [nn.Conv2d(width, wider, 3, padding=1, bias=False), nn.BatchNorm2d(wider), nn.ReLU(inplace=True)]
            width = wider
    return nn.Sequential(*layers)


def stages(trunk: nn.Sequential) -> list[nn.Module]:
    """The trunk's stages from the input on, for freezing: pytorchcv's own, or CNN27's blocks between the pools."""
    children = list(trunk.children())
    if any(isinstance(child, nn.Conv2d) for child in children):
        cuts = [0, *(i for i, child in enumerate(children) if isinstance(child, nn.MaxPool2d)), len(children)]
        return [nn.Sequential(*children[a:b]) for a, b in zip(cuts, cuts[1:], strict=False)]
    return children


def freeze(trunk: nn.Sequential, n_stages: int) -> None:
    """Hold the first stages as they are: no gradient, and batch norm keeps its statistics (see `fit.train_mode`)."""
    for stage in stages(trunk)[:n_stages]:
        for parameter in stage.parameters():
            parameter.requires_grad_(False)


@dataclass(frozen=True)
class TrunkWeights:
    """What a trunk may start from: a state, whose names may begin with `features.` or `trunk.`, and where it comes from."""

    state: Mapping[str, torch.Tensor]
    source: str


def read_pretrained(name: str, weights: str) -> TrunkWeights:
    """The weights of a backbone in `<weights>/<name>.safetensors` or `.pth`, or in that very file or URL; WeightsError.

    Nothing in the file can run: safetensors, or torch.load(weights_only=True).
    """
    file = _weights_file(name, weights)
    return TrunkWeights(_read_state(file), str(file))


def fill_trunk(trunk: nn.Sequential, name: str, given: TrunkWeights) -> None:
    """Fill the trunk of a backbone; WeightsError names the source.

    A network for colour fills a grey trunk by the sum of its first kernels over red, green and blue.
    """
    source = given.source
    found = {re.sub(r"^(features|trunk)\.", "", key): value for key, value in given.state.items()}
    wanted = trunk.state_dict()
    state = {}
    for key, tensor in wanted.items():
        if key.endswith("num_batches_tracked"):
            state[key] = tensor
            continue
        if key not in found:
            raise WeightsError(f"{source} lacks {key}: it is no state of {name} as pytorchcv names its layers")
        state[key] = _fitting(found[key], tensor, key, source)
    trunk.load_state_dict(state)


def _fitting(found: torch.Tensor, wanted: torch.Tensor, key: str, source: str) -> torch.Tensor:
    if found.ndim == 4 and wanted.ndim == 4 and found.shape[1] == 3 and wanted.shape[1] == 1:
        found = found.sum(1, keepdim=True)
    if found.shape != wanted.shape:
        raise WeightsError(f"{source}: {key} has shape {tuple(found.shape)}, and {tuple(wanted.shape)} is needed")
    return found.to(wanted.dtype)


def _weights_file(name: str, weights: str) -> Path:
    if urlsplit(weights).scheme in ("http", "https"):
        address = weights if weights.endswith((".safetensors", ".pth")) else f"{weights.rstrip('/')}/{name}.safetensors"
        target = Path(torch.hub.get_dir()) / "plate_assets" / address.rsplit("/", 1)[-1]
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(address, str(target), progress=False)
        return target
    given = Path(weights)
    candidates = [given] if given.is_file() else [given / f"{name}.safetensors", given / f"{name}.pth"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise WeightsError(
        f"no weights for {name}: put {name}.safetensors or {name}.pth into {weights}, or unset the weights' folder"
    )


def _read_state(file: Path) -> Mapping[str, torch.Tensor]:
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises several kinds for a file that is not a plain state dictionary
        raise WeightsError(f"{file} is not a plain state dictionary and is not loaded: {error}") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else {}
    if not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"{file} holds no state dictionary of tensors")
    return state


def receptive_field(trunk: nn.Module, in_channels: int, side: int) -> tuple[int, int]:
    """Receptive field and stride of a trunk, px, measured: how far the gradient of the middle of its map reaches.

    side: length of the strip of an image that is used, px, larger than the field; along the other axis little is needed.
    Batch norm and ReLU are made transparent by positive weights; the trunk is changed.
    """
    trunk.eval()
    with torch.no_grad():
        for module in trunk.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.fill_(1.0)
            if isinstance(module, nn.Conv2d):
                module.weight.fill_(1.0 / module.weight[0].numel())
                if module.bias is not None:
                    module.bias.zero_()
    pools = {name: module for name, module in trunk.named_modules() if isinstance(module, nn.MaxPool2d)}
    for name, pool in pools.items():  # a maximum passes the gradient to one pixel only; a mean to all that it sees
        parent = trunk.get_submodule(name.rpartition(".")[0])
        mean = nn.AvgPool2d(pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode)
        setattr(parent, name.rpartition(".")[2], mean)
    image = torch.ones(1, in_channels, side, min(side, _STRIP_PX), dtype=torch.float64, requires_grad=True)
    response = trunk.double()(image)
    middle = response.shape[-2] // 2
    reach = []
    for row in (middle, middle + 1):
        (gradient,) = torch.autograd.grad(response[0, :, row].sum(), image, retain_graph=True)
        touched = torch.nonzero(gradient[0].abs().sum((0, 2)) > 0).flatten()
        reach.append((int(touched[0]), int(touched[-1])))
    (first, last), (next_first, _) = reach
    return last - first + 1, next_first - first
