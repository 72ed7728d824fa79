"""A learner's progress: one small file on their disk.

The file is an SQLite database: two kernels may write at once, and a kill in the middle of a write leaves it as it was.
It lies in the folder that `platformdirs` names for the user's data, or in the one that ``COURSE_HOME`` names. Its one
table is a history. Everything else is computed from it, and who deletes the file loses nothing but the history::

    CREATE TABLE event (
        at REAL NOT NULL,        -- seconds since 1970, UTC
        lesson TEXT NOT NULL,    -- "04-freezing"
        exercise TEXT NOT NULL,  -- "freeze"; "" for what belongs to a whole lesson
        kind TEXT NOT NULL,      -- open, check, hint, solution, reset, submit
        state TEXT NOT NULL,     -- of a check: right, wrong, error, too slow, not attempted; else ""
        points REAL NOT NULL,    -- what a check gave; which hint was shown; else 0
        note TEXT NOT NULL       -- of a check: the misconception that it named; else ""
    )

`PRAGMA user_version` counts the changes of this format. Nobody's grade rests on this file: it is the learner's own.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import platformdirs

from course import catalogue
from course.card import State
from course.catalogue import Exercise, Lesson
from course.locale import gettext as _

Kind = Literal["open", "check", "hint", "solution", "reset", "submit"]

HOME_VARIABLE = "COURSE_HOME"
VERSION = 1
# A longer silence between two events counts as a break, and this much of it as work.
BREAK = 15 * 60.0  # seconds
# How long another's write is waited for, in seconds. A check writes once and reads once or twice, and none may dawdle.
WRITING, READING = 1.0, 0.2
# What SQLite says of a file that is damaged, or is another's.
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

TABLE = """
CREATE TABLE IF NOT EXISTS event (
    at REAL NOT NULL, lesson TEXT NOT NULL, exercise TEXT NOT NULL, kind TEXT NOT NULL,
    state TEXT NOT NULL, points REAL NOT NULL, note TEXT NOT NULL
)
"""


@dataclass
class Standing:
    """How a learner stands with one exercise.

    state: what the last check said, "" before the first. points: the most that a check gave since a reset. tries:
    checks of something that was written. hints: how many were shown, and solution: whether the reference was; before
    the first check that found everything right, since after that they helped nobody. last_hint: the furthest that was
    ever shown.
    """

    exercise: Exercise
    state: str = ""
    points: float = 0.0
    tries: int = 0
    hints: int = 0
    solution: bool = False
    last_hint: int = 0

    @property
    def done(self) -> bool:
        return self.points == self.exercise.points

    @property
    def shown(self) -> State:
        """What the exercise is shown as: once right, right for good."""
        if self.done:
            return State.RIGHT
        return State(self.state) if self.state in set(State) - {State.RIGHT} else State.NOT_ATTEMPTED

    def after_help(self, hint_cost: float, solution_cost: float) -> float:
        """The points less what help costs: a fraction of them for each hint, and one for the solution."""
        cost = self.hints * hint_cost + self.solution * solution_cost
        return self.points * (1 - min(cost, 1.0))


@dataclass
class Course:
    """How a learner stands with all of it: each exercise by name, and the seconds spent on each lesson."""

    exercises: dict[str, Standing]
    seconds: dict[str, float] = field(default_factory=dict)
    latest: str = ""  # the lesson of the last event

    def of(self, lesson: Lesson) -> list[Standing]:
        return [self.exercises[exercise.name] for exercise in lesson.exercises]

    def next(self) -> Exercise | None:
        """The first exercise that is not done: of the lesson worked on last, else of all."""
        open_ones = [standing.exercise for standing in self.exercises.values() if not standing.done]
        of_latest = [exercise for exercise in open_ones if exercise.lesson == self.latest]
        return next(iter(of_latest or open_ones), None)


def home() -> Path:
    """The folder of what is kept about a learner."""
    if not (named := os.environ.get(HOME_VARIABLE)):
        return platformdirs.user_data_path("finetuning-from-zero", appauthor=False)
    with suppress(RuntimeError):  # there is no such user: it is a name like others
        return Path(named).expanduser()
    return Path(named)


def file() -> Path:
    return home() / "progress.sqlite"


def record(
    kind: Kind, exercise: str = "", *, lesson: str = "", state: str = "", points: float = 0.0, note: str = ""
) -> bool:
    """Adds an event of an exercise, or of a whole lesson; says whether it could be written.

    A full disk or a folder that is read-only stops no lesson: nothing is raised.
    """
    with suppress(catalogue.UnknownName):
        lesson = lesson or catalogue.find_exercise(exercise).lesson
    event = (time.time(), lesson, exercise, kind, str(state), points, note)
    with suppress(OSError, sqlite3.Error):
        _execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", event, wait=WRITING)
        return True
    return False


def why_not_kept() -> str:
    """Why nothing can be written to the file; nothing where it can. Where there is none, it is begun."""
    try:
        _execute("DELETE FROM event WHERE 0", wait=WRITING)
    except (OSError, sqlite3.Error) as error:
        return str(getattr(error, "strerror", None) or error)
    return ""


def load() -> Course:
    """How the learner stands. Without a file, at the beginning."""
    course = Course({exercise.name: Standing(exercise) for exercise in catalogue.exercises()})
    events: list[tuple[float, str, str, str, str, float]] = []
    if file().is_file():
        with suppress(OSError, sqlite3.Error):
            events = _execute(
                "SELECT at, lesson, exercise, kind, state, points FROM event ORDER BY at, rowid", wait=READING
            )
    before = 0.0
    for at, lesson, name, kind, state, points in events:
        if lesson == course.latest:
            course.seconds[lesson] = course.seconds.get(lesson, 0.0) + min(max(at - before, 0.0), BREAK)
        before, course.latest = at, lesson
        for standing in course.exercises.values():
            if name == standing.exercise.name or (not name and lesson == standing.exercise.lesson):
                _count(standing, kind, state, points)
    return course


def next_hint(exercise: str, count: int, given: int = 0) -> int:
    """The number of the next of `count` hints: each says more, and the last stays.

    given: the last that was shown here, where that may not have been kept.
    """
    standing = load().exercises.get(exercise)
    return min(max(standing.last_hint if standing else 0, given) + 1, count)


def _count(standing: Standing, kind: str, state: str, points: float) -> None:
    if kind == "check":
        standing.state = state
        standing.points = max(standing.points, min(points, standing.exercise.points))
        standing.tries += state != "not attempted"
    elif kind == "hint":
        standing.last_hint = max(standing.last_hint, int(points))
        if not standing.done:
            standing.hints = standing.last_hint
    elif kind == "solution" and not standing.done:
        standing.solution = True
    elif kind == "reset":  # what it gave went with it; what was tried and shown stays
        standing.state, standing.points = "", 0.0


def summary(lesson: Lesson, course: Course) -> str:
    """One sentence: exercises, points, time and the next step."""
    standings = course.of(lesson)
    said = _("{done} of {all} exercises, {points:g} of {most:g} points, {time}.").format(
        done=sum(standing.done for standing in standings),
        all=len(standings),
        points=sum(standing.points for standing in standings),
        most=lesson.points,
        time=spent(course.seconds.get(lesson.name, 0.0)),
    )
    return f"{said} {_next(lesson, course)}"


def spent(seconds: float) -> str:
    """A time in words, such as "1 h 5 min"."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return (
        _("{hours} h {minutes} min").format(hours=hours, minutes=minutes)
        if hours
        else _("{minutes} min").format(minutes=minutes)
    )


def _next(lesson: Lesson, course: Course) -> str:
    here = next((standing for standing in course.of(lesson) if not standing.done), None)
    if here is not None:
        return _("Next: exercise {number}, {title} (about {minutes} minutes).").format(
            number=here.exercise.number, title=here.exercise.title, minutes=here.exercise.minutes
        )
    if (elsewhere := course.next()) is not None:
        return _("This lesson is done. Next: lesson {lesson}.").format(lesson=elsewhere.lesson)
    return _("This was the last of them: the course is done.")


def _execute(statement: str, values: tuple[object, ...] = (), *, wait: float) -> list[Any]:
    """The rows that a statement gives, in a transaction. A file that is damaged is put aside, and a new one begun."""
    file().parent.mkdir(parents=True, exist_ok=True)
    try:
        return _executed(statement, values, wait)
    except sqlite3.DatabaseError as error:
        if not _broken(error):  # locked for too long, no rights, a full disk
            raise
        file().replace(file().with_suffix(f".broken-{time.time_ns()}"))
        return _executed(statement, values, wait)


def _executed(statement: str, values: tuple[object, ...], wait: float) -> list[Any]:
    """SQLite would wait too, but looks ever less often: somebody who writes much would be there first each time."""
    until = time.monotonic() + wait
    while True:
        try:
            return _at_once(statement, values)
        except sqlite3.OperationalError as error:
            if _kind(error) != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.005)


def _at_once(statement: str, values: tuple[object, ...]) -> list[Any]:
    with closing(sqlite3.connect(file(), timeout=0)) as database, database:
        if database.execute("PRAGMA user_version").fetchone() == (0,):
            database.execute(TABLE)
            database.execute(f"PRAGMA user_version = {VERSION}")
        return database.execute(statement, values).fetchall()


def _broken(error: sqlite3.DatabaseError) -> bool:
    return _kind(error) in DAMAGED or "no such table" in str(error)


def _kind(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest of the code says where
