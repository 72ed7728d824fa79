"""Schedules: how large the rate is at each step, and what that does to a short training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from course import plots
from course.locale import gettext as _
from course.training import mean_and_spread
from course.widgets import rate_slider, with_widget

# A schedule gives the factor on the base rate from (step, warmup, total), as in lesson 05.
Schedule = Callable[[int, int, int], float]
Outcome = Callable[[Sequence[float]], Sequence[float]]


def constant(step: int, warmup: int, total: int) -> float:
    """Up in a straight line, then 1."""
    return step / warmup if step < warmup else 1.0


def staircase(step: int, warmup: int, total: int) -> float:
    """Up in a straight line, then 1, a tenth and a hundredth, each for a third of what is left."""
    if step < warmup:
        return step / warmup
    return 0.1 ** min(2, 3 * (step - warmup) // (total - warmup))


def one_cycle(step: int, warmup: int, total: int) -> float:
    """Half a cosine up from a 25th, half a cosine down to nearly nothing, as PyTorch's OneCycleLR has them.

    Source: L. N. Smith and N. Topin 2017, "Super-Convergence".
    """
    if step < warmup:
        return _half_cosine(1 / 25, 1.0, step / warmup)
    return _half_cosine(1.0, 1 / 25e4, (step - warmup) / (total - warmup))


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


SCHEDULES: Mapping[str, Schedule] = {"constant": constant, "steps down": staircase, "one cycle": one_cycle}


def schedules(
    own: Mapping[str, Schedule], try_out: Outcome, *, warmup: int, total: int, rate: float, measured: str
) -> Figure | None:
    """The rate at each step under several schedules beside what comes of them, and below that with sliders to move.

    own: schedules of the notebook by name, beside `SCHEDULES`. try_out: takes the rate of each step, trains so, and
    gives the accuracy in the end, a fraction, for one seed or several. warmup, total: in steps; rate: the base rate,
    which a factor of 1 stands for. measured: what the accuracies are of, to stand at their axis. Returns the figure at
    these settings; nothing, and nothing is called, while a notebook is graded. The sliders show in a running notebook
    alone.
    """
    every = {**SCHEDULES, **own}

    @cache
    def outcome(name: str, warmup: int, total: int, rate: float) -> Sequence[float]:
        return try_out(rates(every[name], warmup, total, rate))

    def draw(warmup: int, total: int, rate: float) -> Figure:
        return _draw(
            {name: rates(schedule, warmup, total, rate) for name, schedule in every.items()},
            {name: outcome(name, warmup, total, rate) for name in every},
            measured,
        )

    return with_widget(lambda: draw(warmup, total, rate), lambda: sliders(draw, warmup, total, rate))


def rates(schedule: Schedule, warmup: int, total: int, rate: float) -> list[float]:
    """The learning rate of each of `total` steps."""
    return [rate * schedule(step, warmup, total) for step in range(total)]


def sliders(draw: Callable[[int, int, float], Figure], warmup: int, total: int, rate: float) -> Any:
    """The widget alone: sliders for the warm-up, which stays shorter than the whole, the steps and the base rate."""
    import ipywidgets

    wide = {"style": {"description_width": "10em"}, "layout": {"width": "min(32em, 100%)"}, "continuous_update": False}
    knobs = {
        "warmup": ipywidgets.IntSlider(value=warmup, min=0, max=total - 1, description=_("warm-up (steps)"), **wide),
        "total": ipywidgets.IntSlider(value=total, min=8, max=2 * total, description=_("total (steps)"), **wide),
        "rate": rate_slider(rate, _("base rate"), **wide),
    }

    def shorten(change: Any) -> None:
        knobs["warmup"].max = change["new"] - 1

    knobs["total"].observe(shorten, "value")

    def show(warmup: int, total: int, rate: float) -> None:
        draw(min(warmup, total - 1), total, rate)
        plt.show()

    return ipywidgets.VBox([*knobs.values(), ipywidgets.interactive_output(show, knobs)])


def _draw(curves: Mapping[str, Sequence[float]], outcomes: Mapping[str, Sequence[float]], measured: str) -> Figure:
    figure, (left, right) = plots.panels(2, height=3.2)
    looks = zip(plots.LINES, plots.HATCHES, curves.items(), strict=False)
    for place, ((colour, dash, marker), hatch, (name, curve)) in enumerate(looks):
        every = max(1, len(curve) // 8)
        left.plot(
            curve, color=colour, linestyle=dash, marker=marker, markevery=(place * every // 4, every), markersize=5
        )
        mean, spread = (100 * number for number in mean_and_spread(outcomes[name]))
        right.barh(place, mean, color=colour, hatch=hatch, edgecolor="white", height=0.72)
        right.errorbar(mean, place, xerr=spread, color="black", capsize=4, linewidth=1.4)
        right.annotate(f"{mean:.0f}", (mean + spread, place), xytext=(5, 0), textcoords="offset points", va="center")
    left.set(xlabel=_("step"), ylabel=_("learning rate"), ylim=(0, None))
    right.set(xlabel=measured, yticks=range(len(curves)), yticklabels=list(curves), xlim=(0, 104))
    right.tick_params(axis="y", length=0)
    right.invert_yaxis()
    return figure
