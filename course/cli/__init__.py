"""`course`: the command line of the course. A verb that takes more than a few lines has a module of its own here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click

from course import paths
from course.cli import check, completion, doctor, progress
from course.cli.group import Course
from course.locale import gettext as _


@click.group(
    cls=Course,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=_("""Fine-tuning from Zero, on the command line.

    Begin with `course lab`; if something is amiss, `course doctor` says what. Each command says more of itself:

    \b
      course lab --help
    """),
    epilog=_("""\b
    Exit codes of every command:
      0  all is well
      1  something is not right, or could not be done: the words say what
      2  the command was not understood
    """),
)
@click.option("--no-color", is_flag=True, help=_("No colours. The variable NO_COLOR does the same."))
@click.version_option(
    package_name="finetuning-from-zero", prog_name="Fine-tuning from Zero", message="%(prog)s %(version)s"
)
@click.pass_context
def main(context: click.Context, no_color: bool) -> None:
    if no_color:
        context.color = False
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a mark shows a ? and goes on


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[FOLDER] [OPTIONS OF JUPYTERLAB]")
def lab(options: tuple[str, ...]) -> None:
    """Open the lessons in JupyterLab.

    They are in FOLDER, finetuning-from-zero unless you name another. The first time, the lessons are copied there.
    What you write stays as you left it, whenever you run this again. Further options go to JupyterLab: course lab
    my-lessons --no-browser
    """
    from course.workspace import WorkspaceError, prepare

    named = bool(options) and not options[0].startswith("-")
    folder = Path(options[0] if named else "finetuning-from-zero")
    try:
        said = prepare(folder)
    except (WorkspaceError, OSError) as error:
        raise click.ClickException(str(error)) from error
    for sentence in said:
        click.echo(sentence)
    click.echo(_("The lessons are in {folder}.").format(folder=folder))
    _become([sys.executable, "-m", "jupyterlab", *options[named:]], folder)


def _become(command: list[str], folder: Path) -> None:
    """Go on as `command`. Windows has no such thing: there it runs as a child, and its end is this one's."""
    os.chdir(folder)
    if os.name == "nt":
        sys.exit(subprocess.call(command))
    os.execv(command[0], command)


@main.command()
@click.option("--lesson", "lessons", multiple=True, metavar="NAME", help="Only this lesson; may be repeated.")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 and name what differs, if anything does.")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIRECTORY",
    help="Make DIRECTORY an nbgrader course directory with these lessons, and leave release/ alone.",
)
@click.option(
    "--package",
    metavar="ADDRESS",
    help="Where notebooks that are opened elsewhere, in Colab for instance, get the course: what pip install takes.",
)
def release(lessons: tuple[str, ...], check: bool, into: Path | None, package: str | None) -> None:
    """For instructors: make release/ from source/.

    release/ is what learners get, source/ what you edit.
    """
    if check and into is not None:
        raise click.UsageError("--check compares release/ with source/; it has nothing to say about --into.")
    from course.release import Built, ReleaseError, build, lesson_names, out_of_step, setup_course, sync

    def count(number: int, thing: str) -> str:
        return f"{number} {thing}{'' if number == 1 else 's'}"

    def say(built: Built) -> None:
        exercises = count(built.exercises, "exercise")
        files = count(len(built.changed), "file") + (" to change" if check else " changed")
        end = files if built.changed else "unchanged"
        click.echo(f"{built.lesson}: {exercises}, {built.points:g} points; {end}")

    source_dir, release_dir = paths.source(), paths.release()
    try:
        names = lesson_names(source_dir, lessons or None)
        if not names:
            raise ReleaseError(f"There are no lessons in {source_dir}: nothing to release.")
        stale = []
        for name in names:
            if not check:
                sentence = sync(source_dir / name)
                if sentence:
                    click.echo(sentence)
            elif out_of_step(source_dir / name):
                stale.append(source_dir / name / f"{name}.py")
        if into is not None:
            setup_course(into, names, package=package)
            click.echo(f"{into} is an nbgrader course directory with {', '.join(names)}.")
            return
        changed = stale + build(
            source_dir, release_dir, lessons or None, package=package, write=not check, on_lesson=say
        )
    except ReleaseError as error:
        raise click.ClickException(str(error)) from error
    for path in changed:
        click.echo(f"  {path.relative_to(paths.home()).as_posix()}")
    if check and changed:
        click.echo("release/ is not what source/ gives. Run `course release`, and commit what it changes.", err=True)
        sys.exit(1)


main.add_command(check.check)
main.add_command(progress.show_progress)
main.add_command(progress.hint)
main.add_command(progress.solution)
main.add_command(doctor.doctor)
main.add_command(completion.completion)
