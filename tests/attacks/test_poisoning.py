"""Poisoning later gradings: what one submission leaves for the next."""

from collections.abc import Callable
from typing import Any

MARKED = "left-by-a-learner"


def attack_libraries(work: Any) -> None:
    """Writes a .pth file, sitecustomize, __pycache__ and into numpy's own files."""
    work.add("""import site, sys, os, sysconfig, numpy, py_compile
for place in {*sys.path, sysconfig.get_path("purelib"), site.getusersitepackages(), os.path.dirname(numpy.__file__)}:
    for name in ("left-by-a-learner.pth", "sitecustomize.py", "usercustomize.py", "__pycache__/left-by-a-learner.pyc"):
        try:
            os.makedirs(os.path.dirname(os.path.join(place, name)), exist_ok=True)
            open(os.path.join(place, name), "w").write("import os")
        except OSError: pass
try: open(numpy.__file__, "a").write("\\nraise SystemExit")
except OSError: pass""")


def attack_shared_places(work: Any) -> None:
    """Writes to /tmp, /var/tmp, /dev/shm, /run, the home and every writable folder it knows of."""
    work.add("""import os, tempfile
for place in ("/tmp", "/var/tmp", "/dev/shm", "/run", "/", os.path.expanduser("~"), tempfile.gettempdir(), "/scratch",
              os.environ.get("MPLCONFIGDIR", "/x"), os.environ.get("IPYTHONDIR", "/x"), os.environ.get("TMPDIR", "/x")):
    for name in ("left-by-a-learner", "left-by-a-learner.py", "matplotlibrc"):
        try: open(os.path.join(place, name), "w").write("x")
        except OSError: pass""")


def attack_profiles(work: Any) -> None:
    """IPython startup files, a matplotlib style, a torch cache, a numba cache, git hooks and shell profiles."""
    work.add("""import os
home = os.path.expanduser("~")
for path in (".ipython/profile_default/startup/00-left-by-a-learner.py", ".config/matplotlib/matplotlibrc", ".bashrc",
             ".cache/torch/left-by-a-learner", ".jupyter/nbgrader_config.py",
             ".local/lib/python3.11/site-packages/usercustomize.py"):
    for base in (home, "/root", "/home", os.environ.get("IPYTHONDIR", "/x")):
        try:
            os.makedirs(os.path.dirname(os.path.join(base, path)), exist_ok=True)
            open(os.path.join(base, path), "w").write("raise SystemExit")
        except OSError: pass""")


def attack_the_warm_process(work: Any) -> None:
    """Patches modules that a fork shares with the process it came from, and asks that one to fork."""
    work.add("""import numpy, math, sys, gc, os, signal, ctypes
numpy.allclose = math.isclose = lambda *a, **k: True
sys.modules["helpers"] = math
for fd in range(64):
    try: os.write(fd, b'{"kind": "judge", "files": "/", "isolate": false, "hide": [], "limits": {}}')
    except OSError: pass
for pid in (os.getppid(), 0):
    try: os.kill(pid, signal.SIGUSR1) if pid else None
    except OSError: pass""")
    work.everywhere("def NAME(*args): return 0")


def attack_shared_memory(work: Any) -> None:
    """Shared memory, message queues, semaphores, keys in the kernel's keyrings, abstract sockets."""
    work.add("""import ctypes, socket
libc = ctypes.CDLL(None, use_errno=True)
libc.shmget(0x5EED, 4096, 0o1666); libc.msgget(0x5EED, 0o1666); libc.semget(0x5EED, 1, 0o1666)
for ring in (-1, -2, -3, -4, -5):
    libc.syscall(248, b"user", b"left-by-a-learner", b"x", 1, ring)
socket.socket(socket.AF_UNIX).bind("\\0left-by-a-learner")
from multiprocessing import shared_memory
try: shared_memory.SharedMemory("left-by-a-learner", create=True, size=10)
except OSError: pass""")


def attack_found_by_the_next_one(work: Any) -> None:
    """Looks for what the one before may have left: keys, shared memory, files."""
    work.add("""import ctypes, glob, socket
libc = ctypes.CDLL(None, use_errno=True)
found = [libc.shmget(0x5EED, 4096, 0) >= 0, libc.msgget(0x5EED, 0) >= 0, bool(glob.glob("/*/left-*"))]
found += [libc.syscall(250, 10, ring, b"user", b"left-by-a-learner", 0) >= 0 for ring in (-1, -2, -3, -4, -5)]
try: socket.socket(socket.AF_UNIX).connect("\\0left-by-a-learner"); found.append(True)
except OSError: pass
print("found", any(found), "end")""")


def test_nothing_reaches_the_next_submission(graded: Any) -> None:
    assert "found False end" in graded.shown("found_by_the_next_one")


def attack_the_clock_and_the_host(work: Any) -> None:
    """Sets the clock, the host's name, priorities, the kernel's settings and the CPU's affinity of others."""
    work.add("""import ctypes, os, time, socket
for f in (lambda: time.clock_settime(0, 0), lambda: socket.sethostname("left-by-a-learner"),
          lambda: os.setpriority(0, 1, 19), lambda: os.sched_setaffinity(os.getppid(), {0}), lambda: os.nice(19),
          lambda: open("/proc/sys/kernel/core_pattern", "w").write("|/bin/sh"), lambda: os.setuid(0),
          lambda: os.mknod("disk", 0o60666, os.makedev(8, 0)), lambda: os.chmod("/usr/bin", 0o777)):
    try: f()
    except OSError: pass""")


def test_attack(judged: Callable[[str], None], attack: str) -> None:
    judged(attack)


def test_neighbours_and_the_machine_are_unharmed(unharmed: Callable[[], None]) -> None:
    unharmed()
