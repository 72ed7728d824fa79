"""Merging a newer release into what a learner wrote: nothing of theirs is lost, and the course's news come in."""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import deepcopy

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course import catalogue
from course.learner import notebooks
from course.learner.merging import Fate, Merged, merge

MARKS = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
STUB = "def freeze(model):\n    raise NotImplementedError"


def cell(source: str, grade_id: str | None = None, **marks: object) -> NotebookNode:
    made = new_code_cell(source)
    if grade_id is not None:
        made.id = grade_id
        made.metadata = NotebookNode(nbgrader=MARKS | {"grade_id": grade_id} | marks)
    else:
        made.id = notebooks.new_id(made, set())
    return made


def prose(source: str) -> NotebookNode:
    made = new_markdown_cell(source)
    made.id = notebooks.new_id(made, set())
    return made


def answer(source: str = STUB, grade_id: str = "freeze") -> NotebookNode:
    return cell(source, grade_id, solution=True)


def locked(source: str, grade_id: str) -> NotebookNode:
    return cell(source, grade_id, locked=True)


def notebook(*cells: NotebookNode) -> NotebookNode:
    return new_notebook(cells=list(deepcopy(cells)))


def sources(made: Merged) -> list[str]:
    nbformat.validate(made.notebook)
    return [one.source for one in made.notebook.cells]


SETUP, TEST = locked("import torch", "setup"), locked("check(freeze)", "check-freeze")
GIVEN = notebook(prose("# Freezing"), SETUP, prose("Why?"), answer(), TEST, prose("The end"))


def changed(base: NotebookNode, edit: Callable[[list[NotebookNode]], object]) -> NotebookNode:
    made = deepcopy(base)
    edit(made.cells)
    return made


def test_answers_stay_and_prose_tests_and_setup_come_in() -> None:
    mine = deepcopy(GIVEN)
    mine.cells[3].source = "def freeze(model): pass"
    mine.cells[3].outputs = [new_output("stream", text="run")]
    mine.cells[3].execution_count = 7
    mine.cells[4].outputs = [new_output("stream", text="card")]
    mine.cells[3].metadata["collapsed"] = True
    new = notebook(
        prose("# Freezing"),
        locked("import torch, timm", "setup"),
        prose("Why not?"),
        cell("print('new')"),
        answer(),
        TEST,
        prose("The end"),
    )
    new.cells[5].metadata.nbgrader.points = 9
    merged = merge(GIVEN, mine, new)
    assert sources(merged) == [
        "# Freezing",
        "import torch, timm",
        "Why not?",
        "print('new')",
        "def freeze(model): pass",
        "check(freeze)",
        "The end",
    ]
    kept, tested = merged.notebook.cells[4:6]
    assert (kept.outputs, kept.execution_count, kept.metadata.collapsed) == (mine.cells[3].outputs, 7, True)
    assert (tested.outputs, tested.metadata.nbgrader.points) == (mine.cells[4].outputs, 9)
    assert merged.those(Fate.ANSWER) == ["freeze"] and merged.asked_anew == ()


def test_what_nobody_touched_is_the_release() -> None:
    new = notebook(*GIVEN.cells[:3], answer("def freeze(model, keep): ..."), TEST)
    merged = merge(GIVEN, GIVEN, new)
    assert merged.notebook == new | {"metadata": {}}
    assert merged.those(Fate.GONE) == [GIVEN.cells[-1].id]


def test_cells_that_the_learner_added_stay_where_they_stood() -> None:
    def add(cells: list[NotebookNode]) -> None:
        cells.insert(6, cell("last"))
        cells.insert(4, cell("trying freeze"))
        cells.insert(3, cell("about the why"))
        cells.insert(0, cell("first"))

    # The prose before "about the why" is new, and another cell comes in right behind it.
    new = notebook(
        prose("A word before"),
        prose("# Freezing"),
        SETUP,
        prose("Why, and how much?"),
        prose("So:"),
        answer(),
        prose("Now check."),
        TEST,
        prose("The end"),
    )
    assert sources(merge(GIVEN, changed(GIVEN, add), new)) == [
        "first",
        "A word before",
        "# Freezing",
        "import torch",
        "Why, and how much?",
        "about the why",
        "So:",
        STUB,
        "trying freeze",
        "Now check.",
        "check(freeze)",
        "The end",
        "last",
    ]


def test_edited_prose_keeps_the_learners_text_and_the_news_come_behind_it() -> None:
    mine = deepcopy(GIVEN)
    mine.cells[2].source = "Why? Because of the statistics."
    same = merge(GIVEN, mine, notebook(*GIVEN.cells[:5], prose("The very end")))
    assert sources(same)[2] == "Why? Because of the statistics." and same.those(Fate.TEXT) == [GIVEN.cells[2].id]
    new = deepcopy(GIVEN)
    new.cells[2] = prose("Why? Ask.")
    assert sources(merge(GIVEN, mine, new))[2:4] == ["Why? Because of the statistics.", "Why? Ask."]
    new.cells[2].id = GIVEN.cells[2].id  # as in courses whose ids do not come of the text
    merged = merge(GIVEN, mine, new)
    assert sources(merged)[2:4] == ["Why? Because of the statistics.", "Why? Ask."]
    assert merged.those(Fate.BESIDE) == [GIVEN.cells[2].id]
    assert [sources(merge(before, merged.notebook, new)) for before in (GIVEN, new)] == [sources(merged)] * 2


def test_what_the_learner_threw_away_stays_away_unless_it_is_new_or_needed() -> None:
    mine = notebook(prose("# Freezing"))
    new = notebook(prose("# Freezing"), SETUP, prose("Why not?"), answer(), TEST, prose("The end"))
    assert sources(merge(GIVEN, mine, new)) == ["# Freezing", "import torch", "Why not?", STUB, "check(freeze)"]


def test_a_locked_cell_is_the_courses_again() -> None:
    mine = deepcopy(GIVEN)
    mine.cells[4].source = "print('all right')"
    mine.cells[4].outputs = [new_output("stream", text="all right")]
    merged = merge(GIVEN, mine, notebook(*GIVEN.cells[:5]))
    assert sources(merged)[4] == "check(freeze)" and merged.notebook.cells[4].outputs == []
    assert merged.those(Fate.RESTORED) == ["check-freeze"]


def test_an_exercise_that_asks_something_new_says_so_beside_the_answer() -> None:
    mine = deepcopy(GIVEN)
    mine.cells[3].source = "def freeze(model): pass"
    new = deepcopy(GIVEN)
    new.cells[3].source = "def freeze(model, keep):\n    raise NotImplementedError"
    merged = merge(GIVEN, mine, new)
    assert sources(merged)[3] == "def freeze(model): pass"
    assert sources(merged)[4].startswith("**The course has changed this exercise since")
    assert sources(merged)[4].endswith("\n\n```python\ndef freeze(model, keep):\n    raise NotImplementedError\n```")
    assert sources(merged)[5] == "check(freeze)"
    assert merged.asked_anew == ("freeze",)
    assert sources(merge(GIVEN, merged.notebook, new)) == sources(merged)


def test_the_answer_to_an_exercise_that_is_no_more_stays() -> None:
    mine = deepcopy(GIVEN)
    mine.cells[3].source = "def freeze(model): pass"
    for new in (
        notebook(*GIVEN.cells[:3], prose("The end")),
        notebook(*GIVEN.cells[:3], locked("given now", "freeze")),
    ):
        merged = merge(GIVEN, mine, new)
        assert sources(merged)[3] == "def freeze(model): pass"
        assert "nbgrader" not in merged.notebook.cells[3].metadata
    assert sources(merged)[4] == "given now"


def test_of_two_copies_of_an_answer_the_last_counts_as_with_nbgrader() -> None:
    mine = deepcopy(GIVEN)
    mine.cells[3].source = "first try"
    mine.cells.insert(4, answer("second try"))
    mine.cells[4].id = "pasted"
    new = notebook(*GIVEN.cells[:5])
    merged = merge(GIVEN, mine, new)
    assert sources(merged)[3:] == ["first try", "second try", "check(freeze)"]
    assert [notebooks.grade_id(one) for one in merged.notebook.cells[3:5]] == [None, "freeze"]


def test_a_program_that_drops_ids_leaves_the_texts_to_go_by() -> None:
    mine = deepcopy(GIVEN)
    mine.cells.insert(3, cell("mine"))
    mine.nbformat_minor = 4
    for one in mine.cells:
        one.pop("id")
    read = notebooks.read(notebooks.dump(mine))
    assert read == notebooks.read(notebooks.dump(mine)), "ids that differ each time would be news each time"
    merged = merge(GIVEN, read, notebook(prose("# Freezing, again"), *GIVEN.cells[1:]))
    assert sources(merged) == ["# Freezing, again", "import torch", "Why?", "mine", STUB, "check(freeze)", "The end"]


def test_marks_of_nbgrader_are_not_taken_from_the_learner() -> None:
    """As when a learner pastes the exercise's cell over one of the course's without marks."""
    mine = deepcopy(GIVEN)
    mine.cells[2].metadata["nbgrader"] = deepcopy(mine.cells[3].metadata["nbgrader"])
    mine.cells[2].metadata["collapsed"] = True
    merged = merge(GIVEN, mine, notebook(prose("# Freezing, again"), *GIVEN.cells[1:]))
    assert [notebooks.grade_id(one) for one in merged.notebook.cells] == [
        None,
        "setup",
        None,
        *("freeze", "check-freeze"),
        None,
    ]
    assert merged.notebook.cells[2].metadata == {"collapsed": True}


def without_marks(base: NotebookNode) -> NotebookNode:
    """As a program saves it that keeps texts alone."""
    made = deepcopy(base)
    for one in made.cells:
        one.metadata = NotebookNode()
        one.id = f"new-{notebooks.new_id(one, set())}"
    return made


def test_answers_that_are_no_longer_known_as_such_are_counted() -> None:
    mine = without_marks(GIVEN)
    mine.cells[3].source = "def freeze(model): pass"
    mine.cells.insert(1, cell("tried = 1"))
    mine.cells.insert(4, prose("About freezing"))
    new = notebook(prose("# Freezing, again"), *GIVEN.cells[1:])
    merged = merge(GIVEN, mine, new)
    assert merged.unrecognised == 1
    assert sources(merged)[3:7] == ["Why?", "About freezing", "def freeze(model): pass", STUB]
    assert merge(GIVEN, merged.notebook, new).unrecognised == 0
    assert merge(GIVEN, mine, notebook(*GIVEN.cells[:3])).unrecognised == 0, "nothing to copy it into"
    # What was thrown away is not taken for lost, and what was not answered is known by its text.
    thrown_away = changed(GIVEN, lambda cells: (cells.insert(1, cell("tried = 1")), cells.pop(4)))
    assert merge(GIVEN, thrown_away, new).unrecognised == 0
    assert merge(GIVEN, without_marks(GIVEN), new).unrecognised == 0


# --- anything at all ----------------------------------------------------------------------------------------


def random_release(dice: random.Random, base: NotebookNode) -> NotebookNode:
    """What an instructor may make of a lesson. Prose gets a new id with a new text, as `course release` has it."""
    new = deepcopy(base)
    for _ in range(dice.randint(1, 8)):
        place = dice.randrange(len(new.cells))
        one = new.cells[place]
        match dice.randrange(4):
            case 0:
                new.cells.insert(place, prose(f"News {dice.random()}"))
            case 1 if notebooks.grade_id(one) is None:
                del new.cells[place]
            case 2:
                one.source += f"\n# {dice.random()}"
                if notebooks.grade_id(one) is None:
                    one.id = notebooks.new_id(one, set())
            case 3 if notebooks.grade_id(one) is None:
                new.cells.insert(dice.randrange(len(new.cells)), new.cells.pop(place))
    return new


def random_work(dice: random.Random, base: NotebookNode) -> tuple[NotebookNode, set[str]]:
    """What a learner may make of it, and the texts that must survive."""
    mine = deepcopy(base)
    for _ in range(dice.randint(1, 12)):
        place = dice.randrange(len(mine.cells))
        one = mine.cells[place]
        match dice.randrange(6):
            case 0 | 1:
                one.source = f"{one.source}\n# mine {dice.random()}"
            case 2:
                mine.cells.insert(place, cell(f"added = {dice.random()}"))
            case 3:
                del mine.cells[place]
            case 4:
                mine.cells.insert(dice.randrange(len(mine.cells)), mine.cells.pop(place))
            case 5:
                pasted = deepcopy(one)
                pasted.id = f"pasted-{dice.randrange(10**9)}"
                mine.cells.insert(place, pasted)
    given = {one.source for one in base.cells}
    written = {one.source for one in mine.cells if not notebooks.is_locked(one)} - given
    return mine, written


@pytest.mark.parametrize("seed", range(40))
def test_whatever_both_did_nothing_is_lost_and_once_is_enough(seed: int) -> None:
    dice = random.Random(seed)
    base = notebooks.read(catalogue.find_lesson("freezing").notebook.read_bytes())
    mine, written = random_work(dice, base)
    new = random_release(dice, base)
    merged = merge(base, mine, new)
    nbformat.validate(merged.notebook)
    texts = [one.source for one in merged.notebook.cells]
    assert written <= set(texts)
    locked_texts = {one.source for one in new.cells if notebooks.grade_id(one) and not notebooks.is_answer(one)}
    assert locked_texts <= set(texts)
    ids = [notebooks.grade_id(one) for one in merged.notebook.cells if notebooks.grade_id(one)]
    assert ids == [notebooks.grade_id(one) for one in new.cells if notebooks.grade_id(one)]
    for before in (base, new):  # killed before it was recorded, and after
        assert merge(before, merged.notebook, new).notebook == merged.notebook
