"""A notebook as a learner's file holds it, and what nbgrader says of its cells."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import nbformat
from nbformat import NotebookNode

from course.locale import gettext as _


class BrokenNotebook(ValueError):
    """A file that is no notebook, or only half of one; the message says why."""


def read(content: bytes) -> NotebookNode:
    """The notebook that a file holds, in nbformat 4 with an id on every cell.

    The same bytes always give the same notebook: ids that are missing or stand twice come of the cells' texts.
    Raises BrokenNotebook.
    """
    try:
        notebook = nbformat.convert(nbformat.reader.reads(content.decode("utf-8-sig")), 4)
        taken: set[str] = set()
        for cell in notebook.cells:
            if cell.get("id") in taken | {None}:
                cell.id = new_id(cell, taken)
            taken.add(cell.id)
        notebook.nbformat_minor = max(notebook.nbformat_minor, 5)
        nbformat.validate(notebook)
        dump(notebook)  # what cannot be written again, such as half of a surrogate pair, is not taken in
        if not all(isinstance(grade_id(cell), str | None) for cell in notebook.cells):
            raise ValueError(_("the nbgrader grade_id of a cell is not a text"))
    except Exception as error:  # whatever nbformat stumbles over in a file that may hold anything
        said = str(error).strip() or "?"
        raise BrokenNotebook(f"{type(error).__name__}: {said.splitlines()[0]}") from error
    return notebook


def dump(notebook: NotebookNode) -> bytes:
    """The file of a notebook, as JupyterLab writes it."""
    text: str = nbformat.v4.writes(notebook)
    return (text + "\n").encode("utf-8")


def new_id(cell: NotebookNode, taken: set[str]) -> str:
    """An id for a cell, from its text, that is not among `taken`."""
    digest = sha256(json.dumps([cell.cell_type, cell.source]).encode()).hexdigest()[:8]
    name, number = digest, 1
    while name in taken:
        number += 1
        name = f"{digest}-{number}"
    return name


def grade_id(cell: NotebookNode) -> str | None:
    """The name that nbgrader knows a cell by; None for a cell that it has nothing to do with."""
    return _marks(cell).get("grade_id") or None


def key(cell: NotebookNode) -> str:
    """What a cell of a release is known by."""
    return grade_id(cell) or str(cell.id)


def is_answer(cell: NotebookNode) -> bool:
    """Whether a learner is to write in this cell."""
    return bool(_marks(cell).get("solution"))


def is_locked(cell: NotebookNode) -> bool:
    """Whether a cell is the course's alone: its tests and its setup."""
    return grade_id(cell) is not None and not is_answer(cell)


def _marks(cell: NotebookNode) -> dict[str, Any]:
    marks = cell.metadata.get("nbgrader")
    return marks if isinstance(marks, dict) else {}
