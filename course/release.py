"""From source to release: a lesson's text becomes the notebook that learners get.

`source/LESSON/LESSON.py` is the lesson as text: jupytext's py:percent, with nbgrader's cell metadata in the
cell headers. `build` makes a notebook of it, lets nbgrader's own `generate_assignment` clear it in a
temporary course directory, and puts the result into `release/LESSON/`. The same source gives the same bytes,
anywhere and always.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from jupytext.combine import combine_inputs_with_outputs
from jupytext.metadata_filter import filter_metadata
from nbformat import NotebookNode
from traitlets.config import Config, PyFileConfigLoader

from course import paths

# What a lesson's text holds of a notebook: the same words as in source/jupytext.toml, which JupyterLab goes
# by.
TEXT_FORMAT = {
    "extension": ".py",
    "format_name": "percent",
    "cell_metadata_filter": "nbgrader,tags,title,jupyter.source_hidden,-all",
    "notebook_metadata_filter": "-all",
}

# The same whatever Python and whatever kernel the lesson was edited with.
NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "pygments_lexer": "ipython3",
    },
}

# What `nbgrader generate_assignment --no-db` sets.
NO_GRADEBOOK = Config(SaveCells={"enabled": False}, GenerateAssignment={"no_database": True})

# The cell that brings the course to a notebook that was opened without it, and the line that says from where.
INSTALL_CELL = "install"
PACKAGE_LINE = re.compile(r"^PACKAGE = .*$", re.MULTILINE)

LESSON_NAME = re.compile(r"\d+-[\w-]+")
CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
MARKERS = (("SOLUTION", "solution"), ("HIDDEN TESTS", "grade"))

# Left behind by running or opening what is in release/; git passes over them too.
LEFTOVERS = {"__pycache__", ".ipynb_checkpoints", ".DS_Store"}


class ReleaseError(Exception):
    """A lesson that cannot be released; the message says what happened and what to do."""


@dataclass(frozen=True)
class Built:
    """One lesson, built: what it asks of a learner, and which files of the release differ from before."""

    lesson: str
    exercises: int
    points: float
    changed: list[Path]


# --- the text and the notebook beside it --------------------------------------------------------------------


def lesson_names(source_dir: Path, lessons: Sequence[str] | None = None) -> list[str]:
    """The lessons under `source_dir`, in order; or `lessons`, once each of them is known to be there."""
    found = []
    for folder in sorted(path for path in source_dir.glob("*") if path.is_dir()):
        if (folder / f"{folder.name}.py").is_file():
            if not LESSON_NAME.fullmatch(folder.name):
                raise ReleaseError(
                    f"The lesson {folder.name} has no number before its name. What learners must not see is"
                    f" kept from them by its file name, and only names like 04-freezing.py are known for a"
                    f" lesson's text. Rename the folder and its text to NUMBER-NAME."
                )
            found.append(folder.name)
        elif LESSON_NAME.fullmatch(folder.name) and any(folder.glob("*.py")):
            raise ReleaseError(
                f"The folder {folder.name} of {source_dir.name}/ has no {folder.name}.py, so there is no"
                f" lesson to release. Give the lesson's text the name of its folder."
            )
    for name in lessons or ():
        if name not in found:
            raise ReleaseError(f"There is no lesson {name} in {source_dir}. Its lessons: {', '.join(found) or 'none'}.")
    return sorted(set(lessons)) if lessons is not None else found


def source_notebook(lesson_dir: Path) -> NotebookNode:
    """The instructor's notebook of a lesson, with solutions and hidden tests; its cell ids come of its text.

    Where a paired notebook stands beside the text, the newer of the two is read. Nothing is written.
    """
    text, paired = _pair(lesson_dir)
    cells = _cells(_read_notebook(paired) if paired and _newer(paired, text) else _read_text(text))
    _check(cells, lesson_dir.name)
    taken: set[str] = {cell.metadata.nbgrader.grade_id for cell in cells if "nbgrader" in cell.metadata}
    for cell in cells:
        cell.metadata.pop("title", None)
        cell.id = cell.metadata.get("nbgrader", {}).get("grade_id") or _new_id(cell, taken)
    return nbformat.from_dict({"cells": cells, "metadata": NOTEBOOK_METADATA, "nbformat": 4, "nbformat_minor": 5})


def sync(lesson_dir: Path) -> str | None:
    """Bring a lesson's text and the notebook beside it into step, and say so where they were not.

    The newer wins, as with `jupytext --sync`. The older may hold edits of its own, which nothing here can
    know: it is kept first, among Jupyter's checkpoints.
    """
    text, paired = _pair(lesson_dir)
    if paired is None or not out_of_step(lesson_dir):
        return None
    newer, older = (paired, text) if _newer(paired, text) else (text, paired)
    content = older.read_bytes()
    digest = sha256(content).hexdigest()[:8]
    kept = lesson_dir / ".ipynb_checkpoints" / f"{lesson_dir.name}-{digest}{older.suffix}"
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(content)
    if newer is paired:
        text.write_text(_as_text(jupytext.read(paired)), encoding="utf-8", newline="\n")
    else:
        notebook = combine_inputs_with_outputs(_read_text(text), jupytext.read(paired), fmt=dict(TEXT_FORMAT))
        jupytext.write(notebook, paired)
        os.utime(paired, ns=(text.stat().st_atime_ns, text.stat().st_mtime_ns))
    return (
        f"{text.name} and {paired.name} were not the same. The newer, {newer.name}, was taken into"
        f" {older.name}; what {older.name} held before is kept as {kept.parent.name}/{kept.name}. If you had"
        f" edited both, look there for what is missing."
    )


def out_of_step(lesson_dir: Path) -> bool:
    """Whether a notebook stands beside the text and says something else."""
    text, paired = _pair(lesson_dir)
    return paired is not None and _cells(_read_text(text)) != _cells(_read_notebook(paired))


def _pair(lesson_dir: Path) -> tuple[Path, Path | None]:
    text = lesson_dir / f"{lesson_dir.name}.py"
    paired = text.with_suffix(".ipynb")
    return text, paired if paired.is_file() else None


def _newer(one: Path, other: Path) -> bool:
    return one.stat().st_mtime_ns > other.stat().st_mtime_ns


def _read_text(path: Path) -> NotebookNode:
    text = path.read_text(encoding="utf-8")
    if not re.search(r"^# ?%%", text, re.MULTILINE):
        raise ReleaseError(
            f"{path.name} has no cells: no line of it starts with `# %%`. Write it in jupytext's percent format."
        )
    notebook = jupytext.reads(text, fmt=dict(TEXT_FORMAT))
    for cell in notebook.cells:
        broken = cell.metadata.get("incorrectly_encoded_metadata")
        if broken is not None:
            raise ReleaseError(
                f"{path.name} has a cell header that cannot be read: `# %% {broken}`. What follows each `=`"
                f' must be JSON, as in nbgrader={{"grade": true}} tags=["experiment"]. Look for a missing'
                f" quote, comma or brace, and for True where JSON says true."
            )
    if notebook.cells[0].cell_type == "raw" and notebook.cells[0].source.startswith("---"):
        raise ReleaseError(
            f"{path.name} starts with a header, between two lines of `---`, that jupytext cannot read. A"
            f" lesson needs none: delete it, or mend it."
        )
    return notebook


def _as_text(notebook: NotebookNode) -> str:
    text: str = jupytext.writes(notebook, fmt=dict(TEXT_FORMAT))
    return text


def _read_notebook(path: Path) -> NotebookNode:
    """A paired notebook, as its text would give it."""
    try:
        return jupytext.reads(_as_text(jupytext.read(path)), fmt=dict(TEXT_FORMAT))
    except Exception as error:  # nbformat and jupytext let through what they stumble over
        raise ReleaseError(
            f"{path.name} is no notebook that can be read ({type(error).__name__}: {error}). If {path.stem}.py is"
            f" up to date, delete the notebook: JupyterLab makes it again from the text."
        ) from error


def _cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells, without outputs, ids and the metadata that a lesson does not hold."""
    cells = []
    for cell in notebook.cells:
        kept: dict[str, Any] = {"cell_type": cell.cell_type, "source": cell.source}
        if cell.cell_type == "code":
            kept |= {"execution_count": None, "outputs": []}
        metadata = filter_metadata(cell.metadata, TEXT_FORMAT["cell_metadata_filter"])
        cells.append(nbformat.from_dict(kept | {"metadata": metadata}))
    return cells


def _new_id(cell: NotebookNode, taken: set[str]) -> str:
    """An id for a cell without one: a hash of its text, and a number where the same text comes again."""
    digest = sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
    name, count = digest, 1
    while name in taken:
        count += 1
        name = f"{digest}-{count}"
    taken.add(name)
    return name


# --- what a lesson must be ----------------------------------------------------------------------------------


def _check(cells: list[NotebookNode], lesson: str) -> None:
    """Say in words what nbgrader would say in a traceback, or not at all."""
    where: dict[str, str] = {}
    for number, cell in enumerate(cells, 1):
        first_line = next(iter(cell.source.strip().splitlines()), "empty")
        place = f"cell {number} of {lesson} ({first_line})"
        _check_nbgrader(cell.metadata.get("nbgrader"), place, where)
        for words, key in MARKERS:
            begins, ends = (cell.source.count(f"{word} {words}") for word in ("BEGIN", "END"))
            if begins != ends:
                raise ReleaseError(
                    f"In {place}, BEGIN {words} stands {begins} times and END {words} {ends} times, so that"
                    f" what is to be hidden has no clear end. Write both around it, each on a line of its"
                    f" own."
                )
            if begins and not cell.metadata.get("nbgrader", {}).get(key):
                raise ReleaseError(
                    f"There are {words} markers in {place}, but for nbgrader it is no such cell: it would not"
                    f' be restored at grading. Set "{key}": true in its header.'
                )


def _check_nbgrader(meta: dict[str, Any] | None, place: str, where: dict[str, str]) -> None:
    if meta is None:
        return
    missing = {"grade", "solution", "locked", "schema_version"} - meta.keys()
    if missing:
        raise ReleaseError(
            f"The nbgrader metadata of {place} lacks {', '.join(sorted(missing))}. A full one reads"
            f' {{"grade": true, "grade_id": "check-freeze", "locked": true, "points": 5, "schema_version": 3,'
            f' "solution": false, "task": false}}.'
        )
    grade_id = meta.get("grade_id", "")
    if not grade_id:
        raise ReleaseError(
            f"There is no grade_id for {place}. nbgrader knows a cell by it: give it one that no other cell has."
        )
    if not CELL_ID.fullmatch(grade_id):
        raise ReleaseError(
            f"The grade_id {grade_id!r} of {place} cannot be a cell's id: use at most 64 letters of a-z and"
            f" A-Z, digits, - and _."
        )
    if grade_id in where:
        raise ReleaseError(
            f"The grade_id {grade_id} belongs to two cells: {where[grade_id]} and {place}. nbgrader could not"
            f" tell them apart: rename one."
        )
    where[grade_id] = place
    points = meta.get("points")
    if meta["grade"] and (isinstance(points, bool) or not isinstance(points, int | float) or points < 0):
        raise ReleaseError(
            f'The graded {place} has "points": {points!r}. Say how many points it gives, a number from 0 up.'
        )
    if not meta["grade"] and points:
        raise ReleaseError(
            f'{place[0].upper()}{place[1:]} has {points} points but "grade": false, so that nobody could earn them.'
            f' Set "grade": true, or take the points away.'
        )


# --- the release --------------------------------------------------------------------------------------------


def build(
    source_dir: Path,
    release_dir: Path,
    lessons: Sequence[str] | None = None,
    *,
    package: str | None = None,
    write: bool = True,
    on_lesson: Callable[[Built], None] | None = None,
) -> list[Path]:
    """Make the release of `lessons`, or of all, and give the files that changed or went away.

    `package` is where a notebook that is opened elsewhere gets the course: what `pip install` takes, in place of
    what the source says. With `write=False` nothing is written: the files are those that would change. `on_lesson`
    hears of each lesson as soon as it is done.
    """
    config = load_config()
    config.merge(NO_GRADEBOOK)
    names = lesson_names(source_dir, lessons)
    changed: list[Path] = []
    for name in names:
        notebook = _brought_from(package, source_notebook(source_dir / name))
        built = _put(_released(source_dir / name, notebook, config), release_dir / name, write)
        changed += built
        if on_lesson is not None:
            graded = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade")]
            on_lesson(Built(name, len(graded), sum(cell.metadata.nbgrader.points for cell in graded), built))
    if lessons is None:
        for folder in sorted(release_dir.glob("*")):
            if LESSON_NAME.fullmatch(folder.name) and folder.name not in names:
                changed += _put({}, folder, write)
    return changed


def setup_course(
    directory: Path,
    lessons: Sequence[str] | None = None,
    source_dir: Path | None = None,
    *,
    package: str | None = None,
) -> Path:
    """Make `directory` a standard nbgrader course directory: config, source/, release/ and gradebook.db.

    `package` is as for `build`. The directory's source/ holds each lesson as a notebook with solutions and hidden
    tests, its checks and its data. A lesson that is there already is never overwritten. Gives the directory.
    """
    from nbgrader.utils import ignore_patterns

    directory = directory.resolve()
    source_dir = source_dir or paths.source()
    names = lesson_names(source_dir, lessons)
    notebooks = {name: _brought_from(package, source_notebook(source_dir / name)) for name in names}
    for name in names:
        if (directory / "source" / name).exists():
            raise ReleaseError(
                f"The course directory {directory} has a lesson {name} already, and it may hold edits of"
                f" yours. Nothing was changed. Choose another directory, or remove source/{name} there."
            )
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / "nbgrader_config.py").exists():
        shutil.copy(paths.nbgrader_config(), directory)
    config = load_config(directory)
    ignore = ignore_patterns(exclude=[*load_config().CourseDirectory.ignore, "*.ipynb"])
    for name, notebook in notebooks.items():
        folder = directory / "source" / name
        shutil.copytree(source_dir / name, folder, ignore=ignore)
        nbformat.write(notebook, folder / f"{name}.ipynb")
        with _scripts_on_path():
            _generate_assignment(directory, name, config)
    return directory


def _brought_from(package: str | None, notebook: NotebookNode) -> NotebookNode:
    """The notebook, whose first code cell brings the course from `package` where it is not installed."""
    for cell in notebook.cells:
        if package is not None and cell.id == INSTALL_CELL:
            cell.source = PACKAGE_LINE.sub(lambda _: f"PACKAGE = {json.dumps(package)}", cell.source)
    return notebook


@contextmanager
def _scripts_on_path() -> Iterator[None]:
    """For a new gradebook nbgrader runs the program `alembic`, found only where the environment is activated."""
    before = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before


def load_config(directory: Path | None = None) -> Config:
    """What nbgrader_config.py says, in `directory` or in this course."""
    path = paths.nbgrader_config() if directory is None else directory / "nbgrader_config.py"
    return PyFileConfigLoader(path.name, path=str(path.parent)).load_config()


def _released(lesson_dir: Path, notebook: NotebookNode, config: Config) -> dict[str, bytes]:
    """The files of a lesson's release, by their paths below its folder, as nbgrader makes them.

    nbgrader sees the whole folder: what it must not copy, its config says.
    """
    name = lesson_dir.name
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary).resolve()
        shutil.copytree(lesson_dir, root / "source" / name, ignore=shutil.ignore_patterns("*.ipynb"))
        nbformat.write(notebook, root / "source" / name / f"{name}.ipynb")
        _generate_assignment(root, name, config)
        files = _files(root / "release" / name)
    made = files[f"{name}.ipynb"]
    return files | {f"{name}.ipynb": made.replace(b"\r\n", b"\n")}  # nbconvert writes the system's line ends


def _generate_assignment(root: Path, lesson: str, config: Config) -> None:
    """nbgrader's own `generate_assignment` in the course directory `root`, silent unless it fails."""
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.utils import capture_log

    log = logging.getLogger("course.release.nbgrader")
    log.propagate = False
    coursedir = CourseDirectory(config=config, log=log, root=str(root), assignment_id=lesson)
    app = GenerateAssignment(coursedir=coursedir, config=config, log=log, force=True)
    result = capture_log(app)
    if not result["success"]:
        said = f"{result.get('log', '')}\n{result['error']}".strip()
        raise ReleaseError(f"nbgrader could not make the release of {lesson}. It said:\n\n{said}")


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not LEFTOVERS.intersection(path.relative_to(folder).parts)
    }


def _put(files: dict[str, bytes], folder: Path, write: bool) -> list[Path]:
    """Make `folder` hold these files and no others; give those that differed."""
    before = _files(folder)
    changed = sorted(name for name in before | files if before.get(name) != files.get(name))
    if write:
        for name in changed:
            path = folder / name
            if name in files:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(files[name])
            else:
                path.unlink()
        if not files:
            shutil.rmtree(folder)
    return [folder / name for name in changed]
