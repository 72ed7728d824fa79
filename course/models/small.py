"""Small members of VGG, ResNet, Inception and ViT: torchvision's own classes, with fewer and narrower layers.

Whatever names a part of torchvision's VGG16 (`classifier.6`), ResNet-50 (`fc`), Inception v3 (`AuxLogits.fc`) or
ViT-B/16 (`heads.head`) names the same part here. torchvision is imported when a model is built.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from course.data.images import SEEN_CLOTHES

# What they were pretrained to tell apart: five kinds of clothes in each of four turns, and 26 letters.
KINDS, TURNS, LETTERS = len(SEEN_CLOTHES), 4, 26
ANSWERS = KINDS * TURNS + LETTERS
# Mean and standard deviation, in [0, 1], of the clothes' training photos; letters were shown in the same way.
MEAN, STD = 0.285, 0.356

# How many times narrower each convolution of the small Inception is than Inception v3's; it divides every width there.
NARROWER = 8


def build_vgg(num_classes: int = ANSWERS) -> nn.Module:
    """Pictures of 32 x 32 pixels: six convolutions with BatchNorm, then VGG's three Linear layers."""
    from torchvision.models.vgg import VGG, make_layers

    with torch.device("meta"):  # VGG's own classifier would take 480 MB before it is replaced
        model = VGG(nn.Sequential())
    model.features = make_layers([24, "M", 48, "M", 96, 96, "M", 128, 128, "M"], batch_norm=True)
    model.avgpool = nn.AdaptiveAvgPool2d((2, 2))
    model.classifier = nn.Sequential(
        nn.Linear(128 * 2 * 2, 256),
        nn.ReLU(True),
        nn.Dropout(0.3),
        nn.Linear(256, 128),
        nn.ReLU(True),
        nn.Dropout(0.3),
        nn.Linear(128, num_classes),
    )
    return _he(model)


def build_resnet(num_classes: int = ANSWERS) -> nn.Module:
    """Pictures of 32 x 32 pixels: four stages of one `BasicBlock` (two convolutions), as ResNet-18 has of two."""
    from torchvision.models.resnet import BasicBlock

    return _resnet(BasicBlock, (24, 48, 96, 128), (1, 1, 1, 1), num_classes)


def build_resnet_bottleneck(num_classes: int = ANSWERS) -> nn.Module:
    """Pictures of 32 x 32 pixels: four stages of `Bottleneck` blocks (three convolutions), as ResNet-50 has."""
    from torchvision.models.resnet import Bottleneck

    return _resnet(Bottleneck, (12, 24, 40, 56), (1, 1, 2, 1), num_classes)


def _resnet(block: Any, planes: tuple[int, ...], blocks: tuple[int, ...], num_classes: int) -> nn.Module:
    from torchvision.models.resnet import ResNet

    with torch.device("meta"):
        model = ResNet(block, [1, 1, 1, 1])
    width = planes[0]
    model.conv1 = nn.Conv2d(3, width, kernel_size=3, padding=1, bias=False)
    model.bn1 = nn.BatchNorm2d(width)
    model.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
    for stage, (narrow, count) in enumerate(zip(planes, blocks, strict=True), start=1):
        layers = []
        for index in range(count):
            stride = 2 if stage > 1 and index == 0 else 1
            wide = narrow * block.expansion
            shortcut = None
            if stride != 1 or width != wide:
                shortcut = nn.Sequential(nn.Conv2d(width, wide, 1, stride, bias=False), nn.BatchNorm2d(wide))
            layers.append(block(width, narrow, stride, shortcut))
            width = wide
        setattr(model, f"layer{stage}", nn.Sequential(*layers))
    model.avgpool = nn.AdaptiveAvgPool2d((1, 1))
    model.fc = nn.Linear(width, num_classes)
    return _he(model)


def build_inception(num_classes: int = ANSWERS) -> nn.Module:
    """Pictures of 40 x 40 pixels: Inception v3 eight times narrower, without the modules that repeat another.

    Its stem halves the picture once, not three times, and its auxiliary head pools to 5 x 5 places from however many
    there are; Inception v3's wants at least 17 x 17.
    """
    from torchvision.models import inception as parts

    class AnySizeAux(parts.InceptionAux):
        def forward(self, x: Tensor) -> Tensor:
            x = nn.functional.adaptive_avg_pool2d(x, 5)
            return self.fc(self.conv1(self.conv0(x)).flatten(1))

    def conv(inputs: int, outputs: int, **settings: Any) -> nn.Module:
        return parts.BasicConv2d(inputs if inputs == 3 else inputs // NARROWER, outputs // NARROWER, **settings)

    modules = (parts.InceptionA, parts.InceptionB, parts.InceptionC, parts.InceptionD, parts.InceptionE, AnySizeAux)
    blocks = [partial(module, conv_block=conv) for module in modules]
    model = parts.Inception3(num_classes, inception_blocks=[conv, *blocks], init_weights=True)
    for repeated in ("Mixed_5d", "Mixed_6c", "Mixed_6d", "Mixed_6e", "Mixed_7c"):
        setattr(model, repeated, nn.Identity())
    model.Conv2d_1a_3x3.conv.stride = (1, 1)
    model.maxpool2 = nn.Identity()
    model.AuxLogits.fc = nn.Linear(768 // NARROWER, num_classes)
    model.fc = nn.Linear(2048 // NARROWER, num_classes)
    return model


def build_vit(num_classes: int = ANSWERS) -> nn.Module:
    """Pictures of 32 x 32 pixels in 16 patches of 8 x 8: four encoder layers of width 128 with four heads."""
    from torchvision.models import VisionTransformer

    return VisionTransformer(
        image_size=32,
        patch_size=8,
        num_layers=4,
        num_heads=4,
        hidden_dim=128,
        mlp_dim=256,
        num_classes=num_classes,
    )


def _he(model: nn.Module) -> nn.Module:
    """Draws the weights of all convolutions and Linear layers with ReLUs in mind (He et al. 2015), biases zero."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            convolution = isinstance(module, nn.Conv2d)
            nn.init.kaiming_normal_(module.weight, mode="fan_out" if convolution else "fan_in", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model
