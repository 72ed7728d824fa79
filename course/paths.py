"""Where the lessons lie: at the top of a checkout, or inside the installed package."""

import sys
from pathlib import Path

WORKSPACE = "finetuning-from-zero"  # the folder of a learner's copy, unless they name another


def home() -> Path:
    """The folder that holds `source/`, `release/` and `nbgrader_config.py`."""
    package = Path(__file__).resolve().parent
    installed = package / "lessons"
    return installed if installed.is_dir() else package.parent


def source() -> Path:
    """The lessons as instructors edit them, one folder a lesson."""
    return home() / "source"


def release() -> Path:
    """The lessons as learners get them, made from `source()` by `course release`."""
    return home() / "release"


def nbgrader_config() -> Path:
    """The settings that nbgrader works by, here and in every course directory made from here."""
    return home() / "nbgrader_config.py"


def jupyter_settings() -> Path:
    """JupyterLab's settings for learners: no news and no updates, which need a network, and warm kernels."""
    return Path(__file__).resolve().parent / "jupyter"


def beside(lesson: str) -> None:
    """Makes a lesson's checks importable where its notebook stands without them, as it does when opened in Colab.

    Those beside the notebook come first.
    """
    if (given := str(release() / lesson)) not in sys.path:
        sys.path.append(given)
