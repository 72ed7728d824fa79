"""A judge: runs the instructor's cells and the tests of one notebook, and drives the learner's side.

It is forked from a warm process, gets one :class:`Job` over ``control``, and tells there of each cell as soon
as it is done. Only this process sees hidden tests.
"""

from __future__ import annotations

import builtins
import copy
import json
import os
import pickle
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autograder import hidden
from autograder.files import Files
from autograder.frames import Channel, Closed
from autograder.judge import pickles, texts
from autograder.judge.minutes import Minutes
from autograder.judge.remote import Client, LearnerExit
from autograder.limits import Limits, bound_memory
from autograder.live import held, identical
from autograder.outputs import safe
from autograder.plan import Plan, Step
from autograder.process import Process
from autograder.shell import CellRun, Shell
from autograder.verdict import State, Verdict, judge


@dataclass(frozen=True)
class Job:
    """What a judge is given: the plan, a folder with the assignment's files, the sandbox's process, the limits.

    ``start`` is the first step that is still to be gone through: those before it were, on both sides. ``asked`` are
    the digests of questions that the sandbox has answered already; the answers come with the job.
    """

    plan: Plan
    folder: str
    sandbox_pid: int
    limits: Limits
    start: int = 0
    asked: tuple[str, ...] = ()


MOST_CELLS = 16  # that may show as much as a cell may: a whole notebook shows no more
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
    _, *frames = buffers
    answers = zip(job.asked, map(bytes, frames[::2]), frames[1::2], strict=True)
    minutes = Minutes(sandbox.sock, list(answers), lambda: _differ(control))
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
    left = job.limits.output_kib * 1024 * MOST_CELLS
    for index, step in enumerate(job.plan.steps):
        if index < job.start:
            client.ran(step.sandbox or "")
            continue
        verdict, outputs = None, []
        most = int(max(min(job.limits.output_kib * 1024, left), 1024))
        if step.sandbox is not None and step.grade_id is not None:
            run = _run_beside(client, step.sandbox)
            outputs = safe(run.outputs, trusted=False, most=most)
            client.unanswered = client.lost is not None
            verdict = replace(_verdict(job.plan, step.grade_id, step.points, run, client), tamper_proof=False)
        elif step.sandbox is not None:
            outputs = safe(_run_there(client, names, step, index), trusted=False, most=most)
        if step.judge is not None:
            run = _run_here(shell, client, names, step)
            secret = run.error is not None and hidden.raised(run.error, job.plan.delimiters)
            _cut_errors(run, secret)
            if step.grade_id is not None:
                outputs = safe(run.outputs, trusted=True, most=most)
                verdict = _verdict(job.plan, step.grade_id, step.points, run, client)
                if secret and verdict.state is not State.NOT_ATTEMPTED:
                    own = "\n".join(text for text in (verdict.misconception, verdict.message) if text)
                    verdict = replace(verdict, message=HIDDEN, misconception=None, hidden_message=own)
        left -= len(json.dumps(outputs)) if outputs else 0
        told = {"index": index, "outputs": outputs, "verdict": verdict and verdict.as_dict()}
        _tell(control, told, minutes if client.alone else None)
    with suppress(Closed):  # what is known of this process can be looked at until it is ended
        control.receive()


def _tell(control: Channel, told: dict[str, Any], minutes: Minutes | None) -> None:
    """Tells of a cell, and what has been said to a sandbox since the last one, where only that decides."""
    if minutes is None or not minutes.complete:
        control.send({"told": told, "exchanges": None})
        return
    exchanges = minutes.taken_down()
    said = [[one.question, one.answer, one.seconds, one.frame is not None] for one in exchanges]
    control.send({"told": told, "exchanges": said}, [part for one in exchanges for part in one.frame or ()])


def _differ(control: Channel) -> None:
    """Ends this process: it would not have asked what has been asked already."""
    control.send({"told": None, "exchanges": None})
    os._exit(0)


def _bound(plan: Plan, *, tests: bool) -> frozenset[str]:
    """The names that test cells bind, or the other cells that a judge runs."""
    found = (step.uses.bound for step in plan.steps if step.judge is not None and (step.grade_id is not None) is tests)
    return frozenset().union(*found)


def _run_there(client: Client, names: Names, step: Step, index: int) -> list[Any]:
    """The outputs of a learner's cell. Whatever goes wrong there shows in the tests that need the cell."""
    if client.lost or step.sandbox is None:
        return []
    client.begin()
    try:
        return client.run(step.sandbox, index, here_too=step.sandbox == step.judge, wanted=names.wanted())
    except (Exception, LearnerExit) as error:
        return [{"output_type": "error", "ename": type(error).__name__, "evalue": str(error), "traceback": []}]


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
