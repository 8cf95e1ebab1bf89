"""Supervoxels to look at, and concepts as points: arrays in, frames or an illustration out."""

import colorsys
from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from vxhelpers.data.clip import Frames
from vxhelpers.errors import InputError, NotFiniteError
from vxhelpers.figures.charts import GREY, WIDTH
from vxhelpers.figures.colours import PALETTE, Array
from vxhelpers.figures.illustration import STYLE, Illustration

GOLDEN = 0.618034  # steps of the hue: neighbouring labels differ
PLAIN = 128  # grey that stands where nothing is shown


def painted(
    frames: Frames, labels: npt.NDArray[np.integer[Any]], *, opacity: float = 0.6
) -> Frames:
    """Frames with each label in a colour of its own, and dark lines between labels.

    Parameters
    ----------
    frames
        ``(T, H, W, 3)`` uint8.
    labels
        ``(T, h, w)``, H and W being the same multiple of h and w. A label has one colour in all
        frames, so that what is one supervoxel through time is seen.
    opacity
        Of the colours, 0 to 1.

    Raises
    ------
    InputError
        If labels do not fit the frames.
    """
    large = _enlarged(labels, frames)
    names, index = np.unique(large, return_inverse=True)
    hues = (np.arange(len(names)) * GOLDEN) % 1
    table = np.array([colorsys.hls_to_rgb(h, 0.5 + 0.12 * (k % 3 - 1), 0.85)
                      for k, h in enumerate(hues)])  # fmt: skip
    colour = 255 * table[index.reshape(large.shape)]
    mixed = (1 - opacity) * frames + opacity * colour
    edge = np.zeros(large.shape, bool)
    edge[:, 1:] |= large[:, 1:] != large[:, :-1]
    edge[:, :, 1:] |= large[:, :, 1:] != large[:, :, :-1]
    mixed[edge] *= 0.35
    return np.rint(mixed).astype(np.uint8)


def highlighted(frames: Frames, mask: npt.NDArray[np.bool_], *, fade: float = 1.0) -> Frames:
    """Frames with all that is outside a mask turned to grey.

    Parameters
    ----------
    frames
        ``(T, H, W, 3)`` uint8.
    mask
        ``(T, h, w)`` bool, as `painted`'s labels.
    fade
        How much of the grey, 0 to 1; 1 shows nothing but what is in the mask.

    Raises
    ------
    InputError
        If the mask does not fit the frames.
    """
    inside = _enlarged(mask, frames)[..., None]
    shown = np.where(inside, frames, (1 - fade) * frames + fade * PLAIN)
    return np.rint(shown).astype(np.uint8)


def _enlarged(values: npt.NDArray[Any], frames: Frames) -> npt.NDArray[Any]:
    scale = frames.shape[1] // max(1, values.shape[1]) if values.ndim == 3 else 0
    if (
        not scale
        or tuple(n * s for n, s in zip(values.shape, (1, scale, scale), strict=True))
        != (frames.shape[:3])
    ):
        raise InputError(
            f"a volume of shape {values.shape} does not fit frames of shape {frames.shape}: the "
            "same number of frames, and a whole number of pixels a cell, are needed"
        )
    found: npt.NDArray[Any] = values.repeat(scale, axis=1).repeat(scale, axis=2)
    return found


@matplotlib.rc_context(STYLE)
def concepts(
    points: Mapping[str, tuple[Array, Array]],
    *,
    across: str,
    up: str,
    line: tuple[str, float] | None = None,
    alt: str = "",
) -> Illustration:
    """Draw concepts as points, such as scores against the share of evidence.

    Parameters
    ----------
    points
        Group, such as a network, to ``(x, y)`` of its concepts.
    across, up
        What x and y are, for the axes.
    line
        Name and place of a value of x to compare with.

    Raises
    ------
    InputError
        If there is nothing to draw, or x and y differ in length.
    NotFiniteError
        If a value is NaN or infinite.
    """
    figure = Figure((WIDTH, 3.6), layout="constrained")
    ax = figure.subplots()
    told = []
    if not points:
        raise InputError("concepts: nothing to draw")
    if line is not None:
        ax.axvline(line[1], color=GREY, ls="--", lw=1.2, label=line[0])
    for k, (name, pair) in enumerate(points.items()):
        x, y = (np.asarray(values, np.float64) for values in pair)
        if x.shape != y.shape or x.ndim != 1 or not len(x):
            raise InputError(f"{name}: x {x.shape} and y {y.shape} must be as many, one at least")
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise NotFiniteError(f"{name}: values are NaN or infinite")
        colour = PALETTE[k % len(PALETTE)]
        ax.plot(x, y, ls="", marker="osD^vP"[k % 6], ms=7, color=colour,
                mfc=colour if k % 2 == 0 else "white", alpha=0.8, label=name)  # fmt: skip
        told.append(
            f"{name}: {len(x)} concepts, {across} {x.min():.2f} to {x.max():.2f}, "
            f"{up} {y.min():.2f} to {y.max():.2f}"
        )
    ax.set(xlabel=across, ylabel=up)
    figure.legend(loc="outside lower center", ncols=2)
    return Illustration(figure, alt or f"{up} against {across}. {'; '.join(told)}.")
