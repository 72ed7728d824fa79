"""The instructor's opening cells, run once for many submissions: judges and sandboxes are forks of what they left.

To each fork it is as if it had run them itself, in a folder of its own. Cells that would notice the difference are not
shared: each fork runs them then.
"""

from __future__ import annotations

import functools
import gc
import linecache
import os
import random
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any

from autograder.outputs import safe
from autograder.sandbox import isolation
from autograder.shell import Shell

# What Python's audit hooks hear of where something is written, started or connected to; and what of that only looks.
REACHES_OUT = ("os.", "shutil.", "signal.", "socket.", "sqlite3.", "subprocess.", "tempfile.")
LOOKS = {"os.listdir", "os.scandir", "os.walk", "os.fwalk", "os.getxattr", "os.putenv", "os.unsetenv"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# What a sandbox has of its own, what the kernel says of the machine, and the grader, at whose files Python looks when
# it says where something was called.
LIKE_EVERYWHERE = ("/dev", "/proc", "/sys", str(Path(__file__).resolve().parents[1]))
LOOKERS = ("access", "lstat", "readlink", "stat")  # functions of os that look at a path, and that no hook hears of


class Opening:
    """What cells left that were run in ``folder``, which becomes the working directory.

    ``why_not`` says why forks cannot share that, where they cannot; else ``shown`` is what each of the cells showed.
    ``visible`` are the layers of what a sandbox sees (:func:`autograder.sandbox.isolation.layers`); without, it sees
    all.
    """

    def __init__(self, shell: Shell, cells: list[str], folder: str, visible: dict[str, bool] | None) -> None:
        self._folder = folder
        before = _descriptors()
        tempfile.tempdir = None
        os.chdir(folder)
        sys.path.insert(0, folder)
        self.shown: list[list[dict[str, Any]]] = []
        self._modules: list[ModuleType] = []
        self.why_not = _tried(shell, cells, _Reach(folder, visible))
        if self.why_not is None:
            runs = [shell.run(cell) for cell in cells]
            self._random = random.getstate()  # which Python seeds anew in a fork
            self._modules = [module for module in list(sys.modules.values()) if self._lies_here(module)]
            self.shown = [safe(run.outputs, trusted=False, most=shell.most) for run in runs]
            if errors := [run.error for run in runs if run.error is not None]:
                self.why_not = f"a cell raised {type(errors[0]).__name__}"
            elif _descriptors() != before or threading.active_count() > 1 or _threads() > 1:
                self.why_not = "a file is open still, or a thread runs"
            elif not self._leave(shell):
                self.why_not = "a cell made something that holds a path of its folder"
        for module in self._modules:
            _keep_lines(Path(folder, str(module.__file__)))

    def settle(self, folder: str) -> None:
        """In a fork: goes on in a folder of its own, which holds the same files."""
        random.setstate(self._random)
        sys.path.insert(0, folder)
        for module in self._modules:
            _move(module, "", folder + os.sep)

    def _lies_here(self, module: ModuleType) -> bool:
        return _within(str(getattr(module, "__file__", None)), self._folder)

    def _leave(self, shell: Shell) -> bool:
        """Takes the folder's path out of all that knows it by way of imports. Whether nothing else holds it."""
        for module in self._modules:
            _move(module, self._folder + os.sep, "")
        sys.path.remove(self._folder)
        for path in [path for path in sys.path_importer_cache if path.startswith(self._folder)]:
            del sys.path_importer_cache[path]
        gc.collect()
        # What is older than the cells is frozen, and is not among these.
        holders = [*gc.get_objects(), shell.user_ns, dict(os.environ), sys.path]
        return tempfile.tempdir is None and not _hold(holders, Path(self._folder).parent.name, self._folder)


def _tried(shell: Shell, cells: list[str], reach: _Reach) -> str | None:
    """Runs cells in a fork that ends when they reach beyond it: in a few words how they do, or None."""
    reader, writer = os.pipe()
    state = random.getstate()  # which Python seeds anew in a fork
    child = os.fork()
    if child == 0:
        try:
            isolation.die_with_parent()
            random.setstate(state)
            reach.listen(writer)
            for cell in cells:
                shell.run(cell)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        reason = said.read()
    os.waitpid(child, 0)
    return reason or None


class _Reach:
    """Hears of what reaches beyond this process: of changes, and of looks at what no sandbox sees.

    It ends the process before that is done. Python never lets go of an audit hook, and is slower with one at each
    ``id()``, so that the process that listens is not the one that goes on.
    """

    def __init__(self, folder: str, visible: dict[str, bool] | None) -> None:
        self._folder, self._visible = folder, visible
        self._says_to = -1
        self._looking = False

    def listen(self, says_to: int) -> None:
        """From now on; a descriptor is told in a few words why the process ended."""
        self._says_to = says_to
        sys.dont_write_bytecode = True
        for name in LOOKERS:
            setattr(os, name, self._heard(name, getattr(os, name)))
        sys.addaudithook(self._hear)

    def _heard(self, name: str, look: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(look)
        def heard(path: Any, *args: Any, **options: Any) -> Any:
            self._look(name, path)
            return look(path, *args, **options)

        return heard

    def _hear(self, event: str, args: Any) -> None:
        if event in LOOKS:
            self._look(event, args[0])
        elif event == "open":
            self._look(event, args[0])
            if args[2] & WRITES:
                self._end("a cell wrote a file")
        elif event.startswith(REACHES_OUT) and not self._looking:
            self._end(f"a cell reached out of its process ({event})")

    def _look(self, event: str, path: Any) -> None:
        if self._looking or not isinstance(path, str | bytes | os.PathLike):
            return
        self._looking = True  # at what it looks at
        where = os.path.realpath(Path(self._folder, os.fsdecode(path)))
        if not self._sees(where, event in LOOKERS):
            self._end(f"a cell looked at what learners' code does not see ({event})")
        self._looking = False

    def _end(self, why: str) -> None:
        os.write(self._says_to, why.encode())
        os._exit(0)

    def _sees(self, path: str, looks_only: bool) -> bool:
        """Whether a sandbox sees a path; what is hidden is there, but empty."""
        if self._visible is None or any(_within(path, folder) for folder in (self._folder, *LIKE_EVERYWHERE)):
            return True
        around = [layer for layer in self._visible if _within(path, layer)]
        if around:
            inner = max(around, key=len)
            return self._visible[inner] or (path == inner and looks_only)
        return any(_within(layer, path) for layer in (*self._visible, self._folder))


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _keep_lines(file: Path) -> None:
    """Has Python find the lines of a module where it says that they were, though a fork may not see that file."""
    if file.suffix == ".py":
        text = file.read_text(encoding="utf-8", errors="replace")
        linecache.cache[str(file)] = (len(text), None, text.splitlines(keepends=True), str(file))


def _move(module: ModuleType, old: str, new: str) -> None:
    """Has a module, which was imported from a file below ``old``, lie below ``new``."""

    def moved(path: Any) -> Any:
        return new + path.removeprefix(old) if isinstance(path, str) and path.startswith(old) else path

    spec = module.__spec__
    for owner in filter(None, (module, spec, getattr(spec, "loader", None))):
        for name in {"__file__", "__cached__", "origin", "_cached", "path"} & vars(owner).keys():
            setattr(owner, name, moved(getattr(owner, name)))
    for paths in (getattr(module, "__path__", None), getattr(spec, "submodule_search_locations", None)):
        if isinstance(paths, list):
            paths[:] = map(moved, paths)


def _hold(holders: list[Any], name: str, but: str) -> bool:
    """Whether these objects hold a text or a path with a name in it, other than the very one ``but``."""
    for held in gc.get_referents(*holders):
        if isinstance(held, str | bytes | PurePath) and held is not but and name in os.fsdecode(held):
            return True
    return False


def _descriptors() -> list[str]:
    return [path.name for path in Path("/dev/fd").iterdir()]


def _threads() -> int:
    """Threads of this process, those of libraries too, as far as the system says."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.is_dir() else 1
