"""The catalogue: what the release holds, found without running any of it."""

import importlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell

from course import catalogue, paths, release


def test_it_has_every_exercise_of_the_source() -> None:
    for lesson in catalogue.lessons():
        source = release.source_notebook(paths.source() / lesson.name)
        graded = [c.metadata.nbgrader for c in source.cells if c.metadata.get("nbgrader", {}).get("grade")]
        assert [(e.test, e.points) for e in lesson.exercises] == [(m.grade_id, m.points) for m in graded]
        solutions = [c for c in source.cells if c.metadata.get("nbgrader", {}).get("solution")]
        for exercise, cell in zip(lesson.exercises, solutions, strict=True):
            assert exercise.cell == cell.metadata.nbgrader.grade_id
            assert f"def {exercise.name}(" in cell.source
    assert [lesson.name for lesson in catalogue.lessons()] == release.lesson_names(paths.source())


def test_a_test_that_calls_no_check_is_no_exercise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = paths.release() / "04-freezing" / "04-freezing.ipynb"
    notebook = nbformat.read(released, as_version=4)
    graded = {"grade": True, "locked": True, "solution": False, "points": 1, "schema_version": 3}
    for place, name in ((0, "before"), (len(notebook.cells), "after")):
        cell = new_code_cell("assert True", metadata={"nbgrader": graded | {"grade_id": name}})
        notebook.cells.insert(place, cell)
    (tmp_path / "04-freezing").mkdir()
    nbformat.write(notebook, tmp_path / "04-freezing" / released.name)
    exercises = catalogue.find_lesson("4").exercises
    monkeypatch.setattr(paths, "release", lambda: tmp_path)
    assert catalogue.find_lesson("4").exercises == exercises


def test_each_says_how_hard_it_is_and_how_long_it_takes() -> None:
    for exercise in catalogue.exercises():
        assert 1 <= exercise.difficulty <= 3 and 5 <= exercise.minutes <= 20, exercise
        assert exercise.title and exercise.number >= 1


def test_no_two_exercises_share_a_name() -> None:
    names = Counter(exercise.name for exercise in catalogue.exercises())
    assert len(names) > 40 and max(names.values()) == 1


def test_hints_are_those_of_the_check() -> None:
    for lesson in catalogue.lessons():
        (path,) = (paths.source() / lesson.name).glob("*_checks.py")
        sys.path.insert(0, str(path.parent))
        checks = importlib.import_module(path.stem)
        for exercise in lesson.exercises:
            assert catalogue.hints(exercise) == getattr(checks, exercise.check).hints


@pytest.mark.parametrize("name", ["04-freezing", "04", "4", "freezing", "release/04-freezing/04-freezing.ipynb"])
def test_a_lesson_is_found_by_whatever_one_calls_it(name: str) -> None:
    assert catalogue.find_lesson(name).name == "04-freezing"


@pytest.mark.parametrize("name", ["freeze", "check_freeze", "4.1", "04.1"])
def test_an_exercise_too(name: str) -> None:
    assert catalogue.find_exercise(name).name == "freeze"


@pytest.mark.parametrize("name", ["zzz", "9", "", "0"])
def test_an_unknown_name_is_answered_with_those_that_there_are(name: str) -> None:
    with pytest.raises(catalogue.UnknownName, match="04-freezing"):
        catalogue.find_lesson(name)
    with pytest.raises(catalogue.UnknownName, match="freeze"):
        catalogue.find_exercise(name)


def test_it_answers_without_a_heavy_import() -> None:
    code = "import sys; from course import catalogue; catalogue.find_exercise('4.1'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_slip_of_the_finger_is_asked_about() -> None:
    for slip in ("warmup", "freez", "unfreze_to"):
        with pytest.raises(catalogue.UnknownName, match="Did you mean"):
            catalogue.find_exercise(slip)
