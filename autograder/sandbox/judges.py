"""What stands in a sandbox for what stays in the judge: functions, and objects of the classes that a test defines."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from autograder.operators import BINARY, CONVERSIONS, ORDER, UNARY

if TYPE_CHECKING:
    from autograder.sandbox.session import Session


class Callback:
    """A function that stays in the judge: calling it here runs it there."""

    def __init__(self, session: Session, number: int, name: str, doc: str | None) -> None:
        self._session, self._number = session, number
        self.__name__ = self.__qualname__ = name
        self.__doc__ = doc

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._session.call_back(self._number, args, kwargs)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __copy__(self) -> Callback:
        return self  # as a function is its own copy

    def __deepcopy__(self, memo: Any) -> Callback:
        return self


class JudgesObject:
    """An object that stays in the judge: what is done with it here is done with it there."""

    __slots__ = ("__weakref__", "_sandbox_named", "_sandbox_number", "_sandbox_session")

    def __init__(self, session: Session, number: int, named: str) -> None:
        for name, value in (("_sandbox_session", session), ("_sandbox_number", number), ("_sandbox_named", named)):
            object.__setattr__(self, name, value)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """The class of that name here, if an instructor's cell has defined it on both sides."""
        return self._sandbox_session.class_named(self._sandbox_named) or type(self)

    def __getattr__(self, name: str) -> Any:
        return self._sandbox_session.ask_object("getattr", self._sandbox_number, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._sandbox_session.ask_object("setattr", self._sandbox_number, name, value)

    def __delattr__(self, name: str) -> None:
        self._sandbox_session.ask_object("delattr", self._sandbox_number, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._sandbox_session.ask_object("call", self._sandbox_number, args, kwargs)

    def __iter__(self) -> Iterator[Any]:
        items = self._sandbox_session.ask_object("items", self._sandbox_number)
        return items if items is self else iter(items)

    def __next__(self) -> Any:
        return self._sandbox_session.ask_object("next", self._sandbox_number)

    def __exit__(self, kind: Any, error: BaseException | None, where: Any) -> Any:
        return self._sandbox_session.ask_object("exit", self._sandbox_number, error)

    def __copy__(self) -> Any:
        return self._sandbox_session.ask_object("copy", self._sandbox_number)

    def __deepcopy__(self, memo: Any) -> Any:
        return self._sandbox_session.ask_object("deepcopy", self._sandbox_number)

    def __ne__(self, other: object) -> Any:
        return not self == other


def _operation(what: str) -> Callable[..., Any]:
    def operate(self: JudgesObject, *operands: Any) -> Any:
        return self._sandbox_session.ask_object(what, self._sandbox_number, *operands)

    return operate


def _reflected(what: str) -> Callable[..., Any]:
    def operate(self: JudgesObject, other: Any) -> Any:
        return self._sandbox_session.ask_object(f"r{what}", self._sandbox_number, other)

    return operate


for _name in ("eq", "len", "str", "repr", "hash", "bool", *ORDER, *UNARY, *CONVERSIONS):
    setattr(JudgesObject, f"__{_name}__", _operation(_name))
for _name in ("getitem", "setitem", "delitem", "contains", "enter", "format"):
    setattr(JudgesObject, f"__{_name}__", _operation(_name))
for _name in BINARY:
    setattr(JudgesObject, f"__{_name.rstrip('_')}__", _operation(_name))
    setattr(JudgesObject, f"__i{_name.rstrip('_')}__", _operation(f"i{_name}"))
    setattr(JudgesObject, f"__r{_name.rstrip('_')}__", _reflected(_name))
