"""Texts of the learner's that a test runs: they run in the sandbox, and only what they give or print comes here."""

from __future__ import annotations

import doctest
import inspect
import itertools
import sys
import typing
from typing import Any

from autograder.judge.objects import LearnersText
from autograder.judge.remote import Client


def run_there(client: Client, namespace: dict[str, Any]) -> None:
    """From now on, examples of docstrings, annotations, and what objects say of themselves run in the sandbox."""
    run = doctest.DocTestRunner.run

    def run_examples(self: doctest.DocTestRunner, test: doctest.DocTest, *args: Any, **options: Any) -> Any:
        if type(test.docstring) is not LearnersText:
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

    def evaluate(source: Any, names: Any = None, local: Any = None, /) -> Any:
        if type(source) is LearnersText:
            return client.evaluate(source)
        if names is None:
            caller = sys._getframe(1)
            names, local = caller.f_globals, caller.f_locals if local is None else local
        return eval(source, names, local)

    def compiled(source: Any, *options: Any) -> Any:
        return source if type(source) is LearnersText else compile(source, *options)

    doctest.DocTestRunner.run = run_examples  # type: ignore[method-assign]
    vars(typing).update(compile=compiled, eval=evaluate)
    for names_of in (vars(inspect), namespace):
        names_of["eval"] = evaluate
