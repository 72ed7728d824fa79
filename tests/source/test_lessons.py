"""What every lesson must be: complete, runnable top to bottom, the same points with stock nbgrader as here."""

import ast
import copy
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbgrader.api import Gradebook

from course import demo, paths, release

OFFLINE_MINUTES = 4
SCRIPTS = Path(sys.executable).parent


def _calls(source: str) -> list[str]:
    """The checks that a test cell calls, by name."""
    return [
        node.func.id
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.startswith("check_")
    ]


def test_it_has_the_exercises_of_a_lesson(lesson):
    assert 4 <= len(lesson.cells(solution=True)) <= 7
    assert len(lesson.cells(grade=True)) == len(lesson.cells(solution=True))


def test_points_are_those_of_the_check(lesson):
    checks = lesson.module("checks")
    for cell in lesson.cells(grade=True):
        (name,) = _calls(cell.source)
        check = getattr(checks, name)
        assert cell.metadata.nbgrader.points == check.points, name
        assert len(set(check.hints)) == 3, name


def test_every_exercise_is_typed_and_documented(lesson):
    for cell in lesson.cells(solution=True):
        (function,) = [n for n in ast.parse(cell.source).body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
        text = ast.get_docstring(function) or ""
        assert len(text) > 200, f"{function.name}: a docstring with shapes, errors and an example"
        assert ">>>" in text, f"{function.name}: an example that runs"
        if isinstance(function, ast.FunctionDef):
            assert function.returns is not None, function.name
            assert all(argument.annotation for argument in function.args.args), function.name


def test_the_examples_say_what_the_solution_does(lesson):
    import doctest

    namespace: dict = {}
    setup = [c.source for c in lesson.cells(locked=True, grade=False)]
    sys.path.insert(0, str(lesson.folder))
    for source in [*setup, *(c.source for c in lesson.cells(solution=True))]:
        exec(compile(source, lesson.name, "exec"), namespace)
    for cell in lesson.cells(solution=True):
        (name,) = [n.name for n in ast.parse(cell.source).body]
        finder = doctest.DocTestParser()
        test = finder.get_doctest(namespace[name].__doc__, namespace, name, None, None)
        result = doctest.DocTestRunner(verbose=False).run(test, clear_globs=False)
        assert result.attempted > 0 and result.failed == 0, name


def _run(lesson, folder: Path, scale: str) -> nbformat.NotebookNode:
    for path in lesson.folder.glob("*_checks.py"):
        shutil.copy(path, folder)
    notebook = copy.deepcopy(lesson.notebook)
    environment = os.environ | {"COURSE_SCALE": scale}
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute(env=environment)
    return notebook


def test_it_runs_top_to_bottom(lesson, tmp_path):
    """At the quick scale; an error in any cell fails it."""
    notebook = _run(lesson, tmp_path, "quick")
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_it_shows_what_it_claims(lesson, tmp_path):
    """At the scale of learners: the claims that its prose makes are asserted in its cells."""
    started = time.monotonic()
    notebook = _run(lesson, tmp_path, "offline")
    minutes = (time.monotonic() - started) / 60
    assert minutes <= OFFLINE_MINUTES
    assert any("image/png" in o.get("data", {}) for c in notebook.cells for o in c.get("outputs", []))


@pytest.fixture(scope="module")
def course_dir(lesson, tmp_path_factory) -> Path:
    """A course directory with three honest submissions: all right, some right, none attempted."""
    root = release.setup_course(tmp_path_factory.mktemp("course") / "course", [lesson.name])
    released = nbformat.read(root / "release" / lesson.name / f"{lesson.name}.ipynb", as_version=4)
    exercises = [c.metadata.nbgrader.grade_id for c in lesson.cells(solution=True)]
    for student, kept in (("all", len(exercises)), ("some", 2), ("none", 0)):
        notebook = demo.answered(released, lesson.notebook, dict.fromkeys(exercises[:kept], demo.SOLVED))
        folder = root / "submitted" / student / lesson.name
        folder.mkdir(parents=True)
        nbformat.write(notebook, folder / f"{lesson.name}.ipynb")
    return root


def _command(*words: str, cwd: Path) -> subprocess.CompletedProcess:
    environment = os.environ | {"PATH": os.pathsep.join([str(SCRIPTS), os.environ["PATH"]])}
    return subprocess.run([SCRIPTS / words[0], *words[1:]], cwd=cwd, env=environment, capture_output=True, text=True)


def _scores(root: Path, lesson) -> dict[tuple[str, str], float]:
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}", "finetuning-from-zero") as gradebook:
        return {
            (submission.student.id, grade.name): grade.score
            for submission in gradebook.assignment_submissions(lesson.name)
            for notebook in submission.notebooks
            for grade in notebook.grades
        }


@pytest.fixture(scope="module")
def graded(lesson, course_dir) -> dict[str, dict[tuple[str, str], float]]:
    """The scores of stock nbgrader and of this grader, which comes last: its graded notebooks are there."""
    scores = {}
    for words in (("nbgrader", "autograde", lesson.name), ("autograder", "grade", lesson.name, "--force")):
        shutil.rmtree(course_dir / "autograded", ignore_errors=True)
        isolated = [] if sys.platform == "linux" or words[0] == "nbgrader" else ["--isolation", "none"]
        done = _command(*words, *isolated, cwd=course_dir)
        assert done.returncode == 0, done.stderr
        scores[words[0]] = _scores(course_dir, lesson)
    return scores


def test_stock_nbgrader_gives_the_same_points(lesson, graded):
    assert graded["nbgrader"] == graded["autograder"]
    by_student = {s: sum(v for (who, _), v in graded["nbgrader"].items() if who == s) for s in ("all", "some", "none")}
    most = sum(cell.metadata.nbgrader.points for cell in lesson.cells(grade=True))
    assert by_student["all"] == most
    assert by_student["none"] == 0
    assert 0 < by_student["some"] < most


def test_stock_validate_agrees(lesson, course_dir):
    notebooks = [course_dir / "submitted" / who / lesson.name / f"{lesson.name}.ipynb" for who in ("all", "none")]
    for notebook in notebooks:
        for path in lesson.folder.glob("*_checks.py"):
            shutil.copy(path, notebook.parent)
    said = _command("nbgrader", "validate", *map(str, notebooks), cwd=course_dir).stdout
    of_all, passed, of_none = said.partition("Success! Your notebook passes all the tests.")
    assert passed and "Success!" not in of_none, said
    assert not _fails(of_all) and _fails(of_none), said


def _fails(said: str) -> bool:
    return "NotImplementedError" in said or "Not attempted" in said


def test_feedback_hides_hidden_tests(lesson, course_dir, graded):
    assert any("### BEGIN HIDDEN TESTS" in c.source for c in lesson.cells(grade=True)), "nothing to hide: look again"
    done = _command("nbgrader", "generate_feedback", lesson.name, "--force", cwd=course_dir)
    assert done.returncode == 0, done.stderr
    for student in ("all", "some", "none"):
        page = (course_dir / "feedback" / student / lesson.name / f"{lesson.name}.html").read_text()
        graded = (course_dir / "autograded" / student / lesson.name / f"{lesson.name}.ipynb").read_text()
        assert "HIDDEN TESTS" in graded and "add_cases" in graded
        assert "HIDDEN TESTS" not in page and "add_cases" not in page


def test_the_table_of_ideas_names_headings_that_there_are():
    headings: dict[str, set[str]] = {}
    for path in paths.source().glob("[0-9]*/[0-9]*.py"):
        found = re.findall(r"^# #+ (.+)$", path.read_text(), re.MULTILINE)
        headings[path.name[:2]] = set(found)
    rows = [line.split("|")[1:-1] for line in (paths.source() / "README.md").read_text().splitlines() if "|" in line]
    named = [(lesson.strip(), one.strip()) for _, lesson, places in rows[2:] for one in places.split(";")]
    assert len(named) > 30 and {lesson for lesson, _ in named} >= headings.keys()
    written = [(lesson, place) for lesson, place in named if place != "not written yet"]
    assert [(lesson, place) for lesson, place in written if place not in headings[lesson]] == []
