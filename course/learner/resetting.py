"""The stub back: an exercise, or a whole lesson, as the learner was given it. What they wrote is kept aside."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from course.catalogue import Exercise, Lesson
from course.learner import notebooks, workspace
from course.learner.keeping import change, keep
from course.learner.merging import match
from course.learner.notebooks import BrokenNotebook, key
from course.learner.workspace import WorkspaceError
from course.locale import gettext as _


def reset(folder: Path, lesson: Lesson, exercise: Exercise | None = None) -> Path | None:
    """Put a lesson's notebook back, or in it the stub of one exercise, without outputs, and change no other cell.

    Gives where the learner's text is kept; None where there was none. Raises WorkspaceError for an exercise of a
    notebook that is not there or cannot be read, and for one that cannot be written.
    """
    path = folder / lesson.name / f"{lesson.name}.ipynb"
    given = workspace.given(folder, lesson)
    try:
        return change(
            path, partial(_reset, path, given) if exercise is None else partial(_reset_cell, path, given, exercise)
        )
    except OSError as error:
        raise WorkspaceError(
            _(
                "{name} could not be put back ({reason}). See what is in its place, or whether it may be written, and"
                " run this again."
            ).format(name=path.name, reason=error.strerror or error)
        ) from error


def _reset(path: Path, given: bytes, mine: bytes | None) -> tuple[bytes, Path | None]:
    return given, None if mine in (None, given) else keep(path.parent, path.name, mine)


def _reset_cell(path: Path, given: bytes, exercise: Exercise, mine: bytes | None) -> tuple[bytes, Path | None]:
    try:
        if mine is None:
            raise BrokenNotebook(_("there is no such file"))
        notebook = notebooks.read(mine)
    except BrokenNotebook as error:
        raise WorkspaceError(
            _(
                "{name} cannot be read as a notebook ({reason}). If it is open, save it and run this again; otherwise"
                " `course reset {lesson}` keeps it aside and puts the whole lesson back."
            ).format(name=path.name, reason=error, lesson=exercise.lesson)
        ) from error
    stubs = {key(cell): cell for cell in notebooks.read(given).cells}
    if exercise.cell not in stubs:
        raise WorkspaceError(
            _("Your copy of {lesson} is older than {exercise}. `course lab` brings it up to date.").format(
                lesson=exercise.lesson, exercise=exercise.name
            )
        )
    stub, names = stubs[exercise.cell], match(notebook.cells, stubs)
    kept = None
    if exercise.cell in names:
        number = names.index(exercise.cell)
        cell = notebook.cells[number]
        if cell.source.rstrip() != stub.source.rstrip():
            suffix = "md" if cell.cell_type == "markdown" else "py"
            kept = keep(path.parent, f"{exercise.name}.{suffix}", f"{cell.source}\n".encode())
        stub.id = cell.id
        notebook.cells[number] = stub
    else:  # thrown away: it comes back behind the cell that it was behind
        before = list(stubs)[: list(stubs).index(exercise.cell)]
        notebook.cells.insert(max((place for place, name in enumerate(names, 1) if name in before), default=0), stub)
    return notebooks.dump(notebook), kept
