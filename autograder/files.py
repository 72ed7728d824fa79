"""Files that a test names: what the learner's code writes there a test reads here, and the other way round.

Only the judge names files: the texts of its test that could be names. A sandbox sends contents for these, never paths.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

MOST_BYTES = 2**26  # of one file

# What a test may read of a learner's own files: formats whose readers run nothing.
DATA = frozenset({".csv", ".tsv", ".txt", ".json", ".md", ".png", ".jpg", ".jpeg", ".gif", ".wav"})
# What is run where it is imported or started: none of it comes from a learner to where tests run.
CODE = frozenset({".ipynb", ".pth", ".py", ".pyc", ".pyd", ".pyw", ".sh", ".so"})


class Files:
    """The named files of one folder, and which states of them the other end knows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[int, int, int] | None] = {}
        self._kept: dict[str, tuple[int, int, int] | None] = {}

    def keep(self, but: frozenset[str]) -> None:
        """What lies in the folder stays as it is, whatever the learner's code writes, until a test has changed it."""
        there = (str(path.relative_to(self._folder)) for path in self._folder.rglob("*"))
        self._kept = {name: _state(self._folder / name) for name in there if name not in but}

    def watch(self, names: Iterable[str]) -> None:
        """These are named now; what is known of the others is forgotten."""
        self._known = {name: self._known.get(name) for name in names}

    def names(self) -> list[str]:
        return list(self._known)

    def changes(self) -> dict[str, bytes | None]:
        """The contents of files that the other end does not know as they are; None is for one that is gone."""
        changed: dict[str, bytes | None] = {}
        for name, known in self._known.items():
            state = _state(self._folder / name)
            if state != known and (state is None or state[1] <= MOST_BYTES):
                self._known[name] = state
                changed[name] = None if state is None else _read(self._folder / name)
        return changed

    def apply(self, name: str, content: bytes | None) -> None:
        """Makes a named file what it is at the other end."""
        path = self._folder / name
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
        self._known[name] = _state(path)

    def take(self, name: str, content: bytes | None) -> None:
        """Makes a named file here what a learner's code has made of it there, unless it is code."""
        kept = self._kept.get(name)
        if Path(name).suffix.lower() not in CODE and (kept is None or kept != _state(self._folder / name)):
            self.apply(name, content)


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if path.is_file() else None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
