"""Script injection: what a learner writes, prints or draws, in the browser of whoever looks."""

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from nbformat.v4 import new_markdown_cell, new_raw_cell
from nbgrader.apps import NbGraderAPI

from autograder import layout

SCRIPT = "<script>fetch('//192.0.2.1/left')</script>"
HANDLER = "<img src=x onerror=\"left('by')\">"
REMOTE = "![x](http://192.0.2.1/left.png) <iframe src='//192.0.2.1'></iframe> <a href='javascript:left()'>x</a>"


class Hostile(HTMLParser):
    """Collects what of a page would run or load something that a learner wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.hostile: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        for name, value in attrs:
            text = (value or "").lower()
            loads = name in ("src", "href", "srcset", "data", "action") and (
                "javascript:" in text or "192.0.2.1" in text
            )
            if loads or (name.startswith("on") and "left" in text):
                self.hostile.append(f"<{tag} {name}={value}>")

    def handle_data(self, data: str) -> None:
        if self._inside == "script" and ("192.0.2.1" in data or "left()" in data):
            self.hostile.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


def attack_displays(work: Any) -> None:
    """HTML, SVG, JavaScript, LaTeX, widgets and Markdown as outputs."""
    work.add(f"""from IPython.display import *
display(HTML({SCRIPT!r}), Javascript("left()"), SVG('<svg xmlns="http://www.w3.org/2000/svg" onload="left()"/>'),
        Markdown({HANDLER!r}), Latex("$\\\\href{{javascript:left()}}{{x}}$"))
display({{"application/vnd.jupyter.widget-view+json": {{"model_id": "left"}},
         "application/javascript": "left()"}}, raw=True)""")


def attack_printed(work: Any) -> None:
    """Printed markup, control sequences and file names."""
    work.add(
        f"import sys\nprint({(SCRIPT + HANDLER)!r})\nprint('\\x1b]8;;javascript:left()\\x07x\\x1b[0m', file=sys.stderr)"
    )


def attack_raised(work: Any) -> None:
    """Exceptions whose class, text and traceback are markup."""
    work.everywhere(f"def NAME(*args):\n    raise type({SCRIPT!r}, (Exception,), {{}})({HANDLER!r})")


def attack_class_names(work: Any) -> None:
    """Results of a class whose name, and whose text, are markup."""
    work.everywhere(
        f"C = type({SCRIPT!r}, (), {{'__repr__': lambda s: {SCRIPT!r}, '__str__': lambda s: {HANDLER!r}}})\n"
        "def NAME(*args): return C()"
    )


def attack_markdown(work: Any) -> None:
    """Markup in an essay and in cells of Markdown added."""
    work.answer(why=SCRIPT + HANDLER + REMOTE)
    work.add(SCRIPT + "\n\n" + HANDLER + "\n\n" + REMOTE, kind=new_markdown_cell)


def attack_raw_cells(work: Any) -> None:
    """Raw cells that say they are HTML."""
    work.add(SCRIPT + HANDLER, kind=new_raw_cell)
    work.notebook.cells[1].metadata["raw_mimetype"] = work.notebook.cells[1].metadata["format"] = "text/html"


def attack_attachments(work: Any) -> None:
    """Attachments and pictures that are something else."""
    work.add("![x](attachment:x.png)", kind=new_markdown_cell)
    work.notebook.cells[1]["attachments"] = {"x.png": {"image/svg+xml": SCRIPT}}
    work.add(
        "from IPython.display import display\nimport base64\n"
        f"picture = b'\\x89PNG\\r\\n\\x1a\\n\"' + {SCRIPT!r}.encode()\n"
        "display({'image/png': base64.b64encode(picture).decode()}, raw=True)\n"
        "display({'image/png': '\" onload=\"left()'}, raw=True)"
    )


def attack_code(work: Any) -> None:
    """Code that closes the tag it is shown in."""
    work.add(f"# </code></pre></div>{SCRIPT}")
    work.notebook.cells[1].metadata["tags"] = [SCRIPT]


def attack_the_notebooks_title(work: Any) -> None:
    """Title, authors and language of the notebook, which templates write into a page's head."""
    work.notebook.metadata.update(title=f"</title>{SCRIPT}", authors=[{"name": SCRIPT}])
    work.notebook.metadata["language_info"] = {"name": SCRIPT, "pygments_lexer": SCRIPT}


@pytest.fixture(scope="module")
def feedback(graded: Any) -> dict[str, str]:
    """The pages that nbgrader's generate_feedback makes of the graded notebooks."""
    opened = layout.open_course(graded.root)
    NbGraderAPI(opened, config=opened.parent.config).generate_feedback("ps1")
    pages = {
        name: graded.root / "feedback" / student / "ps1" / "problem.html" for name, student in graded.students.items()
    }
    return {name: page.read_text() for name, page in pages.items() if page.exists()}


def test_no_script_of_a_learner_is_in_feedback(feedback: dict[str, str], attack: str) -> None:
    assert attack in feedback, "nbgrader could not make a page of it"
    page = feedback[attack]
    found = Hostile()
    found.feed(page)
    assert found.hostile == []


def test_no_output_of_a_learner_can_run(graded: Any) -> None:
    """Whatever shows them, JupyterLab or a page: the kinds that render are cleaned, and no others are there."""
    rendered = {"text/html", "text/markdown", "text/latex", "image/svg+xml"}
    for name in graded.students:
        cells = [c for c in graded.notebook(name).cells if c.cell_type == "code"]
        shown = [pair for c in cells for o in c.outputs for pair in o.get("data", {}).items()]
        assert {kind for kind, _ in shown} <= rendered | {"text/plain", "image/png"}
        found = Hostile()
        for kind, text in shown:
            if kind in rendered:
                found.feed(text)
        assert found.hostile == []


@pytest.fixture
def earned(judged: Callable[[str], None], graded: Any) -> Callable[[], None]:
    def check() -> None:
        for name in graded.students:
            judged(name)

    return check


def test_markup_earns_nothing(earned: Callable[[], None]) -> None:
    earned()


def test_neighbours_and_the_machine_are_unharmed(unharmed: Callable[[], None]) -> None:
    unharmed()
