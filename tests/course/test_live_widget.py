"""A training run to watch, and to stop."""

import itertools
import threading

import matplotlib
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from course.widgets import live

SETTINGS = {"rates": (0.1, 2.0), "epochs": 3, "measured": "accuracy (%)", "top": 3.0}
PATIENCE = 60  # seconds; a test that waits that long has failed


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


class Training:
    """Stands for a run: counts the epochs that were trained, and trains one when it is let."""

    def __init__(self, *, free: bool = True) -> None:
        self.epochs = 0
        self.go = itertools.repeat(None) if free else iter(self.wait, None)
        self.turn = threading.Semaphore(0)

    def wait(self) -> bool:
        return self.turn.acquire(timeout=PATIENCE)

    def __call__(self, rate: float):
        for _ in self.go:
            self.epochs += 1
            yield rate / self.epochs, 0.25 * self.epochs


class Panel:
    """The widget's parts, and what it says."""

    def __init__(self, start: live.Start, epochs: int = 4) -> None:
        self.drawn = []
        widget = live.buttons(lambda axes, runs: self.drawn.append([list(run.loss) for run in runs]), start, 1.0, 1)
        self.rate, self.length, row, self.picture = widget.children
        self.train, self.stop, self.bar, self.said = row.children
        self.length.value = epochs
        self.over = threading.Event()
        self.stop.observe(lambda change: self.over.set() if change["new"] else None, "disabled")


def test_the_fixed_figure_shows_every_run():
    def falling(rate: float):
        for epoch in itertools.count(1):
            yield rate / epoch, 0.25 * epoch

    left, right = live.training(falling, **SETTINGS).axes
    assert list(left.lines[0].get_ydata()) == pytest.approx([0.1, 0.05, 0.1 / 3])
    assert list(left.lines[1].get_ydata()) == pytest.approx([2, 1, 2 / 3])
    assert list(right.lines[0].get_ydata()) == pytest.approx([25, 50, 75])
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["rate 0.1", "rate 2"]


def test_a_run_is_asked_for_no_more_epochs_than_wanted():
    training = Training()
    live.training(training, **SETTINGS | {"rates": (0.1,)})
    assert training.epochs == 3


def test_to_interrupt_the_kernel_keeps_what_was_trained():
    def interrupted(rate: float):
        yield 2.0, 0.1
        yield 1.0, 0.2
        raise KeyboardInterrupt

    left, _right = live.training(interrupted, **SETTINGS).axes
    assert [list(line.get_ydata()) for line in left.lines] == [[2.0, 1.0]]


def test_train_runs_to_the_end_and_says_so():
    panel = Panel(training := Training())
    assert panel.said.value == "Not started yet." and panel.stop.disabled
    panel.train.click()
    assert panel.over.wait(PATIENCE)
    assert training.epochs == panel.bar.value == panel.bar.max == 4
    assert panel.said.value.startswith("Done: 4 epochs in ") and not panel.train.disabled
    assert panel.drawn[-1] == [[1.0, 0.5, pytest.approx(1 / 3), 0.25]]
    assert bytes(panel.picture.value).startswith(b"\x89PNG")


def test_stop_ends_the_run_after_its_epoch_and_keeps_it():
    panel = Panel(training := Training(free=False))
    reached = threading.Event()
    panel.bar.observe(lambda change: reached.set() if change["new"] == 2 else None, "value")
    panel.train.click()
    assert panel.train.disabled and not panel.stop.disabled
    training.turn.release(2)
    assert reached.wait(PATIENCE)
    panel.stop.click()
    training.turn.release(1)  # the epoch that may be under way
    assert panel.over.wait(PATIENCE)
    assert training.epochs in (2, 3)
    assert panel.said.value == f"Stopped after epoch {training.epochs} of 4."
    assert len(panel.drawn[-1][0]) == training.epochs


def test_the_time_left_is_said_while_it_runs():
    panel = Panel(training := Training(free=False))
    said = []
    panel.said.observe(lambda change: said.append(change["new"]), "value")
    panel.train.click()
    training.turn.release(4)
    assert panel.over.wait(PATIENCE)
    assert [text for text in said if text.startswith("Epoch 2 of 4, ") and text.endswith(" left.")]


def test_runs_stay_in_the_picture_as_long_as_there_are_colours():
    panel = Panel(Training(), epochs=1)
    for rate in (1e-3, 1e-2, 1e-1, 1.0, 10.0):
        panel.rate.value = rate
        panel.over.clear()
        panel.train.click()
        assert panel.over.wait(PATIENCE)
    assert len(panel.drawn[-1]) == 4


def test_an_error_is_said_and_leaves_the_buttons_usable():
    def broken(rate: float):
        yield 1.0, 0.5
        raise ValueError("no such layer")

    panel = Panel(broken)
    panel.train.click()
    assert panel.over.wait(PATIENCE)
    assert panel.said.value == "The training raised ValueError: no such layer"
    assert not panel.train.disabled and panel.drawn[-1] == [[1.0]]


def test_every_control_says_what_it_is_for():
    panel = Panel(Training())
    assert all(control.description for control in (panel.rate, panel.length, panel.train, panel.stop))


def test_nothing_is_trained_while_a_notebook_is_graded(monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert live.training(training := Training(), **SETTINGS) is None
    assert training.epochs == 0
