"""Metadata and cells: points, ids, locks, checksums, types and order, edited by hand."""

import copy
from collections.abc import Callable
from typing import Any


def attack_points(work: Any) -> None:
    """Gives every test a thousand points, and its essay, too."""
    for cell in work.notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade"):
            cell.metadata.nbgrader["points"] = 1000


def attack_tests_replaced(work: Any) -> None:
    """Replaces the text of every test by what cannot fail."""
    for cell in work.notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade"):
            cell.source = "10.0"


def attack_tests_unlocked(work: Any) -> None:
    """Takes away the locks and the grades, so that tests become answers."""
    for cell in work.notebook.cells:
        if meta := cell.metadata.get("nbgrader"):
            meta.update(locked=False, grade=False, solution=True, checksum="0" * 32)
            cell.source = "pass"


def attack_ids_moved(work: Any) -> None:
    """Gives the id of a test to an answer, and the other way round."""
    tests, answers = work.cell("test-squares"), work.cell("squares")
    tests.metadata.nbgrader.grade_id, answers.metadata.nbgrader.grade_id = "squares", "test-squares"
    answers.source = "pass"


def attack_ids_twice(work: Any) -> None:
    """Every graded cell twice, once with a test that passes."""
    for cell in [c for c in work.notebook.cells if c.metadata.get("nbgrader", {}).get("grade")]:
        work.notebook.cells.append(copy.deepcopy(cell) | {"source": "assert True", "id": "twice"})


def attack_tests_deleted(work: Any) -> None:
    """Hands in no tests at all."""
    work.notebook.cells = [c for c in work.notebook.cells if not c.metadata.get("nbgrader", {}).get("grade")]


def attack_types_changed(work: Any) -> None:
    """Makes tests text and raw, and answers tests."""
    for cell in work.notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade"):
            cell.cell_type = "raw"


def attack_checksums(work: Any) -> None:
    """Says by its checksum that a changed essay is as it was released, and keeps an unchanged one."""
    work.cell("why").metadata.nbgrader.update(checksum="forged", points=4, solution=False)


def attack_tags(work: Any) -> None:
    """Tags tests as experiments, hidden and not to be run."""
    for cell in work.notebook.cells:
        cell.metadata["tags"] = ["experiment", "remove_cell", "skip-execution"]
        cell.metadata["editable"] = cell.metadata["deletable"] = True


def attack_metadata_of_wrong_types(work: Any) -> None:
    """Metadata that are lists, numbers, null or of another schema."""
    for number, cell in enumerate(work.notebook.cells):
        cell.metadata = [[], {"nbgrader": 5}, {"nbgrader": {"grade_id": ["x"]}}, {"nbgrader": None}, None][number % 5]


def attack_outputs_that_look_graded(work: Any) -> None:
    """Outputs and scores in the file, as if it were graded already."""
    output = {"output_type": "execute_result", "data": {"text/plain": "10.0"}, "metadata": {}, "execution_count": 1}
    for cell in work.notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output]
        cell.metadata["nbgrader_score"] = {"score": 10}


def attack_order(work: Any) -> None:
    """The cells in reverse, tests before the answers they test."""
    work.notebook.cells.reverse()


def attack_a_test_as_the_answer(work: Any) -> None:
    """Cells with the ids of tests that the release does not have, worth points."""
    for number in range(5):
        work.add("assert True")
        work.notebook.cells[1].metadata["nbgrader"] = {
            "grade": True,
            "solution": False,
            "locked": True,
            "points": 5,
            "grade_id": f"more-{number}",
            "schema_version": 3,
            "task": False,
        }


def attack_another_kernel(work: Any) -> None:
    """Asks for a kernel, language and magic that would run the tests otherwise."""
    work.notebook.metadata["kernelspec"] = {"name": "../../evil", "display_name": "x", "language": "bash"}
    work.notebook.metadata["language_info"] = {"name": "bash", "file_extension": ".py; rm -rf /"}


def test_attack(judged: Callable[[str], None], attack: str) -> None:
    judged(attack)


def test_neighbours_and_the_machine_are_unharmed(unharmed: Callable[[], None]) -> None:
    unharmed()
