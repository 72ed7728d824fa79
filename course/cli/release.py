"""`course release`, which is for instructors and speaks English."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from course import paths


@click.command()
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

    release/ is what learners get, source/ what you edit. Only release/ is written; with --check nothing is, and with
    --into only DIRECTORY.

    \b
      course release
      course release --check
      course release --into my-course
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
