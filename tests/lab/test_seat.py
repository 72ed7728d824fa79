"""What a learner does in JupyterLab, done in a real one, in a real Chromium.

Pictures of what was seen are left in build/lab/, to be looked at.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from playwright.sync_api import expect
from traitlets.config import Config

from browser import Seen, chromium, contrasts
from course import paths
from course.exercise import VERDICT_MIME
from seat import Notebook, Seat, open_notebook, taken

COURSE, LESSON, READER = "finetuning-from-zero", "04-freezing", "00-reader"
PICTURES = Path(__file__).parents[2] / "build" / "lab"
LAPTOP, TABLET = (1280, 800), (820, 1180)

STUB = """\
def freeze(model, except_for):
    raise NotImplementedError
"""
RIGHT = """\
def freeze(model, except_for):
    named = set()
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if any((name + ".").startswith(one + ".") for one in except_for):
            named.add(id(parameter))
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in named)
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
ANSWERS = {"stub": STUB, "wrong": FREEZES_ALL, "error": BREAKS, "right": RIGHT}


@pytest.fixture(scope="module")
def seat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seat]:
    """A learner in a class: an instructor has released the lesson, and a notebook that the course does not have."""
    root = tmp_path_factory.mktemp("lab")
    exchange = root / "exchange"
    exchange.mkdir()
    exchange.chmod(0o777)  # nbgrader's own condition
    release = root / "class" / "release"
    shutil.copytree(paths.release() / LESSON, release / LESSON)
    (release / READER).mkdir()
    nbformat.write(new_notebook(cells=[new_code_cell("1 + 1")]), release / READER / f"{READER}.ipynb")
    settings = {"Exchange": {"root": str(exchange)}, "CourseDirectory": {"course_id": COURSE}}
    config = Config(settings | {"CourseDirectory": {"course_id": COURSE, "root": str(root / "class")}})
    for name in (LESSON, READER):
        done = NbGraderAPI(CourseDirectory(config=config), config=config).release_assignment(name)
        assert done["success"], done
    (root / "home").mkdir()
    lines = [f"c.{owner}.{name} = {value!r}\n" for owner, pairs in settings.items() for name, value in pairs.items()]
    with taken(root / "home", "c = get_config()\n" + "".join(lines)) as seat:
        yield seat
        assert seat.outside == ""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        context = started.new_context(viewport=dict(zip(("width", "height"), LAPTOP, strict=True)))
        context.set_default_timeout(60_000)
        yield context


@pytest.fixture(scope="module")
def lesson(browser: Any, seat: Seat) -> Iterator[Notebook]:
    """Lesson 04, open, its setup cell run."""
    notebook = open_notebook(browser, seat, f"{LESSON}/{LESSON}.ipynb")
    expect(notebook.run("setup")).to_contain_text("This notebook computes on")
    yield notebook
    assert notebook.seen == Seen()
    notebook.page.close()


def answer(lesson: Notebook, text: str) -> Any:
    """Writes an answer to `freeze`, runs it and its check, and gives where the card is."""
    lesson.write("freeze", text)
    lesson.run("freeze")
    return lesson.run("check-freeze")


def stored(lesson: Notebook) -> dict[str, Any]:
    """The verdict in the saved notebook, as a grader reads it."""
    (cell,) = (c for c in lesson.saved().cells if c.metadata.get("nbgrader", {}).get("grade_id") == "check-freeze")
    return next(o.data[VERDICT_MIME] for o in cell.outputs if VERDICT_MIME in o.get("data", {}))


def test_from_the_stub_to_the_right_answer(lesson: Notebook) -> None:
    lesson.run("freeze")
    card = lesson.run("check-freeze").get_by_role("status")
    expect(card).to_contain_text("not attempted · freeze · 0 of 5 points")
    output = answer(lesson, FREEZES_ALL)
    card = output.get_by_role("status")
    expect(card).to_contain_text("wrong · freeze · 2 of 5 points")
    expect(card).to_contain_text("A parameter inside a listed module is frozen.")
    expect(card).to_contain_text("Look at.")
    expect(output).not_to_contain_text("AssertionError")  # two points are earned
    assert stored(lesson)["misconception"] == "listed-frozen"

    page = lesson.page
    page.keyboard.press("b")  # a new cell below
    page.keyboard.press("Enter")
    page.keyboard.insert_text("check_freeze.hint()")
    below = page.locator(".jp-Notebook .jp-mod-active.jp-Cell")
    page.keyboard.press("Control+Enter")
    expect(below).to_contain_text("Hint 1 of 3.")
    page.keyboard.press("Control+Enter")
    expect(below).to_contain_text("Hint 2 of 3.")

    card = answer(lesson, RIGHT).get_by_role("status")
    expect(card).to_contain_text("right · freeze · 5 of 5 points")
    assert stored(lesson)["points"] == 5
    (cell,) = (c for c in lesson.saved().cells if c.metadata.get("nbgrader", {}).get("grade_id") == "freeze")
    assert cell.source == RIGHT


def test_a_saved_card_is_a_card_when_the_lesson_is_opened_again(lesson: Notebook) -> None:
    """What is opened is not what was run: JupyterLab takes out of it what it does not trust."""
    answer(lesson, RIGHT)
    lesson.saved()
    looks = "(card) => [getComputedStyle(card).borderLeftWidth, card.getAttribute('role'), card.innerText]"
    before = lesson.cell("check-freeze").get_by_role("status").evaluate(looks)
    lesson.reopen()
    assert lesson.cell("check-freeze").get_by_role("status").evaluate(looks) == before


def test_the_keyboard_is_enough(lesson: Notebook) -> None:
    """Shift+Enter in the answer's cell, and again in the check's: the card is there, and the next cell comes."""
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


@pytest.mark.parametrize("state", ANSWERS)
def test_a_card_is_whole_and_readable(lesson: Notebook, state: str) -> None:
    output = answer(lesson, ANSWERS[state])
    card = output.get_by_role("status")
    try:
        for theme in ("Light", "Dark"):
            lesson.theme(f"JupyterLab {theme}")
            assert min(contrasts(card)) >= (4.5, ""), theme
            for width, height in (LAPTOP, TABLET):
                lesson.page.set_viewport_size({"width": width, "height": height})
                lesson.cell("check-freeze")
                expect(card).to_be_in_viewport()
                assert output.evaluate(STICKS_OUT) == []
                lesson.page.screenshot(path=PICTURES / f"{state}-{theme.lower()}-{width}.png")
    finally:
        lesson.theme("JupyterLab Light")
        lesson.page.set_viewport_size(dict(zip(("width", "height"), LAPTOP, strict=True)))


def test_a_card_speaks(lesson: Notebook) -> None:
    """To a screen reader, and where there is no HTML at all."""
    output = answer(lesson, FREEZES_ALL)
    expect(output.get_by_role("listitem")).to_have_count(4)
    labels = [mark.get_attribute("aria-label") for mark in output.locator("li [aria-label]").all()]
    assert labels == ["right", "wrong", "wrong", "right"]


def test_a_widget_is_played_from_the_keyboard(browser: Any, seat: Seat) -> None:
    code = """
    import torch
    from course.widgets.boxes import slider
    slider(torch.zeros(3, 40, 60, dtype=torch.uint8), torch.tensor([[2.0, 2, 30, 30], [20, 5, 50, 35]]),
           torch.tensor([0.9, 0.8]), lambda boxes, scores, threshold: torch.arange(1 + (threshold > 0.5)))"""
    nbformat.write(new_notebook(cells=[new_code_cell(code)]), seat.copy / "scratch.ipynb")
    scratch = open_notebook(browser, seat, "scratch.ipynb")
    output = scratch.run(0)
    knob, figure = output.get_by_role("slider"), output.locator("img")
    expect(figure).to_be_visible()
    expect(knob).to_have_attribute("aria-valuenow", "0.5")
    before = figure.get_attribute("src")
    knob.focus()
    scratch.page.keyboard.press("ArrowRight")
    expect(knob).to_have_attribute("aria-valuenow", "0.55")
    expect(figure).not_to_have_attribute("src", before)
    assert output.evaluate(STICKS_OUT) == []
    scratch.page.screenshot(path=PICTURES / "widget.png")
    assert scratch.seen == Seen()
    scratch.page.close()


def test_nbgraders_validate_button_works(lesson: Notebook) -> None:
    answer(lesson, RIGHT)
    lesson.page.get_by_role("button", name="Validate").click()
    said = lesson.page.get_by_role("dialog")
    expect(said).to_contain_text("check_unfreeze_to(unfreeze_to)", timeout=90_000)
    expect(said).not_to_contain_text("check_freeze(freeze)")
    lesson.page.screenshot(path=PICTURES / "validate.png")
    said.get_by_role("button", name="Ok").click()


def test_nbgraders_assignment_list_fetches_and_submits(lesson: Notebook, seat: Seat) -> None:
    answer(lesson, RIGHT)
    lesson.saved()
    page = lesson.page
    page.get_by_role("menuitem", name="Nbgrader").click()
    page.get_by_role("menuitem", name="Assignment List").click()
    page.wait_for_timeout(5000)
    print(page.locator("#nbgrader-assignment-list").inner_html())
    page.screenshot(path=PICTURES / "assignments.png")
