"""``autograder``: grades the submissions of an nbgrader course directory."""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import sys
import warnings
from pathlib import Path

import click

from autograder import ahead
from autograder.sandbox import warm

PASS_ON = {"ignore_unknown_options": True, "help_option_names": [], "allow_interspersed_args": False}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Grades notebooks of any nbgrader course: the tests run in a process that learners' code never enters."""


@main.command(context_settings=PASS_ON, add_help_option=False)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def grade(words: tuple[str, ...]) -> None:
    """Grade an assignment: submitted/*/ASSIGNMENT/*.ipynb into the gradebook and autograded/."""
    ahead.start(words)
    gc.disable()  # imports leave next to no garbage: looking for it takes a tenth of their time
    from autograder import layout
    from autograder.command import GradeApp

    app = GradeApp()
    try:
        app.initialize(list(words))
    except Exception as error:
        raise click.ClickException(layout.unread(error)) from error
    try:
        app.start()
    except KeyboardInterrupt as error:
        raise click.ClickException("Interrupted. What was saved stays; the same command goes on from there.") from error
    finally:
        gc.enable()
        warm.end_ahead()


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def doctor(as_json: bool) -> None:
    """Say what this machine has to shut learners' code in with; exit with 1 if it cannot."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from autograder.sandbox import protections

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
    from sqlalchemy.exc import SAWarning

    from autograder import gradebook, layout
    from autograder.command import of_system
    from autograder.report import data, page

    warnings.simplefilter("ignore", SAWarning)
    try:
        found = data.gather(layout.open_course(course_dir.resolve()), assignment)
    except (layout.LayoutError, gradebook.GradebookError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(of_system(error)) from error
    text = json.dumps(found, indent=1) if as_json else page.page(found)
    output = output or Path("-" if as_json else course_dir / "reports" / f"{assignment}.html")
    if str(output) == "-":
        click.echo(text)
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(
            f"{output} cannot be written: {error.strerror or error}. Make room there, or name another with --output."
        ) from error
    click.echo(f"The report is in {output}")
