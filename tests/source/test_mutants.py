"""Every mutant of every lesson gets the verdict that is meant for it: in a notebook's kernel, and in the judge.

Both run the lesson's own test cells, hidden cases included.
"""

import copy
import shutil
from collections import Counter
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_notebook
from nbgrader.utils import determine_grade

from autograder.grading import grade_notebook
from autograder.sandbox import isolation
from autograder.sandbox.warm import Warm
from autograder.submission import modules_to_warm, with_checksums
from autograder.verdict import CHECK_MIME
from course.mutants import Mutant

WRONG_AT_LEAST, RIGHT_AT_LEAST = 5, 2
MANY = 40  # mutants


def _by_exercise(lesson) -> dict[str, tuple[NotebookNode, NotebookNode]]:
    """The solution cell and the test cell of each exercise, by the name of its function."""
    pairs = {}
    for solution in lesson.cells(solution=True, grade=False):
        after = lesson.notebook.cells.index(solution)
        test = next(c for c in lesson.notebook.cells[after:] if c.metadata.get("nbgrader", {}).get("grade"))
        (name,) = [line.split("(")[0][4:] for line in solution.source.splitlines() if line.startswith("def ")]
        pairs[name] = (solution, test)
    return pairs


def _solved(lesson, some: list[Mutant]) -> NotebookNode:
    """A source notebook with the lesson's setup, then for each mutant its exercise, solved, and the test cell."""
    pairs = _by_exercise(lesson)
    cells = copy.deepcopy([c for c in lesson.cells(locked=True) if not c.metadata.nbgrader.grade])
    for number, mutant in enumerate(some):
        solution, test = copy.deepcopy(pairs[mutant.exercise])
        for kind, cell in (("cell", solution), ("mutant", test)):
            cell.metadata.nbgrader["grade_id"] = cell["id"] = f"{kind}-{number}"
        cells += [solution, test]
    return new_notebook(cells=cells, metadata=lesson.notebook.metadata)


def _trial(solved: NotebookNode, some: list[Mutant]) -> NotebookNode:
    """What was submitted: that notebook with the mutants in the places of the solutions."""
    submitted = copy.deepcopy(solved)
    answers = [c for c in submitted.cells if c.metadata.nbgrader.solution]
    for mutant, cell in zip(some, answers, strict=True):
        cell.source = mutant.cell()
    return submitted


@pytest.fixture(scope="module")
def folder(lesson, tmp_path_factory) -> Path:
    """What the assignment ships, in a folder of its own."""
    made = tmp_path_factory.mktemp(lesson.name)
    for path in lesson.folder.glob("*_checks.py"):
        shutil.copy(path, made)
    return made


def _said(outputs: list[NotebookNode]) -> dict:
    """The words of the one card among a cell's outputs."""
    cards = [o.data[CHECK_MIME] for o in outputs if CHECK_MIME in o.get("data", {})]
    return cards[0] if len(cards) == 1 else {"state": f"{len(cards)} cards", "points": None, "outputs": outputs}


def _judge(mutant: Mutant, points: float, most: float, said: dict) -> str | None:
    """What is wrong with the verdict on a mutant, if anything."""
    if mutant.misconception is None:
        fine = points == most and said["state"] == "right"
    else:
        fine = points < most and said["state"] == "wrong" and said["misconception"] == mutant.misconception
    if fine and points == said["points"]:
        return None
    return f"{mutant.exercise}/{mutant.name} ({mutant.misconception}): {points:g} of {most:g}, {said}"


def test_there_are_enough_of_them(lesson):
    wrong = Counter(m.exercise for m in lesson.mutants if m.misconception)
    right = Counter(m.exercise for m in lesson.mutants if not m.misconception)
    for exercise in _by_exercise(lesson):
        assert wrong[exercise] >= WRONG_AT_LEAST, exercise
        assert right[exercise] >= RIGHT_AT_LEAST, exercise


def test_their_names_differ(lesson):
    names = Counter((m.exercise, m.name) for m in lesson.mutants)
    assert [name for name, count in names.items() if count > 1] == []


def test_in_a_notebook(lesson, folder):
    notebook = _trial(_solved(lesson, lesson.mutants), lesson.mutants)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=120, allow_errors=True, resources=resources).execute()
    tests = [c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade")]
    found = []
    for mutant, cell in zip(lesson.mutants, tests, strict=True):
        points, most = determine_grade(cell)
        found.append(_judge(mutant, points, most, _said(cell.outputs)))
        assert not [o for o in cell.outputs if o.get("name") == "stderr"], f"{mutant.name}: a check is silent there"
    assert [text for text in found if text] == []


def test_in_the_judge(lesson, folder, tmp_path):
    """Many in a notebook: a fork for each would cost more. Not all: a test looks through what earlier ones left."""
    found = []
    isolate = isolation.why_not() is None
    with Warm(modules_to_warm(with_checksums(_solved(lesson, lesson.mutants)))) as process:
        for first in range(0, len(lesson.mutants), MANY):
            some = list(lesson.mutants)[first : first + MANY]
            solved, submission = _solved(lesson, some), tmp_path / f"{first}.ipynb"
            nbformat.write(_trial(solved, some), submission)
            report = grade_notebook(with_checksums(solved), submission, files=folder, process=process, isolate=isolate)
            tests = [c for c in report.notebook.cells if c.metadata.get("nbgrader", {}).get("grade")]
            found += [
                _judge(mutant, verdict.points, verdict.max_points, _said(cell.outputs))
                for mutant, verdict, cell in zip(some, report.verdicts, tests, strict=True)
            ]
    assert len(found) == len(lesson.mutants)
    assert [text for text in found if text] == []
