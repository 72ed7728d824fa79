"""What stands in a judge for a learner's objects, classes and exceptions.

A :class:`Remote` stands for something that stays in the sandbox. For a class that the learner defined, the judge
makes a class of its own: its instances are the remote ones, so that ``isinstance``, ``except``, ``match`` and class
statements of a test mean what they say. That something is of a class is the sandbox's word, and worth as much as a
subclass would be: it says nothing of behaviour.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import sys
import sysconfig
import traceback
import types
from abc import ABCMeta
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from enum import Enum, EnumType
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from autograder.operators import BINARY, CONVERSIONS, ORDER, UNARY
from autograder.wire import named_tuple

if TYPE_CHECKING:
    from autograder.judge.remote import Client

# Libraries that run tests. Their exceptions skip a test, or end it as if it had passed: no learner may say that.
_FRAMEWORKS = frozenset({"_pytest", "doctest", "hypothesis", "pytest", "unittest"})

_ABSENT = object()
MAX_ITEMS = 10**6  # that a learner's object in the place of a list may have

# Methods that are handed an expected value and say whether it is the right one.
COMPARISONS = frozenset(
    {"allclose", "array_equal", "compare", "compare_total", "endswith", "eq", "equal", "equals", "equiv", "fullmatch"}
    | {"difference", "dist", "isin", "symmetric_difference"}
    | {"assert_any_call", "assert_called", "assert_called_once", "assert_called_once_with", "assert_called_with"}
    | {"assert_has_calls", "assert_not_called"}
    | {"ge", "gt", "is_close", "is_equal", "isclose", "isdisjoint", "issubset", "issuperset", "le", "lt", "match"}
    | {"ne", "samefile", "startswith", "__eq__", "__ge__", "__gt__", "__le__", "__lt__", "__ne__", "__contains__"}
)

# Methods of data that are handed an expected value, which an object in the place of data has no other use for.
OF_DATA = frozenset(
    {"add", "count", "difference_update", "div", "dot", "find", "get", "index", "intersection", "intersection_update"}
    | {"matmul", "mul", "multiply", "replace", "rfind", "rindex", "split", "sub", "subtract", "union"}
    | {"symmetric_difference_update"}
)

# Builtin classes of learners' objects that a test may ask for. Those of data cross by value.
_ASKED_FOR = {
    "builtins:function": types.FunctionType,
    "builtins:method": types.MethodType,
    "builtins:generator": types.GeneratorType,
    "builtins:coroutine": types.CoroutineType,
    "builtins:async_generator": types.AsyncGeneratorType,
    "builtins:code": types.CodeType,
    "builtins:property": property,
    "builtins:staticmethod": staticmethod,
    "builtins:classmethod": classmethod,
    "numpy.random._generator:Generator": np.random.Generator,
    "numpy.random.mtrand:RandomState": np.random.RandomState,
    "re:Match": re.Match,
}

AWAITED = frozenset(
    {"builtins:coroutine", "builtins:async_generator_asend", "builtins:async_generator_athrow"}
    | {"_asyncio:Future", "_asyncio:Task"}
)


class LearnersText(str):
    """A learner's docstring or annotation, or what an object says of itself. A test that runs it runs it there."""

    def __reduce__(self) -> Any:
        return str, (str.__str__(self),)


class LearnerError(Exception):
    """An exception of a class that cannot be had here."""


class LearnerExit(BaseException):
    """The learner's code raised KeyboardInterrupt or the like: not an ``Exception`` here either."""


class LearnerSystemExit(LearnerExit, SystemExit):
    """The learner's code raised SystemExit: a test may expect it, and its ``code``."""


def attribute(client: Client, holder: Any, name: str) -> Any:
    """An attribute of what stays with the learner; raises TypeError for a method that would say whether it is right."""
    kind = _class_behind(holder)
    special = name.startswith("__")
    known = client.defines(kind, name) if special else name in client.methods
    found = None if name in COMPARISONS and not known else client.do("getattr", holder, name)
    imitates = name in OF_DATA and isinstance(kind, RemoteClass) and is_remote(found)  # a method, and not what it holds
    if not known and (name in COMPARISONS or imitates):
        raise TypeError(f"A learner's object does not compare itself ({name}). Look at what it holds.")
    if name == "co_filename":
        client.alone = False  # what is read there decides too, and who answers so need not have written that
        if found not in client.cells:
            return "<not in the notebook>"  # nor in any file here: whoever asks for source would read it
    return _marked(name, found)


def _class_behind(holder: Any) -> type:
    """The class whose word counts: a learner's class itself, or that of an object."""
    return holder if isinstance(holder, RemoteClass) else type(holder)


def _marked(name: str, found: Any) -> Any:
    """An attribute that came from the sandbox; of one whose text may be run, as a learner's text."""
    if name == "__annotations__" and type(found) is dict:
        return {key: LearnersText(kind) if type(kind) is str else kind for key, kind in found.items()}
    if name == "__globals__":  # by which doctest tells the functions of a notebook from others
        return vars(sys.modules["__main__"])
    if name == "__doc__":  # of which whoever wants examples makes a text, whatever it is
        return LearnersText(found) if type(found) is str else None
    return found


class Remote:
    """A learner's object. It does what is asked of it, but never answers ``==`` or truth for itself.

    It does where the reference solution's own classes define how. Here is what all have, and shows of none.
    """

    __slots__ = ("__weakref__", "_judges_client", "_judges_items", "_judges_kind", "_judges_number")

    def __init_subclass__(cls) -> None:
        """What a library's class does to those derived from it was done there, to the learner's own."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        if isinstance(type(self), RemoteClass):
            return _body(type(self)).get("_given", type(self))
        return _ASKED_FOR.get(self._judges_kind) or library_class(self._judges_kind) or Remote

    def __getattribute__(self, name: str) -> Any:
        if name in _OWN:
            return object.__getattribute__(self, name)
        client = object.__getattribute__(self, "_judges_client")
        if name.startswith(_NOT_ASKED):
            raise AttributeError(name)  # nothing of the learner's decides how a judge shows or converts things
        if name == "__dataclass_fields__":
            return getattr(type(self), name)
        if (given := _of_given(client, type(self), name)) is not _ABSENT:
            return given.__get__(self, type(self))
        if name == "send" and object.__getattribute__(self, "_judges_kind") == "builtins:coroutine":
            return functools.partial(_finish, client, self)
        return attribute(client, self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._judges_client.do("setattr", self, name, value)

    def __delattr__(self, name: str) -> None:
        self._judges_client.do("delattr", self, name)

    def __dir__(self) -> Any:
        return self._judges_client.do("dir", self)

    def _listed(self) -> list[Any] | None:
        """What an object in the place of a container holds, looked at once: it cannot say one thing and then another.

        None for what has no length, and for an instance of a class whose length or items the solution defines.
        """
        if self._judges_items is None:
            object.__setattr__(self, "_judges_items", _look(self._judges_client, self))
        return None if self._judges_items is None else self._judges_items[1]

    def __bool__(self) -> bool:
        if self._judges_client.defines(type(self), "__bool__", "__len__"):
            return bool(self._judges_client.do("bool", self))
        items = self._listed()
        return items is None or len(items) > 0  # as Python has it for what does not say: it is there

    def __str__(self) -> str:
        return LearnersText(self._judges_client.do("str", self))

    def __repr__(self) -> str:
        if self._judges_client.defines(type(self), "__repr__"):
            return LearnersText(self._judges_client.do("repr", self))
        return f"<the learner's {(self._judges_kind or type(self).__name__).rpartition(':')[2]}>"

    def __format__(self, spec: str) -> str:
        return str(self._judges_client.do("format", self, spec))

    def __copy__(self) -> Any:
        return self._judges_client.do("copy", self)

    def __deepcopy__(self, memo: Any) -> Any:
        return self._judges_client.do("deepcopy", self)

    def __reduce_ex__(self, protocol: Any) -> Any:
        _pickled.append(Remote.__deepcopy__(self, {}))
        return unpickled, (len(_pickled) - 1,)


_pickled: list[Remote] = []  # copies of the learner's objects that a test has pickled


def unpickled(place: int) -> Any:
    """A copy of an object that a test has pickled here."""
    return Remote.__deepcopy__(_pickled[place], {})


def reference(kind: type[Remote], client: Client, number: int, name: str | None) -> Remote:
    """What stands for an object. No ``__init__`` makes it: ``super().__init__()`` of a test's would find that."""
    made = object.__new__(kind)
    for own, value in (("client", client), ("number", number), ("kind", name), ("items", None)):
        object.__setattr__(made, f"_judges_{own}", value)
    return made


class RemoteThing(Remote):
    """A learner's object of no class of the learner's: what it can do shows when it is asked to."""

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._judges_client.do("call", self, args, kwargs)

    # -- as a container ---------------------------------------------------------------------------------------

    def __len__(self) -> int:
        if (items := self._listed()) is not None:
            return len(items)
        if self._judges_client.defines(type(self), "__len__"):
            return self._judges_client.do("len", self)
        raise TypeError(f"object of type {(self._judges_kind or type(self).__name__)!r} has no len()")

    def __iter__(self) -> Iterator[Any]:
        items = self._listed()
        return iter(items) if items is not None else self._judges_client.do("iter", self)

    def __reversed__(self) -> Iterator[Any]:
        items = self._listed()
        return reversed(items) if items is not None else self._judges_client.do("reversed", self)

    def __getitem__(self, key: Any) -> Any:
        if type(key) in (int, slice) and (items := self._listed()) is not None and self._judges_items[0]:
            return items[key]
        return self._judges_client.do("getitem", self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._judges_client.do("setitem", self, key, value)

    def __delitem__(self, key: Any) -> None:
        self._judges_client.do("delitem", self, key)

    def __next__(self) -> Any:
        if self._judges_kind == "builtins:coroutine":  # as an event loop asks of what it has been given to run
            _finish(self._judges_client, self)
        return self._judges_client.do("next", self)

    def __contains__(self, item: Any) -> bool:
        if self._judges_client.defines(type(self), "__contains__"):
            return self._judges_client.do("contains", self, item)
        return any(held is item or held == item for held in self)

    # -- what only the solution's own classes may say -----------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if self is other or not self._judges_client.defines(type(self), "__eq__"):
            return self is other
        return bool(self._judges_client.do("eq", self, other))

    def __hash__(self) -> int:
        return self._judges_client.do("hash", self) if self._judges_client.defines(type(self), "__hash__") else id(self)

    # -- as what a statement works with ---------------------------------------------------------------------------

    def __enter__(self) -> Any:
        return self._judges_client.do("enter", self)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: object) -> bool:
        return _ends(self, "exit", error)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._judges_client.do("aiter", self)

    async def __anext__(self) -> Any:
        return self._judges_client.do("anext", self)

    async def __aenter__(self) -> Any:
        return self._judges_client.do("aenter", self)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, where: object) -> bool:
        return _ends(self, "aexit", error)


def _ends(manager: Remote, way: str, error: BaseException | None) -> bool:
    """Leaves a learner's context manager; whether an error ends there."""
    client = manager._judges_client
    return bool(client.do(way, manager, _told(error))) and _may_be_swallowed(client, error)


def _told(error: BaseException | None) -> BaseException | None:
    """What a learner's context manager is told of an error: of a failed assertion not what it expected."""
    return AssertionError() if isinstance(error, AssertionError) else error


def _may_be_swallowed(client: Client, error: BaseException | None) -> bool:
    """Whether a learner's context manager may end an error: none of an assertion, or that came of learner's code.

    And none where the reference solution ends none: it may come of what the learner's code has given.
    """
    if not client.swallows or isinstance(error, AssertionError) or not isinstance(error, Exception):
        return False
    came_by = (frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__))
    return not any(name.startswith("autograder.judge.") for name in came_by)


class RemoteAwaitable(RemoteThing):
    """A learner's object that a test may wait for. Others must not look as if it could: mocks ask."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, Any]:
        yield from ()
        return self._judges_client.do("await", self)


def _finish(client: Client, coroutine: Remote, _: Any = None) -> NoReturn:
    """What an event loop of the test's does with a coroutine: here it runs to its end at once, in the sandbox."""
    raise StopIteration(client.do("await", coroutine))


_OWN = frozenset({*Remote.__slots__, "__class__", "__reduce_ex__", "_listed"})
_NOT_ASKED = ("_repr_", "_ipython_", "__array", "__torch", "__cuda", "_render_", "__dlpack", "__buffer")


def _look(client: Client, holder: Any) -> tuple[Any, list[Any]] | None:
    kind = _class_behind(holder)
    if client.defines(kind, "__len__", "__iter__", "__getitem__"):
        return None
    said = client.do("listed", holder)
    well_formed = type(said) is tuple and len(said) == 2 and type(said[1]) is list and len(said[1]) <= MAX_ITEMS
    return said if well_formed else None


def forget_items(value: Any, depth: int = 4) -> None:
    """What an object holds may change: it is handed to the learner's code, by itself or in a container."""
    if is_remote(value):
        object.__setattr__(value, "_judges_items", None)
    elif depth and type(value) in (tuple, list, dict) and len(value) < 1000:
        for one in value.values() if type(value) is dict else value:
            forget_items(one, depth - 1)


def is_remote(value: Any) -> bool:
    """Whether something stands for a learner's object. Its own word is not asked."""
    return issubclass(type(value), Remote)


def _operation(name: str) -> Callable[..., Any]:
    def operate(self: Remote, *operands: Any) -> Any:
        return self._judges_client.operate(name, self, *operands)

    return operate


def _reflected(name: str) -> Callable[[Remote, Any], Any]:
    def operate(self: Remote, other: Any) -> Any:
        return self._judges_client.operate(name, other, self)

    return operate


def _in_place(name: str) -> Callable[[Remote, Any], Any]:
    def operate(self: Remote, other: Any) -> Any:
        return self._judges_client.operate(name, self, other, in_place=True)

    return operate


for _name in (*UNARY, *ORDER, *BINARY, *CONVERSIONS):
    setattr(RemoteThing, f"__{_name.rstrip('_')}__", _operation(_name))
for _name in BINARY:
    setattr(RemoteThing, f"__r{_name.rstrip('_')}__", _reflected(_name))
    setattr(RemoteThing, f"__i{_name.rstrip('_')}__", _in_place(_name))


# Methods and more that what stands here has whatever the learner's class has; and those that it has where that has.
_ALWAYS = frozenset({"__delattr__", "__dir__", "__getattribute__", "__init__", "__init_subclass__", "__setattr__"})
_SPECIAL: dict[str, Any] = {
    name: held
    for kind in (Remote, RemoteThing, RemoteAwaitable)
    for name, held in vars(kind).items()
    if type(held) is types.FunctionType and name.startswith("__") and name not in _ALWAYS
}
# What of these a class has is its learner's word: neither ours nor, as for ``hasattr(kind, "__len__")``, its class's.
_LOOKED_FOR = _ALWAYS | {"__slots__"} | _SPECIAL.keys()

_ENUMS = frozenset(name for name in vars(Enum) if not name.startswith("__"))  # what each has of its own

# How a sandbox tells of them: a class's own, those of Python's and libraries' classes behind it, and which are None.
Special = list[list[str]]


def behind(kind: type) -> tuple[type, ...]:
    """A class and those that it is derived from here."""
    found: tuple[type, ...] = type.__getattribute__(kind, "__mro__")
    return found


def _body(kind: type) -> Mapping[str, Any]:
    """What a class holds here, of which one that stands for a learner's does not tell."""
    found: Mapping[str, Any] = type.__getattribute__(kind, "__dict__")
    return found


class RemoteClass(ABCMeta):
    """The class of classes that stand for a learner's. A class statement that names one makes one there, too."""

    _judges_client: Client
    _judges_number: int

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any], **keywords: Any) -> RemoteClass:
        client: Client = next(base._judges_client for base in bases if isinstance(base, RemoteClass))
        for kind in {kind for base in bases for kind in base.__mro__ if isinstance(kind, RemoteClass)}:
            _offer(kind)
        cell = {key: body.pop(key) for key in ("__classcell__",) if key in body}
        known = {"__module__": "__main__", "_abc_impl": _registry(), "_parents": bases}
        made = type.__new__(cls, name, bases, known | cell)
        number = client.do("class", name, bases, body, keywords)
        client.stands_for(made, number)
        define(client, made, [list(body), [], [name for name, held in body.items() if held is None]])
        return made

    def __init__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any], **keywords: Any) -> None:
        super().__init__(name, bases, body)

    @classmethod
    def make(
        cls,
        client: Client,
        number: int,
        name: str,
        doc: str | None,
        bases: tuple[type, ...],
        parents: tuple[type, ...],
        body: Mapping[str, Any] = MappingProxyType({}),
    ) -> RemoteClass:
        """The class that stands for one of the learner's, which has these parents there."""
        text = None if doc is None else LearnersText(doc)
        known = {"__module__": "__main__", "__doc__": text, "_abc_impl": _registry(), "_parents": parents or (object,)}
        made: RemoteClass = type.__new__(cls, name, bases, known | {**body})
        for own, value in (("_judges_client", client), ("_judges_number", number)):
            type.__setattr__(made, own, value)
        return made

    def mro(cls) -> list[type]:
        """Enumerations' classes are behind a learner's enumeration: their own class lets none else derive from them."""
        found = super().mro()
        parents = [kind for parent in _body(cls).get("_parents", ()) for kind in parent.__mro__]
        enums = [kind for kind in parents if type(kind) is EnumType and is_python(kind) and kind not in found]
        return [*found[:-1], *enums, found[-1]]

    def __getattribute__(cls, name: str) -> Any:
        """What is asked of a class about itself is the learner's class's, not that of what stands for it."""
        body = type.__getattribute__(cls, "__dict__")
        if name in _TOLD and "_judges_number" in body:
            return _TOLD[name](cls)
        if name in _LOOKED_FOR:
            kinds = behind(cls)
            if not any(name in _body(kind).get("_told", ()) for kind in kinds):
                return getattr(super(next(kind for kind in kinds if kind in (Remote, RemoteError, _Named)), cls), name)
            if name not in _SPECIAL:
                raise AttributeError(name)  # so that it is asked for
        if name in _ENUMS and issubclass(cls, Enum):
            raise AttributeError(name)
        return type.__getattribute__(cls, name)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return cls._judges_client.do("call", cls, args, kwargs)

    def __getattr__(cls, name: str) -> Any:
        if name in ("_judges_client", "_judges_number") or name.startswith(_NOT_ASKED):  # numpy and torch ask the class
            raise AttributeError(name)
        found = attribute(cls._judges_client, cls, name)
        return _fields(found) if name == "__dataclass_fields__" else found

    def __setattr__(cls, name: str, value: Any) -> None:
        if name.startswith(("_abc_", "__abstract")):
            type.__setattr__(cls, name, value)
        else:
            cls._judges_client.do("setattr", cls, name, value)

    def __delattr__(cls, name: str) -> None:
        cls._judges_client.do("delattr", cls, name)

    def __dir__(cls) -> Any:
        return cls._judges_client.do("dir", cls)

    @property
    def __annotations__(cls) -> Any:  # type: ignore[override]
        return cls._judges_client.do("getattr", cls, "__annotations__")

    def __iter__(cls) -> Iterator[Any]:
        items = _members(cls)
        return iter(items) if items is not None else cls._judges_client.do("iter", cls)

    def __len__(cls) -> int:
        items = _members(cls)
        return len(items) if items is not None else cls._judges_client.do("len", cls)

    def __getitem__(cls, key: Any) -> Any:
        return cls._judges_client.do("getitem", cls, key)

    def __contains__(cls, item: Any) -> bool:
        return any(held is item for held in cls)

    def __bool__(cls) -> bool:
        return True


class _Inherited:
    """What a learner's class has under a name, for the ``super()`` of a class that a test derives from it."""

    def __init__(self, kind: RemoteClass, name: str) -> None:
        self._kind, self._name = kind, name

    def __get__(self, thing: Any, owner: type) -> Any:
        if thing is None:
            return attribute(self._kind._judges_client, owner, self._name)
        return self._kind._judges_client.do("inherited", self._kind, thing, self._name)


def _offer(kind: RemoteClass) -> None:
    """Has ``super()`` find what a learner's class defines; nothing else looks into the class that stands for it."""
    if Remote not in behind(kind) or "_offered" in _body(kind):
        return
    type.__setattr__(kind, "_offered", True)
    said = kind._judges_client.do("defined", kind)
    ours = COMPARISONS | {*_body(kind), "_members"}
    for name in said if type(said) is dict else ():
        if type(name) is str and name not in ours and (name == "__init__" or not name.startswith("__")):
            type.__setattr__(kind, name, _Inherited(kind, name))


def _members(kind: RemoteClass) -> list[Any] | None:
    """What a class holds that has a length, as enumerations do; looked at once."""
    if "_members" not in _body(kind):
        type.__setattr__(kind, "_members", _look(kind._judges_client, kind))
    found = _body(kind)["_members"]
    return None if found is None else found[1]


def _registry() -> Any:
    """What makes an abstract base class of a class. ABCMeta's own way would ask the sandbox while it is being read."""
    return ABCMeta("_", (), {})._abc_impl  # type: ignore[attr-defined]


def _held(kind: RemoteClass) -> MappingProxyType[str, Any]:
    """What a learner's class holds itself: what could compare only as it may, and no text to run here."""
    if given := _body(kind).get("_given"):
        return vars(given)
    said = kind._judges_client.do("defined", kind)
    held = {name: _marked(name, one) for name, one in said.items()} if type(said) is dict else {}
    for name in held.keys() & (COMPARISONS | _SPECIAL.keys()):
        if held[name] is not None:
            held[name] = _SPECIAL.get(name, _Inherited(kind, name))
    return MappingProxyType(held)


def _bases(kind: RemoteClass) -> tuple[type, ...]:
    if given := _body(kind).get("_given"):
        return given.__bases__
    return tuple(_body(parent).get("_given", parent) for parent in _body(kind)["_parents"])


def _mro(kind: RemoteClass) -> tuple[type, ...]:
    if given := _body(kind).get("_given"):
        return given.__mro__
    bases = _bases(kind)
    return kind, *functools._c3_merge([*(list(base.__mro__) for base in bases), list(bases)])  # type: ignore[attr-defined]


_TOLD: dict[str, Callable[[RemoteClass], Any]] = {
    "__base__": lambda kind: _bases(kind)[0],
    "__bases__": _bases,
    "__dict__": _held,
    "__flags__": lambda kind: kind._judges_client.do("getattr", kind, "__flags__"),  # whether it is abstract
    "__mro__": _mro,
    "mro": lambda kind: functools.partial(list, _mro(kind)),
}


def _fields(said: Any) -> dict[str, Any]:
    """The fields of a learner's dataclass, as fields of this process: what dataclasses asks for is here."""
    made = {}
    for name, held in said.items() if type(said) is dict else ():
        known = {what: getattr(held, what) for what in ("init", "repr", "hash", "kw_only")}
        is_name = type(name) is str and name.isidentifier()  # else it would be code in what dataclasses makes of it
        if is_name and all(one is None or type(one) is bool for one in known.values()):
            field: Any = dataclasses.field(**known)
            field.name, field.type = name, held.type
            field._field_type = dataclasses._FIELD  # type: ignore[attr-defined]
            made[name] = field
    return made


class RemoteError(Exception):
    """An exception of a class that the learner defined: its arguments are here, its other attributes there."""

    def __getattr__(self, name: str) -> Any:
        held = vars(self).get("held")
        if held is None or name.startswith("_"):
            raise AttributeError(name)
        return getattr(held, name)

    def __str__(self) -> str:
        return vars(self).get("text", "")


class _Named:
    """What of a learner's named tuples is neither a field nor tuples' own: that is asked for."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        kind: Any = type(self)
        if name.startswith("_") or not isinstance(kind, RemoteClass):
            raise AttributeError(name)
        return attribute(kind._judges_client, self, name)


def class_of(
    client: Client, number: int, name: str, doc: str | None, parents: list[type | None], fields: tuple[str, ...] | None
) -> type:
    """A class to stand for one of the learner's, whose bases are these; None is for one that is not known here.

    One with fields is a class of named tuples, which are here as tuples.
    """
    known = tuple(parent for parent in parents if parent is not None)
    if fields is not None:
        return RemoteClass.make(client, number, name, doc, (_Named, named_tuple(name, fields)), known)
    errors = tuple(parent for parent in known if issubclass(parent, Exception))
    if errors:
        first = () if any(issubclass(parent, RemoteError) for parent in errors) else (RemoteError,)
        return RemoteClass.make(client, number, name, doc, (*first, *errors), known)
    own = tuple(parent for parent in known if issubclass(parent, Remote))
    plain = tuple(p for p in known if not issubclass(p, Remote) and type(p) in (type, ABCMeta) and is_python(p))
    given = next(filter(_is_given, plain), None)
    body = {} if given is None else _said_here(given)
    try:
        return RemoteClass.make(client, number, name, doc, (*(own or (Remote,)), *plain), known, body)
    except TypeError:  # bases that do not go together
        return RemoteClass.make(client, number, name, doc, own[:1] or (Remote,), known)


def define(client: Client, kind: type, special: Special) -> None:
    """Gives a class that stands for a learner's the special methods that the sandbox says it has, and no others."""
    if not isinstance(kind, RemoteClass):
        return
    own, more, none = map(set, special)
    body, told = _body(kind), own | more
    given = next((one["_given"] for one in map(_body, behind(kind)) if "_given" in one), None)
    if not issubclass(kind, Remote):
        has = set()
    elif given is None:
        has = told & _SPECIAL.keys()
    elif "_given" in body:  # what it says of itself it has already, from the instructor's class
        told = {name for one in given.__mro__[:-1] for name in vars(one)}
        has = (own | told) & _SPECIAL.keys() - _SAID - (body.keys() - body.get("_has", set()))
    else:  # the instructor's class behind it says what the solution's classes do not
        has = {name for name in own & _SPECIAL.keys() if name not in _SAID or client.defines(kind, name)}
    for name in body.get("_has", set()) - has:
        type.__delattr__(kind, name)
    for name in has:
        type.__setattr__(kind, name, None if name in none else _SPECIAL[name])
    type.__setattr__(kind, "_has", has)
    type.__setattr__(kind, "_told", told)


# What an object says of itself by its class: of a class that an instructor's cell defines, it is said here.
_SIGNS = frozenset(
    f"__{name.rstrip('_')}__" for name in (*ORDER, *(f"{way}{name}" for way in ("", "r", "i") for name in BINARY))
)
_SAID = _SIGNS | {f"__{name}__" for name in (*UNARY, *CONVERSIONS, "bool", "eq", "format", "hash", "ne", "repr", "str")}
_HOLDS = frozenset({"__contains__", "__getitem__", "__iter__", "__len__", "__reversed__"})


def _said_here(given: type) -> dict[str, Any]:
    """What the class that stands for the learner's copy of an instructor's has of it: how it compares, computes, shows.

    That runs here, over attributes that are asked for there: what a learner makes of the class changes none of it.
    """
    bodies = [vars(kind) for kind in given.__mro__ if _is_given(kind)]
    said = {name: next((body[name] for body in bodies if name in body), _ABSENT) for name in _SAID | _HOLDS}
    found: dict[str, Any] = {name: own for name, own in said.items() if own is None or type(own) is types.FunctionType}
    if "__bool__" not in found:
        found["__bool__"] = (lambda self: len(self) > 0) if "__len__" in found else lambda self: True
    return found | {"_given": given}


def _of_given(client: Client, kind: type, name: str) -> Any:
    """The method or property that an instructor's class has under a name: it runs here, whatever a learner makes of it.

    A class that is derived from one has its own where the reference solution has a class of that name.
    """
    for one in behind(kind) if isinstance(kind, RemoteClass) and not name.startswith("__") else ():
        if (given := _body(one).get("_given")) is not None:
            held = next((vars(base)[name] for base in given.__mro__ if name in vars(base) and _is_given(base)), None)
            return held if isinstance(held, types.FunctionType | property | classmethod | staticmethod) else _ABSENT
        if isinstance(one, RemoteClass) and name in client.solution_has(one.__name__):
            return _ABSENT
    return _ABSENT


def _is_given(kind: type) -> bool:
    """Whether a class is an instructor's: of a cell, or of a module that the assignment ships."""
    return kind.__module__ == "__main__" or _is_shipped(kind.__module__)


def _is_shipped(module: str) -> bool:
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and not installed(module) and Path(file).is_relative_to(Path.cwd())


@functools.cache
def installed(module: str) -> bool:
    """Whether a module belongs to Python or to an installed library, which both processes have alike."""
    if module.partition(".")[0] == "autograder":
        return False
    file = getattr(sys.modules[module], "__file__", None)
    if file is None:
        return module in sys.builtin_module_names
    paths = [sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    return any(Path(file).is_relative_to(path) for path in paths)


def library_warning(name: Any) -> type[Warning] | None:
    """A class of warnings of an installed library."""
    found = _found(name)
    return found if found is not None and issubclass(found, Warning) else None


@functools.cache
def library_error(name: Any) -> type[RemoteError] | None:
    """A class of exceptions of an installed library, to raise here what was raised there."""
    found = _found(name)
    if found is None or not issubclass(found, Exception):
        return None
    return type(found.__name__, (RemoteError, found), {})


def library_class(name: Any) -> type | None:
    """A class written in Python, of an installed library that the judge has imported, by module:qualname."""
    found = _found(name)
    return found if found is not None and is_python(found) else None


def known_class(name: Any) -> type | None:
    """Any class of an installed library that the judge has imported: to be named among a class's bases, no more."""
    return _found(name)


def shipped_class(name: Any) -> type | None:
    """A class of a module that the assignment ships and the judge has imported, by module:qualname."""
    return _found(name, _is_shipped)


def _found(name: Any, known: Callable[[str], bool] = installed) -> type | None:
    module, _, qualname = str(name).partition(":")
    found: Any = sys.modules.get(module)
    if module in ("builtins", "__main__") or type(found) is not types.ModuleType or not known(module):
        return None
    for part in qualname.split("."):  # looked up in dictionaries: a module's own __getattr__ may import
        found = vars(found).get(part) if isinstance(found, types.ModuleType | type) else None
    if not isinstance(found, type) or (issubclass(found, Exception) and module.partition(".")[0] in _FRAMEWORKS):
        return None
    return found


def contents(container: Any) -> list[Any]:
    """What a list, dict or set holds; pairs, for a dict."""
    return list(container.items()) if isinstance(container, dict) else list(container)


def is_python(kind: type) -> bool:
    """Whether a class is written in Python: code in C would take a stand-in for an instance of one that is not."""
    added = (c for c in kind.__mro__[:-1] if c.__basicsize__ != (c.__base__ or object).__basicsize__)
    return all("__slots__" in vars(c) or "__weakref__" in vars(c) for c in added)


def well_formed(tree: Any, depth: int = 0) -> bool:
    """Whether this is how a sandbox describes a class: a name, or [number, name, doc, bases, fields or None, special].

    For the last see :data:`Special`.
    """
    if type(tree) is str:
        return True
    if type(tree) is not list or len(tree) != 6 or depth > 20:
        return False
    number, name, doc, bases, fields, special = tree
    if fields is not None and not _is_texts(fields):
        return False
    if type(special) is not list or len(special) != 3 or not all(_is_texts(names) for names in special):
        return False
    if type(number) is not int or type(name) is not str or not (doc is None or type(doc) is str):
        return False
    return type(bases) is list and all(well_formed(base, depth + 1) for base in bases)


def _is_texts(names: Any) -> bool:
    return type(names) is list and all(type(one) is str for one in names)
