"""Shuts a process in: its own namespaces, a root of its own with nothing in it but libraries, limits, and no rights.

The kernel's own calls are used and not bubblewrap, by measurement: they add 8 to 10 ms of a core to a fork of a warm
process that holds torch (itself 19 ms, its end included), while what bubblewrap starts is a new program, which imports
torch again for 7 s. A clone straight into the namespaces, instead of an unshare and a second fork, made of 50 ms
those 8.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import math
import os
import platform
import re
import shutil
import signal
import stat
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from autograder.limits import Limits, bound_memory
from autograder.sandbox import kernel, landlock, seccomp

with contextlib.suppress(ImportError):  # it is Unix's
    import resource

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
NAMESPACES = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID = 0x01000000, 0x00200000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_NOATIME, MS_NODIRATIME, MS_BIND, MS_REC = 32, 1024, 2048, 4096, 16384
MS_PRIVATE, MS_RELATIME = 1 << 18, 1 << 21
MNT_DETACH = 2
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_GET_TID_ADDRESS = 1, 4, 24, 38, 40

SCRATCH = "/scratch"
DEVICES = ("null", "zero", "full", "random", "urandom")
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime", "/etc/fonts", "/etc/mime.types")

NOBODY = 0x70000000  # and a process id: a user whom nobody else is
NOBODY_IN_A_CONTAINER = 60000  # where there are no such numbers: none of a distribution's own users


def _mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    kernel.call("mount", source.encode(), target.encode(), kind.encode() if kind else None, flags, data.encode())


@dataclass(frozen=True)
class Visible:
    """What shut-in code has before it: a copy of ``files``, and ``readable`` paths without the ``hidden`` ones."""

    files: Path
    readable: tuple[str, ...]
    hidden: tuple[str, ...] = ()


def prepare(readable: tuple[str, ...], hidden: tuple[str, ...]) -> None:
    """Works out once, in the process that forks, what is the same for all that are shut in with these paths."""
    _order(readable, hidden)
    _users()
    seccomp.program(platform.machine())


def fork() -> int:
    """Forks this process, which must have one thread only, into namespaces of their own; 0 in the child.

    It is one fork and not two (unshare, then fork), since a fork of a process that holds torch is what costs most.
    The child is process 1 there, and all that it starts ends with it; :func:`isolate` shuts it in. Raises OSError
    where the kernel refuses.
    """
    uid, gid = os.getuid(), os.getgid()
    if uid == 0 and _somebody_else(os.getpid()) is not None:
        with contextlib.suppress(PermissionError):  # root in a container may lack the right
            return _clone(NAMESPACES & ~CLONE_NEWUSER)
    if (child := _clone(NAMESPACES)) == 0:
        _map_user(os.open("/proc/self", os.O_PATH | os.O_DIRECTORY), uid, gid)
    return child


def _clone(namespaces: int) -> int:
    """What os.fork() does, with flags that it cannot be given."""
    interpreter = ctypes.pythonapi
    thread = ctypes.c_void_p()
    flags = namespaces | signal.SIGCHLD
    with contextlib.suppress(OSError):  # where libc keeps the number of its thread, which the child's differs from
        kernel.prctl(PR_GET_TID_ADDRESS, ctypes.byref(thread))
        flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID
    order = (thread, None) if platform.machine() == "x86_64" else (None, thread)
    interpreter.PyOS_BeforeFork()
    try:
        child = kernel.syscall("clone", flags, None, None, *order)
    except OSError:
        interpreter.PyOS_AfterFork_Parent()
        raise
    if child:
        interpreter.PyOS_AfterFork_Parent()
    else:
        interpreter.PyOS_AfterFork_Child()
    return child


def _map_user(process: int, uid: int, gid: int) -> None:
    """Names the user who is ``uid`` outside in a new user namespace; ``process`` is this one's folder in /proc."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"1000 {uid} 1"), ("gid_map", f"1000 {gid} 1")):
        with open(os.open(name, os.O_WRONLY, dir_fd=process), "w") as file:
            file.write(text)


def isolate(visible: Visible, limits: Limits, channel: int, born: int) -> None:
    """Shuts in this process, which :func:`fork` made; it ends up in a scratch folder with copies of the files.

    Then writes to the descriptor ``born`` its process id, as the world outside knows it, and keeps no descriptor but
    ``channel``. Raises OSError where the kernel refuses.
    """
    number = int(os.readlink("/proc/self"))
    os.setsid()  # a kernel that shares out the processors by session gives a crowd of processes here one share
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # where memory runs out, this is what ends
    user = _somebody_else(number) if os.getuid() == 0 else None
    outer = os.open("/proc/self", os.O_PATH | os.O_DIRECTORY)
    processes = int(limits.processes) + (_running() if user is None and shares_count_of_processes() else 0)
    shown = _new_root(visible, limits, user)
    _give_up_rights(user, outer)
    die_with_parent()  # a change of user has undone it
    _bound(limits, processes)
    landlock.restrict([*shown, "/proc"], [SCRATCH], [f"/dev/{name}" for name in DEVICES])
    seccomp.install()
    os.write(born, f"{number}\n".encode())
    keep_only(channel)


def _somebody_else(number: int) -> int | None:
    """The user that root becomes: one whom nobody else is. None where a container gives root no other.

    Root must not stay root, whom the kernel spares some limits and some checks.
    """
    for user in (NOBODY + number, NOBODY_IN_A_CONTAINER + number % 4096):
        if any(user in known for known in _users()):
            return user
    return None


@functools.cache
def _users() -> list[range]:
    """The users that there are in the user namespace of this process, which all its forks are made in."""
    lines = Path("/proc/self/uid_map").read_text().splitlines()
    return [range(int(first), int(first) + int(count)) for first, _, count in map(str.split, lines)]


def die_with_parent() -> None:
    """Ends this process when the one that forked it ends, where the system can promise that."""
    if sys.platform == "linux":
        kernel.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


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


@functools.cache
def _order(readable: tuple[str, ...], hidden: tuple[str, ...]) -> dict[str, bool]:
    """:func:`layers`, with the grader's own folder among the hidden ones."""
    return layers(readable, [*hidden, str(Path(__file__).resolve().parents[1])])


def _new_root(visible: Visible, limits: Limits, user: int | None) -> list[str]:
    """Changes to a root of its own, and into the scratch folder there. Gives the paths that it shows, to be read."""
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    order = _order(visible.readable, visible.hidden)
    # Opened before the first mount, which may hide their paths.
    opened = {path: os.open(path, os.O_PATH) for path, shown in order.items() if shown or os.path.exists(path)}
    devices = {f"/dev/{name}": os.open(f"/dev/{name}", os.O_PATH) for name in DEVICES}
    shipped = os.open(visible.files, os.O_RDONLY | os.O_DIRECTORY)
    root = "/tmp"
    _mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=16m,mode=755")
    for path, number in opened.items():
        here = root + path
        if os.path.islink(path) and order[path]:
            _make_folder(os.path.dirname(here))
            os.symlink(os.readlink(path), here)
        elif order[path]:
            _bind(number, here)
        elif stat.S_ISDIR(os.stat(f"/proc/self/fd/{number}").st_mode):
            _mount("tmpfs", here, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=755")
        else:
            empty = os.open(root + "/.hidden", os.O_CREAT | os.O_RDONLY, 0o444)
            _bind(empty, here)
            os.close(empty)
    for folder in ("/proc", "/dev", SCRATCH):
        _make_folder(root + folder)
    for path in devices:
        os.mknod(root + path)
    for link, target in (("/dev/fd", "/proc/self/fd"), ("/dev/shm", SCRATCH), ("/tmp", SCRATCH)):
        if not os.path.lexists(root + link):  # libraries may lie under /tmp; TMPDIR says where to write all the same
            os.symlink(target, root + link)
    _make_readonly(root)
    for path, number in devices.items():  # after that: a device on such a mount is none
        _bind(number, root + path)
    owner = "" if user is None else f",uid={user},gid={user}"
    size = f"size={int(limits.scratch_mib * 2**20)},nr_inodes={int(limits.scratch_files)},mode=700{owner}"
    _mount("tmpfs", root + SCRATCH, "tmpfs", MS_NOSUID | MS_NODEV, size)
    with contextlib.suppress(OSError):  # in a container whose /proc is masked there is none inside either
        _mount("proc", root + "/proc", "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
    _fill(root + SCRATCH, shipped, user, limits)
    os.chdir(root)
    kernel.syscall("pivot_root", b".", b".")
    kernel.call("umount2", b".", MNT_DETACH)
    os.chdir(SCRATCH)
    os.environ.update(HOME=SCRATCH, TMPDIR=SCRATCH, MPLCONFIGDIR=f"{SCRATCH}/.matplotlib", USER="learner")
    kernel.call("sethostname", b"sandbox", len(b"sandbox"))
    return [path for path in opened if order[path]]


def _bind(number: int, here: str) -> None:
    """Shows at ``here`` what is open under ``number``."""
    source = f"/proc/self/fd/{number}"
    if stat.S_ISDIR(os.stat(source).st_mode):
        _make_folder(here)
    elif not os.path.exists(here):
        _make_folder(os.path.dirname(here))
        os.mknod(here)
    _mount(source, here, None, MS_BIND | MS_REC)


def _make_folder(path: str) -> None:
    """What Path.mkdir(parents=True, exist_ok=True) does, in a third of the time: each sandbox makes two dozen."""
    try:
        os.mkdir(path)
    except FileExistsError:
        pass
    except FileNotFoundError:
        _make_folder(os.path.dirname(path))
        os.mkdir(path)


class _MountAttributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user_namespace")]


def _make_readonly(root: str) -> None:
    """Makes the mount at ``root`` and every mount below it read-only, without devices and without setuid."""
    wanted = _MountAttributes(MS_RDONLY | MS_NOSUID | MS_NODEV)
    try:
        size = ctypes.sizeof(wanted)
        kernel.syscall("mount_setattr", AT_FDCWD, root.encode(), AT_RECURSIVE, ctypes.byref(wanted), size)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        for mount in _mounts(root):  # a kernel before 5.12 does one mount at a time
            _make_one_readonly(mount)


def _mounts(root: str) -> list[str]:
    """The places of the mount at ``root`` and of those on it, without what they cover up."""
    found: dict[str, str] = {}
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        number, parent, _, _, place, *_ = line.split(" ")
        place = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), place)
        if place == root:
            found = {number: place}  # a later one covers an earlier one
        elif parent in found:
            found[number] = place
    return list(found.values())


def _make_one_readonly(here: str) -> None:
    kept_flags = {os.ST_NOEXEC: MS_NOEXEC, os.ST_RELATIME: MS_RELATIME}
    kept_flags |= {os.ST_NOATIME: MS_NOATIME, os.ST_NODIRATIME: MS_NODIRATIME}
    flags = os.statvfs(here).f_flag
    kept = sum(mount for bit, mount in kept_flags.items() if flags & bit)
    _mount("none", here, None, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | kept)


def _fill(scratch: str, shipped: int, user: int | None, limits: Limits) -> None:
    """Copies what the assignment ships into the scratch folder."""
    try:
        shutil.copytree(f"/proc/self/fd/{shipped}", scratch, dirs_exist_ok=True, ignore_dangling_symlinks=True)
    except shutil.Error as error:
        raise OSError(
            f"The files that the assignment ships cannot be copied into the scratch folder ({error.args[0][0][2]}). It "
            f"holds {limits.scratch_mib:g} MiB and {limits.scratch_files:g} files: see scratch_mib and scratch_files."
        ) from error
    if user is not None:
        for folder, _, files in os.walk(scratch):
            for path in (folder, *(os.path.join(folder, name) for name in files)):
                os.chown(path, user, user)


def shares_count_of_processes() -> str:
    """Why the kernel's count of processes would not be a sandbox's own, in a few words; nothing where it is.

    Since 5.14 a user namespace has a count of its own. Before, all that a user runs counts, the instructor's desktop
    too; who was root is a user of his own.
    """
    release = platform.release()
    if os.getuid() == 0 or tuple(map(int, re.findall(r"\d+", release)[:2])) >= (5, 14):
        return ""
    return f"Linux {release} counts by user"


def _running() -> int:
    """How many processes and threads of this user run, as far as they can be seen."""
    running = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{name}").st_uid == os.getuid():
                running += len(os.listdir(f"/proc/{name}/task"))
    return running


def _bound(limits: Limits, processes: int) -> None:
    bound_memory(limits)
    for what, most in (
        (resource.RLIMIT_NPROC, processes),
        (resource.RLIMIT_NOFILE, int(limits.open_files)),
        (resource.RLIMIT_FSIZE, int(limits.file_mib * 2**20)),
        (resource.RLIMIT_CORE, 0),
    ):
        _lower(what, most, most)
    seconds = math.ceil(limits.cpu_seconds)
    # The first of a sandbox's processes passes over the signal at the first bound. A grader that watches ends it then,
    # and can say why; the second bound is for when nobody watches.
    _lower(resource.RLIMIT_CPU, seconds, seconds + 1 + (os.cpu_count() or 1))


def _lower(what: int, soft: int, hard: int) -> None:
    """Sets a limit; a lower one, which this process was started with, stays."""
    most = resource.getrlimit(what)[1]
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(what, (soft, hard))


def _give_up_rights(user: int | None, outer: int) -> None:
    """Leaves this process without a right, and with no way to another; ``outer`` is its folder in the outer /proc."""
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        # Root needed no user namespace to come here. Where an ordinary user may have one, so has who root became.
        kernel.prctl(PR_SET_DUMPABLE, 1)
        with contextlib.suppress(OSError):
            kernel.call("unshare", CLONE_NEWUSER)
            _map_user(outer, user, user)
    for capability in range(64):
        try:
            kernel.prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            break
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    kernel.call("capset", header, (ctypes.c_uint32 * 6)())
    kernel.prctl(PR_SET_NO_NEW_PRIVS, 1)
    kernel.prctl(PR_SET_DUMPABLE, 0)


def why_not() -> str | None:
    """Why this machine cannot shut a process in, as a sentence; None where it can. It is tried, not guessed."""
    if sys.platform != "linux":
        return f"Isolation needs Linux's namespaces, and this is {platform.system()}."
    said = tried()
    if said == b"":
        return None
    said_by = said.decode(errors="replace")
    return f"This system does not let a process be shut in ({said_by}). {remedy(said_by)}"


def remedy(said: str) -> str:
    """What to do about a refusal."""
    if said.startswith("seccomp"):
        return "The kernel must be built with CONFIG_SECCOMP_FILTER, and the machine be x86_64 or aarch64."
    return (
        "In a container, start it with user namespaces and mounts allowed (for Docker: --security-opt "
        "seccomp=unconfined --security-opt apparmor=unconfined); on a machine of your own, see sysctl "
        "kernel.unprivileged_userns_clone, user.max_user_namespaces and kernel.apparmor_restrict_unprivileged_userns."
    )


def tried(look: Callable[[], bytes] = bytes) -> bytes:
    """Shuts a process in and gives what ``look`` gives there; what went wrong, where something did.

    A fork stands in between, since only a process with one thread may be forked by :func:`fork`.
    """
    reader, writer = os.pipe()
    with tempfile.TemporaryDirectory() as empty:
        if (child := os.fork()) == 0:
            try:
                os.close(reader)
                if shut_in := fork():
                    os.waitpid(shut_in, 0)
                else:
                    isolate(Visible(Path(empty), tuple(readable())), Limits(), writer, os.open(os.devnull, os.O_WRONLY))
                    os.write(writer, look())
            except BaseException as error:
                os.write(writer, str(error.strerror if isinstance(error, OSError) else error).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            said = answer.read()
        os.waitpid(child, 0)
    return said
