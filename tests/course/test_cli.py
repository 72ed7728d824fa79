"""The command line `course`, and the learner's copy that `course lab` opens."""

from __future__ import annotations

import importlib.metadata
import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from course import catalogue, cli, paths
from course.learner import progress
from course.learner.workspace import prepare

LESSON = "01-halving"
TEXT = """\
# %% [markdown]
# # Halving
#
# ### Exercise 1: Halve a number

# %% nbgrader={"grade": false, "grade_id": "halve", "locked": false, "schema_version": 3, "solution": true}
def halve(x):
    ### BEGIN SOLUTION
    return x / 2
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "x", "locked": true, "points": 2.5, "schema_version": 3, "solution": false}
check_halve(halve)
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
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "of-the-learner")
    folder = tmp_path / "my lessons"
    result = run("lab", str(folder), "--no-browser")
    assert result.exit_code == 0, result.output
    opens = f"--LabApp.default_url=/lab/tree/{LESSON}/{LESSON}.ipynb"
    assert started == [([sys.executable, "-m", "jupyterlab", opens, "--no-browser"], folder)]
    assert os.environ["JUPYTER_CONFIG_PATH"].split(os.pathsep) == ["of-the-learner", str(paths.jupyter_settings())]
    assert (folder / LESSON / f"{LESSON}.ipynb").is_file()
    monkeypatch.chdir(tmp_path)
    run("lab")
    run("lab", "--port", "9999")
    assert [(command[3:], where) for command, where in started[1:]] == [
        ([opens], Path("finetuning-from-zero")),
        ([opens, "--port", "9999"], Path("finetuning-from-zero")),
    ]
    progress.record("check", "halve", lesson=LESSON, state="right", points=2.5)
    run("lab")
    assert started[-1][0][3:] == []  # all is done


def test_jupyterlab_is_there_to_start(tmp_path: Path) -> None:
    code = f"from course.cli import _become; from pathlib import Path; _become(['{sys.executable}', '-m',"
    code += f" 'jupyterlab', '--version'], Path({str(tmp_path)!r})); print('not reached')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip().count(".") >= 2
    assert "not reached" not in done.stdout


ENDS_IN_ORDER = """
import sys, time
try:
    print("begun", flush=True)
    sys.stdin.read()
except KeyboardInterrupt:
    time.sleep(0.6)  # subprocess.call would kill it after 0.25 s
    print("in order", flush=True)
    sys.exit(7)
"""


@pytest.mark.skipif(os.name == "nt", reason="its Ctrl-C cannot be sent to a group without this one")
def test_a_child_ends_in_its_own_way() -> None:
    """As Windows has it, where both get a Ctrl-C."""
    code = "import sys; from course.cli import _as_child; "
    code += f"sys.exit(_as_child([sys.executable, '-c', {ENDS_IN_ORDER!r}]))"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.read() == "in order\n"
        assert process.wait() == 7


# --- a learner's copy ----------------------------------------------------------------------------------------


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A learner's copy of the real lessons."""
    prepare(tmp_path / "mine")
    return tmp_path / "mine"


def answer(notebook: Path, grade_id: str, text: str) -> None:
    made = nbformat.read(notebook, as_version=4)
    (cell,) = (cell for cell in made.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id)
    cell.source = text
    nbformat.write(made, notebook)


def test_reset(mine: Path) -> None:
    notebook = mine / "04-freezing" / "04-freezing.ipynb"
    answer(notebook, "freeze", "def freeze(model, except_for): pass")
    result = run("reset", "freezing", "4.1", "--yes", "--folder", str(mine / "04-freezing"))
    assert result.exit_code == 0, result.output
    (kept,) = (mine / "04-freezing" / "kept").iterdir()
    assert kept.read_text(encoding="utf-8") == "def freeze(model, except_for): pass\n"
    assert result.stdout.splitlines()[:2] == [
        "freeze is as you were given it.",
        f"What you had written is kept as {kept}.",
    ]
    assert run("reset", "4", "freeze", "--yes", "--folder", str(mine)).stdout == "freeze is as you were given it.\n"
    assert progress.load().latest == "04-freezing"


def test_reset_asks_on_a_terminal(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = mine / "04-freezing" / "04-freezing.ipynb"
    answer(notebook, "freeze", "solved")
    before = notebook.read_bytes()
    monkeypatch.setattr(cli.workspace, "_in_a_terminal", lambda: True)
    result = CliRunner().invoke(cli.main, ["reset", "4", "--folder", str(mine)], input="n\n")
    assert result.exit_code == 1 and "Put 04-freezing back as you were given it?" in result.stdout
    assert notebook.read_bytes() == before
    assert CliRunner().invoke(cli.main, ["reset", "4", "--folder", str(mine), "--yes"], input="").exit_code == 0
    assert notebook.read_bytes() != before


def test_reset_where_nobody_can_be_asked_wants_a_yes(mine: Path) -> None:
    notebook = mine / "04-freezing" / "04-freezing.ipynb"
    answer(notebook, "freeze", "solved")
    before = notebook.read_bytes()
    result = run("reset", "4", "--folder", str(mine))
    assert result.exit_code == 2 and "say --yes" in result.stderr and notebook.read_bytes() == before


def test_what_cannot_be_reset_is_said(mine: Path, tmp_path: Path) -> None:
    for words, said in (
        (["4", "sgd_step"], "sgd_step is an exercise of lesson 01-training-loop."),
        (["nonsense"], "There is no lesson nonsense."),
        (["4", "nonsense"], "There is no exercise nonsense."),
    ):
        result = run("reset", *words, "--folder", str(mine))
        assert result.exit_code == 2 and said in result.stderr
    result = run("reset", "4", "--yes", "--folder", str(tmp_path))
    assert result.exit_code == 1 and f"made in {tmp_path.resolve()} or above it" in result.stderr


def test_submit(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_HOME", str(mine.parent / "home"))
    monkeypatch.chdir(mine)
    assert run("submit").stderr.startswith("Error: Which lesson?")
    answer(mine / "04-freezing" / "04-freezing.ipynb", "freeze", "def freeze(model, except_for): pass")
    progress.record("check", "freeze")
    result = run("submit", "--student", "ada")
    assert result.exit_code == 0, result.output
    (archive,) = (mine / "submissions").glob("*_04-freezing_ada.zip")
    assert result.stdout.startswith("04-freezing is packed, as of 20") and str(archive) in result.stdout
    assert "Not solved yet: trainable_report, train_mode_keep_frozen_bn, build_optimizer, unfreeze_to." in result.stdout
    monkeypatch.chdir(mine / "01-training-loop")
    result = run("submit", "--json", "--archive")
    made = json.loads(result.stdout)
    assert made["lesson"] == "01-training-loop" and made["archive"]["name"].endswith("_01-training-loop.zip")
    assert run("submit", "--student", "../ada").stderr.startswith("Error: '../ada' cannot be part of a file's name")


def test_a_receipt_goes_through_any_pipe(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_HOME", str(mine.parent / "home"))
    (mine / "04-freezing" / "Lösung.txt").write_text("x")
    result = CliRunner(charset="ascii").invoke(cli.main, ["submit", "4", "--json", "--folder", str(mine)])
    assert result.exit_code == 0, result.output
    assert "04-freezing/Lösung.txt" in [file["name"] for file in json.loads(result.stdout)["files"]]


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


# --- help, completion, errors -------------------------------------------------------------------------------


def test_every_command_has_a_line_and_an_example() -> None:
    for name, command in cli.main.commands.items():
        text = inspect.cleandoc(command.help or "")
        line = text.partition("\n")[0]
        assert len(line) < 60 and line.endswith("."), f"{name}: `course --help` has no room for {line}"
        assert f"\n  course {name}" in text, f"{name} shows no example"


def test_help_says_what_the_exit_codes_mean() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.split("Exit codes")[1].splitlines()[1:] if line] == [
        "0",
        "1",
        "2",
    ]
    assert "..." not in result.stdout.split("Commands:")[1], "a line that is cut"
    assert run("no-such-command").exit_code == 2


def test_version() -> None:
    assert run("--version").stdout == f"Fine-tuning from Zero {importlib.metadata.version('finetuning-from-zero')}\n"


def completed(*words: str) -> list[str]:
    """What a shell offers for the last of these words."""
    found = ShellComplete(cli.main, {}, "course", "_COURSE_COMPLETE").get_completions(list(words[:-1]), words[-1])
    return [item.value for item in found]


def test_lessons_and_exercises_are_completed() -> None:
    names = [lesson.name for lesson in catalogue.lessons()]
    assert completed("check", "") == names
    assert completed("check", "04") == completed("check", "4") == completed("check", "freezing") == ["04-freezing"]
    assert completed("check", "nothing") == []
    assert completed("check", "4", "") == [one.name for one in catalogue.find_lesson("4").exercises]
    assert completed("check", "04-freezing", "f") == ["freeze"]
    assert completed("completion", "z") == ["zsh"]
    assert {"check", "completion"} <= set(completed("c"))


def test_completing_imports_nothing_heavy() -> None:
    code = "import sys, course.cli as c; from click.shell_completion import ShellComplete as S; "
    code += "print(len(S(c.main, {}, 'course', 'X').get_completions(['check', '4'], '')), "
    code += "{'torch', 'numpy', 'rich', 'IPython', 'nbformat', 'sqlite3'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "5 set()"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_and_how_to_install_it(shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0
    assert f"_COURSE_COMPLETE={shell}_complete" in result.stdout
    assert result.stdout.splitlines()[-1].startswith(f"# To install it: course completion {shell} > ~/.")
    assert result.stdout.startswith("#compdef course") == (shell == "zsh"), "zsh looks for it in the first line"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes(tmp_path: Path) -> None:
    script = run("completion", "bash").stdout
    (tmp_path / "course").write_text(f'#!/bin/sh\nexec {sys.executable} -m course.cli "$@"\n')
    (tmp_path / "course").chmod(0o755)
    (tmp_path / "script").write_text(
        f"{script}\nCOMP_WORDS=(course check 04 unf) COMP_CWORD=3\n_course_completion course\n"
    )
    (tmp_path / "script").write_text((tmp_path / "script").read_text() + 'echo "${COMPREPLY[@]}"\n')
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", tmp_path / "script"], env=os.environ | {"PATH": path}, capture_output=True, text=True
    )
    assert done.stdout == "unfreeze_to\n", done.stderr


def test_what_the_system_refuses_is_a_sentence(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", "/somewhere")

    monkeypatch.setattr("course.release.lesson_names", refuse)
    result = run("release")
    assert result.exit_code == 1
    assert result.stderr == "Error: The system refused. Permission denied: /somewhere\n"
