"""Sphinx extension: the list of pages beside each page, short however large the book is.

The theme writes the whole tree of pages into every page, and works it out anew for each, so that a
book of 400 classes would be mostly lists of itself. Here a page's list holds the parts of the book,
the way to the page, what stands beside it and what is below it; of a long row only the page's own
entry is left, and the page above the row lists it all. Loaded by ``_config.yml``.
"""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

_TEMPLATES = Path(__file__).with_name("assets")
MOST = 40  # entries of a row that are all shown

Entry = tuple[str | None, str]  # a title where the table of contents gives one, and the document


def sidebar(app: Any, page: str, link: Any) -> str:
    """Markup of a page's list of pages, as the theme's style sheets expect it.

    Parameters
    ----------
    app
        The Sphinx application, once all documents are read.
    page
        The document that the list is beside.
    link
        Gives the address of a document as seen from the page.
    """
    env, root = app.env, app.config.root_doc
    parent = {below: above for above, found in env.toctree_includes.items() for below in found}
    way = [page]
    while (above := parent.get(way[-1])) is not None and above not in way:
        way.append(above)

    def rows(document: str, depth: int) -> Iterator[str]:
        for caption, entries in _lists(env, document):
            near = entries if len(entries) <= MOST else [e for e in entries if e[1] in way]
            if not near:
                continue
            if caption:
                yield '<p aria-level="2" class="caption" role="heading">'
                yield f'<span class="caption-text">{escape(caption)}</span></p>'
            yield f'<ul class="{"nav bd-sidenav" if depth == 1 else "current"}">'
            for title, name in near:
                here, number = name in way, _number(env, name)
                marks = f"toctree-l{depth}{' current active' if here else ''}"
                text = escape(title or env.titles[name].astext())
                current = ' aria-current="page"' if name == page else ""
                yield f'<li class="{marks}"><a class="{"current " * here}reference internal"'
                yield f' href="{escape(link(name))}"{current}>{number}{text}</a>'
                if here:
                    yield from rows(name, depth + 1)
                yield "</li>"
            yield "</ul>"

    return "".join(rows(root, 1))


def _lists(env: Any, document: str) -> Iterator[tuple[str, Sequence[Entry]]]:
    """The rows of a document's table of contents: caption and entries."""
    from sphinx.addnodes import toctree

    for node in env.tocs[document].findall(toctree):
        yield node.get("caption") or "", node["entries"]


def _number(env: Any, document: str) -> str:
    """A document's number as the headings show it; nothing where it has none."""
    number = env.toc_secnumbers.get(document, {}).get("")
    return ".".join(map(str, number)) + ". " if number else ""


def offer(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Give the template of the list (``assets/sbt-sidebar-nav.html``) what it calls."""
    context["list_of_pages"] = lambda: sidebar(app, page, context["pathto"])


def setup(app: Any) -> dict[str, bool]:
    """Take over the theme's template, before the theme draws it."""
    app.connect("config-inited", lambda _, config: config.templates_path.insert(0, str(_TEMPLATES)))
    app.connect("html-page-context", offer, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
