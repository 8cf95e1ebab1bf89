"""Copies of a chapter: labels are made distinct, code and outer labels are left alone."""

from collections.abc import Sequence

import nbformat
import pytest

from vxhelpers.book.per_class_pages import copy_chapter, labels_in, relabel, title_of
from vxhelpers.figures.report import escape_markdown

SLUG, LABELS, CHAPTERS = "run_kth", {"sec", "fig-a", "eq-b"}, {"gradcam"}


def _inside(text: str) -> str:
    return relabel(text, slug=SLUG, labels=LABELS, chapters=CHAPTERS, inside=True)


def _page(text: str) -> str:
    return relabel(text, slug=SLUG, labels=LABELS, chapters=CHAPTERS, inside=False)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("(sec)=", "(run_kth-sec)="),
        (":name: fig-a", ":name: run_kth-fig-a"),
        ("   :label: eq-b", "   :label: run_kth-eq-b"),
        ("$$ (eq-b)", "$$ (run_kth-eq-b)"),
        ("$$a = b$$ (eq-b)", "$$a = b$$ (run_kth-eq-b)"),
        ("{ref}`sec` {eq}`eq-b`", "{ref}`run_kth-sec` {eq}`run_kth-eq-b`"),
        ("{numref}`Fig. {number} <fig-a>`", "{numref}`Fig. {number} <run_kth-fig-a>`"),
        ("[x](#sec)", "[x](#run_kth-sec)"),
        ("{ref}`notation` [y](#notation)", "{ref}`notation` [y](#notation)"),
        ("{term}`sec` sec (sec) `sec`", "{term}`sec` sec (sec) `sec`"),
        ("{doc}`gradcam`", "{doc}`/run_kth/gradcam`"),
        ("{doc}`the words <glossary>`", "{doc}`the words </glossary>`"),
        ("[a](gradcam.ipynb#x) [b](glossary.md)", "[a](gradcam.ipynb#x) [b](../glossary.md)"),
        ("```\n(sec)= {ref}`sec`\n```\n(sec)=", "```\n(sec)= {ref}`sec`\n```\n(run_kth-sec)="),
        ("```{note}\n{ref}`sec`\n```", "```{note}\n{ref}`run_kth-sec`\n```"),
    ],
)
def test_relabel_in_a_copy(text: str, wanted: str) -> None:
    assert _inside(text) == wanted


def test_pages_point_at_the_first_copy() -> None:
    assert _page("{doc}`gradcam` {ref}`sec`") == "{doc}`/run_kth/gradcam` {ref}`run_kth-sec`"
    assert (
        _page("[a](gradcam.ipynb) [b](glossary.md)")
        == "[a](run_kth/gradcam.ipynb) [b](glossary.md)"
    )


def _notebook(*cells: nbformat.NotebookNode) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(cells=list(cells))


def _code(
    source: str, outputs: Sequence[dict[str, object]] = (), **metadata: object
) -> nbformat.NotebookNode:
    cell = nbformat.v4.new_code_cell(source, metadata=metadata)
    cell.outputs = [nbformat.v4.new_output(**output) for output in outputs]
    return cell


def test_labels_of_every_kind_are_found() -> None:
    text = (
        "(sec)=\n# T\n$$\nx\n$$ (eq-b)\n\n```{figure} x.png\n:name: fig-c\n```\n\n```\n(no)=\n```"
    )
    figure = _code("x", mystnb={"figure": {"name": "fig-a"}})
    notebook = _notebook(nbformat.v4.new_markdown_cell(text), figure)
    assert labels_in(notebook) == {"sec", "eq-b", "fig-c", "fig-a"}
    assert title_of(notebook) == "T"


def test_a_copy_is_titled_tagged_and_cleaned() -> None:
    widget = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "bar"}
    stream = {"output_type": "stream", "name": "stderr", "text": "1 %\r2 %\r3 %\nend\n"}
    notebook = _notebook(
        nbformat.v4.new_markdown_cell("(sec)=\n# Title\n\n# Second"),
        _code("a = 1", tags=["parameters"]),
        _code("a = 2", tags=["injected-parameters"]),
        _code("f", [stream, {"output_type": "display_data", "data": widget}]),
        _code("g", mystnb={"figure": {"name": "fig-a", "caption": "see {eq}`eq-b`"}}),
    )
    before = nbformat.writes(notebook)
    copied = copy_chapter(
        notebook, action="<i>*x*</i>", slug=SLUG, labels=LABELS, chapters=CHAPTERS
    )
    assert nbformat.writes(notebook) == before
    words, default, injected, shown, figure = copied.cells
    assert words.source == "(run_kth-sec)=\n# Title: \\<i\\>\\*x\\*\\<\\/i\\>\n\n# Second"
    assert "remove-cell" in default.metadata.tags
    assert "hide-input" in injected.metadata.tags
    assert [output.text for output in shown.outputs] == ["3 %\nend\n"]
    assert figure.metadata.mystnb["figure"] == {
        "name": "run_kth-fig-a",
        "caption": "see {eq}`run_kth-eq-b`",
    }


def test_the_only_copy_of_a_chapter_keeps_its_title_and_labels() -> None:
    notebook = _notebook(
        nbformat.v4.new_markdown_cell("(mine)=\n# Title\n\n{ref}`sec` {ref}`mine` {doc}`tiny`"),
        _code("g", mystnb={"figure": {"name": "fig-mine", "caption": "see {eq}`eq-b`"}}),
    )
    copied = copy_chapter(notebook, action=None, slug=SLUG, labels=LABELS, chapters={"tiny"})
    words, figure = copied.cells
    assert words.source == "(mine)=\n# Title\n\n{ref}`run_kth-sec` {ref}`mine` {doc}`/run_kth/tiny`"
    assert figure.metadata.mystnb["figure"]["name"] == "fig-mine"
    assert figure.metadata.mystnb["figure"]["caption"] == "see {eq}`run_kth-eq-b`"


def test_escaped_text_is_one_literal_line() -> None:
    from markdown_it import MarkdownIt

    text = "# <b>*a*</b> [x](y) `c` $z$ | \\' & {ref}`q`\n\x00next"
    html = MarkdownIt().renderInline(escape_markdown(text))
    shown = html.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert shown == "# <b>*a*</b> [x](y) `c` $z$ | \\' & {ref}`q` next"
