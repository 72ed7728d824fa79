"""The kernel's calls that Python has no words for. A refusal is an OSError that names the call."""

from __future__ import annotations

import ctypes
import functools
import os
import platform

# Calls without a wrapper in libc, by machine; since Linux 5.0 a new call has one number everywhere.
NUMBERS = {
    "clone": {"x86_64": 56, "aarch64": 220},
    "pivot_root": {"x86_64": 155, "aarch64": 41},
    "seccomp": {"x86_64": 317, "aarch64": 277},
    "mount_setattr": dict.fromkeys(("x86_64", "aarch64"), 442),
    "landlock_create_ruleset": dict.fromkeys(("x86_64", "aarch64"), 444),
    "landlock_add_rule": dict.fromkeys(("x86_64", "aarch64"), 445),
    "landlock_restrict_self": dict.fromkeys(("x86_64", "aarch64"), 446),
}


@functools.cache
def _libc() -> ctypes.CDLL:
    # It keeps the interpreter's lock: a call that forks must come back with it held, in both processes.
    libc = ctypes.PyDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


def call(name: str, *args: object) -> int:
    """Calls a function of libc; integers go as C longs, bytes as C strings."""
    plain = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    result: int = getattr(_libc(), name)(*plain)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def syscall(name: str, *args: object) -> int:
    """Calls the kernel by number."""
    machine = platform.machine()
    if machine not in NUMBERS[name]:
        raise OSError(f"{name}: its number on {machine} is not known here; x86_64 and aarch64 are")
    try:
        return call("syscall", NUMBERS[name][machine], *args)
    except OSError as error:
        raise OSError(error.errno, f"{name}: {os.strerror(error.errno or 0)}") from None


def prctl(option: int, *args: object) -> int:
    return call("prctl", option, *args, *[0] * (4 - len(args)))
