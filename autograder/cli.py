"""``autograder``: grades the submissions of an nbgrader course directory."""

from __future__ import annotations

import dataclasses
import os
import sys
import warnings
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text
from sqlalchemy.exc import SAWarning

from autograder import gradebook, layout, pool, report, scratch
from autograder.limits import Limits
from autograder.sandbox import isolation


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Grades notebooks of any nbgrader course: the tests run in a process that learners' code never enters."""


@main.command()
@click.argument("assignment")
@click.option("--student", default="*", metavar="ID", help="Grade this student only; * and ? match as in file names.")
@click.option("--force", "-f", is_flag=True, help="Grade again what is graded already.")
@click.option("--jobs", type=click.IntRange(1), default=None, help="Submissions at a time. Default: one per core.")
@click.option(
    "--scheduler",
    metavar="tcp://HOST:PORT",
    help="Have the workers of this Dask scheduler grade, not this machine (needs the extra [cluster]).",
)
@click.option(
    "--isolation",
    "isolation_mode",
    type=click.Choice(["required", "none"]),
    default="required",
    show_default=True,
    help="none: run learners' code without shutting it in. Only for code that you trust.",
)
@click.option("--course-dir", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path())
@click.option(
    "--hide",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="A folder or file among the installed libraries that learners' code must not see. May be given again.",
)
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="Write a PNG of the results here.")
def grade(
    assignment: str,
    student: str,
    force: bool,
    jobs: int | None,
    scheduler: str | None,
    isolation_mode: str,
    course_dir: Path,
    hide: tuple[Path, ...],
    picture: Path | None,
) -> None:
    """Grade ASSIGNMENT: submitted/*/ASSIGNMENT/*.ipynb into the gradebook and autograded/."""
    isolate = isolation_mode == "required"
    warnings.simplefilter("ignore", SAWarning)  # nbgrader's own queries draw them
    console = Console(width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "150")))
    if isolate and scheduler is None and (reason := isolation.why_not()):
        raise click.ClickException(
            f"Learners' code cannot be shut in here. {reason} To grade code that you trust without isolation, "
            "say --isolation none."
        )
    scratch.sweep_temporary()
    try:
        course = layout.open_course(course_dir.resolve())
        task = layout.read_assignment(course, assignment)
        with gradebook.Writer(course, task, say=console.print) as writer:
            found = list(layout.submissions(course, assignment, student))
            if not found:
                raise layout.LayoutError(
                    f"No submission of {assignment} was found. "
                    f"They belong in {course.submitted_directory}/STUDENT/{assignment}/."
                )
            todo = [one for one in found if force or not writer.is_graded(one)]
            if len(todo) < len(found):
                console.print(
                    f"{len(found) - len(todo)} of {len(found)} are graded already; --force grades them again."
                )
            limits = dataclasses.replace(Limits(), cell_seconds=layout.cell_seconds(course, Limits()))
            out_of_sight = (*layout.hidden(course), *hide) if isolate else ()
            results = pool.grade_all(
                task, todo, limits=limits, isolate=isolate, hide=out_of_sight, jobs=jobs, scheduler=scheduler
            )
            graded, not_graded = _save_all(console, writer, results, len(todo))
    except (layout.LayoutError, gradebook.GradebookError, pool.PoolError) as error:
        raise click.ClickException(str(error)) from error
    if graded:
        console.print(report.table(graded))
        if picture:
            report.picture(graded, picture, assignment)
            console.print(f"Picture: {picture}")
    if not isolate and todo:
        console.print("[yellow]Graded without isolation: the learners' code had your rights.[/yellow]")
    if missing := not_graded | writer.failed:
        for one, reason in sorted(missing.items()):
            console.print(Text(f"{one} was not graded. {reason}"))
        raise click.ClickException(f"{len(missing)} of {len(found)} were not graded; the next run will try them again.")


def _save_all(
    console: Console,
    writer: gradebook.Writer,
    results: Generator[tuple[layout.Submission, pool.Reports | pool.NotGraded], None, None],
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


@main.command()
def doctor() -> None:
    """Say whether learners' code can be shut in on this machine; exit with 1 if it cannot."""
    if reason := isolation.why_not():
        raise click.ClickException(f"Learners' code cannot be shut in here. {reason}")
    click.echo("Learners' code can be shut in here: namespaces, a root of its own and limits were tried, and work.")
