"""What learners get back, and what graders open: verdicts, no hidden test, and nothing that runs or loads."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from nbgrader.apps import NbGraderAPI

from autograder import feedback, gradebook, hidden, layout
from autograder.grading import Report, grade_notebook
from autograder.limits import Limits
from autograder.sandbox.warm import Warm
from autograder.submission import with_checksums
from autograder.verdict import CHECK_MIME, State, Verdict
from browser import chromium, opened

Attempt = Callable[..., Report]

SECRETS = ("squares(31)", "961", "expected nine", "drawn in secret", "secret value")

TEST = """assert squares(2) == [1, 4], 'squares(2) must be [1, 4]'
print('the visible part')
### BEGIN HIDDEN TESTS
print('drawn in secret')
secret = 'secret value'
assert squares(31)[-1] == 961, f'expected nine hundred sixty-one, not {squares(31)} ({secret})'
### END HIDDEN TESTS"""

CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "squares"
c.GenerateFeedback.preprocessors = [
    "nbgrader.preprocessors.GetGrades",
    "autograder.feedback.HideHiddenTests",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]
"""

RIGHT = "def squares(n):\n    return [i * i for i in range(1, n + 1)]"
CAPPED = "def squares(n):\n    return [i * i for i in range(1, n + 1)][:20]"
RAISES = "def squares(n):\n    if n > 5:\n        raise ValueError(f'secret value {n}')\n    return [1, 4]"


@pytest.mark.parametrize(("answer", "state"), [(CAPPED, State.FAILED), (RAISES, State.ERROR), (RIGHT, State.PASSED)])
def test_no_text_of_a_hidden_test_is_said_or_shown(attempt: Attempt, answer: str, state: State) -> None:
    report = attempt(RIGHT, [TEST], answer)
    (verdict,) = report.verdicts
    assert verdict.state is state
    assert verdict.message == ("Every test passed." if state is State.PASSED else "A hidden test failed.")
    (record,) = report.record()["verdicts"]
    for_graders = record.pop("hidden_message")
    said = str(report.notebook.cells[-1].outputs) + str(record)
    assert "the visible part" in said and not [secret for secret in SECRETS if secret in said]
    if state is State.PASSED:
        assert for_graders is None
    else:
        assert ("expected nine" if state is State.FAILED else "ValueError: secret value 31") in for_graders


def test_a_visible_failure_keeps_its_words(attempt: Attempt) -> None:
    (verdict,) = attempt(RIGHT, [TEST], "def squares(n):\n    return []").verdicts
    assert verdict.message == "squares(2) must be [1, 4]" and verdict.hidden_message is None


def test_a_failure_in_a_function_that_a_hidden_block_defined_is_hidden_too(attempt: Attempt) -> None:
    first = (
        "### BEGIN HIDDEN TESTS\ndef verify(x):\n    assert x == 961, f'expected nine {x}'\n### END HIDDEN TESTS\n1.0"
    )
    report = attempt(RIGHT, [first, "verify(squares(2)[-1])"], RIGHT)
    verdict = report.verdicts[1]
    assert verdict.message == "A hidden test failed." and verdict.hidden_message == "expected nine 4"
    assert "expected nine" not in str(report.notebook.cells[-1].outputs)


def test_hidden_lines_are_found_by_the_courses_own_words() -> None:
    words = hidden.Delimiters("SECRET {", "} SECRET")
    text = "a\n# SECRET {\nb\n# } SECRET\nc"
    assert hidden.lines(text, words) == {2, 3, 4} and hidden.without(text, words) == "a\nc"
    assert hidden.without(text, hidden.DEFAULT) == text
    assert hidden.without("a\n### BEGIN HIDDEN TESTS\nb", hidden.DEFAULT) == "a"  # never ended: to the end


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_a_card_that_is_only_text(state: State) -> None:
    made = feedback.card(Verdict("<i>id</i>", state, 1.0, 2.0, "<script>alert(1)</script> $x$", "<b>idea</b>"))
    html, plain = made.data["text/html"], made.data["text/plain"]
    assert str(state) in html and "1 of 2" in html and "<script" not in html and "<b>idea" not in html
    assert "&lt;script&gt;" in html and "<script>alert(1)</script>" in plain
    nbformat.validate(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=[made])]))


def test_a_check_that_shows_a_card_gets_no_second_one(attempt: Attempt) -> None:
    bundle = {"text/plain": "mine", CHECK_MIME: {"state": "right"}}
    tests = [
        f"from IPython.display import display\ndisplay({bundle!r}, raw=True)\nassert squares(1) == [1]",
        "assert squares(1) == [1]",
    ]
    own, other = attempt(RIGHT, tests, RIGHT).notebook.cells[-2:]
    assert len(own.outputs) == 1 and own.outputs[0].data["text/plain"] == "mine"
    assert len(other.outputs) == 1 and "passed" in other.outputs[0].data["text/plain"]


def test_what_could_not_be_read_has_cards_too(cells: SimpleNamespace, graded: Callable[..., Report]) -> None:
    report = graded(cells.notebook(cells.test("t", "assert 1", 2)), b"no notebook")
    assert "unreadable · t · 0 of 2 points" in report.notebook.cells[0].outputs[0].data["text/plain"]


# -- pages that people open ------------------------------------------------------------------------------

ALERT = "alert(document.domain)"
MARKDOWN = {
    "script": f"<script>{ALERT}</script>",
    "script in a block": f"text\n\n<div>\n\n<script>\n{ALERT}\n</script>\n\n</div>",
    "img onerror": f"<img src=x onerror={ALERT}>",
    "img onerror, upper case": f"<IMG SRC=x ONERROR={ALERT}//",
    "remote image": "![x](https://e.org/a.png) <img src=//e.org/b.png srcset='https://e.org/c.png 2x'>",
    "svg onload": f"<svg onload={ALERT}><animate onbegin={ALERT} attributeName=x dur=1s></svg>",
    "iframe": f"<iframe src='javascript:{ALERT}'></iframe><iframe srcdoc='<script>{ALERT}</script>'></iframe>",
    "object": "<object data='https://e.org/a.swf'></object><embed src='https://e.org/b'>",
    "javascript link": f"[click](javascript:{ALERT}) <a href='jAvAsCrIpT:{ALERT}'>click</a>",
    "javascript link, encoded": f"[click](&#106;avascript:{ALERT}) [click](javascript\\:{ALERT})",
    "javascript by reference": f"[click][1]\n\n[1]: javascript:{ALERT}",
    "autolink": f"<javascript:{ALERT}>",
    "data link": f"[click](data:text/html;base64,{base64.b64encode(f'<script>{ALERT}</script>'.encode()).decode()})",
    "mermaid": f"```mermaid\n<img src=x onerror={ALERT}>\n```",
    "fence info": f'```x" onmouseover="{ALERT}\ncode\n```',
    "style": "<style>@import 'https://e.org/a.css'; body {background: url(https://e.org/b.png)}</style>",
    "style attribute": "<p style='background:url(https://e.org/a.png);position:fixed;top:0'>over</p>",
    "link and meta": "<link rel=stylesheet href=https://e.org/a.css><meta http-equiv=refresh content='0;https://e.org'>",
    "base": "<base href='https://e.org/'>[x](y)",
    "form": f"<form action='https://e.org'><input autofocus onfocus={ALERT}><button formaction='javascript:{ALERT}'>",
    "details": f"<details open ontoggle={ALERT}><summary>x</summary></details>",
    "media": f"<video src=https://e.org/a.mp4 onerror={ALERT} autoplay><audio src=x onerror={ALERT}>",
    "mathml": f"<math><mi xlink:href='javascript:{ALERT}'>click</mi></math>",
    "nested parsing": "<math><mtext><table><mglyph><style><!--</style>"
    f"<img title='--&gt;&lt;img src=1 onerror={ALERT}&gt;'>",
    "noscript": f"<noscript><p title='</noscript><img src=x onerror={ALERT}>'></noscript>",
    "comment": f"<!--><img src=x onerror={ALERT}>-->",
    "template": f"<template><script>{ALERT}</script></template><xmp><img src=x onerror={ALERT}></xmp>",
    "tex link": f"$\\href{{javascript:{ALERT}}}{{click}}$",
    "tex, encoded": f"&#36;&#92;href{{javascript:{ALERT}}}{{click}}&#36; $\\hr<wbr>ef{{javascript:{ALERT}}}{{x}}$",
    "tex style": "$$\\style{background:url(https://e.org/a.png)}{x}$$ $\\bbox[background:url(//e.org)]{x}$",
    "tex breaks out": f"$</span><img src=x onerror={ALERT}>$ $$<script>{ALERT}</script>$$",
    "heading": f'# <img src=x onerror={ALERT}> " onclick={ALERT}',
    "table": f"| a |\n|---|\n| <img src=x onerror={ALERT}> |",
    "missing attachment": "![x](attachment:nowhere.png)",
    "template words": "{{ 7 * 7 }} {% raw %}",
    "delimiters": "### BEGIN HIDDEN TESTS",
}
SVG = "http://www.w3.org/2000/svg"
DISPLAYS: dict[str, dict[str, Any]] = {
    "html": {"text/html": "".join(t for n, t in MARKDOWN.items() if n not in ("template words", "delimiters"))},
    "javascript": {"application/javascript": ALERT},
    "svg": {"image/svg+xml": f"<svg xmlns='{SVG}' onload='{ALERT}'><script>{ALERT}</script><rect/></svg>"},
    "svg, remote": {
        "image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg'><image href='https://e.org/a.png'/></svg>"
    },
    "png that is none": {"image/png": f"x' onerror='{ALERT}"},
    "jpeg that is none": {"image/jpeg": f'"><script>{ALERT}</script>'},
    "latex": {"text/latex": f"$\\href{{javascript:{ALERT}}}{{x}}$<script>{ALERT}</script>"},
    "markdown": {"text/markdown": f"<img src=x onerror={ALERT}> ![x](https://e.org/a.png)"},
    "plain": {"text/plain": f"<script>{ALERT}</script>\x1b[31m<img src=x onerror={ALERT}>\x1b[0m"},
    "widget": {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/html": f"<b onclick={ALERT}>x"},
    "vega": {"application/vnd.vegalite.v5+json": {"data": {"url": "https://e.org/a.json"}}},
    "isolated": {"text/html": f"<script>{ALERT}</script>kept"},
}
CODE = f"""
import sys
for name, bundle in {DISPLAYS!r}.items():
    about = {{"text/html": {{"isolated": True}}, "image/png": {{"width": "1 onload={ALERT}"}}}}
    display(bundle, raw=True, metadata=about)
print("<script>{ALERT}</script> \\x1b[38;5;999m<img src=x onerror={ALERT}>\\x1b]8;;javascript:{ALERT}\\x07link")
print("\\x1b[1;31m<iframe src=https://e.org>", file=sys.stderr)
def squares(n):
    text = "<script>{ALERT}</script><img src=https://e.org/x.png onerror={ALERT}>"
    raise ValueError(text + " $\\\\href{{javascript:{ALERT}}}{{x}}$")
"""


def hostile(source: NotebookNode) -> NotebookNode:
    """A submission that puts every payload into every place where text or outputs go."""
    made = nbformat.from_dict(source)
    for cell in made.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        if grade_id == "squares":
            cell.source = CODE
            cell.metadata |= {
                "alt": f"x' onload='{ALERT}",
                "tags": [f"x' onclick='{ALERT}"],
                "magics_language": "<script>",
            }
        elif grade_id == "why":
            cell.source = "\n\n".join(MARKDOWN.values())
    for number, text in enumerate(MARKDOWN.values()):
        made.cells.append(nbformat.v4.new_markdown_cell(f"payload {number}\n\n{text}\n\n*after {number}*"))
        made.cells.append(nbformat.v4.new_raw_cell(text, metadata={"raw_mimetype": "text/html"}))
    picture = nbformat.v4.new_markdown_cell("![x](attachment:a.svg)")
    picture.attachments = {"a.svg": {"image/svg+xml": base64.b64encode(f"<svg onload='{ALERT}'/>".encode()).decode()}}
    made.cells.append(picture)
    made.metadata |= {
        "title": f"</title><script>{ALERT}</script>",
        "kernelspec": {"name": "python3", "display_name": f"<script>{ALERT}</script>", "language": "python"},
        "language_info": {"name": "../../x<script>", "pygments_lexer": f"x'><script>{ALERT}</script>"},
        "widgets": {
            "application/vnd.jupyter.widget-state+json": {"state": {}, "x": f"</script><script>{ALERT}</script>"}
        },
    }
    return made


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, cells: SimpleNamespace, warm: Warm) -> dict[str, Path]:
    """The pages of a hostile and of an honest submission: feedback, and the graded notebook through nbconvert."""
    root = tmp_path_factory.mktemp("feedback")
    (root / "nbgrader_config.py").write_text(CONFIG)
    folder = root / "source" / "ps1"
    folder.mkdir(parents=True)
    source = cells.notebook(
        cells.solution("squares", f"def squares(n):\n{cells.solved('    return []')}"),
        cells.test("test-squares", TEST, 2),
        cells.essay("why", "### BEGIN SOLUTION\nBecause.\n### END SOLUTION"),
    )
    source.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(source, folder / "problem.ipynb")
    course = layout.open_course(root)
    gradebook.open_gradebook(course).close()
    api = NbGraderAPI(course, config=course.parent.config)
    assert api.generate_assignment("ps1")["success"]
    task = layout.read_assignment(course, "ps1")
    released = nbformat.read(root / "release" / "ps1" / "problem.ipynb", as_version=4)
    honest = nbformat.from_dict(released)
    honest.cells[0].source = CAPPED
    files = tmp_path_factory.mktemp("files")
    made: dict[str, Path] = {}
    for student, notebook in (("mallory", hostile(released)), ("ada", honest)):
        handed_in = root / "submitted" / student / "ps1"
        handed_in.mkdir(parents=True)
        nbformat.write(notebook, handed_in / "problem.ipynb")
        report = grade_notebook(
            with_checksums(task.notebooks["problem"]),
            handed_in / "problem.ipynb",
            files=files,
            process=warm,
            limits=Limits(cell_seconds=30),
            isolate=False,
        )
        with gradebook.Writer(course, task) as writer:
            writer.save(layout.Submission(student, handed_in), {"problem": report})
        assert api.generate_feedback("ps1", student)["success"]
        made[f"{student} feedback"] = root / "feedback" / student / "ps1" / "problem.html"
        graded_notebook = root / "autograded" / student / "ps1" / "problem.ipynb"
        for template in ("lab", "classic"):
            page, _ = HTMLExporter(template_name=template).from_filename(str(graded_notebook))
            made[f"{student} {template}"] = graded_notebook.with_name(f"{template}.html")
            made[f"{student} {template}"].write_text(page, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


CLICK = """() => { for (const one of document.querySelectorAll("a, button, summary, img, b, h1, [tabindex]"))
    if (!/^https?:|^mailto:/.test(one.getAttribute("href") ?? "")) one.click(); }"""


@pytest.mark.parametrize("kind", ["feedback", "lab", "classic"])
def test_a_hostile_notebook_does_nothing_in_a_browser(browser: Any, pages: dict[str, Path], kind: str) -> None:
    """The templates ask a CDN for their own scripts: an honest notebook's page says which these are."""
    with opened(browser, pages[f"ada {kind}"]) as (_, usual):
        pass
    with opened(browser, pages[f"mallory {kind}"]) as (page, seen):
        page.evaluate(CLICK)
        page.wait_for_load_state("load")
        assert seen.dialogs == []
        assert set(seen.requests) <= set(usual.requests)
        assert not any("e.org" in url for url in seen.requests)
        assert {e for e in seen.errors if "ERR_FAILED" not in e} <= set(usual.errors)
        inside = "#notebook, main, body > .jp-Notebook"
        found = page.locator(inside).first
        assert found.inner_text().strip()  # a place that is not there would hold nothing bad
        assert found.locator("iframe, object, embed, form, input, style, link, meta, base").count() == 0
        assert found.locator("[onload], [onerror], [onclick], [onfocus], [ontoggle], [onbegin]").count() == 0
        assert found.locator("a[href^='javascript' i], a[href^='data' i]").count() == 0
        assert page.evaluate("[...document.querySelectorAll('body [style]')].every(e => e.style.position !== 'fixed')")
        text = page.locator("body").inner_text()
        for number in range(len(MARKDOWN)):
            assert f"payload {number}\n" in text, number


def test_the_same_notebook_as_it_came_in_does_harm(browser: Any, pages: dict[str, Path], tmp_path: Path) -> None:
    """What the test above rests on: these payloads run and load where nothing makes them harmless."""
    notebook = pages["mallory feedback"].parents[3] / "submitted" / "mallory" / "ps1" / "problem.ipynb"
    made = nbformat.read(notebook, as_version=4)
    for cell in made.cells:
        cell.pop("attachments", None)
    made.cells = [c for c in made.cells if c.cell_type == "markdown" and "attachment:" not in c.source]
    made.metadata = NotebookNode()
    ran, asked = 0, 0
    for number, cell in enumerate(made.cells):
        path = tmp_path / f"{number}.html"
        one = nbformat.v4.new_notebook(cells=[cell])
        path.write_text(HTMLExporter(template_name="classic").from_notebook_node(one)[0], encoding="utf-8")
        with opened(browser, path) as (page, seen):
            page.wait_for_load_state("load")
            ran += bool(seen.dialogs)
            asked += any("e.org" in url for url in seen.requests)
    assert ran >= 10 and asked >= 5, (ran, asked)


def test_feedback_shows_verdict_points_and_message_and_no_hidden_test(browser: Any, pages: dict[str, Path]) -> None:
    for student, state, points in (("ada", "failed", "0 of 2"), ("mallory", "error", "0 of 2")):
        html = pages[f"{student} feedback"].read_text()
        assert not [secret for secret in SECRETS if secret in html]
        with opened(browser, pages[f"{student} feedback"]) as (page, _):
            card = page.get_by_role("status").inner_text()
            assert state in card and points in card and "test-squares" in card
    assert "A hidden test failed." in pages["ada feedback"].read_text()
    assert "961" in pages["ada lab"].read_text()  # graders see the hidden tests
    graded_notebook = nbformat.read(pages["ada lab"].with_name("problem.ipynb"), as_version=4)
    (verdict,) = graded_notebook.metadata["autograder"]["verdicts"]
    assert "expected nine" in verdict["hidden_message"] and "expected nine" not in verdict["message"]


def test_an_honest_answer_is_shown_as_it_was_written(attempt: Attempt, cells: SimpleNamespace, graded: Any) -> None:
    essay = "# Why\n\nBecause $x^2$ *grows*, see [here](https://e.org)."
    source = cells.notebook(cells.essay("why", "### BEGIN SOLUTION\nx\n### END SOLUTION"), cells.text("<b>given</b>"))
    submitted = cells.notebook(cells.essay("why", essay), cells.text("<b>given</b>"))
    assert [cell.source for cell in graded(source, submitted).notebook.cells] == [essay, "<b>given</b>"]
