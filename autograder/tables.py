"""nbgrader's tables: what of a grading stands in which row.

nbgrader's own classes read a submission row by row, and all that is computed of it; here a batch of submissions
takes a handful of statements.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from nbgrader import api
from sqlalchemy import Connection, Table, bindparam, insert, select, update

from autograder.grading import Report

_ASSIGNMENT: Table = api.Assignment.__table__
_STUDENT: Table = api.Student.__table__
_SUBMISSION: Table = api.SubmittedAssignment.__table__
_NOTEBOOK: Table = api.SubmittedNotebook.__table__
_GRADE: Table = api.Grade.__table__
_COMMENT: Table = api.Comment.__table__
_CELL: Table = api.BaseCell.__table__
_GIVEN: Table = api.Notebook.__table__


@dataclass(frozen=True)
class Scores:
    """What one notebook adds to the gradebook."""

    points: dict[str, float]  # by grade_id, of what a test decides
    unchanged: dict[str, bool]  # by grade_id, of what a person grades: whether it is as it was released
    untouched: frozenset[str] = frozenset()  # grade_ids of all answers that are as they were released

    @classmethod
    def of(cls, report: Report) -> Scores:
        manual = {grade_id: unchanged for grade_id, _, unchanged in report.manual}
        return cls({v.grade_id: v.points for v in report.verdicts}, manual, report.untouched)


@dataclass(frozen=True)
class Entry:
    """A submission to be written: when it was made, where that is known, and its notebooks (None: not submitted)."""

    student: str
    when: datetime | None
    notebooks: dict[str, Scores | None]


@dataclass(frozen=True)
class Late:
    """A submitted notebook, by its id and its name, that came ``seconds`` after its due date."""

    id: str
    notebook: str
    seconds: float


@dataclass(frozen=True)
class Structure:
    """An assignment as the gradebook has it: names by id, and the cells of each notebook that get a row."""

    id: str
    notebooks: dict[str, str]
    cells: dict[str, str]
    graded: dict[str, list[str]]
    commented: dict[str, list[str]]


def read_structure(connection: Connection, assignment: str) -> Structure | None:
    """The assignment of that name; None where the gradebook has none."""
    number = connection.execute(select(_ASSIGNMENT.c.id).where(_ASSIGNMENT.c.name == assignment)).scalar()
    if number is None:
        return None
    given = select(_GIVEN.c.id, _GIVEN.c.name).where(_GIVEN.c.assignment_id == number)
    notebooks = {row.id: row.name for row in connection.execute(given)}
    cells = connection.execute(select(_CELL).where(_CELL.c.notebook_id.in_(notebooks))).all()

    def of(*kinds: str) -> dict[str, list[str]]:
        return {one: [c.id for c in cells if c.notebook_id == one and c.type in kinds] for one in notebooks}

    names = {cell.id: cell.name for cell in cells}
    return Structure(number, notebooks, names, of("GradeCell", "TaskCell"), of("SolutionCell", "TaskCell"))


def read_students(connection: Connection) -> set[str]:
    """The students that the gradebook knows, of any assignment."""
    return set(connection.execute(select(_STUDENT.c.id)).scalars())


def read_submissions(connection: Connection, structure: Structure) -> dict[str, datetime | None]:
    """By student, when the submission was made that the gradebook has."""
    found = select(_SUBMISSION.c.student_id, _SUBMISSION.c.timestamp)
    rows = connection.execute(found.where(_SUBMISSION.c.assignment_id == structure.id))
    return {row.student_id: row.timestamp for row in rows}


def change_nothing(connection: Connection) -> None:
    """Asks for the right to write, and writes nothing."""
    connection.execute(update(_ASSIGNMENT).where(_ASSIGNMENT.c.id.is_(None)).values(course_id=None))


def write(connection: Connection, structure: Structure, entries: Iterable[Entry]) -> dict[str, list[Late]]:
    """Writes submissions, of one student each; gives, by student, the notebooks that were late.

    The penalty of a late notebook is left as it was, for :func:`penalise`.
    """
    by_student = {entry.student: entry for entry in entries}
    _take_turns(connection, structure)
    _add_missing(connection, structure, list(by_student))
    stamps = [{"who": entry.student, "when": entry.when} for entry in by_student.values() if entry.when is not None]
    if stamps:
        here = (_SUBMISSION.c.assignment_id == structure.id, _SUBMISSION.c.student_id == bindparam("who"))
        connection.execute(update(_SUBMISSION).where(*here).values(timestamp=bindparam("when")), stamps)
    scores: dict[str, Scores | None] = {}  # by the id of a submitted notebook
    late: dict[str, list[Late]] = {}
    in_time = []
    for row in _submitted(connection, structure, list(by_student)):
        name = structure.notebooks.get(row.given, "")
        if name not in by_student[row.student].notebooks:
            continue
        scores[row.id] = by_student[row.student].notebooks[name]
        if (seconds := _seconds_late(row)) > 0:
            late.setdefault(row.student, []).append(Late(row.id, name, seconds))
        else:
            in_time.append({"row": row.id})
    _update(connection, _NOTEBOOK, in_time, late_submission_penalty=None)
    _write_scores(connection, structure, scores)
    return late


def score(connection: Connection, notebook: str) -> float:
    """What a submitted notebook, given by its id, has earned so far."""
    return float(connection.execute(select(api.SubmittedNotebook.score).filter_by(id=notebook)).scalar() or 0.0)


def penalise(connection: Connection, notebook: str, penalty: float | None) -> None:
    """Sets the penalty of a submitted notebook, given by its id."""
    _update(connection, _NOTEBOOK, [{"row": notebook}], late_submission_penalty=penalty)


def _take_turns(connection: Connection, structure: Structure) -> None:
    """Has another grader of this assignment wait, so that both do not add what they both have found missing."""
    here = _ASSIGNMENT.c.id == structure.id
    connection.execute(update(_ASSIGNMENT).where(here).values(course_id=_ASSIGNMENT.c.course_id))


def _add_missing(connection: Connection, structure: Structure, students: list[str]) -> None:
    """Students and submissions that the gradebook lacks, with the empty rows that nbgrader gives a new one."""
    known = set(connection.execute(select(_STUDENT.c.id).where(_STUDENT.c.id.in_(students))).scalars())
    _insert(connection, _STUDENT, [{"id": student} for student in students if student not in known])
    here = (_SUBMISSION.c.assignment_id == structure.id, _SUBMISSION.c.student_id.in_(students))
    submitted = set(connection.execute(select(_SUBMISSION.c.student_id).where(*here)).scalars())
    rows: dict[Table, list[dict[str, Any]]] = {_SUBMISSION: [], _NOTEBOOK: [], _GRADE: [], _COMMENT: []}
    for student in students:
        if student in submitted:
            continue
        submission = api.new_uuid()
        rows[_SUBMISSION].append({"id": submission, "assignment_id": structure.id, "student_id": student})
        for given in structure.notebooks:
            notebook = api.new_uuid()
            rows[_NOTEBOOK].append({"id": notebook, "assignment_id": submission, "notebook_id": given})
            for table, cells in ((_GRADE, structure.graded), (_COMMENT, structure.commented)):
                rows[table] += [{"cell_id": cell, "notebook_id": notebook} for cell in cells[given]]
    for table, made in rows.items():
        _insert(connection, table, made)


def _submitted(connection: Connection, structure: Structure, students: list[str]) -> Iterable[Any]:
    columns = (
        _NOTEBOOK.c.id,
        _NOTEBOOK.c.notebook_id.label("given"),
        _SUBMISSION.c.student_id.label("student"),
        _SUBMISSION.c.timestamp,
        _SUBMISSION.c.extension,
        _ASSIGNMENT.c.duedate,
    )
    joined = select(*columns).join_from(_NOTEBOOK, _SUBMISSION, _NOTEBOOK.c.assignment_id == _SUBMISSION.c.id)
    joined = joined.join(_ASSIGNMENT, _ASSIGNMENT.c.id == _SUBMISSION.c.assignment_id)
    return connection.execute(joined.where(_ASSIGNMENT.c.id == structure.id, _SUBMISSION.c.student_id.in_(students)))


def _seconds_late(row: Any) -> float:
    if row.timestamp is None or row.duedate is None:
        return 0.0
    return (row.timestamp - row.duedate - (row.extension or timedelta())).total_seconds()


def _write_scores(connection: Connection, structure: Structure, notebooks: dict[str, Scores | None]) -> None:
    """Grades and comments of the submitted notebooks, given by id."""
    changes = []
    for grade in connection.execute(select(_GRADE).where(_GRADE.c.notebook_id.in_(notebooks))):
        scores = notebooks[grade.notebook_id]
        earned = 0.0 if scores is None else _auto_score(scores, structure.cells.get(grade.cell_id, ""))
        asked = scores is not None and (grade.manual_score is not None or earned is None)
        changes.append({"row": grade.id, "earned": earned, "asked": asked})
    _update(connection, _GRADE, changes, auto_score=bindparam("earned"), needs_manual_grade=bindparam("asked"))
    words = []
    for comment in connection.execute(select(_COMMENT).where(_COMMENT.c.notebook_id.in_(notebooks))):
        if (scores := notebooks[comment.notebook_id]) is not None:
            untouched = structure.cells.get(comment.cell_id) in scores.untouched
            words.append({"row": comment.id, "words": "No response." if untouched else None})
    _update(connection, _COMMENT, words, auto_comment=bindparam("words"))


def _auto_score(scores: Scores, name: str) -> float | None:
    """An answer that a person grades has no score until then, unless nothing was written."""
    return scores.points.get(name, 0.0 if scores.unchanged.get(name, False) else None)


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _update(connection: Connection, table: Table, rows: list[dict[str, Any]], **values: Any) -> None:
    if rows:
        connection.execute(update(table).where(table.c.id == bindparam("row")).values(**values), rows)
