"""A released notebook that is opened alone, in a Python without the course: its first cell brings what it needs."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient

from course import paths, release

LESSON = "04-freezing"
CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Builds the package, as a class or everybody else gets it."""

    def build(edition: str) -> Path:
        folder = tmp_path_factory.mktemp("wheel")
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
        environment = os.environ | {"COURSE_EDITION": edition}
        subprocess.run([*command, "--wheel-dir", folder, CHECKOUT], env=environment, check=True)
        (made,) = folder.glob("*.whl")
        return made

    return build


def test_a_class_gets_no_solutions(wheel: Callable[[str], Path]) -> None:
    everything, for_a_class = (set(zipfile.ZipFile(wheel(edition)).namelist()) for edition in ("", "class"))
    left_out = everything - for_a_class
    assert f"course/lessons/source/{LESSON}/{LESSON}.py" in left_out
    assert all(name.startswith("course/lessons/source/") for name in left_out)
    assert f"course/lessons/release/{LESSON}/{LESSON}.ipynb" in for_a_class
    assert for_a_class <= everything


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A Python that has every library of this one, and not the course."""
    made = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
    program = made / ("Scripts" if os.name == "nt" else "bin") / "python"
    own = subprocess.run(
        [program, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(("finetuning_from_zero", "_finetuning_from_zero", "course", "autograder")):
            (Path(own) / entry.name).symlink_to(entry)
    return program


def test_a_notebook_alone_brings_the_course_and_works(
    wheel: Callable[[str], Path], bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = wheel("class").as_uri()
    release.build(paths.source(), tmp_path / "release", [LESSON], package=f"finetuning-from-zero @ {address}")
    notebook = nbformat.read(tmp_path / "release" / LESSON / f"{LESSON}.ipynb", as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.id in ("install", "setup", "freeze", "check-freeze")]
    assert next(cell.id for cell in notebook.cells if cell.cell_type == "code") == "install"

    alone = tmp_path / "alone"
    alone.mkdir()
    spec = tmp_path / "data" / "kernels" / "bare"
    spec.mkdir(parents=True)
    argv = [str(bare), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "bare", "language": "python"}))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert "bare" in KernelSpecManager().find_kernel_specs()

    found = subprocess.run(
        [bare, "-c", "import importlib.util as u; print(u.find_spec('torch') is not None, u.find_spec('course'))"],
        cwd=alone,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == ["True", "None"], "the Python is to have the libraries and not the course"
    client = NotebookClient(
        notebook, kernel_name="bare", timeout=300, allow_errors=True, resources={"metadata": {"path": str(alone)}}
    )
    client.execute()
    (output,) = [cell.outputs for cell in notebook.cells if cell.id == "check-freeze"]
    assert "freeze: not attempted" in output[0].data["text/plain"]
    where = subprocess.run(
        [bare, "-c", "import course; print(course.__file__)"], cwd=alone, capture_output=True, text=True, check=True
    )
    assert Path(where.stdout.strip()).is_relative_to(bare.parents[1]), "it was installed there"


def test_the_address_is_that_of_the_package_unless_another_is_said(tmp_path: Path) -> None:
    name = importlib.metadata.metadata("finetuning-from-zero")["Name"]
    for package, said in ((None, name), ('git+https://example.org/"odd"', 'git+https://example.org/\\"odd\\"')):
        release.build(paths.source(), tmp_path, [LESSON], package=package)
        notebook = nbformat.read(tmp_path / LESSON / f"{LESSON}.ipynb", as_version=4)
        (cell,) = [cell for cell in notebook.cells if cell.id == "install"]
        assert f'PACKAGE = "{said}"' in cell.source
        compile(cell.source, "install", "exec")
