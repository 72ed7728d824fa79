"""What is handed in: an archive that graders can use as it is, or a submission to nbgrader's exchange."""

from __future__ import annotations

import getpass
import hashlib
import json
import logging
import os
import shutil
import sys
import sysconfig
import zipfile
from contextlib import chdir
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import output_from_msg
from nbgrader.apps import NbGraderAPI
from nbgrader.apps.zipcollectapp import ZipCollectApp
from nbgrader.auth import Authenticator
from nbgrader.coursedir import CourseDirectory
from nbgrader.exchange import ExchangeFactory
from traitlets.config import Config

import autograder
from course import catalogue, paths, release
from course.card import VERDICT_MIME
from course.learner import progress, submitting
from course.learner.submitting import submit
from course.learner.workspace import WorkspaceError, prepare

LESSON = catalogue.find_lesson("freezing")
OWN = f"{LESSON.name}/{LESSON.name}.ipynb"


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever exchange this machine may have is not for tests."""
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "COURSE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    # For a gradebook nbgrader runs the program `alembic`.
    monkeypatch.setenv("PATH", os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)]))


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A learner's copy: one exercise solved and checked, one wrong and not checked, the others untouched."""
    folder = tmp_path / "mine"
    prepare(folder)
    notebook = nbformat.read(folder / OWN, as_version=4)
    solved = {cell.id: cell.source for cell in release.source_notebook(paths.source() / LESSON.name).cells}
    verdict = {"version": 1, "exercise": "freeze", "state": "right", "points": 5.0, "max_points": 5.0}
    for cell in notebook.cells:
        if cell.id == "freeze":
            cell.source = solved["freeze"]
        elif cell.id == "check-freeze":
            message = {
                "header": {"msg_type": "display_data"},
                "content": {"data": {VERDICT_MIME: verdict}, "metadata": {}},
            }
            cell.outputs = [output_from_msg(message)]
        elif cell.id == "trainable-report":
            cell.source = "def trainable_report(model): return {}"
    nbformat.write(notebook, folder / OWN)
    return folder


def packed(mine: Path, archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


def test_an_archive_holds_the_learners_files_a_time_and_the_receipt(mine: Path) -> None:
    folder = mine / LESSON.name
    (folder / "my_tools.py").write_text("x = 1\n")
    for name in (".ipynb_checkpoints/x.ipynb", "__pycache__/x.pyc", "kept/old.py", ".secret", "timestamp.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("not this")
    before = datetime.now(UTC).replace(microsecond=0)
    made, kept = submit(mine, LESSON, "ada")
    archive = kept.with_suffix(".zip")
    files = packed(mine, archive)
    names = [OWN, f"{LESSON.name}/freezing_checks.py", f"{LESSON.name}/my_tools.py"]
    assert sorted(files) == sorted([*names, f"{LESSON.name}/timestamp.txt", f"{LESSON.name}/receipt.json"])
    assert files[OWN] == (mine / OWN).read_bytes()
    assert [file["name"] for file in made["files"]] == names
    assert all(file["sha256"] == hashlib.sha256(files[file["name"]]).hexdigest() for file in made["files"])
    assert made["archive"]["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert json.loads(kept.read_bytes()) == made
    inside = json.loads(files[f"{LESSON.name}/receipt.json"])
    assert inside == {key: value for key, value in made.items() if key != "archive"}
    handed_in = datetime.fromisoformat(made["time"])
    assert made["time"].endswith("+00:00") and before <= handed_in <= datetime.now(UTC)
    assert archive.name == f"{handed_in:%Y-%m-%dT%H%M%S}Z_{LESSON.name}_ada.zip"


def test_the_receipt_says_how_each_exercise_stands(mine: Path) -> None:
    made, kept = submit(mine, LESSON)
    assert [(one["name"], one["state"], one["points"]) for one in made["exercises"]] == [
        ("freeze", "right", 5.0),
        ("trainable_report", "not checked", None),
        ("train_mode_keep_frozen_bn", "unsolved", None),
        ("build_optimizer", "unsolved", None),
        ("unfreeze_to", "unsolved", None),
    ]
    assert (made["points"], made["max_points"]) == (5.0, 20)
    assert made["notes"] == ["Not solved yet: train_mode_keep_frozen_bn, build_optimizer, unfreeze_to."]
    text = submitting.said(made, kept)
    for part in (made["content_sha256"], "By your own last checks: 5 of 20 points.", made["notes"][0], str(kept)):
        assert part in text


def test_the_receipt_names_the_help_that_was_taken(mine: Path) -> None:
    assert not any(one["hints"] or one["solution"] for one in submit(mine, LESSON)[0]["exercises"])
    progress.record("hint", "freeze", points=2)
    progress.record("check", "freeze", state="right", points=5.0)
    progress.record("solution", "unfreeze_to")
    progress.record("hint", "dice", points=1)
    made, kept = submit(mine, LESSON)
    helped = {one["name"]: (one["hints"], one["solution"]) for one in made["exercises"]}
    assert helped["freeze"] == (2, False) and helped["unfreeze_to"] == (0, True) and "dice" not in helped
    assert "hints and solutions that you took: freeze, unfreeze_to." in submitting.said(made, kept)


def test_the_same_content_has_the_same_hash_and_nothing_is_overwritten(mine: Path) -> None:
    one, first = submit(mine, LESSON)
    two, second = submit(mine, LESSON)
    assert one["content_sha256"] == two["content_sha256"] and first != second and first.exists()
    listed = "".join(f"{file['sha256']}  {file['name']}\n" for file in one["files"])
    assert hashlib.sha256(listed.encode()).hexdigest() == one["content_sha256"]
    (mine / LESSON.name / "notes.txt").write_text("more")
    assert submit(mine, LESSON)[0]["content_sha256"] != one["content_sha256"]


def test_nothing_is_refused_but_what_is_missing_is_said(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submitting, "LARGEST", 2**20)
    (mine / LESSON.name / "weights.bin").write_bytes(bytes(2**20 + 1))
    (mine / OWN).write_bytes(b"{" + b" " * 2**20)
    made, kept = submit(mine, LESSON)
    assert made["notes"][0].startswith("04-freezing.ipynb cannot be read as a notebook (")
    assert made["notes"][1:] == [f"{LESSON.name}/weights.bin was left out: it is larger than 1 MiB."]
    assert f"{LESSON.name}/weights.bin" not in packed(mine, kept.with_suffix(".zip"))
    assert OWN in packed(mine, kept.with_suffix(".zip"))
    (mine / OWN).unlink()
    made, _ = submit(mine, LESSON)
    assert made["notes"][0] == "There is no 04-freezing.ipynb, and a grader looks for it by that name."
    assert made["points"] is None
    shutil.rmtree(mine / LESSON.name)
    with pytest.raises(WorkspaceError, match=r"There is no 04-freezing in .* `course lab` puts it there"):
        submit(mine, LESSON)


def test_a_notebook_larger_than_a_grader_reads_goes_and_is_said_to(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submitting, "LARGEST", 10_000)
    made, kept = submit(mine, LESSON)
    assert OWN in packed(mine, kept.with_suffix(".zip"))
    assert any("Clear Outputs of All Cells" in note for note in made["notes"])


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_what_a_link_leads_to_is_not_handed_in(mine: Path, tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "diary.txt").write_text("private")
    (mine / LESSON.name / "folder").symlink_to(tmp_path / "private")
    (mine / LESSON.name / "file.txt").symlink_to(tmp_path / "private" / "diary.txt")
    made, kept = submit(mine, LESSON)
    assert [one["name"] for one in made["left_out"]] == [f"{LESSON.name}/file.txt", f"{LESSON.name}/folder"]
    assert not any(
        b"private" in content
        for name, content in packed(mine, kept.with_suffix(".zip")).items()
        if name != f"{LESSON.name}/receipt.json"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="such files and names are others there")
def test_what_is_no_regular_file_or_has_no_utf8_name_is_left_out(mine: Path) -> None:
    folder = mine / LESSON.name
    os.mkfifo(folder / "pipe")
    try:
        (folder / os.fsdecode(b"r\xe9sum\xe9.txt")).write_text("not this")
        (folder / os.fsdecode(b"b\xe9")).mkdir()
        (folder / os.fsdecode(b"b\xe9") / "inside.txt").write_text("nor this")
    except OSError:
        pytest.skip("a file system that has only names in UTF-8")
    made, kept = submit(mine, LESSON)
    assert [one["name"] for one in made["left_out"]] == [
        f"{LESSON.name}/b\\udce9/inside.txt",
        f"{LESSON.name}/pipe",
        f"{LESSON.name}/r\\udce9sum\\udce9.txt",
    ]
    assert f"{LESSON.name}/pipe was left out: it is no file to read" in submitting.said(made, kept)
    assert json.loads(kept.read_bytes()) == made and OWN in packed(mine, kept.with_suffix(".zip"))


# --- in the hands of a grader -------------------------------------------------------------------------------


def test_an_archive_unpacks_to_what_is_graded(mine: Path, tmp_path: Path) -> None:
    _, kept = submit(mine, LESSON, "ada")
    with zipfile.ZipFile(kept.with_suffix(".zip")) as archive:
        archive.extractall(tmp_path / "submitted" / "ada")
    source = release.source_notebook(paths.source() / LESSON.name)
    report = autograder.grade(
        source, tmp_path / "submitted" / "ada" / OWN, files=paths.release() / LESSON.name, isolate=False
    )
    states = {verdict.grade_id: str(verdict.state) for verdict in report.verdicts}
    assert states["check-freeze"] == "passed" and report.points == 5
    assert states["check-trainable-report"] == "failed" and states["check-unfreeze-to"] == "not attempted"
    course = CourseDirectory(root=str(tmp_path))
    stamp = course.get_existing_timestamp(str(tmp_path / "submitted" / "ada" / LESSON.name))
    assert stamp is not None and abs((datetime.now(UTC).replace(tzinfo=None) - stamp).total_seconds()) < 3600


def test_zip_collect_takes_it(mine: Path, tmp_path: Path) -> None:
    course = tmp_path / "class"
    shutil.copytree(paths.release() / LESSON.name, course / "release" / LESSON.name)
    for student in ("ada", "ben.b"):
        _, kept = submit(mine, LESSON, student)
        archives = course / "downloaded" / LESSON.name / "archive"
        archives.mkdir(parents=True, exist_ok=True)
        shutil.copy(kept.with_suffix(".zip"), archives)
    (pattern,) = [line.strip() for line in (submitting.__doc__ or "").splitlines() if "student_id" in line]
    config = Config()
    config.FileNameCollectorPlugin.named_regexp = (
        pattern.removeprefix('r"').removesuffix('"').replace("LESSON", LESSON.name)
    )
    with chdir(course):
        app = ZipCollectApp(log_level=logging.ERROR, config=config)
        app.initialize([LESSON.name])
        app.start()
    for student in ("ada", "ben.b"):
        folder = course / "submitted" / student / LESSON.name
        assert (folder / f"{LESSON.name}.ipynb").read_bytes() == (mine / OWN).read_bytes()
        assert CourseDirectory(root=str(course)).get_existing_timestamp(str(folder)) is not None


# --- nbgrader's exchange ------------------------------------------------------------------------------------


@pytest.fixture
def exchange(mine: Path, tmp_path: Path) -> NbGraderAPI:
    """A class: an exchange that works, the lesson released to it, and settings in the learner's copy that name it."""
    (tmp_path / "exchange").mkdir(mode=0o777)
    (tmp_path / "exchange").chmod(0o777)
    settings = (
        f"c = get_config()\nc.CourseDirectory.course_id = 'ml101'\nc.Exchange.root = {str(tmp_path / 'exchange')!r}\n"
        f"c.Exchange.cache = {str(tmp_path / 'cache')!r}\n"
    )
    (mine / "nbgrader_config.py").write_text(settings)
    course = tmp_path / "class"
    (course / "source" / LESSON.name).mkdir(parents=True)
    shutil.copytree(paths.release() / LESSON.name, course / "release" / LESSON.name)
    config = Config()
    config.CourseDirectory.course_id = "ml101"
    config.CourseDirectory.root = str(course)
    config.Exchange.root = str(tmp_path / "exchange")
    config.Exchange.cache = str(tmp_path / "cache")
    api = NbGraderAPI(CourseDirectory(config=config), config=config)
    assert api.release_assignment(LESSON.name)["success"]
    return api


@pytest.mark.skipif(sys.platform == "win32", reason="nbgrader has no exchange there")
def test_where_an_exchange_is_configured_it_goes_there(mine: Path, exchange: NbGraderAPI, tmp_path: Path) -> None:
    (mine / LESSON.name / "kept").mkdir()
    (mine / LESSON.name / "kept" / "old.ipynb").write_text("{}")
    made, kept = submit(mine, LESSON)
    assert made["exchange"]["course"] == "ml101" and "archive" not in made
    assert json.loads(kept.read_bytes()) == made and not kept.with_suffix(".zip").exists()
    (inbound,) = (tmp_path / "exchange" / "ml101" / "inbound").iterdir()
    assert {path.name for path in inbound.iterdir()} == {
        *(Path(file["name"]).name for file in made["files"]),
        *("receipt.json", "timestamp.txt", "submission_secret.txt"),
    }
    student = getpass.getuser()
    collected = exchange.collect(LESSON.name)
    assert collected["success"], collected
    assert exchange.get_submitted_students(LESSON.name) == {student}
    folder = tmp_path / "class" / "submitted" / student / LESSON.name
    assert (folder / f"{LESSON.name}.ipynb").read_bytes() == (mine / OWN).read_bytes()
    assert (folder / "timestamp.txt").read_text() == made["exchange"]["timestamp"]
    exchange.coursedir.student_id = student
    listed = ExchangeFactory(parent=exchange).List(
        coursedir=exchange.coursedir, authenticator=Authenticator(parent=exchange), inbound=True, parent=exchange
    )
    (seen,) = listed.start()
    assert (seen["student_id"], seen["assignment_id"], seen["status"]) == (student, LESSON.name, "submitted")
    assert [one["timestamp"] for one in seen["submissions"]] == [made["exchange"]["timestamp"]]


@pytest.mark.skipif(sys.platform == "win32", reason="nbgrader has no exchange there")
def test_an_archive_where_that_is_asked_for_and_a_refusal_is_said(
    mine: Path, exchange: NbGraderAPI, tmp_path: Path
) -> None:
    made, _ = submit(mine, LESSON, archive=True)
    assert "archive" in made and not list((tmp_path / "exchange" / "ml101" / "inbound").iterdir())
    with pytest.raises(WorkspaceError, match=r"did not take 02-transfer-gain: Assignment not found.*--archive"):
        submit(mine, catalogue.find_lesson("2"))
    shutil.rmtree(tmp_path / "exchange")
    assert "archive" in submit(mine, LESSON)[0]
    (mine / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 7\n")
    with pytest.raises(WorkspaceError, match=r"settings for this folder cannot be read"):
        submit(mine, LESSON)
