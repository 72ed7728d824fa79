"""The checks of lesson 03. They judge what a function gives, never how it is written.

Networks are torchvision's own classes, built small on the spot, and on the meta device at full size: what works on
one has to work on the other. Hidden cases hand in more through ``add_cases``; the last part of each check looks at
them, behind its own, so that no hidden failure hides a visible one.
"""

from __future__ import annotations

import copy
import functools
import random
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from course.exercise import Check, Misconception, Wrong
from course.locale import gettext
from course.models import small
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 160 else text[:160] + " ..."


def _is_stub(error: Exception) -> bool:
    """Whether nothing has been written yet; any other error may be the one that was asked for."""
    return isinstance(error, NotImplementedError) and not error.args


def _values(model: nn.Module) -> dict[str, Tensor]:
    """Copies of all parameters and buffers by name."""
    return {
        name: tensor.detach().clone()
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]
    }


def _flags(model: nn.Module) -> dict[str, bool]:
    return {name: parameter.requires_grad for name, parameter in model.named_parameters()}


def _same(one: Tensor, other: Tensor) -> bool:
    """Bit for bit: nothing was to be computed, so no tolerance is owed. On the meta device by shape alone."""
    if one.is_meta or other.is_meta:
        return one.shape == other.shape and one.is_meta == other.is_meta
    return one.dtype == other.dtype and torch.equal(one, other)


def _stir(model: nn.Module) -> nn.Module:
    """Statistics as training leaves them, so that eval and training mode give different answers."""
    with torch.no_grad():
        for buffer in model.buffers():
            buffer.add_(torch.rand_like(buffer) if buffer.is_floating_point() else 3)
    return model


# --------------------------------------------------------------------------------------------------------
# choose_model
# --------------------------------------------------------------------------------------------------------

NOT_A_NAME = Misconception(
    "not-a-name",
    "What came back is not the name of one of the cards.",
    "the `return` line: the card, its name, or something else?",
)
OTHER_TASK = Misconception(
    "other-task",
    "The model was trained for another task. Its accuracy is one of that task, and cannot be compared with those "
    "of yours.",
    "how you compare the card's task with the one you were given",
)
OVER_BUDGET = Misconception(
    "over-budget",
    "The model is larger than the budget allows.",
    "which of the cards your condition on `size_mb` lets through",
)
BUDGET_TOO_STRICT = Misconception(
    "budget-too-strict",
    "A model of exactly the size of the budget was turned away. At most means that it may be as large.",
    "the comparison of `size_mb` with the budget at equality",
)
NOT_AVAILABLE = Misconception(
    "not-available",
    "The model's weights are not here. The best card is worth nothing when nobody can load it.",
    "the key `available`",
)
NOT_THE_BEST = Misconception(
    "not-the-best",
    "A card that is allowed has a higher accuracy.",
    "what you sort by or compare, in which direction, and where your search starts",
)
NO_EXCEPTION = Misconception(
    "no-exception",
    "No card fits, and your function returned something all the same. Whoever called it now goes on with a model "
    "that is not there.",
    "what happens when no card passes all conditions",
)
CARDS_CHANGED = Misconception(
    "cards-changed",
    "The cards are not what they were before the call.",
    "methods that change a list or a dict in place",
)

check_choose_model = Check(
    "choose_model",
    hints=(
        "First keep the cards that fit, then take the best of them. What does a card have to fulfil? Three things.",
        "A list comprehension with three conditions makes a new list and leaves the old one alone. `max` takes a "
        "`key`.",
        "`max(fitting, key=lambda card: card['accuracy'])['name']`; `max` of an empty list raises a `ValueError`.",
    ),
)

_TASKS = ("image classification", "sentence embedding", "image", "segmentation")


def _card(
    name: str, task: str, accuracy: float, size_mb: float, available: bool = True
) -> dict[str, Any]:
    return {
        "name": name,
        "task": task,
        "accuracy": accuracy,
        "size_mb": size_mb,
        "available": available,
    }


def _check_choice(choose_model: Callable, cards: list[dict], task: str, budget: float) -> None:
    fitting = [c for c in cards if c["task"] == task and c["size_mb"] <= budget and c["available"]]
    before = copy.deepcopy(cards)
    call = f"choose_model(cards, {task!r}, {budget})"
    try:
        seen = choose_model(cards, task, budget)
    except Exception as error:
        if _is_stub(error):
            raise
        if fitting:
            if all(c["size_mb"] == budget for c in fitting):
                raise Wrong(
                    BUDGET_TOO_STRICT,
                    seen=gettext("an exception from {call}").format(call=call),
                    expected=fitting[0]["name"],
                ) from None
            raise
        seen = None
    else:
        if not fitting:
            raise Wrong(
                NO_EXCEPTION,
                seen=gettext("{seen} from {call}").format(seen=_short(seen), call=call),
                expected="an exception",
            )
    if cards != before:
        raise Wrong(
            CARDS_CHANGED,
            seen=gettext("other cards, or another order, after {call}").format(call=call),
        )
    if not fitting:
        return
    best = max(fitting, key=lambda c: c["accuracy"])
    if isinstance(seen, str) and seen == best["name"]:
        return
    chosen = next((c for c in cards if isinstance(seen, str) and c["name"] == seen), None)
    expected = best["name"]
    if chosen is None:
        if seen is None and best["accuracy"] <= 0:
            raise Wrong(
                NOT_THE_BEST, seen=gettext("None from {call}").format(call=call), expected=expected
            )
        raise Wrong(NOT_A_NAME, seen=_short(seen), expected=repr(expected))
    shown = gettext("{seen} ({task}, accuracy {accuracy}, {size} MB)").format(
        seen=seen, task=chosen["task"], accuracy=chosen["accuracy"], size=chosen["size_mb"]
    )
    if chosen["task"] != task:
        raise Wrong(
            OTHER_TASK,
            seen=shown,
            expected=gettext("a model for {task}: {expected}").format(task=task, expected=expected),
        )
    if chosen["size_mb"] > budget:
        raise Wrong(
            OVER_BUDGET,
            seen=shown,
            expected=gettext("at most {budget} MB: {expected}").format(
                budget=budget, expected=expected
            ),
        )
    if not chosen["available"]:
        raise Wrong(NOT_AVAILABLE, seen=shown, expected=expected)
    if best["size_mb"] == budget:
        raise Wrong(
            BUDGET_TOO_STRICT,
            seen=shown,
            expected=gettext("{expected}, of {budget} MB exactly").format(
                expected=expected, budget=budget
            ),
        )
    raise Wrong(
        NOT_THE_BEST,
        seen=shown,
        expected=gettext("{expected}, accuracy {accuracy}").format(
            expected=expected, accuracy=best["accuracy"]
        ),
    )


def shelf(count: int, seed: int) -> list[dict]:
    """Cards in no order, all accuracies different."""
    draw = random.Random(seed)
    accuracies = draw.sample(range(1, 1000), count)
    return [
        _card(
            f"net-{seed}-{index}",
            draw.choice(_TASKS),
            accuracy / 1000,
            draw.randint(1, 40) * 2.5,
            draw.random() < 0.6,
        )
        for index, accuracy in enumerate(accuracies)
    ]


@check_choose_model.part(2, "takes the most accurate card of the task that fits and is here")
def _(choose_model: Callable, cases: Sequence[list[dict]]) -> None:
    image, words, coarse = _TASKS[:3]
    row = [
        _card("huge", image, 0.91, 400.0),
        _card("absent", image, 0.88, 20.0, False),
        _card("scene-words", words, 0.99, 5.0),
        _card("pixels", coarse, 0.97, 5.0),
        _card("small", image, 0.62, 4.0),
        _card("right", image, 0.81, 45.5),
        _card("tiny", image, 0.40, 0.9),
    ]
    _check_choice(choose_model, row, image, 100)
    _check_choice(choose_model, row[::-1], image, 100)
    _check_choice(choose_model, row, coarse, 100)  # one task's name is part of another's
    _check_choice(choose_model, row, image, 4.5)
    _check_choice(choose_model, row, words, 10_000)
    _check_choice(choose_model, row, image, 45.5)  # at most: exactly as large is allowed
    for seed in range(12):
        cards = shelf(9, seed)
        task = cards[seed % 9]["task"]
        if any(c["task"] == task and c["available"] and c["size_mb"] <= 60 for c in cards):
            _check_choice(choose_model, cards, task, 60)
    _check_choice(choose_model, [_card("untried", image, 0.0, 1.0)], image, 2)


@check_choose_model.part(1, "raises an exception where none fits, and leaves the cards as they are")
def _(choose_model: Callable, cases: Sequence[list[dict]]) -> None:
    image, words = _TASKS[:2]
    row = [
        _card("net", image, 0.7, 10.0),
        _card("absent", image, 0.8, 3.0, False),
        _card("bert", words, 0.9, 1.0),
    ]
    _check_choice(choose_model, row, image, 50)  # something fits here
    for cards, task, budget in (
        (row, image, 5),
        (row, "translation", 1000),
        (row[1:2], image, 1000),
        ([], image, 1000),
    ):
        _check_choice(choose_model, cards, task, budget)
    for cards in cases:
        for task in _TASKS:
            for budget in (12.5, 50, 1000):
                _check_choice(choose_model, cards, task, budget)


# --------------------------------------------------------------------------------------------------------
# preprocess_for
# --------------------------------------------------------------------------------------------------------

NO_CALLABLE = Misconception(
    "no-callable",
    "What `preprocess_for` returns cannot be called. It gets a card and gives a function; the function gets the "
    "picture.",
    "the `return` line: a function, or already its result?",
)
WRONG_DTYPE = Misconception(
    "wrong-dtype",
    "The picture did not come out as a float32 tensor.",
    "the dtype of what you divide by, subtract, and return",
)
WRONG_SIZE = Misconception(
    "wrong-size",
    "The picture does not have the side that the card asks for. A picture that is not square has to be given both "
    "sides, or only its shorter one is set.",
    "what your resizing makes of one number, and which of the card's keys it reads",
)
NOT_SCALED = Misconception(
    "not-scaled",
    "The values were not brought from 0 .. 255 to 0 .. 1 before mean and std were used. The card's mean and std are "
    "for values in [0, 1].",
    "whether every picture is divided by 255, dark ones too, and how often",
)
NOT_NORMALISED = Misconception(
    "not-normalised",
    "The picture is in [0, 1], but not normalised with the card's mean and std.",
    "whether the normalised picture is what you return",
)
WRONG_MEAN = Misconception(
    "wrong-mean",
    "The colours are shifted or stretched: mean or std is not the card's.",
    "whose mean and std you use, which of the two divides, and over which dimension three numbers are spread",
)
CHANNEL_ORDER = Misconception(
    "channel-order",
    "The channels are not in the model's order. A BGR model wants blue first, and its card's mean and std are in that "
    "order too; an RGB model wants the picture as it is.",
    "which dimension you flip, when, and whether mean and std come before or after it",
)
PLACES_MOVED = Misconception(
    "places-moved",
    "What was at the top left of the picture is not at the top left any more, or a part of the picture is gone.",
    "which of the three dimensions is height, which is width, and whether your resizing cuts something off",
)
IMAGE_CHANGED = Misconception(
    "image-changed",
    "The picture or the card that went in is not what it was.",
    "operations that work in place, on a tensor that shares memory with the picture",
)

check_preprocess_for = Check(
    "preprocess_for",
    hints=(
        "Five things, in this order: to float, to [0, 1], to size x size, the order of channels, mean and std. "
        "Define a function inside the function and return it.",
        "`torchvision.transforms.v2.functional.resize(x, [size, size], antialias=True)` or `F.interpolate` with "
        "`size=(size, size)` on a batch of one. `x.flip(0)` turns RGB round.",
        "Three numbers meet a picture (3, H, W) as `torch.tensor(mean).view(3, 1, 1)`; then "
        "`(x - mean) / std` is the last line.",
    ),
)

_CARDS = (
    {"size": 40, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "channels": "RGB"},
    {"size": 24, "mean": [0.1, 0.5, 0.8], "std": [0.5, 0.25, 0.125], "channels": "BGR"},
    {"size": 33, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "channels": "BGR"},
)
# (height, width): taller, wider, smaller and larger than what comes out
_SIZES = ((72, 48), (48, 96), (24, 24), (132, 90))


def _patches(height: int, width: int, low: int = 0, high: int = 256) -> tuple[Tensor, Tensor]:
    """A picture of 2 x 3 even patches in random colours, uint8 (3, height, width), and the colours (3, 2, 3).

    The middle of a patch is the same whatever way a picture is resized; only its edges differ.
    """
    colours = torch.randint(low, high, (3, 2, 3), dtype=torch.uint8)
    colours[:, 0, 0] = torch.tensor([low, (low + high) // 2, high - 1])  # no gray there
    rows = torch.arange(height) * 2 // height
    columns = torch.arange(width) * 3 // width
    return colours[:, rows][:, :, columns].contiguous(), colours


def _middles(x: Tensor) -> Tensor:
    """The values in the middle of the 2 x 3 patches of a picture (3, size, size): (3, 2, 3)."""
    size = x.shape[-1]
    rows = torch.tensor([(2 * i + 1) * size // 4 for i in range(2)])
    columns = torch.tensor([(2 * j + 1) * size // 6 for j in range(3)])
    return x[:, rows][:, :, columns]


def _normal(colours: Tensor, card: Mapping[str, Any]) -> Tensor:
    """What the colours (3, 2, 3) become, by the formula."""
    x = colours.double() / 255
    if card["channels"] == "BGR":
        x = x.flip(0)
    mean, std = (
        torch.tensor(card[key], dtype=torch.float64).view(3, 1, 1) for key in ("mean", "std")
    )
    return (x - mean) / std


def _close(one: Tensor, other: Tensor, card: Mapping[str, Any]) -> bool:
    # Half a level of 255 in units of the smallest std: a picture that is resized while it is still uint8 is rounded.
    return bool((one.double() - other.double()).abs().max() <= 0.5 / 255 / min(card["std"]) + 1e-5)


def _look(
    prepare: Callable, card: dict[str, Any], height: int, width: int, low: int = 0, high: int = 256
) -> None:
    image, colours = _patches(height, width, low, high)
    before = image.clone()
    seen = prepare(image)
    if not torch.equal(image, before):
        raise Wrong(IMAGE_CHANGED, seen="other values in the picture after the call")
    size = card["size"]
    if not isinstance(seen, Tensor) or seen.dtype != torch.float32:
        raise Wrong(
            WRONG_DTYPE, seen=_short(getattr(seen, "dtype", type(seen))), expected="torch.float32"
        )
    if tuple(seen.shape) != (3, size, size):
        raise Wrong(
            WRONG_SIZE,
            seen=gettext("{shape} from a picture (3, {height}, {width})").format(
                shape=tuple(seen.shape), height=height, width=width
            ),
            expected=f"(3, {size}, {size})",
        )
    middles, expected = _middles(seen.detach()), _normal(colours, card)
    if _close(middles, expected, card):
        return
    mean, std = (
        torch.tensor(card[key], dtype=torch.float64).view(3, 1, 1) for key in ("mean", "std")
    )
    raw = colours.double()
    other = {"RGB": "BGR", "BGR": "RGB"}[card["channels"]]
    flipped_late = _normal(colours, card | {"channels": "RGB"}).flip(0)
    order = raw.flip(0) if card["channels"] == "BGR" else raw
    backs = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), ((0.5,) * 3, (0.5,) * 3)
    ideas: list[tuple[Misconception, Tensor]] = [
        (CHANNEL_ORDER, _normal(colours, card | {"channels": other})),
        (CHANNEL_ORDER, flipped_late),
        (NOT_SCALED, (order - mean) / std),
        (NOT_SCALED, (order / 255 / 255 - mean) / std),
        (NOT_NORMALISED, order / 255),
        (WRONG_MEAN, (order / 255 - mean) * std),
        (WRONG_MEAN, (order / 255 - mean)),
        (WRONG_MEAN, order / 255 / std),
        (WRONG_MEAN, (order / 255 - mean) / std.square()),
        (WRONG_MEAN, (order / 255 + mean) / std),
        *((WRONG_MEAN, _normal(colours, card | {"mean": m, "std": s})) for m, s in backs),
    ]
    shown = ", ".join(f"{value:.3f}" for value in middles[:, 0, 0].tolist())
    right = ", ".join(f"{value:.3f}" for value in expected[:, 0, 0].tolist())
    colour = gettext("the three channels at the top left, where the picture is {colours}").format(
        colours=colours[:, 0, 0].tolist()
    )
    for idea, theirs in ideas:
        if _close(middles, theirs, card):
            raise Wrong(idea, seen=f"{shown}: {colour}", expected=right)
    shown = f"{shown}: {colour}"
    if _beyond(middles, card):
        raise Wrong(NOT_SCALED, seen=shown, expected=right)
    raise Wrong(
        WRONG_MEAN if _straight(middles, expected) else PLACES_MOVED, seen=shown, expected=right
    )


def _beyond(middles: Tensor, card: Mapping[str, Any]) -> bool:
    """Whether values lie where no picture in [0, 1] can come to lie."""
    edge = max((1 + abs(m)) / s for m, s in zip(card["mean"], card["std"], strict=True))
    return bool(middles.abs().max() > 1.5 * edge)


def _straight(middles: Tensor, expected: Tensor) -> bool:
    """Whether each channel is the right one, moved and stretched as a whole."""
    pairs = zip(middles.flatten(1).double(), expected.flatten(1).double(), strict=True)
    return all(torch.corrcoef(torch.stack(pair))[0, 1].abs() > 0.99 for pair in pairs)


def _prepare(preprocess_for: Callable, card: dict[str, Any]) -> Callable:
    before = copy.deepcopy(card)
    prepare = preprocess_for(card)
    if card != before:
        raise Wrong(IMAGE_CHANGED, seen="another card after the call")
    if not callable(prepare):
        raise Wrong(NO_CALLABLE, seen=_short(type(prepare)), expected="a function")
    return prepare


@check_preprocess_for.part(1, "gives float32 of the card's size, whatever the picture's")
def _(preprocess_for: Callable, cases: Sequence[dict]) -> None:
    for card in _CARDS[:2]:
        prepare = _prepare(preprocess_for, dict(card))
        for height, width in _SIZES:
            image, _ = _patches(height, width)
            seen = prepare(image)
            if not isinstance(seen, Tensor) or seen.dtype != torch.float32:
                raise Wrong(
                    WRONG_DTYPE,
                    seen=_short(getattr(seen, "dtype", type(seen))),
                    expected="torch.float32",
                )
            expected = (3, card["size"], card["size"])
            if tuple(seen.shape) != expected:
                raise Wrong(
                    WRONG_SIZE,
                    seen=gettext("{shape} from a picture (3, {height}, {width})").format(
                        shape=tuple(seen.shape), height=height, width=width
                    ),
                    expected=expected,
                )


@check_preprocess_for.part(2, "scales to [0, 1] and normalises with the card's mean and std")
def _(preprocess_for: Callable, cases: Sequence[dict]) -> None:
    first = _prepare(preprocess_for, dict(_CARDS[0]))
    # A second card in between: what the first function does must not change.
    second = _prepare(preprocess_for, {**_CARDS[0], "size": 20, "mean": (0.3, 0.6, 0.2)})
    _look(first, dict(_CARDS[0]), 72, 48)
    _look(second, {**_CARDS[0], "size": 20, "mean": (0.3, 0.6, 0.2)}, 72, 48)
    _look(first, dict(_CARDS[0]), 48, 96, 0, 2)  # nearly black: no value is above 1


@check_preprocess_for.part(1, "puts the channels into the model's order")
def _(preprocess_for: Callable, cases: Sequence[dict]) -> None:
    for card in _CARDS[1:]:
        _look(_prepare(preprocess_for, dict(card)), dict(card), 48, 48)  # square: nothing to cut


@check_preprocess_for.part(
    1, "keeps every place of the picture where it was, and the picture as it was"
)
def _(preprocess_for: Callable, cases: Sequence[dict]) -> None:
    for card in (*_CARDS, *cases):
        prepare = _prepare(preprocess_for, dict(card))
        for height, width in _SIZES:
            _look(prepare, dict(card), height, width)


# --------------------------------------------------------------------------------------------------------
# load_checked
# --------------------------------------------------------------------------------------------------------

NOT_LOADED = Misconception(
    "not-loaded",
    "Keys and shapes agree, and yet a tensor of the model is not the one in the state dict.",
    "buffers as well as parameters, at every depth, and the key that each is taken from",
)
SILENT = Misconception(
    "silent",
    "The state dict does not fit, and nothing was raised. `strict=False` that loaded nothing looks the same as a "
    "success, until the accuracy comes.",
    "keys the model has and the state dict lacks, keys it has too many, and shapes",
)
NO_KEY_NAMED = Misconception(
    "no-key-named",
    "An exception was raised, but its text names no key that is at fault. Whoever reads it at night has to search "
    "hundreds of names.",
    "the text of your exception",
)
STATE_CHANGED = Misconception(
    "state-changed",
    "The state dict is not what it was before the call.",
    "`pop`, `del`, and assignments into the state dict",
)
SHARED_MEMORY = Misconception(
    "shared-memory",
    "A later step of training changed the state dict too: the model holds its tensors, not copies of them.",
    "assignments such as `parameter.data = tensor`, and `assign=True`",
)

check_load_checked = Check(
    "load_checked",
    hints=(
        "`model.state_dict()` has every key that is wanted, with its shape: parameters and buffers. Compare both ways "
        "before you copy.",
        "Three lists: keys that are missing, keys that are unexpected, keys whose shapes differ. If one is not empty, "
        "raise, and put the lists into the text.",
        "PyTorch can do it. Read what `load_state_dict` does by default, and what it says when it "
        "raises.",
    ),
)


class _Net(nn.Module):
    """Convolution, BatchNorm and Linear, one level down, a parameter of its own and a square weight."""

    def __init__(self, width: int = 5, classes: int = 4) -> None:
        super().__init__()
        self.body = nn.Sequential(
            OrderedDict(conv=nn.Conv2d(3, width, 3, bias=False), norm=nn.BatchNorm2d(width))
        )
        self.gain = nn.Parameter(torch.rand(width, 1, 1))
        self.mix = nn.Linear(width, width)
        self.fc = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x) * self.gain
        return self.fc(self.mix(x.mean((2, 3))))


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in _stir(model).state_dict().items()}


def _check_loaded(load_checked: Callable, model: nn.Module, state: dict[str, Tensor]) -> None:
    before = {key: value.clone() for key, value in state.items()}
    load_checked(model, state)
    _check_state(state, before)
    now = model.state_dict()
    for key, value in before.items():
        if key not in now or not torch.equal(now[key], value.to(now[key].dtype)):
            raise Wrong(
                NOT_LOADED,
                seen=gettext("{key} of the model is not the state dict's").format(key=key),
            )


def _check_state(state: dict[str, Tensor], before: dict[str, Tensor]) -> None:
    if list(state) != list(before):
        raise Wrong(STATE_CHANGED, seen="other keys, or another order of keys")
    for key, value in before.items():
        if not _same(state[key], value):
            raise Wrong(STATE_CHANGED, seen=gettext("other values in {key}").format(key=key))


def _check_refused(
    load_checked: Callable,
    model: nn.Module,
    state: dict[str, Tensor],
    faulty: Sequence[str],
    what: str,
) -> None:
    before = {key: value.clone() for key, value in state.items()}
    try:
        load_checked(model, state)
    except Exception as error:
        if _is_stub(error):
            raise
        if not any(key in str(error) for key in faulty):
            seen = f"{type(error).__name__}: {_short(str(error))}"
            raise Wrong(
                NO_KEY_NAMED,
                seen=f"{seen}; {what}",
                expected=gettext("a text with {key!r} in it").format(key=faulty[0]),
            ) from None
    else:
        raise Wrong(
            SILENT,
            seen=gettext("no exception; {what}").format(what=what),
            expected=gettext("an exception that names {key!r}").format(key=faulty[0]),
        )
    _check_state(state, before)


@check_load_checked.part(1, "copies every parameter and every buffer")
def _(load_checked: Callable, cases: Sequence[Callable]) -> None:
    _check_loaded(load_checked, _Net(), _state(_Net()))
    state = _state(_Net(7, 3))
    _check_loaded(load_checked, _Net(7, 3), dict(reversed(state.items())))  # in another order


@check_load_checked.part(2, "refuses a state dict that does not fit, and names a key")
def _(load_checked: Callable, cases: Sequence[Callable]) -> None:
    state = _state(_Net())
    _check_loaded(load_checked, _Net(), dict(state))
    for key in ("fc.bias", "body.norm.running_var", "gain"):
        less = {name: value for name, value in state.items() if name != key}
        _check_refused(
            load_checked, _Net(), less, [key], gettext("{key} is missing").format(key=key)
        )
    more = state | {"fc2.weight": torch.rand(2, 5)}
    _check_refused(
        load_checked, _Net(), more, ["fc2.weight"], gettext("fc2.weight is one too many")
    )
    prefixed = {f"module.{key}": value for key, value in state.items()}
    _check_refused(
        load_checked, _Net(), prefixed, list(state), gettext("every key begins with 'module.'")
    )
    for key, shape in (
        ("fc.weight", (3, 5)),
        ("gain", (5,)),
        ("fc.bias", (1,)),
        ("mix.weight", (1, 5)),
    ):
        wrong = state | {key: torch.rand(shape)}
        _check_refused(
            load_checked,
            _Net(),
            wrong,
            [key],
            gettext("{key} has shape {shape}").format(key=key, shape=shape),
        )
    swapped = dict(state)
    swapped["head.weight"] = swapped.pop("fc.weight")
    _check_refused(
        load_checked,
        _Net(),
        swapped,
        ["fc.weight", "head.weight"],
        "fc.weight is called head.weight",
    )
    _check_refused(load_checked, _Net(), {}, list(state), gettext("the state dict is empty"))


@check_load_checked.part(1, "leaves the state dict alone, now and when the model is trained")
def _(load_checked: Callable, cases: Sequence[Callable]) -> None:
    model, state = _Net(), _state(_Net())
    before = {key: value.clone() for key, value in state.items()}
    _check_loaded(load_checked, model, state)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    model.train()(torch.rand(6, 3, 5, 5)).square().sum().backward()
    optimizer.step()
    _check_loaded(
        load_checked, _Net(), _state(_Net())
    )  # another one, which has nothing to do with it
    try:
        _check_state(state, before)
    except Wrong as wrong:
        raise Wrong(SHARED_MEMORY, seen=wrong.seen) from None
    for make in cases:
        state = _state(make())
        _check_loaded(load_checked, make(), state)
        key = list(state)[-1]
        del state[key]
        _check_refused(
            load_checked, make(), state, [key], gettext("{key} is missing").format(key=key)
        )


# --------------------------------------------------------------------------------------------------------
# replace_head
# --------------------------------------------------------------------------------------------------------

NO_MODEL = Misconception(
    "no-model",
    "The function should change the model it was given, and return that model.",
    "the `return` line, and whether you work on a copy",
)
HEAD_NOT_NEW = Misconception(
    "head-not-new",
    "The last Linear layer is still the old one, so the model answers with the old classes.",
    "where this family keeps its last layer: print the model and read the end of it",
)
WRONG_OUTPUTS = Misconception(
    "wrong-outputs",
    "The model does not give one logit for each of the new classes.",
    "which number of the new Linear is inputs and which is outputs, and what comes behind it",
)
OTHER_NAME = Misconception(
    "other-name",
    "The new layer is not where the old one was, so its weights have other names. A state dict, and whoever sets a "
    "learning rate for the head, look for them under the old ones.",
    "what you put in the place of the old layer: an `nn.Linear`, or something around one",
)
AUX_FORGOTTEN = Misconception(
    "aux-forgotten",
    "Inception's auxiliary head was forgotten. In training mode the model answers twice, and the second answer is "
    "still about the old classes: its loss gets labels that mean something else.",
    "`model.AuxLogits`, when there is one",
)
LAYERS_LOST = Misconception(
    "layers-lost",
    "More than the last layer was replaced: pretrained layers are gone, or stand elsewhere. VGG's `classifier` is a "
    "chain of seven, and a `heads` may hold more than one layer.",
    "what you assign to: the last layer, or everything around it",
)
WRONG_INPUTS = Misconception(
    "wrong-inputs",
    "The new layer does not fit what comes before it.",
    "where you read the number of inputs, for each of the heads",
)
HEAD_FROZEN = Misconception(
    "head-frozen",
    "The new head is frozen. An optimizer would have nothing to move, and the accuracy stays at chance.",
    "where you set `requires_grad`, and in which order",
)
BACKBONE_FLAGS = Misconception(
    "backbone-flags",
    "`requires_grad` of another layer changed. Whether the backbone is frozen is not this function's business.",
    "where you set `requires_grad`",
)
BACKBONE_VALUES = Misconception(
    "backbone-values",
    "Pretrained numbers outside the head changed.",
    "what else of the model your code builds anew",
)

check_replace_head = Check(
    "replace_head",
    hints=(
        "`print(model)` and read the last lines, once for each family. The four families keep the last Linear at four "
        "places; only Inception has two.",
        "A layer says how many inputs it has: `layer.in_features`. A chain can be assigned into: "
        "`model.classifier[-1] = ...`.",
        "VGG: `classifier[-1]`; ResNet and Inception: `fc`; Inception also `AuxLogits.fc`, unless `AuxLogits` is "
        "`None`; ViT: `heads.head`. `hasattr(model, 'fc')` tells them apart.",
    ),
)


def on_meta(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """Builds the network without values, which takes no time and no memory."""

    def build() -> nn.Module:
        with torch.device("meta"):
            return make()

    return build


def _small_vit_with_a_longer_head() -> nn.Module:
    from torchvision.models import VisionTransformer

    return VisionTransformer(
        image_size=16,
        patch_size=8,
        num_layers=1,
        num_heads=2,
        hidden_dim=12,
        mlp_dim=16,
        num_classes=9,
        representation_size=10,
    )


def _small_vgg() -> nn.Module:
    from torchvision.models.vgg import VGG, make_layers

    with torch.device("meta"):
        model = VGG(nn.Sequential())
    model.features = make_layers([4, "M", 6, "M"], batch_norm=True)
    model.avgpool = nn.AdaptiveAvgPool2d((2, 2))
    layers = [
        nn.Linear(24, 16),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(16, 11),
        nn.ReLU(),
        nn.Dropout(),
    ]
    model.classifier = nn.Sequential(*layers, nn.Linear(11, 9))
    return model


def _small_inception() -> nn.Module:
    return copy.deepcopy(_first_inception())


@functools.cache
def _first_inception() -> nn.Module:
    return small.build_inception(9)


def _small_inception_without_aux() -> nn.Module:
    model = _small_inception()
    model.AuxLogits, model.aux_logits = None, False
    return model


def inception(aux_logits: bool = True) -> nn.Module:
    from torchvision.models import inception_v3

    return inception_v3(weights=None, init_weights=False, aux_logits=aux_logits)


def _heads(model: nn.Module) -> dict[str, nn.Linear]:
    """The last Linear of each head by name: the one that answers, and the auxiliary one."""
    linear = {
        name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)
    }
    main = [name for name in linear if not name.startswith("AuxLogits")][-1]
    auxiliary = [name for name in linear if name.startswith("AuxLogits")][-1:]
    return {name: linear[name] for name in (main, *auxiliary)}


def _check_new_head(
    replace_head: Callable, model: nn.Module, num_classes: int, side: int | None = None
) -> None:
    """side: of a square picture to try the model on; None where it has no values."""
    family = type(model).__name__
    old = _heads(model)
    old_weights = {name: head.weight.detach().clone() for name, head in old.items()}
    inputs = {name: head.in_features for name, head in old.items()}
    outside = {
        name: tensor
        for name, tensor in _values(model).items()
        if not any(name.startswith(f"{head}.") for head in old)
    }
    flags = _flags(model)
    linears = sum(isinstance(module, nn.Linear) for module in model.modules())
    returned = replace_head(model, num_classes)
    if returned is not model:
        raise Wrong(
            NO_MODEL,
            seen=_short(type(returned).__name__),
            expected=gettext("the same {family}").format(family=family),
        )
    call = gettext("{family}, {num_classes} classes").format(family=family, num_classes=num_classes)

    now = _values(model)
    lost = [name for name in outside if name not in now or now[name].shape != outside[name].shape]
    if lost:
        raise Wrong(
            LAYERS_LOST,
            seen=gettext("{name} is gone or of another shape ({call})").format(
                name=lost[0], call=call
            ),
        )
    new = _heads(model)
    auxiliary = [name for name in old if name.startswith("AuxLogits")]
    for name in auxiliary:
        head = new.get(name)
        if head is None:
            raise Wrong(
                LAYERS_LOST,
                seen=gettext("{name} is no Linear layer ({call})").format(name=name, call=call),
            )
        if head.weight.shape[0] != num_classes or _unchanged(head.weight, old_weights[name]):
            raise Wrong(
                AUX_FORGOTTEN,
                seen=gettext("{name} has {outputs} outputs ({call})").format(
                    name=name, outputs=head.weight.shape[0], call=call
                ),
                expected=num_classes,
            )
    main, head = next(iter(new.items()))
    before, _ = next(iter(old.items()))
    if head is old[before] or _unchanged(head.weight, old_weights[before]):
        extra = sum(isinstance(module, nn.Linear) for module in model.modules()) > linears
        raise Wrong(
            HEAD_NOT_NEW,
            seen=gettext("{main} is the old one, beside a Linear that was added ({call})").format(
                main=main, call=call
            )
            if extra
            else gettext("{main} is the old one ({call})").format(main=main, call=call),
            expected="a new nn.Linear in its place",
        )
    if sum(isinstance(module, nn.Linear) for module in model.modules()) > linears:
        raise Wrong(
            HEAD_NOT_NEW,
            seen=gettext("the old layer is still there, with another behind it ({call})").format(
                call=call
            ),
        )
    if main != before:
        raise Wrong(
            OTHER_NAME,
            seen=gettext("the last Linear is {main} ({call})").format(main=main, call=call),
            expected=before,
        )
    for name in (main, *auxiliary):
        head, wanted = new[name], inputs[before if name == main else name]
        outputs, wide = head.weight.shape
        if (outputs, wide) != (num_classes, wanted):
            idea = WRONG_OUTPUTS if outputs != num_classes else WRONG_INPUTS
            raise Wrong(
                idea,
                seen=gettext("{name} maps {wide} inputs to {outputs} outputs ({call})").format(
                    name=name, wide=wide, outputs=outputs, call=call
                ),
                expected=gettext("{wanted} to {num_classes}").format(
                    wanted=wanted, num_classes=num_classes
                ),
            )
        for what, parameter in head.named_parameters():
            if not parameter.requires_grad:
                raise Wrong(
                    HEAD_FROZEN,
                    seen=gettext("{name}.{what}.requires_grad is False ({call})").format(
                        name=name, what=what, call=call
                    ),
                    expected="True",
                )
    for name, flag in _flags(model).items():
        if name in outside and flag != flags[name]:
            raise Wrong(
                BACKBONE_FLAGS,
                seen=gettext("{name}.requires_grad became {flag} ({call})").format(
                    name=name, flag=flag, call=call
                ),
                expected=flags[name],
            )
    for name, value in outside.items():
        if not _same(now[name], value):
            raise Wrong(
                BACKBONE_VALUES,
                seen=gettext("{name} is not what it was ({call})").format(name=name, call=call),
            )
    if side is not None:
        _check_answers(model, num_classes, side)


def _unchanged(weight: Tensor, old: Tensor) -> bool:
    """Whether a weight still holds the old values; without values, on the meta device, whether it may."""
    if weight.shape != old.shape:
        return False
    return not (weight.is_meta or old.is_meta) and torch.equal(weight.detach(), old)


def _check_answers(model: nn.Module, num_classes: int, side: int) -> None:
    """Whether a model with its new head gives logits of the new classes, in both modes."""
    x = torch.rand(2, 3, side, side)
    with torch.no_grad():
        answers = [model.eval()(x)]
        trained = model.train()(x)
    answers += list(trained) if isinstance(trained, tuple) else [trained]
    for answer in answers:
        if tuple(answer.shape) != (2, num_classes):
            raise Wrong(
                WRONG_OUTPUTS,
                seen=gettext("{shape} for two pictures, from a {network}").format(
                    shape=tuple(answer.shape), network=type(model).__name__
                ),
                expected=f"(2, {num_classes})",
            )


def _resnet() -> nn.Module:
    return copy.deepcopy(_first_resnet())


@functools.cache
def _first_resnet() -> nn.Module:
    from torchvision.models.resnet import BasicBlock, ResNet

    with torch.device("meta"):
        model = ResNet(BasicBlock, [1, 1, 1, 1])
    model.conv1, model.bn1 = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)
    for stage in range(1, 5):
        setattr(model, f"layer{stage}", nn.Sequential(BasicBlock(4, 4)))
    model.fc = nn.Linear(4, 9)
    return model


@check_replace_head.part(1, "ResNet: a new layer at `fc`, in place")
def _(replace_head: Callable, cases: Sequence[Callable]) -> None:
    from torchvision.models import resnet18

    _check_new_head(replace_head, _resnet(), 5, 16)
    _check_new_head(
        replace_head, _resnet(), 9
    )  # as many classes as before: the head is new all the same
    _check_new_head(replace_head, on_meta(resnet18)(), 7)


@check_replace_head.part(1, "VGG: the last of the seven in `classifier`, and no other")
def _(replace_head: Callable, cases: Sequence[Callable]) -> None:
    from torchvision.models import vgg11

    _check_new_head(replace_head, _small_vgg(), 5, 16)
    _check_new_head(replace_head, on_meta(vgg11)(), 7)


@check_replace_head.part(1, "ViT: the last of its `heads`")
def _(replace_head: Callable, cases: Sequence[Callable]) -> None:
    from torchvision.models import vit_b_16

    _check_new_head(replace_head, _small_vit_with_a_longer_head(), 4, 16)
    _check_new_head(replace_head, on_meta(vit_b_16)(), 7)


@check_replace_head.part(2, "Inception: both heads, and one where there is no auxiliary head")
def _(replace_head: Callable, cases: Sequence[Callable]) -> None:
    _check_new_head(replace_head, _small_inception(), 5, 40)
    _check_new_head(replace_head, _small_inception_without_aux(), 4, 40)


@check_replace_head.part(1, "the new head is trainable, and a frozen backbone stays frozen")
def _(replace_head: Callable, cases: Sequence[Callable]) -> None:
    for make in (_resnet, _small_vgg, _small_vit_with_a_longer_head, _small_inception):
        model = _stir(make())
        model.requires_grad_(False)
        _check_new_head(replace_head, model, 6)
    model = _resnet()
    for index, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(index % 3 != 1)
    _check_new_head(replace_head, model, 3)
    for make in cases:
        model = make()
        model.requires_grad_(False)
        _check_new_head(replace_head, model, 6)


# --------------------------------------------------------------------------------------------------------
# extract_features
# --------------------------------------------------------------------------------------------------------

NOT_A_PAIR = Misconception(
    "not-a-pair",
    "What came back is not a pair of tensors: features (N, D) and labels (N,).",
    "the `return` line, and how the batches are put together",
)
ROWS_MISSING = Misconception(
    "rows-missing",
    "There is not one row for each example of the loader.",
    "what happens to each batch, and to the last one, which is shorter",
)
BATCH_OF_ONE = Misconception(
    "batch-of-one",
    "A last batch of one example lost its first dimension.",
    "`squeeze()`, and other calls that drop every dimension of size 1",
)
OUT_OF_ORDER = Misconception(
    "out-of-order",
    "Features and labels do not belong together: the loader gave another order when it was asked a second time.",
    "how often your code goes through the loader",
)
DROPOUT_ACTIVE = Misconception(
    "training-mode",
    "The features are those of training mode: Dropout strikes some of them out at random, and BatchNorm looks at the "
    "rest of the batch.",
    "the mode of the model, and of its layers, when the first batch goes in",
)
WRONG_FEATURES = Misconception(
    "wrong-features",
    "The features are not what the model gives for these inputs.",
    "what you do with the model's output before you keep it",
)
GRAPH_BUILT = Misconception(
    "graph-built",
    "Autograd recorded the forward passes. The graph of every batch stays in memory, and nobody will go back through "
    "it.",
    "what surrounds the call of the model",
)
GRADIENTS_LEFT_OFF = Misconception(
    "gradients-left-off",
    "Afterwards gradients are still switched off, for everybody: the next loss that is to go backward has no graph.",
    "what switches gradients off, and where it ends",
)
MODE_LEFT = Misconception(
    "mode-left",
    "The model is not in the mode it was in. Whoever goes on training it now trains another network.",
    "what your code does after the last batch",
)
MODEL_CHANGED = Misconception(
    "model-changed",
    "The model itself changed, though it was only to be read from.",
    "what training mode does to running statistics, and lines that set values or `requires_grad`",
)

check_extract_features = Check(
    "extract_features",
    hints=(
        "Two switches: eval mode decides what the layers do, `torch.no_grad()` whether autograd watches. You need both.",
        "Go through the loader once, and keep the features and the labels of each batch in two lists.",
        "Remember `model.training` first and put it back at the end with `model.train(was_training)`; `torch.cat` "
        "puts the lists together.",
    ),
)


class _Backbone(nn.Module):
    """Inputs (B, 3) to features (B, width): BatchNorm and Dropout inside, and a callback that sees what comes out."""

    def __init__(self, width: int, seen: Callable[[Tensor], object] | None = None) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.mix = nn.Linear(3, width)
        self.drop = nn.Dropout(0.5)
        self.seen = seen

    def forward(self, x: Tensor) -> Tensor:
        features = self.drop(self.mix(self.norm(x)))
        if self.seen is not None:
            self.seen(features)
        return features


class _Nested(nn.Module):
    """Has another model's features extracted each time it is called, and says whether gradients are on afterwards.

    Features (B, 1): 1 where they are, 0 where they are not.
    """

    def __init__(self, extract_features: Callable, model: nn.Module, loader: DataLoader) -> None:
        super().__init__()
        self.extract_features, self.model, self.loader = extract_features, model, loader

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            self.extract_features(self.model, self.loader)
            on = torch.is_grad_enabled()
        return torch.full((len(x), 1), float(on))


def _loader(count: int, batch: int, *, shuffle: bool = False) -> tuple[Tensor, DataLoader]:
    """Inputs (count, 3), and a loader over them whose labels are the rows' own numbers."""
    x = torch.randn(count, 3) + 0.5
    return x, DataLoader(TensorDataset(x, torch.arange(count)), batch_size=batch, shuffle=shuffle)


def _expected(model: nn.Module, x: Tensor) -> Tensor:
    twin = copy.deepcopy(model)
    twin.seen = None
    with torch.no_grad():
        return twin.eval()(x)


def _check_features(
    extract_features: Callable, model: nn.Module, x: Tensor, loader: DataLoader
) -> None:
    expected = _expected(model, x)
    trained = copy.deepcopy(model)
    pair = extract_features(model, loader)
    batch = loader.batch_size
    shown = gettext("{count} examples in batches of {batch}").format(count=len(x), batch=batch)
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise Wrong(NOT_A_PAIR, seen=_short(type(pair).__name__), expected="(features, labels)")
    features, labels = (value if isinstance(value, Tensor) else _tensor(value) for value in pair)
    if labels.shape != (len(x),):
        idea = NOT_A_PAIR if labels.ndim != 1 else ROWS_MISSING
        raise Wrong(
            idea,
            seen=gettext("labels of shape {labels_shape} for {shown}").format(
                labels_shape=tuple(labels.shape), shown=shown
            ),
            expected=f"({len(x)},)",
        )
    if features.shape != expected.shape:
        idea = NOT_A_PAIR if features.ndim != 2 else ROWS_MISSING
        raise Wrong(
            idea,
            seen=gettext("features of shape {shape} for {shown}").format(
                shape=tuple(features.shape), shown=shown
            ),
            expected=f"{tuple(expected.shape)}",
        )
    if features.requires_grad:
        raise Wrong(GRAPH_BUILT, seen="features.requires_grad is True", expected="False")
    rows = labels.long()
    if sorted(rows.tolist()) != list(range(len(x))):
        raise Wrong(
            WRONG_FEATURES,
            seen=gettext("labels {labels}").format(labels=_short(sorted(rows.tolist()))),
            expected="each label once",
        )
    # 1e-4 of the largest feature: float32, and the batches may be cut otherwise
    slack = 1e-4 * expected.abs().max()
    gap = (features - expected[rows]).abs().amax(dim=1)
    if bool((gap <= slack).all()):
        return
    nearest = (features[:, None] - expected[None]).abs().amax(dim=2).amin(dim=1)
    if bool((nearest <= slack).all()):
        seen = gettext("{count} of {total} features stand beside another example's label").format(
            count=int((gap > slack).sum()), total=len(x)
        )
        raise Wrong(OUT_OF_ORDER, seen=seen)
    if _dropped(features, expected[rows]) or _of_training(trained, features, x, rows):
        raise Wrong(
            DROPOUT_ACTIVE,
            seen=gettext("features that differ by up to {gap:.2g}").format(gap=gap.max()),
            expected="eval mode's",
        )
    now = _values(model)
    for name, value in _values(trained).items():
        if not _same(now[name], value):
            raise Wrong(MODEL_CHANGED, seen=gettext("{name} is not what it was").format(name=name))
    raise Wrong(
        WRONG_FEATURES,
        seen=gettext("features that differ by up to {gap:.2g}").format(gap=gap.max()),
    )


def _tensor(value: object) -> Tensor:
    try:
        return torch.as_tensor(value)
    except Exception:
        raise Wrong(NOT_A_PAIR, seen=_short(type(value).__name__), expected="a tensor") from None


def _dropped(features: Tensor, expected: Tensor) -> bool:
    """Whether many features are zero that should not be."""
    return bool(((features == 0) & (expected != 0)).double().mean() > 0.2)


def _of_training(model: nn.Module, features: Tensor, x: Tensor, rows: Tensor) -> bool:
    """Whether these are features under the statistics of their own batch."""
    mixed = copy.deepcopy(model)
    mixed.seen = None
    mixed.train()
    mixed.drop.eval()
    with torch.no_grad():
        whole = mixed(x)[rows]
    ours = (features - whole).abs().mean()
    return bool(ours < 0.7 * (features - _expected(model, x)[rows]).abs().mean())


@check_extract_features.part(1, "gives one row of features and one label for each example")
def _(extract_features: Callable, cases: Sequence[nn.Module]) -> None:
    for count, batch, width in ((11, 4, 5), (6, 3, 2), (3, 8, 7)):
        model = _stir(_Backbone(width)).eval()
        _check_features(extract_features, model, *_loader(count, batch))


@check_extract_features.part(1, "keeps each label beside its features when the loader shuffles")
def _(extract_features: Callable, cases: Sequence[nn.Module]) -> None:
    for count, batch in ((23, 5), (16, 8)):
        model = _stir(_Backbone(4)).eval()
        _check_features(extract_features, model, *_loader(count, batch, shuffle=True))


@check_extract_features.part(1, "computes in eval mode, and builds no graph")
def _(extract_features: Callable, cases: Sequence[nn.Module]) -> None:
    model = _stir(_Backbone(6)).train()
    _check_features(extract_features, model, *_loader(14, 5))
    for training in (True, False):
        watched: list[bool] = []
        model = _stir(
            _Backbone(6, lambda features, watched=watched: watched.append(features.requires_grad))
        )
        _, loader = _loader(10, 4)
        extract_features(model.train(training), loader)
        if any(watched):
            raise Wrong(
                GRAPH_BUILT,
                seen=gettext(
                    "{count} of {total} batches gave features with requires_grad True"
                ).format(count=sum(watched), total=len(watched)),
                expected="False",
            )
    _, loader = _loader(4, 2)
    features, _ = extract_features(_Nested(extract_features, _Backbone(2), loader), loader)
    if not torch.as_tensor(features).any():
        raise Wrong(GRADIENTS_LEFT_OFF, seen="torch.is_grad_enabled() is False", expected="True")


@check_extract_features.part(1, "copes with a last batch of one example")
def _(extract_features: Callable, cases: Sequence[nn.Module]) -> None:
    for count, batch, width in ((9, 4, 5), (5, 4, 1), (1, 3, 4)):
        model = _stir(_Backbone(width)).eval()
        try:
            _check_features(extract_features, model, *_loader(count, batch))
        except Wrong as wrong:
            if wrong.misconception in (NOT_A_PAIR, ROWS_MISSING):
                raise Wrong(BATCH_OF_ONE, seen=wrong.seen, expected=wrong.expected) from None
            raise
        except (RuntimeError, TypeError, ValueError) as error:
            if "dimension" in str(error) or "size" in str(error) or "0-d" in str(error):
                raise Wrong(
                    BATCH_OF_ONE, seen=f"{type(error).__name__}: {_short(str(error))}"
                ) from None
            raise


@check_extract_features.part(1, "leaves the model as it was: mode, parameters, buffers")
def _(extract_features: Callable, cases: Sequence[nn.Module]) -> None:
    for training in (True, False):
        model = _stir(_Backbone(5)).train(training)
        model.mix.bias.requires_grad_(False)
        values, flags = _values(model), _flags(model)
        _, loader = _loader(10, 4)
        extract_features(model, loader)
        for name, value in _values(model).items():
            if not _same(value, values[name]):
                raise Wrong(
                    MODEL_CHANGED, seen=gettext("{name} is not what it was").format(name=name)
                )
        for name, flag in _flags(model).items():
            if flag != flags[name]:
                raise Wrong(
                    MODEL_CHANGED,
                    seen=gettext("{name}.requires_grad became {flag}").format(name=name, flag=flag),
                    expected=flags[name],
                )
        for name, module in model.named_modules():
            if module.training != training:
                now, then = ("training" if mode else "eval" for mode in (module.training, training))
                seen = gettext("{name} is in {mode} mode").format(
                    name=name or gettext("the model itself"), mode=now
                )
                raise Wrong(
                    MODE_LEFT,
                    seen=seen,
                    expected=gettext("{mode} mode, as before").format(mode=then),
                )
    for width, count, batch in ((4, 10, 3), *cases):  # what does nothing leaves all as it was
        model = _stir(_Backbone(width)).train()
        _check_features(extract_features, model, *_loader(count, batch, shuffle=True))


# --------------------------------------------------------------------------------------------------------
# linear_probe
# --------------------------------------------------------------------------------------------------------

NO_LINEAR = Misconception(
    "no-linear",
    "What came back is not an `nn.Linear` from the features to the classes.",
    "the `return` line, and the two numbers of the Linear layer",
)
NOT_FINITE = Misconception(
    "not-finite",
    "The layer holds numbers that are not finite. A feature that never fires has standard deviation zero, and a "
    "step that is too long overflows.",
    "what you divide by, and the learning rate",
)
NOT_FITTED = Misconception(
    "not-fitted",
    "Data that a line can separate were not separated, so training has not converged.",
    "how many steps you take and how long they are, and features of very different size",
)
FAR_FROM_ORIGIN = Misconception(
    "far-from-origin",
    "Features far from the origin were not fitted. Moving all of them by the same amount changes no distance between "
    "classes, but a weight now changes every logit at once.",
    "what to do with the features' mean and spread before training, and how to undo it in weight and bias after",
)
NOT_RAW = Misconception(
    "not-raw",
    "The layer does not fit raw features: it was trained on standardised ones, and their mean and spread are not in "
    "its weight and bias.",
    "what the layer that you return is applied to",
)
NOT_A_LIKELIHOOD = Misconception(
    "not-a-likelihood",
    "The classes come out right, but the logits' softmax is no good probability: it is far too sure, or not sure at "
    "all. That is not multinomial logistic regression at its optimum.",
    "which loss you minimise, on what, and whether the penalty is as weak as `l2` says",
)
PENALTY_IGNORED = Misconception(
    "penalty-ignored",
    "A larger `l2` did not make the weights smaller.",
    "where `l2` enters the loss",
)
PENALTY_UPSIDE_DOWN = Misconception(
    "penalty-upside-down",
    "A larger `l2` made the weights larger.",
    "what your library means by its parameter: scikit-learn's `C` is the inverse of a penalty",
)
PENALTY_TOO_WEAK = Misconception(
    "penalty-too-weak",
    "Under a huge `l2` the weights should be nearly nothing, and they are not.",
    "whether the penalty is on all weights, and whether training copes with a steep loss",
)
INPUT_CHANGED = Misconception(
    "input-changed",
    "The features or the labels that went in are not what they were, or got a gradient.",
    "operations in place, and what autograd was told to watch",
)
PROBE_FROZEN_BY_CHANCE = Misconception(
    "depends-on-chance",
    "Two calls with the same data gave two different answers. The loss has one minimum, so training stopped before "
    "it got there.",
    "how many steps you take, and when you stop",
)

check_linear_probe = Check(
    "linear_probe",
    seconds=60.0,  # thousands of plain steps are a right way down too
    hints=(
        "Subtract each feature's mean and divide by its standard deviation, train on that, and undo it in the end. A "
        "feature that is constant must not divide by zero.",
        "`torch.optim.LBFGS(layer.parameters(), max_iter=200, line_search_fn='strong_wolfe')` finds the minimum of a "
        "smooth loss in one call of `step(closure)`; the loss is `F.cross_entropy(...) + l2 * "
        "layer.weight.square().sum()`.",
        "With z = (x - m) / s, W z + b = (W / s) x + (b - (W / s) m). Write that weight and that bias into the layer "
        "under `torch.no_grad()`.",
    ),
)


def _clouds(
    counts: Sequence[int], width: int, *, gap: float, shift: float | Tensor = 0.0, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two drawings of clouds of unit spread, one round each of len(counts) centres: (x, y) to train on, (x, y) new.

    The centres lie `gap` from the middle, in directions at right angles to each other.
    """
    draw = torch.Generator().manual_seed(seed)
    directions = torch.linalg.qr(torch.randn(width, width, generator=draw))[0][: len(counts)]
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=draw)]

    def drawing() -> Tensor:
        return gap * directions[labels] + torch.randn(len(labels), width, generator=draw) + shift

    return drawing(), labels, drawing(), labels.clone()


def _fit(linear_probe: Callable, x: Tensor, y: Tensor, l2: float) -> nn.Linear:
    kept_x, kept_y = x.clone(), y.clone()
    layer = linear_probe(x, y, l2)
    if not (_same(x, kept_x) and _same(y, kept_y)) or x.grad is not None or x.requires_grad:
        raise Wrong(INPUT_CHANGED, seen="other features or labels after the call, or a gradient")
    classes = int(y.max()) + 1
    if not isinstance(layer, nn.Linear) or tuple(layer.weight.shape) != (classes, x.shape[1]):
        shape = tuple(getattr(getattr(layer, "weight", None), "shape", ()))
        seen = type(layer).__name__
        if shape:
            seen = gettext("{seen} with a weight of shape {shape}").format(seen=seen, shape=shape)
        raise Wrong(NO_LINEAR, seen=seen, expected=f"nn.Linear({x.shape[1]}, {classes})")
    if not all(bool(torch.isfinite(parameter).all()) for parameter in layer.parameters()):
        raise Wrong(NOT_FINITE, seen="nan or inf in weight or bias")
    return layer


def _logits(layer: nn.Linear, x: Tensor) -> Tensor:
    with torch.no_grad():
        bias = 0 if layer.bias is None else layer.bias.double()
        return x.double() @ layer.weight.double().T + bias


def _right(layer: nn.Linear, x: Tensor, y: Tensor) -> float:
    return (_logits(layer, x).argmax(dim=1) == y).double().mean().item()


def _slope(layer: nn.Linear, x: Tensor, y: Tensor) -> float:
    """The largest entry of the mean cross-entropy's gradient with respect to weight and bias."""
    off = _logits(layer, x).softmax(1) - F.one_hot(y)
    return (off.T @ F.pad(x.double(), (0, 1), value=1.0) / len(x)).abs().max().item()


@check_linear_probe.part(1, "separates what a line can separate, seen and unseen")
def _(linear_probe: Callable, cases: Sequence[dict]) -> None:
    for counts, width, gap in (((20, 14, 9), 7, 9.0), ((25, 18), 3, 8.0)):
        x, y, new_x, new_y = _clouds(counts, width, gap=gap)
        layer = _fit(linear_probe, x, y, 1e-3)
        for how_many, inputs, labels in (
            (gettext("{right:.0%} of seen examples right"), x, y),
            (gettext("{right:.0%} of unseen examples right"), new_x, new_y),
        ):
            right = _right(layer, inputs, labels)
            if right < 1:
                seen = how_many.format(right=right)
                standard = (inputs - x.mean(0)) / x.std(0)
                if _right(layer, standard, labels) > max(right, 0.95):
                    raise Wrong(NOT_RAW, seen=seen, expected="100%")
                raise Wrong(NOT_FITTED, seen=seen, expected="100%")


@check_linear_probe.part(1, "a larger l2 gives smaller weights, a huge one nearly none")
def _(linear_probe: Callable, cases: Sequence[dict]) -> None:
    x, y, _, _ = _clouds((22, 16, 11), 6, gap=3.0, seed=2)
    norms = {
        l2: _fit(linear_probe, x, y, l2).weight.detach().norm().item() for l2 in (1e-3, 1e-1, 1e4)
    }
    weak, middle, huge = norms.values()
    seen = ", ".join(
        gettext("{norm:.3g} at l2 = {l2:g}").format(norm=norm, l2=l2) for l2, norm in norms.items()
    )
    if huge > 1.05 * weak and middle > 1.02 * weak:
        raise Wrong(
            PENALTY_UPSIDE_DOWN, seen=gettext("norm of the weights: {seen}").format(seen=seen)
        )
    if middle > 0.97 * weak:
        raise Wrong(PENALTY_IGNORED, seen=gettext("norm of the weights: {seen}").format(seen=seen))
    if huge > 0.05 * weak:
        raise Wrong(
            PENALTY_TOO_WEAK,
            seen=gettext("norm of the weights: {seen}").format(seen=seen),
            expected="nearly 0 at l2 = 1e+04",
        )


@check_linear_probe.part(
    1, "finds the minimum: its softmax is a good probability, on every run the same"
)
def _(linear_probe: Callable, cases: Sequence[dict]) -> None:
    # Two overlapping clouds: with unit spread the true logit of a point is a straight line in it.
    x, y, new_x, new_y = _clouds((150, 150), 4, gap=1.2, seed=1)
    layer = _fit(linear_probe, x, y, 1e-5)
    centre = torch.stack([x[y == 1].mean(0), x[y == 0].mean(0)]).double()
    weight = centre[0] - centre[1]
    line = new_x.double() @ weight - (centre.square().sum(1)[0] - centre.square().sum(1)[1]) / 2
    best = F.cross_entropy(torch.stack([torch.zeros_like(line), line], dim=1), new_y).item()
    loss = F.cross_entropy(_logits(layer, new_x), new_y).item()
    # 0.05 nats: what a fit on 300 points in four dimensions costs is about 5 / 300; least squares costs five times that
    if loss > best + 0.05:
        raise Wrong(
            NOT_A_LIKELIHOOD,
            seen=gettext("cross-entropy {loss:.3f} on new examples").format(loss=loss),
            expected=gettext("about {best:.3f}").format(best=best),
        )
    # At the minimum the loss has no slope but the penalty's, 2e-5 times a weight. Training that was stopped a little
    # early has 0.004; the best line of another loss, such as a margin's, has 0.03.
    slope = _slope(layer, x, y)
    if slope > 0.02:
        centred = x - x.mean(0)
        as_trained = min(_slope(layer, one, y) for one in (centred, centred / x.std(0)))
        raise Wrong(
            NOT_RAW if as_trained < 0.02 else NOT_A_LIKELIHOOD,
            seen=gettext("a loss that still has a slope of {slope:.3f}").format(slope=slope),
            expected="nearly 0",
        )
    torch.manual_seed(17)
    again = _fit(linear_probe, x, y, 1e-5)
    gap = (_logits(again, new_x).softmax(1) - _logits(layer, new_x).softmax(1)).abs().max().item()
    if gap > 0.03:
        raise Wrong(
            PROBE_FROZEN_BY_CHANCE,
            seen=gettext("probabilities that differ by {gap:.2f}").format(gap=gap),
        )


@check_linear_probe.part(
    1, "copes with features far from the origin, of unlike size, and with one that never fires"
)
def _(linear_probe: Callable, cases: Sequence[dict]) -> None:
    x, y, new_x, new_y = _clouds((21, 17, 12), 6, gap=9.0, shift=100.0, seed=3)
    _check_far(linear_probe, x, y, new_x, new_y, gettext("features a hundred from the origin"))
    unlike = torch.tensor([1.0, 0.01, 30.0, 1.0, 5.0, 0.2])
    x, new_x = x * unlike, new_x * unlike
    x[:, 4] = new_x[:, 4] = 0.0
    _check_far(
        linear_probe, x, y, new_x, new_y, gettext("features of unlike size, and one always zero")
    )


def _check_far(
    linear_probe: Callable, x: Tensor, y: Tensor, new_x: Tensor, new_y: Tensor, what: str
) -> None:
    layer = _fit(linear_probe, x, y, 1e-3)
    right = min(_right(layer, x, y), _right(layer, new_x, new_y))
    if right < 0.95:
        spread = x.std(0).clamp(min=1e-6)
        idea = NOT_RAW if _right(layer, (x - x.mean(0)) / spread, y) > 0.95 else FAR_FROM_ORIGIN
        raise Wrong(
            idea,
            seen=gettext("{right:.0%} right, {what}").format(right=right, what=what),
            expected="nearly all",
        )


@check_linear_probe.part(1, "leaves features and labels as they are")
def _(linear_probe: Callable, cases: Sequence[dict]) -> None:
    x, y, _, _ = _clouds((9, 8, 7), 5, gap=6.0, seed=4)
    watched = x.clone().requires_grad_(True)
    try:
        linear_probe(watched, y, 1e-2)
    except Exception as error:
        if _is_stub(error):
            raise
        watched.grad = None  # whether features with a gradient are taken at all is left open
    if watched.grad is not None:
        raise Wrong(INPUT_CHANGED, seen="features.grad is not None after the call", expected="None")
    shipped = {"counts": (10, 12, 9), "width": 6, "gap": 9.0, "shift": -20.0, "seed": 9}
    for case in (shipped, *cases):  # what does nothing leaves all as it was
        x, y, new_x, new_y = _clouds(**case)
        _check_far(linear_probe, x, y, new_x, new_y, gettext("features far from zero"))
