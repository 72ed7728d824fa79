"""``autograder``: grades the submissions of an nbgrader course directory."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import warnings
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from sqlalchemy.exc import SAWarning

from autograder import gradebook, layout, pool, report
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
    isolation_mode: str,
    course_dir: Path,
    hide: tuple[Path, ...],
    picture: Path | None,
) -> None:
    """Grade ASSIGNMENT: submitted/*/ASSIGNMENT/*.ipynb into the gradebook and autograded/."""
    isolate = isolation_mode == "required"
    warnings.simplefilter("ignore", SAWarning)  # nbgrader's own queries draw them
    console = Console(width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "150")))
    if isolate and (reason := isolation.why_not()):
        raise click.ClickException(
            f"Learners' code cannot be shut in here. {reason} To grade code that you trust without isolation, "
            "say --isolation none."
        )
    try:
        course = layout.open_course(course_dir.resolve())
        task = layout.read_assignment(course, assignment)
        gradebook.expect_assignment(course, task)
    except layout.LayoutError as error:
        raise click.ClickException(str(error)) from error
    found = list(layout.submissions(course, assignment, student))
    todo = [one for one in found if force or not gradebook.is_graded(course, task, one)]
    if not found:
        raise click.ClickException(
            f"No submission of {assignment} was found. "
            f"They belong in {course.submitted_directory}/STUDENT/{assignment}/."
        )
    if len(todo) < len(found):
        console.print(f"{len(found) - len(todo)} of {len(found)} are graded already; --force grades them again.")
    if not todo:
        return
    limits = dataclasses.replace(Limits(), cell_seconds=layout.cell_seconds(course, Limits()))
    graded: dict[str, pool.Reports] = {}
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(TextColumn("Grading"), *columns, console=console) as progress:
        bar = progress.add_task("", total=len(todo))
        out_of_sight = (*layout.hidden(course), *hide) if isolate else ()
        for one, reports in pool.grade_all(task, todo, limits=limits, isolate=isolate, hide=out_of_sight, jobs=jobs):
            gradebook.save(course, task, one, reports)
            graded[one.student] = reports
            progress.advance(bar)
    if graded:
        console.print(report.table(graded))
        if picture:
            report.picture(graded, picture, assignment)
            console.print(f"Picture: {picture}")
    if not isolate:
        console.print("[yellow]Graded without isolation: the learners' code had your rights.[/yellow]")


@main.command()
def doctor() -> None:
    """Say whether learners' code can be shut in on this machine; exit with 1 if it cannot."""
    if reason := isolation.why_not():
        raise click.ClickException(f"Learners' code cannot be shut in here. {reason}")
    click.echo("Learners' code can be shut in here: namespaces, a root of its own and limits were tried, and work.")


@main.command(name="report")
@click.argument("assignment")
@click.option("--json", "as_json", is_flag=True, help="Write the same as one JSON object.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Where to; - is standard output.")
@click.option("--course-dir", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path())
def report_command(assignment: str, as_json: bool, output: Path | None, course_dir: Path) -> None:
    """Write a page on ASSIGNMENT as graded: reports/ASSIGNMENT.html, or standard output with --json."""
    from autograder.report import data, page

    warnings.simplefilter("ignore", SAWarning)
    try:
        found = data.gather(layout.open_course(course_dir.resolve()), assignment)
    except layout.LayoutError as error:
        raise click.ClickException(str(error)) from error
    text = json.dumps(found, indent=1) if as_json else page.page(found)
    output = output or Path("-" if as_json else course_dir / "reports" / f"{assignment}.html")
    if str(output) == "-":
        click.echo(text)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    click.echo(f"The report is in {output}")
