"""Python's operators by their names in the module ``operator``: what either side may ask of the other's objects."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

ORDER = ("lt", "le", "gt", "ge")
UNARY = ("neg", "pos", "abs", "invert")
BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor", "lshift", "rshift")
CONVERSIONS: dict[str, Callable[..., Any]] = {
    **{f.__name__: f for f in (int, float, complex, round, divmod, math.floor, math.ceil, math.trunc)},
    "index": operator.index,
}
