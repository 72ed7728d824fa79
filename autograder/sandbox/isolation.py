"""Shuts a process in: its own namespaces, a root of its own with nothing in it but libraries, and limits.

The kernel's own calls are used, since what is shut in is a fork of a warm process: a program that starts
another one (bubblewrap) would lose the imports that the fork is there to keep.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import platform
import shutil
import signal
import socket
import stat
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from autograder.limits import Limits, bound_memory

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
NAMESPACES = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_NOATIME, MS_NODIRATIME, MS_BIND, MS_REC = 32, 1024, 2048, 4096, 16384
MS_PRIVATE, MS_RELATIME = 1 << 18, 1 << 21
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_KEPT_FLAGS = (
    {os.ST_NOSUID: MS_NOSUID, os.ST_NODEV: MS_NODEV, os.ST_NOEXEC: MS_NOEXEC} if sys.platform == "linux" else {}
)

SCRATCH = "/scratch"
DEVICES = ("null", "zero", "full", "random", "urandom")
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime", "/etc/fonts", "/etc/mime.types")

NOBODY = 0x70000000  # and a process id: a user whom nobody else is


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(name: str, *args: object) -> None:
    if getattr(_libc(), name)(*args) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    encoded = kind.encode() if kind else None
    _call("mount", source.encode(), target.encode(), encoded, ctypes.c_ulong(flags), data.encode())


@dataclass(frozen=True)
class Visible:
    """What shut-in code has before it: a copy of ``files``, and ``readable`` paths without the ``hidden`` ones."""

    files: Path
    readable: tuple[str, ...]
    hidden: tuple[str, ...] = ()


def isolate(visible: Visible, limits: Limits, channel: int, born: Callable[[int], None]) -> None:
    """Returns in a shut-in child of this process, in a scratch folder with copies of the visible files.

    The process that called waits for the child and ends with it. ``born`` is told the child's process id as the
    world outside knows it. Raises OSError where the kernel refuses.
    """
    user = _leave()
    outer = os.getpid()
    ready, go = os.pipe()
    if child := os.fork():
        born(child)
        os.write(go, b"1")
        os.closerange(3, 1 << 12)
        os.waitpid(child, 0)
        os._exit(0)
    die_with_parent()
    os.read(ready, 1)
    if os.getppid() not in (0, outer):
        os._exit(1)
    _new_root(visible, limits, user)
    _give_up_rights(user)
    die_with_parent()  # a change of user has undone it
    _bound(limits)
    keep_only(channel)


def _leave() -> int | None:
    """Leaves the namespaces of the world outside. Gives the user to become later, or None to stay who one is.

    Root needs no user namespace, and must not stay root, whom the kernel spares some limits and some checks: it
    becomes a user whom nobody else is. An ordinary user needs one, and is himself within it.
    """
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        with contextlib.suppress(PermissionError):
            _call("unshare", NAMESPACES & ~CLONE_NEWUSER)
            return NOBODY + os.getpid()
    _call("unshare", NAMESPACES)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"1000 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"1000 {gid} 1")
    return None


def die_with_parent() -> None:
    """Ends this process when the one that forked it ends, where the system can promise that."""
    if sys.platform == "linux":
        _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def keep_only(channel: int) -> None:
    """Closes every descriptor but ``channel``; standard input, output and error lead nowhere."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.closerange(3, channel)
    os.closerange(channel + 1, 1 << 16)


def readable() -> list[str]:
    """What learners' code may read: Python, its libraries, and the system's."""
    paths = [sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    paths += [sys.prefix, sys.base_prefix, *SYSTEM]
    # A library that is installed from a folder (pip install -e) is readable alone, not what lies beside it.
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if "." not in name and file and name != "autograder" and Path(file).name == "__init__.py":
            paths.append(str(Path(file).parent))
    found = [path for path in paths if os.path.exists(path)]
    # Links among them, such as /lib on a merged system, are made anew in the new root.
    return sorted({os.path.realpath(path) for path in found} | {path for path in found if os.path.islink(path)})


def layers(readable: Iterable[str], hidden: Iterable[str]) -> dict[str, bool]:
    """The paths to show (True) and to hide (False), outer ones first, without those that change nothing."""
    wanted = dict.fromkeys(readable, True) | dict.fromkeys(map(os.path.realpath, hidden), False)
    kept: dict[str, bool] = {}
    for path in sorted(wanted):  # a folder comes before what is in it
        around = [outer for outer in kept if path.startswith(outer.rstrip("/") + "/")]
        if wanted[path] != (kept[max(around, key=len)] if around else False):
            kept[path] = wanted[path]
    return kept


def _new_root(visible: Visible, limits: Limits, user: int | None) -> None:
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    grader = str(Path(__file__).resolve().parents[1])
    order = layers(visible.readable, [*visible.hidden, grader])
    # Opened before the first mount, which may hide their paths.
    opened = {path: os.open(path, os.O_PATH) for path, shown in order.items() if shown or os.path.exists(path)}
    devices = {f"/dev/{name}": os.open(f"/dev/{name}", os.O_PATH) for name in DEVICES}
    shipped = os.open(visible.files, os.O_RDONLY | os.O_DIRECTORY)
    root = "/tmp"
    _mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=16m,mode=755")
    for path, number in devices.items():
        _bind(number, root + path)
    covers = []
    for path, number in opened.items():
        here = root + path
        if os.path.islink(path) and order[path]:
            Path(here).parent.mkdir(parents=True, exist_ok=True)
            os.symlink(os.readlink(path), here)
        elif order[path]:
            _bind(number, here)
            _make_readonly(here)
        elif stat.S_ISDIR(os.stat(f"/proc/self/fd/{number}").st_mode):
            _mount("tmpfs", here, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=755")
            covers.append(here)
        else:
            _bind(devices["/dev/null"], here)
    for here in covers:  # now that what is shown within them has its place
        _make_readonly(here)
    for folder in ("/proc", SCRATCH):
        Path(root + folder).mkdir(parents=True, exist_ok=True)
    owner = "" if user is None else f",uid={user},gid={user}"
    size = f"size={int(limits.scratch_mib)}m,mode=755{owner}"
    _mount("tmpfs", root + SCRATCH, "tmpfs", MS_NOSUID | MS_NODEV, size)
    with contextlib.suppress(OSError):  # in a container whose /proc is masked there is none inside either
        _mount("proc", root + "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    shutil.copytree(f"/proc/self/fd/{shipped}", root + SCRATCH, dirs_exist_ok=True, ignore_dangling_symlinks=True)
    if user is not None:
        for folder, _, files in os.walk(root + SCRATCH):
            for path in (folder, *(os.path.join(folder, name) for name in files)):
                os.chown(path, user, user)
    for link, target in (("/dev/fd", "/proc/self/fd"), ("/dev/shm", SCRATCH), ("/tmp", SCRATCH)):
        if not os.path.lexists(root + link):  # libraries may lie under /tmp; TMPDIR says where to write all the same
            os.symlink(target, root + link)
    os.chdir(root)
    if platform.machine() not in PIVOT_ROOT:
        raise OSError(f"pivot_root is not known for {platform.machine()}")
    _call("syscall", PIVOT_ROOT[platform.machine()], b".", b".")
    _call("umount2", b".", MNT_DETACH)
    _mount("none", "/", None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)
    os.chdir(SCRATCH)
    os.environ.update(HOME=SCRATCH, TMPDIR=SCRATCH, MPLCONFIGDIR=f"{SCRATCH}/.matplotlib", USER="learner")
    socket.sethostname("sandbox")


def _bind(number: int, here: str) -> None:
    """Shows at ``here`` what is open under ``number``."""
    source = f"/proc/self/fd/{number}"
    if stat.S_ISDIR(os.stat(source).st_mode):
        Path(here).mkdir(parents=True, exist_ok=True)
    elif not os.path.exists(here):
        Path(here).parent.mkdir(parents=True, exist_ok=True)
        Path(here).touch()
    _mount(source, here, None, MS_BIND | MS_REC)


def _make_readonly(here: str) -> None:
    flags = os.statvfs(here).f_flag
    kept = sum(mount for bit, mount in _KEPT_FLAGS.items() if flags & bit)
    kept |= MS_RELATIME if flags & os.ST_RELATIME else 0
    kept |= (MS_NOATIME if flags & os.ST_NOATIME else 0) | (MS_NODIRATIME if flags & os.ST_NODIRATIME else 0)
    _mount("none", here, None, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | kept)


def _bound(limits: Limits) -> None:
    import resource

    bound_memory(limits)
    for what, most in (
        (resource.RLIMIT_NPROC, int(limits.processes)),
        (resource.RLIMIT_NOFILE, int(limits.open_files)),
        (resource.RLIMIT_FSIZE, int(limits.file_mib * 2**20)),
        (resource.RLIMIT_CPU, int(limits.submission_seconds) + 1),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def _give_up_rights(user: int | None) -> None:
    for capability in range(64):
        if _libc().prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    _call("capset", header, (ctypes.c_uint32 * 6)())
    _call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)


def why_not() -> str | None:
    """Why this machine cannot shut a process in, as a sentence; None where it can. It is tried, not guessed."""
    if sys.platform != "linux":
        return f"Isolation needs Linux's namespaces, and this is {platform.system()}."
    reader, writer = os.pipe()
    with tempfile.TemporaryDirectory() as empty:
        if (child := os.fork()) == 0:
            try:
                os.close(reader)
                isolate(Visible(Path(empty), tuple(readable())), Limits(), writer, lambda _: None)
                os.write(writer, b"ok")
            except BaseException as error:
                os.write(writer, str(error).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            said = answer.read().decode()
        os.waitpid(child, 0)
    if said == "ok":
        return None
    return (
        f"This system does not let an ordinary program make namespaces ({said}). In a container, start it with "
        "user namespaces allowed (for Docker: --security-opt seccomp=unconfined); on a machine of your own, see "
        "sysctl kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns."
    )
