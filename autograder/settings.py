"""The grader's settings: traits, which nbgrader_config.py and the command line set as they set nbgrader's."""

from __future__ import annotations

import dataclasses
import fnmatch
from typing import Any

from traitlets import Bool, Enum, Float, Integer, List, Unicode
from traitlets.config import Configurable

from autograder import limits as _limits
from autograder.limits import Limits


class Autograder(Configurable):
    """How ``autograder grade`` works, and the limits under which learners' code runs.

    ``c.Autograder.jobs = 4`` in nbgrader_config.py, ``--Autograder.jobs=4`` on the command line.
    """

    jobs = Integer(0, min=0, help="submissions graded at a time; 0 is one for each processor").tag(config=True)
    isolation = Enum(
        ["required", "none"],
        "required",
        help="none: run learners' code without shutting it in; only for code that you trust",
    ).tag(config=True)
    hide = List(Unicode(), help="folders and files among the installed libraries that learners' code must not see").tag(
        config=True
    )
    scheduler = Unicode(
        "", help="address of a Dask scheduler that spreads the work, such as tcp://host:8786; empty: this machine"
    ).tag(config=True)
    precedents = Bool(
        True,
        help="False: a judge for every submission, also for one that answers each question as others did before",
    ).tag(config=True)
    beside_learner = List(
        Unicode(),
        help="patterns ASSIGNMENT/NOTEBOOK/GRADE_ID, with * and ?, of test cells that may run beside the learner's "
        "code, in the sandbox; what they award is marked as not tamper-proof",
    ).tag(config=True)
    # A trait for each limit; limits.py alone knows which there are.
    for _name, _default, _why in _limits.table():
        locals()[_name] = Float(_default, min=0, help=_why).tag(config=True)

    def limits(self) -> Limits:
        """The limits as this course sets them; a course's ``Execute.timeout`` is the time of a cell unless it says."""
        set_here = {field.name: getattr(self, field.name) for field in dataclasses.fields(Limits)}
        timeout = self.config.get("Execute", {}).get("timeout")
        if "cell_seconds" not in self.config.get("Autograder", {}) and isinstance(timeout, int | float):
            set_here["cell_seconds"] = float(timeout) if timeout > 0 else set_here["submission_seconds"]
        return Limits(**set_here)

    def may_run_beside(self, assignment: str, notebook: str, grade_id: str) -> bool:
        """Whether this test cell may run beside the learner's code."""
        cell = f"{assignment}/{notebook}/{grade_id}"
        return any(fnmatch.fnmatchcase(cell, pattern) for pattern in self.beside_learner)


def table() -> list[tuple[str, Any, str]]:
    """(name, default, help) of every setting, for the documentation."""
    return [(name, trait.default(), trait.help) for name, trait in Autograder.class_own_traits(config=True).items()]
