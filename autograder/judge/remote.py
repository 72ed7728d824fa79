"""The judge's side of a learner's objects: references to them, and calls by copy-restore.

A :class:`Remote` stands for something that stays in the sandbox. Calling it sends the arguments, runs the
call there, brings back what the call changed in them, and gives what it returned: plain data, tensors and
modules by value, the judge's own objects as themselves, anything else as another :class:`Remote`.
"""

from __future__ import annotations

import builtins
import functools
import io
import pickle
import select
import signal
import sys
import sysconfig
import threading
import time
import types
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np

from autograder.ambient import Random, in_mode, mode
from autograder.frames import Channel, Closed, WireError
from autograder.process import Process
from autograder.sandbox.session import BINARY, CONTAINERS, ORDER, UNARY, refill
from autograder.shared import Shared, kind_of, machinery
from autograder.wire import Reader, Writer, is_plain_array, torch_module

STALLED = 30.0  # seconds that half a message may take
INTERRUPT_GRACE = 2.0  # seconds that interrupted code has to end

_ATOMS = frozenset({type(None), bool, int, float, str, bytes, complex, tuple, type})


class LearnerError(Exception):
    """An exception of a class that is the learner's own, or that Python does not have built in."""


class LearnerExit(BaseException):
    """The learner's code raised SystemExit, KeyboardInterrupt or the like: not an ``Exception`` here either."""


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
        return _nearest(self._classes) or Remote

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

    def __len__(self) -> int:
        return self._client.do("len", self)

    def __getitem__(self, key: Any) -> Any:
        return self._client.do("getitem", self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._client.do("setitem", self, key, value)

    def __delitem__(self, key: Any) -> None:
        self._client.do("delitem", self, key)

    def __iter__(self) -> Iterator[Any]:
        return self._client.do("iter", self)

    def __next__(self) -> Any:
        return self._client.do("next", self)

    def __contains__(self, item: Any) -> bool:
        if "contains" in self._client.operators:
            return self._client.do("contains", self, item)
        return any(held is item or held == item for held in self)

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
        return self._client.operate(name, self, *operands)

    return operate


def _reflected(name: str) -> Callable[[Remote, Any], Any]:
    def operate(self: Remote, other: Any) -> Any:
        return self._client.operate(name, other, self)

    return operate


for _name in (*UNARY, *ORDER, *BINARY):
    setattr(Remote, f"__{_name.rstrip('_')}__", _operation(_name))
for _name in BINARY:
    setattr(Remote, f"__r{_name.rstrip('_')}__", _reflected(_name))


def _nearest(classes: list[str]) -> type | None:
    """The first of the classes that an installed library has and the judge has imported."""
    found = (known for name in classes if (known := _library_class(name)) is not None)
    return next((known for known in found if _is_python(known)), None)


@functools.cache
def _is_python(kind: type) -> bool:
    """Whether a class is written in Python: code in C would take a reference for an instance of one that is not."""
    added = (c for c in kind.__mro__[:-1] if c.__basicsize__ != (c.__base__ or object).__basicsize__)
    return all("__slots__" in vars(c) or "__weakref__" in vars(c) for c in added)


def _library_class(name: str) -> type | None:
    module, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module)
    if module in ("builtins", "__main__") or type(found) is not types.ModuleType or not _installed(module):
        return None
    for part in qualname.split("."):  # looked up in dictionaries: a module's own __getattr__ may import
        found = vars(found).get(part) if isinstance(found, types.ModuleType | type) else None
    return found if isinstance(found, type) else None


@functools.cache
def _installed(module: str) -> bool:
    """Whether a module belongs to Python or to an installed library, which both processes have alike."""
    file = getattr(sys.modules[module], "__file__", None)
    if file is None:
        return module in sys.builtin_module_names
    paths = [sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    return any(Path(file).is_relative_to(path) for path in paths)


class Client:
    """Asks a sandbox over ``channel``.

    Parameters
    ----------
    sandbox: the sandbox's process, to interrupt what the judge no longer waits for.
    operators: operators that the reference solution defines (``lt``, ``add`` ...). Of these alone a learner's
        object may give a plain value; of others only another object, so that none can compare itself equal.

    ``before_asking`` is called before each question; it may itself ask, to bring names up to date. ``lost`` says
    why there is nobody to ask any more, once that is so, and ``unanswered`` is set by each question in vain.
    """

    def __init__(self, channel: Channel, sandbox: Process, operators: frozenset[str] = frozenset()) -> None:
        self.lost: str | None = None
        self.unanswered = False
        self.operators = operators
        self.before_asking: Callable[[], None] = lambda: None
        self._channel = channel
        self._channel.sock.settimeout(STALLED)
        self._sandbox = sandbox
        self._alarm = _Alarm()
        self._shared = _JudgeShared(self)
        self._random = Random()
        self._callbacks: dict[int, Callable[..., Any]] = {}
        self._callback_numbers: dict[int, int] = {}
        self._dropped: list[int] = []
        self._thrown: list[Exception] = []  # what callbacks raised; it comes back as itself
        self._remotes: weakref.WeakValueDictionary[int, Remote] = weakref.WeakValueDictionary()

    # -- what a judge asks -----------------------------------------------------------------------------------

    def run(self, source: str) -> list[Any]:
        """Runs a cell there and gives what it showed: nbformat outputs, or what the sandbox says is that."""
        said = self._ask("run", source)
        return said["outputs"] if type(said) is dict and type(said.get("outputs")) is list else []

    def names(self, wanted: list[str]) -> dict[str, Any]:
        """Those of the wanted names that are bound there, with what they are bound to."""
        said = self._ask("names", wanted)
        return {name: said[name] for name in wanted if name in said} if type(said) is dict else {}

    def bind(self, values: dict[str, Any]) -> None:
        self._ask("bind", values)

    def unbind(self, names: list[str]) -> None:
        self._ask("unbind", names)

    def do(self, what: str, *operands: Any) -> Any:
        self.before_asking()
        return self._ask("do", (what, *operands))

    def operate(self, operator: str, *operands: Any) -> Any:
        """Does an operator that Python has signs for."""
        value = self.do(operator, *operands)
        name = operator.rstrip("_")
        meant = self.operators & (set(ORDER) if operator in ORDER else {name, f"r{name}"})
        if type(value) is Remote or meant:
            return value
        raise TypeError("A learner's object does not compute or compare for itself. Look at what it holds.")

    # -- asking ----------------------------------------------------------------------------------------------

    def _ask(self, op: str, payload: Any) -> Any:
        """One question and its answer. Alarms ring only while it waits, or while a callback runs."""
        if self.lost:
            self.unanswered = True
            raise Closed(self.lost)
        self._alarm.hold()
        try:
            containers = self._send(op, payload)
            while True:
                self._wait(containers)
                message, value = self._receive(containers)
                if message.get("op") == "callback":
                    self._call_back(self._callback_of(message, value), message, value, containers)
                elif message.get("op") == "backward":
                    backward = functools.partial(self._backward, message.get("number"))
                    self._call_back(backward, message, ((value,), {}), containers)
                elif message.get("op") == "value":
                    return value
                else:
                    raise self._raised(message.get("error"))
        except WireError as error:
            self._give_up(str(error))
            self.unanswered = True
            raise
        finally:
            self._alarm.let_ring()

    def _wait(self, containers: list[Any]) -> None:
        """Until something arrives, however long that takes: limits are the caller's business."""
        try:
            self._alarm.let_ring()
            select.select([self._channel.sock], [], [])
            self._alarm.hold()
        except BaseException:  # the check stopped waiting
            self._abandon(containers)
            raise

    def _abandon(self, containers: list[Any]) -> None:
        """Interrupts what runs there and waits a moment for its answer, so that the next question gets its own."""
        self._alarm.hold()
        if self.lost:
            return
        self._sandbox.signal(signal.SIGINT)
        deadline = time.monotonic() + INTERRUPT_GRACE
        try:
            while select.select([self._channel.sock], [], [], max(0.0, deadline - time.monotonic()))[0]:
                if self._receive(containers)[0].get("op") not in ("callback", "backward"):
                    return
        except WireError as error:
            self._give_up(str(error))
        self._give_up("The learner's code could not be interrupted.")

    def _give_up(self, why: str) -> None:
        self.lost = self.lost or why
        self._sandbox.signal(signal.SIGKILL)
        self._channel.close()

    def _callback_of(self, message: dict[str, Any], arguments: Any) -> Callable[..., Any]:
        number = message.get("number")
        function = self._callbacks.get(number) if type(number) is int else None
        well_formed = type(arguments) is list and [type(a) for a in arguments] == [tuple, dict]
        if function is None or not well_formed or not all(type(name) is str for name in arguments[1]):
            raise WireError("The sandbox called a function that it was never given.")
        return function

    def _backward(self, number: Any, grad: Any) -> Any:
        """Gradients that the sandbox asks for, of a tensor that was computed here."""
        try:
            return self._shared.graphs.backward(number, grad)
        except (KeyError, TypeError) as error:
            raise WireError("The sandbox asked for the gradients of what it was never given.") from error

    def _call_back(
        self, function: Callable[..., Any], message: dict[str, Any], arguments: Any, containers: list[Any]
    ) -> None:
        try:
            self._alarm.let_ring()
            with in_mode(message.get("mode")):
                result = function(*arguments[0], **arguments[1])
            self._alarm.hold()
        except WireError:
            raise
        except Exception as error:
            self._alarm.hold()
            self._thrown.append(error)
            self._send("throw", (len(self._thrown), _plain_exception(error)))
        except BaseException:
            self._abandon(containers)
            raise
        else:
            self._send("return", result)

    def _gradients(self, number: int, grad: Any) -> list[Any]:
        """Gradients of the inputs of a tensor that the sandbox computed."""
        torch = torch_module()
        said = self._ask("backward", (number, grad))
        if type(said) is not list or not all(one is None or type(one) is torch.Tensor for one in said):
            raise WireError("The sandbox gave gradients that are none.")
        return said

    def _raised(self, error: Any) -> BaseException:
        number = error.get("thrown") if type(error) is dict else None
        if type(number) is int and 0 < number <= len(self._thrown):
            return self._thrown[number - 1]
        return _raised(error)

    def _send(self, op: str, payload: Any) -> list[Any]:
        writer = Writer(lambda value: None)
        containers, contents = _open(payload)
        index = {id(container): i for i, container in enumerate(containers)}
        kinds = [type(c).__name__ if type(c) is not np.ndarray else writer.write(c) for c in containers]
        pickled = self.dump((contents, payload), index)
        news = self._shared.changes(writer)
        dropped, self._dropped[:] = list(self._dropped), []
        released, self._shared.graphs.released[:] = list(self._shared.graphs.released), []
        message = {"op": op, "news": news, "containers": kinds, "payload": writer.buffer(pickled), "mode": mode()}
        if states := self._random.changed():
            message["random"] = writer.buffer(pickle.dumps(states))
        gone = {"dead": self._shared.dead(), "dropped": dropped, "released": released}
        self._shared.sent(self._channel.send(message | gone, writer.buffers))
        return containers

    def dump(self, value: Any, containers: dict[int, int] | None = None) -> bytes:
        file = io.BytesIO()
        _Pickler(self, file, containers or {}).dump(value)
        return file.getvalue()

    def refer(self, value: Any, containers: dict[int, int]) -> tuple[Any, ...] | None:
        """The reference under which the sandbox finds an object, or None for what is sent itself."""
        kind = type(value)
        if kind in _ATOMS:
            return None
        if kind is Remote:
            return ("object", value._number)
        if (index := containers.get(id(value))) is not None:
            return ("container", index)
        if kind in (types.FunctionType, types.MethodType):
            return self._callback(value) if _stays_here(value) else None
        return ("shared", self._shared.share(value)) if kind_of(value) is not None else None

    def _callback(self, function: Any) -> tuple[Any, ...]:
        number = self._callback_numbers.get(id(function))
        if number is None:
            number = len(self._callbacks) + 1
            self._callbacks[number] = function  # kept, so that its id stays its own
            self._callback_numbers[id(function)] = number
        return ("callback", number, function.__name__)

    # -- hearing -----------------------------------------------------------------------------------------------

    def _receive(self, containers: list[Any]) -> tuple[dict[str, Any], Any]:
        """The next message and its value. The containers that went with the question are brought up to date."""
        message, buffers = self._channel.receive()

        def other(tag: str, fields: list[Any]) -> Any:
            if tag == "h":
                return self._shared.get(fields[0])
            if tag == "k":
                return containers[fields[0]]
            if tag == "cb":
                return self._callbacks[fields[0]]
            if tag == "r":
                return self._remote(*fields)
            raise WireError(f"There is nothing of the kind {tag!r}.")

        reader = Reader(buffers, other)
        try:
            self._shared.apply(message.get("news") or [], reader, buffers)
            self._shared.graphs.release(message.get("released") or [])
            self._random.draw(message.get("moved") or [])
            _print(message.get("printed") or [])
            value = reader.read(message.get("value"))
            for index, items in message.get("containers") or []:
                _restore(containers[index], items, reader)
        except WireError:
            raise
        except Exception as error:
            raise WireError(f"The sandbox's answer cannot be read ({type(error).__name__}).") from error
        self._shared.release()
        return message, value

    def _remote(self, number: int, classes: list[str]) -> Remote:
        if type(number) is not int or not _are_names(classes):
            raise WireError("A reference came that is none.")
        found = self._remotes.get(number)
        if found is None:
            if number in self._dropped:  # dropped while the answer was under way, and wanted again
                self._dropped.remove(number)
            found = Remote(self, number, classes)
            self._remotes[number] = found
            weakref.finalize(found, self._dropped.append, number).atexit = False
        return found


def _print(printed: Any) -> None:
    """Prints here what the learner's code has printed there: a test may be listening."""
    for name, text in printed:
        if type(text) is str:
            (sys.stderr if name == "stderr" else sys.stdout).write(text)


def _are_names(classes: Any) -> bool:
    return type(classes) is list and bool(classes) and all(type(name) is str for name in classes)


def _open(payload: Any) -> tuple[list[Any], list[Any]]:
    """The containers and arrays reached from a payload through one another, with what they hold."""
    containers: list[Any] = []
    contents: list[Any] = []
    seen: set[int] = set()
    stack = [payload]
    while stack:
        value = stack.pop()
        kind = type(value)
        if kind is tuple:
            stack.extend(value)
        if id(value) in seen or not (is_plain_array(value) if kind is np.ndarray else kind in _OPENED):
            continue
        seen.add(id(value))
        containers.append(value)
        if kind is np.ndarray:
            contents.append(None)
        elif isinstance(value, dict):
            contents.append(list(value.items()))
            stack.extend(item for pair in contents[-1] for item in pair)
        else:
            contents.append(list(value))
            stack.extend(contents[-1])
    return containers, contents


_OPENED = frozenset(CONTAINERS.values())


class _Pickler(cloudpickle.Pickler):
    """Pickles code and data for the sandbox; what is shared, or stays, goes as a reference."""

    def __init__(self, client: Client, file: Any, containers: dict[int, int]) -> None:
        super().__init__(file)
        self._client, self._containers = client, containers

    def persistent_id(self, value: Any) -> Any:
        return self._client.refer(value, self._containers)


class _JudgeShared(Shared):
    def __init__(self, client: Client) -> None:
        super().__init__(sign=1, weak=True, ask=client._gradients)
        self._client = client
        self._arrived: list[Any] = []
        self._classes: dict[type, int] = {}  # classes of modules that the sandbox has, by number

    def keep(self, value: Any) -> None:
        self._arrived.append(value)

    def release(self) -> None:
        self._arrived.clear()

    def write_modules(self, modules: list[Any], writer: Writer) -> list[Any]:
        """Modules of this end: classes that the sandbox lacks, as code; of each module its class and what it holds."""
        new = [kind for kind in dict.fromkeys(map(type, modules)) if kind not in self._classes]
        self._classes |= {kind: number for number, kind in enumerate(new, start=len(self._classes))}
        code = writer.buffer(self._client.dump(new)) if new else None
        more = {i: inside for i, module in enumerate(modules) if (inside := machinery(module))}
        insides = writer.buffer(self._client.dump(more)) if more else None
        return [code, insides, [[self._classes[type(module)], self._describe(module)] for module in modules]]

    def make_modules(self, fields: list[Any], reader: Reader) -> tuple[list[Any], Callable[[], None]]:
        """Modules that the learner made: torch.nn's own where that is all they are, else such as ask."""
        modules = [self._empty(classes, is_data) for classes, is_data, _ in fields[0]]

        def fill() -> None:
            for module, (_, _, description) in zip(modules, fields[0], strict=True):
                self.fill(module, description)

        return modules, fill

    def _empty(self, classes: Any, is_data: Any) -> Any:
        torch = torch_module()
        if not _are_names(classes):
            raise WireError("A module came that is none.")
        cls = _library_class(classes[0]) if is_data and classes[0].startswith("torch.nn.modules.") else None
        if cls is not None and issubclass(cls, torch.nn.Module):
            module: Any = object.__new__(cls)
            torch.nn.Module.__init__(module)
            return module
        return _learners_module()(self._client, classes)


@functools.cache
def _learners_module() -> type:
    """The class of modules whose code stays in the sandbox: made when first needed, since it needs torch."""
    import torch

    class LearnersModule(torch.nn.Module):
        """A learner's module: its parameters, buffers and children are here as data, all else is asked for."""

        def __init__(self, client: Client, classes: list[str]) -> None:
            torch.nn.Module.__init__(self)
            vars(self)["_asks"] = client, classes

        @property  # type: ignore[misc]
        def __class__(self) -> type:
            return _nearest(self._asks[1]) or LearnersModule

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return self._asks[0].do("call", self, args, kwargs)

        def __getattr__(self, name: str) -> Any:
            try:
                return torch.nn.Module.__getattr__(self, name)
            except AttributeError:
                if name.startswith("_"):
                    raise
                return self._asks[0].do("getattr", self, name)

    return LearnersModule


def _stays_here(function: Any) -> bool:
    """Whether a function is the judge's own, so that the sandbox may call but not have it."""
    if type(function) is types.MethodType:
        return type(function.__self__) is not Remote and kind_of(function.__self__) is None
    module = function.__module__
    return module not in sys.modules or module == "__main__" or not _installed(module)


def _restore(container: Any, items: list[Any], reader: Reader) -> None:
    """Puts into one of the judge's containers what the learner's code left in it."""
    if type(container) is np.ndarray:
        if container.flags.writeable:
            container[...] = np.frombuffer(reader.buffer(items[0]), dtype=container.dtype).reshape(container.shape)
    elif isinstance(container, dict):
        refill(container, [(reader.read(key), reader.read(value)) for key, value in items])
    else:
        refill(container, [reader.read(item) for item in items])


class _Alarm:
    """Puts off the alarm by which a check stops waiting, until it cannot tear a message in two.

    The handler is changed, and not the mask: any other thread would take a signal that this one does not.
    """

    def __init__(self) -> None:
        self._held = self._rang = False
        self._handler: Any = None

    def hold(self) -> None:
        if self._held or not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
            return
        self._handler = signal.signal(signal.SIGALRM, self._note)
        self._held = True

    def let_ring(self) -> None:
        if not self._held:
            return
        self._held = False
        signal.signal(signal.SIGALRM, self._handler)
        if self._rang:
            self._rang = False
            signal.raise_signal(signal.SIGALRM)

    def _note(self, *_: Any) -> None:
        self._rang = True


def _plain_exception(error: Exception) -> Exception:
    """An exception of a built-in class in its place, where its own class is not known in the sandbox."""
    known = next(c for c in type(error).__mro__ if c.__module__ == "builtins")
    args = error.args if all(type(a) in _ATOMS for a in error.args) else (str(error),)
    try:
        return known(*args)
    except Exception:
        return RuntimeError(str(error))


def _raised(error: Any) -> BaseException:
    """The exception to raise here for one that was raised there: of a built-in class, with the learner's lines."""
    try:
        classes, name = [str(c) for c in error["classes"]], str(error["name"])
        lines = [str(line) for line in error["lines"]]
        args = [a for a in error["args"] if a is None or type(a) in (str, int, float, bool)]
    except (TypeError, KeyError) as broken:
        raise WireError("The sandbox raised something that cannot be read.") from broken
    text = f"{name}: {', '.join(map(str, args))}" if args else name
    raised: BaseException = LearnerExit(text) if classes and "Exception" not in classes else LearnerError(text)
    for name in classes if type(raised) is LearnerError else []:
        kind = getattr(builtins, name, None)
        if isinstance(kind, type) and issubclass(kind, Exception) and kind is not Exception:
            try:
                raised = kind(*args)
                break
            except Exception:  # it wants arguments of its own: the class it comes from may do
                continue
    for line in lines:
        raised.add_note(line)
    return raised
