"""Charts of the board of planted evidence: methods' skills, and their scores by question.

Numbers in, an :class:`~vxhelpers.figures.illustration.Illustration` out, as
:mod:`vxhelpers.figures.charts`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.figures.charts import GREY
from vxhelpers.figures.colours import PALETTE
from vxhelpers.figures.illustration import STYLE, WIDTH, Illustration

MARKS = "osD^vP"
DARK = "#1f2328"


@dataclass(frozen=True)
class Skill:
    """One method's line.

    Parameters
    ----------
    value, low, high
        Its skill, and an interval: 0 at chance, 1 at best.
    family
        What it belongs to, which decides colour and mark.
    wrong
        A network-independent baseline: grey, crossed, its name in italics.
    control
        The same without anything learned, where there is one: a small hollow mark.
    """

    value: float
    low: float
    high: float
    family: str
    wrong: bool = False
    control: float | None = None


@matplotlib.rc_context(STYLE)
def skills(
    rows: Mapping[str, Skill],
    *,
    apart: Mapping[str, Skill] | None = None,
    apart_title: str = "fewer questions",
    control: str = "random weights",
    families: Sequence[str] = (),
    alt: str = "",
) -> Illustration:
    """Draw methods below each other in the order given, each with its interval; chance is a line.

    Parameters
    ----------
    rows
        Name to skill.
    apart, apart_title
        Further methods below a line, such as those that answered fewer questions, and why they
        stand there.
    control
        What the hollow marks are.
    families
        All families there are, so that one looks the same in several figures; those that are
        drawn, in their order, unless given.

    Raises
    ------
    InputError
        If there is nothing to draw, a skill is outside its interval, or a name is there twice.
    NotFiniteError
        If a number is NaN or infinite.
    """
    below = dict(apart or {})
    if twice := rows.keys() & below.keys():
        raise InputError(f"skills: {', '.join(sorted(twice))} both among the rows and apart")
    every = {**rows, **below}
    _check(every)
    names = [*every]
    place = {name: k + (name in below) for k, name in enumerate(names)}
    figure = Figure((WIDTH, 1.4 + 0.235 * (len(names) + bool(below))), layout="constrained")
    ax = figure.subplots()
    ax.axvline(0, color=GREY, ls="--", lw=1.2)
    drawn = {one.family: None for one in every.values() if not one.wrong}
    families = [*dict.fromkeys((*families, *drawn))]
    for name, one in every.items():
        tone, mark = _look(one, families)
        ax.errorbar(one.value, place[name], xerr=[[one.value - one.low], [one.high - one.value]],
                    fmt=mark, color=tone, ms=6, capsize=2, elinewidth=1.2)  # fmt: skip
        if one.control is not None:
            ax.plot(one.control, place[name], ls="", marker=mark, ms=4, mfc="white", color=tone)
    ax.set_yticks([place[n] for n in names], names, fontsize=9)
    for label, one in zip(ax.get_yticklabels(), every.values(), strict=True):
        label.set(style="italic" if one.wrong else "normal", color=GREY if one.wrong else DARK)
    if below:
        ax.axhline(len(rows), color=GREY, lw=0.8)
        ax.text(0.99, len(rows) - 0.05, apart_title, transform=ax.get_yaxis_transform(), ha="right",
                va="bottom", fontsize=8, color=GREY)  # fmt: skip
    ax.set(xlabel="skill: 0 is chance, 1 the best", ylim=(max(place.values()) + 0.7, -0.7))
    ax.grid(axis="y", visible=False)
    handles = [
        Line2D([], [], ls="", marker=MARKS[k % 6], color=PALETTE[k % len(PALETTE)], label=name)
        for k, name in enumerate(families)
        if name in drawn
    ]
    if any(one.wrong for one in every.values()):
        handles.append(
            Line2D([], [], ls="", marker="x", color=GREY, label="network-independent baselines")
        )
    if any(one.control is not None for one in every.values()):
        small = {"marker": "o", "ms": 4, "mfc": "white", "color": DARK}
        handles.append(Line2D([], [], ls="", label=control, **small))  # type: ignore[arg-type]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9)
    return Illustration(figure, alt or _told(rows, below, apart_title, control))


@matplotlib.rc_context(STYLE)
def answers(
    table: Mapping[str, Mapping[str, float | None]],
    columns: Sequence[str],
    *,
    chance: float = 0.5,
    wrong: Sequence[str] = (),
    alt: str = "",
) -> Illustration:
    """Draw scores as a table with colours: red above chance, blue below.

    Parameters
    ----------
    table
        Method to column to its score, 0 to 1; None is a failure, a column left out was not asked.
    columns
        In the order wanted; a line break may part question and task.
    wrong
        Names to be set in italics.

    Raises
    ------
    InputError
        If there is nothing to draw, or a score is not from 0 to 1.
    NotFiniteError
        If a score is NaN or infinite.
    """
    names = [*table]
    if not names or not columns:
        raise InputError("answers: nothing to draw")
    values = np.full((len(names), len(columns)), np.nan)
    told = []
    figure = Figure((WIDTH, 0.9 + 0.235 * len(names)), layout="constrained")
    ax = figure.subplots()
    for i, (name, row) in enumerate(table.items()):
        texts = []
        for j, column in enumerate(columns):
            if column not in row:
                continue
            value, text, tone = row[column], "failed", GREY
            if value is not None:
                if not np.isfinite(value):
                    raise NotFiniteError(f"{name}, {column}: {value}")
                if not 0 <= value <= 1:
                    raise InputError(f"{name}, {column}: {value} is not from 0 to 1")
                values[i, j], text = value, f"{value:.2f}"
                tone = "white" if abs(value - chance) > 0.33 else DARK
            ax.text(j, i, text, ha="center", va="center", fontsize=8, color=tone)
            texts.append(f"{column} {text}".replace("\n", " "))
        told.append(f"{name}: {', '.join(texts) or 'not asked'}")
    ax.imshow(values, cmap="RdBu_r", vmin=chance - 0.5, vmax=chance + 0.5, aspect="auto")
    ax.set_xticks(range(len(columns)), columns, fontsize=9)
    ax.xaxis.tick_top()
    ax.set_yticks(range(len(names)), names, fontsize=9)
    for label, name in zip(ax.get_yticklabels(), names, strict=True):
        label.set(style="italic" if name in wrong else "normal")
    ax.tick_params(length=0)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    return Illustration(figure, alt or f"Scores, chance {chance:g}. {'; '.join(told)}.")


def _look(one: Skill, families: Sequence[str]) -> tuple[str, str]:
    """Colour and mark."""
    if one.wrong:
        return GREY, "x"
    k = families.index(one.family)
    return PALETTE[k % len(PALETTE)], MARKS[k % len(MARKS)]


def _check(rows: Mapping[str, Skill]) -> None:
    if not rows:
        raise InputError("skills: nothing to draw")
    for name, one in rows.items():
        numbers = [one.value, one.low, one.high, *([] if one.control is None else [one.control])]
        if not np.isfinite(numbers).all():
            raise NotFiniteError(f"{name}: {numbers} are not all finite")
        if not one.low <= one.value <= one.high:
            raise InputError(f"{name}: {one.value} lies outside [{one.low}, {one.high}]")


def _told(rows: Mapping[str, Skill], below: Mapping[str, Skill], title: str, control: str) -> str:
    def line(name: str, one: Skill) -> str:
        text = f"{name} {one.value:+.2f} [{one.low:+.2f}, {one.high:+.2f}]"
        text += " (network-independent)" if one.wrong else ""
        return text + ("" if one.control is None else f", {control} {one.control:+.2f}")

    text = "; ".join(line(name, one) for name, one in rows.items())
    more = "; ".join(line(name, one) for name, one in below.items())
    return f"Skills of methods. {text}." + (f" Apart, {title}: {more}." if more else "")
