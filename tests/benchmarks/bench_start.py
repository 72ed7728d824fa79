"""How long a lesson takes to its first card, from a cold kernel and from a warm one, in one run.

From the request for a kernel to the card of the first check, by way of the setup cell and the first exercise's
solution; the experiments before it are passed over. Cold and warm take turns, so that both meet the same weather, and
the median counts. A second figure is the processor time that the kernel used, which does not mind who else computes.
Before that: what the imports of each lesson's setup cell cost, and which libraries they are.

Writes build/start.json: for each lesson ``imports`` and ``seconds`` as they are printed.
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from statistics import median
from typing import Any

from jupyter_client import KernelManager
from jupyter_client.provisioning import KernelProvisionerFactory
from nbformat import NotebookNode

from course import kernels, paths, release
from course.exercise import VERDICT_MIME
from course.kernels import provisioner

LESSONS = ("01-training-loop", "04-freezing")
ROUNDS = 5
COLD = "local-provisioner"
IMPORT = re.compile(r"import time:\s*(\d+) \|\s*\d+ \| *([\w]+)")


def main() -> None:
    factory = KernelProvisionerFactory.instance()
    factory.provisioners.setdefault(  # an installation from before it had one
        kernels.PROVISIONER,
        EntryPoint(kernels.PROVISIONER, "course.kernels.provisioner:WarmProvisioner", factory.GROUP_NAME),
    )
    figures: dict[str, Any] = {}
    for name in release.lesson_names(paths.source()):
        figures[name] = {"imports": imports(name)}
        seconds = figures[name]["imports"]
        dearest = ", ".join(f"{library} {share:.2f}" for library, share in seconds["by library"].items())
        print(f"{name:36} imports {seconds['together']:5.2f} s: {dearest}")

    started = time.perf_counter()
    warm = provisioner.warm_process()
    select.select([warm.control], [], [])
    print(f"the warm process is warm after {time.perf_counter() - started:.1f} s")
    for name in LESSONS:
        runs: dict[str, list[dict[str, float]]] = {COLD: [], kernels.PROVISIONER: []}
        for _ in range(ROUNDS):
            for way, found in runs.items():
                factory.default_provisioner_name = way
                found.append(first_card(name))
        cold, warmed = (
            {what: median(run[what] for run in found) for what in ("wall", "cpu")} for found in runs.values()
        )
        figures[name]["seconds"] = {"cold": cold, "warm": warmed, "ratio": cold["wall"] / warmed["wall"]}
        print(
            f"{name:36} first card: cold {cold['wall']:.2f} s ({cold['cpu']:.2f} s of a core), "
            f"warm {warmed['wall']:.2f} s ({warmed['cpu']:.2f}): {cold['wall'] / warmed['wall']:.1f} times as fast"
        )
    warm.close()
    out = Path("build", "start.json")
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(figures, indent=1) + "\n")


def imports(name: str) -> dict[str, Any]:
    """Seconds that the imports of a lesson's setup cell take by themselves, and of which libraries the most are."""
    setup = next(_cells(name))
    command = [sys.executable, "-X", "importtime", "-c", setup.source]
    said = subprocess.run(command, cwd=paths.source() / name, capture_output=True, text=True, check=True).stderr
    shares: Counter[str] = Counter()
    for microseconds, library in IMPORT.findall(said):
        shares[library] += int(microseconds)
    return {
        "together": shares.total() / 1e6,
        "by library": {library: share / 1e6 for library, share in shares.most_common(4)},
    }


def first_card(name: str) -> dict[str, float]:
    """Seconds from the request for a kernel to the first card, and seconds of a core that the kernel used for it."""
    started = time.perf_counter()
    manager = KernelManager()
    manager.start_kernel(cwd=str(paths.source() / name))
    client = manager.client()
    client.start_channels()
    client.wait_for_ready()
    shown: list[dict[str, Any]] = []
    for cell in _cells(name):
        client.execute_interactive(cell.source, output_hook=shown.append)
    wall = time.perf_counter() - started
    assert any(VERDICT_MIME in message["content"].get("data", {}) for message in shown), shown
    cpu = _cpu_seconds(manager.provisioner.pid)
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    return {"wall": wall, "cpu": cpu}


def _cells(name: str) -> Iterator[NotebookNode]:
    """The cells of the lesson from its setup to its first check, without hidden tests and experiments."""
    for cell in release.source_notebook(paths.source() / name).cells:
        if meta := cell.metadata.get("nbgrader"):
            cell.source = re.sub(r"### BEGIN HIDDEN.*?### END HIDDEN TESTS\n?", "", cell.source, flags=re.DOTALL)
            yield cell
            if meta.grade:
                return


def _cpu_seconds(pid: int) -> float:
    found = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(found[11]) + int(found[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
