"""What of a cell's outputs may reach an instructor's browser.

A learner's outputs are hostile. Text and PNG pictures pass, and nothing that a browser would run, load or lay
out: no HTML, SVG, JavaScript, LaTeX or widget. The outputs of test cells come from the judge and keep their cards.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output

PNG = b"\x89PNG\r\n\x1a\n"
MAX_OUTPUTS = 200
CUT = "\n[... more was shown than is kept]\n"


def safe(outputs: Any, *, trusted: bool, most: float = 2**20) -> list[NotebookNode]:
    """Well-formed nbformat outputs of together at most ``most`` characters; pictures count a tenth.

    Of a learner's outputs (not ``trusted``) only text and PNG pictures are kept.
    """
    kept: list[NotebookNode] = []
    for output in (outputs if isinstance(outputs, list) else [])[:MAX_OUTPUTS]:
        made = _output(output, trusted, max(0, int(most)))
        if made is None:
            continue
        most -= _size(made)
        kept.append(made)
        if most < 0:
            kept.append(new_output("stream", name="stdout", text=CUT))
            break
    return kept


def readable(text: str) -> str:
    """Text that any file can hold: half a surrogate pair, which none can, is replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def message(text: str, most: int = 2000) -> str:
    """Text for one table cell: of bounded length, without characters that a terminal would obey."""
    plain = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in readable(text[:most]).expandtabs(4))
    return plain + (" ..." if len(text) > most else "")


def _size(output: NotebookNode) -> float:
    data = output.get("data", {})
    pictures = len(data.get("image/png", ""))
    return len(output.get("text", "")) + sum(len(str(value)) for value in data.values()) - 0.9 * pictures


def _output(output: Any, trusted: bool, most: int) -> NotebookNode | None:
    if not isinstance(output, dict):
        return None
    kind = output.get("output_type")
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return new_output("stream", name=name, text=_text(output.get("text"), most))
    if kind == "error":
        lines = output.get("traceback")
        traceback = [_text(line, most) for line in lines[:100]] if isinstance(lines, list) else []
        name, value = _text(output.get("ename"), 200), _text(output.get("evalue"), most)
        return new_output("error", ename=name, evalue=value, traceback=traceback)
    if kind in ("display_data", "execute_result"):
        data = output.get("data")
        kept = data if trusted else _plain(data, most)
        if not kept:
            return None
        extra = {"execution_count": None} if kind == "execute_result" else {}
        return new_output(kind, data=kept, **extra)
    return None


def _text(value: Any, most: int) -> str:
    return readable(value[:most]) if isinstance(value, str) else ""


def _plain(data: Any, most: int) -> dict[str, str]:
    kept: dict[str, str] = {}
    if isinstance(data, dict):
        if isinstance(data.get("text/plain"), str):
            kept["text/plain"] = _text(data["text/plain"], most)
        if (picture := _png(data.get("image/png"))) is not None and len(picture) <= 10 * most:
            kept["image/png"] = picture
    return kept


def _png(text: Any) -> str | None:
    """Base64 of what is a PNG file, written anew."""
    try:
        content = base64.b64decode(text, validate=False) if isinstance(text, str) else b""
    except (ValueError, binascii.Error):
        return None
    return base64.b64encode(content).decode() if content.startswith(PNG) else None
