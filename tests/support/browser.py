"""A real Chromium, what a page does in it that it should not, and how well its words can be read."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api")

OPTIONS = [
    "--no-sandbox",  # root has none
    "--disable-gpu",
    # A browser's own calls home; the last one shuts out whatever else asks for a name.
    "--no-first-run",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@dataclass
class Seen:
    """What a page asked for and said while it was open."""

    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser that the system has; none is ever downloaded."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("There is no Chromium on this machine (Debian: apt install chromium).")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        browser.close()


def watch(page: Any) -> Seen:
    """Notes what a page says from now on; the requests are for the caller to note, who knows which are in order."""
    seen = Seen()

    def dialog(one: Any) -> None:
        seen.dialogs.append(one.message)
        one.dismiss()

    page.on("dialog", dialog)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("console", lambda said: seen.errors.append(said.text) if said.type == "error" else None)
    return seen


@contextmanager
def opened(browser: Any, path: Path, width: int = 1280, **options: Any) -> Iterator[tuple[Any, Seen]]:
    """A file shown in a page that can reach nothing, and what the page tried."""
    context = browser.new_context(viewport={"width": width, "height": 900}, **options)
    page = context.new_page()
    seen = watch(page)
    own = path.as_uri()

    def reach(route: Any) -> None:
        url = route.request.url
        if url.split("#")[0] == own or url.startswith("data:"):
            route.continue_()
        else:
            seen.requests.append(url)
            route.abort()

    context.route("**/*", reach)
    page.goto(own)
    page.wait_for_load_state("load")
    yield page, seen
    context.close()


def contrasts(part: Any) -> list[tuple[float, str]]:
    """Of every text in a part of a page: its contrast against what is behind it, from 1 to 21, and its words.

    WCAG 2.2 asks for 4.5 (1.4.3). Transparent colours are laid over what is below them.
    """
    return [(ratio, words) for ratio, words in part.evaluate(_CONTRASTS)]


_CONTRASTS = """(part) => {
    const pen = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
    const colour = (css) => {
        pen.clearRect(0, 0, 1, 1);
        pen.fillStyle = css;
        pen.fillRect(0, 0, 1, 1);
        const [r, g, b, alpha] = pen.getImageData(0, 0, 1, 1).data;
        return {rgb: [r, g, b], alpha: alpha / 255};
    };
    const over = (top, alpha, below) => top.map((value, i) => value * alpha + below[i] * (1 - alpha));
    const linear = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const around = (node) => node ? [...around(node.parentElement), node] : [];
    const found = [], texts = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
    for (let text; (text = texts.nextNode());) {
        if (!text.data.trim() || !text.parentElement.checkVisibility()) continue;
        let ground = [255, 255, 255], opacity = 1;
        for (const node of around(text.parentElement)) {
            const style = getComputedStyle(node), own = colour(style.backgroundColor);
            ground = over(own.rgb, own.alpha, ground);
            opacity *= style.opacity;
        }
        const ink = colour(getComputedStyle(text.parentElement).color);
        const [light, dark] = [luminance(over(ink.rgb, ink.alpha * opacity, ground)), luminance(ground)].sort(
            (a, b) => b - a);
        found.push([(light + 0.05) / (dark + 0.05), text.data.trim()]);
    }
    return found;
}"""
