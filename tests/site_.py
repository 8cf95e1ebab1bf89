"""A built book in headless Chromium: every page opened, everything it asks for or says noted.

    python tests/site_.py build/html

does so with a whole book, from the disk and over http, at three widths, light and dark, and prints
what axe-core finds.
"""

import shutil
import sys
import threading
from collections import Counter
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
    site: Path, base: str, *, width: int, dark: bool, still: bool = False
) -> Iterator[Iterator[tuple[str, Any]]]:
    """Give every page of a site, opened in turn; fail if one asks elsewhere or complains.

    ``still`` is a reader who wants nothing to move.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed: the book was not opened in a browser")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    asked: list[str] = []
    complaints: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce" if still else "no-preference",
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


def barriers(page: Any, *, impacts: tuple[str, ...] = ("serious", "critical")) -> list[str]:
    """What axe-core finds on a page that keeps readers out: rule, impact and the first element."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-core is not installed"
    )
    options = {"resultTypes": ["violations"], "preload": False}  # files may not read each other
    found = axe.Axe().run(page, options=options).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}, {len(rule['nodes'])}): {rule['nodes'][0]['html'][:200]}"
        for rule in found
        if rule["impact"] in impacts
    ]


def wide(page: Any, width: int) -> bool:
    """Whether a page scrolls sideways as a whole."""
    return bool(page.evaluate("document.documentElement.scrollWidth") > width)


def main(site: Path) -> None:
    """Check a whole book; print counts, and fail if there is anything to mend."""
    found: Counter[str] = Counter()
    with served(site) as http:
        for base in (site.resolve().as_uri(), http):
            for width, dark in ((390, True), (800, False), (1280, False), (1280, True)):
                with visited(site, base, width=width, dark=dark, still=True) as pages:
                    count = 0
                    for name, page in pages:
                        count += 1
                        if wide(page, width):
                            found[f"{name} is wider than {width}"] += 1
                        if base != http and width != 800:
                            found.update(f"{name}: {told}" for told in barriers(page))
                print(
                    f"{count} pages, {width} wide, {'dark' if dark else 'light'}, {base[:4]}",
                    flush=True,
                )
    print("\n".join(f"{n} x {told}" for told, n in found.most_common()) or "nothing to mend")
    sys.exit(bool(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
