"""Charts of the book: confusion, accuracies, training curves, values over time, energy, paths.

Arrays in, an :class:`~vxhelpers.figures.illustration.Illustration` out; how a chapter shows and
numbers it is told in :mod:`vxhelpers.figures.filmstrips`. Every chart names its figures in the
alternative text, and tells its series apart by shape or line as well as by colour.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.figures.colours import PALETTE, Array
from vxhelpers.figures.illustration import STYLE, Illustration

Interval = tuple[float, float, float]  # value, low, high

WIDTH = 5.0  # inches: narrow, so that the text is still read where a phone shrinks the chart

GREY = "#5b6570"


@matplotlib.rc_context(STYLE)
def confusion(table: npt.ArrayLike, labels: Sequence[str], *, alt: str = "") -> Illustration:
    """Draw a confusion table ``(classes, classes)``, label by prediction: counts on row shares."""
    counts = np.asarray(table)
    n = len(labels)
    if counts.shape != (n, n) or (counts < 0).any():
        raise InputError(f"a table of {n} labels must be ({n}, {n}) counts, not {counts.shape}")
    totals = counts.sum(axis=1, keepdims=True)
    share = counts / np.maximum(totals, 1)
    side = min(6.4, 2 + 0.55 * n)
    figure = Figure((side, side * 0.9), layout="constrained")
    ax = figure.subplots()
    colours = ListedColormap(matplotlib.colormaps["magma_r"](np.linspace(0, 0.85)))
    ax.imshow(np.where(counts, share, np.nan), cmap=colours, vmin=0, vmax=1)
    for (i, j), count in np.ndenumerate(counts):
        if count:
            tone = "white" if share[i, j] > 0.45 else "#1f2328"
            ax.text(j, i, f"{count:g}\n{share[i, j]:.0%}", ha="center", va="center", color=tone,
                    fontsize=9 if n <= 8 else 6)  # fmt: skip
    ax.set_xticks(range(n), labels, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(n), [f"{a} ({t:g})" for a, t in zip(labels, totals[:, 0], strict=True)])
    ax.set(xlabel="prediction", ylabel="label (clips)")
    ax.grid(False)
    ax.spines[:].set(visible=True, color="#c9ced4")
    off = counts * (1 - np.eye(n))
    i, j = divmod(int(off.argmax()), n)
    worst = f" Most frequent error: {labels[i]} as {labels[j]}, {off[i, j]:g}." if off.any() else ""
    right = f"{np.trace(counts):g} of {counts.sum():g} clips are on the diagonal."
    return Illustration(figure, alt or f"Confusion of {', '.join(labels)}. {right}{worst}")


@matplotlib.rc_context(STYLE)
def accuracies(
    results: Mapping[str, Mapping[str, Interval]],
    *,
    chance: float,
    units: str = "accuracy",
    alt: str = "",
) -> Illustration:
    """Draw accuracies with intervals: a group of points a condition, a colour and shape a model.

    Parameters
    ----------
    results
        Model to condition (``"normal"``, ``"frozen"``, ...) to ``(value, low, high)``, 0 to 1.
    chance
        Accuracy of guessing, drawn as a line.
    units
        What is drawn, where it is another share than the accuracy.
    """
    conditions = list(dict.fromkeys(name for result in results.values() for name in result))
    points = _finite("accuracies", [v for result in results.values() for v in result.values()])
    if (points[:, 0] < points[:, 1]).any() or (points[:, 0] > points[:, 2]).any():
        raise InputError("accuracies: each must lie within its interval (value, low, high)")
    figure = Figure((WIDTH, 3.4), layout="constrained")
    ax = figure.subplots()
    ax.axhline(chance, color=GREY, ls="--", lw=1.2, label=f"chance {chance:.2f}")
    for k, (model, result) in enumerate(results.items()):
        shift = (k - (len(results) - 1) / 2) * min(0.16, 0.7 / len(results))
        x = [conditions.index(name) + shift for name in result]
        value, low, high = np.array(list(result.values()), float).T
        ax.errorbar(x, value, yerr=[value - low, high - value], label=model, **_mark(k), capsize=3)
    ax.set_xticks(range(len(conditions)), conditions)
    ax.set(ylim=(-0.03, 1.05), ylabel=units, xlim=(-0.5, len(conditions) - 0.5))
    ax.grid(axis="x", visible=False)
    figure.legend(loc="outside lower center", ncols=1)
    told = "; ".join(
        f"{model}: "
        + ", ".join(f"{c} {v:.2f} [{lo:.2f}, {hi:.2f}]" for c, (v, lo, hi) in r.items())
        for model, r in results.items()
    )
    what = units[:1].upper() + units[1:]
    return Illustration(figure, alt or f"{what} with intervals. {told}. Chance: {chance:.2f}.")


@matplotlib.rc_context(STYLE)
def training_curves(
    curves: Mapping[str, Sequence[float]], *, best: int | None = None, alt: str = ""
) -> Illustration:
    """Draw ``train_`` and ``val_`` series of ``loss`` and ``accuracy`` by epoch, from epoch 1.

    Parameters
    ----------
    curves
        ``"train_loss"``, ``"val_loss"``, ``"train_accuracy"``, ``"val_accuracy"`` (any of them) to
        one figure an epoch.
    best
        The epoch whose weights were kept, counted from 1.
    """
    known = [f"{part}_{what}" for what in ("loss", "accuracy") for part in ("train", "val")]
    if not curves or (unknown := set(curves) - set(known)):
        raise InputError(
            f"no such curves: {sorted(unknown) if curves else 'none given'}; use {known}"
        )
    figure = Figure((5.6, 2.9), layout="constrained")
    for ax, what in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for k, part in enumerate(("train", "val")):
            if (name := f"{part}_{what}") not in curves:
                continue
            values = _finite(name, curves[name])
            epochs = np.arange(1, len(values) + 1)
            ax.plot(epochs, values, color=PALETTE[k], ls="-" if k else "--", lw=1.8,
                    label={"train": "training", "val": "validation"}[part])  # fmt: skip
        if best is not None:
            ax.axvline(best, color=GREY, lw=1, ls=":", label=f"kept: epoch {best}")
        ax.set(title=what + (" (nats)" if what == "loss" else ""), xlabel="epoch")
        ax.set_ylim(bottom=0, top=1.03 if what == "accuracy" else None)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    last = ", ".join(
        f"{name.replace('_', ' ')} {v[-1]:.3f}" for name, v in curves.items() if len(v)
    )
    return Illustration(figure, alt or f"Training curves. After the last epoch: {last}.")


@matplotlib.rc_context(STYLE)
def over_time(
    series: Mapping[str, Array],
    *,
    fps: float,
    units: str = "mean relevance",
    spans: Mapping[str, tuple[float, float]] | None = None,
    alt: str = "",
) -> Illustration:
    """Draw one value a frame, such as mean relevance, over the time of the clip.

    Parameters
    ----------
    series
        Name to ``(T,)``.
    spans
        Name of an event to its half-open interval in seconds, shaded.
    """
    if not series or not fps > 0:
        raise InputError(f"over_time needs series and a frame rate above 0, not {fps}")
    figure = Figure((WIDTH, 2.9), layout="constrained")
    ax = figure.subplots()
    for k, (name, values) in enumerate(series.items()):
        times = np.arange(len(_finite(name, values))) / fps
        ax.plot(times, values, label=name, lw=1.8, **_mark(k) | {"ls": "-", "ms": 4})
    for name, (start, end) in (spans or {}).items():
        ax.axvspan(start, end, color="#c9ced4", alpha=0.5, lw=0, label=name)
    if any((np.asarray(values) < 0).any() for values in series.values()):
        ax.axhline(0, color=GREY, lw=1)
    ax.set(xlabel="time (s)", ylabel=units)
    longest = max(map(len, (*series, *(spans or ()))))
    figure.legend(loc="outside lower center", ncols=3 if longest < 20 else 1)
    told = "; ".join(f"{k} is largest at {np.argmax(v) / fps:.2f} s" for k, v in series.items())
    return Illustration(figure, alt or f"{units} over time: {told}.")


@matplotlib.rc_context(STYLE)
def energy_area(groups: Mapping[str, tuple[Array, Array]], *, alt: str = "") -> Illustration:
    """Draw the share of a map's energy on an object against the share of its area, clip by clip.

    On the diagonal a map is no better than an even spread. The large mark is the mean over clips
    with its 95 % interval (Student's t).

    Parameters
    ----------
    groups
        Object, method or layer to ``(energy, area)``, each ``(n,)``, 0 to 1, one value a clip.
    """
    from scipy.stats import t as student

    if not groups:
        raise InputError("energy_area needs at least one group of clips")
    figure = Figure((WIDTH, 4.4), layout="constrained")
    ax = figure.subplots()
    told: list[str] = []
    largest = 0.05
    for k, (name, pair) in enumerate(groups.items()):
        energy, area = (_finite(name, values) for values in pair)
        n = len(energy)
        if n < 2 or len(area) != n:
            raise InputError(
                f"{name}: {n} energies and {len(area)} areas; 2 or more of each needed"
            )
        half = student.ppf(0.975, n - 1) * energy.std(ddof=1) / np.sqrt(n)
        mean, covered, mark = energy.mean(), area.mean(), _mark(k)
        ax.plot(area, energy, **mark | {"ms": 4, "alpha": 0.35, "mew": 0})
        text = f"{name}: {mean:.2f} ± {half:.2f} on {covered:.2f} of the area, n = {n}"
        ax.errorbar(covered, mean, yerr=half, capsize=4, **mark | {"ms": 10}, label=text,
                    mec="white", elinewidth=2)  # fmt: skip
        told, largest = [*told, text], max(largest, area.max())
    ax.plot([0, 1], [0, 1], color=GREY, ls="--", lw=1.2, label="even spread")
    top = max(float(np.max(energy)) for energy, _ in groups.values())
    ax.set(xlim=(0, 1.08 * largest), ylim=(0, min(1.02, 1.08 * max(top, largest))))
    ax.set(xlabel="share of the area", ylabel="share of the energy")
    figure.legend(loc="outside lower center", ncols=1)
    return Illustration(figure, alt or f"Energy against area. {'; '.join(told)}.")


@matplotlib.rc_context(STYLE)
def trajectories(
    paths: Mapping[str, Mapping[str, Sequence[Array]]], *, alt: str = ""
) -> Illustration:
    """Draw where objects go in a frame, a panel a version of the clips, all on one scale.

    A path ends in a larger mark. A name has the same colour and mark in every panel.

    Parameters
    ----------
    paths
        Panel (such as ``"in place"``) to name (such as the object) to its paths, each ``(T, 2)``:
        x and y as shares of the width and height of the frame, from the top left.

    Raises
    ------
    InputError
        If there is nothing to draw, or a path is not ``(T, 2)``.
    NotFiniteError
        If a path holds NaN or infinity.
    """
    names = list(dict.fromkeys(name for panel in paths.values() for name in panel))
    if not names:
        raise InputError("trajectories: nothing to draw")
    figure = Figure((WIDTH, WIDTH / len(paths) + 0.6 + 0.2 * len(names)), layout="constrained")
    axes = figure.subplots(1, len(paths), squeeze=False, sharey=True)[0]
    told: list[str] = []
    for ax, (title, panel) in zip(axes, paths.items(), strict=True):
        for name, lines in panel.items():
            mark = _mark(names.index(name))
            for line in lines:
                path = _finite(f"{title}, {name}", line)
                if path.ndim != 2 or path.shape[1] != 2:
                    raise InputError(f"{title}, {name}: a path is (T, 2), not {path.shape}")
                ax.plot(*path.T, color=mark["color"], lw=1.2, alpha=0.7)
                ax.plot(*path[-1], **mark | {"ms": 5, "mec": "white", "mew": 0.5}, clip_on=False)
            if lines:
                ends = np.concatenate([np.asarray(line, float) for line in lines])
                wide = np.ptp(ends, axis=0)
                told.append(f"{title}: {len(lines)} paths of {name} over {wide[0]:.2f} of the "
                            f"width and {wide[1]:.2f} of the height")  # fmt: skip
        ax.set(title=title, xlim=(0, 1), ylim=(1, 0), xlabel="share of the width")
        ax.set_aspect("equal")
        ax.set_xticks([0, 0.5, 1])
    axes[0].set(ylabel="share of the height", yticks=[0, 0.5, 1])
    handles = [Line2D([], [], **_mark(k) | {"ls": "-"}, label=name) for k, name in enumerate(names)]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(3, len(names)))
    return Illustration(figure, alt or f"Paths of the middle of the object. {'; '.join(told)}.")


def _mark(k: int) -> dict[str, Any]:
    """Colour and shape of the k-th group: told apart without colour too."""
    return {"color": PALETTE[k % len(PALETTE)], "marker": "osD^vP"[k % 6], "ls": "", "ms": 6}


def _finite(name: str, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    if not array.size:
        raise InputError(f"{name}: nothing to draw")
    if not np.isfinite(array).all():
        raise NotFiniteError(f"{name}: {(~np.isfinite(array)).sum()} values are NaN or infinite")
    return array
