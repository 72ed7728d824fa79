"""nbgrader's own example course and its own test notebooks: graded by stock nbgrader and by this grader.

Two copies of one course directory, one for each; then every cell of the two gradebooks is compared.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbgrader
import pytest
from click.testing import CliRunner
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI

from autograder import gradebook, layout
from autograder.cli import main
from autograder.sandbox import isolation

NBGRADER = Path(nbgrader.__file__).parent
EXAMPLE = NBGRADER / "docs" / "source" / "user_guide"
APPS = NBGRADER / "tests" / "apps" / "files"
PREPROCESSORS = NBGRADER / "tests" / "preprocessors" / "files"

CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "course101"
c.Execute.timeout = 6
"""


@dataclass(frozen=True)
class Work:
    """An assignment: its notebook, the files beside it, and the notebooks that are submitted; None is the release."""

    source: Path
    submitted: tuple[Path | None, ...]
    files: tuple[Path, ...] = ()


WORK = {
    "changed": Work(
        APPS / "submitted-unchanged.ipynb",
        (
            *sorted(APPS.glob("submitted-*.ipynb")),
            PREPROCESSORS / "submitted-answer-cell-type-changed.ipynb",
            PREPROCESSORS / "submitted-grade-cell-type-changed.ipynb",
        ),
    ),
    "squares": Work(
        APPS / "test.ipynb",
        (
            None,
            *(APPS / f"{name}.ipynb" for name in ("test", "test-with-output", "test-hidden-tests")),
        ),
    ),
    "old": Work(APPS / "test.ipynb", (APPS / "test-v2.ipynb",)),
    "hidden": Work(APPS / "test-hidden-tests.ipynb", (None, APPS / "test-hidden-tests.ipynb")),
    "task": Work(PREPROCESSORS / "test_taskcell.ipynb", (None, PREPROCESSORS / "test_taskcell.ipynb")),
    "manual": Work(PREPROCESSORS / "manually-graded-code-cell.ipynb", (None,)),
    "relative": Work(APPS / "open_relative_file.ipynb", (None,), (APPS / "data.txt",)),
    "timeout": Work(APPS / "timeout.ipynb", (None, APPS / "timeout.ipynb")),
    "zero": Work(APPS / "validation-zero-points.ipynb", (None,)),
    **{
        f"autotest-{kind}": Work(
            APPS / f"autotest-{kind}.ipynb",
            (None, *sorted(APPS.glob(f"autotest-{kind}-*.ipynb"))),
            (APPS / "autotests.yml",),
        )
        for kind in ("simple", "multi", "hashed", "hidden")
    },
}

# What stock nbgrader refuses to grade, or leaves to a person though nothing was submitted: the points here, and why.
ON_PURPOSE: dict[tuple[str, str], tuple[str, dict[str, float | None]]] = {
    ("changed", "submitted-answer-cell-type-changed"): (
        "stock ends the grading at an answer whose type was changed",
        {"foo": 1, "bar": 0, "baz": 0, "quux": 0},
    ),
    ("changed", "submitted-grade-cell-type-changed"): (
        "stock ends the grading at a test whose type was changed",
        {"foo": 1, "bar": 0, "baz": 0, "quux": 0},
    ),
    ("old", "test-v2"): (
        "stock ends the grading of everybody at metadata of an older nbgrader",
        {
            "correct_squares": 1,
            "squares_invalid_input": 1,
            "correct_sum_of_squares": 0.5,
            "sum_of_squares_uses_squares": 0.5,
            "sum_of_squares_equation": None,
            "sum_of_squares_application": None,
        },
    ),
    ("squares", "test-hidden-tests"): (
        "stock has a person grade answers that were deleted; here they are no response",
        {
            "correct_squares": 0,
            "squares_invalid_input": 1,
            "correct_sum_of_squares": 0,
            "sum_of_squares_uses_squares": 0.5,
            "sum_of_squares_equation": 0,
            "sum_of_squares_application": 0,
        },
    ),
}

Scores = dict[tuple[str, str, str, str], dict[str, Any]]


def _nbgrader(root: Path, *words: str, fails: bool = False) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "JUPYTER_CONFIG_DIR": str(root / ".jupyter"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *words], cwd=root, env=environment, capture_output=True, text=True
    )
    assert fails or done.returncode == 0, done.stderr


def _this_grader(root: Path, assignment: str, *words: str) -> str:
    shut = [] if isolation.why_not() is None else ["--isolation=none"]
    done = CliRunner().invoke(main, ["grade", assignment, "--course-dir", str(root), *shut, *words])
    assert done.exit_code == 0, done.output
    return done.output


def _scores(root: Path) -> Scores:
    """Of every cell that the gradebook has of every submission: its scores, and its comment."""
    found: Scores = {}
    with Gradebook(f"sqlite:///{root}/gradebook.db", "course101") as book:
        for assignment in book.assignments:
            for submission in assignment.submissions:
                for notebook in submission.notebooks:
                    where = (assignment.name, submission.student.id, notebook.name)
                    for grade in notebook.grades:
                        kept = {"score": grade.auto_score, "of": grade.max_score, "person": grade.needs_manual_grade}
                        found.setdefault((*where, grade.name), {}).update(kept)
                    for comment in notebook.comments:
                        found.setdefault((*where, comment.name), {}).update(comment=comment.auto_comment)
    return found


def _differences(stock: Path, ours: Path) -> list[str]:
    theirs, here = _scores(stock), _scores(ours)
    return [
        f"{cell}: stock {theirs.get(cell)}, here {here.get(cell)}"
        for cell in sorted(theirs.keys() | here.keys())
        if theirs.get(cell) != here.get(cell) and cell[:2] not in ON_PURPOSE
    ]


def test_the_example_course(tmp_path: Path) -> None:
    """nbgrader's quickstart course, and the two submissions that its user guide grades."""
    _nbgrader(tmp_path, "quickstart", "course101")
    stock = tmp_path / "course101"
    _nbgrader(stock, "generate_assignment", "ps1")
    shutil.copytree(EXAMPLE / "submitted", stock / "submitted", ignore=shutil.ignore_patterns("__pycache__"))
    ours = tmp_path / "ours"
    shutil.copytree(stock, ours)
    _nbgrader(stock, "autograde", "ps1")
    _this_grader(ours, "ps1")
    assert len(_scores(ours)) == 2 * len({cell[2:] for cell in _scores(ours)}) > 10
    assert not _differences(stock, ours)


@pytest.fixture(scope="module")
def courses(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The course of nbgrader's test notebooks, graded by stock nbgrader, and again by this grader."""
    stock = tmp_path_factory.mktemp("stock")
    (stock / "nbgrader_config.py").write_text(CONFIG)
    course = layout.open_course(stock)
    gradebook.open_gradebook(course).close()  # puts alembic on the path, as nbgrader expects it
    api = NbGraderAPI(course, config=course.parent.config)
    for name, work in WORK.items():
        source = stock / "source" / name
        source.mkdir(parents=True)
        shutil.copyfile(work.source, source / "p1.ipynb")
        for file in work.files:
            shutil.copyfile(file, source / file.name)
        done = api.generate_assignment(name)
        assert done["success"], done
        for submitted in work.submitted:
            folder = stock / "submitted" / (submitted.stem if submitted else "untouched") / name
            folder.mkdir(parents=True)
            shutil.copyfile(submitted or stock / "release" / name / "p1.ipynb", folder / "p1.ipynb")
    ours = tmp_path_factory.mktemp("ours") / "course"
    shutil.copytree(stock, ours)
    for name in WORK:
        api.autograde(name, "*")  # what it could not grade has no scores
        _this_grader(ours, name)
    return stock, ours


@pytest.mark.slow
def test_the_notebooks_that_nbgrader_is_tested_with(courses: tuple[Path, Path]) -> None:
    assert not _differences(*courses)


@pytest.mark.slow
@pytest.mark.parametrize("which", ON_PURPOSE, ids="-".join)
def test_what_differs_on_purpose(courses: tuple[Path, Path], which: tuple[str, str]) -> None:
    stock, ours = ({c[3]: s for c, s in _scores(root).items() if c[:2] == which and "of" in s} for root in courses)
    assert stock != ours, "no difference any more"
    assert {cell: kept["score"] for cell, kept in ours.items()} == ON_PURPOSE[which][1]
