"""Language backbones: how each is built, how its published file names its tensors, its tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

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


# How many tokens the small models below know. Special tokens come first, each family in its own way.
VOCABULARY = 4096
MARIAN_VOCABULARY = 439


def build_bert(vocabulary: int = 30_522) -> nn.Module:
    """transformers' BertModel in BERT base's shape (12 layers, width 768, 12 heads), with random weights."""
    from transformers import BertConfig, BertModel

    return BertModel(BertConfig(vocab_size=vocabulary))


def build_gpt2() -> nn.Module:
    """transformers' GPT2LMHeadModel in the smallest GPT-2's shape (12 layers, width 768), with random weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(GPT2Config())


def build_xlnet_base() -> nn.Module:
    """transformers' XLNetLMHeadModel in XLNet base's shape (12 layers, width 768), with random weights."""
    from transformers import XLNetConfig, XLNetLMHeadModel

    return XLNetLMHeadModel(XLNetConfig(d_model=768, n_layer=12, n_head=12, d_inner=3072))


def build_opus_mt() -> nn.Module:
    """transformers' MarianMTModel in opus-mt-en-zh's shape (6 + 6 layers, width 512), with random weights."""
    return _marian(vocabulary=65_001, positions=512, width=512, layers=6, heads=8)


def build_gpt() -> nn.Module:
    """transformers' GPT2LMHeadModel, small (4 layers, width 128, 4 heads, 128 positions), with random weights.

    Token 0 is `<|endoftext|>`: it begins a text, ends it and fills up a batch.
    """
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY,
            n_positions=128,
            n_embd=128,
            n_layer=4,
            n_head=4,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=0,
            eos_token_id=0,
            pad_token_id=0,
        )
    )


def build_xlnet() -> nn.Module:
    """transformers' XLNetLMHeadModel, small (4 layers, width 128, 4 heads), with random weights."""
    from transformers import XLNetConfig, XLNetLMHeadModel

    return XLNetLMHeadModel(
        XLNetConfig(
            vocab_size=VOCABULARY,
            d_model=128,
            n_layer=4,
            n_head=4,
            d_inner=512,
            dropout=0.0,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=4,
        )
    )


def build_marian() -> nn.Module:
    """transformers' MarianMTModel, small (3 + 3 layers, width 128, 4 heads), with random weights.

    One vocabulary for both languages. Token 0 is `</s>`, which ends a text; the last token, `<pad>`, fills up a batch
    and begins what the decoder reads.
    """
    return _marian(vocabulary=MARIAN_VOCABULARY, positions=64, width=128, layers=3, heads=4)


def _marian(vocabulary: int, positions: int, width: int, layers: int, heads: int) -> nn.Module:
    from transformers import MarianConfig, MarianMTModel

    pad = vocabulary - 1
    return MarianMTModel(
        MarianConfig(
            vocab_size=vocabulary,
            max_position_embeddings=positions,
            d_model=width,
            encoder_layers=layers,
            decoder_layers=layers,
            encoder_attention_heads=heads,
            decoder_attention_heads=heads,
            encoder_ffn_dim=4 * width,
            decoder_ffn_dim=4 * width,
            activation_function="swish",
            scale_embedding=True,
            eos_token_id=0,
            pad_token_id=pad,
            decoder_start_token_id=pad,
        )
    )


def rename_minilm_l6(key: str) -> str | None:
    """The published file's name of a tensor -> BertModel's: the same, save one that BertModel makes for itself.

    `embeddings.position_ids` is the constant 0, 1, ..., 511; BertModel keeps it outside its `state_dict`.
    """
    return None if key == "embeddings.position_ids" else key


def untied(model: nn.Module) -> dict[str, Tensor]:
    """The tensors of `model`, each once: where a head shares the embedding's, under the first of their names."""
    first = {tensor.data_ptr(): key for key, tensor in reversed(model.state_dict().items())}
    return {key: tensor for key, tensor in model.state_dict().items() if first[tensor.data_ptr()] == key}


def from_hub(auto_class: str, hub: str) -> nn.Module:
    """What transformers' class `auto_class` makes of the weights that the hub has under `hub`, in single precision.

    Raises ValueError where a tensor of the model is not among them, or they hold one that it does not know, save the
    heads of BERT's own pretraining.
    """
    import transformers

    auto = getattr(transformers, auto_class)
    model, found = auto.from_pretrained(hub, output_loading_info=True)
    wrong = {
        kind: keys
        for kind, names in found.items()
        if kind.endswith("_keys") and (keys := sorted(str(name) for name in names if not str(name).startswith("cls.")))
    }
    if wrong:
        raise ValueError(f"the weights of {hub} do not fit {type(model).__name__}: {wrong}")
    return cast(nn.Module, model.float())


def tokenizer_from(folder: Path | str, local_only: bool) -> PreTrainedTokenizerBase:
    """The tokenizer in a folder in the hub's layout, or under a hub name where `local_only` is False.

    One that has no token to pad with pads with the token that ends a text, as is the custom with GPT-2.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=local_only)
    if tokenizer.pad_token is None:  # GPT-2's, as published
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
