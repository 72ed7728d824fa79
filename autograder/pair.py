"""A sandbox and, if one is needed, a judge for one notebook, and the watch over how long they take and how much."""

from __future__ import annotations

import json
import pickle
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from autograder import outputs
from autograder.frames import STALLED, Buffers, Channel, Packed, WireError, unpacked
from autograder.judge.run import Job
from autograder.limits import Limits
from autograder.plan import Plan
from autograder.precedents import QUICK, Exchange, Heard, Precedents, Turn, digest
from autograder.process import Process
from autograder.sandbox.warm import Forks, Place
from autograder.watch import EVERY, Watch, own_mib

GRACE = 3.0  # seconds between asking a process to stop and ending it

MOST = 2**26  # bytes of what is kept of answers, for a judge that may have to go through them
MOST_SHOWN = 2**23  # bytes of what cells show that is read here: as JSON it takes up to thirty times as much memory
MOST_EFFORT = 2**16  # of making harmless here what cells show
FRAME = 2**10  # bytes that a frame takes here, though there is nothing in it
LAG = 1.0  # seconds by which a whole notebook may be later than others, and half as long as they took

Told = tuple[dict[str, Any] | None, bool]  # what a judge tells of a cell, and whether that came in time


class Unlike(Exception):
    """What a sandbox does cannot be decided by what was decided before: it is to be run anew, before a judge."""


class Pair:
    """Use it as a context manager: both processes, and what they left on disk, end with the block."""

    def __init__(self, process: Forks, place: Place, limits: Limits, judges_files: Path | None = None) -> None:
        self._process = process
        self.private_mib: float | None = None
        self.judged = False  # whether a judge was needed
        self._limits = limits
        self._isolated = place.isolate
        self._folder = tempfile.TemporaryDirectory(prefix="grading-", dir=process.scratch, ignore_cleanup_errors=True)
        self._judges_files = judges_files or place.files
        if not place.isolate:  # shut-in code has its own copy inside
            shutil.copytree(place.files, Path(self._folder.name, "sandbox"))
            place = Place(Path(self._folder.name, "sandbox"), isolate=False)
        Path(self._folder.name).chmod(0o700)
        self._place = place
        self._processes: list[Process] = []
        self._control: Channel | None = None  # to the judge, once there is one
        self._effort = 0  # that it takes to make harmless what cells showed by then
        self._kept = self._shown = 0  # bytes of what came before there was one, and of what cells showed then
        asks, answers = socket.socketpair()
        self._asks = Channel(asks)
        try:
            self._sandbox = self._fork("sandbox", answers)
        except BaseException:
            self._end()
            raise
        self.watch = Watch(self._sandbox, limits)

    def _fork(self, kind: str, *channels: socket.socket) -> Process:
        """A process that has these channels alone."""
        try:
            made = Process(self._process.fork(kind, [*channels], self._place, self._limits))
        finally:
            for one in channels:
                one.close()
        self._processes.append(made)
        return made

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, where: TracebackType | None) -> None:
        self._end()

    def _end(self) -> None:
        for channel in filter(None, (self._control, self._asks)):
            channel.close()
        for process in self._processes:
            process.end(group=not self._isolated)
        self._folder.cleanup()

    def run(self, plan: Plan, precedents: Precedents | None = None) -> Iterator[Told]:
        """What is told of each cell, and whether it came in time. The last may be None: nobody tells any more.

        Where there are ``precedents``, they decide as far as they go, and a judge from there on, of which they hear.
        Raises Unlike where they cannot: the notebook is to be run anew, without any.
        """
        start = 0 if self._process.shown is None else plan.opening
        groups = [[plan.steps[index].sandbox for index in group] for group in plan.groups(start)]
        try:
            self._asks.send({"op": "groups"}, [json.dumps(groups).encode()])
        except WireError:
            yield None, True
            return
        shown = iter(self._process.shown or ())
        for step in plan.steps[:start]:
            yield {"outputs": [] if step.judge is None else next(shown), "verdict": None}, True
        key = plan.decides(start)
        said: list[tuple[str, list[Packed]]] = []
        known = yield from self._by_precedent(plan, start, precedents.first(key) if precedents else None, said)
        if known < len(plan.steps):
            heard = yield from self._by_judge(plan, start, said, known)
            if precedents is not None and heard is not None:
                precedents.add(key, heard)
        self._look()  # all are there until they are ended: a judge waits for it

    def _by_precedent(
        self, plan: Plan, start: int, turn: Turn | None, said: list[tuple[str, list[Packed]]]
    ) -> Generator[Told, None, int]:
        """Asks what judges would, as long as that is known, and gives the index of the step that it stopped at."""
        untold = start
        allowance = outputs.Allowance(self._limits.output_kib * 1024)
        pace = _Pace(self._limits)
        shown: dict[int, list[Any]] = {}
        tests = (index for index, step in enumerate(plan.steps) if step.grade_id is not None)
        groups = iter(plan.groups(start))

        def tell(end: int) -> Iterator[Told]:
            for index in range(untold, end):
                yield {"outputs": allowance.safe(shown.get(index, [])), "verdict": None}, True

        while turn is not None and turn.binds:
            for told in turn.told:
                test = next(tests)
                yield from tell(test)
                if not allowance.full:  # a judge would cut what this test shows
                    return test
                allowance.spend(told["outputs"])
                yield told, True
                untold = test + 1
                pace.told()
            if turn.question is None:
                yield from tell(len(plan.steps))
                return len(plan.steps)
            if self._kept > MOST:
                break
            asked, header, body = turn.question
            with pace.keeps_to(turn.seconds) as end:
                *asides, answer = self._answer(header, body, end)
            said.append((asked, [*asides, answer]))
            said_shown = self._read(asides)
            if turn.runs:
                *others, last = next(groups)
                shown |= dict(zip(others, said_shown, strict=False))
                shown[last] = said_shown[-1] if len(said_shown) > len(others) else []
            turn = turn.then.get(digest(answer.header, answer.body))
        return untold

    def _answer(self, header: bytes, body: bytes, end: float) -> list[Packed]:
        """What the sandbox answers, behind what it shows, before it is ``end``."""
        came: list[Packed] = []
        self._asks.until = end
        try:
            self._asks.sock.settimeout(max(end - time.monotonic(), 0.001))
            self._asks.put(header, [body], len(body))
            while not came or came[-1].aside:
                self.watch.look()
                if self._asks.ready(max(min(end - time.monotonic(), EVERY), 0)):
                    came.append(self._asks.take(MOST))
                    self._kept += _size(came[-1])
                if time.monotonic() > end or self._kept > 2 * MOST:
                    raise Unlike("An answer takes more than that of others.")
        except WireError as error:
            raise Unlike("Others answered here.") from error
        return came

    def _read(self, asides: list[Packed]) -> list[list[Any]]:
        """What cells have shown, by what came beside an answer."""
        self._shown += sum(map(_size, asides))
        if self._shown > MOST_SHOWN:
            raise Unlike("More is shown than is read here.")
        try:
            shown = [outputs.read(unpacked(aside)[1]) for aside in asides]
        except WireError as error:
            raise Unlike("What is shown cannot be read.") from error
        self._effort += sum(map(outputs.effort, shown))
        if self._effort > MOST_EFFORT:  # a judge may be ended when that takes too long
            raise Unlike("More is shown than can be made harmless in a moment.")
        return shown

    def _by_judge(
        self, plan: Plan, start: int, said: list[tuple[str, list[Packed]]], known: int
    ) -> Generator[Told, None, list[Heard] | None]:
        """Has a judge go on from what has been ``said``, which told of the steps before ``known``; gives what it did.

        That is None where something else than answers decided, such as a time that was up.
        """
        self.judged = True
        ours, judges = socket.socketpair()
        self._control = Channel(ours)
        folder = Path(self._folder.name, "judge")
        shutil.copytree(self._judges_files, folder)
        self._fork("judge", judges, self._asks.sock)
        asked = tuple((question, len(came)) for question, came in said)
        job = Job(plan.of_judge(), str(folder), self._sandbox.pid, self._limits, start, asked)
        came = [part for _, frames in said for frame in frames for part in (frame.header, frame.body)]
        try:
            self._control.send({"op": "job"}, [pickle.dumps(job), *came])
        except WireError:
            yield None, True
            return None
        heard: list[Heard] | None = []
        exchanges: list[Exchange] = []
        end = time.monotonic() + self._limits.submission_seconds
        for index, step in enumerate(plan.steps[start:], start):
            left = end - time.monotonic()
            frame, in_time = self._next(min(self._limits.cell_seconds, left)) if left > 0 else (None, False)
            if index < known and (frame is None or not in_time):
                raise Unlike("The judge did not get as far as others did.")
            if frame is None:
                yield None, in_time
                return None
            message, buffers = frame
            if message["told"] is None:
                raise Unlike("The judge asked something else than others did.")
            if message["exchanges"] is None or not in_time:
                heard = None
            else:
                exchanges += _exchanges(message["exchanges"], buffers)
            if heard is not None and step.grade_id is not None:
                heard.append(Heard(exchanges, message["told"]))
                exchanges = []
            if index >= known:
                yield message["told"], in_time
        return None if heard is None else [*heard, Heard(exchanges, None)]

    def _look(self) -> None:
        """Notes how much memory sandbox and judge have taken."""
        both = [own_mib(process.pid, self.watch.came_with) for process in self._processes]
        if None not in both:
            self.private_mib = round(sum(filter(None, both)), 1)

    def _next(self, seconds: float) -> tuple[tuple[dict[str, Any], Buffers] | None, bool]:
        """After ``seconds`` the learner's code is interrupted, then ended; then the judge is."""
        control = self._control
        assert control is not None
        late = ((seconds, signal.SIGINT), (GRACE, signal.SIGKILL), (GRACE, None))
        for number, (wait, then) in enumerate(late):
            if self._hears(control, wait):
                control.sock.settimeout(STALLED)
                try:
                    return control.receive(), number == 0
                except WireError:
                    return None, number == 0
            if then is not None:
                self._sandbox.signal(then)
        return None, False

    def _hears(self, control: Channel, seconds: float) -> bool:
        """Whether the judge speaks within ``seconds``; what the learner's processes take is watched meanwhile."""
        end = time.monotonic() + seconds
        while True:
            self.watch.look()
            left = end - time.monotonic()
            if control.ready(max(min(left, EVERY), 0)):
                return True
            if left <= 0:
                return False


class _Pace:
    """How long answers that decide like others may take: as long as theirs, or little longer, and never too long."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lag = LAG
        self._cell = now = time.monotonic()
        self._end = now + limits.submission_seconds

    def told(self) -> None:
        """A test is done with: the time of a cell begins anew."""
        self._cell = time.monotonic()

    @contextmanager
    def keeps_to(self, seconds: float) -> Iterator[float]:
        """Gives when an answer must be there that took others so many ``seconds``."""
        self._lag += seconds / 2
        began = time.monotonic()
        late = seconds + min(QUICK + seconds / 2, self._lag)
        yield min(began + late, self._cell + self._limits.cell_seconds, self._end)
        self._lag -= max(0.0, time.monotonic() - began - seconds)


def _size(frame: Packed) -> int:
    return FRAME + len(frame.header) + frame.body.nbytes


def _exchanges(said: list[list[Any]], buffers: Buffers) -> list[Exchange]:
    """What a judge took down: see ``judge.run``."""
    parts = iter(buffers)
    return [
        Exchange(question, answer, seconds, (next(parts), next(parts)) if framed else None)
        for question, answer, seconds, framed in said
    ]
