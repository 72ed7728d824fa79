"""Malformed and hostile notebooks, names, links and archives, each with a verdict for itself alone."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def attack_empty(work: Any) -> None:
    """No bytes."""
    work.raw = b""


def attack_truncated(work: Any) -> None:
    """Half a notebook."""
    work.raw = json.dumps(work.notebook).encode()[:700]


def attack_not_a_notebook(work: Any) -> None:
    """Valid JSON that is no notebook."""
    work.raw = b'[1, 2, {"cells": 3}]'


def attack_cells_of_no_kind(work: Any) -> None:
    """Cells that are numbers, lists and unknown types, with sources of every type."""
    work.raw = json.dumps(
        {
            "nbformat": 4,
            "cells": [
                5,
                [],
                None,
                {"cell_type": "code", "source": 7},
                {"cell_type": ["x"]},
                {"cell_type": "code", "source": [1, None, ["x"]]},
            ],
        }
    ).encode()


def attack_deep(work: Any) -> None:
    """A hundred thousand brackets."""
    work.raw = b"[" * 100_000


def attack_a_zip(work: Any) -> None:
    """An archive in the notebook's place, one that unpacks to much."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../../left-by-a-learner", bytes(1 << 24))
    work.raw = file.getvalue()
    work.files["left.zip"] = file.getvalue()


def attack_huge(work: Any) -> None:
    """More than a submitted notebook may have."""
    work.raw = b" " * (21 << 20) + json.dumps(work.notebook).encode()


def attack_encodings(work: Any) -> None:
    """UTF-16 with half surrogates, byte-order marks and NUL characters."""
    work.answer(squares="# \x00 \ud800 \u202e\ndef squares(n): return 0")
    work.raw = json.dumps(work.notebook).encode("utf-16")


def attack_not_a_number(work: Any) -> None:
    """NaN, Infinity and numbers of ten thousand digits."""
    work.raw = (
        json.dumps(work.notebook)
        .encode()
        .replace(b'"nbformat": 4', b'"nbformat": NaN, "x": Infinity, "y": ' + b"9" * 10000)
    )


def attack_a_folder(work: Any) -> None:
    """A folder where the notebook should be."""
    work.last.append(lambda folder: ((folder / "problem.ipynb").unlink(), (folder / "problem.ipynb").mkdir()))


def attack_a_dangling_link(work: Any) -> None:
    """A link to nothing."""
    work.last.append(
        lambda folder: ((folder / "problem.ipynb").unlink(), (folder / "problem.ipynb").symlink_to("none"))
    )


def attack_a_name_that_is_markup(work: Any) -> None:
    """A student whose name is markup of a terminal and of a page."""
    work.student = "m[red]<script>alert(1)<!--[bold]"


def attack_a_name_that_is_a_command(work: Any) -> None:
    """A student whose name is an option, SQL and a shell's command."""
    work.student = "-rf $(touch x); drop table student;--'\""


def attack_a_name_that_is_a_pattern(work: Any) -> None:
    """A student whose name is a pattern and a format."""
    work.student = "*{nbgrader_step}{x%s?[a"


def attack_a_name_with_control_characters(work: Any) -> None:
    """A student whose name breaks lines and clears the screen."""
    work.student = "m\n\x1b[2J\u202e\tx"


def attack_links_beside_the_notebook(work: Any) -> None:
    """Files beside the notebook that are links to the source, the gradebook and the home."""
    root = work.root
    for name, target in (
        ("helpers.py", root / "gradebook.db"),
        ("numbers.txt", root.parent / "home" / "secret.txt"),
        ("source", root / "source"),
        ("loop", Path("loop")),
    ):
        work.last.append(lambda folder, name=name, target=target: (folder / name).symlink_to(target))


def attack_ten_thousand_cells(work: Any) -> None:
    """Ten thousand cells of its own."""
    for _ in range(10_000):
        work.notebook.cells.append({"cell_type": "markdown", "source": "x", "metadata": {}})


def attack_one_long_line(work: Any) -> None:
    """A cell of five million characters, and one of deep brackets."""
    work.answer(squares="x = '" + "y" * 5_000_000 + "'", mean="(" * 50_000 + ")" * 50_000)


def attack_an_odd_timestamp(work: Any) -> None:
    """A timestamp that is no time."""
    work.files["timestamp.txt"] = "{}\n__import__('os').system('touch left-by-a-learner')\n" * 10


def test_attack(judged: Callable[[str], None], attack: str) -> None:
    judged(attack)


def test_neighbours_and_the_machine_are_unharmed(unharmed: Callable[[], None]) -> None:
    unharmed()
