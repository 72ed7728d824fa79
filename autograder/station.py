"""What grading submissions of one assignment takes on one machine: a warm process, and the assignment's files."""

from __future__ import annotations

import compileall
from pathlib import Path
from py_compile import PycInvalidationMode

from autograder.grading import Report, grade_notebook
from autograder.layout import Assignment, Submission, copy_files
from autograder.limits import Limits
from autograder.precedents import MOST_BYTES, Precedents
from autograder.sandbox.warm import Warm
from autograder.verdict import State

Reports = dict[str, Report | None]

DYING = 0.2  # seconds in which a warm process that was killed is seen to be gone, once its forks are


class Lost(Exception):
    """The processes that graded a submission were ended from outside: what came of it says nothing of it."""


class NeverBegan(Lost):
    """The warm process ended before its first fork: no submission had a part in that."""


class PoolError(Exception):
    """Nothing more can be graded. The message says why, and what to do."""


class Station:
    """Grades submissions, several at a time if asked from several threads. Use it as a context manager.

    The thread that makes it must live as long as it does: the warm process ends with that thread.
    """

    def __init__(self, assignment: Assignment, *, limits: Limits, isolate: bool, hide: tuple[Path, ...] = ()) -> None:
        self._notebooks = assignment.notebooks
        self._limits, self._isolate, self._hide = limits, isolate, hide
        self._warm = Warm(assignment.modules())
        known = self._notebooks if assignment.precedents and not assignment.has_clocks() else ()
        self._precedents = {name: Precedents(MOST_BYTES // len(known)) for name in known}
        try:
            self._files = self._warm.scratch / "files"
            self._files.mkdir()
            copy_files(assignment, self._files)
            # once for all; by its hash, since no copy of it keeps the time at which it was written
            compileall.compile_dir(self._files, quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
        except BaseException:
            self.close()
            raise

    @property
    def scratch(self) -> Path:
        """A folder that ends with the station, even where it is killed."""
        return self._warm.scratch

    def ended(self) -> bool:
        """Whether the warm process is gone, so that nothing more can be graded here."""
        return self._warm.ended()

    def grade(self, submission: Submission) -> Reports:
        """Grades a submission's notebooks; None is for one that is not there.

        Raises Lost where the warm process was ended meanwhile, and OSError where the machine has no room for
        another process.
        """
        reports: Reports = {}
        for name, source in self._notebooks.items():
            path = submission.notebook(name)
            if path is None:
                reports[name] = None
                continue
            try:
                report = grade_notebook(
                    source,
                    path,
                    files=self._files,
                    extra=submission.extra,
                    process=self._warm,
                    limits=self._limits,
                    isolate=self._isolate,
                    hide=self._hide,
                    precedents=self._precedents.get(name),
                )
            except Exception as error:
                if self._warm.ended(DYING):
                    raise (Lost if self._warm.begun else NeverBegan)("The warm process ended.") from error
                raise
            if any(v.state is State.CRASHED for v in report.verdicts) and self._warm.ended(DYING):
                raise Lost("The warm process ended.")
            reports[name] = report
        return reports

    def close(self) -> None:
        """Ends the warm process, and with it what is graded at this moment."""
        self._warm.__exit__()

    def __enter__(self) -> Station:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
