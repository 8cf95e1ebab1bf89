"""Tables that a reader sorts and filters, on a page without a kernel.

A table is one HTML fragment that needs nothing else. Without JavaScript, and in print, it is a
plain table in the order it was given; the script makes a button of every column's name, tells
screen readers which column is sorted and how, and adds a field to filter rows by their text. It has
no globals and no ids. Numbers are sorted by value, whatever is written beside them; what is missing
comes last, either way. A wide or long table scrolls in a frame of its own.
"""

import html
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vxhelpers.errors import InputError
from vxhelpers.io.files import asset

Interval = tuple[float, float, float]  # value, low, high
Cell = str | float | Interval | None

MISSING = "–"


@dataclass(frozen=True)
class Table:
    """A table; a notebook shows it as the last expression of a cell.

    Parameters
    ----------
    caption
        What it shows; the name of its frame, too.
    columns
        Names in order, to cells: text, numbers, ``(value, low, high)``, or None where missing.
    links
        For each row the address that its first cell leads to; empty for none.
    digits
        Digits after the point.
    filtered
        Whether there is a field to filter rows.
    sortable
        Whether its columns can be sorted.
    """

    caption: str
    columns: Mapping[str, Sequence[Cell]]
    links: tuple[str, ...]
    digits: int
    filtered: bool
    sortable: bool

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in self.columns)
        lines = zip(*self.columns.values(), strict=True)
        body = "".join(
            f"<tr>{self._first(cells[0], link)}"
            f"{''.join(self._cell(cell) for cell in cells[1:])}</tr>"
            for cells, link in zip(lines, self.links, strict=True)
        )
        caption = html.escape(self.caption)
        field = (
            '<label class="vx-find" hidden>Filter <input type="search" autocomplete="off"></label>'
            if self.filtered
            else ""
        )
        script = ""
        if self.sortable:
            code = asset("vxhelpers.figures", "table.js")
            script = f'<p class="vx-told" role="status"></p><script>{code}</script>'
        return (
            f'<div class="vx-table"><style>{asset("vxhelpers.figures", "table.css")}</style>{field}'
            f'<div class="vx-scroll" role="region" aria-label="{caption}" tabindex="0">'
            f"<table><caption><span>{caption}</span></caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table></div>{script}</div>"
        )

    def __str__(self) -> str:
        lines = [[*self.columns], *zip(*map(self._plain, self.columns.values()), strict=True)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        rows = (
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )
        return "\n".join([self.caption, *rows])

    def _plain(self, cells: Sequence[Cell]) -> list[str]:
        texts = (cell if isinstance(cell, str) else self._text(cell)[0] for cell in cells)
        return [re.sub("<small>(.*)</small>", r" [\1]", text) for text in texts]

    def __repr__(self) -> str:
        return f"Table of {len(self.links)} rows: {self.caption} ({', '.join(self.columns)})"

    def _first(self, cell: Cell, link: str) -> str:
        text, key = self._text(cell)
        if link:
            text = f'<a href="{html.escape(link, quote=True)}">{text}</a>'
        return f'<th scope="row"{key}>{text}</th>'

    def _cell(self, cell: Cell) -> str:
        text, key = self._text(cell)
        return f"<td{key}>{text}</td>"

    def _text(self, cell: Cell) -> tuple[str, str]:
        """What a cell shows, and the attribute that it is sorted by."""
        if isinstance(cell, str):
            return html.escape(cell), ""
        if cell is None:
            return MISSING, ' data-value=""'
        value, *ends = cell if isinstance(cell, tuple) else (cell,)
        text = self._number(value)
        if ends:
            low, high = map(self._number, ends)
            text += f"<small>{low} to {high}</small>"
        return text, f' data-value="{value!r}"'

    def _number(self, value: float) -> str:
        if isinstance(value, int):
            return f"{value:,}"
        text = f"{value:.{self.digits}f}"
        text = text.lstrip("-") if float(text) == 0 else text  # no minus before a zero
        return text.replace("-", "−")


def table(
    columns: Mapping[str, Sequence[Cell]],
    *,
    caption: str,
    links: Sequence[str | None] | None = None,
    digits: int = 2,
    filtered: bool | None = None,
    sortable: bool | None = None,
) -> Table:
    """Make a table that can be sorted by each of its columns.

    Parameters
    ----------
    columns
        Name to cells, one a row: text, a number, ``(value, low, high)`` (a number with its
        interval), or None where it is missing. A number that is not finite is missing, too; ends
        that are not finite are left out. The first column names the rows.
    caption
        What the table shows.
    links
        For each row the address, relative or of the web, that the cell of the first column leads
        to, or None.
    digits
        Digits after the point; whole numbers have none.
    filtered
        Whether rows can be filtered by their text; by default where there are more than ten.
    sortable
        Whether columns can be sorted; by default where there are more than three rows.

    Raises
    ------
    InputError
        If there is no column or no row, columns differ in length, the caption is empty, or a link
        could run a script.
    """
    sizes = {name: len(cells) for name, cells in columns.items()}
    if len(set(sizes.values())) != 1 or not min(sizes.values(), default=0) or not caption.strip():
        raise InputError(f"a table needs a caption and columns of one length, not {sizes}")
    rows = next(iter(sizes.values()))
    found = tuple(link or "" for link in links or [None] * rows)
    if len(found) != rows:
        raise InputError(f"{len(found)} links for {rows} rows: one for each, or None")
    for link in found:
        scheme = link.split("/", 1)[0].rpartition(":")[0].strip().lower()
        if scheme not in ("", "http", "https"):
            raise InputError(f"link {link!r}: a relative address or one of the web")
    clean = {str(name): tuple(_clean(cell) for cell in cells) for name, cells in columns.items()}
    filtered = rows > 10 if filtered is None else filtered
    sortable = filtered or (rows > 3 if sortable is None else sortable)
    return Table(caption, clean, found, digits, filtered, sortable)


def _clean(cell: Cell) -> Cell:
    """A cell of plain Python numbers; None for one that is not finite."""
    if cell is None or isinstance(cell, str):
        return cell
    if hasattr(cell, "__index__"):  # whole numbers of any kind
        return int(cell)  # type: ignore[arg-type]
    if not isinstance(cell, tuple):
        return float(cell) if math.isfinite(cell) else None
    value, low, high = map(float, cell)
    if not math.isfinite(value):
        return None
    return (value, low, high) if math.isfinite(low) and math.isfinite(high) else value
