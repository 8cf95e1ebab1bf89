"""Clip players for a page without a kernel: play, scrub and fade an attribution over its clip.

A player is one HTML fragment that needs nothing else: frames in a sprite sheet, the map in a small
8-bit sheet of its own with its limits stated, one inline script without globals or ids. It works
from ``file://`` and http, dozens to a page, in Jupyter Book and in JupyterLab, with the keyboard,
in dark and light themes. It never starts by itself: the middle frame with its overlay stands there
until a reader presses play. Without JavaScript, and in print, the frames are still to be seen.
"""

import base64
import html
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from vxhelpers.data.clip import Clip, Frames
from vxhelpers.errors import InputError
from vxhelpers.figures.colours import DESATURATE, LEVELS, LINES, Array, Scale, scale_of
from vxhelpers.io.files import asset

Masks = npt.NDArray[np.bool_]

SPEEDS = (0.25, 0.5, 1, 2)
CANVAS = 336  # pixels across a canvas, so that outlines stay crisp on small clips


@dataclass(frozen=True)
class Player:
    """One player; a notebook shows it as the last expression of a cell.

    Parameters
    ----------
    title, alt
        Heading, and the description that readers hear in place of the picture; plain text.
    markup
        The player without the style and script that every group of players shares.
    """

    title: str
    alt: str
    markup: str

    def _repr_html_(self) -> str:
        return _fragment([self], columns=1)

    def __repr__(self) -> str:
        return f"Player: {self.title}. {self.alt}"


@dataclass(frozen=True)
class Gallery:
    """Players in a grid of at most ``columns`` columns; fewer where the page is narrow."""

    players: tuple[Player, ...]
    columns: int

    def _repr_html_(self) -> str:
        return _fragment(self.players, columns=self.columns)

    def __repr__(self) -> str:
        return "Gallery: " + "; ".join(player.title for player in self.players)


def player(
    frames: Frames,
    *,
    fps: float,
    title: str,
    alt: str,
    overlay: Array | None = None,
    outlines: Mapping[str, Masks] | None = None,
    limits: tuple[float, float] | None = None,
    signed: bool = False,
    units: str = "relevance",
    start_s: float = 0.0,
    opacity: float = 0.8,
    max_side: int = 256,
    heat_side: int = 64,
) -> Player:
    """Build a player of a clip, beside the same clip under its attribution map.

    Parameters
    ----------
    frames
        ``(T, H, W, 3)`` uint8, RGB. Reduced to ``max_side`` pixels when larger, WebP at quality 80.
    fps
        Frames a second at speed 1.
    title, alt
        Heading and description; plain text, escaped.
    overlay
        ``(T, H, W)`` raw map, in its own units, signed or not. Averaged down to ``heat_side``
        pixels when larger, then quantised to 255 levels between the limits.
    outlines
        Object name to its boolean mask ``(T, H, W)``, drawn as a line around the object.
    limits
        Limits of the colours; by default the largest absolute value of ``overlay`` (before it is
        averaged), see :func:`vxhelpers.figures.colours.scale_of`. Pass the same to players to be
        compared.
    signed
        A zero-centred scale also for a map that has no value below zero.
    units
        What the map measures, for the colour bar.
    start_s
        Time of the first frame in the source, in seconds.
    opacity
        Opacity of the overlay when the page opens, 0 to 1.

    Raises
    ------
    InputError
        If shapes do not fit together, or an option is out of its range.
    NotFiniteError
        If the overlay holds NaN or infinity.
    """
    clip = Clip(frames, fps, title, start_s)
    count, height, width = frames.shape[:3]
    if not 0 <= opacity <= 1:
        raise InputError(f"{title}: opacity must be between 0 and 1, not {opacity}")
    if max_side < 16 or heat_side < 1:
        raise InputError(f"{title}: max_side must be at least 16 and heat_side at least 1")
    arrays: dict[str, Any] = {} if overlay is None else {"overlay": overlay}
    for name, array in (
        arrays | {f"outline {k!r}": v for k, v in (outlines or {}).items()}
    ).items():
        if np.shape(array) != frames.shape[:3]:
            raise InputError(
                f"{title}: {name} of shape {np.shape(array)} does not fit frames of shape "
                f"{frames.shape}: it must be {frames.shape[:3]}"
            )
    pictures = _reduce(frames, max_side)
    columns = min(count, 8)
    config: dict[str, Any] = {
        "frames": count,
        "columns": columns,
        "fps": clip.fps,
        "start": clip.start_s,
        "size": [width, height],
        "tile": [pictures.shape[2], pictures.shape[1]],
    }
    parts = [
        _image(_sheet(pictures, columns), "vx-sheet dark-light", f"{alt} All frames in order.")
    ]
    scale = None
    if overlay is not None:
        scale = scale_of(overlay, limits=limits, signed=signed)
        levels = scale.quantise(_reduce(np.asarray(overlay, np.float32), heat_side))
        parts.append(_image(_sheet(levels, columns), "vx-heat", "", hidden=True))
        config |= {
            "heat": [levels.shape[2], levels.shape[1]],
            "table": base64.b64encode(scale.table().tobytes()).decode(),
            "lo": scale.lo,
            "hi": scale.hi,
            "desaturate": DESATURATE,
        }
    if outlines:
        config["outlines"] = [
            {"colour": LINES[i % len(LINES)], "paths": [_path(frame) for frame in masks]}
            for i, masks in enumerate(outlines.values())
        ]
    factor = max(1.0, CANVAS / width)
    canvas = f'width="{round(width * factor)}" height="{round(height * factor)}" role="img"'
    names = ["clip"] + (["with overlay"] if scale else [])
    views = "".join(
        f'<div class="vx-view"><canvas {canvas} aria-label="{_escape(text)}"></canvas>'
        f"{_escape(name)}</div>"
        for name, text in zip(names, [alt, f"{alt} With {units} laid over."], strict=False)
    )
    controls = _controls(count, scale, overlay, units, opacity, list(outlines or {}))
    markup = (
        f'<div class="vx-player" role="group" aria-label="{_escape(title)}" '
        f'data-config="{_escape(json.dumps(config, separators=(",", ":")))}">'
        f'<p>{_escape(title)}</p><div class="vx-views">{views}</div>'
        f"{''.join(parts)}{controls}</div>"
    )
    return Player(title, alt, markup)


def gallery(players: Sequence[Player], *, columns: int = 2) -> Gallery:
    """Set players in a grid of at most ``columns`` columns.

    Raises
    ------
    InputError
        If there are no players or no columns.
    """
    if not players or columns < 1:
        raise InputError(f"a gallery needs players and columns, not {len(players)} and {columns}")
    return Gallery(tuple(players), columns)


def sprites(frames: Frames, *, columns: int, max_side: int = 256) -> tuple[bytes, int, int]:
    """Lay frames out in one picture, quickly, for a page that is alive.

    Parameters
    ----------
    frames
        ``(T, H, W, 3)`` uint8, RGB; reduced to ``max_side`` pixels when larger.
    columns
        Frames in a row of the picture.

    Returns
    -------
    bytes, int, int
        A WebP file, without loss up to a million pixels; width and height of a frame in it.
    """
    pictures = _reduce(frames, max_side)
    sheet = _sheet(pictures, columns)
    kind = "lossless" if sheet.width * sheet.height <= 1_000_000 else "quick"
    return _encoded(sheet, kind), pictures.shape[2], pictures.shape[1]


def _fragment(players: Sequence[Player], *, columns: int) -> str:
    return (
        f'<div class="vx-players" style="--columns:{columns}">'
        f"<style>{asset('vxhelpers.figures', 'player.css')}</style>"
        f"{''.join(p.markup for p in players)}"
        f"<script>{asset('vxhelpers.figures', 'player.js')}</script></div>"
    )


def _escape(text: str) -> str:
    return html.escape(text, quote=True)


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _controls(
    count: int,
    scale: Scale | None,
    overlay: Array | None,
    units: str,
    opacity: float,
    outlined: Sequence[str],
) -> str:
    speeds = "".join(
        f'<option value="{s}"{" selected" if s == 1 else ""}>{s:g}×</option>' for s in SPEEDS
    )
    parts = [
        '<div class="vx-row"><button type="button" class="vx-play">Play</button>'
        f'<input type="range" class="vx-frame" min="0" max="{count - 1}" step="1" '
        f'value="{count // 2}" aria-label="frame"><output class="vx-time"></output></div>',
        f'<label>Speed <select class="vx-speed">{speeds}</select></label>',
    ]
    if scale is not None and overlay is not None:
        beyond = scale.outside(overlay)
        note = f", {beyond:.1%} of the values lie beyond" if beyond else ""
        middle = "<span>0</span>" if scale.signed else ""
        parts += [
            '<label>Overlay <input type="range" class="vx-opacity" min="0" max="1" step="0.05" '
            f'value="{opacity:g}"></label>',
            f'<div class="vx-scale"><canvas class="vx-bar" width="{LEVELS}" height="1" '
            f'aria-hidden="true"></canvas><span><span>{_number(scale.lo)}</span>{middle}'
            f"<span>{_number(scale.hi)}</span></span>"
            f'<span><span>{_escape(units)}{note}</span><span class="vx-value"></span></span></div>',
        ]
    if outlined:
        key = "".join(
            f'<span><i style="border-color:{LINES[i % len(LINES)]}"></i>{_escape(name)}</span>'
            for i, name in enumerate(outlined)
        )
        box = '<input type="checkbox" class="vx-outlines" checked>'
        parts.append(f'<label class="vx-key">{box} Outlines: {key}</label>')
    return f'<div class="vx-controls">{"".join(parts)}</div>'


def _reduce(stack: npt.NDArray[Any], side: int) -> npt.NDArray[Any]:
    """Average every picture of ``(T, H, W, ...)`` down until its longer side is ``side``."""
    height, width = stack.shape[1:3]
    factor = side / max(height, width)
    if factor >= 1:
        return stack
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.stack([cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in stack])


def _sheet(stack: npt.NDArray[np.uint8], columns: int) -> Image.Image:
    """Lay the pictures of ``(T, H, W)`` or ``(T, H, W, 3)`` out in rows of ``columns``."""
    missing = -len(stack) % columns
    padded = np.concatenate([stack, np.zeros((missing, *stack.shape[1:]), np.uint8)])
    rows = [
        np.concatenate(list(row), axis=1) for row in padded.reshape(-1, columns, *stack.shape[1:])
    ]
    return Image.fromarray(np.concatenate(rows))


def _image(sheet: Image.Image, classes: str, alt: str, *, hidden: bool = False) -> str:
    """An ``img`` element that carries its own data; maps are stored without loss."""
    kind = "png" if hidden else "webp"
    data = base64.b64encode(_encoded(sheet, kind)).decode()
    return (
        f'<img class="{classes}" alt="{_escape(alt)}"{" hidden" if hidden else ""} '
        f'src="data:image/{kind};base64,{data}">'
    )


_KINDS: Mapping[str, dict[str, Any]] = {
    "png": {"format": "png", "optimize": True},
    "webp": {"format": "webp", "quality": 80, "method": 6},
    "quick": {"format": "webp", "quality": 90, "method": 1},
    "lossless": {"format": "webp", "lossless": True, "method": 1},
}


def _encoded(sheet: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    sheet.save(buffer, **_KINDS[kind])
    return buffer.getvalue()


def _path(mask: Masks) -> str:
    """SVG path around a mask, in pixels of the clip."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    smooth = [cv2.approxPolyDP(contour, 0.6, True)[:, 0] for contour in contours]
    return "".join(
        "M" + "L".join(f"{x + 0.5:g} {y + 0.5:g}" for x, y in contour.tolist()) + "Z"
        for contour in smooth
    )
