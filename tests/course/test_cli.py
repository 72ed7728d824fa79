"""The command line `course`, and the learner's copy that `course lab` opens."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from course import cli, paths
from course.workspace import RECORD, WorkspaceError, prepare

LESSON = "01-halving"
TEXT = """\
# %% [markdown]
# # Halving

# %% nbgrader={"grade": true, "grade_id": "x", "locked": true, "points": 2.5, "schema_version": 3, "solution": false}
print("checked")
"""


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one tiny lesson, and the command line at work in it."""
    home = tmp_path / "checkout"
    (home / "source" / LESSON).mkdir(parents=True)
    (home / "source" / LESSON / f"{LESSON}.py").write_text(TEXT, encoding="utf-8")
    (home / "source" / LESSON / "halving_checks.py").write_text("def check(): ...\n", encoding="utf-8")
    shutil.copy(paths.nbgrader_config(), home)
    monkeypatch.setattr(paths, "home", lambda: home)
    return home


def run(*args: str) -> Result:
    return CliRunner().invoke(cli.main, args)


def test_release(course: Path) -> None:
    result = run("release")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        f"{LESSON}: 1 exercise, 2.5 points; 2 files changed",
        f"  release/{LESSON}/{LESSON}.ipynb",
        f"  release/{LESSON}/halving_checks.py",
    ]
    assert result.stderr == ""
    assert run("release").stdout == f"{LESSON}: 1 exercise, 2.5 points; unchanged\n"


def test_check_names_what_differs_and_writes_nothing(course: Path) -> None:
    result = run("release", "--check")
    assert result.exit_code == 1
    assert f"  release/{LESSON}/{LESSON}.ipynb\n" in result.stdout
    assert "Run `course release`" in result.stderr
    assert not (course / "release").exists()
    run("release")
    assert run("release", "--check").exit_code == 0
    checks = course / "release" / LESSON / "halving_checks.py"
    checks.write_text("edited by hand\n", encoding="utf-8")
    result = run("release", "--check")
    assert result.exit_code == 1
    assert f"1 file to change\n  release/{LESSON}/halving_checks.py\n" in result.stdout
    assert checks.read_text(encoding="utf-8") == "edited by hand\n"


def test_check_sees_a_notebook_that_the_text_does_not_know(course: Path) -> None:
    run("release")
    text = course / "source" / LESSON / f"{LESSON}.py"
    notebook = json.loads((course / "release" / LESSON / f"{LESSON}.ipynb").read_text(encoding="utf-8"))
    notebook["cells"][0]["source"] = "# Halving, and more"
    text.with_suffix(".ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    os.utime(text, (1, 1))
    result = run("release", "--check")
    assert result.exit_code == 1
    assert f"  source/{LESSON}/{LESSON}.py\n" in result.stdout
    assert text.read_text(encoding="utf-8") == TEXT
    result = run("release")
    assert f"{LESSON}.ipynb, was taken into {LESSON}.py" in result.stdout
    assert "# # Halving, and more" in text.read_text(encoding="utf-8")
    assert run("release", "--check").exit_code == 0


def test_errors_are_sentences(course: Path) -> None:
    result = run("release", "--lesson", "09-none")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: There is no lesson 09-none in ")
    shutil.rmtree(course / "source" / LESSON)
    result = run("release")
    assert result.exit_code == 1
    assert "nothing to release" in result.stderr


def test_into_makes_a_course_directory(course: Path, tmp_path: Path) -> None:
    result = run("release", "--into", str(tmp_path / "mine"))
    assert result.exit_code == 0, result.output
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {
        "nbgrader_config.py",
        "source",
        "release",
        "gradebook.db",
    }
    assert not (course / "release").exists()
    assert "already" in run("release", "--into", str(tmp_path / "mine")).stderr


def test_lab_copies_and_starts_jupyterlab(course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("release")
    started: list[tuple[list[str], Path]] = []
    monkeypatch.setattr(cli, "_become", lambda command, folder: started.append((command, folder)))
    folder = tmp_path / "my lessons"
    result = run("lab", str(folder), "--no-browser")
    assert result.exit_code == 0, result.output
    assert started == [([sys.executable, "-m", "jupyterlab", "--no-browser"], folder)]
    assert (folder / LESSON / f"{LESSON}.ipynb").is_file()
    monkeypatch.chdir(tmp_path)
    run("lab")
    run("lab", "--port", "9999")
    assert [(command[3:], where) for command, where in started[1:]] == [
        ([], Path("finetuning-from-zero")),
        (["--port", "9999"], Path("finetuning-from-zero")),
    ]


def test_jupyterlab_is_there_to_start(tmp_path: Path) -> None:
    code = f"from course.cli import _become; from pathlib import Path; _become(['{sys.executable}', '-m',"
    code += f" 'jupyterlab', '--version'], Path({str(tmp_path)!r})); print('not reached')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip().count(".") >= 2
    assert "not reached" not in done.stdout


# --- the learner's copy -------------------------------------------------------------------------------------


@pytest.fixture
def given(tmp_path: Path) -> Path:
    release = tmp_path / "course" / "release"
    (release / LESSON / "__pycache__").mkdir(parents=True)
    (release / LESSON / "__pycache__" / "x.pyc").write_text("compiled")
    (release / LESSON / f"{LESSON}.ipynb").write_text("exercises, first edition")
    (release / LESSON / "halving_checks.py").write_text("checks, first edition")
    return release


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.rglob("*") if path.is_file() and path.name != RECORD}


def test_a_learners_work_is_never_overwritten(given: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    assert prepare(mine, given) == []
    assert contents(mine) == {
        f"{LESSON}.ipynb": "exercises, first edition",
        "halving_checks.py": "checks, first edition",
    }
    (mine / LESSON / f"{LESSON}.ipynb").write_text("solved")
    (mine / LESSON / "notes.txt").write_text("mine")
    assert prepare(mine, given) == []
    (given / LESSON / f"{LESSON}.ipynb").write_text("exercises, second edition")
    (given / LESSON / "halving_checks.py").write_text("checks, second edition")
    said = prepare(mine, given)
    assert len(said) == 2
    assert said[0].startswith(f"{LESSON}/{LESSON}.ipynb is as you left it")
    assert said[1] == f"{LESSON}/halving_checks.py was brought up to date; you had not changed it."
    expected = {f"{LESSON}.ipynb": "solved", "notes.txt": "mine", "halving_checks.py": "checks, second edition"}
    assert contents(mine) == expected
    assert prepare(mine, given) == []
    assert contents(mine) == expected
    (mine / LESSON / f"{LESSON}.ipynb").rename(mine / LESSON / "old.ipynb")
    prepare(mine, given)
    assert contents(mine)[f"{LESSON}.ipynb"] == "exercises, second edition"
    assert contents(mine)["old.ipynb"] == "solved"


@pytest.mark.parametrize("record", [None, "{", "[]"])
def test_without_a_record_every_file_is_the_learners(given: Path, tmp_path: Path, record: str | None) -> None:
    mine = tmp_path / "mine"
    (mine / LESSON).mkdir(parents=True)
    (mine / LESSON / f"{LESSON}.ipynb").write_text("solved")
    if record is not None:
        (mine / RECORD).write_text(record)
    said = prepare(mine, given)
    assert [sentence.split(" ")[0] for sentence in said] == [f"{LESSON}/{LESSON}.ipynb"]
    assert contents(mine)[f"{LESSON}.ipynb"] == "solved"
    assert contents(mine)["halving_checks.py"] == "checks, first edition"


def test_the_courses_own_folders_are_no_place_to_work(given: Path) -> None:
    for folder in (given, given / LESSON, given.parent / "source" / "x"):
        with pytest.raises(WorkspaceError, match="Choose another folder"):
            prepare(folder, given)


def test_an_installation_without_lessons(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="nothing to open"):
        prepare(tmp_path / "mine", tmp_path / "release")
    assert not (tmp_path / "mine").exists()


# --- where the lessons lie ----------------------------------------------------------------------------------


def test_paths_in_a_checkout() -> None:
    assert paths.source() == Path(paths.__file__).resolve().parents[1] / "source"
    assert paths.nbgrader_config().is_file()
    assert paths.release().parent == paths.home()


def test_paths_in_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "course"
    (package / "lessons").mkdir(parents=True)
    monkeypatch.setattr(paths, "__file__", str(package / "paths.py"))
    assert paths.source() == package / "lessons" / "source"
