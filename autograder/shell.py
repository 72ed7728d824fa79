"""Runs notebook cells as a kernel would, in this process, and collects what they show.

A judge and a sandbox each have one. It is IPython's own shell (magics, top-level await, the last expression
shown, figures drawn at the end of a cell) with the outputs kept instead of sent.
"""

from __future__ import annotations

import ast
import base64
import re
import subprocess
import sys
import traceback
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from typing import Any

from IPython.core import compilerop
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.inputtransformer2 import TransformerManager
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Type
from traitlets.config import Config

from autograder.hidden import CELL


@dataclass
class CellRun:
    """What one cell showed (nbformat outputs) and how it ended."""

    outputs: list[dict[str, Any]] = field(default_factory=list)
    error: BaseException | None = None
    value: str | None = None  # text/plain of the last expression, where the cell showed one


class _Publisher(DisplayPublisher):
    shell: Shell

    def publish(self, data: Any, metadata: Any = None, *others: Any, **more: Any) -> None:
        show(self.shell, "display_data", data, metadata)

    def clear_output(self, wait: bool = False) -> None:
        self.shell.run_now.outputs.clear()


class _Hook(DisplayHook):
    shell: Shell

    def start_displayhook(self) -> None:
        pass

    def write_output_prompt(self) -> None:
        pass

    def finish_displayhook(self) -> None:
        pass

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        show(self.shell, "execute_result", format_dict, md_dict)
        self.shell.run_now.value = format_dict.get("text/plain")


def code_name(source: str) -> str:
    """The file name under which a cell is compiled."""
    return str(compilerop.code_name(source, 1))


class _Compiler(compilerop.CachingCompiler):
    """Names a cell by its text as written, so that a judge knows the name without doing what the sandbox does."""

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        return code_name(raw_code)


class Shell(InteractiveShell):
    """IPython's shell with its outputs kept in ``run_now``."""

    _between = False  # whether what is shown now is shown by no cell
    most = 2**20  # characters of text that a cell may show; the rest is cut, and said to be
    muted: Callable[[], bool] = staticmethod(lambda: False)  # whether what is shown just now is not kept
    compiler_class = Type(_Compiler)
    display_pub_class = Type(_Publisher)
    displayhook_class = Type(_Hook)

    def transform_cell(self, raw_cell: str) -> str:
        """Plain Python stays as it is: to parse it takes a tenth of what looking for magics does."""
        own_ways = self.input_transformers_post or len(self.input_transformers_cleanup) != len(_CLEANUP)
        if not own_ways and _PROMPT.search(raw_cell) is None and _is_python(raw_cell):
            return raw_cell if raw_cell.endswith("\n") else raw_cell + "\n"
        return str(super().transform_cell(raw_cell))

    def enable_gui(self, gui: Any = None) -> None:
        pass

    def showtraceback(self, exc_tuple: Any = None, *args: Any, **kwargs: Any) -> None:
        """Keeps an error with the lines of the cells that it passed, as Python itself would print them.

        IPython's own tracebacks, with their colours and contexts, take longer than many a notebook's cells.
        """
        kind, error, where = exc_tuple or sys.exc_info()
        if kind is None or error is None:
            return
        told = traceback.TracebackException(kind, error, None, compact=True)
        frames = (step for step in traceback.walk_tb(where) if step[0].f_code.co_filename.startswith(CELL))
        told.stack = traceback.StackSummary.extract(frames)
        try:
            text = str(error)
        except BaseException:  # it may be of a learner's class
            text = ""
        entry = {"output_type": "error", "ename": kind.__name__, "evalue": text}
        self.run_now.outputs.append({**entry, "traceback": "".join(told.format()).splitlines()})

    def showsyntaxerror(self, filename: Any = None, running_compiled_code: bool = False) -> None:
        self.showtraceback()

    def system(self, cmd: str) -> None:
        """Runs a line behind ``!``: IPython's own way wants a terminal, which shut-in code has not."""
        done = subprocess.run(self.var_expand(cmd, depth=1), shell=True, stdin=subprocess.DEVNULL, capture_output=True)
        print(done.stdout.decode(errors="replace"), end="")
        print(done.stderr.decode(errors="replace"), end="", file=sys.stderr)
        self.user_ns["_exit_code"] = done.returncode

    def run(self, source: str) -> CellRun:
        """Runs a cell to its end, whatever it raises."""
        self.run_now, self._between = CellRun(), False
        with redirect_stdout(_Stream(self, "stdout")), redirect_stderr(_Stream(self, "stderr")):
            result = self.run_cell(source, store_history=False)
        self.run_now.error = result.error_before_exec or result.error_in_exec
        return self.run_now

    @contextmanager
    def listening(self, printed: list[list[str]]) -> Iterator[None]:
        """Adds to ``printed`` at its end what is printed in the block, as (stdout or stderr, text)."""
        before = self.run_now, self._between
        self.run_now, self._between = CellRun(), True
        try:
            with redirect_stdout(_Stream(self, "stdout")), redirect_stderr(_Stream(self, "stderr")):
                yield
        finally:
            printed += self.take_printed()
            self.run_now, self._between = before

    def take_printed(self) -> list[list[str]]:
        """What was printed since it was last asked for, where no cell shows it."""
        if not self._between:
            return []
        taken, self.run_now.outputs = self.run_now.outputs, []
        return [[output["name"], output["text"]] for output in taken if output["output_type"] == "stream"]


_CLEANUP = TransformerManager().cleanup_transforms
_PROMPT = re.compile(r"^\s*(In \[|\.\.\.)", re.MULTILINE)  # of pasted sessions, which can look like Python


def _is_python(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # running it says them
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


class _Stream:
    """A text stream whose lines become stream outputs of the running cell, in order."""

    encoding = "utf-8"

    def __init__(self, shell: Shell, name: str) -> None:
        self._shell, self._name, self._left = shell, name, shell.most

    def write(self, text: str) -> int:
        size = len(text)
        if self._left <= 0 or self._shell.muted():
            return size
        if size > self._left:
            text = text[: self._left] + "\n[... more was written than is kept]\n"
        self._left -= size
        outputs = self._shell.run_now.outputs
        if outputs and outputs[-1].get("name") == self._name:
            outputs[-1]["text"] += text
        else:
            outputs.append({"output_type": "stream", "name": self._name, "text": text})
        return size

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        raise OSError("A cell's output has no file descriptor.")


def show(shell: Shell, kind: str, data: Any, metadata: Any) -> None:
    """Adds a display to the running cell's outputs, binary formats as base64."""
    if shell.muted():
        return
    texts = {
        mime: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for mime, value in dict(data).items()
    }
    output: dict[str, Any] = {"output_type": kind, "data": texts, "metadata": dict(metadata or {})}
    if kind == "execute_result":
        output["execution_count"] = 1
    shell.run_now.outputs.append(output)


def make_shell() -> Shell:
    """A fresh shell that owns ``__main__`` and writes nothing to disk."""
    config = Config()
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    module = types.ModuleType("__main__", doc="A notebook")
    sys.modules["__main__"] = module
    shell = Shell.instance(config=config, user_module=module, user_ns=module.__dict__)
    shell.run_now = CellRun()
    return shell
