"""Stages to freeze, and what a step does to them."""

from collections import OrderedDict

import matplotlib
import pytest
import torch

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from torch import nn

from course.widgets import freezing

MODES = {"model.eval()": nn.Module.eval, "model.train()": nn.Module.train}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def model() -> nn.Sequential:
    torch.manual_seed(0)
    stem = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6))
    body = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5))
    return nn.Sequential(OrderedDict(stem=stem, body=body, head=nn.Linear(5, 3)))


@pytest.fixture
def photos() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(7, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0, 1, 2, 0])


def test_frozen_parameters_stay_and_statistics_move_in_training_mode(model, photos):
    step = freezing.take_step(model, photos, ["stem"], nn.Module.train)
    assert step.parameters == {"stem": 42, "body": 45, "head": 18}
    assert step.weights == {"stem": False, "body": True, "head": True}
    assert step.statistics == {"stem": True, "body": True, "head": None}
    assert step.memory.gradients == 4 * (45 + 18) == step.memory.optimizer


def test_everything_frozen_holds_nothing_and_moves_statistics_alone(model, photos):
    for set_mode, moves in ((nn.Module.train, True), (nn.Module.eval, False)):
        step = freezing.take_step(model, photos, ["stem", "body", "head"], set_mode)
        assert not any(step.weights.values()) and step.memory.total == 0
        assert step.statistics == {"stem": moves, "body": moves, "head": None}


def test_the_model_itself_stays_as_it_is(model, photos):
    model.stem.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    freezing.take_step(model, photos, ["head"], nn.Module.train)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [parameter.requires_grad for parameter in model.parameters()] == [False] * 4 + [True] * 6


def test_the_figure_says_what_is_trainable_what_moves_and_what_is_held(model, photos):
    figure = freezing.freezing(model, photos, MODES, shown=[(["stem", "body"], "model.train()"), ([], "model.eval()")])
    parameters, moves, memory, *_second = figure.axes
    assert [bar.get_width() for bar in parameters.patches] == pytest.approx([42e-6, 45e-6, 18e-6])
    assert moves.get_title("left").endswith("model.train()")
    filled = [dot.get_marker() == "o" and dot.get_markerfacecolor() != "none" for dot in moves.lines]
    assert filled == [False, False, True, True, True, False]
    saved, gradients, velocities = (bar.get_width() for bar in memory.patches)
    assert gradients == velocities == pytest.approx(4 * 18 / 1e6) and saved > 0
    assert len(figure.axes) == 6


def test_a_box_for_each_stage_freezes_it(monkeypatch):
    asked = []
    monkeypatch.setattr(plt, "show", lambda: None)
    row, mode, _picture = freezing.boxes(lambda *setting: asked.append(setting), ["stem", "head"], list(MODES)).children
    _label, stem, head = row.children
    assert asked == [(["stem"], "model.eval()")] and (stem.description, head.description) == ("stem", "head")
    head.value = True
    mode.value = "model.train()"
    stem.value = False
    assert asked[-1] == (["head"], "model.train()") and mode.description == "mode"


def test_a_setting_is_tried_once(model, photos, monkeypatch):
    taken = []
    take_step = freezing.take_step
    monkeypatch.setattr(freezing, "take_step", lambda *given: taken.append(given[2:]) or take_step(*given))
    freezing.freezing(
        model, photos, MODES, shown=[([], "model.eval()"), (["stem"], "model.eval()"), (["stem"], "model.eval()")]
    )
    assert len(taken) == 2


def test_no_step_is_taken_while_a_notebook_is_graded(model, photos, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")

    def never(model):
        raise AssertionError

    assert freezing.freezing(model, photos, {"never": never}, shown=[([], "never")]) is None
