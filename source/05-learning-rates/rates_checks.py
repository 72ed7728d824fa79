"""The checks of lesson 05. They judge what a function does, never how it is written.

The networks are small and made on the spot, with unequal widths and layers whose names mislead. Hidden cases hand in
larger ones through ``add_cases``, as functions that build a network; the last part of the check looks at them, behind
its own, so that no hidden failure hides a visible one.
"""

from __future__ import annotations

import copy
import math
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from course.exercise import Check, Misconception, Wrong
from course.locale import gettext, ngettext
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

MakeNetwork = Callable[[], nn.Module]

# --------------------------------------------------------------------------------------------------------
# Networks to look at
# --------------------------------------------------------------------------------------------------------


class Photos(nn.Module):
    """Images to 5 logits; two children have nothing to learn, and the order is not alphabetical."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.pool = nn.MaxPool2d(2)
        self.blocks = nn.ModuleDict(
            {"a": nn.Conv2d(4, 6, 1), "b": nn.Sequential(nn.Conv2d(6, 7, 1))}
        )
        self.attend = nn.MultiheadAttention(7, 1)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(7, 5)


class Words(nn.Module):
    """Token ids to logits over the same 11 tokens: the output layer shares the embedding's weight."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 4)
        self.mix = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.GELU())
        self.again = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
        self.again[0].weight = self.mix[0].weight
        self.decode = nn.Linear(4, 11)
        self.decode.weight = self.embed.weight


class Patches(nn.Module):
    """A transformer's front: two parameters that belong to no layer, as the class token of a ViT does."""

    def __init__(self) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.zeros(1, 1, 6))
        self.z_embed = nn.Conv2d(3, 6, 4, stride=4)
        self.encoder = nn.ModuleList([nn.Linear(6, 6), nn.LayerNorm(6)])
        self.temperature = nn.Parameter(torch.tensor(0.7))
        self.act = nn.ReLU()
        self.a_head = nn.Linear(6, 3, bias=False)


class Scale(nn.LayerNorm):
    """A norm layer whose name does not say so."""


class Gains(nn.Module):
    """A layer whose one parameter is not called weight."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(3))


class Numbered(nn.Module):
    """Names that begin alike, a layer without parameters inside another, and one without a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Linear(4, 3)
        self.quiet = nn.Sequential(nn.ReLU(), nn.Dropout())
        self.block2 = nn.Linear(3, 3)
        self.gains = Gains()
        self.head = nn.Linear(3, 1)


class Mixed(nn.Module):
    """Every kind of weight, bias and norm, under names that do not say so, and names that say something else."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.scale = nn.GroupNorm(2, 4)
        self.bias_net = nn.Linear(4, 6)
        self.normalise = nn.Sequential(nn.Linear(6, 6, bias=False), nn.LayerNorm(6))
        self.bn_free = nn.Conv1d(6, 5, 3)
        self.time = nn.GRU(5, 3)
        self.attend = nn.MultiheadAttention(3, 1)
        self.flow = nn.ModuleList([nn.BatchNorm1d(3), nn.BatchNorm3d(3), nn.Embedding(9, 3)])
        self.mixing_weight = nn.Parameter(torch.ones(3, 2))
        self.rescale = Scale(3)
        self.out = nn.Linear(3, 1)


def on_meta(make: MakeNetwork) -> MakeNetwork:
    """Builds the network without values, which takes no time and no memory: for what asks for names and shapes."""

    def build() -> nn.Module:
        with torch.device("meta"):
            return make()

    return build


def _every_third_frozen(model: nn.Module) -> None:
    for index, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(index % 3 != 1)


# --------------------------------------------------------------------------------------------------------
# What a network looks like from outside
# --------------------------------------------------------------------------------------------------------

CHANGED_VALUES = Misconception(
    "values-changed",
    "Numbers inside the network changed; this function only sorts its parameters.",
    "what your code does to the network besides reading it",
)
CHANGED_FLAGS = Misconception(
    "flags-changed",
    "`requires_grad` changed; this function should leave it as it is.",
    "where your code sets `requires_grad`",
)
CHANGED_MODES = Misconception(
    "modes-changed",
    "The mode of a layer changed, training or eval; it should be afterwards what it was before.",
    "calls of `train()` and `eval()`: they reach every layer below, and one word cannot put back a mixture of modes",
)


def _values(model: nn.Module) -> dict[str, Tensor]:
    """Copies of all parameters and buffers by name."""
    named = [*model.named_parameters(remove_duplicate=False), *model.named_buffers()]
    return {name: tensor.detach().clone() for name, tensor in named if not tensor.is_meta}


def _flags(model: nn.Module) -> dict[str, bool]:
    return {name: p.requires_grad for name, p in model.named_parameters(remove_duplicate=False)}


def _modes(model: nn.Module) -> dict[str, bool]:
    return {name: module.training for name, module in model.named_modules()}


class _Before:
    """How a network was, to say what a function changed."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.values, self.flags, self.modes = _values(model), _flags(model), _modes(model)

    def changed(self) -> str | None:
        """The name of a parameter or buffer that is not what it was, bit for bit: nothing was to be computed."""
        now = _values(self.model)
        for name, value in self.values.items():
            if name not in now or now[name].dtype != value.dtype or not _same(now[name], value):
                return name
        return None

    def same_flags(self) -> None:
        for name, flag in _flags(self.model).items():
            if flag != self.flags.get(name, flag):
                raise Wrong(
                    CHANGED_FLAGS,
                    seen=gettext("{name}.requires_grad became {flag}").format(name=name, flag=flag),
                    expected=flag is False,
                )

    def same_modes(self) -> None:
        for name, training in _modes(self.model).items():
            if training != self.modes.get(name, training):
                seen = gettext("{name} is in {mode} mode").format(
                    name=name or gettext("the model itself"), mode=_mode(training)
                )
                raise Wrong(
                    CHANGED_MODES,
                    seen=seen,
                    expected=gettext("{mode} mode, as before").format(mode=_mode(not training)),
                )

    def same(self) -> None:
        if name := self.changed():
            raise Wrong(CHANGED_VALUES, seen=gettext("{name} is not what it was").format(name=name))
        self.same_flags()
        self.same_modes()


def _same(now: Tensor, before: Tensor) -> bool:
    return now.shape == before.shape and torch.equal(now, before)


def _mode(training: bool) -> str:
    return "training" if training else "eval"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 160 else text[:160] + " ..."


# --------------------------------------------------------------------------------------------------------
# Parameter groups, as two exercises return them
# --------------------------------------------------------------------------------------------------------

NOT_GROUPS = Misconception(
    "not-groups",
    "What came back are not parameter groups: a list of dicts, each with its parameters under 'params' and its setting "
    "beside them.",
    "the `return` line, and the example in the docstring",
)
LEFT_OUT = Misconception(
    "left-out",
    "A parameter is in no group. The optimizer will never move it, and nothing will say so.",
    "which parameters your loop does not reach: deeper ones, biases, those that belong to the model itself",
)
FROZEN_LEFT_OUT = Misconception(
    "frozen-left-out",
    "A parameter that is frozen now is in no group. When it is unfrozen later, the optimizer will not know it.",
    "a condition on `requires_grad`",
)
IN_TWO_GROUPS = Misconception(
    "in-two-groups",
    "A parameter is listed twice. An optimizer refuses that, or takes two steps where it should take one.",
    "how a parameter that two layers share comes into your lists, and whether your groups overlap",
)
FOREIGN = Misconception(
    "not-a-parameter",
    "A group holds something that is no parameter of this model. The optimizer would move it, and the model would not "
    "notice.",
    "what your code puts into 'params': the parameters themselves, or names, copies, buffers",
)


def _groups(returned: Any, model: nn.Module, key: str) -> dict[str, float | None]:
    """Name of each parameter to the setting that its group has under ``key``; None where the group has none.

    Reads groups as torch's optimizers do: any iterable of dicts, with a tensor, an iterable of tensors or one of
    (name, tensor) pairs under 'params'. Each parameter must be there once.
    """
    names = {id(p): name for name, p in model.named_parameters()}
    held: dict[str, float | None] = {}
    for group in _listed(returned):
        if not isinstance(group, Mapping) or "params" not in group:
            raise Wrong(
                NOT_GROUPS,
                seen=_short(group),
                expected=gettext("a dict with 'params' and {key!r}").format(key=key),
            )
        inside = group["params"]
        if isinstance(inside, set | frozenset):
            raise Wrong(
                NOT_GROUPS, seen="a set under 'params', which has no order", expected="a list"
            )
        for entry in [inside] if isinstance(inside, Tensor) else _listed(inside):
            parameter = entry[1] if isinstance(entry, tuple) and len(entry) == 2 else entry
            name = names.get(id(parameter))
            if name is None:
                seen = (
                    gettext("a tensor of shape {shape}").format(shape=tuple(entry.shape))
                    if isinstance(entry, Tensor)
                    else _short(entry)
                )
                raise Wrong(
                    FOREIGN, seen=seen, expected="the model's own parameters, the same objects"
                )
            if name in held:
                raise Wrong(
                    IN_TWO_GROUPS,
                    seen=gettext("{name} is there twice").format(name=name),
                    expected="once",
                )
            held[name] = _number(group[key], key) if key in group else None
    for name, parameter in model.named_parameters():
        if name not in held:
            idea = LEFT_OUT if parameter.requires_grad else FROZEN_LEFT_OUT
            raise Wrong(
                idea,
                seen=gettext("{name} is in no group of {network}").format(
                    name=name, network=type(model).__name__
                ),
            )
    return held


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise Wrong(NOT_GROUPS, seen=_short(value), expected="a list of dicts")
    return list(value)


def _number(value: Any, key: str) -> float:
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if not isinstance(value, numbers.Real):
        raise Wrong(
            NOT_GROUPS,
            seen=gettext("{key} is {value}").format(key=key, value=_short(value)),
            expected="a number",
        )
    return float(value)


# --------------------------------------------------------------------------------------------------------
# layer_lr_groups
# --------------------------------------------------------------------------------------------------------

NO_RATE = Misconception(
    "no-rate",
    "A layer's group has no 'lr', so the optimizer gives it the rate that it was made with.",
    "the keys of your dicts",
)
WRONG_END = Misconception(
    "wrong-end",
    "The rates fall towards the head. The last layer is the new one: it has the base rate, and the stem the smallest.",
    "from which end your code counts",
)
EMPTY_COUNTED = Misconception(
    "empty-layer-counted",
    "A child without parameters was counted as a layer, so that the layers before it lost one step of decay too much.",
    "what pooling, activations and dropout do to your count",
)
HEAD_TOO_SLOW = Misconception(
    "head-too-slow",
    "Every rate is one step of decay off: the last layer should have the base rate itself.",
    "the exponent of decay for the last layer",
)
FINER = Misconception(
    "finer-than-children",
    "Parameters of one direct child have different rates. A layer here is a direct child, with all that is inside it.",
    "whether your code counts parameters, or modules at every depth, instead of the model's direct children",
)
RATES_ALIKE = Misconception(
    "rates-alike",
    "Layers that should have different rates have the same one.",
    "whether the rate is worked out anew for each layer, from its distance to the last one",
)
WRONG_RATE = Misconception(
    "wrong-rate",
    "A layer's rate is not that of the next layer times decay.",
    "the law from one layer to the one before it: a factor, the same each time",
)

check_layer_lr_groups = Check(
    "layer_lr_groups",
    hints=(
        "First find the layers: which of the direct children have parameters at all? Then number them from the end.",
        "A layer that is k places before the last has the rate base_lr * decay ** k. `model.children()` gives the "
        "direct children in order, and `child.parameters()` all that is inside one.",
        "Keep a set of `id(parameter)` for what is already in a group. When the children are done, whatever of "
        "`model.parameters()` is not in the set goes into one more group.",
    ),
)


def _check_rates(layer_lr_groups: Callable, model: nn.Module, base_lr: float, decay: float) -> None:
    held = _groups(layer_lr_groups(model, base_lr, decay), model, "lr")
    children = list(model.named_children())
    layers = [name for name, child in children if list(child.parameters())]
    law = {name: base_lr * decay ** (len(layers) - 1 - k) for k, name in enumerate(layers)}
    # A shared parameter has a name in each of its layers, and may go at the rate of any of them.
    aliases: dict[int, set[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        aliases.setdefault(id(parameter), set()).add(name.split(".")[0])
    seen: dict[str, set[float]] = {name: set() for name in layers}
    wrong = None
    for name, parameter in model.named_parameters():
        owners = aliases[id(parameter)] & law.keys()
        if not owners:
            continue  # it belongs to the model itself, and its rate is left open
        rate = held[name]
        if rate is None:
            raise Wrong(NO_RATE, seen=gettext("the group of {name} has no 'lr'").format(name=name))
        if len(owners) == 1:
            seen[next(iter(owners))].add(rate)
        # one product against another of the same few factors: rounding is near 1e-16
        if wrong is None and not any(
            math.isclose(rate, law[owner], rel_tol=1e-6) for owner in owners
        ):
            wrong = (name, rate, law[min(owners, key=layers.index)])
    if wrong is None:
        return
    name, rate, expected = wrong
    raise Wrong(
        _idea_behind_rates(seen, layers, [n for n, _ in children], base_lr, decay),
        seen=gettext(
            "{name} of {network} has lr {rate:.6g} with base_lr={base_lr} and decay={decay}"
        ).format(name=name, network=type(model).__name__, rate=rate, base_lr=base_lr, decay=decay),
        expected=f"{expected:.6g}",
    )


def _idea_behind_rates(
    seen: Mapping[str, set[float]],
    layers: list[str],
    children: list[str],
    base_lr: float,
    decay: float,
) -> Misconception:
    if any(len(rates) > 1 for rates in seen.values()):
        return FINER
    rates = {name: next(iter(values)) for name, values in seen.items() if values}

    def fits(power: Callable[[str], int]) -> bool:
        return all(
            math.isclose(rate, base_lr * decay ** power(name), rel_tol=1e-9)
            for name, rate in rates.items()
        )

    if fits(layers.index) or all(
        a > b for a, b in zip(list(rates.values()), list(rates.values())[1:], strict=False)
    ):
        return WRONG_END
    if len(layers) < len(children) and (
        fits(lambda name: len(children) - 1 - children.index(name))
        or fits(lambda name: children.index(layers[-1]) - children.index(name))
    ):
        return EMPTY_COUNTED
    if fits(lambda name: len(layers) - layers.index(name)):
        return HEAD_TOO_SLOW
    return RATES_ALIKE if len(set(rates.values())) < len(rates) else WRONG_RATE


@check_layer_lr_groups.part(
    2, "gives the last layer base_lr, and each one before it decay times the next"
)
def _(layer_lr_groups: Callable, cases: Sequence[MakeNetwork]) -> None:
    for base_lr, decay in ((0.1, 0.5), (0.003, 0.8)):
        chain = nn.Sequential(
            nn.Linear(5, 4), nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 3)), nn.Linear(3, 2)
        )
        _check_rates(layer_lr_groups, chain, base_lr, decay)


@check_layer_lr_groups.part(
    1, "takes the direct children that have parameters, in their order, for the layers"
)
def _(layer_lr_groups: Callable, cases: Sequence[MakeNetwork]) -> None:
    for base_lr, decay in ((0.02, 0.7), (1.0, 1.0)):
        _check_rates(layer_lr_groups, Photos(), base_lr, decay)
    _check_rates(
        layer_lr_groups,
        nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)),
        0.1,
        0.3,
    )


@check_layer_lr_groups.part(2, "puts every parameter into exactly one group, and changes nothing")
def _(layer_lr_groups: Callable, cases: Sequence[MakeNetwork]) -> None:
    for make in (Words, Patches, Photos):
        model = make()
        _every_third_frozen(model)
        model.eval()
        before = _Before(model)
        _check_rates(layer_lr_groups, model, 0.05, 0.6)
        before.same()
    numbered = Numbered()
    numbered.block.requires_grad_(False)
    _check_rates(layer_lr_groups, numbered, 0.05, 0.6)
    for make in cases:
        _check_rates(layer_lr_groups, make(), 0.01, 0.9)


# --------------------------------------------------------------------------------------------------------
# decay_groups
# --------------------------------------------------------------------------------------------------------

NO_DECAY_KEY = Misconception(
    "no-decay-key",
    "A group has no 'weight_decay', so the optimizer gives it the decay that it was made with.",
    "the keys of your dicts: also those that should say 0",
)
BIAS_DECAYS = Misconception(
    "bias-decays",
    "Weight decay on a bias: it pulls the layer's offset towards 0, where nothing says that it should be.",
    "how your code tells a bias from a weight, in every kind of layer: names end in more ways than one",
)
NORM_DECAYS = Misconception(
    "norm-decays",
    "Weight decay on a norm layer: its scale should be near 1, and decay pulls it towards 0.",
    "how your code finds norm layers: BatchNorm, LayerNorm and GroupNorm, whatever they are called in the model",
)
WEIGHT_SPARED = Misconception(
    "weight-spared",
    "A weight with two or more dimensions gets no weight decay.",
    "whether a name misleads your code, and which kinds of layer it does not know",
)
WRONG_DECAY = Misconception(
    "wrong-decay",
    "A group's decay is neither 0 nor the weight_decay that was given.",
    "which number goes into the dict",
)

check_decay_groups = Check(
    "decay_groups",
    hints=(
        "Two lists are enough: what decays, and what does not. What do all weights that decay have in common, and no "
        "bias, and no scale of a norm layer?",
        "Do not go by names: a norm layer may be called `scale`, and a linear layer `normalise`. Look at the shape of "
        "a parameter, or at the type of the module that holds it.",
        "`p.ndim` is 1 for biases and for the weights of most norm layers; `isinstance(module, nn.LayerNorm)` finds "
        "the others. `model.parameters()` gives each parameter once, frozen or not.",
    ),
)

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm)


def _check_decay(decay_groups: Callable, model: nn.Module, weight_decay: float) -> None:
    held = _groups(decay_groups(model, weight_decay), model, "weight_decay")
    in_norms = {
        id(p) for m in model.modules() if isinstance(m, _NORMS) for p in m.parameters(recurse=False)
    }
    for name, parameter in model.named_parameters():
        is_bias, is_norm = "bias" in name.rpartition(".")[2], id(parameter) in in_norms
        is_weight = "weight" in name.rpartition(".")[2] and parameter.ndim >= 2
        if not is_bias and not is_norm and not is_weight:
            continue  # a lone gain, or a class token: whether it decays is left open
        expected = 0.0 if is_bias or is_norm else weight_decay
        decay = held[name]
        seen = gettext("{name}, of shape {shape}, has weight_decay {decay}").format(
            name=name, shape=tuple(parameter.shape), decay=decay
        )
        if decay is None:
            raise Wrong(
                NO_DECAY_KEY,
                seen=gettext("the group of {name} has no 'weight_decay'").format(name=name),
                expected=expected,
            )
        if math.isclose(decay, expected, rel_tol=1e-9):
            continue
        if decay not in (0.0, weight_decay):
            idea = WRONG_DECAY
        elif expected:
            idea = WEIGHT_SPARED
        else:
            idea = NORM_DECAYS if is_norm else BIAS_DECAYS
        raise Wrong(idea, seen=seen, expected=expected)


@check_decay_groups.part(2, "lets weights decay, and spares biases and norm layers")
def _(decay_groups: Callable, cases: Sequence[MakeNetwork]) -> None:
    plain = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Conv2d(4, 3, 1))
    _check_decay(decay_groups, plain, 0.1)
    norms = nn.Sequential(
        nn.Linear(5, 4, bias=False), nn.BatchNorm1d(4), nn.Linear(4, 6, bias=False), nn.LayerNorm(6)
    )
    _check_decay(decay_groups, norms, 0.02)


@check_decay_groups.part(1, "goes by what a parameter is, not by what its layer is called")
def _(decay_groups: Callable, cases: Sequence[MakeNetwork]) -> None:
    _check_decay(decay_groups, Mixed(), 0.05)
    _check_decay(decay_groups, Photos(), 0.0)


@check_decay_groups.part(1, "puts every parameter into exactly one group, and changes nothing")
def _(decay_groups: Callable, cases: Sequence[MakeNetwork]) -> None:
    for make in (Words, Patches, Mixed):
        model = make()
        _every_third_frozen(model)
        model.eval()
        before = _Before(model)
        _check_decay(decay_groups, model, 0.3)
        before.same()
    for make in cases:
        _check_decay(decay_groups, make(), 1e-4)


# --------------------------------------------------------------------------------------------------------
# warmup_cosine
# --------------------------------------------------------------------------------------------------------

NOT_A_FLOAT = Misconception(
    "not-a-float",
    "What came back is no float. An optimizer multiplies a rate with it, once a step.",
    "the `return` lines: a Python number, not a tensor, and not None",
)
ONE_STEP_EARLY = Misconception(
    "one-step-early",
    "Off by one: the warm-up ends a step early. At step 0 the factor is 0, and it reaches 1 at step == warmup.",
    "the fraction of the warm-up: which step is its numerator 0, and at which is it the whole?",
)
ONE_STEP_LATE = Misconception(
    "one-step-late",
    "Off by one at the end of warm-up: at step == warmup the factor should be exactly 1.",
    "which of your branches takes step == warmup, and what it gives there",
)
WARMUP_OF_ZERO = Misconception(
    "warmup-of-zero",
    "With warmup=0 there is no warm-up: the factor is 1 at step 0. Yours fails there, or gives away a step.",
    "what your code does with step 0 when warmup is 0",
)
COSINE_FROM_ZERO = Misconception(
    "cosine-from-zero",
    "The cosine begins at step 0 and not where the warm-up ends, so the factor jumps there.",
    "what the cosine's share is at step == warmup, and at step == total: it should go from 0 to 1 between them",
)
ENDS_EARLY = Misconception(
    "ends-early",
    "Off by one at the end: the factor should be 0 at step == total, and not a step before.",
    "by how many steps you divide",
)
WRONG_RAMP = Misconception(
    "wrong-ramp",
    "The warm-up is not a straight line from 0 at step 0 to 1 at step == warmup.",
    "the factor while step < warmup",
)
WRONG_COSINE = Misconception(
    "wrong-cosine",
    "After the warm-up the factor does not follow half a cosine from 1 down to 0.",
    "the formula: where cos is 1, where it is -1, and what brings these two to 1 and 0",
)

check_warmup_cosine = Check(
    "warmup_cosine",
    hints=(
        "Two branches: before the end of the warm-up, and from there on. Work out by hand what each gives for steps 0, "
        "4, 8, 12 with warmup=4 and total=12.",
        "Put t for the share of the way from the end of the warm-up to the end of training: 0 at step == warmup, 1 at "
        "step == total. Half a cosine goes from cos(0) = 1 to cos(pi) = -1.",
        "If step < warmup, return step / warmup; this line never divides by zero. Else t = (step - warmup) / (total - "
        "warmup), and the factor is (1 + cos(pi t)) / 2.",
    ),
)


def _factor(warmup_cosine: Callable, step: int, warmup: int, total: int) -> float:
    try:
        value = warmup_cosine(step, warmup, total)
    except ZeroDivisionError as error:
        if warmup and total - warmup > 1:
            raise
        idea = ENDS_EARLY if total - warmup == 1 else WARMUP_OF_ZERO
        seen = gettext("warmup_cosine({step}, {warmup}, {total}) raised ZeroDivisionError").format(
            step=step, warmup=warmup, total=total
        )
        raise Wrong(idea, seen=seen) from error
    if not isinstance(value, numbers.Real):
        raise Wrong(
            NOT_A_FLOAT,
            seen=gettext("{value}, of type {kind}").format(
                value=_short(value), kind=type(value).__name__
            ),
            expected="a float",
        )
    return float(value)


def _check_factor(
    factor: float, step: int, warmup: int, total: int, idea: Misconception, expected: float
) -> None:
    # float32 rounds a factor by 1e-7 at most; the smallest step off by one is above 1e-4 here
    if not abs(factor - expected) <= 1e-6:
        seen = gettext("warmup_cosine({step}, {warmup}, {total}) is {factor:.6g}").format(
            step=step, warmup=warmup, total=total, factor=factor
        )
        raise Wrong(idea, seen=seen, expected=f"{expected:.6g}")


@check_warmup_cosine.part(
    1, "rises in a straight line from 0 at step 0 to exactly 1 at step == warmup"
)
def _(warmup_cosine: Callable, cases: Sequence[tuple[int, int]]) -> None:
    for warmup, total in ((4, 12), (1, 7), (10, 11), (37, 101)):
        ramp = [_factor(warmup_cosine, step, warmup, total) for step in range(warmup + 1)]
        idea = _idea_behind_ramp(ramp, warmup, total)
        if abs(ramp[-1] - 1) < 1e-6 and ramp[-1] != 1.0:
            seen = gettext("warmup_cosine({warmup}, {warmup}, {total}) is {factor!r}").format(
                warmup=warmup, total=total, factor=ramp[-1]
            )
            raise Wrong(ONE_STEP_LATE, seen=seen, expected="exactly 1")
        for step, value in enumerate(ramp):
            _check_factor(value, step, warmup, total, idea, step / warmup)


def _idea_behind_ramp(ramp: list[float], warmup: int, total: int) -> Misconception:
    def follows(law: Callable[[int], float], last: int) -> bool:
        return all(abs(value - law(step)) < 1e-6 for step, value in enumerate(ramp[: last + 1]))

    def cosine(step: int) -> float:
        return 0.5 * (1 + math.cos(math.pi * step / total))

    end = warmup - 1
    if follows(lambda step: step / warmup, end):
        return COSINE_FROM_ZERO if abs(ramp[-1] - cosine(warmup)) < 1e-6 else ONE_STEP_LATE
    if follows(lambda step: step / warmup * cosine(step), end):
        return COSINE_FROM_ZERO
    if follows(lambda step: step / (warmup + 1), end):
        return ONE_STEP_LATE
    early = (
        lambda s: (s + 1) / warmup,
        lambda s: (s + 1) / (warmup + 1),
        lambda s: s / max(1, warmup - 1),
    )
    return ONE_STEP_EARLY if any(follows(law, end) for law in early) else WRONG_RAMP


@check_warmup_cosine.part(2, "falls along half a cosine to 0 at step == total")
def _(warmup_cosine: Callable, cases: Sequence[tuple[int, int]]) -> None:
    for warmup, total in ((4, 12), (1, 8), (5, 26), (30, 90)):
        steps = range(warmup + 1, total + 1)
        fall = [_factor(warmup_cosine, step, warmup, total) for step in steps]
        share = [(step - warmup) / (total - warmup) for step in steps]
        law = [0.5 * (1 + math.cos(math.pi * t)) for t in share]
        idea = WRONG_COSINE
        if all(
            abs(f - 0.5 * (1 + math.cos(math.pi * s / total))) < 1e-6
            for f, s in zip(fall, steps, strict=True)
        ):
            idea = COSINE_FROM_ZERO
        elif abs(fall[-2]) < 1e-6:
            idea = ENDS_EARLY
        for step, value, expected in zip(steps, fall, law, strict=True):
            _check_factor(value, step, warmup, total, idea, expected)


@check_warmup_cosine.part(1, "begins at 1 when there is no warm-up")
def _(warmup_cosine: Callable, cases: Sequence[tuple[int, int]]) -> None:
    for total in (9, 1, 40):
        _check_factor(_factor(warmup_cosine, 0, 0, total), 0, 0, total, WARMUP_OF_ZERO, 1.0)
        for step in range(1, total + 1):
            expected = 0.5 * (1 + math.cos(math.pi * step / total))
            _check_factor(
                _factor(warmup_cosine, step, 0, total), step, 0, total, WRONG_COSINE, expected
            )
    for warmup, total in cases:
        for step in (0, warmup // 2, warmup, (warmup + total) // 2, total - 1, total):
            share = (step - warmup) / (total - warmup)
            expected = step / warmup if step < warmup else 0.5 * (1 + math.cos(math.pi * share))
            idea = WRONG_RAMP if step < warmup else WRONG_COSINE
            _check_factor(
                _factor(warmup_cosine, step, warmup, total), step, warmup, total, idea, expected
            )


# --------------------------------------------------------------------------------------------------------
# lr_range_test
# --------------------------------------------------------------------------------------------------------

NOT_LOSSES = Misconception(
    "not-losses",
    "What came back are not losses as floats, one for each learning rate.",
    "the `return` line: a list of Python numbers. A tensor would keep its whole graph alive",
)
TOO_FEW_LOSSES = Misconception(
    "too-few-losses",
    "There are not as many losses as learning rates.",
    "what happens when the loader is used up before the rates are, and when a loss is very large or no number",
)
LOSS_AFTER_STEP = Misconception(
    "loss-after-step",
    "A loss was measured after its step. The first should be that of the model as it came, whatever the first rate is.",
    "the order in a step: the loss, the gradients, the update",
)
EVAL_MODE = Misconception(
    "eval-mode",
    "The losses are those of a model in eval mode. A training step runs in training mode: BatchNorm then normalises "
    "with the batch.",
    "the mode while the test runs",
)
STANDS_STILL = Misconception(
    "stands-still",
    "Each loss is that of the weights the model came with: no step was taken, or each rate was tried on them anew. "
    "Each step should go on from the one before.",
    "where your code puts the weights back, and whether the rate and the gradients reach the optimizer",
)
SAME_BATCH = Misconception(
    "same-batch",
    "The steps saw the same batch again and again. Each takes the next one, and the first again when all are used up.",
    "how your code asks the loader for a batch",
)
MOVED_FROZEN = Misconception(
    "frozen-moved",
    "The losses are those of a model whose frozen layer moved, too.",
    "what your code does with `requires_grad`, and which parameters take steps",
)
RATE_OF_BEFORE = Misconception(
    "rate-of-before",
    "A step was taken with the rate of the one before it, or of the one after.",
    "when the new rate reaches the optimizer: before the step it belongs to",
)
MODEL_CHANGED = Misconception(
    "model-changed",
    "The range test left the model changed: training would begin with weights that the largest rates have spoilt.",
    "what you keep to put back: `state_dict()` hands out the tensors themselves, which go on moving",
)
BUFFERS_CHANGED = Misconception(
    "buffers-changed",
    "The range test left the running statistics changed. They are buffers: no gradient, but `forward` moves them.",
    "whether what you keep to put back holds buffers as well as parameters",
)
WRONG_LOSSES = Misconception(
    "wrong-losses",
    "The losses are not those of plain SGD on the cross-entropy, one step for each rate.",
    "the optimizer's switches (no momentum, no decay), the gradients of the step before, and the mean over a batch",
)

check_lr_range_test = Check(
    "lr_range_test",
    hints=(
        "Three things one after another: remember the model as it is, take one step for each rate, put everything "
        "back. What has to be remembered? Values and modes, and they need to be copies.",
        "An optimizer reads its rate at each step from `optimizer.param_groups[0]['lr']`. `itertools.cycle(loader)` "
        "never ends; so does `iter(loader)` in a loop that makes a new one on `StopIteration`.",
        "`copy.deepcopy(model)` is a model of its own with the same values. Train the copy, in training mode, and the "
        "model has nothing to put back.",
    ),
)

Batches = list[tuple[Tensor, Tensor]]


def _softmax_batches(sizes: Sequence[int], width: int, classes: int, seed: int) -> Batches:
    generator = torch.Generator().manual_seed(seed)
    return [
        (
            torch.randn(n, width, generator=generator, dtype=torch.float64),
            torch.randint(classes, (n,), generator=generator),
        )
        for n in sizes
    ]


def _law(weight: Tensor, bias: Tensor, batches: Batches, rates: Sequence[float]) -> list[float]:
    """Losses of softmax regression, by its gradient written out: dL/dz = (softmax(z) - onehot) / N for z = x W' + b."""
    losses = []
    for x, y, rate in ((*batches[k % len(batches)], rate) for k, rate in enumerate(rates)):
        z = x @ weight.T + bias
        losses.append(float((z.logsumexp(1) - z[torch.arange(len(y)), y]).mean()))
        dz = (z.softmax(1) - F.one_hot(y, z.shape[1])) / len(y)
        weight, bias = weight - rate * dz.T @ x, bias - rate * dz.sum(0)
    return losses


def _losses(returned: Any, rates: Sequence[float]) -> list[float]:
    if isinstance(returned, str | Mapping | Tensor) or not isinstance(returned, Iterable):
        raise Wrong(
            NOT_LOSSES,
            seen=_short(returned),
            expected=gettext("a list of {count} floats").format(count=len(rates)),
        )
    losses = list(returned)
    for loss in losses:
        if not isinstance(loss, numbers.Real):
            raise Wrong(
                NOT_LOSSES,
                seen=gettext("a {kind} in the list").format(kind=type(loss).__name__),
                expected="floats",
            )
    if len(losses) != len(rates):
        raise Wrong(
            TOO_FEW_LOSSES,
            seen=ngettext(
                "{losses} loss for {count} learning rates",
                "{losses} losses for {count} learning rates",
                len(losses),
            ).format(losses=len(losses), count=len(rates)),
        )
    return [float(loss) for loss in losses]


def _close(losses: Sequence[float], law: Sequence[float]) -> bool:
    # float64 twice, and a few steps: rounding is near 1e-14; a wrong switch shows above 1e-4
    return all(
        math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) for a, b in zip(losses, law, strict=True)
    )


def _check_losses(
    lr_range_test: Callable,
    front: nn.Module,
    batches: Batches,
    rates: Sequence[float],
    loader: DataLoader | None = None,
) -> None:
    """A frozen front, which may be nothing, and softmax regression on what it gives, in float64."""
    width, classes = front(batches[0][0]).shape[1], 4
    model = nn.Sequential(front, nn.Linear(width, classes)).double()
    head = model[1]
    weight, bias = head.weight.detach().clone(), head.bias.detach().clone()
    with torch.no_grad():
        seen_by_head = [(front(x), y) for x, y in batches]
    law = _law(weight, bias, seen_by_head, rates)
    for p in model.parameters():
        p.grad = torch.linspace(-1, 1, p.numel(), dtype=p.dtype).view_as(
            p
        )  # left over from an earlier training
    losses = _losses(lr_range_test(model, loader or list(batches), list(rates)), rates)
    if _close(losses, law):
        return
    idea = WRONG_LOSSES
    flat = [float(F.cross_entropy(head_in @ weight.T + bias, y)) for head_in, y in seen_by_head]
    others = {
        STANDS_STILL: [flat[k % len(flat)] for k in range(len(rates))],
        SAME_BATCH: _law(weight, bias, seen_by_head[:1], rates),
    }
    for other, its_losses in others.items():
        if _close(losses, its_losses):
            idea = other
    for shifted in ([0.0, *rates[:-1]], [*rates[1:], rates[-1]], [rates[0], *rates[:-1]]):
        if _close(losses, _law(weight, bias, seen_by_head, shifted)):
            idea = RATE_OF_BEFORE
    if not math.isclose(losses[0], law[0], rel_tol=1e-7):
        after = _law(weight, bias, [seen_by_head[0]] * 2, [rates[0]] * 2)[1]
        idea = LOSS_AFTER_STEP if math.isclose(losses[0], after, rel_tol=1e-7) else WRONG_LOSSES
    elif any(p.numel() for p in front.parameters()):
        idea = MOVED_FROZEN if idea is WRONG_LOSSES else idea
    worst = next(k for k in range(len(rates)) if not _close(losses[k : k + 1], law[k : k + 1]))
    seen = gettext("loss {number} of {count} is {loss:.6g} for rates {rates}").format(
        number=worst + 1,
        count=len(rates),
        loss=losses[worst],
        rates=[float(f"{r:.3g}") for r in rates],
    )
    raise Wrong(idea, seen=seen, expected=f"{law[worst]:.6g}")


@check_lr_range_test.part(2, "takes one step of SGD for each rate, and gives the loss before each")
def _(lr_range_test: Callable, cases: Sequence[MakeNetwork]) -> None:
    batches = _softmax_batches((7, 5, 6, 4), width=3, classes=4, seed=1)
    _check_losses(lr_range_test, nn.Identity(), batches, [0.3, 0.7, 0.05, 1.5])
    _check_losses(lr_range_test, nn.Identity(), batches[::-1], [0.01, 0.1, 1.0])
    _check_losses(lr_range_test, nn.Identity(), [(30 * x, y) for x, y in batches], [0.1, 0.3, 0.2])


@check_lr_range_test.part(
    1, "starts the loader again when it is used up, and trains what is trainable, in training mode"
)
def _(lr_range_test: Callable, cases: Sequence[MakeNetwork]) -> None:
    batches = _softmax_batches((6, 3), width=5, classes=4, seed=2)
    rates = [0.05 * 1.4**k for k in range(7)]
    _check_losses(lr_range_test, nn.Identity(), batches, rates)
    front = nn.Linear(5, 3).double().requires_grad_(False)
    _check_losses(lr_range_test, front, batches, rates)
    x, y = (torch.cat(part) for part in zip(*batches, strict=True))
    loader = DataLoader(TensorDataset(x, y), batch_size=4)
    _check_losses(
        lr_range_test, nn.Identity(), list(zip(x.split(4), y.split(4), strict=True)), rates, loader
    )
    for training in (True, False):
        model = nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3), nn.Linear(3, 4)).double()
        with torch.no_grad():  # in training mode, which is not what its running statistics give
            law = [float(F.cross_entropy(model(x), y)) for x, y in batches]
        model.train(training)
        losses = _losses(lr_range_test(model, list(batches), [1e-13, 1e-13]), [1e-13, 1e-13])
        if not _close(losses, law):
            seen = gettext(
                "{loss:.6g} for a model that came in {mode} mode, and steps too small to matter"
            ).format(loss=losses[0], mode=_mode(training))
            raise Wrong(EVAL_MODE, seen=seen, expected=f"{law[0]:.6g}")


@check_lr_range_test.part(
    2, "leaves parameters, buffers, modes and flags of the model as they were"
)
def _(lr_range_test: Callable, cases: Sequence[MakeNetwork]) -> None:
    generator = torch.Generator().manual_seed(3)
    images = [(torch.randn(n, 3, 6, 5, generator=generator), torch.arange(n) % 5) for n in (4, 3)]
    for make in (_small_network, *cases):
        model = make()
        side = 5 if make is _small_network else 32
        batches = [(F.interpolate(x, (side, side)), y) for x, y in images]
        rates = [1e-3, 0.1, 10.0, 1e38] if make is _small_network else [0.01]
        _every_third_frozen(model)
        for index, module in enumerate(model.modules()):
            module.training = index % 3 == 1  # the model itself comes in eval mode
        before, objects = _Before(model), [id(p) for p in model.parameters()]
        # a rate that blows everything up: what comes back must be whole all the same
        rates = [*rates, 1e38, 1.0]
        x, y = batches[0]
        about = F.cross_entropy(copy.deepcopy(model).eval()(x), y).item()
        loss = _losses(lr_range_test(model, batches, rates), rates)[0]
        # what does nothing changes nothing: there must have been a loss
        if not about / 3 < loss < 3 * about:
            raise Wrong(
                WRONG_LOSSES,
                seen=f"{loss:.3g}",
                expected=gettext("about {loss:.3g}").format(loss=about),
            )
        if name := before.changed():
            is_buffer = name in dict(model.named_buffers())
            raise Wrong(
                BUFFERS_CHANGED if is_buffer else MODEL_CHANGED,
                seen=gettext("{name} is not what it was").format(name=name),
            )
        before.same_flags()
        before.same_modes()
        if [id(p) for p in model.parameters()] != objects:
            raise Wrong(
                MODEL_CHANGED,
                seen="other parameter objects than before: an optimizer made earlier would move the old ones",
            )


def _small_network() -> nn.Module:
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2)),
        nn.Conv2d(4, 6, 1, bias=False),
        nn.BatchNorm2d(6),
        nn.Flatten(),
        nn.Linear(6 * 3 * 3, 5),
    )


# --------------------------------------------------------------------------------------------------------
# unfreeze_schedule
# --------------------------------------------------------------------------------------------------------

NOT_NAMES = Misconception(
    "not-names",
    "What came back is not a list of names.",
    "the `return` line: a list, also where it holds one name only",
)
ALL_AT_ONCE = Misconception(
    "all-at-once",
    "Epoch 0 opens everything: a slice from -0 is a slice from the beginning.",
    "what your slice gives when its number is 0",
)
SHRINKS_AGAIN = Misconception(
    "shrinks-again",
    "Once all stages are open they should stay open. Yours closes some of them again, or fails.",
    "what your index becomes when there are more epochs than stages",
)
FROM_THE_INPUT = Misconception(
    "from-the-input",
    "The stages open from the input. The head comes first: it is the one that is new.",
    "from which end your slice takes",
)
ONLY_THE_NEWEST = Misconception(
    "only-the-newest",
    "Each epoch opens one stage and closes those that were open before.",
    "whether your slice goes on to the end of the list",
)
OFF_BY_ONE_EPOCH = Misconception(
    "off-by-one-epoch",
    "Off by one: epochs count from 0, and epoch 0 trains the last stage alone.",
    "how many names epoch 0 and epoch 1 give",
)
ORDER_LOST = Misconception(
    "order-lost",
    "The names are right, their order is not: it should be that of stages, from input to head.",
    "whether your code reverses the list, or puts the names into a set",
)
WRONG_STAGES = Misconception(
    "wrong-stages",
    "These are not the stages that are trainable in this epoch.",
    "how many of the last names an epoch trains; it depends on its number alone, not on earlier calls",
)
STAGES_CHANGED = Misconception(
    "stages-changed",
    "The list of stages is another one after the call. The next epoch will count from a shorter list, or a turned one.",
    "methods that change a list where it stands: `pop`, `reverse`, `sort`, `append`",
)

check_unfreeze_schedule = Check(
    "unfreeze_schedule",
    hints=(
        "Write down what four stages give in epochs 0, 1, 3, 4 and 10. How many names is that, as a formula?",
        "Epoch e trains the last e + 1 names, or all of them when there are no more.",
        "Find where the slice begins: len(stages) - 1 - epoch, but never below 0. What does a slice do with a number "
        "below 0?",
    ),
)


def _check_epoch(unfreeze_schedule: Callable, epoch: int, stages: list[str]) -> None:
    count = min(epoch + 1, len(stages))
    expected = stages[len(stages) - count :]
    call = f"unfreeze_schedule({epoch}, {stages})"
    try:
        returned = unfreeze_schedule(epoch, list(stages))
    except IndexError as error:
        if epoch < len(stages):
            raise
        raise Wrong(
            SHRINKS_AGAIN,
            seen=gettext("{call} raised IndexError").format(call=call),
            expected=expected,
        ) from error
    if isinstance(returned, str) or not isinstance(returned, Iterable):
        raise Wrong(
            NOT_NAMES,
            seen=gettext("{call} is {returned}").format(call=call, returned=_short(returned)),
            expected=expected,
        )
    names = list(returned)
    ordered = not isinstance(returned, set | frozenset)
    if names == expected and ordered:
        return
    if sorted(map(str, names)) == sorted(expected):
        idea = ORDER_LOST
    elif epoch == 0 and names == stages:
        idea = ALL_AT_ONCE
    elif epoch >= len(stages):
        idea = SHRINKS_AGAIN
    elif len(names) == len(expected) and sorted(names) == sorted(stages[: len(names)]):
        idea = FROM_THE_INPUT
    elif len(names) == 1 and names == expected[:1]:
        idea = ONLY_THE_NEWEST
    elif epoch < 2 and names in (expected[1:], stages[-2:]):
        idea = OFF_BY_ONE_EPOCH
    else:
        idea = WRONG_STAGES
    raise Wrong(
        idea,
        seen=gettext("{call} is {returned}").format(
            call=call, returned=_short(names if ordered else returned)
        ),
        expected=expected,
    )


# not in alphabetical order in either direction
_STAGES = ["stem", "early", "late", "body", "head"]


@check_unfreeze_schedule.part(1, "opens one more stage each epoch, from the head on")
def _(unfreeze_schedule: Callable, cases: Sequence[list[str]]) -> None:
    for epoch in (0, 1, 2, 3, 4, 1, 3, 0):
        _check_epoch(unfreeze_schedule, epoch, _STAGES)
    _check_epoch(unfreeze_schedule, 1, ["stem", "body", "head"])


@check_unfreeze_schedule.part(1, "keeps all stages open once they are used up")
def _(unfreeze_schedule: Callable, cases: Sequence[list[str]]) -> None:
    # all stay open where all were open from the start
    if unfreeze_schedule(0, list(_STAGES)) == _STAGES:
        _check_epoch(unfreeze_schedule, 0, _STAGES)
    for epoch in (5, 6, 9, 10, 50):
        _check_epoch(unfreeze_schedule, epoch, _STAGES)
    for epoch in (0, 1, 7):
        _check_epoch(unfreeze_schedule, epoch, ["head"])


@check_unfreeze_schedule.part(1, "leaves the list of stages as it is")
def _(unfreeze_schedule: Callable, cases: Sequence[list[str]]) -> None:
    for stages in (list(_STAGES), *map(list, cases)):
        before = list(stages)
        for epoch in (0, 1, 3, len(stages), 2):
            names = unfreeze_schedule(epoch, stages)
            if isinstance(names, Iterable):
                list(names)  # a generator does its work only now
            if stages != before:
                raise Wrong(
                    STAGES_CHANGED,
                    seen=gettext("{stages} after epoch {epoch}").format(stages=stages, epoch=epoch),
                    expected=before,
                )
            _check_epoch(unfreeze_schedule, epoch, stages)


# --------------------------------------------------------------------------------------------------------
# clip_gradients
# --------------------------------------------------------------------------------------------------------

PER_TENSOR = Misconception(
    "per-tensor",
    "Each gradient was clipped by its own norm. The step then points elsewhere: one factor, from the norm over all, "
    "keeps its direction.",
    "whether the norm is worked out once, over all parameters, before anything is scaled",
)
PER_ELEMENT = Misconception(
    "per-element",
    "Each entry was cut off at max_norm. The step then points elsewhere: one factor for all keeps its direction.",
    "what is to be compared with max_norm: the length of all gradients together",
)
TURNED = Misconception(
    "turned",
    "The gradients were not all scaled by the same factor, so the step points elsewhere.",
    "whether every gradient meets the same number, once",
)
NOT_CLIPPED = Misconception(
    "not-clipped",
    "The gradients together are still longer than max_norm.",
    "how the norms of the tensors make the norm over all: sqrt of the sum of all squares",
)
TOO_SHORT = Misconception(
    "too-short",
    "The gradients together are shorter than max_norm now: the factor was too small.",
    "how the norms of the tensors make the norm over all: sqrt of the sum of all squares, not a sum of norms",
)
SHORT_ONES_SCALED = Misconception(
    "short-ones-scaled",
    "Gradients that were short enough were scaled. Clipping makes long steps shorter, and leaves short ones alone.",
    "what your factor is when the norm is below max_norm",
)
NOT_A_NUMBER = Misconception(
    "not-a-number",
    "Gradients of zero became NaN: 0 divided by 0. The next step would spoil every weight.",
    "what your factor is when the norm is 0",
)
USED_UP = Misconception(
    "iterable-used-up",
    "Nothing was scaled: params was a generator, as `model.parameters()` is, and can be gone through only once.",
    "how often your code loops over params",
)
NOT_IN_PLACE = Misconception(
    "not-in-place",
    "`.grad` is a new tensor. Whoever holds the old one, as another part of a training loop may, sees no change.",
    "the difference between `x = x * f` and `x *= f`",
)
PARAMETERS_MOVED = Misconception(
    "parameters-moved",
    "Values of parameters changed; only their gradients were to be scaled.",
    "what your code scales",
)
NONE_FILLED = Misconception(
    "none-filled",
    "A parameter without a gradient has one now. The optimizer takes a step where .grad is not None, even for zeros.",
    "what your code does with `None`",
)

check_clip_gradients = Check(
    "clip_gradients",
    hints=(
        "All gradients together are one long vector; its length is the root of the sum of the squares of all entries. "
        "It has to be known before the first tensor is scaled.",
        "Two passes over what may be a generator: first make a list of the gradients that are not None.",
        "`torch.nn.utils.clip_grad_norm_` does all of it. By hand: norm = sqrt(sum of g.square().sum()); if norm > "
        "max_norm, `g.mul_(max_norm / norm)` for each g.",
    ),
)

_SHAPES = ((3, 4), (5,), (), (2, 1, 3))


def _with_gradients(
    norm: float, dtype: torch.dtype = torch.float64, seed: int = 0
) -> list[nn.Parameter]:
    """Parameters of unequal sizes, whose gradients have unequal norms and together this one; two have none."""
    generator = torch.Generator().manual_seed(seed)

    def draw(shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype)

    parameters = [nn.Parameter(draw(shape)) for shape in _SHAPES]
    for k, parameter in enumerate(parameters):
        parameter.grad = draw(tuple(parameter.shape)) * 3.0**k
    whole = _joint_norm([p.grad for p in parameters])
    for parameter in parameters:
        parameter.grad *= norm / whole if whole else 0.0
    return [nn.Parameter(draw((2, 2))), *parameters[:2], nn.Parameter(draw((3,))), *parameters[2:]]


def _joint_norm(gradients: Iterable[Tensor]) -> float:
    return math.sqrt(sum(float(g.double().square().sum()) for g in gradients))


def _check_clipping(
    clip_gradients: Callable,
    parameters: Sequence[nn.Parameter],
    max_norm: float,
    handed: Callable[[list[nn.Parameter]], Iterable[nn.Parameter]] = list,
    *,
    in_place: bool = False,
) -> None:
    values = [p.detach().clone() for p in parameters]
    grads = [(p, p.grad, p.grad.clone()) for p in parameters if p.grad is not None]
    without = [p for p in parameters if p.grad is None]
    norm = _joint_norm(before for _, _, before in grads)
    given = handed(list(parameters))
    clip_gradients(given, max_norm)
    if any(p.grad is not None for p in without):
        raise Wrong(NONE_FILLED, seen="a .grad that was None is a tensor", expected="None")
    if not all(torch.equal(p, value) for p, value in zip(parameters, values, strict=True)):
        raise Wrong(PARAMETERS_MOVED, seen="a parameter is not what it was")
    after = [p.grad for p, _, _ in grads]
    if any(g is None for g in after):
        raise Wrong(TURNED, seen="a .grad is None now", expected="the gradient, scaled")
    held = [before for _, _, before in grads]
    if norm <= max_norm:
        if any(not torch.isfinite(g).all() for g in after):
            raise Wrong(
                NOT_A_NUMBER,
                seen=gettext("NaN, where the norm over all was {norm:.4g}").format(norm=norm),
                expected="the gradients",
            )
        if not all(torch.equal(g, h) for g, h in zip(after, held, strict=True)):
            seen = gettext("norm {norm:.6g} after the call, with max_norm={max_norm}").format(
                norm=_joint_norm(after), max_norm=max_norm
            )
            raise Wrong(
                SHORT_ONES_SCALED,
                seen=seen,
                expected=gettext("{norm:.6g}, bit for bit as before").format(norm=norm),
            )
        return
    _check_scaled(after, held, norm, max_norm, once=iter(given) is given)
    for parameter, object_before, _ in grads:
        if in_place and parameter.grad is not object_before:
            raise Wrong(
                NOT_IN_PLACE,
                seen="p.grad is another tensor than before",
                expected="the same, scaled",
            )


def _check_scaled(
    after: list[Tensor], held: list[Tensor], norm: float, max_norm: float, *, once: bool
) -> None:
    def all_close(others: Iterable[Tensor]) -> bool:
        return all(
            torch.allclose(g, o, rtol=1e-4, atol=1e-9) for g, o in zip(after, others, strict=True)
        )

    now = _joint_norm(after)
    by_one_factor = all_close(h * (now / norm) for h in held)
    # torch's own clip_grad_norm_ adds 1e-6 to the norm; float32 rounds by 1e-7 for each of a few sums
    if by_one_factor and max_norm * (1 - 1e-3) <= now <= max_norm * (1 + 1e-5):
        return
    seen = gettext(
        "norm {norm:.4g} over all before, {now:.6g} after, with max_norm={max_norm}"
    ).format(norm=norm, now=now, max_norm=max_norm)
    if all_close(held):
        raise Wrong(USED_UP if once else NOT_CLIPPED, seen=seen, expected=f"{max_norm:g}")
    if all_close(h * min(1.0, max_norm / _joint_norm([h])) for h in held):
        raise Wrong(PER_TENSOR, seen=seen, expected="one factor for all")
    if all_close(h.clamp(-max_norm, max_norm) for h in held):
        raise Wrong(PER_ELEMENT, seen=seen, expected="one factor for all")
    if once and all_close(held):
        raise Wrong(USED_UP, seen=seen, expected=f"{max_norm:g}")
    if not by_one_factor:
        raise Wrong(
            TURNED,
            seen=gettext("{seen}; not all by the same factor").format(seen=seen),
            expected="one factor for all",
        )
    raise Wrong(NOT_CLIPPED if now > max_norm else TOO_SHORT, seen=seen, expected=f"{max_norm:g}")


@check_clip_gradients.part(2, "scales all gradients by one factor, to a joint norm of max_norm")
def _(clip_gradients: Callable, cases: Sequence[MakeNetwork]) -> None:
    for seed, (norm, max_norm, dtype) in enumerate(
        (
            (7.0, 2.0, torch.float64),
            (1.2, 1.0, torch.float32),
            (0.3, 0.2, torch.float64),
            (900.0, 1, torch.float32),
        )
    ):
        _check_clipping(clip_gradients, _with_gradients(norm, dtype, seed), max_norm)


@check_clip_gradients.part(
    1, "leaves short gradients alone, zeros too, and skips parameters that have none"
)
def _(clip_gradients: Callable, cases: Sequence[MakeNetwork]) -> None:
    for norm, max_norm, dtype in (
        (0.9, 1.0, torch.float64),
        (0.01, 5.0, torch.float32),
        (0.0, 1.0, torch.float64),
    ):
        _check_clipping(clip_gradients, _with_gradients(norm, dtype), max_norm)
    alone = [
        nn.Parameter(torch.ones(2)),
        nn.Parameter(torch.ones(3, 1)),
        nn.Parameter(torch.ones(4)),
    ]
    _check_clipping(clip_gradients, alone, 1.0)  # no gradient at all
    # one gradient: whoever clips nothing at all fails here, too
    alone[1].grad = torch.tensor([[3.0], [-4.0], [0.0]])
    _check_clipping(clip_gradients, alone, 2.5)


@check_clip_gradients.part(1, "takes any iterable, works in place, and leaves the values alone")
def _(clip_gradients: Callable, cases: Sequence[MakeNetwork]) -> None:
    frozen = _with_gradients(5.0, seed=6)
    frozen[1].requires_grad_(False)  # its gradient is left over from before
    _check_clipping(clip_gradients, frozen, 0.5)
    for handed in (iter, tuple):
        _check_clipping(clip_gradients, _with_gradients(5.0, seed=4), 0.5, handed, in_place=True)
    model = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 2)).double()
    for make in (lambda: model, *cases):
        network = make()
        for k, parameter in enumerate(network.parameters()):
            parameter.grad = torch.full_like(parameter, 1.0 + k % 3) if k % 4 else None
        parameters = list(network.parameters())
        _check_clipping(clip_gradients, parameters, 1.5, lambda _, n=network: n.parameters())
