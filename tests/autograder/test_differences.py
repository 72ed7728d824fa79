"""Every row of the README's table of differences, tried: one course, graded by stock nbgrader and by this grader."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry

from autograder.sandbox import isolation

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")

CONFIG = """
import pathlib
c = get_config()
c.CourseDirectory.course_id = "differences"
c.Execute.timeout = 20
def before(assignment, student, notebooks):
    pathlib.Path("hooked").touch()
c.Autograde.pre_convert_hook = before
"""

RIGHT = "import math\nimport os\n\ndef value(x):\n    return x\n\ndef score():\n    return 2.0"
HIDDEN = "assert value(3) == 3\n### BEGIN HIDDEN TESTS\nassert value(31) == 31, 'thirty-one'\n### END HIDDEN TESTS"
SVG = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script><circle r='4'/></svg>"

# What each student's answer has in the place of the right one's lines.
ANSWERS = {
    "right": RIGHT,
    "nomodule": RIGHT.replace("import math\n", ""),
    "liar": RIGHT.replace("return x", "return type('E', (), {'__eq__': lambda *_: True})()"),
    "stderr": RIGHT.replace("return x", "import sys; print('old', file=sys.stderr); return x"),
    "overwrites": RIGHT.replace("return x", "open('expected.txt', 'w').write('0'); return 0"),
    "nan": RIGHT.replace("2.0", "float('nan')"),
    "negative": RIGHT.replace("2.0", "-1.0"),
    "over": RIGHT.replace("2.0", "5.0"),
    "capped": RIGHT.replace("return x", "return min(x, 30)"),
    "looks": RIGHT + "\nprint('sees the course:', os.path.exists({root!r}))",
    "shows": f"{RIGHT}\nfrom IPython.display import HTML, SVG, Markdown, display\n"
    f"display(HTML('<b>kept</b><script>alert(1)</script>'), SVG({SVG!r}))\n"
    "display(Markdown('**kept** <script>alert(1)</script>'))",
}
ASSIGNMENTS = ("ps1", "old", "late", "octave")
OTHERS = ("broken", "linked", "deleted", "changed", "helper", "remade")


@dataclass(frozen=True)
class Graded:
    """What one grader made of the course: points by student and cell, its notebooks, its feedback."""

    root: Path

    def points(self, student: str, assignment: str = "ps1") -> dict[str, tuple[float | None, bool]] | None:
        """By cell: points, and whether a person is waited for. None where there is no graded notebook."""
        if not (self.root / "autograded" / student / assignment / "work.ipynb").is_file():
            return None
        with Gradebook(f"sqlite:///{self.root}/gradebook.db", "differences") as book:
            try:
                grades = book.find_submission_notebook("work", assignment, student).grades
            except MissingEntry:
                return None
            return {grade.name: (grade.auto_score, grade.needs_manual_grade) for grade in grades}

    def score(self, student: str, cell: str) -> float | None:
        points = self.points(student)
        return None if points is None else points[cell][0]

    def notebook(self, student: str) -> NotebookNode:
        return nbformat.read(self.root / "autograded" / student / "ps1" / "work.ipynb", as_version=4)

    def shown(self, student: str) -> str:
        return str([cell.get("outputs") for cell in self.notebook(student).cells])


def _run(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    own = {"JUPYTER_CONFIG_DIR": str(root / ".jupyter"), "JUPYTER_DATA_DIR": str(root.parent / "data")}
    environment = {**os.environ, **own, "PATH": path, "OMP_NUM_THREADS": "1"}
    command = [str(Path(sys.executable).with_name(words[0])), *words[1:]]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=500)


def _submit(root: Path, student: str, answer: str | None = None, assignment: str = "ps1") -> NotebookNode:
    folder = root / "submitted" / student / assignment
    folder.mkdir(parents=True)
    made = nbformat.read(root / "release" / assignment / "work.ipynb", as_version=4)
    made.cells[0].source = RIGHT if answer is None else answer
    nbformat.write(made, folder / "work.ipynb")
    return made


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, cells: SimpleNamespace) -> tuple[Graded, Graded, str]:
    """Graded by stock nbgrader, by this grader, and what this grader said."""
    base = tmp_path_factory.mktemp("differences")
    root = base / "stock"
    experiment = cells.plain("print('the experiment ran')")
    experiment.metadata["tags"] = ["experiment"]
    work = cells.notebook(
        cells.solution("answer", cells.solved(RIGHT)),
        cells.test("equal", "assert value(2) == 2"),
        cells.test("module", "assert math.sqrt(4) == 2"),
        cells.test("file", "import helper\nassert helper.X == 1"),
        cells.test("partial", "score()", 2),
        cells.test("shipped", "assert value(2) == int(open('expected.txt').read())"),
        cells.test("hidden", HIDDEN),
        experiment,
        cells.essay("why", cells.solved("Because.")),
    )
    small = cells.notebook(cells.solution("answer", cells.solved(RIGHT)), cells.test("equal", "assert value(2) == 2"))
    kernel = json.dumps({"argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]})
    for name in ("python3", "octave"):
        (base / "data" / "kernels" / name).mkdir(parents=True)
        spec = json.loads(kernel) | {"display_name": name, "language": "python" if name == "python3" else "octave"}
        (base / "data" / "kernels" / name / "kernel.json").write_text(json.dumps(spec))
    for assignment, notebook, name in (
        ("ps1", work, "python3"),
        ("old", small, "python3"),
        ("late", small, "python3"),
        ("octave", small, "octave"),
    ):
        language = "python" if name == "python3" else name
        notebook.metadata["kernelspec"] = {"name": name, "display_name": name, "language": language}
        (root / "source" / assignment).mkdir(parents=True)
        nbformat.write(notebook, root / "source" / assignment / "work.ipynb")
        (root / "source" / assignment / "expected.txt").write_text("2")
        (root / "nbgrader_config.py").write_text(CONFIG)
        made = _run(root, "nbgrader", "generate_assignment", assignment)
        assert made.returncode == 0, made.stderr
    for student, answer in ANSWERS.items():
        _submit(root, student, answer.format(root=str(root)) if student == "looks" else answer)
    for student in OTHERS:
        made = _submit(root, student)
        path = root / "submitted" / student / "ps1" / "work.ipynb"
        if student == "broken":
            path.write_text("{")
        elif student == "linked":
            path.rename(base / "elsewhere.ipynb")
            path.symlink_to(base / "elsewhere.ipynb")
        elif student == "helper":
            path.with_name("helper.py").write_text("X = 1")
        elif student == "deleted":
            made.cells = made.cells[:-1]
        elif student == "changed":
            made.cells[0].cell_type, made.nbformat_minor = "markdown", 4
            del made.cells[0]["outputs"], made.cells[0]["execution_count"]
            for cell in made.cells:
                del cell["id"]
        elif student == "remade":  # the right one, kept for --no-execute
            made.cells[1].outputs = [nbformat.v4.new_output("stream", text="as it was submitted")]
        if student in ("deleted", "changed", "remade"):
            nbformat.write(made, path)
    for student in ("anna", "zoe"):
        _submit(root, student, assignment="late")
        made = _submit(root, student, assignment="old")
        if student == "anna":
            for cell in made.cells:
                cell.metadata.nbgrader["schema_version"] = 1
            (root / "submitted" / "anna" / "old" / "work.ipynb").write_text(json.dumps(made))
    (root / "submitted" / "anna" / "late" / "timestamp.txt").write_text("soon")
    _submit(root, "right", assignment="octave")
    ours = base / "ours"
    shutil.copytree(root, ours, symlinks=True)
    for assignment in ASSIGNMENTS:
        _run(root, "nbgrader", "autograde", assignment)
    _run(root, "nbgrader", "generate_feedback", "ps1", "--student=capped")
    shut = [] if isolation.why_not() is None else ["--isolation=none"]
    said = [_run(ours, "autograder", "grade", assignment, *shut) for assignment in ASSIGNMENTS]
    config = 'c.GenerateFeedback.preprocessors.append("autograder.feedback.HideHiddenTests")\n'
    with (ours / "nbgrader_config.py").open("a") as file:
        file.write(config)
    assert _run(ours, "nbgrader", "generate_feedback", "ps1", "--student=capped").returncode == 0
    return Graded(root), Graded(ours), "".join(one.stdout + one.stderr for one in said)


Check = Callable[[Graded, Graded, str], Any]


def _feedback(graded: Graded) -> str:
    return (graded.root / "feedback" / "capped" / "ps1" / "work.html").read_text(encoding="utf-8")


def _where_tests_run(stock: Graded, ours: Graded, said: str) -> None:
    """Honest work earns the same; what differs is what the rows below and tests/attacks say."""
    same = ("equal", "module", "partial", "hidden", "why")
    assert {c: stock.points("right")[c] for c in same} == {c: ours.points("right")[c] for c in same}  # type: ignore[index]
    basis = ours.notebook("right").metadata["autograder"]["basis"]
    assert basis["isolated"] is (isolation.why_not() is None)


def _reach(stock: Graded, ours: Graded, said: str) -> None:
    assert "sees the course: True" in stock.shown("looks")
    if isolation.why_not() is None:
        assert "sees the course: False" in ours.shown("looks")


def _scores(student: str, cell: str, stocks: float | None, here: float | None) -> Check:
    def check(stock: Graded, ours: Graded, said: str) -> None:
        assert (stock.score(student, cell), ours.score(student, cell)) == (stocks, here)

    return check


def _last_values(stock: Graded, ours: Graded, said: str) -> None:
    for student in ("nan", "negative"):
        assert (stock.score(student, "partial"), ours.score(student, "partial")) == (2, 0), student


def _unreadable(stock: Graded, ours: Graded, said: str) -> None:
    assert stock.points("broken") is None and stock.points("shows") is not None  # and those after it
    verdicts = ours.notebook("broken").metadata["autograder"]["verdicts"]
    assert {v["state"] for v in verdicts} == {"unreadable"} and ours.score("broken", "equal") == 0


def _ends_it(assignment: str, *, for_everybody: bool) -> Check:
    """anna's work has the flaw, and zoe's, which is graded after hers, has none."""

    def check(stock: Graded, ours: Graded, said: str) -> None:
        graded = {"equal": (1, False)}
        assert stock.points("anna", assignment) is None
        assert stock.points("zoe", assignment) == (None if for_everybody else graded)
        assert ours.points("anna", assignment) == ours.points("zoe", assignment) == graded

    return check


def _deleted(stock: Graded, ours: Graded, said: str) -> None:
    assert stock.points("deleted")["why"] == (None, True)  # type: ignore[index]
    assert ours.points("deleted")["why"] == (0, False)  # type: ignore[index]


def _linked(stock: Graded, ours: Graded, said: str) -> None:
    assert (stock.score("linked", "equal"), ours.score("linked", "equal")) == (1, 0)
    assert ours.notebook("linked").metadata["autograder"]["verdicts"][0]["state"] == "unreadable"


def _experiment(stock: Graded, ours: Graded, said: str) -> None:
    assert "the experiment ran" in stock.shown("right") and "the experiment ran" not in ours.shown("right")


def _hidden(stock: Graded, ours: Graded, said: str) -> None:
    assert "thirty-one" in _feedback(stock) and "BEGIN HIDDEN" in _feedback(stock)
    assert "thirty-one" not in _feedback(ours) and "A hidden test failed." in _feedback(ours)
    (verdict,) = (v for v in ours.notebook("capped").metadata["autograder"]["verdicts"] if v["grade_id"] == "hidden")
    assert verdict["hidden_message"] == "thirty-one"


def _shown(stock: Graded, ours: Graded, said: str) -> None:
    assert stock.shown("shows").count("alert(1)") == 3
    assert "alert(1)" not in ours.shown("shows").replace("&lt;script&gt;alert(1)", "")
    assert all(kept in ours.shown("shows") for kept in ("<b>kept</b>", "circle", "<strong>kept</strong>"))


def _language(stock: Graded, ours: Graded, said: str) -> None:
    assert stock.points("right", "octave") == {"equal": (1, False)}
    assert ours.points("right", "octave") is None and "is a notebook in octave; only Python is graded here" in said


def _configuration(stock: Graded, ours: Graded, said: str) -> None:
    def halved(graded: Graded, *words: str) -> subprocess.CompletedProcess[str]:
        config = graded.root / "nbgrader_config.py"
        whole = config.read_text()
        config.write_text(f"{whole}\nc.Execute.timeout = (")
        try:
            return _run(graded.root, *words, "ps1", "--student=remade", "--force")
        finally:
            config.write_text(whole)

    assert halved(stock, "nbgrader", "autograde").returncode == 0
    refused = halved(ours, "autograder", "grade", "--isolation=none")
    assert refused.returncode != 0 and "The configuration cannot be read" in refused.stderr


def _no_execute(stock: Graded, ours: Graded, said: str) -> None:
    done = _run(stock.root, "nbgrader", "autograde", "ps1", "--student=remade", "--force", "--no-execute")
    assert done.returncode == 0 and "as it was submitted" in stock.shown("remade")
    assert _run(ours.root, "autograder", "grade", "ps1", "--isolation=none", "--no-execute").returncode != 0


def _hooks(stock: Graded, ours: Graded, said: str) -> None:
    assert (stock.root / "hooked").exists() and not (ours.root / "hooked").exists()


def _modes(stock: Graded, ours: Graded, said: str) -> None:
    mask = os.umask(0)
    os.umask(mask)
    for graded, mode in ((stock, 0o444), (ours, 0o666 & ~mask)):
        assert (graded.root / "autograded" / "right" / "ps1" / "work.ipynb").stat().st_mode & 0o777 == mode


ROWS: dict[str, Check] = {
    "where tests run": _where_tests_run,
    "what the learner's code can reach": _reach,
    "an object that says it equals anything": _scores("liar", "equal", 1, 0),
    "a module that your solution imports": _scores("nomodule", "module", 0, 1),
    "a `.py` file that a learner adds": _scores("helper", "file", 1, 0),
    "a shipped file that the learner's code overwrites": _scores("overwrites", "shipped", 1, 0),
    "a cell that prints to stderr": _scores("stderr", "equal", 0, 1),
    "a last value of NaN, or below 0": _last_values,
    "a last value above the cell's points": _scores("over", "partial", None, 2),
    "an unreadable notebook": _unreadable,
    "a notebook with metadata of an older nbgrader": _ends_it("old", for_everybody=True),
    "a `timestamp.txt` that is no time": _ends_it("late", for_everybody=False),
    "an answer or a test whose cell type was changed, before nbformat 4.5": _scores("changed", "equal", None, 1),
    "an answer for a person to grade that was deleted": _deleted,
    "a submission that is a link": _linked,
    "cells tagged `experiment`": _experiment,
    "a failed hidden test": _hidden,
    "HTML, Markdown and SVG of a learner": _shown,
    "a notebook in another language": _language,
    "an `nbgrader_config.py` that cannot be read": _configuration,
    "`--no-execute`": _no_execute,
    "hooks before and after a conversion, and preprocessors of your own": _hooks,
    "the modes of files in `autograded/`": _modes,
}


def test_every_row_of_the_table_is_tried() -> None:
    table = README.partition("### Where it differs from stock nbgrader")[2].partition("\n\nA test")[0]
    rows = re.findall(r"^\| ([^|]+?) \| [^|]+ \| [^|]+ \|$", table, re.MULTILINE)
    assert [row for row in rows if row.strip("-")] == list(ROWS)


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS)
def test_it_differs_so(both: tuple[Graded, Graded, str], row: str) -> None:
    ROWS[row](*both)
