"""The stub back: one cell, or a lesson, and never at the cost of what was written."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_output

from course import catalogue
from course.learner.resetting import reset
from course.learner.workspace import WorkspaceError, prepare

LESSON = catalogue.find_lesson("freezing")
FREEZE = catalogue.find_exercise("freeze")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    prepare(tmp_path)
    return tmp_path


def notebook(mine: Path) -> Path:
    return mine / LESSON.name / f"{LESSON.name}.ipynb"


def edit(mine: Path) -> NotebookNode:
    """A learner's notebook: everything ran, one answer is written, one cell added."""
    made = nbformat.read(notebook(mine), as_version=4)
    for cell in made.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [new_output("stream", text="ran")], 1
    at(made, "freeze").source = "def freeze(): 冻结"
    made.cells.insert(5, new_code_cell("mine"))
    nbformat.write(made, notebook(mine))
    return made


def at(made: NotebookNode, grade_id: str) -> NotebookNode:
    return next(cell for cell in made.cells if cell.id == grade_id)


def test_only_that_cell_changes(mine: Path) -> None:
    given, before = nbformat.read(notebook(mine), as_version=4), edit(mine)
    kept = reset(mine, LESSON, FREEZE)
    assert kept is not None and kept.parent == mine / LESSON.name / "kept" and kept.name.endswith("-freeze.py")
    assert kept.read_text(encoding="utf-8") == "def freeze(): 冻结\n"
    after = nbformat.read(notebook(mine), as_version=4)
    assert at(after, "freeze") == at(given, "freeze")
    for made in (before, after):
        made.cells.remove(at(made, "freeze"))
    assert after == before


def test_what_is_kept_is_never_overwritten(mine: Path) -> None:
    texts = []
    for attempt in ("one", "two", "three", "one"):
        made = nbformat.read(notebook(mine), as_version=4)
        at(made, "freeze").source = attempt
        nbformat.write(made, notebook(mine))
        kept = reset(mine, LESSON, FREEZE)
        assert kept is not None
        texts.append((kept, kept.read_text()))
    assert [text for _, text in texts] == ["one\n", "two\n", "three\n", "one\n"]
    assert len({path for path, _ in texts}) == 3, "what is kept already is not kept twice"
    assert reset(mine, LESSON, FREEZE) is None


def test_a_cell_thrown_away_comes_back_where_it_was(mine: Path) -> None:
    made = edit(mine)
    order = [cell.id for cell in made.cells]
    made.cells.remove(at(made, "freeze"))
    nbformat.write(made, notebook(mine))
    assert reset(mine, LESSON, FREEZE) is None
    after = nbformat.read(notebook(mine), as_version=4)
    assert [cell.id for cell in after.cells] == order and "NotImplementedError" in at(after, "freeze").source


def test_a_whole_lesson(mine: Path) -> None:
    given = notebook(mine).read_bytes()
    assert reset(mine, LESSON) is None and notebook(mine).read_bytes() == given
    edit(mine)
    before = notebook(mine).read_bytes()
    kept = reset(mine, LESSON)
    assert kept is not None and kept.name.endswith(f"-{LESSON.name}.ipynb") and kept.read_bytes() == before
    assert notebook(mine).read_bytes() == given
    notebook(mine).unlink()
    assert reset(mine, LESSON) is None and notebook(mine).read_bytes() == given


@pytest.mark.parametrize("broken", [b"{", None])
def test_a_broken_notebook_is_reset_only_as_a_whole(mine: Path, broken: bytes | None) -> None:
    given = notebook(mine).read_bytes()
    notebook(mine).unlink()
    if broken is not None:
        notebook(mine).write_bytes(broken)
    with pytest.raises(WorkspaceError, match=r"cannot be read .* `course reset 04-freezing` keeps it aside"):
        reset(mine, LESSON, FREEZE)
    kept = reset(mine, LESSON)
    assert (kept and kept.read_bytes()) == broken
    assert notebook(mine).read_bytes() == given


def test_a_folder_in_the_notebooks_place_is_said(mine: Path) -> None:
    notebook(mine).unlink()
    notebook(mine).mkdir()
    with pytest.raises(WorkspaceError, match="could not be put back"):
        reset(mine, LESSON)


def test_what_is_saved_meanwhile_is_kept(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(mine)
    fsync, saved = os.fsync, []

    def save(descriptor: int) -> None:
        """The learner saves when the notebook with the stub is written already, next to theirs."""
        fsync(descriptor)
        if not saved and list(notebook(mine).parent.glob(".*.part")):
            text = notebook(mine).read_text(encoding="utf-8").replace("def freeze(): 冻结", "def freeze(): better")
            saved.append(notebook(mine).write_text(text.replace('"mine"', '"mine too"'), encoding="utf-8"))

    monkeypatch.setattr(os, "fsync", save)
    kept = reset(mine, LESSON, FREEZE)
    assert kept is not None and kept.read_text() == "def freeze(): better\n"
    assert '"mine too"' in notebook(mine).read_text(encoding="utf-8")
