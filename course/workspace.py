"""A learner's copy of the release: where lessons are opened and worked on."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from course import paths
from course.locale import gettext as _

# What was given to the learner, by hash, so that what they wrote can be told from what they only received.
RECORD = ".course.json"
LEFTOVERS = {"__pycache__", ".ipynb_checkpoints", ".DS_Store"}


class WorkspaceError(Exception):
    """A folder that cannot hold a learner's copy; the message says why and what to do."""


def prepare(folder: Path, release_dir: Path | None = None) -> list[str]:
    """Copy the release into `folder` and give what there is to say about it, a sentence each.

    A file that the learner has changed is never overwritten. One that they have not is brought up to date.
    """
    release_dir = (release_dir or paths.release()).resolve()
    folder = folder.resolve()
    given = _files(release_dir)
    if not given:
        raise WorkspaceError(
            _(
                "There are no lessons in {folder}, so there is nothing to open. In a checkout, run `course release` "
                "first; otherwise the installation is incomplete: install finetuning-from-zero again."
            ).format(folder=release_dir)
        )
    for kept in (release_dir, release_dir.parent / "source"):
        if folder == kept or kept in folder.parents:
            raise WorkspaceError(
                _(
                    "{folder} lies in the course's own {name}/, which is not for working in: the next release would "
                    "overwrite what you write. Choose another folder."
                ).format(folder=folder, name=kept.name)
            )
    record = _read_record(folder)
    said = []
    for name, content in given.items():
        target = folder / name
        new = sha256(content).hexdigest()
        mine = sha256(target.read_bytes()).hexdigest() if target.is_file() else None
        if mine in (None, record.get(name)) and mine != new:
            _write(target, content)
            if mine is not None:
                said.append(_("{name} was brought up to date; you had not changed it.").format(name=name))
        elif mine != new and record.get(name) != new:
            said.append(
                _(
                    "{name} is as you left it. The course has a newer one: to get it, rename yours and run this again."
                ).format(name=name)
            )
        record[name] = new
    _write(folder / RECORD, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
    return said


def _files(release_dir: Path) -> dict[str, bytes]:
    return {
        path.relative_to(release_dir).as_posix(): path.read_bytes()
        for path in sorted(release_dir.glob("*/**/*"))
        if path.is_file() and not LEFTOVERS.intersection(path.relative_to(release_dir).parts)
    }


def _read_record(folder: Path) -> dict[str, str]:
    """What was given earlier. Without a record, every file there counts as the learner's own."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _write(path: Path, content: bytes) -> None:
    """Write all of a file or nothing: half a file would later be taken for the learner's own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
