"""Pictures that a learner plays with: ipywidgets, each with a plain figure behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from IPython.display import display
from matplotlib.figure import Figure

from course import scale


def with_widget(draw: Callable[[], Figure], make: Callable[[], Any]) -> Figure | None:
    """The figure that `draw` gives, and behind it the widget that `make` makes, in a running notebook alone.

    While a notebook is graded, nothing is called, and None comes back.
    """
    if scale.grading():
        return None
    figure = draw()
    if scale.current() != "quick" and scale.interactive():
        display(make())
    return figure
