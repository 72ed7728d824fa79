"""Lies: objects that say they are equal, true, long enough, small enough, or of the right class."""

from collections.abc import Callable
from typing import Any

EVERYTHING = """
class Everything:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __contains__ = __lt__
    def __bool__(self): return True
    def __hash__(self): return 0
    def __sub__(self, *others): return self
    __rsub__ = __add__ = __radd__ = __mul__ = __rmul__ = __abs__ = __neg__ = __pow__ = __sub__
    def __float__(self): return 3.0
    def __round__(self, digits=None): return 3
    def __len__(self): return 3
    def __getitem__(self, key): return self
    def __iter__(self): return iter([self] * 3)
    def __call__(self, *args, **kwargs): return self
    def __getattr__(self, name):
        if name.startswith("__"): raise AttributeError(name)
        return self
"""


def attack_everything(work: Any) -> None:
    """One object that equals, orders, contains and computes whatever it is asked."""
    work.add(EVERYTHING)
    work.everywhere("def NAME(*args): return Everything()")


def attack_names_that_are_everything(work: Any) -> None:
    """The exercises' names are not functions but the object that is everything."""
    work.add(EVERYTHING)
    work.everywhere("NAME = Everything()")


def attack_a_list_of_everything(work: Any) -> None:
    """Real lists of the right lengths, with items that equal everything."""
    work.add(EVERYTHING)
    work.everywhere("def NAME(*args): return [Everything()] * (args[0] if args and type(args[0]) is int else 2)")


def attack_subclasses_of_numbers(work: Any) -> None:
    """A float and an int whose every comparison is true and whose every difference is zero."""
    work.add(
        "class F(float):\n    __eq__ = __le__ = __lt__ = __ge__ = __gt__ = lambda s, o: True\n"
        "    __hash__ = float.__hash__\n    __sub__ = __rsub__ = __abs__ = lambda s, *o: F(0)\n"
        "class I(int):\n    __eq__ = __le__ = lambda s, o: True\n    __hash__ = int.__hash__"
    )
    work.everywhere("def NAME(*args): return F(7) if 'NAME' == 'mean' else I(7)")


def attack_subclass_of_list(work: Any) -> None:
    """A list that equals every list, and whose last item is what was asked for last."""
    work.add("class L(list):\n    __eq__ = __contains__ = lambda s, o: True\n    __getitem__ = lambda s, i: 3")
    work.everywhere("def NAME(*args): return L([3] * 3)")


def attack_a_class_that_lies(work: Any) -> None:
    """An object whose __class__ and whose class's __instancecheck__ say it is a list or a float."""
    work.add(
        "class M(type):\n    def __instancecheck__(c, o): return True\n    def __eq__(c, o): return True\n"
        "    def __hash__(c): return hash(list)\n"
        "class C(metaclass=M):\n    __class__ = list\n    def __eq__(s, o): return True\n    def __len__(s): return 5"
    )
    work.everywhere("def NAME(*args): return C()")


def attack_nan(work: Any) -> None:
    """Not a number, which is neither too large nor too small, also as partial credit."""
    work.everywhere("def NAME(*args): return [float('nan')] if 'NAME' == 'squares' else float('nan')")


def attack_huge_numbers(work: Any) -> None:
    """Numbers too large to compare, to print, or to be a float."""
    work.everywhere("def NAME(*args): return [10 ** 5000] * 3 if 'NAME' == 'squares' else 10 ** 5000")


def attack_negative_lengths_and_endless_iteration(work: Any) -> None:
    """A length that is none, and an iteration that counts on until the right answer has come by."""
    work.add(
        "import itertools\nclass E:\n    def __len__(s): return -1\n    def __iter__(s): return itertools.count()\n"
        "    def __getitem__(s, i): return itertools.count()"
    )
    work.everywhere("def NAME(*args): return E()")


def attack_answers_learned_from_the_questions(work: Any) -> None:
    """An object that keeps every operand it is asked about and gives it back as its next answer."""
    work.add(
        "heard = [0]\nclass Parrot:\n"
        "    def __getattr__(s, n):\n        if n[:2] == '__': raise AttributeError\n        return heard[-1]\n"
        "    def __getitem__(s, k): heard.append(k); return heard[-1]\n    def __len__(s): return len(heard)\n"
        "    def __sub__(s, o): heard.append(o); return o - o\n    __rsub__ = __sub__\n"
        "    def __eq__(s, o): heard.append(o); return True\n    def __hash__(s): return hash(heard[-1])\n"
        "    def __str__(s): return str(heard[-1])"
    )
    work.everywhere("def NAME(*args):\n    heard.extend(args)\n    return Parrot()")


def attack_raising_what_is_expected(work: Any) -> float:
    """ValueError whatever the question: right for the one test that wants it, and for no other."""
    work.everywhere("def NAME(*args): raise ValueError('n must be at least 1')")
    return 0.0


def attack_exceptions_of_a_class_that_lies(work: Any) -> None:
    """An exception whose class says that it is every exception, the test's own AssertionError included."""
    work.add("class Any(type):\n    def __subclasscheck__(c, o): return True\nclass E(Exception, metaclass=Any): pass")
    work.everywhere("def NAME(*args): raise E('n')")


def test_attack(judged: Callable[[str], None], attack: str) -> None:
    judged(attack)


def test_neighbours_and_the_machine_are_unharmed(unharmed: Callable[[], None]) -> None:
    unharmed()
