"""Temperature and top-p: what they make of the probabilities of the next token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from course import plots
from course.locale import gettext as _
from course.widgets import with_widget

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def next_token(
    names: Sequence[str],
    logits: Tensor,
    *,
    count: int = 12,
    settings: Sequence[tuple[float, float]] = ((0.3, 1.0), (1.0, 1.0), (1.0, 0.5), (2.0, 1.0)),
) -> Figure | None:
    """The likeliest next tokens at a few settings (temperature, top-p), and below that with sliders to move.

    names: every token as it is to be shown. logits: (V,). count: how many tokens have a bar.
    Returns the figure at the fixed settings; nothing while a notebook is graded. The sliders show in a running
    notebook alone.
    """
    return with_widget(lambda: _draw(names, logits, count, settings), lambda: sliders(names, logits, count=count))


def sliders(names: Sequence[str], logits: Tensor, *, count: int = 12):
    """The widget alone: a slider for the temperature, one for top-p, and the bars."""
    import ipywidgets
    import matplotlib.pyplot as plt

    def draw(temperature: float, top_p: float) -> None:
        _draw(names, logits, count, [(temperature, top_p)])
        plt.show()

    style = {"description_width": "initial"}
    return ipywidgets.interactive(
        draw,
        temperature=ipywidgets.FloatLogSlider(
            value=1.0, min=-1, max=0.7, step=0.05, description=_("temperature"), style=style, continuous_update=False
        ),
        top_p=ipywidgets.FloatSlider(
            value=1.0, min=0.05, max=1.0, step=0.05, description=_("top-p"), style=style, continuous_update=False
        ),
    )


def _draw(names: Sequence[str], logits: Tensor, count: int, settings: Sequence[tuple[float, float]]) -> Figure:
    order = logits.argsort(descending=True)
    shown = {}
    for temperature, top_p in settings:
        p = (logits[order].double() / temperature).softmax(dim=0)
        kept = len(p) if top_p >= 1 else int((p.cumsum(dim=0) < top_p).sum()) + 1
        drawn = torch.where(torch.arange(len(p)) < kept, p, torch.zeros_like(p)) / p[:kept].sum()
        title = _("temperature {temperature:.2g}\ntop-p {top_p:.2g}").format(temperature=temperature, top_p=top_p)
        shown[title] = (p[:count].tolist(), drawn[:count].tolist())
    return plots.next_tokens([names[token] for token in order[:count].tolist()], shown)
