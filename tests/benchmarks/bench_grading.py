"""How fast submissions are graded, against stock nbgrader and against the floor, in one run: ``make bench``.

Of two courses: lesson 04 as shipped, and a plain one in the manner of nbgrader's example. Of each, the same submissions
(right, wrong and untouched in turn) are graded by this grader; stock nbgrader gets a sample of them, since it takes
them one after another at the same pace; the floor is what their cells take by themselves, over the number of cores.
Everything that a command does is in its time: its start, the imports, the gradebook.

Submissions that answer alike are judged together, whatever their code, as most of a class's are. What a class costs in
which they are not is measured too (``varied``): there each exercise of lesson 04 is right in one of several styles,
some of them odd, or wrong in one of many ways. ``judged`` is the share of the notebooks for which a judge was needed.

Writes build/bench.json: for ``lesson``, ``varied`` and ``plain`` the figures that are printed.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import platform
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, quantiles
from typing import Any

import nbformat
import plain_course
from nbformat import NotebookNode

from autograder.pool import cores
from autograder.sandbox import isolation
from course import demo, paths, release
from course.mutants import Mutants

LESSON, MUTANTS = "04-freezing", "freezing_mutants"
BUILD = Path("build", "bench")
SCRIPTS = Path(sys.executable).parent
RIGHT, WRONG, UNTOUCHED = range(3)


@dataclass(frozen=True)
class Course:
    """What is graded: how to make its folder, how many submissions it has, and how many of them stock gets."""

    name: str
    assignment: str
    make: Callable[[Path, int], None]
    submissions: int
    sample: int


def make_lesson(folder: Path, submissions: int) -> None:
    """All exercises solved, or half of them, or none, each with a word of its author's."""

    def answers(exercises: dict[str, str], number: int) -> dict[str, object]:
        solved = list(exercises)[: (len(exercises), len(exercises) // 2, 0)[number % 3]]
        return {grade_id: f"# {number}\n{exercises[grade_id]}" for grade_id in solved}

    _make_lesson(folder, submissions, answers)


def make_varied(folder: Path, submissions: int) -> None:
    """All exercises right in some style, or each of them right or wrong as it falls, or none."""
    sys.path.insert(0, str(paths.source() / LESSON))
    mutants: Mutants = importlib.import_module(MUTANTS).mutants

    def answers(exercises: dict[str, str], number: int) -> dict[str, object]:
        kind, draw = number % 3, random.Random(number)
        drawn: dict[str, object] = {}
        for grade_id, solution in exercises.items() if kind != UNTOUCHED else ():
            (name,) = re.findall(r"^def (\w+)", solution, re.MULTILINE)[:1]
            own = [one for one in mutants if one.exercise == name]
            right = [solution, *(one.cell() for one in own if one.misconception is None)]
            wrong = [one.cell() for one in own if one.misconception is not None]
            drawn[grade_id] = draw.choice(right if kind == RIGHT or draw.random() < 0.5 else wrong)
        return drawn

    _make_lesson(folder, submissions, answers)


def _make_lesson(folder: Path, submissions: int, answers: Callable[[dict[str, str], int], dict[str, object]]) -> None:
    release.setup_course(folder, [LESSON])
    source = nbformat.read(folder / "source" / LESSON / f"{LESSON}.ipynb", as_version=4)
    released = nbformat.read(folder / "release" / LESSON / f"{LESSON}.ipynb", as_version=4)
    exercises = {c.metadata.nbgrader.grade_id: c.source for c in source.cells if _is_solution(c)}
    for number in range(submissions):
        target = folder / "submitted" / f"student-{number:04}" / LESSON
        target.mkdir(parents=True)
        nbformat.write(demo.answered(released, source, answers(exercises, number)), target / f"{LESSON}.ipynb")


def _is_solution(cell: NotebookNode) -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


COURSES = (
    Course("lesson", LESSON, make_lesson, submissions=120, sample=3),
    Course("varied", LESSON, make_varied, submissions=120, sample=3),
    Course("plain", plain_course.ASSIGNMENT, plain_course.make, submissions=300, sample=6),
)


def main() -> None:
    os.environ["PATH"] = os.pathsep.join([str(SCRIPTS), os.environ["PATH"]])  # nbgrader starts programs by name
    figures = {}
    for course in COURSES:
        folder = BUILD / course.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        course.make(folder, course.submissions)
        figures[course.name] = _measure(course, folder)
        _print(course.name, figures[course.name])
    Path("build", "bench.json").write_text(json.dumps(figures, indent=1) + "\n")


def _measure(course: Course, folder: Path) -> dict[str, Any]:
    students = sorted(path.name for path in (folder / "submitted").iterdir())
    others = "--CourseDirectory.student_id_exclude=" + ",".join(students[course.sample :])
    print(f"{course.name}: stock nbgrader, {course.sample} submissions ...", flush=True)
    stock = _seconds(folder, "nbgrader", "autograde", course.assignment, others) / course.sample
    shutil.rmtree(folder / "autograded")
    before = _floor(course, folder)
    isolated = isolation.why_not() is None
    print(f"{course.name}: this grader, {course.submissions} submissions ...", flush=True)
    ours = _seconds(folder, "autograder", "grade", course.assignment, *([] if isolated else ["--isolation=none"]))
    work = (before + _floor(course, folder)) / 2  # around what it is compared with: a machine's speed drifts
    each = ours / course.submissions
    records = _records(folder, course.assignment)
    return {
        "submissions": course.submissions,
        "cores": cores(),
        "stock_seconds_each": stock,
        "seconds_each": each,
        "floor_seconds_each": work / cores() / course.submissions,
        "times_stock": stock / each,
        "times_floor": each * course.submissions * cores() / work,
        "overhead_ms": 1000 * (each * cores() - work / course.submissions),
        "private_mib": quantiles((one["private_mib"] or 0.0 for one in records), n=100)[-1],
        "judged": fmean(one["judged"] for one in records),
        "isolated": isolated,
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in ("finetuning-from-zero", "nbgrader", "torch", "ipython")},
    }


def _floor(course: Course, folder: Path) -> float:
    """Seconds of a core that the cells of all submissions take by themselves."""
    print(f"{course.name}: the cells by themselves ...", flush=True)
    program = [sys.executable, str(Path(__file__).with_name("floor.py")), str(folder), course.assignment]
    return float(subprocess.run(program, capture_output=True, text=True, check=True).stdout)


def _records(folder: Path, assignment: str) -> list[dict[str, Any]]:
    """What the notebooks in autograded/ say of how they were graded."""
    graded = folder.glob(f"autograded/*/{assignment}/*.ipynb")
    return [json.loads(path.read_text())["metadata"]["autograder"] for path in graded]


def _print(name: str, figures: dict[str, Any]) -> None:
    print(f"{name}: stock nbgrader {figures['stock_seconds_each']:.2f} s a submission, all its starts included")
    print(
        f"{name}: this grader {figures['seconds_each']:.3f} s a submission, on {figures['cores']} cores, all included"
    )
    print(f"{name}: {figures['times_stock']:.1f} times the throughput of stock nbgrader")
    print(f"{name}: {figures['times_floor']:.2f} times the floor of {figures['floor_seconds_each']:.3f} s")
    print(f"{name}: {figures['overhead_ms']:.0f} ms of a core over the floor for each submission")
    print(f"{name}: {figures['judged']:.0%} of the notebooks needed a judge")
    print(f"{name}: {figures['private_mib']:.0f} MiB at most of its own has one in a hundred that runs")


def _seconds(folder: Path, program: str, *words: str) -> float:
    started = time.perf_counter()
    done = subprocess.run([SCRIPTS / program, *words], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{program} {words[0]} failed:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
