"""Objects that stand on both sides: tensors, modules and random generators.

When a judge hands a model to a learner's function, the sandbox gets a copy of it under a number, and every
message that follows, in either direction, first carries what changed since the last one: values, gradients,
``requires_grad``, a module's flags, its parameters, buffers and children. So a test that freezes a model
through the learner's function sees the flags of its own model change (call by copy-restore), and one that
sets gradients before it calls ``optimizer.step()`` is seen by the learner's optimizer.

Changes are found by comparing bytes with what the other side is known to have, and are plain data
(:mod:`autograder.wire`). Only the way in, from judge to sandbox, may carry code: see ``write_modules`` and
``make_modules`` of the two ends. A tensor that was computed stays differentiable: :mod:`autograder.gradients`.
"""

from __future__ import annotations

import ctypes
import functools
import operator
import weakref
from collections.abc import Callable
from typing import Any

from autograder.ambient import checked_torch_state
from autograder.frames import Buffers, WireError
from autograder.gradients import Graphs
from autograder.live import identical
from autograder.wire import Reader, Writer, dtype_name, torch_module

# The tables of a module that a description has; all else that torch keeps in a module is machinery.
_TABLES = frozenset({"_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"})


class _Values:
    """A tensor's values as the other end has them: where their bytes lie in a frame that was sent."""

    __slots__ = ("_bytes", "dtype", "place", "shape", "size")

    def __init__(self, tensor: Any, buffers: Buffers, index: int | None) -> None:
        self.dtype, self.shape = tensor.dtype, tensor.shape
        self.size: int | None = None  # in bytes; on the meta device there are none
        if index is not None:
            self._bytes, self.place = buffers.sent(index)  # the bytes are kept as long as their place is
            self.size = self._bytes.nbytes

    @classmethod
    def of_nothing(cls) -> _Values:
        """Values that no tensor has."""
        made = cls.__new__(cls)
        made.dtype = None
        return made

    def same(self, tensor: Any) -> bool:
        """Whether a tensor holds these bytes."""
        if tensor.dtype is not self.dtype or tensor.shape != self.shape or tensor.is_meta is not (self.size is None):
            return False
        if not self.size:
            return True
        if not (tensor.is_cpu and tensor.is_contiguous()):
            tensor = tensor.detach().to("cpu").contiguous()
        return bool(_memcmp()(tensor.data_ptr(), self.place, self.size) == 0)


@functools.cache
def _memcmp() -> Any:
    compare = ctypes.CDLL(None).memcmp
    compare.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    return compare


class _Tensor:
    """What the other end has of a tensor."""

    __slots__ = ("grad", "holder", "requires_grad", "values", "version")

    def __init__(self, tensor: Any) -> None:
        self.values: _Values | None = None
        self.grad: _Values | None = None
        self.holder = tensor.grad if tensor.is_leaf else None  # the very gradient, which may have been replaced since
        self.requires_grad = tensor.requires_grad
        self.version = _version(tensor)

    def same(self, tensor: Any) -> bool:
        if tensor.requires_grad is not self.requires_grad or self.values is None or not self.values.same(tensor):
            return False
        return not tensor.is_leaf or self.same_grad(tensor.grad)

    def same_grad(self, grad: Any) -> bool:
        if grad is None or self.grad is None:
            return grad is self.grad
        return self.grad.same(grad)

    def doubt(self) -> None:
        self.values, self.grad = None, _Values.of_nothing()


class _Module:
    """What the other end has of a module, and by what a look at it sees that nothing has changed.

    The description is that of one with lists within its settings' lists, where a look does not see every change.
    """

    __slots__ = ("_children", "_lists", "_names", "_settings", "_values", "description")

    def __init__(self, module: Any, describe: Callable[[Any], list[Any]]) -> None:
        own = vars(module)
        inside = _machinery()
        plain = [name for name in own if name not in inside]
        sequences = [own[name] for name in plain if type(own[name]) in _SEQUENCES]
        nested = any(not _SEQUENCES.isdisjoint(map(type, value)) for value in sequences)
        self._names = None if nested else [*own]
        self._settings = operator.itemgetter(*plain, "training")  # two at least, so that it gives a tuple
        self._values = self._settings(own)
        self._lists = [(value, value.copy()) for value in sequences if type(value) is list]
        self._children = _children(own)
        self.description = describe(module) if nested else None

    def doubt(self) -> None:
        self._names = self.description = None

    def same(self, module: Any) -> bool:
        """Whether a module is surely as it was."""
        own = vars(module)
        return (
            [*own] == self._names
            and all(map(operator.is_, self._settings(own), self._values))
            and identical(_children(own), self._children)
            and all(identical(now, old) for now, old in self._lists)
        )


def _children(own: dict[str, Any]) -> list[Any]:
    """Parameters, buffers and children of a module, each behind its name."""
    held: list[Any] = []
    for table in (own["_parameters"], own["_buffers"], own["_modules"]):
        if table:
            held += table
            held += table.values()
    if own["_non_persistent_buffers_set"]:
        held += own["_non_persistent_buffers_set"]
    return held


class _Generator:
    """What the other end has of a random generator."""

    __slots__ = ("state",)

    def __init__(self, generator: Any) -> None:
        self.state = _state(generator)

    def same(self, generator: Any) -> bool:
        return self.state == _state(generator)

    def doubt(self) -> None:
        self.state = b""


def _state(generator: Any) -> bytes:
    return bytes(generator.get_state().numpy())


def kind_of(value: Any) -> str | None:
    """'tensor', 'module' or 'generator' for what can stand on both sides, else None."""
    if (torch := torch_module()) is None:
        return None
    kind = _kind(type(value))  # never the object's own word, which a learner's object may have been given
    if kind == "tensor" and (value.layout is not torch.strided or dtype_name(value) is None):
        return None
    return kind


def _kind(kind: Any) -> str | None:
    if kind not in _KINDS:
        torch = torch_module()
        known = {torch.Tensor: "tensor", torch.nn.Module: "module", torch.Generator: "generator"}
        _KINDS[kind] = next((name for base, name in known.items() if issubclass(kind, base)), None)
    return _KINDS[kind]


_KINDS: dict[Any, str | None] = {}


def is_plain(value: Any) -> bool:
    """Whether a module's attribute is a setting, which crosses, rather than machinery, which does not."""
    kind = type(value)
    if kind in _SEQUENCES:
        return SCALARS.issuperset(map(type, value)) or all(map(is_plain, value))
    return kind in SCALARS


SCALARS = frozenset({type(None), bool, int, float, str})
_SEQUENCES = frozenset({list, tuple})


def settings(module: Any) -> dict[str, Any]:
    """The attributes of a module that are plain values, without those that every module has for itself."""
    own = vars(module)
    return {name: own[name] for name in own.keys() - _machinery().keys() if is_plain(own[name])}


def machinery(module: Any) -> dict[str, Any]:
    """The attributes of a module that a description leaves out: such a module is more than data."""
    own, inside = vars(module), _machinery()
    more = {name: own[name] for name in inside if name not in _TABLES and own.get(name, inside[name]) != inside[name]}
    for name, value in own.items():
        if name not in inside and not is_plain(value):
            more[name] = value
    return more


@functools.cache
def _machinery() -> dict[str, Any]:
    """What torch keeps in every module: its tables of parameters, hooks and so on, but not its mode."""
    return {name: value for name, value in vars(torch_module().nn.Module()).items() if name != "training"}


class Shared:
    """The objects of one end that the other end has too, by number, and what the other end knows of them.

    Parameters
    ----------
    sign: 1 for a judge, -1 for a sandbox: each end numbers what it brings in on its own side of zero.
    weak: whether objects may die here. Their numbers are then given by :meth:`dead`.
    ask: runs a graph of the other end backwards; see :class:`autograder.gradients.Graphs`.
    """

    def __init__(self, *, sign: int, weak: bool, ask: Callable[[int, Any], Any]) -> None:
        self._sign = sign
        self._weak = weak
        self._count = 0
        self._objects: dict[int, Callable[[], Any]] = {}
        self._numbers: dict[int, int] = {}  # id of an object -> its number
        self._ids: dict[int, int] = {}  # the other way round
        self._gone: list[int] = []  # numbers of objects that have died here
        self._forgotten: set[int] = set()
        self._known: dict[int, Any] = {}  # number -> what the other end has
        self._new: list[int] = []
        self._last_sent = 0
        self._on_the_way: list[tuple[_Tensor, str, Any, int | None]] = []  # what is known once a frame is sent
        self.graphs = Graphs(ask, self.number)

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
        dead: list[int] = []
        while self._gone:
            gone, self._gone = self._gone, []
            self.forget(gone)  # what was known of a module may have been all that held its layers
            dead += gone
        return dead

    def forget(self, numbers: list[int]) -> None:
        self._forgotten.update(numbers)
        for number in numbers:
            self._objects.pop(number, None)
            self._known.pop(number, None)
            identity = self._ids.pop(number, 0)
            if self._numbers.get(identity) == number:  # an id may be used again
                del self._numbers[identity]
        self.graphs.leave(numbers)

    def _put(self, number: int, value: Any) -> None:
        self._objects[number] = weakref.ref(value, lambda _: self._gone.append(number)) if self._weak else lambda: value
        self._numbers[id(value)] = number
        self._ids[number] = id(value)

    # -- what changed here -------------------------------------------------------------------------------

    def changes(self, writer: Writer, *, look: bool = True) -> list[Any]:
        """What the other end must hear: new objects, then changes of known ones.

        Without ``look``, only new objects: where nothing has run here that could have changed one. The values that
        go with it count as known to the other end when :meth:`sent` is told of the frame.
        """
        news = []
        for number, known in list(self._known.items()) if look else ():
            value = self._objects[number]()
            if value is not None and not known.same(value) and (entry := self._difference(number, value, writer)):
                news.append(entry)
        computed: dict[int, Any] = {}  # last, so that what they are computed from is known to be shared
        while self._new:  # describing one object may bring in others
            modules: dict[int, tuple[Any, list[Any]]] = {}
            while self._new:
                number = self._new.pop(0)
                found = self._objects.get(number)
                if found is None or (value := found()) is None:  # it has died since it was shared
                    continue
                kind = _kind(type(value))
                if kind == "module":
                    modules[number] = value, self._describe(value)
                    self._known[number] = _Module(value, self._describe)
                elif kind == "tensor" and not value.is_leaf:
                    computed[number] = value
                else:
                    news.append(self._introduction(number, value, writer))
            if modules:
                news.append(["new modules", list(modules), *self.write_modules(list(modules.values()), writer)])
        news += [self._introduction(number, value, writer) for number, value in computed.items()]
        return news

    def sent(self, buffers: Buffers) -> None:
        """The changes that were asked for last went out in these buffers."""
        for known, what, tensor, index in self._on_the_way:
            setattr(known, what, _Values(tensor, buffers, index))
        self._on_the_way.clear()
        self._last_sent = self._count

    def failed(self) -> None:
        """The message for which changes were last asked did not go out: all that is shared is told of again."""
        self.forget([self._sign * number for number in range(self._last_sent + 1, self._count + 1)])
        self._new.clear()
        self._on_the_way.clear()
        for known in self._known.values():
            known.doubt()

    def _introduction(self, number: int, value: Any, writer: Writer) -> list[Any]:
        if _kind(type(value)) == "generator":
            self._known[number] = _Generator(value)
            return ["new generator", number, writer.tensor(value.get_state())]
        known = self._known[number] = _Tensor(value)
        graph = None if value.is_leaf else self.graphs.enter(number, value)
        parameter = type(value) is not torch_module().Tensor and isinstance(value, torch_module().nn.Parameter)
        fields = [self._write(known, "values", value, writer), value.requires_grad, None, graph]
        if value.is_leaf and value.grad is not None:
            fields[2] = self._write(known, "grad", value.grad, writer)
        return ["new tensor", number, parameter, *fields]

    def _write(self, known: _Tensor, what: str, tensor: Any, writer: Writer) -> list[Any]:
        fields = writer.tensor(tensor)
        self._on_the_way.append((known, what, tensor, fields[2]))
        return fields

    def _difference(self, number: int, value: Any, writer: Writer) -> list[Any] | None:
        """What has changed of something that is not as it was."""
        known = self._known[number]
        if type(known) is _Tensor:
            return self._tensor_difference(number, value, known, writer)
        if type(known) is _Generator:
            self._known[number] = _Generator(value)
            return ["generator", number, writer.tensor(value.get_state())]
        description = self._describe(value)
        if description == known.description:
            return None
        self._known[number] = _Module(value, self._describe)
        return ["module", number, description]

    def _tensor_difference(self, number: int, value: Any, known: _Tensor, writer: Writer) -> list[Any]:
        grad = value.grad if value.is_leaf else None
        same_value = known.values is not None and known.values.same(value)
        same_grad = known.same_grad(grad)
        known.requires_grad = value.requires_grad
        new_grad: Any = "same"
        if not same_grad:
            new_grad = known.grad = None
            if grad is not None:
                new_grad = [self._write(known, "grad", grad, writer), grad is known.holder]
        known.holder = grad
        new_value = None if same_value else self._write(known, "values", value, writer)
        noticed, known.version = _version(value) != known.version, _version(value)
        if noticed and not value.is_leaf:
            self.graphs.changed(number, value)
        return ["tensor", number, new_value, noticed, value.requires_grad, new_grad]

    def _describe(self, module: Any) -> list[Any]:
        """[settings, parameters, buffers, children] of a module, as JSON, in their order."""
        own, inside, share = vars(module), _machinery(), self.share
        not_saved = own["_non_persistent_buffers_set"]
        return [
            [
                [k, v if type(v) in SCALARS else _freeze(v)]
                for k, v in own.items()
                if k not in inside and (type(v) in SCALARS or is_plain(v))
            ],
            [[k, None if p is None else share(p)] for k, p in own["_parameters"].items()],
            [[k, None if b is None else share(b), k in not_saved] for k, b in own["_buffers"].items()],
            [[k, None if m is None else share(m)] for k, m in own["_modules"].items()],
        ]

    # -- what changed at the other end ---------------------------------------------------------------------

    def apply(self, news: Any, reader: Reader, buffers: Buffers) -> None:
        """Makes the new objects of the other end and does here what changed there."""
        try:
            self._apply(news, reader, buffers)
        except WireError:
            raise
        except Exception as error:
            raise WireError(f"The other end told of changes that cannot be made ({type(error).__name__}).") from error

    def _apply(self, news: list[Any], reader: Reader, buffers: Buffers) -> None:
        if news and torch_module() is None:
            import torch  # noqa: F401
        made: list[tuple[int, Any]] = []
        fills: list[Callable[[], None]] = []
        graphs: list[Callable[[], None]] = []
        for kind, number, *fields in news:
            if kind == "new tensor":
                if fields[-1] is None:
                    self._new_tensor(number, fields, reader, buffers)
                else:  # what it is computed from is made first
                    graphs.append(functools.partial(self._new_tensor, number, fields, reader, buffers))
            elif kind == "new generator":
                generator = torch_module().Generator()
                generator.set_state(checked_torch_state(reader.tensor(fields[0])))
                self._arrive(number, generator)
                self._known[number] = _Generator(generator)
            elif kind == "new modules":
                modules, fill = self.make_modules(fields, reader)
                for one, module in zip(number, modules, strict=True):
                    self._arrive(one, module)
                    made.append((one, module))
                fills.append(fill)
        for late in (*graphs, *fills):
            late()
        # Modules last: one that lets go of a tensor here may have been all that held it.
        for kind, number, *fields in sorted(news, key=lambda entry: entry[0] == "module"):
            if kind.startswith("new "):
                continue
            if number in self._forgotten or (value := self._objects[number]()) is None:
                continue  # gone here while the answer was under way
            if kind == "tensor":
                self._change_tensor(value, self._known[number], fields, reader, buffers)
            elif kind == "generator":
                value.set_state(checked_torch_state(reader.tensor(fields[0])))
                self._known[number] = _Generator(value)
            elif kind == "module":
                self.fill(value, fields[0])
                self._known[number] = _Module(value, self._describe)
        for number, module in made:
            self._known[number] = _Module(module, self._describe)

    def _new_tensor(self, number: Any, fields: list[Any], reader: Reader, buffers: Buffers) -> None:
        parameter, values, requires_grad, grad, graph = fields
        value = reader.tensor(values)
        if graph is not None:
            value = self.graphs.output(number, value, [self.get(source) for source in graph])
        elif parameter:
            value = torch_module().nn.Parameter(value, requires_grad=bool(requires_grad))
        else:
            value.requires_grad_(bool(requires_grad))
        known = _Tensor(value)
        known.values = _Values(value, buffers, values[2])
        if grad is not None and value.is_leaf:
            value.grad = known.holder = reader.tensor(grad)
            known.grad = _Values(value.grad, buffers, grad[2])
        self._arrive(number, value)
        self._known[number] = known

    def _arrive(self, number: Any, value: Any) -> None:
        if type(number) is not int or number * self._sign >= 0 or number in self._objects:
            raise WireError(f"The number {number!r} is not one to give to a new object.")
        self._put(number, value)
        self.keep(value)

    def _change_tensor(self, tensor: Any, known: _Tensor, fields: list[Any], reader: Reader, buffers: Buffers) -> None:
        torch = torch_module()
        values, noticed, requires_grad, grad = fields
        if values is not None:
            new = reader.tensor(values)
            if new.shape != tensor.shape or new.dtype != tensor.dtype:
                tensor.data = new
            else:
                with torch.no_grad():  # autograd notices what it noticed at the other end: no change by way of .data
                    (tensor if noticed else tensor.data).copy_(new)
            known.version = _version(tensor)
            known.values = _Values(tensor, buffers, values[2])
        if tensor.is_leaf and tensor.requires_grad != requires_grad:
            tensor.requires_grad_(bool(requires_grad))
        known.requires_grad = tensor.requires_grad
        if grad != "same" and tensor.is_leaf:
            known.grad = None
            if grad is None:
                tensor.grad = None
            else:
                _set_grad(tensor, reader.tensor(grad[0]), in_place=bool(grad[1]))
                known.grad = _Values(tensor.grad, buffers, grad[0][2])
        known.holder = tensor.grad if tensor.is_leaf else None

    def fill(self, module: Any, description: Any) -> None:
        """Gives a module the settings, parameters, buffers and children of a description."""
        torch = torch_module()
        plain, parameters, buffers, children = description
        own, inside = vars(module), _machinery()
        for table in description:
            for name, *_ in table:
                if type(name) is not str or name.startswith("__") or name in inside:
                    raise WireError("A module came with an attribute that is not one.")
        new = {name: value if type(value) in SCALARS else _thaw(value) for name, value in plain}
        for name, value in settings(module).items():
            if name not in new:
                del own[name]
            elif type(value) is type(new[name]) and value == new[name]:
                del new[name]  # a list stays the list it was
        own.update(new)
        _refill(own["_parameters"], {k: self._expect(n, torch.nn.Parameter) for k, n in parameters})
        _refill(own["_buffers"], {k: self._expect(n, torch.Tensor) for k, n, _ in buffers})
        _refill(own["_modules"], {k: self._expect(n, torch.nn.Module) for k, n in children})
        own["_non_persistent_buffers_set"] = {k for k, _, not_saved in buffers if not_saved}

    def _expect(self, number: int | None, kind: type) -> Any:
        if number is None:
            return None
        value = self.get(number)
        if type(value) is not kind and not isinstance(value, kind):  # which parameters take their time to say
            raise WireError(f"A {kind.__name__} was announced, and a {type(value).__name__} came.")
        return value

    # -- what the two ends do differently --------------------------------------------------------------------

    def write_modules(self, modules: list[tuple[Any, list[Any]]], writer: Writer) -> list[Any]:
        """How this end introduces modules that the other end does not have, each with its description."""
        raise NotImplementedError

    def make_modules(self, fields: list[Any], reader: Reader) -> tuple[list[Any], Callable[[], None]]:
        """Empty modules for such an introduction, and what fills them once all that they hold is made."""
        raise NotImplementedError

    def keep(self, value: Any) -> None:
        """Called for each object that arrives; an end with weak references may hold it until it is used."""


def _set_grad(tensor: Any, grad: Any, *, in_place: bool) -> None:
    """Gives a tensor a gradient: a new one, or other values in the one that it has."""
    old = tensor.grad
    if in_place and old is not None and (old.shape, old.dtype) == (grad.shape, grad.dtype):
        with torch_module().no_grad():
            old.copy_(grad)
    else:
        tensor.grad = grad


def _version(tensor: Any) -> int:
    return 0 if tensor.is_inference() else tensor._version


def _freeze(value: Any) -> Any:
    """A setting as JSON, in a copy: a tuple becomes {"tuple": [...]}."""
    if type(value) is not list and type(value) is not tuple:
        return value
    frozen = [item if type(item) in SCALARS else _freeze(item) for item in value]
    return frozen if type(value) is list else {"tuple": frozen}


def _thaw(value: Any) -> Any:
    if type(value) in SCALARS:
        return value
    if type(value) is dict:
        return tuple(_thaw(value["tuple"]))
    if type(value) is list:
        return [item if type(item) in SCALARS else _thaw(item) for item in value]
    raise WireError("A module's setting is not a plain value.")


def _refill(table: dict[str, Any], new: dict[str, Any]) -> None:
    if list(table) != list(new) or not all(map(operator.is_, table.values(), new.values())):
        table.clear()
        table.update(new)
