"""What a learner reads, in the learner's language.

A text is a constant, with named fields where it says values, and is translated where it is shown::

    from course.locale import gettext as _

    _("{name} has shape {shape}.").format(name=name, shape=shape)

The language is that of ``COURSE_LANGUAGE`` (``zh_CN``, or several: ``zh_CN:de``), otherwise of the system's own
``LANGUAGE``, ``LC_ALL``, ``LC_MESSAGES`` and ``LANG``. Catalogues are ``LANGUAGE/LC_MESSAGES/course.mo`` beside this
file. What has no translation, or one that would not fit, is said in English.
"""

from __future__ import annotations

import os
from functools import cache
from gettext import NullTranslations, translation
from itertools import takewhile
from pathlib import Path
from string import Formatter

DOMAIN = "course"
CATALOGUES = Path(__file__).parent
VARIABLES = ("COURSE_LANGUAGE", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")


def gettext(message: str) -> str:
    """`message` in the learner's language; its fields are those of the English."""
    if not message:  # in a catalogue, the empty message is its header
        return message
    return _fitting(_catalogue(CATALOGUES, _languages()).gettext(message), message)


def ngettext(one: str, many: str, count: int) -> str:
    """`one` or `many` in the learner's language, in the form that goes with `count`."""
    said = _catalogue(CATALOGUES, _languages()).ngettext(one, many, count)
    return _fitting(said, many if count != 1 else one)


def _languages() -> tuple[str, ...]:
    """The learner's languages, the dearest first, up to English: that is what is said without a catalogue."""
    wanted = next((value for name in VARIABLES if (value := os.environ.get(name))), "")
    return tuple(
        takewhile(lambda language: not language.startswith(("en", "C", "POSIX")), filter(None, wanted.split(":")))
    )


@cache
def _catalogue(folder: Path, languages: tuple[str, ...]) -> NullTranslations:
    try:
        return translation(DOMAIN, folder, languages, fallback=True)
    except Exception:  # a damaged file fails in many ways, and none of them may stop a lesson
        return NullTranslations()


def _fitting(said: str, message: str) -> str:
    """`said`, unless formatting it would fail where formatting `message` does not."""
    if said is message:
        return message
    given, asked = _fields(said), _fields(message)
    fits = asked is None or (given is not None and given <= asked)
    return said if fits else message


@cache
def _fields(message: str) -> set[tuple[str, str | None, str | None]] | None:
    """The fields that `format` fills; None where lone braces say that it is never called."""
    try:
        return {(name, spec, how) for _, name, spec, how in Formatter().parse(message) if name is not None}
    except ValueError:
        return None
