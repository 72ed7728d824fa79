"""What of a cell's outputs may reach an instructor's browser.

A learner's outputs are hostile. Text and PNG pictures pass, and nothing that a browser would run, load or lay
out: no HTML, SVG, JavaScript, LaTeX or widget. The outputs of test cells come from the judge and keep their cards.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from nbformat import NotebookNode, from_dict

PNG = b"\x89PNG\r\n\x1a\n"
MAX_OUTPUTS = 200
CUT = "\n[... more was shown than is kept]\n"


def safe(outputs: Any, *, trusted: bool, most: float = 2**20) -> list[NotebookNode]:
    """Well-formed nbformat outputs of together at most ``most`` characters; pictures count a tenth.

    Of a learner's outputs (not ``trusted``) only text and PNG pictures are kept.
    """
    kept: list[NotebookNode] = []
    given = outputs if isinstance(outputs, list) else []
    left = most
    for output in given[:MAX_OUTPUTS]:
        if left > 0 and (made := _output(output, trusted, int(left))) is not None:
            left -= _size(made)
            kept.append(made)
    if left <= 0 or len(given) > MAX_OUTPUTS:
        kept.append(NotebookNode(output_type="stream", name="stdout", text=CUT))
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
    texts = [output.get("text", ""), output.get("evalue", ""), *output.get("traceback", []), *map(str, data.values())]
    return sum(map(len, texts)) - 0.9 * len(data.get("image/png", ""))


def _output(output: Any, trusted: bool, most: int) -> NotebookNode | None:
    if not isinstance(output, dict):
        return None
    kind = str(output.get("output_type"))
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return NotebookNode(output_type="stream", name=name, text=_text(output.get("text"), most))
    if kind == "error":
        name, value = _text(output.get("ename"), 200), _text(output.get("evalue"), most)
        lines = output.get("traceback")
        traceback = [_text(line, most // 100) for line in lines[:100]] if isinstance(lines, list) else []
        return NotebookNode(output_type="error", ename=name, evalue=value, traceback=traceback)
    if kind in ("display_data", "execute_result"):
        data = output.get("data") if trusted else _plain(output.get("data"), most)
        if not data:
            return None
        made = NotebookNode(output_type=kind, data=from_dict(data), metadata=NotebookNode())
        if kind == "execute_result":
            made.execution_count = None
        return made
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
