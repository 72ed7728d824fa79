"""grade(source, submission) -> Report: a pure function of its inputs, with no gradebook and no layout of folders."""

from __future__ import annotations

import copy
import hashlib
import importlib.metadata
import os
import pickle
import platform
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbgrader import utils

from autograder.judge.run import Job
from autograder.limits import Limits
from autograder.outputs import safe
from autograder.sandbox import warm
from autograder.submission import Plan, Unreadable, canonical, plan, read_notebook
from autograder.verdict import State, Verdict
from autograder.wire import Channel, Closed, WireError

GRACE = 3.0  # seconds between asking a process to stop and ending it


@dataclass
class Report:
    """What one submitted notebook earned, and what that rests on.

    ``notebook`` is the graded notebook (the instructor's cells restored, outputs as they came); ``manual`` are
    cells that a person grades: (grade_id, points, whether the answer is still as it was released).
    """

    verdicts: list[Verdict]
    notebook: NotebookNode
    manual: list[tuple[str, float, bool]] = field(default_factory=list)
    seconds: float = 0.0
    basis: dict[str, Any] = field(default_factory=dict)

    @property
    def points(self) -> float:
        return sum(v.points for v in self.verdicts)

    @property
    def max_points(self) -> float:
        return sum(v.max_points for v in self.verdicts)


def grade(
    source: NotebookNode,
    submission: Path,
    *,
    files: Path,
    process: warm.Warm,
    limits: Limits | None = None,
    isolate: bool = True,
) -> Report:
    """Grades one submitted notebook.

    Parameters
    ----------
    source: the instructor's notebook, from :func:`autograder.submission.with_checksums`.
    submission: path of the submitted notebook. It may hold anything.
    files: folder of files that the assignment ships; each side gets a copy.
    process: a warm process with the assignment's libraries.
    isolate: shut the learner's code in. Without, it runs with the grader's own rights.

    Never raises for what a submission holds or does: that becomes verdicts.
    """
    limits = limits or Limits()
    started = time.monotonic()
    try:
        todo = plan(source, read_notebook(submission, limits.notebook_mib))
    except Unreadable as error:
        report = _unreadable(source, str(error))
    else:
        report = _run(todo, files, process, limits, isolate)
    report.seconds = time.monotonic() - started
    report.basis = _basis(source, submission, limits, isolate)
    return report


def _run(todo: Plan, files: Path, process: warm.Warm, limits: Limits, isolate: bool) -> Report:
    cells = [copy.deepcopy(step.cell) for step in todo.steps]
    notebook = NotebookNode(nbformat=4, nbformat_minor=5, metadata=NotebookNode(), cells=cells)
    with tempfile.TemporaryDirectory(prefix="grading-") as folder:
        judge_files, sandbox_files = Path(folder, "judge"), Path(folder, "sandbox")
        shutil.copytree(files, judge_files)
        # Isolated code gets its own copy inside; only without isolation does it run in this folder.
        shutil.copytree(files, sandbox_files)
        said: dict[str, Verdict] = {}
        for index, outputs, verdict in _conversation(todo, judge_files, sandbox_files, process, limits, isolate):
            if verdict is not None:
                said[verdict.grade_id] = verdict
            if cells[index].cell_type == "code":
                trusted = todo.steps[index].grade_id is not None
                cells[index].outputs = safe(outputs, trusted=trusted)
                cells[index].execution_count = index + 1
    never = "The grading of this notebook ended before this test was reached."
    verdicts = [
        said.get(step.grade_id) or Verdict(step.grade_id, State.CRASHED, 0.0, step.points, never)
        for step in todo.steps
        if step.grade_id is not None
    ]
    return Report(verdicts, notebook, list(todo.manual))


def _conversation(
    todo: Plan, judge_files: Path, sandbox_files: Path, process: warm.Warm, limits: Limits, isolate: bool
) -> Iterator[tuple[int, list[Any], Verdict | None]]:
    """(index of a cell, its outputs, its verdict) as the judge tells of them, within the limits."""
    with _pair(process, sandbox_files, limits, isolate) as (control, judge_pid, sandbox_pid):
        job = Job(todo, str(judge_files), sandbox_pid)
        control.send({"op": "job"}, [pickle.dumps(job)])
        end = time.monotonic() + limits.submission_seconds
        index = 0
        while True:
            seconds = min(limits.cell_seconds, end - time.monotonic())
            message, in_time = _next(control, seconds, sandbox_pid, judge_pid)
            if message is None or message["index"] is None:
                if message is None and index < len(todo.steps) and (name := todo.steps[index].grade_id):
                    yield index, [], _timeout(name, todo.steps[index].points, limits)
                return
            index = message["index"]
            verdict = message["verdict"] and Verdict(
                **{**message["verdict"], "state": State(message["verdict"]["state"])}
            )
            if verdict and not in_time and verdict.points < verdict.max_points:
                verdict = _timeout(verdict.grade_id, verdict.max_points, limits)
            yield index, message["outputs"], verdict
            index += 1


def _timeout(grade_id: str, points: float, limits: Limits) -> Verdict:
    message = f"The code was still running after {limits.cell_seconds:g} s."
    return Verdict(grade_id, State.TIMEOUT, 0.0, points, message)


def _next(control: Channel, seconds: float, *pids: int) -> tuple[dict[str, Any] | None, bool]:
    """The judge's next message, and whether it came in time.

    After ``seconds`` the learner's code is interrupted, then ended, then the judge is: None if even that is silent.
    """
    sandbox_pid, judge_pid = pids
    steps = ((seconds, None, 0), (GRACE, sandbox_pid, signal.SIGINT), (GRACE, sandbox_pid, signal.SIGKILL))
    for late, (wait, pid, number) in enumerate(steps):
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        control.sock.settimeout(max(wait, 0.05))
        try:
            return control.receive()[0], late == 0
        except TimeoutError:
            continue
        except (Closed, WireError):
            return None, late == 0
    with suppress(ProcessLookupError):
        os.kill(judge_pid, signal.SIGKILL)
    return None, False


@contextmanager
def _pair(process: warm.Warm, files: Path, limits: Limits, isolate: bool) -> Iterator[tuple[Channel, int, int]]:
    """A judge and a sandbox that speak to each other, and the judge's line to here. Both end with the block."""
    ours, judges = socket.socketpair()
    asks, answers = socket.socketpair()
    pids: list[int] = []
    try:
        options = warm.options(files, limits, isolate=isolate)
        pids.append(process.fork("sandbox", [answers], **options))
        pids.append(process.fork("judge", [judges, asks]))
        for one in (judges, asks, answers):
            one.close()
        yield Channel(ours), pids[1], pids[0]
    finally:
        for one in (ours, judges, asks, answers):
            one.close()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _unreadable(source: NotebookNode, message: str) -> Report:
    graded = [c for c in source.cells if utils.is_grade(c) and not utils.is_solution(c) and c.cell_type == "code"]
    verdicts = [
        Verdict(c.metadata.nbgrader["grade_id"], State.UNREADABLE, 0.0, float(c.metadata.nbgrader["points"]), message)
        for c in graded
    ]
    empty = plan(source, NotebookNode(cells=[]))
    cells = [copy.deepcopy(step.cell) for step in empty.steps]
    notebook = NotebookNode(nbformat=4, nbformat_minor=5, metadata=NotebookNode(), cells=cells)
    return Report(verdicts, notebook, list(empty.manual))


def _basis(source: NotebookNode, submission: Path, limits: Limits, isolate: bool) -> dict[str, Any]:
    """What a score rests on: hashes, versions, seeds, limits."""
    with suppress(OSError):
        submitted = hashlib.sha256(submission.read_bytes()).hexdigest()
    names = ("finetuning-from-zero", "nbgrader", "numpy", "torch")
    versions = {"python": platform.python_version()}
    for name in names:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        "source_sha256": hashlib.sha256(canonical(source)).hexdigest(),
        "submission_sha256": submitted if "submitted" in locals() else None,
        "versions": versions,
        "seed": 0,
        "limits": vars(limits),
        "isolated": isolate,
    }
