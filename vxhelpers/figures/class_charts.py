"""Charts over many classes: a number of each, ranked, and two numbers of each against each other.

Numbers in, an :class:`~vxhelpers.figures.illustration.Illustration` out, as
:mod:`vxhelpers.figures.charts`. Of more classes than can be read the highest and the lowest are
drawn, and the chart says how many are not.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.figures.charts import GREY, WIDTH, Interval
from vxhelpers.figures.colours import PALETTE
from vxhelpers.figures.illustration import STYLE, Illustration

LONGEST = 34  # characters of a name that are drawn


@matplotlib.rc_context(STYLE)
def ranked(
    rows: Mapping[str, Mapping[str, Interval]],
    *,
    units: str,
    line: tuple[str, float] | None = None,
    limits: tuple[float, float] | None = None,
    most: int = 24,
    alt: str = "",
) -> Illustration:
    """Draw numbers with intervals, a line a class, the highest first.

    Parameters
    ----------
    rows
        Class to series (such as ``"trained"``) to ``(value, low, high)``; ranked by the series
        that the first class has first. A class may lack other series.
    units
        What is drawn.
    line
        Name and place of a line to compare with.
    limits
        Of the axis; by the numbers unless given.
    most
        Classes that are drawn; of more, half of them from the top and half from the bottom.

    Raises
    ------
    InputError
        If there is nothing to draw, a class lacks the first series, or a number is outside its
        interval.
    NotFiniteError
        If a number is NaN or infinite.
    """
    series = list(dict.fromkeys(name for row in rows.values() for name in row))
    if not series:
        raise InputError("ranked: nothing to draw")
    for name, row in rows.items():
        if series[0] not in row:
            raise InputError(f"{name}: has no {series[0]!r} to be ranked by")
        for numbers in row.values():
            _check(name, *numbers)
    order = sorted(rows, key=lambda name: -rows[name][series[0]][0])
    left_out = max(0, len(order) - most)
    shown = [*order[: most - most // 2], *order[len(order) - most // 2 :]] if left_out else order
    gap = most - most // 2 if left_out else len(shown)
    places = [k + (k >= gap) for k in range(len(shown))]
    figure = Figure((WIDTH, 1.1 + 0.24 * (places[-1] + 1)), layout="constrained")
    ax = figure.subplots()
    if line:
        ax.axvline(line[1], color=GREY, ls="--", lw=1.2, label=line[0])
    for k, name in reversed(list(enumerate(series))):
        own = [
            (y, rows[one][name]) for y, one in zip(places, shown, strict=True) if name in rows[one]
        ]
        value, low, high = np.array([numbers for _, numbers in own], float).T
        look = _mark(k) | ({"mfc": "white"} if k else {})
        ax.errorbar(value, [y for y, _ in own], xerr=[value - low, high - value], label=name,
                    capsize=2, elinewidth=1.2, **look)  # fmt: skip
    ticks = dict(zip(places, map(_short, shown), strict=True))
    if left_out:
        ticks[gap] = f"({left_out} others between)"
    ax.set_yticks(sorted(ticks), [ticks[y] for y in sorted(ticks)], fontsize=9)
    for label in ax.get_yticklabels():
        label.set_parse_math(False)
    ax.set(ylim=(places[-1] + 0.7, -0.7), xlabel=units)
    if limits:
        ax.set(xlim=limits)
    handles, names = ax.get_legend_handles_labels()
    figure.legend(handles[::-1], names[::-1], loc="outside lower center", ncols=3)
    ends = [*order[:3], *order[-3:]] if len(order) > 6 else order
    told = "; ".join(
        f"{name} "
        + ", ".join(f"{s} {v:.2f} [{lo:.2f}, {hi:.2f}]" for s, (v, lo, hi) in rows[name].items())
        for name in ends
    )
    some = " Highest and lowest:" if len(ends) < len(order) else ""
    text = (
        f"{units[:1].upper()}{units[1:]} of {len(order)} classes, the highest first.{some} {told}."
    )
    return Illustration(figure, alt or text)


@matplotlib.rc_context(STYLE)
def against(
    groups: Mapping[str, Sequence[tuple[Interval, Interval]]],
    *,
    across: str,
    up: str,
    diagonal: bool = False,
    alt: str = "",
) -> Illustration:
    """Draw two numbers of each class against each other, with the intervals of both.

    Parameters
    ----------
    groups
        Group, such as a measure, to its classes: what goes across and what goes up, each
        ``(value, low, high)``.
    across, up
        What the axes are.
    diagonal
        Whether to draw where both are the same.

    Raises
    ------
    InputError, NotFiniteError
        As `ranked`.
    """
    if not any(groups.values()):
        raise InputError("against: nothing to draw")
    figure = Figure((WIDTH, 4.2), layout="constrained")
    ax = figure.subplots()
    told = []
    for k, (name, points) in enumerate(groups.items()):
        for point in points:
            for numbers in point:
                _check(name, *numbers)
        if not points:
            continue
        (x, left, right), (y, low, high) = np.array(points, float).transpose(1, 2, 0)
        ax.errorbar(x, y, xerr=[x - left, right - x], yerr=[y - low, high - y], label=name,
                    elinewidth=0.7, alpha=0.8, **_mark(k))  # fmt: skip
        told.append(
            f"{name}: {len(points)} classes from ({x.min():.2f}, {y.min():.2f}) to "
            f"({x.max():.2f}, {y.max():.2f})"
        )
    if diagonal:
        ends = [*ax.get_xlim(), *ax.get_ylim()]
        ax.plot(
            [min(ends), max(ends)],
            [min(ends), max(ends)],
            color=GREY,
            ls="--",
            lw=1.2,
            label="the same",
        )
    ax.axhline(0, color=GREY, lw=0.8)
    ax.axvline(0, color=GREY, lw=0.8)
    ax.set(xlabel=across, ylabel=up)
    figure.legend(loc="outside lower center", ncols=3)
    return Illustration(
        figure, alt or f"{up[:1].upper()}{up[1:]} against {across}. {'; '.join(told)}."
    )


def _short(name: str) -> str:
    line = " ".join(name.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _mark(k: int) -> dict[str, Any]:
    return {"color": PALETTE[k % len(PALETTE)], "marker": "osD^vP"[k % 6], "ls": "", "ms": 5}


def _check(name: str, value: float, low: float, high: float) -> None:
    if not np.isfinite([value, low, high]).all():
        raise NotFiniteError(f"{name}: {value}, {low}, {high}: a number is NaN or infinite")
    if not low <= value <= high:
        raise InputError(f"{name}: {value} is outside its interval, {low} to {high}")
