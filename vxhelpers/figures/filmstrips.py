"""Still pictures of the book: arrays in, an :class:`Illustration` with its alternative text out.

**In a chapter.** A cell whose last expression is an ``Illustration`` shows it as HTML: an image
that carries its own data (SVG for charts, WebP for pictures) and the alternative text. Jupyter Book
(myst-nb) makes it a numbered figure with a caption when the cell's metadata say so, for HTML output
as for images; in a percent script::

    # %% mystnb={"figure": {"name": "fig-confusion", "caption": "Label by prediction."}}
    charts.confusion(table, labels)

and the text refers to it as ``{numref}`fig-confusion```. Every display output of such a cell
becomes a figure of that name, so one cell makes one illustration. ``mystnb: image: alt`` has no
effect here: the text is in the output, so that it can name what was measured. Players and galleries
(:mod:`vxhelpers.figures.player`) are numbered in the same way.
"""

from collections.abc import Collection, Mapping, Sequence

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from vxhelpers.data.clip import Frames
from vxhelpers.errors import InputError
from vxhelpers.figures.colours import LINES, Array, Scale, blend, scale_of
from vxhelpers.figures.illustration import STYLE, WIDTH, Illustration


@matplotlib.rc_context(STYLE)
def filmstrip(
    clips: Mapping[str, Frames],
    *,
    frames: int = 6,
    fps: float | Mapping[str, float] | None = None,
    names: Mapping[str, Sequence[str]] | None = None,
    alt: str = "",
) -> Illustration:
    """Draw evenly spaced frames of several clips, one clip a row.

    Parameters
    ----------
    clips
        Row label to ``(T, H, W, 3)`` uint8; clips may differ in size and length.
    frames
        Frames a row; fewer where a clip is shorter.
    fps
        Gives the time of every frame in seconds, one rate for all or one a row; without it, its
        number.
    names
        What to write below the frames instead, one name a frame of the clip: for pictures that are
        not of one video.

    Raises
    ------
    InputError
        If there are no clips, no frames, or an array that is not a clip.
    """
    rows = [(label, *_sampled(clip, frames, label)) for label, clip in clips.items()]
    if not rows:
        raise InputError("a filmstrip needs at least one clip")
    rates = fps if isinstance(fps, Mapping) else dict.fromkeys(clips, fps)
    pictures: list[Row] = []
    for label, clip, index in rows:
        below = _times(index, rates[label])
        if names is not None:
            if len(names.get(label, ())) != len(clip):
                raise InputError(f"{label}: {len(clip)} pictures need as many names")
            below = [names[label][k] for k in index.tolist()]
        pictures.append((label, clip[index], None, below))
    return _strips(pictures, alt or f"Frames in order of {', '.join(clips)}.")


@matplotlib.rc_context(STYLE)
def overlay_filmstrip(
    clip: Frames,
    maps: Mapping[str, Array],
    *,
    frames: int = 6,
    fps: float | None = None,
    shared: bool = True,
    limits: tuple[float, float] | None = None,
    covered: float = 1.0,
    signed: bool = False,
    units: str = "relevance",
    opacity: float = 0.8,
    outline: npt.NDArray[np.bool_] | None = None,
    alt: str = "",
) -> Illustration:
    """Draw a clip, unexplained, above the same frames under one or more attribution maps.

    Parameters
    ----------
    clip
        ``(T, H, W, 3)`` uint8, what the network saw.
    maps
        Row label (method, layer, class) to its raw map ``(T, H, W)``.
    shared
        One scale for all rows; ``False`` gives every row its own, for maps in different units such
        as those of different layers. The colour bars say which.
    limits
        Limits of the shared scale; by default the largest absolute value of all maps, over all
        frames, drawn or not.
    covered
        Share of a map's values that a scale of its own covers, above 0: the others are drawn as if
        at its limits. For maps of which a few pixels are so large that all else would vanish.
    signed
        Zero-centred scales also for maps that have no value below zero.
    units
        What the maps measure; empty where the labels say it.
    outline
        ``(T, H, W)`` bool, such as known evidence: a line around it in the rows with maps.

    Raises
    ------
    InputError
        If a map or the outline does not fit the clip, or limits are given for scales that are not
        shared.
    NotFiniteError
        If a map holds NaN or infinity.
    """
    if not maps or (limits is not None and not shared):
        raise InputError("an overlay needs maps, and limits need shared=True")
    if not (0 < covered < 1 and not shared) and covered != 1:
        raise InputError(f"covered={covered}: a share above 0, below 1 only with shared=False")
    clip, index = _sampled(clip, frames, "clip")
    shapes = {f"map {name!r}": np.shape(values) for name, values in maps.items()}
    if outline is not None:
        shapes["outline"] = outline.shape
    for label, shape in shapes.items():
        if shape != clip.shape[:3]:
            raise InputError(
                f"{label} of shape {shape} does not fit a clip of shape "
                f"{clip.shape}: it must be {clip.shape[:3]}"
            )
    one = scale_of(*maps.values(), limits=limits, signed=signed) if shared else None
    rows: list[Row] = [("clip", clip[index], None, _times(index, fps))]
    for label, values in maps.items():
        scale = one or scale_of(values, signed=signed)
        if covered < 1 and (most := float(np.quantile(np.abs(values), covered))) > 0:
            scale = Scale(-most if scale.signed else 0.0, most)
        laid = blend(clip[index], values[index], scale, opacity=opacity)
        if outline is not None:
            laid = np.stack([_outlined(*pair) for pair in zip(laid, outline[index], strict=True)])
        told = f"{label} ({units})" if units else label
        rows.append((told, laid, scale, _times(index, fps)))
    return _strips(
        rows,
        alt
        or "A clip in frames, and below it the same frames with "
        + "; ".join(f"{r[0]} from {r[2].lo:.3g} to {r[2].hi:.3g}" for r in rows[1:] if r[2])
        + ".",
    )


@matplotlib.rc_context(STYLE)
def scene_gallery(
    frames: Sequence[Frames],
    titles: Sequence[str],
    *,
    masks: Sequence[Mapping[str, npt.NDArray[np.bool_]]] | None = None,
    boxes: Sequence[Mapping[str, Array]] | None = None,
    decides: Sequence[Collection[str]] | None = None,
    columns: int = 4,
    alt: str = "",
) -> Illustration:
    """Draw one frame a scene with its ground truth; what decides the class has a heavy line.

    Parameters
    ----------
    frames, titles
        ``(H, W, 3)`` uint8 and a title for every scene.
    masks
        For every scene, object name to boolean mask ``(H, W)``, drawn as an outline.
    boxes
        For every scene, object name to ``x0, y0, x1, y1`` in pixels, half-open; NaN = not visible.
    decides
        For every scene, the names of the objects that decide its class (the planted evidence).

    Raises
    ------
    InputError
        If the sequences differ in length, or a mask does not fit its frame.
    """
    n = len(frames)
    masks, boxes = masks or [{}] * n, boxes or [{}] * n
    decides = decides or [()] * n
    if not n or {len(titles), len(masks), len(boxes), len(decides)} != {n} or columns < 1:
        raise InputError(f"a gallery of {n} frames needs a title, masks and boxes for each of them")
    names = list(
        dict.fromkeys(
            name for scene in zip(masks, boxes, strict=True) for part in scene for name in part
        )
    )
    colours = {name: LINES[i % len(LINES)] for i, name in enumerate(names)}
    columns = min(columns, n)
    lines = -(-n // columns)
    aspect = max(frame.shape[0] / frame.shape[1] for frame in frames)
    figure = Figure((WIDTH, lines * (WIDTH / columns * aspect + 0.2) + 0.35), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, frame, title, mask, box, key in zip(
        axes, frames, titles, masks, boxes, decides, strict=False
    ):
        ax.imshow(frame)
        ax.set_title(title, fontsize=9)
        for name, shape in mask.items():
            if shape.shape != frame.shape[:2]:
                raise InputError(f"{title}: mask {name!r} {shape.shape} on a frame {frame.shape}")
            if shape.any():
                for width, colour in _edged(colours[name], name in key):
                    ax.contour(shape, [0.5], colors=colour, linewidths=width)
        for name, (x0, y0, x1, y1) in box.items():
            for width, colour in _edged(colours[name], name in key):
                xs, ys = np.array([x0, x1, x1, x0, x0]), np.array([y0, y0, y1, y1, y0])
                ax.plot(xs - 0.5, ys - 0.5, color=colour, lw=width, scalex=False, scaley=False)
    handles = [
        Line2D([], [], color=colours[name], lw=3 if heavy else 1.2, label=label)
        for name in names
        for heavy in [any(name in key for key in decides)]
        for label in [f"{name} (decides)" if heavy else name]
    ]
    if handles:
        legend = figure.legend(
            handles=handles, loc="outside lower left", ncols=4, fontsize=9, frameon=True
        )
        legend.get_frame().set(facecolor="#3a4048", edgecolor="none")
        for text in legend.get_texts():
            text.set_color("white")
    told = [
        f"{title}{': ' + ', '.join(sorted(key)) + ' decides' if key else ''}"
        for title, key in zip(titles, decides, strict=True)
    ]
    return Illustration(figure, alt or f"Scenes with outlined objects. {'; '.join(told)}.", True)


Row = tuple[str, Frames, Scale | None, list[str]]


def _strips(rows: Sequence[Row], alt: str) -> Illustration:
    """Draw rows of pictures with labels above, colour bars at the right and times below."""
    barred = any(scale for _, _, scale, _ in rows)
    strip = WIDTH - 0.15 - (0.65 if barred else 0)
    heights = [strip * f.shape[1] / (len(f) * (f.shape[2] + _gap(f))) for _, f, _, _ in rows]
    same = all(row[3] == rows[-1][3] for row in rows)
    size = (WIDTH, sum(heights) + len(rows) * (0.27 if same else 0.47) + 0.3)
    layout = ConstrainedLayoutEngine(h_pad=0.02, w_pad=0.03, hspace=0, wspace=0)
    figure = Figure(size, layout=layout)
    grid = figure.add_gridspec(len(rows), 1, height_ratios=heights)
    for k, (label, pictures, scale, times) in enumerate(rows):
        ax = figure.add_subplot(grid[k])
        gap = _gap(pictures)
        padded = np.pad(pictures, ((0, 0), (0, 0), (0, gap), (0, 0)), constant_values=255)
        ax.imshow(np.concatenate(list(padded), axis=1)[:, :-gap])
        ax.set_title(label, pad=3)
        ax.grid(False)
        ax.spines[:].set_visible(False)
        centres = np.arange(len(pictures)) * padded.shape[2] + pictures.shape[2] / 2
        last = k == len(rows) - 1 or not same
        ax.set_xticks(centres if last else [], times if last else [], fontsize=9)
        ax.set_yticks([])
        ax.tick_params(length=0)
        if scale is not None:
            _bar(ax.inset_axes((1.012, 0, 0.022, 1)), scale)
    return Illustration(figure, alt, picture=True)


def _bar(ax: Axes, scale: Scale) -> None:
    """Draw the colours of a scale as they look over mid-grey, with the limits."""
    levels = np.linspace(scale.hi, scale.lo, 255)[:, None]
    ax.imshow(
        blend(np.full((255, 1, 3), 128, np.uint8), levels, scale, opacity=1),
        extent=(0, 1, scale.lo, scale.hi),
        aspect="auto",
    )
    ticks = [scale.lo, 0.0, scale.hi] if scale.signed else [scale.lo, scale.hi]
    ax.set_yticks(ticks, [f"{tick:.2g}".replace("-", "−") for tick in ticks], fontsize=8)
    ax.yaxis.tick_right()
    ax.tick_params(length=2, pad=2)
    ax.set_xticks([])
    ax.grid(False)


def _outlined(frame: Frames, mask: npt.NDArray[np.bool_]) -> Frames:
    """One frame ``(H, W, 3)`` with a bright line, edged in black, around a mask."""
    import cv2

    lines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    bright = tuple(int(LINES[0][k : k + 2], 16) for k in (1, 3, 5))
    drawn = np.ascontiguousarray(frame)
    for colour, width in (((0, 0, 0), 3), (bright, 1)):
        cv2.drawContours(drawn, lines, -1, colour, width)
    return drawn


def _sampled(clip: Frames, frames: int, label: str) -> tuple[Frames, npt.NDArray[np.int64]]:
    if clip.ndim != 4 or clip.shape[-1] != 3 or clip.dtype != np.uint8 or frames < 1:
        raise InputError(
            f"{label}: needs uint8 frames (T, H, W, 3), not {clip.dtype} {clip.shape}, "
            f"and at least one of them to draw, not {frames}"
        )
    index = np.linspace(0, len(clip) - 1, min(frames, len(clip)))
    return clip, np.rint(index).astype(np.int64)


def _times(index: npt.NDArray[np.int64], fps: float | None) -> list[str]:
    return [f"{i / fps:.2f} s" if fps else f"frame {i + 1}" for i in index.tolist()]


def _gap(pictures: Frames) -> int:
    return max(1, round(int(pictures.shape[2]) * 0.03))


def _names(labels: Sequence[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(name for one in labels for name in one))


def _edged(colour: str, heavy: bool) -> tuple[tuple[float, str], tuple[float, str]]:
    """Widths and colours of a line that is seen on any picture: a black edge below it."""
    width = 2.4 if heavy else 1.0
    return (width + 1.4, "black"), (width, colour)
