"""Folders that one process holds: what a killed grader left behind is told from what is still in use.

A held folder is locked for as long as the process that made it lives, however that ends. So a folder that can
be locked is nobody's, and may be removed.
"""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

MARK = "held-by-autograder"


class Held:
    """A new folder under ``parent``, for ``purpose``; :meth:`remove` removes it, or else a later :func:`sweep`."""

    def __init__(self, parent: Path, purpose: str) -> None:
        self.path, self._lock = _make(parent, purpose)

    def remove(self) -> None:
        """Removes the folder with all that is in it. A second call does nothing."""
        if self._lock is not None:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.remove()


def abandoned(parent: Path, purpose: str) -> Iterator[Path]:
    """The folders for ``purpose`` under ``parent`` that a process of this user made and no process holds any more.

    Each stays locked until the next one is asked for.
    """
    for path in sorted(parent.glob(f"{glob.escape(_prefix(purpose))}*")):
        try:
            number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            if os.fstat(number).st_uid == os.geteuid() and _locked(number, wait=False):
                yield path
        finally:
            os.close(number)


def sweep(parent: Path, purpose: str) -> None:
    """Removes what :func:`abandoned` finds."""
    for path in abandoned(parent, purpose):
        shutil.rmtree(path, ignore_errors=True)


def temporary() -> Held:
    """A folder among the system's temporary ones, without those that killed graders left there."""
    sweep_temporary()
    return Held(Path(tempfile.gettempdir()), "grading")


def sweep_temporary() -> None:
    """Removes the temporary folders that killed graders left."""
    sweep(Path(tempfile.gettempdir()), "grading")


def _prefix(purpose: str) -> str:
    return f".{purpose}-{MARK}-"


def _make(parent: Path, purpose: str) -> tuple[Path, int | None]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=_prefix(purpose), dir=parent))
        number = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        # Another process may have taken it for abandoned before it was locked; then it is gone, or will be.
        if _locked(number, wait=True) and path.is_dir():
            return path, number
        os.close(number)


def _locked(number: int, *, wait: bool) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # it is another's; or a file system without locks, where nothing is ever taken for abandoned
        return wait
    return True
