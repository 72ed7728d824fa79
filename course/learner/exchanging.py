"""nbgrader's exchange, where the class has one: the folder, or service, that submissions go to by themselves."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import chdir
from pathlib import Path

from nbgrader import exchange
from nbgrader.apps import NbGrader
from nbgrader.auth import Authenticator

from course.learner.workspace import WorkspaceError
from course.locale import gettext as _


class NotTaken(WorkspaceError):
    """The exchange did not take a submission; the message says why and what to do."""


def configured(folder: Path) -> NbGrader | None:
    """nbgrader with the settings that it finds for `folder`, where these name a course and an exchange that works.

    They are found as by nbgrader's own commands: in an nbgrader_config.py of the folder, and of Jupyter's. Raises
    NotTaken where they cannot be read.
    """
    try:
        with chdir(folder):
            app = NbGrader(log_level=logging.ERROR)
            app.initialize([])
    except SystemExit as error:  # how nbgrader, having said why, takes a setting that is none
        raise NotTaken(
            _(
                "nbgrader's settings for this folder cannot be read; its own words are above. Mend nbgrader_config.py,"
                " or hand in an archive: --archive."
            )
        ) from error
    if not app.coursedir.course_id:
        return None
    taken_by = exchange.ExchangeFactory(parent=app).submit
    if issubclass(taken_by, exchange.default.ExchangeSubmit):  # others know by themselves where they send it
        root = taken_by(parent=app).root
        if sys.platform == "win32" or not os.access(root, os.W_OK | os.X_OK) or not Path(root).is_dir():
            return None
    return app


def submit(app: NbGrader, folder: Path, lesson: str, student: str | None) -> dict[str, str]:
    """Hand `folder`/`lesson` in, and give the course and the time that nbgrader has it under. Raises NotTaken."""
    app.coursedir.assignment_id = lesson
    if student is not None:
        app.coursedir.student_id = student
    taken_by = exchange.ExchangeFactory(parent=app).Submit(
        coursedir=app.coursedir, authenticator=Authenticator(parent=app), parent=app
    )
    taken_by.assignment_dir, taken_by.path_includes_course = str(folder), False
    app.log.setLevel(logging.CRITICAL + 1)  # what it would log is in the error that it raises
    try:
        taken_by.start()
    except (exchange.ExchangeError, OSError, RuntimeError) as error:
        raise NotTaken(
            _(
                "nbgrader's exchange did not take {lesson}: {reason}. Ask whoever runs the class, or hand in an"
                " archive: `course submit {lesson} --archive`."
            ).format(lesson=lesson, reason=str(error).rstrip("."))
        ) from error
    return {"course": app.coursedir.course_id, "timestamp": taken_by.timestamp}
