"""`course check`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from course.catalogue import Exercise, Lesson, find_lesson
from course.cli.arguments import ExerciseType, LessonType, expect_in, folder_option
from course.locale import gettext as _

if TYPE_CHECKING:
    from nbformat import NotebookNode


@click.command()
@click.argument("lesson", type=LessonType(), required=False)
@click.argument("exercise", type=ExerciseType(), required=False)
@click.option("--json", "as_json", is_flag=True, help=_("Print the verdicts as JSON, for a script."))
@folder_option
def check(lesson: Lesson | Exercise | None, exercise: Exercise | None, as_json: bool, folder: Path) -> None:
    """Check a whole lesson as it will be graded.

    Says of each exercise how it stands, and what to mend first. Without LESSON it is the lesson whose folder you are
    in, else the one that you worked on last.

    \b
      course check             the lesson that you are at
      course check 4           lesson 04; 04-freezing and freezing mean the same
      course check 4 freeze    of lesson 04 only freeze

    Your notebook runs as you last saved it, from top to bottom, without its experiments: in seconds. There are no
    hidden tests here, so that a grade may come out lower. Nothing in your folder is changed; what was found is kept in
    your progress.

    Exit code 0 if everything is right, else 1.
    """
    from course.cli.terminal import console, waiting
    from course.learner import checking

    here, folder = Path.cwd(), folder.resolve()
    try:
        if isinstance(lesson, Exercise):
            wanted, exercise = find_lesson(lesson.lesson), lesson
        else:
            wanted = lesson or checking.lesson_here(folder)
        expect_in(wanted, exercise)
        path = checking.notebook_of(wanted, folder)
        with waiting(_("Checking {lesson}").format(lesson=wanted.name)):
            results = checking.check(wanted, path, _grade if sys.platform == "linux" else checking.in_a_kernel)
    except checking.CheckingError as error:
        raise click.ClickException(str(error)) from error
    results = [result for result in results if exercise in (None, result.exercise)]
    checking.record(results)
    if as_json:
        click.echo(json.dumps(checking.as_json(wanted, results, path), indent=1))
    else:
        nearer = path.relative_to(here) if path.is_relative_to(here) else path
        console().print(checking.shown(wanted, results, nearer), crop=False)  # what one copies is whole
    sys.exit(not all(result.right for result in results))


def _grade(
    source: Path, submission: Path, files: Path, extra: Mapping[str, Path]
) -> tuple[list[dict[str, Any]], NotebookNode]:
    """The instructor's grader, which needs Linux. A learner's own code on their own machine need not be shut in."""
    import autograder

    report = autograder.grade(source, submission, files=files, extra=extra, isolate=False)
    return [verdict.as_dict() for verdict in report.verdicts], report.notebook
