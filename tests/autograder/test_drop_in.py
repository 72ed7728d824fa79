"""The words of `nbgrader autograde`, said to this grader, in a real course directory."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from click.testing import CliRunner, Result
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI

from autograder import gradebook, layout
from autograder.cli import main
from autograder.sandbox import isolation

CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "course"
c.ClearSolutions.begin_solution_delimeter = "ANSWER FROM HERE"
c.ClearSolutions.end_solution_delimeter = "ANSWER TO HERE"
c.LimitOutput.max_lines = 5
"""

ANSWER = """
import helper
def rows():
    return helper.read('mine.csv')
for i in range(100):
    print(i)
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, cells: SimpleNamespace) -> Path:
    """A released course with a notebook in R beside two in Python, and three submissions."""
    root = tmp_path_factory.mktemp("course")
    (root / "nbgrader_config.py").write_text(CONFIG)
    source = root / "source" / "ps1"
    source.mkdir(parents=True)
    (source / "shipped.txt").write_text("shipped")
    work = cells.notebook(
        cells.solution("rows", "# ANSWER FROM HERE\ndef rows():\n    return [1, 2]\n# ANSWER TO HERE"),
        cells.test("reads", "assert rows() == [1, 2]"),
        cells.test("same-file", "assert open('mine.csv').read() == '1\\n2'"),
        cells.test("shipped", "assert open('shipped.txt').read() == 'shipped'"),
        cells.test("not-importable", "import importlib.util\nassert importlib.util.find_spec('helper') is None"),
    )
    more = cells.notebook(cells.solution("x", "x = 1"), cells.test("t", "assert x == 1"))
    for name, notebook, language in (("work", work, "python"), ("more", more, "python"), ("plot", more, "R")):
        notebook.metadata["kernelspec"] = {"name": language, "display_name": language, "language": language}
        nbformat.write(notebook, source / f"{name}.ipynb")
    course = layout.open_course(root)
    gradebook.open_gradebook(course).close()  # puts alembic on the path, as nbgrader expects it
    done = NbGraderAPI(course, config=course.parent.config).generate_assignment("ps1")
    assert done["success"], done
    for student in ("ada", "bob", "cleo"):
        folder = root / "submitted" / student / "ps1"
        folder.mkdir(parents=True)
        for name, answer in (("work", ANSWER), ("more", "x = 1")):
            made = nbformat.read(root / "release" / "ps1" / f"{name}.ipynb", as_version=4)
            made.cells[0].source = answer
            nbformat.write(made, folder / f"{name}.ipynb")
        (folder / "mine.csv").write_text("1\n2")
        (folder / "helper.py").write_text("def read(p):\n    return [int(line) for line in open(p)]")
        (folder / "shipped.txt").write_text("the learner's")
    return root


def grade(root: Path, *words: str) -> Result:
    shut = [] if isolation.why_not() is None else ["--isolation=none"]
    return CliRunner(env={"COLUMNS": "200"}).invoke(main, ["grade", "--course-dir", str(root), *shut, *words])


def scores(root: Path, student: str) -> dict[str, Any]:
    with Gradebook(f"sqlite:///{root}/gradebook.db", "course") as book:
        notebooks = book.find_submission("ps1", student).notebooks
        graded = [notebook for notebook in notebooks if notebook.name != "plot"]
        return {grade.name: grade.auto_score for notebook in graded for grade in notebook.grades}


def test_a_students_own_files_one_notebook_and_the_rest_left_alone(root: Path) -> None:
    said = grade(root, "--assignment=ps1", "--student=ada", "--notebook=[mw]o*", "--Autograder.jobs=1")
    assert said.exit_code == 0, said.output
    expected = {"reads": 1, "same-file": 1, "shipped": 1, "not-importable": 1}
    assert {name: scores(root, "ada")[name] for name in expected} == expected
    graded = root / "autograded" / "ada" / "ps1"
    assert {file.name for file in graded.iterdir()} == {
        *("work.ipynb", "more.ipynb", "mine.csv", "helper.py", "shipped.txt")
    }
    assert (graded / "shipped.txt").read_text() == "shipped"
    printed = nbformat.read(graded / "work.ipynb", as_version=4).cells[0].outputs[0].text
    assert printed.count("\n") < 6 and "Output truncated" in printed

    before = (graded / "work.ipynb").read_bytes()
    submitted = root / "submitted" / "ada" / "ps1" / "more.ipynb"
    submitted.write_bytes(submitted.read_bytes().replace(b"x = 1", b"x = 2"))
    (root / "submitted" / "ada" / "ps1" / "work.ipynb").rename(root / "work-away.ipynb")
    assert grade(root, "ps1", "--student=ada", "--notebook=more", "-f").exit_code == 0
    assert scores(root, "ada")["t"] == 0 and scores(root, "ada")["reads"] == 1
    assert (graded / "work.ipynb").read_bytes() == before


def test_students_are_left_out_or_unknown_and_another_language_is_refused(root: Path) -> None:
    refused = grade(root, "ps1", "--CourseDirectory.student_id_exclude=ada,cleo", "--no-create")
    assert refused.exit_code == 1
    assert "bob is not in the gradebook" in refused.output and "plot is a notebook in r" in refused.output
    with Gradebook(f"sqlite:///{root}/gradebook.db", "course") as book:
        assert "bob" not in {student.id for student in book.students}
    rest = grade(root, "ps1", "--CourseDirectory.student_id_exclude=ada,cleo", "--create")
    assert rest.exit_code == 1 and "plot is a notebook in r" in rest.output  # and all else was graded
    assert scores(root, "bob")["reads"] == 1


def test_a_linked_submission_gets_a_verdict_and_is_not_followed(root: Path) -> None:
    folder = root / "submitted" / "cleo" / "ps1"
    folder.rename(root / "elsewhere")
    folder.symlink_to(root / "elsewhere")
    said = grade(root, "ps1", "--student=cleo", "--notebook=work")
    assert said.exit_code == 0, said.output
    assert scores(root, "cleo")["reads"] == 0
    graded = nbformat.read(root / "autograded" / "cleo" / "ps1" / "work.ipynb", as_version=4)
    assert {v["state"] for v in graded.metadata["autograder"]["verdicts"]} == {"unreadable"}
