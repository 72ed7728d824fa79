"""What a test learns of a learner's class: which methods it has, and of what kind it is, is what plain Python says."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from autograder.grading import Report
from autograder.sandbox.warm import Warm


class Asked(NamedTuple):
    """A solution, tests that it passes, and an answer that fails all of them."""

    solution: str
    tests: tuple[str, ...]
    answer: str


EMPTY = "class P:\n    pass"
ABC = "from collections.abc import *\nfrom contextlib import AbstractContextManager\nfrom typing import *\n"

WITH = {
    "__call__": "def __call__(self, *a): return 1",
    "__add__": "def __add__(self, other): return 1",
    "__enter__": "def __enter__(self): return self\n    def __exit__(self, *error): return False",
    "__iter__": "def __iter__(self): return iter([1])",
    "__next__": "def __iter__(self): return self\n    def __next__(self): raise StopIteration",
    "__len__": "def __len__(self): return 1",
    "__contains__": "def __contains__(self, x): return True",
    "__reversed__": "def __iter__(self): return iter([1])\n    def __reversed__(self): return iter([1])",
    "__await__": "def __await__(self):\n        yield from ()\n        return 1",
    "__float__": "def __float__(self): return 1.0",
    "__str__": "def __str__(self): return 'P'",
    "__repr__": "def __repr__(self): return 'P'",
    "__eq__": "def __eq__(self, other): return isinstance(other, P)\n    def __hash__(self): return 1",
    "__bool__": "def __bool__(self): return True",
    "__init__": "def __init__(self): self.x = 1",
    "__copy__": "def __copy__(self): return self",
}
TESTS: dict[str, tuple[str, ...]] = {
    "__call__": ("assert callable(P())", "assert isinstance(P(), Callable)"),
    "__enter__": ("assert isinstance(P(), AbstractContextManager)",),
    "__iter__": ("assert isinstance(P(), Iterable)", "assert list(iter(P())) == [1]"),
    "__next__": ("assert isinstance(P(), Iterator)",),
    "__len__": ("assert isinstance(P(), Sized)", "assert len(P()) == 1"),
    "__contains__": ("assert isinstance(P(), Container)", "assert 5 in P()"),
    "__reversed__": ("assert isinstance(P(), Reversible)", "assert issubclass(P, Reversible)"),
    "__await__": ("assert isinstance(P(), Awaitable)",),
    "__float__": ("assert isinstance(P(), SupportsFloat)", "assert issubclass(P, SupportsFloat)"),
    "__str__": ("assert P.__str__ is not object.__str__",),
    "__repr__": ("assert P.__repr__ is not object.__repr__",),
    "__eq__": ("assert P.__eq__ is not object.__eq__", "assert P() == P() and len({P(), P()}) == 1"),
    "__init__": ("assert P.__init__ is not object.__init__",),
}


def _kept(name: str) -> tuple[str, ...]:
    has = () if hasattr(object, name) else (f"assert hasattr(P, '{name}')", f"assert hasattr(P(), '{name}')")
    return *has, f"assert '{name}' in P.__dict__", f"assert '{name}' in vars(P)"


ASKED = {
    **{
        name: Asked(f"class P:\n    {body}", (*TESTS.get(name, ()), *_kept(name)), EMPTY) for name, body in WITH.items()
    },
    "a text of its own, beside another": Asked(
        "class P:\n    def __str__(self): return 'P'\n    def __repr__(self): return 'P'",
        ("assert P.__str__ is not object.__str__",),
        "class P:\n    def __repr__(self): return 'P'",
    ),
    "an earlier class of that name": Asked(
        f"class P:\n    {WITH['__iter__']}",
        ("assert isinstance(P(), Iterable)", "assert hasattr(P, '__iter__')"),
        f"class P:\n    {WITH['__iter__']}\nold = P()\nclass P:\n    pass",
    ),
    "several methods": Asked(
        f"class P:\n    {WITH['__iter__']}\n    {WITH['__len__']}\n    {WITH['__contains__']}",
        ("assert issubclass(P, Collection)", "assert isinstance(P(), Collection)"),
        f"class P:\n    {WITH['__iter__']}\n    {WITH['__len__']}",
    ),
    "inherited methods": Asked(
        f"class Q:\n    {WITH['__len__']}\nclass P(Q):\n    pass",
        ("assert isinstance(P(), Sized)", "assert issubclass(P, Sized)", "assert P.__mro__ == (P, Q, object)"),
        "class Q:\n    pass\nclass P:\n    pass",
    ),
    "methods of Python's own classes": Asked(
        "class P(dict):\n    pass",
        (
            "assert isinstance(P(), Sized)",
            "assert len(P(a=1)) == 1",
            "assert P.__hash__ is None",
            "assert P.__mro__ == (P, dict, object)",
        ),
        "class P:\n    def __init__(self, **keys): pass",
    ),
    "methods given to it later": Asked(
        f"{EMPTY}\nmade = P()\nP.__call__ = lambda self: 1",
        ("assert callable(P())", "assert callable(made)", "assert made() == 1"),
        f"{EMPTY}\nmade = P()",
    ),
    "hashes": Asked(
        "class P:\n    def __eq__(self, other): return isinstance(other, P)",
        ("assert P.__hash__ is None", "assert not isinstance(P(), Hashable)", "assert not issubclass(P, Hashable)"),
        EMPTY,
    ),
    "a protocol": Asked(
        "class P:\n    def __len__(self): return 1\n    def area(self): return 1",
        (
            "@runtime_checkable\nclass Lengthy(Protocol):\n    def __len__(self): ...\nassert isinstance(P(), Lengthy)",
            "@runtime_checkable\nclass Shape(Protocol):\n    def area(self): ...\nassert issubclass(P, Shape)",
        ),
        EMPTY,
    ),
    "an abstract class": Asked(
        "from abc import ABC, abstractmethod\nclass P(ABC):\n    @abstractmethod\n    def area(self): ...\n"
        "class Q(P):\n    def area(self): return 1",
        (
            "from abc import ABC\nassert issubclass(P, ABC)",
            "import inspect\nassert inspect.isabstract(P) and not inspect.isabstract(Q)",
            "assert P.__abstractmethods__ == {'area'} and isinstance(Q(), P) and Q().area() == 1",
            "import abc\nclass R(P):\n    def area(self): return 2\nassert R().area() == 2",
            "import abc\nassert issubclass(type('R', (P,), {'area': lambda self: 2}), abc.ABC)",
            "from abc import ABC\nassert Q.__mro__ == (Q, P, ABC, object)",
        ),
        "class P:\n    def __init__(self): self.area = 1\nclass Q:\n    def area(self): return 2",
    ),
    "an enumeration": Asked(
        "from enum import Enum\nclass P(Enum):\n    RED = 1\n    BLUE = 2",
        (
            "from enum import Enum\nassert issubclass(P, Enum) and isinstance(P.RED, Enum) and isinstance(P.RED, P)",
            "from enum import Enum\nassert P.__mro__ == (P, Enum, object) and P.__bases__ == (Enum,)",
            "from enum import Enum\nassert P(1) is P.RED and P['BLUE'].value == 2 and issubclass(P, Enum)",
            "assert len(P) == 2 and [p.name for p in P] == ['RED', 'BLUE'] and hasattr(P, '__iter__')",
            "assert list(P.__members__) == list(P._member_map_) == P._member_names_ == ['RED', 'BLUE']",
            "assert {P.RED: 1}[P.RED] == 1 and P.RED != P.BLUE and P.RED in P and hasattr(P, '__members__')",
        ),
        "class P:\n    RED = 1\n    BLUE = 2",
    ),
    "an enumeration of numbers": Asked(
        "from enum import IntEnum\nclass P(IntEnum):\n    LOW = 1",
        ("from enum import Enum, IntEnum\nassert issubclass(P, Enum) and P.__bases__ == (IntEnum,)",),
        "class P(int):\n    LOW = 1",
    ),
    "an exception": Asked(
        "class P(ValueError):\n    def __str__(self): return 'P'\n    def __len__(self): return 1",
        (
            "assert P.__str__ is not ValueError.__str__ and '__str__' in P.__dict__",
            "assert hasattr(P, '__len__')",
            "assert P.__mro__ == (P, ValueError, Exception, BaseException, object) and P.__bases__ == (ValueError,)",
            "try:\n    raise P()\nexcept ValueError as error:\n    assert str(error) == 'P'",
        ),
        "class P(Exception):\n    pass",
    ),
    "a dataclass": Asked(
        "from dataclasses import dataclass\n@dataclass(order=True)\nclass P:\n    x: int = 1",
        (
            "from dataclasses import is_dataclass, fields\nassert is_dataclass(P) and fields(P)[0].name == 'x'",
            "assert P.__eq__ is not object.__eq__ and P.__hash__ is None and P(1) == P(1)",
            "assert P(1) < P(2) and P(2) >= P(1) and hasattr(P, '__match_args__')",
            "from typing import get_type_hints\nassert get_type_hints(P) == {'x': int}",
            "assert P.__dict__['__annotations__'] == {'x': int} and P.__annotations__ == {'x': int}",
            "from dataclasses import *\n@dataclass\nclass Q(P):\n    y: int = 2\n"
            "assert [f.name for f in fields(Q)] == ['x', 'y'] and Q(1, 3) == Q(1, 3)",
        ),
        "class P:\n    def __init__(self, x=1): self.x = x",
    ),
    "a class that a test derives": Asked(
        "class P:\n    def __len__(self): return 1\n    def __call__(self): return 2",
        (
            "class Q(P):\n    def __len__(self): return 3\nassert len(Q()) == 3 and callable(Q())",
            "class Q(P):\n    def __init__(self):\n        super().__init__()\n        self.x = 1\n"
            "assert Q().x == 1 and Q()() == 2 and Q.__mro__ == (Q, P, object)",
        ),
        EMPTY,
    ),
    "what a class holds": Asked(
        "class A:\n    pass\nclass P(A):\n    __slots__ = ('x',)\n    def speak(self): return 1\n"
        "    @property\n    def f(self): return 1\n    @staticmethod\n    def g(): return 1",
        (
            "assert 'speak' in P.__dict__ and 'x' in vars(P)",
            "assert isinstance(P.__dict__['f'], property) and isinstance(vars(P)['g'], staticmethod)",
            "assert P.__slots__ == ('x',)",
            "assert P.__mro__ == (P, A, object) and P.mro() == [P, A, object] and P.__bases__ == (A,)",
            "assert P.__base__ is A and A.__base__ is object",
        ),
        "class A:\n    pass\nclass P:\n    pass",
    ),
}


@pytest.fixture(scope="module")
def process() -> Any:
    with Warm(["numpy"]) as made:
        yield made


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED.keys())
def test_a_class_is_what_it_is(asked: Asked, attempt: Callable[..., Report], process: Warm) -> None:
    tests = [f"{ABC}{test}" for test in asked.tests]
    right = attempt(asked.solution, tests, asked.solution, process=process)
    assert [v.message for v in right.verdicts if not v.points] == []
    wrong = attempt(asked.solution, tests, asked.answer, process=process)
    assert [test for test, v in zip(asked.tests, wrong.verdicts, strict=True) if v.points] == []


GIVEN = f"""class G:
    def __init__(self, x): self.x = x
    {WITH["__call__"]}
    def __len__(self): return self.x
    def __eq__(self, other): return self.x == other.x
"""


def test_a_class_that_was_given(attempt: Callable[..., Report], process: Warm) -> None:
    tests = [
        "assert callable(f(1)) and f(1)() == 1 and len(f(3)) == 3 and f(2) == G(2) and isinstance(f(1), G)",
        "assert G.__hash__ is None and isinstance(f(1), Sized) and not hasattr(G, '__add__')",
        "assert type(g(1)).__mro__[1:] == (G, object) and g(2) == G(2) and len(g(3)) == 3 and g(1)() == 1",
        "assert isinstance(g(1), Iterable) and not isinstance(f(1), Iterable)",
    ]
    tests = [f"{ABC}{test}" for test in tests]
    answer = f"def f(x): return G(x)\nclass H(G):\n    {WITH['__iter__']}\ndef g(x): return H(x)"
    right = attempt(answer, tests, answer, setup=GIVEN, process=process)
    assert [v.message for v in right.verdicts if not v.points] == []
    wrong = attempt(
        answer, tests, "def f(x): return g(x)\nclass H: pass\ndef g(x): return H()", setup=GIVEN, process=process
    )
    assert wrong.points == 0, wrong.verdicts


MISSING = {
    "iter": "iter(P())",
    "len": "len(P())",
    "call": "P()()",
    "index": "P()[0]",
    "next": "next(P())",
    "add": "P() + 1",
    "less": "P() < P()",
    "float": "float(P())",
    "in": "1 in P()",
}


@pytest.mark.parametrize("use", MISSING.values(), ids=MISSING.keys())
def test_what_a_class_lacks_is_a_type_error(use: str, attempt: Callable[..., Report], process: Warm) -> None:
    test = f"try:\n    {use}\nexcept TypeError:\n    pass\nelse:\n    raise AssertionError"
    report = attempt(EMPTY, [test], EMPTY, process=process)
    assert report.points == 1, report.verdicts
