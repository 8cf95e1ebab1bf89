"""What live widgets share, their notebooks, and views without a browser."""

import inspect
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import visited
from servers import voila

from vxhelpers import live
from vxhelpers.book import chapters
from vxhelpers.book.chapters import read_chapter
from vxhelpers.errors import InputError
from vxhelpers.figures.colours import Scale
from vxhelpers.live import base
from vxhelpers.live.base import Latest, Superseded, alert, chances, image, png, table

LIVE = Path(__file__).parents[2] / "book" / "live"
SCRIPTS = sorted(LIVE.glob("*.py"))
NAMES = [script.stem for script in SCRIPTS]


def test_the_last_of_many_requests_alone_is_worked_on() -> None:
    gate, done = threading.Event(), []

    def work(request: int, check: Any) -> None:
        gate.wait(10)
        done.append(request)

    latest = Latest(work, pytest.fail)
    for k in range(50):
        latest.ask(k)
    gate.set()
    assert latest.settle() and done[-1] == 49
    assert len(done) <= 2  # the one at work when the others came, and the last
    latest.ask(50)
    assert latest.settle() and done[-1] == 50
    assert not any(t.name.startswith("Latest") for t in threading.enumerate())


def test_long_work_is_given_up_for_a_newer_request_and_errors_are_told() -> None:
    begun, told, failures = threading.Event(), [], []

    def work(request: str, check: Any) -> None:
        begun.set()
        if request == "bad":
            raise InputError("cannot; do this instead")
        while request == "long":
            check()
            time.sleep(0.01)
        told.append(request)

    latest: Latest[str] = Latest(work, failures.append)
    latest.ask("long")
    assert begun.wait(10)
    assert not latest.settle(0.05)
    latest.ask("short")
    assert latest.settle() and told == ["short"]
    latest.ask("bad")
    assert latest.settle() and [str(e) for e in failures] == ["cannot; do this instead"]
    latest.ask("again")
    assert latest.settle() and told == ["short", "again"]
    assert not issubclass(Superseded, Exception)  # no `except Exception` swallows it


def test_text_is_escaped_and_pictures_are_enlarged_by_whole_numbers() -> None:
    frame = np.arange(10 * 20 * 3, dtype=np.uint8).reshape(10, 20, 3)
    found = image(frame, alt='<b>"x"', side=50)
    assert 'width="40" height="20"' in found and 'alt="&lt;b&gt;&quot;x&quot;"' in found
    assert 'width="20"' in image(frame, alt="", side=5)
    import base64

    import cv2

    data = np.frombuffer(base64.b64decode(png(frame).split(",")[1]), np.uint8)
    np.testing.assert_array_equal(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1], frame)
    assert "&lt;i&gt;" in chances(["<i>", "b"], [0.25, 0.75]) and "<i>" not in alert(
        InputError("<i>")
    )
    assert "ZeroDivisionError" in alert(ZeroDivisionError("x"))
    assert "&lt;th&gt;" in table(["<th>"], [["x"]])
    assert "−2 (blue) to 2 (red)" in base.colour_bar(Scale(-2, 2), "u")


def test_probabilities_are_in_order_with_their_change() -> None:
    found = chances(["a", "b", "c"], [0.2, 0.5, 0.3], [0.3, 0.3, 0.4], strong=0, most=2)
    assert found.index(">b<") < found.index(">a<") and ">c<" not in found
    assert "+0.200" in found and "−0.100" in found and found.count('class="strong"') == 1


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_a_live_notebook_is_one_call_of_its_widget(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chapters.differences(script, script.with_suffix(".ipynb")) == []
    cells = [cell for cell in read_chapter(script).cells if cell.cell_type == "code"]
    assert len(cells) == 2 and cells[0].metadata["tags"] == ["parameters"]
    called: list[str] = []
    for name in live.__all__:
        signature = inspect.signature(getattr(live, name))

        def call(*args: Any, name: str = name, signature: Any = signature, **options: Any) -> None:
            signature.bind(*args, **options)
            called.append(name)

        monkeypatch.setattr(live, name, call)
    exec("\n".join(cell.source for cell in cells), {})
    names = {"explore": "explore", "workbench": "workbench", "browse": "browse"}
    assert called == [names[script.stem]]


@pytest.mark.parametrize("name", ["explore", "workbench", "browse"])
def test_what_is_wrong_stands_in_place_of_the_widget(name: str) -> None:
    build = getattr(live, name)
    for options, text in (
        ({"action": "playing tenis"}, "did you mean &#x27;playing tennis&#x27;"),
        ({"weights": "tenis"}, "did you mean &#x27;tennis&#x27;"),
        ({"dataset": "<b>/none.csv"}, "none.csv"),
    ):
        found = build(**options).value
        assert 'role="alert"' in found and text in found and "<b>" not in found


@pytest.mark.slow
def test_the_list_of_pages_asks_for_nothing(tmp_path: Path) -> None:
    pytest.importorskip("voila", reason="Voila is not installed")
    with (
        voila(tmp_path / "home", LIVE) as address,
        visited(address + "/", width=400, dark=True) as (page, asked),
    ):
        names = page.get_by_role("link").all_inner_texts()
        assert names == ["browse", "explore", "workbench"]
    assert [url for url in asked if not url.startswith(address)] == []
