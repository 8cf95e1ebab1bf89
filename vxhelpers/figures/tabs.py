"""One of several figures at a time, on a page without a kernel: a reader chooses by its name.

A choice is one HTML fragment of fragments that it is given (figures, players, galleries, tables).
All of them are on the page: without JavaScript, and in print, they stand below each other under
their names; the script hides all but the chosen one, which costs nothing until it is shown. It has
no globals and no ids, and asks for nothing; the list is the browser's own, so that it works with
the keyboard and with a screen reader.
"""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from vxhelpers.errors import InputError
from vxhelpers.io.files import asset

Key = str | tuple[str, ...]


class Shown(Protocol):
    """Whatever a notebook shows as HTML."""

    def _repr_html_(self) -> str: ...


@dataclass(frozen=True)
class Choice:
    """Figures of which one is shown; a notebook shows it as the last expression of a cell.

    Parameters
    ----------
    legends
        Names of the lists.
    options
        A figure's name in each list, to the figure.
    start
        The one that is shown first.
    """

    legends: tuple[str, ...]
    options: Mapping[tuple[str, ...], Shown]
    start: tuple[str, ...]

    def _repr_html_(self) -> str:
        names = [list(dict.fromkeys(column)) for column in zip(*self.options, strict=True)]
        lists = "".join(
            f"<label>{html.escape(legend)} "
            f'<select autocomplete="off">{_options(column, first)}</select></label>'
            for legend, column, first in zip(self.legends, names, self.start, strict=True)
        )
        parts = "".join(
            f'<div class="vx-option" role="group" aria-label="{html.escape(", ".join(key))}" '
            f'data-key="{" ".join(str(c.index(k)) for c, k in zip(names, key, strict=True))}">'
            f'<p class="vx-name" aria-hidden="true">{html.escape(", ".join(key))}</p>'
            f"{shown._repr_html_()}</div>"
            for key, shown in self.options.items()
        )
        return (
            f'<div class="vx-choice"><style>{asset("vxhelpers.figures", "choice.css")}</style>'
            f'<div class="vx-lists">{lists}</div>{parts}'
            f"<script>{asset('vxhelpers.figures', 'choice.js')}</script></div>"
        )

    def __repr__(self) -> str:
        told = "; ".join(f"{', '.join(key)}: {shown!r}" for key, shown in self.options.items())
        return f"Choice by {' and '.join(self.legends)}. {told}"


def choice(
    options: Mapping[str, Shown] | Mapping[tuple[str, ...], Shown],
    *,
    legend: str | Sequence[str],
    start: Key | None = None,
) -> Choice:
    """Let a reader choose which of several figures is shown.

    Parameters
    ----------
    options
        Name to figure, with one list; or, with several lists, a tuple of names, one for each, to
        figure. With several, combinations may be missing: a name that goes with none of the
        figures that the lists before it leave cannot be chosen.
    legend
        What is chosen, such as ``"Network"``; one for each list.
    start
        What is shown first; the first figure unless given.

    Raises
    ------
    InputError
        If there is no figure, names do not fit the legends, one is empty, or ``start`` is not
        among them.

    Examples
    --------
    ::

        choice({"C3D": chart, "R3D": other}, legend="Network")
        choice({("C3D", "motion"): chart, ("R3D", "motion"): other}, legend=("Network", "Task"))
    """
    legends = (legend,) if isinstance(legend, str) else tuple(legend)
    found = {_tuple(key): shown for key, shown in options.items()}
    if not found:
        raise InputError(f"a choice by {' and '.join(legends)} needs at least one figure")
    for key in found:
        if len(key) != len(legends) or not all(name.strip() for name in key):
            raise InputError(f"{key}: needs a name for each of {', '.join(legends)}")
    first = next(iter(found)) if start is None else _tuple(start)
    if first not in found:
        raise InputError(f"start {first} is not among {', '.join(map(str, found))}")
    return Choice(legends, found, first)


def _tuple(key: Key) -> tuple[str, ...]:
    return (key,) if isinstance(key, str) else tuple(key)


def _options(names: Sequence[str], chosen: str) -> str:
    return "".join(
        f"<option{' selected' if name == chosen else ''}>{html.escape(name)}</option>"
        for name in names
    )
