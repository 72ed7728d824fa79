"""Hidden tests: lines of a test cell that learners never see, nor any text that comes of running them."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterable
from types import CodeType, FrameType
from typing import NamedTuple

CELL = "<ipython-input-"  # how the names of files start under which cells are compiled


class Delimiters(NamedTuple):
    """What marks the lines around hidden tests; nbgrader's own words unless a course chooses others."""

    begin: str = "BEGIN HIDDEN TESTS"
    end: str = "END HIDDEN TESTS"


DEFAULT = Delimiters()


def lines(source: str, delimiters: Delimiters) -> frozenset[int]:
    """The numbers, from 1, of hidden lines, the marks included. What is never ended goes to the end."""
    found, inside = set(), False
    for number, line in enumerate(source.split("\n"), 1):
        inside = inside or delimiters.begin in line
        if inside:
            found.add(number)
        inside = inside and delimiters.end not in line
    return frozenset(found)


def without(source: str, delimiters: Delimiters) -> str:
    """A test cell's text as learners may see it."""
    gone = lines(source, delimiters)
    return "\n".join(line for number, line in enumerate(source.split("\n"), 1) if number not in gone)


def running(delimiters: Delimiters) -> bool:
    """Whether a hidden line of a cell is being run by the caller's thread."""
    return _any_hidden(((f.f_code, f.f_lineno) for f in _frames()), delimiters)


def raised(error: BaseException, delimiters: Delimiters) -> bool:
    """Whether an exception came by way of a hidden line of a cell."""
    return _any_hidden(_steps(error), delimiters)


def _frames() -> Iterable[FrameType]:
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _steps(error: BaseException) -> Iterable[tuple[CodeType, int]]:
    step = error.__traceback__
    while step is not None:
        yield step.tb_frame.f_code, step.tb_lineno
        step = step.tb_next


def _any_hidden(places: Iterable[tuple[CodeType, int]], delimiters: Delimiters) -> bool:
    return any(
        number in lines("".join(linecache.getlines(code.co_filename)), delimiters)
        for code, number in places
        if code.co_filename.startswith(CELL)
    )
