"""Tokens and how much each looks at each other one, by layer and head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from course import plots
from course.locale import gettext as _
from course.widgets import with_widget

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def attention(tokens: Sequence[str], weights: Tensor, *, shown: Sequence[tuple[int, int]] = ((0, 0),)) -> Figure | None:
    """Attention between the tokens of one text: a few layers and heads, and below that with sliders to move.

    weights: (layers, heads, T, T), row i of which says how token i spreads its attention, 1 in all. shown: the layers
    and heads, from 0, of the fixed figure. Returns that figure; nothing while a notebook is graded. The sliders show
    in a running notebook alone.
    """

    def draw() -> Figure:
        return plots.attention(tokens, {_title(layer, head): weights[layer, head] for layer, head in shown})

    return with_widget(draw, lambda: sliders(tokens, weights))


def sliders(tokens: Sequence[str], weights: Tensor):
    """The widget alone: the layer, the head, and the token whose view is also drawn as bars."""
    import ipywidgets
    import matplotlib.pyplot as plt

    def draw(layer: int, head: int, token: int) -> None:
        shown = {_title(layer - 1, head - 1): weights[layer - 1, head - 1]}
        plots.attention(tokens, shown, view=token - 1)
        plt.show()

    def knob(name: str, most: int) -> ipywidgets.IntSlider:
        return ipywidgets.IntSlider(value=1, min=1, max=most, description=name, continuous_update=False)

    layers, heads, length = weights.shape[:3]
    return ipywidgets.interactive(
        draw, layer=knob(_("layer"), layers), head=knob(_("head"), heads), token=knob(_("token"), length)
    )


def _title(layer: int, head: int) -> str:
    """What a layer and a head, counted from 0, are called."""
    return _("layer {layer}, head {head}").format(layer=layer + 1, head=head + 1)
