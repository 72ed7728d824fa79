"""Language backbones: how each is built, how its published file names its tensors, its tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from torch import nn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def build_minilm_l6() -> nn.Module:
    """transformers' BertModel in MiniLM-L6's shape (6 layers, width 384, 12 heads), with random weights."""
    from transformers import BertConfig, BertModel

    return BertModel(
        BertConfig(
            vocab_size=30522,
            hidden_size=384,
            num_hidden_layers=6,
            num_attention_heads=12,
            intermediate_size=1536,
            max_position_embeddings=512,
            type_vocab_size=2,
        )
    )


def rename_minilm_l6(key: str) -> str | None:
    """The published file's name of a tensor -> BertModel's: the same, save one that BertModel makes for itself.

    `embeddings.position_ids` is the constant 0, 1, ..., 511; BertModel keeps it outside its `state_dict`.
    """
    return None if key == "embeddings.position_ids" else key


def bert_from_hub(hub: str) -> nn.Module:
    """A BertModel with the weights that the hub has under `hub`. Raises ValueError where a key does not match."""
    from transformers import BertModel

    # The stubs do not know that with output_loading_info a pair comes back.
    model, found = cast(Any, BertModel.from_pretrained(hub, output_loading_info=True))
    wrong = {kind: sorted(map(str, keys)) for kind, keys in found.items() if keys and kind.endswith("_keys")}
    if wrong:
        raise ValueError(f"the weights of {hub} do not fit BertModel: {wrong}")
    return model


def tokenizer_from(folder: Path | str, local_only: bool) -> PreTrainedTokenizerBase:
    """The tokenizer in a folder in the hub's layout, or under a hub name where `local_only` is False."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder), local_files_only=local_only)
