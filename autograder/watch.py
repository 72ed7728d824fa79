"""What the learner's processes take while they run, and whether it is too much.

The kernel bounds each process by itself (:mod:`autograder.sandbox.isolation`): of several together it knows nothing,
and it does not say what it ended a process for.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from autograder.limits import Limits
from autograder.process import Process, stat
from autograder.verdict import State

EVERY = 0.2  # seconds between two looks, or more:
PAUSE = 4  # times as long as the look took

MIB = 2**20


class Watch:
    """Looks at a process of the learner's code, which has run none of it yet, and at all that it starts."""

    def __init__(self, process: Process, limits: Limits) -> None:
        self._process, self._limits = process, limits
        self.came_with = _taken(process.pid)  # bytes of memory, from the warm process
        self._next = time.monotonic() + EVERY
        self.exceeded: tuple[State, str] | None = None  # once a limit is: what to say of the tests from then on

    def look(self) -> None:
        """Ends the process, and with it all that it started in a sandbox, where a limit is exceeded."""
        started = time.monotonic()
        if started < self._next or self.exceeded is not None:
            return
        if (self._process.cpu_seconds() or 0.0) >= self._limits.cpu_seconds:
            seconds = f"{self._limits.cpu_seconds:g} s"
            self._end(State.TIMEOUT, f"The processor time was up: the code may use {seconds} of it (cpu_seconds).")
        elif self._takes_too_much():
            most = f"{self._limits.memory_mib:g} MiB"
            self._end(
                State.MEMORY, f"The code and what it started took more memory than the {most} it may (memory_mib)."
            )
        now = time.monotonic()
        self._next = now + max(EVERY, PAUSE * (now - started))

    def _end(self, state: State, message: str) -> None:
        if not self._process.gone():  # else the number may be another's by now
            self.exceeded = state, message
            self._process.signal(signal.SIGKILL)

    def _takes_too_much(self) -> bool:
        most = self._limits.memory_mib * MIB
        pids = list(_family(self._process.pid))
        files = _memory_files(pids)
        if sum(map(_taken, pids)) + files - self.came_with <= most:
            return False
        # What forks have in common counts once, which takes longer to say. It is asked twice: when one of them ends
        # meanwhile, its part falls to the others, and is counted with it and with them.
        return all(sum(map(_share, pids)) + files > most for _ in range(2))


def own_mib(pid: int, came_with: int) -> float | None:
    """The most memory that a process can have had for itself; None where nobody says.

    That is what it added to the ``came_with`` bytes that its fork began with, which may have come in huge pages, and
    its copies of these. Copies are counted by page faults, which are never fewer.
    """
    found = stat(pid)
    if found is None:
        return None
    said = _fields(f"/proc/{pid}/status", ("VmHWM", "RssFile"))
    added = said[0] - said[1] - came_with if len(said) == 2 else 0
    return (int(found[7]) * os.sysconf("SC_PAGE_SIZE") + max(0, added)) / MIB


def _family(pid: int) -> Iterator[int]:
    """A process and what it started, and they; where a sandbox has a process namespace, that is all there are in it."""
    yield pid
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from _family(int(child))


def _taken(pid: int) -> int:
    """Bytes of memory that a process has before it, but for files of a disk; what it shares with its forks too."""
    return sum(_fields(f"/proc/{pid}/status", ("RssAnon", "RssShmem")) or ())


def _share(pid: int) -> int:
    """Bytes of memory that a process has, what is shared divided by those who share it, where one may know that."""
    return sum(_fields(f"/proc/{pid}/smaps_rollup", ("Pss_Anon", "Pss_Shmem"))) or _taken(pid)


def _fields(path: str, names: tuple[str, ...]) -> list[int]:
    with suppress(OSError, ValueError), Path(path).open() as lines:
        rows = (line.partition(":") for line in lines)
        return [int(kib.split()[0]) * 1024 for name, _, kib in rows if name in names]
    return []


def _memory_files(pids: list[int]) -> int:
    """Bytes in the memory files that these processes hold open, as far as this one may know (root may)."""
    found: dict[tuple[int, int], int] = {}
    for pid in pids:
        with suppress(OSError):
            for opened in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    if str(opened.readlink()).startswith("/memfd:"):
                        held = opened.stat()
                        found[held.st_dev, held.st_ino] = held.st_blocks * 512
    return sum(found.values())
