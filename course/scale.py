"""How much an experiment does here: quick, offline or full.

The environment variable ``COURSE_SCALE`` decides; without it a lesson runs at *offline* scale. The first statement
of every experiment cell asks for its sizes::

    size = experiment(
        offline={"photos": 300, "seeds": 3}, quick={"photos": 20, "seeds": 1}, full={"photos": 3000, "seeds": 5}
    )
    size.photos

- *quick*: everything runs, in seconds, and shows nothing true. For tests.
- *offline*: two CPU cores, no network, minutes.
- *full*: full data sets, published weights from a hub, a GPU where there is one.

Experiments are not part of a grade, so while nbgrader executes a notebook `experiment` leaves the cell at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Literal, TypeVar, get_args

from IPython.core.getipython import get_ipython

from course.locale import gettext as _

Choice = TypeVar("Choice")
Scale = Literal["quick", "offline", "full"]

SCALE_VARIABLE = "COURSE_SCALE"
# Set by nbgrader for the kernel of `nbgrader validate` and `nbgrader autograde`; its value says which.
GRADING_VARIABLE = "NBGRADER_EXECUTION"


class ExperimentSkipped(Exception):
    """This cell is an experiment and nbgrader is executing the notebook: the rest of the cell is passed over.

    IPython shows one line instead of a traceback, and goes on with the next cell.
    """

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def current() -> Scale:
    """The scale that experiments run at now.

    Raises ValueError where COURSE_SCALE holds another word than quick, offline or full.
    """
    word = os.environ.get(SCALE_VARIABLE, "").strip().lower() or "offline"
    for scale in get_args(Scale):
        if word == scale:
            return scale
    raise ValueError(
        _(
            "{variable} is {word!r}, but an experiment knows only quick, offline and full; "
            "set it to one of these, or unset it for offline."
        ).format(variable=SCALE_VARIABLE, word=word)
    )


def grading() -> bool:
    """Whether nbgrader is executing this notebook."""
    return bool(os.environ.get(GRADING_VARIABLE))


def interactive() -> bool:
    """Whether a learner runs this in a notebook: there is a kernel, and nbgrader is not executing it."""
    return hasattr(get_ipython(), "kernel") and not grading()


def choose(*, offline: Choice, quick: Choice, full: Choice) -> Choice:
    """Whichever of the three belongs to the current scale."""
    return {"offline": offline, "quick": quick, "full": full}[current()]


def experiment(
    *,
    offline: Mapping[str, Any] | None = None,
    quick: Mapping[str, Any] | None = None,
    full: Mapping[str, Any] | None = None,
) -> SimpleNamespace:
    """The sizes of this experiment at the current scale, as attributes, and the word for the scale as `scale`.

    A cell that shows what an earlier one measured needs no sizes and calls `experiment()`. The three mappings have
    the same keys, so that a cell that runs at one scale runs at all.

    Raises ExperimentSkipped while nbgrader executes the notebook, and ValueError for keys that differ.
    """
    if grading():
        raise ExperimentSkipped(_("An experiment: passed over while grading."))
    sizes = {"offline": offline or {}, "quick": quick or {}, "full": full or {}}
    if not sizes["offline"].keys() == sizes["quick"].keys() == sizes["full"].keys():
        listed = ", ".join(_("{scale} has {keys}").format(scale=scale, keys=sorted(sizes[scale])) for scale in sizes)
        raise ValueError(_("an experiment names the same sizes at each scale; here {listed}").format(listed=listed))
    return SimpleNamespace(scale=current(), **choose(**sizes))
