"""`course progress`, `course hint` and `course solution`, as a terminal and as a script see them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from course import catalogue, cli, paths
from course.learner import progress


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(progress.HOME_VARIABLE, str(tmp_path))


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.main, words, env={"COLUMNS": "100", "NO_COLOR": "1"})


def test_progress_at_the_beginning() -> None:
    said = run("progress")
    assert said.exit_code == 0
    for lesson in catalogue.lessons():
        assert f"{lesson.title} " in said.stdout and f"0/{lesson.points:g}" in said.stdout
    assert "Next: cross_entropy in 01-training-loop" in " ".join(said.stdout.split())


def test_progress_shows_what_was_done() -> None:
    progress.record("check", "freeze", state="right", points=5.0)
    progress.record("check", "trainable_report", state="wrong", points=1.0)
    (row,) = [line for line in run("progress").stdout.splitlines() if line.startswith("04 Freezing")]
    assert "✓ ✗ ○ ○ ○" in row and "6/20" in row


def test_help_has_a_price_where_a_class_says_so() -> None:
    run("hint", "freeze")
    run("hint", "freeze")
    progress.record("check", "freeze", state="right", points=5.0)
    said = json.loads(run("progress", "--json", "--hint-cost=0.1").stdout)
    (freezing,) = [lesson for lesson in said["lessons"] if lesson["lesson"] == "04-freezing"]
    assert freezing["points"] == 5.0 and freezing["max_points"] == 20.0
    freeze = freezing["exercises"][0]
    assert (freeze["exercise"], freeze["hints"], freeze["tries"], freeze["state"]) == ("freeze", 2, 1, "right")
    assert freeze["after_help"] == pytest.approx(4.0)
    assert said["next"] == "trainable_report"
    assert "after help" in run("progress", "--hint-cost=0.1").stdout
    assert "after help" not in run("progress").stdout
    assert run("progress", "--hint-cost=2").exit_code == 2


def test_hints_come_one_after_the_other() -> None:
    hints = catalogue.hints(catalogue.find_exercise("freeze"))
    for number in (1, 2, 3, 3):
        said = " ".join(run("hint", "freeze").stdout.replace("`", "").split())
        assert f"Hint {number} of 3." in said
        assert " ".join(hints[number - 1].replace("`", "").split()[:6]) in said
    assert "Hint 1 of 3." in run("hint", "4.1", "1").stdout
    assert run("hint", "freeze", "4").exit_code == 2
    assert "There is no exercise fries" in run("hint", "fries").stderr


def test_a_solution_wants_a_try_or_a_yes() -> None:
    early = run("solution", "freeze")
    assert early.exit_code == 1 and "course solution freeze --yes" in early.stderr and "def freeze" not in early.stdout
    shown = run("solution", "freeze", "--yes")
    assert shown.exit_code == 0 and "def freeze" in shown.stdout and "### BEGIN" not in shown.stdout
    assert progress.load().exercises["freeze"].solution
    progress.record("check", "dice", state="wrong", points=0.0)
    assert "def dice" in run("solution", "dice").stdout


def test_a_class_has_no_solutions_and_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(paths, "source", lambda: tmp_path / "source")
    said = run("solution", "freeze", "--yes")
    assert said.exit_code == 1 and "not installed here" in said.stderr and "hint" in said.stderr
