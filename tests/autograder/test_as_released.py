"""A notebook in which no code was changed is run once for all who submit it so, and any other is run."""

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from nbformat import NotebookNode

from autograder.grading import Report
from autograder.limits import Limits
from autograder.sandbox.warm import Warm

Graded = Callable[..., Report]


@pytest.fixture
def source(cells: SimpleNamespace) -> NotebookNode:
    return cells.notebook(
        cells.locked("setup", "import random\nlucky = random.random()\nprint('set up')"),
        cells.text("What is 2 + 2?"),
        cells.essay("why", "Because.", points=2),
        cells.solution("answer", cells.solved("def f(x): return 2 * x")),
        cells.plain("f"),
        cells.test("test0", "print('testing')\nassert f(2) == 4"),
        cells.test("test1", "assert f.__name__ == 'f'\nlucky"),
    )


@pytest.fixture
def stub(source: NotebookNode, cells: SimpleNamespace) -> NotebookNode:
    """As it is released."""
    made = copy.deepcopy(source)
    made.cells[3].source = "# YOUR CODE HERE\nraise NotImplementedError()"
    return made


@pytest.fixture
def ask(graded: Graded, source: NotebookNode, warm: Warm, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Grades a notebook: gives its report, and how many processes were forked for it."""
    known: dict[Any, Any] = {}
    forks: list[str] = []
    fork = Warm.fork
    monkeypatch.setattr(Warm, "fork", lambda self, kind, *rest: forks.append(kind) or fork(self, kind, *rest))

    def run(submitted: NotebookNode, **options: Any) -> tuple[Report, int]:
        before = len(forks)
        report = graded(source, submitted, as_released=known, **options)
        return report, len(forks) - before

    return run


def _shown(report: Report) -> list[Any]:
    return [(cell.cell_type, cell.source, cell.get("outputs")) for cell in report.notebook.cells]


def test_it_is_run_once(ask: Any, stub: NotebookNode) -> None:
    first, forked = ask(stub)
    again, then = ask(stub)
    assert (forked, then) == (2, 0)
    assert again.verdicts == first.verdicts and [v.state for v in first.verdicts] == ["not attempted", "error"]
    assert _shown(again) == _shown(first) and "set up" in str(_shown(again))
    assert again.untouched == first.untouched and again.private_mib == first.private_mib
    again.notebook.cells[0].outputs[0].text = "changed"
    assert _shown(ask(stub)[0]) == _shown(first)  # each has its own


def test_what_was_written_in_cells_of_text_is_each_learners_own(ask: Any, stub: NotebookNode) -> None:
    ask(stub)
    stub.cells[2].source = "Since 2 + 2 is 4."
    report, forked = ask(stub)
    assert forked == 0 and report.notebook.cells[2].source == "Since 2 + 2 is 4."
    assert report.untouched == {"answer"} and report.manual == [("why", 2.0, False)]


def _solve(notebook: NotebookNode, cells: SimpleNamespace) -> None:
    notebook.cells[3].source = "def f(x): return 2 * x"


def _comment(notebook: NotebookNode, cells: SimpleNamespace) -> None:
    notebook.cells[3].source += "\n# later"


def _change_a_cell_that_is_not_locked(notebook: NotebookNode, cells: SimpleNamespace) -> None:
    notebook.cells[4].source = "def f(x): return 2 * x"


def _add(notebook: NotebookNode, cells: SimpleNamespace) -> None:
    notebook.cells.insert(4, cells.plain("def f(x): return 2 * x"))


def _add_first(notebook: NotebookNode, cells: SimpleNamespace) -> None:
    notebook.cells.insert(0, cells.plain("y = 1"))


def _delete(notebook: NotebookNode, cells: SimpleNamespace) -> None:
    del notebook.cells[3]


CHANGES = (_solve, _comment, _change_a_cell_that_is_not_locked, _add, _add_first, _delete)


@pytest.mark.parametrize("change", CHANGES, ids=[change.__name__[1:] for change in CHANGES])
def test_what_is_changed_is_run(change: Callable[..., None], ask: Any, stub: NotebookNode, cells: Any) -> None:
    ask(stub)
    change(stub, cells)
    report, forked = ask(stub)
    assert forked == 2
    full = change in (_solve, _change_a_cell_that_is_not_locked, _add)
    assert (report.verdicts[0].points == 1.0) is full


def test_what_was_changed_is_not_kept(ask: Any, stub: NotebookNode, cells: SimpleNamespace) -> None:
    _solve(stub, cells)
    ask(stub)
    assert ask(stub)[1] == 2


def test_files_of_their_own_may_change_what_code_does(ask: Any, stub: NotebookNode, tmp_path: Any) -> None:
    ask(stub)
    (tmp_path / "mine.txt").write_text("x")
    assert ask(stub, extra={"mine.txt": tmp_path / "mine.txt"})[1] == 2


def test_what_was_cut_short_is_tried_again(ask: Any, stub: NotebookNode, source: NotebookNode) -> None:
    for notebook in (source, stub):
        notebook.cells[5].source = "import time\ntime.sleep(1)\nassert f(2) == 4"
    report, _ = ask(stub, limits=Limits(cell_seconds=0.5))
    assert report.verdicts[0].state == "timeout"
    assert ask(stub, limits=Limits(cell_seconds=20))[1] == 2
