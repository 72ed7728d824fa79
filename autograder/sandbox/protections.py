"""What this machine has to shut a learner's code in with, one protection at a time: tried, not guessed."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from autograder.limits import Limits
from autograder.sandbox import isolation, kernel, landlock, seccomp

PR_GET_NO_NEW_PRIVS = 39


@dataclass(frozen=True)
class Protection:
    """One wall, whether it stands on this machine, and what its lack means and asks for.

    Where one that is ``required`` does not stand, code is not shut in and is not graded so; the others are defence
    in depth.
    """

    name: str
    there: bool
    required: bool
    detail: str = ""
    without: str = ""
    remedy: str = ""


_NAMESPACES = (
    ("user namespace", isolation.CLONE_NEWUSER, "its rights would be weighed as the machine's own"),
    ("mount namespace", isolation.CLONE_NEWNS, "it would see every file"),
    ("PID namespace", isolation.CLONE_NEWPID, "it would see other processes, and leave some behind"),
    ("network namespace", isolation.CLONE_NEWNET, "it would reach the network"),
    ("IPC namespace", isolation.CLONE_NEWIPC, "it would share memory and queues with other processes"),
    ("UTS namespace", isolation.CLONE_NEWUTS, "it would know the name of the machine"),
)
_HAS_LANDLOCK = (
    "Linux 5.13 or later, with landlock among the security modules that start (lsm= on the kernel's command line)."
)


def protections() -> list[Protection]:
    """Every protection, in the order in which they are put up."""
    if sys.platform != "linux":
        nothing = f"this is {platform.system()}"
        linux = "Grade on Linux: a virtual machine or a container of it will do."
        names = [name for name, _, _ in _NAMESPACES] + ["root of its own", "no_new_privs", "seccomp filter"]
        return [Protection(name, False, True, nothing, "code is not shut in", linux) for name in names]
    said = isolation.tried(_look)
    try:
        seen, refused = json.loads(said), ""
    except ValueError:
        seen, refused = {}, said.decode(errors="replace")
    root = os.getuid() == 0
    found = []
    for name, flag, without in _NAMESPACES:
        error = _in_a_child(lambda flag=flag: _alone(flag | (0 if root else isolation.CLONE_NEWUSER)))  # type: ignore[misc]
        # Root does without a user namespace: it becomes a user whom nobody else is.
        required = not (root and flag == isolation.CLONE_NEWUSER)
        found.append(Protection(name, not error, required, error, without, isolation.remedy(error)))

    def inside(name: str, there: bool, detail: str, without: str, *, required: bool = True, remedy: str = "") -> None:
        detail = detail if seen else refused
        found.append(Protection(name, there, required, detail, without, remedy or isolation.remedy(refused)))

    outside = "it would see, and might change, what is not its own"
    inside("root of its own", bool(seen), "read-only, but for the scratch folder", outside)
    inside("no_new_privs", seen.get("no_new_privs") == 1, "", "programs with setuid would lend it their rights")
    error = _in_a_child(_refused_by_seccomp)
    without = "the way to parts of the kernel where holes are found would be open"
    found.append(Protection("seccomp filter", not error, True, error, without, isolation.remedy("seccomp")))
    inside("capabilities dropped", seen.get("rights") == 0, "all of them", "it could undo the other protections")
    uid = f"{seen.get('uid')} within"
    inside("user of its own", seen.get("uid") not in (0, None), uid, "the kernel spares root some limits and checks")
    held = seen.get("bounded") is True
    inside("limits", held, "processor time, memory, processes, files", "it could use up the machine")
    if counted := isolation.shares_count_of_processes():
        share = "the bound on processes is for all that this user runs, so sandboxes can use up each other's share"
        found.append(
            Protection("process limit of its own", False, False, counted, share, "Linux 5.14, or run as root.")
        )
    error = _in_a_child(_refused_by_landlock)
    version = f"ABI {landlock.abi()}"
    without = "only mounts keep it from files, with no second wall behind them"
    found.append(Protection("Landlock", not error, False, error or version, without, _HAS_LANDLOCK))
    return [replace(one, remedy="") if one.there else one for one in found]


def _look() -> bytes:
    """What holds of a shut-in process, seen by itself."""
    import resource

    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    rights = (ctypes.c_uint32 * 6)()
    kernel.call("capget", header, rights)
    limits = Limits()
    bounds = {
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_CPU: limits.cpu_seconds,
        resource.RLIMIT_FSIZE: limits.file_mib * 2**20,
    }
    bounded = all(resource.getrlimit(what)[0] == most for what, most in bounds.items())
    bounded &= resource.RLIM_INFINITY not in (*resource.getrlimit(resource.RLIMIT_AS), *resource.getrlimit(7))
    said = {"no_new_privs": kernel.prctl(PR_GET_NO_NEW_PRIVS), "rights": sum(rights), "uid": os.getuid()}
    return json.dumps(said | {"bounded": bounded}).encode()


def _in_a_child(do: Callable[[], None]) -> str:
    """Runs ``do`` in a fork of its own, which it may change; gives what went wrong, or nothing."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            do()
        except BaseException as error:
            os.write(writer, str(error.strerror if isinstance(error, OSError) else error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        said = answer.read().decode(errors="replace")
    os.waitpid(child, 0)
    return said


def _alone(namespaces: int) -> None:
    kernel.call("unshare", namespaces)


def _refused_by_seccomp() -> None:
    kernel.prctl(isolation.PR_SET_NO_NEW_PRIVS, 1)
    seccomp.install()
    with suppress(PermissionError):
        kernel.call("setns", -1, 0)  # else a bad descriptor
        raise OSError("seccomp: the filter lets pass what it should refuse")


def _refused_by_landlock() -> None:
    kernel.prctl(isolation.PR_SET_NO_NEW_PRIVS, 1)
    if not landlock.restrict([], [], []):
        raise OSError("the kernel has none, or has it switched off")
    with suppress(PermissionError):
        os.close(os.open("/etc/ld.so.cache", os.O_RDONLY))
        raise OSError("it lets pass what it should refuse")
