"""What the grader may not read is said or left out, and holds up nobody. Root reads all: an ordinary user runs this."""

import os
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_notebook

from autograder import layout

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")


def test_closed_folders_are_found_and_closed_files_left_out(tmp_path: Path) -> None:
    (tmp_path / "nbgrader_config.py").touch()
    for folder in ("source/ps", "submitted/ann/ps", "submitted/bob/ps", "submitted/cem/ps", "submitted/dan"):
        (tmp_path / folder).mkdir(parents=True)
    nbformat.write(new_notebook(), tmp_path / "source/ps/ps.ipynb")
    for name in ("open.txt", "closed.txt"):
        (tmp_path / "submitted/ann/ps" / name).write_text("x")
    closed = [tmp_path / "submitted" / path for path in ("ann/ps/closed.txt", "bob/ps", "cem", "dan")]
    course = layout.open_course(tmp_path)
    assignment = layout.read_assignment(course, "ps")
    for path in closed:
        path.chmod(0)
    try:
        found = {one.student: one for one in layout.submissions(course, assignment)}
        assert list(found) == ["ann", "bob", "cem", "dan"]  # whether dan submitted anything, nobody can tell
        assert list(found["ann"].extra) == ["open.txt"]
        for student in ("bob", "cem", "dan"):
            with pytest.raises(PermissionError):  # which becomes a sentence about that student
                found[student].notebook("ps")
        course.student_id = "cem"
        assert [one.student for one in layout.submissions(course, assignment)] == ["cem"]
    finally:
        for path in closed:
            path.chmod(0o755)
