"""What may cross between a judge and a sandbox within a frame: plain data.

Plain data is a *tree*: JSON whose every non-scalar is a list that starts with a tag, with large things (bytes,
arrays, tensors) in the frame's buffers (:mod:`autograder.frames`). Reading a tree builds exact built-in types,
numpy arrays and torch tensors, and nothing else: no class is looked up by a name that came in, nothing is
unpickled, evaluated or imported (but torch or numpy themselves).

What is not plain data is left to the two ends: the writer's ``other`` gives a reference for an object, the
reader's ``other`` gives the object for a reference.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import functools
import ipaddress
import math
import pathlib
import re
import sys
import uuid
import zoneinfo
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autograder import symbolic, tabular
from autograder.frames import WireError

MAX_DEPTH = 200

# Subclasses of built-in containers that are data too, with what makes one of them.
_SPECIAL_DICTS: dict[str, Callable[..., dict[Any, Any]]] = {
    "dict": dict,
    "OrderedDict": collections.OrderedDict,
    "Counter": collections.Counter,
    "defaultdict": lambda: collections.defaultdict(None),
    **{
        f"defaultdict({kind.__name__})": functools.partial(collections.defaultdict, kind)
        for kind in (bool, bytes, dict, float, int, list, set, str, tuple)
    },
}
_DICT_NAMES: dict[type, str] = {
    dict: "dict",
    collections.OrderedDict: "OrderedDict",
    collections.Counter: "Counter",
    collections.defaultdict: "defaultdict",
}

# Other immutable values, by what makes them anew.
_VALUES: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    fractions.Fraction: lambda v: (v.numerator, v.denominator),
    decimal.Decimal: lambda v: (str(v),),
    datetime.date: lambda v: (v.year, v.month, v.day),
    datetime.datetime: lambda v: (v.isoformat(), v.tzinfo if type(v.tzinfo) is zoneinfo.ZoneInfo else None),
    datetime.time: lambda v: (v.isoformat(),),
    datetime.timedelta: lambda v: (v.days, v.seconds, v.microseconds),
    datetime.timezone: lambda v: (v.utcoffset(None),),
    zoneinfo.ZoneInfo: lambda v: (v.key,),
    uuid.UUID: lambda v: (str(v),),
    re.Pattern: lambda v: (v.pattern, int(v.flags & ~re.DEBUG)),
    **dict.fromkeys((pathlib.PurePosixPath, pathlib.PosixPath), lambda v: (str(v),)),
    **dict.fromkeys((ipaddress.IPv4Address, ipaddress.IPv4Network, ipaddress.IPv4Interface), lambda v: (str(v),)),
    **dict.fromkeys((ipaddress.IPv6Address, ipaddress.IPv6Network, ipaddress.IPv6Interface), lambda v: (str(v),)),
}


def _moment(text: str, zone: Any) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(text)
    return moment if zone is None else moment.astimezone(zone)


_MAKERS: dict[str, Callable[..., Any]] = {f"{kind.__module__}:{kind.__qualname__}": kind for kind in _VALUES} | {
    "datetime:datetime": _moment,
    "zoneinfo:ZoneInfo": tabular.zone,
    "datetime:time": datetime.time.fromisoformat,
    "re:Pattern": re.compile,
}

# numpy's own spelling of the dtypes that hold plain data: booleans, numbers, text, bytes, dates.
_ARRAY_DTYPE = re.compile(r"[<>|][biufcSUMm]\d{1,9}(\[\d{0,9}[A-Za-z]{1,7}\])?")

_DTYPES = frozenset(
    {"float16", "bfloat16", "float32", "float64", "complex64", "complex128", "bool"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)


_NUMPYS = _DTYPES - {"bfloat16", "complex64", "complex128"}  # of which numpy's arrays are buffers of bytes


def is_plain_array(value: Any) -> bool:
    """Whether a numpy array or scalar holds plain data, and no objects or records."""
    exact = type(value) is np.ndarray or (isinstance(value, np.generic) and type(value).__module__ == "numpy")
    return exact and _ARRAY_DTYPE.fullmatch(value.dtype.str) is not None


def _is_plain_dtype(value: Any) -> bool:
    return isinstance(value, np.dtype) and _ARRAY_DTYPE.fullmatch(value.str) is not None


def is_value(value: Any) -> bool:
    """Whether something is neither a builtin of data nor an array, and crosses by value all the same."""
    kind = type(value)
    torch = torch_module()
    if torch is not None and kind in (torch.Size, torch.dtype, torch.device):
        return True
    if kind is re.Match:
        return _is_found_again(value)
    data = kind in _VALUES or kind is collections.deque or named_fields(kind) is not None or _is_plain_dtype(value)
    return data or tabular.kind_of(value) is not None or symbolic.crosses(value)


def _is_found_again(match: re.Match[Any]) -> bool:
    """Whether matching once more, from where a match begins, finds the same: then it is data."""
    text = type(match.string) in (str, bytes)
    again = match.re.match(match.string, match.start(), match.endpos) if text else None
    return again is not None and again.regs == match.regs


def _factory_name(table: collections.defaultdict[Any, Any]) -> str:
    """A default dictionary's name, with its factory where that is a builtin class of data."""
    name = f"defaultdict({getattr(table.default_factory, '__name__', '')})"
    known: Any = _SPECIAL_DICTS.get(name)
    return name if known is not None and known().default_factory is table.default_factory else "defaultdict"


def named_fields(kind: type) -> tuple[str, ...] | None:
    """The fields of a class of named tuples; None for any other class."""
    fields: Any = vars(kind).get("_fields")
    is_one = kind.__base__ is tuple and type(fields) is tuple
    return fields if is_one and all(type(name) is str for name in fields) else None


@functools.lru_cache(maxsize=1024)
def named_tuple(name: str, fields: tuple[str, ...]) -> Any:
    """A class of named tuples, which knows nothing but its fields."""
    return collections.namedtuple(name, fields)  # which takes nothing but names for names


def dtype_name(tensor: Any) -> str | None:
    """The name under which a tensor's dtype crosses, or None for one that does not (quantised, float8)."""
    return _dtype_names().get(tensor.dtype)


@functools.cache
def _dtype_names() -> dict[Any, str]:
    return {getattr(torch_module(), name): name for name in _DTYPES if hasattr(torch_module(), name)}


def torch_module() -> Any:
    """torch where it is imported already, else None: a course without torch never pays for it."""
    return sys.modules.get("torch")


class Writer:
    """Turns a value into a tree; ``other(obj)`` gives the reference tree of what is not plain data.

    ``live(container)`` gives the number under which both ends keep a list, dict or set in step, or None.
    """

    def __init__(
        self, other: Callable[[Any], list[Any] | None], live: Callable[[Any], int | None] = lambda container: None
    ) -> None:
        self.buffers: list[Any] = []
        self._other = other
        self._live = live
        self._memo: dict[int, int] = {}
        self._alive: list[Any] = []  # keeps memoised objects alive, so that an id is not used twice
        self._depth = 0

    def write(self, value: Any) -> Any:
        """The tree of a value; raises TypeError for what can neither cross nor be referred to."""
        self._depth += 1
        try:
            if self._depth > MAX_DEPTH:
                raise TypeError("A value nested this deeply does not cross between processes.")
            return self._write(value)
        finally:
            self._depth -= 1

    def _write(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind is bool or kind is str:
            return value
        if kind is int:
            # beyond 4,000 digits Python itself refuses to read decimal; hexadecimal has no such limit
            return value if abs(value) < 2**62 else ["i", hex(value)]
        if kind is float:
            return value if math.isfinite(value) else ["f", repr(value)]
        if id(value) in self._memo:
            return ["m", self._memo[id(value)]]
        if (reference := self._other(value)) is not None:
            return reference
        write = self.write
        if kind is tuple:
            return ["t", [write(v) for v in value]]
        if kind is complex:
            return ["c", repr(value.real), repr(value.imag)]
        if kind in (bytes, bytearray):
            return ["b" if kind is bytes else "ba", self.buffer(bytes(value))]
        if kind is slice:
            return ["sl", write(value.start), write(value.stop), write(value.step)]
        if kind is range:
            return ["ra", value.start, value.stop, value.step]
        if value is Ellipsis:
            return ["e"]
        if kind is frozenset:
            return ["fs", [write(v) for v in value]]
        if kind is list:
            return ["l", self._remember(value), self._live(value), [write(v) for v in value]]
        if kind in _DICT_NAMES:
            number, live = self._remember(value), self._live(value)
            name = _factory_name(value) if kind is collections.defaultdict else _DICT_NAMES[kind]
            return ["d", number, live, name, [[write(k), write(v)] for k, v in value.items()]]
        if kind is set:
            return ["s", self._remember(value), self._live(value), [write(v) for v in value]]
        if kind in _VALUES:
            return ["va", f"{kind.__module__}:{kind.__qualname__}", [write(v) for v in _VALUES[kind](value)]]
        if kind is collections.deque:
            return ["dq", write(list(value)), value.maxlen]
        if (fields := named_fields(kind)) is not None:
            return ["nt", self._other(kind), kind.__name__, list(fields), [write(v) for v in value]]
        if kind is re.Match:
            return ["re", write(value.re), write(value.string), value.start(), value.endpos]
        if is_plain_array(value):
            if kind is np.ndarray:
                return ["np", self._remember(value), *self._array(value)]
            return ["ns", *self._array(np.asarray(value))]
        if _is_plain_dtype(value):
            return ["nd", value.str]
        if tabular.kind_of(value) is not None:
            return ["pd", self._remember(value), self.table(value)]
        if symbolic.crosses(value):
            return ["sy", self._remember(value), self.write(symbolic.parts(value))]
        if (torch := torch_module()) is not None:
            if kind is torch.Size:
                return ["sz", list(value)]
            if kind is torch.dtype:
                return ["dt", str(value).removeprefix("torch.")]
            if kind is torch.device:
                return ["dv", str(value)]
        raise TypeError(f"A {kind.__name__} does not cross between processes by value.")

    def buffer(self, data: Any) -> int:
        self.buffers.append(data)
        return len(self.buffers) - 1

    def table(self, value: Any) -> Any:
        """The tree of what a data frame or the like consists of."""
        return self.write(tabular.parts(value))

    def tensor(self, tensor: Any) -> list[Any]:
        """[dtype, shape, buffer or None]; a tensor on the meta device has no values to send."""
        torch = torch_module()
        if (dtype := dtype_name(tensor)) is None:
            raise TypeError(f"A tensor of {tensor.dtype} does not cross between processes.")
        if tensor.is_meta:
            return [dtype, list(tensor.shape), None]
        if dtype in _NUMPYS:
            return [dtype, list(tensor.shape), self.buffer(np.ascontiguousarray(tensor.numpy(force=True)))]
        plain = tensor.detach().to("cpu").contiguous()
        return [dtype, list(plain.shape), self.buffer(plain.reshape(-1).view(torch.uint8).numpy())]

    def _remember(self, value: Any) -> int:
        self._memo[id(value)] = len(self._memo)
        self._alive.append(value)
        return self._memo[id(value)]

    def _array(self, array: np.ndarray) -> list[Any]:
        data = np.ascontiguousarray(array)
        return [array.dtype.str, list(array.shape), self.buffer(data.tobytes())]


class Reader:
    """Builds the value of a tree; ``other(tag, fields)`` gives the object of a reference.

    ``live(number, new)`` gives the container to fill for a number that both ends keep in step.
    """

    def __init__(
        self,
        buffers: Sequence[memoryview],
        other: Callable[[str, list[Any]], Any],
        live: Callable[[int, Any], Any] = lambda number, container: container,
        hear: Callable[[str | bytes], None] = lambda said: None,
    ) -> None:
        self._buffers = buffers
        self._other = other
        self._live = live
        self._hear = hear
        self._memo: dict[int, Any] = {}

    def read(self, tree: Any) -> Any:
        try:
            return self._read(tree, 0)
        except WireError:
            raise
        except Exception as error:  # all that is done below is to build data from data
            raise WireError(f"What came in is not a value ({type(error).__name__}).") from error

    def _read(self, tree: Any, depth: int) -> Any:
        if isinstance(tree, str):
            self._hear(tree)
            return tree
        if tree is None or isinstance(tree, bool | int | float):
            return tree
        if depth > MAX_DEPTH:
            raise WireError("What came in is nested too deeply.")
        if type(tree) is not list:
            raise WireError("What came in is not a value.")
        tag, *fields = tree
        inner = depth + 1
        match tag, fields:
            case "i", [str(digits)]:
                return int(digits, 16)
            case "f", [str(text)]:
                return float(text)
            case "m", [int(number)]:
                return self._memo[number]
            case "t", [list(items)]:
                return tuple(self._read(item, inner) for item in items)
            case "c", [str(real), str(imag)]:
                return complex(float(real), float(imag))
            case "b" | "ba", [int(index)]:
                data = bytes(self._buffers[index])
                self._hear(data)
                return data if tag == "b" else bytearray(data)
            case "sl", [start, stop, step]:
                return slice(self._read(start, inner), self._read(stop, inner), self._read(step, inner))
            case "ra", [int(start), int(stop), int(step)]:
                return range(start, stop, step)
            case "e", []:
                return Ellipsis
            case "fs", [list(items)]:
                return frozenset(self._read(item, inner) for item in items)
            case "l", [int(number), live, list(items)]:
                made = self._container(number, live, [])
                made[:] = [self._read(item, inner) for item in items]
                return made
            case "d", [int(number), live, str(name), list(pairs)]:
                table = self._container(number, live, _SPECIAL_DICTS[name]())
                new = [(self._read(key, inner), self._read(value, inner)) for key, value in pairs]
                table.clear()
                for key, value in new:  # a Counter's own update would count
                    table[key] = value
                return table
            case "s", [int(number), live, list(items)]:
                unordered = self._container(number, live, set())
                new_items = [self._read(item, inner) for item in items]
                unordered.clear()
                unordered.update(new_items)
                return unordered
            case "va", [str(name), list(items)]:
                return _MAKERS[name](*[self._read(item, inner) for item in items])
            case "dq", [items, maxlen]:
                return collections.deque(self._read(items, inner), maxlen)
            case "nt", [kind, str(name), list(fields), list(items)] if len(fields) == len(items):
                named: Any = None if kind is None else self._read(kind, inner)
                is_tuple = isinstance(named, type) and issubclass(named, tuple)
                if not is_tuple or getattr(named, "_fields", None) != tuple(fields):
                    named = named_tuple(name, tuple(fields))
                return tuple.__new__(named, [self._read(item, inner) for item in items])
            case "re", [pattern, text, int(start), int(end)]:
                found = self._read(pattern, inner).match(self._read(text, inner), start, end)
                if found is None:
                    raise WireError("A match was announced that is none.")
                return found
            case "pd", [int(number), parts]:
                self._memo[number] = self.table(parts, inner)
                return self._memo[number]
            case "sy", [int(number), parts]:
                self._memo[number] = symbolic.build(self._read(parts, inner))
                return self._memo[number]
            case "np", [int(number), str(dtype), list(shape), int(index)]:
                self._memo[number] = self._array(dtype, shape, index)
                return self._memo[number]
            case "ns", [str(dtype), list(shape), int(index)]:
                if shape:
                    raise WireError("An array was announced as a number.")
                return self._array(dtype, shape, index)[()]
            case "nd", [str(dtype)] if _ARRAY_DTYPE.fullmatch(dtype):
                return np.dtype(dtype)
            case "sz", [list(sizes)]:
                import torch

                return torch.Size([int(size) for size in sizes])
            case "dt", [str(name)] if name in _DTYPES:
                import torch

                return getattr(torch, name)
            case "dv", [str(name)]:
                import torch

                return torch.device(name)
        return self._other(tag, fields)

    def _container(self, number: int, live: Any, new: Any) -> Any:
        made = new
        if type(live) is int:
            made = self._live(live, new)
            if type(made) is not type(new):
                raise WireError("A container changed its kind.")
        self._memo[number] = made
        return made

    def buffer(self, index: int) -> memoryview:
        return self._buffers[index]

    def table(self, parts: Any, depth: int = 0) -> Any:
        """The data frame or the like that :meth:`Writer.table` wrote."""
        return tabular.build(self._read(parts, depth))

    def tensor(self, fields: Any) -> Any:
        """The tensor that :meth:`Writer.tensor` wrote. It lives in the buffer that came in."""
        import torch

        try:
            dtype_name, shape, index = fields
            if dtype_name not in _DTYPES:
                raise WireError(f"There is no dtype {dtype_name!r}.")
            dtype = getattr(torch, dtype_name)
            _check_shape(shape)
            if index is None:
                return torch.empty(shape, dtype=dtype, device="meta")
            data = self._buffers[index]
            if not data:
                return torch.empty(0, dtype=dtype).reshape(shape)
            # a byte that is neither 0 nor 1 would make a truth value that is neither equal to True nor to False
            plain = torch.frombuffer(data, dtype=torch.uint8 if dtype is torch.bool else dtype)
            return (plain.ne(0) if dtype is torch.bool else plain).reshape(shape)
        except WireError:
            raise
        except Exception as error:
            raise WireError(f"What came in is not a tensor ({type(error).__name__}).") from error

    def _array(self, dtype: str, shape: list[int], index: int) -> np.ndarray:
        if _ARRAY_DTYPE.fullmatch(dtype) is None:
            raise WireError("An array holds something that is not plain data.")
        _check_shape(shape)
        kind = np.dtype(dtype)
        data = self._buffers[index]
        if kind.kind == "b":
            return (np.frombuffer(data, dtype=np.uint8) != 0).reshape(shape)
        array = (np.frombuffer(data, dtype=kind) if data else np.empty(0, dtype=kind)).reshape(shape).copy()
        for said in array.ravel().tolist() if kind.kind in "SU" else ():
            self._hear(said)
        return array


def _check_shape(shape: Any) -> None:
    for size in shape:
        if type(size) is not int or size < 0:
            raise WireError("A shape is not a list of sizes.")
