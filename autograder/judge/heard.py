"""What the learner's code has said, in whatever way, that could be code: texts, and bytes."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Iterable
from typing import Any

# Without any of these a text is names, numbers and operators, and does no more than these do.
_CODE = re.compile(r"[(\[{@.:=\\]|\b(?:del|from|import)\b")
MOST = 2**26  # characters that are kept; where more were said, all counts as theirs that the test has not written
SHORTEST = 4  # characters of a line or word that tell where it came from

_HARMLESS: tuple[type[ast.AST], ...] = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp)
_HARMLESS += (ast.Constant, ast.Name, ast.Load, ast.Tuple, ast.List, ast.Set, ast.Dict)
_HARMLESS += (ast.operator, ast.unaryop, ast.boolop, ast.cmpop)


class Heard:
    """Texts and bytes that came from the sandbox, without those that had been sent there before.

    ``written`` gives the sources of the test cells: what stands in them is the test's own, whoever says it too.
    """

    def __init__(self) -> None:
        self.written: Callable[[], Iterable[str]] = tuple
        self.at_pickles: Callable[[], object] | None = None  # called once, when something comes that could be a pickle
        self._said: set[str] = set()
        self._texts: set[str] = set()
        self._bytes: set[bytes] = set()
        self._size = 0

    def say(self, text: str) -> None:
        """A text goes to the sandbox."""
        if len(text) < MOST and _CODE.search(text) and text not in self._texts:
            self._said.add(text)

    def hear(self, said: str | bytes) -> None:
        """A text, or bytes, came from there."""
        if isinstance(said, bytes):
            self._keep(self._bytes, said)
            if said[-1:] == b"." or said[:1] == b"\x80":
                self.expect_pickles()
            said = said.decode("utf-8", "replace")
        if said not in self._said and _CODE.search(said):
            self._keep(self._texts, said)

    def expect_pickles(self) -> None:
        """Something came that could hold a pickle."""
        if self.at_pickles is not None:
            tell, self.at_pickles = self.at_pickles, None
            tell()

    def _keep(self, kept: set[Any], said: Any) -> None:
        if said not in kept and self._size <= MOST:
            self._size += len(said)
            if self._size <= MOST:
                kept.add(said)

    def gave(self, data: bytes) -> bool:
        """Whether the learner's code gave these bytes, or some of them, or more."""
        if self._size > MOST or data in self._bytes:
            return True
        return any(data in said or (len(said) >= SHORTEST and said in data) for said in self._bytes if data)

    def is_in(self, text: str) -> bool:
        """Whether a text has something of theirs in it, or is a part of that, and could do harm."""
        if not _CODE.search(text) or is_harmless(text) or text in _constants(tuple(self.written())):
            return False
        if self._size > MOST:
            return True
        bare = text.strip()
        return any(bare in said or _has_a_part(text, said) for said in self._texts)


def _has_a_part(text: str, said: str) -> bool:
    """Whether a text has what was said in it, or one of its lines or words."""
    if said in text:
        return True
    return any(part in text for part in _parts(said))


@functools.lru_cache(maxsize=1024)
def _parts(said: str) -> set[str]:
    """The lines and words of a text that could be code."""
    parts = {part.strip() for line in said.splitlines() for part in (line, *line.split())}
    return {part for part in parts if len(part) >= SHORTEST and _CODE.search(part)}


def is_harmless(text: str) -> bool:
    """Whether a text is an expression that only computes with what it names."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(isinstance(node, _HARMLESS) for node in ast.walk(tree))


@functools.lru_cache(maxsize=1)
def _constants(sources: tuple[str, ...]) -> set[str]:
    """The texts that stand in these sources."""
    found = set()
    for source in sources:
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        found |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and type(node.value) is str}
    return found
