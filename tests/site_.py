"""A built book in headless Chromium: every page opened, everything it asks for or says noted."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from browser import ARGUMENTS


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        """Say nothing of each request."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on the loopback address; give its base address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def visited(
    site: Path, base: str, *, width: int, dark: bool
) -> Iterator[Iterator[tuple[str, Any]]]:
    """Give every page of a site, opened in turn; fail if one asks elsewhere or complains."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed: the book was not opened in a browser")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    asked: list[str] = []
    complaints: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
        )
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        page.on(
            "console",
            lambda m: m.type in ("error", "warning") and complaints.append(f"{page.url}: {m.text}"),
        )

        def pages() -> Iterator[tuple[str, Any]]:
            for file in sorted(site.rglob("*.html")):
                name = file.relative_to(site).as_posix()
                if name != "index.html":  # leads on at once
                    page.goto(f"{base}/{name}", wait_until="load")
                    yield name, page

        yield pages()
        browser.close()
    outside = [url for url in asked if not url.startswith((base, "data:", "blob:"))]
    assert not outside, outside
    assert not complaints, complaints
