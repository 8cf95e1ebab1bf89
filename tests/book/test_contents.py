"""Parts of the built book, pages of classes, and the page of what runs cost."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from vxhelpers.book import contents
from vxhelpers.book.execute import Run
from vxhelpers.book.run_targets import Target

PART = {"caption": "Chapters", "numbered": True, "chapters": [{"file": "a"}, {"file": "b"}]}
TITLES = {"a": "On A", "b": "On B"}
NASTY = "</table><script>x</script> ``````"


def _runs(classes: int) -> list[Run]:
    names = [NASTY, *(f"class {i}" for i in range(1, classes))]
    return [
        Run(
            Target(name, "stage:kth", "stage_r3d", weights="kth"),
            Path(f"{chapter}.py"),
            Path(f"{chapter}.ipynb"),
            "done",
            {
                "seconds": 10.0 * i + (chapter == "b"),
                "peak_mib": 100 + i,
                "data": "d" * 64,
                "commit": f"{i % 2}" * 40,
                "hardware": "two cores",
                "versions": {"torch": "2", "numpy": f"{i % 2}"},
            },
        )
        for i, name in enumerate(names)
        for chapter in ("a", "b")
    ]


def test_few_classes_have_a_part_each_and_no_pages() -> None:
    runs = _runs(contents.MANY)
    parts = contents.parts([PART, {"caption": "R", "chapters": [{"file": "c"}]}], runs, TITLES)
    assert len(parts) == contents.MANY + 1
    assert parts[1]["caption"] == "class 1"
    assert parts[1]["chapters"][0]["title"] == "On A"
    assert contents.class_pages(runs, TITLES) == {}


def test_many_classes_have_a_page_each_and_one_that_lists_them() -> None:
    runs = _runs(contents.MANY + 1)[:-1]  # of the last class one chapter alone was run
    leading, classes, last = contents.parts(
        [PART, {"caption": "R", "once": True, "chapters": [{"file": "c"}]}], runs, TITLES
    )
    assert leading == {"caption": "Classes", "chapters": [{"file": "classes"}]}
    assert last == {"caption": "R", "chapters": [{"file": "c"}]}
    assert classes.keys() == {"numbered", "chapters"}
    entries = {entry["title"]: entry for entry in classes["chapters"]}
    slug = runs[2].target.slug
    assert entries["class 1"]["file"] == f"{slug}/index"
    assert [e["file"] for e in entries["class 1"]["sections"]] == [f"{slug}/a", f"{slug}/b"]
    assert len(entries["class 12"]["sections"]) == 1
    pages = contents.class_pages(runs, TITLES)
    assert pages.keys() == {"classes", *(entry["file"] for entry in classes["chapters"])}
    assert "[On A](a.ipynb)" in pages[f"{slug}/index"]
    assert f'href="{slug}/index.html"' in pages["classes"]
    assert "13 classes<" in pages["classes"]
    second = [replace(run, target=replace(run.target, model="stage_c3d")) for run in runs]
    assert (
        "13 classes, a row for each network: 26<"
        in contents.class_pages([*runs, *second], TITLES)["classes"]
    )


def test_names_from_data_stay_text() -> None:
    runs = _runs(contents.MANY + 1)
    pages = contents.class_pages(runs, TITLES)
    for text in (pages["classes"], contents.status(runs)):
        assert "<script>x" not in text and "&lt;script&gt;x" in text
        assert len(re.findall("^``````", text, re.MULTILINE)) % 2 == 0
    assert pages[f"{runs[0].target.slug}/index"].startswith(r"# \<\/table\>\<script\>")


def test_the_status_says_what_all_runs_cost_and_which_was_slowest() -> None:
    runs = _runs(3)  # 0, 1; 10, 11; 20 and 21 seconds
    text = contents.status(runs, once={"b"})
    assert "6 runs of chapters took 63 seconds in all" in text
    assert "The slowest was b for class 2, 21 seconds; the largest needed 102 MiB" in text
    assert "torch 2, numpy 0 and 1" in text
    assert "commit 000000000, 111111111" in text
    addresses = re.findall(r'href="([^"]*)"', text)
    assert addresses[:2] == ["b.html", f"{runs[4].target.slug}/a.html"]
    means = re.search(r'<th scope="row">a</th>(.*?)</tr>', text)
    assert means and re.findall(r'data-value="([\d.]+)"', means[1]) == [
        "3", "10.0", "20.0", "30.0", "102",
    ]  # fmt: skip


@pytest.mark.parametrize(("classes", "rows"), [(20, 40), (400, contents.SHOWN)])
def test_the_status_of_many_runs_stays_light(classes: int, rows: int) -> None:
    text = contents.status(_runs(classes))
    assert len(re.findall("<tr><th scope=.row", text)) == 2 + rows
    assert len(text) < 300_000
