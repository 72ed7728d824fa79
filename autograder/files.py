"""Files that a test names: what the learner's code writes there a test reads here, and the other way round.

Only the judge names files: the texts of its test that could be names. A sandbox sends contents for these, never paths.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MOST_BYTES = 2**26  # of one file

# What a test may read of a learner's own files: formats whose readers run nothing.
DATA = frozenset({".csv", ".tsv", ".txt", ".json", ".md", ".png", ".jpg", ".jpeg", ".gif", ".wav"})
# What is run where it is imported or started: none of it comes from a learner to where tests run.
CODE = frozenset({".ipynb", ".pth", ".py", ".pyc", ".pyd", ".pyw", ".sh", ".so"})
# Of what a pickle names, that which only makes data of data.
_UNPICKLED = {
    "builtins": {"bytearray", "complex", "frozenset", "range", "set", "slice"},
    "collections": {"Counter", "OrderedDict", "defaultdict", "deque"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "fractions": {"Fraction"},
    "numpy": {"dtype", "ndarray"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
}


class Files:
    """The named files of one folder, and which states of them the other end knows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[int, int, int] | None] = {}
        self._may_be_pickles = False

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
        suffix = Path(name).suffix.lower()
        if suffix not in CODE:
            if suffix not in DATA and not self._may_be_pickles:
                self._may_be_pickles = True
                sys.addaudithook(_make_only_data)  # not before: with a hook, Python is slower at each id()
            self.apply(name, content)


def _make_only_data(event: str, args: Any) -> None:
    """An audit hook: a pickle that a learner may have written makes nothing but data."""
    if event == "pickle.find_class" and args[1] not in _UNPICKLED.get(args[0], ()):
        raise pickle.UnpicklingError(
            f"This pickle names {args[0]}.{args[1]}, and the learner's code may have written it: that would "
            "run in the place of the test. Have the learner's code read it, or write numbers and text only."
        )


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
