"""The reference solutions, read from `source/` where that is installed."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass

from course import paths
from course.catalogue import Exercise
from course.locale import gettext as _

# The first line of a cell in the percent format, with nbgrader's JSON.
HEADER = re.compile(r"^# %%(?:.* nbgrader=(.*))?.*\n", re.MULTILINE)
REASON = re.compile(r"^ *# Why: (.+(?:\n *# .+)*)\n+", re.MULTILINE)


class NoSolution(Exception):
    """There is none to show; the message says why."""


@dataclass(frozen=True)
class Solution:
    """The function without its docstring, and a sentence on why it is written so."""

    code: str
    why: str


def not_tried(again: str) -> str:
    """What is said first to somebody who has not tried; `again` is how to ask once more."""
    return _(
        "You have not tried yet, and what you find yourself stays longer. A hint says less. If you want to see the "
        "solution all the same, ask once more: `{again}`."
    ).format(again=again)


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
    cell = _cell((folder / f"{exercise.lesson}.py").read_text(encoding="utf-8"), exercise.cell)
    text = "\n".join(line for line in cell.splitlines() if not line.strip().startswith("### "))
    code = _without_docstring(text, exercise.name)
    why = REASON.search(code)
    return Solution(
        code=REASON.sub("", code, count=1),
        why=re.sub(r"\s*\n *# ", " ", why[1]) if why else "",
    )


def _cell(lesson: str, grade_id: str) -> str:
    """A cell of a lesson's text. It is read as it stands: to make the notebook of it takes seconds."""
    _before, *parts = HEADER.split(lesson)
    cells = zip(parts[::2], parts[1::2], strict=True)
    return next(
        cell.strip("\n")
        for header, cell in cells
        if header and json.JSONDecoder().raw_decode(header)[0]["grade_id"] == grade_id
    )


def _without_docstring(text: str, name: str) -> str:
    lines = text.splitlines()
    function = next(node for node in ast.parse(text).body if getattr(node, "name", None) == name)
    documented = function.body[0]  # type: ignore[attr-defined]
    body = "\n".join(lines[documented.end_lineno :]).strip("\n")
    return "\n".join([*lines[: documented.lineno - 1], body])
