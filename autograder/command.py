"""``autograder grade``: what nbgrader's own command reads, words and files, graded by this grader."""

from __future__ import annotations

import gc
import glob
import os
import sys
import warnings
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

from nbgrader import preprocessors
from nbgrader.apps import NbGrader
from nbgrader.apps.autogradeapp import AutogradeApp
from nbgrader.converters import Autograde
from nbgrader.plugins import LateSubmissionPlugin
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text
from sqlalchemy.exc import SAWarning
from traitlets import TraitError, Unicode, default

from autograder import feedback, gradebook, layout, pool, report, scratch
from autograder.sandbox import isolation
from autograder.settings import Autograder

SMALL_CLASS = 40  # submissions that a screen has room for


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
    raise_config_file_errors = True  # half of a configuration would grade with other limits than the course's

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
        try:
            assignment = self._assignment()
            layout.expect_course(self.coursedir)
            failed = run(self, assignment)
        except (layout.LayoutError, gradebook.GradebookError, pool.PoolError, Refused, TraitError) as error:
            self.fail(str(error).replace("%", "%%"))
        except OSError as error:
            self.fail(of_system(error).replace("%", "%%"))
        if failed:
            self.exit(1)

    def _assignment(self) -> str:
        named = [name for name in (self.coursedir.assignment_id, *self.extra_args) if name]
        if len(named) != 1:
            self.fail("Name one assignment: autograder grade ASSIGNMENT, or --assignment=ASSIGNMENT.")
        self.coursedir.assignment_id = named[0]
        return str(self.coursedir.assignment_id)


def of_system(error: OSError) -> str:
    """What to say of a file, or of a machine, that did not do what was asked of it."""
    what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return f"The system refused ({what}). What was saved before stays: mend that, and run the same command again."


class Refused(Exception):
    """Grading cannot start. The message says why, and what to do."""


def run(app: NbGrader, assignment: str) -> bool:
    """Grades the submissions that ``app`` is set to; True where something asked for could not be graded."""
    course, settings, converter = app.coursedir, Autograder(parent=app), Autograde(coursedir=app.coursedir, parent=app)
    warnings.simplefilter("ignore", SAWarning)  # nbgrader's own queries draw them
    console = Console(width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "150")))
    isolate = settings.isolation == "required"
    if isolate and not settings.scheduler and (reason := isolation.why_not()):
        raise Refused(
            f"Learners' code cannot be shut in here. {reason} To grade code that you trust without isolation, "
            "say --isolation none."
        )
    if not preprocessors.Execute(parent=app).enabled:
        raise Refused("Points come from running tests here, so Execute.enabled = False cannot be graded by.")
    if missing := [path for path in settings.hide if not Path(path).exists()]:
        raise Refused(f"There is no {missing[0]} to hide. Check Autograder.hide.")
    scratch.sweep_temporary()
    task = layout.read_assignment(course, assignment)
    for sentence in task.refused.values():
        console.print(sentence, style="yellow", markup=False)
    limits = settings.limits()
    with gradebook.Writer(course, task, say=console.print) as writer:
        found = list(layout.submissions(course, task, limits))
        if not found:
            some = glob.has_magic(course.student_id)
            student = "STUDENT" if some else course.student_id
            raise Refused(
                f"No submission of {assignment} {'' if some else f'by {student} '}was found. "
                f"{'They belong' if some else 'It belongs'} in "
                f"{course.format_path(course.submitted_directory, student, assignment)}/."
            )
        known = [one for one in found if not one.nameless and (converter.create_student or writer.knows(one.student))]
        for one in found:
            if one not in known:
                console.print(_left_out(one), style="yellow", markup=False)
        todo = [one for one in known if converter.force or not writer.is_graded(one)] if task.notebooks else []
        if task.notebooks and len(todo) < len(known):
            console.print(f"{len(known) - len(todo)} of {len(known)} are graded already; --force grades them again.")
        gc.enable()  # which was off while modules were imported
        gc.freeze()  # what is imported stays: collections need not look through it again for each submission
        results = pool.grade_all(
            writer.assignment,
            todo,
            limits=limits,
            isolate=isolate,
            hide=(*layout.hidden(course), *(Path(path).resolve() for path in settings.hide)) if isolate else (),
            jobs=settings.jobs or None,
            scheduler=settings.scheduler or None,
        )
        graded, not_graded = _save_all(console, writer, _cut(results, app), len(todo))
    if graded:
        _show(console, graded, assignment)
        if picture := getattr(app, "picture", ""):
            report.picture(graded, Path(picture), assignment)
            console.print(f"Picture: {picture}")
    if shown := feedback.warning(course, assignment, task.notebooks.values()):
        console.print(shown, style="yellow", markup=False, soft_wrap=True)
    if not isolate and todo:
        console.print("[yellow]Graded without isolation: the learners' code had your rights.[/yellow]")
    if failed := not_graded | writer.failed:
        for student, reason in sorted(failed.items()):
            console.print(Text(f"{student} was not graded. {reason}"))
        console.print(f"{len(failed)} of {len(found)} were not graded; the next run will try them again.")
    return bool(task.refused or failed) or len(known) < len(found)


def _show(console: Console, graded: dict[str, pool.Reports], assignment: str) -> None:
    """Every submission of a small class; of a large one what became of each exercise, and what was cut short."""
    if len(graded) <= SMALL_CLASS:
        console.print(report.table(graded))
        return
    console.print(report.by_exercise(graded))
    if cut_short := report.cut_short(graded, SMALL_CLASS):
        console.print(cut_short)
    console.print(f"`autograder report {assignment}` writes a page with every submission.", markup=False)


def _left_out(one: layout.Submission) -> str:
    if one.nameless:
        name = os.fsencode(one.student).decode(errors="backslashreplace")
        return f"The name of the folder {name} is no text in UTF-8, and it was not graded. Rename it."
    return f"{one.student} is not in the gradebook and was not graded. `nbgrader db student add` adds a student."


Results = Generator[tuple[layout.Submission, pool.Reports | pool.NotGraded], None, None]


def _cut(results: Results, app: NbGrader) -> Results:
    """The results, with the outputs in their notebooks cut as the course sets it."""
    limits = (preprocessors.IgnorePattern(parent=app), preprocessors.LimitOutput(parent=app))
    with closing(results):
        for one, reports in results:
            if not isinstance(reports, pool.NotGraded):
                for notebook in filter(None, reports.values()):
                    for limit in limits:
                        if limit.enabled:
                            limit.preprocess(notebook.notebook, {})
            yield one, reports


def _save_all(
    console: Console,
    writer: gradebook.Writer,
    results: Results,
    total: int,
) -> tuple[dict[str, pool.Reports], dict[str, str]]:
    """Saves the results as they come: the reports by student, and by student why there are none."""
    graded: dict[str, pool.Reports] = {}
    not_graded: dict[str, str] = {}
    if not total:
        return graded, not_graded
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(TextColumn("Grading"), *columns, console=console) as progress, closing(results):
        bar = progress.add_task("", total=total)
        for one, reports in results:
            if isinstance(reports, pool.NotGraded):
                not_graded[one.student] = reports.reason
            else:
                writer.save(one, reports)
                graded[one.student] = reports
            progress.advance(bar)
    return graded, not_graded
