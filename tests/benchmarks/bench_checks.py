"""How long the checks of each lesson take, hidden cases included, on the reference solutions: ``make bench``.

A check is to be quick: a lesson's checks together take at most 1.5 s of one core. The first run pays for what
libraries import late, so the second is the one that is quoted; both are printed.
"""

from __future__ import annotations

import sys
import time

import torch
from IPython.utils.capture import capture_output
from nbformat import NotebookNode

from course import paths, release


def main() -> None:
    torch.set_num_threads(1)
    for name in release.lesson_names(paths.source()):
        folder = paths.source() / name
        sys.path.insert(0, str(folder))
        notebook = release.source_notebook(folder)
        namespace: dict = {}
        with capture_output():
            for cell in notebook.cells:
                if _is(cell, locked=True, grade=False) or _is(cell, solution=True):
                    exec(compile(cell.source, name, "exec"), namespace)
        tests = [cell for cell in notebook.cells if _is(cell, grade=True)]
        first = [_seconds(cell, namespace) for cell in tests]
        second = [_seconds(cell, namespace) for cell in tests]
        for cell, a, b in zip(tests, first, second, strict=True):
            print(f"{name} {cell.metadata.nbgrader.grade_id:32} first {a:6.3f} s   then {b:6.3f} s")
        print(f"{name} {'together':32} first {sum(first):6.3f} s   then {sum(second):6.3f} s")


def _is(cell: NotebookNode, **flags: bool) -> bool:
    meta = cell.metadata.get("nbgrader", {})
    return cell.cell_type == "code" and bool(meta) and all(meta.get(k, False) == v for k, v in flags.items())


def _seconds(cell: NotebookNode, namespace: dict) -> float:
    """Seconds of processor time that a test cell takes."""
    started = time.process_time()
    with capture_output():
        exec(compile(cell.source, cell.metadata.nbgrader.grade_id, "exec"), namespace)
    return time.process_time() - started


if __name__ == "__main__":
    main()
