"""The instructor's cells as the gradebook has them: as of the last ``nbgrader generate_assignment``.

Stock nbgrader puts these over what a submission has. There autotests are instantiated, and hidden tests are kept.
"""

from __future__ import annotations

import copy
import dataclasses
import json

from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.api import Gradebook

from autograder.layout import Assignment


def as_released(gradebook: Gradebook, assignment: Assignment) -> Assignment:
    """The assignment with its locked cells, checksums and points from a gradebook that knows it."""
    known = {notebook.name: notebook for notebook in gradebook.find_assignment(assignment.name).notebooks}
    notebooks = {name: _with_cells(source, known[name]) for name, source in assignment.notebooks.items()}
    return dataclasses.replace(assignment, notebooks=notebooks)


def _with_cells(source: NotebookNode, known: object) -> NotebookNode:
    """A source notebook with the cells of the gradebook's ``known`` notebook in their places."""
    cells = {cell.name: cell for cell in known.source_cells}  # type: ignore[attr-defined]
    points = {cell.name: cell.max_score for cell in known.grade_cells}  # type: ignore[attr-defined]
    released = copy.deepcopy(source)
    kernel = json.loads(known.kernelspec or "{}")  # type: ignore[attr-defined]
    if kernel:
        released.metadata["kernelspec"] = NotebookNode(kernel)
    for cell in released.cells:
        meta = cell.metadata.get("nbgrader", {})
        row = cells.get(meta.get("grade_id"))
        if row is None:
            continue
        if row.checksum:
            meta["checksum"] = row.checksum
        if utils.is_grade(cell):
            meta["points"] = points.get(row.name, meta["points"])
        if row.locked and row.cell_type == cell.cell_type and not utils.is_solution(cell):
            cell.source = row.source
    return released
