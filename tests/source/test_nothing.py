"""Answers that do nothing earn nothing: not for leaving all as it was, nor for finding no fault with what has none."""

import math
from typing import Any

import pytest
import torch
from IPython.utils.capture import capture_output

from course.exercise import NothingEarned


def nothing(*args: Any, **kwargs: Any) -> None:
    """None."""


def no_number(*args: Any, **kwargs: Any) -> float:
    return math.nan


def zero(*args: Any, **kwargs: Any) -> float:
    return 0.0


def one(*args: Any, **kwargs: Any) -> int:
    return 1


def yes(*args: Any, **kwargs: Any) -> bool:
    return True


def an_empty_list(*args: Any, **kwargs: Any) -> list:
    return []


def an_empty_dict(*args: Any, **kwargs: Any) -> dict:
    return {}


def no_text(*args: Any, **kwargs: Any) -> str:
    return ""


def what_came_first(*args: Any, **kwargs: Any) -> Any:
    return next(iter([*args, *kwargs.values()]), None)


def what_came_last(*args: Any, **kwargs: Any) -> Any:
    return [None, *args, *kwargs.values()][-1]


def all_that_came(*args: Any, **kwargs: Any) -> tuple:
    return (*args, *kwargs.values())


def two_of_what_came(*args: Any, **kwargs: Any) -> tuple:
    return (*args, *kwargs.values())[:2]


def zeros(*args: Any, **kwargs: Any) -> torch.Tensor:
    """Like the first tensor."""
    return next(
        (torch.zeros_like(v) for v in (*args, *kwargs.values()) if isinstance(v, torch.Tensor)), torch.zeros(())
    )


def ones(*args: Any, **kwargs: Any) -> torch.Tensor:
    return torch.ones_like(zeros(*args, **kwargs))


def two_zeros(*args: Any, **kwargs: Any) -> tuple:
    """Like the first two things that came, if they are tensors."""
    return tuple(torch.zeros_like(v) for v in (*args, *kwargs.values()) if isinstance(v, torch.Tensor))[:2]


def zero_for_each(*args: Any, **kwargs: Any) -> list:
    """A list as long as the longest that came."""
    return [0.0] * max((len(v) for v in (*args, *kwargs.values()) if isinstance(v, list)), default=0)


ANSWERS = (nothing, no_number, zero, one, yes, an_empty_list, an_empty_dict, no_text, what_came_first, what_came_last)
ANSWERS += (all_that_came, two_of_what_came, zeros, ones, two_zeros, zero_for_each)


@pytest.fixture(scope="module")
def names(lesson) -> dict[str, Any]:
    """What the lesson's own cells define, the solutions among it."""
    lesson.module("checks")
    found: dict[str, Any] = {"__name__": "lesson"}
    with capture_output():
        for cell in lesson.notebook.cells:
            meta = cell.metadata.get("nbgrader", {})
            if cell.cell_type == "code" and not meta.get("grade") and (meta.get("locked") or meta.get("solution")):
                exec(compile(cell.source, lesson.name, "exec"), found)
    return found


@pytest.mark.parametrize("hidden", [False, True], ids=["at home", "graded"])
def test_doing_nothing_earns_nothing(lesson, names, hidden):
    earned = []
    for cell in lesson.cells(grade=True, solution=False):
        cases, _, call = cell.source.strip().rpartition("\n")  # hidden cases, then check_this(this)
        if hidden:
            exec(compile(cases, lesson.name, "exec"), names)
        exercise = call.partition("(")[2].rstrip(")")
        solution = names[exercise]
        for answer in ANSWERS:
            names[exercise] = answer
            with capture_output():
                try:
                    points = eval(compile(call, lesson.name, "eval"), names)
                except NothingEarned:
                    points = 0.0
            if points:
                earned.append(f"{exercise}, {answer.__name__}: {points:g}")
        names[exercise] = solution
    assert not earned, "\n".join(earned)
