"""Whether the cost of grading grows in a straight line: 10, 100 and 1,000 submissions of a tiny assignment, no two of
which have the same code.

Prints seconds a submission, by the clock and of a core, and a straight line through the three; writes them to
build/scaling.json. Seconds of a core are those of the grader and its warm process: the kernel does not add up
the judges and sandboxes, for whose ends nobody waits.
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
import numpy as np
from nbformat.v4 import new_code_cell, new_notebook

from autograder.pool import cores
from autograder.sandbox import isolation

BUILD = Path("build", "scaling")
SIZES = (10, 100, 1000)
SCRIPTS = Path(sys.executable).parent
CELL = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
ANSWERS = ("return x * x", "return x", "raise NotImplementedError")


def main() -> None:
    isolated = [] if isolation.why_not() is None else ["--isolation", "none"]
    rows = []
    for size in SIZES:
        _course(size)
        seconds, of_a_core = _measured("autograder", "grade", "ps1", *isolated)
        rows.append({"submissions": size, "seconds": seconds, "core_seconds": of_a_core})
        each = f"{seconds / size:.4f} s, {of_a_core / size:.4f} s of a core"
        print(f"{size:5} submissions: {seconds:7.1f} s; each {each}", flush=True)
    figures = {"rows": rows, "cores": cores(), "isolated": not isolated, "python": platform.python_version()}
    for name in ("seconds", "core_seconds"):
        slope, start = _line([(row["submissions"], row[name]) for row in rows])
        off = max(abs(start + slope * row["submissions"] - row[name]) / row[name] for row in rows)
        figures[name] = {"each": slope, "start": start, "furthest_off": off}
        print(f"{name}: {start:.2f} + {slope:.4f} for each submission; the furthest point is {off:.0%} off the line")
    Path("build", "scaling.json").write_text(json.dumps(figures, indent=1) + "\n")


def _line(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Slope and start of the line that is off by the smallest share: each point weighs by its own size."""
    x, y = np.array(points).T
    slope, start = np.polyfit(x, y, 1, w=1 / y)
    return float(slope), float(start)


def _course(size: int) -> None:
    shutil.rmtree(BUILD, ignore_errors=True)
    source = BUILD / "source" / "ps1"
    source.mkdir(parents=True)
    (BUILD / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'scaling'\n")
    nbformat.write(_notebook("### BEGIN SOLUTION\n    return x * x\n    ### END SOLUTION"), source / "squares.ipynb")
    _measured("nbgrader", "generate_assignment", "ps1", "--create")
    released = nbformat.read(BUILD / "release" / "ps1" / "squares.ipynb", as_version=4)
    for number in range(size):
        folder = BUILD / "submitted" / f"student-{number:04}" / "ps1"
        folder.mkdir(parents=True)
        released.cells[0].source = f"# {number}\ndef square(x):\n    {ANSWERS[number % len(ANSWERS)]}"
        nbformat.write(released, folder / "squares.ipynb")


def _notebook(body: str) -> nbformat.NotebookNode:
    answer = new_code_cell(f"def square(x):\n    {body}")
    answer.metadata["nbgrader"] = CELL | {"grade_id": "square", "solution": True}
    test = new_code_cell("assert square(3) == 9")
    test.metadata["nbgrader"] = CELL | {"grade_id": "test-square", "grade": True, "locked": True, "points": 1}
    made = new_notebook(cells=[answer, test])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return made


def _measured(program: str, *words: str) -> tuple[float, float]:
    """Seconds by the clock, and of a core."""
    environment = os.environ | {"PATH": os.pathsep.join([str(SCRIPTS), os.environ["PATH"]])}
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([SCRIPTS / program, *words], cwd=BUILD, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{program} {words[0]} failed:\n{done.stdout}{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    of_a_core = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, of_a_core


if __name__ == "__main__":
    main()
