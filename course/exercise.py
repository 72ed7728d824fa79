"""How a check speaks: parts, misconceptions, the verdict card, hints.

A lesson's ``*_checks.py`` builds one :class:`Check` for each exercise::

    check_freeze = Check("freeze", hints=("...", "...", "..."))

    @check_freeze.part(2, "freezes every parameter that is not listed")
    def _(freeze: Callable, networks: Sequence[Network]) -> None:
        ...
        raise Wrong(STILL_TRAINABLE, seen="stem.weight is trainable", expected="frozen")

The learner writes ``check_freeze(freeze)``. Parts run in order, each on its own, and each earns its points
by returning. The call displays a :class:`Verdict` as a card, raises :class:`NothingEarned` (an
``AssertionError``) where no point is earned, and otherwise returns the points as a ``float``: that is what
nbgrader reads as partial credit.

The words a grader reads travel in the card's MIME bundle under :data:`VERDICT_MIME`::

    {"version": 1, "exercise": str, "state": one of State, "points": float, "max_points": float,
     "misconception": str | None, "message": str}
"""

from __future__ import annotations

import contextlib
import io
import signal
import sysconfig
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from html import escape
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from IPython.display import Markdown, display

VERDICT_MIME = "application/vnd.finetuning-from-zero.verdict+json"


class State(StrEnum):
    """What a check can say of an implementation."""

    NOT_ATTEMPTED = "not attempted"
    WRONG = "wrong"
    ERROR = "error"
    TOO_SLOW = "too slow"
    RIGHT = "right"


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
    """No point was earned. The card says why, so IPython shows one line instead of a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"AssertionError: {self}"]


class TimeUp(BaseException):
    """The learner's code used up its time. Not an ``Exception``, so that ``except Exception`` lets it by."""


@dataclass(frozen=True)
class Part:
    """One thing an exercise asks, worth ``points`` of its own."""

    points: float
    title: str
    run: Callable[..., None]


@dataclass(frozen=True)
class Outcome:
    """What became of one part."""

    part: Part
    state: State
    misconception: str | None = None
    message: str = ""
    look_at: str = ""
    seen: str = ""
    expected: str = ""
    lines: str = ""  # the learner's own lines of a traceback


@dataclass(frozen=True)
class Verdict:
    """The card: what a check says of one implementation."""

    exercise: str
    outcomes: tuple[Outcome, ...]
    stderr: str = ""

    @property
    def points(self) -> float:
        return float(sum(o.part.points for o in self.outcomes if o.state is State.RIGHT))

    @property
    def max_points(self) -> float:
        return float(sum(o.part.points for o in self.outcomes))

    @property
    def worst(self) -> Outcome | None:
        """The first part that did not come out right: the one to mend first."""
        return next((o for o in self.outcomes if o.state is not State.RIGHT), None)

    @property
    def state(self) -> State:
        return self.worst.state if self.worst else State.RIGHT

    @property
    def misconception(self) -> str | None:
        return self.worst.misconception if self.worst else None

    @property
    def message(self) -> str:
        return self.worst.message if self.worst else "Every part is right."

    def bundle(self) -> dict[str, Any]:
        """The words a grader reads, as the module's docstring documents them."""
        return {
            "version": 1,
            "exercise": self.exercise,
            "state": str(self.state),
            "points": self.points,
            "max_points": self.max_points,
            "misconception": self.misconception,
            "message": self.message,
        }

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/plain": repr(self), "text/html": _html(self), VERDICT_MIME: self.bundle()}

    def __repr__(self) -> str:
        rows = [f"{self.exercise}: {self.state} · {self.points:g} of {self.max_points:g} points"]
        for outcome in self.outcomes:
            mark = "+" if outcome.state is State.RIGHT else "-"
            rows.append(f"  {mark} {outcome.part.title} ({outcome.part.points:g})")
        rows += [f"  {label}: {text}" for label, text in _details(self)]
        return "\n".join(rows)


class Check:
    """The check of one exercise: call it with what the learner wrote.

    Parameters
    ----------
    exercise: the name of the exercise, as the learner reads it.
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
        stderr = io.StringIO()
        deadline = time.monotonic() + self.seconds
        outcomes = []
        with contextlib.redirect_stderr(stderr), torch.random.fork_rng(devices=[]):
            for part in self.parts:
                torch.manual_seed(self.seed)
                outcomes.append(_outcome(part, candidate, list(self.cases.values()), deadline, self.seconds))
        self.last = Verdict(self.exercise, tuple(outcomes), stderr.getvalue())
        return self.last

    def __call__(self, candidate: Callable[..., Any]) -> float:
        verdict = self.verdict(candidate)
        display(verdict)
        if verdict.points == 0:
            state = "" if verdict.state is State.NOT_ATTEMPTED else f"{verdict.state}. "
            raise NothingEarned(f"{self.exercise}: {state}{verdict.message}")
        return verdict.points

    def hint(self) -> None:
        """Shows the next of three hints, each saying more; the third again when all are given."""
        number = min(self._hints_given, len(self.hints) - 1)
        self._hints_given = number + 1
        display(Markdown(f"**Hint {number + 1} of {len(self.hints)}.** {self.hints[number]}"))

    def __repr__(self) -> str:
        return f"check of {self.exercise}: {self.points:g} points, {len(self.hints)} hints"


def _no_function(what: object) -> Callable[..., Any]:
    def call(*args: object, **kwargs: object) -> None:
        raise TypeError(f"the check got {what!r}, which is no function. Hand over its name, without calling it")

    return call


def _outcome(part: Part, candidate: Callable[..., Any], cases: list[Any], deadline: float, seconds: float) -> Outcome:
    too_slow = Outcome(
        part,
        State.TOO_SLOW,
        message=f"Your code was still running when its time was up, after {seconds:g} s.",
        look_at="a loop that never ends, or work done once for every element that could be done at once",
    )
    try:
        with _time_limit(deadline - time.monotonic()):
            part.run(candidate, cases)
    except Wrong as wrong:
        idea = wrong.misconception
        return Outcome(part, State.WRONG, idea.name, idea.message, idea.look_at, wrong.seen, wrong.expected)
    except TimeUp as rang:
        return replace(too_slow, lines=_learner_lines(rang))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the learner's code raises, SystemExit too
        if isinstance(error, NotImplementedError) and not error.args:
            message = "Not attempted yet. Write the function in the cell above, run that cell, then this one again."
            return Outcome(part, State.NOT_ATTEMPTED, message=message)
        return Outcome(
            part,
            State.ERROR,
            message=f"Your code raised {type(error).__name__}: {error}",
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

    before = signal.signal(signal.SIGALRM, ring)
    # It rings again every second: a bare `except:` may swallow the first.
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _learner_lines(error: BaseException) -> str:
    """The traceback cut to the learner's own lines, with the notes another process may have left."""
    ours = (str(Path(__file__).parent), sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(ours) and not frame.filename.endswith("_checks.py")
    ]
    rows = [f"line {frame.lineno}, in {frame.name}: {frame.line}" for frame in frames]
    rows += getattr(error, "__notes__", [])
    if len(rows) > 6:  # a recursion would fill the page
        rows[3:-2] = [f"... {len(rows) - 5} more ..."]
    return "\n".join(rows)


def _details(verdict: Verdict) -> list[tuple[str, str]]:
    """What the card says below its parts, as (label, text) rows."""
    rows: list[tuple[str, str]] = []
    if worst := verdict.worst:
        rows.append(("What happened", worst.message))
        rows.append(("Seen", worst.seen))
        rows.append(("Expected", worst.expected))
        rows.append(("Your line", worst.lines))
        rows.append(("Look at", worst.look_at))
    rows.append(("Your code wrote to stderr", verdict.stderr.strip()[-500:]))
    return [(label, text) for label, text in rows if text]


_COLOURS = {
    State.RIGHT: "#2e7d32",
    State.WRONG: "#c62828",
    State.ERROR: "#c62828",
    State.TOO_SLOW: "#b26a00",
    State.NOT_ATTEMPTED: "#607080",
}
_MARKS = {
    State.RIGHT: "✓",
    State.WRONG: "✗",
    State.ERROR: "!",
    State.TOO_SLOW: "…",
    State.NOT_ATTEMPTED: "○",
}


def _html(verdict: Verdict) -> str:
    colour = _COLOURS[verdict.state]
    parts = "".join(
        f'<li style="list-style:none;margin:2px 0">'
        f'<span style="display:inline-block;width:1.4em;font-weight:700;color:{_COLOURS[o.state]}" '
        f'aria-label="{escape(o.state)}">{_MARKS[o.state]}</span>{escape(o.part.title)} '
        f'<span style="opacity:.65">({o.part.points:g})</span></li>'
        for o in verdict.outcomes
    )
    details = "".join(
        f'<div style="margin-top:6px"><b>{escape(label)}.</b> '
        f'<span style="white-space:pre-wrap">{_code_spans(text)}</span></div>'
        for label, text in _details(verdict)
    )
    return (
        f'<div role="status" style="border:1px solid {colour};border-left:6px solid {colour};'
        'border-radius:4px;padding:8px 14px;max-width:46em;margin:4px 0;line-height:1.45">'
        f'<div><b style="color:{colour}">{_MARKS[verdict.state]} {escape(verdict.state)}</b> · '
        f"<code>{escape(verdict.exercise)}</code> · "
        f"<b>{verdict.points:g} of {verdict.max_points:g}</b> points</div>"
        f'<ul style="margin:6px 0;padding:0">{parts}</ul>{details}</div>'
    )


def _code_spans(text: str) -> str:
    """Escaped text in which `back-ticked` words are set as code."""
    pieces = escape(text).split("`")
    if len(pieces) % 2 == 0:  # an odd back-tick: leave the text as it is
        return escape(text)
    return "".join(f"<code>{piece}</code>" if i % 2 else piece for i, piece in enumerate(pieces))
