"""What a learner hands in: an archive of a lesson, or a submission to nbgrader's exchange, with a receipt.

The archive holds ``LESSON/LESSON.ipynb``, the learner's other files of the lesson, ``LESSON/timestamp.txt`` as nbgrader
reads it and ``LESSON/receipt.json``: ``unzip ARCHIVE -d submitted/STUDENT`` puts it where nbgrader and ``autograder
grade`` look. Its name is ``TIME_LESSON_STUDENT.zip``, and nbgrader's ``zip_collect`` takes many at once with this::

    c.FileNameCollectorPlugin.named_regexp = (
        r".*/(?P<timestamp>[^_/]+)_LESSON_(?P<student_id>[^/]+)/LESSON/(?P<file_id>.+)"
    )

A receipt is JSON::

    {"version": 1, "lesson": str, "student": str | None, "time": ISO 8601, UTC, with its offset,
     "content_sha256": the same for the same files, whenever they are handed in: the SHA-256 of the lines
         "SHA256  NAME" of all files in the order of their names, which is what `sha256sum` prints,
     "files": [{"name": str, "bytes": int, "sha256": str}, ...],
     "left_out": [{"name": str, "why": str}, ...],
     "exercises": [{"name": str, "state": str, "points": float | None, "max_points": float, "hints": int,
         "solution": bool}, ...], where state is "unsolved", "no cell", "not checked" or what the learner's own last
         check said, and hints and solution are the help taken before it was right, by the learner's own progress,
     "points": float | None, by those checks; "max_points": float,
     "notes": [str, ...], what the learner was told is missing,
     "release": SHA-256 of the notebook that the learner was given, "versions": {str: str},
     "archive": {"name": str, "bytes": int, "sha256": str} or "exchange": {"course": str, "timestamp": str}}

The last line is in the receipt that the learner keeps, and not in the one inside, which the archive's hash covers.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import platform
import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from course.card import VERDICT_MIME
from course.catalogue import Lesson
from course.learner import notebooks, progress, workspace
from course.learner.keeping import KEPT, write
from course.learner.merging import match
from course.learner.notebooks import BrokenNotebook, key
from course.learner.progress import Standing
from course.learner.workspace import WorkspaceError
from course.locale import gettext as _

SUBMISSIONS = "submissions"  # the folder of the learner's copy that archives and receipts lie in
LARGEST = 20 * 2**20  # bytes of one file; the notebook goes whatever its size
# Made by running or opening a lesson, and what `course` and nbgrader put there themselves.
PASSED_OVER = ("__pycache__", "*.pyc", ".*", "*~", KEPT, "feedback", "timestamp.txt", "receipt.json")
STUDENT = re.compile(r"[\w.@-]+")
VERSIONS = ("finetuning-from-zero", "torch", "nbgrader")

Receipt = dict[str, Any]


def _collect(folder: Path, lesson: Lesson) -> tuple[dict[str, bytes], list[dict[str, str]]]:
    """What is handed in of a lesson, by its names in the archive, and what is left out though it is the learner's.

    Raises WorkspaceError where there is no such lesson in the learner's copy.
    """
    root = folder / lesson.name
    if not root.is_dir():
        raise WorkspaceError(
            _("There is no {lesson} in {folder}, so there is nothing to hand in. `course lab` puts it there.").format(
                lesson=lesson.name, folder=folder
            )
        )
    files, left_out = {}, []
    for path in handed_in(root):
        name = path.relative_to(folder).as_posix()
        printable = name.encode("utf-8", "backslashreplace").decode("utf-8")
        if name != printable:
            left_out.append({"name": printable, "why": _("its name is not UTF-8")})
        elif path.is_symlink():
            left_out.append({"name": name, "why": _("it is a link")})
        elif not path.is_file():
            left_out.append({"name": name, "why": _("it is no file to read, but a pipe, a socket or a device")})
        elif path.stat().st_size > LARGEST and name != f"{lesson.name}/{lesson.name}.ipynb":
            why = _("it is larger than {limit} MiB").format(limit=LARGEST // 2**20)
            left_out.append({"name": name, "why": why})
        else:
            files[name] = path.read_bytes()
    return files, left_out


def receipt(folder: Path, lesson: Lesson, student: str | None, now: datetime) -> tuple[Receipt, dict[str, bytes]]:
    """The receipt of a lesson as it is now, without where it went, and the files that it is for.

    `now` is in UTC. Raises WorkspaceError for a lesson that is not there and for a `student` that is no name of a file.
    """
    if student is not None and not STUDENT.fullmatch(student):
        raise WorkspaceError(
            _("{student} cannot be part of a file's name: use letters, digits and . _ @ - for --student.").format(
                student=repr(student)
            )
        )
    files, left_out = _collect(folder, lesson)
    listed = [
        {"name": name, "bytes": len(content), "sha256": sha256(content).hexdigest()} for name, content in files.items()
    ]
    lines = "".join(f"{file['sha256']}  {file['name']}\n" for file in listed)
    own = f"{lesson.name}/{lesson.name}.ipynb"
    exercises, notes = _exercises(folder, lesson, files.get(own))
    known = [one["points"] for one in exercises if one["points"] is not None]
    made = {
        "version": 1,
        "lesson": lesson.name,
        "student": student,
        "time": now.isoformat(timespec="seconds"),
        "content_sha256": sha256(lines.encode()).hexdigest(),
        "files": listed,
        "left_out": left_out,
        "exercises": exercises,
        "points": sum(known) if known else None,
        "max_points": lesson.points,
        "notes": [*notes, *(_("{name} was left out: {why}.").format(**one) for one in left_out)],
        "release": sha256(workspace.given(folder, lesson)).hexdigest(),
        "versions": {"python": platform.python_version(), "system": platform.platform(), **dict(_versions())},
    }
    return made, files


def submit(folder: Path, lesson: Lesson, student: str | None = None, *, archive: bool = False) -> tuple[Receipt, Path]:
    """Hand a lesson in: to nbgrader's exchange where one is configured, else, or if so asked, as an archive.

    Gives the receipt, and the file in the learner's copy that it is kept in. Raises WorkspaceError as `receipt` does,
    and also where the exchange refuses.
    """
    from course.learner import exchanging  # which brings all of nbgrader

    now = datetime.now(UTC)
    made, files = receipt(folder, lesson, student, now)
    own = f"{lesson.name}/receipt.json"
    files |= {own: as_json(made)}
    kept = _free(folder / SUBMISSIONS, made)
    if not archive and (app := exchanging.configured(folder)) is not None:
        with tempfile.TemporaryDirectory() as staged:
            for name, content in files.items():
                write(Path(staged, name), content)
            made["exchange"] = exchanging.submit(app, Path(staged), lesson.name, student)
    else:
        stamp = f"{now:%Y-%m-%d %H:%M:%S.%f} UTC\n"
        packed = _zip(files | {f"{lesson.name}/timestamp.txt": stamp.encode()}, now)
        path = kept.with_suffix(".zip")
        made["archive"] = {"name": path.name, "bytes": len(packed), "sha256": sha256(packed).hexdigest()}
        write(path, packed)
    write(kept, as_json(made))
    return made, kept


def as_json(made: Receipt) -> bytes:
    """A receipt as its file has it."""
    return (json.dumps(made, indent=1, ensure_ascii=False) + "\n").encode("utf-8")


def _free(folder: Path, made: Receipt) -> Path:
    """Where a receipt is kept: the name sorts by time, and holds lesson and student. Nothing has it yet."""
    time = made["time"].split("+")[0].replace(":", "") + "Z"
    name = "_".join(filter(None, (time, made["lesson"], made["student"])))
    number = 1
    while True:
        path = folder / f"{name}{f'-{number}' if number > 1 else ''}.json"
        if not path.exists() and not path.with_suffix(".zip").exists():
            return path
        number += 1


def handed_in(root: Path) -> list[Path]:
    """The files below a lesson's folder that are not passed over, in the order of their names."""
    found = []
    for where, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not _passed_over(name)]
        links = [name for name in folders if Path(where, name).is_symlink()]
        found += [Path(where, name) for name in (*names, *links) if not _passed_over(name)]
    return sorted(found, key=Path.as_posix)


def _passed_over(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in PASSED_OVER)


def _exercises(folder: Path, lesson: Lesson, content: bytes | None) -> tuple[list[dict[str, Any]], list[str]]:
    """How each exercise stands, and what is missing, in sentences."""
    name = f"{lesson.name}.ipynb"
    if content is None:
        return [], [_("There is no {name}, and a grader looks for it by that name.").format(name=name)]
    try:
        cells = notebooks.read(content).cells
    except BrokenNotebook as error:
        return [], [
            _("{name} cannot be read as a notebook ({reason}), and a grader cannot read it either.").format(
                name=name, reason=error
            )
        ]
    stubs = {key(cell): cell for cell in notebooks.read(workspace.given(folder, lesson)).cells}
    mine = dict(zip(match(cells, stubs), cells, strict=True))
    found = [_exercise(standing, stubs, mine) for standing in progress.load().of(lesson)]
    notes = []
    if unsolved := [one["name"] for one in found if one["state"] == "unsolved"]:
        notes.append(_("Not solved yet: {names}.").format(names=", ".join(unsolved)))
    if gone := [one["name"] for one in found if one["state"] == "no cell"]:
        notes.append(
            _("There is no cell any more for {names}: `course reset {lesson} EXERCISE` brings the stub back.").format(
                names=", ".join(gone), lesson=lesson.name
            )
        )
    if len(content) > LARGEST:
        notes.append(
            _(
                "{name} is larger than {limit} MiB, more than a grader may read. In JupyterLab, Edit > Clear Outputs of"
                " All Cells makes it small: then hand it in again."
            ).format(name=name, limit=LARGEST // 2**20)
        )
    return found, notes


def _exercise(
    standing: Standing, stubs: Mapping[str, NotebookNode], mine: Mapping[str | None, NotebookNode]
) -> dict[str, Any]:
    exercise = standing.exercise
    cell, test = mine.get(exercise.cell), mine.get(exercise.test)
    verdict = _verdict(test) if test is not None else None
    state, points = "not checked", None
    if cell is None:
        state = "no cell"
    elif exercise.cell in stubs and cell.source.rstrip() == stubs[exercise.cell].source.rstrip():
        state = "unsolved"
    elif verdict is not None and isinstance(verdict.get("points"), int | float):
        state, points = str(verdict.get("state")), verdict["points"]
    return {
        "name": exercise.name,
        "state": state,
        "points": points,
        "max_points": exercise.points,
        "hints": standing.hints,
        "solution": standing.solution,
    }


def _verdict(test: NotebookNode) -> dict[str, Any] | None:
    """What the check said when the learner last ran this cell."""
    shown = [output.get("data", {}).get(VERDICT_MIME) for output in test.get("outputs", ())]
    return next((one for one in reversed(shown) if isinstance(one, dict)), None)


def _versions() -> Iterator[tuple[str, str]]:
    for name in VERSIONS:
        with suppress(importlib.metadata.PackageNotFoundError):
            yield name, importlib.metadata.version(name)


def _zip(files: Mapping[str, bytes], now: datetime) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in sorted(files.items()):
            entry = zipfile.ZipInfo(name, now.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, data)
    return content.getvalue()


def said(made: Receipt, kept: Path) -> str:
    """A receipt as a learner reads it."""
    handed_in, time = made["lesson"], made["time"]
    if "exchange" in made:
        to = made["exchange"]["course"]
        rows = [_("{lesson} was handed in to {course}, as of {time}.").format(lesson=handed_in, course=to, time=time)]
    else:
        archive = kept.with_suffix(".zip")
        rows = [_("{lesson} is packed, as of {time}: {archive}").format(lesson=handed_in, time=time, archive=archive)]
        rows.append(_("  SHA-256 of the archive  {digest}").format(digest=made["archive"]["sha256"]))
    rows.append(_("  SHA-256 of its content  {digest}").format(digest=made["content_sha256"]))
    rows += [f"  {file['sha256'][:12]}...  {file['bytes']:>9,}  {file['name']}" for file in made["files"]]
    if made["points"] is not None:
        rows.append(
            _("By your own last checks: {points:g} of {most:g} points.").format(
                points=made["points"], most=made["max_points"]
            )
        )
    helped = [one["name"] for one in made["exercises"] if one["hints"] or one["solution"]]
    if helped:
        rows.append(
            _("The receipt names the hints and solutions that you took: {names}.").format(names=", ".join(helped))
        )
    rows += made["notes"]
    rows.append(_("The receipt is kept: {kept}").format(kept=kept))
    return "\n".join(rows)
