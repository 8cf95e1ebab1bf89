"""The review page: served to nobody else, and used with the keyboard in a browser."""

import http.client
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from browser import visited
from reviewing import BROKEN, IDS, concept_folder, rows

from vxhelpers.errors import InputError
from vxhelpers.live.review_desk import Desk
from vxhelpers.live.review_server import serving

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return concept_folder(tmp_path_factory.mktemp("made") / "rackets")


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "rackets & <b>balls"))


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    with serving(Desk(folder, reviewer="anna")) as url:
        yield url


def ask(
    url: str, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, str, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text, answer.headers


def test_the_page_and_its_messages(address: str, folder: Path) -> None:
    path = urlsplit(address).path
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", address)
    status, page, headers = ask(address, "GET", path)
    assert status == 200 and headers["Cache-Control"] == "no-store"
    assert "<title>Review of rackets &amp; &lt;b&gt;balls</title>" in page
    nonce = re.search(r"script-src 'nonce-([\w-]+)'", headers["Content-Security-Policy"])
    assert nonce and page.count(f'nonce="{nonce[1]}"') == 2
    assert not re.search(r"https?://|\{(css|js|title|nonce)\}", page)
    message = json.dumps({"do": "accept", "clip_id": IDS[0]}).encode()
    status, text, _ = ask(address, "POST", f"{path}ask", message, JSON)
    assert status == 200 and json.loads(text)["accepted"] == 1
    assert rows(folder) == [f"{IDS[0]},accept,anna"]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {}, 404),
        ("GET", "/{wrong}/", {}, 404),
        ("GET", "/{token}", {}, 404),
        ("GET", "/{token}/../review.csv", {}, 404),
        ("GET", "/{token}/", {"Host": "evil.example"}, 403),
        ("GET", "/{token}/", {"Host": "127.0.0.1"}, 403),
        ("POST", "/ask", JSON, 404),
        ("POST", "/{wrong}/ask", JSON, 404),
        ("POST", "/{token}/", JSON, 404),
        ("POST", "/{token}/ask", {}, 415),
        ("POST", "/{token}/ask", {"Content-Type": "text/plain"}, 415),
        ("POST", "/{token}/ask", JSON | {"Host": "evil.example:80"}, 403),
        ("POST", "/{token}/ask", JSON | {"Origin": "http://evil.example"}, 403),
        ("POST", "/{token}/ask", JSON | {"Origin": "null"}, 403),
        ("POST", "/{token}/ask", JSON | {"Content-Length": "9000"}, 413),
        ("POST", "/{token}/ask", JSON | {"Content-Length": "-1"}, 413),
        ("PUT", "/{token}/ask", JSON, 501),
    ],
)
def test_only_the_page_itself_may_ask(
    address: str, folder: Path, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    token = urlsplit(address).path.strip("/")
    wrong = token[:-1] + ("a" if token[-1] != "a" else "b")
    body = json.dumps({"do": "accept", "clip_id": IDS[0]}).encode()
    got, text, _ = ask(address, method, path.format(token=token, wrong=wrong), body, dict(headers))
    assert got == status and token not in text and str(folder) not in text
    assert not (folder / "review.csv").exists()


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b"\xff", b'"accept"'])
def test_messages_that_are_none_are_refused(address: str, body: bytes) -> None:
    status, text, _ = ask(address, "POST", f"{urlsplit(address).path}ask", body, JSON)
    assert (status, text) == (400, "a message is a JSON object\n")


def test_two_servers_have_two_tokens_and_a_taken_port_is_named(folder: Path) -> None:
    desk = Desk(folder)
    with serving(desk) as one, serving(desk) as two:
        assert urlsplit(one).path != urlsplit(two).path
        port = urlsplit(one).port
        with (
            pytest.raises(InputError, match=f"port {port} cannot be used"),
            serving(desk, port=port or 0),
        ):
            pass
    with serving(desk, port=port or 0) as again:
        assert urlsplit(again).port == port


def told(page: Any, text: str) -> None:
    """Wait until the page has come to rest and its status says this."""
    page.wait_for_function(
        """text => document.querySelector(".vx-review:not([aria-busy]) [role=status]")
            ?.textContent.includes(text)""",
        arg=text,
    )


@pytest.mark.slow
def test_a_review_with_the_keyboard_alone(address: str, folder: Path) -> None:
    with visited(address) as (page, asked):
        told(page, "Clip 1 of 4. 0 accepted, 0 rejected, 0 skipped, 4 not seen yet.")
        page.keyboard.press("a")  # the clip has the focus
        told(page, "Accepted and saved. Clip 2 of 4")
        page.keyboard.press("R")
        told(page, "Rejected and saved. Clip 3 of 4")
        assert rows(folder) == [f"{IDS[0]},accept,anna", f"{IDS[1]},reject,anna"]

        problem = page.locator(".vx-problem")
        assert f"{BROKEN}.mkv: cannot be read as a video" in problem.inner_text()
        assert not page.locator("canvas").is_visible()
        page.keyboard.press("a")
        page.wait_for_selector("[role=alert]:text('cannot be accepted')")
        page.keyboard.press("s")
        told(page, "Skipped and saved. Clip 4 of 4")
        assert page.locator("canvas").is_visible() and not problem.is_visible()
        assert not page.locator("[role=alert]").inner_text()

        page.keyboard.press("u")
        told(page, "Taken back and saved. Clip 3 of 4")
        page.keyboard.press("ArrowLeft")
        told(page, "Clip 2 of 4. 1 accepted, 1 rejected")
        assert page.locator(".vx-badge").inner_text() == "rejected"
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == (
            f"Clip 2 of 4: racket dynamic, {IDS[1]}, rejected"
        )
        page.keyboard.press("Control+a")  # the browser's own
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Accept A"
        page.keyboard.press("Enter")  # changes one's mind, with the button
        told(page, "Accepted and saved. Clip 3 of 4. 2 accepted, 0 rejected")

        progress = page.locator("progress")
        assert (progress.get_attribute("max"), progress.get_attribute("value")) == ("4", "2")
        assert {urlsplit(url).path for url in asked} == {
            urlsplit(address).path,
            f"{urlsplit(address).path}ask",
        }
        page.reload()  # resumes where it was
        told(page, "Clip 3 of 4. 2 accepted, 0 rejected, 0 skipped, 2 not seen yet.")
        for key, text in (("r", "Clip 4 of 4"), ("a", "Every clip is decided")):
            page.keyboard.press(key)
            told(page, text)


@pytest.mark.slow
def test_elements_are_in_the_order_in_which_they_are_heard(address: str) -> None:
    with visited(address, width=390) as (page, _):
        told(page, "Clip 1")
        heard = page.locator(
            "h2, progress, [role=status], [role=alert], figure, canvas, button, select, .vx-foot"
        ).evaluate_all("all => all.map(e => e.getAttribute('role') || e.localName)")
        assert heard == [
            *("h2", "progress", "status", "alert", "group", "img"),
            *["button"] * 5,
            *("select", "button", "button", "p"),
        ]
        names = page.locator("button").evaluate_all(
            "all => all.map(e => `${e.textContent}:${e.getAttribute('aria-keyshortcuts')}`)"
        )
        assert names[:5] == [
            "Accept A:A",
            "Reject R:R",
            "Skip S:S",
            "Undo U:U",
            "Pause Space:Space",
        ]
        reached = []
        for _ in range(8):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.textContent.split(' ')[0]"))
        assert reached == [
            *("Accept", "Reject", "Skip", "Undo", "Pause"),
            *("0.25×0.5×1×2×", "Previous", "Next"),
        ]
        assert "racket dynamic: 6 frames, 0.5 seconds" in page.locator("canvas").get_attribute(
            "aria-label"
        )
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width


GREEN = """() => {
    const pen = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    pen.drawImage(document.querySelector("canvas"), 0, 0);
    return pen.getImageData(9, 9, 1, 1).data[1];
}"""


@pytest.mark.slow
def test_clips_play_in_a_loop_and_pause(address: str) -> None:
    with visited(address) as (page, _):
        told(page, "Clip 1")
        for value in (50, 0, 30):  # the last frame, round to the first, and on
            page.wait_for_function(f"value => ({GREEN})() == value", arg=value)
        page.keyboard.press("Space")
        assert page.locator(".vx-play").inner_text() == "Play Space"
        value = page.evaluate(GREEN)
        page.wait_for_timeout(300)
        assert page.evaluate(GREEN) == value


@pytest.mark.slow
def test_nothing_moves_for_a_reader_who_wants_it_so(address: str) -> None:
    with visited(address, still=True, dark=True) as (page, _):
        told(page, "Clip 1")
        page.wait_for_timeout(300)
        assert page.evaluate(GREEN) == 0
        assert page.locator(".vx-play").inner_text() == "Play Space"
        page.keyboard.press("Space")
        page.wait_for_function(f"({GREEN})() > 0")


@pytest.mark.slow
def test_a_press_that_is_held_or_comes_too_early_decides_nothing(
    address: str, folder: Path
) -> None:
    with visited(address) as (page, _):
        told(page, "Clip 1")
        page.evaluate(
            """() => { for (const repeat of [false, true, false, false])
                document.activeElement.dispatchEvent(new KeyboardEvent(
                    "keydown", {key: "a", repeat, bubbles: true})); }"""
        )
        told(page, "Clip 2")
        page.wait_for_timeout(200)
        assert rows(folder) == [f"{IDS[0]},accept,anna"]


@pytest.mark.slow
def test_a_page_without_an_answer_says_so_and_tries_again(address: str, folder: Path) -> None:
    with visited(address) as (page, _):
        told(page, "Clip 1")
        page.evaluate("() => { window.real = fetch; window.fetch = async () => gone; }")
        page.keyboard.press("a")
        page.wait_for_selector("[role=alert]:text('No answer. Every decision that was shown')")
        assert "vx concepts review" in page.locator("[role=alert]").inner_text()
        told(page, "Clip 1")
        page.evaluate("() => { window.fetch = window.real; }")
        page.keyboard.press("a")  # the same clip, once it answers again
        told(page, "Accepted and saved. Clip 2")
        assert not page.locator("[role=alert]").inner_text()
    assert rows(folder) == [f"{IDS[0]},accept,anna"]


@pytest.mark.slow
def test_names_from_files_are_text(tmp_path: Path, made: Path) -> None:
    nasty = "<img src=x onerror=alert(1)>"
    (tmp_path / "set" / nasty).mkdir(parents=True)
    shutil.copy(made / f"clips/{IDS[0]}.mkv", tmp_path / "set" / nasty / "a.mkv")
    with serving(Desk(tmp_path / "set", reviewer=nasty)) as url, visited(url) as (page, _):
        told(page, "Clip 1 of 1")
        assert page.locator(".vx-label").inner_text() == nasty
        assert page.locator("img").count() == 0
