"""Exit codes, and sentences that say what to do."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import nbformat
import nbgrader
import pytest
from click.testing import CliRunner, Result

from autograder import feedback, layout
from autograder.cli import main
from autograder.precedents import JUDGES
from autograder.sandbox import isolation
from autograder.settings import Autograder


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@pytest.fixture
def root(tmp_path: Path, cells: SimpleNamespace) -> Path:
    """A course directory with one assignment, which no gradebook knows."""
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\nc.Execute.timeout = 7\n")
    folder = tmp_path / "source" / "ps1"
    folder.mkdir(parents=True)
    nbformat.write(cells.notebook(cells.test("t", "assert 1")), folder / "work.ipynb")
    return tmp_path


def test_help_names_the_commands_and_their_options() -> None:
    assert "grade" in run("-h").output
    said = run("grade", "--help")
    assert said.exit_code == 0
    for option in ("--student", "--force", "--jobs", "--isolation", "--hide", "--course-dir"):
        assert option in said.output


def test_what_is_no_command_is_a_usage_error() -> None:
    assert run("mark", "ps1").exit_code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Name one assignment"),
        (["ps1", "--assignment=ps2"], "Name one assignment"),
        (["ps1", "ps2"], "Name one assignment"),
        (["ps1", "--isolation", "maybe"], "maybe"),
        (["ps1", "--jobs=-1"], "jobs"),
        (["ps1", "--jobs=many"], "jobs"),
        (["ps1", "--Autograder.memory_mib=-1"], "memory_mib"),
        (["ps1", "--no-such-flag"], "no-such-flag"),
        (["ps1", "--Execute.enabled=False"], "Points come from running tests"),
        (["ps1", "--hide=/no/such/folder"], "/no/such/folder"),
        (["ps+1"], "should not contain"),
        (["ps1", "--db=nonsense"], "CourseDirectory.db_url"),
        (["ps1", "--notebook=nope"], "No notebook of ps1 is called nope. It has work."),
    ],
)
def test_what_cannot_be_done_ends_as_it_does_with_nbgrader(root: Path, words: list[str], said: str) -> None:
    result = run("grade", "--course-dir", str(root), "--isolation=none", *words)
    assert result.exit_code in (1, 2) and said in result.output, result.output


@pytest.mark.parametrize("verb", ["grade", "report"])
def test_a_configuration_that_cannot_be_read_is_not_passed_over(root: Path, verb: str) -> None:
    (root / "nbgrader_config.py").write_text("c = get_config()\nc.Execute.timeout = (\n")
    said = run(verb, "ps1", f"--course-dir={root}")
    assert said.exit_code == 1 and "mend nbgrader_config.py" in said.output


def test_a_folder_that_is_no_course_is_said_to_be_none(tmp_path: Path) -> None:
    said = run("grade", "ps1", "--course-dir", str(tmp_path), "--isolation", "none")
    assert (
        said.exit_code == 1 and "is not an nbgrader course directory" in said.output and "--course-dir" in said.output
    )


@pytest.mark.parametrize(
    ("verb", "name", "content", "words"),
    [
        ("grade", "more.ipynb", "{", "cannot be read as a notebook"),
        ("report", "more.ipynb", "{", "cannot be read as a notebook"),
        ("grade", "more.ipynb", None, "more.ipynb"),
        ("report", "more.ipynb", None, "more.ipynb"),
        ("grade", "shipped.py", None, "shipped.py"),
    ],
)
def test_a_source_that_cannot_be_read_ends_in_a_sentence(
    squares: Callable, verb: str, name: str, content: str | None, words: str
) -> None:
    course = squares()
    course.submit("ada", "")
    path = course.root / "source" / "ps1" / name
    if content is None:
        path.symlink_to(path)  # not even root can read it
    else:
        path.write_text(content)
    said = run(verb, "ps1", f"--course-dir={course.root}")
    assert said.exit_code == 1 and words in said.output and isinstance(said.exception, SystemExit)


def test_an_assignment_without_a_source_is_said_to_have_none(root: Path) -> None:
    said = run("grade", "ps2", "--course-dir", str(root), "--isolation", "none")
    assert (
        said.exit_code == 1
        and "There is no notebook in" in said.output
        and "source/ps2" in said.output.replace("\n", "")
    )


def test_a_machine_that_cannot_isolate_is_refused_with_a_way_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "why_not", lambda: "No namespaces here.")
    said = run("grade", "ps1", "--course-dir", str(root))
    assert said.exit_code == 1 and "No namespaces here." in said.output and "--isolation none" in said.output


def test_the_courses_own_time_limit_is_used(root: Path) -> None:
    assert Autograder(parent=layout.open_course(root).parent).limits().cell_seconds == 7


def test_the_course_and_the_courses_of_packages_are_out_of_sight(root: Path) -> None:
    hidden = layout.hidden(layout.open_course(root))
    assert root in hidden and root / "source" in hidden
    assert Path(nbgrader.__file__).parent in hidden  # its documentation and its tests have solutions


def test_a_folder_whose_name_is_no_text_is_left_out_and_the_others_are_graded(squares: Callable) -> None:
    course = squares()
    for student in ("ada", "bob", "cleo"):
        course.submit(student, "def square(x):\n    return x * x")
    submitted = course.root / "submitted"
    try:
        (submitted / "bob").rename(submitted / os.fsdecode(b"b\xff\xfe"))
    except OSError:
        pytest.skip("This file system has no such names.")
    said = course.grade()
    assert said.returncode == 1 and r"The name of the folder b\xff\xfe is no text" in said.stdout, said
    assert course.scores() == {"ada": 2.0, "cleo": 2.0}


def test_every_submission_has_a_judge_where_the_course_wants_that(squares: Callable) -> None:
    course = squares()
    for number in range(8):
        course.submit(f"s{number}", f"# {number}\ndef square(x):\n    return x * x")

    def judged() -> list[bool]:
        graded = course.root.glob("autograded/*/ps1/problem.ipynb")
        return [nbformat.read(path, as_version=4).metadata.autograder["judged"] for path in graded]

    assert course.grade("--jobs", "1").returncode == 0
    scores = course.scores()
    assert judged().count(True) == JUDGES and set(scores.values()) == {2.0}
    assert course.grade("--jobs", "1", "--force", "--Autograder.precedents=False").returncode == 0
    assert all(judged()) and course.scores() == scores


@pytest.mark.parametrize(
    ("line", "is_shown"),
    [
        ("", True),
        ("c.GenerateFeedback.preprocessors.append('autograder.feedback.HideHiddenTests')", False),
        ("from autograder.feedback import HideHiddenTests as H\nc.GenerateFeedback.preprocessors = [H]", False),
        ("c.GenerateFeedback.preprocessors = ['nbgrader.preprocessors.GetGrades']", True),
    ],
)
def test_a_course_whose_feedback_would_show_hidden_tests_is_told(
    root: Path, cells: SimpleNamespace, line: str, is_shown: bool
) -> None:
    (root / "nbgrader_config.py").write_text(f"c = get_config()\n{line}\n")
    course = layout.open_course(root)
    visible, secret = "assert 1", "assert 1\n### BEGIN HIDDEN TESTS\nassert 2\n### END HIDDEN TESTS"
    assert feedback.warning(course, "ps1", [cells.notebook(cells.test("t", visible))]) is None
    said = feedback.warning(course, "ps1", [cells.notebook(cells.test("t", secret))])
    assert (said is not None) is is_shown
    if said is not None:  # the line that it says to put there is one that does it
        (advice,) = re.findall(r"put (c\..*) into nbgrader_config\.py", said)
        (root / "nbgrader_config.py").write_text(f"c = get_config()\n{advice}\n")
        assert feedback.warning(layout.open_course(root), "ps1", [cells.notebook(cells.test("t", secret))]) is None


def test_grading_such_a_course_says_so_in_one_sentence(squares: Callable) -> None:
    course = squares()
    source = course.root / "source" / "ps1" / "problem.ipynb"
    notebook = nbformat.read(source, as_version=4)
    notebook.cells[1].source += "\n### BEGIN HIDDEN TESTS\nassert square(5) == 25\n### END HIDDEN TESTS"
    nbformat.write(notebook, source)
    course.submit("ada", "def square(x):\n    return x * x")
    said = course.grade()
    assert said.returncode == 0, said
    assert said.stdout.count("would show learners the hidden tests of ps1: put c.GenerateFeedback.preprocessors") == 1


def test_submissions_are_found_by_student(root: Path) -> None:
    for student in ("ada", "b[1]", "cleo x", ".git"):
        (root / "submitted" / student / "ps1").mkdir(parents=True)
    (root / "submitted" / "file").write_text("")
    course, ps1 = layout.open_course(root), layout.Assignment("ps1", {}, {})
    assert [s.student for s in layout.submissions(course, ps1)] == ["ada", "b[1]", "cleo x"]
    course.student_id = "c*"
    assert [s.student for s in layout.submissions(course, ps1)] == ["cleo x"]
    course.student_id, course.student_id_exclude = "*", "ada,cleo x"
    assert [s.student for s in layout.submissions(course, ps1)] == ["b[1]"]
    assert [s.student for s in layout.submissions(course, layout.Assignment("ps2", {}, {}))] == []
