"""Exits and signals: ending early, ending others, and not ending when told to."""

from collections.abc import Callable
from typing import Any

JOBS = 2  # more would let those that spin starve the neighbours
SECONDS = 6  # the neighbours need some of it on a busy machine


def attack_os_exit(work: Any) -> None:
    """Ends the process with exit code 0 in the middle of a test."""
    work.everywhere("import os\ndef NAME(*args): os._exit(0)")


def attack_system_exit(work: Any) -> None:
    """SystemExit, KeyboardInterrupt, GeneratorExit and a BaseException of its own."""
    work.everywhere(
        "import sys\nclass B(BaseException): pass\ndef NAME(*args):\n"
        "    raise {'squares': SystemExit(0), 'mean': KeyboardInterrupt(), 'twice': GeneratorExit()}.get('NAME', B())"
    )


def attack_exit_in_a_cell(work: Any) -> None:
    """Leaves in a cell of its own, before anything is asked."""
    work.add("import os\nos._exit(0)")


def attack_quit(work: Any) -> None:
    """exit, quit and sys.exit in cells."""
    work.add("exit")
    work.add("import sys; sys.exit(0)")
    work.add("quit()")


def attack_signals_to_everybody(work: Any) -> None:
    """Kills every process that it may, its parents and its group."""
    work.add(
        "import os, signal\nfor target in (-1, os.getppid(), 0, 1, *range(2, 300)):\n"
        "    if target == 0: continue\n    try: os.kill(target, signal.SIGKILL)\n    except OSError: pass"
    )


def attack_interrupts_ignored(work: Any) -> None:
    """Ignores and blocks SIGINT, SIGTERM and SIGALRM, then loops."""
    work.everywhere(
        "import signal\nfor s in (2, 15, 14): signal.signal(s, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))\ndef NAME(*args):\n    while True: pass"
    )


def attack_interrupts_caught(work: Any) -> None:
    """Catches the interrupt and gives an answer then."""
    work.everywhere(
        "def NAME(*args):\n    while True:\n        try:\n            while True: pass\n"
        "        except BaseException: return [1, 4, 9]"
    )


def attack_stopped(work: Any) -> None:
    """Stops itself, so that nothing answers."""
    work.everywhere("import os, signal\ndef NAME(*args): os.kill(os.getpid(), signal.SIGSTOP); signal.pause()")


def attack_abort(work: Any) -> None:
    """Aborts, divides by zero in C and reads address zero."""
    work.everywhere("import ctypes, os\ndef NAME(*args):\n    ctypes.string_at(0)")


def attack_closing_the_channel(work: Any) -> None:
    """Closes every descriptor and answers no more."""
    work.everywhere("import os\ndef NAME(*args):\n    os.closerange(0, 256)\n    return [1, 4, 9]")


def attack_exec(work: Any) -> None:
    """Becomes another program that holds the channel."""
    work.everywhere(
        "import os, sys\ndef NAME(*args):\n    for fd in range(3, 64):\n        try: os.set_inheritable(fd, True)\n"
        "        except OSError: pass\n    os.execv('/bin/sh', ['sh', '-c', 'while :; do echo x >&3; done'])"
    )


def test_attack(judged: Callable[[str], None], attack: str) -> None:
    judged(attack)


def test_neighbours_and_the_machine_are_unharmed(unharmed: Callable[[], None]) -> None:
    unharmed()
