"""How fast submissions are graded, against stock nbgrader and against the floor, in one run: ``make bench``.

Two courses: lesson 04 as shipped, and a plain one in the manner of nbgrader's example. Of each, the same submissions
(right, wrong and untouched in turn) are graded by this grader; stock nbgrader gets a sample of them, since it takes
them one after another at the same pace; the floor is what their cells take by themselves, over the number of cores.
Everything that a command does is in its time: its start, the imports, the gradebook. No two submissions are the same:
each has its author's name in every answer, and shows something of its own.

Writes build/bench.json: for ``lesson`` and ``plain`` the figures that are printed.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

import nbformat
import plain_course
from nbformat import NotebookNode

from autograder.pool import cores
from autograder.sandbox import isolation
from course import demo, release

LESSON = "04-freezing"
BUILD = Path("build", "bench")
SCRIPTS = Path(sys.executable).parent
UNTOUCHED = 2  # of each three submissions, counted from 0


@dataclass(frozen=True)
class Course:
    """What is graded: how to make its folder, how many submissions it has, and how many of them stock gets."""

    name: str
    assignment: str
    make: Callable[[Path, int], None]
    submissions: int
    sample: int


def make_lesson(folder: Path, submissions: int) -> None:
    release.setup_course(folder, [LESSON])
    source = nbformat.read(folder / "source" / LESSON / f"{LESSON}.ipynb", as_version=4)
    released = nbformat.read(folder / "release" / LESSON / f"{LESSON}.ipynb", as_version=4)
    for number in range(submissions):
        target = folder / "submitted" / f"student-{number:04}" / LESSON
        target.mkdir(parents=True)
        nbformat.write(_lesson_submission(source, released, number), target / f"{LESSON}.ipynb")


def _lesson_submission(source: NotebookNode, released: NotebookNode, number: int) -> NotebookNode:
    """All exercises solved, or half of them, or none."""
    exercises = [c.metadata.nbgrader.grade_id for c in source.cells if c.metadata.get("nbgrader", {}).get("solution")]
    solved = exercises[: (len(exercises), len(exercises) // 2, 0)[number % 3]]
    return demo.answered(released, source, dict.fromkeys(solved, demo.SOLVED))


COURSES = (
    Course("lesson", LESSON, make_lesson, submissions=120, sample=3),
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
    command = ["autograder", "grade", course.assignment, *([] if isolated else ["--isolation=none"])]
    print(f"{course.name}: this grader, {course.submissions} submissions ...", flush=True)
    ours = _seconds(folder, *command)
    changed = [student for number, student in enumerate(students) if number % 3 != UNTOUCHED]
    print(f"{course.name}: this grader, the {len(changed)} with code of a learner's ...", flush=True)
    untouched = "--CourseDirectory.student_id_exclude=" + ",".join(sorted({*students} - {*changed}))
    ours_changed = _seconds(folder, *command, "--force", untouched)
    # around what it is compared with: a machine's speed drifts
    work, work_changed = ((a + b) / 2 for a, b in zip(before, _floor(course, folder), strict=True))
    each = ours / course.submissions
    return {
        "submissions": course.submissions,
        "cores": cores(),
        "stock_seconds_each": stock,
        "seconds_each": each,
        "floor_seconds_each": work / cores() / course.submissions,
        "times_stock": stock / each,
        "times_floor": each * course.submissions * cores() / work,
        "overhead_ms": 1000 * (each * cores() - work / course.submissions),
        "changed_times_floor": ours_changed * cores() / work_changed,
        "changed_overhead_ms": 1000 * (ours_changed * cores() - work_changed) / len(changed),
        "private_mib": _memory(folder, course.assignment),
        "isolated": isolated,
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in ("finetuning-from-zero", "nbgrader", "torch", "ipython")},
    }


def _floor(course: Course, folder: Path) -> list[float]:
    """Seconds of a core that the cells of all submissions take by themselves, and of those that were changed."""
    print(f"{course.name}: the cells by themselves ...", flush=True)
    program = [sys.executable, str(Path(__file__).with_name("floor.py")), str(folder), course.assignment]
    return json.loads(subprocess.run(program, capture_output=True, text=True, check=True).stdout)


def _memory(folder: Path, assignment: str) -> float:
    """MiB of their own that judge and sandbox of one notebook have: the 99th of a hundred."""
    took = []
    for path in folder.glob(f"autograded/*/{assignment}/*.ipynb"):
        took.append(json.loads(path.read_text())["metadata"]["autograder"]["private_mib"] or 0.0)
    return quantiles(took, n=100)[-1]


def _print(name: str, figures: dict[str, Any]) -> None:
    print(f"{name}: stock nbgrader {figures['stock_seconds_each']:.2f} s a submission, all its starts included")
    print(
        f"{name}: this grader {figures['seconds_each']:.3f} s a submission, on {figures['cores']} cores, all included"
    )
    print(f"{name}: {figures['times_stock']:.1f} times the throughput of stock nbgrader")
    print(f"{name}: {figures['times_floor']:.2f} times the floor of {figures['floor_seconds_each']:.3f} s")
    print(f"{name}: {figures['overhead_ms']:.0f} ms of a core over the floor for each submission")
    print(
        f"{name}: without the untouched ones {figures['changed_times_floor']:.2f} times their floor, "
        f"{figures['changed_overhead_ms']:.0f} ms over it"
    )
    print(f"{name}: {figures['private_mib']:.0f} MiB at most of its own has one in a hundred that runs")


def _seconds(folder: Path, program: str, *words: str) -> float:
    started = time.perf_counter()
    done = subprocess.run([SCRIPTS / program, *words], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{program} {words[0]} failed:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
