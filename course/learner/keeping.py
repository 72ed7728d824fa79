"""Files that nobody may lose: written whole or not at all, and kept aside under a date before they change."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from course.locale import gettext as _

T = TypeVar("T")

KEPT = "kept"  # the folder, beside what it keeps, that learners find their earlier texts in
TRIES = 5  # how often a change begins again


def write(path: Path, content: bytes) -> None:
    """Write all of a file or nothing: half a file would later be taken for the learner's own.

    A link stays one, and what it leads to is written; a file that was there keeps its mode.
    """
    with _part(path, content) as (part, target):
        part.replace(target)


def change(path: Path, by: Callable[[bytes | None], tuple[bytes, T]]) -> T:
    """Put in a file what `by` makes of what it holds, None where there is none; give what else `by` says.

    JupyterLab may save the file meanwhile: then `by` begins again, with what was saved. Raises OSError, also where
    that takes no end.
    """
    for _again in range(TRIES):
        before = _content(path)
        after, said = by(before)
        if after == before:
            return said
        with _part(path, after) as (part, target):
            if _content(path) == before:
                part.replace(target)
                return said
    raise OSError(_("it is being saved over and over"))


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


@contextmanager
def _part(path: Path, content: bytes) -> Iterator[tuple[Path, Path]]:
    """A file with all of `content`, that nobody else writes to, and the path that it is to be moved to."""
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{secrets.token_hex(8)}.part")  # hidden: one of a killed run is never handed in
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if target.is_file():
            shutil.copymode(target, part)
        yield part, target
    finally:
        with suppress(FileNotFoundError):
            part.chmod(0o600)  # Windows removes nothing that is read-only
            part.unlink()


def keep(folder: Path, name: str, content: bytes) -> Path:
    """Put `content` aside as `folder`/kept/DATE-TIME-`name`, and give the path. Nothing kept is ever overwritten.

    What is kept already is not kept twice.
    """
    kept = folder / KEPT
    kept.mkdir(parents=True, exist_ok=True)
    for earlier in kept.glob(f"*-{name}"):
        if _content(earlier) == content:
            return earlier
    now = datetime.now().astimezone()
    number = 1
    while True:
        path = kept / f"{now:%Y-%m-%d-%H%M%S}{f'-{number}' if number > 1 else ''}-{name}"
        try:
            with path.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            return path
        except FileExistsError:
            number += 1
