"""What a card says of each named mistake is translated, in every lesson: it comes out between ⟦brackets⟧."""

import ast
import re

import pytest
from babel.messages.mofile import write_mo

from course import locale
from course.locale import extract


@pytest.fixture
def bracketed(monkeypatch, tmp_path):
    """The course in a language that says everything in ⟦brackets⟧."""
    catalog = extract.template()
    for message in catalog:
        if message.id:
            one = isinstance(message.id, str)
            message.string = f"⟦{message.id}⟧" if one else tuple(f"⟦{form}⟧" for form in message.id)
    folder = tmp_path / "xx" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    with (folder / "course.mo").open("wb") as file:
        write_mo(file, catalog)
    monkeypatch.setattr(locale, "CATALOGUES", tmp_path)
    monkeypatch.setenv("COURSE_LANGUAGE", "xx")


def _outside(text: str) -> str:
    """What stands neither between brackets nor, as a value does, between quotes."""
    while text != (rest := re.sub(r"⟦[^⟦⟧]*⟧", "", text)):
        text = rest
    return re.sub(r"'[^']*'", "", text)


def _phrases(lesson) -> list[str]:
    """What the checks say in more than one word, between the values of a text too; not what they look for in errors."""
    (path,) = lesson.folder.glob("*_checks.py")
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    looked_for = [node.left for node in nodes if isinstance(node, ast.Compare)]
    constants = [node.value for node in nodes if isinstance(node, ast.Constant) and node not in looked_for]
    return [text for text in constants if isinstance(text, str) and re.search(r"\w{2} \w{2}", text)]


def test_every_text_of_a_card_is_translated(lesson, bracketed):
    first = {(m.exercise, m.misconception): m for m in reversed(lesson.mutants) if m.misconception}
    checks, phrases, said = lesson.module("checks"), _phrases(lesson), []
    for mutant in first.values():
        verdict = getattr(checks, f"check_{mutant.exercise}").verdict(mutant.function)
        for outcome in verdict.outcomes:
            said += [(mutant.name, locale.gettext(outcome.part.title))]
            said += [(mutant.name, text) for text in (outcome.message, outcome.look_at, outcome.seen, outcome.expected)]
    left = {(name, phrase) for name, text in said for phrase in phrases if phrase in _outside(text)}
    assert left == set()
    assert any("⟦" in text for _, text in said)
