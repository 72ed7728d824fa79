"""What a report counts, and what it says where there is little to count."""

import io
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import numpy as np
import pytest
from click.testing import CliRunner, Result
from nbgrader.api import Gradebook
from rich.console import Console

from autograder import layout
from autograder import report as terminal
from autograder.cli import main
from autograder.report import data
from autograder.report.page import page
from autograder.verdict import State, Verdict
from report_course import NAMES, _verdicts, make_course, submit


def run(root: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["report", "ps1", "--course-dir", str(root), *words])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, cells: SimpleNamespace) -> Path:
    made = tmp_path_factory.mktemp("report")
    make_course(made, cells, 24)
    return made


@pytest.fixture(scope="module")
def found(root: Path) -> dict[str, Any]:
    said = run(root, "--json")
    assert said.exit_code == 0, said.output
    return json.loads(said.output)


@pytest.fixture
def bare(tmp_path: Path, cells: SimpleNamespace) -> Path:
    """A course directory with an assignment of two tests, which no gradebook knows."""
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\n")
    folder = tmp_path / "source" / "ps1"
    folder.mkdir(parents=True)
    hidden = "assert 1\n### BEGIN HIDDEN TESTS\nassert 2\n### END HIDDEN TESTS"
    nbformat.write(cells.notebook(cells.test("a", hidden, 2), cells.test("b", "assert 1", 1)), folder / "problem.ipynb")
    return tmp_path


def verdicts(*points: float) -> list[Verdict]:
    return [
        Verdict(name, State.PASSED if earned else State.FAILED, earned, most, "" if earned else "wrong")
        for name, earned, most in zip(("a", "b"), points, (2.0, 1.0), strict=True)
    ]


def test_points_are_those_of_the_gradebook_in_the_end(root: Path, found: dict[str, Any]) -> None:
    with Gradebook(f"sqlite:///{root}/gradebook.db", "Transfer Learning") as book:
        booked = {
            s["student"]: max(0.0, s["score"] - book.find_submission("ps1", s["student"]).late_submission_penalty)
            for s in book.submission_dicts("ps1")
        }
    assert {s["id"]: s["points"] for s in found["students"]} == pytest.approx(booked)
    points = list(booked.values())
    assert found["scores"]["mean"] == pytest.approx(np.mean(points))
    assert found["scores"]["median"] == pytest.approx(np.median(points))
    assert sum(b["count"] for b in found["scores"]["bins"]) == found["counts"]["graded"] == 24
    assert found["max_points"] == 25 and [e["grade_id"] for e in found["exercises"]][-1] == "why"


def test_exercises_are_counted_and_compared(found: dict[str, Any]) -> None:
    first, last = found["exercises"][0], found["exercises"][6]
    earned = [s["tests"]["problem/check-freeze"]["points"] for s in found["students"]]
    assert first["pass_rate"] == pytest.approx(np.mean(np.array(earned) == 3))
    assert first["difficulty"] == pytest.approx(np.mean(earned) / 3) and first["difficulty"] > last["difficulty"]
    assert sum(first["states"].values()) == 24 and first["states"]["unreadable"] == 1
    essay = found["exercises"][7]
    assert essay["kind"] == "manual" and essay["scored"] == 22 and essay["states"] == {}


def test_who_needs_a_look_and_why(found: dict[str, Any]) -> None:
    kinds = {s["id"]: {one["kind"] for one in s["look"]} for s in found["students"]}
    assert kinds["s0007"] == {"timeout"} and "crashed" in kinds["s0019"] and "unreadable" in kinds["s0023"]
    assert "manual" in kinds["s0005"] and "manual" in kinds["s0018"] and kinds["s0003"] == {"late"}
    assert kinds["s0011"] == {"not tamper-proof"} and found["unproven"]["submissions"] == 1 and kinds["s0000"] == set()
    late = next(s for s in found["students"] if s["id"] == "s0003")
    assert late["penalty"] == 1 and late["late_seconds"] == 2 * 86400


def test_misconceptions_and_bases_are_counted_once(found: dict[str, Any]) -> None:
    counts = [m["count"] for m in found["misconceptions"]]
    assert counts == sorted(counts, reverse=True) and any(m["name"] for m in found["misconceptions"])
    (basis,) = found["bases"]
    assert basis["submissions"] == 24 and basis["limits"]["cell_seconds"] == 60 and basis["isolated"] is True
    hashes = [s["hashes"]["problem"] for s in found["students"]]
    assert len(set(hashes)) == 24 and all(len(h) == 64 for h in hashes)
    assert found["time"]["count"] == found["memory"]["count"] == 24


def test_how_many_were_decided_by_precedent(found: dict[str, Any]) -> None:
    judged = {s["id"]: s["judged"] for s in found["students"]}
    assert judged["s0000"] is False and judged["s0002"] is True
    assert found["alike"] == list(judged.values()).count(False) and 0 < found["alike"] < 24


def test_difficulty_and_discrimination_where_they_are_not_defined() -> None:
    nan = np.nan
    assert data.difficulty(np.array([nan]), 2) is None and data.difficulty(np.array([1.0]), 0) is None
    assert data.difficulty(np.array([2, 1, nan]), 2) == 0.75
    rest = np.array([1.0, 2.0, 3.0])
    assert data.discrimination(np.array([1.0, 1.0, 1.0]), rest) is None
    assert data.discrimination(np.array([0.0, 1.0]), rest[:2]) is None
    assert data.discrimination(np.array([0.0, 1.0, 2.0]), np.ones(3)) is None
    assert data.discrimination(np.array([0.0, 1.0, 2.0]), rest) == pytest.approx(1)
    assert data.discrimination(np.array([0.0, 1.0, 0.0, nan]), np.array([1.0, 2.0, 3.0, 9.0])) == pytest.approx(0)


def test_nothing_graded_yet_is_a_sentence(bare: Path) -> None:
    said = run(bare, "--output", "-")
    assert said.exit_code == 0 and "No submission is graded yet." in said.output and "handed in yet" in said.output
    assert not (bare / "gradebook.db").exists()
    (bare / "submitted" / "ada" / "ps1").mkdir(parents=True)
    made = json.loads(run(bare, "--json").output)
    assert made["counts"] == {"submitted": 1, "graded": 0} and made["scores"] is None
    assert any("1 submission is not graded yet (ada): run `autograder grade ps1`" in note for note in made["notes"])


def test_no_such_assignment_and_no_course_are_errors_with_a_sentence(bare: Path, tmp_path: Path) -> None:
    said = CliRunner().invoke(main, ["report", "ps9", "--course-dir", str(bare)])
    assert said.exit_code == 1 and "There is no notebook in" in said.output
    (tmp_path / "empty").mkdir()
    said = CliRunner().invoke(main, ["report", "ps1", "--course-dir", str(tmp_path / "empty")])
    assert said.exit_code == 1 and "is not an nbgrader course directory" in said.output


@pytest.mark.parametrize("where", ["", 'c.CourseDirectory.db_url = "nonsense"'])
def test_a_gradebook_that_cannot_be_read_is_said_to_be_so(bare: Path, where: str) -> None:
    (bare / "gradebook.db").write_text("no database")
    (bare / "nbgrader_config.py").write_text(f"c = get_config()\n{where}\n")
    said = run(bare, "--json")
    assert said.exit_code == 1 and "The gradebook cannot be read" in said.output


@pytest.mark.parametrize("earned", [[(2.0, 1.0)], [(2.0, 0.0)] * 3, [(0.0, 0.0)] * 2])
def test_one_submission_and_equal_scores_make_a_page(bare: Path, earned: list[tuple[float, float]]) -> None:
    for number, points in enumerate(earned):
        submit(bare, f"s{number}", verdicts(*points))
    made = data.gather(layout.open_course(bare), "ps1")
    assert made["counts"]["graded"] == len(earned) and made["scores"]["max"] == sum(earned[0])
    assert all(e["discrimination"] is None for e in made["exercises"])
    html = page(made)
    assert ("It has" if len(earned) == 1 else "All have") in html
    assert any("gradebook does not know" in note for note in made["notes"])


@pytest.mark.parametrize(
    "content",
    [
        '{"metadata": {}, "cells": []}',
        '{"metadata": {"autograder": {"verdicts": 5}}}',
        '{"metadata": {"autograder": []}}',
        "[" * 100_000,
        "no JSON",
        "5",
    ],
)
def test_notebooks_without_verdicts_are_said_to_be_such(bare: Path, content: str) -> None:
    submit(bare, "ada", verdicts(2.0, 1.0))
    (bare / "autograded" / "ada" / "ps1" / "problem.ipynb").write_text(content)
    made = data.gather(layout.open_course(bare), "ps1")
    (ada,) = made["students"]
    assert ada["graded_by"] == "nbgrader" and ada["look"][0]["kind"] == "no verdicts"
    assert any("stock nbgrader" in note for note in made["notes"]) and made["time"] is None
    assert "Nothing was recorded" in page(made)


@pytest.mark.parametrize("isolated", [True, False, None])
def test_the_page_vouches_only_for_points_of_code_that_was_shut_in(bare: Path, isolated: bool | None) -> None:
    for student in ("ada", "ben"):
        submit(bare, student, verdicts(2.0, 1.0))
    path = bare / "autograded" / "ben" / "ps1" / "problem.ipynb"
    made = json.loads(path.read_text())
    if isolated is None:  # as stock nbgrader leaves it
        del made["metadata"]["autograder"]
    else:
        made["metadata"]["autograder"]["basis"]["isolated"] = isolated
    path.write_text(json.dumps(made))
    html = page(data.gather(layout.open_course(bare), "ps1"))
    assert ("Every point that a test gave was decided" in html) is (isolated is True)
    assert ("does not vouch" in html) is (isolated is not True)


def test_what_a_hidden_test_said_is_in_the_data_and_not_on_the_page(bare: Path) -> None:
    said = Verdict("a", State.FAILED, 0.0, 2.0, "A hidden test failed.", hidden_message="expected 961")
    submit(bare, "ada", [said, *verdicts(0.0, 1.0)[1:]])
    found = data.gather(layout.open_course(bare), "ps1")
    tests = found["students"][0]["tests"]
    assert tests["problem/a"]["hidden_message"] == "expected 961" and tests["problem/b"]["hidden_message"] is None
    html = page(found)
    assert "A hidden test failed." in html and "expected 961" not in html


def test_odd_fields_of_a_record_are_passed_over(bare: Path) -> None:
    submit(bare, "ada", verdicts(2.0, 1.0))
    path = bare / "autograded" / "ada" / "ps1" / "problem.ipynb"
    made = json.loads(path.read_text())
    record = made["metadata"]["autograder"]
    record |= {"seconds": "soon", "private_mib": float("nan"), "basis": 5}
    record["verdicts"] += [
        5,
        {"state": "grand", "grade_id": "b"},
        {"state": "passed"},
        {"state": "failed", "grade_id": []},
    ]
    path.write_text(json.dumps(made))
    found = data.gather(layout.open_course(bare), "ps1")
    (ada,) = found["students"]
    assert ada["points"] == 3 and ada["seconds"] is None and len(ada["tests"]) == 2
    assert "ada" in page(found)


def test_a_course_whose_feedback_shows_hidden_tests_is_told_how_to_hide_them(bare: Path) -> None:
    notes = data.gather(layout.open_course(bare), "ps1")["notes"]
    assert any("autograder.feedback.HideHiddenTests" in note for note in notes)
    chosen = (
        'c.GenerateFeedback.preprocessors = ["nbgrader.preprocessors.GetGrades", "autograder.feedback.HideHiddenTests"]'
    )
    (bare / "nbgrader_config.py").write_text(f"c = get_config()\n{chosen}\n")
    notes = data.gather(layout.open_course(bare), "ps1")["notes"]
    assert not any("HideHiddenTests" in note for note in notes)


def test_the_report_is_written_where_it_is_asked_for(root: Path, tmp_path: Path) -> None:
    assert run(root, "--output", str(tmp_path / "new" / "r.html")).exit_code == 0
    html = (tmp_path / "new" / "r.html").read_text()
    assert html.strip().startswith("<!DOCTYPE html>") and all(name in html for name in ("s0000", *NAMES))
    assert run(root, "--json", "--output", str(tmp_path / "r.json")).exit_code == 0
    assert json.loads((tmp_path / "r.json").read_text())["version"] == 1
    said = run(root, "--output", str(tmp_path / "r.json" / "r.html"))
    assert said.exit_code == 1 and "cannot be written" in said.output


def of_class(count: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {f"s{n:03}": {"p": SimpleNamespace(verdicts=_verdicts(rng, n))} for n in range(count)}


def shown(table: Any) -> str:
    console = Console(width=150, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_a_large_class_is_counted_by_exercise() -> None:
    graded = of_class(300)
    text = shown(terminal.by_exercise(graded))
    first = next(line for line in text.splitlines() if NAMES[0] in line)
    counts = [int(word) for word in re.findall(r"│\s+(\d+)(?= )", first)]
    assert sum(counts) == 300
    of_first = [v for r in graded.values() for v in r["p"].verdicts if v.grade_id == f"check-{NAMES[0]}"]
    assert counts[0] == sum(v.state is State.PASSED for v in of_first)
    assert "s007" not in text


def test_what_was_cut_short_is_named_in_a_large_class() -> None:
    graded = of_class(300)
    text = shown(terminal.cut_short(graded, most=5))
    assert "s007" in text and "timeout" in text and "s008" not in text
    assert "the first 5 of 13" in " ".join(text.split())
    assert terminal.cut_short(of_class(7), most=5) is None
