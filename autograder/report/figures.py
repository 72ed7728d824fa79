"""The pictures of a report: inline SVG whose text keeps its size while the drawing takes the width of the page.

Lengths across are shares of the width, in per cent; lengths down are pixels. Everything that comes from a submission
is escaped by ``Markup.format``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from autograder.palette import LOOKS
from autograder.report.data import key
from autograder.verdict import State

Record = dict[str, Any]

NOTHING = "nothing"  # the state of a student who has no verdict on an exercise


def _svg(height: float, title: str, parts: Iterable[Markup], name: str) -> Markup:
    return Markup('<svg class="{}" role="img" aria-label="{}" width="100%" height="{}">{}</svg>').format(
        name, title, height, Markup("").join(parts)
    )


def histogram(bins: list[Record], title: str, unit: str, marks: dict[str, float] | None = None) -> Markup:
    """Bars over bins, each with its count; ``marks`` are upright lines with a name."""
    low, high = bins[0]["low"], bins[-1]["high"]
    tallest = max(b["count"] for b in bins) or 1
    span = (high - low) or 1.0
    top, floor = 34.0, 190.0

    def across(value: float) -> float:
        return 2 + 96 * (value - low) / span

    def draw() -> Iterator[Markup]:
        for one in bins:
            left, width = across(one["low"]), across(one["high"]) - across(one["low"])
            tall = (floor - top) * one["count"] / tallest
            label = f"{one['low']:.4g} to {one['high']:.4g} {unit}: {one['count']}"
            if one["count"]:
                yield Markup(
                    '<rect class="bar" x="{:.3f}%" y="{:.1f}" width="{:.3f}%" height="{:.1f}"><title>{}</title></rect>'
                ).format(left + 0.08 * width, floor - tall, 0.84 * width, tall, label)
                yield Markup('<text class="count" x="{:.3f}%" y="{:.1f}">{}</text>').format(
                    left + width / 2, floor - tall - 5, one["count"]
                )
        yield Markup('<line class="axis" x1="2%" x2="98%" y1="{0}" y2="{0}"/>').format(floor)
        for value in (v for v in MaxNLocator(5).tick_values(low, high) if low <= v <= high):
            yield Markup('<line class="axis" x1="{0:.3f}%" x2="{0:.3f}%" y1="{1}" y2="{2}"/>').format(
                across(value), floor, floor + 5
            )
            yield Markup('<text class="tick{}" x="{:.3f}%" y="{}">{:.4g}</text>').format(
                _side(across(value)), across(value), floor + 20, value
            )
        yield Markup('<text class="tick" x="50%" y="{}">{}</text>').format(floor + 38, unit)
        for number, (name, value) in enumerate((marks or {}).items()):
            x = across(min(max(value, low), high))
            side = " start" if x < 50 else " end"
            yield Markup('<line class="mark" x1="{0:.3f}%" x2="{0:.3f}%" y1="{1}" y2="{2}"/>').format(
                x, 6 + 14 * number, floor
            )
            yield Markup('<text class="name{}" x="{:.3f}%" dx="{}" y="{}">{} {:.3g}</text>').format(
                side, x, 5 if x < 50 else -5, 14 + 14 * number, name, value
            )

    return _svg(floor + 46, title, draw(), "histogram")


def stack(exercise: Record) -> Markup:
    """One bar, cut in the shares of each state."""
    total = sum(exercise["states"].values())
    shares = [(state, exercise["states"].get(str(state), 0)) for state in LOOKS]
    label = ", ".join(f"{count} {state}" for state, count in shares if count)

    def draw() -> Iterator[Markup]:
        left = 0.0
        for state, count in shares:
            width = 100 * count / total if total else 0
            if count:
                yield Markup(
                    '<g><title>{}: {}</title><rect x="{:.3f}%" y="0" width="{:.3f}%" height="24" class="s {}"/>'
                ).format(state, count, left, width, css_class(state))
                if width >= 9:
                    yield Markup('<text x="{:.3f}%" y="16.5" class="t {}">{} {}</text>').format(
                        left + width / 2, css_class(state), LOOKS[state].mark, count
                    )
                yield Markup("</g>")
            left += width

    return _svg(24, label or "no verdicts", draw(), "stack")


def heat_map(students: list[Record], exercises: list[Record]) -> Markup:
    """Exercises down, students across, best first: neighbours in the same state are one area."""
    tests = [e for e in exercises if e["kind"] == "test"]
    count, row = len(students), 40
    gap = 2 if count <= 60 else 0

    def draw() -> Iterator[Markup]:
        for line, exercise in enumerate(tests):
            y = row * line
            yield Markup('<text class="row" x="0" y="{}">{}</text>').format(y + 13, short(exercise["grade_id"]))
            states = [_state(student, exercise) for student in students]
            first = 0
            for state, same in groupby(range(count), key=lambda i: states[i] if not gap else f"{states[i]}\n{i}"):
                number, name = len(list(same)), state.split("\n")[0]
                who = students[first]["id"] if number == 1 else f"students {first + 1} to {first + number} of {count}"
                yield Markup(
                    '<rect class="s {}" x="{:.3f}%" y="{}" width="{:.3f}%" height="{}"><title>{}: {}, {}</title></rect>'
                ).format(
                    css_class(name),
                    100 * first / count,
                    y + 18,
                    100 * number / count * (0.94 if gap else 1),
                    row - 20,
                    short(exercise["grade_id"]),
                    name,
                    who,
                )
                share = number / count
                if gap and count <= 40 and name in LOOKS:
                    yield Markup('<text class="t small {}" x="{:.3f}%" y="{}">{}</text>').format(
                        css_class(name), 100 * (first + 0.47) / count, y + 32.5, LOOKS[State(name)].mark
                    )
                elif not gap and share > 0.04 and name in LOOKS:
                    yield Markup('<text class="t {}" x="{:.3f}%" y="{}">{}</text>').format(
                        css_class(name), 100 * (first + number / 2) / count, y + 32.5, LOOKS[State(name)].mark
                    )
                first += number
        end = row * len(tests) + 14
        yield Markup('<text class="tick start" x="0" y="{}">← most points</text>').format(end)
        yield Markup('<text class="tick end" x="100%" y="{}">fewest →</text>').format(end)

    title = f"Verdicts of {count} students on {len(tests)} exercises; the register below has each of them in words"
    return _svg(row * len(tests) + 20, title, draw(), "heat")


def scatter(exercises: list[Record]) -> Markup:
    """Difficulty across, discrimination down; points carry the numbers of their exercises."""
    top, floor = 14.0, 254.0
    shown = [
        (number, e)
        for number, e in enumerate(exercises, 1)
        if e["difficulty"] is not None and e["discrimination"] is not None
    ]
    low = min([0.0, *(e["discrimination"] for _, e in shown)])

    def across(value: float) -> float:
        return 12 + 82 * min(max(value, 0.0), 1.0)

    def down(value: float) -> float:
        return floor - (floor - top) * (value - low) / (1 - low)

    def draw() -> Iterator[Markup]:
        for value in (v for v in (-1, -0.5, 0, 0.2, 0.5, 1) if v >= low):
            yield Markup('<line class="{}" x1="10%" x2="98%" y1="{y:.1f}" y2="{y:.1f}"/>').format(
                "axis" if value == 0 else "grid", y=down(value)
            )
            yield Markup('<text class="tick end" x="8.5%" y="{:.1f}">{:g}</text>').format(down(value) + 4, value)
        for value in (0, 0.25, 0.5, 0.75, 1):
            yield Markup('<text class="tick" x="{:.3f}%" y="{}">{:.0%}</text>').format(across(value), floor + 20, value)
        yield Markup('<text class="tick" x="53%" y="{}">difficulty: mean share of points</text>').format(floor + 40)
        for number, exercise in shown:
            x, y = across(exercise["difficulty"]), down(exercise["discrimination"])
            yield Markup(
                "<g><title>{}: difficulty {:.2f}, discrimination {:.2f}</title>"
                '<circle class="dot" cx="{:.3f}%" cy="{:.1f}" r="11"/>'
                '<text class="inside" x="{:.3f}%" y="{:.1f}">{}</text></g>'
            ).format(exercise["grade_id"], exercise["difficulty"], exercise["discrimination"], x, y, x, y + 4, number)

    return _svg(floor + 48, "Difficulty and discrimination of each exercise", draw(), "scatter")


def css_class(state: str) -> str:
    """The class that gives a state its colours."""
    return "s-" + str(state).replace(" ", "-")


def _side(x: float) -> str:
    """The class of a text that would stick out of the picture at ``x`` per cent."""
    return " start" if x < 6 else " end" if x > 94 else ""


def short(name: str) -> str:
    return name.removeprefix("check-").removeprefix("test-")


def _state(student: Record, exercise: Record) -> str:
    test = student["tests"].get(key(exercise))
    return test["state"] if test else NOTHING
