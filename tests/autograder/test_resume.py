"""Killed at any moment, out of disk, locked out: one run ends, the next one finishes, and nothing is left behind."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from autograder import cli, gradebook, layout, pool, tables
from autograder.limits import Limits
from autograder.scratch import MARK, Held, abandoned, sweep
from autograder.station import Station

RIGHT, WRONG = "def square(x):\n    return x * x", "def square(x):\n    return x"
ANSWERS = {f"student-{number}": RIGHT if number % 3 else WRONG for number in range(8)}
SCORES = {student: 2.0 if answer is RIGHT else 0.0 for student, answer in ANSWERS.items()}


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files, of this process and of those it starts."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def until(condition: Callable[[], object], seconds: float = 300) -> None:
    """Waits for what another process does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "It never came."
        time.sleep(0.005)


@contextlib.contextmanager
def gate(course, student: str, folder: Path) -> Iterator[Path]:
    """Makes a student's code say that it runs, and wait until ``open`` is there."""
    began, go = folder / f"{student}-began", folder / "open"
    waits = (
        f"import os, time\nopen({str(began)!r}, 'w').close()\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
    )
    course.submit(student, waits + ANSWERS[student])
    yield began


@pytest.fixture
def started(squares: Callable, tmp_path: Path, temporary: Path) -> Iterator[tuple]:
    """A run in the midst: two are saved, and the third one's code runs and waits."""
    course = squares()
    with gate(course, "student-2", tmp_path) as began:
        for student, answer in ANSWERS.items():
            if student != "student-2":
                course.submit(student, answer)
        process = subprocess.Popen(
            course.command("--jobs", "1"), cwd=course.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        until(lambda: began.exists() and len(list(course.root.glob("autograded/*/ps1"))) == 2)
        yield course, process, tmp_path / "open"
        process.kill()
        process.communicate()


def family(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def finish(course) -> str:
    """The next run: grades the rest, and leaves nothing behind."""
    done = course.grade()
    assert done.returncode == 0, done.stdout + done.stderr
    assert course.scores() == SCORES
    assert course.leftovers() == []
    return done.stdout


def test_a_killed_grader_takes_all_its_processes_along_and_the_next_run_finishes(started, temporary: Path) -> None:
    course, process, go = started
    begun = family(process.pid)
    assert len(begun) >= 3  # the warm process, a judge, a sandbox
    kept = {path: path.stat().st_mtime_ns for path in course.root.glob("autograded/*/ps1/problem.ipynb")}
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert psutil.wait_procs(begun, timeout=20)[1] == []
    go.touch()
    assert "2 of 8 are graded already" in finish(course)
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    assert list(temporary.glob(f".*{MARK}*")) == []


@pytest.mark.parametrize("which", ["warm", "judge", "sandbox"])
def test_a_process_killed_under_a_grader_costs_nobody_else(started, temporary: Path, which: str) -> None:
    course, process, go = started
    (warm,) = psutil.Process(process.pid).children()
    sandbox, judge = sorted(warm.children(), key=lambda one: one.pid)
    {"warm": warm, "judge": judge, "sandbox": sandbox}[which].kill()
    go.touch()
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    lost = {} if which == "warm" else {"student-2": 0.0}  # what a warm process takes along is graded again
    assert course.scores() == SCORES | lost
    assert lost == {} or b"crashed" in said
    assert list(temporary.glob(f".*{MARK}*")) == [] and course.leftovers() == []
    assert course.grade("--force", "--student", "student-2").returncode == 0
    assert course.scores() == SCORES


KILLED = """
import os, signal, sys
from autograder import cli, gradebook, tables
moment = sys.argv.pop(1)
def dies(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
def dies_after(action):
    def both(*args, **kwargs):
        action(*args, **kwargs)
        dies()
    return both
if moment == "staged":
    tables.write = dies
elif moment == "written":
    tables._write_scores = dies_after(tables._write_scores)
elif moment == "committed":
    gradebook._put = dies
elif moment == "in place":
    gradebook._put = dies_after(gradebook._put)
elif moment == "between":
    rename = gradebook.Path.rename
    gradebook.Path.rename = dies_after(rename)
cli.main()
"""


STILLBORN = """
from autograder import cli
from autograder.sandbox import warm
warm.ENVIRONMENT = ("PATH", "PYTHONHOME")
import os
os.environ["PYTHONHOME"] = "/nowhere"  # of the warm process: this one has started
cli.main()
"""


@pytest.mark.parametrize("moment", ["staged", "written", "committed", "between", "in place"])
@pytest.mark.parametrize("force", [False, True])
def test_a_grader_killed_while_it_saves_leaves_no_half_submission(
    squares: Callable, temporary: Path, moment: str, force: bool
) -> None:
    course = squares()
    course.submit("ada", WRONG)
    if force:
        assert course.grade().returncode == 0
        shutil.rmtree(course.root / "submitted" / "ada")
        course.submit("ada", RIGHT)
    words = course.command(*(["--force"] if force else []))
    killed = subprocess.run([sys.executable, "-c", KILLED, moment, *words[1:]], cwd=course.root, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = course.grade()
    assert done.returncode == 0, done.stdout + done.stderr
    again = "are graded already" not in done.stdout
    assert again == (moment != "in place" and not (moment == "between" and not force))
    assert course.scores() == {"ada": 2.0 if force else 0.0}
    assert course.leftovers() == [] and list(temporary.glob(f".*{MARK}*")) == []


def test_a_held_folder_is_swept_only_when_its_process_is_gone(tmp_path: Path) -> None:
    held = Held(tmp_path, "test")
    (tmp_path / f".test-{MARK}-file").write_text("no folder")
    gone = subprocess.run(
        [
            sys.executable,
            "-c",
            f"from pathlib import Path; from autograder.scratch import Held; import os, signal\n"
            f"print(Held(Path({str(tmp_path)!r}), 'test').path, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)",
        ],
        capture_output=True,
        text=True,
    ).stdout.strip()
    assert [str(path) for path in abandoned(tmp_path, "test")] == [gone]
    sweep(tmp_path, "test")
    assert held.path.is_dir() and not Path(gone).exists()
    held.remove()
    assert not held.path.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[Path], Path]]:
    """Mounts file systems of 512 KiB."""
    mounted: list[Path] = []

    def mount(path: Path) -> Path:
        path.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(path)], capture_output=True)
        if done.returncode != 0:
            pytest.skip(f"This user cannot mount: {done.stderr.decode().strip()}")
        mounted.append(path)
        return path

    yield mount
    for path in mounted:
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_full_disk_ends_in_a_sentence_and_the_next_run_resumes(squares: Callable, small_disk: Callable) -> None:
    course = squares()
    for student, answer in ANSWERS.items():
        course.submit(student, answer)
    disk = small_disk(course.root / "autograded")
    full = disk / "full"
    full.write_bytes(bytes(488 * 1024))
    said = course.grade()
    assert said.returncode == 1 and "No space left on device" in said.stderr and "Traceback" not in said.stderr
    before = course.scores()
    assert len(before) < len(SCORES) and before.items() <= SCORES.items()
    full.unlink()
    finish(course)


def test_a_gradebook_without_room_ends_in_a_sentence_and_the_next_run_resumes(
    squares: Callable, small_disk: Callable, tmp_path: Path
) -> None:
    disk = small_disk(tmp_path / "disk")
    course = squares(f'c.CourseDirectory.db_url = "sqlite:///{disk}/gradebook.db"')
    for student, answer in ANSWERS.items():
        course.submit(student, answer)
    full = disk / "full"
    with contextlib.suppress(OSError), full.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    said = course.grade()
    assert said.returncode == 1 and "The gradebook cannot be written" in said.stderr and "Traceback" not in said.stderr
    assert course.scores() == {} and course.leftovers() == []
    full.unlink()
    finish(course)


def test_one_folder_that_may_not_be_written_stops_nobody_else(
    squares: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = squares()
    for student in ("ada", "bob"):
        course.submit(student, RIGHT)
    stage = gradebook._stage

    def refused(target: Path, *words: object) -> Held:
        if target.parent.name == "ada":
            raise PermissionError(13, "Permission denied", str(target.parent))
        return stage(target, *words)

    monkeypatch.setattr(gradebook, "_stage", refused)
    said = CliRunner().invoke(cli.main, ["grade", "ps1", "--isolation=none", f"--course-dir={course.root}"])
    assert said.exit_code == 1 and "ada was not graded." in said.output and "not yours to write" in said.output
    assert course.scores() == {"bob": 2.0}


@pytest.mark.skipif(os.geteuid() != 0, reason="Only root can mount a folder read-only.")
def test_a_read_only_course_ends_in_a_sentence_before_anything_is_graded(squares: Callable) -> None:
    course = squares()
    for student, answer in ANSWERS.items():
        course.submit(student, answer)
    root = str(course.root)
    subprocess.run(["mount", "--bind", root, root], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", root], check=True)
        said = course.grade()
    finally:
        subprocess.run(["umount", "-l", root], check=True)
    assert said.returncode == 1 and "cannot be written" in said.stderr and "Traceback" not in said.stderr
    finish(course)


def test_two_graders_at_once_add_a_submission_once(squares: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = squares().directory
    with gradebook.open_gradebook(directory) as book:
        structure = gradebook.expect_assignment(book, layout.read_assignment(directory, "ps1"))
    both, insert = threading.Barrier(2), tables._insert

    def meets(*words: object) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.5)
        insert(*words)

    def write() -> None:
        with gradebook.open_gradebook(directory) as book, book.engine.begin() as connection:
            tables.write(connection, structure, [tables.Entry("ada", None, {})])

    monkeypatch.setattr(tables, "_insert", meets)
    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(write) for _ in range(2)]:
            done.result()
    with gradebook.open_gradebook(directory) as book:
        assert [one.student_id for one in book.assignment_submissions("ps1")] == ["ada"]


def test_an_interrupted_grader_says_what_stays(started) -> None:
    course, process, go = started
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 1 and b"What was saved stays" in said and b"Traceback" not in said
    go.touch()
    finish(course)


def test_a_locked_gradebook_is_waited_for(squares: Callable) -> None:
    course = squares()
    course.submit("ada", RIGHT)
    directory = course.directory
    assignment = layout.read_assignment(directory, "ps1")
    other = sqlite3.connect(course.root / "gradebook.db", check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    said: list[str] = []

    def say(words: str) -> None:
        said.append(words)
        other.rollback()

    with gradebook.Writer(directory, assignment, say=say) as writer:
        assert not writer.is_graded(*layout.submissions(directory, assignment))
    assert len(said) == 1 and "locked by another program" in said[0]
    other.close()


def test_a_gradebook_that_stays_locked_ends_in_a_sentence_and_loses_nothing(squares: Callable) -> None:
    course = squares()
    for student in ("ada", "bob"):
        course.submit(student, RIGHT)
    directory = course.directory
    assignment = layout.read_assignment(directory, "ps1")
    other = sqlite3.connect(course.root / "gradebook.db")
    results = pool.grade_all(
        assignment, list(layout.submissions(directory, assignment)), limits=Limits(), isolate=False, jobs=1
    )
    with (
        contextlib.closing(results),
        pytest.raises(gradebook.GradebookError, match="kept it locked"),
        gradebook.Writer(directory, assignment, say=lambda words: None, patience=0.1) as writer,
    ):
        other.execute("BEGIN IMMEDIATE")
        for one, reports in results:
            writer.save(one, reports)
    other.close()
    assert course.scores() == {} and course.leftovers() == []
    assert course.grade().returncode == 0 and course.scores() == {"ada": 2.0, "bob": 2.0}


def test_where_nothing_can_be_imported_nobody_is_graded(squares: Callable) -> None:
    course = squares()
    course.submit("ada", RIGHT)
    said = subprocess.run(
        [sys.executable, "-c", STILLBORN, *course.command()[1:]], cwd=course.root, capture_output=True, text=True
    )
    assert said.returncode == 1 and "ended before it could grade anything" in said.stderr, said
    assert course.scores() == {}


def test_a_fork_that_fails_is_said_of_that_submission_alone(squares: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    course = squares()
    for student in ("ada", "bob", "cleo"):
        course.submit(student, RIGHT)
    directory = course.directory
    assignment = layout.read_assignment(directory, "ps1")
    grade = Station.grade

    def fails(self: Station, submission: layout.Submission):
        if submission.student == "bob":
            raise OSError(11, "Resource temporarily unavailable")
        return grade(self, submission)

    monkeypatch.setattr(Station, "grade", fails)
    found = dict(
        pool.grade_all(
            assignment,
            list(layout.submissions(directory, assignment)),
            limits=Limits(),
            isolate=False,
        )
    )
    by_student = {one.student: reports for one, reports in found.items()}
    assert isinstance(by_student["bob"], pool.NotGraded) and "temporarily unavailable" in by_student["bob"].reason
    assert by_student["ada"]["problem"].points == by_student["cleo"]["problem"].points == 2
