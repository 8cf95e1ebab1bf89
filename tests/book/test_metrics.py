"""Metrics: noted in a notebook as outputs that nothing shows, and collected from them."""

import math
from typing import Any

import nbformat
import pytest

from vxhelpers.book import results
from vxhelpers.book.per_class_pages import copy_chapter
from vxhelpers.errors import InputError


def _executed(source: str) -> Any:
    """A notebook of one cell, run in a shell of this process, with what the cell displayed."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    shell = InteractiveShell.instance()
    try:
        with capture_output() as captured:
            shell.run_cell(source).raise_error()
    finally:
        InteractiveShell.clear_instance()
    cell = nbformat.v4.new_code_cell(source)
    cell.outputs = [
        nbformat.v4.new_output("display_data", data=output.data) for output in captured.outputs
    ]
    assert captured.stdout == ""
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A"), cell])


def test_notes_are_collected_and_nothing_of_them_is_published() -> None:
    notebook = _executed(
        "from vxhelpers.book.results import note\n"
        "note('accuracy', 0.5, low=0.25, high=float('nan'), n=8)\n"
        "note('drop', 1)\nnote('accuracy', 0.75)"
    )
    empty = {"low": None, "high": None, "n": None}
    assert results.noted(notebook) == [
        {"name": "drop", "value": 1.0, **empty},
        {"name": "accuracy", "value": 0.75, **empty},
    ]
    first = notebook.cells[1].outputs[0].data
    assert first == {
        results.MIME: {"name": "accuracy", "value": 0.5, "low": 0.25, "high": None, "n": 8}
    }
    copied = copy_chapter(notebook, action="a", slug="a", labels=set(), chapters=())
    assert copied.cells[1].outputs == []


def test_outside_a_notebook_a_note_does_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    results.note("accuracy", math.inf)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 81])
def test_names_are_of_one_line(name: str) -> None:
    with pytest.raises(InputError, match="1 to 80 printable"):
        results.note(name, 1)


def test_a_value_must_be_a_number() -> None:
    with pytest.raises(InputError, match="metric 'a'"):
        results.note("a", "0.5")  # type: ignore[arg-type]
