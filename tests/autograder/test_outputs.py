"""Of what learners' code shows, text and pictures reach a browser, in bounded amounts."""

import base64
import json
from typing import Any

import nbformat
import pytest

from autograder.outputs import PNG, message, readable, safe

PICTURE = base64.b64encode(PNG + b"pixels").decode()

HOSTILE: list[Any] = [
    None,
    5,
    "text",
    [],
    {},
    {"output_type": "nothing"},
    {"output_type": ["stream"]},
    {"output_type": "display_data"},
    {"output_type": "display_data", "data": "x"},
    {"output_type": "display_data", "data": {"text/html": "<script>alert(1)</script>"}},
    {"output_type": "display_data", "data": {"image/svg+xml": "<svg onload='x'/>"}},
    {"output_type": "execute_result", "data": {"application/javascript": "x", "text/latex": "$\\href{javascript:x}$"}},
    {"output_type": "display_data", "data": {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}}},
    {"output_type": "display_data", "data": {"image/png": "<script>"}},
    {"output_type": "display_data", "data": {"image/png": base64.b64encode(b"GIF89a").decode()}},
    {"output_type": "display_data", "data": {"text/plain": ["a", "list"]}},
    {"output_type": "display_data", "data": {"application/vnd.finetuning-from-zero.verdict+json": {"state": "right"}}},
]


@pytest.mark.parametrize("output", HOSTILE, ids=lambda o: json.dumps(o)[:50])
def test_what_a_browser_would_run_is_dropped(output: Any) -> None:
    assert safe([output], trusted=False) == []


def test_text_and_pictures_are_kept_as_well_formed_outputs() -> None:
    outputs = safe(
        [
            {"output_type": "stream", "name": "stderr", "text": "warning", "extra": 1},
            {"output_type": "stream", "name": "<b>", "text": 5},
            {"output_type": "execute_result", "data": {"text/plain": "4", "text/html": "<b>4</b>"}, "metadata": 5},
            {"output_type": "display_data", "data": {"image/png": PICTURE[:5] + "\n" + PICTURE[5:]}},
            {"output_type": "error", "ename": None, "evalue": "v", "traceback": ["a", 5, None]},
        ],
        trusted=False,
    )
    assert [o.output_type for o in outputs] == ["stream", "stream", "execute_result", "display_data", "error"]
    assert outputs[0].name == "stderr" and outputs[1].name == "stdout" and outputs[2].data == {"text/plain": "4"}
    assert outputs[3].data == {"image/png": PICTURE}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=outputs)])
    nbformat.validate(notebook)


def test_a_checks_own_card_is_kept() -> None:
    card = {"text/html": "<div>card</div>", "text/plain": "card"}
    assert safe([{"output_type": "display_data", "data": card}], trusted=True)[0].data == card


@pytest.mark.parametrize("what", ["streams", "one stream", "tracebacks", "plain"])
def test_amounts_are_bounded_and_the_cut_is_said(what: str) -> None:
    huge = "x" * 50_000
    outputs: list[Any] = {
        "streams": [{"output_type": "stream", "name": "stdout", "text": "y" * 100}] * 5000,
        "one stream": [{"output_type": "stream", "name": "stdout", "text": huge}] * 3,
        "tracebacks": [{"output_type": "error", "ename": huge, "evalue": huge, "traceback": [huge] * 500}],
        "plain": [{"output_type": "display_data", "data": {"text/plain": huge}}] * 100,
    }[what]
    kept = safe(outputs, trusted=False, most=10_000)
    assert len(json.dumps(kept)) < 40_000
    assert "more was shown" in kept[-1].text


def test_text_that_no_file_can_hold_is_mended() -> None:
    assert readable("a\ud800b") == "a\ufffdb" and readable("\ud83d\ude00") == "😀" and readable("é漢") == "é漢"
    assert message("a\x1b[0m\r\x00b\n\tc") == "a\ufffd[0m\ufffd\ufffdb\n    c"
