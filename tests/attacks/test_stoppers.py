"""Submissions that stop a whole batch: what is opened blocks, never ends, or takes for ever to be looked through."""

import os
from collections.abc import Callable
from typing import Any

PATIENCE = 100


def attack_a_timestamp_that_is_a_pipe(work: Any) -> None:
    """A timestamp that nobody ever writes to."""
    work.last.append(lambda folder: ((folder / "timestamp.txt").unlink(), os.mkfifo(folder / "timestamp.txt")))


def attack_a_timestamp_without_end(work: Any) -> None:
    """A timestamp that is a link to /dev/zero."""
    work.last.append(
        lambda folder: ((folder / "timestamp.txt").unlink(), (folder / "timestamp.txt").symlink_to("/dev/zero"))
    )


def attack_a_timestamp_of_gigabytes(work: Any) -> None:
    """A timestamp of eight gigabytes of nothing."""
    work.last.append(lambda folder: os.truncate(folder / "timestamp.txt", 8 << 30))


def attack_a_notebook_that_is_a_pipe(work: Any) -> None:
    """A notebook that nobody ever writes to."""
    work.last.append(lambda folder: ((folder / "problem.ipynb").unlink(), os.mkfifo(folder / "problem.ipynb")))


def attack_a_notebook_without_end(work: Any) -> None:
    """A notebook that is a link to /dev/zero."""
    work.last.append(
        lambda folder: ((folder / "problem.ipynb").unlink(), (folder / "problem.ipynb").symlink_to("/dev/zero"))
    )


def attack_a_million_cells(work: Any) -> None:
    """As many empty cells as fit into the largest notebook."""
    work.raw = b'{"nbformat":4,"cells":[' + b",".join([b'{"cell_type":"code"}'] * 900_000) + b"]}"


def attack_an_old_notebook_of_many_cells(work: Any) -> None:
    """The same in a format that is converted first."""
    cells = b",".join([b'{"cell_type":"code","input":"","outputs":[]}'] * 400_000)
    work.raw = b'{"nbformat":3,"nbformat_minor":0,"metadata":{},"worksheets":[{"cells":[' + cells + b"]}]}"


def test_attack(judged: Callable[[str], None], attack: str) -> None:
    judged(attack)


def test_neighbours_and_the_machine_are_unharmed(unharmed: Callable[[], None]) -> None:
    unharmed()
