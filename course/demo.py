"""``python -m course.demo``: the whole way of a course once, from its source to its grades.

It makes an nbgrader course directory under ``build/demo``, runs the solved lesson, makes four submissions,
grades them as an instructor would, checks that every score is exactly what it must be, and says where to look.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from course import release
from course.learner import progress

LESSON = "04-freezing"
BUILD = Path("build", "demo")

# The submissions: cells by grade_id that differ from the release ("solved" takes the reference solution), and
# the points that each test cell must then give.
SOLVED = object()

WRONG_TRAIN_MODE = """
def train_mode_keep_frozen_bn(model):
    model.train()
"""

WRONG_OPTIMIZER = """
def build_optimizer(model, lr, weight_decay, momentum):
    return torch.optim.SGD(model.parameters(), lr=lr, weight_decay=weight_decay, momentum=momentum)
"""

CHEAT = """
import sys

# Everything that a test might ask is told to say yes ...
torch.allclose = torch.equal = lambda *args, **kwargs: True

# ... every check gives full marks ...
from course.exercise import Check

Check.__call__ = lambda self, candidate: self.points
for thing in list(globals().values()):
    if isinstance(thing, Check):
        thing.parts.clear()

# ... and the shell turns every error of a cell into a success.
shell = get_ipython()
shell.showtraceback = lambda *args, **kwargs: None
run_cell = shell.run_cell


def never_fails(*args, **kwargs):
    result = run_cell(*args, **kwargs)
    result.error_before_exec = result.error_in_exec = None
    return result


shell.run_cell = never_fails


class Agrees:
    def __eq__(self, other):
        return True

    def __call__(self, *args, **kwargs):
        return self


freeze = Agrees()
"""

SUBMISSIONS: dict[str, tuple[dict[str, object], dict[str, float]]] = {
    "ada-solved": (
        dict.fromkeys(("freeze", "trainable-report", "train-mode", "unfreeze-to", "build-optimizer"), SOLVED),
        {"freeze": 5, "trainable-report": 3, "train-mode": 5, "unfreeze-to": 3, "build-optimizer": 4},
    ),
    "ben-half": (
        {
            "freeze": SOLVED,
            "trainable-report": SOLVED,
            "train-mode": WRONG_TRAIN_MODE,
            "build-optimizer": WRONG_OPTIMIZER,
        },
        {"freeze": 5, "trainable-report": 3, "train-mode": 0, "unfreeze-to": 0, "build-optimizer": 2},
    ),
    "cleo-untouched": (
        {},
        {"freeze": 0, "trainable-report": 0, "train-mode": 0, "unfreeze-to": 0, "build-optimizer": 0},
    ),
    "dan-cheats": (
        {"freeze": CHEAT, "trainable-report": SOLVED},
        {"freeze": 0, "trainable-report": 3, "train-mode": 0, "unfreeze-to": 0, "build-optimizer": 0},
    ),
}

# Lines are not folded: paths and tables are to be read, and copied, whole.
console = Console(soft_wrap=True)


class DemoFailed(Exception):
    """A step of the demo did not do what it must. The message says which, and what to look at."""


def main() -> None:
    started = time.monotonic()
    try:
        _demo()
    except DemoFailed as error:
        console.print(f"[bold red]The demo failed.[/bold red] {error}")
        sys.exit(1)
    console.print(f"Done in {time.monotonic() - started:.0f} s.")


def _demo() -> None:
    shutil.rmtree(BUILD, ignore_errors=True)
    os.environ[progress.HOME_VARIABLE] = str(BUILD.resolve() / "home")  # what is solved here, nobody learnt
    _say("Building the release of", LESSON)
    release.setup_course(BUILD, [LESSON])
    source = nbformat.read(BUILD / "source" / LESSON / f"{LESSON}.ipynb", as_version=4)
    released = nbformat.read(BUILD / "release" / LESSON / f"{LESSON}.ipynb", as_version=4)

    _say("Running the solved lesson:", "ImageNet weights, fine-tuned on photos of clothes")
    _run(source, BUILD / "solved")
    for line in _results(BUILD / "solved" / f"{LESSON}.ipynb"):
        console.print(f"  {line}")

    _say("Grading", f"{len(SUBMISSIONS)} submissions")
    for student, (answers, _) in SUBMISSIONS.items():
        _submit(student, answered(released, source, answers))
    isolation = [] if _can_isolate() else ["--isolation", "none"]
    picture = BUILD / "grades.png"
    _command("autograder", "grade", LESSON, "--course-dir", str(BUILD.resolve()), "--picture", str(picture), *isolation)
    _check_scores()

    _say("Writing", "feedback and grades.csv")
    _command("nbgrader", "generate_feedback", LESSON, "--log-level=ERROR", cwd=BUILD)
    _command("nbgrader", "export", "--log-level=ERROR", cwd=BUILD)
    _say("Look at", "")
    for label, path in (
        ("the solved lesson", BUILD / "solved" / f"{LESSON}.ipynb"),
        ("its pictures", BUILD / "solved"),
        ("the grades as a picture", picture),
        ("the grades as a table", BUILD / "grades.csv"),
        *((f"feedback for {s}", BUILD / "feedback" / s / LESSON / f"{LESSON}.html") for s in SUBMISSIONS),
    ):
        if not path.exists():
            raise DemoFailed(f"{path} was to be there and is not.")
        console.print(f"  {label:28} {path}")


def _say(what: str, more: str) -> None:
    console.print(f"\n[bold]{what}[/bold] {more}")


def _run(notebook: NotebookNode, folder: Path) -> None:
    """Runs a notebook top to bottom in a kernel of its own; keeps it, and its pictures, in ``folder``."""
    folder.mkdir(parents=True)
    for file in (BUILD / "source" / LESSON).glob("*.py"):
        shutil.copy(file, folder)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    with Progress(
        TextColumn("  cells"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    ) as bar:
        task = bar.add_task("", total=len(code))

        def executed(cell: NotebookNode, **_: object) -> None:
            if cell.cell_type == "code":
                bar.advance(task)

        client = NotebookClient(
            notebook,
            timeout=600,
            kernel_name="python3",
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": str(folder)}},
            on_cell_executed=executed,
        )
        try:
            client.execute()
        except CellExecutionError as error:
            raise DemoFailed(f"A cell of the solved lesson raised an error:\n{error}") from error
        finally:
            nbformat.write(notebook, folder / f"{LESSON}.ipynb")
    for number, picture in enumerate(_pictures(notebook), 1):
        (folder / f"figure-{number}.png").write_bytes(base64.b64decode(picture))


def _pictures(notebook: NotebookNode) -> list[str]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]


def _results(path: Path) -> list[str]:
    """The comparison that the lesson printed: what its cell tagged `result` wrote."""
    notebook = nbformat.read(path, as_version=4)
    texts = [
        output.text
        for cell in notebook.cells
        if "result" in cell.metadata.get("tags", [])
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stdout"
    ]
    if not texts:
        raise DemoFailed("The solved lesson printed no comparison of frozen, fine-tuned and from scratch.")
    return "".join(texts).strip().splitlines()


def answered(released: NotebookNode, source: NotebookNode, answers: dict[str, object]) -> NotebookNode:
    """The released notebook with a learner's answers written into it."""
    solutions = {c.metadata.nbgrader.grade_id: c.source for c in source.cells if "nbgrader" in c.metadata}
    notebook = nbformat.from_dict(nbformat.reads(nbformat.writes(released), as_version=4))
    for cell in notebook.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        if grade_id in answers:
            answer = answers[grade_id]
            text = solutions[grade_id] if answer is SOLVED else str(answer)
            lines = [line for line in text.strip().splitlines() if "### " not in line]
            cell.source = "\n".join(lines)
    return notebook


def _submit(student: str, notebook: NotebookNode) -> None:
    folder = BUILD / "submitted" / student / LESSON
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / f"{LESSON}.ipynb")
    (folder / "timestamp.txt").write_text("2026-01-15 12:00:00 UTC\n")


def _can_isolate() -> bool:
    """Whether this machine can shut learners' code in; the demo's own submissions may run without."""
    done = _run_program("autograder", "doctor", capture_output=True, text=True)
    if done.returncode != 0:
        console.print(f"{done.stderr.strip()}\nThe demo grades its own submissions without isolation.")
    return done.returncode == 0


def _command(*words: str, cwd: Path | None = None) -> None:
    if (code := _run_program(*words, cwd=cwd).returncode) != 0:
        raise DemoFailed(f"`{' '.join(words)}` ended with exit code {code}. Its words are above.")


def _run_program(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a program of this environment, its output shown unless captured."""
    program = Path(sys.executable).with_name(words[0])
    environment = os.environ | {"PATH": os.pathsep.join([str(program.parent), os.environ["PATH"]])}
    return subprocess.run([str(program), *words[1:]], env=environment, check=False, **options)


def _check_scores() -> None:
    """Every score in the gradebook is exactly what its submission earns."""
    from nbgrader.api import Gradebook

    wrong = []
    with Gradebook(f"sqlite:///{BUILD.resolve() / 'gradebook.db'}", "finetuning-from-zero") as gradebook:
        for student, (_, expected) in SUBMISSIONS.items():
            for exercise, points in expected.items():
                score = gradebook.find_grade(f"check-{exercise}", LESSON, LESSON, student).score
                if score != points:
                    wrong.append(f"{student} has {score:g} points for {exercise} and must have {points:g}")
    if wrong:
        raise DemoFailed("; ".join(wrong) + ".")
    console.print(f"All {sum(len(e) for _, e in SUBMISSIONS.values())} scores are exactly what they must be.")


if __name__ == "__main__":
    main()
