"""Of what learners' code shows, text and pictures reach a browser, in bounded amounts."""

import base64
import io
import json
import re
from typing import Any

import nbformat
import pytest
from matplotlib import figure as figures
from nbconvert.filters.markdown_mistune import markdown2html_mistune
from PIL import Image

from autograder import outputs as shown
from autograder import sanitise
from autograder.outputs import message, readable


def safe(given: Any, **how: Any) -> list[nbformat.NotebookNode]:
    return [nbformat.from_dict(one) for one in shown.safe(given, **how)]


def drawn(kind: str, size: tuple[int, int] = (2, 3)) -> str:
    """Base64 of a picture."""
    file = io.BytesIO()
    Image.new("L", size).save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


PICTURE = drawn("PNG")

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
    {"output_type": "display_data", "data": {"image/svg+xml": "<html onload='x'/>"}},
    {"output_type": "display_data", "data": {"image/svg+xml": "<!DOCTYPE a [<!ENTITY b 'c'>]><svg>&b;</svg>"}},
    {"output_type": "execute_result", "data": {"application/javascript": "x", "application/vnd.plotly.v1+json": {}}},
    {"output_type": "display_data", "data": {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}}},
    {"output_type": "display_data", "data": {"image/png": "<script>"}},
    {"output_type": "display_data", "data": {"image/png": drawn("GIF")}},
    {"output_type": "display_data", "data": {"image/png": drawn("JPEG"), "image/jpeg": PICTURE}},
    {"output_type": "display_data", "data": {"image/png": drawn("PNG", (9000, 9000))}},
    {"output_type": "display_data", "data": {"text/html": "<div>" * 50_000}},
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
            {
                "output_type": "execute_result",
                "data": {"text/plain": "4", "text/html": "<b>4</b><script>4</script>"},
                "metadata": 5,
            },
            {"output_type": "display_data", "data": {"image/png": PICTURE[:5] + "\n" + PICTURE[5:]}},
            {"output_type": "error", "ename": None, "evalue": "v", "traceback": ["a", 5, None]},
        ],
        trusted=False,
    )
    assert [o.output_type for o in outputs] == ["stream", "stream", "execute_result", "display_data", "error"]
    assert (
        outputs[0].name == "stderr"
        and outputs[1].name == "stdout"
        and outputs[2].data == {"text/plain": "4", "text/html": "<b>4</b>"}
    )
    assert outputs[3].data == {"image/png": PICTURE}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=outputs)])
    nbformat.validate(notebook)


def test_a_checks_own_card_is_kept_without_what_a_learners_value_may_have_put_into_it() -> None:
    said = {"state": "right"}
    style = "border-left:6px solid #2e7d32;white-space:pre-wrap"
    html = f'<div style="{style}" role="status">card <b>{{}}</b></div>'
    card = {"text/html": html.format(""), "text/plain": "card", "application/vnd.x+json": said}
    given = card | {"text/html": html.format("<img src=//e.org onerror=x><script>1</script>")}
    (kept,) = safe([{"output_type": "display_data", "data": given}], trusted=True)
    assert kept.data["application/vnd.x+json"] == said and style in kept.data["text/html"]
    assert "card" in kept.data["text/html"] and not re.search("onerror|script|//e", kept.data["text/html"])


def test_a_learners_html_has_no_style_that_could_cover_the_page() -> None:
    text = '<p style="position:fixed;top:0" class="modal in" id="top">x</p>'
    assert sanitise.html(text) == "<p>x</p>" == sanitise.html(text, card=True).replace(' style=""', "")
    assert sanitise.html('<b style="background-color:url(//e)">x</b>', card=True) == "<b>x</b>"


def test_what_libraries_draw_as_tables_formulas_and_figures_is_kept() -> None:
    pandas = (
        '<div><style scoped>.dataframe td {color: red}</style><table border="1" class="dataframe">'
        '<thead><tr style="text-align: right;"><th></th><th>a</th></tr></thead>'
        "<tbody><tr><th>0</th><td>1 &lt; 2</td></tr></tbody></table></div>"
    )
    (table,) = safe([{"output_type": "execute_result", "data": {"text/html": pandas}}], trusted=False)
    assert '<table border="1" class="dataframe">' in table.data["text/html"]
    assert "<td>1 &lt; 2</td>" in table.data["text/html"] and "style" not in table.data["text/html"]
    latex = r"$\displaystyle \frac{x}{2} < 1$"
    (formula,) = safe([{"output_type": "execute_result", "data": {"text/latex": latex}}], trusted=False)
    assert formula.data["text/latex"] == r"$\displaystyle \frac{x}{2} \lt  1$"
    figure = figures.Figure(figsize=(2, 1))
    axes = figure.subplots()
    axes.plot([1, 2], [3, 4], "o")
    axes.imshow([[0, 1]])
    file = io.StringIO()
    figure.savefig(file, format="svg")
    (drawing,) = safe([{"output_type": "display_data", "data": {"image/svg+xml": file.getvalue()}}], trusted=False)
    assert drawing.data["image/svg+xml"].count("<path") > 5 and "<use" in drawing.data["image/svg+xml"]
    assert "data:image/png;base64," in drawing.data["image/svg+xml"] and "<style" not in drawing.data["image/svg+xml"]
    (photo,) = safe([{"output_type": "display_data", "data": {"image/jpeg": drawn("JPEG")}}], trusted=False)
    assert photo.data == {"image/jpeg": drawn("JPEG")}


@pytest.mark.parametrize(
    "svg",
    [
        "<svg xmlns='http://www.w3.org/2000/svg' onload='x'><script>x</script></svg>",
        "<svg><a href='javascript:x'><text>x</text></a><foreignObject><b>x</b></foreignObject></svg>",
        "<svg><image href='https://e.org/x.png'/><use href='https://e.org/x.svg#a'/></svg>",
        "<svg><rect style='fill:url(https://e.org/x)' fill='url(//e.org)'/><style>@import 'x'</style></svg>",
        "<svg><set attributeName='href' to='javascript:x'/><animate onbegin='x'/></svg>",
    ],
)
def test_an_svg_keeps_shapes_only(svg: str) -> None:
    kept = sanitise.svg(svg)
    assert kept is not None
    assert not re.search(r"script|e\.org|on\w+=|@import|<a|foreign|<set|anim", kept), kept


@pytest.mark.parametrize(
    "attribute",
    [
        "style='position:fixed;top:0;left:0;fill:red'",
        "style='overflow:visible;margin:-900px;fill:red'",
        "style='fill:red;TRANSFORM : scale(90)'",
        "style='fill:red' transform='scale(90)'",
    ],
)
def test_an_svg_stays_in_its_place(attribute: str) -> None:
    kept = sanitise.svg(f"<svg {attribute}><g transform='scale(2)'><text>\\href{{javascript:x}}{{y}}</text></g></svg>")
    assert kept is not None and "fill:red" in kept and 'transform="scale(2)"' in kept
    assert not re.search(r"position|left|overflow|margin|scale\(90|\\href", kept), kept


def test_an_svg_of_copies_of_copies_is_none() -> None:
    bomb = "".join(f"<g id='a{i}'><use href='#a{i - 1}'/><use href='#a{i - 1}'/></g>" for i in range(1, 40))
    assert sanitise.svg(f"<svg>{bomb}</svg>") is None
    assert sanitise.svg("<svg>" + "<g>" * 50_000 + "</g>" * 50_000 + "</svg>") is None


def test_plain_markdown_stays_as_it_is() -> None:
    text = "# A\n\n*b* `c` $x^2$ [d](https://e.org/f) [g](mailto:h@i.org)\n\n| j | k |\n|---|---|\n| l | m |\n"
    assert sanitise.markdown(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "[x](javascript:1)",
        "[x](java\\script\\:1)",
        "[x]: javascript:1\n\n[x]",
        "[x](&#106;avascript:1)",
        "<script>1</script>",
    ],
)
def test_markdown_links_nowhere_but_to_the_web(text: str) -> None:
    shown = markdown2html_mistune(sanitise.markdown(text + "\n\n1 < 2 *em*"))
    assert "href" not in shown and "<script" not in shown and "1 &lt; 2 <em>em</em>" in shown


@pytest.mark.parametrize("text", ["`" * 100, "`" * 10_000, "\\" * 300, "<b>x</b>" * 2000])
def test_markdown_that_takes_a_renderer_long_is_shown_as_text(text: str) -> None:
    assert sanitise.markdown(text).startswith("<pre>")
    assert not sanitise.markdown(text[:90]).startswith("<pre>")


def test_markdown_shows_attached_pictures_and_survives_missing_ones() -> None:
    kept = sanitise.attachments(
        {"a.png": {"image/png": PICTURE, "text/html": "x"}, "b": {"image/svg+xml": "x"}, 5: {}, "c": 5}
    )
    assert kept == {"a.png": {"image/png": PICTURE}} and sanitise.attachments("x") == {}
    assert f'src="data:image/png;base64,{PICTURE}"' in sanitise.markdown("![a](attachment:a.png)", kept)
    assert sanitise.markdown("![a](attachment:z.png)", kept) == "<pre>![a](attachment:z.png)</pre>"
    assert "<img" not in sanitise.markdown("![a](https://e.org/a.png)").replace('<img alt="a">', "")


@pytest.mark.parametrize(
    "text", [r"$\href{javascript:1}{x}$", r"$\\\href{}$", "&#36;&#92;style{x}{y}&#36;", r"$\hr<wbr>ef{}$"]
)
def test_mathematics_has_no_links_and_no_styles(text: str) -> None:
    shown = sanitise.markdown(text)
    assert not re.search(r"\\(href|style)", shown) and sanitise.tex(r"\frac{1}{2} \hrefs") == r"\frac{1}{2} \hrefs"


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
