"""What the course finds on this machine, and the command that mends what is wrong: `course doctor`.

It must answer where packages are missing or broken, so nothing is imported here but Python's own. What takes seconds to
import, or may end the process, is looked at in processes of its own (`APART`), which tell what they find as JSON lines.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course.locale import gettext as _

if TYPE_CHECKING:
    from rich.console import RenderableType

PACKAGE = "finetuning-from-zero"
GIB = 2**30
SECONDS = 120  # that a look in a process of its own may take
LITTLE_MEMORY = 4 * GIB  # JupyterLab, a browser and a kernel with torch and a lesson's networks: 2 to 3 GiB
LITTLE_DISK = 1 * GIB  # notebooks with their pictures; temporary files


class State(StrEnum):
    """How a finding stands. Only what is MISSING keeps lessons from working."""

    GOOD = "good"
    NOTE = "note"
    WEAK = "weak"
    MISSING = "missing"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: a sentence on it and, where something is wrong, the command that mends it."""

    about: str
    state: State
    said: str
    remedy: str = ""


Look = Callable[[], Iterable[Finding]]


def findings() -> Iterator[Finding]:
    """Everything there is to say of this machine, as it is found: seconds in all, most of them for torch."""
    apart = {name: _start(name) for name in APART}
    try:
        for about, look in HERE.items():
            yield from _safely(about, look)
        for name, process in apart.items():
            yield from _told(name, process)
    finally:
        for process in apart.values():
            process.kill()
            with process:  # waits for it and closes its pipe
                pass


def _safely(about: str, look: Look) -> Iterator[Finding]:
    """What a look finds. That it could not be made is a finding too."""
    try:
        yield from look()
    except ImportError as error:
        said = _("Not looked at, since a package cannot be imported ({error}).").format(error=_reason(error))
        yield Finding(about, State.MISSING, said)
    except Exception as error:  # whatever a broken installation raises
        yield Finding(about, State.WEAK, _("Could not be looked at ({error}).").format(error=_reason(error)))


def _reason(error: Exception) -> str:
    first = (str(error).strip() or "?").splitlines()[0].rstrip(".:")
    return f"{type(error).__name__}: {first}"


# --- looks of this process ----------------------------------------------------------------------------------


def _python() -> Iterator[Finding]:
    from packaging.specifiers import SpecifierSet

    wanted = importlib.metadata.metadata(PACKAGE)["Requires-Python"]
    here = platform.python_version()
    if SpecifierSet(wanted).contains(here, prereleases=True):
        yield Finding("Python", State.GOOD, _("Python {here}, in {where}.").format(here=here, where=sys.prefix))
        return
    said = _("Python is {here}, and the course needs {wanted}: get one from https://www.python.org/downloads")
    yield Finding("Python", State.MISSING, said.format(here=here, wanted=wanted))


def _packages() -> Iterator[Finding]:
    """The packages that the course names as needed, in the versions that it names."""
    try:
        needed = importlib.metadata.requires(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        said = _("The course itself is not installed, so nobody knows which packages it needs.")
        yield Finding(_("Packages"), State.MISSING, said, _pip("install", "-e", "."))
        return
    from packaging.requirements import Requirement

    count, all_there = 0, True
    for requirement in map(Requirement, needed):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        count += 1
        try:
            here = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            said = _("{name} is not installed.").format(name=requirement.name)
        else:
            if requirement.specifier.contains(here, prereleases=True):
                continue
            said = _("{name} is {here}, and the course needs {wanted}.").format(
                name=requirement.name, here=here, wanted=requirement.specifier
            )
        all_there = False
        yield Finding(requirement.name, State.MISSING, said, _pip("install", f'"{requirement}"'))
    if all_there:
        said = _("All {count} packages that the course needs are installed, in versions that fit.").format(count=count)
        yield Finding(_("Packages"), State.GOOD, said)


def _lessons() -> Iterator[Finding]:
    from course import catalogue, paths

    lessons = catalogue.lessons()
    if lessons:
        said = _("{count} lessons, with {points:g} points to earn.")
        points = sum(lesson.points for lesson in lessons)
        yield Finding(_("Lessons"), State.GOOD, said.format(count=len(lessons), points=points))
    else:
        said = _("There are no lessons in {folder}: the installation is incomplete.").format(folder=paths.release())
        yield Finding(_("Lessons"), State.MISSING, said, _reinstall(PACKAGE))


def _scale() -> Iterator[Finding]:
    from course import scale

    try:
        said = _("Experiments run at {scale} scale.").format(scale=scale.current())
        yield Finding(_("Scale"), State.GOOD, said)
    except ValueError as error:
        unset = "set COURSE_SCALE=" if os.name == "nt" else "unset COURSE_SCALE"
        yield Finding(_("Scale"), State.MISSING, str(error), unset)


def _memory() -> Iterator[Finding]:
    import psutil

    memory = psutil.virtual_memory()
    said = _("{all:.1f} GiB of memory, {free:.1f} of them free.")
    said = said.format(all=memory.total / GIB, free=memory.available / GIB)
    if memory.total < LITTLE_MEMORY:
        said += " " + _("Lessons run in that if little else does: close other notebooks and programs.")
        yield Finding(_("Memory"), State.WEAK, said)
    else:
        yield Finding(_("Memory"), State.GOOD, said)


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(Path.cwd()).free
    said = _("{free:.1f} GiB are free on the disk of {folder}.").format(free=free / GIB, folder=Path.cwd())
    if free < LITTLE_DISK:
        said += " " + _("That is little: a notebook that cannot be saved is lost. Make room.")
        yield Finding(_("Disk"), State.WEAK, said, _pip("cache", "purge"))
    else:
        yield Finding(_("Disk"), State.GOOD, said)


def _progress() -> Iterator[Finding]:
    from course.learner import progress

    if why := progress.why_not_kept():
        said = _(
            "Your progress cannot be kept in {file} ({reason}). Lessons work all the same, and forget what you did."
            " Make room there, or name a folder of yours in the variable COURSE_HOME."
        ).format(file=progress.file(), reason=why)
        yield Finding(_("Progress"), State.WEAK, said)
    else:
        yield Finding(_("Progress"), State.GOOD, _("Your progress is kept in {file}.").format(file=progress.file()))


@dataclass(frozen=True)
class Extension:
    """An extension of JupyterLab, its part in the server (\"\" where it has none), and what is lost without it."""

    about: str
    name: str
    package: str
    server: str
    without: str


EXTENSIONS = (
    Extension(
        "ipywidgets",
        "@jupyter-widgets/jupyterlab-manager",
        "jupyterlab_widgets",
        "",
        _("Without it lessons show plain figures where you could play, and no progress bars."),
    ),
    Extension(
        "nbgrader",
        "@jupyter/nbgrader",
        "nbgrader",
        "nbgrader.server_extensions.validate_assignment",
        _("Without it notebooks have no Validate button; `course check` does the same."),
    ),
    Extension(
        "jupytext",
        "jupyterlab-jupytext",
        "jupytext",
        "jupyterlab_jupytext",
        _("Without it those who edit lessons cannot open their text as a notebook."),
    ),
)


def _jupyter() -> Iterator[Finding]:
    """JupyterLab, and which of its extensions are installed and enabled, as its own files say."""
    from jupyter_core.paths import jupyter_config_path, jupyter_path

    if importlib.util.find_spec("jupyterlab") is None:
        said = _("JupyterLab is not installed, so there is nothing to open lessons in.")
        yield Finding("JupyterLab", State.MISSING, said, _pip("install", "jupyterlab"))
        return
    version = importlib.metadata.version("jupyterlab")
    yield Finding("JupyterLab", State.GOOD, _("JupyterLab {version}.").format(version=version))
    folders = [Path(folder) for folder in reversed(jupyter_config_path())]  # what comes later overrules
    disabled = _merged([_app_settings(), *(folder / "labconfig" for folder in folders)], "page_config").get(
        "disabledExtensions", {}
    )
    serving = _merged(folders, "jupyter_server_config").get("ServerApp", {}).get("jpserver_extensions", {})
    there = [Path(folder) for folder in jupyter_path("labextensions")]
    for extension in EXTENSIONS:
        yield _extension(extension, there, disabled, serving)


def _extension(extension: Extension, there: list[Path], disabled: dict[str, bool], serving: dict[str, bool]) -> Finding:
    parts = [part for part, off in disabled.items() if off and part.partition(":")[0] == extension.name]
    if not any((folder / extension.name / "package.json").is_file() for folder in there):
        said, remedy = _("JupyterLab does not find the extension of {about}."), _reinstall(extension.package)
    elif parts:
        said, remedy = _("The extension of {about} is disabled."), _jupyter_command("labextension", "enable", *parts)
    elif extension.server and not serving.get(extension.server, False):
        said = _("The extension of {about} is disabled in JupyterLab's server.")
        remedy = _jupyter_command("server", "extension", "enable", "--sys-prefix", extension.server)
    else:
        said = _("The extension of {about} is installed and enabled.").format(about=extension.about)
        return Finding(extension.about, State.GOOD, said)
    said = f"{said.format(about=extension.about)} {extension.without}"
    return Finding(extension.about, State.WEAK, said, remedy)


def _app_settings() -> Path:
    return Path(os.environ.get("JUPYTERLAB_DIR", Path(sys.prefix, "share", "jupyter", "lab")), "settings")


def _merged(folders: list[Path], name: str) -> dict[str, Any]:
    """The settings of a name in Jupyter's folders, the later over the earlier."""
    from jupyter_server.config_manager import BaseJSONConfigManager, recursive_update

    merged: dict[str, Any] = {}
    for folder in folders:
        found = BaseJSONConfigManager(config_dir=str(folder)).get(name)
        if isinstance(found.get("disabledExtensions"), list):  # as JupyterLab 3 wrote it
            found["disabledExtensions"] = dict.fromkeys(found["disabledExtensions"], True)
        recursive_update(merged, found)
    return merged


def _kernel() -> Iterator[Finding]:
    """Whether the kernel that lessons name is this Python."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    from jupyter_core.paths import prefer_environment_over_user

    place = "--sys-prefix" if prefer_environment_over_user() else "--user"
    remedy = " ".join([_program("python"), "-m ipykernel install", place, "--name python3"])
    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        said = _("There is no kernel python3, which the lessons run in.")
        yield Finding(_("Kernel"), State.MISSING, said, remedy)
        return
    started = spec.argv[0]
    own = {"python", "python3", f"python{sys.version_info.major}.{sys.version_info.minor}"}  # jupyter_client's rule
    if started in own or Path(started).parent == Path(sys.executable).parent:
        yield Finding(_("Kernel"), State.GOOD, _("The kernel python3 is this Python."))
    else:
        said = _("The kernel python3, which the lessons run in, is another Python: {started}.").format(started=started)
        yield Finding(_("Kernel"), State.MISSING, said, remedy)


def _sandbox() -> Iterator[Finding]:
    if sys.platform == "linux":
        said = _("To grade what others wrote, their code is shut in. Whether this machine can: autograder doctor")
        yield Finding(_("Sandbox"), State.NOTE, said)


HERE: dict[str, Look] = {
    "Python": _python,
    _("Packages"): _packages,
    _("Lessons"): _lessons,
    _("Scale"): _scale,
    _("Memory"): _memory,
    _("Disk"): _disk,
    _("Progress"): _progress,
    "JupyterLab": _jupyter,
    _("Kernel"): _kernel,
    _("Sandbox"): _sandbox,
}


# --- looks in processes of their own ------------------------------------------------------------------------


def _imports(module: str, package: str) -> Iterator[Finding]:
    """Nothing, where a package can be imported; `_packages` has said which version it is, or that there is none."""
    if importlib.util.find_spec(module) is None:
        return
    try:
        importlib.import_module(module)
    except Exception as error:  # ImportError, and what else a broken library raises
        said = _("{package} is installed and cannot be imported ({error}).")
        yield _broken(package, said.format(package=package, error=_reason(error)))


def _broken(package: str, said: str) -> Finding:
    return Finding(package, State.MISSING, said, _pip("install", "--force-reinstall", package))


def _gpu() -> Iterator[Finding]:
    import torch

    version = torch.__version__
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(number)
            said = _("torch {version} computes on {name}: {all:.1f} GiB, {free:.1f} of them free.")
            name = torch.cuda.get_device_name(number)
            said = said.format(version=version, name=name, all=total / GIB, free=free / GIB)
            yield Finding("GPU", State.GOOD, said)
    elif torch.backends.mps.is_available():
        said = _("torch {version} computes on Apple's GPU, which shares the machine's memory.").format(version=version)
        yield Finding("GPU", State.GOOD, said)
    elif shutil.which("nvidia-smi"):
        said = _(
            "There is an NVIDIA GPU, and torch {version} cannot use it: this torch or the driver is made for another"
            " CUDA. Lessons run on the CPU. The command for your machine is on https://pytorch.org/get-started"
        )
        yield Finding("GPU", State.WEAK, said.format(version=version), _pip("install", "--force-reinstall", "torch"))
    else:
        said = _("No GPU: torch {version} computes on the CPU, which the lessons are made for.").format(version=version)
        yield Finding("GPU", State.NOTE, said)


def _models() -> Iterator[Finding]:
    from course.data.shipped import full_wanted
    from course.data.verified import AssetError
    from course.models import cards
    from course.models.zoo import package_file

    here: list[str] = []
    elsewhere: list[str] = []
    for card in cards():
        if full_wanted() or not card.package:
            (here if card.here else elsewhere).append(card.name)
            continue
        try:
            for file in (card.weights, *card.files):
                package_file(card, file)
            here.append(card.name)
        except AssetError as error:
            yield Finding(_("Models"), State.MISSING, _said(error), _reinstall(card.package))
    if here:
        said = _("{count} models are here, each as it was published: {names}.")
        yield Finding(_("Models"), State.GOOD, said.format(count=len(here), names=", ".join(here)))
    if elsewhere:
        said = _("Not here, and fetched from a hub with COURSE_SCALE=full: {names}.").format(names=", ".join(elsewhere))
        yield Finding(_("Models"), State.NOTE, said)


def _data() -> Iterator[Finding]:
    from course.data.shipped import SHIPPED, shipped
    from course.data.verified import AssetError

    here = []
    for file in SHIPPED:
        try:
            here.append(shipped(file).name)
        except AssetError as error:
            yield Finding(_("Data"), State.MISSING, _said(error), _reinstall(PACKAGE))
    if here:
        said = _("{count} data files are here, each as it was published: {names}.")
        yield Finding(_("Data"), State.GOOD, said.format(count=len(here), names=", ".join(here)))


def _said(error: Exception) -> str:
    """What an AssetError says happened, without the command after it."""
    return str(error).partition(";")[0] + "."


# The looks of each process, which it makes one after the other, by the package that all of them rest on.
APART: dict[str, dict[str, Look]] = {
    "torch": {
        "torch": partial(_imports, "torch", "torch"),
        "GPU": _gpu,
        _("Models"): _models,
        _("Data"): _data,
        "torchvision": partial(_imports, "torchvision", "torchvision"),
        "timm": partial(_imports, "timm", "timm"),
    },
    "": {
        "matplotlib": partial(_imports, "matplotlib.pyplot", "matplotlib"),
        "ipywidgets": partial(_imports, "ipywidgets", "ipywidgets"),
        "transformers": partial(_imports, "transformers", "transformers"),
        "scikit-learn": partial(_imports, "sklearn", "scikit-learn"),
    },
}


def _start(name: str) -> subprocess.Popen[str]:
    # -P: what lies in the folder that one is in has no part in it
    command = [
        sys.executable,
        "-P",
        "-c",
        "import sys; from course.learner import doctor; doctor.tell(sys.argv[1])",
        name,
    ]
    silent = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=silent, stdout=subprocess.PIPE, stderr=silent, encoding="utf-8")


def tell(name: str) -> None:
    """Makes the looks of `APART[name]` in this process; one JSON line each, as soon as it is made."""
    lines, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints is not for the reader of the lines
    for about, look in APART[name].items():
        found = [asdict(finding) for finding in _safely(about, look)]
        print(json.dumps({"about": about, "found": found}), file=lines, flush=True)


def _told(name: str, process: subprocess.Popen[str]) -> Iterator[Finding]:
    """What a process of `tell` found. Where a look ended it, that is a finding, and those after it are not made."""
    try:
        out, _err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        out, _err = process.communicate()
    lines = [json.loads(line) for line in out.splitlines() if line.startswith('{"about"')]
    found = {line["about"]: line["found"] for line in lines}
    for about in APART[name]:
        if about not in found:
            said = _("Python itself ended while this was looked at (exit code {code}).").format(code=process.returncode)
            yield Finding(about, State.MISSING, said, _pip("install", "--force-reinstall", name or about))
            return
        yield from (Finding(**finding | {"state": State(finding["state"])}) for finding in found[about])


# --- what is shown ------------------------------------------------------------------------------------------

MARKS = {
    State.GOOD: ("✓", "green"),
    State.NOTE: ("·", "bright_black"),
    State.WEAK: ("!", "yellow"),
    State.MISSING: ("✗", "red"),
}


def shown(finding: Finding) -> RenderableType:
    """A finding for a terminal; its command is on a line of its own, to be copied whole."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    mark, style = MARKS[finding.state]
    row = Table.grid(padding=(0, 1))
    row.add_column(width=1)
    row.add_column(width=12, overflow="fold")
    row.add_column(overflow="fold")
    row.add_row(Text(mark, style), Text(finding.about, "bold"), Text(finding.said))
    return Group(row, Text(f"  {finding.remedy}", "cyan", no_wrap=True, overflow="ignore")) if finding.remedy else row


# --- commands -----------------------------------------------------------------------------------------------


def _program(name: str) -> str:
    """How to call a program of this environment: by its name where that finds it, else by its path."""
    here = Path(sys.executable).with_name(name)
    found = shutil.which(name)
    return name if found and Path(found).parent == here.parent else f'"{here}"' if " " in str(here) else str(here)


def _pip(*words: str) -> str:
    return " ".join([_program("python"), "-m", "pip", *words])


def _reinstall(package: str) -> str:
    return _pip("install", "--force-reinstall", "--no-deps", package)


def _jupyter_command(*words: str) -> str:
    return " ".join([_program("jupyter"), *words])
