"""A learner's copy of the release: where lessons are opened and worked on.

Two things in it are the course's own: RECORD, what was given to the learner, by hash, so that what they wrote can be
told from what they only received; and GIVEN, the notebooks that were given, named by their hashes, so that a newer
release can be merged into what they became.
"""

from __future__ import annotations

import json
from functools import partial
from hashlib import sha256
from pathlib import Path

from course import paths
from course.catalogue import Lesson
from course.learner import notebooks
from course.learner.keeping import change, keep, write
from course.learner.merging import Fate, Merged, merge
from course.learner.notebooks import BrokenNotebook
from course.locale import gettext as _
from course.locale import ngettext

RECORD = ".course.json"
GIVEN = Path(".course", "given")
LEFTOVERS = {"__pycache__", ".ipynb_checkpoints", ".DS_Store"}


class WorkspaceError(Exception):
    """What cannot be done in, or with, a learner's copy; the message says why and what to do."""


def find(start: Path) -> Path:
    """The learner's copy that `start` lies in, the nearest folder with a record; else the one below it.

    Raises WorkspaceError where there is none.
    """
    start = start.resolve()
    for folder in (start, *start.parents, start / paths.WORKSPACE):
        if (folder / RECORD).is_file():
            return folder
    raise WorkspaceError(
        _(
            "There are no lessons that `course lab` made in {folder} or above it. Go to the folder that you work in"
            " ({name}, unless you named another), or name it with --folder."
        ).format(folder=start, name=paths.WORKSPACE)
    )


def prepare(folder: Path, release_dir: Path | None = None) -> list[str]:
    """Bring `folder` up to the release and give what there is to say about it, a sentence each.

    What a learner wrote is never lost. A file that they have not changed is brought up to date; a notebook that they
    have is merged with the newer one, cell by cell, and kept as it was in kept/; checks are always the release's, and
    a changed one is kept; any other file that they changed stays. It may be killed at any moment: what it has not
    recorded it does again, and does the same.
    """
    release_dir = (release_dir or paths.release()).resolve()
    folder = folder.resolve()
    files = _files(release_dir)
    if not files:
        raise WorkspaceError(
            _(
                "There are no lessons in {folder}, so there is nothing to open. In a checkout, run `course release`"
                " first; otherwise the installation is incomplete: install finetuning-from-zero again."
            ).format(folder=release_dir)
        )
    for kept in (release_dir, release_dir.parent / "source"):
        if folder == kept or kept in folder.parents:
            raise WorkspaceError(
                _(
                    "{folder} lies in the course's own {kept}/, which is not for working in: the next release would"
                    " overwrite what you write. Choose another folder."
                ).format(folder=folder, kept=kept.name)
            )
    record = _read_record(folder)
    said, reload = [], False
    for name, content in files.items():
        try:
            news = change(folder / name, partial(_bring, folder, name, content, record.get(name)))
        except _NotBrought as error:  # not recorded, as below: the next run tries again
            said.append(str(error))
        except BrokenNotebook as error:
            said.append(
                _(
                    "{name} is as it was: it cannot be read as a notebook ({reason}), so the newer one could not be"
                    " merged into it. If it is open, save it and run this again; otherwise `course reset {lesson}`"
                    " keeps it aside and puts the course's in its place."
                ).format(name=name, reason=error, lesson=Path(name).parts[0])
            )
        except OSError as error:
            said.append(
                _(
                    "{name} could not be brought up to date ({reason}); the other lessons are as they should be. See"
                    " what is in its place, or whether it may be written, and run this again."
                ).format(name=name, reason=error.strerror or error)
            )
        else:
            said += news
            reload = reload or (bool(news) and name.endswith(".ipynb"))
            record[name] = _digest(content)
    if reload:
        said.append(_("Where such a notebook is open in JupyterLab: File > Reload Notebook from Disk."))
    try:
        write(folder / RECORD, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
    except OSError as error:
        raise WorkspaceError(
            _(
                "What you were given could not be written down in {file} ({reason}). Nothing is lost; make room, or"
                " see whether it may be written, and run this again."
            ).format(file=folder / RECORD, reason=error.strerror or error)
        ) from error
    return said


def given(folder: Path, lesson: Lesson) -> bytes:
    """The notebook of a lesson as the learner was given it; where that is not known, as the course has it now."""
    digest = _read_record(folder).get(f"{lesson.name}/{lesson.name}.ipynb")
    known = folder / GIVEN / str(digest)
    return known.read_bytes() if known.is_file() else lesson.notebook.read_bytes()


class _NotBrought(Exception):
    """A file that stays as the learner has it, though the course has another; the message says so."""


def _bring(
    folder: Path, name: str, content: bytes, recorded: str | None, mine: bytes | None
) -> tuple[bytes, list[str]]:
    """What a file is to hold, and what to say of it, where it held `mine` and the release has `content`.

    `recorded` is the hash of what the learner was given last. Raises _NotBrought and BrokenNotebook.
    """
    target, new = folder / name, _digest(content)
    if target.suffix == ".ipynb" and not (folder / GIVEN / new).is_file():
        write(folder / GIVEN / new, content)
    if mine is None or mine == content:
        return content, []
    if _digest(mine) == recorded:
        return content, [_("{name} was brought up to date; you had not changed it.").format(name=name)]
    if name.endswith("_checks.py"):
        kept = keep(target.parent, target.name, mine)
        return content, [
            _("{name} is the course's again, since grading goes by it. Yours is kept as {kept}.").format(
                name=name, kept=kept.relative_to(folder).as_posix()
            )
        ]
    if recorded == new:
        return mine, []
    given = folder / GIVEN / str(recorded)
    if target.suffix == ".ipynb" and given.is_file():
        return _merge(folder, name, given.read_bytes(), mine, content)
    raise _NotBrought(
        _("{name} is as you left it. The course has a newer one: to get it, rename yours and run this again.").format(
            name=name
        )
    )


def _merge(folder: Path, name: str, given: bytes, mine: bytes, new: bytes) -> tuple[bytes, list[str]]:
    target, theirs = folder / name, notebooks.read(mine)
    merged = merge(notebooks.read(given), theirs, notebooks.read(new))
    if merged.notebook == theirs:
        return mine, []
    kept = keep(target.parent, target.name, mine)
    return notebooks.dump(merged.notebook), [_said(name, merged, kept.relative_to(folder).as_posix())]


def _said(name: str, merged: Merged, kept: str) -> str:
    """What became of the learner's work, in one paragraph."""
    answers = len(merged.those(Fate.ANSWER))
    said = [
        ngettext(
            "{name} was brought up to date, with {count} answer of yours as you wrote it.",
            "{name} was brought up to date, with {count} answers of yours as you wrote them.",
            answers,
        ).format(name=name, count=answers)
        if answers
        else _("{name} was brought up to date.").format(name=name)
    ]
    if merged.asked_anew:
        said.append(
            _("The course has changed {exercises} since you answered: a note below your answer shows how.").format(
                exercises=", ".join(merged.asked_anew)
            )
        )
    if left := merged.those(Fate.LEFT):
        said.append(
            _("The course no longer asks for {exercises}; your answer stays as a cell of your own.").format(
                exercises=", ".join(left)
            )
        )
    if beside := len(merged.those(Fate.BESIDE)):
        said.append(
            ngettext(
                "The course has changed {count} cell that you had edited: yours stays, and what is new stands below.",
                "The course has changed {count} cells that you had edited: yours stay, and what is new stands below.",
                beside,
            ).format(count=beside)
        )
    if lost := merged.unrecognised:
        said.append(
            ngettext(
                "{count} cell of yours is no longer recognised as an answer, since what marked it as one is gone. It"
                " stands where it stood; the exercise is there again, for you to copy it into.",
                "{count} cells of yours are no longer recognised as answers, since what marked them as such is gone."
                " They stand where they stood; the exercises are there again, for you to copy them into.",
                lost,
            ).format(count=lost)
        )
    if restored := merged.those(Fate.RESTORED):
        said.append(
            _("You had edited {cells}, which the course locks: the course's text is back.").format(
                cells=", ".join(restored)
            )
        )
    said.append(_("The notebook as it was is kept as {kept}.").format(kept=kept))
    return " ".join(said)


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
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()
