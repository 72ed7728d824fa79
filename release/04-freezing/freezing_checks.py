"""The checks of lesson 04. They judge what a function does to networks, never how it is written.

Every network here is small and made on the spot, with unequal widths, so that a transposed or skipped layer
shows. Hidden cases hand in larger ones through ``add_cases``, as functions that build a network; the last part of
each check looks at them, behind its own, so that no hidden failure hides a visible one.
"""

from __future__ import annotations

import numbers
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from course.exercise import Check, Misconception, Wrong
from course.locale import gettext
from torch import Tensor, nn

MakeNetwork = Callable[[], nn.Module]

# --------------------------------------------------------------------------------------------------------
# Networks to look at
# --------------------------------------------------------------------------------------------------------


class Block(nn.Module):
    """Convolution, BatchNorm under a name that does not say so, Dropout."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.scale = nn.BatchNorm2d(outputs)
        self.drop = nn.Dropout(0.4)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.scale(self.conv(x)).relu())


class Scaled(nn.Module):
    """A layer within a module that has a parameter of its own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.3))
        self.inner = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) * self.gain


class Photos(nn.Module):
    """Images (N, 3, H, W) to 5 logits: nested blocks, LayerNorm, and two heads with similar names."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Block(3, 4)
        self.blocks = nn.Sequential(Block(4, 6), nn.Sequential(Block(6, 7), nn.ReLU()))
        self.flat = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.norm = nn.LayerNorm(7)
        self.head_norm = nn.BatchNorm1d(7)
        self.head = nn.Linear(7, 5)
        self.head2 = nn.Linear(7, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.head_norm(self.norm(self.flat(self.blocks(self.stem(x))))))


class Clips(nn.Module):
    """Video (N, 2, T, H, W) to 3 logits; registered in an order that is not alphabetical."""

    def __init__(self) -> None:
        super().__init__()
        self.video = nn.Sequential(nn.Conv3d(2, 4, 2), nn.BatchNorm3d(4), nn.Dropout3d(0.3))
        self.pool = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten())
        self.mixer = nn.ModuleDict({"head": nn.Linear(4, 6), "norm": nn.BatchNorm1d(6)})
        self.mixer_norm = nn.LayerNorm(6)
        self.block10 = Scaled(6)
        self.block1 = nn.Linear(6, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mixer_norm(self.mixer["norm"](self.mixer["head"](self.pool(self.video(x)))))
        return self.head(self.block1(self.block10(x)).relu())


class TiedWords(nn.Module):
    """Token ids to logits over the same 11 tokens: the output layer shares the embedding's weight."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 4)
        self.mix = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
        self.decode = nn.Linear(4, 11)
        self.decode.weight = self.embed.weight

    def forward(self, ids: Tensor) -> Tensor:
        return self.decode(self.mix(self.embed(ids)))


class Twins(nn.Module):
    """One encoder under two names, and a parameter that belongs to no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        self.right = self.left
        self.temperature = nn.Parameter(torch.tensor(0.7))
        self.out = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.cat([self.left(x), self.right(x)], 1)) * self.temperature


def on_meta(make: MakeNetwork) -> MakeNetwork:
    """Builds the network without values, which takes no time and no memory: for what asks for names and flags."""

    def build() -> nn.Module:
        with torch.device("meta"):
            return make()

    return build


# --------------------------------------------------------------------------------------------------------
# What a network looks like from outside
# --------------------------------------------------------------------------------------------------------


def _flags(model: nn.Module) -> dict[str, bool]:
    """Name of every parameter, under each of its names, to its requires_grad."""
    return {name: p.requires_grad for name, p in model.named_parameters(remove_duplicate=False)}


def _mixed_flags(model: nn.Module) -> None:
    """Every third parameter starts frozen, so that doing nothing is never right."""
    for index, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(index % 3 != 1)


def _every_third_layer_frozen(model: nn.Module) -> None:
    owners = [m for m in model.modules() if list(m.parameters(recurse=False))]
    for index, module in enumerate(owners):
        module.requires_grad_(index % 3 != 1)


def _trained(model: nn.Module) -> None:
    """Values, statistics and gradients as training leaves them, so that a reset of any of them shows."""
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            tensor.add_(torch.rand_like(tensor) if tensor.is_floating_point() else 3)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)


def _values(model: nn.Module) -> dict[str, Tensor]:
    """Copies of all parameters and buffers by name, non-persistent buffers too."""
    named = [*model.named_parameters(remove_duplicate=False), *model.named_buffers()]
    return {name: tensor.detach().clone() for name, tensor in named if not tensor.is_meta}


def _settings(model: nn.Module) -> dict[str, object]:
    """The plain settings of every module: kernel sizes, momentum, track_running_stats, p of Dropout."""
    return {
        f"{name}.{key}": value
        for name, module in model.named_modules()
        for key, value in vars(module).items()
        if not key.startswith("_")
        and key != "training"
        and isinstance(value, int | float | str | tuple | None)
    }


def _modes(model: nn.Module) -> dict[str, bool]:
    return {name: module.training for name, module in model.named_modules()}


def _mixed_modes(model: nn.Module) -> None:
    for index, module in enumerate(model.modules()):
        module.training = index % 2 == 1  # the model itself starts in eval mode


def _gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def _objects(model: nn.Module) -> dict[str, nn.Module | nn.Parameter]:
    """Every layer and parameter under each of its names, to tell whether it is still the same one."""
    named = [
        *model.named_modules(remove_duplicate=False),
        *model.named_parameters(remove_duplicate=False),
    ]
    return dict(named)


CHANGED_VALUES = Misconception(
    "values-changed",
    "Numbers inside the network changed; this function only says what may change later.",
    "what your code does to the network besides setting flags and modes",
)
CHANGED_MODES = Misconception(
    "modes-changed",
    "The training modes changed. `requires_grad` and the training mode are two different switches, and this "
    "exercise turns only the first.",
    "calls of `train()` and `eval()`",
)
CHANGED_FLAGS = Misconception(
    "flags-changed",
    "`requires_grad` changed; this function should leave it as it is.",
    "where your code sets `requires_grad`",
)
CHANGED_GRADIENTS = Misconception(
    "gradients-changed",
    "A `.grad` changed or was cleared; this function should leave the model as it is.",
    "calls of `zero_grad()`, and lines that set `.grad`",
)
BUFFER_ASKS_GRADIENT = Misconception(
    "buffer-asks-gradient",
    "A buffer now has `requires_grad`. It is no parameter: `forward` moves it, no optimizer does, and a BatchNorm "
    "layer with such running statistics refuses to run.",
    "which tensors your code sets `requires_grad` on",
)
CHANGED_SETTINGS = Misconception(
    "settings-changed",
    "A setting of a layer changed. Whoever unfreezes the layer later gets a layer that is not what it was.",
    "attributes that your code sets on layers, such as `momentum` or `track_running_stats`",
)
CHANGED_LAYERS = Misconception(
    "layers-changed",
    "Layers or parameters were replaced or renamed. An optimizer that holds the old ones would train nothing.",
    "assignments that put a new object where a parameter or a layer was",
)


class _Before:
    """How a network was, to say what else an exercise changed."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.values = _values(model)
        self.settings = _settings(model)
        self.modes = _modes(model)
        self.flags = _flags(model)
        self.gradients = _gradients(model)
        self.objects = _objects(model)

    def same_layers(self) -> None:
        now = _objects(self.model)
        for name in sorted(self.objects.keys() | now.keys()):
            if name not in now or name not in self.objects:
                raise Wrong(
                    CHANGED_LAYERS,
                    seen=gettext("{name} is new").format(name=name)
                    if name in now
                    else gettext("{name} is gone").format(name=name),
                )
            if now[name] is not self.objects[name]:
                raise Wrong(
                    CHANGED_LAYERS,
                    seen=gettext("{name} is another object than before").format(name=name),
                )

    def same_values(self) -> None:
        self.same_layers()
        now = _values(self.model)
        for name, value in self.values.items():
            # Bit for bit: nothing was to be computed, so no tolerance is owed.
            if (
                name not in now
                or now[name].dtype != value.dtype
                or not torch.equal(now[name], value)
            ):
                raise Wrong(
                    CHANGED_VALUES, seen=gettext("{name} is not what it was").format(name=name)
                )
        if now.keys() != self.values.keys():
            raise Wrong(CHANGED_LAYERS, seen="other parameters or buffers than before")
        for name, buffer in self.model.named_buffers():
            if buffer.requires_grad:
                raise Wrong(
                    BUFFER_ASKS_GRADIENT,
                    seen=gettext("{name}.requires_grad is True").format(name=name),
                    expected="False",
                )
        settings = _settings(self.model)
        for (
            key,
            value,
        ) in self.settings.items():  # what else was noted on a layer harms nobody
            if key not in settings or settings[key] != value:
                seen = gettext("{key} is {value}").format(
                    key=key, value=settings.get(key, gettext("gone"))
                )
                raise Wrong(CHANGED_SETTINGS, seen=seen, expected=value)

    def same_modes(self) -> None:
        now = _modes(self.model)
        for name, training in self.modes.items():
            if now.get(name) != training:
                seen = gettext("{name} is in {mode} mode").format(
                    name=name or gettext("the model itself"), mode=_mode(now.get(name))
                )
                raise Wrong(
                    CHANGED_MODES,
                    seen=seen,
                    expected=gettext("{mode} mode, as before").format(mode=_mode(training)),
                )

    def same_flags(self) -> None:
        for name, flag in _flags(self.model).items():
            if flag != self.flags.get(name, flag):
                raise Wrong(
                    CHANGED_FLAGS,
                    seen=gettext("{name}.requires_grad became {flag}").format(name=name, flag=flag),
                )

    def same_gradients(self) -> None:
        now = _gradients(self.model)
        for name, gradient in self.gradients.items():
            if name not in now or not torch.equal(now[name], gradient):
                raise Wrong(
                    CHANGED_GRADIENTS,
                    seen=gettext("{name}.grad is not what it was").format(name=name),
                )


def _mode(training: bool | None) -> str:
    return "training" if training else "eval"


def _below(name: str, listed: str) -> bool:
    """Whether ``name`` is ``listed`` or lies below it in the tree of modules."""
    return name == listed or name.startswith(listed + ".")


# --------------------------------------------------------------------------------------------------------
# freeze
# --------------------------------------------------------------------------------------------------------

STILL_TRAINABLE = Misconception(
    "still-trainable",
    "A parameter that nobody listed is still trainable.",
    "whether your loop reaches parameters at every depth, and of every kind of layer",
)
LISTED_FROZEN = Misconception(
    "listed-frozen",
    "A parameter inside a listed module is frozen.",
    "what happens to a parameter that was frozen before the call, and to names with dots in them",
)
LOOK_ALIKE = Misconception(
    "look-alike",
    "A parameter was kept trainable because its name looks like a listed one. `head` covers `head.weight`, "
    "but neither `head2.weight` nor `head_norm.weight` nor `mixer.head.weight`.",
    "how you compare a parameter's name with the listed ones",
)
SHARED_FROZEN = Misconception(
    "shared-frozen",
    "A parameter that two modules share was frozen although one of its modules is listed.",
    "what `named_parameters()` does with a parameter it has already seen under another name, and in which "
    "order your code sets flags",
)

check_freeze = Check(
    "freeze",
    hints=(
        "A name in `except_for` may be a layer's or a parameter's. What do the dotted names of all the "
        "parameters inside one layer have in common?",
        "Two passes are safer than one: after the first nothing is trainable, and the second only opens what "
        "is listed. A parameter with two names is then opened by either.",
        "`model.get_submodule(name)` finds a layer at any depth and `model.get_parameter(name)` a parameter; "
        "each raises `AttributeError` for the other kind. Both work on shared ones.",
    ),
)


def _check_frozen_except(freeze: Callable, model: nn.Module, listed: Sequence[str]) -> None:
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    same = {name: group for group in names.values() for name in group}
    freeze(model, type(listed)(listed))  # a list of its own, which it may use up
    for name, flag in _flags(model).items():
        group = same.get(name, [name])
        expected = any(_below(one, covering) for one in group for covering in listed)
        if flag == expected:
            continue
        seen = gettext(
            "{name}.requires_grad is {flag} after freeze(model, {listed!r}) on {network}"
        ).format(name=name, flag=flag, listed=listed, network=type(model).__name__)
        if flag:
            looks_listed = any(re.search(one, name) for one in listed)  # a dot matches anything
            raise Wrong(
                LOOK_ALIKE if looks_listed else STILL_TRAINABLE, seen=seen, expected="False"
            )
        parameters = dict(model.named_parameters(remove_duplicate=False))
        if any(parameters.get(one) is not parameters[name] for one in group):
            raise Wrong(
                CHANGED_LAYERS,
                seen=gettext("{names} were one parameter and are now two").format(
                    names=gettext(" and ").join(group)
                ),
            )
        raise Wrong(SHARED_FROZEN if len(group) > 1 else LISTED_FROZEN, seen=seen, expected="True")


@check_freeze.part(2, "freezes every parameter when nothing is listed")
def _(freeze: Callable, cases: Sequence[MakeNetwork]) -> None:
    for make in (Photos, Clips, TiedWords, Twins):
        model = make()
        _mixed_flags(model)
        _check_frozen_except(freeze, model, [])


@check_freeze.part(1, "keeps listed modules and parameters trainable, at any depth")
def _(freeze: Callable, cases: Sequence[MakeNetwork]) -> None:
    model = Photos()
    _mixed_flags(model)
    # a second call with another list gives what a first call would
    for listed in (
        ["stem"],
        ["blocks.1.0", "head2.bias"],
        ("blocks", "head2"),
        ["stem.scale.weight"],
    ):
        _check_frozen_except(freeze, model, listed)
    for make, listed in ((Clips, ["block10", "video.1"]), (Twins, ["temperature", "out"])):
        model = make()
        model.requires_grad_(False)
        _check_frozen_except(freeze, model, listed)


@check_freeze.part(1, "tells look-alike names and shared parameters apart")
def _(freeze: Callable, cases: Sequence[MakeNetwork]) -> None:
    for make, listed in (
        (Photos, ["head"]),
        (Photos, ["norm"]),
        (Clips, ["block1", "head"]),
        (Clips, ["mixer.norm"]),
        (Clips, ["head.weight"]),
        (TiedWords, ["decode"]),
        (TiedWords, ["decode.weight"]),
        (TiedWords, ["embed"]),
        (Twins, ["right"]),
        (Twins, ["left.0"]),
    ):
        model = make()
        _mixed_flags(model)
        _check_frozen_except(freeze, model, listed)


@check_freeze.part(1, "changes nothing else: values, buffers, modes and layers stay")
def _(freeze: Callable, cases: Sequence[MakeNetwork]) -> None:
    for make, listed in ((Photos, ["blocks"]), (Clips, []), (TiedWords, ["mix"])):
        model = make()
        _trained(model)
        _mixed_modes(model)
        before = _Before(model)
        _check_frozen_except(freeze, model, listed)
        before.same_values()
        before.same_modes()
    for make in cases:
        model = make()
        _mixed_flags(model)
        for listed in ([], *([child] for child, _ in list(model.named_children())[-2:])):
            _check_frozen_except(freeze, model, listed)


# --------------------------------------------------------------------------------------------------------
# trainable_report
# --------------------------------------------------------------------------------------------------------

NOT_A_REPORT = Misconception(
    "not-a-report",
    "What came back is not a dict with the keys 'trainable', 'frozen' and 'total', each a whole number.",
    "the `return` line, and whether what you sum is a Python int",
)
COUNTED_TENSORS = Misconception(
    "counted-tensors",
    "You counted tensors. A weight of shape (4, 3) is one tensor, but twelve numbers to learn.",
    "what a tensor calls the number of its elements",
)
COUNTED_TWICE = Misconception(
    "counted-twice",
    "A parameter that two layers share was counted twice. It is stored once, and learnt once.",
    "how your loop comes to see the same tensor a second time",
)
COUNTED_BUFFERS = Misconception(
    "counted-buffers",
    "Buffers were counted. Running statistics are saved with the model, but no gradient ever reaches them.",
    "what `state_dict()` holds that `parameters()` does not",
)
WRONG_SPLIT = Misconception(
    "wrong-split",
    "Trainable and frozen parameters were not told apart as `requires_grad` tells them.",
    "which parameter each of the two sums takes in",
)
MISCOUNTED = Misconception(
    "miscounted",
    "The numbers are not those of the model.",
    "whether every parameter is seen, at any depth, and seen once",
)

check_trainable_report = Check(
    "trainable_report",
    hints=(
        "The unit is one number to learn, not one tensor: what is the size of a tensor of shape (4, 3)?",
        "`model.parameters()` gives each parameter once, shared or not, and no buffers.",
        "Sum `p.numel()` over the parameters whose `requires_grad` is true; the frozen ones are the rest.",
    ),
)


def _counts(tensors: Iterator[Tensor] | Sequence[Tensor]) -> dict[str, int]:
    sizes = {True: 0, False: 0}
    for tensor in tensors:
        sizes[tensor.requires_grad] += tensor.numel()
    return {
        "trainable": sizes[True],
        "frozen": sizes[False],
        "total": sizes[True] + sizes[False],
    }


def _check_counts(trainable_report: Callable, model: nn.Module) -> None:
    expected = _counts(model.parameters())
    report = trainable_report(model)
    if not isinstance(report, Mapping) or not expected.keys() <= report.keys():
        raise Wrong(NOT_A_REPORT, seen=_short(report), expected=expected)
    if not all(
        isinstance(report[k], numbers.Integral) and not isinstance(report[k], bool)
        for k in expected
    ):
        raise Wrong(NOT_A_REPORT, seen=_short({k: report[k] for k in expected}), expected=expected)
    seen = {key: int(report[key]) for key in expected}
    if seen == expected:
        return
    repeated = [p for _, p in model.named_parameters(remove_duplicate=False)]
    tensors = {"trainable": sum(p.requires_grad for p in model.parameters())}
    tensors["total"] = sum(1 for _ in model.parameters())
    if seen["trainable"] == tensors["trainable"] and seen["total"] == tensors["total"]:
        idea = COUNTED_TENSORS
    elif seen["total"] == _counts(repeated)["total"]:
        idea = COUNTED_TWICE if len(repeated) > tensors["total"] else WRONG_SPLIT
    elif seen["total"] > expected["total"] and list(model.buffers()):
        idea = COUNTED_BUFFERS
    else:
        idea = WRONG_SPLIT if seen["total"] == expected["total"] else MISCOUNTED
    raise Wrong(
        idea,
        seen=gettext("{seen} for {network}").format(seen=seen, network=type(model).__name__),
        expected=expected,
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + " ..."


@check_trainable_report.part(
    1, "counts the numbers to learn of a plain network, trainable and frozen"
)
def _(trainable_report: Callable, cases: Sequence[MakeNetwork]) -> None:
    for frozen in (0, 1, 4):
        model = nn.Sequential(
            nn.Linear(3, 5), nn.ReLU(), nn.Sequential(nn.LayerNorm(5), nn.Linear(5, 2))
        )
        for parameter in list(model.parameters())[:frozen]:
            parameter.requires_grad_(False)
        _check_counts(trainable_report, model)


@check_trainable_report.part(1, "counts a shared parameter once and buffers not at all")
def _(trainable_report: Callable, cases: Sequence[MakeNetwork]) -> None:
    for make in (Photos, Clips, TiedWords, Twins):
        model = make()
        _mixed_flags(model)
        _check_counts(trainable_report, model)


@check_trainable_report.part(
    1, "counts right when all or nothing is frozen, and leaves the model as it is"
)
def _(trainable_report: Callable, cases: Sequence[MakeNetwork]) -> None:
    model = Photos()
    _trained(model)
    _mixed_modes(model)
    for trainable in (True, False):
        model.requires_grad_(trainable)
        before = _Before(model)
        _check_counts(trainable_report, model)
        before.same_values()
        before.same_modes()
        before.same_flags()
        before.same_gradients()
    for make in cases:
        model = make()
        _mixed_flags(model)
        _check_counts(trainable_report, model)


# --------------------------------------------------------------------------------------------------------
# train_mode_keep_frozen_bn
# --------------------------------------------------------------------------------------------------------

STATISTICS_MOVED = Misconception(
    "bn-statistics-moved",
    "The BatchNorm statistics of frozen layers moved: `model.train()` put them back into training mode.",
    "the order of your calls, BatchNorm layers below the first level, and classes derived from BatchNorm",
)
BATCH_STATISTICS = Misconception(
    "bn-batch-statistics",
    "A frozen BatchNorm layer still normalises with the statistics of the batch. Its running statistics "
    "stand still, but its answer depends on which photos happen to sit beside yours.",
    "which of the two sets of statistics the layer uses in `forward`, and which switch decides it",
)
NOT_TRAINING = Misconception(
    "not-training",
    "Something that should be in training mode is in eval mode: Dropout is then off, or a layer that you "
    "train never updates its statistics.",
    "which layers your condition takes in besides frozen BatchNorm",
)
TRAINABLE_BN_STOPPED = Misconception(
    "trainable-bn-stopped",
    "A BatchNorm layer that is still being trained was put into eval mode. Only those count as frozen whose "
    "own weight and bias are all frozen.",
    "whose `requires_grad` you ask: the layer's own, one of the two, or that of a neighbour",
)
OTHER_FROZEN = Misconception(
    "only-batchnorm",
    "A layer that is not a BatchNorm was put into eval mode because its parameters are frozen.",
    "the types of layers your condition takes in",
)

check_train_mode_keep_frozen_bn = Check(
    "train_mode_keep_frozen_bn",
    hints=(
        "Two things decide the mode of a layer here: is it a BatchNorm, and are its own parameters frozen? "
        "Everything else trains.",
        "`model.train()` sets the mode of every layer at every depth. Whatever you want otherwise has to come "
        "after it.",
        "Go through `model.modules()`; for a BatchNorm (`nn.BatchNorm1d`, `2d`, `3d`) ask all of "
        "`layer.parameters()`, and call `layer.eval()` where none is trainable.",
    ),
)

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class Norms(nn.Module):
    """A little of every normalisation, most of it not BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.bn = nn.BatchNorm2d(6)
        self.instance = nn.InstanceNorm2d(6, affine=True, track_running_stats=True)
        self.group = nn.GroupNorm(2, 6)
        self.mix = nn.Sequential(
            nn.Conv2d(6, 5, 1), nn.Sequential(nn.BatchNorm2d(5), nn.Dropout2d(0.3))
        )
        self.layer = nn.LayerNorm(5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mix(self.group(self.instance(self.bn(self.conv(x)))))
        return self.layer(x.mean((2, 3)))


class Rescale(nn.BatchNorm2d):
    """A library's own layer, derived from BatchNorm under another name, as timm's is."""


def _derived() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 5, 3), Rescale(5), nn.Dropout(0.3), nn.Conv2d(5, 2, 1))


def _frozen_bn(module: nn.Module) -> bool:
    return isinstance(module, _BATCH_NORMS) and not any(
        p.requires_grad for p in module.parameters()
    )


def _set_modes(train_mode: Callable, model: nn.Module) -> None:
    """Calls the learner's function. What is frozen afterwards must be what was frozen before."""
    before = _Before(model)
    train_mode(model)
    before.same_flags()


def _check_modes(model: nn.Module, when: str) -> None:
    for name, module in model.named_modules():
        expected = not _frozen_bn(module)
        if module.training == expected:
            continue
        seen = gettext("{name} ({layer}) is in {mode} mode {when}").format(
            name=name or gettext("the model itself"),
            layer=type(module).__name__,
            mode=_mode(module.training),
            when=when,
        )
        if module.training:
            idea = STATISTICS_MOVED
        elif isinstance(module, _BATCH_NORMS):
            idea = TRAINABLE_BN_STOPPED
        elif any(not m.training for m in model.modules() if not list(m.parameters())):
            idea = NOT_TRAINING  # even layers with nothing to freeze are stopped
        else:
            frozen = list(module.parameters()) and not any(
                p.requires_grad for p in module.parameters()
            )
            idea = OTHER_FROZEN if frozen else NOT_TRAINING
        raise Wrong(idea, seen=seen, expected=gettext("{mode} mode").format(mode=_mode(expected)))


def _check_statistics(model: nn.Module, batches: Sequence[Tensor], when: str) -> None:
    """Feeds batches and looks at the running statistics: those of frozen layers keep still, others move."""
    norms = [(name, m) for name, m in model.named_modules() if isinstance(m, _BATCH_NORMS)]
    before = {name: m.running_mean.clone() for name, m in norms if m.running_mean is not None}
    answers: dict[str, bool] = {}

    def compare(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            shape = (1, -1, *[1] * (output.dim() - 2))
            stored = (inputs[0] - module.running_mean.view(shape)) / (
                module.running_var.view(shape) + module.eps
            ).sqrt()
            stored = stored * module.weight.view(shape) + module.bias.view(shape)
            # two float32 ways of one formula: 1e-4 is far above their rounding, far below the effect
            answers[name] = torch.allclose(output, stored, rtol=1e-4, atol=1e-4)

        return hook

    frozen = [(name, m) for name, m in norms if _frozen_bn(m)]
    handles = [
        m.register_forward_hook(compare(name)) for name, m in frozen if m.running_mean is not None
    ]
    with torch.no_grad():
        for batch in batches:
            model(batch)
    for handle in handles:
        handle.remove()
    for name, module in norms:
        if module.running_mean is None or name not in before:
            raise Wrong(
                CHANGED_SETTINGS,
                seen=gettext("{name} lost its running statistics {when}").format(
                    name=name, when=when
                ),
            )
        moved = not torch.equal(module.running_mean, before[name])
        if _frozen_bn(module) and moved:
            by = float((module.running_mean - before[name]).abs().max())
            seen = gettext(
                "running_mean of {name} ({layer}) moved by up to {by:.2g} {when}"
            ).format(name=name, layer=type(module).__name__, by=by, when=when)
            raise Wrong(
                STATISTICS_MOVED,
                seen=seen,
                expected="the frozen layer's statistics stand still",
            )
        if _frozen_bn(module) and not answers.get(name, False):
            raise Wrong(
                BATCH_STATISTICS,
                seen=gettext("{name} does not use its running statistics {when}").format(
                    name=name, when=when
                ),
            )
        if not _frozen_bn(module) and not moved:
            seen = gettext("{name}.running_mean did not move {when}").format(name=name, when=when)
            idea = CHANGED_SETTINGS if module.training else TRAINABLE_BN_STOPPED
            raise Wrong(idea, seen=seen, expected="a trainable layer keeps learning them")


def _batches(shape: tuple[int, ...], generator: torch.Generator) -> list[Tensor]:
    """Odd-sized batches far from the statistics a fresh BatchNorm starts with."""
    return [torch.randn(n, *shape, generator=generator) * 2 + 3 for n in (5, 3)]


def _check_frozen_backbone(train_mode: Callable, model: nn.Module, shape: tuple[int, ...]) -> None:
    """All but the last parameter is frozen; batches of inputs of this shape go through."""
    model.requires_grad_(False)
    list(model.parameters())[-1].requires_grad_(True)
    model.eval()
    _set_modes(train_mode, model)
    when = gettext("after the call, with {network} frozen").format(network=type(model).__name__)
    _check_statistics(model, _batches(shape, torch.Generator().manual_seed(4)), when)
    _check_modes(model, when)


@check_train_mode_keep_frozen_bn.part(
    2, "keeps the statistics of frozen BatchNorm layers, with all else in training mode"
)
def _(train_mode: Callable, cases: Sequence[MakeNetwork]) -> None:
    for make, shape in ((Photos, (3, 6, 5)), (Clips, (2, 3, 4, 5)), (_derived, (3, 5, 4))):
        _check_frozen_backbone(train_mode, make(), shape)


@check_train_mode_keep_frozen_bn.part(
    2, "lets trainable BatchNorm layers, Dropout and every other layer train"
)
def _(train_mode: Callable, cases: Sequence[MakeNetwork]) -> None:
    generator = torch.Generator().manual_seed(5)
    model = Photos()  # neighbours on either side of frozen and trainable BatchNorm
    model.requires_grad_(True)
    for frozen in (model.stem.scale, model.blocks[0].conv, model.blocks[1], model.norm):
        frozen.requires_grad_(False)
    _set_modes(train_mode, model)
    _check_statistics(model, _batches((3, 5, 4), generator), gettext("with some layers frozen"))
    _check_modes(model, gettext("with some layers frozen"))
    for name in ("weight", "bias"):  # one of the two is still being learnt
        model = Photos()
        model.requires_grad_(False)
        getattr(model.head_norm, name).requires_grad_(True)
        model.eval()
        _set_modes(train_mode, model)
        _check_modes(model, gettext("with only head_norm.{name} trainable").format(name=name))
    model = Norms()
    model.requires_grad_(False)
    _set_modes(train_mode, model)
    _check_modes(model, gettext("with everything frozen"))
    model = Photos()
    _set_modes(train_mode, model)
    _check_modes(model, gettext("with nothing frozen"))


@check_train_mode_keep_frozen_bn.part(
    1, "works from any mode and again after unfreezing, and changes nothing else"
)
def _(train_mode: Callable, cases: Sequence[MakeNetwork]) -> None:
    for make in (Photos, Clips, Norms):
        model = make()
        _trained(model)
        _every_third_layer_frozen(model)
        for set_modes in (_mixed_modes, nn.Module.eval, nn.Module.train):
            set_modes(model)
            before = _Before(model)
            train_mode(model)
            _check_modes(
                model, gettext("when called again on {network}").format(network=make.__name__)
            )
            before.same_values()
            before.same_flags()
        model.requires_grad_(False)
        _set_modes(train_mode, model)
        _check_modes(
            model, gettext("after freezing all of {network}").format(network=make.__name__)
        )
        model.requires_grad_(True)
        _set_modes(train_mode, model)
        _check_modes(
            model, gettext("after unfreezing all of {network}").format(network=make.__name__)
        )
    for make in cases:
        _check_frozen_backbone(train_mode, make(), (3, 32, 32))


# --------------------------------------------------------------------------------------------------------
# unfreeze_to
# --------------------------------------------------------------------------------------------------------

EARLIER_TRAINABLE = Misconception(
    "earlier-trainable",
    "A layer before the stage is trainable. Its neighbours behind it are being fitted to features that move.",
    "on which side of your switch each layer falls, and what becomes of one that was trainable before the call",
)
LATER_FROZEN = Misconception(
    "later-frozen",
    "A layer at or behind the stage is frozen: the stage itself and every later one are to be trained.",
    "on which side of your switch the stage itself falls, and whether later layers are reached",
)
WRONG_ORDER = Misconception(
    "wrong-order",
    "The layers were taken in another order than the one in which they were registered.",
    "whether your code sorts the names, or compares them as text",
)
ANOTHER_LAYER = Misconception(
    "another-layer",
    "A layer deeper down, or one whose name only begins with the same letters, was taken for the stage.",
    "how you compare names: the stage is a direct child, by its whole name",
)

check_unfreeze_to = Check(
    "unfreeze_to",
    hints=(
        "Think of walking through the layers from input to output with a switch in your hand that is off.",
        "`model.named_children()` gives the direct children with their names, in the order of registration.",
        "For each child: if its name is the stage, turn the switch on. Then `child.requires_grad_(switch)`.",
    ),
)


def _check_unfrozen(unfreeze_to: Callable, model: nn.Module, stage: str) -> None:
    children = [name for name, _ in model.named_children()]
    trainable = set(children[children.index(stage) :])
    unfreeze_to(model, stage)
    flags = _flags(model)
    wrong = {
        name: flag for name, flag in flags.items() if flag != (name.split(".")[0] in trainable)
    }
    if not wrong:
        return
    name, flag = next(iter(wrong.items()))
    child = name.split(".")[0]
    seen = gettext(
        "{name}.requires_grad is {flag} after unfreeze_to(model, {stage!r}) on {network}"
    ).format(name=name, flag=flag, stage=stage, network=type(model).__name__)
    layers = {name.split(".")[0] for name in flags}
    opened = {name.split(".")[0] for name, flag in flags.items() if flag}
    if opened == {layer for layer in layers if layer >= stage} and 1 < len(opened) < len(layers):
        idea = WRONG_ORDER
    elif flag and (stage in name or stage.startswith(child)):
        idea = ANOTHER_LAYER
    else:
        idea = EARLIER_TRAINABLE if flag else LATER_FROZEN
    raise Wrong(
        idea,
        seen=seen,
        expected=gettext("layers from {stage} on trainable, those before it frozen").format(
            stage=stage
        ),
    )


@check_unfreeze_to.part(1, "opens the stage and all later children, and closes all earlier ones")
def _(unfreeze_to: Callable, cases: Sequence[MakeNetwork]) -> None:
    model = Photos()
    _mixed_flags(model)
    stages = [name for name, _ in model.named_children()]
    for stage in (
        stages[len(stages) // 2],
        stages[len(stages) // 4],
        stages[-1],
        stages[0],
    ):
        _check_unfrozen(unfreeze_to, model, stage)


@check_unfreeze_to.part(1, "finds the stage by its whole name, and takes the layers in their order")
def _(unfreeze_to: Callable, cases: Sequence[MakeNetwork]) -> None:
    # first the stages whose wrong answers say most: names that are alike, and not in alphabetical order
    for stage in ("block10", "head", "block1", "mixer", "mixer_norm", "video", "pool"):
        model = Clips()
        _mixed_flags(model)
        _check_unfrozen(unfreeze_to, model, stage)


@check_unfreeze_to.part(
    1, "gives the same when called again with another stage, and changes nothing else"
)
def _(unfreeze_to: Callable, cases: Sequence[MakeNetwork]) -> None:
    for make in (Photos, Clips):
        model = make()
        stages = [name for name, _ in model.named_children()]
        _trained(model)
        _mixed_modes(model)
        before = _Before(model)
        for stage in [*reversed(stages), *stages]:
            _check_unfrozen(unfreeze_to, model, stage)
            before.same_values()
            before.same_modes()
    for make in cases:
        model = make()
        _mixed_flags(model)
        stages = [name for name, _ in model.named_children()]
        for stage in (stages[len(stages) // 2], stages[-1], stages[0]):
            _check_unfrozen(unfreeze_to, model, stage)


# --------------------------------------------------------------------------------------------------------
# build_optimizer
# --------------------------------------------------------------------------------------------------------

FROZEN_MOVED = Misconception(
    "frozen-moved",
    "A frozen weight moved. Weight decay and momentum move every parameter the optimizer holds whose `.grad` "
    "is not `None`, even where that gradient is zero.",
    "which parameters the optimizer is given",
)
NOT_TRAINED = Misconception(
    "not-trained",
    "A trainable parameter did not move when the optimizer took a step.",
    "which parameters the optimizer is given, at every depth",
)
HOLDS_FROZEN = Misconception(
    "holds-frozen",
    "The optimizer holds a frozen parameter. It stood still in these steps, but only what an optimizer does not hold "
    "is safe from it.",
    "which parameters the optimizer is given",
)
HELD_TWICE = Misconception(
    "held-twice",
    "The optimizer holds a parameter twice, and takes two steps with it where it should take one.",
    "how a parameter that two modules share comes into your list",
)
WRONG_STEP = Misconception(
    "wrong-step",
    "The steps are not those of SGD with this lr, weight decay and momentum, the same for all parameters.",
    "the arguments of the optimizer: each by its name, nothing else switched on",
)
NOT_SGD = Misconception(
    "not-sgd", "What came back is not a `torch.optim.SGD`.", "the `return` line"
)

check_build_optimizer = Check(
    "build_optimizer",
    hints=(
        "An optimizer moves what it is given, whatever `requires_grad` says. So what should it be given?",
        "Filter `model.parameters()` by `requires_grad` before the optimizer sees them.",
        "`torch.optim.SGD` takes a list of parameters and `lr=`, `momentum=`, `weight_decay=`; its other "
        "switches stay as they are.",
    ),
)

_SETTINGS = ((0.1, 0.0, 0.0), (0.03, 0.2, 0.0), (0.07, 0.0, 0.8), (0.02, 0.1, 0.9))


def _check_steps(
    build_optimizer: Callable,
    model: nn.Module,
    settings: tuple[float, float, float],
    grad_of_frozen: float,
) -> None:
    """Two steps with known gradients against the formula of SGD, worked out here in float64.

    v <- momentum * v + (grad + weight_decay * p);  p <- p - lr * v   (torch.optim.SGD's documentation)
    """
    lr, weight_decay, momentum = settings
    generator = torch.Generator().manual_seed(7)
    named = dict(model.named_parameters())
    trainable = {name: p.requires_grad for name, p in named.items()}
    optimizer = build_optimizer(model, lr=lr, weight_decay=weight_decay, momentum=momentum)
    if not isinstance(optimizer, torch.optim.SGD):
        raise Wrong(NOT_SGD, seen=type(optimizer).__name__)
    held = Counter(id(p) for group in optimizer.param_groups for p in group["params"])
    expected = {name: p.detach().double().clone() for name, p in named.items()}
    velocity = {name: torch.zeros_like(value) for name, value in expected.items()}
    start = {name: p.detach().clone() for name, p in named.items()}
    for step in range(2):
        for name, parameter in named.items():
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            parameter.grad = noise if trainable[name] else noise * grad_of_frozen
            slope = noise.double() + weight_decay * expected[name]
            velocity[name] = momentum * velocity[name] + slope
            expected[name] = expected[name] - lr * velocity[name]
        optimizer.step()
        for name, parameter in named.items():
            now, call = (
                parameter.detach(),
                gettext("{name} at step {step} with {settings}").format(
                    name=name, step=step + 1, settings=_named(settings)
                ),
            )
            if not trainable[name]:
                if not torch.equal(now, start[name]):
                    raise Wrong(
                        FROZEN_MOVED,
                        seen=gettext("{call}: it moved").format(call=call),
                        expected="bit for bit as before",
                    )
            # far above the rounding of two steps, in float32 too, and far below what a wrong switch does
            elif not torch.allclose(now.double(), expected[name], rtol=1e-5, atol=1e-5):
                if torch.equal(now, start[name]):
                    raise Wrong(
                        NOT_TRAINED, seen=gettext("{call}: it did not move").format(call=call)
                    )
                idea = HELD_TWICE if held[id(parameter)] > 1 else WRONG_STEP
                raise Wrong(idea, seen=f"{call}: {_first_difference(now, expected[name])}")
    for name, parameter in named.items():
        if held[id(parameter)] and not trainable[name]:
            raise Wrong(
                HOLDS_FROZEN,
                seen=gettext("{name} is in its param_groups").format(name=name),
                expected="trainable parameters alone",
            )


def _named(settings: tuple[float, float, float]) -> str:
    return "lr={}, weight_decay={}, momentum={}".format(*settings)


def _first_difference(now: Tensor, expected: Tensor) -> str:
    worst = int((now.double() - expected).abs().argmax())
    return gettext("{now:.6g} instead of {expected:.6g}").format(
        now=now.reshape(-1)[worst], expected=expected.reshape(-1)[worst]
    )


@check_build_optimizer.part(
    2, "takes SGD's steps on the trainable parameters, with these lr, decay and momentum"
)
def _(build_optimizer: Callable, cases: Sequence[MakeNetwork]) -> None:
    for settings in _SETTINGS:
        model = Clips().double()
        _check_steps(build_optimizer, model, settings, grad_of_frozen=1.0)


@check_build_optimizer.part(1, "never moves a frozen parameter, whatever its .grad holds")
def _(build_optimizer: Callable, cases: Sequence[MakeNetwork]) -> None:
    for make, grad_of_frozen in ((Photos, 0.0), (Clips, 1.0)):
        model = make()
        _mixed_flags(model)
        _check_steps(build_optimizer, model, _SETTINGS[-1], grad_of_frozen)


@check_build_optimizer.part(1, "holds each parameter once and leaves the model as it is")
def _(build_optimizer: Callable, cases: Sequence[MakeNetwork]) -> None:
    for make in (TiedWords, Twins, Photos):
        model = make()
        _mixed_flags(model)
        _trained(model)
        _mixed_modes(model)
        before = _Before(model)
        build_optimizer(model, lr=0.1, weight_decay=0.1, momentum=0.9)
        before.same_values()
        before.same_flags()
        before.same_modes()
        before.same_gradients()
        _every_third_layer_frozen(model)  # what was trainable before is of no account
        _check_steps(build_optimizer, model, _SETTINGS[-1], grad_of_frozen=0.0)
    for make in cases:
        model = make()
        _mixed_flags(model)
        _check_steps(build_optimizer, model, _SETTINGS[-1], grad_of_frozen=1.0)
