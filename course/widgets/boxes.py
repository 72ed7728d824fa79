"""Boxes and the threshold of non-maximum suppression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from course import plots
from course.locale import gettext as _
from course.widgets import with_widget

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Suppress = Callable[[Tensor, Tensor, float], Tensor]


def suppression(
    image: Tensor, boxes: Tensor, scores: Tensor, nms: Suppress, *, thresholds: Sequence[float] = (0.05, 0.3, 0.6, 0.9)
) -> Figure | None:
    """The boxes that `nms` keeps, drawn on the picture: at a few thresholds, and below that with a slider to move.

    image: uint8 (C, H, W). boxes (K, 4), scores (K,). nms(boxes, scores, threshold) gives the places it keeps.
    Returns the figure at the fixed thresholds; nothing, and nothing is called, while a notebook is graded. The slider
    shows in a running notebook alone.
    """

    def draw() -> Figure:
        return plots.suppressed(image, boxes, scores, {t: nms(boxes, scores, t) for t in thresholds})

    return with_widget(draw, lambda: slider(image, boxes, scores, nms))


def slider(image: Tensor, boxes: Tensor, scores: Tensor, nms: Suppress) -> Any:
    """The widget alone: a slider from 0 to 1, and the picture at its threshold."""
    import ipywidgets
    import matplotlib.pyplot as plt

    def draw(threshold: float) -> None:
        plots.suppressed(image, boxes, scores, {threshold: nms(boxes, scores, threshold)})
        plt.show()

    knob = ipywidgets.FloatSlider(
        value=0.5, min=0.0, max=1.0, step=0.05, description=_("threshold"), continuous_update=False
    )
    return ipywidgets.interactive(draw, threshold=knob)
