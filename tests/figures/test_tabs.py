"""Choices: what is in the fragment, and operated in a browser, on paper and without script."""

import html
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from browser import opened

from vxhelpers.errors import InputError
from vxhelpers.figures.player import player
from vxhelpers.figures.tabs import Choice, choice


@dataclass(frozen=True)
class Words:
    """A figure of words, with a picture that has an alternative text."""

    text: str

    def _repr_html_(self) -> str:
        return f'<p class="words">{self.text}</p><img alt="of {self.text}" src="data:,">'


ONE = {name: Words(name) for name in ("C3D", "R3D", "Swin")}
TWO = {
    ("C3D", "where"): Words("C3D where"),
    ("C3D", "when"): Words("C3D when"),
    ("R3D", "when"): Words("R3D when"),
    ("R3D", "what"): Words("R3D what"),
}


def write(path: Path, *shown: Choice) -> Path:
    body = "".join(one._repr_html_() for one in shown)
    path.write_text(f"<!doctype html><meta charset=utf-8><body>{body}</body>", encoding="utf-8")
    return path


def seen(page: object) -> list[str]:
    return [one.inner_text() for one in page.locator(".words:visible").all()]  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_reader_chooses_with_the_mouse_and_with_the_keyboard(tmp_path: Path) -> None:
    page_file = write(tmp_path / "a.html", choice(ONE, legend="Network", start="R3D"))
    with opened(page_file) as page:
        assert seen(page) == ["R3D"]
        page.get_by_label("Network").select_option("Swin")
        assert seen(page) == ["Swin"]
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.tagName") == "SELECT"
        page.keyboard.press("ArrowUp")
        assert seen(page) == ["R3D"]
        group = page.get_by_role("group", name="R3D")
        assert group.count() == 1
        assert group.get_by_role("img", name="of R3D").count() == 1
        assert page.get_by_role("img", name="of Swin").count() == 0


@pytest.mark.slow
def test_the_second_list_offers_what_goes_with_the_first(tmp_path: Path) -> None:
    page_file = write(tmp_path / "a.html", choice(TWO, legend=("Network", "Question")))
    with opened(page_file) as page:
        question = page.get_by_label("Question")

        def offered() -> list[str]:
            return question.locator("option:not([disabled])").all_inner_texts()

        assert seen(page) == ["C3D where"]
        assert offered() == ["where", "when"]
        question.select_option("when")
        page.get_by_label("Network").select_option("R3D")
        assert seen(page) == ["R3D when"]  # the question is kept
        assert offered() == ["when", "what"]
        question.select_option("what")
        page.get_by_label("Network").select_option("C3D")
        assert seen(page) == ["C3D where"]  # C3D has no answer to what: its first
        assert question.input_value() == "where"


@pytest.mark.slow
def test_choices_on_one_page_and_within_each_other_do_not_disturb_each_other(
    tmp_path: Path,
) -> None:
    inner = choice(ONE, legend="Network")
    outer = choice({"all": Words("all"), "each": inner}, legend="View", start="each")
    with opened(write(tmp_path / "a.html", outer, choice(ONE, legend="Other"))) as page:
        assert seen(page) == ["C3D", "C3D"]
        page.get_by_label("Network").select_option("R3D")
        page.get_by_label("Other").select_option("Swin")
        assert seen(page) == ["R3D", "Swin"]
        page.get_by_label("View").select_option("all")
        assert seen(page) == ["all", "Swin"]


@pytest.mark.slow
def test_all_are_shown_without_script_and_on_paper(tmp_path: Path) -> None:
    page_file = write(tmp_path / "a.html", choice(ONE, legend="Network"))
    with opened(page_file) as page:
        page.emulate_media(media="print")
        assert seen(page) == [*ONE]
        assert not page.get_by_label("Network").is_visible()
        names = page.locator(".vx-name:visible").all_inner_texts()
        assert names == [*ONE]
    text = page_file.read_text()
    page_file.write_text(re.sub("<script>.*?</script>", "", text, flags=re.DOTALL))
    with opened(page_file) as page:
        assert seen(page) == [*ONE]
        assert not page.locator("select").is_visible()


@pytest.mark.slow
def test_a_hidden_player_starts_when_it_is_chosen(tmp_path: Path) -> None:
    frames = np.zeros((4, 16, 16, 3), np.uint8)
    players = {name: player(frames, fps=4, title=name, alt=name) for name in ("one", "two")}
    with opened(write(tmp_path / "a.html", choice(players, legend="Clip"))) as page:
        page.wait_for_selector(".vx-chosen .vx-on")
        page.wait_for_timeout(200)
        assert page.locator(".vx-on").count() == 1
        page.get_by_label("Clip").select_option("two")
        page.wait_for_selector(".vx-chosen .vx-on >> text=two")
        page.locator(".vx-chosen .vx-frame").fill("3")
        assert page.locator(".vx-chosen .vx-time").inner_text().startswith("4/4")


@pytest.mark.slow
def test_nothing_is_wider_than_a_phone(tmp_path: Path) -> None:
    long = {"long " * 60: Words("a"), "b": Words("b")}
    page_file = write(tmp_path / "a.html", choice(long, legend="Network"))
    with opened(page_file, width=390) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_names_are_shown_literally() -> None:
    nasty = "</select><script>alert(1)</script>\"'&"
    text = choice({nasty: Words("a")}, legend=nasty)._repr_html_()
    assert "alert(1)" in html.unescape(text)
    assert "<script>alert" not in text
    assert text.count("<script>") == 1


def test_the_fragment_has_no_ids_no_globals_and_no_addresses() -> None:
    text = choice(TWO, legend=("Network", "Question"))._repr_html_()
    assert not re.search(r"\bid=|https?:|url\(|\bon\w+=\"|window\.|@import", text)


@pytest.mark.parametrize(
    ("options", "legend", "start", "said"),
    [
        ({}, "Network", None, "needs at least one figure"),
        ({("a", "b"): Words("")}, "Network", None, r"\('a', 'b'\): needs a name for each"),
        ({" ": Words("")}, "Network", None, "needs a name"),
        ({"a": Words("")}, "Network", "b", r"start \('b',\) is not among \('a',\)"),
    ],
)
def test_what_is_wrong_is_named(
    options: dict[str, Words], legend: str, start: str | None, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        choice(options, legend=legend, start=start)
