"""The same work over a Dask cluster: in one process tree, and with a scheduler and workers of their own."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autograder import layout, pool
from autograder.limits import Limits

distributed = pytest.importorskip("distributed", reason="The extra [cluster] is not installed.")

RIGHT, WRONG = "def square(x):\n    return x * x", "def square(x):\n    return x"


@contextmanager
def started(*words: str) -> Iterator[subprocess.Popen]:
    """A process of Dask's command line in a group of its own, which ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *words],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"},
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def line_with(process: subprocess.Popen, pattern: str) -> str:
    """Waits for a line that matches, and gives its first group."""
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(pattern, line):
            return found.group(1)
    raise AssertionError(f"{pattern} was never said.")


def results(course, address: str) -> Iterator:
    directory = course.directory
    assignment = layout.read_assignment(directory, "ps1")
    return pool.grade_all(
        assignment,
        list(layout.submissions(directory, assignment)),
        limits=Limits(cell_seconds=60),
        isolate=False,
        scheduler=address,
    )


def test_a_local_cluster_gives_the_scores_and_keeps_one_warm_process(squares: Callable) -> None:
    course = squares()
    (course.root / "source" / "ps1" / "numbers.txt").write_text("1 2 3")
    shipped = "import os\nassert open('numbers.txt').read() == '1 2 3'\nWARM = os.getppid()\n"
    for number in range(6):
        course.submit(f"student-{number}", shipped + "print('warm', WARM)\n" + (RIGHT if number % 2 else WRONG))
    (course.root / "submitted" / "student-0" / "ps1" / "problem.ipynb").write_text('{"cells": [')
    link = course.root / "submitted" / "student-2" / "ps1" / "problem.ipynb"
    link.unlink()
    link.symlink_to("/etc/passwd")
    large = course.root / "submitted" / "student-4" / "ps1" / "problem.ipynb"
    with large.open("wb") as file:
        file.truncate(21 * 2**20)
    options = {"n_workers": 1, "threads_per_worker": 2, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        found = {one.student: reports["problem"] for one, reports in results(course, cluster.scheduler_address)}
        said = course.grade("--scheduler", cluster.scheduler_address)
    assert {who: report.points for who, report in found.items()} == {f"student-{n}": 2.0 * (n % 2) for n in range(6)}
    for odd, words in (("student-0", "cannot be read"), ("student-2", "is not a file"), ("student-4", "larger than")):
        assert words in found[odd].verdicts[0].message
    warm = {report.notebook.cells[0].outputs[0].text for who, report in found.items() if int(who[-1]) % 2}
    assert len(warm) == 1
    assert said.returncode == 0, said.stdout + said.stderr
    assert course.scores() == {f"student-{n}": 2.0 * (n % 2) for n in range(6)}


def test_a_worker_killed_midway_loses_nothing(squares: Callable, tmp_path: Path) -> None:
    course = squares()
    for number in range(12):
        course.submit(f"student-{number:02}", "import time; time.sleep(0.3)\n" + (RIGHT if number % 2 else WRONG))
    with started("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard") as scheduler:
        address = line_with(scheduler, r"Scheduler at:\s+(tcp://\S+)")
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(tmp_path))
        with started("worker", address, *options) as one, started("worker", address, *options) as other:
            for worker in (one, other):
                line_with(worker, r"(Registered to)")
            seen = []
            for submission, reports in results(course, address):
                seen.append((submission.student, reports["problem"].points))
                if len(seen) == 2:
                    os.kill(one.pid, signal.SIGKILL)
            assert sorted(seen) == [(f"student-{n:02}", 2.0 * (n % 2)) for n in range(12)]


KILLS = """
import os, signal
def parent(pid):
    return int(open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[1])
os.kill(parent(os.getppid()), signal.SIGKILL)
"""


def test_what_kills_its_worker_every_time_gets_a_verdict_and_stops_nobody(squares: Callable) -> None:
    """Without isolation: shut-in code sees no process but its own."""
    course = squares()
    course.submit("killer", textwrap.dedent(KILLS) + RIGHT)
    for number in range(3):
        course.submit(f"student-{number}", RIGHT)
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with (
        _few_failures(),
        distributed.LocalCluster(**options) as cluster,
    ):
        found = {one.student: reports["problem"] for one, reports in results(course, cluster.scheduler_address)}
    assert {who: report.points for who, report in found.items()} == {
        "killer": 0.0,
        **{f"student-{n}": 2.0 for n in range(3)},
    }
    assert [str(v.state) for v in found["killer"].verdicts] == ["crashed"]
    assert json.dumps(found["killer"].record())


def _few_failures():
    import dask

    return dask.config.set({"distributed.scheduler.allowed-failures": 1})


def test_a_scheduler_that_does_not_answer_is_said_to_be_none(
    squares: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    from autograder import cluster

    monkeypatch.setattr(cluster, "PATIENCE", 1.0)
    course = squares()
    course.submit("ada", RIGHT)
    with pytest.raises(pool.PoolError, match="does not answer"):
        list(results(course, "tcp://127.0.0.1:9"))
