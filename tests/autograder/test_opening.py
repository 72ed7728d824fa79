"""The instructor's opening cells are run once for many submissions, and no submission can tell."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nbformat import NotebookNode

from autograder.grading import Report
from autograder.limits import Limits
from autograder.sandbox import warm as warm_module
from autograder.sandbox.warm import Opened, Place, Warm

Graded = Callable[..., Report]

HELPERS = """
from pathlib import Path
import random
LUCKY = random.random()
def told(): return (Path(__file__).parent / "data.txt").read_text()
def where(): return __file__
"""
OPENING = """
import inspect, random, sys
import numpy as np
import matplotlib.pyplot as plt
import helpers
from helpers import told
print("hello")
table = np.random.rand(3)
drawn = random.random()
seen = [1]
seen_text = open("data.txt").read()
def twice(x):
    return 2 * x
class Point:
    def __init__(self, x): self.x = x
    def __eq__(self, other): return self.x == other.x
np.set_printoptions(precision=2)
plt.rcParams["axes.grid"] = True
table.round(3).tolist()
"""
SECOND = "seen.append(2)\ntwice(len(seen_text))"
SOLUTION = """
import inspect, random
seen.append(3)
mine = random.random()
def f(x): return twice(x) + len(told())
def point(x): return Point(x)
def all_seen(): return list(seen)
def drawn_there(): return drawn, float(table[0]), helpers.LUCKY
def lines(): return inspect.getsource(helpers.told)
def here():
    import os
    return os.path.exists(helpers.where()), os.path.samefile(os.path.dirname(helpers.where()), os.getcwd())
"""
TESTS = [
    "assert f(2) == 9 and seen == [1, 2, 3]",
    "assert point(2) == Point(2)",
    "assert all_seen() == [1, 2, 3]",
    "assert drawn_there() == (drawn, float(table[0]), helpers.LUCKY)",
    "assert lines() == inspect.getsource(told)",
    "assert here() == (True, True) and told() == 'abcde' and 'helpers' in sys.modules",
    "assert mine == mine and random.random() != drawn\nprint(random.random(), np.random.rand())",
]


@pytest.fixture(scope="module")
def process() -> Iterator[Warm]:
    with Warm(["matplotlib.pyplot", "pandas"]) as process:
        yield process


@pytest.fixture
def ask(
    cells: SimpleNamespace, graded: Graded, process: Warm, tmp_path: Path
) -> Callable[..., tuple[Report, Opened | None]]:
    """Grades an answer after these opening cells; gives the report, and what has run them once for all, if any has."""
    (tmp_path / "shipped" / "data.txt").write_text("abcde")
    (tmp_path / "shipped" / "helpers.py").write_text(HELPERS)

    def grade(
        opening: list[str], answer: str = SOLUTION, changed: list[NotebookNode] | None = None, **options: Any
    ) -> tuple[Report, Opened | None]:
        first = [cells.locked(f"first{number}", text) for number, text in enumerate(opening)]
        tests = [cells.test(f"test{i}", text) for i, text in enumerate(TESTS)]
        source = cells.notebook(*first, cells.solution("answer", cells.solved(SOLUTION)), *tests)
        start = first if changed is None else changed
        submitted = cells.notebook(*start, cells.solution("answer", answer), *tests)
        report = graded(source, submitted, process=process, **options)
        made = [one for (_, place), one in process._opened.items() if place.files == tmp_path / "shipped"]
        return report, made[0] if made else None

    return grade


def shown(report: Report) -> list[Any]:
    return [cell.outputs for cell in report.notebook.cells if cell.cell_type == "code"]


def states(report: Report) -> list[str]:
    return [str(verdict.state) for verdict in report.verdicts]


@pytest.mark.parametrize("isolate", [True, False], ids=["isolated", "not isolated"])
def test_it_is_as_if_each_had_run_them(ask: Any, isolate: bool, request: pytest.FixtureRequest) -> None:
    if isolate:
        request.getfixturevalue("isolated")
    reports = []
    for number in range(1, 6):
        report, opened = ask([OPENING, SECOND], isolate=isolate)
        assert states(report) == ["passed"] * len(TESTS), report.verdicts
        assert (opened is not None) is (number >= warm_module.WORTH_OPENING)
        reports.append(shown(report))
    for report in reports[1:]:
        for now, before in zip(report, reports[0], strict=True):
            assert now == before
    assert reports[0][0][0]["text"] == "hello\n"


def test_a_submission_cannot_spoil_it_for_the_next(ask: Any, isolated: None) -> None:
    spoils = "seen.clear()\nhelpers.LUCKY = 5\nPoint.__eq__ = lambda *_: True\nimport numpy\nnumpy.random.seed(3)\n"
    honest = [ask([OPENING, SECOND], isolate=True)[0] for _ in range(warm_module.WORTH_OPENING)][-1]
    assert states(ask([OPENING, SECOND], spoils + SOLUTION, isolate=True)[0]) != states(honest)
    assert shown(ask([OPENING, SECOND], isolate=True)[0]) == shown(honest)


def test_a_learner_who_changed_them_has_their_own(ask: Any, cells: SimpleNamespace, process: Warm) -> None:
    before = len(process._asked)
    opening = [OPENING, SECOND]
    for _ in range(warm_module.WORTH_OPENING):
        ask(opening)
    added = [cells.plain("seen = 'mine'"), *(cells.locked(f"first{n}", text) for n, text in enumerate(opening))]
    report, _ = ask(opening, "import os\nos.environ['X'] = '1'\n" + SOLUTION, changed=added)
    assert states(report) == ["passed"] * len(TESTS)
    assert report.notebook.cells[0].source == "seen = 'mine'" and len(process._asked) == before + 1


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """What the assignment ships."""
    folder = tmp_path / "the course" / "files"
    folder.mkdir(parents=True)
    (folder / "data.txt").write_text("a,b\n1,2\n")
    return folder


NOT_SHARED = {
    "fails": "1 / 0",
    "draws, which leaves fonts open": "import matplotlib.pyplot as plt; plt.plot([1, 2])",
    "writes": "open('made.txt', 'w').write('x')",
    "removes": "import os; os.remove('data.txt')",
    "makes a folder": "import os; os.makedirs('made/within')",
    "keeps a file open": "file = open('data.txt')",
    "starts a thread": "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
    "starts a process": "import subprocess; subprocess.run(['true'])",
    "opens a socket": "import socket; there = socket.socketpair()",
    "goes elsewhere": "import os; os.chdir('/')",
    "knows its folder": "import os; HERE = os.getcwd()",
    "knows a path": "from pathlib import Path; DATA = {'train': [Path('data.txt').resolve()]}",
    "tells a library": "import os, sys; sys.path.append(os.path.abspath('lib'))",
    "tells the environment": "import os; os.environ['DATA'] = os.path.abspath('data')",
    "asks for a temporary folder": "import tempfile; FOLDER = tempfile.gettempdir()",
}


@pytest.mark.parametrize("cell", NOT_SHARED.values(), ids=NOT_SHARED.keys())
def test_what_forks_cannot_share_each_runs_for_itself(cell: str, process: Warm, files: Path) -> None:
    assert process._open(("x = 1", cell), Place(files), Limits()) is None
    assert [path.name for path in files.iterdir()] == ["data.txt"]  # which all submissions get a copy of


SHARED = {
    "reads what is shipped": "data = open('data.txt').read()",
    "reads it as a table": "import pandas as pd; table = pd.read_csv('data.txt')",
    "draws in the notebook": "%matplotlib inline\nimport matplotlib.pyplot as plt",
    "shows something": "from IPython.display import HTML; HTML('<b>x</b>')",
    "asks about the machine": "import os; os.cpu_count(); open('/proc/cpuinfo').read()",
    "sets what Python sets": "import logging, os, warnings; warnings.simplefilter('ignore'); os.environ['SEED'] = '1'",
}


@pytest.mark.parametrize("cell", SHARED.values(), ids=SHARED.keys())
def test_what_opening_cells_usually_do_is_shared(cell: str, process: Warm, files: Path) -> None:
    opened = process._open(("x = 1", cell), Place(files), Limits())
    assert opened is not None
    opened.close()


LOOKS_AWAY = {
    "reads": "try: key = open({path!r}).read()\nexcept OSError: key = None",
    "asks whether it is there": "import os; data = os.path.exists({path!r})",
    "asks as paths do": "from pathlib import Path; data = Path({path!r}).is_file()",
    "lists": "import os\ntry: os.listdir({folder!r})\nexcept OSError: pass",
    "goes through a link": "try: open('link').read()\nexcept OSError: pass",
}


@pytest.mark.parametrize("cell", LOOKS_AWAY.values(), ids=LOOKS_AWAY.keys())
def test_what_no_sandbox_sees_is_not_carried_into_one(cell: str, process: Warm, files: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "answers.txt").write_text("42")
    (files / "link").symlink_to(tmp_path / "secret" / "answers.txt")
    text = cell.format(path=str(tmp_path / "secret" / "answers.txt"), folder=str(tmp_path / "secret"))
    assert process._open((text,), Place(files), Limits()) is None
    assert process._open((text,), Place(files, isolate=False), Limits()) is not None


def test_what_is_hidden_from_sandboxes_is_not_carried_into_one(process: Warm, tmp_path: Path) -> None:
    import json

    cell = ("import inspect, json; lines = inspect.getsource(json)",)
    assert process._open(cell, Place(tmp_path), Limits()) is not None
    assert process._open(cell, Place(tmp_path, hide=(Path(json.__file__).parent,)), Limits()) is None


def test_cells_that_do_not_end_hold_up_nobody_for_ever(process: Warm, tmp_path: Path) -> None:
    assert process._open(("while True: pass",), Place(tmp_path), Limits(cell_seconds=1)) is None


def test_what_ran_them_may_be_killed(ask: Any, process: Warm) -> None:
    opening = [OPENING, SECOND]
    for _ in range(warm_module.WORTH_OPENING):
        report, opened = ask(opening)
    assert opened is not None and opened._process.gone() is False
    os.kill(opened._process.pid, signal.SIGKILL)
    opened._process.end()
    again, _ = ask(opening)
    assert shown(again) == shown(report)


def test_it_ends_with_the_warm_process(tmp_path: Path) -> None:
    with Warm([]) as process:
        opened = process._open(("x = 1",), Place(tmp_path), Limits())
        assert opened is not None
        process._opened["x"] = opened
    assert not Path(f"/proc/{opened._process.pid}").exists()
