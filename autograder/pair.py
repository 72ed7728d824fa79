"""A judge and a sandbox for one notebook, and the watch over how long they take and how much."""

from __future__ import annotations

import pickle
import select
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from autograder.frames import STALLED, Channel, WireError
from autograder.judge.run import Job
from autograder.limits import Limits
from autograder.plan import Plan
from autograder.process import Process
from autograder.sandbox.warm import Forks, Place
from autograder.watch import EVERY, Watch, own_mib

GRACE = 3.0  # seconds between asking a process to stop and ending it

Told = tuple[dict[str, Any] | None, bool]  # what a judge tells of a cell, and whether that came in time


class Pair:
    """Use it as a context manager: both processes, and what they left on disk, end with the block."""

    def __init__(self, process: Forks, place: Place, limits: Limits, judges_files: Path | None = None) -> None:
        self._shown = process.shown
        self.private_mib: float | None = None
        self._limits = limits
        self._isolated = place.isolate
        self._folder = tempfile.TemporaryDirectory(prefix="grading-", dir=process.scratch, ignore_cleanup_errors=True)
        self._judges_files = Path(self._folder.name)
        if not place.isolate:  # shut-in code has its own copy inside
            self._judges_files = Path(self._folder.name, "judge")
            shutil.copytree(place.files, Path(self._folder.name, "sandbox"))
            place = Place(Path(self._folder.name, "sandbox"), isolate=False)
        shutil.copytree(judges_files or place.files, self._judges_files, dirs_exist_ok=True)
        Path(self._folder.name).chmod(0o700)  # which the copy made as open as what it copied
        self._processes: list[Process] = []
        ours, judges = socket.socketpair()
        asks, answers = socket.socketpair()
        self._control = Channel(ours)
        try:
            for kind, channels in (("sandbox", [answers]), ("judge", [judges, asks])):
                pid = process.fork(kind, channels, place, limits)
                self._processes.append(Process(pid))
        except BaseException:
            self._end()
            raise
        finally:
            for one in (judges, asks, answers):
                one.close()
        self._sandbox, self._judge = self._processes
        self.watch = Watch(self._sandbox, limits)

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, where: TracebackType | None) -> None:
        self._end()

    def _end(self) -> None:
        self._control.close()
        for process in self._processes:
            process.end(group=not self._isolated)
        self._folder.cleanup()

    def run(self, plan: Plan) -> Iterator[Told]:
        """What the judge tells of each cell, and whether it came in time. The last may be None: it tells no more."""
        start = 0 if self._shown is None else plan.opening
        job = Job(plan.of_judge(), str(self._judges_files), self._sandbox.pid, self._limits, start)
        try:
            self._control.send({"op": "job"}, [pickle.dumps(job)])
        except WireError:
            yield None, True
            return
        shown = iter(self._shown or ())
        for step in plan.steps[:start]:
            yield {"outputs": [] if step.judge is None else next(shown), "verdict": None}, True
        end = time.monotonic() + self._limits.submission_seconds
        for _ in plan.steps[start:]:
            left = end - time.monotonic()
            message, in_time = self._next(min(self._limits.cell_seconds, left)) if left > 0 else (None, False)
            yield message, in_time
            if message is None:
                break
        self._look()  # both are there until they are ended: the judge waits for it

    def _look(self) -> None:
        """Notes how much memory both processes have taken."""
        both = [own_mib(process.pid, self.watch.came_with) for process in self._processes]
        if None not in both:
            self.private_mib = round(sum(filter(None, both)), 1)

    def _next(self, seconds: float) -> Told:
        """After ``seconds`` the learner's code is interrupted, then ended; then the judge is."""
        late = ((seconds, signal.SIGINT), (GRACE, signal.SIGKILL), (GRACE, None))
        for number, (wait, then) in enumerate(late):
            if self._hears(wait):
                self._control.sock.settimeout(STALLED)
                try:
                    return self._control.receive()[0], number == 0
                except WireError:
                    return None, number == 0
            if then is not None:
                self._sandbox.signal(then)
        return None, False

    def _hears(self, seconds: float) -> bool:
        """Whether the judge speaks within ``seconds``; what the learner's processes take is watched meanwhile."""
        end = time.monotonic() + seconds
        while True:
            self.watch.look()
            left = end - time.monotonic()
            if select.select([self._control.sock], [], [], max(min(left, EVERY), 0))[0]:
                return True
            if left <= 0:
                return False
