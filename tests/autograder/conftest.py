"""Tiny notebooks, warm processes, and real judges and sandboxes to put them into."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory

from autograder import layout
from autograder.frames import Channel
from autograder.gradebook import open_gradebook
from autograder.grading import Report, grade_notebook
from autograder.judge.remote import Client
from autograder.limits import Limits
from autograder.process import Process
from autograder.sandbox import isolation
from autograder.sandbox.warm import Place, Warm
from autograder.scratch import MARK
from autograder.submission import with_checksums


def _marked(cell: NotebookNode, grade_id: str, **meta: Any) -> NotebookNode:
    plain = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
    cell.metadata["nbgrader"] = plain | {"grade_id": grade_id} | meta
    return cell


def _solution(grade_id: str, text: str) -> NotebookNode:
    return _marked(new_code_cell(text), grade_id, solution=True)


def _test(grade_id: str, text: str, points: float = 1) -> NotebookNode:
    return _marked(new_code_cell(text), grade_id, grade=True, locked=True, points=points)


def _locked(grade_id: str, text: str) -> NotebookNode:
    return _marked(new_code_cell(text), grade_id, locked=True)


def _essay(grade_id: str, text: str, points: float = 3) -> NotebookNode:
    return _marked(new_markdown_cell(text), grade_id, grade=True, solution=True, points=points)


def _hidden_in_solution(text: str) -> str:
    return f"### BEGIN SOLUTION\n{text}\n### END SOLUTION"


@pytest.fixture(scope="session")
def cells() -> SimpleNamespace:
    """Makers of nbgrader cells."""
    return SimpleNamespace(
        solution=_solution,
        test=_test,
        locked=_locked,
        essay=_essay,
        plain=new_code_cell,
        text=new_markdown_cell,
        solved=_hidden_in_solution,
        notebook=lambda *made: new_notebook(cells=list(made)),
    )


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """A warm process with numpy, and no torch: it starts in a moment."""
    with Warm(["numpy"]) as process:
        yield process


@pytest.fixture(scope="session")
def torch_warm() -> Iterator[Warm]:
    with Warm(["torch"]) as process:
        yield process


@pytest.fixture(scope="session")
def isolated() -> None:
    """For tests that need a machine that can shut a process in."""
    if reason := isolation.why_not():
        pytest.skip(reason)


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Starts a sandbox and gives the judge's client for it."""
    started: list[tuple[Client, Process]] = []
    (tmp_path / "files").mkdir()

    def start(
        process: Warm,
        *,
        isolate: bool = False,
        hide: tuple[Path, ...] = (),
        limits: Limits | None = None,
        **options: Any,
    ) -> Client:
        ours, theirs = socket.socketpair()
        pid = process.fork("sandbox", [theirs], Place(tmp_path / "files", isolate, hide), limits or Limits())
        theirs.close()
        sandbox = Process(pid)
        client = Client(Channel(ours), sandbox, **options)
        started.append((client, sandbox))
        return client

    yield start
    for client, sandbox in started:
        client._channel.close()
        sandbox.end(group=True)  # an isolated one leads no group


@pytest.fixture
def graded(warm: Warm, tmp_path: Path) -> Callable[..., Report]:
    """Grades a submission, given as a notebook or as the bytes of a file, against a source."""
    files = tmp_path / "shipped"
    files.mkdir()

    def run(source: NotebookNode, submitted: NotebookNode | bytes, **options: Any) -> Report:
        path = tmp_path / "submitted.ipynb"
        if isinstance(submitted, bytes):
            path.write_bytes(submitted)
        else:
            nbformat.write(submitted, path)
        options = {"isolate": False, "process": warm, "limits": Limits(cell_seconds=20)} | options
        return grade_notebook(with_checksums(source), path, files=files, **options)

    return run


@pytest.fixture
def attempt(cells: SimpleNamespace, graded: Callable[..., Report]) -> Callable[..., Report]:
    """Grades one answer to an exercise: ``attempt(solution, tests, answer)``; tests are texts worth a point each."""

    def run(solution: str, tests: list[str], answer: str, *, setup: str = "", **options: Any) -> Report:
        first = [cells.locked("setup", setup)] if setup else []
        checks = [cells.test(f"test{i}", text) for i, text in enumerate(tests)]
        source = cells.notebook(*first, cells.solution("answer", cells.solved(solution)), *checks)
        submitted = cells.notebook(*first, cells.solution("answer", answer), *checks)
        return graded(source, submitted, **options)

    return run


@dataclass(frozen=True)
class Course:
    """A real course directory with one assignment, ``ps1``, and submissions whose answers a test writes."""

    root: Path
    released: Path

    @property
    def directory(self) -> CourseDirectory:
        return layout.open_course(self.root)

    def submit(self, student: str, answer: str) -> None:
        folder = self.root / "submitted" / student / "ps1"
        folder.mkdir(parents=True)
        (folder / "timestamp.txt").write_text("2026-01-05 12:00:00 UTC")
        work = nbformat.read(self.released, as_version=4)
        work.cells[0].source = answer
        nbformat.write(work, folder / "problem.ipynb")

    def command(self, *options: str) -> list[str]:
        """The words of `autograder grade ps1` in this course, without isolation."""
        program = str(Path(sys.executable).with_name("autograder"))
        jobs = [] if "--jobs" in options else ["--jobs", "2"]
        return [program, "grade", "ps1", "--isolation", "none", *jobs, *options]

    def grade(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*options),
            cwd=self.root,
            env=os.environ | {"COLUMNS": "200"} | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def scores(self) -> dict[str, float]:
        """What the gradebook has, of those submissions whose graded notebook is in its place."""
        directory = self.directory
        with Gradebook(directory.db_url, directory.course_id) as book:
            return {
                submission.student_id: submission.score
                for submission in book.assignment_submissions("ps1")
                if (self.root / "autograded" / submission.student_id / "ps1" / "problem.ipynb").is_file()
            }

    def leftovers(self) -> list[Path]:
        """Folders that a grader uses while it is at work."""
        return sorted(self.root.glob(f"**/.*{MARK}*"))


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory, cells: SimpleNamespace) -> Path:
    """A course directory whose exercise is ``square(x)``, worth two points, as generate_assignment leaves it."""
    root = tmp_path_factory.mktemp("released")
    folder = root / "source" / "ps1"
    folder.mkdir(parents=True)
    (root / "nbgrader_config.py").write_text('c = get_config()\nc.CourseDirectory.course_id = "squares"\n')
    notebook = cells.notebook(
        cells.solution("square", cells.solved("def square(x):\n    return x * x")),
        cells.test("test-square", "assert square(3) == 9", 2),
    )
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "problem.ipynb")
    _generate(root)
    return root


def _generate(root: Path) -> None:
    course = layout.open_course(root)
    open_gradebook(course).close()  # puts alembic on the path, as nbgrader expects it
    done = NbGraderAPI(course, config=course.parent.config).generate_assignment("ps1")
    assert done["success"], done


@pytest.fixture
def squares(tmp_path: Path, released: Path) -> Callable[..., Course]:
    """Makes such a course; lines for its nbgrader_config.py may name another gradebook."""

    def make(*config: str) -> Course:
        root = tmp_path / "course"
        shutil.copytree(released, root)
        if config:
            with (root / "nbgrader_config.py").open("a") as file:
                file.write("\n".join(config) + "\n")
            (root / "gradebook.db").unlink()
            shutil.rmtree(root / "release")
            _generate(root)
        return Course(root, root / "release" / "ps1" / "problem.ipynb")

    return make
