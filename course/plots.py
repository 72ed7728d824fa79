"""The figures that the lessons draw.

One colour, marker and hatch for one method in all lessons (`STYLES`), told apart in grey as well. Every function
draws on a new figure and returns it; a notebook shows it when the cell ends (`plt.show()` is not needed).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from course.training import mean_and_spread

if TYPE_CHECKING:  # matplotlib takes half a second to import: the first figure pays for it, not the first card
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
    "raw": Style("#009E73", "v", "|||"),
    "random": Style("#CC79A7", "P", "---"),
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


def panels(
    columns: int, *, width: float = 9.0, height: float = 3.4, rows: int = 1, **ratios: Sequence[float]
) -> tuple[Figure, list[Axes]]:
    """A figure of `rows` x `columns` axes in the course's look; width and height in inches.

    ratios: `width_ratios` and `height_ratios`, where columns or rows are not alike.
    """
    import matplotlib.pyplot as plt

    plt.rcParams.update(LOOK)
    size: dict[str, Any] = {"figsize": (width, height), **ratios}
    figure, axes = plt.subplots(rows, columns, layout="constrained", squeeze=False, **size)
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
    left.bar_label(left.barh(places, np.asarray(parameters) / 1e6, color=BEFORE), fmt="%.2g", padding=3)
    left.set(yticks=places, yticklabels=stages, xlabel="trainable parameters (millions)")
    left.set_ylabel("unfrozen from")
    held = right.barh(places, np.asarray(memory) / MEGABYTE, color=AFTER, hatch="///", edgecolor="white")
    right.bar_label(held, fmt="%.0f", padding=3)
    right.set(yticks=places, yticklabels=[], xlabel="memory of a step (MB)")
    for axis in (left, right):
        axis.invert_yaxis()
        axis.tick_params(axis="y", length=0)
        axis.margins(x=0.12)  # room for the figures behind the bars
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


# For curves that are no method of STYLES: told apart by colour, dash and marker, in grey too.
LINES: tuple[tuple[str, str, str], ...] = (
    ("#0072B2", "-", "o"),
    ("#D55E00", "--", "s"),
    ("#009E73", "-.", "^"),
    ("#999999", ":", "D"),
)
HATCHES = ("", "///", "...", "xxx")  # of their bars


def lines(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    xlabel: str,
    ylabel: str,
    level: tuple[float, str] | None = None,
    log: bool = False,
) -> Figure:
    """For each name (x, y) a line. level: a height to mark with words. log: both axes logarithmic."""
    figure, (axis,) = panels(1, width=6.4, height=3.2)
    for (colour, dash, marker), (name, (x, y)) in zip(LINES, curves.items(), strict=False):
        every = max(1, len(x) // 10)
        axis.plot(x, y, color=colour, linestyle=dash, marker=marker, markevery=every, markersize=5, label=name)
    if level is not None:
        axis.axhline(level[0], color=LAW, linestyle=":", linewidth=1, zorder=0, label=level[1])
    if log:
        axis.set(xscale="log", yscale="log")
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def bands_at(x: Sequence[float], runs: Mapping[str, Sequence[Sequence[float]]], *, xlabel: str, ylabel: str) -> Figure:
    """For each name a panel: the mean over its runs at each x, and a band of one standard deviation to either side.

    A dotted line marks where the mean began.
    """
    figure, axes = panels(len(runs), width=4.4 * len(runs), height=3.2)
    for axis, (colour, dash, marker), (name, values) in zip(axes, LINES, runs.items(), strict=False):
        pairs = [mean_and_spread(point) for point in zip(*values, strict=True)]
        mean, spread = np.array([m for m, _ in pairs]), np.array([s for _, s in pairs])
        axis.plot(x, mean, color=colour, linestyle=dash, marker=marker, markersize=5)
        axis.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.25, linewidth=0)
        axis.axhline(mean[0], color=LAW, linestyle=":", linewidth=1, zorder=0)
        axis.set(title=name, xlabel=xlabel)
    axes[0].set_ylabel(ylabel)
    return figure


def next_tokens(tokens: Sequence[str], shown: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """What may come next: for each name a panel of bars, one for each token.

    shown: (the model's probabilities, those that are drawn from) of the tokens in the order of `tokens`; a token that
    is not drawn from, with 0, is pale. What all other tokens have together stands in the title.
    """
    figure, axes = panels(len(shown), width=max(4.5, 2.4 * len(shown)), height=0.24 * len(tokens) + 1.2)
    places = np.arange(len(tokens))
    widest = 1.05 * max(max(*probabilities, *drawn) for probabilities, drawn in shown.values())
    for axis, (name, (probabilities, drawn)) in zip(axes, shown.items(), strict=False):
        out = [p if d == 0 else 0 for p, d in zip(probabilities, drawn, strict=True)]
        axis.barh(places, drawn, color=BEFORE)
        axis.barh(places, out, color="#dddddd", hatch="///", edgecolor="white", linewidth=0)
        rest = max(0.0, 1 - sum(drawn))
        axis.set_title(f"{name}\nothers together: {rest:.0%}", fontsize=10)
        axis.set(yticks=places, yticklabels=tokens if axis is axes[0] else [], xlim=(0, widest), xlabel="probability")
        axis.tick_params(axis="y", length=0)
        axis.invert_yaxis()
    return figure


def paths(curvature: Sequence[float], walked: Mapping[str, Sequence[tuple[float, float]]]) -> Figure:
    """Paths (x, y) over the bowl of height (a x^2 + b y^2) / 2, whose contours are drawn; curvature is (a, b).

    Each path has a panel of its own under its name; a cross marks the lowest point.
    """
    figure, axes = panels(len(walked), width=9.0, height=2.6)
    wide = 1.15 * max(abs(x) for path in walked.values() for x, _ in path)
    high = 1.25 * max(abs(y) for path in walked.values() for _, y in path)
    grid_x, grid_y = np.meshgrid(np.linspace(-wide, wide, 161), np.linspace(-high, high, 81))
    height = (curvature[0] * grid_x**2 + curvature[1] * grid_y**2) / 2
    levels = height.max() * np.linspace(0.05, 1, 7) ** 2
    for axis, (colour, dash, marker), (name, path) in zip(axes, LINES, walked.items(), strict=False):
        axis.contour(grid_x, grid_y, height, levels=levels, colors="#bbbbbb", linewidths=0.8)
        xs, ys = zip(*path, strict=True)
        axis.plot(xs, ys, color=colour, linestyle=dash, linewidth=1, marker=marker, markersize=3.5)
        axis.plot(0, 0, marker="x", color="black", markersize=8, markeredgewidth=2)
        axis.set(xlabel="first weight", title=name)
    axes[0].set_ylabel("second weight")
    return figure


def bands(axis: Axes, runs: Mapping[str, Sequence[Sequence[float]]], *, start: int = 1) -> None:
    """For each name the mean over its runs, point by point, and a band of one standard deviation to either side.

    Every run has one value for each of `start`, `start` + 1, ...
    """
    from matplotlib.ticker import MaxNLocator

    for (colour, dash, marker), (name, values) in zip(LINES, runs.items(), strict=False):
        pairs = [mean_and_spread(point) for point in zip(*values, strict=True)]
        mean, spread = np.array([m for m, _ in pairs]), np.array([s for _, s in pairs])
        x = np.arange(start, start + len(mean))
        every = max(1, len(x) // 10)
        axis.plot(x, mean, color=colour, linestyle=dash, marker=marker, markevery=every, markersize=5, label=name)
        axis.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.25, linewidth=0)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def compare_loops(
    loss: Mapping[str, Sequence[Sequence[float]]],
    accuracy: Mapping[str, Sequence[float]],
    *,
    chance: float,
    top: float,
    level: tuple[float, str],
) -> Figure:
    """Training loss over the epochs, with bands over the runs, beside the accuracies in the end as bars.

    loss: in nats; the axis ends at `top`, and of a name that lies above all along only the legend tells. level: a
    loss to mark with words.
    accuracy: fractions, one a run; names that have a loss keep its colour, others are grey. Whiskers are one
    standard deviation to either side; chance is marked by a dotted line.
    """
    figure, (left, right) = panels(2, width=10.0, height=3.6)
    drawn: dict[str, Sequence[Sequence[float]]] = {}
    for name, values in loss.items():
        if min(min(run) for run in values) > top:
            drawn[f"{name} (above the top)"] = [[np.nan] * len(run) for run in values]
        else:
            drawn[name] = values
    bands(left, drawn)
    left.axhline(level[0], color=LAW, linestyle=":", linewidth=1, zorder=0, label=level[1])
    left.set(xlabel="epoch", ylabel="training loss (nats)", ylim=(0, top))
    left.legend(fontsize=8, loc="lower left", ncols=2, bbox_to_anchor=(0.0, 1.0), borderaxespad=0.2)
    looks = {name: (colour, hatch) for name, (colour, *_), hatch in zip(loss, LINES, HATCHES, strict=False)}
    for place, (name, shares) in enumerate(accuracy.items()):
        colour, hatch = looks.get(name, ("#cccccc", "++"))
        mean, spread = (100 * number for number in mean_and_spread(shares))
        right.barh(place, mean, color=colour, hatch=hatch, edgecolor="white", height=0.72)
        if spread:
            right.errorbar(mean, place, xerr=spread, color="black", capsize=4, linewidth=1.4)
        right.annotate(f"{mean:.0f}", (mean + spread, place), xytext=(5, 0), textcoords="offset points", va="center")
    right.set(xlabel="accuracy on test photos (%)", yticks=range(len(accuracy)), yticklabels=list(accuracy))
    right.set_xlim(0, 104)
    right.axvline(100 * chance, color=LAW, linestyle=":", linewidth=1)
    right.annotate("chance", (100 * chance, -0.45), fontsize=8, color=LAW, ha="left", va="bottom")
    right.tick_params(axis="y", length=0)
    right.invert_yaxis()
    return figure


# Three ways to give the stages of one network their learning rates.
RATE_STYLES: dict[str, Style] = {
    "one rate": STYLES["full"],
    "discriminative": Style("#D55E00", "s", "///"),
    "gradual": Style("#009E73", "o", "xxx"),
}


def range_test(rates: Sequence[float], losses: Sequence[Sequence[float]]) -> Figure:
    """Loss of a batch (nats) against the learning rate of the step after it: a line a seed, and their median."""
    figure, (axis,) = panels(1, width=6.4, height=3.2)
    runs = np.array(losses, dtype=float)
    runs[~np.isfinite(runs)] = np.nan
    for number, run in enumerate(runs):
        axis.plot(rates, run, color=BEFORE, linewidth=0.9, alpha=0.5, label="one seed each" if number == 0 else None)
    axis.plot(rates, np.median(runs, axis=0), color=AFTER, marker="o", markersize=4, label="median")
    top = 1.6 * float(np.nanmedian(runs[:, : max(1, len(rates) // 3)]))
    axis.set(xlabel="learning rate", ylabel="loss of the next batch (nats)", xscale="log", ylim=(0, top))
    axis.legend(fontsize=9)
    return figure


def by_step(curves: Mapping[str, Sequence[float]], *, xlabel: str, ylabel: str) -> Figure:
    """One value a step, 0, 1, 2, ...: a line for each name, told apart by colour and dash."""
    figure, (axis,) = panels(1, width=6.4, height=3.0)
    looks = ((BEFORE, "-", "o"), (AFTER, "--", "s"), ("#009E73", ":", "^"))
    for (colour, dash, marker), (name, values) in zip(looks, curves.items(), strict=False):
        axis.plot(values, color=colour, linestyle=dash, marker=marker, markersize=4, label=name)
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def stage_values(stages: Sequence[str], panels_of: Mapping[str, Sequence[float]]) -> Figure:
    """A panel for each name, one point a stage on a logarithmic axis, input at the top."""
    figure, axes = panels(len(panels_of), height=3.4, width=max(6.4, 4.5 * len(panels_of)))
    looks = ((BEFORE, "o"), (AFTER, "s"))
    places = np.arange(len(stages))
    for number, (axis, (name, values)) in enumerate(zip(axes, panels_of.items(), strict=True)):
        colour, marker = looks[number % 2]
        axis.plot(values, places, color=colour, marker=marker, markersize=7, linestyle=":", linewidth=1)
        axis.set(xlabel=name, xscale="log", yticks=places, yticklabels=stages if number == 0 else [])
        axis.grid(axis="y", color="#dddddd", linewidth=0.8)
        axis.tick_params(axis="y", length=0)
        axis.invert_yaxis()
    return figure


def accuracy_by_rate(
    accuracy: Mapping[str, Mapping[float, Sequence[float]]], seconds: Mapping[str, Sequence[float]], *, chance: float
) -> Figure:
    """Left: accuracy (fractions, [method][rate][seed]) against the rate, mean and one standard deviation over the
    seeds; chance is dotted. Right: training time in seconds ([method][run])."""
    figure, (left, right) = panels(2, height=3.2)
    every_rate = sorted({rate for by_rate in accuracy.values() for rate in by_rate})
    for place, (name, by_rate) in enumerate(accuracy.items()):
        style = RATE_STYLES[name]
        rates = sorted(by_rate)
        mean, spread = np.array([mean_and_spread(by_rate[rate]) for rate in rates]).T * 100
        shift = 1.04 ** (place - 1)  # whiskers side by side
        left.errorbar(
            np.asarray(rates) * shift, mean, yerr=spread, color=style.colour, marker=style.marker, capsize=3, label=name
        )
        mean_time, spread_time = mean_and_spread(seconds[name])
        right.barh(place, mean_time, color=style.colour, hatch=style.hatch, edgecolor="white", height=0.72)
        right.errorbar(mean_time, place, xerr=spread_time, color="black", capsize=4, linewidth=1.4)
    left.axhline(100 * chance, color=LAW, linestyle=":", linewidth=1)
    left.annotate("chance", (every_rate[0], 100 * chance), fontsize=8, color=LAW, va="bottom")
    left.set(xlabel="learning rate of the head", ylabel="accuracy (%)", xscale="log", ylim=(0, None))
    left.set_xticks(every_rate, [f"{rate:g}" for rate in every_rate])
    left.minorticks_off()
    left.legend(fontsize=9)
    right.set(xlabel="training time of a run (s)", yticks=range(len(accuracy)), yticklabels=list(accuracy))
    right.tick_params(axis="y", length=0)
    right.invert_yaxis()
    return figure


def reported_and_true(sizes: Sequence[int], reported: Sequence[float], true: Sequence[float]) -> Figure:
    """Accuracy (fractions) of the best of many settings: on the photos that chose it, and on others, against how many
    photos chose."""
    figure, (axis,) = panels(1, width=6.4, height=3.0)
    axis.plot(sizes, 100 * np.asarray(reported), color=AFTER, marker="s", label="on the photos that chose it")
    axis.plot(sizes, 100 * np.asarray(true), color=BEFORE, marker="o", linestyle="--", label="on other photos")
    axis.set(xlabel="photos that the choice is made on", ylabel="accuracy (%)", xscale="log")
    axis.set_xticks(sizes, [str(size) for size in sizes])
    axis.minorticks_off()
    axis.legend(fontsize=9)
    return figure


def learning_curves(
    sizes: Sequence[int], curves: Mapping[str, tuple[str, Any]], *, chance: float | None = None, unit: str = "examples"
) -> Figure:
    """Accuracy over the number of training examples, a line a method: the mean, in a band of one standard deviation.

    curves: for each name (style, accuracies): a key of `STYLES`, and fractions of shape (len(sizes), seeds).
    """
    figure, (axis,) = panels(1, width=7.2, height=3.8)
    for name, (style_name, accuracies) in curves.items():
        style = STYLES[style_name]
        values = 100 * np.asarray(accuracies, dtype=float)
        mean = values.mean(axis=1)
        spread = values.std(axis=1, ddof=1) if values.shape[1] > 1 else np.zeros_like(mean)
        axis.fill_between(sizes, mean - spread, mean + spread, color=style.colour, alpha=0.22, linewidth=0)
        axis.plot(sizes, mean, color=style.colour, marker=style.marker, markersize=6, label=name)
    if chance is not None:
        axis.axhline(100 * chance, color=LAW, linestyle=":", linewidth=1)
        axis.annotate("chance", (sizes[-1], 100 * chance), fontsize=9, color=LAW, ha="right", va="bottom")
    axis.set_xscale("log")
    axis.set_xticks(list(sizes), [f"{size:,}" for size in sizes], minor=False)
    axis.minorticks_off()
    axis.set(xlabel=f"training {unit} (log scale)", ylabel="accuracy (%)")
    axis.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def gains(
    rows: Mapping[str, tuple[float, float, float]], *, xlabel: str = "gain (points)", groups: Sequence[int] = ()
) -> Figure:
    """For each name (gain, low, high), as fractions: a dot in its interval, and a line where nothing is gained.

    groups: after how many rows a thin line parts one group from the next.
    """
    figure, (axis,) = panels(1, width=7.2, height=0.9 + 0.3 * len(rows))
    for place, (gain, low, high) in enumerate(rows.values()):
        colour, marker = (BEFORE, "o") if low > 0 else (AFTER, "s") if high < 0 else (LAW, "D")
        axis.plot([100 * low, 100 * high], [place, place], color=colour, linewidth=2)
        axis.plot([100 * gain], [place], color=colour, marker=marker, markersize=7)
    axis.axvline(0, color=LAW, linestyle=":", linewidth=1)
    for after in groups:
        axis.axhline(after - 0.5, color="#DDDDDD", linewidth=0.8)
    axis.set(xlabel=xlabel, yticks=np.arange(len(rows)), yticklabels=list(rows))
    axis.tick_params(axis="y", length=0)
    axis.invert_yaxis()
    return figure


def accuracies(
    groups: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]],
    *,
    chance: Mapping[str, float] | None = None,
    xlabel: str = "accuracy (%)",
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
        axis.set(xlabel=xlabel, yticks=range(len(names)), yticklabels=names if axis is axes[0] else [])
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


def who_looks(pictures: Mapping[str, tuple[Sequence[str], Any]]) -> Figure:
    """Who may look at whom: one panel a model, a row for each token, a filled square for each one it depends on.

    pictures: title -> (the tokens, a boolean matrix (T, T): entry i, j says whether what row i gives depends on j).
    """
    figure, axes = panels(len(pictures), width=3.0 * len(pictures), height=3.5)
    for axis, (title, (tokens, looks)) in zip(axes, pictures.items(), strict=True):
        axis.imshow(np.asarray(looks, dtype=float), cmap="Blues", vmin=0, vmax=1.5)
        places = range(len(tokens))
        axis.set_xticks(list(places), tokens, rotation=90, fontsize=9)
        axis.set_yticks(list(places), tokens if axis is axes[0] else [], fontsize=9)
        axis.set_xticks([place - 0.5 for place in places], minor=True)
        axis.set_yticks([place - 0.5 for place in places], minor=True)
        axis.grid(which="minor", color="white", linewidth=1.5)
        axis.tick_params(which="both", length=0)
        axis.spines[:].set_visible(False)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("may look at")
    axes[0].set_ylabel("this token")
    return figure


def attention(tokens: Sequence[str], maps: Mapping[str, Any], *, view: int | None = None) -> Figure:
    """How each token (a row) spreads its attention over all (columns); dark is much. Rows sum to 1.

    maps: title -> weights (T, T). view: the row that is drawn again as bars, beside a single map.
    """
    figure, axes = panels(len(maps) + (view is not None), width=4.2 * (len(maps) + (view is not None)), height=4.0)
    for axis, (title, weights) in zip(axes, maps.items(), strict=False):
        axis.imshow(np.asarray(weights), cmap="Blues", vmin=0, vmax=1)
        axis.set_xticks(range(len(tokens)), tokens, rotation=90, fontsize=9)
        axis.set_yticks(range(len(tokens)), tokens, fontsize=9)
        axis.tick_params(length=0)
        axis.set(xlabel="looks at", title=title)
    axes[0].set_ylabel("token")
    if view is not None:
        row = np.asarray(next(iter(maps.values())))[view]
        axes[-1].barh(range(len(tokens)), row, color=BEFORE)
        axes[-1].set_yticks(range(len(tokens)), tokens, fontsize=9)
        axes[-1].invert_yaxis()
        axes[-1].set(xlabel="share of its attention", title=f"what “{tokens[view]}” looks at", xlim=(0, 1))
    return figure


def scores_by_kind(scores: Mapping[str, Mapping[str, Sequence[float]]], *, ylabel: str = "mean score (%)") -> Figure:
    """A group of bars for each kind of question, a bar for each name: the mean in percent over its values, which lie
    in [0, 1], with one standard error of it.

    scores: name -> kind -> one value for each question.
    """
    kinds = list(next(iter(scores.values())))
    figure, (axis,) = panels(1, width=7.2, height=3.4)
    width = 0.8 / len(scores)
    for number, ((colour, _, _), hatch, (name, by_kind)) in enumerate(
        zip(LINES, HATCHES, scores.items(), strict=False)
    ):
        places = [place + (number - (len(scores) - 1) / 2) * width for place in range(len(kinds))]
        values = [np.asarray(by_kind[kind], dtype=float) for kind in kinds]
        means = [100 * one.mean() for one in values]
        errors = [100 * one.std(ddof=1) / len(one) ** 0.5 if len(one) > 1 else 0.0 for one in values]
        bars: dict[str, Any] = {
            "color": colour,
            "hatch": hatch,
            "edgecolor": "white",
            "error_kw": {"capsize": 3, "linewidth": 1},
        }
        axis.bar(places, means, width, yerr=errors, label=name, **bars)
    axis.set_xticks(range(len(kinds)), kinds)
    axis.set(ylabel=ylabel, ylim=(0, 103))
    axis.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def framed(axis: Axes, image: Tensor, boxes: Tensor, names: Sequence[str] = (), *, colour: str = "#E69F00") -> None:
    """A picture uint8 (C, H, W) with boxes (K, 4) x1, y1, x2, y2 in pixels around what is in it, under names."""
    from matplotlib.patches import Rectangle

    height, width = image.shape[-2:]
    pixels = image.permute(1, 2, 0).squeeze(-1).numpy()
    # A pixel's square reaches from its number to the next one, as continuous coordinates have it.
    axis.imshow(pixels, cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0))
    axis.axis("off")
    for number, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        frame = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor="black", linewidth=3.2)
        axis.add_patch(frame)
        axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, linewidth=1.6))
        if number < len(names):
            axis.text(
                min(x1, 0.62 * width),
                max(y1, 0.1 * height),
                names[number],
                fontsize=7,
                va="bottom",
                color="black",
                bbox={"facecolor": colour, "edgecolor": "none", "pad": 1.0},
            )


def labelled(axis: Axes, masks: Tensor, ignored: int) -> None:
    """A mask (H, W) of labels: 0 is black, each class has a colour, ignored pixels are white."""
    from matplotlib.colors import ListedColormap

    colours = ["#000000", "#0072B2", "#D55E00", "#009E73", "#F0E442", "#CC79A7", "#56B4E9", "#E69F00"]
    shown = masks.clone()
    shown[(masks > 0) & (masks != ignored)] = (masks[(masks > 0) & (masks != ignored)] - 1) % 7 + 1
    shown[masks == ignored] = len(colours)
    axis.imshow(shown.numpy(), cmap=ListedColormap([*colours, "#FFFFFF"]), vmin=0, vmax=len(colours))
    axis.axis("off")


def suppressed(image: Tensor, boxes: Tensor, scores: Tensor, kept: Mapping[float, Tensor]) -> Figure:
    """For each threshold the boxes that are kept at it, a panel each."""
    figure, axes = panels(len(kept), width=2.4 * max(2, len(kept)), height=2.7)
    for axis, (threshold, places) in zip(axes, kept.items(), strict=True):
        names = [f"{score:.2f}" for score in scores[places].tolist()] if len(places) <= 8 else []
        framed(axis, image, boxes[places], names)
        axis.set_title(f"threshold {threshold:g}:\n{len(places)} of {len(boxes)} boxes", fontsize=9, loc="center")
    return figure
