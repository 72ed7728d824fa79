"""What a learner does in JupyterLab, done in a real one, in a real Chromium.

Pictures of what was seen are left in build/lab/, to be looked at.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config

from browser import Seen, chromium, contrasts, sync_api
from course import paths
from course.card import LOOKS, VERDICT_MIME
from seat import OPEN, TOKEN, Notebook, Seat, open_notebook, taken

expect = sync_api.expect

COURSE, LESSON, READER = "finetuning-from-zero", "04-freezing", "00-reader"
PICTURES = Path(__file__).parents[2] / "build" / "lab"
LAPTOP, TABLET = {"width": 1280, "height": 800}, {"width": 820, "height": 1180}

STUB = """\
def freeze(model, except_for):
    raise NotImplementedError
"""
FREEZES_ALL = """\
def freeze(model, except_for):
    model.requires_grad_(False)
"""
BREAKS = f"""\
import sys

def freeze(model, except_for):
    print("said on the way", file=sys.stderr)
    raise KeyError("{"unbroken" * 40}")
"""
RIGHT = """\
def freeze(model, except_for):
    named = set()
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if any(f"{name}.".startswith(f"{one}.") for one in except_for):
            named.add(id(parameter))
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in named)
"""
ANSWERS = {"stub": STUB, "wrong": FREEZES_ALL, "error": BREAKS, "right": RIGHT}


@pytest.fixture(scope="module")
def seat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seat]:
    """A learner in a class: an instructor has released the lesson, and a notebook that the course does not have."""
    root = tmp_path_factory.mktemp("lab")
    exchange, release = root / "exchange", root / "class" / "release"
    exchange.mkdir()
    exchange.chmod(0o777)  # nbgrader asks for it
    shutil.copytree(paths.release() / LESSON, release / LESSON)
    (release / READER).mkdir()
    nbformat.write(new_notebook(cells=[new_code_cell("1 + 1")]), release / READER / f"{READER}.ipynb")
    config = Config()
    config.Exchange.root = str(exchange)
    config.CourseDirectory.course_id = COURSE
    settings = json.dumps(config)
    config.CourseDirectory.root = str(root / "class")
    for name in (LESSON, READER):
        done = NbGraderAPI(CourseDirectory(config=config), config=config).release_assignment(name)
        assert done["success"], done
    (root / "seat").mkdir()
    with taken(root / "seat", nbgrader_config=settings) as seat:
        yield seat
        assert seat.outside == ""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        context = started.new_context(viewport=LAPTOP)
        context.set_default_timeout(60_000)
        expect.set_options(timeout=30_000)
        yield context


@pytest.fixture(scope="module")
def lesson(browser: Any, seat: Seat) -> Iterator[Notebook]:
    """Lesson 04, open, its first two cells run."""
    notebook = open_notebook(browser, seat, f"{LESSON}/{LESSON}.ipynb")
    notebook.run("install")
    notebook.run("setup")
    yield notebook
    assert notebook.seen == Seen()
    notebook.page.close()


def answer(lesson: Notebook, text: str) -> Any:
    """Writes an answer to `freeze`, runs it and its check, and gives where the card is."""
    lesson.write("freeze", text)
    lesson.run("freeze")
    return lesson.run("check-freeze")


def saved(lesson: Notebook, grade_id: str) -> NotebookNode:
    """A cell as it is on the disk."""
    (cell,) = (c for c in lesson.saved().cells if c.metadata.get("nbgrader", {}).get("grade_id") == grade_id)
    return cell


def test_it_opens_the_lesson_to_go_on_with(browser: Any, seat: Seat) -> None:
    page = browser.new_page()
    page.goto(f"{seat.address}/?token={TOKEN}")
    page.wait_for_function(OPEN, arg="01-training-loop/01-training-loop.ipynb")
    page.close()


def test_from_the_stub_to_the_right_answer(lesson: Notebook, seat: Seat) -> None:
    head = lesson.cell("setup").get_by_role("group", name="Your progress")
    expect(head).to_contain_text("This notebook computes on")
    expect(head).to_contain_text("0 of 5 exercises, 0 of 20 points")
    lesson.run("freeze")
    card = lesson.run("check-freeze").get_by_role("status")
    expect(card).to_contain_text("freeze · not attempted · 0 of 5 points")

    output = answer(lesson, FREEZES_ALL)
    card = output.get_by_role("status")
    expect(card).to_contain_text("freeze · wrong · 2 of 5 points")
    expect(card).to_contain_text("What happened. A parameter inside a listed module is frozen.")
    expect(card).to_contain_text("Look at. what happens to")
    expect(output).not_to_contain_text("AssertionError")  # two points are earned
    verdict = next(o.data[VERDICT_MIME] for o in saved(lesson, "check-freeze").outputs if VERDICT_MIME in o.data)
    assert (verdict["state"], verdict["misconception"]) == ("wrong", "listed-frozen")
    for number in (1, 2):
        expect(lesson.try_out("check_freeze.hint()")).to_contain_text(f"Hint {number} of 3.")
    expect(lesson.try_out("sorted(check_freeze.last.inputs)")).to_contain_text("['except_for', 'model']")
    expect(lesson.try_out("check_freeze.solution()")).to_contain_text("def freeze(")

    card = answer(lesson, RIGHT).get_by_role("status")
    expect(card).to_contain_text("freeze · right · 5 of 5 points")
    assert saved(lesson, "freeze").source == RIGHT
    expect(lesson.cell("setup").get_by_role("listitem", name="freeze: right, 5 of 5 points")).to_be_visible()
    expect(head).to_contain_text("1 of 5 exercises, 5 of 20 points")
    expect(head).to_contain_text("Next: exercise 2")
    lesson.page.screenshot(path=PICTURES / "head.png")
    expect(lesson.page.locator(".Toastify__toast")).to_have_count(0)  # JupyterLab asks for nothing, and offers nothing
    told = subprocess.run(
        [sys.executable, "-m", "course.cli", "progress", "--json"],
        env=seat.environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    entry = next(one for each in json.loads(told.stdout)["lessons"] for one in each["exercises"] if one["points"])
    assert (entry["exercise"], entry["state"], entry["tries"], entry["hints"]) == ("freeze", "right", 2, 2)


def test_the_keyboard_is_enough(lesson: Notebook) -> None:
    """Shift+Enter in the answer's cell, and again in the check's."""
    lesson.write("freeze", FREEZES_ALL)
    with lesson.running("check-freeze"):
        lesson.edit("freeze")
        lesson.page.keyboard.press("Shift+Enter")
        lesson.page.keyboard.press("Shift+Enter")
    expect(lesson.cell("check-freeze").get_by_role("status")).to_contain_text("2 of 5 points")


# Whatever of an output lies outside it, or is wider than the place it has.
STICKS_OUT = """(area) => {
    const place = area.getBoundingClientRect();
    return [...area.querySelectorAll("*")].filter((one) => {
        const own = one.getBoundingClientRect();
        return own.width && (own.left < place.left - 1 || own.right > place.right + 1 ||
            (getComputedStyle(one).display !== "inline" && one.scrollWidth > one.clientWidth + 1));
    }).map((one) => one.outerHTML.slice(0, 120));
}"""
MARKS = {look.mark for look in LOOKS.values()}


def assert_readable(part: Any) -> None:
    """Words stand 4.5 to 1 and more against what is behind them (WCAG 2.2, 1.4.3), marks 3 to 1 (1.4.11)."""
    found = contrasts(part)
    assert found
    assert [(ratio, text) for ratio, text in found if ratio < (3 if text in MARKS else 4.5)] == []


@pytest.mark.parametrize("state", ANSWERS)
def test_a_card_is_whole_and_readable(lesson: Notebook, state: str) -> None:
    output = answer(lesson, ANSWERS[state])
    card, head = output.get_by_role("status"), lesson.page.get_by_role("group", name="Your progress")
    try:
        for theme in ("Light", "Dark"):
            lesson.theme(f"JupyterLab {theme}")
            for size in (LAPTOP, TABLET):
                lesson.page.set_viewport_size(size)
                lesson.cell("check-freeze")
                expect(card).to_be_in_viewport()
                lesson.page.screenshot(path=PICTURES / f"{state}-{theme.lower()}-{size['width']}.png")
                assert output.evaluate(STICKS_OUT) == head.evaluate(STICKS_OUT) == []
            assert_readable(card)
            assert_readable(head)
    finally:
        lesson.theme("JupyterLab Light")
        lesson.page.set_viewport_size(LAPTOP)


def test_a_card_speaks(lesson: Notebook) -> None:
    """As a screen reader hears it, marks included; and in words alone where there is no HTML."""
    output = answer(lesson, FREEZES_ALL)
    marks = output.get_by_role("listitem").get_by_role("img")
    assert [mark.get_attribute("aria-label") for mark in marks.all()] == ["right", "wrong", "wrong", "wrong"]
    (shown,) = (o for o in saved(lesson, "check-freeze").outputs if VERDICT_MIME in o.data)
    assert shown.data["text/plain"].startswith("freeze: wrong · 2 of 5 points\n  + freezes every parameter")


def test_a_card_from_elsewhere_looks_the_same(browser: Any, lesson: Notebook, seat: Seat) -> None:
    """A notebook that came from another machine is not trusted: JupyterLab takes out of it what might do harm."""
    look = """(card) => {
        const [own, mark] = [card, card.querySelector("span")].map((one) => getComputedStyle(one));
        return [own.borderLeftWidth, own.borderLeftStyle, own.color !== mark.color, card.innerText];
    }"""
    card = "[data-mime-type='text/html'] > div"
    before = answer(lesson, FREEZES_ALL).locator(card).evaluate(look)
    notebook = lesson.saved()
    notebook.cells[0].source = "# Changed elsewhere"
    nbformat.write(notebook, seat.copy / "elsewhere.ipynb")
    elsewhere = open_notebook(browser, seat, "elsewhere.ipynb")
    output = elsewhere.cell("check-freeze").locator(".jp-RenderedHTML:not(.jp-mod-trusted)")
    assert output.locator("> div").evaluate(look) == before
    elsewhere.page.screenshot(path=PICTURES / "elsewhere.png")
    elsewhere.page.close()


def test_a_widget_is_played_from_the_keyboard(lesson: Notebook) -> None:
    output = lesson.try_out(
        "from course.widgets.boxes import slider\n"
        "slider(torch.zeros(3, 40, 60, dtype=torch.uint8), torch.tensor([[2.0, 2, 30, 30], [20, 5, 50, 35]]),\n"
        "torch.tensor([0.9, 0.8]), lambda boxes, scores, threshold: torch.arange(1 + (threshold > 0.5)))",
    )
    knob, figure = output.get_by_role("slider"), output.locator("img")
    expect(figure).to_be_visible()
    expect(knob).to_have_attribute("aria-valuetext", "0.5")
    before = figure.get_attribute("src")
    knob.focus()
    lesson.page.keyboard.press("ArrowRight")
    expect(knob).to_have_attribute("aria-valuetext", "0.55")
    expect(figure).not_to_have_attribute("src", before)
    for theme in ("Dark", "Light"):
        lesson.theme(f"JupyterLab {theme}")
        lesson.page.screenshot(path=PICTURES / f"widget-{theme.lower()}.png")


def test_nbgraders_validate_button_works(lesson: Notebook) -> None:
    answer(lesson, RIGHT)
    lesson.page.get_by_role("button", name="Validate").click()
    said = lesson.page.get_by_role("dialog")
    expect(said).to_contain_text("check_unfreeze_to(unfreeze_to)", timeout=150_000)
    expect(said).not_to_contain_text("check_freeze(freeze)")
    lesson.page.screenshot(path=PICTURES / "validate.png")
    said.get_by_role("button", name="Ok").click()


def test_nbgraders_assignment_list_fetches_and_submits(lesson: Notebook, seat: Seat) -> None:
    answer(lesson, RIGHT)
    lesson.saved()
    page = lesson.page

    def listed(kind: str, name: str) -> Any:
        return page.locator(f"#{kind}_assignments_list > .list_item").filter(has_text=name)

    page.get_by_role("menuitem", name="Nbgrader").click()
    page.get_by_role("menuitem", name="Assignment List").click()
    listed("released", READER).get_by_role("button", name="Fetch").click()
    expect(listed("fetched", READER)).to_be_visible()
    assert (seat.copy / READER / f"{READER}.ipynb").is_file()
    listed("fetched", LESSON).get_by_role("button", name="Submit").first.click()
    expect(listed("submitted", LESSON)).to_be_visible()
    page.screenshot(path=PICTURES / "assignments.png")
    (handed_in,) = (seat.home.parent / "exchange" / COURSE / "inbound").glob(f"*/{LESSON}.ipynb")
    cells = nbformat.read(handed_in, as_version=4).cells
    assert RIGHT in [cell.source for cell in cells]
