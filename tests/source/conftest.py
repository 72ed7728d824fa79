"""The lessons, each as its instructor's notebook and its mutants."""

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from nbformat import NotebookNode

from course import paths, release
from course.mutants import Mutants

LESSONS = release.lesson_names(paths.source())


@dataclass(frozen=True)
class Lesson:
    name: str
    notebook: NotebookNode

    @property
    def folder(self) -> Path:
        return paths.source() / self.name

    def cells(self, **flags: bool) -> list[NotebookNode]:
        """Code cells whose nbgrader metadata has these flags."""
        return [
            cell
            for cell in self.notebook.cells
            if cell.cell_type == "code"
            and "nbgrader" in cell.metadata
            and all(cell.metadata.nbgrader.get(key, False) == value for key, value in flags.items())
        ]

    def module(self, kind: str) -> object:
        """The lesson's module of checks or mutants."""
        (path,) = self.folder.glob(f"*_{kind}.py")
        if str(self.folder) not in sys.path:
            sys.path.insert(0, str(self.folder))
        return importlib.import_module(path.stem)

    @property
    def mutants(self) -> Mutants:
        return self.module("mutants").mutants


@pytest.fixture(scope="session", params=LESSONS)
def lesson(request: pytest.FixtureRequest) -> Lesson:
    return Lesson(request.param, release.source_notebook(paths.source() / request.param))
