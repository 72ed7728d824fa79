"""Expressions, matrices and sets of sympy as plain data: a list of nodes, each of which names earlier ones.

A node is a class of sympy's own with its arguments. It is built as it was, and nothing is evaluated: a power of large
numbers would take as long as whoever sent it likes. What is written into code again (``lambdify`` does so) are names,
so they are such as mean nothing there. What has no parts of that kind (polynomials, subclasses) stays where it is.
"""

from __future__ import annotations

import functools
import re
import sys
import types
from typing import Any

MOST_NODES = 10_000  # written out, as one who walks the tree meets them
MOST_DEPTH = 100
MOST_BITS = 40_000  # of a number, about 12,000 digits
MOST_EXPONENT = 2**17  # of a float, as a power of two

_PACKAGES = tuple(
    f"sympy.{name}." for name in ("core", "functions", "matrices", "sets", "logic", "integrals", "concrete")
)
_MATRICES = ("MutableDenseMatrix", "ImmutableDenseMatrix", "MutableSparseMatrix", "ImmutableSparseMatrix")

# What sympy's objects keep of what they have computed, or what says nothing that is not said by their equality.
_KEPT = {"_mhash", "_args", "_assumptions", "_assumptions0", "_assumptions_orig"}

# Without brackets, dots, quotes and spaces: no name of a symbol calls anything in code that is made of it.
_NAME = re.compile(r"[\w\\{}^]{1,60}")
# A function's name is called there, so it is short: none of Python's own, and none of sympy's (:func:`_built`).
_FUNCTION = re.compile(
    r"([A-Za-z]|[Aa]lpha|[Bb]eta|[Gg]amma|[Dd]elta|[Ee]psilon|[Ee]ta|[Tt]heta|[Kk]appa|[Ll]ambda|[Mm]u|[Nn]u|[Xx]i|[Pp]hi"
    r"|[Rr]ho|[Ss]igma|[Tt]au|[Cc]hi|[Pp]si|[Oo]mega)(_?\d{1,4}|_[A-Za-z]\w{0,15})?"
)


def crosses(value: Any) -> bool:
    """Whether a value is sympy's, and what is built of its parts is the same again."""
    module = type(value).__module__  # of an undefined function's class it is None
    if "sympy" not in sys.modules or not (module is None or str(module).startswith("sympy.")):
        return False
    try:
        return _is_same(build(parts(value)), value)
    except Exception:  # it has no parts, or is larger than what is built again
        return False


@functools.cache
def _classes() -> dict[str, type]:
    """Sympy's own classes whose objects are their arguments and nothing else, by name: the same in each process."""
    import sympy  # type: ignore[import-untyped]
    from sympy.core.singleton import Singleton  # type: ignore[import-untyped]

    known = {one.__module__ for one in vars(sympy).values() if isinstance(one, type | types.FunctionType)}
    modules = [name for name in sorted(known) if name.startswith(_PACKAGES) or name == "sympy.series.order"]
    apart = (sympy.Dict, sympy.Subs, sympy.AlgebraicNumber, sympy.MatrixBase, sympy.core.function.AppliedUndef)
    return {
        kind.__name__: kind
        for name in modules
        for kind in vars(sys.modules[name]).values()
        if isinstance(kind, type) and kind.__module__ == name and issubclass(kind, sympy.Basic)
        if not issubclass(kind, apart) and (not issubclass(kind, sympy.Atom) or isinstance(kind, Singleton))
    }


# -- taking apart ----------------------------------------------------------------------------------------------


def parts(value: Any) -> tuple[tuple[Any, ...], ...]:
    """The nodes of a value, itself last, for :func:`build`; raises ValueError for what has none."""
    nodes: list[tuple[Any, ...]] = []
    numbers: dict[int, int] = {}  # of the nodes, by the id of what they stand for
    alive: list[Any] = []  # so that an id is not used twice: a matrix makes its entries when asked for them
    stack: list[tuple[Any, Any]] = [(value, None)]
    while stack:
        one, split = stack.pop()
        if id(one) in numbers:
            continue
        if split is None:
            if len(stack) > MOST_NODES:
                raise ValueError("An expression is too large.")
            split = _split(one)
            stack.append((one, split))
            stack.extend((inner, None) for inner in split[1])
            continue
        head, inside = split
        alive.append(inside)
        numbers[id(one)] = len(nodes)
        nodes.append((*head, *[numbers[id(inner)] for inner in inside]))
        if len(nodes) > MOST_NODES:
            raise ValueError("An expression is too large.")
    return tuple(nodes)


def _split(value: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """What a node says for itself, and the objects behind it."""
    import sympy
    from sympy.core.function import AppliedUndef, UndefinedFunction  # type: ignore[import-untyped]
    from sympy.core.singleton import Singleton

    kind = type(value)
    if kind in (sympy.Symbol, sympy.Dummy):
        index = (value.dummy_index,) if kind is sympy.Dummy else ()
        return (kind.__name__, value.name, tuple(value._assumptions_orig.items()), *index), ()
    if kind is sympy.core.symbol.Str:
        return ("Str", value.name), ()
    if kind is sympy.Float:
        sign, digits, exponent, _ = value._mpf_
        return ("Float", -int(digits) if sign else int(digits), int(exponent), int(value._prec)), ()
    if kind is sympy.Integer or kind is sympy.Rational:
        return ("Rational", int(value.p), int(value.q)), ()
    if kind is UndefinedFunction:
        return ("Function", value.__name__, tuple(value._kwargs.items())), ()
    if type(kind) is UndefinedFunction and kind.__bases__ == (AppliedUndef,):
        return ("apply",), (kind, *value.args)
    if kind.__name__ in _MATRICES and kind is getattr(sympy, kind.__name__):
        return (kind.__name__, *map(int, value.shape)), tuple(value.flat())
    if _classes().get(kind.__name__) is kind:
        return (kind.__name__,), () if isinstance(kind, Singleton) else value._args
    raise ValueError(f"A {kind.__name__} has no parts.")


def _is_same(built: Any, value: Any) -> bool:
    """Whether it is of the same classes, equal, and holds all that the other holds beside its arguments."""
    if built.__class__ != value.__class__ or built != value:  # undefined functions are of equal classes
        return False
    pairs, seen = [(built, value)], set()
    while pairs:
        one, other = pairs.pop()
        if one is other or id(other) in seen or not hasattr(other, "_args"):
            continue
        seen.add(id(other))
        noted = {name for kind in type(other).__mro__ for name in vars(kind).get("__slots__", ())} - _KEPT
        noted |= set(vars(other)) if hasattr(other, "__dict__") else set()
        if one.__class__ != other.__class__ or any(getattr(one, n, None) != getattr(other, n, None) for n in noted):
            return False
        pairs += zip(one._args, other._args, strict=True)
    return True


# -- building --------------------------------------------------------------------------------------------------


def build(nodes: Any) -> Any:
    """The value of these parts; raises ValueError, TypeError or the like where they do not go together."""
    if type(nodes) is not tuple or not 0 < len(nodes) <= MOST_NODES:
        raise ValueError("These are no parts of an expression.")
    made: list[Any] = []
    sizes: list[tuple[int, int]] = []  # of each its nodes, written out, and its depth
    for node in nodes:
        value, inside = _built(node, made)
        size = 1 + sum(sizes[index][0] for index in inside)
        depth = 1 + max((sizes[index][1] for index in inside), default=0)
        if size > MOST_NODES or depth > MOST_DEPTH:
            raise ValueError("An expression is too large.")
        made.append(value)
        sizes.append((size, depth))
    return made[-1]


def _built(node: Any, made: list[Any]) -> tuple[Any, tuple[int, ...]]:
    """What a node stands for, and the numbers of the nodes behind it."""
    import sympy
    from sympy.core.function import UndefinedFunction
    from sympy.core.singleton import Singleton

    def behind(indexes: Any, kind: Any = sympy.Basic) -> list[Any]:
        if not all(type(index) is int and 0 <= index < len(made) for index in indexes):
            raise ValueError("A node names one that did not come before it.")
        found = [made[index] for index in indexes]
        if not all(isinstance(one, kind) for one in found):
            raise ValueError("A node has something behind it that does not belong there.")
        return found

    match node:
        case ["Symbol", str(name), tuple(assumed)] if _NAME.fullmatch(name):
            return sympy.Symbol(name, **_assumed(assumed)), ()
        case ["Dummy", str(name), tuple(assumed), int(index)] if _NAME.fullmatch(name):
            return sympy.Dummy(name, index, **_assumed(assumed)), ()
        case ["Str", str(name)] if _NAME.fullmatch(name):
            return sympy.core.symbol.Str(name), ()
        case ["Float", int(digits), int(exponent), int(precision)]:
            if abs(exponent) > MOST_EXPONENT or not 0 < precision <= MOST_BITS:
                raise ValueError("A number is too large.")
            from mpmath.libmp import from_man_exp  # type: ignore[import-untyped]

            return sympy.Float._new(from_man_exp(_number(digits), exponent, precision, "n"), precision, zero=False), ()
        case ["Rational", int(numerator), int(denominator)] if denominator > 0:
            return sympy.Rational(_number(numerator), _number(denominator)), ()
        case ["Function", str(name), tuple(assumed)] if _FUNCTION.fullmatch(name) and not hasattr(sympy, name):
            return sympy.Function(name, **_assumed(assumed)), ()
        case ["apply", function, *inside]:
            (kind,) = behind([function], UndefinedFunction)
            return _raw(kind, behind(inside)), tuple(inside)
        case [str(name), int(rows), int(columns), *inside] if name in _MATRICES:
            if rows < 0 or columns < 0 or rows * columns != len(inside) or rows + columns > MOST_NODES:
                raise ValueError("A matrix has another number of entries than its shape says.")
            return getattr(sympy, name)(rows, columns, behind(inside, sympy.Expr)), tuple(inside)
        case [str(name), *inside]:
            kind = _classes()[name]
            args = behind(inside)
            return kind() if isinstance(kind, Singleton) else _raw(kind, args), tuple(inside)
    raise ValueError("This is no part of an expression.")


def _raw(kind: Any, args: list[Any]) -> Any:
    """An object of one of sympy's classes with these arguments as they are, and what the class notes beside them."""
    from sympy import Basic, FiniteSet, Xor
    from sympy.core.function import Application
    from sympy.core.operations import LatticeOp  # type: ignore[import-untyped]

    made = Basic.__new__(kind, *args)
    if isinstance(getattr(kind, "is_commutative", None), types.MemberDescriptorType):
        made.is_commutative = all(getattr(arg, "is_commutative", True) is not False for arg in args)
    if issubclass(kind, Application):
        made.nargs = kind.nargs
    if issubclass(kind, LatticeOp | Xor):
        made._argset = frozenset(args)
    if kind is FiniteSet:
        made._args_set = set(args)
    return made


def _number(number: int) -> int:
    if number.bit_length() > MOST_BITS:
        raise ValueError("A number is too large.")
    return number


def _assumed(pairs: tuple[Any, ...]) -> dict[str, bool | None]:
    """Assumptions such as that a symbol is positive; sympy itself says which go together."""
    from sympy.core.assumptions import _assume_defined  # type: ignore[import-untyped]

    assumed = dict(pairs)
    if not all(name in _assume_defined and type(value) in (bool, type(None)) for name, value in assumed.items()):
        raise ValueError("A symbol assumes something that there is not.")
    return assumed
