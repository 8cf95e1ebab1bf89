"""Every control of the live widgets, operated in JupyterLab and in Voila: what changes."""

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from browser import ARGUMENTS
from servers import READY, RUN, SECONDS, lab, notebook, voila

CELLS = (
    "import os\nos.environ['VX_CACHE'] = {cache!r}\nfrom vxhelpers import live",
    "live.explore(clips=2)",
    "live.workbench(amounts=live.SetCounts(6, 3, 6), "
    "source=live.Source('ground truth', ['racket', 'person']))",
    "live.browse(clips=4, randoms=3, groups=3, test=2)",
)
TOLD = """root => ({
    alts: [...root.querySelectorAll("figure img")].map(i => i.alt),
    pictures: [...root.querySelectorAll("figure img")].map(i => i.src),
    status: root.querySelector("[role=status], [role=alert]")?.textContent ?? "",
    alert: root.querySelector("[role=alert]")?.textContent ?? "",
    rows: [...root.querySelectorAll("tbody tr")].map(
        r => [...r.cells].map(c => c.textContent.trim())),
    text: root.textContent,
})"""


class Widget:
    """One of the widgets on the page."""

    def __init__(self, page: Any, name: str) -> None:
        self.page, self.root = page, page.locator(f".vx-{name}")

    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = self.root.evaluate(TOLD)
        return found

    def until(self, holds: Callable[[dict[str, Any]], Any], seconds: float = 60) -> dict[str, Any]:
        """Wait until what is shown fulfils a condition; give what is shown."""
        end = time.monotonic() + seconds
        while not holds(told := self.told()):
            short = {k: v for k, v in told.items() if k not in ("pictures", "text")}
            assert time.monotonic() < end, short
            time.sleep(0.05)
        return told

    def choose(self, label: str, option: str) -> None:
        control = self.root.locator(".widget-dropdown, .widget-select-multiple", has_text=label)
        control.first.locator("select").select_option(label=option)

    def press(self, label: str, key: str) -> None:
        """Move a slider, with the keyboard."""
        slider = self.root.locator(".widget-slider", has_text=label)
        slider.first.locator(".noUi-handle").press(key)

    def options(self, place: int) -> list[str]:
        """What one of the lists offers; blanks there are such as do not break a line."""
        found = self.root.locator("select").nth(place).locator("option").all_inner_texts()
        return [text.replace("\xa0", " ") for text in found]

    def click(self, name: str) -> None:
        self.root.get_by_role("button", name=name, exact=True).first.click()

    def play(self) -> None:
        self.root.locator(".widget-play button").first.click()

    def box(self, name: str) -> Any:
        return self.root.get_by_label(name, exact=True)


@contextmanager
def opened(kind: str, home: Path, cache: str) -> Iterator[Any]:
    """A page with the three widgets; it asks for nothing outside and complains of nothing."""
    pytest.importorskip({"lab": "jupyterlab"}.get(kind, kind), reason=f"{kind} is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed: the widgets were not driven in a browser")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    (home / "notebooks").mkdir()
    cells = (CELLS[0].format(cache=cache), *CELLS[1:])
    (home / "notebooks" / "live.ipynb").write_text(notebook(*cells))
    served = {"lab": lab, "voila": voila}[kind](home / "home", home / "notebooks")
    with served as address, sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 3000})
        page.set_default_timeout(1000 * SECONDS)
        asked: list[str] = []
        complaints: list[str] = []
        page.on("request", lambda r: asked.append(r.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda m: m.type == "error" and complaints.append(m.text))
        if kind == "lab":
            page.goto(f"{address}/lab/tree/live.ipynb?token=secret")
            page.wait_for_function(READY)
            assert page.evaluate(RUN) == len(CELLS)
        else:
            page.goto(f"{address}/voila/render/live.ipynb", wait_until="commit")
        for name in ("explore", "workbench", "browse"):
            page.wait_for_selector(f".vx-{name} img")
        yield page
        browser.close()
    near = (address, address.replace("http", "ws"), "data:", "blob:")
    assert [url for url in asked if not url.startswith(near)] == []
    assert complaints == []


def _the_explorer(page: Any) -> None:
    widget = Widget(page, "explore")
    first = widget.until(lambda t: len(t["alts"]) == 2 and "Grad-CAM" in t["status"])
    assert all("frame 9 of 16" in alt and "as it is" in alt for alt in first["alts"])
    assert [row[0] for row in first["rows"]].count("playing tennis") == 1

    for edit in ("reversed", "frozen", "shuffled"):
        widget.click(edit)
        found = widget.until(lambda t, edit=edit: len(t["alts"]) == 4 and edit in t["alts"][3])
        assert found["pictures"][:1] == first["pictures"][:1]
        found = widget.until(lambda t: "Rank correlation" in t["text"])
        assert re.search(r"[+−]0\.\d\d\d", found["rows"][0][2])
    widget.click("as it is")
    back = widget.until(lambda t: len(t["alts"]) == 2 and "kept, no pass" in t["status"])
    assert back["pictures"] == first["pictures"]

    widget.press("Frame", "ArrowRight")
    moved = widget.until(lambda t: "frame 10 of 16" in t["alts"][1])
    assert moved["pictures"][0] != first["pictures"][0]
    widget.press("Opacity", "ArrowLeft")
    faded = widget.until(lambda t: t["pictures"][1] != moved["pictures"][1])
    assert faded["pictures"][0] == moved["pictures"][0] and faded["alts"] == moved["alts"]
    widget.play()
    widget.until(lambda t: "frame 10 of 16" not in t["alts"][0])
    widget.play()  # pauses

    widget.choose("Layer", "layer1")
    widget.until(lambda t: "Grad-CAM at layer1" in t["alts"][1] and "no pass" in t["status"])
    widget.choose("Class explained", "dancing")
    widget.until(lambda t: "for dancing" in t["alts"][1])
    options = widget.options(1)
    widget.choose("Clip", options[-1])
    widget.until(lambda t: options[-1] in t["alts"][0])

    before = widget.told()
    widget.choose("Network", "stage_c3d, tennis")
    widget.until(lambda t: t["rows"] != before["rows"])
    widget.choose("Method", "saliency tubes")
    failed = widget.until(lambda t: "use Grad-CAM" in t["alert"])
    assert failed["alts"] == []
    widget.choose("Method", "edge filter (network-independent)")
    widget.until(lambda t: t["alts"] and "edge filter" in t["alts"][1])
    assert widget.root.get_by_label("Layer").is_disabled()


def _the_explorer_does_not_freeze_or_queue(page: Any) -> None:
    widget = Widget(page, "explore")
    widget.choose("Method", "RISE (300 passes)")
    widget.until(lambda t: "up to 300 inputs" in t["status"])
    bar = widget.root.locator(".widget-hprogress")
    page.wait_for_function(
        """bar => getComputedStyle(bar).visibility == "visible"
            && parseFloat(bar.querySelector(".progress-bar, .progress > div").style.width) > 0""",
        arg=bar.element_handle(),
    )
    # Frames are still drawn while it works, and another method stops it.
    at = widget.told()["alts"][0]
    widget.press("Frame", "Home")
    widget.until(lambda t: t["alts"][0] != at and "frame 1 of 16" in t["alts"][0])
    widget.choose("Method", "Grad-CAM")
    start = time.monotonic()
    widget.until(lambda t: t["status"].startswith("Grad-CAM:"))
    assert time.monotonic() - start < 20
    assert not widget.root.get_by_label("Layer").is_disabled()
    for _ in range(4):  # quick moves: the last one counts
        for key in ("End", "Home"):
            widget.press("Frame", key)
    widget.press("Frame", "End")
    widget.until(lambda t: "frame 16 of 16" in t["alts"][0], seconds=20)
    time.sleep(1)
    assert "frame 16 of 16" in widget.told()["alts"][0]


def _the_workbench(page: Any) -> None:
    widget = Widget(page, "workbench")
    first = widget.until(lambda t: "racket dynamic: 6 clips against 3" in t["status"])
    assert len(first["rows"]) == 4 and "accuracy" in first["text"]
    thumbs = widget.root.locator("img:visible")
    assert thumbs.count() == 6
    assert "Clip 1 of racket dynamic: first" in thumbs.first.get_attribute("alt")

    widget.box("clip 1").uncheck()
    fewer = widget.until(lambda t: "5 clips against" in t["status"])
    assert "no pass" in fewer["status"] and "(" in fewer["rows"][0][4]  # the change
    assert fewer["rows"] != first["rows"]
    widget.box("clip 1").check()
    assert widget.until(lambda t: "6 clips against" in t["status"])["rows"] == first["rows"]
    for k in (1, 2, 3):
        widget.box(f"clip {k}").uncheck()
    widget.until(lambda t: "take some back" in t["alert"])
    widget.click("Take all clips back")
    assert widget.until(lambda t: "6 clips against" in t["status"])["rows"] == first["rows"]
    assert widget.box("clip 3").is_checked()

    seen = [first["rows"]]
    for solver in ("logistic",):
        widget.choose("Solver", solver)
        seen.append(widget.until(lambda t: t["rows"] and t["rows"] not in seen)["rows"])
    widget.choose("Solver", "mean")
    widget.until(lambda t: t["rows"] == first["rows"])
    widget.press("Random sets", "ArrowLeft")
    widget.until(lambda t: "against 2 random sets" in t["status"])
    widget.choose("Layers", "layer2")
    assert [row[0] for row in widget.until(lambda t: len(t["rows"]) == 1)["rows"]] == ["layer2"]
    widget.choose("Concept", "person dynamic")
    widget.until(lambda t: "person dynamic" in t["status"])
    widget.click("static")
    widget.until(lambda t: "racket static: 6 clips" in t["status"])
    page.wait_for_selector(".vx-workbench img[alt='Clip 1 of racket static: one frame, repeated.']")


def _the_browser(page: Any) -> None:
    widget = Widget(page, "browse")
    first = widget.until(lambda t: "ranks 1, 2, 3 added" in t["status"])
    assert len(first["alts"]) == 2 and "frame 9 of 16" in first["alts"][0]
    boxes = widget.root.locator("input[type=checkbox]")
    assert boxes.count() >= 4

    widget.box("rank 1").uncheck()
    fewer = widget.until(lambda t: "ranks 2, 3 added" in t["status"])
    fewer = widget.until(lambda t: t["pictures"][1] != first["pictures"][1])
    assert fewer["pictures"][0] == first["pictures"][0]
    widget.box("rank 1").check()
    widget.until(lambda t: t["pictures"] == first["pictures"])
    widget.click("remove")
    removed = widget.until(lambda t: "removed" in t["status"] and "all but" in t["alts"][1])
    shares = [int(re.search(r"(\d+)% of", t["status"])[1]) for t in (first, removed)]
    assert 99 <= sum(shares) <= 101
    widget.press("q", "Home")
    widget.click("top q")
    whole = widget.until(lambda t: "nothing removed: 100%" in t["status"])
    assert all(row[2] == "+0.000" for row in whole["rows"])
    widget.press("q", "ArrowRight")
    for order, rank in (("least q", boxes.count()), ("top q", 1)):
        widget.click(order)
        widget.until(lambda t, rank=rank: f"ranks {rank} removed" in t["status"])
    drawn = set()
    for _ in range(6):
        widget.click("random q")
        time.sleep(0.4)
        drawn.add(widget.until(lambda t: "ranks" in t["status"])["status"].split(" removed")[0])
    assert len(drawn) > 1
    widget.click("add")
    widget.until(lambda t: " added" in t["status"])
    widget.press("Frame", "ArrowLeft")
    widget.until(lambda t: "frame 8 of 16" in t["alts"][0])
    widget.play()
    widget.until(lambda t: "frame 8 of 16" not in t["alts"][0])
    widget.play()
    options = widget.options(0)
    widget.choose("Clip", options[1])
    widget.until(lambda t: options[1] in t["alts"][1])


def _accessibility(page: Any) -> None:
    """axe-core finds nothing serious: every control has a name, every picture a text."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is missing")
    page.wait_for_selector(".vx-browse .noUi-handle[aria-label=Frame]")
    found = axe.Axe().run(page, context={"include": [[".vx-named"]]}).response
    assert len(found["passes"]) > 5
    serious = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
    assert [(one["id"], one["nodes"][0]["html"]) for one in serious] == []
    texts = page.locator(".vx-named figure img").evaluate_all("all => all.map(i => i.alt)")
    assert texts and all(len(text) > 10 for text in texts)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lab", "voila"])
def test_live_widgets(kind: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One server and one kernel for all: they take longer to start than to be operated."""
    cache = str(tmp_path_factory.getbasetemp() / "live_cache")
    with opened(kind, tmp_path, cache) as page:
        _the_explorer(page)
        _the_explorer_does_not_freeze_or_queue(page)
        _the_workbench(page)
        _the_browser(page)
        _accessibility(page)
