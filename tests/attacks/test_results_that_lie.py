"""Results that answer a usual way of comparing them each with the lie that fits it."""

from collections.abc import Callable
from typing import Any

COURSE = [
    ("locked", "setup", "import math\nimport numpy as np", 0),
    (
        "solution",
        "squares",
        "def squares(n):\n    ### BEGIN SOLUTION\n    return [i * i for i in range(1, n + 1)]\n    ### END SOLUTION",
        0,
    ),
    (
        "test",
        "length",
        "out = squares(4)\nassert len(out) == 4\nassert all(a == b for a, b in zip(out, [1, 4, 9, 16]))",
        1,
    ),
    (
        "test",
        "numbered",
        "out = squares(4)\nassert len(out) == 4\nfor i, value in enumerate(out, 1):\n    assert value == i * i",
        1,
    ),
    ("test", "mapped", "assert all(map(lambda n: squares(n)[-1] == n * n, [1, 2, 3]))", 1),
    ("test", "contained", "assert 16 in squares(4) and 15 not in squares(4) and squares(4)[1] == 4", 1),
    ("test", "as-text", "assert str(squares(2)) == '[1, 4]' and f'{squares(1)}' == '[1]'", 1),
    ("test", "sorted", "assert sorted(squares(3), reverse=True) == [9, 4, 1] and set(squares(2)) == {1, 4}", 1),
    ("solution", "double", "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION", 0),
    (
        "test",
        "close",
        "x = np.arange(3.0)\nassert np.allclose(double(x), [0, 2, 4])\nassert math.isclose(double(4), 8)",
        1,
    ),
    ("test", "difference", "x = np.arange(3.0)\nassert np.abs(double(x) - np.array([0, 2, 4])).max() < 1e-9", 1),
    ("test", "scalar", "assert abs(double(1.5) - 3) < 1e-9 and round(double(2.0), 3) == 4", 1),
    (
        "test",
        "testing",
        "np.testing.assert_allclose(double(np.ones(2)), [2, 2])\n"
        "np.testing.assert_array_equal(double(np.ones(2)), [2, 2])\nassert np.array_equal(double(np.ones(2)), [2, 2])",
        1,
    ),
    ("test", "elementwise", "assert (double(np.ones(2)) == np.array([2, 2])).all() and not (double(3) != 6)", 1),
    (
        "solution",
        "words",
        "def words(text):\n    ### BEGIN SOLUTION\n    return set(text.split())\n    ### END SOLUTION",
        0,
    ),
    ("test", "subset", "assert words('a b').issubset({'a', 'b'}) and words('a b').issuperset({'a', 'b'})", 1),
]

LIAR = """
class Liar:
    def __init__(self, n=3): self.n = n
    def __eq__(self, other): return True
    __le__ = __lt__ = __ge__ = __gt__ = __eq__
    __hash__ = None
    def __sub__(self, *others): return Liar()
    __rsub__ = __abs__ = __mul__ = __sub__
    def __array__(self, *args, **kwargs): return np.zeros(3)
    def __array_ufunc__(self, *args, **kwargs): return True
    def __round__(self, digits=None): return 4
    def __float__(self): return 8.0
"""


def attack_a_length_without_items(work: Any) -> None:
    """Says that it has as many items as were asked for, and has none to compare."""
    work.add(
        "class L:\n    def __init__(s, n): s.n = n\n"
        "    def __len__(s): return s.n\n    def __iter__(s): return iter(())"
    )
    work.everywhere("def NAME(x): return L(x)")


def attack_stop_iteration(work: Any) -> None:
    """Raises StopIteration, which ends the map() or zip() of the test in which it comes up."""
    work.everywhere("def NAME(*args): raise StopIteration")


def attack_differences_of_zero(work: Any) -> None:
    """A result whose difference from anything is an object that holds zeros."""
    work.add(
        LIAR + "    def __len__(self): return 3\n    def __getitem__(self, i): return [0.0] * 3\n"
        "    def max(self): return 0.0\n    abs = __sub__\n"
        "    def __iter__(self): return iter([[0.0] * 3] * 3)\n"
    )
    work.everywhere("def NAME(*args): return Liar()")


def attack_methods_that_agree(work: Any) -> None:
    """A result with methods issubset, issuperset, equals, allclose ... that all say yes."""
    work.add(
        "class Yes:\n    def __getattr__(s, n):\n        if n[:1] == '_': raise AttributeError(n)\n"
        "        return lambda *a, **k: True"
    )
    work.everywhere("def NAME(*args): return Yes()")


def attack_numpys_protocols(work: Any) -> None:
    """Answers numpy's own questions: __array__, __array_ufunc__, __array_function__, __array_interface__."""
    work.add(
        LIAR + "    def __array_function__(self, *args): return True\n"
        "    __array_interface__ = {'shape': (3,), 'typestr': '<f8', 'version': 3, 'data': (0, True)}\n"
        "    __array_priority__ = 1e9"
    )
    work.everywhere("def NAME(*args): return Liar()")


def attack_subclass_of_ndarray(work: Any) -> None:
    """An ndarray subclass that equals everything, is all true and has no differences."""
    work.add(
        "class A(np.ndarray):\n    def __eq__(s, o): return np.ones(s.shape, bool)\n"
        "    def __array_ufunc__(s, f, m, *a, **k): return True\n    def all(s, *a): return True\n"
        "    def __sub__(s, o): return 0.0\n    __rsub__ = __abs__ = lambda s, *o: 0.0\n"
        "    def __float__(s): return 8.0\n    def __str__(s): return '[1]'"
    )
    work.everywhere("def NAME(*args): return np.full(4, 7.0).view(A)")


def attack_arrays_of_objects(work: Any) -> None:
    """Object arrays whose items agree with everything, at the places where numpy compares one by one."""
    work.add(LIAR.replace("__hash__ = None", "__bool__ = __eq__"))
    work.everywhere("def NAME(*args): return np.array([Liar()] * 3, dtype=object)")


def attack_texts_that_change(work: Any) -> None:
    """A str subclass, and an object whose text is another one at each look."""
    work.add(
        "class S(str):\n    __eq__ = lambda s, o: True\n    __hash__ = str.__hash__\n    __format__ = lambda s, f: s\n"
        "class T:\n    texts = iter(['[1]'] * 50)\n    def __str__(s): return next(s.texts)\n"
        "    __repr__ = __format__ = lambda s, *f: next(s.texts)"
    )
    work.everywhere("def NAME(n): return S('[1]') if n == 2 else T()")


def attack_items_that_change(work: Any) -> None:
    """A sequence that gives another item at each look, until one is right."""
    work.add(
        "import itertools\nclass C:\n    looks = itertools.count()\n    def __len__(s): return 3\n"
        "    def __getitem__(s, i): return next(s.looks)\n    def __contains__(s, i): return True"
    )
    work.everywhere("def NAME(*args): return C()")


def attack_comparing_from_the_right(work: Any) -> None:
    """A subclass of the expected value's class, whose reflected operators Python asks first."""
    work.add(
        "class N(np.float64):\n    __eq__ = __ne__ = __le__ = lambda s, o: True\n    __hash__ = None\n"
        "    __rsub__ = __sub__ = __abs__ = lambda s, *o: N(0)\n    __radd__ = __add__ = lambda s, o: o\n"
        "class B(bytes):\n    __eq__ = lambda s, o: True\n    __hash__ = bytes.__hash__"
    )
    work.everywhere("def NAME(*args): return N(3) if 'NAME' == 'double' else B(b'x')")


def test_attack(judged: Callable[[str], None], attack: str) -> None:
    judged(attack)


def test_neighbours_and_the_machine_are_unharmed(unharmed: Callable[[], None]) -> None:
    unharmed()
