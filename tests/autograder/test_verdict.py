"""Points are what nbgrader's rule gives, held within the cell's points; words come from the check."""

from typing import Any

import numpy as np
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_output
from nbgrader.utils import determine_grade

from autograder.judge.remote import LearnerError, LearnerExit
from autograder.shell import CellRun
from autograder.verdict import CHECK_MIME, STATES, State, Verdict, judge, points_of

TOO_MUCH = "The code asked for more memory than it may have (memory_mib)."


def stock(value: str | None, points: float) -> float:
    cell: NotebookNode = new_code_cell("")
    cell.metadata["nbgrader"] = {"grade": True, "solution": False, "points": points, "grade_id": "t"}
    if value is not None:
        cell.outputs = [new_output("execute_result", data={"text/plain": value}, execution_count=1)]
    return float(determine_grade(cell)[0])


@pytest.mark.parametrize(
    "value",
    [
        None,
        "0",
        "0.0",
        "1",
        "2.5",
        "3",
        "'2'",
        "[1]",
        "True",
        "-1",
        "-0.5",
        "np.float64(1.5)",
        "array(1.)",
        "1e0",
        " 2 ",
    ],
)
def test_points_are_stock_nbgraders(value: str | None) -> None:
    expected = stock(value, 3)
    assert points_of(value, 3) == (0 if value in ("-1", "-0.5") else expected)


def test_points_that_stock_nbgrader_stumbles_over_are_held_in_bounds() -> None:
    assert (
        points_of("nan", 3) == 0 and points_of("inf", 3) == 3 and points_of("-inf", 3) == 0 and points_of("7", 3) == 3
    )
    with pytest.raises(ValueError):
        stock("7", 3)


def test_numbers_of_numpy_print_as_numpy_prints_them() -> None:
    """nbgrader reads the text of the last value: numpy 2 scalars are no plain number to it, here as there."""
    assert points_of(repr(np.float64(1)), 3) == stock(repr(np.float64(1)), 3)


def said(**words: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "data": {CHECK_MIME: words}, "metadata": {}}


@pytest.mark.parametrize(
    ("run", "state", "points", "message"),
    [
        (CellRun(), State.PASSED, 4, "Every test passed."),
        (CellRun(value="4.0"), State.PASSED, 4, "Every test passed."),
        (CellRun(value="1.5"), State.PARTIAL, 1.5, "Some of the tests passed."),
        (CellRun(value="0"), State.FAILED, 0, ""),
        (CellRun(value="nan"), State.FAILED, 0, ""),
        (CellRun(error=AssertionError("3 is not 4")), State.FAILED, 0, "3 is not 4"),
        (CellRun(error=AssertionError()), State.FAILED, 0, "A test found a wrong answer."),
        (CellRun(error=NotImplementedError()), State.NOT_ATTEMPTED, 0, "Not attempted yet."),
        (
            CellRun(error=MemoryError()),
            State.MEMORY,
            0,
            "The code asked for more memory than it may have (memory_mib).",
        ),
        (CellRun(error=KeyError("k")), State.ERROR, 0, "KeyError: 'k'"),
        (CellRun(error=LearnerError("Odd: why")), State.ERROR, 0, "Odd: why"),
        (CellRun(error=LearnerExit("SystemExit: 0")), State.ERROR, 0, "SystemExit: 0"),
        (CellRun(error=SyntaxError("bad"), value="4"), State.ERROR, 0, "SyntaxError: bad"),
        (CellRun([said(state="wrong", message="m")], AssertionError("a")), State.FAILED, 0, "m"),
        (CellRun([said(state="too slow", message="m")], AssertionError("a")), State.TIMEOUT, 0, "m"),
        (CellRun([said(state="not attempted", message="m")], AssertionError("a")), State.NOT_ATTEMPTED, 0, "m"),
        (CellRun([said(state="wrong", message="m")], value="3.0"), State.PARTIAL, 3, "m"),
        (CellRun([said(state="right", message="m")], value="4.0"), State.PASSED, 4, "m"),
        (CellRun([said(state="right", message="m", points=4)], AssertionError("a")), State.FAILED, 0, "m"),
        (CellRun([said(state="right", message="m", points=4)], value="0.0"), State.FAILED, 0, "m"),
        (CellRun([said(state="?", message=5, points=4)], value="0.0"), State.FAILED, 0, "5"),
        (
            CellRun([said(state="wrong", message="first"), said(state="error", message="last")], ValueError()),
            State.ERROR,
            0,
            "last",
        ),
        (
            CellRun([{"output_type": "stream", "name": "stderr", "text": "a warning"}]),
            State.PASSED,
            4,
            "Every test passed.",
        ),
    ],
)
def test_a_run_has_one_verdict(run: CellRun, state: State, points: float, message: str) -> None:
    verdict = judge("t", 4.0, run)
    assert (verdict.state, verdict.points, verdict.message, verdict.max_points) == (state, points, message, 4.0)


def test_the_misconception_is_kept_and_words_are_made_harmless() -> None:
    bad = "\x1b[31mred\x07 \ud800" + "x" * 10_000
    verdict = judge("t", 4.0, CellRun([said(state="wrong", message=bad, misconception="left-right")], AssertionError()))
    assert verdict.misconception == "left-right"
    assert verdict.message.isprintable() and "red" in verdict.message and len(verdict.message) < 2100
    verdict.message.encode()


def test_a_cell_of_no_points_can_be_passed_and_failed() -> None:
    assert judge("t", 0.0, CellRun()).state is State.PASSED
    assert judge("t", 0.0, CellRun(error=AssertionError("no"))).state is State.FAILED


def test_a_verdict_survives_its_way_as_data() -> None:
    verdict = Verdict("t", State.PARTIAL, 1.5, 3.0, "m", "idea")
    assert Verdict.from_dict(verdict.as_dict()) == verdict
    assert set(STATES) == set(State)
