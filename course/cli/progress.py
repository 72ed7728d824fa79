"""`course progress`, `course hint` and `course solution`."""

from __future__ import annotations

import json

import click

from course.catalogue import Exercise
from course.cli.arguments import ExerciseType
from course.locale import gettext as _

Cost = click.FloatRange(0, 1)


@click.command("progress")
@click.option("--json", "as_json", is_flag=True, help=_("Print it as JSON, for a script."))
@click.option(
    "--hint-cost",
    type=Cost,
    default=0.0,
    envvar="COURSE_HINT_COST",
    show_envvar=True,
    help=_("What part of an exercise's points each hint costs, from 0 to 1."),
)
@click.option(
    "--solution-cost",
    type=Cost,
    default=0.0,
    envvar="COURSE_SOLUTION_COST",
    show_envvar=True,
    help=_("What part of an exercise's points the solution costs, from 0 to 1."),
)
def show_progress(as_json: bool, hint_cost: float, solution_cost: float) -> None:
    """Show how far you are.

    Lessons, exercises, points, time and the next step. Help costs nothing unless your class has agreed on it. Help
    that you took after an exercise was right never costs.

    \b
      course progress
      course progress --hint-cost 0.1     where a hint costs a tenth of the points

    Nothing is changed. All of it is read from one small file of yours; who deletes that begins anew.
    """
    from course.cli.terminal import console
    from course.learner import overview, progress

    course = progress.load()
    if as_json:
        click.echo(json.dumps(overview.as_json(course, hint_cost, solution_cost), indent=1))
        return
    terminal = console()
    terminal.print(overview.as_table(course, hint_cost, solution_cost))
    if progress.file().is_file():
        terminal.print(_("Kept in {file}.").format(file=progress.file()), soft_wrap=True)


@click.command()
@click.argument("exercise", type=ExerciseType())
@click.argument("number", type=click.IntRange(1, 3), required=False)
def hint(exercise: Exercise, number: int | None) -> None:
    """Give the next hint for an exercise.

    There are three, each saying more.

    \b
      course hint freeze       the next one
      course hint freeze 1     the first one again

    That you had it is kept in your progress.
    """
    from rich.markdown import Markdown

    from course import catalogue
    from course.cli.terminal import console
    from course.learner import progress

    hints = catalogue.hints(exercise)
    if number is None:
        number = progress.next_hint(exercise.name, len(hints))
    heading = _("Hint {number} of {count}.").format(number=number, count=len(hints))
    console().print(Markdown(f"**{heading}** {_(hints[number - 1])}"))
    progress.record("hint", exercise.name, points=number)


@click.command()
@click.argument("exercise", type=ExerciseType())
@click.option("--yes", is_flag=True, help=_("Show it although you have not tried yet."))
def solution(exercise: Exercise, yes: bool) -> None:
    """Show the solution of an exercise.

    With a word on why it is written so, once you have tried: a check of something that you wrote is a try.

    \b
      course solution freeze

    That you saw it is kept in your progress. Your notebook is not changed.
    """
    from rich.markdown import Markdown

    from course import solutions
    from course.cli.terminal import console
    from course.learner import progress

    try:
        found = solutions.find(exercise)
    except solutions.NoSolution as error:
        raise click.ClickException(str(error)) from error
    if not (yes or progress.load().exercises[exercise.name].tries):
        again = " ".join(["course solution", exercise.name, "--yes"])
        raise click.ClickException(solutions.not_tried(again))
    console().print(Markdown(f"{found.why}\n\n```python\n{found.code}\n```"))
    progress.record("solution", exercise.name)
