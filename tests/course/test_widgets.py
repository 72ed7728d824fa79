"""The interactive pictures: a plain figure always, a widget in a live notebook, nothing while graded."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest
import torch
from torch import Tensor
from torchvision.ops import nms

from course import scale, widgets
from course.widgets import boxes as widget

IMAGE = torch.full((1, 40, 50), 90, dtype=torch.uint8)
BOXES = torch.tensor([[1.0, 2, 20, 30], [2, 2, 21, 30], [30, 5, 45, 35]])
SCORES = torch.tensor([0.9, 0.8, 0.7])


def test_a_panel_for_each_threshold_says_how_many_are_kept() -> None:
    figure = widget.suppression(IMAGE, BOXES, SCORES, nms, thresholds=(0.3, 1.0))
    assert figure is not None
    assert [axis.get_title("center").split("\n")[1] for axis in figure.axes] == ["2 of 3 boxes", "3 of 3 boxes"]


def test_the_slider_asks_again_when_it_moves() -> None:
    asked = []

    def witnessed(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
        asked.append(threshold)
        return nms(boxes, scores, threshold)

    knobs = widget.slider(IMAGE, BOXES, SCORES, witnessed)
    knobs.update()
    knobs.children[0].value = 0.25
    assert asked[-1] == 0.25


def test_the_fixed_figure_is_shown_and_closed_before_the_widget(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[object, list[int]]] = []
    monkeypatch.delenv(scale.SCALE_VARIABLE, raising=False)
    monkeypatch.setattr(scale, "interactive", lambda: True)
    monkeypatch.setattr(widgets, "display", lambda what: shown.append((what, plt.get_fignums())))
    plt.close("all")
    figure = widgets.with_widget(plt.figure, lambda: "the widget")
    (first, _), (words, _), (last, still_open) = shown
    assert (first, last, still_open) == (figure, "the widget", [])
    assert "stays as it is" in words.data


def test_rates_are_round_numbers_and_the_one_to_begin_with() -> None:
    slider = widgets.rate_slider(0.03, "rate")
    assert slider.value == 0.03 and slider.description == "rate"
    names = [name for name, _rate in slider.options]
    assert names[:4] == ["0.0001", "0.0002", "0.0005", "0.001"] and names[-1] == "10"
    assert names[names.index("0.02") :][:3] == ["0.02", "0.03", "0.05"]
    assert len(widgets.rate_slider(0.05, "rate").options) == len(names) - 1


def test_nothing_is_drawn_while_a_notebook_is_graded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(scale.GRADING_VARIABLE, "autograde")

    def never(*args: object) -> Tensor:
        raise AssertionError

    assert widget.suppression(IMAGE, BOXES, SCORES, never) is None
