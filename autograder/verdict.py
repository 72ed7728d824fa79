"""What is said of one test cell: a state, points, a message.

A verdict is made in the judge, from what the test cell did there. A check may say more than an exception can:
it displays a MIME bundle under :data:`CHECK_MIME`, a JSON object with the keys ``state`` (one of
:data:`CHECK_STATES`), ``message`` and ``misconception``. Points are never taken from it: they are what the
test cell earned by nbgrader's rules.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from autograder import outputs
from autograder.shell import CellRun

CHECK_MIME = "application/vnd.finetuning-from-zero.verdict+json"


class State(StrEnum):
    """How a test cell ended."""

    PASSED = "passed"
    PARTIAL = "partial"
    FAILED = "failed"
    NOT_ATTEMPTED = "not attempted"
    ERROR = "error"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    CRASHED = "crashed"
    UNREADABLE = "unreadable"


STATES = {
    State.PASSED: "every point was earned",
    State.PARTIAL: "some points were earned, by a test that awards parts",
    State.FAILED: "the test found a wrong answer",
    State.NOT_ATTEMPTED: "the learner's cell is still the stub",
    State.ERROR: "the learner's code raised an exception",
    State.TIMEOUT: "the learner's code was still running when its time, or its processor time, was up",
    State.MEMORY: "the learner's code asked for more memory than it may have, or its processes took more together",
    State.CRASHED: "the learner's process ended before the test did",
    State.UNREADABLE: "the submitted notebook could not be read",
}

# A test that did not end by itself, or had nothing to run.
CUT_SHORT = frozenset({State.TIMEOUT, State.MEMORY, State.CRASHED, State.UNREADABLE})

# How an error that is no MemoryError says that there was no memory: the system's words, and torch's.
NO_MEMORY = ("Cannot allocate memory", "can't allocate memory")

CHECK_STATES = {
    "right": State.PASSED,
    "wrong": State.FAILED,
    "error": State.ERROR,
    "too slow": State.TIMEOUT,
    "not attempted": State.NOT_ATTEMPTED,
}


@dataclass(frozen=True)
class Verdict:
    """What one test cell earned, and why.

    ``tamper_proof`` is False where the test ran beside the learner's code, which may then have written the verdict.
    ``message`` and ``misconception`` are for learners too; ``hidden_message``, what a hidden test said, is for graders.
    """

    grade_id: str
    state: State
    points: float
    max_points: float
    message: str = ""
    misconception: str | None = None
    tamper_proof: bool = True
    hidden_message: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return vars(self) | {"state": str(self.state)}

    @classmethod
    def from_dict(cls, said: dict[str, Any]) -> Verdict:
        return cls(**{**said, "state": State(said["state"])})


def points_of(value: str | None, max_points: float) -> float:
    """nbgrader's rule for a test cell that raised nothing: its last value, if a number, is partial credit.

    Where stock nbgrader gives full marks to a negative number or fails on one that is too large, the points
    are held between 0 and ``max_points``; NaN earns nothing.
    """
    try:
        number = float(value) if value is not None else max_points
    except ValueError:
        return max_points
    return 0.0 if math.isnan(number) else min(max(number, 0.0), max_points)


def judge(grade_id: str, max_points: float, run: CellRun) -> Verdict:
    """The verdict on a test cell that ran in the judge."""
    points = 0.0 if run.error is not None else points_of(run.value, max_points)
    said = _said(run)
    if said is not None:
        state = CHECK_STATES.get(str(said.get("state")), State.FAILED)
        message, misconception = str(said.get("message", "")), said.get("misconception")
    elif run.error is None:
        state, message, misconception = State.FAILED, "", None
    else:
        state, message = _of_error(run.error)
        misconception = None
    if points == max_points and run.error is None:
        state, message = State.PASSED, message or "Every test passed."
    elif points > 0:
        state, message = State.PARTIAL, message or "Some of the tests passed."
    elif state is State.PASSED:  # a check that says "right" and raises, or earns nothing, is not right
        state = State.FAILED
    idea = outputs.message(str(misconception)) if misconception else None
    return Verdict(grade_id, state, points, max_points, outputs.message(message), idea)


def _said(run: CellRun) -> dict[str, Any] | None:
    """The words of the check that the cell called last."""
    for output in reversed(run.outputs):
        said = output.get("data", {}).get(CHECK_MIME)
        if isinstance(said, dict):
            return said
    return None


def _of_error(error: BaseException) -> tuple[State, str]:
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if type(error).__name__ in (
        "LearnerError",
        "LearnerExit",
        "LearnerSystemExit",
    ):  # their text starts with the class that was raised
        return State.ERROR, str(error)
    if isinstance(error, AssertionError):
        return State.FAILED, str(error) or "A test found a wrong answer."
    if isinstance(error, NotImplementedError):
        return State.NOT_ATTEMPTED, "Not attempted yet."
    if isinstance(error, MemoryError) or any(words in text for words in NO_MEMORY):
        return State.MEMORY, "The code asked for more memory than it may have (memory_mib)."
    return State.ERROR, text
