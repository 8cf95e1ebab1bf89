"""Charts of concept scores: bars and curves by layer, tests against chance, parts in time, place.

Numbers in, an :class:`~vxhelpers.figures.illustration.Illustration` out, as
:mod:`vxhelpers.figures.charts`. A score whose vectors separate nothing is grey and hollow.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.figures.charts import GREY, WIDTH, Interval
from vxhelpers.figures.colours import PALETTE, Array
from vxhelpers.figures.illustration import STYLE, Illustration

Scores = Mapping[str, Mapping[str, Interval]]  # series (a concept) to place (a layer) to its score

PALE = "#dfe3e7"
EMPTY = "grey: does not separate"
MOST = 13  # places of a curve that are named; of more, every second one, and so on
_HATCHES = ("", "///", "...", "\\\\\\", "xxx", "---")


@matplotlib.rc_context(STYLE)
def bars(
    scores: Scores,
    *,
    units: str,
    doubtful: Collection[tuple[str, str]] = (),
    line: tuple[str, float] | None = None,
    limits: tuple[float, float] | None = None,
    doubt: str = EMPTY,
) -> Illustration:
    """Draw scores with intervals as groups of bars: the paper's Figures 7 to 9.

    Parameters
    ----------
    scores
        Series (a concept) to place (a layer) to ``(value, low, high)``. Places are drawn in the
        order in which they first come; a series may lack some.
    units
        What is drawn, for the axis.
    doubtful
        ``(series, place)`` to be greyed out.
    line
        Name and height of a line to compare with, such as chance.
    limits, doubt
        Of the axis, by default those of the scores; and what grey means.

    Raises
    ------
    InputError
        If there is nothing to draw, or a score is outside its interval.
    NotFiniteError
        If a score or interval is NaN or infinite.
    """
    places = _places(scores, doubtful)
    figure = Figure((WIDTH, 3.3), layout="constrained")
    ax = figure.subplots()
    width = 0.8 / len(scores)
    for k, (name, row) in enumerate(scores.items()):
        for place, (value, low, high) in row.items():
            grey = (name, place) in doubtful
            x = places.index(place) + (k - (len(scores) - 1) / 2) * width
            fill = _fill(k) | ({"fc": PALE, "ec": GREY} if grey else {})
            ax.bar(x, value, 0.9 * width, **fill, lw=0.6)
            ax.errorbar(x, value, yerr=[[value - low], [high - value]], capsize=2, ms=3, marker="o",
                        color=GREY if grey else "#1f2328", mfc="white" if grey else "#1f2328",
                        elinewidth=1)  # fmt: skip
    ax.set_xticks(range(len(places)), places)
    ax.set(ylabel=units, xlim=(-0.5, len(places) - 0.5))
    handles = [Patch(**_fill(k), label=name) for k, name in enumerate(scores)]
    _finish(figure, ax, scores, handles, line=line, limits=limits, doubt=doubt if doubtful else "")
    return Illustration(figure, _description(units, scores, doubtful, line, doubt))


@matplotlib.rc_context(STYLE)
def curves(
    scores: Scores,
    *,
    units: str,
    doubtful: Collection[tuple[str, str]] = (),
    line: tuple[str, float] | None = None,
    bands: Mapping[str, tuple[float, float]] | None = None,
    limits: tuple[float, float] | None = None,
    doubt: str = EMPTY,
) -> Illustration:
    """Draw scores with intervals as curves over depth, with what random concepts score behind.

    Parameters
    ----------
    scores, units, doubtful, line, limits, doubt
        As in `bars`.
    bands
        Place to ``(low, high)``: shaded.

    Raises
    ------
    InputError, NotFiniteError
        As `bars`.
    """
    places = _places(scores, doubtful)
    figure = Figure((WIDTH, 3.3), layout="constrained")
    ax = figure.subplots()
    handles: list[Any] = []
    if bands:
        low, high = _finite("bands", [bands[p] for p in places if p in bands]).T
        where = [places.index(p) for p in places if p in bands]
        ax.fill_between(where, low, high, color="#c9ced4", alpha=0.5, lw=0)
        handles = [Patch(fc="#c9ced4", alpha=0.5, label="95 % of random concepts")]
    for k, (name, row) in enumerate(scores.items()):
        mark: dict[str, Any] = {"color": PALETTE[k % len(PALETTE)], "marker": "osD^vP"[k % 6]}
        ls = ("-", "--", ":", "-.")[k % 4]
        x = np.array([places.index(p) for p in row]) + 0.05 * (k - (len(scores) - 1) / 2)
        value, low, high = np.array(list(row.values()), float).T
        ax.errorbar(x, value, [value - low, high - value], **mark, ls=ls, ms=6, lw=1.6, capsize=2,
                    elinewidth=1)  # fmt: skip
        grey = [i for i, place in enumerate(row) if (name, place) in doubtful]
        if grey:  # above the coloured marks
            hollow = mark | {"color": GREY, "mfc": "white", "zorder": 4}
            ax.plot(x[grey], value[grey], ls="", ms=7, **hollow)
        handles.append(Line2D([], [], **mark, ls=ls, label=name))
    every = -(-len(places) // MOST)
    ax.set_xticks(range(0, len(places), every), places[::every])
    ax.set(ylabel=units, xlim=(-0.4, len(places) - 0.6))
    _finish(figure, ax, scores, handles, line=line, limits=limits, doubt=doubt if doubtful else "")
    return Illustration(figure, _description(units, scores, doubtful, line, doubt))


@dataclass(frozen=True)
class Judged:
    """A score beside what it comes to by chance.

    Parameters
    ----------
    score
        With its interval.
    band
        Where 95 % of random concepts score.
    p
        Corrected.
    effect
        Distance from chance in standard deviations of random concepts.
    separates
        Whether the concept's vectors tell its clips from random ones; greyed out if not.
    significant
        Whether there is an effect, after correction; hollow if not.
    """

    score: Interval
    band: tuple[float, float]
    p: float
    effect: float
    separates: bool
    significant: bool


@matplotlib.rc_context(STYLE)
def significance(rows: Mapping[str, Judged]) -> Illustration:
    """Draw scores against the band of random concepts, with corrected p and effect: Figure 10.

    Raises
    ------
    InputError, NotFiniteError
        As `bars`; an effect may be infinite.
    """
    units = "TCAV score"
    _places({name: {units: row.score} for name, row in rows.items()}, ())
    figure = Figure((WIDTH, 1.1 + 0.42 * len(rows)), layout="constrained")
    ax = figure.subplots()
    ax.axvline(0.5, color=GREY, ls="--", lw=1)
    descriptions = []
    for y, (name, row) in enumerate(rows.items()):
        value, low, high = row.score
        text = f"p {_small(row.p)}, effect {row.effect:+.1f}"
        descriptions.append(
            f"{name}: {value:.2f} [{low:.2f}, {high:.2f}], random concepts {row.band[0]:.2f} to "
            f"{row.band[1]:.2f}, corrected {text}"
            + ("" if row.separates else ", does not separate")
        )
        band = _finite(f"band of {name}", row.band)
        ax.barh(y, band[1] - band[0], 0.5, left=band[0], color="#c9ced4", alpha=0.6, lw=0)
        tone = PALETTE[0] if row.separates else GREY
        ax.errorbar(value, y, xerr=[[value - low], [high - value]], fmt="o", color=tone,
                    mfc=tone if row.significant else "white", ms=7,
                    capsize=3)  # fmt: skip
        ax.text(1.02, y, text, transform=ax.get_yaxis_transform(), va="center", fontsize=8,
                color="#1f2328" if row.separates else GREY)  # fmt: skip
    ax.set_yticks(range(len(rows)), [*rows])
    ax.set(xlabel=units, ylim=(len(rows) - 0.5, -0.5))
    ax.grid(axis="y", visible=False)
    dot: dict[str, Any] = {"marker": "o", "ls": "", "ms": 7}
    figure.legend(
        handles=[
            Line2D([], [], **dot, color=PALETTE[0], label="significant, corrected"),
            Line2D([], [], **dot, color=PALETTE[0], mfc="white", label="not significant"),
            Line2D([], [], **dot, color=GREY, mfc="white", label="does not separate"),
            Patch(fc="#c9ced4", alpha=0.6, label="95 % of random concepts"),
        ],
        loc="outside lower center",
        ncols=2,
    )
    return Illustration(figure, f"{units} against chance. {'; '.join(descriptions)}.")


@matplotlib.rc_context(STYLE)
def parts(
    contributions: Mapping[str, Mapping[str, Array]],
    *,
    seconds: float,
    units: str = "part of the derivative",
) -> Illustration:
    """Draw what each time step and place adds to a derivative: a panel a concept, one scale.

    Parameters
    ----------
    contributions
        Concept to place (such as ``"racket"`` and ``"elsewhere"``) to ``(T,)``, one value for each
        time step of the layer. What is above zero is stacked up, what is below down, so that the
        bars of a panel add up to its derivative.
    seconds
        Length of the clip, over which the steps are spread.

    Raises
    ------
    InputError
        If there is nothing to draw, or places have different numbers of steps.
    NotFiniteError
        If a value is NaN or infinite.
    """
    if not contributions or not all(contributions.values()) or not seconds > 0:
        raise InputError(f"parts needs concepts with places, and seconds above 0, not {seconds}")
    places = list(dict.fromkeys(p for row in contributions.values() for p in row))
    figure = Figure((WIDTH, 0.9 + 1.25 * len(contributions)), layout="constrained")
    axes = figure.subplots(len(contributions), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
    descriptions = []
    for ax, (name, row) in zip(axes, contributions.items(), strict=True):
        values = {place: _finite(f"{name}, {place}", part) for place, part in row.items()}
        if len({part.shape for part in values.values()}) > 1:
            raise InputError(f"{name}: places have different numbers of time steps")
        steps = len(next(iter(values.values())))
        width = seconds / steps
        x, up, down = (np.arange(steps) + 0.5) * width, np.zeros(steps), np.zeros(steps)
        for place, part in values.items():
            fill, bottom = _fill(places.index(place)), np.where(part >= 0, up, down)
            ax.bar(x, part, 0.85 * width, bottom=bottom, **fill, lw=0.6)
            up, down = up + part.clip(min=0), down + part.clip(max=0)
        ax.axhline(0, color=GREY, lw=1)
        ax.set_title(name)
        total = {place: float(part.sum()) for place, part in values.items()}
        largest = int(np.abs(sum(values.values())).argmax())
        descriptions.append(
            f"{name}: "
            + ", ".join(f"{place} {value:+.3g}" for place, value in total.items())
            + f", largest at {x[largest]:.2f} s"
        )
    axes[-1].set(xlabel="time (s)", xlim=(0, seconds))
    figure.supylabel(units, fontsize=10)
    handles = [Patch(**_fill(k), label=place) for k, place in enumerate(places)]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return Illustration(figure, f"{units} by time and place. {'; '.join(descriptions)}.")


def _fill(k: int) -> dict[str, Any]:
    """Colour and hatch of the k-th series: told apart without colour too."""
    return {"fc": PALETTE[k % len(PALETTE)], "ec": "white", "hatch": _HATCHES[k % len(_HATCHES)]}


def _places(scores: Scores, doubtful: Collection[tuple[str, str]]) -> list[str]:
    """All places in order, after the scores were checked."""
    places = list(dict.fromkeys(place for row in scores.values() for place in row))
    if not places:
        raise InputError("scores: nothing to draw")
    for name, row in scores.items():
        for place, interval in row.items():
            value, low, high = _finite(f"{name}, {place}", interval)
            if not low <= value <= high:
                raise InputError(f"{name}, {place}: {value} lies outside [{low}, {high}]")
    if unknown := [pair for pair in doubtful if pair[1] not in scores.get(pair[0], {})]:
        raise InputError(f"doubtful: no score of {', '.join(map(str, unknown))}")
    return places


def _finish(
    figure: Figure,
    ax: Axes,
    scores: Scores,
    handles: list[Any],
    *,
    line: tuple[str, float] | None,
    limits: tuple[float, float] | None,
    doubt: str,
) -> None:
    ends = [end for row in scores.values() for interval in row.values() for end in interval]
    if line is not None:
        ax.axhline(line[1], color=GREY, ls="--", lw=1.2)
        handles.append(Line2D([], [], color=GREY, ls="--", lw=1.2, label=line[0]))
    elif min(ends) < 0:
        ax.axhline(0, color=GREY, lw=1)
    if limits is not None:
        ax.set_ylim(*limits)
    if doubt:
        handles.append(Patch(fc=PALE, ec=GREY, label=doubt))
    ax.grid(axis="x", visible=False)
    figure.legend(handles=handles, loc="outside lower center", ncols=2)


def _description(
    units: str,
    scores: Scores,
    doubtful: Collection[tuple[str, str]],
    line: tuple[str, float] | None,
    doubt: str,
) -> str:
    texts = []
    for name, row in scores.items():
        values = (
            f"{place} {v:.2f} [{lo:.2f}, {hi:.2f}]"
            + (f" ({doubt.removeprefix('grey: ')})" if (name, place) in doubtful else "")
            for place, (v, lo, hi) in row.items()
        )
        texts.append(f"{name}: {', '.join(values)}")
    end = f" {line[0]}: {line[1]:.2f}." if line else ""
    what = units[:1].upper() + units[1:]
    return f"{what} with intervals. {'; '.join(texts)}.{end}".replace("\n", " ")


def _small(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"


def _finite(name: str, values: Any) -> Any:
    array = np.asarray(values, np.float64)
    if not array.size:
        raise InputError(f"{name}: nothing to draw")
    if not np.isfinite(array).all():
        raise NotFiniteError(f"{name}: {(~np.isfinite(array)).sum()} values are NaN or infinite")
    return array
