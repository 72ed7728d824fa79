"""What a warm process does before its first fork: in it, a judge and a sandbox speak to each other about nothing.

What Python, IPython and this package do once only, or slowly until they have done it a few times, is done then, in
memory that the forks share. An ordinary notebook's fork would spend a third of its time on it.
"""

from __future__ import annotations

import contextlib
import linecache
import signal
import socket
import sys
import threading
from types import SimpleNamespace
from typing import Any

from autograder.frames import Channel
from autograder.judge.remote import Client
from autograder.sandbox.session import Session
from autograder.shell import Shell

NAMES = ["there", "fails", "called"]
TIMES = 10  # Python makes code quicker that has run eight times

FAILURE = "raise AssertionError('text')"
CELL = """
class There(list):
    pass
def there(x, *more, f=None):
    kept = [f(one) for one in more] if f else sorted(more)
    return {"x": x, "kept": (kept, 1.5, None, True), "made": There(kept)}
def fails(x):
    x.append(2)
    print("text")
    raise ValueError("text")
"""
TEST = """
items = [1]
assert asks_there(items, 2, 3, f=lambda x: x + 1)["kept"][0] == [3, 4]
made = asks_there(1)["made"]
assert len(made) == 0 and list(made) == []
try:
    asks_fails([1])
except ValueError as error:
    assert "text" in str(error)
else:
    raise AssertionError
"""
# Nothing is run backwards: where there is a GPU, no fork of a process that has done that could do it again.
CELL_TORCH = """
def called(model, x):
    for parameter in model.parameters():
        parameter.requires_grad_(not parameter.requires_grad)
    return model(x)
"""
TEST_TORCH = """
import torch
model, x = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)), torch.ones(4, 2)
assert asks_called(model, x).shape == (4, 3)
model.requires_grad_(False)
again = asks_called(model, x)
"""


def rehearse(shell: Shell) -> None:
    """Goes through notebooks of a kind, and leaves the shell as it was."""
    names, lines, heeds = dict(shell.user_ns), dict(linecache.cache), signal.getsignal(signal.SIGINT)
    ours, theirs = socket.socketpair()
    session = Session(Channel(theirs), shell)
    sandbox = threading.Thread(target=_serve, args=(session, theirs))
    sandbox.start()
    try:
        nobody: Any = SimpleNamespace(signal=lambda number: None)
        client = Client(Channel(ours), nobody)
        for _ in range(TIMES):
            _once(client, shell, CELL, TEST)
            if "torch" in sys.modules:
                _once(client, shell, CELL_TORCH, TEST_TORCH)
    finally:
        ours.close()
        sandbox.join()
        signal.signal(signal.SIGINT, heeds)
        shell.user_ns.clear()
        shell.user_ns.update(names)
        linecache.cache.clear()
        linecache.cache.update(lines)


def _serve(session: Session, sock: socket.socket) -> None:
    with contextlib.closing(sock):
        session.serve()


def _once(client: Client, shell: Shell, cell: str, test: str) -> None:
    """Both sides have the same names here: what the judge has of the sandbox's has others."""
    client.run(cell)
    client.begin()
    shell.user_ns.update({f"asks_{name}": found for name, found in client.names(NAMES).items()})
    client.bind({"nothing": None})
    client.unbind(["nothing"])
    shell.run(test)
    shell.run(FAILURE)
    shell.display_formatter.format(1.5)  # type: ignore[union-attr]  # in no cell: that would keep it
