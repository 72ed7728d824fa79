"""Expressions cross as what they are, unevaluated; what sympy would not make of such parts is refused."""

from __future__ import annotations

import time
from typing import Any

import pytest

from autograder import symbolic
from autograder.frames import WireError
from autograder.wire import Reader, Writer, is_value

sp = pytest.importorskip("sympy")

x, y = sp.symbols("x y")
n = sp.Symbol("n", integer=True, nonnegative=True)
f = sp.Function("f")
a, b = sp.symbols("a b", commutative=False)
A = sp.MatrixSymbol("A", 2, 2)


def refuse(tag: str, fields: list[Any]) -> Any:
    raise WireError(f"no {tag}")


def crossed(value: Any) -> Any:
    return Reader([], refuse).read(Writer(lambda _: None).write(value))


@pytest.mark.parametrize(
    "value",
    [
        *(sp.Integer(7), sp.Integer(-(10**400)), sp.Rational(-1, 3), sp.S.Half),
        *(sp.Float(0.1), sp.Float("1.5", 50), sp.Float(0)),
        *(sp.pi, sp.E, sp.I, sp.oo, -sp.oo, sp.zoo, sp.nan, sp.true, sp.false, sp.EmptySet, sp.S.Reals, sp.S.Integers),
        *(x, n, sp.Symbol("lambda"), sp.Symbol("x_{1}"), sp.Dummy("d"), sp.Symbol("t", positive=True)),
        *(f, f(x), f(0), sp.Function("y_1", real=True)(x, n), f(x).diff(x, 2)),
        *(x + 1, 2 * x * y, x**n, sp.sqrt(x), a * b, b * a, sp.sin(x) ** 2),
        *(sp.factorial(n), sp.Max(x, y), sp.atan2(x, y)),
        sp.Mul(2, sp.Add(1, 2, evaluate=False), evaluate=False),
        sp.Pow(9, sp.Pow(9, 9, evaluate=False), evaluate=False),
        *(sp.Eq(x, 2), x < y, sp.And(x > 0, y > 0), sp.Or(x > 0, y < 0), sp.Not(sp.Symbol("q")), sp.Xor(x > 0, y > 0)),
        *(sp.Piecewise((x, x > 0), (0, True)), sp.Lambda(x, x**2), sp.Tuple(1, x), sp.series(sp.cos(x), x)),
        *(sp.Integral(x, (x, 0, 1)), sp.Sum(x, (x, 1, n)), sp.Product(x, (x, 1, n))),
        *(sp.Interval(0, 1), sp.Interval.open(0, sp.oo), sp.FiniteSet(1, x), sp.Interval(0, 1) + sp.FiniteSet(3)),
        *(sp.solveset(sp.sin(x), x), sp.ConditionSet(x, sp.sin(x) > x), sp.Range(5), sp.Interval(0, 1) ** 2),
        *(sp.Matrix([[1, x], [0, 2]]), sp.ImmutableMatrix([[sp.Rational(1, 2)]]), sp.zeros(0, 3)),
        *(sp.zeros(2, 0), sp.SparseMatrix(2, 2, {(0, 1): x})),
        *(A, A * A.T, A[0, 1], sp.Identity(2)),
    ],
    ids=str,
)  # fmt: skip
def test_a_value_crosses_as_it_is(value: Any) -> None:
    assert is_value(value)
    back = crossed(value)
    assert back.__class__ == value.__class__
    assert back == value
    assert str(back) == str(value)
    if not isinstance(value, sp.MatrixBase):
        assert hash(back) == hash(value)


def test_what_has_crossed_computes_as_any_other() -> None:
    assert crossed(x) is x
    assert crossed(sp.Symbol("n")) != n
    assert crossed(n).is_nonnegative
    assert sp.simplify(crossed(sp.sin(x) ** 2 + sp.cos(x) ** 2) - 1) == 0
    assert crossed(x * y).diff(x) == y
    assert crossed(sp.FiniteSet(1, 2)) == {1, 2}
    assert crossed(sp.And(x > 0, x < 2)).subs(x, 1) == sp.true
    assert crossed(f(x)).func == f
    assert crossed({x: [sp.Integer(2)]}) == {x: [2]}
    matrix = crossed(sp.Matrix([[1, 2], [3, 4]]))
    matrix[0, 0] = x
    assert matrix.det() == 4 * x - 6


def test_a_part_that_stands_in_many_places_is_sent_once() -> None:
    power = (x + 1) ** 2
    assert len(symbolic.parts(sp.Tuple(power, power, power))) == len(symbolic.parts(power)) + 1


class MySymbol(sp.Symbol):  # type: ignore[misc]
    def __eq__(self, other: Any) -> bool:
        return True

    __hash__ = sp.Symbol.__hash__


class MyFunction(sp.Function):  # type: ignore[misc]
    pass


def deep(levels: int) -> Any:
    made = x
    for _ in range(levels):
        made = sp.sin(made)
    return made


@pytest.mark.parametrize(
    "value",
    [
        *(MySymbol("x"), MySymbol("x") + 1, MyFunction(x), sp.Matrix([MyFunction(x)])),
        *(sp.Poly(x), sp.Dict({x: 1}), sp.Wild("w"), sp.Symbol("f(x)"), sp.Symbol("a.b"), sp.Symbol("a b")),
        *(sp.Function("eval")(x), sp.Function("S")(x), sp.Function("open")),
        *(sp.Integer(2**50_000), deep(200), sp.Tuple(*range(20_000)), sp.zeros(200, 200)),
        *(sp.sin, sp.Symbol, sp, [x], 1, "x", None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_sympys_own_or_too_large_does_not_cross(value: Any) -> None:
    assert not symbolic.crosses(value)


X = ("Symbol", "x", ())
TWO = ("Rational", 2, 1)


@pytest.mark.parametrize(
    "nodes",
    [
        *((), None, "x", [X], (X, "Add"), ((),), ((1,),)),
        *((("os",),), (("system", 0),), (X, ("MySymbol", 0)), (X, ("Poly", 0))),
        *((("Expr.__class__",),), (X, ("lambdify", 0))),
        *((("Add", 0),), (X, ("Add", 1)), (X, ("Add", -1)), (X, ("Add", True, 0)), (X, ("Add", "x")), (X, ("Add", X))),
        *((("Symbol", "f()", ()),), (("Symbol", "a.b", ()),), (("Symbol", "", ()),), (("Symbol", "x\n", ()),)),
        *((("Symbol", 1, ()),), (("Symbol", "x"),), (("Symbol", "x", (("positive", 1),)),)),
        *((("Symbol", "x", (("odd_one", True),)),), (("Symbol", "x", (("cls", True),)),)),
        (("Symbol", "x", (("positive", True), ("negative", True))),),
        *((("Function", "eval", ()),), (("Function", "S", ()),), (("Function", "x.y", ()),)),
        *((("Function", "f", ()), ("Add", 0)), (("Function", "f", ()), ("apply", 0, 0))),
        *((X, ("apply", 0, 0)), (X, ("apply",))),
        *((("Rational", 1, 0),), (("Rational", 1, -2),), (("Rational", 1.5, 1),), (("Rational", 2**100_000, 1),)),
        *((("Float", 1, 10**12, 53),), (("Float", 1, 0, 0),), (("Float", 1, 0, 10**9),), (("Float", "1", 0, 53),)),
        *((X, ("MutableDenseMatrix", 2, 2, 0)), (X, ("MutableDenseMatrix", -1, -1, 0))),
        *((("MutableDenseMatrix", 10**9, 0),), (("true",), ("MutableDenseMatrix", 1, 1, 0)), (("Str", "f()"),)),
        (X, *(("Add", i, i) for i in range(60))),
        (X, *(("sin", i) for i in range(1000))),
        (X,) * 20_000,
    ],
)  # fmt: skip
def test_parts_that_make_no_expression_are_refused(nodes: Any) -> None:
    tree = ["sy", 0, Writer(lambda _: None).write(nodes)]
    with pytest.raises(WireError):
        Reader([], refuse).read(tree)


def test_nothing_is_evaluated() -> None:
    start = time.monotonic()
    nine = ("Rational", 9, 1)
    tower = symbolic.build((nine, ("Pow", 0, 0), ("Pow", 0, 1), ("Pow", 0, 2), ("factorial", 3), ("Interval", 4, 3)))
    symbolic.build((("Rational", 0, 1), TWO, ("Pow", 1, 0), ("Mul", 0, 2), ("Sum", 3)))
    assert tower.args[0].func is sp.factorial
    assert time.monotonic() - start < 2


def test_a_course_without_sympy_does_not_import_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(symbolic.sys.modules, "sympy")
    assert not symbolic.crosses(x)
