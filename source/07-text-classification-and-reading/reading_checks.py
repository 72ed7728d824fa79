"""The checks of lesson 07. They judge what a function gives for texts made on the spot, never how it is written.

Rows are made first, each of its own length, and padded afterwards: what a row must give is known before there is any
padding. Hidden cases hand in further sizes and sentences through ``add_cases``; the last part of each check looks at
them, behind its own, so that no hidden failure hides a visible one.
"""

from __future__ import annotations

import copy
import itertools
import math
import numbers
import string
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from course.exercise import Check, Misconception, Wrong
from course.locale import gettext, ngettext
from torch import Tensor

# --------------------------------------------------------------------------------------------------------
# What several checks say
# --------------------------------------------------------------------------------------------------------

INPUTS_CHANGED = Misconception(
    "inputs-changed",
    "What was handed over is not what it was: your code changed its inputs in place.",
    "`append`, `extend`, `+=`, `*=` and assignments to `something[...]` on what the function was given",
)
NOT_DIFFERENTIABLE = Misconception(
    "not-differentiable",
    "No gradient flows from what came back to the hidden vectors, so the network below would never be fine-tuned.",
    "`detach`, `no_grad`, `item`, `numpy`, and a new tensor built from numbers",
)
WRONG_SHAPE = Misconception(
    "wrong-shape",
    "What came back does not have one vector for each text.",
    "which dimension you sum or index over, and dimensions of size 1 that are kept or dropped",
)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 160 else text[:160] + " ..."


def _whole(value: Any) -> int | None:
    """A whole number as an int, whatever library it is of; None for anything else."""
    if isinstance(value, Tensor):
        value = value.item() if value.numel() == 1 else None
    if isinstance(value, bool) or not isinstance(value, numbers.Number):
        return None
    number = complex(value)
    return int(number.real) if number == int(number.real) else None


# --------------------------------------------------------------------------------------------------------
# collate
# --------------------------------------------------------------------------------------------------------

NOT_A_BATCH = Misconception(
    "not-a-batch",
    "What came back is not a dict with the tensors 'input_ids', 'attention_mask' and 'labels'.",
    "the keys of what you return, and whether each value is a torch tensor",
)
NOT_INT64 = Misconception(
    "not-int64",
    "A tensor of the batch is not int64. Embeddings look up whole numbers, and cross-entropy wants them as labels.",
    "the dtype of each tensor you make: torch makes float32 unless it is told or can tell otherwise",
)
WRONG_LENGTH = Misconception(
    "wrong-length",
    "The batch is not as long as its longest text: tokens are cut off, or every row is padded further than it has to be.",
    "the number T that your rows are filled up to",
)
WRONG_SIDE = Misconception(
    "wrong-side",
    "The padding is on the wrong side. BERT and GPT are padded on the right, XLNet on the left, and `side` says which.",
    "in which order you put a row's tokens and its padding together, for each value of `side`",
)
WRONG_FILLER = Misconception(
    "wrong-filler",
    "The padding is not made of `pad_id`. Each tokenizer has a pad token of its own, and it is not always 0.",
    "the number your padding is made of",
)
TOKENS_LOST = Misconception(
    "tokens-lost",
    "The real tokens of a row are not those of its text, in their order.",
    "what happens to the tokens of a row on their way into the tensor",
)
PAD_ID_MASKED = Misconception(
    "pad-id-masked",
    "A real token that equals `pad_id` is masked. The mask says where padding was added, not which number stands there: "
    "GPT-2's practice is to pad with the end token, which real texts have too.",
    "whether your mask is made from lengths or from the ids",
)
MASK_TURNED = Misconception(
    "mask-turned",
    "The mask is the wrong way round: 1 is for real tokens, 0 for padding.",
    "which of the two your mask counts as true",
)
MASK_WRONG = Misconception(
    "mask-wrong",
    "The attention mask does not say which tokens are real.",
    "on which side of the mask the zeros are, and how many there are in each row",
)
ORDER_CHANGED = Misconception(
    "order-changed",
    "The rows or the labels are not in the order of the batch.",
    "sorting, and whether labels and texts are taken from the same place of the batch",
)

check_collate = Check(
    "collate",
    hints=(
        "Two numbers decide a row: how long the longest text of the batch is, and how long this one is.",
        "A row is its ids and a number of pad ids; its mask is as many ones as it has ids, and as many zeros. `side` "
        "decides the order in which each of the two is put together.",
        "Lists do this well: `[pad_id] * missing` is the padding, `[1] * len(ids)` the ones. Build new lists with `+`, "
        "and call `torch.tensor` once for all rows.",
    ),
    seconds=10,
)


def _batch(
    lengths: Sequence[int], *, below: int = 40000, pad_id: int | None = None
) -> list[dict[str, Any]]:
    """Texts of these lengths; with a pad_id each of them has it as a real token at both ends, and within."""
    batch = []
    for length in lengths:
        ids = torch.randint(1, below, (length,)).tolist()
        if pad_id is not None:
            ids[0] = ids[-1] = ids[length // 2] = pad_id
        batch.append({"input_ids": ids, "label": int(torch.randint(0, 900, ()))})
    return batch


def _check_batch(collate: Callable, batch: list[dict[str, Any]], pad_id: int, side: str) -> None:
    handed = copy.deepcopy(batch)
    call = gettext(
        "collate(batch, pad_id={pad_id}, side={side!r}) for texts of {lengths} ids"
    ).format(pad_id=pad_id, side=side, lengths=[len(one["input_ids"]) for one in batch])
    found = collate(handed, pad_id, side)
    tensors = {}
    for key in ("input_ids", "attention_mask", "labels"):
        try:
            value = found[key]
        except (KeyError, TypeError, IndexError, AttributeError):
            raise Wrong(
                NOT_A_BATCH,
                seen=gettext("{call} gave {found}").format(call=call, found=_short(found)),
            ) from None
        if not isinstance(value, Tensor):
            raise Wrong(
                NOT_A_BATCH,
                seen=gettext("{key} is a {kind}").format(key=key, kind=type(value).__name__),
                expected="a tensor",
            )
        tensors[key] = value
    if handed != batch:
        raise Wrong(
            INPUTS_CHANGED,
            seen=gettext("after {call} the batch is {handed}").format(
                call=call, handed=_short(handed)
            ),
            expected=_short(batch),
        )
    rows = [one["input_ids"] for one in batch]
    longest = max(map(len, rows))
    shapes = {
        "input_ids": (len(rows), longest),
        "attention_mask": (len(rows), longest),
        "labels": (len(rows),),
    }
    for key, shape in shapes.items():
        if tuple(tensors[key].shape) != shape:
            seen = gettext("{key} has shape {shape} after {call}").format(
                key=key, shape=tuple(tensors[key].shape), call=call
            )
            of_rows = key != "labels" and tensors[key].dim() == 2 and len(tensors[key]) == len(rows)
            raise Wrong(WRONG_LENGTH if of_rows else NOT_A_BATCH, seen=seen, expected=shape)
    for key, tensor in tensors.items():
        if tensor.dtype != torch.int64:
            raise Wrong(
                NOT_INT64,
                seen=gettext("{key} is {dtype}").format(key=key, dtype=tensor.dtype),
                expected="torch.int64",
            )
    ids, mask = tensors["input_ids"].tolist(), tensors["attention_mask"].tolist()
    right_mask = []
    for row in rows:
        real, padding = [1] * len(row), [0] * (longest - len(row))
        right_mask.append(real + padding if side == "right" else padding + real)
    for number, row in enumerate(rows):
        missing = longest - len(row)
        padding = [pad_id] * missing
        seen = gettext("row {number} of {call} is {ids}").format(
            number=number, call=call, ids=_short(ids[number])
        )
        expected = row + padding if side == "right" else padding + row
        if ids[number] == expected:
            continue
        if missing and ids[number] == (padding + row if side == "right" else row + padding):
            raise Wrong(WRONG_SIDE, seen=seen, expected=_short(expected))
        tokens = ids[number][: len(row)] if side == "right" else ids[number][missing:]
        if tokens == row:
            raise Wrong(WRONG_FILLER, seen=seen, expected=_short(expected))
        other = ids[number][missing:] if side == "right" else ids[number][: len(row)]
        if missing and other == row:
            raise Wrong(WRONG_SIDE, seen=seen, expected=_short(expected))
        elsewhere = any(
            ids[number][: len(one)] == one or ids[number][longest - len(one) :] == one
            for one in rows
            if one != row
        )
        raise Wrong(
            ORDER_CHANGED if elsewhere else TOKENS_LOST, seen=seen, expected=_short(expected)
        )
    if mask != right_mask:
        number = next(n for n in range(len(rows)) if mask[n] != right_mask[n])
        seen = gettext("row {number} of {call}: ids {ids}, mask {mask}").format(
            number=number, call=call, ids=_short(ids[number]), mask=_short(mask[number])
        )
        if all(entry in (0, 1) for entry in mask[number]):
            if mask[number] == [1 - entry for entry in right_mask[number]]:
                raise Wrong(MASK_TURNED, seen=seen, expected=_short(right_mask[number]))
            masked = [
                i
                for i, (got, real) in enumerate(zip(mask[number], right_mask[number], strict=True))
                if got < real
            ]
            same = [
                i
                for i, (got, real) in enumerate(zip(mask[number], right_mask[number], strict=True))
                if got > real
            ]
            if masked and not same and all(ids[number][i] == pad_id for i in masked):
                raise Wrong(PAD_ID_MASKED, seen=seen, expected=_short(right_mask[number]))
        raise Wrong(MASK_WRONG, seen=seen, expected=_short(right_mask[number]))
    labels = [one["label"] for one in batch]
    if tensors["labels"].tolist() != labels:
        same_ones = sorted(tensors["labels"].tolist()) == sorted(labels)
        raise Wrong(
            ORDER_CHANGED if same_ones else NOT_A_BATCH,
            seen=gettext("labels are {labels} after {call}").format(
                labels=tensors["labels"].tolist(), call=call
            ),
            expected=labels,
        )


@check_collate.part(1, "pads on the right to the longest text of the batch")
def _(collate: Callable, cases: Sequence[Any]) -> None:
    for lengths, pad_id in (((3, 5, 2), 0), ((4, 1, 7, 7, 2), 50256), ((1,), 9), ((2, 700), 4)):
        _check_batch(collate, _batch(lengths), pad_id, "right")


@check_collate.part(1, "pads on the left where side says so")
def _(collate: Callable, cases: Sequence[Any]) -> None:
    for lengths, pad_id in (((3, 5, 2), 5), ((6, 1), 0), ((2, 2, 2), 1)):
        _check_batch(collate, _batch(lengths), pad_id, "left")


@check_collate.part(2, "masks the padding, and no real token, not even one that equals pad_id")
def _(collate: Callable, cases: Sequence[Any]) -> None:
    for pad_id, lengths, side in (
        (7, (4, 9, 1), "right"),
        (50256, (6, 3), "left"),
        (0, (5, 2, 8), "right"),
        (0, (3, 7), "left"),
    ):
        _check_batch(collate, _batch(lengths, pad_id=pad_id), pad_id, side)
    for lengths, pad_id in cases:
        for side in ("right", "left"):
            _check_batch(collate, _batch(lengths, pad_id=pad_id), pad_id, side)


# --------------------------------------------------------------------------------------------------------
# Hidden vectors, padded
# --------------------------------------------------------------------------------------------------------


def _rows(lengths: Sequence[int], width: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """The vectors of texts of these lengths, (length, width) each, before there is any padding."""
    return [torch.randn(length, width, dtype=dtype) + 0.5 for length in lengths]


def _padded(
    rows: Sequence[Tensor],
    side: str,
    *,
    more: int = 0,
    junk: float = 3.0,
    mask_dtype: torch.dtype = torch.int64,
) -> tuple[Tensor, Tensor]:
    """The rows as hidden (B, T, D) and mask (B, T): T is the longest plus `more`, the padding holds junk."""
    longest = max(len(row) for row in rows) + more
    hidden = junk * (1 + torch.rand(len(rows), longest, rows[0].shape[1], dtype=rows[0].dtype))
    mask = torch.zeros(len(rows), longest, dtype=mask_dtype)
    for number, row in enumerate(rows):
        place = slice(0, len(row)) if side == "right" else slice(longest - len(row), longest)
        hidden[number, place] = row
        mask[number, place] = 1
    return hidden, mask


def _vectors(found: Any, expected: Tensor, call: str) -> Tensor:
    """What came back as (B, D) float64."""
    try:
        tensor = torch.as_tensor(found)
    except (TypeError, ValueError, RuntimeError):
        raise Wrong(
            WRONG_SHAPE,
            seen=gettext("{call} gave {found}").format(call=call, found=_short(found)),
            expected="a tensor (B, D)",
        ) from None
    if tensor.shape != expected.shape:
        seen = gettext("shape {shape} from {call}").format(shape=tuple(tensor.shape), call=call)
        raise Wrong(WRONG_SHAPE, seen=seen, expected=tuple(expected.shape))
    return tensor.detach().double()


def _close(a: Tensor, b: Tensor) -> bool:
    # Sums of a dozen numbers near 1 in float32 are right to about 1e-6, whatever their order; a padded vector let in,
    # or one left out, moves a mean by more than 1e-2.
    return bool(torch.allclose(a.double(), b.double(), rtol=1e-4, atol=1e-4))


def _untouched(hidden: Tensor, mask: Tensor, before: tuple[Tensor, Tensor], call: str) -> None:
    for name, now, then in zip(("hidden", "mask"), (hidden, mask), before, strict=True):
        if now.shape != then.shape or now.dtype != then.dtype or not torch.equal(now, then):
            raise Wrong(
                INPUTS_CHANGED,
                seen=gettext("{name} is another after {call}").format(name=name, call=call),
            )


def _check_gradient(
    found: Any, hidden: Tensor, expected: Tensor, weights: Tensor, idea: Misconception
) -> None:
    """The gradient of sum(weights * found) at hidden is `expected`."""
    if not isinstance(found, Tensor) or not found.requires_grad:
        raise Wrong(
            NOT_DIFFERENTIABLE, seen="requires_grad of what came back is False", expected="True"
        )
    (gradient,) = torch.autograd.grad((found * weights).sum(), hidden, allow_unused=True)
    if gradient is None:
        raise Wrong(NOT_DIFFERENTIABLE, seen="hidden gets no gradient")
    if not _close(gradient, expected):
        raise Wrong(idea, seen="the gradient at the hidden vectors is not that of the formula")


# --------------------------------------------------------------------------------------------------------
# masked_mean
# --------------------------------------------------------------------------------------------------------

MASK_IGNORED = Misconception(
    "mask-ignored",
    "Padding is part of your mean: the attention mask is ignored, so the answer changes with the amount of padding.",
    "which vectors your sum takes in",
)
DIVIDED_BY_LENGTH = Misconception(
    "divided-by-length",
    "The sum is right, but it is divided by the wrong number: by the padded length, or by a count that is not the "
    "row's own.",
    "what you divide by, for each row",
)
RIGHT_PADDING_ONLY = Misconception(
    "right-padding-only",
    "The mean is right where the padding is on the right, and wrong where it is on the left.",
    "slices such as `[:n]`, which believe that the real tokens come first",
)
MEAN_WRONG = Misconception(
    "mean-wrong",
    "What came back is not the mean of a row's real tokens.",
    "the dimension you take the mean over, and the factor on each token",
)

check_masked_mean = Check(
    "masked_mean",
    hints=(
        "A mean is a sum and a count. Which tokens belong to the sum, and how many are they in this row?",
        "`mask` has shape (B, T) and `hidden` (B, T, D): `mask.unsqueeze(-1)` lines them up. A product with 0 takes a "
        "vector out of the sum.",
        "The count of row b is the sum of its mask, and it must be divided as (B, 1) to meet (B, D). Bring the mask to "
        "`hidden.dtype` first, so that product, sum and quotient are of one kind.",
    ),
    seconds=10,
)


def _texts(lengths: Sequence[int], side: str, length: int) -> str:
    """A padded batch in words."""
    padded = {
        "right": gettext("texts of {lengths} tokens, padded on the right to {length}"),
        "left": gettext("texts of {lengths} tokens, padded on the left to {length}"),
    }
    return padded[side].format(lengths=lengths, length=length)


def _check_mean(masked_mean: Callable, rows: Sequence[Tensor], side: str, **padding: Any) -> None:
    hidden, mask = _padded(rows, side, **padding)
    expected = torch.stack([row.mean(0) for row in rows])
    sums = torch.stack([row.sum(0) for row in rows]).double()
    before = hidden.clone(), mask.clone()
    lengths = [len(row) for row in rows]
    call = gettext("masked_mean for {texts}").format(texts=_texts(lengths, side, mask.shape[1]))
    found = _vectors(masked_mean(hidden, mask), expected, call)
    _untouched(hidden, mask, before, call)
    if _close(found, expected):
        return
    number = int((found - expected).abs().sum(1).argmax())
    seen = gettext("row {number} of {call} is {vector}").format(
        number=number, call=call, vector=_numbers(found[number])
    )
    expected_row = _numbers(expected[number])
    counts = torch.tensor(lengths).unsqueeze(1)
    total = before[0].double().sum(1)
    of_all = (total / mask.shape[1], total / counts, total / sum(lengths))
    divisors = (mask.shape[1], max(lengths), min(lengths), sum(lengths), len(rows), lengths[0])
    counted = any(_close(found[number], sums[number] / n) for n in range(1, lengths[number]))
    if any(_close(found, sums / divisor) for divisor in divisors) or counted:
        raise Wrong(DIVIDED_BY_LENGTH, seen=seen, expected=expected_row)
    firsts = torch.stack(
        [one[:length].mean(0) for one, length in zip(before[0], lengths, strict=True)]
    )
    if side == "left" and _close(found, firsts):
        raise Wrong(RIGHT_PADDING_ONLY, seen=seen, expected=expected_row)
    if any(_close(found, one) for one in of_all) or _moves_with_junk(
        masked_mean, rows, side, mask.shape[1]
    ):
        raise Wrong(MASK_IGNORED, seen=seen, expected=expected_row)
    raise Wrong(MEAN_WRONG, seen=seen, expected=expected_row)


def _moves_with_junk(function: Callable, rows: Sequence[Tensor], side: str, length: int) -> bool:
    """Whether what padded positions hold makes a difference."""
    more = length - max(len(row) for row in rows)
    one, mask = _padded(rows, side, more=more, junk=1.0)
    two, _ = _padded(rows, side, more=more, junk=-7.0)
    return not _close(
        torch.as_tensor(function(one, mask)).detach(), torch.as_tensor(function(two, mask)).detach()
    )


def _numbers(vector: Tensor) -> str:
    return _short([round(value, 3) for value in vector.tolist()])


@check_masked_mean.part(1, "gives the mean of the real tokens, whatever the padding holds")
def _(masked_mean: Callable, cases: Sequence[Any]) -> None:
    _check_mean(masked_mean, _rows((4, 2, 6, 3, 1), 3), "right")
    _check_mean(masked_mean, _rows((5, 5), 4, torch.float32), "right")
    _check_mean(masked_mean, _rows((3, 7, 2), 5, torch.float32), "right", junk=1e30)
    with_nothing = _rows((4, 2, 5), 3)
    with_nothing[0][1] = with_nothing[2][4] = 0.0  # a real token all the same
    _check_mean(masked_mean, with_nothing, "right")


@check_masked_mean.part(1, "does not change with the amount of padding, nor with its side")
def _(masked_mean: Callable, cases: Sequence[Any]) -> None:
    rows = _rows((4, 2, 5), 3)
    for more in (0, 1, 8):
        _check_mean(masked_mean, rows, "right", more=more)
    for more in (0, 4):
        _check_mean(masked_mean, rows, "left", more=more)


@check_masked_mean.part(1, "takes a mask of bools, a batch of one, a text of one token")
def _(masked_mean: Callable, cases: Sequence[Any]) -> None:
    for side in ("right", "left"):
        _check_mean(masked_mean, _rows((3, 6, 2), 4), side, more=1, mask_dtype=torch.bool)
        _check_mean(masked_mean, _rows((4,), 3), side, more=2)
        _check_mean(masked_mean, _rows((1, 1, 1), 2, torch.float32), side)
    for lengths, width in cases:
        for side, mask_dtype in (("right", torch.int64), ("left", torch.bool)):
            _check_mean(masked_mean, _rows(lengths, width), side, more=3, mask_dtype=mask_dtype)


@check_masked_mean.part(1, "lets gradients through to the real tokens, and to no padding")
def _(masked_mean: Callable, cases: Sequence[Any]) -> None:
    for side in ("right", "left"):
        rows = _rows((4, 2, 3), 5)
        hidden, mask = _padded(rows, side, more=1)
        hidden.requires_grad_(True)
        weights = torch.randn(3, 5, dtype=torch.float64)
        counts = torch.tensor([len(row) for row in rows])
        expected = (weights / counts.unsqueeze(1)).unsqueeze(1) * mask.unsqueeze(-1)
        found = masked_mean(hidden, mask)
        call = "masked_mean"
        if not _close(_vectors(found, weights, call), torch.stack([row.mean(0) for row in rows])):
            _check_mean(masked_mean, rows, side, more=1)
        _check_gradient(found, hidden, expected, weights, MEAN_WRONG)


# --------------------------------------------------------------------------------------------------------
# sequence_summary
# --------------------------------------------------------------------------------------------------------

SUMMARY_OF_PADDING = Misconception(
    "summary-of-padding",
    "The vector taken is one of the padding. It belongs to no word, and which one it is changes with the other texts of "
    "the batch.",
    "on which side each family is padded, and so at which end of a row the real tokens are",
)
NOT_THE_LAST = Misconception(
    "not-the-last",
    "For this family the last real token should speak, and another one did. GPT and XLNet have read the whole text only "
    "there.",
    "which position you take, and whether it is counted from 0",
)
NOT_THE_FIRST = Misconception(
    "not-the-first",
    "For BERT the first token should speak, `[CLS]`, and another one did.",
    "which position you take for 'bert'",
)
ONE_PLACE_FOR_ALL = Misconception(
    "one-place-for-all",
    "Every row gave the vector of the same position, though their texts end at different ones.",
    "whether the position you take is one number for the batch, or one for each row",
)
SUMMARY_WRONG = Misconception(
    "summary-wrong",
    "What came back is not the vector of the token that speaks for the text.",
    "the row and the position that your index picks out",
)

check_sequence_summary = Check(
    "sequence_summary",
    hints=(
        "Draw a row of each family with two pads. Where is the token that speaks? In two of the three it is the same "
        "position in every row.",
        "For GPT the position differs from row to row, and the mask knows it: how many real tokens has the row, and "
        "what is the number of the last of them, counted from 0?",
        "To take position p[b] from row b, index with two lists at once: `hidden[torch.arange(B), p]`. One list alone, "
        "`hidden[:, p]`, takes every position from every row.",
    ),
    seconds=10,
)

SIDES = {"bert": "right", "gpt": "right", "xlnet": "left"}


def _check_summary(
    sequence_summary: Callable, rows: Sequence[Tensor], family: str, *, more: int = 0
) -> None:
    side = SIDES[family]
    hidden, mask = _padded(rows, side, more=more)
    place = 0 if family == "bert" else -1
    expected = torch.stack([row[place] for row in rows])
    before = hidden.clone(), mask.clone()
    lengths = [len(row) for row in rows]
    call = gettext("sequence_summary(hidden, mask, {family!r}) for {texts}").format(
        family=family, texts=_texts(lengths, side, mask.shape[1])
    )
    found = _vectors(sequence_summary(hidden, mask, family), expected, call)
    _untouched(hidden, mask, before, call)
    if _close(found, expected):
        return
    number = int((found - expected).abs().sum(1).argmax())
    same = [_close(before[0][number, place], found[number]) for place in range(mask.shape[1])]
    vector = _numbers(found[number])
    seen = gettext("row {number} of {call} is {vector}").format(
        number=number, call=call, vector=vector
    )
    if any(same):
        seen = gettext("row {number} of {call} is {vector}, the vector at position {place}").format(
            number=number, call=call, vector=vector, place=same.index(True)
        )
    wanted = _numbers(expected[number])
    expected_row = gettext("{wanted}, the first token's").format(wanted=wanted)
    if family != "bert":
        expected_row = gettext("{wanted}, the last real token's").format(wanted=wanted)
    if any(same) and not before[1][number, same.index(True)]:
        raise Wrong(SUMMARY_OF_PADDING, seen=seen, expected=expected_row)
    one_place = [p for p in range(mask.shape[1]) if _close(found, before[0][:, p])]
    if family == "gpt" and len(set(lengths)) > 1 and one_place and one_place != [0]:
        raise Wrong(ONE_PLACE_FOR_ALL, seen=seen, expected=expected_row)
    if family == "bert":
        raise Wrong(NOT_THE_FIRST, seen=seen, expected=expected_row)
    raise Wrong(NOT_THE_LAST if any(same) else SUMMARY_WRONG, seen=seen, expected=expected_row)


@check_sequence_summary.part(1, "takes the first token's vector for BERT")
def _(sequence_summary: Callable, cases: Sequence[Any]) -> None:
    for lengths, width in (((4, 2, 6), 3), ((3, 3), 5), ((1, 4), 2)):
        for more in (0, 3):
            _check_summary(sequence_summary, _rows(lengths, width), "bert", more=more)


@check_sequence_summary.part(2, "takes the last real token's vector for GPT, each row its own")
def _(sequence_summary: Callable, cases: Sequence[Any]) -> None:
    for lengths, width in (((4, 2, 6), 3), ((6, 1, 3, 4), 5), ((3, 3), 2)):
        for more in (0, 1, 5):
            _check_summary(sequence_summary, _rows(lengths, width), "gpt", more=more)


@check_sequence_summary.part(
    1, "takes the last token's vector for XLNet, which is padded on the left"
)
def _(sequence_summary: Callable, cases: Sequence[Any]) -> None:
    for lengths, width in (((4, 2, 6), 3), ((3, 3), 5), ((1, 4), 2)):
        for more in (0, 3):
            _check_summary(sequence_summary, _rows(lengths, width), "xlnet", more=more)


@check_sequence_summary.part(1, "works for one text and for one token, and lets gradients through")
def _(sequence_summary: Callable, cases: Sequence[Any]) -> None:
    for family, side in SIDES.items():
        for lengths, width in (((3,), 4), ((1,), 3), ((1, 1), 1), *cases):
            _check_summary(sequence_summary, _rows(lengths, width), family, more=2)
        rows = _rows((4, 2, 3), 5)
        hidden, mask = _padded(rows, side, more=1)
        hidden.requires_grad_(True)
        weights = torch.randn(3, 5, dtype=torch.float64)
        expected = torch.zeros_like(hidden).detach()
        for number, row in enumerate(rows):
            first = 0 if side == "right" else mask.shape[1] - len(row)
            expected[number, first if family == "bert" else first + len(row) - 1] = weights[number]
        _check_gradient(
            sequence_summary(hidden, mask, family), hidden, expected, weights, SUMMARY_WRONG
        )


# --------------------------------------------------------------------------------------------------------
# qa_windows
# --------------------------------------------------------------------------------------------------------

NOT_WINDOWS = Misconception(
    "not-windows",
    "What came back is not a list of dicts with 'input_ids' and 'offset'.",
    "the keys of each window, and what kind of thing each value is",
)
QUESTION_MISSING = Misconception(
    "question-missing",
    "A window does not begin with the whole question, and nothing else: without it the network does not know what it is "
    "asked.",
    "how you put together the ids of the second window, and of the last",
)
TOO_LONG = Misconception(
    "too-long",
    "A window has more than `max_length` ids. The question takes its place in every window, so less room is left for "
    "context.",
    "how many ids of context fit behind the question",
)
NOT_FULL = Misconception(
    "not-full",
    "A window before the last is not full: more context would have fitted behind the question.",
    "where each piece ends",
)
OFFSET_WRONG = Misconception(
    "offset-wrong",
    "`offset` does not say where the piece begins in the context, so an answer found there would be looked up in the "
    "wrong place.",
    "what you count from: the context alone, without the question, from 0",
)
CONTEXT_LOST = Misconception(
    "context-lost",
    "Some of the context is in no window. An answer that stands there cannot be found.",
    "what happens to the end of the context, and what a window begins with after the one before",
)
STRIDE_AS_STEP = Misconception(
    "stride-as-step",
    "`stride` is taken for the distance from one window's beginning to the next. It is what the two share.",
    "how far the beginning moves on, when `stride` ids of a window come again in the next",
)
NO_OVERLAP = Misconception(
    "no-overlap",
    "Windows do not share `stride` ids of context. An answer cut by a window's edge is then whole in neither.",
    "where a piece begins, measured from the end of the one before",
)
WINDOW_INSIDE = Misconception(
    "window-inside",
    "The last window brings nothing new: its context lies wholly inside the window before.",
    "when your loop should end: as soon as a window has reached the end of the context",
)
PULLED_BACK = Misconception(
    "pulled-back",
    "The last window was moved back until it is full, so it shares more than `stride` ids with the one before. It may be "
    "shorter than the others.",
    "where the last piece begins",
)
REPEATED_IDS = Misconception(
    "repeated-ids",
    "Where ids repeat, the windows are cut elsewhere. An id says which token it is, not where it stands: most texts say "
    "`the` more than once.",
    "searches for an id in the context, such as `index` and `in`",
)
MORE_THAN_ONE = Misconception(
    "more-than-one",
    "This context fits into one window, and more than one came back, or none.",
    "the case in which question and context together have at most `max_length` ids",
)

check_qa_windows = Check(
    "qa_windows",
    hints=(
        "How many ids of context fit behind the question? Call it the room. The first piece is the first `room` ids.",
        "If the next piece shares `stride` ids with this one, how far has its beginning moved on?",
        "Go on from piece to piece until one reaches the end of the context, and stop there: test the end of the piece, "
        "not its beginning.",
    ),
    seconds=5,
)


def _check_windows(
    qa_windows: Callable, question: int, context: int, max_length: int, stride: int
) -> None:
    """Every id is different and says where it is from: 1, 2, ... the question's, 1000, 1001, ... the context's."""
    asked, text = list(range(1, question + 1)), list(range(1000, 1000 + context))
    handed = list(asked), list(text)
    call = gettext(
        "{question} ids of question, {context} of context, max_length={max_length}, stride={stride}"
    ).format(question=question, context=context, max_length=max_length, stride=stride)
    found = qa_windows(*handed, max_length, stride)
    if handed != (asked, text):
        raise Wrong(
            INPUTS_CHANGED,
            seen=gettext("question {question}, context {context} after {call}").format(
                question=_short(handed[0]), context=_short(handed[1]), call=call
            ),
        )
    windows = []
    try:
        for window in found:
            ids, offset = [_whole(one) for one in window["input_ids"]], _whole(window["offset"])
            if None in ids or offset is None:
                raise TypeError
            windows.append((ids, offset))
    except (TypeError, KeyError, IndexError, AttributeError):
        raise Wrong(
            NOT_WINDOWS, seen=gettext("{found} for {call}").format(found=_short(found), call=call)
        ) from None
    room = max_length - question
    pieces = []
    for number, (ids, _) in enumerate(windows):
        seen = gettext("window {number} is {ids} for {call}").format(
            number=number, ids=_short(ids), call=call
        )
        if len(ids) > max_length:
            raise Wrong(
                TOO_LONG,
                seen=gettext("window {number} has {ids} ids for {call}").format(
                    number=number, ids=len(ids), call=call
                ),
                expected=f"<= {max_length}",
            )
        if ids[:question] != asked or any(one < 1000 for one in ids[question:]):
            raise Wrong(
                QUESTION_MISSING,
                seen=seen,
                expected=gettext("{asked}, then context").format(asked=_short(asked)),
            )
        pieces.append([one - 1000 for one in ids[question:]])
    if context <= room and len(windows) != 1:
        raise Wrong(
            MORE_THAN_ONE,
            seen=gettext("{windows} windows for {call}").format(windows=len(windows), call=call),
            expected="1",
        )
    if not windows:
        raise Wrong(CONTEXT_LOST, seen=gettext("no window for {call}").format(call=call))
    for number, (piece, (_, offset)) in enumerate(zip(pieces, windows, strict=True)):
        seen = gettext(
            "window {number} has no id of the context and offset {offset}, for {call}"
        ).format(number=number, offset=offset, call=call)
        if piece:
            seen = gettext(
                "window {number} has {first} to {last} of the context and offset {offset}, for "
                "{call}"
            ).format(number=number, first=piece[0], last=piece[-1], offset=offset, call=call)
        if piece != list(range(piece[0], piece[0] + len(piece)) if piece else []):
            raise Wrong(CONTEXT_LOST, seen=seen, expected="a piece of the context, in its order")
        if piece and offset != piece[0]:
            raise Wrong(OFFSET_WRONG, seen=seen, expected=piece[0])
    begins = [piece[0] if piece else math.inf for piece in pieces]
    spans = gettext("windows over {spans} for {call}").format(
        spans=[(piece[0], piece[-1]) for piece in pieces if piece], call=call
    )
    for number in range(1, len(pieces)):
        if set(pieces[number]) <= set(pieces[number - 1]):
            raise Wrong(
                WINDOW_INSIDE,
                seen=spans,
                expected="each window reaches further than the one before",
            )
    for number, piece in enumerate(pieces[:-1]):
        if len(piece) < room:
            seen = ngettext(
                "window {number} has {count} id of context; {spans}",
                "window {number} has {count} ids of context; {spans}",
                len(piece),
            ).format(number=number, count=len(piece), spans=spans)
            raise Wrong(
                NOT_FULL,
                seen=seen,
                expected=ngettext("{room} id of context", "{room} ids of context", room).format(
                    room=room
                ),
            )
    steps = {b - a for a, b in itertools.pairwise(begins)}
    if steps == {stride} and stride != room - stride:
        raise Wrong(
            STRIDE_AS_STEP,
            seen=spans,
            expected=ngettext(
                "{stride} id shared, so {step} further each time",
                "{stride} ids shared, so {step} further each time",
                stride,
            ).format(stride=stride, step=room - stride),
        )
    for number in range(1, len(pieces)):
        shared = pieces[number - 1][-1] + 1 - pieces[number][0]
        if shared != stride:
            full_last = (
                number == len(pieces) - 1 and len(pieces[number]) == room and shared > stride
            )
            idea = CONTEXT_LOST if shared < 0 else PULLED_BACK if full_last else NO_OVERLAP
            raise Wrong(
                idea,
                seen=ngettext(
                    "{shared} id shared; {spans}", "{shared} ids shared; {spans}", shared
                ).format(shared=shared, spans=spans),
                expected=gettext("{stride} shared").format(stride=stride),
            )
    if sorted(set().union(*map(set, pieces))) != list(range(context)):
        raise Wrong(
            CONTEXT_LOST,
            seen=spans,
            expected=gettext("0 to {last} covered").format(last=context - 1),
        )


def _check_repeats(
    qa_windows: Callable, question: int, context: int, max_length: int, stride: int
) -> None:
    """The windows of a context in which the same few ids come again are cut at the same places."""
    asked, text = list(range(1, question + 1)), list(range(1000, 1000 + context))
    places = [
        (_whole(one["offset"]), len(list(one["input_ids"])) - question)
        for one in qa_windows(asked, text, max_length, stride)
    ]
    asked, text = [5] * question, [5 + place % 3 for place in range(context)]
    windows = list(qa_windows(list(asked), list(text), max_length, stride))
    expected = [(begin, asked + text[begin : begin + length]) for begin, length in places]
    found = [(_whole(one["offset"]), [_whole(t) for t in one["input_ids"]]) for one in windows]
    if found != expected:
        seen = gettext("{found} where ids repeat").format(found=_short(found))
        raise Wrong(REPEATED_IDS, seen=seen, expected=_short(expected))


@check_qa_windows.part(
    1, "puts the whole question in front of pieces of the context, with their offsets"
)
def _(qa_windows: Callable, cases: Sequence[Any]) -> None:
    _check_windows(qa_windows, 3, 20, 10, 2)
    _check_windows(qa_windows, 5, 31, 16, 3)


@check_qa_windows.part(1, "gives one window where the context fits")
def _(qa_windows: Callable, cases: Sequence[Any]) -> None:
    for question, context, max_length, stride in (
        (3, 7, 10, 2),
        (4, 1, 12, 5),
        (2, 6, 9, 3),
        (3, 2, 9, 4),
    ):
        _check_windows(qa_windows, question, context, max_length, stride)


@check_qa_windows.part(2, "shares stride ids between neighbours, and ends with the context")
def _(qa_windows: Callable, cases: Sequence[Any]) -> None:
    # room 7, stride 2: the beginnings move on by 5; contexts that end on, before and behind every possible edge
    for context in range(8, 24):
        _check_windows(qa_windows, 3, context, 10, 2)
    for stride in (5, 6, 1, 0):
        for context in (8, 13, 14, 20):
            _check_windows(qa_windows, 3, context, 10, stride)
    _check_repeats(qa_windows, 3, 20, 10, 2)
    _check_repeats(qa_windows, 2, 9, 8, 0)
    for case in cases:
        _check_windows(qa_windows, *case)


# --------------------------------------------------------------------------------------------------------
# best_span
# --------------------------------------------------------------------------------------------------------

NOT_A_SPAN = Misconception(
    "not-a-span",
    "What came back is not a pair of whole numbers: the first character of the answer and the one past its last.",
    "the `return` line, and whether a span is found in every case",
)
TOKENS_NOT_CHARACTERS = Misconception(
    "tokens-not-characters",
    "What came back counts tokens. An answer is cut out of the context by characters, and `offsets` has them.",
    "what you return once the two tokens are found",
)
IN_QUESTION = Misconception(
    "in-question",
    "The span touches a token that is not in the context: a word of the question, or a special token.",
    "the tokens whose entry in `offsets` is None, as a start and as an end",
)
END_BEFORE_START = Misconception(
    "end-before-start",
    "The span ends before it starts. The best start and the best end, each chosen by itself, need not belong together.",
    "which pairs of a start and an end your search lets in",
)
LONGER_THAN_ALLOWED = Misconception(
    "longer-than-allowed",
    "The span has more than `max_answer` tokens.",
    "how many tokens the span from i to j has, both of them counted",
)
NOT_LONG_ENOUGH = Misconception(
    "not-long-enough",
    "The best span has exactly `max_answer` tokens, which is allowed, and it was not found.",
    "how many tokens the span from i to j has, both of them counted",
)
GREEDY = Misconception(
    "greedy",
    "The best start (or end), or a few of the best, were chosen first, and the best partner for them afterwards. Another "
    "pair has a larger sum.",
    "whether your search compares the sums of all pairs that are allowed",
)
SUM_WRONG = Misconception(
    "sum-wrong",
    "Another span has a larger sum of its start's and its end's logit.",
    "the number by which you compare two spans, and the one you begin with: logits may all be negative",
)
LAST_CHARACTER = Misconception(
    "last-character",
    "The right tokens, but not from the start's first character to the one past the end's last.",
    "which of the two numbers of an entry of `offsets` you take at each end",
)

check_best_span = Check(
    "best_span",
    hints=(
        "Which pairs (i, j) are allowed? Three conditions: both in the context, in order, not too long.",
        "Go over all pairs that are allowed, and keep the one with the largest sum so far. What must the largest sum be "
        "before the first pair, if logits may be negative?",
        "In tensors: `start[:, None] + end[None, :]` has the sum of every pair. Put minus infinity where a pair is not "
        "allowed, and the largest entry is the answer; `divmod(index, T)` gives its row and column.",
    ),
    seconds=10,
)


class _Passage:
    """Logits over [special, question, special, context, special, padding], all low, with the answer planted.

    Every logit is at most -1 but the planted ones, which are 0: so the planted span has the largest sum whatever the
    rest is. A decoy is higher still, but each span that it could be part of is far lower, or not allowed.
    """

    def __init__(
        self,
        question: int,
        context: int,
        padding: int = 0,
        *,
        first: bool = False,
        shift: float = 0.0,
        indent: int = 1,
    ) -> None:
        spread = torch.rand(context, 2).tolist()
        self.offsets: list[tuple[int, int] | None] = []
        place = indent
        for gap, width in spread:
            place += 1 + int(3 * gap) if self.offsets else 0
            self.offsets.append((place, place + 2 + int(9 * width)))
            place += 2 + int(9 * width)
        around = [None] * (question + 2)
        # XLNet's way round: the context first, behind padding on the left
        self.offsets = (
            [*[None] * padding, *self.offsets, None, *around]
            if first
            else [*around, *self.offsets, None, *[None] * padding]
        )
        length = len(self.offsets)
        self.begin = padding if first else question + 2
        self.end = self.begin + context  # past the last token of the context
        self.start_logits = -1 - 3 * torch.rand(length, dtype=torch.float64)
        self.end_logits = -1 - 3 * torch.rand(length, dtype=torch.float64)
        self.shift = shift

    def plant(self, i: int, j: int) -> _Passage:
        """The answer, from the i-th to the j-th token of the context."""
        self.i, self.j = self.begin + i, self.begin + j
        self.start_logits[self.i] = 0.0
        self.end_logits[self.j] = 0.0
        return self

    def decoy(
        self, start: int | None = None, end: int | None = None, height: float = 3.0
    ) -> _Passage:
        """A start and an end, as positions in the whole sequence, that look better than the answer's."""
        if start is not None:
            self.start_logits[start] = height
        if end is not None:
            self.end_logits[end] = height
        return self

    def answer(self, i: int, j: int) -> tuple[int, int]:
        a, b = self.offsets[i], self.offsets[j]
        assert a is not None and b is not None
        return a[0], b[1]


def _check_span(
    best_span: Callable, passage: _Passage, max_answer: int, otherwise: Misconception = SUM_WRONG
) -> None:
    start, end = passage.start_logits + passage.shift, passage.end_logits + passage.shift
    before = start.clone(), end.clone(), list(passage.offsets)
    handed = start, end, list(passage.offsets)
    call = gettext(
        "{count} tokens, {inside} of them in the context, max_answer={max_answer}"
    ).format(count=len(before[2]), inside=passage.end - passage.begin, max_answer=max_answer)
    try:
        found = best_span(*handed, max_answer)
    except TypeError as error:
        if "NoneType" in str(
            error
        ):  # it went on with the entry of a token that is not in the context
            raise Wrong(
                IN_QUESTION, seen=gettext("your code raised TypeError: {error}").format(error=error)
            ) from None
        raise
    for name, now, then in zip(
        ("start_logits", "end_logits", "offsets"), handed, before, strict=True
    ):
        if not (
            torch.equal(now, then)
            if isinstance(then, Tensor) and isinstance(now, Tensor)
            else now == then
        ):
            raise Wrong(
                INPUTS_CHANGED, seen=gettext("{name} is another afterwards").format(name=name)
            )
    try:
        pair = tuple(_whole(one) for one in found)
    except TypeError:
        pair = ()
    right = passage.answer(passage.i, passage.j)
    expected = gettext("{right}: tokens {i} to {j}").format(right=right, i=passage.i, j=passage.j)
    if pair == right:
        return
    seen = gettext("{found} for {call}").format(found=_short(found), call=call)
    if len(pair) != 2 or None in pair:
        raise Wrong(NOT_A_SPAN, seen=seen, expected=expected)
    first, past = pair
    firsts = {offset[0]: n for n, offset in enumerate(before[2]) if offset}
    pasts = {offset[1]: n for n, offset in enumerate(before[2]) if offset}
    if pair in (
        (passage.i, passage.j),
        (passage.i, passage.j + 1),
        (passage.i - passage.begin, passage.j - passage.begin),
    ):
        raise Wrong(TOKENS_NOT_CHARACTERS, seen=seen, expected=expected)
    i, j = firsts.get(first), pasts.get(past)
    answer_ends = before[2][passage.i] + before[2][passage.j]  # four characters
    if first in (*answer_ends[:2],) and past in (
        answer_ends[2],
        answer_ends[3] - 1,
        answer_ends[3] + 1,
    ):
        raise Wrong(LAST_CHARACTER, seen=seen, expected=expected)
    if i is None or j is None:
        raise Wrong(IN_QUESTION, seen=seen, expected=expected)
    seen = gettext("{pair}, tokens {i} to {j}, for {call}").format(pair=pair, i=i, j=j, call=call)
    if j < i:
        raise Wrong(END_BEFORE_START, seen=seen, expected=expected)
    if j - i + 1 > max_answer:
        raise Wrong(
            LONGER_THAN_ALLOWED,
            seen=gettext("{count} tokens: {seen}").format(count=j - i + 1, seen=seen),
            expected=expected,
        )
    raise Wrong(otherwise, seen=seen, expected=expected)


@check_best_span.part(1, "finds the span with the largest sum, as characters of the context")
def _(best_span: Callable, cases: Sequence[Any]) -> None:
    _check_span(best_span, _Passage(4, 9, indent=0).plant(2, 5), 6)
    _check_span(best_span, _Passage(3, 7, padding=2, shift=6.0).plant(4, 4), 5)
    _check_span(best_span, _Passage(5, 8, shift=-30.0, indent=0).plant(0, 2), 30)
    _check_span(best_span, _Passage(4, 6, shift=-1e5).plant(1, 3), 5)
    _check_span(best_span, _Passage(2, 1, shift=-2.0).plant(0, 0), 1)


@check_best_span.part(1, "keeps out of the question, special tokens and padding")
def _(best_span: Callable, cases: Sequence[Any]) -> None:
    for first in (False, True):
        for shift in (0.0, -9.0, 9.0):
            for behind in (True, False):
                passage = _Passage(4, 8, padding=3, first=first, shift=shift).plant(3, 5)
                start = passage.end + 1 if behind else passage.begin - 2
                _check_span(best_span, passage.decoy(start=start, end=start + 1), 5)
            passage = _Passage(4, 8, padding=3, first=first, shift=shift).plant(2, 4)
            # each alone: a start in the context with an end behind it, an end in the context with a start before it
            _check_span(best_span, passage.decoy(end=passage.end), 8)
            passage = _Passage(4, 8, padding=3, first=first, shift=shift).plant(3, 5)
            _check_span(best_span, passage.decoy(start=passage.begin - 1), 8)

    for shift in (0.0, -9.0):  # every word of a long question looks better than the answer
        passage = _Passage(40, 8, padding=2, shift=shift).plant(1, 3)
        passage.start_logits[: passage.begin] = 2.0
        passage.end_logits[: passage.begin] = 2.0
        _check_span(best_span, passage, 6)


@check_best_span.part(1, "never ends before it starts, and weighs start and end together")
def _(best_span: Callable, cases: Sequence[Any]) -> None:
    for shift in (0.0, -8.0):
        passage = _Passage(3, 12, shift=shift).plant(5, 6)
        start, end = passage.begin + 9, passage.begin + 2  # the wrong way round
        passage.end_logits[start : start + 3] = -9.0
        passage.start_logits[end - 2 : end + 1] = -9.0
        _check_span(best_span, passage.decoy(start=start, end=end), 3, GREEDY)
        passage = _Passage(3, 12, shift=shift).plant(2, 4)
        passage.end_logits[passage.begin + 7 :] = -9.0
        _check_span(best_span, passage.decoy(start=passage.begin + 8), 5, GREEDY)
        passage = _Passage(3, 12, shift=shift).plant(8, 10)
        passage.start_logits[: passage.begin + 5] = -9.0
        _check_span(best_span, passage.decoy(end=passage.begin + 4), 5, GREEDY)
    # 29 starts look better than the one of the best pair, and no good end is near them; then the same from behind
    starts, ends = torch.full((2, 60), -20.0, dtype=torch.float64)
    starts[30], starts[31:] = 0.0, torch.linspace(5, 6, 29)
    ends[30], ends[59] = 10.0, 3.5
    for place, of_start, of_end in ((30, starts, ends), (29, ends.flip(0), starts.flip(0))):
        passage = _Passage(4, 60).plant(place, place)
        passage.start_logits[passage.begin : passage.end] = of_start
        passage.end_logits[passage.begin : passage.end] = of_end
        _check_span(best_span, passage, 3, GREEDY)


@check_best_span.part(1, "allows max_answer tokens, and not one more")
def _(best_span: Callable, cases: Sequence[Any]) -> None:
    for most in (1, 2, 4):
        _check_span(best_span, _Passage(3, 14).plant(5, 4 + most), most, NOT_LONG_ENOUGH)
        passage = _Passage(3, 14).plant(1, 1)
        passage.start_logits[passage.begin + 6 :] = -9.0
        passage.end_logits[passage.begin + 3 :] = -9.0
        # one token more than allowed
        _check_span(
            best_span, passage.decoy(start=passage.begin + 6, end=passage.begin + 6 + most), most
        )
    for question, context, padding, most in cases:
        for first in (False, True):
            passage = _Passage(question, context, padding, first=first).plant(
                context // 3, context // 3 + most - 1
            )
            passage.decoy(start=passage.end if first else 1, end=passage.end + 1 if first else 2)
            _check_span(best_span, passage, most)


# --------------------------------------------------------------------------------------------------------
# exact_match_and_f1
# --------------------------------------------------------------------------------------------------------

NOT_TWO_NUMBERS = Misconception(
    "not-two-numbers",
    "What came back is not a pair of numbers between 0 and 1, the exact match and the F1.",
    "the `return` line, and a division by zero where two answers share no word",
)
CASE_COUNTS = Misconception(
    "case-counts",
    "Capital and small letters make a difference. They should not.",
    "whether both the prediction and the references are brought to lower case",
)
PUNCTUATION_COUNTS = Misconception(
    "punctuation-counts",
    "Punctuation makes a difference, or leaves a gap. It is removed: `well-known` becomes `wellknown`.",
    "what your code does with each character of `string.punctuation`",
)
ARTICLES_COUNT = Misconception(
    "articles-count",
    "An article makes a difference. `a`, `an` and `the` are removed wherever they stand as words of their own, in "
    "capitals or before a comma too.",
    "the order of your steps, and which of the three words they know",
)
ARTICLES_IN_WORDS = Misconception(
    "articles-in-words",
    "Letters were removed from inside a word. `theory` and `ant` keep theirs: an article is a whole word.",
    "what your pattern asks for on either side of an article",
)
SPACES_COUNT = Misconception(
    "spaces-count",
    "White space makes a difference. Any run of it counts as one blank, and none at the ends.",
    "how you split a text into words",
)
WORDS_AS_SET = Misconception(
    "words-as-set",
    "A word said twice counted once, or a shared word counted as often as it is said in one of the two.",
    "how many times a word is shared, if one text has it twice and the other once",
)
NOT_HARMONIC = Misconception(
    "not-harmonic",
    "The F1 is the harmonic mean of precision and recall: of the words you gave and of the words you should have given.",
    "what the number of shared words is divided by",
)
NOT_THE_BEST = Misconception(
    "not-the-best",
    "There are several references, and each measure is its maximum over them.",
    "which references your code compares with, and what it does with the results",
)
WORD_ORDER = Misconception(
    "word-order",
    "The same words in another order share them all: F1 counts words, and does not ask where they stand.",
    "how you find the words that the two answers share",
)
MATCH_TOO_WIDE = Misconception(
    "match-too-wide",
    "Exact match is 1 only where the whole answers are equal once both are normalised, word by word in their order.",
    "the comparison behind the exact match",
)

check_exact_match_and_f1 = Check(
    "exact_match_and_f1",
    hints=(
        "Write the normalising as a function of its own, and use it on the prediction and on every reference. Lower "
        "case first, or `The` is no article.",
        "After normalising, `text.split()` gives the words. For the F1 you need how many words the two share, counted: "
        "`Counter(a) & Counter(b)` keeps the smaller count of each.",
        "With `shared` that many: precision is shared over the words predicted, recall shared over the reference's, and "
        "F1 = 2 P R / (P + R). Where nothing is shared the F1 is 0, and nothing must be divided.",
    ),
    seconds=10,
)


def _check_score(
    measure: Callable,
    prediction: str,
    references: list[str],
    match: float,
    f1: float,
    idea: Misconception,
) -> None:
    handed = list(references)
    found = measure(prediction, handed)
    call = f"exact_match_and_f1({prediction!r}, {references!r})"
    if handed != references:
        raise Wrong(
            INPUTS_CHANGED,
            seen=gettext("references are {handed} after {call}").format(handed=handed, call=call),
        )
    try:
        got_match, got_f1 = (float(one) for one in found)
    except (TypeError, ValueError):
        raise Wrong(
            NOT_TWO_NUMBERS,
            seen=gettext("{call} gave {found}").format(call=call, found=_short(found)),
            expected=(match, f1),
        ) from None
    if not (0 <= got_match <= 1 and 0 <= got_f1 <= 1 + 1e-9):  # a nan too
        raise Wrong(
            NOT_TWO_NUMBERS,
            seen=gettext("{call} gave {found}").format(call=call, found=_short(found)),
            expected=(match, f1),
        )
    # Fractions of a few words: 1e-6 is far more than rounding, even in float32, and far less than any other count.
    if idea is WORD_ORDER and got_match > match:
        idea = MATCH_TOO_WIDE
    if abs(got_match - match) > 1e-6 or abs(got_f1 - f1) > 1e-6:
        raise Wrong(
            idea,
            seen=gettext("{call} gave ({got_match:g}, {got_f1:.4g})").format(
                call=call, got_match=got_match, got_f1=got_f1
            ),
            expected=f"({match:g}, {f1:.4g})",
        )


Scored = Iterable[tuple[str, list[str], float, float, Misconception]]


def _check_scores(measure: Callable, scored: Scored) -> None:
    for row in scored:
        _check_score(measure, *row)


@check_exact_match_and_f1.part(1, "normalises: case, punctuation, articles, white space")
def _(exact_match_and_f1: Callable, cases: Sequence[Any]) -> None:
    rows: Scored = [
        ("hammer", ["hammer"], 1, 1, NOT_TWO_NUMBERS),
        ("New York", ["new york"], 1, 1, CASE_COUNTS),
        ("iron", ["IRON"], 1, 1, CASE_COUNTS),
        ("hammer.", ["hammer"], 1, 1, PUNCTUATION_COUNTS),
        ('"tools, or weapons!"', ["tools or weapons"], 1, 1, PUNCTUATION_COUNTS),
        ("well-known", ["wellknown"], 1, 1, PUNCTUATION_COUNTS),
        ("well-known", ["well known"], 0, 0, PUNCTUATION_COUNTS),
        ("snake_case", ["snakecase"], 1, 1, PUNCTUATION_COUNTS),
        (string.punctuation.join(("old", "tool")), ["oldtool"], 1, 1, PUNCTUATION_COUNTS),
        ("the hammer", ["hammer"], 1, 1, ARTICLES_COUNT),
        ("hammer", ["a hammer"], 1, 1, ARTICLES_COUNT),
        ("an old tool", ["old tool"], 1, 1, ARTICLES_COUNT),
        ("The top of the hill", ["top of hill"], 1, 1, ARTICLES_COUNT),
        ("grade A, the best", ["grade best"], 1, 1, ARTICLES_COUNT),
        ("part a-list", ["part alist"], 1, 1, ARTICLES_COUNT),
        ("other", ["or"], 0, 0, ARTICLES_IN_WORDS),
        ("theory", ["ory"], 0, 0, ARTICLES_IN_WORDS),
        ("ant", ["t"], 0, 0, ARTICLES_IN_WORDS),
        ("sofa", ["sof"], 0, 0, ARTICLES_IN_WORDS),
        ("sofa bed", ["sofbed"], 0, 0, ARTICLES_IN_WORDS),
        ("  old\ttool \n", ["old tool"], 1, 1, SPACES_COUNT),
        ("old   tool", ["old tool"], 1, 1, SPACES_COUNT),
        ("old tool", ["old  the  tool"], 1, 1, SPACES_COUNT),
        ("oldtool", ["old tool"], 0, 0, SPACES_COUNT),
        ("café", ["caf"], 0, 0, PUNCTUATION_COUNTS),
        ("1906", ["1907"], 0, 0, MATCH_TOO_WIDE),
    ]
    _check_scores(exact_match_and_f1, rows)


@check_exact_match_and_f1.part(1, "gives F1 from shared words, counted")
def _(exact_match_and_f1: Callable, cases: Sequence[Any]) -> None:
    rows: Scored = [
        ("red big dog", ["big dog"], 0, 0.8, NOT_HARMONIC),
        ("dog", ["big red dog"], 0, 0.5, NOT_HARMONIC),
        ("big red cat sleeps", ["big dog"], 0, 1 / 3, NOT_HARMONIC),
        ("bora bora", ["bora"], 0, 2 / 3, WORDS_AS_SET),
        ("bora", ["bora bora bora"], 0, 0.5, WORDS_AS_SET),
        ("dog big", ["big dog"], 0, 1, WORD_ORDER),
        ("pass it on and on", ["on and on it"], 0, 8 / 9, WORDS_AS_SET),
        ("big dog", ["big dog house"], 0, 0.8, MATCH_TOO_WIDE),
        ("dogma", ["dog"], 0, 0, MATCH_TOO_WIDE),
    ]
    _check_scores(exact_match_and_f1, rows)


@check_exact_match_and_f1.part(1, "is 0 where nothing is shared, also for an empty answer")
def _(exact_match_and_f1: Callable, cases: Sequence[Any]) -> None:
    rows: Scored = [
        ("cat", ["big dog"], 0, 0, NOT_TWO_NUMBERS),
        ("", ["dog"], 0, 0, NOT_TWO_NUMBERS),
        ("the", ["dog"], 0, 0, ARTICLES_COUNT),
        ("dog", ["..."], 0, 0, PUNCTUATION_COUNTS),
        ("cat", ["dog", "bird", "fish and fowl"], 0, 0, NOT_TWO_NUMBERS),
        ("big dog", ["big dog"], 1, 1, NOT_TWO_NUMBERS),  # so that 0 for everything is not enough
    ]
    _check_scores(exact_match_and_f1, rows)


@check_exact_match_and_f1.part(1, "takes the best of several references")
def _(exact_match_and_f1: Callable, cases: Sequence[Any]) -> None:
    for references in (
        ["big dog", "cat", "red bird"],
        ["cat", "red bird", "big dog"],
        ["cat", "big dog", "red bird"],
    ):
        _check_score(exact_match_and_f1, "The big dog!", references, 1, 1, NOT_THE_BEST)
        _check_score(exact_match_and_f1, "big brown dog", references, 0, 0.8, NOT_THE_BEST)
    for references in (["big dog", "brown cat"], ["brown cat", "big dog"]):
        _check_score(exact_match_and_f1, "big brown dog", references, 0, 0.8, NOT_THE_BEST)
    _check_score(
        exact_match_and_f1, "old iron tool", ["tool", "old iron", "wood"], 0, 0.8, NOT_THE_BEST
    )
    for prediction, references, match, f1 in cases:
        _check_score(exact_match_and_f1, prediction, references, match, f1, MATCH_TOO_WIDE)
