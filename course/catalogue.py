"""The lessons and their exercises, read from what learners get.

`release/` says all there is to know: the order of the lessons, what each exercise asks and is worth, and the hints in
its checks. Nothing here imports a lesson, so that a command line answers at once.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from course import paths
from course.locale import gettext as _

HEADING = re.compile(r"^### Exercise (\d+): (.+)$", re.MULTILINE)
EFFORT = re.compile(r"Difficulty (●+)○*, (\d+) minutes")
TITLE = re.compile(r"^# \d+ · (.+)$", re.MULTILINE)


class UnknownName(Exception):
    """A lesson or exercise that there is not; the message names those that there are."""


@dataclass(frozen=True)
class Exercise:
    """One function that a learner writes.

    name: the function's. cell, test: the grade_ids of the cell it is written in and of the cell that checks it.
    minutes: how long it takes; difficulty: 1 to 3.
    """

    name: str
    lesson: str
    number: int
    title: str
    points: float
    difficulty: int
    minutes: int
    cell: str
    test: str

    @property
    def check(self) -> str:
        """The name of its check."""
        return f"check_{self.name}"


@dataclass(frozen=True)
class Lesson:
    """A lesson: the name of its folder, its title, its exercises in order."""

    name: str
    title: str
    exercises: tuple[Exercise, ...]

    @property
    def points(self) -> float:
        return sum(exercise.points for exercise in self.exercises)

    @property
    def notebook(self) -> Path:
        """The notebook that learners get."""
        return paths.release() / self.name / f"{self.name}.ipynb"


def lessons() -> tuple[Lesson, ...]:
    """Every lesson, in order."""
    return _lessons(paths.release())


@cache
def _lessons(release: Path) -> tuple[Lesson, ...]:
    return tuple(_read(path) for path in sorted(release.glob("[0-9]*/[0-9]*.ipynb")))


def exercises() -> Iterator[Exercise]:
    """Every exercise, in the order of the lessons. No two have the same name."""
    for lesson in lessons():
        yield from lesson.exercises


def find_lesson(name: str) -> Lesson:
    """The lesson that `name` means: "04-freezing", "04", "4" or "freezing".

    Raises UnknownName where there is none, or more than one.
    """
    wanted = Path(name).name.removesuffix(".ipynb").lower()
    named = {lesson.name: lesson for lesson in lessons()}
    if wanted in named:
        return named[wanted]
    fits = [
        lesson
        for lesson in named.values()
        if wanted and (lesson.name.lstrip("0").split("-")[0] == wanted.lstrip("0") or wanted in lesson.name)
    ]
    if len(fits) != 1:
        raise UnknownName(
            _("{name} could mean more than one lesson. There are: {there}.").format(name=name, there=", ".join(named))
            if fits
            else _("There is no lesson {name}. There are: {there}.").format(name=name, there=", ".join(named))
        )
    return fits[0]


def find_exercise(name: str) -> Exercise:
    """The exercise that `name` means: "freeze", "check_freeze", or "4.1" for the first of lesson 04.

    Raises UnknownName where there is none.
    """
    wanted = name.removeprefix("check_").replace("-", "_")
    for exercise in exercises():
        number = f"{exercise.lesson.split('-')[0].lstrip('0')}.{exercise.number}"
        if wanted == exercise.name or name.lstrip("0") == number:
            return exercise
    names = [exercise.name for exercise in exercises()]
    close = [other for other in names if wanted and wanted.lower() in other] or get_close_matches(wanted.lower(), names)
    if close:
        words = _("There is no exercise {name}. Did you mean {close}?")
        raise UnknownName(words.format(name=name, close=", ".join(close)))
    raise UnknownName(_("There is no exercise {name}. There are: {there}.").format(name=name, there=", ".join(names)))


def hints(exercise: Exercise) -> tuple[str, ...]:
    """The three hints of an exercise, as its check gives them.

    They are read, not run: to import a lesson's checks takes seconds.
    """
    for path in sorted((paths.release() / exercise.lesson).glob("*_checks.py")):
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=exercise.check)], value=ast.Call(keywords=keywords)):
                    given = next(keyword.value for keyword in keywords if keyword.arg == "hints")
                    return tuple(ast.literal_eval(given))
    raise LookupError(
        _("No check of lesson {lesson} is called {check}.").format(lesson=exercise.lesson, check=exercise.check)
    )


def _read(path: Path) -> Lesson:
    """The lesson of a released notebook. An exercise is a heading, then its cell, then its test, which calls its check.

    Other tests, which an instructor may have added, are no exercises: they have no check to speak to a learner.
    """
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    title = ""
    found: list[Exercise] = []
    asked: dict[str, Any] = {}
    for cell in cells:
        text = "".join(cell["source"])
        meta = cell["metadata"].get("nbgrader", {})
        if cell["cell_type"] == "markdown":
            title = title or "".join(TITLE.findall(text)[:1])
            if heading := HEADING.search(text):
                effort = EFFORT.search(text, heading.end())
                asked = {
                    "number": int(heading[1]),
                    "title": heading[2],
                    "difficulty": len(effort[1]) if effort else 1,
                    "minutes": int(effort[2]) if effort else 0,
                }
        elif meta.get("solution"):
            asked["cell"] = meta["grade_id"]
        elif meta.get("grade"):
            called = re.findall(r"^check_(\w+)\(", text, re.MULTILINE)
            if len(called) == 1 and asked.keys() >= {"number", "cell"}:
                found.append(
                    Exercise(called[0], path.parent.name, points=meta["points"], test=meta["grade_id"], **asked)
                )
    return Lesson(path.parent.name, title, tuple(found))
