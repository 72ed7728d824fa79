"""Answers that are wrong, and made to look right: each earns nothing, and the right answer all.

Each is a solution, the test, what is wrong, and an opening cell where there is one.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from autograder.grading import Report
from autograder.limits import Limits
from autograder.sandbox.warm import Warm


class Cheat(NamedTuple):
    solution: str
    test: str
    answer: str
    setup: str = ""


# Code that leaves a file in the folder where it runs, and a test that it is not the judge's. A name that stands in a
# test would be that of a file which both have.
RUN = "open('ran.txt', 'w') and"
SEEN = "import os\nassert 'ran.' + 'txt' not in os.listdir()"
PICKLED = (
    "import pickle\nclass R:\n    def __reduce__(self): return eval, (\"open('ran.txt', 'w') and [1, 2]\",)\n"
    "def save(x):\n    with open('saved.{kind}', 'wb') as file: pickle.dump(R(), file)\n"
    "def dump(x): return pickle.dumps(R())"
)

TEXTS = {
    "bytes": Cheat("def f(): return 'x ** 2 + 1'", "x = 3\nassert eval(f()) == 10", f'def f(): return b"{RUN} 10"'),
    "numpy's text": Cheat(
        "def f(): return 'x ** 2 + 1'",
        "x = 3\nassert eval(f()) == 10",
        f'import numpy\ndef f(): return numpy.str_("{RUN} 10")',
    ),
    "bytes that are compiled": Cheat(
        "def f(): return 'end = 2'",
        "names = {}\nexec(compile(f(), 'f', 'exec'), names)\nassert names['end'] == 2",
        f'def f(): return b"{RUN} 10; end = 2"',
    ),
    "a part of what was given": Cheat(
        "def f(): return 'y = 1 + 1'", "assert eval(f().split('=', 1)[1]) == 2", f'def f(): return "y={RUN} 2"'
    ),
    "in a text of the test's": Cheat(
        "def f(): return '1 + 1'", "assert eval(f'abs({f()})') == 2", f'def f(): return "{RUN} 2"'
    ),
    "what was printed": Cheat(
        "def f(): print([1, 2])",
        "out = io.StringIO()\nwith redirect_stdout(out):\n    f()\nassert eval(out.getvalue()) == [1, 2]",
        f'def f(): print("{RUN} [1, 2]")',
        "import io\nfrom contextlib import redirect_stdout",
    ),
    "what was written": Cheat(
        "def f():\n    with open('out.txt', 'w') as file: file.write('[1, 2]')",
        "f()\nwith open('out.txt') as file:\n    assert eval(file.read()) == [1, 2]",
        f"def f():\n    with open('out.txt', 'w') as file: file.write(\"{RUN} [1, 2]\")",
    ),
    "what an error says": Cheat(
        "def f(): raise ValueError('1 + 1')",
        "try:\n    f()\nexcept ValueError as error:\n    assert eval(error.args[0]) == 2",
        f'def f(): raise ValueError("{RUN} 2")',
    ),
    "what plain data shows": Cheat(
        "def f(): return [3]",
        "assert eval(repr(f()))[0] == 3",
        f"def f(): return [type('T', (), {{'__repr__': lambda s: \"{RUN} 3\"}})()]",
    ),
    "an annotation with a star": Cheat(
        "def f(x: int): return x",
        "from typing import get_type_hints\nassert get_type_hints(f) == {'x': int}",
        f'def f(x: "*[{RUN} int]"): return x',
    ),
    "a docstring that is no text": Cheat(
        "def f(x):\n    '''\n    >>> f(2)\n    4\n    '''\n    return 2 * x",
        "import doctest\nrunner = doctest.DocTestRunner()\n"
        "for found in doctest.DocTestFinder().find(f, 'f', globs={'f': f}): runner.run(found)\n"
        "assert runner.summarize() == (0, 1)",
        "import pathlib\ndef f(x): return 0\nf.__doc__ = pathlib.PurePosixPath(\"\\n>>> _ = open('ran.txt', 'w')\\n\")",
    ),
    "pickled bytes": Cheat(
        "import pickle\ndef dump(x): return pickle.dumps(x)",
        "import pickle\nassert pickle.loads(dump([1, 2])) == [1, 2]",
        PICKLED.format(kind="bin"),
    ),
    "a pickle in a file of text": Cheat(
        "import pickle\ndef save(x):\n    with open('saved.txt', 'wb') as file: pickle.dump(x, file)",
        "import pickle\nsave([1, 2])\nwith open('saved.txt', 'rb') as file:\n    assert pickle.load(file) == [1, 2]",
        PICKLED.format(kind="txt"),
    ),
    "a pickle that a library reads": Cheat(
        "import pickle\ndef save(x):\n    with open('saved.txt', 'wb') as file: pickle.dump(x, file)",
        "import pickle\nsave([1, 2])\nwith open('saved.txt', 'rb') as file:\n"
        "    assert pickle.Unpickler(file).load() == [1, 2]",
        PICKLED.format(kind="txt"),
    ),
    "pickled bytes, by a name from before": Cheat(
        "import pickle\ndef dump(x): return pickle.dumps(x)",
        "assert loads(dump([1, 2])) == [1, 2]",
        PICKLED.format(kind="bin"),
        "from pickle import loads",
    ),
}

NUMPY = """class A:
    def __array_ufunc__(s, f, m, *a, **k): return np.bool_(True) if f.__name__ == 'equal' else np.float64(0)
    def __array_function__(s, f, t, a, k): return True if f.__name__ != 'norm' else 0.0
def f(x): return A()"""
ARRAYS = {
    "allclose": "np.allclose(f(np.arange(3.)), [0, 2, 4])",
    "array_equal": "np.array_equal(f(np.arange(3.)), np.array([0, 2, 4.]))",
    "isclose": "np.isclose(f(1.5), 3)",
    "all": "(np.array([0, 2, 4]) == f(np.arange(3.))).all()",
    "norm": "np.linalg.norm(np.array([0, 2, 4]) - f(np.arange(3.))) < 1e-9",
    "a number": "np.float64(3.0) == f(1.5)",
}
LIARS = {
    "an equality that another exercise's class has": Cheat(
        "class Pt:\n    def __eq__(self, other): return False\ndef f(): return [1, 4]",
        "assert f() == [1, 4]",
        "class Y:\n    def __eq__(self, other): return True\ndef f(): return Y()",
    ),
    "a difference, where a class has a method of that name": Cheat(
        "class Bag:\n    def sub(self, x): pass\ndef f(): return 3.0",
        "assert abs(f() - 3) < 1e-9",
        "class Y:\n    def __sub__(self, other): return 0.0\ndef f(): return Y()",
    ),
    "a membership that another class decides": Cheat(
        "class Bag:\n    def __contains__(self, x): return True\ndef f(): return {'a'}",
        "assert 'a' in f()",
        "class Y:\n    def __contains__(self, x): return True\ndef f(): return Y()",
    ),
    "a given class's own method": Cheat(
        "def f(board): return Board([[1, 2, 3]])",
        "assert f(Board([])).is_solved()",
        "Board.is_solved = lambda self: True\ndef f(board): return Board([])",
        "class Board:\n    def __init__(self, rows): self.rows = rows\n"
        "    def is_solved(self): return len(self.rows) == 1 and all(sorted(row) == [1, 2, 3] for row in self.rows)",
    ),
    "a given class's method in a class of one's own": Cheat(
        "def f(board): return Board([[1, 2, 3]])",
        "assert f(Board([])).is_solved",
        "class Mine(Board):\n    is_solved = True\ndef f(board): return Mine([])",
        "class Board:\n    def __init__(self, rows): self.rows = rows\n"
        "    @property\n    def is_solved(self): return len(self.rows) == 1",
    ),
    "what a given class's equality asks": Cheat(
        "def f(point): return Point(4)",
        "assert f(Point(1)) == Point(4)",
        "Point.distance = lambda self, other: 0.0\ndef f(point): return Point(0)",
        "class Point:\n    def __init__(self, x): self.x = x\n"
        "    def distance(self, other): return abs(self.x - other.x)\n"
        "    def __eq__(self, other): return self.distance(other) < 1e-9",
    ),
    "an error that comes of what was given": Cheat(
        "class f:\n    def __enter__(self):\n        self.items = []\n        return self\n"
        "    def __exit__(self, *error): return False\n    def add(self, x): self.items.append(x)",
        "with f() as a:\n    a.add(3)\n    assert a.items[0] == 3",
        "class f:\n    items = None\n    def __enter__(self): return self\n"
        "    def __exit__(self, *error): return True\n    def add(self, x): pass",
    ),
    "an error of the test's own class": Cheat(
        "def f(call): call()",
        "class Stop(Exception): pass\ndef call(): raise Stop\ntry:\n    f(call)\nexcept Stop:\n    pass\n"
        "else:\n    assert False",
        "class Stop(Exception): pass\ndef f(call): raise Stop",
    ),
    "a method by which a set is asked": Cheat(
        "def f(text): return set(text)",
        "assert f('ab').intersection({'a', 'b'}) == {'a', 'b'}",
        "class W:\n    def intersection(self, other): return other\ndef f(text): return W()",
    ),
    "a method by which a text is asked": Cheat(
        "def f(name): return f'Hello, {name}!'",
        "assert f('Ada').find('Hello, Ada') == 0 and f('Ada').count('Ada') == 1",
        "class W:\n    def find(self, other): return 0\n    def count(self, other): return 1\ndef f(name): return W()",
    ),
    "the test's own text, by a patched eval": Cheat(
        "def f(text): return eval(text)",
        "for text in ['2 * x + 1', 'x - 4', '2 + 3 * 4']:\n    given = text.replace('x', '3')\n"
        "    assert f(given) == eval(given)",
        "import builtins\nimport autograder.sandbox.session as s\ns.eval = builtins.eval = lambda text, *names: text\n"
        "def f(text): return text",
    ),
    **{
        f"numpy's protocols: {name}": Cheat("def f(x): return 2 * x", f"assert {test}", NUMPY, "import numpy as np")
        for name, test in ARRAYS.items()
    },
}


@pytest.fixture(scope="module")
def process() -> Any:
    with Warm(["numpy", "doctest", "pickle"]) as made:
        yield made


@pytest.mark.parametrize("cheat", LIARS.values(), ids=LIARS.keys())
def test_it_earns_nothing(cheat: Cheat, attempt: Callable[..., Report], process: Warm) -> None:
    honest = attempt(cheat.solution, [cheat.test], cheat.solution, setup=cheat.setup, process=process)
    assert honest.points == 1, honest.verdicts
    report = attempt(cheat.solution, [cheat.test], cheat.answer, setup=cheat.setup, process=process)
    assert report.points == 0, report.verdicts


@pytest.mark.parametrize("cheat", TEXTS.values(), ids=TEXTS.keys())
def test_it_does_not_run_in_the_judge(cheat: Cheat, attempt: Callable[..., Report], process: Warm) -> None:
    tests = [cheat.test, SEEN]
    honest = attempt(cheat.solution, tests, cheat.solution, setup=cheat.setup, process=process)
    assert honest.points == 2, honest.verdicts
    report = attempt(cheat.solution, tests, cheat.answer, setup=cheat.setup, process=process)
    assert report.verdicts[1].points == 1, report.verdicts


def test_torch_does_not_ask_a_class(attempt: Callable[..., Report], torch_warm: Warm) -> None:
    solution = "def f(x): return 2 * x"
    answer = (
        "import torch\nclass A:\n    shape = torch.Size([3])\n    @classmethod\n"
        "    def __torch_function__(c, f, t, a=(), k=None):\n"
        "        return True if f.__name__ in ('allclose', 'equal') else torch.zeros(3)\n"
        "def f(x): return A"
    )
    tests = [
        "x = torch.arange(3.)\nassert torch.allclose(f(x), torch.tensor([0, 2, 4.]), atol=1e-6)",
        "x = torch.arange(3.)\nassert torch.equal(f(x), 2 * x)",
        "x = torch.arange(3.)\nout = f(x)\nassert out.shape == x.shape and (2 * x - out).abs().max() < 1e-6",
    ]
    assert attempt(solution, tests, solution, setup="import torch", process=torch_warm).points == 3
    assert attempt(solution, tests, answer, setup="import torch", process=torch_warm).points == 0


def test_what_is_shipped_stays_as_it_is(graded: Callable[..., Report], cells: Any, tmp_path: Any) -> None:
    (tmp_path / "shipped" / "expected.txt").write_text("7")
    solution, answer = "def f(): return 7", "def f():\n    open('expected.txt', 'w').write('0')\n    return 0"
    test = cells.test("test", "assert f() == int(open('expected.txt').read())")
    source = cells.notebook(cells.solution("answer", cells.solved(solution)), test)
    for text, points in ((solution, 1), (answer, 0)):
        assert graded(source, cells.notebook(cells.solution("answer", text), test)).points == points


def test_a_notebook_shows_no_more_than_so_much(graded: Callable[..., Report], cells: Any) -> None:
    source = cells.notebook(cells.solution("answer", cells.solved("x = 1")), cells.test("test", "assert x == 1"))
    more = [cells.plain("print('y' * 100_000)") for _ in range(60)]
    submitted = cells.notebook(cells.solution("answer", "x = 1"), *more, source.cells[1])
    report = graded(source, submitted, limits=Limits(output_kib=100))
    assert report.points == 1 and len(str(report.notebook)) < 2_500_000
    assert "y" * 1000 in str(report.notebook.cells[-2].outputs)
