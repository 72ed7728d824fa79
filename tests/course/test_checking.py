"""`course check`: a learner's whole notebook graded where it is, with the grader and without it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from click.testing import CliRunner, Result
from jupyter_client.kernelspec import NoSuchKernel
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from course import catalogue, cli, demo, paths, release
from course.catalogue import Exercise, Lesson
from course.cli import check as command
from course.learner import checking, progress
from course.learner.workspace import prepare

LESSON = catalogue.find_lesson("04-freezing")
SOLVED, HALF, UNTOUCHED = (demo.SUBMISSIONS[name][0] for name in ("ada-solved", "ben-half", "cleo-untouched"))
HALFS = {
    "freeze": "right",
    "trainable_report": "right",
    "train_mode_keep_frozen_bn": "wrong",
    "build_optimizer": "wrong",
    "unfreeze_to": "not attempted",
}


@pytest.fixture(scope="module")
def source() -> NotebookNode:
    return release.source_notebook(paths.source() / LESSON.name)


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A learner's copy of the lessons, where they are, and no progress yet."""
    folder = tmp_path / "mine"
    prepare(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv(progress.HOME_VARIABLE, str(tmp_path / "home"))
    return folder


@pytest.fixture
def answer(mine: Path, source: NotebookNode) -> Callable[[dict[str, object]], Path]:
    """Writes answers into the learner's notebook."""

    def write(answers: dict[str, object]) -> Path:
        path = mine / LESSON.name / f"{LESSON.name}.ipynb"
        nbformat.write(demo.answered(nbformat.read(path, as_version=4), source, answers), path)
        return path

    return write


def run(*args: str, **options: Any) -> Result:
    return CliRunner().invoke(cli.main, ["check", *args], **options)


linux = pytest.mark.skipif(sys.platform != "linux", reason="the instructor's grader needs Linux")


@linux
def test_a_solved_lesson(answer: Callable[[dict[str, object]], Path]) -> None:
    answer(SOLVED)
    result = run("4")
    assert result.exit_code == 0, result.output
    assert "5 of 5 right, 20 of 20 points" in result.stdout
    assert "Next comes 05 ·" in result.stdout and "mend" not in result.stdout
    assert all(standing.done for standing in progress.load().of(LESSON))


@linux
def test_a_half_solved_lesson_as_json(answer: Callable[[dict[str, object]], Path]) -> None:
    """Neither the test cells nor the checks that the learner has edited count."""
    path = answer(HALF)
    (path.parent / "freezing_checks.py").write_text("raise SystemExit('edited')\n")
    notebook = nbformat.read(path, as_version=4)
    next(cell for cell in notebook.cells if cell.id == "check-unfreeze-to").source = "3.0"
    nbformat.write(notebook, path)
    before = path.read_bytes()
    result = run("--json", "freezing")
    assert result.exit_code == 1, result.output
    said = json.loads(result.stdout)
    assert {one["exercise"]: one["state"] for one in said["exercises"]} == HALFS
    assert (said["points"], said["max_points"], said["right"]) == (10, 20, False)
    assert said["exercises"][2]["misconception"] == "bn-statistics-moved"
    assert path.read_bytes() == before
    assert {standing.state for standing in progress.load().of(LESSON)} == {"right", "wrong", "not attempted"}


@linux
def test_the_learners_own_module_is_there_as_it_will_be_when_graded(
    answer: Callable[[dict[str, object]], Path],
) -> None:
    path = answer(SOLVED)
    (path.parent / "my_helpers.py").write_text("def helper(): ...\n")
    notebook = nbformat.read(path, as_version=4)
    cell = next(cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == "freeze")
    cell.source = f"from my_helpers import helper\n\nhelper()\n{cell.source}"
    nbformat.write(notebook, path)
    result = run("4")
    assert "5 of 5 right, 20 of 20 points" in result.stdout, result.output


@linux
def test_an_untouched_lesson_from_its_own_folder(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mine / LESSON.name)
    result = run()
    assert result.exit_code == 1, result.output
    assert result.stdout.count("not attempted") == 5 and "0 of 5 right, 0 of 20 points" in result.stdout
    assert "The first to mend is freeze:" in result.stdout
    assert "course hint freeze" in result.stdout


def test_without_the_grader_a_kernel_says_the_same(answer: Callable[[dict[str, object]], Path]) -> None:
    results = checking.check(LESSON, answer(HALF), checking.in_a_kernel)
    assert {result.exercise.name: result.state for result in results} == HALFS
    assert [result.points for result in results] == [5, 3, 0, 2, 0]
    assert "Look at: the order of your calls" in results[2].card


@pytest.mark.parametrize("grade", [pytest.param("grader", marks=linux), "kernel"])
def test_a_cell_that_does_not_run_is_named_and_not_what_follows_from_it(mine: Path, grade: str) -> None:
    path = mine / LESSON.name / f"{LESSON.name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    (cell,) = [one for one in notebook.cells if one.metadata.get("nbgrader", {}).get("grade_id") == "freeze"]
    cell.source = "def freeze(model, except_for):\n    return ("
    nbformat.write(notebook, path)
    results = checking.check(LESSON, path, command._grade if grade == "grader" else checking.in_a_kernel)
    assert results[0].state == "error"
    assert results[0].message.startswith("The cell of freeze raised SyntaxError: ")
    assert results[0].message.endswith("(line 2)")
    assert {result.state for result in results[1:]} == {"not attempted"}


# --- a kernel, and what may become of a notebook -------------------------------------------------------------

CARD = """
from IPython.display import display
display({{"application/vnd.finetuning-from-zero.verdict+json": {{"state": "right", "points": {points}, "message": "",
    "misconception": None}}}}, raw=True)
"""


def graded(source: str, grade_id: str, *, test: bool = True) -> NotebookNode:
    meta = {"grade_id": grade_id, "grade": test, "solution": not test, "locked": test, "points": 2}
    return new_code_cell(source, metadata={"nbgrader": meta})


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., dict[str, dict[str, Any]]]:
    """What a kernel says of a learner's cells, against a release of two tests that look at the name x."""
    given = tmp_path / "given"
    given.mkdir()
    tests = [graded(f"assert x == {number}" + CARD.format(points=2), f"check-{number}") for number in (1, 2)]
    nbformat.write(new_notebook(cells=[graded("x = 0", "x", test=False), *tests]), given / "tiny.ipynb")

    def check(*cells: NotebookNode, extra: dict[str, Path] | None = None) -> dict[str, dict[str, Any]]:
        nbformat.write(new_notebook(cells=list(cells)), tmp_path / "mine.ipynb")
        said, _ = checking.in_a_kernel(given / "tiny.ipynb", tmp_path / "mine.ipynb", given, extra or {})
        return {one["grade_id"]: one for one in said}

    return check


def test_deleted_and_doubled_tests_count_once_as_released(tiny: Callable[..., dict[str, dict[str, Any]]]) -> None:
    said = tiny(graded("x = 1", "x", test=False), graded("x", "check-1"), graded(CARD.format(points=2), "check-1"))
    assert [said[name]["points"] for name in ("check-1", "check-2")] == [2, 0]
    assert said["check-2"]["state"] == "error" and said["check-2"]["message"].startswith("AssertionError")


def test_a_kernel_has_the_learners_own_files(tiny: Callable[..., dict[str, dict[str, Any]]], tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("x = 1\n")
    said = tiny(graded("from more.one import x", "x", test=False), extra={"more/one.py": tmp_path / "one.py"})
    assert said["check-1"]["points"] == 2


def test_a_kernel_that_ends_and_a_cell_that_hangs(
    tiny: Callable[..., dict[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = tiny(graded("import os; os._exit(1)", "x", test=False))
    assert {one["state"] for one in said.values()} == {"crashed"}
    monkeypatch.setattr(checking, "CELL_SECONDS", 1)
    stubborn = "while True:\n    try:\n        while True: pass\n    except KeyboardInterrupt: pass"
    said = tiny(graded(stubborn, "x", test=False))
    assert {one["state"] for one in said.values()} == {"too slow"}
    assert "still running after 1 s" in said["check-1"]["message"]


def test_where_no_kernel_starts(
    tiny: Callable[..., dict[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise NoSuchKernel("python3")

    monkeypatch.setattr("nbclient.NotebookClient.execute", refuse)
    with pytest.raises(checking.CheckingError, match="`course doctor` says how to mend it"):
        tiny()


def test_points_need_a_card(tiny: Callable[..., dict[str, dict[str, Any]]]) -> None:
    silent = "import IPython.display\nIPython.display.display = lambda *args, **kwargs: None\nx = 1"
    said = tiny(graded(silent, "x", test=False))
    assert (said["check-1"]["state"], said["check-1"]["points"]) == ("error", 0)


# --- the command, without a grader that takes seconds --------------------------------------------------------


def verdict(exercise: Exercise, state: str = "passed", message: str = "") -> dict[str, Any]:
    points = exercise.points if state == "passed" else 0.0
    said = {"grade_id": exercise.test, "state": state, "points": points, "max_points": exercise.points}
    return said | {"message": message, "misconception": None}


@pytest.fixture
def handed() -> dict[str, Path]:
    """The learner's own files that the grader got last."""
    return {}


@pytest.fixture
def grader(monkeypatch: pytest.MonkeyPatch, handed: dict[str, Path]) -> dict[str, tuple[str, str]]:
    """A grader that says of an exercise what is put in here, and else that it is right."""
    states: dict[str, tuple[str, str]] = {}

    def grade(
        source: Path, submission: Path, files: Path, extra: dict[str, Path]
    ) -> tuple[list[dict[str, Any]], NotebookNode]:
        handed.clear()
        handed.update(extra)
        lesson = catalogue.find_lesson(source.stem)
        assert submission.is_file() and files == source.parent
        return [verdict(one, *states.get(one.name, ("passed", ""))) for one in lesson.exercises], new_notebook()

    monkeypatch.setattr("course.cli.check._grade", grade)
    monkeypatch.setattr(checking, "in_a_kernel", grade)
    return states


@pytest.mark.parametrize("state", ["failed", "error", "timeout", "memory", "crashed", "unreadable", "not attempted"])
def test_whatever_a_grader_says_has_a_word(mine: Path, grader: dict[str, tuple[str, str]], state: str) -> None:
    grader["freeze"] = (state, "What became of it.")
    result = run("4")
    assert result.exit_code == 1
    look = checking.LOOKS[checking.GRADERS_WORDS.get(state, state)]
    assert f"{look.mark}  freeze" in result.stdout and look.word in result.stdout
    assert "What became of it." in result.stdout
    assert progress.load().exercises["freeze"].state in ("wrong", "error", "too slow", "not attempted")


def test_the_release_wins_and_what_is_not_handed_in_is_not_there(
    mine: Path, grader: dict[str, tuple[str, str]], handed: dict[str, Path]
) -> None:
    folder = mine / LESSON.name
    names = ("my_helpers.py", "data/a.csv", "freezing_checks.py", "kept/old.py", ".ipynb_checkpoints/x.py", "o.ipynb")
    for name in (*names, "freezing_checks.pyc"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("")
    assert run("4").exit_code == 0
    assert handed == {name: folder / name for name in ("data/a.csv", "my_helpers.py")}


def test_one_exercise_decides_alone(mine: Path, grader: dict[str, tuple[str, str]]) -> None:
    grader["freeze"] = ("failed", "No.")
    result = run("4", "unfreeze_to")
    assert result.exit_code == 0 and result.stdout.endswith("For the whole lesson: course check 04-freezing\n")
    assert progress.load().exercises["freeze"].state == "", "it was not asked for"
    result = run("freeze")
    assert result.exit_code == 1 and "0 of 1 right" in result.stdout
    result = run("5", "freeze")
    assert result.exit_code == 2 and "freeze is an exercise of lesson 04-freezing." in result.stderr
    for words in (("99",), ("4", "nothing")):
        result = run(*words)
        assert result.exit_code == 2 and "There are: " in result.stderr


def test_the_lesson_worked_on_last(mine: Path, grader: dict[str, tuple[str, str]], tmp_path: Path) -> None:
    result = run()
    assert result.exit_code == 1 and "Name one, as in `course check 4`" in result.stderr
    assert run("2").exit_code == 0
    assert run("--json").stdout.count('"lesson": "02-transfer-gain"') == 1


def test_it_is_found_from_beside_the_workspace(
    mine: Path, grader: dict[str, tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine.rename(mine.with_name(paths.WORKSPACE))
    monkeypatch.chdir(mine.parent)
    assert json.loads(run("4", "--json").stdout)["notebook"].endswith(
        "finetuning-from-zero/04-freezing/04-freezing.ipynb"
    )
    monkeypatch.chdir(mine.parent.parent)
    result = run("4")
    assert result.exit_code == 1 and "There is no notebook of lesson 04-freezing in " in result.stderr


def test_a_copy_is_found_as_reset_and_submit_find_it(
    mine: Path, grader: dict[str, tuple[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The nearest folder with a record, and not a lesson that stands in it by chance; else what is around."""
    stray = mine / "notes" / LESSON.name / f"{LESSON.name}.ipynb"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(LESSON.notebook.read_bytes())
    own = str(mine.resolve() / LESSON.name / stray.name)
    monkeypatch.chdir(mine / "notes")
    assert json.loads(run("4", "--json").stdout)["notebook"] == own
    monkeypatch.chdir(tmp_path)
    assert json.loads(run("--json", "--folder", str(mine / LESSON.name)).stdout)["notebook"] == own
    fetched = tmp_path / "fetched" / LESSON.name / stray.name
    stray.parent.parent.rename(fetched.parent.parent)
    assert json.loads(run("4", "--json", "--folder", "fetched").stdout)["notebook"] == str(fetched.resolve())


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cells": [{}]}', '{"cells": 1}', "\x00", b"\xff\xfe"])
def test_what_is_no_notebook_is_answered_with_a_sentence(
    mine: Path, grader: dict[str, tuple[str, str]], content: str | bytes
) -> None:
    path = mine / LESSON.name / f"{LESSON.name}.ipynb"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    result = run("4")
    assert result.exit_code == 1 and "is no notebook that can be read" in result.stderr
    assert "Traceback" not in result.output and progress.load().latest == ""


def test_elsewhere_than_on_linux_the_grader_is_not_touched(
    mine: Path, grader: dict[str, tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("course.cli.check._grade", lambda *_: pytest.fail("there is no grader there"))
    monkeypatch.setattr("course.cli.check.sys.platform", "win32")
    assert run("4", "--json").exit_code == 0


def test_the_last_lesson_has_none_after_it(mine: Path, grader: dict[str, tuple[str, str]]) -> None:
    assert "this was the last lesson" in run(catalogue.lessons()[-1].name).stdout


def test_only_the_command_line_knows_the_grader() -> None:
    """And it starts without torch, which takes seconds to import."""
    code = """
        import sys
        import course.learner.checking, course.cli, course.learner.doctor
        print(sorted({"autograder", "torch", "numpy", "nbformat", "nbclient", "nbgrader"} & set(sys.modules)))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_a_card_keeps_its_marks_and_labels_apart() -> None:
    lesson = Lesson("01-x", "X", ())
    exercise = Exercise("f", "01-x", 1, "", 2.0, 1, 5, "f", "check-f")
    card = "f: wrong\n  + does this (1)\n  - does that (1)\n  Your line:\n    line 3, in f: return x"
    results = [checking.Result(exercise, "wrong", 0.0, 2.0, "No.", None, card)]
    from rich.console import Console

    console = Console(width=80)
    with console.capture() as capture:
        console.print(checking.shown(lesson, results, Path("x.ipynb")))
    lines = [line.rstrip() for line in capture.get().splitlines()]
    assert lines[7:11] == [" + does this (1)", " - does that (1)", "   Your line:", "     line 3, in f: return x"]
