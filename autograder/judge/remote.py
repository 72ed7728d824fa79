"""The judge's side of a learner's objects: references to them, and calls by copy-restore.

A :class:`Remote` stands for something that stays in the sandbox. Calling it sends the arguments, runs the
call there, brings back what the call changed in them, and gives what it returned: plain data and tensors by
value, the judge's own objects as themselves, anything else as another :class:`Remote`.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import select
import signal
import sys
import sysconfig
import time
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle
import numpy as np

from autograder.sandbox.session import ARITHMETIC, DIRECT
from autograder.shared import Shared, kind_of
from autograder.wire import Channel, Reader, WireError, Writer, torch_module

STALLED = 30.0  # seconds that half a message may take
INTERRUPT_GRACE = 2.0  # seconds that interrupted code has to end


class LearnerError(Exception):
    """Something of the learner's own was raised: an exception class of theirs, or an exit."""


class Remote:
    """A learner's object. It does what is asked of it, but never answers ``==`` or truth for itself."""

    __slots__ = ("__weakref__", "_classes", "_client", "_number")

    def __init__(self, client: Client, number: int, classes: list[str]) -> None:
        for name, value in (("_client", client), ("_number", number), ("_classes", classes)):
            object.__setattr__(self, name, value)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """The nearest class of an installed library, so that ``isinstance(optimizer, SGD)`` works.

        It is the sandbox's word, and worth as much as a subclass would be: it says nothing of behaviour.
        """
        for name in self._classes:
            if (known := _library_class(name)) is not None:
                return known
        return Remote

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._client.do("call", self, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("_repr_", "_ipython_", "__array", "__torch", "__cuda", "_render_")):
            raise AttributeError(name)  # nothing of the learner's decides how a judge shows or converts things
        return self._client.do("getattr", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._client.do("setattr", self, name, value)

    def __delattr__(self, name: str) -> None:
        self._client.do("delattr", self, name)

    def __iter__(self) -> Iterator[Any]:
        return self._client.do("iter", self)

    def __next__(self) -> Any:
        return self._client.do("next", self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> bool:
        raise TypeError("A learner's object does not say for itself whether it is true. Compare what it holds.")

    def __str__(self) -> str:
        return str(self._client.do("str", self))

    def __repr__(self) -> str:
        return f"<the learner's {self._classes[0].rpartition(':')[2]}>"


def _operation(name: str) -> Callable[..., Any]:
    def operate(self: Remote, *operands: Any) -> Any:
        return self._client.do(name, self, *operands)

    return operate


def _reflected(name: str) -> Callable[[Remote, Any], Any]:
    def operate(self: Remote, other: Any) -> Any:
        return self._client.do(name, other, self)

    return operate


for _name in DIRECT:
    setattr(Remote, f"__{_name}__", _operation(_name))
for _name in ARITHMETIC:
    setattr(Remote, f"__{_name.rstrip('_')}__", _operation(_name))
    setattr(Remote, f"__r{_name.rstrip('_')}__", _reflected(_name))


def _library_class(name: str) -> type | None:
    module, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module)
    if module in ("builtins", "__main__") or found is None or not _installed(found):
        return None
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) else None


def _installed(module: Any) -> bool:
    """Whether a module belongs to Python or to an installed library, which both processes have alike."""
    paths = [sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    file = getattr(module, "__file__", None)
    return file is None or file.startswith(tuple(paths))


class Client:
    """Asks a sandbox over ``channel``.

    Parameters
    ----------
    pid: the sandbox's process, to interrupt what the judge no longer waits for.
    before_asking: called before each question; it may itself ask, to bring names up to date.

    ``lost`` says why there is nobody to ask any more, once that is so.
    """

    def __init__(self, channel: Channel, pid: int) -> None:
        self.lost: str | None = None
        self._channel = channel
        self._channel.sock.settimeout(STALLED)
        self._pid = pid
        self._shared = _JudgeShared(self)
        self._callbacks: dict[int, Callable[..., Any]] = {}
        self._callback_numbers: dict[int, int] = {}
        self._dropped: list[int] = []
        self._remotes: weakref.WeakValueDictionary[int, Remote] = weakref.WeakValueDictionary()
        self.before_asking: Callable[[], None] = lambda: None

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)

    # -- what a judge asks -----------------------------------------------------------------------------------

    def run(self, source: str) -> dict[str, Any]:
        """Runs a cell there: {"outputs": nbformat outputs, "error": None or a described exception}."""
        return self._ask("run", source)

    def names(self, wanted: list[str]) -> dict[str, Any]:
        """Those of the wanted names that are bound there, with what they are bound to."""
        return self._ask("names", wanted)

    def bind(self, values: dict[str, Any]) -> None:
        self._ask("bind", values)

    def unbind(self, names: list[str]) -> None:
        self._ask("unbind", names)

    def do(self, what: str, *operands: Any) -> Any:
        self.before_asking()
        return self._ask("do", (what, *operands))

    # -- asking ----------------------------------------------------------------------------------------------

    def _ask(self, op: str, payload: Any) -> Any:
        try:
            containers = self._send(op, payload)
            while True:
                self._wait()
                message, value = self._receive(containers)
                if message.get("op") == "callback":
                    self._call_back(message, value)
                elif message.get("op") == "value":
                    return value
                else:
                    raise _raised(message.get("error"))
        except WireError as error:
            self.lost = self.lost or str(error)
            self._kill()
            raise
        except Exception:
            raise
        except BaseException:  # the check stopped waiting
            self._abandon()
            raise

    def _wait(self) -> None:
        """Until something arrives, however long that takes: limits are the caller's business."""
        select.select([self._channel.sock], [], [])

    def _abandon(self) -> None:
        """Interrupts what runs there and waits a moment for its answer, so that the next question gets its own."""
        self._signal(signal.SIGINT)
        deadline = time.monotonic() + INTERRUPT_GRACE
        try:
            while select.select([self._channel.sock], [], [], max(0.0, deadline - time.monotonic()))[0]:
                message, _ = self._receive(None)
                if message.get("op") != "callback":
                    return
        except WireError:
            pass
        self.lost = self.lost or "The learner's code could not be interrupted."
        self._kill()

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)
        self._channel.close()

    def _call_back(self, message: dict[str, Any], arguments: Any) -> None:
        function = self._callbacks.get(message.get("number", 0))
        if function is None:
            raise WireError("The sandbox called a function that it was never given.")
        args, kwargs = arguments
        try:
            result = function(*args, **kwargs)
        except Exception as error:
            self._send("throw", error)
        else:
            self._send("return", result)

    def _send(self, op: str, payload: Any) -> list[Any]:
        writer = Writer(lambda value: None)
        containers, contents = _open(payload)
        index = {id(container): i for i, container in enumerate(containers)}
        kinds = [type(c).__name__ if type(c) in (list, dict, set) else writer.write(c) for c in containers]
        pickled = self.dump((contents, payload), index)
        news = self._shared.changes(writer)
        dropped = list(self._dropped)
        self._dropped.clear()
        message = {"op": op, "news": news, "containers": kinds, "payload": writer.buffer(pickled)}
        with _uninterrupted():  # half a frame would be the end of the conversation
            self._channel.send({**message, "dead": self._shared.dead(), "dropped": dropped}, writer.buffers)
        return containers

    def dump(self, value: Any, containers: dict[int, int] | None = None) -> bytes:
        file = io.BytesIO()
        _Pickler(self, file, containers or {}).dump(value)
        return file.getvalue()

    def refer(self, value: Any, containers: dict[int, int]) -> tuple[Any, ...] | None:
        """The reference under which the sandbox finds an object, or None for what is sent itself."""
        if type(value) is Remote:
            return ("object", value._number)
        if (index := containers.get(id(value))) is not None:
            return ("container", index)
        if kind_of(value) is not None:
            return ("shared", self._shared.share(value))
        if type(value) in (types.FunctionType, types.MethodType) and _stays_here(value):
            number = self._callback_numbers.get(id(value))
            if number is None or self._callbacks[number] is not value:
                number = len(self._callbacks) + 1
                self._callbacks[number] = value
                self._callback_numbers[id(value)] = number
            return ("callback", number, value.__name__)
        return None

    # -- hearing -----------------------------------------------------------------------------------------------

    def _receive(self, containers: list[Any] | None) -> tuple[dict[str, Any], Any]:
        """The next message and its value; None for containers that nobody waits for any more."""
        with _uninterrupted():
            message, buffers = self._channel.receive()

        def other(tag: str, fields: list[Any]) -> Any:
            if tag == "h":
                return self._shared.get(fields[0])
            if tag == "k":
                return (containers or [])[fields[0]]
            if tag == "cb":
                return self._callbacks[fields[0]]
            if tag == "r":
                return self._remote(*fields)
            raise WireError(f"There is nothing of the kind {tag!r}.")

        reader = Reader(buffers, other)
        self._shared.apply(message.get("news") or [], reader)
        value = reader.read(message.get("value"))
        if containers is not None:
            for index, items in message.get("containers") or []:
                _restore(containers[index], items, reader, buffers)
        self._shared.release()
        return message, value

    def _remote(self, number: int, classes: list[str]) -> Remote:
        if type(number) is not int or not classes or not all(type(c) is str for c in classes):
            raise WireError("A reference came that is none.")
        found = self._remotes.get(number)
        if found is None:
            found = Remote(self, number, classes)
            self._remotes[number] = found
            weakref.finalize(found, self._dropped.append, number).atexit = False
        return found


def _open(payload: Any) -> tuple[list[Any], list[Any]]:
    """The lists, dicts, sets and arrays reached from a payload through one another, with what they hold."""
    containers: list[Any] = []
    contents: list[Any] = []
    seen: set[int] = set()
    stack = [payload]
    while stack:
        value = stack.pop()
        if type(value) is tuple:
            stack.extend(value)
        if type(value) not in (list, dict, set, np.ndarray) or id(value) in seen:
            continue
        seen.add(id(value))
        containers.append(value)
        if type(value) is np.ndarray:
            contents.append(None)
            continue
        contents.append(list(value.items() if type(value) is dict else value))
        stack.extend(item for entry in contents[-1] for item in (entry if type(value) is dict else (entry,)))
    return containers, contents


class _Pickler(cloudpickle.Pickler):
    """Pickles code and data for the sandbox; what is shared, or stays, goes as a reference."""

    def __init__(self, client: Client, file: Any, containers: dict[int, int]) -> None:
        super().__init__(file)
        self._client, self._containers = client, containers

    def persistent_id(self, value: Any) -> Any:
        return self._client.refer(value, self._containers)


class _JudgeShared(Shared):
    def __init__(self, client: Client) -> None:
        super().__init__(sign=1, weak=True)
        self._client = client
        self._arrived: list[Any] = []

    def keep(self, value: Any) -> None:
        self._arrived.append(value)

    def release(self) -> None:
        self._arrived.clear()

    def write_module(self, module: Any, writer: Writer) -> list[Any]:
        """The class of a module, by name where it is installed and as code where it is not, and what it holds."""
        return [self._client.dump(type(module)).hex(), self._client.dump(vars(module)).hex()]

    def make_module(self, fields: list[Any], reader: Reader) -> tuple[Any, Callable[[], None]]:
        """A module that the learner made: one of torch.nn's own classes, filled with data."""
        torch = torch_module()
        name, description = fields
        cls = _library_class(name)
        if cls is None or not name.startswith("torch.nn.modules.") or not issubclass(cls, torch.nn.Module):
            raise WireError(f"A module of the class {name!r} does not cross.")
        module: Any = object.__new__(cls)
        torch.nn.Module.__init__(module)
        return module, lambda: self.fill(module, description)


def _stays_here(function: Any) -> bool:
    """Whether a function is the judge's own, so that the sandbox may call but not have it."""
    if type(function) is types.MethodType:
        return kind_of(function.__self__) is None and type(function.__self__) is not Remote
    module = sys.modules.get(function.__module__ or "")
    return module is None or module.__name__ == "__main__" or not _installed(module)


def _restore(container: Any, items: list[Any], reader: Reader, buffers: list[bytearray]) -> None:
    """Puts into one of the judge's containers what the learner's code left in it."""
    if type(container) is np.ndarray:
        container[...] = np.frombuffer(buffers[items[0]], dtype=container.dtype).reshape(container.shape)
    elif type(container) is dict:
        pairs = [(reader.read(key), reader.read(value)) for key, value in items]
        container.clear()
        container.update(pairs)
    else:
        values = [reader.read(item) for item in items]
        container.clear()
        (container.extend if type(container) is list else container.update)(values)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Holds alarms and interrupts back until the block is done."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _raised(error: Any) -> BaseException:
    """The exception to raise here for one that was raised there: of a built-in class, with the learner's lines."""
    try:
        classes, name, args = error["classes"], error["name"], error["args"]
        lines = [str(line) for line in error["lines"]]
        args = [a for a in args if a is None or type(a) in (str, int, float, bool)]
    except (TypeError, KeyError) as broken:
        raise WireError("The sandbox raised something that cannot be read.") from broken
    for candidate in classes:
        known = getattr(builtins, str(candidate), None)
        if isinstance(known, type) and issubclass(known, Exception) and known is not Exception:
            try:
                raised: BaseException = known(*args)
            except TypeError:
                continue
            break
    else:
        raised = LearnerError(f"{name}: {', '.join(map(str, args))}")
    for line in lines:
        raised.add_note(line)
    return raised
