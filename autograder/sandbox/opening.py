"""The instructor's opening cells, run once for all submissions: each judge and each sandbox is a fork of what they left.

Forks share what the cells made, as if each had run them itself: in a folder of its own, with nobody else. Cells that
would notice the difference are not shared, and run in every fork instead: see :func:`run`.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autograder.outputs import safe
from autograder.shell import Shell

# What Python's audit hooks are told where something is written, started or connected to.
_REACHES_OUT = ("os.", "shutil.", "tempfile.", "subprocess.", "socket.", "sqlite3.", "mmap.", "signal.", "pty.")
_LOOKS_ONLY = frozenset({"os.listdir", "os.scandir", "os.walk", "os.fwalk", "os.getxattr", "os.listxattr", "os.putenv"})
_LOOKS_ONLY |= {"os.unsetenv", "os.add_dll_directory", "socket.__new__", "socket.gethostname"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def run(shell: Shell, cells: list[str], folder: str, most: int) -> list[list[dict[str, Any]]] | None:
    """Runs the cells in ``folder``, which becomes the working directory, and gives what each of them showed.

    None where forks cannot share what they left: one failed, wrote or started something, opened something that is open
    still, drew a figure, or holds a path of the folder.
    """
    os.chdir(folder)
    sys.path.insert(0, folder)
    before, reached_out = _descriptors(), _ReachesOut()
    sys.addaudithook(reached_out.hear)
    runs = [shell.run(cell) for cell in cells]
    reached_out.hears = False
    if any(one.error is not None for one in runs) or reached_out.said or _descriptors() != before:
        return None
    if threading.active_count() > 1 or _threads() > 1 or tempfile.tempdir is not None or _draws():
        return None
    move(folder, "")
    if _is_remembered(Path(folder).parent.name):
        return None
    return [safe(one.outputs, trusted=False, most=most) for one in runs]


def move(old: str, new: str) -> None:
    """Has the modules that were imported from one folder lie in another, which holds the same files."""
    for module in list(sys.modules.values()):
        if (file := getattr(module, "__file__", None)) and file.startswith(f"{old}{os.sep}" if old else ""):
            pass


class _ReachesOut:
    """An audit hook that hears whether anything beyond this process and its memory is changed."""

    def __init__(self) -> None:
        self.hears, self.said = True, False

    def hear(self, event: str, args: Any) -> None:
        if self.hears and not self.said:
            if event == "open":
                self.said = bool(args[2] & _WRITES) and "__pycache__" not in str(args[0])
            else:
                self.said = event.startswith(_REACHES_OUT) and event not in _LOOKS_ONLY
