"""Submissions that answer alike are decided by what judges did before; whatever else answers is judged anew."""

import copy
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nbformat import NotebookNode

from autograder import pair
from autograder.grading import Report
from autograder.layout import Assignment
from autograder.limits import Limits
from autograder.precedents import JUDGES, Exchange, Heard, Precedents
from autograder.sandbox.warm import Warm

Graded = Callable[..., Report]

RIGHT = "def f(x):\n    return 2 * x"
LIKE_IT = "def f(x):\n    # in another way\n    return x + x"
MOST = 8  # submissions after which there is a precedent: the first few also have no opening cells behind them


@pytest.fixture
def source(cells: SimpleNamespace) -> NotebookNode:
    return cells.notebook(
        cells.locked("setup", "import random\nlucky = random.random()\nprint('set up')"),
        cells.solution("answer", cells.solved(RIGHT)),
        cells.test("test0", "print('testing')\nassert f(2) == 4"),
        cells.test("test1", "assert [f(x) for x in range(3)] == [0, 2, 4]\n0.5"),
    )


class Judged:
    """Grades answers to one exercise, one after another, and notes which processes that took."""

    def __init__(self, source: NotebookNode, graded: Graded, forks: list[str]) -> None:
        self.source, self.known = source, Precedents()
        self._graded, self._forks = graded, forks
        self.count: Iterator[int] | None = itertools.count()

    def submitted(self, answer: str) -> NotebookNode:
        made = copy.deepcopy(self.source)
        (cell,) = [c for c in made.cells if c.metadata.get("nbgrader", {}).get("solution")]
        cell.source = answer
        return made

    def __call__(self, answer: str | NotebookNode, **options: Any) -> tuple[Report, list[str]]:
        submitted = self.submitted(answer) if isinstance(answer, str) else copy.deepcopy(answer)
        if self.count is not None:
            submitted.cells[1].source += f"\n# {next(self.count)}"  # no two hand in the same
        self.last = submitted
        self._forks.clear()
        report = self._graded(self.source, submitted, precedents=self.known, **options)
        return report, [kind for kind in self._forks if kind != "opening"]

    def until_known(self, answer: str | NotebookNode, **options: Any) -> Report:
        """Grades the answer until no judge is needed for it, and gives what came of that; each time it is the same."""
        first, forked = self(answer, **options)
        for _ in range(MOST):
            report, forked = self(answer, **options)
            assert report.verdicts == first.verdicts and shown(report) == shown(first)
            if forked == ["sandbox"]:
                return report
        raise AssertionError("it needs a judge again and again")


@pytest.fixture
def judged(source: NotebookNode, graded: Graded, warm: Warm, monkeypatch: pytest.MonkeyPatch) -> Judged:
    forks: list[str] = []
    fork = pair.Forks.fork

    def noted(self: Any, kind: str, *rest: Any) -> int:
        forks.append(kind)
        return fork(self, kind, *rest)

    monkeypatch.setattr(pair.Forks, "fork", noted)
    return Judged(source, graded, forks)


def shown(report: Report) -> list[Any]:
    return [cell.get("outputs") for cell in report.notebook.cells]


def test_the_same_answers_need_no_judge(judged: Judged) -> None:
    report = judged.until_known(RIGHT)
    assert [(v.state, v.points) for v in report.verdicts] == [("passed", 1.0), ("partial", 0.5)]
    assert "set up" in str(shown(report)) and "testing" in str(shown(report))
    assert report.private_mib is None or report.private_mib > 0
    like_it, forked = judged(LIKE_IT)
    assert forked == ["sandbox"] and like_it.verdicts == report.verdicts


def test_what_learners_show_beside_it_is_each_ones_own(judged: Judged, cells: SimpleNamespace) -> None:
    judged.until_known(RIGHT)
    report, forked = judged(f"print('mine')\n{RIGHT}\nf(21)")
    assert forked == ["sandbox"]
    answer = report.notebook.cells[1].outputs
    assert [output.output_type for output in answer] == ["stream", "execute_result"]
    assert (answer[0].text, answer[1].data["text/plain"]) == ("mine\n", "42")
    more = judged.submitted(RIGHT)
    more.cells[2:2] = [cells.plain("print(f(1))"), cells.text("So it works."), cells.plain("f(2)")]
    report, forked = judged(more)
    assert forked == ["sandbox"] and [v.points for v in report.verdicts] == [1.0, 0.5]
    texts = [str(cell.get("outputs")) for cell in report.notebook.cells[2:5]]
    assert "2\\n" in texts[0] and "4" in texts[2]


def test_what_learners_show_is_made_harmless(judged: Judged) -> None:
    judged.until_known(RIGHT)
    html = "from IPython.display import HTML\nHTML('<b>bold</b><script>alert(1)</script>')"
    report, forked = judged(f"{RIGHT}\n{html}")
    assert forked == ["sandbox"]
    assert "bold" in str(shown(report)) and "script" not in str(shown(report))


@pytest.mark.parametrize(
    ("answer", "points"),
    [
        ("def f(x):\n    return 2 * x if x != 1 else 3", [1.0, 0.0]),
        ("def f(x):\n    return x ** 2", [1.0, 0.0]),
        ("def f(x):\n    return 2.0 * x", [1.0, 0.5]),
        ("def f(x):\n    print('working')\n    return 2 * x", [1.0, 0.5]),
        ("def f(x):\n    raise ValueError(x)", [0.0, 0.0]),
        ("class Two(int):\n    pass\ndef f(x):\n    return Two(2 * x)", [1.0, 0.5]),
        ("f = 3", [0.0, 0.0]),
        ("import os\ndef f(x):\n    os._exit(0)", [0.0, 0.0]),
        ("g = 1", [0.0, 0.0]),
        ("def f(x):", [0.0, 0.0]),
    ],
)
def test_what_answers_otherwise_is_judged(judged: Judged, graded: Graded, answer: str, points: list[float]) -> None:
    judged.until_known(RIGHT)
    report, forked = judged(answer)
    assert "judge" in forked
    alone = graded(judged.source, judged.last)
    assert report.verdicts == alone.verdicts and shown(report) == shown(alone)
    assert [v.points for v in report.verdicts] == points or "class Two" in answer


def test_wrong_answers_have_precedents_too(judged: Judged) -> None:
    report = judged.until_known("def f(x):\n    return 3 * x")
    assert [v.points for v in report.verdicts] == [0.0, 0.0]


def test_one_who_takes_longer_is_judged(judged: Judged) -> None:
    judged.until_known(RIGHT)
    report, forked = judged(
        f"import time\n{RIGHT}\nf_ = f\ndef f(x):\n    time.sleep(1 if x == 2 else 0)\n    return f_(x)"
    )
    assert forked == ["sandbox", "sandbox", "judge"] and report.verdicts[0].points == 1.0


def test_one_who_never_answers_is_stopped_by_a_judge(judged: Judged) -> None:
    judged.until_known(RIGHT)
    forever = "def f(x):\n    while True:\n        pass"
    report, forked = judged(forever, limits=Limits(cell_seconds=1))
    assert "judge" in forked and [v.state for v in report.verdicts] == ["timeout", "timeout"]


UNSURE = {
    "other questions each time": "import secrets\nx = secrets.randbits(64)\nassert f(x) == 2 * x",
    "another word each time": "import secrets\nprint(secrets.randbits(64))\nassert f(2) == 4",
    "a point by chance": "import secrets\nassert f(2) == 4\nsecrets.randbits(64) / 2**64",
}


@pytest.mark.parametrize("test", UNSURE.values(), ids=UNSURE)
def test_where_more_than_answers_decides_each_is_judged(judged: Judged, test: str) -> None:
    judged.source.cells[2].source = test
    assert all(judged(RIGHT)[1] == ["sandbox", "judge"] for _ in range(MOST))


def test_an_answer_that_is_new_each_time_is_judged(judged: Judged) -> None:
    answer = "import os\ndef f(x):\n    f.drawn = os.urandom(8).hex()\n    print(f.drawn)\n    return 2 * x"
    assert all("judge" in judged(answer)[1] for _ in range(MOST))


def test_files_of_their_own_are_judged(judged: Judged, tmp_path: Any) -> None:
    judged.until_known(RIGHT)
    (tmp_path / "mine.txt").write_text("x")
    _, forked = judged(RIGHT, extra={"mine.txt": tmp_path / "mine.txt"})
    assert forked == ["sandbox", "judge"]


def test_callbacks_exceptions_and_containers_that_change(judged: Judged) -> None:
    """All that goes there and back within a question is part of what was answered."""
    judged.source.cells[2].source = (
        "seen = []\nassert apply(seen.append, [1, 2]) == [1, 2, 3] and seen == [1, 2]\n"
        "items = [3, 1]\nsort_it(items)\nassert items == [1, 3]\n"
        "try:\n    sort_it(None)\nexcept TypeError:\n    pass\nelse:\n    assert False"
    )
    judged.source.cells[3].source = "assert Box(3).double().x == 6"
    answer = (
        "def apply(g, xs):\n    for x in xs:\n        g(x)\n    xs.append(3)\n    return xs\n"
        "def sort_it(xs):\n    xs.sort() if xs is not None else int('x', None)\n"
        "class Box:\n    def __init__(self, x):\n        self.x = x\n"
        "    def double(self):\n        return Box(2 * self.x)"
    )
    assert [v.points for v in judged.until_known(answer).verdicts] == [1.0, 1.0]
    wrong = answer.replace("g(x)", "g(x) if x == 1 else g(7)")
    report, forked = judged(wrong)
    assert "judge" in forked and [v.points for v in report.verdicts] == [0.0, 1.0]


# -- the same code ------------------------------------------------------------------------------------------------


@pytest.fixture
def same(judged: Judged) -> Callable[..., tuple[Report, list[str]]]:
    """Grades as ``judged`` does, and leaves the code as it is."""
    judged.count = None
    return judged


def test_the_same_code_is_run_no_third_time(same: Judged, cells: SimpleNamespace) -> None:
    first, _ = same(RIGHT)
    assert same(RIGHT)[1] == ["sandbox", "judge"]
    again, forked = same(RIGHT)
    assert forked == [] and again.verdicts == first.verdicts and shown(again) == shown(first)
    again.notebook.cells[0].outputs[0].text = "changed"
    more = same.submitted(RIGHT)
    more.cells.insert(2, cells.text("Mine."))
    with_text, forked = same(more)
    assert forked != [] and with_text.notebook.cells[2].source == "Mine."
    assert shown(same(RIGHT)[0]) == shown(first)  # each has its own
    assert same(LIKE_IT)[1] != []


def test_one_that_was_not_attempted_is_no_precedent_for_one_that_fails(same: Judged) -> None:
    for _ in range(MOST):
        report, forked = same("# YOUR CODE HERE\nraise NotImplementedError()")
        assert report.verdicts[0].state == "not attempted"
    assert forked == []
    report, _ = same("raise NotImplementedError()")
    assert report.verdicts[0].state == "error"


def test_what_was_written_in_cells_of_text_is_each_learners_own(same: Judged, cells: SimpleNamespace) -> None:
    written = same.submitted("raise NotImplementedError()")
    for notebook in (same.source, written):
        notebook.cells.insert(1, cells.essay("why", "Because.", points=2))
    for _ in range(JUDGES):
        same(written)
    written.cells[1].source = "Since 2 + 2 is 4."
    report, forked = same(written)
    assert forked == [] and report.notebook.cells[1].source == "Since 2 + 2 is 4."
    assert report.manual == [("why", 2.0, False)]


def test_code_that_comes_out_otherwise_is_run_again(same: Judged) -> None:
    answer = f"import os\nprint(os.urandom(8))\n{RIGHT}"
    assert all(same(answer)[1] != [] for _ in range(MOST))


def test_what_was_cut_short_is_tried_again(same: Judged) -> None:
    same.source.cells[2].source = "while f(2) != 5:\n    pass"
    for _ in range(3):
        report, forked = same(RIGHT, limits=Limits(cell_seconds=0.5))
        assert report.verdicts[0].state == "timeout" and "judge" in forked


def test_a_shipped_module_may_have_a_clock(tmp_path: Path) -> None:
    (tmp_path / "quick.py").write_text("import math")
    (tmp_path / "timed.py").write_text("import time")
    (tmp_path / "notes.txt").write_text("import time")
    files = {path.name: path for path in tmp_path.iterdir()}
    assert Assignment("ps1", {}, files).has_clocks()
    assert not Assignment("ps1", {}, {name: path for name, path in files.items() if name != "timed.py"}).has_clocks()


# -- what is kept -------------------------------------------------------------------------------------------------


def _heard(*answers: str, points: float = 1.0, seconds: float = 0.01) -> list[Heard]:
    frame = (b'{"message": {"op": "do"}, "sizes": []}', b"")
    exchanges = [Exchange(f"question {n}", answer, seconds, frame) for n, answer in enumerate(answers)]
    return [Heard(exchanges, {"outputs": [], "verdict": points}), Heard([], None)]


def test_two_judges_make_a_precedent() -> None:
    known = Precedents()
    for number in range(JUDGES):
        turn = known.first("key")
        assert turn is None or not turn.binds, number
        known.add("key", _heard("yes"))
    turn = known.first("key")
    assert turn is not None and turn.binds and turn.question is not None and turn.told == ()
    assert turn.then["yes"].binds and turn.then["yes"].told == ({"outputs": [], "verdict": 1.0},)
    assert known.first("another key") is None and "no" not in turn.then


def test_judges_that_do_not_agree_make_none() -> None:
    known = Precedents()
    for points in (1.0, 1.0, 0.0, 1.0, 1.0, 1.0):
        known.add("key", _heard("yes", points=points))
    turn = known.first("key")
    assert turn is not None and turn.binds and not turn.then["yes"].binds


def test_nothing_follows_on_an_answer_that_took_long() -> None:
    known = Precedents()
    for _ in range(JUDGES + 1):
        known.add("key", _heard("yes", "yes", seconds=1.0))
    turn = known.first("key")
    assert turn is not None and turn.then == {}


def test_what_is_kept_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Precedents(60)
    for _ in range(JUDGES + 1):
        known.add("key", _heard("yes", "no"))
    turn = known.first("key")
    assert turn is not None and turn.binds and not turn.then["yes"].binds
    monkeypatch.setattr("autograder.precedents.MOST_TURNS", 3)
    known = Precedents()
    for answer in range(5):
        known.add("key", _heard(str(answer)))
    turn = known.first("key")
    assert turn is not None and len(turn.then) == 2
