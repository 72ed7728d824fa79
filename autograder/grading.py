"""One submitted notebook to a Report: a pure function of its inputs, with no gradebook and no layout of folders."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import platform
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nbformat import NotebookNode, from_dict

from autograder import feedback, sanitise
from autograder.files import DATA
from autograder.limits import Limits
from autograder.pair import Pair, Told, Unlike
from autograder.plan import Plan, Step
from autograder.precedents import Precedents
from autograder.sandbox.warm import Place, Warm
from autograder.submission import Unreadable, canonical, content_of, plan, read_notebook
from autograder.verdict import CUT_SHORT, State, Verdict
from autograder.watch import Watch

MAX_TEXT = 100_000  # characters of learners' Markdown in a notebook that stay Markdown


@dataclass
class Report:
    """What one submitted notebook earned, and what that rests on.

    ``notebook`` is the graded notebook (the instructor's cells restored, outputs as they came); ``manual`` are
    cells that a person grades: (grade_id, points, whether the answer is still as it was released); ``untouched`` are
    all answers that are still so; ``private_mib`` is the most memory that judge and sandbox together can have had for
    themselves, None where no system says; ``judged`` is whether a judge decided anew, and no precedent.
    """

    verdicts: list[Verdict]
    notebook: NotebookNode
    manual: list[tuple[str, float, bool]] = field(default_factory=list)
    untouched: frozenset[str] = frozenset()
    seconds: float = 0.0
    private_mib: float | None = None
    judged: bool = True
    basis: dict[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """All of it but the notebook, as JSON: what ``autograded/`` keeps in the notebook's metadata."""
        return {
            "verdicts": [verdict.as_dict() for verdict in self.verdicts],
            "manual": [[grade_id, points, unchanged] for grade_id, points, unchanged in self.manual],
            "untouched": sorted(self.untouched),
            "seconds": round(self.seconds, 3),
            "private_mib": self.private_mib,
            "judged": self.judged,
            "basis": self.basis,
        }

    @property
    def points(self) -> float:
        return sum(v.points for v in self.verdicts)

    @property
    def max_points(self) -> float:
        return sum(v.max_points for v in self.verdicts)


def grade_notebook(
    source: NotebookNode,
    submission: Path,
    *,
    files: Path,
    process: Warm,
    limits: Limits | None = None,
    isolate: bool = True,
    hide: tuple[Path, ...] = (),
    extra: Mapping[str, Path] | None = None,
    precedents: Precedents | None = None,
) -> Report:
    """Grades one submitted notebook.

    Parameters
    ----------
    source: the instructor's notebook, from :func:`autograder.submission.with_checksums`.
    submission: path of the submitted notebook. It may hold anything.
    files: folder of files that the assignment ships; each side gets a copy.
    process: a warm process with the assignment's libraries.
    isolate: shut the learner's code in. Without, it runs with the grader's own rights.
    hide: folders and files that shut-in code must not see, though they lie among the libraries.
    extra: the learner's own files, by their names in the folder. The learner's code gets all of them; the tests get
        those that are plain data, and none that Python could import or a reader could run.
    precedents: what judges of this notebook have decided before; of what they decide now it hears. None is for an
        assignment that ships a module which may look at a clock.

    Never raises for what a submission holds or does: that becomes verdicts.
    """
    limits = limits or Limits()
    started = time.monotonic()
    content = None
    try:
        content = content_of(submission, limits.notebook_mib)
        todo = plan(source, read_notebook(content, submission.name, limits.notebook_cells))
    except Unreadable as error:
        report = _nothing_earned(source, State.UNREADABLE, str(error))
    else:
        code = [[(step.judge, step.sandbox) for step in todo.steps], sorted(todo.unattempted)]
        if extra or todo.timed:
            precedents = None  # not all that answer alike are alike
        if precedents is not None and (same := precedents.same(code)) is not None:
            told, private_mib = same
            report = _report(todo, told, limits)
            report.private_mib, report.judged = private_mib, False
        else:
            with _with_extra(files, extra or {}, process.scratch) as (learners, judges):
                place = Place(learners, isolate, hide)
                try:
                    report, told = _decided(process, todo, place, limits, judges, precedents)
                except Unlike:
                    report, told = _decided(process, todo, place, limits, judges, None)
            in_full = all(in_time for _, in_time in told) and not any(v.state in CUT_SHORT for v in report.verdicts)
            if precedents is not None and in_full:
                precedents.ran(code, told, report.private_mib)
    _make_harmless(report.notebook, source)
    report.seconds = time.monotonic() - started
    report.basis = _basis(source, content, limits, isolate)
    return report


def _decided(
    process: Warm, todo: Plan, place: Place, limits: Limits, judges: Path, precedents: Precedents | None
) -> tuple[Report, list[Told]]:
    """Runs a notebook, by processes which may have the instructor's opening cells behind them."""
    cells = tuple(step.judge for step in todo.steps[: todo.opening] if step.judge is not None)
    opened = process.opened(cells, place, limits) if cells else None
    told: list[Told] = []
    with Pair(opened or process, place, limits, judges) as pair:
        report = _report(todo, _kept(pair.run(todo, precedents), told), limits, pair.watch)
        report.private_mib, report.judged = pair.private_mib, pair.judged
    return report, told


def _kept(told: Iterator[Told], kept: list[Told]) -> Iterator[Told]:
    for one in told:
        kept.append(one)
        yield one


@contextmanager
def _with_extra(files: Path, extra: Mapping[str, Path], scratch: Path) -> Iterator[tuple[Path, Path]]:
    """Folders with the assignment's files and the learner's own: all of them, and those that a test may read."""
    if not extra:
        yield files, files
        return
    with tempfile.TemporaryDirectory(prefix="extra-", dir=scratch, ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o755)  # shut-in code is nobody's
        learners, judges = Path(made, "learner"), Path(made, "judge")
        for folder in (learners, judges):
            shutil.copytree(files, folder)
            for name, path in extra.items():
                data = Path(name).suffix.lower() in DATA and not (files / name).exists()
                if folder == learners or data:
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (folder / name).unlink(missing_ok=True)
                    shutil.copyfile(path, folder / name, follow_symlinks=False)
        yield learners, judges


def _report(todo: Plan, told: Iterable[Told], limits: Limits, watch: Watch | None = None) -> Report:
    cells = [step.cell for step in todo.steps]  # which are the plan's own
    for cell in cells:
        if cell.cell_type == "code":  # another run may have been given up in the midst
            cell.outputs, cell.execution_count = [], None
    verdicts: list[Verdict] = []
    in_time = True
    own_cards = set()
    for index, (message, in_time) in enumerate(told):
        if message is None:
            break
        if cells[index].cell_type == "code":
            cells[index].outputs = [from_dict(output) for output in message["outputs"]]
            cells[index].execution_count = index + 1
        if message["verdict"]:
            said = Verdict.from_dict(message["verdict"])
            if not in_time and said.points < said.max_points:
                verdict = _timeout(todo.steps[index], limits)
            elif said.state is State.CRASHED and watch is not None and watch.exceeded is not None:
                state, why = watch.exceeded
                verdict = replace(said, state=state, message=why)
            else:
                verdict = said
            verdicts.append(verdict)
            if feedback.has_card(cells[index].outputs) and verdict is said:
                own_cards.add(index)
    tests = [index for index, step in enumerate(todo.steps) if step.grade_id is not None]
    for index in tests[len(verdicts) :]:
        verdicts.append(_never_reached(todo.steps[index]) if in_time else _timeout(todo.steps[index], limits))
    for index, verdict in zip(tests, verdicts, strict=True):
        if index not in own_cards:
            cells[index].outputs.append(feedback.card(verdict))
    return Report(verdicts, _notebook(cells), list(todo.manual), todo.untouched)


def _timeout(step: Step, limits: Limits) -> Verdict:
    message = f"The time was up: {limits.cell_seconds:g} s for a cell, {limits.submission_seconds:g} s for a notebook."
    return Verdict(step.grade_id or "", State.TIMEOUT, 0.0, step.points, message)


def _never_reached(step: Step) -> Verdict:
    message = "The grading of this notebook ended before this test was reached."
    return Verdict(step.grade_id or "", State.CRASHED, 0.0, step.points, message)


def crashed(source: NotebookNode, submission: Path, limits: Limits, isolate: bool, message: str) -> Report:
    """The report on a submission that ends the processes which grade it."""
    report = _nothing_earned(source, State.CRASHED, message)
    try:
        content = content_of(submission, limits.notebook_mib)
    except Unreadable:
        content = None
    report.basis = _basis(source, content, limits, isolate)
    return report


def _nothing_earned(source: NotebookNode, state: State, message: str) -> Report:
    """The report on what cannot be run: nothing earned, and the instructor's notebook without answers."""
    empty = plan(source, NotebookNode(cells=[]))
    tests = [step for step in empty.steps if step.grade_id is not None]
    verdicts = [Verdict(step.grade_id or "", state, 0.0, step.points, message) for step in tests]
    cells = [step.cell for step in empty.steps]
    by_id = {verdict.grade_id: verdict for verdict in verdicts}
    for step, cell in zip(empty.steps, cells, strict=True):
        if step.grade_id in by_id:
            cell.outputs = [feedback.card(by_id[step.grade_id])]
    return Report(verdicts, _notebook(cells), list(empty.manual), empty.untouched)


def _make_harmless(notebook: NotebookNode, source: NotebookNode) -> None:
    """Sees to what learners wrote into cells of text, which graders' browsers will show."""
    given = {cell.source for cell in source.cells}
    left = MAX_TEXT
    for cell in notebook.cells:
        if cell.cell_type == "code" or cell.source in given:
            continue
        left -= len(cell.source)
        if left < 0:
            cell.source = sanitise.verbatim(cell.source)
        elif cell.cell_type == "markdown":
            cell.source = sanitise.markdown(cell.source, cell.get("attachments"))
        else:
            cell.source = sanitise.raw(cell.source)


def _notebook(cells: list[NotebookNode]) -> NotebookNode:
    return NotebookNode(nbformat=4, nbformat_minor=5, metadata=NotebookNode(), cells=cells)


def _basis(source: NotebookNode, submission: bytes | None, limits: Limits, isolate: bool) -> dict[str, Any]:
    """What a score rests on: hashes (None where no file of a sane size could be read), versions, seeds, limits."""
    return {
        "source_sha256": hashlib.sha256(canonical(source)).hexdigest(),
        "submission_sha256": None if submission is None else hashlib.sha256(submission).hexdigest(),
        "versions": dict(_versions()),
        "seed": 0,
        "limits": dict(vars(limits)),
        "isolated": isolate,
    }


@functools.cache
def _versions() -> tuple[tuple[str, str], ...]:
    found = [("python", platform.python_version())]
    for name in ("finetuning-from-zero", "nbgrader", "numpy", "torch"):
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return tuple(found)
