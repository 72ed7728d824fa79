"""The head of a lesson: what it computes on, how long it takes, and how far the learner is.

It is HTML without a script, so that it shows wherever the notebook is opened, and it is put up to date in place when a
check or a hint has moved something.
"""

from __future__ import annotations

from html import escape
from typing import Any

import torch
from IPython.display import display

from course import catalogue, scale
from course.card import LOOKS
from course.catalogue import Lesson
from course.device import describe
from course.learner import progress
from course.learner.progress import Course, Standing
from course.locale import gettext as _
from course.locale import ngettext

# The head that is shown in this kernel: its place in the notebook, and what it says.
_shown: dict[str, Any] = {}


def show(lesson: str, device: torch.device, *, minutes: int) -> None:
    """Says what a lesson computes on, at which scale, and how long: `minutes` at the offline scale on two cores.

    In a notebook the learner's progress stands below it. While nbgrader executes the notebook nothing is shown.
    """
    if scale.grading():
        return
    sentence = _setting(device, minutes)
    if not scale.interactive():
        print(sentence)
        return
    progress.record("open", lesson=lesson)
    _shown.update(lesson=catalogue.find_lesson(lesson), sentence=sentence)
    _shown["handle"] = display(_bundle(), raw=True, display_id=True)


def refresh() -> None:
    """Puts the head that is shown in this kernel up to date."""
    if _shown:
        _shown["handle"].update(_bundle(), raw=True)


def _setting(device: torch.device, minutes: int) -> str:
    patience = scale.choose(
        offline=ngettext(
            "all its experiments together take about {count} minute on a laptop",
            "all its experiments together take about {count} minutes on a laptop",
            minutes,
        ).format(count=minutes),
        quick=_("all its experiments together take seconds, and show nothing true"),
        full=_("it downloads data and weights, and wants a GPU"),
    )
    return _("This notebook computes on {device} at {scale} scale; {patience}.").format(
        device=describe(device), scale=scale.current(), patience=patience
    )


def _bundle() -> dict[str, str]:
    lesson, course = _shown["lesson"], progress.load()
    return {
        "text/html": _html(lesson, course, _shown["sentence"]),
        "text/plain": f"{_shown['sentence']}\n{progress.summary(lesson, course)}",
    }


def _html(lesson: Lesson, course: Course, sentence: str) -> str:
    chips = "".join(_chip(standing) for standing in course.of(lesson))
    return (
        f'<div role="group" aria-label="{escape(_("Your progress"))}" style="line-height:1.5;max-width:60em;'
        'color:var(--jp-content-font-color1, inherit)">'
        f'<div>{escape(sentence)}</div><ol style="margin:6px 0;padding:0">{chips}</ol>'
        f"<div>{escape(progress.summary(lesson, course))}</div></div>"
    )


def _chip(standing: Standing) -> str:
    exercise, look = standing.exercise, LOOKS[standing.shown]
    says = _("{name}: {word}, {points:g} of {most:g} points").format(
        name=exercise.name, word=_(look.word), points=standing.points, most=exercise.points
    )
    return (
        f'<li title="{escape(says)}" aria-label="{escape(says)}" style="display:inline-block;'
        f"list-style:none;margin:2px 6px 2px 0;padding:1px 8px;{look.border('1px')};border-radius:10px;"
        f'white-space:nowrap"><span aria-hidden="true" style="font-weight:700;{look.css("color")}">{look.mark}</span> '
        f"<code>{escape(exercise.name)}</code> {standing.points:g}/{exercise.points:g}</li>"
    )
