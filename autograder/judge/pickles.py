"""Pickles of the learner's that a test loads: the sandbox loads them. Of others that may be theirs nothing but data is
made, whichever library reads them.
"""

from __future__ import annotations

import contextlib
import pickle
import sys
from collections.abc import Iterator
from typing import Any

from autograder.judge.remote import Client

# Of what a pickle names, that which only makes data of data. Not numpy's: a dtype made so reads memory at any place.
_DATA = {
    "builtins": {"bytearray", "complex", "frozenset", "range", "set", "slice"},
    "collections": {"Counter", "OrderedDict", "defaultdict", "deque"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "fractions": {"Fraction"},
}


def load_there(client: Client, namespace: dict[str, Any]) -> None:
    """From now on, pickles that came from the sandbox are loaded there."""
    own = {name: getattr(pickle, name) for name in ("dump", "dumps", "load", "loads")}
    made: set[bytes] = set()  # by the test
    trusted = False

    @contextlib.contextmanager
    def trusting() -> Iterator[None]:
        nonlocal trusted
        before, trusted = trusted, True
        try:
            yield
        finally:
            trusted = before

    def make_only_data(event: str, args: Any) -> None:
        if event == "pickle.find_class" and not trusted and args[1] not in _DATA.get(args[0], ()):
            raise pickle.UnpicklingError(
                f"This pickle names {args[0]}.{args[1]}, and the learner's code may have written it: that would run in "
                "the place of the test. Load it with pickle.load or pickle.loads, or have the learner's code read it."
            )

    def dumps(*args: Any, **options: Any) -> bytes:
        made.add(data := own["dumps"](*args, **options))
        return data

    def dump(value: Any, file: Any, *args: Any, **options: Any) -> None:
        file.write(dumps(value, *args, **options))

    def loads(data: Any, /, **options: Any) -> Any:
        content = bytes(data)
        if content in made:
            with trusting():
                return own["loads"](data, **options)
        return client.unpickle(content)[0] if client.heard.gave(content) else own["loads"](data, **options)

    def load(file: Any, **options: Any) -> Any:
        if not hasattr(file, "seek"):
            return loads(file.read(), **options)
        start = file.tell()
        rest = file.read()
        file.seek(start)
        if isinstance(rest, bytes) and rest not in made and client.heard.gave(rest):
            value, size = client.unpickle(rest)
            file.seek(start + size)
            return value
        with trusting() if isinstance(getattr(file, "name", None), str) or rest in made else contextlib.nullcontext():
            return own["load"](file, **options)

    client.heard.at_pickles = lambda: sys.addaudithook(make_only_data)  # not before: with a hook, each id() is slower
    for name, there in {"dump": dump, "dumps": dumps, "load": load, "loads": loads}.items():
        vars(pickle)[name] = there
        for bound in [bound for bound, value in namespace.items() if value is own[name]]:
            namespace[bound] = there
