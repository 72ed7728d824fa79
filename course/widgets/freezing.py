"""Stages to freeze: what is left to train, what a step holds in memory, and what a step moves."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from course import plots
from course.device import StepMemory, autocast, step_memory
from course.locale import gettext as _
from course.training import device_of
from course.widgets import with_widget

Mode = Callable[[nn.Module], object]
Labelled = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Step:
    """What one training step did to a chain of stages; a mapping has an entry for each stage.

    parameters: how many numbers a stage has; trained: whether they are trainable. memory: what the step held.
    weights, statistics: whether any parameter, or any buffer, is another one afterwards; None where there is none.
    """

    parameters: Mapping[str, int]
    trained: Mapping[str, bool]
    memory: StepMemory
    weights: Mapping[str, bool | None]
    statistics: Mapping[str, bool | None]


def take_step(model: nn.Sequential, photos: Labelled, frozen: Collection[str], set_mode: Mode) -> Step:
    """One step of SGD with momentum on a copy of the model, some of its stages frozen; nothing is foretold.

    photos: a batch (N, ...) and its labels (N,). frozen: names of children whose parameters get no gradient.
    set_mode: what a training loop calls in place of `model.train()`.
    """
    trial = copy.deepcopy(model)
    device = device_of(model)
    images, labels = (part.to(device) for part in photos)
    for name, stage in trial.named_children():
        stage.requires_grad_(name not in frozen)
    set_mode(trial)
    optimizer = torch.optim.SGD(trial.parameters(), lr=0.01, momentum=0.9)

    def loss() -> Tensor:
        with autocast(device):
            return F.cross_entropy(trial(images), labels)

    memory = step_memory(loss, trial, optimizer)
    value = loss()
    if value.requires_grad:
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    pairs = [(name, before, getattr(trial, name)) for name, before in model.named_children()]
    return Step(
        parameters={name: sum(p.numel() for p in stage.parameters()) for name, stage, _after in pairs},
        trained={name: name not in frozen for name, *_stages in pairs},
        memory=memory,
        weights={name: _moved(before.parameters(), after.parameters()) for name, before, after in pairs},
        statistics={name: _moved(before.buffers(), after.buffers()) for name, before, after in pairs},
    )


def _moved(before: Any, after: Any) -> bool | None:
    same = [torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    return not all(same) if same else None


def freezing(
    model: nn.Sequential, photos: Labelled, modes: Mapping[str, Mode], *, shown: Sequence[tuple[Collection[str], str]]
) -> Figure | None:
    """What a training step costs and moves with some stages frozen, and below that with a box to tick for each stage.

    model: a chain of named stages, input to output; it stays as it is. photos: a batch and its labels. modes: calls
    that put the model into the mode to train in, by the names that are shown. shown: (frozen stages, mode) of each row
    of the fixed figure. Returns that figure; nothing while a notebook is graded. The boxes show in a running notebook
    alone.
    """

    @cache
    def step(frozen: frozenset[str], mode: str) -> Step:
        return take_step(model, photos, frozen, modes[mode])

    def draw(settings: Sequence[tuple[Collection[str], str]]) -> Figure:
        whole = step(frozenset(), next(iter(modes)))
        return _draw([(mode, step(frozenset(frozen), mode)) for frozen, mode in settings], whole.memory)

    stages = [name for name, _stage in model.named_children()]
    return with_widget(lambda: draw(shown), lambda: boxes(lambda *setting: draw([setting]), stages, list(modes)))


def boxes(draw: Callable[[Collection[str], str], Figure], stages: Sequence[str], modes: Sequence[str]) -> Any:
    """The widget alone: a box for each stage, ticked where it is frozen, a choice of the mode, and what follows.

    draw(frozen stages, mode) is called anew whenever one of them changes. All stages but the last are frozen at first.
    """
    import ipywidgets

    ticks = {
        name: ipywidgets.Checkbox(
            value=name != stages[-1], description=name, indent=False, layout={"width": "auto", "margin": "0 1em 0 0"}
        )
        for name in stages
    }
    mode = ipywidgets.Dropdown(
        options=modes,
        description=_("mode"),
        style={"description_width": "initial"},
        layout={"width": "min(24em, 100%)"},
    )

    def show(mode: str, **frozen: bool) -> None:
        draw([name for name in stages if frozen[name]], mode)
        plt.show()

    wrap = {"flex_flow": "row wrap", "align_items": "center"}
    return ipywidgets.VBox(
        [
            ipywidgets.HBox(
                [ipywidgets.Label(_("Freeze:"), layout={"margin": "0 1em 0 0"}), *ticks.values()], layout=wrap
            ),
            mode,
            ipywidgets.interactive_output(show, {**ticks, "mode": mode}),
        ]
    )


def _draw(steps: Sequence[tuple[str, Step]], whole: StepMemory) -> Figure:
    """A row of three panels for each (mode, step). whole: what a step holds that trains everything."""
    figure, axes = plots.panels(3, rows=len(steps), height=3.3 * len(steps), width_ratios=(1.25, 0.75, 1.0))
    for row, (mode, step) in enumerate(steps):
        parameters, moves, memory = axes[3 * row : 3 * row + 3]
        _parameters(parameters, step)
        _moves(moves, step)
        moves.set_title(_("a step moves,\nafter {mode}").format(mode=mode))
        _memory(memory, step.memory, whole)
        if row + 1 < len(steps):
            for axis in (parameters, memory):
                axis.set_xlabel("")
    return figure


def _parameters(axis: Axes, step: Step) -> None:
    stages = list(step.parameters)
    counts = np.array(list(step.parameters.values())) / 1e6
    looks: dict[bool, dict[str, Any]] = {
        True: {"color": plots.BEFORE},
        False: {"color": "#dddddd", "hatch": "///", "edgecolor": "white"},
    }
    for place, (name, count) in enumerate(zip(stages, counts, strict=True)):
        axis.barh(place, count, height=0.72, **looks[step.trained[name]])
    trainable = sum(step.parameters[name] for name in stages if step.trained[name])
    title = _("{trainable:.2f} of {total:.2f} million\nparameters are trainable")
    axis.set_title(title.format(trainable=trainable / 1e6, total=counts.sum()))
    axis.set(xlabel=_("parameters (millions)"), ylim=(len(stages) - 0.4, -0.6))
    axis.set_yticks(range(len(stages)), stages)
    axis.tick_params(axis="y", length=0)


def _moves(axis: Axes, step: Step) -> None:
    """A filled dot for what moves, an empty one for what stays, a dash where there is nothing that could."""
    looks: dict[bool | None, dict[str, Any]] = {
        True: {"marker": "o", "markersize": 9, "color": plots.AFTER},
        False: {"marker": "o", "markersize": 9, "markerfacecolor": "none", "color": "#999999"},
        None: {"marker": "_", "markersize": 9, "color": "#999999"},
    }
    for column, moved in enumerate((step.weights, step.statistics)):
        for place, state in enumerate(moved.values()):
            axis.plot(column, place, **looks[state])
    axis.set_xticks((0, 1), (_("parameters"), _("statistics")))
    axis.set(xlim=(-0.5, 1.5), ylim=(len(step.weights) - 0.4, -0.6), yticks=[])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def _memory(axis: Axes, memory: StepMemory, whole: StepMemory) -> None:
    def parts(of: StepMemory) -> list[float]:
        return [part / plots.MEGABYTE for part in (of.saved, of.gradients, of.optimizer)]

    bars = axis.barh(range(3), parts(memory), height=0.6, color=plots.AFTER, hatch="///", edgecolor="white")
    axis.bar_label(bars, fmt="%.1f", padding=4)
    title = _("a step holds {held:.3g} MB,\n{whole:.3g} MB with nothing frozen")
    axis.set_title(title.format(held=memory.total / plots.MEGABYTE, whole=whole.total / plots.MEGABYTE))
    axis.set_yticks(range(3), (_("kept for the\nway back"), _("gradients"), _("velocities")))
    axis.set(xlabel=_("memory (MB)"), xlim=(0, 1.25 * max(parts(whole))), ylim=(2.6, -0.6))
    axis.tick_params(axis="y", length=0)
