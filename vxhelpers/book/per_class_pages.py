"""A chapter's copies, one a class: distinct labels, right links, cells shown or hidden."""

import re
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

from vxhelpers.book.results import MIME
from vxhelpers.figures.report import escape_markdown

_FENCE = re.compile(r"^\s*(`{3,}|~{3,})\s*(\{[^}]+\})?[^`]*$")
_DEFINITION = re.compile(
    r"(?P<open>^\(|^\s*:(?:name|label):\s+|\$\$\s*\()(?P<label>[^\s()]+)(?P<close>\)=\s*$|\)?\s*$)"
)
_ROLE = re.compile(r"(?P<role>\{(?:ref|numref|eq|doc)\})`(?P<body>[^`]+)`")
_LINK = re.compile(r"\]\(#(?P<label>[^)\s]+)\)")
_FILE = re.compile(r"\]\((?P<name>[\w-]+)\.(?P<kind>md|ipynb)(?P<rest>[#)])")
_HEADING = re.compile(r"^# (.*\S)", re.MULTILINE)
_WIDGET = "application/vnd.jupyter.widget-view+json"


def _prose(text: str, change: Callable[[str], str]) -> str:
    """Change every line but those of code blocks (fences that are no directive)."""
    lines: list[str] = []
    fences: list[tuple[str, bool]] = []  # the open ones: marks, and whether code is inside
    for line in text.split("\n"):
        fence, code = _FENCE.match(line), bool(fences) and fences[-1][1]
        if fences and line.strip().startswith(fences[-1][0]) and not line.strip().strip("`~:"):
            fences.pop()
        elif fence and not code:
            fences.append((fence[1], fence[2] in (None, "{code}", "{code-block}", "{code-cell}")))
        elif not code:
            line = change(line)
        lines.append(line)
    return "\n".join(lines)


def markdown_texts(notebook: Any) -> list[str]:
    """The texts of a notebook that may define labels: markdown cells, captions of figures."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def labels_in(notebook: Any) -> set[str]:
    """Labels that a chapter defines: targets, named directives, equations, figures of its cells."""
    found: set[str] = set()

    def note(line: str) -> str:
        found.update(match["label"] for match in _DEFINITION.finditer(line))
        return line

    for text in markdown_texts(notebook):
        _prose(text, note)
    for cell in notebook.cells:
        if name := cell.metadata.get("mystnb", {}).get("figure", {}).get("name"):
            found.add(name)
    return found


def relabel(text: str, *, slug: str, labels: set[str], chapters: set[str], inside: bool) -> str:
    """Make a text's labels and links those of one class's copies.

    Parameters
    ----------
    text
        MyST markdown.
    slug
        Folder of the copies, and prefix of their labels.
    labels
        What the chapters define; other labels belong to pages that exist once, and stay.
    chapters
        Names of the documents that are copied.
    inside
        True for a text that lies in ``slug/``, False for a page above it.
    """

    def label(name: str) -> str:
        return f"{slug}-{name}" if name in labels else name

    def document(name: str) -> str:
        return f"/{slug}/{name}" if name in chapters else f"/{name.lstrip('/')}"

    def role(match: re.Match[str]) -> str:
        move = document if match["role"] == "{doc}" else label
        body, titled, name = match["body"].rpartition("<")
        if titled and name.endswith(">"):
            return f"{match['role']}`{body}<{move(name[:-1])}>`"
        return f"{match['role']}`{move(match['body'])}`"

    def file(match: re.Match[str]) -> str:
        copied = match["name"] in chapters
        up = "" if copied and inside else f"{slug}/" if copied else "../" if inside else ""
        return f"]({up}{match['name']}.{match['kind']}{match['rest']}"

    def change(line: str) -> str:
        line = _DEFINITION.sub(lambda m: f"{m['open']}{label(m['label'])}{m['close']}", line)
        line = _LINK.sub(lambda m: f"](#{label(m['label'])})", line)
        return _FILE.sub(file, _ROLE.sub(role, line))

    return _prose(text, change)


def title_of(notebook: Any) -> str:
    """The chapter's first heading, without its marks."""
    for text in markdown_texts(notebook):
        if match := _HEADING.search(text):
            return match[1]
    return "Untitled"


def copy_chapter(
    notebook: Any, *, action: str | None, slug: str, labels: set[str], chapters: Iterable[str]
) -> Any:
    """One class's copy of an executed chapter, ready to publish.

    The class is added to the title; labels get the prefix ``slug``; the default parameters are
    removed from view and the ones in force stay behind a toggle; what progress bars overwrote,
    widgets that need a kernel and noted metrics are dropped. With ``action`` None it is the only
    copy: title and labels stay, and its links to chapters that are copied lead to ``slug``'s.
    """
    copied, documents, titled = deepcopy(notebook), set(chapters), False
    copied.metadata.pop("widgets", None)

    def mine(text: str) -> str:
        inside = action is not None
        return relabel(text, slug=slug, labels=labels, chapters=documents, inside=inside)

    for cell in copied.cells:
        tags = set(cell.metadata.get("tags", ()))
        if cell.cell_type == "markdown":
            cell.source = mine(cell.source)
            if action is not None and not titled and (heading := _HEADING.search(cell.source)):
                end = heading.end()
                cell.source = f"{cell.source[:end]}: {escape_markdown(action)}{cell.source[end:]}"
                titled = True
        if "parameters" in tags:
            tags.add("remove-cell")
        if "injected-parameters" in tags:
            tags.add("hide-input")
        if tags:
            cell.metadata["tags"] = sorted(tags)
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        if figure.get("name") and action is not None:
            figure["name"] = f"{slug}-{figure['name']}"
        if figure.get("caption"):
            figure["caption"] = mine(figure["caption"])
        cell.get("outputs", [])[:] = filter(_shown, cell.get("outputs", []))
    return copied


def _shown(output: Any) -> bool:
    """Clean one output in place; False where nothing of it is left to show."""
    if output.output_type == "stream":
        output.text = re.sub(r"[^\n]*\r(?!\n)", "", output.text)
        return bool(output.text.strip())
    if MIME in output.get("data", {}):
        return False
    if _WIDGET in output.get("data", {}):
        del output.data[_WIDGET]
        return set(output.data) - {"text/plain"} != set()
    return True
