"""`course reset` and `course submit`: what is done with a learner's copy of the lessons."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from course.catalogue import Exercise, Lesson, find_lesson
from course.cli.arguments import ExerciseType, LessonType, expect_in, folder_option
from course.locale import gettext as _


@click.command()
@click.argument("lesson", type=LessonType())
@click.argument("exercise", type=ExerciseType(), required=False)
@click.option("--yes", is_flag=True, help=_("Do not ask first."))
@folder_option
def reset(lesson: Lesson | Exercise, exercise: Exercise | None, yes: bool, folder: Path) -> None:
    """Begin an exercise or a lesson anew.

    Its stub is put back as you were given it. What you wrote is kept, in the folder kept of the lesson.

    \b
      course reset 4 freeze    the cell of freeze, and no other
      course reset 4           all of lesson 04; 04-freezing and freezing mean the same
    """
    from course.learner import progress, resetting
    from course.learner.workspace import WorkspaceError, find

    if isinstance(lesson, Exercise):
        exercise = exercise or lesson
        lesson = find_lesson(lesson.lesson)
    expect_in(lesson, exercise)
    what = lesson.name if exercise is None else exercise.name
    try:
        place = find(folder)
        if not yes and not _in_a_terminal():
            raise click.UsageError(_("There is nobody to ask here: say --yes to put {what} back.").format(what=what))
        if not yes:
            click.confirm(
                _("Put {what} back as you were given it? What you wrote is kept.").format(what=what), abort=True
            )
        kept = resetting.reset(place, lesson, exercise)
    except WorkspaceError as error:
        raise click.ClickException(str(error)) from error
    progress.record("reset", "" if exercise is None else exercise.name, lesson=lesson.name)
    click.echo(_("{what} is as you were given it.").format(what=what))
    if kept is not None:
        click.echo(_("What you had written is kept as {kept}.").format(kept=kept))
        click.echo(_("Where the notebook is open in JupyterLab: File > Reload Notebook from Disk."))


@click.command()
@click.argument("lesson", type=LessonType(), required=False)
@click.option("--student", metavar="ID", help=_("Your id in the class: it becomes part of the archive's name."))
@click.option("--archive", is_flag=True, help=_("Make an archive, even where the class has an exchange."))
@click.option("--json", "as_json", is_flag=True, help=_("Print the receipt as JSON, for a script."))
@folder_option
def submit(lesson: Lesson | Exercise | None, student: str | None, archive: bool, as_json: bool, folder: Path) -> None:
    """Hand a lesson in.

    It goes to the class's exchange (nbgrader's) where one is configured; else an archive is made, for you to send.
    Without LESSON it is the lesson whose folder you are in, else the one that you worked on last.

    \b
      course submit            the lesson that you are at
      course submit 4          lesson 04; 04-freezing and freezing mean the same

    You get a receipt, with the time and the hash of each file. You can hand in as often as you like, solved or not.
    Files larger than 20 MiB are left out, and said to be.
    """
    from course.learner import checking, progress, submitting
    from course.learner.workspace import WorkspaceError, find

    try:
        place = find(folder)
        wanted = lesson or checking.lesson_here(folder.resolve())
        if isinstance(wanted, Exercise):
            wanted = find_lesson(wanted.lesson)
        made, kept = submitting.submit(place, wanted, student, archive=archive)
    except (WorkspaceError, checking.CheckingError) as error:
        raise click.ClickException(str(error)) from error
    progress.record("submit", lesson=wanted.name)
    # on any pipe: what is not ASCII is escaped
    click.echo(json.dumps(made, indent=1) if as_json else submitting.said(made, kept))


def _in_a_terminal() -> bool:
    return sys.stdin.isatty()
