"""Test cells of the kinds that strangers write: each scores here what it scores in one plain interpreter.

Stock nbgrader runs the learner's cells and the tests in one kernel. Here a fresh interpreter plays that part for
right and for wrong answers, and nbgrader's own rule makes points of what came out.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest

from autograder.grading import grade_notebook
from autograder.limits import Limits
from autograder.precedents import JUDGES, Precedents
from autograder.sandbox.warm import WORTH_OPENING, Warm
from autograder.submission import with_checksums
from autograder.verdict import Verdict


@dataclass(frozen=True)
class Case:
    """One exercise: the instructor's solution and tests (a point each), more right answers, and wrong ones."""

    name: str
    solution: str
    tests: tuple[str, ...]
    wrong: tuple[str, ...]
    right: tuple[str, ...] = ()
    setup: str = ""
    needs: str = ""


CASES = [
    # -- values compared
    Case(
        "dicts compared",
        "def count(words):\n    out = {}\n    for w in words:\n        out[w] = out.get(w, 0) + 1\n    return out",
        ("assert count(['a', 'b', 'a']) == {'a': 2, 'b': 1}", "assert list(count('xy')) == ['x', 'y']"),
        ("def count(words):\n    return {w: 1 for w in words}", "def count(words):\n    return None"),
        ("from collections import Counter\ndef count(words):\n    return dict(Counter(words))",),
    ),
    Case(
        "a subclass of dict compared",
        "from collections import Counter\ndef count(words):\n    return Counter(words)",
        ("assert count('aab') == {'a': 2, 'b': 1}", "assert count('aab').most_common(1) == [('a', 2)]"),
        ("def count(words):\n    return {}",),
        ("def count(words):\n    return {w: list(words).count(w) for w in words}",),
    ),
    Case(
        "defaultdict and nested containers",
        "from collections import defaultdict\ndef group(ws):\n    d = defaultdict(list)\n"
        "    for w in ws:\n        d[len(w)].append(w)\n    return d",
        ("assert group(['a', 'bb', 'c']) == {1: ['a', 'c'], 2: ['bb']}", "assert group([])[5] == []"),
        ("def group(ws):\n    return {len(w): [w] for w in ws}",),
    ),
    Case(
        "namedtuples by field and as tuples",
        "from collections import namedtuple\nPoint = namedtuple('Point', 'x y')\n"
        "def middle(a, b):\n    return Point((a.x + b.x) / 2, (a.y + b.y) / 2)",
        (
            "assert middle(Point(0, 0), Point(2, 4)) == Point(1, 2)",
            "assert middle(Point(0, 0), Point(2, 4)).y == 2",
            "assert middle(Point(0, 0), Point(2, 4)) == (1, 2)",
            "x, y = middle(Point(0, 0), Point(2, 4))\nassert (x, y) == (1, 2)",
        ),
        (
            "from collections import namedtuple\nPoint = namedtuple('Point', 'x y')\n"
            "def middle(a, b):\n    return Point(a.x + b.x, a.y + b.y)",
        ),
    ),
    Case(
        "sets, frozensets, bytes, complex, None, ranges, slices",
        "def things():\n    return {1, 2}, frozenset('a'), b'x', 1j, None, range(3), slice(1, 2), ...",
        (
            "assert things() == ({1, 2}, frozenset('a'), b'x', 1j, None, range(3), slice(1, 2), ...)",
            "assert things()[4] is None",
            "assert isinstance(things(), tuple) and isinstance(things()[0], set)",
        ),
        ("def things():\n    return [{1, 2}, frozenset('a'), b'x', 1j, 0, [0, 1, 2], slice(1, 2), ...]",),
    ),
    Case(
        "fractions, decimals and dates",
        "from fractions import Fraction\nfrom decimal import Decimal\nimport datetime\n"
        "def half():\n    return Fraction(1, 2)\ndef price():\n    return Decimal('1.10')\n"
        "def day():\n    return datetime.date(2024, 2, 29)",
        (
            "assert half() == 0.5",
            "from fractions import Fraction\nassert half() + Fraction(1, 2) == 1",
            "from decimal import Decimal\nassert price() == Decimal('1.10')",
            "import datetime\nassert day() == datetime.date(2024, 2, 29)",
            "assert day().year == 2024 and day().isoformat() == '2024-02-29'",
        ),
        (
            "import datetime\ndef half():\n    return '1/2'\ndef price():\n    return 1.1\n"
            "def day():\n    return datetime.date(2024, 3, 1)",
        ),
    ),
    Case(
        "times in their zones",
        "from datetime import datetime, timedelta, timezone\nfrom zoneinfo import ZoneInfo\nberlin = ZoneInfo('Europe/Berlin')\n"
        "india = timezone(timedelta(hours=5, minutes=30))\ndef noon(month):\n    return datetime(2024, month, 30, 12, tzinfo=berlin)",
        (
            "import datetime as dt\nassert noon(3).utcoffset() == dt.timedelta(hours=1)",
            "assert noon(3).tzinfo.key == 'Europe/Berlin' and noon(3).tzinfo is berlin",
            "assert (noon(3) + dt.timedelta(days=1)).isoformat() == '2024-03-31T12:00:00+02:00'",
            "assert noon(7).astimezone(india).hour == 15 and india.utcoffset(None).seconds == 19800",
        ),
        (
            "from datetime import datetime, timedelta, timezone\nberlin = timezone(timedelta(hours=1))\nindia = timezone.utc\n"
            "def noon(month):\n    return datetime(2024, month, 30, 12, tzinfo=berlin)",
        ),
    ),
    Case(
        "enums",
        "from enum import Enum\nclass Color(Enum):\n    RED = 1\n    BLUE = 2\ndef other(c):\n"
        "    return Color.BLUE if c is Color.RED else Color.RED",
        (
            "assert other(Color.RED) == Color.BLUE",
            "assert other(Color.BLUE) is Color.RED",
            "assert [c.name for c in Color] == ['RED', 'BLUE']",
            "assert Color(2) is Color.BLUE and Color['RED'].value == 1",
        ),
        ("from enum import Enum\nclass Color(Enum):\n    RED = 1\n    BLUE = 3\ndef other(c):\n    return c",),
    ),
    Case(
        "floats with math.isclose, round and pytest.approx",
        "def mean(xs):\n    return sum(xs) / len(xs)",
        (
            "import math\nassert math.isclose(mean([0.1, 0.2]), 0.15)",
            "import pytest\nassert mean([1, 2]) == pytest.approx(1.5)",
            "assert round(mean([1, 2, 2]), 2) == 1.67",
            "assert abs(mean([1, 2]) - 1.5) < 1e-9",
        ),
        ("def mean(xs):\n    return sum(xs)", "def mean(xs):\n    return float('nan')"),
    ),
    Case(
        "plain variables",
        "answer = 42\nname = 'Ada'\nratio = answer / 5",
        ("assert answer == 42", "assert name.lower().startswith('a')", "assert 8 < ratio < 9 and type(ratio) is float"),
        ("answer = 41\nname = 'Bob'\nratio = 8", ""),
    ),
    Case(
        "unittest's assertions",
        "def double(x):\n    return 2 * x",
        (
            "import unittest\ncheck = unittest.TestCase()\ncheck.assertEqual(double(2), 4)",
            "from unittest import TestCase\nwith TestCase().assertRaises(TypeError):\n    double(None)",
            "from unittest import TestCase\nTestCase().assertListEqual([double(i) for i in range(3)], [0, 2, 4])",
            "import unittest\nclass T(unittest.TestCase):\n    def test_it(self):\n        self.assertEqual(double('a'), 'aa')\n"
            "r = unittest.TextTestRunner(stream=__import__('io').StringIO()).run("
            "unittest.defaultTestLoader.loadTestsFromTestCase(T))\nassert r.wasSuccessful()",
        ),
        ("def double(x):\n    return x",),
    ),
    # -- classes
    Case(
        "a class with __eq__, __repr__ and operators",
        "class Vector:\n    def __init__(self, x, y):\n        self.x, self.y = x, y\n"
        "    def __add__(self, o):\n        return Vector(self.x + o.x, self.y + o.y)\n"
        "    def __eq__(self, o):\n        return (self.x, self.y) == (o.x, o.y)\n"
        "    def __repr__(self):\n        return f'Vector({self.x}, {self.y})'\n"
        "    def __len__(self):\n        return 2\n    def __getitem__(self, i):\n        return (self.x, self.y)[i]\n"
        "    def __bool__(self):\n        return bool(self.x or self.y)\n    def __hash__(self):\n"
        "        return hash((self.x, self.y))\n    def __call__(self, s):\n        return Vector(self.x * s, self.y * s)\n"
        "    def __contains__(self, v):\n        return v in (self.x, self.y)",
        (
            "assert Vector(1, 2) + Vector(3, 4) == Vector(4, 6)",
            "assert Vector(1, 2) != Vector(1, 3)",
            "assert repr(Vector(1, 2)) == 'Vector(1, 2)'",
            "assert str(Vector(1, 2)) == 'Vector(1, 2)' and f'{Vector(1, 2)}' == 'Vector(1, 2)'",
            "assert len(Vector(1, 2)) == 2 and Vector(5, 6)[1] == 6",
            "assert not Vector(0, 0) and Vector(1, 0)",
            "assert len({Vector(1, 2), Vector(1, 2)}) == 1",
            "assert Vector(1, 2)(3).y == 6 and 2 in Vector(1, 2)",
            "a, b = Vector(7, 8)\nassert a == 7 and b == 8",
            "v = Vector(1, 2)\nv.x = 10\nassert v + Vector(0, 0) == Vector(10, 2)",
            "assert [Vector(1, 2), Vector(3, 4)] == [Vector(1, 2), Vector(3, 4)]",
        ),
        (
            "class Vector:\n    def __init__(self, x, y):\n        self.x, self.y = y, x\n"
            "    def __add__(self, o):\n        return Vector(self.x, self.y)",
        ),
    ),
    Case(
        "classes that the instructor gives",
        "def double(p):\n    return P(p.x * 2)\ndef same(p):\n    return p\ndef cards(n):\n    return [Card(i, 'b') for i in range(n)]\n"
        "def vector(n):\n    return Vector(n, n + 1)\ndef nodes(n):\n    return Node(n, nodes(n - 1)) if n else None\n"
        "class Named(P):\n    def __init__(self, x, name):\n        super().__init__(x)\n        self.name = name",
        (
            "assert double(P(2)) == P(4) and P(4) == double(P(2)) and double(P(2)) != P(5)",
            "assert repr(double(P(2))) == 'P(x=4)' and isinstance(double(P(2)), P) and same(P(1)) == P(1)",
            "assert cards(2) == [Card(0, 'b'), Card(1, 'b')] and Card(1, 'b') in cards(3) and Card(9) not in cards(3)",
            "assert sorted(cards(3), reverse=True)[0] == Card(2, 'b') and cards(2)[0] < cards(2)[1] <= Card(1, 'b')",
            "assert set(cards(2)) == {Card(0, 'b'), Card(1, 'b')} and {Card(1, 'b'): 5}[cards(3)[1]] == 5",
            "assert vector(1) + Vector(1, 1) == Vector(2, 3) == Vector(1, 1) + vector(1)",
            "assert 2 * vector(1) == vector(1) * 2 == Vector(2, 4) and list(vector(3)) == [3, 4] and len(vector(3)) == 2",
            "values, node = [], nodes(3)\nwhile node:\n    values.append(node.value)\n    node = node.next\nassert values == [3, 2, 1]",
            "assert Named(3, 'n').x == 3 and Named(3, 'n').name == 'n' and isinstance(Named(1, 'n'), P)",
            "try:\n    vector(1) < vector(2)\nexcept TypeError:\n    pass\nelse:\n    raise AssertionError",
        ),
        (
            "def double(p):\n    return P(p.x + 2.5)\ndef same(p):\n    return P(0)\ndef cards(n):\n    return [Card(i) for i in range(n)]\n"
            "def vector(n):\n    return Vector(n, n)\ndef nodes(n):\n    return Node(n)\nclass Named(P):\n    name = ''",
            "def double(p):\n    return p.x * 2\ndef same(p):\n    return p.x\ndef cards(n):\n    return n\ndef vector(n):\n    return (n, n + 1)\n"
            "def nodes(n):\n    return list(range(n, 0, -1))\nclass Named:\n    def __init__(self, *a):\n        self.x, self.name = a",
        ),
        setup="from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\n@dataclass(order=True, frozen=True)\nclass Card:\n"
        "    x: int\n    y: str = 'a'\nclass Vector:\n    def __init__(self, a, b):\n        self.a, self.b = a, b\n"
        "    def __add__(self, o):\n        return Vector(self.a + o.a, self.b + o.b)\n    def __mul__(self, k):\n"
        "        return Vector(self.a * k, self.b * k)\n    __rmul__ = __mul__\n    def __eq__(self, o):\n"
        "        return (self.a, self.b) == (o.a, o.b)\n    def __len__(self):\n        return 2\n    def __iter__(self):\n"
        "        return iter((self.a, self.b))\nclass Node:\n    def __init__(self, value, next=None):\n        self.value, self.next = value, next",
    ),
    Case(
        "numbers of the learner's own: conversions, rounding, shifts, in-place operators",
        "class Money:\n    def __init__(self, n):\n        self.n = n\n    def __float__(self):\n        return float(self.n)\n"
        "    def __int__(self):\n        return int(self.n)\n    def __index__(self):\n        return int(self.n)\n"
        "    def __round__(self, digits=0):\n        return round(self.n, digits)\n    def __lshift__(self, k):\n"
        "        return Money(self.n * 10**k)\n    def __divmod__(self, k):\n        return divmod(self.n, k)\n"
        "    def __iadd__(self, other):\n        self.n += other.n\n        return self",
        (
            "assert float(Money(2)) == 2.0 and int(Money(2.5)) == 2",
            "import math\nassert math.isclose(Money(0.5), 0.5)",
            "assert [5, 6, 7][Money(1)] == 6 and list(range(Money(2))) == [0, 1]",
            "assert round(Money(1.26), 1) == 1.3 and divmod(Money(7), 2) == (3, 1)",
            "assert (Money(3) << 2).n == 300",
            "m = n = Money(1)\nm += Money(4)\nassert m is n and n.n == 5",
        ),
        (
            "class Money:\n    def __init__(self, n):\n        self.n = n\n    def __float__(self):\n        return 1\n"
            "    def __index__(self):\n        return 0\n    def __add__(self, other):\n        return Money(self.n + other.n)",
        ),
    ),
    Case(
        "classes derived from Python's own",
        "from enum import Enum, Flag\nclass Tags(list):\n    def add(self, tag):\n        self.append(tag)\n        return self\n"
        "class Name(str):\n    def initials(self):\n        return ''.join(word[0] for word in self.split())\n"
        "class Metres(int):\n    def feet(self):\n        return self * 3\nclass Doubled(dict):\n    def __missing__(self, key):\n"
        "        return 2 * key\nclass Right(Flag):\n    READ = 1\n    WRITE = 2\n    ALL = 3\n"
        "class Level(str, Enum):\n    LOW = 'low'",
        (
            "assert Tags(['a']).add('b') == ['a', 'b'] and Tags('ab') + ['c'] == ['a', 'b', 'c'] and 'a' in Tags('ab')",
            "assert Name('Ada Lovelace').initials() == 'AL' and Name('x') == 'x' and Name('a') < 'b' and Name('a') + 'b' == 'ab'",
            "assert Metres(2).feet() == 6 and Metres(2) + 1 == 3 and [5, 6][Metres(1)] == 6 and float(Metres(2)) == 2",
            "assert Doubled(a=1) == {'a': 1} and Doubled()[4] == 8 and 4 not in Doubled()",
            "assert Right.READ | Right.WRITE == Right.ALL and Right.READ in Right.ALL",
            "assert Level.LOW == 'low' and Level('low') is Level.LOW",
        ),
        (
            "class Tags(list):\n    def add(self, tag):\n        return self\nclass Name(str):\n    def initials(self):\n"
            "        return self[0]\nclass Metres(int):\n    def feet(self):\n        return 1\nclass Doubled(dict):\n    pass\n"
            "class Right:\n    READ = 1\n    WRITE = 2\n    ALL = 4\nclass Level:\n    LOW = 'LOW'",
        ),
    ),
    Case(
        "isinstance and type of learners' classes",
        "class Animal:\n    def speak(self):\n        return '...'\n"
        "class Dog(Animal):\n    def speak(self):\n        return 'Woof'\ndef make():\n    return Dog()",
        (
            "assert isinstance(make(), Dog)",
            "assert isinstance(make(), Animal) and issubclass(Dog, Animal)",
            "assert type(make()) is Dog",
            "assert make().speak() == 'Woof' and Animal().speak() == '...'",
            "assert Dog.__mro__[1] is Animal or Dog.__bases__ == (Animal,)",
            "assert Dog.__name__ == 'Dog' and make().__class__.__name__ == 'Dog'",
            "assert hasattr(Dog, 'speak') and not hasattr(make(), 'fly')",
            "assert callable(make().speak) and 'speak' in dir(Dog)",
            "assert not isinstance(3, Dog)",
        ),
        ("class Animal:\n    pass\nclass Dog:\n    def bark(self):\n        pass\ndef make():\n    return Animal()",),
    ),
    Case(
        "a learner's class subclassed in a test",
        "class Shape:\n    def area(self):\n        raise NotImplementedError\n"
        "    def describe(self):\n        return f'area {self.area()}'",
        (
            "class Square(Shape):\n    def area(self):\n        return 4\nassert Square().describe() == 'area 4'",
            "assert isinstance(Square(), Shape)",
            "try:\n    Shape().describe()\nexcept NotImplementedError:\n    pass\nelse:\n    raise AssertionError",
        ),
        ("class Shape:\n    def area(self):\n        return 0\n    def describe(self):\n        return 'area'",),
    ),
    Case(
        "super() in a class that a test derives from a learner's",
        "from abc import ABC, abstractmethod\nclass Shape(ABC):\n    made = 0\n    def __init__(self, name):\n"
        "        self.name = name\n        Shape.made += 1\n    @abstractmethod\n    def area(self): ...\n    @property\n"
        "    def twice(self):\n        return 2 * self.area()\n    def describe(self):\n        return f'{self.name} of {self.area()}'\n"
        "class Square(Shape):\n    def __init__(self, side):\n        super().__init__('square')\n        self.side = side\n"
        "    def area(self):\n        return self.side**2",
        (
            "class Point(Shape):\n    def __init__(self):\n        super().__init__('point')\n        self.seen = []\n"
            "    def area(self):\n        return 0\n    def describe(self):\n        self.seen.append(self.area())\n"
            "        return super().describe().upper()\np = Point()\nassert p.describe() == 'POINT OF 0' and p.seen == [0]",
            "class Big(Square):\n    def area(self):\n        return 100 + super().area()\n    @property\n    def twice(self):\n"
            "        return super().twice + 1\nassert Big(2).area() == 104 and Big(2).twice == 209",
            "import inspect\nassert 'self.side**2' in inspect.getsource(Square.area) and Square(3).area() == 9",
            "made = Shape.made\nBig(1)\nassert Shape.made == Big.made == made + 1",
        ),
        (
            "class Shape:\n    def __init__(self, name):\n        pass\n    def describe(self):\n        return ''\n"
            "class Square(Shape):\n    def __init__(self, side):\n        self.side = side\n    def area(self):\n"
            "        return 4 * self.side",
        ),
    ),
    Case(
        "an instructor's class extended by the learner",
        "class Stack(Base):\n    def push(self, x):\n        self.items.append(x)\n    def pop(self):\n"
        "        if not self.items:\n            raise Empty('nothing here')\n        return self.items.pop()",
        (
            "s = Stack()\ns.push(1)\ns.push(2)\nassert s.pop() == 2 and s.items == [1]",
            "assert isinstance(Stack(), Base)",
            "try:\n    Stack().pop()\nexcept Empty as e:\n    assert 'nothing' in str(e)\nelse:\n    raise AssertionError",
        ),
        (
            "class Stack(Base):\n    def push(self, x):\n        pass\n    def pop(self):\n        return self.items.pop()",
        ),
        setup="class Empty(Exception):\n    pass\nclass Base:\n    def __init__(self):\n        self.items = []",
    ),
    Case(
        "dataclasses",
        "from dataclasses import dataclass, field\n@dataclass(order=True)\nclass Card:\n    rank: int\n    suit: str = 'S'\n"
        "    tags: list = field(default_factory=list)",
        (
            "assert Card(3) == Card(3, 'S')",
            "assert Card(2) < Card(3) and sorted([Card(3), Card(1)])[0].rank == 1",
            "import dataclasses\nassert [f.name for f in dataclasses.fields(Card)] == ['rank', 'suit', 'tags']",
            "from dataclasses import asdict\nassert asdict(Card(1)) == {'rank': 1, 'suit': 'S', 'tags': []}",
            "from dataclasses import replace\nassert replace(Card(1), suit='H').suit == 'H'",
            "assert repr(Card(1)) == \"Card(rank=1, suit='S', tags=[])\"",
            "assert dataclasses.is_dataclass(Card)",
            "c = Card(1)\nc.tags.append('x')\nassert c.tags == ['x'] and Card(1).tags == []",
        ),
        (
            "class Card:\n    def __init__(self, rank, suit='H'):\n        self.rank, self.suit, self.tags = rank, suit, []",
        ),
    ),
    Case(
        "properties, class methods, static methods, class attributes",
        "class Temp:\n    count = 0\n    def __init__(self, c):\n        self._c = c\n        Temp.count += 1\n    @property\n"
        "    def f(self):\n        return self._c * 9 / 5 + 32\n    @f.setter\n    def f(self, v):\n"
        "        self._c = (v - 32) * 5 / 9\n    @classmethod\n    def zero(cls):\n        return cls(0)\n    @staticmethod\n"
        "    def name():\n        return 'C'",
        (
            "assert Temp(100).f == 212",
            "t = Temp(0)\nt.f = 212\nassert t._c == 100",
            "assert Temp.zero().f == 32 and Temp.name() == 'C'",
            "before = Temp.count\nTemp(1)\nassert Temp.count == before + 1",
            "assert isinstance(Temp.f, property)",
            "assert isinstance(Temp.__dict__['name'], staticmethod)",
            "assert vars(Temp(5)) == {'_c': 5}",
        ),
        (
            "class Temp:\n    count = 0\n    def __init__(self, c):\n        self._c = c\n    def f(self):\n        return self._c",
        ),
    ),
    Case(
        "abstract base classes",
        "from abc import ABC, abstractmethod\nclass Repo(ABC):\n    @abstractmethod\n    def get(self, key): ...\n"
        "class Memory(Repo):\n    def __init__(self):\n        self.d = {}\n    def get(self, key):\n"
        "        return self.d.get(key)",
        (
            "try:\n    Repo()\nexcept TypeError:\n    pass\nelse:\n    raise AssertionError('abstract')",
            "assert Memory().get('x') is None and issubclass(Memory, Repo)",
            "assert Repo.__abstractmethods__ == frozenset({'get'})",
        ),
        ("class Repo:\n    def get(self, key): ...\nclass Memory:\n    def get(self, key):\n        return 0",),
    ),
    Case(
        "generic classes, and library classes that look at their subclasses",
        "from typing import Generic, TypeVar\nT = TypeVar('T')\nclass Stack(Generic[T]):\n    def __init__(self):\n"
        "        self.items: list[T] = []\n    def push(self, x: T) -> None:\n        self.items.append(x)",
        (
            "s = Stack()\ns.push(1)\nassert s.items == [1]",
            "s = Stack[int]()\ns.push(2)\nassert s.items == [2]",
            "from typing import Generic\nassert issubclass(Stack, Generic)",
            "class Loud(Stack):\n    def twice(self, x):\n        self.push(x * 2)\nl = Loud()\nl.twice(2)\nassert l.items == [4]",
        ),
        (
            "class Stack:\n    def __init__(self):\n        self.items = []\n    def push(self, x):\n        self.items = [x, x]",
        ),
    ),
    Case(
        "linked objects",
        "class Node:\n    def __init__(self, value, next=None):\n        self.value, self.next = value, next\n"
        "def build(xs):\n    head = None\n    for x in reversed(xs):\n        head = Node(x, head)\n    return head",
        (
            "n = build([1, 2, 3])\nseen = []\nwhile n is not None:\n    seen.append(n.value)\n    n = n.next\nassert seen == [1, 2, 3]",
            "assert build([]) is None",
            "a = Node(1)\nb = Node(2, a)\nassert b.next is a",
            "a = Node(1)\na.next = a\nassert a.next.next.value == 1 and a.next is a",
        ),
        (
            "class Node:\n    def __init__(self, value, next=None):\n        self.value, self.next = value, None\n"
            "def build(xs):\n    return Node(xs[-1] if xs else None)",
        ),
    ),
    Case(
        "context managers",
        "class Tracked:\n    def __init__(self):\n        self.log = []\n    def __enter__(self):\n        self.log.append('in')\n"
        "        return self\n    def __exit__(self, *a):\n        self.log.append('out')\n        return a[0] is ValueError\n"
        "from contextlib import contextmanager\n@contextmanager\ndef swapped(d, v):\n    old = d['v']\n    d['v'] = v\n"
        "    try:\n        yield d\n    finally:\n        d['v'] = old",
        (
            "with Tracked() as t:\n    pass\nassert t.log == ['in', 'out']",
            "with Tracked() as t:\n    raise ValueError\nassert t.log == ['in', 'out']",
            "try:\n    with Tracked():\n        raise KeyError\nexcept KeyError:\n    pass\nelse:\n    raise AssertionError",
            "d = {'v': 1}\nwith swapped(d, 2) as e:\n    assert e['v'] == 2 and d['v'] == 2\nassert d['v'] == 1",
        ),
        (
            "class Tracked:\n    log = ['in']\n    def __enter__(self):\n        return self\n    def __exit__(self, *a):\n"
            "        return True\ndef swapped(d, v):\n    d['v'] = v",
        ),
    ),
    # -- containers that both the test and the learner's code hold
    Case(
        "containers in objects of an instructor's class",
        "def enroll(student, course):\n    student.courses.append(course)\ndef forget(student, course):\n"
        "    del student.grades[course]\ndef add_edge(g, a, b):\n    g.adj.setdefault(a, []).append(b)\n"
        "def fill(board, i, j, v):\n    board.grid[i][j] = v\n    return board.total()\n"
        "def tidy(node):\n    node.children.sort()\n    for child in node.children:\n        tidy(child)\n"
        "def wait(line, who):\n    line.people.append(who)\n    line.seen.add(who)\n    return line.people.popleft()\n"
        "def same(student):\n    return student.courses is student.courses\ndef give(student):\n    return student.courses",
        (
            "s = Student('ann')\nenroll(s, 'maths')\nassert s.courses == ['maths']\nenroll(s, 'art')\nassert s.courses == ['maths', 'art']",
            "g = Graph()\nadd_edge(g, 1, 2)\nassert g.adj == {1: [2]}\nadd_edge(g, 1, 3)\nadd_edge(g, 2, 3)\nassert g.adj == {1: [2, 3], 2: [3]}",
            "b = Board()\nassert fill(b, 0, 1, 5) == 5 and b.grid == [[0, 5], [0, 0]]\nassert fill(b, 1, 1, 2) == 7",
            "s = Student('ann')\ns.grades['maths'] = [1]\nforget(s, 'maths')\nassert s.grades == {}",
            "root = Node(1, Node(3, Node(9), Node(4)), Node(2))\ntidy(root)\n"
            "assert [n.value for n in root.children] == [2, 3] and [n.value for n in root.children[1].children] == [4, 9]",
            "line = Line()\nassert wait(line, 'a') == 'a' and wait(line, 'b') == 'b'\nassert not line.people and line.seen == {'a', 'b'}",
            "s = Student('ann')\nassert same(s) and give(s) is s.courses\ngive(s).append(1)\nassert s.courses == [1]",
            "class Bag:\n    def __init__(self):\n        self.courses = []\n    def __getitem__(self, key):\n        return self.courses\n"
            "b = Bag()\nenroll(b, 'x')\nassert b.courses == ['x'] and b['any'] is give(b)",
            "s = Student('ann')\nfor i in range(300):\n    enroll(s, i)\nassert s.courses == list(range(300))",
        ),
        (
            "def enroll(student, course):\n    student.courses = student.courses[:] or [course]\ndef forget(student, course):\n    pass\n"
            "def add_edge(g, a, b):\n    g.adj[a] = [b]\ndef fill(board, i, j, v):\n    board.grid[i] = [v]\n    return v\n"
            "def tidy(node):\n    sorted(node.children)\ndef wait(line, who):\n    return who\ndef same(student):\n    return True\n"
            "def give(student):\n    return list(student.courses)",
        ),
        setup="import collections\nclass Student:\n    def __init__(self, name):\n        self.name, self.courses, self.grades = name, [], {}\n"
        "class Graph:\n    def __init__(self):\n        self.adj = {}\n"
        "class Board:\n    def __init__(self):\n        self.grid = [[0, 0], [0, 0]]\n    def total(self):\n        return sum(map(sum, self.grid))\n"
        "class Node:\n    def __init__(self, value, *children):\n        self.value, self.children = value, list(children)\n"
        "    def __lt__(self, other):\n        return self.value < other.value\n"
        "class Line:\n    def __init__(self):\n        self.people, self.seen = collections.deque(), set()",
    ),
    Case(
        "containers that a test passes in and the learner's code keeps",
        "class Queue:\n    def __init__(self, items):\n        self.items = items\n    def add(self, x):\n        self.items.append(x)\n"
        "class Team:\n    def __init__(self, players):\n        self.players = players\n    def count(self):\n        return sum(map(len, self.players))\n"
        "def drain(q):\n    while q:\n        yield q.pop(0)\n"
        "kept = []\ndef keep(x):\n    kept.append(x)\n    return kept\ndef total(rows, tell):\n    rows.append([1])\n    tell(rows)\n    return len(rows)\n"
        "def counter(seen):\n    def count(key):\n        seen[key] = seen.get(key, 0) + 1\n    return count",
        (
            "xs = [1]\nq = Queue(xs)\nq.add(2)\nassert xs == [1, 2]\nassert q.items is xs",
            "ps = ['a']\nt = Team(ps)\nps.append('b')\nassert t.players == ['a', 'b'] and t.count() == 2",
            "ps = [['a']]\nt = Team(ps)\nps.append(['b', 'c'])\nassert t.count() == 3\nps[1].pop()\nassert t.count() == 2\n"
            "t.players[1].clear()\nassert ps == [['a'], []]",
            "q = [1, 2]\ng = drain(q)\nassert next(g) == 1\nassert q == [2]\nq.append(3)\nassert list(g) == [2, 3] and q == []",
            "seen = {}\ncount = counter(seen)\ncount('a')\ncount('a')\nassert seen == {'a': 2}\nseen['a'] = 5\ncount('a')\nassert seen['a'] == 6",
            "x, y = [], {}\nkeep(x)\nassert keep(y)[0] is x and keep(x)[1] is y\nx.append(1)\ny['z'] = x\nassert keep(1) == [x, y, x, 1]",
            "rows, told = [], []\nassert total(rows, lambda r: (told.append(r is rows), r.append([2]))) == 2\nassert rows == [[1], [2]] and told == [True]",
            "xs = list(range(2000))\nq = Queue(xs)\nq.add('end')\nassert len(xs) == 2001 and xs[-1] == 'end'\nxs.clear()\nassert q.items == []",
            "q = Queue([1])\nq.add(2)\nxs = q.items\nq.add(3)\nxs.append(4)\nassert q.items == [1, 2, 3, 4] and xs is q.items",
        ),
        (
            "class Queue:\n    def __init__(self, items):\n        self.items = list(items)\n    def add(self, x):\n        self.items = [*self.items, x]\n"
            "class Team:\n    def __init__(self, players):\n        self.players = list(map(list, players))\n    def count(self):\n"
            "        return len(self.players)\ndef drain(q):\n    yield from list(q)\nkept = []\ndef keep(x):\n    return [x]\n"
            "def total(rows, tell):\n    tell(list(rows))\n    return 1\ndef counter(seen):\n    seen = dict(seen)\n    return lambda key: seen.update(a=2)",
        ),
    ),
    # -- functions
    Case(
        "generators and iterators",
        "def evens():\n    n = 0\n    while True:\n        yield n\n        n += 2\n"
        "class Down:\n    def __init__(self, n):\n        self.n = n\n    def __iter__(self):\n        return self\n"
        "    def __next__(self):\n        if self.n == 0:\n            raise StopIteration\n        self.n -= 1\n        return self.n",
        (
            "from itertools import islice\nassert list(islice(evens(), 3)) == [0, 2, 4]",
            "g = evens()\nassert next(g) == 0 and next(g) == 2",
            "import types\nassert isinstance(evens(), types.GeneratorType)",
            "import inspect\nassert inspect.isgeneratorfunction(evens)",
            "assert list(Down(3)) == [2, 1, 0] and [x for x in Down(1)] == [0]",
            "assert [a for a, _ in zip(evens(), range(4))] == [0, 2, 4, 6]",
            "g = evens()\nassert iter(g) is g\ng.close()\nassert next(g, 'done') == 'done'",
        ),
        (
            "def evens():\n    return [0, 2, 4]\nclass Down(list):\n    def __init__(self, n):\n        super().__init__(range(n))",
        ),
    ),
    Case(
        "send and yield from",
        "def averager():\n    total = count = 0\n    average = None\n    while True:\n        term = yield average\n"
        "        total += term\n        count += 1\n        average = total / count\n"
        "def flat(xs):\n    for x in xs:\n        if isinstance(x, list):\n            yield from flat(x)\n        else:\n            yield x",
        (
            "a = averager()\nnext(a)\nassert a.send(10) == 10 and a.send(20) == 15",
            "assert list(flat([1, [2, [3]]])) == [1, 2, 3]",
        ),
        ("def averager():\n    yield 1\ndef flat(xs):\n    yield from xs",),
    ),
    Case(
        "closures",
        "def counter():\n    n = 0\n    def step():\n        nonlocal n\n        n += 1\n        return n\n    return step\n"
        "def adder(k):\n    return lambda x: x + k",
        (
            "c = counter()\nassert (c(), c(), c()) == (1, 2, 3)",
            "a, b = counter(), counter()\na()\nassert b() == 1",
            "assert adder(3)(4) == 7 and list(map(adder(1), [1, 2])) == [2, 3]",
            "assert callable(adder(1))",
            "assert sorted(['bb', 'a'], key=lambda s: adder(len(s))(0)) == ['a', 'bb']",
        ),
        (
            "total = 0\ndef counter():\n    def step():\n        global total\n        total += 1\n        return total\n    return step\n"
            "def adder(k):\n    return k",
        ),
    ),
    Case(
        "decorators",
        "import functools\ndef twice(f):\n    @functools.wraps(f)\n    def inner(*a, **k):\n        f(*a, **k)\n"
        "        return f(*a, **k)\n    return inner\ndef memo(f):\n    cache = {}\n    def inner(n):\n"
        "        if n not in cache:\n            cache[n] = f(n)\n        return cache[n]\n    return inner",
        (
            "calls = []\n@twice\ndef note(x):\n    calls.append(x)\n    return x\nassert note(5) == 5 and calls == [5, 5]",
            "@twice\ndef named():\n    'doc'\nassert named.__name__ == 'named' and named.__doc__ == 'doc'",
            "seen = []\n@memo\ndef slow(n):\n    seen.append(n)\n    return n * n\n"
            "assert slow(3) == 9 and slow(3) == 9 and seen == [3]",
            "n = 0\n@twice\ndef bump():\n    global n\n    n += 1\nbump()\nassert n == 2",
        ),
        (
            "def twice(f):\n    return f\ndef memo(f):\n    return f",
            "def twice(f):\n    return f()\ndef memo(f):\n    return lambda n: 0",
        ),
    ),
    Case(
        "functions that take functions",
        "def apply(f, xs):\n    return [f(x) for x in xs]\ndef compose(*fs):\n    def run(x):\n        for f in fs:\n"
        "            x = f(x)\n        return x\n    return run",
        (
            "assert apply(lambda x: x + 1, [1, 2]) == [2, 3]",
            "assert apply(str, [1]) == ['1'] and apply(len, ['ab']) == [2]",
            "assert compose(abs, str)(-3) == '3'",
            "seen = []\napply(seen.append, [1, 2])\nassert seen == [1, 2]",
            "def boom(x):\n    raise KeyError('boom')\ntry:\n    apply(boom, [1])\nexcept KeyError as e:\n"
            "    assert e.args == ('boom',)\nelse:\n    raise AssertionError",
            "def use(g):\n    return g(2)\nassert use(compose(lambda x: x * 5)) == 10",
        ),
        ("def apply(f, xs):\n    return xs\ndef compose(*fs):\n    return fs[0]",),
    ),
    Case(
        "mutation of arguments",
        "def add_one(xs):\n    for i in range(len(xs)):\n        xs[i] += 1\ndef pure(d):\n    return {**d, 'k': 1}",
        (
            "xs = [1, 2]\nassert add_one(xs) is None and xs == [2, 3]",
            "d = {}\npure(d)\nassert d == {}",
            "xs = [1]\nys = xs\nadd_one(xs)\nassert ys == [2] and ys is xs",
            "d = {'a': [1]}\ne = pure(d)\nassert e['a'] is d['a'] and e is not d",
        ),
        ("def add_one(xs):\n    xs = [x + 1 for x in xs]\ndef pure(d):\n    d['k'] = 1\n    return d",),
    ),
    Case(
        "queues, default dictionaries, streams and generators changed by the learner's code",
        "def push(q, x):\n    q.append(x)\ndef group(d, k, v):\n    d[k].append(v)\ndef fill(b):\n    b.extend(b'yz')\n"
        "def say(f, text):\n    print(text, file=f)\ndef first_line(f):\n    return f.readline()\n"
        "def roll(rng):\n    return rng.random()",
        (
            "from collections import deque\nq = deque([1, 2], maxlen=2)\nassert push(q, 3) is None and q == deque([2, 3])",
            "from collections import defaultdict\nd = defaultdict(list)\ngroup(d, 1, 2)\ngroup(d, 1, 3)\n"
            "assert d == {1: [2, 3]} and d[7] == []",
            "from collections import defaultdict\nd = defaultdict(lambda: [0])\ngroup(d, 1, 2)\nassert d[1] == [0, 2]",
            "b = bytearray(b'x')\nfill(b)\nassert b == b'xyz'",
            "import io\nf = io.StringIO()\nsay(f, 'a')\nsay(f, 'b')\nassert f.getvalue() == 'a\\nb\\n'",
            "import io\nf = io.BytesIO(b'a\\nb')\nassert first_line(f) == b'a\\n' and f.read() == b'b'",
            "import random\na, b = random.Random(1), random.Random(1)\nassert [roll(a), roll(a)] == [b.random(), b.random()]",
            "import numpy as np\na, b = np.random.default_rng(1), np.random.default_rng(1)\n"
            "assert [roll(a), roll(a), a.random()] == [b.random(), b.random(), b.random()]",
            "import numpy as np\na, b = np.random.RandomState(1), np.random.RandomState(1)\n"
            "assert [roll(a), roll(a)] == [b.random_sample(), b.random_sample()]",
        ),
        (
            "def push(q, x):\n    return [*q, x]\ndef group(d, k, v):\n    d = {k: [v]}\ndef fill(b):\n    return b + b'yz'\n"
            "def say(f, text):\n    print(text)\ndef first_line(f):\n    return f.read()\ndef roll(rng):\n    return 0.5",
        ),
    ),
    Case(
        "iterators that the learner's code takes from",
        "def take(it, n):\n    return [next(it) for _ in range(n)]\ndef first(xs, wanted):\n    for x in xs:\n        if wanted(x):\n"
        "            return x",
        (
            "it = iter([1, 2, 3])\nassert take(it, 2) == [1, 2] and list(it) == [3]",
            "z = zip('ab', map(int, '12'))\nassert take(z, 1) == [('a', 1)] and list(z) == [('b', 2)]",
            "import itertools\nc = itertools.count()\nassert first(c, lambda x: x > 4) == 5 and next(c) == 6",
            "def naturals():\n    n = 0\n    while True:\n        yield n\n        n += 1\nassert first(naturals(), lambda x: x > 4) == 5",
            "class Evens:\n    def __iter__(self):\n        return iter(range(0, 10**15, 2))\n"
            "assert first(Evens(), lambda x: x > 4) == 6",
        ),
        (
            "def take(it, n):\n    return list(range(n))\ndef first(xs, wanted):\n    return 0",
            "def take(it, n):\n    return [*it, 0, 0][:n]\ndef first(xs, wanted):\n    return next(iter(xs))",
        ),
    ),
    Case(
        "the same object comes back",
        "def chain(xs):\n    xs.append(1)\n    return xs\nclass Builder:\n    def __init__(self):\n        self.parts = []\n"
        "    def add(self, p):\n        self.parts.append(p)\n        return self",
        (
            "xs = []\nassert chain(xs) is xs",
            "b = Builder()\nassert b.add(1) is b and b.add(2).parts == [1, 2]",
            "b = Builder()\nb.parts.append(5)\nassert b.parts == [5]",
            "b = Builder().add(1)\nassert Builder().parts == []",
        ),
        (
            "def chain(xs):\n    return xs + [1]\nclass Builder:\n    def __init__(self):\n        self.parts = []\n"
            "    def add(self, p):\n        b = Builder()\n        b.parts = [*self.parts, p]\n        return b",
        ),
    ),
    Case(
        "keyword arguments, defaults, varargs",
        "def greet(name, *rest, greeting='Hello', **more):\n    return f\"{greeting}, {name}{''.join(rest)}{sorted(more)}\"",
        (
            "assert greet('Ada') == 'Hello, Ada[]'",
            "assert greet('Ada', '!', greeting='Hi', a=1) == \"Hi, Ada!['a']\"",
            "try:\n    greet()\nexcept TypeError:\n    pass\nelse:\n    raise AssertionError",
            "assert greet(**{'name': 'B'}) == 'Hello, B[]'",
        ),
        ("def greet(name='', *rest, greeting='Hi', **more):\n    return greeting + name",),
    ),
    Case(
        "inspect.signature, annotations, docstrings, defaults",
        'def area(width: float, height: float = 1.0) -> float:\n    """Area of a rectangle."""\n    return width * height',
        (
            "import inspect\nassert list(inspect.signature(area).parameters) == ['width', 'height']",
            "import inspect\nassert inspect.signature(area).parameters['height'].default == 1.0",
            "assert area.__doc__ and 'Area' in area.__doc__",
            "assert area.__annotations__['return'] is float",
            "assert area.__name__ == 'area' and area.__defaults__ == (1.0,)",
            "import typing\nassert typing.get_type_hints(area)['width'] is float",
            "assert area.__code__.co_argcount == 2 and area.__code__.co_varnames[:1] == ('width',)",
            "import types\nassert isinstance(area, types.FunctionType)",
            "import inspect\nassert inspect.isfunction(area) and not inspect.isclass(area)",
        ),
        ("def area(w, h):\n    return w * h",),
    ),
    Case(
        "inspect.getsource of a learner's function",
        "def total(xs):\n    result = 0\n    for x in xs:\n        result += x\n    return result",
        (
            "import inspect\nassert 'for' in inspect.getsource(total)",
            "import inspect\nassert 'sum(' not in inspect.getsource(total)",
            "import ast, inspect\ntree = ast.parse(inspect.getsource(total))\n"
            "assert any(isinstance(n, ast.For) for n in ast.walk(tree))",
        ),
        ("def total(xs):\n    return sum(xs)",),
    ),
    Case(
        "recursion, and its limit",
        "def depth(n):\n    return 0 if n == 0 else 1 + depth(n - 1)",
        (
            "assert depth(50) == 50",
            "try:\n    depth(-1)\nexcept RecursionError:\n    pass\nelse:\n    raise AssertionError",
        ),
        ("def depth(n):\n    return n",),
    ),
    Case(
        "nested functions and lambdas in containers",
        "ops = {'+': lambda a, b: a + b, '*': lambda a, b: a * b}\ndef outer(x):\n    def inner(y):\n        return x + y\n"
        "    return [inner, inner]",
        (
            "assert ops['+'](2, 3) == 5 and ops['*'](2, 3) == 6",
            "assert set(ops) == {'+', '*'}",
            "f, g = outer(1)\nassert f(1) == 2 and f is g",
            "assert [f(2) for f in outer(3)] == [5, 5]",
        ),
        ("ops = {'+': lambda a, b: a - b}\ndef outer(x):\n    return [lambda y: y, lambda y: y]",),
    ),
    # -- exceptions
    Case(
        "exceptions, by try and by pytest.raises",
        "def root(x):\n    if not isinstance(x, (int, float)):\n        raise TypeError('a number, please')\n"
        "    if x < 0:\n        raise ValueError(f'negative: {x}')\n    return x ** 0.5",
        (
            "import pytest\nwith pytest.raises(ValueError):\n    root(-1)",
            "import pytest\nwith pytest.raises(ValueError, match='negative: -4'):\n    root(-4)",
            "import pytest\nwith pytest.raises(TypeError) as info:\n    root('x')\nassert 'number' in str(info.value)",
            "try:\n    root(-1)\nexcept (ValueError, KeyError) as e:\n    assert type(e) is ValueError and e.args[0].startswith('neg')\n"
            "else:\n    raise AssertionError('no error')",
            "error = None\ntry:\n    root(-1)\nexcept Exception as e:\n    error = e\nassert isinstance(error, ValueError)",
            "import pytest\npytest.raises(TypeError, root, None)",
            "raised = False\ntry:\n    root(-1)\nexcept:\n    raised = True\nassert raised",
        ),
        ("def root(x):\n    return abs(x) ** 0.5", "def root(x):\n    raise Exception('negative: number')"),
    ),
    Case(
        "exception classes of the learner's own",
        "class BankError(Exception):\n    pass\nclass Insufficient(BankError):\n    def __init__(self, missing):\n"
        "        super().__init__(f'{missing} missing')\n        self.missing = missing\n"
        "def pay(balance, amount):\n    if amount > balance:\n        raise Insufficient(amount - balance)\n"
        "    return balance - amount",
        (
            "try:\n    pay(1, 3)\nexcept Insufficient as e:\n    assert e.missing == 2\nelse:\n    raise AssertionError",
            "try:\n    pay(1, 3)\nexcept BankError:\n    pass\nelse:\n    raise AssertionError",
            "import pytest\nwith pytest.raises(Insufficient, match='2 missing'):\n    pay(1, 3)",
            "assert issubclass(Insufficient, BankError) and issubclass(BankError, Exception)",
            "assert str(Insufficient(5)) == '5 missing'",
            "try:\n    raise Insufficient(1)\nexcept BankError as e:\n    assert e.missing == 1",
            "assert pay(3, 1) == 2",
        ),
        (
            "class BankError(Exception):\n    pass\nclass Insufficient(Exception):\n    pass\n"
            "def pay(balance, amount):\n    if amount > balance:\n        raise BankError('2 missing')\n    return balance - amount",
        ),
    ),
    Case(
        "chained exceptions and notes",
        "def load(text):\n    try:\n        return int(text)\n    except ValueError as e:\n        raise RuntimeError('bad') from e",
        (
            "try:\n    load('x')\nexcept RuntimeError as e:\n    assert isinstance(e.__cause__, ValueError)\nelse:\n    raise AssertionError",
            "assert load('3') == 3",
        ),
        ("def load(text):\n    return int(text)", "def load(text):\n    raise RuntimeError('bad')"),
    ),
    Case(
        "warnings",
        "import warnings\ndef old():\n    warnings.warn('use new', DeprecationWarning)\n    return 1",
        (
            "import warnings\nwith warnings.catch_warnings(record=True) as w:\n    warnings.simplefilter('always')\n    old()\n"
            "assert len(w) == 1 and issubclass(w[0].category, DeprecationWarning) and 'new' in str(w[0].message)",
            "import pytest\nwith pytest.warns(DeprecationWarning):\n    old()",
        ),
        ("def old():\n    return 1",),
    ),
    # -- input and output
    Case(
        "input() replaced",
        "def ask():\n    name = input('Name? ')\n    return f'Hello {name}'",
        (
            "from unittest.mock import patch\nwith patch('builtins.input', return_value='Ada'):\n    assert ask() == 'Hello Ada'",
            "import builtins\nold = builtins.input\nbuiltins.input = lambda prompt='': 'Bob'\ntry:\n"
            "    assert ask() == 'Hello Bob'\nfinally:\n    builtins.input = old",
            "input = lambda prompt='': 'Cy'\nassert ask() == 'Hello Cy'\ndel input",
            "from unittest import mock\nanswers = iter(['x', 'y'])\nwith mock.patch('builtins.input', lambda *_: next(answers)):\n"
            "    assert [ask(), ask()] == ['Hello x', 'Hello y']",
            "from unittest.mock import patch\nwith patch('builtins.input', side_effect=['1']) as m:\n    ask()\n"
            "m.assert_called_once_with('Name? ')",
        ),
        ("def ask():\n    return 'Hello Ada'", "def ask():\n    return f\"Hi {input('?')}\""),
    ),
    Case(
        "sys.stdin replaced",
        "import sys\ndef total():\n    return sum(int(line) for line in sys.stdin)",
        (
            "import io, sys\nold = sys.stdin\nsys.stdin = io.StringIO('1\\n2\\n')\ntry:\n    assert total() == 3\nfinally:\n    sys.stdin = old",
        ),
        ("def total():\n    return 4",),
    ),
    Case(
        "printing, caught by redirect_stdout",
        "def show(n):\n    for i in range(n):\n        print(i, end=' ')\n    print('done')",
        (
            "import io\nfrom contextlib import redirect_stdout\nout = io.StringIO()\nwith redirect_stdout(out):\n    show(3)\n"
            "assert out.getvalue() == '0 1 2 done\\n'",
            "import io, sys\nold, sys.stdout = sys.stdout, io.StringIO()\ntry:\n    show(1)\n    text = sys.stdout.getvalue()\n"
            "finally:\n    sys.stdout = old\nassert text.strip().endswith('done')",
            "from IPython.utils.capture import capture_output\nwith capture_output() as got:\n    show(2)\n"
            "assert got.stdout.splitlines() == ['0 1 done']",
            "from unittest.mock import patch\nwith patch('builtins.print') as p:\n    show(0)\np.assert_called_once_with('done')",
            "assert show(0) is None",
        ),
        ("def show(n):\n    print(n)", "def show(n):\n    return 'done'"),
    ),
    Case(
        "a %%capture magic",
        "def hello():\n    print('Hello')",
        ("%%capture got\nhello()", "assert got.stdout == 'Hello\\n'"),
        ("def hello():\n    return 'Hello'",),
    ),
    Case(
        "line magics and shell escapes in tests",
        "def word():\n    return 'yes'",
        (
            "%precision 3\nassert word() == 'yes'",
            "lines = !echo one two\nassert lines == ['one two'] and word() == 'yes'",
            "%time assert word() == 'yes'",
            "said = word()\nback = !echo {said}\nassert back == ['yes']",
            "t = %timeit -o -q -n1 -r1 word()\nassert t.best < 10 and word() == 'yes'",
        ),
        ("def word():\n    return 'no'",),
    ),
    Case(
        "magics in the learner's cell",
        "%precision 4\nimport os\nfolder = %pwd\nlisted = !echo hi\ndef f():\n    return 1",
        ("assert f() == 1", "assert listed[0] == 'hi'", "assert isinstance(folder, str)"),
        ("%precision 4\nf = lambda: 2\nlisted = ['ho']\nfolder = 1",),
    ),
    Case(
        "files written and read",
        "def save(path, text):\n    with open(path, 'w') as f:\n        f.write(text)\ndef load(path):\n    with open(path) as f:\n"
        "        return f.read()",
        (
            "save('made.txt', 'hello')\nassert load('made.txt') == 'hello'",
            "save('made.txt', 'hello')\nimport os\nassert os.path.exists('made.txt')",
            "with open('given.txt', 'w') as f:\n    f.write('given')\nassert load('given.txt') == 'given'",
            "save('made.txt', 'again')\nassert open('made.txt').read() == 'again'",
        ),
        ("def save(path, text):\n    pass\ndef load(path):\n    return ''",),
    ),
    # -- state
    Case(
        "names a test deletes",
        "def squares(n):\n    return [i * i for i in range(1, n + 1)]\ndef total(n):\n    return sum(squares(n))",
        (
            "tmp = squares\ndel squares\ntry:\n    total(1)\nexcept NameError:\n    pass\nelse:\n"
            "    raise AssertionError('squares is not used')\nfinally:\n    squares = tmp",
            "assert total(3) == 14",
            "old = squares\nsquares = lambda n: [100]\ntry:\n    assert total(5) == 100\nfinally:\n    squares = old",
            "assert total(2) == 5",
        ),
        (
            "def squares(n):\n    return [i * i for i in range(1, n + 1)]\ndef total(n):\n    return n * (n + 1) * (2 * n + 1) // 6",
        ),
    ),
    Case(
        "state shared between cells",
        "log = []\ndef record(x):\n    log.append(x)\n    return len(log)",
        (
            "assert record('a') == 1",
            "assert log == ['a']",
            "log.clear()\nassert record('b') == 1 and log == ['b']",
            "log = ['x', 'y']\nassert record('z') == 3",
            "assert log[-1] == 'z'",
        ),
        ("log = []\ndef record(x):\n    return 1",),
    ),
    Case(
        "global counters that the learner's functions change",
        "counter = 0\ndef bump():\n    global counter\n    counter += 1",
        (
            "bump()\nassert counter == 1",
            "bump()\nbump()\nassert counter == 3",
            "counter = 10\nbump()\nassert counter == 11",
            "counter += 5\nbump()\nassert counter == 17",
        ),
        ("counter = 0\ndef bump():\n    counter = 1",),
    ),
    Case(
        "helpers defined by one test and used by later ones",
        "def f(x):\n    return x + 1",
        (
            "def check(g, pairs):\n    for a, b in pairs:\n        assert g(a) == b, (a, b)\ncheck(f, [(1, 2)])",
            "check(f, [(2, 3), (-1, 0)])",
            "class Probe:\n    calls = 0\n    def __add__(self, other):\n        Probe.calls += 1\n        return other\n"
            "assert f(Probe()) == 1 and Probe.calls == 1",
            "CASES = {1: 2}\nassert all(f(k) == v for k, v in CASES.items())",
        ),
        ("def f(x):\n    return x * 2",),
    ),
    Case(
        "instructor's helpers in the setup, used by the learner's code",
        "def solve(x):\n    return helper(x) * SCALE",
        (
            "assert solve(2) == 30",
            "SCALE = 1\nassert solve(2) == 3",
            "def helper(x):\n    return 7\nassert solve(0) == 7",
            "import collections\nassert solve(1) == 7 * SCALE",
        ),
        ("def solve(x):\n    return (x + 1) * 10", "def solve(x):\n    return None"),
        setup="SCALE = 10\ndef helper(x):\n    return x + 1",
    ),
    Case(
        "modules and builtins patched",
        "import random, time, math\ndef roll():\n    return random.randint(1, 6)\ndef nap():\n    time.sleep(60)\n    return 'awake'\n"
        "def biggest(xs):\n    best = xs[0]\n    for x in xs:\n        best = x if x > best else best\n    return best",
        (
            "from unittest.mock import patch\nwith patch('random.randint', return_value=4):\n    assert roll() == 4",
            "import random\nold = random.randint\nrandom.randint = lambda a, b: b\ntry:\n    assert roll() == 6\nfinally:\n    random.randint = old",
            "from unittest.mock import patch\nwith patch('time.sleep') as sleep:\n    assert nap() == 'awake'\nsleep.assert_called_once_with(60)",
            "import builtins\nold = builtins.max\ndef forbidden(*a, **k):\n    raise AssertionError('max is not allowed')\n"
            "builtins.max = forbidden\ntry:\n    assert biggest([1, 3, 2]) == 3\nfinally:\n    builtins.max = old",
            "import random\nrandom.seed(5)\na = roll()\nrandom.seed(5)\nassert roll() == a and 1 <= a <= 6",
            "import random\nrandom.seed(1)\nexpected = random.randint(1, 6)\nrandom.seed(1)\nassert roll() == expected",
        ),
        ("def roll():\n    return 7\ndef nap():\n    return 'asleep'\ndef biggest(xs):\n    return max(xs)",),
    ),
    Case(
        "learner's own functions and methods patched",
        "def roll():\n    return 7\ndef play():\n    return roll() + 1\nclass Api:\n    def get(self, url):\n"
        "        raise OSError('no network')\n    def title(self, url):\n        return self.get(url)['title'].upper()",
        (
            "from unittest.mock import patch\nwith patch('__main__.roll', return_value=2) as r:\n    assert play() == 3\n"
            "r.assert_called_once_with()",
            "from unittest.mock import patch\nwith patch.object(Api, 'get', return_value={'title': 'x'}) as get:\n"
            "    assert Api().title('u') == 'X'\nget.assert_called_once_with('u')",
            "import inspect\nassert not inspect.isawaitable(play) and play() == 8",
        ),
        (
            "def roll():\n    return 7\ndef play():\n    return 3\nclass Api:\n    def title(self, url):\n        return url",
        ),
    ),
    Case(
        "a test's function whose result cannot leave the test",
        "import asyncio\nasync def call(f):\n    return f() is not None\nasync def double(x):\n    return 2 * x",
        (
            "async def nothing():\n    pass\ntry:\n    await call(nothing)\nexcept TypeError:\n    pass",
            "assert await double(2) == 4",
            "assert await call(lambda: 1) and not await call(lambda: None)",
        ),
        ("def call(f):\n    return False\nasync def double(x):\n    return x",),
    ),
    Case(
        "annotations of classes, and the class of None",
        "class Point:\n    x: int\n    y: float = 0.0\nkinds = (int, type(None))",
        (
            "assert Point.__annotations__ == {'x': int, 'y': float}",
            "assert kinds == (int, type(None))",
        ),
        ("class Point:\n    x = 1\nkinds = (int, None)",),
    ),
    Case(
        "mocks handed to the learner's code",
        "def notify(mailer, users):\n    for u in users:\n        mailer.send(u, subject='Hi')\n    return mailer.count",
        (
            "from unittest.mock import Mock\nm = Mock(count=2)\nassert notify(m, ['a', 'b']) == 2\nassert m.send.call_count == 2",
            "from unittest.mock import Mock, call\nm = Mock()\nnotify(m, ['a'])\nm.send.assert_called_once_with('a', subject='Hi')",
            "from unittest.mock import MagicMock, call\nm = MagicMock()\nnotify(m, ['a', 'b'])\n"
            "assert m.send.call_args_list == [call('a', subject='Hi'), call('b', subject='Hi')]",
            "class Mailer:\n    def __init__(self):\n        self.sent, self.count = [], 0\n    def send(self, to, subject):\n"
            "        self.sent.append(to)\n        self.count += 1\nm = Mailer()\nassert notify(m, 'xy') == 2 and m.sent == ['x', 'y']",
        ),
        ("def notify(mailer, users):\n    return 0",),
    ),
    Case(
        "texts that the learner's code gives, which tests run",
        "def expr(): return 'x ** 2 + 1'\n"
        "def prog(): return 'def a(n):\\n    return n + 1\\ndef b(n):\\n    return a(n) * 2\\ny = b(x)'\n"
        "def scaled(): return 'lambda n: n * k'\ndef bad(): return '1 +'\nPROGRAM = 'z = 5'",
        (
            "x = 3\nassert eval(expr()) == 10 and eval(expr(), {'x': 4}) == 17",
            "def check(x):\n    return eval(expr())\nassert check(5) == 26 and [eval(expr()) for x in (1, 2)] == [2, 5]",
            "ns = {'x': 2}\nexec(prog(), ns)\nassert ns['y'] == 6 and ns['b'](1) == 4",
            "x = 10\nexec(prog())\nassert y == 22 and b(0) == 2",
            "k = 3\nf = eval(scaled())\nassert f(4) == 12",
            "try:\n    compile(bad(), 'x', 'exec')\nexcept SyntaxError:\n    pass\nelse:\n    raise AssertionError",
            "exec(compile(PROGRAM, 'x', 'exec'))\nassert z == 5",
            "import ast\nassert isinstance(ast.parse(prog()).body[0], ast.FunctionDef)",
            "try:\n    eval(bad())\nexcept SyntaxError:\n    pass\nelse:\n    raise AssertionError",
            "ns, local = {}, {}\nexec(PROGRAM, ns, local)\nassert local == {'z': 5} and 'z' not in ns",
            "assert eval(compile(expr(), 'x', 'eval'), {'x': 1}) == 2 and eval('x ** 2 + 1') == 101",
            "class K:\n    v = eval(expr(), {'x': 5})\nx = 2\nassert K.v == 26 and list(map(eval, [expr(), ' x + 1'])) == [5, 3]",
        ),
        (
            "def expr(): return 'x'\ndef prog(): return 'y = x'\ndef scaled(): return 'abs'\ndef bad(): return '1'\n"
            "PROGRAM = ''",
        ),
    ),
    Case(
        "examples in docstrings, and objects that are there or not",
        "def double(x):\n    '''\n    >>> double(2)\n    4\n    '''\n    return 2 * x\n"
        "class Node:\n    def __init__(self, value, next=None): self.value, self.next = value, next\n"
        "def chain(*values):\n    node = None\n    for value in reversed(values): node = Node(value, node)\n"
        "    return node",
        (
            "import doctest\nassert doctest.testmod() == (0, 1)",
            "node, found = chain(1, 2, 3), []\nwhile node:\n    found.append(node.value)\n    node = node.next\n"
            "assert found == [1, 2, 3]",
            "assert chain(1), 'give the first node'\nassert not chain()",
            "assert (chain(1) and chain(1).value) == 1 and any([None, chain(2)]) and not all([chain(2), chain()])",
        ),
        ("def double(x): return x\ndef chain(*values): return None",),
    ),
    Case(
        "attributes that begin with a line",
        "class Stack:\n    def __init__(self): self._items, self._kind, self._number, self._client = [], 'k', 3, 'c'\n"
        "    def push(self, x): self._items.append(x)\n"
        "def withdraw(account, n):\n    if n > account._balance: raise ValueError\n    account._balance -= n\n"
        "    return account._number",
        (
            "s = Stack()\ns.push(1)\nassert s._items == [1] and s._kind == 'k' and s._number == 3 and s._client == 'c'",
            "s = Stack()\ns._items = [2]\ns.push(1)\nassert s._items == [2, 1]",
            "a = Account(5)\nassert withdraw(a, 2) == 7 and a._balance == 3",
        ),
        ("class Stack:\n    def push(self, x): pass\ndef withdraw(account, n): return 7",),
        setup="class Account:\n    def __init__(self, balance): self._balance, self._number = balance, 7",
    ),
    Case(
        "objects of the learner's that a test pickles",
        "class Point:\n    def __init__(self, x): self.x = x\ndef make(): return [Point(1), Point(2)]",
        (
            "import pickle\nassert pickle.loads(pickle.dumps(Point(3))).x == 3",
            "import pickle\np = Point(4)\nsaved = pickle.dumps(p)\np.x = 5\nassert pickle.loads(saved).x == 4 and p.x == 5",
            "import pickle\nwith open('p.pkl', 'wb') as file:\n    pickle.dump(make(), file)\n"
            "with open('p.pkl', 'rb') as file:\n    assert [p.x for p in pickle.load(file)] == [1, 2]",
        ),
        ("class Point:\n    def __init__(self, x): self.x = 0\ndef make(): return [Point(1)]",),
    ),
    Case(
        "an instructor's enumeration",
        "def after(color): return C((color.value + 1) % 3)\ndef same(color): return color\n"
        "def names(colors): return {color: color.name for color in colors}\ndef is_red(color): return color is C.RED",
        (
            "assert after(C.RED) == C.GREEN and after(C.BLUE) is C.RED",
            "assert same(C.BLUE) is C.BLUE and after(C.RED).name == 'GREEN' and isinstance(same(C.RED), C)",
            "assert names([C.RED, C.BLUE]) == {C.RED: 'RED', C.BLUE: 'BLUE'} and after(C.RED) in {C.GREEN}",
            "assert is_red(C.RED) and not is_red(C.BLUE)",
        ),
        (
            "def after(color): return color\ndef same(color): return C.RED\ndef names(colors): return {}\ndef is_red(c): pass",
        ),
        setup="from enum import Enum\nclass C(Enum):\n    RED = 0\n    GREEN = 1\n    BLUE = 2",
    ),
    Case(
        "what an instructor's cell makes, and the learner's fills",
        "df['b'] = df['a'] * 2\ndef buy(item): cart.append(item)\ndef take(): return stock.pop()\n"
        "def total(item): return PRICES[item]\nA[0, :] = 5\ndef name(key, value): shop[key] = value\n"
        "class Line: pass\nline.end = 3",
        (
            "assert df['b'].tolist() == [2, 4] and list(df.columns) == ['a', 'b']",
            "buy('pear')\nassert cart == ['pear']\ncart.append('fig')\nbuy('plum')\nassert cart == ['pear', 'fig', 'plum']",
            "assert take() == 2 and stock == [1]",
            "PRICES['apple'] = 5.0\nassert total('apple') == 5.0",
            "assert total('pear') == 2.0\nPRICES.update(pear=3.0)\nassert total('pear') == 3.0\ndel PRICES['pear']\n"
            "try:\n    total('pear')\nexcept KeyError:\n    pass\nelse:\n    raise AssertionError",
            "assert A.tolist() == [[5, 5], [0, 0]]",
            "name('x', 1)\nassert shop == {'x': 1}",
            "assert line.end == 3",
        ),
        ("def buy(item): pass\ndef take(): return 0\ndef total(item): return 1.0\ndef name(key, value): pass",),
        setup="import numpy as np\nimport pandas as pd\nfrom types import SimpleNamespace\n"
        "df = pd.DataFrame({'a': [1, 2]})\ncart, stock, shop = [], [1, 2], {}\nA = np.zeros((2, 2))\n"
        "PRICES = {'apple': 1.0, 'pear': 2.0}\nline = SimpleNamespace(end=0)",
    ),
    Case(
        "programs that end themselves",
        "import sys, argparse\ndef main(args):\n    if not args: sys.exit(2)\n    return args[0]\n"
        "def parse(args):\n    parser = argparse.ArgumentParser()\n    parser.add_argument('n', type=int)\n"
        "    return parser.parse_args(args).n",
        (
            "try:\n    main([])\nexcept SystemExit as error:\n    assert error.code == 2\nelse:\n    assert False",
            "import pytest\nwith pytest.raises(SystemExit):\n    main([])\nassert main([3]) == 3",
            "import pytest\nwith pytest.raises(SystemExit) as caught:\n    parse(['x'])\nassert caught.value.code == 2",
        ),
        (
            "def main(args): pass\ndef parse(args): return 0",
            "def main(args): raise ValueError\ndef parse(args): return 0",
        ),
    ),
    Case(
        "lines for a shell, and files that cells write",
        "!echo hello\nwith open('out.txt', 'w') as file: file.write('hello')\n"
        "import pandas as pd\npd.DataFrame({'a': [1, 2]}).to_csv('new.csv', index=False)\ndef double(x): return 2 * x",
        (
            "assert double(2) == 4",
            "with open('out.txt') as file:\n    assert file.read() == 'hello'",
            "import pandas as pd\nassert pd.read_csv('new.csv').a.sum() == 3",
            "import os\nassert os.path.exists('out.txt') and not os.path.exists('other.txt')",
        ),
        ("def double(x): return x",),
    ),
    Case(
        "errors of an instructor's class",
        "def pay(amount):\n    if amount < 0: raise Refused('no', 7)\n    return amount",
        (
            "try:\n    pay(-1)\nexcept Refused as error:\n    assert error.code == 7 and error.args == ('no',)\n"
            "else:\n    assert False",
            "assert pay(2) == 2",
        ),
        ("def pay(amount): raise Refused('no', 0)",),
        setup="class Refused(Exception):\n    def __init__(self, text, code):\n        super().__init__(text)\n"
        "        self.code = code",
    ),
    Case(
        "globals(), locals() and names by string",
        "def made():\n    return 1\nvalue = 5",
        (
            "assert 'made' in globals() and callable(globals()['made'])",
            "assert eval('made()') == 1",
            "assert 'value' in dir() and globals().get('value') == 5",
            "exec('result = made() + value')\nassert result == 6",
            "try:\n    made\nexcept NameError:\n    raise AssertionError('define made')\nassert made() == 1",
            "from IPython import get_ipython\nassert get_ipython().user_ns['value'] == 5",
        ),
        ("def made():\n    return 2", ""),
    ),
    Case(
        "In, Out and the last value",
        "x = 3",
        ("x * 1.0 / 3", "x == 3", "1.0 if x == 3 else 0.5", "print(x)\nassert x == 3"),
        ("x = 0", "x = 1.5"),
    ),
    # -- async, threads, time
    Case(
        "async functions",
        "import asyncio\nasync def double(x):\n    await asyncio.sleep(0)\n    return 2 * x\n"
        "async def ticks(n):\n    for i in range(n):\n        yield i",
        (
            "assert await double(2) == 4",
            "import asyncio, inspect\nassert inspect.iscoroutinefunction(double)",
            "import asyncio\nassert await asyncio.gather(double(1), double(2)) == [2, 4]",
            "assert [i async for i in ticks(3)] == [0, 1, 2]",
            "import asyncio\nloop = asyncio.new_event_loop()\nimport threading\ngot = []\n"
            "t = threading.Thread(target=lambda: got.append(loop.run_until_complete(double(5))))\nt.start()\nt.join()\nassert got == [10]",
        ),
        (
            "def double(x):\n    return 2 * x\ndef ticks(n):\n    return range(n)",
            "async def double(x):\n    return x\nasync def ticks(n):\n    yield n",
        ),
    ),
    Case(
        "threads started by a test",
        "def work(out, x):\n    out.append(x * 2)",
        (
            "import threading\nout = []\nts = [threading.Thread(target=work, args=(out, i)) for i in range(3)]\n"
            "[t.start() for t in ts]\n[t.join() for t in ts]\nassert sorted(out) == [0, 2, 4]",
            "from concurrent.futures import ThreadPoolExecutor\nout = []\nwith ThreadPoolExecutor(2) as pool:\n"
            "    list(pool.map(lambda i: work(out, i), range(3)))\nassert sorted(out) == [0, 2, 4]",
        ),
        ("def work(out, x):\n    out.append(x)",),
    ),
    Case(
        "time taken",
        "import functools\n@functools.lru_cache(None)\ndef fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)",
        (
            "import time\nstart = time.perf_counter()\nassert fib(60) == 1548008755920\nassert time.perf_counter() - start < 2",
            "assert fib.cache_info().hits > 0",
            "fib.cache_clear()\nassert fib(5) == 5 and fib.cache_info().misses == 6",
            "assert fib.__wrapped__ is not None",
        ),
        ("def fib(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + a\n    return a",),
    ),
    # -- numpy
    Case(
        "arrays with numpy.testing",
        "import numpy as np\ndef scale(a):\n    return (a - a.mean(0)) / a.std(0)\ndef grid(n):\n    return np.eye(n, dtype=int)\n"
        "def inplace(a):\n    a += 1",
        (
            "np.testing.assert_allclose(scale(np.array([[1.0, 2], [3, 6]])), [[-1, -1], [1, 1]])",
            "np.testing.assert_array_equal(grid(2), np.array([[1, 0], [0, 1]]))",
            "assert grid(3).shape == (3, 3) and grid(3).dtype == int and isinstance(grid(3), np.ndarray)",
            "a = np.zeros(3)\ninplace(a)\nassert (a == 1).all()",
            "a = np.zeros((2, 2))\ninplace(a[0])\nassert a.tolist() == [[1, 1], [0, 0]]",
            "assert np.allclose(grid(2) @ np.array([1, 2]), [1, 2])",
            "assert np.array_equal(grid(2).T, grid(2)) and grid(2).sum() == 2 and grid(2)[0, 0] == 1",
            "import numpy.testing as npt\nnpt.assert_almost_equal(scale(np.array([[0.0], [2.0]]))[1, 0], 1)",
            "assert isinstance(grid(2)[0, 0], np.integer)",
        ),
        (
            "import numpy as np\ndef scale(a):\n    return a - a.mean()\ndef grid(n):\n    return [[1, 0], [0, 1]]\ndef inplace(a):\n    a = a + 1",
            "def scale(a):\n    return None\ndef grid(n):\n    return np.zeros((n, n))\ndef inplace(a):\n    return a",
        ),
        setup="import numpy as np",
        needs="numpy",
    ),
    Case(
        "structured, masked, object and random arrays",
        "rng = np.random.default_rng(0)\ndef sample(n):\n    return np.random.default_rng(0).normal(size=n)\n"
        "def table():\n    return np.array([(1, 'a')], dtype=[('n', int), ('s', 'U1')])\n"
        "def masked(a):\n    return np.ma.masked_less(a, 0)\ndef words():\n    return np.array(['a', 'bb'])",
        (
            "np.testing.assert_array_equal(sample(3), np.random.default_rng(0).normal(size=3))",
            "assert table()['n'][0] == 1 and table().dtype.names == ('n', 's')",
            "assert masked(np.array([-1, 2])).sum() == 2",
            "assert words().tolist() == ['a', 'bb'] and words().dtype.kind == 'U'",
            "assert isinstance(rng, np.random.Generator)",
        ),
        (
            "rng = 0\ndef sample(n):\n    return np.zeros(n)\ndef table():\n    return np.array([(1, 'a')])\n"
            "def masked(a):\n    return a\ndef words():\n    return ['a']",
        ),
        setup="import numpy as np",
        needs="numpy",
    ),
    Case(
        "dtypes and addresses",
        "import ipaddress\ndef kind(a):\n    return a.dtype\ndef first(net):\n    return next(ipaddress.ip_network(net).hosts())",
        (
            "assert kind(np.zeros(2)) == np.float64 and kind(np.arange(2)) == 'int64'",
            "assert np.zeros(3, dtype=kind(np.array([True]))).dtype == bool",
            "import ipaddress\nassert first('10.0.0.0/8') == ipaddress.ip_address('10.0.0.1') and first('10.0.0.0/8').is_private",
        ),
        ("def kind(a):\n    return np.dtype('int32')\ndef first(net):\n    return net",),
        setup="import numpy as np",
        needs="numpy",
    ),
    # -- pandas
    Case(
        "data frames",
        "import pandas as pd\ndef load():\n    return pd.DataFrame({'city': ['A', 'B', 'A'], 'n': [1, 2, 3]})\n"
        "def totals(df):\n    return df.groupby('city')['n'].sum()\ndef add(df):\n    df['m'] = df['n'] * 2\n    return df\n"
        "frame = load()",
        (
            "assert load().shape == (3, 2) and list(load().columns) == ['city', 'n']",
            "import pandas as pd\npd.testing.assert_frame_equal(load(), pd.DataFrame({'city': ['A', 'B', 'A'], 'n': [1, 2, 3]}))",
            "assert totals(load()).to_dict() == {'A': 4, 'B': 2}",
            "assert totals(load())['A'] == 4 and totals(load()).loc['B'] == 2",
            "import pandas as pd\nassert isinstance(load(), pd.DataFrame) and isinstance(totals(load()), pd.Series)",
            "import pandas as pd\ndf = pd.DataFrame({'city': ['Z'], 'n': [5]})\nadd(df)\nassert df['m'].tolist() == [10]",
            "import pandas as pd\npd.testing.assert_series_equal(totals(load()), pd.Series([4, 2], "
            "index=pd.Index(['A', 'B'], name='city'), name='n'))",
            "assert frame['n'].mean() == 2 and len(frame) == 3 and frame.iloc[0]['city'] == 'A'",
            "assert frame[frame.n > 1].city.tolist() == ['B', 'A'] and 'n' in frame",
            "assert frame.n.dtype == 'int64' and frame.equals(load())",
        ),
        (
            "import pandas as pd\ndef load():\n    return pd.DataFrame({'city': ['A'], 'n': ['1']})\n"
            "def totals(df):\n    return df['n'].sum()\ndef add(df):\n    return df.assign(m=0)\nframe = None",
        ),
        needs="pandas",
    ),
    Case(
        "frames with indexes, dates, categories and missing values",
        "import pandas as pd\nts = pd.Series([1.0, None, 3.0], index=pd.date_range('2024-01-01', periods=3))\n"
        "cat = pd.Categorical(['a', 'b', 'a'])\nmulti = pd.DataFrame({'a': [1, 1], 'b': [2, 3], 'v': [4, 5]}).set_index(['a', 'b'])\n"
        "month = pd.Timestamp('2024-02-29').to_period('M')\nbins = list(pd.interval_range(0, 2))",
        (
            "assert ts.isna().sum() == 1 and ts.sum() == 4",
            "import pandas as pd\nassert ts.index[0] == pd.Timestamp('2024-01-01')",
            "assert ts.index.freqstr == 'D'",
            "assert list(cat.categories) == ['a', 'b']",
            "assert multi.loc[(1, 3), 'v'] == 5 and multi.index.names == ['a', 'b']",
            "import pandas as pd\nassert month == pd.Period('2024-02') and month.days_in_month == 29",
            "import pandas as pd\nassert bins[0] == pd.Interval(0, 1) and 0.5 in bins[0]",
        ),
        (
            "import pandas as pd\nmonth, bins = pd.Period('2024', 'Y'), [pd.Interval(1, 2)]\nts = pd.Series([1.0, 2.0])\ncat = ['a']\nmulti = pd.DataFrame({'v': [4, 5]})",
        ),
        needs="pandas",
    ),
    # -- sympy
    Case(
        "expressions of sympy",
        "def derivative(e):\n    return sp.diff(e, x)\ndef f(t):\n    return t**2\ndef half():\n    return sp.Rational(1, 2)\n"
        "answer = sp.expand(x * (x + 1)) - x\nroots = sp.solve(x**2 - 4, x)\ndef solve_it():\n    return sp.solve(2 * x - 1, x)\n"
        "def grow():\n    return sp.sqrt(p**2) + p",
        (
            "assert derivative(x**3) == 3*x**2",
            "assert sp.simplify(answer - x**2) == 0",
            "assert set(roots) == {-2, 2} and sorted(roots) == [-2, 2]",
            "assert solve_it() == [sp.Rational(1, 2)]",
            "assert float(half()) == 0.5 and half() == sp.S.Half",
            "assert f(x).subs(x, 2) == 4 and f(x + y).free_symbols == {x, y}",
            "assert sp.lambdify(x, f(x) + sp.sin(0))(3) == 9",
            "assert isinstance(derivative(x * y), sp.Expr) and isinstance(f(x), sp.Pow) and f(x).args == (x, 2)",
            "assert grow() == 2 * p and grow().is_positive and str(grow()) == '2*p'",
            "assert derivative(sp.sin(x) * sp.exp(y)).equals(sp.cos(x) * sp.exp(y))",
        ),
        (
            "def derivative(e):\n    return e\ndef f(t):\n    return '4'\ndef half():\n    return 0.25\nanswer = x\nroots = [2]\n"
            "def solve_it():\n    return {x: 2}\ndef grow():\n    return 2 * sp.Symbol('p')",
        ),
        setup="import sympy as sp\nx, y = sp.symbols('x y')\np = sp.Symbol('p', positive=True)",
        needs="sympy",
    ),
    Case(
        "series, matrices, sets, equations and functions of sympy",
        "def limit():\n    return sp.limit(sp.sin(x) / x, x, 0)\ndef taylor():\n    return sp.series(sp.exp(x), x, 0, 3)\n"
        "def inverse(m):\n    return m.inv()\ndef values(m):\n    return m.eigenvals()\ndef equation():\n    return sp.Eq(x + y, 2)\n"
        "def where():\n    return sp.solveset(x**2 < 1, x, sp.S.Reals), sp.solveset(x**2 - 1, x)\n"
        "def grown():\n    return sp.dsolve(f(x).diff(x) - f(x), f(x))\ndef system():\n    return sp.solve([x + y - 3, x - y - 1], [x, y])\n"
        "def held():\n    return sp.Integral(x**2, (x, 0, 1))\ndef periodic():\n    return sp.solveset(sp.sin(x), x, sp.S.Reals)\n"
        "def slope(e):\n    return e.diff(x)",
        (
            "assert limit() == 1",
            "assert taylor().removeO() == 1 + x + x**2/2 and taylor().getO() == sp.O(x**3)",
            "A = sp.Matrix([[1, 0], [0, sp.Rational(1, 2)]])\nassert inverse(A) == sp.Matrix([[1, 0], [0, 2]]) and inverse(A) * A == sp.eye(2)",
            "assert values(sp.Matrix([[2, 0], [0, 3]])) == {2: 1, 3: 1}",
            "assert equation() == sp.Eq(x + y, 2) and equation().lhs == x + y and equation().rhs == 2",
            "assert where()[0] == sp.Interval.open(-1, 1) and where()[1] == sp.FiniteSet(-1, 1) and 0 in where()[0]",
            "assert grown() == sp.Eq(f(x), sp.Symbol('C1') * sp.exp(x)) and grown().lhs.func == f",
            "assert slope(f(x)**2) == 2 * f(x) * f(x).diff(x)",
            "assert system() == {x: 2, y: 1} and system()[x] == 2",
            "assert held().doit() == sp.Rational(1, 3) and held() != held().doit()",
            "assert isinstance(periodic(), sp.Union) and periodic().contains(sp.pi) == True",
        ),
        (
            "def limit():\n    return sp.oo\ndef taylor():\n    return 1 + x\ndef inverse(m):\n    return m\n"
            "def values(m):\n    return [2, 3]\ndef equation():\n    return x + y == 2\n"
            "def where():\n    return sp.Interval(-1, 1), {1}\ndef grown():\n    return sp.exp(x)\n"
            "def system():\n    return {'x': 2}\ndef held():\n    return sp.Rational(1, 4)\ndef periodic():\n    return sp.FiniteSet(0)\n"
            "def slope(e):\n    return 2 * e",
        ),
        setup="import sympy as sp\nx, y = sp.symbols('x y')\nf = sp.Function('f')",
        needs="sympy",
    ),
    # -- figures
    Case(
        "matplotlib axes inspected",
        "import matplotlib.pyplot as plt\ndef plot(xs):\n    fig, ax = plt.subplots()\n    ax.plot(xs, label='line')\n"
        "    ax.set_title('Title')\n    ax.set_xlabel('t')\n    ax.legend()\n    return ax",
        (
            "ax = plot([1, 2, 3])\nassert ax.get_title() == 'Title' and ax.get_xlabel() == 't'",
            "ax = plot([1, 2, 3])\nassert list(ax.lines[0].get_ydata()) == [1, 2, 3]",
            "ax = plot([1, 2])\nassert len(ax.get_lines()) == 1 and ax.get_legend() is not None",
            "import matplotlib.axes\nassert isinstance(plot([1]), matplotlib.axes.Axes)",
            "import matplotlib.pyplot as plt\nplt.close('all')\nplot([1])\nassert len(plt.get_fignums()) == 1",
            "import matplotlib.pyplot as plt\nplt.close('all')\nplot([1, 5])\nassert plt.gca().get_title() == 'Title'",
        ),
        ("import matplotlib.pyplot as plt\ndef plot(xs):\n    plt.plot(xs)\n    plt.title('Wrong')",),
        needs="matplotlib",
    ),
    Case(
        "a figure drawn at the top level",
        "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nbars = ax.bar(['a', 'b'], [1, 2])\nax.set_ylabel('n')",
        (
            "assert ax.get_ylabel() == 'n'",
            "assert len(ax.patches) == 2 and ax.patches[1].get_height() == 2",
            "assert [t.get_text() for t in ax.get_xticklabels()] == ['a', 'b']",
            "assert len(fig.axes) == 1 and fig.axes[0] is ax",
        ),
        ("import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nbars = ax.bar(['a'], [1])",),
        needs="matplotlib",
    ),
    # -- modules and text
    Case(
        "modules, regular expressions and compiled objects",
        "import re, json, string\npattern = re.compile(r'(\\w+)@(\\w+)')\ndef find(s):\n    return pattern.search(s)\n"
        "def dump(d):\n    return json.dumps(d, sort_keys=True)",
        (
            "assert pattern.match('a@b')",
            "assert find('x a@b').group(2) == 'b' and find('') is None",
            "import json\nassert json.loads(dump({'b': 1, 'a': [None]})) == {'a': [None], 'b': 1}",
            "assert 'json' in globals()",
            "import sys\nassert 'json' in sys.modules and dump({}) == '{}'",
            "import re\nassert isinstance(pattern, re.Pattern)",
        ),
        ("import re\npattern = re.compile('a')\ndef find(s):\n    return None\ndef dump(d):\n    return str(d)",),
    ),
    Case(
        "operator functions, reduce, sorted with a learner's key",
        "def key(word):\n    return (-len(word), word)\ndef merge(a, b):\n    return {**a, **b}",
        (
            "assert sorted(['b', 'aa', 'a'], key=key) == ['aa', 'a', 'b']",
            "from functools import reduce\nassert reduce(merge, [{1: 1}, {2: 2}]) == {1: 1, 2: 2}",
            "assert max(['x', 'yyy'], key=lambda w: -key(w)[0]) == 'yyy'",
            "assert list(filter(lambda w: key(w)[0] == -1, ['a', 'bb'])) == ['a']",
            "from functools import partial\nassert partial(merge, {1: 1})({1: 2}) == {1: 2}",
            "import copy\nassert copy.copy(key)('a') == (-1, 'a')",
        ),
        ("def key(word):\n    return word\ndef merge(a, b):\n    return a",),
    ),
    Case(
        "matrices of objects that refer to each other",
        "class Account:\n    def __init__(self, owner, balance=0):\n        self.owner, self.balance, self.history = owner, balance, []\n"
        "    def transfer(self, other, amount):\n        self.balance -= amount\n        other.balance += amount\n"
        "        self.history.append((other.owner, amount))\nclass Bank:\n    def __init__(self):\n        self.accounts = {}\n"
        "    def open(self, owner):\n        self.accounts[owner] = Account(owner)\n        return self.accounts[owner]",
        (
            "a, b = Account('a', 10), Account('b')\na.transfer(b, 4)\nassert (a.balance, b.balance) == (6, 4)",
            "assert a.history == [('b', 4)]",
            "bank = Bank()\nx = bank.open('x')\nx.balance = 7\nassert bank.accounts['x'].balance == 7",
            "assert bank.accounts['x'] is x and 'x' in bank.accounts and len(bank.accounts) == 1",
            "for name, account in bank.accounts.items():\n    assert name == account.owner",
            "bank.accounts['y'] = Account('y')\nassert set(bank.accounts) == {'x', 'y'}",
            "del bank.accounts['y']\nassert list(bank.accounts) == ['x']",
            "x.history.append('test')\nassert bank.accounts['x'].history == ['test']",
            "import copy\nz = copy.deepcopy(x)\nz.balance = 0\nassert x.balance == 7 and z.owner == 'x'",
            "setattr(x, 'balance', 1)\nassert getattr(x, 'balance') == 1 and hasattr(x, 'owner')",
        ),
        (
            "class Account:\n    def __init__(self, owner, balance=0):\n        self.owner, self.balance, self.history = owner, balance, []\n"
            "    def transfer(self, other, amount):\n        pass\nclass Bank:\n    def __init__(self):\n        self.accounts = {}\n"
            "    def open(self, owner):\n        return Account(owner)",
        ),
    ),
    Case(
        "walrus, match, star unpacking, f-strings in tests",
        "def parse(cmd):\n    match cmd.split():\n        case ['go', d]:\n            return {'go': d}\n        case _:\n            return None",
        (
            "assert (r := parse('go north')) and r['go'] == 'north'",
            "match parse('go west'):\n    case {'go': d}:\n        assert d == 'west'\n    case _:\n        raise AssertionError",
            "first, *rest = [parse('x'), parse('go e')]\nassert first is None and rest == [{'go': 'e'}]",
            "assert f\"{parse('go n')['go']:>3}\" == '  n'",
        ),
        ("def parse(cmd):\n    return {'go': 'south'}", "def parse(cmd):\n    return cmd"),
    ),
    Case(
        "learner's object matched structurally",
        "class Point:\n    __match_args__ = ('x', 'y')\n    def __init__(self, x, y):\n        self.x, self.y = x, y",
        (
            "match Point(1, 2):\n    case Point(1, y):\n        assert y == 2\n    case _:\n        raise AssertionError",
            "match Point(1, 2):\n    case Point(x=0):\n        raise AssertionError\n    case Point(x=1, y=2):\n        pass\n"
            "    case _:\n        raise AssertionError",
        ),
        ("class Point:\n    def __init__(self, x, y):\n        self.x, self.y = y, x",),
    ),
    Case(
        "a test reads what the learner imported",
        "import math as m\nfrom statistics import mean\ndef f(x):\n    return m.sqrt(x)",
        ("assert f(4) == 2", "assert m.pi > 3", "assert mean([1, 3]) == 2"),
        ("def f(x):\n    return x", "import math as m\ndef f(x):\n    return m.floor(x)"),
    ),
    Case(
        "doctest of a learner's function",
        "def inc(x):\n    '''\n    >>> inc(1)\n    2\n    '''\n    return x + 1",
        (
            "import doctest\nfinder = doctest.DocTestFinder()\ntests = finder.find(inc, 'inc', globs={'inc': inc})\n"
            "runner = doctest.DocTestRunner(verbose=False)\nfor t in tests:\n    runner.run(t, out=lambda s: None)\n"
            "assert runner.tries == 1 and runner.failures == 0",
            "import doctest\nassert doctest.testmod().failed == 0 and inc(1) == 2",
        ),
        ("def inc(x):\n    '''\n    >>> inc(1)\n    2\n    '''\n    return x",),
    ),
    Case(
        "weak references, ids, hashes, pickles",
        "class Thing:\n    def __init__(self):\n        self.v = 1\nthing = Thing()",
        (
            "import pickle\nassert pickle.loads(pickle.dumps(thing.v)) == 1",
            "assert id(thing) == id(thing) and hash(thing) == hash(thing)",
            "seen = {thing: 'yes'}\nassert seen[thing] == 'yes'",
            "assert thing == thing and thing != Thing()",
            "assert thing in [thing]",
        ),
        (
            "class Thing:\n    def __init__(self):\n        self.v = 2\n    def __eq__(self, o):\n        return False\nthing = Thing()",
        ),
    ),
    # -- what a call depends on without being handed it
    Case(
        "a function that seeds",
        "import random\nimport numpy as np\ndef set_seed(s):\n    random.seed(s)\n    np.random.seed(s)",
        (
            "import random\nset_seed(5)\na = random.random()\nset_seed(5)\nassert random.random() == a",
            "import random\nset_seed(5)\na = random.random()\nrandom.seed(5)\nassert random.random() == a",
            "set_seed(5)\na = np.random.rand(3)\nset_seed(5)\nassert (np.random.rand(3) == a).all()",
            "set_seed(5)\na = np.random.randn()\nset_seed(5)\nassert np.random.randn() == a",
        ),
        ("def set_seed(s):\n    pass", "import random\ndef set_seed(s):\n    random.seed(s)"),
        ("import random\nimport numpy as np\ndef set_seed(s):\n    np.random.seed(s)\n    random.seed(s)",),
    ),
    Case(
        "a locked cell that calls what the learner seeds with",
        "import random\ndef set_seed(s):\n    random.seed(s)",
        (
            "set_seed(2)\nset_seed(2)\na = random.random()\nrandom.seed(2)\nassert random.random() == a",
            "random.seed(2)\nset_seed(2)\na = random.random()\nset_seed(2)\nassert random.random() == a",
        ),
        ("def set_seed(s):\n    pass",),
        setup="import random\nrandom.seed(2)",
    ),
    Case(
        "the environment that a test sets",
        "import os\ndef user():\n    return os.environ.get('APP_USER', 'nobody')",
        (
            "import os\nfrom unittest.mock import patch\nwith patch.dict(os.environ, {'APP_USER': 'ann'}):\n"
            "    assert user() == 'ann'\nassert user() == 'nobody'",
            "import os\nos.environ['APP_USER'] = 'bob'\nassert user() == 'bob'",
            "import os\nassert user() == 'bob'\ndel os.environ['APP_USER']\nassert user() == 'nobody'",
            "import os\nfrom unittest.mock import patch\nwith patch.dict(os.environ, {}, clear=True):\n"
            "    assert user() == 'nobody'\nassert user() == 'nobody'",
            "def test_user(monkeypatch):\n    monkeypatch.setenv('APP_USER', 'eve')\n    assert user() == 'eve'\n"
            "import pytest\nwith pytest.MonkeyPatch.context() as patch:\n    test_user(patch)",
        ),
        ("def user():\n    return 'nobody'",),
        ("from os import getenv\ndef user():\n    return getenv('APP_USER') or 'nobody'",),
    ),
    Case(
        "the environment that the learner's code sets",
        "import os\nos.environ['APP_MODE'] = 'fast'\ndef mode():\n    return os.environ['APP_MODE']",
        (
            "import os\nfrom unittest.mock import patch\nassert mode() == 'fast'\n"
            "with patch.dict(os.environ, {'APP_MODE': 'slow'}):\n    assert mode() == 'slow'\nassert mode() == 'fast'",
        ),
        ("def mode():\n    return 'fast'",),
    ),
    Case(
        "the limit of recursion that a test sets",
        "def depth(n):\n    return 0 if n == 0 else 1 + depth(n - 1)",
        (
            "import sys\nsys.setrecursionlimit(10000)\nassert depth(3000) == 3000",
            "import sys, pytest\nsys.setrecursionlimit(300)\nwith pytest.raises(RecursionError):\n    depth(500)",
            "import sys\nsys.setrecursionlimit(1000)\nassert depth(500) == 500",
        ),
        ("def depth(n):\n    return 0 if n == 0 else depth(n - 1)", "def depth(n):\n    return n"),
    ),
    Case(
        "the decimal context of a test",
        "from decimal import Decimal\ndef third():\n    return str(Decimal(1) / 3)",
        (
            "import decimal\nwith decimal.localcontext() as c:\n    c.prec = 5\n    assert third() == '0.33333'\n"
            "assert third() == '0.' + 28 * '3'",
            "import decimal\nwith decimal.localcontext() as c:\n    c.prec = 3\n    c.rounding = decimal.ROUND_UP\n"
            "    assert third() == '0.334'",
            "import decimal\ndecimal.getcontext().prec = 7\nassert third() == '0.3333333'",
        ),
        ("def third():\n    return '0.33333'",),
        ("import decimal\ndef third():\n    return str(decimal.Decimal(2) / 6)",),
    ),
]

# Tests, by their case and number, whose points still differ from those of one plain interpreter, and what was said.
DIFFER: dict[str, dict[int, str]] = {
    "matplotlib axes inspected": {
        4: "the figures that are open are the sandbox's",
        5: "the figures that are open are the sandbox's",
    },
    "a test reads what the learner imported": {
        1: "on purpose: a module that the solution imports is the instructor's, whether or not the learner imports it",
        2: "on purpose: a module that the solution imports is the instructor's, whether or not the learner imports it",
    },
    "weak references, ids, hashes, pickles": {
        3: "on purpose: a learner's object says nothing of equality or hash that the solution does not define",
    },
}


@pytest.fixture(scope="module")
def plainly() -> Iterator[Callable[..., list[float]]]:
    """Runs cells in one fresh interpreter, once; gives the points of those that are tests."""
    script = Path(__file__).with_name("one_interpreter.py")
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "TMPDIR": folder, "OMP_NUM_THREADS": "1", "IPYTHONDIR": f"{folder}/ipython"}
        process = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        assert process.stdin and process.stdout
        asks, answers = process.stdin, process.stdout

        @functools.cache
        def run(*cells: str, first_test: int) -> list[float]:
            print(json.dumps([cells, first_test]), file=asks, flush=True)
            return list(json.loads(answers.readline()))

        yield run
        asks.close()
        process.wait(timeout=20)


Row = tuple[str, str, float, float, str]  # right or wrong, the answer, stock's points, the points here, the message


class Here:
    """Grades answers to a case, in a judge and a sandbox."""

    def __init__(self, process: Warm, folder: Path, cells: SimpleNamespace) -> None:
        self._process, self._cells = process, cells
        self._path, self._shipped = folder / "work.ipynb", folder / "shipped"
        self._shipped.mkdir()

    def __call__(self, case: Case, answer: str, precedents: Precedents | None = None) -> list[Verdict]:
        cells = self._cells
        first = [cells.locked("setup", case.setup)] if case.setup else []
        tests = [cells.test(f"test{i}", text) for i, text in enumerate(case.tests)]
        source = cells.notebook(*first, cells.solution("answer", cells.solved(case.solution)), *tests)
        nbformat.write(cells.notebook(*first, cells.solution("answer", answer), *tests), self._path)
        return grade_notebook(
            with_checksums(source),
            self._path,
            files=self._shipped,
            process=self._process,
            limits=Limits(cell_seconds=10, submission_seconds=60),
            isolate=False,
            precedents=precedents,
        ).verdicts


@pytest.fixture(scope="module")
def here(cells: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    with Warm(["numpy", "pandas", "matplotlib.pyplot", "pytest"]) as process:
        yield Here(process, tmp_path_factory.mktemp("here"), cells)


@pytest.fixture(scope="module")
def compared(plainly: Callable[..., list[float]], here: Here) -> Callable[[Case], list[list[Row]]]:
    """Grades every answer of a case in both ways: for each of its tests, what came out."""

    @functools.cache
    def compare(case: Case) -> list[list[Row]]:
        rows: list[list[Row]] = [[] for _ in case.tests]
        for kind, answer in _answers(case):
            stock = plainly(case.setup, answer, *case.tests, first_test=2)
            for row, points, verdict in zip(rows, stock, here(case, answer), strict=True):
                row.append((kind, answer, points, verdict.points, verdict.message))
        return rows

    return compare


def _answers(case: Case) -> list[tuple[str, str]]:
    right = [("right", answer) for answer in (case.solution, *case.right)]
    return [*right, *(("wrong", answer) for answer in case.wrong)]


def _skip_without_needs(case: Case) -> None:
    if case.needs and not importlib.util.find_spec(case.needs):
        pytest.skip(f"{case.needs} is not installed.")


def _marks(case: Case, number: int) -> list[pytest.MarkDecorator]:
    if reason := DIFFER.get(case.name, {}).get(number):
        return [pytest.mark.xfail(strict=True, reason=reason)]
    return []


@pytest.mark.parametrize(
    ("case", "number"),
    [
        pytest.param(case, number, id=f"{case.name}-{number}", marks=_marks(case, number))
        for case in CASES
        for number in range(len(case.tests))
    ],
)
def test_any_test_cell_scores_what_it_scores_in_one_interpreter(
    case: Case, number: int, compared: Callable[[Case], list[list[Row]]]
) -> None:
    _skip_without_needs(case)
    for kind, answer, stock, here, message in compared(case)[number]:
        where = f"{kind} answer:\n{answer}\ntest:\n{case.tests[number]}"
        assert here == stock, f"{where}\nstock {stock:g}, here {here:g}: {message}"


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_what_judges_decided_before_changes_no_score(case: Case, here: Here, compared: Any) -> None:
    _skip_without_needs(case)
    known, count = Precedents(), itertools.count()
    alone = list(zip(*[[points for *_, points, _ in row] for row in compared(case)], strict=True))
    for _ in range(JUDGES + WORTH_OPENING):
        for (_, answer), expected in zip(_answers(case), alone, strict=True):
            verdicts = here(case, f"{answer}\n# {next(count)}", known)  # no two have the same code
            assert tuple(v.points for v in verdicts) == expected, answer


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_the_cases_tell_right_from_wrong(case: Case, plainly: Callable[..., list[float]]) -> None:
    full = plainly(case.setup, case.solution, *case.tests, first_test=2)
    assert full == [1.0] * len(case.tests), "a test that its own solution fails"
    for answer in case.wrong:
        assert sum(plainly(case.setup, answer, *case.tests, first_test=2)) < sum(full), (
            f"a wrong answer that passes:\n{answer}"
        )
