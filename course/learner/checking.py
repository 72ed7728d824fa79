"""The learner's whole notebook, graded on their own machine as the instructor's grader would, without hidden tests.

Who grades is handed in, since nothing here knows of a grader: on Linux the command line brings the one that instructors
use; elsewhere the notebook runs in a kernel of its own (`in_a_kernel`), and the cards of its checks are read.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from course import card, catalogue
from course.card import VERDICT_MIME, Look, State
from course.catalogue import Exercise, Lesson
from course.learner import progress
from course.locale import gettext as _

if TYPE_CHECKING:
    from nbformat import NotebookNode

# Grades a submission against a released notebook, with the folder of files that the release has beside it and the
# learner's own files by their names there. Gives what is said of each test cell, as dictionaries with grade_id, state,
# points, max_points, message and misconception, and the notebook as it ran.
Grade = Callable[[Path, Path, Path, Mapping[str, Path]], "tuple[list[dict[str, Any]], NotebookNode]"]

# As in nbgrader_config.py: a cell that takes longer hangs.
CELL_SECONDS, START_SECONDS, OUTPUT_SECONDS = 60, 120, 30

PARTIAL = "partial"
# What a whole notebook's grading says of an exercise beside what its check does.
LOOKS = {state.value: look for state, look in card.LOOKS.items()} | {
    PARTIAL: Look("◐", "partly right", "yellow"),
    "memory": Look("▤", "out of memory", "red"),
    "crashed": Look("×", "crashed", "red"),
    "unreadable": Look("?", "unreadable", "red"),
}
GRADERS_WORDS = {"passed": State.RIGHT, "failed": State.WRONG, "timeout": State.TOO_SLOW}


class CheckingError(Exception):
    """A notebook cannot be checked; the message says why and what to do."""


@dataclass(frozen=True)
class Result:
    """What a check said of one exercise: `state` is a name of LOOKS, `card` the check's card as plain text."""

    exercise: Exercise
    state: str
    points: float
    max_points: float
    message: str
    misconception: str | None
    card: str

    @property
    def right(self) -> bool:
        return self.state == State.RIGHT


# --- which notebook -----------------------------------------------------------------------------------------


def lesson_here(start: Path) -> Lesson:
    """The lesson whose folder `start` is in, else the one worked on last. Raises CheckingError where there is none."""
    around = {folder.name for folder in (start, *start.parents)}
    latest = progress.load().latest
    for lesson in catalogue.lessons():
        if lesson.name in around:
            return lesson
    for lesson in catalogue.lessons():
        if lesson.name == latest:
            return lesson
    raise CheckingError(
        _("Which lesson? You have not worked on any yet. Name one, as in `course check 4`, or begin with `course lab`.")
    )


def notebook_of(lesson: Lesson, start: Path) -> Path:
    """The learner's notebook of a lesson: in their copy, else around `start`, where an instructor's exchange put it.

    Raises CheckingError where there is none.
    """
    from course.learner.workspace import WorkspaceError, find

    copies = []
    with suppress(WorkspaceError):
        copies.append(find(start))
    for folder in (*copies, start, *start.parents):
        path = folder / lesson.name / lesson.notebook.name
        if path.is_file():
            return path
    raise CheckingError(
        _(
            "There is no notebook of lesson {lesson} in {folder} or around it; its name is {notebook}. Go to the folder"
            " with your lessons, name it with --folder, or make one with `course lab`."
        ).format(lesson=lesson.name, folder=start, notebook=lesson.notebook.name)
    )


def _readable(path: Path) -> None:
    """Raises CheckingError, with a sentence for the learner, where there is no notebook that can be read."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        if not all(isinstance(cell["metadata"], dict) for cell in cells):
            raise TypeError
    except OSError as error:
        raise CheckingError(
            _("{path} cannot be opened ({reason}). Check whose file it is, and where it lies.").format(
                path=path, reason=error.strerror
            )
        ) from error
    except (ValueError, LookupError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise CheckingError(
            _(
                "{path} is no notebook that can be read ({reason}). If it was cut off while it was saved, look in"
                " .ipynb_checkpoints beside it for the last whole one."
            ).format(path=path, reason=reason)
        ) from error


# --- grading ------------------------------------------------------------------------------------------------


def check(lesson: Lesson, path: Path, grade: Grade) -> list[Result]:
    """What the checks of a lesson say of the notebook at `path`, exercise by exercise.

    Test cells, and the files beside them, are those of the release, whatever became of the learner's; what else the
    learner has there and hands in is there too. Raises CheckingError where there is no notebook that can be read.
    """
    _readable(path)
    given = lesson.notebook.parent
    verdicts, notebook = grade(lesson.notebook, path, given, _own_files(path.parent, given))
    said = {verdict["grade_id"]: verdict for verdict in verdicts}
    cells = {_grade_id(cell): cell for cell in notebook.cells}
    return [_result(exercise, said[exercise.test], cells) for exercise in lesson.exercises]


def _own_files(folder: Path, given: Path) -> dict[str, Path]:
    """What the learner hands in with the notebook, by its names; where the release has a name, its own wins."""
    from course.learner.submitting import LARGEST, handed_in

    shipped = {path.relative_to(given) for path in given.rglob("*") if path.is_file()}
    folders_shipped = {parent for name in shipped for parent in name.parents}
    own = {}
    for path in handed_in(folder):
        name = path.relative_to(folder)
        theirs = name in shipped | folders_shipped or not shipped.isdisjoint(name.parents)
        plain = path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST
        if plain and not theirs and path.suffix != ".ipynb":
            own[name.as_posix()] = path
    return own


def _result(exercise: Exercise, said: dict[str, Any], cells: Mapping[str | None, Mapping[str, Any]]) -> Result:
    cell = cells.get(exercise.test, {})
    points, max_points, message = said["points"], said["max_points"], said["message"]
    if not _shown(cell) and (raised := _raised(cells.get(exercise.cell, {}))):  # what its test says follows from it
        message = _("The cell of {name} raised {error}").format(name=exercise.name, error=raised)
    card = _shown(cell).get(VERDICT_MIME, {})
    if card.get("points") == points and card.get("state") in set(State):  # the word that a learner's own card has
        state = card["state"]
    else:
        state = PARTIAL if 0 < points < max_points else GRADERS_WORDS.get(said["state"], said["state"])
    return Result(exercise, state, points, max_points, message, said["misconception"], _card(cell))


def record(results: list[Result]) -> None:
    """Keeps what was found in the learner's progress, in the words that a check has."""
    for result in results:
        state = result.state if result.state in set(State) else State.WRONG if result.state == PARTIAL else State.ERROR
        progress.record(
            "check",
            result.exercise.name,
            lesson=result.exercise.lesson,
            state=state,
            points=result.points,
            note=result.misconception or "",
        )


def _grade_id(cell: NotebookNode) -> str | None:
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def _shown(cell: Mapping[str, Any]) -> dict[str, Any]:
    """What the last card of a cell's check was displayed as, by MIME type; nothing where it showed none."""
    cards = [output.data for output in cell.get("outputs", []) if VERDICT_MIME in output.get("data", {})]
    return dict(cards[-1]) if cards else {}


def _raised(cell: Mapping[str, Any]) -> str:
    """The error that a cell ended with; nothing where it ended well."""
    errors = [output for output in cell.get("outputs", []) if output["output_type"] == "error"]
    raised = f"{errors[0]['ename']}: {errors[0]['evalue']}" if errors else ""
    return re.sub(r"\(\S+, line (\d+)\)$", r"(line \1)", raised)  # a cell is no file


def _card(cell: Mapping[str, Any]) -> str:
    return str(_shown(cell).get("text/plain", ""))


# --- without the instructor's grader ------------------------------------------------------------------------


def in_a_kernel(
    source: Path, submission: Path, files: Path, extra: Mapping[str, Path]
) -> tuple[list[dict[str, Any]], NotebookNode]:
    """Grades as JupyterLab would run the notebook, save that experiments are passed over: for what is no Linux.

    A cell that hangs ends it. Raises CheckingError where no kernel can be had.
    """
    import nbformat
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient import NotebookClient
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    from course.scale import GRADING_VARIABLE

    notebook = restored(nbformat.read(source, as_version=4), nbformat.read(submission, as_version=4))
    ended: tuple[str, str] | None = None  # what is to be said of the tests that were not done
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for name, path in extra.items():
            target = Path(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        shutil.copytree(files, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.ipynb", "__pycache__"))
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            startup_timeout=START_SECONDS,
            iopub_timeout=OUTPUT_SECONDS,
            allow_errors=True,
            kernel_name="python3",
            shutdown_kernel="immediate",
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": folder}},
        )
        # One thread: on a busy machine two wait for each other, and a check takes minutes.
        environment = os.environ | {GRADING_VARIABLE: "validate", "OMP_NUM_THREADS": "1"}
        try:
            client.execute(env=environment)
        except CellTimeoutError:
            ended = "too slow", _("This, or a cell before it, was still running after {n} s.").format(n=CELL_SECONDS)
        except DeadKernelError:
            ended = "crashed", _("The kernel ended in this cell, or in one before it.")
        except (NoSuchKernel, RuntimeError) as error:
            raise CheckingError(
                _("No kernel python3 can be started ({error}). `course doctor` says how to mend it.").format(
                    error=error
                )
            ) from error
    return [_said(cell, ended) for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade")], notebook


def restored(source: NotebookNode, submission: NotebookNode) -> NotebookNode:
    """The learner's notebook with the released text in every cell that is not theirs; what they deleted comes last."""
    given = {_grade_id(cell): cell for cell in source.cells if "nbgrader" in cell.metadata}
    cells = []
    for cell in submission.cells:
        released = given.pop(_grade_id(cell), None)
        if released is not None and not released.metadata.nbgrader.solution:
            cells.append(released)
            continue
        cell.metadata.pop("nbgrader", None)
        if released is not None:
            cell.metadata["nbgrader"] = released.metadata.nbgrader
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        cells.append(cell)
    submission.cells = cells + [cell for cell in given.values() if not cell.metadata.nbgrader.solution]
    return submission


def _said(cell: NotebookNode, ended: tuple[str, str] | None) -> dict[str, Any]:
    """What a test cell says: its card, else its error; `ended` where there is neither, since it was not done."""
    grade_id, max_points = cell.metadata.nbgrader.grade_id, cell.metadata.nbgrader.points
    error = next((output for output in cell.outputs if output.output_type == "error"), None)
    if card := _shown(cell).get(VERDICT_MIME):
        points = 0.0 if error else min(card["points"], max_points)
        state, message, misconception = card["state"], card["message"], card["misconception"]
    else:
        points, misconception = 0.0, None
        if error is not None:
            state, message = "error", f"{error.ename}: {error.evalue}"
        elif ended is not None:
            state, message = ended
        else:
            state, message = "error", _("The check said nothing: something in the notebook has taken its name.")
    return {
        "grade_id": grade_id,
        "state": state,
        "points": points,
        "max_points": max_points,
        "message": message,
        "misconception": misconception,
    }


# --- what is shown ------------------------------------------------------------------------------------------


def shown(lesson: Lesson, results: list[Result], path: Path) -> RenderableType:
    """The results for a terminal: a row an exercise, the card of the first that is not right, and where to go next."""
    # what somebody has tried comes before what nobody has
    wrong = sorted((result for result in results if not result.right), key=lambda r: r.state == State.NOT_ATTEMPTED)
    worst = next(iter(wrong), None)
    rows: list[RenderableType] = [Text(_title(lesson), "bold"), "", _table(results), ""]
    rows += [Text(_total(results), "bold"), ""]
    if worst is not None:
        rows.append(Text(_("The first to mend is {name}:").format(name=worst.exercise.name)))
        rows += [_lines(worst.card.partition("\n")[2] or worst.message), ""]
        if len(wrong) > 1 and wrong[1].state != State.NOT_ATTEMPTED:
            said = _("The card of another: course check {lesson} {name}")
            rows.append(Text(said.format(lesson=lesson.name, name=wrong[1].exercise.name)))
    whole = len(results) == len(lesson.exercises)
    return Group(*rows, Text(_next_step(lesson, worst, path, whole), no_wrap=True, overflow="ignore"))


def as_json(lesson: Lesson, results: list[Result], path: Path) -> dict[str, Any]:
    """The results for a script."""
    return {
        "lesson": lesson.name,
        "notebook": str(path),
        "right": all(result.right for result in results),
        "points": sum(result.points for result in results),
        "max_points": sum(result.max_points for result in results),
        "exercises": [asdict(result) | {"exercise": result.exercise.name} for result in results],
    }


def _title(lesson: Lesson) -> str:
    return f"{lesson.name.partition('-')[0]} · {lesson.title}"


def _table(results: list[Result]) -> Table:
    table = Table.grid(padding=(0, 2), pad_edge=True)
    for justify in ("left", "left", "left", "right"):
        table.add_column(justify=justify)
    for result in results:
        look = LOOKS[result.state]
        points = _("{points:g} of {most:g}").format(points=result.points, most=result.max_points)
        table.add_row(Text(look.mark, look.style), result.exercise.name, Text(_(look.word), look.style), points)
    return table


def _total(results: list[Result]) -> str:
    return _("{right} of {all} right, {points:g} of {most:g} points").format(
        right=sum(result.right for result in results),
        all=len(results),
        points=sum(result.points for result in results),
        most=sum(result.max_points for result in results),
    )


def _lines(card: str) -> Table:
    """A card's lines below its first: each behind its mark, its label in bold; a long one goes on below itself."""
    table = Table.grid(padding=(0, 1), pad_edge=True)
    table.add_column()
    table.add_column(overflow="fold")
    for line in card.splitlines():
        mark, _space, text = line.strip().partition(" ")
        if mark in ("+", "-"):
            table.add_row(mark, Text(text))
        else:
            label, colon, text = line.removeprefix("  ").partition(": ")
            table.add_row("", Text.assemble((label + colon, "bold"), text) if colon else Text(label))
    return table


def _next_step(lesson: Lesson, worst: Result | None, path: Path, whole: bool) -> str:
    if worst is not None:
        return _("Mend it in {path}, save, and check again.\nFor a hint: course hint {name}").format(
            path=path, name=worst.exercise.name
        )
    if not whole:
        return _("For the whole lesson: course check {lesson}").format(lesson=lesson.name)
    later = [other for other in catalogue.lessons() if other.name > lesson.name]
    if not later:
        return _("Everything is right, and this was the last lesson.")
    return _("Everything is right.\nNext comes {title}: course lab").format(title=_title(later[0]))
