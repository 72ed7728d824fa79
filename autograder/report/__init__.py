"""What an instructor looks at after a grading: a table in the terminal, and a picture."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from autograder.pool import Reports
from autograder.verdict import CUT_SHORT, State, Verdict

if TYPE_CHECKING:
    from matplotlib.patches import Patch

COLOURS = {
    State.PASSED: "green",
    State.PARTIAL: "yellow",
    State.FAILED: "red",
    State.NOT_ATTEMPTED: "bright_black",
}
SHADES = {State.PASSED: "#2e7d32", State.PARTIAL: "#f0b429", State.FAILED: "#c62828", State.NOT_ATTEMPTED: "#cfd8dc"}
OTHER_COLOUR, OTHER_SHADE = "magenta", "#7b1fa2"


def verdicts(reports: Reports) -> list[Verdict]:
    """All verdicts of a submission, in the order of its notebooks."""
    return [verdict for report in reports.values() if report is not None for verdict in report.verdicts]


def table(graded: dict[str, Reports]) -> Table:
    """Students down, exercises across: points and verdict of each, the total, and the first thing to mend."""
    exercises = _exercises(graded)
    made = Table(title=None, show_lines=True, expand=False)
    made.add_column("student", no_wrap=True)
    for name in exercises:
        made.add_column(_short(name), justify="center")
    made.add_column("total", justify="right", no_wrap=True)
    made.add_column("message", ratio=1, max_width=60)
    for student in sorted(graded):
        by_name = {v.grade_id: v for v in verdicts(graded[student])}
        cells = [_cell(by_name.get(name)) for name in exercises]
        total = sum(v.points for v in by_name.values())
        most = sum(v.max_points for v in by_name.values())
        message = Text(_message(list(by_name.values())))  # as it is: a learner's text may look like markup
        made.add_row(Text(student), *cells, f"{total:g} of {most:g}", message)
    return made


def by_exercise(graded: dict[str, Reports]) -> Table:
    """Exercises down, how their tests ended across: how many of each, and the mean of the points."""
    found: defaultdict[str, list[Verdict]] = defaultdict(list)
    for reports in graded.values():
        for verdict in verdicts(reports):
            found[verdict.grade_id].append(verdict)
    seen = {verdict.state for all_of_it in found.values() for verdict in all_of_it}
    states = [state for state in State if state in seen]
    made = Table(title=f"{len(graded)} submissions", title_justify="left", expand=False)
    made.add_column("exercise", no_wrap=True)
    for state in states:
        made.add_column(Text(state, style=COLOURS.get(state, OTHER_COLOUR)), justify="right")
    made.add_column("mean points", justify="right", no_wrap=True)
    for name, all_of_it in found.items():
        ended = Counter(v.state for v in all_of_it)
        mean, most = fmean(v.points for v in all_of_it), max(v.max_points for v in all_of_it)
        made.add_row(Text(name), *(str(ended[state] or "") for state in states), f"{mean:.2f} of {most:g}")
    return made


def cut_short(graded: dict[str, Reports], most: int) -> Table | None:
    """Submissions with a test that did not end by itself, or a notebook that could not be read: why, of each."""
    first = {who: next((v for v in verdicts(graded[who]) if v.state in CUT_SHORT), None) for who in sorted(graded)}
    found = {who: verdict for who, verdict in first.items() if verdict is not None}
    if not found:
        return None
    made = Table(title="Cut short, or not readable", title_justify="left", expand=False)
    for name in ("student", "exercise", "verdict"):
        made.add_column(name, no_wrap=True)
    made.add_column("message", ratio=1)
    for who, verdict in list(found.items())[:most]:
        made.add_row(Text(who), Text(verdict.grade_id), Text(verdict.state, style=OTHER_COLOUR), Text(verdict.message))
    if len(found) > most:
        made.caption = f"These are the first {most} of {len(found)}."
    return made


def picture(graded: dict[str, Reports], path: Path, title: str) -> None:
    """The same as a PNG: one square for each student and exercise, with its points."""
    from matplotlib.figure import Figure

    exercises, students = _exercises(graded), sorted(graded)
    figure = Figure(figsize=(1.6 * len(exercises) + 2.6, 0.6 * len(students) + 1.6), layout="constrained")
    axes = figure.subplots()
    for row, student in enumerate(students):
        by_name = {v.grade_id: v for v in verdicts(graded[student])}
        for column, name in enumerate(exercises):
            verdict = by_name.get(name)
            shade = SHADES.get(verdict.state, OTHER_SHADE) if verdict else "white"
            axes.add_patch(_square(column, row, shade))
            if verdict:
                ink = "black" if verdict.state in (State.PARTIAL, State.NOT_ATTEMPTED) else "white"
                label = f"{verdict.points:g} of {verdict.max_points:g}\n{verdict.state}"
                axes.text(column, row, label, ha="center", va="center", color=ink, fontsize=9)
        total = sum(v.points for v in by_name.values())
        axes.text(len(exercises) - 0.35, row, f"{total:g}", va="center", fontsize=11, fontweight="bold")
    axes.set_xlim(-0.5, len(exercises) + 0.1)
    axes.set_ylim(len(students) - 0.5, -0.5)
    axes.set_xticks(range(len(exercises)), [_short(name) for name in exercises], fontsize=9)
    axes.set_yticks(range(len(students)), students, fontsize=10)
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.suptitle(title, fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _square(column: int, row: int, shade: str) -> Patch:
    from matplotlib.patches import FancyBboxPatch

    corner = (column - 0.44, row - 0.4)
    return FancyBboxPatch(corner, 0.88, 0.8, boxstyle="round,pad=0,rounding_size=0.08", facecolor=shade, linewidth=0)


def _exercises(graded: dict[str, Reports]) -> list[str]:
    return list(dict.fromkeys(v.grade_id for reports in graded.values() for v in verdicts(reports)))


def _short(name: str) -> str:
    return name.removeprefix("check-").removeprefix("test-").replace("-", "\n")


def _cell(verdict: Verdict | None) -> Text:
    if verdict is None:
        return Text("-", style="bright_black")
    style = COLOURS.get(verdict.state, OTHER_COLOUR)
    return Text(f"{verdict.points:g}/{verdict.max_points:g}\n{verdict.state}", style=style, justify="center")


def _message(found: list[Verdict]) -> str:
    if not found:
        return "No notebook of this assignment was submitted."
    wrong = [v for v in found if v.state is not State.PASSED]
    if not wrong:
        return "Every test passed."
    first = next((v for v in wrong if v.state is not State.NOT_ATTEMPTED), wrong[0])
    return f"{first.grade_id.removeprefix('check-')}: {first.message}"
