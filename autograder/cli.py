"""``autograder``: grades the submissions of an nbgrader course directory."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import click
from nbgrader import preprocessors
from nbgrader.apps import NbGrader
from nbgrader.apps.autogradeapp import AutogradeApp
from nbgrader.converters import Autograde
from nbgrader.plugins import LateSubmissionPlugin
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from sqlalchemy.exc import SAWarning
from traitlets import TraitError, Unicode, default

from autograder import gradebook, layout, pool, released, report
from autograder.sandbox import isolation
from autograder.settings import Autograder

PASS_ON = {"ignore_unknown_options": True, "help_option_names": [], "allow_interspersed_args": False}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Grades notebooks of any nbgrader course: the tests run in a process that learners' code never enters."""


@main.command(context_settings=PASS_ON, add_help_option=False)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def grade(words: tuple[str, ...]) -> None:
    """Grade an assignment: submitted/*/ASSIGNMENT/*.ipynb into the gradebook and autograded/."""
    app = GradeApp()
    app.initialize(list(words))
    app.start()


class GradeApp(AutogradeApp):
    """What ``nbgrader autograde`` reads, words and files, read in the same way; what it does, done by this grader.

    nbgrader's own application reads the command line and the configuration, so that every flag, every trait and
    every old name of a trait means here what it means there.
    """

    name = "autograder-grade"
    description = (
        "Grade an assignment: submitted/*/ASSIGNMENT/*.ipynb into the gradebook and autograded/.\n\n"
        "    autograder grade ASSIGNMENT [--student=ID] [--notebook=NAME] [--force] [--jobs=N]\n\n"
        "It reads the nbgrader_config.py of the course. Any of nbgrader's settings, and of this grader's, can be "
        "given as --Class.trait=value; --help-all lists them."
    )
    examples = """
        autograder grade ps1                        # what is new, on all processors
        autograder grade ps1 --student=ada --force  # one student, again
        autograder grade ps1 --Execute.timeout=10
    """
    aliases = {  # noqa: RUF012 - traitlets' own way
        **AutogradeApp.aliases,
        "jobs": "Autograder.jobs",
        "isolation": "Autograder.isolation",
        "hide": "Autograder.hide",
        "scheduler": "Autograder.scheduler",
        "picture": "GradeApp.picture",
    }
    flags = {  # noqa: RUF012
        **{name: flag for name, flag in AutogradeApp.flags.items() if name != "no-execute"},
        "no-create": (
            {"Autograde": {"create_student": False}},
            "Refuse submissions of students whom the gradebook does not know.",
        ),
    }
    load_cwd_config = False  # that of the course is loaded, wherever this is started

    picture = Unicode("", help="write a PNG of the results to this file").tag(config=True)

    @default("classes")
    def _classes_default(self) -> list[type]:
        named = (getattr(preprocessors, name) for name in preprocessors.__all__)
        honoured = [one for one in named if one.class_own_traits(config=True)]
        return [*super()._classes_default(), Autograder, LateSubmissionPlugin, *honoured]

    @property
    def config_file_paths(self) -> list[str]:
        return [self.coursedir.root, *super().config_file_paths[1:]]  # the first is the working directory

    def start(self) -> None:
        """Grades; exits with 1, as nbgrader does, where anything asked for was not graded."""
        NbGrader.start(self)
        assignment = self._assignment()
        try:
            layout.expect_course(self.coursedir)
            failed = run(self, assignment)
        except (layout.LayoutError, Refused, TraitError) as error:
            self.fail(str(error).replace("%", "%%"))
        if failed:
            self.exit(1)

    def _assignment(self) -> str:
        named = [name for name in (self.coursedir.assignment_id, *self.extra_args) if name]
        if len(named) != 1:
            self.fail("Name one assignment: autograder grade ASSIGNMENT, or --assignment=ASSIGNMENT.")
        self.coursedir.assignment_id = named[0]
        return str(self.coursedir.assignment_id)


class Refused(Exception):
    """Grading cannot start. The message says why, and what to do."""


def run(app: NbGrader, assignment: str) -> bool:
    """Grades the submissions that ``app`` is set to; True where something asked for could not be graded."""
    course, settings, converter = app.coursedir, Autograder(parent=app), Autograde(coursedir=app.coursedir, parent=app)
    warnings.simplefilter("ignore", SAWarning)  # nbgrader's own queries draw them
    console = Console(width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "150")))
    isolate = settings.isolation == "required"
    if isolate and (reason := isolation.why_not()):
        raise Refused(
            f"Learners' code cannot be shut in here. {reason} To grade code that you trust without isolation, "
            "say --isolation none."
        )
    if not preprocessors.Execute(parent=app).enabled:
        raise Refused("Points come from running tests here, so Execute.enabled = False cannot be graded by.")
    if missing := [path for path in settings.hide if not Path(path).exists()]:
        raise Refused(f"There is no {missing[0]} to hide. Check Autograder.hide.")
    task = layout.read_assignment(course, assignment)
    for sentence in task.refused.values():
        console.print(sentence, style="yellow", markup=False)
    gradebook.expect_assignment(course, task)
    task = released.as_released(course, task)
    limits = settings.limits()
    found = list(layout.submissions(course, task, limits))
    if not found:
        raise Refused(
            f"No submission of {assignment} was found. They belong in "
            f"{course.format_path(course.submitted_directory, 'STUDENT', assignment)}/."
        )
    known = found if converter.create_student else [s for s in found if released.knows(course, s.student)]
    for one in found:
        if one not in known:
            console.print(
                f"{one.student} is not in the gradebook and was not graded. `nbgrader db student add` adds a student.",
                style="yellow",
                markup=False,
            )
    todo = [one for one in known if converter.force or not gradebook.is_graded(course, task, one)]
    if len(todo) < len(known):
        console.print(f"{len(known) - len(todo)} of {len(known)} are graded already; --force grades them again.")
    graded: dict[str, pool.Reports] = {}
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    out_of_sight = (*layout.hidden(course), *(Path(path).resolve() for path in settings.hide)) if isolate else ()
    with Progress(TextColumn("Grading"), *columns, console=console) as progress:
        bar = progress.add_task("", total=len(todo))
        for one, reports in (
            pool.grade_all(task, todo, limits=limits, isolate=isolate, hide=out_of_sight, jobs=settings.jobs or None)
            if todo and task.notebooks
            else ()
        ):
            for graded_notebook in filter(None, reports.values()):
                for limit in (preprocessors.IgnorePattern(parent=app), preprocessors.LimitOutput(parent=app)):
                    if limit.enabled:
                        limit.preprocess(graded_notebook.notebook, {})
            gradebook.save(course, task, one, reports)
            graded[one.student] = reports
            progress.advance(bar)
    if graded:
        console.print(report.table(graded))
        if picture := getattr(app, "picture", ""):
            report.picture(graded, Path(picture), assignment)
            console.print(f"Picture: {picture}")
    if graded and not isolate:
        console.print("[yellow]Graded without isolation: the learners' code had your rights.[/yellow]")
    return bool(task.refused) or len(known) < len(found)


@main.command()
def doctor() -> None:
    """Say whether learners' code can be shut in on this machine; exit with 1 if it cannot."""
    if reason := isolation.why_not():
        raise click.ClickException(f"Learners' code cannot be shut in here. {reason}")
    click.echo("Learners' code can be shut in here: namespaces, a root of its own and limits were tried, and work.")
