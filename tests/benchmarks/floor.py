"""How long the cells of submissions take by themselves, in forks of one process that has their libraries.

``python floor.py COURSE ASSIGNMENT`` prints the processor time of all submissions together, in seconds: no isolation,
no second process, no gradebook. It is what a grader that runs each of them by itself cannot go below.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import nbformat

from autograder import names
from autograder.sandbox.warm import LATE_PARTS, SINGLE_THREADED, _seed
from autograder.shell import make_shell
from autograder.submission import modules_to_warm, plan, read_notebook, with_checksums


def main(course: Path, assignment: str) -> None:
    os.environ.update(dict.fromkeys(SINGLE_THREADED, "1") | {"NBGRADER_EXECUTION": "autograde", "MPLBACKEND": "agg"})
    source = course / "source" / assignment
    notebooks = {path.stem: with_checksums(nbformat.read(path, as_version=4)) for path in source.glob("*.ipynb")}
    shipped = [path for path in (course / "release" / assignment).iterdir() if path.suffix != ".ipynb"]
    modules = {m for notebook in notebooks.values() for m in modules_to_warm(notebook)}
    modules |= {m for path in shipped if path.suffix == ".py" for m in names.modules(path.read_text())}
    for module in ("numpy", *sorted(modules), *(late for library, late in LATE_PARTS.items() if library in modules)):
        try:
            importlib.import_module(module)
        except ImportError:
            continue
    with tempfile.TemporaryDirectory() as folder:
        for path in shipped:
            if path.is_file():
                shutil.copy(path, folder)
        os.chdir(folder)
        sys.path.insert(0, folder)
        shell = make_shell()
        gc.freeze()
        total = 0.0
        for student in sorted((course / "submitted").iterdir()):
            todo = [
                plan(notebook, read_notebook((student / assignment / f"{name}.ipynb").read_bytes(), name, 1000))
                for name, notebook in notebooks.items()
            ]
            for one in todo:
                cells = [step.judge if step.grade_id is not None else step.sandbox for step in one.steps]
                total += _forked(shell, [cell for cell in cells if cell is not None])
    print(total)


def _forked(shell, cells: list[str]) -> float:  # type: ignore[no-untyped-def]
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        _seed()
        started = time.process_time()
        for cell in cells:
            shell.run(cell)
        os.write(writer, json.dumps(time.process_time() - started).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return float(json.loads(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2])
