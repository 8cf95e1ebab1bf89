"""The review widget: its messages, and a review in a real JupyterLab whose kernel is killed."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import ARGUMENTS
from reviewing import BROKEN, IDS, concept_folder, rows
from servers import READY, RUN, SECONDS, lab, notebook

from vxhelpers import live
from vxhelpers.errors import InputError, ManifestError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return concept_folder(tmp_path_factory.mktemp("made") / "rackets")


def test_a_message_is_answered_to_the_view_that_sent_it(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "rackets"))
    widget: Any = live.review(copy, reviewer="anna")
    sent: list[Any] = []
    monkeypatch.setattr(type(widget), "send", lambda _, content: sent.append(content))
    message = {"do": "reject", "clip_id": IDS[1]}
    widget._handle_custom_msg({"view": "v", "number": 3, "message": message}, [])
    assert (sent[0]["view"], sent[0]["number"]) == ("v", 3)
    assert sent[0]["answer"]["clip_id"] == BROKEN and rows(copy) == [f"{IDS[1]},reject,anna"]
    widget._handle_custom_msg({"number": 4}, [])
    assert "unknown clip" in sent[1]["answer"]["error"]
    assert "export default" in widget._esm and ".vx-review" in widget._css


def test_what_cannot_be_reviewed_is_said_in_the_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ManifestError, match="holds no video"):
        live.review(tmp_path)
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(InputError, match=r"needs anywidget: install vxhelpers\[book\]"):
        live.review(tmp_path)


CELL = """import os
from pathlib import Path
from vxhelpers import live
Path("pid").write_text(str(os.getpid()))
live.review({folder!r}, reviewer="anna")"""


@pytest.fixture
def address(tmp_path: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """A JupyterLab with settings of its own: a notebook's address, and the folder it runs in."""
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed")
    copy = Path(shutil.copytree(folder, tmp_path / "rackets"))
    home = tmp_path / "notebooks"
    home.mkdir()
    (home / "review.ipynb").write_text(notebook(CELL.format(folder=str(copy))))
    with lab(tmp_path / "home", home) as server:
        yield f"{server}/lab/tree/review.ipynb?token=secret", home


@pytest.mark.slow
def test_a_review_survives_the_death_of_its_kernel(
    address: tuple[str, Path], tmp_path: Path
) -> None:
    """Accept, reject, undo, `kill -9` of the kernel, restart, resume: no decision is lost."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed: the widget was not driven in a browser")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    url, home = address
    folder = tmp_path / "rackets"
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(1000 * SECONDS)
        page.goto(url)
        page.wait_for_function(READY)
        assert page.evaluate(RUN) == 1

        def told(text: str) -> None:
            page.wait_for_function(
                """text => document.querySelector(".vx-review:not([aria-busy]) [role=status]")
                    ?.textContent.includes(text)""",
                arg=text,
            )

        told("Clip 1 of 4. 0 accepted, 0 rejected")
        page.locator(".vx-label").click()
        for key, text in (
            ("a", "Accepted and saved. Clip 2"),
            ("r", "Rejected and saved. Clip 3"),
            ("u", "Taken back and saved. Clip 2"),
            ("r", "Rejected and saved. Clip 3"),
            ("s", "Skipped and saved. Clip 4"),
        ):
            page.keyboard.press(key)
            told(text)
        # The notebook's own keys (A: insert a cell) did not see any of it.
        assert page.evaluate("jupyterapp.shell.currentWidget.content.widgets.length") == 1
        decided = [f"{IDS[0]},accept,anna", f"{IDS[1]},reject,anna", f"{BROKEN},skip,anna"]
        assert rows(folder) == decided

        kernel = int((home / "pid").read_text())
        os.kill(kernel, signal.SIGKILL)
        # Nobody hears it, and the page does not pretend otherwise.
        page.locator(".vx-accept").dispatch_event("click")
        page.wait_for_selector("[role=alert]:text('No answer yet.')")
        assert rows(folder) == decided
        page.locator(".jp-Dialog .jp-mod-accept").click()  # "the kernel appears to have died"
        page.wait_for_function(f"{READY}.session?.kernel?.status == 'idle'")
        assert page.evaluate(RUN) == 1

        told("Clip 4 of 4. 1 accepted, 1 rejected, 1 skipped, 1 not seen yet.")
        assert int((home / "pid").read_text()) != kernel
        page.locator(".vx-label").click()
        page.keyboard.press("u")  # takes back what the killed kernel wrote
        told("Taken back and saved. Clip 3 of 4. 1 accepted, 1 rejected, 0 skipped")
        page.keyboard.press("r")
        told("Clip 4 of 4. 1 accepted, 2 rejected, 0 skipped, 1 not seen yet.")
        assert rows(folder) == [*decided[:2], f"{BROKEN},reject,anna"]
        browser.close()
