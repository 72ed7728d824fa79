"""What a program calls: ``autograder.grade(source, submission)``. It needs no gradebook and no course directory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import InstantiateTests

from autograder import layout
from autograder.grading import Report, grade_notebook
from autograder.layout import Assignment
from autograder.limits import Limits
from autograder.sandbox import isolation
from autograder.sandbox.warm import Warm
from autograder.submission import with_checksums

StrPath = str | os.PathLike[str]


def grade(
    source: StrPath | NotebookNode,
    submission: StrPath,
    *,
    limits: Limits | None = None,
    files: StrPath | None = None,
    extra: Mapping[str, StrPath] | None = None,
    isolate: bool = True,
    hide: Iterable[StrPath] = (),
    process: Warm | None = None,
) -> Report:
    """Grades one submitted notebook against its instructor's.

    Parameters
    ----------
    source: the instructor's notebook with solutions, tests and nbgrader's metadata, or the path of it.
    submission: path of the submitted notebook. It may hold anything: that becomes verdicts, never an exception.
    limits: what the learner's code may use; the defaults are in docs/grading.md.
    files: folder of what learners get beside the notebook, such as ``release/ps1``; both the learner's code and the
        tests have copies. Notebooks in it are left out. Without it there are no files.
    extra: the learner's own files beside the notebook, by their names there. The learner's code gets all of them, the
        tests those that are plain data; one that has the name of a file in ``files`` takes its place for the learner.
    isolate: shut the learner's code in. Without, it runs with this program's own rights: for code that you trust.
    hide: more that shut-in code must not see where it lies among the libraries. It never sees the courses of
        installed packages, nor the course directories (else the folders) of ``source`` and ``submission``.
    process: a warm process from :func:`warm`, to grade many submissions with; without, one is made for this one.

    Raises OSError where the learner's code cannot be shut in here or the source cannot be read, and ValueError where
    the source is no notebook that can be graded against.
    """
    task = _assignment(source, files)
    with ExitStack() as stack:
        process = process or stack.enter_context(Warm(task.modules()))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="files-", dir=process.scratch)))
        layout.copy_files(task, folder)
        try:
            return grade_notebook(
                next(iter(task.notebooks.values())),
                Path(submission),
                files=folder,
                extra={name: Path(path) for name, path in (extra or {}).items()},
                process=process,
                limits=limits,
                isolate=isolate,
                hide=_hidden(source, submission, hide) if isolate else (),
            )
        except OSError as error:
            if isolate and (reason := isolation.why_not()):
                raise OSError(
                    f"Learners' code cannot be shut in here. {reason} To grade code that you trust without isolation, "
                    "say isolate=False."
                ) from error
            raise


def warm(source: StrPath | NotebookNode, files: StrPath | None = None) -> Warm:
    """A process with the libraries of ``source`` imported, for :func:`grade`. Use it as a context manager."""
    return Warm(_assignment(source, files).modules())


def _assignment(source: StrPath | NotebookNode, files: StrPath | None) -> Assignment:
    name = "The source" if isinstance(source, NotebookNode) else Path(source).name
    try:
        notebook = source if isinstance(source, NotebookNode) else nbformat.read(Path(source), as_version=4)
        marked = with_checksums(notebook)
    except OSError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"{name} cannot be read as an instructor's notebook ({reason}).") from error
    if (language := layout.language(marked)) != "python":
        raise ValueError(f"{name} is a notebook in {language}; only Python is graded here.")
    autotest = InstantiateTests().autotest_delimiter
    if any(utils.is_grade(cell) and autotest in cell.source for cell in marked.cells):
        raise ValueError(
            f"{name} has autotests, whose assertions only a gradebook has, once `nbgrader generate_assignment` has "
            "made them. Grade it in its course directory: `autograder grade`."
        )
    return Assignment(name, {name: marked}, {} if files is None else _shipped(Path(files)))


def _shipped(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder. Give files the folder of what learners get.")
    found = utils.find_all_files(str(folder), [*CourseDirectory().ignore, "*.ipynb"])
    return {os.path.relpath(path, folder): Path(path) for path in found}


def _hidden(source: StrPath | NotebookNode, submission: StrPath, more: Iterable[StrPath]) -> tuple[Path, ...]:
    near = [submission] if isinstance(source, NotebookNode) else [source, submission]
    courses = [_course_around(Path(path).absolute()) for path in near]
    return (*layout.courses_of_packages(), *courses, *(Path(path).resolve() for path in more))


def _course_around(path: Path) -> Path:
    """The course directory that a file lies in, else its folder."""
    return next((folder for folder in path.parents if (folder / "nbgrader_config.py").is_file()), path.parent)
