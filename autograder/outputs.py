"""What of a cell's outputs may reach an instructor's browser.

A learner's outputs are hostile, and so is what a test shows of them. Text, pictures, tables, formulas and SVG figures
pass, each made harmless (sanitise.py); scripts, widgets and whatever else a browser would run do not. Test cells may
draw cards in colours and boxes, and say their verdict in a bundle of their own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from autograder import sanitise

MAX_OUTPUTS = 200
MAX_JSON = 32 * 2**20  # characters; to read them takes up to thirty times the memory
_SLOW = {"text/html": 1, "image/svg+xml": 1, "text/markdown": 8}
MOST_CELLS = 16  # that may show as much as a cell may: a whole notebook shows no more
CUT = "\n[... more was shown than is kept]\n"


def safe(outputs: Any, *, trusted: bool, most: float = 2**20) -> list[dict[str, Any]]:
    """Well-formed nbformat outputs of together at most ``most`` characters; pictures count a tenth.

    ``trusted``: of a test cell, which may show cards and bundles of JSON.
    """
    kept: list[dict[str, Any]] = []
    given = outputs if isinstance(outputs, list) else []
    left = most
    for output in given[:MAX_OUTPUTS]:
        if left > 0 and (made := _output(output, trusted, int(left))) is not None:
            left -= _size(made)
            kept.append(made)
    if left <= 0 or len(given) > MAX_OUTPUTS:
        kept.append({"output_type": "stream", "name": "stdout", "text": CUT})
    return kept


def read(buffers: Sequence[memoryview]) -> list[Any]:
    """What a sandbox says that a cell showed: a list of anything that JSON has."""
    try:
        said = json.loads(bytes(buffers[0])) if len(buffers[0]) <= MAX_JSON else []
    except (ValueError, IndexError, RecursionError, MemoryError):
        return []
    return said if type(said) is list else []


def effort(outputs: list[Any]) -> int:
    """How long it may take to make these harmless, in characters of HTML; Markdown that is made for it takes longer."""
    bundles = [output.get("data") for output in outputs if isinstance(output, dict)]
    texts = [(bundle.get(mime), slow) for bundle in bundles if isinstance(bundle, dict) for mime, slow in _SLOW.items()]
    return sum(slow * len(text) for text, slow in texts if isinstance(text, str))


class Allowance:
    """What the outputs of a whole notebook may show: ``most`` characters for a cell, and that of MOST_CELLS in all."""

    def __init__(self, most: float) -> None:
        self._most = most
        self._left = most * MOST_CELLS

    @property
    def full(self) -> bool:
        """Whether the next cell may show as much as any may, whatever was shown before."""
        return self._left >= self._most

    def safe(self, outputs: Any, *, trusted: bool = False) -> list[dict[str, Any]]:
        """What of a cell's outputs may be shown: see :func:`safe`."""
        return self.spend(safe(outputs, trusted=trusted, most=int(max(min(self._most, self._left), 1024))))

    def spend(self, made: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What may be shown already counts too."""
        self._left -= len(json.dumps(made)) if made else 0
        return made


def readable(text: str) -> str:
    """Text that any file can hold: half a surrogate pair, which none can, is replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def message(text: str, most: int = 2000) -> str:
    """Text for one table cell: of bounded length, without characters that a terminal would obey."""
    plain = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in readable(text[:most]).expandtabs(4))
    return plain + (" ..." if len(text) > most else "")


def _size(output: dict[str, Any]) -> float:
    data = output.get("data", {})
    texts = [output.get("text", ""), output.get("evalue", ""), *output.get("traceback", []), *map(str, data.values())]
    return sum(map(len, texts)) - 0.9 * sum(len(data.get(m, "")) for m in ("image/png", "image/jpeg"))


def _output(output: Any, trusted: bool, most: int) -> dict[str, Any] | None:
    if not isinstance(output, dict):
        return None
    kind = str(output.get("output_type"))
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return {"output_type": "stream", "name": name, "text": _text(output.get("text"), most)}
    if kind == "error":
        name, value = _text(output.get("ename"), 200), _text(output.get("evalue"), most)
        lines = output.get("traceback")
        traceback = [_text(line, most // 100) for line in lines[:100]] if isinstance(lines, list) else []
        return {"output_type": "error", "ename": name, "evalue": value, "traceback": traceback}
    if kind in ("display_data", "execute_result"):
        data = _bundle(output.get("data"), trusted, most)
        if not data:
            return None
        return {"output_type": kind, "data": data, "metadata": {}} | (
            {"execution_count": None} if kind == "execute_result" else {}
        )
    return None


def _text(value: Any, most: int) -> str:
    return readable(value[:most]) if isinstance(value, str) else ""


def _bundle(data: Any, trusted: bool, most: int) -> dict[str, Any]:
    """What may stay of one display: each format that is known here, made harmless."""
    kept: dict[str, Any] = {}
    for mime, value in data.items() if isinstance(data, dict) else ():
        if mime in ("image/png", "image/jpeg"):
            shown = sanitise.picture(mime, value) if isinstance(value, str) and len(value) <= 10 * most else None
        elif isinstance(value, str):
            shown = _shown(mime, _text(value, most), trusted, whole=len(value) <= most)
        else:
            shown = _said(value, most) if trusted and mime.endswith("+json") and "widget" not in mime else None
        if shown is not None:
            kept[mime] = shown
    return kept


def _shown(mime: str, text: str, trusted: bool, whole: bool) -> str | None:
    match mime:
        case "text/plain":
            return text
        case "text/html":
            return sanitise.html(text, card=trusted) or None if len(text) <= sanitise.MAX_HTML else None
        case "text/markdown":
            return sanitise.markdown(text)
        case "text/latex":
            return sanitise.latex(text) if whole else None
        case "image/svg+xml":
            return sanitise.svg(text) if whole else None
    return None


def _said(value: Any, most: int) -> Any:
    """A test's own bundle, which no browser shows."""
    return value if isinstance(value, dict) and len(json.dumps(value)) <= most else None
