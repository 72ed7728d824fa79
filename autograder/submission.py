"""Reads what came in, restores the instructor's cells, and decides what runs where.

The order is the source's. A learner's cell is put where the source has it, a cell the learner added stays
behind the one it followed. Test cells and locked cells come from the source, never from the submission.
"""

from __future__ import annotations

import copy
import json
import os
import re
import stat
import uuid
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions
from traitlets.config import Config

from autograder import hidden, names
from autograder.hidden import Delimiters
from autograder.outputs import readable
from autograder.plan import Plan, Step
from autograder.sanitise import attachments

BESIDE = "autograder_beside_learner"  # True in the metadata of a source's test that may run beside learners' code
PASSED_OVER = "experiment"  # the tag of cells that are not run at grading


# What reads names as texts, or all that there are.
BY_STRING = frozenset({"globals", "locals", "vars", "dir", "doctest", "exec", "eval", "get_ipython"})


class Unreadable(Exception):
    """A submitted file is not a notebook that can be graded. The message is for the learner."""


def content_of(path: Path, max_mib: float) -> bytes:
    """What is in a submitted file; raises Unreadable with a sentence for the learner.

    Opened once, without following a link or waiting for a pipe: what is judged of it is what is read.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except PermissionError as error:
        raise Unreadable(
            f"The account that grades may not read {path.name}. Give it the right to, and grade this submission again."
        ) from error
    except OSError as error:
        raise _no_file(path) from error
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise _no_file(path)
        with open(number, "rb", closefd=False) as file:
            content = file.read(int(max_mib * 2**20) + 1)
    finally:
        os.close(number)
    if len(content) > max_mib * 2**20:
        raise Unreadable(f"{path.name} is larger than {max_mib:g} MiB. Clear its outputs and submit it again.")
    return content


def read_notebook(content: bytes, name: str, max_cells: float) -> NotebookNode:
    """The notebook that a file of this name holds; raises Unreadable with a sentence for the learner."""
    try:
        notebook = _parse(content, name, max_cells)
    except Unreadable:
        raise
    except Exception as error:  # whatever a hostile file does to a parser
        raise Unreadable(
            f"{name} cannot be read as a notebook ({type(error).__name__}). "
            "Open it in JupyterLab, save it, and submit it again."
        ) from error
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise Unreadable(f"{name} has no cells. Submit the notebook that you worked in.")
    return NotebookNode(cells=[made for made in map(_cell, cells) if made is not None])


def _no_file(path: Path) -> Unreadable:
    return Unreadable(f"{path.name} is not a file that can be read. Submit the notebook itself.")


def _parse(content: bytes, name: str, max_cells: float) -> Any:
    """What a notebook file says: plain JSON, of which :func:`_cell` takes what it knows."""
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    notebook = json.loads(content.decode(encoding))
    if not isinstance(notebook, dict):
        return notebook
    old = notebook.get("nbformat") in (1, 2, 3)
    sheets = notebook.get("worksheets", []) if old else []
    found = [one.get("cells") for one in (notebook, *sheets)]
    lists = [cells for cells in found if isinstance(cells, list)]
    if len(sheets) + sum(map(len, lists)) > max_cells:
        raise Unreadable(f"{name} has more than {max_cells:g} cells. Submit it with those that are needed.")
    if not old:
        return notebook
    for cell in (cell for cells in lists for cell in cells):
        cell["outputs"] = []  # which nobody reads, and whose conversion could take for ever
    kept = {key: notebook[key] for key in ("nbformat", "nbformat_minor", "worksheets", "cells") if key in notebook}
    return nbformat.convert(nbformat.from_dict(kept | {"metadata": {}}), 4)


def _cell(cell: Any) -> NotebookNode | None:
    """A cell with the fields that are read below, whatever came in; None for what is no cell."""
    if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw"):
        return None
    source = cell.get("source", "")
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    metadata = cell.get("metadata")
    meta = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = meta.get("grade_id") if isinstance(meta, dict) else None
    clean = NotebookNode(cell_type=cell["cell_type"], metadata=NotebookNode())
    clean["id"] = cell["id"] if _is_cell_id(cell.get("id")) else uuid.uuid4().hex[:8]
    clean.source = readable(source) if isinstance(source, str) else ""
    if clean.cell_type == "code":
        clean.outputs, clean.execution_count = [], None
    elif pictures := attachments(cell.get("attachments")):
        clean.attachments = nbformat.from_dict(pictures)
    if isinstance(grade_id, str):
        clean.metadata["nbgrader"] = NotebookNode(grade_id=grade_id)
    return clean


def _is_cell_id(text: Any) -> bool:
    return isinstance(text, str) and re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", text) is not None


def with_checksums(source: NotebookNode, config: Config | None = None) -> NotebookNode:
    """A source notebook whose nbgrader cells have the checksums that their released form has.

    Where the course has words of its own around hidden tests, the metadata says which.
    """
    marked = copy.deepcopy(source)
    hides = ClearHiddenTests(config=config)
    if (words := Delimiters(hides.begin_test_delimeter, hides.end_test_delimeter)) != hidden.DEFAULT:
        marked.metadata["hidden_tests"] = list(words)
    released, _ = ClearSolutions(config=config).preprocess(copy.deepcopy(source), {})
    for cell, stub in zip(marked.cells, released.cells, strict=True):
        if "nbgrader" in cell.metadata:
            cell.metadata.nbgrader["checksum"] = utils.compute_checksum(stub)
    return marked


def plan(source: NotebookNode, submitted: NotebookNode) -> Plan:
    """What to run of ``submitted``, where, and in which order. ``source`` comes from :func:`with_checksums`."""
    matched, added = _match(source, submitted)
    steps: list[Step] = [_added(cell) for cell in added.get(-1, [])]
    manual: list[tuple[str, float, bool]] = []
    unattempted: set[str] = set()
    untouched: set[str] = set()
    stubs: list[bool] = []  # of the learner's cells since the last test
    for index, cell in enumerate(source.cells):
        theirs = matched.get(index)
        step = _step(cell, theirs)
        steps.append(step)
        meta = cell.metadata.get("nbgrader", {})
        if utils.is_solution(cell) or utils.is_task(cell):
            unchanged = theirs is None or meta.get("checksum") == utils.compute_checksum(step.cell)
            if unchanged and not utils.is_task(cell):
                untouched.add(meta["grade_id"])
            if utils.is_grade(cell) or utils.is_task(cell):
                manual.append((meta["grade_id"], float(meta["points"]), unchanged and utils.is_grade(cell)))
            elif cell.cell_type == "code":
                stubs.append(unchanged)
        if step.grade_id is not None:
            if stubs and all(stubs):
                unattempted.add(step.grade_id)
            stubs = []
        steps += [_added(cell) for cell in added.get(index, [])]
    _unique_ids(steps)
    judged = [step.uses for step in steps if step.judge]
    given = [names.of_cell(c.source) for c in source.cells if c.cell_type == "code" and not _is_test(c)]
    solved = [names.of_cell(c.source) for c in source.cells if c.cell_type == "code" and utils.is_solution(c)]
    learners = frozenset().union(*(n.bound - n.imported for n in solved))
    # what an instructor's cell makes for the learner to fill is theirs from then on
    made = frozenset().union(*(n.bound - n.imported for n in given))
    learners |= made & frozenset().union(*(n.filled for n in solved))
    wanted = frozenset().union(*(n.read for n in judged))
    return Plan(
        steps,
        wanted=sorted(wanted | (learners if wanted & BY_STRING else set())),
        learners=sorted(learners),
        instructors=frozenset().union(*(n.bound for n in judged)),
        watched=sorted(learners.union(*(n.read for n in given))),
        written=frozenset().union(*(n.files for n in solved if n.writes)),
        swallows=any(n.swallows for n in solved),
        seeds=any(n.seeds for n in solved),
        classes=names.solutions(solved),
        unattempted=frozenset(unattempted),
        timed=any(names.times(step.judge) for step in steps if step.judge),
        manual=tuple(manual),
        delimiters=Delimiters(*source.metadata.get("hidden_tests", ())),
        untouched=frozenset(untouched),
    )


def _is_test(cell: NotebookNode) -> bool:
    return utils.is_grade(cell) and not utils.is_solution(cell)


def _unique_ids(steps: list[Step]) -> None:
    """Gives a new id to a cell that has another one's: a notebook with two of the same cannot be opened."""
    taken: set[Any] = set()
    for step in steps:
        if step.cell.get("id") in taken:
            step.cell["id"] = uuid.uuid4().hex[:8]
        taken.add(step.cell.get("id"))


def _match(
    source: NotebookNode, submitted: NotebookNode
) -> tuple[dict[int, NotebookNode], dict[int, list[NotebookNode]]]:
    """Submitted cells by the index of the source cell they are, and those added, by the index they follow."""
    by_grade_id = {c.metadata.nbgrader["grade_id"]: i for i, c in enumerate(source.cells) if "nbgrader" in c.metadata}
    plain = {i: c for i, c in enumerate(source.cells) if "nbgrader" not in c.metadata}
    by_id = {c.get("id"): i for i, c in plain.items()}
    by_text: dict[str, list[int]] = {}
    for i, c in plain.items():
        by_text.setdefault(c.source.strip(), []).append(i)
    matched: dict[int, NotebookNode] = {}
    added: dict[int, list[NotebookNode]] = {}
    last = -1
    for cell in submitted.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        index = by_grade_id.get(grade_id, by_id.get(cell.get("id")))
        if index is None or (index in matched and grade_id is None):
            index = next((i for i in by_text.get(cell.source.strip(), []) if i not in matched), None)
        if index is None:
            added.setdefault(last, []).append(cell)
        else:
            matched[index] = cell  # of duplicates the last one counts, as with nbgrader
            last = index
    return matched, added


def _step(cell: NotebookNode, theirs: NotebookNode | None) -> Step:
    meta = cell.metadata.get("nbgrader", {})
    restored = NotebookNode(cell)  # what is within stays the source's: nobody changes it
    if restored.cell_type == "code":
        restored.outputs, restored.execution_count = [], None
    if utils.is_solution(cell):
        restored.source = theirs.source if theirs is not None else ""
        if cell.cell_type != "code":
            if theirs is not None and "attachments" in theirs:
                restored.attachments = NotebookNode(restored.get("attachments", {}) | theirs.attachments)
            return Step(restored)
        # What the reference solution imports, tests may use; the judge does not take a module from the learner.
        imports = names.without_failing(names.of_cell(cell.source).imports)
        return Step(restored, judge=imports or None, sandbox=restored.source, uses=names.of_cell(imports))
    if cell.cell_type != "code":
        return Step(restored)
    if utils.is_grade(cell):
        side = "sandbox" if cell.metadata.get(BESIDE) is True else "judge"
        uses = names.of_cell(cell.source)
        return Step(restored, uses=uses, grade_id=meta["grade_id"], points=float(meta["points"]), **{side: cell.source})
    if PASSED_OVER in cell.metadata.get("tags", []):
        restored.source = theirs.source if theirs is not None else cell.source
        return Step(restored)
    if not utils.is_locked(cell) and theirs is not None:
        restored.source = theirs.source
    return Step(restored, judge=cell.source, sandbox=restored.source, uses=names.of_cell(cell.source))


def _added(cell: NotebookNode) -> Step:
    cell.metadata.pop("nbgrader", None)
    return Step(cell, sandbox=cell.source if cell.cell_type == "code" else None)


def modules_to_warm(source: NotebookNode) -> list[str]:
    """The modules that a source notebook imports: what a warm process imports once for all submissions."""
    return sorted(set().union(*(names.modules(cell.source) for cell in source.cells if cell.cell_type == "code")))


def canonical(notebook: NotebookNode) -> bytes:
    """The bytes of a notebook that its hash in a report is taken of."""
    return json.dumps(notebook, sort_keys=True).encode()
