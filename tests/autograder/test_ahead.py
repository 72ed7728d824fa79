"""A warm process is begun while nbgrader is being imported: for what the words of a command name, or not at all."""

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograder import ahead, layout
from autograder.sandbox import warm
from autograder.sandbox.warm import Warm


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "source" / "ps1"
    folder.mkdir(parents=True)
    cells = [
        new_code_cell("import numpy as np\nimport helpers"),
        new_markdown_cell("import csv"),
        new_code_cell("%time 1"),
    ]
    nbformat.write(new_notebook(cells=cells), folder / "one.ipynb")
    nbformat.write(new_notebook(cells=[new_code_cell("import json.decoder")]), folder / "two.ipynb")
    (folder / "helpers.py").write_text("import math")
    (tmp_path / "nbgrader_config.py").write_text("")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    warm.end_ahead()


def begun() -> list[list[str]]:
    return [modules for modules, _, _ in warm._ahead]


def test_it_guesses_what_the_assignment_imports(course: Path) -> None:
    ahead.start(["ps1", "--jobs", "2"])
    assert begun() == [layout.read_assignment(layout.open_course(course), "ps1").modules()]


def test_the_course_may_be_elsewhere(course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    ahead.start(["ps1"])
    assert begun() == []
    ahead.start([f"--course-dir={tmp_path}", "ps1"])
    assert len(begun()) == 1


@pytest.mark.parametrize("words", [[], ["ps2"], ["--help", "ps1"], ["ps1", "--scheduler=tcp://127.0.0.1:1"], ["../x"]])
def test_nothing_is_begun_for_nothing(course: Path, words: list[str]) -> None:
    ahead.start(words)
    assert begun() == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cells": 5}', '{"cells": [{"cell_type": "code"}]}'])
def test_a_notebook_that_cannot_be_read_is_somebody_elses_business(course: Path, text: str) -> None:
    (course / "source" / "ps1" / "one.ipynb").write_text(text)
    ahead.start(["ps1"])
    assert begun() == []


def test_it_is_used_where_the_guess_was_right_and_ended_where_not(course: Path) -> None:
    ahead.start(["ps1"])
    ((modules, right, _),) = warm._ahead
    with Warm(modules) as process:
        assert process._process is right and begun() == []
    ahead.start(["ps1"])
    ((_, wrong, _),) = warm._ahead
    with Warm(["json"]) as process:
        assert process._process is not wrong
    warm.end_ahead()
    assert wrong.poll() is not None and begun() == []
