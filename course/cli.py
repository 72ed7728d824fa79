"""`course`: the command line of the course."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from course import catalogue, paths
from course.catalogue import Lesson
from course.locale import gettext as _


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Fine-tuning from Zero: open the lessons, check your work, release what you edit."""


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[FOLDER] [OPTIONS OF JUPYTERLAB]")
def lab(options: tuple[str, ...]) -> None:
    """Open the lessons in JupyterLab, in FOLDER (finetuning-from-zero unless you name another).

    The first time, the lessons are copied there. What you write stays as you left it, whenever you run this
    again: a newer edition of a lesson is put around your answers, and the notebook as it was is kept. Further
    options go to JupyterLab: course lab my-lessons --no-browser
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
    click.echo(f"The lessons are in {folder}.")
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
def release(lessons: tuple[str, ...], check: bool, into: Path | None) -> None:
    """Make release/, what learners get, from source/, what instructors edit."""
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
            setup_course(into, names)
            click.echo(f"{into} is an nbgrader course directory with {', '.join(names)}.")
            return
        changed = stale + build(source_dir, release_dir, lessons or None, write=not check, on_lesson=say)
    except ReleaseError as error:
        raise click.ClickException(str(error)) from error
    for path in changed:
        click.echo(f"  {path.relative_to(paths.home()).as_posix()}")
    if check and changed:
        click.echo("release/ is not what source/ gives. Run `course release`, and commit what it changes.", err=True)
        sys.exit(1)


FOLDER = click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    metavar="FOLDER",
    help="Your lessons, where you are not in their folder.",
)


@main.command()
@click.argument("lesson")
@click.argument("exercise", required=False)
@click.option("--yes", is_flag=True, help="Do not ask first.")
@FOLDER
def reset(lesson: str, exercise: str | None, yes: bool, folder: Path) -> None:
    """Put the stub of EXERCISE back, or all of LESSON, as you were given it.

    Nothing is lost: what you wrote is kept in kept/ of the lesson's folder.

    \b
    course reset 4 freeze
    course reset freezing
    """
    from course import progress, resetting, workspace

    with _in_sentences():
        place, found = workspace.find(folder), catalogue.find_lesson(lesson)
        asked = None if exercise is None else catalogue.find_exercise(exercise)
        if asked is not None and asked.lesson != found.name:
            raise catalogue.UnknownName(
                _("{exercise} is an exercise of {its}, not of {lesson}.").format(
                    exercise=asked.name, its=asked.lesson, lesson=found.name
                )
            )
        what = found.name if asked is None else asked.name
        if _on_a_terminal() and not yes:
            click.confirm(
                _("Put {what} back as you were given it? What you wrote is kept.").format(what=what), abort=True
            )
        kept = resetting.reset(place, found, asked)
    progress.record("reset", "" if asked is None else asked.name, lesson=found.name)
    click.echo(_("{what} is as you were given it.").format(what=what))
    if kept is not None:
        click.echo(_("What you had written is kept as {kept}.").format(kept=kept))
        click.echo(_("Where the notebook is open in JupyterLab: File > Reload Notebook from Disk."))


@main.command()
@click.argument("lesson", required=False)
@click.option("--student", metavar="ID", help="Your id in the class: it becomes part of the archive's name.")
@click.option("--archive", is_flag=True, help="Make an archive, even where the class has an exchange.")
@click.option("--json", "as_json", is_flag=True, help="Print the receipt as JSON, and nothing else.")
@FOLDER
def submit(lesson: str | None, student: str | None, archive: bool, as_json: bool, folder: Path) -> None:
    """Hand LESSON in: to the class's exchange where there is one, else as an archive.

    LESSON can be left out in a lesson's folder, and where you have worked on one only. You get a receipt, with
    the time and the hash of each file. You can hand in as often as you like, solved or not.
    """
    from course import progress, submitting, workspace

    with _in_sentences():
        place = workspace.find(folder)
        found = _lesson_at(place, folder) if lesson is None else catalogue.find_lesson(lesson)
        made, kept = submitting.submit(place, found, student, archive=archive)
    progress.record("submit", lesson=found.name)
    click.echo(submitting.as_json(made).decode().rstrip() if as_json else submitting.said(made, kept))


def _on_a_terminal() -> bool:
    return sys.stdin.isatty()


def _lesson_at(place: Path, folder: Path) -> Lesson:
    """The lesson that is meant where none is named: the one whose folder this is, or the only one worked on."""
    from course import submitting

    lessons = catalogue.lessons()
    here = folder.resolve().relative_to(place).parts[:1]
    fits = [lesson for lesson in lessons if (lesson.name,) == here] or submitting.worked_on(place, lessons)
    if len(fits) != 1:
        names = ", ".join(lesson.name for lesson in fits or lessons)
        raise catalogue.UnknownName(_("Say which lesson: {names}.").format(names=names))
    return fits[0]


@contextmanager
def _in_sentences() -> Iterator[None]:
    """What goes wrong with a learner's copy is said, without a traceback."""
    from course.workspace import WorkspaceError

    try:
        yield
    except (WorkspaceError, catalogue.UnknownName, OSError) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
