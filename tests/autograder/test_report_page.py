"""The report's page in a real Chromium: nothing runs, nothing is loaded, nothing sticks out."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from autograder.cli import main
from autograder.report import data, page
from autograder.verdict import State, Verdict
from browser import chromium, opened
from report_course import NAMES, make_course, submit

HOSTILE = [
    "<script>alert(1)<",
    "<img src=x onerror=alert(2)>",
    '"><svg onload=alert(3)>',
    "{{7*7}}{% raw %}",
    "javascript:alert(4)",
    "\u202egnp.exe\u2066",
    "a" * 120,
]
MESSAGES = [
    "<script>alert(5)</script>",
    "</style></title></script><script>alert(6)</script>",
    "<a href='javascript:alert(7)'>x</a> {{ 7 * 7 }}",
    "\u202e)8(trela <iframe src='https://e.org'></iframe>",
    "']]>--><img src='https://e.org/9.png' onerror='alert(9)'>",
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, cells: SimpleNamespace) -> Path:
    """A course of 40 graded submissions."""
    made = tmp_path_factory.mktemp("report")
    make_course(made, cells, 40)
    return made


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def report(root: Path) -> Path:
    said = CliRunner().invoke(main, ["report", "ps1", "--course-dir", str(root)])
    assert said.exit_code == 0, said.output
    return root / "reports" / "ps1.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_the_page_is_whole_at_every_width(browser: Any, report: Path, width: int, scheme: str) -> None:
    with opened(browser, report, width, color_scheme=scheme) as (shown, seen):
        assert (seen.requests, seen.dialogs, seen.errors) == ([], [], [])
        assert shown.evaluate("document.scrollingElement.scrollWidth") <= width
        headings = shown.locator("h2").all_inner_texts()
        assert headings[:4] == ["Scores", "Exercises", "Misconceptions", "Who needs a look"]
        assert shown.locator("svg[role=img][aria-label]").count() == shown.locator("svg").count() >= 10
        assert shown.locator("svg title").count() > 100
        clipped = shown.evaluate(
            """() => [...document.querySelectorAll("svg text")].filter((text) => {
                const own = text.getBoundingClientRect(), all = text.ownerSVGElement.getBoundingClientRect();
                return own.width && (own.left < -1 || own.right > innerWidth + 1 || own.bottom > all.bottom + 1);
            }).map((text) => text.textContent)"""
        )
        assert clipped == []
        assert shown.screenshot(full_page=True, path=report.with_name(f"{width}-{scheme}.png"))


def test_the_page_reads_without_a_script_and_sorts_with_one(browser: Any, report: Path) -> None:
    with opened(browser, report, java_script_enabled=False) as (shown, _):
        assert shown.locator("#register ~ .box tbody tr").count() == 40
        assert shown.locator("button").count() == 0
    with opened(browser, report) as (shown, seen):
        table = shown.get_by_role("region", name="Table 4").locator("table")
        points = [float(text) for text in table.locator("tbody td:nth-child(2)").all_inner_texts()]
        assert points == sorted(points, reverse=True)
        table.get_by_role("button", name="total").click()
        again = [float(text) for text in table.locator("tbody td:nth-child(2)").all_inner_texts()]
        assert again == sorted(points) and table.locator("th").nth(1).get_attribute("aria-sort") == "ascending"
        assert seen.errors == []


def test_text_stands_out_from_its_ground(browser: Any, report: Path) -> None:
    """At least 4.5 to 1 (WCAG 2.2, 1.4.3) for words, and 3 to 1 for marks, in both schemes."""
    contrast = """() => {
        const channel = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
        const light = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map(channel);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
        const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((m, n) => n - m);
            return (x + 0.05) / (y + 0.05); };
        const paper = getComputedStyle(document.body).backgroundColor;
        const words = [...document.querySelectorAll("p, td, caption, a, footer, .over, h2")].map(
            (one) => ratio(getComputedStyle(one).color, paper));
        const marks = [...document.querySelectorAll(".chip")].map((one) => {
            const style = getComputedStyle(one); return ratio(style.color, style.backgroundColor); });
        return [Math.min(...words), Math.min(...marks)];
    }"""
    for scheme in ("light", "dark"):
        with opened(browser, report, color_scheme=scheme) as (shown, _):
            words, marks = shown.evaluate(contrast)
            assert words >= 4.5 and marks >= 3, scheme


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, cells: SimpleNamespace) -> Path:
    """A course whose students, and whose tests' words, try to get into the page."""
    made = tmp_path_factory.mktemp("hostile")
    make_course(made, cells, 1)
    for number, student in enumerate(HOSTILE):
        text = MESSAGES[number % len(MESSAGES)]
        verdicts = [
            Verdict(f"check-{n}", State.FAILED, 0.0, 3.0, text, text if number % 2 else None) for n in NAMES[:1]
        ]
        submit(made, student.replace("/", "\u2215"), verdicts)
    return made


@pytest.mark.parametrize("width", [1280, 375])
def test_what_submissions_say_is_text(browser: Any, hostile: Path, width: int) -> None:
    found = data.gather(data.layout.open_course(hostile), "ps1")
    path = hostile / "page.html"
    path.write_text(page.page(found), encoding="utf-8")
    with opened(browser, path, width) as (shown, seen):
        text = shown.locator("body").inner_text()
        for student in HOSTILE:
            assert student in text
        for message in MESSAGES:
            assert message.strip() in text
        written = re.sub(r"\d{4}-\d{2}-\d{2}, \d{2}:\d{2}", "", text)  # a clock says 49, too
        assert "49" not in re.findall(r"\b49\b", written)
        assert shown.locator("img, iframe, a[href^=javascript], [onload], [onerror]").count() == 0
        assert shown.locator("script").count() == 1
        assert shown.evaluate("document.scrollingElement.scrollWidth") <= width
        assert (seen.requests, seen.dialogs, seen.errors) == ([], [], [])


def test_an_unescaped_script_would_not_run_either(browser: Any, report: Path, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(
        report.read_text().replace("</main>", "<img src=x onerror=alert(1)><script>alert(2)</script></main>")
    )
    with opened(browser, path) as (_, seen):
        assert seen.dialogs == [] and seen.requests == [] and len(seen.errors) >= 2  # the policy's complaints
