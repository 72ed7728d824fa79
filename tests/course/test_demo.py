"""The demo, whole, at the quick scale: it grades for real, and it fails when a score is not what it must be."""

import csv
import os
import subprocess
import sys

import pytest

from course import demo


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def said(folder):
    environment = os.environ | {"COURSE_SCALE": "quick", "COLUMNS": "150"}
    done = subprocess.run(
        [sys.executable, "-m", "course.demo"], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_shows_what_the_lesson_found_and_how_the_submissions_were_graded(said):
    for method in ("probe", "partial", "full", "scratch"):
        assert method in said
    for student in demo.SUBMISSIONS:
        assert student in said
    for words in ("20 of 20", "10 of 20", "not attempted", "3 of 20", "BatchNorm statistics"):
        assert words in said


def test_it_leaves_a_course_directory_behind(said, folder):
    build = folder / demo.BUILD
    with (build / "grades.csv").open() as file:
        scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert scores == {student: sum(points.values()) for student, (_, points) in demo.SUBMISSIONS.items()}
    assert (build / "grades.png").read_bytes().startswith(b"\x89PNG")
    for student in demo.SUBMISSIONS:
        assert (build / "feedback" / student / demo.LESSON / f"{demo.LESSON}.html").stat().st_size > 10_000


def test_it_fails_on_a_score_that_is_not_what_it_must_be(said, folder, monkeypatch):
    monkeypatch.chdir(folder)
    demo._check_scores()
    answers, points = demo.SUBMISSIONS["dan-cheats"]
    monkeypatch.setitem(demo.SUBMISSIONS, "dan-cheats", (answers, points | {"freeze": 5}))
    with pytest.raises(demo.DemoFailed, match="dan-cheats has 0 points for freeze and must have 5"):
        demo._check_scores()
