"""The backbones that a detector can stand on, as data: what they take, where they are cut, what one of their pixels sees.

Belongs here: names and numbers, so that partitions can be made without torch. Not here: how a network is built (`backbones`).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Backbone:
    """A fully convolutional trunk. Its map has one value for each `stride_px` of input; each sees `receptive_px` of it."""

    name: str
    title: str
    input_px: int  # side of the square input, px
    map_px: int  # side of the map for that input
    cut: str  # where the published network ends here
    stride_px: int
    receptive_px: int
    channels: int  # of the trunk's last layer


# A cut at stride 16 and not at the network's end: deeper maps see the whole tile and their heat-maps get grainy.
BACKBONES: dict[str, Backbone] = {
    backbone.name: backbone
    for backbone in (
        Backbone("cnn27", "CNN27", 224, 28, "whole: 27 layers before the head", 8, 68, 128),
        Backbone("vgg16", "VGG16", 224, 14, "after block 4", 16, 100, 512),
        Backbone("resnet101", "ResNet101", 224, 14, "after stage 3", 16, 835, 1024),
        Backbone("inceptionv3", "InceptionV3", 299, 17, "before the last grid reduction", 16, 927, 768),
        Backbone("inceptionresnetv2", "Inception-ResNetV2", 299, 17, "before the last grid reduction", 16, 2335, 1088),
        Backbone("xception", "Xception", 299, 19, "before the last grid reduction", 16, 859, 728),
    )
}


class UnknownBackbone(ValueError):
    """A backbone that is not in the catalogue; the message lists those that are."""


def backbone_named(name: str) -> Backbone:
    """The backbone of that name."""
    if name not in BACKBONES:
        raise UnknownBackbone(f"there is no backbone {name!r}: choose one of {', '.join(BACKBONES)}")
    return BACKBONES[name]
