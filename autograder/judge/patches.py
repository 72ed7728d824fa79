"""What a test puts in the place of a module's own, as ``unittest.mock`` does: it is put there for the learner too."""

from __future__ import annotations

import ast
import re
import sys
import types
from collections.abc import Iterator
from typing import Any

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_ABSENT = object()
_HEARD = {("sys", "stdout"), ("sys", "stderr")}  # what is printed there is printed here as well


class Patches:
    """The attributes of modules that one cell may change, and what the sandbox has in their places."""

    def __init__(self) -> None:
        self._original: dict[tuple[str, str], Any] = {}
        self._sent: dict[tuple[str, str], Any] = {}

    def watch(self, text: str, namespace: dict[str, Any]) -> None:
        """From now on, what this cell may change, and what an earlier one has changed."""
        for place in set(_places(text, namespace)) - _HEARD:
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


def _places(text: str, namespace: dict[str, Any]) -> Iterator[tuple[str, str]]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            yield from _place(node.value, node.attr, namespace)
        elif isinstance(node, ast.Call) and len(node.args) >= 2 and isinstance(node.args[1], ast.Constant):
            if isinstance(node.args[1].value, str):  # patch.object, setattr, monkeypatch.setattr
                yield from _place(node.args[0], node.args[1].value, namespace)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _DOTTED.fullmatch(node.value):
            module, _, name = node.value.rpartition(".")
            if type(sys.modules.get(module)) is types.ModuleType:
                yield module, name


def _place(node: ast.expr, name: str, namespace: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The attribute of a module that an expression such as ``np.random`` leads to."""
    found = _module(node, namespace)
    if found is not None and sys.modules.get(found.__name__) is found:
        yield found.__name__, name


def _module(node: ast.expr, namespace: dict[str, Any]) -> types.ModuleType | None:
    if isinstance(node, ast.Name):
        found = namespace.get(node.id, sys.modules.get(node.id))  # a cell may import what it then changes
    elif isinstance(node, ast.Attribute) and (outer := _module(node.value, namespace)) is not None:
        found = vars(outer).get(node.attr)
    else:
        return None
    return found if type(found) is types.ModuleType else None
