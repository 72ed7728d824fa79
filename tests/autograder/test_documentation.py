"""The documentation says what the code does: its tables are the code's, and its example runs."""

import ast
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from click.testing import CliRunner

from autograder.cli import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "grading.md").read_text(encoding="utf-8")


def blocks(language: str, page: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def tables() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "tables.py"))


def test_the_tables_are_in_step_with_the_code(tables: dict[str, Any]) -> None:
    assert tables["filled"](PAGE) == PAGE, "docs/grading.md is behind the code: run make docs"


def test_a_change_of_the_page_is_seen_and_a_lost_table_too(tables: dict[str, Any]) -> None:
    filled: Callable[[str], str] = tables["filled"]
    behind = PAGE.replace("| `processes` | 64 |", "| `processes` | 65 |")
    assert behind != PAGE == filled(behind)
    with pytest.raises(ValueError, match="verdicts"):
        filled(PAGE.replace("<!-- verdicts:", "<!-- lost:"))


def listed() -> dict[str, int]:
    """The modules of autograder/ that ARCHITECTURE.md lists, by path, with the line that each is on."""
    lines = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split("```")[1].splitlines()
    lines = lines[next(n for n, line in enumerate(lines) if line.startswith("autograder/")) :]
    found: dict[str, int] = {}
    folders: list[str] = []
    for number, line in enumerate(lines):
        start = re.match(r"(?P<indent> *)(?P<name>[a-z_]+(/|\.py))", line)
        if start is not None:
            folders = folders[: len(start["indent"]) // 2] + ([start["name"]] if start["name"].endswith("/") else [])
        if folders[:1] != ["autograder/"]:
            break
        found |= {"".join(folders) + name: number for name in re.findall(r"\b[a-z_]+\.py\b", line)}
    return found


def imported(path: str) -> set[str]:
    """The modules of autograder/ that a module imports when it runs, by path."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    typing = {
        n for c in ast.walk(tree) if isinstance(c, ast.If) and "TYPE_CHECKING" in ast.dump(c.test) for n in c.body
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node not in typing:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {f"{name.replace('.', '/')}.py" for name in names if name.startswith("autograder.")}


def test_the_architecture_lists_every_module_and_its_arrows_point_down() -> None:
    lines = listed()
    there = {str(p.relative_to(ROOT)) for p in (ROOT / "autograder").rglob("*.py") if p.name != "__init__.py"}
    assert lines.keys() == there
    up = {(path, other) for path in there for other in imported(path) if lines.get(other, 1 << 20) < lines[path]}
    of_warm = {("autograder/sandbox/warm.py", f"autograder/judge/{name}.py") for name in ("rehearsal", "run")}
    assert up == of_warm  # which the page says


def test_every_flag_of_grading_is_one() -> None:
    section = README.partition("## Grading")[2].partition("\n## ")[0].replace("course release --into", "")
    section = section.replace("| `--no-execute` |", "")  # which it refuses
    said = set(re.findall(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*", section))
    commands = set(re.findall(r"`?autograder ([a-z]+)", section))
    assert {"grade", "report", "doctor"} == commands and "--force" in said
    there = "".join(CliRunner().invoke(main, [command, "--help"]).output for command in commands)
    assert not {flag for flag in said if flag not in there}


@pytest.fixture
def folders(cells: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders as the examples name them, with no settings and no gradebook: one right answer and a wrong one."""
    right, wrong = "import table\ndef square(x):\n    return x * x", "def square(x):\n    return 2 * x"
    tests = cells.test("two", "assert square(2) == 4"), cells.test("three", "assert square(3) == 9, 'not 9'", 2)
    for folder, answer in (
        ("source/ps1", cells.solved(right)),
        ("release/ps1", "raise NotImplementedError"),
        ("submitted/ada/ps1", wrong),
        ("submitted/bob/ps1", right),
    ):
        (tmp_path / folder).mkdir(parents=True)
        nbformat.write(cells.notebook(cells.solution("square", answer), *tests), tmp_path / folder / "squares.ipynb")
    (tmp_path / "release" / "ps1" / "table.py").write_text("SQUARES = {2: 4}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (README, "1 of 3\ntwo passed Every test passed.\nthree failed not 9\n"),
        (
            PAGE,
            "ada 1 of 3\n  two passed Every test passed.\n  three failed not 9\n"
            "bob 3 of 3\n  two passed Every test passed.\n  three passed Every test passed.\n",
        ),
    ],
    ids=["README.md", "docs/grading.md"],
)
def test_the_example_of_the_library_runs(
    page: str, said: str, isolated: None, folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = [block for block in blocks("python", page) if "autograder.grade(" in block]
    exec(compile(example, "example", "exec"), {"__name__": "example"})
    assert capsys.readouterr().out == said
