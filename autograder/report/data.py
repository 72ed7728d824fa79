"""What a report says, as one JSON object: :func:`gather` makes it from ``autograded/`` and the gradebook.

The object (``version`` 1) holds, with points as numbers and shares from 0 to 1:

- ``assignment``, ``course``, ``made`` (UTC), ``max_points``, ``counts`` (``submitted``, ``graded``), ``notes``
  (sentences on what is missing or to be done);
- ``scores``: ``count``, ``mean``, ``sd``, ``min``, ``q1``, ``median``, ``q3``, ``max``, ``bins`` ({``low``, ``high``,
  ``count``}) of the points that count in the end: manual scores, extra credit and late penalties included;
- ``exercises``, in the notebooks' order: ``notebook``, ``grade_id``, ``kind`` (test or manual), ``max_points``,
  ``states`` ({state: count}), ``scored`` (how many have a score), ``pass_rate`` (share with full points),
  ``difficulty`` (:func:`difficulty`), ``discrimination`` (:func:`discrimination`), each of the last three None where
  it is not defined;
- ``misconceptions``: ``notebook``, ``grade_id``, ``name`` (None where a test names none), ``message``, ``count``,
  most common first;
- ``students``, best first: ``id``, ``name``, ``points``, ``penalty``, ``late_seconds``, ``graded_by`` (autograder
  or nbgrader), ``seconds``, ``private_mib``, ``judged`` (False where each answer was as those of others before, so
  that no judge decided anew), ``look`` ({``kind``, ``why``} for each reason that a person should look),
  ``tests`` ({exercise key: {``state``, ``points``, ``message``, ``misconception``, ``tamper_proof``,
  ``hidden_message`` (what a hidden test said, which learners do not get to see)}}), ``hashes`` ({notebook: SHA-256 of
  what was submitted}) and ``basis`` (indices into the next);
- ``bases``: what scores rest on, once for each that differs: ``notebook``, ``source_sha256``, ``versions``, ``seed``,
  ``limits``, ``isolated``, ``submissions``;
- ``time`` and ``memory``: ``count``, ``median``, ``p95``, ``max``, ``total``, ``bins``, in seconds and MiB, or None;
- ``alike``: how many of the submissions no judge decided anew on;
- ``unproven``: ``points`` and ``submissions`` that rest on tests which ran beside the learner's code.

An exercise key is ``notebook/grade_id``.
"""

from __future__ import annotations

import datetime
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from nbgrader import api, utils
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from autograder import feedback, gradebook, layout
from autograder.verdict import State

Record = dict[str, Any]

STATES = {str(state) for state in State}


@dataclass
class Graded:
    """What the gradebook says of a student: points by exercise key (None: a person has yet to grade it)."""

    name: str = ""
    points: dict[str, float | None] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    penalty: float = 0.0
    late_seconds: float = 0.0

    @property
    def total(self) -> float:
        return max(0.0, sum(p for p in self.points.values() if p is not None) - self.penalty)


def gather(course: CourseDirectory, assignment: str) -> Record:
    """The report on an assignment; raises LayoutError where the course has none such, and GradebookError."""
    task = layout.read_assignment(course, assignment)
    exercises = list(_exercises(task))
    try:
        booked, known = _gradebook(course, assignment)
    except SQLAlchemyError as error:
        raise gradebook.GradebookError(
            f"The gradebook cannot be read: {gradebook.reason(error)}. Free it, or look at CourseDirectory.db_url in "
            "nbgrader_config.py, and run the same command again."
        ) from error
    submitted = {one.student for one in layout.submissions(course, task) if not one.nameless}
    found = {student: _records(course, task, student) for student in sorted(submitted | booked.keys())}
    students = [
        _student(student, records, booked.get(student), exercises)
        for student, records in found.items()
        if records or student in booked
    ]
    students.sort(key=lambda s: (-s["points"], s["id"]))
    points = np.array([[_points(s, e) for e in exercises] for s in students], dtype=float)
    points = points.reshape(len(students), len(exercises))
    for index, exercise in enumerate(exercises):
        exercise |= _figures_of(exercise, students, points, index)
    bases = _bases(students)
    most = sum(e["max_points"] for e in exercises)
    made = {
        "version": 1,
        "assignment": assignment,
        "course": course.course_id or Path(course.root).name,
        "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "max_points": most,
        "counts": {"submitted": len(submitted), "graded": len(students)},
        "scores": _scores([s["points"] for s in students], most),
        "exercises": exercises,
        "misconceptions": _misconceptions(students),
        "students": students,
        "bases": bases,
        "time": _spread([s["seconds"] for s in students]),
        "memory": _spread([s["private_mib"] for s in students]),
        "unproven": _unproven(students),
        "alike": sum(not student["judged"] for student in students),
        "notes": list(_notes(course, task, known, submitted, students)),
    }
    for student in students:
        del student["_booked"]
    return made


# -- what is read ----------------------------------------------------------------------------------------


def _exercises(task: layout.Assignment) -> Iterator[Record]:
    for notebook, source in task.notebooks.items():
        for cell in source.cells:
            if utils.is_grade(cell) or utils.is_task(cell):
                meta = cell.metadata.nbgrader
                manual = utils.is_solution(cell) or utils.is_task(cell)
                yield {
                    "notebook": notebook,
                    "grade_id": meta["grade_id"],
                    "kind": "manual" if manual else "test",
                    "max_points": float(meta["points"]),
                }


def key(exercise: Record) -> str:
    """The name under which an exercise is found in a student's record."""
    return f"{exercise['notebook']}/{exercise['grade_id']}"


def _gradebook(course: CourseDirectory, assignment: str) -> tuple[dict[str, Graded], bool]:
    """What the gradebook has of every student, and whether it knows the assignment. None is made here."""
    url = make_url(course.db_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        return {}, False
    found: dict[str, Graded] = defaultdict(Graded)
    with gradebook.open_gradebook(course) as book:
        try:
            book.find_assignment(assignment)
        except api.MissingEntry:
            return {}, False
        rows = (
            book.db.query(api.SubmittedAssignment.student_id, api.Notebook.name, api.BaseCell.name, api.Grade)
            .select_from(api.Grade)
            .join(api.SubmittedNotebook, api.Grade.notebook_id == api.SubmittedNotebook.id)
            .join(api.SubmittedAssignment, api.SubmittedNotebook.assignment_id == api.SubmittedAssignment.id)
            .join(api.Assignment, api.SubmittedAssignment.assignment_id == api.Assignment.id)
            .join(api.Notebook, api.SubmittedNotebook.notebook_id == api.Notebook.id)
            .join(api.BaseCell, api.Grade.cell_id == api.BaseCell.id)
            .filter(api.Assignment.name == assignment)
        )
        for student, notebook, cell, grade in rows:
            score = grade.manual_score if grade.manual_score is not None else grade.auto_score
            if grade.needs_manual_grade:
                found[student].waiting.add(f"{notebook}/{cell}")
            extra = grade.extra_credit or 0.0
            found[student].points[f"{notebook}/{cell}"] = score + extra if score is not None else None
        for one in book.assignment_submissions(assignment):
            person = found[one.student_id]
            person.name = " ".join(part for part in (one.student.first_name, one.student.last_name) if part)
            person.penalty = float(one.late_submission_penalty or 0.0)
            person.late_seconds = float(one.total_seconds_late)
    return dict(found), True


def _records(course: CourseDirectory, task: layout.Assignment, student: str) -> dict[str, Record | None]:
    """By notebook, what this grader wrote into the graded one; None where there is nothing that can be read."""
    folder = Path(course.format_path(course.autograded_directory, student, task.name))
    found: dict[str, Record | None] = {}
    for notebook in task.notebooks:
        path = folder / f"{notebook}.ipynb"
        if path.is_file():
            try:
                record = json.loads(path.read_bytes())["metadata"]["autograder"]
                found[notebook] = record if isinstance(record["verdicts"], list) else None
            except (OSError, ValueError, KeyError, TypeError, RecursionError):
                found[notebook] = None
    return found


# -- a student -------------------------------------------------------------------------------------------


def _student(student: str, found: dict[str, Record | None], booked: Graded | None, exercises: list[Record]) -> Record:
    records = {notebook: record for notebook, record in found.items() if record is not None}
    bases = {notebook: _dict(record.get("basis")) for notebook, record in records.items()}
    tests = {
        f"{notebook}/{verdict['grade_id']}": verdict
        for notebook, record in records.items()
        for verdict in map(_verdict, record["verdicts"])
        if verdict is not None
    }
    points = booked.total if booked else sum(v["points"] for v in tests.values())
    made: Record = {
        "id": student,
        "name": booked.name if booked else "",
        "points": points,
        "penalty": booked.penalty if booked else 0.0,
        "late_seconds": booked.late_seconds if booked else 0.0,
        "graded_by": "autograder" if records else "nbgrader",
        "seconds": _sum(record.get("seconds") for record in records.values()),
        "private_mib": max(_numbers(record.get("private_mib") for record in records.values()), default=None),
        "judged": not records or any(record.get("judged") is not False for record in records.values()),
        "tests": tests,
        "hashes": {notebook: basis.get("submission_sha256") for notebook, basis in bases.items()},
        "basis": [],
        "_bases": bases,
        "_booked": booked,
    }
    made["look"] = list(_reasons(made, found, exercises))
    return made


def _verdict(said: Any) -> Record | None:
    """A verdict with the fields that are read here; None for what is none."""
    if not isinstance(said, dict) or said.get("state") not in STATES or not isinstance(said.get("grade_id"), str):
        return None
    points = _numbers([said.get("points")])
    return {
        "grade_id": said["grade_id"],
        "state": said["state"],
        "points": points[0] if points else 0.0,
        "message": str(said.get("message") or ""),
        "misconception": str(said["misconception"]) if said.get("misconception") else None,
        "tamper_proof": said.get("tamper_proof") is not False,
        "hidden_message": str(said["hidden_message"]) if said.get("hidden_message") else None,
    }


GRAVE = {
    "unreadable": "could not be read",
    "crashed": "ended the learner's process",
    "timeout": "ran out of time",
    "memory": "ran out of memory",
}


def _reasons(student: Record, found: dict[str, Record | None], exercises: list[Record]) -> Iterator[Record]:
    """Why a person should look at a submission, the gravest first."""
    by_state: dict[str, list[str]] = defaultdict(list)
    for test in student["tests"].values():
        by_state[test["state"]].append(test["grade_id"])
    for state, what in GRAVE.items():
        if by_state[state]:
            which = "A notebook" if state == "unreadable" else ", ".join(by_state[state])
            yield {"kind": state, "why": f"{which} {what}."}
    if unproven := [test["grade_id"] for test in student["tests"].values() if not test["tamper_proof"]]:
        yield {"kind": "not tamper-proof", "why": f"{', '.join(unproven)} ran beside the learner's code."}
    booked: Graded | None = student["_booked"]
    if booked and (names := [e["grade_id"] for e in exercises if key(e) in booked.waiting]):
        yield {"kind": "manual", "why": f"{', '.join(names)} {'waits' if len(names) == 1 else 'wait'} for a grade."}
    if student["late_seconds"] > 0:
        lost = f"; the penalty is {student['penalty']:g}" if student["penalty"] else ""
        yield {"kind": "late", "why": f"Handed in {_duration(student['late_seconds'])} late{lost}."}
    if strange := [notebook for notebook, record in found.items() if record is None]:
        why = f"{', '.join(strange)} carries no verdicts of this grader: graded by stock nbgrader, or edited since."
        yield {"kind": "no verdicts", "why": why}
    missing = sorted({e["notebook"] for e in exercises} - found.keys())
    if found and missing:
        yield {"kind": "missing", "why": f"{', '.join(missing)} was not handed in."}


def _duration(seconds: float) -> str:
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'s' if count > 1 else ''}"
    return "less than a minute"


# -- what is counted -------------------------------------------------------------------------------------


def _points(student: Record, exercise: Record) -> float:
    """What a student has for an exercise; NaN where that is not known yet."""
    booked: Graded | None = student["_booked"]
    name = key(exercise)
    if booked is not None and name in booked.points:
        score = booked.points[name]
        return math.nan if score is None else score
    return student["tests"][name]["points"] if name in student["tests"] else math.nan


def _figures_of(exercise: Record, students: list[Record], points: np.ndarray, index: int) -> Record:
    states = Counter(s["tests"][key(exercise)]["state"] for s in students if key(exercise) in s["tests"])
    own = points[:, index]
    scored = own[~np.isnan(own)]
    most = exercise["max_points"]
    return {
        "states": dict(states),
        "scored": len(scored),
        "pass_rate": float(np.mean(scored >= most)) if len(scored) else None,
        "difficulty": difficulty(own, most),
        "discrimination": discrimination(own, np.nansum(np.delete(points, index, axis=1), axis=1)),
    }


def difficulty(points: np.ndarray, max_points: float) -> float | None:
    """The mean share of an exercise's points that was earned: 1 is easy. NaN is for who has no score.

    The classical p-value of an item, and for partial credit its generalisation (Crocker & Algina, *Introduction to
    Classical and Modern Test Theory*, 1986, ch. 14). None without scores, or where there are no points to earn.
    """
    known = points[~np.isnan(points)]
    return float(np.mean(known) / max_points) if len(known) and max_points > 0 else None


def discrimination(points: np.ndarray, rest: np.ndarray) -> float | None:
    """The corrected item-total correlation: Pearson's r of an exercise's points with those of all *other* exercises.

    For an exercise that is right or wrong it is the point-biserial correlation; leaving the exercise out of the total
    keeps it from correlating with itself (Henrysson, "Correction of item-total correlations in item analysis",
    *Psychometrika* 28, 1963, 211-218). ``points`` and ``rest`` are in the order of students; NaN is for who has no
    score. None for fewer than three scores, or where either does not vary.
    """
    known = ~np.isnan(points)
    own, others = points[known], rest[known]
    if len(own) < 3 or np.ptp(own) == 0 or np.ptp(others) == 0:
        return None
    return float(np.corrcoef(own, others)[0, 1])


def _scores(points: list[float], most: float) -> Record | None:
    if not points:
        return None
    low, q1, median, q3, high = np.quantile(points, [0, 0.25, 0.5, 0.75, 1]).tolist()
    top = max(most, high, 1.0)
    count = len(points)
    return {
        "count": count,
        "mean": float(np.mean(points)),
        "sd": float(np.std(points, ddof=1)) if count > 1 else None,
        **{"min": low, "q1": q1, "median": median, "q3": q3, "max": high},
        "bins": _bins(points, np.linspace(0, top, min(20, max(5, round(top))) + 1)),
    }


def _spread(values: Iterable[Any]) -> Record | None:
    known = _numbers(values)
    if not known:
        return None
    edges = np.histogram_bin_edges(known, bins=min(24, max(1, math.ceil(math.sqrt(len(known))) * 2)))
    median, p95 = np.quantile(known, [0.5, 0.95]).tolist()
    whole = {"count": len(known), "median": median, "p95": p95, "max": max(known), "total": sum(known)}
    return whole | {"bins": _bins(known, edges)}


def _bins(values: list[float], edges: np.ndarray) -> list[Record]:
    counts, edges = np.histogram(values, bins=edges)
    return [
        {"low": float(low), "high": float(high), "count": int(count)}
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]


def _misconceptions(students: list[Record]) -> list[Record]:
    told: Counter[tuple[str, str, str | None, str]] = Counter()
    messages: dict[tuple[str, str, str | None, str], str] = {}
    for student in students:
        for name, test in student["tests"].items():
            if test["state"] in ("failed", "partial", "error"):
                first = test["message"].strip().split("\n")[0]
                notebook = name.removesuffix(f"/{test['grade_id']}")
                same = (notebook, test["grade_id"], test["misconception"], "" if test["misconception"] else first)
                told[same] += 1
                messages.setdefault(same, first)
    return [
        {"notebook": same[0], "grade_id": same[1], "name": same[2], "message": messages[same], "count": count}
        for same, count in told.most_common()
    ]


def _unproven(students: list[Record]) -> Record:
    touched = [[t for t in s["tests"].values() if not t["tamper_proof"]] for s in students]
    points = sum(test["points"] for tests in touched for test in tests)
    return {"points": points, "submissions": sum(1 for tests in touched if tests)}


def _bases(students: list[Record]) -> list[Record]:
    """The bases that differ, each once; and every student's indices into them."""
    made: dict[str, Record] = {}
    for student in students:
        for notebook, basis in student.pop("_bases").items():
            rest = {"notebook": notebook} | {k: v for k, v in basis.items() if k != "submission_sha256"}
            same = made.setdefault(json.dumps(rest, sort_keys=True), rest | {"submissions": 0})
            same["submissions"] += 1
            student["basis"].append(list(made.values()).index(same))
    return list(made.values())


def _notes(
    course: CourseDirectory,
    task: layout.Assignment,
    known: bool,
    submitted: set[str],
    students: list[Record],
) -> Iterator[str]:
    if not submitted:
        yield f"Nothing was handed in yet: there is no folder in {course.submitted_directory}/ for {task.name}."
    waiting = sorted(submitted - {student["id"] for student in students})
    if waiting:
        names = ", ".join(waiting[:10]) + (f" and {len(waiting) - 10} more" if len(waiting) > 10 else "")
        is_are = "submission is" if len(waiting) == 1 else "submissions are"
        yield f"{len(waiting)} {is_are} not graded yet ({names}): run `autograder grade {task.name}`."
    if not known:
        yield (
            "The gradebook does not know this assignment, so points are what the tests gave, without manual scores, "
            "extra credit or penalties."
        )
    if strange := sum(1 for student in students if student["graded_by"] == "nbgrader"):
        who = "One submission was" if strange == 1 else f"{strange} submissions were"
        yield (
            f"{who} graded by stock nbgrader: their points count here, but there are no verdicts. "
            f"`autograder grade {task.name} --force` gives them."
        )
    if shown := feedback.warning(course, task.name, task.notebooks.values()):
        yield shown


def _numbers(values: Iterable[Any]) -> list[float]:
    return [float(v) for v in values if isinstance(v, int | float) and math.isfinite(v)]


def _sum(values: Iterable[Any]) -> float | None:
    known = _numbers(values)
    return sum(known) if known else None


def _dict(value: Any) -> Record:
    return value if isinstance(value, dict) else {}
