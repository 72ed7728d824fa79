"""Lists, dictionaries and sets that both ends have: one that is changed at one end is changed at the other.

A test that appends to a list which is an attribute of a learner's object has appended to the learner's list. What is
in a container counts by identity, so that looking for changes costs little; large ones are not kept in step, nor
is what nobody but the mechanism itself refers to any more, at either end. A sandbox gives what it sends positive
numbers, a judge negative ones.

Random generators and streams in memory are no containers, but go there and back with a call as these do, by what
they say of their state.
"""

from __future__ import annotations

import collections
import io
import operator
import pickle
import random
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

MOST = 10_000  # items of a container that is kept in step
FEW = 1_000  # containers, and items of a message: what comes on top is looked at when the question has been answered


class Live:
    """The containers of one end that the other end has too, by number."""

    def __init__(self) -> None:
        self._entries: dict[int, tuple[Any, list[Any]]] = {}
        self._resting: dict[int, tuple[Any, list[Any]]] = {}  # known by their numbers, but not looked at for now
        self._numbers: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._entries) + len(self._resting)

    def put(self, number: int, container: Any, *, rests: bool = False) -> None:
        """The other end has this container, as it is now."""
        entries = self._resting if rests or number in self._resting else self._entries
        entries[number] = container, held(container)
        self._numbers[id(container)] = number

    def wake(self) -> None:
        """From now on all are looked at."""
        self._entries |= self._resting
        self._resting.clear()

    def get(self, number: int) -> Any:
        """The container of that number, or None."""
        entry = self._entries.get(number) or self._resting.get(number)
        return entry and entry[0]

    def number(self, container: Any) -> int | None:
        return self._numbers.get(id(container))

    def changes(self) -> list[tuple[int, Any]]:
        """Number and container of each that has changed since the other end heard of it. It then counts as heard."""
        changed = []
        for number, (container, known) in self._entries.items():
            now = held(container)
            if not identical(now, known):
                changed.append((number, container))
                self._entries[number] = container, now
        return changed

    def let_go(self) -> list[int]:
        """Drops what nobody else at this end refers to: who has it at the other end has it alone. Gives the numbers."""
        # two refer to each: the entry, and the call
        numbers = [number for number, entry in self._entries.items() if sys.getrefcount(entry[0]) <= 2]
        self.drop(numbers)
        return numbers

    def clear(self) -> list[int]:
        """Keeps nothing in step any more; gives the numbers of what was."""
        numbers = [*self._entries, *self._resting]
        self.drop(numbers)
        return numbers

    def drop(self, numbers: list[int]) -> None:
        for number in numbers:
            entry = self._entries.pop(number, None) or self._resting.pop(number, None)
            if entry and self._numbers.get(id(entry[0])) == number:
                del self._numbers[id(entry[0])]


def held(container: Any) -> list[Any]:
    """What a container holds, keys first."""
    if isinstance(container, dict):
        return [*container.keys(), *container.values()]
    return list(container)


def identical(now: list[Any], old: list[Any]) -> bool:
    """Whether two lists hold the very same things."""
    return len(now) == len(old) and all(map(operator.is_, now, old))


class State(NamedTuple):
    """How the state of an object is read, as plain data, and given to another, which is of its kind."""

    look: Callable[[Any], Any]
    restore: Callable[[Any, Any], Any]


def _set_generator(generator: np.random.Generator, state: Any) -> None:
    generator.bit_generator.state = state


def _set_random_state(generator: np.random.RandomState, state: Any) -> None:
    if not 0 <= state[2] <= 624:  # numpy reads on from there without a look
        raise ValueError("A random generator's position is out of range.")
    generator.set_state(state)


def _rewrite(stream: Any, state: Any) -> None:
    if state is None:
        stream.close()
        return
    text, position = state
    stream.seek(0)
    stream.truncate()
    stream.write(text)
    stream.seek(position)


_STREAM = State(lambda stream: None if stream.closed else (stream.getvalue(), stream.tell()), _rewrite)
STATES = {
    random.Random: State(random.Random.getstate, random.Random.setstate),
    np.random.Generator: State(lambda generator: generator.bit_generator.state, _set_generator),
    np.random.RandomState: State(np.random.RandomState.get_state, _set_random_state),
    io.StringIO: _STREAM,
    io.BytesIO: _STREAM,
    bytearray: State(bytes, lambda array, state: operator.setitem(array, slice(None), state)),
}


def has_state(value: Any) -> bool:
    """Whether an object goes there and back by its state. Of numpy's generators, those of the usual kinds do."""
    kind = type(value)
    if kind is np.random.Generator:
        return type(value.bit_generator) is np.random.PCG64
    if kind is np.random.RandomState:
        return type(value.get_state()) is tuple
    return kind in STATES and not getattr(value, "closed", False)


def as_it_is(container: Any) -> Any:
    """What a later look at a container is compared with."""
    state = STATES.get(type(container))
    return container.copy() if state is None else pickle.dumps(state.look(container))


def refill(container: Any, items: Any) -> None:
    """Makes a list, dict or set hold these items (pairs, for a dict), and no others."""
    container.clear()
    if isinstance(container, list | collections.deque):
        container.extend(items)
    elif isinstance(container, dict):
        for key, value in items:  # a Counter's own update would count
            container[key] = value
    else:
        container.update(items)
