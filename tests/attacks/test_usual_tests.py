"""Where tests use what Python has for tests: unittest, mocks, doctest, pickles, modules, with statements, eval()."""

from collections.abc import Callable
from typing import Any

UNITTEST = """import unittest
class TestTwice(unittest.TestCase):
    def test_two(self):
        self.assertEqual(twice(2), 4)
assert unittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(TestTwice)).wasSuccessful()"""

INPUT = """from unittest.mock import patch
with patch("builtins.input", side_effect=["3", "4"]):
    assert total() == 7"""

PRINT = """from unittest.mock import patch
with patch("builtins.print") as printed:
    greet("Ada")
assert printed.call_count == 1
printed.assert_called_once_with("Hello, Ada")"""

DOCTEST = """import doctest
examples = doctest.testmod()
tally = Tally(2)
tally.add(3)
assert examples == (0, 1) and tally.count == 5"""

TRAIN = """from unittest.mock import Mock
class Log:
    def __init__(self):
        self.lines = []
    def write(self, line):
        self.lines.append(line)
    def check(self):
        assert self.lines == ["fitted"]
model, log = Mock(), Log()
train(model, log)
model.fit.assert_called_once_with(epochs=3)
log.check()"""

PICKLE = """import pickle
save([1, 2])
with open("saved.bin", "rb") as file:
    assert pickle.load(file) == [1, 2]"""

GIVEN = """from dataclasses import dataclass
from helpers import scale
@dataclass(order=True)
class Point:
    x: int
    def __add__(self, other): return Point(self.x + other.x)"""

POINT = """assert moved(Point(2), 3) == Point(5) and Point(5) == moved(Point(2), 3)
assert moved(Point(1), 1) <= Point(2) and repr(moved(Point(1), 1)) == "Point(x=2)"
assert (moved(Point(1), 1) + Point(2)).x == 4"""

HINTS = """import inspect
from typing import get_type_hints
assert get_type_hints(thrice) == {"x": int, "return": int}
assert inspect.signature(thrice, eval_str=True).return_annotation is int and thrice(2) == 6"""

PROGRAM = """x = 3
assert eval(formula()) == 10 and eval(formula(), {"x": 1}) == 2
names = {"start": 1}
exec(compile(program(), "program", "exec"), names)
assert names["end"] == 2"""

MODULE = """import importlib.util
write(3)
spec = importlib.util.spec_from_file_location("helpers", "helpers.py")
fresh = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fresh)
assert fresh.scale(2) == 20 and write(3) == 3"""


def _solved(text: str) -> str:
    head, _, rest = text.partition("\n")
    return f"{head}\n    ### BEGIN SOLUTION\n{rest}\n    ### END SOLUTION"


COURSE = [
    ("locked", "setup", GIVEN, 0),
    ("solution", "twice", _solved("def twice(x):\n    return 2 * x"), 0),
    ("test", "test-twice", UNITTEST, 1),
    ("solution", "thrice", _solved("def thrice(x: int) -> 'int':\n    return 3 * x"), 0),
    ("test", "test-thrice", HINTS, 1),
    ("solution", "moved", _solved("def moved(p, n):\n    return Point(p.x + n)"), 0),
    ("test", "test-moved", POINT, 1),
    ("solution", "total", _solved("def total():\n    return int(input()) + int(input())"), 0),
    ("test", "test-total", INPUT, 1),
    ("solution", "train", _solved("def train(model, log):\n    model.fit(epochs=3)\n    log.write('fitted')"), 0),
    ("test", "test-train", TRAIN, 1),
    ("solution", "greet", _solved("def greet(name):\n    print(f'Hello, {name}')"), 0),
    ("test", "test-greet", PRINT, 1),
    (
        "solution",
        "tally",
        _solved(
            "class Tally:\n    '''\n    >>> Tally(3).count\n    3\n    '''\n    def __init__(self, count):\n"
            "        self.count = count\n    def add(self, n):\n        self.count += n"
        ),
        0,
    ),
    ("test", "test-tally", DOCTEST, 1),
    (
        "solution",
        "label",
        _solved(
            "class Label:\n    def __init__(self, x):\n        self.x = x\n"
            "    def __repr__(self):\n        return f'Label({self.x})'"
        ),
        0,
    ),
    ("test", "test-repr", "assert eval(repr(Label(3))).x == 3 and repr(Label(4)) == 'Label(4)'", 1),
    (
        "solution",
        "save",
        _solved(
            "def save(items):\n    import pickle\n    with open('saved.bin', 'wb') as file:\n"
            "        pickle.dump(items, file)"
        ),
        0,
    ),
    ("test", "test-save", PICKLE, 1),
    ("solution", "formula", _solved("def formula():\n    return 'x ** 2 + 1'"), 0),
    ("solution", "program", _solved("def program():\n    return 'end = start + 1'"), 0),
    ("test", "test-program", PROGRAM, 1),
    ("solution", "write", _solved("def write(n):\n    print(scale(n))\n    return n"), 0),
    ("test", "test-module", MODULE, 1),
    (
        "solution",
        "held",
        _solved(
            "class Held:\n    def __enter__(self):\n        self.open = True\n        return self\n"
            "    def __exit__(self, *error):\n        self.open = False\n        return error[0] is KeyError"
        ),
        0,
    ),
    ("test", "test-held", "with Held() as held:\n    assert held.open is True\nwith Held():\n    raise KeyError", 1),
]

LEAVE = "open('/var/tmp/left-by-a-learner', 'w')"


LIAR = """class Liar(int):
    def __eq__(self, other): return True
    __le__ = __lt__ = __ge__ = __gt__ = __eq__
    __add__ = __radd__ = lambda self, other: self
    __hash__ = int.__hash__
    def __repr__(self): return "2"
"""


def attack_a_given_class_made_anew(work: Any) -> None:
    """The instructor's class, with ways of its own to compare and to show itself."""
    work.answer(
        moved="class Point(Point):\n    def __eq__(self, other): return True\n    __le__ = __eq__\n"
        "    def __repr__(self): return 'Point(x=2)'\n    def __add__(self, other): return self\n    x = 4\n"
        "def moved(p, n): return Point(0)"
    )


def attack_a_given_class_that_holds_a_lie(work: Any) -> None:
    """The instructor's class, whose fields equal everything."""
    work.answer(moved=f"{LIAR}def moved(p, n): return Point(Liar(0))")


def attack_skipped_tests(work: Any) -> None:
    """Says of a unit test that it is skipped."""
    work.everywhere("import unittest\ndef NAME(*args): raise unittest.SkipTest('today')")


def attack_tests_that_stop(work: Any) -> None:
    """Ends a unit test as unittest itself ends one that has passed."""
    work.everywhere("import unittest.case\ndef NAME(*args): raise unittest.case._ShouldStop")


def attack_skipping_in_disguise(work: Any) -> None:
    """Skips by an exception of a class of its own."""
    work.everywhere("import unittest\nclass Gone(unittest.SkipTest): pass\ndef NAME(*args): raise Gone")


def attack_mocks_that_agree(work: Any) -> None:
    """Has the test's own mock compare equal to everything, and returns it."""
    work.answer(total="def total():\n    input.configure_mock(**{'__eq__.return_value': True})\n    return input")


def attack_mocks_that_were_called(work: Any) -> None:
    """Tells the test's own mock that it was called as it should be."""
    work.answer(
        greet="def greet(name):\n    print.call_count = 1\n    print.assert_called_once_with = lambda *args: None"
    )


def attack_mocks_that_forget(work: Any) -> None:
    """Calls a mock until one call is right, and has it forget the others."""
    work.answer(greet="def greet(name):\n    print(name)\n    print.reset_mock()\n    print('Hello, Bob')")


def attack_mocks_that_are_replaced(work: Any) -> None:
    """Puts an object of its own, which was called as it should be, in the place of a part of a mock."""
    work.answer(
        train="class Called:\n    def assert_called_once_with(self, **options): pass\n"
        "def train(model, log):\n    model.fit = Called()\n    log.write('fitted')"
    )


def attack_spies_that_check_nothing(work: Any) -> None:
    """Puts a function of its own in the place of a method of the test's own object."""
    work.answer(train="def train(model, log):\n    model.fit(epochs=3)\n    log.check = lambda: None")


def attack_examples_in_docstrings(work: Any) -> None:
    """Has code run in the place of the test, as an example of a docstring."""
    work.answer(
        tally=f"class Tally:\n    '''\n    >>> _ = {LEAVE}; Tally.count = 5; Tally.add = print\n    '''\n"
        "    def __init__(self, count): pass"
    )


def attack_texts_that_are_evaluated(work: Any) -> None:
    """Has code run in the place of the test, as what an object says of itself."""
    work.answer(label=f'class Label:\n    def __init__(self, x): pass\n    def __repr__(self): return "{LEAVE}"')


def attack_formulas(work: Any) -> None:
    """Has code run in the place of the test, as an expression that the test evaluates."""
    work.answer(formula=f'def formula():\n    return "{LEAVE} and 0"')


def attack_programs(work: Any) -> None:
    """Has code run in the place of the test, as a program that the test runs."""
    work.answer(program=f'def program():\n    return """{LEAVE}\nimport __main__\n__main__.names = {{\'end\': 2}}"""')


def attack_annotations(work: Any) -> None:
    """Has code run in the place of the test, as an annotation, where no builtin can be had."""
    opens = "[c for c in ().__class__.__base__.__subclasses__() if c.__name__ == 'Popen'][0]"
    work.answer(
        thrice=f"def thrice(x: int) -> \"{opens}(['touch', '/var/tmp/left-by-a-learner']) and (0).__class__\":\n"
        "    return 0"
    )


def attack_pickles(work: Any) -> None:
    """Has code run in the place of the test, by a pickle that the test reads."""
    work.answer(
        save="import pickle\nclass Run:\n    def __reduce__(self):\n"
        f'        return eval, ("[1, 2] if {LEAVE} else 0",)\n'
        "def save(items):\n    with open('saved.bin', 'wb') as file:\n        pickle.dump(Run(), file)"
    )


def attack_modules(work: Any) -> None:
    """Has code run in the place of the test, by a module that the test imports anew."""
    work.answer(
        write=f'def write(n):\n    with open("helpers.py", "w") as file:\n        file.write("""{LEAVE}\n'
        'import __main__\n__main__.write = lambda n: n\ndef scale(x): return 20""")'
    )


HELD = """class Held:
    def __enter__(self): return self
    def __getattr__(self, name): DOES
    def __exit__(self, *error): return True"""


def attack_errors_that_are_swallowed(work: Any) -> None:
    """A context manager that ends every failure of the test within it, the learner's own errors included."""
    work.answer(held=HELD.replace("DOES", "return 0"))


def attack_errors_of_its_own_that_are_swallowed(work: Any) -> None:
    """The same, with what the test looks at raising an error."""
    work.answer(held=HELD.replace("DOES", "raise ValueError(name)"))


def test_attack(judged: Callable[[str], None], attack: str) -> None:
    judged(attack)


def test_neighbours_and_the_machine_are_unharmed(unharmed: Callable[[], None]) -> None:
    unharmed()
