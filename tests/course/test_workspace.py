"""A learner's copy of the release: a newer one never costs them anything, whenever it is cut short."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from course import catalogue, paths
from course.learner import workspace
from course.learner.keeping import change, write
from course.learner.workspace import RECORD, WorkspaceError, prepare

LESSON = "04-freezing"
NOTEBOOK = f"{LESSON}/{LESSON}.ipynb"
CHECKS = f"{LESSON}/freezing_checks.py"
SOLVED = "def freeze(model, except_for):\n    print('solved')"


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """A release with one lesson, the real one."""
    release = tmp_path / "course" / "release"
    shutil.copytree(paths.release() / LESSON, release / LESSON, ignore=shutil.ignore_patterns("__pycache__"))
    (release / LESSON / "__pycache__").mkdir()
    (release / LESSON / "__pycache__" / "x.pyc").write_text("compiled")
    (release / LESSON / "photos.txt").write_text("first edition")
    return release


@pytest.fixture
def mine(given: Path, tmp_path: Path) -> Path:
    assert prepare(tmp_path / "mine", given) == []
    return tmp_path / "mine"


def contents(folder: Path) -> dict[str, bytes]:
    """What a learner sees of a folder."""
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {
        name.as_posix(): path.read_bytes()
        for name, path in files.items()
        if not any(part.startswith(".") for part in name.parts)
    }


def kept(mine: Path) -> dict[str, bytes]:
    """What is in kept/, by the names that it had; a name is there once."""
    dated = list((mine / LESSON / "kept").glob("*"))
    by_name = {path.name.split("-", 4)[-1]: path.read_bytes() for path in dated}
    assert len(by_name) == len(dated)
    return by_name


def solve(mine: Path) -> bytes:
    """What a learner does: an answer, run, and a cell of their own. JupyterLab writes the file in its own way."""
    notebook = nbformat.read(mine / NOTEBOOK, as_version=4)
    number = next(number for number, cell in enumerate(notebook.cells) if cell.id == "freeze")
    notebook.cells[number].source = SOLVED
    notebook.cells.insert(number + 1, nbformat.v4.new_code_cell("freeze(model, [])", id="tried"))
    nbformat.write(notebook, mine / NOTEBOOK)
    return (mine / NOTEBOOK).read_bytes()


def second_edition(given: Path) -> None:
    for path in (given / LESSON).glob("*.*"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("EfficientNet-Lite0 learnt", "Second edition: it learnt"), encoding="utf-8")
    (given / CHECKS).write_text("# second edition\n", encoding="utf-8")
    (given / LESSON / "photos.txt").write_text("second edition")


def test_a_copy_holds_what_learners_get(given: Path, mine: Path) -> None:
    assert contents(mine).keys() == {NOTEBOOK, CHECKS, f"{LESSON}/photos.txt"}
    assert contents(mine) == {name: (given / name).read_bytes() for name in contents(mine)}
    assert json.loads((mine / RECORD).read_text()).keys() == contents(mine).keys()


def test_what_a_learner_did_not_change_is_brought_up_to_date(given: Path, mine: Path) -> None:
    second_edition(given)
    said = prepare(mine, given)
    assert said == [
        f"{name} was brought up to date; you had not changed it." for name in sorted(contents(mine), key=str.lower)
    ] + ["Where such a notebook is open in JupyterLab: File > Reload Notebook from Disk."]
    assert contents(mine) == {name: (given / name).read_bytes() for name in contents(mine)}
    assert prepare(mine, given) == []


def test_a_newer_notebook_is_merged_with_the_learners(given: Path, mine: Path) -> None:
    before = solve(mine)
    (mine / LESSON / "notes.txt").write_text("mine")
    assert prepare(mine, given) == [] and (mine / NOTEBOOK).read_bytes() == before
    second_edition(given)
    said = prepare(mine, given)
    assert said[0].startswith(
        f"{NOTEBOOK} was brought up to date, with 1 answer of yours as you wrote it. The notebook as it was is kept as"
        f" {LESSON}/kept/20"
    )
    assert kept(mine) == {f"{LESSON}.ipynb": before}
    merged = nbformat.read(mine / NOTEBOOK, as_version=4)
    assert "Second edition" in merged.cells[0].source
    sources = [cell.source for cell in merged.cells]
    assert sources.index("freeze(model, [])") == sources.index(SOLVED) + 1
    after = contents(mine)
    assert after[f"{LESSON}/notes.txt"] == b"mine"
    assert prepare(mine, given) == [] and contents(mine) == after


def test_answers_that_are_no_longer_recognised_are_said_to_be(given: Path, mine: Path) -> None:
    solve(mine)
    notebook = json.loads((mine / NOTEBOOK).read_bytes())
    notebook["nbformat_minor"] = 4
    for cell in notebook["cells"]:
        cell["metadata"] = {}
        del cell["id"]
    (mine / NOTEBOOK).write_text(json.dumps(notebook))
    second_edition(given)
    assert "1 cell of yours is no longer recognised as an answer" in prepare(mine, given)[0]
    assert SOLVED in [cell.source for cell in nbformat.read(mine / NOTEBOOK, as_version=4).cells]


def test_checks_are_the_releases_and_other_files_stay(given: Path, mine: Path) -> None:
    (mine / CHECKS).write_text("check_freeze = print\n", encoding="utf-8")
    (mine / LESSON / "photos.txt").write_text("mine")
    (said,) = prepare(mine, given)
    assert said.startswith(f"{CHECKS} is the course's again, since grading goes by it. Yours is kept as {LESSON}/kept/")
    assert (mine / CHECKS).read_bytes() == (given / CHECKS).read_bytes()
    assert kept(mine) == {"freezing_checks.py": b"check_freeze = print\n"}
    second_edition(given)
    for _run in range(2):
        said = prepare(mine, given)
        assert any(one.startswith(f"{LESSON}/photos.txt is as you left it. The course has a newer one") for one in said)
    assert (mine / LESSON / "photos.txt").read_text() == "mine"
    (mine / LESSON / "photos.txt").rename(mine / LESSON / "old.txt")
    assert prepare(mine, given) == []
    assert (mine / LESSON / "photos.txt").read_text() == "second edition"
    assert (mine / LESSON / "old.txt").read_text() == "mine"


@pytest.mark.parametrize("broken", [b'{"cells": [', b"[]", b"", b'{"nbformat": 4, "cells": [{}]}', b"\xff\xfe\x00"])
def test_a_broken_notebook_is_left_alone_until_it_is_mended(given: Path, mine: Path, broken: bytes) -> None:
    whole = solve(mine)
    second_edition(given)
    (mine / NOTEBOOK).write_bytes(broken)
    for _ in range(2):
        said = prepare(mine, given)
        assert said[0].startswith(f"{NOTEBOOK} is as it was: it cannot be read as a notebook (")
        assert (mine / NOTEBOOK).read_bytes() == broken
    (mine / NOTEBOOK).write_bytes(whole)
    assert "with 1 answer of yours" in prepare(mine, given)[0]
    assert kept(mine) == {f"{LESSON}.ipynb": whole}


@pytest.mark.parametrize("record", [None, "{", "[]"])
def test_without_a_record_every_file_is_the_learners(given: Path, tmp_path: Path, record: str | None) -> None:
    mine = tmp_path / "mine"
    (mine / LESSON).mkdir(parents=True)
    (mine / NOTEBOOK).write_text("solved")
    if record is not None:
        (mine / RECORD).write_text(record)
    for _run in range(2):
        (said,) = prepare(mine, given)
        assert said.startswith(f"{NOTEBOOK} is as you left it. The course has a newer one")
        assert NOTEBOOK not in json.loads((mine / RECORD).read_text()), "it is not what the learner was given"
    assert (mine / NOTEBOOK).read_text() == "solved"
    assert (mine / CHECKS).read_bytes() == (given / CHECKS).read_bytes()


def during_the_first_write(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Lets `act` happen when a file's content is written, but not yet in its place."""
    fsync, due = os.fsync, [act]

    def interrupted(descriptor: int) -> None:
        fsync(descriptor)
        if due:
            due.pop()()

    monkeypatch.setattr(os, "fsync", interrupted)


def test_two_that_write_one_file_at_once_do_not_share_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "notebook.ipynb"
    during_the_first_write(monkeypatch, lambda: write(path, b"the other's"))
    write(path, b"one's")
    assert path.read_bytes() == b"one's" and list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        write(tmp_path / "folder", b"text")
    assert list(tmp_path.rglob("*")) == [tmp_path / "folder"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there, and modes are others")
def test_a_link_stays_one_and_a_file_keeps_its_mode(tmp_path: Path) -> None:
    file, link = tmp_path / "elsewhere" / "mine.ipynb", tmp_path / "lesson.ipynb"
    file.parent.mkdir()
    file.write_bytes(b"before")
    file.chmod(0o440)
    link.symlink_to(file)
    write(link, b"after")
    assert link.is_symlink() and file.read_bytes() == b"after"
    assert file.stat().st_mode & 0o777 == 0o440
    (tmp_path / "plain").write_bytes(b"")
    write(tmp_path / "new", b"")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_is_saved_meanwhile_is_merged_too(given: Path, mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    solve(mine)
    second_edition(given)
    write(mine / workspace.GIVEN / workspace._digest((given / NOTEBOOK).read_bytes()), (given / NOTEBOOK).read_bytes())
    fsync, saved = os.fsync, []

    def save(descriptor: int) -> None:
        """The learner saves when the merged notebook is written already, next to theirs."""
        fsync(descriptor)
        if not saved and list((mine / LESSON).glob(".*.part")):
            text = (mine / NOTEBOOK).read_text(encoding="utf-8").replace("print('solved')", "print('better')")
            saved.append((mine / NOTEBOOK).write_text(text, encoding="utf-8"))

    monkeypatch.setattr(os, "fsync", save)
    said = prepare(mine, given)
    assert saved and said[-1].endswith("File > Reload Notebook from Disk.")
    merged = (mine / NOTEBOOK).read_text(encoding="utf-8")
    assert "print('better')" in merged and "Second edition" in merged


def test_who_saves_without_end_is_told(tmp_path: Path) -> None:
    path, times = tmp_path / "notebook", iter(range(100))

    def by(_before: bytes | None) -> tuple[bytes, None]:
        path.write_text(f"saved {next(times)}")
        return b"changed", None

    with pytest.raises(OSError, match="over and over"):
        change(path, by)
    assert path.read_text() == "saved 4" and list(tmp_path.iterdir()) == [path]


def test_a_record_that_cannot_be_written_is_said(given: Path, tmp_path: Path) -> None:
    (tmp_path / RECORD).mkdir()
    with pytest.raises(WorkspaceError, match="What you were given could not be written down"):
        prepare(tmp_path, given)


def test_one_lesson_that_fails_stops_no_other(given: Path, mine: Path) -> None:
    """A folder where the notebook should be, and one in kept/ that has the name of what is to be kept."""
    (mine / NOTEBOOK).unlink()
    (mine / NOTEBOOK).mkdir()
    (mine / LESSON / "kept" / "2026-freezing_checks.py").mkdir(parents=True)
    (mine / CHECKS).write_text("mine")
    second_edition(given)
    for _run in range(2):
        assert prepare(mine, given)[0].startswith(f"{NOTEBOOK} could not be brought up to date (")
    assert (mine / LESSON / "photos.txt").read_text() == "second edition"
    assert (mine / CHECKS).read_bytes() == (given / CHECKS).read_bytes()
    assert "mine" in [path.read_text() for path in (mine / LESSON / "kept").iterdir() if path.is_file()]


@pytest.mark.parametrize("fault", ["surrogate", "grade_id"])
def test_a_notebook_that_could_not_be_written_again_is_broken(given: Path, mine: Path, fault: str) -> None:
    solve(mine)
    notebook = json.loads((mine / NOTEBOOK).read_bytes())
    if fault == "surrogate":
        notebook["cells"][0]["source"] = "\ud83d"
    else:
        notebook["cells"][0]["metadata"]["nbgrader"] = {"grade_id": ["freeze"]}
    (mine / NOTEBOOK).write_text(json.dumps(notebook))
    second_edition(given)
    assert prepare(mine, given)[0].startswith(f"{NOTEBOOK} is as it was: it cannot be read as a notebook (")
    assert (mine / LESSON / "photos.txt").read_text() == "second edition"


def killed(folder: Path, given: Path, moment: int) -> bool:
    """Prepares `folder` in a process that ends on the spot at this file written; says whether it came to that."""
    pid = os.fork()
    if pid:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert status in (0, 9)
        return status == 9
    left = moment

    def counted(act: Callable[..., object]) -> Callable[..., object]:
        def counting(*args: object) -> object:
            nonlocal left
            left -= 1
            if left == 0:
                os._exit(9)
            return act(*args)

        return counting

    try:
        os.replace, os.fsync = counted(os.replace), counted(os.fsync)
        prepare(folder, given)
        os._exit(0)
    finally:
        os._exit(1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process that can be ended at a moment is a fork of this one")
def test_a_kill_at_any_moment_loses_nothing(given: Path, mine: Path, tmp_path: Path) -> None:
    before = solve(mine)
    second_edition(given)
    expected = tmp_path / "expected"
    shutil.copytree(mine, expected)
    prepare(expected, given)
    after = {name: content for name, content in contents(expected).items() if "/kept/" not in name}
    moment, folder = 1, tmp_path / "killed-1"
    shutil.copytree(mine, folder)
    while killed(folder, given, moment):
        now = (folder / NOTEBOOK).read_bytes()
        assert now in (before, after[NOTEBOOK])
        assert now == before or kept(folder) == {f"{LESSON}.ipynb": before}
        prepare(folder, given)
        assert {name: content for name, content in contents(folder).items() if "/kept/" not in name} == after
        assert kept(folder) == {f"{LESSON}.ipynb": before}
        moment += 1
        folder = tmp_path / f"killed-{moment}"
        shutil.copytree(mine, folder)
    assert moment > 10, "what it was made from, what it was, the notebook, the checks, the other file, the record"


def test_a_copy_is_found_from_anywhere_in_it(mine: Path, tmp_path: Path) -> None:
    assert workspace.find(mine) == workspace.find(mine / LESSON) == mine.resolve()
    mine.rename(tmp_path / paths.WORKSPACE)
    assert workspace.find(tmp_path) == (tmp_path / paths.WORKSPACE).resolve()
    with pytest.raises(WorkspaceError, match=r"There are no lessons that .* --folder"):
        workspace.find(tmp_path / "course")


def test_what_was_given_is_known_until_a_newer_one_comes(given: Path, mine: Path) -> None:
    lesson = catalogue.find_lesson(LESSON)
    first = (given / NOTEBOOK).read_bytes()
    second_edition(given)
    solve(mine)
    assert workspace.given(mine, lesson) == first
    prepare(mine, given)
    assert workspace.given(mine, lesson) == (given / NOTEBOOK).read_bytes()
    (mine / RECORD).unlink()
    assert workspace.given(mine, lesson) == lesson.notebook.read_bytes()


def test_the_courses_own_folders_are_no_place_to_work(given: Path) -> None:
    for folder in (given, given / LESSON, given.parent / "source" / "x"):
        with pytest.raises(WorkspaceError, match="Choose another folder"):
            prepare(folder, given)


def test_an_installation_without_lessons(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="nothing to open"):
        prepare(tmp_path / "mine", tmp_path / "release")
    assert not (tmp_path / "mine").exists()
