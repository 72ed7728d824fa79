"""Writes the tables of docs/grading.md from the code that defines what they list: ``make docs``.

Each stands between two lines, ``<!-- NAME: from WHERE, by make docs -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from autograder import limits, settings, verdict
from autograder.palette import LOOKS

PAGE = Path(__file__).with_name("grading.md")


def setting_rows() -> list[tuple[str, ...]]:
    others = {name for name, _, _ in limits.table()}
    rows = [(f"`{name}`", f"`{default!r}`", why) for name, default, why in settings.table() if name not in others]
    return [("setting", "default", "what it says"), *rows]


def limit_rows() -> list[tuple[str, ...]]:
    rows = [(f"`{name}`", f"{default:,g}", why) for name, default, why in limits.table()]
    return [("limit", "default", "what it bounds"), *rows]


def verdict_rows() -> list[tuple[str, ...]]:
    rows = [(LOOKS[state].mark, state.value, meaning) for state, meaning in verdict.STATES.items()]
    return [("", "verdict", "what it says"), *rows]


TABLES: dict[str, Callable[[], list[tuple[str, ...]]]] = {
    "settings": setting_rows,
    "limits": limit_rows,
    "verdicts": verdict_rows,
}


def markdown(rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown; the first row is its head."""
    head, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *body))


def filled(page: str) -> str:
    """The page with its tables as the code has them now; raises ValueError where it lacks one of them."""
    missing = set(TABLES)

    def fill(found: re.Match[str]) -> str:
        missing.discard(found["name"])
        return f"{found['start']}\n\n{markdown(TABLES[found['name']]())}\n<!-- end -->"

    names = "|".join(TABLES)
    made = re.sub(rf"(?P<start><!-- (?P<name>{names}): [^>]*-->).*?<!-- end -->", fill, page, flags=re.DOTALL)
    if missing:
        raise ValueError(f"{PAGE.name} has no place for: {', '.join(sorted(missing))}.")
    return made


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
