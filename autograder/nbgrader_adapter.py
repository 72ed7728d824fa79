"""The same grading behind ``nbgrader autograde`` and the formgrader's button.

nbgrader's converter stays as it is; its exporter and its lists of preprocessors are the way in. In
nbgrader_config.py::

    c.Autograde.exporter_class = "autograder.nbgrader_adapter.ReadApart"
    c.Autograde.sanitize_preprocessors = []
    c.Autograde.autograde_preprocessors = [
        "autograder.nbgrader_adapter.GradeApart",
        "nbgrader.preprocessors.LimitOutput",
        "nbgrader.preprocessors.AssignLatePenalties",
    ]

What nbgrader does around that stays nbgrader's: it copies the learner's other files into autograded/, calls its hooks,
and grades one submission after another. Without the first line it also reads the submitted notebooks itself, and one
that it cannot read is an error of that student.
"""

from __future__ import annotations

import atexit
import copy
import tempfile
from pathlib import Path
from typing import Any

from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbformat.v4 import new_notebook
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import Execute, NbGraderPreprocessor

from autograder import gradebook, layout, released
from autograder.grading import grade_notebook
from autograder.sandbox import isolation
from autograder.sandbox.warm import Warm
from autograder.settings import Autograder


class ReadApart(NotebookExporter):
    """Gives GradeApart an empty notebook for each submitted file, which GradeApart alone reads, whatever it holds."""

    def from_filename(self, filename: str, resources: Any = None, **_: Any) -> tuple[Any, dict[str, Any]]:
        return super().from_notebook_node(new_notebook(), resources=resources)


class GradeApart(NbGraderPreprocessor):
    """Takes the place of Execute and SaveAutoGrades: runs learner's code and tests apart, and saves the scores."""

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        """The graded notebook in the place of ``nb``; raises NbGraderException where it cannot be graded."""
        asked = resources["nbgrader"]
        course: CourseDirectory = self.parent.parent.coursedir  # of the converter, whose exporter owns this
        try:
            task = _only(layout.read_assignment(course, asked["assignment"]), asked["notebook"])
            with gradebook.open_gradebook(course) as book:
                gradebook.expect_assignment(book, task)
                task = released.as_released(book, task)
        except layout.LayoutError as error:
            raise NbGraderException(str(error)) from error
        if not Execute(parent=self).enabled:
            raise NbGraderException("Points come from running tests here: grade without --no-execute.")
        settings = Autograder(parent=self)
        isolate = settings.isolation == "required"
        if isolate and (reason := isolation.why_not()):
            raise NbGraderException(f"Learners' code cannot be shut in here. {reason}")
        submission = layout.submission_of(course, task, asked["student"], settings.limits())
        path = submission.notebook(asked["notebook"])
        if path is None:
            raise NbGraderException(f"{asked['notebook']} of {asked['student']} is no longer there.")
        hide = (*layout.hidden(course), *(Path(one).resolve() for one in settings.hide)) if isolate else ()
        with tempfile.TemporaryDirectory(prefix="assignment-") as folder:
            layout.copy_files(task, Path(folder))
            report = grade_notebook(
                task.notebooks[asked["notebook"]],
                path,
                files=Path(folder),
                extra=submission.extra,
                process=_warm(tuple(task.modules())),
                limits=settings.limits(),
                isolate=isolate,
                hide=hide,
            )
        with gradebook.open_gradebook(course) as book:
            gradebook.save_scores(book, task, submission.student, asked["notebook"], report)
        report.notebook.metadata = copy.deepcopy(task.notebooks[asked["notebook"]].metadata)
        report.notebook.metadata["autograder"] = report.record()
        return report.notebook, resources


def _only(task: layout.Assignment, name: str) -> layout.Assignment:
    if name in task.refused:
        raise NbGraderException(task.refused[name])
    if name not in task.notebooks:
        raise NbGraderException(f"{task.name} has no notebook {name} in its source.")
    return task


_kept: dict[tuple[str, ...], Warm] = {}


def _warm(modules: tuple[str, ...]) -> Warm:
    """The warm process of the assignment that was graded last, which lives as long as this process does."""
    if modules not in _kept or _kept[modules].ended():
        _end()
        _kept[modules] = Warm(list(modules))
    return _kept[modules]


@atexit.register
def _end() -> None:
    while _kept:
        _kept.popitem()[1].__exit__()
