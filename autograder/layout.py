"""A standard nbgrader course directory: its settings, what it assigns, what came in."""

from __future__ import annotations

import functools
import glob
import importlib.metadata
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import nbformat
import nbgrader
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.apps import NbGrader
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import IncludeHeaderFooter

from autograder import names
from autograder.limits import Limits
from autograder.settings import Autograder
from autograder.submission import BESIDE, modules_to_warm, with_checksums

MOST_FILES = 1000  # that a learner may add to those of the assignment
LONGEST_NAME = 200
LARGEST_STAMP = 1024  # bytes


class LayoutError(Exception):
    """A course directory lacks what grading needs. The message says what, and what to do."""


@dataclass(frozen=True)
class Assignment:
    """An assignment as its instructor keeps it: its notebooks by name, and the files that it ships.

    ``refused``: notebooks that cannot be graded here, with a sentence that says why; ``left``: those that this
    grading leaves as they are; ``theirs``: shipped files that a learner's own version replaces; ``precedents``: whether
    submissions that answer each question as others did are decided as those were.
    """

    name: str
    notebooks: dict[str, NotebookNode]
    files: dict[str, Path]
    refused: dict[str, str] = field(default_factory=dict)
    left: frozenset[str] = frozenset()
    theirs: frozenset[str] = frozenset()
    precedents: bool = True

    def modules(self) -> list[str]:
        """The modules that its notebooks and its files import: what a warm process imports once for all."""
        found = {module for notebook in self.notebooks.values() for module in modules_to_warm(notebook)}
        # shipped modules are imported anew by each, but not what they import
        return sorted(found.union(*map(names.modules, self._shipped_code())))

    def has_clocks(self) -> bool:
        """Whether a module that it ships may look at how long the learner's code takes."""
        return any(map(names.times, self._shipped_code()))

    def _shipped_code(self) -> Iterator[str]:
        for path in self.files.values():
            if path.suffix == ".py":
                yield path.read_text(encoding="utf-8", errors="replace")


@dataclass(frozen=True)
class Submission:
    """One learner's folder, and the files in it that are neither notebooks nor the assignment's."""

    student: str
    folder: Path
    extra: dict[str, Path] = field(default_factory=dict, hash=False)
    linked: bool = False  # the folder is a symbolic link, or lies in one: it is not followed

    @property
    def nameless(self) -> bool:
        """Whether the folder's name is no text, which no gradebook can hold."""
        return any("\ud800" <= one <= "\udfff" for one in self.student)

    def notebook(self, name: str) -> Path | None:
        """Where the submitted notebook is; None where none was submitted."""
        if self.linked:
            return self.folder  # which is no notebook, and is said to be none
        path = self.folder / f"{name}.ipynb"
        return path if path.exists() or path.is_symlink() else None


def expect_course(course: CourseDirectory) -> None:
    """Raises LayoutError where the root of ``course`` is no course directory."""
    root = Path(course.root)
    if not (root / course.source_directory).is_dir() and not (root / "nbgrader_config.py").is_file():
        raise LayoutError(
            f"{root} is not an nbgrader course directory: it has no source/ folder and no nbgrader_config.py. "
            "Go to the folder that holds them, or name it with --course-dir."
        )


def unread(error: Exception) -> str:
    """What to say of a configuration that raised ``error``: such a file is a program."""
    return (
        f"The configuration cannot be read ({type(error).__name__}: {error}), and nothing was done without it: "
        "mend nbgrader_config.py, and run the same command again."
    )


def open_course(root: Path) -> CourseDirectory:
    """The course directory at ``root``, with the settings of its ``nbgrader_config.py``."""
    with chdir(root):
        app = NbGrader()
        app.log_level, app.raise_config_file_errors = logging.ERROR, True
        try:
            app.initialize([])
        except Exception as error:
            raise LayoutError(unread(error)) from error
        course = app.coursedir
    course.root = str(root)
    expect_course(course)
    return course


def read_assignment(course: CourseDirectory, name: str) -> Assignment:
    """The instructor's notebooks of an assignment that the course's ``notebook_id`` matches, and the files it ships."""
    folder = Path(course.format_path(course.source_directory, ".", name)).resolve()
    paths = {path.stem: path for path in sorted(folder.glob("*.ipynb"))}
    if not paths:
        raise LayoutError(
            f"There is no notebook in {folder}, so there is nothing to grade against. "
            f"Put the instructor's notebooks of {name} there."
        )
    wanted = [stem for stem in paths if fnmatchcase(stem, course.notebook_id)]
    if not wanted:
        raise LayoutError(f"No notebook of {name} is called {course.notebook_id}. It has {', '.join(paths)}.")
    config = course.parent.config
    settings = Autograder(parent=course.parent)
    notebooks, refused = {}, {}
    for stem in wanted:
        notebook = _read(paths[stem])
        spoken = language(notebook, config.get("Execute", {}).get("kernel_name"))
        if spoken != "python":
            refused[stem] = (
                f"{stem} is a notebook in {spoken}; only Python is graded here, so its scores were left as they are. "
                f"`nbgrader autograde {name} --notebook={stem}` grades it."
            )
            continue
        with chdir(course.root):  # a header's path may be relative
            notebook, _ = IncludeHeaderFooter(config=config).preprocess(notebook, {})
        notebooks[stem] = with_checksums(notebook, config)
        for cell in notebooks[stem].cells:
            grade_id = cell.metadata.get("nbgrader", {}).get("grade_id", "")
            if settings.may_run_beside(name, stem, grade_id):
                cell.metadata[BESIDE] = True
    shipped = utils.find_all_files(str(folder), [*course.ignore, "*.ipynb"])
    files = {os.path.relpath(path, folder): Path(path) for path in shipped}
    theirs = frozenset(config.get("Autograde", {}).get("exclude_overwriting", {}).get(name, ()))
    left = frozenset(paths) - frozenset(notebooks)
    return Assignment(name, notebooks, files, refused, left, theirs, settings.precedents)


def _read(path: Path) -> NotebookNode:
    try:
        return nbformat.read(path, as_version=4)
    except OSError:
        raise
    except Exception as error:
        raise LayoutError(
            f"{path} cannot be read as a notebook ({type(error).__name__}: {error}). Mend it, and run the same command "
            "again."
        ) from error


def language(notebook: NotebookNode, kernel: object = None) -> str:
    """The language that a notebook's kernel speaks: as its metadata says, else as the installed kernel says.

    ``kernel`` is the name of the kernel that a course runs every notebook in, if it does.
    """
    spec = notebook.metadata.get("kernelspec", {})
    said = None if isinstance(kernel, str) and kernel else spec.get("language")
    said = said or (None if kernel else notebook.metadata.get("language_info", {}).get("name"))
    if not said:
        name = kernel if isinstance(kernel, str) and kernel else spec.get("name", "python3")
        try:
            said = KernelSpecManager().get_kernel_spec(name).language
        except NoSuchKernel:  # an environment of the author's: called python3, conda-env-x-py, .venv
            said = "python"
    return str(said).lower()


def submissions(course: CourseDirectory, assignment: Assignment, limits: Limits | None = None) -> Iterator[Submission]:
    """What came in of the students that the course's ``student_id`` matches, in the order of their ids."""
    limits = limits or Limits()
    root = Path(course.root)
    pattern = course.format_path(course.submitted_directory, course.student_id, glob.escape(assignment.name))
    ids = course.format_path(course.submitted_directory, "(?P<student>.*)", re.escape(assignment.name), escape=True)
    left_out = {student.strip() for student in course.student_id_exclude.split(",")}
    parts = Path(os.path.relpath(pattern, root)).parts
    closed = _closed(root, parts)
    for folder in sorted({*root.glob(str(Path(*parts))), *closed}):
        found = re.fullmatch(ids, str(folder), re.DOTALL)
        if found is None or (folder not in closed and not folder.is_dir()) or found["student"] in left_out:
            continue
        if found["student"].startswith(".") and not course.student_id.startswith("."):
            continue  # as for nbgrader, * is no .git and no .ipynb_checkpoints
        if folder in closed:
            yield Submission(found["student"], folder)
        else:
            yield submission_of(course, assignment, found["student"], limits)


def _closed(root: Path, parts: tuple[str, ...]) -> set[Path]:
    """Where submissions may lie that a pattern of these parts does not find, in folders that one may not enter."""
    found = set()
    for level in range(1, len(parts)):
        if not glob.has_magic("".join(parts[level:])):
            around = root.glob(str(Path(*parts[:level])))
            found |= {one.joinpath(*parts[level:]) for one in around if one.is_dir() and not os.access(one, os.X_OK)}
    return found


def submission_of(course: CourseDirectory, assignment: Assignment, student: str, limits: Limits) -> Submission:
    """What one student submitted, as it lies in the course directory."""
    folder = Path(course.format_path(course.submitted_directory, student, assignment.name))
    linked = _is_linked(course, folder)
    return Submission(student, folder, {} if linked else _extra_files(course, assignment, folder, limits), linked)


def _is_linked(course: CourseDirectory, folder: Path) -> bool:
    """Whether a symbolic link lies between the course's submissions and this one."""
    above = Path(os.path.normpath(course.format_path(course.submitted_directory, ".", ".")))
    return any(path.is_symlink() for path in (folder, *folder.parents) if above in path.parents)


def copy_files(assignment: Assignment, folder: Path) -> None:
    """Copies what the assignment ships to where both sides get it from."""
    folder.chmod(0o755)  # it is all that learners get, and shut-in code is nobody's
    for relative, path in assignment.files.items():
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _extra_files(course: CourseDirectory, assignment: Assignment, folder: Path, limits: Limits) -> dict[str, Path]:
    """The learner's own files by their names: plain ones, of sane names and sizes, that are not the assignment's."""
    most = min(course.max_file_size * 1000, limits.file_mib * 2**20)
    left = limits.scratch_mib * 2**20 / 2
    shipped = {name for name in assignment.files if name not in assignment.theirs}
    taken = {part for name in shipped for part in (name, *map(str, Path(name).parents))} - {"."}
    extra: dict[str, Path] = {}
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(d for d in folders if not Path(where, d).is_symlink() and _is_sane(d))
        for file in sorted(files):
            path = Path(where, file)
            name = os.path.relpath(path, folder)
            if utils.is_ignored(str(path), [*course.ignore, "*.ipynb"]) or name == "timestamp.txt":
                continue
            if name in taken or shipped.intersection(map(str, Path(name).parents)) or not _is_sane(file):
                continue
            if path.is_symlink() or not path.is_file() or len(extra) == MOST_FILES or len(name) > LONGEST_NAME:
                continue
            if not os.access(path, os.R_OK):
                continue  # learners' code, which will miss it, says so
            size = path.stat().st_size
            if size <= most and size <= left:
                extra[name] = path
                left -= size
    return extra


def _is_sane(name: str) -> bool:
    return name.isprintable() and not name.startswith(("-", "~")) and "\\" not in name


def hidden(course: CourseDirectory) -> tuple[Path, ...]:
    """What learners' code must never see, wherever it lies: this course, and those that installed packages ship.

    A package's folder with an ``nbgrader_config.py`` is a course directory, solutions and hidden tests included.
    """
    return (Path(course.root), Path(course.root, course.source_directory), *courses_of_packages())


@functools.cache
def courses_of_packages() -> tuple[Path, ...]:
    """The course directories that the packages installed here ship, and nbgrader, whose examples have solutions."""
    found: set[Path] = set()
    for distribution in importlib.metadata.distributions():
        listed = distribution.read_text("RECORD") or ""
        if "nbgrader_config.py" in listed:  # most lists are long, and none of their lines needs to be read
            lines = (line.split(",")[0] for line in listed.splitlines())
            found |= {Path(str(distribution.locate_file(p))).parent for p in lines if p.endswith("nbgrader_config.py")}
    return tuple(sorted({*found, Path(nbgrader.__file__).parent}))


def stamp(folder: Path) -> Path | None:
    """The timestamp.txt of a submission, where it is a plain file of a sane size."""
    file = folder / "timestamp.txt"
    sane = not file.is_symlink() and file.is_file() and file.stat().st_size <= LARGEST_STAMP
    return file if sane else None


def timestamp(course: CourseDirectory, folder: Path) -> Any:
    """When a submission was made, in UTC; None where its timestamp.txt does not say."""
    try:
        return course.get_existing_timestamp(str(folder)) if stamp(folder) else None
    except (SystemExit, Exception):  # nbgrader exits at a timestamp that it cannot read
        return None
