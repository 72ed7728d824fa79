"""Landlock: a second wall around the files, which holds where a mount should not (Linux 5.13 and later).

The root that :mod:`autograder.sandbox.isolation` builds shows nothing else and lets nothing else be written; this
says the same once more, by another part of the kernel. It is defence in depth: where the kernel lacks it, grading
goes on without.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable
from contextlib import suppress

from autograder.sandbox import kernel

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
# What a ruleset can speak of, by the version of the kernel's interface that it came with.
FILE_RIGHTS = {1: (1 << 13) - 1, 2: 1 << 13, 3: TRUNCATE, 5: IOCTL_DEV}
TCP = {4: 0b11}  # bind, connect
SCOPES = {6: 0b11}  # abstract sockets and signals that lead out
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV  # the kernel refuses the others for a file
READ = EXECUTE | READ_FILE | READ_DIR
CREATE_RULESET_VERSION, RULE_PATH_BENEATH = 1, 1


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("tcp", ctypes.c_uint64), ("scopes", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("rights", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def abi() -> int:
    """The version of the kernel's Landlock interface; 0 where it has none, or has it switched off."""
    try:
        return kernel.syscall("landlock_create_ruleset", None, 0, CREATE_RULESET_VERSION)
    except OSError:
        return 0


def restrict(readable: Iterable[str], writable: Iterable[str], devices: Iterable[str]) -> int:
    """Lets this process, and what it starts, read below these paths and write below those, and no more.

    Of the root folder the names in it can be listed. Gives the version of the interface that was used, 0 for none.
    Needs no_new_privs. Raises OSError where the kernel has Landlock and refuses.
    """
    if not (version := abi()):
        return 0
    everything = _known(FILE_RIGHTS, version)
    asked = _Ruleset(everything, _known(TCP, version), _known(SCOPES, version))
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = kernel.syscall("landlock_create_ruleset", ctypes.byref(asked), size, 0)
    try:
        _allow(ruleset, "/", READ_DIR)
        for path in readable:
            _allow(ruleset, path, READ)
        for path in devices:
            _allow(ruleset, path, READ_FILE | WRITE_FILE)
        for path in writable:
            _allow(ruleset, path, everything & ~IOCTL_DEV)
        kernel.syscall("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def _known(rights: dict[int, int], version: int) -> int:
    return sum(bits for since, bits in rights.items() if since <= version)


def _allow(ruleset: int, path: str, rights: int) -> None:
    with suppress(FileNotFoundError):  # what is not there needs no leave
        number = os.open(path, os.O_PATH)
        try:
            kind = os.fstat(number).st_mode
            rule = _PathBeneath(rights if stat.S_ISDIR(kind) else rights & OF_FILES, number)
            kernel.syscall("landlock_add_rule", ruleset, RULE_PATH_BENEATH, ctypes.byref(rule), 0)
        finally:
            os.close(number)
