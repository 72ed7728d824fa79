"""Limits that are watched from outside: processor time, and the memory of all the learner's processes together."""

import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autograder.grading import Report
from autograder.limits import Limits
from autograder.process import Process
from autograder.sandbox import isolation
from autograder.watch import Watch, own_mib

Attempt = Callable[..., Report]

SOLUTION = "def f(): return 1"
TESTS = ["assert f() == 1", "assert f() + 1 == 2"]


def states(report: Report) -> list[str]:
    return [str(verdict.state) for verdict in report.verdicts]


@pytest.fixture(params=[True, False], ids=["isolated", "not isolated"])
def isolate(request: pytest.FixtureRequest) -> bool:
    if request.param and (reason := isolation.why_not()):
        pytest.skip(reason)
    return bool(request.param)


def test_processor_time_is_up(attempt: Attempt, isolate: bool) -> None:
    limits = Limits(cpu_seconds=1, cell_seconds=60)
    report = attempt(SOLUTION, TESTS, "def f():\n    while True: pass", isolate=isolate, limits=limits)
    assert states(report) == ["timeout", "timeout"] and report.points == 0
    assert report.verdicts[0].message == "The processor time was up: the code may use 1 s of it (cpu_seconds)."
    shown = report.notebook.cells[1].outputs[-1].data["text/plain"]
    assert "timeout" in shown and "cpu_seconds" in shown


def test_processor_time_is_up_in_many_short_cells(attempt: Attempt) -> None:
    """None of which lasts until a look."""
    tests = ["assert spin() == 1"] * 60
    spin = "import time\ndef spin():\n    end = time.process_time() + 0.05\n    while time.process_time() < end: pass\n"
    report = attempt("def spin(): return 1", tests, f"{spin}    return 1", limits=Limits(cpu_seconds=1))
    said = states(report)
    assert said[:5] == ["passed"] * 5 and said[-1] == "timeout" and set(said) == {"passed", "timeout"}


# Takes memory in processes of its own, each of which stays far below the limit, and says how many there are.
FORKS = """
import os
def f():
    told, tell = os.pipe()
    for _ in range(6):
        if os.fork() == 0:
            held = bytearray(os.urandom(1 << 20)) * 100
            os.write(tell, b'x')
            os.read(os.pipe()[0], 1)
    while True:
        os.read(told, 1)
"""
ORPHANS = FORKS.replace("if os.fork() == 0:", "if os.fork() == 0 and (os.fork() == 0 or os._exit(0)):")
PROGRAMS = """
import subprocess, sys
def f():
    hold = "held = bytearray(b'x') * (100 << 20); input()"
    running = [subprocess.Popen([sys.executable, '-c', hold], stdin=subprocess.PIPE) for _ in range(6)]
    return running[0].wait()
"""
SHARED = """
import mmap, os
def f():
    for _ in range(6):
        if os.fork() == 0:
            held = mmap.mmap(-1, 100 << 20)
            for start in range(0, len(held), 4096): held[start] = 1
            os.read(os.pipe()[0], 1)
    os.read(os.pipe()[0], 1)
"""
FILES = """
import os
def f():
    held = []
    for _ in range(40):
        held.append(os.memfd_create('held'))
        os.write(held[-1], bytes(16 << 20))
    os.read(os.pipe()[0], 1)
"""
root = pytest.mark.skipif(os.getuid() != 0, reason="only root can see which memory files another process holds")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(FORKS, id="forks"),
        pytest.param(ORPHANS, id="orphans"),
        pytest.param(PROGRAMS, id="programs"),
        pytest.param(SHARED, id="shared"),
        pytest.param(FILES, id="files", marks=root),
    ],
)
def test_memory_of_several_processes_is_bounded_together(isolated: None, attempt: Attempt, answer: str) -> None:
    limits = Limits(memory_mib=400, cell_seconds=60)
    report = attempt(SOLUTION, TESTS, answer, isolate=True, limits=limits)
    assert states(report) == ["memory", "memory"] and report.points == 0
    assert "more memory than the 400 MiB" in report.verdicts[0].message


@root
@pytest.mark.parametrize("ended", [0, 1], ids=["running", "one has ended"])
def test_what_forks_have_in_common_counts_once(isolated: None, attempt: Attempt, ended: int) -> None:
    answer = f"""
import os, time
held = bytearray(os.urandom(1 << 20)) * 200
def f():
    gates = [os.pipe() for _ in range(5)]
    for told, tell in gates:
        if os.fork() == 0:
            os.close(tell)
            os.read(told, 1)
            os._exit(held[0] > 255)
    for told, tell in gates[:{ended}]:
        os.write(tell, b'x')
    time.sleep(1.5)
    for told, tell in gates[{ended}:]:
        os.write(tell, b'x')
    return 1 + sum(os.wait()[1] for _ in gates)
"""
    report = attempt(SOLUTION, TESTS[:1], answer, isolate=True, limits=Limits(memory_mib=400, cell_seconds=60))
    assert states(report) == ["passed"], report.verdicts


def test_an_answer_that_is_too_large_says_so(attempt: Attempt) -> None:
    limits = Limits(memory_mib=300, cell_seconds=60)
    torchs = "exec(\"raise RuntimeError('DefaultCPUAllocator: can\\\\'t allocate memory')\")"
    for answer in ("bytearray(1 << 30)", "__import__('numpy').ones(1 << 28)", torchs):
        report = attempt(SOLUTION, TESTS[:1], f"def f(): return {answer}[0]", limits=limits)
        assert states(report) == ["memory"], report.verdicts


def test_without_a_proc_nothing_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: Any, **__: Any) -> Any:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", nowhere)
    monkeypatch.setattr(Path, "iterdir", nowhere)
    watch = Watch(Process(os.getpid()), Limits(memory_mib=0, cpu_seconds=0.001))
    watch.look()
    assert watch.exceeded is None


@pytest.mark.parametrize("advice", [14, 15], ids=["in huge pages", "in small pages"])  # MADV_HUGEPAGE, MADV_NOHUGEPAGE
def test_own_memory_is_what_came_after_the_fork(advice: int) -> None:
    shared = np.ones(50 << 20, dtype=np.uint8)
    (told, tell), (go_on, let_go) = os.pipe(), os.pipe()
    if (child := os.fork()) == 0:
        os.read(go_on, 1)
        taken = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        taken.madvise(advice)
        for place in range(0, len(taken), 4096):
            taken[place] = 1
        taken.close()  # the most it had counts, not what it has
        os.write(tell, b"x")
        os.read(go_on, 1)
        os._exit(0)
    came_with = Watch(Process(child), Limits()).came_with
    os.write(let_go, b"x")
    os.read(told, 1)
    took = own_mib(child, came_with)
    os.write(let_go, b"x")
    os.waitpid(child, 0)
    assert took is not None and 64 <= took < 140 and shared.all()
    assert own_mib(child, came_with) is None
