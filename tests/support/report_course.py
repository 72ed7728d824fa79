"""A graded course of any size, made without grading: what a report reads, as grading leaves it."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI

from autograder import gradebook, layout
from autograder.limits import Limits
from autograder.verdict import State, Verdict

NAMES = [
    "freeze",
    "trainable-report",
    "train-mode",
    "unfreeze-to",
    "build-optimizer",
    "discriminative-lr",
    "probe-accuracy",
]
IDEAS = {
    "freeze": "batch-norm statistics still move",
    "train-mode": "model.train() undoes the freezing",
    "build-optimizer": "frozen parameters handed to the optimizer",
    "discriminative-lr": "one learning rate for all groups",
}
MESSAGES = {
    "batch-norm statistics still move": "The BatchNorm statistics of frozen layers moved, though no parameter did.",
    "model.train() undoes the freezing": "`model.train()` put the frozen layers back into training mode.",
    "frozen parameters handed to the optimizer": "The optimizer holds parameters that do not train.",
    "one learning rate for all groups": "Every group has the same learning rate.",
}


def make_course(root: Path, cells: SimpleNamespace, count: int) -> None:
    """``count`` graded submissions of assignment ``ps1`` in ``root``."""
    (root / "nbgrader_config.py").write_text('c = get_config()\nc.CourseDirectory.course_id = "Transfer Learning"\n')
    source = root / "source" / "ps1"
    source.mkdir(parents=True)
    tests = [cells.test(f"check-{name}", "assert True", 3) for name in NAMES]
    notebook = cells.notebook(*tests, cells.essay("why", "### BEGIN SOLUTION\nBecause.\n### END SOLUTION", 4))
    nbformat.write(notebook, source / "problem.ipynb")
    course = layout.open_course(root)
    gradebook.open_gradebook(course).close()
    done = NbGraderAPI(course, config=course.parent.config).generate_assignment("ps1")
    assert done["success"], done
    rng = np.random.default_rng(4)
    students = [f"s{number:04}" for number in range(count)]
    with Gradebook(course.db_url, course.course_id) as book:
        book.update_or_create_assignment("ps1", duedate="2026-01-10 12:00:00.000000")
        for number, student in enumerate(students):
            verdicts = _verdicts(rng, number)
            essay = None if number % 13 == 5 else float(rng.integers(0, 5))
            submit(root, student, verdicts)
            book.add_student(student, first_name="Ada" if number == 0 else None)
            day = 12 if number % 17 == 3 else 9
            one = book.add_submission("ps1", student, timestamp=f"2026-01-{day:02} 12:00:00.000000")
            points = {v.grade_id: v.points for v in verdicts}
            for grade in one.notebooks[0].grades:
                grade.auto_score = points.get(grade.name)
                grade.manual_score = essay if grade.name == "why" else None
                grade.needs_manual_grade = grade.name == "why" and essay is None
            one.notebooks[0].late_submission_penalty = 1.0 if day > 10 else None
        book.db.commit()


def submit(root: Path, student: str, verdicts: list[Verdict]) -> None:
    """A submission and its graded notebook, with the record that grading keeps there."""
    (root / "submitted" / student / "ps1").mkdir(parents=True)
    folder = root / "autograded" / student / "ps1"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(len(student))
    record = {
        "verdicts": [verdict.as_dict() for verdict in verdicts],
        "manual": [["why", 4.0, False]],
        "seconds": round(float(rng.gamma(4, 0.3)) + verdicts[0].points / 9, 3),
        "judged": sum(map(ord, student)) % 3 == 0,
        "private_mib": round(float(rng.normal(180, 25)) + 9 * verdicts[-1].points, 1),
        "basis": {
            "source_sha256": "ab" * 32,
            "submission_sha256": f"{hash(student) % 16**12:064x}",
            "versions": {"python": "3.11.7", "finetuning-from-zero": "0.1.0", "torch": "2.14.1"},
            "seed": 0,
            "limits": dataclasses.asdict(Limits()),
            "isolated": True,
        },
    }
    made = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"autograder": record}, "cells": []}
    (folder / "problem.ipynb").write_text(json.dumps(made))


def _verdicts(rng: np.random.Generator, number: int) -> list[Verdict]:
    ability = rng.normal()
    odd = {7: State.TIMEOUT, 19: State.CRASHED, 31: State.MEMORY}.get(number % 97)
    if number % 97 == 23:
        return [Verdict(f"check-{n}", State.UNREADABLE, 0.0, 3.0, "problem.ipynb cannot be read.") for n in NAMES]
    made = []
    for place, name in enumerate(NAMES):
        level = ability - 0.45 * (place - 3) + rng.normal(scale=0.8)
        if odd and place == 4:
            made.append(Verdict(f"check-{name}", odd, 0.0, 3.0, "The process that ran the learner's code ended."))
        elif level > 0:
            made.append(Verdict(f"check-{name}", State.PASSED, 3.0, 3.0, "Every test passed."))
        elif level > -0.5:
            made.append(Verdict(f"check-{name}", State.PARTIAL, 2.0, 3.0, "A parameter that the list names is frozen."))
        elif level < -1.9:
            made.append(Verdict(f"check-{name}", State.NOT_ATTEMPTED, 0.0, 3.0, "Not attempted yet."))
        elif rng.random() < 0.25:
            message = "TypeError: 'NoneType' object is not callable"
            made.append(Verdict(f"check-{name}", State.ERROR, 0.0, 3.0, message))
        else:
            idea = IDEAS.get(name)
            message = MESSAGES[idea] if idea else "A hidden test failed."
            made.append(Verdict(f"check-{name}", State.FAILED, 0.0, 3.0, message, idea))
    if number % 41 == 11:
        made[0] = dataclasses.replace(made[0], tamper_proof=False)
    return made
