"""What a learner hands in: an archive of a lesson, or a submission to nbgrader's exchange, with a receipt.

The archive holds ``LESSON/LESSON.ipynb``, the learner's other files of the lesson, ``LESSON/timestamp.txt`` as nbgrader
reads it and ``LESSON/receipt.json``: ``unzip -d submitted/STUDENT ARCHIVE`` puts it where nbgrader and `autograder
grade` look, and nbgrader's own ``zip_collect`` takes many at once with this pattern::

    c.FileNameCollectorPlugin.named_regexp = (
        r".*/(?P<timestamp>[^_/]+)_LESSON_(?P<student_id>[^/]+)/LESSON/(?P<file_id>.+)"
    )

A receipt is JSON::

    {"version": 1, "lesson": str, "student": str | None, "time": ISO 8601 in UTC, with its offset,
     "files": [{"name": str, "bytes": int, "sha256": str}, ...],
     "content_sha256": str, the same for the same files whenever they are handed in: the SHA-256 of a line
         "SHA256  NAME" for each of them, in the order of their names, as `sha256sum` writes it,
     "left_out": [{"name": str, "bytes": int}, ...], files that are too large,
     "notebook": None or a sentence: why nobody can read it,
     "exercises": [{"name": str, "state": str, "points": float | None, "max_points": float}, ...],
     "points": float | None, by the learner's own last checks; "max_points": float,
     "release": SHA-256 of the notebook that the learner was given, or None, "versions": {str: str},
     "archive": {"name": str, "bytes": int, "sha256": str} or "exchange": {"course": str, "timestamp": str}}

where the last line is in the receipt that the learner keeps, and not in the one inside.
"""
