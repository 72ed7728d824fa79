"""Answers that are wrong, and made to look right: each earns nothing, and the right answer all.

Each is a solution, the test, what is wrong, and an opening cell where there is one.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from autograder.grading import Report
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
