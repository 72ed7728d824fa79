"""Survivors: threads, children, daemons and handlers that want to outlive the grading."""

from collections.abc import Callable
from typing import Any

JOBS = 4  # most of them wait
SECONDS = 10


def attack_threads(work: Any) -> None:
    """Threads, daemons or not, that go on for ever."""
    work.add(
        "import threading, time\nfor n in range(10):\n"
        "    threading.Thread(target=lambda: [time.sleep(1) for _ in iter(int, 1)],"
        " daemon=n % 2 == 0).start()"
    )


def attack_double_fork(work: Any) -> None:
    """A daemon by double fork and setsid, deaf to signals."""
    work.add("""import os, signal, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for s in range(1, 32):
            try: signal.signal(s, signal.SIG_IGN)
            except (OSError, ValueError): pass
        while True: time.sleep(0.1)
    os._exit(0)""")


def attack_a_child_that_answers(work: Any) -> None:
    """Forks, so that a child goes on with the conversation when its parent has gone."""
    work.everywhere("import os\ndef NAME(*args):\n    if os.fork(): os._exit(0)\n    return 0")


def attack_programs(work: Any) -> None:
    """nohup, setsid and background jobs of a shell."""
    work.add(
        "import subprocess\nfor c in ('nohup sleep 600 &', 'setsid sleep 600 &', '(sleep 600 &) &'):\n"
        "    subprocess.run(c, shell=True, stdout=-3, stderr=-3)"
    )


def attack_at_exit(work: Any) -> None:
    """atexit, weakref.finalize, __del__ and os.register_at_fork, which write and fork at the end."""
    work.add("""import atexit, os, weakref
def last():
    if os.fork() == 0:
        os.setsid()
        while True: pass
atexit.register(last)
class D:
    def __del__(self): last()
keep = D()
weakref.finalize(keep, last)
os.register_at_fork(after_in_child=lambda: open("/tmp/left-by-a-learner", "w"))""")


def attack_pools(work: Any) -> None:
    """multiprocessing and concurrent.futures workers that are never shut down."""
    work.add(
        "import multiprocessing as mp, time\n"
        "for _ in range(4): mp.get_context('fork').Process(target=time.sleep, args=(600,)).start()"
    )


def attack_a_parent_death_signal_undone(work: Any) -> None:
    """Takes back the promise to end with its parent, and asks to adopt orphans."""
    work.add(
        "import ctypes, os, time\nlibc = ctypes.CDLL(None)\nlibc.prctl(1, 0, 0, 0, 0)\nlibc.prctl(36, 1, 0, 0, 0)\n"
        "if os.fork() == 0:\n    libc.prctl(1, 0, 0, 0, 0); os.setsid(); time.sleep(600)"
    )


def attack_new_namespaces(work: Any) -> None:
    """A child in a user and process namespace of its own."""
    work.add(
        "import ctypes, os, time\nif os.fork() == 0:\n    ctypes.CDLL(None).unshare(0x10000000 | 0x20000000)\n"
        "    if os.fork() == 0: time.sleep(600)\n    time.sleep(600)"
    )


def test_attack(judged: Callable[[str], None], attack: str) -> None:
    judged(attack)


def test_neighbours_and_the_machine_are_unharmed(unharmed: Callable[[], None]) -> None:
    unharmed()
