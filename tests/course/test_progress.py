"""The learner's progress: what is kept and made of it, and that nothing is lost when two write or one is killed."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from course import catalogue
from course.learner import progress
from course.learner.progress import load, record


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(progress.HOME_VARIABLE, str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time, in minutes."""

    def at(minutes: float) -> None:
        monkeypatch.setattr("course.learner.progress.time.time", lambda: 60 * minutes)

    return at


def test_the_beginning_needs_no_file(home: Path) -> None:
    course = load()
    assert not home.exists(), "looking writes nothing"
    assert {standing.points for standing in course.exercises.values()} == {0.0}
    first = course.next()
    assert first is not None and first.name == "cross_entropy"


def test_checks_are_counted_and_the_best_one_stays() -> None:
    for state, points in (("not attempted", 0.0), ("wrong", 4.0), ("right", 5.0), ("error", 0.0)):
        assert record("check", "freeze", state=state, points=points)
    freeze = load().exercises["freeze"]
    assert (freeze.state, freeze.points, freeze.tries, freeze.done) == ("error", 5.0, 3, True)
    assert load().exercises["unfreeze_to"].tries == 0


def test_no_more_points_than_the_exercise_has() -> None:
    record("check", "freeze", state="right", points=500.0)
    assert load().exercises["freeze"].points == 5.0


def test_the_next_step_is_in_the_lesson_worked_on_last() -> None:
    record("check", "freeze", state="right", points=5.0)
    following = load().next()
    assert following is not None and following.name == "trainable_report"
    for exercise in catalogue.find_lesson("04").exercises:
        record("check", exercise.name, state="right", points=exercise.points)
    following = load().next()
    assert following is not None and following.name == "cross_entropy"
    assert progress.summary(catalogue.find_lesson("04"), load()).endswith("Next: lesson 01-training-loop.")
    for exercise in catalogue.exercises():
        record("check", exercise.name, state="right", points=exercise.points)
    assert load().next() is None


def test_help_counts_until_the_exercise_is_right() -> None:
    record("hint", "freeze", points=1)
    record("hint", "freeze", points=2)
    record("hint", "freeze", points=1)
    record("check", "freeze", state="right", points=5.0)
    record("hint", "freeze", points=3)
    record("solution", "freeze")
    freeze = load().exercises["freeze"]
    assert (freeze.hints, freeze.solution) == (2, False)
    assert freeze.after_help(hint_cost=0.1, solution_cost=0.5) == pytest.approx(4.0)
    record("solution", "dice")
    record("check", "dice", state="right", points=3.0)
    assert load().exercises["dice"].after_help(hint_cost=0, solution_cost=1) == 0
    assert load().exercises["dice"].after_help(hint_cost=0, solution_cost=0) == 3


def test_the_next_hint_says_more_before_and_after_the_exercise_is_right() -> None:
    said = []
    for _ in range(4):
        said.append(progress.next_hint("freeze", 3))
        record("hint", "freeze", points=said[-1])
        record("check", "freeze", state="right", points=5.0)
    assert said == [1, 2, 3, 3]
    assert load().exercises["freeze"].hints == 1
    assert progress.next_hint("of_nobody", 3) == 1 and progress.next_hint("of_nobody", 3, given=1) == 2


def test_time_is_what_lies_between_events_and_a_break_is_none(clock: Callable[[float], None]) -> None:
    for minutes in (0, 4, 10, 100):
        clock(minutes)
        record("check", "freeze")
    clock(104)
    record("check", "dice")  # another lesson: nobody knows when it was begun
    clock(109)
    record("check", "dice")
    assert load().seconds == {"04-freezing": 60 * (10 + 15), "06-vision-tasks": 60 * 5}
    assert progress.spent(60 * 25) == "25 min"
    assert progress.spent(60 * 125) == "2 h 5 min"


WRITER = """
import sys
from course.learner.progress import record
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[1])):
    assert record("check", "freeze", state="wrong", points=1.0)
    print(number, flush=True)
"""


def _writer(count: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def _go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def test_two_kernels_write_at_once() -> None:
    writers = [_writer(50), _writer(50)]
    for writer in writers:
        _go(writer)
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    assert load().exercises["freeze"].tries == 100


@pytest.mark.skipif(os.name == "nt", reason="there is no kill -9")
def test_a_kill_in_the_middle_loses_nothing_that_was_written() -> None:
    writer = _writer(100_000)
    _go(writer)
    assert writer.stdout is not None
    for _ in range(20):
        last = int(writer.stdout.readline())
    writer.kill()
    rest = writer.stdout.read().split()  # what it had said before it was killed
    writer.wait()
    said = int(rest[-1] if rest else last) + 1
    assert said <= load().exercises["freeze"].tries <= said + 1
    assert record("check", "freeze", state="right", points=5.0)
    assert load().exercises["freeze"].done


def test_a_damaged_file_is_put_aside_and_a_new_one_begun(home: Path) -> None:
    home.mkdir()
    progress.file().write_bytes(b"no database at all, but long enough to be taken for one" * 100)
    assert record("check", "freeze", state="right", points=5.0)
    assert load().exercises["freeze"].done
    (aside,) = home.glob("progress.broken-*")
    assert aside.read_bytes().startswith(b"no database")


def _lost_table() -> None:
    with closing(sqlite3.connect(progress.file())) as database, database:
        database.execute("DROP TABLE event")


def _damaged_page() -> None:
    content = progress.file().read_bytes()
    assert len(content) > 2 * 4096, "pages beyond the first"
    progress.file().write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))


@pytest.mark.parametrize("damage", [_lost_table, _damaged_page])
@pytest.mark.parametrize("first", [lambda: record("check", "freeze"), load])
def test_damage_behind_a_sound_header_is_put_aside_too(
    home: Path, damage: Callable[[], None], first: Callable[[], object]
) -> None:
    for _ in range(20):
        record("check", "freeze", note="a long note" * 100)
    damage()
    assert first()
    assert record("check", "freeze", state="right", points=5.0)
    assert load().exercises["freeze"].done
    assert len(list(home.glob("progress.broken-*"))) == 1


def test_the_learner_can_name_their_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setenv(progress.HOME_VARIABLE, "~/course")
    assert progress.home() == tmp_path / "course"
    monkeypatch.setenv(progress.HOME_VARIABLE, "~nobody-of-this-name/course")
    assert progress.home() == Path("~nobody-of-this-name/course")


def test_what_cannot_be_written_stops_nobody(home: Path) -> None:
    home.write_text("a file where the folder should be")
    assert record("check", "freeze", state="right", points=5.0) is False
    assert load().exercises["freeze"].points == 0


def test_a_file_that_somebody_else_holds_is_waited_for_and_then_left(home: Path) -> None:
    record("check", "freeze", state="right", points=5.0)
    holder = sqlite3.connect(progress.file())
    holder.execute("BEGIN EXCLUSIVE")
    begun = time.monotonic()
    assert record("check", "freeze") is False
    assert load().exercises["freeze"].points == 0
    assert time.monotonic() - begun < 1.5
    holder.rollback()
    holder.close()
    assert record("check", "freeze") is True
    assert not list(home.glob("progress.broken-*"))


def test_deleting_the_file_loses_only_the_history() -> None:
    record("check", "freeze", state="right", points=5.0)
    progress.file().unlink()
    assert load().exercises["freeze"].points == 0
    assert record("check", "freeze", state="right", points=5.0)
    assert load().exercises["freeze"].done


def test_an_exercise_that_no_longer_exists_is_passed_over() -> None:
    assert record("check", "from_an_older_release", lesson="99-gone", state="right", points=5.0)
    assert sum(standing.points for standing in load().exercises.values()) == 0


def test_a_reset_takes_back_what_it_gave_and_keeps_what_was_tried() -> None:
    for name in ("freeze", "unfreeze_to"):
        record("hint", name, points=1)
        record("check", name, state="right", points=catalogue.find_exercise(name).points)
    record("reset", "freeze")
    freeze, other = (load().exercises[name] for name in ("freeze", "unfreeze_to"))
    assert (freeze.points, freeze.state, freeze.tries, freeze.hints) == (0.0, "", 1, 1) and other.done
    record("reset", lesson="04-freezing")
    assert not load().exercises["unfreeze_to"].done
