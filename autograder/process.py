"""A process that this one may have to end, although another one started it."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from pathlib import Path


class Process:
    """Signals a process by a handle that stays its own, where the system has such: a pid may be given anew."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._gone = False
        self._handle: int | None = None
        if hasattr(os, "pidfd_open"):
            try:
                self._handle = os.pidfd_open(pid)
            except ProcessLookupError:
                self._gone = True
            except OSError:  # the kernel is older than Python
                self._handle = None

    def signal(self, number: int) -> None:
        """Sends a signal; one to a process that is gone does nothing."""
        if self._gone:
            return
        with suppress(ProcessLookupError):
            if self._handle is not None:
                signal.pidfd_send_signal(self._handle, number)
            else:
                os.kill(self.pid, number)

    def cpu_seconds(self) -> float | None:
        """Processor time that it has used, all its threads together; None where nobody says."""
        found = stat(self.pid)
        return None if found is None else (int(found[11]) + int(found[12])) / os.sysconf("SC_CLK_TCK")

    def gone(self) -> bool:
        """Whether it has ended, as far as a handle tells."""
        return self._gone or (self._handle is not None and bool(select.select([self._handle], [], [], 0)[0]))

    def end(self, *, group: bool = False, seconds: float = 5.0) -> None:
        """Kills it and waits until it is gone; with ``group`` also the processes of the session that it leads."""
        if group and not self._gone:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self.signal(signal.SIGKILL)
        if self._handle is not None:
            select.select([self._handle], [], [], seconds)
            os.close(self._handle)
        self._handle, self._gone = None, True


def stat(pid: int) -> list[str] | None:
    """What the kernel says of a process, from the third field of proc(5)'s table on; None where nobody says."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
