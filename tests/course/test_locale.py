"""Texts for learners: each can be translated, and is where there is a translation."""

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from click.testing import CliRunner

from course import exercise, locale, paths
from course.cli.group import Course
from course.locale import extract, gettext, ngettext

MESSAGE = "{name} has {count} entries."


def install(catalog: Catalog, folder: Path, language: str) -> None:
    path = folder / language / "LC_MESSAGES" / f"{locale.DOMAIN}.mo"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        write_mo(file, catalog)


@pytest.fixture
def translations(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Puts these messages into a catalogue and makes its language the learner's."""
    for name in locale.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(locale, "CATALOGUES", tmp_path)

    def translate(messages: dict, language: str = "de") -> None:
        catalog = Catalog(locale=language)
        for message, translation in messages.items():
            catalog.add(message, translation)
        install(catalog, tmp_path, language)
        monkeypatch.setenv("COURSE_LANGUAGE", language)

    return translate


@pytest.fixture
def bracketed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The course in a language that says everything in ⟦brackets⟧."""
    catalog = extract.template()
    for message in catalog:
        if message.id:
            one = isinstance(message.id, str)
            message.string = f"⟦{message.id}⟧" if one else tuple(f"⟦{form}⟧" for form in message.id)
    install(catalog, tmp_path, "xx")
    monkeypatch.setattr(locale, "CATALOGUES", tmp_path)
    monkeypatch.setenv("COURSE_LANGUAGE", "xx")


# -- gettext ---------------------------------------------------------------------------------------------


def test_without_a_catalogue_it_is_english(translations, monkeypatch):
    monkeypatch.setenv("COURSE_LANGUAGE", "de")
    assert gettext(MESSAGE) == MESSAGE
    assert [ngettext("one", "many", count) for count in (0, 1, 2)] == ["many", "one", "many"]


def test_a_message_and_its_plural_forms_are_translated(translations):
    translations({MESSAGE: "{count} Einträge hat {name}.", ("{n} step", "{n} steps"): ("{n} Schritt", "{n} Schritte")})
    assert gettext(MESSAGE).format(name="x", count=3) == "3 Einträge hat x."
    assert ngettext("{n} step", "{n} steps", 1).format(n=1) == "1 Schritt"
    assert ngettext("{n} step", "{n} steps", 4).format(n=4) == "4 Schritte"
    assert gettext("unknown") == "unknown"
    assert gettext("") == ""


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"COURSE_LANGUAGE": "de"}, "ja"),
        ({"COURSE_LANGUAGE": "en", "LANG": "de_DE.UTF-8"}, "yes"),
        ({"LANG": "de_DE.UTF-8"}, "ja"),
        ({"LANGUAGE": "fr:de", "LANG": "en_GB.UTF-8"}, "ja"),
        ({"LANGUAGE": "en_GB:de"}, "yes"),  # English needs no catalogue, and comes first
        ({"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, "yes"),
        ({}, "yes"),
    ],
)
def test_the_language_is_the_learners(translations, monkeypatch, variables, said):
    translations({"yes": "ja"})
    monkeypatch.delenv("COURSE_LANGUAGE")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert gettext("yes") == said


@pytest.mark.parametrize("damage", [b"", b"not a catalogue", b"\xde\x12\x04\x95" + b"\xff" * 40])
def test_a_damaged_catalogue_is_none(translations, monkeypatch, tmp_path, damage):
    path = tmp_path / "de" / "LC_MESSAGES" / "course.mo"
    path.parent.mkdir(parents=True)
    path.write_bytes(damage)
    monkeypatch.setenv("COURSE_LANGUAGE", "de")
    assert gettext(MESSAGE) == MESSAGE


@pytest.mark.parametrize("misfit", ["{nme} hat {count}", "{name} hat {count", "{name:d}", "{} hat {}", "{name.x}"])
def test_a_translation_that_would_not_format_is_not_used(translations, misfit):
    translations({MESSAGE: misfit})
    assert gettext(MESSAGE) == MESSAGE


def test_a_translation_may_leave_a_field_out_and_braces_alone_where_nothing_is_formatted(translations):
    translations({MESSAGE: "{name} hat Einträge.", "a dict: {": "ein dict: {"})
    assert gettext(MESSAGE).format(name="x", count=3) == "x hat Einträge."
    assert gettext("a dict: {") == "ein dict: {"


# -- what is found in the source -------------------------------------------------------------------------


def read(tmp_path: Path, source: str, name: str = "some_checks.py") -> extract.Found:
    path = tmp_path / name
    path.write_text("from course.locale import gettext as _, ngettext\n" + source, encoding="utf-8")
    return extract.find([path])


@pytest.mark.parametrize(
    "source",
    [
        'Wrong(IDEA, seen=f"{name} is frozen")',
        'seen = f"{name} is frozen"',
        'Wrong(IDEA, seen="a tensor of shape " + str(shape))',
        'Wrong(IDEA, seen=value + (" and more" if more else ""))',
        'seen += ", the last of them"',
        'Wrong(IDEA, seen="%s is frozen" % name)',
        '_(f"{name} is frozen")',
        "_(name)",
        '_("a" + name)',
        'ngettext("one", many, 2)',
        'click.echo("The lessons are here.")',
        'raise click.ClickException("There are none.")',
        'raise WorkspaceError("There are none.")',
    ],
)
def test_what_cannot_be_translated_is_a_fault_with_its_line(tmp_path, source):
    faults = read(tmp_path, f"x = 1\n{source}\n").faults
    assert [fault.line for fault in faults] == [3]


@pytest.mark.parametrize(
    ("source", "messages"),
    [
        ('_("{name} is frozen").format(name=name)', ["{name} is frozen"]),
        ('_("one " "text")', ["one text"]),
        ('ngettext("{n} step", "{n} steps", 2)', ["{n} step"]),
        ('Wrong(IDEA, seen="it moved", expected="once")', ["it moved", "once"]),
        ('Wrong(IDEA, seen="new" if here else "gone", expected="False")', ["new", "gone"]),
        ('def look():\n    seen = "it moved"\n    raise Wrong(IDEA, seen=seen)', ["it moved"]),
        ('Misconception("a-name", "What happened.", "the line")', ["What happened.", "the line"]),
        ('Check("freeze", hints=("first", "second", "third"))', ["first", "second", "third"]),
        ('@check.part(2, "freezes all")\ndef part(f, cases): ...', ["freezes all"]),
        ('@main.command()\ndef lab():\n    """Open.\n\n    More."""', ["Open.\n\nMore."]),
        ('@click.option("--json", help="For scripts.")\ndef lab(): ...', ["For scripts."]),
        ('seen = f"{a} x {b}: {c}"', []),
        ('call = f"freeze(model, {listed!r})"', []),
        ('seen = f"lr={lr:g}, momentum={momentum:g}"', []),
        ("click.echo(str(error))", []),
        ('"""A docstring says much."""', []),
    ],
)
def test_messages_are_found_where_they_are_said(tmp_path, source, messages):
    found = read(tmp_path, source)
    assert ([message.text for message in found.messages], found.faults) == (messages, [])


@pytest.mark.parametrize(
    "source",
    [
        'said.value = "Words here."',
        'rows.append("Some words.")',
        'raise TypeError(str("Some words"))',
        'rows = (("Look at", text), *rows)',
    ],
)
def test_a_sentence_of_the_library_is_a_fault_wherever_it_stands(tmp_path, source):
    assert [fault.line for fault in read(tmp_path, source, "card.py").faults] == [2]
    translated = re.sub(r'("[^"]+")', r"_(\1)", source)
    assert read(tmp_path, translated, "card.py").faults == []
    (tmp_path / "silent.py").write_text(source)
    assert extract.find([tmp_path / "silent.py"]).faults == [], "it says nothing to learners"


def test_the_library_translates_what_a_name_stands_for_and_widgets_their_labels(tmp_path):
    (tmp_path / "widgets").mkdir()
    assert read(tmp_path, "_(part.title)", "card.py").faults == []
    assert len(read(tmp_path, 'IntSlider(description="layer")', "widgets/some.py").faults) == 1
    assert read(tmp_path, 'IntSlider(description=_("layer"))', "widgets/some.py").faults == []


def test_every_text_that_learners_read_can_be_translated():
    assert [str(fault) for fault in extract.find().faults] == []


# -- from end to end -------------------------------------------------------------------------------------


def outside_brackets(text: str) -> str:
    while text != (rest := re.sub(r"⟦[^⟦⟧]*⟧", "", text)):
        text = rest
    return text


def test_a_card_and_a_hint_are_in_the_learners_language(bracketed, monkeypatch):
    (path,) = paths.source().glob("04-*/freezing_checks.py")
    spec = importlib.util.spec_from_file_location("freezing_checks_in_brackets", path)
    checks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(checks)
    shown = []
    monkeypatch.setattr(exercise, "display", shown.append)
    checks.check_freeze(lambda model, except_for: None if except_for else model.requires_grad_(False))
    checks.check_freeze.hint()
    card, hint = shown
    # what is left: the name of the exercise, the value of a flag, marks and points
    assert re.findall(r"[^\W\d]+", outside_brackets(repr(card))) == ["freeze", "True"]
    assert re.findall(r"[^\W\d]+", outside_brackets(hint.data)) == []
    assert "after freeze(model, [&#x27;stem&#x27;]) on Photos⟧" in card._repr_mimebundle_()["text/html"]


def test_the_help_of_a_command_line_is_in_the_learners_language(translations):
    translations({"For scripts.": "Für Skripte.", "Look at your work.": "Deine Arbeit ansehen."})

    @click.group(cls=Course)
    def main(): ...

    @main.command()
    @click.option("--json", is_flag=True, help="For scripts.")
    def check(json):
        """Look at your work."""

    for arguments, words in ((["--help"], "Deine Arbeit ansehen."), (["check", "--help"], "Für Skripte.")):
        assert words in CliRunner().invoke(main, arguments).output
