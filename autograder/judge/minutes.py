"""A judge's channel to a sandbox that takes down what is said over it, for :mod:`autograder.precedents`."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from autograder.frames import MAX_BUFFERS, Channel, Packed
from autograder.precedents import Exchange, digest

MOST = 2**26  # bytes of questions that are worth keeping, all together
EACH = 2**10  # bytes that an exchange takes besides


class Minutes(Channel):
    """A channel to a sandbox.

    ``said`` are the questions that have been asked already, by their digests, and what came in then: those are not
    asked anew. ``differs`` is called, and does not return, where this judge would have asked something else.
    """

    def __init__(
        self, sock: socket.socket, said: Sequence[tuple[str, deque[Packed]]], differs: Callable[[], None]
    ) -> None:
        super().__init__(sock)
        self._said = deque(said)
        self._differs = differs
        self._asked: tuple[str, tuple[bytes, memoryview] | None, float] | None = None
        self._exchanges: list[Exchange] = []
        self._room = MOST
        self.complete = True  # whether each question had its answer, and all is taken down

    def taken_down(self) -> list[Exchange]:
        """The exchanges since the last call."""
        taken, self._exchanges = self._exchanges, []
        return taken

    def put(self, header: bytes, pieces: Sequence[Any], total: int, *, aside: bool = False) -> memoryview:
        if self._said:
            body = memoryview(b"".join(pieces))
            asked = digest(header, body)
            if asked != self._said[0][0]:
                self._differs()
            frame = None
        else:
            body = super().put(header, pieces, total, aside=aside)
            asked = digest(header, body)
            self._room -= EACH + len(header) + total
            frame = (header, body) if self._room >= 0 else None
        if self._room < 0:  # whatever is asked: a test may ask for as long and as much as it likes
            self._exchanges.clear()
            self.complete = False
        self.complete &= self._asked is None
        self._asked = asked, frame, time.monotonic()
        return body

    def ready(self, seconds: float | None = None) -> bool:
        return bool(self._said) or super().ready(seconds)

    def take(self, most: int = MAX_BUFFERS) -> Packed:
        came = time.monotonic()
        if self._said:
            frames = self._said[0][1]
            packed = frames.popleft()
            if not frames:
                self._said.popleft()
        else:
            packed = super().take(most)
        if packed.aside:
            return packed
        if self._asked is None:
            self.complete = False
        else:
            asked, frame, since = self._asked
            self._asked = None
            if self.complete:
                self._exchanges.append(Exchange(asked, digest(packed.header, packed.body), came - since, frame))
        return packed
