"""The card: what a check says of an implementation, and how that looks.

A card is HTML without a script, in the colours of the theme around it, and plain text where there is no HTML.

The words a grader reads travel in its MIME bundle under :data:`VERDICT_MIME`::

    {"version": 1, "exercise": str, "state": one of State, "points": float, "max_points": float,
     "misconception": str | None, "message": str}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from html import escape
from typing import Any

from course.locale import gettext as _

VERDICT_MIME = "application/vnd.finetuning-from-zero.verdict+json"


class State(StrEnum):
    """What a check can say of an implementation."""

    NOT_ATTEMPTED = "not attempted"
    WRONG = "wrong"
    ERROR = "error"
    TOO_SLOW = "too slow"
    RIGHT = "right"


@dataclass(frozen=True)
class Look:
    """How a state is shown: its mark, its word, and its colour: in a terminal, in JupyterLab's themes, elsewhere."""

    mark: str
    word: str
    style: str
    theme: str = ""
    colour: str = ""

    def css(self, name: str) -> str:
        """The colour as a property `name`. Said twice: of a notebook that it does not trust JupyterLab drops names."""
        return f"{name}:{self.colour};{name}:var({self.theme},{self.colour})"

    def border(self, width: str) -> str:
        """The colour as a line around something."""
        return " ".join([f"border:{width}", "solid", f"{self.colour};border-color:var({self.theme},{self.colour})"])


# Text has the theme's own colour. These stand 3 : 1 and more against a light and a dark page.
LOOKS = {
    State.RIGHT: Look("✓", "right", "green", "--jp-success-color0", "#2e7d32"),
    State.WRONG: Look("✗", "wrong", "red", "--jp-error-color1", "#c62828"),
    State.ERROR: Look("!", "error", "red", "--jp-error-color1", "#c62828"),
    State.TOO_SLOW: Look("…", "too slow", "magenta", "--jp-warn-color0", "#b26a00"),
    State.NOT_ATTEMPTED: Look("○", "not attempted", "bright_black", "--jp-ui-font-color2", "#607080"),
}


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
    """What a check says of one implementation.

    stdout, stderr: what the learner's code wrote meanwhile. replay: gives the arguments of the call that showed the
    first part to be wrong.
    """

    exercise: str
    outcomes: tuple[Outcome, ...]
    stdout: str = ""
    stderr: str = ""
    replay: Callable[[], dict[str, Any]] | None = field(default=None, repr=False, compare=False)

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
        return self.worst.message if self.worst else _("Every part is right.")

    @property
    def inputs(self) -> dict[str, Any]:
        """The arguments, by name, that your function was last called with before the check stopped at it.

        They are made anew each time, so you may change them: ``freeze(**check_freeze.last.inputs)``.
        """
        if self.replay is None:
            raise LookupError(_("There is no failing input: the check found nothing wrong."))
        return self.replay()

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
        rows = [f"{self.exercise}: {_headline(self)}"]
        for outcome in self.outcomes:
            mark = "+" if outcome.state is State.RIGHT else "-"
            rows.append(f"  {mark} {_(outcome.part.title)} ({outcome.part.points:g})")
        for label, text in _details(self):
            rows.append(f"  {label}: {text}" if "\n" not in text else f"  {label}:\n{_indented(text)}")
        return "\n".join(rows)


def _headline(verdict: Verdict) -> str:
    points = _("{points:g} of {most:g} points").format(points=verdict.points, most=verdict.max_points)
    return f"{_(LOOKS[verdict.state].word)} · {points}"


def _details(verdict: Verdict) -> list[tuple[str, str]]:
    """What the card says below its parts, as (label, text) rows."""
    rows: list[tuple[str, str]] = []
    if worst := verdict.worst:
        rows.append((_("What happened"), worst.message))
        rows.append((_("Seen"), worst.seen))
        rows.append((_("Expected"), worst.expected))
        rows.append((_("Your line"), worst.lines))
        rows.append((_("Look at"), worst.look_at))
    if verdict.replay is not None:
        rows.append(
            (
                _("To play with"),
                _("`check_{exercise}.last.inputs` is what your function was called with.").format(
                    exercise=verdict.exercise
                ),
            )
        )
    rows.append((_("Your code printed"), _end(verdict.stdout)))
    rows.append((_("Your code wrote to stderr"), _end(verdict.stderr)))
    return [(label, text) for label, text in rows if text]


def _end(text: str, most: int = 500) -> str:
    """The last characters of what was printed: a loop that prints would bury the card."""
    text = text.strip()
    return text if len(text) <= most else f"… {text[-most:]}"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def _html(verdict: Verdict) -> str:
    look = LOOKS[verdict.state]
    parts = "".join(
        '<li style="list-style:none;margin:2px 0;padding-left:1.6em;text-indent:-1.6em">'
        f'<span role="img" aria-label="{escape(_(LOOKS[o.state].word))}" style="display:inline-block;width:1.6em;'
        f'text-indent:0;font-weight:700;{LOOKS[o.state].css("color")}">{LOOKS[o.state].mark}</span>'
        f"{code_spans(_(o.part.title))} ({o.part.points:g})</li>"
        for o in verdict.outcomes
    )
    details = "".join(
        f'<div style="margin-top:6px"><b>{escape(label)}.</b> '
        f'<span style="white-space:pre-wrap;overflow-wrap:anywhere">{code_spans(text)}</span></div>'
        for label, text in _details(verdict)
    )
    return (
        f'<div role="status" style="{look.border("1px")};border-left-width:6px;'
        "border-radius:4px;padding:8px 14px;max-width:46em;margin:4px 0;line-height:1.45;"
        'color:var(--jp-content-font-color1, inherit)">'
        f'<div><span aria-hidden="true" style="font-weight:700;{look.css("color")}">{look.mark}</span> '
        f"<code>{escape(verdict.exercise)}</code> · <b>{escape(_headline(verdict))}</b></div>"
        f'<ul style="margin:6px 0;padding:0">{parts}</ul>{details}</div>'
    )


def code_spans(text: str) -> str:
    """Escaped text in which `back-ticked` words are set as code."""
    pieces = escape(text).split("`")
    if len(pieces) % 2 == 0:  # an odd back-tick: leave the text as it is
        return escape(text)
    return "".join(f"<code>{piece}</code>" if i % 2 else piece for i, piece in enumerate(pieces))
