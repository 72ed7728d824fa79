"""Spreads submissions over the processors of this machine."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from autograder import names
from autograder.grade import Report, grade
from autograder.layout import Assignment, Submission
from autograder.limits import Limits
from autograder.sandbox.warm import Warm
from autograder.submission import modules_to_warm

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
    modules = {m for notebook in assignment.notebooks.values() for m in modules_to_warm(notebook)}
    for path in assignment.files.values():
        if path.suffix == ".py":  # shipped modules are imported anew by each, but not what they import
            modules |= names.modules(path.read_text(encoding="utf-8", errors="replace"))
    jobs = jobs or os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="assignment-") as folder, Warm(sorted(modules)) as process:
        Path(folder).chmod(0o755)  # it is all that learners get, and shut-in code is nobody's
        for relative, path in assignment.files.items():
            target = Path(folder, relative)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)

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
