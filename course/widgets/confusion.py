"""A confusion matrix whose cells open: which pictures were taken for which class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from course import plots
from course.locale import gettext as _
from course.locale import ngettext
from course.widgets import with_widget

ROWS, COLUMNS = 3, 5  # of the pictures that are shown


def confusion_matrix(labels: Tensor, answers: Tensor, classes: int) -> Tensor:
    """How often the class of a row was called the class of a column: int64 (classes, classes).

    labels, answers: int64 (N,), class numbers from 0 to classes - 1.
    """
    return torch.bincount(labels * classes + answers, minlength=classes**2).view(classes, classes)


def commonest_mistake(matrix: Tensor) -> tuple[int, int]:
    """(class, what it was called) of the largest entry beside the diagonal."""
    mistakes = matrix.clone().fill_diagonal_(-1)
    return divmod(int(mistakes.argmax()), len(matrix))


def confusion(images: Tensor, labels: Tensor, answers: Tensor, classes: Sequence[str]) -> Figure | None:
    """The confusion matrix beside the pictures of its commonest mistake, and below that with a choice of the cell.

    images: gray uint8, (N, 1, H, W). labels, answers: int64 (N,), what is on each and what it was called, as numbers
    of `classes`. Returns the figure; nothing while a notebook is graded. The choice shows in a running notebook alone.
    """
    cell = commonest_mistake(confusion_matrix(labels, answers, len(classes)))
    return with_widget(
        lambda: _draw(images, labels, answers, classes, *cell), lambda: chooser(images, labels, answers, classes)
    )


def chooser(images: Tensor, labels: Tensor, answers: Tensor, classes: Sequence[str]) -> Any:
    """The widget alone: what a picture shows, what it was called, and the pictures of which both is true."""
    import ipywidgets

    true, called = commonest_mistake(confusion_matrix(labels, answers, len(classes)))
    options = [(name, number) for number, name in enumerate(classes)]

    def show(true: int, called: int) -> None:
        _draw(images, labels, answers, classes, true, called)
        plt.show()

    wide = {"style": {"description_width": "5em"}, "layout": {"width": "18em"}}
    choices = {
        "true": ipywidgets.Dropdown(options=options, value=true, description=_("shows"), **wide),
        "called": ipywidgets.Dropdown(options=options, value=called, description=_("called"), **wide),
    }
    row = ipywidgets.HBox(list(choices.values()), layout={"flex_flow": "row wrap"})
    return ipywidgets.VBox([row, ipywidgets.interactive_output(show, choices)])


def _draw(images: Tensor, labels: Tensor, answers: Tensor, classes: Sequence[str], true: int, called: int) -> Figure:
    figure, (left, right) = plots.panels(2, height=4.2)
    _matrix(left, confusion_matrix(labels, answers, len(classes)), classes, true, called)
    rows = torch.where((labels == true) & (answers == called))[0]
    shown = rows[: ROWS * COLUMNS]
    right.axis("off")
    title = ngettext(
        "{count} picture of {true}, called {called}", "{count} pictures of {true}, called {called}", len(rows)
    ).format(count=len(rows), true=f"“{classes[true]}”", called=f"“{classes[called]}”")
    if len(shown) < len(rows):
        title += "\n" + _("the first {count}:").format(count=len(shown))
    right.set_title(title)
    for place, image in enumerate(images[shown]):
        down, across = divmod(place, COLUMNS)
        box = (across / COLUMNS, 1 - (down + 1) / ROWS, 0.92 / COLUMNS, 0.92 / ROWS)
        axis = right.inset_axes(box)
        axis.imshow(image.squeeze(0).numpy(), cmap="gray", vmin=0, vmax=255)
        axis.set(xticks=[], yticks=[])
    return figure


def _matrix(axis: Axes, matrix: Tensor, classes: Sequence[str], true: int, called: int) -> None:
    """Counts in squares, the darker the larger a share of its row; the chosen cell has a frame."""
    shares = matrix / matrix.sum(dim=1, keepdim=True).clamp(min=1)
    axis.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    places = range(len(classes))
    for row in places:
        for column in places:
            count, dark = int(matrix[row, column]), shares[row, column] > 0.5
            if count:
                colour = "white" if dark else "black"
                axis.text(column, row, str(count), ha="center", va="center", fontsize=9, color=colour)
    axis.set_xticks(places, classes, rotation=90 if max(map(len, classes)) > 2 else 0, fontsize=9)
    axis.set_yticks(places, classes, fontsize=9)
    axis.tick_params(length=0)
    axis.set(xlabel=_("called"), ylabel=_("shows"))
    axis.add_patch(plt.Rectangle((called - 0.5, true - 0.5), 1, 1, fill=False, edgecolor=plots.AFTER, linewidth=2.5))
