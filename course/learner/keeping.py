"""Files that nobody may lose: written whole or not at all, and kept aside under a date before they change."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

KEPT = "kept"  # the folder, beside what it keeps, that learners find their earlier texts in


def write(path: Path, content: bytes) -> None:
    """Write all of a file or nothing: half a file would later be taken for the learner's own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


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
