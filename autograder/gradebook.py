"""The one writer of nbgrader's gradebook and of ``autograded/``.

A submission is saved in three steps, in this order: its folder is written beside its place (so that a full disk
shows before a score is said), its scores are committed, and the folder is put in its place, which hardly can
fail. A submission counts as graded when the gradebook has it, the folder is in its place, and none waits beside
it: killed between any two steps, a grader leaves a submission that the next run grades again, never half of one.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import queue
import shutil
import sysconfig
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from nbgrader.api import Gradebook
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import AssignLatePenalties
from sqlalchemy import Connection
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from autograder import released, tables
from autograder.grading import Report
from autograder.layout import Assignment, LayoutError, Submission, stamp, timestamp
from autograder.scratch import Held, abandoned, sweep

PATIENCE = 60.0  # seconds to wait for a locked gradebook
GATHERING = 1.0  # seconds that a graded submission waits for others to be committed with
LARGEST_BATCH = 64  # submissions

T = TypeVar("T")


class GradebookError(Exception):
    """What was graded cannot be saved. The message says why, what it means, and what to do."""


def open_gradebook(course: CourseDirectory) -> Gradebook:
    """The course's gradebook; nbgrader makes one where there is none."""
    # nbgrader starts alembic by name, which an environment that is not activated does not have on its path.
    scripts = sysconfig.get_path("scripts")
    if scripts not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([scripts, os.environ.get("PATH", "")])
    try:
        return Gradebook(course.db_url, course.course_id)
    except (ArgumentError, ImportError) as error:
        raise GradebookError(
            f"The gradebook cannot be opened: {error}. Look at CourseDirectory.db_url in nbgrader_config.py, and at "
            "what its database needs to be installed."
        ) from error


def expect_assignment(gradebook: Gradebook, assignment: Assignment) -> tables.Structure:
    """The assignment as the gradebook has it; raises LayoutError where it does not know it as its source has it."""
    with gradebook.engine.connect() as connection:
        return _known(assignment, tables.read_structure(connection, assignment.name))


def save_scores(gradebook: Gradebook, assignment: Assignment, student: str, name: str, report: Report) -> None:
    """Puts the scores of one notebook into an open gradebook, and nothing else of its submission."""
    structure = expect_assignment(gradebook, assignment)
    entry = tables.Entry(student, None, {name: tables.Scores.of(report)})
    with gradebook.engine.begin() as connection:
        tables.write(connection, structure, [entry])


@dataclass(frozen=True)
class _Staged:
    """A graded submission whose folder is written, but not in its place."""

    entry: tables.Entry
    folder: Held
    target: Path


class Writer:
    """Saves what a run grades, in batches, from a thread of its own.

    Use it as a context manager; what was saved before the block ended is in the gradebook after it. ``say`` is
    told, once, that a locked gradebook is waited for. ``assignment`` is the assignment as the gradebook has it: to
    be graded against. ``failed`` has, by student, why a submission was not saved; the next run will grade it again.

    Raises LayoutError where the gradebook does not know the assignment as its source has it, and GradebookError,
    at any step, where nothing can be saved any more.
    """

    def __init__(
        self,
        course: CourseDirectory,
        assignment: Assignment,
        *,
        say: Callable[[str], None] = print,
        patience: float = PATIENCE,
    ) -> None:
        self.failed: dict[str, str] = {}
        self._course = course
        self._say, self._patience = say, patience
        self._root = Path(course.format_path(course.autograded_directory, ".", ".")).resolve()
        self._error: GradebookError | None = None
        self._gradebook = self._patiently(lambda: open_gradebook(course))
        try:
            self._structure = self._patiently(lambda: expect_assignment(self._gradebook, assignment))
            self.assignment = self._patiently(lambda: released.as_released(self._gradebook, assignment))
            self._gradebook.db.rollback()  # nothing of it is read a second time
            self._try_to_write()
            self._students = self._do(tables.read_students)
            self._saved = self._do(lambda c: tables.read_submissions(c, self._structure))
        except BaseException:
            self._gradebook.close()
            raise
        self._waiting: queue.Queue[_Staged | None] = queue.Queue(LARGEST_BATCH)
        self._thread = threading.Thread(target=self._write, name="gradebook")

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._waiting.put(None)
        self._thread.join()
        self._gradebook.close()
        if self._error is not None and kind is None:
            raise self._error

    def knows(self, student: str) -> bool:
        """Whether the gradebook had this student before this run began."""
        return student in self._students

    def is_graded(self, submission: Submission) -> bool:
        """Whether this submission, and no newer one, was graded and saved before this run began."""
        target = self._target(submission)
        if submission.student not in self._saved or not target.is_dir() or _unfinished(target):
            return False
        if self.assignment.left:  # a run of other notebooks, perhaps, made the folder
            there = {name for name in self.assignment.notebooks if submission.notebook(name)}
            if any(not (target / f"{name}.ipynb").is_file() for name in there):
                return False
        graded, submitted = timestamp(self._course, target), timestamp(self._course, submission.folder)
        saved = self._saved[submission.student]
        if graded is not None and (saved is None or saved < graded):
            return False
        return submitted is None or (graded is not None and graded >= submitted)

    def save(self, submission: Submission, reports: dict[str, Report | None]) -> None:
        """Takes a graded submission to be saved. None is for a notebook that was not submitted."""
        if self._error is not None:
            raise self._error
        target = self._target(submission)
        try:
            folder = _stage(target, self.assignment, submission, reports)
        except PermissionError as error:  # of this folder alone: of all of them the run would not have begun
            self.failed[submission.student] = f"{error.filename or target} is not yours to write. Make it so."
            return
        except OSError as error:
            raise GradebookError(
                f"{target} could not be written: {error.strerror or error}. What was saved before stays, and the "
                "rest will be graded by the next run: make room there, and run the same command again."
            ) from error
        scores = {name: tables.Scores.of(report) if report else None for name, report in reports.items()}
        entry = tables.Entry(submission.student, timestamp(self._course, submission.folder), scores)
        self._waiting.put(_Staged(entry, folder, target))

    def _target(self, submission: Submission) -> Path:
        path = self._course.format_path(self._course.autograded_directory, submission.student, self.assignment.name)
        return Path(path)

    def _try_to_write(self) -> None:
        """Says now, not after an hour of grading, that nothing can be saved."""

        self._do(tables.change_nothing)
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            sweep(self._root, "probe")
            Held(self._root, "probe").remove()
        except OSError as error:
            raise GradebookError(
                f"{self._root} cannot be written: {error.strerror or error}. Nothing was graded: make the folder "
                "writable, with room for the graded notebooks, and run the same command again."
            ) from error

    def _write(self) -> None:
        """Commits what has gathered, until the block ends."""
        ended = False
        while not ended:
            batch = [self._waiting.get()]
            end = time.monotonic() + GATHERING
            with contextlib.suppress(queue.Empty):
                while batch[-1] is not None and len(batch) < LARGEST_BATCH:
                    batch.append(self._waiting.get(timeout=max(end - time.monotonic(), 0)))
            ended = batch[-1] is None
            staged = [one for one in batch if one is not None]
            try:
                if staged and self._error is None:
                    self._save(staged)
            except GradebookError as error:
                self._error = error
            except Exception as error:
                self._error = GradebookError(f"The gradebook could not be written ({type(error).__name__}: {error}).")
                self._error.__cause__ = error
            finally:
                for one in staged:
                    one.folder.remove()

    def _save(self, batch: list[_Staged]) -> None:
        late = self._do(lambda c: tables.write(c, self._structure, [one.entry for one in batch]))
        for one in batch:
            try:
                for notebook in late.get(one.entry.student, []):
                    self._penalise(one.entry.student, notebook)
                _put(one.folder.path / one.target.name, one.target)
            except GradebookError:
                raise
            except Exception as error:  # what a course's plugin may raise, or what stands in the folder's place
                self.failed[one.entry.student] = f"It could not be saved ({type(error).__name__}: {error})."

    def _penalise(self, student: str, late: tables.Late) -> None:
        """What nbgrader's AssignLatePenalties does, over the connection that is open already.

        As with nbgrader, the course's plugin is asked when the scores are committed, and no transaction is open: it
        may read and write the gradebook itself.
        """
        penalties = AssignLatePenalties(parent=self._course.parent)
        penalties.notebook_id, penalties.assignment_id = late.notebook, self.assignment.name
        penalties.student_id, penalties.db_url = student, self._course.db_url
        penalties.gradebook = self._gradebook
        penalties.init_plugin()
        score = self._do(lambda c: tables.score(c, late.id))
        penalty = penalties.plugin_inst.late_submission_penalty(student, score, late.seconds)
        bounded = None if penalty is None else min(max(penalty, 0), score)
        self._do(lambda c: tables.penalise(c, late.id, bounded))

    def _do(self, action: Callable[[Connection], T]) -> T:
        """Does it in a transaction of its own."""

        def once() -> T:
            with self._gradebook.engine.begin() as connection:
                return action(connection)

        return self._patiently(once)

    def _patiently(self, action: Callable[[], T]) -> T:
        """Does it, again and again while another program has the gradebook locked."""
        end, told = time.monotonic() + self._patience, False
        while True:
            try:
                return action()
            except DBAPIError as error:
                if not _will_pass(error) or time.monotonic() > end:
                    raise GradebookError(_sentence(error, self._patience)) from error
            if not told:
                self._say(
                    "The gradebook is locked by another program (a formgrader, a backup?). "
                    f"Waiting for it, {self._patience:g} s at most."
                )
                told = True
            time.sleep(0.1)


def _will_pass(error: DBAPIError) -> bool:
    code = getattr(error.orig, "sqlite_errorname", "")
    return code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or error.connection_invalidated


def reason(error: SQLAlchemyError) -> str:
    """What the database itself says, in one line."""
    return " ".join(str(getattr(error, "orig", None) or error).split())


def _sentence(error: DBAPIError, patience: float) -> str:
    why = reason(error)
    if _will_pass(error):
        why = f"another program kept it locked, or out of reach, for more than {patience:g} s ({why})"
    return (
        f"The gradebook cannot be written: {why}. What was saved before stays, and the rest will be graded by the "
        "next run: free the gradebook, or make room, and run the same command again."
    )


def _known(assignment: Assignment, structure: tables.Structure | None) -> tables.Structure:
    known = set(structure.notebooks.values()) if structure else set()
    if structure is None or not assignment.notebooks.keys() <= known:
        missing = ", ".join(sorted(assignment.notebooks.keys() - known))
        raise LayoutError(
            f"The gradebook does not know {missing} of the assignment {assignment.name}. "
            f"Run `nbgrader generate_assignment {assignment.name}` first."
        )
    return structure


def _stage(target: Path, assignment: Assignment, submission: Submission, reports: dict[str, Report | None]) -> Held:
    """Writes the folder beside its place, so that a half-written one is never seen there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    sweep(target.parent, target.name)
    held = Held(target.parent, target.name)
    try:
        folder = held.path / target.name
        folder.mkdir()
        for name in assignment.left:  # by --notebook, say: their grading stands
            if (graded := target / f"{name}.ipynb").is_file():
                shutil.copyfile(graded, folder / f"{name}.ipynb")
        for relative, path in {**assignment.files, **submission.extra}.items():
            (folder / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / relative)
        for name, report in reports.items():
            if report is not None:
                notebook = report.notebook
                notebook.metadata = copy.deepcopy(assignment.notebooks[name].metadata)
                notebook.metadata["autograder"] = report.record()
                # nbformat.write would validate what was made here, and indents, which takes ten times as long
                text = json.dumps(notebook, ensure_ascii=False, sort_keys=True)
                (folder / f"{name}.ipynb").write_text(text + "\n", encoding="utf-8")
        if when := stamp(submission.folder):
            shutil.copyfile(when, folder / "timestamp.txt")
    except BaseException:
        held.remove()
        raise
    return held


def _put(folder: Path, target: Path) -> None:
    if target.exists():
        target.rename(folder.parent / "before")
    folder.rename(target)


def _unfinished(target: Path) -> bool:
    """Whether a grader was killed before it had put a folder in this place; what one left after that is removed."""
    if any((folder / target.name).is_dir() for folder in abandoned(target.parent, target.name)):
        return True
    sweep(target.parent, target.name)
    return False
