"""A real nbgrader course, from generate_assignment to export, with this grader in the middle."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from click.testing import CliRunner, Result
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.plugins.export import CsvExportPlugin
from traitlets.config import Config

from autograder import gradebook, layout
from autograder.cli import main
from autograder.sandbox import isolation

CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "squares"
c.LateSubmissionPlugin.penalty_method = "zero"
c.Execute.timeout = 30
"""

SOLUTION = """def squares(n):
    ### BEGIN SOLUTION
    if n < 1:
        raise ValueError("n must be at least 1")
    return [i ** 2 for i in range(1, n + 1)]
    ### END SOLUTION"""

HIDDEN = """assert squares(1) == [1]
### BEGIN HIDDEN TESTS
assert squares(11)[-1] == 121
### END HIDDEN TESTS"""

RAISES = """try:
    squares(0)
except ValueError:
    pass
else:
    raise AssertionError("no error for 0")"""

PARTS = "sum(squares(n)[-1] == n * n for n in (1, 2, 10)) * 1.0"

RIGHT = "def squares(n):\n    assert n > 0 or exec('raise ValueError')\n    return [i * i for i in range(1, n + 1)]"
HALF = "def squares(n):\n    return [1, 4][:n]"
WRONG = "def squares(n):\n    return n"
ODD = "def squares(n):\n    raise RuntimeError('[/red] <script>')"


def students(released: Path, into: Path) -> None:
    """Submissions of all kinds, by students whose names say which."""

    def submit(student: str, notebook: str, answer: str | bytes | None, essay: str | None = None) -> None:
        folder = into / student / "ps1"
        folder.mkdir(parents=True, exist_ok=True)
        when = "2026-02-01 12:00:00 UTC" if student == "late" else "2026-01-05 12:00:00 UTC"
        (folder / "timestamp.txt").write_text(when)
        if isinstance(answer, bytes):
            (folder / f"{notebook}.ipynb").write_bytes(answer)
            return
        made = nbformat.read(released / f"{notebook}.ipynb", as_version=4)
        for cell in made.cells:
            grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
            if grade_id == "squares" and answer is not None:
                cell.source = answer
            if grade_id == "why" and essay is not None:
                cell.source = essay
        nbformat.write(made, folder / f"{notebook}.ipynb")

    for student, answer in (("right", RIGHT), ("half", HALF), ("wrong", WRONG), ("untouched", None), ("late", RIGHT)):
        submit(student, "problem", answer, "Because." if student in ("right", "late") else None)
        if student != "half":
            submit(student, "more", None)
    submit("broken", "problem", b'{"cells": [')
    submit("broken", "more", None)
    submit("odd name", "problem", ODD)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory, cells: SimpleNamespace) -> SimpleNamespace:
    """The course directory after `autograder grade ps1`, and what that said."""
    root = tmp_path_factory.mktemp("course")
    (root / "nbgrader_config.py").write_text(CONFIG)
    source = root / "source" / "ps1"
    source.mkdir(parents=True)
    (source / "numbers.txt").write_text("1 2 3")
    problem = cells.notebook(
        cells.solution("squares", SOLUTION),
        cells.test("test-squares", HIDDEN, 2),
        cells.test("test-raises", RAISES, 1),
        cells.test("test-parts", PARTS, 3),
        cells.essay("why", "### BEGIN SOLUTION\nBecause.\n### END SOLUTION", 4),
    )
    more = cells.notebook(cells.locked("given", "x = 4"), cells.test("test-x", "assert x == 4", 1))
    for name, notebook in (("problem", problem), ("more", more)):
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, source / f"{name}.ipynb")
    opened = layout.open_course(root)
    gradebook.open_gradebook(opened).close()  # puts alembic on the path, as nbgrader expects it
    api = NbGraderAPI(opened, config=opened.parent.config)
    done = api.generate_assignment("ps1")
    assert done["success"], done
    with Gradebook(opened.db_url, "squares") as book:
        book.update_or_create_assignment("ps1", duedate="2026-01-10 12:00:00.000000")
    students(root / "release" / "ps1", root / "submitted")
    made = SimpleNamespace(root=root, course=opened, api=api)
    made.first = grade(made)
    return made


def grade(course: SimpleNamespace, *options: str) -> Result:
    shut = [] if isolation.why_not() is None else ["--isolation", "none"]
    return CliRunner(env={"COLUMNS": "200"}).invoke(
        main, ["grade", "ps1", "--course-dir", str(course.root), *shut, *options]
    )


@pytest.fixture
def scores(course: SimpleNamespace) -> Callable[[str], dict[str, Any]]:
    """What the gradebook has of a student: {grade_id: (automatic score, needs a person)}."""

    def of(student: str) -> dict[str, Any]:
        with Gradebook(course.course.db_url, "squares") as book:
            notebooks = book.find_submission("ps1", student).notebooks
            return {g.name: (g.auto_score, g.needs_manual_grade) for n in notebooks for g in n.grades}

    return of


DONE, ASK, BLANK = False, (None, True), (0.0, False)

GRADE_IDS = ("test-squares", "test-raises", "test-parts", "why", "test-x")

EXPECTED = {
    student: dict(zip(GRADE_IDS, scores, strict=True))
    for student, scores in {
        "right": ((2, DONE), (1, DONE), (3, DONE), ASK, (1, DONE)),
        "half": (BLANK, BLANK, (2, DONE), BLANK, BLANK),
        "wrong": (BLANK, BLANK, BLANK, BLANK, (1, DONE)),
        "untouched": (BLANK, BLANK, BLANK, BLANK, (1, DONE)),
        "broken": (BLANK, BLANK, BLANK, BLANK, (1, DONE)),
        "odd name": (BLANK, BLANK, BLANK, BLANK, BLANK),
    }.items()
}


@pytest.mark.parametrize("student", EXPECTED)
def test_scores_are_in_the_gradebook(scores: Callable[[str], dict[str, Any]], student: str) -> None:
    assert scores(student) == EXPECTED[student]


def test_the_table_has_everybody_and_says_what_to_mend(course: SimpleNamespace) -> None:
    said = course.first.output
    assert course.first.exit_code == 0, said
    for student in (*EXPECTED, "late"):
        assert student in said
    assert "[/red]" in said and "unreadable" in said


def test_a_late_submission_is_penalised_by_the_courses_plugin(course: SimpleNamespace) -> None:
    with Gradebook(course.course.db_url, "squares") as book:
        late, right = book.find_submission("ps1", "late"), book.find_submission("ps1", "right")
        assert late.late_submission_penalty == late.score == 7 and right.late_submission_penalty in (0, None)
        assert late.total_seconds_late > 0


def test_autograded_notebooks_keep_hidden_tests_and_say_what_they_rest_on(course: SimpleNamespace) -> None:
    hashes = set()
    for student in EXPECTED:
        path = course.root / "autograded" / student / "ps1" / "problem.ipynb"
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert "squares(11)[-1] == 121" in path.read_text()
        assert notebook.metadata["kernelspec"]["name"] == "python3"
        hashes.add(notebook.metadata["autograder"]["basis"]["source_sha256"])
        assert (path.parent / "numbers.txt").read_text() == "1 2 3" and (path.parent / "timestamp.txt").exists()
    assert len(hashes) == 1
    assert not (course.root / "autograded" / "half" / "ps1" / "more.ipynb").exists()
    assert sorted(p.name for p in (course.root / "autograded" / "right").iterdir()) == ["ps1"]


def test_a_student_who_submitted_nothing_is_named(course: SimpleNamespace) -> None:
    said = grade(course, "--student", "nobody")
    assert said.exit_code == 1 and "No submission of ps1 by nobody was found. It belongs in" in said.output


def test_a_second_run_grades_nothing_again(course: SimpleNamespace) -> None:
    stamp = course.root / "autograded" / "right" / "ps1" / "problem.ipynb"
    before = stamp.stat().st_mtime_ns
    again = grade(course)
    assert again.exit_code == 0 and "7 of 7 are graded already" in again.output
    assert stamp.stat().st_mtime_ns == before
    forced = grade(course, "--force", "--student", "right", "--jobs", "1")
    assert forced.exit_code == 0 and stamp.stat().st_mtime_ns > before and "wrong" not in forced.output


def test_a_newer_submission_is_graded_and_a_persons_grade_stays(
    course: SimpleNamespace, scores: Callable[[str], dict[str, Any]]
) -> None:
    folder = course.root / "submitted" / "wrong" / "ps1"
    with Gradebook(course.course.db_url, "squares") as book:
        book.find_grade("why", "problem", "ps1", "wrong").manual_score = 3
        book.db.commit()
    work = nbformat.read(folder / "problem.ipynb", as_version=4)
    work.cells[0].source = RIGHT
    nbformat.write(work, folder / "problem.ipynb")
    (folder / "timestamp.txt").write_text("2026-01-06 12:00:00 UTC")
    try:
        assert "6 of 7 are graded already" in grade(course).output
        assert scores("wrong")["test-squares"] == (2, False)
        with Gradebook(course.course.db_url, "squares") as book:
            written = book.find_grade("why", "problem", "ps1", "wrong")
            assert written.manual_score == 3 and written.needs_manual_grade  # for a person to look at again
            written.manual_score, written.needs_manual_grade = None, False
            book.db.commit()
    finally:
        work.cells[0].source = WRONG
        nbformat.write(work, folder / "problem.ipynb")
        grade(course, "--force", "--student", "wrong")


def test_feedback_and_export_work_on_it(course: SimpleNamespace, tmp_path: Path) -> None:
    for student in ("right", "broken", "half"):
        done = course.api.generate_feedback("ps1", student)
        assert done["success"], done
        page = (course.root / "feedback" / student / "ps1" / "problem.html").read_text()
        assert "test-squares" in page
    with Gradebook(course.course.db_url, "squares") as book:
        exporter = CsvExportPlugin(to=str(tmp_path / "grades.csv"), config=Config())
        exporter.export(book)
    with (tmp_path / "grades.csv").open() as file:
        totals = {row["student_id"]: float(row["raw_score"]) for row in csv.DictReader(file)}
    assert totals == {"right": 7, "half": 2, "wrong": 1, "untouched": 1, "late": 7, "broken": 1, "odd name": 0}


def test_scores_are_those_of_stock_nbgrader(course: SimpleNamespace, tmp_path: Path) -> None:
    """Honest work, graded by `nbgrader autograde` in a copy of the course."""
    names = ("right", "half", "untouched")
    root = tmp_path / "stock"
    shutil.copytree(course.root, root, ignore=shutil.ignore_patterns("autograded", "feedback", "gradebook.db"))
    opened = layout.open_course(root)
    api = NbGraderAPI(opened, config=opened.parent.config)
    with Gradebook(opened.db_url, "squares"):
        assert api.generate_assignment("ps1")["success"]
    for student in names:
        done = api.autograde("ps1", student)
        assert done["success"], done
    with Gradebook(opened.db_url, "squares") as stock, Gradebook(course.course.db_url, "squares") as ours:
        for student in names:
            found = [
                {g.name: g.auto_score for n in book.find_submission("ps1", student).notebooks for g in n.grades}
                for book in (stock, ours)
            ]
            assert found[0] == found[1], student


def test_the_gradebook_must_know_the_assignment(course: SimpleNamespace) -> None:
    shutil.copytree(course.root / "source" / "ps1", course.root / "source" / "ps2")
    said = CliRunner().invoke(main, ["grade", "ps2", "--course-dir", str(course.root), "--isolation", "none"])
    assert said.exit_code == 1 and "Run `nbgrader generate_assignment ps2` first." in said.output
