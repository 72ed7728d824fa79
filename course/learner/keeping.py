"""Files that nobody may lose: written whole or not at all, and kept aside under a date before they change."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

KEPT = "kept"  # the folder, beside what it keeps, that learners find their earlier texts in


def write(path: Path, content: bytes) -> None:
    """Write all of a file or nothing: half a file would later be taken for the learner's own.

    A link stays one, and what it leads to is written; a file that was there keeps its mode.
    """
    with _part(path, content) as (part, target):
        part.replace(target)


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
        if earlier.read_bytes() == content:
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
