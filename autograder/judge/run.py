"""A judge: runs the instructor's cells and the tests of one notebook, and drives the learner's side.

It is forked from a warm process, gets one :class:`Job` over ``control``, and tells there of each cell as soon
as it is done. Only this process sees hidden tests.
"""

from __future__ import annotations

import builtins
import copy
import os
import pickle
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from autograder import hidden
from autograder.files import Files
from autograder.frames import Buffers, Channel, Closed, Packed
from autograder.judge import pickles, texts
from autograder.judge.minutes import Minutes
from autograder.judge.remote import Client, LearnerExit
from autograder.limits import Limits, bound_memory
from autograder.live import held, identical
from autograder.outputs import Allowance
from autograder.plan import Plan, Step
from autograder.process import Process
from autograder.shell import CellRun, Shell
from autograder.verdict import State, Verdict, judge


@dataclass(frozen=True)
class Job:
    """What a judge is given: the plan, a folder with the assignment's files, the sandbox's process, the limits.

    ``start`` is the first step that is still to be gone through: those before it were, on both sides. ``asked`` are
    the digests of questions that the sandbox has answered already, each with the number of frames that came in then:
    they come with the job.
    """

    plan: Plan
    folder: str
    sandbox_pid: int
    limits: Limits
    start: int = 0
    asked: tuple[tuple[str, int], ...] = ()


HIDDEN = "A hidden test failed."

_ABSENT = object()


class Names:
    """The notebook's names on both sides: the learner's are brought here, a test's assignments are sent there."""

    def __init__(self, namespace: dict[str, Any], client: Client, plan: Plan) -> None:
        self._here = namespace
        self._client = client
        self._plan = plan
        self.learners = frozenset(plan.learners)
        self._learners: dict[str, Any] = {}  # names that are bound here to what the learner defined
        self._seen: dict[str, Any] = {}
        self._filled: dict[str, Any] = {}  # containers of the instructor's, as the learner's code has them

    def bring(self, filled: Iterable[str] = (), *, anew: bool = False) -> None:
        """Binds here the names that only the learner defines, and takes over files, where they are asked for ``anew``.

        Of the ``filled`` names a test may change in place what an instructor's cell made. A name that an instructor's
        cell binds stays the instructor's, whatever the learner does with it, unless the reference solution defines or
        fills it too.
        """
        own = self.wanted()
        found = self._client.names(own, anew=anew) if own or anew else {}
        for name in self._learners.keys() - found.keys():
            if self._here.get(name) is self._learners[name]:
                del self._here[name]
        self._here.update(found)
        self._learners = found
        self._seen = {n: self._here.get(n, _ABSENT) for n in {*self._plan.watched, *self._learners}}
        given = {n: self._here[n] for n in filled if n in self._here and n not in self._learners}
        self._filled = {n: copy.copy(value) for n, value in given.items() if type(value) in (dict, list, set)}

    def wanted(self) -> list[str]:
        """The names that the learner may define and a test reads."""
        return [n for n in self._plan.wanted if n in self.learners or not self._is_instructors(n)]

    def renew(self, changed: dict[str, Any]) -> None:
        """Binds here what a learner's name is bound to there by now, unless the test has bound it anew itself."""
        for name, value in changed.items():
            if name in self._learners and self._here.get(name, _ABSENT) is self._seen.get(name):
                self._here[name] = self._learners[name] = self._seen[name] = value

    def _is_instructors(self, name: str) -> bool:
        if name in self._plan.instructors or hasattr(builtins, name):
            return True
        return name in self._here and (name not in self._learners or self._here[name] is not self._learners[name])

    def send(self) -> None:
        """Assigns and deletes there what a test has assigned and deleted here since the last look."""
        changed = {
            n: self._here.get(n, _ABSENT) for n, old in self._seen.items() if self._here.get(n, _ABSENT) is not old
        }
        for name, before in self._filled.items():
            now = self._here.get(name)
            if type(now) is type(before) and not identical(held(now), held(before)):
                changed[name], self._filled[name] = now, copy.copy(now)
        if not changed:
            return
        self._seen.update(changed)
        if gone := [name for name, value in changed.items() if value is _ABSENT]:
            self._client.unbind(gone)
        if new := {name: value for name, value in changed.items() if value is not _ABSENT}:
            self._client.bind(new)


def main(control: Channel, sandbox: Channel, shell: Shell, settle: Callable[[str], None]) -> None:
    """Grades one notebook, telling of each of its cells over ``control``; ``settle`` makes a folder its own."""
    # Between cells nobody listens to what the learner's code prints and warns of: it must not reach a terminal.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        _grade(control, sandbox, shell, settle)


def _grade(control: Channel, sandbox: Channel, shell: Shell, settle: Callable[[str], None]) -> None:
    _, buffers = control.receive()
    job: Job = pickle.loads(buffers[0])
    bound_memory(job.limits)
    os.chdir(job.folder)
    settle(job.folder)
    shell.muted = lambda: hidden.running(job.plan.delimiters)
    minutes = Minutes(sandbox.sock, _said(job.asked, buffers), lambda: _differ(control))
    client = Client(minutes, Process(job.sandbox_pid), job.plan.classes)
    client.files = Files(Path(job.folder))
    client.files.keep(job.plan.written)
    client.swallows, client.seeds = job.plan.swallows, job.plan.seeds
    client.tests_own = _bound(job.plan, tests=True) - _bound(job.plan, tests=False)
    client.heard.written = lambda: (step.judge for step in job.plan.steps if step.judge is not None)
    texts.run_there(client, shell.user_ns)
    pickles.load_there(client, shell.user_ns)
    names = Names(shell.user_ns, client, job.plan)
    client.renamed = names.renew
    steps, start = job.plan.steps, job.start
    for step in steps[:start]:
        client.ran(step.sandbox or "")
    groups = {group[0]: (number, group) for number, group in enumerate(job.plan.groups(start))}
    cells = _Cells(control, client, minutes, start, Allowance(job.limits.output_kib * 1024))
    for index, step in enumerate(steps[start:], start):
        if index in groups:
            _run_group(shell, client, names, steps, cells, *groups[index])
        elif step.grade_id is not None:
            outputs, verdict, trusted = _tested(job, shell, client, names, step)
            cells.tell(index, outputs, verdict, trusted=trusted)
        else:
            cells.tell(index)
    with suppress(Closed):  # what is known of this process can be looked at until it is ended
        control.receive()


def _said(asked: tuple[tuple[str, int], ...], buffers: Buffers) -> list[tuple[str, deque[Packed]]]:
    """What has been said to a sandbox: each question, by its digest, and what came in then."""
    _, *parts = buffers
    frames = iter(list(zip(parts[::2], parts[1::2], strict=True)))
    said = []
    for question, number in asked:
        came = deque(Packed(bytes(header), body, _copied(body), True) for header, body in islice(frames, number - 1))
        header, body = next(frames)  # of the answer itself
        said.append((question, deque([*came, Packed(bytes(header), body, _copied(body), False)])))
    return said


def _copied(body: memoryview) -> Callable[[], memoryview]:
    return lambda: memoryview(bytes(body))


class _Cells:
    """Tells of cells, in their order, and of what has been said to a sandbox, as long as only that decides."""

    def __init__(self, control: Channel, client: Client, minutes: Minutes, start: int, allowance: Allowance) -> None:
        self._control, self._client, self._minutes = control, client, minutes
        self._next = start
        self._allowance = allowance

    def tell(self, index: int, outputs: Any = (), verdict: Verdict | None = None, *, trusted: bool = False) -> None:
        """Tells of a cell that has not been told of, and first of those before it that have shown nothing."""
        while self._next < index:
            self._send([], None)
        if verdict is not None and not self._allowance.full:
            self._client.alone = False  # what cells showed before decides what of this one may be shown
        if self._next == index:
            self._send(self._allowance.safe(list(outputs), trusted=trusted), verdict)

    def _send(self, outputs: list[Any], verdict: Verdict | None) -> None:
        self._next += 1
        told = {"outputs": outputs, "verdict": verdict and verdict.as_dict()}
        if not (self._client.alone and self._minutes.complete):
            self._control.send({"told": told, "exchanges": None})
            return
        exchanges = self._minutes.taken_down()
        said = [[one.question, one.answer, one.seconds, one.frame is not None] for one in exchanges]
        parts = [part for one in exchanges for part in one.frame or ()]
        self._control.send({"told": told, "exchanges": said}, parts)


def _differ(control: Channel) -> None:
    """Ends this process: it would not have asked what has been asked already."""
    control.send({"told": None, "exchanges": None})
    os._exit(0)


def _bound(plan: Plan, *, tests: bool) -> frozenset[str]:
    """The names that test cells bind, or the other cells that a judge runs."""
    found = (step.uses.bound for step in plan.steps if step.judge is not None and (step.grade_id is not None) is tests)
    return frozenset().union(*found)


def _run_group(
    shell: Shell, client: Client, names: Names, steps: list[Step], cells: _Cells, number: int, group: list[int]
) -> None:
    """Runs a group of cells there, and its one cell here too, where it is the instructor's.

    Whatever goes wrong there shows in the tests that need the cells.
    """
    first = steps[group[0]]
    untold = deque(group)
    shown: list[Any] | None = None  # by the last cell, which is told of when all is done: so it is known what was said

    def tell(outputs: list[Any]) -> None:
        nonlocal shown
        if len(untold) > 1:
            cells.tell(untold.popleft(), outputs)
        else:
            shown = outputs

    if not client.lost:
        client.begin()
        sources = [steps[index].sandbox or "" for index in group]
        try:
            here_too = first.sandbox == first.judge
            client.run_group(number, sources, names.wanted(), tell, here_too)
        except (Exception, LearnerExit) as error:
            client.alone = False  # what is shown of that comes from an answer
            if shown is None or first.judge is not None:
                tell([{"output_type": "error", "ename": type(error).__name__, "evalue": str(error), "traceback": []}])
    if first.judge is not None:
        _run_here(shell, client, names, first)
    cells.tell(untold[-1], shown or ())


def _tested(job: Job, shell: Shell, client: Client, names: Names, step: Step) -> tuple[list[Any], Verdict, bool]:
    """What a test showed, the verdict, and whether what it showed is a test's own."""
    grade_id = str(step.grade_id)
    if step.judge is None:
        run = _run_beside(client, step.sandbox or "")
        client.unanswered = client.lost is not None
        return run.outputs, replace(_verdict(job.plan, grade_id, step.points, run, client), tamper_proof=False), False
    run = _run_here(shell, client, names, step)
    secret = run.error is not None and hidden.raised(run.error, job.plan.delimiters)
    _cut_errors(run, secret)
    verdict = _verdict(job.plan, grade_id, step.points, run, client)
    if secret and verdict.state is not State.NOT_ATTEMPTED:
        own = "\n".join(text for text in (verdict.misconception, verdict.message) if text)
        verdict = replace(verdict, message=HIDDEN, misconception=None, hidden_message=own)
    return run.outputs, verdict, True


def _run_beside(client: Client, source: str) -> CellRun:
    """A test that the course lets run beside the learner's code: how that says it went."""
    try:
        return CellRun() if client.lost else client.test(source)
    except (Exception, LearnerExit) as error:
        return CellRun(error=error)


def _run_here(shell: Shell, client: Client, names: Names, step: Step) -> CellRun:
    is_test = step.grade_id is not None
    # of a learner's process that is gone, nothing can be asked: neither what it defined nor what that does
    client.unanswered = client.lost is not None and not names.learners.isdisjoint(step.uses.read)
    if not client.lost:
        client.begin()
        if client.files is not None:
            client.files.watch(step.uses.files)
        try:
            names.bring(step.uses.filled, anew=bool(step.uses.files))
        except (Exception, LearnerExit) as error:
            return CellRun(error=error)
    client.before_asking = names.send if is_test else lambda: None
    client.patches.watch(step.uses.changed, shell.user_ns)
    run = shell.run(step.judge or "")
    client.before_asking = lambda: None
    if is_test and not client.lost:
        with suppress(Exception, LearnerExit):  # a value that cannot be sent: no question of this test needed it
            names.send()
    return run


def _cut_errors(run: CellRun, secret: bool) -> None:
    """Cuts tracebacks to one line: they show the lines of hidden tests. Of a ``secret`` error no text is left."""
    for output in run.outputs:
        if output["output_type"] == "error":
            if secret:
                output["evalue"] = HIDDEN
            output["traceback"] = [f"{output['ename']}: {output['evalue']}"]


def _verdict(plan: Plan, grade_id: str, points: float, run: CellRun, client: Client) -> Verdict:
    """The verdict on a test; one that asked in vain proves nothing, whatever it made of that."""
    if client.unanswered or (client.lost and run.error is not None):
        message = f"The process that ran the learner's code ended before the test did. {client.lost}"
        return Verdict(grade_id, State.CRASHED, 0.0, points, message)
    verdict = judge(grade_id, points, run)
    if verdict.points == 0 and grade_id in plan.unattempted:
        return Verdict(grade_id, State.NOT_ATTEMPTED, 0.0, points, "Not attempted yet.")
    return verdict
