"""What shut-in code can see and do, asked of a real sandbox from within."""

import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

from autograder import limits as limits_module
from autograder.frames import WireError
from autograder.judge.remote import Client
from autograder.limits import Limits
from autograder.process import Process
from autograder.sandbox import isolation
from autograder.sandbox import warm as warm_module
from autograder.sandbox.isolation import layers
from autograder.sandbox.warm import Place, Warm

SMALL = Limits(memory_mib=300, processes=20, scratch_mib=4, file_mib=2, open_files=40)


@pytest.fixture
def inside(isolated: None, warm: Warm, connect: Callable[..., Client], tmp_path: Path) -> Callable[[str], Any]:
    """Runs the body of a function in a shut-in process and gives what it returns."""
    (tmp_path / "files" / "data.csv").write_text("1,2\n")
    (tmp_path / "secret.txt").write_text("expected values")
    client = connect(warm, isolate=True, limits=SMALL)

    def run(body: str, *args: Any) -> Any:
        client.run("import os, sys, socket, subprocess, threading, signal, time\n")
        client.run("def probe(*args):\n" + textwrap.indent(textwrap.dedent(body), "    "))
        return client.names(["probe"])["probe"](*args)

    run.client = client  # type: ignore[attr-defined]
    return run


def test_the_assignments_files_are_there_as_copies(inside: Callable[..., Any], tmp_path: Path) -> None:
    assert inside("return os.getcwd(), [n for n in os.listdir() if n[0] != '.'], open('data.csv').read()") == (
        "/scratch",
        ["data.csv"],
        "1,2\n",
    )
    inside("open('data.csv', 'w').write('changed'); open('new', 'w').write('x')")
    assert (tmp_path / "files" / "data.csv").read_text() == "1,2\n"
    assert not (tmp_path / "files" / "new").exists()
    assert inside("import numpy; return float(numpy.mean([1, 2]))") == 1.5


def test_nothing_of_the_world_outside_is_there(inside: Callable[..., Any], tmp_path: Path) -> None:
    checkout = Path(__file__).resolve().parents[2]
    paths = [
        tmp_path,
        tmp_path / "secret.txt",
        Path.home(),
        *(checkout / name for name in ("source", "release", "tests", ".git")),
    ]
    paths += [
        checkout / "autograder",
        checkout / "pyproject.toml",
        Path("/root"),
        Path("/var"),
        Path("/etc/passwd"),
        Path("/srv"),
    ]
    seen = inside(
        """
        found = []
        for path in args[0]:
            try: found += [path] if os.path.isfile(path) or os.listdir(path) else []
            except OSError: pass
        return found
        """,
        [str(path) for path in paths],
    )
    # of a folder that holds the libraries, the way to them is there, with nothing beside it
    assert all(Path(sys.prefix).is_relative_to(path) or Path(sys.base_prefix).is_relative_to(path) for path in seen)
    assert inside("return sorted(os.listdir('/'))") == sorted({*inside("return os.listdir('/')")})
    assert "mnt" not in inside("return os.listdir('/')") and "secret.txt" not in inside("return os.listdir('/tmp')")


def test_only_the_scratch_folder_can_be_written(inside: Callable[..., Any]) -> None:
    written = inside(
        """
        written = []
        for folder in args[0]:
            try:
                open(os.path.join(folder, "written"), "w").close(); written.append(folder)
            except OSError: pass
        return written
        """,
        ["/", "/usr", "/usr/lib", "/dev", "/proc", "/proc/self", "/etc", "/scratch", str(Path(numpy.__file__).parent)],
    )
    assert written == ["/scratch"]
    assert inside("import tempfile; return os.path.realpath(tempfile.mkdtemp()).startswith('/scratch/')")
    assert (
        inside(
            """
        for path in ("/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger"):
            try: open(path, "w").write("1"); return path
            except OSError: pass
        """
        )
        is None
    )


def test_there_is_no_network(inside: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        said = inside(
            """
            try: socket.create_connection(("127.0.0.1", args[0]), timeout=2)
            except OSError as error: return error.errno
            """,
            server.getsockname()[1],
        )
    assert said is not None
    assert inside("return open('/proc/net/dev').read().count(':')") <= 1  # lo, which is down


def test_there_are_no_other_processes(inside: Callable[..., Any]) -> None:
    assert inside("return sorted(int(name) for name in os.listdir('/proc') if name.isdigit())") in ([1], [])
    assert inside("return os.getpid(), os.getppid()") == (1, 0)
    for pid in (os.getpid(), os.getppid()):
        assert (
            inside("try: os.kill(args[0], 0)\nexcept OSError as e: return type(e).__name__", pid)
            == "ProcessLookupError"
        )


def test_there_are_no_descriptors_but_the_channel(inside: Callable[..., Any]) -> None:
    said = inside(
        """
        found = {}
        for number in range(1024):
            try: found[number] = os.readlink(f"/proc/self/fd/{number}")
            except OSError: pass
        return found
        """
    )
    assert [path for number, path in said.items() if number <= 2] == ["/dev/null"] * 3
    assert len([path for number, path in said.items() if path.startswith("socket:")]) == 1 and len(said) == 4


def test_the_environment_is_a_short_list(inside: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    names = set(inside("return list(os.environ)"))
    allowed = {
        *warm_module.ENVIRONMENT,
        *warm_module.SINGLE_THREADED,
        "NBGRADER_EXECUTION",
        "PYTHONHASHSEED",
        "MPLBACKEND",
    }
    assert names <= allowed | {
        "HOME",
        "TMPDIR",
        "MPLCONFIGDIR",
        "PYTEST_CURRENT_TEST",  # which pytest changes while it is the judge
        "USER",
        "PAGER",
        "CLICOLOR",
        "TERM",
        "FORCE_COLOR",
        "GIT_PAGER",
    }
    assert inside("return os.environ['HOME'], os.environ['PYTHONHASHSEED']") == ("/scratch", "0")


def test_rights_are_gone(inside: Callable[..., Any]) -> None:
    status = inside("return open('/proc/self/status').read()")
    fields = dict(line.split(":\t") for line in status.splitlines() if ":\t" in line)
    assert {fields[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert fields["NoNewPrivs"] == "1" and fields["Groups"].strip() in ("", "65534", "1000")
    assert inside("return os.getuid()") != 0
    assert inside("try: os.setuid(0)\nexcept OSError: return 'refused'") == "refused"


def test_scratch_files_memory_and_descriptors_are_bounded(inside: Callable[..., Any]) -> None:
    assert inside(
        """
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            with open("big", "wb") as file:
                for _ in range(8): file.write(b"x" * 2**20); file.flush()
        except OSError as error: return os.path.getsize("big") // 2**20, type(error).__name__
        """
    ) == (2, "OSError")
    assert (
        inside(
            """
        try:
            for i in range(10): open(f"part{i}", "wb").write(b"x" * 2**20)
        except OSError as error: return error.errno
        """
        )
        == 28
    )
    assert inside("try: bytearray(2**30)\nexcept MemoryError: return 'refused'") == "refused"
    assert inside(
        """
        kept = []
        try:
            while True: kept.append(open("/dev/null"))
        except OSError: return len(kept) < 40
        """
    )


def test_processes_are_bounded(inside: Callable[..., Any]) -> None:
    made = inside(
        """
        made = 0
        try:
            while made < 200:
                if os.fork() == 0:
                    time.sleep(60)
                    os._exit(0)
                made += 1
        except BlockingIOError: pass
        return made
        """
    )
    assert 0 < made <= SMALL.processes


@pytest.mark.parametrize("end", ["os._exit(0)", "os.abort()", "import ctypes; ctypes.string_at(1)"])
def test_a_process_that_ends_takes_its_children_with_it(inside: Callable[..., Any], end: str) -> None:
    sandbox = inside.client._sandbox  # type: ignore[attr-defined]
    with pytest.raises(WireError):
        inside(f"if os.fork() == 0:\n    os.setsid()\n    time.sleep(600)\n{end}\ntime.sleep(600)")
    sandbox.end()
    left = subprocess.run(["ps", "-o", "pid=", "--ppid", str(sandbox.pid)], capture_output=True, text=True, check=False)
    assert left.stdout.strip() == ""


def test_what_the_grader_hides_is_hidden(isolated: None, warm: Warm, connect: Callable[..., Client]) -> None:
    library = Path(numpy.__file__).parent
    folder, file = library / "ma", library / "version.py"
    client = connect(warm, isolate=True, hide=(folder, file, Path("/nowhere/at/all")))
    client.run(
        "import os\ndef probe(folder, file, beside):\n"
        "    try: written = bool(open(folder + '/x', 'w'))\n    except OSError: written = False\n"
        "    return os.listdir(folder), open(file).read(), os.path.getsize(beside) > 0, written"
    )
    probe = client.names(["probe"])["probe"]
    assert probe(str(folder), str(file), str(library / "__init__.py")) == ([], "", True, False)
    assert list(folder.iterdir()) and file.read_text()


def test_layers_show_and_hide_by_the_nearest_folder() -> None:
    shown = layers(
        ["/usr", "/usr/lib", "/opt/venv", "/usr/src/course/.venv"], ["/usr/src/course", "/home/me", "/opt/venv/lib/x"]
    )
    assert shown == {
        "/opt/venv": True,
        "/opt/venv/lib/x": False,
        "/usr": True,
        "/usr/src/course": False,
        "/usr/src/course/.venv": True,
    }
    assert list(shown).index("/usr/src/course") < list(shown).index("/usr/src/course/.venv")
    assert layers(["/usr"], ["/usr"]) == {} and layers(["/usr"], ["/"]) == {"/usr": True}
    assert layers(["/usr-local"], ["/usr"]) == {"/usr-local": True}


def test_a_sandbox_ends_with_the_process_that_warmed_it(isolated: None, tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, Warm([]) as process:
        pid = process.fork("sandbox", [theirs], Place(tmp_path), Limits())
        theirs.close()
        handle = os.pidfd_open(pid)
        process._process.kill()
        ours.settimeout(10)
        assert ours.recv(1) == b""
        assert select.select([handle], [], [], 10)[0] == [handle]  # readable: it has ended
        os.close(handle)


def test_why_not_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(1, "seccomp: Operation not permitted")

    monkeypatch.setattr(isolation.seccomp, "install", refuse)
    said = isolation.why_not() or ""
    assert "seccomp: Operation not permitted" in said and "CONFIG_SECCOMP_FILTER" in said
    monkeypatch.setattr(isolation, "_clone", refuse)
    assert "does not let a process be shut in" in (isolation.why_not() or "")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "needs Linux" in (isolation.why_not() or "")


def test_nothing_is_graded_where_a_wall_does_not_stand(isolated: None, tmp_path: Path) -> None:
    """What goes wrong on the way in is said to the grader, and no learner's code runs."""
    with Warm([]) as process:
        ours, theirs = socket.socketpair()
        with ours, theirs, pytest.raises(OSError, match="nowhere"):
            process.fork("sandbox", [theirs], Place(tmp_path / "nowhere"), Limits())
        ours, theirs = socket.socketpair()
        with ours, theirs:  # and the warm process goes on
            assert process.fork("sandbox", [theirs], Place(tmp_path), Limits()) > 1


def test_processor_time_is_bounded(isolated: None, warm: Warm, connect: Callable[..., Client]) -> None:
    client = connect(warm, isolate=True, limits=Limits(cpu_seconds=1))
    client.run("import os, time, signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\n")
    child = "if (child := os.fork()) == 0:\n    while True: pass\nended = os.waitpid(child, 0)[1]\n"
    client.run(child)
    assert os.WTERMSIG(client.names(["ended"])["ended"]) == signal.SIGKILL
    with pytest.raises(WireError):
        client.run("while True: pass")
        client.names(["ended"])


def test_a_lower_limit_of_the_grader_stays() -> None:
    lowered = """if True:
        import resource
        from autograder.limits import Limits
        from autograder.sandbox import isolation
        resource.setrlimit(resource.RLIMIT_NOFILE, (50, 100))
        resource.setrlimit(resource.RLIMIT_CPU, (30, 40))
        isolation._bound(Limits(), 64)
        print(resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_CPU))"""
    done = subprocess.run([sys.executable, "-c", lowered], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(100, 100) (40, 40)"


def test_the_number_of_files_is_bounded(isolated: None, warm: Warm, connect: Callable[..., Client]) -> None:
    client = connect(warm, isolate=True, limits=Limits(scratch_files=50))
    client.run(
        "made = 0\ntry:\n    while made < 100: open(f'file{made}', 'x').close(); made += 1\n"
        "except OSError as error: why = error.errno\n"
    )
    said = client.names(["made", "why"])
    assert 40 < said["made"] < 50 and said["why"] == 28


def test_files_that_do_not_fit_are_said_not_to(isolated: None, warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "large.csv").write_bytes(bytes(2**21))
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(OSError, match="scratch_mib and scratch_files"):
        warm.fork("sandbox", [theirs], Place(tmp_path), Limits(scratch_mib=1))


def test_processes_are_counted_with_the_users_own_by_old_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation.os, "getuid", lambda: 1000)
    monkeypatch.setattr(isolation.platform, "release", lambda: "5.10.0-30-amd64")
    assert "5.10" in isolation.shares_count_of_processes()
    monkeypatch.setattr(isolation.platform, "release", lambda: "5.14.0")
    assert isolation.shares_count_of_processes() == ""
    monkeypatch.undo()
    assert isolation._running() >= 1


def test_a_process_is_ended_once_and_its_number_never_signalled_again() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = Process(child.pid)
    started = time.monotonic()
    process.end()
    assert child.wait(5) == -signal.SIGKILL and time.monotonic() - started < 4
    process.signal(signal.SIGKILL)  # nobody: no error, and no other process of that number
    Process(child.pid).end()


def test_the_grader_can_be_imported_where_there_is_no_linux() -> None:
    script = """
        import os, signal, socket, sys
        import click, cloudpickle, matplotlib, numpy, rich.progress  # theirs is another matter
        import nbgrader.api, nbgrader.apps
        sys.platform = "win32"
        sys.modules["resource"] = None
        for module, names in (
            (os, ["O_PATH", "pidfd_open", "ST_NODEV", "ST_RELATIME", "ST_NOEXEC", "fork", "getuid", "killpg"]),
            (signal, ["SIGALRM", "SIGKILL", "SIGCHLD", "setitimer", "pthread_sigmask", "pidfd_send_signal"]),
            (socket, ["AF_UNIX", "send_fds", "recv_fds"]),
        ):
            for name in names: delattr(module, name)
        import autograder.cli
        from autograder.sandbox import isolation
        print(isolation.why_not())
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "needs Linux" in done.stdout, done.stderr


def test_limits_are_documented() -> None:
    assert all(value > 0 and len(why) > 10 for _, value, why in limits_module.table())
