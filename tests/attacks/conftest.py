"""Attacks on the grader, each a submission in a real course, all of a family in one grading with honest neighbours.

A family is a module: ``COURSE`` names or gives its course, and each function ``attack_NAME(work)`` makes one hostile
submission. ``work`` starts as the untouched release; what the function returns is the honest part, the points
that the submission earns by doing the task. ``graded`` is the whole grading; ``attack`` goes through the functions.
"""

import ctypes
import hashlib
import json
import os
import select
import shutil
import signal
import sysconfig
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI

import autograder
from autograder import cli, gradebook, layout
from autograder.sandbox import isolation

MARK = "left-by-a-learner"  # the name of whatever an attack writes
SECRETS = {name: f"{name}-must-not-be-seen-{name[::-1]}" for name in ("hidden", "neighbour", "home", "gradebook")}

CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "attacked"
c.Execute.timeout = {seconds}
"""

HELPERS = "def scale(x):\n    return 10 * x\n\n\ndef check_scaled(f):\n    assert f(2) == 40\n    assert f(7) == 140\n"

Cells = list[tuple[str, str, str, float]]  # kind, grade_id, text, points

PLAIN: Cells = [
    ("locked", "setup", "import math\nimport numpy as np\nfrom helpers import check_scaled, scale", 0),
    (
        "solution",
        "squares",
        "def squares(n):\n    ### BEGIN SOLUTION\n    if n < 1:\n        raise ValueError('n must be"
        " at least 1')\n    return [i * i for i in range(1, n + 1)]\n    ### END SOLUTION",
        0,
    ),
    (
        "test",
        "test-squares",
        "assert squares(3) == [1, 4, 9]\n### BEGIN HIDDEN TESTS\n# "
        + SECRETS["hidden"]
        + "\nassert squares(5) == [1, 4, 9, 16, 25] and len(squares(17)) == 17\n### END HIDDEN TESTS",
        2,
    ),
    (
        "test",
        "test-raises",
        "try:\n    squares(0)\nexcept ValueError:\n    assert squares(1) == [1]\nelse:\n"
        "    raise AssertionError('no error for 0')",
        1,
    ),
    ("test", "test-parts", "sum(squares(n)[-1] == n * n for n in (1, 2, 10)) * 1.0", 3),
    (
        "solution",
        "mean",
        "def mean(xs):\n    ### BEGIN SOLUTION\n    return sum(xs) / len(xs)\n    ### END SOLUTION",
        0,
    ),
    ("test", "test-mean", "assert abs(mean([1, 2, 6]) - 3) < 1e-9\nassert math.isclose(mean([2.5, 3.5]), 3)", 2),
    ("solution", "twice", "def twice(x):\n    ### BEGIN SOLUTION\n    return scale(2 * x)\n    ### END SOLUTION", 0),
    ("test", "test-twice", "check_scaled(twice)", 1),
    (
        "solution",
        "apply",
        "def apply(f, xs):\n    ### BEGIN SOLUTION\n    return [f(x) for x in xs]\n    ### END SOLUTION",
        0,
    ),
    (
        "test",
        "test-apply",
        "calls = []\ndef spy(x):\n    calls.append(x)\n    return 3 * x + 1\n"
        "assert apply(spy, [5, 8]) == [16, 25] and calls == [5, 8]",
        1,
    ),
    ("essay", "why", "### BEGIN SOLUTION\nBecause.\n### END SOLUTION", 4),
]

TORCH: Cells = [
    ("locked", "setup", "import torch\nfrom torch import nn\nimport torch.nn.functional as F", 0),
    (
        "solution",
        "freeze",
        "def freeze(model):\n    ### BEGIN SOLUTION\n    for p in model[0].parameters():\n"
        "        p.requires_grad = False\n    ### END SOLUTION",
        0,
    ),
    (
        "test",
        "test-freeze",
        """torch.manual_seed(1)
model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
before = {k: v.detach().clone() for k, v in model.state_dict().items()}
freeze(model)
optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
model(torch.randn(5, 3)).square().sum().backward()
optimizer.step()
assert [p.requires_grad for p in model.parameters()] == [False, False, True, True]
assert torch.equal(model[0].weight, before["0.weight"]) and not torch.equal(model[2].weight, before["2.weight"])""",
        2,
    ),
    (
        "solution",
        "softmax",
        "def softmax(x):\n    ### BEGIN SOLUTION\n    e = (x - x.max(-1, keepdim=True).values).exp()\n"
        "    return e / e.sum(-1, keepdim=True)\n    ### END SOLUTION",
        0,
    ),
    (
        "test",
        "test-softmax",
        """x = torch.randn(4, 5, generator=torch.Generator().manual_seed(2))
assert softmax(x).shape == (4, 5)
assert torch.allclose(softmax(x), F.softmax(x.clone(), -1), atol=1e-6)""",
        2,
    ),
    (
        "test",
        "test-softmax-difference",
        "x = torch.tensor([[0.5, -1.0, 2.0]])\n"
        "assert (softmax(x) - F.softmax(torch.tensor([[0.5, -1.0, 2.0]]), -1)).abs().max() < 1e-6",
        1,
    ),
    (
        "solution",
        "sgd",
        "def sgd(model, lr):\n    ### BEGIN SOLUTION\n    return torch.optim.SGD(model.parameters(), lr=lr,"
        " momentum=0.9)\n    ### END SOLUTION",
        0,
    ),
    (
        "test",
        "test-sgd",
        """def trained(make):
    torch.manual_seed(3)
    model = nn.Linear(3, 2)
    optimizer = make(model, 0.1)
    assert isinstance(optimizer, torch.optim.SGD)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(4, 3)).square().sum().backward()
        optimizer.step()
    return model
right = trained(lambda m, lr: torch.optim.SGD(m.parameters(), lr=lr, momentum=0.9))
assert torch.allclose(trained(sgd).weight, right.weight, atol=1e-6)""",
        2,
    ),
    (
        "solution",
        "net",
        "class Net(nn.Module):\n    ### BEGIN SOLUTION\n    def __init__(self, width):\n"
        "        super().__init__()\n        self.fc = nn.Linear(3, width)\n    def forward(self, x):\n"
        "        return F.relu(self.fc(x))\n    ### END SOLUTION",
        0,
    ),
    (
        "test",
        "test-net",
        """net = Net(6)
assert net.fc.weight.shape == (6, 3) and sum(p.numel() for p in net.parameters()) == 24
x = torch.randn(5, 3, generator=torch.Generator().manual_seed(4))
with torch.no_grad():
    net.fc.weight.copy_(torch.arange(18.0).reshape(6, 3) / 9 - 1)
    net.fc.bias.fill_(0.25)
    assert torch.allclose(net(x), F.relu(x @ (torch.arange(18.0).reshape(6, 3) / 9 - 1).T + 0.25), atol=1e-6)""",
        2,
    ),
]

COURSES = {"plain": PLAIN, "torch": TORCH}


class Work:
    """One submission in the making, and the folder that it will lie in."""

    def __init__(self, student: str, root: Path) -> None:
        self.student, self.root = student, root
        self.files: dict[str, bytes | str] = {}
        self.last: list[Callable[[Path], None]] = []  # done to the folder when all else is in it
        self.raw: bytes | None = None
        path = root / "release" / "ps1" / "problem.ipynb"
        self.notebook: NotebookNode = nbformat.read(path, as_version=4)

    @property
    def folder(self) -> Path:
        return self.root / "submitted" / self.student / "ps1"

    def cell(self, grade_id: str) -> NotebookNode:
        return next(c for c in self.notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == grade_id)

    def answer(self, **texts: str) -> None:
        for grade_id, text in texts.items():
            self.cell(grade_id.replace("_", "-")).source = text

    def everywhere(self, text: str) -> None:
        """The same answer to every exercise, with NAME for what the exercise asks for."""
        for cell in self.notebook.cells:
            meta = cell.metadata.get("nbgrader", {})
            if meta.get("solution") and cell.cell_type == "code":
                cell.source = text.replace("NAME", meta["grade_id"])

    def add(self, text: str, at: int = 1, kind: Callable[..., NotebookNode] = new_code_cell) -> None:
        """A cell of the learner's own; by default behind the setup."""
        self.notebook.cells.insert(at, kind(text))

    def write(self) -> None:
        self.folder.mkdir(parents=True)
        content = json.dumps(self.notebook).encode() if self.raw is None else self.raw
        (self.folder / "problem.ipynb").write_bytes(content)
        (self.folder / "timestamp.txt").write_text("2026-01-05 12:00:00 UTC")
        for name, text in self.files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        for action in self.last:
            action(self.folder)


@dataclass
class Graded:
    """What is to be seen after a grading."""

    root: Path
    honest: dict[str, float]
    exit_code: int
    said: str
    students: dict[str, str] = field(default_factory=dict)  # name of an attack -> student
    harm: list[str] = field(default_factory=list)
    scores: dict[str, dict[str, float | None]] = field(default_factory=dict)

    def points(self, name: str) -> float:
        scores = self.scores[self.students.get(name, name)]
        return sum(score or 0.0 for score in scores.values())

    def notebook(self, name: str) -> NotebookNode:
        """The graded notebook of an attack or a neighbour."""
        return nbformat.read(
            self.root / "autograded" / self.students.get(name, name) / "ps1" / "problem.ipynb", as_version=4
        )

    def verdicts(self, name: str) -> dict[str, tuple[str, float]]:
        said = self.notebook(name).metadata["autograder"]["verdicts"]
        return {v["grade_id"]: (v["state"], v["points"]) for v in said}

    def shown(self, name: str) -> str:
        """All that the learner's own cells showed."""
        cells = [c for c in self.notebook(name).cells if not c.metadata.get("nbgrader", {}).get("grade")]
        return json.dumps([c.get("outputs", []) for c in cells])


def _marked(kind: str, grade_id: str, text: str, points: float) -> NotebookNode:
    cell = new_markdown_cell(text) if kind in ("essay", "text") else new_code_cell(text)
    if kind == "text" or kind == "code":
        return cell
    meta: dict[str, Any] = {"grade_id": grade_id, "schema_version": 3, "task": False}
    meta |= {"grade": kind in ("test", "essay"), "solution": kind in ("solution", "essay")}
    meta["locked"] = kind in ("test", "locked")
    cell.metadata["nbgrader"] = meta | ({"points": points} if meta["grade"] else {})
    return cell


def _solved(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if "### " not in line)


def _make_course(root: Path, cells: Cells) -> None:
    (root / "nbgrader_config.py").write_text(CONFIG.format(seconds=30))
    source = root / "source" / "ps1"
    source.mkdir(parents=True)
    (source / "helpers.py").write_text(HELPERS)
    (source / "numbers.txt").write_text("1 2 3")
    notebook = new_notebook(cells=[_marked(*cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, source / "problem.ipynb")
    opened = layout.open_course(root)
    gradebook.open_gradebook(opened).close()
    done = NbGraderAPI(opened, config=opened.parent.config).generate_assignment("ps1")
    assert done["success"], done


def _neighbours(root: Path, cells: Cells) -> dict[str, float]:
    """Honest submissions around the attacks, in the order of names, and what each earns."""
    solutions = {grade_id: _solved(text) for kind, grade_id, text, _ in cells if kind == "solution"}
    full = sum(points for kind, _, _, points in cells if kind == "test")
    for student in ("a-right", "z-right"):
        work = Work(student, root)
        work.answer(**{grade_id.replace("-", "_"): text for grade_id, text in solutions.items()})
        work.add(f"# {SECRETS['neighbour']}")
        work.write()
    for student in ("a-stub", "z-stub"):
        Work(student, root).write()
    return {"a-right": full, "a-stub": 0.0, "z-right": full, "z-stub": 0.0}


def _hash(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        if "__pycache__" in path.parts or path.suffix == ".db":
            continue
        if path.is_symlink() or not path.is_file():
            found[str(path)] = str(path.readlink()) if path.is_symlink() else "folder"
        elif path.stat().st_size > 2**26:
            found[str(path)] = f"{path.stat().st_size} bytes"
        else:
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _outside(root: Path, home: Path) -> dict[str, str]:
    """What no submission may change: the course but its results, the home, the grader, the libraries' folder."""
    seen = {}
    for folder in (root / "source", root / "release", root / "submitted", home, Path(autograder.__file__).parent):
        seen |= _hash(folder)
    libraries = Path(sysconfig.get_path("purelib"))
    return seen | {str(p): "library" for p in libraries.iterdir() if p.name != "__pycache__"}


def _left(places: list[Path]) -> list[str]:
    """Things with the mark of an attack in places where one may hope to reach a later grading."""
    return [str(p) for place in places if place.is_dir() for p in place.glob(f"**/*{MARK}*")]


def _adopt_orphans() -> None:
    """From now on a process whose parent ends before it becomes this one's child, and so is seen."""
    ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def _children() -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def _survivors(before: list[int]) -> list[int]:
    """Children that are still there a while after the grader has ended. The kernel may take a moment."""
    deadline = time.monotonic() + 5
    while (left := [pid for pid in _children() if pid not in before]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _grade(
    root: Path, scratch: Path, home: Path, *, limits: dict[str, float], patience: float, jobs: int
) -> tuple[int, str]:
    """Exit code and words of `autograder grade ps1` in a process of its own, with some limits lower.

    It is forked, which saves each family the seconds that the imports take.
    """
    words = root.parent / "words.txt"
    lower = [f"--Autograder.{name}={limit}" for name, limit in limits.items()]
    if (grader := os.fork()) == 0:
        code = 125
        try:
            os.setsid()
            os.chdir(scratch)
            os.environ.update(TMPDIR=str(scratch), HOME=str(home), OMP_NUM_THREADS="1", COLUMNS="200")
            os.environ["COURSE_SECRET"] = SECRETS["home"]
            tempfile.tempdir = None
            with words.open("w", errors="backslashreplace") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
                with redirect_stdout(file), redirect_stderr(file):
                    try:
                        cli.main(["grade", "ps1", "--course-dir", str(root), "--jobs", str(jobs), *lower])
                    except SystemExit as ended:
                        code = ended.code if isinstance(ended.code, int) else 1
                    except BaseException:
                        traceback.print_exc()
        finally:
            os._exit(code)
    handle = os.pidfd_open(grader)
    ended, _, _ = select.select([handle], [], [], patience)
    os.close(handle)
    if not ended:
        os.kill(grader, signal.SIGKILL)
    status = os.waitpid(grader, 0)[1]
    said = words.read_text() if words.exists() else ""
    return (os.waitstatus_to_exitcode(status), said) if ended else (124, f"{said}\nIt did not end in {patience:g} s.")


def _attacks(module: ModuleType) -> dict[str, Callable[[Work], float | None]]:
    return {name.removeprefix("attack_"): f for name, f in vars(module).items() if name.startswith("attack_")}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "attack" in metafunc.fixturenames:
        found = _attacks(metafunc.module)
        metafunc.parametrize(
            "attack", [pytest.param(name, marks=getattr(f, "pytestmark", [])) for name, f in found.items()]
        )


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str | Cells, Path], Cells]:
    """Puts a course directory with its release into a folder: each course is made once and then copied."""
    made: dict[str, Path] = {}

    def put(course: str | Cells, root: Path) -> Cells:
        cells = COURSES[course] if isinstance(course, str) else course
        key = repr(cells)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("prepared") / "course"
            made[key].mkdir()
            _make_course(made[key], cells)
        shutil.copytree(made[key], root)
        return cells

    return put


@pytest.fixture(scope="module")
def graded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, prepared: Callable[..., Cells]
) -> Graded:
    """The grading of a family: every attack of the module and the honest neighbours, in one course directory."""
    if reason := isolation.why_not():
        pytest.skip(reason)
    module = request.module
    base = tmp_path_factory.mktemp("attacked")
    root, scratch, home = base / "course", base / "scratch", base / "home"
    for folder in (scratch, home):
        folder.mkdir()
    cells = prepared(getattr(module, "COURSE", "plain"), root)
    (root / "nbgrader_config.py").write_text(CONFIG.format(seconds=getattr(module, "SECONDS", 30)))
    (home / "secret.txt").write_text(SECRETS["home"])
    honest = _neighbours(root, cells)
    students: dict[str, str] = {}
    for name, make in _attacks(module).items():
        work = Work("m-" + name.replace("_", "-"), root)
        honest[name] = make(work) or 0.0
        work.write()
        students[name] = work.student
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}", "attacked") as book:
        book.update_or_create_student("a-right", first_name=SECRETS["gradebook"])
    _adopt_orphans()
    before, running, places = _outside(root, home), _children(), [scratch, Path("/dev/shm"), Path("/var/tmp")]
    limits, patience = getattr(module, "LIMITS", {}), getattr(module, "PATIENCE", 150)
    exit_code, said = _grade(root, scratch, home, limits=limits, patience=patience, jobs=getattr(module, "JOBS", 2))
    seen = Graded(root, honest, exit_code, said, students)
    for pid in _survivors(running):
        seen.harm.append(f"a process that lives on: {pid}")
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    after = _outside(root, home)
    changed = {p for p in before.keys() | after.keys() if before.get(p) != after.get(p)}
    seen.harm += [f"changed outside: {path}" for path in sorted(changed)]
    seen.harm += [f"left in the scratch place: {p}" for p in sorted(map(str, scratch.iterdir()))]
    seen.harm += [f"left: {p}" for p in _left([*places, home, root / "autograded"])]
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}", "attacked") as book:
        known = {student.id for student in book.students}
        for submission in book.assignment_submissions("ps1"):
            grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
            seen.scores[submission.student.id] = {grade.name: grade.auto_score for grade in grades}
        if book.find_student("a-right").first_name != SECRETS["gradebook"]:
            seen.harm.append("changed in the gradebook: a student's name")
        if {g.max_score for g in book.find_assignment("ps1").notebooks[0].grade_cells} != {
            points for kind, _, _, points in cells if kind in ("test", "essay")
        }:
            seen.harm.append("changed in the gradebook: the points of a test")
    if strangers := known - {p.name for p in (root / "submitted").iterdir()}:
        seen.harm.append(f"students in the gradebook who are none: {strangers}")
    shutil.rmtree(scratch, ignore_errors=True)
    return seen


@pytest.fixture
def judged(graded: Graded) -> Callable[[str], None]:
    """Says of one attack that it earned its honest part and nothing more, and got a verdict on every test."""

    def check(attack: str) -> None:
        assert graded.students[attack] in graded.scores, f"no verdict was said; the grader: {graded.said[-2000:]}"
        verdicts = graded.verdicts(attack)
        assert graded.points(attack) == graded.honest[attack], verdicts
        assert verdicts.keys() == graded.verdicts("a-right").keys()
        shown = graded.shown(attack)
        assert not [name for name, secret in SECRETS.items() if secret in shown]

    return check


@pytest.fixture
def unharmed(graded: Graded) -> Callable[[], None]:
    """Says of a whole grading that it ended well for everybody else, and that nothing is left of it."""

    def check() -> None:
        assert graded.exit_code == 0, graded.said[-3000:]
        assert graded.harm == []
        for student in ("a-right", "a-stub", "z-right", "z-stub"):
            assert graded.points(student) == graded.honest[student], graded.verdicts(student)
        assert graded.verdicts("a-right") == graded.verdicts("z-right")
        assert graded.verdicts("a-stub") == graded.verdicts("z-stub")
        assert {state for state, _ in graded.verdicts("a-right").values()} == {"passed"}
        assert {state for state, _ in graded.verdicts("a-stub").values()} == {"not attempted"}

    return check
