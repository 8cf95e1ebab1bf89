"""Pages opened in a headless Chromium, with everything that a page asks for or complains of."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@contextmanager
def opened(page_file: Path, *, width: int = 1200, dark: bool = False) -> Iterator[Any]:
    """Open a file; fail if it asked for anything but itself or wrote an error on the console."""
    with visited(page_file.as_uri(), width=width, dark=dark) as (page, asked):
        yield page
    assert asked == [page_file.as_uri()]


@contextmanager
def visited(
    url: str, *, width: int = 1200, dark: bool = False, still: bool = False
) -> Iterator[tuple[Any, list[str]]]:
    """Open an address; give the page and what it asks for; fail on an error on the console.

    ``still`` is a reader who wants nothing to move.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed: the page was not opened in a browser")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    asked: list[str] = []
    complaints: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce" if still else "no-preference",
        )
        page.on("request", lambda r: r.url.startswith("data:") or asked.append(r.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda m: m.type in ("error", "warning") and complaints.append(m.text))
        page.goto(url)
        yield page, asked
        browser.close()
    assert complaints == []
