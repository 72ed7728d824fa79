"""A learner's seat: a copy of the lessons, JupyterLab on it as `course lab` starts it, and notebooks in a browser."""

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import psutil
from jupyter_server.serverapp import list_running_servers
from nbformat import NotebookNode

from browser import Seen, watch

TOKEN = "learner"
OPTIONS = [
    "--no-browser",
    "--allow-root",
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.port=0",
    f"--IdentityProvider.token={TOKEN}",
    "--LabApp.expose_app_in_browser=True",  # window.jupyterapp, which JupyterLab's own tests go by
]

# Every Python that is started at a seat reads this first: what would leave the machine is written down and refused.
GUARD = """
import os, sys

def _stay_here(event, args):
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event == "socket.connect" and isinstance(args[1], tuple):
        host = args[1][0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host and host not in ("localhost", "::1", "::", "0.0.0.0") and not host.startswith("127."):
        with open(os.environ["SEAT_OUTSIDE"], "a") as file:
            file.write(f"{event} {host}\\n")
        raise OSError(f"a test tried to reach {host}")

sys.addaudithook(_stay_here)
"""


@dataclass(frozen=True)
class Seat:
    """`home` holds all that belongs to it, `copy` the learner's lessons; `address` is where JupyterLab answers."""

    home: Path
    address: str = ""

    @property
    def copy(self) -> Path:
        return self.home / "lessons"

    @property
    def environment(self) -> dict[str, str]:
        """No configuration, cache or history but the seat's own."""
        places = {
            "HOME": "user",
            "XDG_CONFIG_HOME": "user/config",
            "XDG_CACHE_HOME": "user/cache",
            "XDG_DATA_HOME": "user/data",
            "JUPYTER_CONFIG_DIR": "jupyter/config",
            "JUPYTER_DATA_DIR": "jupyter/data",
            "JUPYTER_RUNTIME_DIR": "jupyter/runtime",
            "COURSE_HOME": "course",
            "SEAT_OUTSIDE": "outside.txt",
        }
        guarded = os.pathsep.join([str(self.home / "guard"), *filter(None, [os.environ.get("PYTHONPATH")])])
        inherited = {k: v for k, v in os.environ.items() if k not in ("COURSE_SCALE", "NBGRADER_EXECUTION")}
        return inherited | {k: str(self.home / v) for k, v in places.items()} | {"PYTHONPATH": guarded}

    @property
    def outside(self) -> str:
        """What its Python processes tried to reach on other machines."""
        path = self.home / "outside.txt"
        return path.read_text() if path.exists() else ""

    def processes(self) -> list[psutil.Process]:
        """All that runs at this seat: the server, kernels, whatever they started."""
        return [process for process in psutil.process_iter() if _variable(process, "SEAT_OUTSIDE", self.home)]


def _variable(process: psutil.Process, name: str, folder: Path) -> bool:
    try:
        return process.environ().get(name) == str(folder / "outside.txt") and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@contextmanager
def taken(home: Path, nbgrader_config: str = "{}") -> Iterator[Seat]:
    """A seat in an empty folder, JupyterLab at work, nbgrader's settings as JSON; at the end nothing of it runs."""
    seat = Seat(home)
    for path, text in {"guard/sitecustomize.py": GUARD, "jupyter/config/nbgrader_config.json": nbgrader_config}.items():
        (home / path).parent.mkdir(parents=True)
        (home / path).write_text(text)
    (home / "user").mkdir()
    _try_guard(seat)
    with (home / "server.log").open("w") as log:
        server = psutil.Popen(
            [sys.executable, "-m", "course.cli", "lab", str(seat.copy), *OPTIONS],
            env=seat.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Seat(home, _answering(server, home))
    finally:
        server.terminate()
        server.wait(timeout=120)
        # What a warm process has forked hears of the end a moment later.
        _, left = psutil.wait_procs(seat.processes(), timeout=60)
        for process in left:
            process.kill()
    assert left == [], "JupyterLab has ended, and these go on"


def _try_guard(seat: Seat) -> None:
    code = "import socket; socket.create_connection(('192.0.2.1', 9))"  # nobody's address (RFC 5737)
    tried = subprocess.run([sys.executable, "-c", code], env=seat.environment, capture_output=True, text=True)
    assert "a test tried to reach 192.0.2.1" in tried.stderr
    (seat.home / "outside.txt").unlink()


def _answering(server: psutil.Popen, home: Path, seconds: float = 120) -> str:
    """Waits until the server answers; it says its address in a file of the runtime folder."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.poll() is None:
        for info in list_running_servers(str(home / "jupyter" / "runtime")):
            address = f"http://127.0.0.1:{info['port']}"
            try:
                urllib.request.urlopen(f"{address}/api/status?token={TOKEN}", timeout=10).close()
            except OSError:
                continue
            return address
        time.sleep(0.1)
    raise AssertionError("JupyterLab did not come up:\n" + (home / "server.log").read_text()[-4000:])


# -- a notebook in the browser ---------------------------------------------------------------------------------

# JupyterLab's own objects, by way of window.jupyterapp.
PANEL = "jupyterapp.shell.currentWidget"
IDLE = "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
OPEN = "(path) => window.jupyterapp?.shell.currentWidget?.context?.path === path"
FIND = f"""(grade_id) => {PANEL}.content.widgets.findIndex(
    (cell) => cell.model.getMetadata("nbgrader")?.grade_id === grade_id)"""
SHOW = f"""(index) => {{
    const notebook = {PANEL}.content;
    notebook.deselectAll();
    notebook.activeCellIndex = index;
    notebook.mode = "command";
    notebook.activate();
    return notebook.scrollToItem(index, "smart");
}}"""
ACTIVE = f"() => {PANEL}.content.activeCellIndex"
COUNT = f"() => {PANEL}.content.activeCell.model.executionCount"
RAN = f"""([index, before]) => {{
    const {{executionCount, executionState}} = {PANEL}.content.widgets[index].model;
    return executionCount && executionCount !== before && executionState === "idle";
}}"""


@dataclass(frozen=True)
class Notebook:
    """A notebook open in JupyterLab. Cells are named by their place or by nbgrader's `grade_id`."""

    page: Any
    path: Path
    seen: Seen

    def cell(self, which: int | str) -> Any:
        """The cell, scrolled to and active; the keyboard commands the notebook."""
        index = self.page.evaluate(FIND, which) if isinstance(which, str) else which
        assert index >= 0, f"There is no cell {which} in {self.path.name}."
        self.page.evaluate(SHOW, index)
        return self.page.locator(f".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell[data-windowed-list-index='{index}']")

    def edit(self, which: int | str) -> Any:
        """The cell, with the cursor in it."""
        cell = self.cell(which)
        cell.locator(".cm-content").click(position={"x": 5, "y": 5})
        return cell

    def write(self, which: int | str, text: str) -> None:
        """Puts a text in the place of the cell's, as one who pastes it."""
        self.edit(which)
        self.page.keyboard.press("ControlOrMeta+A")
        self.page.keyboard.insert_text(text)

    def run(self, which: int | str) -> Any:
        """Runs a cell, and gives where its output is."""
        cell = self.cell(which)
        with self.running(which):
            self.page.keyboard.press("Control+Enter")
        return cell.locator(".jp-Cell-outputArea")

    @contextmanager
    def running(self, which: int | str) -> Iterator[Any]:
        """What is done in the block makes the cell run; waits until it has."""
        self.cell(which)
        index, before = self.page.evaluate(ACTIVE), self.page.evaluate(COUNT)
        yield
        self.page.wait_for_function(RAN, arg=[index, before])

    def saved(self) -> NotebookNode:
        """Saves, and gives what is on the disk then."""
        self.page.keyboard.press("ControlOrMeta+S")
        self.page.wait_for_function(f"() => !{PANEL}.context.model.dirty")
        return nbformat.read(self.path, as_version=4)

    def theme(self, name: str) -> None:
        """Changes JupyterLab's theme, as its settings menu does."""
        self.page.evaluate("(theme) => jupyterapp.commands.execute('apputils:change-theme', {theme})", name)
        self.page.locator(f"body[data-jp-theme-name='{name}']").wait_for(state="attached")

    def try_out(self, text: str) -> Any:
        """Runs a text in a new cell below the active one, and gives where its output is."""
        index = self.page.evaluate(ACTIVE)
        self.cell(index)
        self.page.keyboard.press("b")
        self.write(index + 1, text)
        return self.run(index + 1)


def open_notebook(context: Any, seat: Seat, name: str) -> Notebook:
    """Opens `name`, a path in the learner's copy, in a new page of a browser, and waits for its kernel."""
    page = context.new_page()
    seen = watch(page)
    ours = re.compile(rf"(http|ws)://{re.escape(seat.address.removeprefix('http://'))}/|(data|blob):")
    page.on("request", lambda request: ours.match(request.url) or seen.requests.append(request.url))
    page.on("websocket", lambda socket: ours.match(socket.url) or seen.requests.append(socket.url))
    page.goto(f"{seat.address}/lab/tree/{name}?reset&token={TOKEN}")
    page.wait_for_function(IDLE)
    return Notebook(page, seat.copy / name, seen)
