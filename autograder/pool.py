"""Spreads submissions over the processors of this machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from autograder.grade import Report, grade
from autograder.layout import Assignment, Submission, copy_files
from autograder.limits import Limits
from autograder.sandbox.warm import Warm

Reports = dict[str, Report | None]


def grade_all(
    assignment: Assignment,
    submissions: Iterable[Submission],
    *,
    limits: Limits,
    isolate: bool,
    hide: tuple[Path, ...] = (),
    jobs: int | None = None,
) -> Iterator[tuple[Submission, Reports]]:
    """Grades every submission, ``jobs`` at a time, and gives each as soon as it is done.

    A thread here only waits: the work is done by the processes that it starts.
    """
    jobs = jobs or os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="assignment-") as folder, Warm(assignment.modules()) as process:
        copy_files(assignment, Path(folder))

        def one(submission: Submission) -> tuple[Submission, Reports]:
            reports: Reports = {}
            for name, source in assignment.notebooks.items():
                path = submission.notebook(name)
                if path is None:
                    reports[name] = None
                    continue
                reports[name] = grade(
                    source,
                    path,
                    files=Path(folder),
                    extra=submission.extra,
                    process=process,
                    limits=limits,
                    isolate=isolate,
                    hide=hide,
                )
            return submission, reports

        with ThreadPoolExecutor(jobs, thread_name_prefix="grading") as threads:
            for future in as_completed([threads.submit(one, submission) for submission in submissions]):
                yield future.result()
