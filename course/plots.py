"""The figures that the lessons draw.

One colour, marker and hatch for one method in all lessons (`STYLES`), told apart in grey as well. Every function
draws on a new figure and returns it; a notebook shows it when the cell ends (`plt.show()` is not needed).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from course.training import mean_and_spread


@dataclass(frozen=True)
class Style:
    """How a method looks: colour (Okabe and Ito 2008, safe for colour-blind readers), marker, hatch of its bars."""

    colour: str
    marker: str
    hatch: str


STYLES: dict[str, Style] = {
    "probe": Style("#56B4E9", "o", ""),
    "partial": Style("#E69F00", "s", "///"),
    "full": Style("#0072B2", "^", "..."),
    "scratch": Style("#999999", "D", "xxx"),
}
# Two states of one thing, and a law beside its measurement.
BEFORE, AFTER, LAW = "#0072B2", "#D55E00", "#444444"

LOOK: dict[Any, Any] = {
    "figure.dpi": 110,
    "savefig.dpi": 160,
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "hatch.linewidth": 0.8,
    "legend.frameon": False,
}
MEGABYTE = 1e6


def panels(columns: int, *, width: float = 9.0, height: float = 3.4, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of `rows` x `columns` axes in the course's look; width and height in inches."""
    plt.rcParams.update(LOOK)
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), layout="constrained", squeeze=False)
    return figure, list(axes.flat)


def photos(images: Tensor, titles: Sequence[str], *, columns: int = 8) -> Figure:
    """Gray photos (N, 1, H, W) or (N, H, W), each under its title."""
    count = len(images)
    columns = min(columns, count)
    rows = -(-count // columns)
    figure, axes = panels(columns, width=1.25 * columns, height=1.5 * rows, rows=rows)
    for axis in axes:
        axis.axis("off")
    for axis, image, title in zip(axes, images, titles, strict=False):
        axis.imshow(image.squeeze().numpy(), cmap="gray", vmin=0, vmax=255)
        axis.set_title(title, fontsize=9, loc="center")
    return figure


def drift(
    photo: Tensor,
    batches: Sequence[int],
    probabilities: Mapping[str, Sequence[float]],
    running: Sequence[float],
    by_hand: Sequence[float],
) -> Figure:
    """How a frozen network's answer moves while batches pass through it in training mode.

    photo: (1, H, W). batches: after how many batches the answer was asked for. probabilities: for a few class names
    the softmax probability at each of these. running, by_hand: the running mean of one channel after 0, 1, 2, ...
    batches, as the layer holds it and as the formula gives it.
    """
    figure, (left, middle, right) = panels(3, height=3.0)
    left.imshow(photo.squeeze().numpy(), cmap="gray", vmin=0, vmax=255)
    left.axis("off")
    left.set_title("the photo")
    looks = zip(((BEFORE, "o"), (AFTER, "s"), ("#999999", "^")), probabilities.items(), strict=False)
    for (colour, marker), (name, values) in looks:
        middle.plot(batches, values, color=colour, marker=marker, markersize=5, label=name)
    middle.set(xlabel="batches seen in training mode", ylabel="probability", ylim=(-0.03, 1.03))
    middle.set_title("what the network calls it")
    middle.legend(fontsize=9)
    steps = np.arange(len(running))
    right.axhline(running[0], color=LAW, linestyle=":", linewidth=1)
    right.annotate("from ImageNet", (steps[-1], running[0]), ha="right", va="bottom", fontsize=9, color=LAW)
    right.plot(steps, by_hand, color=LAW, linewidth=1.2, label="formula")
    every = max(1, len(running) // 25)
    right.plot(steps[::every], running[::every], linestyle="", marker="o", markersize=4, color=AFTER, label="layer")
    right.set(xlabel="batches seen in training mode", ylabel="running mean (one channel)")
    right.set_title("what moved inside")
    right.legend(fontsize=9)
    return figure


def measured_and_law(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, xlabel: str, ylabel: str
) -> Figure:
    """For each name (measured, law): markers for what was measured at 0, 1, 2, ..., a line for what the law says."""
    figure, (axis,) = panels(1, width=6.4, height=3.2)
    looks = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#999999", "D"))
    for (colour, marker), (name, (measured, law)) in zip(looks, curves.items(), strict=False):
        every = max(1, len(measured) // 12)
        steps = np.arange(len(measured))
        axis.plot(steps, law, color=colour, linewidth=1.2)
        axis.plot(steps[::every], measured[::every], linestyle="", marker=marker, color=colour, label=name)
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def stage_costs(stages: Sequence[str], parameters: Sequence[int], memory: Sequence[int]) -> Figure:
    """Two bars a stage, input at the top: parameters that are trainable from there on, and bytes a step then holds."""
    figure, (left, right) = panels(2, height=3.6)
    places = np.arange(len(stages))
    left.barh(places, np.asarray(parameters) / 1e6, color=BEFORE)
    left.set(yticks=places, yticklabels=stages, xlabel="trainable parameters (millions)")
    left.set_ylabel("unfrozen from")
    right.barh(places, np.asarray(memory) / MEGABYTE, color=AFTER, hatch="///", edgecolor="white")
    right.set(yticks=places, yticklabels=[], xlabel="memory of a step (MB)")
    for axis in (left, right):
        axis.invert_yaxis()
        axis.tick_params(axis="y", length=0)
    return figure


def compare_methods(
    accuracy: Mapping[str, Sequence[float]],
    seconds: Mapping[str, Sequence[float]],
    memory: Mapping[str, Sequence[int]],
    *,
    chance: float | None = None,
) -> Figure:
    """Accuracy, time and memory of each method side by side; a list has one value a seed.

    Bars are means, whiskers one sample standard deviation over the seeds to either side. Accuracy in fractions,
    time in seconds, memory in bytes. chance: accuracy of guessing, drawn as a dotted line.
    """
    figure, axes = panels(3, height=2.9)
    names = list(accuracy)
    places = np.arange(len(names))
    kinds = (
        (accuracy, 100.0, "accuracy (%)"),
        (seconds, 1.0, "training time (s)"),
        (memory, 1 / MEGABYTE, "memory of a step (MB)"),
    )
    for axis, (values, unit, xlabel) in zip(axes, kinds, strict=True):
        widest = 0.0
        for place, name in zip(places, names, strict=True):
            style = STYLES[name]
            mean, spread = (unit * number for number in mean_and_spread(values[name]))
            axis.barh(place, mean, color=style.colour, hatch=style.hatch, edgecolor="white", height=0.72)
            if spread:
                axis.errorbar(mean, place, xerr=spread, color="black", capsize=4, linewidth=1.4)
            axis.annotate(
                f"{mean:.0f}" if mean >= 10 else f"{mean:.1f}",
                (mean + spread, place),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
            )
            widest = max(widest, mean + spread)
        axis.set(xlabel=xlabel, yticks=places, yticklabels=names if axis is axes[0] else [], xlim=(0, 1.22 * widest))
        axis.tick_params(axis="y", length=0)
        axis.invert_yaxis()
    if chance is not None:
        axes[0].axvline(100 * chance, color=LAW, linestyle=":", linewidth=1)
        axes[0].annotate("chance", (100 * chance, -0.45), fontsize=8, color=LAW, ha="left", va="bottom")
    return figure


def plus_minus(values: Sequence[float], unit: float = 1.0, digits: int = 1) -> str:
    """Mean and sample standard deviation of a few runs in words, each times `unit`: "74.3 ± 1.2"."""
    mean, spread = (unit * number for number in mean_and_spread(values))
    return f"{mean:.{digits}f} ± {spread:.{digits}f}"


def accuracies(
    groups: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]], *, chance: Mapping[str, float] | None = None
) -> Figure:
    """One panel a group, one row a name, one marker a kind: mean accuracy over seeds, and one standard deviation.

    groups: title of a panel -> name of a row -> kind -> accuracies (fractions), one value a seed. chance: for a panel
    the accuracy of guessing, drawn as a dotted line. The rows are those of the first panel, in its order.
    """
    names = list(next(iter(groups.values())))
    figure, axes = panels(len(groups), height=1.3 + 0.36 * len(names))
    looks = ((AFTER, "o", 7), ("#999999", "D", 5), (BEFORE, "s", 6), ("#009E73", "^", 6))
    kinds = list(dict.fromkeys(kind for rows in groups.values() for row in rows.values() for kind in row))
    for axis, (title, rows) in zip(axes, groups.items(), strict=True):
        for (colour, marker, size), kind in zip(looks, kinds, strict=False):
            for place, name in enumerate(names):
                if kind not in rows[name]:
                    continue
                mean, spread = mean_and_spread(rows[name][kind])
                axis.errorbar(
                    100 * mean,
                    place,
                    xerr=100 * spread,
                    color=colour,
                    marker=marker,
                    markersize=size,
                    capsize=3,
                    linewidth=1.3,
                    label=kind if place == 0 else None,
                )
        if chance and title in chance:
            axis.axvline(100 * chance[title], color=LAW, linestyle=":", linewidth=1)
            axis.annotate("chance", (100 * chance[title], -0.45), fontsize=8, color=LAW, ha="left", va="bottom")
        axis.set(xlabel="accuracy (%)", yticks=range(len(names)), yticklabels=names if axis is axes[0] else [])
        axis.set_ylim(-0.7, len(names) - 0.5)
        axis.set_title(title)
        axis.grid(axis="y", color="#dddddd", linewidth=0.8)
        axis.set_axisbelow(True)
        axis.tick_params(axis="y", length=0)
        axis.invert_yaxis()
    handles, labels = axes[0].get_legend_handles_labels()
    if len(kinds) > 1:
        figure.legend(handles, labels, loc="outside lower center", ncols=len(kinds), fontsize=9)
    return figure
