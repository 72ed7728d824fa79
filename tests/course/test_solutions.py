"""The solutions: the reference and why it is written so, read from the lessons' sources."""

import ast
import re
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from course import catalogue, paths, solutions
from course.release import source_notebook


@pytest.mark.parametrize("exercise", list(catalogue.exercises()), ids=lambda exercise: exercise.name)
def test_each_exercise_has_one_and_says_why(exercise: catalogue.Exercise) -> None:
    found = solutions.find(exercise)
    (function,) = ast.parse(found.code).body
    assert isinstance(function, ast.FunctionDef) and function.name == exercise.name
    assert found.code.startswith(f"def {exercise.name}(")
    assert ast.get_docstring(function) is None
    assert "###" not in found.code and "# Why:" not in found.code
    compile(found.code, exercise.name, "exec")
    assert 40 <= len(found.why) <= 260
    assert re.fullmatch(r"[A-Z`].*\.", found.why), "a sentence, on one line"
    assert found.why.count("`") % 2 == 0


def test_what_is_shown_works() -> None:
    names = {"nn": nn, "Sequence": Sequence}
    exec(solutions.find(catalogue.find_exercise("freeze")).code, names)
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)).requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    names["freeze"](model, ["2", "0.bias"])
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["0.bias", "2.weight", "2.bias"]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_class_gets_none_and_is_told_where_else_to_look(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(paths, "source", lambda: tmp_path / "source")
    with pytest.raises(solutions.NoSolution, match=re.escape("its teacher has them")) as refused:
        solutions.find(catalogue.find_exercise("freeze"))
    assert "`check_freeze.hint()`" in str(refused.value)


LESSON = """\
# %% nbgrader={{"cell_type": "code", "grade": false, "grade_id": "freeze", "locked": false, "schema_version": 3, "solution": true, "task": false}}
def freeze(x: int) -> int:
    \"\"\"What it does.

    # Why: this is no reason, it stands in the docstring
    \"\"\"
    ### BEGIN SOLUTION
{solution}
    ### END SOLUTION


# %% nbgrader={{"cell_type": "code", "grade": true, "grade_id": "check-freeze", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}}
check_freeze(freeze)
"""  # noqa: E501


def _solution(monkeypatch: pytest.MonkeyPatch, folder: Path, solution: str) -> solutions.Solution:
    """What is found where the source of `freeze` has this between its markers."""
    lesson = folder / "04-freezing"
    lesson.mkdir()
    (lesson / "04-freezing.py").write_text(LESSON.format(solution=solution), encoding="utf-8")
    monkeypatch.setattr(paths, "source", lambda: folder)
    return solutions.find(catalogue.find_exercise("freeze"))


def test_a_reason_over_several_lines_becomes_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = "    # Why: a word,\n    # another word\n    # and the last.\n    return x  # Why: not this"
    found = _solution(monkeypatch, tmp_path, text)
    assert found.why == "a word, another word and the last."
    assert found.code == "def freeze(x: int) -> int:\n    return x  # Why: not this"


def test_no_gap_is_left_behind_the_signature(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = "    # Why: a word.\n\n    def more(y: int) -> int:\n        return y + 1\n\n    return more(x)"
    found = _solution(monkeypatch, tmp_path, text)
    assert found.code.splitlines()[:2] == ["def freeze(x: int) -> int:", "    def more(y: int) -> int:"]
    assert found.why == "a word."


def test_other_comments_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = _solution(monkeypatch, tmp_path, "    # once is enough\n    return x")
    assert found == solutions.Solution("def freeze(x: int) -> int:\n    # once is enough\n    return x", "")


def test_it_is_there_at_once_and_in_the_learners_language() -> None:
    """Neither what makes notebooks is imported, nor is anything translated before it is shown."""
    code = """
        import sys
        from course import catalogue, locale, solutions
        assert solutions.find(catalogue.find_exercise("freeze")).why
        assert not {"nbgrader", "jupytext", "nbformat"} & set(sys.modules), sys.modules.keys()
        solutions._ = lambda message: "Noch einmal: {again}"
        print(solutions.not_tried("x()"))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "Noch einmal: x()\n"


def test_it_is_what_the_instructors_notebook_has() -> None:
    """The text is read as jupytext reads it."""
    for lesson in catalogue.lessons():
        notebook = source_notebook(paths.source() / lesson.name)
        cells = {cell.id: cell.source for cell in notebook.cells}
        text = (paths.source() / lesson.name / f"{lesson.name}.py").read_text(encoding="utf-8")
        for exercise in lesson.exercises:
            assert solutions._cell(text, exercise.cell) == cells[exercise.cell]
