"""What a call depends on without being handed it: gradient mode, default dtype, and the state of random generators.

A judge sends it along, so that a learner's function runs as if it were called here: under the ``no_grad`` of the
test, with the seeds that the test set. A sandbox only says which generators its code has drawn from; the judge
moves its own on by a draw, so that setting the same seed again is seen to be a change.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from autograder.wire import torch_module


class _Generator(NamedTuple):
    state: Callable[[], Any]
    restore: Callable[[Any], None]
    draw: Callable[[], Any]


def _numpy_state() -> Any:
    kind, keys, *rest = np.random.get_state(legacy=True)
    return (kind, np.asarray(keys).tobytes(), *rest)


def _set_numpy_state(state: Any) -> None:
    kind, keys, *rest = state
    np.random.set_state((kind, np.frombuffer(keys, dtype=np.uint32), *rest))


def _set_torch_state(state: bytes) -> None:
    torch = sys.modules["torch"]
    torch.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))


GENERATORS = {
    "random": _Generator(random.getstate, random.setstate, random.random),
    "numpy": _Generator(_numpy_state, _set_numpy_state, np.random.random),
    "torch": _Generator(
        lambda: bytes(sys.modules["torch"].get_rng_state().numpy()),
        _set_torch_state,
        lambda: sys.modules["torch"].rand(()),
    ),
}


def _imported() -> list[str]:
    return [name for name in GENERATORS if name in sys.modules]


class Random:
    """The global random generators of this process, and what the other end knows of their states."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}
        self.moved()

    def moved(self) -> list[str]:
        """The generators whose states are not what they were at the last look."""
        names = []
        for name in _imported():
            state = GENERATORS[name].state()
            if self._known.get(name) != state:
                self._known[name] = state
                names.append(name)
        return names

    def changed(self) -> dict[str, Any]:
        """The states that are new since the last look."""
        return {name: self._known[name] for name in self.moved()}

    def restore(self, states: dict[str, Any]) -> None:
        for name in _imported():
            if name in states:
                GENERATORS[name].restore(states[name])
                self._known[name] = states[name]

    def draw(self, names: Any) -> None:
        """Moves these generators on, which the other end has drawn from."""
        for name in _imported():
            if name in names:
                GENERATORS[name].draw()
                self._known[name] = GENERATORS[name].state()


def mode() -> dict[str, Any] | None:
    """torch's gradient mode and default dtype, where they are not those that it starts with."""
    if (torch := torch_module()) is None:
        return None
    grad, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
    return None if grad and dtype is torch.float32 else {"grad": grad, "dtype": str(dtype).removeprefix("torch.")}


@contextmanager
def in_mode(said: Any) -> Iterator[None]:
    """Runs a block in another process's mode."""
    torch = torch_module()
    if torch is None or type(said) is not dict:
        yield
        return
    before = torch.get_default_dtype()
    dtype = getattr(torch, said["dtype"]) if said.get("dtype") in ("float16", "bfloat16", "float64") else torch.float32
    with torch.set_grad_enabled(said.get("grad") is not False):
        torch.set_default_dtype(dtype)
        try:
            yield
        finally:
            torch.set_default_dtype(before)
