"""What a course directory assigns, and what of a learner's folder is let in."""

import os
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbgrader.coursedir import CourseDirectory

from autograder import layout
from autograder.layout import LayoutError, Submission
from autograder.limits import Limits

CONFIG = """
c = get_config()
c.CourseDirectory.max_file_size = 10
c.Autograde.exclude_overwriting = {"ps1": ["own.py"]}
"""


@pytest.fixture
def course(tmp_path: Path, cells: SimpleNamespace) -> CourseDirectory:
    """A course whose ps1 ships two files, and has a notebook in Python, one in R and one of a named environment."""
    (tmp_path / "nbgrader_config.py").write_text(CONFIG)
    source = tmp_path / "source" / "ps1"
    (source / "data").mkdir(parents=True)
    (source / "data" / "given.csv").write_text("1")
    (source / "own.py").write_text("def theirs(): ...")
    for name, kernel in (
        ("work", {"name": "python3", "language": "python"}),
        ("plot", {"name": "ir", "language": "R"}),
        ("more", {"name": "conda-env-ml-py"}),
    ):
        notebook = cells.notebook(cells.test("t", "assert 1"))
        notebook.metadata["kernelspec"] = {"display_name": name, **kernel}
        nbformat.write(notebook, source / f"{name}.ipynb")
    (tmp_path / "submitted" / "ada" / "ps1").mkdir(parents=True)
    return layout.open_course(tmp_path)


def only(course: CourseDirectory, limits: Limits | None = None) -> Submission:
    [one] = layout.submissions(course, layout.read_assignment(course, "ps1"), limits)
    return one


def test_any_python_is_graded_and_another_language_is_refused_with_a_sentence(course: CourseDirectory) -> None:
    task = layout.read_assignment(course, "ps1")
    assert set(task.notebooks) == {"work", "more"} and set(task.refused) == {"plot"}
    assert "plot is a notebook in r" in task.refused["plot"] and task.left == {"plot"}


def test_a_pattern_restricts_the_notebooks_and_leaves_the_others(course: CourseDirectory) -> None:
    course.notebook_id = "w*"
    task = layout.read_assignment(course, "ps1")
    assert set(task.notebooks) == {"work"} and not task.refused and task.left == {"plot", "more"}
    course.notebook_id = "x*"
    with pytest.raises(LayoutError, match=r"It has more, plot, work\."):
        layout.read_assignment(course, "ps1")


def test_a_learners_own_files_come_along_and_the_assignments_win(course: CourseDirectory) -> None:
    folder = Path(course.root, "submitted", "ada", "ps1")
    (folder / "data").mkdir()
    for name in ("data/given.csv", "data/mine.csv", "own.py", "helper.py", "notes.ipynb", "timestamp.txt", "x.pyc"):
        (folder / name).write_text("mine")
    assert set(only(course).extra) == {"data/mine.csv", "own.py", "helper.py"}


def test_links_pipes_odd_names_and_large_files_stay_out(course: CourseDirectory, tmp_path: Path) -> None:
    folder = Path(course.root, "submitted", "ada", "ps1")
    (folder / "link.txt").symlink_to("/etc/passwd")
    (folder / "folder").symlink_to("/etc")
    (folder / "data").write_text("a file where the assignment has a folder")
    os.mkfifo(folder / "pipe")
    (folder / "new\nline").write_text("x")
    (folder / "large.bin").write_bytes(b"0" * 10_001)
    (folder / "fits.bin").write_bytes(b"0" * 10_000)
    assert set(only(course).extra) == {"fits.bin"}
    assert only(course, Limits(file_mib=0.001)).extra == {}
    assert only(course, Limits(scratch_mib=0.015)).extra == {}


def test_many_files_are_cut(course: CourseDirectory) -> None:
    folder = Path(course.root, "submitted", "ada", "ps1")
    for number in range(layout.MOST_FILES + 5):
        (folder / f"{number}.txt").touch()
    assert len(only(course).extra) == layout.MOST_FILES


@pytest.mark.parametrize("linked", ["ada", "ada/ps1"])
def test_a_linked_folder_is_not_followed(course: CourseDirectory, tmp_path: Path, linked: str) -> None:
    where = Path(course.root, "submitted", linked)
    where.rename(tmp_path / "elsewhere")
    where.symlink_to(tmp_path / "elsewhere")
    one = only(course)
    assert one.linked and not one.extra
    path = one.notebook("work")
    assert path == Path(course.root, "submitted", "ada", "ps1") and not path.is_file()


def test_a_stamp_that_is_a_link_or_a_pipe_says_nothing(course: CourseDirectory) -> None:
    folder = Path(course.root, "submitted", "ada", "ps1")
    (folder / "timestamp.txt").write_text("2026-01-05 12:00:00 UTC")
    assert layout.timestamp(course, folder).year == 2026
    (folder / "timestamp.txt").unlink()
    os.mkfifo(folder / "timestamp.txt")
    assert layout.timestamp(course, folder) is None
    (folder / "timestamp.txt").unlink()
    (folder / "timestamp.txt").symlink_to("/dev/zero")
    assert layout.timestamp(course, folder) is None


def test_another_structure_of_folders(course: CourseDirectory) -> None:
    course.directory_structure = "{nbgrader_step}/{assignment_id}/{student_id}"
    source = Path(course.root, "source", "ps1")
    moved = Path(course.root, "submitted", "ps1", "bob")
    moved.mkdir(parents=True)
    assert source.is_dir() and only(course).student == "bob"
