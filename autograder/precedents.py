"""What judges have decided before. A submission that answers each question as earlier ones did needs no judge anew.

A judge's plan, files and seeds are the same for all submissions of a notebook, so what it asks, and how it decides,
follows from what the sandbox answers. Two judges that went the same way, byte for byte, make a precedent: the grader
asks the same questions itself, and as long as the answers are the known ones, down to their last byte, it takes the
verdicts from there. At the first answer that is new a judge takes over, which goes through what was said so far.

Of notebooks whose code is the same, as that of all is who changed none of it, or of two who hand in one file, not even
that needs to be asked again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

JUDGES = 2  # that must have gone the same way
QUICK = 0.2  # seconds: tests may look at how long an answer takes, so only answers that take no time are all alike
MOST_BYTES = 2**28  # of questions and what is told of tests, for all notebooks of an assignment
MOST_TURNS = 200_000  # for one notebook, and
MOST_NEW = 2**12  # that one judge may add, so that no submission takes all the room
MOST_RUNS = 20_000  # of one notebook


def digest(header: bytes, body: Any) -> str:
    """By what one packed frame is told from another: nobody can make two that are alike in it."""
    found = sha256(len(header).to_bytes(8, "big"))
    found.update(header)
    found.update(body)
    return found.hexdigest()


class Exchange(NamedTuple):
    """One question and its answer, by their digests, the seconds that took, and the question's header and body.

    The latter two are None where they are known already.
    """

    question: str
    answer: str
    seconds: float
    frame: tuple[Any, Any] | None


class Heard(NamedTuple):
    """What a judge told of a test, and what it had asked since it told of the one before; None is for the end."""

    exchanges: Sequence[Exchange]
    told: dict[str, Any] | None


@dataclass
class Turn:
    """What judges do once they have certain answers: tell of tests, and ask the next question, if there is one.

    ``runs``: that is to run the next group of cells.
    """

    digest: str | None  # of what they do; None where not all have done the same
    judges: int = 0  # that have done so
    binds: bool = False  # whether it is kept, as what any judge would do
    told: tuple[dict[str, Any], ...] = ()
    question: tuple[str, bytes, bytes] | None = None  # its digest, header and body
    runs: bool = False
    seconds: float = 0.0  # that the slowest answer took
    then: dict[str, Turn] = field(default_factory=dict)  # by the digests of answers


@dataclass
class Run:
    """What came of running some code, for as long as that is the same each time."""

    digest: str | None
    times: int = 0
    kept: tuple[list[Any], float | None] | None = None  # what was told of each cell, and the memory it took


class Precedents:
    """Of one notebook of an assignment: at most so many bytes are kept. Threads may use it at the same time."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._first: dict[Any, Turn] = {}
        self._lock = threading.Lock()
        self._runs: dict[str, Run] = {}
        self._bytes = self._turns = self._until = 0

    def first(self, key: Any) -> Turn | None:
        """How judges begin with plans that are alike in ``key``."""
        return self._first.get(key)

    def same(self, code: Any) -> tuple[list[Any], float | None] | None:
        """What is told of each cell of a notebook with this code, and the memory that it takes, if that is known."""
        run = self._runs.get(_digest_of(code))
        return run.kept if run is not None else None

    def ran(self, code: Any, told: list[Any], private_mib: float | None) -> None:
        """Notes what was told of a notebook with this code."""
        at, said = _digest_of(code), json.dumps(told)
        found = digest(said.encode(), b"")
        with self._lock:
            run = self._runs.get(at)
            if run is None:
                if len(self._runs) < MOST_RUNS:
                    self._runs[at] = Run(found, 1)
                return
            if run.digest != found:
                run.digest = run.kept = None
                return
            run.times += 1
            if run.times >= JUDGES and run.kept is None and self._bytes + len(said) <= self._most:
                self._bytes += len(said)
                run.kept = told, private_mib

    def add(self, key: Any, heard: Sequence[Heard]) -> None:
        """Notes how a judge went, from its first question to its last word."""
        told: list[dict[str, Any]] = []
        with self._lock:
            self._until = min(MOST_TURNS, self._turns + MOST_NEW)
            where, at = self._first, key
            for one in heard:
                for exchange in one.exchanges:
                    turn = self._note(where, at, told, exchange)
                    if turn is None:
                        return
                    told, where, at = [], turn.then, exchange.answer
                if one.told is not None:
                    told.append(one.told)
            self._note(where, at, told, None)

    def _note(
        self, where: dict[Any, Turn], at: Any, told: list[dict[str, Any]], exchange: Exchange | None
    ) -> Turn | None:
        """One more judge has done this; None where nothing is to follow: they do not agree, or wait for too long."""
        said = json.dumps(told)
        found = digest(said.encode(), exchange.question.encode() if exchange else b"")
        turn = where.get(at)
        if turn is None:
            if self._turns >= self._until:
                return None
            self._turns += 1
            turn = where[at] = Turn(found)
        if turn.digest != found:
            turn.digest, turn.binds = None, False
            return None
        turn.judges += 1
        if turn.judges >= JUDGES and not turn.binds:  # what only one did, nobody needs to keep
            self._keep(turn, told, exchange, len(said))
        if exchange is None or exchange.seconds > QUICK:
            return None
        turn.seconds = max(turn.seconds, exchange.seconds)
        return turn

    def _keep(self, turn: Turn, told: list[dict[str, Any]], exchange: Exchange | None, size: int) -> None:
        if exchange is not None and exchange.frame is None:
            return
        frame = exchange.frame if exchange is not None else None
        size += sum(map(len, frame or ()))
        if self._bytes + size > self._most:
            return
        self._bytes += size
        turn.told = tuple(told)
        if exchange is not None and frame is not None:
            turn.question = exchange.question, bytes(frame[0]), bytes(frame[1])
            turn.runs = json.loads(turn.question[1])["message"]["op"] == "run"
        turn.binds = True  # last: other threads look at a turn without waiting for this one


def _digest_of(value: Any) -> str:
    return digest(json.dumps(value).encode(), b"")
