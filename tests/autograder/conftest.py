"""Tiny notebooks, warm processes, and real judges and sandboxes to put them into."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograder.frames import Channel
from autograder.grade import Report, grade
from autograder.judge.remote import Client
from autograder.limits import Limits
from autograder.process import Process
from autograder.sandbox import isolation
from autograder.sandbox.warm import Place, Warm
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
        return grade(with_checksums(source), path, files=files, **options)

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
