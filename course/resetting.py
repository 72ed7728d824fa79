"""The stub back: an exercise, or a whole lesson, as the learner was given it. What they wrote is kept aside."""

from __future__ import annotations

from pathlib import Path

from course import notebooks, workspace
from course.catalogue import Exercise, Lesson
from course.keeping import keep, write
from course.locale import gettext as _
from course.merging import match
from course.notebooks import BrokenNotebook, key
from course.workspace import WorkspaceError


def reset_lesson(folder: Path, lesson: Lesson) -> Path | None:
    """Put the whole notebook back. Gives where the learner's is kept; None where there was nothing of theirs."""
    path, stub = _notebook(folder, lesson), workspace.given(folder, lesson)
    mine = path.read_bytes() if path.is_file() else None
    if mine == stub:
        return None
    kept = keep(path.parent, path.name, mine) if mine is not None else None
    write(path, stub)
    return kept


def reset_exercise(folder: Path, lesson: Lesson, exercise: Exercise) -> Path | None:
    """Put one exercise's stub back, without outputs; no other cell changes.

    Gives where the learner's text is kept; None where there was none. A cell that they had thrown away comes back
    behind the one that it was behind. Raises WorkspaceError where there is no notebook that could be read.
    """
    path = _notebook(folder, lesson)
    try:
        mine = notebooks.read(path.read_bytes())
    except FileNotFoundError as error:
        raise WorkspaceError(
            _("There is no {name}. `course reset {lesson}` puts the whole lesson back.").format(
                name=path.relative_to(folder).as_posix(), lesson=lesson.name
            )
        ) from error
    except BrokenNotebook as error:
        raise WorkspaceError(
            _(
                "{name} cannot be read as a notebook ({reason}). If it is open, save it and run this again; `course reset"
                " {lesson}` keeps it aside and puts the whole lesson back."
            ).format(name=path.relative_to(folder).as_posix(), reason=error, lesson=lesson.name)
        ) from error
    stubs = {key(cell): cell for cell in notebooks.read(workspace.given(folder, lesson)).cells}
    stub = stubs[exercise.cell]
    names = match(mine.cells, stubs)
    kept = None
    if exercise.cell in names:
        number = names.index(exercise.cell)
        cell = mine.cells[number]
        if cell.source.rstrip() != stub.source.rstrip():
            suffix = "md" if cell.cell_type == "markdown" else "py"
            kept = keep(path.parent, f"{exercise.name}.{suffix}", f"{cell.source}\n".encode())
        mine.cells[number] = stub | {"id": cell.id}
    else:
        before = list(stubs)[: list(stubs).index(exercise.cell)]
        mine.cells.insert(max((number for number, name in enumerate(names, 1) if name in before), default=0), stub)
    write(path, notebooks.dump(mine))
    return kept


def _notebook(folder: Path, lesson: Lesson) -> Path:
    return folder / lesson.name / f"{lesson.name}.ipynb"
