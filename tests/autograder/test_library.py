"""autograder.grade(source, submission), as a program calls it: paths or notebooks, files, and what it refuses."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat import NotebookNode

import autograder
from autograder.sandbox import isolation
from autograder.sandbox.warm import Warm


@pytest.fixture
def square(cells: SimpleNamespace) -> NotebookNode:
    return cells.notebook(
        cells.solution("square", cells.solved("def square(x):\n    return x * x")),
        cells.test("small", "assert square(3) == 9"),
        cells.test("file", "assert open('numbers.txt').read() == '1 2'"),
    )


def submitted(folder: Path, source: NotebookNode, answer: str) -> Path:
    made = nbformat.from_dict(source)
    made.cells[0].source = answer
    nbformat.write(made, folder / "square.ipynb")
    return folder / "square.ipynb"


def test_files_come_along_but_no_notebooks(warm: Warm, square: NotebookNode, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "numbers.txt").write_text("1 2")
    nbformat.write(square, files / "solved.ipynb")
    answer = "import os\ndef square(x):\n    return 9 if not os.path.exists('solved.ipynb') else 0"
    path = submitted(tmp_path, square, answer)
    report = autograder.grade(square, str(path), files=str(files), isolate=False, process=warm)
    assert [v.state for v in report.verdicts] == ["passed", "passed"]
    without = autograder.grade(square, path, isolate=False, process=warm)
    assert [v.points for v in without.verdicts] == [1, 0] and not without.basis["isolated"]
    with pytest.raises(NotADirectoryError, match=r"numbers.txt is no folder"):
        autograder.grade(square, path, files=files / "numbers.txt", isolate=False, process=warm)


def test_the_learners_own_files_are_theirs(warm: Warm, square: NotebookNode, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def squared(x):\n    return x * x")
    path = submitted(tmp_path, square, "from mine import squared\ndef square(x):\n    return squared(x)")
    extra = {"mine.py": str(tmp_path / "mine.py")}
    report = autograder.grade(square, path, extra=extra, isolate=False, process=warm)
    assert report.points == 1
    assert autograder.grade(square, path, isolate=False, process=warm).points == 0


HELPERS = """
from dataclasses import dataclass
@dataclass
class P:
    x: int
class Node:
    def __init__(self, value, next=None): self.value, self.next = value, next
"""
LIAR = "class Liar:\n    def __eq__(self, other): return True\n    __bool__ = __eq__\n"


@pytest.mark.parametrize(
    ("answer", "earned"),
    [
        ("def double(p): return P(2 * p.x)\ndef nodes(n): return Node(n, nodes(n - 1)) if n else None", 4),
        ("def double(p): return P(p.x)\ndef nodes(n): return None", 0),
        (f"{LIAR}def double(p): return P(Liar())\ndef nodes(n): return Liar()", 1),  # which is a P
    ],
)
def test_classes_of_a_shipped_module_are_the_instructors(
    warm: Warm, cells: SimpleNamespace, tmp_path: Path, answer: str, earned: int
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "helpers.py").write_text(HELPERS)
    source = cells.notebook(
        cells.solution("answer", cells.solved("def double(p): pass\ndef nodes(n): pass")),
        cells.locked("setup", "from helpers import Node, P"),
        cells.test("equal", "assert double(P(2)) == P(4) and P(4) == double(P(2))"),
        cells.test("shown", "assert repr(double(P(2))) == 'P(x=4)'"),
        cells.test("kind", "assert isinstance(double(P(2)), P) and double(P(0)).x != 1 and double(P(1)) != P(1)"),
        cells.test(
            "true", "n, held = nodes(3), []\nwhile n:\n    held += [n.value]\n    n = n.next\nassert held == [3, 2, 1]"
        ),
    )
    source.cells.insert(0, source.cells.pop(1))
    made = nbformat.from_dict(source)
    made.cells[1].source = answer
    nbformat.write(made, tmp_path / "work.ipynb")
    graded = autograder.grade(source, tmp_path / "work.ipynb", files=tmp_path / "files", isolate=False, process=warm)
    assert graded.points == earned, graded.verdicts


def test_the_limits_are_those_that_were_said(warm: Warm, square: NotebookNode, tmp_path: Path) -> None:
    path = submitted(tmp_path, square, "while True: pass")
    report = autograder.grade(square, path, limits=autograder.Limits(cell_seconds=0.5), isolate=False, process=warm)
    assert report.points == 0 and report.basis["limits"]["cell_seconds"] == 0.5


def test_whatever_a_submission_is_becomes_verdicts(warm: Warm, square: NotebookNode, tmp_path: Path) -> None:
    (tmp_path / "empty.ipynb").touch()
    for name in ("empty.ipynb", "missing.ipynb", "."):
        report = autograder.grade(square, tmp_path / name, isolate=False, process=warm)
        assert [v.state for v in report.verdicts] == ["unreadable"] * 2 and report.points == 0


def test_a_source_that_cannot_be_graded_against_is_refused(square: NotebookNode, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        autograder.grade(tmp_path / "missing.ipynb", tmp_path / "any.ipynb")
    (tmp_path / "text.ipynb").write_text("no notebook")
    with pytest.raises(ValueError, match=r"text.ipynb cannot be read as an instructor's notebook"):
        autograder.grade(tmp_path / "text.ipynb", tmp_path / "any.ipynb")
    square.cells[1].source = "### AUTOTEST square(3)"
    with pytest.raises(ValueError, match="has autotests"):
        autograder.warm(square)
    square.metadata["kernelspec"] = {"name": "ir", "display_name": "R", "language": "R"}
    with pytest.raises(ValueError, match="a notebook in r"):
        autograder.grade(square, tmp_path / "any.ipynb")


def test_where_code_cannot_be_shut_in_it_says_so(
    warm: Warm, square: NotebookNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = submitted(tmp_path, square, "")
    monkeypatch.setattr(Warm, "fork", lambda *_: (_ for _ in ()).throw(OSError("No process could be made.")))
    monkeypatch.setattr(isolation, "why_not", lambda: "There are no namespaces.")
    with pytest.raises(OSError, match=r"There are no namespaces\. .* isolate=False"):
        autograder.grade(square, path, process=warm)


def test_shut_in_code_sees_neither_source_nor_other_submissions(
    isolated: None, warm: Warm, square: NotebookNode
) -> None:
    """Even where a course lies among what Python itself is read from."""
    with tempfile.TemporaryDirectory(dir=Path(sys.prefix) / "lib") as folder:
        root = Path(folder)
        root.chmod(0o755)
        for name in ("source", "ada", "bob"):
            (root / name).mkdir()
        nbformat.write(square, root / "source" / "square.ipynb")
        (root / "bob" / "square.ipynb").write_text("bob's")
        answer = f"import os\ndef square(x):\n    return 9 if os.path.exists('{root}/bob/square.ipynb') else 0"
        path = submitted(root / "ada", square, answer)
        alone = autograder.grade(root / "source" / "square.ipynb", path, process=warm)
        assert alone.points == 1, "the test is worth nothing where such a folder cannot be seen"
        (root / "nbgrader_config.py").touch()
        assert autograder.grade(root / "source" / "square.ipynb", path, process=warm).points == 0


def test_importing_the_package_imports_no_library() -> None:
    """Every process of a grading imports it."""
    loaded = (
        "import autograder, sys; print([n for n in ('torch', 'numpy', 'nbformat', 'nbgrader') if n in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
    assert callable(autograder.grade) and not hasattr(autograder, "grades")


def test_nobody_waits_for_imports_after_ctrl_c() -> None:
    with pytest.raises(KeyboardInterrupt), Warm(["torch"]) as process:
        raise KeyboardInterrupt
    assert process._process.returncode == -signal.SIGKILL
