"""What commands take: lessons and exercises, forgiving when read and completed when half typed, and a folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from course import catalogue
from course.catalogue import Exercise, Lesson
from course.locale import gettext as _

folder_option = click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    metavar="FOLDER",
    help=_("The folder with your lessons, where you are in another."),
)


def expect_in(lesson: Lesson, exercise: Exercise | None) -> None:
    """Raises UsageError where an exercise was named that is another lesson's."""
    if exercise is not None and exercise not in lesson.exercises:
        said = _("{name} is an exercise of lesson {lesson}.")
        raise click.UsageError(said.format(name=exercise.name, lesson=exercise.lesson))


class LessonType(click.ParamType):
    """A lesson, as `catalogue.find_lesson` knows it, or the name of an exercise for the lesson that it is in."""

    name = "lesson"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Lesson | Exercise:
        if isinstance(value, Lesson | Exercise):
            return value
        try:
            return catalogue.find_lesson(value)
        except catalogue.UnknownName as error:
            try:
                return catalogue.find_exercise(value)
            except catalogue.UnknownName:
                self.fail(str(error), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Those whose name begins so; else the one that is meant, as in 4 or freezing."""
        found = [lesson for lesson in catalogue.lessons() if lesson.name.startswith(incomplete)]
        if not found:
            with suppress(catalogue.UnknownName):
                found = [catalogue.find_lesson(incomplete)]
        return [CompletionItem(lesson.name, help=lesson.title) for lesson in found]


class ExerciseType(click.ParamType):
    """An exercise, as `catalogue.find_exercise` knows it."""

    name = "exercise"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Exercise:
        if isinstance(value, Exercise):
            return value
        try:
            return catalogue.find_exercise(value)
        except catalogue.UnknownName as error:
            self.fail(str(error), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Those of the lesson before it, where there is one."""
        lesson = ctx.params.get("lesson")
        return [
            CompletionItem(exercise.name, help=exercise.title)
            for exercise in (lesson.exercises if isinstance(lesson, Lesson) else catalogue.exercises())
            if exercise.name.startswith(incomplete)
        ]
