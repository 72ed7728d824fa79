"""A seccomp filter: the kernel's calls that a learner's code never needs are refused.

It lists what is refused, not what is allowed. Torch, numpy, a libc and whatever library a course brings call what they
please, and more with each release; a list of what they may call breaks honest work on the next machine, and then is
widened until it holds little. The filter is the second wall: namespaces, a root of its own and no rights are the
first, so what has to be closed is the way around them (new namespaces, mounts, other processes), memory that no limit
counts, and the parts of the kernel where its holes have been found. A call newer than this list does not exist.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import platform
import socket
import struct
from dataclasses import dataclass

from autograder.sandbox import kernel

MACHINES = {"x86_64": 0, "aarch64": 1}  # the column of the tables below
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32 = 0x40000000  # the bit of x86_64's calls with 32-bit pointers
NEWEST = 466  # removexattrat, Linux 6.13; numbers from 424 on are the same everywhere

# (number on x86_64, on aarch64); None where the machine has no such call.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    # namespaces, mounts and roots
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "statmount": (457, 457),
    "listmount": (458, 458),
    # the memory and descriptors of other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # programs in the kernel, its keys, its modules, its clock
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "userfaultfd": (323, 282),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "syslog": (103, 116),
    "acct": (163, 89),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "vhangup": (153, 58),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
    "uselib": (134, None),
    "ustat": (136, None),
    "sysfs": (139, None),
    "_sysctl": (156, None),
    # files by number instead of by name, and an eye on all files
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    # memory that outlives the process that made it, and that no limit counts
    "shmget": (29, 194),
    "shmat": (30, 196),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
}

# What libraries try and do without: to them it looks like an older kernel.
ABSENT: dict[str, tuple[int | None, int | None]] = {
    "clone3": (435, 435),  # its flags lie behind a pointer, where no filter can look; libc falls back to clone
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "memfd_secret": (447, 447),
}

# CLONE_NEW*: cgroup, UTS, IPC, user, PID and network namespaces, and mounts.
NEW_NAMESPACES = 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000 | 0x00020000
TIOCSTI, TIOCLINUX = 0x5412, 0x541C  # write into a terminal's input
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Rule:
    """Refuses a call by an argument's low 32 bits, which are all that the kernel looks at in these."""

    numbers: tuple[int, int]
    argument: int
    test: int  # BPF_JEQ or BPF_JSET
    value: int
    when: bool  # refuse where the test says so
    error: int


BPF_LOAD, BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET, BPF_RETURN = 0x20, 0x15, 0x25, 0x35, 0x45, 0x06
ALLOW, ERRNO, KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000

# Only AF_UNIX. The network namespace has nothing up, so that no other socket leads anywhere; but a program that may
# open one can still make the kernel load and run its rarer protocols, where holes are found every year. Libraries
# see what they see on a machine without IPv4 or IPv6, and say so.
RULES = (
    Rule((56, 220), 0, BPF_JSET, NEW_NAMESPACES, True, errno.EPERM),  # clone
    Rule((41, 198), 0, BPF_JEQ, int(getattr(socket, "AF_UNIX", 1)), False, errno.EAFNOSUPPORT),  # socket
    Rule((53, 199), 0, BPF_JEQ, int(getattr(socket, "AF_UNIX", 1)), False, errno.EAFNOSUPPORT),  # socketpair
    Rule((16, 29), 1, BPF_JEQ, TIOCSTI, True, errno.EPERM),  # ioctl
    Rule((16, 29), 1, BPF_JEQ, TIOCLINUX, True, errno.EPERM),
    Rule((135, 92), 0, BPF_JEQ, 0xFFFFFFFF, False, errno.EPERM),  # personality: it may be asked for, not changed
    Rule((157, 167), 0, BPF_JEQ, PR_SET_PDEATHSIG, True, errno.EPERM),  # prctl: the grader's end is the sandbox's
)

PR_GET_SECCOMP = 21
SET_MODE_FILTER, FLAG_SPEC_ALLOW = 1, 4


@functools.cache
def program(machine: str) -> bytes:
    """The filter as classic BPF. Raises OSError for a machine whose calls are not known here."""
    if machine not in MACHINES:
        raise OSError(f"seccomp: the kernel's calls on {machine} are not known here; on x86_64 and aarch64 they are")
    column = MACHINES[machine]
    code = [
        _step(BPF_LOAD, 4),  # the machine that the call's number is meant for: 32-bit calls have other numbers
        _step(BPF_JEQ, AUDIT_ARCH[machine], yes=1),
        _step(BPF_RETURN, KILL_PROCESS),
        _step(BPF_LOAD, 0),  # the number
    ]
    if machine == "x86_64":
        code += [_step(BPF_JGE, X32, no=1), _refuse(errno.EPERM)]
    code += [_step(BPF_JGT, NEWEST, no=1), _refuse(errno.ENOSYS)]
    for table, error in ((REFUSED, errno.EPERM), (ABSENT, errno.ENOSYS)):
        for numbers in table.values():
            if (number := numbers[column]) is not None:
                code += [_step(BPF_JEQ, number, no=1), _refuse(error)]
    for rule in RULES:
        test = _step(rule.test, rule.value, no=1) if rule.when else _step(rule.test, rule.value, yes=1)
        code += [_step(BPF_JEQ, rule.numbers[column], no=4), _step(BPF_LOAD, 16 + 8 * rule.argument)]
        code += [test, _refuse(rule.error), _step(BPF_LOAD, 0)]
    return b"".join([*code, _step(BPF_RETURN, ALLOW)])


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def _refuse(error: int) -> bytes:
    return _step(BPF_RETURN, ERRNO | error)


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("code", ctypes.c_char_p)]


def install() -> None:
    """Puts the filter over this process, for good, and over all that it starts.

    Needs no_new_privs. Raises OSError where the kernel has no seccomp, or refuses.
    """
    code = program(platform.machine())
    asked = _Program(len(code) // 8, code)
    try:
        # Kernels before 5.16 would otherwise slow down every branch of the learner's code, to guard a process from
        # itself; later ones do as is asked here.
        kernel.syscall("seccomp", SET_MODE_FILTER, FLAG_SPEC_ALLOW, ctypes.byref(asked))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        kernel.syscall("seccomp", SET_MODE_FILTER, 0, ctypes.byref(asked))
    if kernel.prctl(PR_GET_SECCOMP) != 2:
        raise OSError("seccomp: the kernel took the filter and does not use it")
