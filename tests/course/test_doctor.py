"""`course doctor`: what it finds on this machine, and on one where things are missing and broken."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from click.testing import CliRunner

from course import cli
from course.data import shipped
from course.learner import doctor
from course.learner.doctor import Finding, State


def run(*args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`course` as a program, with further variables in its environment."""
    command = [sys.executable, "-m", "course.cli", *args]
    return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)


def test_this_machine() -> None:
    done = run("doctor", "--json")
    said = json.loads(done.stdout)
    assert done.returncode == (not said["well"]), done.stderr
    assert said["well"] == all(finding["state"] != "missing" for finding in said["findings"])
    found = {finding["about"] for finding in said["findings"]}
    assert {"Python", "Packages", "Lessons", "Memory", "Disk", "JupyterLab", "Kernel", "GPU", "Models", "Data"} <= found
    assert all(finding["said"].strip() for finding in said["findings"])


def test_a_machine_where_much_is_wrong(tmp_path: Path) -> None:
    """torch cannot be imported, matplotlib ends Python, rich is broken too; packages are missing or too old."""
    broken = {
        "torch": "raise ImportError('libtorch_cpu.so: cannot open shared object file')",
        "matplotlib": "import os; os._exit(3)",
        "rich": "raise ImportError('rich is broken')",
    }
    for name, text in broken.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text)
    about = tmp_path / "finetuning_from_zero-0.1.0.dist-info" / "METADATA"
    about.parent.mkdir()
    needs = ("no-such-package>=1.5", "click>=999", "never-wanted; sys_platform == 'none'")
    about.write_text("Name: finetuning-from-zero\nVersion: 0.1.0\nRequires-Python: >=99\n")
    about.write_text(about.read_text() + "".join(f"Requires-Dist: {need}\n" for need in needs))
    before = os.environ.get("PYTHONPATH", "")
    variables = {"PYTHONPATH": os.pathsep.join(filter(None, [str(tmp_path), before])), "COURSE_SCALE": "huge"}
    done = run("doctor", **variables)  # without rich it says as JSON what it has to say
    assert done.returncode == 1 and done.stderr == ""
    found = {finding["about"]: finding for finding in json.loads(done.stdout)["findings"]}
    missing = {about for about, finding in found.items() if finding["state"] == "missing"}
    assert missing == {
        *("Python", "Scale", "no-such-package", "click", "torch", "matplotlib"),
        *("GPU", "Models", "Data", "torchvision", "timm"),  # all of which rest on torch
    }
    assert "the course needs >=99" in found["Python"]["said"]
    assert found["no-such-package"]["said"] == "no-such-package is not installed."
    assert found["no-such-package"]["remedy"].endswith('-m pip install "no-such-package>=1.5"')
    assert "the course needs >=999" in found["click"]["said"]
    assert "libtorch_cpu.so" in found["torch"]["said"]
    assert found["torch"]["remedy"].endswith("-m pip install --force-reinstall torch")
    assert "libtorch_cpu.so" in found["Models"]["said"]
    assert "(exit code 3)" in found["matplotlib"]["said"]
    assert found["Scale"]["remedy"].endswith("set COURSE_SCALE")
    assert found["Lessons"]["state"] == "good"
    done = run("check", "4", **variables)
    assert done.returncode == 1 and "A package cannot be imported (rich is broken). `course doctor`" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_heavy_is_imported_to_begin_with() -> None:
    heavy = {"torch", "numpy", "rich", "click", "psutil"}
    code = f"import course.learner.doctor, sys; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_the_course_itself_may_not_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PACKAGE", "no-such-course")
    (finding,) = doctor._packages()
    assert finding.state is State.MISSING and finding.remedy.endswith("-m pip install -e .")


# --- JupyterLab ---------------------------------------------------------------------------------------------


def jupyter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, content: object) -> dict[str, Finding]:
    """What is found of JupyterLab where a file of its configuration says this."""
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path))
    return {finding.about: finding for finding in doctor._jupyter()}


def test_extensions_are_there_and_enabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = jupyter(tmp_path, monkeypatch, "jupyter_config.json", {})
    assert {finding.state for finding in found.values()} == {State.GOOD}
    assert list(found) == ["JupyterLab", "ipywidgets", "nbgrader", "jupytext"]


@pytest.mark.parametrize("names", [["@jupyter/nbgrader"], {"@jupyter/nbgrader:validate-assignment": True}])
def test_a_disabled_extension(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str] | dict[str, bool]
) -> None:
    found = jupyter(tmp_path, monkeypatch, "labconfig/page_config.json", {"disabledExtensions": names})
    assert found["nbgrader"].state is State.WEAK and "is disabled" in found["nbgrader"].said
    assert found["nbgrader"].remedy.endswith(f"jupyter labextension enable {next(iter(names))}")
    assert found["jupytext"].state is State.GOOD


def test_an_extension_that_the_server_does_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    off = {"nbgrader.server_extensions.validate_assignment": False}
    content = {"ServerApp": {"jpserver_extensions": off}}
    found = jupyter(tmp_path, monkeypatch, "jupyter_server_config.d/x.json", content)
    assert found["nbgrader"].state is State.WEAK
    assert found["nbgrader"].remedy.endswith("nbgrader.server_extensions.validate_assignment")


def test_an_extension_that_is_not_there() -> None:
    finding = doctor._extension(doctor.EXTENSIONS[0], [], {}, {})
    assert finding.state is State.WEAK and "does not find" in finding.said
    assert finding.remedy.endswith("jupyterlab_widgets")


def test_a_kernel_of_another_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = doctor._kernel()
    assert finding.state is State.GOOD
    spec = {
        "argv": [str(tmp_path / "bin" / "python"), "-f", "{connection_file}"],
        "display_name": "x",
        "language": "python",
    }
    (tmp_path / "kernels" / "python3").mkdir(parents=True)
    (tmp_path / "kernels" / "python3" / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    (finding,) = doctor._kernel()
    assert finding.state is State.MISSING and str(tmp_path) in finding.said
    assert " -m ipykernel install " in finding.remedy


# --- memory, disk, data -------------------------------------------------------------------------------------


def test_a_disk_that_is_nearly_full(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2**40, 2**40 - 2**29, 2**29))
    (finding,) = doctor._disk()
    assert finding.state is State.WEAK and finding.said.startswith("0.5 GiB are free")


def test_progress_that_cannot_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "mine"))
    (finding,) = doctor._progress()
    assert finding.state is State.GOOD and str(tmp_path / "mine") in finding.said
    (tmp_path / "file").touch()
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "file"))
    (finding,) = doctor._progress()
    assert finding.state is State.WEAK and "name a folder of yours in the variable COURSE_HOME" in finding.said


def test_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    memory = namedtuple("memory", "total available")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory(2 * 2**30, 2**30))
    (finding,) = doctor._memory()
    assert finding.state is State.WEAK and finding.said.startswith("2.0 GiB of memory, 1.0 of them free.")


def test_what_torch_computes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    cuda, mps = torch.cuda, torch.backends.mps
    for module, there in ((cuda, False), (mps, False)):
        monkeypatch.setattr(module, "is_available", lambda there=there: there)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    (finding,) = doctor._gpu()
    assert finding.state is State.NOTE and "computes on the CPU" in finding.said
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    (finding,) = doctor._gpu()
    assert finding.state is State.WEAK and finding.remedy.endswith("--force-reinstall torch")
    monkeypatch.setattr(mps, "is_available", lambda: True)
    (finding,) = doctor._gpu()
    assert finding.state is State.GOOD and "Apple's GPU" in finding.said
    monkeypatch.setattr(cuda, "is_available", lambda: True)
    monkeypatch.setattr(cuda, "device_count", lambda: 2)
    monkeypatch.setattr(cuda, "mem_get_info", lambda _: (2**30, 4 * 2**30))
    monkeypatch.setattr(cuda, "get_device_name", lambda number: f"card {number}")
    said = [finding.said for finding in doctor._gpu()]
    assert [f"computes on card {number}: 4.0 GiB, 1.0 of them free." in said[number] for number in (0, 1)] == [True] * 2


def test_data_that_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in shipped.SHIPPED[1:]:
        shutil.copy(shipped.FOLDER / file.path, tmp_path)
    (tmp_path / shipped.SHIPPED[0].path).write_text("cut off")
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    damaged, rest = doctor._data()
    assert damaged.state is State.MISSING and "is damaged" in damaged.said and damaged.said.endswith(".")
    assert damaged.remedy.endswith("pip install --force-reinstall --no-deps finetuning-from-zero")
    assert rest.state is State.GOOD and rest.said.startswith("2 data files are here")


def test_every_shipped_file_is_looked_at() -> None:
    pinned = [value for value in vars(shipped).values() if isinstance(value, shipped.PinnedFile)]
    assert list(shipped.SHIPPED) == pinned


# --- what is shown ------------------------------------------------------------------------------------------

LONG = f"python -m pip install --force-reinstall --no-deps {'package-' * 12}end"


@pytest.fixture
def two_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Finding("Disk", State.GOOD, "Room enough."), Finding("torch", State.MISSING, "/a" * 60, LONG)]
    monkeypatch.setattr(doctor, "findings", lambda: iter(found))


def test_commands_and_paths_are_shown_whole(two_findings: None) -> None:
    result = CliRunner().invoke(cli.main, ["doctor"], env={"COLUMNS": "80"})
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert f"  {LONG}" in lines
    assert "".join("".join(lines[1:3]).split()[2:]) == "/a" * 60
    assert lines[-1] == "What the lessons need is not all here: torch."


def test_colours_switch_off(two_findings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}
    green = "\x1b[32m✓"

    def shown(*args: str, **variables: str) -> str:
        return CliRunner().invoke(cli.main, args, env=terminal | variables, color=True).stdout

    assert green in shown("doctor")
    assert green not in shown("--no-color", "doctor") and "✓" in shown("--no-color", "doctor")
    assert green not in shown("doctor", NO_COLOR="1")
    assert "\x1b" not in shown("doctor", FORCE_COLOR=""), "no terminal"
