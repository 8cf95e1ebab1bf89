"""The list of pages beside each page: short in a large book, and right."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vxhelpers.book.sphinx.navigation import MOST, sidebar

pytest.importorskip("sphinx", reason="the book's tools are not installed")


def _book(rows: dict[str, list[tuple[str, list[str]]]]) -> Any:
    """What Sphinx knows of a book: a document to its rows (caption, documents below it)."""
    from docutils import nodes
    from sphinx.addnodes import toctree

    documents = {"intro", *(name for row in rows.values() for _, names in row for name in names)}
    tocs = {}
    for name in documents:
        tocs[name] = nodes.bullet_list()
        for caption, names in rows.get(name, ()):
            tocs[name] += toctree(caption=caption, entries=[(None, below) for below in names])
    env = SimpleNamespace(
        tocs=tocs,
        toctree_includes={
            name: [below for _, names in row for below in names] for name, row in rows.items()
        },
        titles={name: nodes.title(text=f"<{name}>") for name in documents},
        toc_secnumbers={"a/one": {"": (3, 1)}},
    )
    return SimpleNamespace(env=env, config=SimpleNamespace(root_doc="intro"))


def _links(app: Any, page: str) -> list[str]:
    return re.findall(r'href="([^"]*)"', sidebar(app, page, lambda name: f"{name}.html"))


MANY = [f"c{i}" for i in range(MOST + 1)]
ROWS = {
    "intro": [("Classes", ["classes", "a"]), ("Reference", ["api"])],
    "classes": [("", MANY)],
    "c7": [("", ["c7/one", "c7/two"])],
    "a": [("", ["a/one", "a/two"])],
}


def test_the_way_to_a_page_is_open_and_all_else_is_closed() -> None:
    app = _book(ROWS)
    assert _links(app, "api") == ["classes.html", "a.html", "api.html"]
    assert _links(app, "a/two") == [
        "classes.html",
        "a.html",
        "a/one.html",
        "a/two.html",
        "api.html",
    ]
    assert _links(app, "search") == ["classes.html", "a.html", "api.html"]


def test_of_a_long_row_only_the_page_on_the_way_is_left() -> None:
    app = _book(ROWS)
    assert len(_links(app, "classes")) == 3
    assert _links(app, "c7/two") == [
        "classes.html", "c7.html", "c7/one.html", "c7/two.html", "a.html", "api.html",
    ]  # fmt: skip


def test_where_a_reader_is_is_marked_and_titles_are_text() -> None:
    text = sidebar(_book(ROWS), "a/one", lambda name: name)
    assert 'href="a/one" aria-current="page">3.1. &lt;a/one&gt;</a>' in text
    assert text.count("aria-current") == 1
    assert len(re.findall(r'<li class="[^"]*current active"', text)) == 2
    assert text.count("<ul") == text.count("</ul") and text.count("<li") == text.count("</li")


def test_the_template_calls_it(tmp_path: Path) -> None:
    """Sphinx finds our template before the theme's, and puts the list into the page."""
    from sphinx.application import Sphinx

    pytest.importorskip("sphinx_book_theme", reason="the book's tools are not installed")
    (tmp_path / "index.rst").write_text(
        "Home\n====\n\n.. toctree::\n   :caption: Part\n\n   other\n"
    )
    (tmp_path / "other.rst").write_text("Other\n=====\n")
    options = {
        "extensions": ["vxhelpers.book.sphinx.navigation"],
        "html_theme": "sphinx_book_theme",
    }
    app = Sphinx(
        tmp_path, None, tmp_path / "out", tmp_path / "trees", "html",
        options | {"language": "en"}, status=None, warning=None,
    )  # fmt: skip
    app.build()
    text = (tmp_path / "out" / "other.html").read_text()
    assert 'href="#" aria-current="page">Other</a>' in text
