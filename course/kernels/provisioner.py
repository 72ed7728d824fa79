"""The server's side of a warm kernel: asks the warm process for a fork, and minds it like a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner

import course

LAUNCHER = [sys.executable, "-m", "ipykernel_launcher"]
# Metal and Accelerate on macOS do not survive a fork; Windows has none.
CAN_FORK = sys.platform == "linux"
# What a launch can ask of a fork; and what it says to the kernel manager alone.
KNOWN = {"cwd", "env", "kernel_id", "extra_arguments"}
# Variables that tell one kernel from another, or are the server's own, and that no library reads as it is imported.
OWN_VARIABLES = ("JPY_", "JUPYTER_")
PATIENCE = 30.0  # seconds for a fork: the warm process may have to import torch first
EXIT_UNKNOWN = 1  # the exit status of a kernel whose warm process was gone by then


class Unavailable(Exception):
    """There is no warm kernel to be had; the message says why, as half a sentence."""


class WarmKernel:
    """A forked kernel, with what a provisioner asks of its `subprocess.Popen`.

    `tie` is a socket that the kernel holds the other end of. The kernel ends when this end closes, be it that this
    process was killed; and over it the warm process tells how the kernel ended.
    """

    stdin = stdout = stderr = None

    def __init__(self, pid: int, tie: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._tie = tie

    def poll(self) -> int | None:
        """The exit status, negative for the number of a signal; None while it runs."""
        if self.returncode is None:
            try:
                said = self._tie.recv(64)
            except BlockingIOError:
                return None
            except ConnectionError:
                said = b""
            self.returncode = int(said.removeprefix(b"exit ")) if said else EXIT_UNKNOWN
            self._tie.close()
        return self.returncode

    def wait(self) -> int | None:
        """The same, once it has ended."""
        if self.returncode is None:
            select.select([self._tie], [], [])
        return self.poll()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class WarmProcess:
    """A process that imports what lessons need, and is forked for each kernel. It ends when this handle closes or this
    process ends, and its last kernel has ended."""

    def __init__(self) -> None:
        self._environment = _shared(os.environ)
        self._installed = _installed()
        self.answered = False
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.setblocking(False)
        with theirs:
            self.process = subprocess.Popen(
                # by its path: with -m the current folder would come first, and a learner's random.py before Python's
                [sys.executable, str(Path(__file__).with_name("warm.py")), str(theirs.fileno())],
                env=self._environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def close(self) -> None:
        self.control.close()

    def alive(self) -> bool:
        return self.process.poll() is None

    def outdated(self) -> bool:
        """Whether it has older code than a cold kernel would now have."""
        return self._installed != _installed()

    async def fork(self, arguments: list[str], folder: str, environment: Mapping[str, str]) -> WarmKernel:
        """A new kernel with these arguments of ipykernel, working folder and environment. Raises Unavailable."""
        if differing := _differing(_shared(environment), self._environment):
            raise Unavailable(f"the kernel is to have its own {', '.join(differing)}, which libraries may read early")
        own = {name: value for name, value in environment.items() if name.startswith(OWN_VARIABLES)}
        request = json.dumps({"arguments": arguments, "folder": folder, "environment": own}).encode()
        tie, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        tie.setblocking(False)
        try:
            with theirs:
                socket.send_fds(self.control, [request], [theirs.fileno()])
            said = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(tie, 1024), PATIENCE)
        except OSError as error:  # the time that is up is one
            tie.close()
            self.process.kill()  # its kernels, if it has any, go on
            raise Unavailable(f"the warm process did not answer ({error or type(error).__name__})") from error
        word, _, rest = said.decode().partition(" ")
        if word != "pid":
            tie.close()
            raise Unavailable(rest if word == "no" else "the warm process did not make it")
        self.answered = True
        return WarmKernel(int(rest), tie)


_warm: WarmProcess | None = None


def warm_process() -> WarmProcess:
    """This server's warm process, started if there is none, or none with today's code. Raises Unavailable."""
    global _warm
    if not CAN_FORK:
        raise Unavailable("this system cannot fork a process that has the libraries imported")
    if _warm is not None and not _warm.alive() and not _warm.answered:
        raise Unavailable("the warm process ended while it imported; its messages are above")
    if _warm is None or not _warm.alive() or _warm.outdated():
        if _warm is not None:
            _warm.close()
        try:
            _warm = WarmProcess()
        except OSError as error:
            raise Unavailable(f"no warm process could be started ({error})") from error
    return _warm


class WarmProvisioner(LocalProvisioner):
    """Starts kernels of this environment's own Python as forks of a warm process, and all others as ever."""

    process: Any = None  # a Popen, or a WarmKernel
    _said: ClassVar[set[str]] = set()  # reasons that the log has

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        folder = os.fspath(kwargs.get("cwd") or Path.cwd())
        try:
            if cmd[: len(LAUNCHER)] != LAUNCHER:
                raise Unavailable(f"{cmd[0]} is not the Python that the course is installed in")
            if asked := {name for name, value in kwargs.items() if value is not None} - KNOWN:
                raise Unavailable(f"a fork knows nothing of {', '.join(sorted(asked))}")
            environment = kwargs["env"] | {"JPY_PARENT_PID": str(os.getpid())}
            self.process = await warm_process().fork(cmd[len(LAUNCHER) :], folder, environment)
        except (Unavailable, OSError) as reason:
            if str(reason) not in self._said:
                self._said.add(str(reason))
                self.log.warning(f"This kernel starts cold: {reason}.")
            return await super().launch_kernel(cmd, **kwargs)
        self.pid = self.pgid = self.process.pid
        self.cwd = folder
        return self.connection_info


def _shared(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that are the same for all kernels of a server."""
    return {name: value for name, value in environment.items() if not name.startswith(OWN_VARIABLES)}


def _differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _installed() -> list[int]:
    """Numbers that change when a library is installed or removed, or the course's own code is edited."""
    code = [Path(folder) for folder in course.__path__]
    paths = [Path(sysconfig.get_path("purelib")), *(path for folder in code for path in folder.rglob("*.py"))]
    return sorted(path.stat().st_mtime_ns for path in paths)
