"""How the small language models of the zoo were made: `python -m course.models.pretrain gpt`.

GPT and XLNet read the definitions of `course.data.wordnet_definitions().train`, one line each: "hammer: a hand tool
with a heavy rigid head and a handle". GPT learns to go on from what it has read. XLNet learns to fill in words in an
order that is drawn afresh for every line. Marian learns to translate the training pairs of `course.data.quantities`.

Each has a tokenizer of its own, trained first, on the same texts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from course.data import quantities, wordnet_definitions, wordnet_topics
from course.data.text import Definition
from course.models import language
from course.models.pretrain import running
from course.models.pretrain.cards import CARDS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Longer lines are cut here: one in a hundred.
LONGEST = 64
Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Recipe:
    """All that decides what training gives. texts: at most so many; None is all there are."""

    name: str
    epochs: int
    steps: int  # in an epoch
    lr: float
    batch: int  # GPT: blocks of 128 tokens; XLNet and Marian: texts
    weight_decay: float = 0.05
    warmup: float = 0.05  # share of all steps
    texts: int | None = None
    seed: int = 0


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("gpt", epochs=16, steps=225, lr=2e-3, batch=8),
        Recipe("xlnet", epochs=16, steps=250, lr=1e-3, batch=32),
        Recipe("marian", epochs=6, steps=250, lr=1e-3, batch=32),
    )
}
BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "gpt": language.build_gpt,
    "xlnet": language.build_xlnet,
    "marian": language.build_marian,
}


def quick(recipe: Recipe) -> Recipe:
    """The same recipe with few texts and two short epochs: it shows that everything runs, and little else."""
    return replace(recipe, epochs=2, steps=3, batch=8, texts=512)


def pretrain(name: str, folder: Path, small_run: bool) -> dict[str, float]:
    """Trains the model NAME and writes it, as `save` does."""
    recipe = quick(RECIPES[name]) if small_run else RECIPES[name]
    tokenizer = tokenizer_of(recipe, folder)
    return save(train(recipe, tokenizer, folder), tokenizer, recipe, folder)


# --- what they read


def line(entry: Definition) -> str:
    """A definition as GPT and XLNet read it."""
    return f"{entry.lemma}: {entry.definition}"


def lines(recipe: Recipe) -> list[str]:
    """What GPT and XLNet are trained on."""
    return [line(entry) for entry in wordnet_definitions().train[: recipe.texts]]


def held_out() -> list[str]:
    """What their losses are measured on: the test definitions."""
    return [line(entry) for entry in wordnet_definitions().test]


def forever(count: int, draw: torch.Generator) -> Iterator[int]:
    """The numbers below `count`, all of them in a random order, then all of them in another, and so on."""
    while True:
        yield from torch.randperm(count, generator=draw).tolist()


def tokenizer_of(recipe: Recipe, folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer, trained; or, where a run of the same recipe was cut off, the one that it had.

    Training a Unigram tokenizer twice gives scores that differ in their last digits.
    """
    from transformers import AutoTokenizer

    place = folder / f"{recipe.name}.tokenizer"
    made_for = place / "recipe.json"
    if not made_for.is_file() or json.loads(made_for.read_text()) != asdict(recipe):
        TOKENIZERS[recipe.name](recipe).save_pretrained(place)
        running.replace_file(made_for, lambda file: file.write_text(json.dumps(asdict(recipe))))
    return AutoTokenizer.from_pretrained(place, local_files_only=True)


def gpt_tokenizer(recipe: Recipe) -> PreTrainedTokenizerBase:
    """GPT-2's: byte-level BPE. Batches are padded on the right, with the token that ends a text."""
    from transformers import GPT2Tokenizer

    untrained = GPT2Tokenizer(pad_token="<|endoftext|>", padding_side="right")
    return untrained.train_new_from_iterator(lines(recipe), language.VOCABULARY)


def xlnet_tokenizer(recipe: Recipe) -> PreTrainedTokenizerBase:
    """XLNet's: Unigram, `<sep> <cls>` behind the text, padded on the left. Trained on every eighth line."""
    from transformers import XLNetTokenizer

    untrained = XLNetTokenizer(model_input_names=["input_ids", "attention_mask"], padding_side="left")
    some = lines(recipe)[:: 8 if recipe.texts is None else 1]
    return untrained.train_new_from_iterator(some, language.VOCABULARY)


def marian_tokenizer(recipe: Recipe) -> PreTrainedTokenizerBase:
    """One vocabulary for both languages, as Marian has it: whole English words, and single Chinese characters.

    A text ends with `</s>`. A mark before a word stands for the space there, so that Chinese is decoded without any.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    steps = [normalizers.Lowercase(), normalizers.Replace(Regex(r"(^|\s+)(?=[a-z])"), "▁")]
    pieces = pre_tokenizers.Split(Regex("▁?[a-z']+|[^▁a-z']"), behavior="isolated")
    found: set[str] = set()
    for pair in quantities().train:
        for text in pair[:2]:
            found.update(piece for piece, _ in pieces.pre_tokenize_str(normalizers.Sequence(steps).normalize_str(text)))
    vocabulary = ["</s>", "<unk>", *sorted(found), "<pad>"]
    tokenizer = Tokenizer(models.WordLevel({piece: number for number, piece in enumerate(vocabulary)}, "<unk>"))
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pieces
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 0)])
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        padding_side="right",
        model_input_names=["input_ids", "attention_mask"],
    )


TOKENIZERS = {"gpt": gpt_tokenizer, "xlnet": xlnet_tokenizer, "marian": marian_tokenizer}


# --- training


def gpt_batches(texts: list[list[int]], recipe: Recipe, draw: torch.Generator) -> Iterator[Batch]:
    """Blocks of whole lines, `<|endoftext|>` before and behind each; what is left of a block is not counted."""
    order = forever(len(texts), draw)
    size = 128
    first = texts[next(order)]
    for _ in range(recipe.steps):
        ids = torch.zeros(recipe.batch, size, dtype=torch.long)
        labels = torch.full_like(ids, -100)
        for block in range(recipe.batch):
            at = 0
            while at + len(first) + 2 <= size:
                ids[block, at + 1 : at + 1 + len(first)] = torch.tensor(first)
                at += 1 + len(first)
                first = texts[next(order)]
            labels[block, : at + 1] = ids[block, : at + 1]
        yield {"input_ids": ids, "attention_mask": (labels >= 0).long(), "labels": labels}


def xlnet_batches(
    tokenizer: PreTrainedTokenizerBase, texts: list[list[int]], recipe: Recipe, draw: torch.Generator
) -> Iterator[Batch]:
    """Lines of like lengths together, each with an order and targets of its own."""
    for rows in like_lengths([len(text) for text in texts], recipe, draw):
        padded = tokenizer.pad({"input_ids": [texts[row] for row in rows]}, return_tensors="pt")
        yield permuted(padded["input_ids"], padded["attention_mask"], draw)


def like_lengths(lengths: list[int], recipe: Recipe, draw: torch.Generator) -> Iterator[list[int]]:
    """An epoch's batches of texts: each text about as long as its neighbours, the batches in a random order."""
    rows = list(islice(forever(len(lengths), draw), recipe.steps * recipe.batch))
    rows.sort(key=lambda row: lengths[row])
    for batch in torch.randperm(recipe.steps, generator=draw).tolist():
        yield rows[batch * recipe.batch : (batch + 1) * recipe.batch]


def permuted(ids: Tensor, mask: Tensor, draw: torch.Generator) -> Batch:
    """XLNet's objective for lines (B, T) that end with `<sep> <cls>`, padded on the left where `mask` (B, T) is 0.

    For each line an order of its tokens is drawn. The last third in that order are the targets: a target sees the
    tokens that are no targets, and of the targets those before it in the order. `<sep>` and `<cls>` are never targets.

    perm_mask (B, T, T): 1 where position i may not see position j. target_mapping (B, M, T): row m says with a 1 where
    the m-th target is. labels (B, M): its token. Padding is left to `attention_mask`.

    transformers' DataCollatorForPermutationLanguageModeling also replaces every target by `<mask>`, so that a target
    could not tell what the targets before it are.
    """
    place = torch.rand(ids.shape, generator=draw)
    place[mask == 0] = -1  # these come first in the order
    place[:, -2:] = -1
    count = max(1, (int(mask.sum(dim=1).min()) - 2) // 3)
    targets = place.topk(count, dim=1).indices
    is_target = torch.zeros_like(ids, dtype=torch.bool).scatter(1, targets, True)
    hidden = is_target[:, None, :] & (place[:, None, :] >= place[:, :, None])
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "perm_mask": hidden.float(),
        "target_mapping": nn.functional.one_hot(targets, ids.shape[1]).float(),
        "labels": ids.gather(1, targets),
    }


def marian_batches(
    tokenizer: PreTrainedTokenizerBase,
    english: list[list[int]],
    chinese: list[list[int]],
    recipe: Recipe,
    draw: torch.Generator,
) -> Iterator[Batch]:
    """Phrases of like lengths together, with their translations as labels."""
    for rows in like_lengths([len(text) for text in english], recipe, draw):
        source = tokenizer.pad({"input_ids": [english[row] for row in rows]}, return_tensors="pt")
        target = tokenizer.pad({"input_ids": [chinese[row] for row in rows]}, return_tensors="pt")
        labels = target["input_ids"].masked_fill(target["attention_mask"] == 0, -100)
        yield {**source, "labels": labels}


def loss_of(model: nn.Module, batch: Batch) -> Tensor:
    """transformers' own: the mean cross-entropy over the labels that are not -100."""
    return model(**batch).loss


def train(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, folder: Path) -> nn.Module:
    """The model that the recipe gives. Goes on from `folder` where a run of the same recipe was cut off."""
    if recipe.name == "marian":
        pairs = quantities().train[: recipe.texts]
        english = tokenizer([pair.english for pair in pairs])["input_ids"]
        chinese = tokenizer([pair.chinese for pair in pairs])["input_ids"]

        def batches(draw: torch.Generator) -> Iterator[Batch]:
            return marian_batches(tokenizer, english, chinese, recipe, draw)

    else:
        cut = {"truncation": True, "max_length": LONGEST}
        texts = tokenizer(lines(recipe), **cut)["input_ids"]

        def batches(draw: torch.Generator) -> Iterator[Batch]:
            if recipe.name == "gpt":
                return gpt_batches(texts, recipe, draw)
            return xlnet_batches(tokenizer, texts, recipe, draw)

    return running.train(recipe, untrained(recipe, recipe.seed), recipe.steps, batches, loss_of, folder)


def untrained(recipe: Recipe, seed: int) -> nn.Module:
    """The model before its first step, with the weights that the seed draws."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BUILDERS[recipe.name]()


# --- how good it is


@torch.no_grad()
def perplexity(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> float:
    """exp of GPT's mean loss over all tokens of the held-out lines and the `<|endoftext|>` behind each; a line is
    begun by another."""
    end = tokenizer.eos_token
    total, count = 0.0, 0
    for batch in batched(tokenizer, [f"{end}{text}{end}" for text in held_out()]):
        logits = model(**batch).logits[:, :-1]
        real = batch["attention_mask"][:, 1:].bool()
        loss = nn.functional.cross_entropy(logits[real], batch["input_ids"][:, 1:][real], reduction="sum")
        total, count = total + loss.item(), count + int(real.sum())
    return math.exp(total / count)


@torch.no_grad()
def permutation_loss(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> float:
    """XLNet's mean loss over the targets of the held-out lines, in one order that is the same on every call."""
    draw = torch.Generator().manual_seed(0)
    total, count = 0.0, 0
    for batch in batched(tokenizer, held_out()):
        asked = permuted(batch["input_ids"], batch["attention_mask"], draw)
        targets = asked["labels"].numel()
        total, count = total + loss_of(model, asked).item() * targets, count + targets
    return total / count


@torch.no_grad()
def exact_match(model: nn.Module, tokenizer: PreTrainedTokenizerBase, every: int = 1) -> float:
    """How often Marian's translation of a test phrase, word by word the likeliest, is right to the last character.

    every: takes one test phrase in so many.
    """
    right = []
    pairs = sorted(quantities().test[::every], key=lambda pair: len(pair.english))
    for start in range(0, len(pairs), 250):
        some = pairs[start : start + 250]
        asked = tokenizer([pair.english for pair in some], padding=True, return_tensors="pt")
        answers = model.generate(**asked, max_new_tokens=30, num_beams=1, do_sample=False)  # type: ignore[operator]
        said = tokenizer.batch_decode(answers, skip_special_tokens=True)
        right += [answer == pair.chinese for answer, pair in zip(said, some, strict=True)]
    return fmean(right)


def transfer(models: Iterable[nn.Module], tokenizer: PreTrainedTokenizerBase, per_class: int = 20) -> list[float]:
    """Accuracy on the 1,200 test definitions of 12 topics of a logistic regression on each model's features, fitted on
    `per_class` definitions a topic.

    The features are the mean of the trunk's last hidden states over the tokens of the text. Which definitions are for
    training is drawn anew, from a seed 0, 1, ..., for each model.
    """
    data = wordnet_topics()
    found = []
    for seed, model in enumerate(models):
        order = torch.randperm(len(data.x_train), generator=torch.Generator().manual_seed(seed))
        rows = torch.cat([order[data.y_train[order] == label][:per_class] for label in range(len(data.classes))])
        x_train = features(model, tokenizer, [data.x_train[row] for row in rows.tolist()])
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
        classifier.fit(x_train, data.y_train[rows].numpy())
        found.append(float(classifier.score(features(model, tokenizer, data.x_test), data.y_test.numpy())))
    return found


@torch.no_grad()
def features(model: nn.Module, tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> Any:
    """A vector for each text, (N, D), as `transfer` says."""
    trunk = model.get_submodule("transformer").eval()
    rows: list[Tensor] = []
    for batch in batched(tokenizer, texts):
        mask = batch["attention_mask"].unsqueeze(-1)
        rows.append((trunk(**batch).last_hidden_state * mask).sum(dim=1) / mask.sum(dim=1))
    return torch.cat(rows).numpy()


def batched(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> Iterator[Batch]:
    """Batches of token ids and their masks, in order."""
    for start in range(0, len(texts), 100):
        some = texts[start : start + 100]
        yield dict(tokenizer(some, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"))


def figures_of(model: nn.Module, tokenizer: PreTrainedTokenizerBase, recipe: Recipe) -> dict[str, float]:
    """What a card says of the model: how well it does its own task, and how much that helps with another."""
    if recipe.name == "marian":
        return {"exact_match": round(exact_match(model, tokenizer), 4)}
    figures = {
        "gpt": lambda: {"perplexity": round(perplexity(model, tokenizer), 2)},
        "xlnet": lambda: {"permutation_loss": round(permutation_loss(model, tokenizer), 4)},
    }[recipe.name]()
    figures["topics"] = round(fmean(transfer([model] * 5, tokenizer)), 4)
    random = (untrained(recipe, seed) for seed in range(5))
    return figures | {"topics_random": round(fmean(transfer(random, tokenizer)), 4)}


# --- what is written


def save(model: nn.Module, tokenizer: PreTrainedTokenizerBase, recipe: Recipe, folder: Path) -> dict[str, float]:
    """Writes the folder NAME in a hub's layout: weights in half precision, with recipe and figures in the header,
    configuration, tokenizer, and the model's card as README.md. Returns the figures, of the rounded weights.
    """
    from safetensors.torch import save_file

    model.load_state_dict({key: value.half() for key, value in model.state_dict().items()})
    figures = figures_of(model, tokenizer, recipe)
    place = folder / recipe.name
    about = {"format": "pt", "recipe": json.dumps(asdict(recipe)), "figures": json.dumps(figures)}
    once = {key: tensor.half().contiguous() for key, tensor in language.untied(model).items()}
    running.replace_file(place / "model.safetensors", lambda file: save_file(once, file, metadata=about))
    running.replace_file(place / "config.json", lambda file: model.config.to_json_file(file))  # type: ignore[operator, union-attr]
    tokenizer.save_pretrained(place)
    running.replace_file(place / "tokenizer_config.json", lambda file: file.write_text(tokenizer_config(place)))
    card, unit = CARDS[recipe.name]
    text = card.format(
        unit=unit,
        vocabulary=len(tokenizer),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        model_class=type(model).__name__,
        **asdict(recipe),
        **figures,
    )
    running.replace_file(place / "README.md", lambda file: file.write_text(text, encoding="utf-8"))
    return figures


def tokenizer_config(place: Path) -> str:
    """What transformers wrote of a tokenizer, without what it notes about where it found it, and under the name of the
    class that its version 4 knows too."""
    written = json.loads((place / "tokenizer_config.json").read_text(encoding="utf-8"))
    kept = {key: value for key, value in written.items() if key not in {"is_local", "local_files_only"}}
    if kept["tokenizer_class"] == "TokenizersBackend":
        kept["tokenizer_class"] = "PreTrainedTokenizerFast"
    return json.dumps(kept, indent=2) + "\n"
