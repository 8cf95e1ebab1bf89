"""Results that can be read: a table, and the sentences that depend on a result.

A result object is computed once and read everywhere: a notebook shows it as HTML, a terminal as
plain text, and both quote the same `Report.table` and `Report.summary`.
"""

import re
from dataclasses import dataclass
from typing import Any

from vxhelpers.figures.table import Table


def escape_markdown(text: str) -> str:
    """A text from data as one line of literal Markdown, whatever characters it holds."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", line)


class Text(str):
    """Sentences in Markdown; a notebook shows them as HTML, `plain` is for a terminal.

    Names that come from data are put in with `escape_markdown`.
    """

    @property
    def plain(self) -> str:
        """The text without marks of emphasis, code and escapes."""
        return re.sub(r"\\([!-/:-@\[-`{-~])|[*`]", lambda mark: mark[1] or "", self)

    def _repr_html_(self) -> str:
        from markdown_it import MarkdownIt

        return str(MarkdownIt("commonmark", {"html": False}).enable("table").render(self))


@dataclass(frozen=True)
class Metric:
    """A number for tables over many runs (`vxhelpers.book.results.note`), with its interval."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None


def not_explained(reason: str, *, instead: str) -> Text:
    """A warning that a chapter shows something else than was asked for; empty without a reason.

    Parameters
    ----------
    reason
        Why the requested class cannot be explained.
    instead
        What is shown in its place, in Markdown.
    """
    if not reason:
        return Text("")
    return Text(
        f"**The requested class cannot be explained here: {escape_markdown(reason)}. What follows "
        "is "
        f"{instead}; it says nothing of that class.**"
    )


class Report:
    """Base of results that are read: a subclass gives a table, a summary, or both."""

    def table(self) -> Table | None:
        """The numbers; None where there is nothing to tabulate."""
        return None

    def summary(self) -> Text:
        """What the numbers say, in sentences; empty where the table says it all."""
        return Text("")

    def _repr_html_(self) -> str:
        parts: list[Any] = [self.table(), self.summary()]
        return "".join(part._repr_html_() for part in parts if part)

    def __str__(self) -> str:
        parts = (str(self.table() or ""), self.summary().plain)
        return "\n\n".join(part for part in parts if part)
