"""What a test puts in the place of a module's own, as ``unittest.mock`` does: it is put there for the learner too."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable
from typing import Any

_ABSENT = object()
_HEARD = {("sys", "stdout"), ("sys", "stderr")}  # what is printed there is printed here as well


class Patches:
    """The attributes of modules that one cell may change, and what the sandbox has in their places."""

    def __init__(self) -> None:
        self._original: dict[tuple[str, str], Any] = {}
        self._sent: dict[tuple[str, str], Any] = {}

    def watch(self, changed: Iterable[tuple[str, ...]], namespace: dict[str, Any]) -> None:
        """From now on, what this cell may change (see ``Names.changed``), and what an earlier one has changed."""
        for place in {place for path in changed if (place := _place(path, namespace))} - _HEARD:
            self._original.setdefault(place, getattr(sys.modules[place[0]], place[1], _ABSENT))

    def changes(self) -> list[tuple[str, str, tuple[Any, ...]]]:
        """(module, attribute, (what is there now,)) of what has changed since the last look; () is for the original."""
        changed = []
        for (module, name), original in self._original.items():
            now = getattr(sys.modules[module], name, _ABSENT)
            if now is not self._sent.get((module, name), original):
                self._sent[module, name] = now
                changed.append((module, name, () if now is original or now is _ABSENT else (now,)))
        return changed


def _place(path: tuple[str, ...], namespace: dict[str, Any]) -> tuple[str, str] | None:
    """Module and name of an attribute that a cell names, where it is a module's."""
    first, *inner, name = path
    if not first:
        return (inner[0], name) if type(sys.modules.get(inner[0])) is types.ModuleType else None
    found = namespace.get(first, sys.modules.get(first))  # a cell may import what it then changes
    for step in inner:
        found = vars(found).get(step) if type(found) is types.ModuleType else None
    if type(found) is not types.ModuleType or sys.modules.get(found.__name__) is not found:
        return None
    return found.__name__, name
