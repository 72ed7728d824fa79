"""What to run of one submitted notebook, where, and in which order: :mod:`autograder.submission` makes it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from autograder import hidden
from autograder.hidden import Delimiters
from autograder.names import Names


@dataclass(frozen=True)
class Step:
    """One cell of the graded notebook, and the code of it that each side runs (None: nothing)."""

    cell: Any  # as the graded notebook shows it, a NotebookNode; a judge has none
    judge: str | None = None
    sandbox: str | None = None
    grade_id: str | None = None  # of a test cell
    points: float = 0.0  # of a test cell; one that the sandbox runs, and no judge, is not tamper-proof
    uses: Names = field(default_factory=Names)  # of the judge's code


@dataclass(frozen=True)
class Plan:
    """A submission's notebook, ready to run.

    ``wanted``: names that judge cells read and the learner may define; ``learners``: names that belong to the
    learner even where Python or an instructor's cell has them too; ``instructors``: names that judge cells bind,
    which are never the learner's otherwise; ``watched``: names that a test's assignment changes for the learner's
    code too; ``written``: files that the reference solution writes, by their names; ``swallows``: whether it may end
    an error in a ``with`` statement; ``seeds``: whether it seeds random generators; ``classes``: what each of its
    classes has; ``unattempted``: test cells whose answer is the stub; ``timed``: whether tests may look at how long the
    learner's code takes.
    """

    steps: list[Step]
    wanted: list[str]
    learners: list[str]
    instructors: frozenset[str]
    watched: list[str]
    written: frozenset[str] = frozenset()
    swallows: bool = False
    seeds: bool = False
    classes: dict[str, frozenset[str]] = field(default_factory=dict)
    unattempted: frozenset[str] = field(default_factory=frozenset)
    timed: bool = False
    manual: tuple[tuple[str, float, bool], ...] = ()  # grade_id, points, unchanged from the release
    delimiters: Delimiters = hidden.DEFAULT  # what marks hidden tests
    untouched: frozenset[str] = frozenset()  # grade_ids of all answers that are as they were released

    @property
    def opening(self) -> int:
        """How many steps come before anything of the learner's: both sides run the instructor's cells, as they are."""
        opening = 0
        for index, step in enumerate(self.steps):
            if step.grade_id is not None or step.judge != step.sandbox:
                break
            if step.judge is not None:
                opening = index + 1
        return opening

    def groups(self, start: int) -> list[list[int]]:
        """The cells that a sandbox runs from ``start`` on, as indices of steps.

        Cells of the learner's with nothing for a judge between them are one group, however many they are.
        """
        groups: list[list[int]] = []
        open_ = False  # whether the next cell joins the last group
        for index, step in enumerate(self.steps[start:], start):
            if step.grade_id is not None:
                open_ = False
            elif step.sandbox is not None:
                if not open_ or step.judge is not None:
                    groups.append([])
                groups[-1].append(index)
                open_ = step.judge is None
        return groups

    def decides(self, start: int) -> Any:
        """What a judge's conduct follows from, apart from what a sandbox answers: all but the learner's own cells."""
        tests = [(i, (s.judge, s.sandbox, s.grade_id, s.points)) for i, s in enumerate(self.steps) if s.grade_id]
        groups = [(group[0], self._given(group[0])) for group in self.groups(start)]
        return start, tuple(what for _, what in sorted([*tests, *groups])), self.unattempted

    def _given(self, index: int) -> tuple[str | None, str | None]:
        """What of a group is the instructor's."""
        step = self.steps[index]
        return step.judge, step.sandbox if step.sandbox == step.judge else None

    def of_judge(self) -> Plan:
        """What of it a judge needs: everything but the cells."""
        return replace(self, steps=[replace(step, cell=None) for step in self.steps])
