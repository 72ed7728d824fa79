"""The warm process: imports what lessons need, and becomes a kernel in each of its forks.

``python warm.py FD`` is started by a Jupyter server and asked over the socket FD. A request carries
one end of a new kernel's tie (see `provisioner.WarmKernel`). It is answered once the libraries are there that no
lesson goes without, and from then on between two imports: a kernel that is asked for early has what was imported by
then, and imports the rest as ever.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

# What every first card takes.
FIRST = (
    "ipykernel_launcher",
    "ipykernel.kernelapp",
    "torch",
    "course.exercise",
    "course.plots",
    "course.data",
    "course.models",
)
# In the order in which a learner comes to need them. Missing here on purpose are scikit-learn, whose pandas starts a
# thread, and matplotlib_inline's backend, which looks for its kernel as it is imported.
LATER = (
    "matplotlib.pyplot",
    "torch._dynamo",  # by the first optimizer
    "torchvision.transforms.v2",
    "timm",
    "scipy.stats",
    "transformers.modeling_utils",
)
# Read by matplotlib and by OpenBLAS as they are imported. A kernel has MPLBACKEND like this too; OpenBLAS gets its
# threads in the fork.
INLINE = "module://matplotlib_inline.backend_inline"
BLAS_THREADS = "OPENBLAS_NUM_THREADS"


@dataclass(frozen=True)
class Request:
    """A kernel that is asked for: arguments of ipykernel, working folder, variables of its own, and its tie."""

    arguments: list[str]
    folder: str
    environment: dict[str, str]
    tie: socket.socket


def serve(control: socket.socket) -> Request | None:
    """Imports, and forks for each request. Gives the request in the fork; None when the server has hung up."""
    for module in FIRST:
        _import(module)
    modules = list(LATER)
    kernels: dict[int, tuple[int, socket.socket]] = {}  # pidfd -> pid, tie
    server = [control.fileno()]
    while server or kernels:
        ready, _, _ = select.select([*server, *kernels], [], [], 0 if modules else None)
        for ended in kernels.keys() & ready:
            _bury(ended, *kernels.pop(ended))
        if control.fileno() in ready:
            request = _asked(control)
            if request is None:
                server, modules = [], []
                continue
            pid = _fork(request.tie)
            if pid == 0:
                control.close()
                for pidfd, (_, tie) in kernels.items():
                    os.close(pidfd)
                    tie.close()
                return request
            if pid is not None:
                kernels[os.pidfd_open(pid)] = pid, request.tie
        elif modules:
            _import(modules.pop(0))
            if not modules:
                gc.collect()
                gc.freeze()  # a fork's collections leave alone, and so do not copy, what stands before it
                with contextlib.suppress(OSError):  # nobody may be there to hear it
                    control.send(b"warm")
    return None


def _asked(control: socket.socket) -> Request | None:
    try:
        data, fds, _, _ = socket.recv_fds(control, 1 << 16, 1)
    except ConnectionError:  # hung up, with something left unread
        return None
    return Request(**json.loads(data), tie=socket.socket(fileno=fds[0])) if data else None


def _import(module: str) -> None:
    with contextlib.suppress(Exception):  # the learner's own import of it will say what is wrong
        importlib.import_module(module)


def _fork(tie: socket.socket) -> int | None:
    """As os.fork; None where there is none to be had, and the server is told."""
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads > 1:  # a fork has one of them, and waits for ever where another held a lock
        _refuse(tie, f"{threads - 1} threads run in the warm process")
        return None
    try:
        return os.fork()
    except OSError as error:
        _refuse(tie, f"no process could be made ({error.strerror})")
        return None


def _refuse(tie: socket.socket, reason: str) -> None:
    with tie, contextlib.suppress(OSError):
        tie.send(f"no {reason}".encode())


def _bury(pidfd: int, pid: int, tie: socket.socket) -> None:
    os.close(pidfd)
    _, status = os.waitpid(pid, 0)
    with tie, contextlib.suppress(OSError):  # nobody may be there to hear it
        tie.send(f"exit {os.waitstatus_to_exitcode(status)}".encode())


def become(request: Request) -> None:
    """Lives as a kernel, until it is shut down or its server ends."""
    os.setsid()
    os.chdir(request.folder)
    os.environ.update(request.environment)
    threading.Thread(target=_end_with_server, args=[request.tie], name="server-watch", daemon=True).start()
    _make_own()
    import ipykernel_launcher
    from ipykernel.kernelapp import IPKernelApp

    request.tie.send(f"pid {os.getpid()}".encode())
    sys.argv = [ipykernel_launcher.__file__, *request.arguments]
    # Parent 1 is no process to watch: `_end_with_server` does that, also where the warm process, the parent, has ended.
    IPKernelApp.launch_instance([*request.arguments, "--IPKernelApp.parent_handle=1"])


def _end_with_server(tie: socket.socket) -> None:
    """Ends this kernel and all that it has started, when the server's end of the tie closes."""
    with contextlib.suppress(OSError):
        tie.recv(1)
    os.killpg(0, signal.SIGKILL)


def _make_own() -> None:
    """Does for this process what its libraries did for the warm process when they were imported."""
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
        import threadpoolctl

        said = [os.environ.get(name, "") for name in (BLAS_THREADS, "OMP_NUM_THREADS")]
        wanted = [int(number) for number in said if number.isdigit()]
        threadpoolctl.threadpool_limits((wanted or [len(os.sched_getaffinity(0))])[0], user_api="blas")
    if "ipywidgets" in sys.modules:  # which other libraries import
        sys.modules["ipywidgets"].register_comm_target()


def main(control: socket.socket) -> None:
    os.environ.setdefault("MPLBACKEND", INLINE)
    threads = os.environ.get(BLAS_THREADS)
    os.environ[BLAS_THREADS] = "1"
    request = serve(control)
    if request is None:
        return
    os.environ.pop(BLAS_THREADS)
    if threads is not None:
        os.environ[BLAS_THREADS] = threads
    become(request)


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the folder of this file; a kernel puts its own there
    main(socket.socket(fileno=int(sys.argv[1])))
