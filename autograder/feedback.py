"""What a learner gets back: the verdict on each test, and no hidden test.

A course hides hidden tests from feedback with these lines in its ``nbgrader_config.py``::

    c.GenerateFeedback.preprocessors = [
        "nbgrader.preprocessors.GetGrades",
        "autograder.feedback.HideHiddenTests",
        "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
    ]
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import Any

from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import ClearHiddenTests

from autograder.hidden import Delimiters, lines, without
from autograder.palette import LOOKS
from autograder.verdict import CHECK_MIME, Verdict

PREPROCESSORS = (
    "nbgrader.preprocessors.GetGrades",
    "autograder.feedback.HideHiddenTests",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
)


class HideHiddenTests(ClearHiddenTests):
    """Takes hidden tests out of test cells; ``c.ClearHiddenTests`` says how they are marked.

    Unlike nbgrader's own, it leaves learners' cells alone: what they write there can neither stop the feedback nor
    make it keep what is hidden.
    """

    def preprocess_cell(self, cell: NotebookNode, resources: Any, index: int) -> tuple[NotebookNode, Any]:
        if utils.is_grade(cell) and not utils.is_solution(cell):
            cell.source = without(cell.source, Delimiters(self.begin_test_delimeter, self.end_test_delimeter))
        return cell, resources


def warning(course: CourseDirectory, assignment: str, notebooks: Iterable[NotebookNode]) -> str | None:
    """What to put into the settings where feedback would show hidden tests of these source notebooks; else None."""
    if not any(
        lines(cell.source, Delimiters(*notebook.metadata.get("hidden_tests", ())))
        for notebook in notebooks
        for cell in notebook.cells
        if utils.is_grade(cell)
    ):
        return None
    chosen = GenerateFeedback(coursedir=course, parent=course.parent).preprocessors
    names = [one if isinstance(one, str) else getattr(one, "__name__", type(one).__name__) for one in chosen]
    if any(name.rpartition(".")[2] in ("HideHiddenTests", "ClearHiddenTests") for name in names):
        return None
    return (
        f"`nbgrader generate_feedback` would show learners the hidden tests of {assignment}: put "
        f"c.GenerateFeedback.preprocessors = {json.dumps(PREPROCESSORS)} into nbgrader_config.py."
    )


def has_card(outputs: list[NotebookNode]) -> bool:
    """Whether a check has shown a card of its own."""
    return any(CHECK_MIME in output.get("data", {}) for output in outputs)


def card(verdict: Verdict) -> NotebookNode:
    """A notebook output that shows a verdict: state, points, message. It needs no script and loads nothing."""
    look = LOOKS[verdict.state]
    points = f"{verdict.points:g} of {verdict.max_points:g}"
    unit = "point" if verdict.max_points == 1 else "points"
    about = "" if verdict.tamper_proof else "These points are not tamper-proof: the test ran beside the learner's code."
    texts = [text for text in (verdict.misconception, verdict.message, about) if text]
    # What MathJax finds in `code` it leaves alone: a message is text, whatever it holds.
    rows = "".join(
        '<div style="margin-top:4px"><code style="background-color:transparent;border:0;padding:0;color:inherit;'
        f'font-family:inherit;font-size:inherit;white-space:pre-wrap">{escape(text)}</code></div>'
        for text in texts
    )
    html = (
        f'<div role="status" style="border:1px solid {look.line};border-left:6px solid {look.line};border-radius:4px;'
        'padding:8px 14px;max-width:46em;margin:4px 0;line-height:1.45">'
        f'<div><b style="color:{look.line}">{look.mark} {escape(verdict.state)}</b> · '
        f"<code>{escape(verdict.grade_id)}</code> · <b>{points}</b> {unit}</div>{rows}</div>"
    )
    plain = "\n".join([f"{look.mark} {verdict.state} · {verdict.grade_id} · {points} {unit}", *texts])
    return NotebookNode(
        output_type="display_data",
        data=NotebookNode({"text/html": html, "text/plain": plain}),
        metadata=NotebookNode(),
    )
