"""Exhaustion of time, memory, processes, disk, output and descriptors, under small limits."""

from collections.abc import Callable
from typing import Any

JOBS = 4  # most of them wait
SECONDS = 4
LIMITS = {
    "memory_mib": 400,
    "processes": 24,
    "scratch_mib": 8,
    "file_mib": 4,
    "open_files": 64,
    "output_kib": 64,
    "submission_seconds": 12,
}


def attack_time_in_a_cell(work: Any) -> None:
    """A cell that never ends."""
    work.add("while True: pass")


def attack_time_in_a_call(work: Any) -> None:
    """Functions that never end, each of them."""
    work.everywhere("def NAME(*args):\n    while True: pass")


def attack_sleep(work: Any) -> None:
    """Waits in a system call, in C and in a regular expression."""
    work.everywhere(
        "import re, time\ndef NAME(*args):\n"
        "    re.match('(a+)+$', 'a' * 60 + 'b') if 'NAME' == 'mean' else time.sleep(1e6)"
    )


def attack_memory(work: Any) -> None:
    """Takes memory until there is none, in pieces and at once."""
    work.everywhere("def NAME(*args):\n    held = []\n    while True: held.append(bytearray(1 << 24))")


def attack_memory_of_many(work: Any) -> None:
    """Takes memory in twenty processes, none of which takes more than it may; the first to be asked waits for them."""
    work.everywhere(
        "import os\ndef NAME(*args):\n    for _ in range(20):\n        if os.fork() == 0:\n"
        "            held = bytearray(os.urandom(1 << 20)) * 200\n            os.read(os.pipe()[0], 1)\n"
        "    os.read(os.pipe()[0], 1)"
    )


def attack_memory_files(work: Any) -> None:
    """Fills memory files, which are in no process's address space."""
    work.add(
        "import os\nheld = []\nwhile True:\n    try:\n        held.append(os.memfd_create('held'))\n"
        "        os.write(held[-1], bytes(4 << 20))\n    except OSError: break"
    )


def attack_memory_of_the_judge(work: Any) -> None:
    """Answers with what is small to send and large to have, so that the judge runs out."""
    work.everywhere(
        "import numpy as np\ndef NAME(*args): return range(10 ** 15) if 'NAME' == 'squares' else 'x' * (1 << 24)"
    )


def attack_fork_bomb(work: Any) -> None:
    """Forks until it may not."""
    work.add("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass")


def attack_threads(work: Any) -> None:
    """Starts threads until it may not."""
    work.add("import threading\nwhile True: threading.Thread(target=threading.Event().wait).start()")


def attack_disk(work: Any) -> None:
    """Fills its folder with one file, with many, and with none but names."""
    work.add(
        "import os\nfor n in range(10 ** 6):\n    try:\n"
        "        with open(f'f{n}', 'wb') as f: f.write(bytes(1 << 20) if n < 100 else b'')\n"
        "    except OSError: break"
    )


def attack_sparse_files(work: Any) -> None:
    """A file that says that it is a terabyte, and mmap of it."""
    work.add("import os\nopen('big', 'w').close()\nos.truncate('big', 1 << 40)")


def attack_output(work: Any) -> None:
    """Prints for ever, on both streams and as displays."""
    work.add(
        "import sys\nfrom IPython.display import display\nfor n in range(10 ** 5):\n"
        "    print('x' * 1000)\n    print('y', file=sys.stderr)\n"
        "    if n < 5000: display('z' * 100)"
    )


def attack_pictures(work: Any) -> None:
    """Displays a thousand pictures that are no pictures."""
    work.add(
        "from IPython.display import display\nfor n in range(1000):\n"
        "    display({'image/png': 'iVBORw0KGgo' + 'A' * 10000}, raw=True)"
    )


def attack_descriptors(work: Any) -> None:
    """Opens files and sockets until it may not."""
    work.add(
        "import os, socket\nheld = []\nwhile True:\n"
        "    try: held.append(os.open('/dev/null', 0)); held.append(socket.socketpair())\n"
        "    except OSError: break"
    )


def attack_recursion(work: Any) -> None:
    """Recursion without end, and into the judge and back."""
    work.everywhere(
        "import sys\nsys.setrecursionlimit(10 ** 9)\ndef NAME(f, *args):\n"
        "    return apply(f, args) if 'NAME' == 'apply' else NAME(f)"
    )


def attack_callbacks_without_end(work: Any) -> None:
    """Calls the judge's function for ever."""
    work.answer(apply="def apply(f, xs):\n    while True: f(1)")


def attack_answers_without_end(work: Any) -> None:
    """An iterator that never stops where the test makes a list."""
    work.everywhere("import itertools\ndef NAME(*args): return itertools.count()")


def test_attack(judged: Callable[[str], None], attack: str) -> None:
    judged(attack)


def test_neighbours_and_the_machine_are_unharmed(unharmed: Callable[[], None]) -> None:
    unharmed()
