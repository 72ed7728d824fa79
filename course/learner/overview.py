"""How far a learner is with the whole course: a table for a terminal, and the same as data for a script."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from course import catalogue
from course.card import LOOKS
from course.learner import progress
from course.learner.progress import Course, Standing
from course.locale import gettext as _


def as_json(course: Course, hint_cost: float = 0.0, solution_cost: float = 0.0) -> dict[str, Any]:
    """Lessons, exercises and the next step. `after_help` is the points less what hints and solutions cost."""
    following = course.next()
    return {
        "lessons": [
            {
                "lesson": lesson.name,
                "title": lesson.title,
                "points": sum(standing.points for standing in course.of(lesson)),
                "max_points": lesson.points,
                "seconds": round(course.seconds.get(lesson.name, 0.0)),
                "exercises": [
                    {
                        "exercise": standing.exercise.name,
                        "state": str(standing.shown),
                        "points": standing.points,
                        "max_points": standing.exercise.points,
                        "tries": standing.tries,
                        "hints": standing.hints,
                        "solution": standing.solution,
                        "after_help": standing.after_help(hint_cost, solution_cost),
                    }
                    for standing in course.of(lesson)
                ],
            }
            for lesson in catalogue.lessons()
        ],
        "next": following and following.name,
    }


def as_table(course: Course, hint_cost: float = 0.0, solution_cost: float = 0.0) -> RenderableType:
    """A row a lesson: its exercises as marks, points, time; and below it the next step."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(_("lesson"))
    table.add_column(_("exercises"))
    for heading in (_("points"), _("time"), _("hints")):
        table.add_column(heading, justify="right")
    costs = bool(hint_cost or solution_cost)
    if costs:
        table.add_column(_("after help"), justify="right")
    for lesson in catalogue.lessons():
        standings = course.of(lesson)
        seconds = course.seconds.get(lesson.name)
        hints = sum(standing.hints for standing in standings)
        row: list[RenderableType] = [
            f"{lesson.name.split('-')[0]} {lesson.title}",
            Text(" ").join(_mark(standing) for standing in standings),
            f"{sum(standing.points for standing in standings):g}/{lesson.points:g}",
            "" if seconds is None else progress.spent(seconds),
            f"{hints or ''}",
        ]
        if costs:
            row.append(f"{sum(standing.after_help(hint_cost, solution_cost) for standing in standings):g}")
        table.add_row(*row)
    legend = Text("  ").join(Text(f"{look.mark} ", look.style).append(_(look.word), "dim") for look in LOOKS.values())
    return Group(table, "", legend, _next(course))


def _mark(standing: Standing) -> Text:
    look = LOOKS[standing.shown]
    return Text(look.mark, look.style)


def _next(course: Course) -> Text:
    exercise = course.next()
    if exercise is None:
        return Text(_("Every exercise is right: the course is done."))
    words = _("Next: {name} in {lesson}, exercise {number}, about {minutes} minutes. `course lab` opens it.")
    return Text(
        words.format(name=exercise.name, lesson=exercise.lesson, number=exercise.number, minutes=exercise.minutes)
    )
