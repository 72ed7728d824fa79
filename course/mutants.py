"""Wrong and right implementations that prove a check.

A lesson's ``*_mutants.py`` collects them::

    mutants = Mutants()

    @mutants.wrong("freeze", "still-trainable")
    def only_direct_children(model, except_for): ...

    @mutants.right("freeze")
    def with_apply(model, except_for): ...

Each function stands alone (what it needs it imports inside or finds among the lesson's own imports), so that
its text can be put into a learner's cell: :meth:`Mutant.cell`.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mutant:
    """One implementation of ``exercise``; ``misconception`` is None where it is right."""

    exercise: str
    misconception: str | None
    function: Callable[..., Any]

    @property
    def name(self) -> str:
        return self.function.__name__

    def cell(self) -> str:
        """The text of a learner's cell that defines the exercise this way."""
        lines = textwrap.dedent(inspect.getsource(self.function)).splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith(("def ", "class ")))
        return "\n".join([*lines[start:], "", f"{self.exercise} = {self.name}", ""])


class Mutants(list[Mutant]):
    """The mutants of a lesson, in order."""

    def wrong(self, exercise: str, misconception: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """The decorated function gets ``exercise`` wrong, and the check names ``misconception``."""
        return self._collect(exercise, misconception)

    def right(self, exercise: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """The decorated function is right, though written unlike the solution."""
        return self._collect(exercise, None)

    def _collect(self, exercise: str, misconception: str | None) -> Callable[..., Callable[..., Any]]:
        def collect(function: Callable[..., Any]) -> Callable[..., Any]:
            self.append(Mutant(exercise, misconception, function))
            return function

        return collect
