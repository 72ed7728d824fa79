"""What came in is read whatever it is, and the instructor's cells are what the instructor wrote."""

import copy
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode

from autograder import names
from autograder.submission import Plan, Unreadable, content_of, modules_to_warm, plan, read_notebook, with_checksums


def read(path: Path) -> NotebookNode:
    return read_notebook(content_of(path, 20), path.name, 10_000)


@pytest.fixture
def source(cells: SimpleNamespace) -> NotebookNode:
    return with_checksums(
        cells.notebook(
            cells.text("# Squares"),
            cells.plain("import math"),
            cells.solution("square", cells.solved("def square(x): return x * x")),
            cells.test(
                "test-square",
                "assert square(2) == 4\n### BEGIN HIDDEN TESTS\nassert square(3) == 9\n### END HIDDEN TESTS",
            ),
            cells.locked("helper", "def helper(): return 1"),
            cells.essay("why", "Say why."),
        )
    )


@pytest.fixture
def answered(source: NotebookNode) -> NotebookNode:
    notebook = copy.deepcopy(source)
    notebook.cells[2].source = "def square(x): return x ** 2"
    notebook.cells[5].source = "YOUR ANSWER HERE"  # nbgrader's own stub
    return notebook


def planned(source: NotebookNode, submitted: NotebookNode, tmp_path: Path) -> Plan:
    path = tmp_path / "submitted.ipynb"
    path.write_text(json.dumps(submitted), encoding="utf-8")
    return plan(source, read(path))


def given(todo: Plan) -> list[str]:
    return [step.sandbox for step in todo.steps if step.sandbox is not None]


def test_each_side_gets_its_cells(source: NotebookNode, answered: NotebookNode, tmp_path: Path) -> None:
    todo = planned(source, answered, tmp_path)
    assert given(todo) == ["import math", "def square(x): return x ** 2", "def helper(): return 1"]
    assert [step.judge for step in todo.steps if step.judge] == [
        "import math",
        source.cells[3].source,
        "def helper(): return 1",
    ]
    assert todo.learners == ["square"] and "square" not in todo.instructors and "helper" in todo.instructors
    assert todo.unattempted == frozenset() and todo.manual == (("why", 3.0, True),)


def spoil(notebook: NotebookNode, how: str) -> None:
    test = notebook.cells[3]
    match how:
        case "edited":
            test.source, notebook.cells[4].source = "pass", "def helper(): return 2"
        case "deleted":
            del notebook.cells[3:5]
        case "moved":
            notebook.cells.reverse()
        case "twice":
            notebook.cells.append(copy.deepcopy(test) | {"source": "pass"})
        case "points":
            test.metadata.nbgrader.points = 1000
        case "not a test":
            test.metadata.nbgrader.update(grade=False, solution=True)
            test.source = "cheat"
        case "markdown":
            test.cell_type = "markdown"
        case "no metadata":
            for cell in notebook.cells[3:5]:
                cell.metadata = {}
                cell.source = "raise SystemExit"
        case "swapped":
            first, second = notebook.cells[2].metadata, test.metadata
            notebook.cells[2].metadata, test.metadata = second, first


@pytest.mark.parametrize(
    "how", ["edited", "deleted", "moved", "twice", "points", "not a test", "markdown", "no metadata", "swapped"]
)
def test_tests_and_locked_cells_are_the_sources(
    source: NotebookNode, answered: NotebookNode, tmp_path: Path, how: str
) -> None:
    spoil(answered, how)
    todo = planned(source, answered, tmp_path)
    tests = [step for step in todo.steps if step.grade_id]
    assert [(t.grade_id, t.points, t.judge, t.cell.source) for t in tests] == [
        ("test-square", 1.0, source.cells[3].source, source.cells[3].source)
    ]
    assert [s.sandbox for s in todo.steps if s.cell.source == "def helper(): return 1"] == ["def helper(): return 1"]
    assert not any("HIDDEN" in text or "assert square" in text for text in given(todo) if how != "swapped")


def test_a_duplicated_answer_counts_once_and_a_missing_one_is_empty(
    source: NotebookNode, answered: NotebookNode, tmp_path: Path
) -> None:
    last = copy.deepcopy(answered.cells[2])
    last.source = "def square(x): return 'last'"
    answered.cells.append(last)
    assert [text for text in given(planned(source, answered, tmp_path)) if "square" in text] == [last.source]
    answered.cells = [cell for cell in answered.cells if cell.metadata.get("nbgrader", {}).get("grade_id") != "square"]
    todo = planned(source, answered, tmp_path)
    assert todo.unattempted == {"test-square"} and "" in given(todo)


def test_added_cells_stay_where_they_were_put(
    cells: SimpleNamespace, source: NotebookNode, answered: NotebookNode, tmp_path: Path
) -> None:
    answered.cells.insert(0, cells.plain("first = 1"))
    answered.cells.insert(4, cells.solution("made-up", "after = square(2)"))
    answered.cells.append(cells.plain("last = 1"))
    todo = planned(source, answered, tmp_path)
    assert given(todo) == [
        *(
            "first = 1",
            "import math",
            "def square(x): return x ** 2",
            "after = square(2)",
            "def helper(): return 1",
            "last = 1",
        )
    ]
    assert "nbgrader" not in todo.steps[4].cell.metadata


def test_cells_of_one_id_get_ids_of_their_own(
    cells: SimpleNamespace, source: NotebookNode, answered: NotebookNode, tmp_path: Path
) -> None:
    answered.cells.append(cells.plain("x = 1") | {"id": source.cells[3].id})
    todo = planned(source, answered, tmp_path)
    ids = [step.cell.id for step in todo.steps]
    assert len(set(ids)) == len(ids) and todo.steps[3].cell.id == source.cells[3].id


def test_an_essay_that_was_written_is_not_unchanged(
    source: NotebookNode, answered: NotebookNode, tmp_path: Path
) -> None:
    answered.cells[5].source = "Because."
    assert planned(source, answered, tmp_path).manual == (("why", 3.0, False),)


def test_experiments_run_nowhere(cells: SimpleNamespace, tmp_path: Path) -> None:
    long = cells.plain("while True: pass")
    long.metadata["tags"] = ["experiment"]
    source = with_checksums(cells.notebook(long))
    todo = planned(source, source, tmp_path)
    assert todo.steps[0].sandbox is None and todo.steps[0].judge is None


# -- reading ------------------------------------------------------------------------------------------------


GARBAGE: dict[str, bytes] = {
    "empty": b"",
    "not JSON": b"{'cells': []}",
    "cut off": b'{"cells": [{"cell_type": "code"',
    "a number": b"7",
    "null": b"null",
    "no cells": b'{"nbformat": 4}',
    "cells that are none": b'{"cells": {"0": {}}, "nbformat": 4}',
    "bytes": bytes(range(256)),
    "deep nesting": b'{"cells": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "a number of 5,000 digits": b'{"nbformat": ' + b"9" * 5000 + b', "cells": []}',
    "an old format, broken": b'{"nbformat": 3, "worksheets": 5}',
    "half of UTF-16": '{"cells": []}'.encode("utf-16")[:-1],
    "a zip": b"PK\x03\x04" + b"\x00" * 100,
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE.keys())
def test_what_is_no_notebook_is_said_to_be_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "work.ipynb"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=r"^work\.ipynb .*\."):
        read(path)


def test_only_a_file_of_reasonable_size_is_read(tmp_path: Path) -> None:
    good = tmp_path / "good.ipynb"
    good.write_text('{"cells": [], "nbformat": 4}')
    (tmp_path / "link.ipynb").symlink_to(good)
    (tmp_path / "folder.ipynb").mkdir()
    os.mkfifo(tmp_path / "pipe.ipynb")
    for name in ("link", "folder", "pipe", "missing"):
        with pytest.raises(Unreadable, match="is not a file"):
            read(tmp_path / f"{name}.ipynb")
    (tmp_path / "shut.ipynb").touch()
    with pytest.MonkeyPatch.context() as patched, pytest.raises(Unreadable, match="may not read shut"):
        patched.setattr(os, "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
        read(tmp_path / "shut.ipynb")
    with (tmp_path / "huge.ipynb").open("wb") as file:
        file.truncate(30 * 2**20)
    with pytest.raises(Unreadable, match="larger than 20 MiB"):
        read(tmp_path / "huge.ipynb")
    assert read(good).cells == []


@pytest.mark.parametrize(
    "notebook",
    [
        {"cells": [{"cell_type": "code"}] * 101},
        {"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "code"}] * 51}] * 2},
        {"nbformat": 3, "worksheets": [{}] * 101},
    ],
)
def test_a_notebook_of_too_many_cells_is_not_read(notebook: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match=r"^work\.ipynb has more than 100 cells\."):
        read_notebook(json.dumps(notebook).encode(), "work.ipynb", 100)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_other_encodings_are_read(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "work.ipynb"
    path.write_bytes(
        json.dumps({"cells": [{"cell_type": "code", "source": "x = '漢'"}]}, ensure_ascii=False).encode(encoding)
    )
    assert read(path).cells[0].source == "x = '漢'"


def test_an_older_format_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.ipynb"
    cell = {
        "cell_type": "code",
        "input": "x = 1",
        "language": "python",
        "metadata": {},
        "outputs": [],
        "collapsed": False,
    }
    path.write_text(json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": [cell]}]}))
    assert [c.source for c in read(path).cells] == ["x = 1"]


ODD_CELLS: list[Any] = [
    *(None, 5, "text", [], {}, {"cell_type": "code"}, {"cell_type": ["code"], "source": "x"}, {"cell_type": "heading"}),
    {"cell_type": "code", "source": 7, "metadata": 7, "id": 7, "outputs": 7},
    {"cell_type": "code", "source": ["a = 1\n", 5, None, "b = 2"], "metadata": {"nbgrader": "x"}, "id": "../../etc"},
    {"cell_type": "markdown", "source": "half \ud800 a pair", "metadata": {"nbgrader": {"grade_id": ["square"]}}},
    {"cell_type": "raw", "source": "raw", "metadata": {"nbgrader": {"grade_id": {"a": 1}}}},
    {"cell_type": "code", "source": "x", "metadata": {"nbgrader": {"grade_id": "square", "points": float("nan")}}},
]


def test_odd_cells_are_read_for_what_they_are(source: NotebookNode, tmp_path: Path) -> None:
    path = tmp_path / "odd.ipynb"
    path.write_text(json.dumps({"cells": ODD_CELLS, "nbformat": 99, "metadata": float("nan")}))
    notebook = read(path)
    assert [c.source for c in notebook.cells] == ["", "", "a = 1\nb = 2", "half \ufffd a pair", "raw", "x"]
    todo = plan(source, notebook)
    made = nbformat.from_dict(
        {"cells": [s.cell for s in todo.steps], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    )
    nbformat.validate(made)
    nbformat.write(made, tmp_path / "graded.ipynb")


def test_ten_thousand_cells_are_planned(source: NotebookNode, tmp_path: Path) -> None:
    many = NotebookNode(cells=[{"cell_type": "code", "source": f"x{i} = {i}"} for i in range(10_000)])
    assert len(planned(source, many, tmp_path).steps) == 10_000 + len(source.cells)


# -- names ---------------------------------------------------------------------------------------------------------


def test_names_are_those_of_the_notebook_not_of_its_functions() -> None:
    found = names.of_cell(
        "%matplotlib inline\n"
        "from os import path as p, sep\nimport numpy.linalg\n"
        "total += len(data)\ndel gone\n"
        "def f(x, model=default):\n    local = x\n    import json\n    global made\n    made = local + used\n"
        "    return [item for item in items]\n"
        "class C(Base):\n    def __lt__(self, other): return helper(other)\n    __radd__ = None\n"
        "if (named := 1): pass\n"
    )
    assert {"len", "data", "total", "gone", "default", "used", "items", "Base", "helper"} <= found.read
    assert not {"x", "local", "item", "json", "self", "other", "model"} & (found.read | found.bound)
    assert {"p", "sep", "numpy", "f", "C", "made", "total", "named"} <= found.bound
    assert found.imported == {"p", "sep", "numpy"} and len(found.imports) == 2
    assert [one.name for one in found.classes] == ["C"] and {"__lt__", "__radd__"} <= found.classes[0].has
    assert names.of_cell("this is no Python (") == names.Names()


def test_total_ordering_gives_all_orders() -> None:
    text = "@functools.total_ordering\nclass C:\n    def __lt__(self, other): return True"
    assert {"__lt__", "__le__", "__gt__", "__ge__"} <= names.of_cell(text).classes[0].has


def test_what_the_classes_of_a_solution_have() -> None:
    text = (
        "class A:\n    def __eq__(self, other): return True\n    def add(self, x): pass\n"
        "class B(A):\n    class Inner:\n        def __len__(self): return 0\n"
        "@dataclass(frozen=True)\nclass D: x: int\nclass N(dict): pass\n"
        "def make():\n    class Local:\n        def __add__(self, other): return self\n    return Local()\n"
    )
    found = names.solutions([names.of_cell(text)])
    assert (
        found["A"] == {"__eq__", "add"} and found["B"] == {"__eq__", "add", "Inner"} and found["Inner"] == {"__len__"}
    )
    assert {"__eq__", "__hash__", "__repr__"} <= found["D"] and {"__eq__", "__contains__"} <= found["N"]
    assert found[""] == {"__add__"} and "Local" not in found


def test_what_is_warmed_is_what_the_instructor_imports(cells: SimpleNamespace) -> None:
    notebook = cells.notebook(
        cells.plain("import numpy as np\nfrom os import path\nfrom json import *"),
        cells.solution("s", cells.solved("import csv")),
        cells.text("import nothing"),
        cells.plain("not python ("),
    )
    assert modules_to_warm(notebook) == ["csv", "json", "numpy", "os", "os.path"]
