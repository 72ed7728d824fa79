"""Lists, dictionaries and sets that both ends have: one that is changed at one end is changed at the other.

A test that appends to a list which is an attribute of a learner's object has appended to the learner's list. What is
in a container counts by identity, so that looking for changes costs little; large ones are not kept in step.
"""

from __future__ import annotations

import operator
from typing import Any

MOST = 10_000  # items of a container that is kept in step


class Live:
    """The containers of one end that the other end has too, by number."""

    def __init__(self) -> None:
        self._entries: dict[int, tuple[Any, list[Any]]] = {}
        self._numbers: dict[int, int] = {}

    def put(self, number: int, container: Any) -> None:
        """The other end has this container, as it is now."""
        self._entries[number] = container, _items(container)
        self._numbers[id(container)] = number

    def get(self, number: int) -> Any:
        """The container of that number, or None."""
        entry = self._entries.get(number)
        return entry and entry[0]

    def number(self, container: Any) -> int | None:
        return self._numbers.get(id(container))

    def changes(self) -> list[tuple[int, Any]]:
        """Number and container of each that has changed since the other end heard of it. It then counts as heard."""
        changed = []
        for number, (container, known) in self._entries.items():
            now = _items(container)
            if len(now) != len(known) or not all(map(operator.is_, now, known)):
                changed.append((number, container))
                self._entries[number] = container, now
        return changed

    def clear(self) -> list[int]:
        """Keeps nothing in step any more; gives the numbers of what was."""
        numbers = list(self._entries)
        self.drop(numbers)
        return numbers

    def drop(self, numbers: list[int]) -> None:
        for number in numbers:
            container, _ = self._entries.pop(number, (None, None))
            self._numbers.pop(id(container), None)


def _items(container: Any) -> list[Any]:
    if isinstance(container, dict):
        return [*container.keys(), *container.values()]
    return list(container)


def refill(container: Any, items: Any) -> None:
    """Makes a list, dict or set hold these items (pairs, for a dict), and no others."""
    container.clear()
    if isinstance(container, list):
        container.extend(items)
    elif isinstance(container, dict):
        for key, value in items:  # a Counter's own update would count
            container[key] = value
    else:
        container.update(items)
