"""A course of plain Python in the manner of nbgrader's example assignment: ps1, with two notebooks."""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config

ASSIGNMENT = "ps1"

SQUARES = '''def squares(n):
    """The squares of 1 to n, inclusive."""
    ### BEGIN SOLUTION
    if n < 1:
        raise ValueError("n must be at least 1")
    return [i**2 for i in range(1, n + 1)]
    ### END SOLUTION'''
SUM_OF_SQUARES = '''def sum_of_squares(n):
    """The sum of the squares of 1 to n, by way of squares."""
    ### BEGIN SOLUTION
    return sum(squares(n))
    ### END SOLUTION'''
WORDS = '''def word_counts(text):
    """How often each word stands in a text, without regard to case."""
    ### BEGIN SOLUTION
    counts = {}
    for word in text.lower().split():
        counts[word] = counts.get(word, 0) + 1
    return counts
    ### END SOLUTION'''
ACCOUNT = '''class Account:
    """A balance that cannot be overdrawn."""
    ### BEGIN SOLUTION
    def __init__(self, balance=0):
        self.balance = balance

    def withdraw(self, amount):
        if amount > self.balance:
            raise ValueError("not enough")
        self.balance -= amount
        return self.balance
    ### END SOLUTION'''

WRONG = {
    "squares": "def squares(n):\n    return [i**2 for i in range(n)]",
    "sum-of-squares": "def sum_of_squares(n):\n    return n * (n + 1) * (2 * n + 1) // 6",
    "word-counts": "def word_counts(text):\n    return {word: text.count(word) for word in text.split()}",
    "account": "class Account:\n    def __init__(self, balance=0):\n        self.balance = balance\n\n"
    "    def withdraw(self, amount):\n        self.balance -= amount\n        return self.balance",
}


def _marked(cell: NotebookNode, grade_id: str, **meta: object) -> NotebookNode:
    plain = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
    cell.metadata["nbgrader"] = plain | {"grade_id": grade_id} | meta
    return cell


def _solution(grade_id: str, text: str) -> NotebookNode:
    return _marked(new_code_cell(text), grade_id, solution=True)


def _test(grade_id: str, text: str, points: int) -> NotebookNode:
    return _marked(new_code_cell(text), grade_id, grade=True, locked=True, points=points)


def _problem1() -> NotebookNode:
    return new_notebook(
        cells=[
            new_markdown_cell("# Problem 1: lists"),
            _solution("squares", SQUARES),
            _test("squares-values", "assert squares(1) == [1]\nassert squares(3) == [1, 4, 9]", 1),
            _test(
                "squares-invalid",
                "try:\n    squares(0)\nexcept ValueError:\n    pass\nelse:\n    raise AssertionError('no error')",
                1,
            ),
            new_markdown_cell("The sum of these squares:"),
            _solution("sum-of-squares", SUM_OF_SQUARES),
            _test("sum-values", "assert sum_of_squares(1) == 1\nassert sum_of_squares(11) == 506", 1),
            _test(
                "sum-uses-squares",
                "original_squares = squares\ndel squares\ntry:\n    sum_of_squares(2)\nexcept NameError:\n    pass\n"
                "else:\n    raise AssertionError('sum_of_squares does not use squares')\n"
                "finally:\n    squares = original_squares",
                1,
            ),
        ]
    )


def _problem2() -> NotebookNode:
    hidden = "### BEGIN HIDDEN TESTS\nassert word_counts('') == {}\n### END HIDDEN TESTS"
    return new_notebook(
        cells=[
            new_markdown_cell("# Problem 2: words and accounts"),
            _solution("word-counts", WORDS),
            _test("counts-values", f"assert word_counts('A b a') == {{'a': 2, 'b': 1}}\n{hidden}", 2),
            _solution("account", ACCOUNT),
            _test(
                "account-values",
                "a = Account(10)\nassert a.withdraw(4) == 6\nassert a.balance == 6\ntry:\n    a.withdraw(7)\n"
                "except ValueError:\n    pass\nelse:\n    raise AssertionError('overdrawn')",
                2,
            ),
            _marked(new_markdown_cell("Why is that useful?"), "why", grade=True, solution=True, points=2),
        ]
    )


def make(folder: Path, submissions: int) -> None:
    """A course directory with its assignment released and so many submissions: right, wrong, untouched in turn."""
    source = folder / "source" / ASSIGNMENT
    source.mkdir(parents=True)
    for number, notebook in enumerate((_problem1(), _problem2()), 1):
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, source / f"problem{number}.ipynb")
    (folder / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'plain'\n")
    config = Config()
    config.CourseDirectory.root = str(folder.resolve())
    config.CourseDirectory.course_id = "plain"
    with chdir(folder):
        done = NbGraderAPI(config=config).generate_assignment(ASSIGNMENT)
    if not done["success"]:
        raise SystemExit(f"The assignment could not be released:\n{done['log']}")
    for number in range(submissions):
        target = folder / "submitted" / f"student-{number:04}" / ASSIGNMENT
        target.mkdir(parents=True)
        for name in ("problem1.ipynb", "problem2.ipynb"):
            released = nbformat.read(folder / "release" / ASSIGNMENT / name, as_version=4)
            _answer(released, nbformat.read(source / name, as_version=4), number)
            nbformat.write(released, target / name)


def _answer(released: NotebookNode, source: NotebookNode, number: int) -> None:
    kind = number % 3
    solved = {c.metadata.nbgrader.grade_id: c.source for c in source.cells if "nbgrader" in c.metadata}
    for cell in released.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        if grade_id in WRONG and kind < 2:
            answer = solved[grade_id] if kind == 0 else WRONG[grade_id]
            cell.source = f"# {number}\n{answer}"
