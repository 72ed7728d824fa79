"""``autograder``: grades the submissions of an nbgrader course directory."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import warnings
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text
from sqlalchemy.exc import SAWarning

from autograder import gradebook, layout, pool, report, scratch
from autograder.limits import Limits
from autograder.sandbox import isolation, protections


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
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def doctor(as_json: bool) -> None:
    """Say what this machine has to shut learners' code in with; exit with 1 if it cannot."""
    found = protections.protections()
    shut_in = all(one.there for one in found if one.required)
    if as_json:
        click.echo(
            json.dumps({"isolated": shut_in, "protections": [dataclasses.asdict(one) for one in found]}, indent=2)
        )
        sys.exit(not shut_in)
    table = Table("Protection", "Here", "", title="What shuts learners' code in on this machine", title_justify="left")
    for one in found:
        lack = "[red]missing[/red]" if one.required else "[yellow]missing[/yellow]"
        about = escape(one.detail) if one.there else escape(f"{one.detail}. Without it, {one.without}. {one.remedy}")
        table.add_row(one.name + ("" if one.required else " *"), "[green]yes[/green]" if one.there else lack, about)
    console = Console(width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "150")))
    console.print(table)
    console.print("* defence in depth: grading goes on without. All others are required.")
    if not shut_in:
        raise click.ClickException(
            "Learners' code cannot be shut in here, and autograder grade will refuse. To grade code that you trust "
            "without isolation, say --isolation none."
        )
    console.print("Learners' code can be shut in here.")


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
