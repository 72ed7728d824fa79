"""A standard nbgrader course directory: its settings, what it assigns, what came in."""

from __future__ import annotations

import importlib.metadata
import logging
import os
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.apps import NbGrader
from nbgrader.coursedir import CourseDirectory

from autograder.limits import Limits
from autograder.submission import with_checksums


class LayoutError(Exception):
    """A course directory lacks what grading needs. The message says what, and what to do."""


@dataclass(frozen=True)
class Assignment:
    """An assignment as its instructor keeps it: its notebooks by name, and the files that it ships."""

    name: str
    notebooks: dict[str, NotebookNode]
    files: dict[str, Path]


@dataclass(frozen=True)
class Submission:
    """One learner's folder."""

    student: str
    folder: Path


def open_course(root: Path) -> CourseDirectory:
    """The course directory at ``root``, with the settings of its ``nbgrader_config.py``."""
    if not (root / "source").is_dir() and not (root / "nbgrader_config.py").is_file():
        raise LayoutError(
            f"{root} is not an nbgrader course directory: it has no source/ folder and no nbgrader_config.py. "
            "Go to the folder that holds them, or name it with --course-dir."
        )
    with chdir(root):
        app = NbGrader()
        app.log_level = logging.ERROR
        app.initialize([])
        course = app.coursedir
    course.root = str(root)
    return course


def read_assignment(course: CourseDirectory, name: str) -> Assignment:
    """The instructor's notebooks of an assignment, and the files it ships."""
    folder = Path(course.format_path(course.source_directory, ".", name)).resolve()
    paths = sorted(folder.glob("*.ipynb"))
    if not paths:
        raise LayoutError(
            f"There is no notebook in {folder}, so there is nothing to grade against. "
            f"Put the instructor's notebooks of {name} there."
        )
    notebooks = {path.stem: nbformat.read(path, as_version=4) for path in paths}
    shipped = utils.find_all_files(str(folder), [*course.ignore, "*.ipynb"])
    files = {os.path.relpath(path, folder): Path(path) for path in shipped}
    return Assignment(name, {k: with_checksums(nb, course.parent.config) for k, nb in notebooks.items()}, files)


def submissions(course: CourseDirectory, assignment: str, student: str = "*") -> Iterator[Submission]:
    """What came in, in the order of student ids."""
    pattern = course.format_path(course.submitted_directory, student, assignment)
    root = Path(course.root)
    for folder in sorted(root.glob(os.path.relpath(pattern, root))):
        if folder.is_dir():
            yield Submission(folder.parent.name, folder)


def hidden(course: CourseDirectory) -> tuple[Path, ...]:
    """What learners' code must never see, wherever it lies: this course, and those that installed packages ship.

    A package's folder with an ``nbgrader_config.py`` is a course directory, solutions and hidden tests included.
    """
    return (Path(course.root), Path(course.root, course.source_directory), *courses_of_packages())


def courses_of_packages() -> tuple[Path, ...]:
    """The course directories that the packages installed here ship."""
    found = {
        Path(str(file.locate())).parent
        for distribution in importlib.metadata.distributions()
        for file in distribution.files or []
        if file.name == "nbgrader_config.py"
    }
    return tuple(sorted(found))


def timestamp(course: CourseDirectory, folder: Path) -> Any:
    """When a submission was made, in UTC; None where its timestamp.txt does not say."""
    try:
        return course.get_existing_timestamp(str(folder))
    except (SystemExit, Exception):  # nbgrader exits at a timestamp that it cannot read
        return None


def cell_seconds(course: CourseDirectory, limits: Limits) -> float:
    """The course's own Execute.timeout where it sets one, else the limit's default."""
    configured = course.parent.config.get("Execute", {}).get("timeout")
    return float(configured) if isinstance(configured, int | float) else limits.cell_seconds
