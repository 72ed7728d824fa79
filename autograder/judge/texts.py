"""Texts of the learner's that a test runs: they run in the sandbox, and only what they give or print comes here."""

from __future__ import annotations

import doctest
import inspect
import itertools
import sys
import types
import typing
from typing import Any

from autograder import names
from autograder.judge.objects import LearnersText
from autograder.judge.remote import Client


def run_there(client: Client, namespace: dict[str, Any]) -> None:
    """From now on, examples of docstrings, annotations, and what the learner's code gave as text run in the sandbox.

    What a library runs is the test's own.
    """
    run = doctest.DocTestRunner.run

    def run_examples(self: doctest.DocTestRunner, test: doctest.DocTest, *args: Any, **options: Any) -> Any:
        if theirs(test.docstring) is None:
            return run(self, test, *args, **options)
        number = itertools.count()
        ways = {  # in the place of the builtins, for doctest alone
            "compile": lambda source, *others: source,
            "exec": lambda source, names: client.example(source, first=next(number) == 0),
        }
        vars(doctest).update(ways)
        try:
            return run(self, test, *args, **options)
        finally:
            for name in ways:
                del vars(doctest)[name]

    def theirs(source: Any) -> str | None:
        """A text that came from the sandbox, or has in it what came from there; None for another, and for code."""
        if type(source) is LearnersText:
            return str(source)
        if isinstance(source, bytes | bytearray | memoryview):
            source = bytes(source).decode("utf-8", "replace")
        return str(source) if isinstance(source, str) and client.heard.is_in(source) else None

    def annotation(source: Any, names: Any = None, local: Any = None, /) -> Any:
        return eval(source, names, local) if (text := theirs(source)) is None else client.evaluate(text)

    def compiled(source: Any, *options: Any, **more: Any) -> Any:
        code = compile(source, *options, **more)
        return source if isinstance(code, types.CodeType) and theirs(source) is not None else code

    def evaluate(source: Any, names: Any = None, local: Any = None, /) -> Any:
        around = sys._getframe(1)
        if (text := theirs(source)) is not None:
            return client.evaluate(text, names, _bound(client, text, around) if names is None else local)
        if names is None:
            names, local = around.f_globals, around.f_locals if local is None else local
        return eval(source, names, local)

    def execute(source: Any, names: Any = None, local: Any = None, /) -> None:
        around = sys._getframe(1)
        if (text := theirs(source)) is not None:
            inner = _bound(client, text, around) if names is None else local
            bound = client.execute(text, names, inner)
            if names is None and inner is None:
                around.f_globals.update(bound)
            return
        if names is None:
            names, local = around.f_globals, around.f_locals if local is None else local
        exec(source, names, local)

    doctest.DocTestRunner.run = run_examples  # type: ignore[method-assign]
    vars(typing).update(compile=compiled, eval=annotation)
    vars(inspect).update(eval=annotation)
    namespace.update(compile=compiled, eval=evaluate, exec=execute)


def _bound(client: Client, source: str, around: types.FrameType) -> dict[str, Any] | None:
    """Binds there what a text reads of the notebook's names; gives what it reads of a function's, where one calls."""
    read = names.of_cell(source.strip()).read
    if known := {name: around.f_globals[name] for name in read if name in around.f_globals}:
        client.bind(known)
    if around.f_locals is around.f_globals:
        return None
    return {name: around.f_locals[name] for name in read if name in around.f_locals}
