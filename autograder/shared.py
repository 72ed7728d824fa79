"""Objects that stand on both sides: tensors, modules and random generators.

When a judge hands a model to a learner's function, the sandbox gets a copy of it under a number, and every
message that follows, in either direction, first carries what changed since the last one: values, gradients,
``requires_grad``, a module's flags, its parameters, buffers and children. So a test that freezes a model
through the learner's function sees the flags of its own model change (call by copy-restore), and one that
sets gradients before it calls ``optimizer.step()`` is seen by the learner's optimizer.

Changes are found by comparing bytes with what the other side is known to have, and are plain data
(:mod:`autograder.wire`). Only the way in, from judge to sandbox, may carry code: see ``write_modules`` and
``make_modules`` of the two ends.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograder.wire import Reader, WireError, Writer, dtype_name, torch_module


@dataclass(frozen=True)
class _TensorState:
    dtype: str
    shape: tuple[int, ...]
    data: np.ndarray | None  # its bytes; None on the meta device

    def same(self, other: _TensorState) -> bool:
        if (self.dtype, self.shape, self.data is None) != (other.dtype, other.shape, other.data is None):
            return False
        return self.data is None or other.data is None or np.array_equal(self.data, other.data)


def _tensor_state(tensor: Any, *, copy: bool = False) -> _TensorState:
    torch = torch_module()
    dtype = str(tensor.dtype).removeprefix("torch.")
    if tensor.is_meta:
        return _TensorState(dtype, tuple(tensor.shape), None)
    plain = tensor.detach().to("cpu").contiguous()
    data = plain.reshape(-1).view(torch.uint8).numpy()
    return _TensorState(dtype, tuple(plain.shape), data.copy() if copy else data)


def kind_of(value: Any) -> str | None:
    """'tensor', 'module' or 'generator' for what can stand on both sides, else None."""
    if (torch := torch_module()) is None:
        return None
    kind = type(value)  # never the object's own word, which a learner's object may have been given
    if issubclass(kind, torch.Tensor):
        return "tensor" if value.layout is torch.strided and dtype_name(value) else None
    if issubclass(kind, torch.nn.Module):
        return "module"
    return "generator" if kind is torch.Generator else None


def is_plain(value: Any) -> bool:
    """Whether a module's attribute is a setting, which crosses, rather than machinery, which does not."""
    if type(value) in (tuple, list):
        return all(is_plain(item) for item in value)
    return value is None or type(value) in (bool, int, float, str)


def settings(module: Any) -> dict[str, Any]:
    """The attributes of a module that are plain values, without those that every module has for itself."""
    return {name: value for name, value in vars(module).items() if name not in _machinery() and is_plain(value)}


def machinery(module: Any) -> dict[str, Any]:
    """The attributes of a module's own that are not plain values: such a module is more than data."""
    return {name: value for name, value in vars(module).items() if name not in _machinery() and not is_plain(value)}


@functools.cache
def _machinery() -> frozenset[str]:
    """What torch keeps in every module: its tables of parameters, hooks and so on, but not its mode."""
    return frozenset(vars(torch_module().nn.Module())) - {"training"}


class Shared:
    """The objects of one end that the other end has too, by number, and what the other end knows of them.

    Parameters
    ----------
    sign: 1 for a judge, -1 for a sandbox: each end numbers what it brings in on its own side of zero.
    weak: whether objects may die here. Their numbers are then given by :meth:`dead`.
    """

    def __init__(self, *, sign: int, weak: bool) -> None:
        self._sign = sign
        self._weak = weak
        self._count = 0
        self._objects: dict[int, Callable[[], Any]] = {}
        self._numbers: dict[int, int] = {}  # id of an object -> its number
        self._known: dict[int, Any] = {}  # number -> what the other end has
        self._new: list[int] = []

    # -- what stands where -------------------------------------------------------------------------------

    def get(self, number: int) -> Any:
        found = self._objects.get(number)
        value = found() if found else None
        if value is None:
            raise WireError(f"There is no object with the number {number!r}.")
        return value

    def number(self, value: Any) -> int | None:
        """The number of an object that both ends have."""
        number = self._numbers.get(id(value))
        if number is None or self._objects[number]() is not value:  # an id may be used again
            return None
        return number

    def share(self, value: Any) -> int:
        """The number of an object; one that the other end does not have goes with the next message."""
        if (number := self.number(value)) is not None:
            return number
        self._count += 1
        number = self._sign * self._count
        self._put(number, value)
        self._new.append(number)
        return number

    def dead(self) -> list[int]:
        """Numbers of objects that are gone here since the last call; they are forgotten."""
        gone = [number for number, found in self._objects.items() if found() is None]
        self.forget(gone)
        return gone

    def forget(self, numbers: list[int]) -> None:
        if not numbers:
            return
        for number in numbers:
            self._objects.pop(number, None)
            self._known.pop(number, None)
        kept = self._objects.keys()
        self._numbers = {key: number for key, number in self._numbers.items() if number in kept}

    def _put(self, number: int, value: Any) -> None:
        self._objects[number] = weakref.ref(value) if self._weak else lambda: value
        self._numbers[id(value)] = number

    # -- what changed here -------------------------------------------------------------------------------

    def changes(self, writer: Writer) -> list[Any]:
        """What the other end must hear: new objects, then changes of known ones. It then counts as known."""
        news = []
        for number, value in list(self._living()):
            if number in self._known and (entry := self._difference(number, value, writer)):
                news.append(entry)
        while self._new:  # describing one object may bring in others
            modules: dict[int, Any] = {}
            while self._new:
                number = self._new.pop(0)
                found = self._objects.get(number)
                if found is None or (value := found()) is None:  # it has died since it was shared
                    continue
                if kind_of(value) == "module":
                    modules[number] = value
                    self._known[number] = self._describe(value)
                else:
                    news.append(self._introduction(number, value, writer))
            if modules:
                news.append(["new modules", list(modules), *self.write_modules(list(modules.values()), writer)])
        return news

    def _living(self) -> Iterator[tuple[int, Any]]:
        for number, found in list(self._objects.items()):
            if (value := found()) is not None:
                yield number, value

    def _introduction(self, number: int, value: Any, writer: Writer) -> list[Any]:
        if kind_of(value) == "generator":
            self._known[number] = _tensor_state(value.get_state(), copy=True)
            return ["new generator", number, _write_state(self._known[number], writer)]
        state = _tensor_state(value, copy=True)
        grad = _tensor_state(value.grad, copy=True) if _has_grad(value) else None
        self._known[number] = (state, value.requires_grad, grad)
        parameter = isinstance(value, torch_module().nn.Parameter)
        fields = [_write_state(state, writer), value.requires_grad, grad and _write_state(grad, writer)]
        return ["new tensor", number, parameter, *fields]

    def _difference(self, number: int, value: Any, writer: Writer) -> list[Any] | None:
        kind, known = kind_of(value), self._known[number]
        if kind == "tensor":
            state = _tensor_state(value)
            grad = _tensor_state(value.grad) if _has_grad(value) else None
            same_value = state.same(known[0])
            same_grad = (grad is None) == (known[2] is None) and (grad is None or grad.same(known[2]))
            if same_value and same_grad and value.requires_grad == known[1]:
                return None
            new_state = known[0] if same_value else _tensor_state(value, copy=True)
            new_grad = known[2] if same_grad else grad and _tensor_state(value.grad, copy=True)
            self._known[number] = (new_state, value.requires_grad, new_grad)
            return [
                "tensor",
                number,
                None if same_value else _write_state(new_state, writer),
                value.requires_grad,
                "same" if same_grad else new_grad and _write_state(new_grad, writer),
            ]
        if kind == "generator":
            state = _tensor_state(value.get_state(), copy=True)
            if state.same(known):
                return None
            self._known[number] = state
            return ["generator", number, _write_state(state, writer)]
        description = self._describe(value)
        if description == known:
            return None
        self._known[number] = description
        return ["module", number, description]

    def _describe(self, module: Any) -> list[Any]:
        """[settings, parameters, buffers, children] of a module, as JSON, in their order."""
        not_saved = module._non_persistent_buffers_set
        return [
            [[k, _freeze(v)] for k, v in settings(module).items()],
            [[k, None if p is None else self.share(p)] for k, p in module._parameters.items()],
            [[k, None if b is None else self.share(b), k in not_saved] for k, b in module._buffers.items()],
            [[k, None if m is None else self.share(m)] for k, m in module._modules.items()],
        ]

    # -- what changed at the other end ---------------------------------------------------------------------

    def apply(self, news: Any, reader: Reader) -> None:
        """Makes the new objects of the other end and does here what changed there."""
        try:
            self._apply(news, reader)
        except WireError:
            raise
        except Exception as error:
            raise WireError(f"The other end told of changes that cannot be made ({type(error).__name__}).") from error

    def _apply(self, news: list[Any], reader: Reader) -> None:
        torch = torch_module()
        if news and torch is None:
            import torch
        made: list[tuple[int, Any]] = []
        fills: list[Callable[[], None]] = []
        for kind, number, *fields in news:
            if kind == "new tensor":
                parameter, state, requires_grad, grad = fields
                value = reader.tensor(state)
                if parameter:
                    value = torch.nn.Parameter(value, requires_grad=bool(requires_grad))
                else:
                    value.requires_grad_(bool(requires_grad))
                if grad is not None:
                    value.grad = reader.tensor(grad)
                self._arrive(number, value)
            elif kind == "new generator":
                generator = torch.Generator()
                generator.set_state(reader.tensor(fields[0]))
                self._arrive(number, generator)
            elif kind == "new modules":
                modules, fill = self.make_modules(fields, reader)
                for one, module in zip(number, modules, strict=True):
                    self._arrive(one, module)
                    made.append((one, module))
                fills.append(fill)
        for fill in fills:
            fill()
        for kind, number, *fields in news:
            if kind == "tensor":
                self._change_tensor(number, fields, reader)
            elif kind == "generator":
                generator = self.get(number)
                generator.set_state(reader.tensor(fields[0]))
                self._known[number] = _tensor_state(generator.get_state(), copy=True)
            elif kind == "module":
                self.fill(self.get(number), fields[0])
                self._known[number] = self._describe(self.get(number))
        for number, module in made:
            self._known[number] = self._describe(module)

    def _arrive(self, number: Any, value: Any) -> None:
        if type(number) is not int or number * self._sign >= 0 or number in self._objects:
            raise WireError(f"The number {number!r} is not one to give to a new object.")
        self._put(number, value)
        if kind_of(value) == "tensor":
            grad = _tensor_state(value.grad, copy=True) if _has_grad(value) else None
            self._known[number] = (_tensor_state(value, copy=True), value.requires_grad, grad)
        elif kind_of(value) == "generator":
            self._known[number] = _tensor_state(value.get_state(), copy=True)
        self.keep(value)

    def _change_tensor(self, number: int, fields: list[Any], reader: Reader) -> None:
        torch = torch_module()
        tensor = self.get(number)
        state, requires_grad, grad = fields
        known_state, _, known_grad = self._known[number]
        if state is not None:
            new = reader.tensor(state)
            with torch.no_grad():
                if new.shape == tensor.shape and new.dtype == tensor.dtype:
                    tensor.copy_(new)
                else:
                    tensor.data = new
            known_state = _tensor_state(tensor, copy=True)
        if tensor.requires_grad != requires_grad:
            tensor.requires_grad_(bool(requires_grad))
        if grad != "same":
            tensor.grad = None if grad is None else reader.tensor(grad)
            known_grad = None if grad is None else _tensor_state(tensor.grad, copy=True)
        self._known[number] = (known_state, tensor.requires_grad, known_grad)

    def fill(self, module: Any, description: Any) -> None:
        """Gives a module the settings, parameters, buffers and children of a description."""
        torch = torch_module()
        plain, parameters, buffers, children = description
        own = vars(module)
        names = [name for name, *_ in [*plain, *parameters, *buffers, *children]]
        if not all(type(name) is str and not name.startswith("__") and name not in _machinery() for name in names):
            raise WireError("A module came with an attribute that is not one.")
        new = {name: _thaw(value) for name, value in plain}
        for name, value in settings(module).items():
            if name not in new:
                del own[name]
            elif type(value) is type(new[name]) and value == new[name]:
                del new[name]  # a list stays the list it was
        own.update(new)
        _refill(own["_parameters"], ((k, self._expect(n, torch.nn.Parameter)) for k, n in parameters))
        _refill(own["_buffers"], ((k, self._expect(n, torch.Tensor)) for k, n, _ in buffers))
        _refill(own["_modules"], ((k, self._expect(n, torch.nn.Module)) for k, n in children))
        own["_non_persistent_buffers_set"] = {k for k, _, not_saved in buffers if not_saved}

    def _expect(self, number: int | None, kind: type) -> Any:
        if number is None:
            return None
        value = self.get(number)
        if not isinstance(value, kind):
            raise WireError(f"A {kind.__name__} was announced, and a {type(value).__name__} came.")
        return value

    # -- what the two ends do differently --------------------------------------------------------------------

    def write_modules(self, modules: list[Any], writer: Writer) -> list[Any]:
        """How this end introduces modules that the other end does not have."""
        raise NotImplementedError

    def make_modules(self, fields: list[Any], reader: Reader) -> tuple[list[Any], Callable[[], None]]:
        """Empty modules for such an introduction, and what fills them once all that they hold is made."""
        raise NotImplementedError

    def keep(self, value: Any) -> None:
        """Called for each object that arrives; an end with weak references may hold it until it is used."""


def _has_grad(tensor: Any) -> bool:
    return tensor.is_leaf and tensor.grad is not None


def _write_state(state: _TensorState, writer: Writer) -> list[Any]:
    return [state.dtype, list(state.shape), None if state.data is None else writer.buffer(state.data)]


def _freeze(value: Any) -> Any:
    """A setting as JSON, in a copy: a tuple becomes {"tuple": [...]}."""
    if type(value) is list:
        return [_freeze(item) for item in value]
    return {"tuple": [_freeze(item) for item in value]} if type(value) is tuple else value


def _thaw(value: Any) -> Any:
    if type(value) is dict:
        return tuple(_thaw(item) for item in value["tuple"])
    if type(value) is list:
        return [_thaw(item) for item in value]
    if not is_plain(value):
        raise WireError("A module's setting is not a plain value.")
    return value


def _refill(table: dict[str, Any], items: Any) -> None:
    new = dict(items)
    if list(table) != list(new) or any(table[k] is not v for k, v in new.items()):
        table.clear()
        table.update(new)
