"""The confusion matrix whose cells open."""

import matplotlib
import pytest
import torch

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from course.widgets import confusion

CLASSES = ("cat", "dog", "owl")
LABELS = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2])
ANSWERS = torch.tensor([0, 2, 2, 1, 0, 2, 2, 1])
IMAGES = torch.arange(8, dtype=torch.uint8).view(8, 1, 1, 1).expand(8, 1, 3, 4)  # each shows its own number


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def opened(figure) -> list[int]:
    """Which images are shown beside the matrix."""
    return [int(axis.images[0].get_array()[0, 0]) for axis in figure.axes[1].child_axes]


def test_a_row_is_what_is_shown_and_a_column_what_it_was_called():
    matrix = confusion.confusion_matrix(LABELS, ANSWERS, 3)
    assert matrix.tolist() == [[1, 0, 2], [1, 1, 0], [0, 1, 2]]
    assert confusion.commonest_mistake(matrix) == (0, 2)


def test_the_figure_opens_the_commonest_mistake():
    figure = confusion.confusion(IMAGES, LABELS, ANSWERS, CLASSES)
    assert opened(figure) == [1, 2]
    assert figure.axes[1].get_title("left") == "2 pictures of “cat”, called “owl”"
    assert (figure.axes[0].get_ylabel(), figure.axes[0].get_xlabel()) == ("shows", "called")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(CLASSES)


def test_no_mistake_at_all_still_draws():
    assert opened(confusion.confusion(IMAGES, LABELS, LABELS, CLASSES)) == []


def test_a_full_cell_says_how_many_are_left_out():
    many = torch.zeros(40, dtype=torch.int64)
    figure = confusion.confusion(IMAGES[:1].expand(40, 1, 3, 4), many, many + 1, CLASSES)
    assert figure.axes[1].get_title("left") == "40 pictures of “cat”, called “dog”\nthe first 15:"
    assert len(opened(figure)) == 15


def test_a_choice_opens_its_cell(monkeypatch):
    seen = []
    monkeypatch.setattr(plt, "show", lambda: seen.append(opened(plt.gcf())))
    row, _picture = confusion.chooser(IMAGES, LABELS, ANSWERS, CLASSES).children
    true, called = row.children
    assert seen == [[1, 2]] and true.description == "shows" and called.description == "called"
    true.value = 2
    called.value = 1
    assert seen[-1] == [7]


def test_nothing_while_a_notebook_is_graded(monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert confusion.confusion(IMAGES, LABELS, ANSWERS, CLASSES) is None
