"""The reference solutions, read from `source/` where that is installed."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from course import paths
from course.catalogue import Exercise
from course.locale import gettext as _

NOT_TRIED = _(
    "You have not tried yet, and what you find yourself stays longer. A hint says less. If you want to see the "
    "solution all the same, ask once more: `{again}`."
)

REASON = re.compile(r"^ *# Why: (.+(?:\n *# .+)*)\n+", re.MULTILINE)


class NoSolution(Exception):
    """There is none to show; the message says why."""


@dataclass(frozen=True)
class Solution:
    """The function without its docstring, and a sentence on why it is written so."""

    code: str
    why: str


def find(exercise: Exercise) -> Solution:
    """The reference for an exercise.

    Raises NoSolution where `source/` is not installed.
    """
    folder = paths.source() / exercise.lesson
    if not folder.is_dir():
        raise NoSolution(
            _(
                "The solutions are not installed here: this is a class's installation, and its teacher has them. "
                "The hints are: `check_{exercise}.hint()`."
            ).format(exercise=exercise.name)
        )
    from course.release import source_notebook  # nbgrader and jupytext take half a second

    cell = next(cell for cell in source_notebook(folder).cells if cell.id == exercise.cell)
    text = "\n".join(line for line in cell.source.splitlines() if not line.strip().startswith("### "))
    code = _without_docstring(text, exercise.name)
    why = REASON.search(code)
    return Solution(
        code=REASON.sub("", code, count=1),
        why=re.sub(r"\s*\n *# ", " ", why[1]) if why else "",
    )


def _without_docstring(text: str, name: str) -> str:
    lines = text.splitlines()
    function = next(node for node in ast.parse(text).body if getattr(node, "name", None) == name)
    documented = function.body[0]  # type: ignore[attr-defined]
    body = "\n".join(lines[documented.end_lineno :]).strip("\n")
    return "\n".join([*lines[: documented.lineno - 1], body])
