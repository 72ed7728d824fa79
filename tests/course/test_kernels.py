"""Warm kernels: they are all that a kernel is, and where they cannot be had there is another kernel."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_client import BlockingKernelClient, KernelManager
from jupyter_client.provisioning import KernelProvisionerFactory

from course import kernels
from course.kernels import provisioner
from course.kernels import warm as warm_module
from course.kernels.provisioner import Unavailable, WarmKernel, WarmProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels start warm on Linux alone")

ROOT = Path(__file__).parents[2]
SECONDS = 120.0  # an event that has not come by then does not come
# A Jupyter server, as far as kernels are concerned. It says who is there, and waits to be killed.
SERVER = """
import sys
from importlib.metadata import EntryPoint
from jupyter_client import KernelManager
from jupyter_client.provisioning import KernelProvisionerFactory
from course.kernels import provisioner

provisioner.PATIENCE = 120
factory = KernelProvisionerFactory.instance(default_provisioner_name="course-warm")
factory.provisioners["course-warm"] = EntryPoint("course-warm", sys.argv[1], factory.GROUP_NAME)
manager = KernelManager()
manager.start_kernel()
client = manager.client()
client.start_channels()
client.wait_for_ready()
client.execute_interactive("import subprocess; child = subprocess.Popen(['sleep', 'inf']); print(child.pid)")
print(provisioner.warm_process().process.pid, manager.provisioner.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def entry_point() -> EntryPoint:
    """The one that the package declares, whether or not it is the package that is installed here."""
    group = KernelProvisionerFactory.GROUP_NAME
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][group]
    return EntryPoint(kernels.PROVISIONER, declared[kernels.PROVISIONER], group)


@pytest.fixture(scope="module")
def factory(entry_point: EntryPoint) -> Iterator[KernelProvisionerFactory]:
    factory = KernelProvisionerFactory.instance()
    before = dict(factory.provisioners)
    provisioner.PATIENCE, patience = SECONDS, provisioner.PATIENCE
    factory.provisioners[entry_point.name] = entry_point
    factory.default_provisioner_name = entry_point.name
    yield factory
    factory.default_provisioner_name = "local-provisioner"
    provisioner.PATIENCE = patience
    factory.provisioners.clear()
    factory.provisioners.update(before)


@pytest.fixture(scope="module")
def warm(factory: KernelProvisionerFactory) -> Iterator[WarmProcess]:
    """One for all tests, with all its imports done."""
    warm = _warm_process()
    assert select.select([warm.control], [], [], SECONDS)[0], "it does not get warm"
    assert warm.control.recv(16) == b"warm"
    yield warm
    warm.close()
    warm.process.wait(SECONDS)
    provisioner._warm = None


def _warm_process() -> WarmProcess:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTEST_CURRENT_TEST", raising=False)
        return provisioner.warm_process()


@pytest.fixture
def kernel(warm: WarmProcess, tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(tmp_path) as kernel:
        assert isinstance(kernel.process, WarmKernel)
        yield kernel


def _environment() -> dict[str, str]:
    """pytest says in a variable which test runs; a server's environment stays as it is."""
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


class Kernel:
    """A kernel as a notebook has it."""

    def __init__(self, folder: Path) -> None:
        self.manager = KernelManager()
        self.manager.start_kernel(cwd=str(folder), env=_environment())
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(SECONDS)

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    @property
    def process(self) -> Any:
        return self.manager.provisioner.process

    def run(self, code: str) -> list[dict[str, Any]]:
        """The messages that a cell sends, but for those that say where it is."""
        said: list[dict[str, Any]] = []
        self.client.execute_interactive(code, output_hook=said.append, timeout=SECONDS)
        return [message for message in said if message["msg_type"] not in ("status", "execute_input")]

    def value(self, expression: str) -> Any:
        """What an expression is there, as JSON has it."""
        (said,) = self.run(f"import json; print(json.dumps({expression}))")
        return json.loads(said["content"]["text"])


def test_it_has_the_libraries_before_a_cell_has_imported_anything(kernel: Kernel) -> None:
    wanted = {"torch", "torch._dynamo", "matplotlib.pyplot", "scipy.stats", "course.models"}
    assert set(kernel.value(f"[name for name in {wanted} if name in __import__('sys').modules]")) == wanted


def test_it_stands_in_its_folder_and_imports_what_lies_there(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "beside_the_notebook.py").write_text("here = 7")
    assert kernel.value("[__import__('os').getcwd(), __import__('beside_the_notebook').here]") == [str(tmp_path), 7]


def test_it_is_a_process_of_its_own(kernel: Kernel, warm: WarmProcess) -> None:
    kernel.run("import os")
    pid, group, session = kernel.value("[os.getpid(), os.getpgrp(), os.getsid(0)]")
    assert pid == group == session == kernel.process.pid != warm.process.pid
    assert kernel.value("os.environ['JPY_PARENT_PID']") == str(os.getpid())


def test_two_of_them_draw_different_random_numbers(kernel: Kernel, tmp_path: Path) -> None:
    draw = "[__import__('numpy').random.rand(), __import__('random').random()]"
    with Kernel(tmp_path) as other:
        mine, yours = kernel.value(draw), other.value(draw)
    assert mine[0] != yours[0]
    assert mine[1] != yours[1]


def test_it_trains_with_several_threads(kernel: Kernel) -> None:
    kernel.run(
        "import torch, numpy, threadpoolctl\n"
        "torch.set_num_threads(2)\n"
        "layer = torch.nn.Linear(256, 256)\n"
        "optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)\n"
        "layer(torch.randn(1024, 256)).square().sum().backward()\n"
        "optimizer.step()\n"
        "square = numpy.ones((600, 600)) @ numpy.ones((600, 600))\n"
        "blas = [row['num_threads'] for row in threadpoolctl.threadpool_info() if row['user_api'] == 'blas']"
    )
    assert kernel.value("[square[0, 0], torch.get_num_threads()]") == [600, 2]
    wanted = os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS")
    assert set(kernel.value("blas")) == {int(wanted or len(os.sched_getaffinity(0)))}
    assert kernel.value("list(torch.utils.data.DataLoader([1, 2, 3], num_workers=1))[2].item()") == 3


def test_figures_widgets_and_questions_reach_the_notebook(kernel: Kernel) -> None:
    said = kernel.run("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nprint(plt.get_backend())")
    assert "image/png" in next(m for m in said if m["msg_type"] == "display_data")["content"]["data"]
    said = kernel.run("import ipywidgets\nipywidgets.IntSlider(value=3)")
    assert [m["msg_type"] for m in said].count("comm_open") == 3  # the slider, its layout and its style
    assert "jupyter.widget.control" in kernel.value("list(get_ipython().kernel.comm_manager.targets)")

    kernel.client.execute("print('so,', input('Who? '))", allow_stdin=True)
    assert kernel.client.get_stdin_msg(timeout=SECONDS)["content"]["prompt"] == "Who? "
    kernel.client.input("Ada")
    while (message := kernel.client.get_iopub_msg(timeout=SECONDS))["msg_type"] != "stream":
        pass
    assert message["content"]["text"] == "so, Ada\n"


def test_an_interrupt_stops_a_loop_without_end(kernel: Kernel) -> None:
    asked = kernel.client.execute("print('going')\nwhile True: pass", stop_on_error=False)
    while kernel.client.get_iopub_msg(timeout=SECONDS)["msg_type"] != "stream":
        pass
    kernel.manager.interrupt_kernel()
    while (reply := kernel.client.get_shell_msg(timeout=SECONDS))["parent_header"]["msg_id"] != asked:
        pass
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert kernel.value("6 * 7") == 42


def test_a_restart_gives_a_new_one(kernel: Kernel) -> None:
    kernel.run("mine = 1")
    before = kernel.process
    kernel.manager.restart_kernel(now=True)
    kernel.client.wait_for_ready(SECONDS)
    assert isinstance(kernel.process, WarmKernel)
    assert kernel.process.pid != before.pid
    assert before.poll() == -signal.SIGKILL
    assert kernel.value("'mine' in globals()") is False


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (lambda kernel: kernel.client.shutdown(), 0),
        (lambda kernel: kernel.client.execute("import os; os._exit(7)"), 7),
        (lambda kernel: kernel.process.kill(), -signal.SIGKILL),
        (lambda kernel: kernel.process.terminate(), -signal.SIGTERM),
    ],
)
def test_its_exit_status_is_known(kernel: Kernel, end: Any, status: int) -> None:
    process = kernel.process
    assert process.poll() is None
    end(kernel)
    assert process.wait() == process.poll() == status
    assert not kernel.manager.is_alive()


def test_another_environment_is_not_for_a_fork(warm: WarmProcess) -> None:
    with pytest.raises(Unavailable, match="OMP_SCHEDULE"):
        asyncio.run(warm.fork([], "/", _environment() | {"OMP_SCHEDULE": "static"}))


def test_a_fork_that_cannot_become_a_kernel_is_refused(warm: WarmProcess, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="did not make it"):
        asyncio.run(warm.fork([], str(tmp_path / "nowhere"), _environment()))


@pytest.mark.parametrize("command", [["/usr/bin/python3", "-m", "ipykernel_launcher"], ["/usr/bin/julia", "-i"]])
def test_kernels_of_another_python_start_as_ever(
    command: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert _started_cold(monkeypatch, command) == command
    assert [record.message for record in caplog.records] == [
        f"This kernel starts cold: {command[0]} is not the Python that the course is installed in."
    ]


def test_where_nothing_can_be_forked_kernels_start_as_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(provisioner, "CAN_FORK", False)
    command = [*provisioner.LAUNCHER, "-f", "file"]
    assert _started_cold(monkeypatch, command) == command
    assert [record.message for record in caplog.records] == [
        "This kernel starts cold: this system cannot fork a process that has the libraries imported."
    ]


def _started_cold(monkeypatch: pytest.MonkeyPatch, command: list[str]) -> list[str]:
    """The command with which the ordinary provisioner is asked to start a kernel, the second time."""
    started = []

    async def start(self: object, cmd: list[str], **kwargs: object) -> None:
        started.append(cmd)

    monkeypatch.setattr(provisioner.LocalProvisioner, "launch_kernel", start)
    monkeypatch.setattr(provisioner.WarmProvisioner, "_said", set())
    mine = provisioner.WarmProvisioner(kernel_id="1")
    for _ in range(2):
        asyncio.run(mine.launch_kernel(command, cwd="/", env=dict(os.environ)))
    return started[1]


def test_a_warm_process_that_cannot_import_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provisioner, "_warm", None)
    monkeypatch.setattr(provisioner.sys, "executable", "/bin/false")
    process = provisioner.warm_process()
    with pytest.raises(Unavailable):
        asyncio.run(process.fork([], "/", os.environ))
    process.process.wait(SECONDS)
    with pytest.raises(Unavailable, match="ended while it imported"):
        provisioner.warm_process()
    process.close()


def test_the_servers_extension_can_be_switched_off(
    factory: KernelProvisionerFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(factory, "default_provisioner_name", "local-provisioner")
    monkeypatch.setattr(provisioner, "warm_process", lambda: None)
    server: Any = SimpleNamespace(log=SimpleNamespace(info=print))
    monkeypatch.setenv(kernels.SWITCH, "0")
    kernels._load_jupyter_server_extension(server)
    assert factory.default_provisioner_name == "local-provisioner"
    monkeypatch.delenv(kernels.SWITCH)
    kernels._load_jupyter_server_extension(server)
    assert factory.default_provisioner_name == kernels.PROVISIONER


def test_edited_code_is_not_served_from_before(warm: WarmProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not warm.outdated()
    monkeypatch.setattr(provisioner, "_installed", lambda: [0])
    assert warm.outdated()


def test_a_warm_process_ends_quietly_when_its_server_hangs_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_module, "FIRST", ())
    monkeypatch.setattr(warm_module, "LATER", ("no.such.module",))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs, ThreadPoolExecutor() as pool:
        served = pool.submit(warm_module.serve, theirs)
        assert select.select([ours], [], [], SECONDS)[0]
        ours.close()  # with the word that it is warm left unread
        assert served.result(SECONDS) is None
    gc.unfreeze()


def test_nothing_outlives_a_server_that_is_killed(entry_point: EntryPoint, tmp_path: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, entry_point.value],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime")},
    )
    with server:
        assert server.stdout is not None
        child, both = server.stdout.readline(), server.stdout.readline()
        handles = [os.pidfd_open(int(pid)) for pid in [child, *both.split()]]
        server.kill()
        for handle in handles:
            assert select.select([handle], [], [], SECONDS)[0]
            os.close(handle)


def test_kernels_go_on_without_the_warm_process_and_new_ones_get_another(warm: WarmProcess, tmp_path: Path) -> None:
    with Kernel(tmp_path) as old:
        warm.process.kill()
        warm.process.wait(SECONDS)
        another = _warm_process()
        with Kernel(tmp_path) as new:
            assert isinstance(new.process, WarmKernel)
            assert new.value("6 * 7") == old.value("6 * 7") == 42
        process = old.process
        process.kill()
        assert process.wait() == provisioner.EXIT_UNKNOWN
    another.close()
    another.process.wait(SECONDS)
