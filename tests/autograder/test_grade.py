"""A notebook's way through judge and sandbox to its verdicts: honest work, bad luck, and cheats."""

import copy
import json
import os
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat import NotebookNode

from autograder.grading import Report, grade_notebook
from autograder.limits import Limits
from autograder.sandbox.warm import Warm
from autograder.submission import with_checksums
from autograder.verdict import CHECK_MIME, State

Attempt = Callable[..., Report]


def states(report: Report) -> list[str]:
    return [str(v.state) for v in report.verdicts]


def points(report: Report) -> list[float]:
    return [v.points for v in report.verdicts]


SQUARES = """
def squares(n):
    if n < 1: raise ValueError("n must be at least 1")
    return [i * i for i in range(1, n + 1)]

def sum_of_squares(n):
    return sum(squares(n))
"""

# nbgrader's own example: the learner's function is taken away, and what used it must fail.
USES_SQUARES = """
original_squares = squares
del squares
try:
    sum_of_squares(1)
except NameError:
    pass
else:
    raise AssertionError("sum_of_squares does not use squares")
finally:
    squares = original_squares
"""


def test_honest_work_earns_its_points(attempt: Attempt) -> None:
    tests = [
        "assert squares(3) == [1, 4, 9]",
        "try:\n    squares(0)\nexcept ValueError:\n    pass\nelse:\n    raise AssertionError('no error')",
        USES_SQUARES,
        "assert sum_of_squares(3) == 14",
    ]
    right = attempt(SQUARES, tests, SQUARES)
    assert states(right) == ["passed"] * 4 and right.points == right.max_points == 4
    apart = SQUARES.replace("sum(squares(n))", "sum(i * i for i in range(1, n + 1))")
    assert states(attempt(SQUARES, tests, apart)) == ["passed", "passed", "failed", "passed"]
    no_error = attempt(SQUARES, tests, SQUARES.replace("n < 1", "False"))
    assert states(no_error) == ["passed", "failed", "passed", "passed"]
    assert no_error.verdicts[1].message == "no error"


def test_each_way_to_fail_has_its_verdict(attempt: Attempt) -> None:
    tests = ["assert f(2) == 4"]
    for answer, state in (
        ("def f(x): return x", State.FAILED),
        ("def f(x): return 1 / 0", State.ERROR),
        ("def f(x: return", State.ERROR),
        ("raise SystemExit", State.ERROR),
        ("def f(x): raise SystemExit(0)", State.ERROR),
        ("def f(x): raise NotImplementedError", State.NOT_ATTEMPTED),
        ("# YOUR CODE HERE\nraise NotImplementedError()", State.NOT_ATTEMPTED),
        ("", State.ERROR),
        ("f = 5", State.ERROR),
        ("def f(x):\n    import os\n    os._exit(0)", State.CRASHED),
        ("\x00", State.ERROR),
    ):
        report = attempt("def f(x): return x * x", tests, answer)
        assert (states(report), points(report)) == ([state], [0.0]), answer


def test_a_warning_on_stderr_is_no_failure(attempt: Attempt) -> None:
    answer = "import sys, warnings\ndef f(x):\n    warnings.warn('old'); print('hm', file=sys.stderr); return x"
    assert states(attempt("def f(x): return x", ["assert f(1) == 1"], answer)) == ["passed"]


def test_what_a_cell_warns_of_shows_in_the_cell_and_on_no_terminal(
    attempt: Attempt, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = """
import threading, time, warnings
def f(x): return x
def chat():
    while True: print("chat"); time.sleep(0.001)
threading.Thread(target=chat, daemon=True).start()
warnings.warn("old \x1b[31m")
"""
    report = attempt("def f(x): return x", ["import time; time.sleep(0.1); f(1)"] * 3, answer)
    assert states(report) == ["passed"] * 3
    assert "UserWarning: old" in str(report.notebook.cells[0].outputs)
    assert capfd.readouterr() == ("", "")


def test_the_last_value_of_a_test_is_partial_credit(
    attempt: Attempt, cells: SimpleNamespace, graded: Callable[..., Report]
) -> None:
    source = cells.notebook(
        cells.solution("a", cells.solved("def f(): return 0.5")), cells.test("t", "f() * 4", points=3)
    )
    for answer, earned in (("0.5", 2.0), ("2", 3.0), ("float('nan')", 0.0), ("-1", 0.0), ("'x'", 3.0)):
        submitted = cells.notebook(cells.solution("a", f"def f(): return {answer}"), cells.test("t", ""))
        assert points(graded(source, submitted)) == [earned], answer


def test_later_cells_see_earlier_ones_on_both_sides(attempt: Attempt) -> None:
    report = attempt(
        "def f(x): return scale(x) + OFFSET",
        ["assert f(1) == 12", "OFFSET = 100\nassert f(1) == 102", "assert OFFSET == 100 and f(2) == 104"],
        "def f(x): return scale(x) + OFFSET",
        setup="OFFSET = 10\ndef scale(x): return 2 * x",
    )
    assert states(report) == ["passed"] * 3


def test_a_test_takes_its_modules_from_the_instructor(attempt: Attempt) -> None:
    """numpy is imported in the solution alone; the judge imports its own, whatever the learner's np is."""
    solution = "import numpy as np\nfrom math import isclose\ndef f(x): return np.sum(x)"
    tests = ["assert np.allclose(f([1, 2]), 3) and isclose(f([1]), 1)"]
    assert states(attempt(solution, tests, solution)) == ["passed"]
    lies = "class np:\n    allclose = staticmethod(lambda *a: True)\nisclose = lambda *a: True\ndef f(x): return 0"
    assert states(attempt(solution, tests, lies)) == ["failed"]
    assert states(attempt(solution, tests, "def f(x): return sum(x)")) == ["passed"]


def test_names_of_tests_and_builtins_are_never_the_learners(attempt: Attempt) -> None:
    setup = "import math\nfrom json import *\nfrom os.path import join as check_join\ndef check(x): assert x == 4"
    tests = [
        "check(f(2))",
        "assert math.sqrt(f(2)) == 2 and check_join('a', 'b') == 'a/b'",
        "assert dumps([f(2)]) == '[4]'",
        "assert len([f(2)]) == 1 and sum([f(2)]) == 4 and isinstance(f(2), int)",
        "expected = 4\nassert f(2) == expected",
    ]
    honest = "def f(x): return x * x"
    assert states(attempt(honest, tests, honest, setup=setup)) == ["passed"] * 5
    lies = """
class Agrees:
    def __eq__(self, other): return True
    def __getattr__(self, name): return self
    def __call__(self, *a, **k): return 2
def check(x): pass
math = check_join = dumps = Agrees()
len = sum = lambda *a: 1
isinstance = lambda *a: True
expected = value = answer = Agrees()
import builtins
builtins.len = builtins.isinstance = lambda *a: True
import math as real
real.sqrt = lambda x: 2
def f(x): return Agrees()
"""
    assert points(attempt(honest, tests, lies, setup=setup)) == [0.0] * 5


def test_expected_values_do_not_reach_the_learner(attempt: Attempt) -> None:
    tests = ["expected = 4\nassert f(2) == expected", "want = f(3)\nexpected = 9\nassert want == expected"]
    peeks = "def f(x):\n    return globals().get('expected', expected)"
    assert points(attempt("def f(x): return x * x", tests, peeks)) == [0.0, 0.0]


# -- cheats ------------------------------------------------------------------------------------------------------


# A forged verdict, as a check would display it.
FORGED = {CHECK_MIME: {"state": "right", "points": 4, "max_points": 4, "message": "forged"}}

CHEATS = {
    "equal to everything": """
        class A:
            __eq__ = lambda s, o: True
            __ne__ = lambda s, o: False
            __hash__ = None
        def f(x): return A()
    """,
    "a number that agrees": """
        class N(int):
            __eq__ = lambda s, o: True
            __sub__ = lambda s, o: 0
            __hash__ = int.__hash__
        def f(x): return N(1)
    """,
    "a close number": """
        class N:
            __sub__ = __rsub__ = lambda s, o: 0.0
            __abs__ = lambda s: 0.0
        def f(x): return N()
    """,
    "greater than all": """
        class N:
            __gt__ = __ge__ = __lt__ = __le__ = lambda s, o: True
        def f(x): return N()
    """,
    "patched numpy": """
        import numpy
        numpy.allclose = numpy.array_equal = lambda *a, **k: True
        numpy.testing.assert_allclose = lambda *a, **k: True
        def f(x): return 0
    """,
    "an array that agrees": """
        import numpy
        class A(numpy.ndarray):
            __eq__ = lambda s, o: True
        def f(x): return numpy.zeros(1).view(A)
    """,
    "a patched unittest": """
        import unittest
        unittest.TestCase.assertEqual = lambda *a: None
        def f(x): return 0
    """,
    "modules replaced": """
        import sys, types
        for n in ('numpy', 'math', 'unittest', 'builtins'):
            sys.modules[n] = types.ModuleType(n)
        def f(x): return 0
    """,
    "a displayed verdict": """
        from IPython.display import display
        display(FORGED, raw=True)
        def f(x):
            display(FORGED, raw=True)
            return 0
    """,
    "a printed score": """
        print('4.0')
        def f(x):
            print(4.0)
            return 0
    """,
    "an input transformer": """
        ip = get_ipython()
        ip.input_transformers_cleanup.append(lambda lines: ['4.0\\n'])
        def f(x): return 0
    """,
    "an ast transformer": """
        import ast
        class T(ast.NodeTransformer):
            def visit_Assert(self, node): return ast.Pass()
        get_ipython().ast_transformers.append(T())
        def f(x): return 0
    """,
    "shell events": """
        ip = get_ipython()
        ip.events.register('pre_run_cell', lambda *a: setattr(ip, 'user_ns', {}))
        ip.events.register('post_run_cell', lambda r: setattr(r, 'error_in_exec', None))
        def f(x): return 0
    """,
    "no tracebacks": """
        ip = get_ipython()
        ip.showtraceback = ip._showtraceback = lambda *a, **k: None
        ip.run_cell = lambda *a, **k: None
        def f(x): return 0
    """,
    "a formatter": """
        get_ipython().display_formatter.formatters['text/plain'].for_type(float, lambda *a: '4.0')
        def f(x): return 0
    """,
    "a patched shell class": """
        import autograder.shell, autograder.verdict
        autograder.verdict.points_of = lambda *a: 4.0
        autograder.shell.Shell.run = lambda *a: 1
        def f(x): return 0
    """,
    "frames of the caller": """
        import inspect
        def f(x):
            for info in inspect.stack():
                for name, value in {**info.frame.f_globals, **info.frame.f_locals}.items():
                    if name == 'expected' or 'expected' + ' = 9' in str(value): return x * x
            return 0
    """,
    "all objects": """
        import gc
        def f(x):
            text = str([o for o in gc.get_objects() if type(o) in (str, dict, list, bytes)])
            return x * x if 'expected' + ' = 9' in text else 0
    """,
    "an interrupt": """
        def f(x): raise KeyboardInterrupt
    """,
    "an exit": """
        def f(x): raise SystemExit(0)
    """,
    "an exception that lies": """
        class E(AssertionError):
            __str__ = lambda s: '4.0'
            __reduce__ = lambda s: (eval, ('1',))
            __bool__ = lambda s: False
        def f(x): raise E()
    """,
    "a generator exit": """
        def f(x): raise GeneratorExit
    """,
    "an early end": """
        import os
        os._exit(0)
    """,
    "a kill": """
        import os
        def f(x): os.kill(os.getpid(), 6)
    """,
    "a frame for the channel": """
        import gc
        def f(x):
            s = [o for o in gc.get_objects() if type(o).__name__ == 'Session'][0]
            s._channel.send({'op': 'value', 'value': ['pickle', 'x'], 'news': [], 'containers': []})
            return 0
    """,
    "many frames": """
        import gc
        def f(x):
            s = [o for o in gc.get_objects() if type(o).__name__ == 'Session'][0]
            for i in range(50): s._channel.send({'op': 'verdict', 'verdict': {'points': 4, 'state': 'passed'}})
            return 0
    """,
    "garbage for every descriptor": """
        import os
        def f(x):
            for fd in range(3, 60):
                try: os.write(fd, b'{"points": 4}' * 10)
                except OSError: pass
            return 0
    """,
    "forged names": """
        import gc
        s = [o for o in gc.get_objects() if type(o).__name__ == 'Session'][0]
        s._do = lambda op, p: {n: 4.0 for n in ('np', 'math', 'unittest', 'check', 'abs', 'assertEqual', 'close')}
    """,
    "a hook at exit": """
        import atexit, os
        atexit.register(lambda: os.write(1, b'4.0'))
        def f(x): return 0
    """,
    "a thread that writes": """
        import gc, threading
        s = [o for o in gc.get_objects() if type(o).__name__ == 'Session'][0]
        threading.Thread(target=lambda: [s._channel.sock.send(b'x') for _ in range(100)]).start()
        def f(x): return 0
    """,
}

CHEATED = """
import math, unittest
import numpy as np
def close(a, b): return abs(a - b) < 1e-9
"""

CHEATED_TESTS = [
    "assert f(2) == 4",
    "assert close(f(2), 4)",
    "assert np.allclose(f(2), 4) and f(2) > 3\n### BEGIN HIDDEN TESTS\nexpected = 9\nassert f(3) == expected\n"
    "### END HIDDEN TESTS",
    "unittest.TestCase().assertEqual(f(2), 4)",
    "f(2) * 1.0 if f(2) == 4 else 0.0",
]


@pytest.mark.parametrize("answer", CHEATS.values(), ids=CHEATS.keys())
def test_cheats_earn_nothing(attempt: Attempt, answer: str, isolated: None) -> None:
    answer = textwrap.dedent(answer).replace("FORGED", repr(FORGED))
    report = attempt("def f(x): return x * x", CHEATED_TESTS, answer, setup=CHEATED, isolate=True)
    assert points(report) == [0.0] * 5, report.verdicts
    assert "forged" not in " ".join(v.message for v in report.verdicts)


def test_the_tests_that_cheats_are_put_to_can_be_passed(attempt: Attempt, isolated: None) -> None:
    solution = "def f(x): return x * x"
    assert points(attempt(solution, CHEATED_TESTS, solution, setup=CHEATED, isolate=True)) == [1.0] * 5


def test_a_cheat_keeps_what_it_honestly_solves(attempt: Attempt) -> None:
    solution = "def f(x): return x * x\ndef g(x): return x + 1"
    tests = ["assert f(2) == 4", "assert g(2) == 3", "assert f(3) == 9"]
    answer = solution.replace("x * x", "type('A', (), {'__eq__': lambda s, o: True})()")
    assert points(attempt(solution, tests, answer)) == [0.0, 1.0, 0.0]


def test_a_test_that_expects_any_error_is_not_passed_by_a_crash(attempt: Attempt) -> None:
    test = "try:\n    f(-1)\nexcept Exception:\n    pass\nelse:\n    raise AssertionError"
    solution = "def f(x):\n    if x < 0: raise ValueError"
    assert states(attempt(solution, [test], solution)) == ["passed"]
    for answer in ("import os\ndef f(x): os._exit(1)", "def f(x): raise SystemExit", "import os\nos._exit(1)"):
        assert points(attempt(solution, [test], answer)) == [0.0]


# -- limits -------------------------------------------------------------------------------------------------------


QUICK = Limits(cell_seconds=0.7, submission_seconds=20, memory_mib=300, output_kib=8)


def test_what_takes_too_long_is_stopped_and_the_rest_goes_on(attempt: Attempt) -> None:
    solution = "def f(x): return x\ndef g(x): return x"
    answer = "def f(x):\n    while True: pass\ndef g(x): return x"
    report = attempt(solution, ["assert f(1) == 1", "assert g(1) == 1"], answer, limits=QUICK)
    assert states(report) == ["timeout", "passed"] and "0.7 s" in report.verdicts[0].message
    cell = attempt(solution, ["assert g(1) == 1"], "def g(x): return x\nwhile True: pass", limits=QUICK)
    assert states(cell) == ["passed"]


def test_what_cannot_be_interrupted_is_ended(attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autograder.pair.GRACE", 0.3)
    for answer in (
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ndef f(x):\n    while True: pass",
        "def f(x):\n    while True:\n        try:\n            while True: pass\n        except BaseException: pass",
        "import signal, os\ndef f(x): os.kill(os.getpid(), signal.SIGSTOP)",
    ):
        started = time.monotonic()
        report = attempt("def f(x): return x", ["assert f(1) == 1", "assert f(2) == 2"], answer, limits=QUICK)
        assert points(report) == [0.0, 0.0] and report.verdicts[0].state in (State.TIMEOUT, State.CRASHED)
        assert time.monotonic() - started < 6


def test_a_notebook_has_a_limit_of_its_own(attempt: Attempt) -> None:
    limits = Limits(cell_seconds=5, submission_seconds=0.5)
    slow = "import time\ndef f(x): time.sleep(0.3); return x"
    started = time.monotonic()
    report = attempt("def f(x): return x", ["assert f(1) == 1"] * 20, slow, limits=limits)
    assert states(report)[0] == "passed" and states(report)[-1] == "timeout" and len(report.verdicts) == 20
    assert time.monotonic() - started < 4


def test_memory_and_output_are_bounded(attempt: Attempt) -> None:
    answer = (
        "def f(x):\n    return len(bytearray(2 ** 31))\nprint('y' * 10 ** 6)\nfor i in range(1000): display('z' * 100)"
    )
    report = attempt("def f(x): return x", ["assert f(1) == 1"], answer, limits=QUICK)
    assert states(report) == ["memory"]
    shown = json.dumps([c.outputs for c in report.notebook.cells if c.cell_type == "code"])
    assert 5_000 < len(shown) < 60_000 and "more was" in shown


def test_a_value_that_explodes_when_shown_harms_only_itself(attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autograder.pair.GRACE", 0.3)
    answer = "def f(x):\n    x = []\n    for _ in range(40): x = [x, x]\n    return x"
    report = attempt("def f(x): return x", ["assert f(1) == 1, str(f(1))", "assert 1"], answer, limits=QUICK)
    assert points(report)[0] == 0.0 and report.verdicts[0].state in (State.MEMORY, State.TIMEOUT)


def test_nothing_is_left_behind(attempt: Attempt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    answer = (
        "import subprocess, sys, threading, time, pathlib\n"
        "threading.Thread(target=time.sleep, args=(600,)).start()\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "pathlib.Path('litter').write_text('x')\ndef f(x): return child.pid"
    )
    report = attempt("def f(x): return x", ["pid = f(1)\nprint(pid)\nassert pid > 1"], answer)
    assert states(report) == ["passed"]
    (shown,) = [c.outputs[0].text for c in report.notebook.cells if c.source.startswith("pid")]
    deadline = time.monotonic() + 5
    while Path(f"/proc/{int(shown)}/stat").exists() and "Z" not in Path(f"/proc/{int(shown)}/stat").read_text():
        assert time.monotonic() < deadline, "a child of the learner's code is alive"
        os.sched_yield()
    assert list((tmp_path / "temporary").iterdir()) == []


# -- what comes in ----------------------------------------------------------------------------------------------------


BROKEN: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "cells of garbage": json.dumps({"cells": [None, 5, {"cell_type": "code", "source": 7}], "nbformat": 4}).encode(),
    "NaN": b'{"cells": [NaN, {"cell_type": "code", "source": "x = 1", "execution_count": NaN}], "metadata": NaN}',
    "deep": b'{"cells": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_what_cannot_be_read_has_a_verdict_that_says_why(
    cells: SimpleNamespace, graded: Callable[..., Report], content: bytes
) -> None:
    source = cells.notebook(
        cells.solution("a", cells.solved("def f(x): return x")),
        cells.test("t", "assert f(1) == 1", 2),
        cells.essay("e", "Why?"),
    )
    report = graded(source, content)
    assert points(report) == [0.0] and report.max_points == 2 and report.verdicts[0].message
    assert report.verdicts[0].state in (State.UNREADABLE, State.NOT_ATTEMPTED)
    assert report.manual == [("e", 3.0, True)]
    nbformat.validate(report.notebook)


def test_a_notebook_of_ten_thousand_cells_is_graded(cells: SimpleNamespace, graded: Callable[..., Report]) -> None:
    source = cells.notebook(cells.solution("a", cells.solved("x = 1")), cells.test("t", "assert x == 1000"))
    more = [{"cell_type": "code", "source": "x += 1"} for _ in range(999)]
    more += [{"cell_type": "markdown", "source": "text"} for _ in range(9000)]
    answer = cells.solution("a", "x = 1") | {"outputs": [], "execution_count": None}
    content = json.dumps({"cells": [answer, *more], "nbformat": 4}).encode()
    report = graded(source, content, limits=Limits())
    assert states(report) == ["passed"] and len(report.notebook.cells) == 10_001


def test_a_report_says_what_it_rests_on(attempt: Attempt) -> None:
    first = attempt("x = 1", ["assert x == 1"], "x = 1")
    again = attempt("x = 1", ["assert x == 1"], "x = 2")
    assert first.basis["submission_sha256"] != again.basis["submission_sha256"]
    assert len(first.basis["source_sha256"]) == 64 and first.basis["versions"]["python"] and first.basis["seed"] == 0
    assert first.basis["limits"]["cell_seconds"] == 20 and first.basis["isolated"] is False and first.seconds > 0


def test_the_graded_notebook_shows_what_happened(attempt: Attempt) -> None:
    answer = (
        "print('hello')\ndisplay({'text/html': '<script>x</script>', 'text/plain': 'plain'}, raw=True)\n"
        "def f(x): return x"
    )
    hidden = "print('judge')\n### BEGIN HIDDEN TESTS\nassert f(1) == 2, 'seen'\n### END HIDDEN TESTS"
    report = attempt("def f(x): return x + 1", [hidden], answer)
    solution, test = report.notebook.cells
    assert [o.get("text") or o.data for o in solution.outputs] == ["hello\n", {"text/plain": "plain"}]
    assert test.source == hidden and test.outputs[0].text == "judge\n"
    assert test.outputs[1].traceback == ["AssertionError: A hidden test failed."]
    nbformat.validate(report.notebook)


def test_figures_show_in_the_cells_that_draw_them(attempt: Attempt) -> None:
    """Where the course imports pyplot first, and its warm process has it, as where the learner does."""
    draws = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\ndef f(): return 1"
    test = "import matplotlib.pyplot as plt\nassert f() == 1\nplt.plot([3, 4])"
    with Warm(["matplotlib.pyplot"]) as process:
        for setup in ("import matplotlib.pyplot as plt", "%matplotlib inline"):
            report = attempt("def f(): return 1", [test], draws, setup=setup, process=process)
            shown = [[*output.get("data", {})] for cell in report.notebook.cells[1:] for output in cell.outputs]
            assert report.points == 1 and sum("image/png" in kinds for kinds in shown) == 2


def test_seeds_are_the_same_every_time_and_on_both_sides(attempt: Attempt) -> None:
    answer = "import random, numpy\ndef f(): return random.random(), numpy.random.rand(), hash('text')"
    seeded = "random.seed(1), numpy.random.seed(1)"
    test = (
        f"import random, numpy\n{seeded}\nmine = f()\n{seeded}\nassert mine == (random.random(), numpy.random.rand(), "
    )
    tests = [test + "hash('text'))", "print(f())"]
    shown = {attempt(answer, tests, answer).notebook.cells[-1].outputs[0].text for _ in range(2)}
    assert len(shown) == 1


def test_shipped_files_are_there_and_each_grading_has_its_own(
    cells: SimpleNamespace, warm: Warm, tmp_path: Path, isolated: None
) -> None:
    files = tmp_path / "files"
    (files / "data").mkdir(parents=True)
    (files / "data" / "numbers.txt").write_text("1 2 3")
    (files / "helpers.py").write_text("def double(x): return 2 * x")
    solution = "from helpers import double\ndef f(): return sum(map(int, open('data/numbers.txt').read().split()))"
    test = "from helpers import double\nassert double(f()) == 12 and open('data/numbers.txt').read() == '1 2 3'"
    source = with_checksums(cells.notebook(cells.solution("a", cells.solved(solution)), cells.test("t", test)))
    answer = solution + "\nx = f()\nopen('data/numbers.txt', 'w').write('4 4 4')\ndef f(): return x"
    path = tmp_path / "work.ipynb"
    nbformat.write(cells.notebook(cells.solution("a", answer)), path)
    for isolate in (True, False, True):
        report = grade_notebook(source, path, files=files, process=warm, isolate=isolate)
        assert points(report) == [1.0], report.verdicts
    assert (files / "data" / "numbers.txt").read_text() == "1 2 3"


def test_a_submission_is_left_as_it_was(cells: SimpleNamespace, graded: Callable[..., Report], tmp_path: Path) -> None:
    source = cells.notebook(cells.solution("a", cells.solved("x = 1")), cells.test("t", "assert x == 1"))
    before: NotebookNode = copy.deepcopy(source)
    graded(source, source)
    assert source == before


def test_torch_work_is_graded(attempt: Attempt, torch_warm: Warm, isolated: None) -> None:
    setup = "import torch\nfrom torch import nn"
    solution = "def freeze(model):\n    for p in model[0].parameters(): p.requires_grad_(False)"
    test = (
        "model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))\nfreeze(model)\n"
        "assert [p.requires_grad for p in model.parameters()] == [False, False, True, True]\n"
        "assert torch.allclose(model[0].weight, model[0].weight)"
    )
    lies = "torch.allclose = torch.equal = lambda *a, **k: True\nnn.Linear = None\ndef freeze(model): model.eval()"
    assert points(attempt(solution, [test], solution, setup=setup, process=torch_warm, isolate=True)) == [1.0]
    assert points(attempt(solution, [test], lies, setup=setup, process=torch_warm, isolate=True)) == [0.0]


def test_a_module_class_of_an_instructors_cell(attempt: Attempt, torch_warm: Warm) -> None:
    """Learners train it, make one, derive from it; a test copies what they made."""
    setup = """
import copy
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.calls = nn.Linear(3, 2), 0

    def forward(self, x):
        self.calls += 1
        return self.fc(x)
"""
    solution = """
def train(model, x, y):
    model.train()
    opt = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(20):
        opt.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        opt.step()
def make():
    return Net()
class Twice(Net):
    def forward(self, x):
        return 2 * super().forward(x)
"""
    tests = [
        "torch.manual_seed(0)\nx = torch.randn(20, 3)\ny = (x[:, 0] > 0).long()\nnet = Net().eval()\ntrain(net, x, y)\n"
        "assert net.calls == 20 and net.training and (net(x).argmax(1) == y).float().mean() > 0.9",
        "class Other(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.fc = nn.Linear(3, 2)\n    def forward(self, x):\n        return self.fc(x)\n"
        "other = Other()\ntrain(other, x, y)\n"
        "assert (other(x).argmax(1) == y).float().mean() > 0.9",
        "torch.manual_seed(1)\nmade = make()\ntorch.manual_seed(1)\n"
        "assert isinstance(made, Net) and torch.equal(made.fc.weight, Net().fc.weight)",
        "twice = Twice()\nassert isinstance(twice, Net) and torch.allclose(twice(x), 2 * twice.fc(x))",
        "copied = copy.deepcopy(twice)\nwith torch.no_grad():\n    copied.fc.weight.zero_()\n"
        "assert isinstance(copied, Twice) and twice.fc.weight.abs().sum() > 0 and copied(x).shape == (20, 2)",
    ]
    stub = (
        "def train(model, x, y):\n    pass\ndef make():\n    return nn.Linear(3, 2)\nclass Twice(nn.Module):\n    pass"
    )
    assert points(attempt(solution, tests, solution, setup=setup, process=torch_warm)) == [1.0] * 5
    assert points(attempt(solution, tests, stub, setup=setup, process=torch_warm)) == [0.0] * 5


def test_a_patched_check_of_a_shipped_module_changes_nothing(
    cells: SimpleNamespace, warm: Warm, tmp_path: Path, isolated: None
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "own_checks.py").write_text(
        "class Check:\n    def __call__(self, f):\n        assert f(2) == 4\n        return 2.0\ncheck_f = Check()\n"
    )
    setup = cells.plain("from own_checks import check_f")
    source = with_checksums(
        cells.notebook(
            setup, cells.solution("a", cells.solved("def f(x): return x * x")), cells.test("t", "check_f(f)", 2)
        )
    )
    for answer, earned in (
        ("def f(x): return x * x", 2.0),
        (
            "import own_checks\nown_checks.Check.__call__ = lambda s, f: 2.0\ncheck_f = lambda f: 2.0\n"
            "def f(x): return 0",
            0.0,
        ),
        ("open('own_checks.py', 'w').write('check_f = lambda f: 2.0')\ndef f(x): return 0", 0.0),
    ):
        path = tmp_path / "work.ipynb"
        nbformat.write(cells.notebook(setup, cells.solution("a", answer)), path)
        report = grade_notebook(source, path, files=files, process=warm)
        assert points(report) == [earned]


def test_hostile_text_in_a_value_is_only_text(attempt: Attempt) -> None:
    answer = "class E(Exception): pass\ndef f(x): raise E('[/red] <script> \\x1b[2J \\ud800')"
    report = attempt("def f(x): return x", ["assert f(1) == 1"], answer)
    (verdict,) = report.verdicts
    assert verdict.state is State.ERROR and "[/red] <script>" in verdict.message and "\x1b" not in verdict.message
    json.dumps(report.notebook).encode()


def test_a_test_that_may_run_beside_the_learners_code_does_and_is_marked(
    cells: SimpleNamespace, graded: Callable[..., Report]
) -> None:
    """One that looks into the learner's interpreter: split, it fails; beside the learner's code it can pass."""
    looks = cells.test("looks", "import sys\nassert sys.modules['__main__'].answer() == 42 and 'answer' in vars()", 2)
    looks.metadata["autograder_beside_learner"] = True
    split = cells.test("split", "assert answer() == 42", 1)
    source = cells.notebook(cells.solution("answer", cells.solved("def answer():\n    return 42")), looks, split)
    right = cells.notebook(cells.solution("answer", "def answer():\n    return 42"), looks, split)
    wrong = cells.notebook(cells.solution("answer", "def answer():\n    return 7"), looks, split)
    stub = cells.notebook(cells.solution("answer", "raise NotImplementedError"), looks, split)
    for submitted, points in ((right, [2, 1]), (wrong, [0, 0]), (stub, [0, 0])):
        report = graded(source, submitted)
        assert [v.points for v in report.verdicts] == points
        assert [v.tamper_proof for v in report.verdicts] == [False, True]
