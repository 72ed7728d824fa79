"""Ways out of a sandbox, tried from within: each attempt is a cell, run by the real session of a real sandbox."""

import os
import platform
import re
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autograder.frames import Channel
from autograder.judge.remote import Client
from autograder.limits import Limits
from autograder.process import Process
from autograder.sandbox import isolation, kernel, landlock, seccomp
from autograder.sandbox.warm import Place, Warm

MACHINE = platform.machine()
PRELUDE = """
import ctypes, errno, fcntl, os, signal, socket, stat, struct, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(number, *args):
    "What the kernel answers: a number, or the name of an error."
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return errno.errorcode[ctypes.get_errno()] if result == -1 else result
def outcome(do, *args):
    try: return do(*args)
    except OSError as error: return errno.errorcode[error.errno]
"""


@pytest.fixture(scope="module")
def inside(isolated: None, warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Runs the body of a function in a shut-in process and gives what it returns."""
    files = tmp_path_factory.mktemp("files")
    ours, theirs = socket.socketpair()
    pid = warm.fork("sandbox", [theirs], Place(files), Limits())
    theirs.close()
    sandbox = Process(pid)
    client = Client(Channel(ours), sandbox)
    client.run(PRELUDE)

    def run(body: str, *args: Any) -> Any:
        client.run("def probe(*args):\n" + textwrap.indent(textwrap.dedent(body), "    "))
        return client.names(["probe"])["probe"](*args)

    run.pid = pid  # type: ignore[attr-defined]
    yield run
    ours.close()
    sandbox.end()


def _numbers(table: dict[str, tuple[int | None, int | None]]) -> list[tuple[str, int]]:
    column = seccomp.MACHINES.get(MACHINE, 0)
    return [(name, number) for name, numbers in table.items() if (number := numbers[column]) is not None]


def test_calls_that_learners_never_need_are_refused(inside: Callable[..., Any]) -> None:
    body = "return [name for name, number in args[0] if call(number, -1, -1, -1, -1, -1, -1) != args[1]]"
    assert inside(body, _numbers(seccomp.REFUSED), "EPERM") == []
    assert inside(body, _numbers(seccomp.ABSENT), "ENOSYS") == []


def test_calls_newer_than_the_filter_do_not_exist(inside: Callable[..., Any]) -> None:
    assert inside("return [call(number, -1, -1) for number in (467, 468, 469, 470, 471, 9999)]") == ["ENOSYS"] * 6


@pytest.mark.parametrize("machine", list(seccomp.MACHINES))
def test_the_numbers_of_the_calls_are_the_kernels_own(machine: str) -> None:
    headers = {
        "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
        "aarch64": "/usr/include/asm-generic/unistd.h",
    }
    header = Path(headers[machine])
    if not header.exists():
        pytest.skip(f"{header} is not here (Debian's linux-libc-dev, on x86_64)")
    lines = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())
    known = {name: int(number) for name, number in lines}
    column = seccomp.MACHINES[machine]
    tables = {**seccomp.REFUSED, **seccomp.ABSENT}
    rules = ("clone", "socket", "socketpair", "ioctl", "ioctl", "personality", "prctl")
    tables |= {name: rule.numbers for name, rule in zip(rules, seccomp.RULES, strict=True)}
    wrong = {name: known[name] for name, numbers in tables.items() if name in known and numbers[column] != known[name]}
    assert not wrong and len(known.keys() & tables.keys()) > 60
    calls = {name: numbers[machine] for name, numbers in kernel.NUMBERS.items()}
    assert calls.items() <= known.items()


@pytest.mark.parametrize("flag", [1 << bit for bit in (17, 25, 26, 27, 28, 29, 30)], ids=hex)
def test_no_new_namespace(inside: Callable[..., Any], flag: int) -> None:
    clone = seccomp.RULES[0].numbers[seccomp.MACHINES[MACHINE]]
    made = inside(
        """
        made = call(args[0], args[1] | signal.SIGCHLD, 0, 0, 0, 0)
        if made == 0: os._exit(0)
        return made
        """,
        clone,
        flag,
    )
    assert made == "EPERM"
    child = inside(
        "pid = call(args[0], signal.SIGCHLD, 0, 0, 0, 0)\nif pid == 0: os._exit(7)\nreturn os.waitpid(pid, 0)[1]", clone
    )
    assert os.waitstatus_to_exitcode(child) == 7


@pytest.mark.skipif(MACHINE != "x86_64", reason="32-bit calls and x32 are x86_64's")
def test_no_call_by_another_machines_numbers(inside: Callable[..., Any]) -> None:
    """Number 20 is getpid among the 32-bit calls, and writev here: a filter that forgets the machine lets it pass."""
    ended = inside(
        r"""
        import mmap
        code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, 20; int 0x80; ret
        function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
        if (child := os.fork()) == 0:
            function()
            os._exit(0)
        return os.waitpid(child, 0)[1]
        """
    )
    assert os.WIFSIGNALED(ended) and os.WTERMSIG(ended) == signal.SIGSYS
    assert inside("return call(0x40000000 | 39), call(0x40000000 | 272, 0)") == ("EPERM", "EPERM")  # getpid, unshare


def test_only_unix_sockets(inside: Callable[..., Any]) -> None:
    families = [
        f for f in range(46) if f != socket.AF_UNIX
    ]  # IPv4, IPv6, netlink, packets, vsock, the kernel's ciphers
    assert inside("return {outcome(socket.socket, f, t) for f in args[0] for t in (1, 2, 3)}", families) == {
        "EAFNOSUPPORT"
    }
    assert inside("one, other = socket.socketpair()\none.send(b'x')\nreturn other.recv(1)") == b"x"


def test_no_socket_of_another_process(inside: Callable[..., Any], tmp_path: Path) -> None:
    name = f"\0outside-{os.getpid()}"
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as abstract, socket.socket(socket.AF_UNIX) as named:
        abstract.bind(name)
        named.bind(path)
        abstract.listen()
        named.listen()
        Path(path).chmod(0o777)
        with socket.socket(socket.AF_UNIX) as friend:
            friend.connect(name)  # from here it can be reached
        said = inside("return [outcome(socket.socket(socket.AF_UNIX).connect, name) for name in args]", name, path)
    assert said[0] in ("ECONNREFUSED", "EPERM") and said[1] in ("ENOENT", "EACCES")


def test_no_terminal_can_be_typed_into(inside: Callable[..., Any]) -> None:
    assert inside("return outcome(fcntl.ioctl, 0, 0x5412, b'x'), outcome(fcntl.ioctl, 0, 0x541C, b'x')") == (
        "EPERM",
        "EPERM",
    )
    assert inside("return outcome(fcntl.ioctl, 0, 0x5401, bytes(64))") in ("ENOTTY", "EACCES")  # asked, not written
    assert inside("return outcome(os.open, '/dev/tty', os.O_RDWR), outcome(os.openpty)") != (0, 0)


def test_a_personality_may_be_asked_for_only(inside: Callable[..., Any]) -> None:
    assert inside("return libc.personality(ctypes.c_ulong(0xFFFFFFFF)), libc.personality(0x0400000)") == (0, -1)


def test_the_bond_to_the_grader_cannot_be_cut(inside: Callable[..., Any]) -> None:
    assert inside(
        """
        at = ctypes.c_int(-1)
        return libc.prctl(1, 0, 0, 0, 0), libc.prctl(2, ctypes.byref(at), 0, 0, 0), at.value
        """
    ) == (-1, 0, signal.SIGKILL)


def test_no_way_out_by_links_and_parents(inside: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("expected values")
    tries = inside(
        """
        secret = args[0]
        os.symlink(secret, "link"); os.symlink("/", "top")
        root = os.open("/", os.O_RDONLY)
        ways = [secret, "link", "top" + secret, "../" * 30 + secret[1:], "/proc/self/root" + secret, "/proc/1/cwd/" +
                "../" * 9 + secret[1:], "/proc/1/root/.." + secret, "/proc/self/fd/3" + secret]
        found = [outcome(lambda way=way: open(way).read()) for way in ways]
        return found + [outcome(lambda: os.open("../" + secret[1:], os.O_RDONLY, dir_fd=root)), outcome(os.fchdir, 3)]
        """,
        str(tmp_path / "secret"),
    )
    assert set(tries) <= {"ENOENT", "EACCES", "ENOTDIR"}, tries


def test_read_only_means_it(inside: Callable[..., Any]) -> None:
    """Whatever the file's own mode, and by whatever call: the root, the libraries, /proc, what is hidden."""
    library = str(Path(isolation.__file__).parents[1])
    said = inside(
        """
        said, python = {}, sys.executable
        for name, do in {
            "create": lambda: open("/usr/lib/new", "w"), "mkdir": lambda: os.mkdir("/new"),
            "chmod": lambda: os.chmod(python, 0o777), "unlink": lambda: os.unlink("/bin"),
            "rename": lambda: os.rename("/usr", "/scratch/usr"), "hard link": lambda: os.link(python, "python"),
            "symlink": lambda: os.symlink("x", "/dev/new"), "truncate": lambda: os.truncate(python, 0),
            "times": lambda: os.utime("/usr"), "attributes": lambda: os.setxattr("/usr", "user.x", b"1"),
            "device": lambda: os.mknod("disk", stat.S_IFBLK | 0o666, os.makedev(254, 0)),
            "pattern": lambda: open("/proc/sys/kernel/core_pattern", "w"),
            "out of memory": lambda: open("/proc/self/oom_score_adj", "w"),
            "memory": lambda: open("/proc/self/mem", "r+b"),
            "grader": lambda: open(args[0] + "/evil.py", "w"), "hostname": lambda: socket.sethostname("x"),
            "shared memory": lambda: open("/dev/shm/../evil", "w"),
        }.items():
            said[name] = outcome(do)
        refusals = ("EROFS", "EACCES", "EPERM", "EXDEV", "ENOENT")
        return {name: error for name, error in said.items() if error not in refusals}
        """,
        library,
    )
    assert said == {}
    assert inside("open('/dev/null', 'w').write('x'); return len(open('/dev/urandom', 'rb').read(8))") == 8
    assert inside("return os.system('echo x > a && mkdir d && mv a d/b && cat d/b >/dev/null && rm -r d')") == 0


def test_programs_lend_no_rights(inside: Callable[..., Any]) -> None:
    mounted = inside(
        "return [line.split()[5] for line in open('/proc/self/mountinfo') if '/dev/' not in line.split()[4]]"
    )
    assert len(mounted) > 4 and all("nosuid" in options and "nodev" in options for options in mounted)
    setuid = [path for path in ("/usr/bin/su", "/usr/bin/newgrp", "/usr/bin/mount") if Path(path).exists()]
    body = "return subprocess.run([args[0], *args[1]], capture_output=True, input=b'', timeout=20).returncode"
    assert all(inside(body, path, ["-c", "true"] if "su" in path else ["x"]) != 0 for path in setuid)
    status = inside("return subprocess.run(['cat', '/proc/self/status'], capture_output=True, text=True).stdout")
    fields = dict(line.split(":\t") for line in status.splitlines() if ":\t" in line)
    assert {fields[name] for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert fields["NoNewPrivs"] == "1" and fields["Seccomp"] == "2"


def test_signals_reach_nobody_outside(inside: Callable[..., Any]) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        number = inside.pid  # type: ignore[attr-defined]
        said = inside(
            """
            said = [outcome(os.kill, pid, 9) for pid in args] + [outcome(os.killpg, pid, 9) for pid in args]
            said += [outcome(os.pidfd_open, pid) for pid in args]
            outcome(os.kill, -1, 9)
            return said
            """,
            bystander.pid,
            number,
            os.getpid(),
        )
        assert set(said) == {"ESRCH"} and bystander.poll() is None
        bystander.kill()


def test_every_descriptor_is_its_own(inside: Callable[..., Any]) -> None:
    body = """
    found = []
    for number in range(3, 1 << 16):
        try: found.append((number, stat.S_ISSOCK(os.fstat(number).st_mode)))
        except OSError: pass
    return found
    """
    found = inside(body)
    assert len([number for number, is_socket in found if is_socket]) == 1


def test_of_the_grader_only_the_session_is_there(inside: Callable[..., Any]) -> None:
    modules = inside("return [name for name in sys.modules if name.startswith('autograder')]")
    assert "autograder.sandbox.session" in modules
    assert not [name for name in modules if {"judge", "verdict", "submission"} & {*name.split(".")}]
    assert inside("try: import autograder.judge.run\nexcept ImportError: return 'not there'") == "not there"


def test_libraries_go_on_working(torch_warm: Warm, isolated: None, tmp_path: Path) -> None:
    """Threads, subprocesses, process pools, data loaders, pictures, temporary files: what honest code does."""
    ours, theirs = socket.socketpair()
    pid = torch_warm.fork("sandbox", [theirs], Place(tmp_path), Limits())
    theirs.close()
    sandbox, client = Process(pid), Client(Channel(ours), None)  # type: ignore[arg-type]
    tasks = {
        "threads": "import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()\ndone = True",
        "thread pool": "from concurrent.futures import ThreadPoolExecutor as P\n"
        "with P(4) as p: done = list(p.map(abs, [-1, 2])) == [1, 2]",
        "process pool": "from concurrent.futures import ProcessPoolExecutor as P\n"
        "with P(2) as p: done = list(p.map(abs, [-1, 2])) == [1, 2]",
        "subprocess": "import subprocess, sys\n"
        "done = subprocess.check_output([sys.executable, '-c', 'print(1)']) == b'1\\n'",
        "shell": "import os\ndone = os.system('ls / | wc -l >/dev/null') == 0",
        "OpenMP": "import torch\ntorch.set_num_threads(4)\n"
        "done = bool(((torch.ones(600, 600) @ torch.ones(600, 600)) == 600).all())",
        "gradients": "x = torch.ones(3, requires_grad=True)\n(x ** 2).sum().backward()\n"
        "done = x.grad.tolist() == [2.0] * 3",
        "data loader": "from torch.utils.data import DataLoader, TensorDataset\n"
        "data = TensorDataset(torch.arange(8.0))\n"
        "done = sum(float(b[0].sum()) for b in DataLoader(data, batch_size=2, num_workers=2)) == 28",
        "shared memory": "from multiprocessing import shared_memory\n"
        "s = shared_memory.SharedMemory(create=True, size=100)\ns.buf[0] = 7\ndone = s.buf[0] == 7\ns.unlink()",
        "picture": "import io, matplotlib.pyplot as plt\nf = io.BytesIO()\nplt.plot([1, 2])\nplt.title('x²')\n"
        "plt.savefig(f)\nplt.close()\ndone = len(f.getvalue()) > 1000",
        "event loop": "import asyncio\nasync def two(): await asyncio.sleep(0); return 2\n"
        "done = asyncio.new_event_loop().run_until_complete(two()) == 2",
        "temporary files": "import tempfile\nwith tempfile.NamedTemporaryFile() as t: done = t.write(b'x') == 1",
        "random numbers": "import numpy, os, secrets\ndone = len(os.urandom(4)) == len(secrets.token_bytes(4))",
        "no network": "import urllib.request\ntry: urllib.request.urlopen('http://example.org')\n"
        "except OSError as error: done = 'URLError' in type(error).__name__",
    }
    try:
        for name, text in tasks.items():
            shown = client.run(f"done = None\n{text}\n")
            assert client.names(["done"])["done"] is True, (name, shown)
    finally:
        ours.close()
        sandbox.end()


def _in_own_mounts(body: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Runs Python in a process of root's with mounts of its own."""
    start = "import ctypes; ctypes.CDLL(None).unshare(0x20000); from pathlib import Path\n"
    start += "from autograder.sandbox.isolation import _mount, MS_REC, MS_PRIVATE\n"
    start += "_mount('none', '/', None, MS_REC | MS_PRIVATE)\n"
    return subprocess.run(
        [sys.executable, "-c", start + textwrap.dedent(body)],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


root_only = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount, or become another"
)


@root_only
@pytest.mark.parametrize("new_call", [True, False], ids=["mount_setattr", "one mount at a time"])
def test_what_is_mounted_below_a_readable_folder_is_read_only_too(
    isolated: None, tmp_path: Path, new_call: bool
) -> None:
    below = tmp_path / "readable" / "a place" / "below"
    below.mkdir(parents=True)
    done = _in_own_mounts(
        f"""
        import errno, json, os
        from autograder.limits import Limits
        from autograder.sandbox import isolation, kernel
        folder, below = {str(tmp_path / "readable")!r}, {str(below)!r}
        _mount("tmpfs", below, "tmpfs", 0, "mode=777")
        Path(below, "file").write_text("seen")
        Path(below, "file").chmod(0o666)
        os.mknod(below + "/zero", 0o20666, os.makedev(1, 5))
        if not {new_call}:
            ask = kernel.syscall
            def older(name, *args):
                if name == "mount_setattr": raise OSError(errno.ENOSYS, name)
                return ask(name, *args)
            kernel.syscall = older
        isolation.landlock.restrict = lambda *_: 0  # the mounts alone must hold

        def look():
            said = [Path(below, "file").read_text()]
            for name, mode in (("/file", "w"), ("/new", "w"), ("/zero", "r")):
                try: open(below + name, mode); said.append("done")
                except OSError as error: said.append(errno.errorcode[error.errno])
            return json.dumps(said).encode()
        isolation.readable = lambda: ["/usr", "/lib", "/lib64", folder]
        print(isolation.tried(look).decode())
        """
    )
    assert done.stdout.strip() == '["seen", "EROFS", "EROFS", "EACCES"]', done.stdout + done.stderr


def test_landlock_holds_where_a_mount_does_not(tmp_path: Path) -> None:
    if not landlock.abi():
        pytest.skip("this kernel has no Landlock")
    script = """
        import os, sys
        from autograder.sandbox import kernel, landlock
        scratch = sys.argv[1]
        kernel.prctl(38, 1)
        assert landlock.restrict(["/usr", "/lib", "/nowhere"], [scratch], ["/dev/null"]) == landlock.abi() > 0
        open("/dev/null", "w").write("x")
        open(scratch + "/new", "w").write("x")
        os.rename(scratch + "/new", scratch + "/renamed")
        assert os.listdir("/") and os.listdir("/usr")
        for do in (
            lambda: open("/etc/hostname"), lambda: open(scratch + "/../beside", "w"), lambda: open("/usr/new", "w"),
            lambda: os.rename(scratch + "/renamed", scratch + "/../beside"), lambda: os.truncate("/etc/hostname", 0),
        ):
            try: do(); print("done")
            except OSError as error: print(type(error).__name__)
        """
    (tmp_path / "scratch").mkdir()
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "scratch")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["PermissionError"] * 5, done.stdout + done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["scratch"]


def test_landlock_keeps_signals_and_sockets_in() -> None:
    if landlock.abi() < 6:
        pytest.skip("this kernel's Landlock knows no scopes")
    script = """
        import os, socket
        from autograder.sandbox import kernel, landlock
        abstract = socket.socket(socket.AF_UNIX)
        abstract.bind("\\0landlock-%d" % os.getpid())
        abstract.listen()
        if (child := os.fork()) == 0:
            kernel.prctl(38, 1)
            landlock.restrict([], [], [])
            for do in (lambda: os.kill(os.getppid(), 0), lambda: socket.socket(1).connect(abstract.getsockname())):
                try: do(); print("done", flush=True)
                except OSError as error: print(type(error).__name__, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["PermissionError"] * 2, done.stdout + done.stderr


@root_only
def test_an_ordinary_user_shuts_in_just_as_well(isolated: None) -> None:
    """The same attempts once more, from a grader that a user without rights runs.

    Folders on the way to Python and to this checkout that only root may enter are replaced, in mounts of its own, by
    ways through that all may go.
    """
    checkout = Path(__file__).parents[2]
    needed = {str(path.resolve()) for path in (Path(sys.prefix), Path(sys.base_prefix), checkout)}
    names = ("test_escapes.py", "test_isolation.py", "test_opening.py", "test_unreadable.py")
    tests = [str(Path(__file__).with_name(name)) for name in names]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rs",
        "-p",
        "no:cacheprovider",
        "-k",
        "not libraries and not no_linux",
        *tests,
    ]
    done = _in_own_mounts(
        f"""
        import os
        needed = {sorted(needed)!r}
        opened = {{path: os.open(path, os.O_PATH) for path in needed}}
        shut = [p for path in needed for p in [path, *map(str, Path(path).parents)] if not os.stat(p).st_mode & 1]
        for path in sorted(set(shut)):
            _mount("tmpfs", path, "tmpfs", 0, "mode=755")
        for path, number in opened.items():
            if any(path.startswith(closed) for closed in shut):
                Path(path).mkdir(parents=True, exist_ok=True)
                _mount("/proc/self/fd/%d" % number, path, None, 4096 | MS_REC)
        _mount("tmpfs", "/tmp", "tmpfs", 0, "mode=777") if not any(p.startswith("/tmp/") for p in needed) else None
        os.setgroups([]); os.setresgid(23456, 23456, 23456); os.setresuid(23456, 23456, 23456)
        os.chdir({str(checkout)!r})
        os.environ.update(HOME="/nowhere", PYTHONDONTWRITEBYTECODE="1", TMPDIR="/tmp")
        os.execv({sys.executable!r}, {command!r})
        """,
        seconds=500,
    )
    if "does not let a process be shut in" in done.stdout:
        pytest.skip("this machine gives namespaces to root alone")
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-6000:] + done.stderr
