"""What a call depends on without being handed it: gradient mode, default dtype, and the state of random generators.

A judge sends it along, so that a learner's function runs as if it were called here: under the ``no_grad`` of the
test, with the seeds that the test set. A sandbox only says which generators its code has drawn from; the judge
moves its own on by a draw, so that setting the same seed again is seen to be a change.
"""

from __future__ import annotations

import ctypes
import pickle
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from autograder.wire import torch_module


class _Generator(NamedTuple):
    look: Callable[[], Any]  # at what is new when the state is
    state: Callable[[], Any]
    restore: Callable[[Any], None]
    draw: Callable[[], Any]


def _numpy_look() -> Any:
    """The state's own bytes (624 words and a position): numpy takes a tenth of a millisecond to give it as numbers."""
    generator = np.random.get_bit_generator()  # type: ignore[attr-defined]
    if type(generator) is not np.random.MT19937:
        return pickle.dumps(np.random.get_state(legacy=False))
    return ctypes.string_at(generator.ctypes.state_address, 625 * 4)


def _set_torch_state(state: bytes) -> None:
    torch = sys.modules["torch"]
    torch.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))


def _torch_state() -> bytes:
    return bytes(sys.modules["torch"].get_rng_state().numpy())


GENERATORS = {
    "random": _Generator(random.getstate, random.getstate, random.setstate, random.random),
    "numpy": _Generator(_numpy_look, np.random.get_state, np.random.set_state, np.random.random),
    "torch": _Generator(_torch_state, _torch_state, _set_torch_state, lambda: sys.modules["torch"].rand(())),
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
            look = GENERATORS[name].look()
            if self._known.get(name) != look:
                self._known[name] = look
                names.append(name)
        return names

    def changed(self) -> dict[str, Any]:
        """The states that are new since the last look."""
        return {name: GENERATORS[name].state() for name in self.moved()}

    def restore(self, states: dict[str, Any]) -> None:
        for name in _imported():
            if name in states:
                GENERATORS[name].restore(states[name])
                self._known[name] = GENERATORS[name].look()

    def draw(self, names: Any) -> None:
        """Moves these generators on, which the other end has drawn from."""
        for name in _imported():
            if name in names:
                GENERATORS[name].draw()
                self._known[name] = GENERATORS[name].look()


def mode() -> dict[str, Any] | None:
    """torch's gradient mode and default dtype, where they are not those that it starts with."""
    if (torch := torch_module()) is None:
        return None
    grad, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
    return None if grad and dtype is torch.float32 else {"grad": grad, "dtype": str(dtype).removeprefix("torch.")}


@contextmanager
def gradients_kept() -> Iterator[None]:
    """Leaves torch's gradient mode as it was: what a learner's call switches off is off in no later call."""
    torch = torch_module()
    on = torch is None or torch.is_grad_enabled()
    try:
        yield
    finally:
        if (torch := torch_module()) is not None:
            torch.set_grad_enabled(on)


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
