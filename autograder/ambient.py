"""What a call depends on without being handed it: torch's modes, random generators, and what a process has set.

A judge sends it along, so that a learner's function runs as if it were called here: under the ``no_grad`` of the
test, with the seeds, the environment and the precision that the test set. Of all that a sandbox only says the states
of generators that its code has seeded or drawn from, as plain data. They are taken over, once they are found to be
such, where the reference solution seeds generators too: else a learner could choose what a test will draw, and the
judge's are moved on by a draw, so that setting the same seed again is seen to be a change.
"""

from __future__ import annotations

import ctypes
import decimal
import os
import random
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import numpy as np

from autograder.frames import WireError
from autograder.wire import torch_module


class _Generator(NamedTuple):
    look: Callable[[], Any]  # at what is new when the state is
    state: Callable[[], Any]  # as plain data; None where it cannot be said
    restore: Callable[[Any], None]  # raises WireError for what no generator could have said
    draw: Callable[[], Any]


def _require(*well_formed: bool) -> None:
    if not all(well_formed):
        raise WireError("A random generator's state came that is none.")


def _parts(state: Any, number: int) -> tuple[Any, ...]:
    """The parts of a state, the first of which are the Mersenne twister's words."""
    _require(type(state) is tuple and len(state) == number and type(state[0]) is np.ndarray)
    _require(state[0].dtype == np.uint32, state[0].ndim == 1)
    return tuple(state)


def _python_state() -> Any:
    _, words, gauss = random.getstate()
    return np.array(words, dtype=np.uint32), gauss


def _set_python_state(state: Any) -> None:
    words, gauss = _parts(state, 2)
    _require(len(words) == 625 and words[624] <= 624, gauss is None or type(gauss) is float)
    random.setstate((random.Random.VERSION, tuple(words.tolist()), gauss))


class _Python:
    """Python's generator: to give its state takes it long, so that its memory is looked at, if that is as expected."""

    def __init__(self) -> None:
        self._generator: Any = random._inst
        said = random.getstate()[1]
        known = struct.pack("=i624I", said[624], *said[:624])
        place = id(self._generator) + object.__basicsize__
        is_there = random.Random.__basicsize__ >= object.__basicsize__ + len(known)
        self._place = place if is_there and ctypes.string_at(place, len(known)) == known else None

    def look(self) -> Any:
        """Its position and words, and the second of two normal numbers, which waits outside of these."""
        if self._place is None:
            return random.getstate()
        return ctypes.string_at(self._place, 625 * 4), self._generator.gauss_next


class _Numpy:
    """numpy's generator of old, where it is a Mersenne twister: numpy takes long to give its state, so that is kept."""

    def __init__(self) -> None:
        self._last: tuple[Any, ...] = (b"", 0, 0.0)

    def look(self) -> Any:
        """Its words and position, as bytes, and the second of two normal numbers, which waits outside of these."""
        if (words := self._words()) is None:
            return None
        if words != self._last[0] or self._last[1]:  # none begins to wait where nothing was drawn
            self._last = (words, *list(np.random.get_state())[3:])
        return self._last

    def state(self) -> Any:
        if self.look() is None:
            return None
        said, waits, gauss = self._last
        words = np.frombuffer(said, dtype=np.uint32)
        return words[:624], int(words[624]), waits, gauss

    def restore(self, state: Any) -> None:
        words, position, waits, gauss = _parts(state, 4)
        _require(len(words) == 624, type(position) is int and 0 <= position <= 624)  # numpy reads on from any other
        _require(type(waits) is int and waits in (0, 1), type(gauss) is float)
        if self._words() is not None:
            np.random.set_state(("MT19937", *state))
            self._last = self._words(), waits, gauss

    def _words(self) -> bytes | None:
        generator = np.random.get_bit_generator()  # type: ignore[attr-defined]
        is_usual = type(generator) is np.random.MT19937
        return ctypes.string_at(generator.ctypes.state_address, 625 * 4) if is_usual else None


# Of torch's generator on the CPU: seed, left, seeded, next, 624 words, normal numbers in two layouts.
_TORCH = struct.Struct("=QiiQ4992x3di4xfB3x")


def checked_torch_state(state: Any) -> Any:
    """A tensor that is a state; torch takes ones too with which it then reads on behind the words."""
    data = state.numpy().tobytes()
    _require(len(data) == _TORCH.size)
    _, left, seeded, place, *_, waits = _TORCH.unpack(data)
    _require(seeded == 1, 1 <= left <= 624 and place + left <= 625, waits in (0, 1))
    return state


def _torch_state() -> Any:
    return sys.modules["torch"].get_rng_state().numpy()


def _set_torch_state(state: Any) -> None:
    torch = sys.modules["torch"]
    _require(type(state) is np.ndarray and state.dtype == np.uint8)
    torch.set_rng_state(checked_torch_state(torch.from_numpy(state)))


_PYTHON, _NUMPY = _Python(), _Numpy()
GENERATORS = {
    "random": _Generator(_PYTHON.look, _python_state, _set_python_state, random.random),
    "numpy": _Generator(_NUMPY.look, _NUMPY.state, _NUMPY.restore, np.random.random),
    "torch": _Generator(
        lambda: _torch_state().tobytes(), _torch_state, _set_torch_state, lambda: sys.modules["torch"].rand(())
    ),
}


def _imported() -> list[str]:
    return [name for name in GENERATORS if name in sys.modules]


class Random:
    """The global random generators of this process, and what the other end knows of their states."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}
        self._moved()

    def _moved(self) -> list[str]:
        """The generators whose states are not what they were at the last look."""
        names = []
        for name in _imported():
            look = GENERATORS[name].look()
            if self._known.get(name) != look:
                self._known[name] = look
                names.append(name)
        return names

    def changed(self) -> dict[str, Any]:
        """The states that are new since the last look, as plain data."""
        states = {name: GENERATORS[name].state() for name in self._moved()}
        return {name: state for name, state in states.items() if state is not None}

    def restore(self, states: dict[str, Any]) -> None:
        _require(states.keys() <= GENERATORS.keys())
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

    def differ(self, names: Any) -> None:
        """The other end has moved these on by itself: it is to hear of their states here."""
        for name in names:
            self._known.pop(name, None)


_ENVIRONMENT = vars(os.environ)["_data"]  # of bytes; to take os.environ apart costs as much as all else here
_RECURSION, _DECIMAL = "recursion limit", "decimal"


def _settings() -> dict[Any, Any]:
    context = decimal.getcontext()
    return _ENVIRONMENT | {_RECURSION: sys.getrecursionlimit(), _DECIMAL: (context.prec, context.rounding)}


def _set(name: Any, value: Any) -> None:
    if name == _RECURSION:
        with suppress(RecursionError):  # it is deeper in calls than that already
            sys.setrecursionlimit(value)
    elif name == _DECIMAL:
        context = decimal.getcontext()
        context.prec, context.rounding = value
    elif value is None:
        os.environb.pop(name, None)
    else:
        os.environb[name] = value


class Settings:
    """The environment, the limit of recursion and decimal's context: what a judge has changed of them since it began.

    What was there then it keeps to itself, and of what it puts back it says only that: it may hold secrets, and is
    not what the sandbox began with.
    """

    def __init__(self) -> None:
        self._began = self._said = _settings()
        self._own: dict[Any, Any] = {}  # what was here before the other end set something else

    def changed(self) -> dict[Any, tuple[Any, ...]]:
        """Of what is new since the last look (what is there now,), with None for nothing; () is for what was there."""
        now, said = _settings(), self._said
        if now == said:
            return {}
        self._said = now
        names = [name for name in now | said if now.get(name) != said.get(name)]
        return {name: () if now.get(name) == self._began.get(name) else (now.get(name),) for name in names}

    def restore(self, changed: dict[Any, tuple[Any, ...]]) -> None:
        own = _settings()
        for name, value in changed.items():
            if value:
                self._own.setdefault(name, own.get(name))
                _set(name, value[0])
            elif name in self._own:
                _set(name, self._own.pop(name))


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
