"""What a detector found, drawn into frames."""

from collections.abc import Sequence

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from vxhelpers.data.clip import Frames
from vxhelpers.errors import InputError
from vxhelpers.figures.colours import LINES, Array
from vxhelpers.figures.filmstrips import _edged, _names
from vxhelpers.figures.illustration import STYLE, WIDTH, Illustration


@matplotlib.rc_context(STYLE)
def detections(
    frames: Sequence[Frames],
    boxes: Sequence[Array],
    labels: Sequence[Sequence[str]],
    confidence: Sequence[npt.ArrayLike],
    *,
    titles: Sequence[str] = (),
    weak: float = 0.0,
    columns: int = 2,
    alt: str = "",
) -> Illustration:
    """Draw what a detector found on frames: a box, its label and its confidence, directly on it.

    A label has one colour on all frames. Boxes of low confidence are dashed and thin.

    Parameters
    ----------
    frames
        ``(H, W, 3)`` uint8 each.
    boxes
        For every frame ``(D, 4)``: ``x0, y0, x1, y1`` in pixels, half-open.
    labels, confidence
        For every frame, one of each a box; confidence from 0 to 1.
    titles
        One a frame, drawn above it.
    weak
        Detections below this confidence are drawn as weak.

    Raises
    ------
    InputError
        If there are no frames, or a frame's boxes, labels and confidence differ in number.
    """
    n = len(frames)
    titles = titles or [""] * n
    if not n or {len(boxes), len(labels), len(confidence), len(titles)} != {n} or columns < 1:
        raise InputError(f"{n} frames need boxes, labels, confidence and a title for each of them")
    colours = {name: LINES[i % len(LINES)] for i, name in enumerate(_names(labels))}
    columns = min(columns, n)
    side = WIDTH / columns  # inches
    aspect = max(frame.shape[0] / frame.shape[1] for frame in frames)
    lines = -(-n // columns)
    figure = Figure((WIDTH, lines * (side * aspect + (0.2 if any(titles) else 0))))
    figure.set_layout_engine("constrained", h_pad=0.02, w_pad=0.02, hspace=0.01, wspace=0.01)
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    told: list[str] = []
    for ax in axes:
        ax.set_axis_off()
    for ax, frame, title, box, names, sure in zip(
        axes, frames, titles, boxes, labels, confidence, strict=False
    ):
        corners, share = np.reshape(box, (-1, 4)), np.ravel(np.asarray(sure, float))
        if not len(corners) == len(names) == len(share):
            raise InputError(
                f"{title or 'frame'}: {len(corners)} boxes, {len(names)} labels and {len(share)} "
                "values of confidence"
            )
        ax.imshow(frame)
        ax.set_title(title, fontsize=9)
        texts = [f"{name} {value:.2f}" for name, value in zip(names, share, strict=True)]
        for (x0, y0, x1, y1), name, value in zip(corners, names, share, strict=True):
            xs, ys = np.array([x0, x1, x1, x0, x0]), np.array([y0, y0, y1, y1, y0])
            for width, colour in _edged(colours[name], False):
                ax.plot(xs - 0.5, ys - 0.5, color=colour, lw=width, scalex=False, scaley=False,
                        ls=(0, (3, 3)) if value < weak else "-")  # fmt: skip
        places = _beside(corners, texts, frame.shape[:2], pixels=frame.shape[1] / (72 * side))
        for (x, y), text, name in zip(places, texts, names, strict=True):
            ax.text(x, y, text, color=colours[name], fontsize=_POINTS, ha="left", va="top",
                    bbox={"facecolor": "black", "edgecolor": "none", "pad": 1.0})  # fmt: skip
        told.append(f"{title}: {', '.join(texts) or 'nothing'}".removeprefix(": "))
    return Illustration(figure, alt or f"Detections. {'; '.join(told)}.", True)


_POINTS = 8  # of the text beside a box


def _beside(
    boxes: Array, texts: Sequence[str], size: tuple[int, int], *, pixels: float
) -> list[tuple[float, float]]:
    """Top left corners for texts beside their boxes: inside the frame, on each other only at need.

    ``pixels`` of the frame to a point of the page. A text stands above its box if there is room,
    else at the nearest free place in line with one of the box's sides.
    """
    height, frame = 1.7 * _POINTS * pixels, size
    taken: list[tuple[float, float, float]] = []  # x, y, width
    for (x0, y0, x1, y1), text in zip(boxes, texts, strict=True):
        width = (0.62 * _POINTS * len(text) + 2) * pixels
        down = np.arange(0, frame[0], height)
        tries = [(x0, y0 - height), (x0, y1), (x1, y0), (x0 - width, y0), (x0, y0)]
        tries += [(x, y) for x in (x0, x1, x0 - width, x1 - width) for y in down]
        fitted = [
            (min(max(x, 0.0), frame[1] - width), min(max(y, 0.0), frame[0] - height))
            for x, y in tries
        ]
        free = [
            (x, y)
            for x, y in fitted
            if all(
                x >= a + w or a >= x + width or abs(y - b) >= height * 0.999 for a, b, w in taken
            )
        ]

        away = [_gap_to((x0, y0, x1, y1), place, (width, height)) for place in free]
        x, y = free[int(np.argmin(away))] if free else fitted[0]
        taken.append((x, y, width))
    return [(x, y) for x, y, _ in taken]


def _gap_to(
    box: tuple[float, ...], corner: tuple[float, float], size: tuple[float, float]
) -> float:
    """Distance between a box and a rectangle of a size (width, height), 0 where they touch."""
    (x0, y0, x1, y1), (x, y) = box, corner
    across, down = max(x0 - x - size[0], x - x1, 0), max(y0 - y - size[1], y - y1, 0)
    return round(float(np.hypot(across, down)), 6)
