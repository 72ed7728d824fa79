"""How fast lesson 04 is graded, against stock nbgrader in the same run: ``make bench``.

Both grade the same submissions: all right, half right and untouched in turn. Stock nbgrader gets a sample of
them, since it takes them one after another at the same pace. Prints seconds a submission of each, and the ratio;
writes them to build/bench.json.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograder.sandbox import isolation
from course import demo, release

LESSON = "04-freezing"
BUILD = Path("build", "bench")
SUBMISSIONS, SAMPLE = 40, 3
SCRIPTS = Path(sys.executable).parent


def main() -> None:
    shutil.rmtree(BUILD, ignore_errors=True)
    release.setup_course(BUILD, [LESSON])
    names = [f"student-{number:02}" for number in range(SUBMISSIONS)]
    for number, name in enumerate(names):
        folder = BUILD / "submitted" / name / LESSON
        folder.mkdir(parents=True)
        nbformat.write(_submission(number), folder / f"{LESSON}.ipynb")
    print(f"Stock nbgrader, {SAMPLE} submissions ...", flush=True)
    stock = _seconds(
        "nbgrader", "autograde", LESSON, "--CourseDirectory.student_id_exclude=" + ",".join(names[SAMPLE:])
    )
    shutil.rmtree(BUILD / "autograded")
    print(f"This grader, {SUBMISSIONS} submissions ...", flush=True)
    isolated = [] if isolation.why_not() is None else ["--isolation", "none"]
    ours = _seconds("autograder", "grade", LESSON, *isolated)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    figures = {
        "submissions": SUBMISSIONS,
        "stock_seconds_each": stock / SAMPLE,
        "seconds_each": ours / SUBMISSIONS,
        "times_stock": (stock / SAMPLE) / (ours / SUBMISSIONS),
        "largest_process_mib": peak,
        "isolated": not isolated,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    Path("build", "bench.json").write_text(json.dumps({"lesson": figures}, indent=1) + "\n")
    print(f"stock nbgrader: {figures['stock_seconds_each']:.2f} s a submission (all its starts included)")
    print(f"this grader:    {figures['seconds_each']:.2f} s a submission (all its starts included)")
    print(f"{figures['times_stock']:.1f} times the throughput of stock nbgrader")


def _submission(number: int) -> NotebookNode:
    """The released notebook with all, half or none of the reference solutions written into it."""
    source = nbformat.read(BUILD / "source" / LESSON / f"{LESSON}.ipynb", as_version=4)
    released = nbformat.read(BUILD / "release" / LESSON / f"{LESSON}.ipynb", as_version=4)
    exercises = [c.metadata.nbgrader.grade_id for c in source.cells if c.metadata.get("nbgrader", {}).get("solution")]
    solved = exercises[: (len(exercises), len(exercises) // 2, 0)[number % 3]]
    return demo.answered(released, source, dict.fromkeys(solved, demo.SOLVED))


def _seconds(program: str, *words: str) -> float:
    environment = os.environ | {"PATH": os.pathsep.join([str(SCRIPTS), os.environ["PATH"]])}
    started = time.perf_counter()
    done = subprocess.run([SCRIPTS / program, *words], cwd=BUILD, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{program} {words[0]} failed:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
