"""A real Chromium, and what a page does in it that it should not."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api")


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
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, path: Path, width: int = 1280, **options: Any) -> Iterator[tuple[Any, Seen]]:
    """A file shown in a page that can reach nothing, and what the page tried."""
    context = browser.new_context(viewport={"width": width, "height": 900}, **options)
    page, seen = context.new_page(), Seen()
    own = path.as_uri()

    def reach(route: Any) -> None:
        url = route.request.url
        if url.split("#")[0] == own or url.startswith("data:"):
            route.continue_()
        else:
            seen.requests.append(url)
            route.abort()

    def dialog(one: Any) -> None:
        seen.dialogs.append(one.message)
        one.dismiss()

    context.route("**/*", reach)
    page.on("dialog", dialog)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("console", lambda said: seen.errors.append(said.text) if said.type == "error" else None)
    page.goto(own)
    page.wait_for_load_state("load")
    yield page, seen
    context.close()
