"""This grader behind the real `nbgrader autograde` and behind the formgrader of a real Jupyter server."""

import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from nbgrader.api import Gradebook

from autograder.sandbox import isolation

CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "apart"
c.Autograder.isolation = "%s"
c.Autograde.exporter_class = "autograder.nbgrader_adapter.ReadApart"
c.Autograde.sanitize_preprocessors = []
c.Autograde.autograde_preprocessors = [
    "autograder.nbgrader_adapter.GradeApart",
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.AssignLatePenalties",
]
"""

CHEAT = """
import sys
frame = sys._getframe()
while frame:
    for value in list(frame.f_globals.values()):
        if callable(getattr(value, "user_ns", None)):
            value.user_ns["double"] = lambda x: 2 * x
    frame = frame.f_back
get_ipython().run_cell = get_ipython().run_code = lambda *a, **k: None
class Everything:
    __eq__ = lambda *a: True
def double(x):
    return Everything()
"""


def _environment(root: Path) -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    private = {"JUPYTER_CONFIG_DIR": str(root / ".jupyter"), "JUPYTER_RUNTIME_DIR": str(root / ".runtime")}
    return {**os.environ, **private, "PATH": path, "OMP_NUM_THREADS": "1"}


def _nbgrader(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nbgrader", *words]
    return subprocess.run(command, cwd=root, env=_environment(root), capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, cells: SimpleNamespace) -> Path:
    """A released course whose nbgrader grades with this grader, and what three students submitted."""
    root = tmp_path_factory.mktemp("course")
    (root / "nbgrader_config.py").write_text(CONFIG % ("none" if isolation.why_not() else "required"))
    notebook = cells.notebook(
        cells.solution("double", cells.solved("def double(x):\n    return 2 * x")),
        cells.test("small", "import sys\nassert double(2) == 4", 1),
        cells.test("large", "assert double(10**6) == 2 * 10**6", 2),
        cells.essay("why", cells.solved("Because."), 3),
    )
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    (root / "source" / "ps1").mkdir(parents=True)
    nbformat.write(notebook, root / "source" / "ps1" / "work.ipynb")
    made = _nbgrader(root, "generate_assignment", "ps1")
    assert made.returncode == 0, made.stderr
    right = "import sys\nprint('a warning', file=sys.stderr)\ndef double(x):\n    return x + x"
    for student, answer in (("right", right), ("small", "def double(x):\n    return 4"), ("cheat", CHEAT)):
        folder = root / "submitted" / student / "ps1"
        folder.mkdir(parents=True)
        released = nbformat.read(root / "release" / "ps1" / "work.ipynb", as_version=4)
        released.cells[0].source = answer
        nbformat.write(released, folder / "work.ipynb")
    return root


def _scores(root: Path, student: str) -> dict[str, Any]:
    with Gradebook(f"sqlite:///{root}/gradebook.db", "apart") as book:
        grades = book.find_submission_notebook("work", "ps1", student).grades
        return {grade.name: grade.auto_score for grade in grades}


EXPECTED = {
    "right": {"small": 1, "large": 2, "why": 0},
    "small": {"small": 1, "large": 0, "why": 0},
    "cheat": {"small": 0, "large": 0, "why": 0},
}


def test_nbgraders_own_command_grades_with_this_grader(root: Path) -> None:
    done = _nbgrader(root, "autograde", "ps1", "--force")
    assert done.returncode == 0, done.stderr
    assert {student: _scores(root, student) for student in EXPECTED} == EXPECTED
    graded = nbformat.read(root / "autograded" / "right" / "ps1" / "work.ipynb", as_version=4)
    assert [v["state"] for v in graded.metadata["autograder"]["verdicts"]] == ["passed", "passed"]
    assert graded.metadata["kernelspec"]["name"] == "python3"
    assert _nbgrader(root, "generate_feedback", "ps1").returncode == 0
    assert (root / "feedback" / "right" / "ps1" / "work.html").is_file()


def _secret(path: Path) -> None:
    (path.parents[3] / "secret.ipynb").write_text('{"secret": 1}')
    path.symlink_to(path.parents[3] / "secret.ipynb")


UNREADABLE: dict[str, Callable[[Path], object]] = {
    "broken": lambda path: path.write_text("{"),
    "empty": lambda path: path.touch(),
    "bytes": lambda path: path.write_bytes(bytes(range(256))),
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo,
    "linked": _secret,
    "dangling": lambda path: path.symlink_to("nowhere"),
    "large": lambda path: path.write_bytes(b" " * (21 << 20)),
}


def test_what_cannot_be_read_gets_a_verdict_and_no_points(root: Path) -> None:
    for kind, make in UNREADABLE.items():
        folder = root / "submitted" / kind / "ps1"
        folder.mkdir(parents=True)
        make(folder / "work.ipynb")
    done = _nbgrader(root, "autograde", "ps1")
    assert done.returncode == 0, done.stderr
    assert _nbgrader(root, "generate_feedback", "ps1").returncode == 0
    for kind in UNREADABLE:
        assert _scores(root, kind) == {"small": 0, "large": 0, "why": 0}, kind
        text = (root / "autograded" / kind / "ps1" / "work.ipynb").read_text()
        verdicts = nbformat.reads(text, as_version=4).metadata["autograder"]["verdicts"]
        assert {v["state"] for v in verdicts} == {"unreadable"} and "secret" not in text, kind
        assert "unreadable" in (root / "feedback" / kind / "ps1" / "work.html").read_text(), kind


def test_without_execution_nothing_is_graded(root: Path) -> None:
    done = _nbgrader(root, "autograde", "ps1", "--force", "--student=right", "--no-execute")
    assert done.returncode == 1 and "grade without --no-execute" in done.stderr


@pytest.fixture
def server(root: Path) -> Iterator[str]:
    """The address of a Jupyter server with the formgrader."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    options = (
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--ServerApp.ip=127.0.0.1",
        "--IdentityProvider.token=secret",
        "--ServerApp.open_browser=False",
        "--allow-root",
    )
    extensions = {"nbgrader.server_extensions.formgrader": True, "jupyterlab": False}
    (root / ".jupyter").mkdir(exist_ok=True)
    settings = {"ServerApp": {"jpserver_extensions": extensions}}
    (root / ".jupyter" / "jupyter_server_config.json").write_text(json.dumps(settings))
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyter", "server", *options],
        cwd=root,
        env=_environment(root),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    said = []
    for line in process.stderr:
        said.append(line)
        if "is running at" in line:
            break
    else:
        pytest.fail("The server ended:\n" + "".join(said))
    threading.Thread(target=process.stderr.read, daemon=True).start()  # lest the pipe fills up
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(timeout=30)


def test_the_formgraders_button_grades_with_this_grader(root: Path, server: str) -> None:
    with Gradebook(f"sqlite:///{root}/gradebook.db", "apart") as book:
        for student in ("small", "right"):
            book.update_or_create_student(student)
    for student in ("small", "right"):
        ask = urllib.request.Request(
            f"{server}/formgrader/api/submission/ps1/{student}/autograde",
            method="POST",
            headers={"Authorization": "token secret"},
        )
        with urllib.request.urlopen(ask, timeout=200) as answer:
            said = json.loads(answer.read())
        assert said["success"], said
        assert _scores(root, student) == EXPECTED[student]
        graded = root / "autograded" / student / "ps1" / "work.ipynb"
        assert "autograder" in nbformat.read(graded, as_version=4).metadata
