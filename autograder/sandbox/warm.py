"""A warm process: it has imported the libraries that an assignment needs, and forks itself for each use.

``python -I -m autograder.sandbox.warm FD MODULE...`` is started once by a grader and asked over the socket FD.
A request carries file descriptors: the channels that the new process is to speak over.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder import scratch
from autograder.frames import STALLED, Channel, WireError
from autograder.limits import Limits, bound_memory
from autograder.process import Process
from autograder.sandbox import isolation

if TYPE_CHECKING:
    from autograder.sandbox.opening import Opening
    from autograder.shell import Shell

# What a warm process, and so the learner's code, may see of the grader's environment.
ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "COURSE_SCALE")
# A heap in huge pages: a fork of a process that holds torch copies a third less of the table of pages, and what a test
# allocates comes in with fewer faults. Where the C library is not GNU's, this says nothing.
HEAP = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
# Libraries that import much of themselves only when first used: torch does at the first optimizer.
LATE_PARTS = {"torch": "torch._dynamo"}
# What only a judge needs of the grader, and a sandbox does without.
JUDGES = tuple(
    f"autograder.{name}"
    for name in ("judge", "names", "outputs", "plan", "process", "sandbox.opening", "sanitise", "verdict")
)
WORTH_OPENING = 3  # submissions that run the same opening cells, from which on they are run once for all
SINGLE_THREADED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Place:
    """Where learners' code runs: in a copy of ``files``, shut in or not, with ``hide`` out of its sight."""

    files: Path
    isolate: bool = True
    hide: tuple[Path, ...] = ()


class Forks:
    """The grader's handle on a process that forks itself for each use, and is asked over ``sock``.

    ``scratch`` is a folder for what its forks have on disk. ``shown`` is what the instructor's opening cells showed, of
    each the outputs that nbformat has; None where no fork has them behind it.
    """

    shown: list[list[dict[str, Any]]] | None = None

    def __init__(self, sock: socket.socket, scratch: Path) -> None:
        self.begun = False  # whether it has forked once
        self.scratch = scratch
        self._sock = sock
        self._lock = threading.Lock()

    def fork(self, kind: str, channels: list[socket.socket], place: Place, limits: Limits) -> int:
        """A new process, 'judge' or 'sandbox', that speaks over ``channels``; gives its process id.

        Raises OSError where the new process could not be shut in as it was asked to be.
        """
        reader, writer = os.pipe()
        with self._lock:
            try:
                options = {"files": str(place.files), "isolate": place.isolate, "hide": [str(p) for p in place.hide]}
                request = json.dumps({"kind": kind, "limits": vars(limits), **options}).encode()
                socket.send_fds(self._sock, [request], [*(c.fileno() for c in channels), writer])
            finally:
                os.close(writer)
        with os.fdopen(reader) as birth:
            said = birth.readline().strip()
        if not said.isdigit():
            raise OSError(said or "The warm process ended. Its messages are above.")
        self.begun = True
        return int(said)


class Opened(Forks):
    """A fork of a warm process that has run the instructor's opening cells, and forks itself from there."""

    def __init__(self, sock: socket.socket, scratch: Path, process: Process, shown: list[list[dict[str, Any]]]) -> None:
        super().__init__(sock, scratch)
        self.shown = shown
        self._process = process

    def gone(self) -> bool:
        return self._process.gone()

    def close(self) -> None:
        self._sock.close()
        self._process.end()


class Warm(Forks):
    """The grader's handle on a warm process. Use it as a context manager: it ends with the block.

    ``scratch`` ends with the block too, and where the grader is killed, the next one removes it. The thread that makes
    a handle must live as long as the handle does.
    """

    def __init__(self, modules: list[str]) -> None:
        self._process, sock = _started_ahead(modules) or _start(modules)
        self._held = scratch.temporary()
        super().__init__(sock, self._held.path)
        self.scratch.chmod(0o711)  # shut-in code is nobody's, and must find what is shown to it in here
        self._opening = threading.Lock()
        self._asked: Counter[Any] = Counter()
        self._opened: dict[Any, Opened | None] = {}

    def opened(self, cells: tuple[str, ...], place: Place, limits: Limits) -> Opened | None:
        """A fork that has run these cells; None where forks in that place could not share what they left.

        Also None for the first few that ask for the same, since it takes longer to make than one submission saves.
        """
        key = cells, place
        with self._opening:
            self._asked[key] += 1
            if self._asked[key] == WORTH_OPENING:
                self._opened[key] = self._open(cells, place, limits)
            found = self._opened.get(key)
        return None if found is None or found.gone() else found

    def _open(self, cells: tuple[str, ...], place: Place, limits: Limits) -> Opened | None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        here, there = socket.socketpair()
        process = None
        try:
            process = Process(self.fork("opening", [theirs, there], place, limits))
            theirs.close()
            there.close()
            channel = Channel(here)
            channel.send({"cells": cells})
            if select.select([here], [], [], min(limits.submission_seconds, limits.cell_seconds * len(cells)))[0]:
                here.settimeout(STALLED)
                said = channel.receive()[0]
                if said["why_not"] is None:
                    return Opened(ours, self.scratch, process, said["shown"])
        except (OSError, WireError):  # each submission's own run of the cells will say what is wrong
            pass
        finally:
            for one in (theirs, here, there):
                one.close()
        ours.close()
        if process is not None:
            process.end()
        return None

    def ended(self, seconds: float = 0.0) -> bool:
        """Whether the process is gone, now or within ``seconds``."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def __enter__(self) -> Warm:
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        for opened in filter(None, self._opened.values()):
            opened.close()
        self._sock.close()
        if kind is KeyboardInterrupt or not self.ended(5):  # whoever presses Ctrl-C waits for no import to end
            self._process.kill()
            self._process.wait()
        self._held.remove()


def _start(modules: list[str]) -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {key: os.environ[key] for key in ENVIRONMENT if key in os.environ}
    environment |= dict.fromkeys(SINGLE_THREADED, "1") | HEAP
    environment |= {"NBGRADER_EXECUTION": "autograde", "PYTHONHASHSEED": "0", "MPLBACKEND": "agg"}
    # Like -I, but for PYTHONHASHSEED: what reaches the process is what stands above, and no folder of its own.
    command = [sys.executable, "-s", "-P", "-m", "autograder.sandbox.warm", str(theirs.fileno()), *modules]
    with theirs:
        process = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    return process, ours


_ahead: list[tuple[list[str], subprocess.Popen[bytes], socket.socket]] = []


def start_ahead(modules: list[str]) -> None:
    """Begins with the process that the next :class:`Warm` of this thread will be, if it is to import these modules."""
    _ahead.append((modules, *_start(modules)))


def _started_ahead(modules: list[str]) -> tuple[subprocess.Popen[bytes], socket.socket] | None:
    if _ahead and _ahead[-1][0] == modules and _ahead[-1][1].poll() is None:
        return _ahead.pop()[1:]
    return None


def end_ahead() -> None:
    """Ends what was begun and not used."""
    while _ahead:
        _, process, sock = _ahead.pop()
        sock.close()
        process.kill()
        process.wait()


def serve(sock: socket.socket, modules: list[str]) -> None:
    """Imports ``modules``, then forks for each request until the grader hangs up, or ends in the midst of an import."""
    isolation.die_with_parent()
    for name in HEAP.keys() & os.environ.keys():  # it has done its work when a process starts
        del os.environ[name]
    gc.disable()  # imports leave little garbage: looking for it again and again takes a sixth of their time
    for module in ("IPython", "numpy", "cloudpickle", "autograder.judge.run", "autograder.sandbox.session", *modules):
        with contextlib.suppress(Exception):  # the learner's own import of it will say what is wrong
            importlib.import_module(module)
    for library, late in LATE_PARTS.items():
        if library in sys.modules:
            with contextlib.suppress(Exception):
                importlib.import_module(late)
    from autograder.judge.rehearsal import rehearse

    ready = _Ready(
        tuple(isolation.readable()),
        [name for name in sys.modules if name.startswith(JUDGES)],
        _make_shell(),
    )
    rehearse(ready.shell)
    gc.collect()
    gc.enable()
    gc.freeze()  # a fork's collections leave alone, and so do not copy, what stands before it
    gc.set_threshold(2000, 10, 10)  # as newer Pythons have it: tests make modules by the hundred, and little garbage
    _fork_when_asked(sock, ready)


def _fork_when_asked(sock: socket.socket, ready: _Ready) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks: their channels tell of their ends
    while True:
        data, fds, _, _ = socket.recv_fds(sock, 1 << 16, 8)
        if not data:
            return
        request = json.loads(data)
        shut_in = request["kind"] == "sandbox" and request["isolate"]
        try:
            if shut_in:
                isolation.prepare(ready.readable, tuple(request["hide"]))
            child = isolation.fork() if shut_in else os.fork()
        except OSError as error:
            os.write(fds[-1], f"No process could be made ({error.strerror}).\n".encode())
        else:
            if child == 0:
                sock.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _become(request, fds, ready)
        for fd in fds:
            os.close(fd)


def _make_shell() -> Shell:
    """The shell that every fork runs its cells in: making one takes longer than many a notebook."""
    from autograder.shell import make_shell

    with tempfile.TemporaryDirectory() as profile:  # which a shell wants to have been able to make
        os.environ["IPYTHONDIR"] = profile
        shell = make_shell()
        if "matplotlib" in sys.modules:  # for which MPLBACKEND, by which kernels tell it, comes too late
            shell.enable_matplotlib("inline")
    del os.environ["IPYTHONDIR"]  # it is gone
    return shell


@dataclass(frozen=True)
class _Ready:
    """What is made once for all forks."""

    readable: tuple[str, ...]  # paths that a sandbox shows
    judges: list[str]  # modules that a sandbox does without
    shell: Shell
    opening: Opening | None = None  # the cells that have been run

    def settle(self, folder: str) -> None:
        """In a fork: makes a folder the one that modules are imported from."""
        if self.opening is None:
            sys.path.insert(0, folder)
        else:
            self.opening.settle(folder)


def _become(request: dict[str, Any], fds: list[int], ready: _Ready) -> None:
    """Lives as a judge or a sandbox, and never returns."""
    *sockets, birth = fds
    try:
        isolation.die_with_parent()
        if ready.opening is None:
            _seed()
        first, *second = [socket.socket(fileno=fd) for fd in sockets]
        if request["kind"] == "sandbox":
            _become_sandbox(Channel(first), birth, request, ready)
            return
        os.write(birth, f"{os.getpid()}\n".encode())
        os.close(birth)
        if request["kind"] == "opening":
            _become_opened(first, Channel(second[0]), request, ready)
        else:
            from autograder.judge import run

            run.main(Channel(first), Channel(second[0]), ready.shell, ready.settle)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(birth, f"{type(error).__name__}: {error}\n".encode())
        if request["kind"] != "sandbox" and not isinstance(error, KeyboardInterrupt):
            import traceback

            traceback.print_exc()
    finally:
        os._exit(0)


def _become_opened(requests: socket.socket, channel: Channel, request: dict[str, Any], ready: _Ready) -> None:
    """Runs the instructor's opening cells, says what they showed, and forks from there."""
    from autograder.sandbox.opening import Opening

    ready.shell.most = int(Limits(**request["limits"]).output_kib * 1024)
    visible = isolation.layers(ready.readable, request["hide"]) if request["isolate"] else None
    opening = Opening(ready.shell, channel.receive()[0]["cells"], request["files"], visible)
    channel.send({"why_not": opening.why_not, "shown": opening.shown})
    channel.close()
    if opening.why_not is None:
        gc.freeze()
        _fork_when_asked(requests, replace(ready, readable=tuple(isolation.readable()), opening=opening))


def _become_sandbox(channel: Channel, birth: int, request: dict[str, Any], ready: _Ready) -> None:
    from autograder.sandbox.session import Session

    files, limits = Path(request["files"]), Limits(**request["limits"])
    if request["isolate"]:
        visible = isolation.Visible(files, ready.readable, tuple(request["hide"]))
        isolation.isolate(visible, limits, channel.sock.fileno(), birth)
    else:
        os.setsid()  # so that what it starts can be ended with it
        os.chdir(files)
        os.write(birth, f"{os.getpid()}\n".encode())
        isolation.keep_only(channel.sock.fileno())
        bound_memory(limits)
    _forget(ready.judges)
    tempfile.tempdir = None  # where that was before is no place here
    ready.settle(str(Path.cwd()))
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    ready.shell.most = int(limits.output_kib * 1024)
    Session(channel, ready.shell).serve()


def _forget(modules: list[str]) -> None:
    """Takes out of a sandbox's reach what only the other fork needs; its source cannot be read there either."""
    for name in modules:
        del sys.modules[name]
        parent, _, own = name.rpartition(".")
        if parent in sys.modules:
            vars(sys.modules[parent]).pop(own, None)


def _seed() -> None:
    """The same random state on both sides of a grading, and in every grading."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
        sys.modules["torch"].set_num_threads(1)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
    atexit._run_exitfuncs()
    os._exit(0)  # to take apart what was imported takes a third of a second, for which the grader would wait
