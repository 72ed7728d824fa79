"""Vision backbones: how each is built, how its published file names its tensors, how it wants its pictures."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def build_efficientnet_lite0() -> nn.Module:
    """timm's EfficientNet-Lite0 with random weights, 1,000 outputs, as TensorFlow's authors trained it.

    timm has two: the same names and shapes, but `tf_efficientnet_lite0` pads as TensorFlow does (one more pixel at
    the right and bottom where the stride is 2) and its BatchNorm adds 1e-3 to the variance, not 1e-5. The weights
    were converted from TensorFlow's, and the difference can be measured: see the card's notes.
    """
    import timm

    return timm.create_model("tf_efficientnet_lite0", pretrained=False)


# How many blocks each of EfficientNet-Lite0's seven stages has; the published file counts blocks through.
_STAGES = (1, 2, 2, 3, 3, 4, 1)
_PLACE_OF_BLOCK = tuple(f"{stage}.{block}" for stage, count in enumerate(_STAGES) for block in range(count))
_OUTSIDE_BLOCKS = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
# The first block does not expand its channels, so timm counts its layers from the depthwise convolution.
_FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_OTHER_BLOCKS = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def rename_efficientnet_lite0(key: str) -> str:
    """The published file's name of a tensor -> timm's: `_blocks.1._bn0.bias` -> `blocks.1.0.bn1.bias`.

    A name that the rule does not know comes back unchanged, and the strict load then names it.
    """
    match key.split("."):
        case ["_blocks", number, layer, tensor] if number.isdecimal() and int(number) < len(_PLACE_OF_BLOCK):
            layers = _FIRST_BLOCK if number == "0" else _OTHER_BLOCKS
            if layer in layers:
                return f"blocks.{_PLACE_OF_BLOCK[int(number)]}.{layers[layer]}.{tensor}"
        case [layer, tensor] if layer in _OUTSIDE_BLOCKS:
            return f"{_OUTSIDE_BLOCKS[layer]}.{tensor}"
    return key


def timm_from_hub(hub: str) -> nn.Module:
    """A timm model with the weights that the hub has under `hub`; timm loads them strictly."""
    import timm

    return timm.create_model(hub, pretrained=True)


def torchvision_model(name: str, **settings: bool) -> nn.Module:
    """A torchvision model with random weights and 1,000 outputs."""
    from torchvision import models

    return models.get_model(name, weights=None, **settings)


def torchvision_from_hub(hub: str) -> nn.Module:
    """A torchvision model with published weights, `torchvision/resnet18/IMAGENET1K_V1`; torchvision loads strictly.

    Inception v3 comes with its auxiliary head, and turns what it is given from ImageNet's mean and std to its own.
    """
    from torchvision import models

    _, name, weights = hub.split("/")
    return models.get_model(name, weights=weights)


def imagenet_labels() -> tuple[str, ...]:
    """The 1,000 ImageNet class names in the order of the logits, such as "espresso"; read from timm, offline."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    return tuple(info.index_to_description(index).split(",")[0] for index in range(1000))


def normalised(images: Tensor, size: int, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 pictures (N, H, W), (N, 1, H, W) or (N, 3, H, W) -> float32 (N, 3, size, size), normalised.

    Scaled to [0, 1], resized (bilinear, antialiased), gray repeated in three channels, then (x - mean) / std with
    one mean and one std for each of red, green and blue. `images` is unchanged.

    Raises TypeError for a dtype other than uint8 and ValueError for another shape.
    """
    from torchvision.transforms.v2 import functional as F

    if images.dtype != torch.uint8:
        raise TypeError(f"pictures must be uint8, 0 to 255; these are {images.dtype}")
    if images.ndim == 3:
        images = images.unsqueeze(1)
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"pictures must have shape (N, H, W), (N, 1, H, W) or (N, 3, H, W); got {tuple(images.shape)}")
    x = F.resize(images.float() / 255, [size, size], antialias=True).expand(-1, 3, -1, -1)
    return F.normalize(x, list(mean), list(std))
