"""A tamper-proof grader for nbgrader courses: ``autograder.grade(source, submission)``, and the command line."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autograder.grading import Report
    from autograder.library import grade, warm
    from autograder.limits import Limits

__all__ = ["Limits", "Report", "grade", "warm"]

# jsonschema imports it where it is installed, to check web addresses, and reading a notebook imports jsonschema: that
# takes 2.5 s of a core in every process that grades, and no notebook has such addresses.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

# Imported when first asked for: every process of a grading imports this package, and few need these.
_HOMES = {"Limits": "limits", "Report": "grading", "grade": "library", "warm": "library"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
