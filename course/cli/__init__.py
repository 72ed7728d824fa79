"""`course`: the command line of the course. A verb that takes more than a few lines has a module of its own here."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import click

from course import paths
from course.cli import check, completion, doctor, progress, release, workspace
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
    """Open the lessons in JupyterLab, at the one to go on with.

    They are in FOLDER, finetuning-from-zero unless you name another. The first time, the lessons are copied there.
    What you write stays as you left it, whenever you run this again: a newer edition of a lesson is put around your
    answers, and the notebook as it was is kept. Further options go to JupyterLab:

    \b
      course lab
      course lab my-lessons --no-browser

    On Linux, notebooks start as forks of one process that has imported PyTorch and the rest already, so that a lesson
    opens in a second. COURSE_WARM=0 in the environment switches that off.
    """
    from course.learner.workspace import WorkspaceError, prepare

    named = bool(options) and not options[0].startswith("-")
    folder = Path(options[0] if named else paths.WORKSPACE)
    try:
        said = prepare(folder)
    except (WorkspaceError, OSError) as error:
        raise click.ClickException(str(error)) from error
    for sentence in said:
        click.echo(sentence)
    click.echo(_("The lessons are in {folder}.").format(folder=folder))
    settings = [os.environ.get("JUPYTER_CONFIG_PATH"), str(paths.jupyter_settings())]  # the learner's own come first
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, settings))
    _become([sys.executable, "-m", "jupyterlab", *_opening(folder), *options[named:]], folder)


def _opening(folder: Path) -> list[str]:
    """What has JupyterLab open the lesson to go on with; nothing where there is none, or it is not in its place."""
    from course.learner.progress import load

    following = load().next()
    notebook = following and f"{following.lesson}/{following.lesson}.ipynb"
    return [f"--LabApp.default_url=/lab/tree/{notebook}"] if notebook and (folder / notebook).is_file() else []


def _become(command: list[str], folder: Path) -> None:
    """Go on as `command`. Windows has no such thing: there it runs as a child, and its end is this one's."""
    os.chdir(folder)
    if os.name == "nt":
        sys.exit(_as_child(command))
    os.execv(command[0], command)


def _as_child(command: list[str]) -> int:
    """Ctrl-C reaches both, and is the child's to answer: it may ask back, and ends in order."""
    process = subprocess.Popen(command)
    while True:
        with suppress(KeyboardInterrupt):
            return process.wait()


main.add_command(check.check)
main.add_command(progress.show_progress)
main.add_command(progress.hint)
main.add_command(progress.solution)
main.add_command(workspace.reset)
main.add_command(workspace.submit)
main.add_command(doctor.doctor)
main.add_command(completion.completion)
main.add_command(release.release)
