"""Starts on what a command will need while nbgrader itself is being imported, which takes longer than a second.

What the words of a command name is looked up where a course usually has it. If the course has it elsewhere, or other
notebooks count, what was begun is thrown away.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from autograder import names
from autograder.sandbox import warm

NOT_HERE = ("-h", "--help", "--scheduler", "--version", "--generate-config")  # words that let nothing be graded here
FOLDER = ("--course-dir=", "--course=", "--CourseDirectory.root=")


def start(words: Sequence[str]) -> None:
    """Has a warm process import what the assignment that these words of a command name imports, if it is found."""
    assignment = next((word for word in words if not word.startswith("-")), None)
    if assignment is None or any(word.startswith(NOT_HERE) for word in words):
        return
    root = next((word.partition("=")[2] for word in words if word.startswith(FOLDER)), ".")
    try:
        modules = _modules(Path(root, "source", assignment))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # whatever reads it next will say so
        return
    if modules is not None:
        warm.start_ahead(modules)


def _modules(folder: Path) -> list[str] | None:
    """The modules that the notebooks of a folder, and the modules beside them, import; None without a notebook."""
    notebooks = list(folder.glob("*.ipynb"))
    cells = [cell for path in notebooks for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    texts += [path.read_text(encoding="utf-8", errors="replace") for path in folder.rglob("*.py")]
    return sorted(set().union(*map(names.modules, texts))) if notebooks else None
