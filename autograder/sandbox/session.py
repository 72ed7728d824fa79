"""The learner's side: runs the learner's cells, and what a judge asks of the learner's objects.

Nothing here is trusted by anyone: this process answers with plain data (:mod:`autograder.wire`), and whatever
it says is checked by the reader.
"""

from __future__ import annotations

import collections
import io
import operator
import pickle
import traceback
from collections.abc import Callable
from typing import Any

from autograder.shared import Shared, kind_of
from autograder.shell import Shell
from autograder.wire import Channel, Closed, Reader, Writer, torch_module

DIRECT = ("len", "getitem", "setitem", "delitem", "contains", "lt", "le", "gt", "ge", "neg", "pos", "abs", "invert")
ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor")

# What a judge may ask to be done with the learner's objects.
OPERATIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(operator, name) for name in (*DIRECT, *ARITHMETIC) if name != "len"},
    "call": lambda function, args, kwargs: function(*args, **kwargs),
    "getattr": getattr,
    "setattr": setattr,
    "delattr": delattr,
    "iter": iter,
    "next": next,
    "len": len,
    "str": str,
}


class Callback:
    """A function that stays in the judge: calling it here runs it there."""

    def __init__(self, session: Session, number: int, name: str) -> None:
        self._session, self._number = session, number
        self.__name__ = self.__qualname__ = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._session.call_back(self._number, args, kwargs)


class Session:
    """Answers a judge over ``channel`` until it hangs up."""

    def __init__(self, channel: Channel, shell: Shell) -> None:
        self._channel = channel
        self._shell = shell
        self._shared = _SandboxShared(self)
        self._objects: dict[int, Any] = {}  # what stays here, by the number the judge knows it by
        self._object_numbers: dict[int, int] = {}
        self._opened: list[Any] = []  # the containers of the message being read
        self._containers: list[dict[int, int]] = []  # of each running call: id of a container -> its index

    def serve(self) -> None:
        while True:
            try:
                message, buffers = self._channel.receive()
                self._answer(message, buffers)
            except Closed:
                return
            except KeyboardInterrupt:  # the judge stopped waiting for something that is over by now
                continue

    def call_back(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs a function of the judge there, answering what it asks meanwhile."""
        self._send({"op": "callback", "number": number}, lambda writer: writer.write([args, kwargs]))
        while True:
            message, buffers = self._channel.receive()
            if message["op"] not in ("return", "throw"):
                self._answer(message, buffers)
                continue
            value, _ = self._receive(message, buffers)
            if message["op"] == "throw":
                raise value
            return value

    # -- answering -----------------------------------------------------------------------------------------

    def _answer(self, message: dict[str, Any], buffers: list[bytearray]) -> None:
        containers: list[Any] = []
        before: list[Any] = []
        self._containers.append({})
        try:
            payload, containers = self._receive(message, buffers)
            before = [container.copy() for container in containers]
            self._containers[-1] = {id(container): i for i, container in enumerate(containers)}
            value = self._do(message["op"], payload)
            self._send({"op": "value"}, lambda writer: writer.write(value), containers, before)
        except Closed:
            raise
        except BaseException as error:  # the learner's code may raise anything
            self._send({"op": "error", "error": describe_error(error)}, None, containers, before)
        finally:
            self._containers.pop()

    def _do(self, op: str, payload: Any) -> Any:
        names = self._shell.user_ns
        if op == "run":
            run = self._shell.run(payload)
            return {"outputs": run.outputs, "error": run.error and describe_error(run.error)}
        if op == "names":
            return {name: names[name] for name in payload if name in names}
        if op == "bind":
            names.update(payload)
            return None
        if op == "unbind":
            for name in payload:
                names.pop(name, None)
            return None
        what, *operands = payload
        return OPERATIONS[what](*operands)

    def _receive(self, message: dict[str, Any], buffers: list[bytearray]) -> tuple[Any, list[Any]]:
        """Takes over what changed in the judge; gives the payload and the containers that go back with changes."""
        reader = Reader(buffers, _no_references)
        self._shared.forget(message["dead"])
        for number in message["dropped"]:
            gone = self._objects.pop(number, None)
            self._object_numbers.pop(id(gone), None)
        self._shared.apply(message["news"], reader)
        # all containers first, empty: they may hold each other
        self._opened = [_EMPTY[made]() if type(made) is str else reader.read(made) for made in message["containers"]]
        contents, payload = self.load(buffers[message["payload"]])
        for container, content in zip(self._opened, contents, strict=True):
            if content is not None:
                (container.extend if isinstance(container, list) else container.update)(content)
        return payload, self._opened

    def load(self, data: bytes | bytearray) -> Any:
        """Unpickles what a judge sent. Code may come this way, and only this way."""
        return _Unpickler(self, io.BytesIO(data)).load()

    def resolve(self, reference: tuple[Any, ...]) -> Any:
        kind, number, *rest = reference
        if kind == "shared":
            return self._shared.get(number)
        if kind == "object":
            return self._objects[number]
        if kind == "container":
            return self._opened[number]
        return Callback(self, number, *rest)

    # -- sending -------------------------------------------------------------------------------------------

    def _send(
        self,
        message: dict[str, Any],
        write: Callable[[Writer], Any] | None,
        containers: list[Any] | None = None,
        before: list[Any] | None = None,
    ) -> None:
        writer = Writer(self._refer)
        try:
            value = write(writer) if write else None
            changed = [
                [i, self._contents(container, writer)]
                for i, (container, old) in enumerate(zip(containers or [], before or [], strict=False))
                if _differs(container, old)
            ]
            news = self._shared.changes(writer)
        except (TypeError, ValueError, RecursionError, AttributeError) as error:
            message = {"op": "error", "error": describe_error(error)}
            value, changed, news = None, [], []
        self._channel.send({**message, "value": value, "news": news, "containers": changed}, writer.buffers)

    def _contents(self, container: Any, writer: Writer) -> Any:
        if isinstance(container, dict):
            return [[writer.write(k), writer.write(v)] for k, v in container.items()]
        if isinstance(container, list | set):
            return [writer.write(item) for item in container]
        return [writer.buffer(container.tobytes())]

    def _refer(self, value: Any) -> list[Any] | None:
        """The reference by which the judge knows an object, or None for plain data."""
        if self._containers and (index := self._containers[-1].get(id(value))) is not None:
            return ["k", index]
        if type(value) in _PLAIN or type(value).__module__ == "numpy":
            return None
        if isinstance(value, Callback) and value._session is self:
            return ["cb", value._number]
        if (number := self._shared.number(value)) is not None:
            return ["h", number]
        kind = kind_of(value)
        if kind == "tensor" or (kind == "module" and is_library_module(value)):
            return ["h", self._shared.share(value)]
        torch = torch_module()
        if torch is not None and type(value) in (torch.Size, torch.dtype, torch.device):
            return None
        number = self._object_numbers.get(id(value))
        if number is None or self._objects.get(number) is not value:
            number = len(self._objects) + 1
            while number in self._objects:
                number += 1
            self._objects[number] = value
            self._object_numbers[id(value)] = number
        classes = [f"{c.__module__}:{c.__qualname__}" for c in type(value).__mro__]
        return ["r", number, classes]


class _SandboxShared(Shared):
    def __init__(self, session: Session) -> None:
        super().__init__(sign=-1, weak=False)
        self._session = session

    def write_module(self, module: Any, writer: Writer) -> list[Any]:
        """A module the learner made crosses as data: the name of its library class, and what it holds."""
        return [f"{type(module).__module__}:{type(module).__qualname__}", self._describe(module)]

    def make_module(self, fields: list[Any], reader: Reader) -> tuple[Any, Callable[[], None]]:
        kind, state = fields
        cls = self._session.load(bytes.fromhex(kind))
        module = cls.__new__(cls)

        def fill() -> None:
            module.__dict__.update(self._session.load(bytes.fromhex(state)))

        return module, fill


class _Unpickler(pickle.Unpickler):
    def __init__(self, session: Session, file: Any) -> None:
        super().__init__(file)
        self._session = session

    def persistent_load(self, reference: Any) -> Any:
        return self._session.resolve(reference)


def is_library_module(module: Any) -> bool:
    """Whether a module is of one of torch.nn's own classes, all the way down."""
    return all(type(m).__module__.startswith("torch.nn.modules.") for m in module.modules())


def describe_error(error: BaseException) -> dict[str, Any]:
    """An exception as data: the names of its classes, its arguments, and the learner's own lines."""
    frames = [
        f"line {frame.lineno}, in {frame.name}: {frame.line}"
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith("<ipython-input") or "ipykernel" in frame.filename
    ]
    args = [a for a in error.args if a is None or type(a) in (str, int, float, bool)]
    return {
        "classes": [c.__name__ for c in type(error).__mro__ if c.__module__ == "builtins"],
        "name": type(error).__name__,
        "args": args if len(args) == len(error.args) else [_text(error)],
        "lines": frames[-8:],
    }


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "(its text cannot be had)"


_PLAIN = {type(None), bool, int, float, str, complex, bytes, bytearray, list, tuple, dict, set, frozenset, slice}
_PLAIN |= {range, type(Ellipsis), collections.OrderedDict, collections.Counter, collections.defaultdict}


_EMPTY: dict[str, Callable[[], Any]] = {"list": list, "dict": dict, "set": set}


def _differs(container: Any, old: Any) -> bool:
    if isinstance(container, dict):
        pairs = zip(container.items(), old.items(), strict=False)
        return len(container) != len(old) or any(k is not a or v is not b for (k, v), (a, b) in pairs)
    if isinstance(container, list):
        return len(container) != len(old) or any(a is not b for a, b in zip(container, old, strict=False))
    if isinstance(container, set):
        return {id(v) for v in container} != {id(v) for v in old}
    return container.tobytes() != old.tobytes()


def _no_references(tag: str, fields: list[Any]) -> Any:
    raise TypeError(f"A judge sends code and data, not the reference {tag!r}.")
