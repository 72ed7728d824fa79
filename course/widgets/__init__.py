"""Pictures that a learner plays with: ipywidgets, each with a plain figure behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
from IPython.display import Markdown, display

from course import scale
from course.locale import gettext as _

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def with_widget(draw: Callable[[], Figure], make: Callable[[], Any]) -> Figure | None:
    """The figure that `draw` gives, and below it the widget that `make` makes, in a running notebook alone.

    While a notebook is graded, nothing is called, and None comes back.
    """
    if scale.grading():
        return None
    figure = draw()
    if scale.current() != "quick" and scale.interactive():
        # An open figure goes wherever the next one is shown: into the widget's output, where it would be drawn over.
        display(figure)
        plt.close(figure)
        display(Markdown(_("The same to play with; the figure above stays as it is:")))
        display(make())
    return figure


def rate_slider(rate: float, description: str, **look: Any) -> Any:
    """A slider over learning rates, three a decade from 0.0001 to 10, and `rate`, where it begins."""
    import ipywidgets

    steps = {float(f"{digit}e{power}") for power in range(-4, 1) for digit in (1, 2, 5)} | {10.0, rate}
    options = [(f"{step:g}", step) for step in sorted(steps)]
    return ipywidgets.SelectionSlider(options=options, value=rate, description=description, **look)
