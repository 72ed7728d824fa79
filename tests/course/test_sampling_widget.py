"""The picture of temperature and top-p."""

import pytest
import torch

from course.widgets import sampling

NAMES = [f"word{n}" for n in range(9)]
LOGITS = torch.tensor([0.1, 3.0, 2.0, -1.0, 0.5, 1.0, -2.0, 0.0, 0.3])


def _bars(figure, panel: int) -> list[float]:
    """Widths of the bars of what is drawn from, from the likeliest token on."""
    return [bar.get_width() for bar in figure.axes[panel].patches[:5]]


def test_the_figure_shows_what_is_drawn_from():
    figure = sampling.next_token(NAMES, LOGITS, count=5, settings=[(1.0, 1.0), (2.0, 1.0), (1.0, 0.6)])
    plain, warm, nucleus = (_bars(figure, panel) for panel in range(3))
    p = LOGITS.softmax(0)
    assert plain == pytest.approx(p.sort(descending=True).values[:5].tolist(), abs=1e-6)
    assert warm == pytest.approx((LOGITS / 2).softmax(0).sort(descending=True).values[:5].tolist(), abs=1e-6)
    # 0.56 of the best does not reach 0.6; the token that crosses the line is kept
    assert nucleus[:2] == pytest.approx((p[1:3] / p[1:3].sum()).tolist(), abs=1e-6) and nucleus[2:] == [0, 0, 0]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()][:2] == ["word1", "word2"]


def test_the_sliders_are_a_widget_with_two_knobs():
    assert {knob.description for knob in sampling.sliders(NAMES, LOGITS).children[:2]} == {"temperature", "top-p"}


def test_nothing_while_a_notebook_is_graded(monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert sampling.next_token(NAMES, LOGITS) is None
