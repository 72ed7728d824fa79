"""The one writer of nbgrader's gradebook and of ``autograded/``."""

from __future__ import annotations

import copy
import os
import shutil
import sysconfig
import tempfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import AssignLatePenalties

from autograder.grade import Report
from autograder.layout import Assignment, LayoutError, Submission, timestamp


def open_gradebook(course: CourseDirectory) -> Gradebook:
    """The course's gradebook; nbgrader makes one where there is none."""
    # nbgrader starts alembic by name, which an environment that is not activated does not have on its path.
    scripts = sysconfig.get_path("scripts")
    if scripts not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([scripts, os.environ.get("PATH", "")])
    return Gradebook(course.db_url, course.course_id)


def expect_assignment(course: CourseDirectory, assignment: Assignment) -> None:
    """Raises LayoutError where the gradebook does not know the assignment as its source has it."""
    with open_gradebook(course) as gradebook:
        try:
            known = {notebook.name for notebook in gradebook.find_assignment(assignment.name).notebooks}
        except MissingEntry:
            known = set()
    if missing := assignment.notebooks.keys() - known:
        raise LayoutError(
            f"The gradebook does not know {', '.join(sorted(missing))} of the assignment {assignment.name}. "
            f"Run `nbgrader generate_assignment {assignment.name}` first."
        )


def is_graded(course: CourseDirectory, assignment: Assignment, submission: Submission) -> bool:
    """Whether this submission, and no newer one, was graded before."""
    folder = _autograded(course, assignment, submission)
    there = {name for name in assignment.notebooks if submission.notebook(name)}
    if not folder.is_dir() or (assignment.left and any(not (folder / f"{name}.ipynb").is_file() for name in there)):
        return False
    graded, submitted = timestamp(course, folder), timestamp(course, submission.folder)
    return submitted is None or (graded is not None and graded >= submitted)


def save(
    course: CourseDirectory, assignment: Assignment, submission: Submission, reports: dict[str, Report | None]
) -> None:
    """Writes the scores of a submission and its graded notebooks. None is for a notebook that was not submitted."""
    with open_gradebook(course) as gradebook:
        gradebook.update_or_create_student(submission.student)
        when = timestamp(course, submission.folder)
        kept = {"timestamp": when} if when else {}
        gradebook.update_or_create_submission(assignment.name, submission.student, **kept)
        for name, report in reports.items():
            save_scores(gradebook, assignment, submission.student, name, report)
        gradebook.db.commit()
    for name in reports:
        penalties = AssignLatePenalties(parent=course.parent)
        resources = {"notebook": name, "assignment": assignment.name, "student": submission.student}
        penalties.preprocess(NotebookNode(cells=[]), {"nbgrader": {**resources, "db_url": course.db_url}})
    _write_autograded(course, assignment, submission, reports)


def save_scores(gradebook: Gradebook, assignment: Assignment, student: str, name: str, report: Report | None) -> None:
    """Puts the scores of one notebook into an open gradebook; None is for a notebook that was not submitted."""
    notebook = gradebook.find_submission_notebook(name, assignment.name, student)
    points = {v.grade_id: v.points for v in report.verdicts} if report else {}
    manual = {grade_id: unchanged for grade_id, _, unchanged in report.manual} if report else {}
    for grade in notebook.grades:
        if report is None:
            grade.auto_score, grade.needs_manual_grade = 0.0, False
            continue
        # an answer that a person grades has no score until then, unless nothing was written
        unchanged = manual.get(grade.name, False)
        grade.auto_score = points.get(grade.name, 0.0 if unchanged else None)
        grade.needs_manual_grade = grade.manual_score is not None or grade.auto_score is None
    for comment in notebook.comments:
        comment.auto_comment = "No response." if report and comment.name in report.untouched else None


def _autograded(course: CourseDirectory, assignment: Assignment, submission: Submission) -> Path:
    return Path(course.format_path(course.autograded_directory, submission.student, assignment.name))


def _write_autograded(
    course: CourseDirectory, assignment: Assignment, submission: Submission, reports: dict[str, Report | None]
) -> None:
    """Makes the folder beside its place and then puts it there, so that a half-written one is never seen."""
    target = _autograded(course, assignment, submission)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as made:
        folder = Path(made, target.name)
        folder.mkdir()
        for name in assignment.left:  # by --notebook, say: their grading stands
            if (graded := target / f"{name}.ipynb").is_file():
                shutil.copyfile(graded, folder / f"{name}.ipynb")
        for relative, path in {**assignment.files, **submission.extra}.items():
            (folder / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / relative)
        for name, report in reports.items():
            if report is not None:
                notebook = report.notebook
                notebook.metadata = copy.deepcopy(assignment.notebooks[name].metadata)
                notebook.metadata["autograder"] = report.record()
                nbformat.write(notebook, folder / f"{name}.ipynb")
        stamp = submission.folder / "timestamp.txt"
        if stamp.is_file() and not stamp.is_symlink():
            shutil.copyfile(stamp, folder / "timestamp.txt")
        if target.exists():
            target.rename(Path(made, "before"))
        folder.rename(target)
