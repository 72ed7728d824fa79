"""The checks of lesson 08. They judge what a function gives back for inputs made on the spot, never how it is written.

Losses are compared with PyTorch's own cross-entropy, draws with the distribution that they must come from, BLEU with
the formula over matches that were counted by hand, and a beam search with trees whose best leaf is known by
construction. Models are small tables; `step`, which a beam search asks, stays where the check is. Hidden cases hand in
more through ``add_cases``; the last part of each check looks at them, behind its own.
"""

from __future__ import annotations

import contextlib
import copy
import math
import random
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from course.exercise import Check, Misconception, Wrong
from course.locale import gettext, ngettext
from course.witness import Tap
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

Batch = tuple[Tensor, Tensor]

NOT_A_FLOAT = Misconception(
    "not-a-float",
    "What came back is not a Python float.",
    "the `return` line: a tensor with one number in it gives that number with `.item()`",
)
INPUTS_CHANGED = Misconception(
    "inputs-changed",
    "A tensor that was handed in holds other numbers now. Whoever called your function still needs it.",
    "assignments into a tensor that came in, also under another name: `labels = input_ids` makes no copy",
)


def _short(value: object) -> str:
    text = f"{value!r} ({type(value).__name__})"
    return text if len(text) <= 200 else text[:200] + " ..."


def _near(a: float, b: float, *, within: float) -> bool:
    return abs(a - b) <= within * max(1.0, abs(b))


def _same(now: Tensor, before: Tensor) -> bool:
    """Bit for bit: nothing was to be computed, so no tolerance is owed."""
    return now.dtype == before.dtype and torch.equal(now.detach(), before.detach())


def _mode(training: bool) -> str:
    return "training" if training else "eval"


# --------------------------------------------------------------------------------------------------------
# Batches of tokens
# --------------------------------------------------------------------------------------------------------


def padded(lengths: Sequence[int], vocabulary: int, pad: int, *, ended: bool = False) -> Batch:
    """Random ids (B, T) and mask (B, T), padded right with `pad` to the longest of the lengths.

    The pad id stands nowhere else, save as the last real token of each row where `ended`: as GPT-2 has it, whose
    end-of-text token is the pad token too.
    """
    width = max(lengths)
    ids = torch.randint(vocabulary - 1, (len(lengths), width))
    ids += ids >= pad  # every token but the pad
    mask = (torch.arange(width) < torch.tensor(lengths)[:, None]).long()
    ids[mask == 0] = pad
    if ended:
        ids[torch.arange(len(lengths)), torch.tensor(lengths) - 1] = pad
    return ids, mask


def _surprise(logits: Tensor, ids: Tensor) -> Tensor:
    """-log probability of each next token, (B, T - 1), in float64: position t predicts token t + 1."""
    x = logits.detach().double()[:, :-1].transpose(1, 2)
    return F.cross_entropy(x, ids[:, 1:], reduction="none")


def _own(logits: Tensor, ids: Tensor) -> Tensor:
    """-log probability of the token that stands at the position itself, (B, T): what a forgotten shift compares."""
    return F.cross_entropy(logits.detach().double().transpose(1, 2), ids, reduction="none")


def _mean(values: Tensor, counted: Tensor) -> float:
    return values[counted.bool()].mean().item()


# --------------------------------------------------------------------------------------------------------
# causal_loss
# --------------------------------------------------------------------------------------------------------

NO_SHIFT = Misconception(
    "no-shift",
    "Each position was compared with the token that stands there, which the model has just read. To repeat it is no "
    "feat: the loss falls fast, and the model learns to copy.",
    "which token position t is to predict, and which two slices line them up",
)
SHIFTED_TWICE = Misconception(
    "shifted-twice",
    "Each position was compared with the token after the next: the sequences were shifted twice.",
    "how many of your lines move the logits or the ids by one place",
)
SHIFTED_BACK = Misconception(
    "shifted-back",
    "Each position was compared with the token before it. That one the model has read, too.",
    "which of the two, logits or ids, loses its first column and which its last",
)
PADDING_COUNTED = Misconception(
    "padding-counted",
    "Padding was counted. The model is then taught to write padding after padding, and the loss depends on how long "
    "the longest row of the batch is.",
    "what a target with mask 0 adds to the sum, and to the number that divides it",
)
MASK_NOT_SHIFTED = Misconception(
    "mask-not-shifted",
    "The mask was not shifted along with the ids: what counts is whether the token that is predicted is real, and "
    "not the one it is predicted from. So the first padded token of each row was counted.",
    "which columns of the mask belong to the targets",
)
END_MASKED = Misconception(
    "end-masked",
    "The end token was left out. A model that is never asked to predict the end never learns to stop.",
    "how your code knows padding: the end token may have the pad token's id, and only the mask tells them apart",
)
ROWS_AVERAGED = Misconception(
    "rows-averaged",
    "This is the mean of the rows' means: a token in a short row counts for more than one in a long row.",
    "what is averaged first, and over what",
)
SUMMED = Misconception(
    "summed",
    "This is a sum, of all tokens or of each row's. It grows with the length of the text, and so would every step.",
    "what the sum is divided by",
)
WRONG_COUNT = Misconception(
    "wrong-count",
    "The sum was divided by another number than that of the predictions that it holds. A row of n real tokens has "
    "n - 1 next tokens.",
    "the number that divides the sum",
)
SOFTMAX_FIRST = Misconception(
    "softmax-first",
    "Softmax was applied before the loss, which applies it itself.",
    "how often softmax is taken between the logits and the loss",
)
AXES_MIXED = Misconception(
    "axes-mixed",
    "The logits were reshaped where their axes should have been exchanged: numbers of one position landed in "
    "another's row.",
    "`reshape` and `view` keep the order of the numbers; what puts the vocabulary where the loss wants it?",
)
TARGET_ZERO = Misconception(
    "padding-counted",
    "Padded targets were set to a token and then counted like any other.",
    "which target value `F.cross_entropy` leaves out",
)
NOT_A_NUMBER = Misconception(
    "not-a-number",
    "What came back is not one number.",
    "the `return` line, and what the mean was taken over",
)
NO_GRADIENT = Misconception(
    "no-gradient",
    "No gradient flows from the loss back to the logits.",
    "`detach()`, `item()`, `torch.tensor(...)`, numpy and `no_grad` between the logits and the `return`",
)
WRONG_GRADIENT = Misconception(
    "wrong-gradient",
    "The value is right, and its gradient is not.",
    "whether a part of the computation is cut out of the graph",
)
WRONG_LOSS = Misconception(
    "wrong-loss",
    "The loss is not the mean of -log probability over the next tokens that are real.",
    "each step, on a batch of one row with three tokens, by hand",
)

check_causal_loss = Check(
    "causal_loss",
    hints=(
        "The last position has nothing to predict, and the first token is predicted by nobody. What is left of the "
        "logits, and what of the ids?",
        "Whether a prediction counts is written in the mask of the token that is predicted. It needs the same slice "
        "as the ids.",
        "`F.cross_entropy` leaves out targets that are -100 (make them in a copy), or gives one loss per target with "
        "`reduction='none'`. It wants logits (N, V) with targets (N,), or (B, V, T) with (B, T).",
    ),
)


def _loss_ideas(logits: Tensor, ids: Tensor, mask: Tensor) -> list[tuple[Misconception, float]]:
    """What the loss is under each wrong idea."""
    x = logits.detach().double()
    rows, width, vocabulary = x.shape
    next_, own, real = _surprise(x, ids), _own(x, ids), mask[:, 1:].bool()
    back = F.cross_entropy(x[:, 1:].transpose(1, 2), ids[:, :-1], reduction="none")
    last = mask.sum(1) - 1
    not_last = real & (torch.arange(1, width) != last[:, None])
    total, count = next_[real].sum().item(), int(real.sum())
    row_means = [next_[r][real[r]].mean() for r in range(rows) if real[r].any()]
    zeroed = F.cross_entropy(x[:, :-1].transpose(1, 2), ids[:, 1:] * real, reduction="none")
    ideas = [
        (NO_SHIFT, _mean(own, mask)),
        (NO_SHIFT, own.mean().item()),
        (NO_SHIFT, _mean(own[:, :-1], mask[:, :-1])),
        (NO_SHIFT, _mean(own[:, 1:], real)),
        (NO_SHIFT, own[:, :-1].mean().item()),
        (NO_SHIFT, own[:, 1:].mean().item()),
        (SHIFTED_BACK, _mean(back, mask[:, 1:])),
        (SHIFTED_BACK, _mean(back, mask[:, :-1])),
        (SHIFTED_BACK, back.mean().item()),
        (PADDING_COUNTED, next_.mean().item()),
        (TARGET_ZERO, zeroed.mean().item()),
        (MASK_NOT_SHIFTED, _mean(next_, mask[:, :-1])),
        (SUMMED, total),
        (SUMMED, total / rows),
        (WRONG_COUNT, total / (rows * (width - 1))),
        (WRONG_COUNT, total / (rows * width)),
        (WRONG_COUNT, total / int(mask.sum())),
        (WRONG_COUNT, total / vocabulary / count),
        (ROWS_AVERAGED, torch.stack(row_means).mean().item()),
        (SOFTMAX_FIRST, _mean(_surprise(x.softmax(2), ids), real)),
    ]
    if not_last.any():
        ideas.append((END_MASKED, _mean(next_, not_last)))
    ended = ids[torch.arange(rows), last] if rows else ids[:, 0]
    if (
        len(set(ended.tolist())) == 1
    ):  # every row ends with the same token: leave out all of its kind
        others = real & (ids[:, 1:] != ended[0])
        if others.any():
            ideas.append((END_MASKED, _mean(next_, others)))
    if width > 2 and mask[:, 2:].any():
        twice = F.cross_entropy(x[:, :-2].transpose(1, 2), ids[:, 2:], reduction="none")
        ideas += [(SHIFTED_TWICE, _mean(twice, mask[:, 2:])), (SHIFTED_TWICE, twice.mean().item())]
    mixed = x[:, :-1].reshape(rows, vocabulary, width - 1)
    mixed_loss = F.cross_entropy(mixed, ids[:, 1:], reduction="none")
    ideas += [(AXES_MIXED, _mean(mixed_loss, real)), (AXES_MIXED, mixed_loss.mean().item())]
    return ideas


def _check_loss(causal_loss: Callable, logits: Tensor, ids: Tensor, mask: Tensor) -> None:
    value = causal_loss(logits.clone(), ids.clone(), mask.clone())
    if isinstance(value, Tensor):
        if value.numel() != 1:
            raise Wrong(
                NOT_A_NUMBER,
                seen=gettext("a tensor of shape {shape}").format(shape=tuple(value.shape)),
                expected="one number",
            )
        value = value.detach().reshape(()).item()
    try:
        seen = float(value)
    except (TypeError, ValueError):
        raise Wrong(NOT_A_NUMBER, seen=_short(value), expected="one number") from None
    expected = _mean(_surprise(logits, ids), mask[:, 1:])
    # 1e-5: the loss may be computed in float32; the nearest wrong formula is 1e-3 away
    if _near(seen, expected, within=1e-5):
        return
    lengths = ", ".join(str(int(n)) for n in mask.sum(1))
    shown = gettext(
        "{seen:.6g} for logits of shape {logits_shape}, rows of {lengths} real tokens"
    ).format(seen=seen, logits_shape=tuple(logits.shape), lengths=lengths)
    for idea, other in _loss_ideas(logits, ids, mask):
        if _near(seen, other, within=1e-5):
            raise Wrong(idea, seen=shown, expected=f"{expected:.6g}")
    raise Wrong(WRONG_LOSS, seen=shown, expected=f"{expected:.6g}")


def _logits(ids: Tensor, vocabulary: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return 2 * torch.randn(*ids.shape, vocabulary, dtype=dtype)


@check_causal_loss.part(2, "compares position t with token t + 1")
def _(causal_loss: Callable, cases: Sequence[tuple[Sequence[int], int]]) -> None:
    for lengths, vocabulary, dtype in (
        ((6, 6, 6), 9, torch.float64),
        ((4,), 11, torch.float32),
        ((5, 5), 3, torch.float32),
        ((2, 2, 2, 2), 6, torch.float64),
    ):
        ids, mask = padded(lengths, vocabulary, 0)
        _check_loss(causal_loss, _logits(ids, vocabulary, dtype), ids, mask)


@check_causal_loss.part(1, "counts every real next token once, and no padding")
def _(causal_loss: Callable, cases: Sequence[tuple[Sequence[int], int]]) -> None:
    for lengths, vocabulary, pad in (
        ((7, 3, 5, 2), 9, 0),
        ((2, 8), 5, 4),
        ((4, 1, 6), 7, 3),
        ((3, 3, 3), 8, 0),
    ):
        ids, mask = padded(lengths, vocabulary, pad)
        _check_loss(causal_loss, _logits(ids, vocabulary), ids, mask)
        # more padding makes no difference
        wider = F.pad(ids, (0, 3), value=pad), F.pad(mask, (0, 3))
        _check_loss(causal_loss, _logits(wider[0], vocabulary), *wider)


@check_causal_loss.part(1, "counts the end token, also where it has the pad token's id")
def _(causal_loss: Callable, cases: Sequence[tuple[Sequence[int], int]]) -> None:
    for lengths, vocabulary, pad in (((5, 3, 7), 8, 7), ((2, 6, 4, 4), 9, 0), ((3, 9), 6, 2)):
        ids, mask = padded(lengths, vocabulary, pad, ended=True)
        _check_loss(causal_loss, _logits(ids, vocabulary), ids, mask)
        ids[0, 0] = pad  # GPT-2's end token begins a text, too
        _check_loss(causal_loss, _logits(ids, vocabulary), ids, mask)


@check_causal_loss.part(1, "lets gradients through, and leaves its inputs alone")
def _(causal_loss: Callable, cases: Sequence[tuple[Sequence[int], int]]) -> None:
    for lengths, vocabulary, pad, ended in (
        ((6, 3, 4), 7, 6, True),
        ((5, 2), 9, 0, False),
        ((4, 4), 5, 1, False),
    ):
        ids, mask = padded(lengths, vocabulary, pad, ended=ended)
        _check_inputs_and_gradient(causal_loss, _logits(ids, vocabulary), ids, mask)
    for lengths, vocabulary in cases:
        ids, mask = padded(lengths, vocabulary, vocabulary - 1, ended=True)
        _check_loss(causal_loss, _logits(ids, vocabulary), ids, mask)
        _check_inputs_and_gradient(causal_loss, _logits(ids, vocabulary), ids, mask)


def _check_inputs_and_gradient(
    causal_loss: Callable, logits: Tensor, ids: Tensor, mask: Tensor
) -> None:
    """The gradient of the mean is (softmax - one-hot) / count where a real token is predicted, and zero elsewhere."""
    leaf = logits.clone().requires_grad_()
    given = leaf * 1, ids.clone(), mask.clone()  # computed logits, as a network gives them
    value = causal_loss(*given)
    for name, now, before in zip(
        ("logits", "ids", "mask"), given, (logits, ids, mask), strict=True
    ):
        if not _same(now, before):
            raise Wrong(
                INPUTS_CHANGED, seen=gettext("the {name} are not what they were").format(name=name)
            )
    gradient = None
    if isinstance(value, Tensor) and value.requires_grad and value.numel() == 1:
        (gradient,) = torch.autograd.grad(value.reshape(()), leaf, allow_unused=True)
    if gradient is None:
        raise Wrong(NO_GRADIENT, seen="nothing arrives at the logits", expected="a gradient")
    real = mask[:, 1:].bool()
    expected = torch.zeros_like(logits)
    slope = logits[:, :-1].softmax(2) - F.one_hot(ids[:, 1:], logits.shape[2])
    expected[:, :-1] = slope * real[..., None] / real.sum()
    # entries are of size 1/count, about 0.1: 1e-6 leaves room for float32 and for no wrong term
    if not torch.allclose(gradient.double(), expected, rtol=0, atol=1e-6):
        largest = (gradient - expected).abs().max().item()
        idea = WRONG_GRADIENT if gradient.any() else NO_GRADIENT
        raise Wrong(
            idea,
            seen=gettext("a gradient that is off by up to {largest:.2g}").format(largest=largest),
        )


# --------------------------------------------------------------------------------------------------------
# perplexity
# --------------------------------------------------------------------------------------------------------

BATCHES_AVERAGED = Misconception(
    "batches-averaged",
    "This is a mean over batches. Batches hold different numbers of tokens, and those of a small one count for more: "
    "the perplexity then depends on how the text was cut into batches.",
    "what each batch adds to your sum, and what the sum is divided by in the end",
)
ROWS_WEIGHTED = Misconception(
    "rows-averaged",
    "Each row counts the same here, however many tokens it has. Perplexity is a mean over tokens.",
    "what the weight of a row, or of a batch, is",
)
NO_EXP = Misconception(
    "no-exp",
    "This is the mean negative log-likelihood, in nats. Its exponential is missing.",
    "what stands between the mean and the `return`",
)
WRONG_BASE = Misconception(
    "wrong-base",
    "The base of the logarithm and the base of the power are not the same. With the natural logarithm it is `exp`.",
    "which logarithm the loss takes, and what you raise to the mean",
)
EXP_TOO_EARLY = Misconception(
    "exp-too-early",
    "Perplexities were averaged: the exponential was taken before the mean and not after it.",
    "where `exp` stands: inside the loop, or behind it",
)
BATCH_SKIPPED = Misconception(
    "batch-skipped",
    "Not every batch was used.",
    "where your loop ends, and where the `return` stands",
)
TRAINING_MODE = Misconception(
    "training-mode",
    "The model was measured in training mode: Dropout silenced a part of it at random, and BatchNorm looked at the "
    "batch instead of its running statistics.",
    "the mode of the model, and of all its layers, when the first batch goes in",
)
MODE_NOT_RESTORED = Misconception(
    "mode-not-restored",
    "Afterwards the model, or a layer of it, is in another mode than before. Whoever trains on then trains in eval "
    "mode, or measures in training mode, and nothing says so.",
    "what your code does with the mode before it returns, and whether it knows what the mode was",
)
GRAPH_BUILT = Misconception(
    "graph-built",
    "A graph was built: the logits ask for gradients, so everything on the way was kept for a backward pass that "
    "never comes.",
    "whether the call of the model itself runs where gradients are off",
)
GRADIENTS_LEFT_OFF = Misconception(
    "gradients-left-off",
    "Afterwards gradients are still switched off, for everybody: the next loss that is to go backward has no graph.",
    "what switches gradients off, and where it ends",
)
MODEL_CHANGED = Misconception(
    "model-changed",
    "A parameter or a buffer of the model is not what it was. Measuring must not change what is measured.",
    "what your code does to the model besides calling it",
)
WRONG_PERPLEXITY = Misconception(
    "wrong-perplexity",
    "This is not exp of the mean negative log-likelihood over all real next tokens.",
    "the two numbers that you keep from batch to batch: a sum, and how many tokens it is a sum of",
)

check_perplexity = Check(
    "perplexity",
    hints=(
        "Means of unequal batches cannot be averaged; sums can be added. Which two sums do you need?",
        "`causal_loss` gives a mean over the real next tokens of a batch. Times their number, `mask[:, 1:].sum()`, it "
        "is a sum again.",
        "`was = model.training`, `model.eval()`, a loop inside `with torch.no_grad():`, `model.train(was)`; behind "
        "the loop one division, and `math.exp`.",
    ),
)


class Reader(nn.Module):
    """Ids (B, T) to logits (B, T, V), with layers that do other things in training mode."""

    def __init__(self, vocabulary: int, see: Callable[[Tensor], None] | None = None) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, 6)
        self.norm = nn.Sequential(nn.BatchNorm1d(6))
        self.drop = nn.Dropout(0.6)
        self.head = nn.Linear(6, vocabulary)
        self.tap = Tap(see) if see is not None else None

    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.norm(self.embed(ids).transpose(1, 2)).transpose(1, 2)
        logits = self.head(self.drop(hidden))
        return logits if self.tap is None else self.tap(logits)


def _reader(vocabulary: int, see: Callable[[Tensor], None] | None = None) -> Reader:
    """As training might have left it: running statistics far from those of the ids that come."""
    model = Reader(vocabulary, see)
    norm = model.norm[0]
    norm.running_mean.copy_(torch.randn(6))
    norm.running_var.copy_(0.1 + torch.rand(6))
    return model


class Table(nn.Module):
    """Ids (B, T) to logits (B, T, V): the row of a table that belongs to each token, whatever stands before it."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.rows = nn.Embedding.from_pretrained(table.clone(), freeze=False)

    def forward(self, ids: Tensor) -> Tensor:
        return self.rows(ids)


class Context(Table):
    """Ids (B, T) to logits (B, T, V): the row of a table that belongs to the sum of all ids so far, modulo V."""

    def __init__(self, table: Tensor, see: Callable[[Tensor], None] | None = None) -> None:
        super().__init__(table)
        self.tap = Tap(see) if see is not None else None

    def forward(self, ids: Tensor) -> Tensor:
        logits = self.rows(ids.cumsum(1) % self.rows.num_embeddings)
        return logits if self.tap is None else self.tap(logits)


class Nested(nn.Module):
    """Measures another model each time it is called, and says in its logits whether gradients are on afterwards.

    Logits (B, T, 2), for ids that are all 0: even where they are on, sure of token 0 where they are not.
    """

    def __init__(self, perplexity: Callable, model: nn.Module, loader: Iterable[Batch]) -> None:
        super().__init__()
        self.perplexity, self.model, self.loader = perplexity, model, loader

    def forward(self, ids: Tensor) -> Tensor:
        with torch.enable_grad():
            self.perplexity(self.model, self.loader)
            off = not torch.is_grad_enabled()
        return torch.tensor([5.0 * off, 0.0]).expand(*ids.shape, 2)


def _loader(batches: Sequence[Batch]) -> DataLoader:
    """A loader that gives these batches as they are."""
    return DataLoader(batches, batch_size=None)


def _batches(
    lengths: Sequence[Sequence[int]], vocabulary: int, pad: int, *, ended: bool = False
) -> list[Batch]:
    return [padded(rows, vocabulary, pad, ended=ended) for rows in lengths]


def _eval_logits(model: nn.Module, ids: Tensor) -> Tensor:
    twin = copy.deepcopy(model).eval()
    if isinstance(twin, Reader):
        twin.tap = None
    with torch.no_grad():
        return twin(ids)


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def _check_perplexity(
    perplexity: Callable, model: nn.Module, batches: Sequence[Batch], *, plain: bool = False
) -> None:
    """plain: hand over a list of batches instead of a DataLoader."""
    logits = [_eval_logits(model, ids) for ids, _ in batches]
    next_ = [_surprise(x, ids) for x, (ids, _) in zip(logits, batches, strict=True)]
    own = [_own(x, ids) for x, (ids, _) in zip(logits, batches, strict=True)]
    masks = [mask for _, mask in batches]
    real = [mask[:, 1:].bool() for mask in masks]
    sums = [n[r].sum().item() for n, r in zip(next_, real, strict=True)]
    counts = [int(r.sum()) for r in real]
    sizes = [len(mask) for mask in masks]
    tokens = [int(mask.sum()) for mask in masks]
    total, count = sum(sums), sum(counts)
    mean = total / count
    given = [(ids.clone(), mask.clone()) for ids, mask in batches]
    said = perplexity(model, given if plain else _loader(given))
    if not isinstance(said, float):
        raise Wrong(NOT_A_FLOAT, seen=_short(said), expected="a float")
    seen, expected = float(said), math.exp(mean)
    # 1e-4: float32 sums of a few dozen logs; the nearest wrong mean is 1e-3 away
    if _near(seen, expected, within=1e-4):
        return

    def weighted(values: Sequence[float], weights: Sequence[float]) -> float:
        return sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)

    means = [s / c for s, c in zip(sums, counts, strict=True)]
    rows = [
        n[i][r[i]].mean().item()
        for n, r in zip(next_, real, strict=True)
        for i in range(len(n))
        if r[i].any()
    ]
    everything = torch.cat([n.flatten() for n in next_]).mean().item()
    unshifted = [_mean(n, mask[:, :-1]) for n, mask in zip(next_, masks, strict=True)]
    from_real = torch.cat([n[m[:, :-1].bool()] for n, m in zip(next_, masks, strict=True)]).mean()
    own_mean = torch.cat([n[m.bool()] for n, m in zip(own, masks, strict=True)]).mean().item()
    own_next = torch.cat([n[:, 1:][r] for n, r in zip(own, real, strict=True)]).mean().item()
    own_all = torch.cat([n.flatten() for n in own]).mean().item()
    without_end = [
        r & (torch.arange(1, m.shape[1]) != (m.sum(1) - 1)[:, None])
        for r, m in zip(real, masks, strict=True)
    ]
    without = torch.cat([n[w] for n, w in zip(next_, without_end, strict=True)])
    pad = batches[0][0][masks[0] == 0]
    pad_id = int(pad[0]) if len(pad) else -1
    not_pad = torch.cat(
        [n[r & (b[0][:, 1:] != pad_id)] for n, r, b in zip(next_, real, batches, strict=True)]
    )
    ideas: list[tuple[Misconception, float]] = [
        (NO_EXP, mean),
        (WRONG_BASE, 2.0**mean),
        (WRONG_BASE, _exp(mean / math.log(2))),
        (WRONG_BASE, _exp(mean / math.log(10))),
        (BATCHES_AVERAGED, _exp(weighted(means, [1.0] * len(means)))),
        (ROWS_WEIGHTED, _exp(weighted(means, sizes))),
        (ROWS_WEIGHTED, _exp(sum(rows) / len(rows))),
        (EXP_TOO_EARLY, weighted([_exp(m) for m in means], [1.0] * len(means))),
        (EXP_TOO_EARLY, weighted([_exp(m) for m in means], counts)),
        (EXP_TOO_EARLY, weighted([_exp(m) for m in means], sizes)),
        (EXP_TOO_EARLY, sum(_exp(row) for row in rows) / len(rows)),
        (EXP_TOO_EARLY, torch.cat([n[r] for n, r in zip(next_, real, strict=True)]).exp().mean()),
        (NO_SHIFT, _exp(own_mean)),
        (NO_SHIFT, _exp(own_next)),
        (NO_SHIFT, _exp(own_all)),
        (PADDING_COUNTED, _exp(everything)),
        (
            PADDING_COUNTED,
            _exp(sum(n.mean().item() for n in next_) / len(next_)),
        ),
        (MASK_NOT_SHIFTED, _exp(from_real.item())),
        (MASK_NOT_SHIFTED, _exp(sum(unshifted) / len(unshifted))),
        (WRONG_COUNT, _exp(weighted(means, tokens))),
        (WRONG_COUNT, _exp(total / sum(tokens))),
        (WRONG_COUNT, _exp(total / sum(n.numel() for n in next_))),
        (WRONG_COUNT, _exp(total / sum(m.numel() for m in masks))),
        (WRONG_COUNT, _exp(total / sum(sizes))),
        (WRONG_COUNT, _exp(total / len(sums))),
        (WRONG_COUNT, _exp(sum(means))),
        (WRONG_COUNT, _exp(weighted(means, [m.numel() for m in masks]))),
        (WRONG_COUNT, _exp(weighted(means, [n.numel() for n in next_]))),
        (WRONG_COUNT, _exp(total)),
        (BATCH_SKIPPED, _exp(means[0])),
        (BATCH_SKIPPED, _exp(means[-1])),
        (BATCH_SKIPPED, _exp(sum(sums[:-1]) / max(1, sum(counts[:-1])))),
    ]
    if len(without):
        ideas.append((END_MASKED, _exp(without.mean().item())))
    if len(not_pad):
        ideas.append((END_MASKED, _exp(not_pad.mean().item())))
    shown = gettext(
        "{seen:.6g} for batches with {counts} real next tokens, of mean surprise {means}"
    ).format(
        seen=seen, counts=", ".join(map(str, counts)), means=", ".join(f"{m:.4g}" for m in means)
    )
    for idea, other in ideas:
        if math.isfinite(seen) and _near(seen, float(other), within=1e-4):
            raise Wrong(idea, seen=shown, expected=f"{expected:.6g}")
    raise Wrong(WRONG_PERPLEXITY, seen=shown, expected=f"{expected:.6g}")


@check_perplexity.part(2, "is exp of the mean surprise over all real next tokens")
@torch.enable_grad()
def _(perplexity: Callable, cases: Sequence[Sequence[Sequence[int]]]) -> None:
    for lengths, vocabulary, pad, ended, plain in (
        (((7, 3, 5), (9,), (2, 4)), 8, 0, False, False),
        (((4, 4), (2, 2)), 5, 4, False, True),
        (((6, 2, 2, 8),), 9, 3, False, False),
        (((3, 8, 5), (11, 2), (2, 4)), 7, 6, True, True),
        (((5, 1), (3, 7, 4)), 6, 5, True, False),
    ):
        # each batch is of another kind of token, so that no two batches surprise alike
        model = Context(3 * torch.randn(vocabulary, vocabulary))
        batches = _batches(lengths, vocabulary, pad, ended=ended)
        _check_perplexity(perplexity, model.eval(), batches, plain=plain)


@check_perplexity.part(1, "looks at the model in eval mode, and puts the mode back")
@torch.enable_grad()
def _(perplexity: Callable, cases: Sequence[Sequence[Sequence[int]]]) -> None:
    for training in (True, False):
        model = _reader(9)
        model.train(training)
        before = model.norm[0].running_mean.clone()
        try:
            _check_perplexity(perplexity, model, _batches(((6, 4, 9), (5, 8)), 9, 0))
        except Wrong as wrong:
            if wrong.misconception in (WRONG_PERPLEXITY, MODEL_CHANGED) and training:
                moved = not _same(model.norm[0].running_mean, before)
                seen = wrong.seen
                if moved:
                    seen = gettext("{seen}; a running mean moved").format(seen=seen)
                raise Wrong(TRAINING_MODE, seen=seen, expected=wrong.expected) from None
            raise
        _check_left_alone(model, training)


def _check_left_alone(model: nn.Module, training: bool) -> None:
    for name, module in model.named_modules():
        if module.training != training:
            seen = gettext("{name} is in {mode} mode").format(
                name=name or gettext("the model itself"), mode=_mode(module.training)
            )
            raise Wrong(
                MODE_NOT_RESTORED,
                seen=seen,
                expected=gettext("{mode} mode, as before").format(mode=_mode(training)),
            )


@check_perplexity.part(1, "builds no graph, and changes nothing in the model")
@torch.enable_grad()
def _(perplexity: Callable, cases: Sequence[Sequence[Sequence[int]]]) -> None:
    for training in (False, True):
        asked: list[bool] = []
        model = _reader(7, lambda logits, asked=asked: asked.append(logits.requires_grad))
        model.train(training)
        model.head.bias.requires_grad_(False)
        values = {name: value.clone() for name, value in model.state_dict().items()}
        flags = {name: p.requires_grad for name, p in model.named_parameters()}
        perplexity(model, _loader(_batches(((5, 3), (6, 2, 4)), 7, 0)))
        if any(asked):
            raise Wrong(
                GRAPH_BUILT,
                seen=gettext(
                    "{count} of {total} batches gave logits with requires_grad True"
                ).format(count=sum(asked), total=len(asked)),
                expected="False",
            )
        if not asked:
            raise Wrong(BATCH_SKIPPED, seen="the model was never called")
        now = model.state_dict()
        for name, value in values.items():
            if name not in now or not _same(now[name], value):
                raise Wrong(
                    MODEL_CHANGED, seen=gettext("{name} is not what it was").format(name=name)
                )
        for name, parameter in model.named_parameters():
            if parameter.requires_grad != flags.get(name):
                seen = gettext("{name}.requires_grad is {flag}").format(
                    name=name, flag=parameter.requires_grad
                )
                raise Wrong(
                    MODEL_CHANGED,
                    seen=seen,
                    expected=gettext("{flag}, as before").format(flag=flags.get(name)),
                )
    zeros = [(torch.zeros(2, 3).long(), torch.ones(2, 3).long())]
    value = perplexity(Nested(perplexity, _reader(7), _batches(((3, 2),), 7, 0)), zeros)
    # 2 where both tokens are equally likely; nearly 1 where the inner call left gradients off
    if isinstance(value, float) and abs(value - 1.0) < 0.2:
        raise Wrong(GRADIENTS_LEFT_OFF, seen="torch.is_grad_enabled() is False", expected="True")
    for lengths in cases:
        model = _reader(12)
        model.train()
        _check_perplexity(perplexity, model, _batches(lengths, 12, 11, ended=True))
        _check_left_alone(model, True)


# --------------------------------------------------------------------------------------------------------
# sample
# --------------------------------------------------------------------------------------------------------

NOT_ONE_EACH = Misconception(
    "not-one-each",
    "What came back is not one token id for each row: an int64 tensor of shape (B,).",
    "the shape and the dtype of what you return; `torch.multinomial` gives a column for each draw",
)
WRONG_POSITION = Misconception(
    "wrong-position",
    "The draw did not come from the last position's logits. Only they know all that has been written.",
    "which of the T positions your code reads",
)
GREEDY = Misconception(
    "greedy",
    "The most likely token came every time. That is a choice and not a draw.",
    "where chance comes into your function",
)
TEMPERATURE_AFTER = Misconception(
    "temperature-after-softmax",
    "The temperature did not do its work. Applied after softmax it does nothing, or something else: probabilities "
    "that are all divided by the same number are the same again as soon as they add up to one.",
    "whether logits or probabilities are divided by the temperature",
)
TEMPERATURE_UPSIDE_DOWN = Misconception(
    "temperature-upside-down",
    "The temperature works the wrong way round: a low one should make the likely tokens likelier, a high one should "
    "bring them all nearer to each other.",
    "whether the logits are multiplied or divided",
)
OVERFLOW = Misconception(
    "overflow",
    "At a low temperature the exponentials overflowed: the logits divided by 0.01 are a hundred times as large.",
    "the largest number that `exp` gets",
)
TOP_K_IGNORED = Misconception(
    "top-k-ignored",
    "Tokens outside the top_k largest were drawn.",
    "what becomes of the probability of a token that is not among the k",
)
TOP_K_COUNT = Misconception(
    "top-k-count",
    "The number of tokens that can be drawn is not top_k.",
    "where the limit lies: is the k-th largest kept, and the one after it dropped?",
)
TOP_P_IGNORED = Misconception(
    "top-p-ignored",
    "Tokens outside the top_p nucleus were drawn.",
    "what becomes of the probability of a token outside the nucleus",
)
BEST_DROPPED = Misconception(
    "best-dropped",
    "With a small top_p the best token was dropped. Its probability alone reaches top_p: it is the token that crosses "
    "the line, and it belongs to the nucleus.",
    "the comparison of the cumulative sum with top_p: does the sum at a token's place hold its own probability?",
)
CROSSING_DROPPED = Misconception(
    "crossing-dropped",
    "The token that crosses top_p was dropped. The nucleus is the smallest set that reaches top_p, so that token "
    "belongs to it.",
    "the comparison of the cumulative sum with top_p: does the sum at a token's place hold its own probability?",
)
NUCLEUS_TOO_LARGE = Misconception(
    "nucleus-too-large",
    "A token after the one that crosses top_p was kept.",
    "by how many places your mask was shifted",
)
FROM_THE_WRONG_END = Misconception(
    "from-the-wrong-end",
    "The limit keeps the least likely tokens: it was counted in rising order.",
    "the order in which your code sorts, and which end it keeps",
)
LIMIT_BEFORE_TEMPERATURE = Misconception(
    "limit-before-temperature",
    "The nucleus was chosen with the probabilities from before the temperature.",
    "which probabilities the cumulative sum is taken over",
)
RANK_FOR_TOKEN = Misconception(
    "rank-for-token",
    "What came back are places in the sorted order, and not token ids.",
    "what an index into the sorted probabilities stands for, and how it becomes a token again",
)
ORDER_MIXED = Misconception(
    "order-mixed",
    "What was decided in the sorted order was applied to the tokens as they stand in the vocabulary: place 0 of the "
    "one is not token 0 of the other.",
    "how the mask of the sorted probabilities gets back to the tokens: `scatter` with the order puts each value where "
    "it came from, `gather` does not",
)
ROWS_MIXED = Misconception(
    "rows-mixed",
    "One row was limited as fits another. Every row has an order and a nucleus of its own.",
    "the `dim` of your sort and of your cumulative sum, and whether a threshold has one value for each row",
)
NOT_IN_PROPORTION = Misconception(
    "not-in-proportion",
    "All tokens within the limit came equally often. They keep their proportions: the limit only takes others away.",
    "the weights that you draw with",
)
SHARED_DRAW = Misconception(
    "shared-draw",
    "Equal rows always got equal tokens: one draw was made for the whole batch.",
    "how many random numbers your code takes from the generator",
)
OUTSIDE_LIMIT = Misconception(
    "outside-limit",
    "A token was drawn that the limits exclude.",
    "the order of the steps: temperature, top_k, top_p, and only then the draw",
)
NEVER_DRAWN = Misconception(
    "never-drawn",
    "A token that the limits allow was never drawn.",
    "which tokens your mask takes away, and what happens at its edge",
)
WRONG_DISTRIBUTION = Misconception(
    "wrong-distribution",
    "The tokens do not come as often as their probabilities say.",
    "what lies between the logits and the draw",
)
GENERATOR_IGNORED = Misconception(
    "generator-ignored",
    "The draw does not come from the generator alone. With the same seed twice, two people would read different "
    "texts; and whoever shares the global generator gets other numbers after your call than before.",
    "the argument `generator=` of every call that draws, and which state each call uses up",
)
ALWAYS_THE_SAME = Misconception(
    "always-the-same",
    "Another seed, or a second call with the same generator, gave the same tokens: a text of many tokens would be "
    "drawn with the same luck again and again.",
    "whether something seeds the generator anew, or copies its state",
)
IDS_CHANGED = Misconception(
    "ids-changed",
    "The ids that were handed in changed. To append the token is for the caller.",
    "assignments into `ids`",
)

check_sample = Check(
    "sample",
    hints=(
        "Logits of the last position, divided by the temperature. A token that must not come gets the logit `-inf`, "
        "and softmax makes it a probability of 0.",
        "Sort in falling order and take the cumulative sum. A token stays if the sum *before* it has not yet reached "
        "top_p: for the best one that sum is 0, so it always stays.",
        "With `p, order = probs.sort(dim=-1, descending=True)`, `p.cumsum(-1) - p` is the sum before each token. Set "
        "the others to 0, draw a column with `torch.multinomial(p, 1, generator=generator)`, and let `order.gather` "
        "turn the place into a token.",
    ),
)

DRAWS = 600  # of each distribution
# A right answer of any style is refused about once in a million checks: its draws are compared with the distribution
# itself, not with draws of ours. A token that cannot come refuses at once, a token that never came refuses where it was
# expected 16 times or more (chance e^-16), and the frequencies by Pearson's chi-squared test.
FALSE_ALARM, MISSED = 1e-7, 16

# Probabilities in falling order, far from any tie. At temperature 1 every token is expected 18 times or more. No sum of
# them lies near a top_p that is asked for.
SHAPES = (
    (0.38, 0.24, 0.15, 0.09, 0.06, 0.05, 0.03),
    (0.30, 0.21, 0.17, 0.12, 0.09, 0.07, 0.04),
    (0.52, 0.20, 0.10, 0.07, 0.045, 0.035, 0.03),
)


def _tables(shapes: Sequence[Sequence[float]] = SHAPES) -> tuple[Tensor, Tensor]:
    """A table of logits (V, V) for `Table`, and the order of each of its first rows: tokens by falling probability.

    Its first rows have the shapes, each with its tokens in a random order and a random number added; the other rows
    have others, which show when they are read.
    """
    vocabulary = len(shapes[0])
    table = 3 * torch.randn(vocabulary, vocabulary)
    orders = torch.stack([torch.randperm(vocabulary) for _ in shapes])
    for row, (shape, order) in enumerate(zip(shapes, orders, strict=True)):
        table[row, order] = torch.tensor(shape).log() + 2 * torch.randn(())
    return table, orders


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _drawn(said: Any, rows: int, vocabulary: int) -> Tensor:
    """What came back, if it is one token id for each row."""
    if not isinstance(said, Tensor):
        raise Wrong(
            NOT_ONE_EACH,
            seen=_short(said),
            expected=gettext("a tensor of shape ({rows},)").format(rows=rows),
        )
    if said.shape != (rows,) or said.dtype != torch.int64:
        raise Wrong(
            NOT_ONE_EACH,
            seen=gettext("{dtype} of shape {shape} for {rows} rows").format(
                dtype=said.dtype, shape=tuple(said.shape), rows=rows
            ),
            expected=gettext("torch.int64 of shape ({rows},)").format(rows=rows),
        )
    said = said.detach()
    if bool((said < 0).any() | (said >= vocabulary).any()):
        raise Wrong(
            NOT_ONE_EACH,
            seen=gettext("the token {token} of {vocabulary}").format(
                token=int(said.max()), vocabulary=vocabulary
            ),
            expected=gettext("0 to {last}").format(last=vocabulary - 1),
        )
    return said


@dataclass(frozen=True)
class _Settings:
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __str__(self) -> str:
        return f"temperature={self.temperature}, top_k={self.top_k}, top_p={self.top_p}"

    def kept(self, shape: Tensor) -> int:
        """How many tokens may come, of a distribution in falling order that the temperature has changed already.

        The cases below are such that it makes no difference whether the k are made to add up to one before top_p.
        """
        k = len(shape) if self.top_k is None else self.top_k
        if self.top_p is None or self.top_p >= 1:
            return k
        return min(k, int((shape.cumsum(0) < self.top_p).sum()) + 1)


def _tempered(shape: Sequence[float], temperature: float) -> Tensor:
    return (torch.tensor(shape).double().log() / temperature).softmax(0)


def _first(shape: Tensor, count: int) -> Tensor:
    """The distribution in falling order, limited to its first `count`."""
    kept = torch.where(torch.arange(len(shape)) < count, shape, torch.zeros(()).double())
    return kept / kept.sum()


def _fits(counts: Tensor, p: Tensor) -> bool:
    """Whether counts (V,) may be draws from p (V,): none where p is 0, and chi-squared no larger than chance allows."""
    from scipy.stats import chi2

    possible = p > 0
    if bool(counts[~possible].any() or (counts[p * counts.sum() >= MISSED] == 0).any()):
        return False
    if int(possible.sum()) == 1:
        return True
    expected = p[possible] * counts.sum()
    # Pearson's statistic; few-and-far tokens, expected less than 5 times, are left to the line above
    often = expected >= 5
    distance = ((counts[possible] - expected).square() / expected)[often].sum().item()
    return distance <= chi2.isf(FALSE_ALARM, max(1, int(often.sum()) - 1))


def _distribution_ideas(
    shapes: Sequence[Sequence[float]], settings: _Settings
) -> list[tuple[Misconception, list[Tensor]]]:
    """What each wrong idea draws from, one distribution for each shape, in falling order."""
    t = settings.temperature
    right = [_tempered(shape, t) for shape in shapes]
    kept = [settings.kept(p) for p in right]
    plain = [torch.tensor(shape).double() for shape in shapes]
    v = len(shapes[0])
    ideas: list[tuple[Misconception, list[Tensor]]] = []

    def add(idea: Misconception, ps: Iterable[Tensor]) -> None:
        ideas.append((idea, list(ps)))

    def limited(p: Tensor, settings: _Settings = settings) -> Tensor:
        return _first(p, settings.kept(p))

    if t != 1:
        counts_before = [settings.kept(p) for p in plain]
        add(TEMPERATURE_AFTER, (limited(p) for p in plain))
        add(TEMPERATURE_AFTER, (limited((p / t).softmax(0)) for p in plain))
        add(TEMPERATURE_AFTER, (limited(p.softmax(0) / 1) for p in plain))
        add(TEMPERATURE_UPSIDE_DOWN, (limited(_tempered(s, 1 / t)) for s in shapes))
        if counts_before != kept:
            add(
                LIMIT_BEFORE_TEMPERATURE,
                (_first(p, n) for p, n in zip(right, counts_before, strict=True)),
            )
            add(
                LIMIT_BEFORE_TEMPERATURE,
                (_first(p, n) for p, n in zip(plain, counts_before, strict=True)),
            )
    add(GREEDY, (_first(p, 1) for p in right))
    if settings.top_k is not None:
        without = _Settings(t, None, settings.top_p)
        add(TOP_K_IGNORED, (limited(p, without) for p in right))
        for change in (1, -1):
            k = settings.top_k + change
            if 1 <= k <= v and settings.top_p is None:
                add(TOP_K_COUNT, (_first(p, k) for p in right))
        if settings.top_p is None:
            add(FROM_THE_WRONG_END, (_first(p.flip(0), settings.top_k).flip(0) for p in right))
    if settings.top_p is not None and settings.top_p < 1:
        without = _Settings(t, settings.top_k)
        add(TOP_P_IGNORED, (limited(p, without) for p in right))
        add(CROSSING_DROPPED, (_first(p, max(1, n - 1)) for p, n in zip(right, kept, strict=True)))
        add(NUCLEUS_TOO_LARGE, (_first(p, min(v, n + 1)) for p, n in zip(right, kept, strict=True)))
        rising = [int((p.flip(0).cumsum(0) < settings.top_p).sum()) + 1 for p in right]
        for change in (0, -1):
            add(
                FROM_THE_WRONG_END,
                (
                    _first(p.flip(0), max(1, n + change)).flip(0)
                    for p, n in zip(right, rising, strict=True)
                ),
            )
        for n in sorted(set(kept)):
            if n > 0 and len(set(kept)) > 1:
                add(ROWS_MIXED, (_first(p, n) for p in right))
    add(
        NOT_IN_PROPORTION,
        (
            torch.where(_first(p, n) > 0, 1 / n, 0.0).double()
            for p, n in zip(right, kept, strict=True)
        ),
    )
    return ideas


def _draw_counts(
    sample: Callable, model: nn.Module, last: Tensor, settings: _Settings, seed: int, width: int
) -> Tensor:
    """One call with ids whose last position reads the row `last`, the others other rows; the tokens drawn (B,)."""
    vocabulary = model.rows.num_embeddings
    read = torch.randint(
        3, vocabulary, (len(last), width)
    )  # rows of the table that must not be read
    read[:, -1] = last
    ids = torch.diff(read, dim=1, prepend=torch.zeros(len(last), 1).long()) % vocabulary
    given = ids.clone()
    said = sample(
        model, given, settings.temperature, settings.top_k, settings.top_p, _generator(seed)
    )
    drawn = _drawn(said, len(last), vocabulary)
    if not _same(given, ids):
        raise Wrong(
            IDS_CHANGED,
            seen=gettext("ids of shape {shape} are not what they were").format(
                shape=tuple(ids.shape)
            ),
        )
    return drawn


def _check_draws(
    sample: Callable,
    settings: _Settings,
    *,
    seed: int,
    width: int = 3,
    shapes: Sequence[Sequence[float]] = SHAPES,
) -> None:
    """Draws from three distributions at once, the rows of a batch in turns, and compares how often each token came."""
    table, orders = _tables(shapes)
    vocabulary = len(shapes[0])
    last = torch.arange(len(shapes)).repeat(DRAWS)
    widths: list[int] = []
    model = Context(table, lambda logits: widths.append(logits.shape[1]))
    drawn = _draw_counts(sample, model, last, settings, seed, width)
    by_row = [drawn[last == row] for row in range(len(shapes))]
    # tokens -> places in the falling order of their row
    places = [order.argsort()[tokens] for order, tokens in zip(orders, by_row, strict=True)]
    counts = [torch.bincount(p, minlength=vocabulary) for p in places]
    right = [_tempered(shape, settings.temperature) for shape in shapes]
    expected = [_first(p, settings.kept(p)) for p in right]

    def all_fit(ps: Sequence[Tensor], of: Sequence[Tensor] = counts) -> bool:
        return all(_fits(c, p) for c, p in zip(of, ps, strict=True))

    if all_fit(expected):
        return
    row = next(r for r, (c, p) in enumerate(zip(counts, expected, strict=True)) if not _fits(c, p))
    often = ", ".join(f"{n / DRAWS:.2f}" for n in counts[row].tolist())
    shown = gettext(
        "with {settings} the tokens, likeliest first, came with frequency {often}"
    ).format(settings=settings, often=often)
    wanted = gettext("{expected}, within chance of {draws} draws").format(
        expected=", ".join(f"{p:.2f}" for p in expected[row].tolist()), draws=DRAWS
    )
    if all(len(set(tokens.tolist())) == 1 for tokens in by_row) and any(
        (p > 0).sum() > 1 for p in expected
    ):
        others = [_draw_counts(sample, model, last, settings, seed + n, width) for n in range(1, 7)]
        idea = GREEDY if all(torch.equal(other, drawn) for other in others) else SHARED_DRAW
        raise Wrong(idea, seen=shown, expected=wanted)
    for idea, ps in _distribution_ideas(shapes, settings):
        if all_fit(ps):
            raise Wrong(idea, seen=shown, expected=wanted)
    ranks = [torch.bincount(tokens, minlength=vocabulary) for tokens in by_row]
    if all_fit(expected, ranks):
        raise Wrong(RANK_FOR_TOKEN, seen=shown, expected=wanted)
    if min(widths, default=width) < width or (
        width > 1 and _other_position(by_row, table, settings)
    ):
        raise Wrong(WRONG_POSITION, seen=shown, expected=wanted)
    for count, p in zip(counts, expected, strict=True):
        if bool(count[p == 0].any()):
            raise Wrong(OUTSIDE_LIMIT, seen=shown, expected=wanted)
    for count, p in zip(counts, expected, strict=True):
        if bool((count[p * DRAWS >= MISSED] == 0).any()):
            raise Wrong(NEVER_DRAWN, seen=shown, expected=wanted)
    raise Wrong(WRONG_DISTRIBUTION, seen=shown, expected=wanted)


def _other_position(by_row: Sequence[Tensor], table: Tensor, settings: _Settings) -> bool:
    """Whether all rows draw alike, though their last tokens differ: they then read what stands before."""
    if settings != _Settings():
        return False
    pooled = torch.bincount(torch.cat(list(by_row)), minlength=table.shape[1]).double()
    alike = [torch.bincount(tokens, minlength=table.shape[1]) for tokens in by_row]
    return all(_fits(counts, (pooled + 1) / (pooled + 1).sum()) for counts in alike)


def _check_best(sample: Callable, settings: _Settings, idea: Misconception) -> None:
    """Where the limits leave one token, it comes every time."""
    table, orders = _tables()
    last = torch.arange(len(SHAPES)).repeat(20)
    try:
        drawn = _draw_counts(sample, Context(table), last, settings, seed=2, width=2)
    except NotImplementedError:
        raise
    except (RuntimeError, ValueError, IndexError) as error:
        if idea is BEST_DROPPED:  # does it come from the other rows?
            with contextlib.suppress(RuntimeError, ValueError, IndexError):
                _draw_counts(sample, Context(table), last[:1], settings, seed=2, width=2)
                idea = ROWS_MIXED
        raise Wrong(
            idea,
            seen=gettext("with {settings} your code raised {error_kind}: {error}").format(
                settings=settings, error_kind=type(error).__name__, error=str(error)[:120]
            ),
            expected="the best token",
        ) from None
    wrong = int((drawn != orders[last, 0]).sum())
    if wrong:
        # place 0 taken for token 0, or the place of token 0 for the token at place 0
        mixed = torch.zeros_like(orders[:, 0]), orders.argsort(1)[:, 0]
        if idea is BEST_DROPPED and any(torch.equal(drawn, tokens[last]) for tokens in mixed):
            idea = ORDER_MIXED
        raise Wrong(
            idea,
            seen=gettext(
                "with {settings} {wrong} of {count} tokens are not the best of their row"
            ).format(settings=settings, wrong=wrong, count=len(last)),
            expected="the best token every time",
        )


@check_sample.part(1, "draws one token for each row, as softmax of the last logits says")
def _(sample: Callable, cases: Sequence[_Settings]) -> None:
    for width, seed in ((3, 11), (1, 12)):
        _check_draws(sample, _Settings(), seed=seed, width=width)
    table, _ = _tables()
    for top_k, top_p in ((None, None), (3, None), (None, 0.7), (7, 1.0)):
        settings = _Settings(1.3, top_k, top_p)
        _draw_counts(sample, Context(table), torch.tensor([1]), settings, seed=3, width=4)


@check_sample.part(1, "divides the logits by the temperature")
def _(sample: Callable, cases: Sequence[_Settings]) -> None:
    _check_draws(sample, _Settings(2.0), seed=21)
    _check_draws(sample, _Settings(0.5), seed=22)
    _check_best(sample, _Settings(0.01), OVERFLOW)


@check_sample.part(1, "with top_k draws from the k largest, and from all of them")
def _(sample: Callable, cases: Sequence[_Settings]) -> None:
    for k, seed in ((3, 31), (5, 32), (7, 33)):
        _check_draws(sample, _Settings(1.0, k), seed=seed)
    _check_draws(sample, _Settings(1.0, 1), seed=34)
    _check_draws(sample, _Settings(1.7, 4), seed=35)


@check_sample.part(2, "with top_p draws from the nucleus, the token that crosses it included")
def _(sample: Callable, cases: Sequence[_Settings]) -> None:
    _check_best(sample, _Settings(1.0, None, 0.01), BEST_DROPPED)
    for settings, seed in (
        (_Settings(1.0, None, 0.7), 41),
        (_Settings(1.0, None, 0.25), 42),
        (_Settings(1.0, None, 0.88), 43),
        (_Settings(1.0, None, 1.0), 44),
        (_Settings(2.0, None, 0.72), 45),
        (_Settings(0.6, None, 0.85), 46),
        (_Settings(1.0, 2, 0.9), 47),  # top_k says where it ends
        (_Settings(1.0, 5, 0.677), 48),  # top_p does
    ):
        _check_draws(sample, settings, seed=seed)


@check_sample.part(1, "draws from the generator alone")
def _(sample: Callable, cases: Sequence[_Settings]) -> None:
    table, _ = _tables()
    ids = torch.arange(60)[:, None] % 3

    def draw(generator: torch.Generator, settings: _Settings) -> list[int]:
        said = sample(
            Table(table),
            ids.clone(),
            settings.temperature,
            settings.top_k,
            settings.top_p,
            generator,
        )
        return _drawn(said, len(ids), table.shape[1]).tolist()

    for settings in (_Settings(), _Settings(1.5, 6), _Settings(1.5, None, 0.95)):
        torch.manual_seed(1)
        first = draw(_generator(5), settings)
        torch.manual_seed(2)
        before = _global_state()
        if draw(_generator(5), settings) != first:
            raise Wrong(
                GENERATOR_IGNORED,
                seen=gettext("with {settings} the same seed gives other tokens").format(
                    settings=settings
                ),
            )
        if _global_state() != before:
            raise Wrong(
                GENERATOR_IGNORED, seen="a global generator has moved", expected="untouched"
            )
        generator = _generator(5)
        # 60 tokens with three bits or so each: by chance two draws agree once in 2 ** 100
        if draw(_generator(6), settings) == first or draw(generator, settings) == draw(
            generator, settings
        ):
            raise Wrong(
                ALWAYS_THE_SAME,
                seen=gettext("the same 60 tokens again with {settings}").format(settings=settings),
            )
    for number, case in enumerate(cases):
        temperature, top_k, top_p, shape = case
        _check_draws(
            sample, _Settings(temperature, top_k, top_p), seed=50 + number, shapes=(shape, shape[:])
        )


def _global_state() -> tuple[bytes, ...]:
    """Where the generators stand that a program shares: torch's, numpy's and Python's own."""
    _, keys, place, *_ = np.random.get_state()
    of_numpy = keys.tobytes() + str(place).encode()
    return (torch.get_rng_state().numpy().tobytes(), of_numpy, repr(random.getstate()).encode())


# --------------------------------------------------------------------------------------------------------
# shift_right
# --------------------------------------------------------------------------------------------------------

SHIFTED_LEFT = Misconception(
    "shifted-left",
    "The labels moved to the left. The decoder then reads the very token that it is to predict next, and the one "
    "after: it learns to copy, and at test time there is nothing to copy from.",
    "in which direction the tokens move, and where the place at the front comes from",
)
NOT_SHIFTED = Misconception(
    "not-shifted",
    "The labels stayed where they are. The decoder reads at each place the token that it is to predict there.",
    "which columns of the labels go to which columns of the result",
)
FIRST_OVERWRITTEN = Misconception(
    "first-overwritten",
    "The start token took the first token's place: the first token is lost, and nothing moved.",
    "which columns of the labels go to which columns of the result",
)
LAST_KEPT = Misconception(
    "last-kept",
    "The result is not as long as the labels. What comes in at the front goes out at the end.",
    "the shape of the result: it stands beside the labels, column by column",
)
ROLLED_ROUND = Misconception(
    "rolled-round",
    "The last token came back at the front, where the start token belongs.",
    "what `roll` does at the edge",
)
WRONG_START = Misconception(
    "wrong-start",
    "The first column is not start_id in every row.",
    "what is written into the first column, and into which rows of it",
)
WRONG_AXIS = Misconception(
    "wrong-axis",
    "The rows moved, and not the columns: one sentence was put in the place of another.",
    "the dimension along which you move",
)
SMEARED = Misconception(
    "smeared",
    "One token was copied along the whole row: each place was overwritten before it was moved on.",
    "the order in which your loop goes along the row",
)
WRONG_TOKENS = Misconception(
    "wrong-tokens",
    "The tokens behind the start are not the labels without their last column.",
    "what else your code does to the values: they are copied as they are, -100 too",
)
WRONG_DTYPE = Misconception(
    "wrong-dtype",
    "The result has another dtype than the labels. An embedding wants whole numbers.",
    "the dtype of the tensors that your code makes",
)
NOT_A_TENSOR = Misconception(
    "not-a-tensor",
    "What came back is not a tensor.",
    "the `return` line",
)

check_shift_right = Check(
    "shift_right",
    hints=(
        "Write down a row of four labels, and below it what the decoder may read at each of the four places.",
        "The result has the labels' shape. Its first column is known; where do the others come from?",
        "Make an empty tensor like the labels, then fill it in two lines, one for the first column and one for the "
        "rest. `labels[:, :-1]` is all but the last column.",
    ),
)


def _check_shifted(shift_right: Callable, labels: Tensor, start: int) -> None:
    said = shift_right(labels.clone(), start)
    if not isinstance(said, Tensor):
        raise Wrong(NOT_A_TENSOR, seen=_short(said), expected="an int64 tensor")
    shown = gettext("for labels {labels} and start {start}: {said}").format(
        labels=labels.tolist(), start=start, said=_short(said.tolist())
    )
    expected = [[start, *row[:-1]] for row in labels.tolist()]
    if said.shape != labels.shape:
        raise Wrong(
            LAST_KEPT,
            seen=gettext("shape {shape} for labels of shape {labels_shape}").format(
                shape=tuple(said.shape), labels_shape=tuple(labels.shape)
            ),
            expected=f"{tuple(labels.shape)}",
        )
    if said.tolist() == expected:
        return
    overwritten = labels.clone()
    overwritten[:, 0] = start
    smeared = [
        torch.full_like(labels, start),
        torch.cat([labels[:, :1]] * labels.shape[1], dim=1),
        torch.cat(
            [torch.full_like(labels[:, :1], start), labels[:, :1].expand(-1, labels.shape[1] - 1)],
            1,
        ),
    ]
    rest = torch.tensor([row[1:] for row in expected])
    moved_rows = labels.roll(1, 0)
    moved_rows[0] = start
    ideas = (
        (NOT_SHIFTED, torch.equal(said, labels)),
        (FIRST_OVERWRITTEN, torch.equal(said, overwritten)),
        (ROLLED_ROUND, torch.equal(said, labels.roll(1, 1))),
        (WRONG_AXIS, torch.equal(said, moved_rows) or torch.equal(said, labels.roll(1, 0))),
        (WRONG_AXIS, torch.equal(said.flatten()[1:], labels.flatten()[:-1])),
        (SHIFTED_LEFT, torch.equal(said[:, :-1], labels[:, 1:])),
        (WRONG_START, torch.equal(said[:, 1:].double(), rest.double())),
        (SMEARED, labels.shape[1] > 2 and any(torch.equal(said, other) for other in smeared)),
    )
    for idea, holds in ideas:
        if holds:
            raise Wrong(idea, seen=shown, expected=f"{expected}")
    raise Wrong(WRONG_TOKENS, seen=shown, expected=f"{expected}")


def _labels(rows: int, width: int) -> Tensor:
    """Labels that differ from each other everywhere, in a random order."""
    return torch.randperm(rows * width + 40)[: rows * width].reshape(rows, width) + 2


@check_shift_right.part(2, "puts the start token in front, and moves each label one place on")
def _(shift_right: Callable, cases: Sequence[tuple[int, int, int]]) -> None:
    for rows, width, start in ((2, 5, 0), (3, 4, 58), (1, 6, 1), (4, 2, 7), (5, 3, 101)):
        _check_shifted(shift_right, _labels(rows, width), start)
    ignored = _labels(3, 5)
    ignored[0, 3:], ignored[2, 2:] = -100, -100  # as labels say where padding is
    _check_shifted(shift_right, ignored, 1)


@check_shift_right.part(
    1, "gives a new int64 tensor, for one column too, and leaves the labels alone"
)
def _(shift_right: Callable, cases: Sequence[tuple[int, int, int]]) -> None:
    for rows, width, start in ((3, 1, 9), (1, 1, 0), (2, 6, 3), *cases):
        labels = _labels(rows, width)
        given = labels.clone()
        said = shift_right(given, start)
        if not _same(given, labels):
            raise Wrong(
                INPUTS_CHANGED,
                seen=gettext("the labels became {given}").format(given=_short(given.tolist())),
                expected=f"{labels.tolist()}",
            )
        if not isinstance(said, Tensor):
            raise Wrong(NOT_A_TENSOR, seen=_short(said), expected="an int64 tensor")
        if said.dtype != labels.dtype:
            raise Wrong(WRONG_DTYPE, seen=f"{said.dtype}", expected=f"{labels.dtype}")
        _check_shifted(shift_right, labels, start)


# --------------------------------------------------------------------------------------------------------
# bleu
# --------------------------------------------------------------------------------------------------------

UNCLIPPED = Misconception(
    "unclipped",
    "Matches were not clipped: a candidate that repeats a word of the reference was paid for every repetition.",
    "how often an n-gram may count at most: as often as a reference has it",
)
SET_COUNTED = Misconception(
    "set-counted",
    "Every n-gram counted once, however often it stands there.",
    "whether a set or a `Counter` holds the n-grams",
)
REFERENCES_SUMMED = Misconception(
    "references-summed",
    "The counts of several references were added up. An n-gram may count as often as the one reference has it that "
    "has it most often.",
    "how the counts of a candidate's references become one",
)
ONE_REFERENCE = Misconception(
    "one-reference",
    "Only one of a candidate's references was looked at.",
    "which references your counts come from",
)
RUN_TOGETHER = Misconception(
    "run-together",
    "Two different n-grams were taken for one: glued together, their tokens spell the same letters.",
    "what the keys of your counts are",
)
NO_PENALTY = Misconception(
    "no-brevity-penalty",
    "The brevity penalty was forgotten. A candidate that says only what it is sure of, and stops, then scores 1.",
    "the factor in front of the geometric mean, for candidates shorter than their references",
)
PENALTY_WRONG = Misconception(
    "brevity-penalty-wrong",
    "The brevity penalty is not exp(1 - r / c) for candidates that are shorter, and 1 for all others.",
    "which length stands above the fraction line, and when the penalty is 1",
)
NOT_THE_CLOSEST = Misconception(
    "not-the-closest",
    "With several references, r is the length of the one whose length is closest to the candidate's.",
    "which of the references' lengths you add to r",
)
ARITHMETIC = Misconception(
    "arithmetic-mean",
    "The precisions were averaged. BLEU takes their geometric mean, which is 0 as soon as one of them is.",
    "the mean of logarithms",
)
NO_ROOT = Misconception(
    "no-root",
    "The four precisions were multiplied, and no fourth root was taken.",
    "the weight of each logarithm",
)
WRONG_ORDERS = Misconception(
    "wrong-orders",
    "Not all n-grams from 1 to 4 were counted.",
    "the range of n",
)
SENTENCES_AVERAGED = Misconception(
    "sentences-averaged",
    "This is a mean over sentences. Corpus BLEU adds up the counts and the lengths of all of them first, and divides "
    "once.",
    "what your loop over the candidates collects",
)
POOLED = Misconception(
    "pooled",
    "A candidate was compared with the references of another one.",
    "whose n-grams limit a candidate's counts",
)
NEGATIVE_TOTAL = Misconception(
    "negative-total",
    "A candidate shorter than n has no n-grams, and not a negative number of them.",
    "how many n-grams your code says that a candidate of two tokens has, for n = 4",
)
SHORT_SKIPPED = Misconception(
    "short-skipped",
    "A candidate shorter than four tokens was left out. It has no 4-grams, but it has words, and a length.",
    "which candidates your loop passes over",
)
SMOOTHED = Misconception(
    "smoothed",
    "No n-gram of some length matches, so the score is 0. Here it was smoothed.",
    "what your code puts in the place of a count of 0",
)
RECALL = Misconception(
    "recall",
    "Matches were divided by the number of n-grams in the reference: that is recall. BLEU's precision divides by the "
    "candidate's.",
    "what the matches are divided by",
)
PERCENT = Misconception(
    "percent",
    "This is a percentage, or some other multiple. The score lies between 0 and 1.",
    "the `return` line",
)
NO_SCORE = Misconception("no-score", "What came back is not a number.", "the `return` line")
ZERO_FAILS = Misconception(
    "zero-fails",
    "Without a match the formula has a logarithm of 0 or a division by 0. The score is 0 then.",
    "which numbers can be 0, and where they are used",
)
WRONG_BLEU = Misconception(
    "wrong-bleu",
    "This is not corpus BLEU-4.",
    "the sums of matches and of n-grams for each n, on the two sentences of the example by hand",
)

check_bleu = Check(
    "bleu",
    hints=(
        "Eight sums run over the corpus, matches and n-grams for n = 1 to 4, and two more: the candidates' length and "
        "the references'. All division comes after the loop.",
        "`Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))` counts n-grams. `a & b` takes the "
        "smaller count of each key, `a | b` the larger.",
        "The matches are `(counts & limit).total()`, where `limit` is what `|` makes of the references' counts. The "
        "closest length is `min(lengths, key=lambda r: abs(r - c))`.",
    ),
)

Fours = tuple[int, int, int, int]


@dataclass(frozen=True)
class Pair:
    """A candidate, its references, and what was counted by hand: matches for n = 1 to 4, the closest length."""

    candidate: str
    references: tuple[str, ...]
    matches: Fours
    closest: int


@dataclass(frozen=True)
class Corpus:
    """Pairs, and what other ways of counting give: matches of the whole corpus, or a reference length."""

    pairs: tuple[Pair, ...]
    instead: Mapping[Misconception, Sequence[Fours]] = field(default_factory=dict)
    lengths: Sequence[float] = ()  # of references that are not the closest
    exact: bool = False  # the tokens are what they are; otherwise others are put in their places

    @property
    def matches(self) -> tuple[int, ...]:
        return tuple(map(sum, zip(*(pair.matches for pair in self.pairs), strict=True)))


def _totals(length: int) -> list[int]:
    return [max(0, length - n) for n in range(4)]


def _geometric(precisions: Sequence[float]) -> float:
    return math.prod(precisions) ** (1 / len(precisions))


def _penalty(c: float, r: float) -> float:
    return 1.0 if c > r else math.exp(1 - r / c) if c else 0.0


def _ratios(matches: Sequence[float], totals: Sequence[float]) -> list[float]:
    return [m / t if t else 0.0 for m, t in zip(matches, totals, strict=True)]


def _bleu_ideas(corpus: Corpus) -> list[tuple[Misconception, float]]:
    """What the score is under each wrong idea, from the same counts."""
    lengths = [len(pair.candidate.split()) for pair in corpus.pairs]
    c, r = sum(lengths), sum(pair.closest for pair in corpus.pairs)
    matches = corpus.matches
    totals = [sum(column) for column in zip(*map(_totals, lengths), strict=True)]
    p = _ratios(matches, totals)
    mean, penalty = _geometric(p), _penalty(c, r)
    sentences = [
        (
            _ratios(pair.matches, _totals(length)),
            _penalty(length, pair.closest),
        )
        for pair, length in zip(corpus.pairs, lengths, strict=True)
    ]
    found = len(corpus.pairs)
    of_references = [
        sum(column)
        for column in zip(*(_totals(pair.closest) for pair in corpus.pairs), strict=True)
    ]
    macro = [sum(column) / found for column in zip(*(q for q, _ in sentences), strict=True)]
    negative = [sum(length - n for length in lengths) for n in range(4)]
    long = [
        (pair, length) for pair, length in zip(corpus.pairs, lengths, strict=True) if length >= 4
    ]
    ideas: list[tuple[Misconception, float]] = []
    some_match = [q for q in p if q]
    if some_match and len(some_match) < 4:  # where nothing matches was left out of the mean
        ideas.append((SMOOTHED, penalty * _geometric(some_match)))
    if 0 < len(long) < found:
        some = [sum(column) for column in zip(*(pair.matches for pair, _ in long), strict=True)]
        of_some = [sum(column) for column in zip(*(_totals(n) for _, n in long), strict=True)]
        cut = _penalty(sum(n for _, n in long), sum(pair.closest for pair, _ in long))
        ideas.append((SHORT_SKIPPED, cut * _geometric(_ratios(some, of_some))))
    for idea, counts in corpus.instead.items():
        ideas += [(idea, penalty * _geometric(_ratios(other, totals))) for other in counts]
        ideas += [(idea, _geometric(_ratios(other, totals))) for other in counts]
    if c < r and c:
        ideas += [
            (NO_PENALTY, mean),
            (PENALTY_WRONG, mean * c / r),
            (PENALTY_WRONG, mean * math.exp(1 - c / r)),
            (PENALTY_WRONG, mean * math.exp(c / r - 1)),
            (PENALTY_WRONG, mean * math.exp(-r / c)),
        ]
    elif c:
        ideas += [
            (PENALTY_WRONG, mean * math.exp(1 - r / c)),
            (PENALTY_WRONG, mean * math.exp(1 - c / r)),
            (PENALTY_WRONG, mean * c / r),
            (PENALTY_WRONG, mean * r / c),
        ]
    for other in corpus.lengths:
        ideas.append((NOT_THE_CLOSEST, mean * _penalty(c, other)))
    if found > 1:
        ideas += [
            (SENTENCES_AVERAGED, sum(b * _geometric(q) for q, b in sentences) / found),
            (SENTENCES_AVERAGED, sum(_geometric(q) for q, _ in sentences) / found),
            (SENTENCES_AVERAGED, penalty * _geometric(macro)),
            (SENTENCES_AVERAGED, _geometric(macro)),
            (SENTENCES_AVERAGED, mean * sum(b for _, b in sentences) / found),
        ]
    if negative != totals and min(negative) > 0:
        ideas.append((NEGATIVE_TOTAL, penalty * _geometric(_ratios(matches, negative))))
    if 0 < len(long) < found:
        ideas.append((SHORT_SKIPPED, penalty * _geometric(_ratios(some, of_some))))
    more = [(m + 1) / (t + 1) for m, t in zip(matches, totals, strict=True)]
    ideas += [
        (SMOOTHED, penalty * _geometric(more)),
        (SMOOTHED, penalty * _geometric([p[0], *more[1:]])),
        (ARITHMETIC, penalty * sum(p) / 4),
        (NO_ROOT, penalty * math.prod(p)),
        (WRONG_ORDERS, penalty * p[0]),
        (WRONG_ORDERS, penalty * _geometric(p[:2])),
        (WRONG_ORDERS, penalty * _geometric(p[:3])),
        (WRONG_ORDERS, penalty * _geometric(p[1:])),
        (RECALL, penalty * _geometric(_ratios(matches, of_references))),
        (RECALL, _geometric(_ratios(matches, of_references))),
        (PERCENT, 100 * penalty * mean),
    ]
    return ideas


def _words(corpus: Corpus) -> tuple[list[list[str]], list[list[list[str]]]]:
    """The corpus as the learner's function gets it, with random words in the place of the letters."""
    names = sorted(
        {
            word
            for pair in corpus.pairs
            for text in (pair.candidate, *pair.references)
            for word in text.split()
        }
    )
    new = dict(zip(names, names, strict=True))
    if not corpus.exact:
        letters = torch.randint(26, (len(names), 4)).tolist()
        new = {
            name: "".join(string.ascii_lowercase[i] for i in word) + str(k)
            for k, (name, word) in enumerate(zip(names, letters, strict=True))
        }
    candidates = [[new[word] for word in pair.candidate.split()] for pair in corpus.pairs]
    references = [
        [[new[word] for word in text.split()] for text in pair.references] for pair in corpus.pairs
    ]
    return candidates, references


def _check_score(bleu: Callable, corpus: Corpus) -> None:
    candidates, references = _words(corpus)
    c = sum(map(len, candidates))
    r = sum(pair.closest for pair in corpus.pairs)
    totals = [sum(column) for column in zip(*(_totals(len(x)) for x in candidates), strict=True)]
    expected = _penalty(c, r) * _geometric(_ratios(corpus.matches, totals))
    shown = ngettext(
        "for {count} candidate of {lengths} tokens, matches {matches} of {totals}, "
        "c = {c}, r = {r}",
        "for {count} candidates of {lengths} tokens, matches {matches} of {totals}, "
        "c = {c}, r = {r}",
        len(candidates),
    ).format(
        count=len(candidates),
        lengths=", ".join(str(len(x)) for x in candidates),
        matches=", ".join(map(str, corpus.matches)),
        totals=", ".join(map(str, totals)),
        c=c,
        r=r,
    )
    try:
        said = bleu(copy.deepcopy(candidates), copy.deepcopy(references))
    except (ZeroDivisionError, ValueError) as error:
        if expected > 0:
            raise
        seen = gettext("your code raised {error_kind}: {error}; {shown}").format(
            error_kind=type(error).__name__, error=error, shown=shown
        )
        raise Wrong(ZERO_FAILS, seen=seen, expected="0") from None
    try:
        seen = float(said)
    except (TypeError, ValueError):
        raise Wrong(NO_SCORE, seen=_short(said), expected="a float") from None
    # 1e-6: four logarithms in float64, or in float32; other ways of counting are 1e-3 away and more
    if abs(seen - expected) <= (1e-6 if expected else 0):
        return
    shown = f"{seen:.6g} {shown}"
    if expected == 0 and 0 < seen <= 1e-5:  # some other idea's 0 is as near
        raise Wrong(SMOOTHED, seen=shown, expected="0")
    for idea, other in _bleu_ideas(corpus):
        if abs(seen - other) <= 1e-5 * max(1.0, other):
            raise Wrong(idea, seen=shown, expected=f"{expected:.6g}")
    if expected == 0:
        idea = SMOOTHED if seen > 0 else ZERO_FAILS
        raise Wrong(idea, seen=shown, expected="0")
    raise Wrong(WRONG_BLEU, seen=shown, expected=f"{expected:.6g}")


# Where all tokens of a candidate differ, matches come in runs: a run of L tokens that stands in the reference as it is
# holds L - n + 1 n-grams. The other counts were made by hand, one n-gram at a time.
_RUNS = Pair("a b c d e f g h", ("a b c d e x g h",), (7, 5, 3, 2), 8)
_REPEATS = Corpus(
    (
        Pair(
            "the the the cat sat on the mat now",
            ("the cat sat on the mat now then",),
            (7, 6, 5, 4),
            8,
        ),
    ),
    instead={UNCLIPPED: [(9, 6, 5, 4)], SET_COUNTED: [(6, 6, 5, 4)]},
)
_TWO_REFERENCES = Corpus(
    (Pair("a b a c d e f", ("a b g c d e f", "b a c h d e"), (6, 6, 3, 1), 7),),
    instead={
        REFERENCES_SUMMED: [(7, 6, 3, 1)],
        UNCLIPPED: [(7, 6, 3, 1)],
        ONE_REFERENCE: [(6, 4, 2, 1)],
    },
)
_GLUED = Corpus(
    (Pair("1 12 3 4 5 6", ("11 2 3 4 5 6",), (4, 3, 2, 1), 6),),
    instead={RUN_TOGETHER: [(4, 4, 3, 2)]},
    exact=True,
)
_SHORT = Pair("a b c d", ("a b c d e f g h",), (4, 3, 2, 1), 8)
_LONG = Pair("k l m n o p q r s t u v", ("k l m n x p q r",), (7, 5, 3, 1), 8)


@check_bleu.part(2, "takes the geometric mean of clipped precisions, n = 1 to 4")
def _(bleu: Callable, cases: Sequence[Corpus]) -> None:
    perfect = Pair("a b c d e f", ("a b c d e f",), (6, 5, 4, 3), 6)
    for corpus in (Corpus((_RUNS,)), _REPEATS, _TWO_REFERENCES, Corpus((perfect,)), _GLUED):
        _check_score(bleu, corpus)


@check_bleu.part(1, "punishes brevity, by the closest reference")
def _(bleu: Callable, cases: Sequence[Corpus]) -> None:
    brief = Pair("a b c d e", ("a b c d e f g h",), (5, 4, 3, 2), 8)
    other = Pair("g h i j k", ("g h i j k l m n",), (5, 4, 3, 2), 8)
    many = ("q r s t u v w z o p e f", "a b c d", "a b c d e x y")
    for corpus in (
        Corpus((brief,)),
        Corpus((_LONG,)),
        Corpus(
            (Pair("a b c d e f", many, (6, 5, 3, 2), 7), other),
            lengths=(12, 20, 23 / 3 + 8, 23 + 8),
        ),
        Corpus(
            (
                Pair(
                    "a b c d e f g h", ("s t u v w x y z k l m n", "a b c d e f g"), (7, 6, 5, 4), 7
                ),
            ),
            lengths=(12, 9.5, 19),
        ),
    ):
        _check_score(bleu, corpus)


@check_bleu.part(1, "adds up counts and lengths over the corpus")
def _(bleu: Callable, cases: Sequence[Corpus]) -> None:
    swapped = (
        Pair("i j k l m n", ("o p q r s t",), (0, 0, 0, 0), 6),
        Pair("o p q r s t", ("i j k l m n",), (0, 0, 0, 0), 6),
    )
    for corpus in (
        Corpus((_SHORT, _LONG)),
        Corpus((_RUNS, *swapped), instead={POOLED: [(19, 15, 11, 8)]}),
        Corpus((Pair("z", ("z y",), (1, 0, 0, 0), 2), _RUNS)),
        Corpus((Pair("y z", ("x y z w v",), (2, 1, 0, 0), 5), _RUNS, _LONG)),
        Corpus((Pair("", ("z y",), (0, 0, 0, 0), 2), _RUNS)),
    ):
        _check_score(bleu, corpus)


@check_bleu.part(1, "is 0 where some n has no match, and only there")
def _(bleu: Callable, cases: Sequence[Corpus]) -> None:
    for corpus in (
        Corpus((_SHORT,)),  # one 4-gram, and it matches
        Corpus((Pair("a b c x e f g", ("a b c d e f g",), (6, 4, 2, 0), 7),)),
        Corpus((Pair("a b c d e", ("v w x y z",), (0, 0, 0, 0), 5),)),
        Corpus((Pair("a b", ("a b",), (2, 1, 0, 0), 2),)),
        Corpus((Pair("", ("a b c d e",), (0, 0, 0, 0), 5),)),
        *cases,
    ):
        _check_score(bleu, corpus)


# --------------------------------------------------------------------------------------------------------
# beam_search
# --------------------------------------------------------------------------------------------------------

ONE_AT_A_TIME = Misconception(
    "greedy",
    "Only the best token of each round was followed. A first token that looks worse may lead to a better end; that is "
    "what the width is for.",
    "how many hypotheses go on after a round",
)
KEPT_TOO_MANY = Misconception(
    "kept-too-many",
    "A hypothesis came back that was not among the best `width` of its round. The width limits what is kept in every "
    "round, and so the work.",
    "what your code cuts down to `width`, and when",
)
PER_PARENT = Misconception(
    "width-per-parent",
    "The best `width` continuations of each hypothesis were kept. The width counts the continuations of all "
    "hypotheses together.",
    "whether you choose inside the loop over hypotheses, or behind it",
)
ONE_PER_PARENT = Misconception(
    "one-per-parent",
    "Each hypothesis was continued by its best token alone. Two continuations of the same hypothesis may both be "
    "among the best.",
    "how many tokens of the dict your code looks at",
)
STOPPED_EARLY = Misconception(
    "stopped-early",
    "The search ended while there were still unfinished hypotheses, and one of them had the best end.",
    "the condition under which your loop ends",
)
FINISHED_BLOCK = Misconception(
    "finished-block",
    "Finished hypotheses went on taking places among the `width`. They are set aside: the places belong to those that "
    "can still grow.",
    "what becomes of a hypothesis once `step` gives it an empty dict",
)
PENALTY_MISSING = Misconception(
    "no-length-penalty",
    "The length penalty did not do its work: the finished hypothesis with the largest sum came back. Every token "
    "makes a sum smaller, so the shortest text wins.",
    "what the sum is divided by when a hypothesis is finished",
)
PENALTY_FIXED = Misconception(
    "penalty-fixed",
    "The score was the mean over the tokens. The exponent says how much length counts: 0 for the sum as it is, 1 for "
    "the mean, and anything between or beyond.",
    "where `length_penalty` stands in the score",
)
START_COUNTED = Misconception(
    "start-counted",
    "The start's tokens were counted as if they had been generated.",
    "the length that is raised to the power: which tokens were added by the search?",
)
LAST_STEP_ONLY = Misconception(
    "last-step-only",
    "Only the last token's log-probability was compared. A hypothesis is as likely as all of its tokens together.",
    "what happens to the sum of the hypothesis when a token is appended",
)
NOT_THE_TUPLE = Misconception(
    "not-the-tuple",
    "What came back is not the finished hypothesis, a tuple of tokens.",
    "the `return` line: the tuple alone, without its score",
)
WITHOUT_START = Misconception(
    "without-start",
    "A hypothesis lacks the start. It is the text so far, so every prefix and the answer begin with it.",
    "the first hypothesis of all, and what your code appends to",
)
PREFIX_NOT_A_TUPLE = Misconception(
    "prefix-not-a-tuple",
    "`step` was asked about something that is not a tuple of tokens.",
    "what you hand to `step`: `prefix + (token,)` is a tuple again",
)
UNFINISHED = Misconception(
    "unfinished",
    "An unfinished hypothesis came back: `step` still has tokens for it.",
    "which hypotheses the answer is chosen from",
)
NEVER_ENDS = Misconception(
    "never-ends",
    "`step` was asked hundreds of times about a few dozen prefixes. The search does not end.",
    "what becomes of a hypothesis once `step` gives it an empty dict, and when your loop ends",
)
WRONG_PATH = Misconception(
    "wrong-path",
    "Another hypothesis than the best one that the search finds came back.",
    "the three things that are compared: sums within a round, scores at the end, and in which direction",
)

check_beam_search = Check(
    "beam_search",
    hints=(
        "Keep a list of pairs (prefix, sum). It begins with one: the start, and 0. One round makes a longer list of "
        "it, then a shorter one.",
        "Ask `step` for each prefix. An empty dict: the hypothesis goes to the finished ones with its score, and has "
        "no continuation. Otherwise each token gives a continuation with its own sum.",
        "After the loop over the prefixes: sort all continuations by their sum, keep the first `width`. Go on while "
        "there are any. At the end, `max(finished, key=...)`.",
    ),
)

# A node: for each next token its log-probability and the node behind it; an empty one is the end of a text.
Tree = Mapping[str, "tuple[float, Tree]"]


@dataclass(frozen=True)
class Search:
    """A tree, and what a search of it finds: as words, one letter a token."""

    tree: Tree
    width: int
    penalty: float
    right: str
    instead: Mapping[str, Misconception] = field(default_factory=dict)


def _chain(*steps: tuple[str, float]) -> Tree:
    """A path without forks."""
    (token, value), *rest = steps
    return {token: (value, _chain(*rest) if rest else {})}


_GARDEN: Tree = {
    "a": (-0.5, {"c": (-1.6, {}), "d": (-1.8, {})}),
    "b": (-1.1, {"e": (-0.2, {}), "f": (-2.5, {})}),
    "g": (-2.0, {"h": (-3.0, {})}),
}
_PRUNED: Tree = {
    "a": (-0.6, {"x": (-1.5, {})}),
    "b": (-0.9, {"y": (-1.6, {})}),
    "c": (-1.2, {"z": (-0.1, {})}),
}
_FAMILIES: Tree = {
    "a": (
        -0.5,
        {
            "p": (-0.9, _chain(("v", -1.8))),
            "q": (-1.0, _chain(("w", -0.3))),
            "r": (-1.1, _chain(("x", -0.1))),
        },
    ),
    "b": (-0.7, {"s": (-0.6, _chain(("u", -2.0))), "t": (-1.2, _chain(("y", -2.0)))}),
}
_SIBLINGS: Tree = {
    "a": (-0.3, {"c": (-0.7, _chain(("x", -2.5))), "d": (-0.8, _chain(("y", -0.3)))}),
    "b": (-2.0, {"e": (-0.9, _chain(("z", -0.1)))}),
}
# At penalty 1 the longest wins, with a start of 1 to 3 tokens counted in it the middle one, as a mere sum the shortest.
_LENGTHS: Tree = {
    "a": (-1.0, {}),
    "b": (-0.575, _chain(("e", -0.575))),
    "c": (-0.518, _chain(*((token, -0.518) for token in "fghi"))),
}
_EARLY: Tree = {"a": (-0.5, _chain(("c", -0.1))), "b": (-0.9, {})}
_LATER: Tree = {
    "a": (-2.5, {}),
    "b": (-0.7, {"c": (-1.9, {}), "d": (-1.6, _chain(("e", -0.1)))}),
}
# Whoever stops when something is finished gets "bc", whoever compares sums "a".
_STOPPED: Tree = {
    "a": (-0.8, {}),
    "b": (-0.5, {"c": (-0.4, {}), "d": (-0.45, _chain(("e", -0.1)))}),
}
# "a" takes one of two places, and leaves it empty when it is set aside.
_CUT: Tree = {
    "a": (-0.9, {}),
    "b": (-0.7, _chain(("c", -0.6))),
    "d": (-1.0, _chain(("e", -0.05))),
}
_PLACES: Tree = {
    "a": (-0.9, {}),
    "b": (-0.3, {"c": (-0.5, _chain(("f", -1.0))), "d": (-0.7, _chain(("e", -0.05)))}),
}
# Here "a" keeps "bd" out if their scores are compared, not only if their sums are.
_SCORES: Tree = {
    "a": (-0.45, {}),
    "b": (
        -0.3,
        {
            "c": (-0.5, _chain(("f", -1.5))),
            "d": (-0.65, _chain(*((token, -0.02) for token in "eghijk"))),
        },
    ),
}
_SUMS: Tree = {
    "a": (-0.2, {"p": (-1.0, _chain(("x", -0.5))), "q": (-1.1, _chain(("y", -0.12)))}),
    "b": (-1.5, {"r": (-0.3, _chain(("z", -0.05))), "s": (-0.4, _chain(("w", -0.2)))}),
}
_OVERTAKEN: Tree = {"a": (-0.5, _chain(("b", -3.0))), "c": (-0.7, {})}


class _Asked:
    """The `step` that a search asks: it stays here, gives what the tree has, and remembers what was wrong."""

    def __init__(self, tree: Tree, start: tuple) -> None:
        # tokens of the tree -> tokens that the learner sees; log-probabilities moved a little, by less than any gap
        self.start = start
        self.nodes: dict[tuple, dict] = {}
        self.letters: dict[tuple, str] = {}
        self.sums: dict[tuple, float] = {}
        self.calls = 0
        self.about: set[tuple] = set()  # the prefixes that were asked about
        self.wrong: Wrong | None = None
        whole = isinstance(start[0], int)
        order = torch.randperm(26).tolist()
        self._token = {
            letter: 100 + order[i] if whole else f"w{order[i]}"
            for i, letter in enumerate(string.ascii_lowercase)
        }
        self._grow(tree, start, "", 0.0)

    def _grow(self, tree: Tree, prefix: tuple, letters: str, total: float) -> None:
        self.letters[prefix], self.sums[prefix] = letters, total
        moved = {
            letter: value + 0.002 * (2 * torch.rand(()).item() - 1)
            for letter, (value, _) in tree.items()
        }
        self.nodes[prefix] = {self._token[letter]: value for letter, value in moved.items()}
        for letter, (_, behind) in tree.items():
            token = (self._token[letter],)
            self._grow(behind, prefix + token, letters + letter, total + moved[letter])

    def _refuse(self, idea: Misconception, seen: str, expected: str = "") -> None:
        self.wrong = self.wrong or Wrong(idea, seen=seen, expected=expected)
        raise self.wrong

    def __call__(self, prefix: Any) -> dict:
        self.calls += 1
        if self.calls > 600:  # the largest tree has 40 nodes
            self._refuse(NEVER_ENDS, gettext("{count} calls").format(count=self.calls))
        if not isinstance(prefix, tuple):
            self._refuse(
                PREFIX_NOT_A_TUPLE,
                f"step({_short(prefix)})",
                gettext("a tuple such as {start}").format(start=self.start),
            )
        if prefix[: len(self.start)] != self.start:
            self._refuse(
                WITHOUT_START,
                f"step({prefix})",
                gettext("a prefix that begins with {start}").format(start=self.start),
            )
        if prefix not in self.nodes:
            self._refuse(
                WRONG_PATH,
                gettext("step({prefix}), which `step` never led to").format(prefix=prefix),
            )
        self.about.add(prefix)
        return dict(self.nodes[prefix])

    def score(self, prefix: tuple, penalty: float) -> float:
        return self.sums[prefix] / (len(prefix) - len(self.start)) ** penalty

    def finished(self) -> list[tuple]:
        return [prefix for prefix, node in self.nodes.items() if not node]


def _found(beam_search: Callable, asked: _Asked, width: int, penalty: float) -> tuple:
    """What the search gave, if it is a finished hypothesis."""

    def step(prefix: Any) -> dict:
        return asked(prefix)

    try:
        said = beam_search(step, asked.start, width, penalty)
    except Exception:
        if asked.wrong is not None:
            raise asked.wrong from None
        raise
    if asked.wrong is not None:
        raise asked.wrong
    if not isinstance(said, tuple):
        raise Wrong(NOT_THE_TUPLE, seen=_short(said), expected="a tuple of tokens")
    if said in asked.nodes:
        if asked.nodes[said]:
            raise Wrong(UNFINISHED, seen=_short(said), expected="one for which `step` gives {}")
        return said
    if asked.start + said in asked.nodes:
        raise Wrong(
            WITHOUT_START,
            seen=_short(said),
            expected=gettext("a tuple that begins with {start}").format(start=asked.start),
        )
    raise Wrong(NOT_THE_TUPLE, seen=_short(said), expected="one of the finished hypotheses")


def _say(asked: _Asked, prefix: tuple, penalty: float) -> str:
    count = len(prefix) - len(asked.start)
    return ngettext(
        "{prefix}: sum {sum:.3f}, {count} token after the start, score {score:.3f}",
        "{prefix}: sum {sum:.3f}, {count} tokens after the start, score {score:.3f}",
        count,
    ).format(
        prefix=prefix,
        sum=asked.sums[prefix],
        count=count,
        score=asked.score(prefix, penalty),
    )


def _starts() -> Sequence[tuple]:
    return (7, 3), ("<s>",), ("say", "it", "now")


def _check_search(beam_search: Callable, search: Search, start: tuple) -> None:
    asked = _Asked(search.tree, start)
    by_letters = {letters: prefix for prefix, letters in asked.letters.items()}
    said = _found(beam_search, asked, search.width, search.penalty)
    if said == by_letters[search.right]:
        return
    idea = search.instead.get(asked.letters[said], WRONG_PATH)
    if idea is STOPPED_EARLY and by_letters[search.right] in asked.about:
        idea = WRONG_PATH  # the search came to the end of the right one, and preferred another
    raise Wrong(
        idea,
        seen=gettext("width {width}, length_penalty {penalty}: {said}").format(
            width=search.width, penalty=search.penalty, said=_say(asked, said, search.penalty)
        ),
        expected=_say(asked, by_letters[search.right], search.penalty),
    )


@check_beam_search.part(2, "keeps the best width of all continuations in every round")
def _(beam_search: Callable, cases: Sequence[Search]) -> None:
    for number, search in enumerate(
        (
            Search(_GARDEN, 2, 0.0, "be", {"ac": ONE_AT_A_TIME}),
            Search(_GARDEN, 1, 0.0, "ac", {"be": KEPT_TOO_MANY}),
            Search(_PRUNED, 2, 0.0, "ax", {"cz": KEPT_TOO_MANY}),
            Search(_PRUNED, 3, 0.0, "cz", {"ax": ONE_AT_A_TIME}),
            Search(_SIBLINGS, 2, 0.0, "ady", {"bez": ONE_PER_PARENT, "acx": ONE_AT_A_TIME}),
            Search(_SUMS, 2, 0.0, "aqy", {"brz": LAST_STEP_ONLY, "apx": ONE_AT_A_TIME}),
            Search(_FAMILIES, 2, 0.0, "apv", {"aqw": PER_PARENT, "arx": KEPT_TOO_MANY}),
            Search(_OVERTAKEN, 1, 0.0, "ab", {"c": KEPT_TOO_MANY}),
        )
    ):
        _check_search(beam_search, search, _starts()[number % 3])


@check_beam_search.part(1, "sets finished hypotheses aside, and goes on with the others")
def _(beam_search: Callable, cases: Sequence[Search]) -> None:
    for number, search in enumerate(
        (
            Search(_EARLY, 2, 0.0, "ac", {"b": STOPPED_EARLY}),
            Search(_PLACES, 2, 2.0, "bde", {"bcf": FINISHED_BLOCK, "a": PENALTY_MISSING}),
            Search(_LATER, 2, 0.0, "bde", {"a": STOPPED_EARLY, "bc": STOPPED_EARLY}),
            Search(_STOPPED, 2, 1.0, "bde", {"bc": STOPPED_EARLY, "a": PENALTY_MISSING}),
            Search(_CUT, 2, 2.0, "bc", {"de": KEPT_TOO_MANY, "a": PENALTY_MISSING}),
            Search(_SCORES, 2, 1.0, "bdeghijk", {"a": FINISHED_BLOCK, "bcf": FINISHED_BLOCK}),
        )
    ):
        _check_search(beam_search, search, _starts()[number % 3])


@check_beam_search.part(1, "chooses by sum / (tokens after start) ** length_penalty")
def _(beam_search: Callable, cases: Sequence[Search]) -> None:
    start = ("<s>", "en")
    for search in (
        Search(_LENGTHS, 3, 1.0, "cfghi", {"a": PENALTY_MISSING, "be": START_COUNTED}),
        Search(_LENGTHS, 3, 0.0, "a", {"cfghi": PENALTY_FIXED, "be": PENALTY_FIXED}),
        Search(_LENGTHS, 3, 0.5, "be", {"a": PENALTY_MISSING, "cfghi": PENALTY_FIXED}),
    ):
        _check_search(beam_search, search, start)


@check_beam_search.part(
    1, "finds the best of all where nothing is cut, the greedy one where all but one is"
)
def _(beam_search: Callable, cases: Sequence[Search]) -> None:
    for number, penalty in enumerate((0.0, 0.7, 1.3)):
        tree = _random_tree(3)
        asked = _Asked(tree, _starts()[number])
        best = max(asked.finished(), key=lambda p, a=asked, e=penalty: a.score(p, e))
        said = _found(beam_search, asked, 1000, penalty)
        if said != best:
            raise Wrong(
                WRONG_PATH,
                seen=gettext("width 1000, length_penalty {penalty}: {said}").format(
                    penalty=penalty, said=_say(asked, said, penalty)
                ),
                expected=_say(asked, best, penalty),
            )
        greedy = asked.start
        while node := asked.nodes[greedy]:
            greedy += (max(node, key=node.__getitem__),)
        said = _found(beam_search, asked, 1, penalty)
        if said != greedy:
            raise Wrong(
                KEPT_TOO_MANY,
                seen=gettext("width 1, length_penalty {penalty}: {said}").format(
                    penalty=penalty, said=_say(asked, said, penalty)
                ),
                expected=_say(asked, greedy, penalty),
            )
    for number, search in enumerate(cases):
        _check_search(beam_search, search, _starts()[number % 3])


def _random_tree(depth: int) -> Tree:
    """Up to three continuations at each node, of other letters at each depth; some paths end before others."""
    if depth == 0:
        return {}
    first = 3 * depth
    values = (-0.2 - 1.5 * torch.rand(3)).tolist()
    ends = torch.rand(3) < 0.25
    return {
        string.ascii_lowercase[first + i]: (
            values[i],
            {} if ends[i] and depth < 3 else _random_tree(depth - 1),
        )
        for i in range(3)
    }
