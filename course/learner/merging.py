"""A newer release and what a learner made of the older one, cell by cell.

Three notebooks go in: what the learner was given, what they made of it, and what the course has now. The newest is
the frame. Into it come the learner's answers, what they wrote into the course's prose and code, and the cells that
they added, each behind the cell that it stood behind. Merging again what came of it changes nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from course.learner import notebooks
from course.learner.notebooks import grade_id, is_answer, is_locked, key
from course.locale import gettext as _

Release = Mapping[str, NotebookNode]  # the cells of a release, in order, by what they are known by


class Fate(Enum):
    """What becomes of a cell of the learner's notebook."""

    COURSE = "the learner had not changed it: it is as the course has it now"
    GONE = "the learner had not changed it, and the course has it no more"
    RESTORED = "it is locked: the learner had changed it, and it is the course's again"
    ANSWER = "the learner's answer to an exercise"
    TEXT = "a cell of the course's that the learner had changed and the course had not: the learner's text"
    BESIDE = "both had changed it: the learner's stays, and what the course has instead comes behind it"
    LEFT = "the answer to an exercise that the course has no more: it stays"
    OWN = "the learner added it"


STAYS = {Fate.BESIDE, Fate.LEFT, Fate.OWN}  # as a cell of the learner's own


@dataclass(frozen=True)
class Merged:
    """What came of it: the notebook, what became of the course's cells in it, and exercises that ask something new.

    `fates` goes by grade_id, or by id for cells without one. `asked_anew`: exercises that the course has changed
    since the learner answered them; a note behind the answer shows how they begin now. `unrecognised`: how many of the
    learner's own cells stand in the place of an answer that comes back as a stub, so that they may well be it.
    """

    notebook: NotebookNode
    fates: dict[str, Fate]
    asked_anew: tuple[str, ...]
    unrecognised: int

    def those(self, fate: Fate) -> list[str]:
        """The cells that came to this."""
        return [name for name, its in self.fates.items() if its is fate]


def merge(given: NotebookNode, mine: NotebookNode, new: NotebookNode) -> Merged:
    """Bring `mine`, made from `given`, up to `new`. None of the three is changed.

    Nothing that the learner wrote is lost, save in locked cells (`Fate.RESTORED`): keep `mine` where there are any.
    """
    before, now = {key(cell): cell for cell in given.cells}, {key(cell): cell for cell in new.cells}
    names = match(mine.cells, now | before)
    fates = [_fate(name, cell, before, now) for name, cell in zip(names, mine.cells, strict=True)]
    theirs = {name: cell for name, cell in zip(names, mine.cells, strict=True) if name is not None}
    fate_of = {name: fate for name, fate in zip(names, fates, strict=True) if name is not None}
    behind = _behind(mine.cells, names, fates, now, before)
    asked_anew = tuple(
        name
        for name, fate in fate_of.items()
        if fate is Fate.ANSWER and name in before and not _same(before[name], now[name])
    )
    for name in asked_anew:
        note = _note(now[name])
        if all(cell.id != note.id for cell in mine.cells):
            behind[name].insert(0, note)

    cells = behind[None]
    for name, course in now.items():
        if name in theirs:
            cells.append(_filled(course, theirs[name], before.get(name, course), fate_of[name]))
        elif name not in before or grade_id(course) is not None or not _same(before[name], course):
            cells.append(deepcopy(course))  # the learner threw away what is left out
        cells += behind[name]
    notebook = NotebookNode(
        cells=cells,
        metadata=NotebookNode(deepcopy(new.metadata) | deepcopy(mine.metadata)),
        nbformat=4,
        nbformat_minor=max(mine.nbformat_minor, new.nbformat_minor),
    )
    return Merged(notebook, fate_of, asked_anew, _unrecognised(mine.cells, names, before, now))


def match(cells: Sequence[NotebookNode], release: Release) -> list[str | None]:
    """Which cell of a release each of a learner's cells is; None for their own.

    Of two cells with one grade_id the last is the one, as nbgrader has it. Where no cell has its id any more, since
    the program that saved them does not keep ids, the texts are left to go by.
    """
    names: list[str | None] = [None] * len(cells)

    def take(number: int, name: str | None) -> None:
        if names[number] is None and name in release and name not in names:
            names[number] = name

    for number, cell in reversed(list(enumerate(cells))):
        take(number, grade_id(cell))
    for number, cell in enumerate(cells):
        take(number, cell.id)
    if not any(cell.id in release for cell in cells):
        for number, cell in enumerate(cells):
            for name, course in release.items():
                if _same(cell, course):
                    take(number, name)
    return names


def _fate(name: str | None, cell: NotebookNode, before: Release, now: Release) -> Fate:
    if name is None:
        return Fate.OWN
    course = now.get(name)
    was = before.get(name, course)
    changed = not (_same(cell, was) or _same(cell, course))
    if not changed:
        return Fate.GONE if course is None else Fate.COURSE
    if was is not None and is_locked(was):
        return Fate.RESTORED
    if was is not None and is_answer(was):
        return Fate.ANSWER if course is not None and is_answer(course) else Fate.LEFT
    return Fate.TEXT if _same(was, course) else Fate.BESIDE


def _same(one: NotebookNode | None, other: NotebookNode | None) -> bool:
    """Whether two cells say the same."""
    if one is None or other is None:
        return False
    return one.cell_type == other.cell_type and one.source.rstrip() == other.source.rstrip()


def _filled(course: NotebookNode, mine: NotebookNode, was: NotebookNode, fate: Fate) -> NotebookNode:
    """The course's cell, with what of the learner's belongs into it. Outputs stay with the code that they are of."""
    cell = deepcopy(course)
    if fate is Fate.BESIDE:
        return cell
    taken = {*was.metadata, "nbgrader"}  # its marks are the course's alone to set
    added = {name: value for name, value in mine.metadata.items() if name not in taken}
    cell.metadata = NotebookNode(deepcopy(added) | cell.metadata)
    if fate in {Fate.ANSWER, Fate.TEXT}:
        cell.source = mine.source
    if _same(cell, mine):
        cell |= {name: deepcopy(mine[name]) for name in ("outputs", "execution_count", "attachments") if name in mine}
    return cell


def _behind(
    cells: Sequence[NotebookNode], names: Sequence[str | None], fates: Sequence[Fate], now: Release, before: Release
) -> defaultdict[str | None, list[NotebookNode]]:
    """The cells that stay, by the course's cell that they come behind; None is the top of the notebook."""
    behind: defaultdict[str | None, list[NotebookNode]] = defaultdict(list)
    successors = _successors(before, now)
    courses = {cell.id for cell in now.values()}
    taken = courses | {cell.id for cell in cells}
    place = None
    for cell, name, fate in zip(cells, names, fates, strict=True):
        if fate in STAYS:
            stays = deepcopy(cell)
            if name is not None or grade_id(cell) is not None:  # these marks are those of the course's cell
                for mark in ("nbgrader", "editable", "deletable"):
                    stays.metadata.pop(mark, None)
            if stays.id in courses:
                stays.id = notebooks.new_id(stays, taken)
                taken.add(stays.id)
            behind[place].append(stays)
        else:
            place = successors.get(name, place)
    return behind


def _unrecognised(cells: Sequence[NotebookNode], names: Sequence[str | None], before: Release, now: Release) -> int:
    """How many of the learner's own cells stand between the neighbours of an answer, of its type, that comes back."""
    order = list(before)
    count, start, own = 0, 0, Counter[str]()
    for cell, name in (*zip(cells, names, strict=True), (None, None)):
        if cell is not None and name is None:
            own[cell.cell_type] += 1
        elif cell is None or name in before:
            place = len(order) if name is None else order.index(name)
            back = [before[name] for name in order[start:place] if name not in names and name in now]
            count += (own & Counter(one.cell_type for one in back if is_answer(one))).total()
            start, own = place + 1, Counter()
    return count


def _successors(before: Release, now: Release) -> dict[str | None, str]:
    """Where each cell of an older release stands in the newer one: itself, or the likest of those in its place."""
    found: dict[str | None, str] = {name: name for name in now}
    was, has = list(before), list(now)
    for _tag, i, j, k, end in SequenceMatcher(None, was, has, autojunk=False).get_opcodes():
        candidates = [now[name] for name in has[k:end] if name not in before]
        if candidates:
            found |= {name: _likest(before[name], candidates) for name in was[i:j] if name not in now}
    return found


def _likest(cell: NotebookNode, candidates: Sequence[NotebookNode]) -> str:
    words = set(cell.source.split())
    return key(max(candidates, key=lambda other: len(words & set(other.source.split()))))


def _note(course: NotebookNode) -> NotebookNode:
    """What tells a learner, in the notebook, that an exercise begins otherwise since they answered it."""
    said = _(
        "**The course has changed this exercise since you answered it.** Your answer, above, is as you left it. "
        "The exercise now begins like this; change what you need to, then delete this cell."
    )
    shown = course.source if course.cell_type == "markdown" else f"```python\n{course.source}\n```"
    note = new_markdown_cell(f"{said}\n\n{shown}")
    note.id = f"note-{notebooks.new_id(note, set())}"
    return note
