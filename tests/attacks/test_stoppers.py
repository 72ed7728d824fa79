"""Submissions that stop a whole batch: what is opened blocks, never ends, or cannot be written down."""

import os
from collections.abc import Callable
from typing import Any

import pytest

PATIENCE = 25

MARKED = pytest.mark.xfail(strict=False, reason="F7: one such submission stops or hangs the batch")


@MARKED
def attack_a_timestamp_that_is_a_pipe(work: Any) -> None:
    """A timestamp that nobody ever writes to."""
    work.last.append(lambda folder: ((folder / "timestamp.txt").unlink(), os.mkfifo(folder / "timestamp.txt")))


@MARKED
def attack_a_timestamp_without_end(work: Any) -> None:
    """A timestamp that is a link to /dev/zero."""
    work.last.append(
        lambda folder: ((folder / "timestamp.txt").unlink(), (folder / "timestamp.txt").symlink_to("/dev/zero"))
    )


@MARKED
def attack_a_timestamp_of_gigabytes(work: Any) -> None:
    """A timestamp of eight gigabytes of nothing."""
    work.last.append(lambda folder: os.truncate(folder / "timestamp.txt", 8 << 30))


@MARKED
def attack_a_notebook_that_is_a_pipe(work: Any) -> None:
    """A notebook that nobody ever writes to."""
    work.last.append(lambda folder: ((folder / "problem.ipynb").unlink(), os.mkfifo(folder / "problem.ipynb")))


@MARKED
def attack_a_notebook_without_end(work: Any) -> None:
    """A notebook that is a link to /dev/zero."""
    work.last.append(
        lambda folder: ((folder / "problem.ipynb").unlink(), (folder / "problem.ipynb").symlink_to("/dev/zero"))
    )


@MARKED
def attack_a_million_cells(work: Any) -> None:
    """As many empty cells as fit into the largest notebook."""
    work.raw = b'{"nbformat":4,"cells":[' + b",".join([b'{"cell_type":"code"}'] * 900_000) + b"]}"


@MARKED
def attack_an_old_notebook_of_many_cells(work: Any) -> None:
    """The same in a format that is converted first."""
    cells = b",".join([b'{"cell_type":"code","input":"","outputs":[]}'] * 400_000)
    work.raw = b'{"nbformat":3,"nbformat_minor":0,"metadata":{},"worksheets":[{"cells":[' + cells + b"]}]}"


@MARKED
def attack_a_name_that_is_no_text(work: Any) -> None:
    """A student whose name is not UTF-8."""
    work.student = os.fsdecode(b"m\xff\xfe")


def test_attack(judged: Callable[[str], None], attack: str) -> None:
    judged(attack)


@MARKED
def test_neighbours_and_the_machine_are_unharmed(unharmed: Callable[[], None]) -> None:
    unharmed()
