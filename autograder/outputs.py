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


def safe(outputs: Any, *, trusted: bool) -> list[NotebookNode]:
    """Well-formed nbformat outputs; of a learner's (not ``trusted``) only text and PNG pictures."""
    made = [_output(output, trusted) for output in (outputs if isinstance(outputs, list) else [])[:MAX_OUTPUTS]]
    return [output for output in made if output is not None]


def _output(output: Any, trusted: bool) -> NotebookNode | None:
    if not isinstance(output, dict):
        return None
    kind = output.get("output_type")
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return new_output("stream", name=name, text=str(output.get("text", "")))
    if kind == "error":
        lines = output.get("traceback")
        traceback = [str(line) for line in lines] if isinstance(lines, list) else []
        return new_output(
            "error", ename=str(output.get("ename")), evalue=str(output.get("evalue")), traceback=traceback
        )
    if kind in ("display_data", "execute_result"):
        data = output.get("data")
        kept = data if trusted else _plain(data)
        if not kept:
            return None
        extra = {"execution_count": None} if kind == "execute_result" else {}
        return new_output(kind, data=kept, **extra)
    return None


def _plain(data: Any) -> dict[str, str]:
    kept: dict[str, str] = {}
    if isinstance(data, dict):
        if isinstance(data.get("text/plain"), str):
            kept["text/plain"] = data["text/plain"]
        if (picture := _png(data.get("image/png"))) is not None:
            kept["image/png"] = picture
    return kept


def _png(text: Any) -> str | None:
    """Base64 of what is a PNG file, written anew."""
    try:
        content = base64.b64decode(text, validate=False) if isinstance(text, str) else b""
    except (ValueError, binascii.Error):
        return None
    return base64.b64encode(content).decode() if content.startswith(PNG) else None
