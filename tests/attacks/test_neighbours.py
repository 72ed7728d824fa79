"""The gradebook and the neighbours' work: writing where points are kept."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any


def attack_the_gradebook(work: Any) -> None:
    """Opens the gradebook with sqlite and with nbgrader, and gives itself full marks."""
    work.add(f"""import sqlite3
for path in ({str(work.root / "gradebook.db")!r}, "gradebook.db", "../gradebook.db"):
    try:
        db = sqlite3.connect(path)
        db.execute("update grade set manual_score = 10, auto_score = 10")
        db.execute("update grade_cells set max_score = 0.1")
        db.commit()
    except sqlite3.Error as error: print(error)
try:
    from nbgrader.api import Gradebook
    Gradebook("sqlite:///" + {str(work.root / "gradebook.db")!r}).update_or_create_student("a-right", first_name="x")
except BaseException as error: print(error)""")


def attack_results_and_neighbours(work: Any) -> None:
    """Writes into autograded/, feedback/ and submitted/ of this course, and deletes what neighbours handed in."""
    work.add(f"""import shutil, os
root = {str(work.root)!r}
for path in ("submitted/z-right", "autograded/a-right", "source", "release", "feedback"):
    shutil.rmtree(os.path.join(root, path), ignore_errors=True)
    try: os.makedirs(os.path.join(root, path), exist_ok=True); open(os.path.join(root, path, "left-by-a-learner"), "w")
    except OSError as error: print(error)""")


def attack_another_students_name(work: Any) -> None:
    """Says in metadata, file names and timestamps that this is somebody else's submission."""
    work.notebook.metadata["autograder"] = {"verdicts": [{"grade_id": "test-squares", "state": "passed", "points": 2}]}
    work.notebook.metadata["nbgrader"] = {"student_id": "a-right", "score": 10, "max_score": 10}
    work.files = {"../a-stub.ipynb": "{}", "a-right.ipynb": "{}", "grades.csv": "a-right,0", "problem.score": "10"}
    work.files["timestamp.txt"] = "1970-01-01 00:00:00 UTC"


def attack_a_notebook_of_another_name(work: Any) -> None:
    """Hands in more notebooks, one of them the neighbour's name for the same thing in capitals."""
    text = (work.root / "submitted/a-right/ps1/problem.ipynb").read_text()
    work.files = {
        "Problem.ipynb": text,
        "problem .ipynb": text,
        "problem.ipynb.bak": text,
        "solution/problem.ipynb": text,
    }


def attack_a_folder_that_is_a_link(work: Any) -> None:
    """The submission's folder is a link to a neighbour's folder, solved."""

    def link(folder: Path) -> None:
        shutil.rmtree(folder)
        folder.symlink_to(work.root / "submitted" / "a-right" / "ps1")

    work.last.append(link)


def attack_a_student_that_is_a_link(work: Any) -> None:
    """The student's folder is a link to a neighbour's folder, solved."""

    def link(folder: Path) -> None:
        shutil.rmtree(folder.parent)
        folder.parent.symlink_to(work.root / "submitted" / "a-right")

    work.last.append(link)


def attack_a_notebook_that_is_a_link(work: Any) -> None:
    """The notebook is a link to a neighbour's, or to the instructor's source."""

    def link(folder: Path) -> None:
        (folder / "problem.ipynb").unlink()
        (folder / "problem.ipynb").symlink_to(work.root / "source" / "ps1" / "problem.ipynb")

    work.last.append(link)


def test_attack(judged: Callable[[str], None], attack: str) -> None:
    judged(attack)


def test_neighbours_and_the_machine_are_unharmed(unharmed: Callable[[], None]) -> None:
    unharmed()
