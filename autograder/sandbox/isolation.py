"""Shuts a process in: its own namespaces, a root of its own with nothing in it but libraries, and limits.

The kernel's own calls are used, since what is shut in is a fork of a warm process: a program that starts
another one (bubblewrap) would lose the imports that the fork is there to keep.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import shutil
import signal
import socket
import stat
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from autograder.limits import Limits

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

_libc = ctypes.CDLL(None, use_errno=True)


class CannotIsolate(Exception):
    """This machine does not let a process be shut in; the message says what is missing."""


def _call(name: str, *args: object) -> None:
    if getattr(_libc, name)(*args) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    encoded = kind.encode() if kind else None
    _call("mount", source.encode(), target.encode(), encoded, ctypes.c_ulong(flags), data.encode())


def isolate(files: Path, limits: Limits, channel: int, born: Callable[[int], None]) -> None:
    """Returns in a shut-in child of this process, in a scratch folder with copies of ``files``.

    The process that called waits for the child and ends with it. ``born`` is told the child's process id as the
    world outside knows it. Raises OSError where the kernel refuses.
    """
    uid, gid = os.getuid(), os.getgid()
    _call("unshare", NAMESPACES)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"1000 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"1000 {gid} 1")
    outer = os.getpid()
    ready, go = os.pipe()
    if child := os.fork():
        born(child)
        os.write(go, b"1")
        os.closerange(3, 1 << 12)
        os.waitpid(child, 0)
        os._exit(0)
    _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.read(ready, 1)
    if os.getppid() not in (0, outer):
        os._exit(1)
    _new_root(files, limits)
    _bound(limits)
    _give_up_rights()
    keep_only(channel)


def keep_only(channel: int) -> None:
    """Closes every descriptor but ``channel``; standard input, output and error lead nowhere."""
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.closerange(3, channel)
    os.closerange(channel + 1, 1 << 16)


def _readable() -> list[str]:
    """What the learner's code may read: Python, its libraries, and the system's."""
    paths = [sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    paths += [sys.prefix, sys.base_prefix, *SYSTEM]
    # A library that is installed from a folder (pip install -e) is readable alone, not what lies beside it.
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if "." not in name and file and name != "autograder" and Path(file).name == "__init__.py":
            paths.append(str(Path(file).parent))
    kept: list[str] = []
    for path in sorted({os.path.realpath(p) for p in paths if os.path.exists(p)} | set(_links(paths))):
        if not any(path == k or path.startswith(k + "/") for k in kept):
            kept.append(path)
    return kept


def _links(paths: list[str]) -> list[str]:
    """Links among the paths, such as /lib on a merged system: they are made anew in the new root."""
    return [p for p in paths if os.path.islink(p)]


def _new_root(files: Path, limits: Limits) -> None:
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    # Opened before the first mount, which may hide their paths.
    opened = {path: os.open(path, os.O_PATH) for path in _readable()}
    devices = {f"/dev/{name}": os.open(f"/dev/{name}", os.O_PATH) for name in DEVICES}
    shipped = os.open(files, os.O_RDONLY | os.O_DIRECTORY)
    root = "/tmp"
    _mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=16m,mode=755")
    for path, number in opened.items():
        here = root + path
        if stat.S_ISLNK(os.lstat(path).st_mode):
            Path(here).parent.mkdir(parents=True, exist_ok=True)
            os.symlink(os.readlink(path), here)
            continue
        _bind(number, here, readonly=True)
    for path, number in devices.items():
        _bind(number, root + path, readonly=False)
    for folder in ("/proc", SCRATCH, "/dev/shm", "/tmp"):
        Path(root + folder).mkdir(parents=True, exist_ok=True)
    size = f"size={int(limits.scratch_mib)}m,mode=755"
    _mount("tmpfs", root + SCRATCH, "tmpfs", MS_NOSUID | MS_NODEV, size)
    with contextlib.suppress(OSError):  # in a container whose /proc is masked there is none inside either
        _mount("proc", root + "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    _copy(shipped, root + SCRATCH)
    os.symlink("/proc/self/fd", root + "/dev/fd")
    os.chdir(root)
    if platform.machine() not in PIVOT_ROOT:
        raise OSError(f"pivot_root is not known for {platform.machine()}")
    _call("syscall", PIVOT_ROOT[platform.machine()], b".", b".")
    _call("umount2", b".", MNT_DETACH)
    _mount("none", "/", None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)
    os.chdir(SCRATCH)
    os.environ.update(HOME=SCRATCH, TMPDIR=SCRATCH, MPLCONFIGDIR=f"{SCRATCH}/.matplotlib")
    socket.sethostname("sandbox")


def _bind(number: int, here: str, *, readonly: bool) -> None:
    source = f"/proc/self/fd/{number}"
    if stat.S_ISDIR(os.stat(source).st_mode):
        Path(here).mkdir(parents=True, exist_ok=True)
    else:
        Path(here).parent.mkdir(parents=True, exist_ok=True)
        Path(here).touch()
    _mount(source, here, None, MS_BIND | MS_REC)
    if readonly:
        flags = os.statvfs(here).f_flag
        kept = sum(mount for bit, mount in _KEPT_FLAGS.items() if flags & bit)
        kept |= MS_RELATIME if flags & os.ST_RELATIME else 0
        kept |= (MS_NOATIME if flags & os.ST_NOATIME else 0) | (MS_NODIRATIME if flags & os.ST_NODIRATIME else 0)
        _mount("none", here, None, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | kept)


def _copy(folder: int, target: str) -> None:
    source = f"/proc/self/fd/{folder}"
    shutil.copytree(source, target, dirs_exist_ok=True, symlinks=False, ignore_dangling_symlinks=True)


def _bound(limits: Limits) -> None:
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() if _has_proc() else 2**40
    for what, most in (
        (resource.RLIMIT_AS, now + int(limits.memory_mib * 2**20)),
        (resource.RLIMIT_NPROC, int(limits.processes)),
        (resource.RLIMIT_NOFILE, int(limits.open_files)),
        (resource.RLIMIT_FSIZE, int(limits.file_mib * 2**20)),
        (resource.RLIMIT_CPU, int(limits.submission_seconds) + 1),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def _has_proc() -> bool:
    return os.path.exists("/proc/self/statm")


def _give_up_rights() -> None:
    for capability in range(64):
        if _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    _call("capset", header, (ctypes.c_uint32 * 6)())
    _call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)


def why_not() -> str | None:
    """Why this machine cannot shut a process in, as a sentence; None where it can. It is tried, not guessed."""
    if sys.platform != "linux":
        return f"Isolation needs Linux's namespaces, and this is {platform.system()}."
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.close(reader)
            isolate(
                Path("/usr/share/misc" if os.path.isdir("/usr/share/misc") else "/"), Limits(), writer, lambda _: None
            )
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
