"""A report as one HTML page: it loads nothing, and reads without a script."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from autograder.palette import LOOKS
from autograder.report import figures
from autograder.report.data import key
from autograder.verdict import STATES


def page(data: dict[str, Any]) -> str:
    """The page of what :func:`autograder.report.data.gather` found. Whatever a submission says in it is text."""
    environment = Environment(
        loader=PackageLoader("autograder.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {
        "n": number,
        "percent": percent,
        "two": two,
        "short": figures.short,
        "css_class": figures.css_class,
    }
    loader = environment.loader
    assert loader is not None
    script, style = (loader.get_source(environment, name)[0] for name in ("sort.js", "page.css"))
    style += "".join(f".{figures.css_class(s)} {{ --fill: {k.shade}; --on: {k.ink}; }}\n" for s, k in LOOKS.items())
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        data,
        figures=figures,
        key=key,
        looks=LOOKS,
        meanings=STATES,
        script=Markup(script),  # these two are files of this package
        style=Markup(style),
        digest=digest,
        proven=all(s["graded_by"] == "autograder" for s in data["students"])
        and all(basis.get("isolated") is True for basis in data["bases"]),
        seen=[state for state in LOOKS if any(str(state) in e["states"] for e in data["exercises"])],
    )


def number(value: float | None, digits: int = 3) -> str:
    """A number as it is read: no more digits than tell something."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"


def two(value: float | None) -> str:
    """A coefficient, to two places."""
    return "–" if value is None else f"{value:.2f}".replace("-", "\u2212")


def percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"
