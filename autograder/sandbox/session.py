"""The learner's side: runs the learner's cells, and what a judge asks of the learner's objects.

Nothing here is trusted by anyone: this process answers with plain data (:mod:`autograder.wire`), and whatever
it says is checked by the reader.
"""

from __future__ import annotations

import asyncio
import collections
import collections.abc
import contextlib
import copy
import enum
import importlib
import io
import itertools
import json
import operator
import pickle
import signal
import sys
import traceback
import types
import warnings
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from autograder import tabular
from autograder.ambient import Random, Settings, gradients_kept, in_mode, mode
from autograder.files import Files
from autograder.frames import ASIDE, Buffers, Channel, Closed
from autograder.live import MOST, STATES, Live, as_it_is, refill
from autograder.operators import BINARY, CONVERSIONS, ORDER, UNARY
from autograder.sandbox.judges import Callback, JudgesObject
from autograder.shared import SCALARS, Shared, kind_of, machinery
from autograder.shell import Shell
from autograder.wire import Reader, Writer, is_plain_array, is_value, named_fields, torch_module

# Operators that a judge may ask of the learner's objects, by their names in Python's operator module.
_ABSENT = object()
ITEMS = ("getitem", "setitem", "delitem", "contains")


def _called(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    with gradients_kept():
        return function(*args, **kwargs)


def _listed(value: Any) -> tuple[bool, list[Any]] | None:
    """Whether an object is read by position, and what it holds; None where it has no length."""
    if not hasattr(type(value), "__len__"):
        return None
    return not isinstance(value, collections.abc.Mapping), list(itertools.islice(value, len(value)))


def _unpickled(data: bytes) -> tuple[Any, int]:
    """What bytes that begin with a pickle give, and how many of them it is."""
    stream = io.BytesIO(data)
    return pickle.load(stream), stream.tell()


def _exit(manager: Any, error: BaseException | None) -> Any:
    return type(manager).__exit__(manager, error and type(error), error, None)


async def _aexit(manager: Any, error: BaseException | None) -> Any:
    return await type(manager).__aexit__(manager, error and type(error), error, None)


def _inherited(kind: type, thing: Any, name: str) -> Any:
    """What ``super()`` gives of a class."""
    held = vars(kind)[name]
    return held.__get__(thing) if hasattr(held, "__get__") else held


async def _awaited(value: Any) -> Any:
    return await value


def _finish(value: Any) -> Any:
    """What an awaitable gives, waited for here."""
    return asyncio.run(_awaited(value))


def _evaluated(source: str, given: dict[str, Any] | None, local: Any, notebook: dict[str, Any]) -> Any:
    if given is None:
        return eval(source, notebook, local)
    with _without_builtins(given):
        return eval(source, given, local)


def _executed(source: str, given: dict[str, Any] | None, local: Any, notebook: dict[str, Any]) -> dict[str, Any]:
    """Runs a text in the names that are given, or in the notebook's: then gives what it has bound there anew."""
    if given is not None:
        with _without_builtins(given):
            exec(source, given, local)
        return {}
    before = dict(notebook)
    exec(source, notebook, local)
    return {name: value for name, value in notebook.items() if before.get(name, _ABSENT) is not value}


@contextlib.contextmanager
def _without_builtins(names: dict[str, Any]) -> Iterator[None]:
    """Takes out again of a judge's names what Python puts into them to run something there."""
    had = "__builtins__" in names
    try:
        yield
    finally:
        if not had:
            names.pop("__builtins__", None)


OPERATIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(operator, name) for name in (*ITEMS, *ORDER, *UNARY, *BINARY, "eq")},
    **{f"i{name}": getattr(operator, f"i{name.rstrip('_')}") for name in BINARY},
    **CONVERSIONS,
    **{f.__name__: f for f in (getattr, setattr, delattr, iter, next, len, str, repr, format, hash, bool, dir)},
    "call": _called,
    "reversed": reversed,
    "unpickle": _unpickled,
    "listed": _listed,
    "defined": lambda kind: dict(vars(kind)),
    "inherited": _inherited,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "enter": lambda manager: type(manager).__enter__(manager),
    "exit": _exit,
    "await": _finish,
    "aiter": lambda value: type(value).__aiter__(value),
    "anext": lambda value: _finish(type(value).__anext__(value)),
    "aenter": lambda manager: _finish(type(manager).__aenter__(manager)),
    "aexit": lambda manager, error: _finish(_aexit(manager, error)),
}

# Containers that both sides keep in step: made empty first, since they may hold each other.
CONTAINERS: dict[str, Callable[[], Any]] = {
    "list": list,
    "dict": dict,
    "set": set,
    "OrderedDict": collections.OrderedDict,
    "Counter": collections.Counter,
}

NOTHING_RUNS = frozenset({"names", "bind", "unbind"})  # questions whose answers run no learner's code
CELLS = frozenset({"run", "test"})  # questions that run a cell, which shows itself what it warns of

_PLAIN = {type(None), bool, int, float, str, complex, bytes, bytearray, list, tuple, dict, set, frozenset, slice}
_PLAIN |= {range, type(Ellipsis), collections.OrderedDict, collections.Counter, collections.defaultdict}


class Interrupts:
    """SIGINT, by which a judge says that it waits no longer: heeded while learners' code runs, kept until then.

    One is heeded for each question, so that it may come at any moment without coming twice.
    """

    def __init__(self) -> None:
        self.heeding = self._waiting = False
        signal.signal(signal.SIGINT, self._ring)

    def _ring(self, *_: Any) -> None:
        self._waiting = True
        self._heed()

    def _heed(self) -> None:
        if self._waiting and self.heeding:
            self._waiting = self.heeding = False
            raise KeyboardInterrupt

    def heed(self) -> None:
        """From now on; raises KeyboardInterrupt where one has come already."""
        self.heeding = True
        self._heed()

    def forget(self) -> None:
        """What was said about the last question does not matter for the next."""
        self._waiting = False


class Session:
    """Answers a judge over ``channel`` until it hangs up."""

    def __init__(self, channel: Channel, shell: Shell) -> None:
        self._channel = channel
        self._shell = shell
        self._interrupts = Interrupts()
        self._shared = _SandboxShared(self)
        self._random = Random()
        self._settings = Settings()
        self._objects: dict[int, Any] = {}  # what stays here, by the number the judge knows it by
        self._object_numbers: dict[int, int] = {}
        self._count = 0
        self._groups: list[list[str]] = []  # of the notebook's cells: their texts
        self._example_names: dict[str, Any] = {}  # of the docstring whose examples are being run
        self._told: dict[str, Any] = {}  # what the judge knows the wanted names to be bound to
        self._lent: weakref.WeakValueDictionary[int, Callback | JudgesObject] = weakref.WeakValueDictionary()
        self._let_go: list[int] = []  # numbers of what is held here no more
        self._live = Live()
        self._gone: list[int] = []  # numbers of containers that are in step no more, for the judge to hear of
        self._files = Files(Path.cwd())
        self._patched: dict[tuple[str, str], Any] = {}
        self._classes: dict[type, Any] = {}  # how the judge is told of each
        self._opened: list[Any] = []  # the containers of the message being read
        self._containers: list[dict[int, int]] = []  # of each running call: id of a container -> its index

    def serve(self) -> None:
        while True:
            self._channel.ready()
            self._interrupts.forget()
            try:
                message, buffers = self._channel.receive()
                if message["op"] == "groups":
                    self._groups = json.loads(bytes(buffers[0]))
                else:
                    self._answer(message, buffers)
            except Closed:
                return

    def call_back(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs a function of the judge there."""
        return self._ask({"op": "callback", "number": number, "mode": mode()}, [args, kwargs])

    def ask_object(self, what: str, number: int, *operands: Any) -> Any:
        """Does with an object of the judge's what the learner's code does with it here."""
        return self._ask({"op": "object", "number": number, "what": what, "mode": mode()}, list(operands))

    def class_named(self, name: str) -> type | None:
        """The class of that name in the notebook."""
        found = self._shell.user_ns.get(name)
        return found if isinstance(found, type) else None

    def gradients(self, number: int, grad: Any) -> list[Any]:
        """Gradients of the inputs of a tensor that the judge computed."""
        return list(self._ask({"op": "backward", "number": number}, grad))

    def _ask(self, question: dict[str, Any], value: Any) -> Any:
        """Asks the judge, answering what it asks meanwhile."""
        self._interrupts.heeding = False
        try:
            question["printed"] = self._shell.take_printed()
            self._send(question, lambda writer: writer.write(value))
            while True:
                self._interrupts.heed()
                self._channel.ready()
                self._interrupts.heeding = False
                message, buffers = self._channel.receive()
                if message["op"] in ("return", "throw"):
                    value, _ = self._receive(message, buffers)
                    break
                self._answer(message, buffers)
        finally:
            self._interrupts.heeding = True  # as it was: this is called by the learner's code
        if message["op"] == "throw":
            number, error = value
            error.thrown = number
            raise error
        return value

    # -- answering -----------------------------------------------------------------------------------------

    def _answer(self, message: dict[str, Any], buffers: Buffers) -> None:
        containers: list[Any] = []
        before: list[Any] = []
        answer: dict[str, Any] = {"op": "value", "printed": [], "warned": []}
        value = None
        self._containers.append({})
        try:
            payload, containers = self._receive(message, buffers)
            before = [as_it_is(container) for container in containers]
            self._containers[-1] = {id(container): i for i, container in enumerate(containers)}
            try:
                self._interrupts.heed()
                heard = contextlib.nullcontext() if message["op"] in CELLS else self._warned(answer["warned"])
                with in_mode(message["mode"]), self._shell.listening(answer["printed"]), heard:
                    value = self._do(message["op"], payload)
            finally:
                self._interrupts.heeding = False
        except Closed:
            raise
        except BaseException as error:  # the learner's code may raise anything
            answer |= {"op": "error", "error": self.describe(error)}
        try:
            self._live.wake()
            look = message["op"] not in NOTHING_RUNS
            self._send(answer, lambda writer: writer.write(value), containers, before, look)
        finally:
            self._containers.pop()

    @contextlib.contextmanager
    def _warned(self, said: list[Any]) -> Iterator[None]:
        """Adds to ``said`` the warnings of the block, for the judge to warn of in its way."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                yield
            finally:
                said += [[self._class(one.category), str(one.message)] for one in caught or ()]

    def _do(self, op: str, payload: Any) -> Any:
        names = self._shell.user_ns
        if op == "run":
            what, wanted = payload
            for cell in self._groups[what] if type(what) is int else [what]:
                self._show(self._shell.run(cell).outputs)
            return self._tell(wanted)
        if op == "test":
            run = self._shell.run(payload)
            error = None if run.error is None else self.describe(run.error)
            return {"outputs": run.outputs, "value": run.value, "error": error}
        if op == "example":
            source, is_first = payload
            if is_first:
                self._example_names = dict(names)
            exec(compile(source, "<example>", "single"), self._example_names)
            return None
        if op in ("eval", "exec"):
            source, given, local = payload
            return (_evaluated if op == "eval" else _executed)(source, given, local, names)
        if op == "names":
            return self._tell(payload)
        if op == "bind":
            names.update(payload)
            self._told |= {name: value for name, value in payload.items() if name in self._told}
            return None
        if op == "unbind":
            for name in payload:
                names.pop(name, None)
            return None
        if op == "backward":
            return self._shared.graphs.backward(*payload)
        what, *operands = payload
        if what == "class":
            name, bases, body, keywords = operands
            return self._number(types.new_class(name, bases, keywords, lambda namespace: namespace.update(body)))
        return OPERATIONS[what](*operands)

    def _show(self, outputs: list[Any]) -> None:
        """Shows what a cell has shown."""
        try:
            text = json.dumps(outputs, skipkeys=True, default=lambda value: None)
        except (ValueError, RecursionError):  # what holds itself
            text = "[]"
        self._channel.send({"op": ASIDE}, [text.encode()], aside=True)

    def _tell(self, wanted: list[str]) -> dict[str, Any]:
        """What these names of the notebook are bound to; from now on the judge is told when that changes."""
        names = self._shell.user_ns
        self._told = {name: names[name] for name in wanted if name in names}
        return dict(self._told)

    def _receive(self, message: dict[str, Any], buffers: Buffers) -> tuple[Any, list[Any]]:
        """Takes over what changed in the judge; gives the payload and the containers that go back with the answer."""
        try:
            return self._taken(message, buffers)
        except BaseException:
            self._gone += [number for number in message["numbers"] if self._live.get(number) is None]
            raise
        finally:
            self._live.drop(message["dropped"])

    def _taken(self, message: dict[str, Any], buffers: Buffers) -> tuple[Any, list[Any]]:
        reader = Reader(buffers, _no_references)
        self._shared.forget(message["dead"])
        for number in message["dropped"]:
            gone = self._objects.pop(number, None)
            self._object_numbers.pop(id(gone), None)
        self._shared.graphs.release(message["released"])
        self._shared.apply(pickle.loads(buffers[message["news"]]), reader, buffers)
        if "random" in message:
            self._random.restore(pickle.loads(buffers[message["random"]]))
        if "settings" in message:
            self._settings.restore(pickle.loads(buffers[message["settings"]]))
        opened = [self._container(made, reader) for made in message["containers"]]
        self._opened = opened
        contents, live, patches, payload = self.load(buffers[message["payload"]])
        for module, name, replacement in patches:
            self._patch(module, name, *replacement)
        if "files" in message:
            self._files.watch(message["watched"])
            for name, content in message["files"]:
                self._files.apply(name, None if content is None else bytes(buffers[content]))
        for number, items in live:
            refill(self._live.get(number), items)
            self._live.put(number, self._live.get(number))
        for container, content in zip(opened, contents, strict=True):
            if content is not None:
                refill(container, content)
        numbers = message["numbers"]
        for number, container in zip(numbers, opened, strict=False):
            self._live.put(number, container, rests=message["rests"])
        self._opened = []
        return payload, opened[len(numbers) :]

    def _container(self, made: Any, reader: Reader) -> Any:
        """What a judge has opened, as it begins here: of a kind of that name, pickled, or as plain data."""
        if type(made) is str:
            return CONTAINERS[made]()
        return self.load(reader.buffer(made)) if type(made) is int else reader.read(made)

    def _patch(self, module: str, name: str, *replacement: Any) -> None:
        """Puts something in the place of a module's own, or that back. A builtin's place is the notebook's names."""
        names = self._shell.user_ns if module == "builtins" else vars(importlib.import_module(module))
        if replacement:
            self._patched.setdefault((module, name), names.get(name, _ABSENT))
            names[name] = replacement[0]
        elif (own := self._patched.pop((module, name), _ABSENT)) is not _ABSENT:
            names[name] = own
        elif module == "builtins":
            names.pop(name, None)

    def load(self, data: bytes | memoryview) -> Any:
        """Unpickles what a judge sent. Code may come this way, and only this way."""
        return _Unpickler(self, io.BytesIO(data)).load()

    def resolve(self, reference: tuple[Any, ...]) -> Any:
        kind, number, *rest = reference
        if kind == "shared":
            return self._shared.get(number)
        if kind == "object":
            return self._objects[number]
        if kind == "live":
            return self._live.get(number)
        if kind == "container":
            return self._opened[number]
        if kind == "member":  # of an enumeration of that name in the notebook
            return self._shell.user_ns[number][rest[0]]
        if (lent := self._lent.get(number)) is None:
            lent = self._lent[number] = (JudgesObject if kind == "judges" else Callback)(self, number, *rest)
            weakref.finalize(lent, self._let_go.append, number).atexit = False
        return lent

    # -- sending -------------------------------------------------------------------------------------------

    def _send(
        self,
        message: dict[str, Any],
        write: Callable[[Writer], Any],
        containers: list[Any] | None = None,
        before: list[Any] | None = None,
        look: bool = True,
    ) -> None:
        self._classes.clear()  # each may have other methods by now
        new: list[tuple[int, Any]] = []  # containers that the judge will have with this message
        writer = Writer(self._refer, lambda container: self._live_number(container, new))
        names = self._shell.user_ns
        try:
            value = write(writer)
            live = [[number, self._contents(container, writer)] for number, container in self._live.changes()]
            changed = [
                [i, self._contents(container, writer)]
                for i, (container, old) in enumerate(zip(containers or [], before or [], strict=False))
                if _differs(container, old)
            ]
            renamed = {name: names[name] for name, old in self._told.items() if names.get(name, old) is not old}
            rebound = [[name, writer.write(now)] for name, now in renamed.items()]
            news = self._shared.changes(writer, look=look)
        except BaseException as error:  # the learner's classes may take part in this
            self._shared.failed()
            message = {"op": "error", "error": describe_error(error), "printed": message["printed"]}
            value, changed, news, live, rebound, writer = None, [], [], [], [], Writer(self._refer)
            renamed = {}
            new.clear()
        for number, container in new:
            self._live.put(number, container)
        gone, self._gone[:] = [*self._gone, *self._live.let_go()], []
        released, self._shared.graphs.released[:] = list(self._shared.graphs.released), []
        more = {"value": value, "news": news, "containers": changed, "live": live, "released": released}
        let_go, self._let_go[:] = list(self._let_go), []
        more["dropped"] = [number for number in let_go if number not in self._lent]  # it may have come anew
        more["gone"] = gone
        more["random"] = [[name, writer.write(state)] for name, state in self._random.changed().items()]
        more["names"] = rebound
        self._told |= renamed
        watched, files = self._files.names(), self._files.changes()
        more["files"] = [[watched.index(name), c if c is None else writer.buffer(c)] for name, c in files.items()]
        self._shared.sent(self._channel.send(message | more, writer.buffers))

    def _contents(self, container: Any, writer: Writer) -> Any:
        if isinstance(container, dict):
            return [[writer.write(k), writer.write(v)] for k, v in container.items()]
        if isinstance(container, list | set | collections.deque):
            return [writer.write(item) for item in container]
        if type(container) in STATES:
            return [writer.write(STATES[type(container)].look(container))]
        if not isinstance(container, np.ndarray):
            return [writer.table(container)]
        return [writer.buffer(container.tobytes())]

    def _live_number(self, container: Any, new: list[tuple[int, Any]]) -> int | None:
        """The number of a container that both ends keep in step from now on."""
        if len(container) > MOST:
            return None
        self._count += 1
        new.append((self._count, container))
        return self._count

    def _refer(self, value: Any) -> list[Any] | None:
        """The reference by which the judge knows an object, or None for plain data."""
        kind = type(value)
        if self._containers and (index := self._containers[-1].get(id(value))) is not None:
            return ["k", index]
        if (number := self._live.number(value)) is not None:
            return ["n", number]
        if kind in _PLAIN or is_plain_array(value):
            return None
        if kind is Callback or issubclass(kind, JudgesObject):
            own = "_number" if kind is Callback else "_sandbox_number"  # where no object of a test's has anything else
            return ["j", object.__getattribute__(value, own)]
        if (number := self._shared.number(value)) is not None:
            return ["h", number]
        if kind_of(value) in ("tensor", "module"):
            return ["h", self._shared.share(value)]
        if is_value(value):
            return None
        if issubclass(kind, Exception):
            return ["x", self.describe(value)]
        if issubclass(kind, type):
            return ["C", self._number(value), self._class(value)]
        if issubclass(kind, enum.Enum) and type(value.name) is str:
            return ["E", self._number(value), self._class(kind), value.name]
        return ["r", self._number(value), self._class(kind)]

    def _number(self, value: Any) -> int:
        """The number under which the judge may ask for an object that stays here."""
        number = self._object_numbers.get(id(value))
        if number is None or self._objects.get(number) is not value:
            self._count += 1
            number = self._count
            self._objects[number] = value
            self._object_numbers[id(value)] = number
        return number

    def _class(self, kind: type) -> Any:
        """How the judge is told of a class: a library's as module:qualname, else as ``objects.well_formed`` says."""
        if kind not in self._classes:
            name = f"{kind.__module__}:{kind.__qualname__}"
            doc = kind.__doc__ if type(kind.__doc__) is str else None
            own = [self._number(kind), kind.__name__, doc, [self._class(base) for base in kind.__bases__]]
            own += [named_fields(kind), _special(kind)]
            self._classes[kind] = name if _is_importable(kind) else own
        return self._classes[kind]

    def describe(self, error: BaseException) -> dict[str, Any]:
        """An exception as data: its classes, its arguments and text, and the learner's own lines."""
        try:
            said = describe_error(error)
            if said["classes"][:1] != [type(error).__name__] or type(error).__module__ != "builtins":
                own = {name: value for name, value in vars(error).items() if type(value) in SCALARS}
                said |= {"class": self._class(type(error)), "number": self._number(error), "state": own}
            if error.__cause__ is not None and error.__cause__ is not error:
                said["cause"] = self.describe(error.__cause__)
            return said
        except BaseException:  # the learner's classes may take part in this
            return {"classes": [], "name": "An exception", "args": ["its text cannot be had"], "text": "", "lines": []}


def _special(kind: type) -> list[list[str]]:
    """The special methods that a class has: its own, those of Python's and libraries' classes, and which are None."""

    def names(kind: type) -> list[str]:
        return [name for name in vars(kind) if type(name) is str and name[:2] == name[-2:] == "__"]

    own = names(kind)
    more = {name for base in kind.__mro__[1:-1] if _is_importable(base) for name in names(base)}.difference(own)
    held = {name: value for base in reversed(kind.__mro__) for name, value in vars(base).items()}
    return [own, sorted(more), [name for name in (*own, *more) if held.get(name, name) is None]]


def _is_importable(kind: type) -> bool:
    """Whether a class is found under its name in a module that is no notebook, or is Python's own."""
    if kind.__module__ == "builtins":
        return True
    found: Any = sys.modules.get(kind.__module__) if kind.__module__ != "__main__" else None
    for part in kind.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is kind


class _SandboxShared(Shared):
    def __init__(self, session: Session) -> None:
        super().__init__(sign=-1, weak=False, ask=session.gradients)
        self._session = session
        self._classes: list[type] = []  # of the judge's modules

    def write_modules(self, modules: list[tuple[Any, list[Any]]], writer: Writer) -> list[Any]:
        """Modules the learner made: of each its classes, whether it is nothing but data, and what it holds."""
        return [[[self._session._class(type(module)), is_data(module), description] for module, description in modules]]

    def make_modules(self, fields: list[Any], reader: Reader) -> tuple[list[Any], Callable[[], None]]:
        code, inside, made = fields
        if code is not None:
            self._classes += self._session.load(reader.buffer(code))
        torch = torch_module()
        modules = []
        for kind, _ in made:
            module = self._classes[kind].__new__(self._classes[kind])
            torch.nn.Module.__init__(module)
            modules.append(module)

        def fill() -> None:
            more = self._session.load(reader.buffer(inside)) if inside is not None else {}
            for index, (module, (_, description)) in enumerate(zip(modules, made, strict=True)):
                vars(module).update(more.get(index, {}))
                self.fill(module, description)

        return modules, fill


class _Unpickler(pickle.Unpickler):
    def __init__(self, session: Session, file: Any) -> None:
        super().__init__(file)
        self._session = session

    def persistent_load(self, reference: Any) -> Any:
        return self._session.resolve(reference)


def is_data(module: Any) -> bool:
    """Whether a module is of one of torch.nn's own classes and has no code of its own: no hooks, no functions."""
    if not type(module).__module__.startswith("torch.nn.modules."):
        return False
    return not machinery(module)


def describe_error(error: BaseException) -> dict[str, Any]:
    args = list(error.args)
    if not all(a is None or type(a) in (str, float, bool) or (type(a) is int and abs(a) < 2**62) for a in args):
        args = [str(error)]
    frames = [
        f"line {frame.lineno}, in {frame.name}: {frame.line}"
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith("<ipython-input")
    ]
    classes = [c.__name__ for c in type(error).__mro__ if c.__module__ == "builtins"]
    said = {"classes": classes, "name": type(error).__name__, "args": args, "text": str(error), "lines": frames[-8:]}
    thrown = vars(error).get("thrown")  # set on what a callback raised in the judge
    return said | ({"thrown": thrown} if type(thrown) is int else {})


def _differs(container: Any, old: Any) -> bool:
    if type(container) in STATES:
        return as_it_is(container) != old
    if isinstance(container, np.ndarray):
        return container.tobytes() != old.tobytes()
    if tabular.kind_of(container) is not None:
        return tabular.differs(container, old)
    if len(container) != len(old):
        return True
    if isinstance(container, dict):
        return any(k is not a or v is not b for (k, v), (a, b) in zip(container.items(), old.items(), strict=True))
    if isinstance(container, set):
        return {id(v) for v in container} != {id(v) for v in old}
    return any(a is not b for a, b in zip(container, old, strict=True))


def _no_references(tag: str, fields: list[Any]) -> Any:
    raise TypeError(f"A judge sends code and data, not the reference {tag!r}.")
