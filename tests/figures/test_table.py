"""Tables: what is in the fragment, and sorted and filtered in a browser, and without script."""

import re
from pathlib import Path

import numpy as np
import pytest
from browser import opened

from vxhelpers.errors import InputError
from vxhelpers.figures.table import Table, table

NAMES = ("walking", "clip 10", "clip 9", '<b>bold</b> & "quoted"')
RELIANCES = ((0.5, 0.4, 0.6), None, (-0.25, -0.3, -0.2), (10.0, 9.0, 11.0))


def example(**options: object) -> Table:
    columns = {
        "Class": NAMES,
        "Motion": RELIANCES,
        "Clips": (12, 5, 30, 7),
        "Says": ("b", "a", "c", ""),
    }
    links = ("walking/networks.html", None, "a b/x.html", "../up.html?a=1&b=2")
    return table(columns, caption="Reliance <of> classes", links=links, **options)  # type: ignore[arg-type]


def write(path: Path, *shown: Table, head: str = "") -> Path:
    body = "".join(one._repr_html_() for one in shown)
    path.write_text(
        f"<!doctype html><meta charset=utf-8>{head}<body>{body}</body>", encoding="utf-8"
    )
    return path


def first_column(page: object) -> list[str]:
    return page.locator("tbody tr:visible th").all_inner_texts()  # type: ignore[attr-defined]


def test_text_is_escaped_and_numbers_carry_their_value() -> None:
    markup = example()._repr_html_()
    assert "<b>" not in markup and "&lt;b&gt;bold&lt;/b&gt; &amp; &quot;quoted&quot;" in markup
    assert '<td data-value="0.5">0.50<small>0.40 to 0.60</small></td>' in markup
    assert '<td data-value="">–</td>' in markup
    assert '<td data-value="-0.25">−0.25<small>−0.30 to −0.20</small></td>' in markup
    assert '<td data-value="12">12</td>' in markup
    assert 'href="../up.html?a=1&amp;b=2"' in markup and markup.count("<a ") == 3
    assert "<caption><span>Reliance &lt;of&gt; classes</span></caption>" in markup
    assert not re.search(r"https?:|\bid=", markup)
    assert "Reliance <of> classes" in repr(example()) and "4 rows" in repr(example())


def test_numbers_of_any_kind_are_plain_and_never_minus_zero() -> None:
    cells = (np.float32(0.5), np.int64(3), float("nan"), -0.001, 2.0, (1.0, float("nan"), 2.0))
    markup = table({"a": cells}, caption="c")._repr_html_()
    shown = re.findall(r'<th scope="row" data-value="([^"]*)">([^<]*)<', markup)
    assert [text for _, text in shown] == ["0.50", "3", "–", "0.00", "2.00", "1.00"]
    assert [key for key, _ in shown] == ["0.5", "3", "", "-0.001", "2.0", "1.0"]


@pytest.mark.slow
def test_a_reader_sorts_by_click_and_by_keyboard(tmp_path: Path) -> None:
    with opened(write(tmp_path / "a.html", example())) as page:
        assert first_column(page) == list(NAMES)  # markup is text
        heads = page.locator("thead th")
        button = page.get_by_role("button", name="Motion")
        button.click()
        assert first_column(page) == [NAMES[3], NAMES[0], NAMES[2], NAMES[1]]
        assert heads.nth(1).get_attribute("aria-sort") == "descending"
        assert page.get_by_role("status").inner_text() == "Sorted by Motion, descending."
        button.focus()
        page.keyboard.press("Enter")
        assert first_column(page) == [NAMES[2], NAMES[0], NAMES[3], NAMES[1]]  # missing last
        assert heads.nth(1).get_attribute("aria-sort") == "ascending"
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        assert first_column(page) == [NAMES[2], NAMES[0], NAMES[3], NAMES[1]]
        assert [h.get_attribute("aria-sort") for h in heads.all()] == [
            "none",
            "none",
            "descending",
            "none",
        ]
        page.get_by_role("button", name="Class").click()
        assert first_column(page) == [NAMES[3], "clip 9", "clip 10", "walking"]
        assert (
            page.get_by_role("link", name="walking").get_attribute("href")
            == "walking/networks.html"
        )


@pytest.mark.slow
def test_a_reader_filters_rows(tmp_path: Path) -> None:
    with opened(write(tmp_path / "a.html", example(filtered=True))) as page:
        field = page.get_by_label("Filter")
        field.fill("CLIP")
        assert first_column(page) == ["clip 10", "clip 9"]
        assert page.get_by_role("status").inner_text() == "2 of 4 rows."
        page.get_by_role("button", name="Clips").click()
        assert first_column(page) == ["clip 9", "clip 10"]
        field.fill("")
        assert len(first_column(page)) == 4


@pytest.mark.slow
def test_two_tables_do_not_know_of_each_other(tmp_path: Path) -> None:
    with opened(write(tmp_path / "a.html", example(), example())) as page:
        page.get_by_role("button", name="Clips").nth(1).click()
        assert first_column(page) == [*NAMES, NAMES[2], NAMES[0], NAMES[3], NAMES[1]]


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
def test_a_wide_table_scrolls_in_its_own_frame(tmp_path: Path, dark: bool) -> None:
    wide = table(
        {f"column {k}": ["a long text in a cell"] * 3 for k in range(12)}, caption="Wide " * 30
    )
    theme = "dark" if dark else "light"
    head = f"<html data-theme={theme}><meta name=viewport content=width=device-width>"
    with opened(write(tmp_path / "a.html", wide, head=head), width=390, dark=dark) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        frame = page.get_by_role("region", name="Wide Wide")
        assert frame.evaluate("e => e.scrollWidth > e.clientWidth")
        right = "e => e.getBoundingClientRect().right"
        assert page.locator("caption span").evaluate(right) <= frame.evaluate(right)
        frame.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("document.querySelector('.vx-scroll').scrollLeft > 0")
        left = "e => e.getBoundingClientRect().left"
        assert page.locator("tbody th").first.evaluate(left) < 20  # the name stays


@pytest.mark.slow
def test_without_script_it_is_a_plain_table(tmp_path: Path) -> None:
    plain = re.sub(
        r"<script>.*</script>", "", example(filtered=True)._repr_html_(), flags=re.DOTALL
    )
    (tmp_path / "a.html").write_text(
        f"<!doctype html><meta charset=utf-8>{plain}", encoding="utf-8"
    )
    with opened(tmp_path / "a.html") as page:
        assert page.locator("button").count() == 0 and not page.get_by_label("Filter").is_visible()
        assert page.get_by_role("columnheader").all_inner_texts() == [
            "Class",
            "Motion",
            "Clips",
            "Says",
        ]
        assert first_column(page) == list(NAMES)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({}, {}, "columns of one length"),
        ({"a": []}, {}, "columns of one length"),
        ({"a": [1], "b": [1, 2]}, {}, "'b': 2"),
        ({"a": [1]}, {"caption": " "}, "needs a caption"),
        ({"a": [1]}, {"links": ["x", "y"]}, "2 links for 1 rows"),
        ({"a": [1]}, {"links": [" JavaScript:alert(1)"]}, "JavaScript"),
        ({"a": [1]}, {"links": ["data:text/html,x"]}, "relative"),
    ],
)
def test_errors_name_what_is_wrong(columns: dict, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        table(columns, **{"caption": "c", **options})
