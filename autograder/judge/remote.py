"""The judge's side of a learner's objects: references to them, and calls by copy-restore.

A :class:`Remote` stands for something that stays in the sandbox. Calling it sends the arguments, runs the
call there, brings back what the call changed in them, and gives what it returned: plain data, tensors and
modules by value, the judge's own objects as themselves, anything else as another :class:`Remote`.
"""

from __future__ import annotations

import builtins
import collections
import enum
import functools
import io
import itertools
import linecache
import pickle
import signal
import sys
import threading
import time
import types
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np

from autograder import outputs, tabular
from autograder.ambient import Random, Settings, in_mode, mode
from autograder.files import DATA, MOST_BYTES, Files
from autograder.frames import ASIDE, STALLED, Buffers, Channel, Closed, WireError
from autograder.judge import objects
from autograder.judge.heard import Heard
from autograder.judge.objects import (
    AWAITED,
    LearnerError,
    LearnerExit,
    LearnerSystemExit,
    Remote,
    RemoteAwaitable,
    RemoteClass,
    RemoteError,
    RemoteThing,
    is_remote,
)
from autograder.judge.patches import Patches
from autograder.live import FEW, MOST, STATES, Live, has_state, refill
from autograder.operators import BINARY, ORDER
from autograder.process import Process
from autograder.sandbox.session import CONTAINERS, OPERATIONS
from autograder.shared import SCALARS, Shared, kind_of, machinery
from autograder.shell import CellRun, code_name
from autograder.wire import Reader, Writer, is_plain_array, named_fields, torch_module

INTERRUPT_GRACE = 2.0  # seconds that interrupted code has to end

_ATOMS = frozenset({type(None), bool, int, float, str, bytes, complex, tuple, type})

# Builtin classes that a learner's code may hand over as themselves.
_DATA: dict[str, type] = {f"builtins:{kind.__name__}": kind for kind in (bool, bytes, complex, float, int, str)}
_DATA |= {f"builtins:{kind.__name__}": kind for kind in (dict, frozenset, list, object, range, set, slice, tuple)}
_DATA["builtins:NoneType"] = type(None)


def _items(own: Any) -> Any:
    """What iterating over an object of a test's gives: all at once, or an iterator, which may have no end."""
    return list(own) if hasattr(type(own), "__len__") else iter(own)


# What the learner's code may do with an object of a test's own class.
SERVED: dict[str, Callable[..., Any]] = {
    **{what: done for what, done in OPERATIONS.items() if what not in ("listed", "defined", "inherited")},
    **{f"r{name}": functools.partial(lambda does, own, other: does(other, own), OPERATIONS[name]) for name in BINARY},
    "items": _items,
}
_INSIDE = ("_", "gi_", "cr_", "ag_", "tb_", "f_", "co_", "func_")  # of attributes that lead into the judge
# What is called, and not asked.
_FUNCTIONS = frozenset({types.FunctionType, types.MethodType, types.BuiltinMethodType, functools.partial})

# Questions that may hand over all names of a test: the learner's code changes those until it has answered, not later.
NAMESPACES = frozenset({"eval", "exec"})
READING = frozenset({"getattr", "len", "iter", "next", "getitem", "contains", "listed", "str", "repr", "reversed"})


class Client:
    """Asks a sandbox over ``channel``.

    Parameters
    ----------
    sandbox: the sandbox's process, to interrupt what the judge no longer waits for.
    classes: what each class of the reference solution has, by its name; see :func:`autograder.names.solutions`. What a
        learner's object may say for itself, of equality, order and the like, is what the class of that name may.

    ``before_asking`` is called before each question; it may itself ask, to bring names up to date. ``renamed`` is
    called with those of the wanted names that learner's code has bound to something else meanwhile. ``lost`` says
    why there is nobody to ask any more, once that is so, and ``unanswered`` is set by each question in vain. ``alone``
    is true as long as answers alone, and no time that was up, have decided what is asked.
    ``cells`` are the file names of the learner's cells that have run, ``heard`` what the learner's code has said.
    ``swallows`` says whether a learner's context manager may end an error, as the reference solution's may, ``seeds``
    whether learner's code may set the random generators of the judge, as the solution does those of the notebook;
    ``tests_own`` are names that test cells alone bind: nothing of the learner's is an instance of what they stand for.
    ``patches`` and ``files`` are what the running test may change of modules, and files that it names.
    """

    def __init__(self, channel: Channel, sandbox: Process, classes: Mapping[str, frozenset[str]] | None = None) -> None:
        self.lost: str | None = None
        self.unanswered = False
        self.alone = True
        self._solutions = dict(classes or {})
        self.methods = frozenset().union(*self._solutions.values())  # of any class of the solution's
        self.before_asking: Callable[[], None] = lambda: None
        self.renamed: Callable[[dict[str, Any]], None] = lambda changed: None
        self.swallows = self.seeds = False
        self.tests_own: frozenset[str] = frozenset()
        self.patches = Patches()
        self.files: Files | None = None
        self._channel = channel
        self._channel.sock.settimeout(STALLED)
        self._sandbox = sandbox
        self._shown: Callable[[list[Any]], None] = _ignored
        self.cells: set[str] = set()
        self.heard = Heard()
        self._alarm = _Alarm()
        self._shared = _JudgeShared(self)
        self._random = Random()
        self._settings = Settings()
        self._names: tuple[list[str], dict[str, Any]] | None = None  # those last asked for, if nothing was asked since
        self._draws_along = True  # random generators here are moved as the learner's code moves its own
        self._lent = Lent()  # functions of a test, and objects of its own classes, that the learner's code has seen
        self._dropped: list[int] = []
        self._thrown: dict[int, Exception] = {}  # what callbacks of this cell raised; it comes back as itself
        self._throws = itertools.count(1)
        self._live = Live()
        self._numbers = itertools.count(-1, -1)  # of containers of this end
        self._arriving: list[int] = []
        self._classes: dict[int, type] = {}  # what stands here for the learner's classes
        self._told: dict[int, Any] = {}  # how the sandbox last described each
        self._shipped: dict[str, type | None] = {}  # and for those of modules that the assignment ships
        self._depth = 0  # of questions that are asked while one is being answered
        self._passed: list[Any] = []  # what callbacks got and gave: the code that runs there may name it again
        self._lock = threading.RLock()  # a test may have threads
        self._remotes: weakref.WeakValueDictionary[int, Remote] = weakref.WeakValueDictionary()
        self._errors: weakref.WeakValueDictionary[int, RemoteError] = weakref.WeakValueDictionary()

    # -- what a judge asks -----------------------------------------------------------------------------------

    def run(self, source: str, *, here_too: bool = False) -> list[Any]:
        """Runs a cell there and gives what it showed: nbformat outputs, or what the sandbox says is that.

        Where it is run ``here_too``, what it draws from the random generators is drawn by that.
        """
        shown: list[list[Any]] = [[]]
        self._run(source, [source], (), shown.append, here_too)
        return shown[-1]

    def run_group(
        self, number: int, sources: Sequence[str], wanted: list[str], shown: Callable[[list[Any]], None], here_too: bool
    ) -> None:
        """Runs a group of the notebook's cells there, in the manner of :meth:`run`.

        ``shown`` is called with what each of them showed. The ``wanted`` names come along, for :meth:`names`.
        """
        self._names = wanted, _bound(self._run(number, sources, wanted, shown, here_too), wanted)

    def _run(
        self,
        what: str | int,
        sources: Sequence[str],
        wanted: Sequence[str],
        shown: Callable[[list[Any]], None],
        here_too: bool,
    ) -> Any:
        for source in sources:
            self.ran(source)
        self._shown, self._draws_along = shown, not here_too
        try:
            return self._ask("run", (what, tuple(wanted)))
        finally:
            self._shown, self._draws_along = _ignored, True

    def ran(self, source: str) -> None:
        """That cell has been run there."""
        name = code_name(source)
        self.cells.add(name)
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)

    def test(self, source: str) -> CellRun:
        """Runs a test there, and believes what is said of how it went."""
        said = self._ask("test", source)
        if type(said) is not dict or type(said.get("outputs")) is not list:
            raise WireError("The sandbox said of a test what cannot be read.")
        error = said.get("error")
        value = said.get("value")
        outputs = [output for output in said["outputs"] if type(output) is dict]
        return CellRun(outputs, None if error is None else self._raised(error), value if type(value) is str else None)

    def example(self, source: str, *, first: bool) -> None:
        """Runs an example of a docstring there, the first of several that have their names in common."""
        try:
            self._ask("example", (source, first))
        except Exception as error:
            vars(error).pop("__notes__", None)  # which would stand behind the line that the docstring has
            raise

    def evaluate(self, source: str, names: dict[str, Any] | None = None, local: Any = None) -> Any:
        """What an expression gives there: with these names, or the notebook's."""
        return self._ask("eval", (source, names, local))

    def execute(self, source: str, names: dict[str, Any] | None, local: Any) -> dict[str, Any]:
        """Runs a text there: in these names, or the notebook's. Of the latter it gives those that are bound anew."""
        said = self._ask("exec", (source, names, local))
        return said if type(said) is dict and all(type(name) is str for name in said) else {}

    def unpickle(self, data: bytes) -> tuple[Any, int]:
        """What bytes that begin with a pickle give there, and how many of them it is."""
        said = self._ask("do", ("unpickle", data))
        if type(said) is not tuple or len(said) != 2 or type(said[1]) is not int or not 0 <= said[1] <= len(data):
            raise WireError("The sandbox said of a pickle what cannot be read.")
        return said[0], said[1]

    def names(self, wanted: list[str], *, anew: bool = False) -> dict[str, Any]:
        """Those of the wanted names that are bound there, with what they are bound to."""
        if anew or self._names is None or self._names[0] != wanted:
            said = self._ask("names", tuple(wanted))  # and not the list itself, which would come back changed
            self._names = wanted, _bound(said, wanted)
        return dict(self._names[1])

    def bind(self, values: dict[str, Any]) -> None:
        self._ask("bind", values)

    def unbind(self, names: list[str]) -> None:
        self._ask("unbind", names)

    def do(self, what: str, *operands: Any) -> Any:
        if what not in READING:
            objects.forget_items(operands)
        self.before_asking()
        given = self._ask("do", (what, *operands))
        if what == "getattr" and is_remote(given):  # a method, which may change what its object holds
            objects.forget_items(operands)
        return given

    def defines(self, kind: type, *names: str) -> bool:
        """Whether the solution's class of that name has one of these, or one whose name nobody else can know."""
        own = [one.__name__ for one in objects.behind(kind) if isinstance(one, RemoteClass)]
        return any(not self.solution_has(one).isdisjoint(names) for one in own or [""])

    def solution_has(self, kind: str) -> frozenset[str]:
        """What the solution's class of that name has, and those that it makes within functions, of any name."""
        return self._solutions.get(kind, frozenset()) | self._solutions.get("", frozenset())

    def operate(self, operator: str, *operands: Any, in_place: bool = False) -> Any:
        """Does an operator that Python has signs for, where the reference solution's classes define it."""
        name = operator.rstrip("_")
        ways = ORDER if operator in ORDER else (name, f"r{name}", f"i{name}")
        names = [f"__{way}__" for way in ways]
        if not any(self.defines(type(one), *names) for one in operands if is_remote(one)):
            raise TypeError("A learner's object does not compute or compare for itself. Look at what it holds.")
        return self.do(f"i{operator}" if in_place else operator, *operands)

    def stands_for(self, made: RemoteClass, number: int) -> None:
        """A class that a test derived from a learner's stands for that one there."""
        for own, value in (("_judges_client", self), ("_judges_number", number)):
            type.__setattr__(made, own, value)
        self._classes[number] = made

    def begin(self) -> None:
        """A new cell: containers that earlier ones got are kept in step no more, and what they raised is done with."""
        if dropped := self._live.clear():
            self._dropped += dropped
            self._names = None  # some of them are bound to such a container, which is to be kept in step anew
        self._thrown.clear()

    # -- asking ----------------------------------------------------------------------------------------------

    def _ask(self, op: str, payload: Any) -> Any:
        """One question and its answer. Alarms ring only while it waits, or while a callback runs."""
        if self.lost:
            self.unanswered = True
            raise Closed(self.lost)
        self._names = None  # whatever is asked may bind them anew
        with self._lock:
            self._depth += 1
            try:
                return self._answer(op, payload)
            finally:
                self._depth -= 1
                if not self._depth:
                    self._passed.clear()

    def _answer(self, op: str, payload: Any) -> Any:
        self._alarm.hold()
        try:
            containers = self._send(op, payload)
            while True:
                self._wait(containers)
                message, value = self._receive(containers)
                if message.get("op") == ASIDE:
                    self._shown(value)
                elif message.get("op") == "callback":
                    self._call_back(self._callback_of(message, value), message, value, containers)
                elif message.get("op") == "backward":
                    backward = functools.partial(self._backward, message.get("number"))
                    self._call_back(backward, message, ((value,), {}), containers)
                elif message.get("op") == "object":
                    serve = functools.partial(self._serve, message.get("number"), message.get("what"))
                    self._call_back(serve, message, (value, {}), containers)
                elif message.get("op") == "value":
                    self._warn(message.get("warned") or [])
                    return value
                else:
                    raise self._passing(self._raised(message.get("error")), op, payload)
        except WireError as error:
            self._give_up(str(error))
            self.unanswered = True
            raise
        finally:
            self._live.wake()
            self._alarm.let_ring()

    def _wait(self, containers: list[Any]) -> None:
        """Until something arrives, however long that takes: limits are the caller's business."""
        try:
            self._alarm.let_ring()
            self._channel.ready()
            self._alarm.hold()
        except BaseException:  # the check stopped waiting
            self._abandon(containers)
            raise

    def _abandon(self, containers: list[Any]) -> None:
        """Interrupts what runs there and waits a moment for its answer, so that the next question gets its own."""
        self.alone = False
        self._alarm.hold()
        if self.lost:
            return
        self._sandbox.signal(signal.SIGINT)
        deadline = time.monotonic() + INTERRUPT_GRACE
        try:
            while self._channel.ready(max(0.0, deadline - time.monotonic())):
                if self._receive(containers)[0].get("op") not in (ASIDE, "callback", "backward", "object"):
                    return
        except WireError as error:
            self._give_up(str(error))
        self._give_up("The learner's code could not be interrupted.")

    def _give_up(self, why: str) -> None:
        self.alone = False
        self.lost = self.lost or why
        self._sandbox.signal(signal.SIGKILL)
        self._channel.close()

    def _callback_of(self, message: dict[str, Any], arguments: Any) -> Callable[..., Any]:
        function = self._lent.get(message.get("number"))
        well_formed = type(arguments) is list and [type(a) for a in arguments] == [tuple, dict]
        if type(function) not in _FUNCTIONS or not well_formed or not all(type(name) is str for name in arguments[1]):
            raise WireError("The sandbox called what is no function, or with what are no arguments.")
        return function

    def _serve(self, number: Any, what: Any, *operands: Any) -> Any:
        """Does with an object of a test's what the learner's code does with it there."""
        own = self._lent.get(number)
        if type(own) in _FUNCTIONS or type(what) is not str or what not in SERVED:
            raise WireError("The sandbox asked of an object what it may not.")
        # of an instructor's class learners know what an attribute of their own kind is for
        inside = ("__",) if self._instructors(type(own).__name__) is type(own) else _INSIDE
        if what in ("getattr", "setattr", "delattr") and (
            type(operands[0]) is not str or operands[0].startswith(inside) or _is_mocks_own(own, operands[0])
        ):
            raise AttributeError(f"{operands[0]} of an object that stays with the test cannot be had")
        if what in ("setattr", "delattr") and callable(getattr(type(own), operands[0], None)):
            raise AttributeError(f"{operands[0]} is a method of an object that stays with the test")
        return SERVED[what](own, *operands)

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
            self._passed += (arguments, result)
            self._alarm.hold()
        except WireError:
            raise
        except Exception as error:
            self._throw(error)
        except BaseException:
            self._abandon(containers)
            raise
        else:
            self._return(result)

    def _return(self, result: Any) -> None:
        try:
            self._send("return", result)
        except WireError:
            raise
        except Exception as error:  # it cannot be sent, and the learner's code still waits for an answer
            self._throw(error)

    def _throw(self, error: Exception) -> None:
        self._alarm.hold()
        number = next(self._throws)
        self._thrown[number] = error
        self._send("throw", (number, _plain_exception(error)))

    def _gradients(self, number: int, grad: Any) -> list[Any]:
        """Gradients of the inputs of a tensor that the sandbox computed."""
        torch = torch_module()
        said = self._ask("backward", (number, grad))
        if type(said) is not list or not all(one is None or type(one) is torch.Tensor for one in said):
            raise WireError("The sandbox gave gradients that are none.")
        return said

    def _warn(self, warned: Any) -> None:
        """Warns here of what the learner's code has warned of: a test may be listening, or have made it an error."""
        for tree, text in warned if type(warned) is list else []:
            self.heard.hear(str(text))
            found = self._stand_in(tree) or objects.library_warning(tree) or _error(tree)
            kind = found if found is not None and issubclass(found, Warning) else UserWarning
            warnings.warn_explicit(str(text), kind, "<the learner's code>", 1, registry={})

    def _passing(self, error: BaseException, op: str, payload: Any) -> BaseException:
        """What ends an iteration does so where an item was asked for, and nowhere else: compare PEP 479."""
        if isinstance(error, StopIteration | StopAsyncIteration) and not (op == "do" and payload[0] in ENDING):
            return RuntimeError(f"The learner's code raised {type(error).__name__}.")
        return error

    def _raised(self, said: Any, depth: int = 0) -> BaseException:
        """The exception to raise here for one that was raised there, with the learner's lines."""
        try:
            number, tree, cause = said.get("thrown"), said.get("class"), said.get("cause")
            if type(number) is int and number in self._thrown:
                return self._thrown[number]
            raised = _builtin(said) if tree is None else self._learners(tree, said) or _builtin(said)
            for line in said["lines"]:
                raised.add_note(str(line))
            for text in (*said["args"], said["text"], *said["lines"]):
                self.heard.hear(str(text))
            if cause is not None and depth < 5:
                raised.__cause__ = self._raised(cause, depth + 1)
        except (AttributeError, TypeError, KeyError) as broken:
            raise WireError("The sandbox raised something that cannot be read.") from broken
        return raised

    def _learners(self, tree: Any, said: dict[str, Any]) -> BaseException | None:
        """An exception of a class that is the learner's own, or a library's."""
        kind = self._stand_in(tree) or objects.library_error(tree)
        if kind is None or not issubclass(kind, Exception):
            return None
        try:
            error = kind.__new__(kind, *_arguments(said))
        except (
            TypeError
        ):  # a class of Python's own that is made in a way of its own lies behind it, such as MemoryError
            return None
        if isinstance(error, RemoteError):
            vars(error).update(held=self._remote(said["number"], "builtins:object"), text=str(said["text"]))
        else:  # an instructor's, which is here with what it says of itself in plain values
            vars(error).update({n: v for n, v in said["state"].items() if type(v) in SCALARS})
        return error

    def _error_object(self, said: Any) -> BaseException:
        """An exception that came as a value: one here for each of the learner's own."""
        number = said.get("number") if type(said) is dict else None
        if type(number) is int and (found := self._errors.get(number)) is not None:
            return found
        error = self._raised(said)
        if type(number) is int and isinstance(error, RemoteError):
            self._errors[number] = error
        return error

    def _stand_in(self, tree: Any) -> type | None:
        """What stands here for a class of which the sandbox told; None for a library's."""
        if not objects.well_formed(tree):
            raise WireError("A class came that is none.")
        if type(tree) is str:
            return self._shipped_one(tree)
        number, name, doc, bases, fields, special = tree
        if number not in self._classes:
            instructors = self._instructors(name)
            known = None if instructors is None else named_fields(instructors)
            if instructors is not None and (
                issubclass(instructors, Exception) or (known is not None and list(known) == fields)
            ):
                self._classes[number] = instructors
            else:
                parents = [self._stand_in(base) or _base(base) for base in bases]
                self._classes[number] = objects.class_of(
                    self, number, name, doc, [instructors, *parents], None if fields is None else tuple(fields)
                )
        if self._told.get(number) != tree:
            self._told[number] = tree
            for base in bases:
                self._stand_in(base)
            objects.define(self, self._classes[number], special)
        return self._classes[number]

    def _shipped_one(self, name: str) -> type | None:
        """What stands here for a class of a module that the assignment ships."""
        if name not in self._shipped:
            given = objects.shipped_class(name)
            if given is not None and not issubclass(given, Exception):
                given = objects.class_of(self, 0, given.__name__, given.__doc__, [given], None)
                objects.define(self, given, [[], [], []])
            self._shipped[name] = given
        return self._shipped[name]

    def _send(self, op: str, payload: Any) -> list[Any]:
        try:
            return self._sent(op, payload)
        except WireError:
            raise
        except BaseException:  # something in it cannot be sent: what was new in it has not arrived
            self._shared.failed()
            raise

    def _sent(self, op: str, payload: Any) -> list[Any]:
        writer = Writer(lambda value: None)
        dead = self._shared.dead()
        live = [(number, objects.contents(container)) for number, container in self._live.changes()]
        self._dropped += self._live.let_go()
        opened = _open((payload, *(tuple(held) for _, held in live)), self._live)
        kept = [pair for pair in opened if op not in NAMESPACES and _is_kept(pair[0])]
        opened = kept + [pair for pair in opened if op in NAMESPACES or not _is_kept(pair[0])]
        containers, contents = [container for container, _ in opened], [content for _, content in opened]
        index = {id(container): i for i, container in enumerate(containers)}
        kinds = [self._opening(container, writer) for container in containers]
        pickled = self.dump((contents, live, self.patches.changes(), payload), index)
        news = self._shared.changes(writer, look=op != "names")  # which asks for nothing that a change could alter
        numbers = [next(self._numbers) for _ in kept]
        size = len(self._live)
        for container, _ in kept:  # tests forbid sum
            size += len(container)
        rests = size > FEW
        for number, (container, _) in zip(numbers, kept, strict=True):
            self._live.put(number, container, rests=rests)
        dropped, self._dropped[:] = list(self._dropped), []
        released, self._shared.graphs.released[:] = list(self._shared.graphs.released), []
        message = {
            "op": op,
            "news": writer.buffer(pickle.dumps(news)),
            "containers": kinds,
            "numbers": numbers,
            "rests": rests,
            "payload": writer.buffer(pickled),
            "mode": mode(),
        }
        if states := self._random.changed():
            message["random"] = writer.buffer(pickle.dumps(states))
        if settings := self._settings.changed():
            message["settings"] = writer.buffer(pickle.dumps(settings))
        if self.files is not None:
            message["watched"] = self.files.names()
            changed = self.files.changes()
            message["files"] = [[name, _buffer(content, writer)] for name, content in changed.items()]
        gone = {"dead": dead, "dropped": dropped, "released": released}
        self._shared.sent(self._channel.send(message | gone, writer.buffers))
        return containers[len(kept) :]

    def _opening(self, container: Any, writer: Writer) -> Any:
        """How a container that is sent begins there, see ``Session._container``; what it holds follows."""
        kind = type(container)
        if kind.__name__ in CONTAINERS:
            return kind.__name__
        if kind in _EMPTY:
            return writer.buffer(self.dump(_EMPTY[kind](container)))
        return writer.buffer(self.dump(container)) if kind in STATES else writer.write(container)

    def dump(self, value: Any, containers: dict[int, int] | None = None) -> bytes:
        file = io.BytesIO()
        _Pickler(self, file, containers or {}).dump(value)
        return file.getvalue()

    def refer(self, value: Any, containers: dict[int, int]) -> tuple[Any, ...] | None:
        """The reference under which the sandbox finds an object, or None for what is sent itself."""
        kind = type(value)
        if kind in _ATOMS:
            return None
        if issubclass(kind, Remote | RemoteClass):
            return ("object", value._judges_number)
        if issubclass(kind, RemoteError) and "held" in vars(value):
            return ("object", vars(value)["held"]._judges_number)
        if kind in _OPENED and (number := self._live.number(value)) is not None:
            return ("live", number)
        if (index := containers.get(id(value))) is not None:
            return ("container", index)
        if kind in _OPENED:
            return None
        if kind is types.BuiltinMethodType:
            return self._callback(value) if type(value.__self__) in _OPENED else None
        if kind in _FUNCTIONS:
            return self._callback(value) if _stays_here(value) else None
        if _is_named(kind):
            return None
        if kind_of(value) is not None:
            return ("shared", self._shared.share(value))
        if issubclass(kind, enum.Enum) and self._instructors(kind.__name__) is kind and type(value.name) is str:
            return ("member", kind.__name__, value.name)
        return self._judges_own(value) if _is_tests_own(kind) or _is_iterator(kind) else None

    def _callback(self, function: Any) -> tuple[Any, ...]:
        return ("callback", self._lent.number(function), getattr(function, "__name__", "partial"), function.__doc__)

    def _judges_own(self, value: Any) -> tuple[Any, ...]:
        return ("judges", self._lent.number(value), type(value).__name__)

    # -- hearing -----------------------------------------------------------------------------------------------

    def _receive(self, containers: list[Any]) -> tuple[dict[str, Any], Any]:
        """The next message and its value. The containers that went with the question are brought up to date."""
        message, buffers = self._channel.receive()
        if message.get("op") == ASIDE:
            return message, outputs.read(buffers)

        def other(tag: str, fields: list[Any]) -> Any:
            if tag == "h":
                return self._shared.get(fields[0])
            if tag == "k":
                return containers[fields[0]]
            if tag == "n":
                return self._in_step(fields[0])
            if tag == "j":
                return self._lent.get(fields[0])
            if tag == "r":
                return self._remote(*fields)
            if tag == "C":
                return self._class(*fields)
            if tag == "E":
                return self._member(*fields)
            if tag == "x":
                return self._error_object(fields[0])
            raise WireError(f"There is nothing of the kind {tag!r}.")

        reader = Reader(buffers, other, self._keep_in_step, self.heard.hear)
        try:
            self._shared.apply(message.get("news") or [], reader, buffers)
            self._shared.graphs.release(message.get("released") or [])
            states = {name: reader.read(tree) for name, tree in message.get("random") or []}
            if self._draws_along and self.seeds:
                self._random.restore(states)
            elif self._draws_along:
                self._random.draw(states)
            else:
                self._random.differ(states)
            self._print(message.get("printed") or [])
            value = reader.read(message.get("value"))
            for index, items in message.get("containers") or []:
                _restore(containers[index], items, reader)
            for number, items in message.get("live") or []:
                container = self._in_step(number)
                _restore(container, items, reader)
                self._live.put(number, container)
            changed = {name: reader.read(tree) for name, tree in message.get("names") or []}
            self._take_files(message.get("files") or [], buffers)
            for number in self._arriving:
                self._live.put(number, self._live.get(number))
            self._arriving.clear()
            gone = message.get("gone") or []
            for number in gone:
                self._in_step(number)
            self._live.drop(gone)
            self._lent.drop(message.get("dropped") or [])  # last: an answer may name what was let go of after it
        except WireError:
            raise
        except Exception as error:
            raise WireError(f"The sandbox's answer cannot be read ({type(error).__name__}).") from error
        self._shared.release()
        if changed:
            self.renamed(changed)
        return message, value

    def _print(self, printed: Any) -> None:
        """Prints here what the learner's code has printed there: a test may be listening."""
        for name, text in printed:
            if type(text) is str:
                self.heard.hear(text)
                (sys.stderr if name == "stderr" else sys.stdout).write(text)

    def _take_files(self, changed: Any, buffers: Buffers) -> None:
        names = self.files.names() if self.files is not None else []
        for index, content in changed:  # the sandbox says which of the names it was given, and not what they are
            if self.files is not None and (content is None or len(buffers[content]) <= MOST_BYTES):
                written = None if content is None else bytes(buffers[content])
                self.heard.hear(written or b"")
                if Path(names[index]).suffix.lower() not in DATA:
                    self.heard.expect_pickles()
                self.files.take(names[index], written)

    def _keep_in_step(self, number: int, new: Any) -> Any:
        """A container of the sandbox's, from now on kept in step with the one there; it is filled next."""
        if number <= 0 or self._live.get(number) is not None:
            raise WireError("A container came under a number that it cannot have.")
        self._live.put(number, new)
        self._arriving.append(number)
        return new

    def _in_step(self, number: Any) -> Any:
        """The container of that number, which the sandbox has named."""
        container = self._live.get(number) if type(number) is int else None
        if container is None:
            raise WireError("The sandbox named a container that is not kept in step.")
        return container

    def _remote(self, number: int, tree: Any) -> Any:
        if type(number) is not int:
            raise WireError("A reference came that is none.")
        found = self._remotes.get(number)
        if found is None:
            if number in self._dropped:  # dropped while the answer was under way, and wanted again
                self._dropped.remove(number)
            kind = self._stand_in(tree)
            if kind is None or not issubclass(kind, Remote):
                kind = RemoteAwaitable if tree in AWAITED else RemoteThing
            found = objects.reference(kind, self, number, tree if type(tree) is str else None)
            self._remotes[number] = found
            weakref.finalize(found, self._dropped.append, number).atexit = False
        return found

    def _member(self, number: int, tree: Any, name: Any) -> Any:
        """A member of an enumeration: of an instructor's it is the one that there is here."""
        known = self._instructors(tree[1]) if type(tree) is list and objects.well_formed(tree) else None
        if known is not None and issubclass(known, enum.Enum) and name in known.__members__:
            return known[name]
        return self._remote(number, tree)

    def _instructors(self, name: str) -> type | None:
        """The class of that name that a cell of the instructor's has defined, and no test."""
        here = vars(sys.modules["__main__"]).get(name) if name not in self.tests_own else None
        is_here = isinstance(here, type) and not isinstance(here, RemoteClass) and here.__module__ == "__main__"
        return here if is_here else None

    def _class(self, number: int, tree: Any) -> Any:
        kind = self._stand_in(tree)
        if kind is None:
            kind = _DATA.get(tree)
        return kind if kind is not None else self._remote(number, "builtins:type")


class Lent:
    """What stays here and the learner's code may call or ask, by number, until the sandbox has let go of it.

    A number is never given again: a sandbox that lies about what it holds can only lose it.
    """

    def __init__(self) -> None:
        self._things: dict[int, Any] = {}  # kept, so that the id of each stays its own
        self._numbers: dict[int, int] = {}
        self._count = itertools.count(1)

    def number(self, thing: Any) -> int:
        number = self._numbers.get(id(thing))
        if number is None:
            number = self._numbers[id(thing)] = next(self._count)
            self._things[number] = thing
        return number

    def get(self, number: Any) -> Any:
        if type(number) is not int or number not in self._things:
            raise WireError("The sandbox asked for what it was never given, or has let go of.")
        return self._things[number]

    def drop(self, numbers: list[Any]) -> None:
        for number in numbers:
            if number in self._things:
                del self._numbers[id(self._things.pop(number))]


def _ignored(outputs: list[Any]) -> None:
    """For outputs that nobody shows."""


def _bound(said: Any, wanted: Sequence[str]) -> dict[str, Any]:
    return {name: said[name] for name in wanted if name in said} if type(said) is dict else {}


def _buffer(content: bytes | None, writer: Writer) -> int | None:
    return None if content is None else writer.buffer(content)


def _is_named(kind: type) -> bool:
    """Whether this is a class of named tuples, one that stands for a learner's included."""
    return issubclass(kind, tuple) if issubclass(type(kind), RemoteClass) else named_fields(kind) is not None


def _is_tests_own(kind: type) -> bool:
    """Whether something is of a class that a test or an instructor's cell defines, or a mock: it stays here."""
    if issubclass(kind, BaseException | type):
        return False
    return kind.__module__ == "__main__" or _is_mock(kind)


def _is_mock(kind: type) -> bool:
    mock = sys.modules.get("unittest.mock")
    return mock is not None and issubclass(kind, mock.NonCallableMock)


def _is_mocks_own(thing: Any, name: str) -> bool:
    """Whether an attribute says what was done with a mock, or what is to come of it: that is the test's business."""
    return _is_mock(type(thing)) and hasattr(sys.modules["unittest.mock"].AsyncMock, name)


def _is_iterator(kind: type) -> bool:
    """Whether this is a class of iterators of Python's own: what is taken from one there is gone here."""
    return kind.__module__ in ("builtins", "itertools") and issubclass(kind, Iterator)


def _open(payload: Any, live: Live) -> list[tuple[Any, Any]]:
    """The containers and arrays reached from a payload through one another, each with what it holds."""
    opened: list[tuple[Any, Any]] = []
    seen: set[int] = set()
    stack = [payload]
    while stack:
        value = stack.pop()
        kind = type(value)
        if kind is tuple:
            stack.extend(value)
        if id(value) in seen or live.number(value) is not None:
            continue
        if not (is_plain_array(value) if kind is np.ndarray else kind in _OPENED or _goes_as_data(value)):
            continue
        seen.add(id(value))
        content = objects.contents(value) if kind in _OPENED else None
        opened.append((value, content))
        stack.extend(content or ())
    return opened


def _is_kept(container: Any) -> bool:
    """Whether a container is kept in step from now on. What is not goes back with the answer, known by its place."""
    return type(container) in _OPENED and len(container) <= MOST


def _goes_as_data(value: Any) -> bool:
    return has_state(value) or tabular.is_simple(value)


# Containers that are made by more than their name: what makes an empty one.
_EMPTY: dict[type, Callable[[Any], Any]] = {
    collections.deque: lambda full: collections.deque(maxlen=full.maxlen),
    collections.defaultdict: lambda full: collections.defaultdict(full.default_factory),
}
_OPENED = frozenset({*CONTAINERS.values(), *_EMPTY})


class _Pickler(cloudpickle.Pickler):
    """Pickles code and data for the sandbox; what is shared, or stays, goes as a reference."""

    def __init__(self, client: Client, file: Any, containers: dict[int, int]) -> None:
        super().__init__(file)
        self._client, self._containers = client, containers

    def reducer_override(self, value: Any) -> Any:
        """Named tuples go as tuples of a learner's class, or of one that is made there and knows its fields alone."""
        if type(value) is type and (fields := named_fields(value)) is not None:
            return collections.namedtuple, (value.__name__, fields)
        if _is_named(type(value)):
            return tuple.__new__, (type(value), tuple(value))
        if type(value) is weakref.ref:  # recurrent layers hold some; one whose object is gone is so there too
            return weakref.ref, (value() if value() is not None else set(),)
        return super().reducer_override(value)

    def persistent_id(self, value: Any) -> Any:
        if type(value) is str:
            self._client.heard.say(value)
            return None
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

    def write_modules(self, modules: list[tuple[Any, list[Any]]], writer: Writer) -> list[Any]:
        """Modules of this end: classes that the sandbox lacks, as code; of each module its class and what it holds."""
        new = [kind for kind in dict.fromkeys(type(module) for module, _ in modules) if kind not in self._classes]
        self._classes |= {kind: number for number, kind in enumerate(new, start=len(self._classes))}
        code = writer.buffer(self._client.dump(new)) if new else None
        more = {i: inside for i, (module, _) in enumerate(modules) if (inside := machinery(module))}
        insides = writer.buffer(self._client.dump(more)) if more else None
        return [code, insides, [[self._classes[type(module)], description] for module, description in modules]]

    def make_modules(self, fields: list[Any], reader: Reader) -> tuple[list[Any], Callable[[], None]]:
        """Modules that the learner made: torch.nn's own where that is all they are, else such as ask."""
        modules = [self._empty(classes, is_data) for classes, is_data, _ in fields[0]]

        def fill() -> None:
            for module, (_, _, description) in zip(modules, fields[0], strict=True):
                self.fill(module, description)

        return modules, fill

    def _empty(self, classes: Any, is_data: Any) -> Any:
        torch = torch_module()
        kind = self._client._stand_in(classes)
        known = objects.library_class(classes) if kind is None else kind
        is_torchs = is_data and kind is None and classes.startswith("torch.nn.modules.")
        if is_torchs and known is not None and issubclass(known, torch.nn.Module):
            cls: Any = known
            module: Any = object.__new__(cls)
            torch.nn.Module.__init__(module)
            return module
        return _learners_module()(self._client, known)


@functools.cache
def _learners_module() -> type:
    """The class of modules whose code stays in the sandbox: made when first needed, since it needs torch."""
    import torch

    class LearnersModule(torch.nn.Module):
        """A learner's module: its parameters, buffers and children are here as data, all else is asked for."""

        def __init__(self, client: Client, kind: type | None) -> None:
            torch.nn.Module.__init__(self)
            vars(self)["_asks"] = client, kind

        @property  # type: ignore[misc]
        def __class__(self) -> type:
            return self._asks[1] or LearnersModule

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return self._asks[0].do("call", self, args, kwargs)

        def __getattr__(self, name: str) -> Any:
            try:
                return torch.nn.Module.__getattr__(self, name)
            except AttributeError:
                if name.startswith("_"):
                    raise
                return objects.attribute(self._asks[0], self, name)

        def __deepcopy__(self, memo: Any) -> Any:
            return self._asks[0].do("deepcopy", self)

    return LearnersModule


def _stays_here(function: Any) -> bool:
    """Whether a function is the judge's own, so that the sandbox may call but not have it."""
    if type(function) is functools.partial:  # with the arguments that it has already
        return not is_remote(function.func) and _stays_here(function.func)
    if type(function) is types.MethodType:
        return not is_remote(function.__self__) and kind_of(function.__self__) is None
    module = function.__module__
    return module not in sys.modules or module == "__main__" or not objects.installed(module)


def _restore(container: Any, items: list[Any], reader: Reader) -> None:
    """Puts into one of the judge's containers what the learner's code left in it."""
    if type(container) is np.ndarray:
        if container.flags.writeable:
            container[...] = np.frombuffer(reader.buffer(items[0]), dtype=container.dtype).reshape(container.shape)
    elif type(container) in STATES:
        STATES[type(container)].restore(container, reader.read(items[0]))
    elif type(container) not in _OPENED:
        tabular.restore(container, reader.table(items[0]))
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


def _base(name: str) -> type | None:
    """A class of Python's or a library's, behind one of the learner's."""
    return objects.library_class(name) or _error(name) or _DATA.get(name) or objects.known_class(name)


def _error(name: Any) -> type | None:
    """A builtin class of exceptions, or a library's."""
    kind = getattr(builtins, str(name).removeprefix("builtins:"), None)
    return kind if isinstance(kind, type) and issubclass(kind, Exception) else objects.library_error(name)


def _arguments(said: dict[str, Any]) -> list[Any]:
    return [a for a in said["args"] if type(a) in SCALARS]


def _builtin(said: dict[str, Any]) -> BaseException:
    """An exception of a builtin class for one of that class, or derived from it."""
    classes, name, args = [str(c) for c in said["classes"]], str(said["name"]), _arguments(said)
    text = f"{name}: {', '.join(map(str, args))}" if args else name
    if classes and "Exception" not in classes:
        if "SystemExit" not in classes:
            return LearnerExit(text)
        left = LearnerSystemExit(text)
        left.code = args[0] if args else None
        return left
    for one in classes:
        kind = getattr(builtins, one, None)
        if isinstance(kind, type) and issubclass(kind, Exception) and kind is not Exception:
            try:
                return kind(*args)
            except Exception:  # it wants arguments of its own: the class it comes from may do
                continue
    return LearnerError(text)


ENDING = ("next", "anext")
