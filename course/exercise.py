"""How a check speaks: parts, misconceptions, the verdict card, hints, the solution.

A lesson's ``*_checks.py`` builds one :class:`Check` for each exercise::

    check_freeze = Check("freeze", hints=("...", "...", "..."))

    @check_freeze.part(2, "freezes every parameter that is not listed")
    def _(freeze: Callable, networks: Sequence[Network]) -> None:
        ...
        raise Wrong(STILL_TRAINABLE, seen=gettext("{name} is trainable").format(name=name), expected="frozen")

The learner writes ``check_freeze(freeze)``. Parts run in order, each on its own, and each earns its points
by returning. The call displays a :class:`~course.card.Verdict` as a card, raises :class:`NothingEarned` (an
``AssertionError``) where no point is earned, and otherwise returns the points as a ``float``: that is what
nbgrader reads as partial credit.

Titles, hints, misconceptions and what was seen and expected are translated when they are shown, so they are plain text
where they say no values. With values they go through :func:`course.locale.gettext`, under that name: ``_`` is a part.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import io
import signal
import sysconfig
import textwrap
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from IPython.display import Markdown, display

from course import catalogue, head, scale, solutions
from course.card import LOOKS, VERDICT_MIME, Outcome, Part, State, Verdict
from course.learner import progress
from course.locale import gettext as _

__all__ = ["VERDICT_MIME", "Check", "Misconception", "NothingEarned", "State", "Wrong"]


@dataclass(frozen=True)
class Misconception:
    """A wrong idea that a check recognises by its symptom.

    ``message`` says what happened and why; ``look_at`` where to look, without giving the answer away.
    """

    name: str
    message: str
    look_at: str = ""


class Wrong(Exception):
    """A part found a wrong answer: which idea is behind it, what was seen, what was expected."""

    def __init__(self, misconception: Misconception, *, seen: object = "", expected: object = "") -> None:
        super().__init__(misconception.message)
        self.misconception = misconception
        self.seen = str(seen)
        self.expected = str(expected)


class NothingEarned(AssertionError):
    """No point was earned. The card says why, so IPython shows a sentence instead of a traceback."""

    def _render_traceback_(self) -> list[str]:
        return textwrap.wrap(f"AssertionError: {self}", 88)  # nbgrader's dialog cuts a longer one off


class Text(Markdown):
    """Markdown in a notebook, the same as plain text in a terminal."""

    def __repr__(self) -> str:
        return str(self.data)


class TimeUp(BaseException):
    """The learner's code used up its time. Not an ``Exception``, so that ``except Exception`` lets it by."""


class Check:
    """The check of one exercise: call it with what the learner wrote.

    Parameters
    ----------
    exercise: the name of the function that the learner writes.
    hints: three hints, each saying more than the one before.
    seconds: wall-clock limit for all parts together. On POSIX systems a slower answer is interrupted;
        elsewhere it is named when it returns.
    seed: seed of torch's generator while the check runs; the learner's own random state is left alone.
    """

    def __init__(self, exercise: str, *, hints: tuple[str, str, str], seconds: float = 20.0, seed: int = 0) -> None:
        self.exercise = exercise
        self.hints = hints
        self.seconds = seconds
        self.seed = seed
        self.parts: list[Part] = []
        self.cases: dict[str, Any] = {}
        self.last: Verdict | None = None
        self._hints_given = 0
        self._asked_for_solution = False

    @property
    def points(self) -> float:
        """What the exercise is worth: the same number as in the test cell's metadata."""
        return float(sum(part.points for part in self.parts))

    def part(self, points: float, title: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Adds ``run(candidate, cases)`` as the next part; it returns when right and raises when not."""

        def add(run: Callable[..., None]) -> Callable[..., None]:
            self.parts.append(Part(points, title, run))
            return run

        return add

    def add_cases(self, **cases: Any) -> None:
        """Gives the parts more cases to look at, by name. Hidden tests do this before they call the check."""
        self.cases.update(cases)

    def verdict(self, candidate: Callable[..., Any]) -> Verdict:
        """Judges ``candidate`` and says nothing: neither a card nor an exception."""
        if not callable(candidate):
            candidate = _no_function(candidate)
        deadline = time.monotonic() + self.seconds
        with _captured() as (stdout, stderr):
            outcomes = [self._outcome(part, candidate, deadline) for part in self.parts]
        failed = [o for o in outcomes if o.state in (State.WRONG, State.ERROR, State.TOO_SLOW)]
        replay = functools.partial(self._inputs, failed[0], candidate) if failed else None
        self.last = Verdict(self.exercise, tuple(outcomes), stdout.text, stderr.text, replay)
        return self.last

    def _outcome(self, part: Part, candidate: Callable[..., Any], deadline: float) -> Outcome:
        # Gradients are on, whatever an earlier cell left behind, and what this code switches off is on again behind it.
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(self.seed)
            return _outcome(part, candidate, list(self.cases.values()), deadline, self.seconds)

    def _inputs(self, failed: Outcome, candidate: Callable[..., Any]) -> dict[str, Any]:
        """The arguments of the last call that a part made: it is run once more, with a copy kept of each.

        That is why a check need not copy what it hands over: it does so only where somebody asks.
        """
        last: tuple[Any, Any] = ((), {})

        @functools.wraps(candidate)
        def witnessed(*args: Any, **kwargs: Any) -> Any:
            nonlocal last
            last = (tuple(map(_copied, args)), {name: _copied(value) for name, value in kwargs.items()})
            return candidate(*args, **kwargs)

        # Of code that never ends nobody waits for the end twice.
        seconds = min(self.seconds, 2.0) if failed.state is State.TOO_SLOW else self.seconds
        with _captured():
            self._outcome(failed.part, witnessed, time.monotonic() + seconds)
        args, kwargs = last
        try:
            return dict(inspect.signature(candidate).bind(*args, **kwargs).arguments)
        except Exception:  # it does not take these arguments, or does not say which it takes
            return {**{str(place): value for place, value in enumerate(args)}, **kwargs}

    def __call__(self, candidate: Callable[..., Any]) -> float:
        verdict = self.verdict(candidate)
        display(verdict)
        self._record("check", state=verdict.state, points=verdict.points, note=verdict.misconception or "")
        if verdict.points == 0:
            state = "" if verdict.state is State.NOT_ATTEMPTED else f"{_(LOOKS[verdict.state].word)}. "
            raise NothingEarned(f"{self.exercise}: {state}{verdict.message}")
        return verdict.points

    def hint(self, number: int | None = None) -> None:
        """Shows the next of three hints, each saying more, and the third again when all are given; or hint `number`."""
        if number is None:
            number = (
                progress.next_hint(self.exercise, len(self.hints), self._hints_given)
                if scale.interactive()
                else min(self._hints_given + 1, len(self.hints))
            )
            self._hints_given = number
        if not 1 <= number <= len(self.hints):
            raise ValueError(_("There are hints 1 to {count}.").format(count=len(self.hints)))
        heading = _("Hint {number} of {count}.").format(number=number, count=len(self.hints))
        display(Text(f"**{heading}** {_(self.hints[number - 1])}"))
        self._record("hint", points=number)

    def solution(self) -> None:
        """Shows the reference, and why it is written so. Before your first try you have to ask twice."""
        try:
            found = solutions.find(catalogue.find_exercise(self.exercise))
        except (solutions.NoSolution, catalogue.UnknownName) as error:
            display(Text(str(error)))
            return
        if not (self._asked_for_solution or self._tried()):
            self._asked_for_solution = True
            display(Text(solutions.not_tried(f"check_{self.exercise}.solution()")))
            return
        display(Text(f"{found.why}\n\n```python\n{found.code}\n```"))
        self._record("solution")

    def _tried(self) -> bool:
        if self.last is not None and self.last.state is not State.NOT_ATTEMPTED:
            return True
        return progress.load().exercises[self.exercise].tries > 0

    def _record(self, kind: progress.Kind, *, state: str = "", points: float = 0.0, note: str = "") -> None:
        """Keeps it in the learner's progress, and shows that above the lesson."""
        if scale.interactive():
            progress.record(kind, self.exercise, state=state, points=points, note=note)
            head.refresh()

    def __repr__(self) -> str:
        return _("check of {exercise}: {points:g} points, {hints} hints").format(
            exercise=self.exercise, points=self.points, hints=len(self.hints)
        )


def _no_function(what: object) -> Callable[..., Any]:
    def call(*args: object, **kwargs: object) -> None:
        raise TypeError(
            _("the check got {what!r}, which is no function. Hand over its name, without calling it").format(what=what)
        )

    return call


def _outcome(part: Part, candidate: Callable[..., Any], cases: list[Any], deadline: float, seconds: float) -> Outcome:
    too_slow = Outcome(
        part,
        State.TOO_SLOW,
        message=_("Your code was still running when its time was up, after {seconds:g} s.").format(seconds=seconds),
        look_at=_("a loop that never ends, or work done once for every element that could be done at once"),
    )
    try:
        with _time_limit(deadline - time.monotonic()):
            part.run(candidate, cases)
    except Wrong as wrong:
        idea = wrong.misconception
        return Outcome(part, State.WRONG, idea.name, _(idea.message), _(idea.look_at), _(wrong.seen), _(wrong.expected))
    except TimeUp as rang:
        return replace(too_slow, lines=_learner_lines(rang))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the learner's code raises, SystemExit too
        if isinstance(error, NotImplementedError) and not error.args:
            message = _("Not attempted yet. Write the function in the cell above, run that cell, then this one again.")
            return Outcome(part, State.NOT_ATTEMPTED, message=message)
        return Outcome(
            part,
            State.ERROR,
            message=_("Your code raised {kind}: {error}").format(kind=type(error).__name__, error=_text(error)),
            lines=_learner_lines(error),
        )
    return Outcome(part, State.RIGHT) if time.monotonic() < deadline else too_slow


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raises :class:`TimeUp` in the block after ``seconds``, where the system has such an alarm."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(signum: int, frame: FrameType | None) -> None:
        raise TimeUp

    before, started = signal.signal(signal.SIGALRM, ring), time.monotonic()
    # It rings again every second: a bare `except:` may swallow the first.
    left, every = signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:  # the alarm of a check that this one runs in
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - started), 0.001), every)


class _End(io.TextIOBase):
    """Keeps the end of what is written to it, so that a loop that prints fills no memory. Nothing closes it."""

    MOST = 2000  # characters

    def __init__(self) -> None:
        self.text = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.text = (self.text + text)[-self.MOST :]
        return len(text)

    def close(self) -> None:
        pass


@contextlib.contextmanager
def _captured() -> Iterator[tuple[_End, _End]]:
    """What is written to stdout and stderr in the block; only in the main thread, since all threads share both."""
    stdout, stderr = _End(), _End()
    if threading.current_thread() is not threading.main_thread():
        yield stdout, stderr
        return
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        yield stdout, stderr


def _learner_lines(error: BaseException) -> str:
    """The traceback cut to the learner's own lines, with the notes another process may have left."""
    here = Path(__file__).parent
    # In autograder/ a judge waits for the learner's code, whose own lines come as notes.
    ours = (str(here), str(here.with_name("autograder")), sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(ours) and not frame.filename.endswith("_checks.py")
    ]
    where = _("line {number}, in {function}: `{line}`")
    rows = [where.format(number=frame.lineno, function=frame.name, line=frame.line) for frame in frames]
    rows += map(_text, getattr(error, "__notes__", []))
    if len(rows) > 6:  # a recursion would fill the page
        rows[3:-2] = [_("... {count} more ...").format(count=len(rows) - 5)]
    return "\n".join(rows)


def _text(value: object) -> str:
    """What it says of itself; nothing where even that fails."""
    try:
        return str(value)
    except Exception:
        return ""


def _copied(value: Any) -> Any:
    """A copy to play with; the thing itself where it cannot be copied."""
    try:
        return copy.deepcopy(value)
    except Exception:  # whatever a value's own way of being copied raises
        return value
