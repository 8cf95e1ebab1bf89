"""The same result as HTML and as plain text."""

from dataclasses import dataclass

from vxhelpers.figures.report import Report, Text, escape_markdown
from vxhelpers.figures.table import Table, table


@dataclass(frozen=True)
class Example(Report):
    label: str
    value: float

    def table(self) -> Table:
        cells = {"class": [self.label], "accuracy": [(self.value, 0.5, 1.0)], "n": [None]}
        return table(cells, caption="Accuracy")

    def summary(self) -> Text:
        return Text(f"The network recognises **{escape_markdown(self.label)}**.")


def test_a_report_is_html_in_a_notebook_and_text_in_a_terminal() -> None:
    found = Example("<b>*golf*", 0.75)
    markup, text = found._repr_html_(), str(found)
    assert "<strong>&lt;b&gt;*golf*</strong>" in markup and "0.50 to 1.00" in markup
    assert "<b>" not in markup
    assert text.split("\n")[-1] == "The network recognises <b>*golf*."
    assert "0.75 [0.50 to 1.00]" in text and "Accuracy" in text and "<small>" not in text


def test_a_text_is_markdown_and_a_string() -> None:
    text = Text("*one* `two`\n\n| a |\n|---|\n| b |")
    assert (
        "<em>one</em> <code>two</code>" in text._repr_html_() and "<td>b</td>" in text._repr_html_()
    )
    assert text.startswith("*one*") and text.plain.startswith("one two")
    assert Text(r"a \* b\_c").plain == "a * b_c"


def test_an_empty_report_shows_nothing() -> None:
    assert Report()._repr_html_() == "" and str(Report()) == ""
