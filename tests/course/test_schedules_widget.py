"""Learning-rate schedules beside what comes of them."""

import matplotlib
import pytest
import torch

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from course.widgets import schedules

SETTINGS = {"warmup": 2, "total": 8, "rate": 0.1, "measured": "accuracy (%)"}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def line(step: int, warmup: int, total: int) -> float:
    return 1 - step / total


def test_rates_are_the_factors_times_the_base_rate():
    assert schedules.rates(schedules.constant, 2, 5, 0.1) == pytest.approx([0, 0.05, 0.1, 0.1, 0.1])
    assert schedules.rates(schedules.constant, 0, 2, 0.1) == pytest.approx([0.1, 0.1])
    down = schedules.rates(schedules.staircase, 1, 7, 1.0)
    assert down == pytest.approx([0, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_one_cycle_is_that_of_pytorch():
    warmup, total = 3, 11
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
    # PyTorch counts from the other end: its rise ends at step pct_start * total_steps - 1, its fall at total_steps - 1
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.5, total_steps=total + 1, pct_start=(warmup + 1) / (total + 1)
    )
    seen = []
    for _ in range(total):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    assert schedules.rates(schedules.one_cycle, warmup, total, 0.5) == pytest.approx(seen)


def test_every_schedule_is_tried_with_its_rates_and_drawn_beside_the_outcome():
    tried = []

    def try_out(rates):
        tried.append(list(rates))
        return [0.5, 0.7]

    left, right = schedules.schedules({"mine": line}, try_out, **SETTINGS).axes
    assert [list(curve.get_ydata()) for curve in left.lines] == tried and len(tried) == 4
    assert tried[-1] == pytest.approx([0.1 * (1 - step / 8) for step in range(8)])
    assert [bar.get_width() for bar in right.patches] == pytest.approx([60] * 4)
    assert [label.get_text() for label in right.get_yticklabels()][-1] == "mine"


def test_the_warmup_stays_shorter_than_the_whole(monkeypatch):
    asked = []
    monkeypatch.setattr(plt, "show", lambda: None)
    warmup, total, rate, _picture = schedules.sliders(lambda *setting: asked.append(setting), 6, 10, 0.1).children
    assert asked == [(6, 10, 0.1)]
    total.value = 8
    assert warmup.max == 7 and asked[-1] == (6, 8, 0.1)
    warmup.value = 7
    rate.value = 0.01
    assert asked[-1] == (7, 8, 0.01)
    total.value = 16
    total.value = 8
    assert all(setting[0] < setting[1] for setting in asked)
    assert all(knob.description for knob in (warmup, total, rate))


def test_nothing_is_tried_while_a_notebook_is_graded(monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")

    def never(rates):
        raise AssertionError

    assert schedules.schedules({"mine": line}, never, **SETTINGS) is None
