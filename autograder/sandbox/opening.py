"""The instructor's opening cells, run once for many submissions: judges and sandboxes are forks of what they left.

To each fork it is as if it had run them itself, in a folder of its own. Cells that would notice the difference are not
shared: each fork runs them then.
"""

from __future__ import annotations

import gc
import linecache
import os
import random
import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any

from autograder.outputs import safe
from autograder.shell import Shell

# What Python's audit hooks hear of where something is written, started or connected to; and what of that only looks.
REACHES_OUT = ("os.", "shutil.", "signal.", "socket.", "sqlite3.", "subprocess.", "tempfile.")
LOOKS = {"os.listdir", "os.scandir", "os.walk", "os.fwalk", "os.getxattr", "os.putenv", "os.unsetenv"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Opening:
    """What cells left that were run in ``folder``, which becomes the working directory.

    ``why_not`` says why forks cannot share that, where they cannot; else ``shown`` is what each of the cells showed.
    """

    def __init__(self, shell: Shell, cells: Iterable[str], folder: str) -> None:
        self._folder = folder
        self._reached_out: str | None = None
        self._hears = True
        before = _descriptors()
        tempfile.tempdir = None
        os.chdir(folder)
        sys.path.insert(0, folder)
        sys.addaudithook(self._hear)
        sys.dont_write_bytecode = True
        runs = [shell.run(cell) for cell in cells]
        self._hears = sys.dont_write_bytecode = False
        self._random = random.getstate()  # which Python seeds anew in a fork
        self._modules = [module for module in list(sys.modules.values()) if self._lies_here(module)]
        self.shown = [safe(run.outputs, trusted=False, most=shell.most) for run in runs]
        self.why_not: str | None = None
        if errors := [run.error for run in runs if run.error is not None]:
            self.why_not = f"a cell raised {type(errors[0]).__name__}"
        elif self._reached_out is not None:
            self.why_not = f"a cell reached out of its process ({self._reached_out})"
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

    def _hear(self, event: str, args: Any) -> None:
        if not self._hears or self._reached_out is not None:
            return
        if event == "open":
            reaches_out = bool(args[2] & WRITES)
        else:
            reaches_out = event.startswith(REACHES_OUT) and event not in LOOKS
        if reaches_out:
            self._reached_out = event

    def _lies_here(self, module: ModuleType) -> bool:
        return str(getattr(module, "__file__", None)).startswith(self._folder + os.sep)

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
