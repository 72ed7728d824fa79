"""What a submission may try to be decided by a precedent that is none for it, or to spoil precedents for others."""

import copy
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from autograder import names, outputs, precedents, sanitise
from autograder.frames import Channel
from autograder.grading import Report
from autograder.judge import minutes
from autograder.judge.minutes import Minutes
from autograder.limits import Limits
from autograder.precedents import JUDGES, Precedents, Turn
from autograder.shell import code_name
from tests.autograder.test_precedents import MOST, RIGHT, Graded, Judged, _heard, judged, shown, source

__all__ = ["judged", "source"]  # fixtures

CHANNEL = (
    "import gc, os, json, struct, time\nsession = next(o for o in gc.get_objects() if type(o).__name__ == 'Session')\n"
)
CHANNEL += "put, sock = session._channel.put, session._channel.sock\n"


def sending(first: str) -> str:
    """A right answer that sends something before each answer to a question, over the channel."""
    lines = f"def mine(header, pieces, total, **more):\n    {first}\n    return put(header, pieces, total, **more)\n"
    return f"{CHANNEL}{lines}session._channel.put = mine\n{RIGHT}"


def both(judged: Judged, graded: Graded, answer: str | NotebookNode, **options: Any) -> tuple[Report, list[str]]:
    """Grades it with precedents and without: it must come to the same."""
    submitted = judged.submitted(answer) if isinstance(answer, str) else answer
    alone = graded(judged.source, submitted, **options)
    report, forked = judged(submitted, **options)
    assert report.verdicts == alone.verdicts
    assert shown(report) == shown(alone)
    return report, forked


SLOW = "import time\ndef f(x):\n    time.sleep({seconds})\n    return 2 * x"
TIMED = "import time\nbegan = time.perf_counter()\nf(2)\nassert time.perf_counter() - began < 0.05"


CLOCKS = [
    "from datetime import datetime\nbegan = datetime.today()",
    "import os\nbegan = os.times()",
    "import torch.utils.benchmark as b\nb.Timer('f(2)').blocked_autorange()",
]


@pytest.mark.parametrize("test", CLOCKS)
def test_a_clock_by_any_name_is_one(test: str) -> None:
    assert names.times(test) and not names.times("times = [os.path]\nassert f(2) == 4")


@pytest.mark.parametrize(("first", "then"), [(0.1, 0.0), (0.0, 0.1)])
def test_who_is_quick_is_no_precedent_for_who_is_slow(
    judged: Judged, graded: Graded, first: float, then: float
) -> None:
    judged.source.cells[2].source = TIMED
    for _ in range(MOST):
        judged(SLOW.format(seconds=first))
    both(judged, graded, SLOW.format(seconds=then))


def test_many_short_waits_are_a_long_one(judged: Judged) -> None:
    judged.source.cells[2].source = "for i in range(20):\n    assert f(i) == 2 * i"
    limits = Limits(cell_seconds=1.5)
    judged.until_known(RIGHT, limits=limits)
    report, _ = judged(SLOW.format(seconds=0.15), limits=limits)
    assert report.verdicts[0].state == "timeout"


def test_an_aside_that_is_none_is_no_end_of_the_grader(judged: Judged, graded: Graded) -> None:
    judged.until_known(RIGHT)
    both(judged, graded, sending("sock.sendall(struct.pack('!IQ??', 4, 0, False, True) + b'oops')"))


def test_an_aside_behind_a_call_is_bounded(judged: Judged) -> None:
    judged.until_known(RIGHT)
    aside = "session._channel.send.__func__(A, {'op': 'shown'}, [bytes(2**24)], aside=True)"
    answer = sending(aside).replace("def mine", "A = type(session._channel)(sock)\ndef mine")
    _, forked = judged(answer)
    assert "judge" in forked


@pytest.mark.parametrize(("mime", "size"), [("text/html", 90_000), ("text/markdown", 40_000)])
def test_what_takes_long_to_make_harmless_is_left_to_a_judge(judged: Judged, mime: str, size: int) -> None:
    """That may be ended, and the grader, which has other things to do, may not."""
    judged.until_known(RIGHT)
    _, forked = judged(f"{RIGHT}\nfrom IPython.display import display\ndisplay({{{mime!r}: 'x' * {size}}}, raw=True)")
    assert "judge" in forked


HELD_UP = {
    "a formula": lambda: outputs.safe(_display("text/latex", "\\" * 2**16), trusted=False),
    "html": lambda: outputs.safe(_display("text/html", "\\" * 2**16), trusted=False),
    "a raw cell": lambda: sanitise.raw("\\" * 2**16),
    "a text cell of tildes": lambda: sanitise.markdown("~" * sanitise.MAX_MARKDOWN),
    "a text cell of fences": lambda: sanitise.markdown("```x" * (sanitise.MAX_MARKDOWN // 4)),
}


def _display(mime: str, text: str) -> list[Any]:
    return [{"output_type": "display_data", "data": {mime: text}}]


@pytest.mark.parametrize("harmless", HELD_UP.values(), ids=HELD_UP)
def test_what_is_made_harmless_in_the_grader_takes_no_square_of_its_length(harmless: Callable[[], Any]) -> None:
    """Nor does any thread of the grader run meanwhile: a pattern is looked for in one go."""
    began = time.process_time()
    harmless()
    assert time.process_time() - began < 2


def test_nobody_holds_up_the_grader(judged: Judged) -> None:
    judged.source.cells[2].source = "for i in range(20):\n    assert f(i) == 2 * i"
    judged.until_known(RIGHT)
    slow = (
        "body = b''.join(pieces)\n    aside = more.get('aside', False)\n"
        "    sent = struct.pack('!IQ??', len(header), total, False, aside) + header + body\n"
        "    sock.sendall(sent[:1]); time.sleep(1); sock.sendall(sent[1:]); return memoryview(body)"
    )
    report, _ = judged(sending(slow), limits=Limits(cell_seconds=3))
    assert report.verdicts[0].state == "timeout", report.verdicts


def test_what_is_taken_is_watched(judged: Judged) -> None:
    judged.source.cells[2].source = "for i in range(30):\n    assert f(i) == 2 * i"
    limits = Limits(cpu_seconds=1)
    judged.until_known(RIGHT, limits=limits)
    busy = (
        "import time\ndef f(x):\n    end = time.monotonic() + 0.1\n"
        "    while time.monotonic() < end:\n        pass\n    return 2 * x"
    )
    report, _ = judged(busy, limits=limits)
    assert report.verdicts[0].state == "timeout", report.verdicts


def test_what_two_showed_cuts_nothing_of_others(judged: Judged, graded: Graded) -> None:
    judged.source.cells[2].source = "print('t' * 1800)\nassert f(2) == 4"
    limits = Limits(output_kib=2)
    for _ in range(MOST):
        more = judged.submitted(RIGHT)
        more.cells[2:2] = [new_code_cell("print('x' * 2000)") for _ in range(20)]
        judged(more, limits=limits)
    both(judged, graded, RIGHT, limits=limits)


def test_what_one_showed_cuts_its_own(judged: Judged, graded: Graded) -> None:
    judged.source.cells[2].source = "print('t' * 1800)\nassert f(2) == 4"
    limits = Limits(output_kib=2)
    judged.until_known(RIGHT, limits=limits)
    more = judged.submitted(RIGHT)
    more.cells[2:2] = [new_code_cell("print('x' * 2000)") for _ in range(20)]
    both(judged, graded, more, limits=limits)


def test_many_questions_are_not_too_much_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minutes, "MOST", 20 * minutes.EACH)
    ours, theirs = map(Channel, socket.socketpair())
    took = Minutes(ours.sock, [], lambda: None)
    for number in range(100):
        took.send({"op": "do", "number": number})
        theirs.send({"op": "value"})
        took.receive()
        assert len(took.taken_down() if number % 7 == 0 else []) <= 7
    assert not took.complete and len(took.taken_down()) == 0


def test_large_questions_are_not_kept(judged: Judged) -> None:
    test = "import numpy as np\nfor i in range(40):\n    assert f(np.full(6_000_000, i * 1.0))[0] == 2 * i"
    judged.source.cells[2].source = test
    report, _ = judged(RIGHT, limits=Limits(memory_mib=1024))
    assert report.verdicts[0].state == "passed", report.verdicts


@pytest.mark.parametrize("place", range(5))
def test_cells_of_their_own_show_the_same_wherever_they_are(judged: Judged, graded: Graded, place: int) -> None:
    more = judged.submitted(RIGHT)
    more.cells[place:place] = [new_code_cell("print('one')"), new_code_cell(""), new_code_cell("print('two')\n3")]
    for _ in range(MOST):
        _, forked = both(judged, graded, more)
    assert forked == ["sandbox"]


BROKEN = (
    "class Meta(type):\n    @property\n    def __module__(cls):\n        raise ValueError('mine')\n"
    "class C(metaclass=Meta):\n    pass\nf = C()"
)


def test_a_group_that_fails_shows_so(judged: Judged, graded: Graded) -> None:
    judged.source.cells[1].source = "### BEGIN SOLUTION\nimport math\ndef f(x):\n    return 2 * x\n### END SOLUTION"
    for _ in range(MOST):
        both(judged, graded, BROKEN)


def test_another_ones_source_is_no_ones_own(judged: Judged, graded: Graded) -> None:
    judged.source.cells[2].source = "import inspect\nassert '2 * x' in inspect.getsource(f)"
    for _ in range(MOST):
        judged(RIGHT)
    name = code_name(RIGHT)
    lies = f"def f(x):\n    return x + x\nf.__code__ = f.__code__.replace(co_filename={name!r}, co_firstlineno=1)"
    both(judged, graded, lies)


def test_an_answer_that_was_deleted_is_no_precedent_for_one_that_was_emptied(judged: Judged, graded: Graded) -> None:
    judged.count = None
    emptied = judged.submitted("")
    deleted = copy.deepcopy(emptied)
    del deleted.cells[1]
    for _ in range(JUDGES + 1):
        _, forked = both(judged, graded, deleted)
    assert forked == []
    both(judged, graded, emptied)


def test_a_precedent_is_whole_before_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Noticed(Turn):
        def __setattr__(self, name: str, value: Any) -> None:
            if name == "binds" and value:
                assert self.question is not None or self.told
            super().__setattr__(name, value)

    monkeypatch.setattr(precedents, "Turn", Noticed)
    known = Precedents()
    for _ in range(JUDGES):
        known.add("key", _heard("yes"))


def test_one_who_is_asked_much_leaves_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precedents, "MOST_NEW", 10)
    monkeypatch.setattr(precedents, "MOST_TURNS", 25)
    known = Precedents()
    known.add("much", _heard(*map(str, range(100))))
    for _ in range(JUDGES):
        known.add("key", _heard("yes"))
    turn = known.first("key")
    assert turn is not None and turn.then["yes"].binds
