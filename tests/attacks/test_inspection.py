"""Frames, gc and memory: looking for tests, expected values and the grader from within."""

from collections.abc import Callable
from typing import Any


def attack_callers_frames(work: Any) -> None:
    """Walks up the frames of its caller for expected values, and changes what it finds."""
    work.everywhere("""import sys
def NAME(*args):
    frame, seen = sys._getframe(), []
    while frame := frame.f_back:
        seen.append((frame.f_code.co_name, list(frame.f_locals), frame.f_locals.get("expected")))
        frame.f_locals.update(calls=[5, 8], b=0, value=0)
        frame.f_trace_lines = False
    print(seen)
    return 0""")


def attack_garbage_collector(work: Any) -> None:
    """Searches every object that gc knows for the text of tests, plans, jobs, verdicts."""
    work.everywhere("""import gc
def NAME(*args):
    hits = []
    for o in gc.get_objects():
        if type(o).__name__ in ("Plan", "Step", "Job", "Verdict", "Client", "NotebookNode"): hits.append(repr(o)[:300])
        elif type(o) in (dict, list, tuple) and len(o) < 200:
            hits += [x for x in (o.values() if type(o) is dict else o) if type(x) is str and "must-not" + "-be" in x]
    print(hits)
    return 0""")


def attack_memory(work: Any) -> None:
    """Reads its own memory through /proc for what the process that forked it may have left there."""
    work.add("""import re
found = []
try:
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb") as mem:
        for line in maps:
            start, end = (int(n, 16) for n in line.split()[0].split("-"))
            if "rw" in line and end - start < 1 << 28:
                try:
                    mem.seek(start)
                    found += re.findall(b"[a-z]+-must-not" + b"-be-seen-[a-z]+", mem.read(end - start))
                except (OSError, ValueError): pass
except OSError as error: print(error)
print(found)""")
    work.everywhere("def NAME(*args): return 0")


def attack_other_processes(work: Any) -> None:
    """Looks for other processes, their memory and command lines, and tries to trace them."""
    work.add("""import os, ctypes, glob
print([(p, open(p + "/cmdline").read()) for p in glob.glob("/proc/[0-9]*")])
libc = ctypes.CDLL(None)
for pid in [os.getppid(), 1, *range(2, 400)]:
    libc.ptrace(16, pid, 0, 0)
    try: open(f"/proc/{pid}/mem", "rb"); open(f"/proc/{pid}/environ").read()
    except OSError: pass""")
    work.everywhere("def NAME(*args): return 0")


def attack_environment_and_arguments(work: Any) -> None:
    """Prints the environment, arguments and loaded modules."""
    work.add(
        "import os, sys\nprint(dict(os.environ), sys.argv, sys.orig_argv, sorted(sys.modules))\n"
        "print(open('/proc/self/cmdline').read())"
    )
    work.everywhere("def NAME(*args): return 0")


def attack_descriptors(work: Any) -> None:
    """Reads and writes every open descriptor, and reopens them through /proc."""
    work.add("""import os, stat
for fd in range(256):
    try: print(fd, os.readlink(f"/proc/self/fd/{fd}"), stat.S_IFMT(os.fstat(fd).st_mode))
    except OSError: continue
    try: print(os.read(os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK), 100))
    except OSError: pass""")
    work.everywhere("def NAME(*args): return 0")


def attack_the_callback_object(work: Any) -> None:
    """Takes apart the function that a test hands over, to find the judge's list of calls behind it."""
    work.answer(
        apply="""def apply(f, xs):
    import gc
    for x in (getattr(f, "__closure__", None), getattr(f, "__globals__", None), vars(f), gc.get_referrers(f)): print(x)
    f.__globals__["calls"] = [5, 8]
    return [16, 25]"""
    )


def attack_expected_values_by_class(work: Any) -> None:
    """Arguments with hooks: default arguments, __getattr__ of the module, and weak references to see results."""
    work.everywhere("""import sys, weakref
sys.modules["__main__"].__class__ = type("M", (type(sys),), {"__getattr__": lambda s, n: lambda *a, **k: True})
def NAME(*args, expected=[1, 4, 9]): return None""")


def test_attack(judged: Callable[[str], None], attack: str) -> None:
    judged(attack)


def test_neighbours_and_the_machine_are_unharmed(unharmed: Callable[[], None]) -> None:
    unharmed()
