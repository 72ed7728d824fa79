"""Spreads submissions over the processors of this machine, or over a Dask cluster."""

from __future__ import annotations

import os
import queue
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Protocol

from autograder.grading import crashed
from autograder.layout import Assignment, Submission
from autograder.limits import Limits
from autograder.station import Lost, NeverBegan, PoolError, Reports, Station

PULSE = 5.0  # seconds between two looks at whether anybody is still at work


@dataclass(frozen=True)
class NotGraded:
    """Why a submission has no reports: for a reason that lies with the machine. The next run will grade it."""

    reason: str


class Crew(Protocol):
    """Those who grade: threads of this process, or the workers of a cluster."""

    def submit(self, submission: Submission) -> Future[Reports]:
        """Has it graded; the future raises Lost where those who graded it were ended from outside."""

    def slots(self) -> int:
        """How many submissions to have under way at a time."""

    def check(self) -> None:
        """Raises PoolError where nobody is left who grades."""

    def __enter__(self) -> Crew: ...

    def __exit__(self, *_: object) -> None: ...


def grade_all(
    assignment: Assignment,
    submissions: Iterable[Submission],
    *,
    limits: Limits,
    isolate: bool,
    hide: tuple[Path, ...] = (),
    jobs: int | None = None,
    scheduler: str | None = None,
) -> Generator[tuple[Submission, Reports | NotGraded], None, None]:
    """Grades every submission once, and gives each as soon as it is done.

    ``jobs`` is how many are graded here at a time (default: one for each core); ``scheduler``, the address of a
    Dask scheduler, has its workers grade them instead.

    What fails for a reason of the machine's, or ends those who grade it, does not stop the rest: it is tried once
    more when nothing else is under way. If it ends them again, its verdicts are ``crashed``.

    Raises PoolError where no submission can be graded any more.
    """
    crew: Crew
    if scheduler is None:
        crew = Local(assignment, jobs or cores(), limits=limits, isolate=isolate, hide=hide)
    else:
        from autograder.cluster import Cluster  # needs the extra [cluster]

        crew = Cluster(scheduler, assignment, limits=limits, isolate=isolate, hide=hide)
    with crew:
        again = []
        for one, future in _as_completed(crew, submissions):
            try:
                reports = future.result()
            except PoolError:
                raise
            except Exception:
                again.append(one)
            else:
                yield one, reports
        for one in again:
            yield one, _alone(crew, one, assignment, limits, isolate)


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _as_completed(crew: Crew, submissions: Iterable[Submission]) -> Iterator[tuple[Submission, Future[Reports]]]:
    done: queue.SimpleQueue[tuple[Submission, Future[Reports]]] = queue.SimpleQueue()
    waiting, under_way = deque(submissions), 0
    while waiting or under_way:
        while waiting and under_way < crew.slots():
            one = waiting.popleft()
            crew.submit(one).add_done_callback(lambda future, one=one: done.put((one, future)))  # type: ignore[misc]
            under_way += 1
        try:
            finished = done.get(timeout=PULSE)
        except queue.Empty:
            crew.check()
            continue
        under_way -= 1
        yield finished


def _alone(crew: Crew, one: Submission, assignment: Assignment, limits: Limits, isolate: bool) -> Reports | NotGraded:
    try:
        ((_, future),) = _as_completed(crew, [one])
        return future.result()
    except NeverBegan as error:
        raise PoolError(
            "The process that imports what the assignment needs ended before it could grade anything, again and again. "
            "Its messages are above; it may lack memory, or processes (ulimit -u). What was saved stays: mend that, "
            "and run the same command again."
        ) from error
    except Lost:
        message = (
            "Grading this submission ended the processes that grade, twice, the second time with no other beside it."
        )
        there = {name: path for name in assignment.notebooks if (path := one.notebook(name))}
        return {
            name: crashed(source, there[name], limits, isolate, message) if name in there else None
            for name, source in assignment.notebooks.items()
        }
    except PoolError:
        raise
    except PermissionError as error:
        return NotGraded(f"{error.filename} is not yours to read. Make it so.")
    except Exception as error:
        return NotGraded(f"It could not be graded ({type(error).__name__}: {error}).")


class Local:
    """Threads of this process, which only wait: the work is done by the forks of a warm process."""

    def __init__(
        self, assignment: Assignment, jobs: int, *, limits: Limits, isolate: bool, hide: tuple[Path, ...]
    ) -> None:
        self._make: Callable[[], Station] = lambda: Station(assignment, limits=limits, isolate=isolate, hide=hide)
        self._jobs = jobs
        self._lock = Lock()
        self._station: Station

    def submit(self, submission: Submission) -> Future[Reports]:
        return self._threads.submit(self._grade, submission)

    def _grade(self, submission: Submission) -> Reports:
        with self._lock:
            if self._station.ended():
                self._station.close()
                self._station = self._make()
            station = self._station
        return station.grade(submission)

    def slots(self) -> int:
        return self._jobs

    def check(self) -> None:
        """A thread of this process is there as long as this process is."""

    def __enter__(self) -> Local:
        self._station = self._make()
        self._threads = ThreadPoolExecutor(self._jobs, thread_name_prefix="grading")
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._station.close()
        self._threads.shutdown(wait=True)
